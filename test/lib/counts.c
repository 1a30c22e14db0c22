/*-------------------------------------------------------------------------
 *
 * counts.c
 *	  Counts what the processes of a server do, for tests.
 *
 * A library for LD_PRELOAD.  The file PGTOPIC_COUNTS has a 64-bit number for
 * each kind of call, which all processes share; counts.py reads it.
 *
 * An HMAC is one unit of the work of checking a password: a SCRAM verifier
 * takes as many as it has iterations.  Of look-ups only those of names that
 * end with ".invalid" count, which no name server knows.
 *
 * Siblings: counts.py; faults.c, power.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "calls.h"

#include <fcntl.h>
#include <netdb.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum
{
	COUNT_HMAC,
	COUNT_LOOKUP,
	COUNT_MAX
};

static void
count(int what)
{
	static uint64_t *counts = NULL;

	if (counts == NULL)
	{
		const char *path = getenv("PGTOPIC_COUNTS");
		int			fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
		void	   *at = MAP_FAILED;

		if (fd >= 0)
		{
			at = mmap(NULL, COUNT_MAX * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
			close(fd);
		}
		if (at == MAP_FAILED)
			return;
		counts = at;
	}
	__atomic_fetch_add(&counts[what], 1, __ATOMIC_RELAXED);
}

/* OpenSSL's, whose types do not matter here. */
typedef int (*HmacCall) (void *, const void *, int, const void *, void *);

extern int	HMAC_Init_ex(void *ctx, const void *key, int len, const void *md, void *engine);

WRAP(int, HmacCall, HMAC_Init_ex, (void *ctx, const void *key, int len, const void *md, void *engine),
	 (count(COUNT_HMAC), real(ctx, key, len, md, engine)))

typedef int (*LookupCall) (const char *, const char *, const struct addrinfo *, struct addrinfo **);

static int
lookup_with(LookupCall real, const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
	size_t		len = node == NULL ? 0 : strlen(node);

	if (len >= 8 && strcmp(node + len - 8, ".invalid") == 0)
		count(COUNT_LOOKUP);
	return real(node, service, hints, found);
}

WRAP(int, LookupCall, getaddrinfo,
	 (const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found),
	 lookup_with(real, node, service, hints, found))
