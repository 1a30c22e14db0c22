/*-------------------------------------------------------------------------
 *
 * test_codec.c
 *	  The Kafka codec and the headers around messages.
 *
 *	  Every API in every version and direction is made at random, encoded, decoded,
 *	  cut short at every byte.  Exact bytes are checked where a mistake that encoder and
 *	  decoder share would not show; that the tables are Kafka's is check_schema.py's job.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
/* sources: src/kafka/codec.c src/kafka/frame.c src/kafka/messages/messages.c */

#include "postgres_fe.h"

#include "messages.h"
#include "test.h"

#define ROUNDS	25

typedef void (*MessageTest) (const KafkaApi *api, const KafkaSchema *schema, int version);

/* Calls for all messages there are, Produce 0 to 2 among them. */
static void
for_each_message(MessageTest test)
{
	for (int i = 0; i < KAFKA_API_COUNT; i++)
	{
		const KafkaApi *api = &kafka_apis[i];

		for (int version = api->min_version; version <= api->max_version; version++)
		{
			SAY("%s request %d", api->name, version);
			test(api, api->request(), version);
			SAY("%s response %d", api->name, version);
			test(api, api->response(), version);
		}
	}
}

static const char *
decode_bytes(const KafkaSchema *schema, int version, bool flexible, const char *data, size_t len)
{
	Memory		memory = {0};
	char	   *copy = test_copy(data, len);
	const char *problem;

	(void) message_decode(schema, version, flexible, copy, len, &memory, &problem);
	memory_free(&memory);
	free(copy);
	return problem;
}

static const char *
decode_hex(const KafkaSchema *schema, int version, bool flexible, const char *hex)
{
	size_t		len;
	char	   *bytes = test_unhex(hex, &len);
	const char *problem = decode_bytes(schema, version, flexible, bytes, len);

	free(bytes);
	return problem;
}

/*
 * All messages
 */

static void
round_trip(const KafkaApi *api, const KafkaSchema *schema, int version)
{
	bool		flexible = kafka_api_flexible(api, version);
	uint64		rnd = 88172645463325252ULL + api->key * 1000 + version;

	for (int i = 0; i < ROUNDS; i++)
	{
		Memory		memory = {0};
		char	   *in = memory_alloc(&memory, schema->size);
		char	   *out;
		char	   *bytes;
		char	   *again;
		char	   *copy;
		const char *problem;
		size_t		len;
		size_t		again_len;

		make_struct(schema, version, &rnd, &memory, in);
		bytes = message_encode(schema, version, flexible, in, &len);
		copy = test_copy(bytes, len);
		out = message_decode(schema, version, flexible, copy, len, &memory, &problem);
		CHECK(out != NULL);
		if (out != NULL)
		{
			CHECK(same_struct(schema, in, out));
			again = message_encode(schema, version, flexible, out, &again_len);
			CHECK_BYTES(again, again_len, bytes, len);
			free(again);
		}
		free(bytes);
		free(copy);
		memory_free(&memory);
	}
}

static void
test_round_trips(void)
{
	for_each_message(round_trip);
}

static void
cut_everywhere(const KafkaApi *api, const KafkaSchema *schema, int version)
{
	bool		flexible = kafka_api_flexible(api, version);
	uint64		rnd = 1234567 + api->key * 1000 + version;
	Memory		memory = {0};
	char	   *in = memory_alloc(&memory, schema->size);
	char	   *bytes;
	char	   *longer;
	size_t		len;

	make_struct(schema, version, &rnd, &memory, in);
	bytes = message_encode(schema, version, flexible, in, &len);
	for (size_t cut = 0; cut < len; cut++)
		CHECK(decode_bytes(schema, version, flexible, bytes, cut) != NULL);

	longer = pg_malloc(len + 1);
	memcpy(longer, bytes, len);
	longer[len] = 0;
	CHECK(decode_bytes(schema, version, flexible, longer, len + 1) != NULL);
	free(longer);
	free(bytes);
	memory_free(&memory);
}

static void
test_truncation(void)
{
	for_each_message(cut_everywhere);
}

/* Whatever a byte is turned into, decoding ends well, and what it accepts can be encoded. */
static void
damage(const KafkaApi *api, const KafkaSchema *schema, int version)
{
	bool		flexible = kafka_api_flexible(api, version);
	uint64		rnd = 777 + api->key * 1000 + version;
	Memory		memory = {0};
	char	   *in = memory_alloc(&memory, schema->size);
	char	   *bytes;
	size_t		len;

	make_struct(schema, version, &rnd, &memory, in);
	bytes = message_encode(schema, version, flexible, in, &len);
	for (int i = 0; i < 200 && len > 0; i++)
	{
		static const uint8 nasty[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
		size_t		at = test_random(&rnd) % len;
		char		old = bytes[at];

		bytes[at] = (char) nasty[test_random(&rnd) % lengthof(nasty)];
		(void) decode_bytes(schema, version, flexible, bytes, len);
		if (i % 3 != 0)			/* let damage add up now and then */
			bytes[at] = old;
	}
	CHECK(true);
	free(bytes);
	memory_free(&memory);
}

static void
test_damage(void)
{
	for_each_message(damage);
}

/* Fields that a message does not set come out as the defaults that they went in as. */
static void
defaults(const KafkaApi *api, const KafkaSchema *schema, int version)
{
	bool		flexible = kafka_api_flexible(api, version);
	Memory		memory = {0};
	char	   *in = memory_alloc(&memory, schema->size);
	char	   *bytes;
	char	   *out;
	const char *problem;
	size_t		len;

	kafka_defaults(schema, in, 1);
	bytes = message_encode(schema, version, flexible, in, &len);
	out = message_decode(schema, version, flexible, bytes, len, &memory, &problem);
	CHECK(out != NULL);
	free(bytes);
	memory_free(&memory);
}

static void
test_defaults(void)
{
	for_each_message(defaults);
}

/*
 * Exact bytes
 */

static void
check_encoded(const KafkaSchema *schema, int version, bool flexible, const void *in, const char *hex)
{
	size_t		len;
	size_t		want_len;
	char	   *bytes = message_encode(schema, version, flexible, in, &len);
	char	   *want = test_unhex(hex, &want_len);

	CHECK_BYTES(bytes, len, want, want_len);
	free(bytes);
	free(want);
}

static void
test_exact_bytes(void)
{
	int32		nodes[] = {1, 2};
	CreateTopicAssignment assignment = {.partition_index = 7,.broker_ids = {nodes, 2}};
	ApiVersionsRequest versions = {.client_software_name = {"kcat", 4},.client_software_version = {"1", 1}};
	InitProducerIdRequest init = {.transactional_id = {"", -1},.transaction_timeout_ms = -1,.producer_id = -1,.producer_epoch = -1};

	check_encoded(kafka_schema_CreateTopicAssignment(), 4, false, &assignment,
				  "00000007" "00000002" "00000001" "00000002");
	check_encoded(kafka_schema_CreateTopicAssignment(), 5, true, &assignment,
				  "00000007" "03" "00000001" "00000002" "00");
	check_encoded(kafka_schema_ApiVersionsRequest(), 3, true, &versions, "056b636174" "0231" "00");
	check_encoded(kafka_schema_ApiVersionsRequest(), 0, false, &versions, "");
	check_encoded(kafka_schema_InitProducerIdRequest(), 1, false, &init, "ffff" "ffffffff");
	check_encoded(kafka_schema_InitProducerIdRequest(), 2, true, &init, "00" "ffffffff" "00");
	check_encoded(kafka_schema_InitProducerIdRequest(), 3, true, &init, "00" "ffffffff" "ffffffffffffffff" "ffff" "00");
}

/* Tags: written when they differ from the default, with their length; structs inside have tags too. */
static void
test_tagged_fields(void)
{
	FetchPartitionResponse p;
	ApiVersionsResponse v;
	DescribeTopicPartitionsRequest d;
	DescribeTopicCursor cursor = {.topic_name = {"t", 1},.partition_index = 3};

	kafka_defaults(kafka_schema_FetchPartitionResponse(), &p, 1);
	p.current_leader.leader_id = 1;
	p.current_leader.leader_epoch = 5;
	check_encoded(kafka_schema_FetchPartitionResponse(), 12, true, &p,
				  "00000000" "0000" "0000000000000000" "ffffffffffffffff" "ffffffffffffffff" "01" "ffffffff" "01"
				  "01" "01" "09" "00000001" "00000005" "00");

	kafka_defaults(kafka_schema_ApiVersionsResponse(), &v, 1);
	v.finalized_features_epoch = 2;
	v.zk_migration_ready = true;
	check_encoded(kafka_schema_ApiVersionsResponse(), 3, true, &v,
				  "0000" "01" "00000000" "02" "01" "08" "0000000000000002" "03" "01" "01");

	kafka_defaults(kafka_schema_DescribeTopicPartitionsRequest(), &d, 1);
	check_encoded(kafka_schema_DescribeTopicPartitionsRequest(), 0, true, &d, "01" "000007d0" "ff" "00");
	d.cursor = &cursor;
	check_encoded(kafka_schema_DescribeTopicPartitionsRequest(), 0, true, &d,
				  "01" "000007d0" "01" "0274" "00000003" "00" "00");
}

static void
test_unknown_tags(void)
{
	const KafkaSchema *schema = kafka_schema_ApiVersionsResponse();

	/*
	 * tag 77 of two bytes, tag 1000000 of none, before and behind one that is
	 * known
	 */
	CHECK(decode_hex(schema, 3, true, "0000" "01" "00000000" "03" "4d02abcd" "03" "01" "01" "c0843d" "00") == NULL);
	/* longer than what is left */
	CHECK(decode_hex(schema, 3, true, "0000" "01" "00000000" "01" "4d03abcd") != NULL);
	/* more tags than bytes */
	CHECK(decode_hex(schema, 3, true, "0000" "01" "00000000" "ffffffff0f" "4d00") != NULL);
	/* a known one whose length is wrong */
	CHECK(decode_hex(schema, 3, true, "0000" "01" "00000000" "01" "03" "02" "0101") != NULL);
	CHECK(decode_hex(schema, 3, true, "0000" "01" "00000000" "01" "01" "04" "00000001") != NULL);
}

/*
 * Hostile lengths
 */

static void
test_hostile_lengths(void)
{
	const KafkaSchema *metadata = kafka_schema_MetadataRequest();
	const KafkaSchema *produce = kafka_schema_ProduceRequest();

	/*
	 * counts: the largest there is, below -1, more than the bytes left, null
	 * where none may be
	 */
	CHECK(decode_hex(metadata, 1, false, "7fffffff" "0000") != NULL);
	CHECK(decode_hex(metadata, 1, false, "80000000") != NULL);
	CHECK(decode_hex(metadata, 1, false, "fffffffe") != NULL);
	CHECK(decode_hex(metadata, 1, false, "00000002" "0000") != NULL);
	CHECK(decode_hex(metadata, 1, false, "ffffffff") == NULL);
	CHECK(decode_hex(metadata, 0, false, "ffffffff") != NULL);
	CHECK(decode_hex(metadata, 9, true, "ffffffff0f" "000000" "00") != NULL);
	CHECK(decode_hex(metadata, 9, true, "8080808010" "000000" "00") != NULL);
	CHECK(decode_hex(metadata, 9, true, "808080808000" "000000" "00") != NULL);
	CHECK(decode_hex(metadata, 9, true, "00" "000000" "00") == NULL);

	/* strings and records */
	CHECK(decode_hex(metadata, 1, false, "00000001" "7fff" "61") != NULL);
	CHECK(decode_hex(metadata, 1, false, "00000001" "8000" "61") != NULL);
	CHECK(decode_hex(metadata, 1, false, "00000001" "ffff") != NULL);
	CHECK(decode_hex(produce, 3, false, "ffff" "0001" "00000000" "00000001" "0000" "00000001" "00000000" "7fffffff") != NULL);
	CHECK(decode_hex(produce, 3, false, "ffff" "0001" "00000000" "00000001" "0000" "00000001" "00000000" "ffffffff") == NULL);
	CHECK(decode_hex(produce, 3, false, "ffff" "0001" "00000000" "00000001" "0000" "00000001" "00000000" "fffffffe") != NULL);
}

/* A frame of a few megabytes may not ask for hundreds: the budget ends it. */
static void
test_memory_is_bounded(void)
{
	size_t		len = 4 + 2 * 1024 * 1024;
	char	   *bytes = pg_malloc0(len);
	Memory		memory = {0};
	uint32		n = (uint32) (len - 4) / 2;
	const char *problem;

	bytes[0] = (char) (n >> 24);
	bytes[1] = (char) (n >> 16);
	bytes[2] = (char) (n >> 8);
	bytes[3] = (char) n;
	/* a million topics without a name: correct, but too much */
	(void) message_decode(kafka_schema_MetadataRequest(), 1, false, bytes, len, &memory, &problem);
	CHECK(problem != NULL);
	CHECK(memory.total <= MEMORY_BUDGET + 65536);
	memory_free(&memory);
	free(bytes);
}

/*
 * Splices
 */

static void
test_splices(void)
{
	int			source1,
				source2;
	FetchPartitionResponse p[3];
	FetchTopicResponse topic = {.topic = {"t", 1},.partitions = {p, 3}};
	FetchResponse response;
	KafkaWriter w = {.grow = writer_grow};

	kafka_defaults(kafka_schema_FetchPartitionResponse(), p, 3);
	kafka_defaults(kafka_schema_FetchResponse(), &response, 1);
	p[0].records = (KafkaRecords)
	{
		NULL, 1000, &source1
	};
	p[1].records = (KafkaRecords)
	{
		"abc", 3, NULL
	};
	p[2].records = (KafkaRecords)
	{
		NULL, 2000000, &source2
	};
	response.responses.items = &topic;
	response.responses.n = 1;

	CHECK(kafka_response_write(&w, kafka_api_by_key(KAFKA_KEY_Fetch), 11, 42, &response));
	CHECK_INT(w.nsplices, 2);
	CHECK_INT(w.spliced, 2001000);
	CHECK(w.splices[0].source == &source1 && w.splices[0].len == 1000);
	CHECK(w.splices[1].source == &source2 && w.splices[1].len == 2000000);
	CHECK_INT(w.splices[1].at, w.len);
	CHECK(w.splices[0].at < w.splices[1].at);
	/* the length that comes right before */
	CHECK_BYTES(w.buf + w.splices[0].at - 4, 4, "\x00\x00\x03\xe8", 4);
	/* the frame's length counts what is spliced in */
	CHECK_INT(((uint8) w.buf[0] << 24) | ((uint8) w.buf[1] << 16) | ((uint8) w.buf[2] << 8) | (uint8) w.buf[3],
			  w.len - 4 + w.spliced);
	free(w.buf);
	free(w.splices);
}

/*
 * Headers
 */

static const char *
read_header(const char *hex, KafkaRequestHeader *header)
{
	size_t		len;
	char	   *bytes = test_unhex(hex, &len);
	char	   *copy = test_copy(bytes, len);
	const char *problem = kafka_request_header_read(copy, len, header);

	free(bytes);
	free(copy);
	return problem;
}

/* Metadata 1 with so many bytes of client id. */
static const char *
read_long_client_id(int len, KafkaRequestHeader *header)
{
	char	   *copy = malloc(14 + len);
	const char *problem;

	memcpy(copy, "\0\3\0\1\0\0\0\7", 8);
	copy[8] = (char) (len >> 8);
	copy[9] = (char) len;
	memset(copy + 10, 'c', len);
	memset(copy + 10 + len, 0xff, 4);
	problem = kafka_request_header_read(copy, 14 + len, header);
	free(copy);
	return problem;
}

static void
test_request_headers(void)
{
	KafkaRequestHeader h;

	/* version 1: Metadata 1, client id "ab" */
	CHECK(read_header("0003" "0001" "00000007" "0002" "6162" "ffffffff", &h) == NULL);
	CHECK_INT(h.api_key, 3);
	CHECK_INT(h.api_version, 1);
	CHECK_INT(h.correlation_id, 7);
	CHECK_INT(h.client_id.len, 2);
	CHECK_INT(h.body_len, 4);
	CHECK(h.known_version);

	/* version 2: null client id, tags to skip */
	CHECK(read_header("0003" "0009" "00000007" "ffff" "01" "05" "02" "abcd" "00", &h) == NULL);
	CHECK_INT(h.client_id.len, -1);
	CHECK_INT(h.body_len, 1);

	/* the longest client id that there can be */
	CHECK(read_long_client_id(PG_INT16_MAX, &h) == NULL);
	CHECK_INT(h.client_id.len, PG_INT16_MAX);
	CHECK_INT(h.body_len, 4);
	CHECK(read_long_client_id(PG_INT16_MAX + 1, &h) != NULL);	/* a negative length */

	/* cut short, absurd */
	CHECK(read_header("000300010000", &h) != NULL);
	CHECK(read_header("0003" "0001" "00000007", &h) != NULL);
	CHECK(read_header("0003" "0001" "00000007" "0005" "61", &h) != NULL);
	CHECK(read_header("0003" "0001" "00000007" "fffe" "61", &h) != NULL);
	CHECK(read_header("0003" "0009" "00000007" "ffff", &h) != NULL);
	CHECK(read_header("0003" "0009" "00000007" "ffff" "ffffffff0f", &h) != NULL);
	CHECK(read_header("0003" "0009" "00000007" "ffff" "01" "05" "7f" "ab", &h) != NULL);

	/* what we do not know is told by its first eight bytes */
	CHECK(read_header("0012" "0005" "00000007", &h) == NULL);
	CHECK(h.api != NULL && h.api->key == KAFKA_KEY_ApiVersions && !h.known_version);
	CHECK(read_header("7fff" "0000" "00000007", &h) == NULL);
	CHECK(h.api == NULL);
	CHECK(read_header("ffff" "0000" "00000007", &h) == NULL);
	CHECK(h.api == NULL);
	CHECK(read_header("0000" "ffff" "00000007", &h) == NULL);
	CHECK(h.api != NULL && !h.known_version);
}

/* librdkafka sends bytes behind a request; they are not looked at. */
static void
test_bytes_behind_a_request(void)
{
	static const char *const hexes[] = {
		"0003" "0001" "00000007" "ffff" "ffffffff" "000000",
		"0003" "000d" "00000007" "ffff" "00" "00" "0000" "00" "000000"
	};

	for (size_t i = 0; i < lengthof(hexes); i++)
	{
		size_t		len;
		char	   *bytes = test_unhex(hexes[i], &len);
		Memory		memory = {0};
		KafkaArena	arena = {.alloc = memory_alloc,.arg = &memory,.budget = MEMORY_BUDGET};
		KafkaRequestHeader h;
		MetadataRequest request;

		CHECK(kafka_request_header_read(bytes, len, &h) == NULL);
		CHECK(kafka_request_body_read(&h, &arena, &request) == NULL);
		CHECK_INT(request.topics.n, -1);
		free(bytes);
		memory_free(&memory);
	}
}

static void
check_response(int16 key, int16 version, const void *response, const char *hex)
{
	KafkaWriter w = {.grow = writer_grow};
	size_t		len;
	char	   *want = test_unhex(hex, &len);

	CHECK(kafka_response_write(&w, kafka_api_by_key(key), version, 7, response));
	CHECK_BYTES(w.buf, w.len, want, len);
	free(w.buf);
	free(want);
}

static void
test_response_headers(void)
{
	ApiVersionsResponse v;
	InitProducerIdResponse i;

	/* always the old header, even where the body is flexible */
	kafka_defaults(kafka_schema_ApiVersionsResponse(), &v, 1);
	check_response(KAFKA_KEY_ApiVersions, 3, &v, "0000000c" "00000007" "0000" "01" "00000000" "00");

	kafka_defaults(kafka_schema_InitProducerIdResponse(), &i, 1);
	check_response(KAFKA_KEY_InitProducerId, 1, &i, "00000014" "00000007" "00000000" "0000" "ffffffffffffffff" "0000");
	check_response(KAFKA_KEY_InitProducerId, 2, &i, "00000016" "00000007" "00" "00000000" "0000" "ffffffffffffffff" "0000" "00");
}

/* Memory that runs out ends decoding and encoding, and nothing else. */
static void *
no_alloc(void *arg, size_t size)
{
	return NULL;
}

static void *
no_grow(void *arg, void *buf, size_t size)
{
	return NULL;
}

/* What the client's side writes, the server's side reads, and back. */
static void
client_side(const KafkaApi *api, const KafkaSchema *schema, int version)
{
	uint64		rnd = 1234567 + api->key * 1000 + version;
	bool		request = schema == api->request();
	Memory		memory = {0};
	char	   *in = memory_alloc(&memory, schema->size);
	char	   *out = memory_alloc(&memory, schema->size);
	KafkaWriter w = {.grow = writer_grow};
	KafkaArena	arena = {.alloc = memory_alloc,.arg = &memory,.budget = MEMORY_BUDGET};
	KafkaRequestHeader h;
	int32		correlation;
	char	   *copy;

	kafka_defaults(schema, in, 1);
	make_struct(schema, version, &rnd, &memory, in);
	kafka_defaults(schema, out, 1);
	CHECK(request ? kafka_request_write(&w, api, version, 77, "me", in) :
		  kafka_response_write(&w, api, version, 77, in));
	copy = test_copy(w.buf + 4, w.len - 4);
	if (request)
	{
		CHECK(kafka_request_header_read(copy, w.len - 4, &h) == NULL);
		CHECK(h.api == api && h.api_version == version && h.correlation_id == 77);
		CHECK(h.client_id.len == 2 && memcmp(h.client_id.data, "me", 2) == 0);
		CHECK(kafka_request_body_read(&h, &arena, out) == NULL);
	}
	else
	{
		CHECK(kafka_response_read(api, version, copy, w.len - 4, &arena, &correlation, out) == NULL);
		CHECK(correlation == 77);
		CHECK(kafka_response_read(api, version, copy, 3, &arena, &correlation, out) != NULL);
	}
	CHECK(same_struct(schema, in, out));
	free(copy);
	free(w.buf);
	free(w.splices);
	memory_free(&memory);
}

static void
test_client_side(void)
{
	for_each_message(client_side);
}

static void
test_no_memory(void)
{
	KafkaArena	arena = {.alloc = no_alloc,.budget = MEMORY_BUDGET};
	KafkaWriter w = {.grow = no_grow};
	MetadataRequest in;
	char		bytes[] = {0, 0, 0, 1, 0, 1, 'a'};

	CHECK(kafka_decode(kafka_schema_MetadataRequest(), 1, false, bytes, sizeof(bytes), &arena, &in, NULL) != NULL);
	kafka_defaults(kafka_schema_MetadataRequest(), &in, 1);
	CHECK(!kafka_encode(&w, kafka_schema_MetadataRequest(), 1, false, &in));
	CHECK(w.failed);
}

int
main(void)
{
	RUN(test_round_trips);
	RUN(test_truncation);
	RUN(test_damage);
	RUN(test_defaults);
	RUN(test_exact_bytes);
	RUN(test_tagged_fields);
	RUN(test_unknown_tags);
	RUN(test_hostile_lengths);
	RUN(test_memory_is_bounded);
	RUN(test_splices);
	RUN(test_request_headers);
	RUN(test_bytes_behind_a_request);
	RUN(test_response_headers);
	RUN(test_client_side);
	RUN(test_no_memory);
	return test_done();
}
