/*-------------------------------------------------------------------------
 *
 * 23_offset_for_leader_epoch.c
 *	  OffsetForLeaderEpoch: the end offset of an epoch, for clients that check
 *	  for divergence (KIP-320).
 *
 * Siblings: ../searches.c, ../topics.c; ../../fetch/fetch.h (pt_epoch_end).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/searches.h"
#include "kafka/topics.h"

/* Arguments and results of pt_epoch_end(). */
typedef struct EpochEnd
{
	Oid			relid;
	int32		epoch;
	PtStatus	status;
	int32		found;			/* epoch that was found, at most the one that
								 * was asked for */
	int64		end_offset;
} EpochEnd;

/*
 * Called by kafka_try_at_hand().
 */
static void
epoch_end(void *arg)
{
	EpochEnd   *end = arg;

	end->status = pt_epoch_end(end->relid, end->epoch, &end->found, &end->end_offset);
}

/*
 * KafkaSearch
 */
static bool
find_end(KafkaCall *call, const KafkaSearchPart *part)
{
	const EpochPartition *in = part->in;
	EpochPartitionResponse *out = part->out;
	EpochEnd	end = {.relid = part->relid,.epoch = in->leader_epoch};
	KafkaError	error = {0};

	if (kafka_try_at_hand(call, epoch_end, &end, &error))
		out->error_code = kafka_read_error_from_status(end.status);
	else if (error.code == KERR_NONE)
		return false;
	else
		out->error_code = error.code;
	if (out->error_code != KERR_NONE)
		return true;
	out->leader_epoch = end.found;
	out->end_offset = end.end_offset;
	return true;
}

/*
 * Makes the response in the form of the request, and lists what is to be
 * looked up, unless there is an error for all.
 */
static void
walk_request(KafkaCall *call, int16 error, KafkaSearches *searches)
{
	const OffsetForLeaderEpochRequest *in = call->request;
	OffsetForLeaderEpochResponse *out = call->response;
	KafkaLookup lookup = {.call = call,.op = PT_OP_DESCRIBE};

	KAFKA_RESIZE(call, out->topics, EpochTopicResponse, in->topics.n);
	for (int i = 0; i < in->topics.n; i++)
	{
		const EpochTopic *topic = &in->topics.items[i];
		EpochTopicResponse *result = &out->topics.items[i];

		result->topic = topic->topic;
		KAFKA_RESIZE(call, result->partitions, EpochPartitionResponse, topic->partitions.n);
		for (int j = 0; j < topic->partitions.n; j++)
		{
			const EpochPartition *partition = &topic->partitions.items[j];
			EpochPartitionResponse *target = &result->partitions.items[j];
			Oid			relid;

			target->partition = partition->partition;
			target->error_code = error;
			if (error != KERR_NONE)
				continue;
			relid = kafka_lookup(&lookup, topic->topic, NULL, partition->partition, &target->error_code);
			if (!OidIsValid(relid))
				continue;
			target->error_code = kafka_leader_epoch_check(partition->current_leader_epoch);
			if (target->error_code == KERR_NONE)
				kafka_searches_add(searches, relid, partition, target);
		}
	}
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
offset_for_leader_epoch_begin(KafkaCall *call)
{
	walk_request(call, KERR_NONE, kafka_searches_new(call, find_end));
	return kafka_searches_run(call);
}

/*
 * KafkaHandler.fail
 */
static void
offset_for_leader_epoch_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, kafka_read_error(code), NULL);
}

const KafkaHandler kafka_handler_offset_for_leader_epoch = {
	.begin = offset_for_leader_epoch_begin,
	.resume = kafka_searches_resume,
	.fail = offset_for_leader_epoch_fail
};
