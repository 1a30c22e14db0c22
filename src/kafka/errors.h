/*-------------------------------------------------------------------------
 *
 * errors.h
 *	  The error codes of the Kafka protocol that we answer with, and the two
 *	  functions that map ours to them.
 *
 * Siblings: errors.c, call.c (where thrown errors are caught).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_ERRORS_H
#define KAFKA_ERRORS_H

#include "engine/engine.h"

#define KAFKA_ERRORS(X) \
	X(-1, UNKNOWN_SERVER_ERROR) \
	X(0, NONE) \
	X(1, OFFSET_OUT_OF_RANGE) \
	X(2, CORRUPT_MESSAGE) \
	X(3, UNKNOWN_TOPIC_OR_PARTITION) \
	X(5, LEADER_NOT_AVAILABLE) \
	X(6, NOT_LEADER_OR_FOLLOWER) \
	X(7, REQUEST_TIMED_OUT) \
	X(10, MESSAGE_TOO_LARGE) \
	X(17, INVALID_TOPIC_EXCEPTION) \
	X(21, INVALID_REQUIRED_ACKS) \
	X(29, TOPIC_AUTHORIZATION_FAILED) \
	X(32, INVALID_TIMESTAMP) \
	X(35, UNSUPPORTED_VERSION) \
	X(36, TOPIC_ALREADY_EXISTS) \
	X(37, INVALID_PARTITIONS) \
	X(38, INVALID_REPLICATION_FACTOR) \
	X(39, INVALID_REPLICA_ASSIGNMENT) \
	X(40, INVALID_CONFIG) \
	X(42, INVALID_REQUEST) \
	X(44, POLICY_VIOLATION) \
	X(45, OUT_OF_ORDER_SEQUENCE_NUMBER) \
	X(47, INVALID_PRODUCER_EPOCH) \
	X(48, INVALID_TXN_STATE) \
	X(56, KAFKA_STORAGE_ERROR) \
	X(70, FETCH_SESSION_ID_NOT_FOUND) \
	X(71, INVALID_FETCH_SESSION_EPOCH) \
	X(74, FENCED_LEADER_EPOCH) \
	X(75, UNKNOWN_LEADER_EPOCH) \
	X(76, UNSUPPORTED_COMPRESSION_TYPE) \
	X(87, INVALID_RECORD) \
	X(100, UNKNOWN_TOPIC_ID) \
	X(106, FETCH_SESSION_TOPIC_ID_ERROR) \
	X(114, MISMATCHED_ENDPOINT_TYPE) \
	X(115, UNSUPPORTED_ENDPOINT_TYPE)

typedef enum KafkaErrorCode
{
#define KAFKA_ERROR_ENUM(code, name) KERR_##name = code,
	KAFKA_ERRORS(KAFKA_ERROR_ENUM)
#undef KAFKA_ERROR_ENUM
} KafkaErrorCode;

/* "UNKNOWN_TOPIC_ID" and so on, for log lines. */
extern const char *kafka_error_name(int16 code);

extern int16 kafka_error_from_sqlstate(int sqlstate);
extern int16 kafka_error_from_status(PtStatus status);

/*
 * The same for APIs that read, where PT_BUSY is a table locked by DDL: consumers take
 * NOT_LEADER_OR_FOLLOWER as "refresh metadata and try again", and a timeout as a bug of ours.
 */
extern int16 kafka_read_error_from_status(PtStatus status);

#endif							/* KAFKA_ERRORS_H */
