#!/usr/bin/env python3
"""Tokens of OAuth (SASL OAUTHBEARER): the server's validators, roles, errors, and what a validator that waits holds up.

Before PostgreSQL 18 there is none of it."""

import os
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
import certs           # noqa: E402
import cluster as pg   # noqa: E402
import oauth           # noqa: E402
import raw             # noqa: E402
import rawtest         # noqa: E402
import sasl            # noqa: E402
import tap             # noqa: E402

server = None
marks = 0
ports = {}
ca = None

SECRET = "never-in-the-log"
UNSUPPORTED_MECHANISM, FAILED = 33, 58
OAUTH = 'oauth issuer="https://issuer.example.com" scope="kafka"'


def connect():
    return rawtest.connect(server)


def served(client):
    return client.call("Metadata", 9, {"Topics": []})["Brokers"] != []


def outcome(bearer, **more):
    """Role and mechanism, "failed", or "not offered"."""
    with connect() as client:
        try:
            oauth.log_in(client, bearer, **more)
        except sasl.Refused as problem:
            return {UNSUPPORTED_MECHANISM: "not offered", FAILED: "failed"}.get(problem.code, str(problem))
        served(client)
        return server.sql("SELECT concat_ws(' ', role, mechanism) FROM clients WHERE requests > 0 AND mechanism = 'OAUTHBEARER'")


def is_in(role):
    """Whether the listener lets in a role by trust."""
    with connect() as client:
        try:
            sasl.log_in(client, "PLAIN", role, "x")
        except sasl.Refused:
            return False
        return True


def rules(*lines, ident=()):
    """Writes pg_hba.conf and pg_ident.conf; returns when the listener has read them: one role gets in and another one does not."""
    global marks
    marks += 1
    server.sql("CREATE ROLE mark%d LOGIN; CREATE ROLE no_mark%d LOGIN" % (marks, marks))
    for name, text in (("pg_hba.conf", ["local all all trust", "host all mark%d all trust" % marks, "host all no_mark%d all reject" % marks, *lines]),
                       ("pg_ident.conf", ident)):
        with open(server.data + "/" + name, "w", encoding="utf8") as f:
            f.write("".join(line + "\n" for line in text))
    server.reload()
    deadline = time.monotonic() + 60
    while is_in("no_mark%d" % marks) or not is_in("mark%d" % marks):
        if time.monotonic() > deadline:
            raise RuntimeError("the listener does not read pg_hba.conf")


def logged(text, what, cause=None):
    """The log has a bound for what clients cause: what it left out is caused again."""
    deadline = time.monotonic() + 60
    while text not in server.log_text() and time.monotonic() < deadline:
        (cause or (lambda: time.sleep(0.05)))()
    tap.ok(text in server.log_text(), what)


def workers():
    return server.sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgtopic token'")


def test_start():
    global server
    module = oauth.build()
    server = pg.Cluster(settings={"pgtopic.failed_login_delay": 1, "log_connections": "on", "max_worker_processes": 32})
    if module is not None:
        server.settings["oauth_validator_libraries"] = module
    server.settings["pgtopic.listeners"] = "SASL_PLAINTEXT://" + server.bootstrap
    server.init().start()
    server.sql("CREATE EXTENSION pgtopic; CREATE ROLE alice LOGIN PASSWORD 'x'; CREATE ROLE bob LOGIN; CREATE ROLE nologin")
    server.wait_listener()
    rules("host all all all " + ("password" if module is None else OAUTH))


def test_absent():
    """an old server does not have it"""
    tap.equal(outcome(oauth.token("alice")), "not offered", "before 18 the mechanism is not offered")


def test_roles():
    """a token leads to a role"""
    tap.equal(outcome(oauth.token("alice")), "alice OAUTHBEARER", "its subject is the role")
    for bearer, more, want, what in [
            (oauth.token("bob"), {"role": "bob"}, "bob OAUTHBEARER", "the client may say the same"),
            (oauth.token("bob"), {"identity": "bob"}, "bob OAUTHBEARER", "also as authorization identity"),
            ("alice", {"role": "alice"}, "alice OAUTHBEARER", "with a token that it cannot be read from it has to"),
            ("alice", {}, "failed", "or fails"),
            (oauth.token("bob"), {"role": "alice"}, "failed", "a role that is not the token's"),
            (oauth.token("deny-alice"), {"role": "alice"}, "failed", "a token that is not let in"),
            (oauth.token("mallory"), {}, "failed", "no such role"),
            (oauth.token("nologin"), {}, "failed", "a role that may not log in"),
            (oauth.token("nobody"), {"role": "alice"}, "failed", "a token that is nobody's"),
            (oauth.token("throw"), {"role": "alice"}, "failed", "a validator that throws"),
            (oauth.token("fail"), {"role": "alice"}, "failed", "one that cannot tell"),
            (oauth.token("exit"), {"role": "alice"}, "failed", "one that ends its process"),
            (oauth.token("alice", logicalCluster="x"), {"logicalCluster": "lkc"}, "alice OAUTHBEARER", "extensions that mean nothing here")]:
        tap.equal(outcome(bearer, **more), want, what)
    for text, cause in [
            ("The token has no subject, and the client has not said its role", lambda: outcome("alice")),
            ('The token is that of "bob", which may not be this role.', lambda: outcome(oauth.token("bob"), role="alice")),
            ("Validator failed to authorize the provided token.", lambda: outcome(oauth.token("deny-alice"), role="alice")),
            ("The validator has found no identity.", lambda: outcome(oauth.token("nobody"), role="alice")),
            ("the validator throws", lambda: outcome(oauth.token("throw"), role="alice")),
            ("has ended without an answer", lambda: outcome(oauth.token("exit"), role="alice")),
            ('line 4, method "oauth"', lambda: outcome(oauth.token("throw"), role="alice")),
            ("mechanism=OAUTHBEARER", None)]:
        logged(text, "the log has: " + text, cause)
    tap.ok("validator: role alice of postgres at 127.0.0.1, call 1" in server.log_text() and ", call 2" not in server.log_text(),
           "a validator sees a server process with one client")


def test_maps():
    """pg_ident.conf, and validators that know of roles"""
    rules("host all all all %s map=m" % OAUTH, ident=["m bob@example.com alice", "m /^(.*)@example.org$ \\1", "m carol bob", "m carol alice"])
    for bearer, more, want, what in [
            (oauth.token("bob@example.com"), {}, "alice OAUTHBEARER", "the map leads from the subject to a role"),
            (oauth.token("bob@example.org"), {}, "bob OAUTHBEARER", "also by an expression"),
            (oauth.token("carol"), {}, "bob OAUTHBEARER", "of two roles the first one"),
            (oauth.token("carol"), {"role": "alice"}, "alice OAUTHBEARER", "if the client does not say which"),
            (oauth.token("alice"), {"role": "alice"}, "failed", "who is on no map is nobody")]:
        tap.equal(outcome(bearer, **more), want, what)
    tap.equal(outcome(oauth.token("alice")), "failed", "also if it does not say which")
    logged("leads from the token's subject \"alice\" to a role", "the log says why", lambda: outcome(oauth.token("alice")))
    rules("host all all all %s delegate_ident_mapping=1" % OAUTH)
    tap.equal(outcome(oauth.token("bob"), role="alice"), "alice OAUTHBEARER", "the validator is believed")
    tap.equal(outcome(oauth.token("nobody"), role="alice"), "alice OAUTHBEARER", "also where it has found no identity")
    tap.equal(outcome(oauth.token("deny-alice"), role="alice"), "failed", "but not what it refuses")


def test_offered():
    """who is offered it"""
    rules("host all alice all password", "host all all all " + OAUTH)
    with connect() as client:
        tap.equal(sorted(sasl.handshake(client, "OAUTHBEARER")["Mechanisms"]), ["OAUTHBEARER", "PLAIN", "SCRAM-SHA-256"], "beside passwords")
    tap.equal(outcome(oauth.token("alice")), "failed", "the first line that matches decides")
    tap.equal(outcome(oauth.token("bob")), "bob OAUTHBEARER", "for each role")
    tap.equal(server.sql("SELECT method, mechanisms FROM client_rule('bob', '127.0.0.1')"), "oauth|{OAUTHBEARER}", "client_rule()")
    tap.equal(server.sql("SELECT mechanisms FROM client_rule('bob', '10.0.0.1', false)"), "{}", "not from elsewhere without TLS")
    tap.equal(server.sql("SELECT mechanisms FROM client_rule('bob', '10.0.0.1', true)"), "{OAUTHBEARER}", "but with TLS")
    server.set(pgtopic__oauth_workers=0)
    rules("host all all all " + OAUTH)
    tap.equal(outcome(oauth.token("bob")), "not offered", "without workers for it not at all")
    server.set(pgtopic__oauth_workers=2)
    rules("host all all all " + OAUTH)


def test_messages():
    """what is no message"""
    for bad in [b"", b"\1", b"x" * 60000, b"n,,\1auth=Bearer \1\1", b"n,,\1auth=Bearer a b\1\1", b"n,,\1auth=Basic eA==\1\1", b"n,,\1\1",
                oauth.message("a\0b"), oauth.message("a", role="alice", auth="Bearer b"), oauth.message("a.%s.b" % ("x" * 50000)),
                oauth.message("a.e30.b"), oauth.message("a.W10.b"), oauth.message("a.bnVsbA.b"), oauth.message("a.%s.b" % ("W1tb" * 10000))]:
        with connect() as client:
            sasl.handshake(client, "OAUTHBEARER")
            answer = client.call("SaslAuthenticate", 2, {"AuthBytes": bad})
            tap.ok(answer["ErrorCode"] == FAILED or answer["AuthBytes"] == b'{"status":"invalid_token"}', "%r" % bad[:30])
    with connect() as client:
        sasl.handshake(client, "OAUTHBEARER")
        tap.equal(client.call("SaslAuthenticate", 2, {"AuthBytes": b"x" * 65536})["ErrorCode"], FAILED, "one that is too long")
    with connect() as client:
        sasl.handshake(client, "OAUTHBEARER")
        client.call("SaslAuthenticate", 2, {"AuthBytes": oauth.message(oauth.token("throw"), role="alice")})
        client.send("Metadata", 9, {"Topics": []})
        tap.ok(rawtest.ends(client), "who was refused has no other request")
    tap.equal(outcome("x" * 65000, role="alice"), "failed", "a long token comes through")
    tap.equal(outcome(oauth.token("alice", more="x" * 40000)), "alice OAUTHBEARER", "and is read")


def go(on):
    path = server.data + "/go"
    if on:
        with open(path, "w", encoding="utf8"):
            pass
    elif os.path.exists(path):
        os.unlink(path)


class Later(threading.Thread):
    """A log-in that takes its time."""

    def __init__(self, subject):
        super().__init__()
        self.subject = subject
        self.got = None
        self.start()

    def run(self):
        with raw.Client(server.bootstrap, timeout=120) as client:
            try:
                oauth.log_in(client, oauth.token(self.subject), role="alice")
                self.got = "in" if served(client) else "not served"
            except (sasl.Refused, OSError) as problem:
                self.got = str(problem)


def test_wait():
    """a validator that waits holds nobody up but those who wait for validators"""
    rules("host all bob all password", "host all all all " + OAUTH)
    server.sql("ALTER ROLE bob PASSWORD 'x'")
    go(False)
    waiting = [Later("wait-alice") for _ in range(5)]
    tap.equal(server.wait_for("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgtopic token'", "2"), "2",
              "of five tokens two are being checked")
    for mechanism in ("PLAIN", "SCRAM-SHA-256"):
        with connect() as client:
            sasl.log_in(client, mechanism, "bob", "x")
            tap.ok(served(client), "a client logs in by %s meanwhile, and is served" % mechanism)
    tap.equal([one.got for one in waiting], [None] * 5, "the five still wait")
    go(True)
    for one in waiting:
        one.join()
    tap.equal([one.got for one in waiting], ["in"] * 5, "when the validator goes on all are in")
    tap.equal(server.wait_for("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgtopic token'", "0"), "0", "and no process is left")


def test_leave():
    """a client that leaves takes its validator along"""
    go(False)
    for _ in range(3):
        client = connect()
        sasl.handshake(client, "OAUTHBEARER")
        client.send("SaslAuthenticate", 2, {"AuthBytes": oauth.message(oauth.token("wait-alice"), role="alice")})
        server.wait_for("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgtopic token'", "1")
        client.close()
        tap.equal(server.wait_for("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgtopic token'", "0"), "0", "it has left, and so has the process")
    token = oauth.token("wait-alice")[-24:].encode()
    tap.equal(sum(sasl.in_memory(pid, token) for pid in server.worker_pids("pgtopic listener")), 0, "nobody has its token any more")
    server.set(authentication_timeout="2s")
    rules("host all all all " + OAUTH)
    one = Later("wait-alice")
    one.join()
    tap.ok(one.got != "in", "a validator has as long as authentication_timeout (%s)" % one.got)
    tap.equal(server.wait_for("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgtopic token'", "0"), "0", "then its process ends")
    deaf = Later("deaf-alice")
    deaf.join()
    tap.ok(deaf.got != "in", "one that cannot be cancelled costs its client the log-in (%s)" % deaf.got)
    tap.equal(workers(), "1", "and stays")
    server.set(authentication_timeout="60s")
    rules("host all all all " + OAUTH)
    tap.equal(outcome(oauth.token("alice")), "alice OAUTHBEARER", "others have the other place")
    go(True)
    tap.equal(server.wait_for("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgtopic token'", "0"), "0", "until it ends")


def test_lifetime():
    """sessions that end, by the token and by the setting"""
    server.set(pgtopic__max_reauth_ms=100000)
    rules("host all all all " + OAUTH)
    with connect() as client:
        tap.ok(90000 < oauth.log_in(client, oauth.token("alice"))["SessionLifetimeMs"] <= 100000, "as long as the setting says")
    with connect() as client:
        lifetime = oauth.log_in(client, oauth.token("alice", exp=time.time() + 30))["SessionLifetimeMs"]
        tap.ok(0 < lifetime <= 31000, "or the token (%d ms)" % lifetime)
        lifetime = oauth.log_in(client, oauth.token("alice", exp=time.time() + 60))["SessionLifetimeMs"]
        tap.ok(31000 < lifetime <= 61000 and served(client), "it authenticates itself again (%d ms)" % lifetime)
        try:
            oauth.log_in(client, oauth.token("bob"))
            tap.ok(False, "as another role it may not")
        except sasl.Refused as problem:
            tap.equal(problem.code, FAILED, "as another role it may not")
    for bad in (None, "soon", -1, 1e300, [], {"a": 1}):
        with connect() as client:
            tap.ok(90000 < oauth.log_in(client, oauth.token("alice", exp=bad))["SessionLifetimeMs"] <= 100000, "exp = %s says nothing" % (bad,))
    server.set(pgtopic__max_reauth_ms=0)
    rules("host all all all " + OAUTH)
    with connect() as client:
        tap.equal(oauth.log_in(client, oauth.token("alice", exp=time.time() + 30))["SessionLifetimeMs"], 0, "without the setting: without end")


def test_tls():
    """over TLS, from a client with a certificate"""
    global ca
    ca = certs.Authority(os.path.join(pg.base_dir(), "ca"))
    ports["SASL_SSL"] = pg.free_port()
    cert, key = ca.issue("localhost")
    for name, source in (("root.crt", ca.cert), ("server.crt", cert), ("server.key", key)):
        with open(source, "rb") as f, open(server.data + "/" + name, "wb") as to:
            to.write(f.read())
    os.chmod(server.data + "/server.key", 0o600)
    server.set(ssl="on", ssl_ca_file="root.crt", pgtopic__ssl_client_auth="requested",
               pgtopic__listeners=server.settings["pgtopic.listeners"] + ",SASL_SSL://127.0.0.1:%d" % ports["SASL_SSL"])
    server.restart()
    server.wait_listener()
    rules("hostssl all all all %s clientcert=verify-full" % OAUTH, "host all all all password")
    for name, want in (("alice", 0), ("bob", FAILED), (None, FAILED)):
        with raw.Client("127.0.0.1:%d" % ports["SASL_SSL"], tls=ca.client(*(ca.issue(name) if name else ())), timeout=60) as client:
            try:
                oauth.log_in(client, oauth.token("alice"))
                got = 0 if served(client) else -1
            except sasl.Refused as problem:
                got = problem.code
            tap.equal(got, want, "a certificate of %s" % name)
    tap.ok("at 127.0.0.1 with TLS" in server.log_text(), "the validator knows of TLS")


def test_secrets():
    """no token is in the log"""
    bearer = oauth.token("deny-alice", jti=SECRET)
    outcome(bearer, role="alice")
    text = server.log_text()
    tap.ok(bearer not in text and bearer.split(".")[1] not in text and SECRET not in text, "what was sent is nowhere")


if __name__ == "__main__":
    pg.demote()
    rawtest.need_clients()
    if pg.MAJOR < 18:
        tap.main([test_start, test_absent])
    else:
        tap.main([test_start, test_roles, test_maps, test_offered, test_messages, test_wait, test_leave, test_lifetime, test_secrets, test_tls])
