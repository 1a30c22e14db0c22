/*-------------------------------------------------------------------------
 *
 * test_coord_migrate.c
 *	  Groups with members of both protocols, and groups that change their kind.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
/* sources: src/coord/?*.c */
#include "coord_consumer.h"

#include "coord/consumer_protocol.h"

#define SESSION 10000
#define DELAY 3000

/* Big-endian bytes of the embedded protocol. */
typedef struct Bytes
{
	char		data[1000];
	int			len;
} Bytes;

static void
put(Bytes *b, int64 value, int size)
{
	for (int i = size - 1; i >= 0; i--)
		b->data[b->len++] = (char) (value >> (8 * i));
}

static void
put_string(Bytes *b, CoordBytes s)
{
	put(b, s.len, 2);
	if (s.len > 0)
		memcpy(b->data + b->len, s.data, s.len);
	b->len += Max(s.len, 0);
}

/* "t0:0,1 t1:3" */
static void
put_parts(Bytes *b, const char *parts)
{
	CoordTopicPartitions list[TOPICS_MAX];
	int32		numbers[1000];
	int			n = split_parts(parts, list, numbers);

	put(b, n, 4);
	for (int i = 0; i < n; i++)
	{
		char		name[10];

		snprintf(name, sizeof(name), "t%d", topic_of(&list[i].topic_id));
		put_string(b, B(name));
		put(b, list[i].npartitions, 4);
		for (int j = 0; j < list[i].npartitions; j++)
			put(b, list[i].partitions[j], 4);
	}
}

static Bytes
subscription(int version, const char *names, const char *owned)
{
	Bytes		b = {.len = 0};
	CoordBytes	list[TOPICS_MAX];
	int			n = split_names(names, list);

	put(&b, version, 2);
	put(&b, n, 4);
	for (int i = 0; i < n; i++)
		put_string(&b, list[i]);
	put(&b, -1, 4);
	if (version >= 1)
		put_parts(&b, owned);
	if (version >= 2)
		put(&b, 7, 4);
	if (version >= 3)
		put_string(&b, B("rack"));
	return b;
}

static Bytes
assignment(const char *parts, const char *user_data)
{
	Bytes		b = {.len = 0};

	put(&b, 1, 2);
	put_parts(&b, parts);
	put(&b, user_data == NULL ? -1 : (int) strlen(user_data), 4);
	for (const char *p = user_data; p != NULL && *p != '\0'; p++)
		put(&b, *p, 1);
	return b;
}

static Answer *
classic_join_bytes(int version, const char *member, const char *instance, const char *protocol, const Bytes *metadata)
{
	CoordEvent	event = event_of(COORD_EV_JOIN, member, instance, 0);
	CoordProtocol list = {B(protocol), {metadata->data, metadata->len}};

	event.api_version = version;
	event.u.join = (CoordJoin)
	{
		.session_timeout_ms = SESSION,
			.rebalance_timeout_ms = REBALANCE,
			.protocol_type = B("consumer"),
			.nprotocols = 1,
			.protocols = &list,
			.reason = B(NULL),
	};
	return step(&event);
}

static Answer *
classic_join(const char *member, const char *instance, const char *names, const char *owned)
{
	Bytes		metadata = subscription(3, names, owned);

	return classic_join_bytes(3, member, instance, "range", &metadata);
}

/* One assignment, for whom and what; NULL: none. */
static Answer *
classic_sync_bytes(const char *member, int generation, const char *whom, const Bytes *what)
{
	CoordEvent	event = event_of(COORD_EV_SYNC, member, NULL, generation);
	CoordSyncAssignment one = {B(whom), {what == NULL ? NULL : what->data, what == NULL ? 0 : what->len}};

	event.u.sync = (CoordSync)
	{
		.protocol_type = B("consumer"),.protocol_name = B("range"),.nassignments = whom != NULL,.assignments = &one
	};
	return step(&event);
}

/* As text, or "?" when it is malformed. */
static const char *
synced(const char *member, int generation)
{
	static char text[2000];
	Answer	   *a = classic_sync_bytes(member, generation, NULL, NULL);
	ProtocolAssignment parsed;

	if (a->error != COORD_NONE)
	{
		snprintf(text, sizeof(text), "error %d", a->error);
		return text;
	}
	if (a->nbytes == 0)
		return "nothing";
	if (!consumer_protocol_read_assignment(groups, (CoordBytes) {a->bytes, a->nbytes}, &parsed))
		return "?";
	text[0] = '\0';
	for (int i = 0; i < parsed.nassigned; i++)
	{
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%.*s:", i > 0 ? " " : "",
				 parsed.assigned[i].name.len, parsed.assigned[i].name.data);
		for (int j = 0; j < parsed.assigned[i].npartitions; j++)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%d", j > 0 ? "," : "",
					 parsed.assigned[i].partitions[j]);
	}
	return text;
}

static CoordError
classic_beat(const char *member, int generation)
{
	CoordEvent	event = event_of(COORD_EV_HEARTBEAT, member, NULL, generation);

	return step(&event)->error;
}

static Answer *
classic_leave(const char *member, const char *instance)
{
	CoordEvent	event = event_of(COORD_EV_LEAVE, NULL, NULL, 0);
	CoordLeaveMember one = {B(member), B(instance), B(NULL)};

	event.u.leave = (CoordLeave) {1, &one};
	return step(&event);
}

/* A classic group with one member that has all of t0, which it is told; its id. */
static const char *
classic_group(const char *user_data)
{
	static char member[300];
	Bytes		what = assignment("t0:0,1,2,3", user_data);

	classic_join("", NULL, "t0", "");
	pass(DELAY);
	strlcpy(member, late[1].member, sizeof(member));
	CHECK_INT(late[1].epoch, 1);
	classic_sync_bytes(member, 1, member, &what);
	CHECK_INT(state(), COORD_STABLE);
	CHECK_INT(kind(), COORD_KIND_CLASSIC);
	return member;
}

static void
test_upgrade(void)
{
	const char *old;

	fresh(4, AWAY);
	old = classic_group(NULL);
	CHECK_ASSIGNED(join("new", "t0"), 2, "");
	CHECK_INT(kind(), COORD_KIND_CONSUMER);
	CHECK_INT(classic_beat(old, 2), COORD_ILLEGAL_GENERATION);
	CHECK_INT(classic_beat(old, 1), COORD_REBALANCE_IN_PROGRESS);
	CHECK_TEXT(synced(old, 1), "error 27");

	/* It joins, and SyncGroup leaves out what it must give up. */
	classic_join(old, NULL, "t0", "t0:0,1,2,3");
	CHECK_INT(answer.error, COORD_NONE);
	CHECK_INT(answer.epoch, 1);
	CHECK_TEXT(answer.protocol, "range");
	CHECK_TEXT(synced(old, 1), "t0:0,1");
	CHECK_QUIET(beat("new", 2, NULL), 2);

	/* It has to come back to say that it has. */
	CHECK_INT(classic_beat(old, 1), COORD_REBALANCE_IN_PROGRESS);
	classic_join(old, NULL, "t0", "t0:0,1");
	CHECK_INT(answer.epoch, 2);
	CHECK_TEXT(synced(old, 2), "t0:0,1");
	CHECK_INT(classic_beat(old, 2), COORD_NONE);
	CHECK_ASSIGNED(beat("new", 2, NULL), 2, "t0:2,3");
	CHECK_INT(state(), COORD_STABLE);

	/* Commits of both, each with its errors. */
	CHECK_INT(commit(6, old, 2, false), COORD_NONE);
	CHECK_INT(commit(6, old, 1, false), COORD_ILLEGAL_GENERATION);
	CHECK_INT(commit(9, "new", 1, false), COORD_STALE_MEMBER_EPOCH);
	CHECK_INT(fetch(old, 1), COORD_ILLEGAL_GENERATION);
}

static void
test_downgrade(void)
{
	const char *old;
	char		text[300];

	fresh(4, AWAY);
	old = classic_group(NULL);
	join("new", "t0");
	classic_join(old, NULL, "t0", "t0:0,1");
	CHECK_INT(answer.epoch, 2);
	CHECK_TEXT(synced(old, 2), "t0:0,1");
	CHECK_ASSIGNED(beat("new", 2, NULL), 2, "t0:2,3");

	/* The last with the new protocol goes: a classic group, which rebalances. */
	leave("new", NULL, -1);
	CHECK_INT(kind(), COORD_KIND_CLASSIC);
	CHECK_INT(state(), COORD_PREPARING_REBALANCE);
	CHECK_INT(commit(6, old, 2, false), COORD_NONE);
	CHECK_INT(classic_beat(old, 2), COORD_REBALANCE_IN_PROGRESS);
	CHECK_INT(classic_beat(old, 1), COORD_ILLEGAL_GENERATION);
	strlcpy(text, old, sizeof(text));
	classic_join(text, NULL, "t0", "t0:0,1");
	CHECK_INT(answer.error, COORD_NONE);
	CHECK_INT(answer.epoch, 3);
	CHECK_INT(classic_leave(text, NULL)->left[0], COORD_NONE);
	CHECK_INT(state(), COORD_EMPTY);

	/* An empty group becomes what comes next. */
	CHECK_ASSIGNED(join("x", "t0"), 1, "t0:0,1,2,3");
	leave("x", NULL, -1);
	classic_join("", NULL, "t0", "");
	CHECK_INT(kind(), COORD_KIND_CLASSIC);
}

/* Sessions and the time to join or to sync, of classic members of a consumer group. */
static void
test_timeouts(void)
{
	const char *old;

	fresh(4, AWAY);
	old = classic_group(NULL);
	join("new", "t0");
	pass(SESSION - 1);
	CHECK_QUIET(beat("new", 2, NULL), 2);
	pass(1);
	CHECK_INT(classic_beat(old, 1), COORD_UNKNOWN_MEMBER_ID);
	CHECK_ASSIGNED(beat("new", 2, NULL), 3, "t0:0,1,2,3");

	/* Told to join, alive, and does not. */
	fresh(4, AWAY);
	old = classic_group(NULL);
	join("new", "t0");
	for (int i = 0; i < REBALANCE / 5000; i++)
	{
		CHECK_INT(classic_beat(old, 1), COORD_REBALANCE_IN_PROGRESS);
		CHECK_QUIET(beat("new", 2, NULL), 2);
		pass(5000);
	}
	CHECK_INT(classic_beat(old, 1), COORD_UNKNOWN_MEMBER_ID);

	/* Joins, and does not sync. */
	fresh(4, AWAY);
	old = classic_group(NULL);
	join("new", "t0");
	classic_join(old, NULL, "t0", "t0:0,1");
	for (int i = 0; i < REBALANCE / 5000; i++)
	{
		CHECK_INT(classic_beat(old, 2), COORD_NONE);
		CHECK_INT(beat("new", 2, NULL)->error, COORD_NONE);
		pass(5000);
	}
	CHECK_INT(classic_beat(old, 2), COORD_UNKNOWN_MEMBER_ID);
}

/* What cannot be upgraded stays as it is. */
static void
test_refused(void)
{
	Bytes		rubbish = {.data = "\377\377\377",.len = 3};
	const char *old;

	fresh(4, AWAY);
	config.consumer_migration_policy = COORD_MIGRATION_DOWNGRADE;
	begin();
	old = classic_group(NULL);
	CHECK_ERROR(join("new", "t0"), COORD_GROUP_ID_NOT_FOUND,
				"Cannot upgrade classic group g to consumer group because online upgrade is disabled.");
	CHECK_INT(classic_beat(old, 1), COORD_NONE);

	fresh(4, AWAY);
	old = classic_group("mine");
	CHECK_INT(join("new", "t0")->error, COORD_GROUP_ID_NOT_FOUND);
	CHECK_INT(classic_beat(old, 1), COORD_NONE);

	fresh(4, AWAY);
	classic_join_bytes(3, "", NULL, "range", &rubbish);
	pass(DELAY);
	CHECK_ERROR(join("new", "t0"), COORD_GROUP_ID_NOT_FOUND,
				"Cannot upgrade classic group g to consumer group because the embedded consumer protocol is malformed.");
	CHECK_INT(kind(), COORD_KIND_CLASSIC);

	/* A heartbeat of a member that this group does not know: it should join. */
	CHECK_INT(beat("new", 5, NULL)->error, COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(leave("new", NULL, -1)->error, COORD_GROUP_ID_NOT_FOUND);
}

/* JoinGroup requests that wait are told that there is another rebalance. */
static void
test_upgrade_while_joining(void)
{
	fresh(4, AWAY);
	classic_join("", NULL, "t0", "");
	CHECK_ASSIGNED(join("new", "t0"), 1, "t0:2,3");
	CHECK_INT(late[1].error, COORD_REBALANCE_IN_PROGRESS);
	CHECK_INT(kind(), COORD_KIND_CONSUMER);
}

/* Classic members join a consumer group. */
static void
test_classic_joins(void)
{
	Bytes		metadata = subscription(1, "t0", "");
	char		old[300];

	fresh(4, AWAY);
	join("new", "t0");
	classic_join_bytes(5, "", NULL, "range", &metadata);
	CHECK_INT(answer.error, COORD_MEMBER_ID_REQUIRED);
	strlcpy(old, answer.member, sizeof(old));
	CHECK_INT(coord_ngroups(groups), 1);
	classic_join_bytes(5, old, NULL, "range", &metadata);
	CHECK_INT(answer.error, COORD_NONE);
	CHECK_INT(answer.epoch, 2);
	CHECK_TEXT(synced(old, 2), "");
	CHECK_ASSIGNED(beat("new", 1, NULL), 1, "t0:0,1");
	CHECK_INT(classic_beat(old, 2), COORD_NONE);
	CHECK_QUIET(beat("new", 1, "t0:0,1"), 2);
	CHECK_INT(classic_beat(old, 2), COORD_REBALANCE_IN_PROGRESS);
	classic_join_bytes(5, old, NULL, "range", &metadata);
	CHECK_INT(answer.epoch, 2);
	CHECK_TEXT(synced(old, 2), "t0:2,3");
	CHECK_INT(classic_beat(old, 2), COORD_NONE);

	/* A protocol that the other classic member does not have; another type; rubbish. */
	CHECK_INT(classic_join_bytes(3, "", NULL, "sticky", &metadata)->error, COORD_INCONSISTENT_GROUP_PROTOCOL);
	metadata.len = 5;
	CHECK_INT(classic_join_bytes(3, "", NULL, "range", &metadata)->error, COORD_INCONSISTENT_GROUP_PROTOCOL);
	config.consumer_migration_policy = COORD_MIGRATION_DISABLED;
	coord_configure(groups, &config);
	CHECK_INT(classic_join("", NULL, "t0", "")->error, COORD_INCONSISTENT_GROUP_PROTOCOL);

	/* LeaveGroup removes members of either protocol. */
	CHECK_INT(classic_leave("new", NULL)->left[0], COORD_NONE);
	CHECK_INT(classic_leave("new", NULL)->left[0], COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(kind(), COORD_KIND_CONSUMER);
	CHECK_INT(classic_leave(old, NULL)->left[0], COORD_NONE);
	CHECK_INT(state(), COORD_EMPTY);
}

/* One member after the other is restarted with the other protocol, and keeps its instance. */
static void
test_static_rolling(void)
{
	char		a[300];

	fresh(4, AWAY);
	CHECK_ASSIGNED(join_static("x", "i", "t0"), 1, "t0:0,1,2,3");
	CHECK_ASSIGNED(join_static("y", "j", "t0"), 2, "");
	CHECK_ASSIGNED(beat_full("x", "i", 1, NULL, NULL, NULL, NULL, -1), 1, "t0:0,1");

	/* j comes back with the classic protocol, without having left. */
	classic_join("", "j", "t0", "");
	CHECK_INT(answer.error, COORD_NONE);
	CHECK_INT(answer.epoch, 2);
	strlcpy(a, answer.member, sizeof(a));
	CHECK_TEXT(synced(a, 2), "");
	CHECK_INT(classic_join("z", "j", "t0", "")->error, COORD_FENCED_INSTANCE_ID);
	CHECK_INT(classic_join("z", "k", "t0", "")->error, COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(kind(), COORD_KIND_CONSUMER);

	/* And i: nobody is left with the new protocol. */
	classic_join("", "i", "t0", "");
	CHECK_INT(kind(), COORD_KIND_CLASSIC);
	classic_join(a, "j", "t0", "");
	CHECK_INT(answer.error, COORD_NONE);
	CHECK_INT(state(), COORD_COMPLETING_REBALANCE);

	/* The only member. */
	fresh(4, AWAY);
	join_static("x", "i", "t0");
	classic_join("", "i", "t0", "");
	CHECK_INT(kind(), COORD_KIND_CLASSIC);
	pass(DELAY);
	CHECK_INT(late[tokens % 16].epoch, 3);

	/* A classic static member comes back with the new protocol. */
	CHECK_INT(join_static("x", "i", "t0")->error, COORD_NONE);
	CHECK_INT(kind(), COORD_KIND_CONSUMER);
}

/* Two members that both claim a partition, and partitions that do not exist. */
static void
test_upgrade_bad_assignment(void)
{
	Bytes		what = assignment("t0:0,1,9 t5:0", NULL);
	char		old[300];

	fresh(4, AWAY);
	classic_join("", NULL, "t0", "");
	classic_join("", NULL, "t0", "");
	pass(2 * DELAY);
	strlcpy(old, late[2].member, sizeof(old));
	{
		CoordEvent	event = event_of(COORD_EV_SYNC, late[1].member, NULL, 1);
		CoordSyncAssignment both[2] = {
			{B(late[1].member), {what.data, what.len}}, {B(late[2].member), {what.data, what.len}}
		};

		event.u.sync = (CoordSync) {B(NULL), B(NULL), 2, both};
		CHECK_INT(step(&event)->error, COORD_NONE);
	}
	CHECK_INT(join("new", "t0")->error, COORD_NONE);
	CHECK_TEXT(answer.parts, "t0:3");
	classic_join(old, NULL, "t0", "t0:0,1");
	CHECK_INT(answer.error, COORD_NONE);
}

static void
test_embedded_protocol(void)
{
	fresh(1, 1);
	for (int version = 0; version <= 5; version++)
	{
		Bytes		b = subscription(version, "t0 t1", "t0:0,1 t1:0");
		ProtocolSubscription s;

		for (int len = 0; len <= b.len; len++)
		{
			char	   *copy = test_copy(b.data, len);
			bool		good = consumer_protocol_read_subscription(groups, (CoordBytes) {copy, len}, &s);

			SAY("version %d length %d", version, len);
			CHECK(good == (len == b.len));
			free(copy);
		}
		CHECK(consumer_protocol_read_subscription(groups, (CoordBytes) {b.data, b.len}, &s));
		CHECK_INT(s.version, Min(version, 3));
		CHECK_INT(s.ntopics, 2);
		CHECK_INT(s.nowned, version >= 1 ? 2 : 0);
		CHECK_INT(s.generation, version >= 2 ? 7 : -1);
		CHECK_INT(s.rack_id.len, version >= 3 ? 4 : -1);
	}
	{
		ProtocolTopic topics[] = {{B("t0"), 2, (int32[]) {3, -1}}, {B(""), 0, NULL}};
		CoordBytes	written = consumer_protocol_write_assignment(groups, 9, topics, 2);
		ProtocolAssignment a;

		CHECK(consumer_protocol_read_assignment(groups, written, &a));
		CHECK_INT(a.version, 3);
		CHECK_INT(a.nassigned, 2);
		CHECK_INT(a.assigned[0].partitions[1], -1);
		CHECK_INT(a.user_data.len, -1);
	}
}

int
main(void)
{
	RUN(test_embedded_protocol);
	RUN(test_upgrade);
	RUN(test_downgrade);
	RUN(test_timeouts);
	RUN(test_refused);
	RUN(test_upgrade_while_joining);
	RUN(test_classic_joins);
	RUN(test_static_rolling);
	RUN(test_upgrade_bad_assignment);
	return done();
}
