/*-------------------------------------------------------------------------
 *
 * codec_snappy.c
 *	  snappy, raw and in the framing of the Java library "xerial".
 *
 *	  The framing: eight bytes of magic, two big-endian ints (version, oldest
 *	  version that can read it), then blocks, each with its length in a
 *	  big-endian int and compressed on its own.  The Java client writes it and
 *	  librdkafka does not; all read both, as we do.  We write the framing.
 *
 *	  Siblings: codec.h, compress.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "record/codec.h"

#include <snappy-c.h>

#include "record/bytes.h"

static const char xerial_magic[8] = {(char) 0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

#define XERIAL_HEADER_SIZE	16
#define XERIAL_VERSION		1
#define XERIAL_BLOCK		(32 * 1024) /* bytes of input, the Java library's
										 * default */

/*
 * The densest element copies 64 bytes and takes 3, so no input expands more
 * than this.  An input that claims to expand more than usual is validated
 * before memory is allocated for it.
 */
#define SNAPPY_EXPANSION_MAX	22
#define SNAPPY_EXPANSION_USUAL	4

/*
 * PtCodecOps.bound
 */
static size_t
snappy_bound(size_t in_len)
{
	size_t		blocks = in_len / XERIAL_BLOCK + 1;

	return XERIAL_HEADER_SIZE + blocks * (4 + snappy_max_compressed_length(XERIAL_BLOCK));
}

/*
 * PtCodecOps.compress.  Snappy has no levels.
 */
static PtBatchStatus
snappy_compress_blocks(int level, const char *in, size_t in_len, char *out, size_t cap, size_t *out_len)
{
	char	   *p = out;

	Assert(cap >= snappy_bound(in_len));

	memcpy(p, xerial_magic, sizeof(xerial_magic));
	pt_put_int32(p + 8, XERIAL_VERSION);
	pt_put_int32(p + 12, XERIAL_VERSION);
	p += XERIAL_HEADER_SIZE;

	while (in_len > 0)
	{
		size_t		n = Min(in_len, XERIAL_BLOCK);
		size_t		block_len = cap - (p - out) - 4;

		if (snappy_compress(in, n, p + 4, &block_len) != SNAPPY_OK)
			return PT_BATCH_TOO_LARGE;
		pt_put_int32(p, (int32) block_len);
		p += 4 + block_len;
		in += n;
		in_len -= n;
	}
	*out_len = p - out;
	return PT_BATCH_OK;
}

/*
 * Decompresses one raw snappy stream.
 */
static PtBatchStatus
snappy_decompress_block(const char *in, size_t in_len, PtOutput *out)
{
	PtBatchStatus status;
	size_t		len;

	if (snappy_uncompressed_length(in, in_len, &len) != SNAPPY_OK ||
		len > in_len * SNAPPY_EXPANSION_MAX)
		return PT_BATCH_BAD_COMPRESSION;
	if (len > out->max - out->len)
		return PT_BATCH_TOO_LARGE;
	if (len > in_len * SNAPPY_EXPANSION_USUAL &&
		snappy_validate_compressed_buffer(in, in_len) != SNAPPY_OK)
		return PT_BATCH_BAD_COMPRESSION;

	status = pt_output_reserve(out, len);
	if (status != PT_BATCH_OK)
		return status;
	len = out->cap - out->len;
	if (snappy_uncompress(in, in_len, out->data + out->len, &len) != SNAPPY_OK)
		return PT_BATCH_BAD_COMPRESSION;
	out->len += len;
	Assert(out->len <= out->max);
	return PT_BATCH_OK;
}

/*
 * Returns true if the input begins with the header of the framing.
 */
static bool
is_xerial(const char *in, size_t in_len)
{
	return in_len >= XERIAL_HEADER_SIZE && memcmp(in, xerial_magic, sizeof(xerial_magic)) == 0;
}

/*
 * PtCodecOps.decompress: both formats.
 */
static PtBatchStatus
snappy_decompress_any(const char *in, size_t in_len, PtOutput *out)
{
	const char *end = in + in_len;

	/*
	 * No raw stream begins like that: its first element would copy bytes that
	 * do not exist.
	 */
	if (!is_xerial(in, in_len))
		return snappy_decompress_block(in, in_len, out);

	while (in < end)
	{
		PtBatchStatus status;
		int32		block_len;

		/* concatenated streams have headers in between */
		if (is_xerial(in, end - in))
		{
			in += XERIAL_HEADER_SIZE;
			continue;
		}
		if (end - in < 4)
			return PT_BATCH_BAD_COMPRESSION;
		block_len = pt_get_int32(in);
		in += 4;
		if (block_len < 0 || block_len > end - in)
			return PT_BATCH_BAD_COMPRESSION;
		status = snappy_decompress_block(in, block_len, out);
		if (status != PT_BATCH_OK)
			return status;
		in += block_len;
	}
	return PT_BATCH_OK;
}

const PtCodecOps pt_codec_snappy = {
	.bound = snappy_bound,
	.compress = snappy_compress_blocks,
	.decompress = snappy_decompress_any,
};
