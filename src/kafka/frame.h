/*-------------------------------------------------------------------------
 *
 * frame.h
 *	  What is around a message: the headers of requests and responses.
 *
 * A request frame (its length word is already gone) has a header, version 1
 * or, for flexible versions of an API, 2; and a body.  A response frame has
 * its length, a header of version 0 or 1, and a body.  Pure, as the codec.
 *
 * Siblings: codec.h, messages/apis.h, call.c (the only caller in the server).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_FRAME_H
#define KAFKA_FRAME_H

#include "kafka/codec.h"
#include "kafka/messages/apis.h"

/* The most memory of the structs of one request, in bytes. */
#define KAFKA_DECODE_BUDGET		(16 * 1024 * 1024)

/* The header of a request. */
typedef struct KafkaRequestHeader
{
	int16		api_key;
	int16		api_version;
	int32		correlation_id;
	KafkaString client_id;
	const KafkaApi *api;		/* NULL: the key is unknown */
	bool		known_version;	/* the body can be decoded */
	const char *body;			/* only with a known version */
	size_t		body_len;
} KafkaRequestHeader;

extern const char *kafka_request_header_read(const char *frame, size_t len, KafkaRequestHeader *header);

extern const char *kafka_request_body_read(const KafkaRequestHeader *header, KafkaArena *arena, void *out);

extern bool kafka_response_write(KafkaWriter *w, const KafkaApi *api, int16 version,
								 int32 correlation_id, const void *response);

/*
 * The client's side, for sessions that ask the control worker.  Write: a whole
 * request, with its length word.  Read: a response without it, into the API's
 * struct, whose strings point into "frame"; NULL, or what is wrong.
 * correlation_id may be NULL.
 */
extern bool kafka_request_write(KafkaWriter *w, const KafkaApi *api, int16 version,
								int32 correlation_id, const char *client_id, const void *request);
extern const char *kafka_response_read(const KafkaApi *api, int16 version, const char *frame, size_t len,
									   KafkaArena *arena, int32 *correlation_id, void *out);

#endif							/* KAFKA_FRAME_H */
