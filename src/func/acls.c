/*-------------------------------------------------------------------------
 *
 * acls.c
 *	  grant_kafka_acl(), revoke_kafka_acl(), and what the view kafka_acls
 *	  shows.
 *
 * Siblings: func.h; ../rights/acls.c, ../rights/grants.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "func/func.h"

PG_FUNCTION_INFO_V1(pt_grant_kafka_acl);
PG_FUNCTION_INFO_V1(pt_revoke_kafka_acl);
PG_FUNCTION_INFO_V1(pt_list_kafka_acls);

#define EVERYBODY	"public"

static void
invalid(const char *message, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s", message),
			 hint ? errhint("%s", hint) : 0));
}

/*
 * ERROR unless the user may change what is granted.
 */
static void
check_admin(void)
{
	if (pt_role_is_admin(GetUserId()))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to change what is granted on groups, transactional ids and the cluster"),
			 errhint("That is for superusers and members of \"%s\".", PT_ADMIN_ROLE)));
}

/*
 * Returns the ACL that the arguments say: resource_type, resource_name,
 * operation, role, pattern_type.  ERROR 22023 or 42704 if there can be none.
 */
static PtAcl
acl_of_arguments(FunctionCallInfo fcinfo)
{
	static const char *const names[] = {"resource_type", "resource_name", "operation", "role", "pattern_type"};
	PtAcl		acl = {0};
	const char *pattern;
	const char *role;
	const char *problem;

	for (int i = 0; i < lengthof(names); i++)
		pt_arg_required(fcinfo, i, names[i]);
	acl.type = pt_resource_by_name(pt_arg_cstring(fcinfo, 0));
	acl.name = pt_string_from_server(pt_arg_cstring(fcinfo, 1));
	acl.operation = pt_operation_by_name(pt_arg_cstring(fcinfo, 2));
	role = pt_arg_cstring(fcinfo, 3);
	pattern = pt_arg_cstring(fcinfo, 4);
	if (acl.type == 0)
		invalid(psprintf("unknown resource type: \"%s\"", pt_arg_cstring(fcinfo, 0)),
				"A resource type is \"group\", \"transactional_id\" or \"cluster\".");
	if (acl.type == PT_RESOURCE_TOPIC)
		invalid("what may be done with a topic is granted on its table",
				"Use GRANT SELECT, INSERT or DELETE ON the table, or ALTER TABLE ... OWNER TO.");
	if (acl.type == PT_RESOURCE_CLUSTER && acl.operation == PT_OP_CREATE)
		invalid("the creation of topics is granted on their schema", "Use GRANT USAGE, CREATE ON SCHEMA.");
	if (acl.operation == 0)
		invalid(psprintf("unknown operation: \"%s\"", pt_arg_cstring(fcinfo, 2)), NULL);
	if (pg_strcasecmp(pattern, "literal") != 0 && pg_strcasecmp(pattern, "prefixed") != 0)
		invalid(psprintf("unknown pattern type: \"%s\"", pattern), "A pattern type is \"literal\" or \"prefixed\".");
	acl.prefixed = pg_strcasecmp(pattern, "prefixed") == 0;
	acl.role = strcmp(role, EVERYBODY) == 0 ? InvalidOid : get_role_oid(role, false);
	problem = pt_acl_check(&acl);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("nothing like this can be granted"),
				 errdetail_internal("%s", problem)));
	return acl;
}

/*
 * grant_kafka_acl(resource_type, resource_name, operation, role,
 * pattern_type): returns false if it was granted already.
 */
Datum
pt_grant_kafka_acl(PG_FUNCTION_ARGS)
{
	PtAcl		acl = acl_of_arguments(fcinfo);

	PreventCommandIfReadOnly("grant_kafka_acl()");
	check_admin();
	PG_RETURN_BOOL(pt_acl_add(&acl));
}

/*
 * revoke_kafka_acl() with the same arguments: returns false if it was not
 * granted.
 */
Datum
pt_revoke_kafka_acl(PG_FUNCTION_ARGS)
{
	PtAcl		acl = acl_of_arguments(fcinfo);

	PreventCommandIfReadOnly("revoke_kafka_acl()");
	check_admin();
	PG_RETURN_BOOL(pt_acl_remove(&acl));
}

/*
 * May the user see the row?  Privileges of tables can be seen by everybody in
 * any case.
 */
static bool
may_see(const PtAcl *acl)
{
	return acl->type == PT_RESOURCE_TOPIC || !OidIsValid(acl->role) || pt_role_is_admin(GetUserId()) ||
		has_privs_of_role(GetUserId(), acl->role) || has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
}

/*
 * Rows of list_kafka_acls(): resource_type, resource_name, pattern_type,
 * operation, role.
 */
Datum
pt_list_kafka_acls(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, pt_grants_all())
	{
		const PtAcl *acl = lfirst(lc);
		char	   *role = OidIsValid(acl->role) ? pt_role_name(acl->role) : pstrdup(EVERYBODY);
		Datum		values[5];
		bool		nulls[5] = {false};

		if (role == NULL || !may_see(acl))
			continue;
		values[0] = CStringGetTextDatum(pt_resource_name(acl->type));
		values[1] = CStringGetTextDatum(pt_string_to_server(acl->name));
		values[2] = CStringGetTextDatum(acl->prefixed ? "prefixed" : "literal");
		values[3] = CStringGetTextDatum(pt_operation_name(acl->operation));
		values[4] = CStringGetTextDatum(role);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
