/*-------------------------------------------------------------------------
 *
 * faults.c
 *	  A disk that can be made to stand still or to fail, for tests.
 *
 * A library for LD_PRELOAD: before each call it looks whether the directory
 * PGTOPIC_FAULTS has a file named after the operation (sync, read, write,
 * extend; nowait: a read without waiting).  Each line of that file is an action and a part of a path; the
 * first whose part occurs in the path of the call's file decides:
 *
 *	  wait pg_wal		the call stands still until the file says otherwise
 *	  EIO base/5		it fails with this error (EIO, ENOSPC)
 *	  short base/		it reads or writes the first half
 *
 * A fifth file, cold, has parts of paths, one a line: nothing of such a file
 * is in the page cache for those who read without waiting (preadv2 with
 * RWF_NOWAIT).  Each of these calls is written to the file cold.asked, and so
 * is each request to read ahead (posix_fadvise), which brings nothing.  Reads
 * that wait are not concerned; they are what the file read is for.
 *
 * faults.py writes the files.  Siblings: calls.h; power.c.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_US		2000

typedef enum Action
{
	ACT_NONE,
	ACT_WAIT,
	ACT_EIO,
	ACT_ENOSPC,
	ACT_SHORT
}			Action;

static const struct
{
	const char *name;
	Action		action;
}			actions[] = {
	{"wait", ACT_WAIT}, {"EIO", ACT_EIO}, {"ENOSPC", ACT_ENOSPC}, {"short", ACT_SHORT},
};

static const char *
directory(void)
{
	static const char *dir = NULL;

	if (dir == NULL)
	{
		dir = getenv("PGTOPIC_FAULTS");
		if (dir == NULL)
			dir = "";
	}
	return dir;
}

/* The action that a line asks for; part is what follows. */
static Action
parse(char *line, char **part)
{
	*part = strchr(line, ' ');
	if (*part == NULL)
		return ACT_NONE;
	*(*part)++ = '\0';
	(*part)[strcspn(*part, "\n")] = '\0';
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
	{
		if (strcmp(line, actions[i].name) == 0)
			return actions[i].action;
	}
	return ACT_NONE;
}

/* The path of an open file; path has PATH_MAX bytes. */
static int
path_of(int fd, char *path)
{
	char		link[64];
	ssize_t		len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, PATH_MAX - 1);
	if (len < 0)
		return 0;
	path[len] = '\0';
	return 1;
}

static Action
look_up(const char *operation, int fd)
{
	char		name[PATH_MAX];
	char		path[PATH_MAX];
	char		line[PATH_MAX];
	Action		found = ACT_NONE;
	FILE	   *f;

	if (directory()[0] == '\0')
		return ACT_NONE;
	snprintf(name, sizeof(name), "%s/%s", directory(), operation);
	if (access(name, R_OK) != 0)
		return ACT_NONE;
	if (!path_of(fd, path))
		return ACT_NONE;
	f = fopen(name, "r");
	if (f == NULL)
		return ACT_NONE;
	while (found == ACT_NONE && fgets(line, sizeof(line), f))
	{
		char	   *part;
		Action		action = parse(line, &part);

		if (action != ACT_NONE && strstr(path, part))
			found = action;
	}
	fclose(f);
	return found;
}

/* What is to become of a call, once it need not stand still any more. */
static Action
decide(const char *operation, int fd)
{
	int			save = errno;
	Action		action;

	while ((action = look_up(operation, fd)) == ACT_WAIT)
		usleep(WAIT_US);
	errno = save;
	return action;
}

/* Sets errno; is it an action that makes the call fail? */
static int
fails(Action action)
{
	if (action == ACT_EIO)
		errno = EIO;
	else if (action == ACT_ENOSPC)
		errno = ENOSPC;
	return action == ACT_EIO || action == ACT_ENOSPC;
}

static int
sync_with(SyncCall real, int fd)
{
	return fails(decide("sync", fd)) ? -1 : real(fd);
}

static ssize_t
read_with(PreadCall real, int fd, void *buf, size_t n, off_t at)
{
	Action		action = decide("read", fd);

	return fails(action) ? -1 : real(fd, buf, action == ACT_SHORT ? n / 2 : n, at);
}

static ssize_t
write_with(PwriteCall real, int fd, const void *buf, size_t n, off_t at)
{
	Action		action = decide("write", fd);

	return fails(action) ? -1 : real(fd, buf, action == ACT_SHORT ? n / 2 : n, at);
}

/* A short one does the first half of the vector, or of its only member. */
static ssize_t
vector_with(VectorCall real, const char *operation, int fd, const struct iovec *iov, int n, off_t at)
{
	Action		action = decide(operation, fd);
	struct iovec half;

	if (fails(action))
		return -1;
	if (action != ACT_SHORT)
		return real(fd, iov, n, at);
	if (n > 1)
		return real(fd, iov, n / 2, at);
	half.iov_base = iov[0].iov_base;
	half.iov_len = iov[0].iov_len / 2;
	return real(fd, &half, 1, at);
}

WRAP_SYNC(sync_with(real, fd))
WRAP_PREAD(read_with(real, fd, buf, n, at))
WRAP_PWRITE(write_with(real, fd, buf, n, at))
WRAP_VECTOR(preadv, vector_with(real, "read", fd, iov, n, at))
WRAP_VECTOR(pwritev, vector_with(real, "write", fd, iov, n, at))

/* Is the file one of those that the page cache does not have? */
static int
is_cold(int fd, const char *what, off_t at)
{
	char		name[PATH_MAX];
	char		path[PATH_MAX];
	char		line[PATH_MAX];
	int			save = errno;
	int			found = 0;
	FILE	   *f;

	snprintf(name, sizeof(name), "%s/cold", directory());
	if (directory()[0] != '\0' && path_of(fd, path) && (f = fopen(name, "r")) != NULL)
	{
		while (!found && fgets(line, sizeof(line), f))
		{
			line[strcspn(line, "\n")] = '\0';
			found = line[0] != '\0' && strstr(path, line) != NULL;
		}
		fclose(f);
	}
	if (found)
	{
		snprintf(name, sizeof(name), "%s/cold.asked", directory());
		f = fopen(name, "a");
		if (f != NULL)
		{
			fprintf(f, "%s %lld\n", what, (long long) at);
			fclose(f);
		}
	}
	errno = save;
	return found;
}

static ssize_t
nowait_with(Vector2Call real, int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	Action		action;

	if ((flags & RWF_NOWAIT) && is_cold(fd, "read", at))
	{
		errno = EAGAIN;
		return -1;
	}
	action = decide("nowait", fd);
	return fails(action) ? -1 : real(fd, iov, action == ACT_SHORT && n > 1 ? n / 2 : n, at, flags);
}

WRAP_VECTOR2(preadv2, preadv64v2, nowait_with(real, fd, iov, n, at, flags))

static int
advise_with(AdviseCall real, int fd, off_t at, off_t n, int advice)
{
	if (advice == POSIX_FADV_WILLNEED && is_cold(fd, "ahead", at))
		return 0;
	return real(fd, at, n, advice);
}

WRAP_ADVISE(advise_with(real, fd, at, n, advice))

/* Returns the error instead of setting errno. */
static int
extend_with(ExtendCall real, int fd, off_t from, off_t n)
{
	return fails(decide("extend", fd)) ? errno : real(fd, from, n);
}

WRAP_EXTEND(extend_with(real, fd, from, n))
