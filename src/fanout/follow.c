/*-------------------------------------------------------------------------
 *
 * follow.c
 *	  A topic that follows the topic of another server.
 *
 * What makes it follow is a subscription like any other, to a publication of
 * that one topic.  This file looks whether it can work before anything is
 * made, makes the topic here like the one there, and leaves the rest to CREATE
 * SUBSCRIPTION and DROP SUBSCRIPTION.  These are run as if typed at the top
 * level, as they make and drop a slot over there, which no rollback undoes; so
 * follow_topic() is refused in a transaction block, and the slot comes last.
 *
 * Partitions are published and subscribed one by one, and not by way of their
 * parent: the initial copy then reads each log from end to end, so that the
 * records come in the order of their offsets.
 *
 * Siblings: remote.c asks the other server.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_subscription.h"
#include "catalog/pg_subscription_rel.h"
#include "datatype/timestamp.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "fanout/fanout.h"
#include "fanout/internal.h"
#include "log/log.h"
#include "topic/json.h"
#include "topic/topic.h"

/* The topic there. */
typedef struct FollowSource
{
	WalReceiverConn *conn;
	const char *name;
	char	   *extension;		/* schema of pgtopic there */
	char	   *schema;			/* of the topic's table */
	char	   *relname;
	char	   *table;			/* both, quoted */
	char	   *owner;
	int			npartitions;
	List	   *configs;		/* of PtConfigPair */
	bool		may_read;
	bool		may_publish;
} FollowSource;

static char *follow_it(FollowSource *source, const PtFollow *follow);
static void look(FollowSource *source);
static void look_at_server(FollowSource *source);
static void look_at_topic(FollowSource *source);
static void check_empty(const PtTopic *topic);
static const PtTopic *make_like(const FollowSource *source, const PtTopic *topic, List *configs);
static void check_schema(const FollowSource *source, const PtTopic *topic);
static void publish(const FollowSource *source, const char *publication);
static void check_publication(const FollowSource *source, const char *publication);
static void subscribe(const PtFollow *follow, const PtTopic *topic, const char *name, const char *publication);

/*
 * Runs a statement as if it had been typed, not within a function: the caller
 * has seen to it that nothing but this is in the transaction.
 */
static void
run_at_top(const char *sql)
{
	PlannedStmt *statement = makeNode(PlannedStmt);

	statement->commandType = CMD_UTILITY;
	statement->utilityStmt = linitial_node(RawStmt, pg_parse_query(sql))->stmt;
	ProcessUtility(statement, sql, false, PROCESS_UTILITY_TOPLEVEL, NULL, NULL, None_Receiver, NULL);
	CommandCounterIncrement();
}

static bool
has_leaf(const PtTopic *topic, Oid relid)
{
	for (int i = 0; i < topic->npartitions; i++)
		if (topic->leaves[i] == relid)
			return true;
	return false;
}

/*
 * Returns the subscription that fills partitions of a topic, InvalidOid when
 * there is none.  *alone tells whether it fills nothing else.
 */
static Oid
subscription_of(const PtTopic *topic, bool *alone)
{
	Oid			found = InvalidOid;

	*alone = true;
	for (int pass = 0; pass < 2; pass++)
	{
		Relation	rel = table_open(SubscriptionRelRelationId, AccessShareLock);
		SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
		HeapTuple	tuple;

		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		{
			Form_pg_subscription_rel row = (Form_pg_subscription_rel) GETSTRUCT(tuple);
			bool		ours = has_leaf(topic, row->srrelid);

			if (pass == 0 && ours)
				found = row->srsubid;
			else if (pass == 1 && !ours && row->srsubid == found)
				*alone = false;
		}
		systable_endscan(scan);
		table_close(rel, AccessShareLock);
	}
	return found;
}

/*
 * Follows a topic; returns the name of the subscription.  If the topic is
 * followed already, takes over the partitions that it has got meanwhile.  The
 * caller is a statement of its own (pt_refuse_in_block).
 */
char *
pt_follow_topic(const PtFollow *follow)
{
	FollowSource source = {.name = follow->topic};
	char	   *volatile name = NULL;

	if (pt_topic_name_is_internal(follow->topic))
		ereport(ERROR,
				(errcode(ERRCODE_RESERVED_NAME),
				 errmsg("topic \"%s\" cannot be followed", follow->topic),
				 errdetail("Each server writes its own.")));
	source.conn = pt_remote_connect(follow->conninfo);
	PG_TRY();
	{
		look(&source);
		name = follow_it(&source, follow);
	}
	PG_FINALLY();
	{
		walrcv_disconnect(source.conn);
	}
	PG_END_TRY();
	return name;
}

/*
 * What is undone by a rollback comes first: what is made over there only when
 * everything here is as it should be.
 */
static char *
follow_it(FollowSource *source, const PtFollow *follow)
{
	const PtTopic *topic = pt_topic_by_name(source->name);
	char		own_name[NAMEDATALEN];
	const char *publication = follow->publication;
	Oid			subid = InvalidOid;
	bool		alone;

	pt_name_append(source->relname, "#follow", own_name);
	if (topic != NULL)
	{
		topic = pt_topic_copy(topic);
		subid = subscription_of(topic, &alone);
		if (!OidIsValid(subid))
			check_empty(topic);
	}
	topic = make_like(source, topic, follow->configs);
	check_schema(source, topic);
	if (OidIsValid(subid))
	{
		char	   *name = get_subscription_name(subid, false);

		run_at_top(psprintf("ALTER SUBSCRIPTION %s REFRESH PUBLICATION", quote_identifier(name)));
		return name;
	}
	if (publication == NULL)
		publish(source, publication = own_name);
	check_publication(source, publication);
	subscribe(follow, topic, own_name, publication);
	return pstrdup(own_name);
}

static const char *
first_leaf(const FollowSource *source)
{
	char		name[NAMEDATALEN];

	pt_name_append(source->relname, "#0", name);
	return quote_qualified_identifier(source->schema, name);
}

/*
 * Learns what the topic is like there; ERROR when it cannot be followed.
 */
static void
look(FollowSource *source)
{
	look_at_server(source);
	look_at_topic(source);
	if (!source->may_read)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to read topic \"%s\" of the other server", source->name),
				 errhint("There, GRANT USAGE ON SCHEMA %s to the role of the connection, and SELECT on each partition's table: %s and so on.",
						 quote_identifier(source->schema), first_leaf(source))));
}

/*
 * The other server: it has pgtopic, logs for decoding, and is not this one, as
 * its slot would wait for this transaction to end.
 */
static void
look_at_server(FollowSource *source)
{
	char	   *values[4];
	char	   *started = psprintf(INT64_FORMAT, PgStartTime + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY);

	if (!pt_remote_row(source->conn,
					   "SELECT current_setting('wal_level'),"
					   " (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint::text,"
					   " (SELECT n.nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
					   " WHERE e.extname = 'pgtopic'),"
					   " (SELECT system_identifier::text FROM pg_control_system())", 4, 2, values))
		pt_remote_answer_error();
	if (strcmp(values[3], psprintf(UINT64_FORMAT, GetSystemIdentifier())) == 0 && strcmp(values[1], started) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("topic \"%s\" cannot be followed on the server that it is on", source->name),
				 errhint("The connection leads back to this server.")));
	if (values[2] == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the database of the other server has no extension pgtopic"),
				 errhint("Name the database in the connection, as in \"dbname=app\", or CREATE EXTENSION pgtopic there.")));
	if (strcmp(values[0], "logical") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the other server does not log for logical decoding: wal_level is \"%s\"", values[0]),
				 errhint("There, set wal_level = logical and restart.")));
	source->extension = values[2];
}

static void
look_at_topic(FollowSource *source)
{
	const char *extension = quote_identifier(source->extension);
	char	   *values[7];

	if (!pt_remote_row(source->conn,
					   psprintf("SELECT n.nspname::text, c.relname::text, t.partitions::text, t.configs::text,"
								" (has_schema_privilege(n.oid, 'USAGE') AND (SELECT bool_and(has_table_privilege(l.relid, 'SELECT'))"
								" FROM pg_partition_tree(c.oid) l WHERE l.isleaf))::text,"
								" (pg_has_role(c.relowner, 'USAGE')"
								" AND has_database_privilege(current_database(), 'CREATE'))::text,"
								" pg_get_userbyid(c.relowner)::text"
								" FROM %s.topics t JOIN pg_class c ON c.oid = %s.topic_table(t.topic)"
								" JOIN pg_namespace n ON n.oid = c.relnamespace WHERE t.topic::text = %s",
								extension, extension, quote_literal_cstr(source->name)), 7, PT_REMOTE_NO_NULL, values))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the other server has no topic \"%s\" that the connection's role may know of", source->name),
				 errhint("SELECT * FROM topics there shows which ones it may. To follow one it needs USAGE on the schema of topics, and SELECT on the topic's table and each of its partitions.")));
	source->schema = values[0];
	source->relname = values[1];
	source->table = quote_qualified_identifier(values[0], values[1]);
	source->npartitions = pg_strtoint32(values[2]);
	source->configs = pt_json_configs(DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(values[3]))));
	source->may_read = strcmp(values[4], "true") == 0;
	source->may_publish = strcmp(values[5], "true") == 0;
	source->owner = values[6];
}

/*
 * A topic that is filled here already has offsets of its own.
 */
static void
check_empty(const PtTopic *topic)
{
	for (int i = 0; i < topic->npartitions; i++)
	{
		Relation	rel = OidIsValid(topic->leaves[i]) ? try_relation_open(topic->leaves[i], AccessShareLock) : NULL;
		PtLogView	view;

		if (rel == NULL)
			continue;
		pt_log_view(rel, &view);
		relation_close(rel, AccessShareLock);
		if (view.committed.offset > 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("topic \"%s\" has records of its own", topic->name),
					 errdetail("Partition %d ends at offset %lld; those that come from the other server have offsets from there.",
							   i, (long long) view.committed.offset),
					 errhint("Drop the topic here; follow_topic() makes it anew.")));
	}
}

/*
 * Configs of the topic there, unless the caller has others.
 */
static List *
merged(List *theirs, List *ours)
{
	List	   *result = list_copy(ours);
	ListCell   *t;
	ListCell   *o;

	foreach(t, theirs)
	{
		const PtConfigPair *pair = lfirst(t);

		foreach(o, ours)
			if (strcmp(((const PtConfigPair *) lfirst(o))->name, pair->name) == 0)
			break;
		if (o == NULL)
			result = lappend(result, (void *) pair);
	}
	return result;
}

/*
 * Makes the topic here, or gives the one that is there as many partitions as
 * the other server's; returns it.
 */
static const PtTopic *
make_like(const FollowSource *source, const PtTopic *topic, List *configs)
{
	pt_topic_check_locks(source->npartitions);
	if (topic == NULL)
		(void) pt_topic_create(source->name, source->npartitions, merged(source->configs, configs), NULL);
	else if (topic->npartitions > source->npartitions)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("topic \"%s\" has %d partitions, and %d on the other server",
						source->name, topic->npartitions, source->npartitions),
				 errhint("Drop the topic here; follow_topic() makes it anew.")));
	else
	{
		if (configs != NIL)
			pt_topic_alter_configs(topic->relid, configs);
		if (topic->npartitions < source->npartitions)
			pt_topic_add_partitions(topic->relid, source->npartitions);
	}
	CommandCounterIncrement();
	return pt_topic_copy(pt_topic_by_name(source->name));
}

/*
 * Subscriptions find tables by schema and name.
 */
static void
check_schema(const FollowSource *source, const PtTopic *topic)
{
	const char *schema = get_namespace_name(get_rel_namespace(topic->relid));

	if (strcmp(get_rel_name(topic->relid), source->relname) != 0)
		pt_remote_answer_error();
	if (strcmp(schema, source->schema) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("topics are in schema \"%s\" here and in schema \"%s\" of the other server", schema, source->schema),
				 errhint("Both servers need the same pgtopic.topic_schema.")));
}

/*
 * Makes the publication, unless it is there: another follower may have made
 * it, or the owner of the topic.
 */
static void
publish(const FollowSource *source, const char *publication)
{
	char	   *command = psprintf("CREATE PUBLICATION %s FOR TABLE %s WITH (publish = 'insert, truncate')",
								   quote_identifier(publication), source->table);
	char	   *value;

	if (pt_remote_row(source->conn, psprintf("SELECT pubname::text FROM pg_publication WHERE pubname = %s",
											 quote_literal_cstr(publication)), 1, PT_REMOTE_NO_NULL, &value))
		return;
	if (!source->may_publish)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to publish topic \"%s\" on the other server", source->name),
				 errdetail("It takes the rights of its owner, \"%s\", and CREATE on the database.", source->owner),
				 errhint("Have somebody with these rights run there: %s", command)));
	pt_remote_run(source->conn, command, "publish the topic");
}

/*
 * ERROR unless the publication has the topic, all of it, and nothing else.
 */
static void
check_publication(const FollowSource *source, const char *publication)
{
	const char *name = quote_literal_cstr(publication);
	char	   *values[3];

	if (!pt_remote_row(source->conn,
					   psprintf("WITH leaf AS (SELECT n.nspname, c.relname FROM pg_partition_tree(%s) t JOIN pg_class c ON c.oid = t.relid"
								" JOIN pg_namespace n ON n.oid = c.relnamespace WHERE t.isleaf),"
								" published AS (SELECT * FROM pg_publication_tables WHERE pubname = %s)"
								" SELECT pubinsert::text, (SELECT count(*) FROM leaf LEFT JOIN published ON nspname = schemaname AND relname = tablename"
								" WHERE tablename IS NULL OR rowfilter IS NOT NULL OR cardinality(attnames) < %d)::text,"
								" (SELECT count(*) FROM published LEFT JOIN leaf ON nspname = schemaname AND relname = tablename"
								" WHERE relname IS NULL)::text FROM pg_publication WHERE pubname = %s",
								quote_literal_cstr(source->table), name, PT_COLUMNS, name), 3, PT_REMOTE_NO_NULL, values))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the other server has no publication \"%s\"", publication)));
	if (strcmp(values[0], "true") != 0 || strcmp(values[1], "0") != 0 || strcmp(values[2], "0") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("publication \"%s\" of the other server is not one of topic \"%s\" alone", publication, source->name),
				 errdetail("It has to publish the inserts of all partitions, one by one and without filters or column lists, and nothing else."),
				 errhint("CREATE PUBLICATION ... FOR TABLE %s WITH (publish = 'insert, truncate') makes such a one.", source->table)));
}

/*
 * The subscription, and with it the slot: nothing may fail after this.
 */
static void
subscribe(const PtFollow *follow, const PtTopic *topic, const char *name, const char *publication)
{
	run_at_top(psprintf("CREATE SUBSCRIPTION %s CONNECTION %s PUBLICATION %s"
						" WITH (slot_name = 'pgtopic_" UINT64_FORMAT "_%u_%u', binary = true, copy_data = %s)",
						quote_identifier(name), quote_literal_cstr(follow->conninfo), quote_identifier(publication),
						GetSystemIdentifier(), MyDatabaseId, topic->relid, follow->copy ? "true" : "false"));
}

/*
 * Returns the slot of a subscription, NULL when it has none.
 */
static char *
slot_of(Oid subid)
{
	HeapTuple	tuple = SearchSysCache1(SUBSCRIPTIONOID, ObjectIdGetDatum(subid));
	char	   *slot = NULL;
	bool		isnull = true;
	Datum		value = 0;

	if (HeapTupleIsValid(tuple))
	{
		value = SysCacheGetAttr(SUBSCRIPTIONOID, tuple, Anum_pg_subscription_subslotname, &isnull);
		if (!isnull)
			slot = pstrdup(NameStr(*DatumGetName(value)));
		ReleaseSysCache(tuple);
	}
	return slot;
}

/*
 * Returns the tables that subscriptions with a slot fill, topics' or not: a
 * list of PtFollowed *, in the current memory context.
 */
List *
pt_followed(void)
{
	Relation	rel = table_open(SubscriptionRelRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	List	   *result = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_subscription_rel row = (Form_pg_subscription_rel) GETSTRUCT(tuple);
		char	   *slot = slot_of(row->srsubid);
		PtFollowed *followed;

		if (slot == NULL)
			continue;
		followed = palloc(sizeof(PtFollowed));
		followed->leaf = row->srrelid;
		followed->slot = slot;
		result = lappend(result, followed);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/*
 * Ends it: drops the subscription, and its slot on the other server unless
 * keep_slot leaves that to somebody else.  The caller is a statement of its
 * own (pt_refuse_in_block).
 */
void
pt_unfollow_topic(const PtTopic *topic, bool keep_slot)
{
	bool		alone;
	Oid			subid;
	const char *name;
	char	   *slot;

	subid = subscription_of(topic, &alone);
	if (!OidIsValid(subid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("topic \"%s\" does not follow another server's", topic->name)));
	name = quote_identifier(get_subscription_name(subid, false));
	if (!alone)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("subscription %s fills more than topic \"%s\"", name, topic->name),
				 errhint("Use DROP SUBSCRIPTION %s.", name)));
	slot = slot_of(subid);
	if (keep_slot && slot != NULL)
	{
		run_at_top(psprintf("ALTER SUBSCRIPTION %s DISABLE", name));
		run_at_top(psprintf("ALTER SUBSCRIPTION %s SET (slot_name = NONE)", name));
	}
	run_at_top(psprintf("DROP SUBSCRIPTION %s", name));
	if (keep_slot && slot != NULL)
		ereport(WARNING,
				(errmsg("replication slot \"%s\" stays on the other server, and keeps its WAL", slot),
				 errhint("There, SELECT pg_drop_replication_slot('%s').", slot)));
}
