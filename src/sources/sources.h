/*-------------------------------------------------------------------------
 *
 * sources.h
 *	  The door of the sources room: tables of this or another server whose
 *	  changes become records.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SOURCES_H
#define PT_SOURCES_H

#include "tasks/tasks.h"

extern const PtTaskKind pt_source_kind;

#endif							/* PT_SOURCES_H */
