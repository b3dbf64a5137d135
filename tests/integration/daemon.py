# SPDX-License-Identifier: ISC
"""reeved itself: started with a configuration given as text, watched, signalled, killed, started again.

The configuration's `listen`, `control`, `store` and `dns` are replaced, so that a test can use the packaged files as
they are: sockets and store stand below the test's own directory, and the resolver is the stub.
"""

import grp
import os
import re
import shutil
import signal

from policy import Policy, request
from waiting import Child, PrivateDir, can_connect, free_port, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.normpath(os.path.join(HERE, "..", ".."))
REEVED = os.environ.get("REEVED") or os.path.join(TOP, "build", "release", "reeved")

PAIR = re.compile(r'([A-Za-z_][A-Za-z0-9_.-]*)=("(?:[^"\\]|\\.)*"|\S*)')


def parse_log(line):
    """A log line as a dict of its key=value pairs; the whole line under "line"."""
    out = {"line": line}
    for key, value in PAIR.findall(line):
        out.setdefault(key, value[1:-1] if value[:1] == '"' else value)
    return out


def packaged_config(name):
    with open(os.path.join(TOP, "config", name), encoding="utf-8") as file:
        return file.read()


def without_section(text, name):
    """Drops a top-level key with all that belongs to it."""
    return re.sub(r"(?m)^%s:.*\n?(?:[ \t]+.*\n?|[ \t]*#.*\n?|-.*\n?|\s*\n)*" % re.escape(name), "", text)


def may_give_to_postfix():
    """Only root can, and only where Postfix is installed; without both the test needs no Postfix either."""
    try:
        return os.geteuid() == 0 and bool(grp.getgrnam("postfix"))
    except KeyError:
        return False


class Reeved:
    """text: the configuration. dns: a DnsStub, or None for a resolver that nobody answers at.

    memory: keep everything in memory (no store on disk). dns_extra: further keys of `dns`, as in "timeout: 200ms".
    A subclass whose process is on another host of a network of its own says so with `far`, and makes it with `spawn`:
    it is reached by its unix sockets alone.
    """

    program = REEVED
    far = False
    spawn = staticmethod(Child)

    def __init__(self, text, root=None, socket_path=None, dns=None, dns_extra="", memory=False, port=None):
        self._own = None if root else PrivateDir()
        self.root = root or self._own.path
        self.socket_path = socket_path or os.path.join(self.root, "policy.sock")
        self.port = port or free_port()
        self.store = os.path.join(self.root, "store")
        self.config = os.path.join(self.root, "reeve.yaml")
        self.memory = memory
        self.dns_port = dns.port if dns else free_port()
        self.dns_extra = dns_extra
        self.child = None
        self._earlier = ""
        self.write(text)

    def write(self, text):
        """Puts another configuration in place; `start` or `reload` makes it count."""
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(self.complete(text))

    def complete(self, text):
        for section in ("listen", "control", "store", "dns"):
            text = without_section(text, section)
        return text.rstrip("\n") + """
listen:
  - inet:127.0.0.1:%d
  - { address: "unix:%s", mode: "0660"%s }
control: unix:%s/control.sock
store:
  url: "embedded:%s"
dns:
  servers: ["127.0.0.1:%d"]
%s""" % (self.port, self.socket_path, ", group: postfix" if may_give_to_postfix() else "", self.root, "" if self.memory else self.store, self.dns_port,
         "".join("  %s\n" % line for line in self.dns_extra.splitlines()))

    @property
    def pid(self):
        return self.child.pid

    def start(self):
        self.child = self.spawn([self.program, "-c", self.config])
        try:
            wait_for(lambda: "reeved answers:\n" + self.child.text(), self._answers, 10)
        except BaseException:
            self.child.end()
            self.child = None
            raise
        return self

    def _answers(self):
        if not self.child.running():
            raise AssertionError("reeved ended with %d:\n%s" % (self.child.process.returncode, self.child.text()))
        if not all(can_connect(address) for address in {self.address, self.socket_path}):
            return False
        with self.connect() as link:
            # VRFY never counts anything.
            return link.ask(request(protocol_state="VRFY", client_address="127.0.0.1", sender="", instance=""))

    def ask(self, data, by_unix=False):
        """One request on a connection of its own: the action."""
        with self.connect(by_unix) as link:
            return link.ask(data)

    @property
    def address(self):
        """Where a client asks: a port of this host, or a path."""
        return self.socket_path if self.far else self.port

    def connect(self, by_unix=False):
        return Policy(self.socket_path if by_unix else self.address)

    # The log.

    def text(self):
        return self._earlier + (self.child.text() if self.child else "")

    def log(self, pattern=""):
        """The lines, as dicts, that match a regular expression."""
        return [parse_log(line) for line in self.text().splitlines() if re.search(pattern, line)]

    def wait_log(self, pattern, number=1, timeout_s=10.0):
        return wait_for(lambda: "%d x %r in the log:\n%s" % (number, pattern, self.text()[-3000:]),
                        lambda: len(self.log(pattern)) >= number and self.log(pattern), timeout_s)

    # Ends and beginnings.

    def term(self):
        """SIGTERM; the exit code."""
        return self._end(signal.SIGTERM)

    def kill(self):
        """SIGKILL, as a crash."""
        return self._end(signal.SIGKILL)

    def _end(self, number):
        self.child.signal(number)
        return self.ended()

    def ended(self):
        """Waits for an end that was asked for already; the exit code."""
        code = self.child.wait()
        self._earlier += self.child.text()
        self.child.end()
        self.child = None
        return code

    def restart(self, how="term"):
        getattr(self, how)()
        return self.start()

    def fresh(self, text):
        """Ends, forgets the store, starts again with this configuration and an empty log."""
        self.stop()
        shutil.rmtree(self.store, ignore_errors=True)
        self._earlier = ""
        self.write(text)
        return self.start()

    def reload(self, text=None):
        """SIGHUP after the new text stands in the file. What comes of it shows in the log."""
        if text is not None:
            self.write(text)
        self.child.signal(signal.SIGHUP)

    def stop(self):
        """Ends it whatever it does. A daemon that has ended by itself, or that a sanitizer complains of, fails the test."""
        if not self.child:
            return
        alone = not self.child.running()
        self.child.end()
        self._earlier += self.child.text()
        self.child = None
        if alone or re.search(r"Sanitizer|runtime error:", self._earlier):
            raise AssertionError("reeved ended by itself, or badly:\n" + self._earlier[-6000:])

    def close(self):
        try:
            self.stop()
        finally:
            if self._own:
                self._own.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()
