/*-------------------------------------------------------------------------
 *
 * test_producer_snapshot.c
 *	  Snapshots of producers: what goes in comes out, and nothing else does.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "test.h"

#include "record/bytes.h"
#include "record/crc32c.h"
#include "record/producer_snapshot.h"

#define SIZE	4096

/* A state with n batches, all numbers different. */
static PtProducerState
producer(int64 id, int n)
{
	PtProducerState s;

	pt_sequence_init(&s, id);
	for (int i = 0; i < n; i++)
	{
		PtBatchHeader h = {
			.producer_id = id,.producer_epoch = (int16) (id % 7),.base_sequence = 10 * i,
			.last_offset_delta = 9,.record_count = 10,.max_timestamp = 1000 * id + i
		};

		pt_sequence_append(&s, &h, 100 * id + i, 2000 * id + i);
	}
	if (n == 0)
		s.epoch = 3;
	return s;
}

static size_t
piece(char *data, size_t size, int n)
{
	PtSnapshotWriter w;

	pt_snapshot_begin(&w, data, size);
	for (int i = 0; i < n; i++)
	{
		PtProducerState s = producer(i + 1, i % (PT_SEQUENCE_BATCHES + 1));

		CHECK(pt_snapshot_add(&w, &s));
	}
	return pt_snapshot_finish(&w, 4711);
}

static void
seal(char *data, size_t len)
{
	pt_put_int32(data + 4, (int32) pt_crc32c(data + 8, len - 8));
}

static void
test_round_trip(void)
{
	for (int n = 0; n <= 20; n++)
	{
		char		data[SIZE];
		size_t		len = piece(data, sizeof(data), n);
		PtSnapshotReader r;
		PtProducerState s;

		SAY("%d producers", n);
		CHECK_STATUS(pt_snapshot_open(&r, data, len), PT_SNAPSHOT_OK);
		CHECK_INT(r.taken_at, 4711);
		CHECK_INT(r.left, n);
		for (int i = 0; i < n; i++)
		{
			PtProducerState want = producer(i + 1, i % (PT_SEQUENCE_BATCHES + 1));

			CHECK_STATUS(pt_snapshot_next(&r, &s), PT_SNAPSHOT_OK);
			CHECK_BYTES(&s, sizeof(s), &want, sizeof(want));
		}
		CHECK_STATUS(pt_snapshot_next(&r, &s), PT_SNAPSHOT_END);
	}
}

/* The layout is one that logs keep for years. */
static void
test_layout(void)
{
	char		data[SIZE];
	PtSnapshotWriter w;
	PtProducerState s = producer(8, 2);

	pt_snapshot_begin(&w, data, sizeof(data));
	CHECK(pt_snapshot_add(&w, &s));
	CHECK_INT(pt_snapshot_finish(&w, 77), 64 + 48 + 2 * 24);
	CHECK_BYTES(data, 4, "pgPs", 4);
	CHECK_BYTES(data + 8, 16, "\0\0\0\1\0\0\0\1\0\0\0\0\0\0\0\x4d", 16);
	CHECK_INT(pt_get_int64(data + 64), 8);
	CHECK_INT(pt_get_int64(data + 72), 8001);
	CHECK_INT(pt_get_int64(data + 80), 16001);
	CHECK_INT(pt_get_int32(data + 88), 1);
	CHECK_INT(pt_get_int32(data + 92), 2);
	CHECK_INT(pt_get_int32(data + 96), -1);
	CHECK_INT(pt_get_int32(data + 100), 0);
	CHECK_INT(pt_get_int64(data + 104), -1);
	CHECK_INT(pt_get_int64(data + 136), 801);
	CHECK_INT(pt_get_int64(data + 144), 8001);
	CHECK_INT(pt_get_int32(data + 152), 10);
	CHECK_INT(pt_get_int32(data + 156), 9);
}

/* What does not fit is not added, and can go into the next piece. */
static void
test_full(void)
{
	char		data[PT_SNAPSHOT_HEADER_SIZE + 2 * PT_SNAPSHOT_ENTRY_SIZE_MAX - 1];
	PtSnapshotWriter w;
	PtSnapshotReader r;
	PtProducerState s = producer(9, PT_SEQUENCE_BATCHES);
	size_t		len;

	pt_snapshot_begin(&w, data, sizeof(data));
	CHECK(pt_snapshot_add(&w, &s));
	CHECK(!pt_snapshot_add(&w, &s));
	len = pt_snapshot_finish(&w, 0);
	CHECK_INT(len, PT_SNAPSHOT_HEADER_SIZE + PT_SNAPSHOT_ENTRY_SIZE_MAX);
	CHECK_STATUS(pt_snapshot_open(&r, data, len), PT_SNAPSHOT_OK);
	CHECK_STATUS(pt_snapshot_next(&r, &s), PT_SNAPSHOT_OK);
	CHECK_STATUS(pt_snapshot_next(&r, &s), PT_SNAPSHOT_END);
}

/* Every bit is under the CRC, or is the magic or the CRC itself. */
static void
test_every_bit(void)
{
	char		data[SIZE];
	size_t		len = piece(data, sizeof(data), 3);
	PtSnapshotReader r;

	for (size_t bit = 0; bit < len * 8; bit++)
	{
		SAY("bit %zu", bit);
		data[bit / 8] ^= (char) (1 << bit % 8);
		CHECK_STATUS(pt_snapshot_open(&r, data, len), bit < 32 ? PT_SNAPSHOT_UNKNOWN : PT_SNAPSHOT_DAMAGED);
		data[bit / 8] ^= (char) (1 << bit % 8);
	}
	for (size_t cut = 0; cut < len; cut++)
		CHECK(pt_snapshot_open(&r, data, cut) != PT_SNAPSHOT_OK);
}

/* Opens a piece whose CRC is right and reads it to its end. */
static PtSnapshotStatus
read_all(char *data, size_t len)
{
	PtSnapshotReader r;
	PtProducerState s;
	PtSnapshotStatus status;

	seal(data, len);
	status = pt_snapshot_open(&r, data, len);
	while (status == PT_SNAPSHOT_OK)
		status = pt_snapshot_next(&r, &s);
	return status;
}

/* Numbers that no state has, one at a time, under a CRC that is right. */
static void
test_impossible(void)
{
	static const struct
	{
		int			at;
		int			bytes;
		int64		value;
		PtSnapshotStatus want;
	}			cases[] = {
		{8, 4, 2, PT_SNAPSHOT_UNKNOWN}, /* version */
		{8, 4, 0, PT_SNAPSHOT_UNKNOWN},
		{12, 4, -1, PT_SNAPSHOT_DAMAGED},	/* count */
		{12, 4, 0, PT_SNAPSHOT_DAMAGED},
		{12, 4, 2, PT_SNAPSHOT_DAMAGED},
		{12, 4, PG_INT32_MAX, PT_SNAPSHOT_DAMAGED},
		{64, 8, -1, PT_SNAPSHOT_DAMAGED},	/* producer id */
		{64, 8, PG_INT64_MAX, PT_SNAPSHOT_END},
		{88, 4, -1, PT_SNAPSHOT_DAMAGED},	/* epoch */
		{88, 4, PG_INT16_MAX, PT_SNAPSHOT_END},
		{88, 4, PG_INT16_MAX + 1, PT_SNAPSHOT_DAMAGED},
		{92, 4, -1, PT_SNAPSHOT_DAMAGED},	/* batches */
		{92, 4, 1, PT_SNAPSHOT_DAMAGED},
		{92, 4, 3, PT_SNAPSHOT_DAMAGED},
		{92, 4, 6, PT_SNAPSHOT_DAMAGED},
		{136, 8, -1, PT_SNAPSHOT_DAMAGED},	/* base offset */
		{144, 8, PG_INT64_MIN, PT_SNAPSHOT_END},	/* timestamp */
		{152, 4, -1, PT_SNAPSHOT_DAMAGED},	/* base sequence */
		{156, 4, PG_INT32_MIN, PT_SNAPSHOT_DAMAGED},	/* last offset delta */
	};

	for (int i = 0; i < lengthof(cases); i++)
	{
		char		data[SIZE];
		PtSnapshotWriter w;
		PtProducerState s = producer(8, 2);
		size_t		len;

		SAY("case %d", i);
		pt_snapshot_begin(&w, data, sizeof(data));
		CHECK(pt_snapshot_add(&w, &s));
		len = pt_snapshot_finish(&w, 1);
		CHECK_STATUS(read_all(data, len), PT_SNAPSHOT_END);
		if (cases[i].bytes == 8)
			pt_put_int64(data + cases[i].at, cases[i].value);
		else
			pt_put_int32(data + cases[i].at, (int32) cases[i].value);
		CHECK_STATUS(read_all(data, len), cases[i].want);
	}
}

/* Bytes that nobody has made, with a header that lets them in. */
static void
test_random_bytes(void)
{
	uint32		seed = 20260101;

	for (int round = 0; round < 20000; round++)
	{
		size_t		len = PT_SNAPSHOT_HEADER_SIZE + round % 400;
		char	   *data = pg_malloc(len);	/* its end is the sanitizer's */

		(void) piece(data, len, 0);
		for (size_t i = PT_SNAPSHOT_HEADER_SIZE; i < len; i++)
		{
			seed = seed * 1664525 + 1013904223;
			data[i] = (seed >> 24) % 3 == 0 ? (char) (seed >> 16) : 0;
		}
		pt_put_int32(data + 12, round % 9);
		CHECK(read_all(data, len) != PT_SNAPSHOT_OK);
		pg_free(data);
	}
}

int
main(void)
{
	RUN(test_round_trip);
	RUN(test_layout);
	RUN(test_full);
	RUN(test_every_bit);
	RUN(test_impossible);
	RUN(test_random_bytes);
	return test_done();
}
