#!/bin/bash
#
# The extension against a plain table with a btree on (series, time), through SQL, in one run
# on one throw-away cluster: COPY, INSERT, one-row commits, size, scans, restart after a crash.
#
#   bench/bench_sql.sh [points]        default 2000000; needs root or sudo
#
# Figures are the best of three; read them as ratios, the machine decides the rest.

set -euo pipefail
. "$(dirname "$0")/../scripts/common.sh"
. "$(dirname "$0")/common.sh"
become_root "$@"

points=${1:-2000000}
series=1000

# A table of that kind on a namespace of its own: writing points again would measure merging.
fresh()
{
	spaces=$((spaces + 1))
	sql -c "DROP FOREIGN TABLE IF EXISTS $1" -c "CREATE FOREIGN TABLE $1 (ts timestamptz NOT NULL,
		host text, $2) SERVER tsdb OPTIONS (namespace '$1_$spaces', block_size '2 hours')"
}
spaces=0
fresh_narrow() { fresh m3 'value float8'; }
fresh_wide() { fresh m3_wide "$(printf 'v%s float8, ' 0 1 2 3 4 5 6 7 8) v9 float8"; }
empty_heap() { sql -c 'TRUNCATE heap, heap_wide'; }

# Best of three, in ns per unit of $1, of the SQL in $3, after the function $2 each time.
best()
{
	local units=$1 before=$2 statement=$3 lowest= ms
	for _ in 1 2 3; do
		[ -z "$before" ] || $before >/dev/null 2>&1
		ms=$(sql -c '\timing on' -c "$statement" | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | tail -1)
		lowest=$(awk -v a="$lowest" -v b="$ms" 'BEGIN { print (a == "" || b < a) ? b : a }')
	done
	awk -v ms="$lowest" -v n="$units" 'BEGIN { printf "%.1f", ms * 1e6 / n }'
}

row()
{
	awk -v what="$1" -v unit="$2" -v m3="$3" -v heap="$4" \
		'BEGIN { printf "%-44s %12s %12s %8.2f  %s\n", what, m3, heap, heap / m3, unit }'
}

# One-row transactions per second with $1 clients, script $2.
tps()
{
	as_postgres $pg_bin/pgbench -n -h "$work" -M prepared -c "$1" -j "$(($1 < 2 ? 1 : 2))" -T 4 \
		-f "$2" postgres 2>/dev/null | sed -n 's/^tps = \([0-9.]*\).*/\1/p'
}

start_cluster <<CONF
m3db.buffer_size = '1GB'
m3db.commitlog_max_size = '1GB'
shared_buffers = '1GB'
max_wal_size = '16GB'
checkpoint_timeout = '1h'
autovacuum = off
jit = off
max_parallel_workers_per_gather = 0
CONF

sql <<SQL
CREATE TABLE heap (ts timestamptz NOT NULL, host text, value float8);
CREATE INDEX ON heap (host, ts);
CREATE TABLE heap_wide (LIKE heap);
ALTER TABLE heap_wide DROP COLUMN value, ADD v0 float8, ADD v1 float8, ADD v2 float8,
  ADD v3 float8, ADD v4 float8, ADD v5 float8, ADD v6 float8, ADD v7 float8, ADD v8 float8,
  ADD v9 float8;
CREATE INDEX ON heap_wide (host, ts);
CREATE UNLOGGED TABLE source AS
  SELECT timestamptz '2026-01-01' + (i / $series) * interval '10 s' AS ts,
         'host_' || lpad((i % $series)::text, 4, '0') AS host,
         round((50 + 40 * sin(i / 1e5) + 5 * random())::numeric, 2)::float8 AS value
    FROM generate_series(0, $points - 1) i;
CREATE UNLOGGED TABLE source_wide AS
  SELECT ts, host, value v0, value + 1 v1, value + 2 v2, value + 3 v3, value + 4 v4,
         value + 5 v5, value + 6 v6, value + 7 v7, value + 8 v8, value + 9 v9
    FROM source WHERE host < 'host_0100';
COPY source TO '$work/narrow.txt';
COPY source TO '$work/narrow.bin' (FORMAT binary);
COPY source_wide TO '$work/wide.txt';
SQL
wide_points=$((points / 10 * 10))

printf '%s points, %s series\n%-44s %12s %12s %8s\n' "$points" "$series" '' m3db_fdw heap ratio
row 'COPY text, narrow' 'ns/row' \
	"$(best "$points" fresh_narrow "COPY m3 FROM '$work/narrow.txt'")" \
	"$(best "$points" empty_heap "COPY heap FROM '$work/narrow.txt'")"
row 'COPY binary, narrow' 'ns/row' \
	"$(best "$points" fresh_narrow "COPY m3 FROM '$work/narrow.bin' (FORMAT binary)")" \
	"$(best "$points" empty_heap "COPY heap FROM '$work/narrow.bin' (FORMAT binary)")"
row 'COPY text, wide (10 values)' 'ns/point' \
	"$(best "$wide_points" fresh_wide "COPY m3_wide FROM '$work/wide.txt'")" \
	"$(best "$wide_points" empty_heap "COPY heap_wide FROM '$work/wide.txt'")"
row 'INSERT ... SELECT' 'ns/row' \
	"$(best "$points" fresh_narrow 'INSERT INTO m3 SELECT * FROM source')" \
	"$(best "$points" empty_heap 'INSERT INTO heap SELECT * FROM source')"

values=$(sql -c "SELECT string_agg(format('(%L,%L,%s)', ts, host, value), ',') FROM
	(SELECT * FROM source LIMIT 1000) s")
row 'INSERT of 1000 rows of VALUES' 'ns/row' \
	"$(best 1000 '' "INSERT INTO m3 VALUES $values")" \
	"$(best 1000 '' "INSERT INTO heap VALUES $values")"

for table in m3 heap; do
	cat >"$work/$table.sql" <<SQL
\set n random(0, 999)
INSERT INTO $table VALUES (clock_timestamp(), 'host_' || :n, :n);
SQL
done
for clients in 1 8; do
	m3_tps=$(tps $clients "$work/m3.sql")
	heap_tps=$(tps $clients "$work/heap.sql")
	awk -v c=$clients -v m="$m3_tps" -v h="$heap_tps" 'BEGIN {
		printf "%-44s %12.0f %12.0f %8.2f  %s\n", "durable one-row commits, " c " clients",
			m, h, m / h, "per second" }'
done

row 'count(*)' 'ns/row' "$(best "$points" '' 'SELECT count(*) FROM m3')" \
	"$(best "$points" '' 'SELECT count(*) FROM heap')"
row 'sum(value)' 'ns/row' "$(best "$points" '' 'SELECT sum(value) FROM m3')" \
	"$(best "$points" '' 'SELECT sum(value) FROM heap')"
one="host = 'host_0042' AND ts >= '2026-01-01 01:00' AND ts < '2026-01-01 02:00'"
row 'one series, one hour' 'ns/query' \
	"$(best 1 '' "SELECT ts, value FROM m3 WHERE $one")" \
	"$(best 1 '' "SELECT ts, value FROM heap WHERE $one")"

# all of it in files, and what is not needed any more gone
sql -c 'SELECT m3db.flush()' -c 'SELECT m3db.cleanup()' >/dev/null
row 'the same, from files: count(*)' 'ns/row' "$(best "$points" '' 'SELECT count(*) FROM m3')" \
	"$(best "$points" '' 'SELECT count(*) FROM heap')"
row 'the same, from files: one series, one hour' 'ns/query' \
	"$(best 1 '' "SELECT ts, value FROM m3 WHERE $one")" \
	"$(best 1 '' "SELECT ts, value FROM heap WHERE $one")"
m3_size=$(sql -c "SELECT (SELECT sum(n.file_bytes) FROM m3db.namespaces n JOIN m3db.tables t ON t.namespace = n.name
	WHERE t.relid = 'm3'::regclass) / (SELECT count(*) FROM m3)::float8")
heap_size=$(sql -c "SELECT pg_total_relation_size('heap')::float8 / count(*) FROM heap")
row 'size (data and index files; heap with index)' 'B/point' "$m3_size" "$heap_size"

kill -9 "$(head -1 "$work/data/postmaster.pid")"
started=$(date +%s.%N)
# the old server's children hold its shared memory for a moment
for _ in $(seq 50); do
	start_server 2>/dev/null && break
	sleep 0.1
done
sql -c 'SELECT count(*) FROM m3 WHERE host = '"'host_0042'" >/dev/null
sql -c "SELECT format('crash to first answer: %s s, of it bootstrap %s s for %s points in the logs',
	round($(awk -v a="$started" -v b="$(date +%s.%N)" 'BEGIN { print b - a }')::numeric, 2),
	round(extract(epoch FROM finished - started)::numeric, 2), points) FROM m3db.stat_bootstrap"
