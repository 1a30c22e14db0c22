/*-------------------------------------------------------------------------
 *
 * schema.h
 *	  What the codec knows of a message: tables of fields.
 *
 * A KafkaSchema is the table of one struct: a KafkaField for each member, in
 * the order of the wire, with the versions that have it.  The tables are made
 * from lists of rows (message_rows.h).  Nothing here knows the server: it
 * compiles with -DFRONTEND.
 *
 * Siblings: message_rows.h, codec.h (walks the tables), messages/.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_SCHEMA_H
#define KAFKA_SCHEMA_H

#include "counted.h"

typedef PtString KafkaString;

typedef struct KafkaUuid
{
	uint8		data[16];
} KafkaUuid;

/*
 * Record batches.  If data is NULL and len > 0, the bytes are elsewhere, at
 * "source", which only the caller understands: the writer leaves a splice.
 */
typedef struct KafkaRecords
{
	const char *data;
	int32		len;			/* -1: null */
	const void *source;
} KafkaRecords;

/* How the codec sees all ARRAY and LIST members. */
typedef struct KafkaArray
{
	void	   *items;
	int32		n;				/* -1: null */
} KafkaArray;

typedef enum KafkaType
{
	KAFKA_BOOL,
	KAFKA_INT8,
	KAFKA_INT16,
	KAFKA_UINT16,
	KAFKA_INT32,
	KAFKA_INT64,
	KAFKA_FLOAT64,
	KAFKA_UUID,
	KAFKA_STRING,
	KAFKA_BYTES,
	KAFKA_RECORDS,
	KAFKA_ARRAY,
	KAFKA_LIST,
	KAFKA_STRUCT_IN_PLACE,
	KAFKA_OPTION
} KafkaType;

struct KafkaSchema;

/* A field of a message. */
typedef struct KafkaField
{
	const char *name;
	int64		dflt;			/* default, as DEFAULT() in message_rows.h */
	const struct KafkaSchema *(*elem) (void);	/* of ARRAY, STRUCT and OPTION */
	uint16		offset;			/* in the struct, in bytes */
	uint8		type;			/* KafkaType */
	uint8		item;			/* KafkaType of a LIST's items */
	int8		min;			/* versions that have the field */
	int8		max;
	int8		null_from;		/* 1 + first version that allows null; 0: none */
	int8		tag_from;		/* 1 + first version where it is a tagged
								 * field; 0: none */
	int8		tag;
	bool		is_error;		/* an error code: the response has an error if
								 * it is not 0 */
} KafkaField;

typedef struct KafkaSchema
{
	const char *name;
	const KafkaField *fields;
	int			nfields;
	uint32		size;			/* of the struct, in bytes */
} KafkaSchema;

#endif							/* KAFKA_SCHEMA_H */
