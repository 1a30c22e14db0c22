/*-------------------------------------------------------------------------
 *
 * common.h
 *	  Structs that several messages share.
 *
 * Siblings: the numbered files, named by API key.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_COMMON_H
#define KAFKA_MESSAGES_COMMON_H

#include "kafka/message_rows.h"

/*
 * The leader of a partition, sent along with an error that a change of leader
 * explains.
 */
#define KAFKA_LEADER_ROWS(F) \
	F(INT32, leader_id,     0, LATEST, DEFAULT(-1)) \
	F(INT32, leader_epoch,  0, LATEST, DEFAULT(-1))
KAFKA_STRUCT(KafkaLeader, KAFKA_LEADER_ROWS)

/* Where a leader lives. */
#define KAFKA_NODE_ENDPOINT_ROWS(F) \
	F(INT32,  node_id,  0, LATEST) \
	F(STRING, host,     0, LATEST) \
	F(INT32,  port,     0, LATEST) \
	F(STRING, rack,     0, LATEST, NULLABLE(0), DEFAULT(-1))
KAFKA_STRUCT(KafkaNodeEndpoint, KAFKA_NODE_ENDPOINT_ROWS)

#endif							/* KAFKA_MESSAGES_COMMON_H */
