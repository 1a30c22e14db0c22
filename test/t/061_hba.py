#!/usr/bin/env python3
"""Which line of pg_hba.conf decides about a Kafka client: client_rule() asks the same code as the listeners."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402

server = None

NOBODY = "10.1.2.3"


def write(*lines, name="pg_hba.conf"):
    with open(server.data + "/" + name, "w", encoding="utf8") as f:
        f.write("\n".join(lines) + "\n")


def rule(role, address=NOBODY, ssl=True):
    """Number of the line and method, or "" if there is none."""
    return server.sql("SELECT line_number || ' ' || method FROM client_rule('%s', '%s', %s)" % (role, address, ssl))


def check(lines, cases):
    write(*lines)
    for case in cases:
        want = case[-1]
        tap.equal(rule(*case[:-1]), want, "%s: %s" % (" | ".join(lines), ", ".join(str(c) for c in case[:-1])))


def test_start():
    global server
    server = pg.Cluster(listener=False).init().start()
    server.sql("CREATE EXTENSION pgtopic; CREATE ROLE staff; CREATE ROLE lead IN ROLE staff; CREATE ROLE alice LOGIN IN ROLE lead;"
               "CREATE ROLE bob LOGIN; CREATE ROLE root LOGIN SUPERUSER; CREATE ROLE postgres2 LOGIN IN ROLE postgres;"
               "CREATE ROLE \"all\" LOGIN; CREATE ROLE \"+staff\" LOGIN")


def test_types():
    """host, hostssl, hostnossl, local, hostgssenc"""
    check(["local all all trust", "hostssl all all all md5", "hostnossl all all all password"],
          [("bob", NOBODY, True, "2 md5"), ("bob", NOBODY, False, "3 password")])
    check(["hostgssenc all all all trust", "hostnogssenc all all all reject"], [("bob", "2 reject")])
    check(["local all all trust"], [("bob", "")])


def test_addresses():
    """masks, IPv6, all, the machine's own"""
    check(["host all all 10.1.2.0/24 trust", "host all all 10.1.0.0 255.255.0.0 md5", "host all all ::1/128 reject",
           "host all all 2001:db8::/32 password"],
          [("bob", "10.1.2.255", "1 trust"), ("bob", "10.1.3.1", "2 md5"), ("bob", "10.2.0.1", ""), ("bob", "::1", "3 reject"),
           ("bob", "2001:db8:1::1", "4 password"), ("bob", "2001:db9::1", "")])
    check(["host all all samehost trust", "host all all all reject"], [("bob", "127.0.0.1", "1 trust"), ("bob", NOBODY, "2 reject")])
    check(["host all all samenet trust"], [("bob", "127.0.0.1", "1 trust"), ("bob", "203.0.113.9", "")])
    check(["host all all 0.0.0.0/0 trust"], [("bob", "255.255.255.255", "1 trust"), ("bob", "::1", "")])


def test_host_names():
    """a line with a name asks no name server: it lets nobody in, and one that rejects, rejects all"""
    check(["host all all localhost trust", "host all all .example.com trust", "host all all 127.0.0.1/32 md5"],
          [("bob", "127.0.0.1", "3 md5")])
    check(["host all all bad.example.com reject", "host all all all trust"], [("bob", "1 reject")])


def test_databases():
    """the database that is served is "postgres\""""
    check(["host other all all trust", "host template1,postgres all all md5"], [("bob", "2 md5")])
    check(["host replication all all trust", "host sameuser all all md5", "host samerole all all password"],
          [("bob", ""), ("postgres", "2 md5"), ("postgres2", "3 password"), ("root", "")])
    check(["host \"all\" all all trust", "host \"postgres\" all all md5"], [("bob", "2 md5")])


def test_roles():
    """names, groups, keywords in quotes; the first line that matches decides"""
    check(["host all bob all trust", "host all +staff all md5", "host all root all reject", "host all all all password"],
          [("bob", "1 trust"), ("alice", "2 md5"), ("lead", "2 md5"), ("staff", "2 md5"), ("root", "3 reject"), ("nobody", "4 password")])
    check(["host all \"all\" all trust", "host all \"+staff\" all md5"], [("bob", ""), ("all", "1 trust"), ("+staff", "2 md5"), ("alice", "")])
    check(["host all +staff all trust"], [("root", "")])


def test_newer():
    """expressions and included files, from 16 on"""
    if pg.MAJOR < 16:
        check(["host all /^b all trust"], [("bob", ""), ("/^b", "1 trust")])
        return
    check(["host all /^b.b$ all trust", "host /^post all all md5"], [("bob", "1 trust"), ("bobby", "2 md5")])
    write("host all bob all md5", name="more.conf")
    write("include more.conf", "host all all all trust")
    tap.equal(server.sql("SELECT file_name ~ 'more.conf$', line_number, method FROM client_rule('bob', '%s')" % NOBODY), "t|1|md5",
              "a line knows its file")


def test_mechanisms():
    """what each method lets a role do, with TLS, on this machine, and else"""
    for method, ssl, here, far in [
            ("trust", "{SCRAM-SHA-256,PLAIN}", "{SCRAM-SHA-256,PLAIN}", "{SCRAM-SHA-256}"),
            ("password", "{SCRAM-SHA-256,PLAIN}", "{SCRAM-SHA-256,PLAIN}", "{SCRAM-SHA-256}"),
            ("md5", "{SCRAM-SHA-256,PLAIN}", "{SCRAM-SHA-256,PLAIN}", "{SCRAM-SHA-256}"),
            ("scram-sha-256", "{SCRAM-SHA-256}", "{SCRAM-SHA-256}", "{SCRAM-SHA-256}"),
            ("reject", "{}", "{}", "{}"), ("ident", "{}", "{}", "{}"), ("pam", "{}", "{}", "{}"),
            ("ldap ldapserver=localhost ldapprefix=x", "{}", "{}", "{}")]:
        write("host all all all " + method)
        got = server.sql("SELECT r.mechanisms FROM (VALUES (1, inet '%s', true), (2, '127.0.0.1', false), (3, '%s', false)) v (n, a, s), "
                         "client_rule('bob', a, s) r ORDER BY n" % (NOBODY, NOBODY))
        tap.equal(got, "\n".join([ssl, here, far]), method)


def role_of(name, address=NOBODY, dn=None):
    return server.sql("SELECT certificate_role('%s', '%s', %s)" % (name, address, "'%s'" % dn if dn else "NULL"))


def test_certificates():
    """the role of a client that shows a certificate and says no name"""
    write("", name="pg_ident.conf")
    write("hostssl all all all cert")
    tap.equal([role_of("bob"), role_of("nobody")], ["bob", "nobody"], "without a map: the common name")
    write("host all all all scram-sha-256", "hostssl all all all cert")
    tap.equal(role_of("bob"), "", "a line before it that wants a password decides")
    write("host all alice all reject", "hostssl all all all cert")
    tap.equal([role_of("bob"), role_of("alice")], ["bob", ""], "one that rejects a role rejects its certificates")
    write("hostssl all +staff all cert")
    tap.equal([role_of("bob"), role_of("alice")], ["", "alice"], "groups")
    write("hostssl all all 127.0.0.0/8 cert", "host all all all trust")
    tap.equal([role_of("bob", "127.0.0.1"), role_of("bob")], ["bob", "bob"], "trust takes the name's word")
    write("hostnossl all all all trust", "local all all trust")
    tap.equal(role_of("bob"), "", "no line")
    write("m bob.example.com alice", "m /^(.*)@example.com$ \\1", "m bob.example.com bob", "other x bob", name="pg_ident.conf")
    write("hostssl all all all cert map=m")
    tap.equal([role_of("bob.example.com"), role_of("bob@example.com"), role_of("x"), role_of("bob")], ["alice", "bob", "", ""], "a map")
    write("hostssl all bob all cert map=m")
    tap.equal(role_of("bob.example.com"), "bob", "of several roles the first that the line is for")
    write("m \"CN=bob,O=x\" bob", name="pg_ident.conf")
    write("hostssl all all all cert map=m clientname=DN")
    tap.equal([role_of("y", dn="CN=bob,O=x"), role_of("bob", dn="CN=bob,O=y")], ["bob", ""], "the distinguished name")
    write("m bob.example.com +staff", "m bob.example.com all", "m /^(x)$ staff\\1", name="pg_ident.conf")
    write("hostssl all all all cert map=m")
    tap.equal(role_of("bob.example.com"), "+staff" if pg.MAJOR < 16 else "", "any of many is no name")
    tap.equal(role_of("x"), "staffx", "\\1 in a longer name")
    write("hostssl all all all cert map=m", "nonsense")
    tap.equal(role_of("x"), "", "a broken file in a session that has read no other")
    write("m", name="pg_ident.conf")
    write("hostssl all all all cert")
    tap.equal(role_of("bob"), "bob", "a broken map does not matter to lines without one")
    write("", name="pg_ident.conf")


def test_errors():
    """a file with an error says nothing of what was there before"""
    write("host all all all trust", "host all all nonsense/99 trust")
    session = server.session()
    tap.equal(session.sql("SELECT line_number FROM client_rule('bob', '%s')" % NOBODY), "", "there was nothing before")
    tap.ok("was not loaded for Kafka clients" in server.log_text() and "Line 2: " in server.log_text(), "the log names the line")
    write("host all all all trust")
    tap.equal(session.sql("SELECT method FROM client_rule('bob', '%s')" % NOBODY), "trust", "a good file")
    write("")
    tap.equal(session.sql("SELECT method FROM client_rule('bob', '%s')" % NOBODY), "trust", "an empty one leaves it")
    write("host all all all password", "host")
    tap.equal(session.sql("SELECT method FROM client_rule('bob', '%s')" % NOBODY), "trust", "a broken one leaves it")
    session.close()
    tap.equal(server.sql("SELECT has_function_privilege('bob', 'client_rule(text, inet, bool)', 'EXECUTE')"), "f", "not everybody may ask")


if __name__ == "__main__":
    pg.demote()
    tap.main([test_start, test_types, test_addresses, test_host_names, test_databases, test_roles, test_newer, test_mechanisms,
              test_certificates, test_errors])
