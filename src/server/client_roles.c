/*-------------------------------------------------------------------------
 *
 * client_roles.c
 *	  Connections end within a second of losing their role.
 *
 * A request finds out by itself that roles have changed (kafka/session.c).
 * For connections that are silent, or wait in a long poll, the worker looks
 * twice a second, as long as it has any: a transaction hears of what others
 * have changed, and if roles have, each session is asked.  VALID UNTIL passes
 * without anybody changing anything, so it is kept with the session.  Quotas
 * that have changed are taken in by the same transaction (throttle.c).
 *
 * Siblings: turn.c, client.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "postmaster/postmaster.h"

#include "rights/rights.h"
#include "server/listener.h"

#define PT_LOOK_US		500000

static NetTimer timer;
static int64 look_at;			/* net_now() */
static uint64 seen;				/* pt_roles_changes() of the last look */

/* It is only there to wake the worker; the turn does the rest. */
static void
timer_due(NetTimer *due)
{
}

/* See kafka_connections_hook. */
static int
count_connections(KafkaSession *session, Oid role)
{
	PtClient   *client = (PtClient *) ((char *) session - offsetof(PtClient, session));

	return pt_client_slot_role(client->slot, role);
}

void
pt_client_roles_init(PtListener *l)
{
	kafka_connections_hook = count_connections;
	timer.due = timer_due;
	timer.arg = l;
}

/*
 * Has it had the time that a session of the server has to authenticate itself,
 * and is nobody yet?
 */
static bool
is_late(const PtListener *l, const KafkaSession *session)
{
	return kafka_session_is_nobody(session) &&
		l->now >= TimestampTzPlusMilliseconds(session->connected_at, AuthenticationTimeout * INT64CONST(1000));
}

/*
 * Closes those that have lost their role.  One that has asked nothing yet has
 * none: its first request will tell.  Those of listeners end with the clients
 * that are there.
 */
static void
look(PtListener *l)
{
	uint64		changes = pt_roles_changes();
	bool		changed = changes != seen;
	dlist_iter	iter;

	dlist_foreach(iter, &l->clients)
	{
		PtClient   *client = dlist_container(PtClient, node, iter.cur);
		KafkaSession *session = &client->session;
		char	   *problem;

		if (net_conn_closing(client->conn) || client->origin == PT_ORIGIN_LISTENER)
			continue;
		if (is_late(l, session))
			net_conn_close(client->conn, "it has not authenticated itself in time");
		if (session->roles_seen == 0 || net_conn_closing(client->conn))
			continue;
		if (!(changed && session->roles_seen != changes) && session->role_until >= l->now)
			continue;
		problem = kafka_session_resolve(session);
		if (problem != NULL)
			net_conn_close(client->conn, "%s", problem);
	}
	seen = changes;
}

/* At every turn; does something when it is time. */
void
pt_client_roles_turn(PtListener *l)
{
	int64		now;

	if (dlist_is_empty(&l->clients))
		return;
	now = net_now();
	if (now >= look_at)
	{
		look_at = now + PT_LOOK_US;
		net_timer_start(l->loop, &timer, look_at);
		pt_turn_transaction();
		look(l);
		pt_quotas_turn(l);
	}
}
