/*-------------------------------------------------------------------------
 *
 * group_views.c
 *	  What the views consumer_groups and group_members show of groups that
 *	  live.
 *
 * Only the control worker knows, so it is asked, as any Kafka client would:
 * ListGroups, then DescribeGroups and ConsumerGroupDescribe for those that
 * have members.  Where there is no control worker (a standby, no listener,
 * another database) there are no such groups.
 *
 * Siblings: control_query.c; ../func/group_info.c has what is known from
 * committed offsets.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"

#include "guc.h"
#include "groups/groups.h"
#include "kafka/api.h"
#include "kafka/codec.h"
#include "record/bytes.h"
#include "stats/control_query.h"
#include "topic/types.h"

PG_FUNCTION_INFO_V1(pt_list_live_groups);
PG_FUNCTION_INFO_V1(pt_list_group_members);

#define LIST_VERSION		5
#define DESCRIBE_VERSION	6
#define CONSUMER_VERSION	1

/* Groups of a kind that have members. */
typedef struct Names
{
	KafkaString *items;
	int32		n;
} Names;

typedef struct Live
{
	ListGroupsResponse list;
	DescribeGroupsResponse classic;
	ConsumerGroupDescribeResponse consumer;
} Live;

static bool
string_is(KafkaString s, const char *what)
{
	return s.len == strlen(what) && pg_strncasecmp(s.data, what, s.len) == 0;
}

static Datum
text_or_null(KafkaString s, bool *isnull)
{
	*isnull = s.len <= 0;
	return *isnull ? (Datum) 0 : CStringGetTextDatum(pt_string_to_server(s));
}

/* Is there anybody to ask? */
static bool
can_ask(void)
{
	const char *database = get_database_name(MyDatabaseId);

	return pt_control_expected() && database != NULL && strcmp(database, pt_database) == 0;
}

/* The groups of a type that are not empty. */
static Names
names_of(const ListGroupsResponse *list, const char *type)
{
	Names		names = {palloc(Max(list->groups.n, 1) * sizeof(KafkaString)), 0};

	for (int i = 0; i < list->groups.n; i++)
	{
		const ListedGroup *group = &list->groups.items[i];

		if (string_is(group->group_type, type) && !string_is(group->group_state, "Empty") &&
			!string_is(group->group_state, "Dead"))
			names.items[names.n++] = group->group_id;
	}
	return names;
}

static void
ask(Live *live)
{
	ListGroupsRequest list;
	DescribeGroupsRequest classic;
	ConsumerGroupDescribeRequest consumer;
	Names		names;

	kafka_defaults(kafka_schema_ListGroupsRequest(), &list, 1);
	pt_control_call(KAFKA_KEY_ListGroups, LIST_VERSION, &list, &live->list);
	names = names_of(&live->list, "classic");
	if (names.n > 0)
	{
		kafka_defaults(kafka_schema_DescribeGroupsRequest(), &classic, 1);
		classic.groups.items = names.items;
		classic.groups.n = names.n;
		pt_control_call(KAFKA_KEY_DescribeGroups, DESCRIBE_VERSION, &classic, &live->classic);
	}
	names = names_of(&live->list, "consumer");
	if (names.n > 0)
	{
		kafka_defaults(kafka_schema_ConsumerGroupDescribeRequest(), &consumer, 1);
		consumer.group_ids.items = names.items;
		consumer.group_ids.n = names.n;
		pt_control_call(KAFKA_KEY_ConsumerGroupDescribe, CONSUMER_VERSION, &consumer, &live->consumer);
	}
}

/*
 * Groups: group_id, kind, state, protocol_type, protocol, epoch, members
 */

static void
put_group(ReturnSetInfo *rsinfo, const ListedGroup *listed, const DescribedGroup *classic,
		  const DescribedConsumerGroup *consumer)
{
	Datum		values[7];
	bool		nulls[7] = {false};
	int			members = classic ? classic->members.n : consumer ? consumer->members.n : 0;

	if (!pt_group_visible(listed->group_id))
		return;
	values[0] = text_or_null(listed->group_id, &nulls[0]);
	values[1] = text_or_null(listed->group_type, &nulls[1]);
	values[2] = text_or_null(listed->group_state, &nulls[2]);
	values[3] = text_or_null(listed->protocol_type, &nulls[3]);
	nulls[4] = nulls[5] = true;
	if (classic)
		values[4] = text_or_null(classic->protocol_data, &nulls[4]);
	if (consumer)
	{
		values[4] = text_or_null(consumer->assignor_name, &nulls[4]);
		values[5] = Int32GetDatum(consumer->group_epoch);
		nulls[5] = false;
	}
	values[6] = Int32GetDatum(members);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * Descriptions come in the order in which they were asked for, which is that
 * of the list.
 */
Datum
pt_list_live_groups(PG_FUNCTION_ARGS)
{
	Live		live = {0};
	int			classic = 0;
	int			consumer = 0;

	InitMaterializedSRF(fcinfo, 0);
	if (!can_ask())
		return (Datum) 0;
	ask(&live);
	for (int i = 0; i < live.list.groups.n; i++)
	{
		const ListedGroup *listed = &live.list.groups.items[i];
		const DescribedGroup *as_classic = NULL;
		const DescribedConsumerGroup *as_consumer = NULL;

		if (classic < live.classic.groups.n &&
			pt_string_equal(live.classic.groups.items[classic].group_id, listed->group_id))
			as_classic = &live.classic.groups.items[classic++];
		if (consumer < live.consumer.groups.n &&
			pt_string_equal(live.consumer.groups.items[consumer].group_id, listed->group_id))
			as_consumer = &live.consumer.groups.items[consumer++];
		put_group((ReturnSetInfo *) fcinfo->resultinfo, listed, as_classic, as_consumer);
	}
	return (Datum) 0;
}

/*
 * Members: group_id, member_id, instance_id, client_id, client_host, epoch,
 * subscription, assignment
 */

#define MEMBER_COLUMNS	8

/* Partitions and names, as they are gathered. */
typedef struct Elements
{
	Datum	   *items;
	int			n;
	int			cap;
} Elements;

static void
add_element(Elements *e, Datum item)
{
	if (e->n == e->cap)
	{
		e->cap = Max(16, e->cap * 2);
		e->items = e->items == NULL ? palloc(e->cap * sizeof(Datum)) :
			repalloc_huge(e->items, e->cap * sizeof(Datum));
	}
	e->items[e->n++] = item;
}

/* A partition of a topic that is still there. */
static void
add_partition(Elements *e, KafkaString topic_name, int32 number)
{
	const PtTopic *topic = pt_topic_by_string(topic_name);

	if (topic != NULL && number >= 0)
		add_element(e, pt_partition_datum(pt_string_of(topic->name), number));
}

static Datum
as_array(const Elements *e, Oid element)
{
	int16		len;
	bool		byval;
	char		align;

	get_typlenbyvalalign(element, &len, &byval, &align);
	return PointerGetDatum(construct_array(e->items, e->n, element, len, byval, align));
}

/*
 * The next bytes of what a classic consumer has said in a format of its own;
 * NULL: there are fewer.
 */
static const char *
take(KafkaString *bytes, int n)
{
	const char *at = bytes->data;

	if (n < 0 || bytes->len < n)
	{
		bytes->len = 0;
		return NULL;
	}
	bytes->data += n;
	bytes->len -= n;
	return at;
}

static int32
take_int(KafkaString *bytes, int size)
{
	const char *at = take(bytes, size);

	return at == NULL ? -1 : size == 2 ? pt_get_int16(at) : pt_get_int32(at);
}

static KafkaString
take_string(KafkaString *bytes)
{
	int32		len = take_int(bytes, 2);
	const char *at = take(bytes, len);

	return at == NULL ? (KafkaString)
	{
		"", 0
	} : (KafkaString)
	{
		at, len
	};
}

/* ConsumerProtocolSubscription: the topics. */
static void
read_subscription(KafkaString bytes, Elements *topics)
{
	(void) take_int(&bytes, 2);
	for (int32 n = take_int(&bytes, 4); n > 0 && bytes.len > 0; n--)
	{
		KafkaString topic = take_string(&bytes);

		add_element(topics, CStringGetTextDatum(pt_string_to_server(topic)));
	}
}

/* ConsumerProtocolAssignment: the partitions. */
static void
read_assignment(KafkaString bytes, Elements *partitions)
{
	(void) take_int(&bytes, 2);
	for (int32 n = take_int(&bytes, 4); n > 0 && bytes.len > 0; n--)
	{
		KafkaString topic = take_string(&bytes);

		for (int32 m = take_int(&bytes, 4); m > 0 && bytes.len > 0; m--)
			add_partition(partitions, topic, take_int(&bytes, 4));
	}
}

static void
put_member(ReturnSetInfo *rsinfo, Datum *values, bool *nulls, const Elements *subscription, const Elements *assignment)
{
	values[6] = as_array(subscription, TEXTOID);
	values[7] = as_array(assignment, get_element_type(TupleDescAttr(rsinfo->setDesc, 7)->atttypid));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static void
put_classic_member(ReturnSetInfo *rsinfo, const DescribedGroup *group, const DescribedGroupMember *member)
{
	Datum		values[MEMBER_COLUMNS];
	bool		nulls[MEMBER_COLUMNS] = {false};
	Elements	subscription = {0};
	Elements	assignment = {0};

	if (string_is(group->protocol_type, "consumer"))
	{
		read_subscription(member->member_metadata, &subscription);
		read_assignment(member->member_assignment, &assignment);
	}
	values[0] = text_or_null(group->group_id, &nulls[0]);
	values[1] = text_or_null(member->member_id, &nulls[1]);
	values[2] = text_or_null(member->group_instance_id, &nulls[2]);
	values[3] = text_or_null(member->client_id, &nulls[3]);
	values[4] = text_or_null(member->client_host, &nulls[4]);
	nulls[5] = true;
	put_member(rsinfo, values, nulls, &subscription, &assignment);
}

static void
put_consumer_member(ReturnSetInfo *rsinfo, const DescribedConsumerGroup *group,
					const DescribedConsumerGroupMember *member)
{
	Datum		values[MEMBER_COLUMNS];
	bool		nulls[MEMBER_COLUMNS] = {false};
	Elements	subscription = {0};
	Elements	assignment = {0};

	for (int i = 0; i < member->subscribed_topic_names.n; i++)
		add_element(&subscription,
					CStringGetTextDatum(pt_string_to_server(member->subscribed_topic_names.items[i])));
	if (member->subscribed_topic_regex.len > 0)
		add_element(&subscription, CStringGetTextDatum(pt_string_to_server(member->subscribed_topic_regex)));
	for (int i = 0; i < member->assignment.topic_partitions.n; i++)
	{
		const ConsumerGroupNamedTopic *topic = &member->assignment.topic_partitions.items[i];

		for (int j = 0; j < topic->partitions.n; j++)
			add_partition(&assignment, topic->topic_name, topic->partitions.items[j]);
	}
	values[0] = text_or_null(group->group_id, &nulls[0]);
	values[1] = text_or_null(member->member_id, &nulls[1]);
	values[2] = text_or_null(member->instance_id, &nulls[2]);
	values[3] = text_or_null(member->client_id, &nulls[3]);
	values[4] = text_or_null(member->client_host, &nulls[4]);
	values[5] = Int32GetDatum(member->member_epoch);
	put_member(rsinfo, values, nulls, &subscription, &assignment);
}

/*
 * Who they are and where they sit is for those who may see what other users
 * do.
 */
Datum
pt_list_group_members(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Live		live = {0};

	InitMaterializedSRF(fcinfo, 0);
	if (!can_ask() || !has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS))
		return (Datum) 0;
	ask(&live);
	for (int i = 0; i < live.classic.groups.n; i++)
	{
		const DescribedGroup *group = &live.classic.groups.items[i];

		for (int j = 0; j < group->members.n; j++)
			put_classic_member(rsinfo, group, &group->members.items[j]);
	}
	for (int i = 0; i < live.consumer.groups.n; i++)
	{
		const DescribedConsumerGroup *group = &live.consumer.groups.items[i];

		for (int j = 0; j < group->members.n; j++)
			put_consumer_member(rsinfo, group, &group->members.items[j]);
	}
	return (Datum) 0;
}
