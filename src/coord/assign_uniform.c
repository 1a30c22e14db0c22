/*-------------------------------------------------------------------------
 *
 * assign_uniform.c
 *	  The "uniform" assignor: balanced first, then with as few partitions
 *	  moved as possible.
 *
 * Where all members subscribe to the same topics, the sizes of any two
 * members differ by one at most, and no assignment of such sizes moves fewer
 * partitions: a member keeps what it has up to its quota, the quotas that are
 * one larger go to members that need them to keep what they have, and only
 * what is left over changes hands.
 *
 * Where subscriptions differ, that is not always possible.  Partitions that
 * nobody has go, topic by topic, to the subscriber with the fewest; the topics
 * with the most partitions per subscriber go first, as they leave the least
 * choice.  Then each topic is balanced by itself: while its subscriber with
 * the most partitions (of all topics) has two more than the one with the
 * fewest, it gives it one.  This is repeated until nothing moves, or for
 * BALANCE_PASSES at most: each pass lowers the sum of the squares of the
 * sizes, so it ends anyway, but subscriptions can be made for which it would
 * take long.
 *
 * Sibling: assign_range.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/assign.h"

#define BALANCE_PASSES 16

/* What both forms work with. */
typedef struct Uniform
{
	CoordAssignment *assignment;
	int32	   *size;			/* [n_members]: partitions that each has */

	/*
	 * Subscribers of topic t: subscriber[start[t] .. start[t + 1]),
	 * ascending.
	 */
	int32	   *start;
	int32	   *subscriber;
} Uniform;

/*
 * Members in a binary heap by size, ties by number; the root has the least or
 * (most: true) the greatest size.
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

/* Turn the topics of each member into the members of each topic. */
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
 * Take partitions from members that no longer subscribe to their topic; count
 * what each keeps.
 */
static void
drop_unsubscribed(Uniform *u)
{
	CoordAssignment *a = u->assignment;

	for (int t = 0; t < a->n_topics; t++)
	{
		int			checked = COORD_NOBODY; /* neighbours often have the same
											 * owner */

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
 * All members subscribe to the same topics: keep up to the quota, then fill up
 * to it.
 */
static void
assign_homogeneous(Uniform *u)
{
	CoordAssignment *a = u->assignment;
	int32	   *quota = palloc(sizeof(int32) * a->n_members);
	int			member = 0;

	make_quotas(u, quota);

	/* Owners above their quota give up their last partitions. */
	for (int p = a->first[a->n_topics] - 1; p >= 0; p--)
	{
		int			owner = a->owner[p];

		if (owner != COORD_NOBODY && u->size[owner] > quota[owner])
		{
			a->owner[p] = COORD_NOBODY;
			u->size[owner]--;
		}
	}

	/* What is free goes to those below theirs, in runs. */
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
 * Quotas that add up to the number of partitions and differ by one at most.
 * The larger ones go to members that have that many already, then to the
 * first ones.
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

/* Partitions of the topics of a homogeneous group. */
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
 * Give each partition of a topic that nobody has to the subscriber with the
 * fewest.
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

/* What topics are sorted by. */
typedef struct TopicDensity
{
	int			topic;
	int64		partitions;
	int64		subscribers;
} TopicDensity;

/* Topic numbers, those with the most partitions per subscriber first. */
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
 * Move partitions of one topic from the subscribers with the most partitions
 * to those with the fewest, while that makes the difference smaller.
 *
 * spare[member] heads a list, through next[], of the partitions of this topic
 * that the member has.  Givers and takers are two heaps over the same sizes;
 * that is sound because no member is both: who gives had at least two more
 * than the least, so it has more than the least ever after, and the greatest
 * size among givers never grows.
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

static bool
heap_before(const Heap *heap, int32 a, int32 b)
{
	if (heap->size[a] != heap->size[b])
		return heap->most ? heap->size[a] > heap->size[b] : heap->size[a] < heap->size[b];
	return a < b;
}

static void
heap_make(Heap *heap)
{
	for (int i = heap->n / 2 - 1; i >= 0; i--)
		heap_sift(heap, i);
}

/* The size of the member at i has changed for the worse: let it sink. */
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
