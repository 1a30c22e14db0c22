/*-------------------------------------------------------------------------
 *
 * filter.c
 *	  What compaction leaves of a batch.
 *
 *	  A record stays if it is the last of its key.  One without a value (a
 *	  tombstone) stays for a time, so that those who read the log see that
 *	  the key has gone: the first compaction that meets it writes into its
 *	  batch when that will be over (the delete horizon, KIP-534), and a later
 *	  one drops it.  The horizon takes the place of the base timestamp, and
 *	  the deltas of all records move by the difference.
 *
 *	  One thing is stricter than in Kafka.  Before a tombstone goes, a
 *	  compaction that covered it must have been completed (clean_offset).  Ours
 *	  may be interrupted when it has rewritten the tombstone's part of the log,
 *	  and not yet the one that has the key's older value; without the
 *	  tombstone this value would come back.
 *
 *	  Records that stay are copied as they are, byte for byte, so most of the
 *	  work is that of the codec.  The CRC of each batch is checked before: a
 *	  new one must not cover up damage.
 *
 *	  Siblings: key_map.c, records.c, compress.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "record/filter.h"

#include <limits.h>

#include "record/bytes.h"
#include "record/codec.h"
#include "record/crc32c.h"
#include "record/layout.h"
#include "record/mem.h"
#include "record/varint.h"

#define FILTER_CAP_MIN	8192

/* What has been found out about the batch in hand. */
typedef struct Sieve
{
	PtFilter   *filter;
	PtRecordIter it;
	int32		kept;			/* records */
	int32		dropped;
	int64		max_timestamp;	/* ms, of the records that stay */
	bool		tombstone;		/* one of them stays */
} Sieve;

/*
 * Checks the CRC of a whole batch, and begins to iterate over its records.
 */
static PtBatchStatus
begin_verified(PtRecordIter *it, const char *data, size_t len)
{
	PtBatchStatus status;
	PtBatchHeader h;

	memset(it, 0, sizeof(*it));
	status = pt_batch_header_read(data, len, &h);
	if (status != PT_BATCH_OK)
		return status;
	if (h.length != len)
		return h.length > len ? PT_BATCH_TRUNCATED : PT_BATCH_BAD_LENGTH;
	if (pt_crc32c(data + BATCH_AT_ATTRIBUTES, len - BATCH_AT_ATTRIBUTES) != h.crc)
		return PT_BATCH_BAD_CRC;
	return pt_record_iter_begin(it, data, len, PT_RECORDS_BYTES_MAX);
}

/*
 * Enters the keys of a batch into the map: those of records at or behind
 * from_offset.  *full is set if the map takes no more; it then covers the
 * records up to map->latest_offset.  Control batches have no keys.
 */
PtBatchStatus
pt_filter_learn(PtKeyMap *map, const char *data, size_t len, int64 from_offset, bool *full)
{
	PtRecordIter it;
	PtRecord	record;
	PtBatchStatus status = begin_verified(&it, data, len);

	*full = false;
	while (status == PT_BATCH_OK && !(it.header.attributes & PT_BATCH_CONTROL))
	{
		status = pt_record_iter_next(&it, &record);
		if (status != PT_BATCH_OK || record.offset < from_offset)
			continue;
		if (record.key != NULL && !pt_key_map_put(map, record.key, record.key_len, record.offset))
		{
			*full = true;
			break;
		}
		map->latest_offset = Max(map->latest_offset, record.offset);
	}
	if (status == PT_BATCH_END)
		status = PT_BATCH_OK;
	if (status == PT_BATCH_OK && !*full)
		map->latest_offset = Max(map->latest_offset, pt_batch_next_offset(&it.header) - 1);
	pt_record_iter_end(&it);
	return status;
}

/*
 * May a tombstone go?  It is the last record of its key.
 */
static bool
tombstone_is_over(const PtFilter *f, const PtBatchHeader *h, const PtRecord *record)
{
	return (h->attributes & PT_BATCH_DELETE_HORIZON) && f->now_ms >= h->base_timestamp &&
		record->offset < f->clean_offset;
}

/*
 * Does a record stay?
 */
static bool
record_stays(PtFilter *f, const PtBatchHeader *h, const PtRecord *record)
{
	if (record->offset > f->map->latest_offset)
		return true;
	if (record->offset < f->start_offset)
		return false;
	if (record->key == NULL)
	{
		f->counts.keyless++;
		return false;
	}
	if (record->offset < pt_key_map_get(f->map, record->key, record->key_len))
		return false;
	if (record->value == NULL && tombstone_is_over(f, h, record))
	{
		f->counts.tombstones++;
		return false;
	}
	return true;
}

/*
 * Makes room for "len" bytes in one of the filter's pieces of memory, whose
 * first "keep" bytes stay.
 */
static bool
filter_room(char **buf, size_t *cap, size_t keep, size_t len)
{
	size_t		size = Max(*cap, FILTER_CAP_MIN);
	char	   *bigger;

	Assert(keep <= *cap);
	if (*buf != NULL && len <= *cap)
		return true;
	while (size < len)
		size *= 2;
	bigger = pt_mem_try_alloc(*buf, size);
	if (bigger == NULL)
		return false;
	if (keep > 0)
		memcpy(bigger, *buf, keep);
	if (*buf != NULL)
		pfree(*buf);
	*buf = bigger;
	*cap = size;
	return true;
}

/*
 * Adds a run of records that stay.
 */
static bool
keep_run(PtFilter *f, const char *from, const char *to)
{
	Assert(from <= to);
	if (from == to)
		return true;
	if (!filter_room(&f->raw, &f->raw_cap, f->raw_len, f->raw_len + (to - from)))
		return false;
	memcpy(f->raw + f->raw_len, from, to - from);
	f->raw_len += to - from;
	return true;
}

/*
 * Decides on each record.  Those that stay are copied behind the place of the
 * header, unless all do.
 */
static PtBatchStatus
sift(Sieve *s)
{
	PtFilter   *f = s->filter;
	const char *run = s->it.pos;	/* records from here on stay, so far */
	const char *before = run;
	PtBatchStatus status;
	PtRecord	record;

	f->raw_len = PT_BATCH_HEADER_SIZE;
	if (!filter_room(&f->raw, &f->raw_cap, 0, f->raw_len))
		return PT_BATCH_NO_MEMORY;
	while ((status = pt_record_iter_next(&s->it, &record)) == PT_BATCH_OK)
	{
		if (record_stays(f, &s->it.header, &record))
		{
			s->max_timestamp = s->kept++ == 0 ? record.timestamp : Max(s->max_timestamp, record.timestamp);
			s->tombstone |= record.value == NULL;
		}
		else
		{
			if (!keep_run(f, run, before))
				return PT_BATCH_NO_MEMORY;
			run = s->it.pos;
			s->dropped++;
		}
		before = s->it.pos;
	}
	if (status != PT_BATCH_END)
		return status;
	if (s->it.pos != s->it.end)
		return PT_BATCH_BAD_COUNT;
	if (s->dropped > 0 && !keep_run(f, run, before))
		return PT_BATCH_NO_MEMORY;
	return PT_BATCH_OK;
}

/*
 * Writes a record again, its timestamp delta less by "shift".  Returns the
 * place behind it; *from goes to the next one.
 */
static char *
move_record(char *to, const char **from, const char *end, int64 shift)
{
	int32		body_len = 0;
	int64		delta = 0;
	const char *body = pt_varint_read(*from, end, &body_len);
	const char *rest = pt_varlong_read(body + 1, end, &delta);
	size_t		rest_len = body + body_len - rest;

	delta = (int64) ((uint64) delta - (uint64) shift);
	to = pt_varint_write(to, (int32) (1 + pt_varlong_size(delta) + rest_len));
	*to++ = *body;				/* attributes */
	to = pt_varlong_write(to, delta);
	memcpy(to, rest, rest_len);
	*from = body + body_len;
	Assert(*from <= end);
	return to + rest_len;
}

/*
 * Writes n valid records behind the place of a header in f->moved, for a base
 * timestamp that is later by "shift" ms.  Returns their end, NULL if there is
 * no memory.
 */
static char *
move_timestamps(PtFilter *f, const char *records, size_t len, int32 n, int64 shift)
{
	const char *end = records + len;
	char	   *to;

	if (!filter_room(&f->moved, &f->moved_cap, 0,
					 PT_BATCH_HEADER_SIZE + len + (size_t) n * (PT_VARLONG_MAX + PT_VARINT_MAX)))
		return NULL;
	to = f->moved + PT_BATCH_HEADER_SIZE;
	for (int32 i = 0; i < n; i++)
		to = move_record(to, &records, end, shift);
	Assert(records == end);
	Assert((size_t) (to - f->moved) <= f->moved_cap);
	return to;
}

/*
 * Makes a batch of records that stand behind the place of a header in "buf",
 * and end at "len": the old header with what is different, compressed as the
 * old one was unless that is no gain.
 */
static PtBatchStatus
finish_batch(PtFilter *f, const char *old_header, int32 count, int64 max_timestamp, const int64 *horizon,
			 char *buf, size_t len, PtFiltered *result)
{
	int16		attributes = pt_get_int16(old_header + BATCH_AT_ATTRIBUTES);
	int			codec = attributes & PT_BATCH_COMPRESSION_MASK;
	char	   *data = buf;

	Assert(count >= 0 && len >= PT_BATCH_HEADER_SIZE);
	if (codec != PT_CODEC_NONE)
	{
		size_t		compressed;
		PtBatchStatus status = count == 0 ? PT_BATCH_TOO_LARGE :
			pt_compress_behind(codec, INT_MIN, PT_BATCH_HEADER_SIZE, buf, buf + PT_BATCH_HEADER_SIZE,
							   len - PT_BATCH_HEADER_SIZE, &f->out, &f->out_cap, &compressed);

		if (status == PT_BATCH_OK)
		{
			data = f->out;
			len = PT_BATCH_HEADER_SIZE + compressed;
		}
		else if (status == PT_BATCH_TOO_LARGE)
			attributes &= ~PT_BATCH_COMPRESSION_MASK;
		else
			return status;
	}
	memcpy(data, old_header, PT_BATCH_HEADER_SIZE);
	if (horizon != NULL)
	{
		attributes |= PT_BATCH_DELETE_HORIZON;
		pt_put_int64(data + BATCH_AT_BASE_TIMESTAMP, *horizon);
	}
	pt_put_int16(data + BATCH_AT_ATTRIBUTES, attributes);
	pt_put_int64(data + BATCH_AT_MAX_TIMESTAMP, max_timestamp);
	pt_put_int32(data + BATCH_AT_RECORD_COUNT, count);
	pt_batch_seal(data, len);
	*result = (PtFiltered)
	{
		.kind = PT_FILTER_CHANGED,.data = data,.len = len
	};
	return PT_BATCH_OK;
}

/*
 * Makes the batch that is left of one that is not whole.  A tombstone that is
 * met for the first time, in a part of the log that the map covers, gets its
 * delete horizon.
 */
static PtBatchStatus
rebuild(Sieve *s, const char *data, const char *records, size_t records_len, bool set_horizon, PtFiltered *result)
{
	PtFilter   *f = s->filter;
	const PtBatchHeader *h = &s->it.header;
	int64		max_timestamp = h->attributes & PT_BATCH_LOG_APPEND_TIME ? h->max_timestamp : s->max_timestamp;
	int64		horizon;
	char	   *end;

	Assert(s->kept > 0 && (s->dropped > 0 || set_horizon));
	if (!set_horizon)
		return finish_batch(f, data, s->kept, max_timestamp, NULL, f->raw, f->raw_len, result);
	horizon = f->now_ms > PG_INT64_MAX - f->delete_retention_ms ? PG_INT64_MAX :
		f->now_ms + f->delete_retention_ms;
	if (s->dropped > 0)
	{
		records = f->raw + PT_BATCH_HEADER_SIZE;
		records_len = f->raw_len - PT_BATCH_HEADER_SIZE;
	}
	end = move_timestamps(f, records, records_len, s->kept,
						  (int64) ((uint64) horizon - (uint64) h->base_timestamp));
	if (end == NULL)
		return PT_BATCH_NO_MEMORY;
	return finish_batch(f, data, s->kept, max_timestamp, &horizon, f->moved, end - f->moved, result);
}

/*
 * A batch that has nothing left, or had nothing: it stays, empty, if the
 * caller says so.
 */
static PtBatchStatus
empty_batch(Sieve *s, const char *data, bool keep_empty, PtFiltered *result)
{
	char		header[PT_BATCH_HEADER_SIZE];
	PtFilter   *f = s->filter;

	if (!keep_empty)
	{
		*result = (PtFiltered)
		{
			.kind = PT_FILTER_DROPPED
		};
		return PT_BATCH_OK;
	}
	if (s->dropped == 0)
		return PT_BATCH_OK;		/* is empty already, and whole */
	memcpy(header, data, PT_BATCH_HEADER_SIZE);
	pt_put_int16(header + BATCH_AT_ATTRIBUTES,
				 s->it.header.attributes & ~(PT_BATCH_COMPRESSION_MASK | PT_BATCH_DELETE_HORIZON));
	pt_put_int64(header + BATCH_AT_BASE_TIMESTAMP, -1);
	return finish_batch(f, header, 0, s->it.header.max_timestamp, NULL, f->raw, PT_BATCH_HEADER_SIZE, result);
}

/*
 * What the sieve has left of the batch.
 */
static PtBatchStatus
take_rest(Sieve *s, const char *data, size_t len, const char *records, bool keep_empty, PtFiltered *result)
{
	const PtBatchHeader *h = &s->it.header;
	bool		set_horizon = s->tombstone && !(h->attributes & PT_BATCH_DELETE_HORIZON) &&
		pt_batch_next_offset(h) - 1 <= s->filter->map->latest_offset;

	*result = (PtFiltered)
	{
		.kind = PT_FILTER_WHOLE,.data = data,.len = len
	};
	if (s->kept == 0)
		return empty_batch(s, data, keep_empty, result);
	if (s->dropped == 0 && !set_horizon)
		return PT_BATCH_OK;
	return rebuild(s, data, records, s->it.end - records, set_horizon, result);
}

/*
 * Decides what is left of a whole batch.  keep_empty: if nothing is, an empty
 * batch stays, because it has the last sequence number of its producer.
 * Control batches stay as they are.  A batch that cannot be read is an error,
 * and the log must be left as it is.
 */
PtBatchStatus
pt_filter_batch(PtFilter *filter, const char *data, size_t len, bool keep_empty, PtFiltered *result)
{
	Sieve		s = {.filter = filter,.max_timestamp = -1};
	const char *records;
	PtBatchStatus status;

	*result = (PtFiltered)
	{
		.kind = PT_FILTER_WHOLE,.data = data,.len = len
	};
	status = begin_verified(&s.it, data, len);
	records = s.it.pos;
	if (status == PT_BATCH_OK && (s.it.header.attributes & PT_BATCH_CONTROL))
		s.kept = s.it.header.record_count;
	else if (status == PT_BATCH_OK)
	{
		status = sift(&s);
		if (status == PT_BATCH_OK)
			status = take_rest(&s, data, len, records, keep_empty, result);
	}
	pt_record_iter_end(&s.it);
	if (status == PT_BATCH_OK)
	{
		filter->counts.batches++;
		filter->counts.records += s.kept + s.dropped;
		filter->counts.records_kept += s.kept;
		filter->counts.bytes += len;
		filter->counts.bytes_kept += result->len;
	}
	return status;
}

/*
 * Frees the filter's memory.
 */
void
pt_filter_free(PtFilter *filter)
{
	if (filter->raw != NULL)
		pfree(filter->raw);
	if (filter->moved != NULL)
		pfree(filter->moved);
	if (filter->out != NULL)
		pfree(filter->out);
	filter->raw = filter->moved = filter->out = NULL;
	filter->raw_cap = filter->moved_cap = filter->out_cap = 0;
}
