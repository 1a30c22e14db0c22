/*-------------------------------------------------------------------------
 *
 * 19_create_topics.c
 *	  CreateTopics: checks what was asked as Kafka does, then creates topic by topic.
 *
 * Each topic is a transaction of its own, so that one that fails leaves the others alone.
 * With validate_only the same checks are made and nothing is created.
 *
 * Siblings: ../call.c, ../topics.c; ../../topic/topic.h (pt_topic_create).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/hsearch.h"

#include "guc.h"
#include "kafka/broker.h"
#include "kafka/topics.h"

/* As Kafka's own limit: more at once is a mistake. */
#define PARTITIONS_PER_REQUEST	10000

/* ConfigSource of the protocol */
#define CONFIG_SOURCE_TOPIC		1
#define CONFIG_SOURCE_DEFAULT	5

static bool
refuse(CreateTopicResponse *out, int16 code, const char *message)
{
	out->error_code = code;
	out->error_message = kafka_string(message);
	return false;
}

/* Assignments list every partition once, each on the one broker there is. */
static bool
check_assignments(const CreateTopic *in, CreateTopicResponse *out)
{
	int			n = in->assignments.n;
	bool	   *seen;

	if (in->num_partitions != -1 || in->replication_factor != -1)
		return refuse(out, KERR_INVALID_REQUEST,
					  "Partitions and replication factor must be -1 when replicas are assigned.");
	if (n > PARTITIONS_PER_REQUEST)
		return true;			/* refused by its number, later */
	seen = palloc0(sizeof(bool) * n);
	for (int i = 0; i < n; i++)
	{
		const CreateTopicAssignment *a = &in->assignments.items[i];

		if (a->partition_index < 0 || a->partition_index >= n || seen[a->partition_index])
			return refuse(out, KERR_INVALID_REPLICA_ASSIGNMENT,
						  "Partitions must be numbered from 0, without gaps and repetitions.");
		seen[a->partition_index] = true;
		if (a->broker_ids.n != 1 || a->broker_ids.items[0] != KAFKA_BROKER_ID)
			return refuse(out, KERR_INVALID_REPLICA_ASSIGNMENT,
						  psprintf("The only broker is %d.", KAFKA_BROKER_ID));
	}
	return true;
}

/* Finds out how many partitions there will be. */
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
		if (in->replication_factor != -1 && in->replication_factor != 1)
			return refuse(out, KERR_INVALID_REPLICATION_FACTOR,
						  "There is one broker, so the replication factor can only be 1; standby servers replicate all topics.");
		*npartitions = in->num_partitions == -1 ? pt_default_partitions : in->num_partitions;
	}
	if (*npartitions > PARTITIONS_PER_REQUEST)
		return refuse(out, KERR_POLICY_VIOLATION, "Excessively large number of partitions per request.");
	return true;
}

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

/* Adds the configs of what was made (version 5 and later tell them). */
static void
describe_configs(KafkaCall *call, Oid relid, CreateTopicResponse *out)
{
	List	   *entries = pt_config_list(relid);
	ListCell   *lc;
	int			i = 0;

	KAFKA_RESIZE(call, out->configs, CreateTopicConfigResponse, list_length(entries));
	foreach(lc, entries)
	{
		const PtConfigEntry *entry = lfirst(lc);
		CreateTopicConfigResponse *config = &out->configs.items[i++];

		config->name = kafka_string(pstrdup(entry->name));
		config->value = kafka_string(entry->value ? pstrdup(entry->value) : NULL);
		config->config_source = entry->is_default ? CONFIG_SOURCE_DEFAULT : CONFIG_SOURCE_TOPIC;
	}
}

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
	if (topic == NULL)			/* dropped again by somebody else */
		return;
	memcpy(&out->topic_id, &topic->id, sizeof(out->topic_id));
	if (call->api_version >= 5)
		describe_configs(call, topic->relid, out);
}

static void
handle_topic(KafkaCall *call, const CreateTopic *in, CreateTopicResponse *out)
{
	const CreateTopicsRequest *request = call->request;
	char	   *name = kafka_text(in->name);
	const char *reason = name ? pt_topic_name_check(name) : "The name is not valid text.";
	List	   *configs = NIL;
	int			npartitions;

	if (reason != NULL)
	{
		refuse(out, KERR_INVALID_TOPIC_EXCEPTION, reason);
		return;
	}
	if (pt_topic_name_is_internal(name))
	{
		refuse(out, KERR_INVALID_TOPIC_EXCEPTION, "The topic is internal: it is made when it is needed.");
		return;
	}
	if (pt_topic_by_name(name) != NULL)
	{
		refuse(out, KERR_TOPIC_ALREADY_EXISTS, psprintf("Topic '%s' already exists.", name));
		return;
	}
	if (!check_partitions(in, out, &npartitions) || !check_configs(in, out, &configs))
		return;

	if (!request->validate_only)
		create(call, name, npartitions, configs, out);
	if (out->error_code == KERR_NONE)
	{
		out->num_partitions = npartitions;
		out->replication_factor = 1;
	}
}

static uint32
name_hash(const void *key, Size keysize)
{
	const KafkaString *s = key;

	return s->len > 0 ? hash_bytes((const unsigned char *) s->data, s->len) : 0;
}

static int
name_match(const void *a, const void *b, Size keysize)
{
	return kafka_string_equal(*(const KafkaString *) a, *(const KafkaString *) b) ? 0 : 1;
}

/* Names that a request has more than once are wrong each time. */
static void
refuse_duplicates(KafkaCall *call)
{
	const CreateTopicsRequest *in = call->request;
	CreateTopicsResponse *out = call->response;
	struct
	{
		KafkaString name;
		int			first;
	}		   *entry;
	HASHCTL		ctl = {
		.keysize = sizeof(KafkaString),
		.entrysize = sizeof(*entry),
		.hash = name_hash,
		.match = name_match,
		.hcxt = call->mcxt
	};
	HTAB	   *names = hash_create("topics of a request", 64, &ctl,
									HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);

	for (int i = 0; i < in->topics.n; i++)
	{
		bool		found;

		entry = hash_search(names, &in->topics.items[i].name, HASH_ENTER, &found);
		if (!found)
			entry->first = i;
		else
		{
			refuse(&out->topics.items[entry->first], KERR_INVALID_REQUEST, "Duplicate topic name.");
			refuse(&out->topics.items[i], KERR_INVALID_REQUEST, "Duplicate topic name.");
		}
	}
	hash_destroy(names);
}

static KafkaOutcome
create_topics_begin(KafkaCall *call)
{
	const CreateTopicsRequest *in = call->request;
	CreateTopicsResponse *out = call->response;

	KAFKA_RESIZE(call, out->topics, CreateTopicResponse, in->topics.n);
	refuse_duplicates(call);
	for (int i = 0; i < in->topics.n; i++)
	{
		out->topics.items[i].name = in->topics.items[i].name;
		if (out->topics.items[i].error_code == KERR_NONE)
			handle_topic(call, &in->topics.items[i], &out->topics.items[i]);
		if (out->topics.items[i].error_code == KERR_NONE)
			out->topics.items[i].error_message = kafka_string(NULL);
	}
	return KAFKA_REPLY;
}

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
