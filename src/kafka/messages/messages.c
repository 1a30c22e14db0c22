/*-------------------------------------------------------------------------
 *
 * messages.c
 *	  The field tables of all messages and the table of APIs, made from the
 *	  lists in the headers beside this file.
 *
 * Siblings: apis.h, ../message_rows.h (how a list becomes a table),
 * ../codec.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#define KAFKA_DEFINE_SCHEMAS

#include "kafka/error_codes.h"
#include "kafka/messages/apis.h"

/* options of a row */
#define GROUP_IN(Request)	.group_id_at = 1 + offsetof(Request, group_id)

const KafkaApi kafka_apis[KAFKA_API_COUNT] = {
#define KAFKA_API_ROW(k, Name, handler, min, served, max, flexible, where, code, ...) \
	{.name = #Name, .key = k, .min_version = min, .min_served = served, .max_version = max, \
	.flexible_from = flexible, .plane = KAFKA_PLANE_##where, .unavailable = KERR_##code, \
	.request = kafka_schema_##Name##Request, .response = kafka_schema_##Name##Response, __VA_ARGS__},
	KAFKA_APIS(KAFKA_API_ROW)
#undef KAFKA_API_ROW
};

const KafkaApi *
kafka_api_by_key(int16 key)
{
	/* 1 + position, 0: none */
	static const uint8 index[] = {
#define KAFKA_API_AT(k, Name, ...) [k] = 1 + KAFKA_API_##Name,
		KAFKA_APIS(KAFKA_API_AT)
#undef KAFKA_API_AT
	};

	if (key < 0 || key >= (int) lengthof(index) || index[key] == 0)
		return NULL;
	return &kafka_apis[index[key] - 1];
}
