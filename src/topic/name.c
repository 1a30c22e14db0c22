/*-------------------------------------------------------------------------
 *
 * name.c
 *	  Names of topics, and names of the relations that hold them.
 *
 * A name that fits is the name of the relation.  A longer one becomes its
 * first 46 bytes, '~' and 16 hexadecimal digits of a hash.  Dumps contain the
 * hash, so it must never change and must not depend on the machine.  It is
 * FNV-1a with 64 bits.
 *
 * Siblings: ddl.c uses these names, catalog.c finds topics by them.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "topic/internal.h"

#define HASH_DIGITS		16

/*
 * The hash; it must never change.
 */
static uint64
fnv1a(const char *s)
{
	uint64		h = UINT64CONST(0xcbf29ce484222325);

	for (; *s; s++)
		h = (h ^ (unsigned char) *s) * UINT64CONST(0x100000001b3);
	return h;
}

/*
 * Joins stem and suffix.  If both together are too long, the stem is cut and
 * hashed.
 */
static void
compose(const char *stem, const char *suffix, char *out)
{
	size_t		stem_len = strlen(stem);
	size_t		suffix_len = strlen(suffix);
	int			keep;

	Assert(suffix_len + HASH_DIGITS + 1 < NAMEDATALEN);

	if (stem_len + suffix_len < NAMEDATALEN)
	{
		snprintf(out, NAMEDATALEN, "%s%s", stem, suffix);
		return;
	}
	keep = (int) (NAMEDATALEN - 1 - suffix_len - HASH_DIGITS - 1);

	/*
	 * Topic names are ASCII, so this does not cut within a character.  Names
	 * of other relations may not be, but nothing is made from those.
	 */
	Assert(keep > 0);
	snprintf(out, NAMEDATALEN, "%.*s~%016llx%s", keep, stem, (unsigned long long) fnv1a(stem), suffix);
}

/*
 * Makes the name of a topic's partitioned table; relname has NAMEDATALEN
 * bytes.
 */
void
pt_name_relation(const char *name, char *relname)
{
	compose(name, "", relname);
}

/*
 * Makes the name of something that belongs to it, such as orders#3 or
 * orders#offset; out has NAMEDATALEN bytes.
 */
void
pt_name_append(const char *relname, const char *suffix, char *out)
{
	compose(relname, suffix, out);
}

/*
 * Returns NULL if the name is legal for a Kafka topic, otherwise the reason,
 * translated.
 */
const char *
pt_topic_name_check(const char *name)
{
	if (name[0] == '\0')
		return _("A topic name cannot be empty.");
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return _("A topic name cannot be \".\" or \"..\".");
	if (strlen(name) > PT_TOPIC_NAME_MAX)
		return _("A topic name cannot be longer than 249 characters.");
	for (const char *s = name; *s; s++)
	{
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
			  (*s >= '0' && *s <= '9') || *s == '.' || *s == '_' || *s == '-'))
			return _("A topic name has only the characters a-z, A-Z, 0-9, \".\", \"_\" and \"-\".");
	}
	return NULL;
}

/*
 * Returns true for the topics that a broker creates for itself.
 */
bool
pt_topic_name_is_internal(const char *name)
{
	return strcmp(name, "__consumer_offsets") == 0 || strcmp(name, "__transaction_state") == 0;
}
