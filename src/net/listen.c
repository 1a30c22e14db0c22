/*-------------------------------------------------------------------------
 *
 * listen.c
 *	  Listening sockets, and what an accepted one needs.
 *
 * When the process runs out of file descriptors, accepting rests for a moment
 * rather than being told at once, again and again, that somebody is waiting.
 *
 * Siblings: loop.c, conn.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "net/port.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/listen.h"

#define NET_BACKLOG			4096
#define NET_ACCEPT_PER_TURN	64
#define NET_ACCEPT_REST_US	100000

struct NetListener
{
	NetLoop    *loop;
	NetWatch	watch;
	NetTimer	rest;
	NetAccepted accepted;
	void	   *arg;
};

static struct addrinfo *resolve(const char *host, int port, int *rc);
static bool is_loopback(const struct sockaddr *address);
static int	listen_socket(const struct addrinfo *address);
static NetListener *listener_create(NetLoop *loop, int fd, NetAccepted accepted, void *arg);
static void listener_ready(NetWatch *watch, uint32 events);
static void listener_rested(NetTimer *timer);

/*
 * The addresses of a numeric or named host, "*": all.  NULL: *rc is
 * getaddrinfo's.
 */
static struct addrinfo *
resolve(const char *host, int port, int *rc)
{
	struct addrinfo hints = {0};
	struct addrinfo *all = NULL;
	char		service[16];

	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = AI_PASSIVE;
	snprintf(service, sizeof(service), "%d", port);
	*rc = getaddrinfo(strcmp(host, "*") == 0 ? NULL : host, service, &hints, &all);
	return *rc == 0 ? all : NULL;
}

static bool
is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
		return (ntohl(((const struct sockaddr_in *) address)->sin_addr.s_addr) >> 24) == 127;
	return address->sa_family == AF_INET6 &&
		IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *) address)->sin6_addr);
}

/* A host that has no address is none of loopback's. */
bool
net_host_is_loopback(const char *host)
{
	int			rc;
	struct addrinfo *all = resolve(host, 0, &rc);
	bool		loopback = all != NULL;

	for (struct addrinfo *a = all; a != NULL; a = a->ai_next)
		loopback = loopback && is_loopback(a->ai_addr);
	if (all != NULL)
		freeaddrinfo(all);
	return loopback;
}

int
net_listen(NetLoop *loop, const char *host, int port, NetAccepted accepted, void *arg,
		   NetListener **listeners, int n, int max, NetListenProblem *problem)
{
	int			rc;
	struct addrinfo *all = resolve(host, port, &rc);

	problem->text[0] = '\0';
	problem->no_host = all == NULL;
	if (all == NULL)
	{
		snprintf(problem->text, sizeof(problem->text), "%s", gai_strerror(rc));
		return n;
	}
	for (struct addrinfo *a = all; a != NULL && n < max; a = a->ai_next)
	{
		int			fd = listen_socket(a);
		NetListener *listener = fd < 0 ? NULL : listener_create(loop, fd, accepted, arg);

		if (listener == NULL)
			snprintf(problem->text, sizeof(problem->text), "%s", strerror(errno));
		else
			listeners[n++] = listener;
	}
	freeaddrinfo(all);
	return n;
}

/* Returns -1 with errno set. */
static int
listen_socket(const struct addrinfo *address)
{
	int			one = 1;
	int			fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
		(address->ai_family == AF_INET6 &&
		 setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0) ||
		bind(fd, address->ai_addr, address->ai_addrlen) < 0 ||
		listen(fd, NET_BACKLOG) < 0)
	{
		int			save_errno = errno;

		close(fd);
		errno = save_errno;
		return -1;
	}
	return fd;
}

static NetListener *
listener_create(NetLoop *loop, int fd, NetAccepted accepted, void *arg)
{
	NetListener *listener = calloc(1, sizeof(NetListener));

	if (listener != NULL)
	{
		listener->loop = loop;
		listener->accepted = accepted;
		listener->arg = arg;
		listener->watch.ready = listener_ready;
		listener->watch.arg = listener;
		listener->rest.due = listener_rested;
		listener->rest.arg = listener;
		if (net_watch_add(loop, &listener->watch, fd, NET_READABLE))
		{
			net_fd_reserve();
			return listener;
		}
		free(listener);
	}
	close(fd);
	return NULL;
}

void
net_listener_close(NetListener *listener)
{
	int			fd = listener->watch.fd;

	net_watch_remove(listener->loop, &listener->watch);
	net_timer_stop(listener->loop, &listener->rest);
	close(fd);
	net_fd_release();
	free(listener);
}

static void
listener_ready(NetWatch *watch, uint32 events)
{
	NetListener *listener = watch->arg;
	int			one = 1;

	for (int i = 0; i < NET_ACCEPT_PER_TURN; i++)
	{
		int			fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
		{
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			{
				net_watch_set(listener->loop, watch, 0);
				net_timer_start(listener->loop, &listener->rest, net_now() + NET_ACCEPT_REST_US);
			}
			break;				/* the others: nobody waits, or gave up
								 * meanwhile */
		}
		/* fails on what is not TCP, which does no harm */
		(void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

		/*
		 * so that a peer that vanished is noticed even while it has a request
		 * waiting
		 */
		(void) setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
		listener->accepted(listener, fd, listener->arg);
	}
}

static void
listener_rested(NetTimer *timer)
{
	NetListener *listener = timer->arg;

	net_watch_set(listener->loop, &listener->watch, NET_READABLE);
}

void
net_peer_address(int fd, struct sockaddr_storage *address)
{
	socklen_t	len = sizeof(*address);

	memset(address, 0, sizeof(*address));
	if (getpeername(fd, (struct sockaddr *) address, &len) < 0)
		address->ss_family = AF_UNSPEC;
}

void
net_peer_name(int fd, char *buf, size_t size)
{
	struct sockaddr_storage address;
	socklen_t	len = sizeof(address);
	char		host[NI_MAXHOST];
	char		service[NI_MAXSERV];

	if (getpeername(fd, (struct sockaddr *) &address, &len) < 0 ||
		address.ss_family == AF_UNIX ||
		getnameinfo((struct sockaddr *) &address, len, host, sizeof(host), service, sizeof(service),
					NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		snprintf(buf, size, "unknown");
	else if (address.ss_family == AF_INET6)
		snprintf(buf, size, "[%s]:%s", host, service);
	else
		snprintf(buf, size, "%s:%s", host, service);
}

void
net_peer_host(int fd, char *buf, size_t size)
{
	struct sockaddr_storage address;
	socklen_t	len = sizeof(address);

	if (getpeername(fd, (struct sockaddr *) &address, &len) < 0 || address.ss_family == AF_UNIX ||
		getnameinfo((struct sockaddr *) &address, len, buf, size, NULL, 0, NI_NUMERICHOST) != 0)
		snprintf(buf, size, "unknown");
	buf[strcspn(buf, "%")] = '\0';	/* the zone of a link-local address */
}
