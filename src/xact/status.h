/*-------------------------------------------------------------------------
 *
 * status.h
 *	  What came of a request to a partition's log; Kafka's errors for these are
 *	  in ../kafka/errors.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_XACT_STATUS_H
#define PT_XACT_STATUS_H

typedef enum PtStatus
{
	PT_OK,
	PT_BUSY,					/* another transaction holds the append lock:
								 * try again later */
	PT_NEEDS_EXECUTOR,			/* it runs code of users or takes its time: an
								 * executor process must do that */
	PT_UNKNOWN_PARTITION,
	PT_OFFSET_OUT_OF_RANGE,
	PT_CORRUPT_BATCH,
	PT_MESSAGE_TOO_LARGE,
	PT_INVALID_RECORD,
	PT_INVALID_TIMESTAMP,
	PT_DUPLICATE_SEQUENCE,		/* not an error: offset is where the first one
								 * went */
	PT_OUT_OF_ORDER_SEQUENCE,
	PT_INVALID_PRODUCER_EPOCH,
	PT_UNSUPPORTED_COMPRESSION,
	PT_FENCED_LEADER_EPOCH,
	PT_UNKNOWN_LEADER_EPOCH,
	PT_FORBIDDEN,				/* the role may not write to the topic any
								 * more */
	PT_NOT_STAGED,				/* the transaction does not take it: there is a
								 * TxnError */
	PT_STORAGE_ERROR,			/* the server has no memory for it */
	PT_FAILED					/* an ERROR was thrown: there is an SQLSTATE
								 * and a message */
} PtStatus;

#endif							/* PT_XACT_STATUS_H */
