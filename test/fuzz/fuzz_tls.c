/*-------------------------------------------------------------------------
 *
 * fuzz_tls.c
 *	  Connections of the net room, with TLS and without: a client does what the
 *	  input says, and its bytes come in pieces, damaged, or are the input's own.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
/* sources: src/net/loop.c src/net/conn.c src/net/conn_state.c src/net/input.c src/net/output.c src/net/tls.c src/net/tls_context.c */

#include "../unit/tls_peer.h"

extern int	LLVMFuzzerInitialize(int *argc, char ***argv);
extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Input
{
	const uint8_t *at;
	size_t		left;
} Input;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	make_all();
	return 0;
}

static uint8_t
next(Input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

/* One bit of what the client has not sent yet. */
static void
damage(Peer * p, uint8_t where)
{
	char	   *data;
	long		len = BIO_get_mem_data(SSL_get_wbio(p->ssl), &data);

	if (len > 0)
		data[where % len] ^= 1 << (where % 8);
}

static void
send_own(Peer * p, Input *in, size_t n)
{
	n = Min(n, in->left);
	(void) send(p->owner.peer, in->at, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	in->at += n;
	in->left -= n;
}

static void
write_frame(Peer * p, uint8_t size)
{
	static char frame[4 + 256 * 200];
	uint32		len = (uint32) size * 200;
	uint32		word = pg_hton32(len);
	size_t		n;

	memcpy(frame, &word, 4);
	(void) SSL_write_ex(p->ssl, frame, 4 + len, &n);
}

static void
step(Peer * p, Input *in)
{
	static char buf[65536];
	uint8_t		what = next(in);
	size_t		n;

	switch (what % 14)
	{
		case 0:
			p->piece = 1 + next(in);
			break;
		case 1:
			p->piece = 65536;
			break;
		case 2:
			(void) SSL_do_handshake(p->ssl);
			break;
		case 3:
			write_frame(p, next(in));
			break;
		case 4:
			damage(p, next(in));
			break;
		case 5:
			send_own(p, in, next(in));
			break;
		case 6:
			(void) SSL_shutdown(p->ssl);
			break;
		case 7:
			(void) SSL_key_update(p->ssl, SSL_KEY_UPDATE_REQUESTED);
			break;
		case 8:
			(void) shutdown(p->owner.peer, SHUT_WR);
			break;
		case 9:
			keep_frames = !keep_frames;
			break;
		case 10:
			answer_kept();
			break;
		case 11:
			if (p->owner.conn != NULL)
				net_conn_hold(p->owner.conn);
			break;
		case 12:
			if (p->owner.conn != NULL)
				net_conn_unhold(p->owner.conn);
			break;
		default:
			(void) SSL_read_ex(p->ssl, buf, sizeof(buf), &n);
	}
	ERR_clear_error();
	(void) carry(p);
	turn();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};
	NetLimits	limits = usual;
	uint8_t		how = next(&in);
	Owner		plain;
	Peer		p;

	limits.inflight_max = 1 + how / 32;
	start(&limits);
	open_peer(&p, context, how % 3, how & 4 ? TLS1_2_VERSION : TLS1_3_VERSION, how & 8 ? &alice : NULL);
	if (how & 16)
	{
		/* all of it, where no TLS is spoken */
		open_pair(&plain);
		(void) send(plain.peer, in.at, Min(in.left, 65536), MSG_NOSIGNAL | MSG_DONTWAIT);
		turns(3);
		close(plain.peer);
	}
	else
		(void) shake(&p);
	while (in.left > 0)
		step(&p, &in);
	close_peer(&p);
	turns(3);
	stop();
	return 0;
}
