/*-------------------------------------------------------------------------
 *
 * input.h
 *	  Reading bytes of Kafka's formats one field after another.
 *
 *	  The caller looks once, at the end, whether all was there: when something
 *	  is missing "at" becomes NULL, and all later reads fail.  Siblings:
 *	  bytes.h, varint.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_RECORD_INPUT_H
#define PT_RECORD_INPUT_H

#include "record/bytes.h"
#include "record/varint.h"

/* The rest of an input. */
typedef struct PtInput
{
	const char *at;
	const char *end;
} PtInput;

/*
 * Takes n bytes; NULL if there are fewer.
 */
static inline const char *
pt_take(PtInput *in, uint64 n)
{
	const char *result = in->at;

	Assert(in->at == NULL || in->at <= in->end);
	if (in->at == NULL || n > (uint64) (in->end - in->at))
		return in->at = NULL;
	in->at += n;
	return result;
}

/*
 * Takes a big-endian integer of 1, 2, 4 or 8 bytes; -1 if there are fewer.
 */
static inline int64
pt_take_int(PtInput *in, int size)
{
	const char *p = pt_take(in, size);

	if (p == NULL)
		return -1;
	return size == 1 ? (int8) *p : size == 2 ? pt_get_int16(p) : size == 4 ? pt_get_int32(p) : pt_get_int64(p);
}

/*
 * Takes an unsigned varint; 0 if it is malformed.
 */
static inline uint32
pt_take_uvarint(PtInput *in)
{
	uint64		value = 0;

	if (in->at)
		in->at = pt_uvarint_read(in->at, in->end, 32, &value);
	return in->at ? (uint32) value : 0;
}

#endif							/* PT_RECORD_INPUT_H */
