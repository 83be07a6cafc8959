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
    OUT bytes pg_catalog.int8,
    OUT files pg_catalog.int8,
    OUT file_bytes pg_catalog.int8,
    OUT file_series pg_catalog.int8)
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
    OUT worker_pid pg_catalog.int4,
    OUT space_waiters pg_catalog.int4,
    OUT cleanup_holds pg_catalog.int4,
    OUT cache_entries pg_catalog.int8,
    OUT cache_bytes pg_catalog.int8,
    OUT cache_hits pg_catalog.int8,
    OUT cache_misses pg_catalog.int8,
    OUT cache_inserted pg_catalog.int8,
    OUT cache_evicted pg_catalog.int8)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'm3db_stat_engine'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 1;
COMMENT ON FUNCTION m3db.stat_engine() IS 'shared memory of the engine, for all databases';

CREATE FUNCTION m3db.stat_jobs(
    OUT datid pg_catalog.oid,
    OUT job pg_catalog.text,
    OUT runs pg_catalog.int8,
    OUT failures pg_catalog.int8,
    OUT last_start pg_catalog.timestamptz,
    OUT last_duration pg_catalog.float8,
    OUT last_failure pg_catalog.timestamptz,
    OUT last_error pg_catalog.text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'm3db_stat_jobs'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 25;
COMMENT ON FUNCTION m3db.stat_jobs() IS 'jobs of the background worker, for each database';

CREATE FUNCTION m3db.stat_progress(
    OUT datid pg_catalog.oid,
    OUT job pg_catalog.text,
    OUT subject pg_catalog.text,
    OUT done pg_catalog.int8,
    OUT total pg_catalog.int8,
    OUT bytes pg_catalog.int8,
    OUT started pg_catalog.timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'm3db_stat_progress'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 1;
COMMENT ON FUNCTION m3db.stat_progress() IS 'what the background worker is at';

CREATE FUNCTION m3db.blocks(
    OUT namespace pg_catalog.text,
    OUT shard pg_catalog.int4,
    OUT block_start pg_catalog.timestamptz,
    OUT block_end pg_catalog.timestamptz,
    OUT buffered_series pg_catalog.int8,
    OUT buffered_points pg_catalog.int8,
    OUT buffered_bytes pg_catalog.int8,
    OUT volume pg_catalog.int8,
    OUT file_series pg_catalog.int8,
    OUT data_bytes pg_catalog.int8,
    OUT index_bytes pg_catalog.int8)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'm3db_blocks'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 1000;
COMMENT ON FUNCTION m3db.blocks() IS 'blocks of this database, in buffers and in files';

CREATE FUNCTION m3db.series(
    only_namespace pg_catalog.text DEFAULT NULL,
    OUT namespace pg_catalog.text,
    OUT id pg_catalog.text,
    OUT tags pg_catalog.jsonb,
    OUT shard pg_catalog.int4,
    OUT buffered_blocks pg_catalog.int8,
    OUT buffered_points pg_catalog.int8,
    OUT buffered_bytes pg_catalog.int8,
    OUT first_block pg_catalog.timestamptz,
    OUT last_block pg_catalog.timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'm3db_series'
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 10000;
COMMENT ON FUNCTION m3db.series(pg_catalog.text)
IS 'series of this database, or of one namespace';

CREATE FUNCTION m3db.orphans(
    OUT path pg_catalog.text,
    OUT reason pg_catalog.text,
    OUT files pg_catalog.int8,
    OUT bytes pg_catalog.int8)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'm3db_orphans'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 10;
COMMENT ON FUNCTION m3db.orphans() IS 'files of this database that belong to no namespace';

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

CREATE FUNCTION m3db.flush(
    OUT filesets pg_catalog.int8,
    OUT series pg_catalog.int8,
    OUT points pg_catalog.int8,
    OUT bytes pg_catalog.int8,
    OUT held pg_catalog.int8)
RETURNS record
AS 'MODULE_PATHNAME', 'm3db_flush'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION m3db.flush() IS 'write the buffers of this database to filesets';

CREATE FUNCTION m3db.flush(
    relation pg_catalog.regclass,
    OUT filesets pg_catalog.int8,
    OUT series pg_catalog.int8,
    OUT points pg_catalog.int8,
    OUT bytes pg_catalog.int8,
    OUT held pg_catalog.int8)
RETURNS record
AS 'MODULE_PATHNAME', 'm3db_flush_table'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION m3db.flush(pg_catalog.regclass)
IS 'write the buffers of a foreign table''s namespace to filesets';

CREATE FUNCTION m3db.snapshot(
    OUT filesets pg_catalog.int8,
    OUT series pg_catalog.int8,
    OUT bytes pg_catalog.int8,
    OUT log_index pg_catalog.int8)
RETURNS record
AS 'MODULE_PATHNAME', 'm3db_snapshot'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION m3db.snapshot()
IS 'write a snapshot of the buffers, so that earlier commit logs are not needed any more';

CREATE FUNCTION m3db.tick(
    OUT series pg_catalog.int8,
    OUT merged_blocks pg_catalog.int8,
    OUT expired_blocks pg_catalog.int8,
    OUT purged_series pg_catalog.int8,
    OUT freed_bytes pg_catalog.int8)
RETURNS record
AS 'MODULE_PATHNAME', 'm3db_tick'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION m3db.tick() IS 'merge buffers and forget what has left retention';

CREATE FUNCTION m3db.cleanup(
    OUT filesets pg_catalog.int8,
    OUT snapshots pg_catalog.int8,
    OUT metadata pg_catalog.int8,
    OUT logs pg_catalog.int8,
    OUT bytes pg_catalog.int8)
RETURNS record
AS 'MODULE_PATHNAME', 'm3db_cleanup'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION m3db.cleanup() IS 'remove files that are not needed any more';

CREATE FUNCTION m3db.hold_cleanup()
RETURNS void
AS 'MODULE_PATHNAME', 'm3db_hold_cleanup'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION m3db.hold_cleanup()
IS 'keep files from being removed until m3db.release_cleanup() or the end of the session';

CREATE FUNCTION m3db.release_cleanup()
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'm3db_release_cleanup'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION m3db.release_cleanup()
IS 'end what m3db.hold_cleanup() began; false if it did not';

CREATE FUNCTION m3db.drop_orphan(name pg_catalog.text)
RETURNS pg_catalog.int8
AS 'MODULE_PATHNAME', 'm3db_drop_orphan'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION m3db.drop_orphan(pg_catalog.text)
IS 'remove the files of a name that is no namespace; returns how many';

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
           OPERATOR(pg_catalog./) NULLIF(n.points, 0)::pg_catalog.float8 AS bytes_per_point,
       n.files, n.file_bytes, n.file_series
  FROM m3db.namespaces() n;
COMMENT ON VIEW m3db.namespaces
IS 'namespaces of this database: options, what is in buffers, what is in files';

CREATE VIEW m3db.stat_commitlog AS SELECT * FROM m3db.stat_commitlog();
COMMENT ON VIEW m3db.stat_commitlog
IS 'activity of the commit log of this database since the server started; sync_time in milliseconds';

CREATE VIEW m3db.stat_engine AS SELECT * FROM m3db.stat_engine();
COMMENT ON VIEW m3db.stat_engine IS 'shared memory of the engine, for all databases';

CREATE VIEW m3db.stat_jobs AS
SELECT j.datid, d.datname, j.job, j.runs, j.failures, j.last_start, j.last_duration,
       j.last_failure, j.last_error
  FROM m3db.stat_jobs() j
  LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) j.datid;
COMMENT ON VIEW m3db.stat_jobs
IS 'jobs of the background worker since the server started; last_duration in milliseconds';

CREATE VIEW m3db.stat_progress AS
SELECT p.datid, d.datname, p.job, p.subject, p.done, p.total, p.bytes, p.started
  FROM m3db.stat_progress() p
  LEFT JOIN pg_catalog.pg_database d ON d.oid OPERATOR(pg_catalog.=) p.datid;
COMMENT ON VIEW m3db.stat_progress IS 'what the background worker is at';

CREATE VIEW m3db.blocks AS SELECT * FROM m3db.blocks();
COMMENT ON VIEW m3db.blocks
IS 'blocks of this database by namespace, shard and time: what is in buffers, what is in files';

CREATE VIEW m3db.filesets AS
SELECT b.namespace, b.shard, b.block_start, b.block_end, b.volume,
       b.file_series AS series, b.data_bytes, b.index_bytes
  FROM m3db.blocks() b
 WHERE b.volume IS NOT NULL;
COMMENT ON VIEW m3db.filesets IS 'filesets in use, of this database';

CREATE VIEW m3db.stat_shards AS
SELECT b.namespace, b.shard,
       pg_catalog.count(*) FILTER (WHERE b.buffered_series OPERATOR(pg_catalog.>) 0)
           AS buffered_blocks,
       pg_catalog.sum(b.buffered_points)::pg_catalog.int8 AS buffered_points,
       pg_catalog.sum(b.buffered_bytes)::pg_catalog.int8 AS buffered_bytes,
       pg_catalog.count(b.volume) AS filesets,
       COALESCE(pg_catalog.sum(b.data_bytes OPERATOR(pg_catalog.+) b.index_bytes), 0)
           ::pg_catalog.int8 AS file_bytes,
       pg_catalog.min(b.block_start) AS first_block,
       pg_catalog.max(b.block_start) AS last_block
  FROM m3db.blocks() b
 GROUP BY b.namespace, b.shard;
COMMENT ON VIEW m3db.stat_shards IS 'blocks of this database, added up by namespace and shard';

CREATE VIEW m3db.series AS SELECT * FROM m3db.series();
COMMENT ON VIEW m3db.series IS 'series of this database, with their tags';

CREATE VIEW m3db.orphans AS SELECT * FROM m3db.orphans();
COMMENT ON VIEW m3db.orphans
IS 'files of this database that belong to no namespace, or cannot be used';

-- Time-series functions: they work on any table

CREATE FUNCTION m3db.time_bucket(
    bucket_width pg_catalog.interval,
    ts pg_catalog.timestamptz)
RETURNS pg_catalog.timestamptz
AS 'MODULE_PATHNAME', 'm3db_time_bucket_timestamp'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION m3db.time_bucket(pg_catalog.interval, pg_catalog.timestamptz)
IS 'start of the bucket that a time lies in, in UTC';

CREATE FUNCTION m3db.time_bucket(
    bucket_width pg_catalog.interval,
    ts pg_catalog.timestamptz,
    origin pg_catalog.timestamptz)
RETURNS pg_catalog.timestamptz
AS 'MODULE_PATHNAME', 'm3db_time_bucket_timestamp'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION m3db.time_bucket(
    pg_catalog.interval, pg_catalog.timestamptz, pg_catalog.timestamptz)
IS 'start of the bucket that a time lies in, in UTC; one of them begins at origin';

CREATE FUNCTION m3db.time_bucket(
    bucket_width pg_catalog.interval,
    ts pg_catalog.timestamptz,
    "offset" pg_catalog.interval)
RETURNS pg_catalog.timestamptz
AS 'MODULE_PATHNAME', 'm3db_time_bucket_timestamp_offset'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION m3db.time_bucket(
    pg_catalog.interval, pg_catalog.timestamptz, pg_catalog.interval)
IS 'start of the bucket that a time lies in, in UTC; all of them moved by offset';

CREATE FUNCTION m3db.time_bucket(
    bucket_width pg_catalog.interval,
    ts pg_catalog.timestamp)
RETURNS pg_catalog.timestamp
AS 'MODULE_PATHNAME', 'm3db_time_bucket_timestamp'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION m3db.time_bucket(pg_catalog.interval, pg_catalog.timestamp)
IS 'start of the bucket that a time lies in';

CREATE FUNCTION m3db.time_bucket(
    bucket_width pg_catalog.interval,
    ts pg_catalog.timestamp,
    origin pg_catalog.timestamp)
RETURNS pg_catalog.timestamp
AS 'MODULE_PATHNAME', 'm3db_time_bucket_timestamp'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION m3db.time_bucket(
    pg_catalog.interval, pg_catalog.timestamp, pg_catalog.timestamp)
IS 'start of the bucket that a time lies in; one of them begins at origin';

CREATE FUNCTION m3db.time_bucket(
    bucket_width pg_catalog.interval,
    ts pg_catalog.timestamp,
    "offset" pg_catalog.interval)
RETURNS pg_catalog.timestamp
AS 'MODULE_PATHNAME', 'm3db_time_bucket_timestamp_offset'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION m3db.time_bucket(
    pg_catalog.interval, pg_catalog.timestamp, pg_catalog.interval)
IS 'start of the bucket that a time lies in; all of them moved by offset';

CREATE FUNCTION m3db.time_bucket(
    bucket_width pg_catalog.interval,
    ts pg_catalog.timestamptz,
    timezone pg_catalog.text,
    origin pg_catalog.timestamptz DEFAULT NULL,
    "offset" pg_catalog.interval DEFAULT NULL)
RETURNS pg_catalog.timestamptz
AS 'MODULE_PATHNAME', 'm3db_time_bucket_zone'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION m3db.time_bucket(
    pg_catalog.interval, pg_catalog.timestamptz, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.interval)
IS 'start of the bucket that a time lies in, by the clocks of a time zone';

CREATE FUNCTION m3db.time_bucket(
    bucket_width pg_catalog.interval,
    ts pg_catalog.date)
RETURNS pg_catalog.date
AS 'MODULE_PATHNAME', 'm3db_time_bucket_date'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION m3db.time_bucket(pg_catalog.interval, pg_catalog.date)
IS 'start of the bucket that a date lies in';

CREATE FUNCTION m3db.time_bucket(
    bucket_width pg_catalog.interval,
    ts pg_catalog.date,
    origin pg_catalog.date)
RETURNS pg_catalog.date
AS 'MODULE_PATHNAME', 'm3db_time_bucket_date'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION m3db.time_bucket(pg_catalog.interval, pg_catalog.date, pg_catalog.date)
IS 'start of the bucket that a date lies in; one of them begins at origin';

CREATE FUNCTION m3db.time_bucket(
    bucket_width pg_catalog.interval,
    ts pg_catalog.date,
    "offset" pg_catalog.interval)
RETURNS pg_catalog.date
AS 'MODULE_PATHNAME', 'm3db_time_bucket_date_offset'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION m3db.time_bucket(pg_catalog.interval, pg_catalog.date, pg_catalog.interval)
IS 'start of the bucket that a date lies in; all of them moved by offset';

CREATE FUNCTION m3db.time_bucket(
    bucket_width pg_catalog.int2,
    ts pg_catalog.int2)
RETURNS pg_catalog.int2
AS 'MODULE_PATHNAME', 'm3db_time_bucket_int2'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION m3db.time_bucket(pg_catalog.int2, pg_catalog.int2)
IS 'start of the bucket that a number lies in';

CREATE FUNCTION m3db.time_bucket(
    bucket_width pg_catalog.int2,
    ts pg_catalog.int2,
    "offset" pg_catalog.int2)
RETURNS pg_catalog.int2
AS 'MODULE_PATHNAME', 'm3db_time_bucket_int2'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION m3db.time_bucket(pg_catalog.int2, pg_catalog.int2, pg_catalog.int2)
IS 'start of the bucket that a number lies in; all of them moved by offset';

CREATE FUNCTION m3db.time_bucket(
    bucket_width pg_catalog.int4,
    ts pg_catalog.int4)
RETURNS pg_catalog.int4
AS 'MODULE_PATHNAME', 'm3db_time_bucket_int4'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION m3db.time_bucket(pg_catalog.int4, pg_catalog.int4)
IS 'start of the bucket that a number lies in';

CREATE FUNCTION m3db.time_bucket(
    bucket_width pg_catalog.int4,
    ts pg_catalog.int4,
    "offset" pg_catalog.int4)
RETURNS pg_catalog.int4
AS 'MODULE_PATHNAME', 'm3db_time_bucket_int4'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION m3db.time_bucket(pg_catalog.int4, pg_catalog.int4, pg_catalog.int4)
IS 'start of the bucket that a number lies in; all of them moved by offset';

CREATE FUNCTION m3db.time_bucket(
    bucket_width pg_catalog.int8,
    ts pg_catalog.int8)
RETURNS pg_catalog.int8
AS 'MODULE_PATHNAME', 'm3db_time_bucket_int8'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION m3db.time_bucket(pg_catalog.int8, pg_catalog.int8)
IS 'start of the bucket that a number lies in';

CREATE FUNCTION m3db.time_bucket(
    bucket_width pg_catalog.int8,
    ts pg_catalog.int8,
    "offset" pg_catalog.int8)
RETURNS pg_catalog.int8
AS 'MODULE_PATHNAME', 'm3db_time_bucket_int8'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION m3db.time_bucket(pg_catalog.int8, pg_catalog.int8, pg_catalog.int8)
IS 'start of the bucket that a number lies in; all of them moved by offset';

CREATE FUNCTION m3db.time_buckets(
    bucket_width pg_catalog.interval,
    start pg_catalog.timestamptz,
    finish pg_catalog.timestamptz)
RETURNS SETOF pg_catalog.timestamptz
AS 'MODULE_PATHNAME', 'm3db_time_buckets'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 1000;
COMMENT ON FUNCTION m3db.time_buckets(
    pg_catalog.interval, pg_catalog.timestamptz, pg_catalog.timestamptz)
IS 'starts of the buckets of [start, finish), in UTC';

CREATE FUNCTION m3db.time_buckets(
    bucket_width pg_catalog.interval,
    start pg_catalog.timestamptz,
    finish pg_catalog.timestamptz,
    timezone pg_catalog.text,
    origin pg_catalog.timestamptz DEFAULT NULL,
    "offset" pg_catalog.interval DEFAULT NULL)
RETURNS SETOF pg_catalog.timestamptz
AS 'MODULE_PATHNAME', 'm3db_time_buckets'
LANGUAGE C IMMUTABLE PARALLEL SAFE ROWS 1000;
COMMENT ON FUNCTION m3db.time_buckets(
    pg_catalog.interval, pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.interval)
IS 'starts of the buckets of [start, finish), by the clocks of a time zone';

CREATE FUNCTION m3db.locf(
    value pg_catalog.anyelement)
RETURNS pg_catalog.anyelement
AS 'MODULE_PATHNAME', 'm3db_locf'
LANGUAGE C WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION m3db.locf(pg_catalog.anyelement)
IS 'last observation carried forward: the value, or the last one before that is not NULL';

CREATE FUNCTION m3db.interpolate(
    value pg_catalog.float8,
    ts pg_catalog.timestamptz)
RETURNS pg_catalog.float8
AS 'MODULE_PATHNAME', 'm3db_interpolate'
LANGUAGE C WINDOW IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION m3db.interpolate(pg_catalog.float8, pg_catalog.timestamptz)
IS 'the value, or one on the line between those before and after that are not NULL';

-- Aggregates, and the functions they are made of

CREATE FUNCTION m3db.first_trans(pg_catalog.internal, pg_catalog.anyelement, pg_catalog."any")
RETURNS pg_catalog.internal
AS 'MODULE_PATHNAME', 'm3db_first_trans'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION m3db.first_trans(
    pg_catalog.internal, pg_catalog.anyelement, pg_catalog."any")
IS 'part of aggregate first';

CREATE FUNCTION m3db.first_combine(pg_catalog.internal, pg_catalog.internal)
RETURNS pg_catalog.internal
AS 'MODULE_PATHNAME', 'm3db_first_combine'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION m3db.first_combine(pg_catalog.internal, pg_catalog.internal)
IS 'part of aggregate first';

CREATE FUNCTION m3db.last_trans(pg_catalog.internal, pg_catalog.anyelement, pg_catalog."any")
RETURNS pg_catalog.internal
AS 'MODULE_PATHNAME', 'm3db_last_trans'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION m3db.last_trans(
    pg_catalog.internal, pg_catalog.anyelement, pg_catalog."any")
IS 'part of aggregate last';

CREATE FUNCTION m3db.last_combine(pg_catalog.internal, pg_catalog.internal)
RETURNS pg_catalog.internal
AS 'MODULE_PATHNAME', 'm3db_last_combine'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION m3db.last_combine(pg_catalog.internal, pg_catalog.internal)
IS 'part of aggregate last';

CREATE FUNCTION m3db.first_last_serialize(pg_catalog.internal)
RETURNS pg_catalog.bytea
AS 'MODULE_PATHNAME', 'm3db_first_last_serialize'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION m3db.first_last_serialize(pg_catalog.internal)
IS 'part of aggregates first and last';

CREATE FUNCTION m3db.first_last_deserialize(pg_catalog.bytea, pg_catalog.internal)
RETURNS pg_catalog.internal
AS 'MODULE_PATHNAME', 'm3db_first_last_deserialize'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION m3db.first_last_deserialize(pg_catalog.bytea, pg_catalog.internal)
IS 'part of aggregates first and last';

CREATE FUNCTION m3db.first_last_final(
    pg_catalog.internal, pg_catalog.anyelement, pg_catalog."any")
RETURNS pg_catalog.anyelement
AS 'MODULE_PATHNAME', 'm3db_first_last_final'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION m3db.first_last_final(
    pg_catalog.internal, pg_catalog.anyelement, pg_catalog."any")
IS 'part of aggregates first and last';

CREATE AGGREGATE m3db.first(value pg_catalog.anyelement, ts pg_catalog."any") (
    SFUNC = m3db.first_trans,
    STYPE = pg_catalog.internal,
    FINALFUNC = m3db.first_last_final,
    FINALFUNC_EXTRA,
    COMBINEFUNC = m3db.first_combine,
    SERIALFUNC = m3db.first_last_serialize,
    DESERIALFUNC = m3db.first_last_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE m3db.first(pg_catalog.anyelement, pg_catalog."any")
IS 'value at the least time; rows without a time do not count';

CREATE AGGREGATE m3db.last(value pg_catalog.anyelement, ts pg_catalog."any") (
    SFUNC = m3db.last_trans,
    STYPE = pg_catalog.internal,
    FINALFUNC = m3db.first_last_final,
    FINALFUNC_EXTRA,
    COMBINEFUNC = m3db.last_combine,
    SERIALFUNC = m3db.first_last_serialize,
    DESERIALFUNC = m3db.first_last_deserialize,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE m3db.last(pg_catalog.anyelement, pg_catalog."any")
IS 'value at the greatest time; rows without a time do not count';

CREATE FUNCTION m3db.samples_trans(
    pg_catalog.internal, pg_catalog.timestamptz, pg_catalog.float8)
RETURNS pg_catalog.internal
AS 'MODULE_PATHNAME', 'm3db_samples_trans'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION m3db.samples_trans(
    pg_catalog.internal, pg_catalog.timestamptz, pg_catalog.float8)
IS 'part of aggregates increase, delta and rate';

CREATE FUNCTION m3db.samples_inverse(
    pg_catalog.internal, pg_catalog.timestamptz, pg_catalog.float8)
RETURNS pg_catalog.internal
AS 'MODULE_PATHNAME', 'm3db_samples_inverse'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION m3db.samples_inverse(
    pg_catalog.internal, pg_catalog.timestamptz, pg_catalog.float8)
IS 'part of aggregates increase, delta and rate';

CREATE FUNCTION m3db.samples_combine(pg_catalog.internal, pg_catalog.internal)
RETURNS pg_catalog.internal
AS 'MODULE_PATHNAME', 'm3db_samples_combine'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION m3db.samples_combine(pg_catalog.internal, pg_catalog.internal)
IS 'part of aggregates increase, delta and rate';

CREATE FUNCTION m3db.samples_serialize(pg_catalog.internal)
RETURNS pg_catalog.bytea
AS 'MODULE_PATHNAME', 'm3db_samples_serialize'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION m3db.samples_serialize(pg_catalog.internal)
IS 'part of aggregates increase, delta and rate';

CREATE FUNCTION m3db.samples_deserialize(pg_catalog.bytea, pg_catalog.internal)
RETURNS pg_catalog.internal
AS 'MODULE_PATHNAME', 'm3db_samples_deserialize'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION m3db.samples_deserialize(pg_catalog.bytea, pg_catalog.internal)
IS 'part of aggregates increase, delta and rate';

CREATE FUNCTION m3db.increase_final(pg_catalog.internal)
RETURNS pg_catalog.float8
AS 'MODULE_PATHNAME', 'm3db_increase_final'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION m3db.increase_final(pg_catalog.internal)
IS 'part of aggregate increase';

CREATE AGGREGATE m3db.increase(ts pg_catalog.timestamptz, value pg_catalog.float8) (
    SFUNC = m3db.samples_trans,
    STYPE = pg_catalog.internal,
    FINALFUNC = m3db.increase_final,
    COMBINEFUNC = m3db.samples_combine,
    SERIALFUNC = m3db.samples_serialize,
    DESERIALFUNC = m3db.samples_deserialize,
    MSFUNC = m3db.samples_trans,
    MINVFUNC = m3db.samples_inverse,
    MSTYPE = pg_catalog.internal,
    MFINALFUNC = m3db.increase_final,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE m3db.increase(pg_catalog.timestamptz, pg_catalog.float8)
IS 'how much a counter grew from the first sample to the last; a fall is a new start at zero';

CREATE FUNCTION m3db.delta_final(pg_catalog.internal)
RETURNS pg_catalog.float8
AS 'MODULE_PATHNAME', 'm3db_delta_final'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION m3db.delta_final(pg_catalog.internal)
IS 'part of aggregate delta';

CREATE AGGREGATE m3db.delta(ts pg_catalog.timestamptz, value pg_catalog.float8) (
    SFUNC = m3db.samples_trans,
    STYPE = pg_catalog.internal,
    FINALFUNC = m3db.delta_final,
    COMBINEFUNC = m3db.samples_combine,
    SERIALFUNC = m3db.samples_serialize,
    DESERIALFUNC = m3db.samples_deserialize,
    MSFUNC = m3db.samples_trans,
    MINVFUNC = m3db.samples_inverse,
    MSTYPE = pg_catalog.internal,
    MFINALFUNC = m3db.delta_final,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE m3db.delta(pg_catalog.timestamptz, pg_catalog.float8)
IS 'last sample less first';

CREATE FUNCTION m3db.rate_final(pg_catalog.internal)
RETURNS pg_catalog.float8
AS 'MODULE_PATHNAME', 'm3db_rate_final'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION m3db.rate_final(pg_catalog.internal)
IS 'part of aggregate rate';

CREATE AGGREGATE m3db.rate(ts pg_catalog.timestamptz, value pg_catalog.float8) (
    SFUNC = m3db.samples_trans,
    STYPE = pg_catalog.internal,
    FINALFUNC = m3db.rate_final,
    COMBINEFUNC = m3db.samples_combine,
    SERIALFUNC = m3db.samples_serialize,
    DESERIALFUNC = m3db.samples_deserialize,
    MSFUNC = m3db.samples_trans,
    MINVFUNC = m3db.samples_inverse,
    MSTYPE = pg_catalog.internal,
    MFINALFUNC = m3db.rate_final,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE m3db.rate(pg_catalog.timestamptz, pg_catalog.float8)
IS 'increase per second between the first sample and the last';

CREATE FUNCTION m3db.histogram_trans(
    pg_catalog.int8[], pg_catalog.float8, pg_catalog.float8, pg_catalog.float8, pg_catalog.int4)
RETURNS pg_catalog.int8[]
AS 'MODULE_PATHNAME', 'm3db_histogram_trans'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION m3db.histogram_trans(
    pg_catalog.int8[], pg_catalog.float8, pg_catalog.float8, pg_catalog.float8, pg_catalog.int4)
IS 'part of aggregate histogram';

CREATE FUNCTION m3db.histogram_combine(pg_catalog.int8[], pg_catalog.int8[])
RETURNS pg_catalog.int8[]
AS 'MODULE_PATHNAME', 'm3db_histogram_combine'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION m3db.histogram_combine(pg_catalog.int8[], pg_catalog.int8[])
IS 'part of aggregate histogram';

CREATE AGGREGATE m3db.histogram(
    value pg_catalog.float8, min pg_catalog.float8, max pg_catalog.float8, nbuckets pg_catalog.int4) (
    SFUNC = m3db.histogram_trans,
    STYPE = pg_catalog.int8[],
    COMBINEFUNC = m3db.histogram_combine,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE m3db.histogram(
    pg_catalog.float8, pg_catalog.float8, pg_catalog.float8, pg_catalog.int4)
IS 'how many values lie below min, in each of nbuckets equal parts of [min, max), and above';

-- Privileges: figures are for pg_monitor, tags for who may read all data.  Flushing costs what a
-- checkpoint does, and is for who may ask for one; m3db.flush(regclass) is for the table's owner.

REVOKE ALL ON FUNCTION m3db.namespaces() FROM PUBLIC;
REVOKE ALL ON FUNCTION m3db.stat_commitlog() FROM PUBLIC;
REVOKE ALL ON FUNCTION m3db.stat_engine() FROM PUBLIC;
REVOKE ALL ON FUNCTION m3db.stat_jobs() FROM PUBLIC;
REVOKE ALL ON FUNCTION m3db.stat_progress() FROM PUBLIC;
REVOKE ALL ON FUNCTION m3db.blocks() FROM PUBLIC;
REVOKE ALL ON FUNCTION m3db.series(pg_catalog.text) FROM PUBLIC;
REVOKE ALL ON FUNCTION m3db.orphans() FROM PUBLIC;
REVOKE ALL ON FUNCTION m3db.rotate_commitlog() FROM PUBLIC;
REVOKE ALL ON FUNCTION m3db.flush_commitlog() FROM PUBLIC;
REVOKE ALL ON FUNCTION m3db.flush() FROM PUBLIC;
REVOKE ALL ON FUNCTION m3db.snapshot() FROM PUBLIC;
REVOKE ALL ON FUNCTION m3db.tick() FROM PUBLIC;
REVOKE ALL ON FUNCTION m3db.cleanup() FROM PUBLIC;
REVOKE ALL ON FUNCTION m3db.hold_cleanup() FROM PUBLIC;
REVOKE ALL ON FUNCTION m3db.release_cleanup() FROM PUBLIC;
REVOKE ALL ON FUNCTION m3db.drop_orphan(pg_catalog.text) FROM PUBLIC;

GRANT EXECUTE ON FUNCTION m3db.namespaces() TO pg_monitor;
GRANT EXECUTE ON FUNCTION m3db.stat_commitlog() TO pg_monitor;
GRANT EXECUTE ON FUNCTION m3db.stat_engine() TO pg_monitor;
GRANT EXECUTE ON FUNCTION m3db.stat_jobs() TO pg_monitor;
GRANT EXECUTE ON FUNCTION m3db.stat_progress() TO pg_monitor;
GRANT EXECUTE ON FUNCTION m3db.blocks() TO pg_monitor;
GRANT EXECUTE ON FUNCTION m3db.orphans() TO pg_monitor;
GRANT EXECUTE ON FUNCTION m3db.series(pg_catalog.text) TO pg_read_all_data;

GRANT SELECT ON m3db.stat_bootstrap TO PUBLIC;
GRANT SELECT ON m3db.namespaces TO pg_monitor;
GRANT SELECT ON m3db.stat_commitlog TO pg_monitor;
GRANT SELECT ON m3db.stat_engine TO pg_monitor;
GRANT SELECT ON m3db.stat_jobs TO pg_monitor;
GRANT SELECT ON m3db.stat_progress TO pg_monitor;
GRANT SELECT ON m3db.blocks TO pg_monitor;
GRANT SELECT ON m3db.filesets TO pg_monitor;
GRANT SELECT ON m3db.stat_shards TO pg_monitor;
GRANT SELECT ON m3db.orphans TO pg_monitor;
GRANT SELECT ON m3db.series TO pg_read_all_data;

-- Which table maps which namespace, and data that nothing maps

CREATE FUNCTION m3db.tables(
    OUT relid pg_catalog.regclass,
    OUT namespace pg_catalog.text,
    OUT is_default pg_catalog.bool)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'm3db_tables'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 20;
COMMENT ON FUNCTION m3db.tables()
IS 'foreign tables of this database and the namespaces they map, by option or by default';

CREATE FUNCTION m3db.drop_namespace(name pg_catalog.text)
RETURNS void
AS 'MODULE_PATHNAME', 'm3db_drop_namespace'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION m3db.drop_namespace(pg_catalog.text)
IS 'remove the data of a namespace that no foreign table maps, when the transaction commits';

CREATE FUNCTION m3db.root_directories(
    OUT datid pg_catalog.oid,
    OUT directory pg_catalog.text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'm3db_root_directories'
LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED ROWS 5;
COMMENT ON FUNCTION m3db.root_directories() IS 'directories of M3DB data, each of the database whose OID it has as name';

CREATE FUNCTION m3db.drop_orphan_root(datid pg_catalog.oid)
RETURNS void
AS 'MODULE_PATHNAME', 'm3db_drop_orphan_root'
LANGUAGE C STRICT VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION m3db.drop_orphan_root(pg_catalog.oid)
IS 'remove all data of a database that does not exist, at once';

CREATE VIEW m3db.tables AS SELECT * FROM m3db.tables();
COMMENT ON VIEW m3db.tables IS 'foreign tables of this database and the namespaces they map';

CREATE VIEW m3db.unmapped_namespaces AS
SELECT n.*
  FROM m3db.namespaces n
 WHERE NOT EXISTS (SELECT FROM m3db.tables t
                    WHERE t.namespace OPERATOR(pg_catalog.=) n.name);
COMMENT ON VIEW m3db.unmapped_namespaces IS 'namespaces that no foreign table maps';

CREATE VIEW m3db.orphan_roots AS
SELECT r.datid, r.directory
  FROM m3db.root_directories() r
 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_database d
                    WHERE d.oid OPERATOR(pg_catalog.=) r.datid);
COMMENT ON VIEW m3db.orphan_roots
IS 'OIDs of databases that do not exist, but have data; see m3db.drop_orphan_root()';

REVOKE ALL ON FUNCTION m3db.drop_namespace(pg_catalog.text) FROM PUBLIC;
REVOKE ALL ON FUNCTION m3db.root_directories() FROM PUBLIC;
REVOKE ALL ON FUNCTION m3db.drop_orphan_root(pg_catalog.oid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION m3db.root_directories() TO pg_monitor;
GRANT SELECT ON m3db.tables TO PUBLIC;
GRANT SELECT ON m3db.unmapped_namespaces TO pg_monitor;
GRANT SELECT ON m3db.orphan_roots TO pg_monitor;

-- PostgreSQL 14 has no such role.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles
                WHERE rolname OPERATOR(pg_catalog.=) 'pg_checkpoint') THEN
        GRANT EXECUTE ON FUNCTION m3db.flush() TO pg_checkpoint;
        GRANT EXECUTE ON FUNCTION m3db.snapshot() TO pg_checkpoint;
        GRANT EXECUTE ON FUNCTION m3db.tick() TO pg_checkpoint;
        GRANT EXECUTE ON FUNCTION m3db.cleanup() TO pg_checkpoint;
    END IF;
END
$$;

-- Files for an M3DB

CREATE FUNCTION m3db.export(
    tbl pg_catalog.regclass,
    directory pg_catalog.text,
    "from" pg_catalog.timestamptz DEFAULT '-infinity',
    "to" pg_catalog.timestamptz DEFAULT 'infinity',
    shards pg_catalog.int4 DEFAULT NULL,
    hash_seed pg_catalog.int4 DEFAULT NULL,
    namespace pg_catalog.text DEFAULT NULL,
    block_size pg_catalog.interval DEFAULT NULL,
    OUT filesets pg_catalog.int8,
    OUT series pg_catalog.int8,
    OUT points pg_catalog.int8,
    OUT bytes pg_catalog.int8)
RETURNS record
AS 'MODULE_PATHNAME', 'm3db_export'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION m3db.export(
    pg_catalog.regclass, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.timestamptz,
    pg_catalog.int4, pg_catalog.int4, pg_catalog.text, pg_catalog.interval)
IS 'write a table''s namespace to a directory on the server that an M3DB can bootstrap from';

REVOKE ALL ON FUNCTION m3db.export(
    pg_catalog.regclass, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.timestamptz,
    pg_catalog.int4, pg_catalog.int4, pg_catalog.text, pg_catalog.interval)
FROM PUBLIC;
GRANT EXECUTE ON FUNCTION m3db.export(
    pg_catalog.regclass, pg_catalog.text, pg_catalog.timestamptz, pg_catalog.timestamptz,
    pg_catalog.int4, pg_catalog.int4, pg_catalog.text, pg_catalog.interval)
TO pg_write_server_files;
