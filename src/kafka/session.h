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

extern bool kafka_session_admits(const KafkaSession *session, int16 api_key);

#endif							/* KAFKA_SESSION_H */
