/*-------------------------------------------------------------------------
 *
 * consumer_protocol.c
 *	  Reads and writes the "consumer" protocol inside the classic one.
 *
 * The format is that of Kafka's ConsumerProtocolSubscription.json and
 * ConsumerProtocolAssignment.json.  All integers are big-endian.  Strings have
 * an int16 length, bytes and arrays an int32 length; -1 is null.  The bytes
 * come from a client, so they are not trusted: an array never allocates more
 * than the rest of the input could hold.
 *
 * Siblings: consumer_protocol.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "coord/port.h"

#include "coord/consumer_protocol.h"

#define VERSION_MAX 3			/* the newest version that we read */

/*
 * The rest of the input.  After an error "bad" stays set, and everything that
 * is read is empty.
 */
typedef struct Input
{
	const uint8 *at;
	size_t		left;
	bool		bad;
} Input;

/*
 * Reads a big-endian integer of 1 to 8 bytes.
 */
static uint64
read_integer(Input *in, int size)
{
	uint64		value = 0;

	if (in->bad || in->left < size)
	{
		in->bad = true;
		return 0;
	}
	for (int i = 0; i < size; i++)
		value = value << 8 | in->at[i];
	in->at += size;
	in->left -= size;
	return value;
}

static int16
read_int16(Input *in)
{
	return (int16) (uint16) read_integer(in, 2);
}

static int32
read_int32(Input *in)
{
	return (int32) (uint32) read_integer(in, 4);
}

/*
 * Reads len bytes.  -1 means null where that is allowed, and is an error
 * elsewhere.
 */
static CoordBytes
read_bytes(Input *in, int32 len, bool nullable)
{
	CoordBytes	result = COORD_NULL_BYTES;

	if (len == -1 && nullable && !in->bad)
		return result;
	if (in->bad || len < 0 || in->left < len)
	{
		in->bad = true;
		return result;
	}
	result = (CoordBytes)
	{
		(const char *) in->at, len
	};
	in->at += len;
	in->left -= len;
	return result;
}

static CoordBytes
read_string(Input *in, bool nullable)
{
	return read_bytes(in, read_int16(in), nullable);
}

/*
 * Reads the number of elements of an array.  Each element takes at least
 * "least" bytes, so a number that the input cannot hold is an error.
 */
static int
read_count(Input *in, size_t least)
{
	int32		n = read_int32(in);

	Assert(least > 0);
	if (in->bad || n < 0 || n > in->left / least)
	{
		in->bad = true;
		return 0;
	}
	return n;
}

/*
 * Reads an array of topics with their partitions, into memory of the step.
 */
static ProtocolTopic *
read_topics(CoordGroups *groups, Input *in, int *n)
{
	ProtocolTopic *topics;

	*n = read_count(in, 2 + 4);
	topics = coord_step_alloc(groups, sizeof(ProtocolTopic) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		topics[i].name = read_string(in, false);
		topics[i].npartitions = read_count(in, 4);
		topics[i].partitions = coord_step_alloc(groups, sizeof(int32) * Max(topics[i].npartitions, 1));
		for (int j = 0; j < topics[i].npartitions; j++)
			topics[i].partitions[j] = read_int32(in);
	}
	return topics;
}

/*
 * Reads the version at the beginning of both messages.  A newer one is read
 * like the newest that we know, because newer versions only add fields at the
 * end.
 */
static int16
read_version(Input *in)
{
	int16		version = read_int16(in);

	if (version < 0)
		in->bad = true;
	return Min(version, VERSION_MAX);
}

/*
 * Reads ConsumerProtocolSubscription, the metadata of JoinGroup.  See the
 * header for the memory.  Returns false if it is malformed.
 */
bool
consumer_protocol_read_subscription(CoordGroups *groups, CoordBytes input, ProtocolSubscription *out)
{
	Input		in = {(const uint8 *) input.data, pt_string_size(input), false};

	memset(out, 0, sizeof(*out));
	out->generation = -1;
	out->rack_id = COORD_NULL_BYTES;
	out->version = read_version(&in);
	out->ntopics = read_count(&in, 2);
	out->topics = coord_step_alloc(groups, sizeof(CoordBytes) * Max(out->ntopics, 1));
	for (int i = 0; i < out->ntopics; i++)
		out->topics[i] = read_string(&in, false);
	out->user_data = read_bytes(&in, read_int32(&in), true);
	if (out->version >= 1)
		out->owned = read_topics(groups, &in, &out->nowned);
	if (out->version >= 2)
		out->generation = read_int32(&in);
	if (out->version >= 3)
		out->rack_id = read_string(&in, true);
	return !in.bad;
}

/*
 * Reads ConsumerProtocolAssignment, which SyncGroup gives to a member.
 * Returns false if it is malformed.
 */
bool
consumer_protocol_read_assignment(CoordGroups *groups, CoordBytes input, ProtocolAssignment *out)
{
	Input		in = {(const uint8 *) input.data, pt_string_size(input), false};

	memset(out, 0, sizeof(*out));
	out->version = read_version(&in);
	out->assigned = read_topics(groups, &in, &out->nassigned);
	out->user_data = read_bytes(&in, read_int32(&in), true);
	return !in.bad;
}

/*
 * Writes a big-endian integer; returns the place behind it.
 */
static char *
write_integer(char *at, int32 value, int size)
{
	for (int i = size - 1; i >= 0; i--)
		*at++ = (char) ((uint32) value >> (8 * i));
	return at;
}

/*
 * Writes ConsumerProtocolAssignment in the version that the member has shown
 * to understand, without user data, in memory of the step.
 */
CoordBytes
consumer_protocol_write_assignment(CoordGroups *groups, int16 version, const ProtocolTopic *assigned, int nassigned)
{
	size_t		size = 2 + 4 + 4;
	char	   *result;
	char	   *at;

	for (int i = 0; i < nassigned; i++)
		size += 2 + pt_string_size(assigned[i].name) + 4 + 4 * (size_t) assigned[i].npartitions;
	result = at = coord_step_alloc(groups, size);
	at = write_integer(at, Min(Max(version, 0), VERSION_MAX), 2);
	at = write_integer(at, nassigned, 4);
	for (int i = 0; i < nassigned; i++)
	{
		Assert(assigned[i].name.len >= 0 && assigned[i].name.len <= PG_INT16_MAX);
		at = write_integer(at, assigned[i].name.len, 2);
		(void) pt_string_put(&at, assigned[i].name);
		at = write_integer(at, assigned[i].npartitions, 4);
		for (int j = 0; j < assigned[i].npartitions; j++)
			at = write_integer(at, assigned[i].partitions[j], 4);
	}
	at = write_integer(at, -1, 4);
	Assert(at == result + size);
	return (CoordBytes)
	{
		result, size
	};
}
