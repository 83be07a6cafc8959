-- ANALYZE: a sample of the rows, as of any table

CREATE SERVER analyze_server FOREIGN DATA WRAPPER m3db_fdw;
SET timezone = 'UTC';

CREATE FOREIGN TABLE an (
	ts timestamptz NOT NULL, gone text, host text, "Rack" int, value float8
) SERVER analyze_server OPTIONS (namespace 'analyze', block_size '2 hours');
ALTER FOREIGN TABLE an DROP COLUMN gone;
INSERT INTO an SELECT '2026-01-01'::timestamptz + i * interval '1 minute', 'h' || s, nullif(s % 4, 3), i % 100
	FROM generate_series(0, 39) s, generate_series(0, 1499) i;
CREATE VIEW an_stats AS SELECT tablename, attname, round(null_frac::numeric * 4) * 25 AS nulls,
	CASE WHEN n_distinct >= 0 THEN round(n_distinct::numeric) END AS distinct_values
	FROM pg_stats WHERE tablename IN ('an', 'an_wide', 'an_ns', 'an_empty', 'an_parent') AND NOT inherited
	ORDER BY 1, 2;

-- all of the rows are read
ANALYZE an;
SELECT * FROM an_stats WHERE attname <> 'ts';
SELECT reltuples, relpages > 0 AS has_pages FROM pg_class WHERE oid = 'an'::regclass;
SELECT histogram_bounds::text::timestamptz[] <@ ARRAY(SELECT DISTINCT ts FROM an) AS bounds_are_times
	FROM pg_stats WHERE tablename = 'an' AND attname = 'ts';

-- some blocks are, also where they are on disk; but every series has its part
DO $$ BEGIN PERFORM m3db.flush('an'); END $$;
SELECT count(*) > 0 AS on_disk FROM m3db.filesets WHERE namespace = 'analyze';
SET default_statistics_target = 1;
ANALYZE an;
SELECT reltuples BETWEEN 59000 AND 61000 AS all_rows FROM pg_class WHERE oid = 'an'::regclass;
SELECT distinct_values BETWEEN 35 AND 45 AS about_40 FROM an_stats WHERE attname = 'host';
SELECT nulls = 25 AS about_a_quarter FROM an_stats WHERE attname = 'Rack';
RESET default_statistics_target;

-- the columns asked for; what a transaction has written itself
BEGIN;
INSERT INTO an SELECT '2026-03-01'::timestamptz + i * interval '1 second', 'new', 9, 1 FROM generate_series(1, 20000) i;
ANALYZE an ("Rack");
SELECT '9' = ANY (most_common_vals::text::text[]) AS seen FROM pg_stats WHERE tablename = 'an' AND attname = 'Rack';
ROLLBACK;

-- wide, nanoseconds, empty
CREATE FOREIGN TABLE an_wide (ts timestamptz NOT NULL, host text, a float8, b float8)
	SERVER analyze_server OPTIONS (block_size '2 hours');
INSERT INTO an_wide SELECT '2026-01-01'::timestamptz + i * interval '1 minute', 'h' || i % 5, i,
	CASE WHEN i % 2 = 0 THEN i END FROM generate_series(0, 999) i;
CREATE FOREIGN TABLE an_ns (t bigint OPTIONS (role 'time_ns'), host text, value float8)
	SERVER analyze_server OPTIONS (block_size '2 hours');
INSERT INTO an_ns SELECT 1767225600000000000 + i * 500000000::bigint, 'h' || i % 3, i FROM generate_series(0, 39999) i;
CREATE FOREIGN TABLE an_empty (ts timestamptz NOT NULL, host text, value float8) SERVER analyze_server;
ANALYZE an_wide, an_empty;
SET default_statistics_target = 1;
ANALYZE an_ns;
RESET default_statistics_target;
SELECT tablename, attname, nulls, distinct_values FROM an_stats
	WHERE tablename <> 'an' AND attname IN ('host', 'b');
SELECT relname, reltuples FROM pg_class WHERE relname IN ('an_wide', 'an_empty') ORDER BY 1;

-- a partition
CREATE TABLE an_parent (ts timestamptz NOT NULL, host text, value float8) PARTITION BY RANGE (ts);
CREATE FOREIGN TABLE an_part PARTITION OF an_parent FOR VALUES FROM ('2026-01-01') TO ('2026-02-01') SERVER analyze_server;
CREATE TABLE an_rest PARTITION OF an_parent DEFAULT;
INSERT INTO an_parent SELECT '2026-01-30'::timestamptz + i * interval '1 hour', 'h' || i % 7, i FROM generate_series(0, 99) i;
ANALYZE an_parent;
SELECT attname, n_distinct FROM pg_stats WHERE tablename = 'an_parent' AND inherited AND attname = 'host';

-- a name that only looks like an operator's
CREATE SCHEMA an_trap;
CREATE FUNCTION an_trap.fail(timestamptz, timestamptz) RETURNS boolean LANGUAGE plpgsql AS
	$$ BEGIN RAISE EXCEPTION 'called'; END $$;
CREATE OPERATOR an_trap.>= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = an_trap.fail);
SET search_path = an_trap, pg_catalog, public;
SET default_statistics_target = 1;
ANALYZE public.an;
RESET default_statistics_target;
RESET search_path;

DROP SCHEMA an_trap CASCADE;
DROP TABLE an_parent;
DROP VIEW an_stats;
DROP FOREIGN TABLE an, an_wide, an_ns, an_empty;
DROP SERVER analyze_server;
