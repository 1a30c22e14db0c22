/*-------------------------------------------------------------------------
 *
 * 31_delete_acls.c
 *	  DeleteAcls: takes grants away.
 *
 * A filter takes away all that it matches.  As in CreateAcls, each takes what
 * PostgreSQL asks of it; who may not describe the cluster does not learn what
 * there is, and is refused as a whole.
 *
 * Siblings: ../acls.c, 29_describe_acls.c, 30_create_acls.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/acls.h"

/*
 * KafkaHandler.fail
 */
static void
delete_acls_fail(KafkaCall *call, int16 code, const char *message)
{
	const DeleteAclsRequest *in = call->request;
	DeleteAclsResponse *out = call->response;

	KAFKA_RESIZE(call, out->filter_results, DeleteAclsFilterResult, in->filters.n);
	for (int i = 0; i < in->filters.n; i++)
	{
		out->filter_results.items[i].error_code = code;
		out->filter_results.items[i].error_message = kafka_string(message);
	}
}

/*
 * Takes away what a filter matches.
 */
static void
delete_matching(KafkaCall *call, const KafkaAclFilter *filter, DeleteAclsFilterResult *out)
{
	List	   *acls = kafka_acls_matching(filter);
	ListCell   *lc;

	KAFKA_RESIZE(call, out->matching_acls, DeleteAclsMatchingAcl, list_length(acls));
	foreach(lc, acls)
	{
		const PtAcl *acl = lfirst(lc);
		DeleteAclsMatchingAcl *result = &out->matching_acls.items[foreach_current_index(lc)];
		KafkaError	error;

		result->resource_type = (int8) acl->type;
		result->resource_name = acl->name;
		result->pattern_type = acl->prefixed ? KAFKA_PATTERN_PREFIXED : KAFKA_PATTERN_LITERAL;
		result->principal = kafka_string(kafka_acl_principal(acl));
		result->host = kafka_string(KAFKA_ANY_HOST);
		result->operation = (int8) acl->operation;
		result->permission_type = KAFKA_PERMISSION_ALLOW;
		result->error_message = kafka_string(NULL);
		if (!kafka_acl_delete(call, acl, &error))
		{
			result->error_code = error.code;
			result->error_message = kafka_string(error.message);
		}
	}
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
delete_acls_begin(KafkaCall *call)
{
	const DeleteAclsRequest *in = call->request;
	DeleteAclsResponse *out = call->response;

	if (!kafka_may_cluster(call, PT_OP_DESCRIBE))
	{
		delete_acls_fail(call, KERR_CLUSTER_AUTHORIZATION_FAILED, KAFKA_NOT_AUTHORIZED_CLUSTER);
		return KAFKA_REPLY;
	}
	KAFKA_RESIZE(call, out->filter_results, DeleteAclsFilterResult, in->filters.n);
	for (int i = 0; i < in->filters.n; i++)
	{
		const DeleteAclsFilter *asked = &in->filters.items[i];
		DeleteAclsFilterResult *result = &out->filter_results.items[i];
		KafkaAclFilter filter = {
			.type = asked->resource_type_filter,.name = asked->resource_name_filter,.pattern = asked->pattern_type_filter,
			.principal = asked->principal_filter,.host = asked->host_filter,
			.operation = asked->operation,.permission = asked->permission_type
		};
		const char *problem = kafka_acl_filter_problem(&filter);

		result->error_message = kafka_string(problem);
		if (problem != NULL)
			result->error_code = KERR_INVALID_REQUEST;
		else
			delete_matching(call, &filter, result);
	}
	return KAFKA_REPLY;
}

const KafkaHandler kafka_handler_delete_acls = {
	.begin = delete_acls_begin,
	.fail = delete_acls_fail
};
