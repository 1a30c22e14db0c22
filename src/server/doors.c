/*-------------------------------------------------------------------------
 *
 * doors.c
 *	  The listening sockets of pgtopic.listeners: one worker has them.
 *
 * A door is one listener.  It is open or closed, and when it is closed the
 * server's log says why.  A door that cannot be opened keeps no other
 * closed: where the address is taken it is tried again every second; where a
 * setting is in the way, or the host's name has no address (asking for one
 * would hold up the clients of others), when the settings are read again.
 *
 * Siblings: listener.c, ../kafka/listeners.c (reads the setting).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guc.h"
#include "kafka/listeners.h"
#include "server/certificates.h"
#include "server/doors.h"

#define PT_DOOR_SOCKETS_MAX	16	/* addresses of one host */
#define PT_RETRY_US			((int64) 1000000)

typedef struct Door
{
	int			number;			/* place in pgtopic.listeners */
	NetListener *sockets[PT_DOOR_SOCKETS_MAX];
	int			nsockets;		/* 0: closed */
	bool		passes;			/* closed, and may open by itself */
	char		told[256];		/* why it is closed, as the log says */
} Door;

/* Why a door stays closed. */
typedef struct Obstacle
{
	char		reason[256];
	const char *hint;
	bool		passes;			/* may be gone by itself in a moment */
} Obstacle;

static Door doors[KAFKA_LISTENERS_MAX];
static NetLoop *loop;
static NetAccepted accepted;
static NetTimer retry;

static void retry_due(NetTimer *timer);
static bool authenticates(KafkaSecurity security);
static bool may_open(const KafkaEndpoint *at, Obstacle *obstacle);
static bool open_sockets(Door *door, const KafkaEndpoint *at, Obstacle *obstacle);
static void tell_closed(Door *door, const KafkaEndpoint *at, const Obstacle *obstacle);
static void close_door(Door *door);
static void open_doors(bool all_closed);
static void tell_strangers(void);

/* Opens what can be opened; "accepted" gets their connections. */
void
pt_doors_init(NetLoop *in_loop, NetAccepted on_accepted)
{
	loop = in_loop;
	accepted = on_accepted;
	retry.due = retry_due;
	for (int i = 0; i < KAFKA_LISTENERS_MAX; i++)
		doors[i].number = i;
	open_doors(true);
	tell_strangers();
}

/*
 * The settings have been read again: what they no longer allow is closed, for
 * new connections, and what they allow now is opened.
 */
void
pt_doors_reload(void)
{
	const KafkaEndpoints *all = kafka_listeners();

	for (int i = 0; i < all->n; i++)
	{
		Obstacle	obstacle = {0};

		if (doors[i].nsockets == 0 || may_open(&all->at[i], &obstacle))
			continue;
		close_door(&doors[i]);
		tell_closed(&doors[i], &all->at[i], &obstacle);
	}
	open_doors(true);
	tell_strangers();
}

static void
retry_due(NetTimer *timer)
{
	open_doors(false);
}

/* Does every client of such a listener have to prove who it is? */
static bool
authenticates(KafkaSecurity security)
{
	return kafka_security_has_sasl(security) ||
		(security == KAFKA_SECURITY_SSL && pt_certificates_ask(security) == NET_TLS_ASK_REQUIRED);
}

/* Do the settings allow it?  Else *obstacle says what is in the way. */
static bool
may_open(const KafkaEndpoint *at, Obstacle *obstacle)
{
	KafkaSecurity security;

	if (!kafka_listener_security(at->name, &security))
	{
		snprintf(obstacle->reason, sizeof(obstacle->reason), "nothing says what is spoken there");
		obstacle->hint = "Add its name to \"pgtopic.listener_security_protocol_map\".";
		return false;
	}
	if (kafka_security_has_tls(security) && pt_certificates_context() == NULL)
	{
		strlcpy(obstacle->reason, pt_certificates_problem(&obstacle->hint), sizeof(obstacle->reason));
		return false;
	}
	if (!authenticates(security) && !pt_allow_unauthenticated && !net_host_is_loopback(at->host))
	{
		snprintf(obstacle->reason, sizeof(obstacle->reason),
				 "clients are not authenticated there, and the address is not loopback");
		obstacle->hint = "Listen on 127.0.0.1, or set \"pgtopic.allow_unauthenticated\".";
		return false;
	}
	return true;
}

static bool
open_sockets(Door *door, const KafkaEndpoint *at, Obstacle *obstacle)
{
	NetListenProblem problem;

	door->nsockets = net_listen(loop, at->host, at->port, accepted, &door->number, door->sockets, 0,
								PT_DOOR_SOCKETS_MAX, &problem);
	if (door->nsockets > 0)
		return true;
	snprintf(obstacle->reason, sizeof(obstacle->reason), "%s", problem.text);
	obstacle->passes = !problem.no_host;
	obstacle->hint = problem.no_host ? "It is tried again when the settings are reloaded." :
		"Is another server running on this port? It is tried again every second.";
	return false;
}

/* Says so once for each reason. */
static void
tell_closed(Door *door, const KafkaEndpoint *at, const Obstacle *obstacle)
{
	if (strcmp(door->told, obstacle->reason) == 0)
		return;
	strlcpy(door->told, obstacle->reason, sizeof(door->told));
	ereport(LOG,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("listener %s for Kafka clients on \"%s\", port %d, is not open: %s", at->name, at->host, at->port,
					obstacle->reason),
			 obstacle->hint != NULL ? errhint("%s", obstacle->hint) : 0));
}

static void
close_door(Door *door)
{
	while (door->nsockets > 0)
		net_listener_close(door->sockets[--door->nsockets]);
}

/* All that are closed, or only those that may open by themselves. */
static void
open_doors(bool all_closed)
{
	const KafkaEndpoints *all = kafka_listeners();
	bool		again = false;

	for (int i = 0; i < all->n; i++)
	{
		Door	   *door = &doors[i];
		const KafkaEndpoint *at = &all->at[i];
		Obstacle	obstacle = {0};

		if (door->nsockets > 0 || (!all_closed && !door->passes))
			continue;
		door->passes = false;
		if (!may_open(at, &obstacle) || !open_sockets(door, at, &obstacle))
		{
			tell_closed(door, at, &obstacle);
			door->passes = obstacle.passes;
			again |= obstacle.passes;
			continue;
		}
		door->told[0] = '\0';
		ereport(LOG,
				(errmsg("listener %s for Kafka clients is open on \"%s\", port %d", at->name, at->host, at->port)));
	}
	if (again)
		net_timer_start(loop, &retry, net_now() + PT_RETRY_US);
}

/* Names that are advertised and belong to no listener are mistakes. */
static void
tell_strangers(void)
{
	static char told[KAFKA_LISTENER_NAME_BYTES];
	KafkaEndpoints advertised;

	kafka_advertised_endpoints(&advertised);
	for (int i = 0; i < advertised.n; i++)
	{
		const char *name = advertised.at[i].name;

		if (kafka_endpoint_find(kafka_listeners(), name) != NULL || strcmp(told, name) == 0)
			continue;
		strlcpy(told, name, sizeof(told));
		ereport(LOG,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("listener %s of \"%s\" is not there", name, "pgtopic.advertised_listeners"),
				 errhint("Its name must be one of those in \"pgtopic.listeners\".")));
	}
}
