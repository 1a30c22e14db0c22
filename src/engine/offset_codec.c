/*-------------------------------------------------------------------------
 *
 * offset_codec.c
 *	  The records of __consumer_offsets, as Kafka encodes them.
 *
 * Strings in them are UTF-8, whatever the database's encoding.
 *
 * Sibling: positions.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "log/bytes.h"
#include "log/varint.h"
#include "engine/offset_codec.h"

#define KEY_VERSION		1		/* 0 and 1 are committed offsets, 2 groups */
#define VALUE_VERSION	4		/* with tagged fields */
#define TAG_TOPIC_ID	0

static void
put_int16(StringInfo buf, int16 value)
{
	char		b[2];

	pt_put_int16(b, value);
	appendBinaryStringInfo(buf, b, sizeof(b));
}

static void
put_int32(StringInfo buf, int32 value)
{
	char		b[4];

	pt_put_int32(b, value);
	appendBinaryStringInfo(buf, b, sizeof(b));
}

static void
put_int64(StringInfo buf, int64 value)
{
	char		b[8];

	pt_put_int64(b, value);
	appendBinaryStringInfo(buf, b, sizeof(b));
}

static void
put_string(StringInfo buf, const char *s, const char *what)
{
	char	   *utf8 = pg_server_to_any(s, strlen(s), PG_UTF8);
	size_t		len = strlen(utf8);

	if (len > PG_INT16_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is too long", what),
				 errdetail("It may have %d bytes.", PG_INT16_MAX)));
	put_int16(buf, (int16) len);
	appendBinaryStringInfo(buf, utf8, (int) len);
	if (utf8 != s)
		pfree(utf8);
}

void
pt_offset_key_write(StringInfo buf, const char *group_id, const char *topic, int32 partition)
{
	initStringInfo(buf);
	put_int16(buf, KEY_VERSION);
	put_string(buf, group_id, "group_id");
	put_string(buf, topic, "topic name");
	put_int32(buf, partition);
}

bool
pt_offset_key_is(const char *data, int len)
{
	return len > 2 && pt_get_int16(data) >= 0 && pt_get_int16(data) <= KEY_VERSION;
}

static void
put_uvarint(StringInfo buf, uint32 value)
{
	for (; value >= 0x80; value >>= 7)
		appendStringInfoChar(buf, (char) (value | 0x80));
	appendStringInfoChar(buf, (char) value);
}

void
pt_offset_value_write(StringInfo buf, int64 offset, const char *metadata, int64 timestamp,
					  const pg_uuid_t *topic_id)
{
	char	   *utf8 = pg_server_to_any(metadata, strlen(metadata), PG_UTF8);

	initStringInfo(buf);
	put_int16(buf, VALUE_VERSION);
	put_int64(buf, offset);
	put_int32(buf, -1);			/* leader epoch of the record before: not known */
	put_uvarint(buf, (uint32) strlen(utf8) + 1);
	appendBinaryStringInfo(buf, utf8, (int) strlen(utf8));
	put_int64(buf, timestamp);
	put_uvarint(buf, 1);		/* tagged fields */
	put_uvarint(buf, TAG_TOPIC_ID);
	put_uvarint(buf, UUID_LEN);
	appendBinaryStringInfo(buf, (const char *) topic_id->data, UUID_LEN);
	if (utf8 != metadata)
		pfree(utf8);
}

/* The topic's id among the tagged fields at the end of a version 4 value. */
static bool
read_topic_id(const char *at, const char *end, pg_uuid_t *topic_id)
{
	uint64		n;
	uint64		tag;
	uint64		size;

	if ((at = pt_uvarint_read(at, end, 32, &n)) == NULL || n == 0 || n - 1 + 8 > end - at)
		return false;
	at += n - 1 + 8;			/* metadata, commit timestamp */
	if ((at = pt_uvarint_read(at, end, 32, &n)) == NULL)
		return false;
	while (n-- > 0)
	{
		if ((at = pt_uvarint_read(at, end, 32, &tag)) == NULL ||
			(at = pt_uvarint_read(at, end, 32, &size)) == NULL || size > end - at)
			return false;
		if (tag == TAG_TOPIC_ID && size == UUID_LEN)
			memcpy(topic_id->data, at, UUID_LEN);
		at += size;
	}
	return true;
}

bool
pt_offset_value_read(const char *data, int len, int64 *offset, pg_uuid_t *topic_id)
{
	memset(topic_id, 0, sizeof(*topic_id));
	if (len < 10 || pt_get_int16(data) < 0)
		return false;
	*offset = pt_get_int64(data + 2);	/* the same place in all versions */
	if (pt_get_int16(data) < VALUE_VERSION)
		return true;
	return len >= 14 && read_topic_id(data + 14, data + len, topic_id);
}

/*
 * Java's String.hashCode, over UTF-16 units, and Kafka's modulo, so that a
 * group is where Kafka's tools expect it.
 */
int32
pt_group_partition(const char *group_id, int32 npartitions)
{
	char	   *utf8 = pg_server_to_any(group_id, strlen(group_id), PG_UTF8);
	uint32		hash = 0;

	Assert(npartitions > 0);
	for (const unsigned char *p = (const unsigned char *) utf8; *p;)
	{
		pg_wchar	c = utf8_to_unicode(p);

		p += pg_utf_mblen(p);
		if (c < 0x10000)
			hash = hash * 31 + c;
		else
		{
			hash = hash * 31 + (0xD800 + ((c - 0x10000) >> 10));
			hash = hash * 31 + (0xDC00 + ((c - 0x10000) & 0x3FF));
		}
	}
	if (utf8 != group_id)
		pfree(utf8);
	if (hash == 0x80000000)
		return 0;
	return (int32) ((int32) hash < 0 ? -(int32) hash : (int32) hash) % npartitions;
}
