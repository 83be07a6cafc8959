-- Scans shared by several processes: the same answers as one process gives.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE SCHEMA t_parallel;
CREATE SCHEMA t_parallel_heap;
SET search_path = t_parallel;
CREATE SERVER parallel_scan_server FOREIGN DATA WRAPPER m3db_fdw;

CREATE FOREIGN TABLE n (ts timestamptz NOT NULL, host text, rack int, value float8)
	SERVER parallel_scan_server OPTIONS (block_size '1 hour');
CREATE FOREIGN TABLE w (ts timestamptz NOT NULL, host text, a float8, b float8, c float8)
	SERVER parallel_scan_server OPTIONS (block_size '1 hour');
CREATE FOREIGN TABLE few (ts timestamptz NOT NULL, host text, value float8)
	SERVER parallel_scan_server;
CREATE TABLE t_parallel_heap.n (ts timestamptz NOT NULL, host text, rack int, value float8);
CREATE TABLE t_parallel_heap.w (ts timestamptz NOT NULL, host text, a float8, b float8, c float8);
CREATE TABLE t_parallel_heap.few (ts timestamptz NOT NULL, host text, value float8);
CREATE TABLE hosts AS SELECT 'h' || i AS host, i % 3 AS site FROM generate_series(0, 59) i;
CREATE TABLE t_parallel_heap.hosts AS TABLE hosts;
ANALYZE hosts, t_parallel_heap.hosts;

INSERT INTO t_parallel_heap.n
	SELECT timestamptz '2024-01-01' + (i / 50) * interval '1 min', 'h' || i % 50, i % 5, i % 1000
	FROM generate_series(0, 11999) i;
INSERT INTO t_parallel_heap.w
	SELECT ts, host, value, value + 1, CASE WHEN value < 300 THEN -value END
	FROM t_parallel_heap.n WHERE rack < 3;
INSERT INTO t_parallel_heap.few
	SELECT timestamptz '2024-01-01' + i * interval '1 s', 'f' || i % 2, i FROM generate_series(0, 1999) i;
-- some of it in files, some in memory, some in both
INSERT INTO n SELECT * FROM t_parallel_heap.n WHERE ts < '2024-01-01 02:30' OR rack = 4;
INSERT INTO w SELECT * FROM t_parallel_heap.w WHERE ts < '2024-01-01 02:30';
SELECT (m3db.flush('n')).filesets > 0 AND (m3db.flush('w')).filesets > 0 AS flushed;
INSERT INTO n SELECT * FROM t_parallel_heap.n WHERE NOT (ts < '2024-01-01 02:10' OR rack = 4);
INSERT INTO w SELECT * FROM t_parallel_heap.w WHERE ts >= '2024-01-01 02:10';
INSERT INTO few SELECT * FROM t_parallel_heap.few;
ANALYZE t_parallel_heap.n, t_parallel_heap.w;

SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SET m3db.enable_aggregate_pushdown = off;

-- ---- plans ----

EXPLAIN (COSTS OFF) SELECT count(*), sum(value) FROM n WHERE host <> 'h7' AND value > 10;
EXPLAIN (COSTS OFF) SELECT max(a) FROM w WHERE ts >= '2024-01-01 01:00';
-- as many processes as series
EXPLAIN (COSTS OFF) SELECT sum(value) FROM few;
EXPLAIN (COSTS OFF) SELECT sum(value) FROM few WHERE host = 'f1';
SET parallel_leader_participation = off;
EXPLAIN (COSTS OFF) SELECT sum(value) FROM few;
RESET parallel_leader_participation;
SET m3db.enable_parallel_scan = off;
EXPLAIN (COSTS OFF) SELECT count(*), sum(value) FROM n;
RESET m3db.enable_parallel_scan;
-- too little to be worth it
RESET min_parallel_table_scan_size;
EXPLAIN (COSTS OFF) SELECT count(*), sum(value) FROM n;
SET min_parallel_table_scan_size = 0;
-- somebody else's part of an Append
EXPLAIN (COSTS OFF) SELECT count(*) FROM (SELECT host FROM n UNION ALL SELECT host FROM w) u;

-- Scans of ours that are below a Gather without being shared; and those that are shared.
CREATE FUNCTION below_gather(plan jsonb, below boolean, aware boolean) RETURNS bigint LANGUAGE sql AS $$
	SELECT (below AND plan->>'Node Type' = 'Foreign Scan' AND
			(plan->>'Parallel Aware')::boolean = aware)::int +
		coalesce((SELECT sum(t_parallel.below_gather(child, below OR
				plan->>'Node Type' LIKE 'Gather%' AND child->>'Parent Relationship' = 'Outer', aware))
			FROM jsonb_array_elements(plan->'Plans') child), 0)
$$;
CREATE FUNCTION scans_below_gather(query text, OUT alone bigint, OUT shared bigint) LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	alone := t_parallel.below_gather(plan::jsonb->0->'Plan', false, false);
	shared := t_parallel.below_gather(plan::jsonb->0->'Plan', false, true);
END $$;

CREATE TABLE queries (id int, query text);
INSERT INTO queries VALUES
	(1, 'SELECT count(*), sum(value), min(ts), max(ts) FROM n'),
	(2, 'SELECT host, rack, count(*), sum(value) FROM n GROUP BY host, rack'),
	(3, 'SELECT count(*), sum(value) FROM n WHERE ts >= ''2024-01-01 01:30'' AND ts < ''2024-01-01 03:05'''),
	(4, 'SELECT rack, sum(value) FROM n WHERE host LIKE ''h1%'' AND value < 500 GROUP BY rack'),
	(5, 'SELECT count(*), count(a), count(c), sum(a), sum(b), sum(c) FROM w'),
	(6, 'SELECT host, count(*), sum(b - a), sum(c) FROM w WHERE a > 100 GROUP BY host'),
	(7, 'SELECT ts, host, value FROM n WHERE value = 77'),
	(8, 'SELECT site, count(*), sum(value) FROM n JOIN hosts USING (host) GROUP BY site'),
	(9, 'SELECT site, count(*), sum(value) FROM hosts LEFT JOIN n USING (host) GROUP BY site'),
	(10, 'SELECT count(*), sum(value), sum(a) FROM n JOIN w USING (host, ts)'),
	(11, 'SELECT count(*), sum(x.value + y.value) FROM n x JOIN n y USING (host, ts) WHERE x.rack = 1'),
	(12, 'SELECT host FROM hosts h WHERE NOT EXISTS (SELECT FROM n WHERE n.host = h.host)'),
	(13, 'SELECT host, (SELECT sum(value) FROM n WHERE n.host = h.host) FROM hosts h'),
	(14, 'SELECT count(*) FROM n WHERE host IN (SELECT host FROM hosts WHERE site = 1)'),
	(15, 'SELECT count(*), sum(v) FROM (SELECT value v FROM n UNION ALL SELECT a FROM w UNION ALL SELECT site FROM hosts) u'),
	(16, 'SELECT count(*), sum(value) FROM n WHERE value > (SELECT avg(a) FROM w)'),
	(17, 'SELECT count(*), sum(value) FROM few'),
	(18, 'SELECT x, s.* FROM (SELECT count(*) c, sum(value) FROM n) s RIGHT JOIN (VALUES (1), (2), (3)) v(x) ON c > x'),
	(19, 'SELECT x, count(*) FROM (SELECT host FROM n LIMIT 700) s RIGHT JOIN (VALUES (1), (2), (3)) v(x) ON host <> '''' || x GROUP BY x'),
	(20, 'SELECT DISTINCT host FROM n WHERE rack <> 2'),
	(21, 'SELECT h.host, l.* FROM hosts h, LATERAL (SELECT count(*), sum(value) FROM n WHERE n.host = h.host AND n.value > h.site * 100) l'),
	(22, 'SELECT rank() OVER (ORDER BY value, host, ts), value FROM n WHERE value < 5'),
	(23, 'SELECT host FROM hosts h WHERE site = 1 OR (SELECT count(*) FROM n WHERE n.host = h.host) > 3'),
	(24, 'SELECT count(*) FROM n WHERE host = ''nobody'''),
	(25, 'SELECT count(*), sum(length(host)) FROM n WHERE rack = ANY (ARRAY[1, 3])');

CREATE FUNCTION answer(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE format('SELECT count(*) || '' '' || coalesce(md5(string_agg(q::text, '','' ORDER BY q::text)), ''-'')
		FROM (%s) q', query) INTO answer;
	RETURN answer;
END $$;

-- The queries that a mode answers unlike the heap.
CREATE FUNCTION wrong_answers(modes text[], first int DEFAULT 1, last int DEFAULT 99) RETURNS TABLE (mode text, id int, got text, wanted text) LANGUAGE plpgsql AS $$
DECLARE
	q record;
BEGIN
	FOR q IN SELECT * FROM t_parallel.queries WHERE queries.id BETWEEN first AND last ORDER BY id LOOP
		id := q.id;
		SET LOCAL search_path = t_parallel_heap;
		wanted := t_parallel.answer(q.query);
		SET LOCAL search_path = t_parallel;
		FOREACH mode IN ARRAY modes LOOP
			PERFORM set_config('m3db.enable_parallel_scan', CASE mode WHEN 'serial' THEN 'off' ELSE 'on' END, true);
			PERFORM set_config('max_parallel_workers_per_gather', CASE mode WHEN 'one worker' THEN '1' ELSE '2' END, true);
			PERFORM set_config('parallel_leader_participation', CASE mode WHEN 'workers only' THEN 'off' ELSE 'on' END, true);
			PERFORM set_config('max_parallel_workers', CASE mode WHEN 'no workers' THEN '0' ELSE '8' END, true);
			got := t_parallel.answer(q.query);
			CONTINUE WHEN got = wanted;
			RETURN NEXT;
		END LOOP;
	END LOOP;
END $$;

-- ---- answers ----

SELECT sum(alone) AS alone, sum((shared > 0)::int) > 12 AS most_shared FROM queries, scans_below_gather(query);
SELECT * FROM wrong_answers('{serial,shared,one worker,workers only,no workers}');
SET enable_material = off;
SET enable_hashjoin = off;
SELECT sum(alone) AS alone, sum(shared) > 0 AS some_shared FROM queries, scans_below_gather(query);
SELECT * FROM wrong_answers('{shared,workers only}', 8, 19);
RESET enable_material;
SET enable_mergejoin = off;
SELECT sum(alone) AS alone, sum(shared) > 0 AS some_shared FROM queries, scans_below_gather(query);
SELECT * FROM wrong_answers('{shared,workers only}', 8, 12);
RESET enable_hashjoin;
RESET enable_mergejoin;
-- everything that could run in a worker does
SELECT count(set_config(name, 'on', false)) FROM pg_settings
	WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT sum(alone) AS alone, sum(shared) > 0 AS some_shared FROM queries, scans_below_gather(query);
SELECT * FROM wrong_answers('{shared}');
SELECT count(set_config(name, 'off', false)) FROM pg_settings
	WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
-- aggregates inside the shared scan
RESET m3db.enable_aggregate_pushdown;
SELECT sum(alone) AS alone, sum(shared) > 0 AS some_shared FROM queries, scans_below_gather(query);
SELECT * FROM wrong_answers('{serial,shared,workers only}');
PREPARE own_inside AS SELECT count(*), sum(value) FROM n;
SET plan_cache_mode = force_generic_plan;
EXECUTE own_inside;
BEGIN;
INSERT INTO n VALUES ('2024-01-01 00:00', 'h0', 0, 1000000), ('2024-01-02', 'new', 1, 1000000);
SET LOCAL parallel_leader_participation = off;
EXECUTE own_inside;
ROLLBACK;
RESET plan_cache_mode;
SET m3db.enable_aggregate_pushdown = off;

-- partitions, ours beside others
CREATE TABLE parts (ts timestamptz NOT NULL, host text, value float8) PARTITION BY RANGE (ts);
CREATE FOREIGN TABLE part_f PARTITION OF parts FOR VALUES FROM ('2024-01-01') TO ('2024-01-02')
	SERVER parallel_scan_server;
CREATE TABLE part_h PARTITION OF parts FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
INSERT INTO parts SELECT ts, host, value FROM t_parallel_heap.n;
INSERT INTO parts SELECT ts - interval '1 day', host, value FROM t_parallel_heap.n;
ANALYZE part_h;
SELECT * FROM scans_below_gather('SELECT count(*), sum(value) FROM parts');
SELECT count(*), sum(value) FROM parts;

-- ---- the transaction's own points ----

CREATE FUNCTION workers(query text, OUT planned text, OUT launched text) LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
		planned := coalesce(planned, substring(line FROM 'Workers Planned: (\d+)'));
		launched := coalesce(launched, substring(line FROM 'Workers Launched: (\d+)'));
	END LOOP;
END $$;

SET plan_cache_mode = force_generic_plan;
PREPARE own AS SELECT count(*), sum(value) FROM n;
PREPARE own_wide AS SELECT count(*), sum(a), sum(b), sum(c) FROM w;
EXECUTE own;
EXECUTE own_wide;
SELECT * FROM workers('EXECUTE own');

BEGIN;
INSERT INTO n VALUES ('2024-01-01 00:00', 'h0', 0, 1000000), ('2024-01-02', 'new', 1, 1000000);
INSERT INTO w VALUES ('2024-01-01 00:00', 'h0', 1000000, NULL, NULL), ('2024-01-02', 'new', 1000000, 1, 1);
-- planned before
EXECUTE own;
EXECUTE own_wide;
SELECT * FROM workers('EXECUTE own');
SET LOCAL parallel_leader_participation = off;
EXECUTE own;
EXECUTE own_wide;
SELECT * FROM workers('EXECUTE own_wide');
-- planned now
SELECT count(*), sum(value) FROM n;
SELECT * FROM workers('SELECT count(*), sum(value) FROM n');
SELECT * FROM workers('SELECT count(*) FROM hosts');
SAVEPOINT s;
TRUNCATE n;
EXECUTE own;
ROLLBACK TO s;
EXECUTE own;
ROLLBACK;

BEGIN;
SAVEPOINT s;
INSERT INTO n VALUES ('2024-01-02', 'new', 1, 1000000);
EXECUTE own;
ROLLBACK TO s;
EXECUTE own;
COMMIT;
EXECUTE own;
SELECT * FROM workers('EXECUTE own');

-- a rescan, planned before
SET enable_material = off;
PREPARE again AS SELECT x, s.* FROM (SELECT count(*) c, sum(value) FROM n) s
	RIGHT JOIN (VALUES (1), (2)) v(x) ON c > x;
EXECUTE again;
BEGIN;
INSERT INTO n VALUES ('2024-01-02', 'new', 1, 1), ('2024-01-02', 'new', 7, 1);
SET LOCAL parallel_leader_participation = off;
EXECUTE again;
ROLLBACK;
RESET enable_material;

-- nobody writes while workers may run
CREATE FUNCTION write_point(value float8) RETURNS boolean LANGUAGE plpgsql PARALLEL SAFE AS $$
BEGIN
	INSERT INTO t_parallel.n VALUES ('2024-01-05', 'written', 1, value);
	RETURN true;
END $$;
SELECT count(*) FROM n WHERE write_point(value);
SET parallel_leader_participation = off;
SELECT count(*) FROM n WHERE write_point(value);
RESET parallel_leader_participation;
SELECT count(*) FROM n WHERE host = 'written';

-- ---- parameters, cursors, functions, errors ----

PREPARE by_host(text, timestamptz) AS
	SELECT count(*), sum(value) FROM n WHERE host <> $1 AND ts >= $2 AND value >= 0;
SELECT * FROM workers($$EXECUTE by_host('h1', '2024-01-01 02:00')$$);
EXECUTE by_host('h1', '2024-01-01 02:00');
EXECUTE by_host('h2', '2024-01-01 03:59');
EXECUTE by_host(NULL, '2024-01-01');
RESET plan_cache_mode;

BEGIN;
DECLARE c CURSOR FOR SELECT count(*), sum(value) FROM n;
INSERT INTO n VALUES ('2024-01-02', 'new', 1, 1000000);
FETCH ALL FROM c;
ROLLBACK;

CREATE FUNCTION summed() RETURNS float8 LANGUAGE sql STABLE AS 'SELECT sum(value) FROM t_parallel.n';
SELECT summed();
BEGIN;
INSERT INTO n VALUES ('2024-01-02', 'new', 1, 1000000);
SELECT summed();
ROLLBACK;
CREATE TABLE made AS SELECT host, sum(value) FROM n GROUP BY host;
SELECT count(*), sum(sum) FROM made;
INSERT INTO n SELECT ts, 'copy', 1, max(value) FROM n WHERE rack = 0 GROUP BY ts;
SELECT count(*), sum(value) FROM n WHERE host = 'copy';
SELECT count(*) FROM n;

SELECT sum(1 / (value - 77)) FROM n;
SET parallel_leader_participation = off;
SELECT sum(1 / (value - 77)) FROM n;
RESET parallel_leader_participation;
SELECT count(*) FROM (SELECT * FROM n LIMIT 10) s;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT count(*), sum(value) FROM n;
COMMIT;

-- ---- counters ----

CREATE FUNCTION counters(query text) RETURNS TABLE (counter text, value text) LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
		counter := substring(line FROM '^ *(Series Matched|Series Examined|Blocks Read|Blocks Skipped|Bytes Read|Points Decoded):');
		value := substring(line FROM ': (\d+)');
		CONTINUE WHEN counter IS NULL;
		RETURN NEXT;
	END LOOP;
END $$;
CREATE TABLE shared_counters AS SELECT id, c.* FROM queries, counters(query) c WHERE id < 7;
SET parallel_leader_participation = off;
CREATE TABLE worker_counters AS SELECT id, c.* FROM queries, counters(query) c WHERE id < 7;
RESET parallel_leader_participation;
SET m3db.enable_parallel_scan = off;
CREATE TABLE serial_counters AS SELECT id, c.* FROM queries, counters(query) c WHERE id < 7;
SELECT count(*) FROM serial_counters;
SELECT * FROM serial_counters EXCEPT SELECT * FROM shared_counters;
SELECT * FROM serial_counters EXCEPT SELECT * FROM worker_counters;
RESET m3db.enable_parallel_scan;
-- stopped before the end, workers' counters are there all the same
SET parallel_leader_participation = off;
SELECT counter, value::int > 0 AS counted FROM counters('SELECT * FROM n LIMIT 10')
	WHERE counter IN ('Series Matched', 'Points Decoded');
RESET parallel_leader_participation;

DEALLOCATE ALL;
SET client_min_messages = warning;
DROP SCHEMA t_parallel, t_parallel_heap CASCADE;
DROP SERVER parallel_scan_server CASCADE;
