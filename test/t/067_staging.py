#!/usr/bin/env python3
"""What Kafka transactions stage, and its commit as one transaction, without the protocol and its coordinator: the test
functions of src/func/test_stage.c say what these would. Memory and files, limits, order, sequences, code of users, locks,
errors, crashes.
"""

import glob
import os
import resource
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
import cluster as pg   # noqa: E402
import faults          # noqa: E402
import points          # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402

READY, LOST, OPEN, DOOMED, ENDING, GONE = range(6)
OK, UNKNOWN_PARTITION, TOO_LARGE, INVALID_RECORD, OUT_OF_ORDER, FORBIDDEN, NOT_STAGED = 0, 3, 6, 7, 10, 15, 16
INVALID_EPOCH, INVALID_TXN_STATE, INVALID_MAPPING, CONCURRENT, ABORTABLE = 47, 48, 49, 51, 120
TRANSACTIONAL = 0x10
PATIENCE = 60

server = stop = disk = None
last_id = 1 << 40       # far beyond those that the server gives
last_serial = 1000


class Producer:
    """A transactional producer, and what its coordinator would say of it."""

    def __init__(self, v2=True, epoch=0, phase=READY):
        global last_id
        last_id += 1
        self.id, self.epoch, self.v2 = last_id, epoch, v2
        self.name = "t%d" % last_id
        self.sequences = {}
        self.serial = self.next_serial()
        self.publish(phase)

    @staticmethod
    def next_serial():
        global last_serial
        last_serial += 1
        return last_serial

    def publish(self, phase):
        server.sql("SELECT stage_publish(%d, %d, %d, %d, '%s')" % (self.id, self.epoch, self.serial, phase, self.name))

    def add(self, *leaves):
        """v1: these partitions come to the transaction, which is open then."""
        self.publish(OPEN)
        for leaf in leaves:
            server.sql("SELECT stage_add(%d, %d, '%s')" % (self.id, self.serial, leaf))

    def batch(self, values, sequence, epoch=None, key=None, attributes=TRANSACTIONAL):
        return raw.Batch([(key, v) for v in values], timestamp=int(time.time() * 1000), producer_id=self.id,
                         producer_epoch=self.epoch if epoch is None else epoch, base_sequence=sequence,
                         attributes=attributes).encode()

    def send(self, leaf, *values, sequence=None, role=None, **more):
        """[status, error of the transaction, base offset]"""
        at = self.sequences.get(leaf, 0) if sequence is None else sequence
        name = more.pop("name", self.name)
        got = self.send_bytes(leaf, self.batch(values, at, **more), role=role, name=name)
        if got[0] == OK and sequence is None:
            self.sequences[leaf] = at + len(values)
        return got

    def send_query(self, leaf, data, role=None, name=None):
        return ("SELECT array_to_string(stage_batch('%s', %s, '%s', %s, '\\x%s'), ',')"
                % (leaf, "'%s'" % role if role else "'-'", name or self.name, self.v2, data.hex()))

    def send_bytes(self, leaf, data, **more):
        return [int(n) for n in server.sql(self.send_query(leaf, data, **more)).split(",")]

    def stats(self):
        """[batches, bytes in memory, bytes on disk, partitions]"""
        return [int(n) for n in server.sql("SELECT array_to_string(stage_stats(%d), ',')" % self.id).split(",")]

    def news(self):
        return server.sql("SELECT stage_news(%d)" % self.id)

    def offset(self, group, topic, partition, offset):
        return int(server.sql("SELECT stage_offset(%d, %d, '%s', '%s', %d, %d)"
                              % (self.id, self.epoch, group, topic, partition, offset)))

    def post(self, state=None, record="Complete"):
        """The order to commit."""
        self.publish(ENDING)
        return server.sql("SELECT stage_commit(%d, %d, '%s', '%s', '%s', '%s')"
                          % (self.id, self.serial, self.name, state or STATE, self.name, record))

    def committed(self, record="Complete"):
        """Has the record of the commit come?"""
        return server.wait_for("SELECT count(*) > 0 FROM topics.states WHERE key = '%s' AND value = '%s'" % (self.name, record),
                               timeout=PATIENCE) == "t"

    def after(self, bump=True):
        """What the coordinator says when the transaction has ended."""
        self.serial = self.next_serial()
        if bump:
            self.epoch += 1
            self.sequences = {}
        self.publish(READY)

    def commit(self, **more):
        self.post()
        done = self.committed()
        self.after(**more)
        return done

    def drop(self):
        server.sql("SELECT stage_drop(%d, %d)" % (self.id, self.serial))


STATE = 'topics."states"'


def topic(name, partitions=1, **more):
    server.sql("SELECT create_topic('%s', %d)" % (name, partitions))
    return [server.sql("SELECT inhrelid::regclass FROM pg_inherits i JOIN pg_class c ON c.oid = inhrelid "
                       "WHERE inhparent = 'topics.%s'::regclass ORDER BY c.oid OFFSET %d LIMIT 1" % (name, i))
            for i in range(partitions)]


def values(name):
    return server.sql("SELECT coalesce(string_agg(convert_from(value, 'UTF8'), ',' ORDER BY partition, \"offset\"), '') "
                      "FROM topics.%s" % name)


def failures():
    return server.log_text().count("could not commit a Kafka transaction")


def await_failure(before, what):
    deadline = time.monotonic() + PATIENCE
    while failures() == before and time.monotonic() < deadline:
        time.sleep(0.02)
    tap.ok(failures() == before + 1, what)
    return server.log_text().rsplit("could not commit a Kafka transaction", 1)[1]


def files():
    return glob.glob(server.data + "/base/pgsql_tmp/*/*")


def await_coordinator():
    """It has begun, and will not make the stage empty any more."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            server.sql("SELECT abort_transaction('nobody')")
        except pg.SqlError as problem:
            if "there is no transactional id" in str(problem):
                return
        time.sleep(0.05)
    raise RuntimeError("the coordinator of transactions does not begin")


def worker_waits(pattern="pgtopic transaction worker%", n=1, timeout=PATIENCE):
    return server.wait_for("SELECT count(*) >= %d FROM pg_stat_activity WHERE application_name LIKE '%s' AND wait_event_type = 'Lock'"
                           % (n, pattern), timeout=timeout) == "t"


def test_commit():
    """two partitions and the record of the id become visible in one transaction"""
    a, b = topic("plain", 2)
    p = Producer()
    tap.equal(p.send(a, "a0", "a1"), [OK, 0, 0], "a batch is staged, with the offset it would get")
    tap.equal(p.send(b, "b0"), [OK, 0, 0], "one of another partition")
    tap.equal(p.send(a, "a2"), [OK, 0, 2], "the next one follows what is staged")
    tap.equal(p.news(), "%d 2" % p.serial, "the coordinator is told of two partitions")
    tap.equal(p.news(), "", "once")
    tap.equal([p.stats()[i] for i in (0, 2, 3)], [3, 0, 2], "three batches in memory, of two partitions")
    tap.equal(values("plain"), "", "nobody sees them")
    server.sql("SELECT produce('plain', 'between', partition => 0)")
    tap.ok(p.commit(), "it is committed")
    tap.equal(values("plain"), "between,a0,a1,a2,b0", "and whole, behind what was committed before")
    tap.equal(p.stats(), [0, 0, 0, 0], "nothing is staged any more")
    tap.equal(p.send(a, "again"), [OK, 0, 4], "the next transaction begins at the end of the log")
    p.drop()
    p.after()
    tap.equal(values("plain"), "between,a0,a1,a2,b0", "and leaves nothing when it is dropped")


def test_admission():
    """who may stage what, code by code"""
    leaf, other = topic("admitted", 2)
    p = Producer(v2=False)
    tap.equal(p.send(leaf, "x"), [NOT_STAGED, INVALID_TXN_STATE, -1], "v1: no transaction was begun")
    p.add(leaf)
    tap.equal(p.send(other, "x"), [NOT_STAGED, INVALID_TXN_STATE, -1], "v1: the partition was not added")
    tap.equal(p.send(leaf, "x", name="stranger"), [NOT_STAGED, INVALID_MAPPING, -1], "another transactional id")
    tap.equal(p.send(leaf, "x", epoch=7), [NOT_STAGED, INVALID_EPOCH, -1], "another epoch")
    tap.equal(p.send(leaf, "x", attributes=0)[0], INVALID_RECORD, "a batch that is not transactional")
    tap.equal(p.send(leaf, "x", sequence=5)[0], OUT_OF_ORDER, "the first sequence of an epoch is 0")
    tap.equal(p.send(leaf, "x", "y"), [OK, 0, 0], "what is right is taken")
    tap.equal(p.send(leaf, "x", "y", sequence=0), [OK, 0, 0], "a retry is answered as the first time")
    tap.equal(p.send(leaf, "x", sequence=9)[0], OUT_OF_ORDER, "a gap is none")
    tap.equal(p.send(leaf, "z"), [OK, 0, 2], "and the next one is taken")
    tap.equal(p.stats()[0], 2, "two batches are staged")
    p.publish(ENDING)
    tap.equal(p.send(leaf, "x"), [NOT_STAGED, CONCURRENT, -1], "not while it ends")
    p.drop()
    p.after(bump=False)
    p.add(leaf)
    tap.equal(p.send(leaf, "w")[0], OK, "v1 goes on counting over an abort")
    tap.ok(p.commit(bump=False), "and commits")
    tap.equal(values("admitted"), "w", "what was not aborted")
    p.publish(GONE)
    tap.equal(p.send(leaf, "x"), [NOT_STAGED, INVALID_MAPPING, -1], "a producer id that is gone")
    lost = Producer(v2=False, phase=LOST)
    lost.add(leaf)
    tap.equal(lost.send(leaf, "v", sequence=40)[0], OK, "of one that was before a restart any sequence is taken")
    lost2 = Producer(phase=LOST)
    tap.equal(lost2.send(leaf, "x"), [NOT_STAGED, INVALID_EPOCH, -1], "v2 must abort after a restart")


def test_files():
    """what has no room in memory goes to a file, and comes back in order"""
    leaves = topic("large", 3)
    server.set(**{"pgtopic.transaction_buffer": "64kB"})
    server.reload()
    server.wait_for("SELECT current_setting('pgtopic.transaction_buffer') = '64kB'")
    p = Producer()
    text = []
    for n in range(60):
        leaf = leaves[n % 3]
        value = "%d-%s" % (n, "x" * 5000)
        text.append((n % 3, value))
        got = p.send(leaf, value)
        if got != [OK, 0, n // 3]:
            tap.equal(got, [OK, 0, n // 3], "batch %d" % n)
    stats = p.stats()
    tap.ok(0 < stats[1] <= 65536 < stats[2] and stats[0] == 60, "some in memory, some on disk: %s" % stats)
    tap.equal(len(files()), 1, "in one file")
    tap.equal(os.path.basename(os.path.dirname(files()[0])), "pgsql_tmp%d.0.fileset" % server.postmaster_pid(),
              "in a directory that no backend takes for its own")
    q = Producer()
    q.send(leaves[0], "y" * 70000)
    tap.equal(len(files()), 2, "a large batch alone goes to a file, too")
    q.drop()
    tap.equal(len(files()), 1, "which is gone with its transaction")
    tap.ok(p.commit(), "the transaction is committed")
    tap.equal(values("large"), ",".join(v for _, v in sorted(text, key=lambda x: x[0])), "whole, and in order")
    tap.equal(len(files()), 0, "its file is gone")


def setting(name, value):
    """None: as it was"""
    before = server.sql("SELECT current_setting('%s')" % name)
    server.set(**{name: value})
    server.reload()
    server.wait_for("SELECT current_setting('%s') %s '%s'" % ((name, "=", value) if value else (name, "<>", before)))


def test_sent_again():
    """a batch that could not be kept is no duplicate when it comes again"""
    leaf, = topic("again")
    setting("pgtopic.transaction_buffer", "1kB")
    p = Producer()
    stop.fail("stage.file")
    stop.set("stage.doom")
    session = server.session()
    session.send(p.send_query(leaf, p.batch(["v" * 2000], 0)))
    stop.await_("stage.doom")
    tap.equal(p.send(leaf, "v" * 2000), [OK, 0, 0], "over another connection it is taken, before the first one's end")
    tap.equal(p.stats()[0], 1, "and kept")
    p.post()
    tap.ok(p.committed(), "its transaction is committed")
    tap.equal(values("again"), "v" * 2000, "with it")
    stop.release("stage.doom")
    session.answer()
    session.close()
    p.after()
    setting("pgtopic.transaction_buffer", None)


def test_full_disk():
    """a file that could not be written is removed with its transaction"""
    leaf, = topic("full")
    setting("pgtopic.transaction_buffer", "1kB")
    p = Producer()
    disk.set("write", "ENOSPC pgsql_tmp")
    tap.equal(p.send(leaf, "f" * 20000), [NOT_STAGED, ABORTABLE, -1], "the first batch that goes to a file meets a full disk")
    disk.clear("write")
    tap.equal(files(), [], "the file does not stay")
    p.drop()
    p.after()
    p.send(leaf, "g" * 20000)
    tap.ok(p.commit(), "the next transaction is committed")
    tap.equal(values("full"), "g" * 20000, "alone")
    setting("pgtopic.transaction_buffer", None)


def test_damaged_file():
    """bytes of a file that are not those that were written get into no log"""
    leaf, = topic("damaged")
    setting("pgtopic.transaction_buffer", "1kB")
    p = Producer()
    p.send(leaf, "d" * 5000)
    with open(files()[0], "r+b") as f:
        f.seek(3000)
        f.write(b"X")
    before = failures()
    p.post()
    tap.matches("is damaged", await_failure(before, "a commit finds a byte changed"), "and is refused")
    tap.equal(values("damaged"), "", "nothing is in the log")
    p.drop()
    p.after()
    setting("pgtopic.transaction_buffer", None)


def test_limits():
    """a transaction whose batches cannot be kept is doomed"""
    leaf, = topic("limited")
    for setting, value in (("temp_file_limit", "100kB"), ("pgtopic.transaction_disk", "0")):
        before = server.settings.get(setting)
        server.set(**{setting: value})
        server.reload()
        server.wait_for("SELECT current_setting('%s') = '%s'" % (setting, value))
        p = Producer()
        got = [p.send(leaf, "z" * 60000) for _ in range(3)]
        tap.equal(got[-1], [NOT_STAGED, ABORTABLE, -1], "%s: the batch that is too much is refused" % setting)
        tap.equal(p.send(leaf, "small"), [NOT_STAGED, ABORTABLE, -1], "and whatever comes then")
        tap.equal(p.news(), "%d 1 doomed" % p.serial, "the coordinator is told")
        tap.equal((p.stats(), files()), ([0, 0, 0, 0], []), "nothing of it is kept")
        count = failures()
        p.post()
        await_failure(count, "nor can it be committed")
        p.after()
        tap.equal(p.send(leaf, "fresh")[0], OK, "the next transaction of its producer is not")
        p.drop()
        p.after()
        server.set(**{setting: before})
        server.reload()
        server.wait_for("SELECT current_setting('%s') <> '%s'" % (setting, value))
    tap.equal(values("limited"), "", "nothing was committed")


def test_offsets_wait():
    """a commit that waits where __consumer_offsets is made has a deadline, too"""
    setting("pgtopic.executor_timeout", "500ms")
    session = server.session()
    session.sql("BEGIN; CREATE TABLE topics.__consumer_offsets ()")
    p = Producer(v2=False)
    p.add()
    p.offset("waiting", "nothing", 0, 5)
    before = failures()
    p.post()
    tap.matches("may try again", await_failure(before, "it fails"), "and may be tried again")
    session.sql("ROLLBACK")
    session.close()
    setting("pgtopic.executor_timeout", None)
    tap.ok(p.commit(bump=False), "then it succeeds")


def test_offsets():
    """offsets of groups are committed with the rest"""
    leaf, = topic("consumed")
    p = Producer(v2=False)
    p.add(leaf)
    tap.equal(p.offset("workers", "consumed", 0, 5), 0, "an offset is staged")
    tap.equal(p.offset("workers", "consumed", 0, 7), 0, "and a later one")
    p.send(leaf, "v")
    query = "SELECT coalesce(max(\"offset\"), -1) FROM list_group_offsets() WHERE group_id = 'workers'"
    tap.equal(server.sql(query), "-1", "nobody sees it")
    tap.ok(p.commit(bump=False), "the transaction is committed")
    tap.equal(server.sql(query), "7", "and the last offset")
    p.add()
    p.offset("workers", "consumed", 0, 9)
    p.drop()
    p.after(bump=False)
    tap.equal(server.sql(query), "7", "an abort moves none")
    p.publish(ENDING)
    tap.equal(p.offset("workers", "consumed", 0, 9), CONCURRENT, "not while it ends")
    p.after()


def test_full_memory():
    """batches take no memory that offsets of groups need"""
    leaf, = topic("filled")
    server.set(**{"pgtopic.transaction_memory": "1MB", "pgtopic.transaction_buffer": "10MB"})
    server.reload()
    server.wait_for("SELECT current_setting('pgtopic.transaction_buffer') = '10MB'")
    p = Producer(v2=False)
    p.add(leaf)
    for _ in range(20):
        p.send(leaf, "f" * 60000)
    stats = p.stats()
    tap.ok(stats[0] == 20 and stats[2] > 0, "a transaction fills it, and goes on in a file: %s" % stats)
    q = Producer(v2=False)
    q.add()
    tap.equal([q.offset("fillers", "filled", 0, n) for n in range(100)], [0] * 100, "another one stages offsets")
    tap.ok(p.commit(bump=False) and q.commit(bump=False), "both are committed")
    tap.equal(server.sql("SELECT count(*) FROM topics.filled"), "20", "with all batches")
    server.set(**{"pgtopic.transaction_memory": None, "pgtopic.transaction_buffer": None})
    server.reload()


def test_no_shared_memory():
    """the system gives no more shared memory: that costs no more than what had none, and the process goes on"""
    leaf, other = topic("unshared", 2)
    server.set(**{"pgtopic.transaction_buffer": "32MB"})
    server.reload()
    server.wait_for("SELECT current_setting('pgtopic.transaction_buffer') = '32MB'")
    q, r = Producer(v2=False), Producer()
    q.add(other)
    session = server.session()
    pid = int(session.sql("SELECT pg_backend_pid()"))
    session.sql("SELECT stage_stats(%d)" % q.id)
    # no file of this process may be longer, and a segment of shared memory is
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (980000, resource.RLIM_INFINITY))
    filled = []
    while len(filled) < 50 and (not filled or filled[-1].stats()[2] == 0):
        p = Producer()
        filled.append(p)
        got = session.sql("SELECT array_to_string(stage_batch('%s', '-', '%s', true, '\\x%s'), ',')"
                          % (leaf, p.name, p.batch(["u" * 900000], 0).hex()))
        if got.split(",")[0] != str(OK):
            break
    tap.equal(got.split(",")[0], str(OK), "each batch is taken")
    stats = p.stats()
    tap.ok(stats[0] == 1 and stats[1] == 0 and stats[2] > 900000, "the last one into a file: %s" % stats)
    tap.equal(session.sql("SELECT count(*) FROM pg_class WHERE relname = 'pg_class'"), "1", "the session goes on")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))
    tap.equal(session.sql("SELECT count(stage_add(%d, %d, n::oid::regclass)) FROM (SELECT generate_series(16384, 50000)) AS s (n)"
                          % (q.id, q.serial)), str(50000 - 16384 + 1), "partitions that have no memory are no error")
    tap.ok(server.sql("SELECT stage_news(%d)" % q.id).endswith("doomed"), "but the end of their transaction")
    new = "SELECT stage_publish(%d, 0, %d, %d, repeat('n', %d))" % (r.id + 1000000, r.next_serial(), READY, 8000000)
    tap.equal(session.sql(new), "", "nor is a new producer that has none")
    tap.ok(any("no shared memory for a producer" in line for line in server.log_tail(200).splitlines()), "the log tells")
    tap.equal(server.sql("SELECT stage_stats(%d) IS NULL" % (r.id + 1000000)), "t", "it is not there")
    tap.equal(r.send(leaf, "r")[0], OK, "others stage")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    session.sql(new)
    tap.equal(server.sql("SELECT stage_stats(%d) IS NULL" % (r.id + 1000000)), "f", "it is there when there is memory again")
    tap.ok(p.commit() and r.commit(), "what was staged is committed")
    for p in filled[:-1]:
        p.drop()
    session.sql("SELECT stage_publish(%d, 0, 0, %d, 'n')" % (r.id + 1000000, GONE))
    q.drop()
    session.close()
    server.set(**{"pgtopic.transaction_buffer": None})
    server.reload()


def test_code_of_users():
    """triggers run with the commit, and one that refuses refuses all of it"""
    a, b = topic("judged", 2)
    server.sql("""CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
            IF new.value = 'bad' THEN RAISE 'bad record'; END IF;
            new.value := new.value || '!';
            RETURN new;
        END$$;
        CREATE TRIGGER judge BEFORE INSERT ON topics."judged#1" FOR EACH ROW EXECUTE FUNCTION judge()""")
    p = Producer()
    p.send(a, "one")
    p.send(b, "two", "three")
    tap.ok(p.commit(), "code of users runs")
    tap.equal(values("judged"), "one,two!,three!", "and has its say")
    p.send(a, "four")
    p.send(b, "five", "bad")
    before = failures()
    p.post()
    tap.matches("can only be aborted", await_failure(before, "a trigger that refuses"), "dooms the transaction")
    p.drop()
    p.after()
    tap.equal(values("judged"), "one,two!,three!", "and nothing of it is there")


def test_changes():
    """what has changed since the batches came is looked at when they are committed"""
    gone, = topic("gone")
    right, = topic("rights")
    small, = topic("small")
    server.sql("CREATE ROLE writer; GRANT INSERT ON topics.rights TO writer; GRANT USAGE ON SCHEMA topics TO writer")
    for what, leaf, change, pattern in (
            ("a topic that was dropped", gone, "DROP TABLE topics.gone", "does not exist"),
            ("a right that was taken", right, "REVOKE INSERT ON topics.rights FROM writer", "may not write"),
            ("a smaller max.message.bytes", small, "SELECT alter_topic('small', '{\"max.message.bytes\": 100}')", "max.message.bytes")):
        p = Producer()
        tap.equal(p.send(leaf, "v" * 200, role="writer" if leaf == right else None)[0], OK, what)
        server.sql(change)
        before = failures()
        p.post()
        tap.matches(pattern, await_failure(before, "refuses the commit"), "and is named")
        p.drop()
        p.after()
    tap.equal(values("rights") + values("small"), "", "nothing was committed")


def test_locks():
    """a commit waits for a session like a session, until its deadline; then it may be tried again"""
    a, b = topic("locked", 2)
    session = server.session()
    session.sql("BEGIN; SELECT append('locked:1', 'mine'::text)")
    p = Producer()
    p.send(a, "one")
    p.send(b, "two")
    p.post()
    tap.ok(worker_waits(), "the commit waits for a session's append")
    tap.equal(values("locked"), "", "and nothing of it is visible")
    free = Producer()
    leaf, = topic("unlocked")
    free.send(leaf, "quick")
    tap.ok(free.commit(), "another one overtakes it")
    session.sql("COMMIT")
    tap.ok(p.committed(), "it goes on when the session has ended")
    p.after()
    tap.equal(values("locked"), "one,mine,two", "behind what was first")
    server.set(**{"pgtopic.executor_timeout": "500ms"})
    server.reload()
    server.wait_for("SELECT current_setting('pgtopic.executor_timeout') = '500ms'")
    session.sql("BEGIN; SELECT append('locked:1', 'more'::text)")
    p.send(a, "three")
    p.send(b, "four")
    before = failures()
    p.post()
    tap.matches("may try again", await_failure(before, "a commit that waits too long fails"), "and may be tried again")
    tap.equal(p.stats()[0], 2, "all stays staged")
    session.sql("ROLLBACK")
    session.close()
    server.set(**{"pgtopic.executor_timeout": None})
    server.reload()
    tap.ok(p.commit(), "then it succeeds")
    tap.equal(values("locked"), "one,three,mine,two,four", "once")


def test_slow():
    """those that were not done in time leave a worker to the others"""
    leaf, = topic("held")
    free, = topic("free")
    setting("pgtopic.executor_timeout", "500ms")
    session = server.session()
    session.sql("BEGIN; SELECT append('held:0', 'mine'::text)")
    slow = [Producer() for _ in range(3)]
    for n, p in enumerate(slow):
        p.send(leaf, "s%d" % n)
        before = failures()
        p.post()
        await_failure(before, "commit %d into a table that is held fails" % n)
    setting("pgtopic.executor_timeout", "10min")
    for p in slow:
        p.post()
    tap.ok(worker_waits(), "all are tried again, and wait")
    quick = Producer()
    quick.send(free, "quick")
    quick.post()
    tap.ok(quick.committed(), "another one is committed meanwhile")
    tap.ok(not worker_waits(n=2, timeout=0), "as a worker was left to it")
    session.sql("COMMIT")
    session.close()
    tap.ok(all(p.committed() for p in slow), "then the others are")
    for p in slow + [quick]:
        p.after()
    tap.equal(sorted(values("held").split(",")), ["mine", "s0", "s1", "s2"], "once")
    setting("pgtopic.executor_timeout", None)


def test_failed_start():
    """a worker that fails with a lock held ends, and another comes"""
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgtopic transaction worker%'"
    pid = int(server.sql(query.replace("count(*)", "min(pid)")))
    stop.fail("txn_jobs.attach")
    server.sql("SELECT pg_terminate_backend(%d, 60000)" % pid)
    deadline = time.monotonic() + PATIENCE
    while not stop.failed("txn_jobs.attach") and time.monotonic() < deadline:
        time.sleep(0.02)
    tap.ok(stop.failed("txn_jobs.attach"), "one that begins fails")
    tap.equal(server.wait_for(query, "2", timeout=PATIENCE), "2", "there are two again")
    leaf, = topic("started")
    p = Producer()
    p.send(leaf, "v")
    tap.ok(p.commit(), "and commits are made")


def test_crossed():
    """transactions over the same partitions, begun in either order, do not wait for one another in a circle"""
    leaves = topic("crossed", 4)
    producers = [Producer() for _ in range(8)]
    for n, p in enumerate(producers):
        for leaf in leaves if n % 2 else reversed(leaves):
            p.send(leaf, "v%d" % n)
    before = failures()
    for p in producers:
        p.post()
    tap.ok(all(p.committed() for p in producers), "eight commits over four partitions")
    tap.equal(failures(), before, "without a deadlock")
    got = server.rows("SELECT partition, string_agg(convert_from(value, 'UTF8'), ',' ORDER BY \"offset\") FROM topics.crossed "
                      "GROUP BY partition ORDER BY partition")
    tap.equal(len({row[1] for row in got}), 1, "in the same order in all of them")
    for p in producers:
        p.after()


def test_learned():
    """the logs know the sequences of what was committed, and of nothing else"""
    leaf, = topic("learned")
    p = Producer(v2=False)
    p.add(leaf)
    p.send(leaf, "a", "b")
    p.send(leaf, "c")
    p.commit(bump=False)
    p.add(leaf)
    p.send(leaf, "aborted")
    p.drop()
    p.after(bump=False)
    with raw.Client(server.bootstrap, timeout=PATIENCE) as client:
        found = client.call("DescribeProducers", 0, {"Topics": [{"Name": "learned", "PartitionIndexes": [0]}]})
    states = found["Topics"][0]["Partitions"][0]["ActiveProducers"]
    tap.equal([(s["ProducerId"], s["ProducerEpoch"], s["LastSequence"]) for s in states], [(p.id, 0, 2)],
              "the last sequence that was committed")


def test_ended_worker():
    """a transaction worker that is told to end amid a commit leaves it to be tried again"""
    leaf, = topic("ended")
    p = Producer()
    p.send(leaf, "v")
    stop.set("together.appended")
    p.post()
    pid = stop.await_("together.appended")
    os.kill(pid, signal.SIGTERM)
    stop.release("together.appended")
    gone = server.wait_for("SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = %d" % pid, timeout=PATIENCE) == "t"
    tap.ok(gone or values("ended") == "v", "the worker ends, before or after the commit")
    if values("ended") == "":
        tap.equal(p.stats()[0], 1, "what is staged stays")
        tap.ok(p.commit(), "and is committed by another")
    tap.equal(values("ended"), "v", "once")


def test_crash():
    """a crash amid a commit leaves nothing of it"""
    a, b = topic("crashed", 2)
    server.set(**{"pgtopic.transaction_buffer": "1kB"})
    server.reload()
    server.wait_for("SELECT current_setting('pgtopic.transaction_buffer') = '1kB'")
    p = Producer()
    p.send(a, "one" * 1000)
    p.send(b, "two" * 1000)
    tap.equal(len(files()), 1, "a file is there")
    stop.set("together.appended")
    p.post()
    os.kill(stop.await_("together.appended"), signal.SIGKILL)
    stop.release_all()
    server.wait_up()
    await_coordinator()
    tap.equal(values("crashed"), "", "nothing is there after the crash")
    tap.equal(server.sql("SELECT count(*) FROM topics.states WHERE key = '%s'" % p.name), "0", "nor the record")
    tap.equal(files(), [], "nor files")
    q = Producer()
    q.send(a, "three")
    tap.ok(q.commit(), "the next transaction is committed")
    tap.equal(values("crashed"), "three", "alone")


TESTS = [test_commit, test_admission, test_files, test_limits, test_sent_again, test_full_disk, test_damaged_file, test_offsets_wait,
         test_offsets, test_full_memory, test_no_shared_memory, test_code_of_users, test_changes, test_locks, test_slow, test_crossed,
         test_learned, test_ended_worker, test_failed_start, test_crash]


def main():
    global server, stop, disk
    pg.demote()
    stop = points.Points()
    disk = faults.Disk()
    server = pg.Cluster(settings={"wal_consistency_checking": "all", **stop.settings}, environment=disk.environment).init().start()
    server.sql("""CREATE EXTENSION pgtopic;
        CREATE FUNCTION stage_publish(bigint, int, bigint, int, text) RETURNS void AS 'pgtopic', 'pt_test_stage_publish' LANGUAGE C;
        CREATE FUNCTION stage_add(bigint, bigint, regclass) RETURNS void AS 'pgtopic', 'pt_test_stage_add' LANGUAGE C;
        CREATE FUNCTION stage_drop(bigint, bigint) RETURNS void AS 'pgtopic', 'pt_test_stage_drop' LANGUAGE C;
        CREATE FUNCTION stage_news(bigint) RETURNS text AS 'pgtopic', 'pt_test_stage_news' LANGUAGE C;
        CREATE FUNCTION stage_stats(bigint) RETURNS bigint[] AS 'pgtopic', 'pt_test_stage_stats' LANGUAGE C;
        CREATE FUNCTION stage_batch(regclass, regrole, text, boolean, bytea) RETURNS bigint[]
            AS 'pgtopic', 'pt_test_stage_batch' LANGUAGE C;
        CREATE FUNCTION stage_offset(bigint, int, text, text, int, bigint) RETURNS int
            AS 'pgtopic', 'pt_test_stage_offset' LANGUAGE C;
        CREATE FUNCTION stage_commit(bigint, bigint, text, regclass, text, text) RETURNS boolean
            AS 'pgtopic', 'pt_test_stage_commit' LANGUAGE C;
        SELECT create_topic('states', 1)""")
    server.wait_listener()
    await_coordinator()
    global STATE
    STATE = server.sql("SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'topics.states'::regclass")
    tap.main([t for t in TESTS if t.__name__ in sys.argv[1:]] or TESTS)


if __name__ == "__main__":
    main()
