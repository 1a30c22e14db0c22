#!/usr/bin/env python3
"""A regular expression of a consumer finds the topics that its role may describe, and no others.

Members of one group with different roles find different topics by the same expression.  GRANT and REVOKE count for members
that are there already."""

import os
import sys
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
import cluster as pg   # noqa: E402
import raw             # noqa: E402
import rawtest         # noqa: E402
import sasl            # noqa: E402
import tap             # noqa: E402

server = None
names = {}              # of topics, by id

SECRET = "a secret"
SUBSCRIBED = 86

SETUP = """
CREATE EXTENSION pgtopic;
CREATE ROLE alice LOGIN PASSWORD '{0}'; CREATE ROLE bob LOGIN PASSWORD '{0}'; CREATE ROLE boss LOGIN PASSWORD '{0}' IN ROLE pgtopic_admin;
GRANT USAGE ON SCHEMA topics TO PUBLIC;
SELECT create_topic(name, 2) FROM unnest(ARRAY['r.open', 'r.alice', 'r.secret', 'other']) AS name;
GRANT SELECT ON topics."r.open" TO alice, bob;
GRANT REFERENCES ON topics."r.alice" TO alice;
"""


class Member:
    """A member with the consumer protocol, as a role.  It gives up at once what it is told to."""

    def __init__(self, role, group, regex):
        self.client = raw.Client(server.bootstrap, timeout=60)
        sasl.log_in(self.client, "SCRAM-SHA-256", role, SECRET)
        self.id = "member-of-%s-%d" % (role, id(self))
        self.group = group
        self.epoch = 0
        self.has = {}
        self.beat(SubscribedTopicRegex=regex, RebalanceTimeoutMs=30000, TopicPartitions=[], SubscribedTopicNames=None)

    def beat(self, **said):
        body = {"GroupId": self.group, "MemberId": self.id, "MemberEpoch": self.epoch, "InstanceId": None, "RackId": None,
                "RebalanceTimeoutMs": -1, "SubscribedTopicNames": None, "SubscribedTopicRegex": None, "ServerAssignor": None,
                "TopicPartitions": [{"TopicId": topic, "Partitions": parts} for topic, parts in self.has.items()] if self.epoch > 0 else None}
        answer = self.client.call("ConsumerGroupHeartbeat", 1, dict(body, **said))
        if answer["ErrorCode"] != 0:
            return answer["ErrorCode"]
        self.epoch = answer["MemberEpoch"]
        if answer["Assignment"] is not None:
            self.has = {part["TopicId"]: part["Partitions"] for part in answer["Assignment"]["TopicPartitions"]}
        return 0

    def topics(self):
        return " ".join(sorted({names.get(topic, "?") for topic in self.has}))

    def leave(self):
        self.beat(MemberEpoch=-1)
        self.client.close()


def learn_names():
    for row in server.sql("SELECT topic, id FROM list_topics()").splitlines():
        topic, number = row.split("|")
        names[uuid.UUID(number)] = topic


def settles(wanted, what):
    """Members beat until each has the topics that it should; {member: names}."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for member in wanted:
            member.beat()
        if all(member.topics() == topics for member, topics in wanted.items()):
            break
        time.sleep(0.02)
    for member, topics in wanted.items():
        tap.equal(member.topics(), topics, what)


def all_had(topics, *members):
    """They beat.  Do they have all partitions of these topics between them, each once?"""
    for member in members:
        member.beat()
    return sorted((names[topic], part) for member in members for topic, parts in member.has.items() for part in parts) == \
        [(topic, part) for topic in topics.split() for part in (0, 1)]


def together(topics, *members, but=lambda: True):
    deadline = time.monotonic() + 60
    while not (all_had(topics, *members) and but()) and time.monotonic() < deadline:
        time.sleep(0.02)
    tap.ok(all_had(topics, *members) and but(), "members have %s between them" % topics)


def test_start():
    global server
    server = pg.Cluster(settings={"pgtopic.failed_login_delay": 1})
    server.settings["pgtopic.listeners"] = "SASL_PLAINTEXT://" + server.bootstrap
    server.init()
    with open(server.data + "/pg_hba.conf", "w", encoding="utf8") as f:
        f.write("local all all trust\nhost all all all scram-sha-256\n")
    server.start()
    server.sql(SETUP.format(SECRET))
    server.wait_listener()
    learn_names()


def test_alone():
    """one member"""
    for role, want in [("alice", "r.alice r.open"), ("bob", "r.open"), ("boss", "r.alice r.open r.secret")]:
        member = Member(role, "alone of " + role, "r.*")
        settles({member: want}, "%s finds what it may describe" % role)
        member.leave()
    member = Member("bob", "exact", "r\\.secret")
    settles({member: ""}, "a topic that the role may not describe is not found by its name, either")
    member.leave()


def test_together():
    """members of one group, with one expression"""
    bob = Member("bob", "together", "r.*")
    alice = Member("alice", "together", "r.*")
    boss = Member("boss", "together", "r.*")
    together("r.alice r.open r.secret", bob, alice, boss)
    tap.ok(bob.topics() in ("", "r.open") and "r.secret" not in alice.topics(),
           "each has what it may describe (%s; %s; %s)" % (bob.topics(), alice.topics(), boss.topics()))
    alice.leave()
    boss.leave()
    settles({bob: "r.open"}, "who stays gets no more than that")
    bob.leave()


def test_changes():
    """GRANT, REVOKE, and memberships"""
    bob = Member("bob", "changes", "r.*")
    settles({bob: "r.open"}, "at first")
    server.sql("GRANT INSERT ON topics.\"r.secret\" TO bob")
    settles({bob: "r.open r.secret"}, "GRANT")
    server.sql("REVOKE INSERT ON topics.\"r.secret\" FROM bob")
    settles({bob: "r.open"}, "REVOKE")
    server.sql("GRANT alice TO bob")
    settles({bob: "r.alice r.open"}, "GRANT of a role")
    boss = Member("boss", "changes", "r\\.open|r\\.alice")
    together("r.alice r.open", bob, boss)
    server.sql("REVOKE alice FROM bob")
    together("r.alice r.open", bob, boss, but=lambda: "r.alice" not in bob.topics())
    bob.leave()
    boss.leave()


def test_offset_delete():
    """OffsetDelete knows what a member's expression finds"""
    server.sql("SELECT commit_offsets('od', 'r.secret:0', 0), commit_offsets('od', 'r.open:0', 0)")
    server.sql("SELECT grant_kafka_acl('group', 'od', 'READ', 'bob')")
    bob = Member("bob", "od", "r.*")
    settles({bob: "r.open"}, "a member")
    with raw.Client(server.bootstrap, timeout=60) as client:
        sasl.log_in(client, "SCRAM-SHA-256", "boss", SECRET)
        answer = client.call("OffsetDelete", 0, {"GroupId": "od", "Topics": [{"Name": name, "Partitions": [{"PartitionIndex": 0}]}
                                                                             for name in ("r.open", "r.secret")]})
        tap.equal([topic["Partitions"][0]["ErrorCode"] for topic in answer["Topics"]], [SUBSCRIBED, 0],
                  "offsets of a topic that no member may find can go")
    bob.leave()


if __name__ == "__main__":
    pg.demote()
    rawtest.need_clients()
    tap.main([test_start, test_alone, test_together, test_changes, test_offset_delete])
