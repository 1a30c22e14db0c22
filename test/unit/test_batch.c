/*-------------------------------------------------------------------------
 *
 * test_batch.c
 *	  Batch headers: read, verify, patch; truncation and bit flips.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "vectors.h"

#include "record/bytes.h"
#include "record/layout.h"

#define LIMIT	(1 << 20)

/* The uncompressed vector, to be changed. */
static char *
sample(size_t *len)
{
	return test_unhex(vectors[0].hex, len);
}

/* Verifies a batch after its CRC has been made right again. */
static PtBatchStatus
verify_sealed(char *data, size_t len)
{
	PtBatchHeader h;

	pt_batch_seal(data, len);
	return pt_batch_verify(data, len, &h);
}

static void
test_header_of_java_batches(void)
{
	for (int i = 0; i < lengthof(vectors); i++)
	{
		size_t		len;
		char	   *data = test_unhex(vectors[i].hex, &len);
		bool		idempotent = (i == VECTOR_IDEMPOTENT);
		PtBatchHeader h;

		SAY("%s", vectors[i].name);
		CHECK_STATUS(pt_batch_verify(data, len, &h), PT_BATCH_OK);
		CHECK_INT(h.base_offset, 0);
		CHECK_INT(h.length, len);
		CHECK_INT(h.leader_epoch, -1);
		CHECK_INT(h.magic, 2);
		CHECK_INT(h.attributes, vectors[i].attributes);
		CHECK_INT(h.last_offset_delta, 4);
		CHECK_INT(h.base_timestamp, VECTOR_BASE_TIMESTAMP);
		CHECK_INT(h.max_timestamp, VECTOR_MAX_TIMESTAMP);
		CHECK_INT(h.producer_id, idempotent ? 4711 : -1);
		CHECK_INT(h.producer_epoch, idempotent ? 3 : -1);
		CHECK_INT(h.base_sequence, idempotent ? 2147483646 : -1);
		CHECK_INT(h.record_count, 5);
		CHECK_INT(pt_batch_next_offset(&h), 5);
		pg_free(data);
	}
}

static void
test_truncated_at_every_byte(void)
{
	for (int i = 0; i < lengthof(vectors); i++)
	{
		size_t		len;
		char	   *data = test_unhex(vectors[i].hex, &len);

		for (size_t cut = 0; cut < len; cut++)
		{
			char	   *part = test_copy(data, cut);
			PtBatchHeader h;
			PtRecordIter it;

			SAY("%s at %zu", vectors[i].name, cut);
			CHECK_STATUS(pt_batch_verify(part, cut, &h), PT_BATCH_TRUNCATED);
			CHECK_STATUS(pt_batch_verify_records(part, cut, LIMIT, NULL), PT_BATCH_TRUNCATED);
			CHECK_STATUS(pt_record_iter_begin(&it, part, cut, LIMIT), PT_BATCH_TRUNCATED);
			pt_record_iter_end(&it);
			pg_free(part);
		}
		pg_free(data);
	}
}

/* Each bit that the CRC covers is seen, and no bit that it does not cover crashes. */
static void
test_every_bit_flipped(void)
{
	for (int i = 0; i < lengthof(vectors); i++)
	{
		size_t		len;
		char	   *data = test_unhex(vectors[i].hex, &len);

		for (size_t bit = 0; bit < len * 8; bit++)
		{
			PtBatchHeader h;
			PtBatchStatus status;

			data[bit / 8] ^= 1 << (bit % 8);
			SAY("%s bit %zu", vectors[i].name, bit);
			status = pt_batch_verify(data, len, &h);
			if (bit / 8 >= BATCH_AT_CRC)
				CHECK_STATUS(status, PT_BATCH_BAD_CRC);
			else if (bit / 8 == BATCH_AT_MAGIC)
				CHECK_STATUS(status, PT_BATCH_BAD_MAGIC);
			else if (bit / 8 >= BATCH_AT_LENGTH && bit / 8 < BATCH_AT_LEADER_EPOCH)
				CHECK(status == PT_BATCH_BAD_LENGTH || status == PT_BATCH_TRUNCATED);
			else
				CHECK_STATUS(status, PT_BATCH_OK);

			/* What a CRC collision might let through must be harmless too. */
			(void) pt_batch_verify_records(data, len, LIMIT, NULL);
			data[bit / 8] ^= 1 << (bit % 8);
		}
		pg_free(data);
	}
}

static void
test_lengths(void)
{
	size_t		len;
	char	   *data = sample(&len);
	char	   *longer = pg_malloc0(len + 1);
	PtBatchHeader h;
	static const int32 bad[] = {-1, 0, 48, PG_INT32_MIN, PG_INT32_MAX, PG_INT32_MAX - 11};

	for (int i = 0; i < lengthof(bad); i++)
	{
		SAY("%d", bad[i]);
		pt_put_int32(data + BATCH_AT_LENGTH, bad[i]);
		CHECK_STATUS(pt_batch_header_read(data, len, &h), PT_BATCH_BAD_LENGTH);
		CHECK_STATUS(pt_batch_verify(data, len, &h), PT_BATCH_BAD_LENGTH);
	}
	pt_put_int32(data + BATCH_AT_LENGTH, PG_INT32_MAX - 12);
	CHECK_STATUS(pt_batch_header_read(data, len, &h), PT_BATCH_OK);
	CHECK_INT(h.length, PG_INT32_MAX);
	CHECK_STATUS(pt_batch_verify(data, len, &h), PT_BATCH_TRUNCATED);

	/* Something behind the batch. */
	pt_put_int32(data + BATCH_AT_LENGTH, len - 12);
	memcpy(longer, data, len);
	CHECK_STATUS(pt_batch_verify(longer, len + 1, &h), PT_BATCH_BAD_LENGTH);
	pg_free(longer);
	pg_free(data);
}

static void
test_attributes(void)
{
	size_t		len;
	char	   *data = sample(&len);
	static const struct
	{
		int			attributes;
		PtBatchStatus status;
	}			cases[] =
	{
		{0, PT_BATCH_OK},
		{4, PT_BATCH_OK},
		{5, PT_BATCH_BAD_CODEC},
		{7, PT_BATCH_BAD_CODEC},
		{PT_BATCH_LOG_APPEND_TIME, PT_BATCH_OK},
		{PT_BATCH_TRANSACTIONAL, PT_BATCH_OK},
		{PT_BATCH_CONTROL, PT_BATCH_BAD_ATTRIBUTES},
		{PT_BATCH_DELETE_HORIZON, PT_BATCH_BAD_ATTRIBUTES},
		{0x80, PT_BATCH_BAD_ATTRIBUTES},
		{0x8000, PT_BATCH_BAD_ATTRIBUTES},
	};

	for (int i = 0; i < lengthof(cases); i++)
	{
		SAY("attributes %x", cases[i].attributes);
		pt_put_int16(data + BATCH_AT_ATTRIBUTES, cases[i].attributes);
		CHECK_STATUS(verify_sealed(data, len), cases[i].status);
	}
	pg_free(data);
}

static void
test_counts(void)
{
	size_t		len;
	char	   *data = sample(&len);
	static const struct
	{
		int32		count;
		int32		last_delta;
		PtBatchStatus verify;
		PtBatchStatus records;
	}			cases[] =
	{
		{5, 4, PT_BATCH_OK, PT_BATCH_OK},
		{5, 5, PT_BATCH_BAD_COUNT, PT_BATCH_OK},
		{0, -1, PT_BATCH_BAD_COUNT, PT_BATCH_BAD_COUNT},
		{-1, -2, PT_BATCH_BAD_COUNT, PT_BATCH_BAD_COUNT},
		{PG_INT32_MIN, PG_INT32_MAX, PT_BATCH_BAD_COUNT, PT_BATCH_BAD_COUNT},
		{PG_INT32_MAX, PG_INT32_MAX - 1, PT_BATCH_BAD_COUNT, PT_BATCH_BAD_COUNT},
		{4, 3, PT_BATCH_OK, PT_BATCH_BAD_COUNT},
		{6, 5, PT_BATCH_OK, PT_BATCH_BAD_COUNT},
	};

	for (int i = 0; i < lengthof(cases); i++)
	{
		SAY("%d records", cases[i].count);
		pt_put_int32(data + BATCH_AT_RECORD_COUNT, cases[i].count);
		pt_put_int32(data + BATCH_AT_LAST_OFFSET_DELTA, cases[i].last_delta);
		CHECK_STATUS(verify_sealed(data, len), cases[i].verify);
		CHECK_STATUS(pt_batch_verify_records(data, len, LIMIT, NULL), cases[i].records);
	}
	pg_free(data);
}

/* Compressed, the count is only found out by decompressing. */
static void
test_counts_compressed(void)
{
	for (int i = 1; i <= 4; i++)
	{
		size_t		len;
		char	   *data = test_unhex(vectors[i].hex, &len);

		SAY("%s", vectors[i].name);
		pt_put_int32(data + BATCH_AT_RECORD_COUNT, PG_INT32_MAX);
		pt_put_int32(data + BATCH_AT_LAST_OFFSET_DELTA, PG_INT32_MAX - 1);
		CHECK_STATUS(verify_sealed(data, len), PT_BATCH_OK);
		CHECK_STATUS(pt_batch_verify_records(data, len, LIMIT, NULL), PT_BATCH_BAD_COUNT);
		pg_free(data);
	}
}

/* A message of format 1 is shorter than our header. */
static void
test_old_format(void)
{
	char		old[40] = {0};
	PtBatchHeader h;

	old[BATCH_AT_MAGIC] = 1;
	CHECK_STATUS(pt_batch_verify(old, sizeof(old), &h), PT_BATCH_BAD_MAGIC);
	old[BATCH_AT_MAGIC] = 0;
	CHECK_STATUS(pt_batch_verify(old, sizeof(old), &h), PT_BATCH_BAD_MAGIC);
}

static void
test_patches(void)
{
	size_t		len;
	char	   *data = sample(&len);
	PtBatchHeader h;
	PtRecordIter it;
	PtRecord	record;

	pt_batch_set_offset(data, INT64CONST(1) << 40, 17);
	CHECK_STATUS(pt_batch_verify(data, len, &h), PT_BATCH_OK);
	CHECK_INT(h.base_offset, INT64CONST(1) << 40);
	CHECK_INT(h.leader_epoch, 17);

	pt_batch_set_append_time(data, 123456789);
	CHECK_STATUS(pt_batch_verify(data, len, &h), PT_BATCH_OK);
	CHECK_INT(h.attributes, PT_BATCH_LOG_APPEND_TIME);
	CHECK_INT(h.max_timestamp, 123456789);
	CHECK_INT(h.base_timestamp, VECTOR_BASE_TIMESTAMP);

	/* All records now have that time. */
	CHECK_STATUS(pt_record_iter_begin(&it, data, len, LIMIT), PT_BATCH_OK);
	for (int i = 0; i < 5; i++)
	{
		CHECK_STATUS(pt_record_iter_next(&it, &record), PT_BATCH_OK);
		CHECK_INT(record.timestamp, 123456789);
		CHECK_INT(record.offset, (INT64CONST(1) << 40) + i);
	}
	pt_record_iter_end(&it);
	pg_free(data);
}

static void
test_status_text(void)
{
	CHECK(strcmp(pt_batch_status_text(PT_BATCH_BAD_CRC), "CRC does not match") == 0);
	CHECK(pt_batch_status_text((PtBatchStatus) 99) != NULL);
}

int
main(void)
{
	RUN(test_header_of_java_batches);
	RUN(test_truncated_at_every_byte);
	RUN(test_every_bit_flipped);
	RUN(test_lengths);
	RUN(test_attributes);
	RUN(test_counts);
	RUN(test_counts_compressed);
	RUN(test_old_format);
	RUN(test_patches);
	RUN(test_status_text);
	return test_done();
}
