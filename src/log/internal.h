/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of the log room share among themselves.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_LOG_INTERNAL_H
#define PT_LOG_INTERNAL_H

#include "access/xloginsert.h"

#include "log/log.h"
#include "log/wal.h"

/* page.c: the same initialisation for the running server and for redo. */
extern void pt_page_init(Page page, uint16 kind, uint64 block, uint32 generation);
extern void pt_meta_init(Page page, int64 offset, int64 ordinal);
extern void pt_meta_apply_extent(Page meta, const xl_pt_extent *x);
extern void pt_meta_apply(Page meta, const xl_pt_meta *x);

extern void pt_dir_apply(Page page, const xl_pt_extent *x, bool init);
extern void pt_dir_apply_prev(Page page, const xl_pt_extent *x);

extern void pt_map_init(Page page, uint32 group);
extern void pt_map_apply_extent(Page page, const xl_pt_extent *x, int which);
extern void pt_map_apply_free(Page page, const xl_pt_free *x);
extern void pt_meta_apply_free(Page meta, const xl_pt_free *x);
extern void pt_meta_apply_shrink(Page meta, const xl_pt_shrink *x);

/*
 * Where the directory entry of an extent is: false when it is in the meta
 * page.
 */
typedef struct PtDirPlace
{
	uint64		page;			/* directory page number */
	uint64		dir_extent;		/* its directory extent */
	uint32		slot;			/* in the page, or in the meta page */
} PtDirPlace;
extern bool pt_dir_place(uint64 extent, PtDirPlace *place);
extern BlockNumber pt_dir_block(const PtMetaPage *meta, const PtDirPlace *place);

/*
 * How a record registers a page that it changes without initialising it.  With
 * wal_level = minimal, what a file had when the transaction made it (ALTER
 * TABLE SET TABLESPACE copies it) is put into WAL at the commit, behind our
 * records.  Before that, redo must not look at what a loss of power has left
 * of the page, so it gets an image.
 */
static inline uint8
pt_wal_page_flags(Relation rel)
{
	return REGBUF_STANDARD | (RelationNeedsWAL(rel) ? 0 : REGBUF_FORCE_IMAGE);
}

/* meta.c */
extern Buffer pt_read_block(Relation rel, const RelFileLocator *locator, BlockNumber block,
							BufferAccessStrategy strategy);
extern uint32 pt_extent_take(Relation rel, const PtDirEntry *next, int64 prev_max_timestamp);
extern BlockNumber pt_file_extend(Relation rel, BlockNumber have, uint32 phys, BlockNumber need);
extern void pt_file_reach(Relation rel, uint32 phys, BlockNumber need);

extern int	pt_entries_read(const RelFileLocator *locator, const PtMetaPage *meta, uint64 extent,
							PtDirEntry *entries, int max);
extern Buffer pt_meta_lock(Relation rel, const RelFileLocator *locator, int mode);
extern void pt_meta_clean(Relation rel, int64 offset);
extern XLogRecPtr pt_meta_trim(const RelFileLocator *locator, const PtLogStart *start, bool *moved);
extern XLogRecPtr pt_meta_producers(const RelFileLocator *locator, PtLogPos pos);


/* free.c */
extern void pt_free_write(Buffer meta, const Buffer *maps, int nmaps, const xl_pt_free *x, uint8 flags);

/* space.c */
/* What the meta page counts of physical extents, while some are taken. */
typedef struct PtSpaceCounts
{
	uint32		phys_extents;
	uint32		free_phys;
	uint32		free_from;
} PtSpaceCounts;
extern PtSpaceCounts pt_space_counts(const PtMetaPage *meta);
extern uint32 pt_space_take(Relation rel, const PtMetaPage *meta, PtSpaceCounts *counts, uint32 but, uint64 *reused);
extern bool pt_space_waits(const PtMapEntry *entry);
extern Buffer pt_map_lock(Relation rel, const RelFileLocator *locator, uint32 group, bool init);
extern TransactionId pt_space_horizon(uint64 reused);

/* swap.c: what compaction does to pages, also in redo */
extern void pt_meta_apply_claim(Page page, const xl_pt_claim *x);
extern void pt_map_apply_claim(Page page, const xl_pt_claim *x);
extern void pt_meta_apply_swap(Page page, const xl_pt_swap *x);
extern void pt_dir_apply_swap(Page page, const xl_pt_swap *x);
extern void pt_map_apply_swap(Page page, const xl_pt_swap *x);
extern void pt_page_apply_moved(Page page, const xl_pt_swap *x);

/* A group of extents whose frames are put elsewhere. */
typedef struct PtSwap
{
	xl_pt_swap *record;			/* in_from, in_to, out_from, nout and, behind
								 * it, the entries are the caller's */
	int64		start_offset;	/* of the log, when the caller looked */
	PtLogPos	start_pos;		/* where the log starts then, 0: as before */
	PtLogPos	moved;			/* frame that is flagged, 0: none */
} PtSwap;

extern Size pt_swap_size(void);
extern PtDirEntry *pt_swap_entries(xl_pt_swap *x);
extern uint32 pt_swap_claim(Relation rel, uint64 extent, uint32 *generation);
extern bool pt_swap_commit(Relation rel, PtSwap *swap);
extern int	pt_swap_return(Relation rel);

/* holds.c */
extern void pt_hold_reused(uint32 freed_at);
extern uint64 pt_hold_oldest(const RelFileLocator *locator);

/* trim.c */
extern bool pt_trim_find_end(PtReader *r, const PtLogEnd *end, PtLogStart *start);

/* state.c: for redo */
extern void pt_state_replay_meta(const RelFileLocator *locator, const xl_pt_meta *x);

/* state.c: who changes an entry */
extern void pt_state_adopt(PtLogState *state, const PtLogState *fresh);
extern void pt_state_set_start(const RelFileLocator *locator, const PtLogStart *start);
extern void pt_state_set_sealed(const RelFileLocator *locator, PtLogPos sealed);
extern void pt_state_swapped(const RelFileLocator *locator, uint64 end_extent);
extern void pt_state_moved(const RelFileLocator *locator, const PtLogStart *start);
extern void pt_state_file_changed(const RelFileLocator *locator);
extern void pt_state_set_producers(const RelFileLocator *locator, PtLogPos pos);

/* state_table.c */
typedef void (*PtStateCallback) (PtLogState *state, const void *arg);
extern Size pt_state_table_size(void);
extern void pt_state_table_init(void);
extern int	pt_state_pinned(void);
extern PtLogState *pt_state_claim(const RelFileLocator *locator, bool may_evict);
extern bool pt_state_peek(PtLogView *view, const RelFileLocator *locator);
extern bool pt_state_start(const RelFileLocator *locator, PtLogPos *start);
extern void pt_state_tell(const RelFileLocator *locator, PtStateCallback callback, const void *arg);
extern ConditionVariable *pt_state_freed_cv(void);
extern void pt_state_each(void (*callback) (PtLogState *state, void *arg), void *arg);

/* Can it be used?  What was loaded in recovery must be loaded again. */
static inline bool
pt_state_is_ready(const PtLogState *state)
{
	return state->loaded && !state->volatile_load;
}

/* view.c */
extern void pt_view_fill(PtLogView *view, PtLogState *state, const RelFileLocator *locator);
extern void pt_view_of_info(PtLogView *view, const RelFileLocator *locator, const PtLogInfo *info);
extern void pt_durable_info(Relation rel, const RelFileLocator *locator, PtLogInfo *info);
extern PtLogPos pt_view_sealed(PtLogView *view, Relation rel, PtLogPos pos);

/* aborted.c */
extern const PtAborted *pt_aborted_run(const PtLogState *state, PtLogPos pos);
extern void pt_aborted_add(PtLogState *state, PtLogPos from, PtLogPos to);

/* seal.c */
extern void pt_frame_set(Relation rel, PtLogPos pos, uint32 length, uint32 flags);
extern uint32 pt_frame_flag(Relation rel, PtLogPos pos, uint32 flags);

/* walk.c */
extern const PtBatchHeader pt_no_batch;
extern PtWalked pt_walk_last(PtPageSource *source, uint64 block, PtLogPos end, PtFrame *frame);
extern PtWalked pt_walk_first(PtPageSource *source, uint64 block, PtFrame *frame);
extern PtWalked pt_walk_first_batch(PtPageSource *source, uint64 block, PtFrame *frame, bool *written);

/* damage.c */
extern void pt_reader_gone(const PtReader *r);
extern void pt_reader_check_missing(const PtReader *r, PtLogPos pos);
extern void pt_reader_check_length(const PtReader *r, const PtFrame *frame);
extern void pt_reader_check_before(const PtReader *r, const PtFrame *frame);
extern void pt_check_meta(const RelFileLocator *locator, const PtMetaPage *meta);
extern void pt_check_tail_page(Relation rel, Page page, PtLogPos pos, uint32 generation);

/* reader.c */
extern void pt_reader_check(const PtReader *r, PtWalked walked, uint64 block);
extern void pt_reader_begin_locator(PtReader *r, const RelFileLocator *locator, const PtLogInfo *info);
extern void pt_reader_begin_info(PtReader *r, Relation rel, const PtLogInfo *info);
extern PtLogPos pt_written_end(PtReader *r, PtLogPos from);
extern void pt_reader_map_for(PtReader *r, uint32 swapped);
extern void pt_reader_find_again(PtReader *r);
extern uint64 pt_reader_written(PtReader *r, uint64 extent);
extern bool pt_reader_lock_block(PtReader *r, uint64 block, Page *page);

#endif							/* PT_LOG_INTERNAL_H */
