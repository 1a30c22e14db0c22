#!/usr/bin/env python3
"""The leader epoch grows with each new history of the server, and never goes back."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import cluster as pg   # noqa: E402
import tap             # noqa: E402
from moved import batch_epochs, epoch, epoch_end   # noqa: E402
from rawtest import need_clients   # noqa: E402

server = None


def test_restart():
    """the same history"""
    server.sql("SELECT create_topic('t')")
    tap.equal(epoch(server, "t"), 1, "a new server begins with 1")
    server.sql("SELECT produce('t', 'one'::text)")
    server.restart()
    tap.equal(epoch(server, "t"), 1, "a restart goes on")
    server.kill9()
    server.start()
    tap.equal(epoch(server, "t"), 1, "so does crash recovery")
    server.sql("SELECT produce('t', 'two'::text)")
    tap.equal(batch_epochs(server, "t"), [(0, 1), (1, 1)], "batches have it")


def test_promotion():
    """a new timeline; what the old one appended has an end"""
    global server
    standby = server.standby()
    standby.start()
    server.wait_caught_up(standby)
    server.stop("immediate")
    standby.promote()
    server = standby
    tap.equal(epoch(server, "t"), 2, "a promoted standby has the next epoch before anything is appended")
    server.sql("SELECT produce('t', 'three'::text)")
    tap.equal(batch_epochs(server, "t"), [(0, 1), (1, 1), (2, 2)], "what it appends has it")
    tap.equal(epoch_end(server, 1, "t"), (1, 2), "epoch 1 ends where it began")


def test_rollback():
    """the epoch is stored also if the first that appends with it rolls back"""
    server.sql("BEGIN; SELECT append('t:0', 'no'::text); ROLLBACK")
    tap.equal(epoch(server, "t"), 2, "still the same")


def test_restored_dump():
    """pg_dump and restore: another system identifier"""
    dump = server.run("pg_dump").stdout
    target = pg.Cluster("restored").init().start()
    target.sql("CREATE EXTENSION pgtopic; SELECT create_topic('early')")
    tap.equal(epoch(target, "early"), 1, "a server that clients have seen already")
    target.run("psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-f", "-", input=dump)
    tap.equal(epoch(target, "t"), 3, "has a later epoch than the one dumped, once that is restored")
    target.sql("SELECT produce('t', 'four'::text)")
    tap.equal(batch_epochs(target, "t")[-1], (3, 3), "so has what it appends")
    target.restart()
    tap.equal(epoch(target, "t"), 3, "and it keeps it")
    target.stop()


def test_upgrade():
    """pg_upgrade"""
    global server
    if not pg.CAN_UPGRADE:
        tap.note("left out: pg_upgrade does not find a library below PGTOPIC_DESTDIR")
        return
    server.stop()
    upgraded = pg.Cluster("upgraded", {"synchronous_commit": "on"}).init(roles=False)
    done = subprocess.run([pg.BINDIR + "/pg_upgrade", "-b", pg.BINDIR, "-B", pg.BINDIR, "-d", server.data, "-D", upgraded.data,
                           "-U", "postgres", "-p", str(pg.free_port()), "-P", str(pg.free_port()), "-s", pg.base_dir()],
                          cwd=pg.base_dir(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    tap.equal(done.returncode, 0, "pg_upgrade works")
    if done.returncode:
        tap.note(done.stdout[-3000:])
        return
    upgraded.start()
    server = upgraded
    tap.equal(epoch(server, "t"), 3, "another server has the next epoch")
    server.sql("SELECT produce('t', 'after'::text)")
    tap.equal([e for _, e in batch_epochs(server, "t")], [1, 1, 2, 3], "batches keep theirs, new ones have the new one")
    tap.equal(epoch_end(server, 2, "t"), (2, 3), "epoch 2 has an end")


def test_read_only():
    """a server whose transactions are read-only by default answers all the same"""
    standby = server.standby("second")
    standby.start()
    server.wait_caught_up(standby)
    server.stop("immediate")
    standby.set(default_transaction_read_only="on")
    standby.reload()
    standby.promote()
    next_epoch = 4 if pg.CAN_UPGRADE else 3
    tap.equal(epoch(standby, "t"), next_epoch, "Metadata says the next epoch")
    tap.equal(standby.sql("SET default_transaction_read_only = off; SELECT append('t:0', 'x'::text)").split()[-1], str(next_epoch),
              "and who may write appends")
    tap.equal(batch_epochs(standby, "t")[-1], (next_epoch, next_epoch), "with that epoch")


def main():
    global server
    pg.demote()
    need_clients()
    server = pg.Cluster().init().start()
    server.sql("CREATE EXTENSION pgtopic")
    tap.main([test_restart, test_promotion, test_rollback, test_restored_dump, test_upgrade, test_read_only])


if __name__ == "__main__":
    main()
