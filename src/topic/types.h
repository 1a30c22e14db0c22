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

/* topic: the OID of its table, by value. */
#define PG_GETARG_TOPIC(n)	PG_GETARG_OID(n)

/* partition: 8 bytes, by reference. */
typedef struct PtPartition
{
	Oid			topic;
	int32		number;
} PtPartition;

#define DatumGetPartitionP(d) ((PtPartition *) DatumGetPointer(d))
#define PG_GETARG_PARTITION(n) DatumGetPartitionP(PG_GETARG_DATUM(n))

static inline Datum
pt_partition_datum(Oid topic, int32 number)
{
	PtPartition *p = palloc(sizeof(PtPartition));

	p->topic = topic;
	p->number = number;
	return PointerGetDatum(p);
}

/* Input function, ERROR 42P01 when there is no such topic. */
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

/* ERROR with a hint. */
pg_noreturn extern void pt_topic_not_found(const char *name);

/* The topic that an argument names; ERROR when it was dropped. */
extern const PtTopic *pt_topic_expect(Oid relid);

/*
 * Bytes (UTF-8) in the encoding of the database, NUL-terminated; ERROR when
 * they are no text.
 */
extern char *pt_bytes_to_text(const char *data, int len);

extern void pt_label_start(Oid leaf, int64 start);

extern bool pt_label_id_exists(const pg_uuid_t *id);

#endif							/* PT_TOPIC_TYPES_H */
