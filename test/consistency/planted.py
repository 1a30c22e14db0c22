#!/usr/bin/env python3
"""The checker finds each fault that is planted in a history written by hand, by its name, and none in good ones."""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import checker         # noqa: E402
import tap             # noqa: E402

clock = 0


def op(f, *mops, p="a", kind="ok", t0=None, t1=None, **more):
    """One after another, unless a time is given: those are later than 100, and what is final is at 1000."""
    global clock
    clock += 1
    t0 = clock if t0 is None else t0
    return {"p": p, "f": f, "type": kind, "t0": t0, "t1": t0 + 0.5 if t1 is None else t1, "mops": list(mops), **more}


def send(part, value, offset=None):
    return ["send", part, value, offset]


def poll(part, *records):
    return ["poll", part, [list(r) for r in records]]


def final(reader="kafka", **parts):
    """x=(0, (0, "a"), ...): start and records"""
    return op("final", p="main", t0=1000, reader=reader, parts={part: [what[0], [list(r) for r in what[1:]]] for part, what in parts.items()})


def snapshot(p="snap", t0=None, t1=None, **parts):
    return op("snapshot", p=p, t0=t0, t1=t1, parts={part: [what[0], [list(r) for r in what[1:]]] for part, what in parts.items()})


def end_told(end, start=None, part="x", **more):
    return op("ends", ends={part: [start, end]}, **more)


GOOD = {
    "nothing at all": lambda: [],
    "sends, polls and a final read": lambda: [
        op("send", send("x", "1", 0)), op("poll", poll("x", (0, "1")), p="b"), op("send", send("x", "2", 1)),
        op("poll", poll("x", (1, "2")), p="b"), final(x=(0, (0, "1"), (1, "2")))],
    "an answer that was lost, with and without its record": lambda: [
        op("send", send("x", "1"), kind="unknown"), op("send", send("x", "2"), kind="unknown"), final(x=(0, (0, "2")))],
    "an abort": lambda: [op("txn", send("x", "1"), send("y", "2"), kind="fail"), final(x=(0,), y=(0,))],
    "transactions over two partitions": lambda: [
        op("txn", send("x", "1"), send("y", "2")), op("txn", send("y", "3"), send("x", "4")), snapshot(x=(0, (0, "1"), (1, "4")), y=(0, (0, "2"), (1, "3"))),
        final(x=(0, (0, "1"), (1, "4")), y=(0, (0, "2"), (1, "3")))],
    "one transaction reads what another wrote": lambda: [
        op("txn", send("x", "1")), op("txn", poll("x", (0, "1")), send("x", "2")), final(x=(0, (0, "1"), (1, "2")))],
    "a reader that seeks": lambda: [
        op("send", send("x", "1", 0)), op("send", send("x", "2", 1)), op("poll", poll("x", (0, "1"), (1, "2")), p="b"),
        op("seek", p="b", parts=["x"]), op("poll", poll("x", (0, "1")), p="b"), op("seek", p="b", parts=None),
        op("poll", poll("x", (1, "2")), p="b"), final(x=(0, (0, "1"), (1, "2")))],
    "records that were deleted": lambda: [
        op("send", send("x", "1", 0)), op("poll", poll("x", (0, "1")), p="b"), op("send", send("x", "2", 1)), op("send", send("x", "3", 2)),
        op("delete", part="x", before=2), end_told(3, 2), op("poll", poll("x", (2, "3")), p="b"), snapshot(x=(0, (2, "3"))), final(x=(2, (2, "3")))],
    "a transaction whose first half was deleted": lambda: [
        op("txn", send("x", "1"), send("y", "2")), op("delete", part="x", before=1), final(x=(1,), y=(0, (0, "2")))],
    "a commit beside a snapshot that does not see it": lambda: [
        op("txn", send("x", "1"), t0=100, t1=110), snapshot(t0=105, t1=106, x=(0,)), final(x=(0, (0, "1")))],
    "ends that grow": lambda: [end_told(0, 0), op("send", send("x", "1", 0)), end_told(1, 0), final(x=(0, (0, "1")))],
    "everybody goes on": lambda: [op("worker", p="w"), op("healed"), op("ends", p="w", ends={})],
    "each one consumed": lambda: [op("send", send("x", "1", 0)), final(x=(0, (0, "1"))), op("derived", name="sink", of=["x"], values=["1"], once=True),
                                  op("derived", name="group", of=["x"], values=["1", "1"], once=False)],
}

BAD = {
    "lost-write": [
        lambda: [op("send", send("x", "1", 0)), op("send", send("x", "2", 1)), final(x=(0, (0, "1")))],
        lambda: [op("txn", send("x", "1")), final(x=(0,))],
        lambda: [op("send", send("x", "1"), kind="unknown"), op("poll", poll("x", (0, "1")), p="b"), final(x=(0,))],
        # behind what was deleted
        lambda: [op("send", send("x", "1", 0)), op("txn", send("x", "2")), op("delete", part="x", before=1), final(x=(1,))]],
    "inconsistent-offsets": [
        lambda: [op("send", send("x", "1"), kind="unknown"), op("send", send("x", "2"), kind="unknown"), op("poll", poll("x", (0, "1")), p="b"),
                 op("poll", poll("x", (0, "2")), p="c")]],
    "duplicate": [lambda: [op("send", send("x", "1", 0)), final(x=(0, (0, "1"), (1, "1")))]],
    "phantom": [lambda: [final(x=(0, (0, "1")))],
                lambda: [op("send", send("x", "1"), kind="unknown"), final(x=(0,), y=(0, (0, "1")))],
                lambda: [final(x=(0,)), op("derived", name="sink", of=["x"], values=["1"], once=True)]],
    "G0": [
        lambda: [op("txn", send("x", "1"), send("y", "2"), t0=100, t1=200), op("txn", send("x", "3"), send("y", "4"), p="b", t0=100, t1=200),
                 final(x=(0, (0, "1"), (1, "3")), y=(0, (0, "4"), (1, "2")))],
        # one amid the other
        lambda: [op("txn", send("x", "1"), send("x", "2"), t0=100, t1=200), op("send", send("x", "3", 1), p="b", t0=100, t1=200),
                 final(x=(0, (0, "1"), (1, "3"), (2, "2")))]],
    "G1a": [lambda: [op("txn", send("x", "1"), kind="fail"), op("poll", poll("x", (0, "1")), p="b")],
            lambda: [op("txn", send("x", "1"), kind="fail"), final(x=(0, (0, "1")))]],
    "G1b": [lambda: [op("txn", send("x", "1"), send("x", "2"), t0=100, t1=200), snapshot(t0=150, t1=151, x=(0, (0, "1"))), final(x=(0, (0, "1"), (1, "2")))]],
    "G1c": [
        lambda: [op("txn", poll("x", (0, "1")), send("y", "2"), t0=100, t1=200), op("txn", poll("y", (0, "2")), send("x", "1"), p="b", t0=100, t1=200)]],
    "uncommitted-read": [
        lambda: [op("txn", send("x", "1"), t0=100, t1=200, tc=180), op("poll", poll("x", (0, "1")), p="b", t0=150, t1=160), final(x=(0, (0, "1")))],
        lambda: [op("txn", send("x", "1"), send("y", "2"), t0=100, t1=200, tc=180), snapshot(t0=150, t1=160, x=(0, (0, "1")), y=(0, (0, "2"))),
                 final(x=(0, (0, "1")), y=(0, (0, "2")))]],
    "poll-skip": [
        lambda: [op("send", send("x", str(i), i)) for i in range(3)] + [op("poll", poll("x", (0, "0")), p="b"), op("poll", poll("x", (2, "2")), p="b")]],
    "int-poll-skip": [
        lambda: [op("send", send("x", str(i), i)) for i in range(3)] + [op("poll", poll("x", (0, "0"), (2, "2")), p="b")]],
    "nonmonotonic-poll": [
        lambda: [op("send", send("x", str(i), i)) for i in range(2)] + [op("poll", poll("x", (0, "0"), (1, "1")), p="b"), op("poll", poll("x", (0, "0")), p="b")]],
    "int-nonmonotonic-poll": [
        lambda: [op("send", send("x", str(i), i)) for i in range(2)] + [op("poll", poll("x", (0, "0"), (1, "1"), (1, "1")), p="b")]],
    "nonmonotonic-send": [
        lambda: [op("send", send("x", "1", 1)), op("send", send("x", "2", 0)), final(x=(0, (0, "2"), (1, "1")))],
        lambda: [op("txn", send("x", "1")), op("txn", send("x", "2")), final(x=(0, (0, "2"), (1, "1")))]],
    "int-nonmonotonic-send": [lambda: [op("txn", send("x", "1"), send("x", "2")), final(x=(0, (0, "2"), (1, "1")))]],
    "unseen": [lambda: [op("send", send("x", "1", 0)), final("kafka", x=(0, (0, "1"))), final("sql", x=(0,))]],
    "zero-end": [lambda: [op("send", send("x", "1", 0)), end_told(0), final(x=(0, (0, "1")))],
                 lambda: [end_told(5), end_told(0, p="b")]],
    "end-goes-back": [lambda: [end_told(5), end_told(4, p="b")]],
    "start-goes-back": [lambda: [end_told(5, 3), end_told(5, 0, p="b")]],
    "stuck": [lambda: [op("worker", p="w"), op("poll", p="w"), op("healed"), op("poll", p="w", kind="unknown")]],
    "torn-transaction": [
        lambda: [op("txn", send("x", "1"), send("y", "2"), kind="unknown"), final(x=(0, (0, "1")), y=(0,))],
        lambda: [op("txn", send("x", "1"), send("y", "2"), t0=100, t1=200), snapshot(t0=150, t1=151, x=(0, (0, "1")), y=(0,)),
                 final(x=(0, (0, "1")), y=(0, (0, "2")))]],
    "no-prefix": [
        # a hole; one that was acknowledged before; one that ended before another began which is seen; one that goes back
        lambda: [op("send", send("x", str(i), i)) for i in range(2)] + [snapshot(x=(0, (1, "1"))), final(x=(0, (0, "0"), (1, "1")))],
        lambda: [op("send", send("x", "1", 0)), snapshot(x=(0,)), final(x=(0, (0, "1")))],
        lambda: [op("txn", send("x", "1"), t0=110, t1=120), op("txn", send("y", "2"), t0=130, t1=140),
                 snapshot(t0=105, t1=150, x=(0,), y=(0, (0, "2"))), final(x=(0, (0, "1")), y=(0, (0, "2")))],
        lambda: [op("txn", send("x", "1"), t0=100, t1=200), snapshot(t0=110, t1=120, x=(0, (0, "1"))), snapshot(t0=130, t1=140, x=(0,)),
                 final(x=(0, (0, "1")))]],
    "derived-lost": [lambda: [op("send", send("x", "1", 0)), final(x=(0, (0, "1"))), op("derived", name="sink", of=["x"], values=[], once=True)]],
    "derived-duplicate": [
        lambda: [op("send", send("x", "1", 0)), final(x=(0, (0, "1"))), op("derived", name="sink", of=["x"], values=["1", "1"], once=True)]],
}
# what comes along: who loses a half of a transaction that was acknowledged, say
WITH = {"lost-write": {"torn-transaction"}}


def test_good():
    """no fault is found where there is none"""
    global clock
    for what, history in GOOD.items():
        clock = 0
        tap.equal(checker.check(history()), [], what)


def test_planted():
    """each fault is found, and no other one"""
    global clock
    tap.equal(sorted(BAD), sorted(checker.NAMES), "each name has a history")
    for name, histories in BAD.items():
        for i, history in enumerate(histories):
            clock = 0
            found = checker.check(history())
            names = {n for n, _ in found}
            if not tap.ok(name in names and names <= {name} | WITH.get(name, set()), "%s%s" % (name, " %d" % (i + 1) if i else "")):
                tap.note(found)


if __name__ == "__main__":
    tap.main([test_good, test_planted])
