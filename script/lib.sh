# shellcheck shell=bash
#
# lib.sh - what quickstart, server and test share.
#
# Sourced, never run.  Sets PT_ROOT, the top of the tree.  The rules behind
# it: packages come from apt alone, nothing that exists is touched, and
# PostgreSQL never runs as root (a root caller's servers and tests run as
# "postgres", anybody else's as himself).
#
# PGTOPIC_DESTDIR, when set, is a directory to install into instead of the
# system's (Debian's setting extension_destdir, from 18 on extension_control_path, makes the server look there).
#
# Which server: PG_CONFIG, when set, is the pg_config of one that is no package;
# else PG_MAJOR, when set, chooses among Debian's.

PT_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# What it takes to build and run, to try it out, to measure, and to test; the majors of
# PostgreSQL that we run on.  (The linter does not see
# who sources us.)
# shellcheck disable=SC2034
{
	PT_PACKAGES_BUILD="make gcc libc6-dev liblz4-dev libzstd-dev libsnappy-dev zlib1g-dev libssl-dev"
	PT_PACKAGES_QUICKSTART="kcat"
	PT_MAJORS="15 16 17 18 19"
	PT_PACKAGES_BENCH="librdkafka-dev openssl pkg-config python3 default-jdk-headless maven"
	PT_PACKAGES_TEST="kcat openssl python3 python3-venv default-jdk-headless maven shellcheck clang"
}

say() { printf '%s\n' "$*"; }
step() { printf '==> %s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }

die()
{
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit 1
}

is_root() { [ "$(id -u)" = 0 ]; }

# Runs a command as root.
as_root()
{
	if is_root; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "this needs root: $*"
	fi
}

# The user whose servers and tests we run, and a command run as that user.
server_user() { if is_root; then echo postgres; else id -un; fi; }

as_server()
{
	if is_root; then
		runuser -u postgres -- "$@"
	else
		"$@"
	fi
}

package_installed()
{
	[ "$(dpkg-query -W -f '${Status}' "$1" 2>/dev/null)" = "install ok installed" ]
}

# The major version of PostgreSQL that we build for: what is installed with its
# server headers, else what is installed, else the distribution's own.
pg_major()
{
	local v

	if [ -n "${PG_CONFIG:-}" ]; then
		"$PG_CONFIG" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/'
		return
	fi
	if [ -n "${PG_MAJOR:-}" ]; then
		echo "$PG_MAJOR"
		return
	fi
	for v in $PT_MAJORS; do
		if [ -x "/usr/lib/postgresql/$v/bin/pg_config" ]; then
			echo "$v"
			return
		fi
	done
	for v in $PT_MAJORS; do
		if [ -x "/usr/lib/postgresql/$v/bin/postgres" ]; then
			echo "$v"
			return
		fi
	done
	apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9][0-9]*\)$/\1/p' | head -1
}

pg_config_path() { echo "${PG_CONFIG:-/usr/lib/postgresql/$(pg_major)/bin/pg_config}"; }
pg_bin() { dirname "$(pg_config_path)"; }

# Installs those of the named packages that are missing.
install_packages()
{
	local p log missing=()

	command -v apt-get >/dev/null || die "needs Debian or a relative of it (apt-get)"
	for p in "$@"; do
		package_installed "$p" || missing+=("$p")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	step "installing ${missing[*]}"
	log=$(mktemp)
	as_root apt-get update -qq
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		-o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "${missing[@]}" </dev/null >"$log" 2>&1 ||
		{ cat "$log" >&2; die "apt-get install failed"; }
	rm -f "$log"
}

# PostgreSQL's packages.  When it is we who bring the server, no cluster is made and
# nothing started: ours is private.
install_postgresql()
{
	local major conf

	[ -z "${PG_CONFIG:-}" ] || return 0
	command -v apt-cache >/dev/null || die "needs Debian or a relative of it (apt-get)"
	major=$(pg_major || true)
	if [ -z "$major" ]; then
		as_root apt-get update -qq
		major=$(pg_major || true)
	fi
	[ -n "$major" ] || die "apt knows no package postgresql"
	if ! package_installed "postgresql-$major"; then
		install_packages postgresql-common
		conf=/etc/postgresql-common/createcluster.d
		as_root mkdir -p "$conf"
		as_root sh -c "echo 'create_main_cluster = false' > $conf/zz-pgtopic-install.conf"
		install_packages "postgresql-$major"
		as_root rm -f "$conf/zz-pgtopic-install.conf"
	fi
	install_packages "postgresql-server-dev-$major"
}

# Builds and installs the extension, quietly unless something goes wrong.
# Make's own dependency tracking makes a second time cheap; objects for another
# server or with other flags are thrown away first.  PT_INSTALLED tells afterwards whether
# anything new was installed.
export PT_INSTALLED=

build_extension()
{
	local log config built flags

	config=$(pg_config_path)
	log=$(mktemp)
	built=$PT_ROOT/.built
	# What WERROR says changes no object.
	flags="$config $* "
	flags=${flags/WERROR=* /}
	if [ -e "$built" ] && [ "$(cat "$built")" != "$flags" ]; then
		make -C "$PT_ROOT" -s clean PG_CONFIG="$config" >/dev/null
	fi
	printf '%s\n' "$flags" >"$built"
	if ! make -C "$PT_ROOT" -j"$(nproc)" PG_CONFIG="$config" "$@" >"$log" 2>&1; then
		cat "$log" >&2
		rm -f "$log"
		die "the build failed"
	fi
	if [ -n "${PGTOPIC_DESTDIR:-}" ]; then
		make -C "$PT_ROOT" -s install PG_CONFIG="$config" DESTDIR="$PGTOPIC_DESTDIR" >"$log" 2>&1 ||
			{ cat "$log" >&2; die "make install failed"; }
		PT_INSTALLED=yes
	elif ! extension_installed; then
		PT_INSTALLED=yes
		as_root make -C "$PT_ROOT" -s install PG_CONFIG="$config" >"$log" 2>&1 ||
			{ cat "$log" >&2; die "make install failed"; }
	fi
	rm -f "$log"
}

# Is what is installed what was built?
extension_installed()
{
	local lib share f

	lib=$("$(pg_config_path)" --pkglibdir)
	share=$("$(pg_config_path)" --sharedir)/extension
	cmp -s "$PT_ROOT/pgtopic.so" "$lib/pgtopic.so" || return 1
	for f in "$PT_ROOT"/pgtopic.control "$PT_ROOT"/pgtopic--*.sql; do
		cmp -s "$f" "$share/$(basename "$f")" || return 1
	done
}

# The settings that make a server load the extension, for postgresql.conf.
preload_settings()
{
	echo "shared_preload_libraries = 'pgtopic'"
	if [ -n "${PGTOPIC_DESTDIR:-}" ]; then
		if [ "$(pg_major)" -lt 18 ]; then
			echo "extension_destdir = '$PGTOPIC_DESTDIR'"		# Debian's
		else
			echo "extension_control_path = '$PGTOPIC_DESTDIR$("$(pg_config_path)" --sharedir):\$system'"
		fi
		echo "dynamic_library_path = '$PGTOPIC_DESTDIR$("$(pg_config_path)" --pkglibdir):\$libdir'"
	fi
}
