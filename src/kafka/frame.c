/*-------------------------------------------------------------------------
 *
 * frame.c
 *	  Headers of requests and responses.
 *
 * Siblings: frame.h, codec.c, call.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifdef FRONTEND
#include "postgres_fe.h"
#else
#include "postgres.h"
#endif

#include "port/pg_bswap.h"

#include "kafka/frame.h"

/* bytes of API key, version and correlation id */
#define HEADER_FIXED	8

static uint16
get16(const char *p)
{
	uint16		v;

	memcpy(&v, p, sizeof(v));
	return pg_ntoh16(v);
}

static uint32
get32(const char *p)
{
	uint32		v;

	memcpy(&v, p, sizeof(v));
	return pg_ntoh32(v);
}

/*
 * Skips the tagged fields of a header (KIP-482).  None is defined so far.
 * Returns NULL, or what is wrong.
 */
static const char *
skip_tags(const uint8 **pos, const uint8 *end)
{
	uint32		n;
	uint32		tag;
	uint32		size;
	int			used;

	if ((used = kafka_varint_read(*pos, end, &n)) == 0)
		return "header is truncated";
	*pos += used;
	while (n-- > 0)
	{
		if ((used = kafka_varint_read(*pos, end, &tag)) == 0)
			return "header is truncated";
		*pos += used;
		if ((used = kafka_varint_read(*pos, end, &size)) == 0)
			return "header is truncated";
		*pos += used;
		if (size > (size_t) (end - *pos))
			return "header is truncated";
		*pos += size;
	}
	return NULL;
}

/*
 * Reads the client id.  Its length is an int16 in all header versions,
 * flexible ones too.
 */
static const char *
read_client_id(const char *frame, size_t len, KafkaString *client_id)
{
	if (len < HEADER_FIXED + 2)
		return "header is truncated";
	client_id->len = (int16) get16(frame + HEADER_FIXED);
	client_id->data = frame + HEADER_FIXED + 2;
	if (client_id->len < -1)
		return "length of client id is invalid";
	if (client_id->len > 0 && (size_t) client_id->len > len - HEADER_FIXED - 2)
		return "header is truncated";
	return NULL;
}

/*
 * Reads the header of a request.  The first three fields are the same in all
 * versions; the rest is read only if the version is known
 * (header->known_version).  The strings point into the frame.  Returns NULL,
 * or what is wrong with the bytes.
 */
const char *
kafka_request_header_read(const char *frame, size_t len, KafkaRequestHeader *header)
{
	const uint8 *pos;
	const char *problem;

	if (len < HEADER_FIXED)
		return "header is truncated";

	memset(header, 0, sizeof(*header));
	header->api_key = (int16) get16(frame);
	header->api_version = (int16) get16(frame + 2);
	header->correlation_id = (int32) get32(frame + 4);
	header->client_id = (KafkaString)
	{
		"", -1
	};
	header->api = kafka_api_by_key(header->api_key);
	header->known_version = header->api != NULL &&
		header->api_version >= header->api->min_version &&
		header->api_version <= header->api->max_version;
	if (!header->known_version)
		return NULL;

	if ((problem = read_client_id(frame, len, &header->client_id)) != NULL)
		return problem;
	pos = (const uint8 *) header->client_id.data + Max(header->client_id.len, 0);
	if (kafka_api_flexible(header->api, header->api_version))
	{
		if ((problem = skip_tags(&pos, (const uint8 *) frame + len)) != NULL)
			return problem;
	}
	Assert((const char *) pos <= frame + len);
	header->body = (const char *) pos;
	header->body_len = frame + len - header->body;
	return NULL;
}

/*
 * Decodes the body of a request with a known version into "out", which has
 * room for the API's struct.  Strings point into the frame.  Returns NULL, or
 * what is wrong with the bytes.
 */
const char *
kafka_request_body_read(const KafkaRequestHeader *header, KafkaArena *arena, void *out)
{
	size_t		left;

	Assert(header->known_version);

	/*
	 * Bytes after a request are ignored, as Kafka does. librdkafka's Metadata
	 * request for all topics has three zeros too many (seen in 2.16, version
	 * 13).
	 */
	return kafka_decode(header->api->request(), header->api_version,
						kafka_api_flexible(header->api, header->api_version),
						header->body, header->body_len, arena, out, &left);
}

/*
 * Writes the length into the room that was left for it.
 */
static bool
finish_frame(KafkaWriter *w)
{
	uint64		total = w->len - sizeof(uint32) + w->spliced;
	uint32		word;

	Assert(!w->failed && w->len >= sizeof(uint32));
	if (total > PG_INT32_MAX)
		return false;
	word = pg_hton32((uint32) total);
	memcpy(w->buf, &word, sizeof(word));
	return true;
}

/*
 * Writes a whole response: length word (which counts spliced bytes too),
 * header, body.  The writer must be empty.  Returns false if there is no
 * memory or the response is too long for its length word.
 */
bool
kafka_response_write(KafkaWriter *w, const KafkaApi *api, int16 version,
					 int32 correlation_id, const void *response)
{
	uint32		word = 0;
	bool		flexible = kafka_api_flexible(api, version);

	Assert(w->len == 0 && version >= api->min_version && version <= api->max_version);

	/* room for the length, then the header */
	if (!kafka_write_bytes(w, &word, sizeof(word)))
		return false;
	word = pg_hton32((uint32) correlation_id);
	if (!kafka_write_bytes(w, &word, sizeof(word)))
		return false;

	/*
	 * The response to ApiVersions has header version 0 in all versions,
	 * because the client reads it before it knows our versions (KIP-511).
	 */
	if (flexible && api->key != KAFKA_KEY_ApiVersions && !kafka_write_bytes(w, "", 1))
		return false;

	if (!kafka_encode(w, api->response(), version, flexible, response))
		return false;
	return finish_frame(w);
}

/*
 * See frame.h.  The writer must be empty.
 */
bool
kafka_request_write(KafkaWriter *w, const KafkaApi *api, int16 version,
					int32 correlation_id, const char *client_id, const void *request)
{
	uint32		word = 0;
	uint16		fixed[2] = {pg_hton16((uint16) api->key), pg_hton16((uint16) version)};
	size_t		len = strlen(client_id);
	uint16		id_len = pg_hton16((uint16) len);
	bool		flexible = kafka_api_flexible(api, version);

	Assert(w->len == 0 && len <= PG_INT16_MAX);
	if (!kafka_write_bytes(w, &word, sizeof(word)) || !kafka_write_bytes(w, fixed, sizeof(fixed)))
		return false;
	word = pg_hton32((uint32) correlation_id);
	if (!kafka_write_bytes(w, &word, sizeof(word)) || !kafka_write_bytes(w, &id_len, sizeof(id_len)) ||
		!kafka_write_bytes(w, client_id, len))
		return false;
	if (flexible && !kafka_write_bytes(w, "", 1))
		return false;
	if (!kafka_encode(w, api->request(), version, flexible, request))
		return false;
	return finish_frame(w);
}

/*
 * See frame.h.
 */
const char *
kafka_response_read(const KafkaApi *api, int16 version, const char *frame, size_t len,
					KafkaArena *arena, int32 *correlation_id, void *out)
{
	const uint8 *pos = (const uint8 *) frame + sizeof(uint32);
	bool		flexible = kafka_api_flexible(api, version);
	const char *problem;

	if (len < sizeof(uint32))
		return "header is truncated";
	if (correlation_id != NULL)
		*correlation_id = (int32) get32(frame);
	if (flexible && api->key != KAFKA_KEY_ApiVersions &&
		(problem = skip_tags(&pos, (const uint8 *) frame + len)) != NULL)
		return problem;
	return kafka_decode(api->response(), version, flexible, (const char *) pos,
						frame + len - (const char *) pos, arena, out, NULL);
}
