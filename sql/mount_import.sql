-- IMPORT FOREIGN SCHEMA: tables for what a server's directory holds.
\getenv abs_srcdir PG_ABS_SRCDIR
\set golden :abs_srcdir '/test/data/m3db'
CREATE SCHEMA t_import;
SET search_path = t_import;
\set directory :golden '/cold'
CREATE SERVER cold FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory :'directory');
\set directory :golden '/prom'
CREATE SERVER prom FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory :'directory');
CREATE FUNCTION definition(name regclass) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT format('%I %s%s%s', attname, format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN ' not null' END,
                ' ' || attfdwoptions::text)
    FROM pg_attribute WHERE attrelid = name AND attnum > 0 AND NOT attisdropped ORDER BY attnum
$$;
CREATE VIEW imported AS
  SELECT relname, srvname, ftoptions FROM pg_foreign_table JOIN pg_class c ON c.oid = ftrelid
    JOIN pg_foreign_server s ON s.oid = ftserver
   WHERE relnamespace = 't_import'::regnamespace ORDER BY 1;

-- what is refused
IMPORT FOREIGN SCHEMA public FROM SERVER cold INTO t_import;
IMPORT FOREIGN SCHEMA m3db FROM SERVER cold INTO t_import OPTIONS (tabels 'metric');
IMPORT FOREIGN SCHEMA m3db FROM SERVER cold INTO t_import OPTIONS (tables 'all');
IMPORT FOREIGN SCHEMA m3db FROM SERVER cold INTO t_import OPTIONS (time 'us');
IMPORT FOREIGN SCHEMA m3db FROM SERVER cold INTO t_import OPTIONS (id 'perhaps');
IMPORT FOREIGN SCHEMA m3db FROM SERVER cold INTO t_import OPTIONS (max_tags '1501');

-- a table for each namespace
IMPORT FOREIGN SCHEMA m3db FROM SERVER cold INTO t_import;
SELECT * FROM imported;
SELECT definition('backfill_kept');
SELECT count(*) FROM backfill_kept;
SELECT count(*) FROM (TABLE backfill_kept EXCEPT ALL TABLE backfill_cleaned) x;
-- a second time
IMPORT FOREIGN SCHEMA m3db FROM SERVER cold INTO t_import;
DROP FOREIGN TABLE backfill_kept, backfill_cleaned;
IMPORT FOREIGN SCHEMA m3db LIMIT TO (backfill_kept, nothing) FROM SERVER cold INTO t_import;
IMPORT FOREIGN SCHEMA m3db EXCEPT (backfill_kept) FROM SERVER cold INTO t_import;
SELECT * FROM imported;
DROP FOREIGN TABLE backfill_kept, backfill_cleaned;

-- other columns
IMPORT FOREIGN SCHEMA m3db LIMIT TO (backfill_kept) FROM SERVER cold INTO t_import
  OPTIONS (time 'ns', id 'true', tags 'true', annotations 'true', units 'true');
SELECT definition('backfill_kept');
SELECT t, id, host, tags, value, unit FROM backfill_kept ORDER BY id, t LIMIT 1;
DROP FOREIGN TABLE backfill_kept;
IMPORT FOREIGN SCHEMA m3db LIMIT TO (prom_quoted) FROM SERVER prom INTO t_import OPTIONS (max_tags '2');
SELECT definition('prom_quoted');
SELECT count(DISTINCT tags) > 1 FROM prom_quoted;
DROP FOREIGN TABLE prom_quoted;

-- a table for each metric
IMPORT FOREIGN SCHEMA m3db FROM SERVER prom INTO t_import OPTIONS (tables 'metric', namespace 'prom_quoted');
SELECT * FROM imported;
SELECT definition('up');
SELECT definition('http_requests_total');
CREATE FOREIGN TABLE everything (ts timestamptz NOT NULL, metric text OPTIONS (tag '__name__'), value float8) SERVER prom
  OPTIONS (namespace 'prom_quoted');
SELECT count(*), (SELECT count(*) FROM everything WHERE metric = 'up') FROM up;
SELECT count(*), (SELECT count(*) FROM everything WHERE metric = 'http_requests_total') FROM http_requests_total;
-- several namespaces with the same metrics
CREATE SCHEMA t_import_all;
IMPORT FOREIGN SCHEMA m3db FROM SERVER prom INTO t_import_all OPTIONS (tables 'metric');
SELECT relname FROM pg_class WHERE relnamespace = 't_import_all'::regnamespace AND relname LIKE '%.up' ORDER BY 1;
SELECT count(*) FROM t_import_all."prom_legacy.up";
-- and series without a metric
IMPORT FOREIGN SCHEMA m3db FROM SERVER cold INTO t_import_all OPTIONS (tables 'metric');

-- the embedded engine: what no table maps
CREATE SERVER import_embedded FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE cpu (ts timestamptz NOT NULL, host text, tags jsonb, v float8) SERVER import_embedded
  OPTIONS (namespace 't_import_2.cpu', block_size '2 hours', retention_period '36500 days', cold_writes_enabled 'true',
           buffer_past '90 s', cache_policy 'none');
INSERT INTO cpu VALUES ('2026-01-01', 'a', '{"value": "1", "ts": "2", "id": "3", "unit": "4", "Host": "5", "tags": "6", "ctid": "7", "a b": "8"}', 1),
  ('2026-01-02', 'b', '{"select": "9", "it''s": "10", "back\\slash": "11", "ünï": "12", "Value": "13"}', 2),
  ('2026-01-03', 'b', jsonb_build_object(repeat('long', 20), '14', repeat('long', 20) || '2', '15', repeat('é', 40), '16'), 3);
IMPORT FOREIGN SCHEMA m3db FROM SERVER import_embedded INTO t_import OPTIONS (namespace 't_import_2.cpu');
ALTER FOREIGN TABLE cpu OPTIONS (SET namespace 'import elsewhere');
CREATE SCHEMA t_import_2;
IMPORT FOREIGN SCHEMA m3db FROM SERVER import_embedded INTO t_import_2 OPTIONS (namespace 't_import_2.cpu', id 'true');
SELECT ftoptions FROM pg_foreign_table WHERE ftrelid = 't_import_2.cpu'::regclass;
SELECT definition('t_import_2.cpu');
SELECT * FROM t_import_2.cpu WHERE value = 1 \gx
SELECT value, "select", "it's", "back\slash", "ünï", longlonglonglonglonglonglonglonglonglonglonglonglonglonglonglon
  FROM t_import_2.cpu WHERE value > 1 ORDER BY value;
INSERT INTO t_import_2.cpu (ts, id, host, value_tag, value) VALUES ('2026-01-04', 'one more', 'c', '0', 4);
SELECT count(*) FROM t_import_2.cpu;
-- it is mapped now
IMPORT FOREIGN SCHEMA m3db FROM SERVER import_embedded INTO t_import OPTIONS (namespace 't_import_2.cpu');

SET client_min_messages = warning;
DROP SCHEMA t_import, t_import_2, t_import_all CASCADE;
DROP SERVER cold, prom, import_embedded;
