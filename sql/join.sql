-- Joins: the foreign table as the inner side of a nested loop, looked up by tag and time.
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET enable_memoize = off;
CREATE SERVER join_server FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE jm (ts timestamptz NOT NULL, host text, region text, value float8)
	SERVER join_server OPTIONS (namespace 'join');
INSERT INTO jm
	SELECT timestamptz '2024-01-01' + m * interval '1 min', 'h' || h, 'r' || h % 3, h * 1000 + m
	FROM generate_series(0, 99) m, generate_series(1, 100) h;
CREATE TABLE hosts (host text PRIMARY KEY, rack int);
INSERT INTO hosts SELECT 'h' || h, h % 10 FROM generate_series(1, 110) h;
INSERT INTO hosts VALUES ('none', 0);
CREATE TABLE events (host text, region text, started timestamptz, ended timestamptz);
INSERT INTO events VALUES
	('h1', 'r1', '2024-01-01 00:10', '2024-01-01 00:12'),
	('h2', 'r2', '2024-01-01 01:00', NULL),
	('h3', 'r1', '2024-01-01 01:00', '2024-01-01 01:01'),
	(NULL, 'r0', '2024-01-01', '2024-01-02'),
	('h4', 'r1', '2024-01-01 01:39', '2024-01-01 02:00');
ANALYZE hosts, events;

SET enable_hashjoin = off;
SET enable_mergejoin = off;
-- by tag, through an equivalence class
EXPLAIN (COSTS OFF)
SELECT h.rack, c.value FROM hosts h JOIN jm c ON c.host = h.host WHERE h.host = 'h5';
EXPLAIN (COSTS OFF)
SELECT h.host, count(*), sum(c.value) FROM hosts h JOIN jm c USING (host)
	WHERE h.rack = 7 AND c.ts < '2024-01-01 00:10' GROUP BY h.host;
SELECT h.host, count(*), sum(c.value) FROM hosts h JOIN jm c USING (host)
	WHERE h.rack = 7 AND c.ts < '2024-01-01 00:10' GROUP BY h.host ORDER BY h.host;

-- by two tags and a range of times, through join clauses
EXPLAIN (COSTS OFF)
SELECT e.host, e.started, count(*), min(c.ts), max(c.ts) FROM events e JOIN jm c
	ON c.host = e.host AND c.region = e.region AND c.ts >= e.started AND c.ts < e.ended
	GROUP BY 1, 2;
SELECT e.host, e.started, count(*), min(c.ts), max(c.ts) FROM events e JOIN jm c
	ON c.host = e.host AND c.region = e.region AND c.ts >= e.started AND c.ts < e.ended
	GROUP BY 1, 2 ORDER BY 1, 2;

-- an outer join, a semi-join, an anti-join
SELECT e.host, count(c.ts) FROM events e LEFT JOIN jm c ON c.host = e.host AND c.ts <= e.started
	GROUP BY 1 ORDER BY 1;
SELECT host FROM hosts h WHERE rack = 1
	AND EXISTS (SELECT FROM jm c WHERE c.host = h.host AND c.value::int % 1000 = 42) ORDER BY 1;
SELECT host FROM hosts h WHERE NOT EXISTS (SELECT FROM jm c WHERE c.host = h.host) ORDER BY 1;

-- lateral: the last point of each
EXPLAIN (COSTS OFF)
SELECT h.host, l.* FROM hosts h,
	LATERAL (SELECT c.ts, c.value FROM jm c WHERE c.host = h.host ORDER BY c.ts DESC LIMIT 1) l
	WHERE h.rack = 3;
SELECT h.host, l.* FROM hosts h,
	LATERAL (SELECT c.ts, c.value FROM jm c WHERE c.host = h.host ORDER BY c.ts DESC LIMIT 1) l
	WHERE h.rack = 3 ORDER BY 1;
EXPLAIN (COSTS OFF)
SELECT h.host, l.value FROM hosts h,
	LATERAL (SELECT c.value FROM jm c WHERE h.host = c.host
		UNION ALL SELECT d.value FROM jm d WHERE d.host = h.host AND d.region = 'r1' || h.rack) l
	WHERE h.rack = 3;
RESET enable_hashjoin;
RESET enable_mergejoin;

-- a correlated sub-select rescans with other parameters
EXPLAIN (COSTS OFF)
SELECT e.host, (SELECT sum(c.value) FROM jm c WHERE c.host = e.host AND c.ts >= e.started) FROM events e;
SELECT e.host, (SELECT sum(c.value) FROM jm c WHERE c.host = e.host AND c.ts >= e.started) FROM events e ORDER BY 1;
-- a rescan without any
SET enable_material = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT count(*), sum(a.value) FROM events e, jm a WHERE a.ts < '2024-01-01 00:02' AND e.started < a.ts + interval '1 year';
SELECT count(*) FROM jm a JOIN jm b ON a.ts = b.ts AND a.host = b.host AND b.value = a.value WHERE a.region = 'r1' AND a.ts < '2024-01-01 00:10';
RESET enable_material;
RESET enable_hashjoin;
RESET enable_mergejoin;

-- all kinds of join give the same
CREATE FUNCTION join_sum() RETURNS text LANGUAGE sql AS
	'SELECT count(*) || '' '' || sum(c.value) FROM hosts h JOIN jm c ON c.host = h.host
		AND c.ts > timestamptz ''2024-01-01'' + h.rack * interval ''10 min''';
SELECT join_sum();
SET enable_hashjoin = off;
SELECT join_sum();
SET enable_mergejoin = off;
SELECT join_sum();
SET enable_nestloop = off;
SET enable_hashjoin = on;
SELECT join_sum();
RESET ALL;
SET timezone = 'UTC';
SET datestyle = 'ISO';

-- rows rechecked after waiting for a lock keep their values
BEGIN;
SELECT h.host, c.value FROM hosts h JOIN jm c USING (host)
	WHERE h.host = 'h9' AND c.ts < '2024-01-01 00:02' ORDER BY 2 FOR UPDATE;
UPDATE hosts h SET rack = 99 FROM jm c WHERE c.host = h.host AND c.value = 9042 RETURNING h.*, c.value;
ROLLBACK;

DROP FUNCTION join_sum;
DROP TABLE hosts, events;
DROP FOREIGN TABLE jm;
DROP SERVER join_server;
