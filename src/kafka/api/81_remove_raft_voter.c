/*-------------------------------------------------------------------------
 *
 * 81_remove_raft_voter.c
 *	  RemoveRaftVoter: the quorum has one voter, for good.
 *
 * The answer is a broker's whose quorum is static (kraft.version 0).
 *
 * Siblings: 55_describe_quorum.c; ../broker.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/api.h"
#include "kafka/broker.h"

static void
remove_raft_voter_fail(KafkaCall *call, int16 code, const char *message)
{
	RemoveRaftVoterResponse *out = call->response;

	out->error_code = code;
	out->error_message = kafka_string(message);
}

static KafkaOutcome
remove_raft_voter_begin(KafkaCall *call)
{
	const RemoveRaftVoterRequest *in = call->request;
	const char *id = kafka_text(in->cluster_id);

	if (in->cluster_id.len >= 0 && !pt_string_equal(in->cluster_id, kafka_string(kafka_cluster_id())))
		remove_raft_voter_fail(call, KERR_INCONSISTENT_CLUSTER_ID,
							   psprintf("The given id \"%s\" doesn't match the cluster id \"%s\"", id ? id : "",
										kafka_cluster_id()));
	else
		remove_raft_voter_fail(call, KERR_UNSUPPORTED_VERSION,
							   "Cluster doesn't support removing voter because the kraft.version feature is 0");
	return KAFKA_REPLY;
}

const KafkaHandler kafka_handler_remove_raft_voter = {
	.begin = remove_raft_voter_begin,
	.fail = remove_raft_voter_fail
};
