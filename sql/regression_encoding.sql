-- A database that is not UTF-8: names and tags are UTF-8 on disk, and read as its encoding has them.

\set old_database :DBNAME
CREATE DATABASE m3db_latin1 ENCODING LATIN1 LOCALE 'C' TEMPLATE template0;
\c m3db_latin1
SET client_encoding = 'LATIN1';
SET client_min_messages = warning;
CREATE EXTENSION m3db_fdw;
CREATE SERVER tsdb FOREIGN DATA WRAPPER m3db_fdw;

SELECT format('CREATE FOREIGN TABLE %I (ts timestamptz, %I text, v float8) SERVER tsdb',
			  'm' || chr(252) || 'hle', 'stra' || chr(223) || 'e') AS command \gset
:command;
SELECT format('%I', 'm' || chr(252) || 'hle') AS table_name \gset
INSERT INTO :table_name VALUES ('2024-01-01 00:00+00', chr(233), 1);
SELECT ascii(t."row") AS tag, length(t."row") AS length, octet_length(t."row") AS bytes, v
  FROM :table_name t(ts, "row", v) WHERE t."row" = chr(233);

CREATE FUNCTION namespace_line(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line LIKE '%Namespace:%' THEN
			RETURN trim(line);
		END IF;
	END LOOP;
	RETURN NULL;
END $$;
SELECT namespace_line('SELECT * FROM ' || :'table_name')
		= 'Namespace: public.m' || chr(252) || 'hle' AS explain_agrees;
SELECT name = 'public.m' || chr(252) || 'hle' AS view_agrees FROM m3db.namespaces;

\c :old_database
DROP DATABASE m3db_latin1;
