/*-------------------------------------------------------------------------
 *
 * test_strings.c
 *	  What clients call themselves and send along comes back as it was: every
 *	  string of every message through the codec, and every string that the
 *	  coordinator of groups keeps through the coordinator.
 *
 *	  Strings have all lengths at which something changes (a varint grows, a
 *	  size class ends, a length field is full) and hold zero bytes at both ends
 *	  and in the middle.  Each is a block of its own, freed as soon as it has
 *	  been handed over, so that the address sanitizer sees who reads beyond it
 *	  or keeps a pointer.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
/* sources: src/kafka/codec.c src/kafka/frame.c src/kafka/messages/messages.c src/coord/?*.c */
#include "test.h"

#include "coord/coord.h"
#include "messages.h"

static const int lengths[] = {
	0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 126, 127, 128, 129, 254, 255, 256, 257, 511, 512, 1023, 1024,
	4095, 4096, 16381, 16382, 16383, 16384, 32766, 32767
};

/* Enough for what is done with every field of every message. */
static const int few_lengths[] = {0, 1, 2, 126, 127, 128, 16382, 16383, 32767};

/*
 * A string of that length, to be freed.  The seed makes another one; zero
 * bytes are at both ends and between them, and nowhere else.
 */
static char *
make(int len, int seed)
{
	char	   *s = pg_malloc(Max(len, 1));

	for (int i = 0; i < len; i++)
		s[i] = (char) ('A' + (i * 31 + seed) % (255 - 'A'));
	if (len > 1)
		s[0] = '\0';
	if (len > 2)
		s[len - 1] = '\0';
	if (len > 3)
		s[len / 2] = '\0';
	return s;
}

static bool
is_made(PtString s, int len, int seed)
{
	char	   *want = make(len, seed);
	bool		same = s.len == len && (len == 0 || memcmp(s.data, want, len) == 0);

	pg_free(want);
	return same;
}

/*
 * The codec: a message whose nth string is the one, and whose arrays have one
 * item each.
 */

typedef struct Filler
{
	int			version;
	int			wanted;			/* which string; -1: none, to count them */
	int			n;				/* strings so far */
	PtString	value;
	Memory	   *memory;
} Filler;

static void fill_struct(Filler *filler, const KafkaSchema *schema, char *out);

static void
fill_string(Filler *filler, PtString *out)
{
	if (filler->n++ == filler->wanted)
		*out = filler->value;
}

static void
fill_field(Filler *filler, const KafkaField *f, char *out)
{
	KafkaArray *array = (KafkaArray *) out;

	switch ((KafkaType) f->type)
	{
		case KAFKA_STRING:
		case KAFKA_BYTES:
			fill_string(filler, (PtString *) out);
			break;
		case KAFKA_LIST:
			array->n = 1;
			array->items = memory_alloc(filler->memory, sizeof(PtString));
			memset(array->items, 0, sizeof(PtString));
			if (f->item == KAFKA_STRING || f->item == KAFKA_BYTES)
				fill_string(filler, array->items);
			break;
		case KAFKA_ARRAY:
			array->n = 1;
			array->items = memory_alloc(filler->memory, f->elem()->size);
			fill_struct(filler, f->elem(), array->items);
			break;
		case KAFKA_OPTION:
			*(void **) out = memory_alloc(filler->memory, f->elem()->size);
			fill_struct(filler, f->elem(), *(void **) out);
			break;
		case KAFKA_STRUCT_IN_PLACE:
			fill_struct(filler, f->elem(), out);
			break;
		default:
			break;
	}
}

static void
fill_struct(Filler *filler, const KafkaSchema *schema, char *out)
{
	kafka_defaults(schema, out, 1);
	for (int i = 0; i < schema->nfields; i++)
	{
		if (kafka_field_present(&schema->fields[i], filler->version))
			fill_field(filler, &schema->fields[i], out + schema->fields[i].offset);
	}
}

/* One message with its nth string being of that length; returns how many strings it has. */
static int
pass_codec(const KafkaApi *api, const KafkaSchema *schema, int version, int wanted, int len)
{
	Memory		memory = {0};
	char	   *value = make(len, wanted);
	Filler		filler = {.version = version, .wanted = wanted, .value = {value, len}, .memory = &memory};
	char	   *in = memory_alloc(&memory, schema->size);
	bool		flexible = kafka_api_flexible(api, version);
	char	   *bytes;
	char	   *copy;
	char	   *out;
	const char *problem;
	size_t		bytes_len;

	fill_struct(&filler, schema, in);
	bytes = message_encode(schema, version, flexible, in, &bytes_len);
	copy = test_copy(bytes, bytes_len);
	free(bytes);
	out = message_decode(schema, version, flexible, copy, bytes_len, &memory, &problem);
	CHECK(out != NULL && same_struct(schema, in, out));
	free(copy);
	pg_free(value);
	memory_free(&memory);
	return filler.n;
}

static void
test_every_field(void)
{
	int			fields = 0;

	for (int i = 0; i < KAFKA_API_COUNT * 2; i++)
	{
		const KafkaApi *api = &kafka_apis[i / 2];
		const KafkaSchema *schema = i % 2 ? api->response() : api->request();

		for (int version = api->min_version; version <= api->max_version; version++)
		{
			int			n = pass_codec(api, schema, version, -1, 0);

			for (int field = 0; field < n; field++)
			{
				SAY("%s version %d, string %d", schema->name, version, field);
				for (int l = 0; l < lengthof(few_lengths); l++)
					(void) pass_codec(api, schema, version, field, few_lengths[l]);
			}
			fields += n;
		}
	}
	CHECK(fields > 500);
}

static void
test_all_lengths(void)
{
	const KafkaApi *api = kafka_api_by_key(KAFKA_KEY_JoinGroup);

	for (int version = 5; version <= 6; version++)	/* both kinds of lengths */
	{
		for (int len = 0; len <= 600; len++)
		{
			SAY("version %d, length %d", version, len);
			(void) pass_codec(api, api->request(), version, 0, len);
		}
		for (int l = 0; l < lengthof(lengths); l++)
			(void) pass_codec(api, api->request(), version, 0, lengths[l]);
	}
}

static void
test_client_id(void)
{
	for (int len = 0; len <= PG_INT16_MAX; len += len < 300 || len >= PG_INT16_MAX - 2 ? 1 : 97)
	{
		char	   *frame = pg_malloc(10 + len + 1);
		char	   *id = make(len, 7);
		KafkaRequestHeader header;
		const char *problem;

		SAY("length %d", len);
		memcpy(frame, "\0\3\0\11\0\0\0\1", 8);	/* Metadata 9: with tagged fields */
		frame[8] = (char) (len >> 8);
		frame[9] = (char) len;
		memcpy(frame + 10, id, len);
		frame[10 + len] = 0;
		problem = kafka_request_header_read(frame, 10 + len + 1, &header);
		CHECK(problem == NULL && is_made(header.client_id, len, 7));
		if (len > 0)
			CHECK(kafka_request_header_read(frame, 10 + len - 1, &header) != NULL);
		pg_free(frame);
		pg_free(id);
	}
}

/*
 * The coordinator
 */

/* What of a member is kept, each with a seed of its own. */
enum
{
	GROUP, MEMBER, INSTANCE, CLIENT, HOST, TYPE, PROTOCOL, METADATA, ASSIGNMENT, RACK, TOPIC, NSTRINGS
};

typedef struct World
{
	CoordGroups *groups;
	int64		now;
	int			len;
	CoordBytes	strings[NSTRINGS];
	char	   *member;			/* the id that it got */
	int			member_len;
} World;

/* Strings of that length; those that must not be empty have a byte then. */
static void
open_world(World *world, CoordConfig *config, int len)
{
	memset(world, 0, sizeof(*world));
	coord_config_defaults(config);
	config->initial_rebalance_delay_ms = 0;
	world->groups = coord_create(config, 42);
	world->now = 1000000;
	world->len = Max(len, 1);
}

static void
make_strings(World *world)
{
	for (int i = 0; i < NSTRINGS; i++)
		world->strings[i] = (CoordBytes) {make(world->len, i), world->len};
}

/* What the coordinator kept must be copies. */
static void
free_strings(World *world)
{
	for (int i = 0; i < NSTRINGS; i++)
	{
		memset(unconstify(char *, world->strings[i].data), '!', world->len);
		pg_free(unconstify(char *, world->strings[i].data));
		world->strings[i] = COORD_NULL_BYTES;
	}
}

static CoordEvent
event_of(World *world, CoordEventType type)
{
	CoordEvent	event = {.type = type, .token = world->now, .api_version = type == COORD_EV_COMMIT ? 8 : 9};

	event.group_id = world->strings[GROUP];
	event.group_instance_id = world->strings[INSTANCE];
	event.client_id = world->strings[CLIENT];
	event.client_host = world->strings[HOST];
	event.member_id = world->member ? (CoordBytes) {world->member, world->member_len} : (CoordBytes) {"", 0};
	return event;
}

/* The one answer of an event, at once or when time has passed.  Strings in it live until the next. */
static CoordReply
step(World *world, const CoordEvent *event)
{
	CoordEvent	tick = {.type = COORD_EV_TICK};
	CoordReplies out;

	coord_step(world->groups, event, world->now++, &out);
	if (out.nreplies == 0)
		coord_step(world->groups, &tick, world->now += 1000, &out);
	CHECK(out.nreplies == 1);
	return out.nreplies == 1 ? out.replies[0] : (CoordReply) {.error = COORD_UNKNOWN_MEMBER_ID};
}

static void
keep_member(World *world, CoordBytes id)
{
	world->member = pg_malloc(Max(id.len, 1));
	world->member_len = id.len;
	if (id.len > 0)
		memcpy(world->member, id.data, id.len);
}

static void
free_description(CoordDescription *d)
{
	for (int i = 0; i < d->info.nmembers; i++)
	{
		pg_free(unconstify(CoordTopicPartitions *, d->members[i].assigned));
		pg_free(unconstify(CoordTopicPartitions *, d->members[i].target));
	}
	pg_free(unconstify(CoordMemberInfo *, d->members));
}

static void
close_world(World *world)
{
	pg_free(world->member);
	coord_destroy(world->groups);
}

/* The group as it is described has one member with all strings as they were. */
static const CoordMemberInfo *
described(World *world, CoordDescription *d)
{
	char	   *id = make(world->len, GROUP);
	bool		there = coord_describe(world->groups, (CoordBytes) {id, world->len}, d);

	pg_free(id);
	CHECK(there && d->info.nmembers == 1);
	if (!there || d->info.nmembers != 1)
		return NULL;
	CHECK(is_made(d->info.group_id, world->len, GROUP));
	CHECK(is_made(d->members[0].group_instance_id, world->len, INSTANCE));
	CHECK(is_made(d->members[0].client_id, world->len, CLIENT));
	CHECK(is_made(d->members[0].client_host, world->len, HOST));
	CHECK_BYTES(d->members[0].member_id.data, d->members[0].member_id.len, world->member, world->member_len);
	return &d->members[0];
}

static void
classic_member(int len)
{
	CoordConfig config;
	World		world;
	CoordProtocol protocol;
	CoordSyncAssignment assignment;
	CoordEvent	event;
	CoordReply	reply;
	CoordDescription d;
	const CoordMemberInfo *member;

	open_world(&world, &config, len);
	make_strings(&world);
	protocol = (CoordProtocol) {world.strings[PROTOCOL], world.strings[METADATA]};
	event = event_of(&world, COORD_EV_JOIN);
	event.u.join = (CoordJoin) {10000, 10000, world.strings[TYPE], 1, &protocol, COORD_NULL_BYTES};
	reply = step(&world, &event);
	CHECK_INT(reply.error, COORD_NONE);
	free_strings(&world);
	CHECK(is_made(reply.u.join.protocol_type, world.len, TYPE));
	CHECK(is_made(reply.u.join.protocol_name, world.len, PROTOCOL));
	CHECK(reply.u.join.nmembers == 1 && is_made(reply.u.join.members[0].metadata, world.len, METADATA));
	CHECK(reply.u.join.nmembers == 1 && is_made(reply.u.join.members[0].group_instance_id, world.len, INSTANCE));
	keep_member(&world, reply.u.join.member_id);

	make_strings(&world);
	assignment = (CoordSyncAssignment) {{world.member, world.member_len}, world.strings[ASSIGNMENT]};
	event = event_of(&world, COORD_EV_SYNC);
	event.generation = 1;
	event.u.sync = (CoordSync) {world.strings[TYPE], world.strings[PROTOCOL], 1, &assignment};
	reply = step(&world, &event);
	CHECK_INT(reply.error, COORD_NONE);
	free_strings(&world);
	CHECK(is_made(reply.u.sync.assignment, world.len, ASSIGNMENT));

	make_strings(&world);
	event = event_of(&world, COORD_EV_COMMIT);
	event.generation = 1;
	CHECK_INT(step(&world, &event).error, COORD_NONE);
	event.group_instance_id.len--;	/* cut: somebody else */
	event.token = world.now;
	CHECK(step(&world, &event).error != COORD_NONE);
	event = event_of(&world, COORD_EV_HEARTBEAT);
	event.generation = 1;
	event.member_id.len--;
	CHECK(step(&world, &event).error != COORD_NONE);
	free_strings(&world);

	member = described(&world, &d);
	if (member != NULL)
	{
		CHECK(is_made(d.info.protocol_type, world.len, TYPE));
		CHECK(is_made(d.protocol_name, world.len, PROTOCOL));
		CHECK(is_made(member->metadata, world.len, METADATA));
		CHECK(is_made(member->assignment, world.len, ASSIGNMENT));
		free_description(&d);
	}
	close_world(&world);
}

static void
modern_member(int len)
{
	CoordConfig config;
	World		world;
	CoordEvent	event;
	CoordReply	reply;
	CoordDescription d;
	const CoordMemberInfo *member;

	open_world(&world, &config, len);
	make_strings(&world);
	keep_member(&world, world.strings[MEMBER]);
	event = event_of(&world, COORD_EV_CONSUMER_HEARTBEAT);
	event.api_version = 1;
	event.u.consumer = (CoordConsumerHeartbeat) {
		.rack_id = world.strings[RACK], .rebalance_timeout_ms = 10000, .nsubscribed = 1,
		.subscribed_topic_names = &world.strings[TOPIC], .subscribed_topic_regex = COORD_NULL_BYTES,
		.server_assignor = COORD_NULL_BYTES, .nowned = 0
	};
	reply = step(&world, &event);
	CHECK_INT(reply.error, COORD_NONE);
	free_strings(&world);
	CHECK_BYTES(reply.u.consumer.member_id.data, reply.u.consumer.member_id.len, world.member, world.member_len);

	member = described(&world, &d);
	if (member != NULL)
	{
		CHECK(is_made(member->rack_id, world.len, RACK));
		CHECK(member->nsubscribed == 1 && is_made(member->subscribed_topic_names[0], world.len, TOPIC));
		free_description(&d);
	}
	close_world(&world);
}

static void
test_members(void)
{
	for (int l = 0; l < lengthof(lengths); l++)
	{
		SAY("length %d", lengths[l]);
		classic_member(lengths[l]);
		modern_member(lengths[l]);
	}
	for (int len = 1; len <= 300; len++)
	{
		SAY("length %d", len);
		classic_member(len);
		modern_member(len);
	}
}

int
main(void)
{
	RUN(test_every_field);
	RUN(test_all_lengths);
	RUN(test_client_id);
	RUN(test_members);
	return test_done();
}
