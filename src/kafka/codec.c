/*-------------------------------------------------------------------------
 *
 * codec.c
 *	  The interpreter of field tables: bytes to structs and back.
 *
 * The reader never trusts a length.  It checks strings and tagged fields
 * against the bytes left.  It checks the count of an array against the bytes
 * left divided by the least size of an element, before it asks for memory.
 * The memory of one message has a budget.  The depth of recursion is that of
 * the schema, whatever the bytes say.
 *
 * The encoding is that of the Kafka protocol guide; flexible versions (compact
 * lengths, tagged fields) are those of KIP-482.
 *
 * Siblings: schema.h, codec.h, frame.c, messages/.
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

#include "kafka/codec.h"

#define ARENA_CHUNK		4096

/* The most bytes that a field of fixed size (a uuid) or a length takes. */
#define FIXED_MAX		16

/* The most bytes of a varint of 32 bits. */
#define VARINT_MAX		5

typedef struct Reader
{
	const uint8 *pos;
	const uint8 *end;			/* of what is being read: the message, or a
								 * tagged field */
	int16		version;
	bool		flexible;
	KafkaArena *arena;
	const char *problem;		/* first thing that was wrong */
} Reader;

static bool read_struct(Reader *r, const KafkaSchema *schema, char *out);
static void write_struct(KafkaWriter *w, const KafkaSchema *schema, const char *in);

/*
 * Returns the size in memory of an item of a LIST and of a field of fixed
 * size.  On the wire only strings and bytes have another one.
 */
static size_t
type_size(KafkaType type)
{
	switch (type)
	{
		case KAFKA_BOOL:
			return sizeof(bool);
		case KAFKA_INT8:
			return 1;
		case KAFKA_INT16:
		case KAFKA_UINT16:
			return 2;
		case KAFKA_INT32:
			return 4;
		case KAFKA_INT64:
		case KAFKA_FLOAT64:
			return 8;
		case KAFKA_UUID:
			return sizeof(KafkaUuid);
		case KAFKA_STRING:
		case KAFKA_BYTES:
			return sizeof(KafkaString);
		default:
			break;
	}
	Assert(false);				/* no list of anything else */
	return 0;
}

/*
 * Memory
 */

/*
 * Returns aligned memory, not zeroed.  Returns NULL if the budget or the
 * memory is used up.
 */
void *
kafka_arena_alloc(KafkaArena *arena, size_t size)
{
	char	   *result;

	size = TYPEALIGN(MAXIMUM_ALIGNOF, size);
	if (size > arena->budget)
		return NULL;
	arena->budget -= size;

	if (size > arena->left)
	{
		/*
		 * A large piece gets its own chunk.  The rest of the current chunk
		 * stays in use.
		 */
		if (size > ARENA_CHUNK / 4)
			return arena->alloc(arena->arg, size);
		arena->free = arena->alloc(arena->arg, ARENA_CHUNK);
		arena->left = arena->free ? ARENA_CHUNK : 0;
		if (arena->free == NULL)
			return NULL;
	}
	Assert(arena->left >= size);
	result = arena->free;
	arena->free += size;
	arena->left -= size;
	return result;
}

/*
 * Defaults
 */

/*
 * Sets a field to its default.  A null array has n -1.
 */
static void
set_default(const KafkaField *f, char *out)
{
	switch ((KafkaType) f->type)
	{
		case KAFKA_BOOL:
			*(bool *) out = f->dflt != 0;
			break;
		case KAFKA_INT8:
			*(int8 *) out = (int8) f->dflt;
			break;
		case KAFKA_INT16:
		case KAFKA_UINT16:
			*(int16 *) out = (int16) f->dflt;
			break;
		case KAFKA_INT32:
			*(int32 *) out = (int32) f->dflt;
			break;
		case KAFKA_INT64:
			*(int64 *) out = f->dflt;
			break;
		case KAFKA_FLOAT64:
			*(double *) out = (double) f->dflt;
			break;
		case KAFKA_UUID:
			memset(out, 0, sizeof(KafkaUuid));
			break;
		case KAFKA_STRING:
		case KAFKA_BYTES:
			((KafkaString *) out)->data = "";
			((KafkaString *) out)->len = (int32) f->dflt;
			break;
		case KAFKA_RECORDS:
			*(KafkaRecords *) out = (KafkaRecords)
			{
				"", (int32) f->dflt, NULL
			};
			break;
		case KAFKA_ARRAY:
		case KAFKA_LIST:
			((KafkaArray *) out)->items = NULL;
			((KafkaArray *) out)->n = (int32) f->dflt;
			break;
		case KAFKA_STRUCT_IN_PLACE:
			kafka_defaults(f->elem(), out, 1);
			break;
		case KAFKA_OPTION:
			*(void **) out = NULL;
			break;
	}
}

/*
 * Fills n structs with their defaults.
 */
void
kafka_defaults(const KafkaSchema *schema, void *out, int n)
{
	char	   *p = out;

	Assert(n >= 0);
	for (int i = 0; i < n; i++, p += schema->size)
	{
		for (int j = 0; j < schema->nfields; j++)
			set_default(&schema->fields[j], p + schema->fields[j].offset);
	}
}

static bool is_default(const KafkaField *f, const char *in);

static bool
struct_is_default(const KafkaSchema *schema, const char *in)
{
	for (int i = 0; i < schema->nfields; i++)
	{
		if (!is_default(&schema->fields[i], in + schema->fields[i].offset))
			return false;
	}
	return true;
}

/*
 * Returns true if a field has its default.  Only other tagged fields are
 * written.
 */
static bool
is_default(const KafkaField *f, const char *in)
{
	static const KafkaUuid zero;

	switch ((KafkaType) f->type)
	{
		case KAFKA_BOOL:
			return *(const bool *) in == (f->dflt != 0);
		case KAFKA_INT8:
			return *(const int8 *) in == (int8) f->dflt;
		case KAFKA_INT16:
		case KAFKA_UINT16:
			return *(const int16 *) in == (int16) f->dflt;
		case KAFKA_INT32:
			return *(const int32 *) in == (int32) f->dflt;
		case KAFKA_INT64:
			return *(const int64 *) in == f->dflt;
		case KAFKA_FLOAT64:
			return *(const double *) in == (double) f->dflt;
		case KAFKA_UUID:
			return memcmp(in, &zero, sizeof(zero)) == 0;
		case KAFKA_STRING:
		case KAFKA_BYTES:
			return ((const KafkaString *) in)->len == f->dflt;
		case KAFKA_RECORDS:
			return ((const KafkaRecords *) in)->len == f->dflt;
		case KAFKA_ARRAY:
		case KAFKA_LIST:
			return ((const KafkaArray *) in)->n == f->dflt;
		case KAFKA_STRUCT_IN_PLACE:
			return struct_is_default(f->elem(), in);
		case KAFKA_OPTION:
			return *(void *const *) in == NULL;
	}
	return false;
}

/*
 * Reading
 */

/*
 * Notes the first problem.  Always returns false.
 */
static bool
fail(Reader *r, const char *problem)
{
	if (r->problem == NULL)
		r->problem = problem;
	return false;
}

/*
 * Returns the next n bytes and moves on, or NULL if there are not so many.
 */
static inline const uint8 *
take(Reader *r, size_t n)
{
	const uint8 *p = r->pos;

	Assert(r->pos <= r->end);
	if (unlikely((size_t) (r->end - p) < n))
	{
		fail(r, "message is truncated");
		return NULL;
	}
	r->pos = p + n;
	return p;
}

/*
 * The get functions read big-endian integers.
 */
static inline uint16
get16(const uint8 *p)
{
	uint16		v;

	memcpy(&v, p, sizeof(v));
	return pg_ntoh16(v);
}

static inline uint32
get32(const uint8 *p)
{
	uint32		v;

	memcpy(&v, p, sizeof(v));
	return pg_ntoh32(v);
}

static inline uint64
get64(const uint8 *p)
{
	uint64		v;

	memcpy(&v, p, sizeof(v));
	return pg_ntoh64(v);
}

/*
 * Reads an unsigned varint (Protocol Buffers' encoding).  Returns the number
 * of bytes used, or 0 if it is cut short or does not fit 32 bits.  Reads no
 * byte at or after "end".
 */
int
kafka_varint_read(const uint8 *pos, const uint8 *end, uint32 *value)
{
	uint32		v = 0;

	for (int i = 0; i < 5 && pos + i < end; i++)
	{
		uint8		b = pos[i];

		if (i == 4 && b > 0x0f)
			return 0;			/* more than 32 bits */
		v |= (uint32) (b & 0x7f) << (7 * i);
		if ((b & 0x80) == 0)
		{
			*value = v;
			return i + 1;
		}
	}
	return 0;
}

static bool
read_varint(Reader *r, uint32 *value)
{
	int			used;

	if (likely(r->pos < r->end && *r->pos < 0x80))
	{
		*value = *r->pos++;
		return true;
	}
	used = kafka_varint_read(r->pos, r->end, value);
	if (used == 0)
		return fail(r, "variable-length integer is invalid");
	r->pos += used;
	return true;
}

/*
 * Reads the length of a string or of bytes, or the count of an array: an
 * int16 (is_short) or int32; in flexible versions a varint that is one more.
 * -1 is null.
 */
static bool
read_length(Reader *r, bool is_short, bool nullable, int32 *length)
{
	const uint8 *p;
	uint32		v;

	if (r->flexible)
	{
		if (!read_varint(r, &v))
			return false;
		if (v > (uint32) PG_INT32_MAX)
			return fail(r, "length is out of range");
		*length = (int32) v - 1;
	}
	else
	{
		if ((p = take(r, is_short ? 2 : 4)) == NULL)
			return false;
		*length = is_short ? (int16) get16(p) : (int32) get32(p);
	}
	if (*length < -1)
		return fail(r, "length is negative");
	if (*length == -1 && !nullable)
		return fail(r, "null where no null is allowed");
	return true;
}

/*
 * Reads a string or bytes. *data points into the message, and is never NULL.
 */
static bool
read_bytes(Reader *r, bool is_short, bool nullable, const char **data, int32 *length)
{
	const uint8 *p;

	*data = "";
	if (!read_length(r, is_short, nullable, length))
		return false;
	if (*length > 0)
	{
		if ((p = take(r, *length)) == NULL)
			return false;
		*data = (const char *) p;
	}
	return true;
}

/*
 * Returns the least number of bytes that a value of this type takes on the
 * wire.
 */
static size_t
least_of_type(KafkaType type, bool flexible)
{
	switch (type)
	{
		case KAFKA_STRING:
			return flexible ? 1 : 2;
		case KAFKA_BYTES:
		case KAFKA_RECORDS:
		case KAFKA_ARRAY:
		case KAFKA_LIST:
			return flexible ? 1 : 4;
		case KAFKA_OPTION:
		case KAFKA_BOOL:
			return 1;
		default:
			return type_size(type);
	}
}

/*
 * The same of a struct: at least 1, so that it bounds the count of an array.
 */
static size_t
least_of_struct(const KafkaSchema *schema, int version, bool flexible)
{
	size_t		sum = flexible ? 1 : 0;

	for (int i = 0; i < schema->nfields; i++)
	{
		const KafkaField *f = &schema->fields[i];

		if (!kafka_field_present(f, version) || kafka_field_tagged(f, version))
			continue;
		if (f->type == KAFKA_STRUCT_IN_PLACE)
			sum += least_of_struct(f->elem(), version, flexible);
		else
			sum += least_of_type(f->type, flexible);
	}
	return Max(sum, 1);
}

/*
 * Reads the count of an array and gets memory for the items. "least" is the
 * least size of an item on the wire, "size" its size in memory.  Without
 * items, array->items is NULL.
 */
static bool
read_count(Reader *r, const KafkaField *f, size_t least, size_t size, KafkaArray *array)
{
	Assert(least > 0 && size > 0);
	array->items = NULL;
	if (!read_length(r, false, kafka_field_nullable(f, r->version), &array->n))
		return false;
	if (array->n <= 0)
		return true;
	if ((size_t) array->n > (size_t) (r->end - r->pos) / least)
		return fail(r, "array is longer than the message");
	array->items = kafka_arena_alloc(r->arena, size * array->n);
	if (array->items == NULL)
		return fail(r, "message has too many elements");
	return true;
}

static bool
read_array(Reader *r, const KafkaField *f, KafkaArray *array)
{
	const KafkaSchema *elem = f->elem();
	char	   *item;

	if (!read_count(r, f, least_of_struct(elem, r->version, r->flexible), elem->size, array))
		return false;
	item = array->items;
	for (int i = 0; i < array->n; i++, item += elem->size)
	{
		if (!read_struct(r, elem, item))
			return false;
	}
	return true;
}

/*
 * Reads a value of fixed size.
 */
static bool
read_primitive(Reader *r, KafkaType type, char *out)
{
	const uint8 *p = take(r, type_size(type));

	if (unlikely(p == NULL))
		return false;
	switch (type)
	{
		case KAFKA_BOOL:
			*(bool *) out = *p != 0;
			break;
		case KAFKA_INT8:
			*(int8 *) out = (int8) *p;
			break;
		case KAFKA_INT16:
		case KAFKA_UINT16:
			*(uint16 *) out = get16(p);
			break;
		case KAFKA_INT32:
			*(uint32 *) out = get32(p);
			break;
		case KAFKA_INT64:
		case KAFKA_FLOAT64:		/* same bits */
			*(uint64 *) out = get64(p);
			break;
		default:
			Assert(type == KAFKA_UUID);
			memcpy(out, p, sizeof(KafkaUuid));
			break;
	}
	return true;
}

/*
 * Reads a LIST.  Its items are never null.
 */
static bool
read_list(Reader *r, const KafkaField *f, KafkaArray *array)
{
	KafkaType	type = f->item;
	size_t		size = type_size(type);
	char	   *item;

	if (!read_count(r, f, least_of_type(type, r->flexible), size, array))
		return false;
	item = array->items;
	for (int i = 0; i < array->n; i++, item += size)
	{
		KafkaString *s = (KafkaString *) item;

		if (type == KAFKA_STRING || type == KAFKA_BYTES)
		{
			if (!read_bytes(r, type == KAFKA_STRING, false, &s->data, &s->len))
				return false;
		}
		else if (!read_primitive(r, type, item))
			return false;
	}
	return true;
}

/*
 * Reads a nullable struct.  A byte says whether the struct follows: 1, or -1
 * for null.
 */
static bool
read_option(Reader *r, const KafkaField *f, void **out)
{
	const KafkaSchema *elem = f->elem();
	const uint8 *p = take(r, 1);

	*out = NULL;
	if (p == NULL)
		return false;
	if ((int8) *p < 0)
		return kafka_field_nullable(f, r->version) || fail(r, "null where no null is allowed");
	*out = kafka_arena_alloc(r->arena, elem->size);
	if (*out == NULL)
		return fail(r, "message has too many elements");
	return read_struct(r, elem, *out);
}

/*
 * Reads one field, in the form of its type.
 */
static bool
read_field(Reader *r, const KafkaField *f, char *out)
{
	bool		nullable = kafka_field_nullable(f, r->version);
	KafkaString *string = (KafkaString *) out;
	KafkaRecords *records = (KafkaRecords *) out;

	switch ((KafkaType) f->type)
	{
		case KAFKA_STRING:
			return read_bytes(r, true, nullable, &string->data, &string->len);
		case KAFKA_BYTES:
			return read_bytes(r, false, nullable, &string->data, &string->len);
		case KAFKA_RECORDS:
			records->source = NULL;
			return read_bytes(r, false, nullable, &records->data, &records->len);
		case KAFKA_ARRAY:
			return read_array(r, f, (KafkaArray *) out);
		case KAFKA_LIST:
			return read_list(r, f, (KafkaArray *) out);
		case KAFKA_STRUCT_IN_PLACE:
			return read_struct(r, f->elem(), out);
		case KAFKA_OPTION:
			return read_option(r, f, (void **) out);
		default:
			return read_primitive(r, f->type, out);
	}
}

/*
 * Reads one tagged field.  Its value must have exactly the size that is told.
 * Unknown tags are skipped.
 */
static bool
read_tag(Reader *r, const KafkaSchema *schema, char *out)
{
	uint32		tag;
	uint32		size;
	const uint8 *after;
	const uint8 *outer_end = r->end;

	if (!read_varint(r, &tag) || !read_varint(r, &size))
		return false;
	if (size > (size_t) (r->end - r->pos))
		return fail(r, "tagged field is truncated");
	after = r->pos + size;
	Assert(after <= outer_end);

	for (int i = 0; i < schema->nfields; i++)
	{
		const KafkaField *f = &schema->fields[i];

		if (!kafka_field_tagged(f, r->version) || !kafka_field_present(f, r->version) ||
			(uint32) f->tag != tag)
			continue;
		r->end = after;
		if (!read_field(r, f, out + f->offset))
			return false;
		if (r->pos != after)
			return fail(r, "tagged field has a wrong length");
		r->end = outer_end;
	}
	r->pos = after;
	return true;
}

/*
 * Reads a struct: the fields in order, then, in flexible versions, the tagged
 * fields.
 */
static bool
read_struct(Reader *r, const KafkaSchema *schema, char *out)
{
	const KafkaField *end = schema->fields + schema->nfields;
	uint32		ntags;

	for (const KafkaField *f = schema->fields; f < end; f++)
	{
		if (!kafka_field_present(f, r->version) || kafka_field_tagged(f, r->version))
			set_default(f, out + f->offset);
		else if (!read_field(r, f, out + f->offset))
			return false;
	}
	if (!r->flexible)
		return true;

	/*
	 * Each tagged field takes two bytes at least, so the loop ends with the
	 * bytes.
	 */
	if (!read_varint(r, &ntags))
		return false;
	while (ntags-- > 0)
	{
		if (!read_tag(r, schema, out))
			return false;
	}
	return true;
}

/*
 * Decodes a message of "len" bytes into "out", which has schema->size bytes.
 * Fields that the version does not have get their defaults.  Strings and
 * records point into "data", which must live as long as "out". *left gets the
 * number of bytes after the message; if left is NULL, there must be none.
 * Returns NULL, or what is wrong with the bytes; then "out" is undefined.
 */
const char *
kafka_decode(const KafkaSchema *schema, int16 version, bool flexible,
			 const char *data, size_t len, KafkaArena *arena, void *out, size_t *left)
{
	Reader		r = {
		.pos = (const uint8 *) data,
		.end = (const uint8 *) data + len,
		.version = version,
		.flexible = flexible,
		.arena = arena
	};

	if (!read_struct(&r, schema, out))
	{
		Assert(r.problem != NULL);
		return r.problem;
	}
	Assert(r.pos <= r.end);
	if (left != NULL)
		*left = r.end - r.pos;
	else if (r.pos != r.end)
		return "message has bytes left over";
	return NULL;
}

/*
 * Writing
 */

/*
 * Makes room for n more bytes.  Returns false if there is no memory, and from
 * then on always.
 */
static bool
reserve(KafkaWriter *w, size_t n)
{
	size_t		cap = Max(w->cap, 512);
	char	   *buf;

	if (likely(w->cap - w->len >= n))
		return true;
	while (cap - w->len < n)
		cap *= 2;
	buf = w->failed ? NULL : w->grow(w->arg, w->buf, cap);
	if (buf == NULL)
	{
		w->failed = true;
		return false;
	}
	w->buf = buf;
	w->cap = cap;
	return true;
}

/*
 * The put functions write without a check.  The caller has reserved room.
 */
static inline void
put16(KafkaWriter *w, uint16 v)
{
	Assert(w->cap - w->len >= sizeof(v));
	v = pg_hton16(v);
	memcpy(w->buf + w->len, &v, sizeof(v));
	w->len += sizeof(v);
}

static inline void
put32(KafkaWriter *w, uint32 v)
{
	Assert(w->cap - w->len >= sizeof(v));
	v = pg_hton32(v);
	memcpy(w->buf + w->len, &v, sizeof(v));
	w->len += sizeof(v);
}

static inline void
put64(KafkaWriter *w, uint64 v)
{
	Assert(w->cap - w->len >= sizeof(v));
	v = pg_hton64(v);
	memcpy(w->buf + w->len, &v, sizeof(v));
	w->len += sizeof(v);
}

/*
 * Writes a varint to p, which has room for VARINT_MAX bytes.  Returns its
 * length.
 */
static int
varint_put(char *p, uint32 v)
{
	int			n = 0;

	while (v > 0x7f)
	{
		p[n++] = (char) (v | 0x80);
		v >>= 7;
	}
	p[n++] = (char) v;
	return n;
}

static inline void
put_varint(KafkaWriter *w, uint32 v)
{
	Assert(w->cap - w->len >= VARINT_MAX);
	w->len += varint_put(w->buf + w->len, v);
}

/*
 * The counterpart of read_length().  Where null is not allowed, it writes
 * empty.
 */
static void
put_length(KafkaWriter *w, bool is_short, bool nullable, int32 length)
{
	Assert(length >= -1);
	if (length < 0 && !nullable)
		length = 0;
	if (w->flexible)
		put_varint(w, (uint32) (length + 1));
	else if (is_short)
		put16(w, (uint16) length);
	else
		put32(w, (uint32) length);
}

/*
 * Appends raw bytes, such as a header.  Returns false if there is no memory.
 */
bool
kafka_write_bytes(KafkaWriter *w, const void *data, size_t len)
{
	if (len > 0)
	{
		if (!reserve(w, len))
			return false;
		memcpy(w->buf + w->len, data, len);
		w->len += len;
	}
	return true;
}

/*
 * Writes a string or bytes.  A string that is too long for its length field
 * is cut; only error messages can be that long.
 */
static void
write_string(KafkaWriter *w, KafkaType type, bool nullable, const KafkaString *s)
{
	bool		is_short = type == KAFKA_STRING;
	int32		len = is_short ? Min(s->len, PG_INT16_MAX) : s->len;

	if (!reserve(w, FIXED_MAX))
		return;
	put_length(w, is_short, nullable, len);
	if (len > 0)
		kafka_write_bytes(w, s->data, len);
}

/*
 * Writes records, or leaves a splice if the bytes are elsewhere. FIXED_MAX
 * bytes are reserved.
 */
static void
write_records(KafkaWriter *w, bool nullable, const KafkaRecords *records)
{
	KafkaSplice *splices;

	Assert(records->data != NULL || records->source != NULL);
	put_length(w, false, nullable, records->len);
	if (records->len <= 0)
		return;
	if (records->data != NULL)
	{
		kafka_write_bytes(w, records->data, records->len);
		return;
	}
	if (w->nsplices == w->splices_cap)
	{
		int			cap = Max(w->splices_cap * 2, 8);

		splices = w->grow(w->arg, w->splices, cap * sizeof(KafkaSplice));
		if (splices == NULL)
		{
			w->failed = true;
			return;
		}
		w->splices = splices;
		w->splices_cap = cap;
	}
	w->splices[w->nsplices++] = (KafkaSplice)
	{
		w->len, records->source, records->len
	};
	w->spliced += records->len;
}

/*
 * Writes a value of fixed size. FIXED_MAX bytes are reserved.
 */
static void
write_primitive(KafkaWriter *w, KafkaType type, const char *in)
{
	switch (type)
	{
		case KAFKA_BOOL:
			w->buf[w->len++] = *(const bool *) in ? 1 : 0;
			break;
		case KAFKA_INT8:
			w->buf[w->len++] = *in;
			break;
		case KAFKA_INT16:
		case KAFKA_UINT16:
			put16(w, *(const uint16 *) in);
			break;
		case KAFKA_INT32:
			put32(w, *(const uint32 *) in);
			break;
		case KAFKA_INT64:
		case KAFKA_FLOAT64:
			put64(w, *(const uint64 *) in);
			break;
		default:
			Assert(type == KAFKA_UUID);
			memcpy(w->buf + w->len, in, sizeof(KafkaUuid));
			w->len += sizeof(KafkaUuid);
			break;
	}
}

static void
write_list(KafkaWriter *w, const KafkaField *f, bool nullable, const KafkaArray *array)
{
	KafkaType	type = f->item;
	size_t		size = type_size(type);
	const char *item = array->items;

	Assert(array->n <= 0 || item != NULL);
	put_length(w, false, nullable, array->n);
	for (int i = 0; i < array->n && !w->failed; i++, item += size)
	{
		if (type == KAFKA_STRING || type == KAFKA_BYTES)
			write_string(w, type, false, (const KafkaString *) item);
		else if (reserve(w, FIXED_MAX))
			write_primitive(w, type, item);
	}
}

static void
write_array(KafkaWriter *w, const KafkaField *f, bool nullable, const KafkaArray *array)
{
	const KafkaSchema *elem = f->elem();
	const char *item = array->items;

	Assert(array->n <= 0 || item != NULL);
	put_length(w, false, nullable, array->n);
	for (int i = 0; i < array->n && !w->failed; i++, item += elem->size)
		write_struct(w, elem, item);
}

/*
 * Writes one field. FIXED_MAX bytes are reserved.
 */
static void
write_field(KafkaWriter *w, const KafkaField *f, const char *in)
{
	bool		nullable = kafka_field_nullable(f, w->version);

	Assert(w->cap - w->len >= FIXED_MAX);
	switch ((KafkaType) f->type)
	{
		case KAFKA_STRING:
		case KAFKA_BYTES:
			write_string(w, f->type, nullable, (const KafkaString *) in);
			break;
		case KAFKA_RECORDS:
			write_records(w, nullable, (const KafkaRecords *) in);
			break;
		case KAFKA_ARRAY:
			write_array(w, f, nullable, (const KafkaArray *) in);
			break;
		case KAFKA_LIST:
			write_list(w, f, nullable, (const KafkaArray *) in);
			break;
		case KAFKA_STRUCT_IN_PLACE:
			write_struct(w, f->elem(), in);
			break;
		case KAFKA_OPTION:
			w->buf[w->len++] = *(void *const *) in ? 1 : -1;
			if (*(void *const *) in)
				write_struct(w, f->elem(), *(void *const *) in);
			break;
		default:
			write_primitive(w, f->type, in);
			if (f->is_error && *(const int16 *) in != 0)
				w->error = true;
			break;
	}
}

/*
 * Writes tag, size and value.  The size is known only when the value is
 * written, so the value is moved then.
 */
static void
write_tag(KafkaWriter *w, const KafkaField *f, const char *in)
{
	char		length[8];
	int			n;
	size_t		start;

	if (!reserve(w, 2 * FIXED_MAX))
		return;
	put_varint(w, f->tag);
	start = w->len;
	write_field(w, f, in);
	n = varint_put(length, (uint32) (w->len - start));
	if (w->failed || !reserve(w, n))
		return;
	memmove(w->buf + start + n, w->buf + start, w->len - start);
	memcpy(w->buf + start, length, n);
	w->len += n;
}

/*
 * Returns true if the field is a tagged one in this version and differs from
 * its default.
 */
static inline bool
tag_is_written(const KafkaField *f, int version, const char *in)
{
	return kafka_field_tagged(f, version) && kafka_field_present(f, version) &&
		!is_default(f, in + f->offset);
}

/*
 * Writes the tagged fields.  Tags must be in ascending order; the rows of a
 * schema list them so.
 */
static void
write_tags(KafkaWriter *w, const KafkaSchema *schema, const char *in)
{
	int			n = 0;

	for (int i = 0; i < schema->nfields; i++)
		n += tag_is_written(&schema->fields[i], w->version, in);
	if (!reserve(w, FIXED_MAX))
		return;
	put_varint(w, n);
	if (n == 0)
		return;
	for (int i = 0; i < schema->nfields && !w->failed; i++)
	{
		const KafkaField *f = &schema->fields[i];

		if (tag_is_written(f, w->version, in))
			write_tag(w, f, in + f->offset);
	}
}

/*
 * The counterpart of read_struct().
 */
static void
write_struct(KafkaWriter *w, const KafkaSchema *schema, const char *in)
{
	const KafkaField *end = schema->fields + schema->nfields;

	for (const KafkaField *f = schema->fields; f < end; f++)
	{
		if (!kafka_field_present(f, w->version) || kafka_field_tagged(f, w->version))
			continue;
		if (!reserve(w, FIXED_MAX))
			return;
		write_field(w, f, in + f->offset);
		if (unlikely(w->failed))
			return;
	}
	if (w->flexible)
		write_tags(w, schema, in);
}

/*
 * Appends a message to the writer.  Fields that the version does not have are
 * left out.  Null where null is not allowed is written as empty.  Returns
 * false if there is no memory.
 */
bool
kafka_encode(KafkaWriter *w, const KafkaSchema *schema, int16 version, bool flexible, const void *in)
{
	Assert(version >= 0 && w->grow != NULL);
	w->version = version;
	w->flexible = flexible;
	write_struct(w, schema, in);
	Assert(w->failed || w->len <= w->cap);
	return !w->failed;
}
