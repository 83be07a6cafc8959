-- Triggers, generated and identity columns, defaults.
CREATE SCHEMA t_triggers;
SET search_path = t_triggers;
SET client_min_messages = warning;
CREATE SERVER g1 FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE f (ts timestamptz, host text, v float8) SERVER g1;

CREATE FUNCTION before_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.host = 'skip' THEN RETURN NULL; END IF;
  NEW.host := lower(NEW.host);
  RETURN NEW;
END $$;
CREATE FUNCTION after_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE 'after: % % %', NEW.ts, NEW.host, NEW.v;
  RETURN NULL;
END $$;
CREATE FUNCTION of_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE '% statement: % rows', TG_WHEN, (SELECT count(*) FROM f);
  RETURN NULL;
END $$;
CREATE TRIGGER b BEFORE INSERT ON f FOR EACH ROW EXECUTE FUNCTION before_row();
CREATE TRIGGER a AFTER INSERT ON f FOR EACH ROW EXECUTE FUNCTION after_row();
CREATE TRIGGER s1 BEFORE INSERT ON f FOR EACH STATEMENT EXECUTE FUNCTION of_statement();
CREATE TRIGGER s2 AFTER INSERT ON f FOR EACH STATEMENT EXECUTE FUNCTION of_statement();
SET client_min_messages = notice;
INSERT INTO f VALUES ('2024-01-01', 'ABC', 1), ('2024-01-01', 'skip', 2), ('2024-01-02', 'abc', 3)
  RETURNING *;
COPY f FROM stdin;
2024-01-03	XYZ	4
2024-01-03	skip	5
\.
SELECT * FROM f ORDER BY ts, host;
SET client_min_messages = warning;
DROP TRIGGER a ON f;
DROP TRIGGER b ON f;
DROP TRIGGER s1 ON f;
DROP TRIGGER s2 ON f;

-- a trigger that writes to the table it is on, with a subtransaction of its own
CREATE FUNCTION copy_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.host LIKE 'copy of %' THEN RETURN NEW; END IF;
  BEGIN
    INSERT INTO f VALUES (NEW.ts, 'copy of ' || NEW.host, NEW.v);
    IF NEW.v < 0 THEN RAISE EXCEPTION 'negative'; END IF;
  EXCEPTION WHEN raise_exception THEN NULL;
  END;
  RETURN NEW;
END $$;
CREATE TRIGGER c BEFORE INSERT ON f FOR EACH ROW EXECUTE FUNCTION copy_row();
INSERT INTO f VALUES ('2024-02-01', 'x', 1), ('2024-02-01', 'y', -1), ('2024-02-01', 'z', 2);
SELECT host, v FROM f WHERE ts = '2024-02-01' ORDER BY host;

-- a stored generated column is stored: here a tag and a value
CREATE FOREIGN TABLE g (
  ts timestamptz, host text, site text GENERATED ALWAYS AS (split_part(host, '-', 1)) STORED,
  celsius float8, fahrenheit float8 GENERATED ALWAYS AS (celsius * 9 / 5 + 32) STORED) SERVER g1;
INSERT INTO g (ts, host, celsius) VALUES ('2024-01-01', 'ber-1', 20) RETURNING *;
COPY g FROM stdin;
2024-01-02	muc-1	100
\.
SELECT * FROM g ORDER BY ts;
SELECT fahrenheit FROM g WHERE site = 'ber';
INSERT INTO g VALUES ('2024-01-01', 'ber-1', 'x', 20, 68);

-- defaults and identity
CREATE FOREIGN TABLE d (
  ts timestamptz DEFAULT '2024-01-01', n int GENERATED ALWAYS AS IDENTITY, v float8 DEFAULT 42) SERVER g1;
INSERT INTO d DEFAULT VALUES;
INSERT INTO d (v) VALUES (1);
SELECT * FROM d ORDER BY n;

INSERT INTO d (n, v) OVERRIDING SYSTEM VALUE VALUES (9, 7);
SELECT * FROM d ORDER BY n;

DROP SCHEMA t_triggers CASCADE;
DROP SERVER g1;
