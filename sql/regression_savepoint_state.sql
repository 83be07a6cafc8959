-- Rolling back to a savepoint takes back all it told the storage transaction: options, block
-- sizes and tags, not only points.
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
SET intervalstyle = 'postgres';
\set VERBOSITY terse
CREATE SERVER savepoints FOREIGN DATA WRAPPER m3db_fdw;

-- options: the retention of the savepoint would refuse the first point
CREATE FOREIGN TABLE sp_options (ts timestamptz, h text, v float8) SERVER savepoints
  OPTIONS (namespace 'sp_options', block_size '1 hour');
BEGIN;
INSERT INTO sp_options VALUES ('2024-01-01', 'a', 1);
SAVEPOINT p;
ALTER FOREIGN TABLE sp_options OPTIONS (ADD retention_period '1 day');
INSERT INTO sp_options VALUES (now(), 'a', 1);
ROLLBACK TO p;
COMMIT;
SELECT ts, v FROM sp_options;

-- the block size of a namespace that never came to be
BEGIN;
SAVEPOINT p;
CREATE FOREIGN TABLE sp_block (ts timestamptz, h text, v float8) SERVER savepoints
  OPTIONS (namespace 'sp_block', block_size '1 hour');
INSERT INTO sp_block VALUES ('2024-01-01', 'a', 1);
ROLLBACK TO p;
CREATE FOREIGN TABLE sp_block (ts timestamptz, h text, v float8) SERVER savepoints
  OPTIONS (namespace 'sp_block', block_size '2 hours');
INSERT INTO sp_block VALUES ('2024-01-01', 'a', 2);
COMMIT;
SELECT ts, v FROM sp_block;

-- the tags of an id
CREATE FOREIGN TABLE sp_tags (ts timestamptz, id text, h text, v float8) SERVER savepoints
  OPTIONS (namespace 'sp_tags');
BEGIN;
SAVEPOINT p;
INSERT INTO sp_tags VALUES ('2024-01-01', 'x', 'a', 1);
ROLLBACK TO p;
INSERT INTO sp_tags VALUES ('2024-01-01', 'x', 'b', 2);
COMMIT;
SELECT ts, id, h, v FROM sp_tags;

-- a namespace that is new in the transaction keeps its block size, as one with data does
BEGIN;
CREATE FOREIGN TABLE sp_new (ts timestamptz, h text, v float8) SERVER savepoints
  OPTIONS (namespace 'sp_new');
INSERT INTO sp_new VALUES (now(), 'a', 1);
ALTER FOREIGN TABLE sp_new OPTIONS (ADD retention_period '1 day');
INSERT INTO sp_new VALUES (now(), 'b', 1);
COMMIT;
SELECT count(*) FROM sp_new;
SELECT block_size, retention_period FROM m3db.namespaces WHERE name = 'sp_new';
DROP SERVER savepoints CASCADE;
