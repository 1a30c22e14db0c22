"""The file of a log, from outside: where things are in it, and how to damage them.

The layout is that of src/log/page.h.  The server is down meanwhile.

Sibling: cluster.py.
"""

import os
import struct

BLCKSZ = 8192
FIRST, END = 24, BLCKSZ - 16            # payload of a page
EXTENT_BLOCKS = 128
FRAME_HEADER, BATCH_HEADER = 24, 61
MAP_EXTENTS = 500

# Of the page header.
LSN, FLAGS, LOWER, UPPER, SPECIAL, VERSION = 0, 10, 12, 14, 16, 18

# Of the special space.
BLOCK, FIRST_FRAME, KIND, GENERATION = END, END + 8, END + 10, END + 12

# Of a frame: its header, and behind that the batch's.
FRAME = {"length": 0, "xid": 4, "base_ordinal": 8, "flags": 16, "ordinals": 20}
BATCH = {name: FRAME_HEADER + at for name, at in
         {"base_offset": 0, "length": 8, "epoch": 12, "magic": 16, "crc": 17, "attributes": 21, "last_offset_delta": 23,
          "base_timestamp": 27, "max_timestamp": 35, "producer_id": 43, "records": 57}.items()}

# Of the meta page: name, place and code of a number.  Directory entries follow.
META = {"magic": (24, "I"), "version": (28, "I"), "extent_blocks": (32, "I"), "phys_extents": (36, "I"),
        "first_extent": (40, "Q"), "next_extent": (48, "Q"), "free_extent": (56, "Q"), "free_dir_extent": (64, "Q"),
        "free_phys": (72, "I"), "free_from": (76, "I"), "block_size": (80, "I"), "start_pos": (88, "Q"),
        "start_offset": (96, "q"), "start_ordinal": (104, "q"), "sealed_pos": (112, "Q"), "producers_pos": (120, "Q"),
        "clean_offset": (128, "q"), "hole_from": (136, "Q"), "hole_to": (144, "Q"), "generation": (152, "I"), "swapped": (156, "I")}
DIR_EXTENTS, ENTRIES = 160, 160 + 512 * 4
DIR_INLINE, DIR_PER_PAGE = 128, 200

# Of a directory entry.
ENTRY_SIZE = 40
ENTRY = {"phys": (0, "I"), "generation": (4, "I"), "base_offset": (8, "q"), "base_ordinal": (16, "q"), "max_timestamp": (24, "q"),
         "running_max": (32, "q")}

# The first map page, and of its entry of a physical extent: logical extent, state.
MAP_BLOCK = 1
MAP_ENTRY_SIZE, MAP_STATE = 16, 8


class LogFile:
    """One partition's file, opened for writing while its server is down."""

    def __init__(self, server, leaf, segment=0):
        path = server.sql("SELECT pg_relation_filepath('%s')" % leaf)
        self.path = os.path.join(server.data, path) + (".%d" % segment if segment else "")
        self.file = None

    def __enter__(self):
        self.file = open(self.path, "r+b")
        return self

    def __exit__(self, *problem):
        self.file.close()

    # bytes

    def read(self, at, n):
        self.file.seek(at)
        return self.file.read(n)

    def write(self, at, data):
        self.file.seek(at)
        self.file.write(data)

    def number(self, at, code):
        return struct.unpack("=" + code, self.read(at, struct.calcsize("=" + code)))[0]

    def put(self, at, code, value):
        self.write(at, struct.pack("=" + code, value))

    def flip(self, at, bit=0):
        """One bit, counted from the lowest of the byte at "at" on."""
        at, bit = at + bit // 8, bit % 8
        self.write(at, bytes([self.read(at, 1)[0] ^ (1 << bit)]))

    def page(self, block):
        return self.read(block * BLCKSZ, BLCKSZ)

    def blocks(self):
        self.file.seek(0, 2)
        return self.file.tell() // BLCKSZ

    # places

    @staticmethod
    def extent_block(phys):
        """The first block of a physical extent."""
        return 2 + phys // MAP_EXTENTS + phys * EXTENT_BLOCKS

    @staticmethod
    def map_entry(phys):
        """The byte at which the first map page has a physical extent."""
        return MAP_BLOCK * BLCKSZ + FIRST + phys * MAP_ENTRY_SIZE

    @staticmethod
    def entry(extent, name):
        """Where a number of an extent's directory entry is, in the meta page."""
        return ENTRIES + extent * ENTRY_SIZE + ENTRY[name][0]

    def get_entry(self, extent, name):
        return self.number(self.entry(extent, name), ENTRY[name][1])

    def frames(self, block):
        """Bytes in the file at which frames start on a page."""
        page = block * BLCKSZ
        at = self.number(page + FIRST_FRAME, "H")
        found = []
        while at and at + FRAME_HEADER + BATCH_HEADER <= self.number(page + LOWER, "H"):
            found.append(page + at)
            length = self.number(page + at, "I")
            at = (at + FRAME_HEADER + length + 7) // 8 * 8
            if at > END:
                break
        return found


class IndexFile(LogFile):
    """The file of a secondary index: pages of items, of which each begins with a TID."""

    def flags(self, block, at):
        """The flags of a page, which are so many bytes before its end."""
        return self.number((block + 1) * BLCKSZ - at, "H")

    def items(self, block):
        """(byte of the line pointer, byte of the item, its length)"""
        page, found = block * BLCKSZ, []
        for at in range(page + FIRST, page + self.number(page + LOWER, "H"), 4):
            line = self.number(at, "I")
            found.append((at, page + (line & 0x7fff), line >> 17))
        return found

    def kill(self, item):
        """The item is there no more for a reader."""
        self.put(item[0], "I", self.number(item[0], "I") | 3 << 15)


def checksums(server, on):
    """Turns data checksums on or off; the server is down."""
    server.run("pg_checksums", "--enable" if on else "--disable", "-D", server.data)

