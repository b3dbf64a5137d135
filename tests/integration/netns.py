# SPDX-License-Identifier: ISC
"""A network of a test's own: hosts that are network namespaces, each on a cable to one switch. A cable can be pulled.

Nothing of it is in the machine's own network; programs reach each other by address, and the test reaches them by
their unix sockets, which know no namespaces. All is removed by close(), and by nothing else.
"""

import os
import shutil
import subprocess

from waiting import Child

NETWORK = "10.177.19"


def why_not():
    """Why there can be no such network here; None: there can."""
    if os.geteuid() != 0:
        return "not run by root, who alone can make network namespaces"
    if not shutil.which("ip"):
        return "no ip (Debian: iproute2)"
    name = "reeve-probe-%d" % os.getpid()
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        made = subprocess.run(["ip", "-n", name, "link", "add", "probe", "type", "bridge"],
                              capture_output=True, text=True, check=False)
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        if made.returncode == 0:
            return None
        done = made
    return "no network namespaces here: %s" % done.stderr.strip().splitlines()[-1]


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError("ip %s: %s" % (" ".join(words), done.stderr))


class Network:
    """`count` hosts; host i has the address address(i)."""

    def __init__(self, count):
        self.tag = "reeve-%d" % os.getpid()
        self.switch = self.tag + "-switch"
        self.made = []
        try:
            self._space(self.switch)
            ip("-n", self.switch, "link", "add", "switch", "type", "bridge")
            ip("-n", self.switch, "link", "set", "switch", "up")
            for i in range(count):
                self._host(i)
        except BaseException:
            self.close()
            raise

    def _space(self, name):
        ip("netns", "add", name)
        self.made.append(name)
        ip("-n", name, "link", "set", "lo", "up")

    def _host(self, i):
        self._space(self.host(i))
        ip("-n", self.switch, "link", "add", self.cable(i), "type", "veth", "peer", "name", "eth", "netns", self.host(i))
        ip("-n", self.switch, "link", "set", self.cable(i), "master", "switch", "up")
        ip("-n", self.host(i), "address", "add", self.address(i) + "/24", "dev", "eth")
        ip("-n", self.host(i), "link", "set", "eth", "up")

    def host(self, i):
        return "%s-%d" % (self.tag, i)

    @staticmethod
    def cable(i):
        return "cable%d" % i

    @staticmethod
    def address(i):
        return "%s.%d" % (NETWORK, i + 1)

    def child(self, i, argv):
        """A process on host i."""
        return Child(["ip", "netns", "exec", self.host(i), *argv])

    def pull(self, i):
        """Host i is alone from now on: nothing goes out, nothing comes in, nobody is told."""
        ip("-n", self.switch, "link", "set", self.cable(i), "down")

    def plug(self, i):
        ip("-n", self.switch, "link", "set", self.cable(i), "up")

    def close(self):
        while self.made:
            subprocess.run(["ip", "netns", "del", self.made.pop()], capture_output=True, check=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
