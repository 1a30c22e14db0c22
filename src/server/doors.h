/*-------------------------------------------------------------------------
 *
 * doors.h
 *	  The listening sockets of pgtopic.listeners.
 *
 * Siblings: doors.c, listener.c (who has them).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SERVER_DOORS_H
#define PT_SERVER_DOORS_H

#include "net/listen.h"

/* "arg" of "accepted" points to the listener's place, an int. */
extern void pt_doors_init(NetLoop *loop, NetAccepted accepted);
extern void pt_doors_reload(void);

#endif							/* PT_SERVER_DOORS_H */
