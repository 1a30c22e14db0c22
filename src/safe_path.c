/*-------------------------------------------------------------------------
 *
 * safe_path.c
 *	  The search_path for code of users that runs with the rights of a role.
 *
 * Triggers, constraints and event triggers may run with the rights of a role
 * because of what somebody else does: a client produces, and the owner's
 * trigger runs as the owner.  What such code does not qualify must not be
 * found where somebody could have put it who may not act as that role.  So of
 * the schemas of the usual path those are left out in which others may create.
 * Those who may: superusers, members of the role, and the owner of the
 * database, whose word the path of all sessions is (ALTER DATABASE).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "safe_path.h"

static Oid
database_owner(void)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	Oid			owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_database) GETSTRUCT(tuple))->datdba;
		ReleaseSysCache(tuple);
	}
	return owner;
}

/*
 * May all who are "who" act as the role, or are they trusted anyway?  Members
 * of a role that may act as another one may do so, too.
 */
static bool
is_trusted(Oid who, Oid role)
{
	Oid			owner = database_owner();

	if (who == ROLE_PG_DATABASE_OWNER)
		who = owner;
	return who != ACL_ID_PUBLIC && (who == owner || superuser_arg(who) || is_member_of_role_nosuper(who, role));
}

/*
 * Can nobody create something in the schema who is not trusted?
 */
static bool
schema_is_safe(Oid schema, Oid role)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	bool		safe;
	bool		no_acl;
	Datum		datum;

	if (!HeapTupleIsValid(tuple))
		return false;
	safe = is_trusted(((Form_pg_namespace) GETSTRUCT(tuple))->nspowner, role);
	datum = SysCacheGetAttr(NAMESPACEOID, tuple, Anum_pg_namespace_nspacl, &no_acl);
	if (safe && !no_acl)
	{
		Acl		   *acl = DatumGetAclPCopy(datum);

		for (int i = 0; i < ACL_NUM(acl) && safe; i++)
		{
			const		AclItem *item = &ACL_DAT(acl)[i];

			safe = (ACLITEM_GET_PRIVS(*item) & ACL_CREATE) == 0 || is_trusted(item->ai_grantee, role);
		}
		pfree(acl);
	}
	ReleaseSysCache(tuple);
	return safe;
}

/*
 * Appends the schema of that name, if there is one and it is safe.
 */
static void
add_schema(StringInfo path, const char *name, Oid role)
{
	Oid			schema = get_namespace_oid(name, true);

	if (!OidIsValid(schema) || !schema_is_safe(schema, role))
		return;
	if (path->len > 0)
		appendStringInfoString(path, ", ");
	appendStringInfoString(path, quote_identifier(name));
}

/*
 * Sets the path for code that runs with the rights of the role, until
 * AtEOXact_GUC(false, level); returns that level.  Must run in a transaction.
 */
int
pt_safe_path_enter(Oid role)
{
	int			level = NewGUCNestLevel();
	char	   *usual = pstrdup(namespace_search_path);
	List	   *names = NIL;
	ListCell   *cell;
	StringInfoData path;

	initStringInfo(&path);
	if (!SplitIdentifierString(usual, ',', &names))
		names = NIL;
	foreach(cell, names)
	{
		const char *name = lfirst(cell);

		if (strcmp(name, "pg_temp") == 0)
			continue;
		if (strcmp(name, "$user") == 0)
			name = GetUserNameFromId(role, true);
		if (name != NULL)
			add_schema(&path, name, role);
	}
	appendStringInfoString(&path, path.len > 0 ? ", pg_temp" : "pg_temp");
	(void) set_config_option("search_path", path.data, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	pfree(path.data);
	list_free(names);
	pfree(usual);
	return level;
}
