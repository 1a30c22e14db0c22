/*-------------------------------------------------------------------------
 *
 * inbox.c
 *	  Connections from process to process: the inboxes of the workers.
 *
 * Every worker that serves clients has an inbox, a datagram socket in the data
 * directory (which nobody else can reach).  A datagram brings one connection:
 * its socket, what is known of the client, and the bytes that were received
 * and not worked on.  Few bytes are in the datagram itself, many in a second
 * descriptor, a file in memory.
 *
 * Three use it: listener worker 0, which accepts and deals out (letting the
 * kernel choose with SO_REUSEPORT put all connections of one client on one
 * worker); client_move.c, for clients whose requests belong to another plane;
 * and SQL sessions that ask the control worker (../stats/control_query.c).
 *
 * An inbox holds only a few datagrams.  Full is no failure: the giver keeps
 * the connection and tries again.  A worker whose memory for requests is used
 * up does not empty its inbox until it has some.
 *
 * The giver counts the connection for the receiver, so that a burst is spread
 * evenly before the receivers have seen any of it.
 *
 * Siblings: inbox.h, listener.c, client.c, client_move.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "storage/fd.h"

#include "guc.h"
#include "server/client_move.h"

/* A directory that base backups leave out. */
#define PT_INBOX_PATH "pg_stat_tmp/pgtopic_listener.%d"

/*
 * Bytes that still go into the datagram; a socket's buffer holds several such.
 */
#define PT_INLINE_MAX	(16 * 1024)

/*
 * Connections taken from the inbox in one turn: those that are there already
 * have their turn, too.
 */
#define PT_TAKE_MAX		64

/*
 * What may lie in files in the inboxes of one worker, beside one of any size.
 */
#define PT_FILES_MAX	((uint64) 64 * 1024 * 1024)

#define PT_MOVED_MAGIC	0x70674d76

static NetWatch inbox = {.fd = -1};

static void inbox_address(int worker, struct sockaddr_un *address);
static void inbox_ready(NetWatch *watch, uint32 events);
static bool inbox_take(PtListener *l);
static void take_client(PtListener *l, int fd, int file, const PtMoved *moved, const char *bytes);
static int	put_into_file(const struct iovec *bytes, int nbytes);
static char *map_file(int file, uint64 len);

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
 * To be called in every turn: an inbox that was left alone for want of memory.
 */
void
pt_inbox_turn(PtListener *l)
{
	if (inbox.events == 0 && !net_group_over_budget(l->group))
		net_watch_set(l->loop, &inbox, NET_READABLE);
}

/*
 * Giving
 */

/* A file in memory with these bytes; -1 with errno. */
static int
put_into_file(const struct iovec *bytes, int nbytes)
{
	int			file = memfd_create("pgtopic request", MFD_CLOEXEC);

	if (file < 0)
		return -1;
	for (int i = 0; i < nbytes; i++)
	{
		size_t		done = 0;

		while (done < bytes[i].iov_len)
		{
			ssize_t		n = write(file, (char *) bytes[i].iov_base + done, bytes[i].iov_len - done);

			if (n <= 0)
			{
				close(file);
				return -1;
			}
			done += n;
		}
	}
	return file;
}

/* One datagram to the inbox of a worker. */
static PtInboxResult
send_datagram(int from, int worker, int fd, int file, const PtMoved *moved,
			  const struct iovec *bytes, int nbytes)
{
	struct sockaddr_un address;
	struct iovec iov[PT_INBOX_IOVECS + 1];
	int			fds[2] = {fd, file};
	int			nfds = file >= 0 ? 2 : 1;
	union
	{
		struct cmsghdr align;
		char		buf[CMSG_SPACE(sizeof(fds))];
	}			control = {0};
	struct msghdr msg = {0};
	struct cmsghdr *cmsg;

	inbox_address(worker, &address);
	msg.msg_name = &address;
	msg.msg_namelen = sizeof(address);
	iov[0].iov_base = unconstify(PtMoved *, moved);
	iov[0].iov_len = sizeof(PtMoved);
	msg.msg_iov = iov;
	msg.msg_iovlen = 1;
	if (file < 0 && nbytes > 0)
	{
		memcpy(iov + 1, bytes, nbytes * sizeof(struct iovec));
		msg.msg_iovlen += nbytes;
	}
	msg.msg_control = control.buf;
	msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
	cmsg = CMSG_FIRSTHDR(&msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(nfds * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, nfds * sizeof(int));
	if (sendmsg(from, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return PT_INBOX_DONE;
	return errno == ENOENT || errno == ECONNREFUSED ? PT_INBOX_DOWN : PT_INBOX_FULL;
}

/* As pt_inbox_send; the connection counts for the worker already. */
static PtInboxResult
send_counted(int from, int worker, int fd, const PtMoved *moved, const struct iovec *bytes, int nbytes)
{
	PtInboxResult result;
	int			file;

	if (moved->len <= PT_INLINE_MAX)
		return send_datagram(from, worker, fd, -1, moved, bytes, nbytes);
	if (!pt_server_files_add(worker, moved->life, moved->len, PT_FILES_MAX))
		return PT_INBOX_FULL;
	file = put_into_file(bytes, nbytes);
	result = file < 0 ? PT_INBOX_FULL : send_datagram(from, worker, fd, file, moved, bytes, nbytes);
	if (file >= 0)
		close(file);
	if (result != PT_INBOX_DONE)
		pt_server_files_taken(worker, moved->life, moved->len);
	return result;
}

/*
 * Gives a connected, non-blocking socket to a worker, with bytes that were
 * received from it, over the datagram socket "from".  The caller keeps its
 * descriptor, and closes it when the answer is PT_INBOX_DONE.  Waits for
 * nothing, throws nothing, and needs no transaction; callable in any process.
 *
 * What cannot be had now may be there later: everything but a worker that is
 * not up is "full".
 */
PtInboxResult
pt_inbox_send(int from, int worker, int fd, PtMoved *moved, const struct iovec *bytes, int nbytes)
{
	PtInboxResult result;

	Assert(nbytes <= PT_INBOX_IOVECS && fd >= 0 && from >= 0);
	moved->magic = PT_MOVED_MAGIC;
	moved->len = 0;
	for (int i = 0; i < nbytes; i++)
		moved->len += bytes[i].iov_len;
	moved->life = pt_server_up(worker);
	if (moved->life == 0 || !pt_server_connections_add(worker, moved->life, 1))
		return PT_INBOX_DOWN;
	result = send_counted(from, worker, fd, moved, bytes, nbytes);
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
	PtListener *l = watch->arg;

	for (int i = 0; i < PT_TAKE_MAX; i++)
	{
		if (net_group_over_budget(l->group))
		{
			net_watch_set(l->loop, watch, 0);
			return;
		}
		if (!inbox_take(l))
			return;
	}
}

/* One datagram; false: there is none. */
static bool
inbox_take(PtListener *l)
{
	static char bytes[PT_INLINE_MAX];
	PtMoved		moved;
	struct iovec iov[2] = {{&moved, sizeof(moved)}, {bytes, sizeof(bytes)}};
	int			fds[2] = {-1, -1};
	union
	{
		struct cmsghdr align;
		char		buf[CMSG_SPACE(sizeof(fds))];
	}			control;
	struct msghdr msg = {0};
	struct cmsghdr *cmsg;
	ssize_t		n;

	msg.msg_iov = iov;
	msg.msg_iovlen = lengthof(iov);
	msg.msg_control = control.buf;
	msg.msg_controllen = sizeof(control.buf);
	n = recvmsg(inbox.fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return false;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg != NULL && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(cmsg), Min(cmsg->cmsg_len - CMSG_LEN(0), sizeof(fds)));
	if (n < (ssize_t) sizeof(moved) || moved.magic != PT_MOVED_MAGIC)
	{
		/* not from us */
		for (int i = 0; i < lengthof(fds); i++)
		{
			if (fds[i] >= 0)
				close(fds[i]);
		}
		return true;
	}
	Assert(moved.len > PT_INLINE_MAX || n == sizeof(moved) + moved.len);
	if (moved.len > PT_INLINE_MAX)
		pt_server_files_taken(l->number, moved.life, moved.len);
	/* counted for the worker that was here before, which has ended */
	if (moved.life != l->life)
		(void) pt_server_connections_add(l->number, l->life, 1);
	take_client(l, fds[0], fds[1], &moved, bytes);
	return true;
}

/*
 * The kernel leaves descriptors out that we have no room for: such a
 * connection has ended.
 */
static void
take_client(PtListener *l, int fd, int file, const PtMoved *moved, const char *bytes)
{
	char	   *mapped = NULL;

	if (moved->len > PT_INLINE_MAX && file >= 0)
		bytes = mapped = map_file(file, moved->len);
	if (fd < 0 || bytes == NULL || (moved->len > PT_INLINE_MAX && mapped == NULL))
	{
		ereport(LOG,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not take over the connection of Kafka client \"%s\" at %s: %m",
						moved->session.client_id, moved->session.peer)));
		if (fd >= 0)
			close(fd);
		(void) pt_server_connections_add(l->number, l->life, -1);
	}
	else
		pt_client_open(l, fd, moved, bytes);
	if (mapped != NULL)
		munmap(mapped, moved->len);
	if (file >= 0)
		close(file);
}

/*
 * NULL with errno; also when the file is shorter than was said, which reading
 * would not survive.
 */
static char *
map_file(int file, uint64 len)
{
	struct stat st;
	char	   *mapped;

	if (fstat(file, &st) < 0 || (uint64) st.st_size < len)
		return NULL;
	mapped = mmap(NULL, len, PROT_READ, MAP_SHARED, file, 0);
	return mapped == MAP_FAILED ? NULL : mapped;
}
