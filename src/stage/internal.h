/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of the stage room share among themselves.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_STAGE_INTERNAL_H
#define PT_STAGE_INTERNAL_H

#include "lib/dshash.h"
#include "port/atomics.h"
#include "storage/fileset.h"
#include "storage/lwlock.h"

#include "record/sequence.h"
#include "stage/stage.h"

/* What an entry knows of a partition. */
typedef struct StagePart
{
	Oid			leaf;
	bool		added;			/* to the transaction */
	bool		told;			/* and the coordinator knows it */
	int64		records;		/* offsets that what is staged takes */
	int64		next_base;		/* least base offset of the next answer */
	PtProducerState sequences;	/* also of transactions that have ended, in
								 * this epoch */
} StagePart;

/* What stands before each batch, in memory and in files. */
typedef struct StageHeader
{
	Oid			leaf;
	Oid			role;
	uint32		length;			/* of the batch */
	uint32		keyless;
} StageHeader;

/* A batch in memory; its bytes follow. */
typedef struct StagePiece
{
	dsa_pointer next;
	StageHeader header;
} StagePiece;

/* The rows of one TxnOffsetCommit; see offsets.c for what follows. */
typedef struct StageRows
{
	dsa_pointer next;
	uint32		size;			/* of all of it */
	int32		group_len;
	int32		n;
} StageRows;

/* What is staged under a serial.  Memory before file. */
typedef struct StageStore
{
	dsa_pointer first_piece;	/* StagePiece */
	dsa_pointer last_piece;
	dsa_pointer first_rows;		/* StageRows */
	dsa_pointer last_rows;
	uint32		file;			/* its number; 0: none.  Once there is one,
								 * all goes there */
	int64		batches;
	uint64		memory_bytes;
	uint64		disk_bytes;		/* end of the file, as far as it counts */
} StageStore;

/*
 * A producer id.  The lock of its partition of the table protects it, and what
 * it points to; but that while a commit is under way nobody changes what is
 * staged, so that the transaction worker reads it without the lock.
 */
typedef struct StageEntry
{
	int64		producer_id;	/* key */
	uint64		serial;
	TxnPhase	phase;			/* as published */
	int16		epoch;
	bool		sequences_known;	/* its batches have been seen from the
									 * beginning of the epoch */
	bool		opened;			/* in phase READY, by a v2 client */
	bool		doomed;			/* by us */
	bool		has_news;		/* that the coordinator has not taken */
	int32		id_len;
	dsa_pointer id;				/* transactional id */
	dsa_pointer parts;			/* StagePart, by leaf */
	int32		nparts;
	int32		parts_cap;
	TimestampTz started_at;		/* of what is staged; 0: nothing is */
	StageStore	store;
} StageEntry;

typedef struct StageShared
{
	LWLock		lock;			/* making the area */
	int			tranche;		/* of dsa and dshash */
	dsa_handle	area;			/* DSM_HANDLE_INVALID: not made yet */
	dshash_table_handle table;
	FileSet		files;
	pg_atomic_uint32 last_file;
	pg_atomic_uint32 news;		/* entries that have some */
	pg_atomic_uint32 with_rows; /* entries that have StageRows */
	pg_atomic_uint64 memory_bytes;	/* of batches and rows */
	pg_atomic_uint64 parts_bytes;
	pg_atomic_uint64 disk_bytes;
} StageShared;

extern StageShared *pt_stage_shared;
extern dsa_area *pt_stage_area;
extern dshash_table *pt_stage_table;

/* shared.c */
extern bool pt_stage_exists(void);
extern StageEntry *pt_stage_find(int64 producer_id, bool exclusive);
extern void pt_stage_unlock(StageEntry *entry);
extern PtString pt_stage_id(const StageEntry *entry);
extern void pt_stage_set_news(StageEntry *entry, bool has_news);
extern dsa_pointer pt_stage_allocate(Size size, bool must);
extern dsa_pointer pt_stage_allocate_uncounted(Size size);
extern void pt_stage_free(dsa_pointer what, Size size);
extern StagePart *pt_stage_part(const StageEntry *entry, Oid leaf);
extern void pt_stage_part_reserve(int64 producer_id, Oid leaf);
extern StagePart *pt_stage_part_add(StageEntry *entry, Oid leaf);
extern void pt_stage_parts_free(StageEntry *entry);
extern StageStore pt_stage_take(StageEntry *entry);
extern void pt_stage_discard(const StageStore *store);
extern void pt_stage_doom(int64 producer_id, uint64 serial);

#define pt_stage_get(type, pointer) ((type *) dsa_get_address(pt_stage_area, (pointer)))

/* file.c */
extern void pt_stage_files_init(FileSet *files);
extern bool pt_stage_file_append(StageStore *store, const StageHeader *header, const char *data);
extern void pt_stage_file_remove(uint32 file);
extern struct BufFile *pt_stage_file_open(uint32 file, int mode);

/* offsets.c */
extern PtStagedGroup pt_stage_rows_read(const StageRows *rows);
extern const char *pt_stage_row_place(const char *at, PtString *topic, int32 *partition);
extern void pt_stage_walk(bool (*callback) (void *arg, const StageRows *rows), void *arg);

/* places.c */
extern int	pt_stage_distinct(const PtStagedOffset *offsets, int n, PtStagedOffset **distinct);

#endif							/* PT_STAGE_INTERNAL_H */
