-- EXPLAIN of a scan: what is shown, in each format.
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE SERVER explain FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE em (ts timestamptz NOT NULL, host text, value float8)
	SERVER explain OPTIONS (namespace 'explain', block_size '1 hour');
INSERT INTO em
	SELECT timestamptz '2024-01-01' + m * interval '1 min', 'h' || h, m
	FROM generate_series(0, 599) m, generate_series(1, 10) h;
-- figures that depend on how blocks were stored, which the worker may change meanwhile, are masked
CREATE FUNCTION explain(query text, options text = 'COSTS OFF')
RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE format('EXPLAIN (%s) %s', options, query) LOOP
		CONTINUE WHEN line ~ 'InitPlan 1$|InitPlan 1 .returns|Disk|Cache Hits';
		line := replace(line, '(InitPlan 1).col1', '$0');
		line := regexp_replace(line, '((?:Bytes|Blocks|Points|Series)[^:]*): \d+', '\1: N');
		RETURN NEXT regexp_replace(line, 'rows=(\d+)\.\d+', 'rows=\1');
	END LOOP;
END $$;
SELECT explain('SELECT * FROM em');
SELECT explain('SELECT host FROM em WHERE host = ''h1'' AND ts >= ''2024-01-01 02:00'' AND value > 5', 'COSTS OFF, VERBOSE');
SELECT explain('SELECT host FROM em WHERE host = ''h1'' AND ts >= ''2024-01-01 02:00'' AND value > 5',
	'COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF');
SELECT explain('SELECT host FROM em WHERE host = current_setting(''m3db.nothing'', true) AND ts >= now()',
	'COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF');
SELECT explain('SELECT * FROM em WHERE host IN (''h1'', ''h2'') AND ts = ''2024-01-01''',
	'COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF');
SELECT explain('SELECT * FROM em WHERE ts < ''2024-01-01'' AND ts > now()',
	'COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF');

-- the figures themselves
CREATE FUNCTION counters(query text) RETURNS TABLE (matched int, decoded int, returned int) LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || query INTO plan;
	RETURN QUERY SELECT jsonb_path_query_first(plan, '$.**."Series Matched"')::int,
		jsonb_path_query_first(plan, '$.**."Points Decoded"')::int, (plan #> '{0,Plan,Actual Rows}')::float::int;
END $$;
SELECT matched, returned FROM counters('SELECT * FROM em');
SELECT matched, returned FROM counters('SELECT * FROM em WHERE host = ''h3''');
SELECT matched, returned FROM counters('SELECT * FROM em WHERE host IN (''h3'', ''h4'', ''hx'') AND ts < ''2024-01-01 00:10''');
-- far fewer points are decoded than there are
SELECT matched, decoded < 700 AS few, returned FROM counters('SELECT * FROM em WHERE ts >= ''2024-01-01 05:30'' AND ts < ''2024-01-01 05:40''');
SELECT matched, decoded < 200 AS few, returned FROM counters('SELECT * FROM em LIMIT 5');

-- where points came from: once from files, then from the cache
SELECT held FROM m3db.flush('em');
CREATE FUNCTION sources(query text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || query INTO plan;
	plan := plan #> '{0,Plan}';
	RETURN jsonb_build_object('read', plan->'Blocks Read', 'disk', plan->'Blocks from Disk', 'cache', plan->'Cache Hits',
		'disk bytes', CASE plan->>'Disk Bytes Read' WHEN '0' THEN 'none' WHEN plan->>'Bytes Read' THEN 'all' ELSE 'some' END);
END $$;
SELECT sources('SELECT * FROM em WHERE host = ''h1''');
SELECT sources('SELECT * FROM em WHERE host = ''h1''');
SELECT sources('SELECT * FROM em WHERE host = ''nothing''');
-- in text, those that are nothing are left out
CREATE FUNCTION rare_lines(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF) ' || query LOOP
		IF line ~ 'Disk|Cache' THEN
			RETURN NEXT trim(line);
		END IF;
	END LOOP;
END $$;
SELECT rare_lines('SELECT * FROM em WHERE host = ''h1''');
SELECT regexp_replace(l, '(Bytes.*): \d+', '\1: N') FROM rare_lines('SELECT * FROM em WHERE host = ''h2''') l;
SELECT rare_lines('SELECT * FROM em WHERE host = ''nothing''');

-- EXPLAIN alone does nothing: not even evaluate the condition
SELECT explain('SELECT * FROM em WHERE host = (1 / (SELECT count(*) - 6000 FROM em))::text');
-- other formats
CREATE FUNCTION explain_json(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (COSTS OFF, FORMAT JSON) ' || query INTO plan;
	RETURN jsonb_pretty(plan #- '{0,Plan,Disabled}');
END $$;
SELECT explain_json('SELECT * FROM em WHERE host = ''h1'' AND ts < ''2024-01-02''');

DROP FUNCTION explain, counters, explain_json, sources, rare_lines;
DROP FOREIGN TABLE em;
DROP SERVER explain;
