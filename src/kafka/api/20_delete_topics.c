/*-------------------------------------------------------------------------
 *
 * 20_delete_topics.c
 *	  DeleteTopics: by name, or since version 6 by id.
 *
 * Each topic is a transaction of its own.  DROP waits for sessions that use the topic's tables, but
 * not for long (kafka_run_transaction): then the client is told to try again.
 *
 * Siblings: ../call.c, ../topics.c; ../../topic/topic.h (pt_topic_drop).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/topics.h"

static void
drop_topic(void *arg)
{
	pt_topic_drop(*(Oid *) arg);
}

static void
refuse(DeleteTopicResponse *out, int16 code, const char *message)
{
	out->error_code = code;
	out->error_message = kafka_string(message);
}

/* id: NULL when the topic is given by name */
static void
delete_one(KafkaCall *call, KafkaString name, const KafkaUuid *id, DeleteTopicResponse *out)
{
	const PtTopic *topic = kafka_topic_find(name, id, &out->error_code);
	KafkaError	error;
	Oid			relid;

	if (topic == NULL)
		return;
	out->name = kafka_string(pstrdup(topic->name));
	memcpy(&out->topic_id, &topic->id, sizeof(out->topic_id));
	if (topic->internal)
	{
		refuse(out, KERR_INVALID_TOPIC_EXCEPTION, "The topic is internal: SQL can drop it with DROP TABLE.");
		return;
	}
	relid = topic->relid;
	if (!kafka_run_transaction(call, drop_topic, &relid, &error))
	{
		kafka_log_error(call, &error);
		refuse(out, error.code, error.message);
	}
}

/* Since version 6: either a name or an id. */
static void
delete_state(KafkaCall *call, const DeleteTopic *in, DeleteTopicResponse *out)
{
	bool		has_id = !kafka_uuid_is_zero(&in->topic_id);

	out->name = in->name;
	out->topic_id = in->topic_id;
	if (has_id == (in->name.len >= 0))
		refuse(out, KERR_INVALID_REQUEST, "Either a name or an id must be given.");
	else
		delete_one(call, in->name, has_id ? &in->topic_id : NULL, out);
}

static void
walk_request(KafkaCall *call, int16 error, const char *message)
{
	const DeleteTopicsRequest *in = call->request;
	DeleteTopicsResponse *out = call->response;
	bool		states = call->api_version >= 6;
	int			n = states ? in->topics.n : in->topic_names.n;

	KAFKA_RESIZE(call, out->responses, DeleteTopicResponse, n);
	for (int i = 0; i < n; i++)
	{
		DeleteTopicResponse *result = &out->responses.items[i];

		result->name = states ? in->topics.items[i].name : in->topic_names.items[i];
		if (states)
			result->topic_id = in->topics.items[i].topic_id;
		if (error != KERR_NONE)
			refuse(result, error, message);
		else if (states)
			delete_state(call, &in->topics.items[i], result);
		else
			delete_one(call, in->topic_names.items[i], NULL, result);
	}
}

static KafkaOutcome
delete_topics_begin(KafkaCall *call)
{
	walk_request(call, KERR_NONE, NULL);
	return KAFKA_REPLY;
}

static void
delete_topics_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, code, message);
}

const KafkaHandler kafka_handler_delete_topics = {
	.begin = delete_topics_begin,
	.fail = delete_topics_fail
};
