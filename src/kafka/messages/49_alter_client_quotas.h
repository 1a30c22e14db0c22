/*-------------------------------------------------------------------------
 *
 * 49_alter_client_quotas.h
 *	  AlterClientQuotas (API key 49), versions 0 to 1.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef KAFKA_MESSAGES_ALTER_CLIENT_QUOTAS_H
#define KAFKA_MESSAGES_ALTER_CLIENT_QUOTAS_H

#include "kafka/message_rows.h"

#define ALTER_QUOTAS_ENTITY_ROWS(F) \
	F(STRING, entity_type,  0, LATEST) \
	F(STRING, entity_name,  0, LATEST, NULLABLE(0))
KAFKA_STRUCT(AlterQuotasEntity, ALTER_QUOTAS_ENTITY_ROWS)

#define ALTER_QUOTAS_OP_ROWS(F) \
	F(STRING,  key,     0, LATEST) \
	F(FLOAT64, value,   0, LATEST) \
	F(BOOL,    remove,  0, LATEST)
KAFKA_STRUCT(AlterQuotasOp, ALTER_QUOTAS_OP_ROWS)

#define ALTER_QUOTAS_ENTRY_ROWS(F) \
	F(ARRAY(AlterQuotasEntity), entity,  0, LATEST) \
	F(ARRAY(AlterQuotasOp),     ops,     0, LATEST)
KAFKA_STRUCT(AlterQuotasEntry, ALTER_QUOTAS_ENTRY_ROWS)

#define ALTER_CLIENT_QUOTAS_REQUEST_ROWS(F) \
	F(ARRAY(AlterQuotasEntry), entries,        0, LATEST) \
	F(BOOL,                    validate_only,  0, LATEST)
KAFKA_STRUCT(AlterClientQuotasRequest, ALTER_CLIENT_QUOTAS_REQUEST_ROWS)

#define ALTER_QUOTAS_ENTITY_RESULT_ROWS(F) \
	F(STRING, entity_type,  0, LATEST) \
	F(STRING, entity_name,  0, LATEST, NULLABLE(0))
KAFKA_STRUCT(AlterQuotasEntityResult, ALTER_QUOTAS_ENTITY_RESULT_ROWS)

#define ALTER_QUOTAS_ENTRY_RESULT_ROWS(F) \
	F(INT16,                          error_code,     0, LATEST) \
	F(STRING,                         error_message,  0, LATEST, NULLABLE(0)) \
	F(ARRAY(AlterQuotasEntityResult), entity,         0, LATEST)
KAFKA_STRUCT(AlterQuotasEntryResult, ALTER_QUOTAS_ENTRY_RESULT_ROWS)

#define ALTER_CLIENT_QUOTAS_RESPONSE_ROWS(F) \
	F(INT32,                         throttle_time_ms,  0, LATEST) \
	F(ARRAY(AlterQuotasEntryResult), entries,           0, LATEST)
KAFKA_STRUCT(AlterClientQuotasResponse, ALTER_CLIENT_QUOTAS_RESPONSE_ROWS)

#endif							/* KAFKA_MESSAGES_ALTER_CLIENT_QUOTAS_H */
