/*-------------------------------------------------------------------------
 *
 * consumer_target.c
 *	  The epochs of consumer groups, and the target assignment of an epoch.
 *
 * The group epoch is bumped when members come, go, or subscribe to something
 * else, and when a topic to which the group subscribes is created, dropped, or
 * gets partitions, or one that a regular expression finds is not to be seen
 * any more (the sum of hashes tells).  The next heartbeat
 * of any member makes the target, so that changes that come together cost one
 * assignment.
 *
 * The input of an assignor is made as follows.  The topics to which the group
 * subscribes are numbered in the order of their slots, so that the result is
 * sorted as sets are.  Each distinct subscription becomes a list of these
 * numbers.  The last target says who the owners were.
 *
 * Siblings: consumer.h, assign.h (the assignors), consumer_reconcile.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/consumer.h"

/* The topics to which a group subscribes, each once. */
typedef struct Topics
{
	int			n;
	CoordTopicEntry **entries;
	ConsumerTopic **topics;		/* the group's entries; number_topics() sorts
								 * by slot */
} Topics;

static Topics collect_topics(CoordGroups *groups, const CoordConsumer *consumer);
static void collect_entry(CoordTopicSet *set, Topics *topics, CoordTopicEntry *entry);
static uint64 hash_topics(CoordGroups *groups, const CoordConsumer *consumer);
static void number_topics(CoordGroups *groups, CoordConsumer *consumer, Topics *topics);
static void number_subscriptions(CoordGroups *groups, CoordConsumer *consumer);
static int	number_one(CoordTopicSet *set, const ConsumerSubscription *subscription, int32 *numbers);
static CoordAssignment make_problem(CoordGroups *groups, CoordConsumer *consumer, const Topics *topics);
static void set_targets(CoordGroups *groups, CoordConsumer *consumer, const Topics *topics,
						const CoordAssignment *assignment);
static int	compare_slots(const void *a, const void *b);
static int	compare_numbers(const void *a, const void *b);

/*
 * Bumps the group epoch if "changed" is set, or if the topics to which the
 * group subscribes have changed.  Returns true if it was bumped.
 */
bool
consumer_bump(CoordGroups *groups, CoordConsumer *consumer, bool changed)
{
	uint64		hash = hash_topics(groups, consumer);

	if (!changed && hash == consumer->topics_hash)
		return false;
	consumer->topics_hash = hash;
	consumer->epoch++;
	Assert(consumer->epoch > consumer->target_epoch);
	return true;
}

/*
 * CoordKindOps.topics: the set of topics has changed.
 */
void
consumer_topics_changed(CoordGroups *groups, CoordGroup *group)
{
	if (group->nmembers > 0)
		(void) consumer_bump(groups, group->consumer, false);
}

/*
 * Returns the number of the assignor with the most votes, or of the default
 * one if there are no votes.
 */
int
consumer_assignor(const CoordGroups *groups, const CoordConsumer *consumer)
{
	int			best = coord_assignor_number(groups->config.consumer_default_assignor);

	Assert(best >= 0);
	best = Max(best, 0);
	for (int i = 0; i < COORD_ASSIGNORS; i++)
	{
		if (consumer->votes[i] > consumer->votes[best])
			best = i;
	}
	return best;
}

/*
 * Makes the target of the group epoch, unless there is one already, or the
 * last one was made less than the assignment interval ago.
 */
void
consumer_target_update(CoordGroups *groups, CoordConsumer *consumer)
{
	Topics		topics;
	CoordAssignment assignment;

	Assert(consumer->target_epoch <= consumer->epoch);
	if (consumer->target_epoch == consumer->epoch)
		return;
	if (consumer->assigned_at != PG_INT64_MIN &&
		groups->now < consumer->assigned_at + groups->config.consumer_assignment_interval_ms)
		return;

	topics = collect_topics(groups, consumer);
	number_topics(groups, consumer, &topics);
	number_subscriptions(groups, consumer);
	assignment = make_problem(groups, consumer, &topics);
	coord_assignor(coord_assignor_name(consumer_assignor(groups, consumer))) (&assignment);
	set_targets(groups, consumer, &topics, &assignment);
	consumer->target_epoch = consumer->epoch;
	consumer->assigned_at = groups->now;
	consumer_topics_sweep(groups, consumer);
}

/*
 * Collects all existing topics to which somebody subscribes, in memory of the
 * step.
 */
static Topics
collect_topics(CoordGroups *groups, const CoordConsumer *consumer)
{
	CoordTopicSet *set = coord_topics(groups);
	Topics		topics = {0};
	int64		most = 0;
	dlist_iter	iter;

	dlist_foreach(iter, unconstify(dlist_head *, &consumer->subscriptions))
	{
		ConsumerSubscription *subscription = dlist_container(ConsumerSubscription, link, iter.cur);

		most += subscription->nnames;
		if (subscription->regex != NULL)
		{
			coord_regex_resolve(groups, subscription->regex);
			most += subscription->regex->ntopics;
		}
	}
	topics.entries = coord_step_alloc(groups, sizeof(CoordTopicEntry *) * Max(Min(most, set->n), 1));

	set->stamp++;
	dlist_foreach(iter, unconstify(dlist_head *, &consumer->subscriptions))
	{
		ConsumerSubscription *subscription = dlist_container(ConsumerSubscription, link, iter.cur);

		for (int i = 0; i < subscription->nnames; i++)
			collect_entry(set, &topics, coord_topic_by_name(groups, subscription->names[i]));
		for (int i = 0; subscription->regex != NULL && i < subscription->regex->ntopics; i++)
			collect_entry(set, &topics, &set->entries[subscription->regex->topics[i]]);
	}
	Assert(topics.n <= set->n);
	return topics;
}

/*
 * Adds a topic, unless it was added before.  The stamp tells.
 */
static void
collect_entry(CoordTopicSet *set, Topics *topics, CoordTopicEntry *entry)
{
	if (entry == NULL || entry->stamp == set->stamp)
		return;
	entry->stamp = set->stamp;
	topics->entries[topics->n++] = entry;
}

/*
 * Returns a hash of the topics that does not depend on their order.  What each
 * regular expression finds is in it, too: its viewer may see other topics now
 * while the group as a whole subscribes to the same.
 */
static uint64
hash_topics(CoordGroups *groups, const CoordConsumer *consumer)
{
	Topics		topics = collect_topics(groups, consumer);
	uint64		hash = 0;
	dlist_iter	iter;

	for (int i = 0; i < topics.n; i++)
		hash += topics.entries[i]->hash;
	dlist_foreach(iter, unconstify(dlist_head *, &consumer->subscriptions))
	{
		const CoordRegex *regex = dlist_container(ConsumerSubscription, link, iter.cur)->regex;

		hash += regex == NULL ? 0 : regex->hash;
	}
	return hash;
}

/*
 * Gives the topics slots, sorts them by slot, and marks each entry with its
 * number.
 */
static void
number_topics(CoordGroups *groups, CoordConsumer *consumer, Topics *topics)
{
	topics->topics = coord_step_alloc(groups, sizeof(ConsumerTopic *) * Max(topics->n, 1));
	for (int i = 0; i < topics->n; i++)
	{
		topics->topics[i] = consumer_topic_get(groups, consumer, topics->entries[i]);
		Assert(topics->topics[i]->npartitions >= topics->entries[i]->npartitions);
	}
	qsort(topics->topics, topics->n, sizeof(ConsumerTopic *), compare_slots);
	for (int i = 0; i < topics->n; i++)
	{
		CoordTopicEntry *entry = coord_topic_by_id(groups, &topics->topics[i]->id);

		Assert(entry != NULL && entry->stamp == groups->topics->stamp);
		entry->mark = i;
		topics->entries[i] = entry;
	}
}

/*
 * Turns each distinct subscription into an ascending list of topic numbers,
 * in memory of the step.
 */
static void
number_subscriptions(CoordGroups *groups, CoordConsumer *consumer)
{
	CoordTopicSet *set = coord_topics(groups);
	dlist_iter	iter;

	dlist_foreach(iter, &consumer->subscriptions)
	{
		ConsumerSubscription *subscription = dlist_container(ConsumerSubscription, link, iter.cur);
		int			most = subscription->nnames;
		int32	   *numbers;
		int			n = 0;
		int			found;

		if (subscription->regex != NULL)
			most += subscription->regex->ntopics;
		numbers = coord_step_alloc(groups, sizeof(int32) * Max(most, 1));
		for (int i = 0; i < subscription->nnames; i++)
		{
			CoordTopicEntry *entry = coord_topic_by_name(groups, subscription->names[i]);

			if (entry != NULL)
				numbers[n++] = entry->mark;
		}
		found = n + number_one(set, subscription, numbers + n);
		Assert(found <= most);
		qsort(numbers, found, sizeof(int32), compare_numbers);
		subscription->nnumbers = 0;
		for (int i = 0; i < found; i++)
		{
			if (i == 0 || numbers[i] != numbers[i - 1])
				numbers[subscription->nnumbers++] = numbers[i];
		}
		subscription->numbers = numbers;
	}
}

/*
 * Adds the numbers of the topics that the subscription's regular expression
 * matches; returns how many these are.
 */
static int
number_one(CoordTopicSet *set, const ConsumerSubscription *subscription, int32 *numbers)
{
	const CoordRegex *regex = subscription->regex;

	if (regex == NULL)
		return 0;
	Assert(regex->version == set->version);
	for (int i = 0; i < regex->ntopics; i++)
		numbers[i] = set->entries[regex->topics[i]].mark;
	return regex->ntopics;
}

/*
 * Makes the assignor's input: members, topics, and the owners in the last
 * target.
 */
static CoordAssignment
make_problem(CoordGroups *groups, CoordConsumer *consumer, const Topics *topics)
{
	int			nmembers = consumer->by_id.n;
	CoordAssignMember *members = coord_step_alloc(groups, sizeof(CoordAssignMember) * Max(nmembers, 1));
	int32	   *first = coord_step_alloc(groups, sizeof(int32) * (topics->n + 1));
	int32	   *number = coord_step_alloc(groups, sizeof(int32) * Max(consumer->nslots, 1));
	CoordAssignment problem = {.members = members,.n_topics = topics->n,.first = first};
	dlist_iter	iter;

	memset(number, -1, sizeof(int32) * Max(consumer->nslots, 1));
	first[0] = 0;
	for (int i = 0; i < topics->n; i++)
	{
		first[i + 1] = first[i] + topics->entries[i]->npartitions;
		number[topics->topics[i]->slot] = i;
	}
	problem.owner = coord_step_alloc(groups, sizeof(int32) * Max(first[topics->n], 1));
	memset(problem.owner, -1, sizeof(int32) * first[topics->n]);
	StaticAssertStmt(COORD_NOBODY == -1, "filled with bytes of ones");

	dlist_foreach(iter, &consumer->members)
	{
		ConsumerMember *member = dlist_container(ConsumerMember, link, iter.cur);

		for (int i = 0; i < member->target.n; i++)
		{
			const ConsumerPart *part = &member->target.parts[i];
			int32		topic = number[part->topic];

			if (topic >= 0 && part->partition < first[topic + 1] - first[topic])
				problem.owner[first[topic] + part->partition] = problem.n_members;
		}
		members[problem.n_members++] = (CoordAssignMember)
		{
			.member_id = member->node.key,
				.instance_id = member->instance_id,
				.topics = member->subscription->numbers,
				.n_topics = member->subscription->nnumbers,
		};
	}
	Assert(problem.n_members == nmembers);
	return problem;
}

/*
 * Takes the assignor's output as the members' targets.  A target that stays
 * the same is not copied.
 */
static void
set_targets(CoordGroups *groups, CoordConsumer *consumer, const Topics *topics, const CoordAssignment *assignment)
{
	int32		nparts = assignment->first[assignment->n_topics];
	ConsumerPart *parts = coord_step_alloc(groups, sizeof(ConsumerPart) * Max(nparts, 1));
	int32	   *fill = coord_step_alloc(groups, sizeof(int32) * (assignment->n_members + 1));
	int			member = 0;
	dlist_iter	iter;

	memset(fill, 0, sizeof(int32) * (assignment->n_members + 1));
	for (int i = 0; i < nparts; i++)
	{
		if (assignment->owner[i] != COORD_NOBODY)
			fill[assignment->owner[i] + 1]++;
	}
	for (int i = 0; i < assignment->n_members; i++)
		fill[i + 1] += fill[i];
	for (int t = 0; t < assignment->n_topics; t++)
	{
		for (int i = assignment->first[t]; i < assignment->first[t + 1]; i++)
		{
			if (assignment->owner[i] != COORD_NOBODY)
				parts[fill[assignment->owner[i]]++] = (ConsumerPart)
			{
				topics->topics[t]->slot, i - assignment->first[t], 0
			};
		}
	}

	/*
	 * fill[m] is now the end of the parts of member m and the start of those
	 * of m + 1
	 */
	dlist_foreach(iter, &consumer->members)
	{
		ConsumerMember *m = dlist_container(ConsumerMember, link, iter.cur);
		int			start = member == 0 ? 0 : fill[member - 1];
		int			n = fill[member] - start;

		if (!consumer_parts_equal(&m->target, parts + start, n))
			consumer_parts_replace(groups, &m->target, parts + start, n);
		member++;
	}
	Assert(member == assignment->n_members);
}

static int
compare_slots(const void *a, const void *b)
{
	const ConsumerTopic *x = *(ConsumerTopic *const *) a;
	const ConsumerTopic *y = *(ConsumerTopic *const *) b;

	return x->slot - y->slot;
}

static int
compare_numbers(const void *a, const void *b)
{
	int32		x = *(const int32 *) a;
	int32		y = *(const int32 *) b;

	return x < y ? -1 : x > y;
}
