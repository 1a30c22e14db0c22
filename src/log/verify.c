/*-------------------------------------------------------------------------
 *
 * verify.c
 *	  Is a log whole?  What is wrong with it, and where.
 *
 * Verification reads all of a log and believes nothing: it copies pages and
 * looks at what is in the copies.  What is wrong becomes a finding, and it
 * goes on behind it.  It takes no lock but AccessShareLock on the table, so
 * others append, delete and compact meanwhile; a suspicion is looked at again
 * before it is a finding.
 *
 *		verify_pages.c	reads pages, and looks at their headers
 *		verify_space.c	the meta page, the directory, physical extents
 *		verify_frames.c	frames and batches along the log
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "log/verify_internal.h"

/* No more findings than these are kept. */
#define HELD_MAX	1000

/* The name of a kind of damage, for users. */
const char *
pt_damage_name(PtDamage damage)
{
	switch (damage)
	{
#define PT_DAMAGE_NAME(name, text) case PT_DAMAGE_##name: return text;
			PT_DAMAGES(PT_DAMAGE_NAME)
#undef PT_DAMAGE_NAME
	}
	return "unknown";
}

/* Keeps a finding until it is let go. */
static void
keep_finding(PtVerify *v, const PtFinding *finding)
{
	MemoryContext old = MemoryContextSwitchTo(v->held_mcxt);
	PtFinding  *copy = palloc(sizeof(PtFinding));

	if (v->nheld++ < HELD_MAX)
	{
		*copy = *finding;
		copy->message = pstrdup(finding->message);
		v->held = lappend(v->held, copy);
	}
	MemoryContextSwitchTo(old);
}

/*
 * Tells the sink of a finding.  See PtFinding for the arguments; the message
 * is made as by printf, and lives until the sink returns.
 */
void
pt_verify_say(PtVerify *v, PtDamage damage, BlockNumber block, PtLogPos pos, int64 offset,
			  const char *fmt,...)
{
	MemoryContext old = MemoryContextSwitchTo(v->mcxt);
	PtFinding	finding = {.damage = damage,.block = block,.pos = pos,.offset = offset};
	StringInfoData text;

	CHECK_FOR_INTERRUPTS();
	initStringInfo(&text);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, fmt);
		needed = appendStringInfoVA(&text, fmt, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&text, needed);
	}
	finding.message = text.data;

	MemoryContextSwitchTo(old);
	if (v->holding)
		keep_finding(v, &finding);
	else if (v->sink->finding)
		v->sink->finding(v->sink->arg, &finding);
	MemoryContextReset(v->mcxt);
}

/* From now on findings are kept. */
void
pt_verify_hold(PtVerify *v)
{
	Assert(!v->holding && v->nheld == 0);
	v->holding = true;
}

/* Those that were kept are told, or forgotten. */
void
pt_verify_let_go(PtVerify *v, bool say)
{
	ListCell   *lc;

	Assert(v->holding);
	v->holding = false;
	foreach(lc, v->held)
	{
		if (say && v->sink->finding)
			v->sink->finding(v->sink->arg, lfirst(lc));
	}
	v->held = NIL;
	v->nheld = 0;
	MemoryContextReset(v->held_mcxt);
}

/* Memory for pages, in the current context. */
static void
alloc_pages(PtVerify *v)
{
	v->mcxt = AllocSetContextCreate(CurrentMemoryContext, "pgtopic finding", ALLOCSET_SMALL_SIZES);
	v->held_mcxt = AllocSetContextCreate(CurrentMemoryContext, "pgtopic held findings", ALLOCSET_DEFAULT_SIZES);
	v->meta_page = palloc(BLCKSZ);
	v->dir_page = palloc(BLCKSZ);
	v->one_page = palloc(BLCKSZ);
	v->pages = palloc(PT_VERIFY_BLOCKS * BLCKSZ);
}

static void
view_log(PtVerify *v, void *arg)
{
	pt_log_view(v->rel, (PtLogView *) arg);
}

/*
 * Up to where is the log committed?  That is as the server believes, which
 * reads it from the log when nobody has needed it lately.
 */
static void
find_end(PtVerify *v)
{
	PtLogView	view;
	char	   *why;

	v->known = pt_verify_try(v, view_log, &view, &why);
	if (v->known)
	{
		v->committed = view.committed;
		v->tail_ordinal = view.tail_ordinal;
	}
	else
		pt_verify_say(v, PT_DAMAGE_END, InvalidBlockNumber, 0, -1, "the end of the log cannot be found: %s", why);
}

/*
 * Verifies a log, and tells the sink what is wrong.  Shallow: what can be seen
 * by page and frame headers; deep: batches and records as well.  The caller
 * has the relation locked (AccessShareLock) and is in a transaction.  Memory
 * is of the current context: some pages, a byte for each physical extent, and
 * deep, one batch with what it decompresses to.
 */
void
pt_verify_log(Relation rel, bool deep, const PtVerifySink *sink)
{
	PtVerify	v = {.rel = rel,.locator = pt_rel_locator(rel),.deep = deep,.sink = sink};

	alloc_pages(&v);
	v.strategy = GetAccessStrategy(BAS_BULKREAD);
	if (pt_verify_space(&v))
	{
		find_end(&v);
		/* the end may lie in an extent that was taken meanwhile */
		if (pt_verify_reread_meta(&v))
			pt_verify_frames(&v);
	}
	FreeAccessStrategy(v.strategy);
	pfree(v.pages);
	pfree(v.one_page);
	pfree(v.dir_page);
	pfree(v.meta_page);
	MemoryContextDelete(v.held_mcxt);
	MemoryContextDelete(v.mcxt);
}
