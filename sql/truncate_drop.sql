-- TRUNCATE and DROP: data follows the transaction; what is created again begins empty.
CREATE SCHEMA t_gone;
SET search_path = t_gone;
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE SERVER gone FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE f (ts timestamptz, host text, v float8) SERVER gone;
CREATE FOREIGN TABLE g (ts timestamptz, host text, v float8) SERVER gone;
CREATE VIEW spaces AS
  SELECT replace(name, 't_gone.', '') AS name, block_size FROM m3db.namespaces
   WHERE name LIKE 't\_gone.%' ORDER BY 1;

-- never written
TRUNCATE f, g;
SELECT * FROM f;
INSERT INTO f SELECT '2024-01-01'::timestamptz + i * interval '7 hours', 'h' || i % 3, i
  FROM generate_series(1, 30) i;
INSERT INTO g VALUES ('2024-01-01', 'g', 1);
SELECT count(*) FROM f;
TRUNCATE f;
SELECT count(*) FROM f;
SELECT count(*) FROM g;
INSERT INTO f VALUES ('2024-01-02', 'a', 1);
SELECT * FROM f;

-- in a transaction
BEGIN;
INSERT INTO f VALUES ('2024-01-03', 'before', 2);
TRUNCATE f;
SELECT * FROM f;
INSERT INTO f VALUES ('2024-01-04', 'after', 3);
SELECT * FROM f;
ROLLBACK;
SELECT * FROM f;
BEGIN;
INSERT INTO f VALUES ('2024-01-03', 'before', 2);
TRUNCATE f;
INSERT INTO f VALUES ('2024-01-02', 'a', 4), ('2024-01-04', 'after', 3);
COMMIT;
SELECT * FROM f ORDER BY ts;

-- savepoints
BEGIN;
INSERT INTO f VALUES ('2024-01-05', 'kept', 5);
SAVEPOINT s1;
TRUNCATE f;
SELECT count(*) FROM f;
INSERT INTO f VALUES ('2024-01-06', 'lost', 6);
ROLLBACK TO s1;
SELECT * FROM f ORDER BY ts;
SAVEPOINT s2;
TRUNCATE f;
RELEASE s2;
SAVEPOINT s3;
INSERT INTO f VALUES ('2024-01-07', 'lost', 7);
TRUNCATE f;
ROLLBACK TO s3;
INSERT INTO f VALUES ('2024-01-08', 'last', 8);
SELECT * FROM f;
COMMIT;
SELECT * FROM f;
BEGIN;
SAVEPOINT outer_one;
SAVEPOINT inner_one;
TRUNCATE f;
RELEASE inner_one;
ROLLBACK TO outer_one;
COMMIT;
SELECT * FROM f;
DO $$
BEGIN
  TRUNCATE f;
  RAISE division_by_zero;
EXCEPTION WHEN division_by_zero THEN
  NULL;
END $$;
SELECT * FROM f;

-- twice, and together with tables of other kinds
CREATE TABLE h (id int GENERATED ALWAYS AS IDENTITY, v int);
INSERT INTO h (v) VALUES (1), (2);
BEGIN;
TRUNCATE f, h, g;
TRUNCATE g, f;
ROLLBACK;
SELECT (SELECT count(*) FROM f), (SELECT count(*) FROM g), (SELECT count(*) FROM h);
TRUNCATE f, h, g RESTART IDENTITY CASCADE;
SELECT (SELECT count(*) FROM f), (SELECT count(*) FROM g), (SELECT count(*) FROM h);
CREATE FOREIGN TABLE numbered (ts timestamptz, n int GENERATED ALWAYS AS IDENTITY, v float8)
  SERVER gone;
INSERT INTO numbered (ts, v) VALUES ('2024-01-01', 1), ('2024-01-01', 2);
TRUNCATE numbered;
INSERT INTO numbered (ts, v) VALUES ('2024-01-01', 3);
SELECT n, v FROM numbered;
TRUNCATE numbered RESTART IDENTITY;
INSERT INTO numbered (ts, v) VALUES ('2024-01-01', 4);
SELECT n, v FROM numbered;
-- partitions
CREATE TABLE parted (ts timestamptz, host text, v float8) PARTITION BY RANGE (ts);
CREATE FOREIGN TABLE part_old PARTITION OF parted FOR VALUES FROM ('2023-01-01') TO ('2024-01-01')
  SERVER gone;
CREATE TABLE part_new PARTITION OF parted FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
INSERT INTO parted VALUES ('2023-05-01', 'o', 1), ('2024-05-01', 'n', 2);
TRUNCATE part_old;
SELECT host FROM parted;
INSERT INTO parted VALUES ('2023-05-01', 'o', 1);
TRUNCATE parted;
SELECT count(*) FROM parted;
INSERT INTO parted VALUES ('2023-05-01', 'o', 1);
DROP TABLE parted;
SELECT name FROM spaces WHERE name LIKE 'part%';
-- an open cursor
BEGIN;
INSERT INTO f VALUES ('2024-01-01', 'c', 1);
DECLARE c CURSOR FOR SELECT * FROM f;
FETCH c;
TRUNCATE f;
ROLLBACK;
-- REPEATABLE READ
INSERT INTO f VALUES ('2024-01-01', 'r', 1);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM f;
TRUNCATE f;
SELECT count(*) FROM f;
COMMIT;
SELECT count(*) FROM f;
-- two-phase commit
INSERT INTO f VALUES ('2024-01-01', 'p', 1);
BEGIN;
TRUNCATE f;
PREPARE TRANSACTION 'm3db_gone';
BEGIN;
DROP FOREIGN TABLE f;
PREPARE TRANSACTION 'm3db_gone';
SELECT count(*) FROM f;
BEGIN;
CREATE FOREIGN TABLE never (ts timestamptz, host text, v float8) SERVER gone;
DROP FOREIGN TABLE never;
PREPARE TRANSACTION 'm3db_gone';
COMMIT PREPARED 'm3db_gone';
-- privileges, read-only transactions
CREATE ROLE regress_m3db_gone;
GRANT USAGE ON SCHEMA t_gone TO regress_m3db_gone;
GRANT SELECT, INSERT ON f TO regress_m3db_gone;
SET ROLE regress_m3db_gone;
TRUNCATE f;
SELECT m3db.drop_namespace('t_gone.f');
RESET ROLE;
BEGIN READ ONLY;
TRUNCATE f;
ROLLBACK;
SELECT count(*) FROM f;

-- two tables on one namespace
CREATE FOREIGN TABLE f2 (ts timestamptz, host text, v float8) SERVER gone
  OPTIONS (namespace 't_gone.f');
SELECT relid, namespace, is_default FROM m3db.tables WHERE namespace = 't_gone.f'
 ORDER BY relid::text;
SELECT host FROM f2;
TRUNCATE f2;
SELECT count(*) FROM f;
INSERT INTO f VALUES ('2024-01-01', 'shared', 1);
DROP FOREIGN TABLE f;
SELECT host FROM f2;
BEGIN;
DROP FOREIGN TABLE f2;
ROLLBACK;
SELECT host FROM f2;
-- the default of a table that is created again is another's data by now
CREATE FOREIGN TABLE f (ts timestamptz, host text, v float8) SERVER gone;
DROP FOREIGN TABLE f2;
SELECT name FROM spaces;

-- created again
CREATE FOREIGN TABLE f (ts timestamptz, host text, v float8) SERVER gone
  OPTIONS (block_size '1 hour');
SELECT count(*) FROM f;
INSERT INTO f VALUES ('2024-01-01', 'hours', 1);
SELECT * FROM spaces WHERE name = 'f';
BEGIN;
DROP FOREIGN TABLE f;
CREATE FOREIGN TABLE f (ts timestamptz, host text, v float8) SERVER gone
  OPTIONS (block_size '1 hour');
SELECT count(*) FROM f;
INSERT INTO f VALUES ('2024-01-02', 'again', 2);
SELECT host FROM f;
SAVEPOINT s;
DROP FOREIGN TABLE f;
ROLLBACK TO s;
SELECT host FROM f;
COMMIT;
SELECT host FROM f;
BEGIN;
DROP FOREIGN TABLE f;
CREATE FOREIGN TABLE f (ts timestamptz, host text, v float8) SERVER gone;
INSERT INTO f VALUES ('2024-01-03', 'rolled back', 3);
ROLLBACK;
SELECT host FROM f;

-- CREATE that is rolled back leaves nothing
BEGIN;
CREATE FOREIGN TABLE never (ts timestamptz, host text, v float8) SERVER gone;
INSERT INTO never VALUES ('2024-01-01', 'a', 1);
SELECT count(*) FROM never;
ROLLBACK;
BEGIN;
CREATE FOREIGN TABLE never (ts timestamptz, host text, v float8) SERVER gone;
INSERT INTO never VALUES ('2024-01-01', 'a', 1);
DROP FOREIGN TABLE never;
COMMIT;
SELECT name FROM spaces WHERE name = 'never';

-- other ways to drop
CREATE SCHEMA t_gone_inner;
CREATE FOREIGN TABLE t_gone_inner.a (ts timestamptz, host text, v float8) SERVER gone
  OPTIONS (namespace 't_gone.inner');
CREATE FOREIGN TABLE t_gone_inner.b (ts timestamptz, host text, v float8) SERVER gone
  OPTIONS (namespace 't_gone.inner');
INSERT INTO t_gone_inner.a VALUES ('2024-01-01', 'a', 1);
BEGIN;
DROP SCHEMA t_gone_inner CASCADE;
ROLLBACK;
SELECT host FROM t_gone_inner.b;
DROP SCHEMA t_gone_inner CASCADE;
SELECT name FROM spaces;
CREATE SERVER short_lived FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE passing (ts timestamptz, host text, v float8) SERVER short_lived;
INSERT INTO passing VALUES ('2024-01-01', 'a', 1);
DROP SERVER short_lived CASCADE;
SELECT name FROM spaces;
GRANT USAGE ON FOREIGN SERVER gone TO regress_m3db_gone;
GRANT CREATE ON SCHEMA t_gone TO regress_m3db_gone;
SET ROLE regress_m3db_gone;
CREATE FOREIGN TABLE owned (ts timestamptz, host text, v float8) SERVER gone;
INSERT INTO owned VALUES ('2024-01-01', 'a', 1);
RESET ROLE;
DROP OWNED BY regress_m3db_gone;
SELECT name FROM spaces;
DROP ROLE regress_m3db_gone;

-- a namespace that lost its table
ALTER FOREIGN TABLE g OPTIONS (ADD namespace 't_gone.elsewhere');
INSERT INTO g VALUES ('2024-01-01', 'elsewhere', 1);
ALTER FOREIGN TABLE g OPTIONS (SET namespace 't_gone.third');
SELECT name FROM m3db.unmapped_namespaces WHERE name LIKE 't\_gone.%' ORDER BY 1;
SELECT m3db.drop_namespace('t_gone.f');
SELECT m3db.drop_namespace('t_gone.nothing');
BEGIN;
SELECT m3db.drop_namespace('t_gone.elsewhere');
ROLLBACK;
SELECT name FROM spaces;
SELECT m3db.drop_namespace('t_gone.elsewhere');
SELECT name FROM spaces;
SELECT m3db.drop_namespace('t_gone.g');
DROP VIEW spaces;
DROP SCHEMA t_gone CASCADE;
DROP SERVER gone;
SELECT name FROM m3db.namespaces WHERE name LIKE 't\_gone.%';
