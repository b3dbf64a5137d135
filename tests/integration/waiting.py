# SPDX-License-Identifier: ISC
"""Waiting, free ports, private directories and child processes for the integration tests.

Nothing here sleeps for a fixed time: `wait_for` asks again until the answer is yes or the time is up. Every
process is started in a session of its own and ended by its number, whatever the test did.
"""

import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

POLL_S = 0.01


def skip(why):
    """Ends the program: it cannot run here. Says so at once, and again at the end of a run (run-integration.sh)."""
    print("skipped:", why)
    note = os.environ.get("REEVE_SKIPPED")
    if note:
        with open(note, "a", encoding="utf-8") as file:
            file.write("%s: %s\n" % (os.path.basename(sys.argv[0]), why))
    sys.exit(77)


class NotInTime(AssertionError):
    """What a test waited for did not happen within its bound."""


def wait_for(what, probe, timeout_s=10.0):
    """Calls `probe` until it returns something true, and returns that. `what` may be a function that makes the text."""
    end = time.monotonic() + timeout_s
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() >= end:
            raise NotInTime("not within %g s: %s" % (timeout_s, what() if callable(what) else what))
        time.sleep(POLL_S)


def let_pass(seconds):
    """For tests about the passing of time itself (a store that is written once a second)."""
    end = time.monotonic() + seconds
    wait_for("the clock", lambda: time.monotonic() >= end, seconds + 5)


def free_port(kind=socket.SOCK_STREAM, host="127.0.0.1"):
    """A port that was free a moment ago, above the range that outgoing connections are given."""
    for _ in range(200):
        port = 61000 + int.from_bytes(os.urandom(2), "big") % 4500
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((host, port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")


def can_connect(address):
    """address: a port on 127.0.0.1, or the path of a unix socket."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(address if isinstance(address, str) else ("127.0.0.1", address))
            return True
        except OSError:
            return False


class PrivateDir:
    """A directory that user postfix can enter, removed at the end (kept with KEEP=1 in the environment)."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="reeve-it-", dir="/tmp")
        os.chmod(self.path, 0o755)

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        self.close()

    def close(self):
        if os.environ.get("KEEP"):
            print("kept:", self.path)
        else:
            shutil.rmtree(self.path, ignore_errors=True)


class Child:
    """One process in its own session. Its output is read all the time, so that it never blocks on us."""

    def __init__(self, argv, env=None, cwd=None):
        self.argv = argv
        self._text = bytearray()
        self._lock = threading.Lock()
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=env, cwd=cwd, start_new_session=True)
        self.pid = self.process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        pipe = self.process.stdout
        while True:
            ready, _, _ = select.select([pipe], [], [], 0.2)
            if ready:
                piece = os.read(pipe.fileno(), 65536)
                if not piece:
                    return
                with self._lock:
                    self._text += piece
            elif self.process.poll() is not None:
                return

    def text(self):
        with self._lock:
            return self._text.decode("utf-8", "backslashreplace")

    def running(self):
        return self.process.poll() is None

    def signal(self, number):
        if self.running():
            os.kill(self.pid, number)

    def wait(self, timeout_s=10.0):
        """The exit code (negative: the signal), after all output has been read."""
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise NotInTime("%s (pid %d) did not end within %g s" % (self.argv[0], self.pid, timeout_s)) from None
        self._reader.join(2)
        return code

    def end(self, grace_s=5.0):
        """TERM, then KILL for it and for what it has started in its session."""
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(grace_s)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(5)
        self._reader.join(2)
        self.process.stdout.close()
