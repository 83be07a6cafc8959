-- Options of servers, tables and columns: what the validator takes and refuses,
-- and what tables of one namespace must agree on.
CREATE SCHEMA t_options;
SET search_path = t_options;
SET client_min_messages = warning;

-- levels without options
CREATE FOREIGN DATA WRAPPER w VALIDATOR m3db.fdw_validator OPTIONS (shards '4');
CREATE SERVER o1 FOREIGN DATA WRAPPER m3db_fdw OPTIONS (shards '16', hash_seed '0');
CREATE USER MAPPING FOR CURRENT_USER SERVER o1 OPTIONS (user 'x');

-- server
CREATE SERVER bad FOREIGN DATA WRAPPER m3db_fdw OPTIONS (shard '4');
CREATE SERVER bad FOREIGN DATA WRAPPER m3db_fdw OPTIONS (namespace 'x');
CREATE SERVER bad FOREIGN DATA WRAPPER m3db_fdw OPTIONS (shards '0');
CREATE SERVER bad FOREIGN DATA WRAPPER m3db_fdw OPTIONS (shards ' 4');
CREATE SERVER bad FOREIGN DATA WRAPPER m3db_fdw OPTIONS (shards '70000');
CREATE SERVER bad FOREIGN DATA WRAPPER m3db_fdw OPTIONS (hash_seed '-1');
CREATE SERVER bad FOREIGN DATA WRAPPER m3db_fdw OPTIONS (hash_seed '4294967296');
CREATE SERVER bad FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory 'relative');
CREATE SERVER mount FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory '/var/lib/m3db');
CREATE FOREIGN TABLE mounted (ts timestamptz, v float8) SERVER mount;
SELECT * FROM mounted;
INSERT INTO mounted VALUES ('2024-01-01', 1);
CREATE ROLE regress_m3db_user;
GRANT USAGE ON FOREIGN DATA WRAPPER m3db_fdw TO regress_m3db_user;
SET ROLE regress_m3db_user;
CREATE SERVER bad FOREIGN DATA WRAPPER m3db_fdw OPTIONS (data_directory '/etc');
RESET ROLE;
REVOKE USAGE ON FOREIGN DATA WRAPPER m3db_fdw FROM regress_m3db_user;
DROP ROLE regress_m3db_user;

-- table: unknown names
CREATE FOREIGN TABLE bad (ts timestamptz, v float8) SERVER o1 OPTIONS (retention '1 day');
CREATE FOREIGN TABLE bad (ts timestamptz, v float8) SERVER o1 OPTIONS (blocksize '1 day');
CREATE FOREIGN TABLE bad (ts timestamptz, v float8) SERVER o1 OPTIONS (shards '3');
CREATE FOREIGN TABLE bad (ts timestamptz, v float8) SERVER o1 OPTIONS (completely_different '1');

-- table: durations
CREATE FOREIGN TABLE bad (ts timestamptz, v float8) SERVER o1 OPTIONS (retention_period 'soon');
CREATE FOREIGN TABLE bad (ts timestamptz, v float8) SERVER o1 OPTIONS (retention_period '1 month');
CREATE FOREIGN TABLE bad (ts timestamptz, v float8) SERVER o1 OPTIONS (retention_period '1 year 2 days');
CREATE FOREIGN TABLE bad (ts timestamptz, v float8) SERVER o1 OPTIONS (retention_period '0');
CREATE FOREIGN TABLE bad (ts timestamptz, v float8) SERVER o1 OPTIONS (retention_period '-1 day');
CREATE FOREIGN TABLE bad (ts timestamptz, v float8) SERVER o1 OPTIONS (retention_period '110000 days');
CREATE FOREIGN TABLE bad (ts timestamptz, v float8) SERVER o1 OPTIONS (retention_period '1 day', block_size '2 days');
CREATE FOREIGN TABLE bad (ts timestamptz, v float8) SERVER o1 OPTIONS (block_size '1.5 s');
CREATE FOREIGN TABLE bad (ts timestamptz, v float8) SERVER o1 OPTIONS (block_size '0 s');
CREATE FOREIGN TABLE bad (ts timestamptz, v float8) SERVER o1 OPTIONS (block_size '1 hour', buffer_past '1 hour');
CREATE FOREIGN TABLE bad (ts timestamptz, v float8) SERVER o1 OPTIONS (block_size '1 hour', buffer_future '2 hours');
CREATE FOREIGN TABLE bad (ts timestamptz, v float8) SERVER o1 OPTIONS (buffer_past '-1 s');

-- table: others
CREATE FOREIGN TABLE bad (ts timestamptz, v float8) SERVER o1 OPTIONS (cold_writes_enabled 'perhaps');
CREATE FOREIGN TABLE bad (ts timestamptz, v float8) SERVER o1 OPTIONS (cache_policy 'most');
CREATE FOREIGN TABLE bad (ts timestamptz, v float8) SERVER o1 OPTIONS (namespace '');
CREATE FOREIGN TABLE bad (ts timestamptz, v float8) SERVER o1 OPTIONS (namespace 'a/b');
CREATE FOREIGN TABLE bad (ts timestamptz, v float8) SERVER o1 OPTIONS (namespace '..');

-- all of them, well
CREATE FOREIGN TABLE good (ts timestamptz, v float8) SERVER o1
OPTIONS (namespace 'options_good', retention_period '40000 days', block_size '12 hours',
         buffer_past '20 min', buffer_future '0', cold_writes_enabled 'on',
         writes_to_commitlog 'true', snapshot_enabled 'yes', flush_enabled '1',
         cleanup_enabled 'off', cache_policy 'recently_read');
INSERT INTO good VALUES ('2024-01-01', 1);
SELECT name, retention_period, block_size, buffer_past, buffer_future, cold_writes_enabled,
       writes_to_commitlog, snapshot_enabled, flush_enabled, cleanup_enabled, cache_policy
  FROM m3db.namespaces WHERE name = 'options_good';
-- defaults, and the name a table's namespace has by default
CREATE FOREIGN TABLE plain (ts timestamptz, v float8) SERVER o1;
INSERT INTO plain VALUES ('2024-01-01', 1);
CREATE FOREIGN TABLE short (ts timestamptz, v float8) SERVER o1 OPTIONS (block_size '1 minute');
INSERT INTO short VALUES ('2024-01-01', 1);
SELECT name, retention_period, block_size, buffer_past, buffer_future, cold_writes_enabled,
       writes_to_commitlog, snapshot_enabled, flush_enabled, cleanup_enabled, cache_policy
  FROM m3db.namespaces WHERE name LIKE 't\_options.%' ORDER BY name;

-- ALTER: options that may change do so at once; the block size may not
ALTER FOREIGN TABLE good OPTIONS (SET retention_period 'unlimited', DROP cleanup_enabled);
INSERT INTO good VALUES ('2024-01-02', 2);
SELECT retention_period, cleanup_enabled FROM m3db.namespaces WHERE name = 'options_good';
ALTER FOREIGN TABLE good OPTIONS (SET block_size '1 hour');
INSERT INTO good VALUES ('2024-01-03', 3);
ALTER FOREIGN TABLE good OPTIONS (SET block_size 'never');
-- without the option the namespace keeps what it has, whatever would be recommended now
ALTER FOREIGN TABLE good OPTIONS (DROP block_size);
INSERT INTO good VALUES ('2024-01-03', 3);
SELECT block_size FROM m3db.namespaces WHERE name = 'options_good';

-- two tables of one namespace
CREATE FOREIGN TABLE also (ts timestamptz, v float8) SERVER o1 OPTIONS (namespace 'options_good');
SELECT * FROM also ORDER BY ts;
ALTER FOREIGN TABLE also OPTIONS (ADD retention_period '30000 days');
SELECT * FROM also ORDER BY ts;
-- the older table is not disturbed
SELECT count(*) FROM good;
INSERT INTO also VALUES ('2024-01-04', 4);
ALTER FOREIGN TABLE also OPTIONS (SET retention_period 'unlimited');
INSERT INTO also VALUES ('2024-01-04', 4);
-- what only one of them says counts for both
ALTER FOREIGN TABLE also OPTIONS (ADD buffer_past '30 min');
ALTER FOREIGN TABLE good OPTIONS (DROP buffer_past);
INSERT INTO good VALUES ('2024-01-05', 5);
SELECT buffer_past FROM m3db.namespaces WHERE name = 'options_good';
SELECT count(*) FROM also;

-- a name that cannot be that of a namespace
CREATE FOREIGN TABLE "odd/name" (ts timestamptz, v float8) SERVER o1;
SELECT * FROM "odd/name";
ALTER FOREIGN TABLE "odd/name" OPTIONS (namespace 'options_odd');
SELECT * FROM "odd/name";

-- shards and seed are fixed once there is data
CREATE SERVER o2 FOREIGN DATA WRAPPER m3db_fdw OPTIONS (shards '8');
CREATE FOREIGN TABLE other (ts timestamptz, v float8) SERVER o2;
INSERT INTO other VALUES ('2024-01-01', 1);

-- columns
CREATE FOREIGN TABLE bad (ts timestamptz OPTIONS (rule 'time'), v float8) SERVER o1;
CREATE FOREIGN TABLE bad (ts timestamptz OPTIONS (role 'clock'), v float8) SERVER o1;
CREATE FOREIGN TABLE bad (ts timestamptz, h text OPTIONS (tag ''), v float8) SERVER o1;
CREATE FOREIGN TABLE bad (ts timestamptz, h text OPTIONS (tag '_m3ninx_id'), v float8) SERVER o1;
CREATE FOREIGN TABLE bad (ts timestamptz, h text OPTIONS (tag 'x', role 'id'), v float8) SERVER o1;
CREATE FOREIGN TABLE bad (ts timestamptz, v float8 OPTIONS (metric 'm', tag 'x')) SERVER o1;

DROP SCHEMA t_options CASCADE;
DROP SERVER o1;
DROP SERVER o2;
DROP SERVER mount;
