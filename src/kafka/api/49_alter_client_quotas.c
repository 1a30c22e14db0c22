/*-------------------------------------------------------------------------
 *
 * 49_alter_client_quotas.c
 *	  AlterClientQuotas: sets and removes quotas (KIP-546).
 *
 * Each entry is checked as a whole and gets an error of its own.  Those that
 * are all right are written in one transaction.  Workers heed them from their
 * next request on.
 *
 * Siblings: 48_describe_client_quotas.c; ../../quotas/entity.c (what may be).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/allowed.h"
#include "kafka/quota.h"

/* A change that has been checked. */
typedef struct Change
{
	const PtQuotaEntity *entity;
	PtQuotaKind kind;
	bool		remove;
	double		value;
} Change;

/* The changes of all entries that are all right. */
typedef struct Changes
{
	List	   *list;			/* Change * */
} Changes;

/*
 * Sets the error of an entry, and returns false.
 */
static bool
refuse(AlterQuotasEntryResult *out, int16 code, const char *message)
{
	Assert(code != KERR_NONE);
	out->error_code = code;
	out->error_message = kafka_string(message);
	return false;
}

/*
 * Makes the result of an entry, which has its entity again.
 */
static void
make_result(KafkaCall *call, const AlterQuotasEntry *in, AlterQuotasEntryResult *out)
{
	out->error_message = kafka_string(NULL);
	KAFKA_RESIZE(call, out->entity, AlterQuotasEntityResult, in->entity.n);
	for (int i = 0; i < in->entity.n; i++)
	{
		out->entity.items[i].entity_type = in->entity.items[i].entity_type;
		out->entity.items[i].entity_name = in->entity.items[i].entity_name;
	}
}

/*
 * Adds one part of the entity.
 */
static bool
read_part(const AlterQuotasEntity *in, PtQuotaEntity *entity, AlterQuotasEntryResult *out)
{
	const char *type = kafka_text(in->entity_type);
	int			part = type ? pt_quota_part(type) : -1;

	if (part < 0)
		return refuse(out, KERR_INVALID_REQUEST,
					  psprintf("Unhandled client quota entity type: %s", type ? type : "(not valid text)"));
	if (entity->given[part])
		return refuse(out, KERR_INVALID_REQUEST,
					  psprintf("Invalid client quota entity, duplicate entity entry %s", type));
	entity->given[part] = true;
	entity->name[part] = kafka_text(in->entity_name);
	if (entity->name[part] == NULL && in->entity_name.len >= 0)
		return refuse(out, KERR_INVALID_REQUEST, psprintf("The name of a %s is not valid text.", type));
	return true;
}

/*
 * Reads and checks the entity.
 */
static bool
read_entity(const AlterQuotasEntry *in, PtQuotaEntity *entity, AlterQuotasEntryResult *out)
{
	const char *problem;

	memset(entity, 0, sizeof(*entity));
	for (int i = 0; i < in->entity.n; i++)
	{
		if (!read_part(&in->entity.items[i], entity, out))
			return false;
	}
	problem = pt_quota_entity_problem(entity);
	return problem == NULL || refuse(out, KERR_INVALID_REQUEST, problem);
}

/*
 * Checks one operation and adds it.  To remove what cannot be there is no
 * error, as in Kafka.
 */
static bool
read_op(const AlterQuotasOp *in, const PtQuotaEntity *entity, List **changes, AlterQuotasEntryResult *out)
{
	const char *quota = kafka_text(in->key);
	Change	   *change = palloc0(sizeof(Change));
	const char *problem;

	if (quota == NULL)
		return refuse(out, KERR_INVALID_REQUEST, "The name of a quota is not valid text.");
	problem = in->remove ? NULL : pt_quota_problem(entity, quota, in->value);
	if (problem != NULL)
		return refuse(out, KERR_INVALID_REQUEST, problem);
	if (!pt_quota_kind(entity, quota, &change->kind))
		return true;
	change->entity = entity;
	change->remove = in->remove;
	change->value = in->value;
	*changes = lappend(*changes, change);
	return true;
}

/*
 * Checks an entry, and adds its changes if it is all right.
 */
static void
read_entry(const AlterQuotasEntry *in, Changes *changes, AlterQuotasEntryResult *out)
{
	PtQuotaEntity *entity = palloc(sizeof(PtQuotaEntity));
	List	   *list = NIL;

	if (!read_entity(in, entity, out))
		return;
	for (int i = 0; i < in->ops.n; i++)
	{
		if (!read_op(&in->ops.items[i], entity, &list, out))
			return;
	}
	changes->list = list_concat(changes->list, list);
}

/*
 * Makes the changes.  For kafka_run_transaction().
 */
static void
write_changes(void *arg)
{
	ListCell   *lc;

	foreach(lc, ((Changes *) arg)->list)
	{
		const Change *change = lfirst(lc);

		pt_quota_write(change->entity, change->kind, change->remove ? NULL : &change->value);
	}
}

/*
 * Gives all entries that have no error yet this one.
 */
static void
fail_others(AlterClientQuotasResponse *out, int16 code, const char *message)
{
	for (int i = 0; i < out->entries.n; i++)
	{
		if (out->entries.items[i].error_code == KERR_NONE)
			(void) refuse(&out->entries.items[i], code, message);
	}
}

/*
 * KafkaHandler.fail
 */
static void
alter_client_quotas_fail(KafkaCall *call, int16 code, const char *message)
{
	const AlterClientQuotasRequest *in = call->request;
	AlterClientQuotasResponse *out = call->response;

	KAFKA_RESIZE(call, out->entries, AlterQuotasEntryResult, in->entries.n);
	for (int i = 0; i < in->entries.n; i++)
		make_result(call, &in->entries.items[i], &out->entries.items[i]);
	fail_others(out, code, message);
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
alter_client_quotas_begin(KafkaCall *call)
{
	const AlterClientQuotasRequest *in = call->request;
	AlterClientQuotasResponse *out = call->response;
	Changes		changes = {NIL};
	KafkaError	error = {0};

	if (!kafka_may_cluster(call, PT_OP_ALTER_CONFIGS))
	{
		alter_client_quotas_fail(call, KERR_CLUSTER_AUTHORIZATION_FAILED, NULL);
		return KAFKA_REPLY;
	}
	KAFKA_RESIZE(call, out->entries, AlterQuotasEntryResult, in->entries.n);
	for (int i = 0; i < in->entries.n; i++)
	{
		make_result(call, &in->entries.items[i], &out->entries.items[i]);
		read_entry(&in->entries.items[i], &changes, &out->entries.items[i]);
	}
	if (in->validate_only || changes.list == NIL)
		return KAFKA_REPLY;
	if (kafka_run_transaction(call, write_changes, &changes, &error))
	{
		ereport(LOG,
				(errmsg("Kafka client \"%s\" at %s changed quotas", call->session->client_id, call->session->peer)));
		return KAFKA_REPLY;
	}
	kafka_log_error(call, &error);
	fail_others(out, error.code, error.message);
	return KAFKA_REPLY;
}

const KafkaHandler kafka_handler_alter_client_quotas = {
	.begin = alter_client_quotas_begin,
	.fail = alter_client_quotas_fail
};
