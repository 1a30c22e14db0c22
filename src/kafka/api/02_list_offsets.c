/*-------------------------------------------------------------------------
 *
 * 02_list_offsets.c
 *	  ListOffsets: the offset for a time, or the start or end of a log.
 *
 * A negative timestamp has a special meaning.  Each came with a version, and a
 * client that sends one with an older version gets UNSUPPORTED_VERSION.
 * Version 4 and later have leader epochs.
 *
 * A look-up by time reads the log.  Where that has to be read from the disk
 * first, the request waits, and looks up again what is missing.
 *
 * Siblings: ../searches.c, ../topics.c; ../../fetch/fetch.h (pt_list_offset).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/searches.h"
#include "kafka/topics.h"

/*
 * The oldest offset that tiered storage does not have yet (KIP-1023).  We
 * have no tiered storage.
 */
#define LIST_EARLIEST_PENDING_UPLOAD	(-6)

/*
 * The versions in which the special timestamps came, from -1 down.
 */
static const int8 special_since[] = {1, 1, 7, 8, 9, 11};

/*
 * Returns true if the version has the timestamp.
 */
static bool
timestamp_known(int64 timestamp, int16 version)
{
	Assert(version >= 0);
	if (timestamp >= 0)
		return true;
	return timestamp >= LIST_EARLIEST_PENDING_UPLOAD && version >= special_since[-1 - timestamp];
}

/*
 * Called by kafka_try_at_hand().
 */
static void
list_offset(void *list)
{
	pt_list_offset(list);
}

/*
 * Returns true if the partition has to be looked up: nothing is wrong with
 * what is asked, and there may be such an offset.
 */
static bool
check_partition(KafkaCall *call, const ListOffsetsPartition *in, ListOffsetsPartitionResponse *out)
{
	out->error_code = kafka_leader_epoch_check(in->current_leader_epoch);
	if (out->error_code == KERR_NONE && !timestamp_known(in->timestamp, call->api_version))
		out->error_code = KERR_UNSUPPORTED_VERSION;
	return out->error_code == KERR_NONE && in->timestamp != LIST_EARLIEST_PENDING_UPLOAD;
}

/*
 * KafkaSearch
 */
static bool
list_partition(KafkaCall *call, const KafkaSearchPart *part)
{
	const ListOffsetsPartition *in = part->in;
	ListOffsetsPartitionResponse *out = part->out;
	PtListOffset list = {.relid = part->relid,.timestamp = in->timestamp};
	KafkaError	error = {0};

	if (kafka_try_at_hand(call, list_offset, &list, &error))
		out->error_code = kafka_read_error_from_status(list.status);
	else if (error.code == KERR_NONE)
		return false;
	else
		out->error_code = error.code;
	if (out->error_code != KERR_NONE)
		return true;
	out->offset = list.offset;
	out->timestamp = list.found_timestamp;
	out->leader_epoch = list.leader_epoch;
	return true;
}

/*
 * Makes the response in the form of the request, and lists what is to be
 * looked up, unless there is an error for all.
 */
static void
walk_request(KafkaCall *call, int16 error, KafkaSearches *searches)
{
	const ListOffsetsRequest *in = call->request;
	ListOffsetsResponse *out = call->response;
	KafkaLookup lookup = {.call = call,.op = PT_OP_DESCRIBE};

	Assert((searches == NULL) == (error != KERR_NONE));
	KAFKA_RESIZE(call, out->topics, ListOffsetsTopicResponse, in->topics.n);
	for (int i = 0; i < in->topics.n; i++)
	{
		const ListOffsetsTopic *topic = &in->topics.items[i];
		ListOffsetsTopicResponse *result = &out->topics.items[i];

		result->name = topic->name;
		KAFKA_RESIZE(call, result->partitions, ListOffsetsPartitionResponse, topic->partitions.n);
		for (int j = 0; j < topic->partitions.n; j++)
		{
			const ListOffsetsPartition *partition = &topic->partitions.items[j];
			ListOffsetsPartitionResponse *target = &result->partitions.items[j];
			Oid			relid;

			target->partition_index = partition->partition_index;
			target->error_code = error;
			if (error != KERR_NONE)
				continue;
			relid = kafka_lookup(&lookup, topic->name, NULL, partition->partition_index, &target->error_code);
			if (OidIsValid(relid) && check_partition(call, partition, target))
				kafka_searches_add(searches, relid, partition, target);
		}
	}
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
list_offsets_begin(KafkaCall *call)
{
	walk_request(call, KERR_NONE, kafka_searches_new(call, list_partition));
	return kafka_searches_run(call);
}

/*
 * KafkaHandler.fail
 */
static void
list_offsets_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, kafka_read_error(code), NULL);
}

const KafkaHandler kafka_handler_list_offsets = {
	.begin = list_offsets_begin,
	.resume = kafka_searches_resume,
	.fail = list_offsets_fail
};
