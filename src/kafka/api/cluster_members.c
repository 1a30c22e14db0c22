/*-------------------------------------------------------------------------
 *
 * cluster_members.c
 *	  UnregisterBroker, AddRaftVoter, RemoveRaftVoter: the cluster is always
 *	  this one server.
 *
 * The administrator adds and removes standbys.  Each API has a check that
 * finds the reason for its refusal; all responses have the same form.  Raft
 * voters are refused as by a broker whose quorum is static (kraft.version 0).
 *
 * Siblings: refused.c, 55_describe_quorum.c, 60_describe_cluster.c;
 * ../broker.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/allowed.h"
#include "kafka/broker.h"

/* Why a request is refused.  The message is in the call's memory. */
typedef struct Refusal
{
	int16		code;
	const char *message;
} Refusal;

/*
 * Returns the reason for refusing UnregisterBroker.
 */
static Refusal
refuse_unregister_broker(const UnregisterBrokerRequest *in)
{
	if (in->broker_id == KAFKA_BROKER_ID)
		return (Refusal)
	{
		KERR_INVALID_REQUEST,
			psprintf("Broker %d is this server, which cannot be unregistered.", KAFKA_BROKER_ID)
	};
	return (Refusal)
	{
		KERR_BROKER_ID_NOT_REGISTERED,
			psprintf("Broker ID %d is not currently registered", in->broker_id)
	};
}

/*
 * Returns the reason for refusing a change of voters.  cluster_id may be
 * null; "doing" is "adding" or "removing".
 */
static Refusal
refuse_voter(KafkaString cluster_id, const char *doing)
{
	const char *id = kafka_text(cluster_id);

	if (cluster_id.len >= 0 && !pt_string_equal(cluster_id, kafka_string(kafka_cluster_id())))
		return (Refusal)
	{
		KERR_INCONSISTENT_CLUSTER_ID,
			psprintf("The given id \"%s\" doesn't match the cluster id \"%s\"", id ? id : "", kafka_cluster_id())
	};
	return (Refusal)
	{
		KERR_UNSUPPORTED_VERSION,
			psprintf("Cluster doesn't support %s voter because the kraft.version feature is 0", doing)
	};
}

/*
 * Returns the reason for refusing AddRaftVoter.
 */
static Refusal
refuse_add_raft_voter(const AddRaftVoterRequest *in)
{
	return refuse_voter(in->cluster_id, "adding");
}

/*
 * Returns the reason for refusing RemoveRaftVoter.
 */
static Refusal
refuse_remove_raft_voter(const RemoveRaftVoterRequest *in)
{
	return refuse_voter(in->cluster_id, "removing");
}

/* Defines the handler of an API whose response has only an error. */
#define MEMBER_HANDLER(Name, name) \
static void \
name##_fail(KafkaCall *call, int16 code, const char *message) \
{ \
	Name##Response *out = call->response; \
	\
	out->error_code = code; \
	out->error_message = kafka_string(message); \
} \
static KafkaOutcome \
name##_begin(KafkaCall *call) \
{ \
	Refusal		refusal = kafka_may_cluster(call, PT_OP_ALTER) ? refuse_##name(call->request) : \
		(Refusal) {KERR_CLUSTER_AUTHORIZATION_FAILED, KAFKA_NOT_AUTHORIZED_CLUSTER}; \
	\
	Assert(refusal.code != KERR_NONE); \
	name##_fail(call, refusal.code, refusal.message); \
	return KAFKA_REPLY; \
} \
const KafkaHandler kafka_handler_##name = { \
	.begin = name##_begin, \
	.fail = name##_fail \
};

MEMBER_HANDLER(UnregisterBroker, unregister_broker)
MEMBER_HANDLER(AddRaftVoter, add_raft_voter)
MEMBER_HANDLER(RemoveRaftVoter, remove_raft_voter)
