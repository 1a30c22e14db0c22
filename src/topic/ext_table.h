/*-------------------------------------------------------------------------
 *
 * ext_table.h
 *	  The extension's own tables, read and written by statements.
 *
 * Siblings: ext_table.c; group_configs.c, kept_configs.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_TOPIC_EXT_TABLE_H
#define PT_TOPIC_EXT_TABLE_H

/* Who runs statements on a table of the extension. */
typedef struct PtExtUser
{
	Oid			caller;			/* who is user again afterwards */
	int			context;
} PtExtUser;

extern Datum pt_ext_table_changed(FunctionCallInfo fcinfo, const char *function);
extern void pt_ext_table_enter(PtExtUser *user, Oid relid);
extern void pt_ext_table_leave(const PtExtUser *user);
extern char *pt_ext_table_name(const char *table, Oid *relid);
extern char *pt_ext_table_required(const char *table);
extern List *pt_ext_table_read(const char *sql, bool read_only, const char *arg1);
extern void pt_ext_table_run(const char *sql, bool read_only, const char *arg1, const char *arg2);

#endif							/* PT_TOPIC_EXT_TABLE_H */
