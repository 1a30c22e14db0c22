"""A small file system that can be filled, for tests of a full disk.

    disk = small_disk.mount(200)            # MB; before any thread is started
    disk.leave(1.5)                         # MB; the rest is taken by a file beside the server's
    disk.leave()                            # the file is gone

It is a tmpfs that only this process and its children see: in a mount namespace, and, as tests are not run by root, a user
namespace of their own.  Where a machine allows no such namespaces mount() returns None.  Servers in it can be stopped and
killed as always.
"""

import ctypes
import os

import cluster as pg

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
PR_SET_DUMPABLE = 4
MB = 1 << 20


class SmallDisk:
    def __init__(self, path):
        self.path = path
        self.ballast = os.open(os.path.join(path, "ballast"), os.O_RDWR | os.O_CREAT)

    def free(self):
        """Bytes"""
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def leave(self, mb=None):
        """So much is free from now on, if it is not already taken by others; None: as much as there is."""
        now = os.fstat(self.ballast).st_size
        size = 0 if mb is None else max(0, now + self.free() - int(mb * MB))
        if size > now:
            os.posix_fallocate(self.ballast, now, size - now)
        else:
            os.ftruncate(self.ballast, size)

    def directory(self, name):
        path = os.path.join(self.path, name)
        os.mkdir(path, 0o700)
        return path


def _call(function, *arguments):
    if function(*arguments) != 0:
        raise OSError(ctypes.get_errno(), function.__name__)


def _enter_namespace(libc):
    """Where we may mount."""
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        _call(libc.unshare, CLONE_NEWNS)
    else:
        _call(libc.prctl, PR_SET_DUMPABLE, 1, 0, 0, 0)      # who was root before does not own his files in /proc
        _call(libc.unshare, CLONE_NEWUSER | CLONE_NEWNS)
        for name, text in (("setgroups", "deny"), ("uid_map", "%d %d 1" % (uid, uid)), ("gid_map", "%d %d 1" % (gid, gid))):
            with open("/proc/self/" + name, "w", encoding="ascii") as f:
                f.write(text)
    _call(libc.mount, None, b"/", None, MS_REC | MS_PRIVATE, None)


def mount(*sizes_mb):
    """A SmallDisk for each size, or None where that is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    disks = []
    try:
        _enter_namespace(libc)
        for number, size in enumerate(sizes_mb):
            path = os.path.join(pg.base_dir(), "small%d" % number)
            os.mkdir(path)
            _call(libc.mount, b"tmpfs", path.encode(), b"tmpfs", 0, b"size=%dm,mode=0777" % size)
            disks.append(SmallDisk(path))
    except OSError:
        return None
    return disks
