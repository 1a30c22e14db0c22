"""What tests that speak Kafka's protocol by hand (../clients/raw.py) have in common: bodies of requests, and what answers say.

    rawtest.need_clients()
    with rawtest.connect(server) as client:
        error, offset = rawtest.told(client.call("Produce", 9, rawtest.produce_body("t", "a value")))

Bodies are of Produce 9 and Fetch 11, and of partition 0 of each topic.

Siblings: cluster.py, tap.py; moved.py.
"""

import os
import select
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "clients"))
import raw             # noqa: E402
import tap             # noqa: E402

MOMENT = 0.7            # seconds in which nothing may come


def need_clients():
    """Leaves the file out where nobody has brought the specs of the messages."""
    try:
        raw.message("FetchRequest")
    except RuntimeError:
        tap.skip("no kafka-clients jar (test/clients/install)")


def connect(server):
    return raw.Client(server.bootstrap, timeout=60)


def ends(client):
    """Does the server close the connection by itself?"""
    try:
        return client.socket.recv(1) == b""
    except OSError:
        return False


def produce_body(topic, *values, acks=-1, records=None):
    """One batch of records without keys, or these bytes."""
    if records is None:
        records = raw.Batch([(None, value) for value in values]).encode()
    return {"Acks": acks, "TimeoutMs": 60000, "TopicData": [
        {"Name": topic, "PartitionData": [{"Index": 0, "Records": records}]}]}


def told(answer):
    """Error code and base offset of an answer to Produce."""
    part = answer["Responses"][0]["PartitionResponses"][0]
    return part["ErrorCode"], part["BaseOffset"]


def produce(client, topic, *values, **more):
    """Error code and base offset."""
    return told(client.call("Produce", 9, produce_body(topic, *values, **more)))


def fetch_body(topics, offset=0, wait_ms=0, min_bytes=1, max_bytes=1 << 20):
    return {"ReplicaId": -1, "MaxWaitMs": wait_ms, "MinBytes": min_bytes, "MaxBytes": max_bytes, "Topics": [
        {"Topic": topic, "Partitions": [{"Partition": 0, "FetchOffset": offset, "PartitionMaxBytes": max_bytes}]} for topic in topics]}


def fetch(client, topic, offset=0, **more):
    """What an answer to Fetch says of one partition."""
    return client.call("Fetch", 11, fetch_body([topic], offset, **more))["Responses"][0]["Partitions"][0]


def end_seen(client, topic, offset=0):
    """Error code and high watermark."""
    part = fetch(client, topic, offset)
    return part["ErrorCode"], part["HighWatermark"]


def values_of(part):
    """The values in a partition of an answer to Fetch."""
    return [record[3].decode() for record in raw.read_batches(part["Records"] or b"")]


def silent(*files):
    """Does none of these have anything to read within a moment?  A slow machine can only make that moment miss a fault."""
    return not select.select(files, [], [], MOMENT)[0]
