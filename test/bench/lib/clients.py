"""The load: our librdkafka program, one that sends pre-encoded batches, and Kafka's own Java performance tools.  Both servers get exactly the same calls."""
import concurrent.futures
import json
import os
import re
import subprocess

from procs import BenchError

# What the clients are told beyond their defaults: batches large enough that the server is measured and not the round trip.
RDK_PRODUCE = {"batch.size": 1000000, "linger.ms": 20}
JAVA_PRODUCE = {"batch.size": 262144, "linger.ms": 5, "buffer.memory": 67108864, "enable.idempotence": "false"}


def build(bench_dir, name, package=None):
    """Compiles NAME.c when it is newer than the program."""
    source = os.path.join(bench_dir, name + ".c")
    program = os.path.join(bench_dir, "build", name)
    if os.path.exists(program) and os.path.getmtime(program) >= os.path.getmtime(source):
        return program
    os.makedirs(os.path.dirname(program), exist_ok=True)
    flags = []
    if package:
        run = subprocess.run(["pkg-config", "--cflags", "--libs", package], stdout=subprocess.PIPE, text=True)
        if run.returncode != 0:
            raise BenchError(f"{package}'s headers are missing (Debian: apt install lib{package}-dev pkg-config)")
        flags = run.stdout.split()
    subprocess.run(["cc", "-O2", "-Wall", "-pthread", source, "-o", program, *flags], check=True)
    return program


class Clients:
    def __init__(self, bench_dir, jars, deadline_s=300):
        self.bench_dir = bench_dir
        self.rdk = build(bench_dir, "rdk_bench", "rdkafka")
        self.raw = build(bench_dir, "raw_bench")
        self.jars = jars
        self.deadline_s = deadline_s
        self.tls_ports, self.tls_ca = set(), None       # where TLS is spoken, and with whose certificate

    def _run_several(self, n, argv, records):
        """n producers at the same time, each with its share of the records; from the first record sent to the last acknowledged."""
        shares = [records // n + (i < records % n) for i in range(n)]
        with concurrent.futures.ThreadPoolExecutor(n) as pool:
            outs = [json.loads(out) for out in pool.map(lambda share: self._run([*argv, "-n", str(share)]), shares)]
        start = min(out["start"] for out in outs)
        return {"records": sum(out["records"] for out in outs), "bytes": sum(out["bytes"] for out in outs),
                "seconds": max(out["start"] + out["seconds"] for out in outs) - start}

    def _run(self, argv):
        try:
            run = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 stdin=subprocess.DEVNULL, timeout=self.deadline_s + 30)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{os.path.basename(argv[0])} did not end in time")
        if run.returncode != 0:
            raise BenchError(f"{os.path.basename(argv[0])} failed: {(run.stderr or run.stdout)[-1500:]}")
        return run.stdout

    # librdkafka

    def _rdk_argv(self, mode, port, topic, properties=None, **options):
        argv = [self.rdk, mode, "-b", f"127.0.0.1:{port}", "-t", topic, "-T", str(self.deadline_s)]
        for letter, value in options.items():
            argv += ["-" + letter, str(value)]
        tls = {"security.protocol": "ssl", "ssl.ca.location": self.tls_ca} if port in self.tls_ports else {}
        for name, value in {**(properties or {}), **tls}.items():
            argv += ["-X", f"{name}={value}"]
        return argv

    def _rdk(self, *args, **options):
        return json.loads(self._run(self._rdk_argv(*args, **options)))

    def create_topic(self, port, topic, partitions, config=None):
        self._rdk("create", port, topic, p=partitions, **({"C": config} if config else {}))

    def delete_topic(self, port, topic):
        self._rdk("delete", port, topic)

    def rdk_produce(self, port, topic, partitions, records, size, acks, producers=1, keys=0):
        return self._run_several(producers, self._rdk_argv("produce", port, topic, {**RDK_PRODUCE, "acks": acks},
                                                           p=partitions, s=size, k=keys), records)

    def rdk_consume(self, port, topic, partitions, records):
        return self._rdk("consume", port, topic, p=partitions, n=records)

    def rdk_latency(self, port, topic, records, size, acks):
        return self._rdk("latency", port, topic, {"acks": acks}, n=records, s=size, w=max(200, records // 5))

    # transactions

    def transactions(self, port, topic, partitions, producers, interval_ms, seconds, records=100, size=100, plain=False):
        """Transactions of so many records each; plain: the same records without a transaction."""
        program = build(self.bench_dir, "txn_bench", "rdkafka")
        argv = {"b": f"127.0.0.1:{port}", "t": topic, "p": partitions, "n": records, "s": size, "c": producers, "i": interval_ms, "d": seconds}
        return json.loads(self._run([program, *(str(x) for k, v in argv.items() for x in ("-" + k, v)), *(["-P"] if plain else [])]))

    # TLS

    def handshakes(self, port, seconds):
        """Whole handshakes of one client that does nothing else, by OpenSSL's s_time."""
        out = self._run(["openssl", "s_time", "-connect", f"127.0.0.1:{port}", "-new", "-time", str(seconds)])
        m = re.search(r"(\d+) connections in (\d+) real seconds", out)
        if not m:
            raise BenchError("openssl s_time: " + out[-500:])
        return {"handshakes": int(m.group(1)), "seconds": int(m.group(2))}

    # pre-encoded batches

    def raw_produce(self, port, topic, partitions, records, size, acks, producers=1):
        return self._run_several(producers, [
            self.raw, "produce", "-P", str(port), "-t", topic, "-p", str(partitions), "-s", str(size),
            "-a", acks, "-T", str(self.deadline_s)], records)

    # Java

    def _java(self, tool, *arguments):
        return self._run(["java", "-Xmx512M", "-Xms512M", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
                          "-cp", self.jars + "/*", "org.apache.kafka.tools." + tool, *map(str, arguments)])

    def java_produce(self, port, topic, partitions, records, size, acks):
        properties = {"bootstrap.servers": f"127.0.0.1:{port}", "acks": acks, **JAVA_PRODUCE}
        out = self._java("ProducerPerformance", "--topic", topic, "--num-records", records, "--record-size", size,
                         "--throughput", -1, "--producer-props", *(f"{k}={v}" for k, v in properties.items()))
        last = out.strip().splitlines()[-1]
        m = re.match(r"(\d+) records sent, ([0-9.]+) records/sec", last)
        if not m or int(m.group(1)) != records:
            raise BenchError("ProducerPerformance: " + last)
        return {"records": records, "bytes": records * size, "seconds": records / float(m.group(2))}

    def java_consume(self, port, topic, partitions, records):
        out = self._java("ConsumerPerformance", "--bootstrap-server", f"127.0.0.1:{port}", "--topic", topic,
                         "--messages", records, "--timeout", 60000, "--hide-header")
        fields = [x.strip() for x in out.strip().splitlines()[-1].split(",")]
        # start, end, MB, MB/s, records, records/s, rebalance ms, fetch ms, fetch MB/s, fetch records/s
        if len(fields) < 10 or int(fields[4]) < records:
            raise BenchError("ConsumerPerformance: " + out[-500:])
        return {"records": int(fields[4]), "bytes": round(float(fields[2]) * 1048576),
                "seconds": int(fields[7]) / 1000}
