/*-------------------------------------------------------------------------
 *
 * counted.h
 *	  A string with its length: the one type for what clients send.
 *
 * Kafka's strings and bytes are counted, and any byte may be in them, NUL
 * too.  So C's functions for strings are wrong for them: one that stops at a
 * NUL cuts the string, and whoever then trusts the length reads memory that
 * is somebody else's.  All copies are made here.
 *
 * Every room may include this, the pure ones too.  KafkaString and CoordBytes
 * are this type.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_COUNTED_H
#define PT_COUNTED_H

#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

typedef struct PtString
{
	const char *data;			/* not terminated */
	int32		len;			/* -1: null, then data does not matter */
} PtString;

#define PT_STRING_NULL	((PtString) {NULL, -1})
#define PT_STRING_EMPTY	((PtString) {"", 0})

/* Of a literal. */
#define PT_STRING(s)	((PtString) {(s), (int32) sizeof(s) - 1})

/* Of a C string, which is not copied. */
static inline PtString
pt_string_of(const char *s)
{
	PtString	result = {s, (int32) strlen(s)};

	return result;
}

/* Bytes that it has; none when it is null. */
static inline size_t
pt_string_size(PtString s)
{
	return s.len > 0 ? (size_t) s.len : 0;
}

/* Null equals null only. */
static inline bool
pt_string_equal(PtString a, PtString b)
{
	return a.len == b.len && (a.len <= 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Does it hold a NUL?  Then no C string can stand for it. */
static inline bool
pt_string_has_nul(PtString s)
{
	return s.len > 0 && memchr(s.data, '\0', s.len) != NULL;
}

/*
 * Copies s to *at, where the caller has pt_string_size(s) bytes, and moves *at
 * behind it.  Null stays null.
 */
static inline PtString
pt_string_put(char **at, PtString s)
{
	PtString	copy = {*at, s.len};

	if (s.len > 0)
	{
		memcpy(*at, s.data, s.len);
		*at += s.len;
	}
	return copy;
}

/* A copy in the current memory context, to be freed by pfree. */
static inline PtString
pt_string_copy(PtString s)
{
	char	   *at = (char *) palloc(pt_string_size(s) + 1);

	return pt_string_put(&at, s);
}

/*
 * The string as a C string in buf, of size bytes; false when it is null, does
 * not fit, or holds a NUL, which would make it another one.
 */
static inline bool
pt_string_to_buf(PtString s, char *buf, size_t size)
{
	char	   *at = buf;

	if (s.len < 0 || pt_string_size(s) >= size || pt_string_has_nul(s))
		return false;
	(void) pt_string_put(&at, s);
	*at = '\0';
	return true;
}

#endif							/* PT_COUNTED_H */
