/*-------------------------------------------------------------------------
 *
 * verify_space.c
 *	  Verifying a log: the meta page, the directory, and which physical extent
 *	  is used for what.
 *
 * Nobody is locked out meanwhile.  What is found wrong is looked at again with
 * the meta page as it is then, and is a finding only if it is still wrong.
 *
 * Memory: a byte for each physical extent.
 *
 * Siblings: verify.c says who calls whom.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "log/verify_internal.h"

/* How often a directory that is being changed is looked at again. */
#define TRIES_MAX	20

/* Who uses the physical extents of the file. */
typedef struct Uses
{
	uint32		n;				/* physical extents */
	uint8	   *states;			/* PT_MAP_xxx of each, by the directory */
	uint32		free;			/* how many the map says are free */
} Uses;

static bool check_meta(PtVerify *v);
static void check_numbers(PtVerify *v);
static PtEntryFound find_entry(PtVerify *v, uint64 extent, PtDirEntry *entry);
static void check_uses(PtVerify *v);

/*
 * Copies the meta page.  False: it is unreadable or none, and that has been
 * said.  A log that was made by another version is not looked at any further.
 */
bool
pt_verify_reread_meta(PtVerify *v)
{
	char	   *why;
	const char *what;

	if (pt_verify_read(v, PT_META_BLOCK, 1, v->meta_page, &why) == 0)
	{
		pt_verify_say(v, PT_DAMAGE_UNREADABLE, PT_META_BLOCK, 0, -1, "%s", why);
		return false;
	}
	v->meta = pt_meta_page(v->meta_page);
	v->dir_number = PG_UINT64_MAX;
	if (pt_verify_page_header(v->meta_page, PT_PAGE_META, &what))
		return check_meta(v);
	pt_verify_say(v, PT_DAMAGE_META, PT_META_BLOCK, 0, -1, "%s", what);
	return false;
}

/* The constants of the meta page, without which nothing else means much. */
static bool
check_meta(PtVerify *v)
{
	const PtMetaPage *meta = v->meta;
	uint32		lower = PT_PAGE_FIRST + sizeof(PtMetaPage);

	if (meta->magic != PT_META_MAGIC)
		pt_verify_say(v, PT_DAMAGE_META, PT_META_BLOCK, 0, -1, "the magic number is 0x%x, not 0x%x", meta->magic, PT_META_MAGIC);
	else if (meta->version != PT_LOG_FORMAT_VERSION)
		pt_verify_say(v, PT_DAMAGE_META, PT_META_BLOCK, 0, -1, "the format version is %u, not %u", meta->version, PT_LOG_FORMAT_VERSION);
	else if (meta->extent_blocks != PT_EXTENT_BLOCKS || meta->block_size != BLCKSZ)
		pt_verify_say(v, PT_DAMAGE_META, PT_META_BLOCK, 0, -1, "extents have %u blocks of %u bytes, not %u of %u",
					  meta->extent_blocks, meta->block_size, PT_EXTENT_BLOCKS, BLCKSZ);
	else if (((PageHeader) v->meta_page)->pd_lower != lower || pt_page_special(v->meta_page)->block != 0 ||
			 pt_page_special(v->meta_page)->first != 0 || pt_page_special(v->meta_page)->generation != 0)
		pt_verify_say(v, PT_DAMAGE_META, PT_META_BLOCK, 0, -1, "the page's header or special space is wrong");
	else
		return true;
	return false;
}

/* A position at which a frame may start. */
static bool
is_place(PtLogPos pos)
{
	return pt_frame_start(pos) == pos;
}

/*
 * The numbers of the meta page against each other and the file.  (Whether
 * frames start at the positions is seen by who walks over them.)
 */
static void
check_numbers(PtVerify *v)
{
	const PtMetaPage *meta = v->meta;
	uint64		first = meta->first_extent;
	uint64		next = meta->next_extent;
	uint64		holes = meta->hole_to - meta->hole_from;

	v->file_blocks = RelationGetNumberOfBlocks(v->rel);
	if (first > next || meta->free_extent > first)
		pt_verify_say(v, PT_DAMAGE_META, PT_META_BLOCK, 0, -1,
					  "extents %llu to %llu are retained, and free ones begin at %llu: these numbers do not agree",
					  (unsigned long long) first, (unsigned long long) next, (unsigned long long) meta->free_extent);
	if (next - first > PT_DIR_ENTRIES)
		pt_verify_say(v, PT_DAMAGE_META, PT_META_BLOCK, 0, -1, "%llu extents are retained, more than a directory holds",
					  (unsigned long long) (next - first));

	if (holes > 0 && (meta->hole_from < first || meta->hole_to > next || meta->hole_from > meta->hole_to))
		pt_verify_say(v, PT_DAMAGE_META, PT_META_BLOCK, 0, -1, "holes cannot be extents %llu to %llu",
					  (unsigned long long) meta->hole_from, (unsigned long long) meta->hole_to);
	if (meta->swapped > meta->generation)
		pt_verify_say(v, PT_DAMAGE_META, PT_META_BLOCK, 0, -1, "the directory has generation %u, and the newest is %u",
					  meta->swapped, meta->generation);

	/* on a standby, the file grows with what is written */
	if (meta->phys_extents > 0 &&
		(uint64) pt_extent_block((uint64) meta->phys_extents - 1) > (uint64) v->file_blocks + PT_EXTENT_BLOCKS)
		pt_verify_say(v, PT_DAMAGE_SPACE, PT_META_BLOCK, 0, -1, "the file has %u blocks, too few for %u physical extents",
					  v->file_blocks, meta->phys_extents);
	if (!is_place(meta->start_pos) || pt_pos_extent(meta->start_pos) < first || pt_pos_extent(meta->start_pos) > next)
		pt_verify_say(v, PT_DAMAGE_META, PT_META_BLOCK, meta->start_pos, meta->start_offset,
					  "the log cannot start at this position");
	if (!is_place(meta->sealed_pos) || pt_pos_extent(meta->sealed_pos) > next)
		pt_verify_say(v, PT_DAMAGE_META, PT_META_BLOCK, meta->sealed_pos, -1,
					  "sealed frames cannot end at this position");
	if (meta->producers_pos != 0 && (!is_place(meta->producers_pos) || pt_pos_extent(meta->producers_pos) < first ||
									 pt_pos_extent(meta->producers_pos) > next))
		pt_verify_say(v, PT_DAMAGE_META, PT_META_BLOCK, meta->producers_pos, -1,
					  "no snapshot of producers can be at this position");
	if (meta->start_offset < 0 || meta->start_ordinal < 0)
		pt_verify_say(v, PT_DAMAGE_META, PT_META_BLOCK, meta->start_pos, meta->start_offset,
					  "start offset %lld or start ordinal %lld is negative", (long long) meta->start_offset,
					  (long long) meta->start_ordinal);
}

/* Copies a directory page, unless it is the one that was copied last. */
static void
read_dir_page(PtVerify *v, const PtDirPlace *place)
{
	uint32		phys = v->meta->dir_extents[place->dir_extent % PT_DIR_EXTENTS];
	BlockNumber block = InvalidBlockNumber;
	char	   *why = NULL;
	const char *what = NULL;

	if (v->dir_number == place->page)
		return;
	v->dir_number = place->page;
	v->dir_good = false;
	/* a standby's file ends with the last page that was written */
	if (phys != PT_INVALID_EXTENT &&
		(uint64) pt_extent_block((uint64) phys) + place->page % PT_EXTENT_BLOCKS < v->file_blocks)
		block = pt_extent_block(phys) + (BlockNumber) (place->page % PT_EXTENT_BLOCKS);
	if (block == InvalidBlockNumber)
		pt_verify_say(v, PT_DAMAGE_DIRECTORY, PT_META_BLOCK, 0, -1, "directory extent %llu is not in the file",
					  (unsigned long long) place->dir_extent);
	else if (pt_verify_read(v, block, 1, v->dir_page, &why) == 0)
		pt_verify_say(v, PT_DAMAGE_UNREADABLE, block, 0, -1, "%s", why);
	else if (!pt_verify_page_header(v->dir_page, PT_PAGE_DIRECTORY, &what))
		pt_verify_say(v, PT_DAMAGE_DIRECTORY, block, 0, -1, "%s", what);
	else if (pt_page_special(v->dir_page)->block != place->page ||
			 pt_page_special(v->dir_page)->first != 0 || pt_page_special(v->dir_page)->generation != 0 ||
			 ((PageHeader) v->dir_page)->pd_lower != PT_PAGE_FIRST + sizeof(PtDirEntry) * PT_DIR_PER_PAGE)
		pt_verify_say(v, PT_DAMAGE_DIRECTORY, block, 0, -1, "it is not page %llu of the directory",
					  (unsigned long long) place->page);
	else
		v->dir_good = true;
}

/*
 * The entry of an extent, by the copy of the meta page; also of one that is
 * dropped, but not freed yet.
 */
static PtEntryFound
find_entry(PtVerify *v, uint64 extent, PtDirEntry *entry)
{
	PtDirPlace	place;

	if (extent < v->meta->free_extent || extent >= v->meta->next_extent)
		return PT_ENTRY_GONE;
	if (!pt_dir_place(extent, &place))
		*entry = v->meta->entries[place.slot];
	else
	{
		read_dir_page(v, &place);
		if (!v->dir_good)
			return PT_ENTRY_DAMAGED;
		*entry = pt_dir_page(v->dir_page)[place.slot];
	}
	return PT_ENTRY_FOUND;
}

/* The same for an extent of the log. */
PtEntryFound
pt_verify_entry(PtVerify *v, uint64 extent, PtDirEntry *entry)
{
	return extent < v->meta->first_extent ? PT_ENTRY_GONE : find_entry(v, extent, entry);
}

/* Notes a use of a physical extent; what is wrong with it, or NULL. */
static const char *
use_extent(Uses *uses, uint32 phys, uint8 state)
{
	if (phys >= uses->n)
		return "it is not in the file";
	if (uses->states[phys] != PT_MAP_FREE)
		return "it is used for something else, too";
	uses->states[phys] = state;
	return NULL;
}

/* The extents of the directory itself. */
static void
use_dir_extents(PtVerify *v, Uses *uses)
{
	for (int i = 0; i < PT_DIR_EXTENTS; i++)
	{
		uint32		phys = v->meta->dir_extents[i];
		const char *what = phys == PT_INVALID_EXTENT ? NULL : use_extent(uses, phys, PT_MAP_DIRECTORY);

		if (what != NULL)
			pt_verify_say(v, PT_DAMAGE_SPACE, PT_META_BLOCK, 0, -1, "physical extent %u is to hold directory extent %d: %s",
						  phys, i, what);
	}
}

/* The extents of the log, and those that are dropped but not on the map. */
static void
use_data_extents(PtVerify *v, Uses *uses)
{
	for (uint64 extent = v->meta->free_extent; extent < v->meta->next_extent; extent++)
	{
		PtDirEntry	entry;
		const char *what;

		CHECK_FOR_INTERRUPTS();
		if (find_entry(v, extent, &entry) != PT_ENTRY_FOUND || entry.phys == PT_INVALID_EXTENT)
			continue;
		what = use_extent(uses, entry.phys, PT_MAP_DATA);
		if (what != NULL)
			pt_verify_say(v, PT_DAMAGE_SPACE, InvalidBlockNumber, pt_extent_pos(extent), -1,
						  "physical extent %u is to hold extent %llu: %s", entry.phys, (unsigned long long) extent, what);
	}
}

/* What the map says of a physical extent against who uses it. */
static void
check_map_entry(PtVerify *v, Uses *uses, uint32 phys, const PtMapEntry *map)
{
	BlockNumber block = pt_map_block(pt_map_group(phys));
	PtDirEntry	entry;
	PtEntryFound found;

	if (map->state == PT_MAP_FREE)
		uses->free++;
	if (map->state == PT_MAP_FREE && phys < v->meta->free_from)
		pt_verify_say(v, PT_DAMAGE_SPACE, block, 0, -1, "physical extent %u is free, and nothing before %u is to be", phys,
					  v->meta->free_from);
	if (map->state == PT_MAP_COPY && uses->states[phys] == PT_MAP_FREE)
		return;					/* compaction writes into it, or has failed to */
	if (map->state != uses->states[phys])
		pt_verify_say(v, PT_DAMAGE_SPACE, block, 0, -1, "the map has physical extent %u in state %u, and its use is %u", phys,
					  map->state, uses->states[phys]);
	else if (map->state == PT_MAP_DIRECTORY && map->extent != PT_NO_EXTENT)
		pt_verify_say(v, PT_DAMAGE_SPACE, block, 0, -1, "the map gives extent %llu to physical extent %u of the directory",
					  (unsigned long long) map->extent, phys);
	else if (map->state == PT_MAP_DATA &&
			 (found = find_entry(v, map->extent, &entry)) != PT_ENTRY_DAMAGED && (found == PT_ENTRY_GONE || entry.phys != phys))
		pt_verify_say(v, PT_DAMAGE_SPACE, block, 0, -1, "the map gives extent %llu to physical extent %u, the directory does not",
					  (unsigned long long) map->extent, phys);
}

/* A map page, into the copy; false: it is damaged, and that has been said. */
static bool
read_map_page(PtVerify *v, uint32 group)
{
	BlockNumber block = pt_map_block(group);
	char	   *why = NULL;
	const char *what = NULL;

	if (block >= v->file_blocks)
		pt_verify_say(v, PT_DAMAGE_SPACE, block, 0, -1, "map page %u is not in the file", group);
	else if (pt_verify_read(v, block, 1, v->one_page, &why) == 0)
		pt_verify_say(v, PT_DAMAGE_UNREADABLE, block, 0, -1, "%s", why);
	else if (!pt_verify_page_header(v->one_page, PT_PAGE_MAP, &what))
		pt_verify_say(v, PT_DAMAGE_SPACE, block, 0, -1, "%s", what);
	else if (pt_page_special(v->one_page)->block != group || pt_page_special(v->one_page)->first != 0 ||
			 ((PageHeader) v->one_page)->pd_lower != PT_PAGE_FIRST + sizeof(PtMapEntry) * PT_MAP_EXTENTS)
		pt_verify_say(v, PT_DAMAGE_SPACE, block, 0, -1, "it is not map page %u", group);
	else
		return true;
	return false;
}

/* All map pages. */
static void
check_maps(PtVerify *v, Uses *uses)
{
	bool		all = true;

	for (uint32 first = 0; first < uses->n; first += PT_MAP_EXTENTS)
	{
		if (!read_map_page(v, pt_map_group(first)))
		{
			all = false;
			continue;
		}
		for (uint32 phys = first; phys < uses->n && phys < first + PT_MAP_EXTENTS; phys++)
			check_map_entry(v, uses, phys, pt_map_entry(v->one_page, phys));
	}
	if (all && uses->free != v->meta->free_phys)
		pt_verify_say(v, PT_DAMAGE_SPACE, PT_META_BLOCK, 0, -1, "%u physical extents are free, and the meta page counts %u",
					  uses->free, v->meta->free_phys);
}

/*
 * Is each physical extent used once, and for what the map says?
 */
static void
check_uses(PtVerify *v)
{
	Uses		uses = {.n = v->meta->phys_extents};

	uses.n = (uint32) Min(uses.n, v->file_blocks / PT_EXTENT_BLOCKS + 1);
	uses.states = MemoryContextAllocExtended(CurrentMemoryContext, uses.n + 1, MCXT_ALLOC_HUGE);
	memset(uses.states, PT_MAP_FREE, uses.n + 1);
	use_dir_extents(v, &uses);
	use_data_extents(v, &uses);
	check_maps(v, &uses);
	pfree(uses.states);
}

/*
 * Looks at the meta page, the directory, and the use of the file.  False: the
 * meta page is so bad that nothing else can be looked at.
 *
 * Who takes or frees an extent changes the meta page with it.  So what is
 * found while that has stayed as it was is so; else it is looked at once more.
 */
bool
pt_verify_space(PtVerify *v)
{
	for (int try = 0; try < TRIES_MAX; try++)
	{
		XLogRecPtr	lsn;

		pt_verify_hold(v);
		if (!pt_verify_reread_meta(v))
		{
			pt_verify_let_go(v, true);
			return false;
		}
		lsn = PageGetLSN(v->meta_page);
		check_numbers(v);
		if (v->meta->free_extent > v->meta->first_extent || v->meta->first_extent > v->meta->next_extent ||
			v->meta->next_extent - v->meta->free_extent > PT_DIR_ENTRIES)
		{
			pt_verify_let_go(v, true);
			return false;
		}
		check_uses(v);
		if (v->nheld == 0)
			break;
		if (!pt_verify_reread_meta(v) || PageGetLSN(v->meta_page) == lsn)
			break;
		pt_verify_let_go(v, false);
	}
	pt_verify_let_go(v, true);
	return true;
}
