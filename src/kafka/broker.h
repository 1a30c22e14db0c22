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

/*
 * The id of the one broker.  It is the controller and the leader of all
 * partitions.
 */
#define KAFKA_BROKER_ID			1

/*
 * The most bytes that one fetch returns, and the most partitions that one
 * description returns.  Kafka's defaults.
 */
#define KAFKA_FETCH_BYTES_MAX	(55 * 1024 * 1024)
#define KAFKA_DESCRIBE_LIMIT	2000

/* advertised.c: the address that clients are told to connect to */
typedef struct KafkaAdvertised
{
	const char *name;			/* of the listener */
	char	   *host;
	int			port;
} KafkaAdvertised;

extern KafkaAdvertised kafka_advertised(int listener);

extern const char *kafka_cluster_id(void);

#endif							/* KAFKA_BROKER_H */
