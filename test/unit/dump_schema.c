/*-------------------------------------------------------------------------
 *
 * dump_schema.c
 *	  Prints the field tables of all messages as JSON, for check_schema.py.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "kafka/messages/apis.h"

static const char *const type_names[] = {
	"bool", "int8", "int16", "uint16", "int32", "int64", "float64", "uuid",
	"string", "bytes", "records", "array", "list", "struct", "option"
};

static void dump_fields(const KafkaSchema *schema);

static void
dump_field(const KafkaField *f)
{
	printf("{\"name\":\"%s\",\"type\":\"%s\",\"item\":\"%s\",\"min\":%d,\"max\":%d,"
		   "\"null_from\":%d,\"tag_from\":%d,\"tag\":%d,\"default\":%lld",
		   f->name, type_names[f->type], type_names[f->item], f->min, f->max,
		   f->null_from - 1, f->tag_from - 1, f->tag, (long long) f->dflt);
	if (f->elem != NULL)
	{
		printf(",\"fields\":");
		dump_fields(f->elem());
	}
	printf("}");
}

static void
dump_fields(const KafkaSchema *schema)
{
	printf("[");
	for (int i = 0; i < schema->nfields; i++)
	{
		if (i > 0)
			printf(",");
		dump_field(&schema->fields[i]);
	}
	printf("]");
}

int
main(void)
{
	printf("[");
	for (int i = 0; i < KAFKA_API_COUNT; i++)
	{
		const KafkaApi *api = &kafka_apis[i];

		printf("%s\n{\"name\":\"%s\",\"key\":%d,\"min\":%d,\"served\":%d,\"max\":%d,\"flexible\":%d,\"Request\":",
			   i > 0 ? "," : "", api->name, api->key, api->min_version, api->min_served,
			   api->max_version, api->flexible_from);
		dump_fields(api->request());
		printf(",\"Response\":");
		dump_fields(api->response());
		printf("}");
	}
	printf("\n]\n");
	return 0;
}
