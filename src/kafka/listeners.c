/*-------------------------------------------------------------------------
 *
 * listeners.c
 *	  Reads the settings that say where and how Kafka clients are served.
 *
 *	pgtopic.listeners						NAME://host:port, ...
 *	pgtopic.advertised_listeners			the same, what clients are told
 *	pgtopic.listener_security_protocol_map	NAME:PROTOCOL, ...
 *
 * They are Kafka's, in its own form.  What is wrong within one of them is
 * found by its check hook.  The hooks do not look at the other settings, as
 * these may still change before the server starts: a name that another one
 * lacks is found when the listener is to be opened (../server/doors.c).
 *
 * Siblings: listeners.h, advertised.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guc.h"
#include "kafka/listeners.h"

#define PORT_DIGITS_MAX		5

/* An entry of a list, without the blanks around it. */
typedef struct Span
{
	const char *at;
	int			len;
} Span;

/* What is wrong with a list; neither is set: nothing. */
typedef struct Problem
{
	char		detail[512];
	const char *hint;
} Problem;

static const char *const security_names[] = {
	[KAFKA_SECURITY_PLAINTEXT] = "PLAINTEXT",
	[KAFKA_SECURITY_SSL] = "SSL",
	[KAFKA_SECURITY_SASL_PLAINTEXT] = "SASL_PLAINTEXT",
	[KAFKA_SECURITY_SASL_SSL] = "SASL_SSL"
};

static bool next_entry(const char **list, Span *entry);
static bool wrong(Problem *problem, Span entry, const char *why, const char *hint);
static bool take_name(Span from, char *name);
static bool take_port(Span from, int *port);
static bool take_host(Span from, char *host, Span entry, Problem *problem);
static bool parse_endpoint(Span entry, KafkaEndpoint *to, Problem *problem);
static bool parse_endpoints(const char *list, KafkaEndpoints *to, Problem *problem);
static bool parse_security(Span from, KafkaSecurity *security);
static bool parse_mapping(Span entry, char *name, KafkaSecurity *security, Problem *problem);
static bool tell(const Problem *problem);

const char *
kafka_security_name(KafkaSecurity security)
{
	Assert(security >= 0 && security < lengthof(security_names));
	return security_names[security];
}

/*
 * Takes the next entry off a list whose entries are separated by commas;
 * *entry is zeroed before the first.  A list of blanks has none; else every
 * comma has an entry on each side, which may be empty.  *list is NULL behind
 * the last.
 */
static bool
next_entry(const char **list, Span *entry)
{
	bool		first = entry->at == NULL;
	const char *end;

	if (*list == NULL)
		return false;
	entry->at = *list + strspn(*list, " \t\r\n");
	if (first && *entry->at == '\0')
		return false;
	end = entry->at + strcspn(entry->at, ",");
	*list = *end == ',' ? end + 1 : NULL;
	while (end > entry->at && strchr(" \t\r\n", end[-1]) != NULL)
		end--;
	entry->len = (int) (end - entry->at);
	return true;
}

/* Notes what is wrong with an entry; returns false, for callers to return. */
static bool
wrong(Problem *problem, Span entry, const char *why, const char *hint)
{
	snprintf(problem->detail, sizeof(problem->detail), "\"%.*s\": %s", Min(entry.len, 300), entry.at, why);
	problem->hint = hint;
	return false;
}

/*
 * Kafka writes names of listeners in capitals, and takes them in any case.
 * "name" has KAFKA_LISTENER_NAME_BYTES.
 */
static bool
take_name(Span from, char *name)
{
	if (from.len == 0 || from.len >= KAFKA_LISTENER_NAME_BYTES)
		return false;
	for (int i = 0; i < from.len; i++)
	{
		char		c = pg_ascii_toupper((unsigned char) from.at[i]);

		if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && strchr("_-.", c) == NULL)
			return false;
		name[i] = c;
	}
	name[from.len] = '\0';
	return true;
}

static bool
take_port(Span from, int *port)
{
	int			value = 0;

	if (from.len == 0 || from.len > PORT_DIGITS_MAX)
		return false;
	for (int i = 0; i < from.len; i++)
	{
		if (from.at[i] < '0' || from.at[i] > '9')
			return false;
		value = value * 10 + (from.at[i] - '0');
	}
	*port = value;
	return value >= 1 && value <= 65535;
}

/*
 * A name, an IPv4 address, an IPv6 address in brackets; nothing, "*", 0.0.0.0
 * and [::] are all addresses.
 */
static bool
take_host(Span from, char *host, Span entry, Problem *problem)
{
	bool		brackets = from.len >= 2 && from.at[0] == '[' && from.at[from.len - 1] == ']';

	if (brackets)
	{
		from.at++;
		from.len -= 2;
		if (from.len == 0)
			return wrong(problem, entry, "There is no address in the brackets.", NULL);
	}
	if (from.len >= KAFKA_HOST_BYTES)
		return wrong(problem, entry, "The host's name is too long.", NULL);
	memcpy(host, from.at, from.len);
	host[from.len] = '\0';
	if (from.len == 0 || strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0)
		strcpy(host, "*");
	else if (!brackets && strchr(host, ':') != NULL)
		return wrong(problem, entry, "The address has colons.", "An IPv6 address is written in brackets: [::1].");
	else if (host[strcspn(host, " \t\r\n/[]*@?#\"'")] != '\0')
		return wrong(problem, entry, "The host has a character that no host's name has.", NULL);
	return true;
}

static bool
parse_endpoint(Span entry, KafkaEndpoint *to, Problem *problem)
{
	const char *form = "Each entry is NAME://host:port, as in PLAINTEXT://127.0.0.1:9092.";
	Span		name = entry;
	Span		host;
	Span		port;
	const char *end = entry.at + entry.len;

	for (name.len = 0; name.len < entry.len && entry.at[name.len] != ':'; name.len++)
		;
	if (entry.len - name.len < 3 || strncmp(entry.at + name.len, "://", 3) != 0)
		return wrong(problem, entry, "There is no \"://\" behind the listener's name.", form);
	if (!take_name(name, to->name))
		return wrong(problem, entry, "The listener's name must be of letters, digits, \"_\", \"-\" and \".\".", form);
	host.at = entry.at + name.len + 3;
	for (port.at = end; port.at > host.at && port.at[-1] != ':'; port.at--)
		;
	if (port.at == host.at)
		return wrong(problem, entry, "There is no port.", form);
	port.len = (int) (end - port.at);
	host.len = (int) (port.at - 1 - host.at);
	if (!take_port(port, &to->port))
		return wrong(problem, entry, "The port must be a number from 1 to 65535.", form);
	return take_host(host, to->host, entry, problem);
}

/* Names are unique in a list.  false: *problem says why. */
static bool
parse_endpoints(const char *list, KafkaEndpoints *to, Problem *problem)
{
	Span		entry = {0};

	to->n = 0;
	while (next_entry(&list, &entry))
	{
		if (to->n == KAFKA_LISTENERS_MAX)
			return wrong(problem, entry, "There are too many entries.", "There may be 16 of them.");
		if (!parse_endpoint(entry, &to->at[to->n], problem))
			return false;
		if (kafka_endpoint_find(to, to->at[to->n].name) != NULL)
			return wrong(problem, entry, "This listener is there already.",
						 "Each listener has a name of its own; \"pgtopic.listener_security_protocol_map\" says what is spoken there.");
		to->n++;
	}
	StaticAssertStmt(KAFKA_LISTENERS_MAX == 16, "see the hint above");
	return true;
}

/* NULL: no entry has this name. */
const KafkaEndpoint *
kafka_endpoint_find(const KafkaEndpoints *all, const char *name)
{
	for (int i = 0; i < all->n; i++)
	{
		if (strcmp(all->at[i].name, name) == 0)
			return &all->at[i];
	}
	return NULL;
}

static bool
parse_security(Span from, KafkaSecurity *security)
{
	for (int i = 0; i < lengthof(security_names); i++)
	{
		if (strlen(security_names[i]) == from.len && pg_strncasecmp(security_names[i], from.at, from.len) == 0)
		{
			*security = i;
			return true;
		}
	}
	return false;
}

/* "name" has KAFKA_LISTENER_NAME_BYTES. */
static bool
parse_mapping(Span entry, char *name, KafkaSecurity *security, Problem *problem)
{
	const char *form = "Each entry is NAME:PROTOCOL, and protocols are PLAINTEXT, SSL, SASL_PLAINTEXT and SASL_SSL.";
	const char *colon = memchr(entry.at, ':', entry.len);
	Span		left = entry;
	Span		right;

	if (colon == NULL)
		return wrong(problem, entry, "There is no \":\" behind the listener's name.", form);
	left.len = (int) (colon - entry.at);
	right.at = colon + 1;
	right.len = entry.len - left.len - 1;
	if (!take_name(left, name))
		return wrong(problem, entry, "The listener's name must be of letters, digits, \"_\", \"-\" and \".\".", form);
	if (!parse_security(right, security))
		return wrong(problem, entry, "There is no such security protocol.", form);
	return true;
}

/*
 * What is spoken at a listener of this name: what the map says, else what the
 * name itself says.  false: neither does.
 */
bool
kafka_listener_security(const char *name, KafkaSecurity *security)
{
	const char *list = pt_listener_security_protocol_map;
	Span		entry = {0};
	Span		itself = {name, (int) strlen(name)};
	char		listener[KAFKA_LISTENER_NAME_BYTES];
	Problem		problem;

	while (next_entry(&list, &entry))
	{
		if (parse_mapping(entry, listener, security, &problem) && strcmp(listener, name) == 0)
			return true;
	}
	return parse_security(itself, security);
}

/*
 * The listeners of pgtopic.listeners, which does not change while the server
 * runs.
 */
const KafkaEndpoints *
kafka_listeners(void)
{
	static KafkaEndpoints listeners;
	static bool known = false;
	Problem		problem;

	if (!known)
		(void) parse_endpoints(pt_listeners, &listeners, &problem);
	known = true;
	return &listeners;
}

/* What pgtopic.advertised_listeners has now. */
void
kafka_advertised_endpoints(KafkaEndpoints *to)
{
	Problem		problem;

	(void) parse_endpoints(pt_advertised_listeners, to, &problem);
}

/*
 * Check hooks.  They must not throw.
 */

/* Passes the problem to the server; returns false. */
static bool
tell(const Problem *problem)
{
	GUC_check_errdetail("%s", problem->detail);
	if (problem->hint != NULL)
		GUC_check_errhint("%s", problem->hint);
	return false;
}

bool
kafka_listeners_check(char **newval, void **extra, GucSource source)
{
	KafkaEndpoints all;
	Problem		problem = {0};

	if (!parse_endpoints(*newval, &all, &problem))
		return tell(&problem);
	for (int i = 1; i < all.n; i++)
	{
		for (int j = 0; j < i; j++)
		{
			if (all.at[i].port != all.at[j].port || strcmp(all.at[i].host, all.at[j].host) != 0)
				continue;
			GUC_check_errdetail("The listeners %s and %s have the same address.", all.at[j].name, all.at[i].name);
			return false;
		}
	}
	return true;
}

bool
kafka_advertised_check(char **newval, void **extra, GucSource source)
{
	KafkaEndpoints all;
	Problem		problem = {0};

	if (!parse_endpoints(*newval, &all, &problem))
		return tell(&problem);
	for (int i = 0; i < all.n; i++)
	{
		if (strcmp(all.at[i].host, "*") != 0)
			continue;
		GUC_check_errdetail("Clients cannot connect to the address of %s, which stands for all addresses.", all.at[i].name);
		return false;
	}
	return true;
}

bool
kafka_security_map_check(char **newval, void **extra, GucSource source)
{
	const char *list = *newval;
	Span		entry = {0};
	KafkaSecurity security;
	char		names[KAFKA_LISTENERS_MAX * 2][KAFKA_LISTENER_NAME_BYTES];
	int			n = 0;
	Problem		problem = {0};

	for (; next_entry(&list, &entry); n++)
	{
		if (n == lengthof(names))
		{
			(void) wrong(&problem, entry, "There are too many entries.", NULL);
			return tell(&problem);
		}
		if (!parse_mapping(entry, names[n], &security, &problem))
			return tell(&problem);
		for (int i = 0; i < n; i++)
		{
			if (strcmp(names[i], names[n]) != 0)
				continue;
			(void) wrong(&problem, entry, "This listener is there already.", NULL);
			return tell(&problem);
		}
	}
	return true;
}
