/*-------------------------------------------------------------------------
 *
 * 03_metadata.c
 *	  Metadata: the broker, and topics with their partitions.
 *
 * There is one broker, so clients learn here which topics exist.  A topic that
 * is asked for by name and does not exist is created, if client and server
 * (the setting pgtopic.auto_create_topics) both want that.  The administration
 * worker does it, so that nobody else waits for a lock; other workers send the
 * request there (KAFKA_MOVE).
 *
 * Versions: in 0 an empty list of topics means all, from 1 on null does; 10
 * and later have topic ids; 13 has an error of the whole request.
 *
 * Siblings: ../call.c, ../topics.c, ../broker.c,
 * 75_describe_topic_partitions.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"

#include "guc.h"
#include "kafka/broker.h"
#include "kafka/topics.h"
#include "xact/xact.h"

/*
 * Fills the response for a partition.
 */
static void
fill_partition(const PtTopic *topic, int32 index, int32 leader_epoch, MetadataPartitionResponse *out)
{
	bool		there = OidIsValid(topic->leaves[index]);

	Assert(index >= 0 && index < topic->npartitions);
	out->error_code = there ? KERR_NONE : KERR_LEADER_NOT_AVAILABLE;
	out->partition_index = index;
	out->leader_id = there ? KAFKA_BROKER_ID : -1;
	out->leader_epoch = leader_epoch;
	out->replica_nodes.items = kafka_replica_nodes;
	out->replica_nodes.n = lengthof(kafka_replica_nodes);
	out->isr_nodes.items = kafka_replica_nodes;
	out->isr_nodes.n = there ? lengthof(kafka_replica_nodes) : 0;
}

/*
 * Fills the response for a topic.
 */
static void
fill_topic(KafkaCall *call, const PtTopic *topic, MetadataTopicResponse *out)
{
	const MetadataRequest *in = call->request;
	int32		leader_epoch = pt_leader_epoch();

	out->error_code = KERR_NONE;
	out->name = kafka_string(pstrdup(topic->name));
	memcpy(&out->topic_id, &topic->id, sizeof(out->topic_id));
	out->is_internal = topic->internal;
	if (in->include_topic_authorized_operations)
		out->topic_authorized_operations = kafka_topic_operations(call, topic);
	KAFKA_RESIZE(call, out->partitions, MetadataPartitionResponse, topic->npartitions);
	for (int i = 0; i < topic->npartitions; i++)
		fill_partition(topic, i, leader_epoch, &out->partitions.items[i]);
}

/*
 * Answers for all topics that the client may describe.
 */
static void
fill_all(KafkaCall *call)
{
	MetadataResponse *out = call->response;
	List	   *topics = pt_topic_all();
	ListCell   *lc;

	KAFKA_RESIZE(call, out->topics, MetadataTopicResponse, list_length(topics));
	out->topics.n = 0;
	foreach(lc, topics)
	{
		if (kafka_may_topic(call, lfirst(lc), PT_OP_DESCRIBE))
			fill_topic(call, lfirst(lc), &out->topics.items[out->topics.n++]);
	}
}

/*
 * Returns true if a topic that was asked for should be created.  The error
 * tells that it has a legal name and does not exist, and that the client may
 * create topics.
 */
static bool
may_create(const MetadataRequest *in, const MetadataTopic *asked, int16 error)
{
	return error == KERR_UNKNOWN_TOPIC_OR_PARTITION && in->allow_auto_topic_creation &&
		pt_auto_create_topics && !RecoveryInProgress() &&
	/* an internal topic is created by those who need it, with its configs */
		!pt_topic_name_is_internal(kafka_text(asked->name));
}

/*
 * Creates a topic and returns it; NULL and an error if that fails.
 */
static const PtTopic *
create_topic(KafkaCall *call, KafkaString name, int16 *error)
{
	char	   *text = kafka_text(name);
	KafkaError	thrown;

	/* another client may have created it first, which is fine */
	if (!kafka_topic_create(call, text, pt_default_partitions, NIL, &thrown) &&
		thrown.code != KERR_TOPIC_ALREADY_EXISTS)
	{
		*error = thrown.code;
		return NULL;
	}
	return kafka_topic_find(call, PT_OP_DESCRIBE, name, NULL, error);
}

/*
 * Returns true if a topic is asked for by its id.
 */
static bool
is_by_id(const MetadataTopic *asked)
{
	return asked->name.len < 0 || !kafka_uuid_is_zero(&asked->topic_id);
}

/*
 * Counts how often each topic is asked for.  The first occurrence gets the
 * number, all others get 0.
 */
static int *
count_uses(KafkaCall *call)
{
	const MetadataRequest *in = call->request;
	KafkaString *keys = MemoryContextAllocHuge(call->mcxt, sizeof(KafkaString) * (Size) Max(in->topics.n, 1));

	for (int i = 0; i < in->topics.n; i++)
		keys[i] = is_by_id(&in->topics.items[i]) ? kafka_id_name(&in->topics.items[i].topic_id) : in->topics.items[i].name;
	return kafka_name_uses(call, keys, sizeof(KafkaString), in->topics.n);
}

/*
 * Answers for one topic.  Returns false if the topic has to be created, and
 * this worker must not do that.
 */
static bool
fill_one(KafkaCall *call, const MetadataTopic *asked, MetadataTopicResponse *out)
{
	bool		by_id = is_by_id(asked);
	const PtTopic *topic;

	topic = kafka_topic_find(call, PT_OP_DESCRIBE, asked->name, by_id ? &asked->topic_id : NULL, &out->error_code);
	if (topic == NULL && !by_id && may_create(call->request, asked, out->error_code))
	{
		if (!kafka_administrates(call))
			return false;
		topic = create_topic(call, asked->name, &out->error_code);
	}
	if (topic != NULL)
		fill_topic(call, topic, out);
	else
	{
		out->name = asked->name;
		out->topic_id = asked->topic_id;
	}
	return true;
}

/*
 * Fills the response about the broker and the cluster.
 */
static void
fill_broker(KafkaCall *call)
{
	MetadataResponse *out = call->response;
	KafkaAdvertised at = kafka_advertised(call->session->listener);
	MetadataBroker *broker;

	KAFKA_RESIZE(call, out->brokers, MetadataBroker, 1);
	broker = &out->brokers.items[0];
	broker->node_id = KAFKA_BROKER_ID;
	broker->host = kafka_string(at.host);
	broker->port = at.port;
	out->cluster_id = kafka_string(kafka_cluster_id());
	out->controller_id = KAFKA_BROKER_ID;
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
metadata_begin(KafkaCall *call)
{
	const MetadataRequest *in = call->request;
	MetadataResponse *out = call->response;
	bool		all = call->api_version == 0 ? in->topics.n == 0 : in->topics.n < 0;
	int		   *uses;

	fill_broker(call);
	if (in->include_cluster_authorized_operations)
		out->cluster_authorized_operations = kafka_cluster_operations(call);
	if (all)
	{
		fill_all(call);
		return KAFKA_REPLY;
	}
	KAFKA_RESIZE(call, out->topics, MetadataTopicResponse, in->topics.n);
	uses = count_uses(call);
	out->topics.n = 0;
	for (int i = 0; i < in->topics.n; i++)
	{
		if (uses[i] == 0)
			continue;			/* answered already */
		if (!fill_one(call, &in->topics.items[i], &out->topics.items[out->topics.n++]))
			return kafka_move(call, KAFKA_PLANE_ADMIN);
	}
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail.  The error is that of the whole request from version 13
 * on, and that of each topic before.  If all topics were asked for, there is
 * none to put it in.
 */
static void
metadata_fail(KafkaCall *call, int16 code, const char *message)
{
	const MetadataRequest *in = call->request;
	MetadataResponse *out = call->response;

	fill_broker(call);
	out->error_code = code;
	if (in->topics.n <= 0)
		return;
	KAFKA_RESIZE(call, out->topics, MetadataTopicResponse, in->topics.n);
	for (int i = 0; i < in->topics.n; i++)
	{
		out->topics.items[i].error_code = code;
		out->topics.items[i].name = in->topics.items[i].name;
		out->topics.items[i].topic_id = in->topics.items[i].topic_id;
	}
}

const KafkaHandler kafka_handler_metadata = {
	.begin = metadata_begin,
	.fail = metadata_fail
};
