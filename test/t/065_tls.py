#!/usr/bin/env python3
"""TLS: certificates that change, that are broken, that clients have; what is spoken, and what is not."""

import os
import re
import shutil
import signal
import socket
import ssl
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
import certs           # noqa: E402
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import rawtest         # noqa: E402
import tap             # noqa: E402

ca = other_ca = server = None
tls_port = None


def make(name="main", cert=True, listeners="", **more):
    """A server with a plain listener and one with TLS, {} is its port; the certificate is the server's own."""
    made = pg.Cluster(name).init()
    port = pg.free_port()
    if cert:
        install(made, *ca.issue("localhost"))
    shutil.copy(ca.cert, made.data + "/root.crt")
    made.set(pgtopic__listeners="PLAINTEXT://%s, %s" % (made.bootstrap, (listeners or "SSL://127.0.0.1:{}").format(port)),
             ssl_ca_file="root.crt", **more).start()
    made.sql("CREATE EXTENSION pgtopic")
    made.wait_listener()
    return made, port


def install(cluster, cert, key, mode=0o600):
    """This certificate is the server's, from its next reload on."""
    shutil.copy(cert, cluster.data + "/server.crt")
    shutil.copy(key, cluster.data + "/server.key")
    os.chmod(cluster.data + "/server.key", mode)


def logged(cluster, pattern, times=1, timeout=60):
    """Until the log has so many such lines; has it?"""
    deadline = time.monotonic() + timeout
    while len(re.findall(pattern, cluster.log_text())) < times:
        if time.monotonic() > deadline:
            tap.note(cluster.log_tail())
            return False
        time.sleep(0.02)
    return True


def connect(port=None, tls=None, **more):
    return raw.Client("127.0.0.1:%d" % (port or tls_port), tls=tls or ca.client(), timeout=60, **more)


def serial(client):
    """Which certificate was shown?"""
    return client.socket.getpeercert()["serialNumber"]


def shown(port=None):
    with connect(port) as client:
        return serial(client)


def served(client):
    return client.call("ApiVersions", 0)["ErrorCode"] == 0


def outcome(tls, port=None):
    """"served", or how it ended."""
    try:
        with connect(port, tls) as client:
            return "served" if served(client) and client.call("Metadata", 9, {"Topics": []})["Brokers"] else "no answer"
    except (OSError, ConnectionError) as problem:
        return "refused: %s" % problem


def until(what, condition, timeout=60):
    deadline = time.monotonic() + timeout
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return tap.ok(condition(), what)


def settings(**values):
    server.sql("".join("ALTER SYSTEM SET %s = '%s';" % (k.replace("__", "."), v) for k, v in values.items()))
    server.sql("SELECT pg_reload_conf()")


def reset(*names):
    server.sql("".join("ALTER SYSTEM RESET %s;" % n for n in names))
    server.sql("SELECT pg_reload_conf()")


def test_served():
    """requests of all planes, and what the view says"""
    with connect() as client:
        client.call("CreateTopics", 5, {"Topics": [{"Name": "t", "NumPartitions": 1, "ReplicationFactor": 1}], "timeoutMs": 30000})
        big = os.urandom(700000)
        tap.equal(rawtest.produce(client, "t", b"one", big), (0, 0), "records are produced")
        got = rawtest.fetch(client, "t", max_bytes=10 << 20)
        tap.ok(big in got["Records"], "and fetched")
        broker = client.call("Metadata", 9, {"Topics": []})["Brokers"][0]
        tap.equal((broker["Host"], broker["Port"]), ("127.0.0.1", tls_port), "the client is told the listener with TLS")
        at = client.call("FindCoordinator", 3, {"Key": "g", "KeyType": 0})
        tap.equal(at["Port"], tls_port, "and its groups are there, too")
        tap.equal(client.call("ListGroups", 3)["ErrorCode"], 0, "the control worker answers through it")
        tap.equal(server.sql("SELECT security_protocol, tls_version, cipher ~ 'AES|CHACHA' FROM clients WHERE client_id = 'raw'"),
                  "SSL|TLSv1.3|t", "clients shows protocol, version and cipher")
    with rawtest.connect(server) as client:
        served(client)
        tap.equal(server.sql("SELECT security_protocol, tls_version, cipher FROM clients WHERE client_id = 'raw'"),
                  "PLAINTEXT||", "and of one without TLS that there is none")
    tap.equal(server.sql("SELECT value FROM broker_configs() WHERE name = 'listener.security.protocol.map'"),
              "PLAINTEXT:PLAINTEXT,SSL:SSL", "the broker's config")


def test_reload():
    """a new certificate counts for new connections; a broken one does not count at all"""
    old = connect()
    before = serial(old)
    install(server, *ca.issue("localhost"))
    server.reload()
    until("a new certificate is shown", lambda: shown() != before)
    tap.ok(served(old) and serial(old) == before, "who is connected stays")
    good = shown()
    with open(server.data + "/server.crt", "w", encoding="utf8") as f:
        f.write("no certificate\n")
    server.reload()
    tap.ok(logged(server, 'the certificate for Kafka clients stays as it was: could not load the certificate "server.crt"'), "a broken one is logged")
    tap.equal(shown(), good, "and the old one is shown")
    tap.equal(server.sql("SELECT 1"), "1", "SQL is served")
    cert, key = ca.issue("localhost")
    install(server, cert, ca.issue("other")[1])
    server.reload()
    tap.ok(logged(server, "stays as it was: could not use the private key|stays as it was: could not load the private key"), "so is a key of another one")
    install(server, cert, key, 0o644)
    server.reload()
    tap.ok(logged(server, 'stays as it was: the private key file "server.key" may not be used'), "and one that others may read")
    tap.equal(shown(), good, "the old one is shown")
    os.chmod(server.data + "/server.key", 0o600)
    os.remove(server.data + "/server.crt")
    server.reload()
    tap.ok(logged(server, "could not load the certificate \"server.crt\": No such file"), "and one that is not there")
    install(server, cert, key)
    server.reload()
    until("a good one counts again", lambda: shown() != good)
    tap.ok(served(old), "who is connected stays")
    old.close()


def test_own():
    """pgtopic.ssl_xxx instead of the server's"""
    before = shown()
    cert, key = ca.issue("localhost")
    settings(pgtopic__ssl_cert_file=cert, pgtopic__ssl_key_file=key)
    until("it is shown", lambda: shown() != before)
    reset("pgtopic.ssl_cert_file", "pgtopic.ssl_key_file")
    until("and then the server's again", lambda: shown() == before)


def test_passphrase():
    """a key with a passphrase"""
    before = shown()
    cert, key = ca.issue("localhost", passphrase="open sesame")
    settings(pgtopic__ssl_cert_file=cert, pgtopic__ssl_key_file=key)
    tap.ok(logged(server, 'the private key ".*" needs a passphrase'), "needs a command that gives it")
    tap.ok(logged(server, 'HINT:  Set "ssl_passphrase_command" and "ssl_passphrase_command_supports_reload"'), "says the hint")
    tap.equal(shown(), before, "the old one is shown")
    settings(ssl_passphrase_command="echo open pepper", ssl_passphrase_command_supports_reload="on")
    tap.ok(logged(server, "could not load the private key.*(bad decrypt|bad|error)"), "a wrong one is of no use")
    settings(ssl_passphrase_command="echo open sesame")
    until("the right one opens it", lambda: shown() != before)
    tap.ok("open sesame" not in server.log_text().replace("echo open sesame", ""), "the log does not have it")
    reset("pgtopic.ssl_cert_file", "pgtopic.ssl_key_file", "ssl_passphrase_command", "ssl_passphrase_command_supports_reload")
    until("the server's again", lambda: shown() == before)


def test_client_auth():
    """clients' certificates: none, requested, required; whose they are"""
    server.sql("CREATE ROLE alice LOGIN IN ROLE pgtopic_admin; CREATE ROLE mallory LOGIN IN ROLE pgtopic_admin")
    with open(server.data + "/pg_hba.conf", "r+", encoding="utf8") as f:
        lines = f.read()
        f.seek(0)
        f.write("hostssl all all all cert\n" + lines)
    alice = ca.client(*ca.issue("alice"))
    nobody = ca.client(*ca.issue("nobody"))
    mallorys = ca.issue("mallory")
    mallory = ca.client(*mallorys)
    expired = ca.client(*ca.issue("alice", expired=True))
    stranger = certs.Authority(pg.base_dir() + "/strangers", "Another CA")
    strangers = stranger.issue("alice")
    strange = ca.client(*strangers)

    tap.equal(outcome(alice), "served", "none: a certificate is not asked for")
    settings(pgtopic__ssl_client_auth="requested")
    until("requested: a stranger is refused", lambda: outcome(strange) != "served")
    tap.ok(logged(server, "its certificate is refused: unable to get local issuer certificate|its certificate is refused: self"), "the log says why")
    tap.equal(outcome(None), "served", "who has none is served")
    tap.equal(outcome(alice), "served", "who has a good one, too")
    with connect(tls=alice) as client:
        client.call("Metadata", 9, {"Topics": []})
        tap.equal(server.sql("SELECT role, mechanism, security_protocol FROM clients WHERE client_id = 'raw'"), "alice|SSL|SSL", "as the certificate's role")
    tap.ok(outcome(nobody) != "served", "one that leads to no role is of no use")
    tap.ok(logged(server, "its client certificate does not let it in"), "the log says why")
    tap.ok(outcome(expired) != "served", "nor is one that has expired")
    tap.ok(logged(server, "its certificate is refused: certificate has expired"), "the log says why")
    tap.equal(outcome(mallory), "served", "one that will be revoked")
    kept = connect(tls=mallory)
    kept.call("Metadata", 9, {"Topics": []})
    ca.revoke(mallorys[0])
    settings(pgtopic__ssl_client_auth="required", pgtopic__ssl_crl_file=ca.crl)
    until("is refused when it has been", lambda: outcome(mallory) != "served")
    tap.ok(logged(server, "its certificate is refused: certificate revoked"), "the log says why")
    tap.ok(served(kept), "who is connected with it stays")
    kept.close()
    tap.ok(outcome(None) != "served", "required: nobody without one")
    tap.ok(logged(server, "TLS handshake failed: peer did not return a certificate"), "the log says why")
    tap.equal(outcome(alice), "served", "who has one is served")
    server.sql("DROP ROLE alice")
    tap.ok(outcome(alice) != "served", "until its role is dropped")
    settings(ssl_ca_file="")
    tap.ok(logged(server, "stays as it was: there is no certificate authority for those of clients"), "without an authority nobody can be asked")
    reset("ssl_ca_file", "pgtopic.ssl_client_auth", "pgtopic.ssl_crl_file")
    until("none again", lambda: outcome(None) == "served")


def s_client(*arguments, port=None):
    return certs.openssl("s_client", "-connect", "127.0.0.1:%d" % (port or tls_port), "-CAfile", ca.cert, *arguments, check=False)


def test_protocols():
    """what a scanner looks at"""
    for version in ("-tls1_2", "-tls1_3"):
        said = s_client(version)
        tap.ok("Verify return code: 0 (ok)" in said, "%s is spoken, and the certificate verified" % version)
        tap.ok(re.search("Compression: NONE", said) and "TLS session ticket:" not in said, "%s: no compression, no tickets" % version)
    tap.ok("Secure Renegotiation IS supported" in s_client("-tls1_2"), "renegotiation is the secure one")
    for version in ("-tls1", "-tls1_1"):
        said = s_client(version, "-cipher", "ALL:@SECLEVEL=0")
        tap.ok("Cipher is (NONE)" in said or "unknown option" in said.lower(), "%s is not" % version)
    for cipher in ("aNULL", "eNULL", "RC4", "LOW", "EXPORT", "MD5", "DES"):
        said = s_client("-tls1_2", "-cipher", cipher + ":@SECLEVEL=0")
        tap.ok("Cipher is (NONE)" in said or "no cipher match" in said or "Error with command" in said, "no cipher of %s" % cipher)
    said = s_client("-servername", "some.other.example", "-alpn", "h2,http/1.1")
    tap.ok("Verify return code: 0" in said and "No ALPN negotiated" in said, "names and protocols that a client asks for are passed over")
    tap.ok("Reused, TLS" not in s_client("-tls1_2", "-reconnect"), "sessions are not resumed")
    settings(ssl_min_protocol_version="TLSv1.3")
    until("ssl_min_protocol_version counts", lambda: "Cipher is (NONE)" in s_client("-tls1_2"))
    tap.ok("Verify return code: 0" in s_client("-tls1_3"), "and leaves the others")
    settings(ssl_min_protocol_version="TLSv1.2", ssl_max_protocol_version="TLSv1.2", ssl_ciphers="ECDHE-ECDSA-AES256-GCM-SHA384")
    until("ssl_max_protocol_version counts", lambda: "Cipher is (NONE)" in s_client("-tls1_3"))
    tap.ok("Cipher is ECDHE-ECDSA-AES256-GCM-SHA384" in s_client("-tls1_2"), "ssl_ciphers counts")
    tap.ok("Cipher is (NONE)" in s_client("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"), "and nothing else is spoken")
    reset("ssl_min_protocol_version", "ssl_max_protocol_version", "ssl_ciphers")
    until("as before", lambda: "Verify return code: 0" in s_client("-tls1_3"))
    if pg.MAJOR >= 18:
        settings(ssl_tls13_ciphers="TLS_CHACHA20_POLY1305_SHA256")
        until("ssl_tls13_ciphers counts", lambda: "Cipher is TLS_CHACHA20_POLY1305_SHA256" in s_client("-tls1_3"))
        reset("ssl_tls13_ciphers")


def test_mixed_up():
    """plain bytes where TLS is spoken, and the other way round: a line in the log, and an end"""
    with socket.create_connection(("127.0.0.1", tls_port), 60) as s:
        s.sendall(b"\0\0\0\x0a\0\x12\0\0\0\0\0\1\0\0")
        s.settimeout(60)
        try:
            while s.recv(100):
                pass
            ended = True
        except ConnectionError:
            ended = True
        tap.ok(ended, "plain bytes are the end of it")
    tap.ok(logged(server, "TLS handshake failed: "), "with a line")
    try:
        ca.client().wrap_socket(socket.create_connection(("127.0.0.1", server.kafka_port), 60), server_hostname="127.0.0.1")
        tap.ok(False, "TLS where none is spoken")
    except (OSError, ssl.SSLError):
        tap.ok(True, "TLS where none is spoken")
    tap.ok(logged(server, "it speaks TLS, which is not spoken by this listener"), "with a line")
    settings(authentication_timeout="1s")
    with socket.create_connection(("127.0.0.1", tls_port), 60) as s:
        s.settimeout(120)
        tap.equal(s.recv(1), b"", "who says nothing is not waited for")
    tap.ok(logged(server, "its TLS handshake took longer than"), "with a line")
    reset("authentication_timeout")
    tap.equal(outcome(None), "served", "others are served")


def test_without():
    """a server without a certificate serves SQL and the other listener; when it has one, both"""
    bare, port = make("bare", cert=False)
    tap.ok(logged(bare, 'listener SSL .* is not open: the private key file "server.key" may not be used'), "the listener is not open, and the log says why")
    with rawtest.connect(bare) as client:
        tap.ok(served(client), "the other one is served")
    tap.equal(bare.sql("SELECT 1"), "1", "and SQL")
    cert, key = ca.issue("localhost")
    install(bare, cert, key)
    with open(bare.data + "/server.crt", "w", encoding="utf8") as f:
        f.write("no certificate\n")
    bare.reload()
    tap.ok(logged(bare, 'listener SSL .* is not open: could not load the certificate "server.crt"'), "nor with a broken one")
    install(bare, cert, key)
    bare.reload()
    tap.ok(logged(bare, "listener SSL for Kafka clients is open"), "with a good one it is opened")
    tap.equal(outcome(None, port), "served", "and serves")
    bare.stop()


def test_uncertified_worker():
    """a worker that comes up while the certificate is broken is given no connections with TLS, but others"""
    two, port = make("two", pgtopic__listener_workers=2)
    name = "SELECT pid FROM pg_stat_activity WHERE application_name = 'pgtopic listener %d'"
    until("two workers are up", lambda: two.sql(name % 0) and two.sql(name % 1))
    cert, key = ca.issue("localhost")
    with open(two.data + "/server.crt", "w", encoding="utf8") as f:
        f.write("no certificate\n")
    old = two.sql(name % 1)
    os.kill(int(old), signal.SIGTERM)
    until("one starts again", lambda: two.sql(name % 1) not in ("", old))
    pids = {two.sql(name % 0): "first", two.sql(name % 1): "second"}

    def served_by(clients):
        """Which worker serves each of them; their client ids say who is who."""
        for client in clients:
            served(client)
        return [pids.get(two.sql("SELECT pid FROM clients WHERE client_id = '%s'" % client.client_id)) for client in clients]
    secure = [connect(port, client_id="secure%d" % n) for n in range(4)]
    tap.equal(served_by(secure), ["first"] * 4, "the one that has a certificate serves all with TLS")
    plain = [raw.Client(two.bootstrap, client_id="plain%d" % n, timeout=60) for n in range(4)]
    tap.equal(served_by(plain), ["second"] * 4, "the other one those without, and nothing else")
    install(two, cert, key)
    two.reload()
    more = []

    def goes_to_second():
        more.append(connect(port, client_id="more%d" % len(more)))
        return "second" in served_by(more)
    until("when the certificate is good again both have clients with TLS", goes_to_second)
    for client in secure + plain + more:
        client.close()
    two.stop()


def test_loopback():
    """a listener on all addresses needs clients that are authenticated"""
    wide, port = make("wide", listeners="SSL://:{}")
    tap.ok(logged(wide, "listener SSL .* is not open: clients are not authenticated there"), "without their certificates it is not open")
    wide.sql("ALTER SYSTEM SET pgtopic.ssl_client_auth = 'required'; SELECT pg_reload_conf()")
    tap.ok(logged(wide, "listener SSL for Kafka clients is open"), "with them it is")
    tap.ok(outcome(None, port) != "served", "and they are asked for")
    wide.sql("ALTER SYSTEM SET pgtopic.ssl_client_auth = 'requested'; SELECT pg_reload_conf()")
    tap.ok(logged(wide, "listener SSL .* is not open: clients are not authenticated there", 2), "without them it is closed again")
    wide.stop()


rawtest.need_clients()
pg.demote()
ca = certs.Authority(pg.base_dir() + "/ca")
server, tls_port = make()
tap.main([test_served, test_reload, test_own, test_passphrase, test_client_auth, test_protocols, test_mixed_up, test_without, test_uncertified_worker, test_loopback])
