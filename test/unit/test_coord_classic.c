/*-------------------------------------------------------------------------
 *
 * test_coord_classic.c
 *	  Classic consumer groups: what a request is answered in which state.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
/* sources: src/coord/?*.c */
#include "test.h"

#include <time.h>

#include "coord/coord.h"

#define SESSION 10000
#define REBALANCE 60000
#define DELAY 3000
#define SETTLE (2 * DELAY)		/* until a new group of several has its
								 * generation */
#define FIVE_MINUTES 300000

/* What came back for a token, with copies of its strings. */
typedef struct Answer
{
	bool		there;
	CoordError	error;
	CoordEventType type;
	int32		generation;
	char		member[400];
	char		leader[400];
	char		protocol[64];	/* "null" when it is */
	char		assignment[64];
	bool		skip;
	int			nmembers;
	char		metadata[64];	/* of all members, in order */
	CoordError	left[8];
} Answer;

static CoordConfig config;
static CoordGroups *groups;
static int64 now;
static uint64 tokens;
static Answer answers[20000];
static int	nchanges;
static int	changed_to;			/* members in the last change */

/* NULL becomes null. */
static CoordBytes
B(const char *s)
{
	return (CoordBytes)
	{
		s, s == NULL ? -1 : (int32) strlen(s)
	};
}

static void
begin(void)
{
	if (groups != NULL)
		coord_destroy(groups);
	groups = coord_create(&config, 42);
	now = 1000000;
	tokens = 0;
	memset(answers, 0, sizeof(answers));
}

static void
fresh(void)
{
	coord_config_defaults(&config);
	begin();
}

static void
keep(char *to, size_t size, CoordBytes from)
{
	if (from.len < 0)
		strlcpy(to, "null", size);
	else
		snprintf(to, size, "%.*s", from.len, from.len > 0 ? from.data : "");
}

static void
take(const CoordReply *r)
{
	Answer	   *a = &answers[r->token];

	CHECK(r->token > 0 && r->token <= tokens);
	CHECK(!a->there);
	a->there = true;
	a->error = r->error;
	a->type = r->type;
	if (r->type == COORD_EV_JOIN)
	{
		a->generation = r->u.join.generation;
		a->skip = r->u.join.skip_assignment;
		a->nmembers = r->u.join.nmembers;
		keep(a->member, sizeof(a->member), r->u.join.member_id);
		keep(a->leader, sizeof(a->leader), r->u.join.leader);
		keep(a->protocol, sizeof(a->protocol), r->u.join.protocol_name);
		for (int i = 0; i < r->u.join.nmembers && i < 20; i++)
			keep(a->metadata + strlen(a->metadata), sizeof(a->metadata) - strlen(a->metadata),
				 r->u.join.members[i].metadata);
	}
	else if (r->type == COORD_EV_SYNC)
	{
		keep(a->protocol, sizeof(a->protocol), r->u.sync.protocol_name);
		keep(a->assignment, sizeof(a->assignment), r->u.sync.assignment);
	}
	else if (r->type == COORD_EV_LEAVE)
	{
		a->nmembers = r->u.leave.nmembers;
		for (int i = 0; i < a->nmembers && i < 8; i++)
			a->left[i] = r->u.leave.members[i].error;
	}
}

static Answer *
step(CoordEvent *event)
{
	CoordReplies out;

	event->token = event->type == COORD_EV_TICK ? 0 : ++tokens;
	Assert(tokens < lengthof(answers));
	coord_step(groups, event, now, &out);
	for (int i = 0; i < out.nreplies; i++)
		take(&out.replies[i]);
	nchanges = out.nchanges;
	for (int i = 0; i < out.nchanges; i++)
		changed_to = out.changes[i].nmembers;
	return &answers[event->token];
}

/* Lets time pass, deadline by deadline. */
static void
pass(int64 ms)
{
	int64		until = now + ms;
	CoordEvent	tick = {.type = COORD_EV_TICK};

	while (coord_next_deadline(groups) <= until)
	{
		now = Max(now, coord_next_deadline(groups));
		step(&tick);
	}
	now = until;
}

static CoordEvent
event_of(CoordEventType type, const char *member, const char *instance, int generation)
{
	CoordEvent	event = {
		.type = type,
		.api_version = 7,
		.group_id = B("g"),
		.member_id = B(member),
		.group_instance_id = B(instance),
		.generation = generation,
		.client_id = B("client"),
		.client_host = B("/127.0.0.1"),
	};

	return event;
}

/* What joins say their protocols are of. */
static const char *join_type = "consumer";

/* protocols: "range=x,sticky=y" */
static Answer *
join_full(int version, const char *member, const char *instance, const char *protocols, int session, int rebalance)
{
	CoordEvent	event = event_of(COORD_EV_JOIN, member, instance, 0);
	CoordProtocol list[8];
	int			n = 0;

	event.api_version = version;
	for (const char *p = protocols; *p != '\0';)
	{
		int			len = strcspn(p, ",");
		int			name = strcspn(p, "=");

		list[n].name = (CoordBytes)
		{
			p, name
		};
		list[n++].metadata = (CoordBytes)
		{
			p + name + 1, len - name - 1
		};
		p += len + (p[len] == ',');
	}
	event.u.join = (CoordJoin)
	{
		.session_timeout_ms = session,
			.rebalance_timeout_ms = rebalance,
			.protocol_type = B(join_type),
			.nprotocols = n,
			.protocols = list,
			.reason = B(NULL),
	};
	return step(&event);
}

static Answer *
join(const char *member, const char *protocols)
{
	return join_full(9, member, NULL, protocols, SESSION, REBALANCE);
}

static Answer *
join_static(const char *member, const char *instance, const char *protocols)
{
	return join_full(9, member, instance, protocols, SESSION, REBALANCE);
}

/* assignment: for up to two members; NULL: none */
static Answer *
sync_full(const char *member, const char *instance, int generation, const char *protocol,
		  const char *m1, const char *a1, const char *m2, const char *a2)
{
	CoordEvent	event = event_of(COORD_EV_SYNC, member, instance, generation);
	CoordSyncAssignment list[2] = {{B(m1), B(a1)}, {B(m2), B(a2)}};

	event.u.sync = (CoordSync)
	{
		.protocol_type = B(protocol == NULL ? NULL : "consumer"),
			.protocol_name = B(protocol),
			.nassignments = (m1 != NULL) + (m2 != NULL),
			.assignments = list,
	};
	return step(&event);
}

static Answer *
sync_group(const char *member, int generation)
{
	return sync_full(member, NULL, generation, NULL, member, "all", NULL, NULL);
}

static CoordError
heartbeat_static(const char *member, const char *instance, int generation)
{
	CoordEvent	event = event_of(COORD_EV_HEARTBEAT, member, instance, generation);

	return step(&event)->error;
}

static CoordError
heartbeat(const char *member, int generation)
{
	return heartbeat_static(member, NULL, generation);
}

static CoordError
commit_full(int version, bool transactional, const char *member, const char *instance, int generation)
{
	CoordEvent	event = event_of(COORD_EV_COMMIT, member, instance, generation);

	event.api_version = version;
	event.u.commit.transactional = transactional;
	return step(&event)->error;
}

static CoordError
commit(const char *member, int generation)
{
	return commit_full(8, false, member, NULL, generation);
}

static Answer *
leave_full(const CoordLeaveMember *members, int n)
{
	CoordEvent	event = event_of(COORD_EV_LEAVE, "", NULL, 0);

	event.u.leave = (CoordLeave)
	{
		n, members
	};
	return step(&event);
}

static CoordError
leave(const char *member)
{
	CoordLeaveMember one = {B(member), B(NULL), B(NULL)};
	Answer	   *a = leave_full(&one, 1);

	return a->error != COORD_NONE ? a->error : a->left[0];
}

static CoordError
delete_group(const char *group)
{
	CoordEvent	event = event_of(COORD_EV_DELETE, "", NULL, 0);

	event.group_id = B(group);
	return step(&event)->error;
}

static CoordState
state(void)
{
	CoordGroupInfo info;

	return coord_find(groups, B("g"), &info) ? info.state : COORD_DEAD;
}

/* A dynamic member with its id, whose join waits. */
static Answer *
join_new(const char *protocols)
{
	Answer	   *first = join("", protocols);

	CHECK_INT(first->error, COORD_MEMBER_ID_REQUIRED);
	return join(first->member, protocols);
}

/* A stable group of one member, generation 1. */
static Answer *
stable_one(void)
{
	Answer	   *a = join_new("range=x");

	pass(DELAY);
	CHECK(a->there);
	CHECK_INT(sync_group(a->member, a->generation)->error, COORD_NONE);
	CHECK_INT(state(), COORD_STABLE);
	return a;
}

/* A stable group of two, generation 1; the first leads. */
static void
stable_two(Answer **a, Answer **b)
{
	Answer	   *s1,
			   *s2;

	*a = join_new("range=x");
	*b = join_new("range=y");
	pass(SETTLE);
	CHECK((*a)->there && (*b)->there);
	s2 = sync_group((*b)->member, 1);
	CHECK(!s2->there);
	s1 = sync_full((*a)->member, NULL, 1, "range", (*a)->member, "one", (*b)->member, "two");
	CHECK_INT(s1->error, COORD_NONE);
	CHECK_INT(s2->error, COORD_NONE);
	CHECK_INT(strcmp(s1->assignment, "one"), 0);
	CHECK_INT(strcmp(s2->assignment, "two"), 0);
}

static void
test_first_member(void)
{
	Answer	   *a,
			   *s;

	fresh();
	CHECK_INT(state(), COORD_DEAD);
	a = join("", "range=x,sticky=y");
	CHECK_INT(a->error, COORD_MEMBER_ID_REQUIRED);
	CHECK_INT(strncmp(a->member, "client-", 7), 0);
	CHECK_INT(strlen(a->member), 7 + 36);
	CHECK_INT(a->generation, -1);
	CHECK_INT(strcmp(a->leader, ""), 0);
	CHECK_INT(strcmp(a->protocol, "null"), 0);
	CHECK_INT(state(), COORD_EMPTY);
	a = join(a->member, "range=x,sticky=y");
	CHECK(!a->there);
	CHECK_INT(nchanges, 1);
	CHECK_INT(changed_to, 1);
	CHECK_INT(state(), COORD_PREPARING_REBALANCE);
	pass(DELAY - 1);
	CHECK(!a->there);
	pass(1);
	CHECK(a->there);
	CHECK_INT(a->error, COORD_NONE);
	CHECK_INT(a->generation, 1);
	CHECK_INT(a->nmembers, 1);
	CHECK_INT(strcmp(a->leader, a->member), 0);
	CHECK_INT(strcmp(a->protocol, "range"), 0);
	CHECK_INT(strcmp(a->metadata, "x"), 0);
	CHECK_INT(state(), COORD_COMPLETING_REBALANCE);
	CHECK_INT(heartbeat(a->member, 1), COORD_NONE);
	CHECK_INT(commit(a->member, 1), COORD_REBALANCE_IN_PROGRESS);
	CHECK_INT(commit_full(3, true, a->member, NULL, 1), COORD_NONE);
	s = sync_full(a->member, NULL, 1, "range", a->member, "p0", NULL, NULL);
	CHECK_INT(s->error, COORD_NONE);
	CHECK_INT(strcmp(s->assignment, "p0"), 0);
	CHECK_INT(strcmp(s->protocol, "range"), 0);
	CHECK_INT(state(), COORD_STABLE);
	CHECK_INT(commit(a->member, 1), COORD_NONE);
}

static void
test_initial_delay_grows(void)
{
	Answer	   *a,
			   *b,
			   *c;

	fresh();
	a = join_full(3, "", NULL, "range=x", SESSION, 7000);
	pass(2000);
	b = join_full(3, "", NULL, "range=x", SESSION, 7000);
	pass(1000);
	CHECK(!a->there && !b->there);	/* somebody came: prolonged by another
									 * delay */
	pass(1000);
	c = join_full(3, "", NULL, "range=x", SESSION, 7000);
	pass(1999);
	CHECK(!a->there);
	/* 6 s are over, somebody came again: the rest up to 7 s */
	pass(1000);
	CHECK(!a->there);
	pass(1);
	CHECK(a->there && b->there && c->there);
	CHECK_INT(a->nmembers, 3);
	CHECK_INT(b->nmembers, 0);
	CHECK_INT(strcmp(b->leader, a->member), 0);
}

static void
test_bad_requests(void)
{
	CoordEvent	event;

	fresh();
	CHECK_INT(join_full(9, "", NULL, "range=x", 5999, REBALANCE)->error, COORD_INVALID_SESSION_TIMEOUT);
	CHECK_INT(join_full(9, "", NULL, "range=x", 1800001, REBALANCE)->error, COORD_INVALID_SESSION_TIMEOUT);
	CHECK_INT(join_full(9, "", NULL, "", SESSION, REBALANCE)->error, COORD_INCONSISTENT_GROUP_PROTOCOL);
	CHECK_INT(state(), COORD_DEAD);
	CHECK_INT(join("nobody", "range=x")->error, COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(sync_group("nobody", 1)->error, COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(heartbeat("nobody", 1), COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(leave("nobody"), COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(delete_group("g"), COORD_GROUP_ID_NOT_FOUND);
	CHECK_INT(commit("nobody", 1), COORD_ILLEGAL_GENERATION);
	CHECK_INT(commit_full(9, false, "nobody", NULL, 1), COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(commit_full(3, true, "nobody", NULL, 1), COORD_ILLEGAL_GENERATION);
	CHECK_INT(commit("", -1), COORD_NONE);
	event = event_of(COORD_EV_FETCH, "", NULL, -1);
	CHECK_INT(step(&event)->error, COORD_NONE);
	for (int i = 0; i < 4; i++)
	{
		static const CoordEventType types[] = {COORD_EV_JOIN, COORD_EV_SYNC, COORD_EV_HEARTBEAT, COORD_EV_LEAVE};

		event = event_of(types[i], "", NULL, 0);
		memset(&event.u, 0, sizeof(event.u));
		event.group_id = B("");
		CHECK_INT(step(&event)->error, COORD_INVALID_GROUP_ID);
	}
	CHECK_INT(coord_ngroups(groups), 0);
	CHECK_INT(coord_next_deadline(groups), PG_INT64_MAX);
}

static void
test_wrong_generation(void)
{
	Answer	   *a;

	fresh();
	a = stable_one();
	CHECK_INT(heartbeat(a->member, 0), COORD_ILLEGAL_GENERATION);
	CHECK_INT(heartbeat(a->member, 2), COORD_ILLEGAL_GENERATION);
	CHECK_INT(heartbeat("other", 1), COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(commit(a->member, 0), COORD_ILLEGAL_GENERATION);
	CHECK_INT(commit(a->member, -1), COORD_ILLEGAL_GENERATION);
	CHECK_INT(commit("other", 1), COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(commit("", -1), COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(commit_full(2, true, "", NULL, -1), COORD_NONE);
	CHECK_INT(commit_full(3, true, a->member, NULL, 0), COORD_ILLEGAL_GENERATION);
	CHECK_INT(sync_group(a->member, 2)->error, COORD_ILLEGAL_GENERATION);
	CHECK_INT(sync_group("other", 1)->error, COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(sync_full(a->member, NULL, 1, "sticky", NULL, NULL, NULL, NULL)->error, COORD_INCONSISTENT_GROUP_PROTOCOL);
	CHECK_INT(join("other", "range=x")->error, COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(join("", "sticky=x")->error, COORD_INCONSISTENT_GROUP_PROTOCOL);
	join_type = "connect";
	CHECK_INT(join("", "range=x")->error, COORD_INCONSISTENT_GROUP_PROTOCOL);
	join_type = "consumer";
	CHECK_INT(join(a->member, "sticky=x")->error, COORD_INCONSISTENT_GROUP_PROTOCOL);
	CHECK_INT(delete_group("g"), COORD_NON_EMPTY_GROUP);
}

static void
test_second_member(void)
{
	Answer	   *a,
			   *b,
			   *a2,
			   *s;

	fresh();
	a = stable_one();
	b = join_new("range=y");
	CHECK(!b->there);
	CHECK_INT(state(), COORD_PREPARING_REBALANCE);
	CHECK_INT(heartbeat(a->member, 1), COORD_REBALANCE_IN_PROGRESS);
	CHECK_INT(sync_group(a->member, 1)->error, COORD_REBALANCE_IN_PROGRESS);
	/* what it owned it may commit before it joins again */
	CHECK_INT(commit(a->member, 1), COORD_NONE);
	a2 = join(a->member, "range=x2");
	CHECK(a2->there && b->there);
	CHECK_INT(a2->generation, 2);
	CHECK_INT(b->generation, 2);
	CHECK_INT(strcmp(a2->metadata, "x2y"), 0);
	CHECK_INT(commit(a->member, 1), COORD_ILLEGAL_GENERATION);
	s = sync_group(b->member, 2);
	CHECK(!s->there);
	/* the leader names nobody: all get nothing */
	CHECK_INT(sync_full(a->member, NULL, 2, NULL, NULL, NULL, NULL, NULL)->error, COORD_NONE);
	CHECK(s->there);
	CHECK_INT(strcmp(s->assignment, ""), 0);
}

static void
test_join_again(void)
{
	Answer	   *a,
			   *b,
			   *again;

	fresh();
	stable_two(&a, &b);
	/* a follower that says the same gets the same */
	again = join(b->member, "range=y");
	CHECK_INT(again->error, COORD_NONE);
	CHECK_INT(again->generation, 1);
	CHECK_INT(again->nmembers, 0);
	CHECK_INT(state(), COORD_STABLE);
	/* one that says something else starts a rebalance */
	again = join(b->member, "range=z");
	CHECK(!again->there);
	CHECK_INT(state(), COORD_PREPARING_REBALANCE);
	CHECK(!join(b->member, "range=z2")->there);
	CHECK_INT(again->error, COORD_REBALANCE_IN_PROGRESS);	/* it gave that one up */
	again = join(a->member, "range=x");
	CHECK_INT(again->generation, 2);
	CHECK_INT(strcmp(again->metadata, "xz2"), 0);
	/* completing: a lost answer is given again */
	again = join(a->member, "range=x");
	CHECK_INT(again->generation, 2);
	CHECK_INT(again->nmembers, 2);
	sync_full(a->member, NULL, 2, NULL, NULL, NULL, NULL, NULL);
	/* the leader starts a rebalance by joining */
	again = join(a->member, "range=x");
	CHECK(!again->there);
	CHECK_INT(state(), COORD_PREPARING_REBALANCE);
}

static void
test_new_metadata_while_completing(void)
{
	Answer	   *a,
			   *b,
			   *sync;

	fresh();
	a = join_new("range=x");
	b = join_new("range=y");
	pass(SETTLE);
	sync = sync_group(b->member, 1);
	CHECK(!sync->there);
	CHECK(!join(a->member, "range=z")->there);
	CHECK_INT(sync->error, COORD_REBALANCE_IN_PROGRESS);
	CHECK_INT(state(), COORD_PREPARING_REBALANCE);
	CHECK_INT(join(b->member, "range=y")->generation, 2);
}

static void
test_late_members_go(void)
{
	Answer	   *a,
			   *b,
			   *again;

	fresh();
	stable_two(&a, &b);
	again = join(b->member, "range=z");
	/* heartbeats alone do not do */
	for (int i = 0; i < 12; i++)
	{
		CHECK(!again->there);
		CHECK_INT(heartbeat(a->member, 1), COORD_REBALANCE_IN_PROGRESS);
		pass(REBALANCE / 12);
	}
	CHECK_INT(again->generation, 2);
	CHECK_INT(again->nmembers, 1);	/* and leads */
	CHECK_INT(heartbeat(a->member, 1), COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(commit(a->member, 1), COORD_UNKNOWN_MEMBER_ID);
}

static void
test_session_ends(void)
{
	Answer	   *a,
			   *b;

	fresh();
	stable_two(&a, &b);
	pass(SESSION - 1);
	CHECK_INT(heartbeat(a->member, 1), COORD_NONE);
	CHECK_INT(state(), COORD_STABLE);
	pass(1);
	CHECK_INT(state(), COORD_PREPARING_REBALANCE);
	CHECK_INT(changed_to, 1);
	CHECK_INT(heartbeat(b->member, 1), COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(heartbeat(a->member, 1), COORD_REBALANCE_IN_PROGRESS);
	CHECK_INT(join(a->member, "range=x")->generation, 2);
	sync_group(a->member, 2);
	/* commits keep the session, too */
	pass(SESSION - 1);
	CHECK_INT(commit(a->member, 2), COORD_NONE);
	pass(SESSION - 1);
	CHECK_INT(state(), COORD_STABLE);
	pass(1);
	CHECK_INT(state(), COORD_EMPTY);
	CHECK_INT(commit("", -1), COORD_NONE);
	CHECK_INT(commit(a->member, 2), COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(heartbeat(a->member, 3), COORD_UNKNOWN_MEMBER_ID);
	/* the generation goes on where it was */
	a = join_new("range=x");
	pass(DELAY);
	CHECK_INT(a->generation, 4);
}

static void
test_waiting_keeps_session(void)
{
	Answer	   *a,
			   *b,
			   *sync;

	fresh();
	a = join_new("range=x");
	b = join_new("range=y");
	pass(SETTLE);
	sync = sync_group(b->member, 1);
	for (int i = 0; i < 5; i++)
	{
		pass(SESSION - 1);
		CHECK_INT(heartbeat(a->member, 1), COORD_NONE);
		CHECK(!sync->there);
	}
	CHECK_INT(heartbeat(b->member, 1), COORD_NONE);
	pass(SESSION - 1);
	/* the leader has never synced: it is out, b has to join again */
	pass(2);
	CHECK_INT(sync->error, COORD_REBALANCE_IN_PROGRESS);
	CHECK_INT(heartbeat(a->member, 1), COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(join(b->member, "range=y")->generation, 2);
}

static void
test_pending_sync(void)
{
	Answer	   *a,
			   *b;

	fresh();
	a = join_new("range=x");
	b = join_new("range=y");
	pass(SETTLE);
	/* b sends heartbeats and never syncs */
	CHECK_INT(sync_group(a->member, 1)->error, COORD_NONE);
	CHECK_INT(state(), COORD_STABLE);
	for (int i = 0; i < 12; i++)
	{
		CHECK_INT(state(), COORD_STABLE);
		CHECK_INT(heartbeat(a->member, 1), COORD_NONE);
		CHECK_INT(heartbeat(b->member, 1), COORD_NONE);
		pass(REBALANCE / 12);
	}
	CHECK_INT(state(), COORD_PREPARING_REBALANCE);
	CHECK_INT(heartbeat(b->member, 1), COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(heartbeat(a->member, 1), COORD_REBALANCE_IN_PROGRESS);
}

static void
test_pending_members(void)
{
	Answer	   *a,
			   *b,
			   *again;

	fresh();
	a = stable_one();
	/* an id given out holds the rebalance up, for a session's time */
	b = join("", "range=y");
	CHECK_INT(state(), COORD_STABLE);
	again = join(a->member, "range=x");
	CHECK(!again->there);
	pass(SESSION - 1);
	CHECK(!again->there);
	pass(1);
	CHECK_INT(again->generation, 2);
	CHECK_INT(again->nmembers, 1);
	CHECK_INT(join(b->member, "range=y")->error, COORD_UNKNOWN_MEMBER_ID);
	/* leaving gives it back */
	b = join("", "range=y");
	CHECK_INT(join_full(9, b->member, "instance", "range=y", SESSION, REBALANCE)->error, COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(leave(b->member), COORD_NONE);
	CHECK_INT(leave(b->member), COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(state(), COORD_PREPARING_REBALANCE);
}

static void
test_new_member_gone(void)
{
	Answer	   *a,
			   *b;

	fresh();
	a = stable_one();
	/* an old client whose connection broke while it waited */
	b = join_full(3, "", NULL, "range=y", SESSION, 2 * FIVE_MINUTES);
	for (int i = 0; i < 60; i++)
	{
		CHECK_INT(heartbeat(a->member, 1), COORD_REBALANCE_IN_PROGRESS);
		CHECK(!b->there);
		pass(FIVE_MINUTES / 60);
	}
	CHECK(b->there);
	CHECK_INT(b->error, COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(strcmp(b->member, ""), 0);
	CHECK_INT(join(a->member, "range=x")->generation, 2);
}

static void
test_leave(void)
{
	Answer	   *a,
			   *b,
			   *again;

	fresh();
	stable_two(&a, &b);
	CHECK_INT(leave(b->member), COORD_NONE);
	CHECK_INT(nchanges, 1);
	CHECK_INT(changed_to, 1);
	CHECK_INT(state(), COORD_PREPARING_REBALANCE);
	again = join(a->member, "range=x");
	CHECK_INT(again->generation, 2);
	CHECK_INT(again->nmembers, 1);
	sync_group(a->member, 2);
	CHECK_INT(leave(a->member), COORD_NONE);
	CHECK_INT(state(), COORD_EMPTY);
	CHECK_INT(leave(a->member), COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(delete_group("g"), COORD_NONE);
	CHECK_INT(state(), COORD_DEAD);
}

static void
test_leave_while_waiting(void)
{
	Answer	   *a,
			   *b,
			   *again,
			   *sync;

	fresh();
	stable_two(&a, &b);
	again = join(b->member, "range=z");
	CHECK_INT(leave(b->member), COORD_NONE);
	CHECK_INT(again->error, COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(join(a->member, "range=x")->generation, 2);
	b = join_new("range=y");
	join(a->member, "range=x");
	CHECK_INT(b->generation, 3);
	sync = sync_group(b->member, 3);
	CHECK_INT(leave(b->member), COORD_NONE);
	CHECK_INT(sync->error, COORD_UNKNOWN_MEMBER_ID);
}

static void
test_leave_batch(void)
{
	Answer	   *a,
			   *b,
			   *c,
			   *left;

	fresh();
	a = join_static("", "one", "range=x");
	b = join_static("", "two", "range=x");
	c = join_full(3, "", NULL, "range=x", SESSION, REBALANCE);
	pass(SETTLE);
	CHECK(a->there && b->there && c->there);
	{
		CoordLeaveMember members[] = {
			{B(""), B("one"), B("because")},
			{B(""), B("three"), B(NULL)},
			{B(a->member), B("two"), B(NULL)},
			{B(c->member), B(NULL), B(NULL)},
			{B(c->member), B(NULL), B(NULL)},
			{B(""), B(NULL), B(NULL)},
		};

		left = leave_full(members, lengthof(members));
	}
	CHECK_INT(left->error, COORD_NONE);
	CHECK_INT(left->nmembers, 6);
	CHECK_INT(left->left[0], COORD_NONE);
	CHECK_INT(left->left[1], COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(left->left[2], COORD_FENCED_INSTANCE_ID);
	CHECK_INT(left->left[3], COORD_NONE);
	CHECK_INT(left->left[4], COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(left->left[5], COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(changed_to, 1);
	CHECK_INT(join_static(b->member, "two", "range=x")->generation, 2);
}

/* A stable group of a static leader and a dynamic follower. */
static void
stable_static(Answer **a, Answer **b)
{
	*a = join_static("", "one", "range=x");
	*b = join_new("range=y");
	pass(SETTLE);
	CHECK((*a)->there && (*b)->there);
	CHECK_INT(strncmp((*a)->member, "one-", 4), 0);
	sync_full((*a)->member, "one", 1, NULL, (*a)->member, "one", (*b)->member, "two");
	CHECK_INT(sync_group((*b)->member, 1)->error, COORD_NONE);
	CHECK_INT(state(), COORD_STABLE);
}

static void
test_static_returns(void)
{
	Answer	   *a,
			   *b,
			   *again;

	fresh();
	stable_static(&a, &b);
	again = join_static("", "one", "range=x");
	CHECK_INT(again->error, COORD_NONE);
	CHECK_INT(again->generation, 1);
	CHECK_INT(state(), COORD_STABLE);
	CHECK_INT(nchanges, 0);
	CHECK(strcmp(again->member, a->member) != 0);
	/* it leads, and must not assign (KIP-814) */
	CHECK(again->skip);
	CHECK_INT(strcmp(again->leader, again->member), 0);
	CHECK_INT(again->nmembers, 2);
	CHECK_INT(strcmp(sync_full(again->member, "one", 1, NULL, NULL, NULL, NULL, NULL)->assignment, "one"), 0);
	/* its former self is fenced everywhere */
	CHECK_INT(heartbeat_static(a->member, "one", 1), COORD_FENCED_INSTANCE_ID);
	CHECK_INT(commit_full(8, false, a->member, "one", 1), COORD_FENCED_INSTANCE_ID);
	CHECK_INT(commit_full(3, true, a->member, "one", 1), COORD_FENCED_INSTANCE_ID);
	CHECK_INT(sync_full(a->member, "one", 1, NULL, NULL, NULL, NULL, NULL)->error, COORD_FENCED_INSTANCE_ID);
	CHECK_INT(join_static(a->member, "one", "range=x")->error, COORD_FENCED_INSTANCE_ID);
	CHECK_INT(heartbeat_static(a->member, "two", 1), COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(heartbeat(a->member, 1), COORD_UNKNOWN_MEMBER_ID);
	CHECK_INT(heartbeat_static(again->member, "one", 1), COORD_NONE);

	/*
	 * version 8 knows nothing of skipping: another one leads, as far as it
	 * knows
	 */
	b = join_full(8, "", "one", "range=x", SESSION, REBALANCE);
	CHECK_INT(b->error, COORD_NONE);
	CHECK_INT(strcmp(b->leader, again->member), 0);
	CHECK(!b->skip);
	CHECK_INT(b->nmembers, 0);
}

static void
test_static_other_protocol(void)
{
	Answer	   *a,
			   *b,
			   *again;

	fresh();
	a = join_full(9, "", "one", "range=x,sticky=x", SESSION, REBALANCE);
	b = join_full(3, "", NULL, "range=y,sticky=y", SESSION, REBALANCE);
	pass(SETTLE);
	sync_group(a->member, 1);
	sync_group(b->member, 1);
	CHECK_INT(state(), COORD_STABLE);
	again = join_static("", "one", "sticky=x");
	CHECK(!again->there);
	CHECK_INT(state(), COORD_PREPARING_REBALANCE);
	b = join(b->member, "range=y,sticky=y");
	CHECK_INT(again->generation, 2);
	CHECK_INT(b->generation, 2);
	CHECK_INT(strcmp(again->protocol, "sticky"), 0);
}

static void
test_static_returns_while_waiting(void)
{
	Answer	   *a,
			   *b,
			   *again,
			   *sync;

	fresh();
	stable_static(&a, &b);
	/* while joins are collected */
	again = join_static(a->member, "one", "range=x");
	CHECK(!again->there);
	a = join_static("", "one", "range=x");
	CHECK_INT(again->error, COORD_FENCED_INSTANCE_ID);
	CHECK(!a->there);
	b = join(b->member, "range=y");
	CHECK_INT(a->generation, 2);
	/* while it waits for its assignment: all have to join again */
	CHECK_INT(state(), COORD_COMPLETING_REBALANCE);
	sync = sync_group(b->member, 2);
	again = join_static("", "one", "range=x");
	CHECK_INT(sync->error, COORD_REBALANCE_IN_PROGRESS);
	CHECK_INT(sync_full(a->member, "one", 2, NULL, NULL, NULL, NULL, NULL)->error, COORD_FENCED_INSTANCE_ID);
	b = join(b->member, "range=y");
	CHECK_INT(again->generation, 3);
}

static void
test_static_keeps_place(void)
{
	Answer	   *a,
			   *b,
			   *again;

	fresh();
	a = join_full(9, "", "one", "range=x", 1800000, REBALANCE);
	b = join_new("range=y");
	pass(SETTLE);
	sync_full(a->member, "one", 1, NULL, NULL, NULL, NULL, NULL);
	sync_group(b->member, 1);
	CHECK_INT(leave(b->member), COORD_NONE);
	b = join_new("range=y");
	/* the static member does not come in time: it stays, and does not lead */
	pass(REBALANCE);
	CHECK_INT(b->generation, 2);
	CHECK_INT(b->nmembers, 2);
	CHECK_INT(strcmp(b->leader, b->member), 0);
	sync_group(b->member, 2);
	/* nobody comes, neither do static members go */
	CHECK_INT(leave(b->member), COORD_NONE);
	pass(3 * REBALANCE);
	CHECK_INT(state(), COORD_PREPARING_REBALANCE);
	again = join_static(a->member, "one", "range=x");
	CHECK_INT(again->generation, 3);
}

/* Waiting for static members must not be a busy wait, whatever their timeout. */
static void
test_static_without_patience(void)
{
	Answer	   *a,
			   *b;
	CoordEvent	tick = {.type = COORD_EV_TICK};
	int			nticks = 0;

	fresh();
	a = join_full(9, "", "one", "range=x", 60000, 0);
	b = join_full(3, "", NULL, "range=y", 60000, 0);
	while (!a->there)
	{
		now = coord_next_deadline(groups);
		step(&tick);
	}
	/* no time passes */
	sync_full(a->member, "one", 1, NULL, NULL, NULL, NULL, NULL);
	CHECK_INT(sync_group(b->member, 1)->error, COORD_NONE);
	CHECK_INT(leave(b->member), COORD_NONE);
	CHECK_INT(state(), COORD_PREPARING_REBALANCE);
	for (int64 until = now + 30000; now < until && nticks < 1000; nticks++)
	{
		now = Max(now, coord_next_deadline(groups));
		step(&tick);
	}
	CHECK(nticks < 100);
}

static void
test_group_full(void)
{
	Answer	   *a,
			   *b,
			   *c;

	fresh();
	config.max_size = 2;
	coord_configure(groups, &config);
	stable_two(&a, &b);
	c = join("", "range=z");
	CHECK_INT(c->error, COORD_GROUP_MAX_SIZE_REACHED);
	CHECK_INT(strcmp(c->member, ""), 0);
	/* the maximum is lowered: the last to join again is out */
	config.max_size = 1;
	coord_configure(groups, &config);
	c = join(b->member, "range=z");
	CHECK(!c->there);
	CHECK_INT(join(a->member, "range=x")->error, COORD_GROUP_MAX_SIZE_REACHED);
	CHECK_INT(c->generation, 2);
	CHECK_INT(c->nmembers, 1);
	CHECK_INT(heartbeat(a->member, 1), COORD_UNKNOWN_MEMBER_ID);
}

static void
test_votes(void)
{
	Answer	   *a,
			   *b,
			   *c;

	fresh();
	a = join_full(3, "", NULL, "range=x,sticky=x,mine=x,range=again", SESSION, REBALANCE);
	b = join_full(3, "", NULL, "sticky=y,range=y", SESSION, REBALANCE);
	c = join_full(3, "", NULL, "yours=z,sticky=z,range=z", SESSION, REBALANCE);
	pass(SETTLE);
	CHECK_INT(strcmp(a->protocol, "sticky"), 0);
	CHECK_INT(strcmp(a->metadata, "xyz"), 0);
	CHECK_INT(strcmp(c->protocol, "sticky"), 0);
	CHECK_INT(leave(c->member), COORD_NONE);
	/* a tie goes to the elder */
	a = join(a->member, "range=x,sticky=x");
	b = join(b->member, "sticky=y,range=y");
	CHECK_INT(strcmp(b->protocol, "range"), 0);
	CHECK_INT(strcmp(a->metadata, "xy"), 0);
}

static void
test_describe_and_list(void)
{
	Answer	   *a,
			   *b;
	CoordDescription d;
	CoordGroupInfo *infos;
	CoordBytes	stable = B("stable");
	CoordBytes	empty = B("EMPTY");
	CoordBytes	classic = B("Classic");
	CoordBytes	consumer = B("consumer");
	int			n;

	fresh();
	stable_static(&a, &b);
	CHECK(!coord_describe(groups, B("h"), &d));
	CHECK(coord_describe(groups, B("g"), &d));
	CHECK_INT(d.info.kind, COORD_KIND_CLASSIC);
	CHECK_INT(d.info.nmembers, 2);
	CHECK_INT(d.generation, 1);
	CHECK_BYTES(d.protocol_name.data, d.protocol_name.len, "range", 5);
	CHECK_BYTES(d.members[0].member_id.data, d.members[0].member_id.len, a->member, strlen(a->member));
	CHECK_BYTES(d.members[0].group_instance_id.data, d.members[0].group_instance_id.len, "one", 3);
	CHECK_BYTES(d.members[0].metadata.data, d.members[0].metadata.len, "x", 1);
	CHECK_BYTES(d.members[1].assignment.data, d.members[1].assignment.len, "two", 3);
	CHECK_BYTES(d.members[1].client_id.data, d.members[1].client_id.len, "client", 6);
	CHECK_BYTES(d.members[1].client_host.data, d.members[1].client_host.len, "/127.0.0.1", 10);
	CHECK_INT(d.members[1].group_instance_id.len, -1);
	pfree(unconstify(CoordMemberInfo *, d.members));
	infos = coord_list(groups, &n);
	CHECK_INT(n, 1);
	CHECK_BYTES(infos->protocol_type.data, infos->protocol_type.len, "consumer", 8);
	CHECK(coord_list_matches(infos, NULL, 0, NULL, 0));
	CHECK(coord_list_matches(infos, &stable, 1, &classic, 1));
	CHECK(!coord_list_matches(infos, &empty, 1, &classic, 1));
	CHECK(!coord_list_matches(infos, &stable, 1, &consumer, 1));
	pfree(infos);
	leave(b->member);
	CHECK(coord_describe(groups, B("g"), &d));
	CHECK_INT(d.info.state, COORD_PREPARING_REBALANCE);
	CHECK_INT(d.protocol_name.len, 0);
	CHECK_INT(d.members[0].metadata.len, 0);
	pfree(unconstify(CoordMemberInfo *, d.members));
}

static void
test_empty_groups_go(void)
{
	Answer	   *a;
	size_t		used;

	fresh();
	used = coord_memory_used(groups);
	a = stable_one();
	CHECK_INT(leave(a->member), COORD_NONE);
	CHECK_INT(state(), COORD_EMPTY);
	pass(config.empty_linger_ms - 1);
	CHECK_INT(coord_ngroups(groups), 1);
	pass(1);
	CHECK_INT(coord_ngroups(groups), 0);
	CHECK_INT(coord_next_deadline(groups), PG_INT64_MAX);
	/* an id that was given out and not used leaves nothing behind at once */
	join("", "range=x");
	CHECK_INT(coord_ngroups(groups), 1);
	pass(SESSION);
	CHECK_INT(coord_ngroups(groups), 0);
	/* tables and arrays have grown a little */
	CHECK(coord_memory_used(groups) < used + 10000);
}

static void
test_memory_bounded(void)
{
	char		name[32];
	char	   *big = pg_malloc0(100001);
	CoordEvent	event = event_of(COORD_EV_JOIN, "", NULL, 0);
	CoordProtocol protocol;
	int			refused = 0;

	fresh();
	config.memory_max = 1024 * 1024;
	coord_configure(groups, &config);
	memset(big, 'x', 100000);
	protocol = (CoordProtocol)
	{
		B("range"), B(big)
	};
	event.u.join = (CoordJoin)
	{
		SESSION, REBALANCE, B("consumer"), 1, &protocol, B(NULL)
	};
	event.api_version = 3;
	for (int i = 0; i < 100; i++)
	{
		Answer	   *a;

		snprintf(name, sizeof(name), "g%d", i);
		event.group_id = B(name);
		a = step(&event);
		if (a->there)
		{
			CHECK_INT(a->error, COORD_COORDINATOR_NOT_AVAILABLE);
			refused++;
		}
		CHECK(coord_memory_used(groups) <= config.memory_max);
	}
	CHECK(refused > 85 && refused < 95);
	/* empty groups give way */
	pass(DELAY);
	CHECK_INT(coord_ngroups(groups), 100 - refused);
	pass(SESSION);
	CHECK_INT(coord_ngroups(groups), 100 - refused);
	for (int i = 0; i < 5; i++)
	{
		snprintf(name, sizeof(name), "h%d", i);
		event.group_id = B(name);
		CHECK(!step(&event)->there);
	}
	pg_free(big);
}

/* Nothing may take time that grows with the square of the members. */
static void
test_many_members(void)
{
	enum
	{
		N = 8000
	};
	Answer	  **joined = pg_malloc(N * sizeof(Answer *));
	clock_t		started = clock();
	double		seconds;

	fresh();
	for (int i = 0; i < N; i++)
	{
		joined[i] = join_full(3, "", NULL, "range=x", SESSION, REBALANCE);
		CHECK(!joined[i]->there);
	}
	CHECK(coord_memory_used(groups) < N * 1500);
	pass(SETTLE);
	for (int i = 0; i < N; i++)
	{
		CHECK_INT(joined[i]->error, COORD_NONE);
		CHECK_INT(joined[i]->generation, 1);
		CHECK_INT(joined[i]->nmembers, i == 0 ? N : 0);
	}
	pass(REBALANCE);
	CHECK_INT(state(), COORD_EMPTY);
	seconds = (double) (clock() - started) / CLOCKS_PER_SEC;
	SAY("%.2f s", seconds);
	CHECK(seconds < 3);
	pg_free(joined);
}

static void
test_time_goes_back(void)
{
	Answer	   *a;

	fresh();
	a = stable_one();
	now -= 3600 * 1000;
	CHECK_INT(heartbeat(a->member, 1), COORD_NONE);
	CHECK_INT(state(), COORD_STABLE);
	now += 3600 * 1000;
	pass(SESSION - 1);
	CHECK_INT(state(), COORD_STABLE);
	/* a jump: heartbeats that were waiting count before the clock does */
	now += 3600 * 1000;
	CHECK_INT(heartbeat(a->member, 1), COORD_NONE);
	pass(0);
	CHECK_INT(state(), COORD_STABLE);
}

static void
test_member_id_is_bounded(void)
{
	char		client[600];
	CoordEvent	event = event_of(COORD_EV_JOIN, "", NULL, 0);
	CoordProtocol protocol = {B("range"), B("x")};
	Answer	   *a;

	fresh();
	/* two-byte characters, so that the cut would be in the middle of one */
	for (int i = 0; i < 598; i += 2)
		memcpy(client + i, "\303\244", 2);
	client[598] = '\0';
	event.client_id = B(client);
	event.u.join = (CoordJoin)
	{
		SESSION, REBALANCE, B("consumer"), 1, &protocol, B(NULL)
	};
	a = step(&event);
	CHECK_INT(a->error, COORD_MEMBER_ID_REQUIRED);
	CHECK_INT(strlen(a->member), 254 + 37);
}

int
main(void)
{
	RUN(test_first_member);
	RUN(test_initial_delay_grows);
	RUN(test_bad_requests);
	RUN(test_wrong_generation);
	RUN(test_second_member);
	RUN(test_join_again);
	RUN(test_new_metadata_while_completing);
	RUN(test_late_members_go);
	RUN(test_session_ends);
	RUN(test_waiting_keeps_session);
	RUN(test_pending_sync);
	RUN(test_pending_members);
	RUN(test_new_member_gone);
	RUN(test_leave);
	RUN(test_leave_while_waiting);
	RUN(test_leave_batch);
	RUN(test_static_returns);
	RUN(test_static_other_protocol);
	RUN(test_static_returns_while_waiting);
	RUN(test_static_keeps_place);
	RUN(test_static_without_patience);
	RUN(test_group_full);
	RUN(test_votes);
	RUN(test_describe_and_list);
	RUN(test_empty_groups_go);
	RUN(test_memory_bounded);
	RUN(test_many_members);
	RUN(test_time_goes_back);
	RUN(test_member_id_is_bounded);
	coord_destroy(groups);
	return test_done();
}
