"""Stands between a client and a PostgreSQL server, and alters what the server answers.

    between = liar.Liar(server)
    ... connection => '%s' % between.connection()
    between.lie(b"FETCH", liar.without_last_column, 2)      # from the second answer to such a query on
    between.be_honest()

What it passes on is as it came, but for the answers to queries with that text.  A lie gets the kind and the body of a message and returns
the messages to send in its place: fake_server.py is for servers of which nothing is true.

Standard library only.  Siblings: cluster.py; fake_server.py.
"""

import socket
import struct
import threading

from fake_server import message

FIXED = 18      # bytes of a column's description behind its name


def _columns(body):
    """The descriptions of the columns in a RowDescription."""
    found, at = [], 2
    while at < len(body):
        end = body.index(b"\0", at) + 1 + FIXED
        found.append(body[at:end])
        at = end
    return found


def _values(body):
    """The values in a DataRow, each with its length."""
    found, at = [], 2
    while at < len(body):
        end = at + 4 + max(struct.unpack_from("!i", body, at)[0], 0)
        found.append(body[at:end])
        at = end
    return found


def _list(kind, parts):
    return message(kind, struct.pack("!H", len(parts)) + b"".join(parts))


def without_last_column(kind, body):
    """The rows have a column less."""
    if kind == b"T":
        return _list(kind, _columns(body)[:-1])
    return _list(kind, _values(body)[:-1]) if kind == b"D" else message(kind, body)


def null_first(kind, body):
    """The first column of each row is null."""
    return _list(kind, [struct.pack("!i", -1)] + _values(body)[1:]) if kind == b"D" else message(kind, body)


def thrice(kind, body):
    """Each row comes three times."""
    return message(kind, body) * (3 if kind == b"D" else 1)


class Liar(threading.Thread):
    """One for a server; each connection is a pair of threads."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server = server
        self.about, self.told, self.first = None, None, 1
        self.lies = 0           # answers that were altered
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.start()

    def connection(self, user="postgres", database="postgres"):
        return "host=127.0.0.1 port=%d user=%s dbname=%s" % (self.port, user, database)

    def lie(self, about, told, first=1):
        """About queries with this text: the first answer that is altered is that to the first-th of a connection."""
        self.lies = 0
        self.about, self.told, self.first = about, told, first

    def be_honest(self):
        self.about = None

    def run(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=Connection(self, client).serve, daemon=True).start()


class Connection:
    """What one client and the server say to each other."""

    def __init__(self, liar, client):
        self.liar = liar
        self.client = client
        self.server = socket.socket(socket.AF_UNIX)
        self.queries = 0        # with the text that is lied about
        self.told = None        # how the answer to the last query is altered

    def serve(self):
        """Until either goes away."""
        try:
            self.server.connect("%s/.s.PGSQL.%d" % (self.liar.server.dir, self.liar.server.port))
            self.greet()
            threading.Thread(target=self.pass_answers, daemon=True).start()
            self.pass_queries()
        except (OSError, struct.error, ValueError):
            pass
        finally:
            self.end()

    def end(self):
        for end in (self.client, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def greet(self):
        """The client's first messages have no kind; those that ask for TLS or GSSAPI are answered by a byte."""
        stream = self.stream = self.client.makefile("rb")
        self.answers = self.server.makefile("rb")
        while True:
            length, code = struct.unpack("!II", stream.read(8))
            self.server.sendall(struct.pack("!II", length, code) + stream.read(length - 8))
            if code >> 16 == 3:
                return
            self.client.sendall(self.answers.read(1))

    def pass_queries(self):
        liar = self.liar
        while True:
            kind, length = struct.unpack("!cI", self.stream.read(5))
            body = self.stream.read(length - 4)
            if kind == b"Q":
                about = liar.about is not None and liar.about in body
                self.queries += about
                self.told = liar.told if about and self.queries >= liar.first else None
                liar.lies += self.told is not None
            self.server.sendall(kind + struct.pack("!I", length) + body)

    def pass_answers(self):
        try:
            while True:
                kind, length = struct.unpack("!cI", self.answers.read(5))
                body = self.answers.read(length - 4)
                told = self.told
                self.client.sendall(told(kind, body) if told and kind in b"TD" else message(kind, body))
        except (OSError, struct.error, ValueError):
            self.end()
