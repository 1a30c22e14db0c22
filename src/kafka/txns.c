/*-------------------------------------------------------------------------
 *
 * txns.c
 *	  Transactions: the shell around the coordinator of the txn room.
 *
 * All steps are alike.  The coordinator is told what listeners have staged
 * that it does not know of.  It gets its event.  What comes out is done in its
 * order: replies go to the calls that wait for them; the stage hears who may
 * stage, and what goes; records are queued, and appended when the turn's
 * transaction has ended (txn_log.c); commits go to the transaction workers.
 * When an order has ended the coordinator hears of it in the next turn.
 *
 * An answer leaves when all that was stored before it is durable, as with
 * acks=all, so a request that is sent again cannot overtake the first one.
 *
 * An ERROR in the middle of a step (there was no memory) leaves a coordinator
 * that cannot be trusted.  It is replaced by one that loads the log again;
 * what was staged is lost, as after a restart.  Calls that wait are told to
 * try again.
 *
 * Siblings: txns.h, txn_log.c, producer_ids.c, control.c, api/; ../txn/,
 * ../stage/ (what was sent), groups.c (its model).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "common/pg_prng.h"
#include "portability/instr_time.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "guard.h"
#include "guc.h"
#include "kafka/groups.h"
#include "kafka/txn_log.h"
#include "kafka/txns.h"
#include "stage/stage.h"
#include "stage/txn_jobs.h"
#include "topic/timestamp.h"
#include "xact/xact.h"

/* See groups.c. */
#define PARK_MS			(INT64CONST(25) * 24 * 3600 * 1000)

/* How long to try while somebody has a partition of the log locked. */
#define STORE_PATIENCE_MS	5000
#define STORE_RETRY_MS		2

/* Records that are appended in one transaction. */
#define STORES_MAX			1000

/* How often to look for transactions that were begun without a request. */
#define NEWS_MS				1000

/* Loading: while commits of an earlier coordinator are still under way. */
#define QUIET_RETRY_MS		10

/* After an error. */
#define ERROR_PAUSE_MS		1000

/* A call that waits for the coordinator's reply. */
typedef struct Waiting
{
	uint64		token;			/* hash key */
	KafkaCall  *call;
	KafkaTxnAnswer answer;
	void	   *arg;
} Waiting;

static MemoryContext txns_mcxt; /* of all below */
static TxnStates *states;		/* NULL: none yet */
static bool quiet;				/* no commit of an earlier one is under way */
static bool loaded;
static KafkaTxnLoad load;
static int64 turn_at;			/* real time before which there is no turn */
static TxnConfig config;		/* that it has */
static HTAB *waiting;			/* calls by token */
static KafkaTxnOrder **orders;	/* that are out, in the order they came */
static int	norders;
static int	orders_cap;
static int	ncommits;			/* of them */
static bool busy;				/* the partition of one is somebody's */
static uint64 last_token;
static bool stepping;			/* also after a step that was cut short */
static KafkaCall *asking;		/* whose event it is; it needs no wake-up */
static uint64 checking;			/* token of an event of ours, and the answer */
static TxnError checked;
static XLogRecPtr stored_lsn;	/* the end of all that was stored, or loaded */
static int64 news_at;			/* when to look next */
static int64 clock_base_ms;		/* see kafka_txns_now */
static instr_time clock_start;

static void step(const TxnEvent *event);

/*
 * Returns true if the bytes can be a transactional id: not empty, and UTF-8
 * without zero bytes, as with groups.
 */
bool
kafka_txn_id_valid(KafkaString id)
{
	return kafka_group_id_valid(id);
}

/*
 * Returns the code that a client of the coordinator is told for the code of a
 * thrown error.
 */
int16
kafka_txn_error(int16 code)
{
	switch (code)
	{
		case KERR_REQUEST_TIMED_OUT:
		case KERR_KAFKA_STORAGE_ERROR:
		case KERR_UNKNOWN_TOPIC_OR_PARTITION:	/* of __transaction_state */
		case KERR_POLICY_VIOLATION: /* a limit of ours */
			return KERR_COORDINATOR_NOT_AVAILABLE;
		case KERR_NOT_LEADER_OR_FOLLOWER:
			return KERR_NOT_COORDINATOR;
	}
	return code;
}

/*
 * Creates the id's partition of __transaction_state.  For
 * kafka_run_transaction().
 */
static void
create_leaf(void *arg)
{
	(void) kafka_txn_leaf(*(PtString *) arg, true);
}

/*
 * Makes sure that __transaction_state has a partition for the id, and that the
 * request is where the coordinator is.  See kafka_offsets_prepare(), which
 * does the same for groups.
 */
KafkaOutcome
kafka_txn_prepare(KafkaCall *call, KafkaString id, int16 *error)
{
	PtString	of = id;
	KafkaError	thrown;

	*error = KERR_NONE;
	if (!OidIsValid(kafka_txn_leaf(of, false)) && !RecoveryInProgress())
	{
		if (!kafka_administrates(call))
			return kafka_move(call, KAFKA_PLANE_ADMIN);
		if (!kafka_run_transaction(call, create_leaf, &of, &thrown))
		{
			kafka_log_error(call, &thrown);
			*error = kafka_txn_error(thrown.code);
			return KAFKA_REPLY;
		}
		/* somebody has dropped a single partition */
		if (!OidIsValid(kafka_txn_leaf(of, false)))
		{
			*error = KERR_COORDINATOR_NOT_AVAILABLE;
			return KAFKA_REPLY;
		}
	}
	if (call->session->plane == KAFKA_PLANE_ADMIN || call->session->plane == KAFKA_PLANE_DATA)
		return kafka_move(call, KAFKA_PLANE_CONTROL);
	return KAFKA_REPLY;
}

/*
 * The coordinator
 */

static int64
real_ms(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MILLISEC(now);
}

/*
 * Returns the coordinator's time, ms since 1970: that of the system when it
 * was made, and from then on what has really passed.  So transactions do not
 * time out when somebody sets the clock.
 */
int64
kafka_txns_now(void)
{
	instr_time	passed;

	INSTR_TIME_SET_CURRENT(passed);
	INSTR_TIME_SUBTRACT(passed, clock_start);
	return clock_base_ms + (int64) INSTR_TIME_GET_MILLISEC(passed);
}

static int64
new_producer_id(void *arg)
{
	return kafka_producer_id_reserved();
}

static TxnConfig
current_config(void)
{
	TxnConfig	c;

	txn_config_defaults(&c);
	c.timeout_ms_max = pt_transaction_max_timeout_ms;
	c.expiration_ms = pt_transactional_id_expiration_ms;
	c.new_producer_id = new_producer_id;
	return c;
}

/*
 * Makes a coordinator that has loaded nothing yet.
 */
static void
create(void)
{
	HASHCTL		ctl = {.keysize = sizeof(uint64),.entrysize = sizeof(Waiting)};
	MemoryContext old;

	txns_mcxt = AllocSetContextCreate(TopMemoryContext, "Kafka transactions", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(txns_mcxt);
	ctl.hcxt = txns_mcxt;
	waiting = hash_create("Kafka calls that wait for transactions", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	orders_cap = 16;
	orders = palloc(orders_cap * sizeof(*orders));
	norders = ncommits = 0;
	config = current_config();
	states = txn_create(&config, pg_prng_uint64(&pg_global_prng_state));
	MemoryContextSwitchTo(old);
	INSTR_TIME_SET_CURRENT(clock_start);
	clock_base_ms = pt_now_ms();
	quiet = loaded = stepping = busy = false;
	memset(&load, 0, sizeof(load));
	asking = NULL;
	checking = 0;
	news_at = 0;
}

/*
 * Drops the coordinator after a step that an ERROR ended.  Waiting calls are
 * woken; kafka_txn_resume() tells their clients.
 */
static void
abandon(void)
{
	HASH_SEQ_STATUS seq;
	Waiting    *entry;

	hash_seq_init(&seq, waiting);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		entry->call->asked_txns = -1;
		kafka_call_ready(entry->call);
	}
	ereport(LOG,
			(errmsg("open transactions of Kafka clients are lost, as an error interrupted their coordinator")));
	MemoryContextDelete(txns_mcxt);
	states = NULL;
	waiting = NULL;
	norders = ncommits = 0;
	turn_at = real_ms() + ERROR_PAUSE_MS;
}

/*
 * Makes sure that there is a coordinator, with the settings of now.
 */
static void
prepare(void)
{
	TxnConfig	now;

	if (states != NULL && stepping)
		abandon();
	if (states == NULL)
		create();
	now = current_config();
	if (now.timeout_ms_max != config.timeout_ms_max || now.expiration_ms != config.expiration_ms)
	{
		config = now;
		txn_configure(states, &config);
	}
}

/*
 * Orders
 */

/*
 * Adds an order to those that are out.
 */
static KafkaTxnOrder *
add_order(const TxnOut *out)
{
	MemoryContext old = MemoryContextSwitchTo(txns_mcxt);
	KafkaTxnOrder *order = palloc0(sizeof(KafkaTxnOrder));

	if (norders == orders_cap)
		orders = repalloc(orders, (orders_cap *= 2) * sizeof(*orders));
	order->kind = out->kind;
	order->order = out->order;
	order->transactional_id = pt_string_copy(out->transactional_id);
	order->key = order->value = PT_STRING_NULL;
	orders[norders++] = order;
	MemoryContextSwitchTo(old);
	return order;
}

static void
end_order(KafkaTxnOrder *order, TxnError result, XLogRecPtr lsn)
{
	order->ended = true;
	order->result = result;
	order->lsn = lsn;
}

static void
free_order(KafkaTxnOrder *order)
{
	if (order->key.len >= 0)
		pfree((char *) order->key.data);
	if (order->value.len >= 0)
		pfree((char *) order->value.data);
	pfree((char *) order->transactional_id.data);
	pfree(order);
}

/*
 * Queues a record.
 */
static void
begin_store(const TxnOut *out)
{
	Oid			leaf = kafka_txn_leaf(out->transactional_id, false);
	KafkaTxnOrder *order = add_order(out);
	MemoryContext old = MemoryContextSwitchTo(txns_mcxt);

	order->leaf = leaf;
	order->key = pt_string_copy(out->key);
	if (out->value.len >= 0)
		order->value = pt_string_copy(out->value);
	order->give_up_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), STORE_PATIENCE_MS);
	if (!OidIsValid(order->leaf))
		end_order(order, TXN_COORDINATOR_NOT_AVAILABLE, InvalidXLogRecPtr);
	MemoryContextSwitchTo(old);
}

/*
 * Gives a commit to the transaction workers.
 */
static void
begin_commit(const TxnOut *out)
{
	KafkaTxnOrder *order = add_order(out);
	PtTxnCommit commit = {.order = out->order,.producer_id = out->producer_id,.serial = out->serial};

	commit.leaf = kafka_txn_leaf(out->transactional_id, false);
	commit.transactional_id = out->transactional_id;
	commit.key = out->key;
	commit.value = out->value;
	if (OidIsValid(commit.leaf) && pt_txn_job_post(&commit))
		ncommits++;
	else
		end_order(order, TXN_COORDINATOR_NOT_AVAILABLE, InvalidXLogRecPtr);
}

/*
 * Takes what transaction workers have done.
 */
static void
collect_commits(void)
{
	PtTxnDone	done;

	while (ncommits > 0 && pt_txn_job_collect(&done))
	{
		for (int i = 0; i < norders; i++)
		{
			KafkaTxnOrder *order = orders[i];

			if (order->kind != TXN_COMMIT || order->order != done.order || order->ended)
				continue;
			end_order(order, done.result, done.lsn);
			ncommits--;
			break;
		}
	}
}

/*
 * Outside of a transaction: appends the records that wait, and takes the
 * results of commits.  Returns the end of the appends' commit.
 */
XLogRecPtr
kafka_txns_append(void)
{
	KafkaTxnOrder *stores[STORES_MAX];
	XLogRecPtr	lsn = InvalidXLogRecPtr;
	int			n = 0;

	if (states == NULL || stepping || norders == 0)
		return InvalidXLogRecPtr;
	collect_commits();
	for (int i = 0; i < norders && n < STORES_MAX; i++)
	{
		if (orders[i]->kind == TXN_STORE && !orders[i]->ended)
			stores[n++] = orders[i];
	}
	busy = n > 0 && kafka_txn_store(stores, n, &lsn);
	return lsn;
}

/*
 * Tells the coordinator which orders have ended.
 */
static void
tell_ended(void)
{
	int			n = 0;
	int			had = norders;

	for (int i = 0; i < had; i++)
	{
		KafkaTxnOrder *order = orders[i];
		TxnEvent	event = {.type = TXN_EV_DONE};

		if (!order->ended)
			continue;
		event.transactional_id = order->transactional_id;
		event.serial = order->order;
		event.result = order->result;
		stored_lsn = Max(stored_lsn, order->lsn);
		step(&event);
	}
	for (int i = 0; i < norders; i++)
	{
		if (i < had && orders[i]->ended)
			free_order(orders[i]);
		else
			orders[n++] = orders[i];
	}
	norders = n;
}

/*
 * Steps
 */

/*
 * The call has one answer less to wait for.
 */
static void
answered(KafkaCall *call)
{
	Assert(call->asked_txns > 0);
	call->acks = -1;
	call->lsn = Max(call->lsn, stored_lsn);
	if (--call->asked_txns == 0 && call != asking)
		kafka_call_ready(call);
}

/*
 * Gives a reply to the call that waits for it.  One that has ended meanwhile
 * is skipped.
 */
static void
deliver(const TxnOut *out)
{
	Waiting    *entry;
	Waiting		found;
	MemoryContext old;

	if (out->token == checking)
	{
		checked = out->error;
		checking = 0;
		return;
	}
	entry = hash_search(waiting, &out->token, HASH_FIND, NULL);
	if (entry == NULL)
		return;
	found = *entry;
	hash_search(waiting, &out->token, HASH_REMOVE, NULL);
	old = MemoryContextSwitchTo(found.call->mcxt);
	found.answer(found.call, out, found.arg);
	MemoryContextSwitchTo(old);
	answered(found.call);
}

/*
 * Does what a step has given to be done.  InitProducerId of who has no memory
 * to stage anything is to be sent again.
 */
static void
carry_out(const TxnOuts *outs)
{
	bool		published = true;

	for (int i = 0; i < outs->n; i++)
	{
		const TxnOut *out = &outs->outs[i];
		TxnOut		refusal = {.kind = TXN_REPLY,.token = out->token,.type = out->type};

		switch (out->kind)
		{
			case TXN_REPLY:
				refusal.error = TXN_COORDINATOR_NOT_AVAILABLE;
				refusal.producer_id = TXN_NO_PRODUCER_ID;
				refusal.producer_epoch = TXN_NO_EPOCH;
				deliver(published || out->type != TXN_EV_INIT ? out : &refusal);
				break;
			case TXN_STORE:
				begin_store(out);
				break;
			case TXN_COMMIT:
				begin_commit(out);
				break;
			case TXN_DROP:
				pt_stage_drop(out->producer_id, out->serial);
				break;
			case TXN_PUBLISH:
				published = pt_stage_publish(out);
				break;
		}
	}
}

/*
 * Runs one step of the coordinator.  An ERROR leaves "stepping" set, so that
 * prepare() replaces the coordinator.
 */
static void
step(const TxnEvent *event)
{
	TxnOuts		outs;

	Assert(states != NULL && !stepping && IsTransactionState());
	Assert(CurrentMemoryContext != txns_mcxt);
	stepping = true;
	txn_step(states, event, kafka_txns_now(), &outs);
	carry_out(&outs);
	stepping = false;
}

/*
 * Runs a step for an event that is answered at once; returns the answer.
 */
static TxnError
step_and_see(TxnEvent *event)
{
	event->token = checking = ++last_token;
	step(event);
	Assert(checking == 0);
	return checked;
}

/*
 * The stage
 */

/* The partitions of one topic that news tell of. */
typedef struct NewsTopics
{
	TxnTopic   *topics;
	int			n;
} NewsTopics;

/*
 * Names the partitions whose leaves these are, one by one.  What has been
 * dropped is left out.
 */
static NewsTopics
name_leaves(const Oid *leaves, int n)
{
	NewsTopics	result = {palloc(Max(n, 1) * sizeof(TxnTopic)), 0};
	int32	   *partitions = palloc(Max(n, 1) * sizeof(int32));

	for (int i = 0; i < n; i++)
	{
		const PtTopic *topic = pt_topic_by_leaf(leaves[i], &partitions[i]);

		if (topic == NULL)
			continue;
		result.topics[result.n++] = (TxnTopic)
		{
			pt_string_copy(pt_string_of(topic->name)), 1, &partitions[i]
		};
	}
	return result;
}

/*
 * Tells the coordinator what a producer has begun to stage without a request,
 * and whether what it stages cannot be kept.
 */
static void
tell_news(const PtStageNews *news)
{
	TxnEvent	event = {.transactional_id = news->transactional_id,.producer_id = news->producer_id};
	bool		doomed = news->doomed;

	event.producer_epoch = news->epoch;
	event.v2 = true;
	if (news->opened)
	{
		NewsTopics	topics = name_leaves(news->leaves, news->nleaves);

		event.type = TXN_EV_ADD;
		event.topics = topics.topics;
		event.ntopics = topics.n;
		doomed |= step_and_see(&event) != TXN_NONE;
		event.topics = NULL;
		event.ntopics = 0;
	}
	if (!doomed)
		return;
	event.type = TXN_EV_DOOM;
	event.serial = news->serial;
	if (step_and_see(&event) == TXN_INVALID_TXN_STATE)
		pt_stage_drop(news->producer_id, news->serial);
}

/*
 * Tells the coordinator the news of one id, before an event about it.
 */
static void
hear(PtString transactional_id)
{
	TxnInfo		info;
	PtStageNews news;

	if (transactional_id.len > 0 && txn_describe(states, transactional_id, &info) &&
		pt_stage_news(info.image.producer_id, &news))
		tell_news(&news);
}

/*
 * Tells all news.
 */
static void
hear_all(void)
{
	PtStageNews *news;
	int			n = pt_stage_all_news(&news);

	for (int i = 0; i < n; i++)
		tell_news(&news[i]);
	news_at = real_ms() + NEWS_MS;
}

/*
 * Requests
 */

/*
 * Why the coordinator cannot be asked here or now; TXN_NONE: it can.
 */
static int16
why_not(void)
{
	if (!kafka_control_worker || RecoveryInProgress())
		return KERR_NOT_COORDINATOR;
	prepare();
	return loaded ? KERR_NONE : KERR_COORDINATOR_LOAD_IN_PROGRESS;
}

/*
 * Gives the event to the coordinator.  Must run in a transaction.  "answer"
 * is called in this step, or in a later one.  When all events of the call are
 * given, the handler returns kafka_txn_asked(); its resume must be
 * kafka_txn_resume().
 */
void
kafka_txn_ask(KafkaCall *call, TxnEvent *event, KafkaTxnAnswer answer, void *arg)
{
	int16		error = why_not();
	Waiting    *entry;

	Assert(IsTransactionState() && call->asked_txns >= 0);
	if (error == KERR_NONE && !kafka_txn_id_valid(event->transactional_id))
		error = KERR_INVALID_REQUEST;
	if (error != KERR_NONE)
	{
		TxnOut		out = {.kind = TXN_REPLY,.type = event->type,.error = (TxnError) error};

		out.producer_id = TXN_NO_PRODUCER_ID;
		out.producer_epoch = TXN_NO_EPOCH;
		answer(call, &out, arg);
		return;
	}
	kafka_producer_ids_reserve();
	hear(event->transactional_id);
	event->token = ++last_token;
	entry = hash_search(waiting, &event->token, HASH_ENTER, NULL);
	entry->call = call;
	entry->answer = answer;
	entry->arg = arg;
	call->asked_txns++;
	asking = call;
	step(event);
	asking = NULL;
}

/*
 * The outcome of a handler that has asked.
 */
KafkaOutcome
kafka_txn_asked(KafkaCall *call)
{
	if (call->asked_txns == 0)
		return KAFKA_REPLY;
	call->deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), PARK_MS);
	return KAFKA_PARK;
}

/*
 * KafkaHandler.resume of all that asks: see kafka_group_resume().
 */
KafkaOutcome
kafka_txn_resume(KafkaCall *call, bool timed_out)
{
	if (call->asked_txns == 0)
		return KAFKA_REPLY;
	if (call->asked_txns > 0 && !timed_out)
		return KAFKA_PARK;
	kafka_txn_forget(call);
	kafka_handler_of(call->api)->fail(call, KERR_COORDINATOR_NOT_AVAILABLE, NULL);
	return KAFKA_REPLY;
}

/*
 * Like kafka_txn_ask(), for an event that is answered at once, whose answer is
 * only an error code.
 */
TxnError
kafka_txn_check(TxnEvent *event)
{
	int16		error = why_not();

	if (error == KERR_NONE && !kafka_txn_id_valid(event->transactional_id))
		error = KERR_INVALID_REQUEST;
	if (error != KERR_NONE)
		return (TxnError) error;
	hear(event->transactional_id);
	return step_and_see(event);
}

/*
 * Forgets that the call waits.  Called when it ends.
 */
void
kafka_txn_forget(KafkaCall *call)
{
	HASH_SEQ_STATUS seq;
	Waiting    *entry;

	if (call->asked_txns > 0 && waiting != NULL)
	{
		hash_seq_init(&seq, waiting);
		while ((entry = hash_seq_search(&seq)) != NULL)
		{
			if (entry->call == call)
				(void) hash_search(waiting, &entry->token, HASH_REMOVE, NULL);
		}
	}
	call->asked_txns = 0;
}

/*
 * Returns the states, for txn_describe() and the like, with all news; or NULL
 * with an error.  Must run in a transaction.
 */
const TxnStates *
kafka_txns(TxnError *error)
{
	*error = (TxnError) why_not();
	if (*error != TXN_NONE)
		return NULL;
	hear_all();
	return states;
}

/*
 * The same for who has just been answered: without news.
 */
const TxnStates *
kafka_txns_known(void)
{
	Assert(states != NULL);
	return states;
}

/*
 * The control worker's turn
 */

/*
 * What has been read need not be durable: its commit was asynchronous, and
 * whoever waited for its flush, or for a synchronous standby, may have gone
 * with the last coordinator.  Answers that rest on it wait for it.
 */
static void
wait_for_loaded(void)
{
	stored_lsn = Max(stored_lsn, pt_wal_insert_end());
	pt_commit_request(stored_lsn);
}

/*
 * Reads more of the log.  For pt_guarded().
 */
static void
load_some(void *arg)
{
	TxnOuts		outs;

	if (!quiet)
	{
		quiet = pt_txn_jobs_quiet();
		if (quiet)
			pt_stage_reset();
		turn_at = real_ms() + (quiet ? 0 : QUIET_RETRY_MS);
		return;
	}
	stepping = true;
	switch (kafka_txn_load(&load, states))
	{
		case KAFKA_TXN_LOAD_MORE:
			break;
		case KAFKA_TXN_LOAD_LOCKED:
			turn_at = real_ms() + QUIET_RETRY_MS;
			break;
		case KAFKA_TXN_LOAD_DONE:
			txn_loaded(states, kafka_txns_now(), &outs);
			carry_out(&outs);
			wait_for_loaded();
			loaded = true;
			break;
	}
	stepping = false;
}

/*
 * What is due.  For pt_guarded().
 */
static void
run_turn(void *arg)
{
	TxnEvent	tick = {.type = TXN_EV_TICK};

	tell_ended();
	if (real_ms() >= news_at)
		hear_all();
	if (txn_next_deadline(states) > kafka_txns_now())
		return;
	kafka_producer_ids_reserve();
	step(&tick);
}

/*
 * Returns the ms until kafka_txns_turn() has something to do; 0: now, -1:
 * never.  Needs no transaction.
 */
int64
kafka_txns_wait(void)
{
	int64		deadline;
	int64		wait_ms;

	if (!kafka_control_worker)
		return -1;
	if (states == NULL || stepping || !loaded || turn_at > real_ms())
		return Max(turn_at - real_ms(), 0);
	for (int i = 0; i < norders; i++)
	{
		if (orders[i]->ended)
			return 0;
	}
	deadline = txn_next_deadline(states);
	if (deadline == PG_INT64_MAX)
		return norders > ncommits ? STORE_RETRY_MS : -1;
	wait_ms = Min(Max(deadline - kafka_txns_now(), 0), Max(news_at - real_ms(), 0));
	return norders > ncommits ? Min(wait_ms, busy ? STORE_RETRY_MS : 0) : wait_ms;
}

/*
 * For the control worker: does what is due in transactions.  Must run in a
 * transaction.  An error is told; then there is a pause, and if it came in the
 * middle of a step, another coordinator.
 */
void
kafka_txns_turn(void)
{
	ErrorData  *error;

	if (!kafka_control_worker || kafka_txns_wait() != 0)
		return;
	prepare();
	if (real_ms() < turn_at)
		return;
	error = pt_guarded(loaded ? run_turn : load_some, NULL);
	if (error == NULL)
		return;
	turn_at = real_ms() + ERROR_PAUSE_MS;
	ereport(LOG,
			(errcode(error->sqlerrcode),
			 errmsg("the coordinator of Kafka transactions failed: %s", error->message),
			 errhint("It tries again.")));
	FreeErrorData(error);
}
