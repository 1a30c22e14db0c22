/*-------------------------------------------------------------------------
 *
 * offset_batch.c
 *	  Committed offsets as record batches, for a listener to append.
 *
 * Siblings: offsets.c (from SQL), offset_codec.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "record/compress.h"
#include "groups/internal.h"
#include "topic/leaf.h"
#include "produce/produce.h"
#include "xact/xact.h"

/*
 * Largest batch: below what a topic accepts (max.message.bytes), and large
 * enough that most requests are one batch.
 */
#define BATCH_BYTES		(512 * 1024)

/* The batches that are built for one leaf. */
typedef struct Batches
{
	Oid			leaf;			/* of __consumer_offsets */
	size_t		limit;			/* largest size of a batch in bytes */
	PtBatchBuilder builder;
	PtProduce  *items;
	int			nitems;
	int			cap;			/* allocated length of items[] */
} Batches;

/*
 * Begins to build batches for a leaf.
 */
static void
batches_begin(Batches *b, Oid leaf)
{
	Assert(OidIsValid(leaf));
	memset(b, 0, sizeof(*b));
	b->leaf = leaf;
	b->limit = Min(BATCH_BYTES, (size_t) pt_leaf_config(leaf)->max_message_bytes);
	b->cap = 1;
	b->items = palloc0(sizeof(PtProduce));
	pt_builder_start(&b->builder);
}

/*
 * Completes the current batch, if it has records, and adds an item for it.
 */
static void
batches_finish_one(Batches *b)
{
	PtProduce  *item;
	size_t		len;
	const char *data;

	if (b->builder.count == 0)
		return;
	if (b->nitems == b->cap)
		b->items = repalloc(b->items, (b->cap *= 2) * sizeof(PtProduce));
	Assert(b->nitems < b->cap);
	data = pt_builder_finish(&b->builder, PT_CODEC_NONE, 0, &len);
	item = &b->items[b->nitems++];
	memset(item, 0, sizeof(*item));
	item->relid = b->leaf;
	item->data = palloc(len);
	item->length = (uint32) len;
	memcpy(item->data, data, len);
	pt_builder_start(&b->builder);
}

/*
 * Adds a record; begins another batch if the current one is full.
 */
static void
batches_add(Batches *b, const PtRecord *record)
{
	Assert(record->key != NULL);
	if (b->builder.count > 0 && pt_builder_size(&b->builder) + pt_record_size_max(record) > b->limit)
		batches_finish_one(b);
	(void) pt_builder_add(&b->builder, b->builder.count, record);
}

/*
 * Completes the last batch and returns the items.
 */
static PtProduce *
batches_end(Batches *b, int *nitems)
{
	batches_finish_one(b);
	pt_builder_free(&b->builder);
	*nitems = b->nitems;
	return b->items;
}

/*
 * Adds the record of a committed offset, or its tombstone if it is removed.
 */
static void
add_offset(Batches *b, PtString group_id, const PtCommittedOffset *committed, int64 now)
{
	PtRecord	record = {.timestamp = now,.value_len = -1};
	StringInfoData key;
	StringInfoData value = {0};

	Assert(committed->partition >= 0);
	pt_offset_key_write(&key, group_id, committed->topic, committed->partition);
	record.key = key.data;
	record.key_len = key.len;
	if (!committed->removed)
	{
		PtCommittedOffset stamped = *committed;

		if (stamped.commit_time < 0)
			stamped.commit_time = now;
		pt_offset_value_write(&value, &stamped);
		record.value = value.data;
		record.value_len = value.len;
	}
	batches_add(b, &record);
	pfree(key.data);
	if (value.data)
		pfree(value.data);
}

/*
 * Makes the items for pt_produce_batches() that commit the offsets of a
 * group.  They are to be produced with acks=all, all of them or none.
 *
 * The caller has checked the topics, the size of metadata, and that the group
 * may be written to.  __consumer_offsets is created if necessary, in the
 * current transaction, which must be committed before the items are appended.
 */
PtProduce *
pt_offsets_commit(PtString group_id, const PtCommittedOffset *offsets, int n, int *nitems)
{
	int64		now = pt_now_ms();
	Oid			leaf = pt_offsets_leaf(group_id, true);
	PtLogState *log;
	Batches		b;

	Assert(n >= 0);
	pt_offset_cache_attach();
	if (pt_offset_cache_full() && (log = pt_offsets_follow(leaf, true)) != NULL)
	{
		for (int i = 0; i < n; i++)
			pt_offset_check_room(&log->locator, group_id, &offsets[i]);
	}
	batches_begin(&b, leaf);
	for (int i = 0; i < n; i++)
		add_offset(&b, group_id, &offsets[i], now);
	return batches_end(&b, nitems);
}

/*
 * Makes the items that remove all committed offsets of a group.  *nitems is 0
 * if it has none.
 */
PtProduce *
pt_offsets_delete(PtString group_id, int *nitems)
{
	Oid			leaf = pt_offsets_leaf(group_id, false);
	PtLogState *log = pt_offsets_follow(leaf, true);
	int64		now = pt_now_ms();
	PtCommittedOffset *offsets;
	Batches		b;
	int			n;

	*nitems = 0;
	if (log == NULL)
		return NULL;
	n = pt_offset_cache_group(&log->locator, group_id, &offsets);
	if (n == 0)
		return NULL;
	batches_begin(&b, leaf);
	for (int i = 0; i < n; i++)
	{
		offsets[i].removed = true;
		add_offset(&b, group_id, &offsets[i], now);
	}
	if (pt_offset_cache_last_used(&log->locator, group_id) != 0)
	{
		PtRecord	record = {.timestamp = now,.value_len = -1};
		StringInfoData key;

		pt_offset_group_key_write(&key, group_id);
		record.key = key.data;
		record.key_len = key.len;
		batches_add(&b, &record);
		pfree(key.data);
	}
	return batches_end(&b, nitems);
}
