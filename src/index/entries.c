/*-------------------------------------------------------------------------
 *
 * entries.c
 *	  The entries of btree and hash indexes, and those of others as far as a
 *	  scan gives them.
 *
 * Pages are copied and looked at in the copies, and nothing on them is
 * believed before it is checked: the server's own scans are not that
 * careful.
 *
 * A btree is read along its lowest level.  Entries move only to the right
 * when a page is split, and a page that has been removed meanwhile is not
 * used again while our snapshot is older.
 *
 * A hash index has hash codes instead of values.  It is read bucket by
 * bucket; a pin on a bucket's first page keeps its entries where they are.
 * A bucket is split into itself and one with a higher number, which is read
 * later; an entry that is in both comes twice.
 *
 * GiST and SP-GiST indexes keep something else than values, so only their
 * TIDs are compared, as the server's scan gives them.
 *
 * Siblings: entries_gin.c, verify.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/hash.h"
#include "access/nbtree.h"
#include "access/tupmacs.h"
#include "catalog/pg_am.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"

#include "index/internal.h"

/*
 * what entries are made of
 */

/* ERROR: something of the index is not as it can be. */
void
pt_index_damaged(PtIndexCheck *check, BlockNumber block, const char *what)
{
	if (BlockNumberIsValid(block))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("block %u of index \"%s\": %s", block, RelationGetRelationName(check->index), what)));
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("index \"%s\": %s", RelationGetRelationName(check->index), what)));
}

/*
 * A hash of a value that is not null, with what came before.  Memory is of the
 * current context.  A value that comes from a page ends before "end": what it
 * says of its length is not believed.
 */
uint64
pt_hash_value(uint64 seed, Form_pg_attribute att, Datum value, const char *end)
{
	const char *bytes = DatumGetPointer(value);
	char		by_value[sizeof(Datum)] = {0};
	Size		len = att->attlen;

	if (att->attbyval)
	{
		store_att_byval(by_value, value, att->attlen);
		bytes = by_value;
	}
	else if (att->attlen == -1)
	{
		struct varlena *plain;

		if (end && (bytes + 1 > end || VARATT_IS_EXTERNAL(bytes) ||
					bytes + (VARATT_IS_1B(bytes) ? 1 : VARHDRSZ) > end || bytes + VARSIZE_ANY(bytes) > end))
			ereport(ERROR,
					(errcode(ERRCODE_INDEX_CORRUPTED),
					 errmsg("an entry has a value of impossible length")));
		plain = PG_DETOAST_DATUM_PACKED(value);
		bytes = VARDATA_ANY(plain);
		len = VARSIZE_ANY_EXHDR(plain);
	}
	else if (att->attlen == -2)
		len = end ? strnlen(bytes, end - bytes) : strlen(bytes);
	return hash_bytes_extended((const unsigned char *) bytes, (int) len, seed);
}

/* A null likewise. */
static uint64
hash_null(uint64 seed)
{
	return hash_bytes_extended((const unsigned char *) "null", 4, seed);
}

/*
 * A hash of the values in an index tuple, which end before "end".  Its lengths
 * are not believed.
 */
static uint64
hash_tuple(IndexTuple tuple, TupleDesc desc, const char *end)
{
	const char *data = (const char *) tuple + IndexInfoFindDataOffset(tuple->t_info);
	uint8	   *nulls = IndexTupleHasNulls(tuple) ? (uint8 *) ((char *) tuple + sizeof(IndexTupleData)) : NULL;
	Size		off = 0;
	uint64		hash = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (nulls && att_isnull(i, nulls))
		{
			hash = hash_null(hash);
			continue;
		}
		if (att->attlen == -1 && data + off < end)
			off = att_align_pointer(off, att->attalign, -1, data + off);
		else
			off = att_align_nominal(off, att->attalign);
		if (data + off + Max(att->attlen, 1) > end)
			ereport(ERROR,
					(errcode(ERRCODE_INDEX_CORRUPTED),
					 errmsg("an entry is shorter than its values")));
		hash = pt_hash_value(hash, att, fetchatt(att, data + off), end);
		off = att_addlength_pointer(off, att->attlen, data + off);
	}
	return hash;
}

/*
 * scans, of access methods whose entries have no values to compare
 */

static void
begin_nothing(PtIndexCheck *check)
{
}

static void
tids_walk(PtIndexCheck *check, PtEntrySink sink, void *arg)
{
	IndexScanDesc scan = pt_index_beginscan(check->rel, check->index, check->snapshot);
	ItemPointer tid;

	index_rescan(scan, NULL, 0, NULL, 0);
	while ((tid = index_getnext_tid(scan, ForwardScanDirection)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		{
			PtEntry		entry = {.tid = *tid};

			sink(arg, &entry);
		}
	}
	index_endscan(scan);
}

static void
tids_form(PtIndexCheck *check, ItemPointer tid, Datum *values, bool *isnull, PtEntrySink sink, void *arg)
{
	PtEntry		entry = {.tid = *tid};

	sink(arg, &entry);
}

/*
 * pages
 */

/*
 * Copies a page from a pinned and locked buffer, when it can be a page of an
 * index with so many bytes of special space.
 */
void
pt_index_copy_page(PtIndexCheck *check, Buffer buf, Size special, char *to)
{
	Page		page = BufferGetPage(buf);
	PageHeader	header = (PageHeader) page;

	if (PageIsNew(page) || header->pd_lower < SizeOfPageHeaderData || header->pd_lower > header->pd_upper ||
		header->pd_upper > header->pd_special || header->pd_special != BLCKSZ - MAXALIGN(special))
		pt_index_damaged(check, BufferGetBlockNumber(buf), "the page has an impossible header");
	memcpy(to, page, BLCKSZ);
}

/*
 * An item of a page copy, that has at least so many bytes.  NULL: it is dead.
 */
IndexTuple
pt_index_item(PtIndexCheck *check, Page page, BlockNumber block, OffsetNumber n, Size min)
{
	ItemId		id = PageGetItemId(page, n);
	IndexTuple	tuple = (IndexTuple) ((char *) page + ItemIdGetOffset(id));

	if (ItemIdIsDead(id))
		return NULL;
	if (!ItemIdIsNormal(id) || ItemIdGetOffset(id) != MAXALIGN(ItemIdGetOffset(id)) ||
		ItemIdGetOffset(id) < ((PageHeader) page)->pd_upper || ItemIdGetLength(id) < min ||
		ItemIdGetOffset(id) + ItemIdGetLength(id) > ((PageHeader) page)->pd_special ||
		IndexTupleSize(tuple) > ItemIdGetLength(id) || IndexTupleSize(tuple) < min)
		pt_index_damaged(check, block, "an entry is not where its page says");
	return tuple;
}

/*
 * btree
 */

static BTPageOpaque
btree_read_page(PtIndexCheck *check, BlockNumber block, char *page)
{
	Buffer		buf = ReadBuffer(check->index, block);

	CHECK_FOR_INTERRUPTS();
	LockBuffer(buf, BUFFER_LOCK_SHARE);
	pt_index_copy_page(check, buf, sizeof(BTPageOpaqueData), page);
	UnlockReleaseBuffer(buf);
	return BTPageGetOpaque((Page) page);
}

/* Where a page of an upper level leads, or one that has been removed. */
static BlockNumber
btree_downlink(PtIndexCheck *check, BlockNumber block, char *page)
{
	BTPageOpaque opaque = BTPageGetOpaque((Page) page);
	IndexTuple	tuple;

	if (P_IGNORE(opaque))
		return opaque->btpo_next;
	if (PageGetMaxOffsetNumber((Page) page) < P_FIRSTDATAKEY(opaque))
		pt_index_damaged(check, block, "the page leads nowhere");
	tuple = pt_index_item(check, (Page) page, block, P_FIRSTDATAKEY(opaque), sizeof(IndexTupleData));
	if (tuple == NULL)
		pt_index_damaged(check, block, "the page leads nowhere");
	return BTreeTupleGetDownLink(tuple);
}

/*
 * Copies the first page that has entries.  Returns its block, P_NONE: there is
 * none.
 */
static BlockNumber
btree_first_page(PtIndexCheck *check, char *page)
{
	BlockNumber block;
	BTMetaPageData *meta;

	if (!P_ISMETA(btree_read_page(check, BTREE_METAPAGE, page)))
		pt_index_damaged(check, BTREE_METAPAGE, "the page is of another kind");
	meta = BTPageGetMeta((Page) page);
	if (meta->btm_magic != BTREE_MAGIC)
		pt_index_damaged(check, BTREE_METAPAGE, "the page is of another kind");
	block = meta->btm_root;
	for (int pages = 0; block != P_NONE; pages++)
	{
		if (P_ISLEAF(btree_read_page(check, block, page)))
			break;
		if (pages > RelationGetNumberOfBlocks(check->index))
			pt_index_damaged(check, block, "pages lead round");
		block = btree_downlink(check, block, page);
	}
	return block;
}

/* An entry, which may stand for several rows with the same values. */
static void
btree_walk_item(PtIndexCheck *check, BlockNumber block, IndexTuple tuple, PtEntrySink sink, void *arg)
{
	const char *end = (const char *) tuple + IndexTupleSize(tuple);
	const char *values_end = end;
	ItemPointer tids = &tuple->t_tid;
	int			n = 1;
	MemoryContext old;
	uint64		hash;

	if (BTreeTupleIsPivot(tuple))
		pt_index_damaged(check, block, "an entry leads to a page, and not to a row");
	if (BTreeTupleIsPosting(tuple))
	{
		values_end = (const char *) tuple + BTreeTupleGetPostingOffset(tuple);
		n = BTreeTupleGetNPosting(tuple);
		if (values_end < (const char *) (tuple + 1) || values_end + n * sizeof(ItemPointerData) > end)
			pt_index_damaged(check, block, "an entry has a list of impossible length");
		tids = BTreeTupleGetPosting(tuple);
	}
	old = MemoryContextSwitchTo(check->mcxt);
	hash = hash_tuple(tuple, RelationGetDescr(check->index), values_end);
	MemoryContextSwitchTo(old);
	MemoryContextReset(check->mcxt);
	for (int i = 0; i < n; i++)
	{
		PtEntry		entry = {.tid = tids[i],.hash = hash};

		sink(arg, &entry);
	}
}

static void
btree_walk(PtIndexCheck *check, PtEntrySink sink, void *arg)
{
	char	   *page = palloc(BLCKSZ);
	BlockNumber block = btree_first_page(check, page);

	for (uint32 pages = 0; block != P_NONE; pages++)
	{
		BTPageOpaque opaque = btree_read_page(check, block, page);
		OffsetNumber max = P_IGNORE(opaque) ? InvalidOffsetNumber : PageGetMaxOffsetNumber((Page) page);

		if (!P_ISLEAF(opaque))
			pt_index_damaged(check, block, "the page is of another kind");
		for (OffsetNumber n = P_FIRSTDATAKEY(opaque); n <= max; n = OffsetNumberNext(n))
		{
			IndexTuple	tuple = pt_index_item(check, (Page) page, block, n, sizeof(IndexTupleData));

			if (tuple)
				btree_walk_item(check, block, tuple, sink, arg);
		}
		if (pages > RelationGetNumberOfBlocks(check->index))
			pt_index_damaged(check, block, "pages lead round");
		block = opaque->btpo_next;
	}
	pfree(page);
}

static void
btree_form(PtIndexCheck *check, ItemPointer tid, Datum *values, bool *isnull, PtEntrySink sink, void *arg)
{
	TupleDesc	desc = RelationGetDescr(check->index);
	PtEntry		entry = {.tid = *tid};

	for (int i = 0; i < desc->natts; i++)
		entry.hash = isnull[i] ? hash_null(entry.hash) :
			pt_hash_value(entry.hash, TupleDescAttr(desc, i), values[i], NULL);
	sink(arg, &entry);
}

/*
 * hash
 */

/* The entries of a page of a bucket.  Returns the next page. */
static BlockNumber
hash_walk_page(PtIndexCheck *check, char *page, BlockNumber block, PtEntrySink sink, void *arg)
{
	OffsetNumber max = PageGetMaxOffsetNumber((Page) page);

	for (OffsetNumber n = FirstOffsetNumber; n <= max; n = OffsetNumberNext(n))
	{
		IndexTuple	tuple = pt_index_item(check, (Page) page, block, n, sizeof(IndexTupleData) + sizeof(uint32));

		CHECK_FOR_INTERRUPTS();
		if (tuple)
		{
			PtEntry		entry = {.tid = tuple->t_tid,.hash = _hash_get_indextuple_hashkey(tuple)};

			sink(arg, &entry);
		}
	}
	return HashPageGetOpaque((Page) page)->hasho_nextblkno;
}

/* The entries of a bucket, that begins in this block. */
static void
hash_walk_bucket(PtIndexCheck *check, BlockNumber block, PtEntrySink sink, void *arg)
{
	char	   *page = palloc(BLCKSZ);
	Buffer		first = _hash_getbuf(check->index, block, HASH_READ, LH_BUCKET_PAGE);
	BlockNumber pages = 0;
	BlockNumber next;

	pt_index_copy_page(check, first, sizeof(HashPageOpaqueData), page);
	LockBuffer(first, BUFFER_LOCK_UNLOCK);
	while (BlockNumberIsValid(next = hash_walk_page(check, page, block, sink, arg)))
	{
		Buffer		buf = _hash_getbuf(check->index, next, HASH_READ, LH_OVERFLOW_PAGE);

		pt_index_copy_page(check, buf, sizeof(HashPageOpaqueData), page);
		_hash_relbuf(check->index, buf);
		block = next;
		if (pages++ > RelationGetNumberOfBlocks(check->index))
			pt_index_damaged(check, block, "a bucket has no end");
	}
	ReleaseBuffer(first);
	pfree(page);
}

/* The index's numbers, as they are now. */
static void
hash_read_meta(PtIndexCheck *check, HashMetaPageData *meta)
{
	Buffer		buf = _hash_getbuf(check->index, HASH_METAPAGE, HASH_READ, LH_META_PAGE);

	memcpy(meta, HashPageGetMeta(BufferGetPage(buf)), sizeof(HashMetaPageData));
	_hash_relbuf(check->index, buf);
}

static void
hash_walk(PtIndexCheck *check, PtEntrySink sink, void *arg)
{
	HashMetaPageData *meta = palloc(sizeof(HashMetaPageData));
	Bucket		bucket = 0;

	for (;;)
	{
		hash_read_meta(check, meta);
		if (bucket > meta->hashm_maxbucket)
			break;
		for (; bucket <= meta->hashm_maxbucket; bucket++)
			hash_walk_bucket(check, BUCKET_TO_BLKNO(meta, bucket), sink, arg);
	}
	pfree(meta);
}

/* Nulls are in no hash index. */
static void
hash_form(PtIndexCheck *check, ItemPointer tid, Datum *values, bool *isnull, PtEntrySink sink, void *arg)
{
	if (!isnull[0])
	{
		PtEntry		entry = {.tid = *tid,.hash = _hash_datum2hashkey(check->index, values[0])};

		sink(arg, &entry);
	}
}

/*
 * kinds
 */

static const PtEntryKind entries_btree = {begin_nothing, btree_walk, btree_form};
static const PtEntryKind entries_hash = {begin_nothing, hash_walk, hash_form};
static const PtEntryKind entries_tids = {begin_nothing, tids_walk, tids_form};

/* How the entries of an index are found; NULL: they cannot be. */
const PtEntryKind *
pt_entry_kind(Relation index)
{
	switch (index->rd_rel->relam)
	{
		case BTREE_AM_OID:
			return &entries_btree;
		case HASH_AM_OID:
			return &entries_hash;
		case GIN_AM_OID:
			return &pt_entries_gin;
		case GIST_AM_OID:
		case SPGIST_AM_OID:
			return &entries_tids;
		default:
			return NULL;
	}
}
