/*-------------------------------------------------------------------------
 *
 * broker.c
 *	  Name and address of the broker that clients see.
 *
 * Siblings: broker.h; Metadata and DescribeCluster answer from it.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xlog.h"
#include "common/hashfn.h"
#include "port/pg_bswap.h"

#include "guc.h"
#include "kafka/broker.h"

#define HOST_MAX	256

/* Addresses that mean "any" are of no use to a client. */
static bool
is_wildcard(const char *host)
{
	return host[0] == '\0' || strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0 ||
		strcmp(host, "::") == 0;
}

/* The first of a comma-separated list, without blanks. */
static void
first_address(const char *list, char *host)
{
	size_t		len;

	list += strspn(list, " \t");
	len = Min(strcspn(list, ", \t"), HOST_MAX - 1);
	memcpy(host, list, len);
	host[len] = '\0';
}

/* Where clients connect to; in static memory. */
const char *
kafka_broker_host(void)
{
	static char host[HOST_MAX];

	if (pt_advertised_host != NULL && pt_advertised_host[0] != '\0')
	{
		strlcpy(host, pt_advertised_host, sizeof(host));
		return host;
	}
	first_address(pt_listen_addresses ? pt_listen_addresses : "", host);
	if (is_wildcard(host) && (gethostname(host, sizeof(host)) != 0 || host[0] == '\0'))
		strlcpy(host, "localhost", sizeof(host));
	host[HOST_MAX - 1] = '\0';
	return host;
}

int
kafka_broker_port(void)
{
	return pt_port;
}

/*
 * The system identifier is what a primary and its replicas have in common;
 * Kafka's ids are 16 bytes in URL-safe base64 without padding, so the other
 * half is derived from it.
 */
const char *
kafka_cluster_id(void)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	static char id[23];
	uint64		word[2];
	const uint8 *bytes = (const uint8 *) word;
	uint32		bits = 0;
	int			nbits = 0;
	int			n = 0;

	if (id[0] != '\0')
		return id;

	word[0] = pg_hton64(GetSystemIdentifier());
	word[1] = pg_hton64(hash_bytes_extended(bytes, sizeof(word[0]), 1));
	for (int i = 0; i < (int) sizeof(word); i++)
	{
		bits = (bits << 8) | bytes[i];
		nbits += 8;
		while (nbits >= 6)
		{
			nbits -= 6;
			id[n++] = digits[(bits >> nbits) & 0x3f];
		}
	}
	id[n++] = digits[(bits << (6 - nbits)) & 0x3f];
	Assert(n == lengthof(id) - 1);
	return id;
}
