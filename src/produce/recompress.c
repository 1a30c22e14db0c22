/*-------------------------------------------------------------------------
 *
 * recompress.c
 *	  A client's batch with its records compressed by another codec.
 *
 * For topics whose compression.type is not "producer".  Everything but the
 * encoding stays: offsets, timestamps, the producer's identity.
 *
 * Sibling: produce.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "record/compress.h"

#include "guc.h"
#include "produce/internal.h"
#include "xact/xact.h"

/*
 * The batch with its records compressed by another codec, in memory of the
 * current context.  The batch has been verified as a whole, its records have
 * not.
 */
PtBatchStatus
pt_batch_recompress(const char *data, size_t len, const PtTopicConfig *config, char **out, size_t *out_len)
{
	PtRecordIter it;
	PtRecord	record;
	PtBatchBuilder builder;
	PtBatchStatus status;
	char	   *built;

	Assert(config->compression != PT_COMPRESSION_PRODUCER);
	status = pt_record_iter_begin(&it, data, len, PT_RECORDS_BYTES_MAX);
	if (status != PT_BATCH_OK)
		return status;
	memset(&builder, 0, sizeof(builder));
	pt_builder_start(&builder);
	while ((status = pt_record_iter_next(&it, &record)) == PT_BATCH_OK)
		(void) pt_builder_add(&builder, (int32) (record.offset - it.header.base_offset), &record);
	if (status == PT_BATCH_END && builder.count != it.header.record_count)
		status = PT_BATCH_BAD_COUNT;
	if (status == PT_BATCH_END)
	{
		built = pt_builder_finish(&builder, config->compression, config->compression_level, out_len);
		status = built ? PT_BATCH_OK : PT_BATCH_NO_MEMORY;
		if (built)
		{
			PtBatchProducer producer = {
				.producer_id = it.header.producer_id,
				.producer_epoch = it.header.producer_epoch,
				.base_sequence = it.header.base_sequence
			};

			*out = MemoryContextAllocHuge(CurrentMemoryContext, *out_len);
			memcpy(*out, built, *out_len);
			pt_batch_set_producer(*out, &producer);
		}
	}
	pt_builder_free(&builder);
	pt_record_iter_end(&it);
	return status;
}
