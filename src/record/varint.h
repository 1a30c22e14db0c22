/*-------------------------------------------------------------------------
 *
 * varint.h
 *	  The variable-length integers of the record format (zigzag, base 128).
 *
 *	  A reader is given the first byte behind its input and returns the byte
 *	  behind the number, or NULL when the input ends inside of it or the
 *	  number does not fit its type.  Longer encodings than needed are read, as
 *	  Kafka does. A writer returns the byte behind what it wrote; the size
 *	  functions say how much that will be.  Siblings: bytes.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_RECORD_VARINT_H
#define PT_RECORD_VARINT_H

#include "record/status.h"

#include "port/pg_bitutils.h"

#define PT_VARINT_MAX	5		/* bytes of the longest varint */
#define PT_VARLONG_MAX	10		/* bytes of the longest varlong */

/*
 * Zigzag: maps small absolute values to small unsigned numbers.
 */
static inline uint32
pt_zigzag32(int32 value)
{
	return ((uint32) value << 1) ^ (uint32) (value >> 31);
}

static inline uint64
pt_zigzag64(int64 value)
{
	return ((uint64) value << 1) ^ (uint64) (value >> 63);
}

/*
 * Reads a number of at most "bits" bits, of any length.
 */
static inline const char *
pt_uvarint_read(const char *p, const char *end, int bits, uint64 *value)
{
	uint64		result = 0;
	int			shift;

	for (shift = 0; shift < bits && p < end; shift += 7)
	{
		uint64		byte = (unsigned char) *p++;

		/* the last byte may only have the bits that are left */
		if (bits - shift < 7 && (byte >> (bits - shift)) != 0)
			return NULL;
		result |= (byte & 0x7F) << shift;
		if (byte < 0x80)
		{
			*value = result;
			return p;
		}
	}
	return NULL;
}

/*
 * Reads a number of two bytes, the second most frequent length.  Returns
 * false if it has another length.
 */
static inline bool
pt_uvarint_read2(const char **p, const char *end, uint64 *value)
{
	const unsigned char *bytes = (const unsigned char *) *p;

	if (end - *p < 2 || bytes[1] >= 0x80)
		return false;
	*value = (uint64) (bytes[0] & 0x7F) | (uint64) bytes[1] << 7;
	*p += 2;
	return true;
}

/*
 * Reads a varint (32 bits).
 */
static inline const char *
pt_varint_read(const char *p, const char *end, int32 *value)
{
	uint64		raw;

	Assert(p <= end);

	/* nearly all lengths and deltas take one or two bytes */
	if (likely(p < end && (unsigned char) *p < 0x80))
		raw = (unsigned char) *p++;
	else if (pt_uvarint_read2(&p, end, &raw))
		;
	else if ((p = pt_uvarint_read(p, end, 32, &raw)) == NULL)
		return NULL;

	*value = (int32) ((uint32) (raw >> 1) ^ (0 - (uint32) (raw & 1)));
	return p;
}

/*
 * Reads a varlong (64 bits).
 */
static inline const char *
pt_varlong_read(const char *p, const char *end, int64 *value)
{
	uint64		raw;

	Assert(p <= end);

	if (likely(p < end && (unsigned char) *p < 0x80))
		raw = (unsigned char) *p++;
	else if (pt_uvarint_read2(&p, end, &raw))
		;
	else if ((p = pt_uvarint_read(p, end, 64, &raw)) == NULL)
		return NULL;

	*value = (int64) ((raw >> 1) ^ (UINT64CONST(0) - (raw & 1)));
	return p;
}

/*
 * Bytes that pt_varint_write() needs.
 */
static inline int
pt_varint_size(int32 value)
{
	return pg_leftmost_one_pos32(pt_zigzag32(value) | 1) / 7 + 1;
}

/*
 * Bytes that pt_varlong_write() needs.
 */
static inline int
pt_varlong_size(int64 value)
{
	return pg_leftmost_one_pos64(pt_zigzag64(value) | 1) / 7 + 1;
}

/*
 * Writes an unsigned number, of 10 bytes at most.
 */
static inline char *
pt_uvarint_write(char *p, uint64 value)
{
	while (value >= 0x80)
	{
		*p++ = (char) (value | 0x80);
		value >>= 7;
	}
	*p++ = (char) value;
	return p;
}

/*
 * Writes a varint (32 bits).
 */
static inline char *
pt_varint_write(char *p, int32 value)
{
	return pt_uvarint_write(p, pt_zigzag32(value));
}

/*
 * Writes a varlong (64 bits).
 */
static inline char *
pt_varlong_write(char *p, int64 value)
{
	return pt_uvarint_write(p, pt_zigzag64(value));
}

#endif							/* PT_RECORD_VARINT_H */
