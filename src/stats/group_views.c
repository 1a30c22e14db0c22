/*-------------------------------------------------------------------------
 *
 * group_views.c
 *	  Groups with members, for the views consumer_groups and group_members.
 *
 * Only the control worker knows them, so it is asked as a Kafka client would
 * ask: ListGroups, then DescribeGroups and ConsumerGroupDescribe for the
 * groups that have members.  Where there is no control worker (a standby, no
 * listener, another database) there are no such groups.
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
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"

#include "groups/groups.h"
#include "kafka/api.h"
#include "kafka/codec.h"
#include "record/bytes.h"
#include "stats/control_query.h"
#include "topic/types.h"

PG_FUNCTION_INFO_V1(pt_list_live_groups);
PG_FUNCTION_INFO_V1(pt_list_group_members);

/* The versions of the requests that we send. */
#define LIST_VERSION		5
#define DESCRIBE_VERSION	6
#define CONSUMER_VERSION	1

/* The groups of one kind that have members. */
typedef struct Names
{
	KafkaString *items;
	int32		n;
} Names;

/* What the control worker has answered. */
typedef struct Live
{
	ListGroupsResponse list;	/* all groups */
	DescribeGroupsResponse classic; /* members of classic groups */
	ConsumerGroupDescribeResponse consumer; /* members of consumer groups */
} Live;

/*
 * Compares with a name of the protocol; case does not matter.
 */
static bool
string_is(KafkaString s, const char *what)
{
	Assert(s.len <= 0 || s.data != NULL);
	return s.len == strlen(what) && pg_strncasecmp(s.data, what, s.len) == 0;
}

/*
 * Returns a string as text; null and empty strings give null.
 */
static Datum
text_or_null(KafkaString s, bool *isnull)
{
	*isnull = s.len <= 0;
	return *isnull ? (Datum) 0 : CStringGetTextDatum(pt_string_to_server(s));
}

/*
 * Returns the groups of a type that have members.
 */
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
		Assert(names.n <= list->groups.n);
	}
	return names;
}

/*
 * Asks the control worker for all groups and describes those with members.
 */
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
 * groups
 */

/*
 * Adds a row: group_id, kind, state, protocol_type, protocol, epoch, members.
 * "classic" or "consumer" is its description, or NULL.
 */
static void
put_group(ReturnSetInfo *rsinfo, const ListedGroup *listed, const DescribedGroup *classic,
		  const DescribedConsumerGroup *consumer)
{
	Datum		values[7];
	bool		nulls[7] = {false};
	int			members = classic ? classic->members.n : consumer ? consumer->members.n : 0;

	Assert(classic == NULL || consumer == NULL);
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
 * Rows of list_live_groups().  The descriptions are in the order of the list,
 * because they were asked for in that order.
 */
Datum
pt_list_live_groups(PG_FUNCTION_ARGS)
{
	Live		live = {0};
	int			classic = 0;
	int			consumer = 0;

	InitMaterializedSRF(fcinfo, 0);
	if (!pt_control_serves())
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
 * members
 */

#define MEMBER_COLUMNS	8

/* A growing array of partitions or names. */
typedef struct Elements
{
	Datum	   *items;
	int			n;
	int			cap;			/* allocated length of items[] */
} Elements;

/*
 * Appends an element.
 */
static void
add_element(Elements *e, Datum item)
{
	if (e->n == e->cap)
	{
		e->cap = Max(16, e->cap * 2);
		e->items = e->items == NULL ? palloc(e->cap * sizeof(Datum)) :
			repalloc_huge(e->items, e->cap * sizeof(Datum));
	}
	Assert(e->n < e->cap);
	e->items[e->n++] = item;
}

/*
 * Appends a partition of a topic, unless the topic is gone.
 */
static void
add_partition(Elements *e, KafkaString topic_name, int32 number)
{
	const PtTopic *topic = pt_topic_by_string(topic_name);

	if (topic != NULL && number >= 0)
		add_element(e, pt_partition_datum(pt_string_of(topic->name), number));
}

/*
 * Returns the elements as an array.
 */
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
 * Takes n bytes off the front of what a classic consumer has sent in the
 * embedded protocol (see ../coord/consumer_protocol.h).  NULL if there are
 * fewer; then nothing is left.
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

/*
 * Takes an integer of 2 or 4 bytes; -1 if there are fewer.
 */
static int32
take_int(KafkaString *bytes, int size)
{
	const char *at = take(bytes, size);

	Assert(size == 2 || size == 4);
	return at == NULL ? -1 : size == 2 ? pt_get_int16(at) : pt_get_int32(at);
}

/*
 * Takes a string with an int16 length; empty if it is malformed.
 */
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

/*
 * Reads the topics of a ConsumerProtocolSubscription, as far as it makes
 * sense: it may be malformed, and no topic has an empty name.
 */
static void
read_subscription(KafkaString bytes, Elements *topics)
{
	(void) take_int(&bytes, 2);
	for (int32 n = take_int(&bytes, 4); n > 0 && bytes.len > 0; n--)
	{
		KafkaString topic = take_string(&bytes);

		if (topic.len == 0)
			return;
		add_element(topics, CStringGetTextDatum(pt_string_to_server(topic)));
	}
}

/*
 * Reads the partitions of a ConsumerProtocolAssignment.  It may be malformed.
 */
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

/*
 * Adds a row: group_id, member_id, instance_id, client_id, client_host,
 * epoch, subscription, assignment.  The caller has set the first six.
 */
static void
put_member(ReturnSetInfo *rsinfo, Datum *values, bool *nulls, const Elements *subscription, const Elements *assignment)
{
	Assert(rsinfo->setDesc->natts == MEMBER_COLUMNS);
	values[6] = as_array(subscription, TEXTOID);
	values[7] = as_array(assignment, get_element_type(TupleDescAttr(rsinfo->setDesc, 7)->atttypid));
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * Adds a row for a member that speaks the classic protocol.  Its subscription
 * and assignment are known if it is a consumer.
 */
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

/*
 * Adds a row for a member of a consumer group.
 */
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
 * Rows of list_group_members().  Only roles with pg_read_all_stats see them,
 * because they tell who the users are and where they are.
 */
Datum
pt_list_group_members(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Live		live = {0};

	InitMaterializedSRF(fcinfo, 0);
	if (!pt_control_serves() || !has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS))
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
