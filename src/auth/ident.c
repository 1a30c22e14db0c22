/*-------------------------------------------------------------------------
 *
 * ident.c
 *	  pg_ident.conf: which roles the holder of a certificate may be.
 *
 * Without a map a certificate's name must be the role's.  A line of a map
 * has the name, or an expression for names, and a role: its name (in which \1
 * stands for what the expression has found), and from 16 on also "all",
 * +group, or an expression.
 *
 * Siblings: hba.c (reads the file), certificate.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/acl.h"

#include "auth/internal.h"

/*
 * Does a token name more roles than one?  NULL: of a server where it never
 * does.
 */
static bool
names_many(const AuthToken *token)
{
	return token != NULL &&
		(pt_token_regex(token) != NULL ||
		 (!token->quoted && (token->string[0] == '+' || strcmp(token->string, "all") == 0)));
}

/*
 * Is the line about this name?  *role gets the role of the line if it names a
 * single one, palloc'd, else NULL.
 */
static bool
line_matches(IdentLine *line, const char *map, const char *name, char **role)
{
	regex_t    *regex = pt_ident_regex(line);
	const char *text = pt_ident_role(line);
	const char *place;
	char	   *found = NULL;

	*role = NULL;
	if (strcmp(line->usermap, map) != 0)
		return false;
	if (regex == NULL ? strcmp(pt_ident_name(line), name) != 0 : !pt_hba_regex_matches(regex, name, &found))
		return false;
	if (names_many(pt_ident_role_token(line)))
		return true;
	place = regex == NULL ? NULL : strstr(text, "\\1");
	if (place == NULL)
		*role = pstrdup(text);
	else if (found != NULL)
		*role = psprintf("%.*s%s%s", (int) (place - text), text, found, place + 2);
	else
		return false;			/* nothing was found for \1 */
	return true;
}

/*
 * May the holder of a certificate with that name be the role?  map NULL: if
 * the two are the same.  Must run in a transaction.
 */
bool
pt_ident_allows(const char *map, const char *name, const char *role)
{
	ListCell   *cell;
	char	   *single;

	if (map == NULL || map[0] == '\0')
		return strcmp(name, role) == 0;
	foreach(cell, pt_ident_lines())
	{
		IdentLine  *line = lfirst(cell);

		if (!line_matches(line, map, name, &single))
			continue;
		if (single != NULL ? strcmp(single, role) == 0 :
			pt_hba_role_matches(list_make1(pt_ident_role_token(line)), role, get_role_oid(role, true)))
			return true;
	}
	return false;
}

/*
 * Returns the roles that the map names for the holder, in the order of its
 * lines: List of char *.  Who may be any of many has not said which.
 */
List *
pt_ident_roles(const char *map, const char *name)
{
	List	   *roles = NIL;
	ListCell   *cell;
	char	   *single;

	if (map == NULL || map[0] == '\0')
		return list_make1(pstrdup(name));
	foreach(cell, pt_ident_lines())
	{
		if (line_matches(lfirst(cell), map, name, &single) && single != NULL)
			roles = lappend(roles, single);
	}
	return roles;
}
