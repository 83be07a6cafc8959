#!/bin/bash
#
# Builds, installs and tests the extension on PostgreSQL 17 and 18, each in a chroot of the
# Debian suite that carries it.
#
#   scripts/test-versions.sh [--prepare | --verbose] [VERSION ...]
#
# The chroots stay under $M3DB_CHROOTS (default /var/cache/m3db_fdw) for the next run; --prepare
# only makes them. --verbose shows all output, which otherwise goes to build/logs. Each mount lives in a private mount namespace and goes with its process.
# Without a mirror a version is skipped, with a line that says so; M3DB_REQUIRE_VERSIONS=1
# makes that a failure.

set -euo pipefail
. "$(dirname "$0")/common.sh"
become_root "$@"

chroots=${M3DB_CHROOTS:-/var/cache/m3db_fdw}
logs=${M3DB_LOGS:-$top/build/logs}
prepare_only=
verbose=
versions=()
for arg in "$@"; do
	case $arg in
		--prepare) prepare_only=1 ;;
		--verbose) verbose=1 ;;
		[0-9]*) versions+=("$arg") ;;
		*) die "usage: scripts/test-versions.sh [--prepare | --verbose] [VERSION ...]" ;;
	esac
done
[ ${#versions[@]} -gt 0 ] || versions=(17 18)
mkdir -p "$chroots" "$logs"

suite_of()
{
	case $1 in
		15) echo bookworm ;;
		17) echo trixie ;;
		18) echo forky ;;
		*) die "no Debian suite known for PostgreSQL $1" ;;
	esac
}

mirror()
{
	local url
	url=$(apt-get indextargets --format '$(REPO_URI)' 'Codename: bookworm' | sort -u | head -n 1)
	echo "${url:-http://deb.debian.org/debian/}"
}

# debootstrap, then what must be in place before the first package's maintainer scripts run
bootstrap()
{
	local suite=$1 root=$2 script=/usr/share/debootstrap/scripts/$1
	# an older debootstrap does not know the newer suites by name
	[ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
	debootstrap --variant=minbase "$suite" "$root" "$(mirror)" "$script" || return 1
	cp /etc/apt/apt.conf.d/99* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod +x "$root/usr/sbin/policy-rc.d"
	mkdir -p "$root/etc/postgresql-common"
	echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.conf"
}

# Runs "$@" with the root's own /proc and a usable /dev/shm, which newer maintainer scripts
# and the server's shared memory need, and a small file system for the tests of a full one.
export M3DB_SMALL_SIZE=96m
with_mounts()
{
	local root=$1
	shift
	unshare --mount --propagation private bash -euo pipefail -c '
		root=$1; shift
		mount -t proc proc "$root/proc"
		mount -t tmpfs -o mode=1777,size=1g tmpfs "$root/dev/shm"
		mount -t tmpfs -o mode=1777,size=$M3DB_SMALL_SIZE tmpfs "$root/mnt"
		exec chroot "$root" "$@"' with_mounts "$root" "$@"
}

prepare()
{
	local version=$1 root=$2
	[ ! -e "$root/.ready" ] || return 0
	rm -rf "$root"
	bootstrap "$(suite_of "$version")" "$root" || return 1
	with_mounts "$root" bash -euc "
		export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
		apt-get update -q
		apt-get install -y -q --no-install-recommends -o Dpkg::Options::=--force-confold \
			postgresql-$version postgresql-server-dev-$version make gcc libc6-dev \
			libdeflate-dev libxxhash-dev libipc-run-perl
		apt-get clean" || return 1
	touch "$root/.ready"
}

run()
{
	local version=$1 root=$2
	rm -rf "$root/src"
	copy_tree "$root/src"
	with_mounts "$root" bash -euc "
		export LC_ALL=C.UTF-8 PATH=/usr/lib/postgresql/$version/bin:\$PATH
		cd /src && chown -R postgres .
		runuser -u postgres -- make -s -j2 with_llvm=no COPT=-Werror
		make -s install with_llvm=no
		status=0
		for others in 'ISOLATION= TAP_TESTS=' 'REGRESS= TAP_TESTS=' 'REGRESS= ISOLATION='; do
			runuser -u postgres -- env M3DB_SMALL_DIRECTORY=/mnt \
				make installcheck with_llvm=no PROVE_FLAGS=-v \$others || status=1
		done
		exit \$status"
}

status=0
for version in "${versions[@]}"; do
	root=$chroots/pg$version
	log=$logs/postgresql-$version.log
	exec 9>"$root.lock"
	flock 9
	if ! prepare "$version" "$root" >"$root.log" 2>&1; then
		say "SKIPPED PostgreSQL $version: no chroot could be made, see $root.log:"
		tail -n 5 "$root.log" | sed 's/^/    /'
		[ -z "${M3DB_REQUIRE_VERSIONS:-}" ] || status=1
		continue
	fi
	[ -z "$prepare_only" ] || { say "PostgreSQL $version: chroot ready"; continue; }
	started=$SECONDS
	outcome=0
	if [ -n "$verbose" ]; then
		run "$version" "$root" 2>&1 | tee "$log" || outcome=1
	else
		run "$version" "$root" >"$log" 2>&1 || outcome=1
	fi
	if [ $outcome -eq 0 ]; then
		say "PostgreSQL $version: passed ($((SECONDS - started)) s)"
	else
		say "PostgreSQL $version: FAILED ($((SECONDS - started)) s), $log ends:"
		tail -n 40 "$log" | sed 's/^/    /'
		status=1
	fi
	flock -u 9
done
exit $status
