/*-------------------------------------------------------------------------
 *
 * seed_login.c
 *	  Seeds for fuzz_login.c: who logs in, and what ends that.
 *
 *	  usage: seed_login DIRECTORY
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
	/* as fuzz_login.c reads it: the listener, then steps */
	static const char scram[] = "\0" "\0" "\2\0" "\2\2";
	static const char plain[] = "\0" "\10" "\2\4";
	static const char wrong[] = "\0" "\10" "\2\5";
	static const char again[] = "\0" "\6\14" "\0" "\2\0" "\2\2" "\0" "\2\0" "\2\2" "\7\377";
	static const char other[] = "\0" "\6\14" "\10" "\2\4" "\10" "\2\14";
	static const char dropped[] = "\0" "\10" "\2\4" "\6\0" "\6\0" "\10" "\2\4";
	static const char token[] = "\0" "\20" "\2\6";
	static const char short_token[] = "\0" "\6\14" "\20" "\2\106" "\2" "\7\377";
	static const char bad_token[] = "\0" "\20" "\2\26" "\2\0";
	static const char certificate[] = "\7" "\6\42" "\5\7" "\6\1";

	if (argc != 2)
	{
		fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
		return 2;
	}
	write_seed(argv[1], "scram", scram, sizeof(scram) - 1);
	write_seed(argv[1], "plain", plain, sizeof(plain) - 1);
	write_seed(argv[1], "wrong", wrong, sizeof(wrong) - 1);
	write_seed(argv[1], "again", again, sizeof(again) - 1);
	write_seed(argv[1], "other", other, sizeof(other) - 1);
	write_seed(argv[1], "dropped", dropped, sizeof(dropped) - 1);
	write_seed(argv[1], "token", token, sizeof(token) - 1);
	write_seed(argv[1], "short_token", short_token, sizeof(short_token) - 1);
	write_seed(argv[1], "bad_token", bad_token, sizeof(bad_token) - 1);
	write_seed(argv[1], "certificate", certificate, sizeof(certificate) - 1);
	return 0;
}
