/*-------------------------------------------------------------------------
 *
 * compress.h
 *	  The compression codecs of the Kafka protocol over the usual libraries.
 *
 * gzip (zlib), snappy (both raw and with xerial's framing, as the Java client
 * writes it), lz4 (frame format) and zstd.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_RECORD_COMPRESS_H
#define PT_RECORD_COMPRESS_H

#include "record/status.h"

/* The codecs, with their numbers in the attributes of a batch. */
typedef enum PtCodec
{
	PT_CODEC_NONE = 0,
	PT_CODEC_GZIP = 1,
	PT_CODEC_SNAPPY = 2,
	PT_CODEC_LZ4 = 3,
	PT_CODEC_ZSTD = 4
} PtCodec;
#define PT_CODEC_LAST PT_CODEC_ZSTD

extern PtBatchStatus pt_decompress(PtCodec codec, const char *in, size_t in_len, size_t max, char **out, size_t *out_len);

extern PtBatchStatus pt_compress(PtCodec codec, int level, const char *in, size_t in_len, char **out, size_t *out_cap, size_t *out_len);

#endif							/* PT_RECORD_COMPRESS_H */
