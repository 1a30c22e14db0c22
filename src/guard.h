/*-------------------------------------------------------------------------
 *
 * guard.h
 *	  Work whose error undoes that work alone, or does not undo it at all.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_GUARD_H
#define PT_GUARD_H

#include "postgres.h"

#include "fmgr.h"

extern void pt_refuse_in_block(FunctionCallInfo fcinfo, const char *function);
extern ErrorData *pt_guarded(void (*job) (void *arg), void *arg);

#endif							/* PT_GUARD_H */
