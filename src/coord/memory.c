/*-------------------------------------------------------------------------
 *
 * memory.c
 *	  The memory of the coordinator: counted, bounded, and freed a step late.
 *
 * Every block has its size in front.  coord_free puts blocks on a list that
 * coord_step_reset, at the beginning of the next step, really frees: replies
 * of this step may still point into them.
 *
 * The bound is not checked by each allocation, which nobody could unwind in
 * the middle of a change.  An event that makes the coordinator grow asks
 * coord_group_reserve for an upper estimate first; then it allocates, and
 * cannot fail (other than by the machine running out of memory, which in the
 * server is an error that ends the coordinator).
 *
 * Siblings: memory.h, internal.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/internal.h"

/* In front of each block; keeps what follows MAXALIGNed. */
typedef struct CoordBlock
{
	size_t		size;			/* with this header */
	struct CoordBlock *next;	/* once freed */
#ifdef FRONTEND
	dlist_node	link;			/* the frontend has no memory contexts that
								 * could be deleted */
#endif
} CoordBlock;

StaticAssertDecl(sizeof(CoordBlock) % MAXIMUM_ALIGNOF == 0, "blocks must stay aligned");

/* Memory of a step comes in chunks. */
typedef struct CoordChunk
{
	struct CoordChunk *next;
	size_t		used;
	size_t		size;
} CoordChunk;

#define CHUNK_HEADER MAXALIGN(sizeof(CoordChunk))
#define CHUNK_SIZE (8 * 1024)

static void *
raw_alloc(CoordGroups *groups, size_t size)
{
#ifdef FRONTEND
	return palloc(size);
#else
	return MemoryContextAllocHuge(groups->mcxt, size);
#endif
}

void *
coord_alloc(CoordGroups *groups, size_t size)
{
	CoordBlock *block;

	size = MAXALIGN(size) + sizeof(CoordBlock);
	block = raw_alloc(groups, size);
	memset(block, 0, size);
	block->size = size;
#ifdef FRONTEND
	dlist_push_tail(&groups->blocks, &block->link);
#endif
	groups->used += size;
	return block + 1;
}

void
coord_free(CoordGroups *groups, void *ptr)
{
	CoordBlock *block;

	if (ptr == NULL)
		return;
	block = (CoordBlock *) ptr - 1;
	Assert(block->next == NULL);
	Assert(block->size <= groups->used);
	groups->used -= block->size;
#ifdef FRONTEND
	dlist_delete(&block->link);
#endif
	block->next = groups->freed;
	groups->freed = block;
}

/* Memory that lasts until the next step begins. */
void *
coord_step_alloc(CoordGroups *groups, size_t size)
{
	CoordChunk *chunk = groups->step;
	char	   *result;

	size = MAXALIGN(size);
	if (chunk == NULL || chunk->size - chunk->used < size)
	{
		size_t		chunk_size = Max(size + CHUNK_HEADER, CHUNK_SIZE);

		chunk = raw_alloc(groups, chunk_size);
		chunk->size = chunk_size;
		chunk->used = CHUNK_HEADER;
		chunk->next = groups->step;
		groups->step = chunk;
	}
	Assert(chunk->size - chunk->used >= size);
	result = (char *) chunk + chunk->used;
	chunk->used += size;
	return result;
}

CoordBytes
coord_step_bytes(CoordGroups *groups, CoordBytes bytes)
{
	char	   *at = coord_step_alloc(groups, pt_string_size(bytes) + 1);

	return pt_string_put(&at, bytes);
}

/*
 * Really frees what the last step freed, and the memory of that step but for
 * one small chunk.
 */
void
coord_step_reset(CoordGroups *groups)
{
	CoordChunk *spare = NULL;

	while (groups->freed != NULL)
	{
		CoordBlock *block = groups->freed;

		groups->freed = block->next;
		pfree(block);
	}
	while (groups->step != NULL)
	{
		CoordChunk *chunk = groups->step;

		groups->step = chunk->next;
		if (spare == NULL && chunk->size == CHUNK_SIZE)
			spare = chunk;
		else
			pfree(chunk);
	}
	if (spare != NULL)
	{
		spare->used = CHUNK_HEADER;
		spare->next = NULL;
	}
	groups->step = spare;
}

size_t
coord_memory_used(const CoordGroups *groups)
{
	return groups->used;
}

void
coord_destroy(CoordGroups *groups)
{
#ifdef FRONTEND
	coord_step_reset(groups);
	if (groups->step != NULL)
		pfree(groups->step);
	while (!dlist_is_empty(&groups->blocks))
		pfree(dlist_container(CoordBlock, link, dlist_pop_head_node(&groups->blocks)));
	pfree(groups);
#else
	MemoryContextDelete(groups->mcxt);
#endif
}
