-- Aggregates inside the scan: what is taken, what is not, and that both answer alike.

SET timezone = 'UTC';
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';
SET search_path = public, m3db;

CREATE SERVER aggregate_engine FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE agg_cpu (
	ts timestamptz NOT NULL, host text, region varchar, core int, usage float8
) SERVER aggregate_engine OPTIONS (namespace 'agg_cpu', block_size '2 hours');
CREATE FOREIGN TABLE agg_wide (
	ts timestamptz NOT NULL, host text, a float8, b float8, c float8
) SERVER aggregate_engine OPTIONS (namespace 'agg_wide', block_size '2 hours');
CREATE FOREIGN TABLE agg_ns (
	ts_ns bigint OPTIONS (role 'time_ns') NOT NULL, host text, v float8
) SERVER aggregate_engine OPTIONS (namespace 'agg_ns', block_size '2 hours');

-- Values are small integers, so that sums are exact in any order.
INSERT INTO agg_cpu
SELECT '2024-10-26 12:00:00+00'::timestamptz + g * interval '97 seconds', 'web-' || g % 5,
	   CASE WHEN g % 3 > 0 THEN 'region ' || g % 3 END, g % 2, g % 101 - 50
  FROM generate_series(0, 2999) g;
INSERT INTO agg_wide
SELECT '2024-10-26 12:00:00+00'::timestamptz + g / 3 * interval '5 minutes', 'web-' || g % 3,
	   CASE WHEN g % 7 > 0 OR g % 4 = 0 THEN g % 50 END,
	   CASE WHEN g % 4 > 0 THEN g % 11 END,
	   CASE WHEN g < 60 THEN g END
  FROM generate_series(0, 1499) g;
INSERT INTO agg_ns
SELECT 1700000000000000000 + g::bigint * 777000001, 'web-' || g % 4, g % 17
  FROM generate_series(0, 999) g;
SELECT m3db.flush() IS NOT NULL AS flushed;
INSERT INTO agg_cpu
SELECT '2024-03-30 12:00:00+00'::timestamptz + g * interval '11 minutes', 'web-' || g % 4,
	   'region 3', 7, CASE WHEN g % 50 = 0 THEN 'NaN'::float8 ELSE g % 10 END
  FROM generate_series(0, 299) g;

CREATE FUNCTION is_pushed(query text) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	RETURN plan @? '$.** ? (@."Node Type" == "Foreign Scan" &&
							(exists(@."Group Key") || exists(@."Aggregates")))';
END
$$;

-- Whether a query gives the same rows with and without.
CREATE FUNCTION compare(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	different bigint;
	rows bigint;
BEGIN
	IF NOT is_pushed(query) THEN
		RETURN 'not pushed';
	END IF;
	EXECUTE 'CREATE TEMP TABLE inside AS SELECT row(q.*)::text FROM (' || query || ') q';
	SET LOCAL m3db.enable_aggregate_pushdown = off;
	IF is_pushed(query) THEN
		RETURN 'pushed in spite of the setting';
	END IF;
	EXECUTE 'CREATE TEMP TABLE outside AS SELECT row(q.*)::text FROM (' || query || ') q';
	RESET m3db.enable_aggregate_pushdown;
	SELECT count(*) INTO rows FROM outside;
	SELECT count(*) INTO different
	  FROM ((TABLE inside EXCEPT ALL TABLE outside)
			UNION ALL (TABLE outside EXCEPT ALL TABLE inside)) d;
	DROP TABLE inside, outside;
	RETURN rows || CASE rows WHEN 1 THEN ' row, ' ELSE ' rows, ' END ||
		   CASE different WHEN 0 THEN 'the same' ELSE different || ' DIFFERENT' END;
END
$$;

-- What plans look like
EXPLAIN (VERBOSE, COSTS OFF)
SELECT count(*) FROM agg_cpu;
EXPLAIN (VERBOSE, COSTS OFF)
SELECT upper(host) AS name, round(avg(usage)) + 1 AS mean, max(usage) - min(usage) AS spread
  FROM agg_cpu c
 WHERE ts >= '2024-10-27' AND region = 'region 1' AND usage BETWEEN -20 AND 20
 GROUP BY host HAVING count(*) > 3 AND host <> 'web-4';
EXPLAIN (COSTS OFF)
SELECT time_bucket('1 hour', ts) AS bucket, host, sum(usage) FILTER (WHERE region LIKE 'region%')
  FROM agg_cpu GROUP BY 1, 2 ORDER BY bucket, 2;
EXPLAIN (VERBOSE, COSTS OFF)
SELECT to_char(date_trunc('day', ts), 'YYYY-MM-DD'), last(usage, ts)
  FROM agg_cpu GROUP BY date_trunc('day', ts) ORDER BY date_trunc('day', ts) DESC LIMIT 3;
EXPLAIN (COSTS OFF)
SELECT host, count(*) FROM agg_cpu WHERE usage IS NOT NULL GROUP BY host;

-- a subquery's columns have other numbers than in the plan; joins above
EXPLAIN (VERBOSE, COSTS OFF)
SELECT h.name, s.total
  FROM (VALUES ('web-1'), ('web-2')) h (name)
  JOIN (SELECT host, sum(usage) AS total FROM agg_cpu c
		 WHERE ts < '2024-10-27' AND core = 1 AND usage <> 7 GROUP BY host) s ON s.host = h.name;

-- parameters: prepared, of an outer query, of a subquery
PREPARE by_host (timestamptz, text, float8, interval) AS
SELECT time_bucket($4, ts), count(*), sum(usage) FILTER (WHERE usage > $3 AND host <> $2)
  FROM agg_cpu WHERE ts >= $1 AND usage < $3 + 40 GROUP BY 1 ORDER BY 1;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE by_host ('2024-10-29', 'web-1', 5, '6 hours');
EXECUTE by_host ('2024-10-29', 'web-1', 5, '6 hours');
EXECUTE by_host ('2024-10-29 12:00', 'web-2', -5, '4 hours');
SET m3db.enable_aggregate_pushdown = off;
EXECUTE by_host ('2024-10-29', 'web-1', 5, '6 hours');
EXECUTE by_host ('2024-10-29 12:00', 'web-2', -5, '4 hours');
RESET m3db.enable_aggregate_pushdown;
RESET plan_cache_mode;

EXPLAIN (VERBOSE, COSTS OFF)
SELECT name, (SELECT max(usage) + length(name) FROM agg_cpu c
			   WHERE c.host = h.name AND c.usage < h.below HAVING min(usage) < h.below)
  FROM (VALUES ('web-1', 10), ('web-2', 20), (NULL, 30), ('web-3', -50)) h (name, below);
SELECT name, (SELECT max(usage) + length(name) FROM agg_cpu c
			   WHERE c.host = h.name AND c.usage < h.below HAVING min(usage) < h.below)
  FROM (VALUES ('web-1', 10), ('web-2', 20), (NULL, 30), ('web-3', -50)) h (name, below);
EXPLAIN (COSTS OFF)
SELECT h.name, s.* FROM (VALUES ('web-1'), ('web-4')) h (name)
 CROSS JOIN LATERAL (SELECT region, count(*) FROM agg_cpu c WHERE c.host = h.name
					  GROUP BY region) s ORDER BY 1, 2;
SELECT h.name, s.* FROM (VALUES ('web-1'), ('web-4')) h (name)
 CROSS JOIN LATERAL (SELECT region, count(*) FROM agg_cpu c WHERE c.host = h.name
					  GROUP BY region) s ORDER BY 1, 2;

-- What is taken, and gives the same
CREATE TABLE queries (id serial, query text);
INSERT INTO queries (query) VALUES
	-- aggregates
	('SELECT count(*), count(usage), count(host), count(region), count(ts), count(1) FROM agg_cpu'),
	('SELECT sum(usage), avg(usage), min(usage), max(usage) FROM agg_cpu WHERE ts > ''2024-10-01'''),
	('SELECT sum(usage), avg(usage), min(usage), max(usage) FROM agg_cpu'),
	('SELECT round(var_pop(usage)::numeric, 6), round(var_samp(usage)::numeric, 6), round(variance(usage)::numeric, 6) FROM agg_cpu WHERE usage < 100'),
	('SELECT host, round(stddev_pop(usage)::numeric, 6), round(stddev_samp(usage)::numeric, 6), round(stddev(usage)::numeric, 6) FROM agg_cpu WHERE usage < 100 GROUP BY host'),
	('SELECT min(ts), max(ts), count(*) FROM agg_cpu WHERE host = ''web-2'''),
	('SELECT host, first(usage, ts), last(usage, ts), min(ts), max(ts) FROM agg_cpu GROUP BY host'),
	('SELECT count(*), sum(usage), first(usage, ts), min(ts) FROM agg_cpu WHERE host = ''none'''),
	('SELECT host, count(*) FROM agg_cpu WHERE host = ''none'' GROUP BY host'),
	-- groups
	('SELECT host FROM agg_cpu GROUP BY host'),
	('SELECT region, core, count(*) FROM agg_cpu GROUP BY region, core'),
	('SELECT count(*) FROM agg_cpu GROUP BY core'),
	('SELECT h, n FROM (SELECT host AS h, ''x''::text AS label, count(*) AS n FROM agg_cpu GROUP BY host, label) s'),
	('SELECT ''all''::text AS label, count(*) FROM agg_cpu GROUP BY label'),
	('SELECT ''all''::text AS label, count(*) FROM agg_cpu WHERE host = ''none'' GROUP BY label'),
	('SELECT host AS a, host AS b, count(*) FROM agg_cpu GROUP BY 1, 2'),
	('SELECT host, region, count(*) FROM agg_cpu WHERE region = ''region 1'' GROUP BY 1, 2'),
	('SELECT host || ''/'' || region, sum(usage) * 2 FROM agg_cpu GROUP BY host, region'),
	-- conditions
	('SELECT host, count(*) FROM agg_cpu WHERE usage > 3 GROUP BY host'),
	('SELECT host, count(*) FROM agg_cpu WHERE 3 >= usage AND usage <> -4 GROUP BY host'),
	('SELECT host, count(*) FROM agg_cpu WHERE usage = ''NaN'' GROUP BY host'),
	('SELECT host, count(*) FROM agg_cpu WHERE usage = (SELECT NULL::float8) GROUP BY host'),
	('SELECT count(*) FROM agg_cpu WHERE usage > (SELECT NULL::float8)'),
	('SELECT host, sum(usage) FROM agg_cpu WHERE usage > (SELECT min(core) FROM agg_cpu) GROUP BY host'),
	('SELECT host, count(*) FILTER (WHERE usage > 3), count(*) FILTER (WHERE usage > 3 AND region = ''region 2''), count(*) FILTER (WHERE ts > ''2024-10-28''), count(*) FILTER (WHERE usage IS NOT NULL), count(*) FROM agg_cpu GROUP BY host'),
	('SELECT host, last(usage, ts) FILTER (WHERE usage < 0), max(ts) FILTER (WHERE usage < 0), count(region) FILTER (WHERE usage < 0) FROM agg_cpu GROUP BY host'),
	('SELECT count(*) FILTER (WHERE true) FROM agg_cpu'),
	('SELECT host, sum(usage) FROM agg_cpu GROUP BY host HAVING sum(usage) > 0 AND count(region) > 0'),
	-- buckets
	('SELECT time_bucket(''1 hour'', ts), sum(usage) FROM agg_cpu WHERE usage < 90 GROUP BY 1'),
	('SELECT time_bucket(''1 hour'', ts, ''2001-02-03 04:05:06''::timestamptz), sum(usage) FROM agg_cpu GROUP BY 1'),
	('SELECT time_bucket(''1 hour'', ts, ''7 minutes''::interval), count(*) FROM agg_cpu GROUP BY 1'),
	('SELECT time_bucket(''1 month'', ts), count(*) FROM agg_cpu GROUP BY 1'),
	('SELECT time_bucket(''1 day'', ts, ''Europe/Berlin''), host, count(*) FROM agg_cpu GROUP BY 1, 2'),
	('SELECT time_bucket(''1 hour'', ts, ''Europe/Berlin'', ''2000-01-01''), count(*) FROM agg_cpu GROUP BY 1'),
	('SELECT date_bin(''20 minutes'', ts, ''2000-01-01''), host, count(*) FROM agg_cpu GROUP BY 1, 2'),
	('SELECT date_bin(NULL, ts, ''2000-01-01''), count(*) FROM agg_cpu GROUP BY 1'),
	('SELECT date_trunc(''minute'', ts), count(*) FROM agg_cpu GROUP BY 1'),
	('SELECT date_trunc(''hour'', ts), count(*) FROM agg_cpu GROUP BY 1'),
	('SELECT date_trunc(''day'', ts), host, count(*) FROM agg_cpu GROUP BY 1, 2'),
	('SELECT date_trunc(''week'', ts), count(*) FROM agg_cpu GROUP BY 1'),
	('SELECT date_trunc(''hour'', ts, ''Europe/Berlin''), count(*) FROM agg_cpu GROUP BY 1'),
	('SELECT date_trunc(''day'', ts, ''UTC''), count(*) FROM agg_cpu GROUP BY 1'),
	('SELECT date_trunc(''hour'', ts AT TIME ZONE ''Europe/Berlin''), count(*) FROM agg_cpu GROUP BY 1'),
	('SELECT date_trunc(''day'', ts AT TIME ZONE ''Asia/Kolkata''), count(*) FROM agg_cpu GROUP BY 1'),
	('SELECT date_trunc(''day'', ts AT TIME ZONE ''Europe/Berlin'') AT TIME ZONE ''Europe/Berlin'', host, count(*) FROM agg_cpu GROUP BY 1, 2'),
	('SELECT time_bucket(''30 minutes'', ts AT TIME ZONE ''Europe/Berlin''), count(*) FROM agg_cpu GROUP BY 1'),
	('SELECT ts::date, count(*) FROM agg_cpu GROUP BY 1'),
	('SELECT date_trunc(''month'', ts)::date, count(*) FROM agg_cpu GROUP BY 1'),
	('SELECT time_bucket(''7 days'', ts::date), count(*) FROM agg_cpu GROUP BY 1'),
	('SELECT floor(extract(epoch from ts) / 60) * 60 AS "time", avg(usage) FROM agg_cpu GROUP BY 1'),
	('SELECT floor(extract(epoch from ts) / 3600) * 3600 AS "time", host, max(usage) FROM agg_cpu GROUP BY 1, 2'),
	('SELECT (extract(epoch from ts) / 300)::bigint * 300, count(*) FROM agg_cpu GROUP BY 1'),
	('SELECT floor(date_part(''epoch'', ts) / 300) * 300, count(*) FROM agg_cpu GROUP BY 1'),
	('SELECT round(extract(epoch from ts) / 600, -1), count(*) FROM agg_cpu GROUP BY 1'),
	('SELECT to_timestamp(floor(extract(epoch from ts) / 600) * 600), count(*) FROM agg_cpu GROUP BY 1'),
	('SELECT to_timestamp(floor(extract(epoch from ts) / extract(epoch from interval ''15 min'')) * extract(epoch from interval ''15 min'')), count(*) FROM agg_cpu GROUP BY 1'),
	('SELECT time_bucket(''1 hour'', ts - interval ''10 minutes'') + interval ''10 minutes'', count(*) FROM agg_cpu GROUP BY 1'),
	('SELECT extract(epoch from time_bucket(''1 hour'', ts)), count(*) FROM agg_cpu GROUP BY 1'),
	('SELECT ts_ns / 60000000000 * 60, host, sum(v), first(v, ts_ns) FROM agg_ns GROUP BY 1, 2'),
	('SELECT time_bucket(10000000000, ts_ns), count(*), min(ts_ns), max(ts_ns) FROM agg_ns GROUP BY 1'),
	('SELECT to_timestamp(floor(ts_ns / 1e9 / 30) * 30), avg(v) FROM agg_ns GROUP BY 1'),
	-- wide tables
	('SELECT count(*), count(a), count(b), count(c), sum(a), sum(b), sum(c) FROM agg_wide'),
	('SELECT sum(a), max(b) FROM agg_wide WHERE ts > ''2024-10-27'''),
	('SELECT host, count(*), count(a), sum(b), min(c), count(host) FROM agg_wide GROUP BY host'),
	('SELECT host, max(c) FROM agg_wide WHERE ts > ''2024-10-27'' GROUP BY host'),
	('SELECT time_bucket(''1 hour'', ts), count(*), avg(a), avg(c) FROM agg_wide GROUP BY 1'),
	('SELECT time_bucket(''1 hour'', ts), host, first(b, ts), last(b, ts), last(a, ts) FROM agg_wide GROUP BY 1, 2'),
	('SELECT first(a, ts) FROM agg_wide WHERE host = ''web-0'''),
	('SELECT min(ts), max(ts), min(c) FROM agg_wide'),
	('SELECT sum(c), first(c, ts), last(c, ts) FILTER (WHERE c > 10) FROM agg_wide WHERE c IS NOT NULL AND host = ''web-1'''),
	('SELECT last(c, ts) FILTER (WHERE c IS NOT NULL), sum(c) FROM agg_wide WHERE host = ''web-1'''),
	('SELECT count(*), last(c, ts) FILTER (WHERE c IS NOT NULL), first(b, ts) FILTER (WHERE b > 2), last(a, ts) FROM agg_wide WHERE host = ''web-1'''),
	('SELECT host, last(c, ts) FILTER (WHERE c IS NOT NULL), first(b, ts) FILTER (WHERE b IS NOT NULL) FROM agg_wide GROUP BY host'),
	('SELECT host, time_bucket(''1 hour'', ts), last(c, ts) FILTER (WHERE c IS NOT NULL), last(b, ts) FROM agg_wide GROUP BY 1, 2'),
	('SELECT host, count(*), sum(a), max(ts), first(a, ts) FROM agg_wide WHERE a > 10 AND a <= 30 GROUP BY host'),
	('SELECT host, count(*), min(ts), count(c) FROM agg_wide WHERE c IS NOT NULL GROUP BY host'),
	('SELECT host, count(*) FILTER (WHERE a > 20), sum(b) FILTER (WHERE b > 2), count(*) FILTER (WHERE c IS NOT NULL) FROM agg_wide GROUP BY host'),
	-- around it
	('SELECT DISTINCT n FROM (SELECT host, region, count(*) AS n FROM agg_cpu GROUP BY 1, 2) s'),
	('SELECT host, sum(usage), rank() OVER (ORDER BY sum(usage)) FROM agg_cpu WHERE usage < 90 GROUP BY host'),
	('SELECT host, generate_series(1, count(*)) AS n FROM agg_cpu GROUP BY host'),
	('SELECT host, count(*) FROM agg_cpu GROUP BY host UNION ALL SELECT host, count(*) FROM agg_wide GROUP BY host'),
	('WITH s AS MATERIALIZED (SELECT host, max(usage) AS m FROM agg_cpu GROUP BY host) SELECT a.host FROM s a JOIN s b ON a.m <= b.m'),
	('SELECT host, (SELECT count(*) FROM agg_wide w WHERE w.host = c.host) + count(*) FROM agg_cpu c GROUP BY host'),
	('SELECT host, count(*) FROM agg_cpu c GROUP BY host HAVING EXISTS (SELECT FROM agg_wide w WHERE w.host = c.host)');
SELECT query, compare(query) FROM queries ORDER BY id;

-- the session's time zone, where clocks are set
SET timezone = 'Europe/Berlin';
SELECT unit, compare(format('SELECT date_trunc(%L, ts), host, count(*), sum(usage) FROM agg_cpu WHERE usage < 90 GROUP BY 1, 2', unit))
  FROM unnest(ARRAY['second', 'minute', 'hour', 'day', 'week', 'month']) unit;
SELECT compare('SELECT ts::date, count(*) FROM agg_cpu GROUP BY 1'),
	   compare('SELECT date_trunc(''hour'', ts::timestamp), count(*) FROM agg_cpu GROUP BY 1');
SELECT date_trunc('day', ts), count(*) FROM agg_cpu WHERE ts > '2024-10-01' GROUP BY 1 ORDER BY 1;
-- a plan does not keep the zone
PREPARE by_day AS SELECT date_trunc('day', ts), count(*) FROM agg_cpu WHERE ts > '2024-10-29' GROUP BY 1 ORDER BY 1;
EXECUTE by_day;
SET timezone = 'America/New_York';
EXECUTE by_day;
SET timezone = 'UTC';
EXECUTE by_day;

-- What is not taken
CREATE TABLE refusals (id serial, reason text, query text);
INSERT INTO refusals (reason, query) VALUES
	('each distinct value once', 'SELECT count(DISTINCT usage) FROM agg_cpu'),
	('in an order', 'SELECT array_agg(usage ORDER BY ts) FROM agg_cpu'),
	('ordered set', 'SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY usage) FROM agg_cpu'),
	('another aggregate', 'SELECT bool_or(usage > 0) FROM agg_cpu'),
	('another aggregate among them', 'SELECT count(*), regr_count(usage, core) FROM agg_cpu'),
	('of an expression', 'SELECT sum(usage * 2) FROM agg_cpu'),
	('of a tag', 'SELECT max(core) FROM agg_cpu'),
	('a tag that may not be of its type', 'SELECT count(core) FROM agg_cpu'),
	('of something else at a time', 'SELECT last(host, ts) FROM agg_cpu'),
	('at another time', 'SELECT last(usage, core) FROM agg_cpu'),
	('NULL', 'SELECT count(NULL) FROM agg_cpu'),
	('another aggregate in HAVING', 'SELECT host FROM agg_cpu GROUP BY host HAVING bool_and(usage > 0)'),
	('in a FILTER, not ours', 'SELECT count(*) FILTER (WHERE usage + 1 > 0) FROM agg_cpu'),
	('in a FILTER, of NULL', 'SELECT count(*) FILTER (WHERE NULL) FROM agg_cpu'),
	('a condition not ours', 'SELECT count(*) FROM agg_cpu WHERE abs(usage) > 1'),
	('volatile', 'SELECT count(*) FROM agg_cpu WHERE usage > random()'),
	('two columns', 'SELECT count(*) FROM agg_cpu WHERE usage > core'),
	('a one-time filter', 'SELECT count(*) FROM agg_cpu WHERE current_setting(''timezone'') <> ''UTC'''),
	('a system column', 'SELECT tableoid, count(*) FROM agg_cpu GROUP BY 1'),
	('by the time', 'SELECT ts, count(*) FROM agg_cpu GROUP BY 1'),
	('by the time', 'SELECT extract(epoch from ts), count(*) FROM agg_cpu GROUP BY 1'),
	('by the value', 'SELECT usage, count(*) FROM agg_cpu GROUP BY 1'),
	('by a function of a tag', 'SELECT upper(host), count(*) FROM agg_cpu GROUP BY 1'),
	('by two buckets', 'SELECT time_bucket(''1 hour'', ts), time_bucket(''2 hours'', ts), count(*) FROM agg_cpu GROUP BY 1, 2'),
	('it goes up and down', 'SELECT extract(hour from ts), count(*) FROM agg_cpu GROUP BY 1'),
	('it goes down', 'SELECT floor(extract(epoch from ts) / -60), count(*) FROM agg_cpu GROUP BY 1'),
	('it goes down', 'SELECT floor(1 - extract(epoch from ts) / 60), count(*) FROM agg_cpu GROUP BY 1'),
	('it may go down', 'SELECT floor(extract(epoch from ts) / (SELECT max(core) FROM agg_cpu)), count(*) FROM agg_cpu GROUP BY 1'),
	('days are not always as long', 'SELECT time_bucket(''1 hour'', ts + interval ''1 day''), count(*) FROM agg_cpu GROUP BY 1'),
	('clocks of another time', 'SELECT date_trunc(''day'', ts + interval ''1 hour''), count(*) FROM agg_cpu GROUP BY 1'),
	('a zone that depends on the row', 'SELECT date_trunc(''day'', ts, host), count(*) FROM agg_cpu GROUP BY ts, host'),
	('a zone that is not known', 'SELECT date_trunc(''day'', ts, (SELECT ''UTC''::text)), count(*) FROM agg_cpu GROUP BY 1'),
	('an offset that changed over time', 'SELECT date_trunc(''day'', ts, ''MSK''), count(*) FROM agg_cpu GROUP BY 1'),
	('a unit that is not known', 'SELECT date_trunc((SELECT ''day''::text), ts), count(*) FROM agg_cpu GROUP BY 1'),
	('grouping sets', 'SELECT host, count(*) FROM agg_cpu GROUP BY ROLLUP (host)'),
	('a join', 'SELECT count(*) FROM agg_cpu JOIN agg_wide USING (ts, host)'),
	('wide: other columns of the rows', 'SELECT sum(b) FROM agg_wide WHERE a > 10'),
	('wide: two columns', 'SELECT count(*) FROM agg_wide WHERE a > 10 AND b > 1'),
	('wide: other columns of the rows', 'SELECT sum(b) FILTER (WHERE a > 1) FROM agg_wide'),
	('wide: other columns of the rows', 'SELECT sum(b) FROM agg_wide WHERE a IS NOT NULL'),
	('wide: rows of a value', 'SELECT min(ts) FILTER (WHERE a > 1) FROM agg_wide'),
	('wide: two columns', 'SELECT count(*) FILTER (WHERE a > 1 AND b > 1) FROM agg_wide'),
	('wide: NULL', 'SELECT count(*) FROM agg_wide WHERE a IS NULL');
SELECT reason, query, is_pushed(query) FROM refusals ORDER BY id;

-- a collation under which different texts are equal
CREATE COLLATION agg_nondeterministic (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE FOREIGN TABLE agg_collated (
	ts timestamptz NOT NULL, host text COLLATE agg_nondeterministic, usage float8
) SERVER aggregate_engine OPTIONS (namespace 'agg_cpu');
SELECT is_pushed('SELECT host, count(*) FROM agg_collated GROUP BY host'),
	   is_pushed('SELECT count(*) FROM agg_collated'),
	   is_pushed('SELECT host COLLATE "C", count(*) FROM agg_collated GROUP BY 1');

-- columns that are no tags
CREATE FOREIGN TABLE agg_all (
	ts timestamptz NOT NULL, id text, tags jsonb, annotation bytea, unit text, usage float8
) SERVER aggregate_engine OPTIONS (namespace 'agg_cpu');
SELECT c, is_pushed(format('SELECT %I, count(*) FROM agg_all GROUP BY 1', c)),
	   is_pushed(format('SELECT count(%I) FROM agg_all', c))
  FROM unnest(ARRAY['id', 'tags', 'annotation', 'unit']) c;

-- functions and aggregates that only bear our names
CREATE SCHEMA agg_other;
CREATE FUNCTION agg_other.time_bucket(interval, timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT AS 'SELECT date_trunc(''hour'', $2, ''UTC'') + random() * $1';
CREATE FUNCTION agg_other.last_trans(float8, float8, timestamptz) RETURNS float8
LANGUAGE sql IMMUTABLE AS 'SELECT $2';
CREATE AGGREGATE agg_other.last(float8, timestamptz) (
	SFUNC = agg_other.last_trans, STYPE = float8);
SELECT is_pushed('SELECT agg_other.time_bucket(''1 hour'', ts), count(*) FROM agg_cpu GROUP BY 1'),
	   is_pushed('SELECT agg_other.last(usage, ts) FROM agg_cpu');

-- too many buckets for the memory an aggregate may take; PostgreSQL's can spill
SET work_mem = '64kB';
SELECT is_pushed('SELECT date_trunc(''second'', ts), count(*) FROM agg_cpu GROUP BY 1'),
	   is_pushed('SELECT date_trunc(''day'', ts), count(*) FROM agg_cpu GROUP BY 1');
RESET work_mem;

-- Views, and what may not be seen
CREATE VIEW agg_plain AS SELECT ts, host, usage AS u FROM agg_cpu WHERE core = 1;
CREATE VIEW agg_barrier WITH (security_barrier) AS
SELECT host, u FROM agg_plain WHERE host <> 'web-1';
SELECT compare('SELECT host, sum(u) FROM agg_plain WHERE u < 90 GROUP BY host'),
	   compare('SELECT host, sum(u) FROM agg_barrier WHERE u < 90 GROUP BY host');
CREATE FUNCTION leak(text) RETURNS bool COST 0.0000001 LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE 'leaked %', $1;
	RETURN true;
END
$$;
SELECT count(*) FROM agg_barrier WHERE host = 'web-1' AND leak(host);

-- Partitions: aggregated one by one, whole or in part
CREATE TABLE agg_parts (ts timestamptz NOT NULL, host text, usage float8) PARTITION BY RANGE (ts);
CREATE FOREIGN TABLE agg_part_1 PARTITION OF agg_parts
FOR VALUES FROM ('2024-10-01') TO ('2024-10-28')
SERVER aggregate_engine OPTIONS (namespace 'agg_part_1', block_size '2 hours');
CREATE FOREIGN TABLE agg_part_2 (usage float8, ts timestamptz NOT NULL, host text)
SERVER aggregate_engine OPTIONS (namespace 'agg_part_2', block_size '2 hours');
ALTER TABLE agg_parts ATTACH PARTITION agg_part_2 FOR VALUES FROM ('2024-10-28') TO ('2024-11-01');
CREATE TABLE agg_part_3 PARTITION OF agg_parts FOR VALUES FROM ('2024-11-01') TO ('2024-12-01');
INSERT INTO agg_parts SELECT ts + interval '1 day', host, usage FROM agg_cpu WHERE ts > '2024-10-01';
CREATE TABLE agg_list (ts timestamptz NOT NULL, host text, usage float8) PARTITION BY LIST (host);
CREATE FOREIGN TABLE agg_list_1 PARTITION OF agg_list FOR VALUES IN ('web-0', 'web-1', 'web-2')
SERVER aggregate_engine OPTIONS (namespace 'agg_list_1', block_size '2 hours');
CREATE FOREIGN TABLE agg_list_2 PARTITION OF agg_list DEFAULT
SERVER aggregate_engine OPTIONS (namespace 'agg_list_2', block_size '2 hours');
INSERT INTO agg_list SELECT ts, host, usage FROM agg_cpu WHERE ts > '2024-10-01';
SET enable_partitionwise_aggregate = on;
EXPLAIN (COSTS OFF)
SELECT host, count(*), avg(usage) FROM agg_list WHERE usage > 0 GROUP BY host HAVING max(usage) > 5;
SELECT host, count(*), avg(usage) FROM agg_list WHERE usage > 0 GROUP BY host HAVING max(usage) > 5 ORDER BY 1;
SET m3db.enable_aggregate_pushdown = off;
SELECT host, count(*), avg(usage) FROM agg_list WHERE usage > 0 GROUP BY host HAVING max(usage) > 5 ORDER BY 1;
RESET m3db.enable_aggregate_pushdown;

EXPLAIN (COSTS OFF)
SELECT host, count(*), sum(usage), avg(usage) + 1, max(ts) FROM agg_parts
 WHERE ts < '2024-11-01' GROUP BY host HAVING stddev(usage) > 0;
SELECT host, count(*), sum(usage), avg(usage), min(usage), max(ts), round(stddev(usage)::numeric, 6)
  FROM agg_parts GROUP BY host ORDER BY 1;
SELECT time_bucket('1 day', ts), count(*) FILTER (WHERE usage > 0) FROM agg_parts GROUP BY 1 ORDER BY 1;
SET m3db.enable_aggregate_pushdown = off;
SELECT host, count(*), sum(usage), avg(usage), min(usage), max(ts), round(stddev(usage)::numeric, 6)
  FROM agg_parts GROUP BY host ORDER BY 1;
SELECT time_bucket('1 day', ts), count(*) FILTER (WHERE usage > 0) FROM agg_parts GROUP BY 1 ORDER BY 1;
RESET m3db.enable_aggregate_pushdown;
-- states of theirs that only their own functions can make
EXPLAIN (COSTS OFF) SELECT host, last(usage, ts) FROM agg_part_1 GROUP BY host;
SELECT host, last(usage, ts) FROM agg_parts GROUP BY host ORDER BY 1;
SET m3db.enable_aggregate_pushdown = off;
SELECT host, last(usage, ts) FROM agg_parts GROUP BY host ORDER BY 1;
RESET m3db.enable_aggregate_pushdown;

-- row level security of the parent: patterns, which may fail, come after it, everything else is exact
CREATE ROLE regress_m3db_aggregate;
ALTER TABLE agg_list ENABLE ROW LEVEL SECURITY;
CREATE POLICY some_hosts ON agg_list USING (host LIKE '%1' OR host = 'web-3');
GRANT SELECT ON agg_list TO regress_m3db_aggregate;
SET ROLE regress_m3db_aggregate;
SELECT is_pushed('SELECT host, sum(usage) FROM agg_list WHERE usage > 10 GROUP BY host'),
	   is_pushed('SELECT host, sum(usage) FROM agg_list WHERE host ~ ''web'' GROUP BY host'),
	   is_pushed('SELECT host, sum(usage) FILTER (WHERE host ~ ''web'') FROM agg_list GROUP BY host');
SELECT host, count(*), sum(usage), min(ts) FROM agg_list WHERE usage > 10 GROUP BY host ORDER BY 1;
RESET ROLE;
RESET enable_partitionwise_aggregate;

-- Shared by several processes, each sums up its part
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT count(*), stddev(usage) FROM agg_cpu WHERE usage < 90;
SELECT compare('SELECT count(*), sum(usage), min(ts), round(stddev(usage)::numeric, 6) FROM agg_cpu WHERE usage < 90'),
	   compare('SELECT count(*), sum(a), count(b) FROM agg_wide');
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

-- A cached plan follows the table
PREPARE total AS SELECT count(*), sum(usage) FROM agg_cpu WHERE host = 'web-0' AND ts > '2024-10-01';
EXECUTE total;
ALTER FOREIGN TABLE agg_cpu DROP COLUMN region;
EXECUTE total;
ALTER FOREIGN TABLE agg_cpu RENAME COLUMN host TO node;
ALTER FOREIGN TABLE agg_cpu ADD COLUMN host text OPTIONS (tag 'rack');
EXECUTE total;
ALTER FOREIGN TABLE agg_cpu DROP COLUMN host;
ALTER FOREIGN TABLE agg_cpu RENAME COLUMN node TO host;
EXPLAIN (COSTS OFF) EXECUTE total;
EXECUTE total;
ALTER FOREIGN TABLE agg_cpu ADD COLUMN load float8;
EXPLAIN (COSTS OFF) EXECUTE total;
ALTER FOREIGN TABLE agg_cpu DROP COLUMN load;

-- Points of the transaction, and writing what comes out
BEGIN;
INSERT INTO agg_cpu (ts, host, core, usage) VALUES ('2024-12-01', 'new', 1, 42);
SELECT host, count(*), last(usage, ts) FROM agg_cpu WHERE host = 'new' GROUP BY host;
INSERT INTO agg_cpu (ts, host, core, usage)
SELECT '2024-12-02', host, 2, sum(usage) + count(*) FROM agg_cpu WHERE host = 'new' GROUP BY host;
SELECT core, count(*), last(usage, ts) FROM agg_cpu WHERE host = 'new' GROUP BY core ORDER BY core;
ROLLBACK;
SELECT host, count(*), last(usage, ts) FROM agg_cpu WHERE host = 'new' GROUP BY host;

-- Errors are those of the functions, at execution
EXPLAIN (COSTS OFF) SELECT time_bucket('-1 hour', ts), count(*) FROM agg_cpu GROUP BY 1;
SELECT time_bucket('-1 hour', ts), count(*) FROM agg_cpu GROUP BY 1;
SELECT time_bucket('-1 hour', ts), count(*) FROM agg_cpu WHERE host = 'none' GROUP BY 1;
SELECT date_bin('1 month', ts, '2000-01-01'), count(*) FROM agg_cpu GROUP BY 1;
SELECT (extract(epoch from ts) * 1000)::int4, count(*) FROM agg_cpu GROUP BY 1;

SET client_min_messages = warning;
DROP SCHEMA agg_other CASCADE;
DROP VIEW agg_barrier, agg_plain;
DROP TABLE agg_parts, agg_list, queries, refusals;
DROP ROLE regress_m3db_aggregate;
DROP FUNCTION is_pushed(text), compare(text), leak(text);
DROP SERVER aggregate_engine CASCADE;
DROP COLLATION agg_nondeterministic;
