/*-------------------------------------------------------------------------
 *
 * handover.c
 *	  Connections for other workers.
 *
 * Listener worker 0 listens and accepts.  It keeps a connection or hands it to
 * the worker that has the fewest, over a datagram socket of that worker in the data
 * directory (which nobody else can reach).  Letting the kernel choose
 * (SO_REUSEPORT) put all connections of one client on one worker.
 *
 * The giver counts the connection for the receiver, so that a burst is spread
 * evenly before the receivers have seen any of it.
 *
 * Siblings: listener.c, client.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "storage/fd.h"

#include "guc.h"
#include "server/listener.h"

/* A directory that base backups leave out. */
#define PT_HANDOVER_PATH "pg_stat_tmp/pgtopic_listener.%d"

static NetWatch inbox = {.fd = -1};

static void handover_address(int worker, struct sockaddr_un *address);
static void handover_ready(NetWatch *watch, uint32 events);
static int	handover_receive(int fd);

static void
handover_address(int worker, struct sockaddr_un *address)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	snprintf(address->sun_path, sizeof(address->sun_path), PT_HANDOVER_PATH, worker);
}

/* Every worker has an inbox; of worker 0 it is only the end from which it sends. */
void
pt_handover_init(PtListener *l)
{
	struct sockaddr_un address;
	int			fd;

	if (pt_listener_workers == 1)
		return;
	handover_address(l->number, &address);
	if (unlink(address.sun_path) < 0 && errno != ENOENT)
		ereport(FATAL,
				(errcode_for_file_access(),
				 errmsg("could not remove file \"%s\": %m", address.sun_path)));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	inbox.ready = handover_ready;
	inbox.arg = l;
	if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
		!net_watch_add(l->loop, &inbox, fd, NET_READABLE))
		ereport(FATAL,
				(errcode_for_socket_access(),
				 errmsg("could not create Unix socket \"%s\": %m", address.sun_path)));
	ReserveExternalFD();
}

/*
 * false: the other worker cannot take it now, and it is still ours.
 */
bool
pt_handover_send(PtListener *l, int worker, int fd)
{
	struct sockaddr_un address;
	char		byte = 0;
	struct iovec iov = {&byte, 1};
	union
	{
		struct cmsghdr align;
		char		buf[CMSG_SPACE(sizeof(int))];
	}			control = {0};
	struct msghdr msg = {0};
	struct cmsghdr *cmsg;

	Assert(worker != l->number && inbox.fd >= 0);
	handover_address(worker, &address);
	msg.msg_name = &address;
	msg.msg_namelen = sizeof(address);
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = control.buf;
	msg.msg_controllen = sizeof(control.buf);
	cmsg = CMSG_FIRSTHDR(&msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));

	pt_server_connections_add(worker, 1);
	if (sendmsg(inbox.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
	{
		pt_server_connections_add(worker, -1);
		return false;
	}
	close(fd);
	return true;
}

static void
handover_ready(NetWatch *watch, uint32 events)
{
	int			fd;

	while ((fd = handover_receive(watch->fd)) >= 0)
		pt_client_open(watch->arg, fd);
}

/* -1: nothing (more) there. */
static int
handover_receive(int from)
{
	char		byte;
	struct iovec iov = {&byte, 1};
	union
	{
		struct cmsghdr align;
		char		buf[CMSG_SPACE(sizeof(int))];
	}			control;
	struct msghdr msg = {0};
	struct cmsghdr *cmsg;
	int			fd = -1;

	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = control.buf;
	msg.msg_controllen = sizeof(control.buf);
	if (recvmsg(from, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
		return -1;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg != NULL && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(int));
	return fd;
}
