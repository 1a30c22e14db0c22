/*-------------------------------------------------------------------------
 *
 * offsets.c
 *	  Offsets of groups that transactions will commit.
 *
 * What one TxnOffsetCommit brings is one chunk of memory: StageRows, the id of
 * the group, and per row StageRow with the topic and the metadata behind it,
 * unaligned.  They are never on disk; a transaction whose offsets have no room
 * is doomed.  Of a partition that it names more than once, the last offset is
 * kept.
 *
 * Siblings: admit.c (batches), read.c, places.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guc.h"
#include "stage/internal.h"

typedef struct StageRow
{
	int64		offset;
	pg_uuid_t	topic_id;
	int32		partition;
	int32		leader_epoch;
	int32		topic_len;
	int32		metadata_len;	/* -1: null */
} StageRow;

static Size
rows_size(PtString group_id, const PtStagedOffset *offsets, int n)
{
	Size		size = sizeof(StageRows) + group_id.len;

	for (int i = 0; i < n; i++)
		size += sizeof(StageRow) + pt_string_size(offsets[i].topic) + pt_string_size(offsets[i].metadata);
	return size;
}

static char *
put_bytes(char *at, const void *data, Size size)
{
	if (size > 0)
		memcpy(at, data, size);
	return at + size;
}

static void
rows_write(StageRows *rows, Size size, PtString group_id, const PtStagedOffset *offsets, int n)
{
	char	   *at = put_bytes((char *) (rows + 1), group_id.data, group_id.len);

	rows->next = InvalidDsaPointer;
	rows->size = (uint32) size;
	rows->group_len = group_id.len;
	rows->n = n;
	for (int i = 0; i < n; i++)
	{
		const PtStagedOffset *from = &offsets[i];
		StageRow	row = {
			.offset = from->offset,
			.topic_id = from->topic_id,
			.partition = from->partition,
			.leader_epoch = from->leader_epoch,
			.topic_len = from->topic.len,
			.metadata_len = from->metadata.len
		};

		at = put_bytes(at, &row, sizeof(row));
		at = put_bytes(at, from->topic.data, pt_string_size(from->topic));
		at = put_bytes(at, from->metadata.data, pt_string_size(from->metadata));
	}
	Assert(at == (char *) rows + size);
}

static const char *
get_string(const char *at, int32 len, PtString *string)
{
	char	   *copy;

	string->len = len;
	string->data = NULL;
	if (len < 0)
		return at;
	copy = palloc(len + 1);
	memcpy(copy, at, len);
	copy[len] = '\0';
	string->data = copy;
	return at + len;
}

/*
 * Reads where a row is, without a copy; returns where the next one begins.
 */
const char *
pt_stage_row_place(const char *at, PtString *topic, int32 *partition)
{
	StageRow	row;

	memcpy(&row, at, sizeof(row));
	*partition = row.partition;
	topic->data = at + sizeof(row);
	topic->len = row.topic_len;
	return topic->data + Max(row.topic_len, 0) + Max(row.metadata_len, 0);
}

/* A palloc'd copy. */
PtStagedGroup
pt_stage_rows_read(const StageRows *rows)
{
	PtStagedGroup group = {.n = rows->n};
	const char *at = get_string((const char *) (rows + 1), rows->group_len, &group.group_id);

	group.offsets = palloc(Max(rows->n, 1) * sizeof(PtStagedOffset));
	for (int i = 0; i < rows->n; i++)
	{
		PtStagedOffset *to = &group.offsets[i];
		StageRow	row;

		memcpy(&row, at, sizeof(row));
		to->offset = row.offset;
		to->topic_id = row.topic_id;
		to->partition = row.partition;
		to->leader_epoch = row.leader_epoch;
		at = get_string(at + sizeof(row), row.topic_len, &to->topic);
		at = get_string(at, row.metadata_len, &to->metadata);
	}
	Assert(at == (const char *) rows + rows->size);
	return group;
}

static TxnError
check_entry(const StageEntry *entry, int16 epoch)
{
	if (entry == NULL)
		return TXN_INVALID_PRODUCER_ID_MAPPING;
	if (entry->epoch != epoch)
		return TXN_INVALID_PRODUCER_EPOCH;
	if (entry->doomed || entry->phase == TXN_PHASE_DOOMED || entry->phase == TXN_PHASE_LOST)
		return TXN_TRANSACTION_ABORTABLE;
	if (entry->phase == TXN_PHASE_ENDING)
		return TXN_CONCURRENT_TRANSACTIONS;
	return entry->phase == TXN_PHASE_OPEN ? TXN_NONE : TXN_INVALID_TXN_STATE;
}

static void
keep_rows(StageEntry *entry, dsa_pointer rows)
{
	StageStore *store = &entry->store;

	if (DsaPointerIsValid(store->last_rows))
		pt_stage_get(StageRows, store->last_rows)->next = rows;
	else
	{
		store->first_rows = rows;
		pg_atomic_fetch_add_u32(&pt_stage_shared->with_rows, 1);
	}
	store->last_rows = rows;
	if (entry->started_at == 0)
		entry->started_at = GetCurrentTimestamp();
}

/*
 * Stages the offsets of a group, of a transaction that is open.  For the
 * control worker, which has checked the group.
 */
TxnError
pt_stage_offsets(int64 producer_id, int16 epoch, PtString group_id, const PtStagedOffset *offsets, int n)
{
	PtStagedOffset *distinct;
	Size		size;
	dsa_pointer rows;
	StageEntry *entry;
	TxnError	error;
	uint64		serial = 0;

	if (!pt_stage_exists())
		return TXN_INVALID_PRODUCER_ID_MAPPING;
	n = pt_stage_distinct(offsets, n, &distinct);
	size = rows_size(group_id, distinct, n);
	rows = pt_stage_allocate(size, true);
	if (DsaPointerIsValid(rows))
		rows_write(pt_stage_get(StageRows, rows), size, group_id, distinct, n);
	pfree(distinct);
	entry = pt_stage_find(producer_id, true);
	error = check_entry(entry, epoch);
	if (error == TXN_NONE)
		serial = entry->serial;
	if (error == TXN_NONE && DsaPointerIsValid(rows))
	{
		keep_rows(entry, rows);
		rows = InvalidDsaPointer;
	}
	else if (error == TXN_NONE)
		error = TXN_TRANSACTION_ABORTABLE;
	if (entry != NULL)
		pt_stage_unlock(entry);
	if (DsaPointerIsValid(rows))
		pt_stage_free(rows, size);
	if (error == TXN_TRANSACTION_ABORTABLE && serial != 0)
		pt_stage_doom(producer_id, serial);
	return error;
}

/*
 * Calls back for all rows that are staged, under a lock of their part of the
 * table; stops when told so.
 */
void
pt_stage_walk(bool (*callback) (void *arg, const StageRows *rows), void *arg)
{
	dshash_seq_status scan;
	StageEntry *entry;
	bool		go_on = true;

	if (pg_atomic_read_u32(&pt_stage_shared->with_rows) == 0 || !pt_stage_exists())
		return;
	dshash_seq_init(&scan, pt_stage_table, false);
	while (go_on && (entry = dshash_seq_next(&scan)) != NULL)
	{
		for (dsa_pointer at = entry->store.first_rows; go_on && DsaPointerIsValid(at);)
		{
			const StageRows *rows = pt_stage_get(StageRows, at);

			go_on = callback(arg, rows);
			at = rows->next;
		}
	}
	dshash_seq_term(&scan);
}

/* A group, and whether it has been seen. */
typedef struct Sought
{
	PtString	group_id;
	bool		found;
} Sought;

static bool
is_other(void *arg, const StageRows *rows)
{
	Sought	   *sought = arg;
	PtString	group_id = {(const char *) (rows + 1), rows->group_len};

	sought->found = pt_string_equal(group_id, sought->group_id);
	return !sought->found;
}

/*
 * Is an offset of this group staged?  Then neither the group nor its offsets
 * expire.
 */
bool
pt_stage_uses_group(PtString group_id)
{
	Sought		sought = {.group_id = group_id};

	pt_stage_walk(is_other, &sought);
	return sought.found;
}
