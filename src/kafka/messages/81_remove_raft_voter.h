/*-------------------------------------------------------------------------
 *
 * 81_remove_raft_voter.h
 *	  RemoveRaftVoter (API key 81), version 0.
 *
 * All versions are flexible.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_REMOVE_RAFT_VOTER_H
#define KAFKA_MESSAGES_REMOVE_RAFT_VOTER_H

#include "kafka/message_rows.h"

#define REMOVE_RAFT_VOTER_REQUEST_ROWS(F) \
	F(STRING, cluster_id,          0, LATEST, NULLABLE(0)) \
	F(INT32,  voter_id,            0, LATEST) \
	F(UUID,   voter_directory_id,  0, LATEST)
KAFKA_STRUCT(RemoveRaftVoterRequest, REMOVE_RAFT_VOTER_REQUEST_ROWS)

#define REMOVE_RAFT_VOTER_RESPONSE_ROWS(F) \
	F(INT32,  throttle_time_ms,  0, LATEST) \
	F(INT16,  error_code,        0, LATEST) \
	F(STRING, error_message,     0, LATEST, NULLABLE(0))
KAFKA_STRUCT(RemoveRaftVoterResponse, REMOVE_RAFT_VOTER_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_REMOVE_RAFT_VOTER_H */
