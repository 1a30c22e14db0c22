/*-------------------------------------------------------------------------
 *
 * run.c
 *	  The life of a worker of a source, and its transactions.
 *
 * Siblings: snapshot.c, stream.c do the work; create.c makes sources.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "sources/internal.h"
#include "sources/sources.h"
#include "stop_point.h"

/*
 * Begins a transaction of ours; false if the task is to stop.
 */
bool
pt_source_begin(PtSourceRun *run)
{
	Assert(!IsTransactionState());
	if (!pt_task_begin(run->task))
		return false;
	run->transactions++;
	run->records = 0;
	run->bytes = 0;
	run->skipped = 0;
	run->end_lsn = InvalidXLogRecPtr;
	run->began = GetCurrentTimestamp();
	MemoryContextSwitchTo(run->life);
	return true;
}

/*
 * Commits it.  With records, or an xid at any rate, it moves the origin; a
 * little that had nothing for us need not be remembered, and is only told as
 * received.  Where that comes without end, we may never be idle (stream.c).
 */
void
pt_source_commit(PtSourceRun *run)
{
	bool		moves = run->end_lsn != InvalidXLogRecPtr &&
		(run->records > 0 || run->skipped > 0 || run->end_lsn >= run->confirmed + PT_SOURCE_IDLE_BYTES ||
		 TransactionIdIsValid(GetTopTransactionIdIfAny()));

	Assert(!run->receiving);
	if (moves)
	{
		(void) GetCurrentTransactionId();
		pt_origin_move(run->end_lsn, run->committed);
		/* what is told to the other server must be on disk here */
		ForceSyncCommit();
	}
	pt_task_commit(run->task);
	MemoryContextSwitchTo(run->life);
	PT_STOP_POINT("source.committed");
	if (moves)
	{
		run->confirmed = run->end_lsn;
		run->moved_at = GetCurrentTimestamp();
	}
	run->received = Max(run->received, run->end_lsn);
	if (run->skipped > 0)
		pt_task_skipped(run->task, run->skipped, run->skip_error);
	pt_task_progress(run->task, run->records, run->bytes, run->records > 0 ? run->commit_ms : -1, run->confirmed);
}

/*
 * Moves the origin without records.  Returns false if the task is to stop.
 */
bool
pt_source_confirm(PtSourceRun *run, XLogRecPtr lsn)
{
	if (!pt_source_begin(run))
		return false;
	(void) GetCurrentTransactionId();
	run->end_lsn = lsn;
	run->committed = GetCurrentTimestamp();
	pt_source_commit(run);
	return true;
}

/*
 * Returns what the source is; NULL if the task is to stop.  *begun: its origin
 * is there, so it was made in this database and not restored.
 */
static PtSource *
define(PtTask *task, MemoryContext life, bool *begun)
{
	PtSource   *source;

	if (!pt_task_begin(task))
		return NULL;
	MemoryContextSwitchTo(life);
	source = pt_source_define(task);
	*begun = pt_origin_exists(source->name);
	pt_task_commit(task);
	MemoryContextSwitchTo(life);
	return source;
}

/*
 * Takes the origin; false if the task is to stop.  A source that has never run
 * here has none: it begins, unless its slot is there, as that of a source that
 * was dumped.  An origin at zero had a place, and has lost it: the rollback of
 * a drop does not bring it back.
 */
static bool
take_origin(PtSourceRun *run, bool begun)
{
	if (!begun && pt_slot_exists(run->remote, run->source))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("replication slot \"%s\" is not known here", run->source->slot),
				 errdetail("The source was restored, and the slot is that of another server, or of this one before."),
				 errhint("If nobody uses it, run pg_drop_replication_slot() at the source's server. The source then begins anew.")));
	if (!pt_source_begin(run))
		return false;
	if (begun)
		run->confirmed = pt_origin_begin(run->source->name);
	else
	{
		pt_origin_create(run->source->name, PT_ORIGIN_UNSTARTED);
		ForceSyncCommit();
		run->confirmed = PT_ORIGIN_UNSTARTED;
	}
	if (run->confirmed == InvalidXLogRecPtr)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("source \"%s\" has lost its place at its server", run->source->name),
				 errdetail("A drop of the source, or of its replication origin, was rolled back."),
				 errhint("To start anew, call drop_source() and create_source(): with \"snapshot\" initial all rows come again.")));
	pt_task_commit(run->task);
	MemoryContextSwitchTo(run->life);
	return true;
}

/*
 * The run function of the kind.
 */
void
pt_source_run(PtTask *task, int worker)
{
	PtSourceRun *run = palloc0(sizeof(PtSourceRun));
	StringInfoData database;
	bool		begun;

	run->task = task;
	run->life = CurrentMemoryContext;
	run->mcxt = AllocSetContextCreate(run->life, "pgtopic message of a source", ALLOCSET_DEFAULT_SIZES);
	run->source = define(task, run->life, &begun);
	if (run->source == NULL)
		return;
	if (run->source->has_exprs)
		SetConfigOption("search_path", PT_EXPRESSION_PATH, PGC_USERSET, PGC_S_SESSION);
	run->remote = pt_peer_connect(run->source, run->task);
	initStringInfo(&database);
	escape_json(&database, pt_peer_database(run->remote));
	run->database = database.data;
	pt_tables_init(run);
	pt_slot_check_server(run->remote, run->source);
	pt_slot_check_identity(run->remote, run->source);
	pt_source_measure(run);		/* also if it fails below */

	if (!take_origin(run, begun))
		return;
	if (run->confirmed != PT_ORIGIN_UNSTARTED)
		pt_slot_check_position(run->remote, run->source, run->confirmed);
	else
	{
		/* what an attempt before has left is worth nothing */
		pt_slot_remove(run->remote, run->source);
		pt_slot_publish(run->remote, run->source);
		if (!pt_source_snapshot(run))
			return;
	}
	pt_source_stream(run);
	pt_peer_close(run->remote);
	if (run->lookups != NULL)
		pt_peer_close(run->lookups);
}
