"""A PostgreSQL cluster of our own with pgtopic in it: initdb into a directory, own ports on loopback, gone at the end."""
import os
import re
import shutil
import signal
import subprocess
import time

import procs
import wire
from kafka import tail
from procs import BenchError

# Everything that keeps data safe is left at its default (fsync, full_page_writes, synchronous_commit).  What
# is set here is what a machine that takes this load would have: room for WAL to be recycled instead of created.
SETTINGS = {
    "shared_preload_libraries": "pgtopic",
    "listen_addresses": "127.0.0.1",
    "max_wal_size": "4GB",
    "min_wal_size": "4GB",
    "wal_buffers": "64MB",
    "checkpoint_timeout": "15min",
    "max_connections": "100",
    "autovacuum_naptime": "60s",
}


def install(root, pg_config):
    """Builds the extension in its tree and installs it."""
    for goal in (["all"], ["install"]):
        destdir = os.environ.get("PGTOPIC_DESTDIR", "")
        argv = ["make", "-s", "-C", root, f"-j{os.cpu_count()}", f"PG_CONFIG={pg_config}", f"DESTDIR={destdir}", *goal]
        if goal == ["install"] and not destdir and os.geteuid() != 0 and not os.access(_ask(pg_config, "--pkglibdir"), os.W_OK):
            argv = ["sudo", "-n", *argv]
        run = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900)
        if run.returncode != 0:
            raise BenchError(" ".join(argv) + " failed:\n" + run.stdout[-3000:])


def _ask(pg_config, what):
    return subprocess.run([pg_config, what], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def where_installed(pg_config):
    """Settings that make the server look into PGTOPIC_DESTDIR, as those of the tests do."""
    destdir = os.environ.get("PGTOPIC_DESTDIR")
    if not destdir:
        return {}
    if int(re.search(r"\d+", _ask(pg_config, "--version")).group()) < 18:
        settings = {"extension_destdir": destdir}          # Debian's
    else:
        settings = {"extension_control_path": destdir + _ask(pg_config, "--sharedir") + ":$system"}
    return {**settings, "dynamic_library_path": destdir + _ask(pg_config, "--pkglibdir") + ":$libdir"}


def commit(root):
    """The commit that is measured, for the records."""
    run = subprocess.run(["git", "-C", root, "describe", "--always", "--dirty"], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True)
    return run.stdout.strip() or "unknown"


class Cluster:
    name = "pgtopic"

    def __init__(self, directory, pg_config="pg_config", pg_port=None, port=None, settings=None, tls=None):
        """tls: files of a certificate and its key."""
        self.bin = _ask(pg_config, "--bindir")
        self.directory = directory
        self.data = os.path.join(directory, "data")
        self.log = os.path.join(directory, "postgresql.log")
        self.pg_port = pg_port or procs.free_port()
        self.port = port or procs.free_port()
        self.user = "postgres" if os.geteuid() == 0 else None      # the server refuses to run as root
        self.settings = dict(SETTINGS)
        self.settings.update({
            "port": self.pg_port,
            "unix_socket_directories": directory,
            "pgtopic.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "pgtopic.database": "postgres",
            "pgtopic.plaintext_role": "kafka",
        })
        self.tls_port = procs.free_port() if tls else None
        if tls:
            if self.user:
                shutil.chown(tls[1], self.user)
            self.settings["pgtopic.listeners"] += f",SSL://127.0.0.1:{self.tls_port}"
            self.settings.update({"pgtopic.ssl_cert_file": tls[0], "pgtopic.ssl_key_file": tls[1]})
        self.settings.update(where_installed(pg_config))
        self.settings.update(settings or {})
        self.process = None

    def create(self):
        os.makedirs(self.directory, exist_ok=True)
        if self.user:
            shutil.chown(self.directory, self.user)
        self._run([self._tool("initdb"), "-D", self.data, "-A", "trust", "-U", "bench", "--no-sync", "-E", "UTF8",
                   "--locale=C"])
        with open(os.path.join(self.data, "postgresql.conf"), "a") as f:
            for name, value in self.settings.items():
                f.write("{} = '{}'\n".format(name, str(value).replace("'", "''")))
        self.start(wait_for_listener=False)
        self.sql("CREATE EXTENSION pgtopic")
        self.sql("CREATE ROLE kafka IN ROLE pgtopic_admin")
        self._await_listener()

    def start(self, wait_for_listener=True):
        self.process = procs.spawn([self._tool("postgres"), "-D", self.data], user=self.user, log=self.log,
                                   cwd=self.directory, die_with_us=signal.SIGINT)
        if wait_for_listener:
            self._await_listener()
        else:
            ready = lambda: subprocess.run(
                [self._tool("pg_isready"), "-q", *self._where()[:-1], "-d", "postgres"]).returncode == 0
            if wire.wait_until(ready, self._alive, 60, 0.1) is None:
                raise BenchError("PostgreSQL did not start; its log ends:\n" + tail(self.log))

    def stop(self):
        procs.end(self.process, signal.SIGINT, 120)
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    def settle(self):
        """Before a measurement: nothing left to write from what came before it."""
        self.sql("CHECKPOINT")
        os.sync()
        time.sleep(0.2)

    def finish(self):
        """The part of a measurement that comes after the client is done: everything on disk, in its place."""
        self.sql("CHECKPOINT")

    def sql(self, command, timeout_s=600, database="postgres"):
        """Runs SQL as one psql call; its output."""
        return self._psql(["-c", command], None, timeout_s, database)

    def tool(self, program, *arguments, timeout_s=1800):
        """Runs one of PostgreSQL's programs; the arguments name the database."""
        return self._run([self._tool(program), *self._where()[:-1], *arguments], None, timeout_s)

    def script(self, text, timeout_s=600):
        return self._psql(["-f", "-"], text, timeout_s)

    def timed(self, statement, timeout_s=600):
        """Seconds that one statement took, the connection and the plan of psql left out."""
        out = self._psql(["-f", "-"], "\\timing on\n" + statement.rstrip(";") + ";\n", timeout_s)
        return float(re.findall(r"^Time: ([0-9.]+) ms", out, re.M)[-1]) / 1000

    def pgbench(self, script_path, clients, seconds):
        """Transactions per second and mean latency in ms of a pgbench script."""
        argv = [self._tool("pgbench"), "-n", "-M", "prepared", "-c", str(clients), "-j", str(min(clients, 2)),
                "-T", str(seconds), "-f", script_path, *self._where()]
        out = self._run(argv, timeout_s=seconds + 60)
        if re.search(r"number of failed transactions: [1-9]", out):
            raise BenchError("pgbench: " + out)
        return (float(re.search(r"tps = ([0-9.]+)", out).group(1)),
                float(re.search(r"latency average = ([0-9.]+)", out).group(1)))

    def version(self):
        return self.sql("SHOW server_version")

    def _tool(self, name):
        return os.path.join(self.bin, name)

    def _where(self, database="postgres"):
        return ["-h", self.directory, "-p", str(self.pg_port), "-U", "bench", database]

    def _psql(self, arguments, text, timeout_s, database="postgres"):
        return self._run([self._tool("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", *arguments, *self._where(database)],
                         text, timeout_s).strip()

    def _run(self, argv, text=None, timeout_s=120):
        run = subprocess.run(argv, input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             timeout=timeout_s, cwd=self.directory, **procs.as_user(self.user))
        if run.returncode != 0:
            raise BenchError(f"{os.path.basename(argv[0])} failed: {run.stderr[-2000:]}\n"
                             f"The server's log ends:\n{tail(self.log, 1000)}")
        return run.stdout

    def _alive(self):
        return self.process.poll() is None

    def _await_listener(self):
        if wire.wait_until(lambda: wire.api_versions(self.port), self._alive, 60) is None:
            raise BenchError("pgtopic's listener did not answer; the server's log ends:\n" + tail(self.log))
