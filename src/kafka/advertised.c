/*-------------------------------------------------------------------------
 *
 * advertised.c
 *	  Where clients are told to connect to.
 *
 * pgtopic.listeners has the listeners; a client came in by one of them.
 * pgtopic.advertised_listeners says what clients of a listener are told.  For
 * a listener that it does not name, that is the listener's own address.
 *
 * Siblings: listeners.c (reads both settings), broker.h, broker.c (who the
 * broker is).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "kafka/broker.h"
#include "kafka/listeners.h"

/*
 * Returns the address that a client is told which came in by this listener
 * (its place in pgtopic.listeners, from 0).  The host is in the current memory
 * context.  Where a listener has all addresses, the host is this machine's
 * name, as it is when there is no such listener: then nobody came by it.
 */
KafkaAdvertised
kafka_advertised(int listener)
{
	const KafkaEndpoints *own = kafka_listeners();
	KafkaAdvertised result = {.host = palloc0(KAFKA_HOST_BYTES),.port = 9092,.name = "PLAINTEXT"};
	KafkaEndpoints told;

	Assert(listener >= 0);
	if (listener < own->n)
	{
		const KafkaEndpoint *at = &own->at[listener];
		const KafkaEndpoint *as;

		kafka_advertised_endpoints(&told);
		as = kafka_endpoint_find(&told, at->name);
		if (as == NULL)
			as = at;
		result.name = at->name;
		result.port = as->port;
		if (strcmp(as->host, "*") != 0)
		{
			strlcpy(result.host, as->host, KAFKA_HOST_BYTES);
			return result;
		}
	}
	if (gethostname(result.host, KAFKA_HOST_BYTES - 1) != 0 || result.host[0] == '\0')
		strlcpy(result.host, "localhost", KAFKA_HOST_BYTES);
	return result;
}
