-- Transactions: own writes, savepoints, errors, procedures, two-phase commit.
CREATE SCHEMA t_transaction;
SET search_path = t_transaction;
SET client_min_messages = warning;
CREATE SERVER x1 FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE f (ts timestamptz, host text, v float8) SERVER x1;
CREATE TABLE h (v float8);

BEGIN;
INSERT INTO f VALUES ('2024-01-01', 'a', 1);
SELECT * FROM f;
ROLLBACK;
SELECT * FROM f;
BEGIN;
INSERT INTO f VALUES ('2024-01-01', 'a', 1);
INSERT INTO f VALUES ('2024-01-01', 'a', 2);
SELECT * FROM f;
COMMIT;
SELECT * FROM f;

-- savepoints
BEGIN;
INSERT INTO f VALUES ('2024-01-02', 'a', 10);
SAVEPOINT s1;
INSERT INTO f VALUES ('2024-01-02', 'a', 20);
SAVEPOINT s2;
INSERT INTO f VALUES ('2024-01-02', 'a', 30);
SELECT v FROM f WHERE ts = '2024-01-02';
ROLLBACK TO s2;
SELECT v FROM f WHERE ts = '2024-01-02';
ROLLBACK TO s1;
SELECT v FROM f WHERE ts = '2024-01-02';
INSERT INTO f VALUES ('2024-01-03', 'b', 40);
RELEASE s1;
SELECT * FROM f ORDER BY ts;
COMMIT;
SELECT * FROM f ORDER BY ts;

-- released into a savepoint that is rolled back; levels without writes between
BEGIN;
SAVEPOINT l2;
SAVEPOINT l3;
SAVEPOINT l4;
INSERT INTO f VALUES ('2024-02-01', 'deep', 1);
RELEASE l4;
RELEASE l3;
SELECT count(*) FROM f WHERE host = 'deep';
ROLLBACK TO l2;
SELECT count(*) FROM f WHERE host = 'deep';
SAVEPOINT again;
INSERT INTO f VALUES ('2024-02-02', 'deep', 2);
RELEASE again;
SAVEPOINT more;
INSERT INTO f VALUES ('2024-02-03', 'deep', 3);
ROLLBACK TO more;
INSERT INTO f VALUES ('2024-02-04', 'deep', 4);
COMMIT;
SELECT ts, v FROM f WHERE host = 'deep' ORDER BY ts;

-- an error inside, caught
BEGIN;
INSERT INTO f VALUES ('2024-03-01', 'err', 1);
SAVEPOINT s;
INSERT INTO f VALUES ('2024-03-02', 'err', 2), (NULL, 'err', 3);
ROLLBACK TO s;
INSERT INTO f VALUES ('2024-03-03', 'err', 4);
COMMIT;
SELECT ts, v FROM f WHERE host = 'err' ORDER BY ts;
-- an error, not caught
BEGIN;
INSERT INTO f VALUES ('2024-03-04', 'err', 5);
SELECT 1 / 0;
COMMIT;
SELECT count(*) FROM f WHERE host = 'err';

-- plpgsql
DO $$
BEGIN
  FOR i IN 1..10 LOOP
    BEGIN
      INSERT INTO f VALUES ('2024-04-01'::timestamptz + i * interval '1 h', 'plpgsql', i);
      IF i % 3 = 0 THEN RAISE EXCEPTION 'no'; END IF;
    EXCEPTION WHEN raise_exception THEN NULL;
    END;
  END LOOP;
END $$;
SELECT array_agg(v ORDER BY ts) FROM f WHERE host = 'plpgsql';
CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..6 LOOP
    INSERT INTO f VALUES ('2024-05-01'::timestamptz + i * interval '1 h', 'proc', i);
    IF i % 2 = 0 THEN COMMIT; ELSE ROLLBACK; END IF;
  END LOOP;
END $$;
CALL commits();
SELECT array_agg(v ORDER BY ts) FROM f WHERE host = 'proc';

-- a cursor does not see what comes after it, the next statement does
BEGIN;
INSERT INTO f VALUES ('2024-06-01', 'cur', 1);
DECLARE c CURSOR FOR SELECT v FROM f WHERE host = 'cur' ORDER BY ts;
INSERT INTO f VALUES ('2024-06-02', 'cur', 2);
FETCH ALL FROM c;
SELECT v FROM f WHERE host = 'cur' ORDER BY ts;
COMMIT;

-- together with a heap table, both or neither
BEGIN;
INSERT INTO f VALUES ('2024-07-01', 'both', 1);
INSERT INTO h VALUES (1);
COMMIT;
BEGIN;
INSERT INTO h VALUES (2);
INSERT INTO f VALUES ('2024-07-02', 'both', 2);
ROLLBACK;
SELECT (SELECT array_agg(v) FROM h) AS heap, (SELECT array_agg(v) FROM f WHERE host = 'both') AS m3db;
-- a constraint that fails at commit
CREATE TABLE dk (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);
BEGIN;
INSERT INTO f VALUES ('2024-07-03', 'both', 3);
INSERT INTO dk VALUES (1), (1);
COMMIT;
SELECT count(*) FROM f WHERE host = 'both';

-- isolation levels, asynchronous commit
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM f WHERE host = 'iso';
INSERT INTO f VALUES ('2024-08-01', 'iso', 1);
SELECT count(*) FROM f WHERE host = 'iso';
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO f VALUES ('2024-08-02', 'iso', 2);
COMMIT;
SET m3db.commitlog_strategy = behind;
INSERT INTO f VALUES ('2024-08-03', 'iso', 3);
RESET m3db.commitlog_strategy;
SET synchronous_commit = off;
BEGIN;
INSERT INTO h VALUES (3);
INSERT INTO f VALUES ('2024-08-04', 'iso', 4);
COMMIT;
RESET synchronous_commit;
SELECT ts, v FROM f WHERE host = 'iso' ORDER BY ts;

-- read-only
BEGIN READ ONLY;
SELECT count(*) FROM f WHERE host = 'iso';
INSERT INTO f VALUES ('2024-08-05', 'iso', 5);
ROLLBACK;

-- two-phase commit: refused with points, and only then
BEGIN;
INSERT INTO f VALUES ('2024-09-01', '2pc', 1);
PREPARE TRANSACTION 'm3db_regress';
SELECT count(*) FROM f WHERE host = '2pc';
BEGIN;
SAVEPOINT s;
INSERT INTO f VALUES ('2024-09-01', '2pc', 1);
ROLLBACK TO s;
INSERT INTO h SELECT count(*) FROM f WHERE host = '2pc';
PREPARE TRANSACTION 'm3db_regress';
COMMIT PREPARED 'm3db_regress';
BEGIN;
INSERT INTO f VALUES ('2024-09-02', '2pc', 2);
COMMIT;
SELECT v FROM f WHERE host = '2pc';

-- DDL in the transaction that writes
BEGIN;
CREATE FOREIGN TABLE fresh (ts timestamptz, v float8) SERVER x1;
INSERT INTO fresh VALUES ('2024-01-01', 1);
ALTER FOREIGN TABLE fresh ADD COLUMN host text;
INSERT INTO fresh VALUES ('2024-01-01', 2, 'a');
SELECT * FROM fresh ORDER BY v;
ROLLBACK;
SELECT count(*) FROM m3db.namespaces WHERE name = 't_transaction.fresh';

-- larger than work_mem
SET work_mem = '64kB';
BEGIN;
INSERT INTO f SELECT '2025-01-01'::timestamptz + n * interval '1 s', 'spill', n FROM generate_series(1, 50000) n;
SAVEPOINT s;
INSERT INTO f SELECT '2025-01-01'::timestamptz + n * interval '1 s', 'spill', -n FROM generate_series(1, 50000) n;
SELECT count(*), sum(v) FROM f WHERE host = 'spill';
ROLLBACK TO s;
SELECT count(*), sum(v) FROM f WHERE host = 'spill';
COMMIT;
RESET work_mem;
SELECT count(*), sum(v) FROM f WHERE host = 'spill';

DROP SCHEMA t_transaction CASCADE;
DROP SERVER x1;
