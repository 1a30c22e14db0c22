#!/usr/bin/env python3
"""Who is who with TLS: SASL_SSL, and certificates that lead to roles."""

import os
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
import certs           # noqa: E402
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import rawtest         # noqa: E402
import sasl            # noqa: E402
import tap             # noqa: E402

ca = server = None
ports = {}

SCRAM = "SCRAM-SHA-256"
SECRET = "a secret"
HBA = ["local all all trust", "hostnossl all all all reject", "hostssl all alice all scram-sha-256", "hostssl all bob all password",
       "hostssl all carol all password clientcert=verify-full", "hostssl all erin all password clientcert=verify-ca",
       "hostssl all all all cert map=m"]


def connect(protocol, name=None):
    return raw.Client("127.0.0.1:%d" % ports[protocol], tls=ca.client(*(ca.issue(name) if name else ())), timeout=60)


def ends(client):
    try:
        return client.socket.recv(1) == b""
    except OSError:
        return True


def by_password(mechanism, user, name=None):
    with connect("SASL_SSL", name) as client:
        try:
            sasl.log_in(client, mechanism, user, SECRET)
        except sasl.Refused as problem:
            return "failed" if problem.code == 58 else str(problem)
        return server.sql("SELECT concat_ws(' ', role, mechanism) FROM clients WHERE requests > 0 AND role IS NOT NULL")


def by_certificate(name):
    """Role and mechanism, or "refused"."""
    with connect("SSL", name) as client:
        try:
            client.call("Metadata", 9, {"Topics": []})
        except (OSError, ConnectionError):
            return "refused"
        return server.sql("SELECT concat_ws(' ', role, mechanism) FROM clients WHERE requests > 0")


def test_start():
    global ca, server
    ca = certs.Authority(os.path.join(pg.base_dir(), "ca"))
    server = pg.Cluster(settings={"pgtopic.failed_login_delay": 1, "ssl_ca_file": "root.crt", "pgtopic.ssl_client_auth": "requested"})
    server.init()
    for protocol in ("SSL", "SASL_SSL"):
        ports[protocol] = pg.free_port()
    server.set(pgtopic__listeners=",".join(["PLAINTEXT://" + server.bootstrap] + ["%s://127.0.0.1:%d" % p for p in ports.items()]))
    shutil.copy(ca.cert, server.data + "/root.crt")
    cert, key = ca.issue("localhost")
    shutil.copy(cert, server.data + "/server.crt")
    shutil.copy(key, server.data + "/server.key")
    os.chmod(server.data + "/server.key", 0o600)
    with open(server.data + "/pg_hba.conf", "w", encoding="utf8") as f:
        f.write("\n".join(HBA) + "\n")
    with open(server.data + "/pg_ident.conf", "w", encoding="utf8") as f:
        f.write("m dave.example.com dave\nm /^(.*)@example.com$ \\1\nm alice.example.com alice\nm root.example.com nobody\n")
    server.set(ssl="on").start()
    server.sql("CREATE EXTENSION pgtopic;" + "".join("CREATE ROLE %s LOGIN PASSWORD '%s';" % (r, SECRET)
                                                    for r in ("alice", "bob", "carol", "dave", "erin")))
    server.wait_listener()


def test_passwords():
    """SASL over TLS"""
    for mechanism, user, want in [(SCRAM, "alice", "alice SCRAM-SHA-256"), ("PLAIN", "alice", "failed"), ("PLAIN", "bob", "bob PLAIN"),
                                  (SCRAM, "bob", "bob SCRAM-SHA-256"), (SCRAM, "dave", "failed"), ("PLAIN", "dave", "failed")]:
        tap.equal(by_password(mechanism, user), want, "%s by %s" % (user, mechanism))


def test_both():
    """a password and a certificate"""
    for user, name, want in [("carol", None, "failed"), ("carol", "bob", "failed"), ("carol", "carol", "carol PLAIN"),
                             ("erin", None, "failed"), ("erin", "bob", "erin PLAIN")]:
        tap.equal(by_password("PLAIN", user, name), want, "%s with %s" % (user, "a certificate of " + name if name else "no certificate"))


def test_certificates():
    """a certificate alone"""
    for name, want in [("dave.example.com", "dave SSL"), ("erin@example.com", "refused"), ("dave@example.com", "dave SSL"), ("dave", "refused"),
                       ("alice.example.com", "refused"), ("root.example.com", "refused")]:
        tap.equal(by_certificate(name), want, "a certificate of " + name)
    why = "leads from the client certificate to a role"
    deadline = time.monotonic() + 60
    while why not in server.log_text() and time.monotonic() < deadline:     # the log has a few such lines a second
        by_certificate("dave")
    tap.ok(why in server.log_text(), "the log says why")
    with connect("SSL") as client:
        client.call("Metadata", 9, {"Topics": []})
        tap.equal(server.sql("SELECT role, mechanism FROM clients WHERE requests > 0"), "kafka|", "without one: the role of pgtopic.plaintext_role")
    with connect("SSL", "dave.example.com") as client:
        client.call("Metadata", 9, {"Topics": []})
        server.sql("DROP ROLE dave")
        tap.ok(ends(client), "DROP ROLE ends it")
    tap.equal(by_certificate("dave.example.com"), "refused", "and there is no such role any more")


if __name__ == "__main__":
    pg.demote()
    rawtest.need_clients()
    tap.main([test_start, test_passwords, test_both, test_certificates])
