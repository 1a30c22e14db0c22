/*-------------------------------------------------------------------------
 *
 * choose.c
 *	  Chooses the partition for a record.
 *
 * A record with a key goes where Kafka's Java producer would put it.  Records
 * without a key that a transaction produces to a topic share one partition
 * ("sticky"), so that they need one batch and one lock.  The next transaction
 * takes the next partition.  Sessions begin at a random one, so that they
 * spread over the partitions.
 *
 * Siblings: produce.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/pg_prng.h"
#include "func/func.h"
#include "record/partitioner.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* The partition that a session uses now for records without a key. */
typedef struct StickyEntry
{
	Oid			topic;			/* OID of the topic's table; the hash key */
	int32		number;
	TimestampTz xact_start;		/* of the transaction for which the number was
								 * chosen */
} StickyEntry;

static HTAB *sticky = NULL;		/* StickyEntry; for the life of the session */

/*
 * Finds the entry of a topic, or makes one with a random partition.  Sessions
 * begin at different ones, so that the load is spread.
 */
static StickyEntry *
sticky_entry(Oid topic)
{
	StickyEntry *entry;
	bool		found;

	Assert(OidIsValid(topic));
	if (sticky == NULL)
	{
		HASHCTL		ctl = {.keysize = sizeof(Oid),.entrysize = sizeof(StickyEntry),.hcxt = TopMemoryContext};

		sticky = hash_create("pgtopic sticky partitions", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	entry = hash_search(sticky, &topic, HASH_ENTER, &found);
	if (!found)
	{
		entry->number = (int32) (pg_prng_uint32(&pg_global_prng_state) & PG_INT32_MAX);
		entry->xact_start = DT_NOBEGIN;
	}
	return entry;
}

/*
 * Returns the first existing partition at or behind "from", in a circle.
 * ERROR if there is none.
 */
static int32
next_there(const PtTopic *topic, int32 from)
{
	Assert(from >= 0);
	for (int32 i = 0; i < topic->npartitions; i++)
	{
		int32		number = (from % topic->npartitions + i) % topic->npartitions;

		if (OidIsValid(topic->leaves[number]))
			return number;
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("topic \"%s\" has no partitions", topic->name),
			 errhint("Use add_partitions().")));
	pg_unreachable();
}

/*
 * Returns the partition for a record.  With a key it is the one that Kafka's
 * Java producer chooses (murmur2, see ../record/partitioner.c); it may be
 * missing, which the caller's open reports.  Without a key all records of a
 * transaction go to the same partition of a topic.
 */
int32
pt_choose_partition(const PtTopic *topic, const char *key, int32 key_len)
{
	TimestampTz xact_start = GetCurrentTransactionStartTimestamp();
	StickyEntry *entry;

	Assert(topic->npartitions >= 0 && (key == NULL || key_len >= 0));
	Assert(IsTransactionState());
	if (key != NULL && topic->npartitions > 0)
		return pt_partition_for_key(key, key_len, topic->npartitions);
	if (topic->npartitions == 1 && OidIsValid(topic->leaves[0]))
		return 0;

	/*
	 * two transactions of a session that start in the same microsecond share
	 * a partition, which does no harm
	 */
	entry = sticky_entry(topic->relid);
	if (entry->xact_start != xact_start || entry->number >= topic->npartitions ||
		!OidIsValid(topic->leaves[entry->number]))
	{
		entry->number = next_there(topic, entry->number < PG_INT32_MAX ? entry->number + 1 : 0);
		entry->xact_start = xact_start;
	}
	Assert(entry->number >= 0 && entry->number < topic->npartitions);
	return entry->number;
}
