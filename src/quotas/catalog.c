/*-------------------------------------------------------------------------
 *
 * catalog.c
 *	  The table quota_definitions: which quotas there are.
 *
 * A row is an entity as JSON, the name of a quota, and its value.  The table
 * is the database's, so pg_dump and replicas carry it.  It is for nobody but
 * its owner; statements of ours run as that owner, and who may do what is
 * checked by those who call.
 *
 * A change of the table, also one by hand, runs its trigger, which invalidates
 * the table's relcache entry.  Other processes notice that
 * (pt_quotas_generation).
 *
 * Siblings: entity.c (what a row may have), limits.c (the copy that a process
 * has), functions.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/rel.h"

#include "quotas/internal.h"
#include "topic/ext_table.h"

PG_FUNCTION_INFO_V1(pt_quotas_changed);

#define TABLE_NAME	"quota_definitions"

/* Changes when rows may have changed. */
static uint64 generation = 1;
static Oid	watched = InvalidOid;	/* the table; invalid: it is not known */

/* Makes a row of what was read; false: somebody has written it by hand. */
static bool
row_of(HeapTuple tuple, TupleDesc desc, PtQuotaRow *row)
{
	bool		nulls[3];
	Datum		entity = SPI_getbinval(tuple, desc, 1, &nulls[0]);
	Datum		quota = SPI_getbinval(tuple, desc, 2, &nulls[1]);
	Datum		value = SPI_getbinval(tuple, desc, 3, &nulls[2]);
	char	   *name;

	if (nulls[0] || nulls[1] || nulls[2])
		return false;
	name = TextDatumGetCString(quota);
	row->value = DatumGetFloat8(value);
	return pt_quota_entity_read(DatumGetJsonbP(entity), &row->entity) == NULL &&
		pt_quota_problem(&row->entity, name, row->value) == NULL &&
		pt_quota_kind(&row->entity, name, &row->kind);
}

/*
 * Returns all rows that make sense, those of an entity side by side: List of
 * PtQuotaRow *, in the current memory context.  NIL without the extension.
 */
List *
pt_quotas_read(void)
{
	MemoryContext caller = CurrentMemoryContext;
	PtExtUser	user;
	List	   *result = NIL;
	Oid			relid;
	char	   *table = pt_ext_table_name(TABLE_NAME, &relid);

	if (table == NULL)
		return NIL;
	pt_ext_table_enter(&user, relid);
	pt_ext_table_run(psprintf("SELECT entity, quota, value FROM %s "
							  "ORDER BY entity::pg_catalog.text COLLATE pg_catalog.\"C\", quota COLLATE pg_catalog.\"C\"",
							  table), true, NULL, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);
		PtQuotaRow *row = palloc0(sizeof(PtQuotaRow));

		if (row_of(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, row))
			result = lappend(result, row);
		MemoryContextSwitchTo(old);
	}
	pt_ext_table_leave(&user);
	return result;
}

/*
 * Sets a quota of an entity; NULL removes it.  Both have been checked.
 */
void
pt_quota_write(const PtQuotaEntity *entity, PtQuotaKind kind, const double *value)
{
	Oid			relid;
	char	   *table = pt_ext_table_required(TABLE_NAME);
	Jsonb	   *json = pt_quota_entity_json(entity);
	char	   *text = JsonbToCString(NULL, &json->root, VARSIZE(json));
	const char *quota = pt_quota_names[kind];
	PtExtUser	user;

	(void) pt_ext_table_name(TABLE_NAME, &relid);
	pt_ext_table_enter(&user, relid);
	if (value == NULL)
		pt_ext_table_run(psprintf("DELETE FROM %s WHERE entity OPERATOR(pg_catalog.=) $1::pg_catalog.jsonb "
								  "AND quota OPERATOR(pg_catalog.=) '%s'", table, quota), false, text, NULL);
	else
		pt_ext_table_run(psprintf("INSERT INTO %s (entity, quota, value) "
								  "VALUES ($1::pg_catalog.jsonb, '%s', $2::pg_catalog.float8) "
								  "ON CONFLICT (entity, quota) DO UPDATE SET value = excluded.value", table, quota),
						 false, text, psprintf("%.17g", *value));
	pt_ext_table_leave(&user);
}

/*
 * The trigger of the table, after each statement that may have changed it.
 */
Datum
pt_quotas_changed(PG_FUNCTION_ARGS)
{
	return pt_ext_table_changed(fcinfo, "quotas_changed");
}

/*
 * Relcache callback; it may only set flags.  As long as there is no table, any
 * relation may be the one.
 */
static void
relcache_changed(Datum arg, Oid relid)
{
	if (relid == watched || !OidIsValid(relid) || !OidIsValid(watched))
		generation++;
}

/*
 * Returns a number that grows when rows may have changed, here or in another
 * process.  Cheap, and needs no transaction; what other processes do is seen
 * after the next one has begun.
 */
uint64
pt_quotas_generation(void)
{
	static bool registered = false;

	if (!registered)
	{
		CacheRegisterRelcacheCallback(relcache_changed, (Datum) 0);
		registered = true;
	}
	return generation;
}

/*
 * Looks which table it is, and returns true if it can be read without waiting
 * for a session that has it locked; this stays so to the end of the
 * transaction.
 */
bool
pt_quotas_lock(void)
{
	return pt_ext_table_name(TABLE_NAME, &watched) == NULL || ConditionalLockRelationOid(watched, AccessShareLock);
}
