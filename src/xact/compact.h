/*-------------------------------------------------------------------------
 *
 * compact.h
 *	  Compaction of one partition, as the topic's configs say.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_XACT_COMPACT_H
#define PT_XACT_COMPACT_H

#include "log/compact.h"
#include "topic/topic.h"

/* compact.c; the contracts are there */
extern void pt_settle_tail(Relation rel);
extern void pt_compaction_prepare(Relation rel);
extern bool pt_compaction_close(Relation rel, bool insist);
extern bool pt_compaction_run(Relation rel, const PtTopicConfig *config, PtCompaction *job);

#endif							/* PT_XACT_COMPACT_H */
