/*-------------------------------------------------------------------------
 *
 * seed_tls.c
 *	  Seeds for fuzz_tls.c: clients that behave, in a few ways.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include <stdint.h>
#include <stdio.h>

static void
write_seed(const char *dir, int n, const uint8_t *bytes, size_t len)
{
	char		path[4096];
	FILE	   *f;

	snprintf(path, sizeof(path), "%s/seed-%d", dir, n);
	f = fopen(path, "w");
	if (f == NULL)
		return;
	fwrite(bytes, 1, len, f);
	fclose(f);
}

int
main(int argc, char **argv)
{
	/* a frame, its echo, the end; by 1.3 and 1.2 */
	static const uint8_t echo[] = {0, 3, 5, 13, 13, 6, 13};
	static const uint8_t echo_12[] = {4, 3, 5, 13, 13, 6, 13};

	/* with a certificate, in small pieces, many frames that wait */
	static const uint8_t many[] = {9, 9, 0, 50, 3, 200, 3, 1, 3, 90, 1, 13, 10, 13, 10, 13, 12, 10, 13};

	/* new keys, damage, other bytes */
	static const uint8_t keys[] = {0, 7, 3, 2, 13, 7, 3, 2, 4, 9, 13};
	static const uint8_t plain[] = {16, 0, 0, 0, 3, 1, 2, 3};

	if (argc != 2)
		return 2;
	write_seed(argv[1], 1, echo, sizeof(echo));
	write_seed(argv[1], 2, echo_12, sizeof(echo_12));
	write_seed(argv[1], 3, many, sizeof(many));
	write_seed(argv[1], 4, keys, sizeof(keys));
	write_seed(argv[1], 5, plain, sizeof(plain));
	return 0;
}
