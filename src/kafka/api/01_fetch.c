/*-------------------------------------------------------------------------
 *
 * 01_fetch.c
 *	  Fetch: gives record batches, with long-poll and fetch sessions (KIP-227).
 *
 * A request becomes a list of entries, one per partition, from the request
 * itself or from its session.  Each attempt reads all entries, and either
 * answers or waits for one of their logs to grow.  The bytes of batches do not
 * pass through here: a response has spans of logs, which the server sends
 * straight from shared buffers.
 *
 * Both isolation levels read the same, because a log never has aborted data.
 *
 * Versions: 4 has the isolation level; 7 has sessions and an error of the
 * request; 9 and 12 have epochs to compare (KIP-320, KIP-595); 13 names topics
 * by id.
 *
 * Siblings: ../fetch_session.c, ../call.c, ../topics.c; ../../fetch/fetch.h
 * (pt_fetch).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "kafka/broker.h"
#include "kafka/fetch_session.h"
#include "kafka/quota.h"
#include "kafka/topics.h"
#include "xact/xact.h"

#define SESSIONS_SINCE		7
#define TOPIC_IDS_SINCE		13

/* session epochs of requests that are not a step of a session */
#define EPOCH_NONE			(-1)
#define EPOCH_NEW			0

/*
 * A connection that reads more partitions than this without a session loses
 * its cursors.
 */
#define CURSORS_MAX			10000

/* Where the reading of a partition goes on, for fetches without a session. */
typedef struct FetchCursor
{
	Oid			relid;			/* offset that follows what was read */
	int64		offset;			/* its place in the log */
	PtLogPos	pos;
	uint32		swapped;		/* see PtFetch */
	Oid			file;			/* for which pos is valid */
} FetchCursor;

/* What a connection keeps of its fetches. */
typedef struct KafkaFetchState
{
	HTAB	   *cursors;		/* FetchCursor, by OID */
} KafkaFetchState;

/* A partition of a request. */
typedef struct FetchEntry
{
	KafkaString topic;
	KafkaUuid	topic_id;
	Oid			table;			/* of the topic; InvalidOid: unknown */
	int32		partition;
	uint32		max_bytes;		/* for this partition; may be 0 */
	int64		offset;			/* where to read from */
	int16		error;
	bool		unknown;		/* the partition does not exist */
	bool		busy;			/* error is that its log is not to be had now */
	bool		away;			/* what comes next is still to be read from
								 * the disk */
	bool		included;		/* is in the response */
	int32		last_fetched_epoch; /* to be compared with our epochs; -1: not
									 * any more */
	bool		diverging;		/* the client's log differs from ours from
								 * diverging_end on */
	int32		diverging_epoch;
	int64		diverging_end;
	int64		cursor_offset;	/* where the next attempt begins */
	PtLogPos	cursor_pos;
	uint32		cursor_swapped;
	Oid			cursor_file;
	KafkaFetchPart *part;		/* of the session; valid as long as that */
	PtFetch		fetch;
} FetchEntry;

/* Kept between begin and resume. */
typedef struct FetchState
{
	FetchEntry *entries;
	int			n;
	bool		incremental;	/* the response has only what is new to the
								 * client */
	int32		session_id;		/* 0: no session */
	int32		session_epoch;
	uint64		session_serial; /* tells whether it is still the same session */
	KafkaLookup lookup;
	/* of the last attempt */
	uint64		bytes;			/* of all entries */
	bool		busy;			/* some entries are */
	bool		away;			/* the same */
	/* of all attempts */
	bool		late;			/* MaxWaitMs is over */
	TimestampTz retry_since;	/* when some entry was busy or away first */
} FetchState;

/*
 * Cursors of a connection
 */

/*
 * Returns the cursors of a connection; makes the table if necessary.
 */
static HTAB *
connection_cursors(KafkaSession *session)
{
	HASHCTL		ctl = {.keysize = sizeof(Oid),.entrysize = sizeof(FetchCursor),.hcxt = session->mcxt};

	if (session->fetch == NULL)
		session->fetch = MemoryContextAllocZero(session->mcxt, sizeof(KafkaFetchState));
	if (session->fetch->cursors != NULL && hash_get_num_entries(session->fetch->cursors) > CURSORS_MAX)
	{
		hash_destroy(session->fetch->cursors);
		session->fetch->cursors = NULL;
	}
	if (session->fetch->cursors == NULL)
		session->fetch->cursors = hash_create("Kafka fetch cursors", 16, &ctl,
											  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return session->fetch->cursors;
}

/*
 * Gets the cursor of an entry, from the session or from the connection.
 */
static void
load_cursor(KafkaCall *call, FetchEntry *entry)
{
	FetchCursor *cursor;

	if (entry->part != NULL)
	{
		entry->cursor_offset = entry->part->cursor_offset;
		entry->cursor_pos = entry->part->cursor_pos;
		entry->cursor_swapped = entry->part->cursor_swapped;
		entry->cursor_file = entry->part->cursor_file;
		return;
	}
	cursor = hash_search(connection_cursors(call->session), &entry->fetch.relid, HASH_FIND, NULL);
	if (cursor != NULL)
	{
		entry->cursor_offset = cursor->offset;
		entry->cursor_pos = cursor->pos;
		entry->cursor_swapped = cursor->swapped;
		entry->cursor_file = cursor->file;
	}
}

/*
 * Stores the cursor of an entry, behind what the response has.
 */
static void
store_cursor(KafkaCall *call, const FetchEntry *entry)
{
	FetchCursor *cursor;

	if (entry->part != NULL)
	{
		entry->part->cursor_offset = entry->fetch.cursor_offset;
		entry->part->cursor_pos = entry->fetch.cursor_pos;
		entry->part->cursor_swapped = entry->fetch.cursor_swapped;
		entry->part->cursor_file = entry->fetch.cursor_file;
		return;
	}
	cursor = hash_search(connection_cursors(call->session), &entry->fetch.relid, HASH_ENTER, NULL);
	cursor->offset = entry->fetch.cursor_offset;
	cursor->pos = entry->fetch.cursor_pos;
	cursor->swapped = entry->fetch.cursor_swapped;
	cursor->file = entry->fetch.cursor_file;
}

/*
 * Entries
 */

/*
 * Checks whether the client's log and ours have diverged, if the client says
 * in which epoch it has read last (KIP-595).  Called by kafka_try_at_hand().
 */
static void
check_divergence(void *arg)
{
	FetchEntry *entry = arg;
	int32		last = entry->last_fetched_epoch;
	int32		epoch;
	int64		end_offset;
	PtStatus	status;

	Assert(last >= 0);
	status = pt_epoch_end(entry->fetch.relid, last, &epoch, &end_offset);
	entry->last_fetched_epoch = -1; /* once is enough */
	entry->error = kafka_read_error_from_status(status);
	if (entry->error != KERR_NONE)
		return;
	if (epoch < 0)
		entry->error = KERR_OFFSET_OUT_OF_RANGE;
	else if (epoch < last || end_offset < entry->offset)
	{
		entry->diverging = true;
		entry->diverging_epoch = epoch;
		entry->diverging_end = end_offset;
		entry->offset = Min(entry->offset, end_offset);
		entry->max_bytes = 0;
	}
}

/*
 * Adds an entry for a partition; "part" is that of the session, or NULL.
 */
static void
add_entry(KafkaCall *call, KafkaString topic, const KafkaUuid *id, const FetchPartition *asked,
		  KafkaFetchPart *part)
{
	const FetchRequest *in = call->request;
	FetchState *state = call->state;
	FetchEntry *entry = &state->entries[state->n++];

	Assert((part != NULL) == (state->session_id != 0));

	memset(entry, 0, sizeof(*entry));
	entry->topic = topic;
	if (id != NULL)
		entry->topic_id = *id;
	entry->partition = asked->partition;
	entry->offset = asked->fetch_offset;
	entry->max_bytes = Max(asked->partition_max_bytes, 0);
	entry->last_fetched_epoch = asked->last_fetched_epoch;
	entry->part = part;
	entry->fetch.relid = kafka_lookup(&state->lookup, topic, id, asked->partition, &entry->error);
	entry->table = state->lookup.topic;
	entry->unknown = entry->error != KERR_NONE;
	entry->fetch.leader_epoch = asked->current_leader_epoch;

	/* no follower of ours fetches in this way */
	if (in->replica_id >= 0 || in->replica_state.replica_id >= 0)
	{
		if (!kafka_may_cluster(call, PT_OP_CLUSTER_ACTION))
			entry->error = KERR_TOPIC_AUTHORIZATION_FAILED;
		else if (entry->error == KERR_NONE)
			entry->error = KERR_NOT_LEADER_OR_FOLLOWER;
	}
	if (entry->error != KERR_NONE)
		return;
	load_cursor(call, entry);
}

/*
 * Allocates room for n entries.
 */
static void
alloc_entries(KafkaCall *call, int n)
{
	FetchState *state = call->state;

	Assert(n >= 0 && state != NULL);
	state->entries = MemoryContextAllocHuge(call->mcxt, sizeof(FetchEntry) * Max(n, 1));
	state->n = 0;
}

/*
 * Counts the partitions of the request.
 */
static int
count_partitions(const FetchRequest *in)
{
	int			n = 0;

	for (int i = 0; i < in->topics.n; i++)
		n += in->topics.items[i].partitions.n;
	return n;
}

/*
 * Makes the entries from the request.
 */
static void
entries_from_request(KafkaCall *call)
{
	const FetchRequest *in = call->request;
	bool		by_id = call->api_version >= TOPIC_IDS_SINCE;

	alloc_entries(call, count_partitions(in));
	for (int i = 0; i < in->topics.n; i++)
	{
		const FetchTopic *topic = &in->topics.items[i];

		for (int j = 0; j < topic->partitions.n; j++)
			add_entry(call, topic->topic, by_id ? &topic->topic_id : NULL,
					  &topic->partitions.items[j], NULL);
	}
}

/*
 * Makes the entries from the session.
 */
static void
entries_from_session(KafkaCall *call, KafkaFetchSession *session)
{
	FetchState *state = call->state;
	dlist_iter	iter;

	state->session_id = session->id;
	state->session_epoch = session->epoch;
	state->session_serial = session->serial;
	alloc_entries(call, session->nparts);
	dlist_foreach(iter, &session->order)
	{
		KafkaFetchPart *part = dlist_container(KafkaFetchPart, node, iter.cur);

		add_entry(call, part->topic, session->by_id ? &part->topic_id : NULL, &part->asked, part);
	}
	Assert(state->n == session->nparts);
}

/*
 * Sessions
 */

/*
 * Adds the partitions of the request to the session.  Returns false if there
 * is no room for them.
 */
static bool
put_partitions(const FetchRequest *in, KafkaFetchSession *session)
{
	for (int i = 0; i < in->topics.n; i++)
	{
		const FetchTopic *topic = &in->topics.items[i];

		for (int j = 0; j < topic->partitions.n; j++)
		{
			if (!kafka_fetch_session_put(session, topic->topic, session->by_id ? &topic->topic_id : NULL,
										 &topic->partitions.items[j]))
				return false;
		}
	}
	return true;
}

/*
 * Removes the forgotten partitions of the request from the session.
 */
static void
forget_partitions(const FetchRequest *in, KafkaFetchSession *session)
{
	for (int i = 0; i < in->forgotten_topics_data.n; i++)
	{
		const FetchForgottenTopic *topic = &in->forgotten_topics_data.items[i];

		for (int j = 0; j < topic->partitions.n; j++)
			kafka_fetch_session_forget(session, topic->topic, session->by_id ? &topic->topic_id : NULL,
									   topic->partitions.items[j]);
	}
}

/*
 * Returns the session with that id, if it is that of the client's role: ids
 * can be guessed.
 */
static KafkaFetchSession *
session_of(const KafkaCall *call, int32 id)
{
	KafkaFetchSession *session = kafka_fetch_session_find(id);

	return session != NULL && session->role == call->session->role ? session : NULL;
}

/*
 * Handles a request that names all partitions.  Epoch 0 asks for a new
 * session with them.
 */
static void
begin_full(KafkaCall *call)
{
	const FetchRequest *in = call->request;
	KafkaFetchSession *session = session_of(call, in->session_id);
	int			n = count_partitions(in);

	if (session != NULL)
		kafka_fetch_session_drop(session);
	session = NULL;
	if (call->api_version >= SESSIONS_SINCE && in->session_epoch == EPOCH_NEW && n > 0)
		session = kafka_fetch_session_new(call->session->role, call->api_version >= TOPIC_IDS_SINCE, n);
	if (session != NULL && !put_partitions(in, session))
	{
		kafka_fetch_session_drop(session);
		session = NULL;
	}
	if (session != NULL)
		entries_from_session(call, session);
	else
		entries_from_request(call);
}

/*
 * Handles a request that names what has changed since the last one.  Returns
 * an error for the whole request.
 */
static int16
begin_incremental(KafkaCall *call)
{
	const FetchRequest *in = call->request;
	FetchState *state = call->state;
	KafkaFetchSession *session = session_of(call, in->session_id);

	if (session == NULL)
		return KERR_FETCH_SESSION_ID_NOT_FOUND;
	if (session->epoch != in->session_epoch)
		return KERR_INVALID_FETCH_SESSION_EPOCH;
	if (session->by_id != (call->api_version >= TOPIC_IDS_SINCE))
		return KERR_FETCH_SESSION_TOPIC_ID_ERROR;

	kafka_fetch_session_next(session);
	if (!put_partitions(in, session))
	{
		/* the client starts over with a full fetch, which gets no session */
		kafka_fetch_session_drop(session);
		return KERR_FETCH_SESSION_ID_NOT_FOUND;
	}
	forget_partitions(in, session);
	if (session->nparts == 0)
	{
		kafka_fetch_session_drop(session);
		return KERR_NONE;
	}
	state->incremental = true;
	entries_from_session(call, session);
	return KERR_NONE;
}

/*
 * Returns the session of a request that has waited.  NULL if it is gone, or
 * if another request has used it meanwhile.
 */
static KafkaFetchSession *
same_session(const FetchState *state)
{
	KafkaFetchSession *session = kafka_fetch_session_find(state->session_id);

	if (session == NULL || session->serial != state->session_serial ||
		session->epoch != state->session_epoch)
		return NULL;
	return session;
}

/*
 * Reading
 */

/*
 * Reads an entry.  Called by kafka_try_at_hand().
 */
static void
read_log(void *arg)
{
	FetchEntry *entry = arg;

	pt_fetch(&entry->fetch);
	entry->error = kafka_read_error_from_status(entry->fetch.status);
	entry->busy = entry->fetch.status == PT_BUSY;
	entry->away = entry->fetch.away;
}

/*
 * Reads with one of the functions above.  Returns false if there is an error,
 * or if all of it is still to be read from the disk.
 */
static bool
try_entry(KafkaCall *call, FetchEntry *entry, void (*fn) (void *arg))
{
	KafkaError	error = {0};

	if (!kafka_try_at_hand(call, fn, entry, &error))
	{
		entry->error = error.code;
		entry->away = error.code == KERR_NONE;
	}
	return entry->error == KERR_NONE && !(entry->away && entry->fetch.span.bytes_left == 0);
}

/*
 * Reads one entry and returns the number of bytes.  If reading fails, for
 * example because of a damaged page, that is an error of this entry only.
 */
static uint64
fetch_entry(KafkaCall *call, FetchEntry *entry, uint64 left, bool at_least_one)
{
	PtFetch    *fetch = &entry->fetch;

	entry->error = KERR_NONE;
	entry->busy = entry->away = false;
	fetch->span.state = NULL;
	fetch->span.bytes_left = 0;
	if (!kafka_may_read(call, entry->table))	/* what was allowed when it
												 * began to wait may not be
												 * now */
	{
		entry->error = KERR_TOPIC_AUTHORIZATION_FAILED;
		return 0;
	}
	if (entry->last_fetched_epoch >= 0 && !try_entry(call, entry, check_divergence))
		return 0;
	fetch->offset = entry->offset;
	fetch->max_bytes = (uint32) Min(entry->max_bytes, left);
	fetch->at_least_one = at_least_one && !entry->diverging;
	fetch->cursor_offset = entry->cursor_offset;
	fetch->cursor_pos = entry->cursor_pos;
	fetch->cursor_swapped = entry->cursor_swapped;
	fetch->cursor_file = entry->cursor_file;
	if (!try_entry(call, entry, read_log))
		return 0;
	if (fetch->span.bytes_left == 0)
	{
		/* the place has been found, so the next attempt does not search */
		entry->cursor_offset = fetch->cursor_offset;
		entry->cursor_pos = fetch->cursor_pos;
		entry->cursor_swapped = fetch->cursor_swapped;
		entry->cursor_file = fetch->cursor_file;
	}
	return entry->diverging ? 0 : fetch->span.bytes_left;
}

/*
 * Reads all entries.  Returns true if the request should be answered now:
 * there are enough bytes, reading has failed, or a client's log has diverged.
 *
 * As in Kafka, a partition that does not exist is no reason to answer at once
 * if another one exists: a consumer would ask again and again.
 */
static bool
fetch_all(KafkaCall *call)
{
	const FetchRequest *in = call->request;
	FetchState *state = call->state;
	uint64		limit = kafka_quota_fetch_max(call, Min(Max(in->max_bytes, 0), KAFKA_FETCH_BYTES_MAX));
	uint64		left = limit;
	bool		news = false;
	int			nknown = 0;

	state->bytes = 0;
	state->busy = state->away = false;
	for (int i = 0; i < state->n; i++)
	{
		FetchEntry *entry = &state->entries[i];
		uint64		got;

		if (entry->error == KERR_NONE || entry->busy)
		{
			/*
			 * The first batch is given whatever its size, so that a client
			 * with a small limit makes progress.
			 */
			got = fetch_entry(call, entry, left, state->bytes == 0);
			state->bytes += got;
			left -= Min(got, left);
		}
		nknown += !entry->unknown;
		news |= (entry->error != KERR_NONE && !entry->unknown && !entry->busy) || entry->diverging;
		state->busy |= entry->busy;
		state->away |= entry->away;
	}
	return news || nknown == 0 || state->bytes >= Min((uint64) Max(in->min_bytes, 0), limit);
}

/*
 * Lets the call wait for the logs of all partitions that exist and can be had,
 * and for a while if others are busy or away.
 */
static KafkaOutcome
wait_for_more(KafkaCall *call)
{
	FetchState *state = call->state;

	if (call->waits == NULL)
		call->waits = MemoryContextAllocHuge(call->mcxt, sizeof(PtLogRef) * Max(state->n, 1));
	call->nwaits = 0;
	for (int i = 0; i < state->n; i++)
	{
		const PtSpan *span = &state->entries[i].fetch.span;

		if (span->state == NULL)
			continue;
		Assert(!state->entries[i].unknown);
		call->waits[call->nwaits++] = (PtLogRef)
		{
			.locator = span->locator,.state = span->state
		};
	}
	if (!state->busy && !state->away)
		state->retry_since = 0;
	call->retry_at = state->busy || state->away ? kafka_retry_at(&state->retry_since) : 0;
	Assert(call->nwaits > 0 || call->retry_at != 0);
	return KAFKA_WAIT;
}

/*
 * Answering
 */

/*
 * Returns the number of bytes that the response has for an entry.
 */
static uint64
entry_bytes(const FetchEntry *entry)
{
	return entry->error != KERR_NONE || entry->diverging ? 0 : entry->fetch.span.bytes_left;
}

/*
 * Returns true if the entry has something that the client does not know.
 */
static bool
is_news(const FetchState *state, const FetchEntry *entry)
{
	if (state->incremental && entry->away && entry_bytes(entry) == 0)
		return false;
	if (!state->incremental || entry->error != KERR_NONE || entry->diverging || entry_bytes(entry) > 0)
		return true;
	Assert(entry->part != NULL);
	return entry->fetch.high_watermark != entry->part->told_high_watermark ||
		entry->fetch.start_offset != entry->part->told_start_offset;
}

/*
 * Remembers what the client is told about an entry.
 */
static void
note_told(KafkaCall *call, KafkaFetchSession *session, FetchEntry *entry)
{
	KafkaFetchPart *part = entry->part;
	bool		failed = entry->error != KERR_NONE;

	Assert(part == NULL || session != NULL);
	if (!failed)
		store_cursor(call, entry);
	if (part == NULL)
		return;
	part->told_high_watermark = failed ? -1 : entry->fetch.high_watermark;
	part->told_start_offset = failed ? -1 : entry->fetch.start_offset;
	if (entry_bytes(entry) > 0)
		kafka_fetch_session_requeue(session, part);
}

/*
 * Returns true if the response has to name the leader, because the client's
 * information may be outdated.
 */
static bool
names_leader(int16 error)
{
	return error == KERR_FENCED_LEADER_EPOCH || error == KERR_NOT_LEADER_OR_FOLLOWER;
}

/*
 * Fills the response for a partition.
 */
static void
fill_partition(const FetchRequest *in, const FetchEntry *entry, FetchPartitionResponse *out)
{
	out->partition_index = entry->partition;
	out->error_code = entry->error;
	out->aborted_transactions.n = in->isolation_level == 1 || entry->unknown ? 0 : -1;
	if (entry->error != KERR_NONE)
	{
		out->high_watermark = -1;
		if (names_leader(entry->error))
		{
			out->current_leader.leader_id = KAFKA_BROKER_ID;
			out->current_leader.leader_epoch = pt_leader_epoch();
		}
		return;
	}
	out->high_watermark = entry->fetch.high_watermark;
	out->last_stable_offset = entry->fetch.high_watermark;
	out->log_start_offset = entry->fetch.start_offset;
	if (entry->diverging)
	{
		out->diverging_epoch.epoch = entry->diverging_epoch;
		out->diverging_epoch.end_offset = entry->diverging_end;
	}
	else if (entry->fetch.span.bytes_left > 0)
		out->records = (KafkaRecords)
	{
		NULL, (int32) entry->fetch.span.bytes_left, &entry->fetch.span
	};
}

/*
 * Adds the address of the leader, once.
 */
static void
fill_endpoint(KafkaCall *call)
{
	FetchResponse *out = call->response;
	KafkaAdvertised at = kafka_advertised(call->session->listener);
	KafkaNodeEndpoint *endpoint;

	if (out->node_endpoints.n > 0)
		return;
	KAFKA_RESIZE(call, out->node_endpoints, KafkaNodeEndpoint, 1);
	endpoint = &out->node_endpoints.items[0];
	endpoint->node_id = KAFKA_BROKER_ID;
	endpoint->host = kafka_string(at.host);
	endpoint->port = at.port;
}

/*
 * True if both entries have the same topic.
 */
static bool
same_topic(const FetchEntry *a, const FetchEntry *b)
{
	return pt_string_equal(a->topic, b->topic) &&
		memcmp(&a->topic_id, &b->topic_id, sizeof(a->topic_id)) == 0;
}

/*
 * Counts the included entries of one topic from i on, and sets the end of the
 * run.
 */
static int
next_run(const FetchState *state, int i, int *end)
{
	const FetchEntry *first = &state->entries[i];
	int			n = 0;

	Assert(first->included);
	for (; i < state->n; i++)
	{
		const FetchEntry *entry = &state->entries[i];

		if (!entry->included)
			continue;
		if (!same_topic(first, entry))
			break;
		n++;
	}
	*end = i;
	return n;
}

/*
 * Fills the response for a run of entries of one topic.
 */
static void
fill_topic(KafkaCall *call, int first, int end, int n, FetchTopicResponse *out)
{
	FetchState *state = call->state;
	FetchPartitionResponse *partition;

	Assert(n > 0 && first < end && end <= state->n);
	out->topic = state->entries[first].topic;
	out->topic_id = state->entries[first].topic_id;
	KAFKA_RESIZE(call, out->partitions, FetchPartitionResponse, n);
	partition = out->partitions.items;
	for (int i = first; i < end; i++)
	{
		const FetchEntry *entry = &state->entries[i];

		if (!entry->included)
			continue;
		fill_partition(call->request, entry, partition++);
		if (names_leader(entry->error))
			fill_endpoint(call);
	}
}

/*
 * Makes the response from the entries.
 */
static KafkaOutcome
answer(KafkaCall *call, KafkaFetchSession *session)
{
	FetchState *state = call->state;
	FetchResponse *out = call->response;
	const FetchEntry *last = NULL;
	int			ntopics = 0;
	int			topic = 0;
	int			end;

	for (int i = 0; i < state->n; i++)
	{
		FetchEntry *entry = &state->entries[i];

		entry->included = is_news(state, entry);
		if (!entry->included)
			continue;
		note_told(call, session, entry);
		ntopics += last == NULL || !same_topic(last, entry);
		last = entry;
	}

	out->session_id = state->session_id;
	KAFKA_RESIZE(call, out->responses, FetchTopicResponse, ntopics);
	for (int i = 0; i < state->n; i = end)
	{
		end = i + 1;
		if (state->entries[i].included)
		{
			int			n = next_run(state, i, &end);

			fill_topic(call, i, end, n, &out->responses.items[topic++]);
		}
	}
	Assert(topic == ntopics);
	return KAFKA_REPLY;
}

/*
 * Answers with an error of the whole request.
 */
static KafkaOutcome
answer_error(KafkaCall *call, int16 code)
{
	FetchResponse *out = call->response;

	Assert(code != KERR_NONE && out->responses.n == 0);
	out->error_code = code;
	return KAFKA_REPLY;
}

/*
 * Answers a client that is throttled: it gets nothing, as it could not take it
 * in the time.  It will ask for the same again.  A session that this request
 * has made goes, as clients do not use one that came without partitions.
 */
static KafkaOutcome
answer_throttled(KafkaCall *call, KafkaFetchSession *session)
{
	FetchState *state = call->state;
	FetchResponse *out = call->response;

	Assert(call->throttle_ms > 0 && out->responses.n == 0);
	if (state->incremental)
		out->session_id = state->session_id;
	else if (session != NULL)
		kafka_fetch_session_drop(session);
	return KAFKA_REPLY;
}

/*
 * The handler
 */

/*
 * Reads, and answers or waits.  MaxWaitMs is for records that do not exist.
 * Those that exist and are still to be read from the disk are waited for as
 * long as it takes, if there is nothing else to give: the client would only
 * ask again.
 */
static KafkaOutcome
attempt(KafkaCall *call, KafkaFetchSession *session)
{
	FetchState *state = call->state;

	if (!fetch_all(call) && !(state->late && (state->bytes > 0 || !state->away)))
		return wait_for_more(call);
	if (!kafka_quota_fetch(call, state->bytes))
		return answer_throttled(call, session);
	return answer(call, session);
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
fetch_begin(KafkaCall *call)
{
	const FetchRequest *in = call->request;
	FetchState *state = palloc0(sizeof(FetchState));
	bool		full = call->api_version < SESSIONS_SINCE ||
		in->session_epoch == EPOCH_NONE || in->session_epoch == EPOCH_NEW;
	int16		error = KERR_NONE;

	state->lookup.call = call;
	state->lookup.op = PT_OP_READ;
	call->state = state;
	if (full)
		begin_full(call);
	else
		error = begin_incremental(call);
	if (error != KERR_NONE)
		return answer_error(call, error);

	call->deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), Max(in->max_wait_ms, 0));
	state->late = in->max_wait_ms <= 0;
	return attempt(call, state->session_id ? same_session(state) : NULL);
}

/*
 * KafkaHandler.resume: a log has grown, it is time to look again, or the time
 * is over.
 */
static KafkaOutcome
fetch_resume(KafkaCall *call, bool timed_out)
{
	FetchState *state = call->state;
	KafkaFetchSession *session = NULL;

	Assert(state != NULL);
	if (state->session_id != 0 && (session = same_session(state)) == NULL)
		return answer_error(call, KERR_INVALID_FETCH_SESSION_EPOCH);
	state->late |= timed_out;
	return attempt(call, session);
}

/*
 * KafkaHandler.fail.  The error is that of the whole request from version 7
 * on, and that of each partition before.
 */
static void
fetch_fail(KafkaCall *call, int16 code, const char *message)
{
	const FetchRequest *in = call->request;
	FetchResponse *out = call->response;

	code = kafka_read_error(code);
	if (call->api_version >= SESSIONS_SINCE)
	{
		answer_error(call, code);
		return;
	}
	KAFKA_RESIZE(call, out->responses, FetchTopicResponse, in->topics.n);
	for (int i = 0; i < in->topics.n; i++)
	{
		const FetchTopic *topic = &in->topics.items[i];
		FetchTopicResponse *result = &out->responses.items[i];

		result->topic = topic->topic;
		KAFKA_RESIZE(call, result->partitions, FetchPartitionResponse, topic->partitions.n);
		for (int j = 0; j < topic->partitions.n; j++)
		{
			result->partitions.items[j].partition_index = topic->partitions.items[j].partition;
			result->partitions.items[j].error_code = code;
			result->partitions.items[j].high_watermark = -1;
		}
	}
}

const KafkaHandler kafka_handler_fetch = {
	.begin = fetch_begin,
	.resume = fetch_resume,
	.fail = fetch_fail
};
