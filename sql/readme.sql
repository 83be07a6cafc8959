-- The examples of README.md, letter for letter (scripts/lint.sh compares them), in a database of
-- their own.
\set home :DBNAME
CREATE DATABASE readme;
\c readme
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';

CREATE EXTENSION m3db_fdw;
CREATE SERVER tsdb FOREIGN DATA WRAPPER m3db_fdw;
CREATE FOREIGN TABLE cpu (
    ts     timestamptz NOT NULL,
    host   text,
    region text,
    usage  float8
) SERVER tsdb;
INSERT INTO cpu VALUES (now(), 'web-1', 'eu', 0.73), (now(), 'web-2', 'eu', 0.25);
SELECT host, avg(usage) FROM cpu WHERE ts >= now() - interval '1 hour' GROUP BY host ORDER BY host;

CREATE FOREIGN TABLE disk (
    ts     timestamptz NOT NULL,
    host   text,
    device text,
    reads  float8,
    writes float8,
    busy   float8 OPTIONS (metric 'busy_percent')
) SERVER tsdb OPTIONS (namespace 'disk_io', block_size '12 hours');

CREATE FOREIGN TABLE ticks (
    t      bigint OPTIONS (role 'time_ns'),
    symbol text OPTIONS (tag 'ticker'),
    price  float8
) SERVER tsdb OPTIONS (block_size '2 hours');

INSERT INTO disk VALUES ('2026-01-01 00:00:00+00', 'web-1', 'sda', 12, 40, 3.5);
INSERT INTO disk (ts, host, device, busy)
SELECT timestamptz '2026-01-01 00:00+00' + i * interval '10 seconds', 'web-1', 'sdb', i % 100
  FROM generate_series(1, 1000) i;
INSERT INTO ticks VALUES (1767225600000000001, 'ACME', 17.25);

BEGIN;
CREATE TABLE deployments (at timestamptz, host text);
INSERT INTO deployments VALUES ('2026-01-01 00:05+00', 'web-1');
INSERT INTO disk (ts, host, device, reads) VALUES ('2026-01-01 00:05+00', 'web-1', 'sda', 99);
SAVEPOINT before_mistake;
INSERT INTO disk (ts, host, device, reads) VALUES ('2026-01-01 00:05+00', 'web-1', 'sda', -1);
ROLLBACK TO before_mistake;
COMMIT;

SET m3db.commitlog_strategy = behind;
INSERT INTO ticks VALUES (1767225600000000002, 'ACME', 17.5);
RESET m3db.commitlog_strategy;

CREATE TABLE hosts (host text PRIMARY KEY, rack text);
INSERT INTO hosts VALUES ('web-1', 'r1'), ('web-2', 'r2');

SELECT h.rack, d.device, max(d.busy)
  FROM disk d JOIN hosts h USING (host)
 WHERE d.ts >= '2026-01-01' AND d.ts < '2026-01-02'
 GROUP BY 1, 2 ORDER BY 1, 2;

SELECT date_bin('1 hour', ts, 'epoch') AS hour, count(*), round(avg(busy)::numeric, 2) AS busy
  FROM disk WHERE device = 'sdb' GROUP BY 1 ORDER BY 1;

SELECT DISTINCT ON (device) device, ts, busy FROM disk
 WHERE host = 'web-1' ORDER BY device, ts DESC;

SELECT device, m3db.time_bucket('1 hour', ts) AS hour, m3db.last(busy, ts), count(*)
  FROM disk WHERE ts < '2026-01-01 02:00+00' AND busy IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2;

EXPLAIN (COSTS OFF)
SELECT ts, busy FROM disk
 WHERE host = 'web-1' AND ts >= '2026-01-01' AND ts < '2026-01-02' AND busy > 90;

SELECT name, series, points FROM m3db.namespaces ORDER BY name;
SELECT state FROM m3db.stat_bootstrap WHERE datname = current_database();

\c :home
DROP DATABASE readme;
