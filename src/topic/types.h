/*-------------------------------------------------------------------------
 *
 * types.h
 *	  The values of the types topic, partition and headers.
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

/* topic: a varlena with the bytes of the name, like a text */
#define PG_GETARG_TOPIC(n)	pt_datum_topic(PG_GETARG_DATUM(n))

/* partition, decoded; types.c has the layout of the value. */
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

/* Input function; ERROR 22P02 if it cannot be a partition. */
extern Datum pt_partition_in(PG_FUNCTION_ARGS);

/*
 * headers: a varlena with the count and Kafka's encoding, as in
 * PtRecord.headers.
 */
typedef struct PtHeaders
{
	int32		vl_len_;		/* varlena header (do not touch directly!) */
	int32		count;
	char		data[FLEXIBLE_ARRAY_MEMBER];
} PtHeaders;

/* headers(jsonb) */
extern Datum pt_headers_from_jsonb(PG_FUNCTION_ARGS);

#define PT_HEADERS_HDRSZ	offsetof(PtHeaders, data)
#define pt_headers_len(h)	((int32) (VARSIZE(h) - PT_HEADERS_HDRSZ))
#define DatumGetHeadersP(d) ((PtHeaders *) PG_DETOAST_DATUM(d))
#define PG_GETARG_HEADERS_P(n) DatumGetHeadersP(PG_GETARG_DATUM(n))

/*
 * Makes a value of type headers in the current memory context.  The bytes
 * have been checked.
 */
static inline PtHeaders *
pt_headers_form(const char *data, int32 len, int32 count)
{
	PtHeaders  *h = palloc(PT_HEADERS_HDRSZ + len);

	Assert(len >= 0 && count >= 0);
	SET_VARSIZE(h, PT_HEADERS_HDRSZ + len);
	h->count = count;
	if (len > 0)
		memcpy(h->data, data, len);
	return h;
}

/* headers.c */
extern PtHeaders *pt_headers_append(const PtHeaders *headers, const char *const *texts, int n);

/* Returns the topic of that name; ERROR 42P01 if there is none. */
extern const PtTopic *pt_topic_expect_name(PtString name);

/* Returns a topic that existed a moment ago; ERROR 42P01 if it was dropped. */
extern const PtTopic *pt_topic_expect(Oid relid);

/* access.c */
extern void pt_topic_check_access(const PtTopic *topic, AclMode mode);

/*
 * Returns UTF-8 bytes in the encoding of the database, NUL-terminated.  ERROR
 * if they are not valid text.
 */
extern char *pt_bytes_to_text(const char *data, int len);

/* SQL functions of one bytea: bytes.c */
extern Datum pt_bytea_as_jsonb(PG_FUNCTION_ARGS);
extern Datum pt_bytea_try_jsonb(PG_FUNCTION_ARGS);

extern void pt_label_start(Oid leaf, int64 start);
extern bool pt_label_get_start(Oid leaf, int64 *start);

extern bool pt_label_id_exists(const pg_uuid_t *id);

#endif							/* PT_TOPIC_TYPES_H */
