/*-------------------------------------------------------------------------
 *
 * scram.h
 *	  SCRAM credentials: those that PostgreSQL's roles have.
 *
 * Siblings: scram.c; api/50, api/51.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_SCRAM_H
#define KAFKA_SCRAM_H

#include "kafka/settings.h"

/* ScramMechanism of the protocol */
#define KAFKA_SCRAM_SHA_256		1
#define KAFKA_SCRAM_SHA_512		2

/* What a broker accepts. */
/* The bounds of iterations that a Kafka broker accepts. */
#define KAFKA_SCRAM_ITERATIONS_MIN	4096
#define KAFKA_SCRAM_ITERATIONS_MAX	16384

/* Bytes of the SaltedPassword of SCRAM-SHA-256. */
#define KAFKA_SCRAM_SALTED_LEN		32

/* A role with a password. */
typedef struct KafkaScramUser
{
	const char *name;
	int			iterations;
} KafkaScramUser;

extern List *kafka_scram_users(void);

extern char *kafka_scram_verifier(int iterations, KafkaString salt, KafkaString salted_password);

extern bool kafka_scram_set(KafkaCall *call, const char *role, const char *verifier, KafkaError *error);

#endif							/* KAFKA_SCRAM_H */
