/*-------------------------------------------------------------------------
 *
 * file.c
 *	  What is staged and has no room in memory: temporary files.
 *
 * A file per transaction, as BufFile of one set of files: any process opens
 * it by its name, as the apply workers of logical replication do.  The page
 * cache takes the writes.  A batch has a StageHeader before it; what is behind
 * StageStore.disk_bytes does not count, as who wrote it has failed.
 *
 * The server removes the files when it starts, and after a crash.
 *
 * Siblings: admit.c (writes), read.c (reads).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>

#include "catalog/pg_tablespace_d.h"
#include "miscadmin.h"
#include "storage/buffile.h"
#include "storage/fd.h"
#include "utils/guc.h"

#include "guard.h"
#include "guc.h"
#include "stage/internal.h"

/*
 * The set, when the server starts.  FileSetInit() would name its directory by
 * the process that calls it: a later one with the same pid, and a set of its
 * own for a parallel query, would remove all of it.  And it would take
 * temp_tablespaces, which may be dropped, by a look into catalogs.  No backend
 * has the postmaster's pid, and the default tablespace stays.
 */
void
pt_stage_files_init(FileSet *files)
{
	memset(files, 0, sizeof(*files));
	files->creator_pid = PostmasterPid;
	files->ntablespaces = 1;
	files->tablespaces[0] = DEFAULTTABLESPACE_OID;
}

static void
file_name(uint32 file, char name[MAXPGPATH])
{
	snprintf(name, MAXPGPATH, "transaction_%u", file);
}

BufFile *
pt_stage_file_open(uint32 file, int mode)
{
	char		name[MAXPGPATH];

	file_name(file, name);
	return BufFileOpenFileSet(&pt_stage_shared->files, name, mode, false);
}

/* May so many bytes more be on disk? */
static bool
is_allowed(const StageStore *store, uint64 bytes)
{
	if (temp_file_limit >= 0 && store->disk_bytes + bytes > (uint64) temp_file_limit * 1024)
		return false;
	return pt_transaction_disk_mb < 0 ||
		pg_atomic_read_u64(&pt_stage_shared->disk_bytes) + bytes <= (uint64) pt_transaction_disk_mb * 1024 * 1024;
}

/*
 * Writes a batch behind what is there; false: that would be too much.  The
 * caller has the entry locked, and nobody else writes.  May ereport; then
 * nothing has changed, but that there may be a file.
 */
bool
pt_stage_file_append(StageStore *store, const StageHeader *header, const char *data)
{
	uint64		bytes = sizeof(StageHeader) + header->length;
	uint32		number = store->file;
	BufFile    *file;
	char		name[MAXPGPATH];

	if (!is_allowed(store, bytes))
		return false;
	if (number == 0)
	{
		do
			number = pg_atomic_add_fetch_u32(&pt_stage_shared->last_file, 1);
		while (number == 0);
		file_name(number, name);
		file = BufFileCreateFileSet(&pt_stage_shared->files, name);
		store->file = number;	/* to be removed with what is staged */
	}
	else
	{
		file = pt_stage_file_open(number, O_RDWR);
		if (BufFileSeek(file, 0, (off_t) store->disk_bytes, SEEK_SET) != 0)
			elog(ERROR, "could not seek to the end of a transaction's file");
	}
	BufFileWrite(file, unconstify(StageHeader *, header), sizeof(StageHeader));
	BufFileWrite(file, unconstify(char *, data), header->length);
	BufFileClose(file);
	store->disk_bytes += bytes;
	pg_atomic_fetch_add_u64(&pt_stage_shared->disk_bytes, bytes);
	return true;
}

static void
remove_file(void *arg)
{
	char		name[MAXPGPATH];

	file_name(*(const uint32 *) arg, name);
	BufFileDeleteFileSet(&pt_stage_shared->files, name, true);
}

/* One that cannot be removed stays until the server starts again. */
void
pt_stage_file_remove(uint32 file)
{
	ErrorData  *error = pt_guarded(remove_file, &file);

	if (error == NULL)
		return;
	ereport(LOG,
			(errmsg("could not remove the file of a transaction: %s", error->message)));
	FreeErrorData(error);
}
