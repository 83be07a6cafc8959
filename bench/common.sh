# A throw-away cluster with the extension as the tree has it, for scripts that measure or torture
# it. Sourced by root's scripts, after scripts/common.sh; all of it is in $work and goes with the script.

pg_bin=/usr/lib/postgresql/15/bin
export LC_ALL=C.UTF-8 PGTZ=UTC

sql() { as_postgres $pg_bin/psql -X -q -At -v ON_ERROR_STOP=1 -h "$work" -d postgres "$@"; }

start_server()
{
	as_postgres $pg_bin/pg_ctl -D "$work/data" -l "$work/log" -w start >/dev/null ||
		{ tail -n 5 "$work/log" >&2; return 1; }
}

stop_cluster()
{
	[ ! -e "$work/data/postmaster.pid" ] ||
		as_postgres $pg_bin/pg_ctl -D "$work/data" -m immediate -w stop >/dev/null || true
	rm -rf "$work"
}

# Builds and starts; more lines of postgresql.conf come from standard input.
start_cluster()
{
	"$top/scripts/install-deps.sh" --demo
	work=$(mktemp -d /tmp/m3db_cluster.XXXXXX)
	trap stop_cluster EXIT
	trap 'exit 130' INT TERM
	copy_tree "$work/tree"
	chown -R postgres "$work"
	chmod 755 "$work"
	as_postgres make -C "$work/tree" -j"$(nproc)" -s with_llvm=no PG_CONFIG=$pg_bin/pg_config
	as_postgres make -C "$work/tree" -s install with_llvm=no PG_CONFIG=$pg_bin/pg_config \
		DESTDIR="$work/install"
	as_postgres $pg_bin/initdb -D "$work/data" -A trust -U postgres >/dev/null
	as_postgres tee -a "$work/data/postgresql.conf" >/dev/null <<CONF
extension_destdir = '$work/install'
dynamic_library_path = '$work/install$($pg_bin/pg_config --pkglibdir):\$libdir'
shared_preload_libraries = 'm3db_fdw'
listen_addresses = ''
unix_socket_directories = '$work'
$(cat)
CONF
	start_server
	sql -c 'CREATE EXTENSION m3db_fdw' -c 'CREATE SERVER tsdb FOREIGN DATA WRAPPER m3db_fdw'
}
