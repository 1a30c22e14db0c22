/*-------------------------------------------------------------------------
 *
 * 10_find_coordinator.c
 *	  FindCoordinator: the broker that serves a group or a transactional id.
 *
 * There is one broker, so it is always this one.  A standby is not: it sees
 * commits but cannot write, and its clients have to try again until it has
 * been promoted.
 *
 * Versions: up to 3 a request has one key, from 4 on many.
 *
 * Siblings: ../broker.h; ../groups.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "mb/pg_wchar.h"

#include "guc.h"
#include "kafka/allowed.h"
#include "kafka/broker.h"
#include "kafka/groups.h"

/* key types of the protocol */
#define KEY_GROUP		0
#define KEY_TRANSACTION 1

/*
 * May the client know who coordinates it?  That is the one broker, whether or
 * not there is such a group; so where groups follow topics their offsets need
 * not be looked at, which a listener should not do.
 */
static bool
is_allowed(const KafkaCall *call, int8 type, KafkaString key)
{
	Oid			role = call->session->role;

	if (type == KEY_TRANSACTION)
		return kafka_may_transactional_id(call, key, PT_OP_DESCRIBE);
	return pt_groups_follow_topics ||
		(pt_rights_granted(role, PT_RESOURCE_GROUP, key) & PT_OP_BIT(PT_OP_DESCRIBE)) != 0;
}

/*
 * Returns the error of one key, and its message.
 */
static int16
check_key(const KafkaCall *call, int8 type, KafkaString key, const char **message)
{
	Assert(message != NULL);
	if (type != KEY_GROUP && type != KEY_TRANSACTION)
	{
		*message = "There are coordinators of groups and of transactions only.";
		return KERR_INVALID_REQUEST;
	}
	if (key.len < 0 || !pg_verify_mbstr(PG_UTF8, key.data, key.len, true))
	{
		*message = "The key is not valid UTF-8.";
		return type == KEY_GROUP ? KERR_INVALID_GROUP_ID : KERR_INVALID_REQUEST;
	}
	if (!is_allowed(call, type, key))
	{
		*message = type == KEY_GROUP ? KAFKA_NOT_AUTHORIZED_GROUP : KAFKA_NOT_AUTHORIZED_TRANSACTIONAL_ID;
		return type == KEY_GROUP ? KERR_GROUP_AUTHORIZATION_FAILED : KERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
	}
	if (RecoveryInProgress())
	{
		*message = "The server is a standby.";
		return KERR_COORDINATOR_NOT_AVAILABLE;
	}
	return KERR_NONE;
}

/*
 * Fills the answer for one key.
 */
static void
answer_key(FindCoordinatorFound *found, KafkaString key, int16 error, const char *message,
		   const KafkaAdvertised *at)
{
	found->key = key;
	found->error_code = error;
	found->error_message = error == KERR_NONE ? kafka_string("") : kafka_string(message);
	found->node_id = error == KERR_NONE ? KAFKA_BROKER_ID : -1;
	found->host = kafka_string(error == KERR_NONE ? at->host : "");
	found->port = error == KERR_NONE ? at->port : -1;
}

/*
 * Answers for all keys; "error" is one for all, or KERR_NONE.
 */
static void
walk_request(KafkaCall *call, int16 error, const char *message)
{
	const FindCoordinatorRequest *in = call->request;
	FindCoordinatorResponse *out = call->response;
	bool		many = call->api_version >= 4;
	int			n = many ? in->coordinator_keys.n : 1;
	FindCoordinatorFound *found = KAFKA_NEW(call, FindCoordinatorFound, n);
	KafkaAdvertised at = kafka_advertised(call->session->listener);

	for (int i = 0; i < n; i++)
	{
		KafkaString key = many ? in->coordinator_keys.items[i] : in->key;
		const char *why = message;
		int16		code = error != KERR_NONE ? error : check_key(call, in->key_type, key, &why);

		answer_key(&found[i], key, code, why, &at);
	}
	if (many)
	{
		out->coordinators.items = found;
		out->coordinators.n = n;
		return;
	}
	out->error_code = found[0].error_code;
	out->error_message = found[0].error_message;
	out->node_id = found[0].node_id;
	out->host = found[0].host;
	out->port = found[0].port;
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
find_coordinator_begin(KafkaCall *call)
{
	walk_request(call, KERR_NONE, NULL);
	return KAFKA_REPLY;
}

/*
 * KafkaHandler.fail
 */
static void
find_coordinator_fail(KafkaCall *call, int16 code, const char *message)
{
	walk_request(call, kafka_group_error(code), message);
}

const KafkaHandler kafka_handler_find_coordinator = {
	.begin = find_coordinator_begin,
	.fail = find_coordinator_fail
};
