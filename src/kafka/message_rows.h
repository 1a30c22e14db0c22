/*-------------------------------------------------------------------------
 *
 * message_rows.h
 *	  How Kafka messages are described: one list of rows per struct.
 *
 * A message is a list of rows, one per field, in the order of the wire:
 *
 *		#define FETCH_TOPIC(F) \
 *			F(STRING,				 topic,		 0, 12) \
 *			F(UUID,					 topic_id,	13, LATEST) \
 *			F(ARRAY(FetchPartition), partitions, 0, LATEST)
 *		KAFKA_STRUCT(FetchTopic, FETCH_TOPIC)
 *
 * The same list expands to the C struct that handlers work with, and to a
 * constant table of fields that the one interpreter (codec.c) walks to read
 * and write every version.  A new version of an API is a change of rows, never
 * of code.
 *
 * A row is: type, name, first and last version that has the field, options.
 * Types:	BOOL INT8 INT16 UINT16 INT32 INT64 FLOAT64 UUID
 *			STRING BYTES RECORDS	pointers into the frame, never copied
 *			ARRAY(Struct)			items and n; n -1: null
 *			LIST(INT32)				same, of a primitive type or STRING
 *			STRUCT(Struct)			a struct in place
 *			OPTION(Struct)			a nullable struct: pointer, NULL is null
 * Options: NULLABLE(v)				may be null from version v on
 *			TAGGED(v, t)			a tagged field with tag t from version v on
 *			DEFAULT(d)				what the field is where it is absent; for
 *									strings, arrays and options -1 is null and
 *									0 (the default) empty
 *
 * Header files of messages only declare; messages.c defines
 * KAFKA_DEFINE_SCHEMAS to make the tables.
 *
 * Siblings: schema.h (the types), messages/ (the lists).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGE_ROWS_H
#define KAFKA_MESSAGE_ROWS_H

#include "kafka/schema.h"

/* The last version of a field that no version has dropped so far. */
#define LATEST	127

/* options of a row */
#define NULLABLE(v)		.null_from = (v) + 1
#define TAGGED(v, t)	.tag_from = (v) + 1, .tag = (t)
#define DEFAULT(d)		.dflt = (d)

/* C types of members */
#define KAFKA_C_BOOL	bool
#define KAFKA_C_INT8	int8
#define KAFKA_C_INT16	int16
#define KAFKA_C_UINT16	uint16
#define KAFKA_C_INT32	int32
#define KAFKA_C_INT64	int64
#define KAFKA_C_FLOAT64 double
#define KAFKA_C_UUID	KafkaUuid
#define KAFKA_C_STRING	KafkaString
#define KAFKA_C_BYTES	KafkaString
#define KAFKA_C_RECORDS KafkaRecords
#define KAFKA_C_ARRAY(T)	struct { T *items; int32 n; }
#define KAFKA_C_LIST(t)		struct { KAFKA_C_##t *items; int32 n; }
#define KAFKA_C_STRUCT(T)	T
#define KAFKA_C_OPTION(T)	T *

/* rows of tables */
#define KAFKA_R_BOOL	.type = KAFKA_BOOL
#define KAFKA_R_INT8	.type = KAFKA_INT8
#define KAFKA_R_INT16	.type = KAFKA_INT16
#define KAFKA_R_UINT16	.type = KAFKA_UINT16
#define KAFKA_R_INT32	.type = KAFKA_INT32
#define KAFKA_R_INT64	.type = KAFKA_INT64
#define KAFKA_R_FLOAT64 .type = KAFKA_FLOAT64
#define KAFKA_R_UUID	.type = KAFKA_UUID
#define KAFKA_R_STRING	.type = KAFKA_STRING
#define KAFKA_R_BYTES	.type = KAFKA_BYTES
#define KAFKA_R_RECORDS .type = KAFKA_RECORDS
#define KAFKA_R_ARRAY(T)	.type = KAFKA_ARRAY, .elem = kafka_schema_##T
#define KAFKA_R_LIST(t)		.type = KAFKA_LIST, .item = KAFKA_##t
#define KAFKA_R_STRUCT(T)	.type = KAFKA_STRUCT_IN_PLACE, .elem = kafka_schema_##T
#define KAFKA_R_OPTION(T)	.type = KAFKA_OPTION, .elem = kafka_schema_##T

/* expansions of one list */
#define KAFKA_MEMBER(t, n, lo, hi, ...) KAFKA_C_##t n;
#define KAFKA_ROW(t, n, lo, hi, ...) \
	{ .name = #n, .offset = offsetof(self, n), .min = lo, .max = hi, \
	.is_error = __builtin_strcmp(#n, "error_code") == 0, KAFKA_R_##t, __VA_ARGS__ },

#define KAFKA_DECLARE(Name, ROWS) \
	typedef struct Name { ROWS(KAFKA_MEMBER) } Name; \
	extern const KafkaSchema *kafka_schema_##Name(void);

#ifdef KAFKA_DEFINE_SCHEMAS
#define KAFKA_STRUCT(Name, ROWS) \
	KAFKA_DECLARE(Name, ROWS) \
	const KafkaSchema * \
	kafka_schema_##Name(void) \
	{ \
		typedef Name self; \
		static const KafkaField fields[] = { ROWS(KAFKA_ROW) }; \
		static const KafkaSchema schema = { #Name, fields, lengthof(fields), sizeof(self) }; \
		return &schema; \
	}
#else
#define KAFKA_STRUCT(Name, ROWS) KAFKA_DECLARE(Name, ROWS)
#endif

#endif							/* KAFKA_MESSAGE_ROWS_H */
