#!/usr/bin/env python3
"""Somebody has the extension's sequences locked: who needs them is told to try again or waits, and nobody else does.

There is one listener.  A listener that waits for a lock answers nobody.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
import cluster as pg   # noqa: E402
import tap             # noqa: E402
from rawtest import connect, fetch, need_clients, produce, produce_body, silent, told, values_of   # noqa: E402

NONE, LOAD_IN_PROGRESS = 0, 14
TRANSIENT = {NONE, LOAD_IN_PROGRESS}
BLOCK = 100             # producer ids that a listener takes at a time

server = None


def fetched(client, topic, offset):
    part = fetch(client, topic, offset)
    return part["ErrorCode"], values_of(part)


def producer_id(client):
    answer = client.call("InitProducerId", 4, {"TransactionalId": None, "TransactionTimeoutMs": 60000, "ProducerId": -1, "ProducerEpoch": -1})
    return answer["ErrorCode"], answer["ProducerId"]


def locked(sequence, command):
    """A session in whose transaction the command has locked the sequence"""
    session = server.session()
    session.sql("BEGIN")
    tap.equal(session.sql("ALTER SEQUENCE %s %s" % (sequence, command)), "", "%s is locked by %s" % (sequence, command))
    return session


def goes_on(what):
    with connect(server) as client:
        error, offset = produce(client, "t", what)
        tap.equal((error, fetched(client, "t", offset)), (NONE, (NONE, [what])), what + ": clients produce and consume")


def test_setup():
    global server
    server = pg.Cluster("main", {"autovacuum": "off", "pgtopic.listener_workers": "1"}).init().start()
    server.sql("CREATE EXTENSION pgtopic; SELECT create_topic('t'); SELECT create_topic('u')")
    server.wait_listener()


def test_producer_ids():
    """idempotent producers are told to try again"""
    for command in ("INCREMENT BY 1", "OWNER TO postgres"):
        with connect(server) as client:
            tap.equal(producer_id(client)[0], NONE, "there is a producer id")
            session = locked("producer_ids", command)
            codes = [producer_id(client)[0] for _ in range(BLOCK + 1)]
            tap.equal((set(codes), codes[-1]), (TRANSIENT, LOAD_IN_PROGRESS), "then they end, and clients are told to come again")
            goes_on("producer ids")
            session.sql("ROLLBACK")
            tap.equal(producer_id(client)[0], NONE, "and get one")
            session.close()


def test_epochs():
    """what the listener has read last counts"""
    goes_on("before")
    for command in ("INCREMENT BY 1", "OWNER TO postgres"):
        session = locked("leader_epochs", command)
        goes_on("epochs")
        with connect(server) as client:
            [topic] = client.call("Metadata", 9, {"Topics": [{"Name": "t"}]})["Topics"]
            tap.equal((topic["ErrorCode"], topic["Partitions"][0]["LeaderEpoch"]), (NONE, 1), "metadata has the epoch")
        session.sql("ROLLBACK")
        session.close()


def test_new_history():
    """after a promotion nobody has stored the epoch yet"""
    global server
    standby = server.standby()
    standby.start()
    server.wait_caught_up(standby)
    server.stop("immediate")
    server = standby.promote()
    server.wait_listener()
    session = locked("leader_epochs", "INCREMENT BY 1")
    with connect(server) as producer, connect(server) as client:
        producer.send("Produce", 9, produce_body("u", "first"))
        tap.ok(silent(producer.socket), "a producer waits")
        tap.equal(producer_id(client)[0], NONE, "and no other client does")
        tap.equal(fetched(client, "t", 0)[0], NONE, "a consumer neither")
        session.sql("ROLLBACK")
        tap.equal(told(producer.receive("Produce", 9)), (NONE, 0), "the record is appended when that is over")
        [topic] = client.call("Metadata", 9, {"Topics": [{"Name": "u"}]})["Topics"]
        tap.equal(topic["Partitions"][0]["LeaderEpoch"], 2, "with the next epoch")
    session.close()


def main():
    pg.demote()
    need_clients()
    tap.main([test_setup, test_producer_ids, test_epochs, test_new_history])


main()
