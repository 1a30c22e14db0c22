/*-------------------------------------------------------------------------
 *
 * throttle.c
 *	  Clients that are throttled, and connections that are refused.
 *
 * The kafka room says for how long (call->throttle_ms).  The answer leaves as
 * always; for that time no request of the client is begun, no byte of its
 * connection is read, and it is not idle (net's "muted").  Requests that were
 * begun go on.  Other clients notice nothing.
 *
 * A worker looks for changed quotas when a turn has requests, and twice a
 * second while it has clients (client_roles.c).  When quotas have changed all
 * who are throttled may send again, and are measured by the new ones.
 *
 * A connection that comes too early after others from its address is kept for
 * a moment, and then closed, as a Kafka broker does: a client that was refused
 * at once would come again at once.
 *
 * Siblings: turn.c, client.c; ../kafka/quota.c, ../quotas/ (who is throttled).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xact.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#include "guc.h"
#include "net/listen.h"
#include "quotas/quotas.h"
#include "server/listener.h"
#include "stop_point.h"
#include "tell.h"

/* Refused connections that are kept; further ones are closed at once. */
#define PT_REFUSED_MAX	256

typedef struct PtRefused
{
	NetTimer	timer;
	int			fd;
} PtRefused;

static int	nrefused;

static void throttle_due(NetTimer *timer);
static void throttle_end(PtClient *client);
static void refused_due(NetTimer *timer);

void
pt_throttle_init(PtListener *l)
{
	dlist_init(&l->throttled);
}

/*
 * Throttles a client from now on; the longest time counts.
 */
void
pt_client_throttle(PtClient *client, int32 ms)
{
	int64		now = net_now();

	Assert(ms > 0);
	if (net_conn_closing(client->conn))
		return;
	if (!pt_client_throttled(client))
	{
		dlist_push_tail(&client->listener->throttled, &client->throttle_node);
		net_conn_mute(client->conn);
	}
	client->throttled_until = Max(client->throttled_until, now + (int64) ms * 1000);
	client->throttle.due = throttle_due;
	client->throttle.arg = client;
	net_timer_start(client->listener->loop, &client->throttle, client->throttled_until);
}

static void
throttle_due(NetTimer *timer)
{
	throttle_end(timer->arg);
}

/* The client's requests go on. */
static void
throttle_end(PtClient *client)
{
	pt_client_throttle_forget(client);
	net_conn_unmute(client->conn);
	pt_client_runnable(client);
}

/* The connection ends, or the time is over. */
void
pt_client_throttle_forget(PtClient *client)
{
	if (!pt_client_throttled(client))
		return;
	client->throttled_until = 0;
	net_timer_stop(client->listener->loop, &client->throttle);
	dlist_delete(&client->throttle_node);
}

/*
 * In a transaction, before requests are begun: takes in quotas that have
 * changed.
 */
void
pt_quotas_turn(PtListener *l)
{
	if (!pt_quotas_refresh())
		return;
	net_group_measure(l->group, pt_quota_is_set(PT_QUOTA_REQUEST));
	while (!dlist_is_empty(&l->throttled))
		throttle_end(dlist_head_element(PtClient, throttle_node, &l->throttled));
}

/*
 * Connections
 */

/* Outside of a transaction: quotas that have changed. */
static void
look_at_quotas(PtListener *l)
{
	pt_turn_transaction();
	pt_quotas_turn(l);
	PT_STOP_POINT("quotas.looked");
	CommitTransactionCommand();
	MemoryContextSwitchTo(l->turn_mcxt);
}

/* Keeps the socket for a moment. */
static void
keep_refused(PtListener *l, int fd, int32 ms)
{
	PtRefused  *refused;

	if (nrefused >= PT_REFUSED_MAX)
	{
		close(fd);
		return;
	}
	refused = MemoryContextAllocZero(l->mcxt, sizeof(PtRefused));
	refused->fd = fd;
	refused->timer.due = refused_due;
	refused->timer.arg = l;
	net_timer_start(l->loop, &refused->timer, net_now() + (int64) ms * 1000);
	ReserveExternalFD();
	nrefused++;
}

static void
refused_due(NetTimer *timer)
{
	PtRefused  *refused = (PtRefused *) timer;

	close(refused->fd);
	ReleaseExternalFD();
	nrefused--;
	pfree(refused);
}

/*
 * Are there too many connections from the client's address, with this one?  It
 * has its slot; whoever is not among the slots is not counted.
 */
bool
pt_too_many_of_address(PtClient *client, int fd)
{
	char		address[64];
	int			limit;

	if (pt_max_connections_per_ip == PG_INT32_MAX && pt_max_connections_per_ip_overrides[0] == '\0')
		return false;
	net_peer_host(fd, address, sizeof(address));
	limit = pt_connections_per_ip(address);
	return pt_client_slot_neighbours(client->slot) > limit;
}

static void
tell_refused(const char *address)
{
	static PtTold told;
	int			untold;

	if (pt_may_tell(&told, &untold))
		ereport(LOG,
				(errcode(ERRCODE_TOO_MANY_CONNECTIONS),
				 errmsg("Kafka connection from %s refused: its quota of new connections is used up", address)));
	if (untold > 0)
		ereport(LOG,
				(errmsg("refused %d more Kafka connections", untold)));
}

/*
 * A connection has just been accepted.  Returns true if it is refused because
 * of a quota of its address; the socket is not the caller's any more then.
 */
bool
pt_connection_refused(PtListener *l, int fd)
{
	char		address[64];
	int32		ms;

	Assert(!IsTransactionState());
	PG_TRY();
	{
		look_at_quotas(l);
	}
	PG_CATCH();
	{
		close(fd);				/* nobody has it yet */
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (!pt_quota_is_set(PT_QUOTA_CONNECTION))
		return false;
	net_peer_host(fd, address, sizeof(address));
	ms = pt_quota_connection(address);
	if (ms == 0)
		return false;
	tell_refused(address);
	keep_refused(l, fd, ms);
	return true;
}
