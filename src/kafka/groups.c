/*-------------------------------------------------------------------------
 *
 * groups.c
 *	  Consumer groups: the shell around the coordinator of the coord room.
 *
 * All steps are alike.  The coordinator is told which topics exist, if that
 * may have changed.  It gets its event.  Its replies go to the calls that wait
 * for them.  The registry of users of groups is told how many members the
 * group has.
 *
 * An ERROR in the middle of a step (there was no memory) leaves a coordinator
 * that cannot be trusted.  It is replaced by a new one.  Calls that wait are
 * told to look for their coordinator, so clients join again, as after a
 * restart.
 *
 * Siblings: groups.h, topic_regex.c, api/; ../coord/coord.h;
 * ../groups/groups.h (the registry).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "mb/pg_wchar.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "kafka/groups.h"
#include "kafka/topic_regex.h"
#include "rights/rights.h"
#include "topic/group_configs.h"

/*
 * A parked call needs a deadline.  The coordinator answers all calls before
 * this one: it is about the longest rebalance timeout that a client can ask
 * for.
 */
#define PARK_MS		(INT64CONST(25) * 24 * 3600 * 1000)

/* The most bytes of a group's id in an error message. */
#define MESSAGE_ID_MAX	256

/*
 * The greatest age of the coordinator's knowledge of the catalogs, for events
 * that do not depend on it.
 */
#define FEED_INTERVAL_MS	100

/*
 * The most that the coordinator's clock moves between two turns of the
 * control worker, and the longest sleep of that worker while the clock
 * matters.  The sleep is shorter, so the clock loses no time in a quiet
 * worker.
 */
#define CLOCK_STEP_MS	1000
#define CLOCK_SLEEP_MS	(CLOCK_STEP_MS / 2)

/* A call that waits for the coordinator's reply. */
typedef struct Waiting
{
	uint64		token;			/* hash key */
	KafkaCall  *call;
	KafkaGroupAnswer answer;
} Waiting;

bool		kafka_control_worker = false;

static MemoryContext groups_mcxt;	/* of all below */
static CoordGroups *groups;		/* NULL: none yet */
static CoordConfig config;		/* that it has */
static HTAB *waiting;			/* calls by token */
static uint64 last_token;
static bool stepping;			/* also after a step that was cut short */
static KafkaCall *asking;		/* whose event it is; it needs no wake-up */
static uint64 changes_seen;		/* pt_topic_changes when the catalogs were looked at last */
static uint64 roles_seen;		/* pt_roles_changes, likewise */
static int64 fed_at;			/* when that was */
static uint64 configs_seen;		/* pt_group_configs_generation, likewise */
static bool configs_due;		/* they could not be read then */
static List *overridden;		/* groups with configs of their own, as the coordinator knows them */
static int64 clock_ms;			/* of the coordinator, in the control worker */
static int64 clock_set_at;		/* real time of that */

static int64 real_ms(void);

static int64 now_ms(void);
static void feed_topics(void);
static bool feed_configs(void);
static void step(const CoordEvent *event);

/*
 * Strings
 */

/*
 * Returns true if the bytes can be the id of a group: not empty, and UTF-8
 * without zero bytes.  For all others the answer is INVALID_GROUP_ID.
 */
bool
kafka_group_id_valid(KafkaString id)
{
	return id.len > 0 && pg_verify_mbstr(PG_UTF8, id.data, id.len, true);
}

/*
 * Returns "Group ID what", the error message of a description, in the current
 * memory context.  A long id is cut.  The id must be valid.
 */
KafkaString
kafka_group_message(KafkaString id, const char *what)
{
	Assert(kafka_group_id_valid(id));
	return kafka_string(psprintf("Group %.*s %s",
								 pg_encoding_mbcliplen(PG_UTF8, id.data, id.len, MESSAGE_ID_MAX), id.data, what));
}

/*
 * Returns the code that a client of a coordinator is told for the code of a
 * thrown error.
 */
int16
kafka_group_error(int16 code)
{
	switch (code)
	{
		case KERR_REQUEST_TIMED_OUT:	/* a lock was not to be had */
		case KERR_KAFKA_STORAGE_ERROR:
		case KERR_UNKNOWN_TOPIC_OR_PARTITION:	/* of __consumer_offsets */
			return KERR_COORDINATOR_NOT_AVAILABLE;
		case KERR_NOT_LEADER_OR_FOLLOWER:
			return KERR_NOT_COORDINATOR;
		case KERR_POLICY_VIOLATION: /* a limit of ours */
		case KERR_MESSAGE_TOO_LARGE:
		case KERR_INVALID_RECORD:
			return KERR_INVALID_COMMIT_OFFSET_SIZE;
	}
	return code;
}

/*
 * Returns the client's address as Kafka shows it: with a slash, without the
 * port.  In static memory.
 */
static CoordBytes
client_host(const KafkaSession *session)
{
	static char host[sizeof(session->peer) + 1];
	const char *peer = session->peer;
	const char *colon = strrchr(peer, ':');
	size_t		len = colon ? (size_t) (colon - peer) : strlen(peer);

	if (peer[0] == '[' && len >= 2 && peer[len - 1] == ']')
	{
		peer++;
		len -= 2;
	}
	host[0] = '/';
	memcpy(host + 1, peer, len);
	return (CoordBytes) {host, (int32) len + 1};
}

/*
 * The coordinator
 */

/*
 * The next two tell settings that contradict each other; see
 * tell_contradictions.
 */
static bool
bounds_contradict(void)
{
	return pt_group_min_session_timeout_ms > pt_group_max_session_timeout_ms;
}

static bool
heartbeat_contradicts(void)
{
	return pt_group_consumer_heartbeat_interval_ms >= pt_group_consumer_session_timeout_ms;
}

/*
 * Returns the configuration by the settings of now.  Of two settings that
 * contradict each other, one is not applied.
 */
static CoordConfig
current_config(void)
{
	CoordConfig c;

	coord_config_defaults(&c);
	c.memory_max = (size_t) pt_group_memory * 1024;
	c.initial_rebalance_delay_ms = pt_group_initial_rebalance_delay_ms;
	c.min_session_timeout_ms = bounds_contradict() ? 1 : pt_group_min_session_timeout_ms;
	c.max_session_timeout_ms = pt_group_max_session_timeout_ms;
	c.max_size = pt_group_max_size;
	c.consumer_session_timeout_ms = pt_group_consumer_session_timeout_ms;
	c.consumer_heartbeat_interval_ms = heartbeat_contradicts() ?
		Max(pt_group_consumer_session_timeout_ms / 3, 1) : pt_group_consumer_heartbeat_interval_ms;
	c.consumer_max_size = pt_group_max_size;
	c.regex_valid = kafka_topic_regex_valid;
	c.regex_matches = kafka_topic_regex_matches;
	return c;
}

/*
 * Warns of settings that contradict each other.  Called when they changed.
 */
static void
tell_contradictions(const CoordConfig *applied)
{
	if (bounds_contradict())
		ereport(WARNING,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not applied, because it is above \"%s\"",
						"pgtopic.group_min_session_timeout", "pgtopic.group_max_session_timeout"),
				 errdetail("They are %d ms and %d ms.", pt_group_min_session_timeout_ms, pt_group_max_session_timeout_ms),
				 errhint("Lower the first, or raise the second.")));
	if (heartbeat_contradicts())
		ereport(WARNING,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not applied, because it is not below \"%s\"",
						"pgtopic.group_consumer_heartbeat_interval", "pgtopic.group_consumer_session_timeout"),
				 errdetail("They are %d ms and %d ms; members are told to send heartbeats every %d ms.",
						   pt_group_consumer_heartbeat_interval_ms, pt_group_consumer_session_timeout_ms,
						   applied->consumer_heartbeat_interval_ms),
				 errhint("Lower the first, or raise the second.")));
}

static bool
same_config(const CoordConfig *a, const CoordConfig *b)
{
	return a->memory_max == b->memory_max &&
		a->initial_rebalance_delay_ms == b->initial_rebalance_delay_ms &&
		a->min_session_timeout_ms == b->min_session_timeout_ms &&
		a->max_session_timeout_ms == b->max_session_timeout_ms &&
		a->max_size == b->max_size &&
		a->consumer_session_timeout_ms == b->consumer_session_timeout_ms &&
		a->consumer_heartbeat_interval_ms == b->consumer_heartbeat_interval_ms;
}

/*
 * Makes a coordinator without groups.
 */
static void
create(void)
{
	HASHCTL		ctl = {.keysize = sizeof(uint64),.entrysize = sizeof(Waiting)};
	MemoryContext old;

	groups_mcxt = AllocSetContextCreate(TopMemoryContext, "Kafka groups", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(groups_mcxt);
	ctl.hcxt = groups_mcxt;
	waiting = hash_create("Kafka calls that wait", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	config = current_config();
	tell_contradictions(&config);
	groups = coord_create(&config, pg_prng_uint64(&pg_global_prng_state));
	MemoryContextSwitchTo(old);
	changes_seen = roles_seen = configs_seen = 0;
	overridden = NIL;
	stepping = false;
	asking = NULL;
	if (kafka_control_worker)
		pt_groups_kafka_clear();
}

/*
 * Drops the coordinator after a step that an ERROR ended.  Waiting calls are
 * woken; they find no token, and kafka_group_resume() tells their clients.
 */
static void
abandon(void)
{
	HASH_SEQ_STATUS seq;
	Waiting    *entry;

	hash_seq_init(&seq, waiting);
	while ((entry = hash_seq_search(&seq)) != NULL)
		kafka_call_ready(entry->call);
	ereport(LOG,
			(errmsg("consumer groups are formed anew, as an error interrupted their coordinator")));
	MemoryContextDelete(groups_mcxt);
	groups = NULL;
	waiting = NULL;
}

/*
 * Makes sure that there is a coordinator, with the settings of now.
 */
static void
prepare(void)
{
	CoordConfig now;

	if (groups != NULL && stepping)
		abandon();
	if (groups == NULL)
		create();
	now = current_config();
	if (!same_config(&now, &config))
	{
		config = now;
		tell_contradictions(&config);
		coord_configure(groups, &config);
	}
}

/*
 * Tells the coordinator what is in the catalogs, if that may have changed, or
 * who may see it (which regular expressions depend on).  Any relation may be
 * the reason, so a busy database could cause this all the time.  Without
 * "urgent", knowledge up to FEED_INTERVAL_MS old is good enough.
 */
static void
feed(bool urgent)
{
	uint64		seen = pt_topic_changes();
	uint64		roles = pt_roles_changes();
	int64		now = now_ms();

	if (configs_due)
		configs_due = !feed_configs();
	if ((changes_seen == seen && roles_seen == roles) ||
		(!urgent && changes_seen != 0 && now < fed_at + FEED_INTERVAL_MS))
		return;
	feed_topics();
	configs_due = !feed_configs();
	changes_seen = seen;
	roles_seen = roles;
	fed_at = now;
}

static int64
real_ms(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MILLISEC(now);
}

/*
 * Returns the coordinator's time in ms.  In the control worker it is the time
 * of the turn: members cannot be heard while a long step runs or the process
 * is stopped.
 */
static int64
now_ms(void)
{
	return kafka_control_worker ? clock_ms : real_ms();
}

/*
 * For the control worker.  Called when a turn begins and all that members had
 * sent by now has been received.  If the process stood still for long, the
 * members are not to blame, so their time moves on by at most CLOCK_STEP_MS.
 */
void
kafka_control_heard(void)
{
	int64		now = real_ms();

	clock_ms += Min(now - clock_set_at, CLOCK_STEP_MS);
	clock_set_at = now;
}

/*
 * Tells the coordinator which topics exist.  Must run in a transaction.
 */
static void
feed_topics(void)
{
	CoordEvent	event = {.type = COORD_EV_TOPICS};
	CoordTopic *topics;
	List	   *all;
	ListCell   *lc;
	int			n = 0;

	all = pt_topic_all();
	topics = palloc(sizeof(CoordTopic) * Max(list_length(all), 1));
	foreach(lc, all)
	{
		const PtTopic *topic = lfirst(lc);

		memcpy(&topics[n].id, &topic->id, sizeof(topics[n].id));
		topics[n].name = (CoordBytes) {topic->name, (int32) strlen(topic->name)};
		topics[n].npartitions = topic->npartitions;
		n++;
	}
	event.u.topics.ntopics = n;
	event.u.topics.topics = topics;
	step(&event);
	pfree(topics);
	list_free(all);
}

/*
 * Tells the coordinator which groups have configs of their own.  Returns
 * false if the table is locked by somebody; then the caller tries again
 * later.  Must run in a transaction.
 */
static bool
feed_configs(void)
{
	uint64		now = pt_group_configs_generation();
	List	   *names;
	ListCell   *lc;
	MemoryContext old;

	if (now == configs_seen)
		return true;
	if (!pt_group_configs_lock())
		return false;
	names = pt_group_config_names();
	foreach(lc, overridden)
		coord_override(groups, pt_string_from_server(lfirst(lc)), &(CoordOverrides) {0});
	list_free_deep(overridden);
	overridden = NIL;
	foreach(lc, names)
	{
		PtGroupConfig values = {0};
		CoordOverrides overrides;

		PushActiveSnapshot(GetTransactionSnapshot());
		(void) pt_group_config_get(lfirst(lc), &values);
		PopActiveSnapshot();
		overrides.consumer_session_timeout_ms = values.session_timeout_ms;
		overrides.consumer_heartbeat_interval_ms = values.heartbeat_interval_ms;
		old = MemoryContextSwitchTo(groups_mcxt);
		overridden = lappend(overridden, pstrdup(lfirst(lc)));
		MemoryContextSwitchTo(old);
		coord_override(groups, pt_string_from_server(lfirst(lc)), &overrides);
	}
	list_free_deep(names);
	configs_seen = now;
	return true;
}

/*
 * Gives the replies to the calls that wait for them.  Calls that have ended
 * meanwhile are skipped.
 */
static void
deliver(const CoordReplies *out)
{
	for (int i = 0; i < out->nreplies; i++)
	{
		const CoordReply *reply = &out->replies[i];
		Waiting    *entry = hash_search(waiting, &reply->token, HASH_FIND, NULL);
		Waiting		found;
		MemoryContext old;

		if (entry == NULL)
			continue;
		found = *entry;
		hash_search(waiting, &reply->token, HASH_REMOVE, NULL);
		Assert(found.call->token == reply->token);
		found.call->token = 0;
		found.call->answered = true;
		old = MemoryContextSwitchTo(found.call->mcxt);
		found.answer(found.call, reply);
		MemoryContextSwitchTo(old);
		if (found.call != asking)
			kafka_call_ready(found.call);
	}
}

/*
 * Runs one step of the coordinator, delivers the replies, and tells the
 * registry of changed groups.  An ERROR leaves "stepping" set, so that
 * prepare() replaces the coordinator.
 */
static void
step(const CoordEvent *event)
{
	CoordReplies out = {0};

	Assert(groups != NULL && !stepping);
	Assert(CurrentMemoryContext != groups_mcxt);
	stepping = true;
	coord_step(groups, event, now_ms(), &out);
	deliver(&out);
	stepping = false;
	if (!kafka_control_worker)
		return;
	for (int i = 0; i < out.nchanges; i++)
		pt_group_kafka_members((PtString) {out.changes[i].group_id.data, out.changes[i].group_id.len},
							   out.changes[i].nmembers);
}

/*
 * Returns the coordinator, for coord_find() and the like.  Must run in a
 * transaction.
 */
const CoordGroups *
kafka_groups(void)
{
	prepare();
	feed(false);
	return groups;
}

/*
 * Claims the group for members.  Members and SQL sessions never use a group
 * at the same time, so a member that comes in claims it first.  Returns false
 * if a SQL transaction uses the group, or, in *busy, if that cannot be told in
 * this moment. *claimed: the claim is new, and unclaim() must follow the step.
 */
static bool
claim(const CoordEvent *event, bool *claimed, bool *busy)
{
	PtString	group_id = {event->group_id.data, event->group_id.len};
	CoordGroupInfo info;

	*claimed = *busy = false;
	if (event->type != COORD_EV_JOIN && event->type != COORD_EV_CONSUMER_HEARTBEAT)
		return true;
	if (coord_find(groups, event->group_id, &info) && info.nmembers > 0)
		return true;
	if (!kafka_control_worker)
		return !pt_group_sql_active(group_id);
	*claimed = pt_group_kafka_claim(group_id, busy);
	return *claimed;
}

/*
 * Gives up a claim if the group has no members after the step.
 */
static void
unclaim(const CoordEvent *event)
{
	CoordGroupInfo info;

	if (!coord_find(groups, event->group_id, &info) || info.nmembers == 0)
		pt_group_kafka_members(event->group_id, 0);
}

/*
 * Requests
 */

/*
 * Returns an event of this call with the fields that all events have.  The
 * others are null.
 */
CoordEvent
kafka_group_event(const KafkaCall *call, CoordEventType type, KafkaString group_id)
{
	CoordEvent	event = {.type = type, .generation = -1};
	const char *client_id = call->session->client_id;

	event.api_version = call->api_version;
	event.group_id = group_id;
	event.member_id = (CoordBytes) {"", 0};
	event.group_instance_id = COORD_NULL_BYTES;
	event.client_id = pt_string_of(client_id);
	event.client_host = client_host(call->session);
	return event;
}

/*
 * Returns true if the answer depends on the topics of now.  Other events hear
 * of new topics with a later heartbeat.
 */
static bool
wants_topics(const CoordEvent *event)
{
	return event->type == COORD_EV_JOIN ||
		(event->type == COORD_EV_CONSUMER_HEARTBEAT &&
		 (event->generation == 0 || event->u.consumer.nsubscribed >= 0 || event->u.consumer.subscribed_topic_regex.len >= 0));
}

/*
 * Answers without the coordinator, with an error.
 */
static KafkaOutcome
answer_now(KafkaCall *call, const CoordEvent *event, KafkaGroupAnswer answer, int16 error, const char *message)
{
	CoordReply	reply = {.type = event->type, .error = (CoordError) error};

	reply.message = message ? pt_string_of(message) : COORD_NULL_BYTES;
	if (event->type == COORD_EV_JOIN)
	{
		reply.u.join.generation = -1;
		reply.u.join.protocol_type = COORD_NULL_BYTES;
		reply.u.join.protocol_name = COORD_NULL_BYTES;
		reply.u.join.leader = (CoordBytes) {"", 0};
		reply.u.join.member_id = event->member_id;
	}
	else if (event->type == COORD_EV_SYNC)
	{
		reply.u.sync.protocol_type = COORD_NULL_BYTES;
		reply.u.sync.protocol_name = COORD_NULL_BYTES;
		reply.u.sync.assignment = (CoordBytes) {"", 0};
	}
	else if (event->type == COORD_EV_CONSUMER_HEARTBEAT)
	{
		reply.u.consumer.member_id = COORD_NULL_BYTES;
		reply.u.consumer.nassigned = -1;
	}
	call->answered = true;
	answer(call, &reply);
	return KAFKA_REPLY;
}

/*
 * Gives the event to the coordinator.  Must run in a transaction.
 * KAFKA_REPLY: "answer" has been called. KAFKA_PARK: a later step calls it
 * and makes the call ready; the handler's resume must be
 * kafka_group_resume().  Members of SQL and a standby get their errors here.
 */
KafkaOutcome
kafka_group_ask(KafkaCall *call, CoordEvent *event, KafkaGroupAnswer answer)
{
	KafkaString group_id = event->group_id;
	Waiting    *entry;
	bool		claimed;
	bool		busy;

	Assert(call->token == 0 && IsTransactionState());
	if (RecoveryInProgress())
		return answer_now(call, event, answer, KERR_NOT_COORDINATOR, "The server is a standby.");
	if (!kafka_group_id_valid(group_id))
		return answer_now(call, event, answer,
						  event->type == COORD_EV_CONSUMER_HEARTBEAT ? KERR_INVALID_REQUEST : KERR_INVALID_GROUP_ID,
						  "The group id is empty or not valid UTF-8.");
	prepare();
	feed(wants_topics(event));
	if (!claim(event, &claimed, &busy))
		return answer_now(call, event, answer, busy ? KERR_COORDINATOR_LOAD_IN_PROGRESS : KERR_INCONSISTENT_GROUP_PROTOCOL,
						  busy ? "Somebody is changing the group's committed offsets." : "The group is in use by SQL sessions.");

	call->answered = false;
	call->token = event->token = ++last_token;
	Assert(last_token != 0);
	entry = hash_search(waiting, &call->token, HASH_ENTER, NULL);
	entry->call = call;
	entry->answer = answer;
	asking = call;
	step(event);
	asking = NULL;
	if (claimed)
		unclaim(event);
	if (call->answered)
		return KAFKA_REPLY;
	Assert(event->type == COORD_EV_JOIN || event->type == COORD_EV_SYNC);
	call->deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), PARK_MS);
	return KAFKA_PARK;
}

/*
 * Resumes a parked call.  The server may call it before there is an answer,
 * if the client has closed its side of the connection; then the call goes on
 * waiting.  If its coordinator was replaced, the client is told to look for
 * the coordinator.
 */
KafkaOutcome
kafka_group_resume(KafkaCall *call, bool timed_out)
{
	bool		lost = call->token != 0 &&
		(waiting == NULL || hash_search(waiting, &call->token, HASH_FIND, NULL) == NULL);

	if (call->answered)
		return KAFKA_REPLY;
	if (!timed_out && !lost)
		return KAFKA_PARK;
	kafka_group_forget(call);
	kafka_handler_of(call->api)->fail(call, lost ? KERR_NOT_COORDINATOR : KERR_REBALANCE_IN_PROGRESS, NULL);
	return KAFKA_REPLY;
}

static void
take_error(KafkaCall *call, const CoordReply *reply)
{
	*(int16 *) call->state = (int16) reply->error;
}

/*
 * Like kafka_group_ask(), for an event that is answered at once and whose
 * answer is only an error code.
 */
int16
kafka_group_check(KafkaCall *call, CoordEvent *event)
{
	int16		error = KERR_NONE;
	void	   *state = call->state;
	KafkaOutcome outcome PG_USED_FOR_ASSERTS_ONLY;

	call->state = &error;
	outcome = kafka_group_ask(call, event, take_error);
	call->state = state;
	Assert(outcome == KAFKA_REPLY);
	return error;
}

/*
 * Forgets that the call waits.  Called when it ends.
 */
void
kafka_group_forget(KafkaCall *call)
{
	if (call->token != 0 && waiting != NULL)
		hash_search(waiting, &call->token, HASH_REMOVE, NULL);
	call->token = 0;
}

/*
 * Returns the ms until kafka_groups_turn() has something to do; 0: now, -1:
 * never.  Needs no transaction.
 */
int64
kafka_groups_wait(void)
{
	int64		deadline;

	if (groups == NULL || stepping)
		return kafka_control_worker ? 0 : -1;	/* members of a coordinator that has gone are no members any more */
	deadline = coord_next_deadline(groups);
	if (deadline == PG_INT64_MAX)
		return -1;
	return Min(Max(deadline - now_ms(), 0), CLOCK_SLEEP_MS);
}

/*
 * For the control worker: does what is due in groups.  Must run in a
 * transaction.  The caller resets its memory context after the turn.
 */
void
kafka_groups_turn(void)
{
	CoordEvent	tick = {.type = COORD_EV_TICK};

	Assert(IsTransactionState());
	if (groups == NULL || stepping)
		prepare();
	if (coord_next_deadline(groups) <= now_ms())
		step(&tick);
}

/*
 * Fills *info for a group that the coordinator does not have, if SQL sessions
 * use it or it has committed offsets.  Returns false if neither is so.  Must
 * run in a transaction.
 */
bool
kafka_group_find_outside(KafkaString group_id, CoordGroupInfo *info)
{
	PtString	id = group_id;
	bool		active = pt_group_sql_active(id);

	if (!active && !pt_offsets_exist(id, true))
		return false;
	info->group_id = group_id;
	info->kind = COORD_KIND_EMPTY;
	info->state = active ? COORD_STABLE : COORD_EMPTY;
	/*
	 * a group without members that just commits has no protocol in Kafka,
	 * either
	 */
	info->protocol_type = active ? (CoordBytes) {"consumer", 8} : (CoordBytes) {"", 0};
	info->nmembers = 0;
	return true;
}
