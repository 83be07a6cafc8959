#!/bin/bash
#
# Random SQL by sqlsmith against tables of ours: what crashes the server, and what fails with an
# error that nobody should ever see.
#
#   scripts/sqlsmith.sh [MINUTES]       default 10; needs root or sudo
#
# Works on a throw-away cluster and installs package sqlsmith. Fails when a process of the server
# died, and on internal errors (XX...) raised in our code, the planner or the executor; those that a
# function of PostgreSQL's raised, called with rubbish, are only listed. M3DB_SEED chooses another run.

set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$top/bench/common.sh"
become_root "$@"

minutes=${1:-10}
seed=${M3DB_SEED:-$(date +%s)}
command -v sqlsmith >/dev/null || { apt-get update -q && apt-get install -y -q sqlsmith; } >/dev/null

start_cluster <<'CONF'
m3db.buffer_size = '128MB'
restart_after_crash = on
log_error_verbosity = verbose
log_min_error_statement = error
autovacuum = off
jit = off
max_worker_processes = 24
max_parallel_workers = 16
CONF

sql <<'SQL'
CREATE FOREIGN TABLE narrow (ts timestamptz NOT NULL, host text, region text COLLATE "C", rack int, flag boolean,
  tags jsonb, value float8) SERVER tsdb OPTIONS (block_size '2 hours');
CREATE FOREIGN TABLE wide (ts timestamptz NOT NULL, host text, a float8, b float8, c float8)
  SERVER tsdb OPTIONS (block_size '2 hours');
CREATE FOREIGN TABLE exact (t bigint OPTIONS (role 'time_ns'), host text, value float8, annotation bytea)
  SERVER tsdb OPTIONS (block_size '2 hours');
CREATE TABLE parted (ts timestamptz NOT NULL, host text, value float8) PARTITION BY RANGE (ts);
CREATE FOREIGN TABLE parted_1 PARTITION OF parted FOR VALUES FROM (MINVALUE) TO ('2026-01-01 06:00+00') SERVER tsdb;
CREATE FOREIGN TABLE parted_2 PARTITION OF parted FOR VALUES FROM ('2026-01-01 06:00+00') TO ('2026-01-01 12:00+00')
  SERVER tsdb;
CREATE TABLE parted_3 PARTITION OF parted FOR VALUES FROM ('2026-01-01 12:00+00') TO (MAXVALUE);
CREATE TABLE hosts (host text PRIMARY KEY, rack int, since timestamptz);
INSERT INTO hosts SELECT 'h' || i, i % 3, timestamptz '2026-01-01' + i * interval '1 hour' FROM generate_series(0, 9) i;
INSERT INTO narrow
  SELECT timestamptz '2026-01-01 00:00+00' + i * interval '5 min', nullif('h' || s % 8, 'h7'), nullif('r' || s % 3, 'r2'),
         nullif(s % 5, 4), nullif(s % 3, 2) = 1, CASE WHEN s % 2 = 0 THEN '{"dc": "x"}'::jsonb END, sin(i + s)
    FROM generate_series(0, 15) s, generate_series(0, 143) i;
INSERT INTO wide
  SELECT ts, host, value, nullif(rack, 2), CASE WHEN flag THEN value END FROM narrow WHERE value IS NOT NULL;
INSERT INTO exact SELECT extract(epoch FROM ts) * 1000000000 + 1, host, value FROM narrow;
INSERT INTO parted SELECT ts, host, value FROM narrow;
SELECT m3db.flush();
INSERT INTO narrow SELECT ts, host, region, rack, flag, tags, value + 1 FROM narrow WHERE ts > '2026-01-01 08:00+00';
INSERT INTO wide SELECT ts + interval '1 s', host, a, b, c FROM wide WHERE a > 0.5;
ANALYZE;
CREATE VIEW hourly AS
  SELECT m3db.time_bucket('1 hour', ts) AS hour, host, count(*) AS n, sum(value) AS total, avg(value) AS mean, min(value) AS least,
         max(value) AS most, stddev(value) AS deviation, m3db.first(value, ts) AS first, m3db.last(value, ts) AS last
    FROM narrow GROUP BY 1, 2;
CREATE VIEW lately AS SELECT DISTINCT ON (host) * FROM wide ORDER BY host, ts DESC;
CREATE VIEW latest AS SELECT h.since, l.* FROM hosts h,
  LATERAL (SELECT * FROM narrow q WHERE q.host = h.host ORDER BY ts DESC LIMIT 1) l;
CREATE VIEW by_day AS SELECT date_trunc('day', ts) AS day, max(a), min(b), sum(c), count(*) FROM wide GROUP BY 1;
CREATE VIEW first_ten AS SELECT * FROM narrow ORDER BY ts, host LIMIT 10;
CREATE ROLE smith LOGIN;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO smith;
GRANT INSERT ON narrow, wide, exact, parted TO smith;
ALTER ROLE smith SET statement_timeout = '3s';
SQL

# sqlsmith does not know these types and would fail most of the time; functions of internal it leaves alone
sql <<'SQL'
SET allow_system_table_mods = on;
UPDATE pg_proc SET prorettype = 'internal'::regtype
 WHERE proargtypes::oid[] && ARRAY['anyrange', 'anymultirange', 'anyenum', 'anycompatiblerange', 'anycompatiblemultirange']::regtype[]::oid[];
DELETE FROM pg_operator
 WHERE oprcode IN (SELECT oid FROM pg_proc WHERE prorettype = 'internal'::regtype) OR oprleft = 'cstring'::regtype;
SQL

# What the role's next session is told: our switches as the round has it, and parallel plans in two of three.
settings_of()
{
	local round=$1 bit=0 name
	sql -c 'ALTER ROLE smith RESET ALL' -c "ALTER ROLE smith SET statement_timeout = '3s'"
	for name in $(sql -c "SELECT name FROM pg_settings WHERE name LIKE 'm3db.enable\_%' AND vartype = 'bool' ORDER BY 1"); do
		# everything is on in half of the rounds
		[ $((round % 2)) -eq 0 ] || [ $(((round / 2 >> bit) % 2)) -eq 0 ] || sql -c "ALTER ROLE smith SET $name = off"
		bit=$((bit + 1))
	done
	[ $((round % 3)) -eq 0 ] || for name in parallel_setup_cost parallel_tuple_cost min_parallel_table_scan_size; do
		sql -c "ALTER ROLE smith SET $name = 0"
	done
	[ $((round % 3)) -ne 2 ] || sql -c 'ALTER ROLE smith SET force_parallel_mode = on'
	[ $((round % 4)) -ne 3 ] || sql -c 'ALTER ROLE smith SET enable_hashagg = off' -c 'ALTER ROLE smith SET enable_sort = off'
}

say "seed $seed"
ends=$((SECONDS + minutes * 60))
round=0
while [ $SECONDS -lt $ends ]; do
	settings_of $round || sleep 1
	as_postgres timeout --foreground "$((ends - SECONDS < 60 ? ends - SECONDS + 1 : 60))" \
		sqlsmith --exclude-catalog --verbose --seed=$((seed + round)) \
		--target="host=$work dbname=postgres user=smith" >/dev/null 2>>"$work/sqlsmith.log" || true
	round=$((round + 1))
done

say "$round rounds; by sqlsmith's count:"
grep -aE '^(queries|error rate)' "$work/sqlsmith.log" | tail -n 2 || true
cp "$work/log" /tmp/m3db_sqlsmith.log
say "the server's log: /tmp/m3db_sqlsmith.log"
failed=0
! grep -aE -A 3 'PANIC|TRAP|terminated by signal' "$work/log" || failed=1

# each kind of internal error with the source it was raised in
internal=$(awk '/ERROR:  XX/ { line = $0; next } /LOCATION:/ && line != "" { print line " " $0; line = "" }' "$work/log" |
	sed -E 's/^.*ERROR:  (XX.*) [-0-9]+ .*LOCATION:  (.*)/\1 (\2)/; s/[0-9]+/N/g' | sort | uniq -c | sort -rn)
[ -z "$internal" ] || printf 'internal errors:\n%s\n' "$internal"
ours=$(cd "$work/tree" && find . -name '*.c' -printf '%f|')
ours+='(plan|path|create|set|init|exec|node|cost|equiv|join|rel|sub|prep|all|analyzejoins|clauses|copy|out|read|explain)[a-zA-Z_]*\.c'
# aggregates' functions called as if they were others say what PostgreSQL's own say
! grep -v "non-aggregate context" <<<"$internal" | grep -qE ", ($ours):N\)" || failed=1
exit $failed
