/*-------------------------------------------------------------------------
 *
 * txn_log.c
 *	  __transaction_state: makes it, reads it, appends to it.
 *
 * It is a compacted topic with a record per transactional id, in Kafka's
 * format (../txn/record.c).  The record of a transaction that is committed is
 * appended with what it commits, by a transaction worker; all others here.
 *
 * Siblings: txn_log.h, txns.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "storage/lmgr.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "groups/groups.h"
#include "kafka/errors.h"
#include "kafka/txn_log.h"
#include "tell.h"

#define TXN_TOPIC			"__transaction_state"
#define TXN_PARTITIONS		8

/* Records that are read in one turn of the control worker. */
#define LOAD_RECORDS		2000

/*
 * Returns the leaf for a transactional id.  If the topic does not exist, it is
 * created if "create" is set; otherwise InvalidOid is returned.
 */
Oid
kafka_txn_leaf(PtString transactional_id, bool create)
{
	const PtTopic *topic = pt_internal_topic(TXN_TOPIC, TXN_PARTITIONS, create);

	if (topic == NULL || topic->npartitions == 0)
		return InvalidOid;
	return topic->leaves[pt_group_partition(transactional_id, topic->npartitions)];
}

/*
 * Loading
 */

/*
 * PtRecordCallback
 */
static void
load_record(void *arg, const PtRecord *record)
{
	PtString	key = {record->key, record->key ? record->key_len : -1};
	PtString	value = {record->value, record->value ? record->value_len : -1};

	if (key.len > 0)
		(void) txn_load(arg, key, value);
}

/*
 * Reads more of one partition, which is open.  *done: it has been read to its
 * end.  Returns false if nothing could be read, as somebody writes to it.
 */
static bool
load_more(KafkaTxnLoad *load, TxnStates *states, Relation rel, bool *done)
{
	int64		start;
	int64		end;
	int64		from;

	pt_partition_bounds(rel, &start, &end);
	load->offset = from = Max(load->offset, start);
	if (load->offset < end)
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		(void) pt_read_records(rel, GetActiveSnapshot(), load->offset, LOAD_RECORDS, load_record, states,
							   &load->offset);
		PopActiveSnapshot();
	}
	*done = load->offset >= end;
	return *done || load->offset > from;
}

/*
 * Reads the next piece of the log.  Must run in a transaction.
 */
KafkaTxnLoaded
kafka_txn_load(KafkaTxnLoad *load, TxnStates *states)
{
	const PtTopic *topic = pt_internal_topic(TXN_TOPIC, TXN_PARTITIONS, false);
	Oid			leaf;
	Relation	rel = NULL;
	bool		done = true;
	bool		moved = true;

	if (topic == NULL || load->partition >= topic->npartitions)
		return KAFKA_TXN_LOAD_DONE;
	leaf = topic->leaves[load->partition];
	if (OidIsValid(leaf))
	{
		if (!ConditionalLockRelationOid(leaf, AccessShareLock))
			return KAFKA_TXN_LOAD_LOCKED;
		rel = try_relation_open(leaf, NoLock);
	}
	if (rel != NULL)
	{
		moved = load_more(load, states, rel, &done);
		relation_close(rel, NoLock);
	}
	if (done)
	{
		load->partition++;
		load->offset = 0;
	}
	return moved ? KAFKA_TXN_LOAD_MORE : KAFKA_TXN_LOAD_LOCKED;
}

/*
 * Storing
 */

/*
 * What became of the record of an order.
 */
static void
take_result(KafkaTxnOrder *order, const PtProduce *item, TimestampTz now, XLogRecPtr lsn)
{
	static PtTold told;
	int			untold;

	if (item->status == PT_BUSY && now < order->give_up_at)
		return;
	order->ended = true;
	order->result = item->status == PT_OK ? TXN_NONE : TXN_COORDINATOR_NOT_AVAILABLE;
	order->lsn = item->status == PT_OK ? lsn : InvalidXLogRecPtr;
	if (item->status == PT_OK)
		return;
	if (pt_may_tell(&told, &untold))
		ereport(LOG,
				(errmsg("could not store the state of a transactional id: %s",
						item->message[0] ? item->message : kafka_error_name(kafka_error_from_batch(item)))));
	if (untold > 0)
		ereport(LOG,
				(errmsg("%d more states of transactional ids could not be stored", untold)));
}

/*
 * Appends the records of n orders of kind STORE, in one transaction.  Called
 * outside of one.  Returns true if some are to be tried again, as somebody has
 * their partition.  *lsn is the end of the commit.
 */
bool
kafka_txn_store(KafkaTxnOrder **orders, int n, XLogRecPtr *lsn)
{
	PtProduce  *items = palloc0(n * sizeof(PtProduce));
	TimestampTz now;
	bool		again = false;

	Assert(!IsTransactionState() && n > 0);
	for (int i = 0; i < n; i++)
	{
		Assert(orders[i]->kind == TXN_STORE && OidIsValid(orders[i]->leaf) && !orders[i]->ended);
		pt_produce_record(&items[i], orders[i]->leaf, orders[i]->key, orders[i]->value);
	}
	pt_produce_batches(items, n, lsn);
	now = GetCurrentTimestamp();
	for (int i = 0; i < n; i++)
	{
		take_result(orders[i], &items[i], now, *lsn);
		again |= !orders[i]->ended;
	}
	return again;
}
