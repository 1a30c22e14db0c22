/*-------------------------------------------------------------------------
 *
 * test_counted.c
 *	  Counted strings: a zero byte is a byte.
 *
 * Copies are blocks of their own, so that the address sanitizer sees a byte
 * that is read or written beyond them.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "test.h"

#include "counted.h"

static const PtString samples[] = {
	{"", 0}, {"a", 1}, {"\0", 1}, {"\0a", 2}, {"a\0", 2}, {"a\0b", 3}, {"a\0c", 3}, {"\0\0\0", 3}, {"abc", 3}
};

static void
test_copies(void)
{
	PtString	null = pt_string_copy(PT_STRING_NULL);

	CHECK_INT(null.len, -1);
	for (int i = 0; i < lengthof(samples); i++)
	{
		PtString	copy = pt_string_copy(samples[i]);

		SAY("sample %d", i);
		CHECK(copy.data != samples[i].data);
		CHECK_BYTES(copy.data, copy.len, samples[i].data, samples[i].len);
		pg_free(unconstify(char *, copy.data));
	}
	pg_free(unconstify(char *, null.data));
}

static void
test_equal(void)
{
	for (int i = 0; i < lengthof(samples); i++)
	{
		for (int j = 0; j < lengthof(samples); j++)
		{
			SAY("samples %d, %d", i, j);
			CHECK(pt_string_equal(samples[i], samples[j]) == (i == j));
		}
		CHECK(!pt_string_equal(samples[i], PT_STRING_NULL));
	}
	CHECK(pt_string_equal(PT_STRING_NULL, PT_STRING_NULL));
}

static void
test_put(void)
{
	char	   *block = pg_malloc(4);
	char	   *at = block;
	PtString	first = pt_string_put(&at, samples[5]);
	PtString	second = pt_string_put(&at, samples[2]);

	CHECK_BYTES(first.data, first.len, "a\0b", 3);
	CHECK_BYTES(second.data, second.len, "\0", 1);
	CHECK(at == block + 4);
	(void) pt_string_put(&at, PT_STRING_NULL);
	CHECK(at == block + 4);
	pg_free(block);
}

/* No C string stands for one that holds a zero byte, or does not fit. */
static void
test_to_buf(void)
{
	char	   *buf = pg_malloc(4);

	for (int i = 0; i < lengthof(samples); i++)
	{
		bool		has_nul = samples[i].len > 0 && memchr(samples[i].data, '\0', samples[i].len) != NULL;

		SAY("sample %d", i);
		CHECK(pt_string_has_nul(samples[i]) == has_nul);
		CHECK(pt_string_to_buf(samples[i], buf, 4) == !has_nul);
		if (!has_nul)
			CHECK_BYTES(buf, strlen(buf), samples[i].data, samples[i].len);
	}
	CHECK(!pt_string_to_buf(PT_STRING_NULL, buf, 4));
	CHECK(!pt_string_to_buf(PT_STRING("abcd"), buf, 4));
	CHECK(pt_string_equal(pt_string_of("abc"), PT_STRING("abc")));
	pg_free(buf);
}

int
main(void)
{
	RUN(test_copies);
	RUN(test_equal);
	RUN(test_put);
	RUN(test_to_buf);
	return test_done();
}
