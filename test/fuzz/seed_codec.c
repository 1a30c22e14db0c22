/*-------------------------------------------------------------------------
 *
 * seed_codec.c
 *	  Seeds for fuzz_codec.c: one message of each API, version and direction.
 *
 *	  usage: seed_codec DIRECTORY
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
/* sources: src/kafka/codec.c src/kafka/frame.c src/kafka/messages/messages.c */

#include "postgres_fe.h"

#include "../unit/messages.h"

static void
write_seed(const char *directory, const KafkaApi *api, int version, bool response)
{
	const KafkaSchema *schema = response ? api->response() : api->request();
	bool		flexible = kafka_api_flexible(api, version);
	uint64		rnd = 4711 + api->key * 1000 + version * 2 + response;
	Memory		memory = {0};
	char	   *in = memory_alloc(&memory, schema->size);
	char		header[] = {response ? (char) 0x80 : 0, (char) api->key, 0, (char) version, 0, 0, 0, 1, 0, 1, 'c', 0};
	char		path[MAXPGPATH];
	char	   *body;
	size_t		len;
	FILE	   *file;

	make_struct(schema, version, &rnd, &memory, in);
	body = message_encode(schema, version, flexible, in, &len);
	snprintf(path, sizeof(path), "%s/seed-%s-%d-%s", directory, api->name, version, response ? "response" : "request");
	file = fopen(path, "wb");
	if (file == NULL ||
		fwrite(header, flexible ? sizeof(header) : sizeof(header) - 1, 1, file) != 1 ||
		(len > 0 && fwrite(body, len, 1, file) != 1) || fclose(file) != 0)
	{
		perror(path);
		exit(1);
	}
	free(body);
	memory_free(&memory);
}

int
main(int argc, char **argv)
{
	if (argc != 2)
	{
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	for (int i = 0; i < KAFKA_API_COUNT; i++)
	{
		for (int version = kafka_apis[i].min_version; version <= kafka_apis[i].max_version; version++)
		{
			write_seed(argv[1], &kafka_apis[i], version, false);
			write_seed(argv[1], &kafka_apis[i], version, true);
		}
	}
	return 0;
}
