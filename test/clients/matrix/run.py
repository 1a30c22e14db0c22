#!/usr/bin/env python3
"""Runs the programs of the clients matrix, and keeps their outcomes as MATRIX.md.

    run.py [--all] [--only REGEX] [--tools REGEX] [--bootstrap HOST:PORT] [--write FILE]

Without --bootstrap, beside a fresh cluster.  Without --all, what takes toolchains of its own and what repeats another
client's path is left out.  --write makes a new ../MATRIX.md of the outcomes in FILE; rows of clients that did not run are
taken over as they are.  Results are TAP.  How a program talks to us: README.md here.
"""

import argparse
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = os.path.dirname(HERE)
BUILD = os.path.join(CLIENTS, "build")
MATRIX = os.path.join(CLIENTS, "MATRIX.md")
sys.path.insert(0, os.path.join(CLIENTS, "..", "lib"))
import certs            # noqa: E402
import cluster as pg    # noqa: E402
import tap              # noqa: E402

# Shorter waits than by default, for the sake of the test's time.
SETTINGS = {"pgtopic.group_initial_rebalance_delay": 300, "pgtopic.group_consumer_heartbeat_interval": 1000}
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
STEPS = (["connect", "create topic", "list topics"] + ["produce " + codec for codec in CODECS] +
         ["assign", "offsets", "group", "commit", "static member", "pattern", "list groups", "describe group", "reset offsets",
          "delete offsets", "delete group", "add partitions", "alter config", "delete records", "delete topic"])
PYTHON = os.path.join(BUILD, "venv", "bin", "python3")
JAVA = ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=off"]


def python(name):
    return [PYTHON, os.path.join(HERE, "python", name + ".py")]


def java(version):
    here = os.path.join(BUILD, "java" if version == "4" else "java-" + version)
    return [*JAVA, "-cp", "%s:%s/*" % (os.path.join(BUILD, "matrix-java-" + version), os.path.join(here, "libs")), "Matrix"]


def built(*path):
    return [os.path.join(BUILD, *path)]


# Of the command line tools, a run without --all leaves out what other tests here use as well.
QUICK_TOOLS = "^(?!.*(perf-test|e2e|cluster|features|delegation|verifiable))"


class Row:
    """One client in one way of use."""

    def __init__(self, name, command, needs, quick=False, title="", **env):
        self.name, self.command, self.needs, self.quick, self.title, self.env = name, command, needs, quick, title, env

    def missing(self):
        """What the row needs and is not there."""
        for path in self.needs:
            if not os.path.exists(os.path.join(BUILD, path)):
                why = os.path.join(BUILD, path.split("/")[0] + ".why")
                if os.path.exists(why):
                    with open(why, encoding="utf8") as f:
                        return f.read().strip()
                return "test/clients/install --all did not bring it"
        return None


VENV = ["venv/bin/python3"]
ROWS = [
    Row("kcat", ["/usr/bin/python3", os.path.join(HERE, "python", "kcat.py")], [], quick=True),
    Row("confluent", python("confluent"), VENV, quick=True, title="classic, range"),
    Row("confluent-cooperative", python("confluent"), VENV, title="classic, cooperative-sticky", ASSIGNOR="cooperative-sticky"),
    Row("confluent-consumer", python("confluent"), VENV, quick=True, title="group.protocol=consumer", PROTOCOL="consumer"),
    Row("java", java("4"), ["matrix-java-4"], quick=True, title="classic, range"),
    Row("java-cooperative", java("4"), ["matrix-java-4"], quick=True, title="classic, cooperative-sticky",
        ASSIGNOR="cooperative-sticky"),
    Row("java-consumer", java("4"), ["matrix-java-4"], quick=True, title="group.protocol=consumer", PROTOCOL="consumer"),
    Row("java-2.8", java("2.8"), ["matrix-java-2.8"], quick=True),
    Row("java-3.7", java("3.7"), ["matrix-java-3.7"], quick=True),
    Row("aiokafka", python("aio"), VENV, quick=True),
    Row("kafka-python", python("kafka_python"), VENV, quick=True),
    Row("kafkajs", ["node", os.path.join(BUILD, "node", "kafkajs.js")], ["node/node_modules/kafkajs"]),
    Row("franz-go", built("go", "franz"), ["go/franz"], title="classic"),
    Row("franz-go-consumer", built("go", "franz"), ["go/franz"], title="consumer protocol", PROTOCOL="consumer"),
    Row("sarama", built("go", "sarama"), ["go/sarama"]),
    Row("rust", built("rust", "matrix"), ["rust/matrix"], title="classic, range"),
    Row("rust-consumer", built("rust", "matrix"), ["rust/matrix"], title="group.protocol=consumer", PROTOCOL="consumer"),
]
# The same programs over TLS: SECURITY, MECHANISM, and the method of pg_hba.conf.
WAYS = [("SASL_SSL", "SCRAM-SHA-256", "scram-sha-256"), ("SASL_SSL", "PLAIN", "password"), ("SSL", "", "cert")]
SECURED = {Row("%s-%s" % (row.name, method), row.command, row.needs, title="%s, %s" % (security, mechanism or "its certificate"),
               SECURITY=security, MECHANISM=mechanism): method
           for row in ROWS if row.name in ("kafkajs", "franz-go", "sarama") for security, mechanism, method in WAYS}
ROWS += SECURED
TOOLS = Row("tools", ["/usr/bin/python3", os.path.join(HERE, "python", "tools.py")], ["java/libs"], quick=True,
            CLASSPATH=os.path.join(BUILD, "java", "libs") + "/*")


class Server:
    """A fresh cluster.  Each row with TLS has a role of its own, and one way to be it."""

    SECRET = "s3cret, with = and \u00fc"

    def __init__(self):
        made = self.cluster = pg.Cluster(settings=dict(SETTINGS, log_connections="on")).init()
        self.ca = certs.Authority(os.path.join(pg.base_dir(), "ca"))
        for name, source in zip(("server.crt", "server.key", "root.crt"), (*self.ca.issue("localhost"), self.ca.cert)):
            shutil.copy(source, os.path.join(made.data, name))
        os.chmod(made.data + "/server.key", 0o600)
        with open(made.data + "/pg_hba.conf", "w", encoding="utf8") as f:
            f.write("local all all trust\n" + "".join("hostssl all %s all %s\n" % (self.role(row), method) for row, method in SECURED.items()))
        self.ports = {security: pg.free_port() for security in ("SASL_SSL", "SSL")}
        made.set(pgtopic__listeners=",".join(["PLAINTEXT://" + made.bootstrap] + ["%s://127.0.0.1:%d" % p for p in self.ports.items()]),
                 ssl_ca_file="root.crt", pgtopic__ssl_client_auth="required").start()
        made.sql("CREATE EXTENSION pgtopic;" + "".join("CREATE ROLE %s LOGIN PASSWORD '%s' IN ROLE pgtopic_admin;" % (self.role(row), self.SECRET)
                                                      for row in SECURED))
        made.wait_listener()

    @staticmethod
    def role(row):
        return re.sub(r"\W", "_", row.name)

    def env(self, row):
        """How its program gets there."""
        security = row.env.get("SECURITY")
        if security is None:
            return {"BOOTSTRAP": self.cluster.bootstrap}
        env = {"BOOTSTRAP": "127.0.0.1:%d" % self.ports[security], "CA": self.ca.cert}
        if row.env["MECHANISM"]:
            return dict(env, LOGIN=self.role(row), PASSWORD=self.SECRET)
        return dict(env, **dict(zip(("CERT", "KEY"), self.ca.issue(self.role(row)))))

    def came(self, row):
        """Has it been its role, by its mechanism?"""
        return "authorized: user=%s database=postgres mechanism=%s " % (self.role(row), row.env["MECHANISM"] or "SSL") in self.cluster.log_text()


def run_row(row, where, more):
    """{"client": who, "steps": {step: outcome}} of one program."""
    started = time.monotonic()
    env = dict(os.environ, **where, PREFIX="m%s%d" % (re.sub(r"\W", "", row.name), time.time() % 100000),
               KAFKAJS_NO_PARTITIONER_WARNING="1", **row.env, **more)
    result = {"client": row.name, "title": row.title, "steps": {}}
    process = subprocess.Popen(row.command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, errors = process.communicate(timeout=420)
    except subprocess.TimeoutExpired:
        process.kill()
        out, errors = process.communicate()
        errors += "\nit did not end"
    for line in out.split("\n"):
        if line.startswith("{"):
            outcome = json.loads(line)
            if "client" in outcome:
                result["client"] = outcome["client"]
            else:
                result["steps"][outcome.pop("step")] = outcome
    result["errors"] = errors[-1500:]
    result["seconds"] = time.monotonic() - started
    return result


def judge(row, result, steps):
    """TAP lines; a step that did not say anything failed."""
    name = result["client"] + (", " + row.title if row.title else "")
    tap.note("%s took %d s" % (name, result["seconds"]))
    for step in steps or result["steps"]:
        outcome = result["steps"].setdefault(step, {"ok": False, "note": "no outcome: the program ended before"})
        if "skip" in outcome:
            tap.note("%s: %s left out: %s" % (name, step, outcome["skip"]))
        elif not tap.ok(outcome["ok"], "%s: %s (%d ms)" % (name, step, outcome.get("ms", 0))):
            tap.note(outcome.get("note", ""))
    if not all(o.get("ok") or "skip" in o for o in result["steps"].values()) and result["errors"]:
        tap.note(result["errors"])


# MATRIX.md: the outcomes live in it, in a comment as JSON, so that a later run can keep what it did not repeat.

MARK = re.compile(r"<!-- outcomes\n(.*?)\n-->", re.S)


def kept_outcomes():
    try:
        with open(MATRIX, encoding="utf8") as f:
            found = MARK.search(f.read())
        return json.loads(found.group(1)) if found else {}
    except OSError:
        return {}


def cell(outcome):
    if outcome is None:
        return ""
    if "skip" in outcome:
        return "–"
    return "ok" if outcome["ok"] else "**no**"


def write_matrix(path, results):
    outcomes = kept_outcomes()
    for name, result in results.items():
        outcomes[name] = {"client": result["client"], "title": result["title"],
                          "steps": {s: {k: v for k, v in o.items() if k != "ms"} for s, o in result["steps"].items()}}
    rows = [r for r in ROWS if r.name in outcomes]
    with open(path, "w", encoding="utf8") as f:
        f.write(INTRODUCTION)
        header = ["client"] + [s.replace("produce ", "") for s in STEPS]
        f.write("| %s |\n|%s\n" % (" | ".join(header), "---|" * len(header)))
        notes = []
        for row in rows:
            one = outcomes[row.name]
            name = one["client"] + ("; " + one["title"] if one["title"] else "")
            f.write("| %s | %s |\n" % (name, " | ".join(cell(one["steps"].get(s)) for s in STEPS)))
            notes += ["- %s: %s: %s" % (name, s, o.get("skip") or o.get("note")) for s, o in one["steps"].items() if not o.get("ok")]
        if TOOLS.name in outcomes:
            f.write("\n## %s\n\n| tool | outcome |\n|---|---|\n" % outcomes[TOOLS.name]["client"].replace("tools", "Tools", 1))
            for s, o in outcomes[TOOLS.name]["steps"].items():
                f.write("| %s | %s |\n" % (s, cell(o)))
                if not o.get("ok"):
                    notes.append("- %s: %s" % (s, o.get("skip") or o.get("note")))
        f.write("\n## What is left out or fails, and why\n\n%s\n" % "\n".join(notes or ["Nothing."]))
        f.write(OTHERS)
        lines = [json.dumps(name) + ": " + json.dumps(outcomes[name], ensure_ascii=False) for name in sorted(outcomes)]
        f.write("\n<!-- outcomes\n{%s}\n-->\n" % ",\n".join(lines))


INTRODUCTION = """# Clients that were tried, and with what came of it

Written by `matrix/run.py --write` (or `script/test --clients`); [matrix/README.md](matrix/README.md) says what the steps are. Each client does
all of them in its own language. ok: as with Apache Kafka 4.3.1, where the same programs pass (without TLS); –: the client has no such thing.

"""

OTHERS = """
## Beside the matrix

| client | test | what |
|---|---|---|
| kcat 1.7.1 | `test_kcat` | both ways with SQL: codecs, keys, nulls, headers, offsets by time, waiting, acks 0, 1, all |
| confluent-kafka | `test_confluent.py` | idempotence, delivery reports, small byte limits, time look-ups, beside SQL writers |
| Java console tools | `test_java` | every codec both ways with SQL and librdkafka |
| members that are killed and paused | `test_rebalance.py` | no record skipped, none twice beyond the last commit; both protocols, all assignors |
| floods and hostile members | `test_group_load.py` | bounded memory, right errors, everybody else unharmed |
| Kafka Streams 4.4.0 | `test_streams.py` | exactly_once_v2 and at_least_once: count, sum, windows, join of streams, interactive queries; kill -9 of server and application |
| raw.py, from Kafka's message specs | `test_versions.py` | every version of every API |
"""


def main():
    parser = argparse.ArgumentParser(description="run the clients matrix")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", default=".", metavar="REGEX")
    parser.add_argument("--tools", default=None, metavar="REGEX", help="of the command line tools, these steps only")
    parser.add_argument("--bootstrap")
    parser.add_argument("--write", metavar="FILE")
    args = parser.parse_args()
    chosen = [r for r in [*ROWS, TOOLS] if re.fullmatch(args.only, r.name) or args.only == "." and (r.quick or args.all)]
    if args.bootstrap:
        chosen = [r for r in chosen if "SECURITY" not in r.env]
    else:
        pg.demote()
        server = Server()
    present = []
    for row in chosen:
        why = row.missing()
        if why is None:
            present.append(row)
        elif os.environ.get("PGTOPIC_NO_SKIP") and row.quick:
            tap.ok(False, "%s left out: %s" % (row.name, why))
        else:
            tap.note("SKIP %s: %s" % (row.name, why))
    # A few at a time: much of what they do is to wait for each other's heartbeats.  The longest first.
    present.sort(key=lambda row: (row is not TOOLS, "PROTOCOL" not in row.env))
    results = {}
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        more = {"TOOLS": args.tools or ("." if args.all or args.only != "." else QUICK_TOOLS)}
        where = {row: {"BOOTSTRAP": args.bootstrap} if args.bootstrap else server.env(row) for row in present}
        running = {pool.submit(run_row, row, where[row], more): row for row in present}
        for done in concurrent.futures.as_completed(running):
            row = running[done]
            results[row.name] = done.result()
            judge(row, results[row.name], STEPS if row is not TOOLS else None)
            if row in SECURED:
                tap.ok(server.came(row), "%s: as its role" % row.name)
    if args.write:
        write_matrix(args.write, results)
    tap.main([])


main()
