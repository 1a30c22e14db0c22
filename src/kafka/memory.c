/*-------------------------------------------------------------------------
 *
 * memory.c
 *	  The codec's memory, taken from a memory context.
 *
 * Siblings: memory.h, codec.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "kafka/memory.h"

/*
 * KafkaArena.alloc: returns NULL if there is no memory.
 */
static void *
alloc(void *mcxt, size_t size)
{
	Assert(size > 0);
	if (!AllocHugeSizeIsValid(size))
		return NULL;
	return MemoryContextAllocExtended(mcxt, size, MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE);
}

/*
 * KafkaWriter.grow: returns NULL if there is no memory for a first buffer.
 * Growing an existing buffer throws instead, because servers before 16 have
 * no repalloc that does not.  That is safe: the writer owns nothing but
 * memory of this context.
 */
static void *
grow(void *mcxt, void *buf, size_t size)
{
	if (buf == NULL)
		return alloc(mcxt, size);
	Assert(GetMemoryChunkContext(buf) == mcxt);
	return AllocHugeSizeIsValid(size) ? repalloc_huge(buf, size) : NULL;
}

/*
 * Returns an arena for decoding, which hands out at most "budget" bytes.  Its
 * memory lives as long as the context.
 */
KafkaArena
kafka_arena_in(MemoryContext mcxt, Size budget)
{
	KafkaArena	arena = {.alloc = alloc,.arg = mcxt,.budget = budget};

	Assert(MemoryContextIsValid(mcxt));
	return arena;
}

/*
 * Returns an empty writer whose buffers are in the context.
 */
KafkaWriter
kafka_writer_in(MemoryContext mcxt)
{
	KafkaWriter w = {.grow = grow,.arg = mcxt};

	Assert(MemoryContextIsValid(mcxt));
	return w;
}
