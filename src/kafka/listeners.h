/*-------------------------------------------------------------------------
 *
 * listeners.h
 *	  The listeners: their names, addresses, and what is spoken there.
 *
 * Siblings: listeners.c; advertised.c (what clients are told of them);
 * ../server/doors.c (opens them).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_LISTENERS_H
#define KAFKA_LISTENERS_H

#include "utils/guc.h"

#define KAFKA_LISTENERS_MAX			16
#define KAFKA_LISTENER_NAME_BYTES	64
#define KAFKA_HOST_BYTES			256

/* Kafka's security protocols, by their numbers. */
typedef enum KafkaSecurity
{
	KAFKA_SECURITY_PLAINTEXT,
	KAFKA_SECURITY_SSL,
	KAFKA_SECURITY_SASL_PLAINTEXT,
	KAFKA_SECURITY_SASL_SSL
} KafkaSecurity;

/* One entry of a list in Kafka's form, NAME://host:port. */
typedef struct KafkaEndpoint
{
	char		name[KAFKA_LISTENER_NAME_BYTES];	/* in capitals */
	char		host[KAFKA_HOST_BYTES]; /* without brackets; "*": all
										 * addresses */
	int			port;
} KafkaEndpoint;

typedef struct KafkaEndpoints
{
	int			n;
	KafkaEndpoint at[KAFKA_LISTENERS_MAX];
} KafkaEndpoints;

extern const KafkaEndpoints *kafka_listeners(void);
extern void kafka_advertised_endpoints(KafkaEndpoints *to);
extern bool kafka_listener_security(const char *name, KafkaSecurity *security);
extern const char *kafka_security_name(KafkaSecurity security);
extern const KafkaEndpoint *kafka_endpoint_find(const KafkaEndpoints *all, const char *name);

/* Does a connection to such a listener begin with a TLS handshake? */
static inline bool
kafka_security_has_tls(KafkaSecurity security)
{
	return security == KAFKA_SECURITY_SSL || security == KAFKA_SECURITY_SASL_SSL;
}

/* Is who connects there asked for a role's name and password? */
static inline bool
kafka_security_has_sasl(KafkaSecurity security)
{
	return security == KAFKA_SECURITY_SASL_PLAINTEXT || security == KAFKA_SECURITY_SASL_SSL;
}

/* check hooks */
extern bool kafka_listeners_check(char **newval, void **extra, GucSource source);
extern bool kafka_advertised_check(char **newval, void **extra, GucSource source);
extern bool kafka_security_map_check(char **newval, void **extra, GucSource source);

#endif							/* KAFKA_LISTENERS_H */
