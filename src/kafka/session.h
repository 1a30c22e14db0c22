/*-------------------------------------------------------------------------
 *
 * session.h
 *	  As which role a connection acts.
 *
 * Siblings: session.c; ../rights/rights.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_SESSION_H
#define KAFKA_SESSION_H

#include "kafka/kafka.h"

extern const char *kafka_session_problem(const KafkaSession *session, const KafkaApi *api);

#endif							/* KAFKA_SESSION_H */
