-- A cursor sees what was there when it was opened.
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE SERVER cursor_snapshot FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE cs (ts timestamptz NOT NULL, host text, value float8)
	SERVER cursor_snapshot OPTIONS (namespace 'cursor_snapshot');
INSERT INTO cs SELECT timestamptz '2024-01-01' + m * interval '1 min', 'a', m FROM generate_series(1, 5) m;

BEGIN;
DECLARE untouched CURSOR FOR SELECT ts, host, value FROM cs ORDER BY host, ts;
DECLARE started NO SCROLL CURSOR FOR SELECT ts, host, value FROM cs;
FETCH 2 FROM started;
INSERT INTO cs VALUES ('2024-01-01 00:03', 'a', 333), ('2024-01-01 00:10', 'a', 10), ('2024-01-01', 'b', 1);
FETCH ALL FROM started;
FETCH ALL FROM untouched;
DECLARE later CURSOR FOR SELECT ts, host, value FROM cs ORDER BY host, ts;
FETCH ALL FROM later;
SAVEPOINT s;
INSERT INTO cs VALUES ('2024-01-01', 'c', 1);
DECLARE inner_cursor CURSOR FOR SELECT count(*) FROM cs;
ROLLBACK TO s;
FETCH ALL FROM inner_cursor;
ROLLBACK;

BEGIN;
SAVEPOINT s;
INSERT INTO cs VALUES ('2024-01-01', 'c', 1);
ROLLBACK TO s;
SELECT count(*) FROM cs;
ROLLBACK;

-- own points stay what they were while more are written and taken back
SET work_mem = '64kB';
BEGIN;
INSERT INTO cs SELECT timestamptz '2024-01-03' + m * interval '1 s', 'o' || m % 3, m FROM generate_series(1, 9000) m;
DECLARE own NO SCROLL CURSOR FOR SELECT * FROM cs WHERE host LIKE 'o%';
MOVE 10 FROM own;
SAVEPOINT s;
INSERT INTO cs SELECT timestamptz '2024-01-03' + m * interval '1 s', 'o' || m % 3, -m FROM generate_series(1, 30000) m;
DO $$
DECLARE
	c refcursor := 'own';
	r record;
	total float8 := 0;
	points int := 0;
BEGIN
	LOOP
		FETCH c INTO r;
		EXIT WHEN NOT FOUND OR points = 4000;
		points := points + 1;
		total := total + r.value;
	END LOOP;
	RAISE NOTICE '% points, sum %, last %', points, total, r.value;
END $$;
ROLLBACK TO s;
INSERT INTO cs SELECT timestamptz '2024-01-03' + m * interval '1 s', 'p' || m % 3, -m FROM generate_series(1, 30000) m;
DO $$
DECLARE
	c refcursor := 'own';
	r record;
	total float8 := 0;
	points int := 0;
BEGIN
	LOOP
		FETCH c INTO r;
		EXIT WHEN NOT FOUND;
		points := points + 1;
		total := total + r.value;
	END LOOP;
	RAISE NOTICE '% points, sum %', points, total;
END $$;
SELECT count(*), sum(value) FROM cs WHERE host LIKE 'o%';
ROLLBACK;
RESET work_mem;

-- scroll and hold
BEGIN;
DECLARE scrolling SCROLL CURSOR FOR SELECT value FROM cs;
FETCH LAST FROM scrolling;
FETCH FIRST FROM scrolling;
FETCH PRIOR FROM scrolling;
FETCH ABSOLUTE 3 FROM scrolling;
DECLARE held CURSOR WITH HOLD FOR SELECT value FROM cs;
FETCH 1 FROM held;
COMMIT;
INSERT INTO cs VALUES ('2024-01-01 00:20', 'a', 20);
FETCH ALL FROM held;
CLOSE held;

-- rewinding
BEGIN;
DECLARE again SCROLL CURSOR FOR SELECT value FROM cs WHERE host = 'a';
FETCH 2 FROM again;
MOVE ABSOLUTE 0 FROM again;
FETCH ALL FROM again;
COMMIT;

-- a loop that commits
DO $$
DECLARE
	r record;
	n int := 0;
BEGIN
	FOR r IN SELECT * FROM cs LOOP
		INSERT INTO cs VALUES (r.ts + interval '1 day', r.host, r.value);
		COMMIT;
		n := n + 1;
	END LOOP;
	RAISE NOTICE '% rows', n;
END $$;
SELECT count(*) FROM cs;

-- an error with a scan open leaves nothing behind
BEGIN;
DECLARE dying CURSOR FOR SELECT 1 / (value - 2) FROM cs;
FETCH ALL FROM dying;
ROLLBACK;
SELECT count(*) FROM cs;

DROP FOREIGN TABLE cs;
DROP SERVER cursor_snapshot;
