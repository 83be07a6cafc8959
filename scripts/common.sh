# What the scripts of this directory share. Sourced, not run.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# The rest of the calling script runs as root: through sudo when it has to.
become_root()
{
	[ "$(id -u)" -eq 0 ] && return
	command -v sudo >/dev/null || die "needs root or sudo"
	exec sudo -E bash "$0" "$@"
}

as_postgres() { runuser -u postgres -- "$@"; }

# What git would take into a clone, changes included, copied to $1: no objects of another
# compiler or server travel along. A tree without git is copied whole.
copy_tree()
{
	local to=$1
	mkdir -p "$to"
	if git -c safe.directory="$top" -C "$top" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
		git -c safe.directory="$top" -C "$top" ls-files -z --cached --others --exclude-standard |
			(cd "$top" && xargs -0 ls -d 2>/dev/null | tar -cf - -T -) | tar -xf - -C "$to"
	else
		tar -C "$top" --exclude=./build -cf - . | tar -xf - -C "$to"
	fi
}
