-- ALTER of tables and servers that have data; renaming keeps the data.
CREATE SCHEMA t_alter;
SET search_path = t_alter;
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE SERVER alt FOREIGN DATA WRAPPER m3db_fdw;
CREATE VIEW spaces AS
  SELECT name, retention_period, block_size, cold_writes_enabled AS cold, cache_policy
    FROM m3db.namespaces WHERE name LIKE 't\_alter%' ORDER BY 1;

-- options: in force for everybody at the commit, without a write
CREATE FOREIGN TABLE f (ts timestamptz, host text, v float8) SERVER alt
  OPTIONS (block_size '1 hour');
ALTER FOREIGN TABLE f OPTIONS (SET block_size '2 hours');
INSERT INTO f VALUES (now(), 'a', 1);
SELECT * FROM spaces;
ALTER FOREIGN TABLE f OPTIONS (ADD retention_period '10 days', ADD cache_policy 'none');
SELECT * FROM spaces;
BEGIN;
ALTER FOREIGN TABLE f OPTIONS (SET retention_period '20 days');
SELECT * FROM spaces;
ROLLBACK;
SELECT * FROM spaces;
BEGIN;
ALTER FOREIGN TABLE f OPTIONS (SET retention_period '20 days');
SAVEPOINT s;
ALTER FOREIGN TABLE f OPTIONS (SET retention_period '40 days', ADD cold_writes_enabled 'false');
ROLLBACK TO s;
COMMIT;
SELECT * FROM spaces;
ALTER FOREIGN TABLE f OPTIONS (DROP retention_period, DROP cache_policy);
SELECT * FROM spaces;
-- what another table gives goes on counting
CREATE FOREIGN TABLE f_also (ts timestamptz, host text, v float8) SERVER alt
  OPTIONS (namespace 't_alter.f', retention_period '15 days');
ALTER FOREIGN TABLE f OPTIONS (ADD cache_policy 'all');
SELECT * FROM spaces;
-- of two that contradict each other the older is right
ALTER FOREIGN TABLE f OPTIONS (ADD retention_period '16 days');
SELECT * FROM spaces;
SELECT count(*) FROM f;
SELECT count(*) FROM f_also;
DROP FOREIGN TABLE f_also;
SELECT count(*) FROM f;

-- the block size is fixed while there is data
\set VERBOSITY sqlstate
ALTER FOREIGN TABLE f OPTIONS (SET block_size '4 hours');
\set VERBOSITY default
ALTER FOREIGN TABLE f OPTIONS (SET block_size '4 hours');
ALTER FOREIGN TABLE f OPTIONS (DROP block_size);
SELECT * FROM spaces;
ALTER FOREIGN TABLE f OPTIONS (ADD block_size '4 hours');
BEGIN;
ALTER FOREIGN TABLE f OPTIONS (ADD block_size '2 hours');
ALTER FOREIGN TABLE f OPTIONS (SET block_size '4 hours');
ROLLBACK;
TRUNCATE f;
ALTER FOREIGN TABLE f OPTIONS (ADD block_size '4 hours');
INSERT INTO f VALUES (now(), 'a', 1);
SELECT * FROM spaces;
SELECT count(*) FROM f;
ALTER SERVER alt OPTIONS (ADD shards '4');
ALTER SERVER alt OPTIONS (ADD hash_seed '4');
ALTER SERVER alt OPTIONS (ADD shards '16');

-- another namespace; this one was named when another table began to share it
ALTER FOREIGN TABLE f OPTIONS (SET namespace 't_alter.other');
SELECT count(*) FROM f;
INSERT INTO f VALUES (now(), 'b', 1), (now(), 'c', 1);
ALTER FOREIGN TABLE f OPTIONS (SET namespace 't_alter.f');
SELECT count(*) FROM f;
ALTER FOREIGN TABLE f OPTIONS (DROP namespace);
SELECT count(*) FROM f;
SELECT m3db.drop_namespace('t_alter.other');

-- renaming a table, its schema, and moving it to another one
ALTER FOREIGN TABLE f RENAME TO f1;
SELECT host FROM f1;
\d f1
ALTER TABLE f1 RENAME TO f2;
SELECT host FROM f2;
-- what has its old name now does not share its data by accident
CREATE FOREIGN TABLE f (ts timestamptz, host text, v float8) SERVER alt;
CREATE FOREIGN TABLE f (ts timestamptz, host text, v float8) SERVER alt
  OPTIONS (namespace 't_alter.f_new');
DROP FOREIGN TABLE f;
CREATE FOREIGN TABLE plain (ts timestamptz, host text, v float8) SERVER alt;
CREATE FOREIGN TABLE moved (ts timestamptz, host text, v float8) SERVER alt;
INSERT INTO plain VALUES (now(), 'plain', 1);
INSERT INTO moved VALUES (now(), 'moved', 1);
CREATE SCHEMA t_alter_to;
ALTER FOREIGN TABLE moved SET SCHEMA t_alter_to;
SELECT host FROM t_alter_to.moved;
BEGIN;
ALTER SCHEMA t_alter RENAME TO t_altered;
SELECT host FROM t_altered.plain;
SELECT relid, namespace, is_default FROM m3db.tables WHERE namespace LIKE 't\_alter%'
 ORDER BY relid::text;
ROLLBACK;
SELECT relid, namespace, is_default FROM m3db.tables WHERE namespace LIKE 't\_alter%'
 ORDER BY relid::text;
ALTER SCHEMA t_alter RENAME TO t_altered;
SET search_path = t_altered;
SELECT host FROM plain;
DROP SCHEMA t_alter_to CASCADE;
SELECT name FROM spaces;
-- a table that is shared says so in a dump
CREATE FOREIGN TABLE once (ts timestamptz, host text, v float8) SERVER alt;
CREATE FOREIGN TABLE twice (ts timestamptz, host text, v float8) SERVER alt
  OPTIONS (namespace 't_altered.once');
\d once
DROP FOREIGN TABLE once, twice;

-- renaming columns
CREATE FOREIGN TABLE c (ts timestamptz, host text, id text, tags jsonb, unit text, note bytea
  OPTIONS (role 'annotation'), v float8) SERVER alt;
INSERT INTO c VALUES ('2024-01-01', 'a', 'series', '{"k": "v"}', 's', 'x', 1);
ALTER FOREIGN TABLE c RENAME host TO hostname;
ALTER FOREIGN TABLE c RENAME id TO series_id;
ALTER FOREIGN TABLE c RENAME tags TO labels;
ALTER FOREIGN TABLE c RENAME unit TO precision_of_time;
ALTER FOREIGN TABLE c RENAME note TO annotation;
ALTER FOREIGN TABLE c RENAME v TO reading;
ALTER FOREIGN TABLE c RENAME ts TO at;
SELECT * FROM c;
\d c
INSERT INTO c VALUES ('2024-01-02', 'a', 'series', '{"k": "v"}', 's', 'x', 2);
SELECT hostname, count(*) FROM c GROUP BY 1;
BEGIN;
ALTER FOREIGN TABLE c RENAME hostname TO host;
ALTER FOREIGN TABLE c RENAME host TO h;
SELECT h FROM c;
ROLLBACK;
CREATE FOREIGN TABLE w (ts timestamptz, host text, a float8, b float8) SERVER alt;
INSERT INTO w VALUES ('2024-01-01', 'x', 1, 2);
ALTER FOREIGN TABLE w RENAME a TO first;
ALTER FOREIGN TABLE w RENAME b TO a;
SELECT * FROM w;
\d w
-- through a parent
CREATE TABLE parent (ts timestamptz, host text, v float8) PARTITION BY RANGE (ts);
CREATE FOREIGN TABLE child PARTITION OF parent FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')
  SERVER alt;
INSERT INTO parent VALUES ('2024-06-01', 'x', 1);
ALTER TABLE parent RENAME host TO machine;
SELECT machine FROM parent;
-- tables of other kinds are left alone
CREATE TABLE heap (host text);
ALTER TABLE heap RENAME host TO machine;
ALTER TABLE heap RENAME TO heap2;
CREATE FOREIGN DATA WRAPPER t_alter_nothing;
CREATE SERVER t_alter_other FOREIGN DATA WRAPPER t_alter_nothing OPTIONS (shards 'x');
ALTER SERVER t_alter_other OPTIONS (SET shards 'y');
CREATE FOREIGN TABLE foreign_heap (host text) SERVER t_alter_other;
ALTER FOREIGN TABLE foreign_heap RENAME host TO machine;
ALTER FOREIGN TABLE foreign_heap RENAME TO other_heap;
ALTER FOREIGN TABLE other_heap OPTIONS (ADD block_size 'x');
\d other_heap
DROP FOREIGN DATA WRAPPER t_alter_nothing CASCADE;

DROP SCHEMA t_altered CASCADE;
SELECT name FROM m3db.namespaces WHERE name LIKE 't\_alter%';
DROP SERVER alt;
