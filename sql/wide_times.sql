-- Wide tables: where statistics know that columns have points at the same times, only those asked
-- for are decoded.
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE SERVER wide_times FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE wt (ts timestamptz NOT NULL, host text, a float8, b float8, c float8)
	SERVER wide_times OPTIONS (namespace 'wide_times', block_size '2 hours');
CREATE TABLE heap (ts timestamptz NOT NULL, host text, a float8, b float8, c float8);
-- three blocks of 720 points; apart from 'equal' the columns differ
CREATE VIEW made AS
SELECT '2024-01-01'::timestamptz + i * interval '10 s' AS ts, host, i, i % 1013 / 7.0 AS a,
	i * 7919 % 1013 / 7.0 AS b, i * 31 % 997 / 3.0 AS c
  FROM generate_series(0, 2159) i, unnest(ARRAY['equal', 'short', 'shift', 'hole', 'apart', 'only b', 'sparse']) host;
INSERT INTO heap
SELECT ts, host, a, b, c FROM made WHERE host = 'equal'
UNION ALL	-- one point less in a column
SELECT ts, host, a, CASE WHEN i <> 1000 THEN b END, CASE WHEN i <> 1438 THEN c END FROM made WHERE host = 'short'
UNION ALL	-- as many points, one of them at another time
SELECT ts, host, a, CASE WHEN i <> 300 THEN b END, c FROM made WHERE host = 'shift'
UNION ALL
SELECT ts + interval '1 s', host, NULL, b, NULL FROM made WHERE host = 'shift' AND i = 300
UNION ALL	-- a block missing, at each end of a column or amid
SELECT ts, host, CASE WHEN i >= 720 THEN a END, CASE WHEN i / 720 <> 1 THEN b END, CASE WHEN i < 1440 THEN c END
  FROM made WHERE host = 'hole'
UNION ALL	-- a never at the times of b and c
SELECT ts, host, NULL, b, c FROM made WHERE host = 'apart'
UNION ALL
SELECT ts + interval '5 s', host, a, NULL, NULL FROM made WHERE host = 'apart'
UNION ALL
SELECT ts, host, NULL, b, NULL FROM made WHERE host = 'only b'
UNION ALL	-- too little for a record
SELECT ts, host, a, b, c FROM made WHERE host = 'sparse' AND i % 300 = 7;
INSERT INTO wt SELECT * FROM heap;
SELECT held FROM m3db.flush('wt');

-- ---- what is decoded ----

CREATE FUNCTION decoded(query text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT JSON) ' || query INTO plan;
	RETURN jsonb_path_query_first(plan, '$.**."Points Decoded"')::int;
END $$;
CREATE VIEW decodings AS
SELECT decoded(format(query, 'wt', $$host = 'equal'$$)) AS points, query
  FROM unnest(ARRAY[
	'SELECT * FROM %s WHERE %s',
	'SELECT ts, a FROM %s WHERE %s',
	'SELECT ts, c FROM %s WHERE %s',
	'SELECT a, c FROM %s WHERE %s',
	'SELECT ts FROM %s WHERE %s',
	'SELECT host FROM %s WHERE %s',
	'SELECT ts, b FROM %s WHERE %s AND ts >= ''2024-01-01 01:00'' AND ts < ''2024-01-01 05:00''',
	'SELECT ts, a FROM %s WHERE %s ORDER BY ts LIMIT 1',
	'SELECT ts, a FROM %s WHERE %s ORDER BY ts LIMIT 10',
	'SELECT ts, b FROM %s WHERE %s ORDER BY ts DESC LIMIT 10',
	'SELECT ts FROM %s WHERE %s ORDER BY ts DESC LIMIT 1000',
	'SELECT count(*) FROM %s WHERE %s',
	'SELECT count(*), sum(b) FROM %s WHERE %s',
	'SELECT count(*) FROM %s WHERE %s AND ts >= ''2024-01-01 01:00''',
	'SELECT m3db.time_bucket(''2 hours'', ts), count(*) FROM %s WHERE %s GROUP BY 1',
	'SELECT m3db.time_bucket(''1 hour'', ts), count(*) FROM %s WHERE %s GROUP BY 1',
	'SELECT m3db.time_bucket(''1 second'', ts), sum(b) FROM %s WHERE %s GROUP BY 1'
	]) WITH ORDINALITY AS q (query, number) ORDER BY number;
SELECT * FROM decodings;
SET m3db.enable_statistics = off;
SELECT * FROM decodings LIMIT 2;
RESET m3db.enable_statistics;
-- unit and annotation may come from any column
CREATE FOREIGN TABLE wu (ts timestamptz NOT NULL, host text, a float8, b float8, c float8,
	u text OPTIONS (role 'unit')) SERVER wide_times OPTIONS (namespace 'wide_times', block_size '2 hours');
SELECT decoded($$SELECT ts, a, u FROM wu WHERE host = 'equal'$$);
-- what differs is read
SELECT host, decoded(format('SELECT ts, a FROM wt WHERE host = %L', host)) AS a,
	decoded(format('SELECT ts, b FROM wt WHERE host = %L', host)) AS b,
	decoded(format('SELECT ts, c FROM wt WHERE host = %L', host)) AS c,
	decoded(format('SELECT ts FROM wt WHERE host = %L', host)) AS none,
	decoded(format('SELECT count(*) FROM wt WHERE host = %L', host)) AS count
  FROM unnest(ARRAY['equal', 'short', 'shift', 'hole', 'apart', 'only b', 'sparse']) host;

-- ---- what comes out ----

CREATE FUNCTION differences(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	of_wt text := format(query, 'wt');
	of_heap text := format(query, 'heap');
	n bigint;
BEGIN
	EXECUTE format('SELECT (SELECT count(*) FROM ((%s) EXCEPT ALL (%s)) x) + (SELECT count(*) FROM ((%s) EXCEPT ALL (%s)) y)',
		of_wt, of_heap, of_heap, of_wt) INTO n;
	RETURN n;
END $$;
CREATE VIEW wrong AS
SELECT query, differences(query)
  FROM unnest(ARRAY[
	'SELECT * FROM %s',
	'SELECT ts, host, a FROM %s',
	'SELECT ts, host, b FROM %s',
	'SELECT ts, host, c FROM %s',
	'SELECT host, a, c FROM %s',
	'SELECT ts, host FROM %s',
	'SELECT host FROM %s',
	'SELECT ts, host, a FROM %s WHERE c > 100',
	'SELECT ts, host FROM %s WHERE b IS NULL',
	'SELECT ts, host, a FROM %s WHERE ts >= ''2024-01-01 00:50:01'' AND ts < ''2024-01-01 05:10''',
	'SELECT ts, host, c FROM %s WHERE ts >= ''2024-01-01 02:46:40'' AND ts < ''2024-01-01 02:46:50''',
	'SELECT ts, host, a FROM %s ORDER BY ts, host LIMIT 3000',
	'SELECT ts, host, b FROM %s ORDER BY ts DESC, host LIMIT 3000',
	'SELECT ts, host FROM %s ORDER BY ts DESC, host LIMIT 7000',
	'SELECT host, ts, c FROM %s ORDER BY host, ts LIMIT 9000',
	'SELECT host, ts, c FROM %s ORDER BY host DESC, ts DESC LIMIT 9000',
	'SELECT DISTINCT ON (host) host, ts FROM %s ORDER BY host, ts DESC',
	'SELECT DISTINCT ON (host) host, ts, a FROM %s WHERE ts < ''2024-01-01 02:46:41'' ORDER BY host, ts DESC',
	'SELECT DISTINCT ON (host) host, ts, b FROM %s WHERE ts > ''2024-01-01 00:49:59'' ORDER BY host, ts',
	'SELECT count(*), min(ts), max(ts) FROM %s',
	'SELECT host, count(*), count(a), count(c) FROM %s GROUP BY 1',
	'SELECT host, count(*), max(b) FROM %s WHERE ts >= ''2024-01-01 00:50:01'' GROUP BY 1',
	'SELECT m3db.time_bucket(''2 hours'', ts), count(*) FROM %s GROUP BY 1',
	'SELECT m3db.time_bucket(''6 minutes'', ts), host, count(*), min(a) FROM %s GROUP BY 1, 2',
	'SELECT m3db.time_bucket(''1 second'', ts), host, count(*) FROM %s GROUP BY 1, 2',
	'SELECT m3db.time_bucket(''1 second'', ts), host, max(a) FROM %s GROUP BY 1, 2',
	'SELECT m3db.time_bucket(''2 hours'', ts), host, max(c) FROM %s GROUP BY 1, 2',
	'SELECT count(*) FILTER (WHERE ts < ''2024-01-01 02:00''), count(*) FILTER (WHERE host = ''shift''), count(*) FROM %s'
	]) query WHERE differences(query) > 0;
SELECT * FROM wrong;
SET work_mem = '64kB';
SELECT * FROM wrong;
SET m3db.enable_aggregate_pushdown = off;
SELECT * FROM wrong;
RESET m3db.enable_aggregate_pushdown;
RESET work_mem;
-- own points amid blocks on disk, which no other may hide
CREATE VIEW late AS
SELECT ts + interval '3 s' AS ts, host, a, b, NULL::float8 AS c FROM made WHERE i % 400 = 9
UNION ALL SELECT ts + interval '4 s', host, NULL, NULL, c FROM made WHERE i IN (5, 2155);
BEGIN;
INSERT INTO heap SELECT * FROM late;
INSERT INTO wt SELECT * FROM late;
SELECT * FROM wrong;
ROLLBACK;
SELECT * FROM wrong;
-- in buffers, over blocks on disk and beside them; then on disk
INSERT INTO heap SELECT * FROM late WHERE host <> 'equal';
INSERT INTO wt SELECT * FROM late WHERE host <> 'equal';
INSERT INTO heap SELECT ts + interval '6 hours', host, a, NULL, b FROM made WHERE i < 300;
INSERT INTO wt SELECT ts + interval '6 hours', host, a, NULL, b FROM made WHERE i < 300;
SELECT * FROM wrong;
SELECT held FROM m3db.flush('wt');
SELECT * FROM wrong;
-- carried over as well as merged
SELECT decoded($$SELECT ts, a FROM wt WHERE host = 'equal' AND ts < '2024-01-01 06:00'$$),
	decoded($$SELECT ts, a FROM wt WHERE host = 'short'$$);
DROP VIEW wrong, late, decodings, made;
DROP FUNCTION decoded, differences;
DROP TABLE heap;
DROP SERVER wide_times CASCADE;
