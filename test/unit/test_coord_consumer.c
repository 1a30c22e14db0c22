/*-------------------------------------------------------------------------
 *
 * test_coord_consumer.c
 *	  Consumer groups of KIP-848: what a heartbeat is answered in which state.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
/* sources: src/coord/?*.c */
#include "coord_consumer.h"

static void
test_one_member(void)
{
	fresh(3, 2);
	CHECK_ASSIGNED(join("a", "t0 t1"), 1, "t0:0,1,2 t1:0,1");
	CHECK_TEXT(answer.member, "a");
	CHECK_INT(answer.interval, 5000);
	CHECK_INT(state(), COORD_STABLE);
	CHECK_INT(kind(), COORD_KIND_CONSUMER);
	CHECK_QUIET(beat("a", 1, NULL), 1);
	CHECK_QUIET(beat("a", 1, "t0:0,1,2 t1:0,1"), 1);

	/* A full heartbeat is told everything. */
	CHECK_ASSIGNED(beat_full("a", NULL, 1, "t0 t1", NULL, "", NULL, REBALANCE), 1, "t0:0,1,2 t1:0,1");
	leave("a", NULL, -1);
	CHECK_INT(answer.error, COORD_NONE);
	CHECK_INT(answer.epoch, -1);
	CHECK_INT(state(), COORD_EMPTY);
	CHECK_ERROR(beat("a", 1, NULL), COORD_UNKNOWN_MEMBER_ID, "Member a is not a member of group g.");
}

/* A partition changes hands: the old owner is told, says so, the new one gets it. */
static void
test_hand_over(void)
{
	fresh(4, AWAY);
	CHECK_ASSIGNED(join("a", "t0"), 1, "t0:0,1,2,3");
	CHECK_ASSIGNED(join("b", "t0"), 2, "");
	CHECK_INT(state(), COORD_RECONCILING);
	CHECK_QUIET(beat("b", 2, ""), 2);

	/* a keeps its epoch while it has partitions to give up. */
	CHECK_ASSIGNED(beat("a", 1, NULL), 1, "t0:0,1");
	CHECK_QUIET(beat("b", 2, NULL), 2);
	CHECK_QUIET(beat("a", 1, "t0:0,1,2,3"), 1);
	CHECK_QUIET(beat("a", 1, "t0:0,1,3"), 1);
	CHECK_QUIET(beat("b", 2, NULL), 2);
	CHECK_QUIET(beat("a", 1, "t0:0,1"), 2);
	CHECK_ASSIGNED(beat("b", 2, NULL), 2, "t0:2,3");
	CHECK_INT(state(), COORD_STABLE);
}

/* What a member no longer subscribes to it loses, and only then somebody else gets it. */
static void
test_subscription(void)
{
	fresh(2, 2);
	join("a", "t0 t1");
	CHECK_ASSIGNED(beat_full("a", NULL, 1, "t1", NULL, NULL, NULL, -1), 1, "t1:0,1");
	CHECK_QUIET(beat("a", 1, "t1:0,1"), 2);
	CHECK_QUIET(beat_full("a", NULL, 2, "t1 t1", NULL, NULL, NULL, -1), 2);
	CHECK_ASSIGNED(beat_full("a", NULL, 2, "t0 t1", NULL, NULL, NULL, -1), 3, "t0:0,1 t1:0,1");

	/* To nothing at all: still a member. */
	CHECK_ASSIGNED(beat_full("a", NULL, 3, "", NULL, "", NULL, -1), 4, "");
	CHECK_INT(state(), COORD_STABLE);
	CHECK_ASSIGNED(join("b", ""), 5, "");
}

static void
test_regex(void)
{
	fresh(2, 1);
	CHECK_ERROR(beat_full("a", NULL, 0, NULL, "t1(", "", NULL, REBALANCE), COORD_INVALID_REGULAR_EXPRESSION,
				"SubscribedTopicRegex `t1(` is not a valid regular expression: it has no end.");
	CHECK_INT(state(), COORD_DEAD);
	CHECK_ASSIGNED(beat_full("a", NULL, 0, NULL, "t1.*", "", NULL, REBALANCE), 1, "t1:0");
	partitions[12] = 2;
	topics_tell();
	CHECK_INT(state(), COORD_ASSIGNING);
	CHECK_ASSIGNED(beat("a", 1, NULL), 2, "t1:0 t12:0,1");

	/* Names beside the expression. */
	CHECK_ASSIGNED(beat_full("a", NULL, 2, "t0 t1", NULL, NULL, NULL, -1), 3, "t0:0,1 t1:0 t12:0,1");
	/* The empty one is none. */
	CHECK_ASSIGNED(beat_full("a", NULL, 3, NULL, "", NULL, NULL, -1), 3, "t0:0,1 t1:0");
	CHECK_QUIET(beat("a", 3, "t0:0,1 t1:0"), 4);
	/* A topic that it does not match is nobody's business. */
	partitions[7] = 3;
	topics_tell();
	CHECK_QUIET(beat("a", 4, NULL), 4);
	/* Without an engine there are none. */
	config.regex_valid = NULL;
	coord_configure(groups, &config);
	CHECK_INT(beat_full("a", NULL, 4, NULL, "t.*", NULL, NULL, -1)->error, COORD_INVALID_REGULAR_EXPRESSION);
}

/* What a regular expression finds depends on who has said it. */
static void
test_viewers(void)
{
	fresh(2, 1);
	hidden = "t1";
	CHECK_ASSIGNED(beat_full("a", NULL, 0, NULL, "t.*", "", NULL, REBALANCE), 1, "t0:0,1 t1:0");
	viewer = 1;
	CHECK_ASSIGNED(beat_full("b", NULL, 0, NULL, "t.*", "", NULL, REBALANCE), 2, "");
	CHECK_ASSIGNED(beat("a", 1, NULL), 1, "t0:0 t1:0");
	CHECK_QUIET(beat("a", 1, "t0:0 t1:0"), 2);
	CHECK_ASSIGNED(beat("b", 2, NULL), 2, "t0:1");

	/* b is not to get t1 when it is alone. */
	viewer = 0;
	(void) beat("a", -1, NULL);
	CHECK_ASSIGNED(beat("b", 2, NULL), 3, "t0:0,1");
	/* Now it may see t1: the topics are the same, what it finds is not. */
	hidden = NULL;
	topics_tell();
	CHECK_INT(state(), COORD_ASSIGNING);
	CHECK_ASSIGNED(beat("b", 3, NULL), 4, "t0:0,1 t1:0");
	/* And now it may not any more, while another one still has t0. */
	CHECK_ASSIGNED(beat_full("c", NULL, 0, NULL, "t1.*", "", NULL, REBALANCE), 5, "");
	hidden = "t1";
	topics_tell();
	CHECK_INT(state(), COORD_ASSIGNING);
	CHECK_ASSIGNED(beat("b", 4, NULL), 4, "t0:0,1");
	CHECK_QUIET(beat("b", 4, "t0:0,1"), 6);
	CHECK_ASSIGNED(beat("c", 5, NULL), 6, "t1:0");

	/* A heartbeat by another one changes nothing, until he says the expression. */
	CHECK_QUIET(beat("b", 6, "t0:0,1"), 6);
	CHECK_QUIET(beat_full("b", NULL, 6, NULL, "t.*", NULL, NULL, -1), 7);
}

static void
test_topics(void)
{
	fresh(2, AWAY);
	/* A topic that does not exist yet. */
	CHECK_ASSIGNED(join("a", "t0 t1"), 1, "t0:0,1");
	partitions[1] = 1;
	topics_tell();
	CHECK_ASSIGNED(beat("a", 1, NULL), 2, "t0:0,1 t1:0");
	partitions[0] = 3;
	topics_tell();
	CHECK_ASSIGNED(beat("a", 2, NULL), 3, "t0:0,1,2 t1:0");
	topics_tell();
	CHECK_QUIET(beat("a", 3, NULL), 3);

	/* Dropped: taken away, then let go. */
	partitions[1] = AWAY;
	topics_tell();
	CHECK_ASSIGNED(beat("a", 3, NULL), 3, "t0:0,1,2");
	CHECK_QUIET(beat("a", 3, "t0:0,1,2"), 4);

	/* Dropped and made again at once: another topic. */
	incarnation[0]++;
	topics_tell();
	CHECK_ASSIGNED(beat("a", 4, NULL), 4, "");
	CHECK_ASSIGNED(beat("a", 4, ""), 5, "t0:0,1,2");
	incarnation[0] = 0;
}

static void
test_validation(void)
{
	CoordEvent	event;

	fresh(2, AWAY);
	CHECK_ERROR(join("", "t0"), COORD_INVALID_REQUEST, "MemberId can't be empty.");
	CHECK_ERROR(join(" ", "t0"), COORD_INVALID_REQUEST, "MemberId can't be empty.");
	CHECK_ERROR(join_static("a", "", "t0"), COORD_INVALID_REQUEST, "InstanceId can't be empty.");
	CHECK_ERROR(beat_full("a", NULL, 0, "t0", NULL, "", NULL, -1), COORD_INVALID_REQUEST,
				"RebalanceTimeoutMs must be provided in first request.");
	CHECK_ERROR(beat_full("a", NULL, 0, "t0", NULL, NULL, NULL, REBALANCE), COORD_INVALID_REQUEST,
				"TopicPartitions must be empty when (re-)joining.");
	CHECK_ERROR(beat_full("a", NULL, 0, "t0", NULL, "t0:1", NULL, REBALANCE), COORD_INVALID_REQUEST,
				"TopicPartitions must be empty when (re-)joining.");
	CHECK_ERROR(beat_full("a", NULL, 0, NULL, NULL, "", NULL, REBALANCE), COORD_INVALID_REQUEST,
				"Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.");
	CHECK_ERROR(beat_full("a", NULL, 0, "t0", NULL, "", "best", REBALANCE), COORD_UNSUPPORTED_ASSIGNOR,
				"ServerAssignor best is not supported. Supported assignors: uniform, range.");
	CHECK_ERROR(beat("a", -3, NULL), COORD_INVALID_REQUEST, "MemberEpoch is invalid.");
	CHECK_ERROR(leave("a", NULL, -2), COORD_INVALID_REQUEST, "InstanceId can't be null.");
	CHECK_ERROR(leave("a", NULL, -1), COORD_GROUP_ID_NOT_FOUND, "Group g not found.");
	CHECK_ERROR(beat("a", 3, NULL), COORD_UNKNOWN_MEMBER_ID, "Member a is not a member of group g.");
	event = event_of(COORD_EV_CONSUMER_HEARTBEAT, "a", NULL, 0);
	event.group_id = B("");
	CHECK_ERROR(step(&event), COORD_INVALID_REQUEST, "GroupId can't be empty.");
	event = event_of(COORD_EV_CONSUMER_HEARTBEAT, "a", NULL, 0);
	event.u.consumer.rack_id = B("");
	CHECK_ERROR(step(&event), COORD_INVALID_REQUEST, "RackId can't be empty.");
	CHECK_INT(coord_ngroups(groups), 0);
	CHECK_INT(answer.epoch, 0);
	CHECK_TEXT(answer.member, "null");
}

/* Below version 1 the coordinator makes the id. */
static void
test_version_0(void)
{
	CoordEvent	event = event_of(COORD_EV_CONSUMER_HEARTBEAT, "", NULL, 0);
	CoordBytes	name = B("t0");
	char		first[300];

	fresh(2, AWAY);
	event.api_version = 0;
	event.u.consumer = (CoordConsumerHeartbeat)
	{
		.rack_id = B(NULL),.rebalance_timeout_ms = 1000,.nsubscribed = 1,.subscribed_topic_names = &name,
			.subscribed_topic_regex = B(NULL),.server_assignor = B(NULL)
	};
	CHECK_ASSIGNED(step(&event), 1, "t0:0,1");
	strlcpy(first, answer.member, sizeof(first));
	CHECK(strlen(first) > 36);
	CHECK_QUIET(beat(first, 1, NULL), 1);
	step(&event);
	CHECK(strcmp(first, answer.member) != 0);
}

static void
test_epochs(void)
{
	const char *greater = "The consumer group member has a greater member epoch (3) than the one known by the group "
		"coordinator (2). The member must abandon all its partitions and rejoin.";
	const char *smaller = "The consumer group member has a smaller member epoch (1) than the one known by the group "
		"coordinator (2). The member must abandon all its partitions and rejoin.";

	fresh(2, 2);
	join("a", "t0");
	CHECK_ASSIGNED(beat_full("a", NULL, 1, "t0 t1", NULL, "t0:0,1", NULL, -1), 2, "t0:0,1 t1:0,1");
	CHECK_ERROR(beat("a", 3, NULL), COORD_FENCED_MEMBER_EPOCH, greater);

	/* The epoch before is good with a subset of what there is, when it says so. */
	CHECK_QUIET(beat("a", 1, "t0:0,1"), 2);
	CHECK_ASSIGNED(beat_full("a", NULL, 1, "t0 t1", NULL, "t0:0", NULL, REBALANCE), 2, "t0:0,1 t1:0,1");
	CHECK_ERROR(beat("a", 1, NULL), COORD_FENCED_MEMBER_EPOCH, smaller);
	CHECK_ERROR(beat("a", 1, "t0:0,1,2"), COORD_FENCED_MEMBER_EPOCH, smaller);
	CHECK_ERROR(beat("a", 1, "t7:0"), COORD_FENCED_MEMBER_EPOCH, smaller);

	/* Joining again with the same id is always possible. */
	CHECK_ASSIGNED(join("a", "t0 t1"), 2, "t0:0,1 t1:0,1");
	CHECK_ERROR(beat("b", 2, NULL), COORD_UNKNOWN_MEMBER_ID, "Member b is not a member of group g.");
}

static void
test_session(void)
{
	CoordOverrides overrides = {.consumer_session_timeout_ms = 2000,.consumer_heartbeat_interval_ms = 500};

	fresh(2, AWAY);
	join("a", "t0");
	join("b", "t0");
	pass(44999);
	CHECK_QUIET(beat("b", 2, NULL), 2);
	pass(1);
	CHECK_INT(beat("a", 1, NULL)->error, COORD_UNKNOWN_MEMBER_ID);
	CHECK_ASSIGNED(beat("b", 2, NULL), 3, "t0:0,1");

	/* As set for the group. */
	coord_override(groups, B("g"), &overrides);
	CHECK_QUIET(beat("b", 3, NULL), 3);
	CHECK_INT(answer.interval, 500);
	pass(2000);
	CHECK_INT(state(), COORD_EMPTY);
	memset(&overrides, 0, sizeof(overrides));
	coord_override(groups, B("g"), &overrides);
	CHECK_INT(join("c", "t0")->interval, 5000);
}

/* Who does not give up partitions in time is out, heartbeats or not. */
static void
test_rebalance_timeout(void)
{
	fresh(2, AWAY);
	join("a", "t0");
	join("b", "t0");
	CHECK_ASSIGNED(beat("a", 1, NULL), 1, "t0:0");
	pass(30000);
	CHECK_QUIET(beat("a", 1, "t0:0,1"), 1);
	CHECK_QUIET(beat("b", 2, NULL), 2);
	pass(29999);
	CHECK_QUIET(beat("a", 1, "t0:0,1"), 1);
	CHECK_QUIET(beat("b", 2, NULL), 2);
	pass(1);
	CHECK_INT(beat("a", 1, "t0:0")->error, COORD_UNKNOWN_MEMBER_ID);
	CHECK_ASSIGNED(beat("b", 2, NULL), 3, "t0:0,1");
}

static void
test_static(void)
{
	fresh(2, AWAY);
	CHECK_ASSIGNED(join_static("a", "i", "t0"), 1, "t0:0,1");
	CHECK_ERROR(join_static("b", "i", "t0"), COORD_UNRELEASED_INSTANCE_ID,
				"Static member b with instance id i cannot join the group because the instance id is owned by a member.");
	CHECK_ERROR(leave("b", "i", -2), COORD_FENCED_INSTANCE_ID,
				"Static member b with instance id i was fenced by member a.");
	CHECK_ERROR(leave("a", "j", -2), COORD_UNKNOWN_MEMBER_ID, "Instance id j is unknown.");

	/* It goes for a while: nothing moves, the next one of that instance has it all. */
	leave("a", "i", -2);
	CHECK_INT(answer.error, COORD_NONE);
	CHECK_INT(answer.epoch, -2);
	CHECK_ASSIGNED(join("c", "t0"), 2, "");
	CHECK_ASSIGNED(join_static("b", "i", "t0"), 2, "t0:0");
	CHECK_INT(beat_full("a", "i", 1, NULL, NULL, NULL, NULL, -1)->error, COORD_FENCED_INSTANCE_ID);
	leave("b", "i", -1);
	CHECK_INT(answer.error, COORD_NONE);
	CHECK_ASSIGNED(beat("c", 2, NULL), 3, "t0:0,1");
}

/* Back with the same subscription: no new epoch, and the same partitions. */
static void
test_static_returns(void)
{
	fresh(4, AWAY);
	join_static("a", "i", "t0");
	join_static("b", "j", "t0");
	CHECK_ASSIGNED(beat_full("a", "i", 1, NULL, NULL, NULL, NULL, -1), 1, "t0:0,1");
	CHECK_QUIET(beat_full("a", "i", 1, NULL, NULL, "t0:0,1", NULL, -1), 2);
	CHECK_ASSIGNED(beat_full("b", "j", 2, NULL, NULL, NULL, NULL, -1), 2, "t0:2,3");
	leave("a", "i", -2);
	CHECK_QUIET(beat_full("b", "j", 2, NULL, NULL, NULL, NULL, -1), 2);
	CHECK_ASSIGNED(join_static("a2", "i", "t0"), 2, "t0:0,1");
	CHECK_INT(state(), COORD_STABLE);

	/* It does not come back: its session ends, and with it what was kept for it. */
	leave("a2", "i", -2);
	pass(44000);
	CHECK_QUIET(beat_full("b", "j", 2, NULL, NULL, NULL, NULL, -1), 2);
	pass(1000);
	CHECK_ASSIGNED(beat_full("b", "j", 2, NULL, NULL, NULL, NULL, -1), 3, "t0:0,1,2,3");

	/* And with the id it had. */
	leave("b", "j", -2);
	CHECK_ASSIGNED(join_static("b", "j", "t0"), 3, "t0:0,1,2,3");
}

static void
test_assignors(void)
{
	CoordDescription d;

	fresh(2, 2);
	beat_full("a", NULL, 0, "t0 t1", NULL, "", "range", REBALANCE);
	CHECK(coord_describe(groups, B("g"), &d));
	CHECK(memcmp(d.protocol_name.data, "range", d.protocol_name.len) == 0);
	description_free(&d);
	join("b", "t0 t1");
	CHECK_ASSIGNED(beat("a", 1, NULL), 1, "t0:0 t1:0");
	CHECK_QUIET(beat("a", 1, "t0:0 t1:0"), 2);
	CHECK_ASSIGNED(beat("b", 2, NULL), 2, "t0:1 t1:1");

	/* Most votes win. */
	beat_full("b", NULL, 2, NULL, NULL, NULL, "uniform", -1);
	beat_full("c", NULL, 0, "t0", NULL, "", "uniform", REBALANCE);
	CHECK(coord_describe(groups, B("g"), &d));
	CHECK(memcmp(d.protocol_name.data, "uniform", d.protocol_name.len) == 0);
	description_free(&d);
}

static void
test_limits(void)
{
	fresh(2, AWAY);
	config.consumer_max_size = 2;
	begin();
	join("a", "t0");
	join("b", "t0");
	CHECK_ERROR(join("c", "t0"), COORD_GROUP_MAX_SIZE_REACHED,
				"The consumer group has reached its maximum capacity of 2 members.");
	CHECK_INT(join("b", "t0")->error, COORD_NONE);

	/* No memory: refused, and nothing has changed. */
	config.memory_max = coord_memory_used(groups) + 100;
	config.consumer_max_size = 100;
	coord_configure(groups, &config);
	CHECK_INT(join("c", "t0")->error, COORD_COORDINATOR_NOT_AVAILABLE);
	CHECK_INT(beat("b", 2, NULL)->error, COORD_NONE);
}

static void
test_commits(void)
{
	fresh(4, AWAY);
	/* Nobody there: anybody. */
	CHECK_INT(commit(9, "", -1, false), COORD_NONE);
	join("a", "t0");
	join("b", "t0");
	CHECK_INT(commit(9, "", -1, false), COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(commit(9, "", -1, true), COORD_NONE);
	CHECK_INT(commit(9, "a", 1, false), COORD_NONE);
	CHECK_INT(commit(8, "a", 1, false), COORD_UNSUPPORTED_VERSION);
	CHECK_INT(commit(9, "a", 2, false), COORD_STALE_MEMBER_EPOCH);
	CHECK_INT(commit(9, "a", 0, false), COORD_STALE_MEMBER_EPOCH);
	CHECK_INT(commit(9, "c", 1, false), COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(fetch("", -1), COORD_NONE);
	CHECK_INT(fetch("a", 1), COORD_NONE);
	CHECK_INT(fetch("a", 2), COORD_STALE_MEMBER_EPOCH);
	CHECK_INT(fetch("c", 1), COORD_UNKNOWN_MEMBER_ID);
}

/* With an epoch that is past, for a partition that the member has had all the time. */
static void
test_commit_partition(void)
{
	CoordUuid	id = topic_id(0);
	CoordUuid	other = topic_id(5);

	fresh(4, AWAY);
	join("a", "t0");
	join("b", "t0");
	beat("a", 1, NULL);
	CHECK_INT(coord_commit_partition(groups, B("g"), B("a"), 1, &id, 3), COORD_NONE);
	beat("a", 1, "t0:0,1");
	CHECK_INT(commit(9, "a", 1, false), COORD_STALE_MEMBER_EPOCH);
	CHECK_INT(coord_commit_partition(groups, B("g"), B("a"), 1, &id, 0), COORD_NONE);
	CHECK_INT(coord_commit_partition(groups, B("g"), B("a"), 0, &id, 0), COORD_STALE_MEMBER_EPOCH);
	CHECK_INT(coord_commit_partition(groups, B("g"), B("a"), 3, &id, 0), COORD_STALE_MEMBER_EPOCH);
	CHECK_INT(coord_commit_partition(groups, B("g"), B("a"), 1, &id, 3), COORD_STALE_MEMBER_EPOCH);
	CHECK_INT(coord_commit_partition(groups, B("g"), B("a"), 1, &other, 0), COORD_STALE_MEMBER_EPOCH);
	CHECK_INT(coord_commit_partition(groups, B("g"), B("x"), 1, &id, 0), COORD_UNKNOWN_MEMBER_ID);
}

static void
test_describe(void)
{
	CoordDescription d;
	char		text[200];

	fresh(2, AWAY);
	join_static("a", "i", "t0 t3");
	beat_full("b", NULL, 0, NULL, "t0.*", "", NULL, REBALANCE);
	CHECK(coord_describe(groups, B("g"), &d));
	CHECK_INT(d.info.state, COORD_RECONCILING);
	CHECK_INT(d.info.nmembers, 2);
	CHECK_INT(d.generation, 2);
	CHECK_INT(d.assignment_epoch, 2);
	CHECK_TEXT(coord_state_name(d.info.state), "Reconciling");
	CHECK_INT(d.members[0].member_epoch, 1);
	CHECK_INT(d.members[0].nsubscribed, 2);
	keep(text, sizeof(text), d.members[0].group_instance_id);
	CHECK_TEXT(text, "i");
	keep_parts(text, sizeof(text), d.members[0].assigned, d.members[0].nassigned);
	CHECK_TEXT(text, "t0:0,1");
	keep_parts(text, sizeof(text), d.members[0].target, d.members[0].ntarget);
	CHECK_TEXT(text, "t0:0");
	keep(text, sizeof(text), d.members[0].target[0].topic_name);
	CHECK_TEXT(text, "t0");
	keep(text, sizeof(text), d.members[1].subscribed_topic_regex);
	CHECK_TEXT(text, "t0.*");
	CHECK_INT(d.members[1].nassigned, 0);
	CHECK(!d.members[1].classic);
	description_free(&d);

	/* A topic that is gone has no name, and is left out. */
	partitions[0] = AWAY;
	topics_tell();
	CHECK(coord_describe(groups, B("g"), &d));
	CHECK_INT(d.members[0].nassigned, 0);
	CHECK_INT(d.info.state, COORD_ASSIGNING);
	description_free(&d);
}

/* Assignments may be held back, so that many who join together cost few of them. */
static void
test_interval(void)
{
	fresh(4, AWAY);
	config.consumer_assignment_interval_ms = 1000;
	begin();
	CHECK_ASSIGNED(join("a", "t0"), 1, "t0:0,1,2,3");
	CHECK_ASSIGNED(join("b", "t0"), 1, "");
	CHECK_ASSIGNED(join("c", "t0"), 1, "");
	CHECK_INT(state(), COORD_ASSIGNING);
	CHECK_QUIET(beat("a", 1, NULL), 1);
	pass(1000);
	CHECK_ASSIGNED(beat("a", 1, NULL), 1, "t0:0,1");
	CHECK_QUIET(beat("a", 1, "t0:0,1"), 3);
	CHECK_ASSIGNED(beat("b", 1, NULL), 3, "t0:2");
	CHECK_ASSIGNED(beat("c", 1, NULL), 3, "t0:3");
}

/* 2,000 members of one group: each join and each heartbeat stays cheap, and nothing is left behind. */
static void
test_many(void)
{
	size_t		before;
	char		id[20];

	fresh(1000, 1000);
	config.empty_linger_ms = 0;
	begin();
	before = coord_memory_used(groups);
	for (int i = 0; i < 2000; i++)
	{
		snprintf(id, sizeof(id), "m%d", i);
		CHECK_INT(join(id, "t0 t1")->error, COORD_NONE);
	}
	CHECK(coord_memory_used(groups) / 2000 < 4096);
	for (int i = 0; i < 2000; i++)
	{
		snprintf(id, sizeof(id), "m%d", i);
		CHECK_INT(leave(id, NULL, -1)->error, COORD_NONE);
	}
	CHECK_INT(coord_ngroups(groups), 0);
	/* Some tables keep their size. */
	CHECK(coord_memory_used(groups) < before + 100 * 1024);
}

int
main(void)
{
	RUN(test_one_member);
	RUN(test_hand_over);
	RUN(test_subscription);
	RUN(test_regex);
	RUN(test_viewers);
	RUN(test_topics);
	RUN(test_validation);
	RUN(test_version_0);
	RUN(test_epochs);
	RUN(test_session);
	RUN(test_rebalance_timeout);
	RUN(test_static);
	RUN(test_static_returns);
	RUN(test_assignors);
	RUN(test_limits);
	RUN(test_commits);
	RUN(test_commit_partition);
	RUN(test_describe);
	RUN(test_interval);
	RUN(test_many);
	return done();
}
