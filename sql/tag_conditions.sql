-- Conditions on the column of all tags, and AND, OR, NOT of conditions on tags: pushed to the scan, and
-- the same answers as a plain table.
SET timezone = 'UTC';
SET datestyle = 'ISO';
-- the scan's own affair, and none of aggregates in it
SET m3db.enable_aggregate_pushdown = off;
CREATE SERVER tag_conditions FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE tc (ts timestamptz NOT NULL, host text, rack int, up boolean, tags jsonb, value float8)
	SERVER tag_conditions OPTIONS (namespace 'tag_conditions');
CREATE TABLE tc_plain (LIKE tc);
INSERT INTO tc
	SELECT timestamptz '2024-01-01' + n * interval '1 min',
		CASE WHEN n % 5 > 0 THEN 'h' || n % 5 END, nullif(n % 3, 0), nullif(n % 4, 0) > 1,
		jsonb_strip_nulls(jsonb_build_object(
			'dc', CASE WHEN n % 7 > 0 THEN (ARRAY['eu', 'us', 'EU', '', 'a"b', 'ü'])[n % 7] END,
			'zone', CASE WHEN n % 2 > 0 THEN 'z' || n % 4 END, 'num', CASE WHEN n % 6 > 2 THEN n % 6 || '' END,
			'ünï "k"', CASE WHEN n % 11 > 8 THEN 'yes' END)), n
	FROM generate_series(1, 600) n;
-- an object without a tag, and a key that has a column
INSERT INTO tc (ts, tags, value) VALUES ('2024-01-02', '{}', 1), ('2024-01-02', NULL, 2), ('2024-01-02', '{"host2": "x"}', 3);
INSERT INTO tc_plain TABLE tc;
SELECT count(*), count(DISTINCT tags), count(tags) FROM tc;

CREATE TABLE conditions (number serial, condition text);
INSERT INTO conditions (condition)
	SELECT format(form, literal) FROM
	unnest('{tags @> %L::jsonb,NOT tags @> %L::jsonb,%L::jsonb <@ tags}'::text[]) form,
	unnest(ARRAY['{}', '{"dc": "eu"}', '{"dc": "eu", "zone": "z1"}', '{"dc": "eu", "nothing": "x"}', '{"dc": "EU"}', '{"dc": ""}',
		'{"dc": "a\"b"}', '{"dc": "ü"}', '{"ünï \"k\"": "yes"}', '{"num": 3}', '{"num": "3"}', '{"dc": null}', '{"dc": {"a": "b"}}', '{"dc": ["eu"]}',
		'{"dc": "eu", "num": 3}', '{"host": "h1"}', '{"host": "h1", "dc": "eu"}', '{"host2": "x"}', '{"": ""}', '[]', '["dc"]', '"dc"', '"eu"', '1', 'null', 'true',
		'{"dc": true}', '{"dc": "eu", "dc": "us"}', NULL]) literal;
INSERT INTO conditions (condition)
	SELECT format(form, literal) FROM
	unnest('{tags ? %L,NOT tags ? %L}'::text[]) form,
	unnest(ARRAY['dc', 'zone', 'nothing', 'host', '', 'ünï "k"', 'eu', NULL]) literal;
INSERT INTO conditions (condition)
	SELECT format(form, literal) FROM
	unnest('{tags ?| %L,NOT tags ?| %L,tags ?& %L,NOT tags ?& %L}'::text[]) form,
	unnest(ARRAY['{}', '{dc}', '{dc,zone}', '{dc,nothing}', '{nothing}', '{host}', '{host,dc}', '{dc,NULL}', '{NULL}', '{{dc,zone},{num,dc}}', NULL]) literal;
INSERT INTO conditions (condition)
	SELECT format(form, key) FROM
	unnest(ARRAY['tags ->> %L = ''eu''', '''z1'' = tags ->> %L', 'tags ->> %L <> ''eu''', 'tags ->> %L IS NULL', 'tags ->> %L IS NOT NULL',
		'tags ->> %L IN (''eu'', ''z1'', ''3'', ''yes'')', 'tags ->> %L NOT IN (''eu'', ''z1'')', 'tags ->> %L LIKE ''e%%''', 'tags ->> %L !~ ''^e''',
		'tags ->> %L ^@ ''z''', 'NOT tags ->> %L ^@ ''z''', 'tags ->> %L = NULL', 'tags ->> %L <> ALL (''{}'')', 'tags ->> %L = ANY (''{}'')',
		'tags ->> %L NOT IN (''eu'', NULL)', 'tags -> %L = ''"eu"''', 'tags -> %L <> ''"eu"''', 'tags -> %L <> ''3''', 'tags -> %L = ''3''', 'tags -> %L = ''["eu"]''', 'tags -> %L IS NULL',
		'tags ->> %L = ''eu''::name', 'NOT (tags ->> %L = ''eu'')', 'NOT (tags ->> %L LIKE ''e%%'')']) form,
	unnest(ARRAY['dc', 'zone', 'ünï "k"', 'host', 'nothing', 'num']) key;
INSERT INTO conditions (condition) VALUES
	('host = ''h1'' OR tags ->> ''dc'' = ''eu'''), ('(host = ''h1'' AND rack = 1) OR tags ->> ''dc'' IS NULL'),
	('NOT (host = ''h1'' AND rack = 1)'), ('NOT (host = ''h1'' OR rack = 1)'), ('NOT (host LIKE ''h%'' AND tags @> ''{"dc": "eu"}'')'),
	('host = ''h1'' OR host = ''h2'' OR host = ''h1'''), ('(host = ''h1'' AND host = ''h2'') OR rack = 1'), ('host = ''h1'' OR (rack = 2 AND (up OR tags ? ''zone''))'), ('host = NULL OR rack = 1'),
	('host IN (''h1'', NULL) OR NOT up'), ('host NOT IN (''h1'', ''h2'') OR rack IS NULL'), ('host NOT IN (''h1'', NULL) OR rack IS NULL'), ('host <> ALL (''{}'') OR rack = 1'),
	('host <> ALL (NULL::text[]) OR rack = 1'), ('up OR rack = 1'), ('NOT up OR NOT (rack = 1)'), ('host = ''h1'' OR tags @> ''{}'''), ('host = ''h1'' OR tags @> ''[]'''),
	('(host = ''h1'' OR rack = 1) AND (tags ? ''dc'' OR tags ? ''zone'') AND value > 100'), ('host LIKE ''h%'' OR tags ->> ''dc'' ~ ''^e'''),
	('host LIKE ''h1%'' OR host LIKE ''h2%'' OR host = ''h3'''), ('host = ''h1'' OR rack = (SELECT 2)'), ('host = (SELECT NULL) OR rack = 2'),
	('tags ->> ''dc'' = (SELECT ''eu'')'), ('tags @> jsonb_build_object(''dc'', (SELECT ''eu''))'), ('tags @> (SELECT NULL::jsonb)'), ('tags ->> (SELECT ''dc'') = ''eu'''),
	('host = ''h1'' OR ts = ''2024-01-02'''), ('host = ''h1'' OR value > 500'), ('host = ''h1'' OR host = tags ->> ''dc'''), ('host = ''h1'' OR rack > 1'),
	('(host = ''h1'') IS NOT TRUE'), ('(host = ''h1'' OR rack = 1) IS NOT TRUE'), ('(host = ''h1'' AND rack = 1) IS UNKNOWN'), ('CASE WHEN up THEN host = ''h1'' ELSE rack = 1 END'),
	('(host, rack) IN ((''h1'', 1), (''h2'', 2))'), ('(host, rack) = (''h1'', 1)'), ('ROW(host, rack) IS NULL'), ('tags = ''{"dc": "eu"}'''), ('tags <@ ''{"dc": "eu"}'''), ('tags IS NULL'),
	('(tags ->> ''num'')::int = 3'), ('tags ->> ''dc'' > ''e'' COLLATE "C"'), ('tags #>> ''{dc}'' = ''eu'''), ('tags ->> ''dc'' = tags ->> ''zone'''), ('tags -> 0 IS NULL'), ('tags ->> 0 = ''eu'''),
	('tags ->> ''dc'' = ''eu'' COLLATE "C"'), ('tags ->> NULL = ''eu'''), ('(tags ->> ''dc'')::varchar = ''eu''::varchar');

CREATE FUNCTION differences(condition text)
RETURNS TABLE (rows bigint, different int) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format(
		'SELECT f.count, ((f.count, f.sum) IS DISTINCT FROM (p.count, p.sum))::int
		 FROM (SELECT count(*), sum(hashtextextended(tc::text, 0)) FROM tc WHERE %1$s) f,
			(SELECT count(*), sum(hashtextextended(tc_plain::text, 0)) FROM tc_plain WHERE %1$s) p', condition);
END $$;
-- Is a condition the scan's own affair?
CREATE FUNCTION is_pushed(condition text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON, COSTS OFF) SELECT * FROM tc WHERE ' || condition INTO plan;
	RETURN plan #>> '{0,Plan,Filter}' IS NULL;
END $$;
SELECT condition, is_pushed(condition), d.* FROM conditions, differences(condition) d ORDER BY number;
SET m3db.enable_tag_index = off;
SELECT count(*), sum(different) FROM conditions, differences(condition) d;
RESET m3db.enable_tag_index;
SET m3db.enable_filter_pushdown = off;
SELECT is_pushed('host = ''h1'''), is_pushed('ts > now()'), is_pushed('tags ? ''dc'' OR up');
SELECT count(*), sum(different) FROM conditions, differences(condition) d;
RESET m3db.enable_filter_pushdown;

-- random trees; the choices are the same everywhere
CREATE TABLE leaves (number serial, leaf text);
INSERT INTO leaves (leaf) SELECT condition FROM conditions
	WHERE is_pushed(condition) AND condition !~ 'SELECT|::jsonb <@| OR | AND ' AND number % 7 = 0;
INSERT INTO leaves (leaf) VALUES
	('host = ''h1'''), ('host <> ''h1'''), ('host IS NULL'), ('host IS NOT NULL'), ('rack = 1'), ('rack IN (1, NULL)'), ('rack NOT IN (1, 2)'), ('rack IS NULL'),
	('up'), ('up IS NULL'), ('host LIKE ''h%'''), ('host ~ ''[12]'''), ('host NOT LIKE ''%2'''), ('host = NULL'), ('rack IS NULL OR rack = 1'),
	('tags ->> ''dc'' = ''eu'''), ('tags ->> ''dc'' <> ''eu'''), ('tags ->> ''zone'' IS NULL'), ('tags ->> ''host'' = ''h1'''), ('tags ->> ''host'' IS NULL'),
	('tags @> ''{"dc": "eu"}'''), ('tags @> ''{"dc": "eu", "zone": "z1"}'''), ('tags ? ''zone'''), ('tags ?| ''{zone,num}'''), ('tags ->> ''dc'' ILIKE ''eu%''');
CREATE SEQUENCE choices;
CREATE FUNCTION choose(below bigint) RETURNS int LANGUAGE SQL AS $$
	SELECT (('x' || substr(md5('tree' || nextval('choices')), 1, 7))::bit(28)::int % below)::int
$$;
CREATE FUNCTION random_tree(depth int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	kind int := choose(8);
	result text;
BEGIN
	IF depth = 0 OR kind = 0 THEN
		kind := choose((SELECT count(*) FROM leaves));
		SELECT leaf INTO result FROM leaves ORDER BY number OFFSET kind LIMIT 1;
		RETURN '(' || result || ')';
	END IF;
	result := random_tree(depth - 1);
	FOR i IN 0..choose(3) LOOP
		result := result || CASE WHEN kind % 2 = 0 THEN ' AND ' ELSE ' OR ' END || random_tree(depth - 1);
	END LOOP;
	RETURN CASE WHEN choose(4) = 0 THEN 'NOT ' ELSE '' END || '(' || result || ')';
END $$;
CREATE TABLE trees AS SELECT n, random_tree(1 + n % 3) AS condition FROM generate_series(1, 240) n;
SELECT count(DISTINCT condition) > 200 AS many, count(*) FILTER (WHERE NOT is_pushed(condition)) AS not_pushed FROM trees;
SELECT sum(different), count(*) FILTER (WHERE rows BETWEEN 1 AND 600) AS some FROM trees, differences(condition);
SELECT condition FROM trees, differences(condition) WHERE different > 0;
SET m3db.enable_tag_index = off;
SELECT sum(different) FROM trees, differences(condition);
RESET m3db.enable_tag_index;
-- points in files, and series of the transaction itself
SELECT count(*) FROM m3db.flush('tc');
BEGIN;
INSERT INTO tc_plain SELECT ts, 'own-' || host, rack, NOT up, tags || '{"num": "9"}', value FROM tc_plain;
INSERT INTO tc SELECT * FROM tc_plain WHERE host LIKE 'own%' OR tags @> '{"num": "9"}';
SELECT sum(different), sum(rows) > 0 FROM trees, differences(condition);
ROLLBACK;

EXPLAIN (COSTS OFF) SELECT * FROM tc WHERE (host = 'h1' OR tags ->> 'dc' = 'eu') AND tags @> '{"zone": "z1"}'
	AND NOT (tags ? 'num') AND ts >= '2024-01-01' AND value > 3;
EXPLAIN (COSTS OFF) SELECT * FROM tc WHERE NOT (host = 'h1' AND (rack = 1 OR tags ->> 'dc' LIKE 'e%'));
EXPLAIN (COSTS OFF) SELECT * FROM tc WHERE host = 'h1' OR ts > '2024-01-01';

-- conditions of aggregates
SET m3db.enable_aggregate_pushdown = on;
SELECT count(*) FILTER (WHERE host = 'h1' OR tags ? 'zone'), sum(value) FILTER (WHERE NOT (tags @> '{"dc": "eu"}' AND rack = 1)),
	count(*) FILTER (WHERE tags ->> 'dc' ~ '^e' OR host IS NULL), count(*) FILTER (WHERE host = NULL OR tags @> '[]') FROM tc WHERE up OR rack = 1;
SELECT count(*) FILTER (WHERE host = 'h1' OR tags ? 'zone'), sum(value) FILTER (WHERE NOT (tags @> '{"dc": "eu"}' AND rack = 1)),
	count(*) FILTER (WHERE tags ->> 'dc' ~ '^e' OR host IS NULL), count(*) FILTER (WHERE host = NULL OR tags @> '[]') FROM tc_plain WHERE up OR rack = 1;
SET m3db.enable_aggregate_pushdown = off;

-- the same as conditions change: generic plans, arrays of all kinds
SET plan_cache_mode = force_generic_plan;
PREPARE by_array(text[]) AS SELECT count(*), count(DISTINCT host) FROM tc WHERE host = ANY ($1);
PREPARE by_no_array(text[]) AS SELECT count(*), count(DISTINCT host) FROM tc WHERE host <> ALL ($1);
PREPARE rows_by_array(text[]) AS SELECT ts FROM tc WHERE host = ANY ($1);
EXPLAIN (COSTS OFF) EXECUTE rows_by_array('{}');
EXECUTE by_array('{h1,h2}');
EXECUTE by_array('{h1,NULL}');
EXECUTE by_array('{NULL}');
EXECUTE by_array('{}');
EXECUTE by_array(NULL);
EXECUTE by_array('{{h1,h2},{h3,h1}}');
EXECUTE by_array('[5:6]={h1,nobody}');
EXECUTE by_no_array('{h1,h2}');
EXECUTE by_no_array('{h1,NULL}');
EXECUTE by_no_array('{}');
EXECUTE by_no_array(NULL);
EXECUTE by_no_array('{{h1,h2},{h3,h1}}');
PREPARE by_ints(bigint[]) AS SELECT count(*) FROM tc WHERE rack = ANY ($1) OR rack IS NULL;
EXECUTE by_ints('{1,10000000000}');
EXECUTE by_ints('{NULL}');
PREPARE by_tags(jsonb, text, text[]) AS
	SELECT count(*) FROM tc WHERE tags @> $1 AND (tags ->> 'dc' = $2 OR tags ?| $3);
EXPLAIN (COSTS OFF) EXECUTE by_tags('{}', '', '{}');
EXECUTE by_tags('{}', 'eu', '{}');
EXECUTE by_tags('{"zone": "z1"}', 'eu', '{num}');
EXECUTE by_tags('{"zone": "z1"}', NULL, '{num}');
EXECUTE by_tags('{"zone": "z1"}', NULL, NULL);
EXECUTE by_tags(NULL, 'eu', '{num}');
EXECUTE by_tags('[]', 'eu', '{num}');
SELECT count(*) FROM tc_plain WHERE tags @> '{"zone": "z1"}' AND (tags ->> 'dc' = 'eu' OR tags ?| '{num}');
RESET plan_cache_mode;

-- for each row of another table
CREATE TABLE wanted (n int, host text, dc text, doc jsonb);
INSERT INTO wanted VALUES (1, 'h1', 'eu', '{"dc": "eu"}'), (2, NULL, 'us', '{"zone": "z1"}'), (3, 'h2', NULL, '[]'), (4, NULL, NULL, NULL), (5, 'h4', 'a"b', '{}');
ANALYZE wanted;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
SET enable_memoize = off;
EXPLAIN (COSTS OFF) SELECT n FROM wanted w JOIN tc ON tc.host = w.host OR tc.tags ->> 'dc' = w.dc;
SELECT n, count(*), sum(value) FROM wanted w JOIN tc ON tc.host = w.host OR tc.tags ->> 'dc' = w.dc GROUP BY n ORDER BY n;
SELECT n, count(*), sum(value) FROM wanted w JOIN tc_plain tc ON tc.host = w.host OR tc.tags ->> 'dc' = w.dc GROUP BY n ORDER BY n;
EXPLAIN (COSTS OFF) SELECT n FROM wanted w JOIN tc ON tags @> doc;
SELECT n, count(*), sum(value) FROM wanted w JOIN tc ON tags @> doc GROUP BY n ORDER BY n;
SELECT n, count(*), sum(value) FROM wanted w JOIN tc_plain tc ON tags @> doc GROUP BY n ORDER BY n;
EXPLAIN (COSTS OFF) SELECT n FROM wanted w JOIN tc ON tags ->> 'dc' = w.dc;
SELECT n, count(*), sum(value) FROM wanted w JOIN tc ON tags ->> 'dc' = w.dc GROUP BY n ORDER BY n;
SELECT n, count(*), sum(value) FROM wanted w JOIN tc_plain tc ON tags ->> 'dc' = w.dc GROUP BY n ORDER BY n;
SELECT n, (SELECT count(*) FROM tc WHERE tags ->> 'dc' = w.dc AND NOT (rack = w.n AND host <> w.host)) AS found,
	(SELECT count(*) FROM tc_plain WHERE tags ->> 'dc' = w.dc AND NOT (rack = w.n AND host <> w.host)) AS wanted FROM wanted w ORDER BY n;
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET enable_material;
RESET enable_memoize;

-- collations
CREATE COLLATION tag_conditions_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
SELECT condition, is_pushed(condition), d.* FROM unnest(ARRAY[
	'tags ->> ''dc'' = ''EU'' COLLATE tag_conditions_ci', 'rack = 1 OR tags ->> ''dc'' = ''EU'' COLLATE tag_conditions_ci',
	'host NOT IN (''H1'' COLLATE tag_conditions_ci, ''h2'')']) condition, differences(condition) d;

-- what a barrier hides is not told by errors, nor by a function that talks
CREATE FUNCTION talk(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
	RAISE NOTICE 'saw %', $1;
	RETURN true;
END $$;
CREATE VIEW barrier WITH (security_barrier) AS SELECT * FROM tc WHERE (host = 'h1' OR tags ->> 'dc' = 'us') AND ts < '2024-01-01 00:20';
EXPLAIN (COSTS OFF) SELECT * FROM barrier WHERE talk(host) AND (host = 'h3' OR rack = 1) AND (host LIKE '%1' OR rack = 2);
SELECT ts, host FROM barrier WHERE talk(host) AND (host = 'h3' OR rack = 1) ORDER BY ts;
SELECT count(*) FROM barrier WHERE host LIKE 'h1' OR tags ->> 'zone' LIKE 'z\';
SELECT count(*) FROM tc WHERE host LIKE 'h1' OR tags ->> 'zone' LIKE 'z\';

-- a wide table, and one whose metric is given
CREATE FOREIGN TABLE tc_wide (ts timestamptz NOT NULL, host text, tags jsonb, a float8, b float8)
	SERVER tag_conditions OPTIONS (namespace 'tag_conditions_wide');
INSERT INTO tc_wide SELECT ts, host, tags, nullif(value::int % 3, 0), value FROM tc_plain WHERE tags IS NOT NULL;
CREATE FOREIGN TABLE tc_metric (ts timestamptz NOT NULL, host text, tags jsonb, b float8 OPTIONS (metric 'b'))
	SERVER tag_conditions OPTIONS (namespace 'tag_conditions_wide');
CREATE FOREIGN TABLE tc_raw (ts timestamptz NOT NULL, host text, tags jsonb, value float8)
	SERVER tag_conditions OPTIONS (namespace 'tag_conditions_wide');
CREATE FUNCTION count_of(name text, condition text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	result bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM %I WHERE %s', name, condition) INTO result;
	RETURN result;
END $$;
SELECT condition, count_of('tc_wide', condition) AS wide, count_of('tc_metric', condition) AS metric, count_of('tc_raw', condition) AS raw
	FROM unnest(ARRAY['tags @> ''{"dc": "eu"}''', 'tags @> ''{"__name__": "b"}''', 'tags ->> ''__name__'' IS NULL', 'NOT tags ? ''__name__''',
		'tags ->> ''dc'' = ''eu'' OR host = ''h1''', 'tags ->> ''__name__'' = ''b'' OR host = ''h1''']) condition;

-- estimates
CREATE FOREIGN TABLE tc_many (ts timestamptz NOT NULL, host text, tags jsonb, value float8)
	SERVER tag_conditions OPTIONS (namespace 'tag_conditions_many');
INSERT INTO tc_many
	SELECT timestamptz '2024-01-01' + k * interval '1 min', 'h' || h,
		jsonb_build_object('role', (ARRAY['db', 'cache', 'web'])[least(h % 10 + 1, 3)], 'shard', h % 20 || ''), k
	FROM generate_series(1, 1000) h, generate_series(1, 10) k;
CREATE FUNCTION estimated(condition text, parameter text) RETURNS TABLE (good boolean, actual bigint) LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'PREPARE estimated(text) AS SELECT * FROM tc_many WHERE ' || condition;
	EXECUTE format('EXPLAIN (FORMAT JSON) EXECUTE estimated(%L)', parameter) INTO plan;
	DEALLOCATE estimated;
	EXECUTE 'SELECT count(*) FROM tc_many WHERE ' || condition INTO actual USING parameter;
	good := (plan #>> '{0,Plan,Plan Rows}')::float BETWEEN actual / 4.0 AND greatest(actual, 10) * 4.0;
	RETURN NEXT;
END $$;
CREATE FUNCTION all_estimated() RETURNS TABLE (condition text, good boolean, actual bigint) LANGUAGE SQL AS $$
	SELECT condition, e.* FROM unnest(ARRAY['tags ->> ''shard'' = $1', 'tags @> ''{"role": "web"}''', 'tags ->> ''role'' = ''db'' OR tags ->> ''shard'' = $1',
		'host = ''h'' || $1', 'host = ''h1'' OR host = ''h2''', 'NOT (tags ->> ''role'' = ''web'' OR tags ->> ''shard'' = $1)', 'tags ? ''role''', 'NOT tags ? ''role''']) condition,
		estimated(condition, '7') e
$$;
SELECT * FROM all_estimated();
SET plan_cache_mode = force_generic_plan;
SELECT * FROM all_estimated();
RESET plan_cache_mode;

DROP VIEW barrier;
DROP FUNCTION differences, is_pushed, choose, random_tree, count_of, talk, estimated, all_estimated;
DROP TABLE tc_plain, conditions, leaves, trees, wanted;
DROP SEQUENCE choices;
DROP COLLATION tag_conditions_ci;
DROP FOREIGN TABLE tc, tc_wide, tc_metric, tc_raw, tc_many;
DROP SERVER tag_conditions;
