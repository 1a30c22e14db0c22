/*-------------------------------------------------------------------------
 *
 * power.c
 *	  A disk that forgets what was not synced, for tests of power loss.
 *
 * A library for LD_PRELOAD.  For each file below PGTOPIC_POWER_ROOT it keeps,
 * in the directory PGTOPIC_POWER, what the file had in it when it was last
 * synced: blocks of 4 KiB, each copied there before it is overwritten for the
 * first time, and the file's size.  fsync and fdatasync throw the copies
 * away.  When the power is cut, all processes are killed, and power.py puts
 * back what was durable, or some of it: a disk may have written any of the
 * blocks, in any order.
 *
 * What is durable:
 *
 * - what was in a file when fsync or fdatasync was called.  The real one is
 *   not called: it would only take time
 * - what is written through a descriptor with O_DSYNC or O_SYNC
 * - not what sync_file_range has written
 * - names: a file that is made, renamed or removed is so at once.  So a file
 *   that is renamed before its content is synced loses that under its new
 *   name; a directory that is not synced is not noticed
 * - what goes through stdio, memory maps or io_uring, which is not seen here:
 *   statistics and caches of the server
 *
 * The copies of a file are two files named after its inode:
 *
 *		N.old	the blocks, where they are in the file
 *		N.map	the size of the file, int64, then a byte for each block: 1
 *				when it has a copy.  Empty: all is durable
 *
 * A process changes them under a lock on the byte N of the file "lock", which
 * ends with the process.  The copy is there before the block is written, so a
 * process may be killed at any point.
 *
 * Siblings: calls.h; faults.c, a disk that stands still or fails; both can be
 * loaded.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BLOCK		4096
#define OPEN_MAX_	64			/* files whose copies stay open */
#define MAP_HEADER	((off_t) sizeof(int64_t))

typedef struct Copies
{
	ino_t		ino;			/* 0: none */
	int			map;
	int			old;
}			Copies;

static const char *top;			/* PGTOPIC_POWER, NULL: not in use */
static char root[PATH_MAX];		/* PGTOPIC_POWER_ROOT and a slash */
static size_t root_len;
static int	lock_fd = -1;
static Copies opened[OPEN_MAX_];

/* Calls of the kernel that are not looked at, for our own files. */
#define raw_open(path, flags) ((int) syscall(SYS_openat, AT_FDCWD, (path), (flags) | O_CLOEXEC, 0600))
#define raw_pread(fd, buf, n, at) syscall(SYS_pread64, (fd), (buf), (size_t) (n), (off_t) (at))
#define raw_pwrite(fd, buf, n, at) syscall(SYS_pwrite64, (fd), (buf), (size_t) (n), (off_t) (at))
#define raw_ftruncate(fd, n) syscall(SYS_ftruncate, (fd), (off_t) (n))

/* The test has come to nothing. */
static void
die(const char *what)
{
	static const char prefix[] = "power.c: ";

	(void) !write(2, prefix, sizeof(prefix) - 1);
	(void) !write(2, what, strlen(what));
	(void) !write(2, "\n", 1);
	abort();
}

static int
open_copy(ino_t ino, const char *suffix, int flags)
{
	char		path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%llu%s", top, (unsigned long long) ino, suffix);
	return raw_open(path, flags);
}

__attribute__((constructor))
static void
begin(void)
{
	const char *below = getenv("PGTOPIC_POWER_ROOT");
	char		path[PATH_MAX];

	if (getenv("PGTOPIC_POWER") == NULL || below == NULL)
		return;
	top = strdup(getenv("PGTOPIC_POWER"));	/* the server writes its titles
											 * over its environment */
	root_len = (size_t) snprintf(root, sizeof(root), "%s/", below);
	snprintf(path, sizeof(path), "%s/lock", top);
	lock_fd = raw_open(path, O_RDWR | O_CREAT);
	if (lock_fd < 0)
		die("no lock file");
}

/* Locks or unlocks (F_WRLCK, F_UNLCK) the copies of a file. */
static void
lock(ino_t ino, short type)
{
	struct flock range = {.l_type = type,.l_whence = SEEK_SET,.l_start = (off_t) (ino & INT64_MAX),.l_len = 1};

	while (fcntl(lock_fd, F_SETLKW, &range) < 0)
	{
		if (errno != EINTR)
			die("cannot lock");
	}
}

/*
 * A file's copies; they stay open.  With make false NULL when it has never
 * had any.
 */
static Copies *
copies_of(ino_t ino, int make)
{
	Copies	   *c = &opened[ino % OPEN_MAX_];

	if (c->ino == ino)
		return c;
	if (c->ino != 0)
	{
		close(c->map);
		close(c->old);
	}
	c->ino = 0;
	c->map = open_copy(ino, ".map", O_RDWR | (make ? O_CREAT : 0));
	if (c->map < 0)
	{
		if (make)
			die("no map file");
		return NULL;
	}
	c->old = open_copy(ino, ".old", O_RDWR | O_CREAT);
	if (c->old < 0)
		die("no file for old blocks");
	c->ino = ino;
	return c;
}

/* Is it a file that must not lose what is synced?  Removed ones need not. */
static int
is_kept(int fd, struct stat *st)
{
	char		link[64];
	char		path[PATH_MAX];
	ssize_t		len;

	if (top == NULL || fstat(fd, st) != 0 || !S_ISREG(st->st_mode) || st->st_nlink == 0)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path));
	return len > (ssize_t) root_len && memcmp(path, root, root_len) == 0;
}

static void
write_map(Copies * c, const void *bytes, size_t n, off_t at)
{
	if (raw_pwrite(c->map, bytes, n, at) != (ssize_t) n)
		die("cannot write a map file");
}

/* The size is noted with the first change after a sync; returns it. */
static int64_t
save_size(Copies * c, const struct stat *st)
{
	int64_t		size;

	if (raw_pread(c->map, &size, sizeof(size), 0) == (ssize_t) sizeof(size))
		return size;
	size = st->st_size;
	write_map(c, &size, sizeof(size), 0);
	return size;
}

/* Copies one block; behind the durable end there is nothing to copy. */
static void
save_block(Copies * c, int fd, off_t block, int64_t durable_size)
{
	char		bytes[BLOCK];
	char		has = 0;
	ssize_t		n;

	if (raw_pread(c->map, &has, 1, MAP_HEADER + block) == 1 && has)
		return;
	if (block * BLOCK < durable_size)
	{
		n = raw_pread(fd, bytes, BLOCK, block * BLOCK);
		if (n < 0 || raw_pwrite(c->old, bytes, n, block * BLOCK) != n)
			die("cannot copy a block");
	}
	has = 1;
	write_map(c, &has, 1, MAP_HEADER + block);
}

/*
 * Before n bytes from "from" on change, or the size.  The lock is held.  The
 * descriptor may be for writing only, or demand aligned memory: another one
 * reads.
 */
static void
save(int fd, const struct stat *st, off_t from, off_t n)
{
	Copies	   *c = copies_of(st->st_ino, 1);
	int64_t		size = save_size(c, st);
	char		link[64];
	int			reader;

	if (n <= 0)
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	reader = raw_open(link, O_RDONLY);
	if (reader < 0)
		die("cannot read the file");
	for (off_t block = from / BLOCK; block <= (from + n - 1) / BLOCK; block++)
		save_block(c, reader, block, size);
	close(reader);
}

/* All of the file is durable.  The lock is held. */
static void
forget(ino_t ino)
{
	Copies	   *c = copies_of(ino, 0);

	if (c == NULL)
		return;
	if (raw_ftruncate(c->map, 0) != 0 || raw_ftruncate(c->old, 0) != 0)
		die("cannot empty a file");
}

/* What was written through O_DSYNC is durable, what is around it is not. */
static void
forget_range(const struct stat *st, off_t from, off_t n)
{
	Copies	   *c = copies_of(st->st_ino, 0);
	int64_t		size;
	char		none = 0;

	if (c == NULL || n <= 0 || raw_pread(c->map, &size, sizeof(size), 0) != (ssize_t) sizeof(size))
		return;
	if (size < from + n)
	{
		size = from + n;
		write_map(c, &size, sizeof(size), 0);
	}
	for (off_t block = from / BLOCK; block <= (from + n - 1) / BLOCK; block++)
		write_map(c, &none, 1, MAP_HEADER + block);
}

/*
 * Around a change: before() copies what it overwrites and keeps the lock,
 * after() lets it go.  errno is the call's own.
 */
typedef struct Change
{
	int			fd;
	int			kept;
	off_t		from;
	struct stat st;
} Change;

static Change
before(int fd, off_t from, off_t n)
{
	Change		change = {.fd = fd,.from = from};
	int			save_errno = errno;

	change.kept = is_kept(fd, &change.st);
	if (change.kept)
	{
		lock(change.st.st_ino, F_WRLCK);
		if (fstat(fd, &change.st) != 0)
			die("a file has vanished");
		if (change.from < 0)	/* at the descriptor's own place */
			change.from = fcntl(fd, F_GETFL) & O_APPEND ? change.st.st_size : lseek(fd, 0, SEEK_CUR);
		save(fd, &change.st, change.from, n);
	}
	errno = save_errno;
	return change;
}

static void
after(const Change *change, ssize_t written)
{
	int			save_errno = errno;

	if (!change->kept)
		return;
	if (written > 0 && fcntl(change->fd, F_GETFL) & (O_DSYNC | O_SYNC))
		forget_range(&change->st, change->from, written);
	lock(change->st.st_ino, F_UNLCK);
	errno = save_errno;
}

/* Calls that write */

typedef ssize_t (*WriteCall) (int, const void *, size_t);
typedef ssize_t (*WritevCall) (int, const struct iovec *, int);

static off_t
total(const struct iovec *iov, int n)
{
	off_t		sum = 0;

	for (int i = 0; i < n; i++)
		sum += (off_t) iov[i].iov_len;
	return sum;
}

static ssize_t
pwrite_with(PwriteCall real, int fd, const void *buf, size_t n, off_t at)
{
	Change		change = before(fd, at, (off_t) n);
	ssize_t		written = real(fd, buf, n, at);

	after(&change, written);
	return written;
}

static ssize_t
pwritev_with(VectorCall real, int fd, const struct iovec *iov, int n, off_t at)
{
	Change		change = before(fd, at, total(iov, n));
	ssize_t		written = real(fd, iov, n, at);

	after(&change, written);
	return written;
}

static ssize_t
pwritev2_with(Vector2Call real, int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	Change		change = before(fd, at, total(iov, n));
	ssize_t		written = real(fd, iov, n, at, flags);

	after(&change, written);
	return written;
}

WRAP_PWRITE(pwrite_with(real, fd, buf, n, at))
WRAP_VECTOR(pwritev, pwritev_with(real, fd, iov, n, at))
WRAP_VECTOR2(pwritev2, pwritev64v2, pwritev2_with(real, fd, iov, n, at, flags))

ssize_t
write(int fd, const void *buf, size_t n)
{
	Change		change = before(fd, -1, (off_t) n);
	ssize_t		written;

	REAL(WriteCall, "write");
	written = real(fd, buf, n);
	after(&change, written);
	return written;
}

ssize_t
writev(int fd, const struct iovec *iov, int n)
{
	Change		change = before(fd, -1, total(iov, n));
	ssize_t		written;

	REAL(WritevCall, "writev");
	written = real(fd, iov, n);
	after(&change, written);
	return written;
}

/* Calls that change the size */

/* What is cut off is copied; a longer file has a size only. */
static int
ftruncate_with(TruncateCall real, int fd, off_t len)
{
	struct stat st;
	off_t		cut = fstat(fd, &st) == 0 && st.st_size > len ? st.st_size - len : 0;
	Change		change = before(fd, len, cut);
	int			rc = real(fd, len);

	after(&change, 0);
	return rc;
}

WRAP_TRUNCATE(ftruncate_with(real, fd, len))

static int
extend_with(ExtendCall real, int fd, off_t from, off_t n)
{
	Change		change = before(fd, from, 0);
	int			rc = real(fd, from, n);

	after(&change, 0);
	return rc;
}

WRAP_EXTEND(extend_with(real, fd, from, n))

/* Modes other than 0 may zero what is there, or punch holes into it. */
static int
fallocate_with(FallocateCall real, int fd, int mode, off_t from, off_t n)
{
	Change		change = before(fd, from, mode == 0 ? 0 : n);
	int			rc = real(fd, mode, from, n);

	after(&change, 0);
	return rc;
}

WRAP_FALLOCATE(fallocate_with(real, fd, mode, from, n))

/* Calls that make durable */

static int
sync_with(SyncCall real, int fd)
{
	int			save_errno = errno;
	struct stat st;

	if (!is_kept(fd, &st))
		return top != NULL && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) ? 0 : real(fd);
	lock(st.st_ino, F_WRLCK);
	forget(st.st_ino);
	lock(st.st_ino, F_UNLCK);
	errno = save_errno;
	return 0;
}

WRAP_SYNC(sync_with(real, fd))

/* Calls that open, rename and remove */

typedef int (*OpenCall) (const char *, int,...);
typedef int (*NameCall) (const char *);
typedef int (*RenameCall) (const char *, const char *);

/* O_TRUNC is done by our own ftruncate. */
static int
open_with(OpenCall real, const char *path, int flags, mode_t mode)
{
	int			fd = real(path, top ? flags & ~O_TRUNC : flags, mode);

	if (fd >= 0 && top && (flags & O_TRUNC) && ftruncate64(fd, 0) != 0)
	{
		close(fd);
		return -1;
	}
	return fd;
}

#define OPEN(name) \
int \
name(const char *path, int flags,...) \
{ \
	mode_t		mode = 0; \
	va_list		args; \
\
	REAL(OpenCall, #name); \
	if (flags & (O_CREAT | __O_TMPFILE)) \
	{ \
		va_start(args, flags); \
		mode = va_arg(args, mode_t); \
		va_end(args); \
	} \
	return open_with(real, path, flags, mode); \
}

OPEN(open)
OPEN(open64)

/*
 * The file of that name goes, if this is its last name: another one may get
 * its inode.  The lock is held from before; 0: there is none.
 */
static ino_t
lock_doomed(const char *path)
{
	struct stat st;
	int			save_errno = errno;
	ino_t		doomed = 0;

	if (top != NULL && lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1)
	{
		doomed = st.st_ino;
		lock(doomed, F_WRLCK);
	}
	errno = save_errno;
	return doomed;
}

static void
unlock_doomed(ino_t doomed, int rc)
{
	int			save_errno = errno;

	if (doomed == 0)
		return;
	if (rc == 0)
		forget(doomed);
	lock(doomed, F_UNLCK);
	errno = save_errno;
}

int
unlink(const char *path)
{
	ino_t		doomed = lock_doomed(path);
	int			rc;

	REAL(NameCall, "unlink");
	rc = real(path);
	unlock_doomed(doomed, rc);
	return rc;
}

int
rename(const char *from, const char *to)
{
	ino_t		doomed = lock_doomed(to);
	int			rc;

	REAL(RenameCall, "rename");
	rc = real(from, to);
	unlock_doomed(doomed, rc);
	return rc;
}
