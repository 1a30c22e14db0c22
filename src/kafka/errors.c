/*-------------------------------------------------------------------------
 *
 * errors.c
 *	  PostgreSQL's and the engine's errors in Kafka's words.
 *
 * What matters to a client is whether it may try again: codes for conditions
 * that pass (locks, a standby that is being promoted) are retriable ones, all
 * others are final.
 *
 * Siblings: errors.h, call.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/errcodes.h"

#include "kafka/errors.h"

/* "UNKNOWN_TOPIC_ID" and so on, for log lines. */
const char *
kafka_error_name(int16 code)
{
	switch (code)
	{
#define KAFKA_ERROR_NAME(value, name) case value: return #name;
			KAFKA_ERRORS(KAFKA_ERROR_NAME)
#undef KAFKA_ERROR_NAME
	}
	return "error";
}

/* For states that are not in the list by themselves. */
static int16
error_from_class(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case MAKE_SQLSTATE('2', '2', '0', '0', '0'):	/* data exception */
			return KERR_INVALID_REQUEST;
		case MAKE_SQLSTATE('4', '0', '0', '0', '0'):	/* transaction rollback */
		case MAKE_SQLSTATE('5', '5', '0', '0', '0'):	/* not in that state */
		case MAKE_SQLSTATE('5', '7', '0', '0', '0'):	/* operator intervention */
			return KERR_REQUEST_TIMED_OUT;
		case MAKE_SQLSTATE('5', '8', '0', '0', '0'):	/* system error */
			return KERR_KAFKA_STORAGE_ERROR;
	}
	return KERR_UNKNOWN_SERVER_ERROR;
}

/*
 * The one place where a thrown error becomes a code of the protocol.
 */
int16
kafka_error_from_sqlstate(int sqlstate)
{
	switch (sqlstate)
	{
		case ERRCODE_DUPLICATE_TABLE:
		case ERRCODE_DUPLICATE_OBJECT:
		case ERRCODE_UNIQUE_VIOLATION:	/* two sessions create the same
										 * relation */
			return KERR_TOPIC_ALREADY_EXISTS;
		case ERRCODE_UNDEFINED_TABLE:
		case ERRCODE_UNDEFINED_OBJECT:
			return KERR_UNKNOWN_TOPIC_OR_PARTITION;
		case ERRCODE_INVALID_NAME:
			return KERR_INVALID_TOPIC_EXCEPTION;
		case ERRCODE_INSUFFICIENT_PRIVILEGE:
			return KERR_TOPIC_AUTHORIZATION_FAILED;
		case ERRCODE_READ_ONLY_SQL_TRANSACTION:
			return KERR_NOT_LEADER_OR_FOLLOWER;
		case ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST:
		case ERRCODE_OBJECT_IN_USE:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
		case ERRCODE_CONFIGURATION_LIMIT_EXCEEDED:
			return KERR_POLICY_VIOLATION;
		case ERRCODE_FEATURE_NOT_SUPPORTED:
			return KERR_INVALID_REQUEST;
		case ERRCODE_DISK_FULL:
		case ERRCODE_DATA_CORRUPTED:
		case ERRCODE_INDEX_CORRUPTED:
			return KERR_KAFKA_STORAGE_ERROR;
	}
	return error_from_class(sqlstate);
}

int16
kafka_error_from_status(PtStatus status)
{
	switch (status)
	{
		case PT_OK:
		case PT_DUPLICATE_SEQUENCE: /* the batch is there: that is what the
									 * client wants to hear */
			return KERR_NONE;
		case PT_BUSY:
			return KERR_REQUEST_TIMED_OUT;
		case PT_UNKNOWN_PARTITION:
			return KERR_UNKNOWN_TOPIC_OR_PARTITION;
		case PT_OFFSET_OUT_OF_RANGE:
			return KERR_OFFSET_OUT_OF_RANGE;
		case PT_CORRUPT_BATCH:
			return KERR_CORRUPT_MESSAGE;
		case PT_MESSAGE_TOO_LARGE:
			return KERR_MESSAGE_TOO_LARGE;
		case PT_INVALID_RECORD:
			return KERR_INVALID_RECORD;
		case PT_INVALID_TIMESTAMP:
			return KERR_INVALID_TIMESTAMP;
		case PT_OUT_OF_ORDER_SEQUENCE:
			return KERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
		case PT_INVALID_PRODUCER_EPOCH:
			return KERR_INVALID_PRODUCER_EPOCH;
		case PT_UNSUPPORTED_COMPRESSION:
			return KERR_UNSUPPORTED_COMPRESSION_TYPE;
		case PT_FENCED_LEADER_EPOCH:
			return KERR_FENCED_LEADER_EPOCH;
		case PT_UNKNOWN_LEADER_EPOCH:
			return KERR_UNKNOWN_LEADER_EPOCH;
		case PT_STORAGE_ERROR:
			return KERR_KAFKA_STORAGE_ERROR;
	}
	return KERR_UNKNOWN_SERVER_ERROR;
}

/*
 * The same for APIs that read, where PT_BUSY is a table locked by DDL:
 * consumers take NOT_LEADER_OR_FOLLOWER as "refresh metadata and try again",
 * and a timeout as a bug of ours.
 */
int16
kafka_read_error_from_status(PtStatus status)
{
	return status == PT_BUSY ? KERR_NOT_LEADER_OR_FOLLOWER : kafka_error_from_status(status);
}
