-- Wide tables: several value columns, each a series by its __name__.
CREATE SCHEMA t_wide;
SET search_path = t_wide;
SET client_min_messages = warning;
CREATE SERVER w1 FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE w (
  ts timestamptz, host text, usr float8, sys float8 OPTIONS (metric 'system'), idle float8,
  annotation bytea) SERVER w1;
CREATE FOREIGN TABLE series (ts timestamptz, id text, tags jsonb, annotation bytea, v float8) SERVER w1
  OPTIONS (namespace 't_wide.w');

INSERT INTO w VALUES ('2024-01-01', 'a', 1, 2, 3, NULL), ('2024-01-02', 'a', 4, NULL, NULL, '\x01'),
  ('2024-01-03', 'a', NULL, NULL, 5, NULL), ('2024-01-01', NULL, NULL, 6, NULL, NULL);
SELECT * FROM w ORDER BY host, ts;
SELECT ts, id COLLATE "C" AS id, tags, annotation, v FROM series ORDER BY 2, 1;
-- a series comes into being with its first value only
SELECT count(DISTINCT id) FROM series;

-- columns fill in one after the other, and are replaced one by one
INSERT INTO w (ts, host, sys) VALUES ('2024-01-02', 'a', 7);
INSERT INTO w (ts, host, usr, idle) VALUES ('2024-01-01', 'a', 10, 30);
SELECT * FROM w WHERE host = 'a' ORDER BY ts;
INSERT INTO w (ts, host) VALUES ('2024-01-05', 'a');
INSERT INTO w VALUES (NULL, 'a', 1, 1, 1);

-- tags without a column of their own
CREATE FOREIGN TABLE wt (ts timestamptz, tags jsonb, a float8, b float8) SERVER w1;
INSERT INTO wt VALUES ('2024-01-01', '{"x": "1"}', 1, 2), ('2024-01-01', NULL, 3, NULL);
SELECT * FROM wt ORDER BY a;
INSERT INTO wt VALUES ('2024-01-01', '{"__name__": "c"}', 1, 2);

-- one metric of a wide namespace as a table of its own
CREATE FOREIGN TABLE only_usr (ts timestamptz, host text, v float8 OPTIONS (metric 'usr')) SERVER w1
  OPTIONS (namespace 't_wide.w');
INSERT INTO only_usr VALUES ('2024-01-06', 'b', 8);
SELECT * FROM w WHERE host = 'b';
-- a column more, later
ALTER FOREIGN TABLE w ADD COLUMN nice float8;
INSERT INTO w (ts, host, nice) VALUES ('2024-01-06', 'b', 9);
SELECT ts, host, usr, sys, idle, nice FROM w WHERE host = 'b';
ALTER FOREIGN TABLE w DROP COLUMN usr;
SELECT ts, host, sys, idle, nice FROM w WHERE host = 'b';

-- many rows, few values each; groups learn their series bit by bit
INSERT INTO w (ts, host, sys, idle, nice)
SELECT '2024-02-01'::timestamptz + n * interval '1 s', 'g' || n % 10,
       CASE WHEN n % 3 = 0 THEN n END, CASE WHEN n % 3 = 1 THEN n END, CASE WHEN n % 3 = 2 THEN n END
  FROM generate_series(1, 3000) n;
SELECT count(*), count(sys), count(idle), count(nice), sum(sys), sum(idle), sum(nice)
  FROM w WHERE ts >= '2024-02-01';

DROP SCHEMA t_wide CASCADE;
DROP SERVER w1;
