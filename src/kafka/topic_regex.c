/*-------------------------------------------------------------------------
 *
 * topic_regex.c
 *	  Regular expressions in which consumers name topics (KIP-848), by
 *	  PostgreSQL's engine.
 *
 * Consumers send the syntax of RE2/J, which is nearly a subset of PostgreSQL's
 * advanced regular expressions.  What differs is translated: \b, \z, \Q...\E,
 * \x, named groups, flags at the start.  What is only in one of the two is
 * refused: backreferences and lookaround, which RE2/J has not (and which could
 * take exponential time), flags in the middle and Unicode classes, which
 * PostgreSQL has not.
 *
 * Compiled expressions are kept, the least recently used one makes room.
 *
 * Siblings: topic_regex.h, groups.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "regex/regex.h"
#include "utils/memutils.h"

#include "kafka/topic_regex.h"
#include "topic/topic.h"

#define COMPILED_MAX	64
#define REGEX_LEN_MAX	4096

typedef struct Compiled
{
	MemoryContext mcxt;			/* of all below; NULL: the slot is free */
	char	   *source;
	int32		len;
	regex_t		re;
	uint64		used;			/* when it was needed last */
} Compiled;

typedef struct Translator
{
	const char *at;
	const char *end;
	StringInfoData out;
	const char *problem;
	bool		ignore_case;
} Translator;

static Compiled compiled[COMPILED_MAX];
static uint64 uses;

static bool
refuse(Translator *t, const char *problem)
{
	t->problem = problem;
	return false;
}

static bool
at_text(const Translator *t, const char *text)
{
	size_t		len = strlen(text);

	return (size_t) (t->end - t->at) >= len && memcmp(t->at, text, len) == 0;
}

/* Everything up to \E stands for itself. */
static void
translate_quoted(Translator *t)
{
	while (t->at < t->end && !at_text(t, "\\E"))
	{
		if (!IS_HIGHBIT_SET(*t->at) && !isalnum((unsigned char) *t->at))
			appendStringInfoChar(&t->out, '\\');
		appendStringInfoChar(&t->out, *t->at++);
	}
	t->at = Min(t->at + 2, t->end);
}

/* \xHH or \x{H...}; the x has been read. */
static bool
translate_hex(Translator *t)
{
	bool		braces = t->at < t->end && *t->at == '{';
	uint32		value = 0;
	int			digits = 0;

	if (braces)
		t->at++;
	while (t->at < t->end && isxdigit((unsigned char) *t->at) && digits < (braces ? 6 : 2))
	{
		char		c = pg_tolower((unsigned char) *t->at++);

		value = value * 16 + (c <= '9' ? c - '0' : c - 'a' + 10);
		digits++;
	}
	if (digits == 0 || (!braces && digits != 2) || value > 0x10FFFF)
		return refuse(t, "invalid escape sequence");
	if (braces && (t->at == t->end || *t->at++ != '}'))
		return refuse(t, "invalid escape sequence");
	appendStringInfo(&t->out, "\\U%08x", value);
	return true;
}

/* The backslash has been read. */
static bool
translate_escape(Translator *t, bool in_class)
{
	char		c;

	if (t->at == t->end)
		return refuse(t, "trailing backslash at end of expression");
	c = *t->at++;
	if (c == 'x')
		return translate_hex(t);
	if (c == 'Q' && !in_class)
	{
		translate_quoted(t);
		return true;
	}
	if (strchr("dswaftnrv", c) != NULL ||
		(!IS_HIGHBIT_SET(c) && !isalnum((unsigned char) c)) || (!in_class && strchr("DSWA", c) != NULL))
		appendStringInfo(&t->out, "\\%c", c);
	else if (!in_class && (c == 'b' || c == 'B' || c == 'z'))
		appendStringInfo(&t->out, "\\%c", c == 'b' ? 'y' : c == 'B' ? 'Y' : 'Z');
	else
		return refuse(t, "invalid or unsupported escape sequence");
	return true;
}

/* The opening bracket has been read. */
static bool
translate_class(Translator *t)
{
	const char *first;

	appendStringInfoChar(&t->out, '[');
	if (t->at < t->end && *t->at == '^')
		appendStringInfoChar(&t->out, *t->at++);
	for (first = t->at; t->at < t->end;)
	{
		char		c = *t->at++;

		if (c == '\\')
		{
			if (!translate_escape(t, true))
				return false;
			continue;
		}
		if (c == '[' && (t->at == t->end || *t->at != ':'))
			appendStringInfoChar(&t->out, '\\');	/* not a collating element */
		appendStringInfoChar(&t->out, c);
		if (c == '[' && t->at < t->end && *t->at == ':')
		{
			/* a named class, to its end */
			do
				appendStringInfoChar(&t->out, *t->at++);
			while (t->at < t->end && *t->at != ']');
			if (t->at < t->end)
				appendStringInfoChar(&t->out, *t->at++);
		}
		else if (c == ']' && t->at - 1 > first)
			return true;
	}
	return refuse(t, "missing closing ]");
}

/* The opening parenthesis has been read: groups that are more than that. */
static bool
translate_group(Translator *t)
{
	appendStringInfoString(&t->out, "(?:");
	if (!at_text(t, "?"))
		return true;
	if (at_text(t, "?:"))
	{
		t->at += 2;
		return true;
	}
	if (at_text(t, "?P<") || (at_text(t, "?<") && !at_text(t, "?<=") && !at_text(t, "?<!")))
	{
		const char *close = memchr(t->at, '>', t->end - t->at);

		if (close == NULL)
			return refuse(t, "invalid named capture");
		t->at = close + 1;
		return true;
	}
	return refuse(t, "lookaround and flags in the middle are not supported");
}

/*
 * (?ims) at the start.  What is matched has no lines, so that only "i" makes a
 * difference.
 */
static void
translate_flags(Translator *t)
{
	const char *at = t->at + 2;
	bool		on = true;
	bool		ignore_case = false;

	if (!at_text(t, "(?"))
		return;
	for (; at < t->end && strchr("imsU-", *at) != NULL && *at != '\0'; at++)
	{
		if (*at == '-')
			on = false;
		else if (*at == 'i')
			ignore_case = on;
	}
	if (at == t->end || *at != ')')
		return;
	t->ignore_case = ignore_case;
	t->at = at + 1;
}

/* The result is in t->out; false with t->problem. */
static bool
translate(Translator *t, CoordBytes regex)
{
	t->at = regex.data;
	t->end = regex.data + regex.len;
	t->problem = NULL;
	t->ignore_case = false;
	initStringInfo(&t->out);
	if (regex.len > REGEX_LEN_MAX)
		return refuse(t, "expression is too long");
	if (!pg_verify_mbstr(PG_UTF8, regex.data, regex.len, true))
		return refuse(t, "invalid UTF-8");

	appendStringInfoString(&t->out, "^(?:");
	translate_flags(t);
	while (t->at < t->end)
	{
		char		c = *t->at++;
		bool		ok = true;

		if (c == '\\')
			ok = translate_escape(t, false);
		else if (c == '[')
			ok = translate_class(t);
		else if (c == '(')
			ok = translate_group(t);
		else
			appendStringInfoChar(&t->out, c);
		if (!ok)
			return false;
	}
	appendStringInfoString(&t->out, ")$");
	return true;
}

static void
forget(Compiled *c)
{
	pg_regfree(&c->re);
	MemoryContextDelete(c->mcxt);
	c->mcxt = NULL;
}

/* A free slot, or that of the one that was not needed for longest. */
static Compiled *
make_room(void)
{
	Compiled   *oldest = &compiled[0];

	for (int i = 0; i < COMPILED_MAX; i++)
	{
		if (compiled[i].mcxt == NULL)
			return &compiled[i];
		if (compiled[i].used < oldest->used)
			oldest = &compiled[i];
	}
	forget(oldest);
	return oldest;
}

static Compiled *
find(CoordBytes regex)
{
	for (int i = 0; i < COMPILED_MAX; i++)
	{
		Compiled   *c = &compiled[i];

		if (c->mcxt != NULL && c->len == regex.len && memcmp(c->source, regex.data, regex.len) == 0)
		{
			c->used = ++uses;
			return c;
		}
	}
	return NULL;
}

/*
 * Compiles what was translated into a slot, in a memory context of its own;
 * NULL, or what is wrong.
 */
static const char *
compile(CoordBytes regex, const Translator *t, Compiled **result)
{
	static char problem[128];
	MemoryContext mcxt = AllocSetContextCreate(TopMemoryContext, "Kafka topic regex", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(mcxt);
	pg_wchar   *wide = palloc(sizeof(pg_wchar) * (t->out.len + 1));
	int			len = pg_encoding_mb2wchar_with_len(PG_UTF8, t->out.data, wide, t->out.len);
	regex_t		re;
	int			code = pg_regcomp(&re, wide, len,
								  REG_ADVANCED | REG_NOSUB | (t->ignore_case ? REG_ICASE : 0), C_COLLATION_OID);

	pfree(wide);
	MemoryContextSwitchTo(old);
	if (code != REG_OKAY)
	{
		pg_regerror(code, &re, problem, sizeof(problem));
		MemoryContextDelete(mcxt);
		return problem;
	}
	*result = make_room();
	(*result)->source = MemoryContextAlloc(mcxt, regex.len + 1);
	memcpy((*result)->source, regex.data, regex.len);
	(*result)->len = regex.len;
	(*result)->re = re;
	(*result)->used = ++uses;
	(*result)->mcxt = mcxt;
	return NULL;
}

/* Translates and compiles, unless it has been; NULL, or what is wrong. */
static const char *
prepare(CoordBytes regex, Compiled **result)
{
	Translator	t;
	const char *problem;

	Assert(regex.len >= 0);
	*result = find(regex);
	if (*result != NULL)
		return NULL;
	problem = translate(&t, regex) ? compile(regex, &t, result) : t.problem;
	pfree(t.out.data);
	return problem;
}

/*
 * NULL, or what is wrong with it, in memory that lasts until the next call.
 * arg is not used.
 */
const char *
kafka_topic_regex_valid(void *arg, CoordBytes regex)
{
	Compiled   *c;

	return prepare(regex, &c);
}

/*
 * Does it match the whole of the name?  Never true for topics that are the
 * broker's own.
 */
bool
kafka_topic_regex_matches(void *arg, CoordBytes regex, CoordBytes topic)
{
	char		name[PT_TOPIC_NAME_MAX + 1];
	pg_wchar	wide[PT_TOPIC_NAME_MAX + 1];
	Compiled   *c;
	int			len;

	if (topic.len <= 0 || !pt_string_to_buf(topic, name, sizeof(name)) || prepare(regex, &c) != NULL)
		return false;
	if (pt_topic_name_is_internal(name))
		return false;
	len = pg_encoding_mb2wchar_with_len(PG_UTF8, name, wide, topic.len);
	return pg_regexec(&c->re, wide, len, 0, NULL, 0, NULL, 0) == REG_OKAY;
}
