/*-------------------------------------------------------------------------
 *
 * transaction_views.c
 *	  Transactional ids and their transactions, for the view transactions; and
 *	  their end by an operator.
 *
 * Only the control worker knows them, so it is asked as a Kafka client would
 * ask.  What they have staged is in shared memory.
 *
 * Siblings: control_query.c; ../stage/stage.h; ../kafka/api/26_end_txn.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "groups/groups.h"
#include "kafka/api.h"
#include "kafka/codec.h"
#include "stage/stage.h"
#include "stats/control_query.h"
#include "topic/timestamp.h"

PG_FUNCTION_INFO_V1(pt_list_transactions);
PG_FUNCTION_INFO_V1(pt_abort_transaction);

/* The versions of the requests that we send. */
#define LIST_VERSION		2
#define DESCRIBE_VERSION	0
#define END_VERSION			4

#define COLUMNS				9

/*
 * Asks for all transactional ids that the user may see, and describes them.
 */
static void
ask(DescribeTransactionsResponse *described)
{
	ListTransactionsRequest list;
	ListTransactionsResponse listed;
	DescribeTransactionsRequest describe;

	kafka_defaults(kafka_schema_ListTransactionsRequest(), &list, 1);
	pt_control_call(KAFKA_KEY_ListTransactions, LIST_VERSION, &list, &listed);
	if (listed.error_code != KERR_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the control worker does not know of Kafka transactions yet"),
				 errdetail("It says %s.", kafka_error_name(listed.error_code))));
	kafka_defaults(kafka_schema_DescribeTransactionsRequest(), &describe, 1);
	describe.transactional_ids.n = listed.transaction_states.n;
	describe.transactional_ids.items = palloc(Max(listed.transaction_states.n, 1) * sizeof(KafkaString));
	for (int i = 0; i < listed.transaction_states.n; i++)
		describe.transactional_ids.items[i] = listed.transaction_states.items[i].transactional_id;
	pt_control_call(KAFKA_KEY_DescribeTransactions, DESCRIBE_VERSION, &describe, described);
}

/*
 * Adds a row: transactional_id, producer_id, epoch, state, timeout,
 * started_at, partitions, memory_bytes, disk_bytes.
 */
static void
put_transaction(ReturnSetInfo *rsinfo, const DescribedTransaction *from)
{
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS] = {false};
	PtStageStats stats = {0};
	Interval   *timeout = palloc0(sizeof(Interval));
	int			partitions = 0;

	for (int i = 0; i < from->topics.n; i++)
		partitions += from->topics.items[i].partitions.n;
	(void) pt_stage_stats(from->producer_id, &stats);
	values[0] = CStringGetTextDatum(pt_string_to_server(from->transactional_id));
	values[1] = Int64GetDatum(from->producer_id);
	values[2] = Int32GetDatum(from->producer_epoch);
	values[3] = CStringGetTextDatum(pt_string_to_server(from->transaction_state));
	timeout->time = (TimeOffset) from->transaction_timeout_ms * 1000;
	values[4] = IntervalPGetDatum(timeout);
	values[5] = pt_timestamp_datum(from->transaction_start_time_ms, &nulls[5]);
	values[6] = Int32GetDatum(partitions);
	values[7] = Int64GetDatum(stats.memory_bytes);
	values[8] = Int64GetDatum(stats.disk_bytes);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * Rows of list_transactions(): the ids that the user may describe.
 */
Datum
pt_list_transactions(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DescribeTransactionsResponse described = {0};

	InitMaterializedSRF(fcinfo, 0);
	if (!pt_control_serves())
		return (Datum) 0;
	ask(&described);
	for (int i = 0; i < described.transaction_states.n; i++)
	{
		if (described.transaction_states.items[i].error_code == KERR_NONE)
			put_transaction(rsinfo, &described.transaction_states.items[i]);
	}
	return (Datum) 0;
}

/*
 * ERROR for the answer to an abort, unless it is a good one.
 */
static void
check_aborted(int16 code, const char *id)
{
	switch (code)
	{
		case KERR_NONE:
			return;
		case KERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied for transactional id \"%s\"", id),
					 errhint("It takes WRITE on the transactional id, see grant_kafka_acl().")));
			break;
		case KERR_TRANSACTIONAL_ID_NOT_FOUND:
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("there is no transactional id \"%s\"", id)));
			break;
		case KERR_INVALID_TXN_STATE:
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("no transaction of transactional id \"%s\" is open", id)));
			break;
		case KERR_CONCURRENT_TRANSACTIONS:
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("the transaction of transactional id \"%s\" is just ending", id),
					 errhint("Try again.")));
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("could not abort the transaction of transactional id \"%s\"", id),
					 errdetail("The control worker says %s.", kafka_error_name(code))));
	}
}

/*
 * abort_transaction(transactional_id text): takes effect at once, whatever
 * becomes of the caller's transaction.
 */
Datum
pt_abort_transaction(PG_FUNCTION_ARGS)
{
	char	   *id = text_to_cstring(PG_GETARG_TEXT_PP(0));
	EndTxnRequest request;
	EndTxnResponse response;

	kafka_defaults(kafka_schema_EndTxnRequest(), &request, 1);
	request.transactional_id = pt_string_from_server(id);
	request.producer_id = -1;
	request.producer_epoch = -1;
	request.committed = false;
	pt_control_call(KAFKA_KEY_EndTxn, END_VERSION, &request, &response);
	check_aborted(response.error_code, id);
	PG_RETURN_VOID();
}
