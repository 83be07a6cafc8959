-- Aggregates inside the scan give what PostgreSQL's own give on a plain table with the same
-- rows: all groupings, conditions and kinds of table, wherever the points are.
\set VERBOSITY terse
SET timezone = 'UTC';
-- what little there is costs little either way
SET cpu_operator_cost = 1;
SET jit = off;
SET work_mem = '64MB';
SET enable_hashagg = off;
SET enable_sort = off;
CREATE SERVER aggregate_exec FOREIGN DATA WRAPPER m3db_fdw;

CREATE FOREIGN TABLE narrow_m3 (ts timestamptz NOT NULL, host text, region text, rack int, value float8)
  SERVER aggregate_exec OPTIONS (namespace 'aggregate_narrow', block_size '2 hours');
CREATE TABLE narrow_heap (ts timestamptz NOT NULL, host text, region text, rack int, value float8);
CREATE UNIQUE INDEX ON narrow_heap (ts, host);
CREATE FOREIGN TABLE exact_m3 (t bigint OPTIONS (role 'time_ns') NOT NULL, host text, value float8)
  SERVER aggregate_exec OPTIONS (namespace 'aggregate_exact', block_size '2 hours');
CREATE TABLE exact_heap (t bigint NOT NULL, host text, value float8);
CREATE FOREIGN TABLE wide_m3 (ts timestamptz NOT NULL, host text, region text, a float8, b float8, c float8)
  SERVER aggregate_exec OPTIONS (namespace 'aggregate_wide', block_size '2 hours');
CREATE TABLE wide_heap (ts timestamptz NOT NULL, host text, region text, a float8, b float8, c float8);
CREATE UNIQUE INDEX ON wide_heap (ts, host);

-- a float8 as text, without the digits that depend on the order of additions; many are halves of
-- the last digit shown, so all are moved a bit
CREATE FUNCTION r(v float8) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN v IN ('NaN', 'Infinity', '-Infinity') THEN v::text
               WHEN abs(v) < 1e-12 THEN '0' ELSE to_char(v * 1.00000123, '9.999999999EEEE') END $$;

CREATE TABLE questions (number int GENERATED ALWAYS AS IDENTITY, of text, question text);
INSERT INTO questions (of, question)
  -- everything, by all kinds of groups
  SELECT 'narrow', format('SELECT %s count(*), count(value), r(sum(value)), r(avg(value)), min(value), max(value),
      r(var_pop(value)), r(variance(value)), r(stddev_pop(value)), r(stddev(value)),
      min(ts), max(ts) FROM narrow_%%1$s %s %s',
      CASE WHEN g = '' THEN '' ELSE g || ',' END, w, CASE WHEN g = '' THEN '' ELSE 'GROUP BY ' || g END)
  FROM unnest(ARRAY['', 'host', 'region', 'rack', 'host, region',
      'm3db.time_bucket(''1 hour'', ts)', 'region, m3db.time_bucket(''7 minutes'', ts)',
      'm3db.time_bucket(''10 seconds'', ts)', 'date_trunc(''day'', ts)', 'date_trunc(''month'', ts), host',
      'date_bin(''15 minutes'', ts, ''2001-01-01'')', 'm3db.time_bucket(''1 month'', ts)', 'rack, date_trunc(''hour'', ts)']) g,
    unnest(ARRAY['', 'WHERE host = ''h3''', 'WHERE value > 50', 'WHERE value <> 20 AND value <= 70.5 AND ts >= ''2026-01-01 01:03''',
      'WHERE ts >= ''2026-01-01 01:00'' AND ts < ''2026-01-01 03:30''', 'WHERE region IS NULL', 'WHERE host = ''nobody''',
      'WHERE value < ''NaN'' AND value >= ''-Infinity''', 'WHERE value = ''NaN''', 'WHERE value > NULL']) w;
INSERT INTO questions (of, question)
  SELECT 'narrow', format('SELECT %s count(*) FILTER (WHERE value > 30), count(host) FILTER (WHERE region = ''eu''), count(region),
      r(sum(value) FILTER (WHERE ts >= ''2026-01-01 01:30'' AND ts < ''2026-01-01 02:10'')), max(value) FILTER (WHERE host <> ''h1'' AND value < 60),
      min(ts) FILTER (WHERE value >= 77), max(ts) FILTER (WHERE region = ''nowhere'') FROM narrow_%%1$s %s %s',
      CASE WHEN g = '' THEN '' ELSE g || ',' END, w, CASE WHEN g = '' THEN '' ELSE 'GROUP BY ' || g END)
  FROM unnest(ARRAY['', 'host', 'region', 'm3db.time_bucket(''20 minutes'', ts)', 'rack, date_trunc(''hour'', ts)']) g,
    unnest(ARRAY['', 'WHERE value > 50', 'WHERE host >= ''h2''', 'WHERE ts < ''2026-01-01 02:00''']) w;
INSERT INTO questions (of, question)
  SELECT 'narrow', format('SELECT host, %s m3db.first(value, ts), m3db.last(value, ts) %s FROM narrow_%%1$s %s GROUP BY host %s',
      CASE WHEN g = '' THEN '' ELSE g || ',' END, m, w, CASE WHEN g = '' THEN '' ELSE ',' || g END)
  FROM unnest(ARRAY['', 'm3db.time_bucket(''1 hour'', ts)']) g,
    unnest(ARRAY['', ', count(*)', ', min(ts), max(ts)', ', m3db.last(value, ts) FILTER (WHERE value < 40)',
      ', m3db.first(value, ts) FILTER (WHERE ts > ''2026-01-01 02:00'')']) m,
    unnest(ARRAY['', 'WHERE value > 50', 'WHERE ts < ''2026-01-01 02:00''']) w;
-- bounds on the time within a block, and whole blocks besides
INSERT INTO questions (of, question)
  SELECT 'narrow', format('SELECT %s r(sum(value) FILTER (WHERE ts >= ''2026-01-01 01:30'')), max(value) FROM narrow_%%1$s %s',
      CASE WHEN g = '' THEN '' ELSE g || ',' END, CASE WHEN g = '' THEN '' ELSE 'GROUP BY ' || g END)
  FROM unnest(ARRAY['', 'region', 'date_trunc(''day'', ts)']) g
  UNION ALL
  SELECT 'wide', format('SELECT %s r(sum(a) FILTER (WHERE ts < ''2026-01-01 01:30'')), max(b) FROM wide_%%1$s %s',
      CASE WHEN g = '' THEN '' ELSE g || ',' END, CASE WHEN g = '' THEN '' ELSE 'GROUP BY ' || g END)
  FROM unnest(ARRAY['', 'region', 'date_trunc(''day'', ts)']) g;
INSERT INTO questions (of, question) SELECT 'narrow', q FROM unnest(ARRAY[
  'SELECT host, m3db.last(value, ts) FROM narrow_%1$s GROUP BY host',
  'SELECT host, m3db.first(value, ts) FROM narrow_%1$s GROUP BY host',
  'SELECT max(ts) FROM narrow_%1$s', 'SELECT min(ts), max(ts) FROM narrow_%1$s', 'SELECT count(*) FROM narrow_%1$s',
  'SELECT region, max(ts) FROM narrow_%1$s GROUP BY region', 'SELECT host FROM narrow_%1$s GROUP BY host',
  'SELECT region, rack FROM narrow_%1$s WHERE value > 90 GROUP BY 1, 2',
  'SELECT date_trunc(''hour'', ts) FROM narrow_%1$s GROUP BY 1']) q;
INSERT INTO questions (of, question)
  SELECT 'exact', format('SELECT %s count(*), r(sum(value)), min(t), max(t) FROM exact_%%1$s %s %s',
      CASE WHEN g = '' THEN '' ELSE g || ',' END, w, CASE WHEN g = '' THEN '' ELSE 'GROUP BY ' || g END)
  FROM unnest(ARRAY['', 'host', 't / 60000000000', 't / 1000', 'host, t / 3600000000000 * 3600000000000']) g,
    unnest(ARRAY['', 'WHERE t >= 1767229200000000000', 'WHERE value < 30']) w;
INSERT INTO questions (of, question)
  SELECT 'wide', format('SELECT %s %s FROM wide_%%1$s %s %s',
      CASE WHEN g = '' THEN '' ELSE g || ',' END, s, w, CASE WHEN g = '' THEN '' ELSE 'GROUP BY ' || g END)
  FROM unnest(ARRAY['', 'host', 'region', 'm3db.time_bucket(''1 hour'', ts)', 'region, m3db.time_bucket(''7 minutes'', ts)',
      'm3db.time_bucket(''10 seconds'', ts)', 'date_trunc(''day'', ts)']) g,
    unnest(ARRAY['count(*), count(a), count(b), count(c), r(sum(a)), r(avg(b)), max(c), r(stddev(a)), min(ts), max(ts)',
      'count(*)', 'count(region), count(*) FILTER (WHERE host = ''h2'')', 'r(avg(b))', 'count(c)', 'max(ts)', 'min(ts), r(sum(c))',
      'count(*) FILTER (WHERE ts >= ''2026-01-01 01:30''), r(sum(a) FILTER (WHERE region = ''eu''))',
      'max(b) FILTER (WHERE region = ''nowhere'')']) s,
    unnest(ARRAY['', 'WHERE host = ''h3''', 'WHERE ts >= ''2026-01-01 01:00'' AND ts < ''2026-01-01 03:30''']) w;
INSERT INTO questions (of, question)
  SELECT 'wide', format('SELECT host, %s %s FROM wide_%%1$s %s GROUP BY host %s', CASE WHEN g = '' THEN '' ELSE g || ',' END, s, w,
      CASE WHEN g = '' THEN '' ELSE ',' || g END)
  FROM unnest(ARRAY['', 'm3db.time_bucket(''13 minutes'', ts)']) g,
    unnest(ARRAY['m3db.last(a, ts), m3db.first(b, ts)', 'm3db.last(c, ts)', 'm3db.first(c, ts), count(*)', 'm3db.last(b, ts), max(a), max(ts)']) s,
    unnest(ARRAY['', 'WHERE ts < ''2026-01-01 02:00''']) w;
INSERT INTO questions (of, question)
  SELECT 'wide', format('SELECT %s count(*), count(b), r(sum(b)), min(ts), max(b) FILTER (WHERE b < 50) FROM wide_%%1$s WHERE b > 20 %s',
      CASE WHEN g = '' THEN '' ELSE g || ',' END, CASE WHEN g = '' THEN '' ELSE 'GROUP BY ' || g END)
  FROM unnest(ARRAY['', 'host', 'region, m3db.time_bucket(''7 minutes'', ts)']) g;

CREATE FUNCTION answer(question text, of text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
  result text[];
BEGIN
  EXECUTE format('SELECT array_agg(q::text ORDER BY q::text) FROM (' || question || ') q', of) INTO result;
  RETURN result;
EXCEPTION WHEN numeric_value_out_of_range OR datetime_field_overflow THEN
  RETURN ARRAY[SQLERRM];
END $$;

CREATE FUNCTION is_inside(question text) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
  line text;
BEGIN
  EXECUTE 'EXPLAIN (COSTS OFF) ' || format(question, 'm3') INTO line;
  RETURN line = 'Foreign Scan';
END $$;

-- how many were asked, whether nearly all are answered inside the scan, and those answered differently
CREATE FUNCTION compare(tables text) RETURNS TABLE (asked bigint, inside bool, different text[]) LANGUAGE sql AS $$
  SELECT count(*), count(*) FILTER (WHERE is_inside(question)) > 0.7 * count(*),
         array_agg(question ORDER BY number) FILTER (WHERE answer(question, 'm3') IS DISTINCT FROM answer(question, 'heap'))
    FROM questions WHERE of = ANY (string_to_array(tables, ' ')) $$;

-- nothing at all
SELECT * FROM compare('narrow exact wide');

-- points in buffers; steps that bucket boundaries do not divide, series that begin and end elsewhere
CREATE FUNCTION fill(tables text, from_step int, to_step int, v float8) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY string_to_array(tables, ' ') LOOP
    EXECUTE format($f$INSERT INTO narrow_%s
      SELECT timestamptz '2026-01-01 00:00:03' + i * interval '17 s' + h * interval '0.3 s', 'h' || h,
             CASE h %% 3 WHEN 0 THEN 'eu' WHEN 1 THEN 'us' END, h / 2, ((i * 7 + h * 13) %% 97) + $1
        FROM generate_series($2, $3) i, generate_series(0, 5) h WHERE h < 5 OR i %% 50 = 1 $f$, t) USING v, from_step, to_step;
    EXECUTE format($f$INSERT INTO exact_%s
      SELECT 1767225600000000000 + i * 7000000123::bigint + h, 'h' || h, ((i * 7 + h * 13) %% 97) + $1
        FROM generate_series($2, $3) i, generate_series(0, 2) h $f$, t) USING v, from_step, to_step;
    EXECUTE format($f$INSERT INTO wide_%s
      SELECT timestamptz '2026-01-01 00:00:03' + i * interval '17 s', 'h' || h, CASE h %% 3 WHEN 0 THEN 'eu' WHEN 1 THEN 'us' END,
             CASE WHEN h <> 4 THEN ((i * 7 + h * 13) %% 97) + $1 END,
             CASE WHEN i %% 7 <> 3 OR h = 4 THEN ((i * 11 + h * 13) %% 97) + $1 END,
             CASE WHEN h = 3 AND i %% 60 < 20 THEN ((i * 5 + h * 13) %% 97) + $1 END
        FROM generate_series($2, $3) i, generate_series(0, 4) h $f$, t) USING v, from_step, to_step;
  END LOOP;
END $$;
SELECT fill('m3 heap', 0, 800, 0.25);
SELECT * FROM compare('narrow exact wide');

-- in files, with statistics and without
SELECT m3db.flush() IS NOT NULL AS flushed;
SELECT * FROM compare('narrow exact wide');
SET m3db.enable_statistics = off;
SELECT * FROM compare('narrow exact wide');
RESET m3db.enable_statistics;

-- by several processes; with little memory, which makes them give out parts of groups
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SELECT different FROM compare('narrow exact wide');
CREATE FOREIGN TABLE many_m3 (ts timestamptz NOT NULL, host text, value float8) SERVER aggregate_exec OPTIONS (namespace 'aggregate_many');
INSERT INTO many_m3 SELECT timestamptz '2026-01-01' + i % 3 * interval '1 min', i / 3 / 2, i FROM generate_series(0, 17999) i;
SELECT m3db.flush() IS NOT NULL AS flushed;
SET work_mem = '64kB';
SELECT count(*), sum(n), min(n), max(n), sum(s), min(last) FROM
  (SELECT host, count(*) AS n, sum(value) AS s, max(value) AS last FROM many_m3 GROUP BY host) h;
RESET enable_hashagg;
SELECT count(*), sum(n), min(n), max(n), sum(s), r(sum(sd)) FROM
  (SELECT host, count(*) AS n, sum(value) AS s, stddev(value) AS sd FROM many_m3 GROUP BY host) h;
SET enable_hashagg = off;
SET work_mem = '64MB';
SET max_parallel_workers_per_gather = 0;

-- some of them overwritten, and some behind
DELETE FROM narrow_heap WHERE ts >= timestamptz '2026-01-01 00:00:03' + 300 * interval '17 s' AND ts < timestamptz '2026-01-01 00:00:03' + 421 * interval '17 s';
DELETE FROM exact_heap WHERE t >= 1767225600000000000 + 300 * 7000000123 AND t < 1767225600000000000 + 421 * 7000000123;
DELETE FROM wide_heap WHERE ts >= timestamptz '2026-01-01 00:00:03' + 300 * interval '17 s' AND ts < timestamptz '2026-01-01 00:00:03' + 421 * interval '17 s';
SELECT fill('m3 heap', 300, 420, 7.5);
SELECT fill('m3 heap', 900, 950, 1);
SELECT * FROM compare('narrow exact wide');

-- the transaction's own; at other times, too
BEGIN;
SELECT fill('m3 heap', 1000, 1050, 2);
INSERT INTO narrow_m3 VALUES ('2026-01-01 00:00:01', 'h9', 'us', 4, 3), ('2026-01-03 00:00:01', 'h9', 'us', 4, 1), ('2025-12-30 11:00', 'h0', 'eu', 0, 2);
INSERT INTO narrow_heap VALUES ('2026-01-01 00:00:01', 'h9', 'us', 4, 3), ('2026-01-03 00:00:01', 'h9', 'us', 4, 1), ('2025-12-30 11:00', 'h0', 'eu', 0, 2);
INSERT INTO wide_m3 VALUES ('2026-01-01 00:00:01', 'h9', 'us', NULL, 3, 4), ('2025-12-30 11:00', 'h0', 'eu', 1, NULL, 2), ('2026-01-02 00:00:01', 'h8', 'us', 1, NULL, NULL),
  ('2026-01-02 00:00:02', 'h8', 'us', NULL, 1, NULL), ('2026-01-02 00:00:03', 'h8', 'us', 1, 1, NULL);
INSERT INTO wide_heap VALUES ('2026-01-01 00:00:01', 'h9', 'us', NULL, 3, 4), ('2025-12-30 11:00', 'h0', 'eu', 1, NULL, 2), ('2026-01-02 00:00:01', 'h8', 'us', 1, NULL, NULL),
  ('2026-01-02 00:00:02', 'h8', 'us', NULL, 1, NULL), ('2026-01-02 00:00:03', 'h8', 'us', 1, 1, NULL);
SELECT * FROM compare('narrow exact wide');
ROLLBACK;

-- what is no number, and what is infinite
BEGIN;
INSERT INTO narrow_m3 VALUES ('2026-01-01 01:00:01', 'h0', 'eu', 0, 'NaN'), ('2026-01-01 01:01:01', 'h1', 'us', 0, 'Infinity'),
  ('2026-01-01 02:01:01', 'h2', NULL, 1, '-Infinity'), ('2026-01-01 02:01:02', 'h2', NULL, 1, 'Infinity'), ('2026-01-01 02:01:02', 'h3', 'eu', 1, '-0'),
  ('2026-02-01 02:01:02', 'h0', 'eu', 0, 'NaN'), ('2026-03-01 02:01:02', 'h0', 'eu', 0, '-Infinity'), ('2026-02-01 02:01:03', 'h1', 'us', 0, 5);
INSERT INTO narrow_heap VALUES ('2026-01-01 01:00:01', 'h0', 'eu', 0, 'NaN'), ('2026-01-01 01:01:01', 'h1', 'us', 0, 'Infinity'),
  ('2026-01-01 02:01:01', 'h2', NULL, 1, '-Infinity'), ('2026-01-01 02:01:02', 'h2', NULL, 1, 'Infinity'), ('2026-01-01 02:01:02', 'h3', 'eu', 1, '-0'),
  ('2026-02-01 02:01:02', 'h0', 'eu', 0, 'NaN'), ('2026-03-01 02:01:02', 'h0', 'eu', 0, '-Infinity'), ('2026-02-01 02:01:03', 'h1', 'us', 0, 5);
SELECT * FROM compare('narrow');
ROLLBACK;

-- overflow
CREATE FOREIGN TABLE large_m3 (ts timestamptz NOT NULL, host text, value float8) SERVER aggregate_exec OPTIONS (namespace 'aggregate_large');
INSERT INTO large_m3 VALUES ('2026-01-01', 'a', 1e308), ('2026-01-02', 'a', 1e308), ('2026-01-01', 'b', 1e200), ('2026-01-02', 'b', -1e200);
SELECT sum(value) FROM large_m3;
SELECT sum(value), min(value) FROM large_m3 WHERE host = 'b';
SELECT avg(value) FROM large_m3 WHERE host = 'b';
SELECT avg(value) FROM large_m3 WHERE host = 'a';
SELECT stddev(value) FROM large_m3 WHERE host = 'b';
SELECT count(value), max(value) FROM large_m3;

-- clocks set forward and back; instants that are the same hour on the clock
TRUNCATE narrow_m3, narrow_heap, questions;
INSERT INTO narrow_heap
  SELECT timestamptz '2026-03-27' + i * interval '11 min', 'h' || h, 'eu', h, i + h FROM generate_series(0, 800) i, generate_series(0, 2) h
  UNION ALL
  SELECT timestamptz '2026-10-24' + i * interval '7 min', 'h' || h, 'eu', h, i + h FROM generate_series(0, 800) i, generate_series(0, 2) h;
INSERT INTO narrow_m3 SELECT * FROM narrow_heap;
INSERT INTO questions (of, question)
  SELECT 'narrow', format('SELECT %s, count(*), r(sum(value)), min(ts), max(ts) FROM narrow_%%1$s %s GROUP BY %s', g, w, g)
  FROM unnest(ARRAY['m3db.time_bucket(''1 day'', ts, ''Europe/Berlin'')', 'm3db.time_bucket(''1 hour'', ts, ''Europe/Berlin'')',
    'm3db.time_bucket(''3 hours'', ts, ''Australia/Lord_Howe'')', 'm3db.time_bucket(''1 month'', ts, ''America/New_York'')',
    'date_trunc(''day'', ts)', 'date_trunc(''hour'', ts)', 'date_trunc(''week'', ts)', 'date_trunc(''month'', ts)',
    'date_trunc(''day'', ts, ''Europe/Berlin'')', 'date_trunc(''hour'', ts AT TIME ZONE ''Europe/Berlin'')', 'ts::date', 'ts::timestamp',
    'host, ts::date', 'extract(epoch FROM ts)::bigint / 3600', 'floor(extract(epoch FROM ts) / 7200) * 7200', 'host, date_trunc(''hour'', ts AT TIME ZONE ''Europe/Berlin'')',
    'to_timestamp(floor(extract(epoch FROM ts) / 300) * 300)', 'extract(year FROM ts)', 'date_part(''epoch'', ts)',
    'date_bin(''20 minutes'', ts AT TIME ZONE ''Europe/Berlin'', ''2001-01-01'')', 'date_bin(''20 minutes'', ts::timestamp, ''2001-01-01'')',
    'm3db.time_bucket(''20 minutes'', ts AT TIME ZONE ''Europe/Berlin'')', 'date_trunc(''minute'', ts AT TIME ZONE ''Europe/Berlin'')']) g,
    unnest(ARRAY['', 'WHERE ts >= ''2026-10-25 00:05Z'' AND ts < ''2026-10-25 01:12Z''']) w;
SELECT * FROM compare('narrow');
SET timezone = 'Europe/Berlin';
SELECT * FROM compare('narrow');
SET timezone = 'Asia/Kolkata';
SELECT * FROM compare('narrow');
SELECT m3db.flush() IS NOT NULL AS flushed;
SET timezone = 'Europe/Berlin';
SELECT * FROM compare('narrow');
SET timezone = 'UTC';

-- errors of a bucket's expression are raised if a row raises them, and only then
INSERT INTO large_m3 VALUES ('2040-01-01', 'c', 1), ('2037-01-01', 'c', 2);
SELECT extract(epoch FROM ts)::int / 86400 AS day, sum(value) FROM large_m3 WHERE host = 'c' AND ts < '2040-01-01' GROUP BY 1;
SELECT extract(epoch FROM ts)::int / 86400 AS day, sum(value) FROM large_m3 WHERE host = 'c' GROUP BY 1;
SELECT extract(epoch FROM ts)::int / 86400 AS day, sum(value) FROM large_m3 WHERE host = 'c' AND value > 1 GROUP BY 1;

-- parameters that change; a cursor; rewinding
PREPARE by_host(text, interval) AS SELECT m3db.time_bucket($2, ts) AS bucket, count(*) FROM narrow_m3 WHERE host = $1 GROUP BY 1 ORDER BY 1 LIMIT 2;
SET plan_cache_mode = force_generic_plan;
EXECUTE by_host('h1', '1 day');
EXECUTE by_host('h2', '10 days');
RESET plan_cache_mode;
SELECT h, (SELECT count(*) FROM narrow_m3 WHERE host = h AND value > n), (SELECT max(value) FILTER (WHERE value < n) FROM narrow_m3 WHERE host = h)
  FROM (VALUES ('h0', 100), ('h1', 700), ('nobody', 0)) v (h, n);
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT host, count(*), max(ts) FROM narrow_m3 GROUP BY host ORDER BY host;
FETCH ALL c;
FETCH ABSOLUTE 1 c;
ROLLBACK;

DROP TABLE narrow_heap, exact_heap, wide_heap, questions;
DROP FOREIGN TABLE narrow_m3, exact_m3, wide_m3, large_m3, many_m3;
DROP FUNCTION r, answer, is_inside, compare, fill;
DROP SERVER aggregate_exec;
