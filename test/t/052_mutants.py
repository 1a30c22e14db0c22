#!/usr/bin/env python3
"""test/mutants/run, on a small tree: which planted faults are found, live, or are no program, and that none of them changes what is said of the next."""

import glob
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

FILES = {
    "Makefile": """
prog: src/a.o src/b.o
	$(CC) -o $@ $^
%.o: %.c
	$(CC) -Wall $(if $(WERROR),-Werror) -MMD -MP -c -o $@ $<
-include src/a.d src/b.d
""",
    "src/a.h": "#define TWO 2\nextern int\tb(void);\n",
    "src/a.c": """#include <stdio.h>
#include <unistd.h>
#include "a.h"

int
main(void)
{
	printf("%d\\n", 40 + b());
	return 0;
}
""",
    "src/b.c": """#include "a.h"

int		untested = 1;

int
b(void)
{
	return TWO;
}
""",
    "script/lib.sh": """
PT_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build_extension() { make -s -j2 -C "$PT_ROOT" "$@" && cp "$PT_ROOT/prog" "$PGTOPIC_DESTDIR"; }
""",
    # --no-install --only PART --match REGEX
    "script/test": """#!/bin/bash
. "$(dirname "$0")/lib.sh"
build_extension WERROR=1 || exit 1
case $3 in
	tap) echo "1..0 # SKIP it needs something"; echo "0 passed, 0 failed" ;;
	clients) echo "0 passed, 0 failed" ;;
	*) [ "$("$PGTOPIC_DESTDIR/prog")" = 42 ] || { echo "not ok 1 - 42"; exit 1; }
	   echo "ok 1 - 42"; echo "1 passed, 0 failed" ;;
esac
""",
}

# name, file, test, what stands there, what is planted, what is to be said of it
MUTANTS = [
    ("first", "src/a.c", "regress", "40 +", "41 +", "found by regress"),
    ("one that is no C", "src/a.c", "regress", "40 +", "forty +", "does not compile"),
    ("the same file", "src/a.c", "regress", "40 +", "39 +", "found by regress"),
    ("a warning", "src/a.c", "regress", "\tprintf", "\tint\t\tnobody;\n\n\tputs(\"\");\n\tprintf", "found by regress"),
    ("another file", "src/b.c", "regress", "return TWO", "return TWO + 1", "found by regress"),
    ("a header that is no C", "src/a.h", "regress", "TWO 2", "TWO (2", "does not compile"),
    ("the header", "src/a.h", "regress", "TWO 2", "TWO 3", "found by regress"),
    ("what no test sees", "src/b.c", "regress", "untested = 1", "untested = 2", "lives"),
    ("the first of two tests", "src/b.c", "tap\ntest regress", "return TWO", "return -TWO", "found by regress"),
    ("a test that is left out", "src/b.c", "tap", "return TWO", "return 0", "# SKIP"),
    ("last", "src/b.c", "regress", "return TWO", "return TWO + TWO", "found by regress"),
]


def tree(name, mutants, seconds=600):
    """A tree with these mutants; returns the path of its test/mutants/run, which waits so long for a test."""
    top = os.path.join(pg.base_dir(), name)
    blocks = []
    for mutant, path, test, old, new in (m[:5] for m in mutants):
        line = next((line for line in FILES[path].split("\n") if old in line), old)
        blocks.append("= %s\nfile %s\ntest %s\n---\n%s\n+++\n%s\n===\n" % (mutant, path, test, line, line.replace(old, new)))
    with open(os.path.join(pg.ROOT, "test", "mutants", "run"), encoding="utf8") as f:
        run = f.read()
    files = {**FILES, "test/mutants/some.txt": "\n".join(blocks), "test/mutants/run": re.sub("SECONDS_MAX = 600", "SECONDS_MAX = %d" % seconds, run)}
    for path, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(top, path)), exist_ok=True)
        with open(os.path.join(top, path), "w", encoding="utf8") as f:
            f.write(text)
    for path in ("script/test", "test/mutants/run"):
        os.chmod(os.path.join(top, path), 0o755)
    return os.path.join(top, "test", "mutants", "run")


def said(run, *arguments):
    """Its status and lines.  Its copies lie in our directory."""
    done = subprocess.run([sys.executable, run, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          env={**os.environ, "TMPDIR": pg.base_dir()})
    return done.returncode, done.stdout.split("\n")[:-1]


def programs():
    """The programs that run from our directory."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as f:
                command = f.read().split(b"\0")[0].decode(errors="replace")
        except OSError:
            continue
        if command.startswith(pg.base_dir()):
            found.append(command)
    return found


def test_run():
    """all of them"""
    run = tree("all", MUTANTS)
    status, lines = said(run)
    tap.equal(status, 1, "some were not found")
    tap.equal(lines[0], "1..%d" % (len(MUTANTS) + 1), "as many as there are")
    for number, (name, *_, expected) in enumerate(MUTANTS, 2):
        [line] = [line for line in lines if re.match(r"(not )?ok %d " % number, line)] or [""]
        tap.ok(name in line and expected in line and line.startswith("ok") == (expected not in ("lives", "does not compile")), "%s: %s" % (name, line))
    with open(os.path.join(pg.base_dir(), "said"), "w", encoding="utf8") as f:
        f.write("\n".join(lines))
    _, lines = said(run, "--list", "--not-in", f.name)
    tap.equal([line.split("  ")[0] for line in lines], [m[0] for m in MUTANTS if not m[5].startswith("found")], "a second run has those that were not found")


def test_hangs():
    """a test that does not end has found it, and is ended with what it started"""
    run = tree("hangs", [("an end that never comes", "src/a.c", "regress", "return 0", "for (;;)\n\t\tpause()")], seconds=20)
    status, lines = said(run)
    tap.equal((status, lines[2]), (0, "ok 2 - an end that never comes: found by regress (it hangs)"), "it is found")
    tap.equal(programs(), [], "and nothing runs on")


def test_no_test():
    """a test line that names no test is an error"""
    status, lines = said(tree("none", [("no test", "src/a.c", "clients nothing", "40 +", "41 +")]))
    tap.equal((status, lines[1][:8]), (1, "not ok 1"), "which is said before anything is planted")


def test_misfit():
    """a mutant that does not fit the sources is an error"""
    status, lines = said(tree("misfit", [("misfit", "src/a.c", "regress", "41 +", "42 +")]), "--list")
    tap.ok(status and "occurs 0 times" in lines[0], "its place is not there")


if __name__ == "__main__":
    pg.demote()
    tap.main([test_run, test_hangs, test_no_test, test_misfit])
