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

typedef struct PtOutput
{
	char	   *data;			/* palloc'd, or NULL */
	size_t		len;			/* written */
	size_t		cap;
	size_t		max;			/* len must not exceed it */
} PtOutput;

/*
 * Makes room for at least one more byte: [data + len, data + cap).  To tell
 * "just full" from "too much", cap may exceed max by one byte.
 */
extern PtBatchStatus pt_output_room(PtOutput *out);

/* Makes room for n more bytes, n being what will really come. */
extern PtBatchStatus pt_output_reserve(PtOutput *out, size_t n);

typedef struct PtCodecOps
{
	/*
	 * How much "out" of compress must have room for, given the input's
	 * length.
	 */
	size_t		(*bound) (size_t in_len);

	/*
	 * PT_BATCH_TOO_LARGE when it does not fit, which may also mean that it is
	 * not worth it.
	 */
	PtBatchStatus (*compress) (int level, const char *in, size_t in_len, char *out, size_t cap, size_t *out_len);

	/*
	 * Appends to out, which has room for a bit already.  All of the input
	 * must be used.
	 */
	PtBatchStatus (*decompress) (const char *in, size_t in_len, PtOutput *out);
} PtCodecOps;

extern const PtCodecOps pt_codec_gzip;
extern const PtCodecOps pt_codec_snappy;
extern const PtCodecOps pt_codec_lz4;
extern const PtCodecOps pt_codec_zstd;

/* The caller's level, its default, or the nearest one that the library has. */
static inline int
pt_codec_level(int level, int dflt, int min, int max)
{
	if (level == INT_MIN)
		return dflt;
	return Min(Max(level, min), max);
}

/*
 * pt_compress that leaves "reserve" bytes free in front, which *out_len does
 * not count.  A new *out comes from the memory context of "beside" (NULL: the
 * current one).
 */
extern PtBatchStatus pt_compress_behind(PtCodec codec, int level, size_t reserve, const char *beside,
										const char *in, size_t in_len,
										char **out, size_t *out_cap, size_t *out_len);

#endif							/* PT_RECORD_CODEC_H */
