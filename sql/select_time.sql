-- Conditions on the time: pushed to the scan, and the same answers as a plain table.
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE SERVER select_time FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE st (ts timestamptz NOT NULL, host text, value float8)
	SERVER select_time OPTIONS (namespace 'select_time', block_size '2 hours');
CREATE TABLE st_plain AS
	SELECT t AS ts, h AS host, (extract(epoch FROM t) + n)::float8 AS value
	FROM generate_series(timestamptz '2024-03-09 00:00+00', '2024-03-11 12:00+00', '10 min') t,
		(VALUES ('a', 1), ('b', 2), (NULL, 3)) hosts(h, n);
INSERT INTO st TABLE st_plain;
SELECT count(*), min(ts), max(ts), count(DISTINCT ts) FROM st;

-- Rows that only one of foreign and plain table gives, for a condition on "ts".
CREATE FUNCTION differences(condition text, foreign_table text = 'st', plain text = 'st_plain')
RETURNS TABLE (rows bigint, different bigint) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format(
		'WITH f AS (SELECT * FROM %1$I WHERE %3$s), p AS (SELECT * FROM %2$I WHERE %3$s)
		 SELECT (SELECT count(*) FROM f),
			(SELECT count(*) FROM (TABLE f EXCEPT ALL TABLE p) x)
			+ (SELECT count(*) FROM (TABLE p EXCEPT ALL TABLE f) y)',
		foreign_table, plain, condition);
END $$;

-- each comparison, both ways round
CREATE TABLE conditions (condition text);
INSERT INTO conditions
	SELECT format(form, op)
	FROM unnest(ARRAY['<', '<=', '=', '>=', '>']) op,
		unnest(ARRAY['ts %s timestamptz ''2024-03-10 12:00+00''',
			'timestamptz ''2024-03-10 12:00:00.000001+00'' %s ts',
			'ts %s date ''2024-03-10''',
			'date ''2024-03-10'' %s ts',
			'ts %s timestamp ''2024-03-10 02:30:00''',
			'timestamp ''2024-03-10 03:30:00'' %s ts',
			'ts %s ''infinity''',
			'ts %s ''-infinity''',
			'ts %s date ''infinity''',
			'ts %s timestamp ''-infinity''',
			'ts %s ''294276-12-31 23:59:59.999999+00''',
			'ts %s ''4713-01-01 00:00+00 BC''',
			'ts %s ''2262-04-11 23:47:16.854775+00''',
			'ts %s ''1677-09-21 00:12:43+00''',
			'ts %s NULL::timestamptz']) form;
SELECT condition, d.* FROM conditions, differences(condition) d ORDER BY condition COLLATE "C";

-- across a change of daylight saving time
SET timezone = 'America/New_York';
SELECT condition, d.* FROM conditions, differences(condition) d
	WHERE condition ~ '\mdate|timestamp\M' AND d.different <> 0;
SET timezone = 'UTC';

SELECT * FROM differences('ts BETWEEN ''2024-03-09 23:55'' AND ''2024-03-10 00:05''');
SELECT * FROM differences('ts > ''2024-03-10'' AND ts < ''2024-03-10 01:00'' AND ts <> ''2024-03-10 00:30''');
SELECT * FROM differences('ts > ''2024-03-11'' AND ts < ''2024-03-10''');
SELECT * FROM differences('ts IN (''2024-03-10'', ''2024-03-11'')');
SELECT * FROM differences('ts < ''2024-03-09 01:00'' OR ts > ''2024-03-11 11:00''');
SELECT * FROM differences('ts >= now() - interval ''1000 years'' AND ts < now()');
SELECT * FROM differences('ts >= (SELECT max(ts) FROM st_plain)');
SELECT * FROM differences('date_trunc(''day'', ts) = ''2024-03-10''');
SELECT * FROM differences('ts < clock_timestamp()');

SELECT * FROM differences('ts >= (SELECT max(ts) FROM st_plain WHERE false)');

-- what is pushed and what is not
EXPLAIN (COSTS OFF) SELECT * FROM st WHERE ts >= '2024-03-10' AND '2024-03-11' > ts AND value > 5;
EXPLAIN (COSTS OFF) SELECT * FROM st WHERE ts < date '2024-03-10' AND ts > timestamp '2024-03-09';
EXPLAIN (COSTS OFF) SELECT * FROM st WHERE ts > now() - interval '1 hour';
EXPLAIN (COSTS OFF) SELECT * FROM st WHERE ts < clock_timestamp() AND ts <> now();
EXPLAIN (COSTS OFF) SELECT * FROM st WHERE ts < ts + interval '1 hour';
EXPLAIN (COSTS OFF) SELECT count(*) FROM st;

-- nanoseconds: the microsecond shown decides
CREATE FOREIGN TABLE st_ns (t bigint OPTIONS (role 'time_ns'), value float8)
	SERVER select_time OPTIONS (namespace 'select_time_ns', block_size '2 hours');
CREATE FOREIGN TABLE st_us (ts timestamptz, value float8)
	SERVER select_time OPTIONS (namespace 'select_time_ns', block_size '2 hours');
INSERT INTO st_ns
	SELECT 1704067200000000000 + n, n
	FROM unnest(ARRAY[0, 1, 999, 1000, 1001, 1999, 2000, 2001, 1000000, 1000001]) n;
SELECT t, value FROM st_ns;
SELECT ts, value FROM st_us;
CREATE TABLE st_us_plain AS SELECT * FROM st_us;
SELECT condition, d.*
	FROM unnest(ARRAY['<', '<=', '=', '>=', '>']) op,
		format('ts %s ''2024-01-01 00:00:00.000001+00''', op) condition,
		differences(condition, 'st_us', 'st_us_plain') d;
SELECT t - 1704067200000000000 AS t FROM st_ns WHERE t > 1704067200000000001 AND t <= 1704067200000001999;
SELECT t - 1704067200000000000 AS t FROM st_ns WHERE t = 1704067200000001001;
SELECT count(*) FROM st_ns WHERE t > 5::smallint;
SELECT count(*) FROM st_ns WHERE 5 > t;
SELECT count(*) FROM st_ns WHERE t <= 9223372036854775807;
SELECT count(*) FROM st_ns WHERE t > 9223372036854775807;
EXPLAIN (COSTS OFF) SELECT * FROM st_ns WHERE t >= 5 AND 7::int2 > t;

-- columns asked for
SELECT FROM st WHERE ts < '2024-03-09 00:10';
SELECT count(*), count(value), count(st) FROM st WHERE ts < '2024-03-09 00:20';
SELECT st FROM st WHERE ts = '2024-03-09' ORDER BY 1;
SELECT st.tableoid::regclass, value FROM st WHERE ts = '2024-03-09' AND host = 'a';
SELECT count(*) FROM (SELECT * FROM st LIMIT 7) x;

-- units and annotations
CREATE FOREIGN TABLE st_notes (ts timestamptz, host text, value float8, unit text, annotation bytea)
	SERVER select_time OPTIONS (namespace 'select_time_notes');
INSERT INTO st_notes VALUES ('2024-01-01', 'a', 1, 's', 'first'), ('2024-01-01 00:00:01', 'a', 2, NULL, NULL),
	('2024-01-01 00:00:02.5', 'a', 3, 'us', ''), ('2024-01-01 00:00:03', 'a', 4, 'ns', '\x00ff');
SELECT * FROM st_notes;
SELECT annotation FROM st_notes WHERE unit = 's';
SELECT unit FROM st_notes WHERE annotation IS NULL;
BEGIN;
INSERT INTO st_notes VALUES ('2024-01-01', 'a', 10, 'ms', 'own'), ('2024-01-01 00:00:03', 'a', 40, NULL, NULL);
SELECT * FROM st_notes;
ROLLBACK;

DROP FUNCTION differences;
DROP TABLE st_plain, st_us_plain, conditions;
DROP FOREIGN TABLE st, st_ns, st_us, st_notes;
DROP SERVER select_time;
