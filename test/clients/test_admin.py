#!/usr/bin/env python3
"""The rest of administration in every version: a true answer where there is one, else the proper error.

Elections, reassignments, quotas, SCRAM credentials, features, quorum, producers, transactions, ACLs, delegation
tokens, raft voters, by a client that encodes from Kafka's own specs.  Codes and words are those of Apache Kafka 4.3.
"""

import base64
import hashlib
import hmac
import os
import sys
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402
import versions  # noqa: E402
from versions import differs  # noqa: E402

server = client = None
advertised = {}

APIS = {29: "DescribeAcls", 30: "CreateAcls", 31: "DeleteAcls", 38: "CreateDelegationToken", 39: "RenewDelegationToken",
        40: "ExpireDelegationToken", 41: "DescribeDelegationToken", 43: "ElectLeaders", 45: "AlterPartitionReassignments",
        46: "ListPartitionReassignments", 48: "DescribeClientQuotas", 49: "AlterClientQuotas", 50: "DescribeUserScramCredentials",
        51: "AlterUserScramCredentials", 55: "DescribeQuorum", 57: "UpdateFeatures", 61: "DescribeProducers", 64: "UnregisterBroker",
        65: "DescribeTransactions", 66: "ListTransactions", 80: "AddRaftVoter", 81: "RemoveRaftVoter"}
# What Kafka has and this server does not say it speaks.
NOT_HERE = {71: "GetTelemetrySubscriptions",
            76: "ShareGroupHeartbeat", 88: "StreamsGroupHeartbeat"}
NONE, UNKNOWN_TOPIC, INVALID_TOPIC, NOT_ALLOWED, NO_MECHANISM, UNSUPPORTED = 0, 3, 17, 31, 33, 35
INVALID_ASSIGNMENT, INVALID_REQUEST, NO_TOKENS, NOT_NEEDED = 39, 42, 64, 84
NO_REASSIGNMENT, NOT_FOUND, DUPLICATE, UNACCEPTABLE, BAD_UPDATE = 85, 91, 92, 93, 95
NOT_REGISTERED, WRONG_CLUSTER, NO_TRANSACTIONAL_ID, BAD_REGEX = 102, 104, 105, 128
SHA_256, SHA_512 = 1, 2


def each_version(name, check):
    versions.each_version(name, advertised[name], check, reconnect)


def reconnect():
    global client
    if client is not None:
        client.close()
    client = raw.Client(server.bootstrap)


def allow(yes):
    """pgtopic.kafka_admin, and until the workers know."""
    server.sql("ALTER SYSTEM SET pgtopic.kafka_admin = %s" % ("on" if yes else "off"))
    server.sql("SELECT pg_reload_conf()")
    for _ in range(100):
        if (client.call("DescribeUserScramCredentials", 0, {"Users": []})["ErrorCode"] == NONE) == yes:
            return
        time.sleep(0.05)
    tap.ok(False, "pgtopic.kafka_admin has no effect")


def test_versions():
    """what the broker says it speaks"""
    keys = {r["ApiKey"]: (r["MinVersion"], r["MaxVersion"]) for r in client.call("ApiVersions", 0)["ApiKeys"]}
    advertised.update({name: keys[key] for key, name in APIS.items() if key in keys})
    tap.equal(sorted(advertised), sorted(APIS.values()), "administration is served")
    tap.equal([name for key, name in NOT_HERE.items() if key in keys], [], "and nothing is advertised that is not there")


def test_elections():
    def check(version):
        body = {"TopicPartitions": [{"Topic": "plain", "Partitions": [0, 2, 9, -1]}, {"Topic": "missing", "Partitions": [0]}]}
        got = client.call("ElectLeaders", version, body)
        yield differs("error", got.get("ErrorCode", NONE), NONE)
        found = [(t["Topic"], p["PartitionId"], p["ErrorCode"]) for t in got["ReplicaElectionResults"] for p in t["PartitionResult"]]
        yield differs("results", found, [("plain", 0, NOT_NEEDED), ("plain", 2, NOT_NEEDED), ("plain", 9, UNKNOWN_TOPIC),
                                         ("plain", -1, UNKNOWN_TOPIC), ("missing", 0, UNKNOWN_TOPIC)])
        yield differs("all", client.call("ElectLeaders", version, {"TopicPartitions": None})["ReplicaElectionResults"], [])
        if version >= 1:
            got = client.call("ElectLeaders", version, dict(body, ElectionType=7))
            yield differs("unknown type", (got["ErrorCode"], got["ReplicaElectionResults"][0]["PartitionResult"][0]["ErrorCode"]),
                          (INVALID_REQUEST, INVALID_REQUEST))
            got = client.call("ElectLeaders", version, dict(body, ElectionType=1))
            yield differs("unclean", got["ReplicaElectionResults"][0]["PartitionResult"][0]["ErrorCode"], NOT_NEEDED)
    each_version("ElectLeaders", check)


def test_reassignments():
    def check(version):
        wanted = [(0, [1], NONE), (1, [2], INVALID_ASSIGNMENT), (2, None, NO_REASSIGNMENT), (9, [1], UNKNOWN_TOPIC),
                  (0, [], INVALID_ASSIGNMENT), (0, [1, 1], INVALID_ASSIGNMENT), (0, [1, 2], INVALID_ASSIGNMENT), (0, [-1], INVALID_ASSIGNMENT)]
        got = client.call("AlterPartitionReassignments", version, {"Topics": [
            {"Name": "plain", "Partitions": [{"PartitionIndex": p, "Replicas": r} for p, r, _ in wanted]},
            {"Name": "missing", "Partitions": [{"PartitionIndex": 0, "Replicas": [1]}]}]})
        yield differs("error", got["ErrorCode"], NONE)
        yield differs("results", [p["ErrorCode"] for t in got["Responses"] for p in t["Partitions"]],
                      [code for _, _, code in wanted] + [UNKNOWN_TOPIC])
        yield differs("messages", [bool(p["ErrorMessage"]) for p in got["Responses"][0]["Partitions"]],
                      [code not in (NONE, NO_REASSIGNMENT) for _, _, code in wanted])
    each_version("AlterPartitionReassignments", check)

    def check_list(version):
        for topics in (None, [{"Name": "plain", "PartitionIndexes": [0]}], [{"Name": "missing", "PartitionIndexes": [0]}]):
            got = client.call("ListPartitionReassignments", version, {"Topics": topics})
            yield differs("none", (got["ErrorCode"], got["Topics"]), (NONE, []))
    each_version("ListPartitionReassignments", check_list)


def test_quotas():
    def check(version):
        def ask(*components):
            got = client.call("DescribeClientQuotas", version,
                              {"Components": [{"EntityType": t, "MatchType": m, "Match": "x"} for t, m in components]})
            return got["ErrorCode"], got["Entries"]
        yield differs("all", ask(), (NONE, []))
        yield differs("a user", ask(("user", 0)), (NONE, []))
        yield differs("of a client", ask(("user", 0), ("client-id", 1)), (NONE, []))
        yield differs("unknown", ask(("bogus", 0)), (UNSUPPORTED, None))
        yield differs("empty", ask(("", 0)), (INVALID_REQUEST, None))
        yield differs("twice", ask(("user", 0), ("user", 0)), (INVALID_REQUEST, None))
        yield differs("match", ask(("user", 7)), (INVALID_REQUEST, None))
        yield differs("mixed", ask(("ip", 0), ("user", 0)), (INVALID_REQUEST, None))
    each_version("DescribeClientQuotas", check)

    def check_alter(version):
        def entry(value):
            return {"Entity": [{"EntityType": "user", "EntityName": "u"}], "Ops": [{"Key": "producer_byte_rate", "Value": value, "Remove": value == 0}]}
        for dry in (True, False):
            got = client.call("AlterClientQuotas", version, {"Entries": [entry(1e9), entry(1.5)], "ValidateOnly": dry})["Entries"]
            yield differs("results", [e["ErrorCode"] for e in got], [NONE, INVALID_REQUEST])
            yield differs("entity", got[1]["Entity"], entry(1)["Entity"])
            yield None if "fractional" in got[1]["ErrorMessage"] else "says why"
            got = client.call("DescribeClientQuotas", version, {"Components": []})["Entries"]
            yield differs("told", [e["Values"] for e in got], [] if dry else [[{"Key": "producer_byte_rate", "Value": 1e9}]])
        yield differs("removed", client.call("AlterClientQuotas", version, {"Entries": [entry(0)]})["Entries"][0]["ErrorCode"], NONE)
        yield differs("gone", client.call("DescribeClientQuotas", version, {"Components": []})["Entries"], [])
    each_version("AlterClientQuotas", check_alter)


def upsertion(name, mechanism=SHA_256, iterations=8192, salt=b"salty", password="secret", **more):
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, max(iterations, 1)) if salt else b"x" * 32
    return dict({"Name": name, "Mechanism": mechanism, "Iterations": iterations, "Salt": salt, "SaltedPassword": salted}, **more)


def verifier(password, salt, iterations):
    """What PostgreSQL keeps of a password (RFC 5802)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.new(salted, b"Client Key", "sha256").digest()).digest()
    key = hmac.new(salted, b"Server Key", "sha256").digest()
    text = [base64.b64encode(part).decode() for part in (salt, stored, key)]
    return "SCRAM-SHA-256$%d:%s$%s:%s" % (iterations, *text)


def alter(*upsertions, deletions=()):
    """[(user, error)]"""
    got = client.call("AlterUserScramCredentials", 0, {"Deletions": [{"Name": n, "Mechanism": m} for n, m in deletions],
                                                       "Upsertions": list(upsertions)})
    return [(r["User"], r["ErrorCode"]) for r in got["Results"]]


def credentials(*users):
    """{user: error or iterations}"""
    got = client.call("DescribeUserScramCredentials", 0, {"Users": [{"Name": u} for u in users] if users else None})
    return {r["User"]: -r["ErrorCode"] or [(c["Mechanism"], c["Iterations"]) for c in r["CredentialInfos"]] for r in got["Results"]}


def password_of(role):
    return server.sql("SELECT coalesce(rolpassword, '-') FROM pg_authid WHERE rolname = '%s'" % role)


def test_scram_guarded():
    """roles are nobody's business who was not allowed to"""
    server.sql("CREATE ROLE known LOGIN PASSWORD 'pw'")
    before = password_of("known")

    def check_describe(version):
        got = client.call("DescribeUserScramCredentials", version, {"Users": None})
        yield differs("refused", (got["ErrorCode"], got["Results"]), (NOT_ALLOWED, []))
        yield None if "pgtopic.kafka_admin" in got["ErrorMessage"] else "names the setting"
    each_version("DescribeUserScramCredentials", check_describe)

    def check_alter(version):
        got = client.call("AlterUserScramCredentials", version, {"Deletions": [{"Name": "known", "Mechanism": SHA_256}],
                                                                 "Upsertions": [upsertion("new"), upsertion("known2")]})["Results"]
        yield differs("refused", [(r["User"], r["ErrorCode"]) for r in got],
                      [("known", NOT_ALLOWED), ("known2", NOT_ALLOWED), ("new", NOT_ALLOWED)])
        yield None if "pgtopic.kafka_admin" in got[0]["ErrorMessage"] else "names the setting"
    each_version("AlterUserScramCredentials", check_alter)
    tap.equal((password_of("known"), password_of("new"), password_of("known2")), (before, "", ""), "nothing has changed")


def test_scram():
    """credentials are the passwords of roles"""
    allow(True)
    tap.equal(credentials(), {"known": [(SHA_256, 4096)]}, "all that there are")
    tap.equal(alter(upsertion("alice"), upsertion("known", iterations=4096, password="other")), [("alice", NONE), ("known", NONE)], "two users")
    tap.equal(password_of("alice"), verifier("secret", b"salty", 8192), "PostgreSQL keeps what it would have made itself")
    tap.equal(server.sql("SELECT rolcanlogin, rolsuper FROM pg_authid WHERE rolname = 'alice'"), "t|f", "of a new role that may log in")
    tap.equal(password_of("known"), verifier("other", b"salty", 4096), "of an old role")
    tap.equal(credentials(), {"alice": [(SHA_256, 8192)], "known": [(SHA_256, 4096)]}, "both are told")
    tap.equal(credentials("nobody", "alice", ""), {"": -NOT_FOUND, "alice": [(SHA_256, 8192)], "nobody": -NOT_FOUND}, "by name")
    tap.equal(credentials("alice", "known", "alice"), {"alice": -DUPLICATE, "known": [(SHA_256, 4096)]}, "twice")

    quoted = "O'Brien \"the\" $1"
    tap.equal(alter(upsertion(quoted)), [(quoted, NONE)], "a name that needs quotes")
    tap.equal(credentials(quoted), {quoted: [(SHA_256, 8192)]}, "is told")
    tap.equal(alter(deletions=[(quoted, SHA_256)]), [(quoted, NONE)], "and removed")
    for what, change, code in (
            ("few iterations", upsertion("bad", iterations=4095), UNACCEPTABLE), ("many", upsertion("bad", iterations=16385), UNACCEPTABLE),
            ("no salt", upsertion("bad", salt=b""), UNACCEPTABLE), ("no password", upsertion("bad", SaltedPassword=b""), UNACCEPTABLE),
            ("short password", upsertion("bad", SaltedPassword=b"x" * 31), UNACCEPTABLE),
            ("long password", upsertion("bad", SaltedPassword=b"x" * 64), UNACCEPTABLE),
            ("no name", upsertion(""), UNACCEPTABLE), ("long name", upsertion("n" * 64), UNACCEPTABLE), ("reserved name", upsertion("pg_x"), UNACCEPTABLE),
            ("zero byte", upsertion("a\0b"), UNACCEPTABLE),
            ("SHA-512", upsertion("bad", mechanism=SHA_512), NO_MECHANISM), ("no mechanism", upsertion("bad", mechanism=0), NO_MECHANISM)):
        tap.equal(alter(change), [(change["Name"], code)], what)
    tap.equal(server.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'bad'"), "0", "none of these has made a role")
    tap.equal(alter(upsertion("bad"), upsertion("bad"), upsertion("good")), [("bad", DUPLICATE), ("good", NONE)], "the same user twice")
    tap.equal(alter(upsertion("bad"), deletions=[("bad", SHA_256)]), [("bad", DUPLICATE)], "set and removed at once")
    tap.equal(alter(upsertion("bad"), upsertion("bad", mechanism=SHA_512)), [("bad", NO_MECHANISM)], "one of two mechanisms")
    tap.equal(alter(deletions=[("alice", SHA_256), ("nobody", SHA_256), ("known", SHA_512), ("", SHA_256)]),
              [("", UNACCEPTABLE), ("alice", NONE), ("known", NO_MECHANISM), ("nobody", NOT_FOUND)], "deletions")
    tap.equal(password_of("alice"), "-", "a deleted password is gone, and the role is not")
    tap.equal(alter(deletions=[("alice", SHA_256)]), [("alice", NOT_FOUND)], "it cannot be deleted twice")


def test_scram_powerful():
    """roles that could take the server over are never touched"""
    server.sql("CREATE ROLE boss SUPERUSER PASSWORD 'pw'; CREATE ROLE maker CREATEROLE PASSWORD 'pw'; CREATE ROLE copier REPLICATION PASSWORD 'pw'; "
               "CREATE ROLE founder CREATEDB PASSWORD 'pw'; CREATE ROLE owner PASSWORD 'pw'; CREATE DATABASE owned OWNER owner; "
               "ALTER DATABASE postgres OWNER TO owner")
    # and those that can become one of these, or use what the server can do, by any number of steps
    server.sql("CREATE ROLE deputy NOINHERIT PASSWORD 'pw' IN ROLE boss; CREATE ROLE clerk PASSWORD 'pw' IN ROLE deputy")
    members = ["runner", "writer", "reader", "filler", "checker"]
    for role, of in zip(members, ("pg_execute_server_program", "pg_write_server_files", "pg_read_server_files",
                                  "pg_write_all_data", "pg_monitor")):
        server.sql("CREATE ROLE %s PASSWORD 'pw' IN ROLE %s" % (role, of))
    for role in ["boss", "maker", "copier", "founder", "owner", "deputy", "clerk", "pg_monitor"] + members + \
            [server.sql("SELECT current_user")]:
        before = password_of(role)
        tap.equal(alter(upsertion(role)), [(role, NOT_ALLOWED)], "%s: set" % role)
        tap.ok(alter(deletions=[(role, SHA_256)])[0][1] in (NOT_ALLOWED, NOT_FOUND), "%s: remove" % role)
        tap.equal(password_of(role), before, "%s has what it had" % role)
    server.sql("CREATE ROLE plain; CREATE ROLE simple IN ROLE plain")
    tap.equal(alter(upsertion("simple")), [("simple", NONE)], "a member of a plain role is a plain role")
    tap.ok("SCRAM-SHA-256$" not in server.log_text(), "no password is in the server's log")
    allow(False)
    tap.equal(alter(upsertion("late")), [("late", NOT_ALLOWED)], "off again")


def test_features():
    def update(version, feature, level, kind=1, dry=False):
        row = {"Feature": feature, "MaxVersionLevel": level}
        row.update({"UpgradeType": kind} if version else {"AllowDowngrade": kind != 1})
        body = {"FeatureUpdates": [row]}
        if version:
            body["ValidateOnly"] = dry
        got = client.call("UpdateFeatures", version, body)
        return got["ErrorCode"], got["ErrorMessage"], got.get("Results")

    def check(version):
        for dry in (True, False):
            code, message, results = update(version, "group.version", 1, dry=dry)
            yield differs("as it is", (code, message), (NONE, None))
            yield differs("results", results and [(r["Feature"], r["ErrorCode"]) for r in results],
                          [("group.version", NONE)] if version < 2 else None)
            for feature, level, kind in (("group.version", 0, 1), ("group.version", 0, 2), ("group.version", 0, 3), ("group.version", 2, 1),
                                         ("group.version", -1, 1), ("metadata.version", 26, 1), ("metadata.version", 24, 2), ("kraft.version", 1, 1), ("", 1, 1)):
                code, message, results = update(version, feature, level, kind, dry)
                yield differs("%s %d %d" % (feature, level, kind), (code, results or []), (BAD_UPDATE, []))
                yield None if message else "says why"
        if version:
            yield differs("upgrade type", update(version, "group.version", 1, 9)[0], BAD_UPDATE)
    each_version("UpdateFeatures", check)
    features = client.call("ApiVersions", 3, {"ClientSoftwareName": "raw", "ClientSoftwareVersion": "1"})["FinalizedFeatures"]
    tap.equal([(f["Name"], f["MaxVersionLevel"]) for f in features], [("group.version", 1), ("metadata.version", 25), ("transaction.version", 2)], "the features are what they were")


def test_quorum():
    def check(version):
        got = client.call("DescribeQuorum", version, {"Topics": [
            {"TopicName": "__cluster_metadata", "Partitions": [{"PartitionIndex": 0}, {"PartitionIndex": 1}]},
            {"TopicName": "plain", "Partitions": [{"PartitionIndex": 0}]}]})
        yield differs("error", got["ErrorCode"], NONE)
        rows = [p for t in got["Topics"] for p in t["Partitions"]]
        yield differs("partitions", [p["ErrorCode"] for p in rows], [NONE, UNKNOWN_TOPIC, UNKNOWN_TOPIC])
        leader, voters = rows[0], rows[0]["CurrentVoters"]
        yield differs("leader", (leader["LeaderId"], leader["LeaderEpoch"]), (1, int(server.sql("SELECT timeline_id FROM pg_control_checkpoint()"))))
        yield differs("voters", [v["ReplicaId"] for v in voters], [1])
        flushed = int(server.sql("SELECT pg_current_wal_flush_lsn() - '0/0'"))
        yield None if 0 < leader["HighWatermark"] <= flushed else "high watermark %d, flushed %d" % (leader["HighWatermark"], flushed)
        yield None if voters[0]["LogEndOffset"] >= leader["HighWatermark"] else "the end of the log is before the high watermark"
        if version >= 1:
            yield None if abs(voters[0]["LastFetchTimestamp"] / 1000 - time.time()) < 60 else "time of the last fetch"
        if version >= 2:
            host, port = server.bootstrap.split(":")
            yield differs("nodes", [(n["NodeId"], [(x["Host"], x["Port"]) for x in n["Listeners"]]) for n in got["Nodes"]], [(1, [(host, int(port))])])
    each_version("DescribeQuorum", check)

    def check_voters(name):
        def check(version):
            body = {"VoterId": 2, "VoterDirectoryId": uuid.uuid4()}
            for cluster, code in ((None, UNSUPPORTED), ("bogus", WRONG_CLUSTER),
                                  (client.call("Metadata", 9, {"Topics": []})["ClusterId"], UNSUPPORTED)):
                got = client.call(name, version, dict(body, ClusterId=cluster))
                yield differs("cluster %s" % cluster, (got["ErrorCode"], bool(got["ErrorMessage"])), (code, True))
        each_version(name, check)
    check_voters("AddRaftVoter")
    check_voters("RemoveRaftVoter")

    def check_unregister(version):
        for broker, code in ((1, INVALID_REQUEST), (2, NOT_REGISTERED), (-1, NOT_REGISTERED)):
            got = client.call("UnregisterBroker", version, {"BrokerId": broker})
            yield differs("broker %d" % broker, (got["ErrorCode"], bool(got["ErrorMessage"])), (code, True))
    each_version("UnregisterBroker", check_unregister)


def produce(producer, epoch, sequence, n):
    batch = raw.Batch([(None, "v")] * n)
    batch.producer = (producer, epoch, sequence)
    got = client.call("Produce", 9, {"Acks": -1, "TimeoutMs": 5000, "TopicData": [
        {"Name": "plain", "PartitionData": [{"Index": 1, "Records": batch.encode()}]}]})
    return got["Responses"][0]["PartitionResponses"][0]["ErrorCode"]


def producers(*partitions, topic="plain"):
    got = client.call("DescribeProducers", 0, {"Topics": [{"Name": topic, "PartitionIndexes": list(partitions)}]})["Topics"][0]["Partitions"]
    return [p["ErrorCode"] or sorted((s["ProducerId"], s["ProducerEpoch"], s["LastSequence"]) for s in p["ActiveProducers"]) for p in got]


def test_producers():
    ids = [client.call("InitProducerId", 2, {"TransactionalId": None, "TransactionTimeoutMs": 1000})["ProducerId"] for _ in range(2)]
    tap.equal([produce(ids[0], 0, 0, 3), produce(ids[0], 0, 3, 2), produce(ids[1], 5, 0, 1)], [NONE] * 3, "two producers")
    expected = [(ids[0], 0, 4), (ids[1], 5, 0)]

    def check(version):
        got = client.call("DescribeProducers", version, {"Topics": [{"Name": "plain", "PartitionIndexes": [1]}]})["Topics"][0]["Partitions"][0]
        yield differs("error", (got["ErrorCode"], got["ErrorMessage"]), (NONE, None))
        yield differs("producers", sorted((s["ProducerId"], s["ProducerEpoch"], s["LastSequence"]) for s in got["ActiveProducers"]), expected)
        for state in got["ActiveProducers"]:
            yield differs("last timestamp", state["LastTimestamp"], 1700000000000)   # the records'
            yield differs("transaction", (state["CurrentTxnStartOffset"], state["CoordinatorEpoch"]), (-1, -1))
    each_version("DescribeProducers", check)
    tap.equal(producers(0, 1, 9, -1), [[], expected, UNKNOWN_TOPIC, UNKNOWN_TOPIC], "by partition")
    tap.equal((producers(0, topic="missing"), producers(0, topic="bad name!")), ([UNKNOWN_TOPIC], [UNKNOWN_TOPIC]), "other topics")
    got = producers(*[0] * 2001)
    tap.equal((got[1999], got[2000]), ([], INVALID_REQUEST), "no more than two thousand partitions at once")
    server.restart("immediate")
    server.wait_listener()
    reconnect()
    tap.equal(producers(1), [expected], "after a crash they are read from the log")


def test_transactions():
    """there are none, and that is said (test_transactions.py has some)"""
    def check_describe(version):
        got = client.call("DescribeTransactions", version, {"TransactionalIds": ["x", ""]})["TransactionStates"]
        yield differs("errors", [(t["TransactionalId"], t["ErrorCode"]) for t in got], [("x", NO_TRANSACTIONAL_ID), ("", INVALID_REQUEST)])
    each_version("DescribeTransactions", check_describe)

    def check_list(version):
        got = client.call("ListTransactions", version, {"StateFilters": ["Ongoing", "Bogus"]})
        yield differs("answer", (got["ErrorCode"], got["UnknownStateFilters"], got["TransactionStates"]), (NONE, ["Bogus"], []))
        if version >= 2:
            for pattern, code in (("a.*", NONE), ("(", BAD_REGEX), (None, NONE)):
                yield differs("pattern %s" % pattern, client.call("ListTransactions", version, {"TransactionalIdPattern": pattern})["ErrorCode"], code)
    each_version("ListTransactions", check_list)


def test_security():
    """ACLs, in all versions (what they mean: ../t/058_rights.py); no delegation tokens, as a broker says it to who is nobody (what it says to others: ../t/060_sasl.py)"""
    server.sql("SELECT create_topic('guarded'); CREATE ROLE x; GRANT SELECT ON topics.guarded TO x")
    acl = {"ResourceTypeFilter": 2, "ResourceNameFilter": "guarded", "PrincipalFilter": None, "HostFilter": None, "Operation": 1, "PermissionType": 1}

    def check_describe(version):
        got = client.call("DescribeAcls", version, acl)
        entry = {"Principal": "User:x", "Host": "*", "Operation": 3, "PermissionType": 3}
        yield differs("one", (got["ErrorCode"], [(r["ResourceName"], r["Acls"]) for r in got["Resources"]]), (NONE, [("guarded", [entry])]))
    each_version("DescribeAcls", check_describe)

    def check_create(version):
        row = {"ResourceType": 2, "ResourceName": "guarded", "Principal": "User:x", "Host": "*", "Operation": 4, "PermissionType": 3}
        got = client.call("CreateAcls", version, {"Creations": [row, dict(row, PermissionType=2)]})["Results"]
        yield differs("one of two", [(r["ErrorCode"], bool(r["ErrorMessage"])) for r in got], [(NONE, False), (INVALID_REQUEST, True)])
    each_version("CreateAcls", check_create)

    def check_delete(version):
        server.sql("GRANT SELECT ON topics.guarded TO x; REVOKE INSERT ON topics.guarded FROM x")
        got = client.call("DeleteAcls", version, {"Filters": [acl, acl]})["FilterResults"]
        yield differs("once", [(r["ErrorCode"], [(m["Principal"], m["Operation"]) for m in r["MatchingAcls"]]) for r in got],
                      [(NONE, [("User:x", 3)]), (NONE, [])])
    each_version("DeleteAcls", check_delete)

    for name, body, empty in (("CreateDelegationToken", {"MaxLifetimeMs": -1}, {"TokenId": "", "Hmac": b"", "ExpiryTimestampMs": -1}),
                              ("RenewDelegationToken", {"Hmac": b"x"}, {"ExpiryTimestampMs": -1}),
                              ("ExpireDelegationToken", {"Hmac": b"x"}, {"ExpiryTimestampMs": -1}),
                              ("DescribeDelegationToken", {"Owners": None}, {"Tokens": []})):
        def check(version, name=name, body=body, empty=empty):
            got = client.call(name, version, body)
            yield differs("refused", (got["ErrorCode"], {k: got[k] for k in empty}), (NO_TOKENS, empty))
        each_version(name, check)


def main():
    global server
    pg.demote()
    server = pg.Cluster(settings={"log_statement": "none", "password_encryption": "scram-sha-256"}).init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.wait_listener()
    server.sql("SELECT create_topic('plain', partitions => 3)")
    reconnect()
    tap.main([test_versions, test_elections, test_reassignments, test_quotas, test_scram_guarded, test_scram, test_scram_powerful,
              test_features, test_quorum, test_producers, test_transactions, test_security])


main()
