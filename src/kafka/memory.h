/*-------------------------------------------------------------------------
 *
 * memory.h
 *	  The codec's memory, taken from a memory context.
 *
 * The codec (codec.h) knows nothing of the server and asks for memory by
 * callbacks.  These are the callbacks of all who use it inside the server.
 *
 * Siblings: memory.c, codec.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MEMORY_H
#define KAFKA_MEMORY_H

#include "kafka/codec.h"

extern KafkaArena kafka_arena_in(MemoryContext mcxt, Size budget);
extern KafkaWriter kafka_writer_in(MemoryContext mcxt);

#endif							/* KAFKA_MEMORY_H */
