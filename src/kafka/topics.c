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

#include "common/hashfn.h"
#include "utils/errcodes.h"
#include "utils/hsearch.h"

#include "kafka/broker.h"
#include "kafka/topics.h"

int32		kafka_replica_nodes[1] = {KAFKA_BROKER_ID};

/*
 * Finds a topic by name.  Who may not create topics does not learn whether
 * there is one of that name, nor whether there could be.
 */
static const PtTopic *
find_by_name(const KafkaCall *call, KafkaString name, int16 *error)
{
	char		buf[PT_TOPIC_NAME_MAX + 1];
	bool		legal = pt_string_to_buf(name, buf, sizeof(buf)) && pt_topic_name_check(buf) == NULL;
	const PtTopic *topic = legal ? pt_topic_by_name(buf) : NULL;

	if (topic != NULL)
		*error = KERR_NONE;
	else if (!kafka_may_create(call))
		*error = KERR_TOPIC_AUTHORIZATION_FAILED;
	else
		*error = legal ? KERR_UNKNOWN_TOPIC_OR_PARTITION : KERR_INVALID_TOPIC_EXCEPTION;
	return topic;
}

/*
 * Finds the topic with this id if id is not NULL, else with this name.
 * Returns NULL with the error code, also if the client may not do this with
 * the topic.  That an id is of a topic is no secret, as in Kafka.  The topic
 * is valid until the next catalog access, as in topic.h.
 */
const PtTopic *
kafka_topic_find(const KafkaCall *call, PtOperation op, KafkaString name, const KafkaUuid *id, int16 *error)
{
	pg_uuid_t	uuid;
	const PtTopic *topic;

	if (id == NULL)
		topic = find_by_name(call, name, error);
	else
	{
		StaticAssertStmt(sizeof(uuid) == sizeof(*id), "a uuid is a uuid");
		memcpy(&uuid, id, sizeof(uuid));
		topic = kafka_uuid_is_zero(id) ? NULL : pt_topic_by_id(&uuid);
		*error = topic ? KERR_NONE : KERR_UNKNOWN_TOPIC_ID;
	}
	if (topic != NULL && !kafka_may_topic(call, topic, op))
	{
		*error = KERR_TOPIC_AUTHORIZATION_FAILED;
		return NULL;
	}
	return topic;
}

/*
 * The same, but a name that no topic can have is unknown, not invalid.
 */
const PtTopic *
kafka_topic_known(const KafkaCall *call, PtOperation op, KafkaString name, const KafkaUuid *id, int16 *error)
{
	const PtTopic *topic = kafka_topic_find(call, op, name, id, error);

	if (*error == KERR_INVALID_TOPIC_EXCEPTION)
		*error = KERR_UNKNOWN_TOPIC_OR_PARTITION;
	return topic;
}

/*
 * Returns the OID of a partition, or InvalidOid with the error code.
 */
Oid
kafka_partition_find(const PtTopic *topic, int32 partition, int16 *error)
{
	Assert(topic != NULL);
	if (partition < 0 || partition >= topic->npartitions || !OidIsValid(topic->leaves[partition]))
	{
		*error = KERR_UNKNOWN_TOPIC_OR_PARTITION;
		return InvalidOid;
	}
	*error = KERR_NONE;
	return topic->leaves[partition];
}

/*
 * Keeps what is known of a topic (NULL: none).  The partitions are copied,
 * because the next lookup may free the topic room's.
 */
static void
remember(KafkaLookup *lookup, KafkaString name, const KafkaUuid *id, const PtTopic *topic)
{
	lookup->valid = true;
	lookup->name = name;
	if (id != NULL)
		lookup->id = *id;
	lookup->internal = topic && topic->internal;
	lookup->topic = topic ? topic->relid : InvalidOid;
	lookup->npartitions = topic ? topic->npartitions : 0;
	if (topic == NULL)
		return;
	Assert(topic->npartitions > 0);
	if (lookup->cap < topic->npartitions)
	{
		lookup->cap = Max(topic->npartitions, 16);
		lookup->leaves = palloc(sizeof(Oid) * lookup->cap);
	}
	memcpy(lookup->leaves, topic->leaves, topic->npartitions * sizeof(Oid));
}

/*
 * Returns the OID of a partition of a topic, or InvalidOid with the error
 * code.  The topic is looked up only if it is another one than last time.
 * Must run in a transaction, and "lookup" must not outlive it.
 */
Oid
kafka_lookup(KafkaLookup *lookup, KafkaString name, const KafkaUuid *id, int32 partition, int16 *error)
{
	bool		same = lookup->valid &&
		(id ? memcmp(id, &lookup->id, sizeof(*id)) == 0 : pt_string_equal(name, lookup->name));

	if (!same)
		remember(lookup, name, id, kafka_topic_known(lookup->call, lookup->op, name, id, &lookup->error));

	*error = lookup->error;
	Assert((*error == KERR_NONE) == (lookup->npartitions > 0));
	if (*error != KERR_NONE)
		return InvalidOid;
	if (partition < 0 || partition >= lookup->npartitions || !OidIsValid(lookup->leaves[partition]))
	{
		*error = KERR_UNKNOWN_TOPIC_OR_PARTITION;
		return InvalidOid;
	}
	return lookup->leaves[partition];
}

/*
 * Compares the leader epoch of a request with ours.  Returns an error code.
 * -1 is not checked.
 */
int16
kafka_leader_epoch_check(int32 epoch)
{
	return kafka_error_from_status(pt_check_leader_epoch(epoch));
}

/*
 * Returns true if the names are the same once '_' stands for '.'.
 */
static bool
names_collide(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
	{
		if ((*a == '.' ? '_' : *a) != (*b == '.' ? '_' : *b))
			return false;
	}
	return *a == *b;
}

/*
 * Returns NULL, or why no topic can have this name beside those that exist,
 * in the current memory context.  As in Kafka, names that differ only in '.'
 * and '_' collide, because metrics could not tell them apart.
 */
const char *
kafka_topic_collision(const char *name)
{
	ListCell   *lc;

	if (strpbrk(name, "._") == NULL)
		return NULL;
	foreach(lc, pt_topic_all())
	{
		const PtTopic *topic = lfirst(lc);

		if (names_collide(name, topic->name) && strcmp(name, topic->name) != 0)
			return psprintf("Topic '%s' collides with existing topic: %s", name, topic->name);
	}
	return NULL;
}

/*
 * Returns NULL, or what is wrong with the replicas that a client assigned to
 * a partition.  The messages are Kafka's, for a cluster whose only broker is
 * ours.  In the current memory context.
 */
const char *
kafka_replicas_problem(const int32 *brokers, int n)
{
	if (n <= 0)
		return "The manual partition assignment includes an empty replica list.";
	for (int i = 0; i < n; i++)
	{
		if (brokers[i] < 0)
			return psprintf("The manual partition assignment includes an invalid replica id %d.", brokers[i]);
		if (brokers[i] != KAFKA_BROKER_ID)
			return psprintf("The manual partition assignment includes broker %d, but no such broker is registered.",
							brokers[i]);
	}
	if (n > 1)
		return psprintf("The manual partition assignment includes the broker %d more than once.", KAFKA_BROKER_ID);
	return NULL;
}

/*
 * Hash function and comparison of names, for kafka_name_uses().
 */
static uint32
name_hash(const void *key, Size keysize)
{
	const KafkaString *s = key;

	return s->len > 0 ? hash_bytes((const unsigned char *) s->data, s->len) : 0;
}

static int
name_match(const void *a, const void *b, Size keysize)
{
	return pt_string_equal(*(const KafkaString *) a, *(const KafkaString *) b) ? 0 : 1;
}

/*
 * Counts how often each of the n names of a request occurs.  The result has
 * the count at the first of equal names, and 0 at the others; it is in the
 * call's memory. "first" is the name in the first struct, and "stride" the
 * size of the structs.  A hash table keeps a long request from taking
 * quadratic time.
 */
int *
kafka_name_uses(KafkaCall *call, const KafkaString *first, size_t stride, int n)
{
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
	HTAB	   *names = hash_create("names of a request", 64, &ctl,
									HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	int		   *uses = MemoryContextAllocZero(call->mcxt, sizeof(int) * (n + 1));

	Assert(n >= 0);
	for (int i = 0; i < n; i++)
	{
		bool		found;

		entry = hash_search(names, (const char *) first + i * stride, HASH_ENTER, &found);
		if (!found)
			entry->first = i;
		Assert(entry->first <= i);
		uses[entry->first]++;
	}
	hash_destroy(names);
	return uses;
}

/*
 * Returns true if the call has used up the time that its request gave it. 0
 * and less are no limit.
 */
bool
kafka_out_of_time(const KafkaCall *call, int32 timeout_ms)
{
	instr_time	now;

	if (timeout_ms <= 0)
		return false;
	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, call->started);
	return INSTR_TIME_GET_MILLISEC(now) >= timeout_ms;
}

/* The argument of create_topic(). */
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

/*
 * Creates a topic that belongs to the client's role (pt_rights_creates_as), in
 * a transaction of its own or, if it is large, in several. configs: List of
 * PtConfigPair, in the call's memory.  Returns false with the error, which has
 * been logged if it is the server's.
 */
bool
kafka_topic_create(KafkaCall *call, const char *name, int npartitions, List *configs, KafkaError *error)
{
	NewTopic	new = {name, npartitions, configs};
	const char *collision = kafka_topic_collision(name);

	if (collision != NULL)
	{
		*error = (KafkaError)
		{
			.code = KERR_INVALID_TOPIC_EXCEPTION,.sqlstate = ERRCODE_DUPLICATE_TABLE,
				.message = collision
		};
		return false;
	}
	if (npartitions > pt_topic_piece() ?
		kafka_topic_create_in_pieces(call, name, npartitions, configs, error) :
		kafka_run_as(call, pt_rights_creates_as(call->session->role), create_topic, &new, error))
		return true;
	kafka_log_error(call, error);
	return false;
}
