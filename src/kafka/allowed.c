/*-------------------------------------------------------------------------
 *
 * allowed.c
 *	  May the client do this?
 *
 * The rights are those of the session's role, and are asked for whenever they
 * are needed.  A handler answers with the code of Kafka's broker; what it may
 * not tell it leaves out.
 *
 * Siblings: allowed.h, topics.c; ../rights/README.md, ../groups/rights.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "groups/groups.h"
#include "tell.h"
#include "kafka/allowed.h"

/*
 * Tells the log why a role that has the privilege may not use it: that is not
 * to be seen from GRANTs.
 */
static void
tell_hidden_rows(const KafkaCall *call, const PtTopic *topic)
{
	static PtTold told;
	int			untold;

	if (pt_may_tell(&told, &untold))
		ereport(LOG,
				(errmsg("topic \"%s\" is refused to Kafka client \"%s\" at %s: it has row-level security for role \"%s\"",
						topic->name, call->session->client_id, call->session->peer, call->session->role_name),
				 errhint("Kafka clients get batches as they are. Give them a topic of their own, or the role BYPASSRLS.")));
	if (untold > 0)
		ereport(LOG,
				(errmsg("%d more requests of Kafka clients were refused because of row-level security", untold)));
}

/*
 * Returns true if the client may do this with a topic.
 */
bool
kafka_may_topic(const KafkaCall *call, const PtTopic *topic, PtOperation op)
{
	Oid			role = call->session->role;

	if (likely((pt_rights_on_topic(role, topic->relid) & PT_OP_BIT(op)) != 0))
		return true;
	if ((op == PT_OP_READ || op == PT_OP_WRITE) && pt_rights_hidden_rows(role, topic->relid))
		tell_hidden_rows(call, topic);
	return false;
}

/*
 * The same for READ, by the OID of the topic's table, which may be gone.
 */
bool
kafka_may_read(const KafkaCall *call, Oid relid)
{
	return (pt_rights_on_topic(call->session->role, relid) & PT_OP_BIT(PT_OP_READ)) != 0;
}

/*
 * Returns true if the client may create topics.  Who may also learns which
 * names are not taken.
 */
bool
kafka_may_create(const KafkaCall *call)
{
	return pt_rights_create(call->session->role);
}

bool
kafka_may_cluster(const KafkaCall *call, PtOperation op)
{
	return (pt_rights_granted(call->session->role, PT_RESOURCE_CLUSTER, pt_string_of(PT_CLUSTER_NAME)) &
			PT_OP_BIT(op)) != 0;
}

bool
kafka_may_group(KafkaCall *call, KafkaString group_id, PtOperation op)
{
	return (pt_group_rights(call->session->role, group_id, true) & PT_OP_BIT(op)) != 0;
}

bool
kafka_may_transactional_id(const KafkaCall *call, KafkaString id, PtOperation op)
{
	return (pt_rights_granted(call->session->role, PT_RESOURCE_TRANSACTIONAL_ID, id) & PT_OP_BIT(op)) != 0;
}

/*
 * What the client may do, as clients are told it (KIP-430).  With a topic that
 * is not there (NULL): for who may know that.
 */
int32
kafka_topic_operations(const KafkaCall *call, const PtTopic *topic)
{
	Oid			role = call->session->role;
	PtOperations operations;

	if (topic != NULL)
		operations = pt_rights_on_topic(role, topic->relid);
	else
		operations = pt_role_is_admin(role) ? PT_TOPIC_OPERATIONS : PT_OP_BIT(PT_OP_DESCRIBE);
	if (kafka_may_create(call))
		operations |= PT_OP_BIT(PT_OP_CREATE);
	return (int32) (operations & PT_TOPIC_OPERATIONS);
}

int32
kafka_group_operations(KafkaCall *call, KafkaString group_id)
{
	return (int32) (pt_group_rights(call->session->role, group_id, true) & PT_GROUP_OPERATIONS);
}

/*
 * As in Kafka, who may not describe the cluster hears of nothing.
 */
int32
kafka_cluster_operations(const KafkaCall *call)
{
	PtOperations operations = pt_rights_granted(call->session->role, PT_RESOURCE_CLUSTER, pt_string_of(PT_CLUSTER_NAME));

	return operations & PT_OP_BIT(PT_OP_DESCRIBE) ? (int32) (operations & PT_CLUSTER_OPERATIONS) : 0;
}
