"""Warm memory.

A virtual machine gives free memory back to its host within seconds, and the first touch of a page after that
costs several times the write itself.  A benchmark whose page cache comes from cold memory measures the
host: the same run is twice as fast when another one has just freed what it needs.  So before each
measurement as much memory as it will need is touched and freed; the kernel hands out what was freed last first.
"""
import os

CHUNK = 1 << 20


def warm(directory, size):
    """Touches this many bytes of page cache, at most half of what is free: reads the hole of a sparse file, then removes it."""
    path = os.path.join(directory, "warm")
    with open(path, "wb") as f:
        f.truncate(min(size, free() // 2))
    try:
        with open(path, "rb", buffering=0) as f:
            buffer = bytearray(CHUNK)
            while f.readinto(buffer):
                pass
    finally:
        os.unlink(path)


def free():
    with open("/proc/meminfo") as f:
        for line in f:
            if line.startswith("MemFree:"):
                return int(line.split()[1]) << 10
    return 0
