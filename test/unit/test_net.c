/*-------------------------------------------------------------------------
 *
 * test_net.c
 *	  Connections over socket pairs: an echo handler at one end, all kinds of
 *	  peers at the other.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
/* sources: src/net/loop.c src/net/conn.c src/net/conn_state.c src/net/input.c src/net/output.c src/net/tls.c src/net/tls_context.c */

#include "net_owner.h"

/*
 * The peer's end.
 */

static void
put_length(char *to, uint32 len)
{
	len = pg_hton32(len);
	memcpy(to, &len, 4);
}

static void
send_bytes(Owner *owner, const char *data, size_t len)
{
	CHECK_INT(send(owner->peer, data, len, MSG_NOSIGNAL), len);
}

static void
send_frame(Owner *owner, const char *text)
{
	char		buf[1024];

	put_length(buf, (uint32) strlen(text));
	memcpy(buf + 4, text, strlen(text));
	send_bytes(owner, buf, 4 + strlen(text));
}

/* Reads what is there; the number of bytes, 0 at the end, -1: nothing. */
static int
receive(Owner *owner, char *buf, size_t size)
{
	return (int) recv(owner->peer, buf, size, 0);
}

static void
expect_frame(Owner *owner, const char *text)
{
	char		want[1024];
	char		got[1024];

	put_length(want, (uint32) strlen(text));
	memcpy(want + 4, text, strlen(text));
	CHECK_INT(recv(owner->peer, got, 4 + strlen(text), 0), 4 + strlen(text));
	CHECK(memcmp(got, want, 4 + strlen(text)) == 0);
}

/* Sends data and takes echoes of the same length; both in whatever pieces. */
static void
echo_stream(Owner *owner, const char *data, size_t len, uint64 *seed)
{
	char	   *got = pg_malloc(len);
	size_t		sent = 0;
	size_t		received = 0;

	for (int i = 0; i < 10000000 && received < len; i++)
	{
		size_t		n = 1 + test_random(seed) % (seed[0] % 5 == 0 ? 300000 : 5000);
		ssize_t		rc = sent < len ? send(owner->peer, data + sent, Min(n, len - sent), MSG_NOSIGNAL) : 0;

		if (rc > 0)
			sent += rc;
		if (i % 3 == 0)
			turn();
		rc = recv(owner->peer, got + received, Min(n, len - received), 0);
		if (rc > 0)
			received += rc;
		if (owner->conn == NULL)
			break;
	}
	CHECK_INT(received, len);
	CHECK(received == len && memcmp(got, data, len) == 0);
	free(got);
}

/*
 * Tests.
 */

static void
test_echo(void)
{
	Owner		o;

	start(&usual);
	open_pair(&o);
	send_frame(&o, "one");
	send_frame(&o, "");
	send_frame(&o, "three");
	turn();
	expect_frame(&o, "one");
	expect_frame(&o, "");
	expect_frame(&o, "three");
	CHECK_INT(nframes, 3);
	CHECK_INT(net_group_input_bytes(group), 0);
	close(o.peer);
	turns(2);
	CHECK(o.conn == NULL);
	CHECK(o.reason[0] == '\0');
	stop();
}

static void
test_split(void)
{
	Owner		o;
	char		buf[] = "\0\0\0\5hello\0\0\0\5world";

	start(&usual);
	open_pair(&o);
	for (int i = 0; i < 18; i++)
	{
		send_bytes(&o, buf + i, 1);
		turn();
		CHECK_INT(nframes, i < 8 ? 0 : i < 17 ? 1 : 2);
		CHECK(net_group_input_bytes(group) <= 64);
	}
	expect_frame(&o, "hello");
	expect_frame(&o, "world");
	close(o.peer);
	stop();
}

/* Frames of all sizes in pieces of all sizes come back as they were. */
static void
test_random_streams(void)
{
	uint64		seed = 42;

	for (int round = 0; round < 30; round++)
	{
		Owner		o;
		size_t		cap = 12 * 1024 * 1024;
		size_t		len = 0;
		char	   *data = pg_malloc(cap);
		NetLimits	limits = usual;

		limits.inflight_max = 1 + test_random(&seed) % 64;
		limits.output_bytes_max = 1 + test_random(&seed) % 3000000;
		start(&limits);
		open_pair(&o);
		for (int i = 0; i < 40; i++)
		{
			uint32		kind = test_random(&seed) % 20;
			size_t		n = test_random(&seed) % (kind == 0 ? 3000000 : kind < 4 ? 400000 : 300);

			if (len + 4 + n > cap)
				break;
			put_length(data + len, (uint32) n);
			for (size_t j = 0; j < n; j += 8)
				data[len + 4 + j] = (char) test_random(&seed);
			len += 4 + n;
		}
		SAY("round %d", round);
		echo_stream(&o, data, len, &seed);
		CHECK_INT(net_group_input_bytes(group), 0);
		close(o.peer);
		free(data);
		stop();
	}
}

static void
test_bad_lengths(void)
{
	Owner		o;
	NetLimits	limits = usual;
	static const char *const heads[] = {"\xff\xff\xff\xff", "\x80\0\0\0", "\x7f\xff\xff\xff", "\0\0\4\1"};

	limits.frame_bytes_max = 1024;
	for (int i = 0; i < lengthof(heads); i++)
	{
		char		byte;

		start(&limits);
		open_pair(&o);
		send_frame(&o, "fine");
		send_bytes(&o, heads[i], 4);
		turns(2);
		CHECK(o.conn == NULL);
		CHECK(strstr(o.reason, "limit is 1024") != NULL);
		if (i == 0)
			CHECK(strstr(o.reason, "-1 bytes") != NULL);
		while (receive(&o, &byte, 1) > 0)
			;
		CHECK_INT(receive(&o, &byte, 1), 0);
		close(o.peer);
		stop();
	}
	start(&limits);
	open_pair(&o);
	send_bytes(&o, "\0\0\4\0", 4);
	turns(2);
	CHECK(o.conn != NULL);
	close(o.peer);
	stop();

	/* a limit of the connection's own, and its end */
	start(&limits);
	open_pair(&o);
	net_conn_limit_frames(o.conn, 16);
	send_bytes(&o, "\0\0\0\20", 4);
	turns(2);
	CHECK(o.conn != NULL);
	net_conn_limit_frames(o.conn, 15);
	turns(2);
	send_bytes(&o, "x", 1);
	turns(2);
	CHECK(o.conn == NULL);
	CHECK(strstr(o.reason, "limit is 15") != NULL);
	close(o.peer);
	stop();
	start(&limits);
	open_pair(&o);
	net_conn_limit_frames(o.conn, 15);
	net_conn_limit_frames(o.conn, PG_UINT32_MAX);
	send_bytes(&o, "\0\0\4\0", 4);
	turns(2);
	CHECK(o.conn != NULL);
	close(o.peer);
	stop();
}

/* A thousand that announce 100 MB each, and a bit of it. */
static void
test_announcements(void)
{
	Owner	   *o = pg_malloc(1000 * sizeof(Owner));

	start(&usual);
	for (int i = 0; i < 1000; i++)
	{
		open_pair(&o[i]);
		send_bytes(&o[i], "\6\0\0\0some", 8);
	}
	turns(10);
	CHECK_INT(net_group_count(group), 1000);
	CHECK(net_group_input_bytes(group) <= 1000 * 64);
	send_frame(&o[0], "");
	for (int i = 0; i < 1000; i++)
		close(o[i].peer);
	turns(10);
	CHECK_INT(net_group_count(group), 0);
	CHECK_INT(nclosed, 1000);
	stop();
	free(o);
}

/* What was sent before the end of input is answered, and then comes our end. */
static void
test_half_close(void)
{
	Owner		o;
	char		byte;

	start(&usual);
	open_pair(&o);
	keep_frames = true;
	send_frame(&o, "a");
	send_frame(&o, "b");
	shutdown(o.peer, SHUT_WR);
	turns(5);
	CHECK_INT(nkept, 2);
	CHECK(o.conn != NULL);
	answer_kept();
	turns(3);
	expect_frame(&o, "a");
	expect_frame(&o, "b");
	CHECK_INT(receive(&o, &byte, 1), 0);
	CHECK(o.conn == NULL);
	close(o.peer);

	/* half a frame at the end is nobody's */
	open_pair(&o);
	send_bytes(&o, "\0\0\0\7abc", 7);
	shutdown(o.peer, SHUT_WR);
	turns(3);
	CHECK(o.conn == NULL);
	close(o.peer);
	stop();
}

/* Held: nothing is delivered, but that the peer has gone is told. */
static void
test_hold(void)
{
	Owner		o;
	char		byte;

	start(&usual);
	open_pair(&o);
	keep_frames = true;
	send_frame(&o, "fetch");
	turn();
	CHECK_INT(nkept, 1);
	net_conn_hold(o.conn);
	send_frame(&o, "behind");
	turns(3);
	CHECK_INT(nkept, 1);
	CHECK(!o.half_closed);
	answer_kept();
	net_conn_unhold(o.conn);
	turns(3);
	CHECK_INT(nkept, 1);
	net_conn_hold(o.conn);
	shutdown(o.peer, SHUT_WR);
	turns(3);
	CHECK(o.half_closed);
	CHECK(o.conn != NULL);
	answer_kept();
	net_conn_unhold(o.conn);
	turns(3);
	expect_frame(&o, "fetch");
	expect_frame(&o, "behind");
	CHECK_INT(receive(&o, &byte, 1), 0);
	CHECK(o.conn == NULL);
	close(o.peer);

	/* a reset while held ends it at once */
	open_pair(&o);
	send_frame(&o, "fetch");
	turn();
	net_conn_hold(o.conn);
	close(o.peer);
	turns(2);
	CHECK(o.conn == NULL);
	stop();
}

static void
test_inflight(void)
{
	Owner		o;
	NetLimits	limits = usual;

	limits.inflight_max = 5;
	start(&limits);
	open_pair(&o);
	keep_frames = true;
	for (int i = 0; i < 12; i++)
	{
		char text[	8];

		snprintf(text, sizeof(text), "%d", i);
		send_frame(&o, text);
	}
	turns(5);
	CHECK_INT(nkept, 5);
	answer_kept();
	turns(5);
	CHECK_INT(nkept, 5);
	/* one that gets no answer makes room, too */
	net_frame_release(&kept[0]->frame);
	free(kept[0]);
	memmove(kept, kept + 1, --nkept * sizeof(Answer *));
	net_conn_answered(o.conn);
	turns(2);
	CHECK_INT(nkept, 5);
	answer_kept();
	turns(2);
	answer_kept();
	turns(2);
	CHECK_INT(nframes, 12);
	for (int i = 0; i < 12; i++)
	{
		char text[	8];

		snprintf(text, sizeof(text), "%d", i);
		if (i != 5)
			expect_frame(&o, text);
	}
	close(o.peer);
	stop();
}

/* Frames in use stay as they are while more are read, and after the connection is closed. */
static void
test_frames_stay(void)
{
	Owner		o;
	char	   *big = pg_malloc(4 + 70000);

	start(&usual);
	open_pair(&o);
	keep_frames = true;
	for (int i = 0; i < 40; i++)
	{
		size_t		sent = 0;

		put_length(big, 70000);
		memset(big + 4, 'A' + i, 70000);
		while (sent < 70004)
		{
			ssize_t		n = send(o.peer, big + sent, 70004 - sent, MSG_NOSIGNAL);

			if (n > 0)
				sent += n;
			turn();
		}
	}
	turns(3);
	CHECK_INT(nkept, 40);
	for (int i = 0; i < nkept; i++)
	{
		CHECK_INT(kept[i]->frame.len, 70000);
		CHECK(kept[i]->frame.data[0] == 'A' + i && kept[i]->frame.data[69999] == 'A' + i);
	}
	net_conn_close(o.conn, "enough");
	CHECK(kept[39]->frame.data[69999] == 'A' + 39);
	turn();
	CHECK_INT(nkept, 0);
	CHECK_INT(net_group_input_bytes(group), 0);
	close(o.peer);
	free(big);
	stop();
}

/*
 * A source that gives consecutive numbers, in pieces of awkward lengths.
 */
typedef struct Numbers
{
	NetSource	base;
	char	   *data;
	size_t		len;
	size_t		sent;
	size_t		mapped;
	size_t		fail_at;		/* map fails from here on */
	size_t		there;			/* bytes from here on cannot be had yet */
	size_t		spoil_at;		/* used says no from here on */
	int			maps;
	int			uses;
} Numbers;

static int
numbers_map(NetSource *base, struct iovec *iov, int n, size_t *bytes)
{
	Numbers    *s = (Numbers *) base;
	int			i;

	s->maps++;
	*bytes = 0;
	if (s->sent + s->mapped >= s->fail_at)
		return -1;
	for (i = 0; i < n && s->sent + s->mapped < Min(s->len, s->there); i++)
	{
		size_t		at = s->sent + s->mapped;
		size_t		len = Min(Min(s->len, s->there) - at, at % 7 == 0 ? 8000 : 1 + at % 700);

		iov[i].iov_base = s->data + at;
		iov[i].iov_len = len;
		s->mapped += len;
		*bytes += len;
	}
	return i;
}

static bool
numbers_used(NetSource *base, size_t sent)
{
	Numbers    *s = (Numbers *) base;

	s->uses++;
	if (sent > s->mapped)
		abort();
	s->mapped = 0;
	s->sent += sent;
	return s->sent < s->spoil_at;
}

static void
numbers_init(Numbers *s, size_t len)
{
	memset(s, 0, sizeof(*s));
	s->base.map = numbers_map;
	s->base.used = numbers_used;
	s->len = len;
	s->fail_at = s->spoil_at = s->there = SIZE_MAX;
	s->data = pg_malloc(len);
	for (size_t i = 0; i < len; i++)
		s->data[i] = (char) (i * 31 + i / 255);
}

/* Answers with a source between two pieces of memory. */
static void
answer_with(Answer *answer, Numbers *s)
{
	answer->pieces[0].data = "head";
	answer->pieces[0].len = 4;
	answer->pieces[1].source = &s->base;
	answer->pieces[1].len = s->len;
	answer->pieces[2].data = "tail!";
	answer->pieces[2].len = 5;
	answer->message.pieces = answer->pieces;
	answer->message.npieces = 3;
	answer->message.sent = on_sent;
	answer->message.arg = answer;
	net_conn_send(answer->conn, &answer->message);
}

/* A reader that takes little at a time gets every byte, and meanwhile nothing more is read from it. */
static void
test_slow_reader(void)
{
	Owner		o;
	Numbers		s;
	size_t		got = 0;
	bool		right = true;
	char		buf[3000];

	start(&usual);
	open_pair(&o);
	numbers_init(&s, 5 * 1000 * 1000 + 3);
	keep_frames = true;
	send_frame(&o, "give");
	turn();
	answer_with(kept[0], &s);
	nkept = 0;
	send_frame(&o, "more");
	turns(3);
	CHECK_INT(nkept, 0);		/* over output_bytes_max */
	CHECK(s.sent < s.len);
	for (int i = 0; got < s.len + 9 && i < 100000; i++)
	{
		int			n = receive(&o, buf, sizeof(buf));

		for (int j = 0; j < n; j++, got++)
		{
			char		want = got < 4 ? "head"[got] : got < s.len + 4 ? s.data[got - 4] : "tail!"[got - 4 - s.len];

			right &= buf[j] == want;
		}
		turn();
	}
	CHECK(right);
	CHECK_INT(got, s.len + 9);
	CHECK_INT(s.sent, s.len);
	turns(2);
	CHECK_INT(nkept, 1);
	answer_kept();
	turn();
	expect_frame(&o, "more");
	close(o.peer);
	free(s.data);
	stop();
}

/*
 * A source that has nothing yet: what comes before it is sent, others go on, and it is asked again by and by.
 */
static void
test_late_source(void)
{
	NetLimits	limits = usual;
	Owner		o;
	Owner		other;
	Numbers		s;
	char		buf[200000];
	size_t		got = 0;
	bool		right = true;

	limits.idle_us = 8000000;	/* a machine may stand still for seconds */
	start(&limits);
	open_pair(&o);
	open_pair(&other);
	numbers_init(&s, 150000);
	s.there = 0;
	keep_frames = true;
	send_frame(&o, "give");
	send_frame(&o, "more");
	turn();
	answer_with(kept[0], &s);
	echo(kept[1]);
	nkept = 0;
	keep_frames = false;
	for (int part = 0; part <= 3; part++)
	{
		size_t		want = part < 3 ? 4 + part * 50000 : 4 + s.len + 5 + 8;
		int			maps;

		s.there = part < 3 ? part * 50000 : SIZE_MAX;
		for (int64 until = net_now() + 60000000; got < want && net_now() < until;)
		{
			int			n = receive(&o, buf + got, sizeof(buf) - got);

			got += Max(n, 0);
			turn();
		}
		CHECK_INT(got, want);
		if (part == 3)
			break;
		turn();					/* now it has nothing more, and pauses */
		CHECK(!net_group_busy(group));
		CHECK(net_loop_timeout_ms(loop) >= 0 && net_loop_timeout_ms(loop) <= 50);
		CHECK_INT(s.mapped, 0);
		maps = s.maps;
		for (int64 until = net_now() + (part == 0 ? 8500000 : 100000); net_now() < until; usleep(1000))
		{
			send_frame(&other, "beside");
			turn();
			expect_frame(&other, "beside");
		}
		CHECK(s.maps > maps && s.maps - maps < 300);	/* less and less often */
		for (int i = 0; part == 0 && i < 20; i++)
		{
			usleep(110000);		/* both of its timers are due */
			turn();
		}
		CHECK_INT(receive(&o, buf + got, sizeof(buf) - got), -1);
		CHECK(o.conn != NULL);	/* it is not idle: it waits for us */
	}
	for (size_t i = 0; i < s.len; i++)
		right &= buf[4 + i] == s.data[i];
	CHECK(right && memcmp(buf, "head", 4) == 0 && memcmp(buf + 4 + s.len, "tail!\0\0\0\4more", 13) == 0);
	CHECK(o.conn != NULL);

	/* and one that ends meanwhile */
	s.sent = s.there = 0;
	keep_frames = true;
	send_frame(&o, "give");
	turn();
	answer_with(kept[0], &s);
	nkept = 0;
	turn();
	net_conn_close(o.conn, "enough");
	turn();
	CHECK(o.conn == NULL);
	close(o.peer);
	close(other.peer);
	free(s.data);
	stop();
}

/*
 * The peer sends no more: an answer leaves, and the next one's source has
 * nothing yet.
 */
static void
test_late_source_at_the_end(void)
{
	Owner		o;
	Numbers		s;
	char		buf[2000];
	size_t		got = 0;

	start(&usual);
	open_pair(&o);
	numbers_init(&s, 1000);
	s.there = 0;
	keep_frames = true;
	send_frame(&o, "one");
	send_frame(&o, "give");
	shutdown(o.peer, SHUT_WR);
	turns(2);
	CHECK_INT(nkept, 2);
	CHECK(o.half_closed);
	echo(kept[0]);
	answer_with(kept[1], &s);
	nkept = 0;
	turn();
	expect_frame(&o, "one");
	turn();
	CHECK(o.conn != NULL);
	s.there = SIZE_MAX;
	for (int64 until = net_now() + 60000000; got < s.len + 9 && net_now() < until;)
	{
		int			n = receive(&o, buf + got, sizeof(buf) - got);

		got += Max(n, 0);
		turn();
	}
	CHECK_INT(got, s.len + 9);
	turns(2);
	CHECK(o.conn == NULL);
	close(o.peer);
	free(s.data);
	stop();
}

static void
test_broken_sources(void)
{
	for (int kind = 0; kind < 2; kind++)
	{
		Owner		o;
		Numbers		s;
		char		buf[100000];

		SAY("kind %d", kind);
		start(&usual);
		open_pair(&o);
		numbers_init(&s, 3000000);
		if (kind == 0)
			s.fail_at = 1000000;
		else
			s.spoil_at = 1000000;
		keep_frames = true;
		send_frame(&o, "give");
		turn();
		answer_with(kept[0], &s);
		nkept = 0;
		for (int i = 0; i < 1000 && o.conn != NULL; i++)
		{
			turn();
			while (receive(&o, buf, sizeof(buf)) > 0)
				;
		}
		CHECK(o.conn == NULL);
		CHECK(strstr(o.reason, kind == 0 ? "could not be read" : "removed meanwhile") != NULL);
		CHECK_INT(s.mapped, 0); /* used was told in the end */
		close(o.peer);
		free(s.data);
		stop();
	}
}

/* The connection is taken down while answers wait: they go back to their owner. */
static void
test_close_with_output(void)
{
	Owner		o;
	Numbers		s;

	start(&usual);
	open_pair(&o);
	numbers_init(&s, 3000000);
	keep_frames = true;
	send_frame(&o, "give");
	send_frame(&o, "late");
	turn();
	answer_with(kept[0], &s);
	kept[0] = kept[--nkept];
	turns(2);
	close(o.peer);
	turns(3);
	CHECK(o.conn == NULL);
	CHECK_INT(nkept, 0);
	CHECK_INT(net_group_input_bytes(group), 0);
	free(s.data);
	stop();
}

/*
 * The end that asks: its messages answer nothing, and the frames that it gets
 * are the answers.
 */
static int	nasked;
static int	nunasked;

static void
on_asked(NetMessage *message, bool ok)
{
	nasked += ok;
	nunasked += !ok;
}

static void
ask(NetConn *conn, NetMessage *message, NetPiece *piece)
{
	piece->data = "\0\0\0\3abc";
	piece->source = NULL;
	piece->len = 7;
	message->pieces = piece;
	message->npieces = 1;
	message->sent = on_asked;
	net_conn_ask(conn, message);
}

static void
test_asking(void)
{
	Owner		o;
	NetMessage	messages[3];
	NetPiece	pieces[3];
	NetLimits	limits = usual;
	char		byte;

	nasked = nunasked = 0;
	limits.output_bytes_max = 14;
	start(&limits);
	open_pair(&o);
	ask(o.conn, &messages[0], &pieces[0]);
	CHECK(!net_conn_output_full(o.conn));
	ask(o.conn, &messages[1], &pieces[1]);
	CHECK(net_conn_output_full(o.conn));
	CHECK_INT(nasked, 0);
	turn();
	CHECK_INT(nasked, 2);
	CHECK(!net_conn_output_full(o.conn));
	expect_frame(&o, "abc");
	expect_frame(&o, "abc");

	/* answers come, also when nothing more is sent */
	net_conn_shut(o.conn);
	CHECK_INT(receive(&o, &byte, 1), 0);
	keep_frames = true;
	send_frame(&o, "answer");
	send_frame(&o, "");
	turns(2);
	CHECK_INT(nkept, 2);
	CHECK_INT(kept[0]->frame.len, 6);

	/* closed: whether it has begun to be sent or not, it is told */
	ask(o.conn, &messages[0], &pieces[0]);
	net_conn_close(o.conn, NULL);
	ask(o.conn, &messages[1], &pieces[1]);
	CHECK_INT(nunasked, 1);
	net_conn_shut(o.conn);
	turn();
	CHECK_INT(nunasked, 2);
	CHECK_INT(nasked, 2);
	CHECK_INT(nclosed, 1);
	close(o.peer);
	stop();
}

/* Frames go on as they came, and stay when their connection has ended. */
static void
test_kept_frames(void)
{
	Owner		o;
	NetFrame	frames[3];
	NetPiece	piece;
	uint64		before;
	char	   *large = calloc(1, 100000 + 4);

	start(&usual);
	open_pair(&o);
	keep_frames = true;
	send_frame(&o, "one");
	send_frame(&o, "two");
	turn();
	put_length(large, 100000);
	send_bytes(&o, large, 100000 + 4);
	turns(3);
	CHECK_INT(nkept, 3);
	for (int i = 0; i < 3; i++)
	{
		frames[i] = kept[i]->frame;
		net_conn_answered(o.conn);
		free(kept[i]);
	}
	nkept = 0;

	/* small ones move out of the memory of a whole read */
	before = net_group_input_bytes(group);
	CHECK(before >= 2 * 256 * 1024);
	net_frame_compact(&frames[0]);
	net_frame_compact(&frames[1]);
	net_frame_compact(&frames[1]);
	net_frame_compact(&frames[2]);
	CHECK_INT(net_group_input_bytes(group), before - 256 * 1024 + 2 * 7);
	piece = net_frame_piece(&frames[1]);
	CHECK_INT(piece.len, 7);
	CHECK(memcmp(piece.data, "\0\0\0\3two", 7) == 0);

	/* the connection ends, in either way */
	close(o.peer);
	turns(3);
	CHECK(o.conn == NULL);
	CHECK_INT(nclosed, 1);
	CHECK_INT(net_group_count(group), 0);
	CHECK(memcmp(frames[0].data, "one", 3) == 0);
	net_frame_release(&frames[1]);
	net_frame_release(&frames[2]);
	CHECK_INT(net_group_input_bytes(group), 7);
	net_frame_release(&frames[0]);
	net_frame_release(&frames[0]);
	CHECK_INT(net_group_input_bytes(group), 0);
	free(large);
	stop();
}

/* Who is finished for no reason worth telling. */
static void
test_finish(void)
{
	Owner		o;

	start(&usual);
	open_pair(&o);
	keep_frames = true;
	send_frame(&o, "one");
	turn();
	send_frame(&o, "two");
	net_conn_finish(o.conn, NULL);
	turn();
	CHECK(o.conn != NULL);
	answer_kept();
	turns(2);
	expect_frame(&o, "one");
	CHECK(o.conn == NULL);
	CHECK_INT(nframes, 1);
	CHECK(o.reason[0] == '\0');
	close(o.peer);
	stop();
}

static void
test_idle(void)
{
	Owner		idle;
	Owner		busy;
	Owner		working;
	NetLimits	limits = usual;
	int64		until = net_now() + 700000;

	limits.idle_us = 300000;
	start(&limits);
	open_pair(&idle);
	open_pair(&busy);
	open_pair(&working);
	keep_frames = true;
	send_frame(&working, "long");
	turn();
	keep_frames = false;
	while (net_now() < until)
	{
		int			ms = net_loop_timeout_ms(loop);

		CHECK(ms >= 0 && ms <= 300);
		send_frame(&busy, "tick");
		turns(2);
		expect_frame(&busy, "tick");
		usleep(20000);
	}
	CHECK(idle.conn == NULL);
	CHECK(strstr(idle.reason, "idle") != NULL);
	CHECK(busy.conn != NULL);
	CHECK(working.conn != NULL);	/* we owe it an answer */
	close(idle.peer);
	close(busy.peer);
	close(working.peer);
	stop();
}

/*
 * Who is muted is not read and is not idle, whatever is held beside; what came
 * meanwhile is delivered afterwards.
 */
static void
test_muted(void)
{
	Owner		o;
	NetLimits	limits = usual;
	int64		until = net_now() + 700000;

	limits.idle_us = 300000;
	start(&limits);
	net_group_measure(group, true);
	open_pair(&o);
	send_frame(&o, "first");
	turns(2);
	expect_frame(&o, "first");
	CHECK(net_conn_take_spent(o.conn) > 0);
	CHECK_INT(net_conn_take_spent(o.conn), 0);
	net_conn_mute(o.conn);
	send_frame(&o, "second");
	nframes = 0;
	while (net_now() < until)
	{
		turns(1);
		usleep(20000);
	}
	CHECK(o.conn != NULL);
	CHECK_INT(nframes, 0);
	net_conn_hold(o.conn);
	net_conn_unmute(o.conn);
	turns(2);
	CHECK_INT(nframes, 0);		/* it is still held */
	net_conn_mute(o.conn);
	net_conn_unhold(o.conn);
	turns(2);
	CHECK_INT(nframes, 0);		/* and now still muted */
	net_conn_unmute(o.conn);
	net_conn_unmute(o.conn);
	turns(2);
	expect_frame(&o, "second");
	net_conn_mute(o.conn);
	close(o.peer);
	turns(3);
	CHECK(o.conn == NULL);		/* a peer that has gone is noticed */
	stop();
}

static void
test_hundreds(void)
{
	Owner	   *o = pg_malloc(800 * sizeof(Owner));

	start(&usual);
	for (int i = 0; i < 800; i++)
		open_pair(&o[i]);
	turns(3);
	CHECK_INT(net_group_input_bytes(group), 0);
	for (int i = 0; i < 800; i += 7)
		send_frame(&o[i], "ping");
	turns(5);
	for (int i = 0; i < 800; i += 7)
		expect_frame(&o[i], "ping");
	for (int i = 0; i < 800; i++)
		close(o[i].peer);
	turns(10);
	CHECK_INT(net_group_count(group), 0);
	stop();
	free(o);
}

/* Both are readable in one batch, the first closes the other: no event may reach it any more. */
static void
test_stale_event(void)
{
	Owner		o[8];

	start(&usual);
	for (int i = 0; i < 8; i++)
		open_pair(&o[i]);
	close_on_frame = &o[5];
	for (int i = 0; i < 8; i++)
		send_frame(&o[i], "x");
	turns(2);
	CHECK(o[5].conn == NULL);
	CHECK(strcmp(o[5].reason, "another said so") == 0);
	CHECK_INT(net_group_count(group), 7);
	close_on_frame = NULL;
	for (int i = 0; i < 8; i++)
		close(o[i].peer);
	stop();
}

/* Many large requests at once: memory stays near the budget, and all get through one by one. */
static void
test_budget(void)
{
#define BUDGET_CONNS 24
#define BUDGET_FRAME (1024 * 1024)
	Owner		o[BUDGET_CONNS];
	size_t		sent[BUDGET_CONNS] = {0};
	uint64		most = 0;
	char	   *frame = pg_malloc(4 + BUDGET_FRAME);
	NetLimits	limits = usual;
	Owner		small;
	char		sink[100000];

	limits.input_bytes_max = 4 * BUDGET_FRAME;
	start(&limits);
	put_length(frame, BUDGET_FRAME);
	memset(frame + 4, 'x', BUDGET_FRAME);
	for (int i = 0; i < BUDGET_CONNS; i++)
		open_pair(&o[i]);
	open_pair(&small);
	keep_frames = true;
	for (int round = 0; round < 3000 && nframes < BUDGET_CONNS; round++)
	{
		for (int i = 0; i < BUDGET_CONNS; i++)
		{
			ssize_t		n = send(o[i].peer, frame + sent[i], Min(100000, BUDGET_FRAME + 4 - sent[i]), MSG_NOSIGNAL);

			if (n > 0)
				sent[i] += n;
		}
		turn();
		most = Max(most, net_group_input_bytes(group));
		if (round % 100 == 99)
		{
			answer_kept();
			turns(2);
			for (int i = 0; i < BUDGET_CONNS; i++)
				while (receive(&o[i], sink, sizeof(sink)) > 0)
					turn();
		}
		if (round == 50)
		{
			/* whoever is small is served in the meantime */
			int			before = nframes;

			CHECK(net_group_input_bytes(group) >= limits.input_bytes_max);
			send_frame(&small, "hello");
			turn();
			CHECK_INT(nframes, before + 1);
		}
	}
	CHECK_INT(nframes, BUDGET_CONNS + 1);
	SAY("most memory " UINT64_FORMAT, most);
	CHECK(most <= 2 * limits.input_bytes_max + 2 * BUDGET_FRAME + BUDGET_CONNS * 256 * 1024);
	for (int i = 0; i < BUDGET_CONNS; i++)
		close(o[i].peer);
	close(small.peer);
	turns(5);
	CHECK_INT(net_group_input_bytes(group), 0);
	stop();
	free(frame);
}

/* Who is muted or held leaves it to others to finish a large request. */
static void
test_muted_favourite(void)
{
	for (int round = 0; round < 4; round++)
	{
		static char frame[4 + 1024 * 1024];
		Owner		o[3];
		size_t		sent[3] = {0};
		NetLimits	limits = usual;

		SAY("round %d", round);
		limits.input_bytes_max = 600000;
		start(&limits);
		keep_frames = true;
		put_length(frame, sizeof(frame) - 4);
		for (int i = 0; i < 3; i++)
			open_pair(&o[i]);
		for (int step = 0; step < 2000 && nkept == 0; step++)
		{
			/* one is the favourite by then; or is before any is */
			if (step == (round < 2 ? 20 : 0))
			{
				if (round % 2 == 0)
					net_conn_mute(o[0].conn);
				else
					net_conn_hold(o[0].conn);
			}
			for (int i = 0; i < 3; i++)
			{
				ssize_t		n;

				if (round < 2 && i > 0 && step < 20)
					continue;
				n = send(o[i].peer, frame + sent[i], Min(50000, sizeof(frame) - sent[i]), MSG_NOSIGNAL);
				sent[i] += Max(n, 0);
			}
			turn();
		}
		CHECK_INT(nkept, 1);
		CHECK(nkept == 1 && kept[0]->conn != o[0].conn);
		for (int i = 0; i < 3; i++)
			close(o[i].peer);
		stop();
	}
}

/*
 * All that owners and peers can do, in any order, with little memory and low
 * limits.  The Asserts of the states judge; and whoever is not cut off gets
 * all that it sent back.
 */
#define CHAOS_CONNS	12

typedef struct Chaos
{
	Owner		owner;
	size_t		sent;			/* bytes */
	size_t		frame_left;		/* bytes that the last frame lacks */
	size_t		received;
	bool		shut;			/* the peer sends no more */
	bool		ended;			/* its owner has finished or closed it */
}			Chaos;

static const NetLimits narrow = {
	.frame_bytes_max = 40000,
	.input_bytes_max = 100000,
	.output_bytes_max = 20000,
	.inflight_max = 3,
	.idle_us = 0
};

/* Some more bytes of the frame begun, or the begin of another. */
static void
chaos_send(Chaos * c, uint64 *seed)
{
	char		buf[20000];
	bool		fresh = c->frame_left == 0;
	size_t		n;
	ssize_t		rc;

	if (c->shut)
		return;
	if (!fresh)
	{
		n = 1 + test_random(seed) % sizeof(buf);
		n = Min(n, c->frame_left);
		memset(buf, 'x', n);
	}
	else
	{
		uint32		len = test_random(seed) % 2 == 0 ? 10 : 1 + test_random(seed) % 40000;

		put_length(buf, len);
		n = 4;
		c->frame_left = 4 + len;
	}
	rc = send(c->owner.peer, buf, n, MSG_NOSIGNAL);
	if (rc > 0)
	{
		c->sent += rc;
		c->frame_left -= rc;
	}
	else if (fresh)
		c->frame_left = 0;
}

static void
chaos_receive(Chaos * c)
{
	char		buf[30000];
	int			n = receive(&c->owner, buf, sizeof(buf));

	if (n > 0)
		c->received += n;
}

static void
chaos_open(Chaos * c)
{
	memset(c, 0, sizeof(*c));
	open_pair(&c->owner);
}

static void
chaos_step(Chaos * c, uint64 *seed)
{
	NetConn    *conn = c->owner.conn;
	int			what = test_random(seed) % 100;

	if (conn == NULL)
	{
		close(c->owner.peer);
		chaos_open(c);
	}
	else if (what < 50)
		chaos_send(c, seed);
	else if (what < 75)
		chaos_receive(c);
	else if (what < 82)
		net_conn_hold(conn);
	else if (what < 92)
		net_conn_unhold(conn);
	else if (what < 97 && nkept > 0)
		echo(kept[--nkept]);
	else if (what == 97 && c->frame_left == 0 && test_random(seed) % 4 == 0)
	{
		shutdown(c->owner.peer, SHUT_WR);
		c->shut = true;
	}
	else if (what >= 98 && test_random(seed) % 4 == 0)
	{
		c->ended = true;
		if (what == 98)
			net_conn_finish(conn, "enough");
		else
			net_conn_close(conn, NULL);
	}
}

/* All holds end, all is answered and read. */
static void
chaos_calm(Chaos * c, int n)
{
	for (int round = 0; round < 5000; round++)
	{
		for (int i = 0; i < n; i++)
		{
			if (c[i].owner.conn != NULL)
				net_conn_unhold(c[i].owner.conn);
			if (c[i].frame_left > 0)
			{
				char		rest[40004] = {0};
				ssize_t		rc = send(c[i].owner.peer, rest, c[i].frame_left, MSG_NOSIGNAL);

				if (rc > 0)
				{
					c[i].sent += rc;
					c[i].frame_left -= rc;
				}
			}
			chaos_receive(&c[i]);
		}
		answer_kept();
		turn();
	}
}

static void
test_chaos(void)
{
	Chaos		c[CHAOS_CONNS];
	int			whole = 0;

	for (uint64 world = 1; world <= 20; world++)
	{
		uint64		seed = world;

		start(&narrow);
		keep_frames = true;
		for (int i = 0; i < CHAOS_CONNS; i++)
			chaos_open(&c[i]);
		for (int step = 0; step < 4000; step++)
		{
			chaos_step(&c[test_random(&seed) % CHAOS_CONNS], &seed);
			if (step % 3 == 0)
				turn();
		}
		chaos_calm(c, CHAOS_CONNS);
		for (int i = 0; i < CHAOS_CONNS; i++)
		{
			if (!c[i].ended)
			{
				CHECK_INT(c[i].received, c[i].sent);
				whole++;
			}
			CHECK_INT(c[i].owner.conn == NULL, c[i].ended || c[i].shut);
			close(c[i].owner.peer);
		}
		stop();
	}
	CHECK(whole > 0);
	SAY("%d connections got all that they sent", whole);
}

/*
 * Timers.
 */
static int	due_order[8];
static int	ndue;

static void
on_due(NetTimer *timer)
{
	due_order[ndue++] = (int) (intptr_t) timer->arg;
}

static void
test_timers(void)
{
	NetTimer	t[4] = {0};
	int64		now = net_now();

	loop = net_loop_create();
	ndue = 0;
	for (int i = 0; i < 4; i++)
	{
		t[i].due = on_due;
		t[i].arg = (void *) (intptr_t) i;
	}
	CHECK_INT(net_loop_timeout_ms(loop), -1);
	net_timer_start(loop, &t[0], now - 1);
	net_timer_start(loop, &t[1], now - 3);
	net_timer_start(loop, &t[2], now + 60000000);
	net_timer_start(loop, &t[3], now + 60000000);
	CHECK_INT(net_loop_timeout_ms(loop), 0);
	net_timer_start(loop, &t[3], now - 2);
	net_loop_run_timers(loop);
	CHECK_INT(ndue, 3);
	CHECK(due_order[0] == 1 && due_order[1] == 3 && due_order[2] == 0);
	CHECK(net_loop_timeout_ms(loop) > 58000);
	net_timer_stop(loop, &t[2]);
	net_timer_stop(loop, &t[2]);
	CHECK_INT(net_loop_timeout_ms(loop), -1);
	net_loop_destroy(loop);
}

int
main(void)
{
	RUN(test_echo);
	RUN(test_split);
	RUN(test_random_streams);
	RUN(test_bad_lengths);
	RUN(test_announcements);
	RUN(test_half_close);
	RUN(test_hold);
	RUN(test_inflight);
	RUN(test_frames_stay);
	RUN(test_slow_reader);
	RUN(test_late_source);
	RUN(test_late_source_at_the_end);
	RUN(test_broken_sources);
	RUN(test_close_with_output);
	RUN(test_asking);
	RUN(test_kept_frames);
	RUN(test_finish);
	RUN(test_idle);
	RUN(test_muted);
	RUN(test_hundreds);
	RUN(test_stale_event);
	RUN(test_budget);
	RUN(test_muted_favourite);
	RUN(test_chaos);
	RUN(test_timers);
	return test_done();
}
