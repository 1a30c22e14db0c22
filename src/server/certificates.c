/*-------------------------------------------------------------------------
 *
 * certificates.c
 *	  The certificate that this worker shows to clients: from the settings.
 *
 * They are the server's own, ssl_cert_file and so on, as far as
 * pgtopic.ssl_xxx does not say otherwise; what is spoken is the server's in
 * any case.  They are read when the worker starts and whenever the settings
 * are read again.  When something is wrong with them then, the log says so,
 * and what was there before stays: open connections have theirs anyway.
 *
 * Siblings: doors.c (opens no listener with TLS without one), client.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/guc.h"

#include "compat.h"
#include "guc.h"
#include "server/certificates.h"

static NetTls *context;			/* NULL: none */
static char problem[256];		/* why there is none, or an old one */
static const char *problem_hint;
static bool asked;				/* the key needs a passphrase */

static bool wanted(void);
static bool settings_get(NetTlsSettings *settings);
static const char *servers(const char *name);
static int	version_of(const char *setting);
static bool has_command(void);
static const char *own_or(const char *own, const char *otherwise);
static int	passphrase(char *buf, int size);
static int	run_command(char *buf, int size);
static NetTls *create(void);

/* Is there a listener that needs it? */
static bool
wanted(void)
{
	const KafkaEndpoints *all = kafka_listeners();
	KafkaSecurity security;

	for (int i = 0; i < all->n; i++)
	{
		if (kafka_listener_security(all->at[i].name, &security) && kafka_security_has_tls(security))
			return true;
	}
	return false;
}

/* To be called at the start and when settings have been read. */
void
pt_certificates_load(bool tell)
{
	NetTls	   *fresh;

	if (!wanted())
		return;
	problem[0] = '\0';
	problem_hint = NULL;
	fresh = create();
	if (fresh != NULL)
	{
		if (context != NULL)
			net_tls_free(context);
		context = fresh;
		return;
	}
	/* without any the listener says why it is not open */
	if (tell && context != NULL)
		ereport(LOG,
				(errcode(ERRCODE_CONFIG_FILE_ERROR),
				 errmsg("the certificate for Kafka clients stays as it was: %s", problem),
				 problem_hint != NULL ? errhint("%s", problem_hint) : 0));
}

NetTls *
pt_certificates_context(void)
{
	return context;
}

const char *
pt_certificates_problem(const char **hint)
{
	*hint = problem_hint;
	return problem;
}

/*
 * Are clients of such a listener asked for a certificate?  Who will say who he
 * is by SASL need not have one, as with Kafka.
 */
NetTlsAsk
pt_certificates_ask(KafkaSecurity security)
{
	NetTlsAsk	ask = (NetTlsAsk) pt_ssl_client_auth;

	return ask == NET_TLS_ASK_REQUIRED && kafka_security_has_sasl(security) ? NET_TLS_ASK_REQUESTED : ask;
}

static const char *
own_or(const char *own, const char *otherwise)
{
	return own[0] != '\0' ? own : otherwise;
}

/* The server's setting of that name. */
static const char *
servers(const char *name)
{
	const char *value = GetConfigOption(name, true, false);

	return value != NULL ? value : "";
}

/* Older ones than 1.2 are not spoken anyway; "": no bound. */
static int
version_of(const char *setting)
{
	if (strcmp(setting, "TLSv1.3") == 0)
		return NET_TLS_1_3;
	if (strcmp(setting, "TLSv1.2") == 0)
		return NET_TLS_1_2;
	return setting[0] == '\0' ? 0 : NET_TLS_1_2 - 1;
}

/* false: "problem" says why there are none. */
static bool
settings_get(NetTlsSettings *settings)
{
#ifdef USE_SSL
	settings->cert_file = own_or(pt_ssl_cert_file, servers("ssl_cert_file"));
	settings->key_file = own_or(pt_ssl_key_file, servers("ssl_key_file"));
	settings->ca_file = own_or(pt_ssl_ca_file, servers("ssl_ca_file"));
	settings->crl_file = own_or(pt_ssl_crl_file, servers("ssl_crl_file"));
	settings->crl_dir = servers("ssl_crl_dir");
	settings->dh_file = servers("ssl_dh_params_file");
	settings->ciphers = servers("ssl_ciphers");
	settings->suites = servers("ssl_tls13_ciphers");	/* from 18 on */
	settings->groups = servers("ssl_ecdh_curve");
	settings->our_order = strcmp(servers("ssl_prefer_server_ciphers"), "on") == 0;
	settings->min_version = version_of(servers("ssl_min_protocol_version"));
	settings->max_version = version_of(servers("ssl_max_protocol_version"));
	settings->passphrase = passphrase;
	return true;
#else
	snprintf(problem, sizeof(problem), "this server was built without SSL");
	return false;
#endif
}

/* May the command be run, as at a reload of the server's own key? */
static bool
has_command(void)
{
	return servers("ssl_passphrase_command")[0] != '\0' &&
		strcmp(servers("ssl_passphrase_command_supports_reload"), "on") == 0;
}

/*
 * OpenSSL wants the key's passphrase.  The server's command may be asked for
 * it as it is when the server reloads its own key: without a terminal.
 */
static int
passphrase(char *buf, int size)
{
	asked = true;
	buf[0] = '\0';
	return has_command() ? run_command(buf, size) : 0;
}

/* An error may not go through OpenSSL's functions. */
static int
run_command(char *buf, int size)
{
	MemoryContext mcxt = CurrentMemoryContext;
	volatile int len = 0;

	PG_TRY();
	{
		len = pt_run_passphrase_command(servers("ssl_passphrase_command"), "Enter PEM pass phrase:", buf, size);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(mcxt);
		EmitErrorReport();
		FlushErrorState();
		explicit_bzero(buf, size);
	}
	PG_END_TRY();
	return len;
}

/* NULL: "problem" says why. */
static NetTls *
create(void)
{
	NetTlsSettings settings = {0};
	NetTls	   *fresh;

	if (!settings_get(&settings))
		return NULL;
	if (pt_ssl_client_auth != NET_TLS_ASK_NONE && settings.ca_file[0] == '\0')
	{
		snprintf(problem, sizeof(problem), "there is no certificate authority for those of clients");
		problem_hint = "Set \"ssl_ca_file\" or \"pgtopic.ssl_ca_file\", or \"pgtopic.ssl_client_auth\" to none.";
		return NULL;
	}
	if (!check_ssl_key_file_permissions(settings.key_file, false))
	{
		snprintf(problem, sizeof(problem), "the private key file \"%s\" may not be used", settings.key_file);
		problem_hint = "The log says before what is wrong with it.";
		return NULL;
	}
	asked = false;
	fresh = net_tls_create(&settings, problem, sizeof(problem));
	if (fresh == NULL && asked && !has_command())
	{
		snprintf(problem, sizeof(problem), "the private key \"%s\" needs a passphrase", settings.key_file);
		problem_hint = "Set \"ssl_passphrase_command\" and \"ssl_passphrase_command_supports_reload\", or use a key without.";
	}
	else if (fresh == NULL)
		problem_hint = "\"ssl_cert_file\", \"ssl_key_file\" and their like are used, or \"pgtopic.ssl_cert_file\" and so on where they are set.";
	return fresh;
}
