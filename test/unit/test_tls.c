/*-------------------------------------------------------------------------
 *
 * test_tls.c
 *	  Connections with TLS over socket pairs: an echo handler at one end, an
 *	  OpenSSL client at the other whose bytes go through our hands.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
/* sources: src/net/loop.c src/net/conn.c src/net/conn_state.c src/net/input.c src/net/output.c src/net/tls.c src/net/tls_context.c */

#include "tls_peer.h"

/*
 * Tests.
 */

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* A group, and a peer whose handshake is done. */
static void
start_with(Peer *p)
{
	start(&usual);
	open_peer(p, context, NET_TLS_ASK_NONE, TLS1_3_VERSION, NULL);
	CHECK(shake(p));
}

/* The peer asks for something, and its frame is kept until it is answered. */
static void
ask_and_keep(Peer *p)
{
	keep_frames = true;
	say_frame(p, "give");
	until_kept(p);
}

static void
test_echo(void)
{
	for (int v = 0; v < lengthof(versions); v++)
	{
		Peer		p;
		const NetTlsPeer *peer;

		start(&usual);
		open_peer(&p, context, NET_TLS_ASK_NONE, versions[v], NULL);
		CHECK(net_conn_tls(p.owner.conn) == NULL);
		CHECK(shake(&p));
		peer = net_conn_tls(p.owner.conn);
		CHECK(peer != NULL && strcmp(peer->version, v == 0 ? "TLSv1.2" : "TLSv1.3") == 0);
		CHECK(peer != NULL && strstr(peer->cipher, "AES") != NULL);
		CHECK(peer != NULL && peer->common_name == NULL && peer->subject == NULL);
		say_frame(&p, "one");
		say_frame(&p, "");
		say_frame(&p, "three");
		hear_frame(&p, "one");
		hear_frame(&p, "");
		hear_frame(&p, "three");
		CHECK_INT(nframes, 3);
		CHECK_INT(net_group_input_bytes(group), 0);
		/* an end in order is one, without any reason */
		SSL_shutdown(p.ssl);
		until_closed(&p);
		carry(&p);
		CHECK_INT(SSL_shutdown(p.ssl), 1);	/* it has said goodbye, too */
		CHECK(p.owner.reason[0] == '\0');
		close_peer(&p);
		stop();
	}
}

/* Every byte on its own, both ways. */
static void
test_byte_by_byte(void)
{
	for (int v = 0; v < lengthof(versions); v++)
	{
		Peer		p;

		start(&usual);
		open_peer(&p, context, NET_TLS_ASK_REQUIRED, versions[v], &alice);
		p.piece = 1;
		CHECK(shake(&p));
		for (int i = 0; i < 3; i++)
		{
			say_frame(&p, "some bytes, one after the other");
			hear_frame(&p, "some bytes, one after the other");
		}
		close_peer(&p);
		turns(3);
		CHECK(p.owner.conn == NULL && p.owner.reason[0] == '\0');
		stop();
	}
}

/* Frames of all sizes in records of all sizes, in pieces of all sizes. */
static void
test_streams(void)
{
	uint64		seed = 77;

	for (int round = 0; round < 4; round++)
	{
		size_t		len = 0;
		size_t		said = 0;
		size_t		heard = 0;
		char	   *data = pg_malloc(8 * 1024 * 1024);
		char	   *got = pg_malloc(8 * 1024 * 1024);
		Peer		p;

		while (len < 3 * 1024 * 1024)
		{
			uint32		n = test_random(&seed) % (seed % 7 == 0 ? 900000 : 3000);
			uint32		word = pg_hton32(n);

			memcpy(data + len, &word, 4);
			for (uint32 i = 0; i < n; i++)
				data[len + 4 + i] = (char) (i * 7 + n);
			len += 4 + n;
		}
		start(&usual);
		open_peer(&p, context, NET_TLS_ASK_NONE, versions[round % 2], NULL);
		CHECK(shake(&p));
		for (int i = 0; i < 1000000 && heard < len && p.owner.conn != NULL; i++)
		{
			size_t		n = 1 + test_random(&seed) % 40000;

			p.piece = 1 + test_random(&seed) % (i % 50 == 0 ? 400000 : 20000);
			if (said < len && BIO_ctrl_pending(SSL_get_wbio(p.ssl)) < 100000)
			{
				n = Min(n, len - said);
				say(&p, data + said, n);
				said += n;
			}
			carry(&p);
			if (i % 3 == 0)
				turn();
			n = 0;
			(void) SSL_read_ex(p.ssl, got + heard, len - heard, &n);
			ERR_clear_error();
			heard += n;
		}
		CHECK_INT(heard, len);
		CHECK(heard == len && memcmp(got, data, len) == 0);
		free(data);
		free(got);
		close_peer(&p);
		stop();
	}
}

/* What is no handshake ends the connection, with a reason. */
static void
test_garbage(void)
{
	static const char request[] = {0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0, 0};
	uint64		seed = 5;
	Peer		p;

	for (int i = 0; i < 200; i++)
	{
		char		bytes[600];
		size_t		n = 11 + test_random(&seed) % 500;

		for (size_t j = 0; j < n; j++)
			bytes[j] = (char) test_random(&seed);
		if (i % 2 == 0)
			memcpy(bytes, "\x16\x03\x01\x01\x00", 5);
		start(&usual);
		open_peer(&p, context, NET_TLS_ASK_REQUIRED, TLS1_3_VERSION, NULL);
		CHECK_INT(send(p.owner.peer, i == 1 ? request : bytes, i == 1 ? sizeof(request) : n, MSG_NOSIGNAL),
				  i == 1 ? sizeof(request) : n);
		turns(3);
		if (i % 2 != 0)
		{
			CHECK(p.owner.conn == NULL);
			CHECK(strncmp(p.owner.reason, "TLS handshake failed: ", 22) == 0);
		}
		close_peer(&p);
		turns(3);
		CHECK(p.owner.conn == NULL);
		CHECK_INT(nframes, 0);
		stop();
	}
}

/* The client's first flight, cut off or damaged anywhere. */
static void
test_damaged_hello(void)
{
	uint64		seed = 9;

	for (int i = 0; i < 300; i++)
	{
		Peer		p;
		char	   *hello;
		long		len;
		char		bytes[2048];

		start(&usual);
		open_peer(&p, context, NET_TLS_ASK_NONE, versions[i % 2], NULL);
		(void) SSL_do_handshake(p.ssl);
		len = BIO_get_mem_data(SSL_get_wbio(p.ssl), &hello);
		CHECK(len > 50 && len < (long) sizeof(bytes));
		memcpy(bytes, hello, len);
		if (i % 3 == 0)
			len = test_random(&seed) % len;
		else
			bytes[test_random(&seed) % len] ^= 1 << test_random(&seed) % 8;
		CHECK_INT(send(p.owner.peer, bytes, len, MSG_NOSIGNAL), len);
		turns(3);
		close_peer(&p);
		turns(3);
		CHECK(p.owner.conn == NULL);
		if (i % 3 == 0)
			CHECK(p.owner.reason[0] == '\0');	/* who leaves, leaves */
		CHECK_INT(nframes, 0);
		stop();
	}
}

/* A record that is changed on its way, or cut off. */
static void
test_damaged_record(void)
{
	for (int v = 0; v < lengthof(versions); v++)
	{
		Peer		p;
		char	   *data;
		long		len;

		start(&usual);
		open_peer(&p, context, NET_TLS_ASK_NONE, versions[v], NULL);
		CHECK(shake(&p));
		say_frame(&p, "will be damaged");
		len = BIO_get_mem_data(SSL_get_wbio(p.ssl), &data);
		data[len - 3] ^= 0x20;
		CHECK_INT(send(p.owner.peer, data, len, MSG_NOSIGNAL), len);
		turns(2);
		CHECK(p.owner.conn == NULL && strncmp(p.owner.reason, "TLS failed: ", 12) == 0);
		CHECK_INT(nframes, 0);
		close_peer(&p);
		stop();

		start(&usual);
		open_peer(&p, context, NET_TLS_ASK_NONE, versions[v], NULL);
		CHECK(shake(&p));
		say_frame(&p, "will be cut off");
		len = BIO_get_mem_data(SSL_get_wbio(p.ssl), &data);
		CHECK_INT(send(p.owner.peer, data, len - 1, MSG_NOSIGNAL), len - 1);
		turns(2);
		CHECK(p.owner.conn != NULL);
		close_peer(&p);
		turns(2);
		CHECK(p.owner.conn == NULL && p.owner.reason[0] == '\0');
		CHECK_INT(nframes, 0);
		stop();
	}
}

/*
 * A source of pages whose memory is another for every map, as a log's buffers
 * are.
 */
typedef struct Pages
{
	NetSource	base;
	uint64		at;				/* bytes that are gone */
	uint64		mapped;
	uint64		size;
	char	   *memory;
	size_t		memory_size;
	int			nothing_every;	/* maps that have nothing yet */
	int			maps;
	bool		spoilt;			/* used says so */
}			Pages;

static char
page_byte(uint64 at)
{
	return (char) (at * 31 + at / 4099);
}

static int
pages_map(NetSource *base, struct iovec *iov, int n, size_t *bytes)
{
	Pages	   *s = (Pages *) base;
	uint64		from = s->at + s->mapped;
	int			i;

	if (s->nothing_every > 0 && ++s->maps % s->nothing_every == 0)
		return 0;
	if (s->mapped == 0)
	{
		free(s->memory);
		s->memory_size = Min(s->size - s->at, 2 * 1024 * 1024);
		s->memory = pg_malloc(s->memory_size);
		for (size_t j = 0; j < s->memory_size; j++)
			s->memory[j] = page_byte(s->at + j);
	}
	for (i = 0; i < n && from < s->at + s->memory_size; i++)
	{
		size_t		len = Min(8152 - from % 8152, s->at + s->memory_size - from);

		iov[i].iov_base = s->memory + (from - s->at);
		iov[i].iov_len = len;
		from += len;
	}
	*bytes = from - s->at - s->mapped;
	s->mapped += *bytes;
	return i;
}

static bool
pages_used(NetSource *base, size_t sent)
{
	Pages	   *s = (Pages *) base;

	CHECK(sent <= s->mapped);
	s->at += sent;
	s->mapped = 0;
	free(s->memory);
	s->memory = NULL;
	s->memory_size = 0;
	return !s->spoilt;
}

static int	nsent;
static int	nlost;

static void
pages_sent(NetMessage *message, bool ok)
{
	if (ok)
		nsent++;
	else
		nlost++;
}

/* An answer of head, pages, tail, to the frame that was kept. */
static void
answer_with(Pages * source, NetMessage *message, NetPiece *pieces, uint64 size)
{
	Answer	   *answer = kept[--nkept];

	memset(source, 0, sizeof(*source));
	memset(message, 0, sizeof(*message));
	memset(pieces, 0, 3 * sizeof(NetPiece));
	source->base.map = pages_map;
	source->base.used = pages_used;
	source->size = size;
	pieces[0].data = "head";
	pieces[0].len = 4;
	pieces[1].source = &source->base;
	pieces[1].len = size;
	pieces[2].data = "tail";
	pieces[2].len = 4;
	message->pieces = pieces;
	message->npieces = 3;
	message->sent = pages_sent;
	nsent = nlost = 0;
	net_frame_release(&answer->frame);
	net_conn_send(answer->conn, message);
	free(answer);
}

static void
hear_pages(Peer * p, uint64 size)
{
	static char buf[100000];
	uint64		have = 0;
	bool		right = true;

	hear(p, "head", 4);
	for (int i = 0; i < 1000000 && have < size && p->owner.conn != NULL; i++)
	{
		size_t		n = 0;

		if (SSL_read_ex(p->ssl, buf, Min(sizeof(buf), size - have), &n) != 1)
		{
			carry(p);
			turn();
		}
		for (size_t j = 0; j < n; j++)
			right = right && buf[j] == page_byte(have + j);
		have += n;
	}
	ERR_clear_error();
	CHECK_INT(have, size);
	CHECK(right);
	hear(p, "tail", 4);
}

/* Pages that are elsewhere in memory each time, to readers of all kinds. */
static void
test_sources(void)
{
	for (int round = 0; round < 4; round++)
	{
		const uint64 size = 10 * 1024 * 1024 + 77;
		Pages		source;
		NetMessage	message;
		NetPiece	pieces[3];
		Peer		p;

		start(&usual);
		open_peer(&p, context, NET_TLS_ASK_NONE, versions[round % 2], NULL);
		CHECK(shake(&p));
		keep_frames = true;
		say_frame(&p, "give");
		until_kept(&p);
		answer_with(&source, &message, pieces, size);
		if (round >= 2)
			source.nothing_every = 3;
		p.piece = round == 1 ? 3000 : 500000;
		p.nrecords = p.max_record = 0;
		hear_pages(&p, size);
		CHECK_INT(nsent, 1);
		/* records are full, though pages are half as large */
		CHECK(p.max_record >= 16384);
		if (round == 0)
			CHECK(p.nrecords < size / 16384 * 5 / 4);
		close_peer(&p);
		turns(2);
		CHECK(p.owner.conn == NULL);
		stop();
	}
}

/*
 * Who does not read holds up himself, at the cost of one batch of sealed bytes;
 * what he has not taken is lost with him.
 */
static void
test_deaf(void)
{
	const uint64 size = 100 * 1024 * 1024;
	Pages		source;
	NetMessage	message;
	NetPiece	pieces[3];
	Peer		p;

	start_with(&p);
	ask_and_keep(&p);
	answer_with(&source, &message, pieces, size);
	p.deaf = true;
	turns(1000);
	CHECK(source.at > 0 && source.at < 3 * 1024 * 1024);
	CHECK(source.memory == NULL);	/* nothing is mapped meanwhile */
	CHECK_INT(nsent, 0);
	close_peer(&p);
	turns(3);
	CHECK(p.owner.conn == NULL);
	CHECK_INT(nlost, 1);
	stop();
}

/* What was sealed turns out to be wrong: the connection ends. */
static void
test_spoilt(void)
{
	Pages		source;
	NetMessage	message;
	NetPiece	pieces[3];
	Peer		p;

	start_with(&p);
	ask_and_keep(&p);
	answer_with(&source, &message, pieces, 1024 * 1024);
	source.spoilt = true;
	turns(3);
	CHECK(p.owner.conn == NULL && strstr(p.owner.reason, "removed meanwhile") != NULL);
	CHECK_INT(nlost, 1);
	close_peer(&p);
	stop();
}

/* Many frames in one record, few at a time: no event tells of the others. */
static void
test_pending(void)
{
	NetLimits	one = usual;
	Peer		p;

	one.inflight_max = 1;
	start(&one);
	open_peer(&p, context, NET_TLS_ASK_NONE, TLS1_3_VERSION, NULL);
	CHECK(shake(&p));
	keep_frames = true;
	for (int i = 0; i < 300; i++)
	{
		char text[	400];

		memset(text, 'a' + i % 26, sizeof(text) - 1);
		text[		sizeof(text) - 1] = '\0';

		say_frame(&p, text);
	}
	while (carry(&p))
		;
	for (int i = 0; i < 300; i++)
	{
		for (int j = 0; j < 10 && nkept == 0; j++)
		{
			turn();
			/* the socket does not hold them all; at the end it is silent */
			if (i < 200)
				carry(&p);
		}
		CHECK_INT(nkept, 1);
		CHECK(nkept == 1 && kept[0]->frame.data[0] == 'a' + i % 26);
		if (nkept == 1)
			answer_kept();
	}
	/* the last ones, while the connection is held; then the end */
	say_frame(&p, "held");
	SSL_shutdown(p.ssl);
	net_conn_hold(p.owner.conn);
	while (carry(&p))
		;
	turns(5);
	CHECK_INT(nkept, 0);
	net_conn_unhold(p.owner.conn);
	turns(5);
	CHECK_INT(nkept, 1);
	answer_kept();
	until_closed(&p);
	CHECK(p.owner.reason[0] == '\0');
	close_peer(&p);
	stop();
}

/* A client that has nothing more to say gets its answers. */
static void
test_half_close(void)
{
	Peer		p;

	start_with(&p);
	keep_frames = true;
	say_frame(&p, "last words");
	SSL_shutdown(p.ssl);
	for (int i = 0; i < 5; i++)
	{
		carry(&p);
		turn();
	}
	CHECK_INT(nkept, 1);
	CHECK(p.owner.conn != NULL);
	answer_kept();
	hear_frame(&p, "last words");
	until_closed(&p);
	close_peer(&p);
	stop();
}

/*
 * A client that leaves in order while it is held, muted or at a limit is
 * noticed, and so is one whose last words come together with its end.
 */
static void
test_leaving(void)
{
	for (int i = 0; i < 8; i++)
	{
		NetLimits	limits = usual;
		Peer		p;

		SAY("case %d, TLS 1.%d", i / 2, i % 2 + 2);
		limits.inflight_max = 1;
		start(i / 2 == 2 ? &limits : &usual);
		open_peer(&p, context, NET_TLS_ASK_NONE, versions[i % 2], NULL);
		CHECK(shake(&p));
		keep_frames = true;
		say_frame(&p, "fetch");
		if (i / 2 < 3)
			until_kept(&p);
		if (i / 2 == 0)
			net_conn_hold(p.owner.conn);
		else if (i / 2 == 1)
			net_conn_mute(p.owner.conn);
		turns(3);
		CHECK(!p.owner.half_closed);
		SSL_shutdown(p.ssl);
		while (carry(&p))
			;
		shutdown(p.owner.peer, SHUT_WR);
		turns(3);
		CHECK(p.owner.half_closed);
		CHECK(p.owner.conn != NULL);
		CHECK_INT(nkept, 1);
		answer_kept();
		hear_frame(&p, "fetch");
		until_closed(&p);
		CHECK(p.owner.reason[0] == '\0');
		close_peer(&p);
		stop();
	}
}

/*
 * What was sent behind is seen before the end, and is not lost by looking for
 * it; nor are new keys that come meanwhile.
 */
static void
test_looking_ahead(void)
{
	Peer		p;

	start_with(&p);
	net_conn_hold(p.owner.conn);
	CHECK_INT(SSL_key_update(p.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
	say_frame(&p, "behind");
	say_frame(&p, "further behind");
	while (carry(&p))
		;
	turns(3);
	CHECK(!p.owner.half_closed);
	CHECK_INT(nframes, 0);
	net_conn_unhold(p.owner.conn);
	hear_frame(&p, "behind");
	hear_frame(&p, "further behind");
	close_peer(&p);
	turns(3);
	CHECK(p.owner.conn == NULL);
	stop();
}

/* One that is ready finds memory short when its socket is readable again. */
static void
test_short_memory(void)
{
	static char big[200000];
	NetLimits	limits = usual;
	Owner		eater;
	Peer		p;
	uint32		len = pg_hton32(sizeof(big) - 4);

	limits.input_bytes_max = 100000;
	limits.frame_bytes_max = 300000;
	limits.inflight_max = 2;
	start(&limits);
	open_pair(&eater);
	open_peer(&p, context, NET_TLS_ASK_NONE, TLS1_3_VERSION, NULL);
	CHECK(shake(&p));
	/* a large request has begun, and in work is as much as may be */
	keep_frames = true;
	say_frame(&p, "one");
	say_frame(&p, "two");
	memcpy(big, &len, 4);
	say(&p, big, 100000);
	for (int i = 0; i < 100; i++)
	{
		carry(&p);
		turn();
	}
	CHECK_INT(nkept, 2);
	/* another has all the memory */
	for (size_t sent = 0; sent < sizeof(big);)
	{
		ssize_t		n = send(eater.peer, big + sent, sizeof(big) - sent, MSG_NOSIGNAL);

		sent += Max(n, 0);
		turn();
	}
	CHECK_INT(nkept, 3);
	say(&p, big + 100000, 100000);
	while (carry(&p))
		;
	for (int i = 0; i < nkept; i++)
	{
		if (kept[i]->conn != p.owner.conn)
			continue;
		echo(kept[i]);
		kept[i--] = kept[--nkept];
	}
	for (int i = 0; i < 100; i++)
	{
		carry(&p);
		turn();
	}
	CHECK(p.owner.conn != NULL);
	answer_kept();
	for (int i = 0; i < 1000 && nkept == 0; i++)
	{
		static char sink[300000];

		(void) !recv(eater.peer, sink, sizeof(sink), 0);
		carry(&p);
		turn();
	}
	CHECK_INT(nkept, 1);
	CHECK(nkept == 1 && kept[0]->conn == p.owner.conn && kept[0]->frame.len == sizeof(big) - 4);
	close(eater.peer);
	close_peer(&p);
	stop();
}

/* Who he is, as far as he is asked. */
static void
test_certificates(void)
{
	static const struct
	{
		NetTlsAsk	ask;
		const		Identity *id;
		const char *refused;	/* NULL: not */
		const char *name;
	}			cases[] = {
		{NET_TLS_ASK_NONE, &alice, NULL, NULL},
		{NET_TLS_ASK_NONE, &stranger, NULL, NULL},
		{NET_TLS_ASK_REQUESTED, NULL, NULL, NULL},
		{NET_TLS_ASK_REQUESTED, &alice, NULL, "alice"},
		{NET_TLS_ASK_REQUESTED, &stranger, "its certificate is refused: unable to get local issuer", NULL},
		{NET_TLS_ASK_REQUESTED, &expired, "its certificate is refused: certificate has expired", NULL},
		{NET_TLS_ASK_REQUIRED, NULL, "TLS handshake failed: peer did not return a certificate", NULL},
		{NET_TLS_ASK_REQUIRED, &alice, NULL, "alice"},
		{NET_TLS_ASK_REQUIRED, &revoked, "its certificate is refused: certificate revoked", NULL},
		{NET_TLS_ASK_REQUIRED, &odd, "the subject of its certificate is no text", NULL},
	};
	NetTlsSettings s = usual_settings();
	char		crl[256];
	NetTls	   *strict;

	strcpy(crl, path("ca.crl"));
	s.crl_file = crl;
	strict = create(&s);
	for (int i = 0; i < lengthof(cases) * 2; i++)
	{
		Peer		p;
		bool		good;

		SAY("case %d, TLS 1.%d", i / 2, i % 2 + 2);
		start(&usual);
		open_peer(&p, strict, cases[i / 2].ask, versions[i % 2], cases[i / 2].id);
		good = shake(&p);
		CHECK(good == (cases[i / 2].refused == NULL));
		if (good)
		{
			const NetTlsPeer *peer = net_conn_tls(p.owner.conn);

			CHECK((peer->common_name != NULL) == (cases[i / 2].name != NULL));
			CHECK((peer->subject != NULL) == (cases[i / 2].name != NULL));
			if (cases[i / 2].name != NULL && peer->subject != NULL)
			{
				CHECK(strcmp(peer->common_name, cases[i / 2].name) == 0);
				CHECK(strcmp(peer->subject, "CN=alice,O=Tests") == 0);
			}
			say_frame(&p, "hello");
			hear_frame(&p, "hello");
		}
		else
		{
			CHECK(p.owner.conn == NULL);
			SAY("case %d: %s", i / 2, p.owner.reason);
			CHECK(cases[i / 2].refused != NULL &&
				  strncmp(p.owner.reason, cases[i / 2].refused, strlen(cases[i / 2].refused)) == 0);
		}
		close_peer(&p);
		stop();
	}
	net_tls_free(strict);
}

/* What is never spoken. */
static void
test_old_protocols(void)
{
	static const int old[] = {TLS1_VERSION, TLS1_1_VERSION};
	NetTlsSettings s = usual_settings();
	NetTls	   *only_13;
	Peer		p;

	s.min_version = TLS1_VERSION;	/* is not taken at its word */
	only_13 = create(&s);
	for (int i = 0; i < lengthof(old); i++)
	{
		start(&usual);
		open_peer(&p, only_13, NET_TLS_ASK_NONE, old[i], NULL);
		CHECK(!shake(&p));
		CHECK(p.owner.conn == NULL && strncmp(p.owner.reason, "TLS handshake failed: ", 22) == 0);
		close_peer(&p);
		stop();
	}
	net_tls_free(only_13);
	s.min_version = NET_TLS_1_3;
	only_13 = create(&s);
	start(&usual);
	open_peer(&p, only_13, NET_TLS_ASK_NONE, TLS1_2_VERSION, NULL);
	CHECK(!shake(&p));
	close_peer(&p);
	open_peer(&p, only_13, NET_TLS_ASK_NONE, TLS1_3_VERSION, NULL);
	CHECK(shake(&p));
	close_peer(&p);
	stop();
	net_tls_free(only_13);
}

/* Renegotiation is refused; no session is kept. */
static void
test_renegotiation(void)
{
	Peer		p;

	start(&usual);
	open_peer(&p, context, NET_TLS_ASK_NONE, TLS1_2_VERSION, NULL);
	CHECK(shake(&p));
	CHECK(SSL_SESSION_has_ticket(SSL_get0_session(p.ssl)) == 0);
	CHECK_INT(SSL_renegotiate(p.ssl), 1);
	(void) SSL_do_handshake(p.ssl);
	for (int i = 0; i < 20; i++)
	{
		carry(&p);
		turn();
	}
	(void) SSL_do_handshake(p.ssl);
	CHECK(!SSL_is_init_finished(p.ssl) || SSL_in_before(p.ssl) || p.owner.conn == NULL);
	ERR_clear_error();
	close_peer(&p);
	stop();
}

/* New keys are fine; asking for them without reading the answers is not. */
static void
test_key_updates(void)
{
	Peer		p;

	start_with(&p);
	for (int i = 0; i < 10; i++)
	{
		CHECK_INT(SSL_key_update(p.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		say_frame(&p, "with new keys");
		hear_frame(&p, "with new keys");
	}
	p.deaf = true;
	for (int i = 0; i < 200000 && p.owner.conn != NULL; i++)
	{
		(void) SSL_key_update(p.ssl, SSL_KEY_UPDATE_REQUESTED);
		(void) SSL_do_handshake(p.ssl);
		ERR_clear_error();
		if (i % 16 == 0)
		{
			carry(&p);
			turn();
		}
	}
	CHECK(p.owner.conn == NULL && p.owner.reason[0] != '\0');
	close_peer(&p);
	stop();
}

/* TLS where none is spoken. */
static void
test_plain_listener(void)
{
	Peer		p;
	Owner		o;
	char	   *hello;
	long		len;

	start(&usual);
	open_peer(&p, context, NET_TLS_ASK_NONE, TLS1_3_VERSION, NULL);
	(void) SSL_do_handshake(p.ssl);
	len = BIO_get_mem_data(SSL_get_wbio(p.ssl), &hello);
	open_pair(&o);
	CHECK_INT(send(o.peer, hello, len, MSG_NOSIGNAL), len);
	turns(3);
	CHECK(o.conn == NULL && strstr(o.reason, "it speaks TLS") == o.reason);
	close(o.peer);
	close_peer(&p);
	stop();
}

/* A handshake that stands still ends; a new context leaves old ones alone. */
static void
test_deadline_and_reload(void)
{
	NetLimits	quick = usual;
	NetTlsSettings s = usual_settings();
	NetTls	   *first = create(&s);
	Peer		p;
	Peer		q;

	quick.handshake_us = 1000;
	start(&quick);
	open_peer(&p, first, NET_TLS_ASK_NONE, TLS1_3_VERSION, NULL);
	while (p.owner.conn != NULL)
	{
		CHECK(net_loop_timeout_ms(loop) <= 1000);
		(void) net_loop_poll(loop, net_loop_timeout_ms(loop));
		turn();
	}
	CHECK(strstr(p.owner.reason, "its TLS handshake took longer") == p.owner.reason);
	close_peer(&p);
	stop();
	start(&usual);
	open_peer(&p, first, NET_TLS_ASK_NONE, TLS1_3_VERSION, NULL);
	CHECK(shake(&p));
	open_peer(&q, first, NET_TLS_ASK_NONE, TLS1_3_VERSION, NULL);
	net_tls_free(first);
	CHECK(shake(&q));			/* had begun */
	say_frame(&p, "still here");
	hear_frame(&p, "still here");
	close_peer(&p);
	close_peer(&q);
	stop();
}

/* Many handshakes at once: not all in one turn, but all. */
static void
test_many(void)
{
	static Peer peers[60];
	int			done = 0;

	start(&usual);
	for (int i = 0; i < lengthof(peers); i++)
	{
		open_peer(&peers[i], context, NET_TLS_ASK_NONE, TLS1_3_VERSION, NULL);
		(void) SSL_do_handshake(peers[i].ssl);
		carry(&peers[i]);
	}
	turn();
	for (int i = 0; i < lengthof(peers); i++)
	{
		carry(&peers[i]);
		done += SSL_do_handshake(peers[i].ssl) == 1;
	}
	ERR_clear_error();
	CHECK(done > 0 && done < lengthof(peers) / 2);
	for (int i = 0; i < lengthof(peers); i++)
	{
		CHECK(shake(&peers[i]));
		close_peer(&peers[i]);
	}
	stop();
}

static int
passphrase(char *buf, int size)
{
	snprintf(buf, size, "open sesame");
	return (int) strlen(buf);
}

static int
wrong_passphrase(char *buf, int size)
{
	snprintf(buf, size, "open pepper");
	return (int) strlen(buf);
}

static void
refused(const NetTlsSettings *s, const char *what)
{
	char		problem[256] = "";
	NetTls	   *tls = net_tls_create(s, problem, sizeof(problem));

	SAY("%s", problem);
	CHECK(tls == NULL);
	CHECK(strstr(problem, what) != NULL);
	if (tls != NULL)
		net_tls_free(tls);
}

/* Files and lists that make no sense. */
static void
test_settings(void)
{
	NetTlsSettings s = usual_settings();
	const NetTlsSettings good = s;
	char		name[256];

	strcpy(name, path("no.such.file"));
	s.cert_file = name;
	refused(&s, "could not load the certificate");
	refused(&s, "No such file or directory");
	s = good;
	s.key_file = name;
	refused(&s, "could not load the private key");
	s = good;
	s.ca_file = name;
	refused(&s, "could not load the certificates of");
	s = good;
	s.crl_file = name;
	refused(&s, "could not load the revocation list");
	s = good;
	s.dh_file = name;
	refused(&s, "could not open the file");
	write_text("garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	strcpy(name, path("garbage"));
	s = good;
	s.cert_file = name;
	refused(&s, "could not load the certificate");
	s = good;
	s.dh_file = name;
	refused(&s, "could not take DH parameters from");
	write_key("other.key", &alice, NULL);
	strcpy(name, path("other.key"));
	s = good;
	s.key_file = name;
	refused(&s, "key values mismatch");
	s = good;
	s.ciphers = "none";
	refused(&s, "could not set the list of ciphers");
	s = good;
	s.suites = "none";
	refused(&s, "could not set the list of cipher suites");
	s = good;
	s.groups = "none";
	refused(&s, "could not set the groups");
	s = good;
	s.max_version = TLS1_1_VERSION;
	refused(&s, "no version of TLS from 1.2 on is allowed");
	write_key("locked.key", &server_id, "open sesame");
	strcpy(name, path("locked.key"));
	s = good;
	s.key_file = name;
	refused(&s, "could not load the private key");
	s.passphrase = wrong_passphrase;
	refused(&s, "could not load the private key");
	s.passphrase = passphrase;
	net_tls_free(create(&s));
	s = good;
	s.ciphers = "HIGH:!aNULL";
	s.suites = "TLS_AES_128_GCM_SHA256";
	s.groups = "X25519:prime256v1";
	s.our_order = true;
	net_tls_free(create(&s));
}

int
main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	make_all();
	RUN(test_echo);
	RUN(test_byte_by_byte);
	RUN(test_streams);
	RUN(test_garbage);
	RUN(test_damaged_hello);
	RUN(test_damaged_record);
	RUN(test_sources);
	RUN(test_deaf);
	RUN(test_spoilt);
	RUN(test_pending);
	RUN(test_half_close);
	RUN(test_leaving);
	RUN(test_looking_ahead);
	RUN(test_short_memory);
	RUN(test_certificates);
	RUN(test_old_protocols);
	RUN(test_renegotiation);
	RUN(test_key_updates);
	RUN(test_plain_listener);
	RUN(test_deadline_and_reload);
	RUN(test_many);
	RUN(test_settings);
	remove_all();
	return test_done();
}
