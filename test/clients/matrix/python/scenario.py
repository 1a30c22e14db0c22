"""What the Python programs of the matrix share: steps, outcomes as lines of JSON.

Siblings: confluent.py, aio.py, kafka_python.py.
"""

import json
import os
import time
import traceback

BOOTSTRAP = os.environ["BOOTSTRAP"]
PREFIX = os.environ.get("PREFIX", "m")
PROTOCOL = os.environ.get("PROTOCOL", "classic")
TOPIC = PREFIX + "-topic"
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
EACH = 100          # records per codec


class Skip(Exception):
    """The client has no such thing."""


def say(**what):
    print(json.dumps(what), flush=True)


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def values():
    """Every value that the produce steps send."""
    return {"%s %d" % (codec, i) for codec in CODECS for i in range(EACH)}


def wait_for(what, condition, timeout=40):
    """Until condition() is true; its value."""
    deadline = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        check(time.monotonic() < deadline, "waited in vain for " + what)


def report(name, started, problem):
    ms = int((time.monotonic() - started) * 1000)
    if problem is None:
        say(step=name, ok=True, ms=ms)
    elif isinstance(problem, Skip):
        say(step=name, skip=str(problem))
    else:
        if os.environ.get("VERBOSE"):
            traceback.print_exception(type(problem), problem, problem.__traceback__)
        text = str(problem) if isinstance(problem, AssertionError) else "%s: %s" % (type(problem).__name__, problem)
        say(step=name, ok=False, ms=ms, note=text[:300])


def step(name, function, *arguments):
    """Runs one step; a problem is its outcome, and the next goes on."""
    started, problem = time.monotonic(), None
    try:
        function(*arguments)
    except Exception as e:      # pylint: disable=broad-except
        problem = e
    report(name, started, problem)


async def async_step(name, function, *arguments):
    started, problem = time.monotonic(), None
    try:
        await function(*arguments)
    except Exception as e:      # pylint: disable=broad-except
        problem = e
    report(name, started, problem)
