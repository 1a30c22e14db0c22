/*-------------------------------------------------------------------------
 *
 * config_value.c
 *	  Checks values of Kafka's configs by their definitions.
 *
 * The checks are in the order of a Kafka broker, because that decides which
 * error is reported.
 *
 * Siblings: config_value.h, configs.c (topics), group_configs.c (groups).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "topic/config_value.h"
#include "utils/builtins.h"

/*
 * Returns the name that Kafka has for a type.
 */
const char *
pt_config_type_name(PtConfigType type)
{
	static const char *const names[] = {"BOOLEAN", "STRING", "INT", "LONG", "DOUBLE", "LIST"};

	Assert(type < lengthof(names));
	return names[type];
}

/*
 * Returns the default as it is now, in the current memory context.
 */
const char *
pt_config_default(const PtConfigDef *def)
{
	if (def->setting == NULL)
		return def->boot;
	Assert(def->mul > 0);
	return psprintf(INT64_FORMAT, *def->setting < 0 ? -1 : *def->setting * def->mul);
}

/*
 * Returns the definition of that name, or NULL.
 */
const PtConfigDef *
pt_config_find(const PtConfigTable *table, const char *name)
{
	Assert(name != NULL);
	for (int i = 0; i < table->n; i++)
	{
		if (strcmp(table->defs[i].name, name) == 0)
			return &table->defs[i];
	}
	return NULL;
}

/*
 * Returns a copy without blanks and control characters at both ends, as
 * Java's String.trim() does.
 */
static char *
trimmed(const char *s)
{
	size_t		len;

	while (*s != '\0' && (unsigned char) *s <= ' ')
		s++;
	len = strlen(s);
	while (len > 0 && (unsigned char) s[len - 1] <= ' ')
		len--;
	return pnstrdup(s, len);
}

/*
 * Parses an optional sign and digits, and nothing else.
 */
bool
pt_config_parse_long(const char *s, int64 *result)
{
	const char *digits = s + (*s == '-' || *s == '+');
	char	   *end;

	if (*digits == '\0' || strspn(digits, "0123456789") != strlen(digits))
		return false;
	errno = 0;
	*result = strtoi64(s, &end, 10);
	return errno == 0 && *end == '\0';
}

/*
 * Parses what Java's Double.parseDouble() accepts, except hexadecimal numbers
 * and NaN.
 */
static bool
parse_double(const char *s, double *result)
{
	char	   *end;

	if (*s == '\0' || strpbrk(s, "xXpP") != NULL)
		return false;
	errno = 0;
	*result = strtod(s, &end);
	if (end != s && (*end == 'f' || *end == 'F' || *end == 'd' || *end == 'D'))
		end++;
	return errno == 0 && *end == '\0' && !isnan(*result);
}

/*
 * Sets the reason, in a broker's words, and returns false.
 */
static bool
invalid(const PtConfigDef *def, const char *value, char **reason, const char *why)
{
	*reason = psprintf("Invalid value %s for configuration %s: %s", value, def->name, why);
	return false;
}

/*
 * Checks a number against the bounds of the definition.
 */
static bool
check_number(const PtConfigDef *def, const char *value, PtConfigValue *out, char **reason)
{
	const char *type = pt_config_type_name(def->type);
	bool		fine;

	Assert(def->type == PT_CONFIG_INT || def->type == PT_CONFIG_LONG || def->type == PT_CONFIG_DOUBLE);
	if (def->type == PT_CONFIG_DOUBLE)
		fine = parse_double(value, &out->real);
	else
		fine = pt_config_parse_long(value, &out->number);
	if (!fine || (def->type == PT_CONFIG_INT && (out->number < PG_INT32_MIN || out->number > PG_INT32_MAX)))
		return invalid(def, value, reason, psprintf("Not a number of type %s", type));

	if (def->type != PT_CONFIG_DOUBLE)
	{
		if (out->number == def->also)
			return true;
		if (def->also < def->min && (out->number < def->min || out->number > def->max))
			return invalid(def, value, reason,
						   psprintf("Value must be between " INT64_FORMAT " and " INT64_FORMAT " or equal to " INT64_FORMAT,
									def->min, def->max, def->also));
	}
	if (def->type == PT_CONFIG_DOUBLE ? out->real < def->min : out->number < def->min)
		return invalid(def, value, reason, psprintf("Value must be at least " INT64_FORMAT, def->min));
	if (def->type == PT_CONFIG_DOUBLE ? out->real > def->max : out->number > def->max)
		return invalid(def, value, reason, psprintf("Value must be no more than " INT64_FORMAT, def->max));
	return true;
}

/*
 * Checks a boolean.  Case does not matter.
 */
static bool
check_boolean(const PtConfigDef *def, const char *value, PtConfigValue *out, char **reason)
{
	Assert(def->type == PT_CONFIG_BOOLEAN);
	if (pg_strcasecmp(value, "true") != 0 && pg_strcasecmp(value, "false") != 0)
		return invalid(def, value, reason, "Expected value to be either true or false");
	out->boolean = pg_strcasecmp(value, "true") == 0;
	if (out->boolean && strcmp(def->name, "remote.storage.enable") == 0)
		return invalid(def, value, reason, "This server has no tiered storage");
	return true;
}

/*
 * Checks that a word is one of the definition's, and sets its bit in
 * out->members.
 */
static bool
check_word(const PtConfigDef *def, const char *word, PtConfigValue *out, char **reason)
{
	StringInfoData words;

	Assert(def->valid[0] != NULL);
	for (int i = 0; i < PT_CONFIG_VALID_MAX && def->valid[i] != NULL; i++)
	{
		if (strcmp(def->valid[i], word) == 0)
		{
			out->members |= 1U << i;
			return true;
		}
	}
	initStringInfo(&words);
	for (int i = 0; i < PT_CONFIG_VALID_MAX && def->valid[i] != NULL; i++)
		appendStringInfo(&words, "%s%s", i > 0 ? ", " : "", def->valid[i]);
	return invalid(def, word, reason, psprintf("String must be one of: %s", words.data));
}

/*
 * True for "partition:broker", both of them digits.
 */
static bool
is_replica(const char *s)
{
	size_t		n = strspn(s, "0123456789");

	return n > 0 && s[n] == ':' && s[n + 1] != '\0' &&
		strspn(s + n + 1, "0123456789") == strlen(s + n + 1);
}

/*
 * Checks a list with commas: of the definition's words, or of throttled
 * replicas if it has no words.
 */
static bool
check_list(const PtConfigDef *def, const char *value, PtConfigValue *out, char **reason)
{
	const char *s = value;

	Assert(def->type == PT_CONFIG_LIST);
	if (*value == '\0' || (def->valid[0] == NULL && strcmp(value, "*") == 0))
		return true;
	for (;;)
	{
		size_t		len = strcspn(s, ",");
		char	   *item = trimmed(pnstrdup(s, len));

		if (def->valid[0] != NULL)
		{
			if (!check_word(def, item, out, reason))
				return false;
		}
		else if (!is_replica(item))
			return invalid(def, psprintf("[%s]", value), reason,
						   psprintf("%s must be the literal '*' or a list of replicas in the following format: "
									"[partitionId]:[brokerId],[partitionId]:[brokerId],...", def->name));
		if (s[len] == '\0')
			return true;
		s += len + 1;
	}
}

/*
 * Checks one value by its definition and decodes it into *out.  Returns false
 * with a reason, palloc'd.
 */
bool
pt_config_check_value(const PtConfigDef *def, const char *value, PtConfigValue *out, char **reason)
{
	Assert(value != NULL);
	memset(out, 0, sizeof(*out));
	out->text = trimmed(value);

	switch (def->type)
	{
		case PT_CONFIG_BOOLEAN:
			return check_boolean(def, out->text, out, reason);
		case PT_CONFIG_STRING:
			return check_word(def, out->text, out, reason);
		case PT_CONFIG_LIST:
			return check_list(def, out->text, out, reason);
		case PT_CONFIG_INT:
		case PT_CONFIG_LONG:
		case PT_CONFIG_DOUBLE:
			return check_number(def, out->text, out, reason);
	}
	pg_unreachable();
}

/*
 * Checks a name and a value.  NULL stands for the default, which is allowed
 * for each known name.  Returns false with a reason, palloc'd.
 */
bool
pt_config_check_pair(const PtConfigTable *table, const char *name, const char *value, char **reason)
{
	const PtConfigDef *def = pt_config_find(table, name);
	PtConfigValue out;

	Assert(name != NULL);
	if (def == NULL)
	{
		*reason = psprintf("Unknown %s config name: %s", table->what, name);
		return false;
	}
	return value == NULL || pt_config_check_value(def, value, &out, reason);
}

/*
 * Returns the pair of that name; NULL: the config has its default.
 */
const PtConfigPair *
pt_config_pair(List *pairs, const char *name)
{
	ListCell   *lc;

	foreach(lc, pairs)
	{
		const PtConfigPair *pair = lfirst(lc);

		if (strcmp(pair->name, name) == 0)
			return pair;
	}
	return NULL;
}

/*
 * Merges changes into values; see config_value.h.
 */
List *
pt_config_table_merge(const PtConfigTable *table, List *old, List *changes)
{
	List	   *merged = NIL;

	for (int i = 0; i < table->n; i++)
	{
		const PtConfigPair *pair = NULL;
		ListCell   *lc;

		foreach(lc, changes)
		{
			const PtConfigPair *change = lfirst(lc);

			if (strcmp(change->name, table->defs[i].name) == 0)
				pair = change;
		}
		if (pair == NULL)
			pair = pt_config_pair(old, table->defs[i].name);
		if (pair != NULL && pair->value != NULL)
			merged = lappend(merged, unconstify(PtConfigPair *, pair));
	}
	return merged;
}

/*
 * Returns a PtConfigEntry for each definition, with the values of the pairs.
 */
List *
pt_config_table_list(const PtConfigTable *table, List *pairs)
{
	List	   *list = NIL;

	for (int i = 0; i < table->n; i++)
	{
		const PtConfigDef *def = &table->defs[i];
		const PtConfigPair *pair = pt_config_pair(pairs, def->name);
		PtConfigEntry *entry = palloc(sizeof(PtConfigEntry));

		Assert(i == 0 || strcmp(table->defs[i - 1].name, def->name) < 0);
		entry->name = def->name;
		entry->is_default = pair == NULL;
		entry->value = pair ? pair->value : pt_config_default(def);
		entry->boot = def->boot;
		entry->broker = def->broker;
		entry->type = pt_config_type_name(def->type);
		entry->documentation = def->doc;
		list = lappend(list, entry);
	}
	return list;
}

/*
 * Returns those of the pairs (List of PtConfigPair *) that have a legal name
 * and a legal value.  For what somebody may have written by hand.
 */
List *
pt_config_table_valid(const PtConfigTable *table, List *pairs)
{
	List	   *valid = NIL;
	ListCell   *lc;
	char	   *reason;

	foreach(lc, pairs)
	{
		PtConfigPair *pair = lfirst(lc);

		if (pair->name != NULL && pair->value != NULL &&
			pt_config_check_pair(table, pair->name, pair->value, &reason))
			valid = lappend(valid, pair);
	}
	return valid;
}
