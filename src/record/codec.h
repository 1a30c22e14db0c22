/*-------------------------------------------------------------------------
 *
 * codec.h
 *	  What a compression codec is to compress.c, and the output it
 *	  decompresses to.
 *
 *	  One file per codec (codec_gzip.c and so on) defines one PtCodecOps; all
 *	  of them are in the table of compress.c.
 *
 *	  A decompressor does not know how much will come out and must not believe
 *	  what the input says.  It asks PtOutput for room, writes there, says how
 *	  much it wrote, and stops at the first status that is not PT_BATCH_OK.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_RECORD_CODEC_H
#define PT_RECORD_CODEC_H

#include <limits.h>

#include "record/compress.h"

/* The output of a decompression. */
typedef struct PtOutput
{
	char	   *data;			/* palloc'd, or NULL */
	size_t		len;			/* bytes written */
	size_t		cap;			/* bytes allocated */
	size_t		max;			/* largest len that is allowed */
} PtOutput;

extern PtBatchStatus pt_output_room(PtOutput *out);

extern PtBatchStatus pt_output_reserve(PtOutput *out, size_t n);

/* The functions of a codec. */
typedef struct PtCodecOps
{
	/*
	 * Returns the size of "out" that compress needs for an input of this
	 * length.
	 */
	size_t		(*bound) (size_t in_len);

	/*
	 * Compresses.  Returns PT_BATCH_TOO_LARGE if the result does not fit,
	 * which may also mean that compression is not worth it.
	 */
	PtBatchStatus (*compress) (int level, const char *in, size_t in_len, char *out, size_t cap, size_t *out_len);

	/*
	 * Appends to "out", which has some room already.  All of the input must
	 * be used.
	 */
	PtBatchStatus (*decompress) (const char *in, size_t in_len, PtOutput *out);
} PtCodecOps;

extern const PtCodecOps pt_codec_gzip;
extern const PtCodecOps pt_codec_snappy;
extern const PtCodecOps pt_codec_lz4;
extern const PtCodecOps pt_codec_zstd;

/*
 * Returns the level to be used: that of the caller, moved into the range of
 * the library; INT_MIN stands for the default.
 */
static inline int
pt_codec_level(int level, int dflt, int min, int max)
{
	if (level == INT_MIN)
		return dflt;
	return Min(Max(level, min), max);
}

extern PtBatchStatus pt_compress_behind(PtCodec codec, int level, size_t reserve, const char *beside,
										const char *in, size_t in_len,
										char **out, size_t *out_cap, size_t *out_len);

#endif							/* PT_RECORD_CODEC_H */
