/*-------------------------------------------------------------------------
 *
 * log_drops.c
 *	  Logs that come and go while somebody waits.
 *
 * Who waits for a log to move would wait for one that was dropped or truncated
 * until the deadline.  So a transaction that did such a thing says so when it
 * has committed, and everybody looks again; that is rare enough to wake all.
 * Where a topic may have got partitions, sessions that wait for its others
 * look again.
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
#include "utils/resowner.h"

#include "log/watch.h"
#include "xact/commit.h"
#include "xact/internal.h"
#include "topic/leaf.h"

static object_access_hook_type prev_object_access;

/* In this transaction, be it that that part was rolled back. */
static bool dropped;
static bool added;

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

/* This transaction makes a log, or gives one to a topic. */
void
pt_log_adds_note(void)
{
	added = true;
}

static void
release_callback(ResourceReleasePhase phase, bool isCommit, bool isTopLevel, void *arg)
{
	if (!(dropped || added) || !isTopLevel || phase != RESOURCE_RELEASE_AFTER_LOCKS || IsSubTransaction())
		return;
	if (isCommit && dropped)
		pt_commit_gone(XactLastCommitEnd);
	else if (isCommit)
		pt_watch_all_sessions();
	dropped = added = false;
}

void
pt_log_drops_register(void)
{
	prev_object_access = object_access_hook;
	object_access_hook = object_access;
	RegisterResourceReleaseCallback(release_callback, NULL);
}
