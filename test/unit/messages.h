/*-------------------------------------------------------------------------
 *
 * messages.h
 *	  Kafka messages for tests: made at random by their schema, encoded,
 *	  decoded, compared.
 *
 *	  Used by test_codec.c and by the seeds and the target of the fuzzer.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_TEST_MESSAGES_H
#define PT_TEST_MESSAGES_H

#include "postgres_fe.h"

#include "common/fe_memutils.h"

#include "kafka/frame.h"

#define MEMORY_BUDGET	(4 * 1024 * 1024)

/* All that one case allocates, freed together. */
typedef struct Memory
{
	void	  **blocks;
	int			n;
	int			cap;
	size_t		total;
} Memory;

static inline void *
memory_alloc(void *arg, size_t size)
{
	Memory	   *memory = arg;

	if (memory->n == memory->cap)
	{
		memory->cap = Max(memory->cap * 2, 64);
		memory->blocks = realloc(memory->blocks, memory->cap * sizeof(void *));
	}
	memory->total += size;
	return memory->blocks[memory->n++] = malloc(Max(size, 1));
}

static inline void
memory_free(Memory *memory)
{
	for (int i = 0; i < memory->n; i++)
		free(memory->blocks[i]);
	free(memory->blocks);
	memset(memory, 0, sizeof(*memory));
}

static inline void *
writer_grow(void *arg, void *buf, size_t size)
{
	return realloc(buf, size);
}

static inline uint64
next_random(uint64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/*
 * Making
 */

static void make_struct(const KafkaSchema *schema, int version, uint64 *rnd, Memory *memory, char *out);

static inline void
make_bytes(uint64 *rnd, Memory *memory, const char **data, int32 *len)
{
	char	   *bytes;

	*len = (int32) (next_random(rnd) % (next_random(rnd) % 16 == 0 ? 300 : 20));
	bytes = memory_alloc(memory, *len);
	for (int i = 0; i < *len; i++)
		bytes[i] = (char) next_random(rnd);
	*data = bytes;
}

static inline void
make_primitive(KafkaType type, uint64 *rnd, Memory *memory, char *out)
{
	uint64		v = next_random(rnd);

	switch (type)
	{
		case KAFKA_BOOL:
			*(bool *) out = v & 1;
			break;
		case KAFKA_INT8:
			*(int8 *) out = (int8) v;
			break;
		case KAFKA_INT16:
		case KAFKA_UINT16:
			*(uint16 *) out = (uint16) v;
			break;
		case KAFKA_INT32:
			*(uint32 *) out = (uint32) v;
			break;
		case KAFKA_INT64:
			*(uint64 *) out = v;
			break;
		case KAFKA_FLOAT64:
			*(double *) out = (double) v / 3;
			break;
		case KAFKA_UUID:
			for (size_t i = 0; i < sizeof(KafkaUuid); i++)
				out[i] = (char) next_random(rnd);
			break;
		default:
			make_bytes(rnd, memory, &((KafkaString *) out)->data, &((KafkaString *) out)->len);
			break;
	}
}

static inline size_t
item_size(KafkaType type)
{
	static const size_t sizes[] = {sizeof(bool), 1, 2, 2, 4, 8, 8, 16, sizeof(KafkaString), sizeof(KafkaString)};

	return sizes[type];
}

static inline void
make_items(const KafkaField *f, int version, uint64 *rnd, Memory *memory, KafkaArray *array)
{
	size_t		size = f->type == KAFKA_LIST ? item_size(f->item) : f->elem()->size;

	array->n = (int32) (next_random(rnd) % 4);
	array->items = memory_alloc(memory, size * array->n);
	for (int i = 0; i < array->n; i++)
	{
		char	   *item = (char *) array->items + i * size;

		if (f->type == KAFKA_LIST)
			make_primitive(f->item, rnd, memory, item);
		else
			make_struct(f->elem(), version, rnd, memory, item);
	}
}

static inline void
make_field(const KafkaField *f, int version, uint64 *rnd, Memory *memory, char *out)
{
	bool		null = kafka_field_nullable(f, version) && next_random(rnd) % 4 == 0;

	switch ((KafkaType) f->type)
	{
		case KAFKA_STRING:
		case KAFKA_BYTES:
			make_bytes(rnd, memory, &((KafkaString *) out)->data, &((KafkaString *) out)->len);
			if (null)
				((KafkaString *) out)->len = -1;
			break;
		case KAFKA_RECORDS:
			make_bytes(rnd, memory, &((KafkaRecords *) out)->data, &((KafkaRecords *) out)->len);
			((KafkaRecords *) out)->source = NULL;
			if (null)
				((KafkaRecords *) out)->len = -1;
			break;
		case KAFKA_ARRAY:
		case KAFKA_LIST:
			make_items(f, version, rnd, memory, (KafkaArray *) out);
			if (null)
				((KafkaArray *) out)->n = -1;
			break;
		case KAFKA_STRUCT_IN_PLACE:
			make_struct(f->elem(), version, rnd, memory, out);
			break;
		case KAFKA_OPTION:
			*(void **) out = null ? NULL : memory_alloc(memory, f->elem()->size);
			if (!null)
				make_struct(f->elem(), version, rnd, memory, *(void **) out);
			break;
		default:
			make_primitive(f->type, rnd, memory, out);
			break;
	}
}

/* A message with values in all fields that the version has, defaults in the others. */
static void
make_struct(const KafkaSchema *schema, int version, uint64 *rnd, Memory *memory, char *out)
{
	kafka_defaults(schema, out, 1);
	for (int i = 0; i < schema->nfields; i++)
	{
		const KafkaField *f = &schema->fields[i];

		if (kafka_field_present(f, version))
			make_field(f, version, rnd, memory, out + f->offset);
	}
}

/*
 * Comparing
 */

static bool same_struct(const KafkaSchema *schema, const char *a, const char *b);

static inline bool
same_bytes(const char *a, int32 a_len, const char *b, int32 b_len)
{
	return a_len == b_len && (a_len <= 0 || memcmp(a, b, a_len) == 0);
}

static inline bool
same_primitive(KafkaType type, const char *a, const char *b)
{
	if (type == KAFKA_STRING || type == KAFKA_BYTES)
		return same_bytes(((const KafkaString *) a)->data, ((const KafkaString *) a)->len,
						  ((const KafkaString *) b)->data, ((const KafkaString *) b)->len);
	return memcmp(a, b, item_size(type)) == 0;
}

static inline bool
same_items(const KafkaField *f, const KafkaArray *a, const KafkaArray *b)
{
	size_t		size = f->type == KAFKA_LIST ? item_size(f->item) : f->elem()->size;

	if (a->n != b->n)
		return false;
	for (int i = 0; i < a->n; i++)
	{
		const char *x = (const char *) a->items + i * size;
		const char *y = (const char *) b->items + i * size;

		if (!(f->type == KAFKA_LIST ? same_primitive(f->item, x, y) : same_struct(f->elem(), x, y)))
			return false;
	}
	return true;
}

static inline bool
same_field(const KafkaField *f, const char *a, const char *b)
{
	switch ((KafkaType) f->type)
	{
		case KAFKA_RECORDS:
			return same_bytes(((const KafkaRecords *) a)->data, ((const KafkaRecords *) a)->len,
							  ((const KafkaRecords *) b)->data, ((const KafkaRecords *) b)->len);
		case KAFKA_ARRAY:
		case KAFKA_LIST:
			return same_items(f, (const KafkaArray *) a, (const KafkaArray *) b);
		case KAFKA_STRUCT_IN_PLACE:
			return same_struct(f->elem(), a, b);
		case KAFKA_OPTION:
			{
				const char *x = *(char *const *) a;
				const char *y = *(char *const *) b;

				return x == NULL || y == NULL ? x == y : same_struct(f->elem(), x, y);
			}
		default:
			return same_primitive(f->type, a, b);
	}
}

static bool
same_struct(const KafkaSchema *schema, const char *a, const char *b)
{
	for (int i = 0; i < schema->nfields; i++)
	{
		const KafkaField *f = &schema->fields[i];

		if (!same_field(f, a + f->offset, b + f->offset))
			return false;
	}
	return true;
}

/*
 * Bytes
 */

/* Encodes; the bytes are for free(). */
static inline char *
message_encode(const KafkaSchema *schema, int version, bool flexible, const void *in, size_t *len)
{
	KafkaWriter w = {.grow = writer_grow};

	if (!kafka_encode(&w, schema, version, flexible, in))
		abort();
	*len = w.len;
	free(w.splices);
	return w.buf ? w.buf : malloc(1);
}

/* Decodes into memory; the struct, or NULL with the problem. */
static inline void *
message_decode(const KafkaSchema *schema, int version, bool flexible, const char *data, size_t len,
			   Memory *memory, const char **problem)
{
	KafkaArena	arena = {.alloc = memory_alloc, .arg = memory, .budget = MEMORY_BUDGET};
	void	   *out = memory_alloc(memory, schema->size);

	*problem = kafka_decode(schema, version, flexible, data, len, &arena, out, NULL);
	return *problem ? NULL : out;
}

#endif							/* PT_TEST_MESSAGES_H */
