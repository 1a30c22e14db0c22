/*-------------------------------------------------------------------------
 *
 * offset_codec.c
 *	  The records of __consumer_offsets, as Kafka encodes them.
 *
 * There are two kinds: the committed offset of a group in a partition
 * (OffsetCommitKey and OffsetCommitValue), and the group itself
 * (GroupMetadataKey and GroupMetadataValue), of which we use only the time
 * when it had members last.  Strings are UTF-8.
 *
 * Records may come from a restored dump or from another cluster, so they are
 * checked like any input.
 *
 * Sibling: offset_cache.c keeps what the records say.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "record/input.h"
#include "groups/internal.h"

#define KEY_VERSION			1	/* 0 and 1 are committed offsets */
#define GROUP_KEY_VERSION	2
#define VALUE_VERSION		4	/* with tagged fields */
#define GROUP_VALUE_VERSION	3
#define TAG_TOPIC_ID		0

/*
 * Appends big-endian integers.
 */
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

/*
 * Appends an unsigned varint.
 */
static void
put_uvarint(StringInfo buf, uint32 value)
{
	for (; value >= 0x80; value >>= 7)
		appendStringInfoChar(buf, (char) (value | 0x80));
	appendStringInfoChar(buf, (char) value);
}

/*
 * Appends a string with an int16 length.  ERROR 22023 if it is too long;
 * "what" is its name for users.
 */
static void
put_string(StringInfo buf, PtString s, const char *what)
{
	Assert(s.len >= 0);
	if (s.len > PG_INT16_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is too long", what),
				 errdetail("It may have %d bytes.", PG_INT16_MAX)));
	put_int16(buf, (int16) s.len);
	appendBinaryStringInfo(buf, s.data, s.len);
}

/*
 * Writes OffsetCommitKey version 1 into buf, which it initializes.  ERROR
 * 22023 for names that are too long.
 */
void
pt_offset_key_write(StringInfo buf, PtString group_id, PtString topic, int32 partition)
{
	Assert(partition >= 0);
	Assert(topic.len > 0);
	initStringInfo(buf);
	put_int16(buf, KEY_VERSION);
	put_string(buf, group_id, "group_id");
	put_string(buf, topic, "topic name");
	put_int32(buf, partition);
}

/*
 * Writes GroupMetadataKey version 2 into buf, which it initializes.  ERROR
 * 22023 for a group id that is too long.
 */
void
pt_offset_group_key_write(StringInfo buf, PtString group_id)
{
	initStringInfo(buf);
	put_int16(buf, GROUP_KEY_VERSION);
	put_string(buf, group_id, "group_id");
}

/*
 * Writes OffsetCommitValue version 4 into buf, which it initializes.
 */
void
pt_offset_value_write(StringInfo buf, const PtCommittedOffset *committed)
{
	Assert(!committed->removed);
	Assert(committed->metadata.len >= 0);
	Assert(committed->commit_time >= 0);
	initStringInfo(buf);
	put_int16(buf, VALUE_VERSION);
	put_int64(buf, committed->offset);
	put_int32(buf, committed->leader_epoch);
	put_uvarint(buf, (uint32) committed->metadata.len + 1);
	appendBinaryStringInfo(buf, committed->metadata.data, committed->metadata.len);
	put_int64(buf, committed->commit_time);
	put_uvarint(buf, 1);		/* tagged fields */
	put_uvarint(buf, TAG_TOPIC_ID);
	put_uvarint(buf, UUID_LEN);
	appendBinaryStringInfo(buf, (const char *) committed->topic_id.data, UUID_LEN);
}

/*
 * Writes GroupMetadataValue version 3 into buf, which it initializes: that of
 * a group which has had no members since last_used (ms).
 */
void
pt_offset_group_value_write(StringInfo buf, int64 last_used)
{
	Assert(last_used > 0);
	initStringInfo(buf);
	put_int16(buf, GROUP_VALUE_VERSION);
	put_string(buf, PT_STRING("consumer"), "protocol type");
	put_int32(buf, 0);			/* generation */
	put_int16(buf, -1);			/* protocol: null */
	put_int16(buf, -1);			/* leader: null */
	put_int64(buf, last_used);
	put_int32(buf, 0);			/* members */
}

/*
 * Takes a string.  A null string counts as an empty one.
 */
static PtString
take_string(PtInput *in, bool compact)
{
	int64		len = compact ? (int64) pt_take_uvarint(in) - 1 : pt_take_int(in, 2);
	PtString	s = PT_STRING_EMPTY;

	if (len > 0)
	{
		s.data = pt_take(in, (uint64) len);
		s.len = in->at ? (int32) len : 0;
	}
	return s;
}

/*
 * Reads a key.  Returns false for keys of other kinds and for malformed ones.
 * Strings point into data.
 */
bool
pt_offset_key_read(const char *data, int len, PtOffsetKey *key)
{
	PtInput		in = {data, data + len};
	int64		version = pt_take_int(&in, 2);

	memset(key, 0, sizeof(*key));
	if (version < 0 || version > GROUP_KEY_VERSION)
		return false;
	key->is_group = version == GROUP_KEY_VERSION;
	key->group_id = take_string(&in, false);
	if (!key->is_group)
	{
		key->topic = take_string(&in, false);
		key->partition = (int32) pt_take_int(&in, 4);
	}
	return in.at == in.end && key->partition >= 0;
}

/*
 * Takes the topic id from the tagged fields at the end of a value, from
 * version 4 on.
 */
static void
take_topic_id(PtInput *in, pg_uuid_t *topic_id)
{
	for (uint32 n = pt_take_uvarint(in); n > 0 && in->at; n--)
	{
		uint32		tag = pt_take_uvarint(in);
		uint32		size = pt_take_uvarint(in);
		const char *p = pt_take(in, size);

		if (p && tag == TAG_TOPIC_ID && size == UUID_LEN)
			memcpy(topic_id->data, p, UUID_LEN);
	}
}

/*
 * Reads OffsetCommitValue of any version; topic and partition are in the key.
 * Returns false if it is malformed.  Strings point into data.
 */
bool
pt_offset_value_read(const char *data, int len, PtCommittedOffset *committed)
{
	PtInput		in = {data, data + len};
	int64		version = pt_take_int(&in, 2);

	if (version < 0)
		return false;
	memset(&committed->topic_id, 0, sizeof(committed->topic_id));
	committed->removed = false;
	committed->offset = pt_take_int(&in, 8);
	committed->leader_epoch = version >= 3 ? (int32) pt_take_int(&in, 4) : -1;
	committed->metadata = take_string(&in, version >= VALUE_VERSION);
	committed->commit_time = pt_take_int(&in, 8);
	if (version >= VALUE_VERSION)
		take_topic_id(&in, &committed->topic_id);
	return in.at != NULL;
}

/*
 * Reads GroupMetadataValue from version 2 on; returns false for older ones,
 * which have no time.
 */
bool
pt_offset_group_value_read(const char *data, int len, int64 *last_used)
{
	PtInput		in = {data, data + len};
	int64		version = pt_take_int(&in, 2);
	bool		compact = version >= 4;

	if (version < 2)
		return false;			/* has no time */
	(void) take_string(&in, compact);	/* protocol type */
	(void) pt_take_int(&in, 4); /* generation */
	(void) take_string(&in, compact);	/* protocol */
	(void) take_string(&in, compact);	/* leader */
	*last_used = pt_take_int(&in, 8);
	return in.at != NULL;
}

/*
 * Returns the partition of __consumer_offsets for a group, or of
 * __transaction_state for a transactional id, as Kafka's tools expect it:
 * Java's String.hashCode() over UTF-16 units, modulo npartitions, as Kafka's
 * Utils.abs() does it.  Bytes that are not UTF-8 count one by one.
 */
int32
pt_group_partition(PtString group_id, int32 npartitions)
{
	const unsigned char *p = (const unsigned char *) group_id.data;
	const unsigned char *end = p + group_id.len;
	uint32		hash = 0;

	Assert(npartitions > 0);
	while (p < end)
	{
		int			len = pg_utf_mblen(p);
		pg_wchar	c = *p;

		if (len > end - p || !pg_utf8_islegal(p, len))
			len = 1;
		if (len > 1)
			c = utf8_to_unicode(p);
		p += len;
		if (c < 0x10000)
			hash = hash * 31 + c;
		else
		{
			hash = hash * 31 + (0xD800 + ((c - 0x10000) >> 10));
			hash = hash * 31 + (0xDC00 + ((c - 0x10000) & 0x3FF));
		}
	}
	if (hash == 0x80000000)
		return 0;
	return (int32) ((int32) hash < 0 ? -(int32) hash : (int32) hash) % npartitions;
}
