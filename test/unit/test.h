/*-------------------------------------------------------------------------
 *
 * test.h
 *	  A small harness for tests of pure code, speaking TAP.
 *
 *	  Each test_*.c is a program of its own:
 *
    static void test_something(void) { CHECK(1 + 1 == 2); }
    int main(void) { RUN(test_something); return test_done(); }
 *
 *	  A test function is one TAP line.  A CHECK that fails says where and with
 *	  which values, and the function goes on; SAY adds words to what follows.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_TEST_H
#define PT_TEST_H

#include "postgres_fe.h"

#include "common/fe_memutils.h"

static int	test_number = 0;	/* functions so far */
static int	test_failed = 0;	/* of them failed */
static int	test_misses = 0;	/* failed CHECKs of this function */
static long test_checks = 0;
static char test_said[256] = "";

/* Context for the CHECKs that follow, such as which case of a table it is. */
#define SAY(...) snprintf(test_said, sizeof(test_said), __VA_ARGS__)

#define CHECK(cond) \
	test_check((cond), __FILE__, __LINE__, #cond, "")

/* Integers of any width. */
#define CHECK_INT(got, want) \
	test_check_int((int64) (got), (int64) (want), __FILE__, __LINE__, #got)

#define CHECK_STATUS(got, want) \
	test_check_int((got), (want), __FILE__, __LINE__, #got)

#define CHECK_BYTES(got, got_len, want, want_len) \
	test_check((size_t) (got_len) == (size_t) (want_len) && \
			   ((want_len) == 0 || memcmp(got, want, want_len) == 0), __FILE__, __LINE__, #got, " has other bytes")

#define RUN(function) test_run(function, #function)

static inline void
test_check(bool good, const char *file, int line, const char *what, const char *detail)
{
	test_checks++;
	if (good)
		return;
	/* Enough is enough: a loop that fails fails often. */
	if (test_misses++ < 20)
		printf("# %s:%d: %s%s %s\n", file, line, what, detail, test_said);
}

static inline void
test_check_int(int64 got, int64 want, const char *file, int line, const char *what)
{
	char		detail[100];

	snprintf(detail, sizeof(detail), ": got " INT64_FORMAT ", want " INT64_FORMAT, got, want);
	test_check(got == want, file, line, what, got == want ? "" : detail);
}

static inline void
test_run(void (*function) (void), const char *name)
{
	test_misses = 0;
	test_said[0] = '\0';
	function();
	if (test_misses > 0)
		test_failed++;
	printf("%sok %d - %s\n", test_misses > 0 ? "not " : "", ++test_number, name);
}

/* The plan comes last; the exit status is the verdict. */
static inline int
test_done(void)
{
	printf("1..%d\n# %ld checks, %d of %d failed\n", test_number, test_checks, test_failed, test_number);
	return test_failed > 0;
}

/* Memory of exactly that many bytes, so that a read behind it is caught. */
static inline char *
test_copy(const char *data, size_t len)
{
	char	   *copy = pg_malloc(Max(len, 1));

	if (len > 0)
		memcpy(copy, data, len);
	return copy;
}

/* Bytes from hex digits; *len is their number. */
static inline char *
test_unhex(const char *hex, size_t *len)
{
	char	   *bytes;

	*len = strlen(hex) / 2;
	bytes = pg_malloc(Max(*len, 1));
	for (size_t i = 0; i < *len; i++)
	{
		unsigned int byte;

		if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
			abort();
		bytes[i] = (char) byte;
	}
	return bytes;
}

/* Pseudo-random numbers that are the same in every run (xorshift64). */
static inline uint64
test_random(uint64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

#endif							/* PT_TEST_H */
