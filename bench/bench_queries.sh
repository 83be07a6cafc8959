#!/bin/bash
#
# Reading, against a plain table with a btree on (series, time), narrow and wide, in one run on one
# throw-away cluster, everything in files and analyzed. With TimescaleDB installed on the server, its
# compressed tables take part.
#
#   bench/bench_queries.sh [points]      default 2000000; needs root or sudo
#
# 1000 series of a point every 10 s: 100 hosts with 10 metrics each, as narrow rows and as wide
# ones. Medians of five warm runs of one client; below a millisecond, averages of pgbench -M
# prepared, hosts at random. "off" is ours with every m3db.enable_* off but those for conditions, and
# "-" what takes longer than 10 s then. The
# budgets are those of the machine the design was measured on: read figures as ratios.

set -euo pipefail
. "$(dirname "$0")/../scripts/common.sh"
. "$(dirname "$0")/common.sh"
become_root "$@"

points=${1:-2000000}
peers=heap
[ ! -e "$($pg_bin/pg_config --sharedir)/extension/timescaledb.control" ] || peers='heap ts'
start_cluster <<CONF
$([ "$peers" = heap ] || echo "shared_preload_libraries = 'timescaledb,m3db_fdw'")
m3db.buffer_size = '1GB'
m3db.commitlog_max_size = '1GB'
shared_buffers = '$((points / 4000 + 512))MB'
work_mem = '64MB'
max_wal_size = '16GB'
checkpoint_timeout = '1h'
autovacuum = off
jit = off
max_parallel_workers_per_gather = 0
CONF

switches_off=$(sql -c "SELECT string_agg(format('-c %s=off', name), ' ') FROM pg_settings
	WHERE name LIKE 'm3db.enable\_%' AND name !~ 'filter|index' AND vartype = 'bool'")
switches_off+=' -c statement_timeout=10s'
columns=$(printf 'v%s float8, ' 0 1 2 3 4 5 6 7 8)'v9 float8'
values=$(printf 'round((50 + 40 * sin(i / 1e3 + h) + 5 * random())::numeric, 2)::float8 AS v%s, ' 0 1 2 3 4 5 6 7 8 9)
options="OPTIONS (block_size '12 hours')"

sql <<SQL >/dev/null
SET client_min_messages = error;
CREATE FOREIGN TABLE m3 (ts timestamptz NOT NULL, host text, metric text, value float8) SERVER tsdb $options;
CREATE FOREIGN TABLE m3_wide (ts timestamptz NOT NULL, host text, $columns) SERVER tsdb $options;
CREATE TABLE heap (ts timestamptz NOT NULL, host text, metric text, value float8);
CREATE TABLE heap_wide (ts timestamptz NOT NULL, host text, $columns);
INSERT INTO heap_wide
  SELECT timestamptz '2026-01-01 00:00+00' + i * interval '10 s', 'host_' || h, ${values%, }
    FROM generate_series(0, $points / 1000 - 1) i, generate_series(0, 99) h ORDER BY i, h;
INSERT INTO heap
  SELECT ts, host, 'metric_' || m, v FROM heap_wide, unnest(ARRAY[v0, v1, v2, v3, v4, v5, v6, v7, v8, v9])
    WITH ORDINALITY u (v, m);
CREATE INDEX ON heap (host, metric, ts);
CREATE INDEX ON heap_wide (host, ts);
INSERT INTO m3 TABLE heap;
INSERT INTO m3_wide TABLE heap_wide;
SELECT m3db.flush();
SELECT m3db.cleanup();
CREATE TABLE series AS SELECT host, metric FROM heap GROUP BY 1, 2;
CREATE TABLE hosts AS SELECT host, substr(host, 6)::int % 10 AS rack FROM heap_wide GROUP BY 1;
VACUUM ANALYZE;
ANALYZE m3;
ANALYZE m3_wide;
SQL

if [ "$peers" = heap ]; then
	say "TimescaleDB is not installed on this server: no columns of it"
else
	sql <<-SQL >/dev/null
	CREATE EXTENSION timescaledb;
	CREATE TABLE ts (LIKE heap);
	CREATE TABLE ts_wide (LIKE heap_wide);
	SELECT create_hypertable('ts', 'ts', chunk_time_interval => interval '12 hours'),
	       create_hypertable('ts_wide', 'ts', chunk_time_interval => interval '12 hours');
	ALTER TABLE ts SET (timescaledb.compress, timescaledb.compress_segmentby = 'host, metric');
	ALTER TABLE ts_wide SET (timescaledb.compress, timescaledb.compress_segmentby = 'host');
	INSERT INTO ts TABLE heap;
	INSERT INTO ts_wide TABLE heap_wide;
	SELECT compress_chunk(c) FROM (SELECT show_chunks('ts') UNION ALL SELECT show_chunks('ts_wide')) x (c);
	VACUUM ANALYZE;
	SQL
fi

# Milliseconds of the statement $1 in a session with the options $2: the median of five after one.
median()
{
	{
		printf '\\timing on\n'
		printf '%s;\n' "$1" "$1" "$1" "$1" "$1" "$1"
	} | PGOPTIONS="$2 ${more_options:-}" sql | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | tail -n 5 | sort -g | sed -n 3p
}

# Milliseconds of the statement $1, prepared, with the options $2: the average of two seconds.
average()
{
	printf '\\set n random(0, 99)\n\\set m random(1, 10)\n%s;\n' "$1" >"$work/script.sql"
	PGOPTIONS="$2 ${more_options:-}" as_postgres $pg_bin/pgbench -n -h "$work" -M prepared -c 1 -T 2 -f "$work/script.sql" postgres 2>/dev/null |
		sed -n 's/^latency average = \([0-9.]*\) ms.*/\1/p'
}

# row HOW SHAPE UNIT FACTOR BUDGET WHAT STATEMENT: FACTOR makes UNIT of milliseconds; @ in the statement is
# the table, of SHAPE narrow or wide.
row()
{
	local how=$1 suffix='' unit=$3 factor=$4 budget=$5 what=$6 statement=$7 ours off peer
	[ "$2" = narrow ] || suffix=_wide
	ours=$($how "${statement//@/m3$suffix}" '')
	off=$($how "${statement//@/m3$suffix}" "$switches_off" 2>/dev/null) || off=
	printf '%-46s' "$what"
	awk -v f="$factor" -v m="$ours" -v o="$off" \
		'BEGIN { printf "%11.4g %11s", m * f, o == "" ? "-" : sprintf("%.4g", o * f) }'
	for peer in $peers; do
		awk -v f="$factor" -v m="$ours" -v p="$($how "${statement//@/$peer$suffix}" '')" \
			'BEGIN { printf "%11.4g %7.2f", p * f, p / m }'
	done
	printf '  %-9s%s\n' "$unit" "$budget"
}

measure()
{
	local shape=$1 n=$2 one=$3 value=$4 series=$5 tags=$6 metric=$9
	local start="timestamptz '2026-01-01 01:00+00'" a_point us=1000
	a_point=$(awk -v n="$n" 'BEGIN { print 1e6 / n }')
	local hour="ts >= $start AND ts < timestamptz '2026-01-01 02:00+00'"
	local half_day="ts >= timestamptz '2026-01-01 00:00+00' AND ts < timestamptz '2026-01-01 12:00+00'"
	local by_hour="m3db.time_bucket('1 hour', ts)"

	row average $shape us $us "$7" 'one series, 1 h, to the client' "SELECT ts, $value FROM @ WHERE $one AND $hour"
	row average $shape us $us "$8" 'one series, 12 h' "SELECT ts, $value FROM @ WHERE $one AND $half_day"
	row average $shape us $us 25 'last point of one series' "SELECT ts, $value FROM @ WHERE $one ORDER BY ts DESC LIMIT 1"
	row median $shape ms 1 2 'last of each series, DISTINCT ON' "SELECT DISTINCT ON ($tags) $tags, ts, $value FROM @ ORDER BY $tags, ts DESC"
	row median $shape ms 1 2 'last of each series, LATERAL' "SELECT s.*, l.* FROM $series s, LATERAL (SELECT ts, $value FROM @ q
		WHERE $(sed -E 's/(\w+),? ?/q.\1 = s.\1 AND /g; s/ AND $//' <<<"$tags") ORDER BY ts DESC LIMIT 1) l"
	row median $shape ms 1 2 'last of each series, m3db.last()' "SELECT $tags, max(ts), m3db.last($value, ts) FROM @ GROUP BY $tags"
	row median $shape ms 1 '' '8 hosts, 1 h, by minute: avg' "SELECT m3db.time_bucket('1 minute', ts), host, avg($value) FROM @
		WHERE host IN ('host_1', 'host_2', 'host_3', 'host_4', 'host_5', 'host_6', 'host_7', 'host_8') AND $metric AND $hour GROUP BY 1, 2"
	row median $shape ns/point $a_point 6.5 'all, by hour: avg max count' "SELECT $by_hour, avg($value), max($value), count($value) FROM @ GROUP BY 1"
	row median $shape ns/point $a_point 7 'by series and hour: avg' "SELECT $tags, $by_hour, avg($value) FROM @ GROUP BY $tags, $by_hour"
	row median $shape ms 1 '' 'hosts of a rack, by hour: avg' "SELECT $by_hour, avg($value) FROM @ q JOIN hosts h USING (host) WHERE h.rack = 3 GROUP BY 1"
	row median $shape ms 1 1 'count(*)' 'SELECT count(*) FROM @'
	row median $shape ns/point $a_point 5.5 'sum of everything' "SELECT sum($value) FROM @"
	more_options='-c max_parallel_workers_per_gather=2' \
		row median $shape ns/point $a_point '' 'the same, two parallel workers' "SELECT sum($value) FROM @"
	row median $shape ns/point $a_point 23 'every row, counted above the scan' "SELECT count($value) FROM (SELECT $value FROM @ OFFSET 0) s"
	row median $shape ms 1 1 'min(ts), max(ts)' 'SELECT min(ts), max(ts) FROM @'
	row median $shape ms 1 '' 'the last 10 rows of all' "SELECT * FROM @ ORDER BY ts DESC LIMIT 10"
}

heading()
{
	local peer
	printf '\n%-46s%11s %11s' "$1" m3 off
	for peer in $peers; do printf '%11s %7s' "$peer" ratio; done
	printf '  %-9s%s\n' unit budget
}

say "$points points of 1000 series; bytes a point: $(sql -c "SELECT format('m3 %s, m3_wide %s, heap %s, heap_wide %s', m.narrow, m.wide,
	round(pg_total_relation_size('heap') / $points.0, 1), round(pg_total_relation_size('heap_wide') / $points.0, 1))
	FROM (SELECT round(sum(file_bytes) FILTER (WHERE t.relid = 'm3'::regclass) / $points.0, 2) AS narrow,
	             round(sum(file_bytes) FILTER (WHERE t.relid = 'm3_wide'::regclass) / $points.0, 2) AS wide
	        FROM m3db.namespaces n JOIN m3db.tables t ON t.namespace = n.name) m")"
heading 'narrow'
measure narrow "$points" "host = 'host_' || :n AND metric = 'metric_' || :m" value series 'host, metric' 95 680 "metric = 'metric_3'"
heading 'wide, one value of ten'
measure wide "$((points / 10))" "host = 'host_' || :n" v3 hosts host '' '' true
heading 'wide, all ten values'
all_values=$(printf 'v%s, ' 0 1 2 3 4 5 6 7 8)v9
all_sums=$(printf 'sum(v%s), ' 0 1 2 3 4 5 6 7 8)'sum(v9)'
wide_point=$(awk -v n="$points" 'BEGIN { print 1e6 / n }')
row average wide us 1000 '' 'one host, 1 h' "SELECT ts, $all_values FROM @ WHERE host = 'host_' || :n
	AND ts >= timestamptz '2026-01-01 01:00+00' AND ts < timestamptz '2026-01-01 02:00+00'"
row median wide ms 1 2 'last row of each host, DISTINCT ON' 'SELECT DISTINCT ON (host) * FROM @ ORDER BY host, ts DESC'
row median wide ns/point "$wide_point" 5.5 'sums of everything' "SELECT $all_sums FROM @"
row median wide ns/point "$wide_point" 7 'by host and hour: averages' "SELECT host, m3db.time_bucket('1 hour', ts), ${all_sums//sum/avg} FROM @ GROUP BY 1, 2"
row median wide ns/point "$wide_point" 23 'every row, counted above the scan' "SELECT count(v0 + v9) FROM (SELECT $all_values FROM @ OFFSET 0) s"
