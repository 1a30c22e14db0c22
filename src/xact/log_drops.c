/*-------------------------------------------------------------------------
 *
 * log_drops.c
 *	  Logs that end while somebody waits for them.
 *
 * Who waits for a log to move would wait for one that was dropped or truncated
 * until the deadline.  So a transaction that did such a thing says so when it
 * has committed, and everybody looks again; that is rare enough to wake all.
 *
 * It must be said behind the invalidation messages, or who is woken finds the
 * old relation still: hence a resource release callback, of the last phase.
 *
 * Siblings: commit.c (wakes the committer, which wakes the listeners),
 * ../server/log_waits.c; ../fetch/wait.c (sessions).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "storage/condition_variable.h"
#include "utils/resowner.h"

#include "xact/commit.h"
#include "xact/internal.h"
#include "topic/leaf.h"

static object_access_hook_type prev_object_access;
static bool dropped;			/* in this transaction; also when that part
								 * was rolled back */

static void
object_access(ObjectAccessType access, Oid classId, Oid objectId, int subId, void *arg)
{
	if (prev_object_access)
		prev_object_access(access, classId, objectId, subId, arg);
	if (access == OAT_DROP && classId == RelationRelationId && subId == 0 && !dropped)
		dropped = pt_leaf_is_log(objectId);
}

/*
 * This transaction gives a log another file or place, or none: when it has
 * committed, all who wait for logs look again.
 */
void
pt_log_drops_note(void)
{
	dropped = true;
}

static void
release_callback(ResourceReleasePhase phase, bool isCommit, bool isTopLevel, void *arg)
{
	if (!dropped || !isTopLevel || phase != RESOURCE_RELEASE_AFTER_LOCKS || IsSubTransaction())
		return;
	dropped = false;
	if (!isCommit)
		return;
	pt_commit_gone(XactLastCommitEnd);
	ConditionVariableBroadcast(pt_state_any_cv());
}

void
pt_log_drops_register(void)
{
	prev_object_access = object_access_hook;
	object_access_hook = object_access;
	RegisterResourceReleaseCallback(release_callback, NULL);
}
