-- Files for an M3DB: what is written, and who may.  What is in them is for t/012_export.pl.

SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';

CREATE SERVER m3_export FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE export_points (ts timestamptz NOT NULL, host text, usage float8)
  SERVER m3_export OPTIONS (namespace 'export_points', block_size '1 day');
CREATE TABLE export_plain (ts timestamptz);

INSERT INTO export_points
SELECT timestamptz '2026-01-01 00:00+00' + i * interval '1 hour', 'h' || i % 5, i
  FROM generate_series(0, 71) i;

-- beside the data directory, a new one each time
SELECT regexp_replace(current_setting('data_directory'), '/[^/]*$', '') || '/m3db_export_'
       || pg_backend_pid() || '_' || extract(epoch FROM clock_timestamp())::bigint AS dir
\gset

CREATE FUNCTION export_blocks(directory text) RETURNS TABLE (namespace text, block_start text, shards bigint, complete bigint)
LANGUAGE sql AS $$
SELECT n, to_timestamp(split_part(f, '-', 2)::numeric / 1000000000)::text, count(DISTINCT s),
       count(*) FILTER (WHERE f LIKE 'fileset-%-0-checkpoint.db')
  FROM pg_ls_dir(directory || '/data') n, pg_ls_dir(directory || '/data/' || n) s,
       pg_ls_dir(directory || '/data/' || n || '/' || s) f
 GROUP BY 1, 2 ORDER BY 1, 2
$$;

-- everything, from buffers and from files
SELECT series, points, filesets > 2 AS filesets, bytes > 0 AS bytes
  FROM m3db.export('export_points', :'dir' || '/all');
SELECT namespace, block_start, shards = complete AS whole FROM export_blocks(:'dir' || '/all');
SELECT held FROM m3db.flush('export_points');
SELECT filesets, series, points, bytes > 0 AS bytes
  FROM m3db.export('export_points', :'dir' || '/one', shards => 1);
SELECT * FROM export_blocks(:'dir' || '/one');
SELECT pg_ls_dir(:'dir' || '/one') AS only;

-- a range, another name, other blocks and shards
SELECT filesets, series, points
  FROM m3db.export('export_points', :'dir' || '/range', '2026-01-01 20:00+00', '2026-01-03 04:00+00', shards => 1);
SELECT * FROM export_blocks(:'dir' || '/range');
SELECT series, points
  FROM m3db.export('export_points', :'dir' || '/range', "to" => '2026-01-01 02:00+00', shards => 3, hash_seed => 42,
                   namespace => 'elsewhere', block_size => '1 hour');
SELECT namespace, block_start, complete FROM export_blocks(:'dir' || '/range') WHERE namespace = 'elsewhere';
SELECT filesets, series, points
  FROM m3db.export('export_points', :'dir' || '/week/deep', block_size => '7 days', shards => 1);
SELECT * FROM export_blocks(:'dir' || '/week/deep');
SELECT * FROM m3db.export('export_points', :'dir' || '/none', "from" => '2027-01-01');
SELECT * FROM m3db.export('export_points', :'dir' || '/none', '2026-01-02', '2026-01-02');
SELECT * FROM m3db.export('export_points', :'dir' || '/none', '-infinity', '4000-01-01 BC');

-- never over what is there
\set VERBOSITY terse
SELECT * FROM m3db.export('export_points', :'dir' || '/one', shards => 1);
SELECT filesets FROM m3db.export('export_points', :'dir' || '/one', shards => 1, namespace => 'beside');

-- a block that has not ended
INSERT INTO export_points VALUES (now(), 'h0', 1);
SELECT points FROM m3db.export('export_points', :'dir' || '/now', "from" => '2026-01-03 23:00+00', shards => 1);
TRUNCATE export_points;
SELECT * FROM m3db.export('export_points', :'dir' || '/none');

-- the statement's snapshot, and nothing that may be rolled back
INSERT INTO export_points VALUES ('2026-01-01', 'h0', 1);
BEGIN;
INSERT INTO export_points VALUES ('2026-01-02', 'h0', 1);
SELECT * FROM m3db.export('export_points', :'dir' || '/none');
ROLLBACK;
BEGIN;
TRUNCATE export_points;
SELECT * FROM m3db.export('export_points', :'dir' || '/none');
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM export_points;
SELECT points FROM m3db.export('export_points', :'dir' || '/read');
COMMIT;

-- wrong arguments
SELECT * FROM m3db.export(NULL, :'dir');
SELECT * FROM m3db.export('export_points', NULL);
SELECT * FROM m3db.export('export_plain', :'dir');
SELECT * FROM m3db.export(0::oid::regclass, :'dir');
SELECT * FROM m3db.export('export_points', '');
SELECT * FROM m3db.export('export_points', 'relative');
SELECT * FROM m3db.export('export_points', '/tmp/../tmp/x');
SELECT * FROM m3db.export('export_points', '/tmp/x/..');
SELECT * FROM m3db.export('export_points', :'dir', shards => 0);
SELECT * FROM m3db.export('export_points', :'dir', hash_seed => -1);
SELECT * FROM m3db.export('export_points', :'dir', namespace => '');
SELECT * FROM m3db.export('export_points', :'dir', namespace => '../up');
SELECT * FROM m3db.export('export_points', :'dir', block_size => '1 month');
SELECT * FROM m3db.export('export_points', :'dir', block_size => '0');
SELECT * FROM m3db.export('export_points', :'dir', block_size => '-1 day');
SELECT * FROM m3db.export('export_points', :'dir', block_size => '1.5 seconds');
\set VERBOSITY sqlstate
SELECT * FROM m3db.export('export_points', current_setting('data_directory'));
SELECT * FROM m3db.export('export_points', current_setting('data_directory') || '/m3db/x/y');
SELECT * FROM m3db.export('export_points', '/proc/self/cwd/x');
SELECT * FROM m3db.export('export_points', '/proc/nobody/can/write/here');
\set VERBOSITY terse

-- privileges
CREATE ROLE regress_m3_export;
GRANT SELECT ON export_points TO regress_m3_export;
SET ROLE regress_m3_export;
SELECT points FROM m3db.export('export_points', :'dir' || '/role');
RESET ROLE;
GRANT EXECUTE ON FUNCTION m3db.export TO regress_m3_export;
SET ROLE regress_m3_export;
SELECT points FROM m3db.export('export_points', :'dir' || '/role');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION m3db.export FROM regress_m3_export;
GRANT pg_write_server_files TO regress_m3_export;
SET ROLE regress_m3_export;
SELECT points FROM m3db.export('export_points', :'dir' || '/role');
RESET ROLE;
REVOKE SELECT ON export_points FROM regress_m3_export;
SET ROLE regress_m3_export;
SELECT points FROM m3db.export('export_points', :'dir' || '/role2');
RESET ROLE;

DROP ROLE regress_m3_export;
DROP FUNCTION export_blocks;
DROP FOREIGN TABLE export_points;
DROP TABLE export_plain;
DROP SERVER m3_export;
