-- A foreign table as a partition: bounds, routing, COPY, attribute mapping.
CREATE SCHEMA t_partition;
SET search_path = t_partition;
SET client_min_messages = warning;
CREATE SERVER p1 FOREIGN DATA WRAPPER m3db_fdw;
CREATE TABLE p (ts timestamptz NOT NULL, host text, v float8) PARTITION BY RANGE (ts);
CREATE FOREIGN TABLE p_old PARTITION OF p FOR VALUES FROM (MINVALUE) TO ('2024-01-01') SERVER p1;
CREATE TABLE p_new PARTITION OF p FOR VALUES FROM ('2024-01-01') TO (MAXVALUE);

INSERT INTO p VALUES ('2023-06-01', 'a', 1), ('2024-06-01', 'a', 2), ('2023-06-02', 'b', 3)
  RETURNING tableoid::regclass, *;
SELECT tableoid::regclass, * FROM p ORDER BY ts, host;
-- the bound holds for direct inserts too
INSERT INTO p_old VALUES ('2024-06-01', 'a', 1);
INSERT INTO p_old VALUES ('2023-07-01', 'a', 4);
COPY p FROM stdin;
2023-08-01	c	5
2024-08-01	c	6
2023-08-02	c	7
\.
COPY p_old FROM stdin;
2024-08-01	c	6
\.
SELECT tableoid::regclass, * FROM p ORDER BY ts, host;
EXPLAIN (COSTS off) SELECT * FROM p WHERE ts >= '2024-02-01';

-- a trigger cannot move a row out of its partition
CREATE FUNCTION move() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN IF NEW.host = 'move' THEN NEW.ts := NEW.ts + interval '1 year'; END IF; RETURN NEW; END $$;
CREATE TRIGGER m BEFORE INSERT ON p_old FOR EACH ROW EXECUTE FUNCTION move();
INSERT INTO p VALUES ('2023-06-01', 'stay', 1);
INSERT INTO p VALUES ('2023-06-01', 'move', 1);
INSERT INTO p_old VALUES ('2023-06-01', 'move', 1);
DROP TRIGGER m ON p_old;

-- UPDATE and DELETE: only where the foreign partition is not concerned
UPDATE p SET v = 0;
UPDATE p SET v = 20 WHERE ts = '2024-06-01';
UPDATE p SET ts = '2023-09-01' WHERE ts = '2024-08-01' AND host = 'c';
DELETE FROM p WHERE ts < '2020-01-01';
INSERT INTO p VALUES ('2023-06-01', 'a', 1) ON CONFLICT DO NOTHING;
INSERT INTO p VALUES ('2024-06-02', 'a', 1) ON CONFLICT DO NOTHING;
SELECT tableoid::regclass, * FROM p ORDER BY ts, host;

-- another order of columns
CREATE FOREIGN TABLE p_mid (v float8, x int, host text, ts timestamptz NOT NULL) SERVER p1;
ALTER FOREIGN TABLE p_mid DROP COLUMN x;
CREATE TABLE q (ts timestamptz NOT NULL, host text, v float8) PARTITION BY LIST (host);
ALTER TABLE q ATTACH PARTITION p_mid FOR VALUES IN ('a', NULL);
CREATE FOREIGN TABLE q_rest PARTITION OF q DEFAULT SERVER p1;
INSERT INTO q VALUES ('2024-01-01', 'a', 1), ('2024-01-01', NULL, 2), ('2024-01-01', 'z', 3);
COPY q FROM stdin;
2024-01-02	a	4
2024-01-02	y	5
\.
SELECT tableoid::regclass, * FROM q ORDER BY v;
SELECT * FROM p_mid ORDER BY v;
-- detached, it is a table again
ALTER TABLE q DETACH PARTITION p_mid;
INSERT INTO p_mid (ts, host, v) VALUES ('2024-01-03', 'other', 6);
SELECT count(*) FROM p_mid;

-- two levels
CREATE TABLE r (ts timestamptz NOT NULL, host text, v float8) PARTITION BY RANGE (ts);
CREATE TABLE r1 PARTITION OF r FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY LIST (host);
CREATE FOREIGN TABLE r1a PARTITION OF r1 FOR VALUES IN ('a') SERVER p1;
INSERT INTO r VALUES ('2024-05-05', 'a', 1);
INSERT INTO r1a VALUES ('2025-05-05', 'a', 1);
INSERT INTO r1a VALUES ('2024-05-05', 'b', 1);
SELECT tableoid::regclass, * FROM r;

DROP SCHEMA t_partition CASCADE;
DROP SERVER p1;
