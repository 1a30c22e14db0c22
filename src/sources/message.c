/*-------------------------------------------------------------------------
 *
 * message.c
 *	  Logical messages as records: an outbox without a table.
 *
 * With message_prefix "outbox" there are two ways to say where a record goes:
 *
 *		pg_logical_emit_message(true, 'outbox:orders', 'the value')
 *		pg_logical_emit_message(true, 'outbox',
 *			'{"topic": "orders", "key": "17", "value": 1, "headers": {}}')
 *
 * In the second one a key or value that is a string is that text, null or not
 * there is null, and anything else is JSON text.
 *
 * Whoever may connect to the source's database can emit messages.  So a source
 * names the topics to which they may go, and one that is malformed, goes
 * elsewhere, or is a record that its topic does not take is passed over: it is
 * counted, and the log says so.
 *
 * Siblings: stream.c has the messages, envelope.c produces.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guard.h"
#include "mb/pg_wchar.h"
#include "topic/types.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "sources/internal.h"

static Jsonb *parse_message(PtString content);
static StringInfo member_bytes(Jsonb *message, const char *name);

/*
 * ERROR unless messages may go to the topic.
 */
static void
check_topic(const PtSource *source, const char *topic)
{
	ListCell   *lc;

	foreach(lc, source->message_topics)
	{
		if (strcmp(lfirst(lc), topic) == 0)
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("messages may not go to topic \"%s\"", topic),
			 errhint("Add it to \"message_topics\" of the source.")));
}

/*
 * Returns the message as an object; ERROR if it is none.
 */
static Jsonb *
parse_message(PtString content)
{
	char	   *text = pnstrdup(content.data, content.len);
	Jsonb	   *message;

	if (strlen(text) != content.len)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("message is not JSON: it has a zero byte")));
	(void) pg_verify_mbstr(PG_UTF8, text, content.len, false);
	message = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	if (!JB_ROOT_IS_OBJECT(message))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("message is not a JSON object")));
	return message;
}

/*
 * Returns a member as the bytes of a record; NULL for null or if it is not
 * there.
 */
static StringInfo
member_bytes(Jsonb *message, const char *name)
{
	JsonbValue	v;
	StringInfo	bytes;

	if (getKeyJsonValueFromContainer(&message->root, name, strlen(name), &v) == NULL || v.type == jbvNull)
		return NULL;
	bytes = makeStringInfo();
	if (v.type == jbvString)
		appendBinaryStringInfo(bytes, v.val.string.val, v.val.string.len);
	else
	{
		Jsonb	   *jb = JsonbValueToJsonb(&v);

		(void) JsonbToCString(bytes, &jb->root, VARSIZE(jb));
	}
	return bytes;
}

/*
 * Produces the record of a message that says itself where it goes.
 */
static void
produce_object(PtSourceRun *run, Jsonb *message)
{
	StringInfo	topic = member_bytes(message, "topic");
	PtHeaders  *headers = NULL;
	JsonbValue	v;

	if (topic == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("message names no topic"),
				 errhint("It is like {\"topic\": \"orders\", \"key\": \"17\", \"value\": {}, \"headers\": {}}.")));
	check_topic(run->source, topic->data);
	if (getKeyJsonValueFromContainer(&message->root, "headers", 7, &v) != NULL && v.type != jbvNull)
		headers = DatumGetHeadersP(DirectFunctionCall1(pt_headers_from_jsonb,
													   JsonbPGetDatum(JsonbValueToJsonb(&v))));
	pt_source_produce(run, topic->data, member_bytes(message, "key"), member_bytes(message, "value"),
					  headers ? headers->data : NULL, headers ? pt_headers_len(headers) : 0,
					  headers ? headers->count : 0);
}

/* A message of ours, and what follows the prefix. */
typedef struct Delivery
{
	PtSourceRun *run;
	const PtPgoutput *message;
	const char *topic;			/* NULL: the message says it */
} Delivery;

/*
 * Produces the record of a message: a job for pt_guarded().
 */
static void
deliver(void *arg)
{
	const Delivery *delivery = arg;
	PtString	content = delivery->message->content;
	StringInfoData value;

	if (delivery->topic == NULL)
	{
		produce_object(delivery->run, parse_message(content));
		return;
	}
	(void) pg_verify_mbstr(PG_UTF8, delivery->topic, strlen(delivery->topic), false);
	check_topic(delivery->run->source, delivery->topic);
	initStringInfo(&value);
	appendBinaryStringInfo(&value, content.data, content.len);
	pt_source_produce(delivery->run, delivery->topic, NULL, &value, NULL, 0, 0);
}

/*
 * Is it the message that is wrong, and not something here?
 */
static bool
is_of_message(const ErrorData *error)
{
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return category == ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION) ||
		category == ERRCODE_TO_CATEGORY(ERRCODE_PROGRAM_LIMIT_EXCEEDED);
}

/*
 * Produces the record of a message, if its prefix is that of the source.
 */
void
pt_source_message(PtSourceRun *run, const PtPgoutput *message)
{
	const char *ours = run->source->message_prefix;
	size_t		len = ours ? strlen(ours) : 0;
	Delivery	delivery = {.run = run,.message = message};
	ErrorData  *error;

	if (ours == NULL || strncmp(message->prefix, ours, len) != 0)
		return;
	if (message->prefix[len] == ':')
		delivery.topic = message->prefix + len + 1;
	else if (message->prefix[len] != '\0')
		return;
	error = pt_guarded(deliver, &delivery);
	if (error == NULL)
		return;
	if (!is_of_message(error))
		ReThrowError(error);
	pt_source_pass_over(run, "a message", error->message);
}
