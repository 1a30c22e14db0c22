/*-------------------------------------------------------------------------
 *
 * view.c
 *	  What open transactions have staged, for those who ask.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "stage/internal.h"

/* Counts of one producer id; false: it is unknown. */
bool
pt_stage_stats(int64 producer_id, PtStageStats *stats)
{
	StageEntry *entry = pt_stage_find(producer_id, false);
	const StagePart *parts;

	memset(stats, 0, sizeof(*stats));
	if (entry == NULL)
		return false;
	parts = entry->nparts > 0 ? pt_stage_get(StagePart, entry->parts) : NULL;
	stats->batches = entry->store.batches;
	stats->memory_bytes = entry->store.memory_bytes;
	stats->disk_bytes = entry->store.disk_bytes;
	stats->started_at = entry->started_at;
	for (int i = 0; i < entry->nparts; i++)
		stats->partitions += parts[i].records > 0;
	for (dsa_pointer at = entry->store.first_rows; DsaPointerIsValid(at);)
	{
		const StageRows *rows = pt_stage_get(StageRows, at);

		stats->memory_bytes += rows->size;
		at = rows->next;
	}
	pt_stage_unlock(entry);
	return true;
}
