-- Mounts: servers with option data_directory, and what their tables can and cannot do.
\getenv abs_srcdir PG_ABS_SRCDIR
\set golden :abs_srcdir '/test/data/m3db'
CREATE SCHEMA t_mount;
SET search_path = t_mount;

-- statements whose output names the directory
CREATE TABLE place AS SELECT :'golden' AS golden;
CREATE FUNCTION try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  detail text;
BEGIN
  EXECUTE replace(statement, '<dir>', (SELECT golden FROM t_mount.place));
  RETURN 'fine';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
  RETURN replace(sqlstate || ': ' || sqlerrm || ' | ' || detail, (SELECT golden FROM t_mount.place), '<dir>');
END $$;
CREATE FUNCTION explain(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF, VERBOSE) ' || statement LOOP
    RETURN NEXT replace(line, (SELECT golden FROM t_mount.place), '<dir>');
  END LOOP;
END $$;
GRANT USAGE ON SCHEMA t_mount TO PUBLIC;
GRANT SELECT ON place TO PUBLIC;

-- options of servers
SELECT try($$CREATE SERVER x FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory 'warm')$$);
SELECT try($$CREATE SERVER x FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory '')$$);
SELECT try($$CREATE SERVER x FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory '<dir>/../x')$$);
SELECT try($$CREATE SERVER x FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory '<dir>/..')$$);
SELECT try($$CREATE SERVER x FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory '<dir>', shards '4')$$);
SELECT try($$CREATE SERVER x FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory '<dir>', hash_seed '4')$$);
SELECT try($$CREATE SERVER x FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory '<dir>', memory '12')$$);
SELECT try($$CREATE SERVER x FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory '<dir>', memory '1MB')$$);
SELECT try($$CREATE SERVER x FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory '<dir>', memory 'lots')$$);
SELECT try($$CREATE SERVER x FOREIGN DATA WRAPPER m3db_fdw OPTIONS (memory '64MB')$$);
SELECT try($$CREATE SERVER mount FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory '<dir>//warm/', memory '64MB')$$);

-- who may name a directory
CREATE ROLE regress_m3db_mount;
GRANT USAGE ON FOREIGN DATA WRAPPER m3db_fdw TO regress_m3db_mount;
SET ROLE regress_m3db_mount;
SELECT try($$CREATE SERVER x FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory '<dir>')$$);
RESET ROLE;
GRANT pg_read_server_files TO regress_m3db_mount;
SET ROLE regress_m3db_mount;
SELECT try($$CREATE SERVER x FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory '<dir>/warm')$$);
RESET ROLE;
REVOKE pg_read_server_files FROM regress_m3db_mount;
SET ROLE regress_m3db_mount;
SELECT try($$ALTER SERVER x OPTIONS (SET data_directory '/')$$);
SELECT try($$ALTER SERVER x OPTIONS (ADD memory '128MB')$$);
RESET ROLE;
DROP SERVER x;
REVOKE USAGE ON FOREIGN DATA WRAPPER m3db_fdw FROM regress_m3db_mount;

-- what cannot be a mount
SELECT try($$CREATE SERVER x FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory '<dir>/nowhere')$$);
SELECT try($$IMPORT FOREIGN SCHEMA m3db FROM SERVER x INTO t_mount$$);
SELECT try($$ALTER SERVER x OPTIONS (SET data_directory '<dir>')$$);
SELECT try($$IMPORT FOREIGN SCHEMA m3db FROM SERVER x INTO t_mount$$);
SELECT try($$ALTER SERVER x OPTIONS (SET data_directory '<dir>/README.md')$$);
SELECT try($$IMPORT FOREIGN SCHEMA m3db FROM SERVER x INTO t_mount$$);
DROP SERVER x;

-- reading
CREATE FOREIGN TABLE metrics (ts timestamptz NOT NULL, host text, kind text, n int, value float8)
  SERVER mount OPTIONS (namespace 'metrics');
SELECT count(*), count(DISTINCT (host, kind, n)), min(ts), max(ts) FROM metrics;
SELECT kind, count(*), round(avg(value)::numeric, 3) FROM metrics
 WHERE host = 'a1' AND ts >= '2024-03-05 02:00+00' AND ts < '2024-03-05 03:00+00' AND value BETWEEN -1e9 AND 1e9
 GROUP BY kind ORDER BY kind;
SELECT count(*) FROM metrics a JOIN metrics b USING (ts, host, kind, n) WHERE n = 11;
CREATE TABLE hosts AS SELECT 'a1' AS host, 'r1' AS rack;
SELECT rack, count(*) FROM hosts JOIN metrics USING (host) GROUP BY rack;
SELECT explain($$SELECT ts, value FROM metrics WHERE host = 'a1' AND ts < '2024-03-05 01:00+00'$$);
CREATE FOREIGN TABLE exact (t bigint OPTIONS (role 'time_ns'), id text, tags jsonb, value float8, annotation bytea,
  unit text) SERVER mount OPTIONS (namespace 'metrics');
SELECT t, id, tags, float8send(value), annotation, unit FROM exact WHERE annotation IS NOT NULL ORDER BY id, t LIMIT 3;
-- in a transaction that writes elsewhere
BEGIN ISOLATION LEVEL REPEATABLE READ;
CREATE SERVER mount_embedded FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE own (ts timestamptz NOT NULL, host text, value float8) SERVER mount_embedded
  OPTIONS (namespace 'mount own');
INSERT INTO own SELECT ts, host, value FROM metrics WHERE n = 11 AND host = 'b-2';
SELECT count(*) FROM own;
SELECT count(*) FROM metrics;
COMMIT;
SELECT count(*) FROM own;

-- definitions
CREATE FOREIGN TABLE bad (ts timestamptz, value float8) SERVER mount OPTIONS (namespace 'metrics', retention_period '1 day');
SELECT * FROM bad;
DROP FOREIGN TABLE bad;
CREATE FOREIGN TABLE bad (ts timestamptz, value float8) SERVER mount;
SELECT try('SELECT * FROM bad');
ALTER FOREIGN TABLE bad OPTIONS (ADD namespace 'metrics');
SELECT try('SELECT * FROM bad');
DROP FOREIGN TABLE bad;

-- writing
INSERT INTO metrics VALUES (now(), 'a', 'b', 1, 1);
INSERT INTO metrics SELECT * FROM metrics;
COPY metrics FROM stdin;
\.
UPDATE metrics SET value = 1;
DELETE FROM metrics;
TRUNCATE metrics;
SELECT m3db.flush('metrics');
SELECT table_name, is_insertable_into FROM information_schema.tables
 WHERE table_schema = 't_mount' AND table_name IN ('metrics', 'own') ORDER BY 1;

-- names that change keep their meaning
ALTER FOREIGN TABLE metrics RENAME COLUMN host TO machine;
ALTER FOREIGN TABLE metrics RENAME TO measured;
SELECT machine, count(*) FROM measured GROUP BY 1 ORDER BY 1 LIMIT 2;
\d measured

-- the directory may change: in this session, and while something reads the old one
BEGIN;
DECLARE c CURSOR FOR SELECT count(*) OVER () FROM measured;
FETCH c;
SELECT try($$ALTER SERVER mount OPTIONS (SET data_directory '<dir>/cold')$$);
ROLLBACK;
ALTER FOREIGN TABLE measured OPTIONS (SET namespace 'backfill_kept');
SELECT try('SELECT count(*) FROM measured');
SELECT try($$ALTER SERVER mount OPTIONS (SET data_directory '<dir>/cold')$$);
SELECT count(*) FROM measured;
SELECT try($$ALTER SERVER mount OPTIONS (DROP data_directory, DROP memory)$$);
SELECT try($$ALTER SERVER mount_embedded OPTIONS (ADD data_directory '<dir>/cold')$$);
SELECT try($$ALTER SERVER mount OPTIONS (SET memory '8MB')$$);
SELECT count(*) FROM measured;

-- wide: metrics side by side
SELECT try($$CREATE SERVER prom FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory '<dir>/prom')$$);
CREATE FOREIGN TABLE prom (ts timestamptz NOT NULL, instance text, up float8, goroutines float8 OPTIONS (metric 'go_goroutines'))
  SERVER prom OPTIONS (namespace 'prom_quoted');
SELECT count(*), count(up), count(goroutines) FROM prom;

-- damage: what is there is read
SELECT try($$CREATE SERVER damaged FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory '<dir>/damaged/flush_data_flip')$$);
CREATE FOREIGN TABLE damaged (ts timestamptz NOT NULL, id text, value float8) SERVER damaged OPTIONS (namespace 'dmg');
SET client_min_messages = error;
SELECT count(*), count(DISTINCT id) FROM damaged;
RESET client_min_messages;

-- this database's own directory; transactions that wrote elsewhere, too, are not its alone to judge
SET client_min_messages = error;
DO $$
BEGIN
  EXECUTE format('CREATE SERVER own FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory %L)',
    (SELECT current_setting('data_directory') || '/m3db/' || oid FROM pg_database WHERE datname = current_database()));
END $$;
CREATE FOREIGN TABLE own_mounted (ts timestamptz NOT NULL, host text, value float8) SERVER own
  OPTIONS (namespace 'mount own');
SELECT count(*) FROM own_mounted;
RESET client_min_messages;
DROP FOREIGN TABLE own_mounted;
SELECT count(*) FROM own;

SET client_min_messages = warning;
DROP SCHEMA t_mount CASCADE;
DROP SERVER mount, mount_embedded, prom, damaged, own;
DROP ROLE regress_m3db_mount;
