/*-------------------------------------------------------------------------
 *
 * test_assign.c
 *	  The server-side assignors: examples, and at random what must always hold.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
/* sources: src/coord/assign_uniform.c src/coord/assign_range.c */
#include "test.h"

#include "common/pg_prng.h"
#include "portability/instr_time.h"

#include "coord/assign.h"

/* A problem with room for its members and topics. */
typedef struct Problem
{
	CoordAssignment a;
	CoordAssignMember *members;
	int32	   *first;
} Problem;

static pg_prng_state prng;

static int
below(int n)
{
	return n <= 0 ? 0 : (int) pg_prng_uint64_range(&prng, 0, n - 1);
}

/* Members "m000"...; nobody subscribes to anything, nobody owns anything. */
static Problem *
problem_make(int n_members, int n_topics, const int *partitions)
{
	Problem    *p = pg_malloc0(sizeof(Problem));

	p->members = pg_malloc0(sizeof(CoordAssignMember) * Max(n_members, 1));
	p->first = pg_malloc0(sizeof(int32) * (n_topics + 1));
	for (int i = 0; i < n_members; i++)
	{
		char	   *id = psprintf("m%05d", i);

		p->members[i].member_id = (CoordBytes) {id, strlen(id)};
		p->members[i].instance_id = COORD_NULL_BYTES;
	}
	for (int t = 0; t < n_topics; t++)
		p->first[t + 1] = p->first[t] + partitions[t];
	p->a.members = p->members;
	p->a.n_members = n_members;
	p->a.n_topics = n_topics;
	p->a.first = p->first;
	p->a.owner = pg_malloc(sizeof(int32) * Max(p->first[n_topics], 1));
	for (int i = 0; i < p->first[n_topics]; i++)
		p->a.owner[i] = COORD_NOBODY;
	return p;
}

static void
problem_free(Problem *p)
{
	for (int i = 0; i < p->a.n_members; i++)
	{
		free(unconstify(char *, p->members[i].member_id.data));
		free(unconstify(int32 *, p->members[i].topics));
	}
	free(p->members);
	free(p->first);
	free(p->a.owner);
	free(p);
}

/* Subscribe to the topics whose bits are set. */
static void
subscribe(Problem *p, int member, uint64 topics)
{
	int32	   *list = pg_malloc(sizeof(int32) * 64);
	int			n = 0;

	for (int t = 0; t < 64 && t < p->a.n_topics; t++)
	{
		if (topics & (UINT64CONST(1) << t))
			list[n++] = t;
	}
	free(unconstify(int32 *, p->members[member].topics));
	p->members[member].topics = list;
	p->members[member].n_topics = n;
}

static bool
subscribed(const Problem *p, int member, int topic)
{
	for (int i = 0; i < p->members[member].n_topics; i++)
	{
		if (p->members[member].topics[i] == topic)
			return true;
	}
	return false;
}

static int
size_of(const Problem *p, int member)
{
	int			n = 0;

	for (int i = 0; i < p->first[p->a.n_topics]; i++)
		n += p->a.owner[i] == member;
	return n;
}

static bool
has_subscriber(const Problem *p, int topic)
{
	for (int i = 0; i < p->a.n_members; i++)
	{
		if (subscribed(p, i, topic))
			return true;
	}
	return false;
}

/* Every partition has an owner that subscribes, where there is one. */
static void
check_valid(const Problem *p)
{
	for (int t = 0; t < p->a.n_topics; t++)
	{
		bool		somebody = has_subscriber(p, t);

		for (int i = p->first[t]; i < p->first[t + 1]; i++)
		{
			if (!somebody)
				CHECK_INT(p->a.owner[i], COORD_NOBODY);
			else
				CHECK(p->a.owner[i] >= 0 && p->a.owner[i] < p->a.n_members && subscribed(p, p->a.owner[i], t));
		}
	}
}

static void
check_balanced(const Problem *p)
{
	int			least = PG_INT32_MAX;
	int			most = 0;

	for (int i = 0; i < p->a.n_members; i++)
	{
		least = Min(least, size_of(p, i));
		most = Max(most, size_of(p, i));
	}
	CHECK(p->a.n_members == 0 || most - least <= 1);
}

/* No partition could go to a subscriber that has two fewer than its owner. */
static void
check_settled(const Problem *p)
{
	int		   *size = pg_malloc0(sizeof(int) * Max(p->a.n_members, 1));

	for (int i = 0; i < p->first[p->a.n_topics]; i++)
	{
		if (p->a.owner[i] >= 0)
			size[p->a.owner[i]]++;
	}
	for (int t = 0; t < p->a.n_topics; t++)
	{
		int			least = PG_INT32_MAX;

		for (int m = 0; m < p->a.n_members; m++)
		{
			if (subscribed(p, m, t))
				least = Min(least, size[m]);
		}
		for (int i = p->first[t]; i < p->first[t + 1]; i++)
		{
			if (p->a.owner[i] >= 0)
				CHECK(size[p->a.owner[i]] - least <= 1);
		}
	}
	free(size);
}

static int32 *
copy_owners(const Problem *p)
{
	size_t		size = sizeof(int32) * p->first[p->a.n_topics];

	return (int32 *) test_copy((const char *) p->a.owner, size);
}

/* Partitions whose owner changed from somebody to somebody else. */
static int
count_moved(const Problem *p, const int32 *before)
{
	int			moved = 0;

	for (int i = 0; i < p->first[p->a.n_topics]; i++)
		moved += before[i] != COORD_NOBODY && before[i] != p->a.owner[i];
	return moved;
}

static void
test_uniform_examples(void)
{
	Problem    *p = problem_make(3, 2, (int[]) {4, 3});
	int32	   *before;

	for (int i = 0; i < 3; i++)
		subscribe(p, i, 3);
	coord_assign_uniform(&p->a);
	check_valid(p);
	check_balanced(p);

	/* The same again changes nothing. */
	before = copy_owners(p);
	coord_assign_uniform(&p->a);
	CHECK_INT(count_moved(p, before), 0);
	free(before);

	/* One leaves: only what it had changes hands. */
	subscribe(p, 1, 3);
	for (int i = 0; i < 7; i++)
		p->a.owner[i] = p->a.owner[i] == 2 ? COORD_NOBODY : p->a.owner[i];
	p->a.n_members = 2;
	before = copy_owners(p);
	coord_assign_uniform(&p->a);
	check_valid(p);
	check_balanced(p);
	CHECK_INT(count_moved(p, before), 0);
	free(before);
	p->a.n_members = 3;
	problem_free(p);
}

/* The larger shares stay with those who have them. */
static void
test_uniform_extra(void)
{
	Problem    *p = problem_make(3, 1, (int[]) {4});

	for (int i = 0; i < 3; i++)
		subscribe(p, i, 1);
	p->a.owner[0] = 0;
	p->a.owner[1] = 2;
	p->a.owner[2] = 2;
	coord_assign_uniform(&p->a);
	CHECK_INT(p->a.owner[0], 0);
	CHECK_INT(p->a.owner[1], 2);
	CHECK_INT(p->a.owner[2], 2);
	CHECK_INT(p->a.owner[3], 1);
	problem_free(p);
}

static void
test_nobody_and_nothing(void)
{
	for (int assignor = 0; assignor < COORD_ASSIGNORS; assignor++)
	{
		CoordAssignor assign = coord_assignor(coord_assignor_name(assignor));
		Problem    *p = problem_make(0, 0, NULL);

		assign(&p->a);
		problem_free(p);

		/* Members, but no topics. */
		p = problem_make(2, 0, NULL);
		assign(&p->a);
		problem_free(p);

		/* A topic without subscribers loses its owner; one without partitions is fine. */
		p = problem_make(2, 2, (int[]) {1, 0});
		subscribe(p, 0, 2);
		subscribe(p, 1, 2);
		p->a.owner[0] = 1;
		assign(&p->a);
		CHECK_INT(p->a.owner[0], COORD_NOBODY);
		problem_free(p);
	}
	CHECK(coord_assignor("sticky") == NULL);
	CHECK_INT(coord_assignor_number("range"), 1);
	CHECK_INT(coord_assignor_number("Uniform"), -1);
}

/* Topics of one size and the same subscribers: who has partition n has it of all. */
static void
test_range_copartitioned(void)
{
	Problem    *p = problem_make(3, 3, (int[]) {8, 8, 2});

	for (int i = 0; i < 3; i++)
		subscribe(p, i, 7);
	coord_assign_range(&p->a);
	check_valid(p);
	for (int i = 0; i < 8; i++)
	{
		CHECK_INT(p->a.owner[i], i < 3 ? 0 : i < 6 ? 1 : 2);
		CHECK_INT(p->a.owner[i], p->a.owner[8 + i]);
	}
	CHECK_INT(p->a.owner[16], 0);
	CHECK_INT(p->a.owner[17], 1);
	problem_free(p);
}

/* Static members come first, by instance id, whatever their member ids are. */
static void
test_range_static(void)
{
	Problem    *p = problem_make(3, 1, (int[]) {3});

	for (int i = 0; i < 3; i++)
		subscribe(p, i, 1);
	p->members[1].instance_id = (CoordBytes) {"b", 1};
	p->members[2].instance_id = (CoordBytes) {"a", 1};
	coord_assign_range(&p->a);
	CHECK_INT(p->a.owner[0], 2);
	CHECK_INT(p->a.owner[1], 1);
	CHECK_INT(p->a.owner[2], 0);
	problem_free(p);
}

static Problem *
problem_random(bool same)
{
	int			partitions[12];
	int			n_topics = 1 + below(12);
	Problem    *p;
	uint64		all = pg_prng_uint64(&prng);

	for (int t = 0; t < n_topics; t++)
		partitions[t] = below(4) == 0 ? below(60) : below(6);
	p = problem_make(1 + below(15), n_topics, partitions);
	for (int i = 0; i < p->a.n_members; i++)
		subscribe(p, i, same ? all : pg_prng_uint64(&prng) & pg_prng_uint64(&prng));
	for (int i = 0; i < p->first[n_topics]; i++)
		p->a.owner[i] = below(p->a.n_members + 1) - 1;
	return p;
}

/* The fewest partitions that must leave their owner for a balance within one. */
static int
fewest_moves(const Problem *p, const int32 *before)
{
	int			n = p->a.n_members;
	int			pool = 0;
	int			moves = 0;
	int			extra;
	int		   *size = pg_malloc0(sizeof(int) * n);

	for (int t = 0; t < p->a.n_topics; t++)
	{
		if (!subscribed(p, 0, t))
			continue;
		pool += p->first[t + 1] - p->first[t];
		for (int i = p->first[t]; i < p->first[t + 1]; i++)
		{
			if (before[i] >= 0)
				size[before[i]]++;
		}
	}
	extra = pool % n;
	for (int i = 0; i < n; i++)
	{
		int			over = size[i] - pool / n;

		if (over > 0 && extra > 0)
		{
			over--;
			extra--;
		}
		moves += Max(over, 0);
	}
	free(size);
	return moves;
}

static void
test_random_homogeneous(void)
{
	for (int round = 0; round < 3000; round++)
	{
		Problem    *p = problem_random(true);
		int32	   *before = copy_owners(p);
		int			moved = 0;

		SAY("round %d", round);
		coord_assign_uniform(&p->a);
		check_valid(p);
		check_balanced(p);
		for (int t = 0; t < p->a.n_topics; t++)
		{
			for (int i = p->first[t]; subscribed(p, 0, t) && i < p->first[t + 1]; i++)
				moved += before[i] >= 0 && before[i] != p->a.owner[i];
		}
		CHECK_INT(moved, fewest_moves(p, before));
		free(before);
		before = copy_owners(p);
		coord_assign_uniform(&p->a);
		CHECK_INT(count_moved(p, before), 0);
		free(before);
		problem_free(p);
	}
}

static void
test_random_heterogeneous(void)
{
	for (int round = 0; round < 3000; round++)
	{
		Problem    *p = problem_random(false);
		int32	   *before;

		SAY("round %d", round);
		coord_assign_uniform(&p->a);
		check_valid(p);
		check_settled(p);
		before = copy_owners(p);
		coord_assign_uniform(&p->a);
		CHECK_INT(count_moved(p, before), 0);
		free(before);
		problem_free(p);
	}
}

static void
test_random_range(void)
{
	for (int round = 0; round < 3000; round++)
	{
		Problem    *p = problem_random(below(2) == 0);

		SAY("round %d", round);
		coord_assign_range(&p->a);
		check_valid(p);
		for (int t = 0; t < p->a.n_topics; t++)
		{
			/* Contiguous: once an owner changes, it does not come back. */
			for (int i = p->first[t] + 1; i < p->first[t + 1]; i++)
			{
				for (int j = i + 1; p->a.owner[i] != p->a.owner[i - 1] && j < p->first[t + 1]; j++)
					CHECK(p->a.owner[j] != p->a.owner[i - 1]);
			}
		}
		problem_free(p);
	}
}

/* Thousands of members and partitions, with subscriptions that are alike and that are not. */
static void
test_large(void)
{
	int			partitions[40];
	Problem    *p;
	instr_time	start;
	instr_time	end;

	for (int t = 0; t < 40; t++)
		partitions[t] = 250;
	p = problem_make(5000, 40, partitions);
	INSTR_TIME_SET_CURRENT(start);
	for (int same = 0; same < 2; same++)
	{
		for (int i = 0; i < 5000; i++)
			subscribe(p, i, same ? ~UINT64CONST(0) : pg_prng_uint64(&prng));
		coord_assign_uniform(&p->a);
		check_settled(p);
		coord_assign_range(&p->a);
		check_valid(p);
	}
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	/* Sanitizers, a shared machine, and the checks themselves: this is generous. */
	CHECK(INSTR_TIME_GET_DOUBLE(end) < 10.0);
	problem_free(p);
}

int
main(void)
{
	pg_prng_seed(&prng, 20260848);
	RUN(test_uniform_examples);
	RUN(test_uniform_extra);
	RUN(test_nobody_and_nothing);
	RUN(test_range_copartitioned);
	RUN(test_range_static);
	RUN(test_random_homogeneous);
	RUN(test_random_heterogeneous);
	RUN(test_random_range);
	RUN(test_large);
	return test_done();
}
