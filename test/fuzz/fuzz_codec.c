/*-------------------------------------------------------------------------
 *
 * fuzz_codec.c
 *	  Fuzz target: anything that claims to be a Kafka request, or a response.
 *
 *	  The input is a request frame: its header says API and version, its body is
 *	  decoded as that.  With the top bit of the API key set the body is decoded as a response
 *	  instead.  What is accepted is encoded, decoded again, and must be the same message.
 *
 *	  Seeds: seed_codec.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
/* sources: src/kafka/codec.c src/kafka/frame.c src/kafka/messages/messages.c */

#include "postgres_fe.h"

#include "../unit/messages.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const KafkaSchema *schema, int version, bool flexible, const char *data, size_t len)
{
	Memory		memory = {0};
	const char *problem;
	void	   *message = message_decode(schema, version, flexible, data, len, &memory, &problem);

	if (message != NULL)
	{
		size_t		again_len;
		char	   *again = message_encode(schema, version, flexible, message, &again_len);
		void	   *second = message_decode(schema, version, flexible, again, again_len, &memory, &problem);

		if (second == NULL || !same_struct(schema, message, second))
			abort();
		free(again);
	}
	memory_free(&memory);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	KafkaRequestHeader header;
	bool		response = size > 0 && (data[0] & 0x80) != 0;
	char	   *copy = malloc(Max(size, 1));	/* exactly as long as it is */

	memcpy(copy, data, size);
	if (response)
		copy[0] &= 0x7f;
	if (kafka_request_header_read(copy, size, &header) == NULL && header.known_version)
		check(response ? header.api->response() : header.api->request(), header.api_version,
			  kafka_api_flexible(header.api, header.api_version), header.body, header.body_len);
	free(copy);
	return 0;
}
