-- NOT NULL and CHECK constraints are enforced; core leaves that to the wrapper.
CREATE SCHEMA t_constraints;
SET search_path = t_constraints;
SET client_min_messages = warning;
CREATE SERVER k1 FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE f (
  ts timestamptz NOT NULL, host text NOT NULL CHECK (host <> ''), v float8 NOT NULL,
  CONSTRAINT sane CHECK (v BETWEEN 0 AND 10 OR host = 'free')) SERVER k1;
INSERT INTO f VALUES ('2024-01-01', 'a', 1);
INSERT INTO f VALUES (NULL, 'a', 1);
INSERT INTO f VALUES ('2024-01-01', NULL, 1);
INSERT INTO f VALUES ('2024-01-01', 'a', NULL);
INSERT INTO f VALUES ('2024-01-01', '', 1);
INSERT INTO f VALUES ('2024-01-01', 'a', 11);
INSERT INTO f VALUES ('2024-01-01', 'free', 11);
INSERT INTO f VALUES ('2024-01-02', 'a', 2), ('2024-01-02', 'a', -1);
SELECT * FROM f ORDER BY host, ts;

-- constraints that come later
ALTER FOREIGN TABLE f ADD CONSTRAINT later CHECK (v <> 5);
INSERT INTO f VALUES ('2024-01-01', 'a', 5);
ALTER FOREIGN TABLE f DROP CONSTRAINT later;
INSERT INTO f VALUES ('2024-01-01', 'a', 5);
ALTER FOREIGN TABLE f ALTER host DROP NOT NULL;
INSERT INTO f VALUES ('2024-01-01', NULL, 6);
SELECT * FROM f ORDER BY host, ts;

-- keys are refused by the server itself
CREATE FOREIGN TABLE p (ts timestamptz PRIMARY KEY, v float8) SERVER k1;

-- inherited ones
CREATE TABLE parent (ts timestamptz, host text, v float8, CONSTRAINT pc CHECK (v < 100));
CREATE FOREIGN TABLE child () INHERITS (parent) SERVER k1;
INSERT INTO child VALUES ('2024-01-01', 'a', 100);
INSERT INTO child VALUES ('2024-01-01', 'a', 99);
INSERT INTO parent VALUES ('2024-01-01', 'p', 1);
SELECT tableoid::regclass, * FROM parent ORDER BY 2, 3;
UPDATE parent SET v = 0;
UPDATE ONLY parent SET v = 0;

DROP SCHEMA t_constraints CASCADE;
DROP SERVER k1;
