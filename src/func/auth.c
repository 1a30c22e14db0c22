/*-------------------------------------------------------------------------
 *
 * auth.c
 *	  client_rule(), certificate_role(): what pg_hba.conf and pg_ident.conf
 *	  would say to a Kafka client.
 *
 * Siblings: ../auth/auth.h.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <netinet/in.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inet.h"

#include "auth/auth.h"

PG_FUNCTION_INFO_V1(pt_client_rule);
PG_FUNCTION_INFO_V1(pt_certificate_role);

/*
 * Fills the address of a socket from a value of type inet.
 */
static void
set_address(struct sockaddr_storage *address, const inet *from)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *) address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) address;

	memset(address, 0, sizeof(*address));
	if (ip_family(from) == PGSQL_AF_INET)
	{
		v4->sin_family = AF_INET;
		memcpy(&v4->sin_addr, ip_addr(from), sizeof(v4->sin_addr));
	}
	else
	{
		v6->sin6_family = AF_INET6;
		memcpy(&v6->sin6_addr, ip_addr(from), sizeof(v6->sin6_addr));
	}
}

/*
 * Returns the names of the mechanisms as text[].
 */
static Datum
mechanism_names(uint32 mechanisms)
{
	Datum		names[PT_MECHANISM_COUNT];
	int			n = 0;

	for (int i = 0; i < PT_MECHANISM_COUNT; i++)
	{
		if (mechanisms & (1 << i))
			names[n++] = CStringGetTextDatum(pt_mechanism_name(i));
	}
	return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * client_rule(role, address, ssl): the line of pg_hba.conf as it is now, its
 * method, and the SASL mechanisms by which it lets the role in.
 */
Datum
pt_client_rule(PG_FUNCTION_ARGS)
{
	PtAuthPeer	peer = {.tls = PG_GETARG_BOOL(2),.name = "client_rule()"};
	PtAuthRule	rule;
	TupleDesc	desc;
	Datum		values[4];
	bool		nulls[4] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	set_address(&peer.address, PG_GETARG_INET_PP(1));
	pt_auth_load(true);
	pt_auth_rule(&peer, text_to_cstring(PG_GETARG_TEXT_PP(0)), &rule);
	if (rule.line == 0)
		PG_RETURN_NULL();
	values[0] = CStringGetTextDatum(rule.file);
	values[1] = Int32GetDatum(rule.line);
	values[2] = CStringGetTextDatum(rule.method);
	values[3] = mechanism_names(rule.mechanisms);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/*
 * certificate_role(common_name, address, distinguished_name): the role of a
 * client that shows such a certificate at a listener of protocol SSL, or null.
 */
Datum
pt_certificate_role(PG_FUNCTION_ARGS)
{
	PtAuthPeer	peer = {.tls = true,.name = "certificate_role()"};
	char		role_name[NAMEDATALEN];

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	peer.cert_cn = text_to_cstring(PG_GETARG_TEXT_PP(0));
	peer.cert_dn = PG_ARGISNULL(2) ? psprintf("CN=%s", peer.cert_cn) : text_to_cstring(PG_GETARG_TEXT_PP(2));
	set_address(&peer.address, PG_GETARG_INET_PP(1));
	pt_auth_load(true);
	if (!pt_auth_certificate(&peer, role_name))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(role_name));
}
