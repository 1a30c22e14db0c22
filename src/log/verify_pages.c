/*-------------------------------------------------------------------------
 *
 * verify_pages.c
 *	  Verifying a log: reading pages that may be damaged, and what each page
 *	  says of itself.
 *
 * Pages are copied, so nothing is locked or pinned while they are looked at.
 * A block that the server refuses to read (a wrong checksum, an error of the
 * disk, a file that is too short) is a finding and no ERROR: it is read in a
 * subtransaction.
 *
 * Siblings: verify.c says who calls whom.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "guard.h"
#include "log/verify_internal.h"

/* Blocks to be copied. */
typedef struct Copy
{
	BlockNumber first;
	int			n;
	char	   *to;
	volatile int done;
} Copy;

typedef struct Attempt
{
	PtVerify   *v;
	PtVerifyTry what;
	void	   *arg;
} Attempt;

/* Is that an error of a part of the log, of which others know nothing? */
static bool
is_of_log(int sqlstate)
{
	return sqlstate == ERRCODE_DATA_CORRUPTED || sqlstate == ERRCODE_IO_ERROR || sqlstate == ERRCODE_UNDEFINED_FILE;
}

static void
try_it(void *arg)
{
	Attempt    *attempt = arg;

	attempt->what(attempt->v, attempt->arg);
}

/*
 * Does something that may fail because the log is damaged.  False: it has, and
 * *why is the message, in v->mcxt.  Other errors are thrown.
 */
bool
pt_verify_try(PtVerify *v, PtVerifyTry what, void *arg, char **why)
{
	Attempt		attempt = {.v = v,.what = what,.arg = arg};
	ErrorData  *error;

	CHECK_FOR_INTERRUPTS();
	error = pt_guarded(try_it, &attempt);
	if (error == NULL)
		return true;
	if (!is_of_log(error->sqlerrcode))
		ReThrowError(error);
	*why = MemoryContextStrdup(v->mcxt, error->message);
	FreeErrorData(error);
	return false;
}

static void
copy_blocks(PtVerify *v, void *arg)
{
	Copy	   *copy = arg;

	for (int i = 0; i < copy->n; i++)
	{
		Buffer		buf = pt_read_block(v->rel, &v->locator, copy->first + i, v->strategy);

		LockBuffer(buf, BUFFER_LOCK_SHARE);
		memcpy(copy->to + (Size) i * BLCKSZ, BufferGetPage(buf), BLCKSZ);
		UnlockReleaseBuffer(buf);
		copy->done = i + 1;
	}
}

/*
 * Copies n blocks of the file, from "first" on, to "to" (n * BLCKSZ bytes).
 * Returns how many could be read; when these are fewer, *why says what is with
 * the next one.
 */
int
pt_verify_read(PtVerify *v, BlockNumber first, int n, char *to, char **why)
{
	Copy		copy = {.first = first,.n = n,.to = to};

	Assert(n > 0 && n <= PT_VERIFY_BLOCKS);
	(void) pt_verify_try(v, copy_blocks, &copy, why);
	return copy.done;
}

/*
 * Is the header that of a page of ours, of this kind?  What a page has beyond
 * the number of the extent is the caller's to look at.  *what: what is wrong.
 */
bool
pt_verify_page_header(Page page, uint16 kind, const char **what)
{
	PageHeader	header = (PageHeader) page;

	*what = NULL;
	if (PageIsNew(page))
		*what = "the page is empty";
	else if (PageGetPageSize(page) != BLCKSZ || PageGetPageLayoutVersion(page) != PG_PAGE_LAYOUT_VERSION)
		*what = "page size or layout version is wrong";
	else if (header->pd_special != PT_PAGE_END || header->pd_upper != PT_PAGE_END)
		*what = "the special space is not where it must be";
	else if (header->pd_lower < PT_PAGE_FIRST || header->pd_lower > PT_PAGE_END)
		*what = "the end of what is written is not on the page";
	else if (header->pd_flags != 0 || TransactionIdIsValid(header->pd_prune_xid))
		*what = "the header has flags that no page of a log has";
	else if (pt_page_special(page)->kind != kind)
		*what = "the page is of another kind";
	else if (!RecoveryInProgress() && PageGetLSN(page) > GetXLogInsertRecPtr())
		*what = "the page is from a time that has not come yet";
	return *what == NULL;
}

/* Where the first frame of a page starts: 0, or a place for a frame. */
static bool
first_is_possible(Page page)
{
	uint32		first = pt_page_special(page)->first;

	return first == 0 ||
		(first >= PT_PAGE_FIRST && first == MAXALIGN(first) && first + PT_FRAME_HEAD <= ((PageHeader) page)->pd_lower);
}

/*
 * Is it the log page of this logical block, and of this generation of its
 * extent?
 */
bool
pt_verify_log_page(Page page, uint64 block, uint32 generation, const char **what)
{
	if (!pt_verify_page_header(page, PT_PAGE_LOG, what))
		return false;
	if (pt_page_special(page)->block != block)
		*what = "the page is that of another logical block";
	else if (pt_page_special(page)->generation != generation)
		*what = "the page is of another generation of its extent";
	else if (!first_is_possible(page))
		*what = "no frame can start where the first one should";
	return *what == NULL;
}
