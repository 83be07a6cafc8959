#!/bin/bash
#
# What a compiler does not check: the direction of includes, names, layout.
#
#   scripts/lint.sh [DIRECTORY]     checks a tree, by default this one
#   scripts/lint.sh --self-test     plants every kind of violation in a copy and expects a complaint
#
# Needs nothing but a shell, awk and, for the exported symbols of a built library, nm.

set -euo pipefail
. "$(dirname "$0")/common.sh"
export LC_ALL=C

self_test=
[ "${1:-}" != --self-test ] || { self_test=1; shift; }
cd "${1:-$top}"

c_files()
{
	find . -path ./build -prune -o -path './tmp_*' -prune -o \
		-type f \( -name '*.c' -o -name '*.h' \) -print | sed 's|^\./||' | sort
}

text_files()
{
	find . \( -path ./build -o -path ./.git -o -path './tmp_*' -o -path ./expected -o -path ./results \
		-o -path ./output_iso -o -path ./test/data -o -path ./test/fuzz/corpus \) -prune -o \
		-type f \( -name '*.[chly]' -o -name '*.sh' -o -name '*.p[lm]' -o -name '*.sql' \
		-o -name '*.spec' -o -name '*.md' -o -name '*.conf' -o -name '*.control' \
		-o -name Makefile -o -name run \) -print | sed 's|^\./||' | sort
}

# Each check prints what it dislikes, one line each, and nothing when all is well.

# Arrows point only down:
#   m3db_fdw.c -> fdw -> server -> storage/m3.h -> db -> {buffer,index,fileset,log} -> {codec,ident} -> base
# functions/ stands beside them: it knows PostgreSQL and nothing of ours.
check_includes()
{
	# shellcheck disable=SC2046
	awk '
	function module(path) { sub(/\/[^\/]*$/, "", path); return path }
	function complain(why) { printf "%s:%d: %s: %s\n", FILENAME, FNR, why, name }
	BEGIN {
		below["storage/base"] = ""
		below["storage/codec"] = below["storage/ident"] = "storage/base"
		middle = "storage/base storage/codec storage/ident"
		below["storage/buffer"] = below["storage/index"] = middle
		below["storage/fileset"] = below["storage/log"] = middle
		below["storage/db"] = middle " storage/buffer storage/index storage/fileset storage/log"
		split("assert ctype dirent errno fcntl float inttypes limits math pthread signal stdalign " \
			"stdarg stdatomic stdbool stddef stdint stdio stdlib string strings time unistd", libc, " ")
		for (i in libc) is_libc["<" libc[i] ".h>"] = 1
		is_libc["<sys/mman.h>"] = is_libc["<sys/stat.h>"] = is_libc["<sys/types.h>"] = 1
		is_libc["<sys/uio.h>"] = is_libc["<sys/time.h>"] = is_libc["<sys/file.h>"] = 1
		split("aio_subsys buffile bufmgr bufpage condition_variable copydir dsm dsm_impl fd lock " \
			"lmgr lwlock s_lock sharedfileset shm_mq shm_toc shmem smgr spin", closed, " ")
		for (i in closed) is_closed["\"storage/" closed[i] ".h\""] = 1
	}
	!/^[ \t]*#[ \t]*include[ \t]/ { next }
	{
		name = $0
		sub(/^[ \t]*#[ \t]*include[ \t]*/, "", name)
		sub(/[ \t]*(\/\*.*)?$/, "", name)
		path = substr(name, 2, length(name) - 2)
		own = module(FILENAME)
		to = module(path)
		local = name ~ /^"/
		layer = FILENAME; sub(/\/.*/, "", layer)

		if (name ~ /_private\.h"$/ && to != own && layer != "test")
			complain("a private header of another module")
		if (path ~ /(^|\/)compat\.h$/ && layer !~ /^(fdw|functions|server|m3db_fdw\.[ch])$/)
			complain("compat.h is for fdw/, functions/ and server/ only")

		if (path ~ /^functions\// && layer != "functions")
			complain("functions/ is reached through SQL only")

		if (layer == "storage") {
			if (FILENAME == "storage/m3.h") {
				if (path !~ /^storage\/[a-z]+\//) complain("storage/m3.h gathers storage/ only")
			} else if (!local) {
				if (name ~ /^<(libdeflate|xxhash)\.h>$/) {
					if (FILENAME != "storage/base/hash.c") complain("only storage/base/hash.c may include")
				} else if (!(name in is_libc)) complain("storage/ may include libc only")
			} else if (path !~ /^storage\/[a-z]+\/[a-z0-9_]+\.h$/)
				complain("storage/ may include storage/<module>/<file>.h only")
			else if (!(own in below)) complain("an unknown module of storage/ includes")
			else if (to != own && !index(" " below[own] " ", " " to " "))
				complain("an include that points up or sideways")
		} else if (layer == "fdw") {
			if (path ~ /^storage\/.+\//) complain("fdw/ sees the engine through storage/m3.h only")
			if (name in is_closed || path ~ /^storage\/lock/) complain("fdw/ touches no file and no lock")
		} else if (layer == "functions") {
			if (path ~ /^(fdw|server|storage)\//) complain("functions/ knows PostgreSQL only")
		} else if (layer == "server") {
			if (path ~ /^storage\/.+\//) complain("server/ sees the engine through storage/m3.h only")
			if (path ~ /^(optimizer|executor)\//) complain("server/ knows no planner or executor")
			if (path ~ /^fdw\//) complain("an include that points up")
		} else if (layer ~ /^(test|tools|bench)$/) {
			if (path ~ /^(fdw|server)\/|^postgres\.h$/) complain("works without PostgreSQL")
		}
	}' $(c_files) /dev/null
}

check_header_names()
{
	find storage -maxdepth 1 -name '*.h' ! -name m3.h |
		sed 's/$/: hides a header of the same name of PostgreSQL/'
}

check_guards()
{
	find storage -name '*.c' | sort | while read -r file; do
		grep -A1 '^#ifdef POSTGRES_H' "$file" | grep -q '^#error' ||
			echo "$file: no #error for a build with POSTGRES_H"
	done
}

check_layout()
{
	# shellcheck disable=SC2046
	awk '
	function complain(why) { printf "%s:%d: %s\n", FILENAME, FNR, why }
	{
		width = 0
		for (i = 1; i <= length($0); i++) {
			c = substr($0, i, 1)
			if (c == "\t") width += 4 - width % 4
			else if (c < "\200" || c >= "\300") width++
		}
		if (width > 100) complain(width " columns")
		if ($0 ~ /^\t* \t/ || $0 ~ /^\t*    /) complain("indented with spaces")
	}' $(c_files) /dev/null
	# shellcheck disable=SC2046
	awk '
	/[ \t]$/ && FILENAME !~ /\.md$/ { printf "%s:%d: space at the end of the line\n", FILENAME, FNR }
	/\r$/ { printf "%s:%d: carriage return\n", FILENAME, FNR }' $(text_files) /dev/null
	text_files | while read -r file; do
		[ -z "$(tail -c 1 "$file")" ] || echo "$file: no newline at the end"
	done
}

check_unfinished()
{
	# shellcheck disable=SC2046
	grep -nwE 'TO''DO|FIX''ME|XX''X|HA''CK' $(text_files) /dev/null || true
}

# Every example of the manual is run by a test: line by line, in the same order.
check_readme()
{
	[ -e README.md ] || return 0
	diff <(awk '/^```sql$/ { on = 1; next } /^```$/ { on = 0 } on && NF' README.md) \
		<(cat sql/readme.sql 2>/dev/null) | sed -n 's/^< /README.md, not in sql\/readme.sql: /p' || true
}

check_symbols()
{
	[ -e m3db_fdw.so ] || return 0
	nm -D --defined-only m3db_fdw.so | awk '
		$3 !~ /^(m3_|m3i_|m3db_|_PG_init$|Pg_magic_func$|pg_finfo_m3db_)/ {
			print "m3db_fdw.so: exports " $3 }'
}

# The rest of the script: run the checks, or prove that each of them can fail.

names="includes header_names guards layout unfinished readme symbols"

run_checks()
{
	local name found failed=0
	for name in $names; do
		found=$("check_$name")
		if [ -z "$found" ]; then
			echo "ok - $name"
		else
			echo "not ok - $name"
			printf '%s\n' "$found" | sed 's/^/    /'
			failed=1
		fi
	done
	return $failed
}

# plant CHECK FILE TEXT: TEXT at the end of FILE of a fresh copy must upset CHECK and only CHECK.
plant()
{
	local check=$1 file=$2 text=$3 copy=$work/copy bad
	rm -rf "$copy"
	cp -r "$work/clean" "$copy"
	mkdir -p "$copy/$(dirname "$file")"
	printf "$text\n" >>"$copy/$file"
	bad=$(cd "$copy" && { run_checks || true; } | sed -n 's/^not ok - //p' | tr '\n' ' ')
	if [ "$bad" = "$check " ]; then
		echo "ok - $check notices $file: ${text##*\\n}"
	else
		echo "not ok - $check, not '$bad', should notice $file: ${text##*\\n}"
		planted_wrong=1
	fi
}

run_self_test()
{
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	planted_wrong=0
	local guard='#ifdef POSTGRES_H\n#error\n#endif\n'
	mkdir -p "$work"/clean/{storage/base,fdw,server,test}
	printf '#ifndef M3_H\n#define M3_H\n#include "storage/base/time.h"\n#endif\n' >"$work/clean/storage/m3.h"
	printf "$guard#include \"storage/base/time.h\"\n" >"$work/clean/storage/base/time.c"
	printf '#include "postgres.h"\n#include "storage/m3.h"\n' >"$work/clean/fdw/scan.c"
	(cd "$work/clean" && run_checks >/dev/null) || { echo "not ok - a clean tree"; planted_wrong=1; }

	plant includes storage/base/a.c "$guard#include \"storage/codec/m3tsz.h\""
	plant includes storage/codec/a.c "$guard#include \"storage/ident/id.h\""
	plant includes storage/log/a.c "$guard#include \"storage/fileset/info.h\""
	plant includes storage/index/a.c "$guard#include \"storage/db/engine.h\""
	plant includes storage/db/a.c "$guard#include \"storage/m3.h\""
	plant includes storage/db/a.c "$guard#include \"storage/log/log_private.h\""
	plant includes storage/base/a.c "$guard#include \"postgres.h\""
	plant includes storage/base/a.c "$guard#include <libdeflate.h>"
	plant includes storage/base/a.c "$guard#include \"compat.h\""
	plant includes storage/base/a.h '#include "fdw/fdw.h"'
	plant includes fdw/a.c '#include "storage/db/engine.h"'
	plant includes fdw/a.c '#include "storage/lwlock.h"'
	plant includes fdw/a.c '#include "storage/fd.h"'
	plant includes server/a.c '#include "optimizer/cost.h"'
	plant includes server/a.c '#include "executor/executor.h"'
	plant includes server/a.c '#include "fdw/fdw.h"'
	plant includes test/a.c '#include "postgres.h"'
	plant header_names storage/fileset.h '#define A'
	plant guards storage/base/b.c 'int m3_b;'
	plant layout fdw/a.c "$(printf '/* %099d */' 0)"
	plant layout fdw/a.c '    int a;'
	plant layout fdw/a.c '\t \tint a;'
	plant layout fdw/a.c 'int a; '
	plant layout scripts/a.sh 'echo\r'
	plant readme README.md '```sql\nSELECT 1;\n```'
	plant unfinished fdw/a.c '/* TO''DO: more */'
	if command -v cc >/dev/null; then
		echo 'int get_hash_value(void) { return 1; }' >"$work/bad.c"
		cc -shared -fPIC -o "$work/bad.so" "$work/bad.c"
		rm -rf "$work/copy" && cp -r "$work/clean" "$work/copy" && cp "$work/bad.so" "$work/copy/m3db_fdw.so"
		if (cd "$work/copy" && { run_checks || true; } | grep -q '^not ok - symbols'); then
			echo "ok - symbols notices an unprefixed function"
		else
			echo "not ok - symbols should notice an unprefixed function"
			planted_wrong=1
		fi
	fi
	return $planted_wrong
}

if [ -n "$self_test" ]; then run_self_test; else run_checks; fi
