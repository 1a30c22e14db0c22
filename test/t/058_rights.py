#!/usr/bin/env python3
"""What each Kafka API answers to whom: every API as a role without rights, a reader, a writer, an owner, an administrator and a superuser.

The first five without authentication, all of them by SCRAM, and what a client hears that has not said yet who it is. Then that answers reveal nothing, that row-level security holds, that commands and code of users run with the rights of
roles and not of the listener, and that a GRANT or REVOKE counts at once."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import rawtest         # noqa: E402
import sasl            # noqa: E402
import tap             # noqa: E402
from rawtest import raw  # noqa: E402

server = None
sasl_port = None

PRINCIPALS = ["t_none", "t_reader", "t_writer", "t_owner", "kafka"]
SUPERUSER = "t_super"       # may do what an administrator may
SCRAM, SECRET = "SCRAM-SHA-256", "a secret"

TOPIC, GROUP, CLUSTER, TRANSACTION, MAPPING = 29, 30, 31, 53, 49
ILLEGAL_SASL_STATE, TOKENS_DISABLED, NO_TOKENS_FOR_NOBODY, NO_SUCH_FETCH_SESSION = 34, 61, 64, 70

SETUP = """
CREATE EXTENSION pgtopic;
CREATE ROLE t_none; CREATE ROLE t_reader; CREATE ROLE t_writer; CREATE ROLE t_owner; CREATE ROLE t_super SUPERUSER;
SELECT create_topic('t', 2);
GRANT USAGE ON SCHEMA topics TO PUBLIC;
ALTER TABLE topics.t OWNER TO t_owner; ALTER TABLE topics."t#0" OWNER TO t_owner; ALTER TABLE topics."t#1" OWNER TO t_owner;
GRANT SELECT ON topics.t TO t_reader;
GRANT INSERT ON topics.t TO t_writer;
SELECT produce('t', 'a value', partition => 0);
SELECT commit_offsets('g', 't:0', 1);
"""

# For each principal: what it may delete, and groups of its own.
FOR_EACH = """
SELECT create_topic('del_{0}'); ALTER TABLE topics.del_{0} OWNER TO t_owner; GRANT SELECT ON topics.del_{0} TO t_reader;
SELECT commit_offsets('gd_{0}', 't:0', 1), commit_offsets('go_{0}', 't:0', 1);
"""


def act_as(role):
    """A connection of this role."""
    server.set(pgtopic__plaintext_role=role).reload()
    server.wait_for("SHOW pgtopic.plaintext_role", role)
    client = rawtest.connect(server)
    for _ in range(1000):
        client.call("ApiVersions", 3, {"ClientSoftwareName": "t", "ClientSoftwareVersion": "1"})
        if server.sql("SELECT string_agg(role, ' ') FROM clients WHERE requests > 0") == role:
            return client
    raise RuntimeError("the listener does not act as " + role)


def stranger():
    """A connection that has not said yet who it is."""
    return raw.Client("127.0.0.1:%d" % sasl_port, timeout=60)


def logged_in(role):
    """A connection of this role, by its password."""
    client = stranger()
    sasl.log_in(client, SCRAM, role, SECRET)
    return client


def only(answer, *path):
    for step in path:
        answer = answer[step]
    return answer["ErrorCode"]


def heartbeat(group, **more):
    return {"GroupId": group, "GenerationId": 1, "MemberId": "m", **more}


def acl(name, operation, principal="User:t_none", kind=2, pattern=3, host="*", permission=3):
    return {"ResourceType": kind, "ResourceName": name, "ResourcePatternType": pattern, "Principal": principal, "Host": host,
            "Operation": operation, "PermissionType": permission}


def acl_filter(name=None, kind=1, pattern=1, principal=None, operation=1, permission=1, host=None):
    return {"ResourceTypeFilter": kind, "ResourceNameFilter": name, "PatternTypeFilter": pattern, "PrincipalFilter": principal,
            "HostFilter": host, "Operation": operation, "PermissionType": permission}


def cases(me, tokens=TOKENS_DISABLED):
    """(what, API, version, body, code of an answer, codes of the principals in order); tokens: what is said of delegation tokens"""
    first = "Topics", 0, "Partitions", 0
    all_but_admin = [CLUSTER] * 4
    return [
        ("Produce", "Produce", 9, rawtest.produce_body("t", "v"), lambda a: rawtest.told(a)[0], [TOPIC, TOPIC, 0, 0, 0]),
        ("Produce to no topic", "Produce", 9, rawtest.produce_body("absent", "v"), lambda a: rawtest.told(a)[0], [TOPIC] * 4 + [3]),
        ("Produce to a name that none can have", "Produce", 9, rawtest.produce_body("a b", "v"), lambda a: rawtest.told(a)[0], [TOPIC] * 4 + [3]),
        ("Fetch", "Fetch", 11, rawtest.fetch_body(["t"]), lambda a: only(a, "Responses", 0, "Partitions", 0), [TOPIC, 0, TOPIC, 0, 0]),
        ("Fetch of no topic", "Fetch", 11, rawtest.fetch_body(["absent"]), lambda a: only(a, "Responses", 0, "Partitions", 0), [TOPIC] * 4 + [3]),
        ("Fetch as a follower", "Fetch", 11, dict(rawtest.fetch_body(["t"]), ReplicaId=1), lambda a: only(a, "Responses", 0, "Partitions", 0),
         [TOPIC] * 4 + [6]),
        ("ListOffsets", "ListOffsets", 5, {"ReplicaId": -1, "Topics": [{"Name": "t", "Partitions": [
            {"PartitionIndex": 0, "CurrentLeaderEpoch": -1, "Timestamp": -1}]}]}, lambda a: only(a, *first), [TOPIC, 0, 0, 0, 0]),
        ("Metadata", "Metadata", 9, {"Topics": [{"Name": "t"}]}, lambda a: only(a, "Topics", 0), [TOPIC, 0, 0, 0, 0]),
        ("Metadata of no topic", "Metadata", 9, {"Topics": [{"Name": "absent"}], "AllowAutoTopicCreation": False},
         lambda a: only(a, "Topics", 0), [TOPIC] * 4 + [3]),
        ("Metadata that creates", "Metadata", 9, {"Topics": [{"Name": "made"}], "AllowAutoTopicCreation": True}, lambda a: only(a, "Topics", 0),
         [TOPIC] * 4 + [0]),
        ("Metadata of all topics", "Metadata", 9, {"Topics": None}, lambda a: "t" in [topic["Name"] for topic in a["Topics"]],
         [False, True, True, True, True]),
        ("OffsetCommit", "OffsetCommit", 7, {"GroupId": "g", "GenerationIdOrMemberEpoch": -1, "MemberId": "", "Topics": [{"Name": "t", "Partitions": [
            {"PartitionIndex": 0, "CommittedOffset": 1, "CommittedMetadata": ""}]}]}, lambda a: only(a, *first), [GROUP, 0, GROUP, 0, 0]),
        ("OffsetCommit of a new group", "OffsetCommit", 7, {"GroupId": "gn_" + me, "GenerationIdOrMemberEpoch": -1, "MemberId": "", "Topics": [
            {"Name": "t", "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 1, "CommittedMetadata": ""}]}]}, lambda a: only(a, *first),
         [TOPIC, 0, TOPIC, 0, 0]),
        ("OffsetFetch", "OffsetFetch", 5, {"GroupId": "g", "Topics": [{"Name": "t", "PartitionIndexes": [0]}]}, lambda a: a["ErrorCode"],
         [GROUP, 0, GROUP, 0, 0]),
        ("OffsetFetch of a group without offsets", "OffsetFetch", 5, {"GroupId": "fresh", "Topics": [{"Name": "t", "PartitionIndexes": [0]}]},
         lambda a: only(a, *first), [TOPIC, 0, 0, 0, 0]),
        ("FindCoordinator of a group", "FindCoordinator", 3, {"Key": "g", "KeyType": 0}, lambda a: a["ErrorCode"], [0] * 5),
        ("FindCoordinator of a transaction", "FindCoordinator", 3, {"Key": "tx", "KeyType": 1}, lambda a: a["ErrorCode"], [TRANSACTION] * 4 + [0]),
        ("JoinGroup", "JoinGroup", 5, {"GroupId": "g", "SessionTimeoutMs": 10000, "RebalanceTimeoutMs": 10000, "MemberId": "",
                                       "ProtocolType": "consumer", "Protocols": [{"Name": "range", "Metadata": b"x"}]},
         lambda a: a["ErrorCode"], [GROUP, 79, GROUP, 79, 79]),
        ("Heartbeat", "Heartbeat", 3, heartbeat("g"), lambda a: a["ErrorCode"], [GROUP, 25, GROUP, 25, 25]),
        ("SyncGroup", "SyncGroup", 3, heartbeat("g", Assignments=[]), lambda a: a["ErrorCode"], [GROUP, 25, GROUP, 25, 25]),
        ("LeaveGroup", "LeaveGroup", 2, {"GroupId": "g", "MemberId": "m"}, lambda a: a["ErrorCode"], [GROUP, 25, GROUP, 25, 25]),
        ("DescribeGroups", "DescribeGroups", 5, {"Groups": ["g"]}, lambda a: only(a, "Groups", 0), [GROUP, 0, GROUP, 0, 0]),
        ("ListGroups", "ListGroups", 4, {}, lambda a: "g" in [group["GroupId"] for group in a["Groups"]], [False, True, False, True, True]),
        ("DeleteGroups", "DeleteGroups", 2, {"GroupsNames": ["gd_" + me]}, lambda a: only(a, "Results", 0), [GROUP, 0, GROUP, 0, 0]),
        ("OffsetDelete", "OffsetDelete", 0, {"GroupId": "go_" + me, "Topics": [{"Name": "t", "Partitions": [{"PartitionIndex": 0}]}]},
         lambda a: a["ErrorCode"], [GROUP, 0, GROUP, 0, 0]),
        ("ConsumerGroupHeartbeat", "ConsumerGroupHeartbeat", 0, {"GroupId": "gc_" + me, "MemberId": "", "MemberEpoch": 0, "RebalanceTimeoutMs": 10000,
                                                                 "SubscribedTopicNames": ["t"], "TopicPartitions": []},
         lambda a: a["ErrorCode"], [TOPIC, 0, 0, 0, 0]),
        ("ConsumerGroupHeartbeat of another's group", "ConsumerGroupHeartbeat", 0, {"GroupId": "g", "MemberId": "x", "MemberEpoch": 1},
         lambda a: a["ErrorCode"] == GROUP, [True, False, True, False, False]),
        ("ConsumerGroupDescribe", "ConsumerGroupDescribe", 0, {"GroupIds": ["g"]}, lambda a: only(a, "Groups", 0), [GROUP, 69, GROUP, 69, 69]),
        ("CreateTopics", "CreateTopics", 5, {"Topics": [{"Name": "new_" + me, "NumPartitions": 1, "ReplicationFactor": 1}], "timeoutMs": 20000},
         lambda a: only(a, "Topics", 0), [TOPIC] * 4 + [0]),
        ("CreateTopics of one that exists", "CreateTopics", 5, {"Topics": [{"Name": "t", "NumPartitions": 1, "ReplicationFactor": 1}], "timeoutMs": 20000},
         lambda a: only(a, "Topics", 0), [TOPIC] * 4 + [36]),
        ("CreatePartitions", "CreatePartitions", 2, {"Topics": [{"Name": "t", "Count": 3, "Assignments": None}], "TimeoutMs": 20000, "ValidateOnly": True},
         lambda a: only(a, "Results", 0), [TOPIC, TOPIC, TOPIC, 0, 0]),
        ("DeleteTopics", "DeleteTopics", 5, {"TopicNames": ["del_" + me], "TimeoutMs": 20000}, lambda a: only(a, "Responses", 0), [TOPIC, TOPIC, TOPIC, 0, 0]),
        ("DeleteTopics of none", "DeleteTopics", 5, {"TopicNames": ["absent"], "TimeoutMs": 20000}, lambda a: only(a, "Responses", 0), [TOPIC] * 4 + [3]),
        ("DeleteRecords", "DeleteRecords", 1, {"Topics": [{"Name": "t", "Partitions": [{"PartitionIndex": 1, "Offset": 0}]}], "TimeoutMs": 20000},
         lambda a: only(a, *first), [TOPIC, TOPIC, TOPIC, 0, 0]),
        ("InitProducerId", "InitProducerId", 3, {"TransactionalId": None, "TransactionTimeoutMs": 1000}, lambda a: a["ErrorCode"],
         [CLUSTER, CLUSTER, 0, 0, 0]),
        ("OffsetForLeaderEpoch", "OffsetForLeaderEpoch", 3, {"ReplicaId": -1, "Topics": [{"Topic": "t", "Partitions": [
            {"Partition": 0, "CurrentLeaderEpoch": -1, "LeaderEpoch": 0}]}]}, lambda a: only(a, *first), [TOPIC, 0, 0, 0, 0]),
        ("DescribeProducers", "DescribeProducers", 0, {"Topics": [{"Name": "t", "PartitionIndexes": [0]}]}, lambda a: only(a, *first), [TOPIC, 0, TOPIC, 0, 0]),
        ("DescribeTopicPartitions", "DescribeTopicPartitions", 0, {"Topics": [{"Name": "t"}], "ResponsePartitionLimit": 10, "Cursor": None},
         lambda a: only(a, "Topics", 0), [TOPIC, 0, 0, 0, 0]),
        ("DescribeTopicPartitions of all", "DescribeTopicPartitions", 0, {"Topics": [], "ResponsePartitionLimit": 1000, "Cursor": None},
         lambda a: "t" in [topic["Name"] for topic in a["Topics"]], [False, True, True, True, True]),
        ("DescribeConfigs of a topic", "DescribeConfigs", 2, {"Resources": [{"ResourceType": 2, "ResourceName": "t", "ConfigurationKeys": None}]},
         lambda a: only(a, "Results", 0), [TOPIC, 0, 0, 0, 0]),
        ("DescribeConfigs of the broker", "DescribeConfigs", 2, {"Resources": [{"ResourceType": 4, "ResourceName": "1", "ConfigurationKeys": None}]},
         lambda a: only(a, "Results", 0) == CLUSTER, [True] * 4 + [False]),
        ("DescribeConfigs of a group", "DescribeConfigs", 4, {"Resources": [{"ResourceType": 32, "ResourceName": "g", "ConfigurationKeys": None}]},
         lambda a: only(a, "Results", 0), [GROUP, 0, GROUP, 0, 0]),
        ("AlterConfigs of a topic", "AlterConfigs", 1, {"Resources": [{"ResourceType": 2, "ResourceName": "t", "Configs": []}], "ValidateOnly": True},
         lambda a: only(a, "Responses", 0), [TOPIC, TOPIC, TOPIC, 0, 0]),
        ("IncrementalAlterConfigs of a topic", "IncrementalAlterConfigs", 0, {"Resources": [{"ResourceType": 2, "ResourceName": "t", "Configs": [
            {"Name": "retention.ms", "ConfigOperation": 0, "Value": "100000000"}]}], "ValidateOnly": False},
         lambda a: only(a, "Responses", 0), [TOPIC, TOPIC, TOPIC, 0, 0]),
        ("IncrementalAlterConfigs of a group", "IncrementalAlterConfigs", 0, {"Resources": [{"ResourceType": 32, "ResourceName": "g", "Configs": [
            {"Name": "consumer.session.timeout.ms", "ConfigOperation": 0, "Value": "50000"}]}], "ValidateOnly": True},
         lambda a: only(a, "Responses", 0), [GROUP] * 4 + [0]),
        ("IncrementalAlterConfigs of the broker", "IncrementalAlterConfigs", 0, {"Resources": [{"ResourceType": 4, "ResourceName": "", "Configs": [
            {"Name": "log.retention.ms", "ConfigOperation": 0, "Value": "100000000"}]}], "ValidateOnly": False},
         lambda a: only(a, "Responses", 0), [CLUSTER] * 5),
        ("ListConfigResources", "ListConfigResources", 1, {"ResourceTypes": []}, lambda a: a["ErrorCode"], all_but_admin + [0]),
        ("DescribeAcls", "DescribeAcls", 2, acl_filter(), lambda a: a["ErrorCode"], all_but_admin + [0]),
        ("CreateAcls of a topic", "CreateAcls", 2, {"Creations": [acl("t", 8)]}, lambda a: only(a, "Results", 0), [TOPIC, CLUSTER, CLUSTER, 0, 0]),
        ("CreateAcls of a group", "CreateAcls", 2, {"Creations": [acl("x", 3, kind=3)]}, lambda a: only(a, "Results", 0), all_but_admin + [0]),
        ("DeleteAcls", "DeleteAcls", 2, {"Filters": [acl_filter("t", principal="User:t_none")]}, lambda a: only(a, "FilterResults", 0), all_but_admin + [0]),
        ("AlterReplicaLogDirs", "AlterReplicaLogDirs", 1, {"Dirs": [{"Path": "/nowhere", "Topics": [{"Name": "t", "Partitions": [0]}]}]},
         lambda a: only(a, "Results", 0, "Partitions", 0), all_but_admin + [57]),
        ("DescribeLogDirs", "DescribeLogDirs", 3, {"Topics": None}, lambda a: (a["ErrorCode"], len(a["Results"]) > 0), [(CLUSTER, False)] * 4 + [(0, True)]),
        ("ElectLeaders", "ElectLeaders", 2, {"ElectionType": 0, "TopicPartitions": [{"Topic": "t", "Partitions": [0]}], "TimeoutMs": 1000},
         lambda a: only(a, "ReplicaElectionResults", 0, "PartitionResult", 0), all_but_admin + [84]),
        ("AlterPartitionReassignments", "AlterPartitionReassignments", 0, {"TimeoutMs": 1000, "Topics": []}, lambda a: a["ErrorCode"], all_but_admin + [0]),
        ("ListPartitionReassignments", "ListPartitionReassignments", 0, {"TimeoutMs": 1000, "Topics": None}, lambda a: a["ErrorCode"], all_but_admin + [0]),
        ("DescribeClientQuotas", "DescribeClientQuotas", 1, {"Components": [], "Strict": False}, lambda a: a["ErrorCode"], all_but_admin + [0]),
        ("AlterClientQuotas", "AlterClientQuotas", 1, {"Entries": [{"Entity": [{"EntityType": "user", "EntityName": "t_none"}], "Ops": []}], "ValidateOnly": True},
         lambda a: only(a, "Entries", 0) == CLUSTER, [True] * 4 + [False]),
        ("DescribeUserScramCredentials", "DescribeUserScramCredentials", 0, {"Users": None}, lambda a: a["ErrorCode"], [CLUSTER] * 5),
        ("AlterUserScramCredentials", "AlterUserScramCredentials", 0, {"Deletions": [{"Name": "t_none", "Mechanism": 1}], "Upsertions": []},
         lambda a: only(a, "Results", 0), [CLUSTER] * 5),
        ("ApiVersions", "ApiVersions", 3, {"ClientSoftwareName": "t", "ClientSoftwareVersion": "1"}, lambda a: a["ErrorCode"], [0] * 5),
        ("SaslHandshake of who is somebody", "SaslHandshake", 1, {"Mechanism": SCRAM}, lambda a: a["ErrorCode"], [ILLEGAL_SASL_STATE] * 5),
        ("SaslAuthenticate of who is somebody", "SaslAuthenticate", 2, {"AuthBytes": b"n,,n=t_super,r=x"}, lambda a: a["ErrorCode"], [ILLEGAL_SASL_STATE] * 5),
        ("CreateDelegationToken", "CreateDelegationToken", 2, {"Renewers": [], "MaxLifetimeMs": 1000}, lambda a: a["ErrorCode"], [tokens] * 5),
        ("RenewDelegationToken", "RenewDelegationToken", 1, {"Hmac": b"x", "RenewPeriodMs": 1000}, lambda a: a["ErrorCode"], [tokens] * 5),
        ("ExpireDelegationToken", "ExpireDelegationToken", 1, {"Hmac": b"x", "ExpiryTimePeriodMs": 1000}, lambda a: a["ErrorCode"], [tokens] * 5),
        ("DescribeDelegationToken", "DescribeDelegationToken", 2, {"Owners": None}, lambda a: (a["ErrorCode"], a["Tokens"]), [(tokens, [])] * 5),
        ("DescribeQuorum", "DescribeQuorum", 0, {"Topics": []}, lambda a: a["ErrorCode"], all_but_admin + [0]),
        ("UpdateFeatures", "UpdateFeatures", 1, {"timeoutMs": 1000, "FeatureUpdates": [], "ValidateOnly": True}, lambda a: a["ErrorCode"], all_but_admin + [0]),
        ("DescribeCluster", "DescribeCluster", 0, {"IncludeClusterAuthorizedOperations": True},
         lambda a: (a["ErrorCode"], a["ClusterAuthorizedOperations"]), [(0, 0)] * 4 + [(0, 0x1FA0)]),
        ("UnregisterBroker", "UnregisterBroker", 0, {"BrokerId": 5}, lambda a: a["ErrorCode"], all_but_admin + [102]),
        ("AddRaftVoter", "AddRaftVoter", 0, {"ClusterId": None, "TimeoutMs": 1000, "VoterId": 2, "Listeners": []}, lambda a: a["ErrorCode"], all_but_admin + [35]),
        ("RemoveRaftVoter", "RemoveRaftVoter", 0, {"ClusterId": None, "VoterId": 2}, lambda a: a["ErrorCode"], all_but_admin + [35]),
        ("Produce of a transaction", "Produce", 9, {"TransactionalId": "tx2", "Acks": -1, "TimeoutMs": 1000, "TopicData": [{"Name": "t", "PartitionData": [
            {"Index": 0, "Records": raw.Batch([(None, "x")], producer_id=9999, producer_epoch=0, base_sequence=0, attributes=16).encode()}]}]},
         lambda a: only(a, "Responses", 0, "PartitionResponses", 0), [TRANSACTION] * 4 + [MAPPING]),
        ("InitProducerId of a transaction", "InitProducerId", 3, {"TransactionalId": "tx2", "TransactionTimeoutMs": 1000}, lambda a: a["ErrorCode"],
         [TRANSACTION] * 4 + [0]),
        ("AddPartitionsToTxn", "AddPartitionsToTxn", 3, {"V3AndBelowTransactionalId": "tx2", "V3AndBelowProducerId": 9999, "V3AndBelowTopics": [
            {"Name": "t", "Partitions": [0]}]},
         lambda a: a["ResultsByTopicV3AndBelow"][0]["ResultsByPartition"][0]["PartitionErrorCode"], [TRANSACTION] * 4 + [MAPPING]),
        ("AddPartitionsToTxn of a broker", "AddPartitionsToTxn", 4, {"Transactions": []}, lambda a: a["ErrorCode"], all_but_admin + [0]),
        ("AddOffsetsToTxn", "AddOffsetsToTxn", 3, {"TransactionalId": "tx2", "ProducerId": 9999, "GroupId": "g"}, lambda a: a["ErrorCode"],
         [TRANSACTION] * 4 + [MAPPING]),
        ("EndTxn", "EndTxn", 3, {"TransactionalId": "tx2", "ProducerId": 9999}, lambda a: a["ErrorCode"], [TRANSACTION] * 4 + [MAPPING]),
        ("WriteTxnMarkers", "WriteTxnMarkers", 1, {"Markers": [{"ProducerId": 1, "Topics": [{"Name": "t", "PartitionIndexes": [0]}]}]},
         lambda a: only(a, "Markers", 0, "Topics", 0, "Partitions", 0), all_but_admin + [52]),
        ("TxnOffsetCommit", "TxnOffsetCommit", 3, {"TransactionalId": "tx2", "GroupId": "g", "ProducerId": 9999, "Topics": [
            {"Name": "t", "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 1}]}]}, lambda a: only(a, *first), [TRANSACTION] * 4 + [MAPPING]),
        ("DescribeTransactions", "DescribeTransactions", 0, {"TransactionalIds": ["tx"]}, lambda a: only(a, "TransactionStates", 0), [TRANSACTION] * 4 + [105]),
        ("ListTransactions", "ListTransactions", 0, {"StateFilters": [], "ProducerIdFilters": []}, lambda a: a["ErrorCode"], [0] * 5),
    ]


def operations(client, topic):
    answer = client.call("Metadata", 9, {"Topics": [{"Name": topic}], "AllowAutoTopicCreation": False, "IncludeTopicAuthorizedOperations": True})
    return answer["Topics"][0]["TopicAuthorizedOperations"]


def test_start():
    global server, sasl_port
    sasl_port = pg.free_port()
    server = pg.Cluster(settings={"pgtopic.group_initial_rebalance_delay": "0"}).init()
    with open(server.data + "/pg_hba.conf", "w", encoding="utf8") as f:
        f.write("local all all trust\nhost all all all scram-sha-256\n")
    server.set(pgtopic__listeners="PLAINTEXT://%s,SASL_PLAINTEXT://127.0.0.1:%d" % (server.bootstrap, sasl_port)).start()
    server.sql(SETUP)
    server.wait_listener()
    for role in PRINCIPALS + [SUPERUSER]:
        server.sql("ALTER ROLE %s LOGIN PASSWORD '%s'" % (role, SECRET))
        for me in (role, role + "_scram"):
            server.sql(FOR_EACH.format(me))


def ask_all(client, number, me, who, **more):
    """Each row of the table, of the principal with that number."""
    for what, api, version, body, code, expected in cases(me, **more):
        tap.equal(code(client.call(api, version, body)), expected[number], "%s: %s" % (who, what))


def test_apis():
    """each API as each principal"""
    for number, role in enumerate(PRINCIPALS):
        with act_as(role) as client:
            ask_all(client, number, role, role, tokens=NO_TOKENS_FOR_NOBODY)


def test_apis_scram():
    """the same for who has logged in, and as a superuser"""
    for number, role in enumerate(PRINCIPALS + [SUPERUSER]):
        with logged_in(role) as client:
            tap.equal(server.wait_for("SELECT string_agg(role || ' ' || mechanism, ' ') FROM clients WHERE requests > 0", role + " " + SCRAM),
                      role + " " + SCRAM, role + " has logged in")
            ask_all(client, min(number, len(PRINCIPALS) - 1), role + "_scram", role + " by SCRAM")


def test_strangers():
    """each API before a client has said who it is: the connection ends, and nothing is told"""
    answered = {"ApiVersions": 0, "SaslHandshake": 0, "SaslAuthenticate": ILLEGAL_SASL_STATE}
    for what, api, version, body, code, _ in cases("stranger"):
        with stranger() as client:
            client.send(api, version, body)
            if api in answered:
                tap.equal(code(client.receive(api, version)), answered[api], "a stranger: " + what)
            else:
                tap.ok(rawtest.ends(client), "a stranger: %s ends the connection" % what)
    tap.equal(server.sql("SELECT count(*) FROM pg_class WHERE relname ~ 'stranger'"), "0", "and nothing has come of it")


def test_complete():
    """no API is missing in the table above"""
    with open(os.path.join(pg.ROOT, "src", "kafka", "messages", "apis.h"), encoding="utf8") as f:
        served = {int(key): name for key, name in re.findall(r"^\tX\((\d+),\s+(\w+),", f.read(), re.MULTILINE)}
    with act_as("kafka") as client:
        told = client.call("ApiVersions", 3, {"ClientSoftwareName": "t", "ClientSoftwareVersion": "1"})["ApiKeys"]
    tap.equal(sorted(api["ApiKey"] for api in told), sorted(served), "ApiVersions tells the APIs of src/kafka/messages/apis.h")
    tap.equal(sorted(set(served.values()) - {case[1] for case in cases("")}), [], "each of them has a row")
    tap.equal({len(case[5]) for case in cases("")}, {len(PRINCIPALS)}, "with an answer for each principal")


def test_operations():
    """authorized_operations are true"""
    for role, expected in (("t_reader", 0x508), ("t_writer", 0x510), ("t_owner", 0xDD8), ("kafka", 0xDF8)):
        with act_as(role) as client:
            tap.equal(operations(client, "t"), expected, "%s: operations on a topic" % role)
    with act_as("t_none") as client:
        tap.equal(operations(client, "t"), -2147483648, "t_none: none are told of a topic that it may not describe")
        groups = client.call("DescribeGroups", 5, {"Groups": ["g"], "IncludeAuthorizedOperations": True})["Groups"]
        tap.equal(groups[0]["AuthorizedOperations"], -2147483648, "t_none: nor of a group")
    with act_as("t_reader") as client:
        groups = client.call("DescribeGroups", 5, {"Groups": ["g"], "IncludeAuthorizedOperations": True})["Groups"]
        tap.equal(groups[0]["AuthorizedOperations"], 0x548, "t_reader: of a group whose topics it reads")


def test_owner():
    """what a client creates belongs to its role"""
    owner = "SELECT relowner::regrole FROM pg_class WHERE oid = 'topics.%s'::regclass"
    tap.equal(server.sql(owner % "new_kafka"), "kafka", "an administrator's topic is his")
    tap.equal(server.sql(owner % "made"), "kafka", "also one that is created on demand")
    server.sql("GRANT USAGE, CREATE ON SCHEMA topics TO t_writer")
    with act_as("t_writer") as client:
        answer = client.call("CreateTopics", 5, {"Topics": [{"Name": "by_writer", "NumPartitions": 2, "ReplicationFactor": 1}], "timeoutMs": 20000})
        tap.equal(answer["Topics"][0]["ErrorCode"], 0, "who has CREATE on the schema creates topics")
        tap.equal(rawtest.produce(client, "by_writer", "v")[0], 0, "and produces to them")
        tap.equal(rawtest.produce(client, "absent", "v")[0], 3, "and learns which topics there are not")
        large = client.call("CreateTopics", 5, {"Topics": [{"Name": "large", "NumPartitions": 400, "ReplicationFactor": 1}], "timeoutMs": 60000})
        tap.equal(large["Topics"][0]["ErrorCode"], 0, "also a large one")
        tap.equal(client.call("DeleteTopics", 5, {"TopicNames": ["large"], "TimeoutMs": 60000})["Responses"][0]["ErrorCode"], 0, "which is his to delete")
    tap.equal(server.sql(owner % "by_writer"), "t_writer", "they are his")
    server.sql("REVOKE CREATE ON SCHEMA topics FROM t_writer")
    # without CREATE an administrator acts as the owner of the schema
    server.sql("REVOKE CREATE ON SCHEMA topics FROM pgtopic_admin")
    with act_as("kafka") as client:
        answer = client.call("CreateTopics", 5, {"Topics": [{"Name": "for_owner", "NumPartitions": 1, "ReplicationFactor": 1}], "timeoutMs": 20000})
        tap.equal(answer["Topics"][0]["ErrorCode"], 0, "an administrator needs no CREATE")
    tap.equal(server.sql(owner % "for_owner"), "postgres", "the topic is then the schema owner's")
    server.sql("GRANT CREATE ON SCHEMA topics TO pgtopic_admin")


def test_at_once():
    """GRANT and REVOKE count at once, also for who waits"""
    with act_as("t_none") as client:
        tap.equal(rawtest.fetch(client, "t")["ErrorCode"], TOPIC, "before a GRANT")
        server.sql("GRANT SELECT ON topics.t TO t_none")
        part = rawtest.fetch(client, "t")
        tap.equal((part["ErrorCode"], rawtest.values_of(part)[0]), (0, "a value"), "after it")
        end = part["HighWatermark"]
        client.send("Fetch", 11, rawtest.fetch_body(["t"], end, wait_ms=600000))
        server.wait_for("SELECT api FROM clients WHERE requests > 0", "Fetch")
        server.sql("REVOKE SELECT ON topics.t FROM t_none")
        server.sql("SELECT produce('t', 'secret', partition => 0)")
        part = client.receive("Fetch", 11)["Responses"][0]["Partitions"][0]
        tap.equal((part["ErrorCode"], part["Records"] or b""), (TOPIC, b""), "who waits when it is revoked gets nothing")
        server.sql("GRANT SELECT (value) ON topics.t TO t_none; GRANT SELECT, INSERT ON topics.\"t#0\" TO t_none")
        tap.equal(rawtest.fetch(client, "t")["ErrorCode"], TOPIC, "SELECT on a column, or on a partition, is not consume")
        tap.equal(rawtest.produce(client, "t", "v")[0], TOPIC, "nor is INSERT on a partition produce")
        server.sql("GRANT t_reader TO t_none")
        tap.equal(rawtest.fetch(client, "t")["ErrorCode"], 0, "a membership counts")
        server.sql("REVOKE t_reader FROM t_none; REVOKE SELECT (value) ON topics.t FROM t_none; REVOKE ALL ON topics.\"t#0\" FROM t_none")
        tap.equal(rawtest.fetch(client, "t")["ErrorCode"], TOPIC, "and ends")
        tap.equal(client.call("FindCoordinator", 3, {"Key": "tx", "KeyType": 1})["ErrorCode"], TRANSACTION, "a transactional id before a grant")
        server.sql("SELECT grant_kafka_acl('transactional_id', 't', 'DESCRIBE', 't_none', 'prefixed')")
        tap.equal(client.call("FindCoordinator", 3, {"Key": "tx", "KeyType": 1})["ErrorCode"], 0, "after it")
        tap.equal(client.call("DescribeGroups", 5, {"Groups": ["g"]})["Groups"][0]["ErrorCode"], GROUP, "a group before a grant")
        server.sql("SELECT grant_kafka_acl('group', 'g', 'DESCRIBE', 'public')")
        tap.equal(client.call("DescribeGroups", 5, {"Groups": ["g"]})["Groups"][0]["ErrorCode"], 0, "after it")
        tap.equal(client.call("Heartbeat", 3, heartbeat("g"))["ErrorCode"], GROUP, "which says nothing of another operation")
        server.sql("SELECT revoke_kafka_acl('group', 'g', 'DESCRIBE', 'public')")
        tap.equal(client.call("DescribeGroups", 5, {"Groups": ["g"]})["Groups"][0]["ErrorCode"], GROUP, "and after it is taken back")


def test_transactional_id():
    """what a client may do with a transactional id, step by step"""
    with act_as("t_writer") as client:
        ask = {"TransactionalId": "mine", "TransactionTimeoutMs": 60000}
        tap.equal(client.call("InitProducerId", 3, ask)["ErrorCode"], TRANSACTION, "INSERT on a topic is not enough")
        server.sql("SELECT grant_kafka_acl('transactional_id', 'mine', 'DESCRIBE', 't_writer')")
        tap.equal(client.call("InitProducerId", 3, ask)["ErrorCode"], TRANSACTION, "nor is DESCRIBE")
        server.sql("SELECT grant_kafka_acl('transactional_id', 'mine', 'WRITE', 't_writer')")
        got = client.call("InitProducerId", 3, ask)
        tap.equal(got["ErrorCode"], 0, "WRITE on the id is")
        me = {"TransactionalId": "mine", "ProducerId": got["ProducerId"], "ProducerEpoch": got["ProducerEpoch"]}
        add = {"V3AndBelow" + name: value for name, value in me.items()}
        server.sql("SELECT create_topic('hidden')")

        def added(*topics):
            answer = client.call("AddPartitionsToTxn", 3, {**add, "V3AndBelowTopics": [{"Name": name, "Partitions": [0]} for name in topics]})
            return [t["ResultsByPartition"][0]["PartitionErrorCode"] for t in answer["ResultsByTopicV3AndBelow"]]
        tap.equal((added("t", "hidden"), added("t")), ([55, TOPIC], [0]), "topics it may write to, all or none")
        tap.equal(client.call("AddOffsetsToTxn", 3, {**me, "GroupId": "g"})["ErrorCode"], GROUP, "a group it may not read")
        offset = {**me, "GroupId": "g", "Topics": [{"Name": "t", "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 1}]}]}
        tap.equal(only(client.call("TxnOffsetCommit", 3, offset), "Topics", 0, "Partitions", 0), GROUP, "nor its offsets")
        server.sql("SELECT grant_kafka_acl('group', 'g', 'READ', 't_writer')")
        tap.equal(client.call("AddOffsetsToTxn", 3, {**me, "GroupId": "g"})["ErrorCode"], 0, "after a grant")
        tap.equal(only(client.call("TxnOffsetCommit", 3, offset), "Topics", 0, "Partitions", 0), TOPIC, "offsets of a topic that it may not read")
        batch = raw.Batch([(None, "x")], producer_id=me["ProducerId"], producer_epoch=me["ProducerEpoch"], base_sequence=0, attributes=16).encode()
        body = {"TransactionalId": "mine", "Acks": -1, "TimeoutMs": 1000, "TopicData": [{"Name": "t", "PartitionData": [{"Index": 0, "Records": batch}]}]}
        tap.equal(only(client.call("Produce", 9, body), "Responses", 0, "PartitionResponses", 0), 0, "it sends")
        server.sql("REVOKE INSERT ON topics.t FROM t_writer")
        code = client.call("EndTxn", 3, {**me, "Committed": True})["ErrorCode"]
        tap.ok(code != 0, "what was taken back meanwhile is not committed (error %d)" % code)
        tap.equal(client.call("EndTxn", 3, {**me, "Committed": False})["ErrorCode"], 0, "an abort is well")
        server.sql("GRANT INSERT ON topics.t TO t_writer; SELECT revoke_kafka_acl('transactional_id', 'mine', 'WRITE', 't_writer')")
        tap.equal(client.call("EndTxn", 3, {**me, "Committed": False})["ErrorCode"], TRANSACTION, "and not after that was taken back")
        server.sql("SELECT revoke_kafka_acl('transactional_id', 'mine', 'DESCRIBE', 't_writer'), revoke_kafka_acl('group', 'g', 'READ', 't_writer'); "
                   "SELECT drop_topic('hidden')")


def in_session(client, topics, session, epoch):
    """Fetches in a fetch session: error code, the session's id, and the topics that were told of."""
    answer = client.call("Fetch", 11, dict(rawtest.fetch_body(topics), SessionId=session, SessionEpoch=epoch))
    return answer["ErrorCode"], answer["SessionId"], [topic["Topic"] for topic in answer["Responses"]]


def test_fetch_sessions():
    """a fetch session is its role's: whoever else guesses its id finds none, and cannot end it"""
    with logged_in("t_reader") as reader, logged_in("t_reader") as again:
        error, session, told = in_session(reader, ["t"], 0, 0)
        tap.ok(error == 0 and session > 0 and told == ["t"], "a session")
        epoch = 1
        for role in ("t_none", "t_writer", "t_owner", "kafka", SUPERUSER):
            with logged_in(role) as other:
                tap.equal(in_session(other, [], session, epoch), (NO_SUCH_FETCH_SESSION, 0, []), role + " finds none of that id")
                tap.ok(in_session(other, ["t"], session, 0)[1] not in (0, session), role + " gets one of its own in its place")
                tap.equal(in_session(other, ["t"], session, -1)[:2], (0, 0), role + " ends it")
            tap.equal(in_session(reader, [], session, epoch), (0, session, ["t"]), "but whose it is goes on")
            epoch += 1
        tap.equal(in_session(again, [], session, epoch), (0, session, ["t"]), "also by another connection of the role")


def test_groups_setting():
    """without pgtopic.groups_follow_topics only grants count"""
    server.set(pgtopic__groups_follow_topics="off").reload()
    server.wait_for("SHOW pgtopic.groups_follow_topics", "off")
    with act_as("t_reader") as client:
        tap.equal(client.call("FindCoordinator", 3, {"Key": "g", "KeyType": 0})["ErrorCode"], GROUP, "a reader may not ask for the coordinator")
        tap.equal(client.call("Heartbeat", 3, heartbeat("g"))["ErrorCode"], GROUP, "nor use the group")
        tap.equal(client.call("ListGroups", 4, {})["Groups"], [], "nor see it")
        server.sql("SELECT grant_kafka_acl('group', 'g', 'READ', 't_reader')")
        tap.equal(client.call("FindCoordinator", 3, {"Key": "g", "KeyType": 0})["ErrorCode"], 0, "with a grant it may")
        tap.equal(client.call("Heartbeat", 3, heartbeat("g"))["ErrorCode"], 25, "and use the group")
        tap.equal([g["GroupId"] for g in client.call("ListGroups", 4, {})["Groups"]], ["g"], "and see it")
    server.set(pgtopic__groups_follow_topics="on").reload()
    server.wait_for("SHOW pgtopic.groups_follow_topics", "on")


def test_row_security():
    """a topic with row-level security for the role is refused, and the log says why"""
    server.sql("ALTER TABLE topics.t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON topics.t USING (true)")
    line = 'topic "t" is refused to Kafka client "raw" at'
    for role, expected in (("t_reader", (TOPIC, TOPIC)), ("t_writer", (TOPIC, TOPIC)), ("t_owner", (0, 0)), ("kafka", (TOPIC, TOPIC))):
        with act_as(role) as client:
            tap.equal((rawtest.fetch(client, "t")["ErrorCode"], rawtest.produce(client, "t", "v")[0]), expected, "%s: fetch and produce" % role)
    tap.matches(line + '.*it has row-level security for role "t_reader"', server.log_text(), "the log says why")
    server.sql("ALTER ROLE t_reader BYPASSRLS")
    with act_as("t_reader") as client:
        tap.equal(rawtest.fetch(client, "t")["ErrorCode"], 0, "a role with BYPASSRLS reads")
    server.sql("ALTER ROLE t_reader NOBYPASSRLS; ALTER TABLE topics.t DISABLE ROW LEVEL SECURITY")
    with act_as("t_reader") as client:
        tap.equal(rawtest.fetch(client, "t")["ErrorCode"], 0, "and all readers do without row-level security")


def test_acls():
    """ACLs are GRANTs, both ways"""
    def entries(client, **more):
        resources = client.call("DescribeAcls", 2, acl_filter(**more))["Resources"]
        return sorted((r["ResourceType"], r["ResourceName"], r["PatternType"], a["Principal"], a["Operation"]) for r in resources for a in r["Acls"])

    def create(client, *acls):
        return [result["ErrorCode"] for result in client.call("CreateAcls", 2, {"Creations": list(acls)})["Results"]]

    server.sql("TRUNCATE kafka_acl_entries; SELECT create_topic('acl'); CREATE ROLE \"A strange one\"")
    with act_as("kafka") as client:
        tap.equal(create(client, acl("acl", 3, "User:t_reader"), acl("acl", 4, "User:A strange one"), acl("acl", 6, "User:*"), acl("acl", 8, "User:t_none"),
                         acl("acl", 5, "User:t_none"), acl("grp", 3, "User:t_reader", 3), acl("grp-", 2, "User:*", 3, 4), acl("tx", 4, "User:t_writer", 5),
                         acl("kafka-cluster", 5, "User:t_owner", 4), acl("kafka-cluster", 12, "User:t_owner", 4)), [0] * 10, "grants are made")
        tap.equal(server.sql("SELECT has_table_privilege('t_reader', 'topics.acl', 'SELECT'), has_table_privilege('A strange one', 'topics.acl', 'INSERT'), "
                             "has_table_privilege('t_none', 'topics.acl', 'DELETE'), has_table_privilege('t_none', 'topics.acl', 'REFERENCES'), "
                             "has_schema_privilege('t_owner', 'topics', 'CREATE')"), "t|t|t|t|t", "they are GRANTs")
        tap.equal(entries(client, name="acl"), [(2, "acl", 3, "User:*", 6), (2, "acl", 3, "User:A strange one", 4), (2, "acl", 3, "User:t_none", 8),
                                                (2, "acl", 3, "User:t_reader", 3)], "those of a topic")
        tap.equal(entries(client, kind=3), [(3, "grp", 3, "User:t_reader", 3), (3, "grp-", 4, "User:*", 2)], "those of groups")
        tap.equal(entries(client, kind=3, name="grp-7", pattern=2), [(3, "grp-", 4, "User:*", 2)], "those that match a name")
        tap.equal(entries(client, kind=3, name="grp-7"), [], "which has none of its own")
        tap.equal(entries(client, kind=4, principal="User:t_owner"), [(4, "kafka-cluster", 3, "User:t_owner", 5), (4, "kafka-cluster", 3, "User:t_owner", 12)],
                  "those of the cluster")
        tap.equal(entries(client, permission=2), [], "there is nothing that is denied")
        tap.equal(entries(client, host="10.0.0.1"), [], "nor anything for a host")
        server.sql("GRANT SELECT ON topics.acl TO t_writer WITH GRANT OPTION; SET ROLE t_writer; GRANT SELECT ON topics.acl TO t_none")
        tap.equal(entries(client, name="acl", operation=3), [(2, "acl", 3, "User:t_none", 3), (2, "acl", 3, "User:t_reader", 3), (2, "acl", 3, "User:t_writer", 3)],
                  "what SQL grants is an ACL")
        tap.equal(create(client, acl("acl", 3, permission=2), acl("acl", 3, host="10.0.0.1"), acl("acl", 3, "User:nobody"), acl("acl", 3, "Group:x"),
                         acl("ac", 3, pattern=4), acl("*", 3), acl("absent", 3), acl("acl", 7), acl("acl", 2), acl("grp", 4, kind=3), acl("", 3, kind=3),
                         acl("x", 3, kind=4), acl("x", 3, kind=6), acl("x", 3, kind=7), acl("acl", 1), acl("acl", 3, pattern=2)),
                  [42, 42, 42, 67, 42, 42, 3, 42, 42, 42, 42, 42, 42, 42, 42, 42], "what cannot be granted is refused")
        tap.equal(client.call("DescribeAcls", 2, acl_filter(kind=0))["ErrorCode"], 42, "a filter that makes no sense is refused")
        result = client.call("DeleteAcls", 2, {"Filters": [acl_filter(name="acl", kind=2), acl_filter(kind=3), acl_filter(kind=4, operation=5, principal="User:t_owner")]})["FilterResults"]
        tap.equal([(r["ErrorCode"], {m["ErrorCode"] for m in r["MatchingAcls"]}) for r in result], [(0, {0})] * 3, "all are taken away again")
        tap.equal(entries(client, name="acl") + entries(client, kind=3) + entries(client, kind=4, operation=5, principal="User:t_owner"), [], "and gone")
        tap.equal(server.sql("SELECT count(*) FROM aclexplode((SELECT relacl FROM pg_class WHERE oid = 'topics.acl'::regclass)) WHERE grantee <> 'postgres'::regrole"),
                  "0", "so are the GRANTs, whoever made them")
        tap.matches('Kafka client "raw" at .*, role "kafka", granted READ on topic "acl" to User:t_reader', server.log_text(), "the log tells who granted what")
    with act_as("t_owner") as client:
        tap.equal(create(client, acl("t", 3), acl("t", 7), acl("acl", 3)), [0, 42, TOPIC], "an owner grants on his topic")
    server.sql("GRANT SELECT ON topics.acl TO t_writer WITH GRANT OPTION; GRANT SELECT ON topics.acl TO t_reader; "
               "SET ROLE t_writer; GRANT SELECT ON topics.acl TO t_none; RESET ROLE; SELECT grant_kafka_acl('cluster', 'kafka-cluster', 'DESCRIBE', 't_writer')")
    with act_as("t_writer") as client:
        def take(principal):
            return [(r["ErrorCode"], [m["ErrorCode"] for m in r["MatchingAcls"]]) for r in client.call("DeleteAcls", 2, {
                "Filters": [acl_filter(name="acl", kind=2, operation=3, principal=principal)]})["FilterResults"]]
        tap.equal([has_select("t_reader"), has_select("t_none")], ["t", "t"], "two readers, by two who grant")
        tap.ok(take("User:t_reader") != [(0, [0])], "who has GRANT OPTION cannot take away what the owner has granted")
        tap.equal(take("User:t_none"), [(0, [0])], "but what he has granted himself")
        tap.equal([has_select("t_reader"), has_select("t_none")], ["t", "f"], "and so it is")
    server.sql("REVOKE ALL ON topics.t FROM t_none; DROP ROLE \"A strange one\"")


def has_select(role):
    return server.sql("SELECT has_table_privilege('%s', 'topics.acl', 'SELECT')" % role)


def test_dropped():
    """a role is dropped while a session acts as it"""
    server.sql("CREATE ROLE t_gone; SELECT produce('acl', 'x'::text); SELECT count(*) FROM consume('acl', 'owned')")
    session = server.session()
    session.sql("SET ROLE t_gone")
    server.sql("DROP ROLE t_gone")
    tap.matches("permission denied for group", session.sql("SELECT delete_group('owned')"), "it may do nothing with groups")
    session.close()
    tap.equal(server.sql("SELECT 1"), "1", "and the server goes on")


TAKE_OVER = """
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    BEGIN EXECUTE 'ALTER ROLE t_owner SUPERUSER'; EXCEPTION WHEN others THEN NULL; END;
    BEGIN PERFORM set_config('role', 'postgres', false); EXCEPTION WHEN others THEN NULL; END;
    BEGIN EXECUTE 'SET SESSION AUTHORIZATION postgres'; EXCEPTION WHEN others THEN NULL; END;
    INSERT INTO public.acted VALUES (TG_NAME, current_user);
    RETURN NEW;
END $$;
"""


def test_code_of_users():
    """triggers, checks and index expressions run as the table's owner, and cannot be more"""
    server.sql("CREATE TABLE public.acted (what text, who text); GRANT ALL ON public.acted TO PUBLIC; GRANT CREATE ON SCHEMA public, topics TO t_owner; SET ROLE t_owner;" +
               TAKE_OVER.format(name="take_over") +
               "CREATE FUNCTION note(what text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN "
               "    BEGIN EXECUTE 'ALTER ROLE t_owner SUPERUSER'; EXCEPTION WHEN others THEN NULL; END; "
               "    INSERT INTO public.acted VALUES (what, current_user); END $$; "
               "CREATE FUNCTION noted(what text, value bytea) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN "
               "    PERFORM public.note(what); RETURN true; END $$; "
               "CREATE TRIGGER before_row BEFORE INSERT ON topics.t FOR EACH ROW EXECUTE FUNCTION take_over(); "
               "CREATE TRIGGER after_row AFTER INSERT ON topics.t FOR EACH ROW EXECUTE FUNCTION take_over(); "
               "CREATE CONSTRAINT TRIGGER at_end AFTER INSERT ON topics.t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION take_over(); "
               "ALTER TABLE topics.t ADD CONSTRAINT checked CHECK (noted('check', value)); "
               "CREATE INDEX t_noted ON topics.t (noted('index', value)); TRUNCATE public.acted")
    with act_as("t_writer") as client:
        tap.equal(rawtest.produce(client, "t", "v")[0], 0, "a client produces to the topic")
    tap.equal(server.sql("SELECT string_agg(DISTINCT what || ' ' || who, ', ' ORDER BY what || ' ' || who) FROM public.acted"),
              "after_row t_owner, at_end t_owner, before_row t_owner, check t_owner, index t_owner", "all code ran as the owner")
    tap.equal(server.sql("SELECT rolsuper FROM pg_roles WHERE rolname = 't_owner'"), "f", "which has gained nothing")
    server.sql("DROP FUNCTION take_over() CASCADE; ALTER TABLE topics.t DROP CONSTRAINT checked; DROP INDEX topics.t_noted; TRUNCATE public.acted")


def test_event_triggers():
    """commands of clients, and event triggers that see them, run as the role"""
    server.sql("CREATE FUNCTION seen() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
               "    BEGIN PERFORM set_config('role', 'postgres', false); EXCEPTION WHEN others THEN NULL; END; "
               "    INSERT INTO public.acted VALUES (TG_TAG, current_user); END $$; "
               "CREATE EVENT TRIGGER seen ON ddl_command_end EXECUTE FUNCTION seen(); CREATE EVENT TRIGGER dropped ON sql_drop EXECUTE FUNCTION seen()")
    with act_as("kafka") as client:
        new = client.call("CreateTopics", 5, {"Topics": [{"Name": "seen", "NumPartitions": 1, "ReplicationFactor": 1}], "timeoutMs": 20000})
        tap.equal(new["Topics"][0]["ErrorCode"], 0, "a topic is created")
        tap.equal(server.sql("SELECT DISTINCT who FROM public.acted"), "kafka", "as the client's role")
        server.sql("TRUNCATE public.acted")
        client.call("IncrementalAlterConfigs", 0, {"Resources": [{"ResourceType": 2, "ResourceName": "t", "Configs": [
            {"Name": "retention.ms", "ConfigOperation": 0, "Value": "200000000"}]}], "ValidateOnly": False})
        client.call("CreatePartitions", 2, {"Topics": [{"Name": "t", "Count": 3, "Assignments": None}], "TimeoutMs": 20000, "ValidateOnly": False})
        client.call("CreateAcls", 2, {"Creations": [acl("t", 3)]})
        client.call("DeleteTopics", 5, {"TopicNames": ["t"], "TimeoutMs": 20000})
        tap.equal(server.sql("SELECT string_agg(DISTINCT what, ', ' ORDER BY what), string_agg(DISTINCT who, ' ') FROM public.acted"),
                  "CREATE TABLE, DROP TABLE, GRANT, SECURITY LABEL|t_owner",
                  "what an administrator does with another's topic is done as its owner")


def test_dump():
    """what is granted is dumped: with the names that roles have now, and without roles that are gone"""
    other = pg.Cluster("dumped").init().start()
    other.sql("CREATE EXTENSION pgtopic; CREATE ROLE a; CREATE ROLE b; CREATE ROLE gone; SELECT create_topic('kept'); GRANT SELECT ON topics.kept TO a; "
              "GRANT CREATE ON SCHEMA topics TO b; SELECT grant_kafka_acl('group', 'g', 'READ', 'a'), grant_kafka_acl('group', 'g-', 'ALL', 'public', 'prefixed'), "
              "grant_kafka_acl('transactional_id', 'x', 'WRITE', 'gone'), grant_kafka_acl('cluster', 'kafka-cluster', 'DESCRIBE', 'b'); "
              "ALTER ROLE b RENAME TO \"B 2\"; DROP ROLE gone; CREATE ROLE b")
    done = other.run("pg_dump", check=False)
    tap.equal(done.returncode, 0, "a dump")
    other.sql("CREATE DATABASE restored")
    done = other.run("psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-f", "-", input=done.stdout, database="restored", check=False)
    tap.equal((done.returncode, done.stderr), (0, ""), "is restored")
    tap.equal(other.rows("SELECT * FROM kafka_acls WHERE role <> 'pgtopic_admin' ORDER BY 1, 2, 4", database="restored"),
              [["cluster", "kafka-cluster", "literal", "CREATE", "B 2"], ["cluster", "kafka-cluster", "literal", "DESCRIBE", "B 2"],
               ["group", "g", "literal", "READ", "a"], ["group", "g-", "prefixed", "ALL", "public"], ["topic", "kept", "literal", "READ", "a"]],
              "with all that counts")
    tap.equal(other.sql("SELECT count(*) FROM kafka_acl_entries", database="restored"), "3", "and nothing that is void")
    other.stop("immediate")


if __name__ == "__main__":
    pg.demote()
    rawtest.need_clients()
    tap.main([test_start, test_complete, test_strangers, test_apis, test_apis_scram, test_operations, test_owner, test_at_once, test_transactional_id, test_fetch_sessions,
              test_groups_setting, test_row_security, test_acls, test_dropped, test_code_of_users,
              test_event_triggers, test_dump])
