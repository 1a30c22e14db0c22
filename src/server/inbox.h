/*-------------------------------------------------------------------------
 *
 * inbox.h
 *	  Connections from process to process: what goes along.
 *
 * Siblings: inbox.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SERVER_INBOX_H
#define PT_SERVER_INBOX_H

#include "compat.h"

#include "kafka/kafka.h"

/* Who is at the other end of a connection that is given to a worker. */
typedef enum PtOrigin
{
	PT_ORIGIN_CLIENT,			/* a Kafka client, which has just been
								 * accepted */
	PT_ORIGIN_LISTENER,			/* a listener, for one of its clients
								 * (forward.c) */
	PT_ORIGIN_SESSION			/* a session of SQL */
} PtOrigin;

typedef struct PtMoved
{
	uint32		magic;
	uint16		life;			/* of the worker for which it was counted; set
								 * by pt_inbox_send */
	PtOrigin	origin;
	KafkaSession session;		/* its first part, what is known of the
								 * client; peer "": ask the socket */
} PtMoved;

typedef enum PtInboxResult
{
	PT_INBOX_DONE,				/* the other worker's; close our descriptor */
	PT_INBOX_FULL,				/* not now */
	PT_INBOX_DOWN				/* that worker is not up */
} PtInboxResult;

/*
 * Gives a connected, non-blocking socket to a worker, over the datagram socket
 * "from".  The caller's descriptor stays open.  Callable in any process of the
 * server.
 */
extern PtInboxResult pt_inbox_send(int from, int worker, int fd, PtMoved *moved);

#endif							/* PT_SERVER_INBOX_H */
