-- Definitions of tables that are gone are not kept for the life of the session.

CREATE SCHEMA t_table_cache;
SET search_path = t_table_cache;
SET client_min_messages = warning;
CREATE SERVER cache_server FOREIGN DATA WRAPPER m3db_fdw;

\set ECHO none
SELECT format('CREATE FOREIGN TABLE passing (ts timestamptz, host text, v float8)
			   SERVER cache_server OPTIONS (namespace ''passing'');
			   SELECT count(*) INTO TEMP dummy FROM passing;
			   DROP TABLE dummy;
			   DROP FOREIGN TABLE passing')
  FROM generate_series(1, 50) \gexec
\set ECHO all
SELECT count(*) < 10 AS few FROM pg_backend_memory_contexts WHERE name = 'm3db table';

-- an open cursor keeps the definition it runs with, whatever happens to other tables
CREATE FOREIGN TABLE kept (ts timestamptz, host text, v float8)
	SERVER cache_server OPTIONS (namespace 'kept');
INSERT INTO kept VALUES ('2024-01-01 00:00+00', 'a', 1), ('2024-01-01 00:00+00', 'b', 2);
BEGIN;
DECLARE c CURSOR FOR SELECT host, v FROM kept ORDER BY host;
CREATE FOREIGN TABLE other (ts timestamptz, v float8) SERVER cache_server;
SELECT count(*) FROM other;
DROP FOREIGN TABLE other;
CREATE FOREIGN TABLE other (ts timestamptz, v float8) SERVER cache_server;
SELECT count(*) FROM other;
FETCH ALL FROM c;
ROLLBACK;

DROP SCHEMA t_table_cache CASCADE;
DROP SERVER cache_server CASCADE;
