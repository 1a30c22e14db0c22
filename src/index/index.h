/*-------------------------------------------------------------------------
 *
 * index.h
 *	  The door of the room: secondary indexes against their log.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_INDEX_H
#define PT_INDEX_H

#include "log/log.h"

/*
 * Compares each index of a log with it, and tells the sink what is wrong.
 */
extern void pt_index_verify(Relation rel, const PtVerifySink *sink);

#endif							/* PT_INDEX_H */
