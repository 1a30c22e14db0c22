/*-------------------------------------------------------------------------
 *
 * searches.c
 *	  Looks something up in the logs of a request's partitions, without
 *	  waiting for the disk.
 *
 * Siblings: searches.h, call.c (kafka_try_at_hand).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "kafka/searches.h"

/*
 * Makes an empty list, which is the state of the call.
 */
KafkaSearches *
kafka_searches_new(KafkaCall *call, KafkaSearch search)
{
	KafkaSearches *l = MemoryContextAllocZero(call->mcxt, sizeof(KafkaSearches));

	Assert(call->state == NULL && search != NULL);
	l->search = search;
	l->max = 16;
	l->parts = MemoryContextAlloc(call->mcxt, sizeof(KafkaSearchPart) * l->max);
	call->state = l;
	return l;
}

/*
 * Adds a partition.
 */
void
kafka_searches_add(KafkaSearches *l, Oid relid, const void *in, void *out)
{
	Assert(OidIsValid(relid) && l->n <= l->max);
	if (l->n == l->max)
	{
		l->max *= 2;
		l->parts = repalloc_huge(l->parts, sizeof(KafkaSearchPart) * (Size) l->max);
	}
	l->parts[l->n++] = (KafkaSearchPart)
	{
		in, out, relid
	};
}

/*
 * Looks up what is missing.  Waits a little if some of it is still to be read.
 */
KafkaOutcome
kafka_searches_run(KafkaCall *call)
{
	KafkaSearches *l = call->state;
	int			n = 0;

	for (int i = 0; i < l->n; i++)
	{
		if (!l->search(call, &l->parts[i]))
			l->parts[n++] = l->parts[i];
	}
	l->n = n;
	if (n == 0)
		return KAFKA_REPLY;
	call->deadline = kafka_retry_at(&l->retry_since);
	return KAFKA_WAIT;
}

/*
 * KafkaHandler.resume
 */
KafkaOutcome
kafka_searches_resume(KafkaCall *call, bool timed_out)
{
	return kafka_searches_run(call);
}
