/*-------------------------------------------------------------------------
 *
 * assign_range.c
 *	  The "range" assignor, and the list of assignors.
 *
 * Each topic is cut into as many contiguous ranges as it has subscribers, the
 * longer ranges first.  The subscribers get them in an order that is the same
 * for all topics.  So topics with the same number of partitions and the same
 * subscribers are co-partitioned: the member that has partition 3 of one topic
 * has partition 3 of the other.
 *
 * The order makes the assignment sticky: static members first, by instance id
 * (which survives a restart), then dynamic members by member id.
 *
 * Sibling: assign_uniform.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/assign.h"

/*
 * The list of assignors.  The first one is used where no member asks for one.
 */
static const struct
{
	const char *name;
	CoordAssignor assignor;
}			assignors[COORD_ASSIGNORS] = {
	{"uniform", coord_assign_uniform},
	{"range", coord_assign_range},
};

static int	compare_members(const void *a, const void *b);
static int	compare_bytes(CoordBytes a, CoordBytes b);
static void count_subscribers(const CoordAssignment *assignment, int32 *subscribers);
static void deal(CoordAssignment *assignment, int member, const int32 *subscribers, int32 *dealt);

/* A member with its number, to be sorted. */
typedef struct RangeMember
{
	const CoordAssignMember *member;
	int			number;
} RangeMember;

/*
 * Computes the new ranges.  The owners on entry do not matter: the order of
 * the members makes the result sticky.
 */
void
coord_assign_range(CoordAssignment *assignment)
{
	int32	   *subscribers = palloc0(sizeof(int32) * Max(assignment->n_topics, 1));
	int32	   *dealt = palloc0(sizeof(int32) * Max(assignment->n_topics, 1));
	RangeMember *order = palloc(sizeof(RangeMember) * Max(assignment->n_members, 1));

	for (int i = 0; i < assignment->n_members; i++)
		order[i] = (RangeMember)
	{
		&assignment->members[i], i
	};
	qsort(order, assignment->n_members, sizeof(RangeMember), compare_members);

	for (int i = 0; i < assignment->first[assignment->n_topics]; i++)
		assignment->owner[i] = COORD_NOBODY;
	count_subscribers(assignment, subscribers);
	for (int i = 0; i < assignment->n_members; i++)
		deal(assignment, order[i].number, subscribers, dealt);

	pfree(order);
	pfree(dealt);
	pfree(subscribers);
}

/*
 * Counts the members that subscribe to each topic.  subscribers[] comes in
 * zeroed.
 */
static void
count_subscribers(const CoordAssignment *assignment, int32 *subscribers)
{
	for (int i = 0; i < assignment->n_members; i++)
	{
		const CoordAssignMember *member = &assignment->members[i];

		for (int j = 0; j < member->n_topics; j++)
		{
			Assert(member->topics[j] >= 0 && member->topics[j] < assignment->n_topics);
			Assert(j == 0 || member->topics[j - 1] < member->topics[j]);
			subscribers[member->topics[j]]++;
		}
	}
}

/*
 * Gives one member its range of each of its topics.  dealt[t] is the number
 * of subscribers of topic t that have theirs already.  With s subscribers and
 * p = q * s + r partitions, range k starts at k * q + min(k, r).
 */
static void
deal(CoordAssignment *assignment, int member, const int32 *subscribers, int32 *dealt)
{
	const CoordAssignMember *m = &assignment->members[member];

	for (int j = 0; j < m->n_topics; j++)
	{
		int			topic = m->topics[j];
		int32		partitions = assignment->first[topic + 1] - assignment->first[topic];
		int32		quota = partitions / subscribers[topic];
		int32		extra = partitions % subscribers[topic];
		int32		k = dealt[topic]++;
		int32		start = k * quota + Min(k, extra);
		int32		end = start + quota + (k < extra ? 1 : 0);

		Assert(k < subscribers[topic]);
		Assert(end <= partitions);
		Assert(k < subscribers[topic] - 1 || end == partitions);
		for (int32 p = start; p < end; p++)
		{
			Assert(assignment->owner[assignment->first[topic] + p] == COORD_NOBODY);
			assignment->owner[assignment->first[topic] + p] = member;
		}
	}
}

/*
 * The order of qsort: static members by instance id, then dynamic members by
 * member id.  Ids are unique, so there are no ties.
 */
static int
compare_members(const void *a, const void *b)
{
	const CoordAssignMember *x = ((const RangeMember *) a)->member;
	const CoordAssignMember *y = ((const RangeMember *) b)->member;

	if (x->instance_id.len >= 0 && y->instance_id.len >= 0)
		return compare_bytes(x->instance_id, y->instance_id);
	if (x->instance_id.len >= 0)
		return -1;
	if (y->instance_id.len >= 0)
		return 1;
	return compare_bytes(x->member_id, y->member_id);
}

/*
 * Compares bytes; of two ids with a common start the shorter one is first.
 */
static int
compare_bytes(CoordBytes a, CoordBytes b)
{
	int			order = memcmp(a.data, b.data, Min(a.len, b.len));

	return order != 0 ? order : a.len - b.len;
}

/*
 * Returns true if all members subscribe to the same topics.  Groups with no
 * member or one member are homogeneous.
 */
bool
coord_assign_homogeneous(const CoordAssignment *assignment)
{
	const CoordAssignMember *first = assignment->members;

	for (int i = 1; i < assignment->n_members; i++)
	{
		const CoordAssignMember *other = &assignment->members[i];

		if (other->n_topics != first->n_topics)
			return false;
		if (first->n_topics > 0 &&
			memcmp(other->topics, first->topics, sizeof(int32) * first->n_topics) != 0)
			return false;
	}
	return true;
}

/*
 * Returns the number of an assignor, or -1.  As in Kafka, case matters.
 */
int
coord_assignor_number(const char *name)
{
	for (int i = 0; i < COORD_ASSIGNORS; i++)
	{
		if (strcmp(assignors[i].name, name) == 0)
			return i;
	}
	return -1;
}

/*
 * Returns the name of an assignor; the number must be one of the list.
 */
const char *
coord_assignor_name(int number)
{
	Assert(number >= 0 && number < COORD_ASSIGNORS);
	return assignors[number].name;
}

/*
 * Returns the assignor of that name, or NULL.
 */
CoordAssignor
coord_assignor(const char *name)
{
	int			number = coord_assignor_number(name);

	return number < 0 ? NULL : assignors[number].assignor;
}
