/*-------------------------------------------------------------------------
 *
 * test_txn_record.c
 *	  The records of __transaction_state: Kafka's bytes, and hostile ones.
 *
 * The bytes here were made by the classes of Kafka 4.4 (TransactionLogKey,
 * TransactionLogValue).
 *
 * Sibling: test_txn.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
/* sources: src/txn/?*.c */
#include "test.h"

#include "txn/txn.h"

#define KEY			"000000087061796d656e7473"
#define EMPTY_0		"000000000000000003e800030000ea6000ffffffff0000018bcfe5687bffffffffffffffff"
#define EMPTY_1		"000100000000000003e800030000ea6000000000018bcfe5687bffffffffffffffff00"
#define ONGOING_0	"000000000000000003e800030000ea60010000000100066f7264657273000000020000000100000003" \
	"0000018bcfe5687b0000018bcfe56800"
#define ONGOING_1	"000100000000000003e800030000ea600102076f7264657273030000000100000003000000018bcfe5687b" \
	"0000018bcfe5680000"
#define COMMIT_1	"000100000000000003e900000000ea6004010000018bcfe5687b0000018bcfe56800" \
	"02000800000000000003e802020002"
#define NEXT_1		"000100000000000003e900000000ea6004010000018bcfe5687b0000018bcfe56800" \
	"03000800000000000003e8010800000000000003ea02020002"

static const TxnImage empty = {1000, -1, 3, -1, 0, 60000, TXN_EMPTY, -1, INT64CONST(1700000000123)};
static const TxnImage ongoing = {1000, -1, 3, -1, 0, 60000, TXN_ONGOING, INT64CONST(1700000000000),
INT64CONST(1700000000123)};
static const TxnImage commit = {1001, 1000, 0, -1, 2, 60000, TXN_COMPLETE_COMMIT, INT64CONST(1700000000000),
INT64CONST(1700000000123)};
static const int32 partitions[] = {1, 3};
static const TxnTopic orders = {{"orders", 6}, 2, partitions};

static PtString
unhex(const char *hex)
{
	size_t		len;
	char	   *data = test_unhex(hex, &len);

	return (PtString) {data, (int32) len};
}

static void
check_written(PtString got, const char *want_hex)
{
	PtString	want = unhex(want_hex);

	CHECK_BYTES(got.data, got.len, want.data, want.len);
	pfree((char *) got.data);
	pfree((char *) want.data);
}

static void
test_written(void)
{
	check_written(txn_key_write(PT_STRING("payments")), KEY);
	check_written(txn_value_write(&empty, NULL, 0), EMPTY_1);
	check_written(txn_value_write(&ongoing, &orders, 1), ONGOING_1);
	check_written(txn_value_write(&commit, NULL, 0), COMMIT_1);
}

static void
check_read(const char *hex, const TxnImage *want)
{
	PtString	value = unhex(hex);
	TxnImage	got;

	SAY("%s", hex);
	CHECK(txn_value_read(value, &got));
	CHECK_INT(got.producer_id, want->producer_id);
	CHECK_INT(got.previous_producer_id, want->previous_producer_id);
	CHECK_INT(got.epoch, want->epoch);
	CHECK_INT(got.last_epoch, TXN_NO_EPOCH);
	CHECK_INT(got.client_version, want->client_version);
	CHECK_INT(got.timeout_ms, want->timeout_ms);
	CHECK_INT(got.state, want->state);
	CHECK_INT(got.started_at, want->started_at);
	CHECK_INT(got.updated_at, want->updated_at);

	/* one that is cut anywhere is none */
	for (int32 len = 0; len < value.len; len++)
	{
		char	   *cut = test_copy(value.data, len);

		CHECK(!txn_value_read((PtString) {cut, len}, &got));
		pfree(cut);
	}
	pfree((char *) value.data);
}

static void
test_read(void)
{
	PtString	key = unhex(KEY);
	PtString	id;

	CHECK(txn_key_read(key, &id));
	CHECK_BYTES(id.data, id.len, "payments", 8);
	for (int32 len = 0; len < key.len; len++)
	{
		char	   *cut = test_copy(key.data, len);

		CHECK(!txn_key_read((PtString) {cut, len}, &id));
		pfree(cut);
	}
	pfree((char *) key.data);
	check_read(EMPTY_0, &empty);
	check_read(EMPTY_1, &empty);
	check_read(ONGOING_0, &ongoing);
	check_read(ONGOING_1, &ongoing);
	check_read(COMMIT_1, &commit);
	check_read(NEXT_1, &commit);
}

/* What cannot be is refused: versions, states, negative numbers. */
static void
test_refused(void)
{
	static const struct
	{
		int			at;			/* byte of EMPTY_1 */
		int			becomes;
	}			spoilt[] = {
		{0, 0xFF}, {1, 2}, {2, 0x80}, {10, 0x80}, {12, 0x80}, {16, 8}, {16, 0xFF}, {18, 0x80}, {26, 0x80}
	};
	PtString	id;
	TxnImage	image;

	for (int i = 0; i < lengthof(spoilt); i++)
	{
		PtString	value = unhex(EMPTY_1);

		SAY("byte %d", spoilt[i].at);
		((char *) value.data)[spoilt[i].at] = (char) spoilt[i].becomes;
		CHECK(!txn_value_read(value, &image));
		pfree((char *) value.data);
	}
	SAY("%s", "");
	CHECK(!txn_value_read(PT_STRING_NULL, &image));
	CHECK(!txn_key_read(PT_STRING_NULL, &id));
	CHECK(!txn_key_read(PT_STRING("\0\0\0\0"), &id));
	CHECK(!txn_key_read(PT_STRING("\0\0\xFF\xFF"), &id));
	CHECK(!txn_key_read(PT_STRING("\0\0\0\1xy"), &id));
	CHECK(!txn_key_read(PT_STRING("\0\1\0\1x"), &id));
}

/* Any bytes: nothing is read behind their end. */
static void
test_hostile(void)
{
	const char *const seeds[] = {ONGOING_0, ONGOING_1, NEXT_1, KEY};
	uint64		random = 7;
	int			good = 0;

	for (int n = 0; n < 40000; n++)
	{
		PtString	value = unhex(seeds[n % lengthof(seeds)]);
		char	   *bytes = (char *) value.data;
		PtString	id;
		TxnImage	image;

		for (int k = test_random(&random) % 4; k >= 0; k--)
			bytes[test_random(&random) % value.len] = (char) test_random(&random);
		if (txn_value_read(value, &image))
		{
			good++;
			CHECK(image.producer_id >= 0 && image.epoch >= 0 && image.state < TXN_NSTATES);
		}
		if (txn_key_read(value, &id))
			CHECK(id.len > 0 && id.data + id.len <= value.data + value.len);
		pfree(bytes);
	}
	CHECK(good > 100);
}

int
main(void)
{
	RUN(test_written);
	RUN(test_read);
	RUN(test_refused);
	RUN(test_hostile);
	return test_done();
}
