/*-------------------------------------------------------------------------
 *
 * 30_create_acls.c
 *	  CreateAcls: grants.
 *
 * In Kafka the whole request takes ALTER on the cluster.  Here each grant
 * takes what PostgreSQL asks of it; without it the code is the same.
 *
 * Siblings: ../acls.c, 29_describe_acls.c, 31_delete_acls.c.
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
create_acls_fail(KafkaCall *call, int16 code, const char *message)
{
	const CreateAclsRequest *in = call->request;
	CreateAclsResponse *out = call->response;

	KAFKA_RESIZE(call, out->results, AclCreationResult, in->creations.n);
	for (int i = 0; i < in->creations.n; i++)
	{
		out->results.items[i].error_code = code;
		out->results.items[i].error_message = kafka_string(message);
	}
}

static bool
refuse(AclCreationResult *out, int16 code, const char *message)
{
	out->error_code = code;
	out->error_message = kafka_string(message);
	return false;
}

/*
 * Finds the role of a principal.  Returns false with the error.
 */
static bool
find_role(KafkaString principal, Oid *role, AclCreationResult *out)
{
	size_t		skip = strlen(KAFKA_PRINCIPAL_TYPE);
	char	   *text = kafka_text(principal);

	*role = InvalidOid;
	if (text == NULL || strncmp(text, KAFKA_PRINCIPAL_TYPE, skip) != 0)
		return refuse(out, KERR_INVALID_PRINCIPAL_TYPE, "A principal is \"User:\" and the name of a role, or \"User:*\".");
	if (strcmp(text +skip, "*") == 0)
		return true;
	*role = pt_role_by_name(text +skip);
	if (!OidIsValid(*role))
		return refuse(out, KERR_INVALID_REQUEST, psprintf("Role \"%s\" does not exist.", text +skip));
	return true;
}

/*
 * Checks what is asked for, as far as it needs no look at the resource.
 */
static bool
check(const AclCreation *in, PtAcl *acl, AclCreationResult *out)
{
	*acl = (PtAcl)
	{
		.type = (PtResource) in->resource_type,.name = in->resource_name,
			.prefixed = in->resource_pattern_type == KAFKA_PATTERN_PREFIXED,.operation = (PtOperation) in->operation
	};
	if (pt_resource_name(acl->type) == NULL)
		return refuse(out, KERR_INVALID_REQUEST, "There are grants on topics, groups, transactional ids and the cluster.");
	if (in->resource_pattern_type != KAFKA_PATTERN_LITERAL && in->resource_pattern_type != KAFKA_PATTERN_PREFIXED)
		return refuse(out, KERR_INVALID_REQUEST, "A grant is LITERAL or PREFIXED.");
	if (pt_operation_name(acl->operation) == NULL)
		return refuse(out, KERR_INVALID_REQUEST, "There is no such operation to grant.");
	if (in->resource_name.len <= 0)
		return refuse(out, KERR_INVALID_REQUEST, "The name of a resource must not be empty.");
	if (in->permission_type != KAFKA_PERMISSION_ALLOW)
		return refuse(out, KERR_INVALID_REQUEST, "DENY is not supported: PostgreSQL's privileges are grants only.");
	if (!pt_string_equal(in->host, kafka_string(KAFKA_ANY_HOST)))
		return refuse(out, KERR_INVALID_REQUEST,
					  "Grants are for all hosts (*). Who may connect from where is said by pg_hba.conf.");
	return find_role(in->principal, &acl->role, out);
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
create_acls_begin(KafkaCall *call)
{
	const CreateAclsRequest *in = call->request;
	CreateAclsResponse *out = call->response;

	KAFKA_RESIZE(call, out->results, AclCreationResult, in->creations.n);
	for (int i = 0; i < in->creations.n; i++)
	{
		AclCreationResult *result = &out->results.items[i];
		KafkaError	error;
		PtAcl		acl;

		result->error_message = kafka_string(NULL);
		if (check(&in->creations.items[i], &acl, result) && !kafka_acl_create(call, &acl, &error))
			(void) refuse(result, error.code, error.message);
	}
	return KAFKA_REPLY;
}

const KafkaHandler kafka_handler_create_acls = {
	.begin = create_acls_begin,
	.fail = create_acls_fail
};
