/*-------------------------------------------------------------------------
 *
 * entries_gin.c
 *	  The entries of GIN indexes: one for each key of each row.
 *
 * First comes the list of what waits to be entered (fastupdate), then the
 * tree of keys, as a scan does it: what moves from the list to the tree
 * meanwhile comes twice, and nothing is missed.  The list is copied as a
 * whole, its pages locked hand over hand, so it takes memory like
 * gin_pending_list_limit.
 *
 * Pages of the tree are copied one by one.  They may be split meanwhile:
 * what moves to the right comes with a page that is behind the copy's next
 * one. Pages of keys are never removed; pages of a key's TIDs are, and are
 * not used again while our snapshot is older.
 *
 * Siblings: entries.c, verify.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/gin_private.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"

#include "index/internal.h"

/* A page of the tree, copied. */
typedef struct GinCopy
{
	BlockNumber block;
	char	   *page;
} GinCopy;

static void
gin_begin(PtIndexCheck *check)
{
	check->state = palloc0(sizeof(GinState));
	initGinState(check->state, check->index);
}

/* A hash of a key; one that is on a page ends before "end". */
static uint64
hash_key(GinState *gin, OffsetNumber column, GinNullCategory category, Datum key, const char *end)
{
	TupleDesc	desc = gin->oneCol ? gin->origTupdesc : gin->tupdesc[column - 1];
	unsigned char kind[2] = {(unsigned char) column, (unsigned char) category};
	uint64		hash = hash_bytes_extended(kind, sizeof(kind), 0);

	if (category != GIN_CAT_NORM_KEY)
		return hash;
	return pt_hash_value(hash, TupleDescAttr(desc, gin->oneCol ? 0 : 1), key, end);
}

/* The hash of the key in a tuple of the tree or the list. */
static uint64
hash_of_tuple(PtIndexCheck *check, BlockNumber block, IndexTuple tuple, Size key_size)
{
	GinState   *gin = check->state;
	OffsetNumber column = gintuple_get_attrnum(gin, tuple);
	GinNullCategory category;
	Datum		key;

	if (column < FirstOffsetNumber || column > gin->origTupdesc->natts)
		pt_index_damaged(check, block, "an entry is of a column that the index does not have");
	key = gintuple_get_key(gin, tuple, &category);
	return hash_key(gin, column, category, key, (const char *) tuple + key_size);
}

/*
 * Copies a page that must have some flags and must not have others.  The
 * buffer is locked.
 */
static void
copy_page(PtIndexCheck *check, Buffer buf, uint16 with, uint16 without, char *to)
{
	pt_index_copy_page(check, buf, sizeof(GinPageOpaqueData), to);
	if ((GinPageGetOpaque((Page) to)->flags & with) != with || (GinPageGetOpaque((Page) to)->flags & without) != 0)
		pt_index_damaged(check, BufferGetBlockNumber(buf), "the page is of another kind");
}

static void
read_page(PtIndexCheck *check, BlockNumber block, uint16 with, uint16 without, char *to)
{
	Buffer		buf = ReadBuffer(check->index, block);

	CHECK_FOR_INTERRUPTS();
	LockBuffer(buf, GIN_SHARE);
	copy_page(check, buf, with, without, to);
	UnlockReleaseBuffer(buf);
}

/* The first page of the list, locked; InvalidBuffer: there is none. */
static Buffer
first_of_list(PtIndexCheck *check)
{
	Buffer		meta = ReadBuffer(check->index, GIN_METAPAGE_BLKNO);
	Buffer		buf = InvalidBuffer;
	BlockNumber head;

	LockBuffer(meta, GIN_SHARE);
	head = GinPageGetMeta(BufferGetPage(meta))->head;
	if (BlockNumberIsValid(head))
	{
		buf = ReadBuffer(check->index, head);
		LockBuffer(buf, GIN_SHARE);
	}
	UnlockReleaseBuffer(meta);
	return buf;
}

/* Copies of the pages of the list: GinCopy. */
static List *
copy_list(PtIndexCheck *check)
{
	List	   *pages = NIL;
	BlockNumber max = RelationGetNumberOfBlocks(check->index);
	Buffer		buf = first_of_list(check);

	while (BufferIsValid(buf))
	{
		GinCopy    *copy = palloc(sizeof(GinCopy));
		BlockNumber next;
		Buffer		next_buf = InvalidBuffer;

		CHECK_FOR_INTERRUPTS();
		copy->block = BufferGetBlockNumber(buf);
		copy->page = palloc(BLCKSZ);
		copy_page(check, buf, GIN_LIST, GIN_DELETED, copy->page);
		pages = lappend(pages, copy);
		next = GinPageGetOpaque((Page) copy->page)->rightlink;
		if (BlockNumberIsValid(next))
		{
			next_buf = ReadBuffer(check->index, next);
			LockBuffer(next_buf, GIN_SHARE);
		}
		UnlockReleaseBuffer(buf);
		buf = next_buf;
		if ((BlockNumber) list_length(pages) > Max(max, RelationGetNumberOfBlocks(check->index)))
			pt_index_damaged(check, next, "the list of pending entries has no end");
	}
	return pages;
}

/* The entries that wait. */
static void
walk_list(PtIndexCheck *check, PtEntrySink sink, void *arg)
{
	List	   *pages = copy_list(check);
	ListCell   *lc;

	foreach(lc, pages)
	{
		GinCopy    *copy = lfirst(lc);
		OffsetNumber max = PageGetMaxOffsetNumber((Page) copy->page);

		for (OffsetNumber n = FirstOffsetNumber; n <= max; n = OffsetNumberNext(n))
		{
			IndexTuple	tuple = pt_index_item(check, (Page) copy->page, copy->block, n, sizeof(IndexTupleData));
			MemoryContext old = MemoryContextSwitchTo(check->mcxt);
			PtEntry		entry;

			CHECK_FOR_INTERRUPTS();
			if (tuple)
			{
				entry.tid = tuple->t_tid;
				entry.hash = hash_of_tuple(check, copy->block, tuple, IndexTupleSize(tuple));
			}
			MemoryContextSwitchTo(old);
			if (tuple)
				sink(arg, &entry);
			MemoryContextReset(check->mcxt);
		}
		pfree(copy->page);
	}
	list_free_deep(pages);
}

/*
 * Is there room for a list of TIDs as it says, from a place to the end?
 */
static bool
list_fits(const char *at, const char *end, bool compressed, int n)
{
	if (!compressed)
		return at + sizeof(ItemPointerData) * n <= end;
	return n == 0 || (at + offsetof(GinPostingList, bytes) <= end &&
					  at + offsetof(GinPostingList, bytes) + ((const GinPostingList *) at)->nbytes <= end);
}

/* Likewise for the lists of a page. */
static bool
page_fits(Page page)
{
	const char *at = (const char *) GinDataLeafPageGetPostingList(page);
	const char *end = (const char *) page + ((PageHeader) page)->pd_lower;

	if (!GinPageIsCompressed(page))
		return true;			/* of a server that was older than ours */
	while (at < end)
	{
		if (!list_fits(at, end, true, 1))
			return false;
		at += SizeOfGinPostingList((const GinPostingList *) at);
	}
	return true;
}

/* The TIDs of a key that has a tree of them, which begins in this block. */
static void
walk_tids(PtIndexCheck *check, BlockNumber block, uint64 hash, PtEntrySink sink, void *arg)
{
	char	   *page = palloc(BLCKSZ);
	ItemPointerData none;

	ItemPointerSetMin(&none);
	for (;;)
	{
		read_page(check, block, GIN_DATA, 0, page);
		if (GinPageIsLeaf((Page) page))
			break;
		block = PostingItemGetBlockNumber(GinDataPageGetPostingItem((Page) page, FirstOffsetNumber));
	}
	for (;;)
	{
		int			n = 0;
		ItemPointer tids = NULL;

		if (!page_fits((Page) page))
			pt_index_damaged(check, block, "the page has a list of impossible length");
		if (!GinPageIsDeleted((Page) page))
			tids = GinDataLeafPageGetItems((Page) page, &n, none);
		for (int i = 0; i < n; i++)
		{
			PtEntry		entry = {.tid = tids[i],.hash = hash};

			sink(arg, &entry);
		}
		if (tids)
			pfree(tids);
		if (GinPageRightMost((Page) page))
			break;
		block = GinPageGetOpaque((Page) page)->rightlink;
		read_page(check, block, GIN_DATA | GIN_LEAF, 0, page);
	}
	pfree(page);
}

/* A key of the tree with the TIDs that have it. */
static void
walk_key(PtIndexCheck *check, BlockNumber block, IndexTuple tuple, PtEntrySink sink, void *arg)
{
	MemoryContext old = MemoryContextSwitchTo(check->mcxt);
	bool		tree = GinIsPostingTree(tuple);
	Size		key_size = tree ? IndexTupleSize(tuple) : GinGetPostingOffset(tuple);
	uint64		hash;
	ItemPointer tids;
	ItemPointer kept;
	int			n;

	if (key_size > IndexTupleSize(tuple) || key_size < sizeof(IndexTupleData))
		pt_index_damaged(check, block, "an entry is not where its page says");
	hash = hash_of_tuple(check, block, tuple, key_size);
	if (tree)
	{
		MemoryContextSwitchTo(old);
		MemoryContextReset(check->mcxt);
		walk_tids(check, GinGetPostingTree(tuple), hash, sink, arg);
		return;
	}
	if (!list_fits(GinGetPosting(tuple), (char *) tuple + IndexTupleSize(tuple), GinItupIsCompressed(tuple),
				   GinGetNPosting(tuple)))
		pt_index_damaged(check, block, "an entry has a list of impossible length");
	tids = ginReadTuple(check->state, gintuple_get_attrnum(check->state, tuple), tuple, &n);
	MemoryContextSwitchTo(old);
	kept = palloc(sizeof(ItemPointerData) * Max(n, 1));
	if (n > 0)
		memcpy(kept, tids, sizeof(ItemPointerData) * n);
	MemoryContextReset(check->mcxt);
	for (int i = 0; i < n; i++)
	{
		PtEntry		entry = {.tid = kept[i],.hash = hash};

		sink(arg, &entry);
	}
	pfree(kept);
}

/* The first page with keys; its copy goes to "page". */
static BlockNumber
first_of_tree(PtIndexCheck *check, char *page)
{
	BlockNumber block = GIN_ROOT_BLKNO;

	for (;;)
	{
		IndexTuple	tuple;

		read_page(check, block, 0, GIN_DATA | GIN_LIST | GIN_DELETED | GIN_META, page);
		if (GinPageIsLeaf((Page) page))
			return block;
		if (PageGetMaxOffsetNumber((Page) page) < FirstOffsetNumber)
			pt_index_damaged(check, block, "the page leads nowhere");
		tuple = pt_index_item(check, (Page) page, block, FirstOffsetNumber, sizeof(IndexTupleData));
		if (tuple == NULL)
			pt_index_damaged(check, block, "the page leads nowhere");
		block = GinGetDownlink(tuple);
	}
}

static void
gin_walk(PtIndexCheck *check, PtEntrySink sink, void *arg)
{
	char	   *page = palloc(BLCKSZ);
	BlockNumber block;

	walk_list(check, sink, arg);
	block = first_of_tree(check, page);
	for (;;)
	{
		OffsetNumber max = PageGetMaxOffsetNumber((Page) page);

		for (OffsetNumber n = FirstOffsetNumber; n <= max; n = OffsetNumberNext(n))
		{
			IndexTuple	tuple = pt_index_item(check, (Page) page, block, n, sizeof(IndexTupleData));

			if (tuple)
				walk_key(check, block, tuple, sink, arg);
		}
		if (GinPageRightMost((Page) page))
			break;
		block = GinPageGetOpaque((Page) page)->rightlink;
		read_page(check, block, GIN_LEAF, GIN_DATA | GIN_LIST | GIN_DELETED | GIN_META, page);
	}
	pfree(page);
}

/* The keys of a row, as the operator class makes them. */
static void
gin_form(PtIndexCheck *check, ItemPointer tid, Datum *values, bool *isnull, PtEntrySink sink, void *arg)
{
	GinState   *gin = check->state;

	for (int i = 0; i < gin->origTupdesc->natts; i++)
	{
		OffsetNumber column = (OffsetNumber) (i + 1);
		GinNullCategory *categories;
		int32		n;
		Datum	   *keys = ginExtractEntries(gin, column, values[i], isnull[i], &n, &categories);

		for (int32 k = 0; k < n; k++)
		{
			PtEntry		entry = {.tid = *tid,.hash = hash_key(gin, column, categories[k], keys[k], NULL)};

			sink(arg, &entry);
		}
	}
}

const PtEntryKind pt_entries_gin = {gin_begin, gin_walk, gin_form};
