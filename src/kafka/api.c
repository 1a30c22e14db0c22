/*-------------------------------------------------------------------------
 *
 * api.c
 *	  The table of handlers and small things that all of them use.
 *
 * Siblings: api.h, messages/apis.h (the list), api/ (the handlers), call.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "kafka/api.h"
#include "kafka/codec.h"

/*
 * Returns the handler of an API of kafka_apis.  All of them have one.
 */
const KafkaHandler *
kafka_handler_of(const KafkaApi *api)
{
	static const KafkaHandler *const handlers[KAFKA_API_COUNT] = {
#define KAFKA_HANDLER_ROW(key, Name, name, ...) [KAFKA_API_##Name] = &kafka_handler_##name,
		KAFKA_APIS(KAFKA_HANDLER_ROW)
#undef KAFKA_HANDLER_ROW
	};

	Assert(api >= kafka_apis && api < kafka_apis + KAFKA_API_COUNT);
	return handlers[api - kafka_apis];
}

/*
 * Returns an array of n structs of a message with their defaults, in the
 * call's memory, or NULL if n is 0.  The array may be larger than 1 GB.
 * Throws if there is no memory.
 */
void *
kafka_new(KafkaCall *call, const KafkaSchema *schema, int n)
{
	void	   *result;

	Assert(n >= 0);
	if (n == 0)
		return NULL;
	Assert(schema->size > 0);
	result = MemoryContextAllocHuge(call->mcxt, (Size) schema->size * n);
	kafka_defaults(schema, result, n);
	return result;
}

/*
 * Returns a string of the protocol that points to s. NULL gives null.
 */
KafkaString
kafka_string(const char *s)
{
	if (s == NULL)
		return (KafkaString)
	{
		"", -1
	};
	return (KafkaString)
	{
		s, (int32) strlen(s)
	};
}

/*
 * Returns a copy that ends with a zero byte, in the current memory context.
 * Returns NULL for null and for bytes that are not valid text in the
 * database's encoding.
 */
char *
kafka_text(KafkaString s)
{
	if (s.len < 0 || memchr(s.data, '\0', s.len) != NULL ||
		!pg_verify_mbstr(GetDatabaseEncoding(), s.data, s.len, true))
		return NULL;
	return pnstrdup(s.data, s.len);
}

/*
 * Returns true for the id that means "no id".
 */
bool
kafka_uuid_is_zero(const KafkaUuid *id)
{
	static const KafkaUuid zero;

	return memcmp(id, &zero, sizeof(zero)) == 0;
}
