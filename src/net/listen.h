/*-------------------------------------------------------------------------
 *
 * listen.h
 *	  Listening sockets.
 *
 * Siblings: loop.h (readiness and timers), conn.h (what is done with accepted
 * sockets).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

#include <sys/socket.h>

#include "net/loop.h"

typedef struct NetListener NetListener;

/*
 * Gets an accepted socket: non-blocking, close-on-exec, with keep-alive and
 * TCP_NODELAY.
 */
typedef void (*NetAccepted) (NetListener *listener, int fd, void *arg);

typedef struct NetListenProblem
{
	char text[	128];
	bool		no_host;
} NetListenProblem;

/*
 * Listens on a numeric or named host ("*": all addresses) and port, on every
 * address that it resolves to.  Appends to listeners, at most max in all;
 * returns how many there are then.  *problem says why one could not be bound,
 * or that there is no such host.
 */
extern int	net_listen(NetLoop *loop, const char *host, int port, NetAccepted accepted, void *arg,
					   NetListener **listeners, int n, int max, NetListenProblem *problem);

/* Can it be reached from this machine only? */
extern bool net_host_is_loopback(const char *host);
extern void net_listener_close(NetListener *listener);

/* The address of the other end of a socket; AF_UNSPEC when it is gone. */
extern void net_peer_address(int fd, struct sockaddr_storage *address);

/* "host:port" of the other end of a socket, brackets around IPv6. */
extern void net_peer_name(int fd, char *buf, size_t size);

/* The same without the port and brackets. */
extern void net_peer_host(int fd, char *buf, size_t size);

#endif							/* NET_LISTEN_H */
