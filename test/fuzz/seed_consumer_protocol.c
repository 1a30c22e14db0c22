/*-------------------------------------------------------------------------
 *
 * seed_consumer_protocol.c
 *	  Seeds for fuzz_consumer_protocol.c: an assignment and a subscription of each version.
 *
 *	  usage: seed_consumer_protocol DIRECTORY
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

/* Topics "ab" and "c", partitions 0 and 1 of both. */
static const char topics[] = "\0\0\0\2" "\0\2ab" "\0\0\0\2\0\0\0\0\0\0\0\1" "\0\1c" "\0\0\0\2\0\0\0\0\0\0\0\1";
static const char names[] = "\0\0\0\2" "\0\2ab" "\0\1c";
static const char user_data[] = "\0\0\0\3xyz";
static const char tail[] = "\0\0\0\7" "\0\4rack";

static void
write_seed(const char *directory, int version, bool subscription)
{
	char		path[MAXPGPATH];
	FILE	   *file;

	snprintf(path, sizeof(path), "%s/seed-%d-%d", directory, version, subscription);
	file = fopen(path, "wb");
	if (file == NULL)
	{
		perror(path);
		exit(1);
	}
	fputc(subscription, file);
	fputc(0, file);
	fputc(version, file);
	if (subscription)
		fwrite(names, sizeof(names) - 1, 1, file);
	else
		fwrite(topics, sizeof(topics) - 1, 1, file);
	fwrite(user_data, sizeof(user_data) - 1, 1, file);
	if (subscription && version >= 1)
		fwrite(topics, sizeof(topics) - 1, 1, file);
	if (subscription && version >= 2)
		fwrite(tail, version == 2 ? 4 : sizeof(tail) - 1, 1, file);
	if (fclose(file) != 0)
		exit(1);
}

int
main(int argc, char **argv)
{
	if (argc != 2)
	{
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	for (int version = 0; version <= 3; version++)
	{
		write_seed(argv[1], version, false);
		write_seed(argv[1], version, true);
	}
	return 0;
}
