/*-------------------------------------------------------------------------
 *
 * pgoutput.c
 *	  Reads messages of pgoutput.
 *
 * A cursor goes over the message; when it would run out it stops at the end
 * and is no longer good, and whatever is read then is zero.  So only the end
 * result has to be looked at.
 *
 * Siblings: pgoutput.h; stream.c gets the messages.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "port/pg_bswap.h"

#include "sources/pgoutput.h"

typedef struct Cursor
{
	const char *p;
	const char *end;
	bool		good;
} Cursor;

/*
 * Takes n bytes; NULL when there are not so many left.
 */
static const char *
take(Cursor *c, size_t n)
{
	const char *p = c->p;

	Assert(c->p <= c->end);
	if (!c->good || n > (size_t) (c->end - c->p))
	{
		c->good = false;
		return NULL;
	}
	c->p += n;
	return p;
}

static char
take_byte(Cursor *c)
{
	const char *p = take(c, 1);

	return p ? *p : '\0';
}

static uint16
take_uint16(Cursor *c)
{
	const char *p = take(c, sizeof(uint16));
	uint16		value = 0;

	if (p != NULL)
		memcpy(&value, p, sizeof(value));
	return pg_ntoh16(value);
}

static uint32
take_uint32(Cursor *c)
{
	const char *p = take(c, sizeof(uint32));
	uint32		value = 0;

	if (p != NULL)
		memcpy(&value, p, sizeof(value));
	return pg_ntoh32(value);
}

static uint64
take_uint64(Cursor *c)
{
	const char *p = take(c, sizeof(uint64));
	uint64		value = 0;

	if (p != NULL)
		memcpy(&value, p, sizeof(value));
	return pg_ntoh64(value);
}

/*
 * Takes a string up to its zero byte; "" when there is none.
 */
static const char *
take_string(Cursor *c)
{
	const char *p = c->p;

	for (const char *at = p; c->good && at < c->end; at++)
	{
		if (*at == '\0')
		{
			c->p = at + 1;
			return p;
		}
	}
	c->good = false;
	return "";
}

/*
 * Takes a number of things that need at least "each" bytes each.
 */
static int
take_count(Cursor *c, uint32 n, size_t each, uint32 max)
{
	Assert(each > 0);
	if (n > max || n > (size_t) (c->end - c->p) / each)
		c->good = false;
	return c->good ? (int) n : 0;
}

static void
take_column(Cursor *c, PtPgoutputColumn *column)
{
	column->is_key = (take_byte(c) & 1) != 0;
	column->name = take_string(c);
	column->type = take_uint32(c);
	column->typmod = (int32) take_uint32(c);
}

static void
take_value(Cursor *c, PtPgoutputValue *value)
{
	char		kind = take_byte(c);
	uint32		len;

	value->text = PT_STRING_NULL;
	value->kind = PT_VALUE_NULL;
	switch (kind)
	{
		case PT_VALUE_NULL:
			break;
		case PT_VALUE_UNCHANGED:
			value->kind = PT_VALUE_UNCHANGED;
			break;
		case PT_VALUE_TEXT:
			len = take_uint32(c);
			value->text.data = take(c, len);
			if (value->text.data == NULL || len > PG_INT32_MAX)
			{
				c->good = false;
				break;
			}
			value->text.len = (int32) len;
			value->kind = PT_VALUE_TEXT;
			break;
		default:				/* binary ones were not asked for */
			c->good = false;
	}
}

/*
 * Takes the values of a row, whose kind has been read.
 */
static void
take_tuple(Cursor *c, char kind, PtPgoutputTuple *tuple)
{
	PtPgoutputValue value;

	tuple->kind = kind;
	tuple->n = take_count(c, take_uint16(c), 1, PT_PGOUTPUT_COLUMNS_MAX);
	tuple->values = c->p;
	for (int i = 0; c->good && i < tuple->n; i++)
		take_value(c, &value);
}

static void
take_relation(Cursor *c, PtPgoutput *m)
{
	PtPgoutputColumn column;

	m->id = take_uint32(c);
	m->schema = take_string(c);
	m->name = take_string(c);
	m->identity = take_byte(c);
	m->ncolumns = take_count(c, take_uint16(c), 10, PT_PGOUTPUT_COLUMNS_MAX);
	m->columns = c->p;
	for (int i = 0; c->good && i < m->ncolumns; i++)
		take_column(c, &column);
}

static void
take_change(Cursor *c, PtPgoutput *m)
{
	char		kind;

	m->id = take_uint32(c);
	kind = take_byte(c);
	if (m->type != PT_PGOUTPUT_INSERT && (kind == 'K' || kind == 'O'))
	{
		take_tuple(c, kind, &m->old);
		kind = m->type == PT_PGOUTPUT_UPDATE ? take_byte(c) : '\0';
	}
	else if (m->type == PT_PGOUTPUT_DELETE)
		c->good = false;
	if (m->type == PT_PGOUTPUT_DELETE)
		return;
	if (kind == 'N')
		take_tuple(c, kind, &m->new);
	else
		c->good = false;
}

static void
take_truncate(Cursor *c, PtPgoutput *m)
{
	uint32		n = take_uint32(c);

	(void) take_byte(c);		/* CASCADE, RESTART IDENTITY */
	m->ntables = take_count(c, n, sizeof(uint32), PG_INT32_MAX);
	m->tables = c->p;
	(void) take(c, m->ntables * sizeof(uint32));
}

static void
take_message(Cursor *c, PtPgoutput *m)
{
	uint32		len;

	m->transactional = (take_byte(c) & 1) != 0;
	m->lsn = take_uint64(c);
	m->prefix = take_string(c);
	len = take_uint32(c);
	m->content.data = take(c, len);
	if (len > PG_INT32_MAX)
		c->good = false;
	m->content.len = c->good ? (int32) len : 0;
}

static void
take_begin(Cursor *c, PtPgoutput *m)
{
	m->lsn = take_uint64(c);
	m->time = (int64) take_uint64(c);
	m->xid = take_uint32(c);
}

static void
take_commit(Cursor *c, PtPgoutput *m)
{
	if (m->type == PT_PGOUTPUT_STREAM_COMMIT)
		m->xid = take_uint32(c);
	(void) take_byte(c);		/* flags */
	m->lsn = take_uint64(c);
	m->end_lsn = take_uint64(c);
	m->time = (int64) take_uint64(c);
}

/*
 * Takes what follows the type of a message that is in no piece of a
 * transaction in progress, or that may be in one.
 */
static void
take_rest(Cursor *c, PtPgoutput *message)
{
	switch (message->type)
	{
		case PT_PGOUTPUT_BEGIN:
			take_begin(c, message);
			break;
		case PT_PGOUTPUT_COMMIT:
		case PT_PGOUTPUT_STREAM_COMMIT:
			take_commit(c, message);
			break;
		case PT_PGOUTPUT_STREAM_START:
			message->xid = take_uint32(c);
			(void) take_byte(c);	/* is it the first piece? */
			break;
		case PT_PGOUTPUT_STREAM_STOP:
			break;
		case PT_PGOUTPUT_STREAM_ABORT:
			message->xid = take_uint32(c);
			message->subxid = take_uint32(c);
			break;
		case PT_PGOUTPUT_ORIGIN:
			(void) take_uint64(c);
			message->name = take_string(c);
			break;
		case PT_PGOUTPUT_RELATION:
			take_relation(c, message);
			break;
		case PT_PGOUTPUT_TYPE:
			message->id = take_uint32(c);
			message->schema = take_string(c);
			message->name = take_string(c);
			break;
		case PT_PGOUTPUT_INSERT:
		case PT_PGOUTPUT_UPDATE:
		case PT_PGOUTPUT_DELETE:
			take_change(c, message);
			break;
		case PT_PGOUTPUT_TRUNCATE:
			take_truncate(c, message);
			break;
		case PT_PGOUTPUT_MESSAGE:
			take_message(c, message);
			break;
		default:
			c->good = false;
	}
}

/*
 * Reads a message; false if it is none, or not one of protocol version 2.
 * What a type does not have is zero.
 */
bool
pt_pgoutput_read(const char *data, size_t len, PtPgoutput *message)
{
	Cursor		c = {data, data + len, true};

	memset(message, 0, sizeof(*message));
	message->type = (PtPgoutputType) (unsigned char) take_byte(&c);
	take_rest(&c, message);
	return c.good && c.p == c.end;
}

/*
 * The same for one in a piece of a transaction in progress.  All but the end
 * of the piece, and the origin, have the subtransaction's xid behind the type.
 */
bool
pt_pgoutput_read_streamed(const char *data, size_t len, PtPgoutput *message)
{
	Cursor		c = {data, data + len, true};

	memset(message, 0, sizeof(*message));
	message->type = (PtPgoutputType) (unsigned char) take_byte(&c);
	switch (message->type)
	{
		case PT_PGOUTPUT_RELATION:
		case PT_PGOUTPUT_TYPE:
		case PT_PGOUTPUT_INSERT:
		case PT_PGOUTPUT_UPDATE:
		case PT_PGOUTPUT_DELETE:
		case PT_PGOUTPUT_TRUNCATE:
		case PT_PGOUTPUT_MESSAGE:
			message->xid = take_uint32(&c);
			break;
		case PT_PGOUTPUT_ORIGIN:
		case PT_PGOUTPUT_STREAM_STOP:
			break;
		default:
			return false;
	}
	take_rest(&c, message);
	return c.good && c.p == c.end;
}

/* A cursor over what has been checked. */
#define CHECKED(p)	{(p), (p) + PG_INT32_MAX, true}

/*
 * Reads a column of a message that has been read, and returns where the next
 * one is.
 */
const char *
pt_pgoutput_column(const char *p, PtPgoutputColumn *column)
{
	Cursor		c = CHECKED(p);

	take_column(&c, column);
	Assert(c.good);
	return c.p;
}

/*
 * The same for a value.
 */
const char *
pt_pgoutput_value(const char *p, PtPgoutputValue *value)
{
	Cursor		c = CHECKED(p);

	take_value(&c, value);
	Assert(c.good);
	return c.p;
}

/*
 * The same for a table that is truncated.
 */
const char *
pt_pgoutput_table(const char *p, uint32 *table)
{
	Cursor		c = CHECKED(p);

	*table = take_uint32(&c);
	Assert(c.good);
	return c.p;
}
