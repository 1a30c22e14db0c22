#!/usr/bin/env python3
"""Consumers are shown what synchronous standbys have, whatever a session wants its own commits to wait for."""

import os
import select
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
import cluster as pg   # noqa: E402
import points          # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402

primary = standby = None


def end():
    """The end of the log that Kafka clients are told.  kcat gives up when a connection fails, as while a server starts."""
    deadline = time.monotonic() + 120
    while True:
        done = subprocess.run(["kcat", "-Q", "-b", primary.bootstrap, "-t", "safe:0:-1"], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, timeout=120, check=False)
        if done.returncode == 0:
            return done.stdout.split()[-1]
        if time.monotonic() > deadline:
            raise RuntimeError("kcat does not get through")
        time.sleep(0.1)


def becomes(expected):
    deadline = time.monotonic() + 120
    while end() != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    return end()


def test_without_standby():
    """the standby is away"""
    global primary, standby
    primary = pg.Cluster("primary", settings=dict(stop.settings)).init().start()
    primary.sql("CREATE EXTENSION pgtopic; SELECT create_topic('safe'); SELECT append('safe:0', 'zero')")
    standby = primary.standby()
    primary.set(synchronous_standby_names="*", synchronous_commit="on")
    primary.restart()
    primary.wait_up()
    primary.wait_listener()
    standby.start()
    tap.equal(becomes("1"), "1", "what it has is shown")
    standby.stop()
    for level in ("local", "off"):
        primary.sql("SET synchronous_commit = %s; SELECT append('safe:0', '%s')" % (level, level))
        tap.equal(end(), "1", "synchronous_commit = %s in a session shows consumers nothing that no standby has" % level)
    subprocess.run(["kcat", "-P", "-b", primary.bootstrap, "-t", "safe", "-X", "acks=1"], input="leader", text=True,
                   check=True, timeout=120)
    tap.equal(end(), "1", "nor does acks=1")
    tap.equal(primary.sql("SELECT count(*) FROM topics.safe"), "4", "SQL sees its own commits")


def test_with_standby():
    """it comes"""
    standby.start()
    tap.equal(becomes("4"), "4", "then consumers see all of it")
    primary.sql("SELECT append('safe:0', 'on')")
    tap.equal(end(), "5", "and a commit that has waited at once")
    standby.stop()
    primary.sql("SET synchronous_commit = local; SELECT append('safe:0', 'local')")
    tap.equal(end(), "5", "not what came after the standby had gone")


def test_answers():
    """acks=all is answered when the standby has the record, acks=1 at once; so is a COMMIT"""
    def send(acks):
        client = raw.Client(primary.bootstrap, timeout=60)
        client.send("Produce", 9, {"Acks": acks, "TimeoutMs": 60000, "TopicData": [{"Name": "safe", "PartitionData": [
            {"Index": 0, "Records": raw.Batch([(None, "acks=%d" % acks)]).encode()}]}]})
        return client

    def silent(file):
        return not select.select([file], [], [], 0.7)[0]

    def code(client):
        return client.receive("Produce", 9)["Responses"][0]["PartitionResponses"][0]["ErrorCode"]

    everybody = send(-1)
    tap.ok(silent(everybody.socket), "acks=all: no answer while the standby is away")
    tap.equal(code(send(1)), 0, "acks=1: an answer")
    session = primary.session()
    session.send("SELECT append('safe:0', 'session')")
    tap.ok(silent(session.psql.stdout), "COMMIT: does not return while the standby is away")
    standby.start()
    tap.equal(code(everybody), 0, "acks=all: answered when it has come")
    tap.ok(session.answer().isdigit(), "and COMMIT returns")
    session.close()


def test_restarted():
    """the primary starts again without its standby: what only the primary has is in its log, and looks like the rest"""
    standby.stop()
    primary.sql("SET synchronous_commit = local; SELECT append('safe:0', 'alone'); SELECT commit_offsets('readers', 'safe:0', 1)")
    last = int(primary.sql('SELECT max("offset") FROM topics.safe'))
    for mode in ("fast", "immediate"):
        primary.restart(mode)
        primary.wait_up()
        primary.wait_listener()
        with raw.Client(primary.bootstrap, timeout=60) as client:
            client.send("Fetch", 11, {"ReplicaId": -1, "MaxWaitMs": 60000, "MinBytes": 1, "MaxBytes": 1 << 20, "Topics": [
                {"Topic": "safe", "Partitions": [{"Partition": 0, "FetchOffset": last, "PartitionMaxBytes": 1 << 20}]}]})
            tap.ok(not select.select([client.socket], [], [], 0.7)[0], "%s: a consumer waits" % mode)
        with raw.Client(primary.bootstrap, timeout=60) as client:
            for timestamp in (-1, -2):
                [topic] = client.call("ListOffsets", 5, {"ReplicaId": -1, "IsolationLevel": 0, "Topics": [
                    {"Name": "safe", "Partitions": [{"PartitionIndex": 0, "CurrentLeaderEpoch": -1, "Timestamp": timestamp}]}]})["Topics"]
                tap.equal(topic["Partitions"][0]["ErrorCode"], 6, "and who asks for an offset is told to come again")
            [group] = client.call("OffsetFetch", 9, {"Groups": [{"GroupId": "readers", "Topics": [{"Name": "safe", "PartitionIndexes": [0]}]}]})["Groups"]
            tap.equal(group["ErrorCode"], 14, "who asks for a group's offset, that it is being loaded: after NOT_COORDINATOR librdkafka gives up")
    tap.equal(primary.sql('SELECT max("offset") FROM topics.safe'), str(last), "SQL sees it")
    standby.start()
    tap.equal(becomes(str(last + 1)), str(last + 1), "when the standby is back consumers see it")


def test_prepared():
    """COMMIT PREPARED is answered: consumers are shown what it commits, though no committer does anything"""
    committer = primary.worker_pids("pgtopic committer")[0]
    before = int(end())
    for i, statement in enumerate(("COMMIT", "PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p'")):
        os.kill(committer, signal.SIGSTOP)
        try:
            primary.sql("BEGIN; SELECT append('safe:0', 'x'); " + statement)
            tap.equal(end(), str(before + 1 + i), statement)
        finally:
            os.kill(committer, signal.SIGCONT)


def test_deleted():
    """delete_records() is answered when the standby knows it, too: what is gone does not come back with it"""
    standby.start()
    session = primary.session()
    stop.set("trim.written")
    session.send("SELECT delete_records('safe:0', 2)")
    tap.ok(stop.await_("trim.written"), "the transaction is committed, there and here")
    standby.stop()
    stop.release("trim.written")
    tap.ok(not select.select([session.psql.stdout], [], [], 0.7)[0], "no answer while the standby is away")
    standby.start()
    tap.equal(session.answer(), "2", "then there is one")
    session.close()
    standby.stop()


def test_coordinator():
    """the end of a Kafka transaction, asked for again after its coordinator has ended, waits for the standby"""
    retry = (14, 15, 16, 51)    # the coordinator is not there yet, or busy

    def call(api, version, body):
        with raw.Client(primary.bootstrap, timeout=60) as client:
            return client.call(api, version, body)

    def init():
        deadline = time.monotonic() + 120
        while True:
            got = call("InitProducerId", 5, {"TransactionalId": "safe", "TransactionTimeoutMs": 60000})
            if got["ErrorCode"] not in retry or time.monotonic() > deadline:
                return got
            time.sleep(0.05)

    def count():
        return int(primary.sql("SELECT count(*) FROM topics.safe"))

    def send_end():
        """The connection, and the error of the answer if there is one."""
        deadline = time.monotonic() + 120
        while True:
            client = raw.Client(primary.bootstrap, timeout=60)
            client.send("EndTxn", 5, end_txn)
            if not select.select([client.socket], [], [], 2)[0]:
                return client, None
            error = client.receive("EndTxn", 5)["ErrorCode"]
            if error not in retry or time.monotonic() > deadline:
                return client, error
            client.close()
            time.sleep(0.05)

    got = init()
    tap.equal(got["ErrorCode"], 0, "InitProducerId")
    batch = raw.Batch([(None, "in a transaction")], producer_id=got["ProducerId"], producer_epoch=got["ProducerEpoch"],
                      base_sequence=0, attributes=16)
    sent = call("Produce", 12, {"TransactionalId": "safe", "Acks": -1, "TimeoutMs": 30000, "TopicData": [
        {"Name": "safe", "PartitionData": [{"Index": 0, "Records": batch.encode()}]}]})
    tap.equal(sent["Responses"][0]["PartitionResponses"][0]["ErrorCode"], 0, "a batch is staged")
    before = count()
    standby.stop()
    end_txn = {"TransactionalId": "safe", "ProducerId": got["ProducerId"], "ProducerEpoch": got["ProducerEpoch"], "Committed": True}
    first, error = send_end()
    tap.equal(error, None, "EndTxn: no answer while the standby is away")
    primary.wait_for("SELECT count(*) = %d FROM topics.safe" % (before + 1))
    control = primary.worker_pids("pgtopic control")[0]
    os.kill(control, signal.SIGTERM)
    primary.wait_for("SELECT count(*) = 1 AND min(pid) <> %d FROM pg_stat_activity WHERE backend_type = 'pgtopic control'" % control)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        [state] = call("DescribeTransactions", 0, {"TransactionalIds": ["safe"]})["TransactionStates"]
        if state["ErrorCode"] == 0:
            break
        time.sleep(0.05)
    tap.equal(state["TransactionState"], "CompleteCommit", "another coordinator knows of the end")
    again, error = send_end()
    tap.equal(error, None, "and gives no answer either")
    once_more, error = send_end()
    tap.equal(error, None, "however often it is asked")
    standby.start()
    tap.equal(again.receive("EndTxn", 5)["ErrorCode"], 0, "which answers when it has come")
    for client in (first, again, once_more):
        client.close()
    tap.equal(count(), before + 1, "it was committed once")


pg.demote()
stop = points.Points()
tests = [test_without_standby, test_with_standby, test_deleted]
try:
    raw.message("ProduceRequest")
    tests += [test_answers, test_restarted, test_prepared, test_coordinator]
except RuntimeError:
    tap.note("left out: no kafka-clients jar (test/clients/install)")
tap.main(tests)
