/*-------------------------------------------------------------------------
 *
 * addresses.c
 *	  How many connections there may be from one address.
 *
 * pgtopic.max_connections_per_ip is for all addresses but those that
 * pgtopic.max_connections_per_ip_overrides names, as address:number.  The list
 * was checked when it was set, and is short: it is read anew for each
 * connection.
 *
 * Siblings: quotas.h; ../server/client.c (who counts).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guc.h"
#include "quotas/internal.h"

/*
 * Reads the entry at *list, which ends with a comma or the list, and moves on.
 * Returns false if it makes no sense.
 */
static bool
read_override(const char **list, char *address, size_t size, int *limit)
{
	char text[	PT_QUOTA_NAME_SIZE];
	const char *start = *list + strspn(*list, " \t");
	size_t		len = strcspn(start, ",");
	char	   *colon;
	char	   *end;
	char	   *host = text;
	long		number;

	*list = start[len] == ',' ? start + len + 1 : start + len;
	while (len > 0 && (start[len - 1] == ' ' || start[len - 1] == '\t'))
		len--;
	if (len == 0 || len >= sizeof(text))
		return false;
	strlcpy(text, start, len + 1);
	colon = strrchr(text, ':');
	if (colon == NULL || colon == text)
		return false;
	*colon = '\0';
	if (text[0] == '[' && colon[-1] == ']')
	{
		colon[-1] = '\0';
		host++;
	}
	number = strtol(colon + 1, &end, 10);
	*limit = (int) number;
	return end != colon + 1 && *end == '\0' && number >= 0 && number <= PG_INT32_MAX &&
		pt_quota_address(host, address, size);
}

/*
 * Check hook of pgtopic.max_connections_per_ip_overrides.
 */
bool
pt_connections_per_ip_check(char **newval, void **extra, GucSource source)
{
	const char *list = *newval;
	char		address[PT_QUOTA_NAME_SIZE];
	int			limit;

	while (*list != '\0')
	{
		const char *entry = list;

		if (read_override(&list, address, sizeof(address), &limit))
			continue;
		GUC_check_errdetail("\"%.*s\" is not an IP address with a number of connections, as in \"10.0.0.1:100\".",
							(int) strcspn(entry, ","), entry);
		return false;
	}
	return true;
}

/*
 * Returns how many connections there may be from the address, which is in the
 * form of pt_quota_address(); PG_INT32_MAX: as many as like.
 */
int
pt_connections_per_ip(const char *address)
{
	const char *list = pt_max_connections_per_ip_overrides;
	char		other[PT_QUOTA_NAME_SIZE];
	int			limit;

	while (*list != '\0')
	{
		if (read_override(&list, other, sizeof(other), &limit) && strcmp(address, other) == 0)
			return limit;
	}
	return pt_max_connections_per_ip;
}
