/*-------------------------------------------------------------------------
 *
 * topics.c
 *	  Finds and makes topics for handlers.
 *
 * Siblings: topics.h, api/.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/broker.h"
#include "kafka/topics.h"

int32		kafka_replica_nodes[1] = {KAFKA_BROKER_ID};

static const PtTopic *
find_by_name(KafkaString name, int16 *error)
{
	char		buf[PT_TOPIC_NAME_MAX + 1];
	const PtTopic *topic;

	*error = KERR_INVALID_TOPIC_EXCEPTION;
	if (name.len < 0 || name.len > PT_TOPIC_NAME_MAX)
		return NULL;
	memcpy(buf, name.data, name.len);
	buf[name.len] = '\0';
	if (strlen(buf) != (size_t) name.len || pt_topic_name_check(buf) != NULL)
		return NULL;

	topic = pt_topic_by_name(buf);
	*error = topic ? KERR_NONE : KERR_UNKNOWN_TOPIC_OR_PARTITION;
	return topic;
}

const PtTopic *
kafka_topic_find(KafkaString name, const KafkaUuid *id, int16 *error)
{
	pg_uuid_t	uuid;
	const PtTopic *topic;

	if (id == NULL)
		return find_by_name(name, error);

	StaticAssertStmt(sizeof(uuid) == sizeof(*id), "a uuid is a uuid");
	memcpy(&uuid, id, sizeof(uuid));
	topic = kafka_uuid_is_zero(id) ? NULL : pt_topic_by_id(&uuid);
	*error = topic ? KERR_NONE : KERR_UNKNOWN_TOPIC_ID;
	return topic;
}

Oid
kafka_partition_find(const PtTopic *topic, int32 partition, int16 *error)
{
	if (partition < 0 || partition >= topic->npartitions || !OidIsValid(topic->leaves[partition]))
	{
		*error = KERR_UNKNOWN_TOPIC_OR_PARTITION;
		return InvalidOid;
	}
	*error = KERR_NONE;
	return topic->leaves[partition];
}

/* Keeps a copy of the partitions: what the topic room gave may go with the next lookup. */
static void
remember(KafkaLookup *lookup, KafkaString name, const KafkaUuid *id, const PtTopic *topic)
{
	lookup->valid = true;
	lookup->name = name;
	if (id != NULL)
		lookup->id = *id;
	lookup->internal = topic && topic->internal;
	lookup->npartitions = topic ? topic->npartitions : 0;
	if (topic == NULL)
		return;
	if (lookup->cap < topic->npartitions)
	{
		lookup->cap = Max(topic->npartitions, 16);
		lookup->leaves = palloc(sizeof(Oid) * lookup->cap);
	}
	memcpy(lookup->leaves, topic->leaves, topic->npartitions * sizeof(Oid));
}

Oid
kafka_lookup(KafkaLookup *lookup, KafkaString name, const KafkaUuid *id, int32 partition, int16 *error)
{
	bool		same = lookup->valid &&
		(id ? memcmp(id, &lookup->id, sizeof(*id)) == 0 : kafka_string_equal(name, lookup->name));

	if (!same)
		remember(lookup, name, id, kafka_topic_find(name, id, &lookup->error));

	*error = lookup->error;
	if (*error != KERR_NONE)
		return InvalidOid;
	if (partition < 0 || partition >= lookup->npartitions || !OidIsValid(lookup->leaves[partition]))
	{
		*error = KERR_UNKNOWN_TOPIC_OR_PARTITION;
		return InvalidOid;
	}
	return lookup->leaves[partition];
}

int16
kafka_leader_epoch_check(int32 epoch)
{
	int32		current;

	if (epoch < 0)
		return KERR_NONE;
	current = pt_engine_leader_epoch();
	if (epoch < current)
		return KERR_FENCED_LEADER_EPOCH;
	return epoch > current ? KERR_UNKNOWN_LEADER_EPOCH : KERR_NONE;
}

typedef struct NewTopic
{
	const char *name;
	int			npartitions;
	List	   *configs;
} NewTopic;

static void
create_topic(void *arg)
{
	const NewTopic *new = arg;

	(void) pt_topic_create(new->name, new->npartitions, new->configs, NULL);
}

bool
kafka_topic_create(KafkaCall *call, const char *name, int npartitions, List *configs, KafkaError *error)
{
	NewTopic	new = {name, npartitions, configs};

	if (kafka_run_transaction(call, create_topic, &new, error))
		return true;
	kafka_log_error(call, error);
	return false;
}
