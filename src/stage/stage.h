/*-------------------------------------------------------------------------
 *
 * stage.h
 *	  The door of the stage room: what producers of open transactions have
 *	  sent, until it is committed or dropped.
 *
 * In shared memory, by producer id.  README.md tells how it works, contracts
 * stand at the definitions.  For all functions:
 *
 * - They may ereport (no memory, a file that cannot be written), unless they
 *	 say otherwise, and need a resource owner: they are called inside a
 *	 transaction.
 * - What they return is palloc'd in the current memory context.
 * - Leaves are OIDs of partitions' tables.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_STAGE_H
#define PT_STAGE_H

#include "compat.h"

#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "record/batch.h"
#include "txn/txn.h"

/*
 * publish.c: what the coordinator says.  For the control worker only, in the
 * order in which the steps give it.
 */
extern void pt_stage_reset(void);
extern bool pt_stage_publish(const TxnOut *out);
extern void pt_stage_drop(int64 producer_id, uint64 serial);
extern void pt_stage_add(int64 producer_id, uint64 serial, const Oid *leaves, int n);

/* What listeners have done that the coordinator does not know of yet. */
typedef struct PtStageNews
{
	PtString	transactional_id;
	int64		producer_id;
	int16		epoch;
	uint64		serial;
	bool		opened;			/* a v2 client has begun to send: ADD, with
								 * the partitions of these leaves */
	bool		doomed;			/* what it sends cannot be kept: DOOM, after
								 * that */
	Oid		   *leaves;
	int			nleaves;
} PtStageNews;

extern bool pt_stage_news(int64 producer_id, PtStageNews *news);
extern int	pt_stage_all_news(PtStageNews **news);

/* offsets.c: what TxnOffsetCommit brings. */
typedef struct PtStagedOffset
{
	PtString	topic;
	pg_uuid_t	topic_id;		/* all zeros: not known */
	int32		partition;
	int32		leader_epoch;
	int64		offset;
	PtString	metadata;
} PtStagedOffset;

/* Those of one group, as they were given. */
typedef struct PtStagedGroup
{
	PtString	group_id;
	PtStagedOffset *offsets;
	int			n;
} PtStagedGroup;

extern TxnError pt_stage_offsets(int64 producer_id, int16 epoch, PtString group_id,
								 const PtStagedOffset *offsets, int n);
extern bool pt_stage_uses_group(PtString group_id);

/* places.c: which offsets of groups are not stable. */
typedef struct PtUnstable PtUnstable;

extern PtUnstable *pt_unstable_read(const PtString *group_ids, int n);
extern bool pt_unstable_has(const PtUnstable *unstable, PtString group_id, PtString topic, int32 partition);

/* admit.c: batches, for the produce room. */
typedef struct PtStageBatch
{
	Oid			leaf;
	Oid			role;			/* who produces */
	const char *data;			/* verified */
	uint32		length;
	const PtBatchHeader *header;
	const PtRecordsInfo *records;
	int64		log_end;		/* of the partition; 0: not known */
} PtStageBatch;

extern TxnError pt_stage_batch(const PtStageBatch *batch, PtString transactional_id, bool v2,
							   int64 *base_offset, bool *out_of_order);

extern bool pt_stage_is_open(int64 producer_id);

/* read.c: what is to be committed, for the transaction worker. */
typedef struct PtStaged PtStaged;

/* A staged batch.  Its place is for the room only. */
typedef struct PtStagedPiece
{
	Oid			leaf;
	Oid			role;
	uint32		length;
	uint32		number;			/* in the order in which they came */
	bool		keyless;		/* see PtRecordsInfo */
	bool		on_disk;
	uint64		place;
} PtStagedPiece;

extern PtStaged *pt_staged_open(int64 producer_id, uint64 serial);
extern PtStagedPiece *pt_staged_pieces(PtStaged *staged, int64 *n);
extern void pt_staged_read(PtStaged *staged, const PtStagedPiece *piece, char *data);
extern PtStagedGroup *pt_staged_groups(PtStaged *staged, int *n);
extern void pt_staged_close(PtStaged *staged);

/* view.c */
typedef struct PtStageStats
{
	int64		batches;
	int64		memory_bytes;
	int64		disk_bytes;
	int32		partitions;		/* with staged batches */
	TimestampTz started_at;		/* of the first thing staged; 0: nothing is */
} PtStageStats;

extern bool pt_stage_stats(int64 producer_id, PtStageStats *stats);

/*
 * shared.c.  attach lasts to the end of the process; who does not call it is
 * attached when that is needed.
 */
extern void pt_stage_attach(void);
extern Size pt_stage_shmem_size(void);
extern void pt_stage_shmem_init(void);

#endif							/* PT_STAGE_H */
