/*-------------------------------------------------------------------------
 *
 * resnapshot.c
 *	  resnapshot_source(): the rows of a table once more, while changes come.
 *
 * It looks at the source's server, as create_source() does, and leaves the
 * rest to the worker: a row of source_progress, and a wake-up.
 *
 * Siblings: progress.c, chunks.c (the work).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "func/func.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "sources/chunks.h"
#include "sources/internal.h"
#include "sources/sources.h"

PG_FUNCTION_INFO_V1(pt_resnapshot_source);

/*
 * Returns the number of a table in the list, or -1.  A name without schema is
 * looked up here if the source is here, and is in "public" elsewhere.
 */
static int
find_table(const PtSource *source, const PtPeerRows *tables, const char *given)
{
	RangeVar   *name = makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(given)));
	const char *schema = name->schemaname ? name->schemaname : "public";

	if (source->connection == NULL && name->schemaname == NULL)
		schema = get_namespace_name(get_rel_namespace(RangeVarGetRelid(name, NoLock, false)));
	for (int i = 0; i < tables->n; i++)
	{
		if (strcmp(pt_peer_value(tables, i, PT_TABLE_SCHEMA), schema) == 0 &&
			strcmp(pt_peer_value(tables, i, PT_TABLE_NAME), name->relname) == 0)
			return i;
	}
	return -1;
}

/*
 * Returns the number of the table in the list; ERROR unless it can be copied.
 */
static int
check_table(PtPeer *remote, const PtSource *source, const PtPeerRows *tables, const char *given)
{
	int			i = find_table(source, tables, given);

	if (i < 0 || pt_table_is_ours(source, pt_peer_oid(tables, i, PT_TABLE_OID)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s\" is not published to source \"%s\"", given, source->name)));
	if (pt_table_key(remote, pt_peer_oid(tables, i, PT_TABLE_OID)) == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no primary key or replica identity", given),
				 errdetail("Rows are copied in chunks, by their key.")));
	if (!pt_peer_bool(pt_peer_query(remote, psprintf("SELECT pg_catalog.has_table_privilege(%u, 'SELECT')",
													 pt_peer_oid(tables, i, PT_TABLE_OID)), 1), 0, 0))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the source may not read table \"%s\"", given),
				 errhint("At the source's server, grant SELECT on it to the user of the connection.")));
	if (pt_peer_bool(pt_peer_query(remote, "SELECT pg_catalog.pg_is_in_recovery()", 1), 0, 0))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the source's server is a standby, on which tables cannot be copied in chunks")));
	return i;
}

/*
 * resnapshot_source(name, table)
 */
Datum
pt_resnapshot_source(PG_FUNCTION_ARGS)
{
	const char *name = pt_task_arg(fcinfo, 0, "name");
	const char *given = pt_task_arg(fcinfo, 1, "table");
	PtSource   *source;
	PtPeer	   *remote;
	PtPeerRows *tables;
	int			i;

	PreventCommandIfReadOnly("resnapshot_source()");
	source = pt_source_define(pt_task_expect(name, "source"));
	if (!pt_origin_exists(name))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("source \"%s\" has not begun", name),
				 errhint("The view tasks_status shows what it does.")));
	remote = pt_peer_connect(source, NULL);
	pt_slot_check_identity(remote, source);
	tables = pt_snapshot_tables(remote, source);
	i = check_table(remote, source, tables, given);
	pt_peer_close(remote);
	if (!pt_progress_add(name, pt_peer_value(tables, i, PT_TABLE_SCHEMA), pt_peer_value(tables, i, PT_TABLE_NAME)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("table \"%s\" of source \"%s\" is being copied", given, name),
				 errhint("The view source_snapshots shows how far.")));
	pt_task_wake(name);
	PG_RETURN_VOID();
}
