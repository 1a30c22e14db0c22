/*-------------------------------------------------------------------------
 *
 * test_pgoutput.c
 *	  Messages of pgoutput: each type is read as it was written, and whatever
 *	  is cut off, longer, or random is refused or read within its bounds.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
/* sources: src/sources/pgoutput.c */
#include "test.h"

#include "port/pg_bswap.h"
#include "sources/pgoutput.h"

/* A message in the making. */
static char message[512];
static size_t message_len;

static void
put(const void *data, size_t len)
{
	memcpy(message + message_len, data, len);
	message_len += len;
}

static void
put_byte(char c)
{
	put(&c, 1);
}

static void
put16(uint16 n)
{
	n = pg_hton16(n);
	put(&n, sizeof(n));
}

static void
put32(uint32 n)
{
	n = pg_hton32(n);
	put(&n, sizeof(n));
}

static void
put64(uint64 n)
{
	n = pg_hton64(n);
	put(&n, sizeof(n));
}

static void
put_string(const char *s)
{
	put(s, strlen(s) + 1);
}

/* In a piece of a transaction in progress: an xid behind the type. */
static bool streamed;

static void
begin(char type)
{
	message_len = 0;
	put_byte(type);
	if (streamed && strchr("RYIUDTM", type) != NULL)
		put32(711);
}

/* A row: n for null, u for unchanged, other letters for themselves. */
static void
put_tuple(char kind, const char *values)
{
	put_byte(kind);
	put16(strlen(values));
	for (const char *v = values; *v; v++)
	{
		if (*v == 'n' || *v == 'u')
		{
			put_byte(*v);
			continue;
		}
		put_byte('t');
		put32(1);
		put_byte(*v);
	}
}

/*
 * Reads bytes that are in a block of their own, so that the address sanitizer
 * sees who reads beyond them; then all that can be gone over.
 */
static bool
read_alone(const char *data, size_t len)
{
	char	   *copy = pg_malloc(len > 0 ? len : 1);
	PtPgoutput	m;
	bool		good;

	memcpy(copy, data, len);
	good = streamed ? pt_pgoutput_read_streamed(copy, len, &m) : pt_pgoutput_read(copy, len, &m);
	if (good)
	{
		const char *p = m.columns;
		PtPgoutputColumn column;
		PtPgoutputValue value;
		uint32		table;

		for (int i = 0; i < m.ncolumns; i++)
			p = pt_pgoutput_column(p, &column);
		p = m.old.values;
		for (int i = 0; i < m.old.n; i++)
			p = pt_pgoutput_value(p, &value);
		p = m.new.values;
		for (int i = 0; i < m.new.n; i++)
			p = pt_pgoutput_value(p, &value);
		p = m.tables;
		for (int i = 0; i < m.ntables; i++)
			p = pt_pgoutput_table(p, &table);
	}
	pg_free(copy);
	return good;
}

/* Nothing shorter or longer than the message is one. */
static void
check_bounds(void)
{
	CHECK(read_alone(message, message_len));
	for (size_t len = 0; len < message_len; len++)
	{
		SAY("type %c, %d of %d bytes", message[0], (int) len, (int) message_len);
		CHECK(!read_alone(message, len));
	}
	message[message_len] = 'x';
	SAY("type %c, a byte more", message[0]);
	CHECK(!read_alone(message, message_len + 1));
}

static void
make_relation(void)
{
	begin('R');
	put32(16384);
	put_string("public");
	put_string("orders");
	put_byte('d');
	put16(2);
	put_byte(1);
	put_string("id");
	put32(23);
	put32(-1);
	put_byte(0);
	put_string("note");
	put32(25);
	put32(-1);
}

static void
make_update(void)
{
	begin('U');
	put32(16384);
	put_tuple('K', "1n");
	put_tuple('N', "2u");
}

static void
make_message(void)
{
	begin('M');
	put_byte(1);
	put64(77);
	put_string("outbox");
	put32(5);
	put("a\0b\0c", 5);
}

static void
test_transaction(void)
{
	PtPgoutput	m;

	begin('B');
	put64(1000);
	put64(-5);
	put32(700);
	check_bounds();
	CHECK(pt_pgoutput_read(message, message_len, &m));
	CHECK_INT(m.type, PT_PGOUTPUT_BEGIN);
	CHECK_INT(m.lsn, 1000);
	CHECK_INT(m.time, -5);
	CHECK_INT(m.xid, 700);

	begin('C');
	put_byte(0);
	put64(1000);
	put64(1040);
	put64(9);
	check_bounds();
	CHECK(pt_pgoutput_read(message, message_len, &m));
	CHECK_INT(m.lsn, 1000);
	CHECK_INT(m.end_lsn, 1040);
	CHECK_INT(m.time, 9);

	begin('O');
	put64(5);
	put_string("elsewhere");
	check_bounds();
}

static void
test_relation(void)
{
	PtPgoutput	m;
	PtPgoutputColumn column;
	const char *p;

	make_relation();
	check_bounds();
	CHECK(pt_pgoutput_read(message, message_len, &m));
	CHECK_INT(m.id, 16384);
	CHECK(strcmp(m.schema, "public") == 0 && strcmp(m.name, "orders") == 0);
	CHECK_INT(m.identity, 'd');
	CHECK_INT(m.ncolumns, 2);
	p = pt_pgoutput_column(m.columns, &column);
	CHECK(column.is_key && strcmp(column.name, "id") == 0 && column.type == 23);
	p = pt_pgoutput_column(p, &column);
	CHECK(!column.is_key && strcmp(column.name, "note") == 0 && column.type == 25);
	CHECK(p == message + message_len);

	begin('Y');
	put32(20000);
	put_string("public");
	put_string("mood");
	check_bounds();
}

static void
test_changes(void)
{
	PtPgoutput	m;
	PtPgoutputValue value;
	const char *p;

	make_update();
	check_bounds();
	CHECK(pt_pgoutput_read(message, message_len, &m));
	CHECK_INT(m.old.kind, 'K');
	CHECK_INT(m.old.n, 2);
	CHECK_INT(m.new.n, 2);
	p = pt_pgoutput_value(m.new.values, &value);
	CHECK(value.kind == PT_VALUE_TEXT && value.text.len == 1 && value.text.data[0] == '2');
	(void) pt_pgoutput_value(p, &value);
	CHECK_INT(value.kind, PT_VALUE_UNCHANGED);

	begin('I');
	put32(16384);
	put_tuple('N', "1n");
	check_bounds();
	message[5] = 'O';			/* an INSERT has no old row */
	CHECK(!read_alone(message, message_len));

	begin('D');
	put32(16384);
	put_tuple('O', "1n");
	check_bounds();
	message[5] = 'N';			/* and a DELETE no new one */
	CHECK(!read_alone(message, message_len));

	begin('T');
	put32(2);
	put_byte(0);
	put32(1);
	put32(2);
	check_bounds();
}

static void
test_message(void)
{
	PtPgoutput	m;

	make_message();
	check_bounds();
	CHECK(pt_pgoutput_read(message, message_len, &m));
	CHECK(m.transactional);
	CHECK_INT(m.lsn, 77);
	CHECK(strcmp(m.prefix, "outbox") == 0);
	CHECK_BYTES(m.content.data, m.content.len, "a\0b\0c", 5);
}

static void
test_streamed(void)
{
	PtPgoutput	m;

	begin('S');
	put32(700);
	put_byte(1);
	check_bounds();
	CHECK(pt_pgoutput_read(message, message_len, &m));
	CHECK_INT(m.xid, 700);
	begin('E');
	check_bounds();
	begin('A');
	put32(700);
	put32(711);
	check_bounds();
	CHECK(pt_pgoutput_read(message, message_len, &m));
	CHECK_INT(m.xid, 700);
	CHECK_INT(m.subxid, 711);
	begin('c');
	put32(700);
	put_byte(0);
	put64(1000);
	put64(1040);
	put64(9);
	check_bounds();
	CHECK(pt_pgoutput_read(message, message_len, &m));
	CHECK_INT(m.xid, 700);
	CHECK_INT(m.end_lsn, 1040);

	streamed = true;
	make_relation();
	check_bounds();
	make_update();
	check_bounds();
	CHECK(pt_pgoutput_read_streamed(message, message_len, &m));
	CHECK_INT(m.xid, 711);
	CHECK_INT(m.id, 16384);
	make_message();
	check_bounds();
	begin('E');
	check_bounds();
	begin('B');					/* no transaction begins in a piece of one */
	put64(1000);
	put64(-5);
	put32(700);
	CHECK(!read_alone(message, message_len));
	streamed = false;
}

/* Lengths and counts that lie. */
static void
test_lies(void)
{
	static const uint32 lies[] = {2, 1000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF};

	for (int i = 0; i < lengthof(lies); i++)
	{
		SAY("%u", lies[i]);
		begin('I');
		put32(1);
		put_byte('N');
		put16(1);
		put_byte('t');
		put32(lies[i]);
		put_byte('x');
		CHECK(!read_alone(message, message_len));
		begin('T');
		put32(lies[i]);
		put_byte(0);
		put32(1);
		CHECK(!read_alone(message, message_len));
		begin('M');
		put_byte(0);
		put64(1);
		put_string("p");
		put32(lies[i]);
		put_byte('x');
		CHECK(!read_alone(message, message_len));
	}
	begin('I');
	put32(1);
	put_byte('N');
	put16(0xFFFF);
	CHECK(!read_alone(message, message_len));
	begin('I');
	put32(1);
	put_byte('N');
	put16(1);
	put_byte('b');				/* binary was not asked for */
	put32(1);
	put_byte('x');
	CHECK(!read_alone(message, message_len));
}

static void
test_damaged(void)
{
	static const char types[] = "BCORYIUDTMSEcAx\0";
	uint64		state = 12345;

	for (int i = 0; i < 300000; i++)
	{
		int			changes;

		if (i % 3 == 0)
			make_relation();
		else if (i % 3 == 1)
			make_update();
		else
			make_message();
		changes = i % 7;
		for (int j = 0; j < changes; j++)
		{
			uint64		r = test_random(&state);

			message[(r >> 8) % message_len] = (char) r;
		}
		if (changes == 6)
			message[0] = types[test_random(&state) % sizeof(types)];
		streamed = i % 2 == 0;
		(void) read_alone(message, message_len - test_random(&state) % 3);
		streamed = false;
	}
	CHECK(true);
}

int
main(void)
{
	RUN(test_transaction);
	RUN(test_relation);
	RUN(test_changes);
	RUN(test_message);
	RUN(test_streamed);
	RUN(test_lies);
	RUN(test_damaged);
	return test_done();
}
