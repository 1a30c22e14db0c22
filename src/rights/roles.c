/*-------------------------------------------------------------------------
 *
 * roles.c
 *	  Roles as which Kafka clients act: found, looked at again, and which of
 *	  them may do everything.
 *
 * Whoever keeps something that it has learned of a role keeps the number of
 * changes with it (pt_roles_changes), and asks again when that has moved on.
 * The callbacks only count.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "rights/rights.h"

static uint64 changes = 1;

/*
 * Syscache callback: a role, a membership, or the owner of the database has
 * changed.
 */
static void
role_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	changes++;
}

void
pt_roles_register(void)
{
	CacheRegisterSyscacheCallback(AUTHOID, role_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, role_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(DATABASEOID, role_changed, (Datum) 0);
}

uint64
pt_roles_changes(void)
{
	return changes;
}

void
pt_plaintext_role_assigned(const char *value, void *extra)
{
	changes++;
}

/*
 * Returns the role with that name, or InvalidOid.
 */
Oid
pt_role_by_name(const char *name)
{
	Assert(name != NULL);
	return get_role_oid(name, true);
}

/*
 * Returns the name of a role, palloc'd, or NULL if it is gone.
 */
char *
pt_role_name(Oid role)
{
	return GetUserNameFromId(role, true);
}

/*
 * Returns true unless the role is gone, is NOLOGIN, or its VALID UNTIL is
 * over; *until is when that will be.
 */
bool
pt_role_may_log_in(Oid role, TimestampTz *until)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	Datum		valid_until;
	bool		forever;
	bool		may;

	if (!HeapTupleIsValid(tuple))
		return false;
	may = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	valid_until = SysCacheGetAttr(AUTHOID, tuple, Anum_pg_authid_rolvaliduntil, &forever);
	*until = forever ? DT_NOEND : DatumGetTimestampTz(valid_until);
	ReleaseSysCache(tuple);
	return may && *until >= GetCurrentTimestamp();
}

/*
 * Returns true if the role may do everything that a Kafka client can ask for:
 * a superuser, or who has the privileges of pgtopic_admin.
 */
bool
pt_role_is_admin(Oid role)
{
	Oid			admin;

	Assert(OidIsValid(role));
	if (superuser_arg(role))
		return true;
	admin = pt_role_by_name(PT_ADMIN_ROLE);
	return OidIsValid(admin) && has_privs_of_role(role, admin);
}

/*
 * Returns the role of connections without authentication.  InvalidOid with the
 * reason, palloc'd, if there is none that may be: an ordinary role, which need
 * not be able to log in, as nobody does.
 */
Oid
pt_plaintext_role_find(char **problem)
{
	Oid			role;

	*problem = NULL;
	if (pt_plaintext_role[0] == '\0')
	{
		*problem = pstrdup("connections without authentication have no role; set \"pgtopic.plaintext_role\" to allow them");
		return InvalidOid;
	}
	role = pt_role_by_name(pt_plaintext_role);
	if (!OidIsValid(role))
		*problem = psprintf("role \"%s\" of \"pgtopic.plaintext_role\" does not exist; create it, or set another",
							pt_plaintext_role);
	else if (superuser_arg(role))
	{
		*problem = psprintf("role \"%s\" of \"pgtopic.plaintext_role\" is a superuser; set an ordinary role",
							pt_plaintext_role);
		role = InvalidOid;
	}
	return role;
}
