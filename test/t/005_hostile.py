#!/usr/bin/env python3
"""Hostile peers harm nobody: the server stays up, its memory stays bounded, the log says what was closed.

The attacks over sockets are test/clients/hostile.py; here is the server around
them, and what needs well-formed requests with evil content: batches that
decompress without end, counts that lie.
"""

import os
import re
import subprocess
import sys
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
import cluster as pg   # noqa: E402
import tap             # noqa: E402

server = None
MEMORY_MB_MAX = 400     # of one listener, above what it shares with others


def private_mb(pid):
    """Memory that is a process' own, in MB."""
    total = 0
    with open("/proc/%d/smaps_rollup" % pid, encoding="utf8") as f:
        for line in f:
            match = re.match(r"Private_\w+:\s+(\d+) kB", line)
            total += int(match.group(1)) if match else 0
    return total // 1024


def listener():
    return server.worker_pids("pgtopic listener")


def test_sockets():
    """half requests, lies about lengths, slow readers, thousands of connections"""
    before = listener()
    done = subprocess.run([sys.executable, os.path.join(HERE, "..", "clients", "hostile.py"), server.bootstrap],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=400, check=False)
    for line in done.stdout.split("\n"):
        match = re.match(r"(not )?ok \d+ - (.*)", line)
        if match:
            tap.ok(match.group(1) is None, match.group(2))
        elif line and not line.startswith("1.."):
            tap.note(line.lstrip("# "))
    tap.equal(done.returncode, 0, "hostile.py is content")
    tap.equal(listener(), before, "the listener is the same process as before")
    tap.ok(private_mb(before[0]) < MEMORY_MB_MAX, "its memory is bounded (%d MB)" % private_mb(before[0]))


def bombs():
    """Batches whose records are small and decompress to a gigabyte, and liars about counts."""
    import raw
    gigabyte = gzip_zeros(1 << 30)
    yield "a gzip bomb", raw.Batch([(None, "x")], attributes=1, body_compressed=gigabyte)
    for count in (2 ** 31 - 1, -1, -2 ** 31, 0):
        for attributes in (0, 1):
            yield ("%d records announced%s" % (count, " in gzip" if attributes else ""),
                   raw.Batch([(None, "x")], count=count, last_offset_delta=count - 1 if count > 0 else 0, attributes=attributes))
    for what, body in (("a record that is longer than its batch", raw.varint(1 << 30) + b"\0" * 20),
                       ("a record of negative length", raw.varint(-5) + b"\0" * 20),
                       ("a varint without end", b"\xff" * 40),
                       ("a key that runs out", raw.varint(12) + b"\0\0\0" + raw.varint(1 << 20) + b"x" * 8),
                       ("a million headers", raw.varint(12) + b"\0\0\0\x01\x01" + raw.varint(1000000) + b"x" * 5),
                       ("bytes behind the last record", None)):
        if body is None:
            body = raw.Batch([(None, "x")])._record(0, (None, "x", None, None)) + b"more"
        yield what, raw.Batch([(None, "x")], body=body)


def gzip_zeros(size):
    """A gzip stream of so many zeros, made without holding them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    chunk = bytes(1 << 20)
    parts = [packer.compress(chunk) for _ in range(size >> 20)]
    return b"".join(parts) + packer.flush()


def test_batches():
    """well-formed requests, evil batches"""
    import raw
    server.sql("SELECT create_topic('evil', config => '{\"max.message.bytes\": 10000000}')")
    client = raw.Client(server.bootstrap, timeout=60)

    def produce(data):
        request = {"Acks": 1, "TimeoutMs": 10000, "TopicData": [{"Name": "evil", "PartitionData": [{"Index": 0, "Records": data}]}]}
        return client.call("Produce", 9, request)["Responses"][0]["PartitionResponses"][0]["ErrorCode"]

    pid = listener()[0]
    for what, batch in bombs():
        code = produce(batch.encode())
        tap.ok(code > 0, "%s is refused (error %d)" % (what, code))
    tap.equal(produce(raw.Batch([(None, "good")]).encode()), 0, "a good one goes in")
    tap.equal(server.sql("SELECT string_agg(as_text(value), ',') FROM topics.evil"), "good", "and is all there is")
    tap.ok(private_mb(pid) < MEMORY_MB_MAX, "memory is bounded (%d MB)" % private_mb(pid))
    tap.equal(listener(), [pid], "the listener lives")
    client.close()


def test_sql():
    """values that a client may have written are harmless to SQL"""
    tap.equal(server.sql("SELECT count(*) FROM topics.evil"), "1", "SELECT")
    for call in ("create_topic('../../etc')", "create_topic(repeat('x', 250))", "create_topic('ok', partitions => 0)",
                 "create_topic('ok', partitions => 2000000000)", "produce('evil', 'x'::text, partition => 7)",
                 "append('evil:99', 'x'::text)", "create_topic('..')", "create_topic('')",
                 "poll('evil', -1, 0)", "consume('evil', 'g', max_records => -1)"):
        try:
            server.sql("SELECT " + call)
            tap.ok(call.startswith("poll"), call + " is refused")
        except pg.SqlError as problem:
            tap.ok("server closed" not in str(problem), call + " is refused: " + str(problem).split("\n")[0][:90])


def test_log():
    text = server.log_text()
    tap.ok("PANIC" not in text and "TRAP" not in text and "terminated by signal" not in text, "nothing crashed")
    tap.matches("closed the connection", text, "the log says which connections were closed")


def main():
    global server
    pg.demote()
    server = pg.Cluster().init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    tests = [test_sockets, test_batches, test_sql, test_log]
    try:
        import raw
        raw.message("ProduceRequest")
    except RuntimeError:
        tests.remove(test_batches)
    tap.main(tests)


main()
