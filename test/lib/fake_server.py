"""A server that is none: it lets everybody in, and answers each query with what the test says.

Siblings: cluster.py, the servers that are some.
"""

import socket
import struct
import threading

PROTOCOL = 3 << 16


def message(kind, body=b""):
    return kind + struct.pack("!I", len(body) + 4) + body


READY = message(b"Z", b"I")


class FakeServer(threading.Thread):
    """Queries but SET are answered by a description of some columns of text and, unless row is None, that row; None in it is null.
    error: they are answered by an error of this text instead."""

    def __init__(self, columns, row, error=None):
        super().__init__(daemon=True)
        self.columns = columns
        self.error = error
        self.row = row
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def connection(self):
        return "host=127.0.0.1 port=%d user=nobody dbname=nowhere" % self.port

    def run(self):
        while True:
            client, _ = self.listener.accept()
            with client:
                try:
                    self.serve(client, client.makefile("rb"))
                except (OSError, struct.error):
                    pass    # it has gone away

    def answer(self, query):
        if query.startswith(b"SET"):
            return message(b"C", b"SET\0") + READY
        if self.error is not None:
            return message(b"E", b"SERROR\0C22000\0M" + self.error + b"\0\0") + READY
        column = b"x\0" + struct.pack("!IhIhih", 0, 0, 25, -1, -1, 0)
        answer = message(b"T", struct.pack("!H", self.columns) + column * self.columns)
        if self.row is not None:
            values = [struct.pack("!i", -1) if v is None else struct.pack("!i", len(v)) + v for v in self.row]
            answer += message(b"D", struct.pack("!H", len(values)) + b"".join(values))
        return answer + message(b"C", b"SELECT 1\0") + READY

    def serve(self, client, stream):
        while True:
            length, code = struct.unpack("!II", stream.read(8))
            stream.read(length - 8)
            if code == PROTOCOL:
                break
            client.sendall(b"N")    # neither TLS nor GSSAPI
        client.sendall(message(b"R", struct.pack("!I", 0)) + message(b"S", b"server_version\x0015.0\0") +
                       message(b"S", b"client_encoding\0UTF8\0") + READY)
        while True:
            kind, length = struct.unpack("!cI", stream.read(5))
            body = stream.read(length - 4)
            if kind == b"Q":
                client.sendall(self.answer(body))
            elif kind == b"X":
                return
