/*-------------------------------------------------------------------------
 *
 * test_txn.c
 *	  Transactions: what a request is answered in which state, and what is to
 *	  be stored, committed, dropped and published.
 *
 * Siblings: test_txn_record.c (the records), test_txn_model.c (random
 * clients).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
/* sources: src/txn/?*.c */
#include "test.h"

#include "txn/txn.h"

#define ID		PT_STRING("payments")
#define MINUTE	60000

static TxnConfig config;
static TxnStates *states;
static int64 now;
static int64 next_id;			/* of producers; -1: there is none */
static TxnOuts outs;

/* The log: the last record of each of a few ids, as copies. */
static PtString log_keys[100];
static PtString log_values[100];
static int	nlog;

static int64
new_producer_id(void *arg)
{
	return next_id < 0 ? -1 : next_id++;
}

static void
begin(void)
{
	txn_config_defaults(&config);
	config.new_producer_id = new_producer_id;
	next_id = 1000;
	now = 1000000;
	nlog = 0;
	states = txn_create(&config, 42);
	txn_loaded(states, now, &outs);
}

static void
end(void)
{
	txn_verify(states);
	txn_destroy(states);
	for (int i = 0; i < nlog; i++)
	{
		pfree((char *) log_keys[i].data);
		pfree((char *) log_values[i].data);
	}
	nlog = 0;
}

/* A coordinator that has lost its memory, and reads the log. */
static void
restart(void)
{
	txn_destroy(states);
	states = txn_create(&config, 43);
	for (int i = 0; i < nlog; i++)
		CHECK(txn_load(states, log_keys[i], log_values[i]));
	txn_loaded(states, now, &outs);
	txn_verify(states);
}

static void
step(TxnEvent *event)
{
	txn_step(states, event, now, &outs);
	txn_verify(states);
}

/* The one thing of that kind that the last step gave; NULL: none. */
static const TxnOut *
given(TxnOutKind kind)
{
	const TxnOut *found = NULL;

	for (int i = 0; i < outs.n; i++)
	{
		if (outs.outs[i].kind != kind)
			continue;
		CHECK(found == NULL || kind == TXN_PUBLISH);
		found = &outs.outs[i];
	}
	return found;
}

/* The answer that the last step gave; -1: none. */
static int
answer(void)
{
	const TxnOut *reply = given(TXN_REPLY);

	return reply ? (int) reply->error : -1;
}

/* What may be staged, as was published last; -1: nothing was said. */
static int
phase(void)
{
	const TxnOut *publish = given(TXN_PUBLISH);

	return publish ? (int) publish->phase : -1;
}

/* The same of one producer id. */
static int
phase_of_producer(int64 id)
{
	int			found = -1;

	for (int i = 0; i < outs.n; i++)
		if (outs.outs[i].kind == TXN_PUBLISH && outs.outs[i].producer_id == id)
			found = outs.outs[i].phase;
	return found;
}

/* The order that is out ends like this. */
static void
finish(TxnError result)
{
	const TxnOut *order = given(TXN_STORE) ? given(TXN_STORE) : given(TXN_COMMIT);
	TxnEvent	event = {.type = TXN_EV_DONE, .result = result};

	CHECK(order != NULL);
	if (order == NULL)
		return;
	if (result == TXN_NONE && order->value.len >= 0)
	{
		log_keys[nlog] = pt_string_copy(order->key);
		log_values[nlog++] = pt_string_copy(order->value);
	}
	event.serial = order->order;
	event.transactional_id = ID;
	step(&event);
}

/* The answer to InitProducerId; an order that it gives is still out. */
static int
ask_init(int64 id, int epoch)
{
	TxnEvent	event = {.type = TXN_EV_INIT, .token = 1, .transactional_id = ID, .timeout_ms = MINUTE};

	event.producer_id = id;
	event.producer_epoch = (int16) epoch;
	step(&event);
	return answer();
}

/* The same to its end; returns the answer, and what the producer is. */
static int
init(int64 id, int epoch, int64 *new_id, int *new_epoch)
{
	if (ask_init(id, epoch) == -1)
		finish(TXN_NONE);
	*new_id = given(TXN_REPLY)->producer_id;
	*new_epoch = given(TXN_REPLY)->producer_epoch;
	return answer();
}

static int
ask(TxnEventType type, int64 id, int epoch, bool v2, bool commit)
{
	static const int32 partitions[] = {3, 1};
	static const TxnTopic topic = {{"orders", 6}, 2, partitions};
	TxnEvent	event = {.type = type, .token = 2, .transactional_id = ID, .producer_id = id};

	event.producer_epoch = (int16) epoch;
	event.v2 = v2;
	event.commit = commit;
	if (type == TXN_EV_ADD)
	{
		event.topics = &topic;
		event.ntopics = 1;
	}
	step(&event);
	return answer();
}

/* Partitions orders:1 and 3; with what has to be stored for it. */
static int
add(int64 id, int epoch, bool v2)
{
	if (ask(TXN_EV_ADD, id, epoch, v2, false) == -1)
		finish(TXN_NONE);
	return answer();
}

static int
ask_end(int64 id, int epoch, bool v2, bool commit)
{
	return ask(TXN_EV_END, id, epoch, v2, commit);
}

static int
end_txn(int64 id, int epoch, bool v2, bool commit)
{
	if (ask_end(id, epoch, v2, commit) == -1)
		finish(TXN_NONE);
	return answer();
}

static TxnInfo
info(void)
{
	TxnInfo		result = {0};

	CHECK(txn_describe(states, ID, &result));
	if (result.topics)
		pfree((void *) result.topics);
	return result;
}

/* A producer of "payments" with epoch 0 and its first transaction open. */
static void
begin_open(bool v2)
{
	int64		id;
	int			epoch;

	begin();
	CHECK_INT(init(-1, -1, &id, &epoch), TXN_NONE);
	CHECK_INT(id, 1000);
	CHECK_INT(epoch, 0);
	CHECK_INT(add(id, epoch, v2), TXN_NONE);
}

/*
 * InitProducerId
 */
static void
test_init(void)
{
	int64		id;
	int			epoch;

	begin();
	CHECK_INT(ask_init(-1, -1), -1);
	CHECK(given(TXN_STORE) != NULL);
	/* the id is not there before it is stored, and takes nothing else */
	CHECK_INT(ask_init(-1, -1), TXN_CONCURRENT_TRANSACTIONS);
	CHECK_INT(ask(TXN_EV_ADD, 1000, 0, false, false), TXN_INVALID_PRODUCER_ID_MAPPING);
	end();

	begin();
	CHECK_INT(init(-1, -1, &id, &epoch), TXN_NONE);
	CHECK_INT(id, 1000);
	CHECK_INT(epoch, 0);
	CHECK_INT(phase(), TXN_PHASE_READY);
	CHECK_INT(init(-1, -1, &id, &epoch), TXN_NONE);
	CHECK_INT(id, 1000);
	CHECK_INT(epoch, 1);
	/* the one before is fenced, in every request */
	CHECK_INT(add(1000, 0, false), TXN_PRODUCER_FENCED);
	CHECK_INT(ask(TXN_EV_VERIFY, 1000, 0, false, false), TXN_PRODUCER_FENCED);
	CHECK_INT(end_txn(1000, 0, false, true), TXN_PRODUCER_FENCED);
	CHECK_INT(init(1000, 0, &id, &epoch), TXN_PRODUCER_FENCED);
	CHECK_INT(add(999, 1, false), TXN_INVALID_PRODUCER_ID_MAPPING);
	CHECK_INT(end_txn(999, 1, false, true), TXN_INVALID_PRODUCER_ID_MAPPING);
	CHECK_INT(init(999, 1, &id, &epoch), TXN_PRODUCER_FENCED);
	end();
}

/* A request that is good, to be spoilt. */
static TxnEvent
good_init(void)
{
	return (TxnEvent)
	{
		.type = TXN_EV_INIT, .token = 7, .transactional_id = ID, .producer_id = -1, .producer_epoch = -1,
			.timeout_ms = MINUTE
	};
}

static int
answer_to(TxnEvent event)
{
	step(&event);
	return answer();
}

static void
test_init_refused(void)
{
	static const int32 bad_timeouts[] = {0, -1, PG_INT32_MIN, 900001};
	TxnEvent	event;

	begin();
	event = good_init();
	event.transactional_id = PT_STRING_EMPTY;
	CHECK_INT(answer_to(event), TXN_INVALID_REQUEST);
	event = good_init();
	event.transactional_id = PT_STRING_NULL;
	CHECK_INT(answer_to(event), TXN_INVALID_REQUEST);
	event = good_init();
	event.producer_id = 5;
	CHECK_INT(answer_to(event), TXN_INVALID_REQUEST);
	event = good_init();
	event.producer_epoch = 5;
	CHECK_INT(answer_to(event), TXN_INVALID_REQUEST);
	event = good_init();
	event.enable_2pc = true;
	CHECK_INT(answer_to(event), TXN_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
	event = good_init();
	event.keep_prepared = true;
	CHECK_INT(answer_to(event), TXN_UNSUPPORTED_VERSION);
	for (int i = 0; i < lengthof(bad_timeouts); i++)
	{
		event = good_init();
		event.timeout_ms = bad_timeouts[i];
		CHECK_INT(answer_to(event), TXN_INVALID_TRANSACTION_TIMEOUT);
	}
	event = good_init();
	event.timeout_ms = 900000;
	CHECK_INT(answer_to(event), -1);
	end();

	begin();
	next_id = -1;
	CHECK_INT(ask_init(-1, -1), TXN_COORDINATOR_NOT_AVAILABLE);
	CHECK_INT(txn_memory_used(states), 0);
	next_id = 5;
	CHECK_INT(ask_init(-1, -1), -1);
	finish(TXN_COORDINATOR_NOT_AVAILABLE);
	CHECK_INT(answer(), TXN_COORDINATOR_NOT_AVAILABLE);
	CHECK_INT(txn_memory_used(states), 0);
	config.memory_max = 10;
	txn_configure(states, &config);
	CHECK_INT(ask_init(-1, -1), TXN_COORDINATOR_NOT_AVAILABLE);
	end();
}

/*
 * KIP-360: a producer says what it is.
 */
static void
test_init_again(void)
{
	int64		id;
	int			epoch;

	begin();
	/* of an id that has expired: a new producer */
	CHECK_INT(init(77, 5, &id, &epoch), TXN_NONE);
	CHECK_INT(id, 1000);
	CHECK_INT(epoch, 0);
	CHECK_INT(init(1000, 0, &id, &epoch), TXN_NONE);
	CHECK_INT(epoch, 1);
	/* the answer was lost: the same again, and nothing is stored */
	CHECK_INT(ask_init(1000, 0), TXN_NONE);
	CHECK(given(TXN_STORE) == NULL);
	CHECK_INT(given(TXN_REPLY)->producer_epoch, 1);
	/* another producer has come: it is not the same any more */
	CHECK_INT(init(-1, -1, &id, &epoch), TXN_NONE);
	CHECK_INT(epoch, 2);
	CHECK_INT(ask_init(1000, 1), TXN_PRODUCER_FENCED);
	end();
}

/* Transactions are aborted by an INIT of the right producer, and no other. */
static void
test_init_aborts(void)
{
	int64		id;
	int			epoch;
	uint64		serial;

	for (int v2 = 0; v2 <= 1; v2++)
	{
		begin_open(v2);
		serial = info().serial;
		CHECK_INT(ask_init(1000, 7), TXN_PRODUCER_FENCED);
		CHECK_INT(info().shown, TXN_ONGOING);
		CHECK_INT(ask_init(-1, -1), -1);
		CHECK_INT(phase(), TXN_PHASE_ENDING);
		CHECK_INT(info().shown, TXN_PREPARE_ABORT);
		CHECK(given(TXN_DROP) == NULL);
		finish(TXN_NONE);
		CHECK_INT(answer(), TXN_NONE);
		CHECK_INT(given(TXN_REPLY)->producer_epoch, 1);
		CHECK_INT(given(TXN_DROP)->serial, serial);
		CHECK_INT(phase(), TXN_PHASE_READY);
		CHECK(given(TXN_PUBLISH)->serial != serial);
		CHECK_INT(info().shown, TXN_EMPTY);
		CHECK_INT(info().ntopics, 0);
		CHECK_INT(end_txn(1000, 0, v2, true), TXN_PRODUCER_FENCED);
		end();
	}

	/* one that cannot be stored aborts nothing */
	begin_open(true);
	CHECK_INT(ask_init(-1, -1), -1);
	finish(TXN_COORDINATOR_NOT_AVAILABLE);
	CHECK_INT(answer(), TXN_COORDINATOR_NOT_AVAILABLE);
	CHECK(given(TXN_DROP) == NULL);
	CHECK_INT(phase(), TXN_PHASE_OPEN);
	CHECK_INT(end_txn(1000, 0, true, true), TXN_NONE);
	CHECK_INT(init(-1, -1, &id, &epoch), TXN_NONE);
	CHECK_INT(epoch, 2);
	end();
}

/* A v2 client may have staged something that nobody has told us of. */
static void
test_init_drops_unseen(void)
{
	uint64		serial;

	begin();
	CHECK_INT(ask_init(-1, -1), -1);
	finish(TXN_NONE);
	serial = info().serial;
	CHECK_INT(ask_init(-1, -1), -1);
	finish(TXN_NONE);
	CHECK_INT(given(TXN_DROP)->serial, serial);
	CHECK_INT(add(1000, 0, true), TXN_PRODUCER_FENCED);
	end();
}

/*
 * Partitions
 */
static void
test_add(void)
{
	TxnEvent	event = {.type = TXN_EV_VERIFY, .token = 3, .transactional_id = ID, .producer_id = 1000};

	for (int v2 = 0; v2 <= 1; v2++)
	{
		int64		id;
		int			epoch;

		begin();
		CHECK_INT(init(-1, -1, &id, &epoch), TXN_NONE);
		CHECK_INT(txn_verified(states, ID, PT_STRING("orders"), 1), TXN_TRANSACTION_ABORTABLE);
		CHECK_INT(ask(TXN_EV_ADD, id, epoch, v2, false), v2 ? TXN_NONE : -1);
		CHECK((given(TXN_STORE) == NULL) == v2);
		if (!v2)
			finish(TXN_NONE);
		CHECK_INT(phase(), TXN_PHASE_OPEN);
		CHECK_INT(info().ntopics, 1);
		CHECK_INT(info().image.started_at, now);
		/* what comes later is not stored */
		CHECK_INT(ask(TXN_EV_ADD, id, epoch, v2, false), TXN_NONE);
		CHECK_INT(info().ntopics, 1);
		step(&event);
		CHECK_INT(answer(), TXN_NONE);
		CHECK_INT(txn_verified(states, ID, PT_STRING("orders"), 1), TXN_NONE);
		CHECK_INT(txn_verified(states, ID, PT_STRING("orders"), 2), TXN_TRANSACTION_ABORTABLE);
		CHECK_INT(txn_verified(states, ID, PT_STRING("orders"), 3), TXN_NONE);
		CHECK_INT(txn_verified(states, ID, PT_STRING("others"), 3), TXN_TRANSACTION_ABORTABLE);
		end();
	}

	/* what cannot be stored has not begun */
	begin();
	CHECK_INT(ask_init(-1, -1), -1);
	finish(TXN_NONE);
	CHECK_INT(ask(TXN_EV_ADD, 1000, 0, false, false), -1);
	finish(TXN_COORDINATOR_NOT_AVAILABLE);
	CHECK_INT(answer(), TXN_COORDINATOR_NOT_AVAILABLE);
	CHECK_INT(info().shown, TXN_EMPTY);
	CHECK_INT(info().ntopics, 0);
	CHECK_INT(phase(), TXN_PHASE_READY);
	/* nor what there is no memory for */
	config.memory_max = txn_memory_used(states);
	txn_configure(states, &config);
	CHECK_INT(ask(TXN_EV_ADD, 1000, 0, true, false), TXN_COORDINATOR_NOT_AVAILABLE);
	CHECK_INT(info().shown, TXN_EMPTY);
	end();
}

/*
 * Ends
 */
static void
test_end_v1(void)
{
	for (int commit = 0; commit <= 1; commit++)
	{
		uint64		serial;

		begin_open(false);
		serial = info().serial;
		CHECK_INT(ask_end(1000, 0, false, commit), -1);
		CHECK((given(TXN_COMMIT) != NULL) == commit);
		if (commit)
			CHECK_INT(given(TXN_COMMIT)->serial, serial);
		CHECK_INT(phase(), TXN_PHASE_ENDING);
		CHECK_INT(info().shown, commit ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT);
		finish(TXN_NONE);
		CHECK_INT(answer(), TXN_NONE);
		CHECK_INT(given(TXN_REPLY)->producer_epoch, 0);
		CHECK((given(TXN_DROP) == NULL) == commit);
		CHECK_INT(phase(), TXN_PHASE_READY);
		/* asked again: the same end is well, the other one is not */
		CHECK_INT(end_txn(1000, 0, false, commit), TXN_NONE);
		CHECK_INT(end_txn(1000, 0, false, !commit), TXN_INVALID_TXN_STATE);
		CHECK(info().serial != serial);
		end();
	}

	/* nothing takes part while an end is on its way */
	begin_open(false);
	CHECK_INT(ask_end(1000, 0, false, true), -1);
	CHECK_INT(ask_end(1000, 0, false, true), TXN_CONCURRENT_TRANSACTIONS);
	CHECK_INT(ask_end(1000, 0, false, false), TXN_CONCURRENT_TRANSACTIONS);
	CHECK_INT(ask(TXN_EV_ADD, 1000, 0, false, false), TXN_CONCURRENT_TRANSACTIONS);
	CHECK_INT(ask(TXN_EV_VERIFY, 1000, 0, false, false), TXN_CONCURRENT_TRANSACTIONS);
	CHECK_INT(ask_init(-1, -1), TXN_CONCURRENT_TRANSACTIONS);
	CHECK_INT(ask(TXN_EV_ABORT, -1, -1, false, false), TXN_CONCURRENT_TRANSACTIONS);
	end();
}

static void
test_end_v2(void)
{
	for (int commit = 0; commit <= 1; commit++)
	{
		begin_open(true);
		CHECK_INT(end_txn(1000, 0, true, commit), TXN_NONE);
		CHECK_INT(given(TXN_REPLY)->producer_id, 1000);
		CHECK_INT(given(TXN_REPLY)->producer_epoch, 1);
		CHECK_INT(info().shown, commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT);
		/* sent again: the answer of the first time */
		CHECK_INT(ask_end(1000, 0, true, commit), TXN_NONE);
		CHECK_INT(given(TXN_REPLY)->producer_epoch, 1);
		CHECK_INT(ask_end(1000, 0, true, !commit), TXN_INVALID_TXN_STATE);
		/* delayed requests of that transaction touch no other one */
		CHECK_INT(add(1000, 0, true), TXN_PRODUCER_FENCED);
		CHECK_INT(add(1000, 1, true), TXN_NONE);
		CHECK_INT(ask_end(1000, 0, true, commit), TXN_PRODUCER_FENCED);
		CHECK_INT(add(1000, 0, true), TXN_PRODUCER_FENCED);
		CHECK_INT(end_txn(1000, 1, true, true), TXN_NONE);
		CHECK_INT(ask_end(1000, 0, true, commit), TXN_PRODUCER_FENCED);
		CHECK_INT(given(TXN_COMMIT) != NULL, false);
		/* v1 requests are never taken for a retry */
		CHECK_INT(ask_end(1000, 1, false, true), TXN_PRODUCER_FENCED);
		end();
	}
}

/* An end where nothing was begun. */
static void
test_end_of_nothing(void)
{
	int64		id;
	int			epoch;

	begin();
	CHECK_INT(end_txn(1000, 0, false, false), TXN_INVALID_PRODUCER_ID_MAPPING);
	CHECK_INT(init(-1, -1, &id, &epoch), TXN_NONE);
	CHECK_INT(ask_end(1000, 0, false, true), TXN_INVALID_TXN_STATE);
	CHECK_INT(ask_end(1000, 0, true, true), TXN_INVALID_TXN_STATE);
	CHECK_INT(ask_end(1000, 0, false, false), TXN_NONE);
	CHECK_INT(info().shown, TXN_EMPTY);
	CHECK_INT(end_txn(1000, 0, true, false), TXN_NONE);
	CHECK_INT(given(TXN_REPLY)->producer_epoch, 1);
	CHECK_INT(info().shown, TXN_COMPLETE_ABORT);
	CHECK_INT(ask_end(1000, 1, true, true), TXN_INVALID_TXN_STATE);
	/* after a commit of v2, too: its own next transaction, not that one */
	CHECK_INT(add(1000, 1, true), TXN_NONE);
	CHECK_INT(end_txn(1000, 1, true, true), TXN_NONE);
	CHECK_INT(end_txn(1000, 2, true, false), TXN_NONE);
	CHECK_INT(given(TXN_REPLY)->producer_epoch, 3);
	end();
}

/* A commit that fails. */
static void
test_commit_fails(void)
{
	uint64		serial;

	for (int v2 = 0; v2 <= 1; v2++)
	{
		begin_open(v2);
		serial = info().serial;
		/* for now: it is tried again */
		CHECK_INT(ask_end(1000, 0, v2, true), -1);
		finish(TXN_COORDINATOR_NOT_AVAILABLE);
		CHECK_INT(answer(), TXN_COORDINATOR_NOT_AVAILABLE);
		CHECK(given(TXN_DROP) == NULL);
		CHECK_INT(phase(), TXN_PHASE_OPEN);
		CHECK_INT(info().serial, serial);
		/* for good */
		CHECK_INT(ask_end(1000, 0, v2, true), -1);
		CHECK_INT(given(TXN_COMMIT)->serial, serial);
		finish(TXN_TRANSACTION_ABORTABLE);
		CHECK_INT(answer(), TXN_TRANSACTION_ABORTABLE);
		CHECK_INT(given(TXN_DROP)->serial, serial);
		CHECK_INT(phase(), TXN_PHASE_DOOMED);
		CHECK_INT(add(1000, 0, v2), TXN_TRANSACTION_ABORTABLE);
		CHECK_INT(ask_end(1000, 0, v2, true), TXN_TRANSACTION_ABORTABLE);
		CHECK_INT(txn_verified(states, ID, PT_STRING("orders"), 1), TXN_TRANSACTION_ABORTABLE);
		CHECK_INT(end_txn(1000, 0, v2, false), TXN_NONE);
		CHECK_INT(phase(), TXN_PHASE_READY);
		CHECK_INT(add(1000, v2, v2), TXN_NONE);
		CHECK_INT(end_txn(1000, v2, v2, true), TXN_NONE);
		end();
	}
}

static void
test_doom(void)
{
	TxnEvent	event = {.type = TXN_EV_DOOM, .token = 5, .transactional_id = ID};

	begin_open(true);
	event.serial = info().serial + 1;
	step(&event);
	CHECK_INT(answer(), TXN_INVALID_TXN_STATE);
	event.serial = info().serial;
	step(&event);
	CHECK_INT(answer(), TXN_NONE);
	CHECK_INT(phase(), TXN_PHASE_DOOMED);
	CHECK_INT(given(TXN_DROP)->serial, event.serial);
	step(&event);
	CHECK(given(TXN_DROP) == NULL);
	CHECK_INT(ask_end(1000, 0, true, true), TXN_TRANSACTION_ABORTABLE);
	CHECK_INT(ask_end(1000, 0, true, false), -1);
	step(&event);
	CHECK_INT(answer(), TXN_CONCURRENT_TRANSACTIONS);
	end();
}

/*
 * Ids take no memory that partitions need.  Where there is none, all the same,
 * a transaction that v2 has begun without us is lost: an abort helps.
 */
static void
test_full(void)
{
	TxnEvent	doom = {.type = TXN_EV_DOOM, .token = 5, .transactional_id = ID, .v2 = true};
	TxnEvent	other = {.type = TXN_EV_INIT, .token = 5, .transactional_id = PT_STRING("other"),
	.producer_id = TXN_NO_PRODUCER_ID, .producer_epoch = TXN_NO_EPOCH, .timeout_ms = 1000};
	TxnEvent	done = {.type = TXN_EV_DONE, .transactional_id = ID, .result = TXN_COORDINATOR_NOT_AVAILABLE};

	begin();
	CHECK_INT(ask_init(-1, -1), -1);
	finish(TXN_NONE);
	config.memory_max = 2 * txn_memory_used(states) + other.transactional_id.len;
	txn_configure(states, &config);
	step(&other);
	CHECK_INT(answer(), TXN_COORDINATOR_NOT_AVAILABLE);
	CHECK_INT(add(1000, 0, true), TXN_NONE);
	CHECK_INT(end_txn(1000, 0, true, true), TXN_NONE);

	config.memory_max = txn_memory_used(states);
	txn_configure(states, &config);
	CHECK_INT(add(1000, 1, true), TXN_COORDINATOR_NOT_AVAILABLE);
	doom.serial = info().serial;
	step(&doom);
	CHECK_INT(answer(), TXN_NONE);
	CHECK_INT(given(TXN_DROP)->serial, doom.serial);
	CHECK_INT(phase(), TXN_PHASE_LOST);
	CHECK_INT(ask_end(1000, 1, true, true), TXN_TRANSACTION_ABORTABLE);
	CHECK_INT(end_txn(1000, 1, true, false), TXN_NONE);
	CHECK_INT(phase(), TXN_PHASE_READY);
	/* while an order is out that fails */
	CHECK_INT(ask_end(1000, 2, true, false), -1);
	done.serial = given(TXN_STORE)->order;
	doom.serial = info().serial;
	step(&doom);
	CHECK_INT(answer(), TXN_CONCURRENT_TRANSACTIONS);
	step(&done);
	CHECK_INT(phase(), TXN_PHASE_LOST);
	CHECK_INT(ask_end(1000, 2, true, true), TXN_TRANSACTION_ABORTABLE);
	end();
}

/*
 * The last epoch
 */
static void
test_exhausted(void)
{
	int64		id;
	int			epoch;
	TxnImage	image = {.producer_id = 50, .previous_producer_id = -1, .epoch = TXN_LAST_EPOCH,
	.timeout_ms = MINUTE, .state = TXN_COMPLETE_COMMIT, .started_at = 1, .updated_at = 1000000};

	for (int claims = 0; claims <= 1; claims++)
	{
		begin();
		log_keys[nlog] = txn_key_write(ID);
		log_values[nlog++] = txn_value_write(&image, NULL, 0);
		restart();
		if (claims)
		{
			CHECK_INT(ask_init(50, 5), TXN_PRODUCER_FENCED);
			next_id = -1;
			CHECK_INT(ask_init(50, TXN_LAST_EPOCH), TXN_COORDINATOR_NOT_AVAILABLE);
			next_id = 1000;
		}
		CHECK_INT(init(claims ? 50 : -1, claims ? TXN_LAST_EPOCH : -1, &id, &epoch), TXN_NONE);
		CHECK_INT(id, 1000);
		CHECK_INT(epoch, 0);
		CHECK_INT(phase_of_producer(50), TXN_PHASE_GONE);
		CHECK_INT(phase_of_producer(1000), TXN_PHASE_READY);
		/* the answer was lost */
		CHECK_INT(ask_init(50, TXN_LAST_EPOCH), claims ? TXN_NONE : TXN_PRODUCER_FENCED);
		CHECK_INT(add(50, TXN_LAST_EPOCH, false), TXN_INVALID_PRODUCER_ID_MAPPING);
		end();
	}

	/* an end of v2 */
	begin();
	log_keys[nlog] = txn_key_write(ID);
	log_values[nlog++] = txn_value_write(&image, NULL, 0);
	restart();
	CHECK_INT(add(50, TXN_LAST_EPOCH, false), TXN_NONE);
	CHECK_INT(end_txn(50, TXN_LAST_EPOCH, true, true), TXN_NONE);
	CHECK_INT(given(TXN_REPLY)->producer_id, 1000);
	CHECK_INT(given(TXN_REPLY)->producer_epoch, 0);
	CHECK_INT(ask_end(50, TXN_LAST_EPOCH, true, true), TXN_NONE);
	CHECK_INT(given(TXN_REPLY)->producer_id, 1000);
	CHECK_INT(ask_end(50, TXN_LAST_EPOCH, true, false), TXN_INVALID_TXN_STATE);
	restart();
	CHECK_INT(ask_end(50, TXN_LAST_EPOCH, true, true), TXN_NONE);
	CHECK_INT(given(TXN_REPLY)->producer_id, 1000);
	CHECK_INT(ask_end(49, TXN_LAST_EPOCH, true, true), TXN_INVALID_PRODUCER_ID_MAPPING);
	end();
}

/*
 * Time
 */
static void
tick(void)
{
	TxnEvent	event = {.type = TXN_EV_TICK};

	step(&event);
}

static void
test_timeout(void)
{
	for (int v2 = 0; v2 <= 1; v2++)
	{
		begin_open(v2);
		CHECK(txn_next_deadline(states) <= now + 1000);
		now += MINUTE - 1;
		tick();
		CHECK_INT(outs.n, 0);
		now += 2000;
		tick();
		CHECK(given(TXN_STORE) != NULL);
		CHECK_INT(ask_end(1000, 0, v2, true), TXN_CONCURRENT_TRANSACTIONS);
		now += 2000;
		tick();
		CHECK_INT(outs.n, 0);
		end();

		begin_open(v2);
		now += MINUTE + 1000;
		tick();
		finish(TXN_NONE);
		CHECK_INT(answer(), -1);
		CHECK(given(TXN_DROP) != NULL);
		CHECK_INT(info().shown, TXN_COMPLETE_ABORT);
		CHECK_INT(info().image.epoch, 1);
		CHECK_INT(add(1000, 0, v2), TXN_PRODUCER_FENCED);
		CHECK_INT(ask_init(1000, 0), TXN_PRODUCER_FENCED);
		/* v2 is told that it was aborted, if that is what it wants */
		CHECK_INT(ask_end(1000, 0, v2, true), v2 ? TXN_INVALID_TXN_STATE : TXN_PRODUCER_FENCED);
		CHECK_INT(ask_end(1000, 0, v2, false), v2 ? TXN_NONE : TXN_PRODUCER_FENCED);
		end();
	}

	/* time that goes back does not count */
	begin_open(true);
	now -= 10 * MINUTE;
	tick();
	now += 10 * MINUTE + MINUTE / 2;
	tick();
	CHECK_INT(outs.n, 0);
	end();
}

static void
test_operator(void)
{
	begin();
	CHECK_INT(ask(TXN_EV_ABORT, -1, -1, false, false), TXN_TRANSACTIONAL_ID_NOT_FOUND);
	end();
	begin_open(true);
	CHECK_INT(ask(TXN_EV_ABORT, -1, -1, false, false), -1);
	finish(TXN_NONE);
	CHECK_INT(answer(), TXN_NONE);
	CHECK(given(TXN_DROP) != NULL);
	CHECK_INT(info().shown, TXN_COMPLETE_ABORT);
	CHECK_INT(add(1000, 0, true), TXN_PRODUCER_FENCED);
	CHECK_INT(ask(TXN_EV_ABORT, -1, -1, false, false), TXN_INVALID_TXN_STATE);
	end();
}

static void
test_expiry(void)
{
	TxnInfo		nothing;

	begin_open(false);
	now += INT64CONST(8) * 24 * 60 * MINUTE;
	tick();						/* the transaction is aborted first */
	finish(TXN_NONE);
	now += INT64CONST(6) * 24 * 60 * MINUTE;
	tick();
	CHECK_INT(outs.n, 0);
	now += INT64CONST(2) * 24 * 60 * MINUTE;
	tick();
	CHECK(given(TXN_STORE) != NULL && given(TXN_STORE)->value.len < 0);
	CHECK_INT(ask_init(-1, -1), TXN_CONCURRENT_TRANSACTIONS);
	end();

	begin();
	CHECK_INT(ask_init(-1, -1), -1);
	finish(TXN_NONE);
	now += INT64CONST(8) * 24 * 60 * MINUTE;
	tick();
	finish(TXN_COORDINATOR_NOT_AVAILABLE);
	CHECK_INT(phase(), TXN_PHASE_READY);
	now += 2 * 60 * MINUTE;
	tick();
	finish(TXN_NONE);
	CHECK_INT(phase(), TXN_PHASE_GONE);
	CHECK(!txn_describe(states, ID, &nothing));
	CHECK_INT(txn_memory_used(states), 0);
	CHECK_INT(ask(TXN_EV_ADD, 1000, 0, true, false), TXN_INVALID_PRODUCER_ID_MAPPING);
	end();
}

/*
 * What a restart leaves
 */
static void
test_restart_v1(void)
{
	/* open: only an abort ends it, and then all is well */
	begin_open(false);
	restart();
	CHECK_INT(phase(), TXN_PHASE_DOOMED);
	CHECK_INT(info().image.state, TXN_ONGOING);
	CHECK_INT(add(1000, 0, false), TXN_TRANSACTION_ABORTABLE);
	CHECK_INT(ask_end(1000, 0, false, true), TXN_TRANSACTION_ABORTABLE);
	CHECK_INT(end_txn(1000, 0, false, false), TXN_NONE);
	CHECK_INT(add(1000, 0, false), TXN_NONE);
	CHECK_INT(end_txn(1000, 0, false, true), TXN_NONE);
	end();

	/* nobody comes back */
	begin_open(false);
	restart();
	now += MINUTE + 1000;
	tick();
	finish(TXN_NONE);
	CHECK_INT(info().shown, TXN_COMPLETE_ABORT);
	CHECK_INT(info().image.epoch, 1);
	end();

	/* committed, and the answer was lost: told so; the next one begins */
	begin_open(false);
	CHECK_INT(ask_end(1000, 0, false, true), -1);
	finish(TXN_NONE);
	restart();
	CHECK_INT(ask_end(1000, 0, false, true), TXN_NONE);
	CHECK_INT(add(1000, 0, false), TXN_NONE);
	CHECK_INT(end_txn(1000, 0, false, true), TXN_NONE);
	end();
}

static void
test_restart_v2(void)
{
	/* open: of that nothing is known, so it must be aborted */
	begin_open(true);
	restart();
	CHECK_INT(phase(), TXN_PHASE_LOST);
	CHECK_INT(add(1000, 0, true), TXN_TRANSACTION_ABORTABLE);
	CHECK_INT(ask_end(1000, 0, true, true), TXN_TRANSACTION_ABORTABLE);
	CHECK_INT(end_txn(1000, 0, true, false), TXN_NONE);
	CHECK_INT(given(TXN_REPLY)->producer_epoch, 1);
	CHECK_INT(phase(), TXN_PHASE_READY);
	CHECK_INT(add(1000, 1, true), TXN_NONE);
	CHECK_INT(end_txn(1000, 1, true, true), TXN_NONE);
	/* committed, and the answer was lost */
	restart();
	CHECK_INT(ask_end(1000, 1, true, true), TXN_NONE);
	CHECK_INT(given(TXN_REPLY)->producer_epoch, 2);
	/* the next one may have been begun before the restart */
	CHECK_INT(add(1000, 2, true), TXN_TRANSACTION_ABORTABLE);
	CHECK_INT(ask_end(1000, 2, true, true), TXN_TRANSACTION_ABORTABLE);
	CHECK_INT(end_txn(1000, 2, true, false), TXN_NONE);
	CHECK_INT(add(1000, 3, true), TXN_NONE);
	/* InitProducerId makes all well, too */
	restart();
	CHECK_INT(ask_init(1000, 3), -1);
	finish(TXN_NONE);
	CHECK_INT(answer(), TXN_NONE);
	CHECK_INT(phase(), TXN_PHASE_READY);
	CHECK_INT(add(1000, 4, true), TXN_NONE);
	end();
}

/* Before the log is read nobody is served; what is in it may be hostile. */
static void
test_load(void)
{
	TxnImage	image = {.producer_id = 50, .previous_producer_id = -1, .epoch = 3, .timeout_ms = MINUTE,
	.started_at = 1000000, .updated_at = 1000000};
	const TxnState open[] = {TXN_ONGOING, TXN_PREPARE_COMMIT, TXN_PREPARE_ABORT, TXN_PREPARE_EPOCH_FENCE};
	TxnInfo		nothing;

	begin();
	txn_destroy(states);
	states = txn_create(&config, 1);
	CHECK_INT(ask_init(-1, -1), TXN_COORDINATOR_LOAD_IN_PROGRESS);
	CHECK(!txn_load(states, PT_STRING_NULL, PT_STRING_NULL));
	CHECK(!txn_load(states, PT_STRING("\0\1\0\1x"), PT_STRING_NULL));
	CHECK(!txn_load(states, PT_STRING("\0\0\0\1x"), PT_STRING("")));
	CHECK(txn_load(states, PT_STRING("\0\0\0\1x"), PT_STRING_NULL));
	txn_loaded(states, now, &outs);
	CHECK_INT(txn_memory_used(states), 0);
	end();

	/* the states of another server's log */
	for (int i = 0; i < lengthof(open); i++)
	{
		begin();
		image.state = open[i];
		log_keys[nlog] = txn_key_write(ID);
		log_values[nlog++] = txn_value_write(&image, NULL, 0);
		restart();
		CHECK_INT(info().shown, TXN_ONGOING);
		CHECK_INT(phase(), TXN_PHASE_DOOMED);
		CHECK_INT(ask_end(50, 3, false, true), TXN_TRANSACTION_ABORTABLE);
		end();
	}
	begin();
	image.state = TXN_DEAD;
	log_keys[nlog] = txn_key_write(ID);
	log_values[nlog++] = txn_value_write(&image, NULL, 0);
	restart();
	CHECK(!txn_describe(states, ID, &nothing));
	end();
}

static void
test_list(void)
{
	TxnInfo    *infos;
	TxnState	state;
	int			n;

	begin_open(true);
	infos = txn_list(states, &n);
	CHECK_INT(n, 1);
	CHECK(pt_string_equal(infos[0].transactional_id, ID));
	pfree(infos);
	for (int i = 0; i < TXN_NSTATES; i++)
	{
		CHECK(txn_state_by_name(pt_string_of(txn_state_name((TxnState) i)), &state));
		CHECK_INT(state, i);
	}
	CHECK(!txn_state_by_name(PT_STRING("empty"), &state));
	CHECK(!txn_state_by_name(PT_STRING_NULL, &state));
	end();
}

/* Clients of each version get codes that they know. */
static void
test_errors(void)
{
	CHECK_INT(txn_error_for(TXN_PRODUCER_FENCED, 22, 3), TXN_INVALID_PRODUCER_EPOCH);
	CHECK_INT(txn_error_for(TXN_PRODUCER_FENCED, 22, 4), TXN_PRODUCER_FENCED);
	CHECK_INT(txn_error_for(TXN_PRODUCER_FENCED, 26, 1), TXN_INVALID_PRODUCER_EPOCH);
	CHECK_INT(txn_error_for(TXN_PRODUCER_FENCED, 26, 2), TXN_PRODUCER_FENCED);
	CHECK_INT(txn_error_for(TXN_PRODUCER_FENCED, 0, 13), TXN_INVALID_PRODUCER_EPOCH);
	CHECK_INT(txn_error_for(TXN_PRODUCER_FENCED, 28, 5), TXN_INVALID_PRODUCER_EPOCH);
	CHECK_INT(txn_error_for(TXN_TRANSACTION_ABORTABLE, 0, 10), TXN_UNKNOWN_PRODUCER_ID);
	CHECK_INT(txn_error_for(TXN_TRANSACTION_ABORTABLE, 0, 11), TXN_TRANSACTION_ABORTABLE);
	CHECK_INT(txn_error_for(TXN_TRANSACTION_ABORTABLE, 24, 3), TXN_UNKNOWN_PRODUCER_ID);
	CHECK_INT(txn_error_for(TXN_TRANSACTION_ABORTABLE, 28, 3), TXN_ILLEGAL_GENERATION);
	CHECK_INT(txn_error_for(TXN_TRANSACTION_ABORTABLE, 28, 5), TXN_ILLEGAL_GENERATION);
	CHECK_INT(txn_error_for(TXN_TRANSACTION_ABORTABLE, 26, 4), TXN_TRANSACTION_ABORTABLE);
	CHECK_INT(txn_error_for(TXN_CONCURRENT_TRANSACTIONS, 0, 11), TXN_NOT_ENOUGH_REPLICAS);
	CHECK_INT(txn_error_for(TXN_CONCURRENT_TRANSACTIONS, 0, 12), TXN_CONCURRENT_TRANSACTIONS);
	CHECK_INT(txn_error_for(TXN_CONCURRENT_TRANSACTIONS, 24, 0), TXN_CONCURRENT_TRANSACTIONS);
	CHECK_INT(txn_error_for(TXN_COORDINATOR_LOAD_IN_PROGRESS, 0, 13), TXN_NOT_ENOUGH_REPLICAS);
	CHECK_INT(txn_error_for(TXN_COORDINATOR_LOAD_IN_PROGRESS, 28, 1), TXN_COORDINATOR_NOT_AVAILABLE);
	CHECK_INT(txn_error_for(TXN_COORDINATOR_LOAD_IN_PROGRESS, 28, 2), TXN_COORDINATOR_LOAD_IN_PROGRESS);
	CHECK_INT(txn_error_for(TXN_INVALID_TXN_STATE, 26, 0), TXN_INVALID_TXN_STATE);
	CHECK_INT(txn_error_for(TXN_PRODUCER_FENCED, 99, 0), TXN_PRODUCER_FENCED);
}

/* DONE of an order that is not out changes nothing. */
static void
test_stray_done(void)
{
	TxnEvent	event = {.type = TXN_EV_DONE, .transactional_id = ID};

	begin_open(true);
	step(&event);
	CHECK_INT(outs.n, 0);
	event.serial = 1;
	step(&event);
	CHECK_INT(outs.n, 0);
	event.transactional_id = PT_STRING("others");
	step(&event);
	CHECK_INT(outs.n, 0);
	event.transactional_id = PT_STRING_NULL;
	step(&event);
	CHECK_INT(outs.n, 0);
	end();
}

int
main(void)
{
	RUN(test_init);
	RUN(test_init_refused);
	RUN(test_init_again);
	RUN(test_init_aborts);
	RUN(test_init_drops_unseen);
	RUN(test_add);
	RUN(test_end_v1);
	RUN(test_end_v2);
	RUN(test_end_of_nothing);
	RUN(test_commit_fails);
	RUN(test_doom);
	RUN(test_full);
	RUN(test_exhausted);
	RUN(test_timeout);
	RUN(test_operator);
	RUN(test_expiry);
	RUN(test_restart_v1);
	RUN(test_restart_v2);
	RUN(test_load);
	RUN(test_list);
	RUN(test_errors);
	RUN(test_stray_done);
	return test_done();
}
