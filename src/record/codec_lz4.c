/*-------------------------------------------------------------------------
 *
 * codec_lz4.c
 *	  lz4 in its frame format.
 *
 *	  We write what the Java client can read: blocks that do not depend on
 *	  each other, 64 KiB each.  We read all that the library reads, also
 *	  several frames one behind the other.
 *
 *	  The context for reading is kept for the life of the process: to set it up
 *	  takes longer than a small batch does.  It keeps buffers of two blocks, of
 *	  at most 4 MiB each, as the largest block so far; malloc's, and not safe
 *	  for threads.
 *
 *	  Siblings: codec.h, compress.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "record/codec.h"

#include <lz4frame.h>

/* Negative levels trade size for speed; this is the lowest. */
#define LZ4_LEVEL_MIN	(-65537)

/*
 * Kept for the life of the process; see the header of this file.
 */
static LZ4F_dctx * lz4_dctx = NULL;

/*
 * PtCodecOps.bound
 */
static size_t
lz4_bound(size_t in_len)
{
	return LZ4F_compressFrameBound(in_len, NULL);
}

/*
 * PtCodecOps.compress
 */
static PtBatchStatus
lz4_compress(int level, const char *in, size_t in_len, char *out, size_t cap, size_t *out_len)
{
	LZ4F_preferences_t prefs = LZ4F_INIT_PREFERENCES;
	size_t		rc;

	Assert(cap >= lz4_bound(in_len));

	prefs.frameInfo.blockSizeID = LZ4F_max64KB;
	prefs.frameInfo.blockMode = LZ4F_blockIndependent;
	prefs.compressionLevel = pt_codec_level(level, 0, LZ4_LEVEL_MIN, LZ4F_compressionLevel_max());
	rc = LZ4F_compressFrame(out, cap, in, in_len, &prefs);
	if (LZ4F_isError(rc))
		return PT_BATCH_TOO_LARGE;
	*out_len = rc;
	return PT_BATCH_OK;
}

/*
 * Decompresses all frames of the input.
 */
static PtBatchStatus
lz4_run(LZ4F_dctx * ctx, const char *in, size_t in_len, PtOutput *out)
{
	size_t		hint = 1;		/* 0 when a frame is complete */

	/* a frame whose input has been consumed may still have output */
	while (in_len > 0 || hint != 0)
	{
		PtBatchStatus status = pt_output_room(out);
		size_t		taken = in_len;
		size_t		given;

		if (status != PT_BATCH_OK)
			return status;
		given = out->cap - out->len;
		hint = LZ4F_decompress(ctx, out->data + out->len, &given, in, &taken, NULL);
		if (LZ4F_isError(hint) || (taken == 0 && given == 0))
			return PT_BATCH_BAD_COMPRESSION;
		out->len += given;
		in += taken;
		in_len -= taken;
	}
	return PT_BATCH_OK;
}

/*
 * PtCodecOps.decompress
 */
static PtBatchStatus
lz4_decompress(const char *in, size_t in_len, PtOutput *out)
{
	PtBatchStatus status;

	if (lz4_dctx == NULL && LZ4F_isError(LZ4F_createDecompressionContext(&lz4_dctx, LZ4F_VERSION)))
	{
		lz4_dctx = NULL;
		return PT_BATCH_NO_MEMORY;
	}
	status = lz4_run(lz4_dctx, in, in_len, out);

	/* reset it, in whatever state an error has left it */
	LZ4F_resetDecompressionContext(lz4_dctx);
	return status;
}

const PtCodecOps pt_codec_lz4 = {
	.bound = lz4_bound,
	.compress = lz4_compress,
	.decompress = lz4_decompress,
};
