"""Finds what is wrong in a history of operations, by name.  Pure: it knows no server.

    for name, text in checker.check(operations): ...

An operation is a dict (JSON, one a line in a history's file):

    p     who did it            f     what, see below          type  "ok", "fail" (it has not happened), "unknown"
    t0    when it began         t1    when it ended            tc    of a transaction: when its commit was asked for

A partition is a name, "log:0".  A value is written once at most, by one operation.

    f = "send", "txn"   mops: [["send", partition, value, offset or None], ["poll", partition, [[offset, value], ...]], ...]
                        A txn's are there together or not at all; an offset that is told before the commit counts for nothing (None).
    f = "poll"          mops of polls: a reader goes on where it was
    f = "seek"          parts: a list of partitions where it goes on elsewhere, None: all (an assignment, a rebalance)
    f = "ends"          ends: {partition: [start or None, end or None]}, as Kafka clients are told
    f = "delete"        part, before: an offset
    f = "snapshot"      parts: {partition: [from, [[offset, value], ...]]}: all that one snapshot sees from that offset on; standby: of one,
                        which may be behind
    f = "worker"        p is one of those who must come to something after the end of all faults
    f = "healed"        the end of all faults
    f = "final"         reader, parts: {partition: [start, [[offset, value], ...]]}: a log from its start to its end, after everything
    f = "derived"       name, of: partitions, values, once: what somebody has made of the records of these partitions, one for each:
                        just one (once) or one at least

Siblings: planted.py (the checker's own test), run.py (makes histories), README.md (what each name means).
"""

import bisect
import collections

NAMES = ("lost-write", "inconsistent-offsets", "duplicate", "phantom", "G0", "G1a", "G1b", "G1c", "uncommitted-read", "poll-skip", "int-poll-skip",
         "nonmonotonic-poll", "int-nonmonotonic-poll", "nonmonotonic-send", "int-nonmonotonic-send", "unseen", "zero-end", "end-goes-back",
         "start-goes-back", "stuck", "torn-transaction", "no-prefix", "derived-lost", "derived-duplicate")


def check(operations):
    """[(name, text)], in no particular order; none: all is well."""
    history = _History(operations)
    found = []
    for rule in (places, aborted, uncommitted, lost, unseen, torn, cycles, polls, sends, ends, snapshots, stuck, derived):
        found += rule(history)
    return found


class _Write:
    """A value's, by its operation."""

    def __init__(self, op, part, value, offset):
        self.op, self.part, self.value, self.told = op, part, value, offset

    def __str__(self):
        return "%s in %s%s (%s of %s, %s, %.3f to %.3f)" % (self.value, self.part, "" if self.told is None else " at %d" % self.told,
                                                        self.op["f"], self.op["p"], self.op["type"], self.op["t0"], self.op["t1"])


class _Bound:
    """The largest number that had been told at a time."""

    def __init__(self, told):
        self.times, self.largest = [], []
        for time, number in sorted(told):
            if not self.largest or number > self.largest[-1]:
                self.times.append(time)
                self.largest.append(number)

    def at(self, time):
        i = bisect.bisect_left(self.times, time)
        return self.largest[i - 1] if i else 0


class _History:
    """What all rules ask for."""

    def __init__(self, operations):
        self.ops = sorted(operations, key=lambda op: op["t0"])
        self.writes, self.seen, self.places = {}, {}, collections.defaultdict(dict)
        told_ends, deletes = collections.defaultdict(list), collections.defaultdict(list)
        for op in self.ops:
            for part, value, offset in _sends(op):
                self.writes[value] = _Write(op, part, value, offset)
                if op["type"] == "ok" and offset is not None:
                    self._see(part, offset, value, op)
                    told_ends[part].append((op["t1"], offset + 1))
            for part, records in _reads(op):
                for offset, value in records:
                    self._see(part, offset, value, op)
                if records and op["f"] in ("poll", "txn") and not op.get("sql"):
                    told_ends[part].append((op["t1"], records[-1][0] + 1))
            if op["f"] == "ends":
                for part, (_, end) in op["ends"].items():
                    if end is not None:
                        told_ends[part].append((op["t1"], end))
            if op["f"] == "delete" and op["type"] != "fail":
                deletes[op["part"]].append((op["t0"], op["before"]))
        self.finals = [op for op in self.ops if op["f"] == "final"]
        self.final, self.starts = {}, {}
        for op in self.finals:
            for part, (start, records) in op["parts"].items():
                self.final.setdefault(part, {}).update(map(tuple, records))
                self.starts[part] = max(start, self.starts.get(part, 0))
        self.told_ends = {part: _Bound(told) for part, told in told_ends.items()}
        self.deletes = {part: _Bound(told) for part, told in deletes.items()}
        self.offsets = collections.defaultdict(list)        # all that are known of a partition, in order
        for part, offset in sorted(self.seen):
            self.offsets[part].append(offset)
        self.txns = [op for op in self.ops if op["f"] in ("send", "txn") and op["type"] != "fail"]

    def _see(self, part, offset, value, op):
        self.seen.setdefault((part, offset), {}).setdefault(value, op)
        self.places[value].setdefault((part, offset), op)

    def told_end(self, part, time):
        """No record that was sent later can be before this."""
        return self.told_ends[part].at(time) if part in self.told_ends else 0

    def deleted(self, part, time):
        """What is before this may have been deleted at that time."""
        return self.deletes[part].at(time) if part in self.deletes else 0

    def place(self, value):
        """(partition, offset) or None."""
        return min(self.places[value]) if self.places.get(value) else None

    def may_be_deleted(self, write):
        """Can its record be before the start of the log, now?"""
        start = self.starts.get(write.part, 0)
        place = self.place(write.value)
        return (place[1] if place else self.told_end(write.part, write.op["t0"])) < start

    def is_final(self, write):
        place = self.place(write.value)
        return place is not None and self.final.get(place[0], {}).get(place[1]) == write.value

    def skipped(self, part, first, end, time):
        """The first offset from first on and before end that has a record which was not deleted, or None."""
        first = max(first, self.deleted(part, time))
        offsets = self.offsets[part]
        i = bisect.bisect_left(offsets, first)
        return offsets[i] if i < len(offsets) and offsets[i] < end else None


def _sends(op):
    return [(m[1], m[2], m[3]) for m in op.get("mops", ()) if m[0] == "send"]


def _reads(op):
    """[(partition, [[offset, value], ...])], in order."""
    if op["f"] in ("snapshot", "final"):
        return [(part, what[1]) for part, what in op["parts"].items()]
    return [(m[1], m[2]) for m in op.get("mops", ()) if m[0] == "poll"]


def _who(op):
    return "%s of %s, %.3f to %.3f" % (op.get("reader") or op["f"], op["p"], op["t0"], op["t1"])


# --- the rules: each takes a history and returns [(name, text)]

def places(h):
    """inconsistent-offsets, duplicate, phantom"""
    found = []
    for (part, offset), values in h.seen.items():
        if len(values) > 1:
            found.append(("inconsistent-offsets", "%s offset %d: %s" % (part, offset, "; ".join(
                "%s (%s)" % (v, _who(op)) for v, op in values.items()))))
    for value, where in h.places.items():
        if len(where) > 1:
            found.append(("duplicate", "%s at %s" % (value, "; ".join("%s %d (%s)" % (*place, _who(op)) for place, op in where.items()))))
        if value not in h.writes:
            found.append(("phantom", "%s, which nobody wrote (%s)" % (value, _who(next(iter(where.values()))))))
        elif any(part != h.writes[value].part for part, _ in where):
            found.append(("phantom", "%s, which was written elsewhere: %s" % (list(where), h.writes[value])))
    return found


def aborted(h):
    """G1a: a read of what was aborted, or refused"""
    return [("G1a", "%s, seen at %s by %s" % (w, *next(iter(h.places[w.value].items())))) for w in h.writes.values()
            if w.op["type"] == "fail" and h.places.get(w.value)]


def uncommitted(h):
    """uncommitted-read: somebody has read it before its commit was asked for"""
    found = []
    for op in h.ops:
        for part, records in _reads(op):
            for offset, value in records:
                w = h.writes.get(value)
                if w is not None and op["t1"] < w.op.get("tc", w.op["t0"]):
                    found.append(("uncommitted-read", "%s at %s %d, by %s" % (w, part, offset, _who(op))))
    return found


def lost(h):
    """lost-write: acknowledged, or seen by somebody, and not there at the end"""
    if not h.finals:
        return []
    found = []
    for w in h.writes.values():
        if w.part not in h.final or h.is_final(w) or h.may_be_deleted(w):
            continue
        place = h.place(w.value)
        if w.op["type"] == "ok":
            found.append(("lost-write", "%s%s" % (w, ", seen by " + _who(h.places[w.value][place]) if place else "")))
        elif place and w.op["type"] == "unknown":
            found.append(("lost-write", "%s, not acknowledged but seen at %s %d by %s" % (w, *place, _who(h.places[w.value][place]))))
    return found


def unseen(h):
    """unseen: at the end, one reader has it and another has not"""
    found = []
    for op in h.finals:
        for part, (start, records) in op["parts"].items():
            missing = sorted(set(h.final[part]) - {r[0] for r in records})
            missing = [offset for offset in missing if offset >= max(start, h.starts[part])]
            if missing:
                found.append(("unseen", "%s does not see %d records of %s, the first at %d: %s" % (
                    op["reader"], len(missing), part, missing[0], h.final[part][missing[0]])))
    return found


def torn(h):
    """torn-transaction: at the end, a part of a transaction is there"""
    found = []
    if not h.finals:
        return []
    for op in h.txns:
        writes = [h.writes[v] for part, v, _ in _sends(op) if part in h.final] if op["f"] == "txn" else []
        there = [w for w in writes if h.is_final(w)]
        gone = [w for w in writes if not h.is_final(w) and not h.may_be_deleted(w)]
        if there and gone:
            found.append(("torn-transaction", "there: %s; not there: %s" % (there[0], gone[0])))
    return found


def cycles(h):
    """G0: a cycle in the order of writes; G1c: one with reads in it"""
    ww, wr = collections.defaultdict(set), collections.defaultdict(set)
    number = {id(op): i for i, op in enumerate(h.txns)}
    node = {value: (number.get(id(w.op)) if w.op["f"] == "txn" else value) for value, w in h.writes.items()}
    for part, offsets in h.offsets.items():
        order = [node.get(next(iter(h.seen[part, offset]))) for offset in offsets]
        order = [n for n in order if n is not None]
        for a, b in zip(order, order[1:]):
            if a != b:
                ww[a].add(b)
    for op in h.txns:
        for _, records in _reads(op):
            for _, value in records:
                if node.get(value) is not None and node[value] != number[id(op)]:
                    wr[node[value]].add(number[id(op)])

    def name(n):
        return "%s (txn of %s at %.3f)" % (_sends(h.txns[n])[:1], h.txns[n]["p"], h.txns[n]["t0"]) if isinstance(n, int) else n
    found = [("G0", " and ".join(map(name, circle[:6]))) for circle in _circles(ww)]
    both = {a: ww[a] | wr[a] for a in set(ww) | set(wr)}
    for circle in _circles(both):
        inside = set(circle)
        edge = next(((a, b) for a in circle for b in wr[a] if b in inside), None)
        if edge:
            found.append(("G1c", "%s is read by %s; between: %s" % (name(edge[0]), name(edge[1]), " and ".join(map(name, circle[:6])))))
    return found


def _circles(arrows):
    """The strongly connected components with more than one node (Tarjan's algorithm, without recursion)."""
    order, low, stack, on_stack, found = {}, {}, [], set(), []
    for root in list(arrows):
        if root in order:
            continue
        work = [(root, iter(arrows.get(root, ())))]
        order[root] = low[root] = len(order)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, others = work[-1]
            other = next(others, None)
            if other is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == order[node]:
                    circle = []
                    while not circle or circle[-1] != node:
                        circle.append(stack.pop())
                    on_stack.difference_update(circle)
                    if len(circle) > 1:
                        found.append(circle)
            elif other not in order:
                order[other] = low[other] = len(order)
                stack.append(other)
                on_stack.add(other)
                work.append((other, iter(arrows.get(other, ()))))
            elif other in on_stack:
                low[node] = min(low[node], order[other])
    return found


def polls(h):
    """poll-skip, nonmonotonic-poll: between two polls of a reader, or inside of one (int-)"""
    found, following = [], collections.defaultdict(dict)     # reader: {partition: its next offset}
    for op in h.ops:
        at = following[op["p"]]
        if op["f"] == "seek":
            for part in list(at) if op["parts"] is None else op["parts"]:
                at.pop(part, None)
        elif op["f"] in ("poll", "txn"):
            fresh = set()
            for part, records in _reads(op):
                for offset, value in records:
                    kind = "int-" if part in fresh else ""
                    fresh.add(part)
                    what = "%s offset %d (%s), %%s %%s, by %s" % (part, offset, value, _who(op))
                    if offset < at.get(part, 0):
                        found.append((kind + "nonmonotonic-poll", what % ("after", at[part] - 1)))
                    skipped = h.skipped(part, at[part], offset, op["t1"]) if part in at else None
                    if skipped is not None:
                        found.append((kind + "poll-skip", what % ("passing over", "%d (%s)" % (skipped, next(iter(h.seen[part, skipped]))))))
                    at[part] = offset + 1
    return found


def sends(h):
    """nonmonotonic-send: what a process has sent later is before what it has sent earlier"""
    found, last = [], {}
    for op in h.ops:
        fresh = set()
        for part, value, offset in _sends(op):
            place = (part, offset) if offset is not None else h.place(value)
            if op["type"] != "ok" or place is None or place[0] != part:
                continue
            before = last.get((op["p"], part))
            if before is not None and place[1] <= before[0]:
                found.append((("int-" if part in fresh else "") + "nonmonotonic-send", "%s is at %d, %s before it at %d" % (
                    h.writes[value], place[1], before[1], before[0])))
            last[op["p"], part] = place[1], value
            fresh.add(part)
    return found


def ends(h):
    """zero-end, end-goes-back, start-goes-back: what clients are told of a log's ends"""
    found = []
    starts = collections.defaultdict(list)
    for op in h.ops:
        for part, (start, _) in op.get("ends", {}).items():
            if start is not None:
                starts[part].append((op["t1"], start))
    starts = {part: _Bound(told) for part, told in starts.items()}
    for op in h.ops:
        for part, (start, end) in op.get("ends", {}).items():
            known = h.told_end(part, op["t0"])
            if end is not None and end < known:
                found.append(("zero-end" if end == 0 else "end-goes-back", "%s: %d, after %d, by %s" % (part, end, known, _who(op))))
            if start is not None and start < starts[part].at(op["t0"]):
                found.append(("start-goes-back", "%s: %d, after %d, by %s" % (part, start, starts[part].at(op["t0"]), _who(op))))
    return found


class _Order:
    """The records of a partition in order, with their operations."""

    def __init__(self, h, part):
        self.offsets, self.ops, self.latest, self.earliest = [], [], [], []
        for offset in h.offsets[part]:
            write = h.writes.get(next(iter(h.seen[part, offset])))
            if write is not None and write.op["type"] != "fail":
                self.offsets.append(offset)
                self.ops.append(write.op)
        for op in self.ops:             # of those until here, the one that began last
            self.latest.append(op if not self.latest or op["t0"] > self.latest[-1]["t0"] else self.latest[-1])
        for op in reversed(self.ops):   # of those from here on, when the first began
            self.earliest.append(min(op["t0"], self.earliest[-1] if self.earliest else op["t0"]))
        self.earliest.reverse()

    def latest_before(self, offset):
        i = bisect.bisect_left(self.offsets, offset)
        return self.latest[i - 1] if i else None

    def from_on(self, offset, time):
        """(offset, operation) of what is behind the offset, but for what began after that time."""
        i = bisect.bisect_left(self.offsets, offset)
        while i < len(self.offsets) and self.earliest[i] < time:
            yield self.offsets[i], self.ops[i]
            i += 1


def snapshots(h):
    """no-prefix, G1b, torn-transaction: what a snapshot sees is no prefix of the order of commits"""
    found = []
    snaps = [op for op in h.ops if op["f"] == "snapshot"]
    shown = collections.defaultdict(list)       # partition: (time, end) of earlier snapshots
    for op in snaps:
        for part, (_, records) in op["parts"].items():
            if records and not op.get("standby"):
                shown[part].append((op["t1"], records[-1][0] + 1))
    shown = {part: _Bound(told) for part, told in shown.items()}
    orders = {part: _Order(h, part) for part in set().union(*(op["parts"] for op in snaps))}
    for op in snaps:
        until = {}
        for part, (first, records) in op["parts"].items():
            until[part] = records[-1][0] + 1 if records else first
            expected = first
            for offset, _ in records:
                hole = h.skipped(part, expected, offset, op["t1"])
                if hole is not None:
                    found.append(("no-prefix", "%s offset %d is not seen, %d is, by %s" % (part, hole, offset, _who(op))))
                expected = offset + 1
            earlier = shown[part].at(op["t0"]) if part in shown and not op.get("standby") else 0
            if until[part] < earlier and h.skipped(part, until[part], earlier, op["t1"]) is not None:
                found.append(("no-prefix", "%s ends at %d, and did at %d in an earlier snapshot, by %s" % (part, until[part], earlier, _who(op))))
        found += _frontier(h, op, until, orders)
    return found


def _frontier(h, snapshot, until, orders):
    """Of one snapshot, which sees each partition until an offset: whole transactions, and all that ended before another that it sees began."""
    found, told = [], set()
    latest = max((op for op in (orders[part].latest_before(end) for part, end in until.items()) if op), key=lambda op: op["t0"], default=None)
    for part, end in until.items():
        for offset, op in orders[part].from_on(max(end, h.deleted(part, snapshot["t1"])), snapshot["t1"]):
            if id(op) in told:
                continue
            told.add(id(op))
            where = [h.place(value) for _, value, _ in _sends(op)] if op["f"] == "txn" else []
            seen = [p for p in where if p and p[0] in until and p[1] < until[p[0]]]
            if seen:
                same = part in {p[0] for p in seen}
                found.append(("G1b" if same else "torn-transaction", "of the transaction of %s at %.3f, %s %d is seen, %s %d is not, by %s" % (
                    op["p"], op["t0"], *seen[0], part, offset, _who(snapshot))))
            elif op["type"] == "ok" and op["t1"] < snapshot["t0"] and not snapshot.get("standby"):
                found.append(("no-prefix", "%s %d was acknowledged (%s), and is not seen by %s" % (part, offset, _who(op), _who(snapshot))))
            elif op["type"] == "ok" and latest is not None and op["t1"] < latest["t0"]:
                found.append(("no-prefix", "%s %d (%s) is not seen, and what began after it (%s) is, by %s" % (
                    part, offset, _who(op), _who(latest), _who(snapshot))))
    return found


def stuck(h):
    """stuck: somebody who comes to nothing once all faults have ended"""
    healed = max((op["t0"] for op in h.ops if op["f"] == "healed"), default=None)
    if healed is None:
        return []
    well = {op["p"] for op in h.ops if op["t0"] >= healed and op["type"] == "ok" and op["f"] not in ("worker", "healed", "seek")}
    return [("stuck", op["p"]) for op in h.ops if op["f"] == "worker" and op["p"] not in well]


def derived(h):
    """derived-lost, derived-duplicate: what was made of the records of some partitions"""
    found = []
    for op in h.ops:
        if op["f"] != "derived":
            continue
        made = collections.Counter(op["values"])
        source = {v for part in op["of"] for v in h.final.get(part, {}).values()}
        found += [("derived-lost", "%s: nothing for %s" % (op["name"], h.writes.get(v, v))) for v in sorted(source - set(made))]
        found += [("phantom", "%s: something for %s, which is not there" % (op["name"], h.writes.get(v, v))) for v in sorted(set(made) - source)]
        if op["once"]:
            found += [("derived-duplicate", "%s: %d times for %s" % (op["name"], n, h.writes.get(v, v))) for v, n in made.items() if n > 1]
    return found
