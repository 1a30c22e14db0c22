/*-------------------------------------------------------------------------
 *
 * seed_producer_snapshot.c
 *	  Seeds for fuzz_producer_snapshot.c: pieces with none, one and many
 *	  producers.
 *
 *	  usage: seed_producer_snapshot DIRECTORY
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "record/producer_snapshot.h"

static void
write_seed(const char *directory, int n)
{
	char		path[MAXPGPATH];
	char		data[8192];
	PtSnapshotWriter w;
	size_t		len;
	FILE	   *file;

	pt_snapshot_begin(&w, data, sizeof(data));
	for (int i = 0; i < n; i++)
	{
		PtProducerState s;

		pt_sequence_init(&s, i);
		for (int j = 0; j <= i % PT_SEQUENCE_BATCHES; j++)
		{
			PtBatchHeader h = {.producer_id = i,.base_sequence = j,.record_count = 1,.max_timestamp = 1000};

			pt_sequence_append(&s, &h, j, 1000);
		}
		if (!pt_snapshot_add(&w, &s))
			exit(1);
	}
	len = pt_snapshot_finish(&w, 1000);
	snprintf(path, sizeof(path), "%s/seed-%d", directory, n);
	file = fopen(path, "wb");
	if (file == NULL || fwrite(data, 1, len, file) != len || fclose(file) != 0)
	{
		perror(path);
		exit(1);
	}
}

int
main(int argc, char **argv)
{
	if (argc != 2)
	{
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	write_seed(argv[1], 0);
	write_seed(argv[1], 1);
	write_seed(argv[1], 30);
	return 0;
}
