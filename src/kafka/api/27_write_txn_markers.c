/*-------------------------------------------------------------------------
 *
 * 27_write_txn_markers.c
 *	  WriteTxnMarkers: the end of a transaction, told to partitions by a
 *	  coordinator of another broker.
 *
 * There is no other one.  Nothing of an open transaction is in a log, and a
 * commit needs no markers.  So whoever sends them is a coordinator that is
 * none (TRANSACTION_COORDINATOR_FENCED), and nothing is changed.
 *
 * Siblings: ../topics.h; 26_end_txn.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/topics.h"

/*
 * Makes the response in the form of the request.  "error" is one for all
 * partitions, or for those that exist.
 */
static void
walk_request(KafkaCall *call, int16 error, bool for_all)
{
	const WriteTxnMarkersRequest *in = call->request;
	WriteTxnMarkersResponse *out = call->response;
	KafkaLookup lookup = {.call = call,.op = PT_OP_DESCRIBE};

	Assert(error != KERR_NONE);
	KAFKA_RESIZE(call, out->markers, WritableTxnMarkerResult, in->markers.n);
	for (int i = 0; i < in->markers.n; i++)
	{
		const WritableTxnMarker *marker = &in->markers.items[i];
		WritableTxnMarkerResult *result = &out->markers.items[i];

		result->producer_id = marker->producer_id;
		KAFKA_RESIZE(call, result->topics, WritableTxnMarkerTopicResult, marker->topics.n);
		for (int j = 0; j < marker->topics.n; j++)
		{
			const WritableTxnMarkerTopic *topic = &marker->topics.items[j];
			WritableTxnMarkerTopicResult *found = &result->topics.items[j];

			found->name = topic->name;
			KAFKA_RESIZE(call, found->partitions, WritableTxnMarkerPartitionResult, topic->partition_indexes.n);
			for (int k = 0; k < topic->partition_indexes.n; k++)
			{
				WritableTxnMarkerPartitionResult *target = &found->partitions.items[k];

				target->partition_index = topic->partition_indexes.items[k];
				target->error_code = error;
				if (!for_all)
					(void) kafka_lookup(&lookup, topic->name, NULL, target->partition_index, &target->error_code);
				if (target->error_code == KERR_NONE)
					target->error_code = error;
			}
		}
	}
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
write_txn_markers_begin(KafkaCall *call)
{
	if (kafka_may_cluster(call, PT_OP_CLUSTER_ACTION) || kafka_may_cluster(call, PT_OP_ALTER))
		walk_request(call, KERR_TRANSACTION_COORDINATOR_FENCED, false);
	else
		walk_request(call, KERR_CLUSTER_AUTHORIZATION_FAILED, true);
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
write_txn_markers_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, code, true);
}

const KafkaHandler kafka_handler_write_txn_markers = {
	.begin = write_txn_markers_begin,
	.fail = write_txn_markers_fail
};
