/*-------------------------------------------------------------------------
 *
 * utility.c
 *	  The hook for utility commands: before commands that touch a topic, and
 *	  after the end of a prepared transaction.
 *
 * Rows that wait for their transaction to commit are in no file.  A command
 * that reads all rows (a new constraint, an index, ATTACH PARTITION), or makes
 * another file, would miss them, so they are appended first.
 *
 * The columns of a topic are fixed, and its rows must be in a log.  Commands
 * that would change that are refused here, because the server does not always
 * ask the table AM: adding a column without a default, for example, changes
 * only the catalog.  A command on a parent reaches its partitions without
 * another call of the hook, so all logs below the named table count.
 *
 * Sibling: ddl.c (the table AM's part).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "am/internal.h"
#include "xact/xact.h"
#include "topic/leaf.h"

static ProcessUtility_hook_type prev_process_utility;

static void process_utility(PlannedStmt *pstmt, const char *query, bool read_only_tree,
							ProcessUtilityContext context, ParamListInfo params,
							QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc);
static void before_command(Node *stmt);
static void before_alter_table(AlterTableStmt *stmt);
static void after_command(Node *stmt);
static void check_subcommand(Oid relid, AlterTableCmd *cmd);
pg_noreturn static void reject(Oid relid, const char *what, const char *hint);

/*
 * Installs the hook.  To be called by _PG_init.
 */
void
pt_utility_register(void)
{
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}

/*
 * True if the command ends a prepared transaction.
 */
static bool
ends_prepared(Node *stmt)
{
	TransactionStmt *xact;

	if (!IsA(stmt, TransactionStmt))
		return false;
	xact = (TransactionStmt *) stmt;
	return xact->kind == TRANS_STMT_COMMIT_PREPARED || xact->kind == TRANS_STMT_ROLLBACK_PREPARED;
}

/*
 * The hook.  A command that pt_ddl announces as its own (pt_ddl_take_leaf) is
 * known to be allowed and is not checked.
 */
static void
process_utility(PlannedStmt *pstmt, const char *query, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *env,
				DestReceiver *dest, QueryCompletion *qc)
{
	ProcessUtility_hook_type next = prev_process_utility ? prev_process_utility : standard_ProcessUtility;
	bool		resolves = ends_prepared(pstmt->utilityStmt);
	bool		known = pt_ddl_take_leaf();

	if (!known)
		before_command(pstmt->utilityStmt);
	next(pstmt, query, read_only_tree, context, params, env, dest, qc);
	if (!known)
		after_command(pstmt->utilityStmt);
	if (resolves)
		pt_prepared_resolved();
}

/*
 * Returns the relation of that name, without a lock.  InvalidOid if there is
 * none; the command itself will report that.
 */
static Oid
relation_oid(const RangeVar *rv)
{
	return rv ? RangeVarGetRelid(rv, NoLock, true) : InvalidOid;
}

/*
 * Returns the logs among a relation and all that inherit from it, which may
 * be dropped meanwhile.
 */
static List *
logs_below(Oid relid)
{
	char		kind = OidIsValid(relid) && OidIsValid(pt_am_topic_log()) ? get_rel_relkind(relid) : 0;
	List	   *all = NIL;
	List	   *result = NIL;

	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		return NIL;
	all = list_make1_oid(relid);
	for (int i = 0; i < list_length(all); i++)
	{
		Oid			table = list_nth_oid(all, i);

		all = list_concat(all, pt_leaf_children(table));
		if (pt_leaf_is_log(table))
			result = lappend_oid(result, table);
	}
	return result;
}

/*
 * True if it is a topic that Kafka clients see.
 */
static bool
is_kafka_topic(Oid relid)
{
	return OidIsValid(relid) && OidIsValid(pt_am_topic_log()) && pt_topic_by_oid(relid) != NULL;
}

/*
 * True if it is a log, has logs below it, or is a topic that has lost its
 * last partition.
 */
static bool
is_topic(Oid relid)
{
	return logs_below(relid) != NIL || is_kafka_topic(relid);
}

/*
 * Appends the rows that wait for a relation, or for one below it.
 */
static void
flush(Oid relid)
{
	ListCell   *lc;

	foreach(lc, logs_below(relid))
		pt_pending_append(lfirst_oid(lc));
}

/*
 * ERROR for a command that a topic does not support.
 */
static void
reject(Oid relid, const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s is not supported for \"%s\"", what, get_rel_name(relid)),
			 errdetail("The table is a topic, or has partitions of one."),
			 errhint("%s", hint)));
}

/*
 * TRUNCATE: rows that wait are appended, and go with the others.
 */
static void
before_truncate(TruncateStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->relations)
		flush(relation_oid(lfirst_node(RangeVar, lc)));
}

/*
 * CREATE INDEX, also for the index of a unique constraint.
 */
static void
before_index(IndexStmt *stmt)
{
	Oid			relid = relation_oid(stmt->relation);

	if ((stmt->unique || stmt->primary || stmt->excludeOpNames != NIL) && is_topic(relid))
		reject(relid, _("a unique index"),
			   _("Records join the log when their transaction commits, too late to check them against each other. An index that is not unique is possible."));
	flush(relid);
}

/*
 * ALTER ... RENAME.  A topic and its columns keep their names; partitions,
 * indexes and constraints may be renamed.  Kafka has no rename: clients keep
 * a name, and groups have committed offsets under it.
 */
static void
before_rename(RenameStmt *stmt)
{
	Oid			relid = stmt->relation ? relation_oid(stmt->relation) : InvalidOid;

	if (!OidIsValid(relid) || stmt->relationType == OBJECT_TYPE)
		return;
	switch (stmt->renameType)
	{
		case OBJECT_COLUMN:
			if (is_topic(relid))
				reject(relid, _("renaming a column"),
					   _("Use a view; create_topic_view() makes one with readable columns."));
			break;
		case OBJECT_TABLE:
			/* these commands accept the name of a table, too */
		case OBJECT_INDEX:		/* names of tables are taken there, too */
		case OBJECT_VIEW:
		case OBJECT_SEQUENCE:
			if (is_kafka_topic(relid))
				reject(relid, _("renaming a topic"),
					   _("Clients and groups know a topic by its name. Create another one and copy the records with INSERT ... SELECT, or make a view."));
			break;
		default:
			break;
	}
}

/*
 * CREATE RULE.  A rule rewrites SQL only, so what Kafka clients write would
 * not pass it.
 */
static void
before_rule(RuleStmt *stmt)
{
	Oid			relid = relation_oid(stmt->relation);

	if (is_topic(relid))
		reject(relid, _("a rule"), _("Use a trigger, which also sees what clients produce."));
}

/*
 * ERROR for a partition that is not a log.  The server's own error would be
 * about an index that the user does not know.
 */
static void
reject_storage(Oid parent, const char *child)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("table \"%s\" cannot be a partition of topic \"%s\"", child, get_rel_name(parent)),
			 errdetail("A partition of a topic is a table of access method topic_log."),
			 errhint("Use add_partitions(), or CREATE TABLE ... PARTITION OF ... USING topic_log.")));
}

/*
 * True if the new table will be a log.  From PostgreSQL 17 on the access
 * method of the parent is the default.
 */
static bool
makes_log(const CreateStmt *stmt, Oid parent)
{
	HeapTuple	tuple;
	Oid			am = InvalidOid;

	if (stmt->partspec != NULL || IsA(stmt, CreateForeignTableStmt))
		return false;
	if (stmt->accessMethod != NULL)
		return strcmp(stmt->accessMethod, "topic_log") == 0;
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(parent));
	if (HeapTupleIsValid(tuple))
	{
		am = ((Form_pg_class) GETSTRUCT(tuple))->relam;
		ReleaseSysCache(tuple);
	}
	return OidIsValid(am) ? am == pt_am_topic_log() : strcmp(default_table_access_method, "topic_log") == 0;
}

/*
 * CREATE TABLE ... PARTITION OF.  The server checks the rows of the default
 * partition against the new one, so rows that wait are appended first.
 */
static void
before_create_table(CreateStmt *stmt)
{
	ListCell   *lc;

	if (stmt->partbound == NULL)
		return;
	foreach(lc, stmt->inhRelations)
	{
		Oid			parent = relation_oid(lfirst_node(RangeVar, lc));

		if (is_kafka_topic(parent) && !makes_log(stmt, parent))
			reject_storage(parent, stmt->relation->relname);
		flush(parent);
	}
}

/*
 * ATTACH PARTITION: the server checks the rows of the new partition, so rows
 * that wait are appended first.
 */
static void
before_attach(Oid parent, const RangeVar *child)
{
	Oid			relid = relation_oid(child);

	if (OidIsValid(relid) && is_kafka_topic(parent) && !pt_leaf_is_log(relid))
		reject_storage(parent, child->relname);
	flush(relid);
}

/*
 * ERROR if a new partition of a topic is for other values than one number.
 * Its values are known only now, after the command.
 */
static void
check_new_partition(Oid parent, Oid child)
{
	if (!is_kafka_topic(parent) || !OidIsValid(child) || pt_leaf_number(child) >= 0)
		return;
	/* with IF NOT EXISTS, another table may have the name */
	if (!get_rel_relispartition(child) || pt_leaf_parent(child) != parent)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("table \"%s\" cannot be a partition of topic \"%s\" for these values",
					get_rel_name(child), get_rel_name(parent)),
			 errdetail("A partition of a topic has one number, counted from 0."),
			 errhint("Use FOR VALUES IN (number).")));
}

/* After CREATE TABLE */
static void
after_create_table(CreateStmt *stmt)
{
	ListCell   *lc;

	if (stmt->partbound == NULL)
		return;
	CommandCounterIncrement();
	foreach(lc, stmt->inhRelations)
		check_new_partition(relation_oid(lfirst_node(RangeVar, lc)), relation_oid(stmt->relation));
}

/*
 * After ALTER TABLE.  DETACH CONCURRENTLY has detached the partition in an
 * earlier transaction.
 */
static void
after_alter_table(AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_AttachPartition)
		{
			CommandCounterIncrement();
			check_new_partition(relation_oid(stmt->relation), relation_oid(castNode(PartitionCmd, cmd->def)->name));
			pt_log_adds_note();
		}
		if (cmd->subtype == AT_DetachPartition && is_kafka_topic(relation_oid(stmt->relation)))
			pt_log_drops_note();
	}
}

/*
 * After a command: checks that new partitions of topics can be served to
 * Kafka clients.  A detached one is noted, so that those who wait for its
 * records are woken when the command commits.
 */
static void
after_command(Node *stmt)
{
	if (IsA(stmt, CreateStmt))
		after_create_table((CreateStmt *) stmt);
	else if (IsA(stmt, AlterTableStmt))
		after_alter_table((AlterTableStmt *) stmt);
}

/*
 * Before a command: refuses what a topic does not support, and appends rows
 * that the command has to see.
 */
static void
before_command(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
			before_alter_table((AlterTableStmt *) stmt);
			break;
		case T_TruncateStmt:
			before_truncate((TruncateStmt *) stmt);
			break;
		case T_IndexStmt:
			before_index((IndexStmt *) stmt);
			break;
		case T_RenameStmt:
			before_rename((RenameStmt *) stmt);
			break;
		case T_RuleStmt:
			before_rule((RuleStmt *) stmt);
			break;
		case T_CreateStmt:
		case T_CreateForeignTableStmt:
			before_create_table((CreateStmt *) stmt);
			break;
		case T_RepackStmt:
			flush(relation_oid(pt_repack_table(stmt)));
			break;
		case T_ReindexStmt:
			if (((ReindexStmt *) stmt)->kind == REINDEX_OBJECT_TABLE)
				flush(relation_oid(((ReindexStmt *) stmt)->relation));
			break;
		default:
			break;
	}
}

/*
 * ALTER TABLE
 */

/* ALTER TABLE */
static void
before_alter_table(AlterTableStmt *stmt)
{
	Oid			relid = relation_oid(stmt->relation);
	bool		topic = is_topic(relid);
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (topic)
			check_subcommand(relid, cmd);
		if (cmd->subtype == AT_AttachPartition)
			before_attach(relid, castNode(PartitionCmd, cmd->def)->name);
	}
	flush(relid);
}

/*
 * True if the subcommand adds a unique, primary key or exclusion constraint.
 */
static bool
is_unique_constraint(const AlterTableCmd *cmd)
{
	const Constraint *constraint;

	if (cmd->subtype == AT_AddIndexConstraint)
		return true;
	if (cmd->subtype != AT_AddConstraint)
		return false;
	constraint = castNode(Constraint, cmd->def);
	return constraint->contype == CONSTR_PRIMARY || constraint->contype == CONSTR_UNIQUE ||
		constraint->contype == CONSTR_EXCLUSION;
}

/*
 * ERROR for a subcommand that a topic does not support.  The table is a
 * topic, or has logs below it.
 */
static void
check_subcommand(Oid relid, AlterTableCmd *cmd)
{
	Assert(OidIsValid(relid));
	if (is_unique_constraint(cmd))
		reject(relid, _("a unique, primary key or exclusion constraint"),
			   _("Records join the log when their transaction commits, too late to check them against each other."));
	switch (cmd->subtype)
	{
		case AT_AddColumn:
		case AT_DropColumn:
		case AT_AlterColumnType:
		case AT_AddIdentity:
		case AT_AddOf:
			reject(relid, _("changing the columns"),
				   _("The columns of a topic are fixed. Put further data into the value or the headers, and use views."));
			break;
		case AT_ColumnDefault:
			if (cmd->def != NULL && strcmp(cmd->name, "offset") == 0)
				reject(relid, _("a default for \"offset\""),
					   _("A record gets its offset when its transaction commits. An offset that is given must be at or behind the end of the log."));
			break;
		case AT_SetNotNull:
			if (strcmp(cmd->name, "offset") == 0)
				reject(relid, _("NOT NULL for \"offset\""),
					   _("A record gets its offset when its transaction commits, after its constraints have been checked."));
			break;
		case AT_SetAccessMethod:
			reject(relid, _("SET ACCESS METHOD"),
				   _("Copy the records to another table with INSERT ... SELECT."));
			break;
		case AT_SetUnLogged:
			reject(relid, _("SET UNLOGGED"), _("What a topic holds is recovered from WAL."));
			break;
		default:
			break;
	}
}
