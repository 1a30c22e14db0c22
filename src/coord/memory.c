/*-------------------------------------------------------------------------
 *
 * memory.c
 *	  The memory of the coordinator: counted, bounded, and freed a step late.
 *
 * Each block has its size in front.  coord_free() only puts a block on a list;
 * coord_step_reset() frees the list when the next step begins.  Until then the
 * replies of this step may point into the block.
 *
 * Allocations do not check the bound, because a change could not be undone in
 * the middle.  An event that makes the coordinator grow first asks
 * coord_group_reserve() whether there is room for an upper estimate.  After
 * that it allocates freely.  If the machine itself is out of memory, that is
 * an error in the server, which ends the coordinator.
 *
 * Siblings: memory.h, internal.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/internal.h"

/* The header of each block.  Its size keeps the data behind it MAXALIGNed. */
typedef struct CoordBlock
{
	size_t		size;			/* in bytes, with this header */
	struct CoordBlock *next;	/* in groups->freed */
#ifdef FRONTEND
	dlist_node	link;			/* in groups->blocks; the frontend has no
								 * memory context that could be deleted */
#endif
} CoordBlock;

StaticAssertDecl(sizeof(CoordBlock) % MAXIMUM_ALIGNOF == 0, "blocks must stay aligned");

/* Memory of a step comes in chunks. */
typedef struct CoordChunk
{
	struct CoordChunk *next;
	size_t		used;			/* bytes, with this header */
	size_t		size;			/* bytes, with this header */
} CoordChunk;

#define CHUNK_HEADER MAXALIGN(sizeof(CoordChunk))
#define CHUNK_SIZE (8 * 1024)

/*
 * Allocates from the server's memory context, or with malloc.  Both fail with
 * an error; NULL is never returned.
 */
static void *
raw_alloc(CoordGroups *groups, size_t size)
{
#ifdef FRONTEND
	return palloc(size);
#else
	return MemoryContextAllocHuge(groups->mcxt, size);
#endif
}

/*
 * Allocates zeroed memory that is counted.  The bound is not checked here;
 * see the header of the file.
 */
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

/*
 * Puts a block on the list that the next step frees; it does not count any
 * more from now on.  NULL does nothing.
 */
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

/*
 * Allocates memory that lasts until the next step begins.  It is not zeroed
 * and not counted.
 */
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

/*
 * Copies bytes into memory of the step.  Null stays null.
 */
CoordBytes
coord_step_bytes(CoordGroups *groups, CoordBytes bytes)
{
	char	   *at = coord_step_alloc(groups, pt_string_size(bytes) + 1);

	return pt_string_put(&at, bytes);
}

/*
 * Frees what the last step has put aside, and the memory of that step.  One
 * chunk of normal size is kept for the next.
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

/*
 * Returns the number of bytes that coord_alloc has counted.
 */
size_t
coord_memory_used(const CoordGroups *groups)
{
	return groups->used;
}

/*
 * Frees the coordinator and everything that it has.
 */
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
