/*-------------------------------------------------------------------------
 *
 * gone.c
 *	  Logs that end while somebody waits for them.
 *
 * Who waits for a log to move would wait for one that was dropped or truncated until the
 * deadline.  So a transaction that did such a thing says so when it has committed,
 * and everybody looks again; that is rare enough to wake all.
 *
 * It must be said behind the invalidation messages, or who is woken finds the old
 * relation still: hence a resource release callback, of the last phase.
 *
 * Siblings: commit.c (wakes the committer, which wakes the listeners), ../server/waits.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

#include "xact/commit.h"
#include "xact/internal.h"

static object_access_hook_type prev_object_access;
static bool gone;				/* in this transaction; also when that part was rolled back */

static bool
is_log(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			am = InvalidOid;

	if (!HeapTupleIsValid(tuple))
		return false;
	if (((Form_pg_class) GETSTRUCT(tuple))->relkind == RELKIND_RELATION)
		am = ((Form_pg_class) GETSTRUCT(tuple))->relam;
	ReleaseSysCache(tuple);
	return OidIsValid(am) && am == get_table_am_oid("topic_log", true);
}

static void
object_access(ObjectAccessType access, Oid classId, Oid objectId, int subId, void *arg)
{
	if (prev_object_access)
		prev_object_access(access, classId, objectId, subId, arg);
	if (access == OAT_DROP && classId == RelationRelationId && subId == 0 && !gone)
		gone = is_log(objectId);
}

void
pt_log_gone(void)
{
	gone = true;
}

static void
release_callback(ResourceReleasePhase phase, bool isCommit, bool isTopLevel, void *arg)
{
	if (!gone || !isTopLevel || phase != RESOURCE_RELEASE_AFTER_LOCKS || IsSubTransaction())
		return;
	gone = false;
	if (isCommit)
		pt_commit_gone(XactLastCommitEnd);
}

void
pt_gone_register(void)
{
	prev_object_access = object_access_hook;
	object_access_hook = object_access;
	RegisterResourceReleaseCallback(release_callback, NULL);
}
