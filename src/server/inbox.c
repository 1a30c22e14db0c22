/*-------------------------------------------------------------------------
 *
 * inbox.c
 *	  Connections from process to process: the inboxes of the workers.
 *
 * Every worker that serves clients has an inbox, a datagram socket in the data
 * directory (which nobody else can reach).  A datagram brings one connection:
 * its socket, and what is known of the client.
 *
 * Three use it: listener worker 0, which accepts and deals out (letting the
 * kernel choose with SO_REUSEPORT put all connections of one client on one
 * worker); forward.c, whose connections carry requests to the worker of
 * another plane; and SQL sessions that ask the control worker
 * (../stats/control_query.c).
 *
 * An inbox holds only a few datagrams.  Full is no failure: the giver keeps
 * the connection and tries again.
 *
 * The giver counts the connection for the receiver, so that a burst is spread
 * evenly before the receivers have seen any of it.
 *
 * Siblings: inbox.h, listener.c, client.c, forward.c.
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

#include "server/forward.h"

/* A directory that base backups leave out. */
#define PT_INBOX_PATH "pg_stat_tmp/pgtopic_listener.%d"

/*
 * Connections taken from the inbox in one turn: those that are there already
 * have their turn, too.
 */
#define PT_TAKE_MAX		64

#define PT_MOVED_MAGIC	0x70674d76

static NetWatch inbox = {.fd = -1};

static void inbox_address(int worker, struct sockaddr_un *address);
static PtInboxResult send_datagram(int from, int worker, int fd, const PtMoved *moved);
static void inbox_ready(NetWatch *watch, uint32 events);
static bool inbox_take(PtListener *l);

static void
inbox_address(int worker, struct sockaddr_un *address)
{
	memset(address, 0, sizeof(*address));
	Assert(worker >= 0 && worker < PT_WORKERS_MAX);
	address->sun_family = AF_UNIX;
	snprintf(address->sun_path, sizeof(address->sun_path), PT_INBOX_PATH, worker);
}

/* Every worker has an inbox; it is also what the worker sends from. */
void
pt_inbox_init(PtListener *l)
{
	struct sockaddr_un address;
	int			fd;

	Assert(inbox.fd < 0);
	inbox_address(l->number, &address);
	if (unlink(address.sun_path) < 0 && errno != ENOENT)
		ereport(FATAL,
				(errcode_for_file_access(),
				 errmsg("could not remove file \"%s\": %m", address.sun_path)));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	inbox.ready = inbox_ready;
	inbox.arg = l;
	if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
		!net_watch_add(l->loop, &inbox, fd, NET_READABLE))
		ereport(FATAL,
				(errcode_for_socket_access(),
				 errmsg("could not create Unix socket \"%s\": %m", address.sun_path)));
	ReserveExternalFD();
}

/*
 * Giving
 */

/* One datagram to the inbox of a worker. */
static PtInboxResult
send_datagram(int from, int worker, int fd, const PtMoved *moved)
{
	struct sockaddr_un address;
	struct iovec iov = {unconstify(PtMoved *, moved), sizeof(PtMoved)};
	union
	{
		struct cmsghdr align;
		char		buf[CMSG_SPACE(sizeof(int))];
	}			control = {0};
	struct msghdr msg = {0};
	struct cmsghdr *cmsg;

	inbox_address(worker, &address);
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
	if (sendmsg(from, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return PT_INBOX_DONE;
	return errno == ENOENT || errno == ECONNREFUSED ? PT_INBOX_DOWN : PT_INBOX_FULL;
}

/*
 * Gives a connected, non-blocking socket to a worker, over the datagram socket
 * "from".  The caller keeps its descriptor, and closes it when the answer is
 * PT_INBOX_DONE.  Waits for nothing, throws nothing, and needs no transaction;
 * callable in any process.
 *
 * What cannot be had now may be there later: everything but a worker that is
 * not up is "full".
 */
PtInboxResult
pt_inbox_send(int from, int worker, int fd, PtMoved *moved)
{
	PtInboxResult result;

	Assert(fd >= 0 && from >= 0);
	moved->magic = PT_MOVED_MAGIC;
	moved->life = pt_server_up(worker);
	if (moved->life == 0 || !pt_server_connections_add(worker, moved->life, 1))
		return PT_INBOX_DOWN;
	result = send_datagram(from, worker, fd, moved);
	if (result != PT_INBOX_DONE)
		(void) pt_server_connections_add(worker, moved->life, -1);
	return result;
}

int
pt_inbox_socket(void)
{
	Assert(inbox.fd >= 0);
	return inbox.fd;
}

/*
 * Taking
 */

static void
inbox_ready(NetWatch *watch, uint32 events)
{
	for (int i = 0; i < PT_TAKE_MAX; i++)
	{
		if (!inbox_take(watch->arg))
			return;
	}
}

/*
 * One datagram; false: there is none.  The kernel leaves a descriptor out that
 * we have no room for: that connection has ended.
 */
static bool
inbox_take(PtListener *l)
{
	PtMoved		moved;
	struct iovec iov = {&moved, sizeof(moved)};
	int			fd = -1;
	union
	{
		struct cmsghdr align;
		char		buf[CMSG_SPACE(sizeof(int))];
	}			control;
	struct msghdr msg = {0};
	struct cmsghdr *cmsg;
	ssize_t		n;

	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = control.buf;
	msg.msg_controllen = sizeof(control.buf);
	n = recvmsg(inbox.fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return false;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg != NULL && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(int));
	if (n != (ssize_t) sizeof(moved) || moved.magic != PT_MOVED_MAGIC)
	{
		if (fd >= 0)
			close(fd);			/* not from us */
		return true;
	}
	/* counted for the worker that was here before, which has ended */
	if (moved.life != l->life)
		(void) pt_server_connections_add(l->number, l->life, 1);
	if (fd >= 0)
		pt_client_open(l, fd, &moved);
	else
	{
		(void) pt_server_connections_add(l->number, l->life, -1);
		ereport(LOG,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not take over a connection of Kafka client \"%s\" at %s",
						moved.session.client_id, moved.session.peer),
				 errhint("Raise the limit of open files of the server, or lower \"pgtopic.max_connections\".")));
	}
	return true;
}
