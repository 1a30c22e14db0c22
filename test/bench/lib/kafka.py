"""An Apache Kafka broker of our own: fetched from Maven Central, one KRaft node on loopback, gone at the end.

Settings are those of the config/server.properties and kafka-server-start.sh that Apache ships, one GiB of heap
included.  Nothing makes it fsync: Kafka leaves that to the page cache, which is how it is commonly run.
"""
import os
import shutil
import signal
import subprocess
import time

import procs
import wire
from procs import BenchError

VERSION = "4.4.0"
JVM = ["-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
       "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true",
       "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},{tls}CONTROLLER://127.0.0.1:{controller_port}
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={directory}/data
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
log.segment.bytes=1073741824
log.segment.delete.delay.ms=1000
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
"""


def fetch_jars(bench_dir):
    """The directory of the broker's jars, filled by Maven on first use."""
    jars = os.path.join(bench_dir, "build", "kafka-" + VERSION)
    if os.path.exists(os.path.join(jars, "complete")):
        return jars
    if shutil.which("mvn") is None or shutil.which("java") is None:
        raise BenchError("Kafka needs java and mvn (Debian: apt install maven default-jre-headless)")
    print("fetching Apache Kafka", VERSION, "from Maven Central", flush=True)
    run = subprocess.run(
        ["mvn", "-q", "-B", "-f", os.path.join(bench_dir, "pom.xml"), f"-Dkafka.version={VERSION}",
         "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900)
    if run.returncode != 0:
        raise BenchError("mvn could not fetch Kafka:\n" + run.stdout[-2000:])
    open(os.path.join(jars, "complete"), "w").close()
    return jars


# With a listener that speaks TLS: the defaults, and the certificate that pgtopic has.
TLS_PROPERTIES = """\
ssl.keystore.type=PEM
ssl.keystore.location={directory}/both.pem
"""


class Kafka:
    name = "kafka"

    def __init__(self, jars, directory, port=None, heap="1G", tls=None):
        """tls: files of a certificate and its key."""
        self.tls = tls
        self.tls_port = procs.free_port() if tls else None
        self.jars = jars
        self.directory = directory
        self.port = port or procs.free_port()
        self.heap = heap
        self.process = None
        self.log = os.path.join(directory, "kafka.log")

    def java(self, *arguments, heap=None):
        heap = heap or self.heap
        return ["java", f"-Xmx{heap}", f"-Xms{heap}", *JVM, "-cp", self.jars + "/*", *arguments]

    def create(self):
        os.makedirs(self.directory, exist_ok=True)
        self.config = os.path.join(self.directory, "server.properties")
        with open(self.config, "w") as f:
            f.write(PROPERTIES.format(port=self.port, controller_port=procs.free_port(), directory=self.directory,
                                      tls=f"SSL://127.0.0.1:{self.tls_port}," if self.tls else ""))
            if self.tls:
                f.write(TLS_PROPERTIES.format(directory=self.directory))
        if self.tls:
            with open(os.path.join(self.directory, "both.pem"), "w") as both:
                for part in reversed(self.tls):
                    with open(part) as f:
                        both.write(f.read())
        run = subprocess.run(
            self.java("kafka.tools.StorageTool", "format", "-t", "pgtopic-bench-Kafka01", "-c", self.config, heap="256M"),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        if run.returncode != 0:
            raise BenchError("Kafka's storage could not be formatted:\n" + run.stdout[-2000:])

    def start(self):
        self.process = procs.spawn(self.java("kafka.Kafka", self.config), log=self.log, cwd=self.directory)
        alive = lambda: self.process.poll() is None
        if wire.wait_until(lambda: wire.api_versions(self.port), alive, 90) is None:
            raise BenchError("Kafka did not start; its log ends:\n" + tail(self.log))

    def stop(self):
        procs.end(self.process, signal.SIGTERM, 60)
        self.process = None

    @property
    def pid(self):
        return self.process.pid

    def settle(self):
        """Before a measurement: nothing left to write from what came before it."""
        os.sync()
        time.sleep(0.2)

    def finish(self):
        """The part of a measurement that comes after the client is done.  Kafka leaves writing to the kernel."""


def tail(path, n=2000):
    try:
        with open(path, errors="replace") as f:
            return f.read()[-n:]
    except FileNotFoundError:
        return "(none)"
