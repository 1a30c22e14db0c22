/*-------------------------------------------------------------------------
 *
 * rdk_bench.c
 *	  The librdkafka client of the benchmark: topics, produce, consume, latency.
 *
 *		rdk_bench create  -b HOST:PORT -t TOPIC -p PARTITIONS [-C NAME=VALUE]
 *		rdk_bench delete  -b HOST:PORT -t TOPIC
 *		rdk_bench produce -b HOST:PORT -t TOPIC -p PARTITIONS -n RECORDS -s BYTES [-k KEYS]
 *		rdk_bench consume -b HOST:PORT -t TOPIC -p PARTITIONS -n RECORDS
 *		rdk_bench latency -b HOST:PORT -t TOPIC -n RECORDS -s BYTES [-w WARMUP]
 *
 * With -k each record has one of so many keys, in an order that looks random
 * and is always the same.
 *
 * -X name=value sets any librdkafka property (acks, batch.size, linger.ms, ...) and
 * may be repeated; -T is the deadline in seconds (default 120).  The result is one line of JSON
 * on standard output.  Clocks start after the connection is up and the topic's
 * metadata is known, so that what is timed is the data path alone; "start" is
 * the monotonic clock's seconds then, so that several programs can be added up.
 * lib/clients.py runs this program.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#define PRODUCE_CHUNK	500		/* records given to librdkafka in one call,
								 * all to one partition */
#define CONSUME_CHUNK	4096
#define MAX_PROPERTIES	64
#define KEY_BYTES		19

typedef struct Options
{
	const char *brokers;
	const char *topic;
	int			partitions;
	int64_t		records;
	int64_t		warmup;
	int			size;
	int64_t		keys;			/* 0: records have none */
	int			deadline_s;
	char	   *topic_config;	/* name=value of a topic to create, or NULL */
	int			nproperties;
	char	   *properties[MAX_PROPERTIES];
} Options;

static int64_t delivery_errors;
static rd_kafka_resp_err_t last_error;

static void
die(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	fprintf(stderr, "rdk_bench: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(1);
}

static int64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* Called for failed records only, unless the caller asks for all (latency). */
static void
on_delivery(rd_kafka_t * rk, const rd_kafka_message_t * message, void *opaque)
{
	if (message->err)
	{
		delivery_errors++;
		last_error = message->err;
	}
	else if (message->_private != NULL)
		*(int64_t *) message->_private = rd_kafka_message_latency(message);
}

static void
on_error(rd_kafka_t * rk, int err, const char *reason, void *opaque)
{
	fprintf(stderr, "rdk_bench: %s: %s\n", rd_kafka_err2name(err), reason);
}

static void
set_property(rd_kafka_conf_t * conf, const char *name, const char *value)
{
	char		error[256];

	if (rd_kafka_conf_set(conf, name, value, error, sizeof(error)) != RD_KAFKA_CONF_OK)
		die("%s", error);
}

/* A handle with the given defaults (name, value, ..., NULL) and then the user's -X on top. */
static rd_kafka_t *
open_client(const Options *opt, rd_kafka_type_t type, bool report_all,...)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char		error[256];
	const char *name;
	va_list		args;
	rd_kafka_t *rk;

	set_property(conf, "bootstrap.servers", opt->brokers);
	set_property(conf, "socket.nagle.disable", "true");
	va_start(args, report_all);
	while ((name = va_arg(args, const char *)) != NULL)
		set_property(conf, name, va_arg(args, const char *));
	va_end(args);
	for (int i = 0; i < opt->nproperties; i++)
	{
		char	   *property = strdup(opt->properties[i]);
		char	   *equals = strchr(property, '=');

		if (equals == NULL)
			die("-X wants name=value, not \"%s\"", property);
		*equals = '\0';
		/* one command line serves both sides of the latency mode */
		if (rd_kafka_conf_set(conf, property, equals + 1, error, sizeof(error)) == RD_KAFKA_CONF_UNKNOWN)
			die("%s", error);
		free(property);
	}
	rd_kafka_conf_set_error_cb(conf, on_error);
	if (type == RD_KAFKA_PRODUCER)
	{
		rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
		set_property(conf, "delivery.report.only.error", report_all ? "false" : "true");
	}
	rk = rd_kafka_new(type, conf, error, sizeof(error));
	if (rk == NULL)
		die("%s", error);
	return rk;
}

/* Connects, and waits until the topic is there with all its partitions. */
static void
await_topic(const Options *opt, rd_kafka_t * rk, rd_kafka_topic_t * rkt)
{
	int64_t		deadline = now_us() + (int64_t) opt->deadline_s * 1000000;

	for (;;)
	{
		const struct rd_kafka_metadata *metadata;
		int			found = 0;

		if (rd_kafka_metadata(rk, 0, rkt, &metadata, 5000) == RD_KAFKA_RESP_ERR_NO_ERROR)
		{
			if (metadata->topic_cnt == 1 && !metadata->topics[0].err)
				for (int i = 0; i < metadata->topics[0].partition_cnt; i++)
					if (metadata->topics[0].partitions[i].leader >= 0)
						found++;
			rd_kafka_metadata_destroy(metadata);
		}
		if (found >= opt->partitions)
			break;
		if (now_us() > deadline)
			die("topic %s has %d of %d partitions", opt->topic, found, opt->partitions);
		rd_kafka_poll(rk, 50);
	}

	/*
	 * librdkafka's own threads know the leader a bit later; who asks it for
	 * an offset before that waits 500 ms
	 */
	for (int p = 0; p < opt->partitions; p++)
		while (!rd_kafka_topic_partition_available(rkt, p))
		{
			if (now_us() > deadline)
				die("partition %d of topic %s is not available", p, opt->topic);
			rd_kafka_poll(rk, 1);
		}
}

static char *
make_payload(int size)
{
	char	   *payload = malloc(size + 1);
	uint32_t	x = 2463534242u;

	for (int i = 0; i < size; i++)
	{
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		payload[i] = 'a' + x % 26;
	}
	return payload;
}

/* -- create, delete -- */

static void
administer(const Options *opt, bool create)
{
	rd_kafka_t *rk = open_client(opt, RD_KAFKA_PRODUCER, false, NULL);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_event_t *event;
	const		rd_kafka_topic_result_t **results;
	size_t		nresults;
	char		error[256];

	if (create)
	{
		rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(opt->topic, opt->partitions, 1, error, sizeof(error));

		if (topic == NULL)
			die("%s", error);
		if (opt->topic_config != NULL)
		{
			char	   *equals = strchr(opt->topic_config, '=');

			if (equals == NULL)
				die("-C wants name=value, not \"%s\"", opt->topic_config);
			*equals = '\0';
			rd_kafka_NewTopic_set_config(topic, opt->topic_config, equals + 1);
		}
		rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
	}
	else
	{
		rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(opt->topic);

		rd_kafka_DeleteTopics(rk, &topic, 1, NULL, queue);
	}
	event = rd_kafka_queue_poll(queue, opt->deadline_s * 1000);
	if (event == NULL || rd_kafka_event_error(event))
		die("topic %s: %s", opt->topic, event ? rd_kafka_event_error_string(event) : "timed out");
	results = create ?
		rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &nresults) :
		rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &nresults);
	if (nresults != 1 || rd_kafka_topic_result_error(results[0]))
		die("topic %s: %s", opt->topic, rd_kafka_topic_result_error_string(results[0]));
	printf("{\"topic\": \"%s\"}\n", opt->topic);
	exit(0);					/* the handle has nothing left to flush */
}

/* -- produce -- */

/* Hands over one chunk for one partition, waiting for room in the queue as often as needed. */
static void
produce_chunk(rd_kafka_t * rk, rd_kafka_topic_t * rkt, int partition,
			  rd_kafka_message_t * messages, int n, int64_t deadline)
{
	while (n > 0)
	{
		int			done = rd_kafka_produce_batch(rkt, partition, 0, messages, n);

		if (done < n)
		{
			/*
			 * the first that was refused says why; only a full queue is worth
			 * waiting for
			 */
			for (int i = 0; i < n; i++)
				if (messages[i].err && messages[i].err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
					die("produce: %s", rd_kafka_err2str(messages[i].err));
			if (now_us() > deadline)
				die("produce: timed out");
			rd_kafka_poll(rk, 1);
		}
		n -= done;
		messages += done;
	}
	rd_kafka_poll(rk, 0);
}

/* Gives n messages the keys of records from "first" on; librdkafka copies them. */
static void
set_keys(const Options *opt, rd_kafka_message_t * messages, int n, int64_t first)
{
	static char keys[PRODUCE_CHUNK][KEY_BYTES + 1];

	for (int i = 0; i < n; i++)
	{
		uint64_t	mixed = (uint64_t) (first + i) * UINT64_C(0x9E3779B97F4A7C15);

		snprintf(keys[i], sizeof(keys[i]), "%0*" PRIu64, KEY_BYTES, (mixed ^ mixed >> 29) % (uint64_t) opt->keys);
		messages[i].key = keys[i];
		messages[i].key_len = KEY_BYTES;
	}
}

static void
bench_produce(const Options *opt)
{
	/*
	 * one static payload for all records: no copy and no allocation in the
	 * client's hot path
	 */
	rd_kafka_t *rk = open_client(opt, RD_KAFKA_PRODUCER, false,
								 "queue.buffering.max.messages", "1000000",
								 "queue.buffering.max.kbytes", "131072",
								 "batch.num.messages", "100000",
								 "linger.ms", "20", NULL);
	rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, opt->topic, NULL);
	char	   *payload = make_payload(opt->size);
	rd_kafka_message_t *messages = calloc(PRODUCE_CHUNK, sizeof(*messages));
	int64_t		left = opt->records;
	int			partition = 0;
	int64_t		start,
				end,
				deadline;

	await_topic(opt, rk, rkt);
	start = now_us();
	deadline = start + (int64_t) opt->deadline_s * 1000000;
	while (left > 0)
	{
		int			n = left < PRODUCE_CHUNK ? left : PRODUCE_CHUNK;

		for (int i = 0; i < n; i++)
		{
			messages[i].payload = payload;
			messages[i].len = opt->size;
			messages[i].err = 0;
		}
		if (opt->keys > 0)
			set_keys(opt, messages, n, opt->records - left);
		produce_chunk(rk, rkt, partition, messages, n, deadline);
		partition = (partition + 1) % opt->partitions;
		left -= n;
	}
	if (rd_kafka_flush(rk, opt->deadline_s * 1000) != RD_KAFKA_RESP_ERR_NO_ERROR)
		die("produce: %d records not acknowledged in time", rd_kafka_outq_len(rk));
	end = now_us();
	if (delivery_errors > 0)
		die("produce: %" PRId64 " records failed, the last with %s", delivery_errors, rd_kafka_err2str(last_error));
	printf("{\"records\": %" PRId64 ", \"bytes\": %" PRId64 ", \"seconds\": %.6f, \"start\": %.6f}\n",
		   opt->records, opt->records * opt->size, (end - start) / 1e6, start / 1e6);
}

/* -- consume -- */

static void
bench_consume(const Options *opt)
{
	rd_kafka_t *rk = open_client(opt, RD_KAFKA_CONSUMER, false,
								 "fetch.message.max.bytes", "8388608",
								 "queued.max.messages.kbytes", "65536",

	/*
	 * the first fetch may know of some partitions only, and would wait at
	 * their end
	 */
								 "fetch.wait.max.ms", "10",
								 "queued.min.messages", "10000000", NULL);
	rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, opt->topic, NULL);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_message_t **messages = calloc(CONSUME_CHUNK, sizeof(*messages));
	int64_t		received = 0;
	int64_t		bytes = 0;
	int64_t		start,
				first = 0,
				deadline;

	await_topic(opt, rk, rkt);
	start = now_us();
	deadline = start + (int64_t) opt->deadline_s * 1000000;
	for (int p = 0; p < opt->partitions; p++)
		if (rd_kafka_consume_start_queue(rkt, p, RD_KAFKA_OFFSET_BEGINNING, queue) < 0)
			die("consume: %s", rd_kafka_err2str(rd_kafka_last_error()));
	while (received < opt->records)
	{
		ssize_t		n = rd_kafka_consume_batch_queue(queue, 100, messages, CONSUME_CHUNK);

		for (ssize_t i = 0; i < n; i++)
		{
			if (messages[i]->err && messages[i]->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
				die("consume: %s", rd_kafka_message_errstr(messages[i]));
			if (!messages[i]->err)
			{
				received++;
				bytes += messages[i]->len;
			}
			rd_kafka_message_destroy(messages[i]);
		}
		if (first == 0 && received > 0)
			first = now_us();
		if (now_us() > deadline)
			die("consume: %" PRId64 " of %" PRId64 " records in time", received, opt->records);
	}
	printf("{\"records\": %" PRId64 ", \"bytes\": %" PRId64 ", \"seconds\": %.6f, \"first_ms\": %.3f}\n",
		   received, bytes, (now_us() - start) / 1e6, (first - start) / 1e3);
	fflush(stdout);
	_Exit(0);					/* tearing down a full queue takes longer than
								 * the run */
}

/* -- latency -- */

static int
compare_int64(const void *a, const void *b)
{
	int64_t		x = *(const int64_t *) a;
	int64_t		y = *(const int64_t *) b;

	return x < y ? -1 : x > y;
}

static void
print_percentiles(const char *name, int64_t *us, int64_t n)
{
	static const double percentiles[] = {50, 90, 99, 99.9};

	qsort(us, n, sizeof(*us), compare_int64);
	for (int i = 0; i < 4; i++)
	{
		int64_t		at = (int64_t) (n * percentiles[i] / 100);

		printf("\"%s_p%g_ms\": %.3f, ", name, percentiles[i], us[at < n ? at : n - 1] / 1e3);
	}
	printf("\"%s_max_ms\": %.3f, ", name, us[n - 1] / 1e3);
}

/* Waits for the record that begins with this sequence number. */
static void
await_record(rd_kafka_queue_t * queue, int64_t sequence, int64_t deadline)
{
	for (;;)
	{
		rd_kafka_message_t *message = rd_kafka_consume_queue(queue, 100);
		bool		found = false;

		if (message != NULL)
		{
			if (!message->err && message->len >= sizeof(sequence))
				found = memcmp(message->payload, &sequence, sizeof(sequence)) == 0;
			rd_kafka_message_destroy(message);
		}
		if (found)
			return;
		if (now_us() > deadline)
			die("latency: record %" PRId64 " did not come back in time", sequence);
	}
}

/*
 * One record at a time through producer, server and a consumer that is waiting in a
 * long poll: from the call of produce until the consumer has it (e2e), and until
 * the acknowledgement has arrived (ack).
 */
static void
bench_latency(const Options *opt)
{
	rd_kafka_t *producer = open_client(opt, RD_KAFKA_PRODUCER, true, "linger.ms", "0", NULL);
	rd_kafka_t *consumer = open_client(opt, RD_KAFKA_CONSUMER, false, "fetch.wait.max.ms", "500", NULL);
	rd_kafka_topic_t *out = rd_kafka_topic_new(producer, opt->topic, NULL);
	rd_kafka_topic_t *in = rd_kafka_topic_new(consumer, opt->topic, NULL);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(consumer);
	char	   *payload = make_payload(opt->size);
	int64_t    *e2e = calloc(opt->records, sizeof(*e2e));
	int64_t    *ack = calloc(opt->records, sizeof(*ack));
	int64_t		deadline = now_us() + (int64_t) opt->deadline_s * 1000000;

	if (opt->size < (int) sizeof(int64_t))
		die("latency needs records of at least 8 bytes");
	await_topic(opt, producer, out);
	await_topic(opt, consumer, in);
	if (rd_kafka_consume_start_queue(in, 0, RD_KAFKA_OFFSET_BEGINNING, queue) < 0)
		die("latency: %s", rd_kafka_err2str(rd_kafka_last_error()));
	for (int64_t i = -opt->warmup; i < opt->records; i++)
	{
		int64_t		acked = -1;
		int64_t		start = now_us();

		memcpy(payload, &i, sizeof(i));
		if (rd_kafka_produce(out, 0, 0, payload, opt->size, NULL, 0, &acked) != 0)
			die("latency: %s", rd_kafka_err2str(rd_kafka_last_error()));
		await_record(queue, i, deadline);
		if (i >= 0)
			e2e[i] = now_us() - start;
		while (acked < 0 && delivery_errors == 0 && now_us() < deadline)
			rd_kafka_poll(producer, 100);
		if (acked < 0)
			die("latency: record %" PRId64 " not acknowledged: %s", i, rd_kafka_err2str(last_error));
		if (i >= 0)
			ack[i] = acked;
	}
	printf("{\"records\": %" PRId64 ", ", opt->records);
	print_percentiles("e2e", e2e, opt->records);
	print_percentiles("ack", ack, opt->records);
	printf("\"bytes\": %" PRId64 "}\n", opt->records * opt->size);
	fflush(stdout);
	_Exit(0);
}

int
main(int argc, char **argv)
{
	Options		opt = {.partitions = 1,.records = 1000,.warmup = 200,.size = 100,.deadline_s = 120};
	const char *mode = argc > 1 ? argv[1] : "";
	int			c;

	while ((c = getopt(argc, argv, "b:t:p:n:s:k:w:T:X:C:")) != -1)
	{
		switch (c)
		{
			case 'b':
				opt.brokers = optarg;
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
			case 'k':
				opt.keys = atoll(optarg);
				break;
			case 'w':
				opt.warmup = atoll(optarg);
				break;
			case 'T':
				opt.deadline_s = atoi(optarg);
				break;
			case 'C':
				opt.topic_config = optarg;
				break;
			case 'X':
				if (opt.nproperties == MAX_PROPERTIES)
					die("too many -X");
				opt.properties[opt.nproperties++] = optarg;
				break;
			default:
				return 2;
		}
	}
	if (opt.brokers == NULL || opt.topic == NULL || opt.partitions < 1 || opt.records < 1 || opt.size < 1)
		die("usage: rdk_bench create|delete|produce|consume|latency -b HOST:PORT -t TOPIC "
			"[-p PARTITIONS] [-n RECORDS] [-s BYTES] [-k KEYS] [-w WARMUP] [-T SECONDS] [-C name=value] [-X name=value]...");
	if (strcmp(mode, "create") == 0 || strcmp(mode, "delete") == 0)
		administer(&opt, strcmp(mode, "create") == 0);
	else if (strcmp(mode, "produce") == 0)
		bench_produce(&opt);
	else if (strcmp(mode, "consume") == 0)
		bench_consume(&opt);
	else if (strcmp(mode, "latency") == 0)
		bench_latency(&opt);
	else
		die("unknown mode \"%s\"", mode);
	return 0;
}
