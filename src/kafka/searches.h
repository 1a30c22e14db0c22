/*-------------------------------------------------------------------------
 *
 * searches.h
 *	  The partitions of a request in whose logs something is looked up.
 *
 * A handler lists them when it makes its response.  Those for which the disk
 * must be read first are tried again in a moment; the listener goes on.
 *
 * Siblings: searches.c; api/02_list_offsets.c and others use it.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_SEARCHES_H
#define KAFKA_SEARCHES_H

#include "kafka/api.h"

/* A partition of the request, and where its answer goes. */
typedef struct KafkaSearchPart
{
	const void *in;				/* a struct of the request; may be NULL */
	void	   *out;			/* a struct of the response */
	Oid			relid;
} KafkaSearchPart;

/*
 * Looks up one.  Returns false if it is still to be read from the disk, as
 * kafka_try_at_hand() does.
 */
typedef bool (*KafkaSearch) (KafkaCall *call, const KafkaSearchPart *part);

typedef struct KafkaSearches
{
	KafkaSearch search;
	KafkaSearchPart *parts;		/* that have no answer yet */
	int			n;
	int			max;
	TimestampTz retry_since;
} KafkaSearches;

extern KafkaSearches *kafka_searches_new(KafkaCall *call, KafkaSearch search);
extern void kafka_searches_add(KafkaSearches *l, Oid relid, const void *in, void *out);
extern KafkaOutcome kafka_searches_run(KafkaCall *call);
extern KafkaOutcome kafka_searches_resume(KafkaCall *call, bool timed_out);

#endif							/* KAFKA_SEARCHES_H */
