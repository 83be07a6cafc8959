#!/bin/bash
#
# Runs the tests, from static checks to crashes of a whole server, on Debian 12.
#
#   scripts/test.sh [--versions] [TIER ...]
#
# Tiers, in this order: lint unit address thread fuzz build regress isolation tap; with
# --versions also PostgreSQL 17 and 18 in chroots. Needs root or sudo, installs the packages
# it lacks, and installs the extension into PostgreSQL 15. Server tests run as user postgres on
# temporary instances of their own, from a copy of the tree. Logs are in build/logs.
# The last line counts the tests of all tiers; the exit status is 0 when none failed.

set -uo pipefail
. "$(dirname "$0")/common.sh"
become_root "$@"

pg_bin=/usr/lib/postgresql/15/bin
logs=$top/build/logs
fuzz_seconds=${M3DB_FUZZ_SECONDS:-8}
all_tiers=(lint unit address thread fuzz build regress isolation tap)

versions=
tiers=()
for arg in "$@"; do
	case " --versions ${all_tiers[*]} " in
		*" $arg "*) ;;
		*) die "usage: scripts/test.sh [--versions] [${all_tiers[*]}]" ;;
	esac
	if [ "$arg" = --versions ]; then versions=1; else tiers+=("$arg"); fi
done
if [ ${#tiers[@]} -eq 0 ]; then
	tiers=("${all_tiers[@]}")
fi
[ -z "$versions" ] || tiers+=(versions)

export LC_ALL=C.UTF-8
mkdir -p "$logs"
work=$(mktemp -d /tmp/m3db_test.XXXXXX)
small=$work/small
built=
total_passed=0
total_failed=0

cleanup()
{
	mountpoint -q "$small" && umount "$small"
	if [ "$total_failed" -eq 0 ] || [ ! -d "$work/tree" ]; then
		rm -rf "$work"
	else
		say "the tree the server tests ran in is kept: $work"
	fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# Counts by what the runners print: TAP (prove -v, lint, pg_regress since 16), pg_regress of
# 14 and 15, one line per unit test and fuzzer. A skipped test counts as neither.
count()
{
	awk '
		/^(not )?ok / && /# (SKIP|skip)/ { next }
		/^ok / || /^(test| ) .* \.\.\. ok / || /^fuzz_[a-z0-9_]+: passed/ { passed++ }
		/^not ok / || /^(test| ) .* \.\.\. FAILED/ || /^FAILED fuzz_/ { failed++ }
		/^test_[a-z0-9_]+: / { clean = 0 }
		/[0-9]+ checks passed, 0 failed$/ { passed++; clean = 1 }
		# all checks passed, but it exited badly all the same
		/^FAILED test_/ { failed++; passed -= clean; clean = 0 }
		END { print passed + 0, failed + 0 }' "$1"
}

# tier NAME COMMAND...: runs it, one line of progress, the log's tail when something failed.
tier()
{
	local name=$1 log=$logs/$1.log started=$SECONDS status=0 passed failed
	shift
	printf '%-10s ' "$name"
	"$@" >"$log" 2>&1 </dev/null || status=$?
	read -r passed failed < <(count "$log")
	# a tier that ends badly without naming a test, or that runs nothing, has failed itself
	if [ "$failed" -eq 0 ] && { [ $status -ne 0 ] || [ "$passed" -eq 0 ]; } &&
		! { [ $status -eq 0 ] && grep -q '^SKIPPED' "$log"; }; then
		failed=1
	fi
	total_passed=$((total_passed + passed))
	total_failed=$((total_failed + failed))
	printf '%5d passed, %d failed  (%d s)\n' "$passed" "$failed" $((SECONDS - started))
	grep -hE '^SKIPPED|# (SKIP|skip) ' "$log" | sort -u | head -n 20 | sed 's/^/    /'
	if [ "$failed" -gt 0 ]; then
		grep -nE '^not ok|^ *not ok|FAILED|error:|checks? failed' "$log" | head -n 20 | sed 's/^/    /'
		say "    --- the end of $log"
		tail -n 40 "$log" | sed 's/^/    /'
	fi
	return "$failed"
}

run_lint() { "$top/scripts/lint.sh" --self-test && "$top/scripts/lint.sh"; }

run_unit() { make -C "$top/test" -j2 "$@" all && make -C "$top/test" "$@" unit; }

# Only what starts threads: ThreadSanitizer has nothing to say about the others.
run_thread()
{
	local sources
	sources=$(grep -lE 'pthread_create|thrd_create' "$top"/test/unit/test_*.c "$top"/test/support/*.c |
		grep /unit/ | tr '\n' ' ')
	run_unit SAN=thread UNIT_SRC="$sources"
}

run_fuzz()
{
	make -C "$top/test" -j2 fuzzers && make -C "$top/test" FUZZ_SECONDS="$fuzz_seconds" fuzz
}

run_build()
{
	copy_tree "$work/tree" && chown -R postgres "$work" && chmod 755 "$work" || return
	cd "$work/tree" || return
	as_postgres make -j2 PG_CONFIG=$pg_bin/pg_config COPT=-Werror || return
	echo "ok - builds without a warning"
	as_postgres make -s -C test tools || return
	make install PG_CONFIG=$pg_bin/pg_config || return
	echo "ok - installs"
	{ "$top/scripts/lint.sh" "$work/tree" || true; } | grep symbols
}

# A file system that fills up quickly, for the tests of a full disk.
mount_small()
{
	mkdir -p "$small"
	mount -t tmpfs -o size=96m,mode=0700,uid="$(id -u postgres)" tmpfs "$small" 2>/dev/null ||
		rmdir "$small"
	[ ! -d "$small" ] || export M3DB_SMALL_DIRECTORY=$small
}

run_server()
{
	[ -n "$built" ] || { echo "there is no build to test"; return 1; }
	cd "$work/tree" || return
	PATH=$pg_bin:$PATH timeout 1200 runuser -u postgres -- \
		make -k installcheck PG_CONFIG=$pg_bin/pg_config PROVE_FLAGS=-v "$@"
}

if ! "$top/scripts/install-deps.sh" ${versions:+--versions} >"$logs/install-deps.log" 2>&1; then
	tail -n 20 "$logs/install-deps.log"
	say "0 passed, 1 failed"
	exit 1
fi

for name in "${tiers[@]}"; do
	case $name in
		lint) tier lint run_lint ;;
		unit) tier unit run_unit ;;
		address) tier address run_unit SAN=address,undefined ;;
		thread) tier thread run_thread ;;
		fuzz) tier fuzz run_fuzz ;;
		build) ;&
		regress | isolation | tap)
			# a chosen server tier needs the build all the same
			[ -n "$built" ] || { tier build run_build && built=1; }
			case $name in
				regress) tier regress run_server ISOLATION= TAP_TESTS= ;;
				isolation) tier isolation run_server REGRESS= TAP_TESTS= ;;
				tap) mount_small; tier tap run_server REGRESS= ISOLATION= ;;
			esac ;;
		versions)
			for version in 17 18; do
				tier "version-$version" "$top/scripts/test-versions.sh" --verbose "$version"
			done ;;
	esac
done

trap - EXIT
cleanup
say "$total_passed passed, $total_failed failed"
[ "$total_failed" -eq 0 ]
