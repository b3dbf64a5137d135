# SPDX-License-Identifier: ISC
"""The control socket of a reeved, and reevectl as a process."""

import json
import os
import socket
import subprocess

from daemon import TOP

REEVECTL = os.environ.get("REEVECTL") or os.path.join(TOP, "build", "release", "reevectl")


def connect(path, timeout_s=10.0):
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.settimeout(timeout_s)
    link.connect(path)
    return link


def read_to_end(link):
    data = b""
    while True:
        try:
            piece = link.recv(65536)
        except ConnectionResetError:     # closed with our question unread: there are too many
            piece = b""
        if not piece:
            return data
        data += piece


class Control:
    def __init__(self, reeved):
        self.path = os.path.join(reeved.root, "control.sock")

    def raw(self, data):
        """What comes back to these bytes until the daemon closes."""
        with connect(self.path) as link:
            try:
                link.sendall(data)
            except BrokenPipeError:
                pass
            return read_to_end(link)

    def ask(self, command, fields=()):
        """fields: (name, value) pairs of text or bytes. The answer as a dict."""
        data = b"reeve=1\ncommand=" + command.encode() + b"\n"
        for name, value in fields:
            data += name.encode() + b"=" + (value if isinstance(value, bytes) else str(value).encode()) + b"\n"
        answer = self.raw(data + b"\n")
        assert answer.endswith(b"\n") and answer.count(b"\n") == 1, answer[-200:]
        return json.loads(answer.decode("utf-8"))

    def explain(self, request):
        """The bytes of a policy request."""
        lines = [line.split(b"=", 1) for line in request.split(b"\n") if b"=" in line]
        return self.ask("explain", [("attr." + name.decode("ascii"), value) for name, value in lines])

    def ctl(self, *words, stdin=b""):
        """reevectl with these words: a finished process, its output as text."""
        done = subprocess.run([REEVECTL, "--socket", self.path, *words], input=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60, check=False)
        done.out, done.err = done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
        return done
