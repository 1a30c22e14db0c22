/*-------------------------------------------------------------------------
 *
 * quota.c
 *	  Quotas of clients, as requests meet them: what is counted when, and what
 *	  the answer says.
 *
 * All is charged when the answer is there and before it is encoded, because it
 * tells the throttle time.  The answer leaves at once; the server then does
 * not read the connection for that long (call->throttle_ms), as Kafka does
 * since 2.0 (KIP-219).
 *
 *	Produce		the bytes of the request.  It is never refused
 *	Fetch		the bytes of the answer, asked for before there is one: a
 *				client that is throttled gets an empty one, and what it would
 *				have got is not counted
 *	all			the time that a worker spent: in handlers, on the
 *				connection's sockets, and for appends each request's share.
 *				What comes after the answer is charged with the next one
 *
 * Without quotas a request costs a look at pt_quotas_set.
 *
 * Siblings: quota.h; ../quotas/ (which quota is whose, and counting).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/codec.h"
#include "kafka/quota.h"

/* Samples of a window that are over: what a client may have in it. */
#define FULL_WINDOW_S	10

/* What the session knows of quotas, by the names that it has now. */
static PtQuotaClient *
client_of(KafkaSession *session)
{
	if (session->quotas == NULL)
		session->quotas = MemoryContextAllocZero(session->mcxt, sizeof(PtQuotaClient));
	pt_quota_client_is(session->quotas, session->role_name, session->client_id);
	return session->quotas;
}

/*
 * The worker's time
 */

/*
 * A step of a handler begins.  Returns the time, 0 when nobody wants it.
 */
int64
kafka_quota_step_begin(KafkaCall *call)
{
	call->step_ns = pt_quota_is_set(PT_QUOTA_REQUEST) ? pt_quota_now_ns() : 0;
	return call->step_ns;
}

/*
 * It is over.  What was charged in between is not charged again: the answer
 * moves call->step_ns.
 */
void
kafka_quota_step_end(KafkaCall *call, int64 since_ns)
{
	if (since_ns != 0)
		kafka_quota_spent(call->session, pt_quota_now_ns() - call->step_ns);
}

/*
 * See kafka.h.
 */
void
kafka_quota_spent(KafkaSession *session, int64 ns)
{
	if (pt_quota_is_set(PT_QUOTA_REQUEST))
		client_of(session)->unpaid_ns += Max(ns, 0);
}

/*
 * Charging
 */

/* The quota says to throttle the client; the longest time counts. */
static void
throttle(KafkaCall *call, PtQuotaRef *ref, int32 ms, int64 now_ms)
{
	if (ms <= 0)
		return;
	pt_quota_throttled(ref, ms, now_ms);
	call->throttle_ms = Max(call->throttle_ms, ms);
}

/* Charges the time that the worker has spent for the client until now. */
static void
charge_time(KafkaCall *call, int64 now_ns)
{
	PtQuotaClient *client = client_of(call->session);
	PtQuotaRef *ref = pt_quota_of(client, PT_QUOTA_REQUEST, now_ns / 1000000);
	uint64		spent = client->unpaid_ns;

	if (call->step_ns != 0)
	{
		spent += Max(now_ns - call->step_ns, 0);
		call->step_ns = now_ns;
	}
	client->unpaid_ns = 0;
	if (ref != NULL)
		throttle(call, ref, pt_quota_charge(ref, PT_QUOTA_REQUEST, spent, now_ns / 1000000), now_ns / 1000000);
}

/* Charges what all requests are charged, once. */
static void
charge_once(KafkaCall *call, int64 now_ns)
{
	if (call->charged)
		return;
	call->charged = true;
	if (pt_quota_is_set(PT_QUOTA_REQUEST))
		charge_time(call, now_ns);
}

/*
 * Returns the place of throttle_time_ms in the struct of an API's response;
 * -1: it has none.
 */
static int
throttle_time_at(const KafkaApi *api)
{
	static int	places[KAFKA_API_COUNT];	/* 1 + place; 0: not known yet */
	int		   *place = &places[api - kafka_apis];
	const KafkaSchema *schema = api->response();

	for (int i = 0; *place == 0 && i < schema->nfields; i++)
	{
		if (strcmp(schema->fields[i].name, "throttle_time_ms") == 0)
			*place = 1 + schema->fields[i].offset;
	}
	if (*place == 0)
		*place = -1;
	return *place < 0 ? -1 : *place - 1;
}

/*
 * Charges the request, whose response is filled and not encoded, or which gets
 * none, and tells the client for how long it will not be read.
 */
void
kafka_quota_charge(KafkaCall *call)
{
	int64		now_ns;
	int			at;

	if (likely(pt_quotas_set == 0))
		return;
	now_ns = pt_quota_now_ns();
	charge_once(call, now_ns);
	if (call->api->key == KAFKA_KEY_Produce)
	{
		PtQuotaRef *ref = pt_quota_of(client_of(call->session), PT_QUOTA_PRODUCE, now_ns / 1000000);

		if (ref != NULL)
			throttle(call, ref, pt_quota_charge(ref, PT_QUOTA_PRODUCE, sizeof(uint32) + call->frame_len, now_ns / 1000000),
					 now_ns / 1000000);
	}
	if (call->throttle_ms == 0)
		return;
	at = throttle_time_at(call->api);
	if (at >= 0)
		*(int32 *) ((char *) call->response + at) = call->throttle_ms;
}

/*
 * The response is encoded: counts its bytes, if it is one of Fetch.  One that
 * was made empty does not count.
 */
void
kafka_quota_answered(KafkaCall *call)
{
	PtQuotaRef *ref;
	int64		now_ms;

	if (likely(pt_quotas_set == 0) || call->api->key != KAFKA_KEY_Fetch || call->throttle_ms > 0)
		return;
	now_ms = pt_quota_now_ns() / 1000000;
	ref = pt_quota_of(client_of(call->session), PT_QUOTA_FETCH, now_ms);
	if (ref != NULL)
		(void) pt_quota_charge(ref, PT_QUOTA_FETCH, call->response_bytes, now_ms);
}

/*
 * Fetch
 */

/*
 * Returns how many bytes an answer to Fetch may have: no more than what the
 * client may have in a whole window, so that each answer fits into one.
 */
uint64
kafka_quota_fetch_max(KafkaCall *call, uint64 max)
{
	PtQuotaRef *ref;
	double		window;

	if (likely(!pt_quota_is_set(PT_QUOTA_FETCH)))
		return max;
	ref = pt_quota_of(client_of(call->session), PT_QUOTA_FETCH, pt_quota_now_ns() / 1000000);
	if (ref == NULL)
		return max;
	window = ref->limit * FULL_WINDOW_S;
	return window < (double) max ? (uint64) window : max;
}

/*
 * There is an answer of so many bytes.  Returns false if the client is to get
 * an empty one instead, because it is throttled.
 */
bool
kafka_quota_fetch(KafkaCall *call, uint64 bytes)
{
	PtQuotaRef *ref;
	int64		now_ns;

	if (likely(pt_quotas_set == 0))
		return true;
	now_ns = pt_quota_now_ns();
	charge_once(call, now_ns);
	ref = pt_quota_of(client_of(call->session), PT_QUOTA_FETCH, now_ns / 1000000);
	if (ref != NULL)
		throttle(call, ref, pt_quota_ask(ref, bytes, now_ns / 1000000), now_ns / 1000000);
	return call->throttle_ms == 0;
}

/*
 * Creating and deleting partitions (KIP-599)
 */

/*
 * So many partitions are to be created or deleted.  Returns false if they are
 * not, because the client has used up what it may and its version, from
 * "strict_since" on, knows the error that says so: then *code and *message.
 * Otherwise they are counted, and an older client is throttled behind the
 * answer.
 */
bool
kafka_quota_mutation(KafkaCall *call, int16 strict_since, uint32 partitions, int16 *code, const char **message)
{
	PtQuotaRef *ref;
	int64		now_ns;
	int32		debt_ms;

	if (likely(!pt_quota_is_set(PT_QUOTA_MUTATION)))
		return true;
	now_ns = pt_quota_now_ns();
	ref = pt_quota_of(client_of(call->session), PT_QUOTA_MUTATION, now_ns / 1000000);
	if (ref == NULL)
		return true;
	debt_ms = pt_quota_debt(ref, now_ns);
	if (debt_ms > 0 && call->api_version >= strict_since)
	{
		throttle(call, ref, debt_ms, now_ns / 1000000);
		*code = KERR_THROTTLING_QUOTA_EXCEEDED;
		*message = "The throttling quota has been exceeded.";
		return false;
	}
	pt_quota_take(ref, partitions, now_ns);
	if (call->api_version < strict_since)
		throttle(call, ref, pt_quota_debt(ref, now_ns), now_ns / 1000000);
	return true;
}
