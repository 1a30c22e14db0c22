/*-------------------------------------------------------------------------
 *
 * calls.h
 *	  System calls that a library for LD_PRELOAD takes the place of.
 *
 * Each has two names, one with a 64 at its end, and the C library calls both.
 * WRAP defines a function of that name.  What follows it is an expression in
 * which "real" is the function that would have been called: the C library's,
 * or that of the next library.
 *
 * Siblings: faults.c, power.c; both can be loaded.
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#ifndef CALLS_H
#define CALLS_H

#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/types.h>
#include <sys/uio.h>

#define REAL(type, name) \
	static type real = NULL; \
	if (real == NULL) \
		real = (type) dlsym(RTLD_NEXT, name)

#define WRAP(result, type, name, parameters, expression) \
result \
name parameters \
{ \
	REAL(type, #name); \
	return expression; \
}

typedef int (*SyncCall) (int);
typedef ssize_t (*PreadCall) (int, void *, size_t, off_t);
typedef ssize_t (*PwriteCall) (int, const void *, size_t, off_t);
typedef ssize_t (*VectorCall) (int, const struct iovec *, int, off_t);
typedef ssize_t (*Vector2Call) (int, const struct iovec *, int, off_t, int);
typedef int (*AdviseCall) (int, off_t, off_t, int);
typedef int (*ExtendCall) (int, off_t, off_t);
typedef int (*FallocateCall) (int, int, off_t, off_t);
typedef int (*TruncateCall) (int, off_t);

/* All calls of one kind become the same expression. */
#define WRAP_SYNC(expression) \
	WRAP(int, SyncCall, fsync, (int fd), expression) \
	WRAP(int, SyncCall, fdatasync, (int fd), expression)

#define WRAP_PREAD(expression) \
	WRAP(ssize_t, PreadCall, pread, (int fd, void *buf, size_t n, off_t at), expression) \
	WRAP(ssize_t, PreadCall, pread64, (int fd, void *buf, size_t n, off64_t at), expression)

#define WRAP_PWRITE(expression) \
	WRAP(ssize_t, PwriteCall, pwrite, (int fd, const void *buf, size_t n, off_t at), expression) \
	WRAP(ssize_t, PwriteCall, pwrite64, (int fd, const void *buf, size_t n, off64_t at), expression)

#define WRAP_VECTOR(name, expression) \
	WRAP(ssize_t, VectorCall, name, (int fd, const struct iovec *iov, int n, off_t at), expression) \
	WRAP(ssize_t, VectorCall, name##64, (int fd, const struct iovec *iov, int n, off64_t at), expression)

#define WRAP_VECTOR2(name, name64, expression) \
	WRAP(ssize_t, Vector2Call, name, (int fd, const struct iovec *iov, int n, off_t at, int flags), expression) \
	WRAP(ssize_t, Vector2Call, name64, (int fd, const struct iovec *iov, int n, off64_t at, int flags), expression)

#define WRAP_ADVISE(expression) \
	WRAP(int, AdviseCall, posix_fadvise, (int fd, off_t at, off_t n, int advice), expression) \
	WRAP(int, AdviseCall, posix_fadvise64, (int fd, off64_t at, off64_t n, int advice), expression)

#define WRAP_EXTEND(expression) \
	WRAP(int, ExtendCall, posix_fallocate, (int fd, off_t from, off_t n), expression) \
	WRAP(int, ExtendCall, posix_fallocate64, (int fd, off64_t from, off64_t n), expression)

#define WRAP_FALLOCATE(expression) \
	WRAP(int, FallocateCall, fallocate, (int fd, int mode, off_t from, off_t n), expression) \
	WRAP(int, FallocateCall, fallocate64, (int fd, int mode, off64_t from, off64_t n), expression)

#define WRAP_TRUNCATE(expression) \
	WRAP(int, TruncateCall, ftruncate, (int fd, off_t len), expression) \
	WRAP(int, TruncateCall, ftruncate64, (int fd, off64_t len), expression)

#endif							/* CALLS_H */
