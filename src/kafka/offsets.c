/*-------------------------------------------------------------------------
 *
 * offsets.c
 *	  What the APIs that read and write committed offsets of groups share.
 *
 * Siblings: offsets.h, groups.c, topics.c; ../groups/groups.h, which makes the
 * records.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/groups.h"
#include "kafka/offsets.h"
#include "kafka/topics.h"

/*
 * The topic of a request, by name or by id (when not NULL), and its name in
 * the current memory context.  NULL with the error code; valid until the next
 * catalog access.
 */
const PtTopic *
kafka_offsets_topic(KafkaString name, const KafkaUuid *id, PtString *found, int16 *error)
{
	const PtTopic *topic = kafka_topic_known(name, id, error);

	if (topic == NULL)
		return NULL;
	*found = pt_string_copy(pt_string_of(topic->name));
	return topic;
}

static void
create_leaf(void *arg)
{
	(void) pt_offsets_leaf(*(PtString *) arg, true);
}

/*
 * Makes the call's items (for KAFKA_APPEND) of committed offsets of a group;
 * __consumer_offsets is created when there is none.  May commit the current
 * transaction and begin another.  Returns an error code.
 */
int16
kafka_offsets_write(KafkaCall *call, KafkaString group_id, const PtCommittedOffset *offsets, int n)
{
	PtString	id = group_id;
	KafkaError	error;

	Assert(n > 0 && call->nproduce == 0);
	if (!OidIsValid(pt_offsets_leaf(id, false)) &&
		!kafka_run_transaction(call, create_leaf, &id, &error))
	{
		kafka_log_error(call, &error);
		return kafka_group_error(error.code);
	}
	call->produce = pt_offsets_commit(id, offsets, n, &call->nproduce);
	Assert(call->nproduce > 0);
	call->acks = -1;
	return KERR_NONE;
}

/* What has become of them. */
int16
kafka_offsets_written(const KafkaCall *call)
{
	for (int i = 0; i < call->nproduce; i++)
	{
		if (call->produce[i].status != PT_OK)
			return kafka_group_error(kafka_error_from_status(call->produce[i].status));
	}
	return KERR_NONE;
}
