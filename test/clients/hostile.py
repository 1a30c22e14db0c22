#!/usr/bin/env python3
"""Peers that mean harm, or know no better: the broker must serve all others unharmed.

    hostile.py HOST:PORT [--seed N] [--connections N]

Needs nothing but Python.  Requests are written by hand here, in old simple
versions of the protocol, so that each byte can be made wrong.  After every
test a client that has been connected all the time and one that connects
anew must get their answers soon.  Prints TAP.
"""

import argparse
import os
import random
import resource
import select
import socket
import struct
import sys
import time
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import tap  # noqa: E402

TOPIC = "hostile-%d" % (time.time() * 1000)
PRODUCE, FETCH, METADATA, API_VERSIONS = 0, 1, 3, 18
PATIENCE = 20           # seconds for anything that has to come
SOON = 5                # seconds for a bystander's answer

address = None
options = None
rng = None
bystander = None


# --- the protocol, as little of it as is needed

def string(text):
    return struct.pack(">h", len(text)) + text.encode()


def request(key, version, correlation, body):
    frame = struct.pack(">hhi", key, version, correlation) + string("hostile") + body
    return struct.pack(">i", len(frame)) + frame


def api_versions(correlation=1):
    return request(API_VERSIONS, 0, correlation, b"")


def metadata(correlation=1, topics=(TOPIC,)):
    return request(METADATA, 1, correlation, struct.pack(">i", len(topics)) + b"".join(map(string, topics)))


def crc32c(data, table=[]):     # pylint: disable=dangerous-default-value
    if not table:
        for n in range(256):
            for _ in range(8):
                n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
            table.append(n)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def varint(n):
    n = (n << 1) ^ (n >> 63)
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def batch(value):
    """A record batch with one record."""
    body = b"\0" + varint(0) + varint(0) + varint(-1) + varint(len(value)) + value + varint(0)
    record = varint(len(body)) + body
    now = int(time.time() * 1000)
    tail = struct.pack(">hiqqqhii", 0, 0, now, now, -1, -1, -1, 1) + record
    return struct.pack(">qiibI", 0, len(tail) + 9, -1, 2, crc32c(tail)) + tail


def produce(records, correlation=1, acks=1):
    return request(PRODUCE, 3, correlation, string("")[:0] + struct.pack(">hhi", -1, acks, 10000) +
                   struct.pack(">i", 1) + string(TOPIC) + struct.pack(">iii", 1, 0, len(records)) + records)


def fetch(offset=0, correlation=1, wait_ms=0, min_bytes=1, max_bytes=1 << 26):
    return request(FETCH, 4, correlation, struct.pack(">iiiib", -1, wait_ms, min_bytes, max_bytes, 0) +
                   struct.pack(">i", 1) + string(TOPIC) + struct.pack(">iiqi", 1, 0, offset, max_bytes))


def produced_error(body):
    """Error code of the one partition in a Produce v3 response."""
    at = 4 + 2 + len(TOPIC) + 4 + 4
    return struct.unpack_from(">h", body, at)[0]


def fetched(body):
    """(error, high watermark, record bytes) of the one partition in a Fetch v4 response."""
    at = 4 + 4 + 2 + len(TOPIC) + 4 + 4
    error, high, _stable, aborted = struct.unpack_from(">hqqi", body, at)
    at += 22 + max(aborted, 0) * 16
    size, = struct.unpack_from(">i", body, at)
    return error, high, body[at + 4:at + 4 + max(size, 0)]


class Peer:
    """A connection, with blocking calls that give up."""

    def __init__(self, receive_buffer=None):
        self.socket = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address)

    def send(self, data):
        self.socket.sendall(data)
        return self

    def bytes(self, n):
        parts = []
        while n > 0:
            part = self.socket.recv(min(n, 1 << 20))
            if not part:
                raise EOFError("the connection was closed")
            parts.append(part)
            n -= len(part)
        return b"".join(parts)

    def answer(self):
        """(correlation id, body) of the next response."""
        size, = struct.unpack(">i", self.bytes(4))
        frame = self.bytes(size)
        return struct.unpack(">i", frame[:4])[0], frame[4:]

    def call(self, data):
        return self.send(data).answer()[1]

    def closed(self, patience=PATIENCE):
        """Does the other side end it?  Answers on the way are skipped."""
        self.socket.settimeout(patience)
        try:
            while self.socket.recv(1 << 16):
                pass
        except socket.timeout:
            return False
        except OSError:
            pass
        return True

    def try_send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass
        return self

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()


def close_all(peers):
    for peer in peers:
        peer.close()


def others_are_served():
    """The bystander and a newcomer have their answers, and soon."""
    started = time.monotonic()
    newcomer = Peer()
    good = len(bystander.call(api_versions())) > 10
    good = good and produced_error(bystander.call(produce(batch(b"bystander")))) == 0
    good = good and len(newcomer.call(metadata())) > 10
    newcomer.close()
    took = time.monotonic() - started
    if not tap.ok(good and took < SOON, "others are served"):
        tap.note("it took %.1f s" % took)


# --- tests

def test_lengths():
    """Frame lengths that are negative, huge, or just above a hundred megabytes."""
    for what, length in (("-1", -1), ("the smallest", -2**31), ("the largest", 2**31 - 1),
                         ("1 GiB and a byte", 2**30 + 1)):
        peer = Peer().send(struct.pack(">i", length))
        tap.ok(peer.closed(), "length %s ends the connection" % what)
        peer.close()
        peer = Peer().send(api_versions() + struct.pack(">i", length) + b"x" * 100)
        correlation, _body = peer.answer()
        tap.ok(correlation == 1 and peer.closed(), "length %s behind a good request: that one is answered" % what)
        peer.close()
    peer = Peer().send(struct.pack(">i", 0))
    tap.ok(peer.closed(), "an empty frame ends the connection")
    peer.close()


def test_garbage():
    """Other protocols, and noise."""
    hello = bytes.fromhex("16030100a5010000a10303") + bytes(160)
    for what, data in (("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ("TLS", hello), ("SSH", b"SSH-2.0-OpenSSH_9.9\r\n")):
        peer = Peer().try_send(data)
        tap.ok(peer.closed(), "%s is turned away" % what)
        peer.close()
    for _ in range(200):
        noise = rng.randbytes(rng.randrange(1, 2000))
        peer = Peer().try_send(struct.pack(">i", len(noise)) + noise)
        peer.close()
    tap.ok(True, "noise was sent")


def test_truncated():
    """Every beginning of a good request, as a frame of its own."""
    for what, whole in (("Metadata", metadata()), ("Produce", produce(batch(b"x" * 50))), ("Fetch", fetch())):
        unanswered = 0
        for n in range(1, len(whole) - 4):
            peer = Peer().try_send(struct.pack(">i", n) + whole[4:4 + n])
            if not answered_or_closed(peer):
                unanswered += 1
            peer.close()
        tap.equal(unanswered, 0, "%s: each is answered or ends the connection" % what)


def answered_or_closed(peer):
    """Something must come: an answer, or the end."""
    try:
        return bool(select.select([peer.socket], [], [], PATIENCE)[0])
    except (OSError, ValueError):
        return True


def test_mutated():
    """Good requests with bytes changed; only those connections may suffer."""
    good = [metadata(), produce(batch(b"y" * 100)), fetch(), api_versions(), produce(batch(b"z"), acks=0)]
    for _ in range(600):
        frame = bytearray(rng.choice(good)[4:])
        for _ in range(rng.randrange(1, 8)):
            frame[rng.randrange(len(frame))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        peer = Peer().try_send(struct.pack(">i", len(frame)) + frame)
        peer.close()
    tap.ok(True, "mutations were sent")


def test_counts():
    """Arrays that say they have more elements than there are bytes."""
    for count in (2**31 - 1, 1 << 24, 1000, -2):
        peer = Peer().try_send(request(METADATA, 1, 1, struct.pack(">i", count) + string("a")))
        tap.ok(answered_or_closed(peer), "Metadata of %d topics" % count)
        peer.close()
        peer = Peer().try_send(request(FETCH, 4, 1, struct.pack(">iiiibi", -1, 0, 1, 1 << 20, 0, count) + string("a")))
        tap.ok(answered_or_closed(peer), "Fetch of %d topics" % count)
        peer.close()
    records = bytearray(batch(b"x"))
    struct.pack_into(">i", records, 57, 2**31 - 1)
    peer = Peer()
    tap.ok(produced_error(peer.call(produce(bytes(records)))) != 0, "a record count of 2^31-1 is an error")
    struct.pack_into(">i", records, 57, 1)
    records[-2] ^= 1
    tap.ok(produced_error(peer.call(produce(bytes(records)))) == 2, "a wrong CRC is CORRUPT_MESSAGE")
    peer.close()


def test_split():
    """A request one byte at a time, answers in pieces of a few bytes."""
    peer = Peer(receive_buffer=4096)
    for byte in metadata(7):
        peer.send(bytes([byte]))
        time.sleep(0.001)
    tap.equal(peer.answer()[0], 7, "it is answered")
    peer.close()


def test_half_frames():
    """Connections that begin a request and stand still."""
    peers = [Peer().send(metadata()[:rng.randrange(1, 20)]) for _ in range(200)]
    others_are_served()
    tap.equal(sum(p.closed(0.001) for p in peers[:20]), 0, "they are waited for")
    rest = Peer().send(metadata(3)[:10])
    time.sleep(0.2)
    tap.equal(rest.send(metadata(3)[10:]).answer()[0], 3, "one that goes on is answered")
    close_all(peers + [rest])


def test_announcements():
    """Connections that announce a hundred megabytes each and send some of it."""
    peers = []
    for i in range(min(options.connections, 400)):
        peer = Peer().send(struct.pack(">i", 100 * 1000 * 1000))
        peer.try_send(bytes(100000 if i % 4 == 0 else 3))
        peers.append(peer)
    others_are_served()
    big = batch(os.urandom(900000))
    started = time.monotonic()
    tap.equal(produced_error(Peer().call(produce(big))), 0, "a large request of somebody else gets through")
    tap.ok(time.monotonic() - started < PATIENCE, "in time")
    close_all(peers)


def test_idle():
    """Many connections that do nothing, and then all ask at once."""
    peers = [Peer() for _ in range(options.connections)]
    others_are_served()
    started = time.monotonic()
    for peer in peers:
        peer.send(api_versions(9))
    tap.equal(sum(peer.answer()[0] == 9 for peer in peers), len(peers), "%d connections have their answers" % len(peers))
    tap.note("in %.2f s" % (time.monotonic() - started))
    close_all(peers)


def test_storm():
    """Connections that come and go."""
    for i in range(2000):
        peer = Peer()
        if i % 3 == 0:
            peer.send(api_versions())
        if i % 2 == 0:
            peer.reset()
        else:
            peer.close()
    tap.ok(True, "2000 connections came and went")


def test_half_close():
    """Who says that nothing more comes gets the answers to what came."""
    peer = Peer().send(api_versions(1) + produce(batch(b"last words"), 2) + metadata(3))
    peer.socket.shutdown(socket.SHUT_WR)
    tap.equal([peer.answer()[0] for _ in range(3)], [1, 2, 3], "three answers in order")
    tap.ok(peer.closed(), "and then the end")
    peer.close()
    end = fetched(Peer().call(fetch(0)))[1]
    started = time.monotonic()
    peer = Peer().send(fetch(end, 5, wait_ms=15000))
    time.sleep(0.3)
    peer.socket.shutdown(socket.SHUT_WR)
    tap.equal(peer.answer()[0], 5, "a waiting Fetch is answered")
    tap.ok(time.monotonic() - started < 10, "and does not wait on")
    peer.close()


def test_pipeline():
    """Many requests at once: all answered, in order."""
    n = 3000
    peer = Peer()
    sent = received = 0
    data = b"".join(api_versions(i) if i % 10 else produce(batch(b"p%d" % i), i) for i in range(n))
    peer.socket.setblocking(False)
    inbox = b""
    order = []
    deadline = time.monotonic() + PATIENCE
    while received < n and time.monotonic() < deadline:
        readable, writable, _ = select.select([peer.socket], [peer.socket] if sent < len(data) else [], [], 1)
        if writable:
            sent += peer.socket.send(data[sent:sent + 65536])
        if readable:
            inbox += peer.socket.recv(65536)
            while len(inbox) >= 4 and len(inbox) >= 4 + struct.unpack_from(">i", inbox)[0]:
                size, correlation = struct.unpack_from(">ii", inbox)
                order.append(correlation)
                inbox = inbox[4 + size:]
                received += 1
    tap.ok(order == list(range(n)), "%d requests, answered in order" % n)
    peer.close()
    peer = Peer().send(b"".join(produce(batch(b"quiet"), i, acks=0) for i in range(50)) + api_versions(77))
    tap.equal(peer.answer()[0], 77, "acks=0 gets no answer, what is behind does")
    peer.close()


def fill(megabytes):
    """Puts data into the topic; returns the value that every such record has."""
    value = bytes(range(256)) * 3500
    records = batch(value)
    peer = Peer()
    for _ in range(megabytes * 1000000 // len(value)):
        if produced_error(peer.call(produce(records))) != 0:
            raise RuntimeError("could not produce")
    peer.close()


def whole_batches(records):
    """Checks what was fetched: batches one behind the other, each with its right CRC."""
    at = 0
    n = 0
    while at + 61 <= len(records):
        size = 12 + struct.unpack_from(">i", records, at + 8)[0]
        crc, = struct.unpack_from(">I", records, at + 17)
        if at + size > len(records):
            break
        # zlib has no CRC32C, and ours is slow: the large ones are all alike, so each content is checked once
        content = records[at + 21:at + size]
        key = (zlib.crc32(content), crc)
        if key not in whole_batches.known:
            if crc32c(content) != crc:
                return -1
            whole_batches.known.add(key)
        at += size
        n += 1
    return n


whole_batches.known = set()


def test_slow_readers():
    """Clients that take large responses a few bytes at a time hurt nobody, and get what they asked for."""
    fill(12)
    peers = [Peer(receive_buffer=4096).send(fetch(0, 4)) for _ in range(20)]
    never = [Peer(receive_buffer=4096).send(fetch(0) * 50) for _ in range(20)]
    for _ in range(20):
        for peer in peers:
            select.select([peer.socket], [], [], PATIENCE)
        time.sleep(0.01)
    others_are_served()
    good = 0
    for peer in peers:
        correlation, body = peer.answer()
        error, _high, records = fetched(body)
        good += correlation == 4 and error == 0 and whole_batches(records) > 10
    tap.equal(good, len(peers), "each slow reader has whole batches with right checksums")
    for peer in never[:10]:
        peer.reset()
    close_all(peers + never[10:])


def test_resets():
    """Connections that break in the middle of a response, or of a long poll."""
    for i in range(60):
        peer = Peer(receive_buffer=4096).send(fetch(0))
        if i % 2:
            peer.bytes(1000)
        peer.reset()
    end = fetched(Peer().call(fetch(0)))[1]
    waiting = [Peer().send(fetch(end + 10**6 if i % 10 == 0 else end, wait_ms=60000)) for i in range(200)]
    time.sleep(0.2)
    for peer in waiting[::2]:
        peer.reset()
    close_all(waiting[1::2])
    tap.ok(True, "260 connections were broken")


def test_long_polls():
    """Many wait for the end of one partition; one record wakes them all."""
    reader = Peer()
    end = fetched(reader.call(fetch(0)))[1]
    waiting = [Peer().send(fetch(end, 6, wait_ms=30000)) for _ in range(300)]
    time.sleep(0.3)
    bystander.call(produce(batch(b"wake up")))
    started = time.monotonic()
    woken = sum(b"wake up" in fetched(p.answer()[1])[2] for p in waiting)
    tap.equal(woken, len(waiting), "300 waiting clients have the record")
    tap.ok(time.monotonic() - started < SOON, "soon")
    close_all(waiting + [reader])
    end = fetched(bystander.call(fetch(0)))[1]
    started = time.monotonic()
    error, _high, records = fetched(Peer().call(fetch(end, wait_ms=700)))
    took = time.monotonic() - started
    tap.ok(error == 0 and records == b"" and took > 0.6, "with nothing new, the answer comes when the wait is over")


def test_unknown_requests():
    """API keys and versions that nobody knows."""
    for key, version in ((999, 0), (-1, 0), (METADATA, 99), (METADATA, -1), (FETCH, 32767)):
        peer = Peer().try_send(request(key, version, 1, b""))
        tap.ok(answered_or_closed(peer), "API key %d, version %d" % (key, version))
        peer.close()
    correlation, body = Peer().send(request(API_VERSIONS, 99, 4, b"")).answer()
    tap.ok(correlation == 4 and struct.unpack_from(">h", body)[0] == 35, "ApiVersions 99 is answered with error 35")


TESTS = [test_lengths, test_garbage, test_truncated, test_mutated, test_counts, test_split, test_half_frames,
         test_announcements, test_idle, test_storm, test_half_close, test_pipeline, test_slow_readers,
         test_resets, test_long_polls, test_unknown_requests]


def guarded(test):
    """The test, and then the bystanders."""
    def run():
        global bystander    # pylint: disable=global-statement
        try:
            test()
        finally:
            try:
                others_are_served()
            except (OSError, EOFError) as e:
                tap.ok(False, "others are served")
                tap.note(e)
                bystander = Peer()
    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


def main():
    global address, options, rng, bystander     # pylint: disable=global-statement
    parser = argparse.ArgumentParser(description="attack a broker")
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--only", default="", help="tests whose name has this in it")
    options = parser.parse_args()
    host, _, port = options.address.rpartition(":")
    address = (host.strip("[]"), int(port))
    rng = random.Random(options.seed)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else max(soft, 65536), hard))
    tap.note("seed %d" % options.seed)
    bystander = Peer()
    for _ in range(100):        # until the topic is there
        bystander.call(metadata())
        if produced_error(bystander.call(produce(batch(b"first")))) == 0:
            break
        time.sleep(0.1)
    tap.main([guarded(t) for t in TESTS if options.only in t.__name__])


if __name__ == "__main__":
    main()
