#!/usr/bin/env python3
"""A consumer that catches up: reads one partition from its start to its end, over and over, and says how many bytes it got.

    catch_up.py DIRECTORY PORT TOPIC SECONDS

DIRECTORY is where the kafka-clients jar is.  A process of its own, so that it takes no time from those who measure.  It looks into nothing but the headers of batches.
"""
import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from group_load import raw, use_jars  # noqa: E402
from wire import whole_batches        # noqa: E402

FETCH = ("Fetch", 11)
BYTES = 1 << 20


def main():
    use_jars(sys.argv[1])
    port, topic, seconds = int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
    until = time.monotonic() + seconds
    offset = total = 0
    with raw.Client(f"127.0.0.1:{port}", timeout=120) as client:
        while time.monotonic() < until:
            answer = client.call(*FETCH, {"ReplicaId": -1, "MaxWaitMs": 100, "MinBytes": 1, "MaxBytes": BYTES, "Topics": [
                {"Topic": topic, "Partitions": [{"Partition": 0, "FetchOffset": offset, "PartitionMaxBytes": BYTES}]}]})
            part = answer["Responses"][0]["Partitions"][0]
            if part["ErrorCode"]:
                raise SystemExit(f"Fetch: error {part['ErrorCode']}")
            data = part["Records"] or b""
            total += len(data)
            offset = whole_batches(data, offset)[1] if offset < part["HighWatermark"] else 0
    print(total)


main()
