#!/usr/bin/env python3
"""What a partition knows of idempotent producers outlives everything: kill -9, a long log behind their last batch,
aborted snapshots, the removal of their batches, VACUUM FULL, promotion, more producers than memory has room for.

A producer that is known is told of a batch that it sends again, with the first one's offset, and refused a gap. One
that is not known may go on with any number: that is how the tests tell them apart.
"""

import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402

NONE, OUT_OF_ORDER, FENCED = 0, 45, 47
MEMORY = 200            # producers that there is room for

server = client = None


def connect():
    global client
    server.wait_listener()
    client = raw.Client(server.bootstrap, timeout=60)


def crash():
    server.kill9()
    server.start()
    connect()


def send(topic, producer, sequence, n=2, epoch=0, timestamp=None):
    """(error, base offset)"""
    batch = raw.Batch([(None, "p%d-%d" % (producer, sequence + i)) for i in range(n)], producer_id=producer,
                      producer_epoch=epoch, base_sequence=sequence, timestamp=timestamp or int(time.time() * 1000))
    part = client.call("Produce", 9, {"Acks": -1, "TimeoutMs": 20000, "TransactionalId": None, "TopicData": [
        {"Name": topic, "PartitionData": [{"Index": 0, "Records": batch.encode()}]}]})["Responses"][0]["PartitionResponses"][0]
    return part["ErrorCode"], part["BaseOffset"]


def code(*args, **more):
    return send(*args, **more)[0]


def new_producer():
    return client.call("InitProducerId", 4, {"TransactionalId": None, "TransactionTimeoutMs": 1000})["ProducerId"]


def leaf(topic):
    return server.sql("SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'topics.%s'::regclass" % topic)


def extents(topic):
    """[oldest kept, from which on producers are read, next]"""
    return [int(n) for n in server.sql("SELECT array_to_string(producers_extent('%s'), ',')" % leaf(topic)).split(",")]


def snapshot(topic, end="COMMIT"):
    return server.sql("BEGIN; SELECT snapshot_producers('%s'); %s" % (leaf(topic), end))


def others(topic, megabytes):
    """Records of SQL, which no producer has sent."""
    server.sql("SELECT count(produce('%s'::topic, convert_to(repeat('x', 500000), 'UTF8'))) FROM generate_series(1, %d)"
               % (topic, 2 * megabytes))


def topic(name):
    server.sql("SELECT create_topic('%s', 1)" % name)
    return name


class Known:
    """A producer with seven batches of two records, and what it must be told of them."""

    def __init__(self, topic, epoch=3):
        self.topic, self.epoch, self.id = topic, epoch, new_producer()
        self.offsets = []
        self.next = 0
        for _ in range(7):
            self.go_on()

    def go_on(self):
        error, offset = send(self.topic, self.id, self.next, epoch=self.epoch)
        self.offsets.append(offset)
        self.next += 2
        return error

    def check(self, what):
        last = [send(self.topic, self.id, 2 * i, epoch=self.epoch) for i in range(len(self.offsets) - 5, len(self.offsets))]
        tap.equal(last, [(NONE, offset) for offset in self.offsets[-5:]], what + ": the last five batches are known")
        tap.equal((code(self.topic, self.id, self.next - 12, epoch=self.epoch), code(self.topic, self.id, self.next + 1, epoch=self.epoch)),
                  (OUT_OF_ORDER, OUT_OF_ORDER), what + ": the one before, and a gap, are refused")
        tap.equal(code(self.topic, self.id, 0, epoch=self.epoch - 1), FENCED, what + ": so is an older epoch")
        tap.equal(self.go_on(), NONE, what + ": the next one is taken")


def no_duplicates(topic):
    """of what producers have sent"""
    return server.sql("SELECT count(*) - count(DISTINCT value) FROM topics.%s WHERE length(value) < 100" % topic)


def test_nothing_to_know():
    """a log without idempotent producers has nothing to keep"""
    topic("plain")
    others("plain", 3)
    tap.equal(extents("plain")[1], -1, "producers are read from nowhere")
    producer = new_producer()
    tap.equal(code("plain", producer, 5), NONE, "a new producer may begin anywhere")
    tap.ok(extents("plain")[1] >= 2, "from its first batch on there is something to know")
    crash()
    tap.equal(code("plain", producer, 8), OUT_OF_ORDER, "and it is known")
    tap.equal(code("plain", producer, 7), NONE, "and goes on")


def test_far_behind():
    """two hundred extents behind its last batch a producer is known, from its snapshot"""
    known = Known(topic("far"))
    crash()
    known.check("at once")
    for round in range(3):
        others("far", 20)
        snapshot("far")
    others("far", 10)
    known.check("with others' records behind")
    crash()
    first, producers, following = extents("far")
    tap.ok(first == 0 and following - producers <= 12, "read is what is behind the last snapshot")
    known.check("after a crash")
    snapshot("far")
    crash()
    known.check("after a snapshot and a crash")
    server.restart("fast")
    connect()
    known.check("after a restart")
    tap.equal(no_duplicates("far"), "0", "nothing is there twice")


def test_aborted_snapshot():
    """what an aborted transaction says is not believed, and takes nothing away"""
    known = Known(topic("aborted"))
    snapshot("aborted", "ROLLBACK")
    before = extents("aborted")[1]
    known.check("behind an aborted snapshot")
    others("aborted", 5)
    snapshot("aborted", "ROLLBACK")
    tap.equal(extents("aborted")[1], before, "reading begins where it did")
    crash()
    known.check("after a crash")
    snapshot("aborted", "SAVEPOINT s; SELECT snapshot_producers('%s'); ROLLBACK TO s; COMMIT" % leaf("aborted"))
    tap.ok(extents("aborted")[1] > before, "a committed one moves it")
    known.go_on()
    snapshot("aborted", "PREPARE TRANSACTION 'p'; ROLLBACK PREPARED 'p'")
    snapshot("aborted", "PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p'")
    crash()
    known.check("after prepared ones")


def test_aborted_batches():
    """batches of an aborted transaction say nothing either, also when the start has moved and they are sealed"""
    known = Known(topic("undone"))
    batch = raw.Batch([(None, "never")] * 5, producer_id=known.id, producer_epoch=known.epoch, base_sequence=known.next).encode()
    for _ in range(2):
        server.sql("BEGIN; SELECT append_batch('%s', '\\x%s'); ROLLBACK" % (leaf("undone"), batch.hex()))
    others("undone", 3)
    server.sql("SELECT delete_records('undone')")
    server.sql("VACUUM topics.undone")
    crash()
    known.check("trimmed and sealed")
    others("undone", 2)
    server.sql("SELECT delete_records('undone')")
    crash()
    server.sql("VACUUM (FREEZE) topics.undone")
    known.check("and again")


def wait_for(condition, what):
    """The housekeeper comes to it by itself."""
    until = time.time() + 60
    while not condition() and time.time() < until:
        time.sleep(0.1)
    tap.ok(condition(), what)


def test_batches_removed():
    """a producer is remembered when the start of the log has passed its batches"""
    known = Known(topic("gone"))
    others("gone", 8)
    session = server.session()
    session.sql("BEGIN")
    session.sql("SELECT append('gone:0', 'nobody else appends meanwhile')")
    server.sql("SELECT delete_records('gone')")
    tap.equal(server.sql("SELECT count(*) FROM topics.gone"), "0", "nothing is left")
    first, producers, following = extents("gone")
    tap.ok(first <= producers < following - 5, "its extents are kept")
    crash()
    session.close()
    known.check("from the batches that are gone")
    wait_for(lambda: extents("gone")[0] >= extents("gone")[2] - 1, "the housekeeper writes a snapshot, and they are not needed any more")
    crash()
    known.check("from the snapshot")
    server.sql("SELECT delete_records('gone')")
    crash()
    known.check("when nothing is left once more")


def test_housekeeper():
    """snapshots come by themselves, and retention gives space back"""
    known = Known(topic("by_itself"))
    others("by_itself", 40)
    wait_for(lambda: extents("by_itself")[1] >= extents("by_itself")[2] - 20, "there is one not far behind the end")
    known.check("then")
    server.sql("""SELECT create_topic('short', 1, '{"retention.bytes": "3000000"}')""")
    short = Known("short")
    for _ in range(4):
        others("short", 10)
        short.go_on()
    wait_for(lambda: extents("short")[0] >= extents("short")[2] - 6, "records go, and so does their space")
    crash()
    known.check("after a crash")
    short.check("with retention")


def test_rewritten():
    """VACUUM FULL and another tablespace"""
    known = Known(topic("rewritten"))
    others("rewritten", 3)
    snapshot("rewritten")
    others("rewritten", 2)
    known.go_on()
    server.sql("SELECT delete_records('rewritten')")
    server.sql("VACUUM FULL topics.rewritten")
    known.check("after VACUUM FULL")
    server.sql("VACUUM FULL topics.rewritten")
    crash()
    known.check("after another one and a crash")
    directory = os.path.join(os.path.dirname(server.data), "space")
    os.mkdir(directory)
    server.sql("CREATE TABLESPACE space LOCATION '%s'" % directory)
    server.sql("ALTER TABLE %s SET TABLESPACE space" % leaf("rewritten"))
    known.check("in another tablespace")
    crash()
    known.check("and after a crash there")
    server.sql("ALTER TABLE %s SET TABLESPACE pg_default" % leaf("rewritten"))
    server.sql("DROP TABLESPACE space")
    known.check("and back")


def test_code_of_users():
    """where a trigger drops or adds records, the log says what was sent"""
    topic("edited")
    server.sql("""CREATE FUNCTION edit() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RETURN CASE WHEN NEW.value LIKE '%-3' THEN NULL ELSE NEW END; END $$;
        CREATE TRIGGER edit BEFORE INSERT ON topics.edited FOR EACH ROW EXECUTE FUNCTION edit()""")
    producer = new_producer()
    answers = [send("edited", producer, i, n=1) for i in range(3)]
    tap.equal([a[0] for a in answers], [NONE] * 3, "three records")
    dropped = send("edited", producer, 3, n=1)
    tap.equal(dropped[0], NONE, "one that the trigger drops")
    part = send("edited", producer, 4, n=3)
    crash()
    tap.equal([send("edited", producer, i, n=1) for i in range(3)], answers, "after a crash all are known")
    tap.equal(send("edited", producer, 3, n=1), dropped, "also the one that is nowhere")
    tap.equal(send("edited", producer, 4, n=3), part, "and the last")
    tap.equal(code("edited", producer, 8), OUT_OF_ORDER, "a gap is refused")
    tap.equal(code("edited", producer, 7), NONE, "it goes on")
    tap.equal(no_duplicates("edited"), "0", "nothing is there twice")


def test_many_producers():
    """more than there is memory for: in pieces, and found one by one"""
    topic("many")
    first, n = new_producer(), 4000
    for i in range(1, n // 1000):
        new_producer()
    offsets = [send("many", first + i, 0, n=1)[1] for i in range(n)]
    tap.equal(offsets, list(range(n)), "%d producers have sent one record each" % n)
    pick = random.Random(4711).sample(range(n - 40), 40) + list(range(n - 40, n))

    def known(what):
        tap.equal([send("many", first + i, 0, n=1) for i in pick], [(NONE, i) for i in pick], what + ": what is sent again is known")
        tap.equal({code("many", first + i, 7, n=1) for i in pick}, {OUT_OF_ORDER}, what + ": gaps are refused")
    known("at once")
    crash()
    known("after a crash")
    snapshot("many")
    others("many", 4)
    crash()
    known("from a snapshot")
    tap.equal([code("many", first + i, 1, n=1) for i in pick], [NONE] * len(pick), "they go on")
    snapshot("many")
    crash()
    tap.equal({code("many", first + i, 1, n=1) for i in pick}, {NONE}, "and are known with their second record")
    described = client.call("DescribeProducers", 0, {"Topics": [{"Name": "many", "PartitionIndexes": [0]}]})
    states = described["Topics"][0]["Partitions"][0]["ActiveProducers"]
    tap.equal(sorted((s["ProducerId"] - first, s["LastSequence"]) for s in states), [(i, int(i in pick)) for i in range(n)],
              "DescribeProducers has them all")
    tap.equal(server.sql("SELECT count(*) FROM topics.many WHERE length(value) < 100"), str(n + len(pick)), "nothing is there twice")


def test_expiry():
    """producer.id.expiration.ms"""
    topic("expiring")
    one, two = new_producer(), new_producer()
    altered = client.call("IncrementalAlterConfigs", 1, {"Resources": [{"ResourceType": 4, "ResourceName": "", "Configs": [
        {"Name": "producer.id.expiration.ms", "ConfigOperation": 0, "Value": "1500"}]}]})
    tap.equal(altered["Responses"][0]["ErrorCode"], NONE, "it is a config of the broker")
    until = time.time() + 30
    while server.sql("SHOW pgtopic.producer_id_expiration") != "1500ms" and time.time() < until:
        time.sleep(0.1)
    tap.equal((code("expiring", one, 0), code("expiring", two, 0)), (NONE, NONE), "two producers")
    tap.equal((code("expiring", one, 9), code("expiring", two, 9)), (OUT_OF_ORDER, OUT_OF_ORDER), "that are known")
    time.sleep(1.7)
    tap.equal(code("expiring", one, 100), NONE, "one of which nothing came begins anew")
    tap.equal(code("expiring", one, 100), NONE, "and is known again")
    snapshot("expiring")
    server.sql("ALTER SYSTEM RESET pgtopic.producer_id_expiration")
    crash()
    tap.equal(code("expiring", one, 1000), OUT_OF_ORDER, "after a crash the snapshot has the one that wrote")
    tap.equal(code("expiring", two, 1000), NONE, "and the other one no more")


def test_damaged_snapshot():
    """bytes that are no snapshot are told of and passed over"""
    known = Known(topic("damaged"))
    snapshot("damaged")
    for data in ("00" * 61, "7067507300000000" + "00" * 90):
        server.sql("SELECT append_frame('%s', '\\x%s')" % (leaf("damaged"), data))
    crash()
    known.check("behind such bytes")
    tap.matches("snapshot of producers at position .* cannot be read", server.log_text(), "the server's log tells of it")


def test_promotion():
    """a standby that is promoted knows what its primary knew"""
    global server
    known = Known(topic("promoted"))
    others("promoted", 10)
    snapshot("promoted")
    others("promoted", 3)
    known.go_on()
    standby = server.standby()
    standby.start()
    known.go_on()
    others("promoted", 3)
    server.sql("SELECT delete_records('promoted')")
    server.wait_caught_up(standby)
    server.stop("immediate")
    standby.promote()
    server = standby
    connect()
    known.check("after the promotion")
    snapshot("promoted")
    crash()
    known.check("and a crash")


def test_real_client():
    """librdkafka's idempotent producer goes on over restarts and fifty extents of others' records"""
    try:
        from confluent_kafka import Producer
    except ImportError:
        tap.note("confluent-kafka is not installed")
        return
    topic("real")
    producer = Producer({"bootstrap.servers": server.bootstrap, "enable.idempotence": True, "linger.ms": 1, "log_level": 0,
                         "reconnect.backoff.max.ms": 200, "retry.backoff.max.ms": 200, "acks": "all"})
    errors, total = [], 0

    def delivered(error, message):
        if error is not None:
            errors.append(str(error))
    for how in (None, "kill", "restart", "kill"):
        if how is not None:
            others("real", 50)
            snapshot("real")
        for i in range(200):
            producer.produce("real", "%d" % total, partition=0, on_delivery=delivered)
            total += 1
        if how == "restart":
            server.restart("fast")
        elif how == "kill":
            server.kill9()
            server.start()
        tap.equal(producer.flush(60), 0, "all delivered, %s" % (how or "at first"))
    connect()
    tap.equal(errors, [], "without an error")
    tap.equal(server.sql("SELECT count(*), count(DISTINCT value) FROM topics.real WHERE length(value) < 100"),
              "%d|%d" % (total, total), "each record is there once")


TESTS = [test_nothing_to_know, test_far_behind, test_aborted_snapshot, test_aborted_batches, test_batches_removed, test_housekeeper,
         test_rewritten, test_code_of_users, test_many_producers, test_expiry, test_damaged_snapshot, test_promotion,
         test_real_client]


def main():
    global server
    try:
        raw.message("ProduceRequest")
    except Exception:
        tap.skip("kafka-clients' jar is not there")
    pg.demote()
    server = pg.Cluster(settings={"pgtopic.max_producers": MEMORY, "pgtopic.kafka_admin": "on", "wal_consistency_checking": "all",
                                  "max_prepared_transactions": 5}).init().start()
    server.sql("""CREATE EXTENSION pgtopic;
        CREATE FUNCTION append_frame(regclass, bytea) RETURNS void AS 'pgtopic', 'pt_test_append_producers' LANGUAGE C;
        CREATE FUNCTION append_batch(regclass, bytea) RETURNS void AS 'pgtopic', 'pt_test_append_batch' LANGUAGE C;
        CREATE FUNCTION snapshot_producers(regclass) RETURNS void AS 'pgtopic', 'pt_test_snapshot_producers' LANGUAGE C;
        CREATE FUNCTION producers_extent(regclass) RETURNS bigint[] AS 'pgtopic', 'pt_test_producers_extent' LANGUAGE C""")
    connect()
    tap.main(TESTS)


if __name__ == "__main__":
    main()
