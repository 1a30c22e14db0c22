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

#include "access/xlog.h"

#include "kafka/groups.h"
#include "kafka/offsets.h"
#include "kafka/topics.h"

/*
 * Finds the topic of a request, by its id if id is not NULL, else by name.
 * *found gets its name, in the current memory context.  Returns NULL with the
 * error code, also if the client may not do this with it.  The topic is valid
 * until the next catalog access.
 */
const PtTopic *
kafka_offsets_topic(const KafkaCall *call, PtOperation op, KafkaString name, const KafkaUuid *id, PtString *found, int16 *error)
{
	const PtTopic *topic = kafka_topic_known(call, op, name, id, error);

	if (topic == NULL)
		return NULL;
	*found = pt_string_copy(pt_string_of(topic->name));
	return topic;
}

/*
 * Creates the group's partition of __consumer_offsets.  For
 * kafka_run_transaction().
 */
static void
create_leaf(void *arg)
{
	(void) pt_offsets_leaf(*(PtString *) arg, true);
}

/*
 * Makes sure that __consumer_offsets has a partition for the group.  Only the
 * administration worker creates it. KAFKA_MOVE: the handler must return it;
 * the request then begins anew in that worker, or, after the creation, again
 * in the control worker. KAFKA_REPLY: *error says whether it worked.  The
 * current transaction may be committed and another begun.
 */
KafkaOutcome
kafka_offsets_prepare(KafkaCall *call, KafkaString group_id, int16 *error)
{
	PtString	id = group_id;
	KafkaError	thrown;

	*error = KERR_NONE;
	if (!OidIsValid(pt_offsets_leaf(id, false)) && !RecoveryInProgress())
	{
		if (!kafka_administrates(call))
			return kafka_move(call, KAFKA_PLANE_ADMIN);
		if (!kafka_run_transaction(call, create_leaf, &id, &thrown))
		{
			kafka_log_error(call, &thrown);
			*error = kafka_group_error(thrown.code);
			return KAFKA_REPLY;
		}

		/* somebody has dropped a single partition */
		if (!OidIsValid(pt_offsets_leaf(id, false)))
		{
			*error = KERR_COORDINATOR_NOT_AVAILABLE;
			return KAFKA_REPLY;
		}
	}
	if (call->session->plane == KAFKA_PLANE_ADMIN)
		return kafka_move(call, KAFKA_PLANE_CONTROL);
	return KAFKA_REPLY;
}

/*
 * Gets the group's partition of __consumer_offsets; false: there is none yet.
 */
bool
kafka_offsets_partition(KafkaString group_id, int32 *partition)
{
	const PtTopic *topic = pt_topic_by_name(PT_OFFSETS_TOPIC);

	if (topic == NULL || topic->npartitions == 0)
		return false;
	*partition = pt_group_partition(group_id, topic->npartitions);
	return true;
}

/*
 * Fills call->produce with the records of a group's offsets, for
 * KAFKA_APPEND.  Returns an error code.
 */
int16
kafka_offsets_write(KafkaCall *call, KafkaString group_id, const PtCommittedOffset *offsets, int n)
{
	PtString	id = group_id;

	Assert(n > 0 && call->nproduce == 0);
	if (!OidIsValid(pt_offsets_leaf(id, false)))
		return KERR_COORDINATOR_NOT_AVAILABLE;
	call->produce = pt_offsets_commit(id, offsets, n, &call->nproduce);
	Assert(call->nproduce > 0);
	call->acks = -1;
	return KERR_NONE;
}

/*
 * Returns the error code of the appended records: that of the first one that
 * failed.
 */
int16
kafka_offsets_written(const KafkaCall *call)
{
	for (int i = 0; i < call->nproduce; i++)
	{
		if (call->produce[i].status != PT_OK)
			return kafka_group_error(kafka_error_from_batch(&call->produce[i]));
	}
	return KERR_NONE;
}
