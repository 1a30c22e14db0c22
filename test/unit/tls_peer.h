/*-------------------------------------------------------------------------
 *
 * tls_peer.h
 *	  Certificates, and a TLS client whose bytes go through our hands, for tests
 *	  of the net room.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef TLS_PEER_H
#define TLS_PEER_H

#include "net_owner.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/*
 * Certificates.
 */

typedef struct Identity
{
	X509	   *cert;
	EVP_PKEY   *key;
}			Identity;

static char dir[] = "/tmp/pgtopic-tls-XXXXXX";
static Identity ca,
other_ca,
server_id,
alice,
revoked,
stranger,
expired,
odd;
static NetTls *context;

static const char *
path(const char *name)
{
	static char paths[8][256];
	static int	n = 0;
	char	   *p = paths[n++ % 8];

	snprintf(p, 256, "%s/%s", dir, name);
	return p;
}

/* name: "CN" with any bytes; issuer NULL: itself. */
static Identity
make_identity(const char *name, int len, const Identity * issuer, long days)
{
	static long serial = 1;
	Identity	id = {X509_new(), EVP_EC_gen("P-256")};
	X509_NAME  *subject = X509_get_subject_name(id.cert);

	X509_set_version(id.cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(id.cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(id.cert), -86400 * 10);
	X509_gmtime_adj(X509_getm_notAfter(id.cert), 86400 * days);
	X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8, (unsigned char *) "Tests", -1, -1, 0);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *) name, len, -1, 0);
	X509_set_issuer_name(id.cert, X509_get_subject_name(issuer ? issuer->cert : id.cert));
	X509_set_pubkey(id.cert, id.key);
	if (issuer == NULL)
	{
		X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");

		X509_add_ext(id.cert, e, -1);
		X509_EXTENSION_free(e);
	}
	CHECK(X509_sign(id.cert, issuer ? issuer->key : id.key, EVP_sha256()) > 0);
	return id;
}

static void
free_identity(Identity * id)
{
	X509_free(id->cert);
	EVP_PKEY_free(id->key);
}

static void
write_cert(const char *name, const Identity * id)
{
	FILE	   *f = fopen(path(name), "w");

	PEM_write_X509(f, id->cert);
	fclose(f);
}

static void
write_key(const char *name, const Identity * id, const char *passphrase)
{
	FILE	   *f = fopen(path(name), "w");

	PEM_write_PrivateKey(f, id->key, passphrase ? EVP_aes_128_cbc() : NULL, (unsigned char *) passphrase,
						 passphrase ? strlen(passphrase) : 0, NULL, NULL);
	fclose(f);
}

static void
write_text(const char *name, const char *text)
{
	FILE	   *f = fopen(path(name), "w");

	fputs(text, f);
	fclose(f);
}

/* A list of the CA with one revoked certificate, or none. */
static void
write_crl(const char *name, const Identity * gone)
{
	X509_CRL   *crl = X509_CRL_new();
	X509_REVOKED *entry = X509_REVOKED_new();
	ASN1_TIME  *now = X509_gmtime_adj(NULL, -60);
	ASN1_TIME  *next = X509_gmtime_adj(NULL, 86400);
	FILE	   *f = fopen(path(name), "w");

	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca.cert));
	X509_CRL_set1_lastUpdate(crl, now);
	X509_CRL_set1_nextUpdate(crl, next);
	X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(gone->cert));
	X509_REVOKED_set_revocationDate(entry, now);
	X509_CRL_add0_revoked(crl, entry);
	X509_CRL_sign(crl, ca.key, EVP_sha256());
	PEM_write_X509_CRL(f, crl);
	fclose(f);
	ASN1_TIME_free(now);
	ASN1_TIME_free(next);
	X509_CRL_free(crl);
}

static NetTlsSettings
usual_settings(void)
{
	static char cert[256],
				key[256],
				ca_file[256];
	NetTlsSettings s = {0};

	strcpy(cert, path("server.crt"));
	strcpy(key, path("server.key"));
	strcpy(ca_file, path("ca.crt"));
	s.cert_file = cert;
	s.key_file = key;
	s.ca_file = ca_file;
	return s;
}

static NetTls *
create(const NetTlsSettings *settings)
{
	char		problem[256];
	NetTls	   *tls = net_tls_create(settings, problem, sizeof(problem));

	SAY("%s", tls ? "" : problem);
	CHECK(tls != NULL);
	return tls;
}

static void
make_all(void)
{
	NetTlsSettings s;

	if (mkdtemp(dir) == NULL)
		abort();
	ca = make_identity("test CA", -1, NULL, 100);
	other_ca = make_identity("another CA", -1, NULL, 100);
	server_id = make_identity("localhost", -1, &ca, 100);
	alice = make_identity("alice", -1, &ca, 100);
	revoked = make_identity("mallory", -1, &ca, 100);
	stranger = make_identity("alice", -1, &other_ca, 100);
	expired = make_identity("yesterday", -1, &ca, -1);
	odd = make_identity("alice\0.example", 14, &ca, 100);
	write_cert("ca.crt", &ca);
	write_cert("server.crt", &server_id);
	write_key("server.key", &server_id, NULL);
	write_crl("ca.crl", &revoked);
	s = usual_settings();
	context = create(&s);
}

static void
remove_all(void)
{
	char		command[300];

	net_tls_free(context);
	free_identity(&ca);
	free_identity(&other_ca);
	free_identity(&server_id);
	free_identity(&alice);
	free_identity(&revoked);
	free_identity(&stranger);
	free_identity(&expired);
	free_identity(&odd);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	CHECK_INT(system(command), 0);
}

/*
 * The client: its bytes go over two memory BIOs, and from there to the socket
 * in pieces of any size.
 */
typedef struct Peer
{
	Owner		owner;
	SSL_CTX    *ctx;
	SSL		   *ssl;
	size_t		piece;			/* bytes carried at a time */
	bool		deaf;			/* takes nothing from the socket */
	bool		ended;			/* the socket is at its end */
	int			max_record;		/* longest record that came, its last one
								 * apart */
	size_t		record_left;
	unsigned char head[5];
	int			nhead;
	int			nrecords;
}			Peer;

static void
open_peer(Peer * p, NetTls *with, NetTlsAsk ask, int version, const Identity * id)
{
	memset(p, 0, sizeof(*p));
	open_pair(&p->owner);
	CHECK(net_conn_start_tls(p->owner.conn, with, ask));
	p->ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_security_level(p->ctx, 0);
	SSL_CTX_set_min_proto_version(p->ctx, version);
	SSL_CTX_set_max_proto_version(p->ctx, version);
	if (id != NULL)
	{
		SSL_CTX_use_certificate(p->ctx, id->cert);
		SSL_CTX_use_PrivateKey(p->ctx, id->key);
	}
	p->ssl = SSL_new(p->ctx);
	SSL_set_bio(p->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_connect_state(p->ssl);
	SSL_set_tlsext_host_name(p->ssl, "some.name.example");
	p->piece = 65536;
}

static void
close_peer(Peer * p)
{
	SSL_free(p->ssl);
	SSL_CTX_free(p->ctx);
	close(p->owner.peer);
}

/* What records the server sends. */
static void
watch_records(Peer * p, const char *data, size_t len)
{
	while (len > 0)
	{
		size_t		n = Min(len, p->record_left);

		p->record_left -= n;
		data += n;
		len -= n;
		if (len == 0 || p->record_left > 0)
			continue;
		p->head[p->nhead++] = *data++;
		len--;
		if (p->nhead == 5)
		{
			p->record_left = p->head[3] << 8 | p->head[4];
			p->max_record = Max(p->max_record, (int) p->record_left);
			p->nrecords++;
			p->nhead = 0;
		}
	}
}

/* Carries one piece each way; did anything move? */
static bool
carry(Peer * p)
{
	static char buf[1024 * 1024];
	static char left[1024 * 1024];
	BIO		   *to = SSL_get_wbio(p->ssl);
	bool		moved = false;
	char	   *data;
	long		have = BIO_get_mem_data(to, &data);
	ssize_t		n;

	if (have > 0 && !p->ended)
	{
		n = send(p->owner.peer, data, Min((size_t) have, p->piece), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
		{
			(void) BIO_read(to, left, (int) Min(n, (ssize_t) sizeof(left)));
			moved = true;
		}
	}
	n = p->deaf ? -1 : recv(p->owner.peer, buf, Min(p->piece, sizeof(buf)), MSG_DONTWAIT);
	if (n > 0)
	{
		watch_records(p, buf, n);
		BIO_write(SSL_get_rbio(p->ssl), buf, (int) n);
		moved = true;
	}
	else if (n == 0)
		p->ended = true;
	return moved;
}

/* Until the handshake is done; false: it failed. */
static bool
shake(Peer * p)
{
	for (int i = 0; i < 100000; i++)
	{
		int			rc = SSL_do_handshake(p->ssl);
		int			error = SSL_get_error(p->ssl, rc);

		carry(p);
		turn();
		/* with TLS 1.3 the server is done later than we are */
		if (rc == 1 && (p->owner.conn == NULL || net_conn_tls(p->owner.conn) != NULL))
			break;
		if (rc != 1 && error != SSL_ERROR_WANT_READ)
			break;
		if (p->ended)
			break;
	}
	for (int i = 0; i < 5; i++)
	{
		carry(p);
		turn();
	}
	ERR_clear_error();
	return p->owner.conn != NULL && net_conn_tls(p->owner.conn) != NULL;
}

static void
say(Peer * p, const char *data, size_t len)
{
	size_t		n;

	CHECK_INT(SSL_write_ex(p->ssl, data, len, &n), 1);
	CHECK_INT(n, len);
}

static void
say_frame(Peer * p, const char *text)
{
	char		buf[1024];
	uint32		len = pg_hton32((uint32) strlen(text));

	memcpy(buf, &len, 4);
	memcpy(buf + 4, text, strlen(text));
	say(p, buf, 4 + strlen(text));
}

/* Exactly these bytes come. */
static void
hear(Peer * p, const char *want, size_t len)
{
	char	   *got = pg_malloc(Max(len, 1));
	size_t		have = 0;

	for (int i = 0; i < 3000000 && have < len && !(p->ended && p->owner.conn == NULL); i++)
	{
		size_t		n = 0;

		if (SSL_read_ex(p->ssl, got + have, len - have, &n) != 1)
		{
			carry(p);
			turn();
		}
		have += n;
	}
	ERR_clear_error();
	CHECK_INT(have, len);
	CHECK(have == len && memcmp(got, want, len) == 0);
	free(got);
}

static void
hear_frame(Peer * p, const char *text)
{
	char		buf[1024];
	uint32		len = pg_hton32((uint32) strlen(text));

	memcpy(buf, &len, 4);
	memcpy(buf + 4, text, strlen(text));
	hear(p, buf, 4 + strlen(text));
}

/* One more frame has come. */
static void
until_kept(Peer * p)
{
	for (int i = 0; i < 1000 && nkept == 0; i++)
	{
		carry(p);
		turn();
	}
	if (nkept != 1)
		abort();
}

/* Turns until the connection has ended. */
static void
until_closed(Peer * p)
{
	for (int i = 0; i < 100000 && p->owner.conn != NULL; i++)
	{
		carry(p);
		turn();
	}
	CHECK(p->owner.conn == NULL);
}

#endif							/* TLS_PEER_H */
