# SPDX-License-Identifier: ISC
"""A redis-server of a test's own, a client that speaks to it, and the scripts of daemon/store/redis."""

import os
import re
import shutil
import signal

from policy import connect
from waiting import Child, PrivateDir, free_port, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = os.path.normpath(os.path.join(HERE, "..", "..", "daemon", "store", "redis"))


class RedisError(Exception):
    """What Redis answered with '-'."""


class Redis:
    """One connection, to a port of this host or to the path of a unix socket. `redis("GET", "key")` asks and waits;
    `send` and `reply` do one of both."""

    def __init__(self, address, timeout_s=10.0):
        self.link = connect(address, timeout_s)
        self.rest = b""

    @staticmethod
    def encode(words):
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)

    def send(self, *words):
        self.link.sendall(self.encode(words))

    def _more(self):
        block = self.link.recv(65536)
        if not block:
            raise ConnectionError("redis closed the connection")
        self.rest += block

    def _line(self):
        while b"\r\n" not in self.rest:
            self._more()
        line, self.rest = self.rest.split(b"\r\n", 1)
        return line

    def _value(self):
        line = self._line()
        kind, text = line[:1], line[1:]
        if kind == b"+":
            return text
        if kind == b"-":
            return RedisError(text.decode())
        if kind == b":":
            return int(text)
        if int(text) < 0:
            return None
        if kind == b"*":
            return [self._value() for _ in range(int(text))]
        while len(self.rest) < int(text) + 2:
            self._more()
        value, self.rest = self.rest[:int(text)], self.rest[int(text) + 2:]
        return value

    def reply(self):
        value = self._value()
        if isinstance(value, RedisError):
            raise value
        return value

    def __call__(self, *words):
        self.send(*words)
        return self.reply()

    def many(self, commands):
        """All in one write; the replies, errors among them as values."""
        self.link.sendall(b"".join(self.encode(words) for words in commands))
        return [self._value() for _ in commands]

    def close(self):
        self.link.close()


class RedisServer:
    """Keeps nothing on disk unless told so. `options` goes to the command line; spawn: how its process is made."""

    def __init__(self, *options, port=None, host="127.0.0.1", spawn=Child):
        self.port = port or free_port()
        self.host, self.spawn = host, spawn
        self.options = options
        self._own = PrivateDir()
        self.socket = os.path.join(self._own.path, "sock")
        self.child = None

    def start(self):
        self.child = self.spawn(["redis-server", "--port", str(self.port), "--bind", self.host, "--unixsocket", self.socket,
                                 "--protected-mode", "no", "--save", "", "--dir", self._own.path,
                                 "--repl-diskless-sync-delay", "0", *self.options])
        wait_for("redis-server answers", self._answers)
        return self

    def _answers(self):
        if not self.child.running():
            raise AssertionError("redis-server ended:\n" + self.child.text())
        try:
            link = Redis(self.socket, 1)
            try:
                return link("PING") == b"PONG"
            finally:
                link.close()
        except RedisError as why:
            return str(why).startswith("NOAUTH")
        except OSError:
            return False

    def client(self, timeout_s=10.0):
        return Redis(self.socket, timeout_s)

    def signal(self, number):
        self.child.signal(number)

    def kill(self):
        """SIGKILL; what was in memory is gone."""
        self.child.signal(signal.SIGKILL)
        self.child.wait()
        self.child.end()
        self.child = None

    def close(self):
        try:
            if self.child:
                self.child.signal(signal.SIGCONT)
                self.child.end()
        finally:
            self._own.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()


def have_redis():
    return shutil.which("redis-server") is not None


def scripts(fenced=True):
    """Every script's text by name, put together as daemon/store/redis/scripts.c does."""
    with open(os.path.join(SOURCES, "scripts.c"), encoding="utf-8") as file:
        source = file.read()
    defined = re.findall(r"#define FENCED (.*)", source)
    out = {}
    for name, parts in re.findall(r"\[SCRIPT_(\w+)\] = \{(.*?)\},", source):
        parts = parts.replace("FENCED", defined[1] if fenced else defined[0])
        out[name.lower()] = "".join(part(name) for name in re.findall(r"P\((\w+)\)", parts))
    return out


def part(name):
    with open(os.path.join(SOURCES, "scripts", name + ".lua"), encoding="utf-8") as file:
        return file.read()
