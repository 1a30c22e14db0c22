"""What the tests share that try each advertised version of an API."""
import raw
import tap


def each_version(name, advertised, check, reconnect):
    """check(version) gives problems (None: none); one line of TAP per version that both sides know.

    advertised is (first, last).  When check throws, reconnect is called, and the next version goes on.
    """
    spec = raw.message(name + "Request").valid
    for version in range(max(spec[0], advertised[0]), min(spec[1], advertised[1]) + 1):
        try:
            problems = [p for p in check(version) if p]
        except Exception as problem:    # pylint: disable=broad-except
            problems = ["%s: %s" % (type(problem).__name__, problem)]
            reconnect()
        tap.ok(not problems, "%s v%d" % (name, version))
        for problem in problems:
            tap.note(problem)


def differs(what, got, expected):
    """A problem, or None."""
    return None if got == expected else "%s: got %r, expected %r" % (what, got, expected)
