/*-------------------------------------------------------------------------
 *
 * chunks.h
 *	  Tables that are copied in chunks while changes stream: chunks.c,
 *	  progress.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SOURCES_CHUNKS_H
#define PT_SOURCES_CHUNKS_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/timestamp.h"

#include "sources/pgoutput.h"
#include "sources/table.h"

/* A table that is being copied. */
typedef struct PtChunkJob
{
	char	   *schema;
	char	   *table;
	List	   *last_key;		/* of char *: what the key is, then its
								 * values; NIL: none yet */
} PtChunkJob;

typedef struct PtChunks PtChunks;

/* progress.c */
extern bool pt_progress_add(const char *source, const char *schema, const char *table);
extern void pt_progress_remove(const char *source);
extern PtChunkJob *pt_progress_next(const char *source, MemoryContext mcxt);
extern void pt_progress_chunk(const char *source, const PtChunkJob *job, int64 rows, bool finished);
extern void pt_progress_give_up(const char *source, const PtChunkJob *job, const char *error);

/* chunks.c */
extern void pt_chunks_init(PtSourceRun *run);
extern void pt_chunks_look(PtSourceRun *run);
extern bool pt_chunks_step(PtSourceRun *run);
extern TimestampTz pt_chunks_retry_at(const PtSourceRun *run);
extern void pt_chunks_transaction(PtSourceRun *run);
extern void pt_chunks_change(PtSourceRun *run, Oid id, const PtSourceTable *table,
							 const PtPgoutputValue *old, const PtPgoutputValue *new);
extern void pt_chunks_truncate(PtSourceRun *run, Oid id);

#endif							/* PT_SOURCES_CHUNKS_H */
