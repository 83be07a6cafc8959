-- Settings, views and functions of schema m3db, and who may use them.

SELECT m3db.version() = extversion AS versions_agree FROM pg_extension WHERE extname = 'm3db_fdw';

-- the settings and when they may change
SELECT name, boot_val, unit, context FROM pg_settings WHERE name LIKE 'm3db.%' ORDER BY name;

\set VERBOSITY terse
SET m3db.commitlog_strategy = 'never';
SET m3db.buffer_size = '1GB';
SET m3db.commitlog_window = '1h';
-- the message shows the range in another way in each version
DO $$ BEGIN
	SET m3db.write_wait_timeout = '-1';
EXCEPTION WHEN invalid_parameter_value THEN
	RAISE NOTICE '%', regexp_replace(SQLERRM, '(\d) ms(?= \.\.|\))', '\1', 'g');
END $$;
SET m3db.no_such_setting = 1;
\set VERBOSITY default

-- the worker runs, and loads this database
SELECT count(*) AS logs FROM m3db.stat_commitlog;
SELECT databases > 0 AS databases, worker_pid IS NOT NULL AS worker,
       used_bytes <= page_bytes AND page_bytes <= buffer_size AS consistent
  FROM m3db.stat_engine;
SELECT state, phase, finished >= started AS finished, message
  FROM m3db.stat_bootstrap WHERE datname = current_database();

-- functions that act
SELECT m3db.flush_commitlog();
SELECT unsynced_bytes FROM m3db.stat_commitlog;
SELECT m3db.rotate_commitlog();

-- columns
\pset format unaligned
SELECT c.relname, string_agg(a.attname, ' ' ORDER BY a.attnum) AS columns
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
 WHERE c.relnamespace = 'm3db'::regnamespace AND c.relkind = 'v'
   AND c.relname IN ('blocks', 'filesets', 'namespaces', 'orphans', 'series', 'stat_bootstrap',
                     'stat_commitlog', 'stat_engine', 'stat_jobs', 'stat_progress',
                     'stat_shards')
 GROUP BY c.relname ORDER BY c.relname COLLATE "C";
\pset format aligned

-- every object has a comment, but for the types that come with another object: they belong
-- to the extension in newer versions only
SELECT pg_describe_object(classid, objid, 0) AS without_comment
  FROM pg_depend
 WHERE refclassid = 'pg_extension'::regclass
   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'm3db_fdw')
   AND deptype = 'e'
   AND obj_description(objid, classid::regclass::name) IS NULL
   AND NOT (classid = 'pg_type'::regclass AND EXISTS (
		SELECT FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
		 WHERE t.typarray = objid OR t.oid = objid AND c.relkind <> 'c'))
 ORDER BY 1;

-- privileges
CREATE ROLE regress_m3db_user;
CREATE ROLE regress_m3db_monitor IN ROLE pg_monitor;
CREATE ROLE regress_m3db_reader IN ROLE pg_read_all_data;

SELECT c.relname,
       has_table_privilege('regress_m3db_user', c.oid, 'SELECT') AS anybody,
       has_table_privilege('regress_m3db_monitor', c.oid, 'SELECT') AS monitor,
       has_table_privilege('regress_m3db_reader', c.oid, 'SELECT') AS reader
  FROM pg_class c
 WHERE c.relnamespace = 'm3db'::regnamespace AND c.relkind = 'v'
   AND c.relname IN ('blocks', 'filesets', 'namespaces', 'orphans', 'series', 'stat_bootstrap',
                     'stat_commitlog', 'stat_engine', 'stat_jobs', 'stat_progress',
                     'stat_shards')
 ORDER BY c.relname COLLATE "C";

SELECT p.oid::regprocedure AS function,
       has_function_privilege('regress_m3db_user', p.oid, 'EXECUTE') AS anybody,
       has_function_privilege('regress_m3db_monitor', p.oid, 'EXECUTE') AS monitor,
       has_function_privilege('regress_m3db_reader', p.oid, 'EXECUTE') AS reader
  FROM pg_proc p
 WHERE p.pronamespace = 'm3db'::regnamespace
   AND p.proname NOT IN ('fdw_handler', 'fdw_validator')
   AND (p.provolatile = 'v' OR p.proname = 'version')
 ORDER BY p.proname COLLATE "C", p.pronargs;

SET ROLE regress_m3db_user;
SELECT count(*) AS databases FROM m3db.stat_bootstrap;
SELECT count(*) FROM m3db.namespaces;
SELECT m3db.rotate_commitlog();
SELECT m3db.flush_commitlog();
SELECT count(*) FROM m3db.namespaces();

SET ROLE regress_m3db_monitor;
SELECT count(*) > 0 AS databases FROM m3db.stat_bootstrap;
SELECT count(*) >= 0 AS namespaces FROM m3db.namespaces;
SELECT count(*) AS logs FROM m3db.stat_commitlog;
SELECT count(*) AS engines FROM m3db.stat_engine;
SELECT count(*) > 0 AS jobs FROM m3db.stat_jobs;
SELECT count(*) >= 0 AS progress FROM m3db.stat_progress;
SELECT count(*) >= 0 AS filesets FROM m3db.filesets;
SELECT count(*) >= 0 AS shards FROM m3db.stat_shards;
SELECT count(*) >= 0 AS orphans FROM m3db.orphans;
SELECT m3db.rotate_commitlog();

RESET ROLE;
DROP ROLE regress_m3db_user, regress_m3db_monitor, regress_m3db_reader;

-- the extension makes its schema itself: nobody else can have put anything in it
SELECT e.extname, e.extversion, n.nspname, obj_description(e.oid, 'pg_extension') AS description
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'm3db_fdw';
