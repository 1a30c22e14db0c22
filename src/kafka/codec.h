/*-------------------------------------------------------------------------
 *
 * codec.h
 *	  Reads and writes Kafka messages by their field tables.
 *
 * Pure: no ereport, no catalog, no shared state; memory comes from a callback
 * and what one message may take is bounded.  Whatever the bytes are, decoding
 * ends with a struct or with a problem (a text for a log line), and reads no
 * byte that is not there.
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
 * Memory for decoded structs: small pieces are cut from chunks, all of it
 * lives as long as what "alloc" gives (it may return NULL).  "budget" is how
 * many bytes may still be handed out.
 */
typedef struct KafkaArena
{
	void	   *(*alloc) (void *arg, size_t size);
	void	   *arg;
	size_t		budget;
	char	   *free;
	size_t		left;
} KafkaArena;

extern void *kafka_arena_alloc(KafkaArena *arena, size_t size);

extern const char *kafka_decode(const KafkaSchema *schema, int16 version, bool flexible,
								const char *data, size_t len, KafkaArena *arena, void *out, size_t *left);

/* A place in what was written where "len" bytes of "source" belong. */
typedef struct KafkaSplice
{
	size_t		at;				/* bytes of the buffer that come before */
	const void *source;
	uint32		len;
} KafkaSplice;

typedef struct KafkaWriter
{
	/*
	 * in: resizes buf to size (NULL: a new one); NULL when there is no memory
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

static inline bool
kafka_field_present(const KafkaField *f, int version)
{
	return version >= f->min && version <= f->max;
}

static inline bool
kafka_field_tagged(const KafkaField *f, int version)
{
	return f->tag_from != 0 && version >= f->tag_from - 1;
}

static inline bool
kafka_field_nullable(const KafkaField *f, int version)
{
	return f->null_from != 0 && version >= f->null_from - 1;
}

#endif							/* KAFKA_CODEC_H */
