/*-------------------------------------------------------------------------
 *
 * test_crc32c.c
 *	  CRC-32C: published values, and all lengths against the plain definition.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "test.h"

#include "record/crc32c.h"

/* Once more under other names, to get at what this CPU would not choose. */
#define pt_crc32c other_crc32c
#define pt_crc32c_extend other_crc32c_extend
#define pt_crc32c_for_server other_crc32c_for_server
extern uint32 pt_crc32c(const char *data, size_t len);
extern uint32 pt_crc32c_extend(uint32 crc, const char *data, size_t len);
extern void pt_crc32c_for_server(void);
#include "../../src/record/crc32c.c"
#undef pt_crc32c
#undef pt_crc32c_extend
#undef pt_crc32c_for_server

#define LARGE	100003

/* Bit by bit, as the polynomial says. */
static uint32
crc_plain(uint32 crc, const char *data, size_t len)
{
	crc = ~crc;
	for (size_t i = 0; i < len; i++)
	{
		crc ^= (unsigned char) data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (0x82F63B78 & (0 - (crc & 1)));
	}
	return ~crc;
}

static char *
random_bytes(size_t len)
{
	char	   *data = pg_malloc(len);
	uint64		seed = 4711;

	for (size_t i = 0; i < len; i++)
		data[i] = (char) test_random(&seed);
	return data;
}

/* RFC 3720, appendix B.4, and the check value of the CRC catalogue. */
static void
test_known(void)
{
	char		bytes[32];

	CHECK_INT(pt_crc32c("123456789", 9), 0xE3069283);
	CHECK_INT(pt_crc32c("", 0), 0);
	memset(bytes, 0, 32);
	CHECK_INT(pt_crc32c(bytes, 32), 0x8A9136AA);
	memset(bytes, 0xFF, 32);
	CHECK_INT(pt_crc32c(bytes, 32), 0x62A8AB43);
	for (int i = 0; i < 32; i++)
		bytes[i] = i;
	CHECK_INT(pt_crc32c(bytes, 32), 0x46DD794E);
}

/* Each length crosses other boundaries of the stripes. */
static void
test_lengths(void)
{
	char	   *data = random_bytes(LARGE);
	uint32		crc = 0;

	for (size_t len = 0; len < 2000; len++)
	{
		SAY("length %zu", len);
		CHECK_INT(pt_crc32c(data, len), crc);
		crc = crc_plain(crc, data + len, 1);
	}
	for (size_t len = 2000; len <= LARGE; len += 4889)
	{
		SAY("length %zu", len);
		CHECK_INT(pt_crc32c(data + 1, len - 1), crc_plain(0, data + 1, len - 1));
	}
	pg_free(data);
}

static void
test_pieces(void)
{
	char	   *data = random_bytes(LARGE);
	uint32		whole = crc_plain(0, data, LARGE);

	for (size_t cut = 0; cut <= LARGE; cut += 3571)
	{
		SAY("cut at %zu", cut);
		CHECK_INT(pt_crc32c_extend(pt_crc32c(data, cut), data + cut, LARGE - cut), whole);
	}
	pg_free(data);
}

/* Without the instruction we fall back to PostgreSQL's code. */
static void
test_fallback(void)
{
	char	   *data = random_bytes(LARGE);

	for (size_t len = 0; len <= LARGE; len = len * 2 + 1)
	{
		uint32		whole = crc_plain(0, data, len);

		SAY("length %zu", len);
		crc32c_run = crc32c_run_postgres;
		CHECK_INT(other_crc32c(data, len), whole);
		CHECK_INT(other_crc32c_extend(other_crc32c(data, len / 3), data + len / 3, len - len / 3), whole);
		crc32c_run = crc32c_choose;
		CHECK_INT(other_crc32c(data, len), whole);
	}
	pg_free(data);
}

/* What COMP_CRC32C of a process computes is the same before and after. */
static void
test_for_server(void)
{
	char	   *data = random_bytes(LARGE);

	for (int pass = 0; pass < 2; pass++)
	{
		for (size_t len = 0; len <= LARGE; len = len * 2 + 1)
		{
			pg_crc32c	crc;

			SAY("pass %d, length %zu", pass, len);
			INIT_CRC32C(crc);
			COMP_CRC32C(crc, data, len / 3);
			COMP_CRC32C(crc, data + len / 3, len - len / 3);
			FIN_CRC32C(crc);
			CHECK_INT(crc, crc_plain(0, data, len));
		}
		pt_crc32c_for_server();
	}
	pg_free(data);
}

int
main(void)
{
	RUN(test_known);
	RUN(test_lengths);
	RUN(test_pieces);
	RUN(test_for_server);
	RUN(test_fallback);
	return test_done();
}
