/*-------------------------------------------------------------------------
 *
 * text.c
 *	  Converts strings of groups between UTF-8 and the database's encoding.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"

#include "groups/groups.h"

#define MAX_UTF8_BYTES			4	/* of a character */

/*
 * Returns a text in the database's encoding as UTF-8.
 */
PtString
pt_string_from_server(const char *s)
{
	return pt_string_of(pg_server_to_any(s, (int) strlen(s), PG_UTF8));
}

/*
 * Converts and appends one character.  Returns false if the database's
 * encoding does not have it.
 */
static bool
append_converted(StringInfo buf, const char *p, int len)
{
	static Oid	proc = InvalidOid;
	unsigned char out[MAX_CONVERSION_GROWTH * MAX_UTF8_BYTES + 1];

	if (!OidIsValid(proc))
		proc = FindDefaultConversionProc(PG_UTF8, GetDatabaseEncoding());
	if (!OidIsValid(proc) ||
		pg_do_encoding_conversion_buf(proc, PG_UTF8, GetDatabaseEncoding(), (unsigned char *) unconstify(char *, p), len,
									  out, sizeof(out), true) != len)
		return false;
	appendStringInfoString(buf, (char *) out);
	return true;
}

/*
 * Returns a UTF-8 string as text in the database's encoding, palloc'd.  Each
 * character that cannot be converted becomes a question mark.  Zero bytes at
 * the end are left out, because some clients send them.
 */
char *
pt_string_to_server(PtString s)
{
	const char *end = s.data + pt_string_size(s);
	bool		same = GetDatabaseEncoding() == PG_UTF8 || GetDatabaseEncoding() == PG_SQL_ASCII;
	StringInfoData buf;
	int			len;

	Assert(s.len <= 0 || s.data != NULL);
	initStringInfo(&buf);
	while (end > s.data && end[-1] == '\0')
		end--;					/* some clients send it */
	for (const char *p = s.data; p < end; p += len)
	{
		len = pg_utf_mblen((const unsigned char *) p);
		if (len > end - p || *p == '\0' || !pg_utf8_islegal((const unsigned char *) p, len))
		{
			appendStringInfoChar(&buf, '?');
			len = 1;
		}
		else if (len == 1 || same)
			appendBinaryStringInfo(&buf, p, len);
		else if (!append_converted(&buf, p, len))
			appendStringInfoChar(&buf, '?');
	}
	return buf.data;
}
