/*-------------------------------------------------------------------------
 *
 * choose.c
 *	  Which partition a record goes to.
 *
 * With a key: where Java's producer would put it.  Without one: all records of
 * a transaction that go to a topic share a partition ("sticky"), so that they
 * make one batch and one lock; the next transaction takes the next partition.
 * Sessions begin at a random one, so that they spread.
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

typedef struct StickyEntry
{
	Oid			topic;			/* hash key */
	int32		number;
	TimestampTz xact_start;		/* the transaction that number is for */
} StickyEntry;

static HTAB *sticky = NULL;

static StickyEntry *
sticky_entry(Oid topic)
{
	StickyEntry *entry;
	bool		found;

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

/* The first partition from "from" on that is there. */
static int32
next_there(const PtTopic *topic, int32 from)
{
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

int32
pt_choose_partition(const PtTopic *topic, const char *key, int32 key_len)
{
	TimestampTz xact_start = GetCurrentTransactionStartTimestamp();
	StickyEntry *entry;

	Assert(IsTransactionState());
	if (key != NULL && topic->npartitions > 0)
		return pt_partition_for_key(key, key_len, topic->npartitions);
	if (topic->npartitions == 1 && OidIsValid(topic->leaves[0]))
		return 0;

	/*
	 * Two transactions of a session that start in one microsecond share a
	 * partition, which does no harm.
	 */
	entry = sticky_entry(topic->relid);
	if (entry->xact_start != xact_start || entry->number >= topic->npartitions ||
		!OidIsValid(topic->leaves[entry->number]))
	{
		entry->number = next_there(topic, entry->number < PG_INT32_MAX ? entry->number + 1 : 0);
		entry->xact_start = xact_start;
	}
	return entry->number;
}
