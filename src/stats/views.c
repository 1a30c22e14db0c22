/*-------------------------------------------------------------------------
 *
 * views.c
 *	  The C side of the views clients, listener_stats, produce_stats and
 *	  housekeeping.
 *
 * Siblings: ../server/counters.h, ../produce/counters.c (the counters) and
 * ../server/housekeeping.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "produce/produce.h"
#include "rights/rights.h"
#include "server/counters.h"
#include "server/housekeeping.h"
#include "topic/types.h"

PG_FUNCTION_INFO_V1(pt_clients);
PG_FUNCTION_INFO_V1(pt_listener_stats);
PG_FUNCTION_INFO_V1(pt_produce_stats);
PG_FUNCTION_INFO_V1(pt_housekeeping);
PG_FUNCTION_INFO_V1(pt_reset_listener_stats);

/* A row that is filled column by column. */
typedef struct Row
{
	int			n;
	Datum		values[16];
	bool		nulls[16];
} Row;

/*
 * Sets the next column.
 */
static void
put(Row *row, Datum value)
{
	Assert(row->n < lengthof(row->values));
	row->nulls[row->n] = false;
	row->values[row->n++] = value;
}

/*
 * Sets the next column to null.
 */
static void
put_null(Row *row)
{
	Assert(row->n < lengthof(row->values));
	row->nulls[row->n++] = true;
}

/*
 * Sets the next column to a text; null if it is empty.
 */
static void
put_text(Row *row, const char *text)
{
	if (text[0] == '\0')
		put_null(row);
	else
		put(row, CStringGetTextDatum(text));
}

/*
 * Adds a row for a connected client.
 */
static void
put_client(ReturnSetInfo *result, const PtClientSlot *client)
{
	const KafkaApi *api = client->api < 0 ? NULL : kafka_api_by_key((int16) client->api);
	Row			row = {0};

	put_text(&row, client->text.peer);
	put_text(&row, client->text.client_id);
	put_text(&row, client->text.software_name);
	put_text(&row, client->text.software_version);
	put_text(&row, client->text.role);
	put_text(&row, client->text.mechanism);
	put_text(&row, client->text.security);
	put_text(&row, client->text.tls_version);
	put_text(&row, client->text.cipher);
	put(&row, Int32GetDatum(client->pid));
	put(&row, TimestampTzGetDatum(client->connected_at));
	put(&row, Int64GetDatum(client->requests));
	put(&row, Int64GetDatum(client->bytes_in));
	put(&row, Int64GetDatum(client->bytes_out));
	if (client->last_request_at == 0)
		put_null(&row);
	else
		put(&row, TimestampTzGetDatum(client->last_request_at));
	put_text(&row, api == NULL ? "" : api->name);
	Assert(row.n == result->setDesc->natts);
	tuplestore_putvalues(result->setResult, result->setDesc, row.values, row.nulls);
}

/*
 * Rows of list_clients(): the clients that are connected.
 */
Datum
pt_clients(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < pt_client_slots(); i++)
	{
		PtClientSlot client;

		if (pt_client_slot_read(i, &client))
			put_client(result, &client);
	}
	return (Datum) 0;
}

/*
 * Adds a row for an API.  Latencies are in ms.
 */
static void
put_api(ReturnSetInfo *result, const KafkaApi *api, const PtApiCounters *c)
{
	Row			row = {0};

	put(&row, CStringGetTextDatum(api->name));
	put(&row, Int32GetDatum(api->key));
	put(&row, Int64GetDatum(c->requests));
	put(&row, Int64GetDatum(c->errors));
	put(&row, Int64GetDatum(c->bytes_in));
	put(&row, Int64GetDatum(c->bytes_out));
	put(&row, Float8GetDatum(pt_counters_quantile(c, 0.5) / 1000));
	put(&row, Float8GetDatum(pt_counters_quantile(c, 0.99) / 1000));
	put(&row, Float8GetDatum(c->max_us / 1000.0));
	Assert(row.n == result->setDesc->natts);
	tuplestore_putvalues(result->setResult, result->setDesc, row.values, row.nulls);
}

/*
 * Rows of list_listener_stats(): the APIs that have had requests.
 */
Datum
pt_listener_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < KAFKA_API_COUNT; i++)
	{
		PtApiCounters sum;

		pt_counters_read(i, &sum);
		if (sum.requests > 0)
			put_api(result, &kafka_apis[i], &sum);
	}
	return (Datum) 0;
}

/*
 * The row of list_produce_stats().
 */
Datum
pt_produce_stats(PG_FUNCTION_ARGS)
{
	uint64		counted[PT_PRODUCE_COUNTERS];
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Row			row = {0};

	InitMaterializedSRF(fcinfo, 0);
	pt_produce_counted(counted);
	for (int i = 0; i < PT_PRODUCE_COUNTERS; i++)
		put(&row, Int64GetDatum((int64) counted[i]));
	Assert(row.n == result->setDesc->natts);
	tuplestore_putvalues(result->setResult, result->setDesc, row.values, row.nulls);
	return (Datum) 0;
}

/*
 * Sets the next column to a time; null if it is 0.
 */
static void
put_time(Row *row, TimestampTz time)
{
	if (time == 0)
		put_null(row);
	else
		put(row, TimestampTzGetDatum(time));
}

/*
 * Rows of list_housekeeping(): the partitions of which something was removed,
 * or could not be.
 */
Datum
pt_housekeeping(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	PtHousekeeping *kept;
	int			n = pt_housekeeping_read(&kept);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < n; i++)
	{
		int32		partition;
		const PtTopic *topic = pt_topic_by_leaf(kept[i].leaf, &partition);
		Row			row = {0};

		if (topic == NULL)
			continue;			/* dropped meanwhile, or of another database */
		if ((pt_rights_on_topic(GetUserId(), topic->relid) & PT_OP_BIT(PT_OP_DESCRIBE)) == 0 &&
			!has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS))
			continue;
		put(&row, pt_topic_datum(topic->name));
		put(&row, Int32GetDatum(partition));
		put(&row, Int64GetDatum(kept[i].records));
		put(&row, Int64GetDatum(kept[i].bytes));
		put_time(&row, kept[i].removed_at);
		put_text(&row, kept[i].error);
		put_time(&row, kept[i].failed_at);
		Assert(row.n == result->setDesc->natts);
		tuplestore_putvalues(result->setResult, result->setDesc, row.values, row.nulls);
	}
	return (Datum) 0;
}

/*
 * reset_listener_stats(): sets the counters of listeners and of produce to 0.
 */
Datum
pt_reset_listener_stats(PG_FUNCTION_ARGS)
{
	pt_counters_reset();
	pt_produce_counters_reset();
	PG_RETURN_VOID();
}
