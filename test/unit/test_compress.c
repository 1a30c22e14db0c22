/*-------------------------------------------------------------------------
 *
 * test_compress.c
 *	  The codecs: round trips, limits, bombs, damaged input.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "test.h"

#include <limits.h>

#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "record/bytes.h"
#include "record/codec.h"

#define MEGABYTE	(1024 * 1024)

static const int sizes[] = {1, 2, 60, 255, 256, 257, 5000, 32767, 32768, 32769, 65536, 100000, 1000000};

/* Of the sanitizer's run-time library, whose headers not every compiler brings. */
extern int	__sanitizer_install_malloc_and_free_hooks(void (*malloc_hook) (const volatile void *, size_t),
													  void (*free_hook) (const volatile void *));

/* The largest single piece that malloc gave since it was set to 0. */
static size_t largest_malloc = 0;

static void
malloc_hook(const volatile void *p, size_t size)
{
	largest_malloc = Max(largest_malloc, size);
}

static void
free_hook(const volatile void *p)
{
}

/* Text-like bytes: they compress, but not to nothing. */
static char *
sample_text(size_t len)
{
	char	   *data = pg_malloc(len);
	uint64		seed = 99;

	for (size_t i = 0; i < len; i++)
		data[i] = (i % 64 < 48) ? 'a' + i % 16 : (char) test_random(&seed);
	return data;
}

/* Compressed whatever its size; NULL when it would not be smaller. */
static char *
compressed(PtCodec codec, int level, const char *in, size_t in_len, size_t *len)
{
	char	   *out = NULL;
	size_t		cap = 0;
	PtBatchStatus status = pt_compress(codec, level, in, in_len, &out, &cap, len);
	char	   *copy;

	CHECK(status == PT_BATCH_OK || status == PT_BATCH_TOO_LARGE);
	CHECK(status != PT_BATCH_OK || (*len < in_len && *len <= cap));
	copy = status == PT_BATCH_OK ? test_copy(out, *len) : NULL;
	pfree(out);
	return copy;
}

static void
check_decompress(PtCodec codec, const char *in, size_t in_len, const char *want, size_t want_len)
{
	char	   *out;
	size_t		out_len;

	CHECK_STATUS(pt_decompress(codec, in, in_len, want_len, &out, &out_len), PT_BATCH_OK);
	CHECK_BYTES(out, out_len, want, want_len);
	if (out != NULL)
		pfree(out);
	CHECK_STATUS(pt_decompress(codec, in, in_len, SIZE_MAX, &out, &out_len), PT_BATCH_OK);
	CHECK_BYTES(out, out_len, want, want_len);
	if (out != NULL)
		pfree(out);

	/* One byte less than it takes. */
	CHECK_STATUS(pt_decompress(codec, in, in_len, want_len - 1, &out, &out_len), PT_BATCH_TOO_LARGE);
	CHECK(out == NULL && out_len == 0);
}

static void
test_round_trips(void)
{
	static const int levels[] = {INT_MIN, INT_MIN + 1, -1, 0, 1, 5, 9, INT_MAX};

	for (int codec = PT_CODEC_GZIP; codec <= PT_CODEC_LAST; codec++)
	{
		for (int i = 0; i < lengthof(sizes); i++)
		{
			char	   *in = sample_text(sizes[i]);
			int			level = levels[i % (sizes[i] > 50000 ? lengthof(levels) - 1 : lengthof(levels))];
			size_t		len;
			char	   *small;

			SAY("codec %d size %d level %d", codec, sizes[i], level);
			small = compressed(codec, level, in, sizes[i], &len);
			CHECK(small != NULL || sizes[i] < 1000 || level < 1);
			if (small != NULL)
				check_decompress(codec, small, len, in, sizes[i]);
			pg_free(small);
			pg_free(in);
		}
	}
}

/* What was allocated for a larger one is used again, what is too small is replaced. */
static void
test_output_reused(void)
{
	char	   *in = sample_text(100000);
	char	   *out = NULL;
	size_t		cap = 0;

	for (int i = 0; i < 30; i++)
	{
		int			codec = 1 + i % PT_CODEC_LAST;
		size_t		in_len = 1000 + (i * 7919 % 99000);
		size_t		len;

		SAY("round %d", i);
		CHECK_STATUS(pt_compress(codec, INT_MIN, in, in_len, &out, &cap, &len), PT_BATCH_OK);
		check_decompress(codec, out, len, in, in_len);
	}
	pfree(out);
	pg_free(in);
}

static void
test_not_smaller(void)
{
	char		in[500];
	uint64		seed = 7;

	for (int i = 0; i < sizeof(in); i++)
		in[i] = (char) test_random(&seed);
	for (int codec = PT_CODEC_GZIP; codec <= PT_CODEC_LAST; codec++)
	{
		size_t		len;

		SAY("codec %d", codec);
		CHECK(compressed(codec, INT_MIN, in, sizeof(in), &len) == NULL);
		CHECK(compressed(codec, INT_MIN, in, 0, &len) == NULL);
	}
}

static void
test_no_codec(void)
{
	char	   *out = NULL;
	size_t		cap = 0;
	size_t		len;

	CHECK_STATUS(pt_decompress(PT_CODEC_NONE, "abc", 3, 10, &out, &len), PT_BATCH_BAD_CODEC);
	CHECK_STATUS(pt_decompress((PtCodec) 5, "abc", 3, 10, &out, &len), PT_BATCH_BAD_CODEC);
	CHECK_STATUS(pt_compress((PtCodec) 7, 0, "abc", 3, &out, &cap, &len), PT_BATCH_BAD_CODEC);
	CHECK(out == NULL);
}

/* Every shorter input is an error, and no changed byte does harm. */
static void
test_damage(void)
{
	char	   *in = sample_text(3000);

	for (int codec = PT_CODEC_GZIP; codec <= PT_CODEC_LAST; codec++)
	{
		size_t		len;
		char	   *small = compressed(codec, INT_MIN, in, 3000, &len);
		char	   *out;
		size_t		out_len;

		for (size_t cut = 0; cut < len; cut++)
		{
			char	   *part = test_copy(small, cut);
			PtBatchStatus status = pt_decompress(codec, part, cut, MEGABYTE, &out, &out_len);

			SAY("codec %d cut at %zu", codec, cut);

			/*
			 * Framed snappy that ends with its header, or a block, is
			 * complete.
			 */
			CHECK(status == PT_BATCH_BAD_COMPRESSION || (codec == PT_CODEC_SNAPPY && cut == 16));
			if (out != NULL)
				pfree(out);
			pg_free(part);
		}
		for (size_t i = 0; i < len; i++)
		{
			small[i] ^= 0x55;
			(void) pt_decompress(codec, small, len, MEGABYTE, &out, &out_len);
			if (out != NULL)
				pfree(out);
			small[i] ^= 0x55;
		}
		pg_free(small);
	}
	pg_free(in);
}

static void
test_garbage(void)
{
	uint64		seed = 5;

	for (int codec = PT_CODEC_GZIP; codec <= PT_CODEC_LAST; codec++)
	{
		for (int round = 0; round < 500; round++)
		{
			size_t		len = test_random(&seed) % 100;
			char	   *in = pg_malloc(len + 1);
			char	   *out;
			size_t		out_len;

			for (size_t i = 0; i < len; i++)
				in[i] = (char) test_random(&seed);
			(void) pt_decompress(codec, in, len, MEGABYTE, &out, &out_len);
			if (out != NULL)
				pfree(out);
			pg_free(in);
		}
	}
}

/* Many zeros in little: the limit holds, and before memory is taken beyond it. */
static void
test_bombs(void)
{
	size_t		len = 20 * MEGABYTE;
	size_t		limit = MEGABYTE / 4;
	char	   *zeros = pg_malloc0(len);

	for (int codec = PT_CODEC_GZIP; codec <= PT_CODEC_LAST; codec++)
	{
		size_t		bomb_len;
		char	   *bomb = compressed(codec, 1, zeros, len, &bomb_len);
		char	   *out;
		size_t		out_len;

		largest_malloc = 0;
		CHECK_STATUS(pt_decompress(codec, bomb, bomb_len, limit, &out, &out_len), PT_BATCH_TOO_LARGE);
		SAY("codec %d, %zu bytes, largest malloc %zu", codec, bomb_len, largest_malloc);
		CHECK(out == NULL);
		CHECK(largest_malloc > 0);
		/* zstd keeps a window of 512 KiB at this level, whatever comes of it. */
		CHECK(largest_malloc <= (codec == PT_CODEC_ZSTD ? MEGABYTE : limit + 1));
		pg_free(bomb);
	}
	pg_free(zeros);
}

/* Lengths that lie: a terabyte announced, nothing there. */
static void
test_announced_lengths(void)
{
	char	   *out;
	size_t		out_len;
	static const char snappy[] = "\xff\xff\xff\xff\x0f" "\x00" "a";
	static const char xerial[] = "\x82SNAPPY\0" "\0\0\0\1" "\0\0\0\1" "\x7f\xff\xff\xff" "abc";
	static const char negative[] = "\x82SNAPPY\0" "\0\0\0\1" "\0\0\0\1" "\xff\xff\xff\xff" "abc";

	/*
	 * magic, descriptor with a content size of 8 bytes in one segment, 2^40 -
	 * 1, an empty last block
	 */
	static const char zstd[] = "\x28\xb5\x2f\xfd" "\xe0" "\xff\xff\xff\xff\xff\0\0\0" "\1\0\0";

	largest_malloc = 0;
	CHECK_STATUS(pt_decompress(PT_CODEC_SNAPPY, snappy, sizeof(snappy) - 1, SIZE_MAX, &out, &out_len),
				 PT_BATCH_BAD_COMPRESSION);
	CHECK_STATUS(pt_decompress(PT_CODEC_SNAPPY, xerial, sizeof(xerial) - 1, SIZE_MAX, &out, &out_len),
				 PT_BATCH_BAD_COMPRESSION);
	CHECK_STATUS(pt_decompress(PT_CODEC_SNAPPY, negative, sizeof(negative) - 1, SIZE_MAX, &out, &out_len),
				 PT_BATCH_BAD_COMPRESSION);
	CHECK(largest_malloc < 1000);
	CHECK_STATUS(pt_decompress(PT_CODEC_ZSTD, zstd, sizeof(zstd) - 1, SIZE_MAX, &out, &out_len),
				 PT_BATCH_BAD_COMPRESSION);
	CHECK(largest_malloc < MEGABYTE);
}

/* What librdkafka sends: no framing. */
static void
test_snappy_raw(void)
{
	static const int raw_sizes[] = {1, 1000, 200000};

	for (int i = 0; i < lengthof(raw_sizes); i++)
	{
		size_t		in_len = raw_sizes[i];
		char	   *in = sample_text(in_len);
		size_t		len = snappy_max_compressed_length(in_len);
		char	   *small = pg_malloc(len);

		SAY("size %zu", in_len);
		CHECK(snappy_compress(in, in_len, small, &len) == SNAPPY_OK);
		check_decompress(PT_CODEC_SNAPPY, small, len, in, in_len);
		memset(in, 0, in_len);	/* expands as much as can be */
		len = snappy_max_compressed_length(in_len);
		CHECK(snappy_compress(in, in_len, small, &len) == SNAPPY_OK);
		check_decompress(PT_CODEC_SNAPPY, small, len, in, in_len);
		pg_free(small);
		pg_free(in);
	}
}

/* Two streams, one behind the other, are one. */
static void
test_concatenated(void)
{
	char	   *in = sample_text(20000);

	for (int codec = PT_CODEC_GZIP; codec <= PT_CODEC_LAST; codec++)
	{
		size_t		len1;
		size_t		len2;
		char	   *first = compressed(codec, INT_MIN, in, 5000, &len1);
		char	   *second = compressed(codec, INT_MIN, in + 5000, 15000, &len2);
		char	   *both = pg_malloc(len1 + len2 + 1);
		char	   *out;
		size_t		out_len;

		SAY("codec %d", codec);
		memcpy(both, first, len1);
		memcpy(both + len1, second, len2);
		check_decompress(codec, both, len1 + len2, in, 20000);
		both[len1 + len2] = 'x';
		CHECK_STATUS(pt_decompress(codec, both, len1 + len2 + 1, MEGABYTE, &out, &out_len),
					 PT_BATCH_BAD_COMPRESSION);
		pg_free(both);
		pg_free(second);
		pg_free(first);
	}
	pg_free(in);
}

/* As the Java client writes zstd: the frame does not say how much is in it. */
static void
test_zstd_without_size(void)
{
	size_t		in_len = MEGABYTE;
	char	   *in = sample_text(in_len);
	size_t		cap = ZSTD_compressBound(in_len);
	char	   *small = pg_malloc(cap);
	static const int window_logs[] = {0, 10, 24};

	for (int i = 0; i < lengthof(window_logs); i++)
	{
		ZSTD_CCtx  *ctx = ZSTD_createCCtx();
		ZSTD_inBuffer input = {in, in_len, 0};
		ZSTD_outBuffer output = {small, cap, 0};

		SAY("window 2^%d", window_logs[i]);
		ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, 1);
		ZSTD_CCtx_setParameter(ctx, ZSTD_c_windowLog, window_logs[i]);
		CHECK(!ZSTD_isError(ZSTD_compressStream2(ctx, &output, &input, ZSTD_e_flush)));
		CHECK_INT(ZSTD_compressStream2(ctx, &output, &input, ZSTD_e_end), 0);
		CHECK(ZSTD_getFrameContentSize(small, output.pos) == ZSTD_CONTENTSIZE_UNKNOWN);
		check_decompress(PT_CODEC_ZSTD, small, output.pos, in, in_len);
		ZSTD_freeCCtx(ctx);
	}
	pg_free(small);
	pg_free(in);
}

/* What the Java client can read of lz4: version 1, independent blocks. */
static void
test_lz4_frame_flags(void)
{
	char	   *in = sample_text(200000);
	size_t		len;
	char	   *small = compressed(PT_CODEC_LZ4, INT_MIN, in, 200000, &len);

	CHECK_BYTES(small, 4, "\x04\x22\x4d\x18", 4);
	CHECK_INT(small[4] & 0xE0, 0x60);
	pg_free(small);
	pg_free(in);
}

static void
test_snappy_framing(void)
{
	char	   *in = sample_text(100000);
	size_t		len;
	char	   *small = compressed(PT_CODEC_SNAPPY, INT_MIN, in, 100000, &len);
	size_t		block_len;

	CHECK_BYTES(small, 16, "\x82SNAPPY\0\0\0\0\1\0\0\0\1", 16);
	CHECK_STATUS(snappy_uncompressed_length(small + 20, pt_get_int32(small + 16), &block_len), SNAPPY_OK);
	CHECK_INT(block_len, 32768);
	pg_free(small);
	pg_free(in);
}

int
main(void)
{
	__sanitizer_install_malloc_and_free_hooks(malloc_hook, free_hook);
	RUN(test_round_trips);
	RUN(test_output_reused);
	RUN(test_not_smaller);
	RUN(test_no_codec);
	RUN(test_damage);
	RUN(test_garbage);
	RUN(test_bombs);
	RUN(test_announced_lengths);
	RUN(test_snappy_raw);
	RUN(test_concatenated);
	RUN(test_zstd_without_size);
	RUN(test_lz4_frame_flags);
	RUN(test_snappy_framing);
	return test_done();
}
