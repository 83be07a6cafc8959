-- COPY FROM: text, CSV, defaults, errors, atomicity.
CREATE SCHEMA t_copy;
SET search_path = t_copy;
SET client_min_messages = warning;
CREATE SERVER y1 FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE f (ts timestamptz NOT NULL, host text DEFAULT 'none', v float8 CHECK (v > -100)) SERVER y1;

COPY f FROM stdin;
2024-01-01 00:00:00+00	a	1
2024-01-01 00:00:10+00	a	2.5
2024-01-01 00:00:00+00	\N	3
2024-01-01 00:00:10+00	b	NaN
\.
COPY f (v, ts) FROM stdin WITH (FORMAT csv);
4,2024-01-01 00:00:20+00
5,2024-01-01 00:00:30+00
\.
SELECT * FROM f ORDER BY ts, host;

-- all or nothing, with the line that is to blame
COPY f FROM stdin;
2024-02-01	x	1
2024-02-01	x	-200
\.
COPY f FROM stdin;
2024-02-01	x	1
\N	x	1
\.
COPY f FROM stdin;
2024-02-01	x	1
2024-02-01	x	\N
\.
COPY f FROM stdin;
2024-02-01	x	1
1950-02-01	x	1
\.
SELECT count(*) FROM f WHERE host = 'x';

-- WHERE, and a transaction
BEGIN;
COPY f FROM stdin WHERE v > 1;
2024-03-01	w	1
2024-03-02	w	2
\.
SELECT * FROM f WHERE host = 'w';
ROLLBACK;
SELECT count(*) FROM f WHERE host = 'w';

-- wide, with nulls
CREATE FOREIGN TABLE w (ts timestamptz, host text, a float8, b float8, c float8) SERVER y1;
COPY w FROM stdin WITH (NULL '-');
2024-01-01	h1	1	-	3
2024-01-02	h1	-	2	-
2024-01-01	h2	-0	-	-
\.
SELECT * FROM w ORDER BY host, ts;
COPY w FROM stdin WITH (NULL '-');
2024-01-03	h1	-	-	-
\.

-- out goes a query, as for every foreign table
COPY w TO stdout;
COPY (SELECT * FROM w ORDER BY host, ts) TO stdout;

-- larger than a batch, with triggers
CREATE TABLE log (n bigserial, host text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO log (host) VALUES (NEW.host); RETURN NEW; END $$;
CREATE TRIGGER t BEFORE INSERT ON w FOR EACH ROW EXECUTE FUNCTION note();
COPY w (ts, host, a) FROM PROGRAM $$seq 1 3000 | awk '{printf "2024-06-01 00:%02d:%02d\th%d\t%d\n", $1/60, $1%60, $1%7, $1}'$$;
SELECT count(*), count(DISTINCT host) FROM log;
SELECT count(*), sum(a) FROM w WHERE ts >= '2024-06-01';

DROP SCHEMA t_copy CASCADE;
DROP SERVER y1;
