-- Rows in an order: plans, what they read, and the same answers as without.
CREATE SCHEMA t_sorted;
SET search_path = t_sorted;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
SET m3db.enable_aggregate_pushdown = off;
CREATE SERVER sorted FOREIGN DATA WRAPPER m3db_fdw;

-- eight series of three blocks; values that do not compress, so that blocks have statistics
CREATE FOREIGN TABLE o (ts timestamptz NOT NULL, host text, region text, v float8)
  SERVER sorted OPTIONS (namespace 'sorted', block_size '1 day');
INSERT INTO o
SELECT timestamptz '2026-01-01 00:00+00' + i * interval '1 minute', h, r, (i * 7919 % 10007) / 7.0
  FROM generate_series(0, 4319) i, unnest(ARRAY['a', 'b', 'c', NULL]) h, unnest(ARRAY['eu', 'us']) r;
SELECT held FROM m3db.flush('o');
CREATE TABLE copy AS SELECT * FROM o;
ANALYZE copy;

-- time, tags, both; a part of what is asked for
EXPLAIN (COSTS OFF) SELECT * FROM o ORDER BY ts DESC LIMIT 3;
EXPLAIN (COSTS OFF) SELECT * FROM o ORDER BY host DESC NULLS LAST, region NULLS FIRST, ts DESC LIMIT 3;
EXPLAIN (COSTS OFF) SELECT * FROM o ORDER BY host COLLATE "C" DESC LIMIT 3;
EXPLAIN (COSTS OFF) SELECT * FROM o ORDER BY ts, host LIMIT 3;
EXPLAIN (COSTS OFF) SELECT * FROM o ORDER BY host, v LIMIT 3;
EXPLAIN (COSTS OFF) SELECT * FROM o ORDER BY v LIMIT 3;
EXPLAIN (COSTS OFF) SELECT * FROM o ORDER BY upper(host) LIMIT 3;
EXPLAIN (COSTS OFF) SELECT * FROM o ORDER BY host USING ~<~, ts LIMIT 3;
EXPLAIN (COSTS OFF) SELECT * FROM o WHERE host = 'a' ORDER BY host, ts LIMIT 3;
-- where versions show what is above the scan each in its own way
CREATE FUNCTION scan_order(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  plan jsonb;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
  RETURN jsonb_path_query_first(plan, 'lax $.**."Order"') #>> '{}';
END $$;
SELECT scan_order('SELECT *, lag(v) OVER (PARTITION BY host, region ORDER BY ts) FROM o LIMIT 3');
EXPLAIN (COSTS OFF) SELECT host, count(*) FROM o GROUP BY host ORDER BY host;
SET enable_hashjoin = off;
SET enable_nestloop = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM o JOIN o p USING (host, region, ts);
SELECT count(*), sum(o.v - p.v) FROM o JOIN o p USING (host, region, ts);
SELECT count(*), sum(o.v - p.v) FROM copy o JOIN copy p USING (host, region, ts);
SELECT count(*) FROM o LEFT JOIN o p ON o.host = p.host AND o.ts = p.ts AND p.region = 'eu' AND p.v > 700;
SELECT count(*) FROM copy o LEFT JOIN copy p ON o.host = p.host AND o.ts = p.ts AND p.region = 'eu' AND p.v > 700;
RESET enable_hashjoin;
RESET enable_nestloop;

-- all rows, in the very order
CREATE FUNCTION digest(rows text, terms text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text;
BEGIN
  EXECUTE format('SELECT count(*) || '' '' || md5(string_agg(s::text, ''|'')) FROM (SELECT * FROM %s ORDER BY %s) s',
                 rows, terms) INTO result;
  RETURN result;
END $$;
SELECT digest('o', terms) = digest('copy', terms) AS same, terms FROM unnest(ARRAY[
  'host, region, ts', 'region DESC, host DESC NULLS LAST, ts DESC', 'host, ts, region', 'host DESC, ts DESC, region',
  'ts, host, region', 'ts DESC, region DESC, host', 'host, region, ts DESC LIMIT 20 OFFSET 4310',
  'ts DESC, host, region LIMIT 20']) terms;

SELECT * FROM o ORDER BY ts DESC, host, region DESC LIMIT 9;
SELECT * FROM o WHERE ts < '2026-01-02 12:00+00' ORDER BY region, host DESC, ts DESC LIMIT 3;
SELECT host, region, count(*), sum(v) FROM o GROUP BY host, region ORDER BY host, region;
SELECT * FROM (SELECT *, ts - lag(ts) OVER (PARTITION BY host, region ORDER BY ts) AS d FROM o) s
 WHERE d <> interval '1 minute';
SELECT min(ts), max(ts) FROM o WHERE host = 'b';

-- DISTINCT: one row of each value, where nothing else looks at the rows
EXPLAIN (COSTS OFF) SELECT DISTINCT ON (host) * FROM o ORDER BY host, ts DESC;
SELECT DISTINCT ON (host) ts, host, v FROM o ORDER BY host, ts DESC;
SELECT DISTINCT ON (region, host) * FROM o WHERE ts < '2026-01-02' ORDER BY region DESC, host DESC, ts;
SELECT DISTINCT ON (host) host, region FROM o ORDER BY host DESC, region;
SELECT scan_order('SELECT DISTINCT ON (host) * FROM o WHERE host = ''a'' ORDER BY host, ts DESC');
SELECT DISTINCT ON (host, region) * FROM o WHERE host = 'a' ORDER BY host, region, ts DESC;
SELECT DISTINCT ON (host) ts, host, v FROM o WHERE host = 'a' ORDER BY host, ts DESC;
EXPLAIN (COSTS OFF) SELECT DISTINCT host FROM o;
SELECT DISTINCT host FROM o;
SELECT DISTINCT region, host FROM o WHERE host IS NOT NULL ORDER BY host DESC, region;
SELECT DISTINCT host FROM o WHERE host = 'a';
SELECT DISTINCT host FROM o WHERE ts > '2027-01-01';
SELECT count(*) FROM (SELECT DISTINCT ON (host) * FROM o ORDER BY host, ts) s WHERE v < 1;

CREATE FUNCTION first_rows_only(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  plan jsonb;
BEGIN
  EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
  RETURN jsonb_path_exists(plan, 'lax $.**."First Row Of"');
END $$;
SELECT first_rows_only(query), query FROM unnest(ARRAY[
  'SELECT DISTINCT host FROM o',
  'SELECT DISTINCT ON (host) * FROM o ORDER BY host, region, ts',
  'SELECT DISTINCT ON (host) * FROM o ORDER BY host, ts LIMIT 2',
  'SELECT DISTINCT ON (host) host, upper(region) FROM o WHERE ts > now()',
  'SELECT count(*) FROM (SELECT DISTINCT host, region FROM o) s',
  'SELECT DISTINCT ON (host) * FROM o ORDER BY host, v',
  'SELECT DISTINCT host, ts FROM o',
  'SELECT DISTINCT upper(host) FROM o',
  'SELECT DISTINCT host FROM o WHERE v > 3',
  'SELECT DISTINCT host FROM o WHERE random() < 0.5',
  'SELECT DISTINCT host, count(*) FROM o GROUP BY host',
  'SELECT DISTINCT host, sum(v) OVER (ORDER BY host) FROM o',
  'SELECT DISTINCT host, generate_series(1, 2) FROM o',
  'SELECT DISTINCT ON (host) random() FROM o',
  'SELECT DISTINCT host FROM o, generate_series(1, 2)',
  'SELECT DISTINCT host FROM o JOIN copy USING (host)',
  'SELECT host FROM o UNION SELECT host FROM o']) query;

-- what is read: blocks and points of what is shown, not of all there is
CREATE FUNCTION counter(query text, name text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  plan jsonb;
BEGIN
  EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT JSON) ' || query INTO plan;
  RETURN jsonb_path_query_first(plan, format('lax $.**."%s"', name)::jsonpath);
END $$;
CREATE VIEW readings AS
SELECT query, counter(query, 'Blocks Read') AS blocks, counter(query, 'Points Decoded') AS points
  FROM unnest(ARRAY[
  'SELECT * FROM o ORDER BY host, ts',
  'SELECT * FROM o ORDER BY ts DESC LIMIT 1',
  'SELECT * FROM o ORDER BY ts LIMIT 1',
  'SELECT * FROM o WHERE host = ''a'' AND region = ''eu'' ORDER BY ts DESC LIMIT 1',
  'SELECT * FROM o WHERE host = ''a'' AND region = ''eu'' ORDER BY ts DESC LIMIT 2',
  'SELECT * FROM o ORDER BY host, region, ts DESC LIMIT 2',
  'SELECT DISTINCT ON (host, region) * FROM o ORDER BY host, region, ts DESC',
  'SELECT DISTINCT ON (host) * FROM o ORDER BY host, ts',
  'SELECT DISTINCT ON (host) * FROM o ORDER BY host, region, ts',
  'SELECT DISTINCT host FROM o']) query;
SET m3db.enable_statistics = off;
SELECT * FROM readings;
CREATE TABLE decoded AS SELECT * FROM readings;
RESET m3db.enable_statistics;
-- statistics only ever spare reading
SELECT r.* FROM readings r JOIN decoded d USING (query) WHERE r.blocks > d.blocks OR r.points > d.points;
-- own points are in the newest blocks; older ones are of no interest
SET m3db.enable_statistics = off;
BEGIN;
INSERT INTO o VALUES ('2026-01-03 23:59:30+00', 'a', 'eu', -1), ('2026-01-01 00:00+00', 'b', 'us', -2);
SELECT * FROM readings;
SELECT * FROM o ORDER BY ts DESC LIMIT 1;
SELECT DISTINCT ON (host) * FROM o WHERE host IN ('a', 'b') ORDER BY host, ts DESC, region;
SELECT DISTINCT ON (host, region) * FROM o WHERE host = 'b' ORDER BY host, region, ts;
ROLLBACK;
RESET m3db.enable_statistics;

-- the switches
SET m3db.enable_distinct_pushdown = off;
EXPLAIN (COSTS OFF) SELECT DISTINCT host FROM o;
SELECT DISTINCT host FROM o;
RESET m3db.enable_distinct_pushdown;
SET m3db.enable_sorted_scan = off;
EXPLAIN (COSTS OFF) SELECT * FROM o ORDER BY ts DESC LIMIT 3;
SELECT * FROM o ORDER BY ts DESC, host, region DESC LIMIT 3;
SELECT first_rows_only('SELECT DISTINCT host FROM o');
RESET m3db.enable_sorted_scan;

-- again and again, with other parameters and with the same
CREATE TABLE hosts (host text, n int);
INSERT INTO hosts VALUES ('a', 1), ('nix', 2), ('c', 3), ('a', 4);
SELECT n, l.* FROM hosts h,
  LATERAL (SELECT * FROM o WHERE o.host = h.host ORDER BY ts DESC, region LIMIT 2) l ORDER BY n, region;
SET enable_material = off;
SELECT h.n, l.ts, l.v FROM hosts h,
  LATERAL (SELECT h.n AS m, s.* FROM (SELECT * FROM o WHERE host = 'b' ORDER BY ts DESC LIMIT 2) s OFFSET 0) l ORDER BY 1, 2;
SELECT n, (SELECT max(ts) FROM o WHERE o.host = h.host AND ts < '2026-01-02') FROM hosts h ORDER BY n;
RESET enable_material;

-- cursors: backward, and open while points come and blocks go to files
BEGIN;
DECLARE back SCROLL CURSOR FOR SELECT ts, host FROM o WHERE region = 'eu' ORDER BY host, ts DESC;
FETCH 2 FROM back;
MOVE 4320 FROM back;
FETCH 1 FROM back;
FETCH BACKWARD 3 FROM back;
DECLARE late NO SCROLL CURSOR FOR SELECT ts, host, v FROM o WHERE region = 'us' ORDER BY ts DESC, host;
FETCH 3 FROM late;
INSERT INTO o VALUES ('2026-01-03 23:57+00', 'a', 'us', -1);
SELECT held FROM m3db.flush('o');
FETCH 6 FROM late;
ROLLBACK;

-- partitions: an Append in the order of bounds, or one merged
CREATE TABLE by_host (ts timestamptz NOT NULL, host text, v float8) PARTITION BY LIST (host);
CREATE FOREIGN TABLE by_host_a PARTITION OF by_host FOR VALUES IN ('a') SERVER sorted;
CREATE FOREIGN TABLE by_host_b (v float8, ts timestamptz NOT NULL, host text) SERVER sorted;
ALTER TABLE by_host ATTACH PARTITION by_host_b FOR VALUES IN ('b', NULL);
CREATE TABLE by_host_rest PARTITION OF by_host DEFAULT;
CREATE INDEX ON by_host_rest (ts);
INSERT INTO by_host SELECT ts, host, v FROM copy WHERE region = 'eu';
ANALYZE by_host_rest;
EXPLAIN (COSTS OFF) SELECT * FROM by_host ORDER BY ts DESC LIMIT 3;
SELECT * FROM by_host ORDER BY ts DESC, host LIMIT 5;
SELECT min(ts), max(ts), count(DISTINCT host) FROM (SELECT * FROM by_host ORDER BY ts DESC LIMIT 8 OFFSET 4000) s;
EXPLAIN (COSTS OFF) SELECT * FROM by_host WHERE host < 'c' ORDER BY host, ts DESC LIMIT 3;
SELECT * FROM by_host WHERE host < 'c' ORDER BY host, ts DESC LIMIT 3;
CREATE TABLE by_time (ts timestamptz NOT NULL, host text, v float8) PARTITION BY RANGE (ts);
CREATE FOREIGN TABLE by_time_1 PARTITION OF by_time FOR VALUES FROM (MINVALUE) TO ('2026-01-02') SERVER sorted;
CREATE FOREIGN TABLE by_time_2 PARTITION OF by_time FOR VALUES FROM ('2026-01-02') TO (MAXVALUE) SERVER sorted;
INSERT INTO by_time SELECT ts, host, v FROM copy WHERE region = 'eu';
EXPLAIN (COSTS OFF) SELECT * FROM by_time ORDER BY ts LIMIT 3;
SELECT * FROM by_time WHERE host = 'a' ORDER BY ts DESC LIMIT 2;
SELECT DISTINCT ON (host) host, ts FROM by_time ORDER BY host, ts DESC;
EXPLAIN (COSTS OFF)
SELECT * FROM (SELECT ts, v FROM o UNION ALL SELECT ts, v FROM by_host_a) s ORDER BY ts LIMIT 3;

-- Any order of several tables, against a copy of the same rows that PostgreSQL sorts: points of files,
-- of buffers, written again, and not committed; wide rows with NULLs; tags that differ but compare
-- equal; nanoseconds.
DO $$
BEGIN
  CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
EXCEPTION WHEN feature_not_supported THEN
  CREATE COLLATION ci FROM "C";
END $$;
CREATE FOREIGN TABLE many (ts timestamptz NOT NULL, host text, region text, dc int, name text COLLATE ci,
  v float8, unit text, annotation bytea) SERVER sorted OPTIONS (namespace 'sorted_many', block_size '1 day');
CREATE FOREIGN TABLE wide (ts timestamptz NOT NULL, host text, region text, dc int, name text COLLATE ci,
  v float8, b float8, c float8) SERVER sorted OPTIONS (namespace 'sorted_wide', block_size '1 day');
CREATE FOREIGN TABLE exact (ts bigint OPTIONS (role 'time_ns') NOT NULL, host text, region text, dc int,
  name text COLLATE ci, v float8) SERVER sorted OPTIONS (namespace 'sorted_exact', block_size '1 day');
CREATE FOREIGN TABLE empty (ts timestamptz NOT NULL, host text, region text, dc int, name text COLLATE ci,
  v float8) SERVER sorted OPTIONS (namespace 'sorted_empty');

CREATE FUNCTION fill(points int, first int, minutes int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO many SELECT timestamptz '2026-01-01 00:00+00' + (first + i * 7919 % minutes) * interval '1 minute'
      + i % 3 * interval '1 us',
      (ARRAY['a', 'b', 'B', 'zz', NULL])[1 + i * 31 % 5], (ARRAY['a', 'r', NULL])[1 + i * 17 % 3],
      (ARRAY[1, 2, 10, NULL])[1 + i * 13 % 4], (ARRAY['x', 'X', 'y', NULL])[1 + i * 11 % 4],
      (i * 7919 % 10007) / 7.0, CASE WHEN i % 5 = 0 THEN 'us' END, CASE WHEN i % 7 = 0 THEN ('z' || i)::bytea END
    FROM generate_series(1, points) i;
  INSERT INTO wide SELECT timestamptz '2026-01-01 00:00+00' + (first + i * 7919 % minutes) * interval '1 minute',
      (ARRAY['a', 'B', NULL])[1 + i * 31 % 3], 'a', 3, (ARRAY['x', 'X', NULL])[1 + i / 3 % 3],
      CASE WHEN i % 11 > 0 THEN (i * 7919 % 10007) / 7.0 END,
      CASE WHEN i % 4 = 0 THEN (i * 7919 % 10007) / 7.0 END, (i * 7919 % 10007) / 7.0
    FROM generate_series(1, points) i;
  INSERT INTO exact SELECT 1767225600000000000 + (first + i * 7919 % minutes) * 60000000000 + i % 5,
      (ARRAY['a', 'B', NULL])[1 + i * 31 % 3], (ARRAY['r', 's'])[1 + i % 2], 3, NULL, (i * 7919 % 10007) / 7.0
    FROM generate_series(1, points) i;
END $$;
CREATE FUNCTION pick(choices text[]) RETURNS text LANGUAGE sql VOLATILE AS
  $$ SELECT choices[1 + floor(random() * cardinality(choices))::int] $$;

-- A query with two %s, before the table's name and the name itself, and how its rows are compared.
CREATE FUNCTION make_query(OUT query text, OUT compared text) LANGUAGE plpgsql AS $$
DECLARE
  tab text := pick(ARRAY['many', 'wide', 'exact', 'empty']);
  columns text[] := '{}';
  terms text[] := '{}';
  keys text[] := '{}';
  tag text;
  kind float8 := random();
  condition text := pick(ARRAY['true', 'host = ''a''', 'host IN (''a'', ''B'')', 'region IS NOT NULL',
                               'host = ''nix''', 'v > 500', 'dc = 3', 'host IS NULL AND region = ''a''']);
  time text := pick(ARRAY['', 'ts', 'ts DESC']);
BEGIN
  IF random() < 0.4 THEN
    condition := condition || CASE tab
      WHEN 'exact' THEN ' AND ts >= 1767265600000000001 AND ts < 1767305600000000000'
      ELSE ' AND ts > ''2026-01-01 11:11+00'' AND ts <= ''2026-01-02 01:01+00''' END;
  END IF;
  FOR i IN 1 .. floor(random() * 4)::int LOOP
    tag := pick(ARRAY['host', 'region', 'dc', 'name', 'host COLLATE "C"']);
    CONTINUE WHEN tag = ANY (columns);
    columns := columns || tag;
    terms := terms || (tag || pick(ARRAY['', ' DESC']) || pick(ARRAY['', ' NULLS FIRST', ' NULLS LAST']));
    keys := keys || CASE tag WHEN 'name' THEN 'lower(name)' ELSE tag END;
  END LOOP;
  IF kind < 0.25 AND columns <> '{}' THEN
    compared := CASE time WHEN '' THEN 'k' ELSE 'k, t' END;
    query := format('SELECT DISTINCT ON (%s) concat_ws('','', %s) AS k, ts AS t FROM %%s%s WHERE %s ORDER BY %s',
                    array_to_string(columns, ', '), array_to_string(keys, ', '), tab, condition,
                    array_to_string(terms || NULLIF(time, ''), ', '));
  ELSIF kind < 0.4 THEN
    compared := 'k';
    query := pick(ARRAY['host', 'region', 'name', 'host, dc', 'dc, region, host', 'name, dc']);
    query := format('SELECT k FROM (SELECT concat_ws('','', %s) AS k FROM (SELECT DISTINCT %s FROM %%s%s WHERE %s) s) t
      ORDER BY k COLLATE "C"', replace(query, 'name', 'lower(name)'), query, tab, condition);
  ELSE
    compared := 'k';
    IF time <> '' OR terms = '{}' THEN
      terms := terms || COALESCE(NULLIF(time, ''), 'ts');
      keys := keys || 'ts'::text;
    END IF;
    IF random() < 0.2 THEN
      terms := terms || pick(ARRAY['v', 'dc', 'upper(host)']);
    END IF;
    query := format('SELECT concat_ws('','', %s) AS k, * FROM %%s%s WHERE %s ORDER BY %s%s',
                    array_to_string(keys, ', '), tab, condition, array_to_string(terms, ', '),
                    CASE WHEN random() < 0.5 THEN ' LIMIT ' || floor(random() * 40)::int ELSE '' END);
  END IF;
END $$;

CREATE FUNCTION differences(queries int) RETURNS TABLE (query text, difference text) LANGUAGE plpgsql AS $$
DECLARE
  compared text;
  ours text;
  theirs text;
  plan jsonb;
  ordered int := 0;
  firsts int := 0;
BEGIN
  SET LOCAL m3db.enable_sorted_scan = off;
  DROP TABLE IF EXISTS copy_many, copy_wide, copy_exact, copy_empty;
  CREATE TEMP TABLE copy_many AS SELECT * FROM many;
  CREATE TEMP TABLE copy_wide AS SELECT * FROM wide;
  CREATE TEMP TABLE copy_exact AS SELECT * FROM exact;
  CREATE TEMP TABLE copy_empty AS SELECT * FROM empty;
  SET LOCAL m3db.enable_sorted_scan = on;
  FOR i IN 1 .. queries LOOP
    SELECT * INTO query, compared FROM make_query();
    EXECUTE format('SELECT count(*) || '' '' || md5(string_agg((%s)::text, ''|'')) FROM (%s) s',
                   'SELECT ROW(' || compared || ')', format(query, '')) INTO ours;
    EXECUTE format('SELECT count(*) || '' '' || md5(string_agg((%s)::text, ''|'')) FROM (%s) s',
                   'SELECT ROW(' || compared || ')', format(query, 'copy_')) INTO theirs;
    IF ours IS DISTINCT FROM theirs THEN
      difference := ours || ' instead of ' || theirs;
      RETURN NEXT;
    END IF;
    IF query LIKE '%AS k, *%' AND query NOT LIKE '%LIMIT%' THEN
      EXECUTE format('WITH a AS MATERIALIZED (%s), b AS MATERIALIZED (%s)
        SELECT count(*) FROM ((TABLE a EXCEPT ALL TABLE b) UNION ALL (TABLE b EXCEPT ALL TABLE a)) s
        HAVING count(*) > 0', format(query, ''), format(query, 'copy_')) INTO difference;
      IF difference IS NOT NULL THEN
        RETURN NEXT;
      END IF;
    END IF;
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || format(query, '') INTO plan;
    ordered := ordered + jsonb_path_exists(plan, 'lax $.**."Order"')::int;
    firsts := firsts + jsonb_path_exists(plan, 'lax $.**."First Row Of"')::int;
  END LOOP;
  IF ordered < queries / 2 OR firsts < queries / 10 THEN
    query := 'of ' || queries;
    difference := ordered || ' in order, ' || firsts || ' first rows';
    RETURN NEXT;
  END IF;
END $$;
SELECT setseed(0.5);
SET enable_sort = off;
SELECT fill(8000, 0, 2000);
SELECT held FROM m3db.flush('many');
SELECT held FROM m3db.flush('wide');
SELECT held FROM m3db.flush('exact');
SELECT * FROM differences(60);
SELECT fill(600, 500, 1500);
SELECT held FROM m3db.flush('exact');
SELECT fill(50, 1700, 1200);
SELECT * FROM differences(60);
BEGIN;
SELECT fill(300, 800, 1300);
SELECT * FROM differences(60);
ROLLBACK;
-- little memory: windows of a few rows
SET work_mem = '64kB';
SELECT * FROM differences(40);
