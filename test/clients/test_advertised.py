#!/usr/bin/env python3
"""Where clients are told to connect to: by default the address by which they came, else what
pgtopic.advertised_listeners says of their listener.
"""

import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402

ADDRESSES = ["127.0.0.1", "127.0.0.2"]
NAMES = ["PLAINTEXT", "SECOND"]

server = None


def told(address):
    """What a client is told that comes by this address: host:port by Metadata, FindCoordinator, DescribeCluster."""
    with raw.Client("%s:%d" % (address, server.kafka_port)) as client:
        broker = client.call("Metadata", 9, {"Topics": []})["Brokers"][0]
        # this one is another worker's: the connection moves
        coordinator = client.call("FindCoordinator", 3, {"Key": "group", "KeyType": 0})
        cluster = client.call("DescribeCluster", 0)["Brokers"][0]
        return ["%s:%d" % (a["Host"], a["Port"]) for a in (broker, coordinator, cluster)]


def advertise(value):
    """Sets it and waits until clients are told."""
    before = told(ADDRESSES[0])
    server.sql("ALTER SYSTEM SET pgtopic.advertised_listeners = '%s'" % value)
    server.reload()
    deadline = time.monotonic() + 60
    while any(a == b for a, b in zip(told(ADDRESSES[0]), before)) and time.monotonic() < deadline:
        time.sleep(0.05)


def config():
    return server.sql("SELECT value FROM broker_configs() WHERE name = 'advertised.listeners'")


def test_default():
    for address in ADDRESSES:
        tap.equal(told(address), ["%s:%d" % (address, server.kafka_port)] * 3, "who comes by %s" % address)
    tap.equal(config(), ",".join("%s://%s:%d" % (n, a, server.kafka_port) for n, a in zip(NAMES, ADDRESSES)), "the broker's config")
    with raw.Client("%s:%d" % (ADDRESSES[1], server.kafka_port)) as client:
        node = client.call("DescribeQuorum", 2, {"Topics": [{"TopicName": "__cluster_metadata", "Partitions": [{"PartitionIndex": 0}]}]})["Nodes"][0]
        tap.equal([(at["Name"], at["Host"]) for at in node["Listeners"]], [("SECOND", ADDRESSES[1])], "the name of the listener")


def test_one():
    """one listener has another host and port, as behind a proxy or a forwarded port"""
    advertise("PLAINTEXT://outside.example:19092")
    tap.equal(told(ADDRESSES[0]), ["outside.example:19092"] * 3, "who comes by that one")
    tap.equal(told(ADDRESSES[1]), ["%s:%d" % (ADDRESSES[1], server.kafka_port)] * 3, "and by the other")
    tap.equal(config(), "PLAINTEXT://outside.example:19092,SECOND://%s:%d" % (ADDRESSES[1], server.kafka_port), "the broker's config")


def test_each():
    """each has its own, in any order; names in any case"""
    advertise("second://[::1]:19093, Plaintext://inside.example:1")
    tap.equal(told(ADDRESSES[0]), ["inside.example:1"] * 3, "the first")
    tap.equal(told(ADDRESSES[1]), ["::1:19093"] * 3, "the second")
    tap.equal(config(), "PLAINTEXT://inside.example:1,SECOND://[::1]:19093", "the broker's config")


def test_bad():
    for value in ("outside.example:1", "PLAINTEXT://host", "PLAINTEXT://host:0", "PLAINTEXT://host:65536", "PLAINTEXT://host:",
                  "PLAINTEXT://host:1x", "PLAINTEXT://host:123456", "PLAINTEXT://[::1", "PLAINTEXT://[::1]9092", "PLAINTEXT://::1:9092",
                  "PLAINTEXT://[]:1", "://host:1", "A B://host:1", "A://h,", ",", "A://x:1,a://y:1", "A://x y:1", "A://h/:1",
                  "A://%s:1" % ("h" * 300), "%s://h:1" % ("A" * 64), ",".join("L%d://h:1" % i for i in range(17))):
        try:
            server.sql("ALTER SYSTEM SET pgtopic.advertised_listeners = '%s'" % value)
            tap.ok(False, "%.30s is refused" % value)
        except pg.SqlError as problem:
            tap.matches('invalid value for parameter.*DETAIL:  "', str(problem).replace("\n", " "), "%.30s is refused" % value)
    for value in ("A://:1", "A://*:1", "A://0.0.0.0:1", "A://[::]:1"):
        try:
            server.sql("ALTER SYSTEM SET pgtopic.advertised_listeners = '%s'" % value)
            tap.ok(False, "%s is refused" % value)
        except pg.SqlError as problem:
            tap.matches("DETAIL:  Clients cannot connect to the address of A", str(problem), "%s is refused" % value)


pg.demote()
server = pg.Cluster().init()
server.set(pgtopic__listeners=", ".join("%s://%s:%d" % (n, a, server.kafka_port) for n, a in zip(NAMES, ADDRESSES)),
           pgtopic__listener_security_protocol_map="SECOND:PLAINTEXT").start()
server.sql("CREATE EXTENSION pgtopic")
server.wait_listener()
tap.main([test_default, test_one, test_each, test_bad])
