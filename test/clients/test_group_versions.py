#!/usr/bin/env python3
"""The APIs of consumer groups in every version that ApiVersions advertises, and what they say to what is wrong.

Like test_versions.py, whose client encodes from Kafka's own specs.  Members
here say nothing by themselves: they join, sync and leave when a test says so.
"""

import os
import signal
import struct
import sys
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import tap             # noqa: E402

NAMES = {8: "OffsetCommit", 9: "OffsetFetch", 10: "FindCoordinator", 11: "JoinGroup", 12: "Heartbeat", 13: "LeaveGroup",
         14: "SyncGroup", 15: "DescribeGroups", 16: "ListGroups", 42: "DeleteGroups", 47: "OffsetDelete",
         68: "ConsumerGroupHeartbeat", 69: "ConsumerGroupDescribe"}
EXPECTED = {8: (2, 10), 9: (1, 10), 10: (0, 6), 11: (0, 9), 12: (0, 4), 13: (0, 5), 14: (0, 5), 15: (0, 6), 16: (0, 5), 42: (0, 2),
            47: (0, 0), 68: (0, 1), 69: (0, 1)}
(NONE, UNKNOWN_TOPIC, OFFSET_METADATA_TOO_LARGE, ILLEGAL_GENERATION, INCONSISTENT_GROUP_PROTOCOL, INVALID_GROUP_ID, UNKNOWN_MEMBER_ID,
 INVALID_SESSION_TIMEOUT, INVALID_TOPIC, REBALANCE_IN_PROGRESS, INVALID_REQUEST, NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND, MEMBER_ID_REQUIRED,
 FENCED_INSTANCE_ID, GROUP_SUBSCRIBED_TO_TOPIC, UNKNOWN_TOPIC_ID, FENCED_MEMBER_EPOCH, UNSUPPORTED_ASSIGNOR,
 INVALID_REGULAR_EXPRESSION) = (
    0, 3, 12, 22, 23, 24, 25, 26, 17, 27, 42, 68, 69, 79, 82, 86, 100, 110, 112, 128)

server = client = None
groups = 0
ran = {}


def reconnect():
    global client
    if client is not None:
        client.close()
    client = raw.Client(server.bootstrap, timeout=30)


def each_version(key, check):
    """check(version) yields problems; one line of TAP per version."""
    for version in range(EXPECTED[key][0], EXPECTED[key][1] + 1):
        try:
            problems = [p for p in check(version) if p]
        except Exception as problem:    # pylint: disable=broad-except
            problems = ["%s: %s" % (type(problem).__name__, problem)]
            reconnect()
        tap.ok(not problems, "%s v%d" % (NAMES[key], version))
        for problem in problems:
            tap.note(problem)
        if not problems:
            ran.setdefault(NAMES[key], []).append(version)


def differs(what, got, expected):
    return None if got == expected else "%s: got %r, expected %r" % (what, got, expected)


def fresh():
    """The name of a group that nobody has used."""
    global groups
    groups += 1
    return "group-%d" % groups


def topic_id(name):
    answer = client.call("Metadata", 12, {"Topics": [{"Name": name}], "AllowAutoTopicCreation": False})
    return answer["Topics"][0]["TopicId"]


def subscription(*topics):
    """ConsumerProtocolSubscription, version 0."""
    return struct.pack(">hi", 0, len(topics)) + b"".join(struct.pack(">h", len(t)) + t.encode() for t in topics) + b"\xff\xff\xff\xff"


def join_body(group, member="", version=9, **more):
    body = {"GroupId": group, "SessionTimeoutMs": 30000, "MemberId": member, "ProtocolType": "consumer",
            "Protocols": [{"Name": "range", "Metadata": subscription("t")}]}
    if version >= 1:
        body["RebalanceTimeoutMs"] = 30000
    body.update(more)
    return body


def join(group, member="", version=9, **more):
    """Joins; asks for a member id first where the version wants that."""
    answer = client.call("JoinGroup", version, join_body(group, member, version, **more))
    if answer["ErrorCode"] == MEMBER_ID_REQUIRED:
        answer = client.call("JoinGroup", version, join_body(group, answer["MemberId"], version, **more))
    return answer


def sync(group, joined, assignment=b"mine", version=3):
    return client.call("SyncGroup", version, {"GroupId": group, "GenerationId": joined["GenerationId"], "MemberId": joined["MemberId"],
                                              "Assignments": [{"MemberId": joined["MemberId"], "Assignment": assignment}]})


def stable(group=None, **more):
    """A group with one member; (group, answer of its JoinGroup)."""
    group = group or fresh()
    joined = join(group, **more)
    sync(group, joined)
    return group, joined


def leave(group, joined):
    return client.call("LeaveGroup", 1, {"GroupId": group, "MemberId": joined["MemberId"]})["ErrorCode"]


def commit(version, group, partitions, topic="t", epoch=1, **more):
    """partitions: {number: offset or (offset, metadata)}; returns {number: error}."""
    where = {"TopicId": topic if isinstance(topic, uuid.UUID) else topic_id(topic)} if version >= 10 else {"Name": topic}
    rows = []
    for number, what in partitions.items():
        offset, metadata = what if isinstance(what, tuple) else (what, None)
        rows.append({"PartitionIndex": number, "CommittedOffset": offset, "CommittedMetadata": metadata})
        if version >= 6:
            rows[-1]["CommittedLeaderEpoch"] = epoch
    answer = client.call("OffsetCommit", version, {"GroupId": group, "Topics": [{**where, "Partitions": rows}], **more})
    return {p["PartitionIndex"]: p["ErrorCode"] for t in answer["Topics"] for p in t["Partitions"]}


def committed(group, *numbers, version=5, topic="t"):
    """{number: (offset, metadata)}"""
    answer = client.call("OffsetFetch", version, {"GroupId": group, "Topics": [{"Name": topic, "PartitionIndexes": list(numbers)}]})
    return {p["PartitionIndex"]: (p["CommittedOffset"], p["Metadata"]) for t in answer["Topics"] for p in t["Partitions"]}


# --- one check per API

def test_advertised():
    me = {"ClientSoftwareName": "raw", "ClientSoftwareVersion": "1.0"}
    tap.equal([f["Name"] for f in client.call("ApiVersions", 3, me)["SupportedFeatures"]], ["metadata.version"],
              "no feature that may be 0 for clients that do not know of 0")
    answer = client.call("ApiVersions", 4, me)
    got = {r["ApiKey"]: (r["MinVersion"], r["MaxVersion"]) for r in answer["ApiKeys"] if r["ApiKey"] in NAMES}
    tap.equal(got, EXPECTED, "the APIs and their versions")
    tap.equal([(f["Name"], f["MinVersion"], f["MaxVersion"]) for f in answer["SupportedFeatures"]], [("group.version", 0, 1), ("metadata.version", 7, 25), ("transaction.version", 0, 2)],
              "group.version is a feature")
    tap.equal([(f["Name"], f["MinVersionLevel"], f["MaxVersionLevel"]) for f in answer["FinalizedFeatures"]], [("group.version", 1, 1), ("metadata.version", 25, 25), ("transaction.version", 2, 2)],
              "and finalized")
    tap.ok(answer["FinalizedFeaturesEpoch"] >= 0, "with an epoch")


def test_find_coordinator():
    def check(version):
        for kind in (0, 1) if version >= 1 else (0,):
            body = {"CoordinatorKeys": ["a", "b"]} if version >= 4 else {"Key": "a"}
            if version >= 1:
                body["KeyType"] = kind
            answer = client.call("FindCoordinator", version, body)
            found = answer["Coordinators"] if version >= 4 else [answer]
            yield differs("answers", len(found), 2 if version >= 4 else 1)
            for one in found:
                yield differs("node", (one["ErrorCode"], one["NodeId"], one["Host"], one["Port"]),
                              (NONE, 1, "127.0.0.1", server.kafka_port))
        if version >= 1:
            body["KeyType"] = 2
            answer = client.call("FindCoordinator", version, body)
            found = answer["Coordinators"] if version >= 4 else [answer]
            yield differs("share groups", {(c["ErrorCode"], c["NodeId"]) for c in found}, {(INVALID_REQUEST, -1)})
    each_version(10, check)


def test_join_group():
    def check(version):
        group = fresh()
        answer = client.call("JoinGroup", version, join_body(group, version=version))
        if version >= 4:
            yield differs("a member id is required", (answer["ErrorCode"], bool(answer["MemberId"])), (MEMBER_ID_REQUIRED, True))
            answer = client.call("JoinGroup", version, join_body(group, answer["MemberId"], version))
        yield differs("error", (answer["ErrorCode"], answer["GenerationId"], answer["ProtocolName"]), (NONE, 1, "range"))
        yield differs("leader", answer["Leader"], answer["MemberId"])
        yield differs("members", [(m["MemberId"], m["Metadata"]) for m in answer["Members"]], [(answer["MemberId"], subscription("t"))])
        if version >= 7:
            yield differs("type", answer["ProtocolType"], "consumer")
        if version >= 5:
            static = client.call("JoinGroup", version, join_body(fresh(), version=version, GroupInstanceId="me"))
            yield differs("static", (static["ErrorCode"], static["Members"][0]["GroupInstanceId"]), (NONE, "me"))
        wrong = client.call("JoinGroup", version, join_body("", version=version))
        yield differs("no group", wrong["ErrorCode"], INVALID_GROUP_ID)
        wrong = client.call("JoinGroup", version, join_body(fresh(), version=version, SessionTimeoutMs=1))
        yield differs("timeout", wrong["ErrorCode"], INVALID_SESSION_TIMEOUT)
        wrong = client.call("JoinGroup", version, join_body(group, "stranger", version))
        yield differs("stranger", wrong["ErrorCode"], UNKNOWN_MEMBER_ID)
        wrong = client.call("JoinGroup", version, join_body(fresh(), version=version, Protocols=[]))
        yield differs("no protocols", wrong["ErrorCode"], INCONSISTENT_GROUP_PROTOCOL)
    each_version(11, check)


def test_sync_group():
    def check(version):
        group = fresh()
        joined = join(group)
        body = {"GroupId": group, "GenerationId": 1, "MemberId": joined["MemberId"],
                "Assignments": [{"MemberId": joined["MemberId"], "Assignment": b"yours"}]}
        if version >= 5:
            wrong = client.call("SyncGroup", version, {**body, "ProtocolType": "other", "ProtocolName": "range"})
            yield differs("another type", wrong["ErrorCode"], INCONSISTENT_GROUP_PROTOCOL)
            body.update(ProtocolType="consumer", ProtocolName="range")
        wrong = client.call("SyncGroup", version, {**body, "GenerationId": 9})
        yield differs("generation", wrong["ErrorCode"], ILLEGAL_GENERATION)
        wrong = client.call("SyncGroup", version, {**body, "MemberId": "stranger"})
        yield differs("stranger", wrong["ErrorCode"], UNKNOWN_MEMBER_ID)
        answer = client.call("SyncGroup", version, body)
        yield differs("answer", (answer["ErrorCode"], answer["Assignment"]), (NONE, b"yours"))
        if version >= 5:
            yield differs("protocol", (answer["ProtocolType"], answer["ProtocolName"]), ("consumer", "range"))
    each_version(14, check)


def test_heartbeat():
    def check(version):
        group, joined = stable()
        body = {"GroupId": group, "GenerationId": 1, "MemberId": joined["MemberId"]}
        yield differs("alive", client.call("Heartbeat", version, body)["ErrorCode"], NONE)
        yield differs("generation", client.call("Heartbeat", version, {**body, "GenerationId": 0})["ErrorCode"], ILLEGAL_GENERATION)
        yield differs("stranger", client.call("Heartbeat", version, {**body, "MemberId": "x"})["ErrorCode"], UNKNOWN_MEMBER_ID)
        yield differs("no group", client.call("Heartbeat", version, {**body, "GroupId": fresh()})["ErrorCode"], UNKNOWN_MEMBER_ID)
        if version >= 3:
            group, joined = stable(GroupInstanceId="fixed")
            body = {"GroupId": group, "GenerationId": 1, "MemberId": "another", "GroupInstanceId": "fixed"}
            yield differs("fenced", client.call("Heartbeat", version, body)["ErrorCode"], FENCED_INSTANCE_ID)
    each_version(12, check)


def test_leave_group():
    def check(version):
        group, joined = stable()
        if version < 3:
            body = {"GroupId": group, "MemberId": joined["MemberId"]}
            yield differs("leaves", client.call("LeaveGroup", version, body)["ErrorCode"], NONE)
            yield differs("again", client.call("LeaveGroup", version, body)["ErrorCode"], UNKNOWN_MEMBER_ID)
            return
        answer = client.call("LeaveGroup", version, {"GroupId": group, "Members": [{"MemberId": joined["MemberId"]}, {"MemberId": "x"}]})
        yield differs("answers", (answer["ErrorCode"], [(m["MemberId"], m["ErrorCode"]) for m in answer["Members"]]),
                      (NONE, [(joined["MemberId"], NONE), ("x", UNKNOWN_MEMBER_ID)]))
    each_version(13, check)


def test_offset_commit():
    def check(version):
        group = fresh()
        yield differs("from outside", commit(version, group, {0: (5, "note"), 1: 6}), {0: NONE, 1: NONE})
        yield differs("is there", committed(group, 0, 1, 2), {0: (5, "note"), 1: (6, ""), 2: (-1, "")})
        yield differs("no such partition", commit(version, group, {99: 1}), {99: UNKNOWN_TOPIC})
        yield differs("metadata", commit(version, group, {0: (1, "x" * 4097), 1: (8, "x" * 4096)}), {0: OFFSET_METADATA_TOO_LARGE, 1: NONE})
        yield differs("kept", committed(group, 0, 1), {0: (5, "note"), 1: (8, "x" * 4096)})
        yield differs("negative", commit(version, group, {0: -5}), {0: NONE})
        yield differs("as it is", committed(group, 0), {0: (-5, "")})
        yield differs("metadata that holds NUL", commit(version, group, {1: (5, "\0" + "Z" * 4095), 2: (6, "a\0b")}), {1: NONE, 2: NONE})
        yield differs("as sent", committed(group, 1, 2), {1: (5, "\0" + "Z" * 4095), 2: (6, "a\0b")})
        if version >= 10:
            yield differs("unknown id", commit(version, group, {0: 1}, topic=uuid.uuid4()), {0: UNKNOWN_TOPIC_ID})
        else:
            yield differs("unknown topic", commit(version, group, {0: 1}, topic="missing"), {0: UNKNOWN_TOPIC})
        yield differs("no group", commit(version, "", {0: 1}), {0: INVALID_GROUP_ID})
        group, joined = stable()
        me = {"MemberId": joined["MemberId"], "GenerationIdOrMemberEpoch": 1}
        yield differs("by a member", commit(version, group, {0: 1}, **me), {0: NONE})
        yield differs("from outside of members", commit(version, group, {0: 2}), {0: UNKNOWN_MEMBER_ID})
        yield differs("generation", commit(version, group, {0: 2}, **{**me, "GenerationIdOrMemberEpoch": 7}), {0: ILLEGAL_GENERATION})
        yield differs("stranger", commit(version, group, {0: 2}, **{**me, "MemberId": "x"}), {0: UNKNOWN_MEMBER_ID})
        yield differs("only what was allowed", committed(group, 0), {0: (1, "")})
    each_version(8, check)


def test_offset_fetch():
    group = fresh()
    commit(7, group, {0: (3, "zero"), 2: 4})
    commit(7, group, {0: 9}, topic="u")
    ids = {"t": topic_id("t"), "u": topic_id("u")}

    def fetch_many(version, what):
        body = []
        for name, topics in what:
            rows = None if topics is None else [{**({"TopicId": ids.get(t, uuid.UUID(int=77))} if version >= 10 else {"Name": t}),
                                                 "PartitionIndexes": p} for t, p in topics]
            body.append({"GroupId": name, "Topics": rows})
        names = {v: k for k, v in ids.items()}
        answer = client.call("OffsetFetch", version, {"Groups": body, "RequireStable": True})
        return [(g["GroupId"], g["ErrorCode"],
                 {names.get(t.get("TopicId"), "?") if version >= 10 else t["Name"]:
                  {p["PartitionIndex"]: (p["CommittedOffset"], p["CommittedLeaderEpoch"], p["Metadata"], p["ErrorCode"])
                   for p in t["Partitions"]} for t in g["Topics"]}) for g in answer["Groups"]]

    def check(version):
        if version >= 8:
            none = fresh()
            got = fetch_many(version, [(group, [("t", [0, 1])]), (none, [("t", [0])]), (group, None), (none, None)])
            yield differs("groups", got, [
                (group, NONE, {"t": {0: (3, 1, "zero", NONE), 1: (-1, -1, "", NONE)}}),
                (none, NONE, {"t": {0: (-1, -1, "", NONE)}}),
                (group, NONE, {"t": {0: (3, 1, "zero", NONE), 2: (4, 1, "", NONE)}, "u": {0: (9, 1, "", NONE)}}),
                (none, NONE, {})])
            yield differs("no group", [g[1] for g in fetch_many(version, [("", None)])], [INVALID_GROUP_ID])
            unknown = fetch_many(version, [(group, [("missing", [0])])])[0][2]
            yield differs("unknown topic", list(unknown.values()), [{0: (-1, -1, "", UNKNOWN_TOPIC_ID if version >= 10 else NONE)}])
            return
        answer = client.call("OffsetFetch", version, {"GroupId": group, "Topics": [{"Name": "t", "PartitionIndexes": [0, 1]}]})
        parts = {p["PartitionIndex"]: (p["CommittedOffset"], p["Metadata"], p["ErrorCode"]) for p in answer["Topics"][0]["Partitions"]}
        yield differs("offsets", parts, {0: (3, "zero", NONE), 1: (-1, "", NONE)})
        if version >= 5:
            yield differs("epoch", answer["Topics"][0]["Partitions"][0]["CommittedLeaderEpoch"], 1)
            commit(7, group, {0: (3, "zero")}, epoch=9)
            answer = client.call("OffsetFetch", version, {"GroupId": group, "Topics": [{"Name": "t", "PartitionIndexes": [0]}]})
            yield differs("an epoch to come", answer["Topics"][0]["Partitions"][0]["CommittedLeaderEpoch"], 9)
            commit(7, group, {0: (3, "zero")})
        if version >= 2:
            answer = client.call("OffsetFetch", version, {"GroupId": group, "Topics": None})
            yield differs("all", {t["Name"]: [p["PartitionIndex"] for p in t["Partitions"]] for t in answer["Topics"]}, {"t": [0, 2], "u": [0]})
        wrong = client.call("OffsetFetch", version, {"GroupId": "", "Topics": [{"Name": "t", "PartitionIndexes": [0]}]})
        yield differs("no group", wrong["ErrorCode"] if version >= 2 else wrong["Topics"][0]["Partitions"][0]["ErrorCode"], INVALID_GROUP_ID)
    each_version(9, check)


def test_describe_groups():
    def check(version):
        group, joined = stable()
        alone = fresh()
        commit(7, alone, {0: 1})
        missing = fresh()
        body = {"Groups": [group, alone, missing, ""]}
        if version >= 3:
            body["IncludeAuthorizedOperations"] = True
        got = client.call("DescribeGroups", version, body)["Groups"]
        yield differs("order", [g["GroupId"] for g in got], [group, alone, missing, ""])
        yield differs("group", (got[0]["ErrorCode"], got[0]["GroupState"], got[0]["ProtocolType"], got[0]["ProtocolData"]),
                      (NONE, "Stable", "consumer", "range"))
        yield differs("member", [(m["MemberId"], m["ClientId"], m["ClientHost"], m["MemberMetadata"], m["MemberAssignment"])
                                 for m in got[0]["Members"]],
                      [(joined["MemberId"], "raw", "/127.0.0.1", subscription("t"), b"mine")])
        yield differs("only offsets", (got[1]["ErrorCode"], got[1]["GroupState"], got[1]["Members"]), (NONE, "Empty", []))
        yield differs("not there", (got[2]["ErrorCode"], got[2]["GroupState"]), (GROUP_ID_NOT_FOUND if version >= 6 else NONE, "Dead"))
        yield differs("no group", got[3]["ErrorCode"], INVALID_GROUP_ID)
        if version >= 6:
            yield differs("message", got[2]["ErrorMessage"], "Group %s not found." % missing)
        if version >= 3:
            yield differs("operations", got[0]["AuthorizedOperations"], 0xd48)
    each_version(15, check)


def test_list_groups():
    def check(version):
        group, _ = stable()
        alone = fresh()
        commit(7, alone, {0: 1})

        def listed(**more):
            answer = client.call("ListGroups", version, more)
            return {g["GroupId"]: g for g in answer["Groups"]}
        got = listed()
        yield differs("group", got[group]["ProtocolType"], "consumer")
        yield differs("only offsets", got[alone]["ProtocolType"], "")
        if version >= 4:
            yield differs("states", (got[group]["GroupState"], got[alone]["GroupState"]), ("Stable", "Empty"))
            got = listed(StatesFilter=["empty"])
            yield differs("filter", (group in got, alone in got), (False, True))
            yield differs("unknown state", listed(StatesFilter=["Hungry"]), {})
        if version >= 5:
            got = listed(TypesFilter=["classic"])
            yield differs("classic", (group in got, alone in got, got[group]["GroupType"]), (True, True, "classic"))
            yield differs("consumer", group in listed(TypesFilter=["consumer"]), False)
    each_version(16, check)


def test_delete_groups():
    def check(version):
        group, joined = stable()
        alone, missing = fresh(), fresh()
        commit(7, group, {0: 1}, MemberId=joined["MemberId"], GenerationIdOrMemberEpoch=1)
        commit(7, alone, {0: 1, 1: 2})
        answer = client.call("DeleteGroups", version, {"GroupsNames": [group, alone, missing, "", alone]})
        yield differs("answers", {r["GroupId"]: r["ErrorCode"] for r in answer["Results"]},
                      {group: NON_EMPTY_GROUP, alone: NONE, missing: GROUP_ID_NOT_FOUND, "": INVALID_GROUP_ID})
        yield differs("gone", committed(alone, 0, 1), {0: (-1, ""), 1: (-1, "")})
        yield differs("kept", committed(group, 0), {0: (1, "")})
        leave(group, joined)
        answer = client.call("DeleteGroups", version, {"GroupsNames": [group]})
        yield differs("without members", answer["Results"][0]["ErrorCode"], NONE)
        yield differs("its offsets are gone", committed(group, 0), {0: (-1, "")})
        listed = {g["GroupId"] for g in client.call("ListGroups", 4)["Groups"]}
        yield differs("not listed", listed & {group, alone}, set())
    each_version(42, check)


def test_offset_delete():
    def check(version):
        def delete(group, topic="t", partitions=(0,)):
            answer = client.call("OffsetDelete", version, {"GroupId": group, "Topics": [
                {"Name": topic, "Partitions": [{"PartitionIndex": p} for p in partitions]}]})
            return answer["ErrorCode"], [p["ErrorCode"] for t in answer["Topics"] for p in t["Partitions"]]
        group = fresh()
        commit(7, group, {0: 1, 1: 2})
        yield differs("empty group", delete(group, partitions=(0, 2)), (NONE, [NONE, NONE]))
        yield differs("gone", committed(group, 0, 1), {0: (-1, ""), 1: (2, "")})
        yield differs("unknown topic", delete(group, "missing"), (NONE, [UNKNOWN_TOPIC]))
        yield differs("not there", delete(fresh()), (GROUP_ID_NOT_FOUND, []))
        yield differs("no group", delete(""), (INVALID_GROUP_ID, []))
        group, joined = stable()
        for topic in ("t", "u"):
            commit(7, group, {0: 1}, topic=topic, MemberId=joined["MemberId"], GenerationIdOrMemberEpoch=1)
        yield differs("subscribed", delete(group), (NONE, [GROUP_SUBSCRIBED_TO_TOPIC]))
        yield differs("another topic", delete(group, "u"), (NONE, [NONE]))
        yield differs("one is left", (committed(group, 0), committed(group, 0, topic="u")), ({0: (1, "")}, {0: (-1, "")}))
        group, joined = stable(ProtocolType="connect")
        yield differs("no consumers", delete(group), (NON_EMPTY_GROUP, []))
    each_version(47, check)


def heartbeat(version, group, member, epoch, **more):
    body = {"GroupId": group, "MemberId": member, "MemberEpoch": epoch}
    if epoch == 0:
        body.update(RebalanceTimeoutMs=30000, TopicPartitions=[], SubscribedTopicNames=["t"])
    body.update(more)
    return client.call("ConsumerGroupHeartbeat", version, body)


def assigned(answer):
    return {t["TopicId"]: sorted(t["Partitions"]) for t in answer["Assignment"]["TopicPartitions"]} if answer["Assignment"] else None


def test_consumer_group_heartbeat():
    ids = {"t": topic_id("t"), "u": topic_id("u")}

    def check(version):
        group, member = fresh(), str(uuid.uuid4())
        got = heartbeat(version, group, member if version >= 1 else "", 0)
        yield differs("joins", (got["ErrorCode"], got["ErrorMessage"], bool(got["MemberId"]), got["MemberEpoch"]), (NONE, None, True, 1))
        yield differs("interval", got["HeartbeatIntervalMs"], 5000)
        yield differs("all partitions", assigned(got), {ids["t"]: [0, 1, 2]})
        member = got["MemberId"]
        got = heartbeat(version, group, member, 1, TopicPartitions=[{"TopicId": ids["t"], "Partitions": [0, 1, 2]}])
        yield differs("nothing new", (got["ErrorCode"], got["MemberEpoch"], got["Assignment"]), (NONE, 1, None))
        yield differs("unknown", heartbeat(version, group, str(uuid.uuid4()), 5)["ErrorCode"], UNKNOWN_MEMBER_ID)
        yield differs("epoch", heartbeat(version, group, member, 9)["ErrorCode"], FENCED_MEMBER_EPOCH)
        # of a group that is not there (any more: a restart) its members are to join again, which GROUP_ID_NOT_FOUND would not make them do
        yield differs("no group", heartbeat(version, fresh(), member, 3)["ErrorCode"], UNKNOWN_MEMBER_ID)
        yield differs("assignor", heartbeat(version, fresh(), member, 0, ServerAssignor="best")["ErrorCode"], UNSUPPORTED_ASSIGNOR)
        yield differs("empty id", heartbeat(version, "", member, 0)["ErrorCode"], INVALID_REQUEST)
        ranged = heartbeat(version, fresh(), member, 0, ServerAssignor="range", SubscribedTopicNames=["t", "u"])
        yield differs("range", assigned(ranged), {ids["t"]: [0, 1, 2], ids["u"]: [0]})
        yield differs("leaves", (heartbeat(version, group, member, -1)["ErrorCode"]), NONE)
    each_version(68, check)

    regexes = [("(t|u)", ["t", "u"]), ("[tu]", ["t", "u"]), ("^t$", ["t"]), (".*", ["t", "u"]), ("x+", []), ("(?i)T", ["t"]), ("\\Qt\\E|x", ["t"]),
               ("(?P<name>u)", ["u"]), ("\\x74", ["t"])]
    for regex, names in regexes:
        group, member = fresh(), str(uuid.uuid4())
        got = heartbeat(1, group, member, 0, SubscribedTopicNames=None, SubscribedTopicRegex=regex)
        found = assigned(got)
        if got["ErrorCode"] == NONE and found is not None and set(found) != {ids[n] for n in names}:
            found = assigned(heartbeat(1, group, member, got["MemberEpoch"]))
        tap.equal((got["ErrorCode"], sorted(found or [])), (NONE, sorted(ids[n] for n in names)), "regular expression %s" % regex)
    for regex in ("(", "[a", "a**", "(?=t)t", "\\1", "(t)\\1", "a{9999}", "\\p{Greek}", "x" * 10000):
        got = heartbeat(1, fresh(), str(uuid.uuid4()), 0, SubscribedTopicNames=None, SubscribedTopicRegex=regex)
        tap.ok(got["ErrorCode"] == INVALID_REGULAR_EXPRESSION and got["ErrorMessage"], "%.20s is no regular expression" % regex)


def test_consumer_group_describe():
    def check(version):
        group, member = fresh(), str(uuid.uuid4())
        heartbeat(1, group, member, 0, RackId="r1")
        classic, missing = stable()[0], fresh()
        body = {"GroupIds": [group, classic, missing, ""], "IncludeAuthorizedOperations": True}
        got = client.call("ConsumerGroupDescribe", version, body)["Groups"]
        one = got[0]
        yield differs("group", (one["ErrorCode"], one["GroupState"], one["GroupEpoch"], one["AssignmentEpoch"], one["AssignorName"]),
                      (NONE, "Stable", 1, 1, "uniform"))
        yield differs("member", [(m["MemberId"], m["RackId"], m["MemberEpoch"], m["ClientId"], m["ClientHost"], m["SubscribedTopicNames"])
                                 for m in one["Members"]], [(member, "r1", 1, "raw", "/127.0.0.1", ["t"])])
        yield differs("assignment", [(t["TopicName"], sorted(t["Partitions"])) for t in one["Members"][0]["Assignment"]["TopicPartitions"]],
                      [("t", [0, 1, 2])])
        yield differs("target", [t["TopicName"] for t in one["Members"][0]["TargetAssignment"]["TopicPartitions"]], ["t"])
        if version >= 1:
            yield differs("type", one["Members"][0]["MemberType"], 1)
        yield differs("others", [g["ErrorCode"] for g in got[1:]], [GROUP_ID_NOT_FOUND, GROUP_ID_NOT_FOUND, INVALID_GROUP_ID])
        yield differs("operations", one["AuthorizedOperations"], 0xd48)
        old = client.call("DescribeGroups", 6, {"Groups": [group]})["Groups"][0]
        yield differs("DescribeGroups", old["ErrorCode"], GROUP_ID_NOT_FOUND)
        listed = {g["GroupId"]: g["GroupType"] for g in client.call("ListGroups", 5)["Groups"]}
        yield differs("ListGroups", (listed[group], listed[classic]), ("consumer", "classic"))
    each_version(69, check)


def test_consumer_offsets():
    """commits and fetches of members of the consumer protocol are fenced by their epoch"""
    group, member = fresh(), str(uuid.uuid4())
    heartbeat(1, group, member, 0)
    me = {"MemberId": member, "GenerationIdOrMemberEpoch": 1}
    tap.equal(commit(9, group, {0: 4}, **me), {0: NONE}, "a member commits")
    tap.equal(commit(9, group, {0: 5}, **{**me, "GenerationIdOrMemberEpoch": 0}), {0: 113}, "with an old epoch: STALE_MEMBER_EPOCH")
    tap.equal(commit(9, group, {0: 5}, **{**me, "MemberId": "x"}), {0: UNKNOWN_MEMBER_ID}, "a stranger does not")

    def fetched(**more):
        answer = client.call("OffsetFetch", 9, {"Groups": [{"GroupId": group, "Topics": [{"Name": "t", "PartitionIndexes": [0]}], **more}]})
        one = answer["Groups"][0]
        return one["ErrorCode"], [p["CommittedOffset"] for t in one["Topics"] for p in t["Partitions"]]
    tap.equal(fetched(MemberId=member, MemberEpoch=1), (NONE, [4]), "a member is told")
    tap.equal(fetched(MemberId=member, MemberEpoch=0), (113, []), "not with an old epoch")
    tap.equal(fetched(MemberId="x", MemberEpoch=1), (UNKNOWN_MEMBER_ID, []), "a stranger is not")
    tap.equal(fetched(), (NONE, [4]), "an admin is")
    answer = client.call("OffsetDelete", 0, {"GroupId": group, "Topics": [
        {"Name": n, "Partitions": [{"PartitionIndex": 0}]} for n in ("t", "u")]})
    tap.equal([t["Partitions"][0]["ErrorCode"] for t in answer["Topics"]], [GROUP_SUBSCRIBED_TO_TOPIC, NONE], "subscribed topics keep offsets")
    tap.equal(client.call("DeleteGroups", 2, {"GroupsNames": [group]})["Results"][0]["ErrorCode"], NON_EMPTY_GROUP, "it is not deleted")


def test_group_configs():
    """what a group has of its own is what its members are told"""
    group, member = fresh(), str(uuid.uuid4())

    def set_interval(value):
        answer = client.call("IncrementalAlterConfigs", 1, {"Resources": [{"ResourceType": 32, "ResourceName": group, "Configs": [
            {"Name": "consumer.heartbeat.interval.ms", "ConfigOperation": 0 if value else 1, "Value": value}]}]})
        return answer["Responses"][0]["ErrorCode"]
    tap.equal(set_interval("7000"), NONE, "IncrementalAlterConfigs of a group")
    got = heartbeat(1, group, member, 0)
    tap.equal(got["HeartbeatIntervalMs"], 7000, "a member is told")
    tap.equal(set_interval(None), NONE, "back to the default")
    time.sleep(0.3)     # those who ask for no topics hear of changes with a delay
    tap.equal(heartbeat(1, group, member, got["MemberEpoch"])["HeartbeatIntervalMs"], 5000, "it is told that, too")


def test_rebalance():
    """two members on two connections: calls are parked and answered together"""
    group, first = stable()
    with raw.Client(server.bootstrap, timeout=20) as other:
        answer = other.call("JoinGroup", 9, join_body(group))
        second = answer["MemberId"]
        other.send("JoinGroup", 9, join_body(group, second))
        time.sleep(0.2)
        got = client.call("Heartbeat", 4, {"GroupId": group, "GenerationId": 1, "MemberId": first["MemberId"]})
        tap.equal(got["ErrorCode"], REBALANCE_IN_PROGRESS, "the first hears of it")
        again = join(group, first["MemberId"])
        answer = other.receive("JoinGroup", 9)
        tap.equal((again["ErrorCode"], again["GenerationId"], len(again["Members"])), (NONE, 2, 2), "the leader gets all members")
        tap.equal((answer["ErrorCode"], answer["GenerationId"], answer["Members"]), (NONE, 2, []), "the other none")
        other.send("SyncGroup", 5, {"GroupId": group, "GenerationId": 2, "MemberId": second})
        time.sleep(0.2)
        client.call("SyncGroup", 5, {"GroupId": group, "GenerationId": 2, "MemberId": first["MemberId"], "Assignments": [
            {"MemberId": first["MemberId"], "Assignment": b"one"}, {"MemberId": second, "Assignment": b"two"}]})
        tap.equal(other.receive("SyncGroup", 5)["Assignment"], b"two", "what the leader gave it")
        tap.equal(other.call("JoinGroup", 9, join_body(group, second, Protocols=[{"Name": "odd", "Metadata": b""}]))["ErrorCode"],
                  INCONSISTENT_GROUP_PROTOCOL, "protocols must have one in common")
        # a parked call whose connection goes away harms nobody
        other.send("JoinGroup", 9, join_body(group, second))
        time.sleep(0.2)
    tap.equal(leave(group, {"MemberId": second}), NONE, "the other leaves by the hand of a third")
    again = join(group, first["MemberId"])
    tap.equal((again["ErrorCode"], len(again["Members"])), (NONE, 1), "and one member is left")


def test_sql():
    """a group is used by SQL sessions or by Kafka members"""
    group, joined = stable()
    client.call("Produce", 9, {"Acks": -1, "TimeoutMs": 1000, "TopicData": [{"Name": "t", "PartitionData": [
        {"Index": 0, "Records": raw.Batch([("k", "v")]).encode()}]}]})
    try:
        server.sql("SELECT count(*) FROM consume('t', '%s')" % group)
        tap.ok(False, "consume() refuses a group with members")
    except pg.SqlError as problem:
        tap.ok("55006" in str(problem) or "use" in str(problem), "consume() refuses a group with members")
    leave(group, joined)
    session = server.session()
    tap.equal(session.sql("BEGIN; SELECT count(*) FROM consume('t', '%s')" % group).split()[-1], "1", "not one whose members have left")
    tap.equal(join(group)["ErrorCode"], INCONSISTENT_GROUP_PROTOCOL, "JoinGroup refuses a group that SQL uses")
    got = heartbeat(1, group, str(uuid.uuid4()), 0)
    tap.ok(got["ErrorCode"] == INCONSISTENT_GROUP_PROTOCOL and "SQL" in got["ErrorMessage"], "so does ConsumerGroupHeartbeat")
    tap.equal(commit(7, group, {0: 0}), {0: UNKNOWN_MEMBER_ID}, "and a commit from outside")
    got = client.call("DescribeGroups", 6, {"Groups": [group]})["Groups"][0]
    tap.equal((got["ErrorCode"], got["GroupState"], got["Members"]), (NONE, "Stable", []), "it is described as stable")
    listed = {g["GroupId"]: g["GroupState"] for g in client.call("ListGroups", 4)["Groups"]}
    tap.equal(listed.get(group), "Stable", "and listed")
    tap.equal(client.call("DeleteGroups", 2, {"GroupsNames": [group]})["Results"][0]["ErrorCode"], NON_EMPTY_GROUP, "it is not deleted")
    session.sql("COMMIT")
    session.close()
    tap.equal(committed(group, 0), {0: (1, "")}, "what SQL committed is there")
    tap.equal(join(group)["ErrorCode"], NONE, "then a member may join")


def test_restart():
    """a new coordinator knows no members: they are told so, and SQL may use the group"""
    group, joined = stable()
    other, member = fresh(), str(uuid.uuid4())
    heartbeat(1, other, member, 0)
    for pid in server.worker_pids("pgtopic control"):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 30
    got = None
    while got is None and time.monotonic() < deadline:
        try:
            got = server.sql("SELECT count(*) FROM consume('t', '%s')" % group)
        except pg.SqlError:
            time.sleep(0.1)
    tap.ok(got is not None, "SQL may use the group")
    reconnect()
    answer = client.call("Heartbeat", 4, {"GroupId": group, "GenerationId": 1, "MemberId": joined["MemberId"]})
    tap.equal(answer["ErrorCode"], UNKNOWN_MEMBER_ID, "a classic member hears that it is none")
    tap.equal(heartbeat(1, other, member, 1)["ErrorCode"], UNKNOWN_MEMBER_ID, "so does one of the consumer protocol")
    tap.equal(heartbeat(1, other, member, 0)["ErrorCode"], NONE, "and joins again")


def test_hostile_names():
    """names that are no names get INVALID_GROUP_ID; odd ones work and leave no trace in the log"""
    def text(name):
        return name if isinstance(name, bytes) else name.encode()
    bad = [b"", b"\xff\xfe", b"a\x00b", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"]
    for name in bad:
        got = [client.call("JoinGroup", 9, join_body(name))["ErrorCode"],
               client.call("Heartbeat", 4, {"GroupId": name, "MemberId": "x"})["ErrorCode"],
               client.call("SyncGroup", 3, {"GroupId": name, "MemberId": "x"})["ErrorCode"],
               client.call("LeaveGroup", 0, {"GroupId": name, "MemberId": "x"})["ErrorCode"],
               commit(7, name, {0: 1})[0]]
        tap.equal(set(got), {INVALID_GROUP_ID}, "%r is refused" % name)
    odd = ["line\nbreak", "tab\t'quote\";--", "x" * 4096, "x" * 32767, "\u00fc\u4e2d\U0001f600", "%s%n", "../../etc"]
    for name in odd:
        joined = join(name)
        good = joined["ErrorCode"] == NONE and commit(7, name, {0: 1}, MemberId=joined["MemberId"], GenerationIdOrMemberEpoch=1) == {0: 27}
        sync(name, joined)
        good = good and commit(7, name, {0: 1}, MemberId=joined["MemberId"], GenerationIdOrMemberEpoch=1) == {0: NONE}
        good = good and committed(name, 0) == {0: (1, "")} and leave(name, joined) == NONE
        good = good and name in {g["GroupId"] for g in client.call("ListGroups", 4)["Groups"]}
        good = good and client.call("DeleteGroups", 2, {"GroupsNames": [name]})["Results"][0]["ErrorCode"] == NONE
        tap.ok(good, "%.12r works" % name)
    log = server.log_text()
    tap.ok("xxxxxxxx" not in log and "etc" not in log and "\u4e2d" not in log, "the log does not know them")


def test_zero_bytes():
    """a zero byte is a byte: names that hold one are cut nowhere, and name no topic that is called like their beginning"""
    group, joined = stable(GroupInstanceId="one\0two")
    what = {"MemberId": joined["MemberId"], "GenerationIdOrMemberEpoch": 1, "GroupInstanceId": "one\0two"}
    tap.equal(commit(7, group, {0: (5, "m")}, **what), {0: NONE}, "a member whose instance id holds one commits")
    tap.equal(commit(7, group, {0: (6, "m")}, **{**what, "GroupInstanceId": "one"}), {0: UNKNOWN_MEMBER_ID}, "its beginning is another instance")
    for name in ("t\0", "t\0x", "\0", "\0t", "x" * 249 + "\0"):
        tap.equal(commit(7, group, {0: (9, "m")}, topic=name, **what), {0: UNKNOWN_TOPIC}, "%.8r: OffsetCommit" % name)
        tap.equal(committed(group, 0, topic=name), {0: (-1, "")}, "%.8r: OffsetFetch" % name)
        answer = client.call("Metadata", 9, {"Topics": [{"Name": name}], "AllowAutoTopicCreation": True})["Topics"][0]
        tap.equal((answer["ErrorCode"], answer["Name"], answer["Partitions"]), (INVALID_TOPIC, name, []), "%.8r: Metadata" % name)
        answer = client.call("Produce", 9, {"Acks": -1, "TimeoutMs": 5000, "TopicData": [
            {"Name": name, "PartitionData": [{"Index": 0, "Records": raw.Batch([(None, "zero bytes")]).encode()}]}]})["Responses"][0]
        tap.equal((answer["Name"], answer["PartitionResponses"][0]["ErrorCode"]), (name, UNKNOWN_TOPIC), "%.8r: Produce" % name)
        answer = client.call("OffsetDelete", 0, {"GroupId": group, "Topics": [{"Name": name, "Partitions": [{"PartitionIndex": 0}]}]})
        tap.equal([p["ErrorCode"] for t in answer["Topics"] for p in t["Partitions"]], [UNKNOWN_TOPIC], "%.8r: OffsetDelete" % name)
    tap.equal(committed(group, 0), {0: (5, "m")}, "what was committed is untouched")
    tap.equal(server.sql("SELECT count(*) FROM topics.t WHERE value = 'zero bytes'"), "0", "and nothing was produced")

    data = b"\0assigned\0" + bytes(range(256))
    tap.equal(sync(group, joined, data)["Assignment"], b"mine", "the assignment stands")
    other = fresh()
    joined = join(other, GroupInstanceId="\0", Protocols=[{"Name": "a\0b", "Metadata": b"\0" + data}], ProtocolType="k\0x")
    tap.equal((joined["ProtocolType"], joined["ProtocolName"]), ("k\0x", "a\0b"), "a protocol with a zero byte in its name")
    tap.equal(joined["Members"][0]["Metadata"], b"\0" + data, "the leader gets all of the metadata")
    tap.equal(sync(other, joined, data)["Assignment"], data, "the member gets all of the assignment")
    described = client.call("DescribeGroups", 4, {"Groups": [other]})["Groups"][0]
    member = described["Members"][0]
    tap.equal((described["ProtocolType"], described["ProtocolData"], member["GroupInstanceId"], member["MemberMetadata"], member["MemberAssignment"]),
              ("k\0x", "a\0b", "\0", b"\0" + data, data), "so do those who describe the group")
    tap.equal(server.sql("SELECT count(*) FROM group_members WHERE group_id IN ('%s', '%s')" % (group, other)), "2", "and the view")

    answer = client.call("ConsumerGroupHeartbeat", 0, {"GroupId": fresh(), "MemberId": "", "MemberEpoch": 0, "RebalanceTimeoutMs": 30000,
                                                       "SubscribedTopicNames": ["t"], "ServerAssignor": "uniform\0x", "TopicPartitions": []})
    tap.equal(answer["ErrorCode"], UNSUPPORTED_ASSIGNOR, "an assignor is not known by its beginning")
    with raw.Client(server.bootstrap, client_id="a\0b") as odd:
        answer = odd.call("JoinGroup", 9, join_body(fresh()))
        tap.ok(answer["MemberId"].startswith("a?b-"), "a client id with a zero byte")


def test_topic_made_again():
    """what was committed in a topic that is gone is not shown as an offset in a new one of its name"""
    group = fresh()
    server.sql("SELECT create_topic('again', partitions => 2)")
    tap.equal(commit(7, group, {0: 3, 1: 4}, topic="again"), {0: NONE, 1: NONE}, "offsets in two partitions")
    server.sql("SELECT drop_topic('again')")
    server.sql("SELECT create_topic('again', partitions => 2)")
    tap.equal(commit(7, group, {0: 1}, topic="again"), {0: NONE}, "an offset in the first of the new topic")
    answer = client.call("OffsetFetch", 7, {"GroupId": group, "Topics": None})
    tap.equal([(t["Name"], p["PartitionIndex"], p["CommittedOffset"]) for t in answer["Topics"] for p in t["Partitions"]],
              [("again", 0, 1)], "OffsetFetch of all topics has no more than that")
    tap.equal(committed(group, 0, 1, topic="again"), {0: (1, ""), 1: (-1, "")}, "nor has one by name")


def test_matrix():
    for name, versions in sorted(ran.items()):
        tap.note("%-24s %s" % (name, " ".join(str(v) for v in versions)))
    tap.equal(ran, {NAMES[k]: list(range(first, last + 1)) for k, (first, last) in EXPECTED.items()}, "each advertised version was tried")


def main():
    global server
    pg.demote()
    server = pg.Cluster(settings={"pgtopic.group_initial_rebalance_delay": 0}).init().start()
    server.sql("CREATE EXTENSION pgtopic")
    server.sql("SELECT create_topic('t', partitions => 3), create_topic('u')")
    server.wait_listener()
    reconnect()
    tap.main([test_advertised, test_find_coordinator, test_join_group, test_sync_group, test_heartbeat, test_leave_group, test_offset_commit,
              test_offset_fetch, test_describe_groups, test_list_groups, test_delete_groups, test_offset_delete,
              test_consumer_group_heartbeat, test_consumer_group_describe, test_consumer_offsets, test_group_configs, test_rebalance, test_sql, test_restart,
              test_hostile_names, test_zero_bytes, test_topic_made_again, test_matrix])


main()
