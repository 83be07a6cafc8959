-- SQLSTATEs of what is refused; clients decide by them.
CREATE SCHEMA t_errors;
SET search_path = t_errors;
SET client_min_messages = warning;
CREATE SERVER e1 FOREIGN DATA WRAPPER m3db_fdw;
CREATE SERVER e2 FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory '/nowhere');
CREATE FOREIGN TABLE f (ts timestamptz, host text, unit text, annotation bytea, tags jsonb, v float8) SERVER e1;
CREATE FOREIGN TABLE d (ts timestamptz, id text, host text, v float8) SERVER e1;
CREATE FOREIGN TABLE n (ts bigint OPTIONS (role 'time_ns'), v float8) SERVER e1;
CREATE FOREIGN TABLE m (ts timestamptz, v float8) SERVER e2;
CREATE FOREIGN TABLE b (ts timestamp, v float8) SERVER e1;
CREATE FOREIGN TABLE r (ts timestamptz, v float8) SERVER e1 OPTIONS (retention_period '2 days');
CREATE FOREIGN TABLE cold (ts timestamptz, v float8) SERVER e1 OPTIONS (cold_writes_enabled 'off');
INSERT INTO d VALUES ('2024-01-01', 'x', 'a', 1);

CREATE FUNCTION sqlstate_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE statement;
  RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
  RETURN sqlstate;
END $$;

SELECT s, sqlstate_of(s) FROM unnest(ARRAY[
  'INSERT INTO f (ts, v) VALUES (NULL, 1)',
  'INSERT INTO f (ts, v) VALUES (''2024-01-01'', NULL)',
  'INSERT INTO f (ts, v) VALUES (''infinity'', 1)',
  'INSERT INTO f (ts, v) VALUES (''1960-01-01'', 1)',
  'INSERT INTO n (ts, v) VALUES (-1, 1)',
  'INSERT INTO n (ts, v) VALUES (9223372036854775807, 1)',
  'INSERT INTO f (ts, unit, v) VALUES (''2024-01-01'', ''h'', 1)',
  'INSERT INTO f (ts, unit, v) VALUES (''2024-01-01 00:00:00.1'', ''s'', 1)',
  'INSERT INTO f (ts, annotation, v) SELECT ''2024-01-01'', string_agg(''0123456789'', '''')::bytea, 1 FROM generate_series(1, 7000)',
  'INSERT INTO f (ts, tags, v) VALUES (''2024-01-01'', ''{"a": 1}'', 1)',
  'INSERT INTO d VALUES (''2024-01-01'', NULL, ''a'', 1)',
  'INSERT INTO d VALUES (''2024-01-01'', ''x'', ''b'', 1)',
  'INSERT INTO f (ts, v) VALUES (''2024-01-01'', 1) ON CONFLICT DO NOTHING',
  'UPDATE f SET v = 1',
  'DELETE FROM f',
  'SELECT * FROM m',
  'INSERT INTO m VALUES (''2024-01-01'', 1)',
  'SELECT * FROM b',
  'CREATE FOREIGN TABLE z (ts timestamptz, v float8) SERVER e1 OPTIONS (nonsense ''1'')',
  'CREATE FOREIGN TABLE z (ts timestamptz, v float8) SERVER e1 OPTIONS (block_size ''1 month'')',
  'INSERT INTO f (ts, v) VALUES (''2024-01-01'', 1)'
  ]) s;

-- what only the commit can know; messages tell the time of the clock
\set VERBOSITY sqlstate
INSERT INTO r VALUES (now() - interval '3 days', 1);
INSERT INTO r VALUES (now() - interval '1 day', 1);
INSERT INTO cold VALUES (now() - interval '1 day', 1);
INSERT INTO cold VALUES (now(), 1);
\set VERBOSITY default
SELECT count(*) FROM r;
SELECT count(*) FROM cold;

DROP SCHEMA t_errors CASCADE;
DROP SERVER e1;
DROP SERVER e2;
