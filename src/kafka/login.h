/*-------------------------------------------------------------------------
 *
 * login.h
 *	  How a connection becomes a role's.
 *
 * Siblings: login.c; api/17, api/36; ../auth/auth.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_LOGIN_H
#define KAFKA_LOGIN_H

#include "auth/auth.h"
#include "kafka/kafka.h"

/* What a session has between SaslHandshake and its last SaslAuthenticate. */
typedef struct KafkaSasl
{
	PtMechanism mechanism;
	PtAuthExchange *exchange;
	bool		refused;		/* the client has been told so and may say one
								 * thing more */
} KafkaSasl;

extern PtAuthPeer kafka_login_peer(const KafkaSession *session);
extern void kafka_login_start(KafkaSession *session, PtMechanism mechanism);
extern void kafka_login_end(KafkaSession *session);
extern bool kafka_login_finish(KafkaSession *session, const char *role_name, const char *mechanism, TimestampTz until);
extern char *kafka_login_limit_problem(KafkaSession *session, Oid role, const char *role_name);
extern int64 kafka_login_lifetime_ms(const KafkaSession *session);

#endif							/* KAFKA_LOGIN_H */
