/*-------------------------------------------------------------------------
 *
 * raw_bench.c
 *	  A client of the benchmark that costs next to nothing: what is measured
 *	  is the server.
 *
 *		raw_bench produce -P PORT -t TOPIC -p PARTITIONS -n RECORDS -s BYTES [-a ACKS] [-B BATCH_BYTES]
 *
 * Where client and server share two cores, librdkafka's own work per record decides
 * how fast small records go.  Here one record batch is encoded once, and sent again and
 * again over one plain connection, as a compiled producer with a full queue would do:
 * Produce version 7, one batch to one partition in a request, partitions in
 * turn, five requests in flight.  The result is one line of JSON as of
 * rdk_bench.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define IN_FLIGHT		5
#define BATCH_HEADER	61
#define RESPONSE_MAX	4096

typedef struct Options
{
	int			port;
	const char *topic;
	int			partitions;
	int64_t		records;
	int			size;
	int			acks;
	int			batch_bytes;
	int			deadline_s;
} Options;

/* A growing or fixed piece of bytes, big-endian as the protocol wants it. */
typedef struct Bytes
{
	char	   *data;
	size_t		len;
	size_t		cap;
} Bytes;

static void
die(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	fprintf(stderr, "raw_bench: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(1);
}

static double
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void
put(Bytes *b, const void *data, size_t len)
{
	if (b->len + len > b->cap)
	{
		b->cap = (b->len + len) * 2;
		b->data = realloc(b->data, b->cap);
		if (b->data == NULL)
			die("out of memory");
	}
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

static void
put_int(Bytes *b, int64_t value, int width)
{
	uint64_t	v = htobe64((uint64_t) value);

	put(b, (char *) &v + 8 - width, width);
}

static void
put_varint(Bytes *b, int64_t value)
{
	uint64_t	v = ((uint64_t) value << 1) ^ (uint64_t) (value >> 63);

	for (; v >= 0x80; v >>= 7)
		put_int(b, (int64_t) (v | 0x80), 1);
	put_int(b, (int64_t) v, 1);
}

static void
put_string(Bytes *b, const char *s)
{
	put_int(b, (int64_t) strlen(s), 2);
	put(b, s, strlen(s));
}

static int64_t
get_int(const char *p, int width)
{
	uint64_t	v = 0;

	memcpy((char *) &v + 8 - width, p, width);
	v = be64toh(v);
	return (int64_t) (v << (64 - 8 * width)) >> (64 - 8 * width);
}

static uint32_t
crc32c(const char *data, size_t len)
{
	uint32_t	crc = 0xFFFFFFFF;

	for (size_t i = 0; i < len; i++)
	{
		crc ^= (unsigned char) data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (0x82F63B78 & -(crc & 1));
	}
	return ~crc;
}

/* A record batch (magic 2) of as many records as fit, at most "max"; sets *count. */
static Bytes
encode_batch(const Options *opt, int64_t max, int *count)
{
	Bytes		batch = {0};
	Bytes		record = {0};
	char	   *value = malloc(opt->size);
	int64_t		now_ms = (int64_t) time(NULL) * 1000;
	int64_t		crc;
	char		header[BATCH_HEADER] = {0};
	int			n = 0;

	memset(value, 'v', opt->size);
	put(&batch, header, sizeof(header));
	do
	{
		record.len = 0;
		put_int(&record, 0, 1); /* attributes */
		put_varint(&record, 0); /* timestamp delta */
		put_varint(&record, n); /* offset delta */
		put_varint(&record, -1);	/* no key */
		put_varint(&record, opt->size);
		put(&record, value, opt->size);
		put_varint(&record, 0); /* no headers */
		put_varint(&batch, (int64_t) record.len);
		put(&batch, record.data, record.len);
		n++;
	} while (n < max && batch.len + record.len + 8 < (size_t) opt->batch_bytes);
	record.len = 0;
	put_int(&record, 0, 8);		/* base offset */
	put_int(&record, (int64_t) batch.len - 12, 4);
	put_int(&record, -1, 4);	/* leader epoch */
	put_int(&record, 2, 1);		/* magic */
	put_int(&record, 0, 4);		/* crc, below */
	put_int(&record, 0, 2);		/* attributes */
	put_int(&record, n - 1, 4);
	put_int(&record, now_ms, 8);
	put_int(&record, now_ms, 8);
	put_int(&record, -1, 8);	/* producer id, epoch, sequence */
	put_int(&record, -1, 2);
	put_int(&record, -1, 4);
	put_int(&record, n, 4);
	memcpy(batch.data, record.data, BATCH_HEADER);
	crc = htobe32(crc32c(batch.data + 21, batch.len - 21));
	memcpy(batch.data + 17, &crc, 4);
	*count = n;
	free(value);
	free(record.data);
	return batch;
}

static int
connect_to(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,.sin_port = htons(port)};
	int			fd = socket(AF_INET, SOCK_STREAM, 0);
	int			one = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
		die("could not connect to port %d: %s", port, strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void
send_request(int fd, const Options *opt, int partition, const Bytes *batch)
{
	Bytes		head = {0};
	struct iovec iov[2];
	size_t		left;

	put_int(&head, 0, 4);
	put_int(&head, 0, 2);		/* Produce */
	put_int(&head, 7, 2);
	put_int(&head, partition, 4);	/* correlation id */
	put_string(&head, "raw_bench");
	put_int(&head, -1, 2);		/* no transaction */
	put_int(&head, opt->acks, 2);
	put_int(&head, 30000, 4);
	put_int(&head, 1, 4);
	put_string(&head, opt->topic);
	put_int(&head, 1, 4);
	put_int(&head, partition, 4);
	put_int(&head, (int64_t) batch->len, 4);
	left = head.len + batch->len;
	*(uint32_t *) head.data = htonl(left - 4);
	iov[0] = (struct iovec)
	{
		head.data, head.len
	};
	iov[1] = (struct iovec)
	{
		batch->data, batch->len
	};
	for (int at = 0; left > 0;)
	{
		ssize_t		n = writev(fd, iov + at, 2 - at);

		if (n < 0)
			die("could not send: %s", strerror(errno));
		left -= n;
		for (; at < 2 && (size_t) n >= iov[at].iov_len; at++)
			n -= iov[at].iov_len;
		if (at < 2)
		{
			iov[at].iov_base = (char *) iov[at].iov_base + n;
			iov[at].iov_len -= n;
		}
	}
	free(head.data);
}

static void
receive(int fd, char *data, size_t len)
{
	while (len > 0)
	{
		ssize_t		n = recv(fd, data, len, 0);

		if (n <= 0)
			die("could not receive: %s", n == 0 ? "connection closed" : strerror(errno));
		data += n;
		len -= n;
	}
}

/* One answer: topics of partitions of (index, error, base offset, append time, start offset), throttle time. */
static void
receive_answer(int fd)
{
	char		data[RESPONSE_MAX];
	int64_t		len;
	int64_t		error;
	const char *p;

	receive(fd, data, 4);
	len = get_int(data, 4);
	if (len < 24 || len > RESPONSE_MAX)
		die("an answer of %" PRId64 " bytes", len);
	receive(fd, data, len);
	p = data + 8;
	p += 2 + get_int(p, 2) + 4 + 4;
	if (p + 2 > data + len)
		die("an answer that is too short");
	error = get_int(p, 2);
	if (error != 0)
		die("error %" PRId64, error);
}

static void
bench_produce(const Options *opt)
{
	int			per_batch;
	int			last_count;
	Bytes		batch = encode_batch(opt, opt->records, &per_batch);
	Bytes		last = {0};
	int64_t		sent = 0;
	int			fd = connect_to(opt->port);
	int			waiting = 0;
	int			partition = 0;
	double		start;

	if (opt->records % per_batch != 0)
		last = encode_batch(opt, opt->records % per_batch, &last_count);
	start = now_s();
	while (sent < opt->records || waiting > 0)
	{
		if (sent < opt->records && waiting < IN_FLIGHT)
		{
			bool		whole = opt->records - sent >= per_batch;

			send_request(fd, opt, partition, whole ? &batch : &last);
			sent += whole ? per_batch : last_count;
			partition = (partition + 1) % opt->partitions;
			waiting++;
		}
		else
		{
			receive_answer(fd);
			waiting--;
		}
		if (now_s() - start > opt->deadline_s)
			die("timed out");
	}
	printf("{\"records\": %" PRId64 ", \"bytes\": %" PRId64 ", \"seconds\": %.6f, \"start\": %.6f}\n",
		   opt->records, opt->records * opt->size, now_s() - start, start);
}

int
main(int argc, char **argv)
{
	Options		opt = {.partitions = 1,.records = 1000,.size = 100,.acks = -1,.batch_bytes = 1000000,.deadline_s = 120};
	int			c;

	while ((c = getopt(argc, argv, "P:t:p:n:s:a:B:T:")) != -1)
	{
		switch (c)
		{
			case 'P':
				opt.port = atoi(optarg);
				break;
			case 't':
				opt.topic = optarg;
				break;
			case 'p':
				opt.partitions = atoi(optarg);
				break;
			case 'n':
				opt.records = atoll(optarg);
				break;
			case 's':
				opt.size = atoi(optarg);
				break;
			case 'a':
				opt.acks = strcmp(optarg, "all") == 0 ? -1 : atoi(optarg);
				break;
			case 'B':
				opt.batch_bytes = atoi(optarg);
				break;
			case 'T':
				opt.deadline_s = atoi(optarg);
				break;
			default:
				return 2;
		}
	}
	if (optind != argc - 1 || strcmp(argv[optind], "produce") != 0 || opt.topic == NULL || opt.port <= 0 ||
		opt.partitions < 1 || opt.records < 1 || opt.size < 1 || opt.acks == 0)
		die("usage: raw_bench produce -P PORT -t TOPIC [-p PARTITIONS] [-n RECORDS] [-s BYTES] [-a 1|all] "
			"[-B BATCH_BYTES] [-T SECONDS]");
	bench_produce(&opt);
	return 0;
}
