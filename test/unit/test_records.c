/*-------------------------------------------------------------------------
 *
 * test_records.c
 *	  Records inside a batch: those of the Java client, and malformed ones.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "vectors.h"

#include "record/bytes.h"
#include "record/layout.h"

#define LIMIT	(1 << 20)

/* A batch with this body, written as hex, and this many records. */
static char *
batch_of(const char *hex, int32 count, size_t *len)
{
	size_t		header_len;
	size_t		body_len;
	char	   *header = test_unhex(vectors[0].hex, &header_len);
	char	   *body = test_unhex(hex, &body_len);
	char	   *data;

	*len = PT_BATCH_HEADER_SIZE + body_len;
	data = pg_malloc(*len);
	memcpy(data, header, PT_BATCH_HEADER_SIZE);
	memcpy(data + PT_BATCH_HEADER_SIZE, body, body_len);
	pt_put_int32(data + BATCH_AT_RECORD_COUNT, count);
	pt_put_int32(data + BATCH_AT_LAST_OFFSET_DELTA, count - 1);
	pt_batch_seal(data, *len);
	pg_free(header);
	pg_free(body);
	return data;
}

static void
check_body(const char *what, const char *hex, int32 count, PtBatchStatus want)
{
	size_t		len;
	char	   *data = batch_of(hex, count, &len);

	SAY("%s", what);
	CHECK_STATUS(pt_batch_verify_records(data, len, LIMIT, NULL), want);
	pg_free(data);
}

static void
test_java_batches(void)
{
	for (int i = 0; i < lengthof(vectors); i++)
	{
		size_t		len;
		char	   *data = test_unhex(vectors[i].hex, &len);
		PtRecordsInfo info;

		SAY("%s", vectors[i].name);
		check_vector_records(data, len);
		CHECK_STATUS(pt_batch_verify_records(data, len, LIMIT, &info), PT_BATCH_OK);
		CHECK(info.keyless);
		pg_free(data);
	}
}

/* Bytes behind the batch are not the iterator's. */
static void
test_iterate_inside_more(void)
{
	size_t		len;
	char	   *data = test_unhex(vectors[0].hex, &len);
	char	   *more = pg_malloc0(len + 100);

	memcpy(more, data, len);
	check_vector_records(more, len + 100);
	pg_free(more);
	pg_free(data);
}

static void
test_malformed(void)
{
	/* length, attributes, timestamp, offset, key, value, headers */
	check_body("smallest", "0c" "00" "00" "00" "01" "01" "00", 1, PT_BATCH_OK);
	check_body("empty key", "0c" "00" "00" "00" "00" "01" "00", 1, PT_BATCH_OK);
	check_body("other null", "0c" "00" "00" "00" "03" "7f" "00", 1, PT_BATCH_OK);
	check_body("no records", "", 1, PT_BATCH_BAD_COUNT);
	check_body("empty body", "00", 1, PT_BATCH_BAD_RECORD);
	check_body("negative length", "01", 1, PT_BATCH_BAD_RECORD);
	check_body("length of 2^31-1", "feffffff0f" "00" "00" "00" "01" "01" "00", 1, PT_BATCH_BAD_RECORD);
	check_body("length ends in itself", "80", 1, PT_BATCH_BAD_RECORD);
	check_body("longer than its parts", "0e" "00" "00" "00" "01" "01" "00" "00", 1, PT_BATCH_BAD_RECORD);
	check_body("shorter than its parts", "0a" "00" "00" "00" "01" "01" "00", 1, PT_BATCH_BAD_RECORD);
	check_body("key beyond the record", "0c" "00" "00" "00" "06" "01" "00", 1, PT_BATCH_BAD_RECORD);
	check_body("key of 2^31-1", "14" "00" "00" "00" "feffffff0f" "01" "00", 1, PT_BATCH_BAD_RECORD);
	check_body("value beyond the record", "0c" "00" "00" "00" "01" "04" "00", 1, PT_BATCH_BAD_RECORD);
	check_body("first delta is 1", "0c" "00" "00" "02" "01" "01" "00", 1, PT_BATCH_BAD_COUNT);
	check_body("delta is negative", "0c" "00" "00" "01" "01" "01" "00", 1, PT_BATCH_BAD_COUNT);
	check_body("delta twice", "0c0000000101000c000000010100", 2, PT_BATCH_BAD_COUNT);
	check_body("delta of 64 bits", "1e" "00" "ffffffffffffffffff01" "00" "01" "01" "00", 1, PT_BATCH_OK);
	check_body("delta of 65 bits", "1e" "00" "ffffffffffffffffff03" "00" "01" "01" "00", 1, PT_BATCH_BAD_RECORD);
	check_body("one more record", "0c0000000101000c000002010100", 1, PT_BATCH_BAD_COUNT);
	check_body("a byte more", "0c000000010100" "00", 1, PT_BATCH_BAD_COUNT);
}

static void
test_malformed_headers(void)
{
	check_body("one header", "12" "00" "00" "00" "01" "01" "02" "02" "61" "01", 1, PT_BATCH_OK);
	check_body("negative count", "0c" "00" "00" "00" "01" "01" "01", 1, PT_BATCH_BAD_RECORD);
	check_body("none there", "0c" "00" "00" "00" "01" "01" "02", 1, PT_BATCH_BAD_RECORD);
	check_body("2^31-1 of them", "14" "00" "00" "00" "01" "01" "feffffff0f", 1, PT_BATCH_BAD_RECORD);
	check_body("null key", "10" "00" "00" "00" "01" "01" "02" "01" "01", 1, PT_BATCH_BAD_RECORD);
	check_body("no value", "10" "00" "00" "00" "01" "01" "02" "02" "61", 1, PT_BATCH_BAD_RECORD);
	check_body("value too long", "12" "00" "00" "00" "01" "01" "02" "02" "61" "02", 1, PT_BATCH_BAD_RECORD);
	check_body("one more", "16" "00" "00" "00" "01" "01" "02" "02" "61" "01" "00" "00", 1, PT_BATCH_BAD_RECORD);
}

/* Timestamps and offsets at the ends of their range wrap; they are no reason to stop. */
static void
test_wraps(void)
{
	size_t		len;
	char	   *data = batch_of("14" "00" "02" "feffffff0f" "01" "01" "00", 1, &len);
	PtRecordIter it;
	PtRecord	record;

	pt_put_int64(data + BATCH_AT_BASE_OFFSET, PG_INT64_MAX);
	pt_put_int64(data + BATCH_AT_BASE_TIMESTAMP, PG_INT64_MAX);
	CHECK_STATUS(pt_record_iter_begin(&it, data, len, LIMIT), PT_BATCH_OK);
	CHECK_STATUS(pt_record_iter_next(&it, &record), PT_BATCH_OK);
	CHECK_INT(record.timestamp, PG_INT64_MIN);
	CHECK_INT(record.offset, PG_INT64_MIN + PG_INT32_MAX - 1);
	pt_record_iter_end(&it);
	pg_free(data);
}

static void
test_headers(void)
{
	const char *pos = VECTOR_HEADERS;
	const char *end = pos + sizeof(VECTOR_HEADERS) - 1;
	PtHeader	header;

	CHECK(pt_header_next(&pos, end, &header));
	CHECK_BYTES(header.key, header.key_len, "trace", 5);
	CHECK_BYTES(header.value, header.value_len, "abc", 3);
	CHECK(pt_header_next(&pos, end, &header));
	CHECK_BYTES(header.key, header.key_len, "trace", 5);
	CHECK_INT(header.value_len, -1);
	CHECK(header.value == NULL);
	CHECK(pt_header_next(&pos, end, &header));
	CHECK_INT(header.key_len, 0);
	CHECK_INT(header.value_len, 0);
	CHECK(header.value != NULL);
	CHECK(!pt_header_next(&pos, end, &header));
	CHECK(pos == end);
}

int
main(void)
{
	RUN(test_java_batches);
	RUN(test_iterate_inside_more);
	RUN(test_malformed);
	RUN(test_malformed_headers);
	RUN(test_wraps);
	RUN(test_headers);
	return test_done();
}
