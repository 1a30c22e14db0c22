/*-------------------------------------------------------------------------
 *
 * tls.c
 *	  Connections that speak TLS: between frames and the socket.
 *
 * OpenSSL is asked to read and write by a BIO of ours, which never makes it
 * wait: reading gives what the socket has, and writing appends to the
 * connection's "out", which is sent with the next flush.  So a write of
 * OpenSSL is never half done: plain bytes count as sent when they are sealed,
 * whoever owned them has them back, and what the socket does not take is a
 * copy, of bounded size, that knows nothing of messages and sources.
 *
 * Nothing here has to be told what a handshake is: reading makes it, step by
 * step, and gives no bytes until it is done.
 *
 * Siblings: tls_context.c (certificates), input.c and output.c (who calls).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "net/port.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include "net/tls_internal.h"

#define NET_RECORD_BYTES	SSL3_RT_MAX_PLAIN_LENGTH

/*
 * What OpenSSL may want to say by itself (handshake, alerts, new keys) before
 * the other side takes any of it.
 */
#define NET_TLS_REPLY_MAX	(128 * 1024)

/*
 * Bytes that are read from the socket for one call, beyond what was asked for:
 * records without data may not keep us for longer.
 */
#define NET_TLS_EXTRA_BYTES	(64 * 1024)

/* How the input has ended. */
typedef enum TlsEnd
{
	TLS_GOES_ON,
	TLS_CLOSED,					/* in order, or cut off */
	TLS_FAILED
} TlsEnd;

typedef struct NetSecure
{
	SSL		   *ssl;
	bool		established;	/* the handshake is done */
	bool		sealing;		/* in net_tls_seal */
	bool		drained;		/* OpenSSL has no whole record */
	TlsEnd		end;
	int			error;			/* errno of the socket, TLS_FAILED; 0: what
								 * "problem" says */
	bool		eof;			/* the socket has no more */
	size_t		allowance;		/* bytes that the BIO may still read */
	char		problem[128];
	char	   *out;			/* sealed bytes [sent, used) */
	size_t		cap;
	size_t		used;
	size_t		sent;
	NetTlsPeer	peer;
} NetSecure;

static BIO_METHOD * bio_method(void);
static int	bio_read(BIO * bio, char *to, int max);
static int	bio_write(BIO * bio, const char *from, int len);
static long bio_ctrl(BIO * bio, int cmd, long num, void *ptr);
static bool out_room(NetConn *conn, size_t more);
static void out_done(NetConn *conn);
static void out_shrink(NetConn *conn);
static void note_end(NetConn *conn, int ret);
static void note_problem(NetSecure *tls);
static bool take_peer(NetSecure *tls);
static char *subject_text(const X509_NAME *subject);
static char *common_name(const X509_NAME *subject, bool *right);
static bool seal_piece(NetSecure *tls, const char *data, size_t len);

/*
 * The BIO
 */

/* One for all; lives as long as the process. */
static BIO_METHOD *
bio_method(void)
{
	static BIO_METHOD * method;

	if (method == NULL)
	{
		BIO_METHOD *fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");

		if (fresh == NULL || BIO_meth_set_read(fresh, bio_read) != 1 || BIO_meth_set_write(fresh, bio_write) != 1 ||
			BIO_meth_set_ctrl(fresh, bio_ctrl) != 1)
		{
			BIO_meth_free(fresh);
			return NULL;
		}
		method = fresh;
	}
	return method;
}

static int
bio_read(BIO * bio, char *to, int max)
{
	NetConn    *conn = BIO_get_data(bio);
	NetSecure  *tls = conn->tls;
	ssize_t		n;

	BIO_clear_retry_flags(bio);
	if (tls->allowance == 0)
	{
		/* epoll tells again of what is left in the socket */
		BIO_set_retry_read(bio);
		return -1;
	}
	n = recv(conn->watch.fd, to, Min(max, tls->allowance), MSG_DONTWAIT);
	if (n > 0)
		tls->allowance -= n;
	else if (n == 0)
		tls->eof = true;
	else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
		BIO_set_retry_read(bio);
	else
		tls->error = errno;
	return (int) n;
}

/*
 * Takes everything, but not an endless number of answers to somebody who does
 * not read them.
 */
static int
bio_write(BIO * bio, const char *from, int len)
{
	NetConn    *conn = BIO_get_data(bio);
	NetSecure  *tls = conn->tls;

	BIO_clear_retry_flags(bio);
	if (!tls->sealing && tls->used - tls->sent > NET_TLS_REPLY_MAX)
	{
		tls->error = EMSGSIZE;
		return -1;
	}
	if (!out_room(conn, len))
	{
		tls->error = ENOMEM;
		return -1;
	}
	memcpy(tls->out + tls->used, from, len);
	tls->used += len;
	return len;
}

static long
bio_ctrl(BIO * bio, int cmd, long num, void *ptr)
{
	NetConn    *conn = BIO_get_data(bio);

	switch (cmd)
	{
		case BIO_CTRL_FLUSH:
			return 1;
		case BIO_CTRL_EOF:
			return conn->tls->eof;
		default:
			return 0;
	}
}

/*
 * What waits to be sent
 */

/* Buffers grow by half, and one that was large is kept for the next. */
static bool
out_room(NetConn *conn, size_t more)
{
	NetSecure  *tls = conn->tls;
	NetGroup   *group = conn->group;
	size_t		want = tls->used + more;
	char	   *out;

	if (want <= tls->cap)
		return true;
	if (tls->out == NULL && want <= group->spare_out_cap)
	{
		tls->out = group->spare_out;
		tls->cap = group->spare_out_cap;
		group->spare_out = NULL;
		group->spare_out_cap = 0;
		return true;
	}
	want = Max(want, tls->cap / 2 * 3);
	out = realloc(tls->out, want);
	if (out == NULL)
		return false;
	tls->out = out;
	tls->cap = want;
	return true;
}

/* Everything is sent: the memory is for whoever needs it next. */
static void
out_done(NetConn *conn)
{
	NetSecure  *tls = conn->tls;
	NetGroup   *group = conn->group;

	if (tls->cap > group->spare_out_cap)
	{
		free(group->spare_out);
		group->spare_out = tls->out;
		group->spare_out_cap = tls->cap;
	}
	else
		free(tls->out);
	tls->out = NULL;
	tls->cap = tls->used = tls->sent = 0;
}

/* Who is slow keeps what he has not taken, and not much more. */
static void
out_shrink(NetConn *conn)
{
	NetSecure  *tls = conn->tls;
	size_t		left = tls->used - tls->sent;
	char	   *out;

	if (left > tls->cap / 4 * 3)
		return;
	out = malloc(left);
	if (out == NULL)
		return;
	memcpy(out, tls->out + tls->sent, left);
	out_done(conn);
	tls->out = out;
	tls->cap = tls->used = left;
}

void
net_tls_free_spare(NetGroup *group)
{
	free(group->spare_out);
	group->spare_out = NULL;
	group->spare_out_cap = 0;
}

bool
net_tls_unsent(const NetConn *conn)
{
	return conn->tls != NULL && conn->tls->used > conn->tls->sent;
}

size_t
net_tls_unsent_bytes(const NetConn *conn)
{
	return conn->tls->used - conn->tls->sent;
}

/*
 * Sends what waits, as much as the socket takes.  Returns as send(2) does;
 * net_tls_unsent tells whether that was all.
 */
ssize_t
net_tls_send(NetConn *conn)
{
	NetSecure  *tls = conn->tls;
	ssize_t		n = send(conn->watch.fd, tls->out + tls->sent, tls->used - tls->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

	int			save_errno = errno;

	Assert(tls->used > tls->sent);
	if (n > 0)
		tls->sent += n;
	if (tls->sent == tls->used)
		out_done(conn);
	else
		out_shrink(conn);
	errno = save_errno;
	return n;
}

/*
 * The beginning
 */

/*
 * What comes is a handshake.  false: no memory.
 */
bool
net_tls_begin(NetConn *conn, NetTls *context, NetTlsAsk ask)
{
	NetSecure  *tls = calloc(1, sizeof(NetSecure));
	BIO_METHOD *method = bio_method();
	BIO		   *bio = method == NULL ? NULL : BIO_new(method);

	Assert(conn->tls == NULL && conn->life == NET_OPEN && conn->chunk == NULL);
	if (tls != NULL)
		tls->ssl = SSL_new(context);
	if (bio == NULL || tls == NULL || tls->ssl == NULL)
	{
		BIO_free(bio);
		if (tls != NULL)
			SSL_free(tls->ssl);
		free(tls);
		return false;
	}
	conn->tls = tls;
	BIO_set_data(bio, conn);
	BIO_set_init(bio, 1);
	SSL_set_bio(tls->ssl, bio, bio);
	SSL_set_accept_state(tls->ssl);
	if (ask != NET_TLS_ASK_NONE)
		SSL_set_verify(tls->ssl, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE |
					   (ask == NET_TLS_ASK_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
	return true;
}

/* Is the handshake still going on? */
bool
net_tls_shaking(const NetConn *conn)
{
	return conn->tls != NULL && !conn->tls->established;
}

const NetTlsPeer *
net_conn_tls(const NetConn *conn)
{
	return conn->tls != NULL && conn->tls->established ? &conn->tls->peer : NULL;
}

/*
 * A name may hold any bytes: one with a NUL in it would be read as a shorter
 * one by whoever compares it.  NULL with *right: it has none.
 */
static char *
common_name(const X509_NAME *subject, bool *right)
{
	int			at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	unsigned char *text = NULL;
	char	   *name = NULL;
	int			len;

	*right = true;
	if (at < 0)
		return NULL;
	len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	if (len >= 0 && strlen((char *) text) == (size_t) len)
		name = strdup((char *) text);
	*right = name != NULL;
	OPENSSL_free(text);
	return name;
}

/* As RFC 2253 writes it, in UTF-8; NULL: it has a NUL, or no memory. */
static char *
subject_text(const X509_NAME *subject)
{
	BIO		   *bio = BIO_new(BIO_s_mem());
	char	   *text = NULL;
	char	   *data;
	long		len;

	if (bio == NULL)
		return NULL;
	if (X509_NAME_print_ex(bio, subject, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0)
	{
		len = BIO_get_mem_data(bio, &data);
		if (memchr(data, '\0', len) == NULL)
			text = strndup(data, len);
	}
	BIO_free(bio);
	return text;
}

/*
 * The handshake is done: who is it?  A certificate that was not asked for does
 * not come, one that came and is not good has ended the handshake.
 */
static bool
take_peer(NetSecure *tls)
{
	X509	   *cert = SSL_get1_peer_certificate(tls->ssl);
	bool		right = true;

	tls->established = true;
	strlcpy(tls->peer.version, SSL_get_version(tls->ssl), sizeof(tls->peer.version));
	strlcpy(tls->peer.cipher, SSL_get_cipher_name(tls->ssl), sizeof(tls->peer.cipher));
	if (cert == NULL)
		return true;
	Assert(SSL_get_verify_result(tls->ssl) == X509_V_OK);
	tls->peer.common_name = common_name(X509_get_subject_name(cert), &right);
	tls->peer.subject = subject_text(X509_get_subject_name(cert));
	X509_free(cert);
	if (right && tls->peer.subject != NULL)
		return true;
	tls->end = TLS_FAILED;
	snprintf(tls->problem, sizeof(tls->problem), "the subject of its certificate is no text");
	return false;
}

/*
 * Reading
 */

/*
 * Reads at most "max" plain bytes.  As recv(2): 0 is the end, -1 with errno
 * EAGAIN is nothing now, also while the handshake goes on; fewer than max are
 * all that there are.  EPROTO: net_tls_problem says why.  What must be said to
 * the other side waits to be sent afterwards.
 */
ssize_t
net_tls_receive(NetConn *conn, char *to, size_t max)
{
	NetSecure  *tls = conn->tls;
	size_t		got = 0;

	tls->allowance = max + NET_TLS_EXTRA_BYTES;
	while (got < max && tls->end == TLS_GOES_ON)
	{
		size_t		n = 0;
		int			ret;

		ERR_clear_error();
		tls->drained = false;
		ret = SSL_read_ex(tls->ssl, to + got, max - got, &n);
		if (!tls->established && SSL_is_init_finished(tls->ssl) && !take_peer(tls))
			break;
		got += n;
		if (ret == 1)
			continue;
		note_end(conn, ret);
		if (tls->drained)
			break;
	}
	if (got > 0)
		return (ssize_t) got;
	if (tls->end == TLS_CLOSED)
		return 0;
	errno = tls->end == TLS_GOES_ON ? EAGAIN : tls->error != 0 ? tls->error : EPROTO;
	return -1;
}

/* Reading gave no byte: is it the end? */
static void
note_end(NetConn *conn, int ret)
{
	NetSecure  *tls = conn->tls;

	switch (SSL_get_error(tls->ssl, ret))
	{
		case SSL_ERROR_WANT_READ:
			tls->drained = true;
			return;
		case SSL_ERROR_ZERO_RETURN:
			tls->end = TLS_CLOSED;
			return;
		default:
			if (tls->eof && tls->error == 0)
				tls->end = TLS_CLOSED;
			else
			{
				tls->end = TLS_FAILED;
				if (tls->error == 0)
					note_problem(tls);
			}
			ERR_clear_error();
	}
}

static void
note_problem(NetSecure *tls)
{
	long		verified = SSL_get_verify_result(tls->ssl);
	unsigned long code = ERR_peek_error();
	const char *text = net_tls_error_text();

	if (tls->established)
		snprintf(tls->problem, sizeof(tls->problem), "TLS failed: %s", text);
	else if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		snprintf(tls->problem, sizeof(tls->problem), "its certificate is refused: %s",
				 X509_verify_cert_error_string(verified));
	else
		snprintf(tls->problem, sizeof(tls->problem), "TLS handshake failed: %s", text);
}

const char *
net_tls_problem(const NetConn *conn)
{
	return conn->tls->problem[0] != '\0' ? conn->tls->problem : "TLS failed";
}

/*
 * Is there something to be read of which the socket will not tell, as it is
 * out of it already?
 */
bool
net_tls_pending(const NetConn *conn)
{
	const NetSecure *tls = conn->tls;

	if (tls == NULL)
		return false;
	return tls->end != TLS_GOES_ON || (!tls->drained && SSL_has_pending(tls->ssl));
}

/*
 * The connection is not read now: has the other side ended it?  Takes from the
 * socket what stands before the next plain byte, and that stays to be read.
 */
bool
net_tls_ended(NetConn *conn)
{
	NetSecure  *tls = conn->tls;

	if (tls->end == TLS_GOES_ON && tls->established)
	{
		char		byte;
		size_t		n;
		int			ret;

		tls->allowance = NET_TLS_EXTRA_BYTES;
		ERR_clear_error();
		tls->drained = false;
		ret = SSL_peek_ex(tls->ssl, &byte, 1, &n);
		if (ret != 1)
			note_end(conn, ret);
	}
	return tls->end == TLS_CLOSED;
}

/*
 * Writing
 */

/* Whole records, but for the last. */
static bool
seal_piece(NetSecure *tls, const char *data, size_t len)
{
	size_t		n;

	ERR_clear_error();
	if (SSL_write_ex(tls->ssl, data, len, &n) == 1)
	{
		Assert(n == len);
		return true;
	}
	if (tls->error == 0)
		note_problem(tls);
	else
		snprintf(tls->problem, sizeof(tls->problem), "could not send: %s", strerror(tls->error));
	tls->end = TLS_FAILED;
	return false;
}

/*
 * Seals the first NET_SEAL_MAX bytes of the pieces, and has them wait to be
 * sent.  Small pieces become whole records by being copied together; large
 * ones are taken as they are.  Returns how many bytes that were, 0:
 * net_tls_problem says why.
 */
size_t
net_tls_seal(NetConn *conn, const struct iovec *iov, int n)
{
	NetSecure  *tls = conn->tls;
	char		record[NET_RECORD_BYTES];
	size_t		in_record = 0;
	size_t		total = 0;
	bool		right = tls->end != TLS_FAILED;

	Assert(tls->established && !net_tls_unsent(conn));
	tls->sealing = true;
	for (int i = 0; i < n && right && total < NET_SEAL_MAX; i++)
	{
		const char *data = iov[i].iov_base;
		size_t		left = Min(iov[i].iov_len, NET_SEAL_MAX - total);

		total += left;
		while (left > 0 && right)
		{
			size_t		take = left - left % NET_RECORD_BYTES;

			if (in_record == 0 && take > 0)
				right = seal_piece(tls, data, take);
			else
			{
				take = Min(left, NET_RECORD_BYTES - in_record);
				memcpy(record + in_record, data, take);
				in_record += take;
				if (in_record == NET_RECORD_BYTES)
				{
					right = seal_piece(tls, record, in_record);
					in_record = 0;
				}
			}
			data += take;
			left -= take;
		}
	}
	if (right && in_record > 0)
		right = seal_piece(tls, record, in_record);
	tls->sealing = false;
	return right ? total : 0;
}

/*
 * The end
 */

/*
 * The connection is about to be closed: tells the other side, if it is ready
 * to hear it, that nothing more comes, or why its handshake failed.
 */
void
net_tls_say_goodbye(NetConn *conn)
{
	NetSecure  *tls = conn->tls;

	if (tls->established && tls->end != TLS_FAILED && !net_tls_unsent(conn))
	{
		ERR_clear_error();
		(void) SSL_shutdown(tls->ssl);
		ERR_clear_error();
	}
	if (net_tls_unsent(conn))
		(void) net_tls_send(conn);
}

void
net_tls_drop(NetConn *conn)
{
	NetSecure  *tls = conn->tls;

	if (tls == NULL)
		return;
	SSL_free(tls->ssl);
	free(tls->out);
	free(tls->peer.common_name);
	free(tls->peer.subject);
	free(tls);
	conn->tls = NULL;
}
