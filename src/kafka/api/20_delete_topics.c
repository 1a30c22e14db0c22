/*-------------------------------------------------------------------------
 *
 * 20_delete_topics.c
 *	  DeleteTopics: deletes topics by name or, from version 6 on, by id.
 *
 * Each topic is a transaction of its own. DROP waits for sessions that use the
 * topic's tables, but not for long (kafka_run_transaction); then the client is
 * told to try again.
 *
 * Siblings: ../call.c, ../topics.c; ../../topic/topic.h (pt_topic_drop).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "kafka/quota.h"
#include "kafka/topics.h"

/* First version that knows THROTTLING_QUOTA_EXCEEDED (KIP-599). */
#define QUOTA_STRICT_SINCE	5

/*
 * Sets the error of a topic.
 */
static void
refuse(DeleteTopicResponse *out, int16 code, const char *message)
{
	out->error_code = code;
	out->error_message = kafka_string(message);
}

/*
 * Counts how often each topic is named.  The first occurrence gets the
 * number, all others get 0.  A topic that is given by name and id at once
 * counts by itself.
 */
static int *
count_uses(KafkaCall *call)
{
	const DeleteTopicsRequest *in = call->request;
	KafkaString *keys;

	if (call->api_version < 6)
		return kafka_name_uses(call, in->topic_names.items, sizeof(KafkaString), in->topic_names.n);
	keys = MemoryContextAllocHuge(call->mcxt, sizeof(KafkaString) * (Size) Max(in->topics.n, 1));
	for (int i = 0; i < in->topics.n; i++)
	{
		const DeleteTopic *topic = &in->topics.items[i];

		if (topic->name.len < 0)
			keys[i] = kafka_id_name(&topic->topic_id);
		else if (kafka_uuid_is_zero(&topic->topic_id))
			keys[i] = topic->name;
		else
			keys[i] = (KafkaString)
		{
			(const char *) topic, sizeof(*topic)
		};
	}
	return kafka_name_uses(call, keys, sizeof(KafkaString), in->topics.n);
}

/*
 * Returns the OIDs of the topics in the request, sorted, and their number in
 * *n.  A topic that occurs twice, by name and by id, is not deleted.
 */
static Oid *
find_all(KafkaCall *call, int *n)
{
	const DeleteTopicsRequest *in = call->request;
	bool		states = call->api_version >= 6;
	int			asked = states ? in->topics.n : in->topic_names.n;
	Oid		   *found = MemoryContextAllocHuge(call->mcxt, sizeof(Oid) * Max(asked, 1));

	*n = 0;
	for (int i = 0; i < asked; i++)
	{
		KafkaString name = states ? in->topics.items[i].name : in->topic_names.items[i];
		const KafkaUuid *id = states ? &in->topics.items[i].topic_id : NULL;
		bool		by_id = states && !kafka_uuid_is_zero(id);
		int16		error;
		const PtTopic *topic = by_id && name.len >= 0 ? NULL : kafka_topic_known(call, PT_OP_DESCRIBE, name, by_id ? id : NULL, &error);

		if (topic != NULL)
			found[(*n)++] = topic->relid;
	}
	qsort(found, *n, sizeof(Oid), oid_cmp);
	return found;
}

/*
 * True if the array has the topic more than once.
 */
static bool
is_twice(const Oid *found, int n, Oid topic)
{
	const Oid  *at = bsearch(&topic, found, n, sizeof(Oid), oid_cmp);

	return at != NULL && ((at > found && at[-1] == topic) || (at + 1 < found + n && at[1] == topic));
}

/*
 * Deletes one topic; "id" is NULL if it is given by name.
 */
static void
delete_one(KafkaCall *call, KafkaString name, const KafkaUuid *id, const Oid *found, int nfound,
		   DeleteTopicResponse *out)
{
	const PtTopic *topic = kafka_topic_known(call, PT_OP_DESCRIBE, name, id, &out->error_code);
	KafkaError	error;

	if (topic == NULL)
	{
		if (out->error_code == KERR_TOPIC_AUTHORIZATION_FAILED)
			out->error_message = kafka_string(KAFKA_NOT_AUTHORIZED_TOPIC);
		return;
	}
	if (is_twice(found, nfound, topic->relid))
	{
		refuse(out, KERR_INVALID_REQUEST, "Duplicate topic.");
		return;
	}
	out->name = kafka_string(pstrdup(topic->name));
	memcpy(&out->topic_id, &topic->id, sizeof(out->topic_id));
	if (!kafka_may_topic(call, topic, PT_OP_DELETE))
	{
		refuse(out, KERR_TOPIC_AUTHORIZATION_FAILED, "Only the owner of a topic's table may delete it.");
		return;
	}
	if (topic->internal)
	{
		refuse(out, KERR_INVALID_TOPIC_EXCEPTION, "The topic is internal: SQL can drop it with DROP TABLE.");
		return;
	}
	if (!kafka_quota_mutation(call, QUOTA_STRICT_SINCE, topic->npartitions, &error.code, &error.message) ||
		!kafka_topic_delete(call, topic->relid, topic->npartitions, &error))
		refuse(out, error.code, error.message);
}

/*
 * Deletes one topic in the form of version 6 and later: either a name or an
 * id.
 */
static void
delete_state(KafkaCall *call, const DeleteTopic *in, const Oid *found, int nfound, DeleteTopicResponse *out)
{
	bool		has_id = !kafka_uuid_is_zero(&in->topic_id);

	out->name = in->name;
	out->topic_id = in->topic_id;
	if (has_id == (in->name.len >= 0))
		refuse(out, KERR_INVALID_REQUEST, "Either a name or an id must be given.");
	else
		delete_one(call, in->name, has_id ? &in->topic_id : NULL, found, nfound, out);
}

/*
 * Answers for all topics; "error" is one for all, or KERR_NONE.
 */
static void
walk_request(KafkaCall *call, int16 error, const char *message)
{
	const DeleteTopicsRequest *in = call->request;
	DeleteTopicsResponse *out = call->response;
	bool		states = call->api_version >= 6;
	int			n = states ? in->topics.n : in->topic_names.n;
	int			nfound = 0;
	Oid		   *found = error == KERR_NONE ? find_all(call, &nfound) : NULL;

	int		   *uses = count_uses(call);

	KAFKA_RESIZE(call, out->responses, DeleteTopicResponse, n);
	out->responses.n = 0;
	for (int i = 0; i < n; i++)
	{
		DeleteTopicResponse *result = &out->responses.items[out->responses.n];

		if (uses[i] == 0)
			continue;			/* answered already */
		out->responses.n++;
		result->name = states ? in->topics.items[i].name : in->topic_names.items[i];
		if (states)
			result->topic_id = in->topics.items[i].topic_id;
		if (error != KERR_NONE)
			refuse(result, error, message);
		else if (states)
			delete_state(call, &in->topics.items[i], found, nfound, result);
		else
			delete_one(call, in->topic_names.items[i], NULL, found, nfound, result);
	}
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
delete_topics_begin(KafkaCall *call)
{
	walk_request(call, KERR_NONE, NULL);
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
delete_topics_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, code, message);
}

const KafkaHandler kafka_handler_delete_topics = {
	.begin = delete_topics_begin,
	.fail = delete_topics_fail
};
