/*-------------------------------------------------------------------------
 *
 * seed_sasl_message.c
 *	  Seeds for fuzz_sasl_message.c: a first message of each mechanism.
 *
 *	  usage: seed_sasl_message DIRECTORY
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

static void
write_seed(const char *directory, const char *name, const char *bytes, size_t len)
{
	char		path[MAXPGPATH];
	FILE	   *file;

	snprintf(path, sizeof(path), "%s/seed-%s", directory, name);
	file = fopen(path, "wb");
	if (file == NULL || fwrite(bytes, len, 1, file) != 1 || fclose(file) != 0)
	{
		perror(path);
		exit(1);
	}
}

int
main(int argc, char **argv)
{
	static const char scram[] = "\1n,,n=a=2Cl=3Dice,r=fyko+d2lbbFgONRv9qkxdawL,e=x";
	static const char plain[] = "\0alice\0alice\0secret";
	static const char bearer[] = "\2n,a=al=2Cice,\001auth=Bearer a.b-_~+/c==\001role=x\001\001";

	if (argc != 2)
	{
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	write_seed(argv[1], "scram", scram, sizeof(scram) - 1);
	write_seed(argv[1], "plain", plain, sizeof(plain) - 1);
	write_seed(argv[1], "bearer", bearer, sizeof(bearer) - 1);
	return 0;
}
