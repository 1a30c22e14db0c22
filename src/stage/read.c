/*-------------------------------------------------------------------------
 *
 * read.c
 *	  What is staged under a serial, for its commit.
 *
 * Between the order of the commit and its end nobody changes it, as its phase
 * is ENDING, and the coordinator gives no other order meanwhile.  So it is
 * read without a lock.
 *
 * Siblings: admit.c, offsets.c (what is read).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>

#include "miscadmin.h"
#include "storage/buffile.h"

#include "stage/internal.h"

struct PtStaged
{
	StageStore	store;
	BufFile    *file;			/* NULL: there is none */
};

/*
 * Opens what is staged, until the end of the transaction at most.  ERROR
 * where nothing may be committed under this serial.
 */
PtStaged *
pt_staged_open(int64 producer_id, uint64 serial)
{
	StageEntry *entry = pt_stage_find(producer_id, false);
	PtStaged   *staged;
	StageStore	store = {0};
	bool		good = false;

	if (entry != NULL)
	{
		good = entry->serial == serial && !entry->doomed && entry->phase == TXN_PHASE_ENDING;
		store = entry->store;
		pt_stage_unlock(entry);
	}
	if (!good)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("what was staged of a Kafka transaction is gone")));
	staged = palloc0(sizeof(PtStaged));
	staged->store = store;
	if (store.file != 0)
		staged->file = pt_stage_file_open(store.file, O_RDONLY);
	return staged;
}

void
pt_staged_close(PtStaged *staged)
{
	if (staged->file)
		BufFileClose(staged->file);
	pfree(staged);
}

static void
read_file(PtStaged *staged, uint64 place, void *data, Size size)
{
	if (BufFileSeek(staged->file, 0, (off_t) place, SEEK_SET) != 0 ||
		BufFileRead(staged->file, data, size) != size)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("could not read what is staged of a Kafka transaction")));
}

static void
set_piece(PtStagedPiece *piece, const StageHeader *header, int64 number, uint64 place, bool on_disk)
{
	piece->leaf = header->leaf;
	piece->role = header->role;
	piece->length = header->length;
	piece->number = (uint32) number;
	piece->keyless = header->keyless != 0;
	piece->on_disk = on_disk;
	piece->place = place;
}

/*
 * All batches, in the order in which they came.
 */
PtStagedPiece *
pt_staged_pieces(PtStaged *staged, int64 *n)
{
	PtStagedPiece *pieces = MemoryContextAllocHuge(CurrentMemoryContext,
												   Max(staged->store.batches, 1) * sizeof(PtStagedPiece));

	*n = 0;
	if (staged->store.batches > PG_UINT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a Kafka transaction has too many batches")));
	for (dsa_pointer at = staged->store.first_piece; DsaPointerIsValid(at);)
	{
		const StagePiece *piece = pt_stage_get(StagePiece, at);

		set_piece(&pieces[*n], &piece->header, *n, at, false);
		at = piece->next;
		(*n)++;
	}
	for (uint64 place = 0; place < staged->store.disk_bytes;)
	{
		StageHeader header;

		CHECK_FOR_INTERRUPTS();
		read_file(staged, place, &header, sizeof(header));
		if (*n >= staged->store.batches ||
			place + sizeof(header) + header.length > staged->store.disk_bytes)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("what is staged of a Kafka transaction is damaged")));
		set_piece(&pieces[*n], &header, *n, place + sizeof(header), true);
		place += sizeof(header) + header.length;
		(*n)++;
	}
	Assert(*n == staged->store.batches);
	return pieces;
}

/* Copies the batch of a piece; it has piece->length bytes. */
void
pt_staged_read(PtStaged *staged, const PtStagedPiece *piece, char *data)
{
	if (piece->on_disk)
		read_file(staged, piece->place, data, piece->length);
	else
		memcpy(data, pt_stage_get(StagePiece, piece->place) + 1, piece->length);
}

/* What TxnOffsetCommit has brought, in its order; returns palloc'd copies. */
PtStagedGroup *
pt_staged_groups(PtStaged *staged, int *n)
{
	int			cap = 4;
	PtStagedGroup *groups = palloc(cap * sizeof(PtStagedGroup));

	*n = 0;
	for (dsa_pointer at = staged->store.first_rows; DsaPointerIsValid(at);)
	{
		const StageRows *rows = pt_stage_get(StageRows, at);

		if (*n == cap)
			groups = repalloc(groups, (cap *= 2) * sizeof(PtStagedGroup));
		groups[(*n)++] = pt_stage_rows_read(rows);
		at = rows->next;
	}
	return groups;
}
