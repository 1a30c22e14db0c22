/*-------------------------------------------------------------------------
 *
 * 42_delete_groups.c
 *	  DeleteGroups: deletes groups without members, with their offsets.
 *
 * The offsets of all groups of a request are removed by one append.
 *
 * Siblings: ../groups.h, ../offsets.h; 47_offset_delete.c for single offsets.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "kafka/allowed.h"
#include "kafka/groups.h"
#include "kafka/offsets.h"

/*
 * How long to try while somebody has a partition of __consumer_offsets
 * locked.
 */
#define DELETE_PATIENCE_MS	5000

/* Kept between begin and resume. */
typedef struct DeleteState
{
	DeletedGroup **targets;		/* by number of the item in call->produce: its
								 * group */
	int			n;
	int			cap;			/* allocated length of both arrays */
} DeleteState;

/*
 * Adds the items of a group to those of the call.
 */
static void
add_items(KafkaCall *call, const PtProduce *items, int n, DeletedGroup *target)
{
	DeleteState *state = call->state;

	if (state->n + n > state->cap)
	{
		int			cap = Max(state->n + n, Max(16, state->cap * 2));
		PtProduce  *produce = MemoryContextAllocHuge(call->mcxt, sizeof(PtProduce) * cap);
		DeletedGroup **targets = MemoryContextAllocHuge(call->mcxt, sizeof(*targets) * cap);

		if (state->n > 0)
		{
			memcpy(produce, call->produce, sizeof(PtProduce) * state->n);
			memcpy(targets, state->targets, sizeof(*targets) * state->n);
		}
		call->produce = produce;
		state->targets = targets;
		state->cap = cap;
	}
	Assert(state->n + n <= state->cap);
	for (int i = 0; i < n; i++)
	{
		call->produce[state->n] = items[i];
		state->targets[state->n++] = target;
	}
	call->nproduce = state->n;
}

/*
 * Deletes a group.  A group that the coordinator does not know may still have
 * offsets.  Returns an error.
 */
static int16
delete_group(KafkaCall *call, KafkaString id, DeletedGroup *target)
{
	CoordEvent	event = kafka_group_event(call, COORD_EV_DELETE, id);
	int16		error;
	PtProduce  *items;
	int			n;

	if (!kafka_may_group(call, id, PT_OP_DELETE))
		return KERR_GROUP_AUTHORIZATION_FAILED;
	error = kafka_group_check(call, &event);
	if (error != KERR_NONE && error != KERR_GROUP_ID_NOT_FOUND)
		return error;
	if (pt_group_sql_active(id))
		return KERR_NON_EMPTY_GROUP;
	items = pt_offsets_delete(id, &n);
	if (n == 0)
		return error;
	add_items(call, items, n, target);
	return KERR_NONE;
}

/*
 * Answers for all groups; "error" is one for all, or KERR_NONE.  A group that
 * is named twice is deleted once.
 */
static void
walk_request(KafkaCall *call, int16 error)
{
	const DeleteGroupsRequest *in = call->request;
	DeleteGroupsResponse *out = call->response;

	KAFKA_RESIZE(call, out->results, DeletedGroup, in->groups_names.n);
	out->results.n = 0;
	for (int i = 0; i < in->groups_names.n; i++)
	{
		KafkaString id = in->groups_names.items[i];
		bool		seen = false;
		DeletedGroup *target;

		for (int j = 0; j < out->results.n && !seen; j++)
			seen = pt_string_equal(out->results.items[j].group_id, id);
		if (seen)
			continue;
		target = &out->results.items[out->results.n++];
		target->group_id = id;
		target->error_code = error != KERR_NONE ? error : delete_group(call, id, target);
	}
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
delete_groups_begin(KafkaCall *call)
{
	call->state = palloc0(sizeof(DeleteState));
	call->nproduce = 0;
	walk_request(call, KERR_NONE);
	if (call->nproduce == 0)
		return KAFKA_REPLY;
	call->acks = -1;
	call->deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), DELETE_PATIENCE_MS);
	return KAFKA_APPEND;
}

/*
 * KafkaHandler.resume: the records have been appended.
 */
static KafkaOutcome
delete_groups_resume(KafkaCall *call, bool timed_out)
{
	DeleteState *state = call->state;

	for (int i = 0; i < state->n; i++)
	{
		int16		error = kafka_group_error(kafka_error_from_batch(&call->produce[i]));

		if (error != KERR_NONE)
			state->targets[i]->error_code = error;
	}
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
delete_groups_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, kafka_group_error(code));
}

const KafkaHandler kafka_handler_delete_groups = {
	.begin = delete_groups_begin,
	.resume = delete_groups_resume,
	.fail = delete_groups_fail
};
