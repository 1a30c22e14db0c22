#!/usr/bin/env python3
"""pgtopic.listeners: which are opened, which are not and why, that no closed one keeps the others, or SQL, from being served, and that
nothing is left of connections that are refused."""

import os
import re
import socket
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
import cluster as pg   # noqa: E402
import counts          # noqa: E402
import points          # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402


def make(name, listeners, environment=None, settings=None, **more):
    """A server with these listeners; {} is its port."""
    server = pg.Cluster(name, settings, environment=environment).init()
    server.set(pgtopic__listeners=listeners.replace("{}", str(server.kafka_port)), **more).start()
    server.sql("CREATE EXTENSION pgtopic")
    return server


def logged(server, pattern, timeout=60):
    """Until the log has such a line; does it?"""
    deadline = time.monotonic() + timeout
    while not re.search(pattern, server.log_text()):
        if time.monotonic() > deadline:
            tap.note(server.log_tail())
            return False
        time.sleep(0.02)
    return True


def answers(host, port):
    """Is Kafka spoken there?"""
    try:
        with raw.Client("%s:%d" % (host, port), timeout=30) as client:
            return client.call("ApiVersions", 0)["ErrorCode"] == 0
    except OSError:
        return False


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def test_names():
    """names, protocols and addresses"""
    server = make("names", "PLAINTEXT://localhost:{}, Inside.1://127.0.0.3:{}, LOST://127.0.0.4:{}",
                  pgtopic__listener_security_protocol_map="inside.1:plaintext,CONTROLLER:SSL")
    server.wait_listener()
    tap.ok(logged(server, r"listener INSIDE\.1 for Kafka clients is open on \"127\.0\.0\.3\""), "a name of one's own is opened")
    tap.ok(answers("127.0.0.1", server.kafka_port), "the first one answers")
    tap.ok(answers("127.0.0.3", server.kafka_port), "the second one answers")
    tap.ok(logged(server, "listener LOST .* is not open: nothing says what is spoken there"), "one that the map lacks is not opened")
    tap.ok(logged(server, 'HINT:  Add its name to "pgtopic.listener_security_protocol_map"'), "with a hint")
    tap.ok(not answers("127.0.0.4", server.kafka_port), "and does not answer")
    tap.equal(server.sql("SELECT value FROM broker_configs() WHERE name = 'listeners'"),
              "PLAINTEXT://localhost:%d,INSIDE.1://127.0.0.3:%d,LOST://127.0.0.4:%d" % ((server.kafka_port,) * 3), "the broker's config")
    tap.equal(server.sql("SELECT value FROM broker_configs() WHERE name = 'listener.security.protocol.map'"),
              "PLAINTEXT:PLAINTEXT,INSIDE.1:PLAINTEXT", "and that of protocols")
    server.stop()


def test_ipv6():
    """an IPv6 address"""
    if not has_ipv6():
        tap.note("no IPv6 here")
        return
    server = make("six", "PLAINTEXT://[::1]:{}")
    tap.ok(logged(server, 'listener PLAINTEXT .* is open on "::1"'), "it is opened")
    tap.ok(answers("::1", server.kafka_port), "and answers")
    with raw.Client("::1:%d" % server.kafka_port) as client:
        broker = client.call("Metadata", 9, {"Topics": []})["Brokers"][0]
        tap.equal((broker["Host"], broker["Port"]), ("::1", server.kafka_port), "clients are told the address without brackets")
    server.stop()


def test_loopback():
    """without authentication only loopback is open, unless a setting says otherwise; and that can change"""
    server = make("loopback", "PLAINTEXT://:{}")
    closed = "is not open: clients are not authenticated there, and the address is not loopback"
    tap.ok(logged(server, closed), "all addresses: not opened")
    tap.ok(logged(server, 'HINT:  Listen on 127.0.0.1, or set "pgtopic.allow_unauthenticated"'), "with a hint")
    tap.ok(not answers("127.0.0.1", server.kafka_port), "and does not answer")
    server.sql("ALTER SYSTEM SET pgtopic.allow_unauthenticated = on; SELECT pg_reload_conf()")
    server.wait_listener()
    tap.ok(answers("127.0.0.1", server.kafka_port), "allowed: it is opened without a restart")
    kept = raw.Client(server.bootstrap)
    kept.call("ApiVersions", 0)
    before = server.log_text().count(closed)
    server.sql("ALTER SYSTEM RESET pgtopic.allow_unauthenticated; SELECT pg_reload_conf()")
    deadline = time.monotonic() + 60
    while server.log_text().count(closed) == before and time.monotonic() < deadline:
        time.sleep(0.02)
    tap.ok(not answers("127.0.0.1", server.kafka_port), "no longer allowed: it is closed")
    tap.equal(kept.call("ApiVersions", 0)["ErrorCode"], 0, "who is there stays")
    kept.close()
    server.stop()


def test_taken():
    """an address that is taken is tried again until it is free; the other listener serves meanwhile"""
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    port = taken.getsockname()[1]
    server = make("taken", "FIRST://127.0.0.1:%d,PLAINTEXT://127.0.0.1:{},NOWHERE://no-such-host.invalid:{}" % port,
                  pgtopic__listener_security_protocol_map="FIRST:PLAINTEXT,NOWHERE:PLAINTEXT", pgtopic__allow_unauthenticated="on",
                  pgtopic__advertised_listeners="STRANGER://outside.example:1")
    tap.ok(logged(server, 'listener FIRST .* port %d, is not open: Address already in use' % port), "it is not opened")
    server.wait_listener()
    tap.ok(answers("127.0.0.1", server.kafka_port), "the other one is served")
    tap.ok(logged(server, 'listener NOWHERE .* is not open: '), "nor is one whose host is not found")
    tap.ok(logged(server, 'listener STRANGER of "pgtopic.advertised_listeners" is not there'), "an advertised listener that is not there is logged")
    taken.close()
    tap.ok(logged(server, "listener FIRST for Kafka clients is open"), "free: it is opened")
    tap.ok(answers("127.0.0.1", port), "and answers")
    tap.equal(len(re.findall("listener FIRST .* is not open", server.log_text())), 1, "the log had one line about it")
    server.stop()


def test_lookups():
    """a host that is not found is looked for when the settings are read, and not again each second beside a listener whose address is taken"""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        counted = counts.Counts()
        server = make("lookups", "PLAINTEXT://127.0.0.1:{},FIRST://127.0.0.1:%d,NOWHERE://no-such-host.invalid:{}" % taken.getsockname()[1],
                      environment=counted.environment, pgtopic__listener_security_protocol_map="FIRST:PLAINTEXT,NOWHERE:PLAINTEXT",
                      pgtopic__allow_unauthenticated="on")
        tap.ok(logged(server, "listener NOWHERE .* is not open: ") and logged(server, "listener FIRST .* is not open: "), "two are not open")
        asked = counted.now("lookup")
        tap.ok(asked > 0, "the host was looked for")
        port = taken.getsockname()[1]
    tap.ok(logged(server, "listener FIRST for Kafka clients is open"), "the one whose address was taken is tried again")
    tap.ok(answers("127.0.0.1", port), "and answers")
    tap.equal(counted.now("lookup"), asked, "the host is not")
    server.reload()
    deadline = time.monotonic() + 60
    while counted.now("lookup") == asked and time.monotonic() < deadline:
        time.sleep(0.02)
    tap.ok(counted.now("lookup") > asked, "when the settings are read again it is")
    server.stop()


def sockets(pid):
    """How many sockets a process has."""
    n = 0
    for fd in os.listdir("/proc/%d/fd" % pid):
        try:
            n += os.readlink("/proc/%d/fd/%s" % (pid, fd)).startswith("socket:")
        except OSError:
            pass    # it is closed just now
    return n


def refusals(server, pid, before, what):
    """After some connections none of which is served: it has as many sockets as before."""
    deadline = time.monotonic() + 60
    while sockets(pid) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    tap.equal(sockets(pid), before, what + ": no socket is left")
    tap.ok(answers("127.0.0.1", server.kafka_port), what + ": then others are served")
    while sockets(pid) != before and time.monotonic() < deadline:
        time.sleep(0.05)


def closed(port):
    """Does the server close a connection without being asked anything?"""
    with socket.create_connection(("127.0.0.1", port), 60) as s:
        try:
            return s.recv(1) == b""
        except ConnectionError:
            return True


def test_refused():
    """connections that are refused: too many, a quota, an error while they are looked at"""
    stop = points.Points()
    server = make("refused", "PLAINTEXT://127.0.0.1:{}", settings=stop.settings)
    server.wait_listener()
    tap.ok(answers("127.0.0.1", server.kafka_port), "a listener")
    server.wait_for("SELECT count(*) FROM clients", "0")
    pid = int(server.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'pgtopic listener 0'"))
    before = sockets(pid)

    def fails():
        stop.fail("quotas.looked")
        return closed(server.kafka_port) and stop.failed("quotas.looked")
    tap.ok(all(fails() for _ in range(20)), "errors: the connections are closed")
    refusals(server, pid, before, "errors")

    server.sql("SELECT set_quotas('{\"ip\": \"127.0.0.1\"}', '{\"connection_creation_rate\": 1}')")
    ends = []
    for _ in range(30):
        ends.append(socket.create_connection(("127.0.0.1", server.kafka_port), 60))
    server.wait_for("SELECT throttles > 0 FROM quota_usage WHERE quota = 'connection_creation_rate'", "t")
    for s in ends:
        s.close()
    server.sql("SELECT drop_quotas('{\"ip\": \"127.0.0.1\"}')")
    refusals(server, pid, before, "a quota")

    server.set(pgtopic__max_connections=1).reload()
    server.wait_for("SHOW pgtopic.max_connections", "1")
    with raw.Client(server.bootstrap, timeout=60) as one:
        one.call("ApiVersions", 0)
        deadline = time.monotonic() + 60
        while answers("127.0.0.1", server.kafka_port) and time.monotonic() < deadline:
            time.sleep(0.02)        # the listener has not read the setting yet
        with_one = sockets(pid)
        tap.ok(all(closed(server.kafka_port) for _ in range(20)), "one may be there: the others are closed")
        tap.equal(sockets(pid), with_one, "and no socket is left")
        tap.equal(one.call("ApiVersions", 0)["ErrorCode"], 0, "who is there is served")
    server.stop()


def test_none():
    """no listener: no workers of it"""
    server = make("none", "")
    tap.equal(server.sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'pgtopic (listener|control|admin)'"), "0", "no workers")
    tap.equal(server.sql("SELECT value FROM broker_configs() WHERE name = 'listeners'"), "", "and none is told")
    server.stop()


def test_bad():
    """what makes no sense is refused, with the reason"""
    server = make("bad", "")
    for setting, value, reason in (
            ("listeners", "127.0.0.1:9092", 'There is no "://" behind the listener'),
            ("listeners", "PLAINTEXT://127.0.0.1", "The port must be a number from 1 to 65535|There is no port"),
            ("listeners", "PLAINTEXT://127.0.0.1:0", "The port must be a number from 1 to 65535"),
            ("listeners", "PLAINTEXT://::1:9092", "HINT:  An IPv6 address is written in brackets"),
            ("listeners", "A://h:1, a://h:2", "This listener is there already"),
            ("listeners", "A://h:1, B://h:1", "The listeners A and B have the same address"),
            ("listeners", "A://:1, B://[::]:1", "The listeners A and B have the same address"),
            ("listener_security_protocol_map", "A", 'There is no ":" behind the listener'),
            ("listener_security_protocol_map", "A:TLS", "There is no such security protocol"),
            ("listener_security_protocol_map", "A:SSL,A:SSL", "This listener is there already"),
            ("listener_security_protocol_map", "?:SSL", "The listener's name must be of letters"),
            ("listener_security_protocol_map", ",".join("L%d:SSL" % i for i in range(33)), "There are too many entries")):
        try:
            server.sql("ALTER SYSTEM SET pgtopic.%s = '%s'" % (setting, value))
            tap.ok(False, "%s = %.30s" % (setting, value))
        except pg.SqlError as problem:
            tap.matches(reason, str(problem), "%s = %.30s" % (setting, value))
    server.stop()


pg.demote()
tap.main([test_names, test_ipv6, test_loopback, test_taken, test_lookups, test_refused, test_none, test_bad])
