/*-------------------------------------------------------------------------
 *
 * test_txn_model.c
 *	  Transactions of random clients, against a model.
 *
 * A world has a few transactional ids and more producers than that, of both
 * protocols (v1, v2), which begin, send, end, fence one another and give up.
 * Requests are sent twice or late, answers are lost, orders take long or
 * fail, time passes, the coordinator crashes between any two steps and reads
 * its log.  What a listener and a transaction worker do is played here: what
 * is staged under a serial, and committed with the record.
 *
 * What is checked, by name:
 *	- torn: what is committed of a transaction is all that its producer was
 *	  told is staged;
 *	- lost: an acknowledged commit is committed; false abort: an acknowledged
 *	  abort is not;
 *	- twice: nothing is committed twice; mixed: a commit has one transaction;
 *	- zombie: nobody commits after the next InitProducerId was stored;
 *	- leak: nothing stays staged that can never be committed;
 *	- replay: a coordinator that reads the log knows what this one knows;
 *	- stuck: when faults stop, every producer gets a transaction through.
 *
 * Each world follows from its seed.  PGTOPIC_TXN_WORLDS: how many (500).
 *
 * Sibling: test_txn.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
/* sources: src/txn/?*.c */
#include "test.h"

#include "txn/txn.h"

#define NIDS		2
#define NCLIENTS	5
#define MAX_TXNS	4000
#define MAX_TOKENS	20000
#define MAX_LOG		20000
#define MAX_STAGED	4000
#define MAX_PIDS	2000
#define MAX_LATE	16
#define TIMEOUT		20000

typedef enum Want
{
	WANT_INIT,
	WANT_BEGIN,
	WANT_SEND,
	WANT_COMMIT,
	WANT_ABORT
}			Want;

typedef struct Client
{
	int			id;				/* which transactional id */
	bool		v2;
	Want		want;
	bool		claims;			/* of its next INIT */
	int64		pid;
	int			epoch;
	int			generation;		/* of the INIT that made it */
	int			txn;			/* -1: none */
	bool		added;			/* v1: partitions */
	uint64		token;			/* waits for this answer; 0: for none */
	int			rests;			/* this many turns, after it was fenced */
}			Client;

/* A transaction, as its producer and the log see it. */
typedef struct Txn
{
	int			id;
	int			generation;
	int			sent;			/* that were acknowledged as staged */
	int			committed;		/* of them */
	int			commits;
	bool		told_committed;
	bool		told_aborted;	/* or that it cannot be committed */
	bool		asked;			/* for a commit */
}			Txn;

typedef struct Request
{
	TxnEventType type;
	int			client;
	int			txn;
	bool		commit;
}			Request;

/* What was published of a producer id. */
typedef struct Published
{
	int			epoch;
	uint64		serial;
	TxnPhase	phase;
}			Published;

typedef struct Staged
{
	uint64		serial;
	int			txn;
}			Staged;

typedef struct Order
{
	bool		there;
	TxnOutKind	kind;
	uint64		order;
	uint64		serial;
	uint64		token;
	PtString	key;
	PtString	value;
	bool		carried_out;	/* DONE is yet to come */
	TxnError	result;
}			Order;

static uint64 seed;
static uint64 rnd;
static TxnConfig config;
static TxnStates *states;
static int64 now;
static bool faults;

static Client clients[NCLIENTS];
static Txn txns[MAX_TXNS];
static int	ntxns;
static Request requests[MAX_TOKENS];
static uint64 ntokens;
static Published published[MAX_PIDS];
static int64 npids;
static Staged staged[MAX_STAGED];
static int	nstaged;
static Order orders[NIDS];
static uint64 asked_token[NIDS];	/* whose request gave the order */
static int	generations[NIDS];	/* INITs that were stored */
static PtString log_keys[MAX_LOG];
static PtString log_values[MAX_LOG];
static int	nlog;
static TxnEvent opened[MAX_STAGED]; /* by listeners, and not told yet */
static int	nopened;
static TxnEvent late[MAX_LATE]; /* requests that come again */
static int	nlate;
static long ncommits;
static long naborts;
static long ncrashes;

static const PtString names[NIDS] = {{"a", 1}, {"bb", 2}};
static const int32 partition_list[] = {0, 1, 2, 3};
static const TxnTopic topic = {{"orders", 6}, 4, partition_list};

static bool
chance(int percent)
{
	return test_random(&rnd) % 100 < (uint64) percent;
}

static int64
new_producer_id(void *arg)
{
	if (npids >= MAX_PIDS || (faults && chance(3)))
		return -1;
	published[npids].phase = TXN_PHASE_GONE;
	return npids++;
}

static void
			take_outs(const TxnOuts *outs);

static void
step(const TxnEvent *event)
{
	TxnOuts		outs;

	txn_step(states, event, now, &outs);
	txn_verify(states);
	take_outs(&outs);
}

/* What listeners have opened is told before any other event of the id. */
static void
tell_opened(int id)
{
	int			kept = 0;
	int			n = nopened;
	TxnEvent	telling[MAX_STAGED];

	memcpy(telling, opened, n * sizeof(TxnEvent));
	nopened = 0;
	for (int i = 0; i < n; i++)
	{
		if (pt_string_equal(telling[i].transactional_id, names[id]))
			step(&telling[i]);
		else
			opened[kept++] = telling[i];
	}
	nopened = kept;
}

static void
drop(uint64 serial)
{
	int			kept = 0;

	for (int i = 0; i < nstaged; i++)
		if (staged[i].serial != serial)
			staged[kept++] = staged[i];
	nstaged = kept;
}

/* The transaction of a client has ended, or it does not know how. */
static void
begin_anew(Client * client, bool claims)
{
	client->want = WANT_INIT;
	client->claims = claims;
	client->txn = -1;
}

static void
after_end(Client * client, const Request * request, const TxnOut *reply)
{
	Txn		   *txn = &txns[request->txn];

	if (request->commit)
		txn->told_committed = true;
	else
		txn->told_aborted = true;
	client->txn = -1;
	client->added = false;
	client->want = WANT_BEGIN;
	if (client->v2)
	{
		client->pid = reply->producer_id;
		client->epoch = reply->producer_epoch;
	}
	else if (!request->commit && chance(50))
		begin_anew(client, true);	/* as after an error */
}

/* What a client makes of an error. */
static void
after_error(Client * client, const Request * request, TxnError error)
{
	switch (error)
	{
		case TXN_CONCURRENT_TRANSACTIONS:
		case TXN_COORDINATOR_NOT_AVAILABLE:
		case TXN_COORDINATOR_LOAD_IN_PROGRESS:
			break;				/* the same again */
		case TXN_TRANSACTION_ABORTABLE:
			if (request->type == TXN_EV_END && request->commit)
				txns[request->txn].told_aborted = true;
			client->want = WANT_ABORT;
			break;
		default:
			CHECK(error == TXN_PRODUCER_FENCED || error == TXN_INVALID_PRODUCER_ID_MAPPING ||
				  error == TXN_INVALID_TXN_STATE);
			begin_anew(client, false);
			client->rests = test_random(&rnd) % 100;
	}
}

static void
answer(const TxnOut *reply)
{
	const		Request *request = &requests[reply->token];
	Client	   *client = &clients[request->client];

	CHECK(reply->token > 0 && reply->token <= ntokens);
	if (client->token != reply->token)
		return;					/* nobody waits for it any more */
	client->token = 0;
	if (faults && chance(10))
		return;					/* lost: the client asks again */
	if (reply->error != TXN_NONE)
		after_error(client, request, reply->error);
	else if (request->type == TXN_EV_INIT)
	{
		client->pid = reply->producer_id;
		client->epoch = reply->producer_epoch;
		client->generation = generations[client->id];
		client->want = WANT_BEGIN;
		client->added = false;
	}
	else if (request->type == TXN_EV_ADD)
		client->added = true;
	else
		after_end(client, request, reply);
}

static int
id_of(PtString name)
{
	for (int i = 0; i < NIDS; i++)
		if (pt_string_equal(name, names[i]))
			return i;
	CHECK(false);
	return 0;
}

static void
free_order(Order * order)
{
	if (order->there)
	{
		pfree((char *) order->key.data);
		if (order->value.len >= 0)
			pfree((char *) order->value.data);
	}
	memset(order, 0, sizeof(*order));
}

static void
take_order(const TxnOut *out)
{
	int			id = id_of(out->transactional_id);
	Order	   *order = &orders[id];

	CHECK(!order->there);
	free_order(order);
	order->there = true;
	order->kind = out->kind;
	order->order = out->order;
	order->serial = out->serial;
	order->key = pt_string_copy(out->key);
	order->value = out->value.len >= 0 ? pt_string_copy(out->value) : PT_STRING_NULL;
	order->token = asked_token[id];
	asked_token[id] = 0;
}

static void
take_outs(const TxnOuts *outs)
{
	for (int i = 0; i < outs->n; i++)
	{
		const TxnOut *out = &outs->outs[i];

		if (out->kind == TXN_DROP)
			drop(out->serial);
		else if (out->kind == TXN_PUBLISH)
		{
			Published  *pid = &published[out->producer_id];

			pid->epoch = out->producer_epoch;
			pid->serial = out->serial;
			pid->phase = out->phase;
		}
		else if (out->kind != TXN_REPLY)
			take_order(out);
	}
	/* the answers last: nobody acts before all is published */
	for (int i = 0; i < outs->n; i++)
		if (outs->outs[i].kind == TXN_REPLY)
			answer(&outs->outs[i]);
}

/* The transaction worker: all that is staged under the serial. */
static void
commit_staged(const Order * order, int id)
{
	int			of = -1;

	for (int i = 0; i < nstaged; i++)
	{
		if (staged[i].serial != order->serial)
			continue;
		CHECK(of == -1 || of == staged[i].txn); /* mixed */
		of = staged[i].txn;
		txns[of].committed++;
	}
	drop(order->serial);
	if (of < 0)
		return;
	txns[of].commits++;
	ncommits++;
	CHECK_INT(txns[of].commits, 1); /* twice */
	CHECK_INT(txns[of].committed, txns[of].sent);	/* torn */
	CHECK(txns[of].asked);
	CHECK(!txns[of].told_aborted);	/* false abort */
	CHECK_INT(txns[of].generation, generations[id]);	/* zombie */
}

/* Carries an order out, or fails to. */
static void
carry_out(int id)
{
	Order	   *order = &orders[id];

	CHECK(order->there && !order->carried_out);
	order->carried_out = true;
	order->result = TXN_NONE;
	if (faults && chance(15))
	{
		order->result = order->kind == TXN_COMMIT && chance(50) ? TXN_TRANSACTION_ABORTABLE :
			TXN_COORDINATOR_NOT_AVAILABLE;
		return;
	}
	if (order->kind == TXN_COMMIT)
		commit_staged(order, id);
	else if (order->token > 0 && requests[order->token].type == TXN_EV_INIT)
		generations[id]++;
	if (nlog < MAX_LOG)
	{
		log_keys[nlog] = pt_string_copy(order->key);
		log_values[nlog++] = order->value.len >= 0 ? pt_string_copy(order->value) : PT_STRING_NULL;
	}
}

static void
tell_done(int id)
{
	TxnEvent	event = {.type = TXN_EV_DONE,.transactional_id = names[id]};

	event.serial = orders[id].order;
	event.result = orders[id].result;
	free_order(&orders[id]);
	step(&event);
}

static TxnStates *
read_log(TxnOuts *outs)
{
	TxnStates  *fresh = txn_create(&config, seed ^ now);

	for (int i = 0; i < nlog; i++)
		CHECK(txn_load(fresh, log_keys[i], log_values[i]));
	txn_loaded(fresh, now, outs);
	txn_verify(fresh);
	return fresh;
}

/* All but the log and the clients is gone. */
static void
crash(void)
{
	TxnOuts		outs;

	ncrashes++;
	for (int i = 0; i < NIDS; i++)
		free_order(&orders[i]);
	for (int i = 0; i < NCLIENTS; i++)
		clients[i].token = 0;
	for (int i = 0; i < npids; i++)
		published[i].phase = TXN_PHASE_GONE;
	nstaged = nopened = nlate = 0;
	txn_destroy(states);
	states = read_log(&outs);
	take_outs(&outs);
}

/* Does a coordinator that reads the log know what this one knows? */
static void
compare_with_log(void)
{
	TxnOuts		outs;
	TxnStates  *fresh;

	for (int i = 0; i < NIDS; i++)
	{
		tell_opened(i);
		if (orders[i].there)
			return;
	}
	fresh = read_log(&outs);
	for (int i = 0; i < NIDS; i++)
	{
		TxnInfo		live;
		TxnInfo		replayed;
		bool		there = txn_describe(states, names[i], &live);

		CHECK_INT(txn_describe(fresh, names[i], &replayed), there);
		if (!there)
			continue;
		CHECK_INT(live.image.producer_id, replayed.image.producer_id);
		CHECK_INT(live.image.epoch, replayed.image.epoch);
		CHECK_INT(live.image.previous_producer_id, replayed.image.previous_producer_id);
		CHECK_INT(live.image.client_version, replayed.image.client_version);
		CHECK_INT(live.image.timeout_ms, replayed.image.timeout_ms);
		if (live.image.state != TXN_ONGOING)
			CHECK_INT(live.image.state, replayed.image.state);
		if (live.topics)
			pfree((void *) live.topics);
	}
	txn_destroy(fresh);
}

static void
ask(int number, TxnEvent event)
{
	Client	   *client = &clients[number];

	if (ntokens >= MAX_TOKENS - 1)
		return;
	tell_opened(client->id);
	event.token = ++ntokens;
	event.transactional_id = names[client->id];
	event.v2 = client->v2;
	requests[event.token] = (Request)
	{
		event.type, number, client->txn, event.commit
	};
	client->token = event.token;
	asked_token[client->id] = orders[client->id].there ? 0 : event.token;

	/*
	 * It may come a second time, and late: nobody waits for that answer.  Of
	 * v1 only what is harmless in the next transaction.
	 */
	if (faults && nlate < MAX_LATE && chance(10) && (client->v2 || event.type == TXN_EV_INIT) &&
		(event.type != TXN_EV_INIT || event.producer_id >= 0))
		late[nlate++] = event;
	step(&event);
	asked_token[client->id] = 0;
}

static void
ask_init(int number)
{
	Client	   *client = &clients[number];
	TxnEvent	event = {.type = TXN_EV_INIT,.producer_id = -1,.producer_epoch = -1,.timeout_ms = TIMEOUT};

	if (client->claims)
	{
		event.producer_id = client->pid;
		event.producer_epoch = (int16) client->epoch;
	}
	ask(number, event);
}

/* The listener: may this be staged? */
static void
send(int number)
{
	Client	   *client = &clients[number];
	Published  *pid = &published[client->pid];
	TxnEvent	event = {.type = TXN_EV_ADD,.v2 = true,.topics = &topic,.ntopics = 1};

	if (pid->phase == TXN_PHASE_GONE || pid->epoch != client->epoch)
	{
		begin_anew(client, false);
		client->rests = test_random(&rnd) % 100;
		return;
	}
	if (pid->phase == TXN_PHASE_ENDING)
		return;
	if (pid->phase == TXN_PHASE_DOOMED || (pid->phase == TXN_PHASE_LOST && client->v2))
	{
		client->want = WANT_ABORT;
		return;
	}
	if (pid->phase != TXN_PHASE_OPEN)
	{
		if (!client->v2)
		{
			client->want = WANT_ABORT;
			return;
		}
		event.transactional_id = names[client->id];
		event.producer_id = client->pid;
		event.producer_epoch = (int16) client->epoch;
		opened[nopened++] = event;
		pid->phase = TXN_PHASE_OPEN;
	}
	if (nstaged < MAX_STAGED)
	{
		staged[nstaged++] = (Staged)
		{
			pid->serial, client->txn
		};
		txns[client->txn].sent++;
	}
}

/* One thing that a client does. */
static void
act(int number)
{
	Client	   *client = &clients[number];
	TxnEvent	event = {.producer_id = client->pid,.producer_epoch = (int16) client->epoch};

	if (client->rests > 0 && faults)
	{
		client->rests--;
		return;
	}
	if (client->token != 0)
	{
		if (faults && chance(20))
			client->token = 0;	/* asks again */
		return;
	}
	if (faults && chance(2))
		begin_anew(client, false);	/* another process */
	switch (client->want)
	{
		case WANT_INIT:
			ask_init(number);
			break;
		case WANT_BEGIN:
			if (ntxns >= MAX_TXNS)
				return;
			client->txn = ntxns++;
			memset(&txns[client->txn], 0, sizeof(Txn));
			txns[client->txn].id = client->id;
			txns[client->txn].generation = client->generation;
			client->added = client->v2;
			client->want = WANT_SEND;
			break;
		case WANT_SEND:
			event.type = TXN_EV_ADD;
			event.topics = &topic;
			event.ntopics = 1;
			if (!client->added)
				ask(number, event);
			else if (txns[client->txn].sent > 0 && chance(30))
				client->want = faults && chance(25) ? WANT_ABORT : WANT_COMMIT;
			else
				send(number);
			break;
		case WANT_COMMIT:
		case WANT_ABORT:
			event.type = TXN_EV_END;
			event.commit = client->want == WANT_COMMIT;
			if (event.commit)
				txns[client->txn].asked = true;
			else
				naborts++;
			ask(number, event);
			break;
	}
}

static void
fault(void)
{
	TxnEvent	event = {0};
	TxnInfo		info;
	int			id = test_random(&rnd) % NIDS;

	if (chance(2))
		crash();
	else if (nlate > 0 && chance(40))
	{
		event = late[--nlate];
		event.token = 0;
		tell_opened(id_of(event.transactional_id));
		step(&event);
	}
	else if (chance(5))
		now += TIMEOUT;
	else if (chance(10) && txn_describe(states, names[id], &info))
	{
		if (info.topics)
			pfree((void *) info.topics);
		event.type = chance(50) ? TXN_EV_DOOM : TXN_EV_ABORT;
		event.serial = info.serial;
		event.transactional_id = names[id];
		tell_opened(id);
		step(&event);
	}
	else if (chance(10))
		compare_with_log();
}

static void
play(int nsteps)
{
	TxnEvent	tick = {.type = TXN_EV_TICK};

	for (int i = 0; i < nsteps; i++)
	{
		int			id = test_random(&rnd) % NIDS;

		SAY("seed " UINT64_FORMAT ", step %d", seed, i);
		now += test_random(&rnd) % 20;
		if (chance(60))
			act(test_random(&rnd) % NCLIENTS);
		else if (orders[id].there && !orders[id].carried_out)
			carry_out(id);
		else if (orders[id].there)
			tell_done(id);
		else if (faults)
			fault();
		else
			tell_opened(id);
		if (now >= txn_next_deadline(states))
		{
			for (int k = 0; k < NIDS; k++)
				tell_opened(k);
			step(&tick);
		}
	}
}

/* What was told to clients must be so. */
static void
check_told(void)
{
	for (int i = 0; i < ntxns; i++)
	{
		SAY("seed " UINT64_FORMAT ", transaction %d", seed, i);
		CHECK(!txns[i].told_committed || txns[i].committed == txns[i].sent);	/* lost */
		CHECK(!txns[i].told_aborted || txns[i].committed == 0); /* false abort */
	}
}

/* Nothing stays staged that no transaction can name any more. */
static void
check_leaks(void)
{
	TxnInfo		infos[NIDS];

	for (int i = 0; i < NIDS; i++)
	{
		if (!txn_describe(states, names[i], &infos[i]))
			infos[i].serial = 0;
		else if (infos[i].topics)
			pfree((void *) infos[i].topics);
	}
	for (int i = 0; i < nstaged; i++)
		CHECK(staged[i].serial == infos[txns[staged[i].txn].id].serial);
}

/* The log of an id whose epochs are nearly used up. */
static void
begin_old_id(void)
{
	TxnImage	image = {.previous_producer_id = -1,.timeout_ms = TIMEOUT,.state = TXN_COMPLETE_ABORT,
	.started_at = now,.updated_at = now};

	image.producer_id = npids++;
	image.epoch = TXN_LAST_EPOCH - test_random(&rnd) % 4;
	log_keys[nlog] = txn_key_write(names[0]);
	log_values[nlog++] = txn_value_write(&image, NULL, 0);
}

static void
world(uint64 number)
{
	TxnOuts		outs;
	int			before;

	seed = number;
	rnd = number * UINT64CONST(0x9E3779B97F4A7C15) + 1;
	now = 1000000;
	ntxns = nlog = nstaged = nopened = nlate = 0;
	ntokens = npids = 0;
	memset(generations, 0, sizeof(generations));
	memset(published, 0, sizeof(published));
	txn_config_defaults(&config);
	config.new_producer_id = new_producer_id;
	if (chance(50))
		begin_old_id();
	states = read_log(&outs);
	take_outs(&outs);
	for (int i = 0; i < NCLIENTS; i++)
	{
		clients[i] = (Client)
		{
			.id = i % NIDS,.v2 = chance(60),.txn = -1
		};
	}
	faults = true;
	play(1500);

	/* two producers stay, one for each id; they must get through */
	faults = false;
	for (int i = NIDS; i < NCLIENTS; i++)
		clients[i].token = PG_UINT64_MAX;
	play(400);
	before = ncommits;
	play(400);
	CHECK(ncommits > before || ntxns >= MAX_TXNS);	/* stuck */
	check_told();
	check_leaks();
	compare_with_log();
	for (int i = 0; i < NIDS; i++)
		free_order(&orders[i]);
	txn_destroy(states);
	for (int i = 0; i < nlog; i++)
	{
		pfree((char *) log_keys[i].data);
		if (log_values[i].len >= 0)
			pfree((char *) log_values[i].data);
	}
}

static void
test_worlds(void)
{
	const char *worlds = getenv("PGTOPIC_TXN_WORLDS");
	const char *first = getenv("PGTOPIC_SEED");
	uint64		from = first ? strtoull(first, NULL, 10) : 1;
	int			n = worlds ? atoi(worlds) : 500;

	for (int i = 0; i < n; i++)
		world(from + i);
	SAY("%s", "");
	printf("# %d worlds from seed " UINT64_FORMAT ": %ld commits, %ld aborts, %ld crashes\n", n, from, ncommits,
		   naborts, ncrashes);
	/* a world in which nothing happens proves nothing */
	CHECK(first || (ncommits > n * 10 && naborts > n && ncrashes > n));
}

int
main(void)
{
	RUN(test_worlds);
	return test_done();
}
