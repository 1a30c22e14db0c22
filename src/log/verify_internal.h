/*-------------------------------------------------------------------------
 *
 * verify_internal.h
 *	  What the files that verify a log share: verify.c, verify_pages.c,
 *	  verify_space.c, verify_frames.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_LOG_VERIFY_INTERNAL_H
#define PT_LOG_VERIFY_INTERNAL_H

#include "log/internal.h"
#include "log/verify.h"

/* Pages that are read at a time. */
#define PT_VERIFY_BLOCKS	32

typedef struct PtVerify
{
	Relation	rel;
	RelFileLocator locator;
	bool		deep;
	const PtVerifySink *sink;
	BufferAccessStrategy strategy;
	MemoryContext mcxt;			/* of texts, reset after each finding */
	BlockNumber file_blocks;
	char	   *meta_page;		/* a copy; meta points into it */
	const PtMetaPage *meta;
	char	   *dir_page;		/* a copy of the directory page that was read
								 * last */
	uint64		dir_number;		/* its number, PG_UINT64_MAX: none */
	bool		dir_good;
	char	   *pages;			/* PT_VERIFY_BLOCKS of them */
	char	   *one_page;		/* to look again at something */
	bool		holding;		/* findings may turn out to be none */
	List	   *held;			/* those */
	int			nheld;
	MemoryContext held_mcxt;
	bool		known;			/* the committed end is: */
	PtLogEnd	committed;
	int64		tail_ordinal;
} PtVerify;

/* verify.c */
extern void pt_verify_say(PtVerify *v, PtDamage damage, BlockNumber block, PtLogPos pos, int64 offset,
						  const char *fmt,...) pg_attribute_printf(6, 7);
extern void pt_verify_hold(PtVerify *v);
extern void pt_verify_let_go(PtVerify *v, bool say);

/* verify_pages.c */
typedef void (*PtVerifyTry) (PtVerify *v, void *arg);
extern bool pt_verify_try(PtVerify *v, PtVerifyTry what, void *arg, char **why);
extern int	pt_verify_read(PtVerify *v, BlockNumber first, int n, char *to, char **why);
extern bool pt_verify_page_header(Page page, uint16 kind, const char **what);
extern bool pt_verify_log_page(Page page, uint64 block, uint32 generation, const char **what);

/* verify_space.c */
typedef enum PtEntryFound
{
	PT_ENTRY_FOUND,
	PT_ENTRY_DAMAGED,			/* the directory page is */
	PT_ENTRY_GONE				/* retention has been faster */
} PtEntryFound;

extern bool pt_verify_reread_meta(PtVerify *v);
extern PtEntryFound pt_verify_entry(PtVerify *v, uint64 extent, PtDirEntry *entry);
extern bool pt_verify_space(PtVerify *v);

/* verify_frames.c */
extern void pt_verify_frames(PtVerify *v);

#endif							/* PT_LOG_VERIFY_INTERNAL_H */
