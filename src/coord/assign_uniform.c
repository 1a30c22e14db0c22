/*-------------------------------------------------------------------------
 *
 * assign_uniform.c
 *	  The "uniform" assignor: balanced first, then with as few partitions
 *	  moved as possible.
 *
 * If all members subscribe to the same topics, the numbers of partitions of
 * any two members differ by one at most, and no balanced assignment moves
 * fewer partitions.  A member keeps what it has up to its quota.  The larger
 * quotas go to members that need them to keep what they have.  Only the
 * partitions that are left over move.
 *
 * If subscriptions differ, such a balance does not always exist.  Partitions
 * without an owner go, topic by topic, to the subscriber with the fewest
 * partitions.  Topics with the most partitions per subscriber go first,
 * because they leave the least choice.  Then each topic is balanced by itself:
 * while its subscriber with the most partitions (of all topics) has at least
 * two more than its subscriber with the fewest, one partition moves between
 * them.  This is repeated until nothing moves, BALANCE_PASSES times at most.
 * Each move lowers the sum of the squares of the sizes, so it would end by
 * itself, but clients could choose subscriptions for which that takes long.
 *
 * Sibling: assign_range.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/assign.h"

#define BALANCE_PASSES 16

/* The working state of both variants. */
typedef struct Uniform
{
	CoordAssignment *assignment;	/* the caller's */
	int32	   *size;			/* [n_members]: number of partitions that each
								 * has now */

	/*
	 * The subscribers of topic t, in ascending order, are
	 * subscriber[start[t]] to subscriber[start[t + 1] - 1].
	 */
	int32	   *start;
	int32	   *subscriber;
} Uniform;

/*
 * A binary heap of member numbers, ordered by size and then by number.  The
 * root is the member with the smallest size, or with the largest size if
 * "most" is set.
 */
typedef struct Heap
{
	const int32 *size;
	int32	   *members;
	int			n;
	bool		most;
} Heap;

static void uniform_init(Uniform *u, CoordAssignment *assignment);
static void uniform_free(Uniform *u);
static void list_subscribers(Uniform *u);
static void drop_unsubscribed(Uniform *u);
static bool subscribes(const CoordAssignMember *member, int topic);
static void assign_homogeneous(Uniform *u);
static void make_quotas(const Uniform *u, int32 *quota);
static int32 pool_size(const Uniform *u);
static void assign_heterogeneous(Uniform *u);
static void hand_out(Uniform *u, int topic);
static int *topics_by_density(const Uniform *u);
static int	compare_density(const void *a, const void *b);
static bool balance_topic(Uniform *u, int topic, int32 *spare, int32 *next);
static void heap_make(Heap *heap);
static void heap_sift(Heap *heap, int i);

/*
 * Balances the target and keeps as much of the last one as that allows.  The
 * header of the file says what is guaranteed.
 */
void
coord_assign_uniform(CoordAssignment *assignment)
{
	Uniform		u;

	uniform_init(&u, assignment);
	drop_unsubscribed(&u);
	if (assignment->n_members > 0)
	{
		if (coord_assign_homogeneous(assignment))
			assign_homogeneous(&u);
		else
			assign_heterogeneous(&u);
	}
	uniform_free(&u);
}

/*
 * Prepares the working state; uniform_free() frees it.  All sizes are 0 until
 * drop_unsubscribed() has counted.
 */
static void
uniform_init(Uniform *u, CoordAssignment *assignment)
{
	u->assignment = assignment;
	u->size = palloc0(sizeof(int32) * Max(assignment->n_members, 1));
	list_subscribers(u);
}

static void
uniform_free(Uniform *u)
{
	pfree(u->subscriber);
	pfree(u->start);
	pfree(u->size);
}

/*
 * Inverts the subscriptions: from the topics of each member to the members of
 * each topic.  This is a counting sort.
 */
static void
list_subscribers(Uniform *u)
{
	CoordAssignment *a = u->assignment;
	int32	   *fill;

	u->start = palloc0(sizeof(int32) * (a->n_topics + 1));
	for (int i = 0; i < a->n_members; i++)
	{
		for (int j = 0; j < a->members[i].n_topics; j++)
			u->start[a->members[i].topics[j] + 1]++;
	}
	for (int t = 0; t < a->n_topics; t++)
		u->start[t + 1] += u->start[t];

	u->subscriber = palloc(sizeof(int32) * Max(u->start[a->n_topics], 1));
	fill = palloc(sizeof(int32) * Max(a->n_topics, 1));
	memcpy(fill, u->start, sizeof(int32) * a->n_topics);
	for (int i = 0; i < a->n_members; i++)
	{
		for (int j = 0; j < a->members[i].n_topics; j++)
		{
			int			topic = a->members[i].topics[j];

			Assert(topic >= 0 && topic < a->n_topics);
			Assert(fill[topic] < u->start[topic + 1]);
			u->subscriber[fill[topic]++] = i;
		}
	}
	pfree(fill);
}

/*
 * Takes partitions from members that no longer subscribe to the topic, and
 * counts the partitions that each member keeps.
 */
static void
drop_unsubscribed(Uniform *u)
{
	CoordAssignment *a = u->assignment;

	for (int t = 0; t < a->n_topics; t++)
	{
		int			checked = COORD_NOBODY; /* the last owner that passed */

		for (int p = a->first[t]; p < a->first[t + 1]; p++)
		{
			int			owner = a->owner[p];

			Assert(owner >= COORD_NOBODY && owner < a->n_members);
			if (owner == COORD_NOBODY)
				continue;
			if (owner != checked && !subscribes(&a->members[owner], t))
			{
				a->owner[p] = COORD_NOBODY;
				continue;
			}
			checked = owner;
			u->size[owner]++;
		}
	}
}

/*
 * Does the member subscribe to the topic?  A binary search.
 */
static bool
subscribes(const CoordAssignMember *member, int topic)
{
	int			low = 0;
	int			high = member->n_topics;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (member->topics[middle] < topic)
			low = middle + 1;
		else
			high = middle;
	}
	return low < member->n_topics && member->topics[low] == topic;
}

/*
 * Assigns when all members subscribe to the same topics.  Each member keeps
 * partitions up to its quota; the partitions that are left go to members
 * below theirs.
 */
static void
assign_homogeneous(Uniform *u)
{
	CoordAssignment *a = u->assignment;
	int32	   *quota = palloc(sizeof(int32) * a->n_members);
	int			member = 0;

	make_quotas(u, quota);

	/* Members above their quota give up their last partitions. */
	for (int p = a->first[a->n_topics] - 1; p >= 0; p--)
	{
		int			owner = a->owner[p];

		if (owner != COORD_NOBODY && u->size[owner] > quota[owner])
		{
			a->owner[p] = COORD_NOBODY;
			u->size[owner]--;
		}
	}

	/* Members below their quota take the free partitions, in runs. */
	for (int j = 0; j < a->members[0].n_topics; j++)
	{
		int			topic = a->members[0].topics[j];

		for (int p = a->first[topic]; p < a->first[topic + 1]; p++)
		{
			if (a->owner[p] != COORD_NOBODY)
				continue;
			while (u->size[member] >= quota[member])
				member++;
			Assert(member < a->n_members);
			a->owner[p] = member;
			u->size[member]++;
		}
	}
	pfree(quota);
}

/*
 * Makes quotas that differ by one at most and add up to the number of
 * partitions.  The larger quotas go first to members that have that many
 * partitions already, so that fewer move, then to the members with the lowest
 * numbers.
 */
static void
make_quotas(const Uniform *u, int32 *quota)
{
	int			n = u->assignment->n_members;
	int32		least = pool_size(u) / n;
	int32		extra = pool_size(u) % n;

	for (int i = 0; i < n; i++)
	{
		quota[i] = least;
		if (extra > 0 && u->size[i] > least)
		{
			quota[i]++;
			extra--;
		}
	}
	for (int i = 0; i < n && extra > 0; i++)
	{
		if (quota[i] == least)
		{
			quota[i]++;
			extra--;
		}
	}
	Assert(extra == 0);
}

/*
 * Counts the partitions of the topics of a homogeneous group.
 */
static int32
pool_size(const Uniform *u)
{
	const CoordAssignment *a = u->assignment;
	int32		n = 0;

	for (int j = 0; j < a->members[0].n_topics; j++)
	{
		int			topic = a->members[0].topics[j];

		n += a->first[topic + 1] - a->first[topic];
	}
	return n;
}

/*
 * Assigns when subscriptions differ: hands out the free partitions, then
 * balances topic by topic until nothing moves.
 */
static void
assign_heterogeneous(Uniform *u)
{
	CoordAssignment *a = u->assignment;
	int		   *order = topics_by_density(u);
	int32	   *spare = palloc(sizeof(int32) * a->n_members);
	int32	   *next = palloc(sizeof(int32) * Max(a->first[a->n_topics], 1));
	bool		moved = true;

	for (int i = 0; i < a->n_topics; i++)
		hand_out(u, order[i]);

	for (int pass = 0; moved && pass < BALANCE_PASSES; pass++)
	{
		moved = false;
		for (int i = 0; i < a->n_topics; i++)
			moved |= balance_topic(u, order[i], spare, next);
	}
	pfree(next);
	pfree(spare);
	pfree(order);
}

/*
 * Gives each partition of the topic that has no owner to the subscriber with
 * the fewest partitions.  The heap is made only if there is such a partition.
 */
static void
hand_out(Uniform *u, int topic)
{
	CoordAssignment *a = u->assignment;
	int			n = u->start[topic + 1] - u->start[topic];
	Heap		heap = {.size = u->size,.n = n,.most = false};

	for (int p = a->first[topic]; n > 0 && p < a->first[topic + 1]; p++)
	{
		if (a->owner[p] != COORD_NOBODY)
			continue;
		if (heap.members == NULL)
		{
			heap.members = palloc(sizeof(int32) * n);
			memcpy(heap.members, u->subscriber + u->start[topic], sizeof(int32) * n);
			heap_make(&heap);
		}
		a->owner[p] = heap.members[0];
		u->size[heap.members[0]]++;
		heap_sift(&heap, 0);
	}
	if (heap.members != NULL)
		pfree(heap.members);
}

/* The sort key of topics_by_density(). */
typedef struct TopicDensity
{
	int			topic;
	int64		partitions;
	int64		subscribers;
} TopicDensity;

/*
 * Returns the topic numbers in the order in which they are handed out: the
 * topic with the most partitions per subscriber first.  The caller frees the
 * array.
 */
static int *
topics_by_density(const Uniform *u)
{
	const CoordAssignment *a = u->assignment;
	TopicDensity *densities = palloc(sizeof(TopicDensity) * Max(a->n_topics, 1));
	int		   *order = palloc(sizeof(int) * Max(a->n_topics, 1));

	for (int t = 0; t < a->n_topics; t++)
		densities[t] = (TopicDensity)
	{
		t, a->first[t + 1] - a->first[t], u->start[t + 1] - u->start[t]
	};
	qsort(densities, a->n_topics, sizeof(TopicDensity), compare_density);
	for (int t = 0; t < a->n_topics; t++)
		order[t] = densities[t].topic;
	pfree(densities);
	return order;
}

/*
 * Compares partitions per subscriber, without a division.  On a tie the topic
 * with fewer subscribers goes first, then the lower number, so that the order
 * is total.
 */
static int
compare_density(const void *a, const void *b)
{
	const TopicDensity *x = a;
	const TopicDensity *y = b;
	int64		left = x->partitions * Max(y->subscribers, 1);
	int64		right = y->partitions * Max(x->subscribers, 1);

	if (left != right)
		return left > right ? -1 : 1;
	if (x->subscribers != y->subscribers)
		return x->subscribers < y->subscribers ? -1 : 1;
	return x->topic < y->topic ? -1 : 1;
}

/*
 * Moves partitions of one topic from the subscribers with the most partitions
 * to those with the fewest, as long as that makes the difference smaller.
 * Returns true if a partition was moved.  spare[] and next[] are work space.
 *
 * spare[member] heads a list, linked by next[], of the member's partitions of
 * this topic.  Givers and takers are two heaps over the same sizes.  This is
 * sound because no member is ever in both roles: a giver had at least two
 * partitions more than the smallest member, so it stays above the smallest
 * size, and the largest size among givers never grows.
 */
static bool
balance_topic(Uniform *u, int topic, int32 *spare, int32 *next)
{
	CoordAssignment *a = u->assignment;
	int			n = u->start[topic + 1] - u->start[topic];
	const int32 *subscribers = u->subscriber + u->start[topic];
	Heap		givers = {.size = u->size,.most = true};
	Heap		takers = {.size = u->size,.most = false,.n = n};
	bool		moved = false;

	if (n < 2)
		return false;
	for (int i = 0; i < n; i++)
		spare[subscribers[i]] = -1;
	for (int p = a->first[topic]; p < a->first[topic + 1]; p++)
	{
		next[p] = spare[a->owner[p]];
		spare[a->owner[p]] = p;
	}
	givers.members = palloc(sizeof(int32) * n);
	takers.members = palloc(sizeof(int32) * n);
	memcpy(takers.members, subscribers, sizeof(int32) * n);
	for (int i = 0; i < n; i++)
	{
		if (spare[subscribers[i]] >= 0)
			givers.members[givers.n++] = subscribers[i];
	}
	heap_make(&givers);
	heap_make(&takers);

	while (givers.n > 0 && u->size[givers.members[0]] - u->size[takers.members[0]] >= 2)
	{
		int			giver = givers.members[0];
		int			taker = takers.members[0];
		int			p = spare[giver];

		Assert(giver != taker && p >= 0 && a->owner[p] == giver);
		spare[giver] = next[p];
		a->owner[p] = taker;
		u->size[giver]--;
		u->size[taker]++;
		moved = true;
		if (spare[giver] < 0)
			givers.members[0] = givers.members[--givers.n];
		heap_sift(&givers, 0);
		heap_sift(&takers, 0);
	}
	pfree(givers.members);
	pfree(takers.members);
	return moved;
}

/*
 * The order of a heap: a is nearer to the root than b.
 */
static bool
heap_before(const Heap *heap, int32 a, int32 b)
{
	if (heap->size[a] != heap->size[b])
		return heap->most ? heap->size[a] > heap->size[b] : heap->size[a] < heap->size[b];
	return a < b;
}

/*
 * Orders the members of a heap that was just filled.
 */
static void
heap_make(Heap *heap)
{
	for (int i = heap->n / 2 - 1; i >= 0; i--)
		heap_sift(heap, i);
}

/*
 * Restores the order after the member at i has moved away from the root's
 * end: lets it sink.
 */
static void
heap_sift(Heap *heap, int i)
{
	for (;;)
	{
		int			best = i;
		int32		swap;

		for (int child = 2 * i + 1; child <= 2 * i + 2 && child < heap->n; child++)
		{
			if (heap_before(heap, heap->members[child], heap->members[best]))
				best = child;
		}
		if (best == i)
			return;
		swap = heap->members[i];
		heap->members[i] = heap->members[best];
		heap->members[best] = swap;
		i = best;
	}
}
