/*-------------------------------------------------------------------------
 *
 * 29_describe_acls.c
 *	  DescribeAcls: what is granted.
 *
 * Versions: 0 had no pattern types; 2 is flexible; 3 knows users as resources,
 * of which there are none here.
 *
 * Siblings: ../acls.c, 30_create_acls.c, 31_delete_acls.c.
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
describe_acls_fail(KafkaCall *call, int16 code, const char *message)
{
	DescribeAclsResponse *out = call->response;

	out->error_code = code;
	out->error_message = kafka_string(message);
}

static bool
same_resource(const PtAcl *a, const PtAcl *b)
{
	return a->type == b->type && a->prefixed == b->prefixed && pt_string_equal(a->name, b->name);
}

/*
 * The order of list_sort: by resource, so that those of one are together.
 */
static int
compare_resources(const ListCell *a, const ListCell *b)
{
	const PtAcl *x = lfirst(a);
	const PtAcl *y = lfirst(b);
	int			c = (int) x->type - (int) y->type;

	if (c == 0)
		c = (int) x->prefixed - (int) y->prefixed;
	if (c == 0)
		c = memcmp(x->name.data, y->name.data, Min(x->name.len, y->name.len));
	return c != 0 ? c : x->name.len - y->name.len;
}

/*
 * Makes the response of the ACLs.
 */
static void
fill(KafkaCall *call, List *acls)
{
	DescribeAclsResponse *out = call->response;
	const PtAcl *last = NULL;
	DescribeAclsResource *resource = NULL;
	DescribeAclsEntry *entries;
	ListCell   *lc;

	list_sort(acls, compare_resources);
	KAFKA_RESIZE(call, out->resources, DescribeAclsResource, list_length(acls));
	entries = KAFKA_NEW(call, DescribeAclsEntry, list_length(acls));
	out->resources.n = 0;
	foreach(lc, acls)
	{
		const PtAcl *acl = lfirst(lc);
		DescribeAclsEntry *entry = &entries[foreach_current_index(lc)];

		if (last == NULL || !same_resource(last, acl))
		{
			resource = &out->resources.items[out->resources.n++];
			resource->resource_type = (int8) acl->type;
			resource->resource_name = acl->name;
			resource->pattern_type = acl->prefixed ? KAFKA_PATTERN_PREFIXED : KAFKA_PATTERN_LITERAL;
			resource->acls.items = entry;
		}
		last = acl;
		resource->acls.n++;
		entry->principal = kafka_string(kafka_acl_principal(acl));
		entry->host = kafka_string(KAFKA_ANY_HOST);
		entry->operation = (int8) acl->operation;
		entry->permission_type = KAFKA_PERMISSION_ALLOW;
	}
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
describe_acls_begin(KafkaCall *call)
{
	const DescribeAclsRequest *in = call->request;
	KafkaAclFilter filter = {
		.type = in->resource_type_filter,.name = in->resource_name_filter,.pattern = in->pattern_type_filter,
		.principal = in->principal_filter,.host = in->host_filter,
		.operation = in->operation,.permission = in->permission_type
	};
	const char *problem = kafka_acl_filter_problem(&filter);

	if (!kafka_may_cluster(call, PT_OP_DESCRIBE))
		describe_acls_fail(call, KERR_CLUSTER_AUTHORIZATION_FAILED, KAFKA_NOT_AUTHORIZED_CLUSTER);
	else if (problem != NULL)
		describe_acls_fail(call, KERR_INVALID_REQUEST, problem);
	else
		fill(call, kafka_acls_matching(&filter));
	return KAFKA_REPLY;
}

const KafkaHandler kafka_handler_describe_acls = {
	.begin = describe_acls_begin,
	.fail = describe_acls_fail
};
