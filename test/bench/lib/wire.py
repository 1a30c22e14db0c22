"""Just enough of the Kafka protocol, by hand, to ask a broker two questions without a client library:
what it speaks (ApiVersions v0) and where a topic is (Metadata v4); and where the whole
batches of an answer end."""
import socket
import struct
import time

METADATA = 3
FIND_COORDINATOR = 10
JOIN_GROUP = 11
API_VERSIONS = 18


def _string(text):
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def _call(port, api, version, body, timeout_s=5.0):
    """One request, one response: the bytes after the correlation id.  Raises OSError."""
    request = struct.pack(">hhi", api, version, 1) + _string("bench") + body
    with socket.create_connection(("127.0.0.1", port), timeout_s) as s:
        s.sendall(struct.pack(">i", len(request)) + request)
        data = b""
        while len(data) < 4 or len(data) < 4 + struct.unpack(">i", data[:4])[0]:
            chunk = s.recv(65536)
            if not chunk:
                raise OSError("connection closed by the server")
            data += chunk
    return data[8:]


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, code):
        (value,) = struct.unpack_from(">" + code, self.data, self.at)
        self.at += struct.calcsize(">" + code)
        return value

    def string(self):
        n = max(self.take("h"), 0)
        self.at += n
        return self.data[self.at - n:self.at].decode()


def api_versions(port):
    """{api key: (lowest, highest version)}"""
    r = _Reader(_call(port, API_VERSIONS, 0, b""))
    if r.take("h") != 0:
        raise OSError("ApiVersions answered with an error")
    return {key: (low, high) for key, low, high in
            ((r.take("h"), r.take("h"), r.take("h")) for _ in range(r.take("i")))}


def topic_leaders(port, topic):
    """Number of partitions of the topic that have a leader; 0 when it is not there."""
    r = _Reader(_call(port, METADATA, 4, struct.pack(">i", 1) + _string(topic) + b"\0"))
    r.take("i")                                 # throttle time
    for _ in range(r.take("i")):                # brokers
        r.take("i")
        r.string()
        r.take("i")
        r.string()
    r.string()                                  # cluster id
    r.take("i")                                 # controller
    leaders = 0
    for _ in range(r.take("i")):
        error = r.take("h")
        r.string()
        r.take("b")
        for _ in range(r.take("i")):
            partition_error, _, leader = r.take("h"), r.take("i"), r.take("i")
            for _ in range(2):                  # replicas, in sync
                for _ in range(r.take("i")):
                    r.take("i")
            if error == 0 and partition_error == 0 and leader >= 0:
                leaders += 1
    return leaders


def wait_until(question, alive, timeout_s, pause_s=0.005):
    """Asks until the answer is true; gives the seconds it took, None when time or server ran out."""
    start = time.monotonic()
    while time.monotonic() - start < timeout_s:
        try:
            if question():
                return time.monotonic() - start
        except (OSError, struct.error):
            pass
        if not alive():
            return None
        time.sleep(pause_s)
    return None


def whole_batches(data, offset):
    """How many bytes of data are whole batches, and the offset behind them."""
    pos = 0
    while pos + 61 <= len(data):
        base, length = struct.unpack_from(">qi", data, pos)
        if pos + 12 + length > len(data):
            break
        offset = base + struct.unpack_from(">i", data, pos + 23)[0] + 1
        pos += 12 + length
    return pos, offset
