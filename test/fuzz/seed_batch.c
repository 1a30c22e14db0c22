/*-------------------------------------------------------------------------
 *
 * seed_batch.c
 *	  Seeds for fuzz_batch.c: the batches of the unit tests' vectors, and one of
 *	  our own in each compression.
 *
 *	  Writes one file per seed into the directory that is its argument.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "../unit/vectors.h"

#include <limits.h>

#include "record/compress.h"

static void
seed_write(const char *dir, const char *name, const char *data, size_t len)
{
	char		path[MAXPGPATH];
	FILE	   *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "wb");
	if (file == NULL || fwrite(data, 1, len, file) != len || fclose(file) != 0)
	{
		fprintf(stderr, "could not write \"%s\"\n", path);
		exit(1);
	}
}

int
main(int argc, char **argv)
{
	PtBatchBuilder b = {0};

	if (argc != 2)
	{
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	for (int i = 0; i < lengthof(vectors); i++)
	{
		size_t		len;
		char	   *data = test_unhex(vectors[i].hex, &len);

		seed_write(argv[1], vectors[i].name, data, len);
		pg_free(data);
	}
	for (int codec = 0; codec <= PT_CODEC_LAST; codec++)
	{
		char		name[32];
		size_t		len;
		char	   *data;

		pt_builder_start(&b);
		for (int i = 0; i < 20; i++)
			pt_builder_add(&b, i, &vector_records[i % lengthof(vector_records)]);
		data = pt_builder_finish(&b, codec, INT_MIN, &len);
		snprintf(name, sizeof(name), "built-%d", codec);
		seed_write(argv[1], name, data, len);
	}
	pt_builder_free(&b);
	return 0;
}
