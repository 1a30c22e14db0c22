"""Test results in TAP, the way Perl's Test::More says them.

Siblings: cluster.py.
"""

import os
import sys
import traceback

# Each returns text that may explain an exception, or nothing: the servers' logs (cluster.py).
diagnostics = []

_count = 0
_failed = 0


def ok(condition, what):
    """One check; returns its outcome so that a caller can say more."""
    global _count, _failed
    _count += 1
    if not condition:
        _failed += 1
    print("%s %d - %s" % ("ok" if condition else "not ok", _count, what), flush=True)
    return bool(condition)


def equal(got, expected, what):
    good = ok(got == expected, what)
    if not good:
        note("got:      %.2000r" % (got,))
        note("expected: %.2000r" % (expected,))
    return good


def matches(pattern, text, what):
    import re
    good = ok(re.search(pattern, text), what)
    if not good:
        note("no match for %r in: %.2000s" % (pattern, text))
    return good


def note(text):
    for line in str(text).split("\n"):
        print("# " + line, flush=True)


def size(variable, each_time, nightly):
    """How much a test does: what the environment variable says, else one of these; script/test --nightly sets PGTOPIC_NIGHTLY."""
    chosen = nightly if os.environ.get("PGTOPIC_NIGHTLY") else each_time
    return type(each_time)(os.environ.get(variable) or chosen)


def skip(why):
    """Leaves the whole file out; a failure where PGTOPIC_NO_SKIP says that everything must run."""
    if os.environ.get("PGTOPIC_NO_SKIP"):
        print("not ok 1 - left out: %s\n1..1" % why, flush=True)
        sys.exit(1)
    print("1..0 # SKIP " + why, flush=True)
    sys.exit(0)


def main(tests):
    """Runs each function; one that throws is a failed check and the next goes on."""
    for test in tests:
        note(test.__name__ + (": " + test.__doc__.strip().split("\n")[0] if test.__doc__ else ""))
        try:
            test()
        except SystemExit:
            raise
        except BaseException as problem:  # pylint: disable=broad-except
            ok(False, "%s ended with an exception: %s" % (test.__name__, repr(problem)[:300]))
            note(traceback.format_exc())
            for diagnosis in diagnostics:
                text = diagnosis()
                if text:
                    note(text)
    print("1..%d" % _count, flush=True)
    sys.exit(1 if _failed else 0)
