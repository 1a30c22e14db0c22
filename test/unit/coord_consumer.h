/*-------------------------------------------------------------------------
 *
 * coord_consumer.h
 *	  A coordinator to be driven by tests of consumer groups: one group, topics "t0", "t1", ...,
 *	  answers kept as text.
 *
 *	  Used by test_coord_consumer.c and test_coord_migrate.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_TEST_COORD_CONSUMER_H
#define PT_TEST_COORD_CONSUMER_H

#include "test.h"

#include "coord/coord.h"

#define TOPICS_MAX 20
#define AWAY (-1)				/* npartitions of a topic that does not exist */

/* What came back for the last request, with copies of its strings. */
typedef struct Answer
{
	bool		there;
	CoordError	error;
	char		message[1100];
	char		member[300];
	int32		epoch;			/* or generation */
	int32		interval;
	bool		assigned;		/* an assignment came along: */
	char		parts[2000];	/* "t0:0,1 t1:3", sorted by topic name */
	char		bytes[2000];	/* SYNC: the assignment */
	int			nbytes;
	char		protocol[64];
	CoordError	left[8];
} Answer;

static CoordConfig config;
static CoordGroups *groups;
static int64 now;
static uint64 tokens;
static Answer answer;			/* of the request itself */
static Answer late[16];			/* of earlier ones, by token modulo */
static int	partitions[TOPICS_MAX];
static int	incarnation[TOPICS_MAX];	/* of a topic that was dropped and made again */

/* NULL becomes null. */
static CoordBytes
B(const char *s)
{
	return (CoordBytes) {s, s == NULL ? -1 : (int32) strlen(s)};
}

static CoordUuid
topic_id(int topic)
{
	CoordUuid	id = {{0}};

	id.data[0] = topic + 1;
	id.data[1] = incarnation[topic];
	return id;
}

static int
topic_of(const CoordUuid *id)
{
	return id->data[0] - 1;
}

static void
keep(char *to, size_t size, CoordBytes from)
{
	if (from.len < 0)
		strlcpy(to, "null", size);
	else
		snprintf(to, size, "%.*s", from.len, from.len > 0 ? from.data : "");
}

/* Partitions by topic, as text. */
static void
keep_parts(char *to, size_t size, const CoordTopicPartitions *list, int n)
{
	to[0] = '\0';
	for (int t = 0; t < TOPICS_MAX; t++)
	{
		for (int i = 0; i < n; i++)
		{
			if (topic_of(&list[i].topic_id) != t)
				continue;
			snprintf(to + strlen(to), size - strlen(to), "%st%d:", to[0] ? " " : "", t);
			for (int j = 0; j < list[i].npartitions; j++)
				snprintf(to + strlen(to), size - strlen(to), "%s%d", j > 0 ? "," : "", list[i].partitions[j]);
		}
	}
}

static void
take(const CoordReply *r, Answer *a)
{
	memset(a, 0, sizeof(*a));
	a->there = true;
	a->error = r->error;
	keep(a->message, sizeof(a->message), r->message);
	if (r->type == COORD_EV_CONSUMER_HEARTBEAT)
	{
		a->epoch = r->u.consumer.member_epoch;
		a->interval = r->u.consumer.heartbeat_interval_ms;
		a->assigned = r->u.consumer.nassigned >= 0;
		keep(a->member, sizeof(a->member), r->u.consumer.member_id);
		keep_parts(a->parts, sizeof(a->parts), r->u.consumer.assigned, r->u.consumer.nassigned);
	}
	else if (r->type == COORD_EV_JOIN)
	{
		a->epoch = r->u.join.generation;
		keep(a->member, sizeof(a->member), r->u.join.member_id);
		keep(a->protocol, sizeof(a->protocol), r->u.join.protocol_name);
	}
	else if (r->type == COORD_EV_SYNC)
	{
		a->nbytes = Max(r->u.sync.assignment.len, 0);
		Assert(a->nbytes <= (int) sizeof(a->bytes));
		if (a->nbytes > 0)
			memcpy(a->bytes, r->u.sync.assignment.data, a->nbytes);
	}
	else if (r->type == COORD_EV_LEAVE)
	{
		for (int i = 0; i < r->u.leave.nmembers && i < 8; i++)
			a->left[i] = r->u.leave.members[i].error;
	}
}

static Answer *
step(CoordEvent *event)
{
	CoordReplies out;
	bool		asks = event->type != COORD_EV_TICK && event->type != COORD_EV_TOPICS;

	memset(&answer, 0, sizeof(answer));
	event->token = asks ? ++tokens : 0;
	coord_step(groups, event, now, &out);
	for (int i = 0; i < out.nreplies; i++)
		take(&out.replies[i], out.replies[i].token == event->token ? &answer :
			 &late[out.replies[i].token % lengthof(late)]);
	return &answer;
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

/* Topics as they are in partitions[]. */
static void
topics_tell(void)
{
	static const char *const names[TOPICS_MAX] = {
		"t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9",
		"t10", "t11", "t12", "t13", "t14", "t15", "t16", "t17", "t18", "t19"
	};
	CoordTopic	list[TOPICS_MAX];
	CoordEvent	event = {.type = COORD_EV_TOPICS};

	event.u.topics.topics = list;
	for (int t = 0; t < TOPICS_MAX; t++)
	{
		if (partitions[t] != AWAY)
			list[event.u.topics.ntopics++] = (CoordTopic) {topic_id(t), B(names[t]), partitions[t]};
	}
	step(&event);
}

/* Whose eyes heartbeats look with, and what viewer 1 may not see. */
static uint32 viewer;
static const char *hidden;

/* "^t1.*": a prefix and .* is all that these tests know. */
static bool
regex_matches(void *arg, uint32 eyes, CoordBytes regex, CoordBytes topic)
{
	int			prefix = regex.len - 2;

	if (eyes == 1 && hidden != NULL && pt_string_equal(topic, B(hidden)))
		return false;
	return topic.len >= prefix && memcmp(topic.data, regex.data, prefix) == 0;
}

static const char *
regex_valid(void *arg, CoordBytes regex)
{
	return regex.len >= 2 && memcmp(regex.data + regex.len - 2, ".*", 2) == 0 ? NULL : "it has no end";
}

static void
begin(void)
{
	if (groups != NULL)
		coord_destroy(groups);
	groups = coord_create(&config, 42);
	now = 1000000;
	tokens = 0;
	memset(late, 0, sizeof(late));
	topics_tell();
}

/* A new coordinator with the defaults and t0 of n0, t1 of n1 partitions. */
static void
fresh(int n0, int n1)
{
	coord_config_defaults(&config);
	config.regex_valid = regex_valid;
	config.regex_matches = regex_matches;
	viewer = 0;
	hidden = NULL;
	for (int t = 0; t < TOPICS_MAX; t++)
		partitions[t] = AWAY;
	partitions[0] = n0;
	partitions[1] = n1;
	begin();
}

static CoordEvent
event_of(CoordEventType type, const char *member, const char *instance, int generation)
{
	CoordEvent	event = {
		.type = type,
		.api_version = 1,
		.group_id = B("g"),
		.member_id = B(member),
		.group_instance_id = B(instance),
		.generation = generation,
		.client_id = B("client"),
		.client_host = B("/127.0.0.1"),
		.viewer = viewer,
	};

	return event;
}

/* "t0 t1" */
static int
split_names(const char *text, CoordBytes *names)
{
	int			n = 0;

	while (*text != '\0')
	{
		int			len = strcspn(text, " ");

		names[n++] = (CoordBytes) {text, len};
		text += len + (text[len] == ' ');
	}
	return n;
}

/* "t0:0,1 t1:3" */
static int
split_parts(const char *text, CoordTopicPartitions *list, int32 *numbers)
{
	int			n = 0;
	char	   *end;

	while (*text != '\0')
	{
		int			topic = strtol(text + 1, &end, 10);

		list[n] = (CoordTopicPartitions) {topic_id(topic), COORD_NULL_BYTES, 0, numbers};
		do
		{
			*numbers++ = strtol(end + 1, &end, 10);
			list[n].npartitions++;
		} while (*end == ',');
		text = end + (*end == ' ');
		n++;
	}
	return n;
}

/* Fields of a heartbeat that are NULL say that nothing has changed. */
static Answer *
beat_full(const char *member, const char *instance, int epoch, const char *names, const char *regex,
		  const char *owned, const char *assignor, int rebalance)
{
	CoordEvent	event = event_of(COORD_EV_CONSUMER_HEARTBEAT, member, instance, epoch);
	CoordBytes	name_list[TOPICS_MAX];
	CoordTopicPartitions owned_list[TOPICS_MAX];
	int32		numbers[1000];

	event.u.consumer = (CoordConsumerHeartbeat)
	{
		.rack_id = COORD_NULL_BYTES,
			.rebalance_timeout_ms = rebalance,
			.nsubscribed = names == NULL ? -1 : split_names(names, name_list),
			.subscribed_topic_names = name_list,
			.subscribed_topic_regex = B(regex),
			.server_assignor = B(assignor),
			.nowned = owned == NULL ? -1 : split_parts(owned, owned_list, numbers),
			.owned = owned_list,
	};
	return step(&event);
}

#define REBALANCE 60000

static inline Answer *
join(const char *member, const char *names)
{
	return beat_full(member, NULL, 0, names, NULL, "", NULL, REBALANCE);
}

static inline Answer *
join_static(const char *member, const char *instance, const char *names)
{
	return beat_full(member, instance, 0, names, NULL, "", NULL, REBALANCE);
}

/* "owned" may be NULL: as before. */
static inline Answer *
beat(const char *member, int epoch, const char *owned)
{
	return beat_full(member, NULL, epoch, NULL, NULL, owned, NULL, -1);
}

static inline Answer *
leave(const char *member, const char *instance, int epoch)
{
	return beat_full(member, instance, epoch, NULL, NULL, NULL, NULL, -1);
}

static inline CoordState
state(void)
{
	CoordGroupInfo info;

	return coord_find(groups, B("g"), &info) ? info.state : COORD_DEAD;
}

static inline CoordKind
kind(void)
{
	CoordGroupInfo info;

	return coord_find(groups, B("g"), &info) ? info.kind : COORD_KIND_EMPTY;
}

static inline CoordError
commit(int version, const char *member, int epoch, bool transactional)
{
	CoordEvent	event = event_of(COORD_EV_COMMIT, member, NULL, epoch);

	event.api_version = version;
	event.u.commit.transactional = transactional;
	return step(&event)->error;
}

static inline CoordError
fetch(const char *member, int epoch)
{
	CoordEvent	event = event_of(COORD_EV_FETCH, member, NULL, epoch);

	event.api_version = 9;
	return step(&event)->error;
}

/* What coord_describe has palloc'd. */
static inline void
description_free(CoordDescription *d)
{
	for (int i = 0; i < d->info.nmembers; i++)
	{
		pfree(unconstify(CoordTopicPartitions *, d->members[i].assigned));
		pfree(unconstify(CoordTopicPartitions *, d->members[i].target));
	}
	pfree(unconstify(CoordMemberInfo *, d->members));
}

static inline int
done(void)
{
	coord_destroy(groups);
	return test_done();
}

static inline void
check_text(const char *got, const char *want, const char *file, int line, const char *what)
{
	char		detail[500];

	snprintf(detail, sizeof(detail), ": \"%s\", want \"%s\"", got, want);
	test_check(strcmp(got, want) == 0, file, line, what, strcmp(got, want) == 0 ? "" : detail);
}

#define CHECK_TEXT(got, want) check_text(got, want, __FILE__, __LINE__, #got)

/* The last answer is an assignment of these partitions, at this epoch. */
#define CHECK_ASSIGNED(a, want_epoch, want_parts) \
	do { \
		Answer	   *a_ = (a); \
		CHECK_INT(a_->error, COORD_NONE); \
		CHECK_INT(a_->epoch, want_epoch); \
		CHECK(a_->assigned); \
		CHECK_TEXT(a_->parts, want_parts); \
	} while (0)

/* The last answer is one without news. */
#define CHECK_QUIET(a, want_epoch) \
	do { \
		Answer	   *a_ = (a); \
		CHECK_INT(a_->error, COORD_NONE); \
		CHECK_INT(a_->epoch, want_epoch); \
		CHECK(!a_->assigned); \
	} while (0)

#define CHECK_ERROR(a, want_error, want_message) \
	do { \
		Answer	   *a_ = (a); \
		CHECK_INT(a_->error, want_error); \
		CHECK_TEXT(a_->message, want_message); \
	} while (0)

#endif							/* PT_TEST_COORD_CONSUMER_H */
