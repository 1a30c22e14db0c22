"""PostgreSQL clusters for tests: made, driven, killed, copied, thrown away.

Standard library only.  Everything lives in one temporary directory that is
removed at the end; ports are chosen free on loopback.  A caller who is root
runs the servers as "postgres".

As a command it runs another one beside a fresh cluster:

    cluster.py run [--set name=value] [--consistency] -- COMMAND...

with PGHOST, PGPORT, PGUSER, PGDATABASE and BOOTSTRAP in its environment.

Sibling: tap.py (results).
"""

import argparse
import atexit
import ctypes
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import tap

PR_SET_CHILD_SUBREAPER = 36

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PG_CONFIG = os.environ.get("PG_CONFIG", "pg_config")
DESTDIR = os.environ.get("PGTOPIC_DESTDIR", "")


def pg_config(what):
    return subprocess.check_output([PG_CONFIG, "--" + what], text=True).strip()


BINDIR = pg_config("bindir")
MAJOR = int(re.match(r"\D*(\d+)", pg_config("version")).group(1))
# From 18 on pg_upgrade finds libraries in the server's own directory only.
CAN_UPGRADE = MAJOR < 18 or not DESTDIR


def free_port():
    """A port that nobody listens on now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def demote():
    """A root process becomes postgres for good: servers refuse root, and tests need no such power."""
    if os.getuid() == 0:
        user = pwd.getpwnam("postgres")
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        os.environ["HOME"] = user.pw_dir
        os.environ["USER"] = os.environ["LOGNAME"] = "postgres"


_base = None
_clusters = []


def base_dir():
    """The directory of this process' clusters, removed at its end."""
    global _base
    if _base is None:
        # Servers whose pg_ctl has ended become our children, so that a killed one can be reaped: as
        # a zombie it would still hold its lock file.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        _base = tempfile.mkdtemp(prefix="pgtopic-")
        atexit.register(_remove_all)
        for name in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, lambda *_: sys.exit(1))
    return _base


def _remove_all():
    for cluster in _clusters:
        cluster.stop("immediate", check=False)
    keep = os.environ.get("PGTOPIC_KEEP")
    if keep:
        print("# kept: " + _base, file=sys.stderr)
    else:
        shutil.rmtree(_base, ignore_errors=True)


def clusters():
    """All that this process has made."""
    return list(_clusters)


class SqlError(Exception):
    """psql ended with an error; the message is its standard error."""


class Cluster:
    """One data directory and its server."""

    def __init__(self, name="main", settings=None, preload=True, listener=True, environment=None, bindir=None):
        self.name = name
        self.bindir = bindir or BINDIR      # another one: a server of another major
        self.dir = os.path.join(base_dir(), name)
        self.data = os.path.join(self.dir, "data")
        self.log = os.path.join(self.dir, "log")
        self.port = free_port()
        self.kafka_port = free_port() if listener else 0
        self.settings = dict(settings or {})
        self.preload = preload
        self.environment = environment      # what is added to the server's
        self.user = "postgres"
        self.process = None
        _clusters.append(self)
        tap.diagnostics.append(self._troubles)

    # making one

    def init(self, *options, roles=True):
        """initdb.  roles: with those that Kafka clients need (not where pg_upgrade or a dump brings them)."""
        os.makedirs(self.dir)
        self._run([self.bindir + "/initdb", "-D", self.data, "-U", self.user, "-A", "trust", "-N",
                   "--data-checksums", "-E", "UTF8", "--locale=C.UTF-8", *options])
        with open(self.data + "/pg_hba.conf", "a", encoding="utf8") as f:
            f.write("local replication all trust\n")
        if roles:
            self._make_roles()
        self._write_settings()
        return self

    def _make_roles(self):
        """Kafka clients act as "kafka" (regress.conf), which may do everything.  Made without a server, in no time."""
        done = subprocess.run([self.bindir + "/postgres", "--single", "-F", "-D", self.data, "postgres"], text=True,
                              input="CREATE ROLE pgtopic_admin\nCREATE ROLE kafka LOGIN IN ROLE pgtopic_admin\n",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0 or "ERROR" in done.stdout:
            raise RuntimeError("no roles for Kafka clients:\n" + done.stdout)

    def _write_settings(self):
        values = {"listen_addresses": "", "unix_socket_directories": self.dir, "port": self.port,
                  "fsync": "off", "shared_buffers": "64MB", "logging_collector": "off",
                  "log_line_prefix": "%m [%p] %b ", "restart_after_crash": "on", "max_wal_senders": 5}
        if DESTDIR:
            if MAJOR < 18:
                values["extension_destdir"] = DESTDIR       # Debian's
            else:
                values["extension_control_path"] = DESTDIR + pg_config("sharedir") + ":$system"
            values["dynamic_library_path"] = DESTDIR + pg_config("pkglibdir") + ":$libdir"
        if self.preload:
            values.update(read_settings(os.path.join(ROOT, "test", "regress.conf")))
            values["pgtopic.listeners"] = "PLAINTEXT://" + self.bootstrap if self.kafka_port else ""
        values.update(self.settings)
        with open(self.data + "/test.conf", "w", encoding="utf8") as f:
            for name, value in values.items():
                if value is not None:       # None: whatever the server's default is
                    f.write("%s = '%s'\n" % (name, str(value).replace("'", "''")))
        with open(self.data + "/postgresql.conf", "r+", encoding="utf8") as f:
            if "include 'test.conf'" not in f.read():
                f.write("\ninclude 'test.conf'\n")

    def set(self, **settings):
        """Changes settings (a dot is written as two underscores); they count from the next start or reload on."""
        self.settings.update({k.replace("__", "."): v for k, v in settings.items()})
        self._write_settings()
        return self

    # up and down

    def start(self, check=True):
        done = subprocess.run([self.bindir + "/pg_ctl", "-D", self.data, "-l", self.log, "-w", "-t", "120", "start"],
                              env={**os.environ, **(self.environment or {})},
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        if done.returncode != 0 and check:
            raise RuntimeError("server %s did not start:\n%s" % (self.name, self.log_tail()))
        return self

    def begin_start(self):
        """Starts it without waiting: it may be replaying when this returns."""
        subprocess.run([BINDIR + "/pg_ctl", "-D", self.data, "-l", self.log, "-W", "start"],
                       env={**os.environ, **(self.environment or {})},
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)

    def is_running(self):
        """Is there a postmaster?  It need not take connections yet."""
        try:
            return _alive(self.postmaster_pid())
        except (OSError, ValueError):
            return False

    def is_up(self):
        """Does SQL answer?"""
        try:
            return self.sql("SELECT 1") == "1"
        except SqlError:
            return False

    def stop(self, mode="fast", check=True):
        if not os.path.exists(self.data + "/postmaster.pid"):
            return self
        subprocess.run([self.bindir + "/pg_ctl", "-D", self.data, "-m", mode, "-w", "-t", "120", "stop"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=check)
        return self

    def restart(self, mode="fast"):
        return self.stop(mode).start()

    def reload(self):
        os.kill(self.postmaster_pid(), signal.SIGHUP)

    def postmaster_pid(self):
        with open(self.data + "/postmaster.pid", encoding="utf8") as f:
            return int(f.readline())

    def kill9(self):
        """Kills the postmaster; its children notice and end.  Returns once none is left."""
        pid = self.postmaster_pid()
        children = [int(p) for p in _children(pid)]
        os.kill(pid, signal.SIGKILL)
        await_ended(pid, children)
        return self

    def worker_pids(self, pattern):
        """Processes of this server whose title matches."""
        found = []
        for pid in _children(self.postmaster_pid()):
            try:
                with open("/proc/%s/cmdline" % pid, encoding="utf8", errors="replace") as f:
                    if re.search(pattern, f.read()):
                        found.append(int(pid))
            except OSError:
                pass
        return found

    def wait_up(self, timeout=60):
        """After a crash of one process the server restarts itself: waits until SQL answers."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                return self.sql("SELECT 1")
            except SqlError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def wait_listener(self, timeout=60):
        """Until the Kafka port takes connections."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.kafka_port), 5).close()
                return self
            except OSError:
                if time.monotonic() > deadline:
                    raise RuntimeError("the listener is not up:\n" + self.log_tail()) from None
                time.sleep(0.05)

    # talking to it

    @property
    def bootstrap(self):
        return "127.0.0.1:%d" % self.kafka_port

    def env(self, database="postgres"):
        env = dict(os.environ)
        for name in [n for n in env if n.startswith("PG") and not n.startswith("PGTOPIC") and n != "PG_CONFIG"]:
            del env[name]
        env.update(PGHOST=self.dir, PGPORT=str(self.port), PGUSER=self.user, PGDATABASE=database,
                   BOOTSTRAP=self.bootstrap, PGDATA=self.data)
        return env

    def sql(self, text, database="postgres", timeout=120):
        """Runs SQL, returns the rows' text (unaligned, | between columns); SqlError when it fails."""
        done = subprocess.run([self.bindir + "/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-f", "-"], input=text, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env(database),
                              timeout=timeout, check=False)
        if done.returncode != 0:
            raise SqlError(done.stderr.strip())
        return done.stdout.rstrip("\n")

    def wait_for(self, query, expected="t", timeout=180, **more):
        """Until the query's answer is this, also over crashes of the server.  Returns the last answer, or error as text.
        Nobody waits longer than PGTOPIC_PATIENCE seconds, if that is set: where most that is waited for in vain does not come."""
        deadline = time.monotonic() + min(timeout, float(os.environ.get("PGTOPIC_PATIENCE", timeout)))
        while True:
            try:
                got = self.sql(query, **more)
            except SqlError as problem:
                got = str(problem)
            if got == expected or time.monotonic() > deadline:
                return got
            time.sleep(0.05)

    def rows(self, text, **more):
        out = self.sql(text, **more)
        return [line.split("|") for line in out.split("\n")] if out else []

    def session(self, database="postgres"):
        """A long-lived psql whose standard input takes statements; see PsqlSession."""
        return PsqlSession(self, database)

    def run(self, *command, check=True, **more):
        """Runs a PostgreSQL tool (or any other program) against this server."""
        program = self.bindir + "/" + command[0]
        command = [program if os.path.exists(program) else command[0], *command[1:]]
        env = self.env(more.pop("database", "postgres"))
        return subprocess.run(command, env=env, check=check, text=more.pop("text", True),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)

    def pg_regress(self, tests, inputdir=ROOT):
        """Runs regression tests against this server; returns the process and the directory of its results."""
        out = tempfile.mkdtemp(prefix="regress-", dir=base_dir())
        program = os.path.dirname(pg_config("pgxs")) + "/../../src/test/regress/pg_regress"
        done = subprocess.run([program, "--bindir=" + BINDIR, "--inputdir=" + inputdir, "--outputdir=" + out,
                               "--dbname=contrib_regression", *tests],
                              env=self.env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done, out

    def log_text(self):
        with open(self.log, encoding="utf8", errors="replace") as f:
            return f.read()

    def log_tail(self, lines=30):
        try:
            return "\n".join(self.log_text().split("\n")[-lines:])
        except OSError:
            return "(no log)"

    def _troubles(self):
        """What the log says of processes that ended, and its last lines: why a test may have come to nothing."""
        if not os.path.exists(self.log):
            return None
        ends = [line for line in self.log_text().split("\n")
                if re.search(r"terminated by signal|exited with|FATAL|PANIC|TRAP|Out of memory", line)]
        return "\n".join(["log of server \"%s\":" % self.name] + ends[-20:] + ["..."] + [self.log_tail(40)])

    # standbys

    def twin(self, name, settings=None):
        """Another cluster with this one's settings and these, for whoever brings its files; then settled()."""
        copy = Cluster(name, dict(self.settings, **(settings or {})), self.preload, self.kafka_port != 0, bindir=self.bindir)
        os.makedirs(copy.dir)
        return copy

    def settled(self):
        """The files are there: gives this cluster its own ports and directories."""
        self._write_settings()
        return self

    def base_backup(self, name, settings=None, options=()):
        """A copy by pg_basebackup, not yet started."""
        copy = self.twin(name, settings)
        self.run("pg_basebackup", "-D", copy.data, "-X", "stream", "-c", "fast", *options)
        return copy.settled()

    def standby(self, name="standby", settings=None):
        """A streaming physical standby of this server, not yet started."""
        return self.base_backup(name, settings).follow(self)

    def follow(self, primary):
        """Makes this a standby of another server, from its next start on."""
        return self.set(primary_conninfo="host=%s port=%d user=%s" % (primary.dir, primary.port, primary.user)).signal("standby")

    def signal(self, what):
        """standby.signal or recovery.signal"""
        open("%s/%s.signal" % (self.data, what), "w", encoding="utf8").close()
        return self

    def wait_caught_up(self, standby, timeout=120):
        """Until the standby has replayed all that this server has written."""
        lsn = self.sql("SELECT pg_current_wal_lsn()")
        deadline = time.monotonic() + timeout
        while standby.sql("SELECT pg_last_wal_replay_lsn() >= '%s'" % lsn) != "t":
            if time.monotonic() > deadline:
                raise RuntimeError("the standby stays behind:\n" + standby.log_tail())
            time.sleep(0.05)

    def promote(self):
        self._run([self.bindir + "/pg_ctl", "-D", self.data, "-w", "-t", "60", "promote"])
        return self

    @staticmethod
    def _run(command):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError("%s failed:\n%s" % (command[0], done.stdout))


class PsqlSession:
    """Statements one after another in one session; each returns its rows' text."""

    MARK = "--end of answer--"

    def __init__(self, cluster, database):
        self.psql = subprocess.Popen([BINDIR + "/psql", "-XAtq", "-f", "-"], env=cluster.env(database),
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                     text=True, bufsize=1)

    def send(self, text):
        """Starts a statement without waiting for it."""
        self.psql.stdin.write("%s\n;\n\\echo %s\n" % (text.rstrip().rstrip(";"), self.MARK))
        self.psql.stdin.flush()

    def answer(self):
        lines = []
        for line in self.psql.stdout:
            if line.rstrip("\n") == self.MARK:
                return "\n".join(lines)
            lines.append(line.rstrip("\n"))
        raise SqlError("connection lost: " + "\n".join(lines))

    def sql(self, text):
        try:
            self.send(text)
        except (BrokenPipeError, OSError) as problem:
            raise SqlError("connection lost") from problem
        return self.answer()

    def close(self):
        try:
            self.psql.stdin.close()
        except OSError:
            pass
        self.psql.kill()
        self.psql.wait()


def read_settings(path):
    """name = value lines as a dict."""
    values = {}
    with open(path, encoding="utf8") as f:
        for line in f:
            match = re.match(r"\s*([\w.]+)\s*=\s*(.*?)\s*(#.*)?$", line)
            if match:
                values[match.group(1)] = match.group(2).strip("'")
    return values


def _children(pid):
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="utf8") as f:
            return f.read().split()
    except OSError:
        return []


def _alive(pid):
    """Still there?  Reaps it when it is a dead child of ours."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass
    try:
        with open("/proc/%d/stat" % pid, encoding="utf8") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def await_ended(postmaster, children, seconds=30):
    """Until all have ended.  The postmaster's pid must be nobody's, for a zombie still keeps the next one from starting."""
    deadline = time.monotonic() + seconds
    while any(_alive(p) for p in [postmaster, *children]) or os.path.exists("/proc/%d" % postmaster):
        if time.monotonic() > deadline:
            raise RuntimeError("processes of server %d do not end" % postmaster)
        time.sleep(0.01)


def main():
    parser = argparse.ArgumentParser(description="run a command beside a fresh cluster")
    parser.add_argument("verb", choices=["run"])
    parser.add_argument("--set", action="append", default=[], metavar="name=value")
    parser.add_argument("--no-extension", action="store_true", help="do not create it in database postgres")
    parser.add_argument("--consistency", action="store_true",
                        help="with a standby and wal_consistency_checking = all; its state is checked at the end")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()

    demote()
    settings = dict(s.split("=", 1) for s in args.set)
    if args.consistency:
        settings["wal_consistency_checking"] = "all"
    cluster = Cluster(settings=settings).init().start()
    if not args.no_extension:
        cluster.sql("CREATE EXTENSION pgtopic")
        cluster.wait_listener()
    standby = cluster.standby().start() if args.consistency else None
    status = subprocess.run(args.command, env=cluster.env(), check=False).returncode
    if standby is not None:
        cluster.wait_caught_up(standby)
    crashes = [line for c in _clusters for line in c.log_text().split("\n")
               if re.search(r"PANIC|TRAP|was terminated by signal|inconsistent page", line)]
    if crashes:
        print("\n".join(crashes), file=sys.stderr)
        status = status or 1
    sys.exit(status)


if __name__ == "__main__":
    main()
