/*-------------------------------------------------------------------------
 *
 * counters.h
 *	  What the workers count, in shared memory: clients, and requests by API.
 *
 * One process writes an entry, and others read it at any time: numbers are
 * aligned words that a reader sees before or after a change, and the texts of
 * a client have a change count around them.
 *
 * Siblings: counters.c; ../stats/ shows it.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_SERVER_COUNTERS_H
#define PT_SERVER_COUNTERS_H

#include "compat.h"

#include "datatype/timestamp.h"
#include "port/atomics.h"

#include "kafka/messages/apis.h"

typedef struct PtClientText
{
	char		peer[64];
	char		client_id[128];
	char		software_name[64];
	char		software_version[32];
	char		role[NAMEDATALEN];	/* as which it acts */
	char		mechanism[32];	/* by which it is that role; empty: by none */
	char		security[16];	/* what is spoken */
	char		tls_version[16];	/* empty: no TLS */
	char		cipher[64];
} PtClientText;

typedef struct PtClientSlot
{
	pg_atomic_uint32 change;	/* odd while the texts change */
	int			worker;			/* whose client it is; -1: nobody's, next_free
								 * counts */
	int			next_free;
	int			pid;
	int			api;			/* key of the request that is worked on, -1:
								 * none */
	uint32		address;		/* a hash of it */
	Oid			role;			/* whose connection limit it counts for;
								 * InvalidOid: nobody's */
	TimestampTz connected_at;
	TimestampTz last_request_at;	/* 0: never */
	uint64		requests;
	uint64		bytes_in;
	uint64		bytes_out;
	PtClientText text;
} PtClientSlot;

/*
 * A slot for a new client of this process.  When all are taken, or without a
 * peer, one that is not shared: the client is served and not seen.
 */
extern PtClientSlot *pt_client_slot_new(int worker, const char *peer);
extern void pt_client_slot_free(PtClientSlot *slot);
extern void pt_client_slot_name(PtClientSlot *slot, const char *client_id, const char *software_name,
								const char *software_version, const char *role, const char *mechanism);

/*
 * From now on the client counts for the role (InvalidOid: for none).  Returns
 * how many clients of all workers do; -1: this one cannot be counted.
 */
extern int	pt_client_slot_role(PtClientSlot *slot, Oid role);
extern void pt_client_slot_secure(PtClientSlot *slot, const char *security, const char *tls_version,
								  const char *cipher);

/*
 * How many clients there are from the same address, with this one; -1: nobody
 * knows.
 */
extern int	pt_client_slot_neighbours(const PtClientSlot *slot);

/* A worker begins or ends: its clients are gone. */
extern void pt_client_slots_forget(int worker);

/*
 * For views: copies entry number i; false: it is free.  There are
 * pt_client_slots() of them.
 */
extern int	pt_client_slots(void);
extern bool pt_client_slot_read(int i, PtClientSlot *copy);

/*
 * Requests by API.  Times are from the request's beginning to its answer,
 * waits included, in a histogram with four buckets to the power of two.
 */
#define PT_TIME_BUCKETS		128

typedef struct PtApiCounters
{
	uint64		requests;
	uint64		errors;			/* with an error code anywhere in the answer */
	uint64		bytes_in;
	uint64		bytes_out;
	uint64		max_us;
	uint64		times[PT_TIME_BUCKETS];
} PtApiCounters;

extern void pt_count_request(int worker, const KafkaApi *api, bool error, uint64 bytes_in, uint64 bytes_out,
							 uint64 us);
extern void pt_counters_reset(void);

/* Adds up all workers. */
extern void pt_counters_read(KafkaApiIndex api, PtApiCounters *sum);

/* The time in us below which the given part of the requests is. */
extern double pt_counters_quantile(const PtApiCounters *counters, double part);

extern Size pt_counters_shmem_size(void);
extern void pt_counters_shmem_init(void);

#endif							/* PT_SERVER_COUNTERS_H */
