/*-------------------------------------------------------------------------
 *
 * test_varint.c
 *	  Zigzag varints: known encodings, round trips, ends of input.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "test.h"

#include "record/bytes.h"
#include "record/varint.h"

static void
check_varint(int32 value)
{
	char		buf[PT_VARINT_MAX];
	char	   *end = pt_varint_write(buf, value);
	int32		back;

	SAY("%d", value);
	CHECK_INT(end - buf, pt_varint_size(value));
	CHECK(pt_varint_read(buf, end, &back) == end);
	CHECK_INT(back, value);
	for (char *cut = buf; cut < end; cut++)
		CHECK(pt_varint_read(buf, cut, &back) == NULL);
}

static void
check_varlong(int64 value)
{
	char		buf[PT_VARLONG_MAX];
	char	   *end = pt_varlong_write(buf, value);
	int64		back;

	SAY(INT64_FORMAT, value);
	CHECK_INT(end - buf, pt_varlong_size(value));
	CHECK(pt_varlong_read(buf, end, &back) == end);
	CHECK_INT(back, value);
	for (char *cut = buf; cut < end; cut++)
		CHECK(pt_varlong_read(buf, cut, &back) == NULL);
}

/* Around every power of two, of both signs. */
static void
test_round_trip(void)
{
	for (int bit = 0; bit < 64; bit++)
	{
		for (int64 d = -1; d <= 1; d++)
		{
			int64		v = (int64) ((UINT64CONST(1) << bit) + (uint64) d);

			check_varlong(v);
			check_varlong((int64) (0 - (uint64) v));
			check_varint((int32) v);
			check_varint((int32) (0 - (uint32) v));
		}
	}
	check_varint(PG_INT32_MIN);
	check_varint(PG_INT32_MAX);
	check_varlong(PG_INT64_MIN);
	check_varlong(PG_INT64_MAX);
}

static void
check_read(const char *hex, bool good, int32 want)
{
	size_t		len;
	char	   *in = test_unhex(hex, &len);
	int32		value = 0;
	const char *end = pt_varint_read(in, in + len, &value);

	SAY("%s", hex);
	CHECK(end == (good ? in + len : NULL));
	if (good)
		CHECK_INT(value, want);
	pg_free(in);
}

static void
test_encodings(void)
{
	int64		value;

	check_read("00", true, 0);
	check_read("01", true, -1);
	check_read("02", true, 1);
	check_read("7f", true, -64);
	check_read("8001", true, 64);
	check_read("feffffff0f", true, PG_INT32_MAX);
	check_read("ffffffff0f", true, PG_INT32_MIN);
	check_read("8000", true, 0);	/* longer than needed */
	check_read("8080808000", true, 0);
	check_read("", false, 0);
	check_read("80", false, 0);
	check_read("ffffffff1f", false, 0); /* 33 bits */
	check_read("808080808000", false, 0);	/* six bytes */

	{
		static const char most[] = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
		static const char more[] = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02";

		CHECK(pt_varlong_read(most, most + 10, &value) == most + 10);
		CHECK_INT(value, PG_INT64_MIN);
		CHECK(pt_varlong_read(more, more + 10, &value) == NULL);
	}
}

static void
test_bytes(void)
{
	char		buf[9];

	for (int at = 0; at < 2; at++)	/* aligned and not */
	{
		pt_put_int64(buf + at, INT64CONST(-0x0123456789ABCDF0));
		CHECK_BYTES(buf + at, 8, "\xfe\xdc\xba\x98\x76\x54\x32\x10", 8);
		CHECK_INT(pt_get_int64(buf + at), INT64CONST(-0x0123456789ABCDF0));
		CHECK_INT(pt_get_int32(buf + at), (int32) 0xFEDCBA98);
		CHECK_INT(pt_get_int16(buf + at), (int16) 0xFEDC);
		pt_put_int32(buf + at, 7);
		pt_put_int16(buf + at + 4, -2);
		CHECK_BYTES(buf + at, 8, "\0\0\0\7\xff\xfe\x32\x10", 8);
	}
}

int
main(void)
{
	RUN(test_round_trip);
	RUN(test_encodings);
	RUN(test_bytes);
	return test_done();
}
