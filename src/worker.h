/*-------------------------------------------------------------------------
 *
 * worker.h
 *	  What background workers do alike.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_WORKER_H
#define PT_WORKER_H

#include "postgres.h"

extern void pt_worker_start(const char *database);
extern bool pt_worker_interrupts(void);

#endif							/* PT_WORKER_H */
