/*-------------------------------------------------------------------------
 *
 * 24_add_partitions_to_txn.c
 *	  AddPartitionsToTxn: partitions come to a transaction.
 *
 * As in Kafka it is all or nothing: where one partition is refused, the others
 * of the transaction are OPERATION_NOT_ATTEMPTED.
 *
 * Versions: up to 3 a client asks for its own transaction; from 4 on a broker
 * asks for many, which the client must be allowed (CLUSTER_ACTION), and may
 * also ask whether partitions are in them.  Clients that send Produce 12 do
 * without this request.
 *
 * Siblings: ../txns.h, ../topics.h; ../../stage/stage.h (who may stage what).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/topics.h"
#include "kafka/txns.h"
#include "stage/stage.h"

#define FIRST_OF_BROKERS	4

/* A transaction of the request, and where its results go. */
typedef struct AddTxn
{
	KafkaString transactional_id;
	int64		producer_id;
	int16		producer_epoch;
	bool		verify_only;
	const AddPartitionsToTxnTopic *topics;
	int32		ntopics;
	AddPartitionsToTxnTopicResult *results; /* as many */
	Oid		   *leaves;			/* of all its partitions */
	int			nleaves;
} AddTxn;

/*
 * Makes the results of a transaction, all with one error.
 */
static AddPartitionsToTxnTopicResult *
make_results(KafkaCall *call, const AddPartitionsToTxnTopic *topics, int32 n, int16 error)
{
	AddPartitionsToTxnTopicResult *results = KAFKA_NEW(call, AddPartitionsToTxnTopicResult, n);

	for (int i = 0; i < n; i++)
	{
		results[i].name = topics[i].name;
		KAFKA_RESIZE(call, results[i].results_by_partition, AddPartitionsToTxnPartitionResult, topics[i].partitions.n);
		for (int j = 0; j < topics[i].partitions.n; j++)
		{
			results[i].results_by_partition.items[j].partition_index = topics[i].partitions.items[j];
			results[i].results_by_partition.items[j].partition_error_code = error;
		}
	}
	return results;
}

/*
 * Lists the transactions of the request, in whatever form it has them, and
 * makes the response, with one error for all.
 */
static AddTxn *
list_transactions(KafkaCall *call, int16 error, int *n)
{
	const AddPartitionsToTxnRequest *in = call->request;
	AddPartitionsToTxnResponse *out = call->response;
	bool		many = call->api_version >= FIRST_OF_BROKERS;
	AddTxn	   *txns;

	*n = many ? in->transactions.n : 1;
	txns = palloc0(sizeof(AddTxn) * Max(*n, 1));
	if (!many)
	{
		txns->transactional_id = in->v3_and_below_transactional_id;
		txns->producer_id = in->v3_and_below_producer_id;
		txns->producer_epoch = in->v3_and_below_producer_epoch;
		txns->topics = in->v3_and_below_topics.items;
		txns->ntopics = in->v3_and_below_topics.n;
		txns->results = make_results(call, txns->topics, txns->ntopics, error);
		out->results_by_topic_v3_and_below.items = txns->results;
		out->results_by_topic_v3_and_below.n = txns->ntopics;
		return txns;
	}
	KAFKA_RESIZE(call, out->results_by_transaction, AddPartitionsToTxnResult, *n);
	for (int i = 0; i < *n; i++)
	{
		const AddPartitionsToTxnTransaction *from = &in->transactions.items[i];
		AddPartitionsToTxnResult *result = &out->results_by_transaction.items[i];

		txns[i].transactional_id = from->transactional_id;
		txns[i].producer_id = from->producer_id;
		txns[i].producer_epoch = from->producer_epoch;
		txns[i].verify_only = from->verify_only;
		txns[i].topics = from->topics.items;
		txns[i].ntopics = from->topics.n;
		txns[i].results = make_results(call, from->topics.items, from->topics.n, error);
		result->transactional_id = from->transactional_id;
		result->topic_results.items = txns[i].results;
		result->topic_results.n = txns[i].ntopics;
	}
	return txns;
}

/*
 * Sets the results of all partitions that have "from" now.
 */
static void
change_results(AddTxn *txn, int16 from, int16 to)
{
	for (int i = 0; i < txn->ntopics; i++)
		for (int j = 0; j < txn->results[i].results_by_partition.n; j++)
		{
			AddPartitionsToTxnPartitionResult *result = &txn->results[i].results_by_partition.items[j];

			if (result->partition_error_code == from)
				result->partition_error_code = to;
		}
}

/*
 * Finds the partitions.  Returns false if one is refused.
 */
static bool
find_partitions(KafkaCall *call, AddTxn *txn)
{
	KafkaLookup lookup = {.call = call,.op = PT_OP_WRITE};
	bool		good = true;
	int			n = 0;

	for (int i = 0; i < txn->ntopics; i++)
		n += txn->topics[i].partitions.n;
	txn->leaves = MemoryContextAllocHuge(call->mcxt, Max(n, 1) * sizeof(Oid));
	for (int i = 0; i < txn->ntopics; i++)
		for (int j = 0; j < txn->topics[i].partitions.n; j++)
		{
			int16	   *error = &txn->results[i].results_by_partition.items[j].partition_error_code;
			Oid			leaf = kafka_lookup(&lookup, txn->topics[i].name, NULL, txn->topics[i].partitions.items[j], error);

			/* the coordinator's own records come to it in other ways */
			if (lookup.internal && *error == KERR_NONE)
				*error = KERR_INVALID_TOPIC_EXCEPTION;
			if (*error != KERR_NONE)
				good = false;
			else
				txn->leaves[txn->nleaves++] = leaf;
		}
	if (!good)
		change_results(txn, KERR_NONE, KERR_OPERATION_NOT_ATTEMPTED);
	return good;
}

/*
 * KafkaTxnAnswer: from now on the producer may stage for these partitions.
 */
static void
take_answer(KafkaCall *call, const TxnOut *reply, void *arg)
{
	AddTxn	   *txn = arg;
	TxnError	error = reply->error;
	TxnInfo		info;

	if (error != TXN_NONE)
		change_results(txn, KERR_NONE, (int16) txn_error_for(error, call->api_key, call->api_version));
	else if (txn_describe(kafka_txns_known(), txn->transactional_id, &info))
		pt_stage_add(txn->producer_id, info.serial, txn->leaves, txn->nleaves);
}

/*
 * Says of each partition whether it is in the transaction.
 */
static void
verify(KafkaCall *call, AddTxn *txn)
{
	TxnEvent	event = {.type = TXN_EV_VERIFY,.transactional_id = txn->transactional_id};
	TxnError	error;

	event.producer_id = txn->producer_id;
	event.producer_epoch = txn->producer_epoch;
	error = kafka_txn_check(&event);
	for (int i = 0; i < txn->ntopics; i++)
		for (int j = 0; j < txn->topics[i].partitions.n; j++)
		{
			TxnError	of = error != TXN_NONE ? error :
				txn_verified(kafka_txns_known(), txn->transactional_id, txn->topics[i].name, txn->topics[i].partitions.items[j]);

			txn->results[i].results_by_partition.items[j].partition_error_code =
				(int16) txn_error_for(of, call->api_key, call->api_version);
		}
}

/*
 * Gives a transaction to the coordinator.
 */
static void
ask(KafkaCall *call, AddTxn *txn)
{
	TxnEvent	event = {.type = TXN_EV_ADD,.transactional_id = txn->transactional_id};
	TxnTopic   *topics = palloc(Max(txn->ntopics, 1) * sizeof(TxnTopic));

	for (int i = 0; i < txn->ntopics; i++)
		topics[i] = (TxnTopic)
	{
		txn->topics[i].name, txn->topics[i].partitions.n, txn->topics[i].partitions.items
	};
	event.producer_id = txn->producer_id;
	event.producer_epoch = txn->producer_epoch;
	event.topics = topics;
	event.ntopics = txn->ntopics;
	kafka_txn_ask(call, &event, take_answer, txn);
}

/*
 * KafkaHandler.begin
 */
static KafkaOutcome
add_partitions_to_txn_begin(KafkaCall *call)
{
	AddPartitionsToTxnResponse *out = call->response;
	bool		of_broker = call->api_version >= FIRST_OF_BROKERS;
	AddTxn	   *txns;
	int			n;

	if (of_broker && !kafka_may_cluster(call, PT_OP_CLUSTER_ACTION))
	{
		out->error_code = KERR_CLUSTER_AUTHORIZATION_FAILED;
		return KAFKA_REPLY;
	}
	txns = list_transactions(call, KERR_NONE, &n);
	for (int i = 0; i < n; i++)
	{
		if (!of_broker && !kafka_may_transactional_id(call, txns[i].transactional_id, PT_OP_WRITE))
			change_results(&txns[i], KERR_NONE, KERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
		else if (txns[i].verify_only)
			verify(call, &txns[i]);
		else if (find_partitions(call, &txns[i]))
			ask(call, &txns[i]);
	}
	return kafka_txn_asked(call);
}

/*
 * KafkaHandler.fail
 */
static void
add_partitions_to_txn_fail(KafkaCall *call, int16 code, const char *message)
{
	AddPartitionsToTxnResponse *out = call->response;
	int			n;

	code = kafka_txn_error(code);
	if (call->api_version >= FIRST_OF_BROKERS)
		out->error_code = code;
	else
		(void) list_transactions(call, code, &n);
}

const KafkaHandler kafka_handler_add_partitions_to_txn = {
	.begin = add_partitions_to_txn_begin,
	.resume = kafka_txn_resume,
	.fail = add_partitions_to_txn_fail
};
