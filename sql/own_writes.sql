-- A transaction sees its own points; a statement does not see what it adds itself.
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE SERVER own_writes FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE ow (ts timestamptz NOT NULL, host text, value float8)
	SERVER own_writes OPTIONS (namespace 'own_writes', block_size '2 hours');

-- before anything was committed
BEGIN;
SELECT count(*) FROM ow;
INSERT INTO ow VALUES ('2024-01-01 00:00', 'a', 1), ('2024-01-01 00:01', 'a', 2);
SELECT * FROM ow ORDER BY ts;
ROLLBACK;
SELECT count(*) FROM ow;

INSERT INTO ow SELECT timestamptz '2024-01-01' + m * interval '1 min', 'a', m FROM generate_series(0, 4) m;
BEGIN;
-- over, between, before and after committed points, and in a new series
INSERT INTO ow VALUES ('2024-01-01 00:01', 'a', 100), ('2024-01-01 00:01:30', 'a', 150),
	('2023-12-31', 'a', -1), ('2024-02-01', 'a', 200), ('2024-01-01', 'b', 7), ('2024-01-01', NULL, 8);
SELECT * FROM ow ORDER BY host, ts;
SELECT * FROM ow WHERE ts = '2024-01-01 00:01';
SELECT * FROM ow WHERE host = 'b';
SELECT * FROM ow WHERE host IS NULL;
-- the last write wins, within a statement and between statements
INSERT INTO ow VALUES ('2024-01-01 00:02', 'a', 1000), ('2024-01-01 00:02', 'a', 1001);
INSERT INTO ow VALUES ('2024-01-01 00:03', 'a', 1002);
INSERT INTO ow VALUES ('2024-01-01 00:03', 'a', 1003);
SELECT * FROM ow WHERE host = 'a' AND ts BETWEEN '2024-01-01' AND '2024-01-02' ORDER BY ts;
-- subtransactions
SAVEPOINT s1;
INSERT INTO ow VALUES ('2024-01-01 00:04', 'a', 4000), ('2024-01-01', 'c', 1);
SAVEPOINT s2;
INSERT INTO ow VALUES ('2024-01-01 00:04', 'a', 5000);
SELECT value FROM ow WHERE ts = '2024-01-01 00:04';
ROLLBACK TO s2;
SELECT value FROM ow WHERE ts = '2024-01-01 00:04';
ROLLBACK TO s1;
SELECT value FROM ow WHERE ts = '2024-01-01 00:04';
SELECT count(*) FROM ow WHERE host = 'c';
COMMIT;
SELECT * FROM ow ORDER BY host, ts;

-- a statement that reads what it writes ends
INSERT INTO ow SELECT ts + interval '1 year', host, value FROM ow;
SELECT count(*) FROM ow;
BEGIN;
INSERT INTO ow SELECT ts + interval '2 years', host, value FROM ow;
INSERT INTO ow SELECT ts + interval '4 years', host, value FROM ow;
SELECT count(*) FROM ow;
ROLLBACK;
SELECT count(*) FROM ow;
WITH added AS (INSERT INTO ow VALUES ('2024-06-01', 'w', 1) RETURNING *)
	SELECT (SELECT count(*) FROM added) AS added, count(*) FILTER (WHERE host = 'w') AS seen FROM ow;
SELECT count(*) FROM ow WHERE host = 'w';

-- functions: volatile ones see what came before, stable ones what their caller sees
CREATE FUNCTION seen_volatile() RETURNS bigint LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN (SELECT count(*) FROM ow); END';
CREATE FUNCTION seen_stable() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) FROM ow); END';
CREATE FUNCTION add_one(t timestamptz) RETURNS int LANGUAGE plpgsql VOLATILE AS
	$$ BEGIN INSERT INTO ow VALUES (t, 'f', 1); RETURN 1; END $$;
BEGIN;
SELECT n, add_one(timestamptz '2025-06-01' + n * interval '1 s'), seen_volatile() - (SELECT count(*) FROM ow) AS seen_volatile,
	seen_stable() - (SELECT count(*) FROM ow) AS seen_stable FROM generate_series(1, 3) n;
SELECT count(*) FROM ow WHERE host = 'f';
ROLLBACK;

-- more than fits into work_mem
SET work_mem = '64kB';
BEGIN;
INSERT INTO ow SELECT timestamptz '2024-03-01' + m * interval '1 s', 'big' || m % 7, m FROM generate_series(1, 50000) m;
SELECT count(*), sum(value), count(DISTINCT host) FROM ow WHERE host LIKE 'big%';
SELECT count(*), sum(value) FROM ow WHERE host = 'big3' AND ts < '2024-03-01 01:00';
ROLLBACK;
RESET work_mem;
SELECT count(*) FROM ow WHERE host LIKE 'big%';

DROP FUNCTION seen_volatile, seen_stable, add_one;
DROP FOREIGN TABLE ow;
DROP SERVER own_writes;
