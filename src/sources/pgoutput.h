/*-------------------------------------------------------------------------
 *
 * pgoutput.h
 *	  Messages of the output plugin pgoutput (protocol version 2), as they come
 *	  from a server that need not be trusted.
 *
 *	  Pure: neither memory nor server.  pt_pgoutput_read() checks a message to
 *	  its last byte, so that what goes over its columns and values afterwards
 *	  cannot run out of it.  All pointers are into the message.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SOURCES_PGOUTPUT_H
#define PT_SOURCES_PGOUTPUT_H

#include "counted.h"

/* Most columns that a table of the server can have. */
#define PT_PGOUTPUT_COLUMNS_MAX	1664

typedef enum PtPgoutputType
{
	PT_PGOUTPUT_BEGIN = 'B',
	PT_PGOUTPUT_COMMIT = 'C',
	PT_PGOUTPUT_ORIGIN = 'O',
	PT_PGOUTPUT_RELATION = 'R',
	PT_PGOUTPUT_TYPE = 'Y',
	PT_PGOUTPUT_INSERT = 'I',
	PT_PGOUTPUT_UPDATE = 'U',
	PT_PGOUTPUT_DELETE = 'D',
	PT_PGOUTPUT_TRUNCATE = 'T',
	PT_PGOUTPUT_MESSAGE = 'M',
	PT_PGOUTPUT_STREAM_START = 'S',
	PT_PGOUTPUT_STREAM_STOP = 'E',
	PT_PGOUTPUT_STREAM_COMMIT = 'c',
	PT_PGOUTPUT_STREAM_ABORT = 'A'
} PtPgoutputType;

/* Values of a row, in the order of the table's columns. */
typedef struct PtPgoutputTuple
{
	char		kind;			/* 'N': new; 'K': key of the old row; 'O': the
								 * old row; 0: there is none */
	int			n;
	const char *values;			/* for pt_pgoutput_value() */
} PtPgoutputTuple;

typedef struct PtPgoutput
{
	PtPgoutputType type;
	uint64		lsn;			/* BEGIN: of the commit record; COMMITs: the
								 * same; MESSAGE: where it is */
	uint64		end_lsn;		/* COMMIT: behind the commit record */
	int64		time;			/* BEGIN, COMMIT: microseconds since 2000 */
	uint32		xid;			/* BEGIN, STREAM_xxx; what is streamed: of the
								 * subtransaction */
	uint32		subxid;			/* STREAM_ABORT: the same as xid for all of it */
	uint32		id;				/* RELATION, changes: of the table; TYPE: of
								 * the type */
	const char *schema;			/* RELATION, TYPE: terminated; "" is
								 * pg_catalog */
	const char *name;			/* RELATION, TYPE, ORIGIN: terminated */
	char		identity;		/* RELATION: replica identity */
	int			ncolumns;		/* RELATION */
	const char *columns;		/* RELATION: for pt_pgoutput_column() */
	PtPgoutputTuple old;		/* UPDATE, DELETE */
	PtPgoutputTuple new;		/* INSERT, UPDATE */
	int			ntables;		/* TRUNCATE */
	const char *tables;			/* TRUNCATE: for pt_pgoutput_table() */
	bool		transactional;	/* MESSAGE */
	const char *prefix;			/* MESSAGE: terminated */
	PtString	content;		/* MESSAGE */
} PtPgoutput;

typedef struct PtPgoutputColumn
{
	bool		is_key;			/* of the replica identity */
	const char *name;			/* terminated */
	uint32		type;			/* OID at the other server */
	int32		typmod;
} PtPgoutputColumn;

typedef enum PtPgoutputKind
{
	PT_VALUE_NULL = 'n',
	PT_VALUE_UNCHANGED = 'u',	/* a TOASTed value that is not sent again */
	PT_VALUE_TEXT = 't'
} PtPgoutputKind;

typedef struct PtPgoutputValue
{
	PtPgoutputKind kind;
	PtString text;
} PtPgoutputValue;

extern bool pt_pgoutput_read_streamed(const char *data, size_t len, PtPgoutput *message);
extern bool pt_pgoutput_read(const char *data, size_t len, PtPgoutput *message);
extern const char *pt_pgoutput_column(const char *p, PtPgoutputColumn *column);
extern const char *pt_pgoutput_value(const char *p, PtPgoutputValue *value);
extern const char *pt_pgoutput_table(const char *p, uint32 *table);

#endif							/* PT_SOURCES_PGOUTPUT_H */
