-- Patterns for tags: evaluated by the scan, with and without the index, as a plain table does.
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET enable_memoize = off;
CREATE SERVER tag_patterns FOREIGN DATA WRAPPER m3db_fdw;
CREATE DOMAIN tag_domain AS text;
CREATE FOREIGN TABLE tp (
	ts timestamptz NOT NULL, n int, host text, short varchar(20), dom tag_domain,
	ci text COLLATE "C", value float8)
	SERVER tag_patterns OPTIONS (namespace 'tag_patterns', block_size '1 hour');
CREATE TABLE tp_plain (LIKE tp);
CREATE TABLE tag_texts (n int, t text);
INSERT INTO tag_texts VALUES
	(1, 'web-1'), (2, 'web-2'), (3, 'web-10'), (4, 'WEB-1'), (5, 'db-1'), (6, 'web'), (7, 'we'), (8, ''),
	(9, NULL), (10, '50%'), (11, '50%off'), (12, 'a_b'), (13, 'axb'), (14, 'a\b'), (15, 'a\'), (16, '\'),
	(17, 'Ünïcode'), (18, 'ünïcode'), (19, 'Ü'), (20, '日本語'), (21, '日本'), (22, '日'), (23, '😀x'), (24, ' web'),
	(25, E'line\nbreak'), (26, 'web%'), (27, '%web'), (28, '_'), (29, 'ß'), (30, 'a.b'), (31, 'İ');
INSERT INTO tp_plain
	SELECT timestamptz '2024-01-01' + k * interval '10 min', n, t, t, t, t, n * 10 + k
	FROM tag_texts, generate_series(0, 1) k;
-- series that have hardly any tag
INSERT INTO tp_plain (ts, n, value) VALUES ('2024-01-01', 100, 1), ('2024-01-01', NULL, 2);
INSERT INTO tp TABLE tp_plain;

CREATE TABLE conditions (condition text);
INSERT INTO conditions
	SELECT format('host %s %s', op, coalesce(quote_literal(p), 'NULL')) FROM
	unnest('{LIKE,NOT LIKE,ILIKE,NOT ILIKE}'::text[]) op,
	unnest(ARRAY['web-1', 'web-%', 'web%%', 'WEB%', '%1', '%eb%', 'web-_', 'w%1', '%', '%%', '_', '__', '', NULL, 'nothing%',
		'50\%', '50\%%', '50%', 'a\_b', 'a_b', 'a\_%', 'a\\%', 'a\\', '\\', '\w\e\b%', 'Ü%', 'ün%', '日本%', '日_', '_本%', '😀%', '\日%',
		E'line\n%', 'ß', 'i%', '%\%', '\%%']) p;
INSERT INTO conditions
	SELECT format('host %s %s', op, coalesce(quote_literal(p), 'NULL')) FROM
	unnest('{~,!~,~*,!~*}'::text[]) op,
	unnest(ARRAY['^web', '^web-1$', 'web-[0-9]+', '', NULL, '^$', '.', '^.$', 'a.b', 'a\.b', 'ü', '^日本', '\d', '(?i)WEB', '^(web|db)-1$', '\\']) p;
INSERT INTO conditions
	SELECT format(form, coalesce(quote_literal(p), 'NULL')) FROM
	unnest('{host ^@ %s,"starts_with(host, %s)","NOT host ^@ %s","NOT starts_with(host, %s)"}'::text[]) form,
	unnest(ARRAY['web', '', NULL, '50%', 'Ü', '日本', 'a\', 'nothing', 'web-10']) p;
INSERT INTO conditions VALUES
	('short LIKE ''web%'''), ('short NOT LIKE ''web%'''), ('short ~ ''^w'''), ('short ILIKE ''web%'''), ('short ^@ ''web'''),
	('dom LIKE ''web%'''), ('dom !~ ''^w'''), ('dom::text ILIKE ''ü%'''),
	('ci LIKE ''web%'''), ('ci ILIKE ''ü%'''), ('ci ~* ''ü'''), ('host COLLATE "C" ILIKE ''ü%'''), ('host ILIKE ''ü%'' COLLATE "C"'),
	('host LIKE ''50!%%'' ESCAPE ''!'''), ('host LIKE ''a\%'' ESCAPE '''''), ('host NOT LIKE ''50!%%'' ESCAPE ''!'''),
	('NOT (host LIKE ''web%'')'), ('NOT (host !~ ''^web'')'), ('host LIKE (''web'' || ''%'')'),
	('host LIKE ''web%'' AND host NOT LIKE ''%1'''), ('host LIKE ''web%'' AND host ~ ''1'' AND short IS NOT NULL AND n > 1'),
	('host LIKE ''web%'' AND ts = ''2024-01-01'''), ('host LIKE ''web-1'' AND host = ''web-1'''), ('host LIKE ''web%'' AND n IN (1, 2, 5)'),
	('host ~ ''web'' AND host IS NULL'), ('host SIMILAR TO ''(web|db)-_'''),
	('host LIKE (SELECT ''web%'')'), ('host !~ (SELECT min(t) FROM tag_texts WHERE t > ''w'' COLLATE "C")'),
	('host ^@ current_setting(''m3db.nothing'', true)'), ('host LIKE short || ''%'''), ('host LIKE ANY (''{web%,db%}'')'),
	('host LIKE ''web%'' OR host IS NULL'), ('n::text LIKE ''1%'''), ('''web-1'' LIKE host || ''%'''), ('host LIKE ''web%''::varchar'), ('host LIKE ''web%''::name');

CREATE FUNCTION differences(condition text)
RETURNS TABLE (rows bigint, different bigint) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format(
		'WITH f AS (SELECT * FROM tp WHERE %1$s), p AS (SELECT * FROM tp_plain WHERE %1$s)
		 SELECT (SELECT count(*) FROM f),
			(SELECT count(*) FROM (TABLE f EXCEPT ALL TABLE p) x)
			+ (SELECT count(*) FROM (TABLE p EXCEPT ALL TABLE f) y)', condition);
END $$;
CREATE FUNCTION is_pushed(condition text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON, COSTS OFF) SELECT * FROM tp WHERE ' || condition INTO plan;
	RETURN plan #>> '{0,Plan,Filter}' IS NULL;
END $$;
-- those whose rows depend on the locale's idea of upper and lower case are compared only
CREATE FUNCTION check_all() RETURNS TABLE (condition text, pushed boolean, rows bigint, different bigint)
LANGUAGE SQL AS $$
	SELECT c.condition, is_pushed(c.condition),
		CASE WHEN c.condition ~ 'ILIKE|~\*' AND c.condition ~ '[^ -~]|i%' THEN NULL ELSE d.rows END, d.different
	FROM conditions c, differences(c.condition) d
$$;
SELECT * FROM check_all();
SET m3db.enable_tag_index = off;
SELECT count(*), sum(different) FROM check_all();
RESET m3db.enable_tag_index;
-- points in files, and series of the transaction itself
SELECT count(*) FROM m3db.flush('tp');
SELECT count(*), sum(different) FROM check_all();
BEGIN;
INSERT INTO tp_plain SELECT ts, n + 1000, 'web-' || host, short, 'own-' || dom, ci, value FROM tp_plain WHERE n IS NOT NULL;
INSERT INTO tp SELECT * FROM tp_plain WHERE n > 1000;
SELECT count(*), sum(different) FROM check_all();
SET m3db.enable_tag_index = off;
SELECT count(*), sum(different) FROM check_all();
ROLLBACK;
SELECT count(*), sum(different) FROM check_all();

-- what is left to PostgreSQL: collations for which bytes do not tell
CREATE COLLATION tag_patterns_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
SELECT is_pushed('host COLLATE tag_patterns_ci LIKE ''web%''') AS pushed;

-- errors are PostgreSQL's, at whatever time they come
SELECT count(*) FROM tp WHERE host ~ '(';
SELECT count(*) FROM tp WHERE host !~* '[z-a]';
-- only for values that get to the end of the pattern
SELECT count(*) FROM tp WHERE host LIKE 'nothing\';
SELECT count(*) FROM tp WHERE host LIKE 'a\';
SELECT count(*) FROM tp_plain WHERE host LIKE 'a\';
PREPARE by_regexp(text) AS SELECT count(*), min(host) FROM tp WHERE host ~ $1;
PREPARE by_like(text) AS SELECT count(*), min(host) FROM tp WHERE host LIKE $1;
SET plan_cache_mode = force_generic_plan;
EXECUTE by_regexp('^db');
EXECUTE by_regexp('(');
EXECUTE by_regexp(NULL);
EXECUTE by_regexp('^web-10$');
EXECUTE by_like('db%');
EXECUTE by_like('%-10');
EXECUTE by_like('');
EXECUTE by_like(NULL);
EXPLAIN (COSTS OFF) EXECUTE by_like('x');
RESET plan_cache_mode;
-- a caught error leaves nothing behind
DO $$
DECLARE
	number bigint;
BEGIN
	FOR i IN 1..50 LOOP
		BEGIN
			EXECUTE 'SELECT count(*) FROM tp WHERE host LIKE ''web%'' AND host ~ $1' INTO number USING 'a{2,1}';
		EXCEPTION WHEN invalid_regular_expression THEN
			NULL;
		END;
	END LOOP;
	SELECT count(*) INTO number FROM tp WHERE host LIKE 'web%' AND host ~ '1';
	RAISE NOTICE 'then %', number;
END $$;

-- patterns from another table, evaluated for each of its rows
CREATE TABLE patterns (pattern text);
INSERT INTO patterns VALUES ('web-%'), ('db%'), (NULL), ('日%'), ('%1'), ('');
ANALYZE patterns;
SET enable_material = off;
EXPLAIN (COSTS OFF) SELECT pattern, ts FROM patterns JOIN tp ON host LIKE pattern;
SELECT pattern, count(*) FROM patterns JOIN tp ON host LIKE pattern GROUP BY 1 ORDER BY pattern COLLATE "C";
SELECT pattern, count(*) FROM patterns JOIN tp_plain ON host LIKE pattern GROUP BY 1 ORDER BY pattern COLLATE "C";
SELECT pattern, (SELECT string_agg(host, ' ' ORDER BY n) FROM tp WHERE host !~ pattern AND n < 8 AND ts = '2024-01-01')
	FROM patterns ORDER BY pattern COLLATE "C";
RESET enable_material;

-- a wide table
CREATE FOREIGN TABLE tp_wide (ts timestamptz NOT NULL, host text, a float8, b float8)
	SERVER tag_patterns OPTIONS (namespace 'tag_patterns_wide');
INSERT INTO tp_wide SELECT ts, host, nullif(n % 3, 0), nullif(n % 5, 0) FROM tp_plain WHERE n % 15 > 0;
SELECT pattern, (SELECT count(*) FROM tp_wide WHERE host LIKE pattern) AS found,
	(SELECT count(*) FROM tp_plain WHERE host LIKE pattern AND n % 15 > 0) AS wanted,
	(SELECT count(*) FROM tp_wide WHERE host !~ pattern) AS found,
	(SELECT count(*) FROM tp_plain WHERE host !~ pattern AND n % 15 > 0) AS wanted
	FROM patterns ORDER BY pattern COLLATE "C";

-- a condition of a security barrier comes first, so that an error tells nothing
CREATE VIEW barrier WITH (security_barrier) AS SELECT * FROM tp WHERE n > 30;
EXPLAIN (COSTS OFF) SELECT * FROM barrier WHERE host LIKE 'a\' AND dom = 'x';
SELECT count(*) FROM barrier WHERE host LIKE 'a\';
SELECT count(*) FROM barrier WHERE host LIKE '_';
DROP VIEW barrier;

-- estimates: points in files are guessed, so within a factor of eight
CREATE FOREIGN TABLE tp_many (ts timestamptz NOT NULL, host text, role text, value float8)
	SERVER tag_patterns OPTIONS (namespace 'tag_patterns_many');
INSERT INTO tp_many
	SELECT timestamptz '2024-01-01' + k * interval '1 min', 'h' || h, CASE h % 10 WHEN 0 THEN 'db' WHEN 1 THEN 'cache' ELSE 'web' END, k
	FROM generate_series(1, 2000) h, generate_series(1, 10) k;
CREATE FUNCTION estimated(condition text) RETURNS TABLE (good boolean, actual bigint) LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) SELECT * FROM tp_many WHERE ' || condition INTO plan;
	EXECUTE 'SELECT count(*) FROM tp_many WHERE ' || condition INTO actual;
	good := (plan #>> '{0,Plan,Plan Rows}')::float BETWEEN actual / 8.0 AND greatest(actual, 10) * 8.0;
	RETURN NEXT;
END $$;
SELECT condition, e.* FROM unnest(ARRAY[
	'host = ''h7''', 'host IN (''h1'', ''h2'', ''h3'')', 'role = ''db''', 'role <> ''db''', 'role LIKE ''d%''', 'role ~ ''^(db|cache)$''',
	'role NOT LIKE ''web%''', 'role IS NULL', 'role IS NOT NULL', 'host = ''nothing''', 'host LIKE ''h1%''', 'host NOT LIKE ''h1%''',
	'host LIKE ''h1%'' AND role = ''web''']) condition, estimated(condition) e;
-- so that the small side drives
CREATE TABLE owners (host text, owner text);
INSERT INTO owners SELECT 'h' || h, 'o' || h FROM generate_series(1, 3) h;
ANALYZE owners;
EXPLAIN (COSTS OFF)
SELECT o.owner, c.value FROM owners o JOIN tp_many c ON c.host = o.host WHERE c.role LIKE 'web%';
SELECT o.owner, count(*), sum(c.value) FROM owners o JOIN tp_many c ON c.host = o.host WHERE c.role LIKE 'web%' GROUP BY 1 ORDER BY 1;

-- what the index saves
CREATE FUNCTION examined(query text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || query INTO plan;
	RETURN jsonb_path_query_first(plan, '$.**."Series Examined"')::int;
END $$;
SELECT examined('SELECT * FROM tp_many WHERE host = ''h7''') < 10 AS host,
	examined('SELECT * FROM tp_many WHERE role LIKE ''db%''') < 300 AS role,
	examined('SELECT * FROM tp_many WHERE host ~ ''^h1[0-9]$''') < 20 AS regexp;
SET m3db.enable_tag_index = off;
SELECT examined('SELECT * FROM tp_many WHERE host = ''h7''') AS host;
RESET m3db.enable_tag_index;

DROP FUNCTION differences, is_pushed, check_all, estimated, examined;
DROP TABLE tp_plain, tag_texts, conditions, patterns, owners;
DROP FOREIGN TABLE tp, tp_many, tp_wide;
DROP DOMAIN tag_domain;
DROP COLLATION tag_patterns_ci;
DROP SERVER tag_patterns;
