-- What the background worker does on request, and what can be seen of it.  It may do the same by
-- itself at any moment, so what matters is what holds afterwards.

SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';

CREATE SERVER m3_maintenance FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE maintenance (ts timestamptz NOT NULL, host text, usage float8)
  SERVER m3_maintenance OPTIONS (namespace 'maintenance', block_size '1 day');
CREATE FOREIGN TABLE maintenance_other (ts timestamptz NOT NULL, host text, usage float8)
  SERVER m3_maintenance OPTIONS (namespace 'maintenance_other', block_size '1 day', flush_enabled 'false');

INSERT INTO maintenance
SELECT timestamptz '2026-01-01 00:00+00' + i * interval '1 hour', 'h' || i % 3, i
  FROM generate_series(0, 71) i;
INSERT INTO maintenance_other VALUES ('2026-01-01 00:00+00', 'o', 1);

-- flush: from buffers to files, and nobody sees a difference
SELECT count(*), sum(usage) FROM maintenance;
SELECT held FROM m3db.flush('maintenance');
SELECT series, points, files > 0 AS files, file_bytes > 0 AS bytes, file_series
  FROM m3db.namespaces WHERE name = 'maintenance';
SELECT count(*), sum(usage) FROM maintenance;
SELECT block_start, block_end, sum(series) AS series, min(volume) AS volume
  FROM m3db.filesets WHERE namespace = 'maintenance' GROUP BY 1, 2 ORDER BY 1;
SELECT sum(buffered_points) AS buffered, sum(filesets) > 0 AS filesets,
       min(first_block) AS first, max(last_block) AS last
  FROM m3db.stat_shards WHERE namespace = 'maintenance';
SELECT filesets, series, points, bytes, held FROM m3db.flush('maintenance');

-- a point that replaces one on disk, and one beside it
INSERT INTO maintenance VALUES ('2026-01-02 00:00+00', 'h0', -1), ('2026-01-02 00:30+00', 'h0', -2);
SELECT count(*), sum(usage) FROM maintenance;
SELECT held FROM m3db.flush('maintenance');
SELECT count(*), sum(usage) FROM maintenance;
SELECT block_start, max(volume) AS volume
  FROM m3db.filesets WHERE namespace = 'maintenance' GROUP BY 1 ORDER BY 1;

-- what is not committed is not there for a flush
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM maintenance;
INSERT INTO maintenance VALUES ('2026-01-05 00:00+00', 'h0', 1);
SELECT held FROM m3db.flush('maintenance');
SELECT count(*) FROM maintenance;
COMMIT;
SELECT count(*) FROM maintenance;

-- all namespaces but those that are not to be flushed
SELECT held FROM m3db.flush();
SELECT name, points, files > 0 AS files
  FROM m3db.namespaces WHERE name LIKE 'maintenance%' ORDER BY name;

-- snapshot, tick, cleanup
SELECT filesets > 0 AS filesets, series > 0 AS series, bytes > 0 AS bytes,
       log_index >= 0 AS log_index
  FROM m3db.snapshot();
SELECT series >= 4 AS series, expired_blocks FROM m3db.tick();
SELECT filesets >= 0 AS filesets, logs >= 0 AS logs, bytes >= 0 AS bytes FROM m3db.cleanup();
SELECT count(*), sum(usage) FROM maintenance;

-- series and their tags
SELECT namespace, id, tags, buffered_points, first_block, last_block
  FROM m3db.series('maintenance') ORDER BY id COLLATE "C";
SELECT id, buffered_blocks, buffered_points, buffered_bytes > 0 AS bytes
  FROM m3db.series WHERE namespace = 'maintenance_other';
SELECT count(*) FROM m3db.series('no such namespace');
SELECT count(*) > 3 AS series FROM m3db.series();

-- jobs
SELECT job, runs > 0 AS runs, failures, last_start <= now() + interval '1 s' AS started,
       last_duration >= 0 AS duration, last_failure, last_error
  FROM m3db.stat_jobs
 WHERE datname = current_database() AND job IN ('flush', 'snapshot') ORDER BY job;
SELECT string_agg(job, ' ') AS jobs FROM m3db.stat_jobs WHERE datname = current_database();
SELECT count(*) AS unknown FROM m3db.stat_progress
 WHERE job NOT IN ('bootstrap', 'purge', 'tick', 'flush', 'snapshot', 'cleanup');

-- holding the removal of files back
SELECT m3db.release_cleanup() AS held;
SELECT m3db.hold_cleanup();
SELECT m3db.hold_cleanup();
SELECT cleanup_holds FROM m3db.stat_engine;
SELECT * FROM m3db.cleanup();
\c
-- it goes with the session, which may take a moment
DO $$ BEGIN
	FOR i IN 1 .. 500 LOOP
		EXIT WHEN (SELECT cleanup_holds FROM m3db.stat_engine) = 0;
		PERFORM pg_sleep(0.02);
	END LOOP;
END $$;
SELECT cleanup_holds FROM m3db.stat_engine;
SELECT m3db.hold_cleanup();
SELECT m3db.release_cleanup() AS held;
SELECT logs >= 0 AS done FROM m3db.cleanup();

-- what cannot be flushed, and files that belong to a namespace
CREATE TABLE maintenance_plain (a int);
SELECT m3db.flush('maintenance_plain');
SELECT m3db.flush(0::regclass);
CREATE SERVER m3_maintenance_mount FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory '/nowhere');
CREATE FOREIGN TABLE maintenance_mount (ts timestamptz NOT NULL, host text, usage float8)
  SERVER m3_maintenance_mount;
SELECT m3db.flush('maintenance_mount');
SELECT count(*) AS orphans FROM m3db.orphans WHERE path LIKE '%maintenance%';
SELECT m3db.drop_orphan('maintenance');
SELECT m3db.drop_orphan('no such namespace');
SELECT m3db.drop_orphan('../etc');

-- privileges
CREATE ROLE regress_m3db_owner;
CREATE ROLE regress_m3db_other;
ALTER FOREIGN TABLE maintenance OWNER TO regress_m3db_owner;
SET ROLE regress_m3db_owner;
SELECT held FROM m3db.flush('maintenance');
SELECT held FROM m3db.flush('maintenance_other');
SELECT m3db.flush();
SELECT m3db.snapshot();
SELECT m3db.tick();
SELECT m3db.cleanup();
SELECT m3db.hold_cleanup();
SELECT m3db.drop_orphan('x');
SELECT count(*) FROM m3db.series;
RESET ROLE;
GRANT EXECUTE ON FUNCTION m3db.drop_orphan(text) TO regress_m3db_other;
GRANT pg_read_all_data TO regress_m3db_other;
SET ROLE regress_m3db_other;
SELECT held FROM m3db.flush('maintenance');
SELECT m3db.drop_orphan('x');
SELECT count(*) FROM m3db.series('maintenance');
RESET ROLE;

-- those who may ask for a checkpoint may flush (as from PostgreSQL 15)
GRANT pg_checkpoint TO regress_m3db_other;
SET ROLE regress_m3db_other;
SELECT held FROM m3db.flush();
SELECT log_index >= 0 AS done FROM m3db.snapshot();
RESET ROLE;

DROP FOREIGN TABLE maintenance, maintenance_other, maintenance_mount;
DROP TABLE maintenance_plain;
DROP SERVER m3_maintenance;
DROP SERVER m3_maintenance_mount;
REVOKE ALL ON FUNCTION m3db.drop_orphan(text) FROM regress_m3db_other;
DROP ROLE regress_m3db_owner, regress_m3db_other;
