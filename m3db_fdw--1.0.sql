\echo Use "CREATE EXTENSION m3db_fdw" to load this file. \quit

CREATE SCHEMA m3db;
GRANT USAGE ON SCHEMA m3db TO PUBLIC;
COMMENT ON SCHEMA m3db IS 'functions and views of m3db_fdw';

-- Fail here, and clearly, when the library is not preloaded.
CREATE FUNCTION m3db.check_preloaded()
RETURNS void
AS 'MODULE_PATHNAME', 'm3db_check_preloaded'
LANGUAGE C STRICT VOLATILE;

SELECT m3db.check_preloaded();
DROP FUNCTION m3db.check_preloaded();

-- The wrapper

CREATE FUNCTION m3db.fdw_handler()
RETURNS pg_catalog.fdw_handler
AS 'MODULE_PATHNAME', 'm3db_fdw_handler'
LANGUAGE C STRICT;
COMMENT ON FUNCTION m3db.fdw_handler() IS 'handler of foreign-data wrapper m3db_fdw';

CREATE FUNCTION m3db.fdw_validator(options pg_catalog.text[], catalog pg_catalog.oid)
RETURNS void
AS 'MODULE_PATHNAME', 'm3db_fdw_validator'
LANGUAGE C STRICT;
COMMENT ON FUNCTION m3db.fdw_validator(pg_catalog.text[], pg_catalog.oid)
IS 'option validator of foreign-data wrapper m3db_fdw';

CREATE FOREIGN DATA WRAPPER m3db_fdw
HANDLER m3db.fdw_handler
VALIDATOR m3db.fdw_validator;
COMMENT ON FOREIGN DATA WRAPPER m3db_fdw IS 'time series in M3DB''s storage engine';

-- Functions behind the views

CREATE FUNCTION m3db.version()
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'm3db_version'
LANGUAGE C STRICT IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION m3db.version() IS 'version of the loaded library';

CREATE FUNCTION m3db.stat_bootstrap(
    OUT datid pg_catalog.oid,
    OUT state pg_catalog.text,
    OUT phase pg_catalog.text,
    OUT bytes_done pg_catalog.int8,
    OUT bytes_total pg_catalog.int8,
    OUT points pg_catalog.int8,
    OUT skipped_transactions pg_catalog.int8,
    OUT files_done pg_catalog.int4,
    OUT files_total pg_catalog.int4,
    OUT started pg_catalog.timestamptz,
    OUT finished pg_catalog.timestamptz,
    OUT message pg_catalog.text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'm3db_stat_bootstrap'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 5;
COMMENT ON FUNCTION m3db.stat_bootstrap()
IS 'loading of M3DB data after a start: of this database and, for members of pg_monitor, of all';

CREATE FUNCTION m3db.namespaces(
    OUT name pg_catalog.text,
    OUT retention_period pg_catalog.interval,
    OUT block_size pg_catalog.interval,
    OUT buffer_past pg_catalog.interval,
    OUT buffer_future pg_catalog.interval,
    OUT cold_writes_enabled pg_catalog.bool,
    OUT writes_to_commitlog pg_catalog.bool,
    OUT snapshot_enabled pg_catalog.bool,
    OUT flush_enabled pg_catalog.bool,
    OUT cleanup_enabled pg_catalog.bool,
    OUT cache_policy pg_catalog.text,
    OUT series pg_catalog.int8,
    OUT blocks pg_catalog.int8,
    OUT points pg_catalog.int8,
    OUT bytes pg_catalog.int8)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'm3db_namespaces'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 20;
COMMENT ON FUNCTION m3db.namespaces() IS 'namespaces of this database';

CREATE FUNCTION m3db.stat_commitlog(
    OUT active_index pg_catalog.int8,
    OUT active_bytes pg_catalog.int8,
    OUT groups pg_catalog.int8,
    OUT entries pg_catalog.int8,
    OUT bytes pg_catalog.int8,
    OUT syncs pg_catalog.int8,
    OUT sync_time pg_catalog.float8,
    OUT rotations pg_catalog.int8,
    OUT unsynced_bytes pg_catalog.int8,
    OUT queue_bytes pg_catalog.int8,
    OUT commits pg_catalog.int8,
    OUT rollbacks pg_catalog.int8)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'm3db_stat_commitlog'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 1;
COMMENT ON FUNCTION m3db.stat_commitlog() IS 'activity of the commit log of this database';

CREATE FUNCTION m3db.stat_engine(
    OUT buffer_size pg_catalog.int8,
    OUT overhead_bytes pg_catalog.int8,
    OUT page_bytes pg_catalog.int8,
    OUT used_bytes pg_catalog.int8,
    OUT databases pg_catalog.int4,
    OUT worker_pid pg_catalog.int4)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'm3db_stat_engine'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 1;
COMMENT ON FUNCTION m3db.stat_engine() IS 'shared memory of the engine, for all databases';

-- Functions that act

CREATE FUNCTION m3db.rotate_commitlog()
RETURNS void
AS 'MODULE_PATHNAME', 'm3db_rotate_commitlog'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION m3db.rotate_commitlog() IS 'start a new commit log file';

CREATE FUNCTION m3db.flush_commitlog()
RETURNS void
AS 'MODULE_PATHNAME', 'm3db_flush_commitlog'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION m3db.flush_commitlog()
IS 'make everything committed so far durable, with strategy "behind" too';

-- Views

CREATE VIEW m3db.stat_bootstrap AS
SELECT b.datid, d.datname, b.state, b.phase, b.bytes_done, b.bytes_total, b.points,
       b.skipped_transactions, b.files_done, b.files_total, b.started, b.finished, b.message
  FROM m3db.stat_bootstrap() b
  LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) b.datid;
COMMENT ON VIEW m3db.stat_bootstrap
IS 'loading of M3DB data after a start: of this database and, for members of pg_monitor, of all';

CREATE VIEW m3db.namespaces AS
SELECT n.name, n.retention_period, n.block_size, n.buffer_past, n.buffer_future,
       n.cold_writes_enabled, n.writes_to_commitlog, n.snapshot_enabled,
       n.flush_enabled, n.cleanup_enabled, n.cache_policy,
       n.series, n.blocks, n.points, n.bytes,
       n.bytes::pg_catalog.float8
           OPERATOR(pg_catalog./) NULLIF(n.points, 0)::pg_catalog.float8 AS bytes_per_point
  FROM m3db.namespaces() n;
COMMENT ON VIEW m3db.namespaces IS 'namespaces of this database: options and sizes in memory';

CREATE VIEW m3db.stat_commitlog AS SELECT * FROM m3db.stat_commitlog();
COMMENT ON VIEW m3db.stat_commitlog
IS 'activity of the commit log of this database since the server started; sync_time in milliseconds';

CREATE VIEW m3db.stat_engine AS SELECT * FROM m3db.stat_engine();
COMMENT ON VIEW m3db.stat_engine IS 'shared memory of the engine, for all databases';

-- Privileges

REVOKE ALL ON FUNCTION m3db.namespaces() FROM PUBLIC;
REVOKE ALL ON FUNCTION m3db.stat_commitlog() FROM PUBLIC;
REVOKE ALL ON FUNCTION m3db.stat_engine() FROM PUBLIC;
REVOKE ALL ON FUNCTION m3db.rotate_commitlog() FROM PUBLIC;
REVOKE ALL ON FUNCTION m3db.flush_commitlog() FROM PUBLIC;

GRANT EXECUTE ON FUNCTION m3db.namespaces() TO pg_monitor;
GRANT EXECUTE ON FUNCTION m3db.stat_commitlog() TO pg_monitor;
GRANT EXECUTE ON FUNCTION m3db.stat_engine() TO pg_monitor;

GRANT SELECT ON m3db.stat_bootstrap TO PUBLIC;
GRANT SELECT ON m3db.namespaces TO pg_monitor;
GRANT SELECT ON m3db.stat_commitlog TO pg_monitor;
GRANT SELECT ON m3db.stat_engine TO pg_monitor;
