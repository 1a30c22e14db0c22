/*-------------------------------------------------------------------------
 *
 * 61_describe_producers.c
 *	  DescribeProducers: the idempotent producers that partitions remember.
 *
 * Nothing of an open transaction is in a log, so none has a start offset: -1.
 *
 * Siblings: ../searches.c, ../topics.h; ../../produce/produce.h
 * (pt_producers_list).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/broker.h"
#include "kafka/searches.h"
#include "kafka/topics.h"

/*
 * Sets the error of a partition, also KERR_NONE.
 */
static void
refuse(DescribeProducersPartition *out, int16 code, const char *message)
{
	out->error_code = code;
	out->error_message = kafka_string(message);
}

/*
 * Returns the sequence number of the last record; -1: not known.
 */
static int32
last_sequence(const PtProducerState *state)
{
	const PtSequenceBatch *last = &state->batches[state->n - 1];

	return state->n == 0 ? -1 : pt_sequence_add(last->base_sequence, last->last_offset_delta);
}

/* Arguments and results of pt_producers_list(). */
typedef struct Producers
{
	Oid			relid;
	PtStatus	status;
	PtProducerState *states;
	int			n;
} Producers;

/*
 * Called by kafka_try_at_hand().
 */
static void
list_producers(void *arg)
{
	Producers  *producers = arg;

	producers->status = pt_producers_list(producers->relid, &producers->states, &producers->n);
}

/*
 * KafkaSearch
 */
static bool
describe_partition(KafkaCall *call, const KafkaSearchPart *part)
{
	DescribeProducersPartition *out = part->out;
	Producers	producers = {.relid = part->relid};
	KafkaError	error = {0};

	if (!kafka_try_at_hand(call, list_producers, &producers, &error))
	{
		if (error.code != KERR_NONE)
			refuse(out, error.code, error.message);
		return error.code != KERR_NONE;
	}
	if (producers.status != PT_OK)
	{
		refuse(out, kafka_read_error_from_status(producers.status), NULL);
		return true;
	}
	KAFKA_RESIZE(call, out->active_producers, DescribeProducersState, producers.n);
	for (int i = 0; i < producers.n; i++)
	{
		const PtProducerState *state = &producers.states[i];
		DescribeProducersState *producer = &out->active_producers.items[i];

		producer->producer_id = state->producer_id;
		producer->producer_epoch = state->epoch;
		producer->last_sequence = last_sequence(state);
		producer->last_timestamp = state->last_timestamp;
		producer->coordinator_epoch = -1;
		producer->current_txn_start_offset = -1;
	}
	return true;
}

/*
 * Makes the response in the form of the request, and lists what is to be
 * looked up, unless "error" is one for all.
 */
static void
walk_request(KafkaCall *call, int16 error, const char *message, KafkaSearches *searches)
{
	const DescribeProducersRequest *in = call->request;
	DescribeProducersResponse *out = call->response;
	KafkaLookup lookup = {.call = call,.op = PT_OP_READ};
	int			left = KAFKA_DESCRIBE_LIMIT;

	KAFKA_RESIZE(call, out->topics, DescribeProducersTopicResponse, in->topics.n);
	for (int i = 0; i < in->topics.n; i++)
	{
		const DescribeProducersTopic *topic = &in->topics.items[i];
		DescribeProducersTopicResponse *result = &out->topics.items[i];

		result->name = topic->name;
		KAFKA_RESIZE(call, result->partitions, DescribeProducersPartition, topic->partition_indexes.n);
		for (int j = 0; j < topic->partition_indexes.n; j++)
		{
			DescribeProducersPartition *target = &result->partitions.items[j];
			Oid			relid;

			target->partition_index = topic->partition_indexes.items[j];
			refuse(target, error, message);
			if (error != KERR_NONE)
				continue;
			relid = kafka_lookup(&lookup, topic->name, NULL, target->partition_index, &target->error_code);
			if (OidIsValid(relid) && left-- <= 0)
				refuse(target, KERR_INVALID_REQUEST, "Too many partitions in one request.");
			else if (OidIsValid(relid))
				kafka_searches_add(searches, relid, NULL, target);
		}
	}
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
describe_producers_begin(KafkaCall *call)
{
	walk_request(call, KERR_NONE, NULL, kafka_searches_new(call, describe_partition));
	return kafka_searches_run(call);
}

/*
 * KafkaHandler.fail
 */
static void
describe_producers_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, kafka_read_error(code), message, NULL);
}

const KafkaHandler kafka_handler_describe_producers = {
	.begin = describe_producers_begin,
	.resume = kafka_searches_resume,
	.fail = describe_producers_fail
};
