/*-------------------------------------------------------------------------
 *
 * listener.c
 *	  The listener worker: its loop, and how it comes up and waits.
 *
 * Client sockets are in an epoll descriptor of net's, and that one descriptor
 * is waited for together with the process' latch and the postmaster's death.
 * While there is work the worker does not wait at all but polls, and a turn
 * takes everything that has become ready since the last (turn.c).
 *
 * The control and the administration worker are listeners that do not accept:
 * the connections that they serve come from listeners, for requests that
 * belong to them (forward.c), and from sessions of SQL.
 *
 * Siblings: client.c, turn.c, log_waits.c, span_source.c, forward.c, inbox.c,
 * doors.c, certificates.c; committer.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/resource.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "access/xact.h"
#include "access/xlog.h"
#include "access/xloginsert.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/postmaster.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "auth/auth.h"
#include "guc.h"
#include "record/crc32c.h"
#include "server/certificates.h"
#include "server/doors.h"
#include "server/forward.h"
#include "server/server.h"
#include "xact/commit.h"
#include "worker.h"

/* How often a listener that starts looks whether the committer is up. */
#define PT_COMMITTER_POLL_MS	10

/*
 * Bytes of answers that may wait in one connection before it is read no more.
 */
#define PT_OUTPUT_BYTES_MAX		(1024 * 1024)

/* Requests of one connection in work. */
#define PT_INFLIGHT_MAX			64

/* Memory for requests, beside one as large as may be. */
#define PT_INPUT_BYTES			((uint64) 128 * 1024 * 1024)

/*
 * Memory that is freed stays with the process up to here: large requests take
 * and give back some every time, and getting it from the kernel anew costs
 * more than receiving into it.
 */
#define PT_KEEP_BYTES			(32 * 1024 * 1024)

/* Between two reports to pg_stat_activity. */
#define PT_REPORT_US			1000000

/* An error that comes back turn after turn: better to begin anew. */
#define PT_FAILURES_MAX			100

static PtListener listener;
static long report_ms = -1;		/* until there is something to report; -1:
								 * there is not */

static void listener_start(PtListener *l);
static void listener_exit(int code, Datum arg);
static int	sockets_max(const PtListener *l);
static void raise_file_limit(int n);
static void keep_memory(void);
static void set_limits(const PtListener *l, NetLimits *limits);
static void await_committer(uint32 wait_event);
static void load_certificates(const PtListener *l);
static void on_accepted(NetListener *from, int fd, void *arg);
static const char *name_of(const PtListener *l);
static int	connections_max(void);
static void tell_refused(void);
static void take_interrupts(PtListener *l);
static bool run_turn(PtListener *l);
static void report_error(PtListener *l);
static void guarded_turn(PtListener *l);
static void wait_for_work(PtListener *l, WaitEventSet *set, uint32 wait_event);
static long report_idle(PtListener *l);

/*
 * Until the committer is up, no end of a log is known to be safe: consumers
 * would be told to come again.
 */
static void
await_committer(uint32 wait_event)
{
	while (!pt_commit_wait_mode_known())
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, PT_COMMITTER_POLL_MS, wait_event);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

void
pt_listener_main(Datum arg)
{
	PtListener *l = &listener;
	WaitEventSet *set;
	uint32		wait_event;

	pt_worker_start(pt_database);
	l->number = DatumGetInt32(arg);
	wait_event = pt_wait_event_new(pt_plane_of(l) == KAFKA_PLANE_CONTROL ? "PgtopicControlMain" :
								   pt_plane_of(l) == KAFKA_PLANE_ADMIN ? "PgtopicAdminMain" : "PgtopicListenerMain");
	pt_serves_others = true;
	kafka_control_worker = pt_plane_of(l) == KAFKA_PLANE_CONTROL;
	await_committer(wait_event);
	listener_start(l);
	if (pt_plane_of(l) == KAFKA_PLANE_DATA)
		load_certificates(l);
	if (l->number == 0)
		pt_doors_init(l->loop, on_accepted);

	set = pt_wait_event_set_new(3);
	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(set, WL_SOCKET_READABLE, net_loop_fd(l->loop), NULL, NULL);

	for (;;)
	{
		guarded_turn(l);
		pt_server_sleeps_for(l->number, pt_turn_sleeps_for(l));
		if (!pt_turn_pending(l))
			wait_for_work(l, set, wait_event);
	}
}

static void
listener_start(PtListener *l)
{
	NetLimits	limits;

	/* the committer flushes for us */
	SetConfigOption("synchronous_commit", "off", PGC_USERSET, PGC_S_OVERRIDE);
	XLogEnsureRecordSpace(32, 64);
	pt_crc32c_for_server();
	raise_file_limit(sockets_max(l));
	keep_memory();
	l->mcxt = AllocSetContextCreate(TopMemoryContext, "pgtopic listener", ALLOCSET_DEFAULT_SIZES);
	l->turn_mcxt = AllocSetContextCreate(l->mcxt, "pgtopic turn", ALLOCSET_DEFAULT_SIZES);
	set_limits(l, &limits);
	l->loop = net_loop_create();
	if (l->loop != NULL)
		l->group = net_group_create(l->loop, &pt_client_handler, &limits, l);
	if (l->group == NULL)
		ereport(FATAL,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not create an event loop: %m")));
	pt_auth_load(l->number == 0);
	pt_turn_init(l);
	pt_log_waits_init(l);
	pt_forward_init(l);
	pt_inbox_init(l);
	before_shmem_exit(listener_exit, (Datum) 0);
	l->life = pt_server_attach(l->number, MyLatch);
	Assert(l->life != 0);
	pgstat_report_appname(name_of(l));
}

static void
load_certificates(const PtListener *l)
{
	pt_certificates_load(l->number == 0);
	pt_server_set_certified(l->number, pt_certificates_context() != NULL);
}

static const char *
name_of(const PtListener *l)
{
	switch (pt_plane_of(l))
	{
		case KAFKA_PLANE_CONTROL:
			return "pgtopic control";
		case KAFKA_PLANE_ADMIN:
			return "pgtopic admin";
		default:
			return psprintf("pgtopic listener %d", l->number);
	}
}

static void
listener_exit(int code, Datum arg)
{
	LWLockReleaseAll();			/* an error may leave some */
	(void) pt_server_attach(listener.number, NULL);
	pt_log_waits_forget_all();
}

/*
 * A listener has up to three for each of its clients (forward.c), the others
 * one for each client of all listeners.
 */
static int
sockets_max(const PtListener *l)
{
	return pt_plane_of(l) == KAFKA_PLANE_DATA ? 3 * pt_max_connections : connections_max();
}

/*
 * Sockets come on top of the files that the server wants to have open: fd.c
 * gets to count them all, so its limit goes up with the process' own.
 */
static void
raise_file_limit(int n)
{
	struct rlimit limit;
	rlim_t		want;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	want = (rlim_t) max_safe_fds + n + 64;
	if (limit.rlim_cur < want && limit.rlim_cur < limit.rlim_max)
	{
		limit.rlim_cur = Min(want, limit.rlim_max);
		if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
			return;
	}
	if (limit.rlim_cur > (rlim_t) max_safe_fds + 64)
		max_safe_fds += (int) Min((rlim_t) n, limit.rlim_cur - max_safe_fds - 64);
	if (limit.rlim_cur < want)
		ereport(LOG,
				(errmsg("the limit of open files, %lu, is too low for %d sockets of Kafka clients",
						(unsigned long) limit.rlim_cur, n),
				 errhint("Raise the limit of open files of the server, or lower \"pgtopic.max_connections\".")));
}

static void
keep_memory(void)
{
#ifdef __GLIBC__
	(void) mallopt(M_MMAP_THRESHOLD, PT_KEEP_BYTES);
	(void) mallopt(M_TRIM_THRESHOLD, PT_KEEP_BYTES);
#endif
}

/* Who is silent is the listener's to end, which has the client. */
static void
set_limits(const PtListener *l, NetLimits *limits)
{
	limits->frame_bytes_max = pt_max_request_size;
	limits->input_bytes_max = Max(PT_INPUT_BYTES, (uint64) pt_max_request_size + PT_INPUT_BYTES / 4);
	limits->output_bytes_max = PT_OUTPUT_BYTES_MAX;
	limits->inflight_max = PT_INFLIGHT_MAX;
	limits->idle_us = pt_plane_of(l) == KAFKA_PLANE_DATA ? (int64) pt_idle_timeout_ms * 1000 : 0;
	limits->handshake_us = (int64) AuthenticationTimeout * 1000000;
	Assert(limits->input_bytes_max >= limits->frame_bytes_max); /* one can always finish */
}

/* How many connections there may be, over all workers. */
static int
connections_max(void)
{
	return (int) Min((int64) pt_max_connections * pt_listener_workers, INT_MAX);
}

static void
tell_refused(void)
{
	static int64 last_told = 0;
	int64		now = net_now();

	if (last_told != 0 && now - last_told <= 1000000)
		return;
	last_told = now;
	ereport(LOG,
			(errcode(ERRCODE_TOO_MANY_CONNECTIONS),
			 errmsg("Kafka connection refused: there are %d already", connections_max()),
			 errhint("Increase the setting \"pgtopic.max_connections\".")));
}

/*
 * A new connection goes to the worker with the fewest, and stays here when
 * that one is busy, or cannot speak TLS though it must.
 */
static void
on_accepted(NetListener *from, int fd, void *arg)
{
	PtListener *l = &listener;
	int			worker = pt_server_least_loaded(l->number);
	int			number = *(const int *) arg;
	PtMoved		moved = {.origin = PT_ORIGIN_CLIENT,.session.listener = number};

	(void) kafka_listener_security(kafka_listeners()->at[number].name, &moved.session.security);
	if (pt_server_clients() >= connections_max())
	{
		close(fd);
		tell_refused();
		return;
	}
	if (pt_connection_refused(l, fd))
		return;
	if (worker != l->number &&
		(!kafka_security_has_tls(moved.session.security) || pt_server_certified(worker)) &&
		pt_inbox_send(pt_inbox_socket(), worker, fd, &moved) == PT_INBOX_DONE)
	{
		close(fd);
		return;
	}
	(void) pt_server_connections_add(l->number, l->life, 1);
	pt_client_open(l, fd, &moved);
}

static void
take_interrupts(PtListener *l)
{
	NetLimits	limits;

	if (!pt_worker_interrupts())
		return;
	pt_auth_load(l->number == 0);
	set_limits(l, &limits);
	net_group_set_limits(l->group, &limits);
	if (pt_plane_of(l) == KAFKA_PLANE_DATA)
		load_certificates(l);
	if (l->number == 0)
		pt_doors_reload();
}

/*
 * false: there was an error, which has been dealt with.  All that may throw is
 * in here, also what the server wants of every process (invalidations,
 * settings, statistics): a listener that ends takes all its clients with it.
 */
static bool
run_turn(PtListener *l)
{
	volatile bool ok = true;

	Assert(!IsTransactionState() && l->current == NULL);
	MemoryContextSwitchTo(l->turn_mcxt);
	l->now = GetCurrentTimestamp();
	PG_TRY();
	{
		take_interrupts(l);
		(void) net_loop_poll(l->loop, 0);
		net_loop_run_timers(l->loop);
		net_group_deliver(l->fars);
		net_group_deliver(l->group);
		pt_turn(l);
		net_group_reap(l->group);
		net_group_reap(l->fars);	/* those of clients that have gone, too */
		report_ms = pt_turn_pending(l) ? -1 : report_idle(l);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(l->turn_mcxt);
		report_error(l);
		pt_turn_recover(l);
		ok = false;
	}
	PG_END_TRY();
	Assert(!IsTransactionState() && l->current == NULL);
	MemoryContextSwitchTo(l->turn_mcxt);
	MemoryContextReset(l->turn_mcxt);
	return ok;
}

/*
 * An error while answers are sent is mostly that of a log that has been
 * dropped or truncated under its reader, which is no error of the server's.
 */
static void
report_error(PtListener *l)
{
	NetConn    *conn = l->current == NULL ? net_group_current(l->group) : NULL;
	ErrorData  *edata;

	if (conn == NULL)
	{
		EmitErrorReport();
		FlushErrorState();
		return;
	}
	edata = CopyErrorData();
	FlushErrorState();
	ereport(LOG,
			(errcode(edata->sqlerrcode),
			 errmsg("could not send to Kafka client at %s: %s",
					((PtClient *) net_conn_data(conn))->session.peer, edata->message),
			 edata->hint ? errhint("%s", edata->hint) :
			 errhint("That is so when a topic is dropped or truncated while it is read.")));
	FreeErrorData(edata);
}

static void
guarded_turn(PtListener *l)
{
	static int	failures = 0;

	if (run_turn(l))
		failures = 0;
	else if (++failures >= PT_FAILURES_MAX)
		ereport(FATAL,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("the worker \"%s\" starts again after %d errors in a row", name_of(l), failures)));
}

static void
wait_for_work(PtListener *l, WaitEventSet *set, uint32 wait_event)
{
	WaitEvent	occurred[3];
	long		timeout_ms = net_loop_timeout_ms(l->loop);

	if (report_ms >= 0 && (timeout_ms < 0 || report_ms < timeout_ms))
		timeout_ms = report_ms;
	Assert(!IsTransactionState());	/* it would hold back xmin */
	(void) WaitEventSetWait(set, timeout_ms, occurred, lengthof(occurred), wait_event);
	ResetLatch(MyLatch);
}

/*
 * For pg_stat_activity and the statistics, when the worker is about to sleep.
 * The number of connections is told at most once a second: returns after how
 * many ms there will be something to report, -1: there is not.
 */
static long
report_idle(PtListener *l)
{
	static int64 reported_at = 0;
	static int	reported = -1;
	static char text[64];
	int			connections = net_group_count(l->group);
	int64		now = net_now();
	int64		next = reported_at + PT_REPORT_US;
	bool		soon = reported >= 0 && now < next;

	if (!soon)
	{
		reported_at = now;
		(void) pgstat_report_stat(false);
		if (connections != reported)
		{
			reported = connections;
			l->activity = PT_ACTIVITY_WORKING;
			snprintf(text, sizeof(text), connections == 1 ? "%d Kafka connection" : "%d Kafka connections", connections);
		}
	}
	if (l->activity == PT_ACTIVITY_WORKING)
		pgstat_report_activity(STATE_IDLE, text);
	l->activity = PT_ACTIVITY_IDLE;
	return soon && connections != reported ? (long) ((next - now) / 1000 + 1) : -1;
}
