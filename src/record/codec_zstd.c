/*-------------------------------------------------------------------------
 *
 * codec_zstd.c
 *	  zstd.
 *
 *	  Contexts cost more to set up than a small batch to (de)compress, so one
 *	  of each kind is kept for the life of the process, unless it has grown
 *	  large. They are malloc's, not palloc's, and not safe for threads.
 *
 *	  A frame that does not say how long its content is needs a window beside
 *	  the output, of the size that its header asks for: up to 128 MiB of
 *	  address space (the library refuses more), of which only what is
 *	  decompressed is touched.
 *
 *	  Siblings: codec.h, compress.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "record/codec.h"

#include <zstd.h>
#include <zstd_errors.h>

#define ZSTD_CONTEXT_KEPT_MAX	(8 * 1024 * 1024)	/* bytes */

/*
 * A single frame is decompressed in one call if its header announces no more
 * than so many times its length.
 */
#define ZSTD_EXPANSION_USUAL	16

/*
 * Kept for the life of the process; see the header of this file.
 */
static ZSTD_CCtx *zstd_cctx = NULL;
static ZSTD_DCtx *zstd_dctx = NULL;

/*
 * Returns the input's length: a larger result would not be used.
 */
static size_t
zstd_bound(size_t in_len)
{
	return in_len;
}

/*
 * PtCodecOps.compress
 */
static PtBatchStatus
zstd_compress(int level, const char *in, size_t in_len, char *out, size_t cap, size_t *out_len)
{
	size_t		rc;

	if (zstd_cctx == NULL && (zstd_cctx = ZSTD_createCCtx()) == NULL)
		return PT_BATCH_NO_MEMORY;

	level = pt_codec_level(level, ZSTD_CLEVEL_DEFAULT, ZSTD_minCLevel(), ZSTD_maxCLevel());
	rc = ZSTD_compressCCtx(zstd_cctx, out, cap, in, in_len, level);
	if (ZSTD_sizeof_CCtx(zstd_cctx) > ZSTD_CONTEXT_KEPT_MAX)
	{
		ZSTD_freeCCtx(zstd_cctx);
		zstd_cctx = NULL;
	}
	if (ZSTD_isError(rc))
		return PT_BATCH_TOO_LARGE;
	*out_len = rc;
	return PT_BATCH_OK;
}

/*
 * Converts an error of a decompression to a status.
 */
static PtBatchStatus
zstd_status(size_t rc)
{
	Assert(ZSTD_isError(rc));

	return ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation ? PT_BATCH_NO_MEMORY : PT_BATCH_BAD_COMPRESSION;
}

/*
 * Returns true if the input is one frame whose announced length, *len, is
 * small enough to be believed.
 */
static bool
zstd_is_simple(const char *in, size_t in_len, size_t *len)
{
	unsigned long long size = ZSTD_getFrameContentSize(in, in_len);

	if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR ||
		size > (unsigned long long) in_len * ZSTD_EXPANSION_USUAL)
		return false;
	*len = (size_t) size;
	return ZSTD_findFrameCompressedSize(in, in_len) == in_len;
}

/*
 * Decompresses a single frame of known length in one call.
 */
static PtBatchStatus
zstd_decompress_simple(ZSTD_DCtx *ctx, const char *in, size_t in_len, size_t len, PtOutput *out)
{
	PtBatchStatus status = pt_output_reserve(out, len);
	size_t		rc;

	if (status != PT_BATCH_OK)
		return status;
	rc = ZSTD_decompressDCtx(ctx, out->data + out->len, out->cap - out->len, in, in_len);
	if (ZSTD_isError(rc))
		return zstd_status(rc);
	out->len += rc;
	return PT_BATCH_OK;
}

/*
 * Decompresses frames of any kind and number.
 */
static PtBatchStatus
zstd_decompress_stream(ZSTD_DCtx *ctx, const char *in, size_t in_len, PtOutput *out)
{
	ZSTD_inBuffer input = {in, in_len, 0};
	size_t		hint = 1;		/* 0 when a frame is complete */

	while (input.pos < input.size || hint != 0)
	{
		PtBatchStatus status = pt_output_room(out);
		ZSTD_outBuffer output;
		size_t		taken = input.pos;

		if (status != PT_BATCH_OK)
			return status;
		output = (ZSTD_outBuffer)
		{
			out->data, out->cap, out->len
		};
		hint = ZSTD_decompressStream(ctx, &output, &input);
		if (ZSTD_isError(hint))
			return zstd_status(hint);
		if (input.pos == taken && output.pos == out->len)
			return PT_BATCH_BAD_COMPRESSION;
		out->len = output.pos;
	}
	return PT_BATCH_OK;
}

/*
 * PtCodecOps.decompress
 */
static PtBatchStatus
zstd_decompress(const char *in, size_t in_len, PtOutput *out)
{
	PtBatchStatus status;
	size_t		len;

	if (zstd_dctx == NULL && (zstd_dctx = ZSTD_createDCtx()) == NULL)
		return PT_BATCH_NO_MEMORY;

	if (zstd_is_simple(in, in_len, &len))
		status = zstd_decompress_simple(zstd_dctx, in, in_len, len, out);
	else
		status = zstd_decompress_stream(zstd_dctx, in, in_len, out);

	/* reset it, in whatever state an error has left it */
	ZSTD_DCtx_reset(zstd_dctx, ZSTD_reset_session_and_parameters);
	if (ZSTD_sizeof_DCtx(zstd_dctx) > ZSTD_CONTEXT_KEPT_MAX)
	{
		ZSTD_freeDCtx(zstd_dctx);
		zstd_dctx = NULL;
	}
	return status;
}

const PtCodecOps pt_codec_zstd = {
	.bound = zstd_bound,
	.compress = zstd_compress,
	.decompress = zstd_decompress,
};
