/*-------------------------------------------------------------------------
 *
 * topic_regex.c
 *	  Regular expressions by which consumers name topics (KIP-848), with
 *	  PostgreSQL's engine.
 *
 * Consumers send the syntax of RE2/J, which is nearly a subset of PostgreSQL's
 * advanced regular expressions.  The differences are translated: \b, \z,
 * \Q...\E, \x, named groups, flags at the start.  What only one of the two has
 * is refused. RE2/J has no backreferences and no lookaround (which could take
 * exponential time).  PostgreSQL has no flags in the middle and no Unicode
 * classes.
 *
 * Short expressions may take minutes all the same: to compile ("x*" two
 * thousand times, nested bounds), and to match (large automata).  So each has
 * a budget of CPU time; one that uses it up is refused, and matches nothing.
 *
 * Compiled expressions are cached, and so are those that take too long; the
 * least recently used one makes room.
 *
 * Siblings: topic_regex.h, cpu_limit.c, groups.c.
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

#include "kafka/cpu_limit.h"
#include "kafka/topic_regex.h"
#include "rights/rights.h"
#include "tell.h"
#include "topic/topic.h"

#define COMPILED_MAX	64
#define REGEX_LEN_MAX	4096

/*
 * The budget of an expression: to compile, and for each name that it is
 * matched against.  What one name leaves is there for the next.
 */
#define COMPILE_US		50000
#define MATCH_US		50000
#define MATCH_NAME_US	25

static const char too_slow[] = "it takes too long";

/* A slot of the cache. */
typedef struct Compiled
{
	MemoryContext mcxt;			/* of all below; NULL: the slot is free */
	char	   *source;			/* as the client sent it */
	int32		len;
	bool		slow;			/* its budget is used up; there is no re */
	int64		budget_us;		/* for matching */
	regex_t		re;
	uint64		used;			/* value of "uses" at its last use */
} Compiled;

/* The arguments and the result of pg_regcomp() or pg_regexec(). */
typedef struct Job
{
	regex_t    *re;
	const pg_wchar *text;
	int			len;
	int			flags;
	int			code;
} Job;

/* The state of a translation. */
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

/*
 * Notes the problem.  Always returns false.
 */
static bool
refuse(Translator *t, const char *problem)
{
	t->problem = problem;
	return false;
}

/*
 * Returns true if the text is next.
 */
static bool
at_text(const Translator *t, const char *text)
{
	size_t		len = strlen(text);

	return (size_t) (t->end - t->at) >= len && memcmp(t->at, text, len) == 0;
}

/*
 * Translates \Q...\E: all characters stand for themselves.
 */
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

/*
 * Translates \xHH or \x{H...}. The x has been read.
 */
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

/*
 * Translates an escape.  The backslash has been read.
 */
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

/*
 * Translates a bracket expression.  The opening bracket has been read.
 */
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
		/* not a collating element */
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

/*
 * Translates the start of a group.  The opening parenthesis has been read.
 */
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
 * Translates (?ims) at the start.  A name of a topic has no lines, so only
 * "i" has an effect.
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

/*
 * Translates the expression into t->out, which the caller frees.  Returns
 * false with t->problem.
 */
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

/*
 * Empties a slot.
 */
static void
forget(Compiled *c)
{
	if (!c->slow)
		pg_regfree(&c->re);
	MemoryContextDelete(c->mcxt);
	c->mcxt = NULL;
}

/*
 * Notes that the budget for matching is used up.  The log says so: members
 * that have the expression already are not told.
 */
static void
give_up(Compiled *c)
{
	static PtTold told;
	int			untold;
	char		ascii[301];		/* its beginning, in any server's encoding */
	int			len = Min(c->len, (int) sizeof(ascii) - 1);

	Assert(!c->slow);
	pg_regfree(&c->re);
	c->slow = true;
	for (int i = 0; i < len; i++)
		ascii[i] = c->source[i] < ' ' || c->source[i] > '~' ? '?' : c->source[i];
	ascii[len] = '\0';
	if (pt_may_tell(&told, &untold))
		ereport(LOG,
				(errmsg("a regular expression of a consumer takes too long to match the names of topics, and matches none any more"),
				 errdetail("It is \"%s\".", ascii)));
}

/*
 * Returns a free slot.  If there is none, it empties the least recently used
 * one.
 */
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

/*
 * Returns the compiled expression, and marks it as used; NULL if it is not in
 * the cache.
 */
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

/* See kafka_within_cpu(). */
static void
compile_job(void *arg)
{
	Job		   *job = arg;

	job->code = pg_regcomp(job->re, job->text, job->len, job->flags, C_COLLATION_OID);
}

/*
 * Puts an expression into the cache; re is NULL if it takes too long.  mcxt
 * goes with it.
 */
static Compiled *
enter(MemoryContext mcxt, CoordBytes regex, const regex_t *re)
{
	Compiled   *c = make_room();

	c->source = MemoryContextAlloc(mcxt, regex.len + 1);
	memcpy(c->source, regex.data, regex.len);
	c->len = regex.len;
	c->slow = re == NULL;
	if (re != NULL)
		c->re = *re;
	c->budget_us = MATCH_US;
	c->used = ++uses;
	c->mcxt = mcxt;
	return c;
}

/*
 * Compiles the translated expression into a slot, in a memory context of its
 * own.  Returns NULL, or what is wrong, in static memory.
 */
static const char *
compile(CoordBytes regex, const Translator *t, Compiled **result)
{
	static char problem[128];
	MemoryContext mcxt = AllocSetContextCreate(TopMemoryContext, "Kafka topic regex", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(mcxt);
	pg_wchar   *wide = palloc(sizeof(pg_wchar) * (t->out.len + 1));
	regex_t		re;
	int64		budget_us = COMPILE_US;
	Job			job = {
		.re = &re,
		.text = wide,
		.len = pg_encoding_mb2wchar_with_len(PG_UTF8, t->out.data, wide, t->out.len),
		.flags = REG_ADVANCED | REG_NOSUB | (t->ignore_case ? REG_ICASE : 0),
		.code = REG_ASSERT
	};
	bool		in_time = kafka_within_cpu(&budget_us, compile_job, &job);

	MemoryContextSwitchTo(old);
	if (!in_time)
	{
		if (job.code == REG_OKAY)
			pg_regfree(&re);
		MemoryContextReset(mcxt);
		*result = enter(mcxt, regex, NULL);
		return NULL;
	}
	pfree(wide);
	if (job.code != REG_OKAY)
	{
		pg_regerror(job.code, &re, problem, sizeof(problem));
		MemoryContextDelete(mcxt);
		return problem;
	}
	*result = enter(mcxt, regex, &re);
	return NULL;
}

/*
 * Finds the expression in the cache, or translates and compiles it.  Returns
 * NULL, or what is wrong, unless that is that it takes too long.
 */
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
 * Returns NULL, or what is wrong with the expression, in memory that lasts
 * until the next call. arg is not used.  See CoordConfig.
 */
const char *
kafka_topic_regex_valid(void *arg, CoordBytes regex)
{
	Compiled   *c;
	const char *problem = prepare(regex, &c);

	return problem != NULL ? problem : c->slow ? too_slow : NULL;
}

/* See kafka_within_cpu(). */
static void
match_job(void *arg)
{
	Job		   *job = arg;

	job->code = pg_regexec(job->re, job->text, job->len, 0, NULL, 0, NULL, 0);
}

/*
 * Returns true if the expression matches the whole text, which is UTF-8 and at
 * most 32767 bytes.  One that has taken too long matches nothing.
 */
bool
kafka_regex_matches(CoordBytes regex, CoordBytes text)
{
	pg_wchar	buf[PT_TOPIC_NAME_MAX + 1];
	pg_wchar   *wide = buf;
	Compiled   *c;
	Job			job = {.code = REG_NOMATCH};
	bool		in_time;

	Assert(text.len >= 0 && text.len <= PG_INT16_MAX);
	if (prepare(regex, &c) != NULL || c->slow)
		return false;
	if (text.len > PT_TOPIC_NAME_MAX)
		wide = palloc((text.len + 1) * sizeof(pg_wchar));
	job.text = wide;
	job.len = pg_encoding_mb2wchar_with_len(PG_UTF8, text.data, wide, text.len);
	job.re = &c->re;
	c->budget_us += MATCH_NAME_US;
	in_time = kafka_within_cpu(&c->budget_us, match_job, &job);
	if (wide != buf)
		pfree(wide);
	if (!in_time)
		give_up(c);
	return in_time && job.code == REG_OKAY;
}

/*
 * Returns true if the viewer, a role, may describe the topic.
 */
static bool
may_see(Oid viewer, const char *name)
{
	const PtTopic *topic = pt_topic_by_name(name);

	return topic != NULL && (pt_rights_on_topic(viewer, topic->relid) & PT_OP_BIT(PT_OP_DESCRIBE)) != 0;
}

/*
 * Returns true if the expression matches the whole name.  It never matches
 * internal topics, nor those that the viewer, a role, may not describe, and
 * one that has taken too long matches nothing.  See CoordConfig.  What the
 * viewer may not see is not matched at all: how long that takes would tell.
 * Must run in a transaction.
 */
bool
kafka_topic_regex_matches(void *arg, uint32 viewer, CoordBytes regex, CoordBytes topic)
{
	char		name[PT_TOPIC_NAME_MAX + 1];

	return topic.len > 0 && pt_string_to_buf(topic, name, sizeof(name)) && !pt_topic_name_is_internal(name) &&
		may_see(viewer, name) && kafka_regex_matches(regex, topic);
}
