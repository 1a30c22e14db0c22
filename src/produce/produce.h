/*-------------------------------------------------------------------------
 *
 * produce.h
 *	  The door of the produce room: what a listener appends.
 *
 * All functions are called inside a transaction, unless they say otherwise,
 * and may ereport, unless they say otherwise.  A partition is named by the OID
 * of its leaf table.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_PRODUCE_H
#define PT_PRODUCE_H

#include "counted.h"
#include "record/sequence.h"

#include "log/log.h"
#include "xact/xact.h"

/* What a topic asks of each record. */
typedef struct PtRecordRules
{
	bool		keyed;			/* a key */
	int64		earliest;		/* a timestamp from here (ms) ... */
	int64		latest;			/* ... to here, or none */
} PtRecordRules;

/* A record that breaks a rule. */
typedef struct PtRefusedRecord
{
	int32		index;			/* in its batch */
	const char *why;			/* static */
} PtRefusedRecord;

typedef struct PtProduce
{
	/* in; zeroed but for these */
	Oid			relid;
	Oid			role;			/* who produces; InvalidOid: ourselves */
	char	   *data;			/* one record batch, patched in place */
	uint32		length;
	/* kept while an item that was busy is tried again: it is verified once */
	bool		verified;
	PtBatchHeader header;
	PtRecordsInfo records;
	PtAppendBatch batch;		/* what goes into the log: data, or what was
								 * made of it for this topic */
	/* out */
	PtStatus	status;
	int64		base_offset;	/* -1 on error */
	int64		append_time;	/* ms, -1: the records have create time */
	int64		start_offset;	/* log start, -1: not known */
	int32		nrefused;		/* records that broke one of these rules; see
								 * pt_refused_records */
	PtRecordRules rules;
	int			sqlstate;		/* of PT_FAILED */
	int16		txn_error;		/* of PT_NOT_STAGED: a TxnError */
	char		message[128];	/* detail of an error, or empty */
} PtProduce;

/*
 * Where code of users would run (triggers, constraints, expressions of
 * indexes), or much has to be read first, the items' status is
 * PT_NEEDS_EXECUTOR: pt_produce_execute is for them.
 */
extern void pt_produce_batches(PtProduce *items, int n, XLogRecPtr *lsn);

/*
 * The same, but returns when all WAL up to *lsn is flushed and the durable
 * ends have moved.  For who has nothing else to do and a disk that is quick;
 * not with synchronous standbys.
 */
extern void pt_produce_batches_at_once(PtProduce *items, int n, XLogRecPtr *lsn);

/*
 * The same for one item of any kind.  Waits for locks, and runs what users
 * have put on the table; both end with an error at the deadline, or when the
 * process gets a SIGINT.
 */
extern void pt_produce_execute(PtProduce *item, TimestampTz deadline, XLogRecPtr *lsn);

extern PtStatus pt_status_of_batch(PtBatchStatus status);

/*
 * staging.c: batches of a transaction, which are kept until it ends.  Unlike
 * those above it is called inside a transaction, which it does not end, and
 * appends nothing: the answer waits for nothing.  Statuses are those of
 * pt_produce_batches (never PT_BUSY and PT_NEEDS_EXECUTOR), or PT_NOT_STAGED.
 * May ereport.
 */
extern void pt_produce_stage(PtProduce *items, int n, PtString transactional_id, bool v2);

/*
 * Fills an item with a batch of one record; a value of length -1 is a
 * tombstone.
 */
extern void pt_produce_record(PtProduce *item, Oid leaf, PtString key, PtString value);

/*
 * together.c: appends what is staged under a serial, and these items, in one
 * transaction that it begins and commits itself, asynchronously.  Waits for
 * locks until the deadline, and runs what users have put on the tables.  Does
 * not throw.
 */
typedef enum PtTogether
{
	PT_TOGETHER_DONE,			/* it is committed; *lsn is the end of the
								 * commit record */
	PT_TOGETHER_AGAIN,			/* it is not, but may be when tried again */
	PT_TOGETHER_NEVER			/* it is not, and cannot be */
} PtTogether;

/* What an error means for a commit; *message is why.  Tells the log. */
extern PtTogether pt_together_failed(const ErrorData *edata, char message[128]);
extern PtTogether pt_produce_together(int64 producer_id, uint64 serial, PtProduce *items, int n,
									  TimestampTz deadline, XLogRecPtr *lsn, char message[128]);

/*
 * executor.c: what runs between these two is cancelled at the deadline, and
 * again every now and then.
 */
extern void pt_deadline_begin(TimestampTz deadline);
extern void pt_deadline_end(void);

/* rules.c */
extern int32 pt_refused_records(const PtProduce *item, PtRefusedRecord **records);

extern int64 pt_producer_ids_allocate(int n);

extern PtStatus pt_producers_list(Oid relid, PtProducerState **states, int *n);

/* Of a transaction: what its batches say of producers. */
extern const PtXactKind pt_xact_producers;

/* counters.c: batches, in the order of the view's columns */
typedef enum PtProduceCounter
{
	PT_BATCHES_VERIFIED,
	PT_BYTES_VERIFIED,
	PT_BATCHES_APPENDED,
	PT_BATCHES_DUPLICATE,
	PT_BATCHES_REFUSED,
	PT_BATCHES_EXECUTED,		/* by executors, with whatever result */
	PT_TRIES_BUSY,				/* of batches whose partition was not free */
	PT_PRODUCE_COUNTERS
} PtProduceCounter;

extern void pt_produce_counted(uint64 *values);
extern void pt_produce_counters_reset(void);
extern Size pt_produce_counters_shmem_size(void);
extern void pt_produce_counters_shmem_init(void);

/* snapshots.c */
extern void pt_producers_snapshot(Relation rel, PtLogState *log);
extern bool pt_producers_keep(Oid relid);
extern void pt_producers_reveal(Relation rel);

/* producers.c */
extern Size pt_producers_shmem_size(void);
extern void pt_producers_shmem_init(void);

#endif							/* PT_PRODUCE_H */
