-- Time-series functions: buckets, gaps, first and last, counters, histograms.

SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET search_path = public, m3db;

-- time_bucket of timestamps: by default from Monday 2000-01-03 on
SELECT width, time_bucket(width, timestamp '2011-01-02 01:01:01.111')
  FROM unnest('{1ms,2ms,1s,2s,1min,2min,1h,2h,1 day,2 days,1 week}'::interval[]) AS width;
SELECT ts, time_bucket('5 min', ts) AS plain, time_bucket('5 min', ts, interval '2 min') AS later,
       time_bucket('5 min', ts, interval '-2 min') AS earlier,
       time_bucket('5 min', ts, timestamp '2030-01-01 00:01') AS origin
  FROM unnest('{1970-01-01 00:59:59.999999,1970-01-01 01:00,2011-01-02 01:01:59.999999,2011-01-02 01:02,
                2011-01-02 01:07:59,2011-01-02 01:08}'::timestamp[]) AS ts;
-- an offset counts by what it is beyond whole buckets
SELECT time_bucket('1 week', timestamp '2024-01-10', interval '106751991 days') AS far, time_bucket('1 week', timestamp '2024-01-10', make_interval(days => 106751991 % 7)) AS near,
       time_bucket('1 week', timestamp '2024-01-10', interval '-106751991 days') AS far_back, time_bucket('1 week', timestamp '2024-01-10', make_interval(days => -(106751991 % 7))) AS back;
-- the rounding of the documentation: report the middle
SELECT time_bucket('5 min', ts, interval '-2.5 min') + interval '2.5 min' AS nearest
  FROM unnest('{2011-01-02 01:07:29,2011-01-02 01:07:30}'::timestamp[]) AS ts;
SELECT ts, time_bucket('1 week', ts), date_trunc('week', ts) = time_bucket('1 week', ts) AS iso
  FROM unnest('{4714-11-24 01:01:01 BC,1999-12-31 23:59:59,2018-09-16,2018-09-17,3018-09-20,294276-12-31 23:59:59.9999}'::timestamp[]) AS ts;
-- days and hours together are so many hours
SELECT time_bucket('1 day 12 hours', timestamp '2000-01-04 13:00');

-- timestamptz: in UTC, whatever the session's zone is, offsets too
SET timezone = 'America/New_York';
SELECT ts, time_bucket('1 day', ts) AS day, time_bucket('2 hours', ts) AS hours,
       time_bucket('1 day', ts, interval '-19 hours') AS moved
  FROM unnest('{2017-11-05 10:05+07,2017-11-05 12:05+07,2017-11-05 13:05+07,2017-11-05 15:05+07}'::timestamptz[]) AS ts;
SELECT time_bucket('1 week', timestamptz '2018-09-17 00:00') AS week,
       time_bucket('1 month', timestamptz '2018-09-30 22:00') AS month,
       time_bucket('1 day', timestamptz '2018-11-04 23:30', timestamptz '2018-03-01 00:00') AS origin,
       time_bucket('1 day', timestamptz '2018-11-05 23:30', interval '1 month') AS months_as_offset;
SET timezone = 'UTC';

-- months
SELECT d, time_bucket('1 month', d) AS m1, time_bucket('2 months', d) AS m2, time_bucket('3 months', d) AS m3,
       time_bucket('1 year', d) AS y1, time_bucket('2 months', d, date '2000-02-01') AS m2_origin,
       time_bucket('1 month', d, interval '14 days') AS m1_offset,
       time_bucket('1 year', d, interval '1 month 5 days') AS y1_offset
  FROM unnest('{1990-01-03,1990-02-03,1990-06-03,1999-12-31,2000-01-01,2000-02-05,2000-02-06,2024-02-29,0001-01-15 BC,4712-01-15 BC}'::date[]) AS d;
-- the day of a month's origin does not count
SELECT time_bucket('2 months', timestamp '2000-02-10', timestamp '1999-12-17 13:00'),
       time_bucket('1 month', timestamp '2000-02-10', interval '9 days 12 hours'),
       time_bucket('1 month', timestamp '2000-02-10 12:00', interval '9 days 12 hours');

-- dates
SELECT d, time_bucket('4 days', d), time_bucket('4 days', d, interval '2 days') AS moved,
       time_bucket('1 week', d) AS week, time_bucket('1 week', d, date '2018-09-12') AS origin,
       time_bucket('48 hours', d) AS hours
  FROM unnest('{2017-11-04,2017-11-05,2017-11-08,2018-09-16,2018-09-17,infinity,-infinity}'::date[]) AS d;

-- integers
SELECT v, time_bucket(10::int2, v) AS int2, time_bucket(10, v::int4) AS int4, time_bucket(10::int8, v::int8) AS int8,
       time_bucket(10, v::int4, 2) AS moved, time_bucket(10::int8, v::int8, -2::int8) AS back
  FROM unnest('{-13,-12,-11,-10,-9,-1,0,1,2,99,32767,-32760}'::int2[]) AS v;
SELECT time_bucket(10::int8, 9223372036854775807), time_bucket(10::int8, -9223372036854775799),
       time_bucket(9223372036854775807, 5, 9223372036854775806),
       time_bucket(1000, 2147483647, -2147483648);

-- nothing and infinity
SELECT time_bucket(NULL::interval, now()) AS a, time_bucket('1 h', NULL::timestamptz) AS b,
       time_bucket('1 h', now(), NULL::timestamptz) AS c, time_bucket('1 h', now(), NULL::text) AS d,
       time_bucket('1 h', now(), NULL::interval) AS e, time_bucket(NULL::interval, now(), 'UTC') AS f;
SELECT time_bucket('1 month', ts) AS month, time_bucket('1 h', ts, 'Europe/Berlin') AS zone,
       time_bucket('1 h', ts::timestamp, interval '1 min') AS moved
  FROM unnest('{infinity,-infinity}'::timestamptz[]) AS ts;

-- what is refused
\set VERBOSITY sqlstate
SELECT time_bucket('0', now());
SELECT time_bucket('-1 h', now());
SELECT time_bucket('-1 month', now());
SELECT time_bucket('1 month 1 day', now());
SELECT time_bucket('1 month 1 s', now(), 'UTC');
SELECT time_bucket('0', now(), interval '1 h');
SELECT time_bucket('1 h', now(), timestamptz 'infinity');
SELECT time_bucket('1 h', now(), 'UTC', 'infinity');
SELECT time_bucket('1 h', now(), 'Nowhere/Never');
SELECT time_bucket('1 h', date '2000-01-01');
SELECT time_bucket('25 h', date '2000-01-01');
SELECT time_bucket('1 day', date '2000-01-01', interval '1 h');
SELECT time_bucket('2147483647 days', now());
SELECT time_bucket('1 month', now(), interval '2147483647 days');
SELECT time_bucket('1 week', timestamp '4714-11-24 BC', timestamp '2000-01-01');
SELECT time_bucket('1 year', timestamp '4714-11-24 BC');
SELECT time_bucket('1 h', timestamptz '4714-11-24 00:00+00 BC', 'America/New_York');
SELECT time_bucket('1 day', date '300000-01-01');
SELECT time_bucket(10::int2, (-32768)::int2);
SELECT time_bucket(10, -2147483648);
SELECT time_bucket(10::int8, -9223372036854775808);
SELECT time_bucket(0, 1);
SELECT time_bucket(-1::int8, 1::int8);
\set VERBOSITY terse
SELECT time_bucket('1 month 1 day', now());
SELECT time_bucket('0', now());
SELECT time_bucket(10, -2147483648);
\set VERBOSITY default

-- in a time zone
SELECT zone, width, time_bucket(width, '2021-07-12 12:34:56 Europe/Moscow', zone)
  FROM unnest('{Europe/Moscow,UTC,MSK,-05}'::text[]) AS zone, unnest('{12 h,1 day,1 month,4 months,1 year}'::interval[]) AS width;
SET timezone = 'America/New_York';
SELECT ts, time_bucket('2 months', ts, 'America/New_York') AS m2,
       time_bucket('2 months', ts, 'America/New_York', '2000-02-01') AS origin,
       time_bucket('2 months', ts, 'America/New_York', "offset" => '14 days') AS moved,
       time_bucket('2 months', ts, 'America/New_York', '2000-02-01', '7 days') AS origin_moved,
       time_bucket('1 month', ts, 'Europe/Berlin') AS berlin
  FROM unnest('{1999-12-01,1999-12-10,2000-04-01,2000-04-10,2000-05-25}'::timestamptz[]) AS ts;
SELECT time_bucket('1 day', '2020-02-03', 'Europe/Berlin', NULL) AS a,
       time_bucket('1 day', '2020-02-03', 'Europe/Berlin', '2020-04-01', NULL) AS b,
       time_bucket('1 day', timestamptz '2020-02-03', 'PST') AS abbreviation;

-- clocks are set forward: a boundary that is skipped is where the clock jumps to
SET timezone = 'Europe/Berlin';
SELECT ts, time_bucket('1 h', ts, 'Europe/Berlin') AS h1, time_bucket('2 h', ts, 'Europe/Berlin') AS h2,
       time_bucket('1 h', ts, 'Europe/Berlin', "offset" => '30 min') AS half, time_bucket('1 day', ts, 'Europe/Berlin') AS day
  FROM generate_series(timestamptz '2024-03-31 00:10+00', '2024-03-31 02:10+00', '20 min') AS ts;
SELECT time_bucket('1 h', timestamptz '1999-03-28 00:59:59.999999+00', 'Europe/Berlin') AS before, time_bucket('1 h', timestamptz '1999-03-28 01:00+00', 'Europe/Berlin') AS after;
-- they are set back: both hours have their buckets, a day has one
SELECT ts, time_bucket('1 h', ts, 'Europe/Berlin') AS h1, time_bucket('2 h', ts, 'Europe/Berlin') AS h2,
       time_bucket('45 min', ts, 'Europe/Berlin') AS min45, time_bucket('1 day', ts, 'Europe/Berlin') AS day
  FROM generate_series(timestamptz '2024-10-26 23:50+00', '2024-10-27 02:10+00', '20 min') AS ts;
-- midnight comes twice in Havana, and not at all in Beirut
SELECT ts AT TIME ZONE 'America/Havana' AS local, time_bucket('1 day', ts, 'America/Havana') AT TIME ZONE 'UTC' AS day,
       time_bucket('30 min', ts, 'America/Havana') AT TIME ZONE 'UTC' AS min30
  FROM generate_series(timestamptz '2023-11-05 03:45+00', '2023-11-05 06:15+00', '30 min') AS ts;
SELECT time_bucket('1 day', ts, 'Asia/Beirut') AT TIME ZONE 'UTC' AS day
  FROM unnest('{2022-03-26 21:59+00,2022-03-26 22:00+00}'::timestamptz[]) AS ts;

-- anywhere: buckets hold their times, follow time, and begin on a boundary or where the clock jumps
SELECT zone, width, count(*) FILTER (WHERE bucket > ts) AS after, count(*) FILTER (WHERE bucket < before) AS back,
       count(*) FILTER (WHERE time_bucket(width, bucket, zone) <> bucket) AS elsewhere,
       count(*) FILTER (WHERE NOT on_clock AND NOT jump) AS off
  FROM (SELECT zone, width, ts, bucket, lag(bucket) OVER (PARTITION BY zone, width ORDER BY ts) AS before,
               CASE WHEN width < '1 month' THEN time_bucket(width, bucket AT TIME ZONE zone) = bucket AT TIME ZONE zone
                    ELSE date_trunc('month', bucket AT TIME ZONE zone) = bucket AT TIME ZONE zone END AS on_clock,
               ((bucket - interval '1 us') AT TIME ZONE zone) <> (bucket AT TIME ZONE zone) - interval '1 us' AS jump
          FROM unnest('{Europe/Berlin,America/New_York,America/Havana,America/Sao_Paulo,Australia/Lord_Howe,Asia/Kathmandu,Pacific/Apia}'::text[]) AS zone,
               unnest('{7 min,20 min,45 min,1 h,2 h,7 h,1 day,1 week,1 month}'::interval[]) AS width,
               unnest('{2011-02-20,2011-03-13,2011-03-20,2011-03-27,2011-04-02,2011-09-24,2011-10-02,2011-10-16,2011-10-30,
                        2011-11-06,2011-11-13,2011-12-30}'::date[]) AS day,
               generate_series(day::timestamp AT TIME ZONE 'UTC' - interval '22 h', day::timestamp AT TIME ZONE 'UTC' + interval '22 h', '13 min') AS ts,
               time_bucket(width, ts, zone) AS bucket) AS all_buckets
 GROUP BY zone, width
HAVING count(*) FILTER (WHERE bucket > ts OR bucket < before OR time_bucket(width, bucket, zone) <> bucket
                           OR NOT on_clock AND NOT jump) > 0
 ORDER BY zone, width;
-- away from changes of clocks they are what AT TIME ZONE makes of them
SELECT count(*) AS buckets,
       count(*) FILTER (WHERE time_bucket('1 day', ts, 'America/New_York') <> date_trunc('day', ts, 'America/New_York')) AS days,
       count(*) FILTER (WHERE time_bucket('1 h', ts, 'America/New_York') <> date_trunc('hour', ts, 'America/New_York')) AS hours,
       count(*) FILTER (WHERE time_bucket('1 week', ts, 'America/New_York') <> date_trunc('week', ts, 'America/New_York')) AS weeks,
       count(*) FILTER (WHERE time_bucket('1 year', ts, 'America/New_York') <> date_trunc('year', ts, 'America/New_York')) AS years
  FROM generate_series(timestamptz '1900-01-01', '2060-01-01', '97 h 13 min') AS ts;
SET timezone = 'UTC';

-- time_buckets: those of a range
SELECT * FROM time_buckets('6 h', '2024-01-01 05:00+00', '2024-01-02 00:00+00');
SELECT * FROM time_buckets('1 month', '2024-01-31 05:00+00', '2024-04-01 00:00+00');
SELECT b AT TIME ZONE 'Europe/Berlin' AS local, b FROM time_buckets('1 day', '2024-03-30 12:00+00', '2024-04-01 12:00+00', 'Europe/Berlin') AS b;
SELECT b AT TIME ZONE 'Europe/Berlin' AS local, b FROM time_buckets('1 h', '2024-10-26 23:00+00', '2024-10-27 03:00+00', 'Europe/Berlin') AS b;
SELECT b FROM time_buckets('45 min', '2024-10-26 23:00+00', '2024-10-27 03:00+00', 'Europe/Berlin') AS b;
SELECT b FROM time_buckets('1 month', '2024-01-20 12:00+00', '2024-04-01 12:00+00', 'Europe/Berlin', "offset" => '14 days') AS b;
SELECT b FROM time_buckets('1 week', '2024-01-20 12:00+00', '2024-02-01 12:00+00', 'UTC', '2024-01-03') AS b;
SELECT time_buckets('1 us', '2024-01-01', '3024-01-01') LIMIT 2;
SELECT count(*) AS empty FROM time_buckets('1 day', '2024-01-01', '2024-01-01');
SELECT count(*) AS backwards FROM time_buckets('1 day', '2024-01-02', '2024-01-01', 'UTC');
SELECT count(*) AS nothing FROM time_buckets('1 day', NULL, '2024-01-01', 'UTC');
SELECT count(*) AS nothing FROM time_buckets('1 day', '2024-01-01', NULL);
SELECT * FROM time_buckets('1 day', '-infinity', '2024-01-01');
-- the same as bucketing every time in it
SELECT zone, width, count(*) FROM (
  SELECT zone, width, bucket, count(*) AS n FROM (
    SELECT DISTINCT zone, width, time_bucket(width, ts, zone) AS bucket
      FROM unnest('{America/Havana,Australia/Lord_Howe,Pacific/Apia}'::text[]) AS zone, unnest('{20 min,45 min,1 h,7 h,1 day,1 month}'::interval[]) AS width,
           generate_series(timestamptz '2011-09-20 00:00+00', '2012-01-01 23:59:59+00', '5 min') AS ts
    UNION ALL
    SELECT zone, width, bucket
      FROM unnest('{America/Havana,Australia/Lord_Howe,Pacific/Apia}'::text[]) AS zone, unnest('{20 min,45 min,1 h,7 h,1 day,1 month}'::interval[]) AS width,
           time_buckets(width, '2011-09-20 00:00+00', '2012-01-02 00:00+00', zone) AS bucket) AS listed
   GROUP BY zone, width, bucket) AS counted
 WHERE n <> 2 GROUP BY zone, width;

-- first and last
CREATE TABLE readings (host text, ts timestamptz, usage float8, note text);
INSERT INTO readings
SELECT 'h' || i % 7, timestamptz '2024-01-01 00:00+00' + (i * 7919 % 100003) * interval '1 s', i * 7919 % 100003, 'n' || i * 7919 % 100003
  FROM generate_series(1, 50000) AS i;
INSERT INTO readings VALUES ('h0', NULL, -1, 'no time'), ('nothing', NULL, 1, 'no time'), ('null', '2024-01-01', NULL, NULL),
  ('null', '2024-01-02', 5, 'five'), ('ends', '-infinity', 1, 'first'), ('ends', 'infinity', 2, 'last');
ANALYZE readings;
SELECT host, first(usage, ts), last(usage, ts), first(note, ts) AS first_note, last(note, ts) AS last_note, last(ts, usage) AS top
  FROM readings GROUP BY host ORDER BY host;
SELECT first(v, t), last(v, t), first(v, t::date) AS date, last(v, v) AS text, last(t, 'NaN'::float8) IS NOT NULL AS nan
  FROM (VALUES ('a', timestamp '2024-01-02'), ('b', '2024-01-01'), ('c', '2024-01-03')) AS x (v, t);
SELECT first(v, n) AS bigint, last(v, n::numeric) AS numeric, last(n, f) AS nan_is_greatest
  FROM (VALUES ('{1,2}'::int[], 3::bigint, 1.0::float8), ('{3}', 2, 'NaN'), (NULL, 5, 'inf')) AS x (v, n, f);
SELECT first(usage, ts), last(usage, ts) FROM readings WHERE false;
SELECT host, ts, last(usage, ts) OVER (ORDER BY ts ROWS 1 PRECEDING) FROM readings WHERE host = 'null' ORDER BY ts;
SELECT first(v, t ORDER BY v), last(DISTINCT v, t) FROM (VALUES (1, 2), (2, 1), (1, 2)) AS x (v, t);
SELECT last(v, t COLLATE "C") FROM (VALUES (1, 'B'), (2, 'a')) AS x (v, t);
SELECT last(1, '(1,1)'::point);

-- increase, delta, rate
SELECT name, increase(ts, v), delta(ts, v), rate(ts, v)
  FROM (VALUES ('steady', 0, 10::float8), ('steady', 60, 70), ('steady', 120, 130), ('reset', 0, 10), ('reset', 10, 20), ('reset', 20, 4), ('reset', 30, 9),
               ('unordered', 30, 9), ('unordered', 10, 20), ('unordered', 0, 10), ('unordered', 20, 4), ('one', 0, 5),
               ('gap', 0, 1), ('gap', 10, NULL), ('gap', NULL, 7), ('gap', 20, 3), ('nulls', NULL, NULL),
               ('same time', 5, 1), ('same time', 5, 3), ('NaN', 0, 1), ('NaN', 10, 'NaN'), ('NaN', 20, 2),
               ('infinite', 0, 1), ('infinite', 10, 'inf'), ('flat', 0, 3), ('flat', 10, 3)) AS x (name, s, v),
       LATERAL (SELECT timestamptz '2024-01-01 00:00+00' + s * interval '1 s' AS ts) AS t
 GROUP BY name ORDER BY name;
SELECT increase(ts, 1), rate(ts, 1) FROM generate_series(timestamptz '2024-01-01', '2024-01-02', '1 h') AS ts WHERE false;
SELECT rate(ts, v) > 0 AS far_apart FROM (VALUES (timestamptz '4714-11-24 BC', 0::float8), ('294276-12-31', 1e30)) AS x (ts, v);
\set VERBOSITY sqlstate
SELECT delta(ts, v) FROM (VALUES (timestamptz '2024-01-01', -1.7e308::float8), ('2024-01-02', 1.7e308)) AS x (ts, v);
SELECT increase(ts, v) FROM (VALUES (timestamptz '2024-01-01', 0::float8), ('2024-01-02', 1.7e308), ('2024-01-03', 0), ('2024-01-04', 1.7e308)) AS x (ts, v);
SELECT rate(timestamptz 'infinity', 1);
\set VERBOSITY default
-- frames: what leaves is forgotten, NULLs and disorder included
SELECT i, v, increase(ts, v) OVER w AS increase, delta(ts, v) OVER w AS delta, rate(ts, v) OVER w AS rate
  FROM (VALUES (1, 1), (2, 3), (3, NULL), (4, 2), (5, 6), (6, 7), (7, NULL), (8, NULL), (9, NULL), (10, 1)) AS x (i, v),
       LATERAL (SELECT timestamptz '2024-01-01 00:00+00' + i * interval '1 s' AS ts) AS t
WINDOW w AS (ORDER BY i ROWS 2 PRECEDING) ORDER BY i;
SELECT count(*) AS frames, count(*) FILTER (WHERE moving IS DISTINCT FROM again) AS different
  FROM (SELECT increase(ts, usage) OVER (PARTITION BY host ORDER BY md5(note) ROWS BETWEEN 20 PRECEDING AND CURRENT ROW) AS moving,
               increase(ts, usage) FILTER (WHERE random() >= 0) OVER (PARTITION BY host ORDER BY md5(note) ROWS BETWEEN 20 PRECEDING AND CURRENT ROW) AS again
          FROM readings WHERE host LIKE 'h%' AND usage < 20000) AS x;
SELECT i, increase(ts, i) OVER (ORDER BY i) AS so_far, increase(ts, i) OVER (ORDER BY i GROUPS BETWEEN CURRENT ROW AND 1 FOLLOWING) AS ahead
  FROM generate_series(1, 4) AS i, LATERAL (SELECT timestamptz '2024-01-01' + i * interval '1 s' AS ts) AS t;

-- histogram
SELECT histogram(v, 0, 10, 5), histogram(v, -1e308, 1e308, 1) AS wide
  FROM unnest('{-1,0,0.5,1.999,2,9.999,10,11,NaN,inf,-inf,NULL}'::float8[]) AS v;
SELECT histogram(v, 0, 1, 2) FROM unnest('{}'::float8[]) AS v;
SELECT i, histogram(i, 0, 4, 2) OVER (ORDER BY i ROWS 1 PRECEDING) FROM generate_series(1, 4) AS i;
\set VERBOSITY sqlstate
SELECT histogram(1, 1, 1, 2);
SELECT histogram(1, 'NaN', 1, 2);
SELECT histogram(1, 0, 'inf', 2);
SELECT histogram(1, 0, 1, 0);
SELECT histogram(1, 0, 1, 2147483647);
SELECT histogram(1, NULL, 1, 2);
SELECT histogram(i, 0, 1, i) FROM generate_series(1, 2) AS i;
\set VERBOSITY default

-- locf and interpolate
SELECT part, i, v, n, locf(v) OVER w AS locf, locf(n) OVER w AS locf_text, interpolate(v, ts) OVER w AS interpolate
  FROM (VALUES ('a', 1, NULL::float8, NULL), ('a', 2, 10::float8, 'ten'), ('a', 3, NULL, NULL), ('a', 5, NULL, NULL), ('a', 6, 50, 'fifty'),
               ('a', 7, 'NaN', NULL), ('a', 8, NULL, ''), ('a', 9, NULL, NULL), ('b', 1, NULL, NULL), ('b', 2, NULL, NULL),
               ('c', 1, 1.7e308, 'x'), ('c', 2, NULL, NULL), ('c', 3, -1.7e308, NULL), ('c', NULL, NULL, NULL)) AS x (part, i, v, n),
       LATERAL (SELECT timestamptz '2024-01-01' + i * interval '1 h' AS ts) AS t
WINDOW w AS (PARTITION BY part ORDER BY i) ORDER BY part, i;
-- over many rows, whatever the frame
SELECT sum(filled) AS sum, count(*) FILTER (WHERE filled <> expected) AS wrong, count(*) FILTER (WHERE line IS NULL OR abs(line - i) > 1e-6) AS off_line
  FROM (SELECT i, locf(CASE WHEN i % 100 = 0 THEN i END) OVER (ORDER BY i ROWS 1 PRECEDING) AS filled, i / 100 * 100 AS expected,
               interpolate(CASE WHEN i % 100 = 0 THEN i END, timestamptz '2024-01-01' + i * interval '1 s') OVER (ORDER BY i) AS line
          FROM generate_series(0, 50000) AS i) AS x;
SELECT locf(1);
-- gaps filled: the recipe of the manual
SELECT bucket, avg(usage)::int AS usage, locf(avg(usage)::int) OVER (ORDER BY bucket) AS locf,
       interpolate(avg(usage), bucket) OVER (ORDER BY bucket) AS interpolate
  FROM time_buckets('1 h', '2024-01-01 00:00+00', '2024-01-01 06:00+00') AS bucket
  LEFT JOIN (VALUES (timestamptz '2024-01-01 01:10+00', 10::float8), ('2024-01-01 01:50+00', 20), ('2024-01-01 04:30+00', 30)) AS r (ts, usage)
    ON time_bucket('1 h', r.ts) = bucket AND r.ts >= '2024-01-01 00:00+00' AND r.ts < '2024-01-01 06:00+00'
 GROUP BY bucket ORDER BY bucket;

-- parallel workers get the same answers
CREATE FUNCTION plan_has(query text, what text) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line LIKE '%' || what || '%' THEN RETURN true; END IF;
    END LOOP;
    RETURN false;
END $$;
CREATE VIEW answers AS
SELECT host, first(usage, ts), last(note, ts), increase(ts, usage::int % 7), delta(ts, usage), rate(ts, usage::int % 5),
       histogram(usage, 0, 100000, 4), first(note, usage) AS note, max(time_bucket('6 hours', ts, 'Europe/Berlin')) AS bucket
  FROM readings WHERE isfinite(ts) GROUP BY host;
SET max_parallel_workers_per_gather = 0;
SET parallel_leader_participation = off;
CREATE TABLE serial_answers AS SELECT * FROM answers;
SET max_parallel_workers_per_gather = 2;
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SELECT plan_has('SELECT * FROM answers', 'Partial') AS partial, plan_has('SELECT * FROM answers', 'Gather') AS gather;
CREATE TABLE parallel_answers AS SELECT * FROM answers;
SELECT count(*) AS groups, count(*) FILTER (WHERE s IS DISTINCT FROM p) AS different
  FROM serial_answers AS s FULL JOIN parallel_answers AS p USING (host);
-- and so do parts of a table
SET max_parallel_workers_per_gather = 0;
SET enable_partitionwise_aggregate = on;
CREATE TABLE parts (LIKE readings) PARTITION BY HASH (note);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES WITH (MODULUS 3, REMAINDER 2);
INSERT INTO parts SELECT * FROM readings;
ANALYZE parts;
ALTER TABLE readings RENAME TO whole;
ALTER TABLE parts RENAME TO readings;
CREATE VIEW parts_answers AS
SELECT host, first(usage, ts), last(note, ts), increase(ts, usage::int % 7), delta(ts, usage), rate(ts, usage::int % 5),
       histogram(usage, 0, 100000, 4), first(note, usage) AS note, max(time_bucket('6 hours', ts, 'Europe/Berlin')) AS bucket
  FROM readings WHERE isfinite(ts) GROUP BY host;
SELECT plan_has('SELECT * FROM parts_answers', 'Partial') AS partial;
SELECT count(*) AS groups, count(*) FILTER (WHERE s IS DISTINCT FROM p) AS different
  FROM serial_answers AS s FULL JOIN parts_answers AS p USING (host);
DROP VIEW parts_answers;
SELECT first(usage, ts), last(note, ts), first(NULL::text, ts) AS null_value, increase(ts, NULL) FROM readings WHERE isfinite(ts);
SELECT histogram(usage, 0, 100000, 2), increase(ts, usage) FROM readings WHERE host = 'no such host';

-- a foreign table is no different
CREATE SERVER m3_functions FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE function_points (ts timestamptz NOT NULL, host text, usage float8) SERVER m3_functions OPTIONS (namespace 'function_points');
INSERT INTO function_points SELECT ts, host, usage FROM readings WHERE host IN ('h1', 'h2') AND usage < 2000;
SELECT host, time_bucket('10 min', ts) AS bucket, count(*), first(usage, ts), last(usage, ts), increase(ts, usage), round(rate(ts, usage)::numeric, 9) AS rate
  FROM function_points GROUP BY host, bucket ORDER BY host, bucket;

-- all may run in parallel workers, none depends on settings
SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
 WHERE (p.prosrc ~ '^m3db_(time_bucket|first|last|samples|increase|delta|rate|histogram|locf|interpolate)' OR p.prokind = 'a')
   AND (p.proparallel <> 's' OR p.provolatile <> 'i');
-- what aggregates are made of is of no use alone
SELECT histogram_trans('{0,0,0}'::int8[], 1, 0, 1, 1);

DROP FOREIGN TABLE function_points;
DROP SERVER m3_functions;
DROP VIEW answers;
DROP TABLE readings, whole, serial_answers, parallel_answers;
DROP FUNCTION plan_has;
