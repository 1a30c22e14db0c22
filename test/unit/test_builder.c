/*-------------------------------------------------------------------------
 *
 * test_builder.c
 *	  Batches that we build: byte for byte as the Java client's, and read back.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "vectors.h"

#include <limits.h>

#include "record/compress.h"
#include "record/layout.h"

static void
add_vector_records(PtBatchBuilder *b)
{
	pt_builder_start(b);
	for (int i = 0; i < lengthof(vector_records); i++)
	{
		size_t		before = pt_builder_size(b);
		size_t		body = pt_builder_add(b, i, &vector_records[i]);

		CHECK(pt_builder_size(b) > before + body);
		CHECK(pt_builder_size(b) <= before + pt_record_size_max(&vector_records[i]));
	}
}

static void
test_same_as_java(void)
{
	PtBatchBuilder b = {0};
	size_t		want_len;
	char	   *want = test_unhex(vectors[0].hex, &want_len);
	size_t		len;
	char	   *data;

	add_vector_records(&b);
	CHECK_INT(pt_builder_size(&b), want_len);
	data = pt_builder_finish(&b, PT_CODEC_NONE, INT_MIN, &len);
	CHECK_BYTES(data, len, want, want_len);
	pt_builder_free(&b);
	pg_free(want);
}

/* One builder for all of them, as a long-lived one would be used. */
static void
test_codecs(void)
{
	PtBatchBuilder b = {0};

	for (int codec = 0; codec <= PT_CODEC_LAST; codec++)
	{
		PtBatchHeader h;
		size_t		len;
		char	   *data;

		SAY("codec %d", codec);
		add_vector_records(&b);
		data = pt_builder_finish(&b, codec, INT_MIN, &len);
		CHECK(len <= pt_builder_size(&b));
		CHECK((len < pt_builder_size(&b)) == (codec != PT_CODEC_NONE));
		CHECK_STATUS(pt_batch_verify(data, len, &h), PT_BATCH_OK);
		CHECK_INT(h.attributes, codec);
		CHECK_INT(h.base_offset, 0);
		CHECK_INT(h.leader_epoch, -1);
		CHECK_INT(h.producer_id, -1);
		CHECK_INT(h.producer_epoch, -1);
		CHECK_INT(h.base_sequence, -1);
		CHECK_INT(h.max_timestamp, VECTOR_MAX_TIMESTAMP);
		check_vector_records(data, len);
	}
	pt_builder_free(&b);
	pt_builder_free(&b);
}

static void
test_incompressible_stays(void)
{
	PtBatchBuilder b = {0};
	char		value[1000];
	uint64		seed = 1;
	PtRecord	record = {0, 5, NULL, value, -1, sizeof(value), NULL, 0, 0};

	for (int i = 0; i < sizeof(value); i++)
		value[i] = (char) test_random(&seed);
	for (int codec = 1; codec <= PT_CODEC_LAST; codec++)
	{
		PtBatchHeader h;
		size_t		len;
		char	   *data;

		SAY("codec %d", codec);
		pt_builder_start(&b);
		pt_builder_add(&b, 0, &record);
		data = pt_builder_finish(&b, codec, INT_MIN, &len);
		CHECK_INT(len, pt_builder_size(&b));
		CHECK_STATUS(pt_batch_verify(data, len, &h), PT_BATCH_OK);
		CHECK_INT(h.attributes, 0);
		CHECK_STATUS(pt_batch_verify_records(data, len, 0, NULL), PT_BATCH_OK);
	}
	pt_builder_free(&b);
}

/* Compaction leaves gaps; they are kept. */
static void
test_sparse(void)
{
	PtBatchBuilder b = {0};
	PtRecordIter it;
	PtRecord	record;
	PtBatchHeader h;
	size_t		len;
	char	   *data;

	pt_builder_start(&b);
	pt_builder_add(&b, 3, &vector_records[0]);
	pt_builder_add(&b, 70000, &vector_records[3]);
	data = pt_builder_finish(&b, PT_CODEC_NONE, INT_MIN, &len);
	pt_batch_set_offset(data, 100, 0);

	CHECK_STATUS(pt_batch_verify(data, len, &h), PT_BATCH_BAD_COUNT);
	CHECK_INT(h.record_count, 2);
	CHECK_INT(pt_batch_next_offset(&h), 70101);
	CHECK_STATUS(pt_record_iter_begin(&it, data, len, 0), PT_BATCH_OK);
	CHECK_STATUS(pt_record_iter_next(&it, &record), PT_BATCH_OK);
	CHECK_INT(record.offset, 103);
	CHECK_STATUS(pt_record_iter_next(&it, &record), PT_BATCH_OK);
	CHECK_INT(record.offset, 70100);
	CHECK_STATUS(pt_record_iter_next(&it, &record), PT_BATCH_END);
	pt_record_iter_end(&it);
	pt_builder_free(&b);
}

/* Timestamps far apart: the deltas need all 64 bits, and wrap. */
static void
test_extreme_timestamps(void)
{
	PtBatchBuilder b = {0};
	static const int64 times[] = {PG_INT64_MIN, PG_INT64_MAX, 0, -1};
	PtRecordIter it;
	PtRecord	record = {0};
	size_t		len;
	char	   *data;

	record.key_len = record.value_len = -1;
	pt_builder_start(&b);
	for (int i = 0; i < lengthof(times); i++)
	{
		record.timestamp = times[i];
		pt_builder_add(&b, i, &record);
	}
	CHECK_INT(b.max_timestamp, PG_INT64_MAX);
	data = pt_builder_finish(&b, PT_CODEC_NONE, INT_MIN, &len);
	CHECK_STATUS(pt_record_iter_begin(&it, data, len, 0), PT_BATCH_OK);
	for (int i = 0; i < lengthof(times); i++)
	{
		CHECK_STATUS(pt_record_iter_next(&it, &record), PT_BATCH_OK);
		CHECK_INT(record.timestamp, times[i]);
	}
	pt_record_iter_end(&it);
	pt_builder_free(&b);
}

/* Random records of all shapes, through every codec. */
static void
random_batch(PtBatchBuilder *b, uint64 *seed, char *pool, int codec)
{
	PtRecord	records[300];
	int			n = 1 + test_random(seed) % lengthof(records);
	PtRecordIter it;
	PtRecord	got;
	PtBatchHeader h;
	size_t		len;
	char	   *data;

	pt_builder_start(b);
	for (int i = 0; i < n; i++)
	{
		PtRecord   *r = &records[i];

		memset(r, 0, sizeof(*r));
		r->offset = i;
		r->timestamp = (int64) (test_random(seed) % 100000000);
		r->key_len = (int) (test_random(seed) % 100) - 1;
		r->key = r->key_len < 0 ? NULL : pool + test_random(seed) % 1000;
		r->value_len = (int) (test_random(seed) % 1000) - 1;
		r->value = r->value_len < 0 ? NULL : pool + test_random(seed) % 1000;
		if (test_random(seed) % 4 == 0)
		{
			r->headers = VECTOR_HEADERS;
			r->headers_len = sizeof(VECTOR_HEADERS) - 1;
			r->header_count = 3;
		}
		pt_builder_add(b, i, r);
	}
	data = pt_builder_finish(b, codec, INT_MIN, &len);
	data = test_copy(data, len);
	CHECK_STATUS(pt_batch_verify(data, len, &h), PT_BATCH_OK);
	CHECK_INT(h.record_count, n);
	CHECK_STATUS(pt_batch_verify_records(data, len, 1 << 20, NULL), PT_BATCH_OK);
	CHECK_STATUS(pt_record_iter_begin(&it, data, len, 1 << 20), PT_BATCH_OK);
	for (int i = 0; i < n; i++)
	{
		CHECK_STATUS(pt_record_iter_next(&it, &got), PT_BATCH_OK);
		check_record(&got, &records[i]);
	}
	CHECK_STATUS(pt_record_iter_next(&it, &got), PT_BATCH_END);
	pt_record_iter_end(&it);
	pg_free(data);
}

static void
test_random_batches(void)
{
	PtBatchBuilder b = {0};
	uint64		seed = 20260101;
	char	   *pool = pg_malloc(2000);

	for (int i = 0; i < 2000; i++)
		pool[i] = 'a' + test_random(&seed) % 8;
	for (int round = 0; round < 50; round++)
	{
		SAY("round %d", round);
		random_batch(&b, &seed, pool, round % (PT_CODEC_LAST + 1));
	}
	pt_builder_free(&b);
	pg_free(pool);
}

int
main(void)
{
	RUN(test_same_as_java);
	RUN(test_codecs);
	RUN(test_incompressible_stays);
	RUN(test_sparse);
	RUN(test_extreme_timestamps);
	RUN(test_random_batches);
	return test_done();
}
