/*-------------------------------------------------------------------------
 *
 * inbox.h
 *	  Connections from process to process: what goes along.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SERVER_INBOX_H
#define PT_SERVER_INBOX_H

#include "compat.h"

#include <sys/uio.h>

#include "datatype/timestamp.h"

/* Pieces of bytes that one handover may have. */
#define PT_INBOX_IOVECS	256

#define PT_SLOT_UNSEEN	(-1)	/* not among the clients that are shown */
#define PT_SLOT_NEW		(-2)

/*
 * What is known of a client; a new one has empty strings, and the address of
 * its socket.
 */
typedef struct PtMovedSession
{
	char		client_id[256];
	char		software_name[64];
	char		software_version[64];
	char		peer[64];		/* "": to be asked of the socket */
	int			listener;		/* place in pgtopic.listeners */
	int			security;		/* KafkaSecurity */
	char		mechanism[32];
	char		role_name[NAMEDATALEN];
	Oid			role;
} PtMovedSession;

typedef struct PtMoved
{
	uint32		magic;
	uint64		len;			/* bytes received and not worked on; set by
								 * pt_inbox_send */
	uint16		life;			/* of the worker for which it was counted; set
								 * by pt_inbox_send */
	int			slot;			/* in the table of clients (counters.h), or */
	uint64		slot_serial;
	bool		begin;			/* the first request is for the receiver,
								 * whatever its plane */
	PtMovedSession session;
} PtMoved;

typedef enum PtInboxResult
{
	PT_INBOX_DONE,				/* the other worker's; close our descriptor */
	PT_INBOX_FULL,				/* not now */
	PT_INBOX_DOWN				/* that worker is not up */
} PtInboxResult;

/*
 * Gives a connected, non-blocking socket to a worker, with bytes that were
 * received from it, over the datagram socket "from".  The caller's descriptor
 * stays open.  Callable in any process of the server.
 */
extern PtInboxResult pt_inbox_send(int from, int worker, int fd, PtMoved *moved,
								   const struct iovec *bytes, int nbytes);

#endif							/* PT_SERVER_INBOX_H */
