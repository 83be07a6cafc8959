-- Prepared statements: conditions are evaluated at run time, in generic plans too.
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE SERVER prepared FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE pm (ts timestamptz NOT NULL, host text, rack int, value float8)
	SERVER prepared OPTIONS (namespace 'prepared');
INSERT INTO pm
	SELECT timestamptz '2024-01-01' + m * interval '1 min', 'h' || h, h % 2, h * 1000 + m
	FROM generate_series(0, 9) m, generate_series(1, 4) h;

SET plan_cache_mode = force_generic_plan;
PREPARE by_host(text, timestamptz, timestamptz) AS
	SELECT count(*), min(ts), max(ts), sum(value) FROM pm WHERE host = $1 AND ts >= $2 AND ts < $3;
EXPLAIN (COSTS OFF) EXECUTE by_host('h1', '2024-01-01', '2024-01-02');
EXECUTE by_host('h1', '2024-01-01 00:02', '2024-01-01 00:05');
EXECUTE by_host('h2', '2024-01-01 00:02', '2024-01-01 00:05');
EXECUTE by_host('h2', '2024-01-01 00:08', 'infinity');
EXECUTE by_host('h2', NULL, 'infinity');
EXECUTE by_host(NULL, '-infinity', 'infinity');
EXECUTE by_host('nobody', '-infinity', 'infinity');
PREPARE by_list(text[], int) AS
	SELECT host, count(*) FROM pm WHERE host = ANY ($1) AND rack IS NOT DISTINCT FROM $2 GROUP BY 1 ORDER BY 1;
EXPLAIN (COSTS OFF) EXECUTE by_list('{h1}', 1);
EXECUTE by_list('{h1,h2,h3,hx}', 1);
EXECUTE by_list('{}', 1);
EXECUTE by_list(NULL, 1);
PREPARE recent(interval) AS SELECT count(*) FROM pm WHERE ts > now() - $1;
EXECUTE recent('1 second');
EXECUTE recent('1000 years');

-- a plan is kept and used again, also after an error in it
CREATE FUNCTION host_sum(h text, since timestamptz) RETURNS float8 LANGUAGE plpgsql STABLE AS $$
DECLARE
	result float8;
BEGIN
	SELECT sum(value) INTO result FROM pm WHERE host = h AND ts >= since;
	RETURN result;
END $$;
SELECT n, host_sum('h' || (n % 5), timestamptz '2024-01-01' + n * interval '1 min') FROM generate_series(1, 12) n;
PREPARE failing(int) AS SELECT count(*) FROM pm WHERE rack = 10 / $1;
EXECUTE failing(0);
EXECUTE failing(10);
EXECUTE failing(0);
EXECUTE failing(10);

-- custom plans
SET plan_cache_mode = force_custom_plan;
EXPLAIN (COSTS OFF) EXECUTE by_host('h1', '2024-01-01', '2024-01-02');
EXECUTE by_host('h1', '2024-01-01 00:02', '2024-01-01 00:05');
EXECUTE by_host('h2', NULL, 'infinity');
RESET plan_cache_mode;

-- new columns are seen by old plans
PREPARE everything AS SELECT * FROM pm WHERE host = 'h1' AND value = 1001;
EXECUTE everything;
PREPARE counting AS SELECT count(*), count(pm) FROM pm WHERE host = 'h1';
EXECUTE counting;
ALTER FOREIGN TABLE pm ADD COLUMN disk text;
EXECUTE everything;
EXECUTE counting;
ALTER FOREIGN TABLE pm DROP COLUMN rack;
EXECUTE counting;
SELECT * FROM pm WHERE host = 'h1' AND value = 1001;

DEALLOCATE ALL;
DROP FUNCTION host_sum;
DROP FOREIGN TABLE pm;
DROP SERVER prepared;
