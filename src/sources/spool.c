/*-------------------------------------------------------------------------
 *
 * spool.c
 *	  Changes of transactions that are in progress at the source's server.
 *
 * The server sends a transaction that is larger than its
 * logical_decoding_work_mem in pieces, before it is known whether it commits.
 * They wait in a temporary file, one for each transaction, which is read when
 * the transaction commits.  The pieces of several transactions may alternate.
 *
 * A subtransaction that is rolled back is remembered, and passed over then.
 * So is what was said of tables in it: it may be older than what is known by
 * then, and the server says it again behind the abort.
 *
 * Nothing of it outlives the worker: after an error the server sends it anew.
 *
 * Siblings: stream.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/buffile.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "sources/internal.h"
#include "sources/spool.h"

/* A server that has more at a time does so to fill our memory. */
#define SPOOLS_MAX	100000

/* Before each message in the file. */
typedef struct SpoolHeader
{
	uint64		lsn;
	uint32		xid;			/* of the subtransaction */
	uint32		len;
} SpoolHeader;

typedef struct Spool
{
	uint32		xid;			/* the hash key */
	BufFile    *file;
	HTAB	   *aborted;		/* xids of subtransactions; NULL: none */
} Spool;

void
pt_spools_init(PtSourceRun *run)
{
	HASHCTL		ctl = {.keysize = sizeof(uint32),.entrysize = sizeof(Spool),.hcxt = run->life};

	run->spools = hash_create("pgtopic transactions in progress", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * Returns the spool of a transaction; ERROR if the stream has not told of it.
 */
static Spool *
find(PtSourceRun *run, uint32 xid)
{
	Spool	   *spool = hash_search(run->spools, &xid, HASH_FIND, NULL);

	if (spool == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("the source's server sent a piece of an unknown transaction")));
	return spool;
}

/*
 * Makes the file of a transaction, unless it is there.  It outlives our
 * transactions, and belongs to none.
 */
void
pt_spool_open(PtSourceRun *run, uint32 xid)
{
	ResourceOwner owner = CurrentResourceOwner;
	MemoryContext old;
	bool		found;
	Spool	   *spool;

	if (hash_get_num_entries(run->spools) >= SPOOLS_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the source's server has more than %d transactions in progress", SPOOLS_MAX)));
	spool = hash_search(run->spools, &xid, HASH_ENTER, &found);
	if (found)
		return;
	spool->file = NULL;
	spool->aborted = NULL;
	old = MemoryContextSwitchTo(run->life);
	CurrentResourceOwner = NULL;
	spool->file = BufFileCreateTemp(true);
	CurrentResourceOwner = owner;
	MemoryContextSwitchTo(old);
}

/*
 * Adds a message to the file of its transaction.
 */
void
pt_spool_add(PtSourceRun *run, uint32 xid, uint32 subxid, XLogRecPtr lsn, const char *data, int len)
{
	Spool	   *spool = find(run, xid);
	SpoolHeader header = {.lsn = lsn,.xid = subxid,.len = len};

	BufFileWrite(spool->file, &header, sizeof(header));
	BufFileWrite(spool->file, unconstify(char *, data), len);
}

/*
 * The transaction is over.
 */
void
pt_spool_close(PtSourceRun *run, uint32 xid)
{
	Spool	   *spool = find(run, xid);

	BufFileClose(spool->file);
	if (spool->aborted != NULL)
		hash_destroy(spool->aborted);
	(void) hash_search(run->spools, &xid, HASH_REMOVE, NULL);
}

/*
 * A subtransaction, or all of it, is rolled back.
 */
void
pt_spool_abort(PtSourceRun *run, uint32 xid, uint32 subxid)
{
	HASHCTL		ctl = {.keysize = sizeof(uint32),.entrysize = sizeof(uint32),.hcxt = run->life};
	Spool	   *spool;

	if (xid == subxid)
	{
		pt_spool_close(run, xid);
		return;
	}
	spool = find(run, xid);
	if (spool->aborted == NULL)
		spool->aborted = hash_create("pgtopic subtransactions rolled back", 16, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	(void) hash_search(spool->aborted, &subxid, HASH_ENTER, NULL);
}

/*
 * Begins to read what has come of a transaction.
 */
void
pt_spool_rewind(PtSourceRun *run, uint32 xid)
{
	if (BufFileSeek(find(run, xid)->file, 0, 0, SEEK_SET) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not rewind the file of a transaction in progress: %m")));
}

/*
 * Returns the next message, in the current memory context, and where it was;
 * NULL at the end.  One of a subtransaction that was rolled back is told as
 * such.
 */
char *
pt_spool_next(PtSourceRun *run, uint32 xid, XLogRecPtr *lsn, int *len, bool *aborted)
{
	Spool	   *spool = find(run, xid);
	SpoolHeader header;
	size_t		n = BufFileRead(spool->file, &header, sizeof(header));
	char	   *data;

	if (n == 0)
		return NULL;
	if (n != sizeof(header) || header.len > MaxAllocSize - 1)
		elog(ERROR, "file of a transaction in progress is damaged");
	data = palloc(header.len + 1);
	if (BufFileRead(spool->file, data, header.len) != header.len)
		elog(ERROR, "file of a transaction in progress ends too early");
	data[header.len] = '\0';
	*lsn = header.lsn;
	*len = (int) header.len;
	*aborted = spool->aborted != NULL && hash_search(spool->aborted, &header.xid, HASH_FIND, NULL) != NULL;
	return data;
}
