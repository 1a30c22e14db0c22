/*-------------------------------------------------------------------------
 *
 * crc32c.c
 *	  CRC-32C with SSE 4.2, three streams at a time, or PostgreSQL's own.
 *
 * The crc32 instruction has a latency of three cycles and a throughput of one,
 * so a single stream uses a third of the CPU. We cut the input into blocks of
 * three equal stripes, compute the CRC of each at the same time, and join
 * them.
 *
 * The CRC register is linear over GF(2).  The register after A and then B, |B|
 * = n, is shift_n(register after A) xor (register after B from zero), where
 * shift_n is what n zero bytes do to a register. shift_n is a 32x32 bit
 * matrix; as four tables of 256 entries it costs four look-ups per join.
 * There is one for long stripes and one for short ones.  The rest goes through
 * a single stream.
 *
 * The tables (8 KiB) are computed at first use, by running the instruction
 * over zeros, which takes about 30 microseconds.  This is idempotent, but not
 * safe for threads, which the server does not have.
 *
 * Sibling: batch.c, which uses it.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "record/crc32c.h"

#include "port/pg_crc32c.h"

/*
 * The run-time check needs GCC or clang; other compilers use PostgreSQL's
 * CRC.
 */
#if defined(__x86_64__) && defined(__GNUC__)
#define PT_CRC32C_SSE42
#include <nmmintrin.h>
#endif

static uint32 crc32c_choose(uint32 reg, const char *data, size_t len);

/*
 * Runs "len" bytes through a CRC register, without the inversions at start
 * and end.  The first call chooses the function for this CPU.
 */
static uint32 (*crc32c_run) (uint32 reg, const char *data, size_t len) = crc32c_choose;

/*
 * Uses PostgreSQL's CRC.  COMP_CRC32C may keep its register byte-swapped (on
 * big-endian machines); FIN_CRC32C undoes that and inverts.  Both are their
 * own inverse, so FIN also converts our register to COMP's form.
 */
static uint32
crc32c_run_postgres(uint32 reg, const char *data, size_t len)
{
	pg_crc32c	crc = reg;

	FIN_CRC32C(crc);
	crc ^= 0xFFFFFFFF;
	COMP_CRC32C(crc, data, len);
	FIN_CRC32C(crc);
	return crc ^ 0xFFFFFFFF;
}

#ifdef PT_CRC32C_SSE42

#define STRIPE_LONG		4096	/* bytes; multiples of 8 */
#define STRIPE_SHORT	256

typedef uint32 ShiftTable[4][256];

static ShiftTable shift_long;
static ShiftTable shift_short;

/*
 * Applies to a register what the zeros of a stripe do.
 */
static inline uint32
crc32c_shift(const ShiftTable table, uint32 reg)
{
	return table[0][reg & 0xFF] ^ table[1][(reg >> 8) & 0xFF] ^
		table[2][(reg >> 16) & 0xFF] ^ table[3][reg >> 24];
}

/*
 * Loads 8 bytes from any address.
 */
static inline uint64
load64(const char *p)
{
	uint64		v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/*
 * Builds a table: first the columns of the matrix, one per bit; all other
 * entries are sums of these.
 */
__attribute__((target("sse4.2")))
static void
crc32c_build_shift(ShiftTable table, int stripe)
{
	for (int byte = 0; byte < 4; byte++)
	{
		table[byte][0] = 0;
		for (int bit = 0; bit < 8; bit++)
		{
			uint64		reg = UINT64CONST(1) << (byte * 8 + bit);
			int			column = 1 << bit;

			for (int i = 0; i < stripe; i += 8)
				reg = _mm_crc32_u64(reg, 0);
			for (int below = 0; below < column; below++)
				table[byte][column + below] = table[byte][below] ^ (uint32) reg;
		}
	}
}

/*
 * Runs one block of three stripes through the register.
 */
__attribute__((target("sse4.2")))
static inline uint32
crc32c_block(uint32 reg, const char *data, int stripe, const ShiftTable table)
{
	uint64		a = reg;
	uint64		b = 0;
	uint64		c = 0;

	Assert(stripe % 8 == 0);
	for (const char *end = data + stripe; data < end; data += 8)
	{
		a = _mm_crc32_u64(a, load64(data));
		b = _mm_crc32_u64(b, load64(data + stripe));
		c = _mm_crc32_u64(c, load64(data + 2 * stripe));
	}
	return crc32c_shift(table, crc32c_shift(table, (uint32) a) ^ (uint32) b) ^ (uint32) c;
}

/*
 * Uses SSE 4.2: long blocks, short blocks, and the rest.
 */
__attribute__((target("sse4.2")))
static uint32
crc32c_run_sse42(uint32 reg, const char *data, size_t len)
{
	uint64		reg64;

	for (; len >= 3 * STRIPE_LONG; data += 3 * STRIPE_LONG, len -= 3 * STRIPE_LONG)
		reg = crc32c_block(reg, data, STRIPE_LONG, shift_long);
	for (; len >= 3 * STRIPE_SHORT; data += 3 * STRIPE_SHORT, len -= 3 * STRIPE_SHORT)
		reg = crc32c_block(reg, data, STRIPE_SHORT, shift_short);

	reg64 = reg;
	for (; len >= 8; data += 8, len -= 8)
		reg64 = _mm_crc32_u64(reg64, load64(data));
	reg = (uint32) reg64;
	for (; len > 0; data++, len--)
		reg = _mm_crc32_u8(reg, (unsigned char) *data);
	return reg;
}

#endif							/* PT_CRC32C_SSE42 */

/*
 * The first call: chooses the function for this CPU and calls it.
 */
static uint32
crc32c_choose(uint32 reg, const char *data, size_t len)
{
	crc32c_run = crc32c_run_postgres;
#ifdef PT_CRC32C_SSE42
	if (__builtin_cpu_supports("sse4.2"))
	{
		crc32c_build_shift(shift_long, STRIPE_LONG);
		crc32c_build_shift(shift_short, STRIPE_SHORT);
		crc32c_run = crc32c_run_sse42;
	}
#endif
	return crc32c_run(reg, data, len);
}

#if defined(PT_CRC32C_SSE42) && defined(USE_SSE42_CRC32C_WITH_RUNTIME_CHECK)
/*
 * Has the signature of pg_comp_crc32c, a pointer to the function for the CPU.
 */
static pg_crc32c
comp_crc32c(pg_crc32c crc, const void *data, size_t len)
{
	return crc32c_run(crc, data, len);
}

/*
 * Makes COMP_CRC32C of this process use our CRC; see crc32c.h.
 */
void
pt_crc32c_for_server(void)
{
	/* both pointers have their final value after the first call */
	(void) pt_crc32c("", 0);
	(void) pg_comp_crc32c(0, "", 0);
	if (crc32c_run == crc32c_run_sse42 && pg_comp_crc32c == pg_comp_crc32c_sse42)
		pg_comp_crc32c = comp_crc32c;
}
#else
void
pt_crc32c_for_server(void)
{
}
#endif

/*
 * Extends the CRC of the bytes before by "len" bytes; see crc32c.h.
 */
uint32
pt_crc32c_extend(uint32 crc, const char *data, size_t len)
{
	return crc32c_run(crc ^ 0xFFFFFFFF, data, len) ^ 0xFFFFFFFF;
}

/*
 * Returns the CRC of the bytes.
 */
uint32
pt_crc32c(const char *data, size_t len)
{
	return pt_crc32c_extend(0, data, len);
}
