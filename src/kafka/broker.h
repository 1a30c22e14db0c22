/*-------------------------------------------------------------------------
 *
 * broker.h
 *	  The broker that clients see: this server.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_BROKER_H
#define KAFKA_BROKER_H

#include "utils/guc.h"

/* There is one broker, which is the controller and leads all partitions. */
#define KAFKA_BROKER_ID			1

/* What the broker allows one fetch and one description to be. */
#define KAFKA_FETCH_BYTES_MAX	(55 * 1024 * 1024)
#define KAFKA_DESCRIBE_LIMIT	2000

/* advertised.c: where clients are told to connect to */
typedef struct KafkaAdvertised
{
	char	   *host;
	int			port;
} KafkaAdvertised;

extern KafkaAdvertised kafka_advertised(int listener);
extern int	kafka_advertised_count(void);
extern bool kafka_advertised_check(char **newval, void **extra, GucSource source);

/*
 * 22 characters that stay the same over restarts and on all replicas; in
 * static memory.
 */
extern const char *kafka_cluster_id(void);

#endif							/* KAFKA_BROKER_H */
