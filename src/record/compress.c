/*-------------------------------------------------------------------------
 *
 * compress.c
 *	  The table of codecs, and the memory they work in.
 *
 *	  Memory follows what really comes out: the output starts at twice the
 *	  input's length (which has arrived, and is paid for) and doubles as it
 *	  fills.  A codec that trusts a length in its input checks first that the
 *	  input can hold so much.
 *
 *	  Siblings: codec.h (the interface), codec_gzip.c, codec_snappy.c,
 *	  codec_lz4.c, codec_zstd.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "record/codec.h"

#include "record/mem.h"

#define OUTPUT_CAP_MIN	256

/*
 * The table of codecs, by number; NULL for PT_CODEC_NONE.
 */
static const PtCodecOps *const codecs[] =
{
	[PT_CODEC_GZIP] = &pt_codec_gzip,
	[PT_CODEC_SNAPPY] = &pt_codec_snappy,
	[PT_CODEC_LZ4] = &pt_codec_lz4,
	[PT_CODEC_ZSTD] = &pt_codec_zstd,
};

StaticAssertDecl(lengthof(codecs) == PT_CODEC_LAST + 1, "every codec has its row");

/*
 * Returns the functions of a codec; NULL for PT_CODEC_NONE and unknown
 * numbers.
 */
static const PtCodecOps *
codec_lookup(int codec)
{
	if (codec < 0 || codec > PT_CODEC_LAST)
		return NULL;
	return codecs[codec];
}

/*
 * Moves the output to memory of another size.
 */
static PtBatchStatus
output_resize(PtOutput *out, size_t cap)
{
	char	   *data = pt_mem_try_alloc(out->data, cap);

	Assert(cap > out->len && cap <= out->max + 1);

	if (data == NULL)
		return PT_BATCH_NO_MEMORY;
	if (out->data != NULL)
	{
		memcpy(data, out->data, out->len);
		pfree(out->data);
	}
	out->data = data;
	out->cap = cap;
	return PT_BATCH_OK;
}

/*
 * Makes room for at least one more byte at data + len.  cap may exceed max by
 * one byte, which tells "just full" from "too much".
 */
PtBatchStatus
pt_output_room(PtOutput *out)
{
	Assert(out->len <= out->cap);

	if (out->len > out->max)
		return PT_BATCH_TOO_LARGE;
	if (out->len < out->cap)
		return PT_BATCH_OK;
	return output_resize(out, Min(Max(out->cap * 2, OUTPUT_CAP_MIN), out->max + 1));
}

/*
 * Makes room for n more bytes.  n must be what will really come.
 */
PtBatchStatus
pt_output_reserve(PtOutput *out, size_t n)
{
	Assert(out->len <= out->cap && out->len <= out->max);

	if (n > out->max - out->len)
		return PT_BATCH_TOO_LARGE;
	if (n <= out->cap - out->len)
		return PT_BATCH_OK;
	return output_resize(out, Min(Max(out->cap * 2, out->len + n), out->max + 1));
}

/*
 * Decompresses into a palloc'd buffer, which the caller pfrees.  Never
 * allocates much more than twice the bytes that really come out.
 * PT_BATCH_TOO_LARGE if these are more than "max".
 */
PtBatchStatus
pt_decompress(PtCodec codec, const char *in, size_t in_len, size_t max, char **out, size_t *out_len)
{
	const PtCodecOps *ops = codec_lookup(codec);
	PtOutput	output = {.max = Min(max, PT_MEM_MAX / 4)};
	PtBatchStatus status;

	*out = NULL;
	*out_len = 0;
	if (ops == NULL)
		return PT_BATCH_BAD_CODEC;
	if (in_len > PG_INT32_MAX)
		return PT_BATCH_BAD_LENGTH;

	status = output_resize(&output, Min(Max(in_len * 2, OUTPUT_CAP_MIN), output.max + 1));
	if (status == PT_BATCH_OK)
		status = ops->decompress(in, in_len, &output);
	if (status == PT_BATCH_OK && output.len > output.max)
		status = PT_BATCH_TOO_LARGE;
	if (status != PT_BATCH_OK)
	{
		if (output.data != NULL)
			pfree(output.data);
		return status;
	}
	*out = output.data;
	*out_len = output.len;
	return PT_BATCH_OK;
}

/*
 * Does what pt_compress() does, and leaves "reserve" bytes in front, which
 * *out_len does not count.  A new *out is allocated in the memory context of
 * "beside", or in the current one if that is NULL.
 */
PtBatchStatus
pt_compress_behind(PtCodec codec, int level, size_t reserve, const char *beside,
				   const char *in, size_t in_len, char **out, size_t *out_cap, size_t *out_len)
{
	const PtCodecOps *ops = codec_lookup(codec);
	PtBatchStatus status;
	size_t		needed;

	*out_len = 0;
	if (ops == NULL)
		return PT_BATCH_BAD_CODEC;
	if (in_len > PG_INT32_MAX)
		return PT_BATCH_BAD_LENGTH;

	needed = reserve + ops->bound(in_len);
	if (*out == NULL || *out_cap < needed)
	{
		char	   *data = pt_mem_try_alloc(*out != NULL ? *out : beside, needed);

		if (data == NULL)
			return PT_BATCH_NO_MEMORY;
		if (*out != NULL)
			pfree(*out);
		*out = data;
		*out_cap = needed;
	}

	status = ops->compress(level, in, in_len, *out + reserve, *out_cap - reserve, out_len);
	if (status == PT_BATCH_OK && *out_len >= in_len)
		status = PT_BATCH_TOO_LARGE;
	return status;
}

/*
 * Compresses into *out, which is palloc'd or enlarged; *out_cap is its size.
 * "level" is the library's own; INT_MIN is its default.  PT_BATCH_TOO_LARGE
 * if the result would not be smaller than the input.
 */
PtBatchStatus
pt_compress(PtCodec codec, int level, const char *in, size_t in_len, char **out, size_t *out_cap, size_t *out_len)
{
	return pt_compress_behind(codec, level, 0, NULL, in, in_len, out, out_cap, out_len);
}
