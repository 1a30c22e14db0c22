/*-------------------------------------------------------------------------
 *
 * ddl.c
 *	  Creates, truncates, moves and copies the file of a log.
 *
 * The end of a log never goes back, whatever happens to its file, because
 * offsets are promises to consumers.  TRUNCATE makes the new file start at the
 * end of the old one.  VACUUM FULL keeps the start of the log and the offset
 * of each record.
 *
 * Siblings: vacuum.c (plain VACUUM, sizes), utility.c (commands that are
 * refused before they come here).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/multixact.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "catalog/storage.h"
#include "catalog/storage_xlog.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/smgr.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"

#include "am/internal.h"
#include "groups/groups.h"
#include "xact/xact.h"
#include "log/log.h"
#include "log/producers.h"
#include "topic/types.h"

/*
 * Start of the next file that pt_relation_set_new_filelocator() makes; NULL:
 * the end of the old file.
 */
static const PtLogInfo *next_file_start;

static void check_columns(Relation rel);
static void check_relation(Relation rel, char persistence);
static void copy_frames(Relation old_table, Relation new_table, TransactionId oldest_xmin, double *num_tuples);
static void copy_frame(Relation new_table, PtLogState *state, PtReader *r, PtFrame *frame);
static void seal_copied(Relation rel, PtLogState *state, PtLogPos sealed);
static void copy_producers(Relation old_table, Relation new_table, PtLogState *state);

/*
 * CREATE TABLE and TRUNCATE
 */

/*
 * ERROR unless the table has exactly the columns of a log.  This is the one
 * list of their names and types.
 */
static void
check_columns(Relation rel)
{
	const struct
	{
		const char *name;
		Oid			type;
	}			expected[PT_COLUMNS] = {
		{"partition", INT4OID},
		{"offset", INT8OID},
		{"timestamp", TIMESTAMPTZOID},
		{"key", BYTEAOID},
		{"value", BYTEAOID},
		{"headers", pt_type_headers()}
	};
	TupleDesc	desc = RelationGetDescr(rel);
	bool		good = desc->natts == PT_COLUMNS;

	for (int i = 0; good && i < PT_COLUMNS; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		good = !att->attisdropped && att->atttypid == expected[i].type &&
			strcmp(NameStr(att->attname), expected[i].name) == 0;
	}
	if (!good)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("table \"%s\" does not have the columns of a topic's partition",
						RelationGetRelationName(rel)),
				 errdetail("The access method topic_log needs exactly: partition integer, \"offset\" bigint, \"timestamp\" timestamp with time zone, key bytea, value bytea, headers headers."),
				 errhint("Create topics with create_topic().")));
}

/*
 * ERROR unless the relation is a permanent table with the right columns.
 */
static void
check_relation(Relation rel, char persistence)
{
	if (rel->rd_rel->relkind != RELKIND_RELATION)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("access method topic_log can be used for tables only")));
	if (persistence != RELPERSISTENCE_PERMANENT)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("table \"%s\" cannot be temporary or unlogged", RelationGetRelationName(rel)),
				 errdetail("What a topic holds is recovered from WAL.")));
	check_columns(rel);
}

/*
 * Takes the end of the log, as the current transaction sees it, as the start
 * of a new file.  Waits for the append lock, which is held to the end of the
 * transaction.
 */
static void
old_end(Relation rel, PtLogInfo *start)
{
	PtLogState *state;

	(void) pt_append_lock(RelationGetRelid(rel), PT_LOCK_WAIT);
	state = pt_state_get(rel);
	start->start_offset = pt_append_next_offset(rel, state);
	start->start_ordinal = state->tail_ordinal;
	/* TRUNCATE may come here for many logs */
	pt_state_release(state);	/* TRUNCATE of many logs */
}

/*
 * Table AM callback: makes the file of a new table, or another file for
 * TRUNCATE.  In the second case the relcache entry still has the old file
 * number, which tells the two apart.
 */
void
pt_relation_set_new_filelocator(Relation rel, const RelFileLocator *newrlocator, char persistence,
								TransactionId *freeze_xid, MultiXactId *minmulti)
{
	PtLogInfo	start;

	check_relation(rel, persistence);
	memset(&start, 0, sizeof(start));
	if (next_file_start)
		start = *next_file_start;
	else if (!RelFileLocatorEquals(*newrlocator, pt_rel_locator(rel)))
	{
		old_end(rel, &start);
		pt_log_drops_note();
		if (start.start_offset > 0)
			pt_label_start(RelationGetRelid(rel), start.start_offset);
	}
	else
		pt_log_adds_note();
	Assert(start.start_offset >= 0 && start.start_ordinal >= 0);
	pt_log_create(rel, newrlocator, start.start_offset, start.start_ordinal);
	*freeze_xid = RecentXmin;
	*minmulti = GetOldestMultiXactId();
}

/*
 * Table AM callback: TRUNCATE of a table that this transaction has created or
 * truncated before.  The server would empty the file in place; we make one
 * more new file instead, so that no truncation of ours has to be replayed.
 */
void
pt_relation_nontransactional_truncate(Relation rel)
{
	RelationSetNewRelfilenumber(rel, rel->rd_rel->relpersistence);
}

/*
 * Gives an empty log a new file that begins at "offset".  A log that has
 * records or has come further stays as it is.  Takes AccessExclusiveLock to
 * the end of the transaction.
 *
 * pg_upgrade restores the schema alone, tells the number of each table's file,
 * and brings the old file, which begins where it should.
 */
void
pt_log_start_at(Oid relid, int64 offset)
{
	Relation	rel;
	PtLogState *state;
	PtLogInfo	start;
	int64		first;
	int64		end;

	if (IsBinaryUpgrade)
		return;
	rel = table_open(relid, AccessExclusiveLock);
	state = pt_state_get(rel);
	pt_partition_bounds(rel, &first, &end);
	if (first == end && end < offset && !TransactionIdIsValid(state->tail_xid))
	{
		memset(&start, 0, sizeof(start));
		start.start_offset = offset;
		start.start_ordinal = state->tail_ordinal;
		next_file_start = &start;
		PG_TRY();
		{
			RelationSetNewRelfilenumber(rel, rel->rd_rel->relpersistence);
		}
		PG_FINALLY();
		{
			next_file_start = NULL;
		}
		PG_END_TRY();
		pt_log_drops_note();
	}
	table_close(rel, NoLock);
}

/*
 * SET TABLESPACE
 */

/*
 * Table AM callback: copies the file to another tablespace as it is; there is
 * one fork.  The caller holds AccessExclusiveLock.
 */
void
pt_relation_copy_data(Relation rel, const RelFileLocator *newrlocator)
{
	SMgrRelation dst = pt_smgropen(*newrlocator);

	Assert(CheckRelationLockedByMe(rel, AccessExclusiveLock, false));
	pt_log_drops_note();
	FlushRelationBuffers(rel);
	(void) RelationCreateStorage(*newrlocator, rel->rd_rel->relpersistence, true);
	RelationCopyStorage(RelationGetSmgr(rel), dst, MAIN_FORKNUM, rel->rd_rel->relpersistence);
	RelationDropStorage(rel);
	smgrclose(dst);
}

/*
 * VACUUM FULL
 */

/*
 * If a log starts within a batch, the new file has to begin with the whole
 * batch.  Then *file is changed to the batch's start, and true is returned;
 * the caller moves the start of the log when the batch is there.
 */
static bool
begin_with_whole_batch(Relation rel, PtLogInfo *file)
{
	PtReader	r;
	PtFrame		frame;
	bool		amid;

	pt_reader_begin(&r, rel, NULL);
	amid = pt_reader_next(&r, &frame) && frame.batch.base_offset < file->start_offset &&
		pt_frame_visible(&r, &frame, NULL) == PT_VISIBLE;
	pt_reader_end(&r);
	if (!amid)
		return false;
	Assert(frame.head.base_ordinal < file->start_ordinal);
	file->start_offset = frame.batch.base_offset;
	file->start_ordinal = frame.head.base_ordinal;
	return true;
}

/*
 * Table AM callback: copies the visible part of a log to a new file, without
 * aborted batches and free extents.  Offsets, ordinals, leader epochs and the
 * bytes of batches stay.  The file that the new table has starts at zero, so
 * another one with the right start is made first.  The caller holds
 * AccessExclusiveLock.
 */
void
pt_relation_copy_for_cluster(PT_COPY_FOR_CLUSTER_ARGS)
{
	PtLogInfo	start;
	PtLogStart	trim;
	bool		amid;

	Assert(CheckRelationLockedByMe(old_table, AccessExclusiveLock, false));
	if (old_index)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot cluster \"%s\"", RelationGetRelationName(old_table)),
				 errdetail("The order of a topic's records is the order of their offsets."),
				 errhint("Use VACUUM FULL to make the table's file smaller.")));
	*num_tuples = *tups_vacuumed = *tups_recently_dead = 0;
	pt_log_drops_note();
	pt_log_info(old_table, &start);
	trim.offset = start.start_offset;
	trim.ordinal = start.start_ordinal;
	amid = begin_with_whole_batch(old_table, &start);
	PG_TRY();
	{
		next_file_start = &start;
		RelationSetNewRelfilenumber(new_table, new_table->rd_rel->relpersistence);
	}
	PG_FINALLY();
	{
		next_file_start = NULL;
	}
	PG_END_TRY();
	copy_frames(old_table, new_table, oldest_xmin, num_tuples);
	if (amid)
	{
		PtLogView	view;

		pt_log_view(new_table, &view);
		trim.pos = view.start_pos;
		*num_tuples -= trim.offset - start.start_offset;
		XLogFlush(pt_trim_write(&view.locator, &trim));
		pt_trim_publish(&view.locator, &trim);
	}
}

/*
 * Copies the visible frames.
 *
 * The copies have our xid, which older snapshots do not see.  But what
 * everybody could see before has to stay visible: the new log is sealed at
 * once up to the first frame that somebody might not see.  Nobody sees the
 * new file before we commit.
 */
static void
copy_frames(Relation old_table, Relation new_table, TransactionId oldest_xmin, double *num_tuples)
{
	PtLogState *state;
	PtReader	r;
	PtFrame		frame;
	PtLogPos	sealed = 0;
	bool		all_see = true;

	(void) pt_append_lock(RelationGetRelid(old_table), PT_LOCK_WAIT);
	(void) pt_append_lock(RelationGetRelid(new_table), PT_LOCK_WAIT);
	state = pt_state_get(new_table);
	pt_tails_before_append(state, RelationGetRelid(old_table));
	pt_reader_begin(&r, old_table, GetAccessStrategy(BAS_BULKREAD));
	while (pt_reader_next(&r, &frame))
	{
		PtVisibility v = pt_frame_visible(&r, &frame, NULL);

		/* we hold AccessExclusiveLock */
		Assert(v != PT_IN_PROGRESS);	/* we hold the table alone */
		if (v != PT_VISIBLE)
			continue;
		if (!frame.sealed && !TransactionIdPrecedes(frame.head.xid, oldest_xmin))
			all_see = false;
		copy_frame(new_table, state, &r, &frame);
		*num_tuples += frame.batch.record_count;
		if (all_see)
			sealed = state->tail_pos;
	}
	if (r.strategy)
		FreeAccessStrategy(r.strategy);
	pt_reader_end(&r);
	if (sealed > 0)
		seal_copied(new_table, state, sealed);
	copy_producers(old_table, new_table, state);
	pt_tails_after_append();
}

/*
 * What the old log knows of its producers, expired ones included, becomes a
 * snapshot in the new one.
 */
static void
copy_producers(Relation old_table, Relation new_table, PtLogState *state)
{
	int64		now = pt_now_ms();
	PtLogInfo	info;
	HTAB	   *all;
	PtProducerState *states;
	int			n;

	pt_log_info(old_table, &info);
	if (info.producers_pos == 0)
		return;
	all = pt_log_producers_read(old_table, info.producers_pos, now);
	states = pt_log_producers_array(all, &n);
	info.producers_pos = pt_log_producers_write(new_table, state, states, n, now, false);
	(void) pt_log_producers_move(&state->locator, info.producers_pos);
	pt_log_producers_publish(&state->locator, info.producers_pos);
	pfree(states);
	hash_destroy(all);
}

/*
 * Appends one batch under its old ordinal.  The caller holds the append lock,
 * so it may set the next ordinal, which never goes back.
 */
static void
copy_frame(Relation new_table, PtLogState *state, PtReader *r, PtFrame *frame)
{
	PtAppendBatch batch = {
		.data = pt_reader_batch(r, frame),
		.length = frame->head.length,
		.base_offset = frame->batch.base_offset,
		.header = frame->batch
	};

	Assert(state->tail_ordinal <= frame->head.base_ordinal);
	state->tail_ordinal = frame->head.base_ordinal;
	pt_append(new_table, state, &batch, 1, PT_KEEP_EPOCH);
	Assert(batch.base_ordinal == frame->head.base_ordinal);
}

/*
 * Seals what was copied, as VACUUM does, but without a look at xids.
 */
static void
seal_copied(Relation rel, PtLogState *state, PtLogPos sealed)
{
	Assert(sealed <= state->tail_pos);
	(void) pt_meta_seal(rel, sealed, InvalidTransactionId);
	pg_atomic_write_u64(&state->sealed_pos, sealed);
}
