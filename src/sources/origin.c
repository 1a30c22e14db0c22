/*-------------------------------------------------------------------------
 *
 * origin.c
 *	  How far a source has been read: a replication origin of this server.
 *
 * The commit record of the transaction that produces has the place at the
 * source behind what it has produced.  So after a crash of either side the
 * stream goes on exactly there.
 *
 * The slot at the source is never told more than the origin has on disk, so a
 * slot that is further is not ours (slot.c).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "replication/origin.h"

#include "sources/internal.h"

/*
 * Returns the origin's name, palloc'd.  Origins belong to the whole server.
 */
const char *
pt_origin_name(const char *source)
{
	return psprintf("pgtopic_%u_%s", MyDatabaseId, source);
}

static void
take(ReplOriginId id)
{
	Assert(pt_replorigin_session == InvalidReplOriginId);
	pt_replorigin_setup(id);
	pt_replorigin_session = id;
	pt_replorigin_session_lsn = InvalidXLogRecPtr;
}

bool
pt_origin_exists(const char *source)
{
	return replorigin_by_name(pt_origin_name(source), true) != InvalidReplOriginId;
}

/*
 * Creates the origin and takes it for this process.  It is at lsn when the
 * transaction, which gets an xid, commits: never at zero.
 */
void
pt_origin_create(const char *source, XLogRecPtr lsn)
{
	take(replorigin_create(pt_origin_name(source)));
	(void) GetCurrentTransactionId();
	pt_origin_move(lsn, GetCurrentTimestamp());
}

/*
 * Waits for the worker, if there is one.
 */
void
pt_origin_drop(const char *source)
{
	replorigin_drop_by_name(pt_origin_name(source), true, false);
}

/*
 * Takes the origin for this process, in a transaction.  Returns how far it is;
 * 0 when that was lost.
 */
XLogRecPtr
pt_origin_begin(const char *source)
{
	take(replorigin_by_name(pt_origin_name(source), false));
	return replorigin_session_get_progress(true);
}

/*
 * This transaction, which has an xid, moves the origin when it commits.
 */
void
pt_origin_move(XLogRecPtr lsn, TimestampTz committed)
{
	Assert(pt_replorigin_session != InvalidReplOriginId);
	pt_replorigin_session_lsn = lsn;
	pt_replorigin_session_time = committed;
}

/*
 * Gives the origin back, if we have it.  Never throws.
 */
void
pt_origin_end(void)
{
	if (pt_replorigin_session == InvalidReplOriginId)
		return;
	pt_replorigin_session = InvalidReplOriginId;
	pt_replorigin_session_lsn = InvalidXLogRecPtr;
	replorigin_session_reset();
}
