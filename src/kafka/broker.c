/*-------------------------------------------------------------------------
 *
 * broker.c
 *	  Who the broker is that clients see.
 *
 * Siblings: broker.h, advertised.c (its address).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "common/hashfn.h"
#include "port/pg_bswap.h"

#include "kafka/broker.h"

/*
 * Returns the id of the cluster: 22 characters in static memory.  It stays
 * the same over restarts and is the same on all replicas, because it comes
 * from the system identifier.  Kafka's ids are 16 bytes in URL-safe base64
 * without padding, so a hash of the identifier gives the other 8 bytes.
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
