-- Conditions on tags: pushed to the scan, and the same answers as a plain table.
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE SERVER select_tags FOREIGN DATA WRAPPER m3db_fdw;
CREATE TYPE tag_color AS ENUM ('red', 'green', 'blue');
CREATE FOREIGN TABLE sg (
	ts timestamptz NOT NULL, host text, dc varchar(10), rack int, big bigint,
	unique_id uuid, up boolean, color tag_color, value float8)
	SERVER select_tags OPTIONS (namespace 'select_tags');
CREATE TABLE sg_plain (LIKE sg);
INSERT INTO sg_plain
	SELECT timestamptz '2024-01-01' + n * interval '1 min',
		CASE WHEN n % 5 > 0 THEN 'h' || n % 5 END,
		CASE WHEN n % 7 > 0 THEN 'dc' || n % 7 END,
		CASE WHEN n % 4 > 0 THEN n % 4 - 2 END,
		CASE WHEN n % 3 > 0 THEN 10000000000 * (n % 3) END,
		CASE WHEN n % 2 > 0 THEN '00000000-0000-0000-0000-00000000000a'::uuid END,
		CASE n % 3 WHEN 0 THEN true WHEN 1 THEN false END,
		(enum_range(NULL::tag_color))[n % 4],
		n
	FROM generate_series(1, 840) n;
INSERT INTO sg_plain (ts, host, value) VALUES ('2024-01-02', '', 1), ('2024-01-02', 'Ünï"\', 2);
INSERT INTO sg TABLE sg_plain;
SELECT count(*), count(DISTINCT value) FROM sg;

CREATE TABLE conditions (condition text);
INSERT INTO conditions VALUES
	('host = ''h1'''), ('''h1'' = host'), ('host = ''nothing'''), ('host = '''''),
	('host = ''Ünï"\'''), ('host = NULL'), ('host = ''h1''::name'), ('host = ''h1''::varchar'),
	('host <> ''h1'''), ('host <> NULL'), ('''h1'' <> host'),
	('host IS NULL'), ('host IS NOT NULL'),
	('host IN (''h1'', ''h2'', ''h1'', ''zz'')'), ('host IN (''h1'', NULL)'),
	('host = ANY (''{}'')'), ('host = ANY (NULL::text[])'), ('host = ANY (''{{h1,h2},{h3,NULL}}'')'),
	('host NOT IN (''h1'', ''h2'')'), ('host NOT IN (''h1'', NULL)'), ('host <> ALL (''{}'')'),
	('host = ''h1'' OR host IS NULL'), ('host LIKE ''h%'''), ('host > ''h3'''),
	('host = ''h1'' COLLATE "C"'), ('host = dc'), ('host = ''h'' || rack'),
	('host = ''h1'' AND dc = ''dc2'''), ('host = ''h1'' AND host = ''h2'''), ('host IS NULL AND dc IS NULL'),
	('dc = ''dc1'''), ('dc IN (''dc1'', ''dc2'')'), ('dc::text = ''dc1'''),
	('rack = 1'), ('rack = -1'), ('rack = 1::bigint'), ('rack = 1::smallint'), ('rack = 10000000000'),
	('rack IN (0, 1)'), ('rack = ANY (ARRAY[0, 1]::bigint[])'), ('rack <> 0'), ('rack > 0'), ('rack = 1.0'), ('rack + 1 = 2'),
	('big = 10000000000'), ('big = 5'), ('big IS NULL'),
	('unique_id = ''00000000-0000-0000-0000-00000000000A'''), ('unique_id IS NULL'),
	('up'), ('NOT up'), ('up = true'), ('up = false'), ('up <> true'), ('up IS TRUE'), ('up IS NOT TRUE'), ('up IS NULL'),
	('up = (rack = 1)'),
	('color = ''red'''), ('color <> ''red'''), ('color IN (''green'', ''blue'')'), ('color > ''red'''), ('color IS NULL');

CREATE FUNCTION differences(condition text)
RETURNS TABLE (rows bigint, different bigint) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format(
		'WITH f AS (SELECT * FROM sg WHERE %1$s), p AS (SELECT * FROM sg_plain WHERE %1$s)
		 SELECT (SELECT count(*) FROM f),
			(SELECT count(*) FROM (TABLE f EXCEPT ALL TABLE p) x)
			+ (SELECT count(*) FROM (TABLE p EXCEPT ALL TABLE f) y)', condition);
END $$;
-- Is a condition the scan's own affair?
CREATE FUNCTION is_pushed(condition text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON, COSTS OFF) SELECT * FROM sg WHERE ' || condition INTO plan;
	RETURN plan #>> '{0,Plan,Filter}' IS NULL AND plan #>> '{0,Plan,Node Type}' = 'Foreign Scan';
END $$;
SELECT condition, is_pushed(condition), d.* FROM conditions, differences(condition) d;

EXPLAIN (COSTS OFF) SELECT * FROM sg
	WHERE host = 'h1' AND dc IN ('dc1', 'dc2') AND rack IS NOT NULL AND NOT up AND big <> 5 AND value > 3
		AND ts >= '2024-01-01';

-- collations: only deterministic ones mean equal bytes
CREATE COLLATION ignore_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
SELECT is_pushed('host = ''H1'' COLLATE ignore_case') AS pushed, d.*
	FROM differences('host = ''H1'' COLLATE ignore_case') d;

-- other tables on the same namespace
CREATE FOREIGN TABLE sg_tags (ts timestamptz, value float8, tags jsonb, host text, id text)
	SERVER select_tags OPTIONS (namespace 'select_tags');
SELECT tags, host, id FROM sg_tags WHERE value = 2;
SELECT tags, host FROM sg_tags WHERE value IN (3, 60) ORDER BY value;
SELECT tags, id FROM sg_tags WHERE id = '{host=""}';
SELECT count(*) FROM sg_tags WHERE id = ANY (SELECT id FROM sg_tags WHERE value = 60);
SELECT count(*) FROM sg_tags a JOIN sg_tags b USING (id, ts) WHERE a.value < 100;
EXPLAIN (COSTS OFF) SELECT * FROM sg_tags WHERE id IN ('x', 'y') AND id = 'x' AND tags ? 'dc';
CREATE FOREIGN TABLE sg_wrong (ts timestamptz, value float8, host int)
	SERVER select_tags OPTIONS (namespace 'select_tags');
SELECT count(*) FROM sg_wrong;
SELECT count(*) FROM sg_wrong WHERE host IS NULL;
SELECT count(host) FROM sg_wrong;
CREATE FOREIGN TABLE sg_text (ts timestamptz, value float8, n text)
	SERVER select_tags OPTIONS (namespace 'select_tags_text');
CREATE FOREIGN TABLE sg_int (ts timestamptz, value float8, n int)
	SERVER select_tags OPTIONS (namespace 'select_tags_text');
INSERT INTO sg_text VALUES ('2024-01-01', 1, '7'), ('2024-01-01', 2, '007');
SELECT * FROM sg_int WHERE n = 7;
SELECT * FROM sg_int;

DROP FUNCTION differences, is_pushed;
DROP TABLE sg_plain, conditions;
DROP FOREIGN TABLE sg, sg_tags, sg_wrong, sg_text, sg_int;
DROP TYPE tag_color;
DROP COLLATION ignore_case;
DROP SERVER select_tags;
