"""A Kafka client made of the protocol's own description.

Reads the message specs (JSON) out of the kafka-clients jar that
test/clients/install has brought, and encodes requests and decodes responses
of any API in any version by them.  So it shares nothing with our own schema
tables, and can say what a real client would not: odd versions, wrong values.

    client = Client("127.0.0.1:9092")
    answer = client.call("Metadata", 9, {"Topics": None})

Requests and responses are dicts by the specs' field names; what a request
leaves out has its default.  Record batches: see Batch and read_batches.
"""

import glob
import gzip
import io
import json
import os
import re
import socket
import struct
import uuid
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
LIBS = os.path.join(HERE, "build", "java", "libs")      # where the kafka-clients jar is


class ProtocolError(Exception):
    """A response that does not fit its spec."""


# --- the specs

def _versions(text, top=32767):
    """"3+", "0-4", "2", "none" as a (first, last) pair."""
    if text in (None, "none"):
        return (1, 0)
    if text.endswith("+"):
        return (int(text[:-1]), top)
    if "-" in text:
        first, last = text.split("-")
        return (int(first), int(last))
    return (int(text), int(text))


def _within(version, span):
    return span[0] <= version <= span[1]


class Field:
    """One field of a message: its type, and in which versions it is what."""

    def __init__(self, spec, structs, flexible):
        self.name = spec["name"]
        self.type = spec["type"]
        self.versions = _versions(spec.get("versions", "0+"))
        self.nullable = _versions(spec.get("nullableVersions"))
        self.flexible = _versions(spec["flexibleVersions"]) if "flexibleVersions" in spec else flexible
        self.tag = spec.get("tag")
        self.tagged = _versions(spec.get("taggedVersions"))
        self.default = spec.get("default")
        self.element = self.type[2:] if self.type.startswith("[]") else None
        inner = self.element or self.type
        if "fields" in spec:
            self.fields = [Field(f, structs, flexible) for f in spec.get("fields", [])]
        elif inner in structs:
            self.fields = [Field(f, structs, flexible) for f in structs[inner]]
        else:
            self.fields = None

    def is_tagged(self, version):
        return self.tag is not None and _within(version, self.tagged)

    def default_value(self):
        if self.default == "null":
            return None
        if self.element is not None:
            return []
        if self.fields is not None:
            return {}
        if self.type == "string":
            return self.default or ""
        if self.type in ("bytes", "records"):
            return b""
        if self.type == "uuid":
            return uuid.UUID(int=0)
        if self.type == "bool":
            return self.default in (True, "true")
        return int(str(self.default or "0"), 0)


class Message:
    """A request or response of one API, all versions."""

    def __init__(self, spec):
        self.key = spec.get("apiKey")
        self.name = spec["name"]
        self.valid = _versions(spec["validVersions"])
        self.flexible = _versions(spec.get("flexibleVersions", "none"))
        structs = {s["name"]: s["fields"] for s in spec.get("commonStructs", [])}
        self.fields = [Field(f, structs, self.flexible) for f in spec.get("fields", [])]

    def is_flexible(self, version):
        return _within(version, self.flexible)


_messages = {}


def message(name):
    """By name: "ProduceRequest"."""
    if not _messages:
        jars = glob.glob(os.path.join(LIBS, "kafka-clients-*.jar"))
        if not jars:
            raise RuntimeError("no kafka-clients jar; run test/clients/install")
        with zipfile.ZipFile(jars[0]) as jar:
            for path in jar.namelist():
                if path.startswith("common/message/") and path.endswith(".json"):
                    text = re.sub(r"^\s*//.*$|\s//\s.*$", "", jar.read(path).decode(), flags=re.M)
                    spec = json.loads(text)
                    if spec["type"] in ("request", "response", "header", "data"):
                        _messages[spec["name"]] = Message(spec)
    return _messages[name]


# --- encoding

INTS = {"int8": ">b", "int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q", "float64": ">d"}


def uvarint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def varint(n):
    """Zigzag, as in records."""
    return uvarint((n << 1) ^ (n >> 63) if n >= 0 else ((-n) << 1) - 1)


def _length(n, flexible, wide):
    """The length before a string, bytes or array; None: null."""
    if flexible:
        return uvarint(0 if n is None else n + 1)
    return struct.pack(">i" if wide else ">h", -1 if n is None else n)


def _encode_value(field, kind, value, version, flexible):
    if kind in INTS:
        return struct.pack(INTS[kind], value)
    if kind == "bool":
        return b"\x01" if value else b"\x00"
    if kind == "uuid":
        return value.bytes if isinstance(value, uuid.UUID) else bytes(value)
    if kind == "string":
        data = None if value is None else value.encode() if isinstance(value, str) else value
        return _length(None if data is None else len(data), flexible, False) + (data or b"")
    if kind in ("bytes", "records"):
        return _length(None if value is None else len(value), flexible, True) + (value or b"")
    return encode_struct(field.fields, value, version, flexible)


def _encode_field(field, value, version, flexible):
    if field.element is not None:
        if value is None:
            return _length(None, flexible, True)
        return _length(len(value), flexible, True) + b"".join(
            _encode_value(field, field.element, v, version, flexible) for v in value)
    if field.fields is not None and field.nullable[0] <= field.nullable[1] and _within(version, field.nullable):
        return b"\xff" if value is None else b"\x01" + encode_struct(field.fields, value, version, flexible)
    return _encode_value(field, field.type, value, version, flexible and _within(version, field.flexible))


def encode_struct(fields, values, version, flexible):
    known = {f.name for f in fields}
    unknown = set(values) - known
    if unknown:
        raise KeyError("no such field: %s" % ", ".join(sorted(unknown)))
    out, tagged = [], []
    for field in fields:
        if not _within(version, field.versions):
            continue
        value = values[field.name] if field.name in values else field.default_value()
        if field.is_tagged(version):
            if field.name in values:
                tagged.append((field.tag, _encode_field(field, value, version, flexible)))
        else:
            out.append(_encode_field(field, value, version, flexible))
    if flexible:
        out.append(uvarint(len(tagged)))
        for tag, data in sorted(tagged):
            out.append(uvarint(tag) + uvarint(len(data)) + data)
    return b"".join(out)


# --- decoding

class Reader:
    def __init__(self, data):
        self.data = data
        self.pos = 0

    def take(self, n):
        if n < 0 or self.pos + n > len(self.data):
            raise ProtocolError("%d bytes wanted at %d of %d" % (n, self.pos, len(self.data)))
        self.pos += n
        return self.data[self.pos - n:self.pos]

    def number(self, code):
        return struct.unpack(code, self.take(struct.calcsize(code)))[0]

    def uvarint(self):
        n = shift = 0
        while True:
            byte = self.take(1)[0]
            n |= (byte & 0x7F) << shift
            if byte < 0x80:
                return n
            shift += 7

    def varint(self):
        n = self.uvarint()
        return (n >> 1) ^ -(n & 1)

    def length(self, flexible, wide):
        if flexible:
            return self.uvarint() - 1
        return self.number(">i" if wide else ">h")

    def left(self):
        return len(self.data) - self.pos


def _decode_value(r, field, kind, version, flexible):
    if kind in INTS:
        return r.number(INTS[kind])
    if kind == "bool":
        return r.take(1) != b"\x00"
    if kind == "uuid":
        return uuid.UUID(bytes=bytes(r.take(16)))
    if kind in ("string", "bytes", "records"):
        n = r.length(flexible, kind != "string")
        if n < 0:
            if not _within(version, field.nullable):
                raise ProtocolError("%s is null in version %d" % (field.name, version))
            return None
        data = bytes(r.take(n))
        return data.decode() if kind == "string" else data
    return decode_struct(r, field.fields, version, flexible)


def _decode_field(r, field, version, flexible):
    if field.element is not None:
        n = r.length(flexible, True)
        if n < 0:
            if not _within(version, field.nullable):
                raise ProtocolError("%s is null in version %d" % (field.name, version))
            return None
        if n > r.left():
            raise ProtocolError("%s: %d elements in %d bytes" % (field.name, n, r.left()))
        return [_decode_value(r, field, field.element, version, flexible) for _ in range(n)]
    if field.fields is not None and _within(version, field.nullable):
        return None if r.number(">b") < 0 else decode_struct(r, field.fields, version, flexible)
    return _decode_value(r, field, field.type, version, flexible and _within(version, field.flexible))


def decode_struct(r, fields, version, flexible):
    values = {}
    tagged = {}
    for field in fields:
        if not _within(version, field.versions):
            continue
        values[field.name] = field.default_value()
        if field.is_tagged(version):
            tagged[field.tag] = field
        else:
            values[field.name] = _decode_field(r, field, version, flexible)
    if flexible:
        for _ in range(r.uvarint()):
            tag, size = r.uvarint(), r.uvarint()
            part = Reader(r.take(size))
            if tag in tagged:
                values[tagged[tag].name] = _decode_field(part, tagged[tag], version, flexible)
                if part.left():
                    raise ProtocolError("%s: %d bytes too many" % (tagged[tag].name, part.left()))
    return values


# --- record batches

def _crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ 0x82F63B78 if n & 1 else n >> 1
        table.append(n)
    return table


_CRC = _crc_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


class Batch:
    """A record batch to send.  records: (key, value) or (key, value, headers) or (key, value, headers, timestamp)."""

    def __init__(self, records, timestamp=1700000000000, producer_id=-1, producer_epoch=-1, base_sequence=-1,
                 attributes=0, **wrong):
        self.records = [tuple(r) + (None,) * (4 - len(r)) for r in records]
        self.timestamp = timestamp
        self.producer = (producer_id, producer_epoch, base_sequence)
        self.attributes = attributes
        # fields to falsify: crc, count, last_offset_delta, magic, length, body, body_compressed
        self.wrong = wrong

    def _record(self, delta, record):
        key, value, headers, timestamp = record
        body = b"\x00" + varint((timestamp or self.timestamp) - self.timestamp) + varint(delta)
        for part in (key, value):
            part = part.encode() if isinstance(part, str) else part
            body += varint(-1) if part is None else varint(len(part)) + part
        headers = headers or []
        body += varint(len(headers))
        for name, value in headers:
            body += varint(len(name)) + name.encode()
            body += varint(-1) if value is None else varint(len(value)) + value
        return varint(len(body)) + body

    def encode(self):
        body = b"".join(self._record(i, r) for i, r in enumerate(self.records))
        body = self.wrong.get("body", body)
        if self.attributes & 7 == 1:
            body = self.wrong.get("body_compressed") or gzip.compress(body)
        count = self.wrong.get("count", len(self.records))
        last = self.wrong.get("last_offset_delta", len(self.records) - 1)
        latest = self.wrong.get("latest", max([r[3] or self.timestamp for r in self.records] or [self.timestamp]))
        tail = struct.pack(">hiqqqhii", self.attributes, last, self.timestamp, latest, *self.producer, count) + body
        crc = self.wrong.get("crc", crc32c(tail))
        length = self.wrong.get("length", 9 + len(tail))
        return struct.pack(">qiibI", 0, length, -1, self.wrong.get("magic", 2), crc) + tail


def read_batches(data):
    """(offset, timestamp, key, value, headers) of each record; None's or gzip's codec only.
    Checks the CRC of each whole batch; a last one that is cut off is left out."""
    found = []
    pos = 0
    while data and pos + 61 <= len(data):
        base, length, _, magic, crc = struct.unpack_from(">qiibI", data, pos)
        if magic != 2:
            raise ProtocolError("magic %d" % magic)
        if pos + 12 + length > len(data):
            break
        tail = data[pos + 21:pos + 12 + length]
        if crc32c(tail) != crc:
            raise ProtocolError("wrong CRC at offset %d" % base)
        attributes, last, first_time, max_time, _, _, _, count = struct.unpack_from(">hiqqqhii", tail)
        body = tail[40:]
        if attributes & 7 == 1:
            body = gzip.GzipFile(fileobj=io.BytesIO(body)).read()
        elif attributes & 7:
            raise ProtocolError("codec %d is not one that this reads" % (attributes & 7))
        r = Reader(body)
        for _ in range(count):
            part = Reader(r.take(r.varint()))
            part.take(1)
            time = first_time + part.varint()
            offset = base + part.varint()
            key, value = (part.take(n) if n >= 0 else None for n in iter_lengths(part))
            headers = []
            for _ in range(part.varint()):
                name = bytes(part.take(part.varint())).decode()
                n = part.varint()
                headers.append((name, bytes(part.take(n)) if n >= 0 else None))
            found.append((offset, max_time if attributes & 8 else time, key and bytes(key) if key is not None else None,
                          bytes(value) if value is not None else None, headers))
        del last
        pos += 12 + length
    return found


def iter_lengths(reader):
    """The lengths of key and value, each read when its turn comes."""
    yield reader.varint()
    yield reader.varint()


# --- a connection

class Client:
    def __init__(self, bootstrap, timeout=30, client_id="raw", tls=None):
        """tls: an ssl.SSLContext."""
        host, port = bootstrap.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname=host)
        self.client_id = client_id
        self.correlation = 0

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def request_bytes(self, api, version, body=None, key=None):
        """A whole request frame without its length word."""
        request = message(api + "Request")
        flexible = request.is_flexible(version)
        self.correlation += 1
        head = struct.pack(">hhi", request.key if key is None else key, version, self.correlation)
        head += _length(len(self.client_id), False, False) + self.client_id.encode()
        if flexible:
            head += b"\x00"
        return head + encode_struct(request.fields, body or {}, version, flexible)

    def send_frame(self, frame):
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)

    def receive_exactly(self, n):
        data = bytearray()
        while len(data) < n:
            part = self.socket.recv(n - len(data))
            if not part:
                raise ConnectionError("closed after %d of %d bytes" % (len(data), n))
            data += part
        return bytes(data)

    def receive_frame(self):
        return self.receive_exactly(struct.unpack(">i", self.receive_exactly(4))[0])

    def send(self, api, version, body=None):
        self.send_frame(self.request_bytes(api, version, body))
        return self.correlation

    def receive(self, api, version, correlation=None):
        """The response, which must use up its frame to the last byte."""
        response = message(api + "Response")
        flexible = response.is_flexible(version)
        r = Reader(self.receive_frame())
        got = r.number(">i")
        if correlation is not None and got != correlation:
            raise ProtocolError("response %d to request %d" % (got, correlation))
        if flexible and api != "ApiVersions":
            for _ in range(r.uvarint()):
                r.uvarint()
                r.take(r.uvarint())
        values = decode_struct(r, response.fields, version, flexible)
        if r.left():
            raise ProtocolError("%s v%d: %d bytes too many" % (api, version, r.left()))
        return values

    def call(self, api, version, body=None):
        return self.receive(api, version, self.send(api, version, body))
