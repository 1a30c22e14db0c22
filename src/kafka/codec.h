/*-------------------------------------------------------------------------
 *
 * codec.h
 *	  Reads and writes Kafka messages by their field tables.
 *
 * Pure: no ereport, no catalog, no shared state.  Memory comes from a
 * callback, and one message has a budget.  Whatever the bytes are, decoding
 * ends with a struct or with a problem (a text for a log line), and reads no
 * byte outside of the message.
 *
 * Siblings: schema.h (the tables), frame.h (headers), messages/.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_CODEC_H
#define KAFKA_CODEC_H

#include "kafka/schema.h"

/*
 * The memory of decoded structs.  Small pieces are cut from chunks.  All of
 * it lives as long as what "alloc" returns.
 */
typedef struct KafkaArena
{
	void	   *(*alloc) (void *arg, size_t size);	/* may return NULL */
	void	   *arg;
	size_t		budget;			/* bytes that may still be handed out */
	char	   *free;			/* rest of the current chunk */
	size_t		left;			/* its bytes */
} KafkaArena;

extern void *kafka_arena_alloc(KafkaArena *arena, size_t size);

extern const char *kafka_decode(const KafkaSchema *schema, int16 version, bool flexible,
								const char *data, size_t len, KafkaArena *arena, void *out, size_t *left);

/* A place in the written bytes where "len" bytes of "source" belong. */
typedef struct KafkaSplice
{
	size_t		at;				/* bytes of the buffer that come before */
	const void *source;
	uint32		len;
} KafkaSplice;

/* The target of kafka_encode(). */
typedef struct KafkaWriter
{
	/*
	 * in: resizes buf to size (buf NULL: a new one).  Returns NULL if there
	 * is no memory.
	 */
	void	   *(*grow) (void *arg, void *buf, size_t size);
	void	   *arg;
	/* out */
	char	   *buf;
	size_t		len;
	size_t		cap;
	KafkaSplice *splices;
	int			nsplices;
	int			splices_cap;
	uint64		spliced;		/* sum of their lengths */
	bool		failed;			/* no memory */
	bool		error;			/* an error code was written */
	/* current message */
	int16		version;
	bool		flexible;
} KafkaWriter;

extern bool kafka_encode(KafkaWriter *w, const KafkaSchema *schema, int16 version, bool flexible,
						 const void *in);

extern bool kafka_write_bytes(KafkaWriter *w, const void *data, size_t len);

extern void kafka_defaults(const KafkaSchema *schema, void *out, int n);

extern int	kafka_varint_read(const uint8 *pos, const uint8 *end, uint32 *value);

/* Does this version have the field? */
static inline bool
kafka_field_present(const KafkaField *f, int version)
{
	return version >= f->min && version <= f->max;
}

/* Is the field a tagged one in this version? */
static inline bool
kafka_field_tagged(const KafkaField *f, int version)
{
	return f->tag_from != 0 && version >= f->tag_from - 1;
}

/* May the field be null in this version? */
static inline bool
kafka_field_nullable(const KafkaField *f, int version)
{
	return f->null_from != 0 && version >= f->null_from - 1;
}

#endif							/* KAFKA_CODEC_H */
