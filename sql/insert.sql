-- INSERT: values come back bit for bit, a second write replaces, nulls and limits.
CREATE SCHEMA t_insert;
SET search_path = t_insert;
SET client_min_messages = warning;
SET extra_float_digits = 1;
CREATE SERVER i1 FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE f (ts timestamptz, host text, v float8) SERVER i1;

-- every bit of a value
INSERT INTO f SELECT '2024-01-01'::timestamptz + n * interval '1 s', 'bits', x
  FROM unnest(ARRAY['0', '-0', '1', '0.1', '1e308', '-1.7976931348623157e308', '5e-324',
                    'infinity', '-infinity', 'nan', '123456789.123456789',
                    '0.30000000000000004']::float8[]) WITH ORDINALITY AS u (x, n);
SELECT ts, v, float8send(v) FROM f WHERE host = 'bits' ORDER BY ts;

-- microseconds, and the edges of time
INSERT INTO f VALUES ('2024-01-01 00:00:00.000001', 'edge', 1), ('1970-01-02', 'edge', 2),
  ('2262-04-01', 'edge', 3), ('2024-02-29 23:59:59.999999', 'edge', 4);
SELECT ts, v FROM f WHERE host = 'edge' ORDER BY ts;
INSERT INTO f VALUES ('infinity', 'a', 1);
INSERT INTO f VALUES ('-infinity', 'a', 1);
INSERT INTO f VALUES ('1969-12-31', 'a', 1);
INSERT INTO f VALUES ('2263-01-01', 'a', 1);
INSERT INTO f VALUES ('294000-01-01', 'a', 1);

-- nulls
INSERT INTO f VALUES (NULL, 'a', 1);
INSERT INTO f VALUES ('2024-01-01', 'a', NULL);
INSERT INTO f DEFAULT VALUES;
INSERT INTO f VALUES ('2024-01-01', NULL, 1), ('2024-01-01', '', 2);
SELECT host, host IS NULL AS absent, v FROM f WHERE host IS NULL OR host = '' ORDER BY v;

-- a second write replaces, in one statement and in another
INSERT INTO f VALUES ('2024-01-01', 'twice', 1), ('2024-01-01', 'twice', 2);
SELECT * FROM f WHERE host = 'twice';
INSERT INTO f VALUES ('2024-01-01', 'twice', 3);
SELECT * FROM f WHERE host = 'twice';

-- out of order
INSERT INTO f SELECT '2024-01-01'::timestamptz + ((n * 7919) % 1000) * interval '1 min', 'mixed',
  (n * 7919) % 1000 FROM generate_series(0, 999) n;
SELECT count(*), count(DISTINCT ts), min(ts), max(ts), sum(v),
       bool_and(ts = '2024-01-01'::timestamptz + v * interval '1 min') AS each_at_its_time
  FROM f WHERE host = 'mixed';

-- RETURNING gives the row as it was written
INSERT INTO f VALUES ('2024-01-01', 'ret', 1), ('2024-01-02', 'ret', 2)
  RETURNING *, v * 2 AS twice, tableoid::regclass;
WITH w AS (INSERT INTO f VALUES ('2024-01-03', 'ret', 3) RETURNING ts, v)
SELECT w.*, (SELECT count(*) FROM f WHERE host = 'ret') AS before FROM w;

-- many series, more than fit the first cache table
INSERT INTO f SELECT '2024-03-01'::timestamptz + (n / 500) * interval '1 min', 'many-' || n % 500, n
  FROM generate_series(0, 4999) n;
SELECT count(*), count(DISTINCT host), sum(v) FROM f WHERE ts >= '2024-03-01' AND host LIKE 'many-%';
-- long tags, compressed and not
CREATE TABLE long_tags AS SELECT n, repeat(chr(97 + n), 3000 * n) AS t FROM generate_series(1, 5) n;
INSERT INTO f SELECT '2024-04-01', t, n FROM long_tags;
SELECT v, length(host), host = repeat(chr(97 + v::int), 3000 * v::int) AS same
  FROM f WHERE ts = '2024-04-01' ORDER BY v;
INSERT INTO f VALUES ('2024-01-01', repeat('x', 65536), 1);

-- a statement does not see what it writes
INSERT INTO f SELECT ts + interval '1 year', host, v FROM f WHERE host = 'edge' AND ts < '2200-01-01';
SELECT ts, v FROM f WHERE host = 'edge' ORDER BY ts;

-- what cannot be done, and what to do instead
UPDATE f SET v = 0;
DELETE FROM f WHERE host = 'a';
INSERT INTO f VALUES ('2024-01-01', 'a', 1) ON CONFLICT DO NOTHING;
INSERT INTO f VALUES ('2024-01-01', 'a', 1) ON CONFLICT (ts) DO UPDATE SET v = 1;
EXPLAIN (COSTS off) UPDATE f SET v = 0;
SELECT is_insertable_into FROM information_schema.tables WHERE table_schema = 't_insert' AND table_name = 'f';
SELECT pg_relation_is_updatable('f', false);
EXPLAIN (COSTS off) INSERT INTO f VALUES ('2024-01-01', 'a', 1);

-- tags from jsonb
CREATE FOREIGN TABLE j (ts timestamptz, host text, tags jsonb, v float8) SERVER i1;
INSERT INTO j VALUES ('2024-01-01', 'a', '{"b": "2", "a": "1", "n": null}', 1),
  ('2024-01-01', NULL, '{"zone": "z"}', 2), ('2024-01-01', 'c', NULL, 3), ('2024-01-01', NULL, '{}', 4);
SELECT * FROM j ORDER BY v;
INSERT INTO j VALUES ('2024-01-02', 'a', '{"a": "1", "b": "2"}', 5);
SELECT count(*) FROM (SELECT DISTINCT host, tags FROM j) s;
INSERT INTO j VALUES ('2024-01-01', 'a', '{"n": 1}', 1);
INSERT INTO j VALUES ('2024-01-01', 'a', '{"n": true}', 1);
INSERT INTO j VALUES ('2024-01-01', 'a', '{"n": ["x"]}', 1);
INSERT INTO j VALUES ('2024-01-01', 'a', '{"n": {"x": "y"}}', 1);
INSERT INTO j VALUES ('2024-01-01', 'a', '["x"]', 1);
INSERT INTO j VALUES ('2024-01-01', 'a', '"x"', 1);
INSERT INTO j VALUES ('2024-01-01', 'a', '{"host": "b"}', 1);
INSERT INTO j VALUES ('2024-01-01', NULL, '{"host": "b"}', 1);
INSERT INTO j VALUES ('2024-01-01', 'a', '{"": "b"}', 1);
INSERT INTO j VALUES ('2024-01-01', 'a', '{"_m3ninx_id": "b"}', 1);

-- ids
CREATE FOREIGN TABLE d (ts timestamptz, id text, host text, v float8) SERVER i1;
INSERT INTO d VALUES ('2024-01-01', 'one', 'a', 1);
INSERT INTO d VALUES ('2024-01-02', 'one', 'b', 2);
BEGIN;
INSERT INTO d VALUES ('2024-01-01', 'two', 'a', 1);
INSERT INTO d VALUES ('2024-01-02', 'two', NULL, 2);
ROLLBACK;
INSERT INTO d VALUES ('2024-01-02', NULL, 'b', 2);
INSERT INTO d VALUES ('2024-01-02', 'one', 'a', 2), ('2024-01-01', 'Ω "q"', NULL, 3);
SELECT * FROM d ORDER BY id, ts;
-- made from tags, in M3's quoted form
CREATE FOREIGN TABLE f_ids (ts timestamptz, id text, v float8) SERVER i1 OPTIONS (namespace 't_insert.j');
SELECT DISTINCT id COLLATE "C" FROM f_ids ORDER BY 1;

-- annotations and units
CREATE FOREIGN TABLE a (ts timestamptz, host text, annotation bytea, unit text, v float8) SERVER i1;
INSERT INTO a VALUES ('2024-01-01', 'x', '\x01', NULL, 1), ('2024-01-02', 'x', '', 's', 2),
  ('2024-01-03 00:00:00.000001', 'x', NULL, NULL, 3), ('2024-01-04', 'x', '\x00ff', 'us', 4);
SELECT * FROM a ORDER BY ts;
INSERT INTO a VALUES ('2024-01-01', 'x', NULL, 'm', 1);
INSERT INTO a VALUES ('2024-01-01 00:00:00.5', 'x', NULL, 's', 1);
INSERT INTO a VALUES ('2024-01-01', 'x', decode(repeat('00', 65535), 'hex'), NULL, 1);
INSERT INTO a VALUES ('2024-01-01', 'y', decode(repeat('00', 65536), 'hex'), NULL, 1);
SELECT host, length(annotation) FROM a WHERE ts = '2024-01-01' ORDER BY host;

-- a view on top
CREATE VIEW fv AS SELECT ts, host, v FROM f WHERE v >= 0 WITH CHECK OPTION;
INSERT INTO fv VALUES ('2024-05-01', 'view', 1);
INSERT INTO fv VALUES ('2024-05-02', 'view', -1);
SELECT * FROM fv WHERE host = 'view' ORDER BY ts;

-- prepared, through several plans
PREPARE ins (timestamptz, text, float8) AS INSERT INTO f VALUES ($1, $2, $3);
DO $$ BEGIN FOR n IN 1..8 LOOP EXECUTE format('EXECUTE ins (%L, %L, %s)', '2024-06-01'::timestamptz + n * interval '1 s', 'prep', n); END LOOP; END $$;
SELECT count(*), sum(v) FROM f WHERE host = 'prep';

DROP SCHEMA t_insert CASCADE;
DROP SERVER i1;
