#!/usr/bin/env python3
"""What one writes without a sink: a consumer that puts the records of one partition into a table, in batches, each a transaction with its offset.

    insert_batches.py DIRECTORY PORT TOPIC RECORDS BATCH PSQL ARGUMENT...

DIRECTORY is where the kafka-clients jar is.  PSQL with its arguments is a session of the database.
"""
import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from group_load import raw, use_jars  # noqa: E402

FETCH = ("Fetch", 11)
BYTES = 1 << 20


def statement(rows, offset):
    values = ", ".join("(%d, '%s', %s)" % (row["id"], row["pad"].replace("'", "''"), row["at"]) for row in rows)
    return f"BEGIN; INSERT INTO plain_sink VALUES {values}; UPDATE plain_offset SET n = {offset}; COMMIT;\n"


def main():
    use_jars(sys.argv[1])
    port, topic, records, batch = int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
    psql = subprocess.Popen(sys.argv[6:], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    offset, rows = 0, []
    with raw.Client(f"127.0.0.1:{port}", timeout=120) as client:
        while offset < records:
            answer = client.call(*FETCH, {"ReplicaId": -1, "MaxWaitMs": 500, "MinBytes": 1, "MaxBytes": BYTES, "Topics": [
                {"Topic": topic, "Partitions": [{"Partition": 0, "FetchOffset": offset, "PartitionMaxBytes": BYTES}]}]})
            part = answer["Responses"][0]["Partitions"][0]
            if part["ErrorCode"]:
                raise SystemExit(f"Fetch: error {part['ErrorCode']}")
            for record in raw.read_batches(part["Records"] or b""):
                if record[0] < offset:
                    continue
                offset = record[0] + 1
                rows.append(json.loads(record[3]))
                if len(rows) == batch or offset == records:
                    psql.stdin.write(statement(rows, offset))
                    rows = []
    psql.stdin.close()
    if psql.wait() != 0:
        raise SystemExit("psql failed")


main()
