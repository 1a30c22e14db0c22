/*-------------------------------------------------------------------------
 *
 * filter.h
 *	  What compaction leaves of a batch.
 *
 * The rules are those of Kafka's cleaner (LogCleaner, MemoryRecords.filterTo;
 * KIP-354, KIP-534).  A batch that loses records keeps its base offset, its
 * last offset, codec, producer, sequence and all that its other records have,
 * their offset deltas included.
 *
 * Siblings: key_map.h, batch.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_RECORD_FILTER_H
#define PT_RECORD_FILTER_H

#include "record/batch.h"
#include "record/key_map.h"

/* What a filter has seen, for reports. */
typedef struct PtFilterCounts
{
	int64		batches;
	int64		records;
	int64		records_kept;
	int64		keyless;		/* dropped, as they have no key */
	int64		tombstones;		/* dropped, as their time had come */
	int64		bytes;			/* of batches, as they were */
	int64		bytes_kept;
} PtFilterCounts;

/*
 * A filter.  The caller zeroes it and sets the first fields; memory is of the
 * context that is current at the first call.
 */
typedef struct PtFilter
{
	const PtKeyMap *map;
	int64		start_offset;	/* records before it are dropped */
	int64		clean_offset;	/* up to here, exclusive, no key has two
								 * records, by an earlier compaction that was
								 * completed */
	int64		now_ms;
	int64		delete_retention_ms;
	PtFilterCounts counts;

	/* the filter's own */
	char	   *raw;			/* header and the records that stay */
	size_t		raw_len;
	size_t		raw_cap;
	char	   *moved;			/* the same with other timestamp deltas */
	size_t		moved_cap;
	char	   *out;			/* a compressed batch */
	size_t		out_cap;
} PtFilter;

typedef enum PtFilterKind
{
	PT_FILTER_WHOLE,			/* the batch stays as it is */
	PT_FILTER_CHANGED,			/* there is another one in its place */
	PT_FILTER_DROPPED			/* nothing is left */
} PtFilterKind;

typedef struct PtFiltered
{
	PtFilterKind kind;
	const char *data;			/* what is left: the batch that was given, or
								 * memory of the filter until the next call */
	size_t		len;
} PtFiltered;

extern PtBatchStatus pt_filter_learn(PtKeyMap *map, const char *data, size_t len, int64 from_offset, bool *full);
extern PtBatchStatus pt_filter_batch(PtFilter *filter, const char *data, size_t len, bool keep_empty,
									 PtFiltered *result);
extern void pt_filter_free(PtFilter *filter);

#endif							/* PT_RECORD_FILTER_H */
