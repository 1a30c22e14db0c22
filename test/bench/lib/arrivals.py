#!/usr/bin/env python3
"""A consumer that says when records come: it follows one partition in long polls, from a record whose pad is "probe-RUN" to one with "the-end-RUN".

    arrivals.py DIRECTORY PORT TOPIC RUN SECONDS

DIRECTORY is where the kafka-clients jar is.  A record's value is JSON, in whatever envelope, and has "pad" and "at" beside each other: the time
at which it was made, in seconds.  Only those whose pad is x's are measured.  "ready" is printed at the first probe, at the end a line
of JSON.  A process of its own, so that it takes no time from those who measure.
"""
import json
import os
import re
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from group_load import raw, use_jars  # noqa: E402
from wire import whole_batches        # noqa: E402

FETCH = ("Fetch", 11)
BYTES = 4 << 20
RECORD = re.compile(rb'"pad": ?"(x+|probe-\d+|the-end-\d+)", ?"at": ?([0-9.eE+]+)')


def main():
    use_jars(sys.argv[1])
    port, topic, run, seconds = int(sys.argv[2]), sys.argv[3], sys.argv[4].encode(), float(sys.argv[5])
    until = time.monotonic() + seconds
    offset = size = 0
    took, first, last, ready, ended = [], None, None, False, False
    with raw.Client(f"127.0.0.1:{port}", timeout=120) as client:
        while not ended and time.monotonic() < until:
            answer = client.call(*FETCH, {"ReplicaId": -1, "MaxWaitMs": 500, "MinBytes": 1, "MaxBytes": BYTES, "Topics": [
                {"Topic": topic, "Partitions": [{"Partition": 0, "FetchOffset": offset, "PartitionMaxBytes": BYTES}]}]})
            now = time.time()
            part = answer["Responses"][0]["Partitions"][0]
            if part["ErrorCode"]:       # it is not there yet
                time.sleep(0.1)
                continue
            length, offset = whole_batches(part["Records"] or b"", offset)
            for pad, at in RECORD.findall(part["Records"] or b"", 0, length):
                if not ready and pad == b"probe-" + run:
                    ready = print("ready", flush=True) is None
                ended = ended or pad == b"the-end-" + run
                if ready and pad[:1] == b"x":
                    made = float(at)
                    first, last = min(first or made, made), now
                    took.append((now - made) * 1000)
            size += length
    took.sort()
    print(json.dumps({"records": len(took), "bytes": size, "first": first, "last": last, "ended": ended,
                      "p50_ms": took[len(took) // 2] if took else None, "p99_ms": took[len(took) * 99 // 100] if took else None}))


main()
