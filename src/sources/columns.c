/*-------------------------------------------------------------------------
 *
 * columns.c
 *	  The columns of a new source's tables, against which its expressions are
 *	  checked.
 *
 * Tables that are named are looked up at this server by the session itself, as
 * it may have made them a moment ago, and at another one over the connection;
 * those of a publication over the connection in any case.  A table that comes
 * later is checked when its first change comes.
 *
 * Siblings: create.c, expression.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "sources/internal.h"

/* Columns of the queries. */
enum
{
	Q_SCHEMA, Q_TABLE, Q_COLUMN, Q_TYPE, Q_COUNT
};

/* A column; its type is that beneath a domain, as the stream tells it. */
#define SELECT_LIST \
	"SELECT n.nspname, c.relname, a.attname," \
	" (WITH RECURSIVE t AS (SELECT a.atttypid AS id UNION ALL" \
	" SELECT d.typbasetype FROM t JOIN pg_catalog.pg_type d" \
	" ON d.oid OPERATOR(pg_catalog.=) t.id AND d.typtype OPERATOR(pg_catalog.=) 'd')" \
	" SELECT t.id FROM t JOIN pg_catalog.pg_type b ON b.oid OPERATOR(pg_catalog.=) t.id" \
	" AND b.typtype OPERATOR(pg_catalog.<>) 'd')" \
	" FROM pg_catalog.pg_class c" \
	" JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace" \
	" JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.oid" \
	" AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped"

/*
 * Returns the query for the columns that are published.
 */
static char *
columns_query(PtPeer *remote, const PtSource *source)
{
	int			version = pt_peer_version(remote);
	const char *stored = version >= 120000 ? " AND a.attgenerated OPERATOR(pg_catalog.=) ''" : "";
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	appendStringInfoString(&sql, SELECT_LIST);
	if (!source->own_publication)
	{
		appendStringInfo(&sql, " JOIN pg_catalog.pg_publication_tables p ON p.schemaname OPERATOR(pg_catalog.=) n.nspname"
						 " AND p.tablename OPERATOR(pg_catalog.=) c.relname%s WHERE p.pubname OPERATOR(pg_catalog.=) %s",
						 version >= 150000 ? " AND a.attname OPERATOR(pg_catalog.=) ANY (p.attnames)" : stored,
						 quote_literal_cstr(source->publication));
	}
	else
	{
		appendStringInfo(&sql, "%s WHERE c.oid IN (0", stored);
		foreach(lc, source->tables)
			appendStringInfo(&sql, ", pg_catalog.to_regclass(%s)", quote_literal_cstr(lfirst(lc)));
		appendStringInfoChar(&sql, ')');
	}
	appendStringInfoString(&sql, " ORDER BY 1, 2, a.attnum");
	return sql.data;
}

/*
 * Runs the query in this session.  Returns its rows in the current memory
 * context, as pt_peer_query() does.
 */
static PtPeerRows *
query_here(const char *sql)
{
	MemoryContext caller = CurrentMemoryContext;
	PtPeerRows *rows = palloc0(sizeof(PtPeerRows));

	PushActiveSnapshot(GetLatestSnapshot());
	SPI_connect();
	if (SPI_execute(sql, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not run \"%s\"", sql);
	rows->n = (int) SPI_processed;
	rows->columns = Q_COUNT;
	rows->values = MemoryContextAllocZero(caller, sizeof(char *) * Max(rows->n * Q_COUNT, 1));
	for (int i = 0; i < rows->n * Q_COUNT; i++)
	{
		char	   *value = SPI_getvalue(SPI_tuptable->vals[i / Q_COUNT], SPI_tuptable->tupdesc, i % Q_COUNT + 1);

		rows->values[i] = value ? MemoryContextStrdup(caller, value) : NULL;
	}
	SPI_finish();
	PopActiveSnapshot();
	return rows;
}

/*
 * Is row i of the same table as the one before?
 */
static bool
same_table(const PtPeerRows *rows, int i)
{
	return i > 0 && strcmp(pt_peer_value(rows, i, Q_SCHEMA), pt_peer_value(rows, i - 1, Q_SCHEMA)) == 0 &&
		strcmp(pt_peer_value(rows, i, Q_TABLE), pt_peer_value(rows, i - 1, Q_TABLE)) == 0;
}

/*
 * Checks the expressions against the table whose columns begin at row "first".
 * Returns the row behind it.
 */
static int
check_table(const PtSource *source, const PtPeerRows *rows, int first)
{
	PtSourceTable table;
	int			end = first + 1;

	while (end < rows->n && same_table(rows, end))
		end++;
	pt_table_init(&table, source, CurrentMemoryContext, pt_peer_value(rows, first, Q_SCHEMA),
				  pt_peer_value(rows, first, Q_TABLE), end - first);
	for (int i = first; i < end; i++)
		pt_table_column(&table, i - first, pt_peer_value(rows, i, Q_COLUMN), pt_value_form(pt_peer_oid(rows, i, Q_TYPE)), false);
	pt_expressions_check(source, &table);
	return end;
}

/*
 * ERROR unless the source's expressions are right for the tables that it has
 * now.
 */
void
pt_columns_check(PtPeer *remote, const PtSource *source)
{
	char	   *sql = columns_query(remote, source);
	bool		here = source->connection == NULL && source->own_publication;
	PtPeerRows *rows = here ? query_here(sql) : pt_peer_query(remote, sql, Q_COUNT);
	int			level = NewGUCNestLevel();
	Oid			user;
	int			security;

	/* constants are read, which may call code of their types' owners */
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(get_role_oid(source->user, false),
						   security | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	(void) set_config_option("search_path", PT_EXPRESSION_PATH, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	for (int i = 0; i < rows->n;)
		i = check_table(source, rows, i);
	SetUserIdAndSecContext(user, security);
	AtEOXact_GUC(false, level);
}
