/*-------------------------------------------------------------------------
 *
 * 19_create_topics.c
 *	  CreateTopics: makes Kafka's checks, then creates topic by topic.
 *
 * Each topic is a transaction of its own, so that a topic that fails does not
 * affect the others.  With validate_only the same checks are made and nothing
 * is created.  From version 5 on the response has the configs of the topic,
 * from 7 on its id.
 *
 * Siblings: ../call.c, ../topics.c; ../../topic/topic.h (pt_topic_create).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guc.h"
#include "kafka/broker.h"
#include "kafka/quota.h"
#include "kafka/topics.h"

/* Kafka's limit: more partitions at once are a mistake. */
#define PARTITIONS_PER_REQUEST	10000

/* First version that knows THROTTLING_QUOTA_EXCEEDED (KIP-599). */
#define QUOTA_STRICT_SINCE	6

/* ConfigSource of the protocol */
#define CONFIG_SOURCE_TOPIC		1
#define CONFIG_SOURCE_DEFAULT	5

/*
 * Sets the error of a topic and returns false.
 */
static bool
refuse(CreateTopicResponse *out, int16 code, const char *message)
{
	out->error_code = code;
	out->error_message = kafka_string(message);
	return false;
}

/*
 * Checks manual assignments: each partition once, on the one broker.  The
 * messages are Kafka's.
 */
static bool
check_assignments(const CreateTopic *in, CreateTopicResponse *out)
{
	int			n = in->assignments.n;
	bool	   *seen;

	if (in->replication_factor != -1)
		return refuse(out, KERR_INVALID_REQUEST,
					  "A manual partition assignment was specified, but replication factor was not set to -1.");
	if (in->num_partitions != -1)
		return refuse(out, KERR_INVALID_REQUEST,
					  "A manual partition assignment was specified, but numPartitions was not set to -1.");
	if (n > PARTITIONS_PER_REQUEST)
		return true;			/* its number is refused later */
	seen = palloc0(sizeof(bool) * n);
	for (int i = 0; i < n; i++)
	{
		const CreateTopicAssignment *a = &in->assignments.items[i];
		const char *problem = kafka_replicas_problem(a->broker_ids.items, a->broker_ids.n);

		if (a->partition_index < 0 || a->partition_index >= n)
			return refuse(out, KERR_INVALID_REPLICA_ASSIGNMENT,
						  "partitions should be a consecutive 0-based integer sequence");
		if (seen[a->partition_index])
			return refuse(out, KERR_INVALID_REPLICA_ASSIGNMENT,
						  psprintf("Found multiple manual partition assignments for partition %d",
								   a->partition_index));
		seen[a->partition_index] = true;
		if (problem != NULL)
			return refuse(out, KERR_INVALID_REPLICA_ASSIGNMENT, problem);
	}
	return true;
}

/*
 * Checks the number of partitions and gets it in *npartitions.
 */
static bool
check_partitions(const CreateTopic *in, CreateTopicResponse *out, int *npartitions)
{
	if (in->assignments.n > 0)
	{
		*npartitions = in->assignments.n;
		if (!check_assignments(in, out))
			return false;
	}
	else
	{
		if (in->num_partitions != -1 && in->num_partitions < 1)
			return refuse(out, KERR_INVALID_PARTITIONS, "Number of partitions was set to an invalid non-positive value.");
		if (in->replication_factor < -1 || in->replication_factor == 0)
			return refuse(out, KERR_INVALID_REPLICATION_FACTOR,
						  "Replication factor must be larger than 0, or -1 to use the default value.");
		if (in->replication_factor > 1)
			return refuse(out, KERR_INVALID_REPLICATION_FACTOR,
						  "There is one broker, so the replication factor can only be 1; standby servers replicate all topics.");
		*npartitions = in->num_partitions == -1 ? pt_default_partitions : in->num_partitions;
	}
	if (*npartitions > PARTITIONS_PER_REQUEST)
		return refuse(out, KERR_POLICY_VIOLATION, "Excessively large number of partitions per request.");
	return true;
}

/*
 * Checks the configs and collects them in *configs.
 */
static bool
check_configs(const CreateTopic *in, CreateTopicResponse *out, List **configs)
{
	for (int i = 0; i < in->configs.n; i++)
	{
		PtConfigPair *pair = palloc(sizeof(PtConfigPair));
		char	   *reason = NULL;

		pair->name = kafka_text(in->configs.items[i].name);
		pair->value = kafka_text(in->configs.items[i].value);
		if (pair->name == NULL)
			return refuse(out, KERR_INVALID_CONFIG, "The name of a config is not valid text.");
		if (pair->value == NULL)
			return refuse(out, KERR_INVALID_CONFIG,
						  psprintf("The value of config \"%s\" is null or not valid text.", pair->name));
		if (!pt_config_check(pair->name, pair->value, &reason))
			return refuse(out, KERR_INVALID_CONFIG, reason);
		*configs = lappend(*configs, pair);
	}
	return true;
}

/*
 * Adds the configs that the topic has or would have.
 */
static void
describe_configs(KafkaCall *call, List *configs, CreateTopicResponse *out)
{
	List	   *entries = pt_config_list_with(configs);
	ListCell   *lc;
	int			i = 0;

	KAFKA_RESIZE(call, out->configs, CreateTopicConfigResponse, list_length(entries));
	foreach(lc, entries)
	{
		const PtConfigEntry *entry = lfirst(lc);
		CreateTopicConfigResponse *config = &out->configs.items[i++];

		config->name = kafka_string(entry->name);
		config->value = kafka_string(entry->value);
		config->config_source = entry->is_default ? CONFIG_SOURCE_DEFAULT : CONFIG_SOURCE_TOPIC;
	}
}

/*
 * Creates a topic.
 */
static void
create(KafkaCall *call, const char *name, int npartitions, List *configs, CreateTopicResponse *out)
{
	const PtTopic *topic;
	KafkaError	error;

	if (!kafka_topic_create(call, name, npartitions, configs, &error))
	{
		refuse(out, error.code, error.message);
		return;
	}
	topic = pt_topic_by_name(name);
	if (topic != NULL)			/* otherwise somebody has dropped it already */
		memcpy(&out->topic_id, &topic->id, sizeof(out->topic_id));
}

/*
 * Checks the name.  That a topic exists is found before a collision of names.
 */
static bool
check_name(const char *name, CreateTopicResponse *out)
{
	const char *reason = name ? pt_topic_name_check(name) : "The name is not valid text.";

	if (reason != NULL)
		return refuse(out, KERR_INVALID_TOPIC_EXCEPTION, reason);
	if (pt_topic_name_is_internal(name))
		return refuse(out, KERR_INVALID_TOPIC_EXCEPTION, "The topic is internal: it is made when it is needed.");
	if (pt_topic_by_name(name) != NULL)
		return refuse(out, KERR_TOPIC_ALREADY_EXISTS, psprintf("Topic '%s' already exists.", name));
	reason = kafka_topic_collision(name);
	if (reason != NULL)
		return refuse(out, KERR_INVALID_TOPIC_EXCEPTION, reason);
	return true;
}

/*
 * Handles one topic of the request.
 */
static void
handle_topic(KafkaCall *call, const CreateTopic *in, CreateTopicResponse *out)
{
	const CreateTopicsRequest *request = call->request;
	char	   *name = kafka_text(in->name);
	List	   *configs = NIL;
	const char *message;
	int			npartitions;

	if (!kafka_may_create(call))
	{
		refuse(out, KERR_TOPIC_AUTHORIZATION_FAILED, "Creating topics takes CREATE on their schema.");
		return;
	}
	if (!check_name(name, out) || !check_partitions(in, out, &npartitions) || !check_configs(in, out, &configs))
		return;

	if (!request->validate_only && kafka_quota_mutation(call, QUOTA_STRICT_SINCE, npartitions, &out->error_code, &message))
		create(call, name, npartitions, configs, out);
	else if (out->error_code != KERR_NONE)
		refuse(out, out->error_code, message);
	if (out->error_code != KERR_NONE)
		return;
	out->num_partitions = npartitions;
	out->replication_factor = 1;
	if (call->api_version >= 5)
		describe_configs(call, configs, out);
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
create_topics_begin(KafkaCall *call)
{
	const CreateTopicsRequest *in = call->request;
	CreateTopicsResponse *out = call->response;
	int			n = 0;
	int		   *uses = in->topics.n > 0 ?
		kafka_name_uses(call, &in->topics.items[0].name, sizeof(CreateTopic), in->topics.n) : NULL;

	KAFKA_RESIZE(call, out->topics, CreateTopicResponse, in->topics.n);
	for (int i = 0; i < in->topics.n; i++)
	{
		CreateTopicResponse *result = &out->topics.items[n];

		Assert(n < in->topics.n);
		if (uses[i] == 0)
			continue;
		n++;
		result->name = in->topics.items[i].name;
		if (uses[i] > 1)
			refuse(result, KERR_INVALID_REQUEST, "Duplicate topic name.");
		else if (n > 1 && kafka_out_of_time(call, in->timeout_ms))
			refuse(result, KERR_REQUEST_TIMED_OUT, "The request timed out before the topic's turn came.");
		else
			handle_topic(call, &in->topics.items[i], result);
		if (result->error_code == KERR_NONE)
			result->error_message = kafka_string(NULL);
	}
	out->topics.n = n;
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
create_topics_fail(KafkaCall *call, int16 code, const char *message)
{
	const CreateTopicsRequest *in = call->request;
	CreateTopicsResponse *out = call->response;

	KAFKA_RESIZE(call, out->topics, CreateTopicResponse, in->topics.n);
	for (int i = 0; i < in->topics.n; i++)
	{
		out->topics.items[i].name = in->topics.items[i].name;
		refuse(&out->topics.items[i], code, message);
	}
}

const KafkaHandler kafka_handler_create_topics = {
	.begin = create_topics_begin,
	.fail = create_topics_fail
};
