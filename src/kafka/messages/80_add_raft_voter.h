/*-------------------------------------------------------------------------
 *
 * 80_add_raft_voter.h
 *	  AddRaftVoter (API key 80), versions 0 to 1.
 *
 * All versions are flexible.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_ADD_RAFT_VOTER_H
#define KAFKA_MESSAGES_ADD_RAFT_VOTER_H

#include "kafka/message_rows.h"

#define RAFT_VOTER_LISTENER_ROWS(F) \
	F(STRING, name,  0, LATEST) \
	F(STRING, host,  0, LATEST) \
	F(UINT16, port,  0, LATEST)
KAFKA_STRUCT(RaftVoterListener, RAFT_VOTER_LISTENER_ROWS)

#define ADD_RAFT_VOTER_REQUEST_ROWS(F) \
	F(STRING,                   cluster_id,          0, LATEST, NULLABLE(0)) \
	F(INT32,                    timeout_ms,          0, LATEST) \
	F(INT32,                    voter_id,            0, LATEST) \
	F(UUID,                     voter_directory_id,  0, LATEST) \
	F(ARRAY(RaftVoterListener), listeners,           0, LATEST) \
	F(BOOL,                     ack_when_committed,  1, LATEST, DEFAULT(1))
KAFKA_STRUCT(AddRaftVoterRequest, ADD_RAFT_VOTER_REQUEST_ROWS)

#define ADD_RAFT_VOTER_RESPONSE_ROWS(F) \
	F(INT32,  throttle_time_ms,  0, LATEST) \
	F(INT16,  error_code,        0, LATEST) \
	F(STRING, error_message,     0, LATEST, NULLABLE(0))
KAFKA_STRUCT(AddRaftVoterResponse, ADD_RAFT_VOTER_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_ADD_RAFT_VOTER_H */
