/*-------------------------------------------------------------------------
 *
 * internal.h
 *	  What the files of the fan-out room share.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef PT_FANOUT_INTERNAL_H
#define PT_FANOUT_INTERNAL_H

#include "compat.h"

#include "access/htup.h"
#include "access/xlogreader.h"
#include "replication/reorderbuffer.h"
#include "replication/walreceiver.h"
#include "utils/hsearch.h"

#include "log/wal.h"
#include "record/batch.h"

/* A frame that is put together. */
typedef struct PtPartFrame
{
	RelFileLocator locator;		/* key of PtFrames.kept */
	TransactionId xid;
	uint32		length;			/* header included; 0: none has begun */
	uint32		done;			/* bytes of it that have been seen */
	char	   *batch;			/* those behind the header, in PtFrames.mcxt;
								 * NULL: nobody wants them */
	Size		cap;			/* bytes allocated */
} PtPartFrame;

/* Takes a batch that is complete; it is valid during the call only. */
typedef void (*PtBatchTaker) (void *arg, const char *batch, uint32 length);

/* frames.c: batches out of APPEND records.  Zero it before the first. */
typedef struct PtFrames
{
	MemoryContext mcxt;			/* to be set; has everything below */
	ReorderBuffer *reorder;		/* to be set, like the next two */
	PtBatchTaker take;
	void	   *arg;
	HTAB	   *kept;			/* PtPartFrame: frames that go on in later
								 * records; NULL: there has been none */
	PtPartFrame frame;			/* of the record at hand */
	char	   *spare;			/* memory for the next frame, or NULL */
	Size		spare_cap;
} PtFrames;

extern void pt_frames_append(PtFrames *frames, XLogReaderState *record);

/* tuple.c */
extern void pt_change_set_record(ReorderBuffer *reorder, ReorderBufferChange *change, int32 partition,
								 const PtRecord *record);

/* remote.c */
#define PT_REMOTE_COLUMNS_MAX	8
#define PT_REMOTE_NO_NULL	(-1)

extern WalReceiverConn * pt_remote_connect(const char *conninfo);
extern void pt_remote_run(WalReceiverConn * conn, const char *command, const char *what);
extern bool pt_remote_row(WalReceiverConn * conn, const char *query, int n, int nullable, char **values);
pg_noreturn extern void pt_remote_answer_error(void);

#endif							/* PT_FANOUT_INTERNAL_H */
