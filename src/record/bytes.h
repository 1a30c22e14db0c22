/*-------------------------------------------------------------------------
 *
 * bytes.h
 *	  Big-endian integers at any address.
 *
 *	  The record format has no alignment, so all access goes through memcpy,
 *	  which compilers turn into one load and one swap.
 *
 *	  Siblings: varint.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_RECORD_BYTES_H
#define PT_RECORD_BYTES_H

#include "record/status.h"

#include "port/pg_bswap.h"

/*
 * All of them take any address; there is no alignment.
 */
static inline int16
pt_get_int16(const char *p)
{
	uint16		v;

	memcpy(&v, p, sizeof(v));
	return (int16) pg_ntoh16(v);
}

static inline int32
pt_get_int32(const char *p)
{
	uint32		v;

	memcpy(&v, p, sizeof(v));
	return (int32) pg_ntoh32(v);
}

static inline int64
pt_get_int64(const char *p)
{
	uint64		v;

	memcpy(&v, p, sizeof(v));
	return (int64) pg_ntoh64(v);
}

static inline void
pt_put_int16(char *p, int16 value)
{
	uint16		v = pg_hton16((uint16) value);

	memcpy(p, &v, sizeof(v));
}

static inline void
pt_put_int32(char *p, int32 value)
{
	uint32		v = pg_hton32((uint32) value);

	memcpy(p, &v, sizeof(v));
}

static inline void
pt_put_int64(char *p, int64 value)
{
	uint64		v = pg_hton64((uint64) value);

	memcpy(p, &v, sizeof(v));
}

#endif							/* PT_RECORD_BYTES_H */
