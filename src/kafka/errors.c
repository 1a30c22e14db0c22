/*-------------------------------------------------------------------------
 *
 * errors.c
 *	  Maps the errors of PostgreSQL and of the engine to Kafka's.
 *
 * A client needs to know whether it may try again.  Conditions that pass
 * (locks, a full disk, a standby that is being promoted) get a retriable code.
 * All others get a final one.
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

/*
 * Returns the name of a code for log lines, such as "UNKNOWN_TOPIC_ID".
 */
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

/*
 * Returns the retriable code of an error that has nothing to do with what was
 * asked, so that the same request may succeed later; KERR_NONE for other
 * errors.  No other place decides which errors these are.
 */
static int16
error_that_passes(int sqlstate)
{
	switch (sqlstate)
	{
		case ERRCODE_READ_ONLY_SQL_TRANSACTION:
			return KERR_NOT_LEADER_OR_FOLLOWER;
		case ERRCODE_CONFIGURATION_LIMIT_EXCEEDED:
		case ERRCODE_OBJECT_IN_USE:
			return KERR_NONE;	/* stays so until somebody acts */
		case ERRCODE_DATA_CORRUPTED:
		case ERRCODE_INDEX_CORRUPTED:
			return KERR_KAFKA_STORAGE_ERROR;
	}
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_CONNECTION_EXCEPTION:	/* of a foreign table, say */
		case ERRCODE_TRANSACTION_ROLLBACK:	/* deadlock, serialization */
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:	/* lock timeout, not
														 * there yet */
		case ERRCODE_OPERATOR_INTERVENTION: /* canceled, shutdown */
			return KERR_REQUEST_TIMED_OUT;
		case ERRCODE_INSUFFICIENT_RESOURCES:	/* memory, disk, connections */
		case ERRCODE_SYSTEM_ERROR:
			return KERR_KAFKA_STORAGE_ERROR;
	}
	return KERR_NONE;
}

/*
 * Returns true for errors that code of users has raised while we ran a
 * command for the client.  The topic of the command is locked by then.  So if
 * something does not exist, or exists already, an event trigger looked for
 * it.
 */
static bool
is_of_users_code(int sqlstate)
{
	switch (sqlstate)
	{
		case ERRCODE_UNDEFINED_TABLE:
		case ERRCODE_UNDEFINED_OBJECT:
		case ERRCODE_DUPLICATE_TABLE:
		case ERRCODE_DUPLICATE_OBJECT:
		case ERRCODE_UNIQUE_VIOLATION:
			return true;
	}
	return false;
}

/*
 * Returns true if an error is the server's, not the client's.  Such errors
 * are logged.
 */
bool
kafka_error_is_ours(int sqlstate, int16 code)
{
	return code == KERR_UNKNOWN_SERVER_ERROR || error_that_passes(sqlstate) != KERR_NONE;
}

/*
 * Returns the code of a thrown error. in_command: a command threw it that we
 * ran for the client, so an event trigger may have raised it.  An exception
 * that a trigger raises is a policy of the owner (POLICY_VIOLATION).
 */
int16
kafka_error_from_sqlstate(int sqlstate, bool in_command)
{
	int16		passing = error_that_passes(sqlstate);

	if (passing != KERR_NONE)
		return passing;
	if (in_command && is_of_users_code(sqlstate))
		return KERR_UNKNOWN_SERVER_ERROR;
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
		case ERRCODE_RAISE_EXCEPTION:	/* a trigger's own */
		case ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST:
		case ERRCODE_OBJECT_IN_USE:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
		case ERRCODE_CONFIGURATION_LIMIT_EXCEEDED:
			return KERR_POLICY_VIOLATION;
		case ERRCODE_FEATURE_NOT_SUPPORTED:
			return KERR_INVALID_REQUEST;
	}
	return ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_DATA_EXCEPTION ? KERR_INVALID_REQUEST : KERR_UNKNOWN_SERVER_ERROR;
}

/*
 * Returns the code of an error that was thrown while a batch was appended.
 * If it does not pass, a constraint or trigger of the table refuses the
 * records.
 */
static int16
batch_error_from_sqlstate(int sqlstate)
{
	int16		passing = error_that_passes(sqlstate);

	if (passing != KERR_NONE)
		return passing;
	if (sqlstate == ERRCODE_CONFIGURATION_LIMIT_EXCEEDED)
		return KERR_KAFKA_STORAGE_ERROR;	/* too many logs are in use */
	if (ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_INTERNAL_ERROR)
		return KERR_UNKNOWN_SERVER_ERROR;
	return KERR_INVALID_RECORD;
}

/*
 * Returns the code of a batch that pt_produce_batches() has finished.
 */
int16
kafka_error_from_batch(const PtProduce *batch)
{
	if (batch->status == PT_NOT_STAGED)
		return batch->txn_error;
	return batch->status == PT_FAILED ? batch_error_from_sqlstate(batch->sqlstate) :
		kafka_error_from_status(batch->status);
}

/*
 * Returns the code of an engine's status. PT_FAILED has lost its SQLSTATE
 * here and is UNKNOWN_SERVER_ERROR; see kafka_error_from_batch().
 */
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
		case PT_NEEDS_EXECUTOR:
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
		case PT_FORBIDDEN:
			return KERR_TOPIC_AUTHORIZATION_FAILED;
		case PT_STORAGE_ERROR:
			return KERR_KAFKA_STORAGE_ERROR;
		case PT_NOT_STAGED:
		case PT_FAILED:
			break;
	}
	return KERR_UNKNOWN_SERVER_ERROR;
}

/*
 * Returns the code for APIs that read.  Consumers take NOT_LEADER_OR_FOLLOWER
 * as "refresh metadata and try again", but a timeout as a fault of the
 * broker.
 */
int16
kafka_read_error(int16 code)
{
	return code == KERR_REQUEST_TIMED_OUT ? KERR_NOT_LEADER_OR_FOLLOWER : code;
}

/*
 * The same from a status.
 */
int16
kafka_read_error_from_status(PtStatus status)
{
	return kafka_read_error(kafka_error_from_status(status));
}
