/*-------------------------------------------------------------------------
 *
 * txn_bench.c
 *	  Kafka transactions by librdkafka: how many, and how long each takes.
 *
 *		txn_bench -b HOST:PORT -t TOPIC -p PARTITIONS -n RECORDS -s BYTES
 *				  -c PRODUCERS -i INTERVAL_MS -d SECONDS [-P]
 *
 * Each producer has a thread, a transactional id and a connection.  In every
 * interval it begins a transaction, sends so many records of so many bytes,
 * one after the other to all partitions, and commits.  With -P there is no
 * transaction: an idempotent producer sends the same records and waits until
 * all are acknowledged.
 *
 * What is timed is from the first record to the end of the commit.  The first
 * second is not counted.  The result is one line of JSON on standard output.
 * lib/clients.py runs this program.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

#define MAX_PRODUCERS	64
#define MAX_COMMITS		200000	/* of one producer */
#define TIMEOUT_MS		30000
#define WARMUP_US		1000000

static struct
{
	const char *brokers;
	const char *topic;
	int			partitions;
	int			records;
	int			size;
	int			producers;
	int			interval_ms;
	int			seconds;
	bool		plain;
}			opt;

static int64_t begin_us;		/* when all of them are ready */
static pthread_barrier_t ready;	/* passed twice: begin_us is set between */

typedef struct Producer
{
	pthread_t	thread;
	int			number;
	int64_t    *took_us;
	int			n;
} Producer;

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "txn_bench: %s: %s\n", what, why);
	exit(1);
}

static void
check(rd_kafka_error_t * error, const char *what)
{
	if (error != NULL)
		die(what, rd_kafka_error_string(error));
}

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void
set_property(rd_kafka_conf_t * conf, const char *name, const char *value)
{
	char		error[256];

	if (rd_kafka_conf_set(conf, name, value, error, sizeof(error)) != RD_KAFKA_CONF_OK)
		die(name, error);
}

static rd_kafka_t *
open_producer(int number)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char		text[256];
	rd_kafka_t *rk;

	set_property(conf, "bootstrap.servers", opt.brokers);
	set_property(conf, "socket.nagle.disable", "true");
	set_property(conf, "linger.ms", "0");
	set_property(conf, "acks", "all");
	set_property(conf, "enable.idempotence", "true");
	if (!opt.plain)
	{
		snprintf(text, sizeof(text), "txn-bench-%d-%d", (int) getpid(), number);
		set_property(conf, "transactional.id", text);
	}
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
	if (rk == NULL)
		die("producer", text);
	if (!opt.plain)
		check(rd_kafka_init_transactions(rk, TIMEOUT_MS), "init_transactions");
	return rk;
}

/* One transaction, or as much without. */
static void
send_all(rd_kafka_t * rk, const char *payload)
{
	if (!opt.plain)
		check(rd_kafka_begin_transaction(rk), "begin_transaction");
	for (int i = 0; i < opt.records; i++)
	{
		rd_kafka_resp_err_t error = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(opt.topic), RD_KAFKA_V_PARTITION(i % opt.partitions),
													  RD_KAFKA_V_VALUE((void *) payload, opt.size), RD_KAFKA_V_END);

		if (error)
			die("produce", rd_kafka_err2str(error));
	}
	if (opt.plain)
	{
		if (rd_kafka_flush(rk, TIMEOUT_MS))
			die("flush", "timed out");
	}
	else
		check(rd_kafka_commit_transaction(rk, TIMEOUT_MS), "commit_transaction");
}

static void *
produce(void *arg)
{
	Producer   *p = arg;
	rd_kafka_t *rk = open_producer(p->number);
	char	   *payload = malloc(opt.size + 1);

	memset(payload, 'x', opt.size);
	p->took_us = malloc(MAX_COMMITS * sizeof(int64_t));
	send_all(rk, payload);
	pthread_barrier_wait(&ready);
	pthread_barrier_wait(&ready);
	for (int64_t next = begin_us;; next += (int64_t) opt.interval_ms * 1000)
	{
		int64_t		start = now_us();

		if (start < next)
			usleep(next - start);
		else
			next = start;		/* it is late: no interval is made up for */
		start = now_us();
		if (start > begin_us + WARMUP_US + (int64_t) opt.seconds * 1000000 || p->n == MAX_COMMITS)
			break;
		send_all(rk, payload);
		if (start > begin_us + WARMUP_US)
			p->took_us[p->n++] = now_us() - start;
	}
	rd_kafka_destroy(rk);
	free(payload);
	return NULL;
}

static int
compare(const void *a, const void *b)
{
	int64_t		x = *(const int64_t *) a;
	int64_t		y = *(const int64_t *) b;

	return x < y ? -1 : x > y;
}

static void
report(Producer *producers)
{
	int64_t    *all;
	int64_t		n = 0;

	for (int i = 0; i < opt.producers; i++)
		n += producers[i].n;
	if (n == 0)
		die("transactions", "none");
	all = malloc(n * sizeof(int64_t));
	n = 0;
	for (int i = 0; i < opt.producers; i++)
	{
		memcpy(all + n, producers[i].took_us, producers[i].n * sizeof(int64_t));
		n += producers[i].n;
	}
	qsort(all, n, sizeof(int64_t), compare);
	printf("{\"commits\": %" PRId64 ", \"seconds\": %d, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f}\n",
		   n, opt.seconds, all[n / 2] / 1e3, all[n * 99 / 100] / 1e3, all[n - 1] / 1e3);
}

static void
parse(int argc, char **argv)
{
	int			c;

	while ((c = getopt(argc, argv, "b:t:p:n:s:c:i:d:P")) != -1)
	{
		switch (c)
		{
			case 'b': opt.brokers = optarg; break;
			case 't': opt.topic = optarg; break;
			case 'p': opt.partitions = atoi(optarg); break;
			case 'n': opt.records = atoi(optarg); break;
			case 's': opt.size = atoi(optarg); break;
			case 'c': opt.producers = atoi(optarg); break;
			case 'i': opt.interval_ms = atoi(optarg); break;
			case 'd': opt.seconds = atoi(optarg); break;
			case 'P': opt.plain = true; break;
			default: exit(2);
		}
	}
	if (!opt.brokers || !opt.topic || opt.partitions < 1 || opt.records < 1 || opt.size < 1 || opt.producers < 1 ||
		opt.producers > MAX_PRODUCERS || opt.seconds < 1)
		die("usage", "see the head of txn_bench.c");
}

int
main(int argc, char **argv)
{
	static Producer producers[MAX_PRODUCERS];

	parse(argc, argv);
	pthread_barrier_init(&ready, NULL, opt.producers + 1);
	for (int i = 0; i < opt.producers; i++)
	{
		producers[i].number = i;
		if (pthread_create(&producers[i].thread, NULL, produce, &producers[i]) != 0)
			die("thread", "could not be made");
	}
	pthread_barrier_wait(&ready);
	begin_us = now_us();
	pthread_barrier_wait(&ready);
	for (int i = 0; i < opt.producers; i++)
		pthread_join(producers[i].thread, NULL);
	report(producers);
	return 0;
}
