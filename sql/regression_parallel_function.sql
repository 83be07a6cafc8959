-- A function wrongly marked PARALLEL SAFE does not read in a parallel worker, where the points
-- its own transaction wrote would be missing.

CREATE SCHEMA t_parallel_function;
SET search_path = t_parallel_function;
SET client_min_messages = warning;
CREATE SERVER parallel_server FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE f (ts timestamptz, host text, v float8) SERVER parallel_server;
CREATE TABLE driving AS SELECT i FROM generate_series(1, 10) i;
CREATE FUNCTION points_safe() RETURNS bigint LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
	RETURN (SELECT count(*) FROM f);
END $$;
CREATE FUNCTION points_restricted() RETURNS bigint LANGUAGE plpgsql STABLE PARALLEL RESTRICTED AS $$
BEGIN
	RETURN (SELECT count(*) FROM f);
END $$;

SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
\set VERBOSITY terse

BEGIN;
INSERT INTO f VALUES ('2024-01-01 00:00+00', 'a', 1);
SELECT DISTINCT points_restricted() FROM driving;
SELECT DISTINCT points_safe() FROM driving;
ROLLBACK;

DROP SCHEMA t_parallel_function CASCADE;
DROP SERVER parallel_server CASCADE;
