#!/usr/bin/env python3
"""Kafka clients are PostgreSQL's roles: pg_hba.conf, passwords by SASL, and what ends a connection."""

import base64
import hashlib
import hmac
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import counts          # noqa: E402
import rawtest         # noqa: E402
import sasl            # noqa: E402
import tap             # noqa: E402

server = None
counted = None
marks = 0

SECRET = "never-in-the-log"
SCRAM = "SCRAM-SHA-256"
UNSUPPORTED_MECHANISM, ILLEGAL_STATE, FAILED = 33, 34, 58
TOKENS_DISABLED, TOKEN_DENIED, INVALID_PRINCIPAL = 61, 65, 67


def connect():
    return rawtest.connect(server)


def served(client):
    return client.call("Metadata", 9, {"Topics": []})["Brokers"] != []


def outcome(mechanism, user, password=SECRET):
    """"in", "failed", "not offered", or "expired"."""
    with connect() as client:
        try:
            sasl.log_in(client, mechanism, user, password)
        except sasl.Refused as problem:
            return {UNSUPPORTED_MECHANISM: "not offered", FAILED: "failed"}.get(problem.code, str(problem))
        try:
            return "in" if served(client) else "not served"
        except OSError:
            return "expired"


def is_in(role):
    """Whether the listener lets in a role by trust.  A refusal is not waited for, as it may be delayed by a setting that is about to change."""
    with connect() as client:
        client.socket.settimeout(2)
        try:
            sasl.log_in(client, "PLAIN", role, SECRET)
        except (sasl.Refused, TimeoutError):
            return False
        return True


def rules(*lines):
    """Writes pg_hba.conf; returns when the listener has read it: it lets one role in and another one not, whatever it did before."""
    global marks
    marks += 1
    server.sql("CREATE ROLE mark%d LOGIN; CREATE ROLE no_mark%d LOGIN" % (marks, marks))
    write("host all mark%d all trust" % marks, "host all no_mark%d all reject" % marks, *lines)
    server.reload()
    deadline = time.monotonic() + 60
    while is_in("no_mark%d" % marks) or not is_in("mark%d" % marks):
        if time.monotonic() > deadline:
            raise RuntimeError("the listener does not read pg_hba.conf")


def write(*lines):
    with open(server.data + "/pg_hba.conf", "w", encoding="utf8") as f:
        f.write("\n".join(["local all all trust", *lines]) + "\n")


def lines(text):
    return server.log_text().count(text)


def logged(text, what, cause=None):
    """The log has a bound for what clients cause: what it left out is caused again.  A line may come after the connection's end."""
    deadline = time.monotonic() + 60
    while text not in server.log_text() and time.monotonic() < deadline:
        (cause or (lambda: time.sleep(0.05)))()
    tap.ok(text in server.log_text(), what)


def logged_in(user="alice", mechanism=SCRAM):
    client = connect()
    sasl.log_in(client, mechanism, user, SECRET)
    tap.ok(served(client), "%s is in by %s" % (user, mechanism))
    return client


def setting(name, value):
    """Sets and waits until the listener has it: settings and rules are read in one go."""
    server.set(**{name: value})
    rules("host all all all password")


def test_start():
    global server, counted
    counted = counts.Counts()
    server = pg.Cluster(environment=counted.environment, settings={"pgtopic.failed_login_delay": 1, "log_connections": "on", "log_disconnections": "on"})
    server.settings["pgtopic.listeners"] = "SASL_PLAINTEXT://" + server.bootstrap
    server.init().start()
    server.sql("CREATE EXTENSION pgtopic; CREATE ROLE alice LOGIN PASSWORD '%s'; CREATE ROLE \"b,=b\" LOGIN PASSWORD '%s';"
               "CREATE ROLE bare LOGIN; CREATE ROLE nologin PASSWORD '%s';"
               "SET password_encryption = md5; CREATE ROLE old LOGIN PASSWORD '%s'" % ((SECRET,) * 4))
    server.wait_listener()
    rules("host all all all password")


def stranger_ends():
    with connect() as client:
        client.send("Metadata", 9, {"Topics": []})
        return rawtest.ends(client)


def test_first_requests():
    """what may be asked before a client is somebody"""
    with connect() as client:
        tap.equal(client.call("ApiVersions", 3, {"ClientSoftwareName": "t", "ClientSoftwareVersion": "1"})["ErrorCode"], 0, "ApiVersions")
        answer = sasl.handshake(client, "OAUTHBEARER")
        tap.equal((answer["ErrorCode"], answer["Mechanisms"]), (UNSUPPORTED_MECHANISM, [SCRAM, "PLAIN"]),
                  "a mechanism that is not there: the list of those that are")
        tap.ok(rawtest.ends(client), "and the connection ends")
    for mechanism in ["SCRAM-SHA-512", "SCRAM-SHA-256-PLUS", "scram-sha-256", "", "PLAIN\0", "GSSAPI", "x" * 10000]:
        with connect() as client:
            tap.equal(sasl.handshake(client, mechanism)["ErrorCode"], UNSUPPORTED_MECHANISM, "mechanism %r" % mechanism[:20])
    tap.ok(stranger_ends(), "Metadata ends the connection")
    logged("Metadata request before authentication", "the log says why", stranger_ends)
    with connect() as client:
        tap.equal(client.call("SaslAuthenticate", 2, {"AuthBytes": sasl.plain("alice", SECRET)})["ErrorCode"], ILLEGAL_STATE,
                  "SaslAuthenticate without SaslHandshake")
        tap.ok(rawtest.ends(client), "ends it, too")
    with connect() as client:
        tap.equal(client.call("SaslHandshake", 0, {"Mechanism": "PLAIN"})["ErrorCode"], 35, "version 0 of SaslHandshake is not served")
    with connect() as client:
        sasl.handshake(client, "PLAIN")
        client.send("Metadata", 9, {"Topics": []})
        tap.ok(rawtest.ends(client), "Metadata amid an exchange ends it")


def test_methods():
    """each method of pg_hba.conf, by each mechanism, for a role with each kind of password"""
    who = [(SCRAM, "alice"), ("PLAIN", "alice"), (SCRAM, "old"), ("PLAIN", "old"), ("PLAIN", "bare")]
    for line, want, text in [
            ("host all all all trust", "in in failed in in", None),
            ("host all all all password", "in in failed in failed", "does not have a valid SCRAM secret"),
            ("host all all all md5", "in in failed in failed", None),
            ("host all all all scram-sha-256", "in failed failed failed failed", "lets nobody in by mechanism PLAIN"),
            ("hostnossl all all all password", "in in failed in failed", None),
            ("host all alice all password", "in in failed failed failed", None),
            ("host all all all reject", "failed failed failed failed failed",
             "pg_hba.conf rejects Kafka connection for host \"127.0.0.1\", user \"alice\""),
            ("host all all all ident", "failed failed failed failed failed", "Kafka clients cannot use method \"ident\"."),
            ("host all all all pam", "failed failed failed failed failed", "Kafka clients cannot use method \"pam\"."),
            ("host all all all ldap ldapserver=127.0.0.1 ldapprefix=x", "failed failed failed failed failed",
             "Kafka clients cannot use method \"ldap\"."),
            ("hostssl all all all password", "failed failed failed failed failed",
             "no pg_hba.conf entry for Kafka connection from host \"127.0.0.1\", user \"alice\", database \"postgres\", no encryption"),
            ("host all all 10.0.0.0/8 password", "failed failed failed failed failed", None)]:
        rules(line)
        tap.equal(" ".join(outcome(*w) for w in who), want, line)
        if text:
            logged(text, "the log says: " + text, lambda: [outcome(*w) for w in who])


def test_offered():
    """mechanisms that no line lets anybody use are not offered"""
    write("host all all all scram-sha-256")
    server.restart().wait_listener()
    with connect() as client:
        answer = sasl.handshake(client, "PLAIN")
        tap.equal((answer["ErrorCode"], answer["Mechanisms"]), (UNSUPPORTED_MECHANISM, [SCRAM]), "only SCRAM")
    tap.equal(outcome(SCRAM, "alice"), "in", "which works")
    write("host all all all reject")
    server.restart().wait_listener()
    with connect() as client:
        answer = sasl.handshake(client, SCRAM)
        tap.equal((answer["ErrorCode"], answer["Mechanisms"]), (UNSUPPORTED_MECHANISM, []), "nothing at all")
    rules("host all all all password")


def test_names_and_passwords():
    """who fails hears the same, whatever the reason"""
    tap.equal(outcome(SCRAM, "b,=b"), "in", "a name with a comma and an equals sign")
    tap.equal(outcome("PLAIN", "b,=b"), "in", "also by PLAIN")
    said = set()
    for mechanism in [SCRAM, "PLAIN"]:
        for user, password in [("alice", "wrong"), ("nobody", SECRET), ("bare", SECRET), ("nologin", SECRET), ("Alice", SECRET),
                               ("x" * 100, SECRET), ("alice' OR 'a' = 'a", SECRET), ("al\u00efce", SECRET), ("alice\n2026 LOG", "x")]:
            with connect() as client:
                try:
                    sasl.log_in(client, mechanism, user, password)
                    tap.ok(False, "%s is not let in" % user)
                except sasl.Refused as problem:
                    said.add((problem.code, problem.message))
                tap.ok(rawtest.ends(client), "%r by %s: refused, and the connection ends" % (user[:20], mechanism))
    tap.equal(said, {(FAILED, "Authentication failed.")}, "with one code and one message")
    logged("Role \"nobody\" does not exist.", "the log knows better", lambda: outcome(SCRAM, "nobody"))
    logged("role \"nologin\" is not permitted to log in", "in every case", lambda: outcome(SCRAM, "nologin"))
    logged("Connection matched file", "and names the line", lambda: outcome(SCRAM, "alice", "wrong"))


def first_answer(user):
    with connect() as client:
        sasl.handshake(client, SCRAM)
        scram = sasl.Scram(user, "x")
        scram.final(sasl.authenticate(client, scram.first())["AuthBytes"])
        return scram.server_first


def test_versions():
    """each version of SaslAuthenticate"""
    for version in range(3):
        with connect() as client:
            sasl.log_in(client, SCRAM, "alice", SECRET, version)
            tap.ok(served(client), "SaslAuthenticate v%d" % version)


def test_mock():
    """SCRAM with a role that is not there goes the same way"""
    known, unknown = first_answer("alice"), first_answer("nobody")
    tap.equal(unknown["i"], known["i"], "as many iterations")
    tap.equal(len(unknown["s"]), len(known["s"]), "as long a salt")
    tap.equal(first_answer("nobody")["s"], unknown["s"], "the same one each time")
    tap.ok(first_answer("nobody2")["s"] != unknown["s"], "another one for another name")
    tap.equal(len(first_answer("bare")["s"]), len(known["s"]), "also for a role without a password")


def work(mechanism, user):
    """How many HMACs it costs the server to refuse this user with a wrong password."""
    before = counted.now("hmac")
    tap.equal(outcome(mechanism, user, "wrong"), "failed", "%s by %s is refused" % (user, mechanism))
    return counted.now("hmac") - before


def test_work():
    """whoever fails has cost the server as much, so that its time tells nothing: a wrong password, no such role, no password, another kind of password"""
    users = ["alice", "nobody", "bare", "old", "nologin"]
    tap.equal([work(SCRAM, user) for user in users], [1] * len(users), "SCRAM: the proof is looked at")
    known = work("PLAIN", "alice")
    tap.ok(known >= 4096, "PLAIN: as many as the password has iterations")
    tap.equal([work("PLAIN", user) for user in users], [known] * len(users), "for each")


def long_ends():
    with connect() as client:
        client.socket.sendall((600000).to_bytes(4, "big"))
        return rawtest.ends(client)


def test_hostile():
    """messages that are none"""
    scram = sasl.Scram("alice", SECRET)
    for mechanism, message in [
            (SCRAM, b""), (SCRAM, b"\0"), (SCRAM, b"n,,n=alice"), (SCRAM, b"n,a=root,n=alice,r=x"), (SCRAM, b"p=tls-unique,,n=alice,r=x"),
            (SCRAM, b"n,,n=alice,r=\x01"), (SCRAM, b"n,,n=\xff\xfe,r=abc"), (SCRAM, b"n,,n=alice,r=a\0b"),
            (SCRAM, scram.first() + b"," * 9000), (SCRAM, b"n,,n=alice,m=x,r=abc"), (SCRAM, b"x" * 100000),
            ("PLAIN", b""), ("PLAIN", b"\0\0"), ("PLAIN", b"alice"), ("PLAIN", b"\0alice\0"), ("PLAIN", b"\0alice\0a\0b"),
            ("PLAIN", b"bob\0alice\0" + SECRET.encode()), ("PLAIN", b"\0\xff\xfe\0x"), ("PLAIN", b"\0alice\0" + b"x" * 9000)]:
        with connect() as client:
            sasl.handshake(client, mechanism)
            try:
                sasl.authenticate(client, message)
                got = 0
            except sasl.Refused as problem:
                got = problem.code
            tap.equal((got, rawtest.ends(client)), (FAILED, True), "%s %r" % (mechanism, message[:24]))
    tap.ok(long_ends(), "a request that is longer than a stranger's may be")
    logged("it announces a request of 600000 bytes, the limit is 524288", "the log says so", long_ends)
    with logged_in() as client:
        client.send_frame(client.request_bytes("Metadata", 9, {"Topics": []}) + bytes(600000))
        tap.ok(client.receive("Metadata", 9)["Brokers"], "who is in may send longer ones")
    for final in [b"", b"c=biws", b"c=biws,r=x,p=x", b"c=eSws,r=%s,p=x", b"\0", b"c=biws,r=%s", b"c=biws,r=%s,p=" + b"A" * 43 + b"="]:
        with connect() as client:
            sasl.handshake(client, SCRAM)
            one = sasl.Scram("alice", SECRET)
            nonce = one.final(sasl.authenticate(client, one.first())["AuthBytes"]) and one.server_first["r"]
            try:
                sasl.authenticate(client, final.replace(b"%s", nonce.encode()))
                got = 0
            except sasl.Refused as problem:
                got = problem.code
            tap.equal((got, rawtest.ends(client)), (FAILED, True), "a last message of %r" % final[:24])
    tap.equal(outcome(SCRAM, "alice"), "in", "everybody else is served")


def walk(random_, steps):
    """What a stranger may come up with: requests of any kind in any order, right, wrong and cut.  How often it was served, and how often let in."""
    served_before = let_in = 0
    client, scram, logged = connect(), None, False
    for _ in range(steps):
        step = random_.randrange(10)
        try:
            if step == 0:
                client.call("ApiVersions", 3, {"ClientSoftwareName": "t", "ClientSoftwareVersion": "1"})
            elif step in (1, 2):
                sasl.handshake(client, random_.choice([SCRAM, SCRAM, "PLAIN", "GSSAPI"]))
            elif step == 3:
                scram = sasl.Scram(random_.choice(["alice", "nobody", ""]), random_.choice([SECRET, "x"]))
                sasl.authenticate(client, scram.first(), random_.randrange(3))
            elif step == 4 and scram:
                first = b"r=%s,s=c2FsdA==,i=1" % scram.nonce.encode()
                sasl.authenticate(client, scram.final(first))
            elif step == 5:
                sasl.authenticate(client, sasl.plain("alice", random_.choice([SECRET, "x"])))
                logged = True
            elif step == 9:
                sasl.log_in(client, random_.choice([SCRAM, "PLAIN"]), "alice", SECRET)
                logged = True
                let_in += 1
            elif step == 6:
                sasl.authenticate(client, random_.randbytes(random_.randrange(40)))
            elif step == 7:
                frame = client.request_bytes("SaslAuthenticate", 2, {"AuthBytes": b"n,,n=alice,r=x"})
                client.send_frame(frame[:random_.randrange(8, len(frame))])
                client.receive("SaslAuthenticate", 2)
            else:
                client.call("Metadata", 9, {"Topics": []})
                served_before += not logged
        except (sasl.Refused, OSError, rawtest.raw.ProtocolError):
            client.close()
            client, scram, logged = connect(), None, False
    client.close()
    return served_before, let_in


def test_walk():
    """whatever the order, nobody is served who has not been let in"""
    seed = int(os.environ.get("PGTOPIC_SEED", str(random.randrange(1 << 30))))
    tap.note("PGTOPIC_SEED=%d" % seed)
    served_before, let_in = walk(random.Random(seed), tap.size("PGTOPIC_WALK", 600, 20000))
    tap.equal(served_before, 0, "nobody is served before")
    tap.ok(let_in > 0, "some are let in")
    tap.equal(outcome(SCRAM, "alice"), "in", "and everybody else is served")


def verifier(password, iterations, salt=b"salt"):
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.new(salted, b"Client Key", hashlib.sha256).digest()).digest()
    key = hmac.new(salted, b"Server Key", hashlib.sha256).digest()
    return "SCRAM-SHA-256$%d:%s$%s:%s" % (iterations, *(base64.b64encode(b).decode() for b in (salt, stored, key)))


def test_iterations():
    """PLAIN costs the server CPU time, so it has a bound"""
    server.sql("CREATE ROLE slow LOGIN PASSWORD '%s'" % verifier(SECRET, 100001))
    tap.equal(outcome(SCRAM, "slow"), "in", "SCRAM costs the client")
    tap.equal(outcome("PLAIN", "slow"), "failed", "PLAIN is not checked")
    logged("more than 100000 iterations", "which the log says", lambda: outcome("PLAIN", "slow"))
    server.sql("ALTER ROLE slow PASSWORD '%s'" % verifier(SECRET, 100000))
    tap.equal(outcome("PLAIN", "slow"), "in", "at the bound it is")
    clients = [connect() for _ in range(30)]
    for client in clients:
        sasl.handshake(client, "PLAIN")
    for client in clients:
        client.send("SaslAuthenticate", 2, {"AuthBytes": sasl.plain("alice", SECRET)})
    tap.equal([client.receive("SaslAuthenticate", 2)["ErrorCode"] for client in clients], [0] * len(clients),
              "many at once wait for one another, and all come in")
    for client in clients:
        client.close()


def test_views():
    """who is connected, and how"""
    with logged_in() as one, logged_in("old", "PLAIN") as other:
        tap.equal(server.sql("SELECT role, mechanism FROM clients WHERE role IN ('alice', 'old') ORDER BY 1"),
                  "alice|SCRAM-SHA-256\nold|PLAIN", "view clients")
    tap.equal(server.wait_for("SELECT count(*) FROM clients WHERE role = 'alice'", "0"), "0", "and who is not any more")
    for text in ["Kafka connection received: client=127.0.0.1:", "Kafka connection authorized: user=alice database=postgres mechanism=SCRAM-SHA-256",
                 "Kafka disconnection: session time: 0:00:0"]:
        logged(text, "log_connections, log_disconnections: " + text.split(":")[0])


def ends_after(sql, what, undo, reason):
    with logged_in() as client, logged_in("old", "PLAIN") as other:
        other.send("Fetch", 11, rawtest.fetch_body(["quiet"], wait_ms=600000))
        server.sql(sql % "alice")
        tap.ok(rawtest.ends(client), what + " ends an open connection")
        server.sql(sql % "old")
        tap.ok(rawtest.ends(other), "also one that waits for records")
    tap.equal(outcome(SCRAM, "alice"), "failed", "and lets no new one in")
    logged(reason, "for the reason that the log says", lambda: outcome(SCRAM, "alice"))
    server.sql(undo % "alice" + ";" + undo % "old")
    tap.equal(outcome(SCRAM, "alice"), "in", "until it is undone")


def test_no_tokens():
    """delegation tokens: the errors of a broker that has none, in each version"""
    user = "User"
    server.sql("CREATE ROLE boss LOGIN PASSWORD '%s' IN ROLE pgtopic_admin" % SECRET)

    def codes(client, api, versions, body):
        return [client.call(api, version, body)["ErrorCode"] for version in versions]
    with logged_in() as alice, logged_in("boss") as boss:
        for api, versions, body in [
                ("CreateDelegationToken", (1, 2, 3), {"MaxLifetimeMs": -1, "Renewers": [{"PrincipalType": user, "PrincipalName": "old"}]}),
                ("RenewDelegationToken", (1, 2), {"Hmac": b"x", "RenewPeriodMs": 1}),
                ("ExpireDelegationToken", (1, 2), {"Hmac": b"x", "ExpiryTimePeriodMs": -1}),
                ("DescribeDelegationToken", (1, 2, 3), {"Owners": [{"PrincipalType": user, "PrincipalName": "alice"}]}),
                ("DescribeDelegationToken", (1, 2, 3), {"Owners": None})]:
            tap.equal(codes(alice, api, versions, body), [TOKENS_DISABLED] * len(versions), api)
        for who, client, owner, renewer, want in [
                ("alice", alice, (user, "alice"), user, TOKENS_DISABLED), ("alice", alice, (user, "old"), user, TOKEN_DENIED),
                ("alice", alice, ("Group", "alice"), user, TOKEN_DENIED), ("boss", boss, (user, "old"), user, TOKENS_DISABLED),
                ("alice", alice, (user, ""), "Group", INVALID_PRINCIPAL), ("alice", alice, (user, "old"), "Group", TOKEN_DENIED)]:
            answer = client.call("CreateDelegationToken", 3, {
                "OwnerPrincipalType": owner[0], "OwnerPrincipalName": owner[1], "MaxLifetimeMs": -1,
                "Renewers": [{"PrincipalType": renewer, "PrincipalName": "x"}]})
            tap.equal(answer["ErrorCode"], want, "%s asks for a token of %s:%s, to be renewed by %s:x" % (who, *owner, renewer))
            tap.equal((answer["PrincipalType"], answer["PrincipalName"], answer["TokenRequesterPrincipalName"], answer["Hmac"]),
                      (*owner, who, b"") if owner[1] else (user, who, who, b""), "and the answer says whose")


def test_end():
    """what ends connections that are open"""
    server.sql("SELECT create_topic('quiet'); GRANT SELECT ON topics.quiet TO alice, old")
    ends_after("ALTER ROLE %s NOLOGIN", "NOLOGIN", "ALTER ROLE %s LOGIN", "role \"alice\" is not permitted to log in")
    ends_after("ALTER ROLE %s VALID UNTIL '2001-01-01'", "VALID UNTIL in the past", "ALTER ROLE %s VALID UNTIL 'infinity'",
               "role \"alice\" is not valid any more")
    server.sql("GRANT CONNECT ON DATABASE postgres TO alice, old; REVOKE CONNECT ON DATABASE postgres FROM PUBLIC")
    ends_after("REVOKE CONNECT ON DATABASE postgres FROM %s", "REVOKE CONNECT", "GRANT CONNECT ON DATABASE postgres TO %s",
               "permission denied for database \"postgres\"")
    server.sql("GRANT CONNECT ON DATABASE postgres TO PUBLIC; CREATE ROLE gone LOGIN PASSWORD '%s'" % SECRET)
    with logged_in("gone") as client:
        server.sql("DROP ROLE gone")
        tap.ok(rawtest.ends(client), "DROP ROLE")
    server.sql("CREATE ROLE gone LOGIN PASSWORD '%s'" % SECRET)
    with logged_in("gone") as client:
        server.sql("ALTER ROLE gone VALID UNTIL '%s'" % server.sql("SELECT now() + interval '2 s'"))
        tap.ok(served(client), "VALID UNTIL soon")
        tap.ok(rawtest.ends(client), "ends it when it has passed")
    with logged_in() as client:
        session = server.session("template1")
        session.sql("ALTER DATABASE postgres ALLOW_CONNECTIONS false")
        tap.ok(rawtest.ends(client), "a database that takes no connections")
        session.sql("ALTER DATABASE postgres ALLOW_CONNECTIONS true")
        session.close()
    with logged_in() as client:
        server.sql("ALTER ROLE alice RENAME TO alicia; ALTER ROLE alicia PASSWORD 'another'")
        tap.ok(served(client), "a new name and a new password leave it")
        tap.equal(server.sql("SELECT role FROM clients WHERE mechanism = '%s'" % SCRAM), "alicia", "which has the new name")
        tap.equal([outcome(SCRAM, "alicia"), outcome(SCRAM, "alicia", "another")], ["failed", "in"], "who comes now needs the new password")
        server.sql("ALTER ROLE alicia RENAME TO alice; ALTER ROLE alice PASSWORD '%s'" % SECRET)


def test_limit():
    """CONNECTION LIMIT counts the Kafka connections of a role"""
    server.sql("ALTER ROLE alice CONNECTION LIMIT 2")
    with logged_in() as one, logged_in("alice", "PLAIN") as two:
        tap.equal(outcome(SCRAM, "alice"), "failed", "a third one is refused")
        logged("too many connections for role \"alice\"", "the log says why", lambda: outcome(SCRAM, "alice"))
        tap.ok(served(one) and served(two), "the others stay")
        two.close()
        server.wait_for("SELECT count(*) FROM clients WHERE role = 'alice'", "1")
        tap.equal(outcome(SCRAM, "alice"), "in", "when one has gone there is room")
    server.sql("ALTER ROLE alice CONNECTION LIMIT 0")
    tap.equal(outcome(SCRAM, "alice"), "failed", "none at all")
    server.sql("ALTER ROLE alice CONNECTION LIMIT 0 SUPERUSER")
    tap.equal(outcome(SCRAM, "alice"), "in", "a superuser has no limit")
    server.sql("ALTER ROLE alice CONNECTION LIMIT -1 NOSUPERUSER")


def refused_again(client, mechanism, user, what):
    try:
        sasl.log_in(client, mechanism, user, SECRET)
        tap.ok(False, what)
    except sasl.Refused as problem:
        tap.equal((problem.code, rawtest.ends(client)), (FAILED, True), what)
    client.close()


def test_again():
    """authenticating again on the same connection"""
    with logged_in() as client:
        tap.equal(sasl.handshake(client, SCRAM)["ErrorCode"], ILLEGAL_STATE, "not where sessions have no end")
        tap.equal(client.call("SaslAuthenticate", 2, {"AuthBytes": b"x"})["ErrorCode"], ILLEGAL_STATE, "in no way")
        tap.ok(served(client), "it goes on")
    setting("pgtopic__max_reauth_ms", 600000)
    with connect() as client:
        lifetime = sasl.log_in(client, SCRAM, "alice", SECRET)["SessionLifetimeMs"]
        tap.ok(0 < lifetime <= 600000, "a session is told its lifetime")
        tap.ok(0 < sasl.log_in(client, SCRAM, "alice", SECRET, version=1)["SessionLifetimeMs"] <= 600000, "and again")
        tap.ok(served(client), "it goes on")
        tap.equal(server.sql("SELECT count(*) FROM clients WHERE role = 'alice'"), "1", "it is still one connection")
    with connect() as client:
        server.sql("ALTER ROLE alice VALID UNTIL '%s'" % server.sql("SELECT now() + interval '100 s'"))
        tap.ok(0 < sasl.log_in(client, "PLAIN", "alice", SECRET)["SessionLifetimeMs"] <= 100000, "VALID UNTIL is a limit, too")
        server.sql("ALTER ROLE alice VALID UNTIL 'infinity'")
    refused_again(logged_in(), SCRAM, "b,=b", "another role is refused")
    refused_again(logged_in(), "PLAIN", "alice", "another mechanism is refused")
    setting("pgtopic__max_reauth_ms", 1)

    def expired():
        with connect() as client:
            lifetime = sasl.log_in(client, SCRAM, "alice", SECRET)["SessionLifetimeMs"]
            server.sql("SELECT pg_sleep(0.01)")
            client.send("Metadata", 9, {"Topics": []})
            return lifetime, rawtest.ends(client)
    lifetime, ended = expired()
    tap.ok(lifetime >= 1, "a short session")
    tap.ok(ended, "ends at the first request after it")
    logged("Metadata request of role \"alice\" after its session has expired", "the log says so", expired)
    setting("pgtopic__max_reauth_ms", 0)


def test_reload():
    """rules and passwords change while the server runs; a broken file changes nothing"""
    tap.equal(outcome(SCRAM, "alice"), "in", "a rule")
    write("host all all all reject", "host all all all nonsense")
    server.set(pgtopic__failed_login_delay=2).reload()
    tap.equal(server.wait_for("SELECT pg_read_file('%s') ~ 'was not loaded for Kafka clients'" % server.log), "t", "a broken file is logged")
    tap.equal(outcome(SCRAM, "alice"), "in", "and leaves what was there")
    rules("host all all all reject")
    tap.equal(outcome(SCRAM, "alice"), "failed", "a good one counts")
    rules("host all all all password")


def test_timeout():
    """who does not authenticate himself in time is not waited for"""
    server.set(authentication_timeout="1s")
    rules("host all all all password")

    def late():
        with connect() as client, connect() as other:
            sasl.handshake(other, SCRAM)
            return rawtest.ends(client) and rawtest.ends(other)
    tap.ok(late(), "the connection ends")
    logged("it has not authenticated itself in time", "the log says so", late)
    server.set(authentication_timeout="60s")
    rules("host all all all password")


def test_delay():
    """who fails waits for the answer; nobody else does"""
    server.set(pgtopic__failed_login_delay=60000)
    rules("host all all all password")
    with connect() as client:
        sasl.handshake(client, "PLAIN")
        client.send("SaslAuthenticate", 2, {"AuthBytes": sasl.plain("alice", "wrong")})
        tap.equal(outcome(SCRAM, "alice"), "in", "another one comes in")
        tap.ok(rawtest.silent(client.socket), "while it has no answer")
        client.socket.shutdown(1)
        tap.ok(rawtest.silent(client.socket), "also when it says that it sends no more")
    server.set(pgtopic__failed_login_delay=1)


def base64s(data):
    """What of its base64 does not depend on what stands before it."""
    return {base64.b64encode(b"x" * n + data)[n + 1:-4].decode() for n in range(3)}


def test_secrets_debug():
    """nor with all that the log can tell: passwords, what is made of them, and what clients set"""
    salted = hashlib.pbkdf2_hmac("sha256", b"set by a client", b"salty salt", 4096)
    of_set = hmac.new(salted, b"Server Key", hashlib.sha256).digest()
    server.set(log_min_messages="debug5", log_statement="all", log_min_duration_statement=0, log_error_verbosity="verbose", pgtopic__kafka_admin="on",
               pgtopic__failed_login_delay=1)
    rules("host all all all password")
    mark = len(server.log_text())
    for mechanism in (SCRAM, "PLAIN"):
        tap.equal([outcome(mechanism, "alice"), outcome(mechanism, "alice", "a wrong password")], ["in", "failed"], "log-ins by " + mechanism)
    with connect() as client:
        sasl.log_in(client, "PLAIN", "boss", SECRET)
        for user in ("set_by_client", "pg_reserved", "set_by_client"):
            result = client.call("AlterUserScramCredentials", 0, {"Deletions": [], "Upsertions": [
                {"Name": user, "Mechanism": 1, "Iterations": 4096, "Salt": b"salty salt", "SaltedPassword": salted}]})["Results"][0]["ErrorCode"]
            tap.equal(result == 0, user != "pg_reserved", "a client sets the password of %s: %d" % (user, result))
    tap.equal(outcome(SCRAM, "set_by_client", "set by a client"), "in", "which counts")
    log = server.log_text()[mark:]
    tap.ok("DEBUG" in log, "the log tells much")
    verifiers = server.sql("SELECT rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL").split("\n")
    secrets = {SECRET, "a wrong password", "set by a client", salted.hex(), of_set.hex(), *verifiers}
    for data in (sasl.plain("alice", SECRET), salted, of_set):
        secrets |= base64s(data)
    tap.equal([secret for secret in secrets if secret in log], [], "and none of that")
    tap.equal([secret for secret in secrets if "'" not in secret and server.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND position('%s' IN query) > 0" % secret) != "0"], [], "nor pg_stat_activity")


def test_overwritten():
    """a message that is refused unread is overwritten"""
    rules("host all all all password")
    password = "one-that-is-too-long" * 1000
    tap.equal(outcome("PLAIN", "alice", password), "failed", "a message that is too long")
    # of what is freed the allocator overwrites the beginning itself
    found = sum(sasl.in_memory(pid, password[-16:].encode()) for pid in server.worker_pids("pgtopic listener"))
    tap.equal(found, 0, "no listener has it any more")


def test_secrets():
    """no password is where anybody could read it"""
    tap.equal(lines(SECRET), lines("PASSWORD '" + SECRET), "none in the log but what SQL statements have")
    tap.equal(server.sql("SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query ~ '%s'" % SECRET), "0",
              "none in pg_stat_activity")


if __name__ == "__main__":
    pg.demote()
    rawtest.need_clients()
    tap.main([test_start, test_first_requests, test_methods, test_offered, test_names_and_passwords, test_versions, test_mock, test_work, test_hostile,
              test_walk, test_iterations, test_views, test_no_tokens, test_end, test_limit, test_again, test_reload, test_timeout, test_delay, test_overwritten, test_secrets,
              test_secrets_debug])
