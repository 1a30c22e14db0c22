/*-------------------------------------------------------------------------
 *
 * tls_internal.h
 *	  What tls.c gives to conn.c, input.c and output.c; nobody else includes
 *	  it.
 *
 * A connection with TLS has a NetSecure.  Between it and OpenSSL go plain
 * bytes in both directions; between it and the socket, sealed ones.  OpenSSL
 * reads the socket by itself, and what it writes waits in "out" until the
 * socket takes it.
 *
 * Siblings: conn_internal.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef NET_TLS_INTERNAL_H
#define NET_TLS_INTERNAL_H

#include <sys/uio.h>

#include "net/conn_internal.h"
#include "net/tls.h"

/* What OpenSSL reads from a socket at a time: four records. */
#define NET_TLS_READ_BYTES	(64 * 1024)

/* Plain bytes that are sealed for one send; a piece may go beyond a little. */
#define NET_SEAL_BYTES		((size_t) 128 * 1024)
#define NET_SEAL_MAX		((size_t) 512 * 1024)

extern bool net_tls_begin(NetConn *conn, NetTls *context, NetTlsAsk ask);
extern ssize_t net_tls_receive(NetConn *conn, char *to, size_t max);
extern bool net_tls_pending(const NetConn *conn);
extern bool net_tls_ended(NetConn *conn);
extern bool net_tls_shaking(const NetConn *conn);
extern size_t net_tls_seal(NetConn *conn, const struct iovec *iov, int n);
extern bool net_tls_unsent(const NetConn *conn);
extern size_t net_tls_unsent_bytes(const NetConn *conn);
extern ssize_t net_tls_send(NetConn *conn);
extern const char *net_tls_problem(const NetConn *conn);
extern void net_tls_say_goodbye(NetConn *conn);
extern void net_tls_drop(NetConn *conn);
extern void net_tls_free_spare(NetGroup *group);

/* tls_context.c: what OpenSSL's error queue says; empties it */
extern const char *net_tls_error_text(void);

#endif							/* NET_TLS_INTERNAL_H */
