/*-------------------------------------------------------------------------
 *
 * arena.h
 *	  Memory to which things are only added, until all behind a mark goes.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_XACT_ARENA_H
#define PT_XACT_ARENA_H

typedef struct PtArenaChunk
{
	struct PtArenaChunk *before;
	Size		size;
	Size		used;
	char		data[FLEXIBLE_ARRAY_MEMBER] pg_attribute_aligned(MAXIMUM_ALIGNOF);
} PtArenaChunk;

/* Zeroed but for the context, it is empty. */
typedef struct PtArena
{
	MemoryContext mcxt;
	PtArenaChunk *chunk;		/* the newest */
} PtArena;

/* A place in an arena; zeroed: its beginning. */
typedef struct PtArenaMark
{
	PtArenaChunk *chunk;
	Size		used;
} PtArenaMark;

extern char *pt_arena_alloc(PtArena *arena, Size size);
extern PtArenaMark pt_arena_mark(const PtArena *arena);
extern void pt_arena_rewind(PtArena *arena, const PtArenaMark *mark);
extern void pt_arena_clear(PtArena *arena);

#endif							/* PT_XACT_ARENA_H */
