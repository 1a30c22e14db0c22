/*-------------------------------------------------------------------------
 *
 * roles.c
 *	  May a role that has proven itself have a connection?
 *
 * The conditions are those of a session of the server: LOGIN, CONNECT on the
 * database, a database that takes connections.  VALID UNTIL ends the role's
 * connections here, and not its password alone.
 *
 * Siblings: sasl.c, certificate.c (which role it is).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "auth/internal.h"

/*
 * Returns why the database takes no connection of the role, or NULL.
 */
static char *
database_problem(Oid role)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	bool		allows;

	if (!HeapTupleIsValid(tuple))
		return pstrdup("the database is gone");
	allows = ((Form_pg_database) GETSTRUCT(tuple))->datallowconn;
	ReleaseSysCache(tuple);
	if (!allows)
		return psprintf("database \"%s\" is not currently accepting connections", pt_database);
	if (pt_database_aclcheck(MyDatabaseId, role, ACL_CONNECT) != ACLCHECK_OK)
		return psprintf("permission denied for database \"%s\"", pt_database);
	return NULL;
}

/*
 * Returns why the role may not be connected now, palloc'd, or NULL.
 * *valid_until is when it has to be asked again, besides whenever roles or
 * databases change.  Must run in a transaction.
 */
char *
pt_auth_role_problem(Oid role, TimestampTz *valid_until)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	Form_pg_authid form;
	char	   *problem = NULL;
	Datum		until;
	bool		forever;

	*valid_until = DT_NOEND;
	if (!HeapTupleIsValid(tuple))
		return pstrdup("the role does not exist any more");
	form = (Form_pg_authid) GETSTRUCT(tuple);
	until = SysCacheGetAttr(AUTHOID, tuple, Anum_pg_authid_rolvaliduntil, &forever);
	if (!forever)
		*valid_until = DatumGetTimestampTz(until);
	if (!form->rolcanlogin)
		problem = psprintf("role \"%s\" is not permitted to log in", NameStr(form->rolname));
	else if (*valid_until <= GetCurrentTimestamp())
		problem = psprintf("role \"%s\" is not valid any more", NameStr(form->rolname));
	ReleaseSysCache(tuple);
	return problem != NULL ? problem : database_problem(role);
}

/*
 * Returns how many connections the role may have, or -1: any number.  Must run
 * in a transaction.
 */
int
pt_auth_connection_limit(Oid role)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	int			limit = -1;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_authid form = (Form_pg_authid) GETSTRUCT(tuple);

		if (!form->rolsuper)
			limit = form->rolconnlimit;
		ReleaseSysCache(tuple);
	}
	return limit;
}
