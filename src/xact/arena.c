/*-------------------------------------------------------------------------
 *
 * arena.c
 *	  Memory to which things are only added, until all behind a mark goes.
 *
 * Sibling: pending.c, whose rows are such a stack.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "xact/arena.h"

#define CHUNK_MIN	((Size) 8 * 1024)
#define CHUNK_MAX	((Size) 1024 * 1024)

/* Memory at the end of the arena; the size is MAXALIGNed. */
char *
pt_arena_alloc(PtArena *arena, Size size)
{
	PtArenaChunk *chunk = arena->chunk;
	char	   *result;

	Assert(arena->mcxt != NULL && size == MAXALIGN(size));
	if (chunk == NULL || chunk->used + size > chunk->size)
	{
		Size		chunk_size = Max(chunk ? Min(chunk->size * 2, CHUNK_MAX) : CHUNK_MIN, size);

		chunk = MemoryContextAllocHuge(arena->mcxt, offsetof(PtArenaChunk, data) + chunk_size);
		chunk->before = arena->chunk;
		chunk->size = chunk_size;
		chunk->used = 0;
		arena->chunk = chunk;
	}
	Assert(chunk->used + size <= chunk->size);
	result = chunk->data + chunk->used;
	chunk->used += size;
	return result;
}

/* Its present end. */
PtArenaMark
pt_arena_mark(const PtArena *arena)
{
	PtArenaMark mark = {arena->chunk, arena->chunk ? arena->chunk->used : 0};

	return mark;
}

/* Takes back everything that was allocated behind a mark. */
void
pt_arena_rewind(PtArena *arena, const PtArenaMark *mark)
{
	while (arena->chunk != NULL && arena->chunk != mark->chunk)
	{
		PtArenaChunk *before = arena->chunk->before;

		pfree(arena->chunk);
		arena->chunk = before;
	}
	Assert(arena->chunk == mark->chunk);
	Assert(arena->chunk == NULL || mark->used <= arena->chunk->used);
	if (arena->chunk)
		arena->chunk->used = mark->used;
}

/* Forgets everything, but keeps the newest chunk for what comes next. */
void
pt_arena_clear(PtArena *arena)
{
	PtArenaMark beginning = {NULL, 0};
	PtArenaChunk *kept = arena->chunk;

	if (kept == NULL)
		return;
	arena->chunk = kept->before;
	pt_arena_rewind(arena, &beginning);
	kept->before = NULL;
	kept->used = 0;
	arena->chunk = kept;
}
