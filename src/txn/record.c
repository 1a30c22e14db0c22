/*-------------------------------------------------------------------------
 *
 * record.c
 *	  The records of __transaction_state, as Kafka encodes them:
 *	  TransactionLogKey version 0, TransactionLogValue version 1.
 *
 * Version 0 of the value is read, too.  Records may come from a restored dump
 * or from another cluster, so they are checked like any input.  The partitions
 * in a value are written for Kafka's tools and passed over when it is read.
 *
 * Sibling: txn.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "txn/internal.h"

#include "record/input.h"

#define KEY_VERSION				0
#define VALUE_VERSION			1	/* with tagged fields */
#define TAG_PREVIOUS_PRODUCER_ID	0
#define TAG_CLIENT_VERSION		2

/*
 * Where something is written.  Without memory, "at" only counts: everything is
 * written twice, first for its size.
 */
typedef struct Output
{
	char	   *data;
	size_t		at;
}			Output;

static void
put_bytes(Output * out, const char *data, size_t len)
{
	if (out->data && len > 0)
		memcpy(out->data + out->at, data, len);
	out->at += len;
}

static void
put_int8(Output * out, int value)
{
	char		b = (char) value;

	put_bytes(out, &b, 1);
}

static void
put_int16(Output * out, int16 value)
{
	char		b[2];

	pt_put_int16(b, value);
	put_bytes(out, b, sizeof(b));
}

static void
put_int32(Output * out, int32 value)
{
	char		b[4];

	pt_put_int32(b, value);
	put_bytes(out, b, sizeof(b));
}

static void
put_int64(Output * out, int64 value)
{
	char		b[8];

	pt_put_int64(b, value);
	put_bytes(out, b, sizeof(b));
}

static void
put_uvarint(Output * out, uint32 value)
{
	for (; value >= 0x80; value >>= 7)
		put_int8(out, (int) (value | 0x80));
	put_int8(out, (int) value);
}

static void
put_key(Output * out, PtString transactional_id)
{
	put_int16(out, KEY_VERSION);
	put_int16(out, (int16) transactional_id.len);
	put_bytes(out, transactional_id.data, transactional_id.len);
}

/*
 * Writes the partitions: null in state Empty, as Kafka does.
 */
static void
put_topics(Output * out, TxnState state, const TxnTopic *topics, int ntopics)
{
	if (state == TXN_EMPTY)
	{
		put_uvarint(out, 0);
		return;
	}
	put_uvarint(out, (uint32) ntopics + 1);
	for (int i = 0; i < ntopics; i++)
	{
		put_uvarint(out, (uint32) topics[i].name.len + 1);
		put_bytes(out, topics[i].name.data, topics[i].name.len);
		put_uvarint(out, (uint32) topics[i].n + 1);
		for (int j = 0; j < topics[i].n; j++)
			put_int32(out, topics[i].partitions[j]);
		put_uvarint(out, 0);	/* tagged fields */
	}
}

static void
put_value(Output * out, const TxnImage *image, const TxnTopic *topics, int ntopics)
{
	bool		previous = image->previous_producer_id != TXN_NO_PRODUCER_ID;
	bool		version = image->client_version != 0;

	put_int16(out, VALUE_VERSION);
	put_int64(out, image->producer_id);
	put_int16(out, image->epoch);
	put_int32(out, image->timeout_ms);
	put_int8(out, image->state);
	put_topics(out, image->state, topics, ntopics);
	put_int64(out, image->updated_at);
	put_int64(out, image->started_at);
	put_uvarint(out, (uint32) previous + (uint32) version);
	if (previous)
	{
		put_uvarint(out, TAG_PREVIOUS_PRODUCER_ID);
		put_uvarint(out, 8);
		put_int64(out, image->previous_producer_id);
	}
	if (version)
	{
		put_uvarint(out, TAG_CLIENT_VERSION);
		put_uvarint(out, 2);
		put_int16(out, image->client_version);
	}
}

/*
 * The key of an id, palloc'd.
 */
PtString
txn_key_write(PtString transactional_id)
{
	Output		out = {NULL, 0};

	Assert(transactional_id.len > 0 && transactional_id.len <= PG_INT16_MAX);
	put_key(&out, transactional_id);
	out.data = palloc(out.at);
	out.at = 0;
	put_key(&out, transactional_id);
	return (PtString)
	{
		out.data, (int32) out.at
	};
}

/*
 * The value for an id, palloc'd.
 */
PtString
txn_value_write(const TxnImage *image, const TxnTopic *topics, int ntopics)
{
	Output		out = {NULL, 0};

	Assert(image->producer_id >= 0 && image->epoch >= 0);
	Assert(image->state != TXN_EMPTY || ntopics == 0);
	put_value(&out, image, topics, ntopics);
	out.data = palloc(out.at);
	out.at = 0;
	put_value(&out, image, topics, ntopics);
	return (PtString)
	{
		out.data, (int32) out.at
	};
}

/*
 * Takes a length that may be null (-1), of an array or a string.
 */
static int64
take_length(PtInput *in, bool flexible, int size)
{
	return flexible ? (int64) pt_take_uvarint(in) - 1 : pt_take_int(in, size);
}

/*
 * Passes over tagged fields; those that we know go to image, when there is
 * one.
 */
static void
take_tags(PtInput *in, TxnImage *image)
{
	for (uint32 n = pt_take_uvarint(in); n > 0 && in->at; n--)
	{
		uint32		tag = pt_take_uvarint(in);
		uint32		size = pt_take_uvarint(in);
		const char *p = pt_take(in, size);

		if (p == NULL || image == NULL)
			continue;
		if (tag == TAG_PREVIOUS_PRODUCER_ID && size == 8)
			image->previous_producer_id = pt_get_int64(p);
		else if (tag == TAG_CLIENT_VERSION && size == 2)
			image->client_version = pt_get_int16(p);
	}
}

/*
 * Passes over the partitions.  Each topic takes a byte at least, so the loop
 * ends with the input.
 */
static void
take_topics(PtInput *in, bool flexible)
{
	int64		ntopics = take_length(in, flexible, 4);

	for (int64 i = 0; i < ntopics && in->at; i++)
	{
		int64		n = take_length(in, flexible, 2);

		(void) pt_take(in, n > 0 ? (uint64) n : 0);
		n = take_length(in, flexible, 4);
		(void) pt_take(in, n > 0 ? (uint64) n * 4 : 0);
		if (flexible)
			take_tags(in, NULL);
	}
}

/*
 * Reads a key.  Returns false for one of another kind, or that is malformed.
 * The id points into it.
 */
bool
txn_key_read(PtString key, PtString *transactional_id)
{
	PtInput		in = {key.data, key.data + pt_string_size(key)};
	int64		len;

	if (key.len < 0 || pt_take_int(&in, 2) != KEY_VERSION)
		return false;
	len = pt_take_int(&in, 2);
	if (len <= 0)
		return false;
	transactional_id->data = pt_take(&in, (uint64) len);
	transactional_id->len = (int32) len;
	return in.at != NULL && in.at == in.end;
}

/*
 * Reads a value that is not a tombstone.  Returns false if it is malformed, of
 * a version that is not known, or says what cannot be.
 */
bool
txn_value_read(PtString value, TxnImage *image)
{
	PtInput		in = {value.data, value.data + pt_string_size(value)};
	int64		version = pt_take_int(&in, 2);
	int64		state;

	if (value.len < 0 || version < 0 || version > VALUE_VERSION)
		return false;
	image->previous_producer_id = TXN_NO_PRODUCER_ID;
	image->last_epoch = TXN_NO_EPOCH;
	image->client_version = 0;
	image->producer_id = pt_take_int(&in, 8);
	image->epoch = (int16) pt_take_int(&in, 2);
	image->timeout_ms = (int32) pt_take_int(&in, 4);
	state = pt_take_int(&in, 1);
	take_topics(&in, version >= 1);
	image->updated_at = pt_take_int(&in, 8);
	image->started_at = pt_take_int(&in, 8);
	if (version >= 1)
		take_tags(&in, image);
	if (in.at == NULL || state < TXN_EMPTY || state >= TXN_NSTATES)
		return false;
	image->state = (TxnState) state;
	return image->producer_id >= 0 && image->epoch >= 0 && image->timeout_ms >= 0 &&
		image->previous_producer_id >= TXN_NO_PRODUCER_ID && image->updated_at >= 0 &&
		image->started_at >= TXN_TIMESTAMP_NONE;
}
