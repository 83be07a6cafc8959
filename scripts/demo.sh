#!/bin/bash
#
# Shows the extension at its main job on real input, on Debian 12: builds it, starts a
# throw-away PostgreSQL 15, samples this machine's metrics into foreign tables beside a day of
# generated history, asks a few questions, kills the server, and asks again.
#
#   scripts/demo.sh [--seconds N] [--stop]
#
# Needs root or sudo; installs the packages it lacks and nothing else into the system. The
# cluster is left running, and the last lines say how to connect to it and how to stop it; with
# --stop it is stopped and removed.

set -euo pipefail
. "$(dirname "$0")/common.sh"
become_root "$@"

seconds=20
stop=
while [ $# -gt 0 ]; do
	case $1 in
		--seconds) seconds=$2; shift ;;
		--stop) stop=1 ;;
		*) die "usage: scripts/demo.sh [--seconds N] [--stop]" ;;
	esac
	shift
done

pg_bin=/usr/lib/postgresql/15/bin
export LC_ALL=C.UTF-8 PGTZ=UTC
step=0
say_step() { step=$((step + 1)); printf '\n\033[1m%d. %s\033[0m\n' "$step" "$*"; }

# --- build and start -----------------------------------------------------------------------

say_step "Packages, build"
"$top/scripts/install-deps.sh" --demo
work=$(mktemp -d /tmp/m3db_demo.XXXXXX)
log=$work/log
host=$(hostname)

# What the demo started, it ends when it fails.
finished=
trap '[ -n "$finished" ] || { stop_server immediate || true; say "FAILED; see $work" >&2; }' EXIT
trap 'exit 130' INT TERM

stop_server()
{
	[ -e "$work/data/postmaster.pid" ] || return 0
	as_postgres $pg_bin/pg_ctl -D "$work/data" -m "$1" -w stop >>"$log" 2>&1
}

start_server()
{
	as_postgres $pg_bin/pg_ctl -D "$work/data" -l "$work/server.log" -w start >>"$log" 2>&1 ||
		{ tail -n 20 "$work/server.log"; exit 1; }
}

sql() { as_postgres $pg_bin/psql -X -q -v ON_ERROR_STOP=1 -h "$work" -d postgres "$@"; }

copy_tree "$work/tree"
chown -R postgres "$work"
chmod 755 "$work"
started=$SECONDS
as_postgres make -C "$work/tree" -j"$(nproc)" -s with_llvm=no PG_CONFIG=$pg_bin/pg_config
as_postgres make -C "$work/tree" -s install with_llvm=no PG_CONFIG=$pg_bin/pg_config \
	DESTDIR="$work/install"
say "built in $((SECONDS - started)) s"

say_step "A throw-away cluster in $work"
as_postgres $pg_bin/initdb -D "$work/data" -A trust -U postgres >/dev/null
as_postgres tee -a "$work/data/postgresql.conf" >/dev/null <<CONF
extension_destdir = '$work/install'
dynamic_library_path = '$work/install$($pg_bin/pg_config --pkglibdir):\$libdir'
shared_preload_libraries = 'm3db_fdw'
m3db.buffer_size = '128MB'
listen_addresses = ''
unix_socket_directories = '$work'
CONF
start_server
sql <<'SQL'
CREATE EXTENSION m3db_fdw;
CREATE SERVER tsdb FOREIGN DATA WRAPPER m3db_fdw;

-- narrow: one value a row, all else are tags
CREATE FOREIGN TABLE load (ts timestamptz NOT NULL, host text, term text, value float8)
  SERVER tsdb;
CREATE FOREIGN TABLE memory (ts timestamptz NOT NULL, host text, metric text, value float8)
  SERVER tsdb;

-- wide: several values that share their tags
CREATE FOREIGN TABLE cpu (ts timestamptz NOT NULL, host text, cpu int,
    usr float8, sys float8, idle float8, iowait float8, irq float8, steal float8)
  SERVER tsdb;
CREATE FOREIGN TABLE disk (ts timestamptz NOT NULL, host text, device text,
    reads float8, read_kb float8, writes float8, written_kb float8, busy float8)
  SERVER tsdb;

-- plain PostgreSQL
CREATE TABLE devices (device text PRIMARY KEY, size_gb numeric, rotational boolean);
SQL
awk '$4 + $8 > 0 { print $3 }' /proc/diskstats | while read -r device; do
	size='\N' rotational='\N'
	if [ -r "/sys/class/block/$device/size" ]; then
		size=$(awk '{ printf "%.1f", $1 * 512 / 1e9 }' "/sys/class/block/$device/size")
	fi
	if [ -r "/sys/class/block/$device/queue/rotational" ]; then
		rotational=$(awk '{ print $1 ? "t" : "f" }' "/sys/class/block/$device/queue/rotational")
	fi
	printf '%s\t%s\t%s\n' "$device" "$size" "$rotational"
done | sql -c 'COPY devices FROM STDIN'

# --- write ---------------------------------------------------------------------------------

say_step "A day of history, generated: INSERT ... SELECT"
sql <<'SQL'
\set QUIET off
\timing on
INSERT INTO load
SELECT ts, 'web-' || h, '1m',
       round((2 + 1.5 * sin((extract(epoch FROM ts) - 28800) * 2 * pi() / 86400) + random() / 2)::numeric, 2)
  FROM generate_series(1, 4) h,
       generate_series(now() - interval '1 day', now(), interval '10 seconds') ts;
INSERT INTO cpu
SELECT ts, 'web-' || h, c, round(usr::numeric, 1), round((usr / 4)::numeric, 1),
       round((100 - 1.25 * usr)::numeric, 1), 0, 0, 0
  FROM generate_series(1, 4) h, generate_series(0, 1) c,
       generate_series(now() - interval '1 day', now(), interval '30 seconds') ts,
       LATERAL (SELECT 30 + 20 * sin(extract(epoch FROM ts) * 2 * pi() / 86400) + 5 * random()) u(usr);
SQL

# Counters of the kernel, one line each: kind, name, figures.
counters()
{
	awk '/^cpu[0-9]/ { print "cpu", substr($1, 4), $2 + $3, $4, $5, $6, $7 + $8, $9 }' /proc/stat
	awk '$4 + $8 > 0 { print "disk", $3, $4, $6 / 2, $8, $10 / 2, $13 }' /proc/diskstats
}

# One second's sample as SQL, one transaction: rates from two readings of the counters, the rest
# as it is. COPY for the wide tables, INSERT for the narrow ones.
sample_sql()
{
	local before=$1 after=$2 now
	now=$(date -u '+%Y-%m-%d %H:%M:%S.%6N+00')
	echo "BEGIN;"
	echo "COPY cpu FROM STDIN;"
	awk -v now="$now" -v host="$host" -v OFS='\t' '
		$1 != "cpu" { next }
		NR == FNR { for (i = 3; i <= 8; i++) old[$2, i] = $i; next }
		{
			total = 0
			for (i = 3; i <= 8; i++) total += d[i] = $i - old[$2, i]
			if (total <= 0) next
			line = now OFS host OFS $2
			for (i = 3; i <= 8; i++) line = line OFS sprintf("%.1f", 100 * d[i] / total)
			print line
		}' "$before" "$after"
	printf '%s\n' '\.' "COPY disk FROM STDIN;"
	awk -v now="$now" -v host="$host" -v OFS='\t' '
		$1 != "disk" { next }
		NR == FNR { for (i = 3; i <= 7; i++) old[$2, i] = $i; next }
		($2, 3) in old {
			print now, host, $2, $3 - old[$2, 3], $4 - old[$2, 4], $5 - old[$2, 5],
				$6 - old[$2, 6], sprintf("%.1f", ($7 - old[$2, 7]) / 10)
		}' "$before" "$after"
	echo '\.'
	awk -v now="$now" -v host="$host" -v q="'" '{
		printf "INSERT INTO load VALUES "
		split("1m 5m 15m", term, " ")
		for (i = 1; i <= 3; i++)
			printf "(%s, %s, %s, %s)%s\n", q now q, q host q, q term[i] q, $i, i < 3 ? "," : ";"
	}' /proc/loadavg
	awk -v now="$now" -v host="$host" -v q="'" '
		/^(MemTotal|MemFree|MemAvailable|Buffers|Cached|Dirty|Slab|SwapFree):/ {
			sub(":", "", $1)
			printf "INSERT INTO memory VALUES (%s, %s, %s, %.0f);\n", q now q, q host q, q $1 q, $2 * 1024
		}' /proc/meminfo
	echo "COMMIT;"
}

say_step "This machine's own metrics, once a second for $seconds s: COPY and INSERT"
counters >"$work/before"
for ((i = 1; i <= seconds; i++)); do
	sleep 1
	counters >"$work/after"
	sample_sql "$work/before" "$work/after" | sql
	mv "$work/after" "$work/before"
	printf '\r   sample %d of %d' "$i" "$seconds"
done
echo

# --- ask -----------------------------------------------------------------------------------

say_step "What it takes: bytes per point in memory, and on disk in the commit log"
sql -c "SELECT name, series, points, pg_size_pretty(bytes) AS memory,
               round(bytes_per_point::numeric, 2) AS bytes_per_point
          FROM m3db.namespaces ORDER BY points DESC"
du -sh "$work/data/m3db" | awk '{ print "   commit log on disk: " $1 }'

say_step "A range query: the last five seconds of this machine's processors"
sql -v host="$host" <<'SQL'
SELECT ts::time(0) AS time, cpu, usr, sys, idle, iowait FROM cpu
 WHERE host = :'host' AND ts >= (SELECT max(ts) FROM cpu WHERE host = :'host') - interval '5 seconds'
 ORDER BY ts, cpu LIMIT 12;
SQL

say_step "A join with a plain table: what each device did"
sql -v host="$host" <<'SQL'
SELECT d.device, v.size_gb, v.rotational, count(*) AS samples, sum(d.writes) AS writes,
       sum(d.written_kb) AS written_kb, max(d.busy) AS "busiest %"
  FROM disk d JOIN devices v USING (device)
 WHERE d.host = :'host' GROUP BY 1, 2, 3 ORDER BY d.device LIMIT 8;
SQL

say_step "An aggregate: load by hour over all web hosts"
sql <<'SQL'
SELECT to_char(hour, 'HH24:MI') AS hour, round(load::numeric, 2) AS load,
       repeat('█', round(load * 10)::int) AS " "
  FROM (SELECT date_trunc('hour', ts) AS hour, avg(value) AS load FROM load
         WHERE host LIKE 'web-%' GROUP BY 1) h
 ORDER BY h.hour;
SQL

# --- crash ---------------------------------------------------------------------------------

count_all()
{
	sql -At <<'SQL'
SELECT 'load', count(*), sum(value::numeric), max(ts) FROM load;
SELECT 'memory', count(*), sum(value::numeric), max(ts) FROM memory;
SELECT 'cpu', count(*), sum(usr::numeric), max(ts) FROM cpu;
SELECT 'disk', count(*), sum(writes::numeric), max(ts) FROM disk;
SQL
}

say_step "kill -9 of the server"
count_all >"$work/counts.before"
postmaster=$(head -n 1 "$work/data/postmaster.pid")
children=$(awk -v p="$postmaster" '$1 == "Pid:" { pid = $2 } $1 == "PPid:" && $2 == p { print pid }' \
	/proc/[0-9]*/status 2>/dev/null || true)
kill -9 "$postmaster"
for pid in $children; do
	for ((i = 0; i < 300; i++)); do
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
done
restarted=$(date +%s%N)
start_server
count_all >"$work/counts.after"
say "up again with all answers $((($(date +%s%N) - restarted) / 1000000)) ms after its start"
say "before:"
sed 's/^/   /' "$work/counts.before"
say "after:"
sed 's/^/   /' "$work/counts.after"
if ! cmp -s "$work/counts.before" "$work/counts.after"; then
	say "THE COUNTS DIFFER: data was lost"
	exit 1
fi
say "the same."

finished=1
if [ -n "$stop" ]; then
	stop_server fast
	rm -rf "$work"
	exit 0
fi
cat <<END

The cluster is running. Connect to it:

    sudo -u postgres psql -h $work postgres

Stop and remove it:

    sudo -u postgres $pg_bin/pg_ctl -D $work/data stop && sudo rm -r $work
END
