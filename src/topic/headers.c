/*-------------------------------------------------------------------------
 *
 * headers.c
 *	  The type headers: a record's headers, which are an ordered list of keys
 *	  and values with duplicates.
 *
 * A value has the headers in the encoding of a record (types.h), so that
 * neither producing nor reading converts them.  As text it is a JSON array of
 * pairs:
 *
 *	[["trace", "17"], ["empty", ""], ["none", null], ["raw", {"base64":
 *	"/w=="}]]
 *
 * A key or value that cannot be a JSON string (it is not valid UTF-8, or has a
 * zero byte) is written as {"base64": "..."}.  Input also accepts an object,
 * {"trace": "17"}, and numbers and booleans, which stand for their text.
 *
 * Siblings: types.h, json.c, bytes.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/base64.h"
#include "fmgr.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "record/batch.h"
#include "record/varint.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "topic/json.h"
#include "topic/types.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(pt_headers_in);
PG_FUNCTION_INFO_V1(pt_headers_out);
PG_FUNCTION_INFO_V1(pt_headers_recv);
PG_FUNCTION_INFO_V1(pt_headers_send);
PG_FUNCTION_INFO_V1(pt_headers_from_jsonb);
PG_FUNCTION_INFO_V1(pt_headers_to_jsonb);
PG_FUNCTION_INFO_V1(pt_headers_from_array);
PG_FUNCTION_INFO_V1(pt_headers_get);
PG_FUNCTION_INFO_V1(pt_headers_get_text);
PG_FUNCTION_INFO_V1(pt_headers_each);
PG_FUNCTION_INFO_V1(pt_headers_count);

/* Headers that are being built. */
typedef struct HeadersBuilder
{
	StringInfoData buf;			/* encoded headers */
	int32		count;
} HeadersBuilder;

/*
 * Begins without headers.
 */
static void
builder_begin(HeadersBuilder *b)
{
	initStringInfo(&b->buf);
	b->count = 0;
}

/*
 * Appends a varint of Kafka's encoding.
 */
static void
append_varint(StringInfo buf, int32 value)
{
	char		bytes[PT_VARINT_MAX];

	appendBinaryStringInfo(buf, bytes, (int) (pt_varint_write(bytes, value) - bytes));
}

/*
 * Adds a header.  If value is NULL, the value is null, whatever value_len is.
 */
static void
builder_add(HeadersBuilder *b, const char *key, int key_len, const char *value, int value_len)
{
	Assert(key != NULL && key_len >= 0 && (value == NULL || value_len >= 0));
	append_varint(&b->buf, key_len);
	appendBinaryStringInfo(&b->buf, key, key_len);
	append_varint(&b->buf, value ? value_len : -1);
	if (value)
		appendBinaryStringInfo(&b->buf, value, value_len);
	b->count++;
}

/*
 * Returns the finished value in the current memory context, and frees the
 * builder.
 */
static PtHeaders *
builder_end(HeadersBuilder *b)
{
	PtHeaders  *h = pt_headers_form(b->buf.data, b->buf.len, b->count);

	pfree(b->buf.data);
	return h;
}

/*
 * True if the bytes can be a JSON string of this database.
 */
static bool
is_text(const char *data, int len)
{
	if (memchr(data, 0, len) != NULL || !pg_verify_mbstr(PG_UTF8, data, len, true))
		return false;
	if (GetDatabaseEncoding() == PG_UTF8)
		return true;
	for (int i = 0; i < len; i++)
	{
		if (IS_HIGHBIT_SET(data[i]))
			return false;
	}
	return true;
}

/*
 * Appends bytes as a JSON string or as {"base64": ...}; NULL as null.
 */
static void
append_json(StringInfo buf, const char *data, int len)
{
	if (data == NULL)
		appendStringInfoString(buf, "null");
	else if (is_text(data, len))
		escape_json(buf, pnstrdup(data, len));
	else
	{
		int			size = pg_b64_enc_len(len);
		char	   *out = palloc(size + 1);
		int			n = pg_b64_encode((const void *) data, len, out, size);

		if (n < 0)
			elog(ERROR, "could not encode header");
		out[n] = '\0';
		appendStringInfo(buf, "{\"base64\": \"%s\"}", out);
		pfree(out);
	}
}

/*
 * Returns the text form, which is also valid jsonb.
 */
static char *
headers_to_json(const PtHeaders *h)
{
	const char *pos = h->data;
	const char *end = pos + pt_headers_len(h);
	const char *sep = "";
	PtHeader	header;
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '[');
	while (pt_header_next(&pos, end, &header))
	{
		appendStringInfo(&buf, "%s[", sep);
		append_json(&buf, header.key, header.key_len);
		appendStringInfoString(&buf, ", ");
		append_json(&buf, header.value_len < 0 ? NULL : header.value, header.value_len);
		appendStringInfoChar(&buf, ']');
		sep = ", ";
	}
	appendStringInfoChar(&buf, ']');
	Assert(pos == end);			/* checked when the value was formed */
	return buf.data;
}

/*
 * ERROR 22P02 for headers of the wrong form.
 */
static void
bad_headers(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid headers"),
			 errdetail_internal("%s", detail),
			 errhint("Headers are an array of pairs, as in [[\"key\", \"value\"]], or an object.")));
}

/*
 * Decodes {"base64": "..."}.
 */
static char *
decode_base64(JsonbContainer *object, int *len)
{
	PtJsonWalk	walk;
	char	   *out;
	int			size;

	pt_json_walk_begin(&walk, object);
	if (!pt_json_walk_next(&walk) || strcmp(walk.key, "base64") != 0 || walk.value.type != jbvString)
		bad_headers("An object in place of a value must be {\"base64\": \"...\"}.");
	size = pg_b64_dec_len(walk.value.val.string.len);
	out = palloc(size + 1);
	*len = pg_b64_decode(walk.value.val.string.val, walk.value.val.string.len, (void *) out, size);
	if (*len < 0)
		bad_headers("The base64 of a value is not valid.");
	return out;
}

/*
 * Converts a text of the database to UTF-8 bytes.
 */
static char *
to_utf8(char *s, int *len)
{
	char	   *utf8 = pg_server_to_any(s, strlen(s), PG_UTF8);

	*len = strlen(utf8);
	return utf8;
}

/*
 * Returns the headers (NULL: none) with others behind them: n texts in the
 * database's encoding, keys and values in turn.
 */
PtHeaders *
pt_headers_append(const PtHeaders *headers, const char *const *texts, int n)
{
	HeadersBuilder b;

	Assert(n % 2 == 0);
	builder_begin(&b);
	if (headers != NULL)
	{
		appendBinaryStringInfo(&b.buf, headers->data, pt_headers_len(headers));
		b.count = headers->count;
	}
	for (int i = 0; i < n; i += 2)
	{
		int			key_len;
		int			value_len;
		char	   *key = to_utf8(pstrdup(texts[i]), &key_len);
		char	   *value = to_utf8(pstrdup(texts[i + 1]), &value_len);

		builder_add(&b, key, key_len, value, value_len);
	}
	return builder_end(&b);
}

/*
 * Returns a key or a value in JSON as bytes; NULL for null.
 */
static char *
json_to_bytes(const JsonbValue *v, int *len)
{
	char	   *s;

	*len = 0;
	if (v->type == jbvBinary && JsonContainerIsObject(v->val.binary.data))
		return decode_base64(v->val.binary.data, len);
	if (v->type == jbvBinary)
		bad_headers("A value must be a string, {\"base64\": \"...\"} or null.");
	s = pt_json_scalar(v, "header");
	return s ? to_utf8(s, len) : NULL;
}

/*
 * Adds a header that is given as a pair.
 */
static void
add_pair(HeadersBuilder *b, JsonbContainer *pair)
{
	PtJsonWalk	walk;
	char	   *part[2];
	int			len[2];

	if (!JsonContainerIsArray(pair) || JsonContainerSize(pair) != 2)
		bad_headers("Each header must be a pair of key and value.");
	pt_json_walk_begin(&walk, pair);
	for (int i = 0; i < 2; i++)
	{
		(void) pt_json_walk_next(&walk);
		part[i] = json_to_bytes(&walk.value, &len[i]);
	}
	if (part[0] == NULL)
		bad_headers("A key cannot be null.");
	builder_add(b, part[0], len[0], part[1], len[1]);
}

/*
 * Builds headers from an array of pairs or an object.
 */
static PtHeaders *
headers_from_json(Jsonb *jb)
{
	HeadersBuilder b;
	PtJsonWalk	walk;

	if (JB_ROOT_IS_SCALAR(jb))
		bad_headers("They must be an array or an object.");
	builder_begin(&b);
	pt_json_walk_begin(&walk, &jb->root);
	while (pt_json_walk_next(&walk))
	{
		if (walk.key)
		{
			int			value_len;
			char	   *value = json_to_bytes(&walk.value, &value_len);
			int			key_len;
			char	   *key = to_utf8(walk.key, &key_len);

			builder_add(&b, key, key_len, value, value_len);
		}
		else if (walk.value.type != jbvBinary)
			bad_headers("Each header must be a pair of key and value.");
		else
			add_pair(&b, walk.value.val.binary.data);
	}
	return builder_end(&b);
}

/*
 * Input function: JSON.
 */
Datum
pt_headers_in(PG_FUNCTION_ARGS)
{
	Datum		jb = DirectFunctionCall1(jsonb_in, PG_GETARG_DATUM(0));

	PG_RETURN_POINTER(headers_from_json(DatumGetJsonbP(jb)));
}

/*
 * Output function: JSON.
 */
Datum
pt_headers_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(headers_to_json(PG_GETARG_HEADERS_P(0)));
}

/*
 * Receive function: the count, then the encoding of a record, which is
 * checked to its last byte.
 */
Datum
pt_headers_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int32		count = (int32) pq_getmsgint(buf, 4);
	int			len = buf->len - buf->cursor;
	const char *data = pq_getmsgbytes(buf, len);
	const char *pos = data;
	PtHeader	header;
	int32		n = 0;

	while (pos < data + len && pt_header_next(&pos, data + len, &header))
		n++;
	if (pos != data + len || n != count)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid headers")));
	PG_RETURN_POINTER(pt_headers_form(data, len, count));
}

/*
 * Send function: see pt_headers_recv().
 */
Datum
pt_headers_send(PG_FUNCTION_ARGS)
{
	PtHeaders  *h = PG_GETARG_HEADERS_P(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint32(&buf, h->count);
	pq_sendbytes(&buf, h->data, pt_headers_len(h));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* headers(jsonb) */
Datum
pt_headers_from_jsonb(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(headers_from_json(PG_GETARG_JSONB_P(0)));
}

/* to_jsonb(headers) */
Datum
pt_headers_to_jsonb(PG_FUNCTION_ARGS)
{
	char	   *json = headers_to_json(PG_GETARG_HEADERS_P(0));

	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json));
}

/*
 * headers(VARIADIC text[]): keys and values in turn, such as headers('k1',
 * 'v1', 'k2', NULL).
 */
Datum
pt_headers_from_array(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	HeadersBuilder b;
	Datum	   *items;
	bool	   *nulls;
	int			n;

	Assert(ARR_ELEMTYPE(array) == TEXTOID);
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &items, &nulls, &n);
	if (n % 2 != 0)
		bad_headers("There must be a value for each key.");
	builder_begin(&b);
	for (int i = 0; i < n; i += 2)
	{
		int			key_len;
		int			value_len = 0;
		char	   *key;
		char	   *value;

		if (nulls[i])
			bad_headers("A key cannot be null.");
		key = to_utf8(TextDatumGetCString(items[i]), &key_len);
		value = nulls[i + 1] ? NULL : to_utf8(TextDatumGetCString(items[i + 1]), &value_len);
		builder_add(&b, key, key_len, value, value_len);
	}
	PG_RETURN_POINTER(builder_end(&b));
}

/*
 * Finds the last header with that key, as Kafka's Headers.lastHeader() does.
 * Returns false if there is none or its value is null.
 */
static bool
find_last(const PtHeaders *h, text *key, PtHeader *found)
{
	const char *pos = h->data;
	const char *end = pos + pt_headers_len(h);
	PtHeader	header;
	int			want_len;
	char	   *want = to_utf8(text_to_cstring(key), &want_len);
	bool		result = false;

	while (pt_header_next(&pos, end, &header))
	{
		if (header.key_len == want_len && memcmp(header.key, want, want_len) == 0)
		{
			*found = header;
			result = header.value_len >= 0;
		}
	}
	return result;
}

/* headers -> text: the value as bytes */
Datum
pt_headers_get(PG_FUNCTION_ARGS)
{
	PtHeader	header;

	if (!find_last(PG_GETARG_HEADERS_P(0), PG_GETARG_TEXT_PP(1), &header))
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P((bytea *) cstring_to_text_with_len(header.value, header.value_len));
}

/* headers ->> text: the value as text */
Datum
pt_headers_get_text(PG_FUNCTION_ARGS)
{
	PtHeader	header;

	if (!find_last(PG_GETARG_HEADERS_P(0), PG_GETARG_TEXT_PP(1), &header))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(pt_bytes_to_text(header.value, header.value_len)));
}

/* each(headers): a row for each header, in order */
Datum
pt_headers_each(PG_FUNCTION_ARGS)
{
	PtHeaders  *h = PG_GETARG_HEADERS_P(0);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	const char *pos = h->data;
	const char *end = pos + pt_headers_len(h);
	PtHeader	header;

	InitMaterializedSRF(fcinfo, 0);
	while (pt_header_next(&pos, end, &header))
	{
		Datum		values[2] = {0};
		bool		nulls[2] = {false, header.value_len < 0};

		values[0] = CStringGetTextDatum(pt_bytes_to_text(header.key, header.key_len));
		if (!nulls[1])
			values[1] = PointerGetDatum(cstring_to_text_with_len(header.value, header.value_len));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* count(headers) */
Datum
pt_headers_count(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(PG_GETARG_HEADERS_P(0)->count);
}
