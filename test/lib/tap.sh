# shellcheck shell=bash
#
# tap.sh - TAP for tests written in shell.
#
# Sourced.  Starts the test again beside a fresh cluster unless there is one:
# afterwards PGHOST, PGPORT, PGUSER, PGDATABASE and BOOTSTRAP name it, and
# "work" is a directory that goes away at the end.
#
# Siblings: cluster.py, tap.py.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
if [ -z "${BOOTSTRAP:-}" ]; then
	exec "${PYTHON:-/usr/bin/python3}" "$top/test/lib/cluster.py" run -- "$0" "$@"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tap_count=0
tap_failed=0

note() { printf '%s\n' "$*" | sed 's/^/# /'; }

# ok STATUS NAME
ok()
{
	tap_count=$((tap_count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tap_count - $2"
	else
		tap_failed=$((tap_failed + 1))
		echo "not ok $tap_count - $2"
	fi
}

# equal GOT EXPECTED NAME
equal()
{
	[ "$1" = "$2" ]
	ok $? "$3"
	if [ "$1" != "$2" ]; then
		note "got:      ${1:0:1000}"
		note "expected: ${2:0:1000}"
	fi
}

# matches GOT REGEX NAME
matches()
{
	[[ $1 =~ $2 ]]
	ok $? "$3"
	[[ $1 =~ $2 ]] || note "no match for $2 in: ${1:0:1000}"
}

sql() { "$("${PG_CONFIG:-pg_config}" --bindir)/psql" -XAtq -v ON_ERROR_STOP=1 -c "$1"; }

# skip WHY: leaves the whole file out, as in tap.py.
skip()
{
	if [ -n "${PGTOPIC_NO_SKIP:-}" ]; then
		printf 'not ok 1 - left out: %s\n1..1\n' "$1"
		exit 1
	fi
	echo "1..0 # SKIP $1"
	exit 0
}

# The last line of a test.
done_testing()
{
	echo "1..$tap_count"
	exit $((tap_failed > 0))
}
