/*-------------------------------------------------------------------------
 *
 * tls_context.c
 *	  From files and lists to a context of OpenSSL.
 *
 * What is never spoken, whatever the settings say: anything older than TLS
 * 1.2, compression, renegotiation.  There are no sessions to resume either:
 * their tickets would outlive the certificates and revocations by which they
 * were given.  Neither a name that the other side wants to talk to (SNI)
 * nor a protocol that it offers (ALPN) changes anything.
 *
 * Siblings: tls.h, tls.c (connections).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "net/port.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "net/tls.h"
#include "net/tls_internal.h"

#if OPENSSL_VERSION_NUMBER < 0x30000000L
#error "pgtopic needs OpenSSL 3.0 or later"
#endif

StaticAssertDecl(NET_TLS_1_2 == TLS1_2_VERSION && NET_TLS_1_3 == TLS1_3_VERSION, "versions are OpenSSL's");

/* Where a context is being made, and what is wrong with it. */
typedef struct Making
{
	SSL_CTX    *context;
	const NetTlsSettings *settings;
	char	   *problem;
	size_t		problem_size;
} Making;

static bool given(const char *setting);
static bool failed(const Making *m, const char *what, const char *name);
static int	ask_passphrase(char *buf, int size, int rwflag, void *arg);
static bool set_versions(const Making *m);
static bool set_lists(const Making *m);
static bool set_dh(const Making *m);
static bool load_key(const Making *m);
static bool load_ca(const Making *m);
static bool load_crl(const Making *m);

static bool
given(const char *setting)
{
	return setting != NULL && setting[0] != '\0';
}

/* What OpenSSL says first is what is wrong; the rest is what follows of it. */
const char *
net_tls_error_text(void)
{
	unsigned long code = ERR_get_error();
	const char *text = NULL;

	ERR_clear_error();
	if (ERR_SYSTEM_ERROR(code))
		text = strerror(ERR_GET_REASON(code));

	else if (code != 0)
		text = ERR_reason_error_string(code);
	return text !=NULL ? text : "no reason is known";
}

/* Notes what is wrong; returns false, for callers to return. */
static bool
failed(const Making *m, const char *what, const char *name)
{
	snprintf(m->problem, m->problem_size, "could not %s \"%s\": %s", what, name, net_tls_error_text());
	return false;
}

/*
 * OpenSSL's own way, if there was no callback, is to ask on the terminal.
 */
static int
ask_passphrase(char *buf, int size, int rwflag, void *arg)
{
	const NetTlsSettings *settings = arg;

	return settings->passphrase == NULL ? 0 : settings->passphrase(buf, size);
}

static bool
set_versions(const Making *m)
{
	int			min = Max(m->settings->min_version, NET_TLS_1_2);
	int			max = m->settings->max_version;

	if ((max != 0 && max < min) || SSL_CTX_set_min_proto_version(m->context, min) != 1 ||
		SSL_CTX_set_max_proto_version(m->context, max) != 1)
	{
		snprintf(m->problem, m->problem_size, "no version of TLS from 1.2 on is allowed");
		return false;
	}
	return true;
}

static bool
set_lists(const Making *m)
{
	const NetTlsSettings *s = m->settings;

	if (given(s->ciphers) && SSL_CTX_set_cipher_list(m->context, s->ciphers) != 1)
		return failed(m, "set the list of ciphers", s->ciphers);
	if (given(s->suites) && SSL_CTX_set_ciphersuites(m->context, s->suites) != 1)
		return failed(m, "set the list of cipher suites", s->suites);
	if (given(s->groups) && SSL_CTX_set1_groups_list(m->context, s->groups) != 1)
		return failed(m, "set the groups of key exchanges", s->groups);
	if (s->our_order)
		SSL_CTX_set_options(m->context, SSL_OP_CIPHER_SERVER_PREFERENCE);
	return true;
}

static bool
set_dh(const Making *m)
{
	const char *name = m->settings->dh_file;
	BIO		   *file;
	EVP_PKEY   *dh;

	if (!given(name))
		return SSL_CTX_set_dh_auto(m->context, 1) == 1;
	file = BIO_new_file(name, "r");
	if (file == NULL)
		return failed(m, "open the file", name);
	dh = PEM_read_bio_Parameters(file, NULL);
	BIO_free(file);
	if (dh != NULL && SSL_CTX_set0_tmp_dh_pkey(m->context, dh) == 1)
		return true;
	EVP_PKEY_free(dh);
	return failed(m, "take DH parameters from", name);
}

static bool
load_key(const Making *m)
{
	const NetTlsSettings *s = m->settings;

	SSL_CTX_set_default_passwd_cb(m->context, ask_passphrase);
	SSL_CTX_set_default_passwd_cb_userdata(m->context, unconstify(NetTlsSettings *, s));
	if (SSL_CTX_use_certificate_chain_file(m->context, s->cert_file) != 1)
		return failed(m, "load the certificate", s->cert_file);
	if (SSL_CTX_use_PrivateKey_file(m->context, s->key_file, SSL_FILETYPE_PEM) != 1)
		return failed(m, "load the private key", s->key_file);
	if (SSL_CTX_check_private_key(m->context) != 1)
		return failed(m, "use the private key", s->key_file);
	SSL_CTX_set_default_passwd_cb_userdata(m->context, NULL);
	SSL_CTX_set_default_passwd_cb(m->context, NULL);
	return true;
}

/* The names in it are told to clients, which may have several certificates. */
static bool
load_ca(const Making *m)
{
	const char *name = m->settings->ca_file;

	STACK_OF(X509_NAME) * names;

	if (!given(name))
		return true;
	if (SSL_CTX_load_verify_locations(m->context, name, NULL) != 1)
		return failed(m, "load the certificates of", name);
	names = SSL_load_client_CA_file(name);
	if (names == NULL)
		return failed(m, "load the certificates of", name);
	SSL_CTX_set_client_CA_list(m->context, names);
	return true;
}

static bool
load_crl(const Making *m)
{
	const char *file = given(m->settings->crl_file) ? m->settings->crl_file : NULL;
	const char *dir = given(m->settings->crl_dir) ? m->settings->crl_dir : NULL;
	X509_STORE *store = SSL_CTX_get_cert_store(m->context);

	if (file == NULL && dir == NULL)
		return true;
	if (X509_STORE_load_locations(store, file, dir) != 1)
		return failed(m, "load the revocation list", file != NULL ? file : dir);
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	return true;
}

NetTls *
net_tls_create(const NetTlsSettings *settings, char *problem, size_t problem_size)
{
	Making		m = {SSL_CTX_new(TLS_server_method()), settings, problem, problem_size};

	ERR_clear_error();
	snprintf(problem, problem_size, "OpenSSL has no memory");
	if (m.context == NULL)
		return NULL;
	SSL_CTX_set_options(m.context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
						SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_num_tickets(m.context, 0);
	SSL_CTX_set_session_cache_mode(m.context, SSL_SESS_CACHE_OFF);
	/* a quiet connection has no buffers, a busy one reads many records */
	SSL_CTX_set_mode(m.context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_read_ahead(m.context, 1);
	SSL_CTX_set_default_read_buffer_len(m.context, NET_TLS_READ_BYTES);
	if (set_versions(&m) && set_lists(&m) && set_dh(&m) && load_key(&m) && load_ca(&m) && load_crl(&m))
		return m.context;
	SSL_CTX_free(m.context);
	return NULL;
}

/* Connections that began with it keep it. */
void
net_tls_free(NetTls *tls)
{
	SSL_CTX_free(tls);
}
