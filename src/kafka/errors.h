/*-------------------------------------------------------------------------
 *
 * errors.h
 *	  The functions that map our errors to the codes of the Kafka protocol.
 *
 * Siblings: error_codes.h, errors.c, call.c (where thrown errors are caught).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_ERRORS_H
#define KAFKA_ERRORS_H

#include "produce/produce.h"
#include "xact/status.h"
#include "kafka/error_codes.h"

extern const char *kafka_error_name(int16 code);

extern int16 kafka_error_from_sqlstate(int sqlstate, bool in_command);
extern int16 kafka_error_from_status(PtStatus status);
extern int16 kafka_error_from_batch(const PtProduce *batch);

extern bool kafka_error_is_ours(int sqlstate, int16 code);

extern int16 kafka_read_error(int16 code);
extern int16 kafka_read_error_from_status(PtStatus status);

#endif							/* KAFKA_ERRORS_H */
