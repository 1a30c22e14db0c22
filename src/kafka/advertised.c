/*-------------------------------------------------------------------------
 *
 * advertised.c
 *	  Where clients are told to connect to.
 *
 * pgtopic.listen_addresses names the listeners; a client came in by one of
 * them.  pgtopic.advertised_listeners says what clients are told: one
 * "host:port" for all, or one for each listener, in the same order.  When it
 * is empty, a client is told the address by which it came.
 *
 * Siblings: broker.h, broker.c (who the broker is).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "guc.h"
#include "kafka/broker.h"

#define HOST_MAX	256

static int	list_entry(const char *list, int n, const char **entry);
static int	count_entries(const char *list);
static bool parse_entry(const char *entry, int len, char *host, int *port);
static bool is_wildcard(const char *host);

/*
 * Finds entry n (from 0) of a list whose entries are separated by commas or
 * blanks.  Returns its length in bytes, or 0 if there is no such entry.
 */
static int
list_entry(const char *list, int n, const char **entry)
{
	int			len = 0;

	for (int i = 0; i <= n; i++)
	{
		list += len;
		list += strspn(list, ", \t");
		len = (int) strcspn(list, ", \t");
	}
	*entry = list;
	return len;
}

/*
 * Returns the number of entries of a list. NULL must not be given; "" has
 * none.
 */
static int
count_entries(const char *list)
{
	const char *entry;
	int			n = 0;

	while (list_entry(list, n, &entry) > 0)
		n++;
	return n;
}

/*
 * Reads "host", "host:port" or "[address]:port" into host, which has room for
 * HOST_MAX bytes.  Without a port, *port stays as it is.  An address with
 * colons and without brackets is a host without a port.  Returns false if the
 * entry is none of these.
 */
static bool
parse_entry(const char *entry, int len, char *host, int *port)
{
	const char *end = entry + len;
	const char *colon = memchr(entry, ':', len);
	const char *host_end = end;
	int			value = 0;

	Assert(len > 0);
	if (entry[0] == '[')
	{
		host_end = memchr(entry++, ']', len);
		if (host_end == NULL)
			return false;
		colon = host_end + 1 < end ? host_end + 1 : NULL;
	}
	else if (colon != NULL && memchr(colon + 1, ':', end - colon - 1) != NULL)
		colon = NULL;
	else if (colon != NULL)
		host_end = colon;
	if (host_end == entry || host_end - entry >= HOST_MAX)
		return false;
	memcpy(host, entry, host_end - entry);
	host[host_end - entry] = '\0';
	if (colon == NULL)
		return true;
	if (*colon != ':' || colon + 1 == end || end - colon > 6)
		return false;
	for (const char *c = colon + 1; c < end; c++)
	{
		if (*c < '0' || *c > '9')
			return false;
		value = value * 10 + (*c - '0');
	}
	*port = value;
	return value >= 1 && value <= 65535;
}

/*
 * Returns true if the address means "all addresses".  A client cannot connect
 * to it.
 */
static bool
is_wildcard(const char *host)
{
	return host[0] == '\0' || strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0 ||
		strcmp(host, "::") == 0;
}

/*
 * Check hook of pgtopic.advertised_listeners.  It must not throw.
 */
bool
kafka_advertised_check(char **newval, void **extra, GucSource source)
{
	const char *entry;
	char		host[HOST_MAX];
	int			port = 1;
	int			len;

	for (int i = 0; (len = list_entry(*newval, i, &entry)) > 0; i++)
	{
		if (parse_entry(entry, len, host, &port) && !is_wildcard(host))
			continue;
		GUC_check_errdetail("\"%.*s\" is no host, host:port or [address]:port that clients can connect to.", len, entry);
		return false;
	}
	return true;
}

/*
 * Returns the number of different answers that kafka_advertised() has: 0 if
 * the server does not listen at all.
 */
int
kafka_advertised_count(void)
{
	int			n = count_entries(pt_listen_addresses);
	int			told = count_entries(pt_advertised_listeners);

	if (n == 0 || pt_port == 0)
		return 0;
	return told > 0 ? Min(told, n) : n;
}

/*
 * Returns the address that a client is told which came in by this listener
 * (from 0).  The host is in the current memory context.  If
 * pgtopic.advertised_listeners has fewer entries than there are listeners,
 * the last entry counts for the rest.  A wildcard address becomes the name of
 * the host.
 */
KafkaAdvertised
kafka_advertised(int listener)
{
	KafkaAdvertised result = {.host = palloc0(HOST_MAX),.port = pt_port};
	int			told = count_entries(pt_advertised_listeners);
	const char *entry;
	int			len;

	Assert(listener >= 0);
	if (told > 0)
	{
		len = list_entry(pt_advertised_listeners, Min(listener, told - 1), &entry);
		(void) parse_entry(entry, len, result.host, &result.port);
		return result;
	}
	len = Min(list_entry(pt_listen_addresses, listener, &entry), HOST_MAX - 1);
	memcpy(result.host, entry, len);
	if (is_wildcard(result.host) && (gethostname(result.host, HOST_MAX - 1) != 0 || result.host[0] == '\0'))
		strlcpy(result.host, "localhost", HOST_MAX);
	return result;
}
