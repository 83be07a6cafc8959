-- Roles of columns: which types can be what, and what a table needs.
CREATE SCHEMA t_columns;
SET search_path = t_columns;
SET client_min_messages = warning;
CREATE SERVER c1 FOREIGN DATA WRAPPER m3db_fdw;
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE DOMAIN percent AS float8 CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN hostname AS varchar(20) CHECK (VALUE ~ '^[a-z]');

-- tables that make no sense say so at first use, in EXPLAIN too
CREATE FOREIGN TABLE b01 (v float8) SERVER c1;
SELECT * FROM b01;
EXPLAIN INSERT INTO b01 VALUES (1);
CREATE FOREIGN TABLE b02 (ts timestamptz, h text) SERVER c1;
SELECT * FROM b02;
CREATE FOREIGN TABLE b03 (ts timestamptz, t2 timestamptz, v float8) SERVER c1;
SELECT * FROM b03;
CREATE FOREIGN TABLE b04 (ts timestamp, v float8) SERVER c1;
SELECT * FROM b04;
CREATE FOREIGN TABLE b05 (ts timestamptz, v numeric) SERVER c1;
SELECT * FROM b05;
CREATE FOREIGN TABLE b06 (ts timestamptz, v float8, h char(3)) SERVER c1;
SELECT * FROM b06;
CREATE FOREIGN TABLE b07 (ts timestamptz, v float8, labels jsonb) SERVER c1;
SELECT * FROM b07;
CREATE FOREIGN TABLE b08 (ts timestamptz, v float8, note bytea) SERVER c1;
SELECT * FROM b08;
CREATE FOREIGN TABLE b09 (ts timestamptz, v float8, p point) SERVER c1;
SELECT * FROM b09;
CREATE FOREIGN TABLE b10 (ts timestamptz, v float8, a text[]) SERVER c1;
SELECT * FROM b10;
CREATE FOREIGN TABLE b11 (ts timestamptz, v float4 OPTIONS (role 'value')) SERVER c1;
SELECT * FROM b11;
CREATE FOREIGN TABLE b12 (ts timestamptz OPTIONS (role 'time_ns'), v float8) SERVER c1;
SELECT * FROM b12;
CREATE FOREIGN TABLE b13 (ts timestamptz, ns bigint OPTIONS (role 'time_ns'), v float8) SERVER c1;
SELECT * FROM b13;
CREATE FOREIGN TABLE b14 (ts timestamptz, a text, b text OPTIONS (tag 'a'), v float8) SERVER c1;
SELECT * FROM b14;
CREATE FOREIGN TABLE b15 (ts timestamptz, a float8, b float8 OPTIONS (metric 'a')) SERVER c1;
SELECT * FROM b15;
CREATE FOREIGN TABLE b16 (ts timestamptz, "__name__" text, a float8, b float8) SERVER c1;
SELECT * FROM b16;
CREATE FOREIGN TABLE b17 (ts timestamptz, "__name__" text, a float8 OPTIONS (metric 'a')) SERVER c1;
SELECT * FROM b17;
CREATE FOREIGN TABLE b18 (ts timestamptz, id text, a float8, b float8) SERVER c1;
SELECT * FROM b18;
CREATE FOREIGN TABLE b19 (ts timestamptz, id text, i2 text OPTIONS (role 'id'), a float8) SERVER c1;
SELECT * FROM b19;
CREATE FOREIGN TABLE b20 (ts timestamptz, "_m3ninx_id" text, a float8) SERVER c1;
SELECT * FROM b20;
CREATE FOREIGN TABLE b21 () SERVER c1;
SELECT * FROM b21;

-- every type a tag can have comes back as it was
CREATE FOREIGN TABLE types (
  ts timestamptz, t text, vc varchar(10), i2 int2, i4 int4, i8 int8, u uuid, b boolean,
  m mood, h hostname, v percent) SERVER c1;
INSERT INTO types VALUES
  ('2024-01-01', 'text "quoted" \ ü', 'var', -32768, 2147483647, -9223372036854775808,
   'A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11', true, 'it''s ok', 'web', 12.5),
  ('2024-01-01', '', '', 0, 0, 0, '00000000-0000-0000-0000-000000000000', false, 'sad', 'a', 0),
  ('2024-01-01', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 100);
SELECT * FROM types ORDER BY v;
SELECT v FROM types WHERE t = '';
SELECT v FROM types WHERE t IS NULL;
SELECT v FROM types WHERE m = 'it''s ok' AND b AND i8 = -9223372036854775808;
INSERT INTO types (ts, v) VALUES ('2024-01-01', 101);
INSERT INTO types (ts, h, v) VALUES ('2024-01-01', 'WEB', 1);
INSERT INTO types (ts, vc, v) VALUES ('2024-01-01', 'much too long', 1);

-- roles by name and by option
CREATE FOREIGN TABLE roles (
  at bigint OPTIONS (role 'time_ns'), id text, tags jsonb, dc text OPTIONS (tag 'data centre'),
  annotation bytea, unit text, value float8) SERVER c1;
INSERT INTO roles VALUES
  (1704067200123456789, 'series 1', '{"a": "1", "b": null, "c": ""}', 'x', '\xdeadbeef', NULL, 1),
  (1704067200000000000, 'series 1', '{"a": "1", "c": ""}', 'x', NULL, 's', 2),
  (1704067200001000000, 'series 2', '{}', NULL, '\x00', 'ms', 3),
  (1704067200002000000, 'series 3', NULL, NULL, NULL, 'ns', 4);
SELECT * FROM roles ORDER BY at;
-- the same with names that would mean something else
CREATE FOREIGN TABLE renamed (
  t timestamptz OPTIONS (role 'time'), id text OPTIONS (role 'tag'),
  unit text OPTIONS (role 'tag'), key text OPTIONS (role 'id'),
  rest jsonb OPTIONS (role 'tags'), note bytea OPTIONS (role 'annotation'),
  u text OPTIONS (role 'unit'), n bigint, x float8 OPTIONS (role 'value', metric 'temp')) SERVER c1;
INSERT INTO renamed VALUES ('2024-01-01', 'i', '°C', 'k', '{"z": "Z"}', 'note', 'us', 42, 20.5);
SELECT * FROM renamed;
-- another table over the same series shows what is stored
CREATE FOREIGN TABLE stored (ts timestamptz, id text, tags jsonb, value float8) SERVER c1
  OPTIONS (namespace 't_columns.renamed');
SELECT * FROM stored;

-- integers named id are tags; only text is a series id
CREATE FOREIGN TABLE int_id (ts timestamptz, id int, v float8) SERVER c1;
INSERT INTO int_id VALUES ('2024-01-01', 7, 1);
CREATE FOREIGN TABLE int_id_stored (ts timestamptz, id text, tags jsonb, v float8) SERVER c1
  OPTIONS (namespace 't_columns.int_id');
SELECT * FROM int_id_stored;

-- columns come and go
CREATE FOREIGN TABLE changing (gone int, ts timestamptz, h text, v float8) SERVER c1;
ALTER FOREIGN TABLE changing DROP COLUMN gone;
INSERT INTO changing VALUES ('2024-01-01', 'a', 1);
SELECT * FROM changing;
ALTER FOREIGN TABLE changing ADD COLUMN region text;
INSERT INTO changing VALUES ('2024-01-01', 'a', 2, 'eu');
SELECT * FROM changing ORDER BY v;
ALTER FOREIGN TABLE changing DROP COLUMN h;
SELECT * FROM changing ORDER BY v;
INSERT INTO changing VALUES ('2024-01-01', 3, 'us');
SELECT * FROM changing ORDER BY v;
ALTER FOREIGN TABLE changing RENAME COLUMN region TO area;
SELECT area FROM changing ORDER BY v;
ALTER FOREIGN TABLE changing ALTER COLUMN area OPTIONS (SET tag 'area');
SELECT area FROM changing ORDER BY v;

DROP SCHEMA t_columns CASCADE;
DROP SERVER c1;
