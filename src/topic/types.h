/*-------------------------------------------------------------------------
 *
 * types.h
 *	  What values of the types topic, partition and headers look like.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_TOPIC_TYPES_H
#define PT_TOPIC_TYPES_H

#include "postgres.h"

#include "fmgr.h"
#include "topic/topic.h"

/* topic: a varlena of the name's bytes, as text is. */
#define PG_GETARG_TOPIC(n)	pt_datum_topic(PG_GETARG_DATUM(n))

/* What a partition says; the value itself is a varlena, see types.c. */
typedef struct PtPartition
{
	PtString	topic;
	int32		number;			/* not negative */
} PtPartition;

#define PG_GETARG_PARTITION(n) pt_datum_partition(PG_GETARG_DATUM(n))

extern Datum pt_topic_datum(const char *name);
extern PtString pt_datum_topic(Datum datum);
extern Datum pt_partition_datum(PtString topic, int32 number);
extern PtPartition pt_datum_partition(Datum datum);

/* Input function, ERROR 22P02 when that can be no partition. */
extern Datum pt_partition_in(PG_FUNCTION_ARGS);

/*
 * headers: a varlena of the count and Kafka's encoding, as in
 * PtRecord.headers.
 */
typedef struct PtHeaders
{
	int32		vl_len_;		/* varlena header (do not touch directly!) */
	int32		count;
	char		data[FLEXIBLE_ARRAY_MEMBER];
} PtHeaders;

#define PT_HEADERS_HDRSZ	offsetof(PtHeaders, data)
#define pt_headers_len(h)	((int32) (VARSIZE(h) - PT_HEADERS_HDRSZ))
#define DatumGetHeadersP(d) ((PtHeaders *) PG_DETOAST_DATUM(d))
#define PG_GETARG_HEADERS_P(n) DatumGetHeadersP(PG_GETARG_DATUM(n))

/* Checked by whoever made the bytes. */
static inline PtHeaders *
pt_headers_form(const char *data, int32 len, int32 count)
{
	PtHeaders  *h = palloc(PT_HEADERS_HDRSZ + len);

	SET_VARSIZE(h, PT_HEADERS_HDRSZ + len);
	h->count = count;
	if (len > 0)
		memcpy(h->data, data, len);
	return h;
}

/* The topic that an argument names; ERROR 42P01 when there is none. */
extern const PtTopic *pt_topic_expect_name(PtString name);

/* One that was there a moment ago; ERROR 42P01 when it was dropped. */
extern const PtTopic *pt_topic_expect(Oid relid);

/*
 * Bytes (UTF-8) in the encoding of the database, NUL-terminated; ERROR when
 * they are no text.
 */
extern char *pt_bytes_to_text(const char *data, int len);

extern void pt_label_start(Oid leaf, int64 start);

extern bool pt_label_id_exists(const pg_uuid_t *id);

#endif							/* PT_TOPIC_TYPES_H */
