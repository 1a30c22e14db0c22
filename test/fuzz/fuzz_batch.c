/*-------------------------------------------------------------------------
 *
 * fuzz_batch.c
 *	  Fuzz target: anything that claims to be a record batch.
 *
 *	  The input goes through all that reads a batch, once as it is and once with
 *	  magic, length and CRC made right, so that the fuzzer gets past them.  What
 *	  passes verification must then also iterate, and say the same.
 *
 *	  Seeds: seed_batch.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "common/fe_memutils.h"

#include "record/batch.h"
#include "record/compress.h"
#include "record/layout.h"
#include "record/sequence.h"

#define LIMIT	(1 << 20)

/* Keeps the compiler from dropping the look at the records. */
static volatile uint64 sink;

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Looks at every byte that a record points to, for the sanitizer to see. */
static uint64
record_touch(const PtRecord *record)
{
	const char *pos = record->headers;
	const char *end = pos + record->headers_len;
	uint64		sum = 0;
	int32		n = 0;
	PtHeader	header;

	for (int32 i = 0; i < record->key_len; i++)
		sum += (unsigned char) record->key[i];
	for (int32 i = 0; i < record->value_len; i++)
		sum += (unsigned char) record->value[i];
	for (; pt_header_next(&pos, end, &header); n++)
	{
		for (int32 i = 0; i < header.key_len; i++)
			sum += (unsigned char) header.key[i];
		for (int32 i = 0; i < header.value_len; i++)
			sum += (unsigned char) header.value[i];
	}
	if (n != record->header_count || pos != end)
		abort();
	return sum;
}

/* How many records come out before the end or an error, which goes to *status. */
static int32
iterate(const char *data, size_t len, PtBatchStatus *status)
{
	PtRecordIter it;
	PtRecord	record;
	int32		n = 0;

	*status = pt_record_iter_begin(&it, data, len, LIMIT);
	while (*status == PT_BATCH_OK)
	{
		*status = pt_record_iter_next(&it, &record);
		if (*status != PT_BATCH_OK)
			break;
		sink += record_touch(&record);
		n++;
	}
	pt_record_iter_end(&it);
	return n;
}

static void
sequence(const PtBatchHeader *h)
{
	PtProducerState state;
	const PtSequenceBatch *first;

	if (h->producer_id < 0)
		return;
	pt_sequence_init(&state, h->producer_id);
	if (pt_sequence_check(&state, h, &first) != PT_SEQUENCE_OK)
		return;
	pt_sequence_append(&state, h, 7, h->max_timestamp);
	if (pt_sequence_check(&state, h, &first) != PT_SEQUENCE_DUPLICATE || first->base_offset != 7)
		abort();
}

static void
whole_batch(char *data, size_t len)
{
	PtBatchHeader h;
	PtRecordsInfo info;
	PtBatchStatus verified = pt_batch_verify(data, len, &h);
	PtBatchStatus records = pt_batch_verify_records(data, len, LIMIT, &info);
	PtBatchStatus iterated;
	int32		n = iterate(data, len, &iterated);

	if (pt_batch_status_text(verified) == NULL)
		abort();
	if (records == PT_BATCH_OK && (iterated != PT_BATCH_END || n != h.record_count))
		abort();
	if (verified != PT_BATCH_OK)
		return;

	sequence(&h);
	pt_batch_set_offset(data, PG_INT64_MAX, PG_INT32_MAX);
	if (pt_batch_verify(data, len, &h) != PT_BATCH_OK)
		abort();
	pt_batch_set_append_time(data, PG_INT64_MIN);
	if (pt_batch_verify(data, len, &h) != PT_BATCH_OK)
		abort();
}

/* The bytes behind the header as each codec's input. */
static void
decompress(const char *data, size_t len)
{
	for (int codec = 0; codec <= PT_CODEC_LAST; codec++)
	{
		char	   *out;
		size_t		out_len;

		if (pt_decompress(codec, data, len, LIMIT, &out, &out_len) == PT_BATCH_OK)
		{
			if (out_len > LIMIT)
				abort();
			pfree(out);
		}
		else if (out != NULL)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char	   *copy = pg_malloc(size + 1);

	memcpy(copy, data, size);
	whole_batch(copy, size);
	if (size >= PT_BATCH_HEADER_SIZE)
	{
		memcpy(copy, data, size);
		copy[BATCH_AT_MAGIC] = PT_BATCH_MAGIC;
		pt_batch_seal(copy, size);
		whole_batch(copy, size);
		decompress((const char *) data + PT_BATCH_HEADER_SIZE, size - PT_BATCH_HEADER_SIZE);
	}
	pg_free(copy);
	return 0;
}
