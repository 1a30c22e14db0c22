/*-------------------------------------------------------------------------
 *
 * conn_transfer.h
 *	  Connections that go from one process to another.
 *
 * A connection can go when nothing of it is left to send: the socket, and the
 * bytes that were received and not delivered.  In the other process these are
 * fed to the new connection, before anything is read from the socket.
 *
 * Siblings: conn.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef NET_CONN_TRANSFER_H
#define NET_CONN_TRANSFER_H

#include "net/conn.h"

extern int	net_conn_fd(const NetConn *conn);

/* Has all that was queued left this process? */
extern bool net_conn_output_empty(const NetConn *conn);

/*
 * The bytes that were received and not delivered; good until the next call for
 * this connection.
 */
extern uint32 net_conn_unread(const NetConn *conn, const char **data);

/* net_conn_finish was called: what was not delivered is gone. */
extern bool net_conn_finishing(const NetConn *conn);

/*
 * Right after net_conn_open: bytes that were received elsewhere.  false: no
 * memory.
 */
extern bool net_conn_feed(NetConn *conn, const char *data, uint32 len);

/* input_bytes_max is reached: better to feed nothing now. */
extern bool net_group_over_budget(const NetGroup *group);

#endif							/* NET_CONN_TRANSFER_H */
