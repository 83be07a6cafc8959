#!/bin/bash
#
# Installs what building and testing need on Debian 12, and nothing that is there already.
#
#   scripts/install-deps.sh [--demo | --versions]
#
# --demo leaves out what only tests need, --versions adds what the chroots need. No database
# cluster is created and no service is started by the packages.

set -euo pipefail
. "$(dirname "$0")/common.sh"
become_root "$@"

version=15
packages=(postgresql-$version postgresql-server-dev-$version gcc libc6-dev make
	libdeflate-dev libxxhash-dev)
case ${1:-} in
	--demo) ;;
	--versions) packages+=(debootstrap) ;&
	'') packages+=(clang libclang-rt-14-dev libipc-run-perl perl git util-linux) ;;
	*) die "usage: scripts/install-deps.sh [--demo | --versions]" ;;
esac

missing=()
for package in "${packages[@]}"; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
		missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

say "installing ${missing[*]}"
cluster_conf=/etc/postgresql-common/createcluster.conf
if [ ! -e "$cluster_conf" ]; then
	mkdir -p "$(dirname "$cluster_conf")"
	echo 'create_main_cluster = false' >"$cluster_conf"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -y -q --no-install-recommends -o Dpkg::Options::=--force-confold "${missing[@]}"
