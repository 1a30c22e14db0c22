/*-------------------------------------------------------------------------
 *
 * codec_gzip.c
 *	  gzip by zlib.
 *
 *	  A stream may consist of several members, one behind the other, which
 *	  decompress to the sum of their contents.
 *
 *	  Siblings: codec.h, compress.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "record/codec.h"

#include <zlib.h>

#define GZIP_WINDOW_BITS	(15 + 16)	/* the largest window, gzip's header
										 * and trailer */
#define GZIP_MEM_LEVEL		8	/* zlib's default */

/* zlib counts in 32 bits. */
#define GZIP_CHUNK_MAX		((size_t) 1 << 30)

/*
 * Returns the input's length: a larger result would not be used.
 */
static size_t
gzip_bound(size_t in_len)
{
	return in_len;
}

/*
 * PtCodecOps.compress
 */
static PtBatchStatus
gzip_compress(int level, const char *in, size_t in_len, char *out, size_t cap, size_t *out_len)
{
	z_stream	z = {0};
	int			rc;

	level = pt_codec_level(level, Z_DEFAULT_COMPRESSION, Z_DEFAULT_COMPRESSION, Z_BEST_COMPRESSION);
	if (deflateInit2(&z, level, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
		return PT_BATCH_NO_MEMORY;

	z.next_in = (Bytef *) unconstify(char *, in);
	z.avail_in = (uInt) in_len;
	z.next_out = (Bytef *) out;
	z.avail_out = (uInt) Min(cap, UINT_MAX);
	rc = deflate(&z, Z_FINISH);
	*out_len = z.total_out;
	deflateEnd(&z);
	return rc == Z_STREAM_END ? PT_BATCH_OK : PT_BATCH_TOO_LARGE;
}

/*
 * Makes one call of inflate.  *end is set if it has reached the end of a
 * member.
 */
static PtBatchStatus
gzip_step(z_stream *z, PtOutput *out, bool *end)
{
	PtBatchStatus status = pt_output_room(out);
	size_t		room;
	uInt		avail_in PG_USED_FOR_ASSERTS_ONLY = z->avail_in;
	int			rc;

	if (status != PT_BATCH_OK)
		return status;

	room = Min(out->cap - out->len, GZIP_CHUNK_MAX);
	z->next_out = (Bytef *) (out->data + out->len);
	z->avail_out = (uInt) room;
	rc = inflate(z, Z_NO_FLUSH);
	out->len += room - z->avail_out;

	*end = (rc == Z_STREAM_END);
	if (rc == Z_MEM_ERROR)
		return PT_BATCH_NO_MEMORY;
	if (rc != Z_OK && rc != Z_STREAM_END)
		return PT_BATCH_BAD_COMPRESSION;	/* also Z_BUF_ERROR: cut short */

	/* each step consumes or produces something, so the loop ends */
	Assert(*end || z->avail_in < avail_in || z->avail_out < room);
	return PT_BATCH_OK;
}

/*
 * PtCodecOps.decompress: all members, one behind the other.
 */
static PtBatchStatus
gzip_decompress(const char *in, size_t in_len, PtOutput *out)
{
	z_stream	z = {0};
	PtBatchStatus status = PT_BATCH_OK;
	bool		end = false;

	if (inflateInit2(&z, GZIP_WINDOW_BITS) != Z_OK)
		return PT_BATCH_NO_MEMORY;

	z.next_in = (Bytef *) unconstify(char *, in);
	z.avail_in = (uInt) in_len;
	while (status == PT_BATCH_OK && !(end && z.avail_in == 0))
	{
		if (end)
			inflateReset(&z);
		status = gzip_step(&z, out, &end);
	}
	inflateEnd(&z);
	return status;
}

const PtCodecOps pt_codec_gzip = {
	.bound = gzip_bound,
	.compress = gzip_compress,
	.decompress = gzip_decompress,
};
