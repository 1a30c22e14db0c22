/*-------------------------------------------------------------------------
 *
 * entry.c
 *	  Transactional ids in memory, and the partitions of their transactions.
 *
 * What clients can make grow is counted, and bounded before an event changes
 * anything (txn_entry_room).
 *
 * Siblings: step.c, begin.c, end.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "txn/internal.h"

/* A place in the table. */
typedef struct Slot
{
	PtString	id;				/* the entry's own */
	TxnEntry   *entry;
	uint32		hash;
	char		status;
} Slot;

static uint32 hash_id(const struct ids_hash *table, PtString id);

#define SH_PREFIX ids
#define SH_ELEMENT_TYPE Slot
#define SH_KEY_TYPE PtString
#define SH_KEY id
#define SH_HASH_KEY(tb, key) hash_id(tb, key)
#define SH_EQUAL(tb, a, b) pt_string_equal(a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_SCOPE static inline
#ifdef FRONTEND
#define SH_RAW_ALLOCATOR pg_malloc0
#endif
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* Beside its strings: the entry, its place in the table, headers of blocks. */
#define ENTRY_BYTES		(sizeof(TxnEntry) + 4 * sizeof(Slot) + 64)
#define TOPIC_BYTES		(2 * sizeof(TxnParts) + 64)
#define PARTITION_BYTES	(2 * sizeof(int32))

static uint32
hash_id(const struct ids_hash *table, PtString id)
{
	const TxnStates *states = table->private_data;

	return (uint32) hash_bytes_extended((const unsigned char *) id.data, id.len, states->seed);
}

/*
 * Makes the table, in the memory of the states.
 */
void
txn_table_create(TxnStates *states)
{
#ifdef FRONTEND
	states->table = ids_create(64, states);
#else
	states->table = ids_create(states->mcxt, 64, states);
#endif
}

void
txn_table_free(TxnStates *states)
{
	ids_destroy(states->table);
}

/*
 * The entry of an id; NULL if there is none.
 */
TxnEntry *
txn_entry_find(const TxnStates *states, PtString id)
{
	Slot	   *slot;

	Assert(id.len > 0);
	slot = ids_lookup(states->table, id);
	return slot ? slot->entry : NULL;
}

/*
 * Adds an entry for an id that has none.  Its image says that nothing is
 * stored.
 */
TxnEntry *
txn_entry_add(TxnStates *states, PtString id)
{
	TxnEntry   *entry = palloc0(sizeof(TxnEntry));
	Slot	   *slot;
	bool		found;

	Assert(id.len > 0);
	entry->id = pt_string_copy(id);
	entry->image.producer_id = TXN_NO_PRODUCER_ID;
	entry->image.previous_producer_id = TXN_NO_PRODUCER_ID;
	entry->image.epoch = TXN_NO_EPOCH;
	entry->image.last_epoch = TXN_NO_EPOCH;
	entry->image.state = TXN_EMPTY;
	entry->image.started_at = TXN_TIMESTAMP_NONE;
	entry->serial = ++states->last_serial;
	slot = ids_insert(states->table, entry->id, &found);
	Assert(!found);
	slot->entry = entry;
	dlist_push_tail(&states->all, &entry->link);
	states->nentries++;
	states->used += ENTRY_BYTES + entry->id.len;
	return entry;
}

/*
 * Forgets an id and everything of it.
 */
void
txn_entry_forget(TxnStates *states, TxnEntry *entry)
{
	Assert(entry->image.state != TXN_ONGOING);
	txn_entry_clear(states, entry);
	(void) ids_delete(states->table, entry->id);
	dlist_delete(&entry->link);
	states->nentries--;
	states->used -= ENTRY_BYTES + entry->id.len;
	if (entry->topics)
		pfree(entry->topics);
	pfree((char *) entry->id.data);
	pfree(entry);
}

/*
 * Orders names; any order does, and this one is quick.
 */
static int
compare_names(PtString a, PtString b)
{
	return a.len != b.len ? (a.len < b.len ? -1 : 1) : memcmp(a.data, b.data, a.len);
}

/*
 * Where the topic is among those of the entry, or where it belongs.
 */
static int
topic_place(const TxnEntry *entry, PtString name, bool *found)
{
	int			low = 0;
	int			high = entry->ntopics;

	*found = false;
	while (low < high && !*found)
	{
		int			middle = low + (high - low) / 2;
		int			order = compare_names(name, entry->topics[middle].name);

		if (order == 0)
			*found = true;
		if (order > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return high;
}

static int
partition_place(const TxnParts *parts, int32 partition)
{
	int			low = 0;
	int			high = parts->n;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (parts->partitions[middle] < partition)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * Is the partition in the transaction?
 */
bool
txn_entry_has(const TxnEntry *entry, PtString topic, int32 partition)
{
	bool		found;
	int			at = topic_place(entry, topic, &found);
	const TxnParts *parts;

	if (!found)
		return false;
	parts = &entry->topics[at];
	at = partition_place(parts, partition);
	return at < parts->n && parts->partitions[at] == partition;
}

/*
 * Is there memory for what the event brings, a new id or partitions?  A
 * quarter is left to partitions: ids stay for days, and must not keep those
 * that are there from their transactions.
 */
bool
txn_entry_room(const TxnStates *states, const TxnEvent *event)
{
	size_t		limit = states->config.memory_max;
	size_t		more = 0;

	if (event->type == TXN_EV_INIT)
	{
		limit -= limit / 4;
		more = ENTRY_BYTES + event->transactional_id.len;
	}
	for (int i = 0; i < event->ntopics; i++)
		more += TOPIC_BYTES + event->topics[i].name.len + event->topics[i].n * PARTITION_BYTES;
	return states->used + more <= limit;
}

/*
 * Makes room for a topic at this place.
 */
static void
insert_topic(TxnStates *states, TxnEntry *entry, int at, PtString name)
{
	if (entry->ntopics == entry->topics_cap)
	{
		entry->topics_cap = Max(4, entry->topics_cap * 2);
		if (entry->topics == NULL)
			entry->topics = palloc(entry->topics_cap * sizeof(TxnParts));
		else
			entry->topics = repalloc(entry->topics, entry->topics_cap * sizeof(TxnParts));
	}
	memmove(&entry->topics[at + 1], &entry->topics[at], (entry->ntopics - at) * sizeof(TxnParts));
	entry->ntopics++;
	memset(&entry->topics[at], 0, sizeof(TxnParts));
	entry->topics[at].name = pt_string_copy(name);
	states->used += TOPIC_BYTES + name.len;
}

/*
 * Adds a partition to the transaction; one that is there stays.
 */
void
txn_entry_put(TxnStates *states, TxnEntry *entry, PtString topic, int32 partition)
{
	bool		found;
	int			at = topic_place(entry, topic, &found);
	TxnParts   *parts;

	if (!found)
		insert_topic(states, entry, at, topic);
	parts = &entry->topics[at];
	at = partition_place(parts, partition);
	if (at < parts->n && parts->partitions[at] == partition)
		return;
	if (parts->n == parts->cap)
	{
		parts->cap = Max(4, parts->cap * 2);
		if (parts->partitions == NULL)
			parts->partitions = palloc(parts->cap * sizeof(int32));
		else
			parts->partitions = repalloc(parts->partitions, parts->cap * sizeof(int32));
	}
	memmove(&parts->partitions[at + 1], &parts->partitions[at], (parts->n - at) * sizeof(int32));
	parts->partitions[at] = partition;
	parts->n++;
	states->used += PARTITION_BYTES;
}

/*
 * Takes all partitions out.
 */
void
txn_entry_clear(TxnStates *states, TxnEntry *entry)
{
	for (int i = 0; i < entry->ntopics; i++)
	{
		TxnParts   *parts = &entry->topics[i];

		states->used -= TOPIC_BYTES + parts->name.len + parts->n * PARTITION_BYTES;
		pfree((char *) parts->name.data);
		pfree(parts->partitions);
	}
	entry->ntopics = 0;
}
