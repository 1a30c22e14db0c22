/*-------------------------------------------------------------------------
 *
 * grants.c
 *	  Privileges of PostgreSQL's own objects, as Kafka's ACLs: read, granted
 *	  and revoked.
 *
 *	READ, WRITE, DELETE on a topic	SELECT, INSERT, DELETE on its table
 *	DESCRIBE on a topic				REFERENCES on its table, as any privilege
 *									shows a topic, and no foreign key can
 *									reference one
 *	CREATE on the cluster			USAGE and CREATE on the schema of topics
 *
 * An owner's rights are no grants and are not shown; only ALTER TABLE ...
 * OWNER TO gives and takes them.  The statements are the server's: who may
 * grant what, dumps, DROP ROLE and DROP OWNED need no work of ours.
 *
 * Siblings: rights.h, topics.c (what these privileges mean), acls.c (grants
 * on names that are no objects).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "guc.h"
#include "rights/rights.h"
#include "topic/topic.h"

/* Operations on topics, and the privilege of each. */
static const struct
{
	PtOperation op;
	AclMode		mode;
	const char *privilege;
}			topic_grants[] =

{
	{PT_OP_READ, ACL_SELECT, "SELECT"},
	{PT_OP_WRITE, ACL_INSERT, "INSERT"},
	{PT_OP_DELETE, ACL_DELETE, "DELETE"},
	{PT_OP_DESCRIBE, ACL_REFERENCES, "REFERENCES"},
};

/* The entry for an operation; -1: none. */
static int
grant_of(PtOperation op)
{
	for (int i = 0; i < lengthof(topic_grants); i++)
	{
		if (topic_grants[i].op == op)
			return i;
	}
	return -1;
}

/*
 * Returns the ACL column of a catalog row, detoasted, or NULL: nobody but the
 * owner has a privilege.
 */
static Acl *
acl_of(int cache, HeapTuple tuple, AttrNumber column)
{
	bool		null;
	Datum		value = SysCacheGetAttr(cache, tuple, column, &null);

	return null ? NULL : DatumGetAclPCopy(value);
}

/* Adds an ACL, unless the list ends with those of the resource and has it. */
static List *
add(List *acls, const PtAcl *acl)
{
	ListCell   *lc;

	foreach(lc, acls)
	{
		const PtAcl *known = lfirst(lc);

		if (known->role == acl->role && known->operation == acl->operation)
			return acls;
	}
	return lappend(acls, memcpy(palloc(sizeof(PtAcl)), acl, sizeof(PtAcl)));
}

/*
 * Returns what is granted on the table of a topic, each once, whoever granted
 * it: a List of PtAcl *, in the current memory context.
 */
static List *
grants_on_topic(const PtTopic *topic)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(topic->relid));
	PtAcl		acl = {.type = PT_RESOURCE_TOPIC,.name = pt_string_of(pstrdup(topic->name))};
	List	   *acls = NIL;
	Acl		   *items;
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return NIL;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	items = acl_of(RELOID, tuple, Anum_pg_class_relacl);
	ReleaseSysCache(tuple);
	for (int i = 0; items != NULL && i < ACL_NUM(items); i++)
	{
		const		AclItem *item = &ACL_DAT(items)[i];

		if (item->ai_grantee == owner)
			continue;
		acl.role = item->ai_grantee;	/* ACL_ID_PUBLIC is InvalidOid */
		for (int g = 0; g < lengthof(topic_grants); g++)
		{
			acl.operation = topic_grants[g].op;
			if ((ACLITEM_GET_PRIVS(*item) & topic_grants[g].mode) != 0)
				acls = add(acls, &acl);
		}
	}
	return acls;
}

/*
 * Returns who may create topics, but for the owner of their schema: a List of
 * PtAcl *.
 */
static List *
grants_on_cluster(void)
{
	Oid			schema = get_namespace_oid(pt_topic_schema, true);
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	PtAcl		acl = {.type = PT_RESOURCE_CLUSTER,.name = pt_string_of(PT_CLUSTER_NAME),.operation = PT_OP_CREATE};
	List	   *acls = NIL;
	Acl		   *items;
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return NIL;
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	items = acl_of(NAMESPACEOID, tuple, Anum_pg_namespace_nspacl);
	ReleaseSysCache(tuple);
	for (int i = 0; items != NULL && i < ACL_NUM(items); i++)
	{
		const		AclItem *item = &ACL_DAT(items)[i];

		acl.role = item->ai_grantee;
		if (item->ai_grantee != owner && (ACLITEM_GET_PRIVS(*item) & ACL_CREATE) != 0)
			acls = add(acls, &acl);
	}
	return acls;
}

/*
 * Returns all that is granted, by rows of the table of ACLs and by GRANT: a
 * List of PtAcl *, those of a resource together, in the current memory
 * context.
 */
List *
pt_grants_all(void)
{
	List	   *acls = list_concat(grants_on_cluster(), pt_acls_all());
	ListCell   *lc;

	foreach(lc, pt_topic_oids())
	{
		const PtTopic *topic = pt_topic_by_oid(lfirst_oid(lc));

		if (topic != NULL)
			acls = list_concat(acls, grants_on_topic(topic));
	}
	return acls;
}

/*
 * Returns true if such an operation on a topic is a grant.  The others are its
 * owner's.
 */
bool
pt_grant_possible(PtOperation op)
{
	return grant_of(op) >= 0;
}

/*
 * Returns true if the role may grant the operation on the topic of that table,
 * and take it back: an administrator, the owner, or who has the privilege with
 * GRANT OPTION.
 */
bool
pt_grant_allowed(Oid role, Oid relid, PtOperation op)
{
	Assert(pt_grant_possible(op));
	return pt_role_is_admin(role) || pt_relation_ownercheck(relid, role) ||
		pg_class_aclcheck(relid, role, ACL_GRANT_OPTION_FOR(topic_grants[grant_of(op)].mode)) == ACLCHECK_OK;
}

static void
run(const char *sql)
{
	SPI_connect();
	if (SPI_execute(sql, false, 0) < 0)
		elog(ERROR, "could not run \"%s\"", sql);
	SPI_finish();
}

/* The role as a statement names it. */
static const char *
grantee(Oid role)
{
	return OidIsValid(role) ? quote_identifier(GetUserNameFromId(role, false)) : "PUBLIC";
}

static const char *
table_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
}

/*
 * Grants the operation on the topic of that table, as the current user.
 */
void
pt_grant_on_topic(Oid relid, PtOperation op, Oid role)
{
	Assert(pt_grant_possible(op));
	run(psprintf("GRANT %s ON TABLE %s TO %s", topic_grants[grant_of(op)].privilege, table_name(relid), grantee(role)));
}

/*
 * Runs a REVOKE as each who has granted some of these privileges to the role:
 * that is the only way to take them all away.  The owner may; who is not may
 * take away what it has granted itself.  ERROR if that is nothing.
 */
static void
revoke_as_grantors(const char *sql, const Acl * items, AclMode mode, Oid role, bool owner)
{
	Oid			save_user;
	int			save_context;
	int			others = 0;
	int			ours = 0;

	GetUserIdAndSecContext(&save_user, &save_context);
	for (int i = 0; items != NULL && i < ACL_NUM(items); i++)
	{
		const		AclItem *item = &ACL_DAT(items)[i];

		if (item->ai_grantee != role || (ACLITEM_GET_PRIVS(*item) & mode) == 0)
			continue;
		if (!owner && !has_privs_of_role(save_user, item->ai_grantor))
		{
			others++;
			continue;
		}
		ours++;
		SetUserIdAndSecContext(item->ai_grantor, save_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
		run(sql);
	}
	SetUserIdAndSecContext(save_user, save_context);
	if (others > 0 && ours == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to take away what others have granted")));
}

/*
 * Takes the operation on the topic of that table away, and with it what was
 * granted on: as the owner whoever has granted it, else what the current user
 * has.
 */
void
pt_revoke_on_topic(Oid relid, PtOperation op, Oid role)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Acl		   *items;

	Assert(pt_grant_possible(op));
	if (!HeapTupleIsValid(tuple))
		return;
	items = acl_of(RELOID, tuple, Anum_pg_class_relacl);
	ReleaseSysCache(tuple);
	revoke_as_grantors(psprintf("REVOKE %s ON TABLE %s FROM %s CASCADE", topic_grants[grant_of(op)].privilege,
								table_name(relid), grantee(role)),
					   items, topic_grants[grant_of(op)].mode, role, pt_relation_ownercheck(relid, GetUserId()));
}

/*
 * Grants the creation of topics, as the owner of their schema; ERROR if there
 * is no such schema.
 */
void
pt_grant_create(Oid role)
{
	run(psprintf("GRANT USAGE, CREATE ON SCHEMA %s TO %s", quote_identifier(pt_topic_schema), grantee(role)));
}

/*
 * Takes it away, whoever has granted it.
 */
void
pt_revoke_create(Oid role)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(get_namespace_oid(pt_topic_schema, true)));
	Acl		   *items;

	if (!HeapTupleIsValid(tuple))
		return;
	items = acl_of(NAMESPACEOID, tuple, Anum_pg_namespace_nspacl);
	ReleaseSysCache(tuple);
	revoke_as_grantors(psprintf("REVOKE CREATE ON SCHEMA %s FROM %s CASCADE", quote_identifier(pt_topic_schema),
								grantee(role)),
					   items, ACL_CREATE, role, true);
}

/*
 * Returns the owner of the schema of topics; InvalidOid: there is none.
 */
Oid
pt_topic_schema_owner(void)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(get_namespace_oid(pt_topic_schema, true)));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	return owner;
}
