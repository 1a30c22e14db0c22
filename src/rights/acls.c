/*-------------------------------------------------------------------------
 *
 * acls.c
 *	  What is granted on consumer groups, transactional ids and the cluster:
 *	  rows of the extension's table kafka_acl_entries.
 *
 * These are names of which PostgreSQL has no objects to grant on.  A row
 * grants an operation, on one name or on all that begin so, to a role or to
 * everybody.  Rows only add: nothing is ever denied, so a row that is lost
 * takes a right away and gives none.
 *
 * A row has the role's OID (type regrole): it follows a role that is renamed,
 * and pg_dump writes names.  Other than on privileges of tables, DROP ROLE
 * does not fail on it.  It is void then, as it names no role: a role that
 * gets the same name later has another OID.  Void rows are not dumped, and are
 * removed with the next change of the table.
 *
 * Each process has a copy of the rows.  The table's statement trigger sends an
 * invalidation of the table after each change.
 *
 * Siblings: rights.h, roles.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "rights/rights.h"
#include "topic/ext_table.h"

#define TABLE_NAME	"kafka_acl_entries"

/* Longest name of a resource, in bytes: more does not fit an index. */
#define NAME_MAX_BYTES	1000

/* Columns of the table. */
enum
{
	COL_TYPE = 1,
	COL_NAME,
	COL_PATTERN,
	COL_OPERATION,
	COL_ROLE
};

PG_FUNCTION_INFO_V1(pt_kafka_acls_changed);

static const char *const operation_names[PT_OPERATIONS] = {
	[PT_OP_ALL] = "ALL",
	[PT_OP_READ] = "READ",
	[PT_OP_WRITE] = "WRITE",
	[PT_OP_CREATE] = "CREATE",
	[PT_OP_DELETE] = "DELETE",
	[PT_OP_ALTER] = "ALTER",
	[PT_OP_DESCRIBE] = "DESCRIBE",
	[PT_OP_CLUSTER_ACTION] = "CLUSTER_ACTION",
	[PT_OP_DESCRIBE_CONFIGS] = "DESCRIBE_CONFIGS",
	[PT_OP_ALTER_CONFIGS] = "ALTER_CONFIGS",
	[PT_OP_IDEMPOTENT_WRITE] = "IDEMPOTENT_WRITE",
	[PT_OP_TWO_PHASE_COMMIT] = "TWO_PHASE_COMMIT"
};

static const char *const resource_names[] = {
	[PT_RESOURCE_TOPIC] = "topic",
	[PT_RESOURCE_GROUP] = "group",
	[PT_RESOURCE_CLUSTER] = "cluster",
	[PT_RESOURCE_TRANSACTIONAL_ID] = "transactional_id"
};

/* The copy of the rows, and the memory that it is in; NULL: not read yet. */
static MemoryContext copy_mcxt;
static PtAcl *copy;
static int	ncopy;

static uint64 changes = 1;		/* counts invalidations */
static uint64 copied;			/* changes when the copy was made; 0: never */
static Oid	watched = InvalidOid;	/* OID of the table */

/*
 * Names
 */

/* NULL: there is no such operation, or none that can be granted. */
const char *
pt_operation_name(PtOperation op)
{
	return op > 0 && op < PT_OPERATIONS ? operation_names[op] : NULL;
}

const char *
pt_resource_name(PtResource type)
{
	return type > 0 && type < (int) lengthof(resource_names) ? resource_names[type] : NULL;
}

/* Whatever the case; 0: there is none. */
PtOperation
pt_operation_by_name(const char *name)
{
	for (int i = 0; i < PT_OPERATIONS; i++)
	{
		if (operation_names[i] != NULL && pg_strcasecmp(operation_names[i], name) == 0)
			return (PtOperation) i;
	}
	return (PtOperation) 0;
}

PtResource
pt_resource_by_name(const char *name)
{
	for (int i = 0; i < (int) lengthof(resource_names); i++)
	{
		if (resource_names[i] != NULL && pg_strcasecmp(resource_names[i], name) == 0)
			return (PtResource) i;
	}
	return (PtResource) 0;
}

/*
 * The copy
 */

/*
 * Relcache callback; it may only set flags.
 */
static void
relcache_changed(Datum arg, Oid relid)
{
	if (relid == watched || !OidIsValid(relid) || !OidIsValid(watched))
		changes++;
}

/* To be called by _PG_init. */
void
pt_acls_register(void)
{
	CacheRegisterRelcacheCallback(relcache_changed, (Datum) 0);
}

/*
 * The trigger of the table, after each statement that may have changed it.
 */
Datum
pt_kafka_acls_changed(PG_FUNCTION_ARGS)
{
	return pt_ext_table_changed(fcinfo, "kafka_acls_changed");
}

/* A text column of a row as UTF-8, in the current memory context. */
static char *
text_of(HeapTuple row, TupleDesc desc, int column)
{
	bool		null;
	Datum		value = heap_getattr(row, column, desc, &null);
	char	   *string = null ? pstrdup("") : TextDatumGetCString(value);

	return pg_server_to_any(string, (int) strlen(string), PG_UTF8);
}

/*
 * Reads one row.  Returns false for one that says nothing that we know:
 * somebody has written it by hand.
 */
static bool
read_row(HeapTuple row, TupleDesc desc, PtAcl *acl)
{
	bool		null;

	acl->type = pt_resource_by_name(text_of(row, desc, COL_TYPE));
	acl->name = pt_string_of(text_of(row, desc, COL_NAME));
	acl->prefixed = strcmp(text_of(row, desc, COL_PATTERN), "prefixed") == 0;
	acl->operation = pt_operation_by_name(text_of(row, desc, COL_OPERATION));
	acl->role = DatumGetObjectId(heap_getattr(row, COL_ROLE, desc, &null));
	return !null && acl->type != 0 && acl->operation != 0;
}

/*
 * Makes a new copy from the table.  The caller holds its lock.
 */
static void
read_table(Oid relid, MemoryContext mcxt)
{
	Relation	rel = table_open(relid, NoLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	MemoryContext old = MemoryContextSwitchTo(mcxt);
	int			cap = 16;
	int			n = 0;
	PtAcl	   *acls = palloc(cap * sizeof(PtAcl));
	HeapTuple	row;

	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		if (n == cap)
			acls = repalloc(acls, (cap *= 2) * sizeof(PtAcl));
		if (read_row(row, RelationGetDescr(rel), &acls[n]))
			n++;
	}
	MemoryContextSwitchTo(old);
	systable_endscan(scan);
	table_close(rel, NoLock);
	copy = acls;
	ncopy = n;
}

/*
 * Sees to it that the copy is that of the table as it is.  While somebody has
 * the table locked, the copy stays as it was.
 */
static void
refresh(void)
{
	uint64		now;
	Oid			relid;
	MemoryContext mcxt;
	MemoryContext gone = copy_mcxt;

	if (likely(copied == changes))
		return;
	(void) pt_ext_table_name(TABLE_NAME, &relid);
	watched = relid;
	now = changes;
	if (OidIsValid(relid) && !ConditionalLockRelationOid(relid, AccessShareLock))
		return;
	mcxt = AllocSetContextCreate(CurrentMemoryContext, "pgtopic ACLs", ALLOCSET_SMALL_SIZES);
	if (OidIsValid(relid))
	{
		read_table(relid, mcxt);
		UnlockRelationOid(relid, AccessShareLock);
	}
	else
		ncopy = 0;
	MemoryContextSetParent(mcxt, CacheMemoryContext);
	copy_mcxt = mcxt;
	copied = now;
	if (gone != NULL)
		MemoryContextDelete(gone);
}

/*
 * Changes when rows may have changed.
 */
uint64
pt_acls_changes(void)
{
	return changes;
}

/*
 * Asking
 */

/* All that a row gives: what Kafka says goes along. */
static PtOperations
implied(PtOperation op, PtResource type)
{
	switch (op)
	{
		case PT_OP_ALL:
			return type == PT_RESOURCE_GROUP ? PT_GROUP_OPERATIONS :
				type == PT_RESOURCE_CLUSTER ? PT_CLUSTER_OPERATIONS : PT_TRANSACTIONAL_ID_OPERATIONS;
		case PT_OP_READ:
		case PT_OP_WRITE:
		case PT_OP_DELETE:
		case PT_OP_ALTER:
			return PT_OP_BIT(op) | PT_OP_BIT(PT_OP_DESCRIBE);
		case PT_OP_ALTER_CONFIGS:
			return PT_OP_BIT(op) | PT_OP_BIT(PT_OP_DESCRIBE_CONFIGS);
		default:
			return PT_OP_BIT(op);
	}
}

/* Is the row about a resource of this name? */
static bool
names(const PtAcl *acl, PtString name)
{
	if (acl->prefixed)
		return acl->name.len <= name.len && memcmp(acl->name.data, name.data, acl->name.len) == 0;
	return (acl->name.len == 1 && acl->name.data[0] == '*') || pt_string_equal(acl->name, name);
}

/* Is the role one of those to which the row grants? */
static bool
is_for(const PtAcl *acl, Oid role)
{
	if (!OidIsValid(acl->role))
		return true;
	return SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(acl->role)) && has_privs_of_role(role, acl->role);
}

/*
 * Returns what is granted to the role on a group, a transactional id or the
 * cluster (PT_CLUSTER_NAME).  Administrators have it all.
 */
PtOperations
pt_rights_granted(Oid role, PtResource type, PtString name)
{
	PtOperations operations = 0;

	Assert(type == PT_RESOURCE_GROUP || type == PT_RESOURCE_TRANSACTIONAL_ID || type == PT_RESOURCE_CLUSTER);
	if (pt_role_is_admin(role))
		return implied(PT_OP_ALL, type);
	refresh();
	for (int i = 0; i < ncopy; i++)
	{
		const PtAcl *acl = &copy[i];
		PtOperations more = acl->type == type ? implied(acl->operation, type) & ~operations : 0;

		if (more != 0 && names(acl, name) && is_for(acl, role))
			operations |= more;
	}
	if (type == PT_RESOURCE_CLUSTER && pt_rights_create(role))
		operations |= PT_OP_BIT(PT_OP_CREATE);
	return operations;
}

/*
 * Returns true if the operation is granted to the role on some resource of a
 * type.
 */
bool
pt_rights_granted_any(Oid role, PtResource type, PtOperation op)
{
	if (pt_role_is_admin(role))
		return true;
	refresh();
	for (int i = 0; i < ncopy; i++)
	{
		if (copy[i].type == type && (implied(copy[i].operation, type) & PT_OP_BIT(op)) != 0 && is_for(&copy[i], role))
			return true;
	}
	return false;
}

/*
 * Returns the rows whose role there is, copied.  A List of PtAcl *.
 */
List *
pt_acls_all(void)
{
	List	   *all = NIL;

	refresh();
	for (int i = 0; i < ncopy; i++)
	{
		PtAcl	   *acl;

		if (OidIsValid(copy[i].role) && !SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(copy[i].role)))
			continue;
		acl = palloc(sizeof(PtAcl));
		*acl = copy[i];
		acl->name = pt_string_copy(copy[i].name);
		all = lappend(all, acl);
	}
	return all;
}

/*
 * Changing
 */

/*
 * Returns NULL, or why there can be no such row, palloc'd.
 */
const char *
pt_acl_check(const PtAcl *acl)
{
	PtOperations possible = acl->type == PT_RESOURCE_GROUP ? PT_GROUP_OPERATIONS :
		acl->type == PT_RESOURCE_CLUSTER ? PT_CLUSTER_OPERATIONS & ~PT_OP_BIT(PT_OP_CREATE) :
		acl->type == PT_RESOURCE_TRANSACTIONAL_ID ? PT_TRANSACTIONAL_ID_OPERATIONS : 0;

	if (possible == 0)
		return "There are grants on groups, transactional ids and the cluster.";
	if (acl->operation != PT_OP_ALL && (possible & PT_OP_BIT(acl->operation)) == 0)
		return psprintf("There is no operation %s on a %s.", pt_operation_name(acl->operation), pt_resource_name(acl->type));
	if (acl->name.len <= 0)
		return "The name of a resource must not be empty.";
	if (acl->name.len > NAME_MAX_BYTES)
		return psprintf("The name of a resource must not have more than %d bytes.", NAME_MAX_BYTES);
	if (pt_string_has_nul(acl->name) || !pg_verify_mbstr(PG_UTF8, acl->name.data, acl->name.len, true))
		return "The name of a resource must be valid UTF-8 without zero bytes.";
	if (acl->type == PT_RESOURCE_CLUSTER &&
		(acl->prefixed || !pt_string_equal(acl->name, pt_string_of(PT_CLUSTER_NAME))))
		return psprintf("The only name of a cluster is \"%s\".", PT_CLUSTER_NAME);
	return NULL;
}

/* Runs a statement about a row, with its columns as parameters. */
static uint64
run(const char *sql, const PtAcl *acl)
{
	Oid			types[5] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, OIDOID};
	Datum		values[5];
	char	   *name = pg_any_to_server(pnstrdup(acl->name.data, acl->name.len), acl->name.len, PG_UTF8);

	values[0] = CStringGetTextDatum(pt_resource_name(acl->type));
	values[1] = CStringGetTextDatum(name);
	values[2] = CStringGetTextDatum(acl->prefixed ? "prefixed" : "literal");
	values[3] = CStringGetTextDatum(pt_operation_name(acl->operation));
	values[4] = ObjectIdGetDatum(acl->role);
	if (SPI_execute_with_args(sql, 5, types, values, NULL, false, 0) < 0)
		elog(ERROR, "could not run \"%s\"", sql);
	return SPI_processed;
}

/*
 * Changes the table as its owner: who may change it has been checked, and it
 * is nobody's to write by hand.  Returns true if the row was not there before,
 * or is not any more.
 */
static bool
change(const char *sql, const PtAcl *acl)
{
	Oid			relid;
	char	   *table = pt_ext_table_required(TABLE_NAME);
	PtExtUser	caller;
	bool		changed;

	(void) pt_ext_table_name(TABLE_NAME, &relid);
	pt_ext_table_enter(&caller, relid);
	if (SPI_execute(psprintf("DELETE FROM %s a WHERE a.role::pg_catalog.oid OPERATOR(pg_catalog.<>) 0 AND NOT EXISTS "
							 "(SELECT FROM pg_catalog.pg_authid r WHERE r.oid OPERATOR(pg_catalog.=) a.role)", table),
					false, 0) < 0)
		elog(ERROR, "could not remove rows of \"%s\"", TABLE_NAME);
	changed = run(psprintf(sql, table), acl) > 0;
	pt_ext_table_leave(&caller);
	CommandCounterIncrement();
	return changed;
}

/*
 * Adds a row that pt_acl_check() finds right.  Returns false if it was there.
 */
bool
pt_acl_add(const PtAcl *acl)
{
	return change("INSERT INTO %s (resource_type, resource_name, pattern_type, operation, role) "
				  "VALUES ($1, $2, $3, $4, $5::pg_catalog.regrole) ON CONFLICT DO NOTHING", acl);
}

/*
 * Removes a row.  Returns false if it was not there.
 */
bool
pt_acl_remove(const PtAcl *acl)
{
	return change("DELETE FROM %s WHERE resource_type OPERATOR(pg_catalog.=) $1 AND resource_name OPERATOR(pg_catalog.=) $2 "
				  "AND pattern_type OPERATOR(pg_catalog.=) $3 AND operation OPERATOR(pg_catalog.=) $4 "
				  "AND role OPERATOR(pg_catalog.=) $5", acl);
}
