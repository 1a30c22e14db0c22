"""Kafka Connect of our own, standalone, with one connector: fetched from Maven Central, on loopback, gone at the end.

Settings are Connect's and the connector's defaults, but for JSON without schemas, so that a record is as large as one of ours.
"""
import os
import shutil
import signal
import subprocess

import procs
from kafka import JVM, tail
from procs import BenchError

DEBEZIUM = "3.6.1.Final"
CONNECT = "4.3.0"  # what it was built for; 4.4 has lost a class that it needs

WORKER = """\
bootstrap.servers=127.0.0.1:{kafka_port}
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
key.converter.schemas.enable=false
value.converter.schemas.enable=false
offset.storage.file.filename={directory}/offsets
listeners=http://127.0.0.1:{port}
topic.creation.enable=true
plugin.discovery=only_scan
"""


def fetch_jars(bench_dir):
    """The directory of the jars, filled by Maven on first use."""
    jars = os.path.join(bench_dir, "build", f"connect-{CONNECT}-{DEBEZIUM}")
    if os.path.exists(os.path.join(jars, "complete")):
        return jars
    if shutil.which("mvn") is None or shutil.which("java") is None:
        raise BenchError("Kafka Connect needs java and mvn (Debian: apt install maven default-jre-headless)")
    print("fetching Kafka Connect and Debezium", DEBEZIUM, "from Maven Central", flush=True)
    run = subprocess.run(
        ["mvn", "-q", "-B", "-f", os.path.join(bench_dir, "fanout.xml"), f"-Dkafka.version={CONNECT}", f"-Ddebezium.version={DEBEZIUM}",
         "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1800)
    if run.returncode != 0:
        raise BenchError("mvn could not fetch Kafka Connect:\n" + run.stdout[-2000:])
    open(os.path.join(jars, "complete"), "w").close()
    return jars


class Connect:
    """One worker process with one connector, whose settings are given."""

    def __init__(self, jars, directory, kafka_port, connector, heap="1G"):
        self.jars, self.directory, self.connector, self.heap = jars, directory, connector, heap
        self.worker = WORKER.format(kafka_port=kafka_port, directory=directory, port=procs.free_port())
        self.log = os.path.join(directory, "connect.log")
        self.process = None

    def start(self):
        os.makedirs(self.directory, exist_ok=True)
        paths = []
        for name, text in (("worker", self.worker), ("connector", "".join(f"{k}={v}\n" for k, v in self.connector.items()))):
            paths.append(os.path.join(self.directory, name + ".properties"))
            with open(paths[-1], "w") as f:
                f.write(text)
        self.process = procs.spawn(["java", f"-Xmx{self.heap}", f"-Xms{self.heap}", *JVM, "-cp", self.jars + "/*",
                                    "org.apache.kafka.connect.cli.ConnectStandalone", *paths], log=self.log, cwd=self.directory)

    def check(self):
        if self.process.poll() is not None:
            raise BenchError("Kafka Connect has ended; its log ends:\n" + tail(self.log))

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        procs.end(self.process, signal.SIGTERM, 60)
        self.process = None


def source(cluster, table, topic_prefix):
    """Debezium's connector for a table of a cluster, from now on."""
    return {"name": "bench", "connector.class": "io.debezium.connector.postgresql.PostgresConnector", "tasks.max": 1,
            "database.hostname": "127.0.0.1", "database.port": cluster.pg_port, "database.user": "bench", "database.password": "none",
            "database.dbname": "postgres", "topic.prefix": topic_prefix, "table.include.list": "public." + table, "plugin.name": "pgoutput",
            "publication.autocreate.mode": "filtered", "snapshot.mode": "no_data",
            "topic.creation.default.replication.factor": 1, "topic.creation.default.partitions": 1}
