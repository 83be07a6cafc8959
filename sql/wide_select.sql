-- Wide tables: series that differ in __name__ are columns of one row.
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE SERVER wide_select FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE w (
	ts timestamptz NOT NULL, host text, region text,
	usage float8, idle float8, waiting float8 OPTIONS (metric 'cpu_wait'))
	SERVER wide_select OPTIONS (namespace 'wide_select', block_size '2 hours');
INSERT INTO w VALUES
	('2024-01-01 00:00', 'a', 'eu', 1, 10, 100),
	('2024-01-01 00:01', 'a', 'eu', 2, NULL, NULL),
	('2024-01-01 00:02', 'a', 'eu', NULL, 30, NULL),
	('2024-01-01 00:03', 'a', 'eu', NULL, NULL, 400),
	('2024-01-01 06:00', 'a', 'eu', NULL, 50, 500),
	('2024-01-01 00:00', 'b', 'eu', NULL, 11, NULL),
	('2024-01-01 00:02', 'b', 'eu', 3, NULL, 101),
	('2024-01-01 00:00', NULL, NULL, 7, NULL, NULL),
	('2024-01-01 00:00', 'a', NULL, NULL, NULL, 8);
SELECT * FROM w ORDER BY host, region, ts;
-- a row exists for every column's points, whichever are asked for
SELECT ts, host, usage FROM w ORDER BY host, region, ts;
SELECT count(*), count(usage), count(idle), count(waiting) FROM w;
SELECT count(*) FROM w;
SELECT host, count(*) FROM w GROUP BY 1 ORDER BY 1;
SELECT ts FROM w WHERE host = 'a' AND region = 'eu';
SELECT w FROM w WHERE host = 'b' ORDER BY ts;
SELECT count(*) FROM w WHERE usage IS NULL;
SELECT ts, host FROM w WHERE usage IS NULL AND waiting IS NULL ORDER BY 1, 2;
-- a condition that only rows with the value can fulfil
SELECT ts, host, usage FROM w WHERE usage > 1 ORDER BY 1, 2;
SELECT ts, idle FROM w WHERE usage IS NOT NULL AND host = 'a' ORDER BY 1;
SELECT ts, idle FROM w WHERE usage + 0 > 0 AND idle > waiting - 1000 ORDER BY 1;
SELECT ts FROM w WHERE usage > 1 OR idle > 20 ORDER BY 1;
SELECT avg(usage) FROM w WHERE waiting < 200;
-- times and tags
SELECT * FROM w WHERE ts >= '2024-01-01 00:02' AND ts < '2024-01-01 01:00' ORDER BY host, ts;
SELECT * FROM w WHERE host IS NULL;
SELECT * FROM w WHERE region IS NULL ORDER BY host;
SELECT * FROM w WHERE host IN ('b', 'x') ORDER BY ts;
EXPLAIN (COSTS OFF) SELECT usage FROM w WHERE host = 'a' AND ts < now() AND idle > 3;
-- overwriting one column leaves the others
INSERT INTO w (ts, host, region, idle) VALUES ('2024-01-01 00:00', 'a', 'eu', -10), ('2024-01-01 00:01', 'a', 'eu', -20);
SELECT * FROM w WHERE host = 'a' AND region = 'eu' AND ts < '2024-01-01 00:02';

-- the same namespace in other shapes
CREATE FOREIGN TABLE w_two (ts timestamptz, host text, usage float8, cpu_wait float8)
	SERVER wide_select OPTIONS (namespace 'wide_select', block_size '2 hours');
SELECT * FROM w_two ORDER BY host, ts, usage, cpu_wait;
CREATE FOREIGN TABLE w_narrow (ts timestamptz, metric text OPTIONS (tag '__name__'), host text, value float8)
	SERVER wide_select OPTIONS (namespace 'wide_select', block_size '2 hours');
SELECT * FROM w_narrow ORDER BY host, metric, ts, value;
SELECT * FROM w_narrow WHERE metric = 'idle' ORDER BY host, ts;
CREATE FOREIGN TABLE w_one (ts timestamptz, host text, region text, v float8 OPTIONS (metric 'idle'))
	SERVER wide_select OPTIONS (namespace 'wide_select', block_size '2 hours');
SELECT * FROM w_one ORDER BY host, ts;
CREATE FOREIGN TABLE w_tags (ts timestamptz, usage float8, idle float8, tags jsonb, unit text, annotation bytea)
	SERVER wide_select OPTIONS (namespace 'wide_select', block_size '2 hours');
SELECT ts, usage, idle, tags, unit, annotation FROM w_tags ORDER BY tags::text, ts;

-- nanoseconds apart is rows apart
CREATE FOREIGN TABLE w_ns (t bigint OPTIONS (role 'time_ns'), a float8, b float8)
	SERVER wide_select OPTIONS (namespace 'wide_select_ns');
CREATE FOREIGN TABLE w_us (ts timestamptz, a float8, b float8)
	SERVER wide_select OPTIONS (namespace 'wide_select_ns');
INSERT INTO w_ns VALUES (1704067200000000001, 1, NULL), (1704067200000000002, NULL, 2), (1704067200000000003, 3, 3);
SELECT * FROM w_ns;
SELECT * FROM w_us WHERE ts = '2024-01-01 00:00+00';

-- unit and annotation: those of the first column that has one
CREATE FOREIGN TABLE w_notes (ts timestamptz, host text, a float8, b float8, unit text, annotation bytea)
	SERVER wide_select OPTIONS (namespace 'wide_select_notes');
INSERT INTO w_notes VALUES ('2024-01-01', 'x', 1, 2, 's', 'both'), ('2024-01-02', 'x', NULL, 2, 'ms', 'of b'),
	('2024-01-03', 'x', 3, NULL, NULL, NULL);
INSERT INTO w_notes (ts, host, a, unit) VALUES ('2024-01-01', 'x', 10, 'us');
INSERT INTO w_notes (ts, host, b, annotation) VALUES ('2024-01-03', 'x', 30, 'later');
SELECT ts, a, b, unit, encode(annotation, 'escape') FROM w_notes;
SELECT encode(annotation, 'escape') FROM w_notes WHERE a IS NOT NULL;

-- many groups, against a plain table
CREATE FOREIGN TABLE w_many (ts timestamptz, host text, a float8, b float8, c float8, d float8)
	SERVER wide_select OPTIONS (namespace 'wide_select_many', block_size '1 hour');
CREATE TABLE w_plain (LIKE w_many);
INSERT INTO w_plain
	SELECT timestamptz '2024-01-01' + m * interval '7 min', 'h' || h,
		CASE WHEN (m + h) % 2 = 0 THEN m END, CASE WHEN (m + h) % 3 = 0 THEN h END,
		CASE WHEN (m * h) % 5 = 0 THEN m * h END, CASE WHEN (m + h) % 7 > 1 THEN m + h END
	FROM generate_series(1, 50) m, generate_series(1, 40) h;
DELETE FROM w_plain WHERE num_nonnulls(a, b, c, d) = 0;
INSERT INTO w_many SELECT * FROM w_plain;
SELECT count(*) FROM w_many;
SELECT count(*) FROM (TABLE w_many EXCEPT ALL TABLE w_plain) x;
SELECT count(*) FROM (TABLE w_plain EXCEPT ALL TABLE w_many) x;
SELECT count(*) FROM (SELECT ts, c FROM w_many WHERE c > 3 AND ts > '2024-01-01 01:00'
	EXCEPT ALL SELECT ts, c FROM w_plain WHERE c > 3 AND ts > '2024-01-01 01:00') x;
SELECT count(*) FROM (SELECT host, b, d FROM w_many WHERE b IS NOT NULL
	INTERSECT ALL SELECT host, b, d FROM w_plain WHERE b IS NOT NULL) x;
SELECT count(*) FROM w_plain WHERE b IS NOT NULL;

DROP TABLE w_plain;
DROP FOREIGN TABLE w, w_two, w_narrow, w_one, w_tags, w_ns, w_us, w_notes, w_many;
DROP SERVER wide_select;
