"""Cases of the benchmark of logs that are left running: compaction, look-ups in long logs, recovery.  README.md has what each measures."""
import os
import random
import signal
import statistics
import time

import group_load
import procs
import wire
from group_load import raw
from procs import BenchError

COLUMNS = [("mb_s", "MB/s"), ("compact_s", "s"), ("before_mib", "MiB before"), ("after_mib", "after"), ("alone_p99_ms", "produce p99 ms"),
           ("meanwhile_p99_ms", "meanwhile"), ("fetch_us", "fetch us"), ("list_us", "ListOffsets us"), ("sql_offset_us", "SQL offset us"),
           ("sql_time_us", "SQL time us"), ("back_s", "back after s")]
GOALS = {"compaction": {"mb_s": (">=", 1), "cpu_s_gb": ("<=", 1)}}
MIB = 1024 * 1024
LOOKUPS = 300


def cases(quick):
    """name: (function, server, arguments)"""
    found = {}
    records, keys = (1000000, 100000) if quick else (10000000, 1000000)
    for name in ("pgtopic", "kafka"):
        for what, rate in (("alone", 0), ("produced", 10)):
            found["compaction-%s/%s" % (what, name)] = ("compaction", name, records, keys, rate)
    for million in (1,) if quick else (1, 10, 50):
        for name in ("pgtopic", "kafka"):
            found["lookup-%dM/%s" % (million, name)] = ("lookup", name, million * 1000000)
    for mib in (100, 500) if quick else (100, 10000):
        for name in ("pgtopic", "kafka"):
            found["recovery-%dMiB/%s" % (mib, name)] = ("recovery", name, mib)
    return found


def median_us(question, arguments):
    """Of the calls with each of the arguments, the first few left out."""
    took = []
    for argument in arguments:
        started = time.monotonic()
        question(argument)
        took.append(time.monotonic() - started)
    return statistics.median(took[len(took) // 10:]) * 1e6


def value_of(lines, topic):
    """The offset in a checkpoint file of Kafka's, None without one."""
    for line in lines:
        if line.startswith(topic + " 0 "):
            return int(line.split()[2])
    return None


class Cases:
    """Mixed into the benchmark, which has servers, clients and make_topic()."""

    # compaction

    def compaction(self, server, records, keys, rate):
        """From the order to compact until that is done, of all but the last extent or segment."""
        topic = "keyed-%s-%d" % (server.name, rate)
        self.make_topic(server, topic, {"retention.ms": -1, "segment.bytes": 64 * MIB, "min.cleanable.dirty.ratio": 0.01, "file.delete.delay.ms": 1000})
        self.clients.rdk_produce(server.port, topic, 1, records, 200, "all", keys=keys)
        server.settle()
        row = {"before_mib": self.mib(server, topic)}
        producer, marks = None, [time.monotonic()]
        if rate:
            producer = self.producer(server, topic, rate, b"0" * 19)
            producer.start()
            time.sleep(10)
        marks.append(time.monotonic())
        cpu = procs.cpu_seconds(server.pid)
        getattr(self, "compact_" + server.name)(server, topic)
        marks.append(time.monotonic())
        server.finish()
        cpu = procs.cpu_seconds(server.pid) - cpu
        row["compact_s"] = marks[2] - marks[1]
        if producer is None:
            row["mb_s"] = row["before_mib"] * MIB / 1e6 / row["compact_s"]
            row["cpu_s_gb"] = cpu / (row["before_mib"] * MIB / 1e9)
        else:
            producer.done = True
            producer.join(120)
            if producer.error:
                raise BenchError("producer: %s" % producer.error)
            for word, first, last in zip(("alone", "meanwhile"), marks, marks[1:]):
                took = sorted((end - sent) * 1000 for sent, end in producer.answered if first <= end < last)
                row[word + "_p99_ms"] = took[int(len(took) * 0.99)] if took else None
        time.sleep(5)               # what was freed goes after a delay
        if server.name == "pgtopic":
            server.sql("VACUUM topics.\"%s\"" % topic)
        row["after_mib"] = self.mib(server, topic)
        group_load.Admin(server.port).delete_topics([topic])
        return row

    def compact_pgtopic(self, server, topic):
        server.sql("SELECT alter_topic('%s', '{\"cleanup.policy\": [\"compact\"]}'); SELECT * FROM compact_topic('%s')" % (topic, topic), 1800)

    def compact_kafka(self, server, topic):
        answer, _ = group_load.Admin(server.port).call("IncrementalAlterConfigs", 1, {"ValidateOnly": False, "Resources": [
            {"ResourceType": 2, "ResourceName": topic, "Configs": [{"Name": "cleanup.policy", "ConfigOperation": 0, "Value": "compact"}]}]})
        if answer["Responses"][0]["ErrorCode"]:
            raise BenchError("IncrementalAlterConfigs: %r" % answer["Responses"][0])
        path = os.path.join(server.directory, "data", "cleaner-offset-checkpoint")
        deadline = time.monotonic() + 1800
        while time.monotonic() < deadline:
            if os.path.exists(path):
                with open(path, encoding="utf8") as f:
                    if value_of(f.read().split("\n"), topic):
                        return
            time.sleep(0.05)
        raise BenchError("Kafka's cleaner did not come to an end")

    # look-ups

    def lookup(self, server, records):
        """A record by its offset, and an offset by its time, at random places of a log."""
        topic = "long-%s" % server.name
        self.make_topic(server, topic, {"retention.ms": -1})
        started = time.time()
        self.clients.rdk_produce(server.port, topic, 1, records, 100, "all")
        ended = time.time()
        client = raw.Client("127.0.0.1:%d" % server.port, timeout=120)
        places = random.Random(records)
        offsets = [places.randrange(records) for _ in range(LOOKUPS)]
        times = [int((started + (ended - started) * places.random()) * 1000) for _ in range(LOOKUPS)]

        def ask(api, version, body):
            client.send_frame(client.request_bytes(api, version, body))
            return client.receive_frame()

        row = {
            "fetch_us": median_us(lambda offset: ask("Fetch", 11, {
                "ReplicaId": -1, "MaxWaitMs": 0, "MinBytes": 1, "MaxBytes": 1, "SessionEpoch": -1, "Topics": [
                    {"Topic": topic, "Partitions": [{"Partition": 0, "FetchOffset": offset, "PartitionMaxBytes": 1}]}]}), offsets),
            "list_us": median_us(lambda at: ask("ListOffsets", 4, {"ReplicaId": -1, "IsolationLevel": 0, "Topics": [
                {"Name": topic, "Partitions": [{"PartitionIndex": 0, "CurrentLeaderEpoch": -1, "Timestamp": at}]}]}), times)}
        if server.name == "pgtopic":
            server.sql("VACUUM ANALYZE topics.\"%s\"" % topic, 1800)
            row["sql_offset_us"] = self.sql_us(server, topic, "\\set place random(0, %d)\n" % (records - 1), '"offset" = :place')
            row["sql_time_us"] = self.sql_us(server, topic, "\\set ms random(%d, %d)\n" % (started * 1000, ended * 1000),
                                             '"timestamp" >= to_timestamp(:ms / 1000.0) ORDER BY "offset" LIMIT 1')
        group_load.Admin(server.port).delete_topics([topic])
        return row

    def sql_us(self, server, topic, setting, condition):
        """The mean of a prepared query's times, by pgbench."""
        path = os.path.join(server.directory, "lookup.sql")
        with open(path, "w", encoding="utf8") as f:
            f.write(setting + 'SELECT FROM topics."%s#0" WHERE %s;\n' % (topic, condition))
        return server.pgbench(path, 1, 10)[1] * 1000

    # recovery

    def recovery(self, server, mib):
        """From the start after kill -9 until the log's last record is served; 64 MiB were appended since the last checkpoint."""
        topic = "killed-%s" % server.name
        self.make_topic(server, topic, {"retention.ms": -1})
        self.clients.raw_produce(server.port, topic, 1, mib * 1024, 1024, "all")
        server.settle()
        end = self.clients.raw_produce(server.port, topic, 1, 64 * 1024, 1024, "all")["records"] + mib * 1024
        for pid in reversed(procs.tree(server.pid)):
            os.kill(pid, signal.SIGKILL)
        server.process.wait(60)
        started = time.monotonic()
        server.start()
        while not wire.topic_leaders(server.port, topic):
            time.sleep(0.01)
        client = raw.Client("127.0.0.1:%d" % server.port, timeout=300)
        body = {"ReplicaId": -1, "MaxWaitMs": 100, "MinBytes": 1, "MaxBytes": 1, "SessionEpoch": -1, "Topics": [
            {"Topic": topic, "Partitions": [{"Partition": 0, "FetchOffset": end - 1, "PartitionMaxBytes": 1}]}]}
        while time.monotonic() < started + 300:
            client.send_frame(client.request_bytes("Fetch", 11, body))
            answer = group_load.Codec.decode("Fetch", 11, client.receive_frame())["Responses"][0]["Partitions"][0]
            if answer["ErrorCode"] == 0 and answer["Records"]:
                break
        else:
            raise BenchError("the last record is not served after kill -9")
        row = {"back_s": time.monotonic() - started}
        group_load.Admin(server.port).delete_topics([topic])
        return row
