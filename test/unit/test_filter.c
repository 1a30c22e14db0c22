/*-------------------------------------------------------------------------
 *
 * test_filter.c
 *	  What compaction leaves of a batch: each rule of it, in each codec, and
 *	  random logs against a model.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "test.h"

#include <limits.h>

#include "record/compress.h"
#include "record/filter.h"
#include "record/layout.h"
#include "record/bytes.h"

#define BASE_TIME	INT64CONST(1700000000000)
#define NOW			(BASE_TIME + 1000000)
#define RETENTION	INT64CONST(5000)

static const uint64 secret[2] = {1, 2};

/*
 * A batch from a text: each record is a letter for its key ('.': none) and one for its value ('-': a
 * tombstone).  Offset and timestamp of record i are base + i and BASE_TIME + i.
 */
static char *
batch_of(const char *text, int64 base_offset, int codec, size_t *len)
{
	PtBatchBuilder b = {0};
	PtBatchProducer producer = {.producer_id = 77,.producer_epoch = 3,.base_sequence = 1000};
	char	   *data;

	pt_builder_start(&b);
	for (int i = 0; text[2 * i] != '\0'; i++)
	{
		char		value[100];
		PtRecord	record = {.timestamp = BASE_TIME + i,.key = &text[2 * i],.key_len = 1,.value = value,.value_len = 100,
		.headers = "\002h\002v",.headers_len = 4,.header_count = 1};

		memset(value, text[2 * i + 1], sizeof(value));
		if (text[2 * i] == '.')
			record.key = NULL;
		if (text[2 * i + 1] == '-')
			record.value = NULL;
		pt_builder_add(&b, i, &record);
	}
	data = pt_builder_finish(&b, codec, INT_MIN, len);
	data = test_copy(data, *len);
	pt_batch_set_offset(data, base_offset, 9);
	pt_batch_set_producer(data, &producer);
	pt_builder_free(&b);
	return data;
}

/* The records of a batch as such a text, with a blank for each that is not there. */
static void
text_of(const char *data, size_t len, char *text)
{
	PtRecordIter it;
	PtRecord	record;

	CHECK_STATUS(pt_record_iter_begin(&it, data, len, 1 << 20), PT_BATCH_OK);
	memset(text, ' ', 2 * (it.header.last_offset_delta + 1));
	text[		2 * (it.header.last_offset_delta + 1)] = '\0';

	while (pt_record_iter_next(&it, &record) == PT_BATCH_OK)
	{
		int			i = (int) (record.offset - it.header.base_offset);

		text[		2 * i] = record.key ? record.key[0] : '.';
		text[		2 * i + 1] = record.value ? record.value[0] : '-';

		if (it.header.attributes & PT_BATCH_LOG_APPEND_TIME)
			CHECK_INT(record.timestamp, it.header.max_timestamp);
		else
			CHECK_INT(record.timestamp, BASE_TIME + i);
		CHECK_BYTES(record.headers, record.headers_len, "\002h\002v", 4);
	}
	CHECK(it.pos == it.end);
	pt_record_iter_end(&it);
}

static void
check_same_header(const char *before, const char *after, size_t after_len)
{
	PtBatchHeader a;
	PtBatchHeader b;

	CHECK_STATUS(pt_batch_header_read(before, PT_BATCH_HEADER_SIZE, &a), PT_BATCH_OK);
	CHECK_STATUS(pt_batch_header_read(after, after_len, &b), PT_BATCH_OK);
	CHECK_INT(b.base_offset, a.base_offset);
	CHECK_INT(b.last_offset_delta, a.last_offset_delta);
	CHECK_INT(b.leader_epoch, a.leader_epoch);
	CHECK_INT(b.producer_id, a.producer_id);
	CHECK_INT(b.producer_epoch, a.producer_epoch);
	CHECK_INT(b.base_sequence, a.base_sequence);
	CHECK_INT(b.length, after_len);
	CHECK_INT(b.attributes & PT_BATCH_LOG_APPEND_TIME, a.attributes & PT_BATCH_LOG_APPEND_TIME);
}

static PtFilter
filter_with(const PtKeyMap *map)
{
	return (PtFilter)
	{
		.map = map,.now_ms = NOW,.delete_retention_ms = RETENTION
	};
}

static PtKeyMap
map_of(const char *data, size_t len)
{
	PtKeyMap	map;
	bool		full;

	CHECK(pt_key_map_init(&map, 1 << 20, 1000, secret));
	CHECK_STATUS(pt_filter_learn(&map, data, len, 0, &full), PT_BATCH_OK);
	CHECK(!full);
	return map;
}

/* A batch, filtered by its own keys, leaves this text. */
static void
check_filter(const char *before, const char *after, PtFilterKind kind)
{
	for (int codec = 0; codec <= PT_CODEC_LAST; codec++)
	{
		size_t		len;
		char	   *data = batch_of(before, 500, codec, &len);
		PtKeyMap	map = map_of(data, len);
		PtFilter	filter = filter_with(&map);
		PtFiltered	left;
		char text[	100];

		SAY("%s codec %d", before, codec);
		CHECK_INT(map.latest_offset, 500 + strlen(before) / 2 - 1);
		CHECK_STATUS(pt_filter_batch(&filter, data, len, false, &left), PT_BATCH_OK);
		CHECK_INT(left.kind, kind);
		if (kind != PT_FILTER_DROPPED)
		{
			text_of(left.data, left.len, text);
			CHECK_BYTES(text, strlen(text), after, strlen(after));
			check_same_header(data, left.data, left.len);
			CHECK_INT(filter.counts.bytes_kept, left.len);
		}
		CHECK_INT(filter.counts.records, strlen(before) / 2);
		pt_filter_free(&filter);
		pt_key_map_free(&map);
		pg_free(data);
	}
}

static void
test_last_of_key(void)
{
	check_filter("a1b2c3", "a1b2c3", PT_FILTER_WHOLE);
	check_filter("a1a2a3", "    a3", PT_FILTER_CHANGED);
	check_filter("a1b2a3c4", "  b2a3c4", PT_FILTER_CHANGED);
	check_filter("a1b2c3a4b5c6", "      a4b5c6", PT_FILTER_CHANGED);
	check_filter(".1a2.3", "  a2  ", PT_FILTER_CHANGED);
	check_filter(".1.2", "", PT_FILTER_DROPPED);
	check_filter("a1a-b3", "  a-b3", PT_FILTER_CHANGED);
	check_filter("a-b3", "a-b3", PT_FILTER_CHANGED);	/* gets its horizon */
	check_filter("a-a2", "  a2", PT_FILTER_CHANGED);
}

static void
test_codec_stays(void)
{
	for (int codec = 0; codec <= PT_CODEC_LAST; codec++)
	{
		size_t		len;
		char	   *data = batch_of("a1a2b3c4", 0, codec, &len);
		PtKeyMap	map = map_of(data, len);
		PtFilter	filter = filter_with(&map);
		PtFiltered	left;
		PtBatchHeader h;

		SAY("codec %d", codec);
		CHECK_STATUS(pt_filter_batch(&filter, data, len, false, &left), PT_BATCH_OK);
		CHECK_STATUS(pt_batch_header_read(left.data, left.len, &h), PT_BATCH_OK);
		CHECK_INT(h.attributes & PT_BATCH_COMPRESSION_MASK, codec);
		CHECK_INT(h.max_timestamp, BASE_TIME + 3);
		CHECK_INT(h.base_timestamp, BASE_TIME);
		CHECK_INT(h.record_count, 3);
		pt_filter_free(&filter);
		pt_key_map_free(&map);
		pg_free(data);
	}
}

/* The largest timestamp is that of the records that stay, but of log append time. */
static void
test_timestamps(void)
{
	for (int append_time = 0; append_time < 2; append_time++)
	{
		size_t		len;
		char	   *data = batch_of("a1b2.3", 0, PT_CODEC_LZ4, &len);
		PtKeyMap	map;
		PtFilter	filter;
		PtFiltered	left;
		PtBatchHeader h;
		char text[	100];

		if (append_time)
			pt_batch_set_append_time(data, BASE_TIME + 99);
		map = map_of(data, len);
		filter = filter_with(&map);
		CHECK_STATUS(pt_filter_batch(&filter, data, len, false, &left), PT_BATCH_OK);
		CHECK_STATUS(pt_batch_header_read(left.data, left.len, &h), PT_BATCH_OK);
		CHECK_INT(h.max_timestamp, append_time ? BASE_TIME + 99 : BASE_TIME + 1);
		text_of(left.data, left.len, text);
		CHECK_INT(filter.counts.keyless, 1);
		pt_filter_free(&filter);
		pt_key_map_free(&map);
		pg_free(data);
	}
}

/* Filters the batch once more, at another time; returns what is left of it. */
static char *
filter_again(char *data, size_t *len, const PtKeyMap *map, int64 now, int64 clean_offset, PtFilterKind kind)
{
	PtFilter	filter = filter_with(map);
	PtFiltered	left;
	char	   *copy;

	filter.now_ms = now;
	filter.clean_offset = clean_offset;
	CHECK_STATUS(pt_filter_batch(&filter, data, *len, false, &left), PT_BATCH_OK);
	CHECK_INT(left.kind, kind);
	copy = test_copy(left.data, left.len);
	*len = left.len;
	pt_filter_free(&filter);
	pg_free(data);
	return copy;
}

/*
 * A tombstone gets its horizon, stays until then, and goes only if a compaction that covered it was
 * completed before.
 */
static void
test_tombstones(void)
{
	for (int codec = 0; codec <= PT_CODEC_LAST; codec++)
	{
		size_t		len;
		char	   *data = batch_of("a1b-c3c4", 100, codec, &len);
		PtKeyMap	map = map_of(data, len);
		PtBatchHeader h;
		char text[	100];

		SAY("codec %d", codec);
		data = filter_again(data, &len, &map, NOW, 0, PT_FILTER_CHANGED);
		CHECK_STATUS(pt_batch_header_read(data, len, &h), PT_BATCH_OK);
		CHECK(h.attributes & PT_BATCH_DELETE_HORIZON);
		CHECK_INT(h.base_timestamp, NOW + RETENTION);
		CHECK_INT(h.max_timestamp, BASE_TIME + 3);
		text_of(data, len, text);
		CHECK(strcmp(text, "a1b-  c4") == 0);
		data = filter_again(data, &len, &map, NOW + RETENTION - 1, 104, PT_FILTER_WHOLE);
		data = filter_again(data, &len, &map, NOW + RETENTION, 101, PT_FILTER_WHOLE);
		data = filter_again(data, &len, &map, NOW + RETENTION, 102, PT_FILTER_CHANGED);
		text_of(data, len, text);
		CHECK(strcmp(text, "a1    c4") == 0);
		pt_key_map_free(&map);
		pg_free(data);
	}
}

/* The longest retention there is does not overflow. */
static void
test_endless_tombstone(void)
{
	size_t		len;
	char	   *data = batch_of("a-", 0, PT_CODEC_NONE, &len);
	PtKeyMap	map = map_of(data, len);
	PtFilter	filter = filter_with(&map);
	PtFiltered	left;
	char text[	100];

	filter.delete_retention_ms = PG_INT64_MAX;
	CHECK_STATUS(pt_filter_batch(&filter, data, len, false, &left), PT_BATCH_OK);
	CHECK_INT(pt_get_int64(left.data + BATCH_AT_BASE_TIMESTAMP), PG_INT64_MAX);
	text_of(left.data, left.len, text);
	CHECK(strcmp(text, "a-") == 0);
	pt_filter_free(&filter);
	pt_key_map_free(&map);
	pg_free(data);
}

/* What the map does not cover stays, and gets no horizon. */
static void
test_behind_the_map(void)
{
	size_t		len;
	char	   *data = batch_of("a1a2b-c4a5", 10, PT_CODEC_SNAPPY, &len);
	PtKeyMap	map;
	PtFilter	filter;
	PtFiltered	left;
	char text[	100];

	CHECK(pt_key_map_init(&map, 1 << 20, 1000, secret));
	CHECK(pt_key_map_put(&map, "a", 1, 11));
	CHECK(pt_key_map_put(&map, "b", 1, 12));
	map.latest_offset = 12;
	filter = filter_with(&map);
	CHECK_STATUS(pt_filter_batch(&filter, data, len, false, &left), PT_BATCH_OK);
	text_of(left.data, left.len, text);
	CHECK(strcmp(text, "  a2b-c4a5") == 0);
	CHECK(!(pt_get_int16(left.data + BATCH_AT_ATTRIBUTES) & PT_BATCH_DELETE_HORIZON));
	pt_filter_free(&filter);
	pt_key_map_free(&map);
	pg_free(data);
}

/* An empty batch that must stay has no records, no codec and no horizon, and stays empty. */
static void
test_empty_batches(void)
{
	size_t		len;
	char	   *data = batch_of("a1b-c3", 10, PT_CODEC_ZSTD, &len);
	PtKeyMap	map = map_of(data, len);
	PtFilter	filter = filter_with(&map);
	PtFiltered	left;
	PtBatchHeader h;
	char	   *empty;
	char text[	100];

	CHECK(pt_key_map_put(&map, "a", 1, 20) && pt_key_map_put(&map, "b", 1, 21) && pt_key_map_put(&map, "c", 1, 22));
	map.latest_offset = 22;
	CHECK_STATUS(pt_filter_batch(&filter, data, len, false, &left), PT_BATCH_OK);
	CHECK_INT(left.kind, PT_FILTER_DROPPED);
	CHECK_STATUS(pt_filter_batch(&filter, data, len, true, &left), PT_BATCH_OK);
	CHECK_INT(left.kind, PT_FILTER_CHANGED);
	CHECK_INT(left.len, PT_BATCH_HEADER_SIZE);
	check_same_header(data, left.data, left.len);
	CHECK_STATUS(pt_batch_header_read(left.data, left.len, &h), PT_BATCH_OK);
	CHECK_INT(h.record_count, 0);
	CHECK_INT(h.attributes, 0);
	CHECK_INT(h.base_timestamp, -1);
	CHECK_INT(h.max_timestamp, BASE_TIME + 2);
	text_of(left.data, left.len, text);
	CHECK(strcmp(text, "      ") == 0);
	empty = test_copy(left.data, left.len);
	CHECK_STATUS(pt_filter_batch(&filter, empty, PT_BATCH_HEADER_SIZE, true, &left), PT_BATCH_OK);
	CHECK_INT(left.kind, PT_FILTER_WHOLE);
	CHECK_STATUS(pt_filter_batch(&filter, empty, PT_BATCH_HEADER_SIZE, false, &left), PT_BATCH_OK);
	CHECK_INT(left.kind, PT_FILTER_DROPPED);
	pg_free(empty);
	pt_filter_free(&filter);
	pt_key_map_free(&map);
	pg_free(data);
}

/* A control batch is not looked into, and has no keys. */
static void
test_control(void)
{
	size_t		len;
	char	   *data = batch_of("a1a2", 10, PT_CODEC_NONE, &len);
	PtKeyMap	map;
	PtFilter	filter;
	PtFiltered	left;

	pt_put_int16(data + BATCH_AT_ATTRIBUTES, PT_BATCH_CONTROL | PT_BATCH_TRANSACTIONAL);
	pt_batch_seal(data, len);
	map = map_of(data, len);
	CHECK_INT(map.used, 0);
	CHECK_INT(map.latest_offset, 11);
	filter = filter_with(&map);
	CHECK_STATUS(pt_filter_batch(&filter, data, len, false, &left), PT_BATCH_OK);
	CHECK_INT(left.kind, PT_FILTER_WHOLE);
	pt_filter_free(&filter);
	pt_key_map_free(&map);
	pg_free(data);
}

/* Damage is reported, and never gets a new CRC. */
static void
test_damage(void)
{
	size_t		len;
	char	   *data = batch_of("a1a2", 10, PT_CODEC_NONE, &len);
	PtKeyMap	map = map_of(data, len);
	PtFilter	filter = filter_with(&map);
	PtFiltered	left;
	bool		full;

	for (size_t i = BATCH_AT_ATTRIBUTES; i < len; i++)
	{
		data[i] ^= 1;
		SAY("byte %zu", i);
		CHECK_STATUS(pt_filter_batch(&filter, data, len, false, &left), PT_BATCH_BAD_CRC);
		CHECK_STATUS(pt_filter_learn(&map, data, len, 0, &full), PT_BATCH_BAD_CRC);
		data[i] ^= 1;
	}
	CHECK_STATUS(pt_filter_batch(&filter, data, len - 1, false, &left), PT_BATCH_TRUNCATED);
	pt_put_int32(data + BATCH_AT_RECORD_COUNT, 1);
	pt_batch_seal(data, len);
	CHECK_STATUS(pt_filter_batch(&filter, data, len, false, &left), PT_BATCH_BAD_COUNT);
	pt_put_int32(data + BATCH_AT_RECORD_COUNT, 3);
	pt_batch_seal(data, len);
	CHECK_STATUS(pt_filter_batch(&filter, data, len, false, &left), PT_BATCH_BAD_COUNT);
	CHECK_INT(filter.counts.batches, 0);
	pt_filter_free(&filter);
	pt_key_map_free(&map);
	pg_free(data);
}

/* Records before the start of the log go, and do not count as a key's last ones. */
static void
test_start_and_from(void)
{
	size_t		len;
	char	   *data = batch_of("a1b2c3d4", 10, PT_CODEC_NONE, &len);
	PtKeyMap	map = map_of(data, len);
	PtFilter	filter = filter_with(&map);
	PtFiltered	left;
	char text[	100];
	bool		full;

	filter.start_offset = 12;
	CHECK_STATUS(pt_filter_batch(&filter, data, len, false, &left), PT_BATCH_OK);
	text_of(left.data, left.len, text);
	CHECK(strcmp(text, "    c3d4") == 0);
	pt_key_map_free(&map);
	CHECK(pt_key_map_init(&map, 1 << 20, 1000, secret));
	CHECK_STATUS(pt_filter_learn(&map, data, len, 12, &full), PT_BATCH_OK);
	CHECK_INT(map.used, 2);
	CHECK_INT(pt_key_map_get(&map, "b", 1), -1);
	pt_filter_free(&filter);
	pt_key_map_free(&map);
	pg_free(data);
}

/* Random logs, several passes with a map that is too small: for each key the last record is left. */
static void
test_random_logs(void)
{
	uint64		seed = 20260;

	for (int round = 0; round < 60; round++)
	{
		enum
		{
		BATCHES = 40, KEYS = 26};
		char	   *batch[BATCHES];
		size_t		len[BATCHES];
		char		last[KEYS];
		int64		last_offset[KEYS];
		int64		offset = 0;
		int64		clean = 0;

		memset(last, 0, sizeof(last));
		for (int i = 0; i < BATCHES; i++)
		{
			char text[	50];
			int			n = 1 + (int) (test_random(&seed) % 20);

			for (int r = 0; r < n; r++)
			{
				int			key = (int) (test_random(&seed) % KEYS);

				text[		2 * r] = (char) ('a' + key);
				text[		2 * r + 1] = last[key] = test_random(&seed) % 5 == 0 ? '-' : (char) ('0' + test_random(&seed) % 10);

				last_offset[key] = offset + r;
			}
			text[		2 * n] = '\0';

			batch[i] = batch_of(text, offset, (int) (test_random(&seed) % (PT_CODEC_LAST + 1)), &len[i]);
			offset += n;
		}
		while (clean < offset)
		{
			PtKeyMap	map;
			PtFilter	filter;
			bool		full = false;

			CHECK(pt_key_map_init(&map, 20 * sizeof(PtKeySlot), 1000, secret));
			for (int i = 0; i < BATCHES && !full; i++)
				CHECK_STATUS(pt_filter_learn(&map, batch[i], len[i], clean, &full), PT_BATCH_OK);
			CHECK(map.latest_offset >= clean);
			filter = filter_with(&map);
			filter.clean_offset = clean;
			for (int i = BATCHES - 1; i >= 0; i--)
			{
				PtFiltered	left;
				char	   *copy;

				CHECK_STATUS(pt_filter_batch(&filter, batch[i], len[i], true, &left), PT_BATCH_OK);
				CHECK(left.kind != PT_FILTER_DROPPED);
				copy = test_copy(left.data, left.len);
				len[i] = left.len;
				pg_free(batch[i]);
				batch[i] = copy;
			}
			clean = map.latest_offset + 1;
			pt_filter_free(&filter);
			pt_key_map_free(&map);
		}
		for (int i = 0; i < BATCHES; i++)
		{
			char text[	50];
			PtBatchHeader h;

			text_of(batch[i], len[i], text);
			CHECK_STATUS(pt_batch_header_read(batch[i], len[i], &h), PT_BATCH_OK);
			for (int r = 0; text[2 * r] != '\0'; r++)
			{
				int			key = text[2 * r] - 'a';

				if (text[2 * r] == ' ')
					continue;
				SAY("round %d, offset %lld", round, (long long) h.base_offset + r);
				CHECK_INT(h.base_offset + r, last_offset[key]);
				CHECK_INT(text[2 * r + 1], last[key]);
				last[key] = 0;
			}
			pg_free(batch[i]);
		}
		for (int key = 0; key < KEYS; key++)
			CHECK_INT(last[key], 0);
	}
}

int
main(void)
{
	RUN(test_last_of_key);
	RUN(test_codec_stays);
	RUN(test_timestamps);
	RUN(test_tombstones);
	RUN(test_endless_tombstone);
	RUN(test_behind_the_map);
	RUN(test_empty_batches);
	RUN(test_control);
	RUN(test_damage);
	RUN(test_start_and_from);
	RUN(test_random_logs);
	return test_done();
}
