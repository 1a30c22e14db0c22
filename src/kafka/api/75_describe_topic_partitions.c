/*-------------------------------------------------------------------------
 *
 * 75_describe_topic_partitions.c
 *	  DescribeTopicPartitions: topics in pages, ordered by name (KIP-966).
 *
 * A response has at most as many partitions as request and broker allow.  If
 * there are more, its cursor names the partition with which the next page
 * begins.
 *
 * Siblings: ../call.c, ../topics.c, 03_metadata.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/broker.h"
#include "kafka/topics.h"
#include "xact/xact.h"

/* The names to describe, in order; illegal names are kept as they came. */
typedef struct Names
{
	KafkaString *items;
	int			n;
} Names;

/*
 * The order of qsort: by bytes, the shorter name first.
 */
static int
compare_names(const void *a, const void *b)
{
	const KafkaString *x = a;
	const KafkaString *y = b;
	int			cmp = memcmp(x->data, y->data, Min(x->len, y->len));

	return cmp != 0 ? cmp : (x->len > y->len) - (x->len < y->len);
}

/*
 * Returns the topics that the client may describe.
 */
static List *
describable(const KafkaCall *call)
{
	List	   *topics = NIL;
	ListCell   *lc;

	foreach(lc, pt_topic_all())
	{
		if (kafka_may_topic(call, lfirst(lc), PT_OP_DESCRIBE))
			topics = lappend(topics, lfirst(lc));
	}
	return topics;
}

/*
 * Collects the names that were asked for, each once, or those of all topics.
 */
static void
collect_names(const KafkaCall *call, Names *names)
{
	const DescribeTopicPartitionsRequest *in = call->request;
	List	   *all = in->topics.n > 0 ? NIL : describable(call);
	int			n = in->topics.n > 0 ? in->topics.n : list_length(all);
	int			unique = 0;

	names->items = palloc(sizeof(KafkaString) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		if (in->topics.n > 0)
			names->items[i] = in->topics.items[i].name;
		else
			names->items[i] = kafka_string(pstrdup(((const PtTopic *) list_nth(all, i))->name));
	}
	qsort(names->items, n, sizeof(KafkaString), compare_names);
	for (int i = 0; i < n; i++)
	{
		if (unique == 0 || compare_names(&names->items[unique - 1], &names->items[i]) != 0)
			names->items[unique++] = names->items[i];
	}
	names->n = unique;
}

/*
 * Fills the response for a partition.
 */
static void
fill_partition(const PtTopic *topic, int32 index, DescribedPartition *out)
{
	bool		there = OidIsValid(topic->leaves[index]);

	Assert(index >= 0 && index < topic->npartitions);
	out->error_code = there ? KERR_NONE : KERR_LEADER_NOT_AVAILABLE;
	out->partition_index = index;
	out->leader_id = there ? KAFKA_BROKER_ID : -1;
	out->leader_epoch = pt_leader_epoch();
	out->replica_nodes.items = kafka_replica_nodes;
	out->replica_nodes.n = lengthof(kafka_replica_nodes);
	out->isr_nodes.items = kafka_replica_nodes;
	out->isr_nodes.n = there ? lengthof(kafka_replica_nodes) : 0;
	out->eligible_leader_replicas.n = 0;
	out->last_known_elr.n = 0;
}

/*
 * Describes partitions of a topic from "first" on, *left at most, which it
 * lowers.  Returns where it has stopped.
 */
static int32
fill_topic(KafkaCall *call, const PtTopic *topic, int32 first, int *left, DescribedTopic *out)
{
	int			n = Min(Max(topic->npartitions - first, 0), *left);

	Assert(first >= 0 && *left > 0);
	memcpy(&out->topic_id, &topic->id, sizeof(out->topic_id));
	out->is_internal = topic->internal;
	KAFKA_RESIZE(call, out->partitions, DescribedPartition, n);
	for (int i = 0; i < n; i++)
		fill_partition(topic, first + i, &out->partitions.items[i]);
	*left -= n;
	return first + n;
}

/*
 * Sets the cursor of the next page.
 */
static void
set_cursor(KafkaCall *call, KafkaString name, int32 partition)
{
	DescribeTopicPartitionsResponse *out = call->response;

	out->next_cursor = KAFKA_NEW(call, DescribeTopicCursor, 1);
	out->next_cursor->topic_name = name;
	out->next_cursor->partition_index = partition;
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
describe_topic_partitions_begin(KafkaCall *call)
{
	const DescribeTopicPartitionsRequest *in = call->request;
	DescribeTopicPartitionsResponse *out = call->response;
	const DescribeTopicCursor *cursor = in->cursor;
	int			left = Max(Min(in->response_partition_limit, KAFKA_DESCRIBE_LIMIT), 1);
	Names		names;

	collect_names(call, &names);
	KAFKA_RESIZE(call, out->topics, DescribedTopic, names.n);
	out->topics.n = 0;
	for (int i = 0; i < names.n; i++)
	{
		int			cmp = cursor ? compare_names(&names.items[i], &cursor->topic_name) : 1;
		int32		next = cmp == 0 ? Max(cursor->partition_index, 0) : 0;
		const PtTopic *topic;
		DescribedTopic *result;

		if (cmp < 0)
			continue;
		if (left == 0)
		{
			set_cursor(call, names.items[i], next);
			break;
		}
		result = &out->topics.items[out->topics.n++];
		result->name = names.items[i];
		topic = kafka_topic_find(call, PT_OP_DESCRIBE, names.items[i], NULL, &result->error_code);
		if (result->error_code != KERR_TOPIC_AUTHORIZATION_FAILED)
			result->topic_authorized_operations = kafka_topic_operations(call, topic);
		if (topic == NULL)
			continue;
		next = fill_topic(call, topic, next, &left, result);
		if (next < topic->npartitions)
		{
			set_cursor(call, names.items[i], next);
			break;
		}
	}
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
describe_topic_partitions_fail(KafkaCall *call, int16 code, const char *message)
{
	const DescribeTopicPartitionsRequest *in = call->request;
	DescribeTopicPartitionsResponse *out = call->response;

	KAFKA_RESIZE(call, out->topics, DescribedTopic, in->topics.n);
	for (int i = 0; i < in->topics.n; i++)
	{
		out->topics.items[i].name = in->topics.items[i].name;
		out->topics.items[i].error_code = code;
	}
}

const KafkaHandler kafka_handler_describe_topic_partitions = {
	.begin = describe_topic_partitions_begin,
	.fail = describe_topic_partitions_fail
};
