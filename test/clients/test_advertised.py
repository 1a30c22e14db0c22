#!/usr/bin/env python3
"""Where clients are told to connect to: by default the address by which they came, else what
pgtopic.advertised_listeners says, with hosts and ports, for all listeners or for each.
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
    tap.equal(config(), ",".join("PLAINTEXT://%s:%d" % (a, server.kafka_port) for a in ADDRESSES), "the broker's config")


def test_one():
    """a host and a port for all, as behind a proxy or a forwarded port"""
    advertise("outside.example:19092")
    for address in ADDRESSES:
        tap.equal(told(address), ["outside.example:19092"] * 3, "who comes by %s" % address)
    tap.equal(config(), "PLAINTEXT://outside.example:19092", "the broker's config")
    advertise("elsewhere.example")
    tap.equal(told(ADDRESSES[1]), ["elsewhere.example:%d" % server.kafka_port] * 3, "without a port: our own")


def test_each():
    """one for each listener"""
    advertise("outside.example:19092, [::1]:19093")
    tap.equal(told(ADDRESSES[0]), ["outside.example:19092"] * 3, "the first")
    tap.equal(told(ADDRESSES[1]), ["::1:19093"] * 3, "the second")
    tap.equal(config(), "PLAINTEXT://outside.example:19092,PLAINTEXT://[::1]:19093", "the broker's config")


def test_bad():
    for value in ("host:0", "host:65536", "host:", ":9092", "host:1x", "host:123456", "[::1", "[::1]9092", "*", "0.0.0.0:9092",
                  "good:1,host:0", "h" * 300):
        try:
            server.sql("ALTER SYSTEM SET pgtopic.advertised_listeners = '%s'" % value)
            tap.ok(False, "%.20s is refused" % value)
        except pg.SqlError as problem:
            tap.matches("DETAIL:.*clients can connect to", str(problem), "%.20s is refused" % value)


pg.demote()
server = pg.Cluster(settings={"pgtopic.listen_addresses": ", ".join(ADDRESSES)}).init().start()
server.sql("CREATE EXTENSION pgtopic")
server.wait_listener()
tap.main([test_default, test_one, test_each, test_bad])
