# SPDX-License-Identifier: ISC
"""A master, replicas of it, and sentinels that watch them: on this host, or one of each on every host of a netns.Network."""

import os
import signal

from redis_server import Redis, RedisServer
from waiting import Child, PrivateDir, free_port, wait_for

NAME = "mymaster"


class Sentinel:
    """where: (host, port) of the master. spawn: how its process is made."""

    def __init__(self, where, host="127.0.0.1", port=None, spawn=Child):
        self.host, self.port = host, port or free_port()
        self._own = PrivateDir()
        self.path = os.path.join(self._own.path, "sentinel.conf")
        self.socket = os.path.join(self._own.path, "sock")
        with open(self.path, "w", encoding="ascii") as file:
            file.write("port %d\nbind %s\nunixsocket %s\nprotected-mode no\ndir %s\nsentinel monitor %s %s %d 2\n"
                       "sentinel down-after-milliseconds %s 1000\nsentinel failover-timeout %s 4000\n"
                       "sentinel parallel-syncs %s 2\n" % (self.port, host, self.socket, self._own.path, NAME, *where,
                                                           NAME, NAME, NAME))
        self.child = spawn(["redis-server", self.path, "--sentinel"])

    def close(self):
        self.child.end()
        self._own.close()

    def __call__(self, *words):
        link = Redis(self.socket)
        try:
            return link(*words)
        finally:
            link.close()

    def knows(self, replicas, sentinels):
        """Of the master: are so many replicas and sentinels there, and well?"""
        if not os.path.exists(self.socket):
            return False
        facts = self("SENTINEL", "MASTER", NAME)
        facts = dict(zip(facts[::2], facts[1::2]))
        if facts[b"flags"] != b"master" or int(facts[b"num-other-sentinels"]) != sentinels - 1:
            return False
        well = 0
        for replica in self("SENTINEL", "REPLICAS", NAME):
            replica = dict(zip(replica[::2], replica[1::2]))
            well += replica[b"flags"] == b"slave" and replica[b"master-link-status"] == b"ok"
        return well == replicas

    def master(self):
        """(host, port)"""
        host, port = self("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
        return host.decode(), int(port)


class Watched:
    """The first server is the master at the beginning. network: one of each on its hosts, else all on this one."""

    def __init__(self, count=3, network=None):
        self.count, self.network = count, network
        self.servers, self.sentinels = [], []
        try:
            for i in range(count):
                self._server(i)
            for i in range(count):
                self.sentinels.append(Sentinel(self.where(0), self.host(i), network and 26379, self._spawn(i)))
            self.well()
        except BaseException:
            self.close()
            raise

    def host(self, i):
        return self.network.address(i) if self.network else "127.0.0.1"

    def _spawn(self, i):
        return (lambda argv: self.network.child(i, argv)) if self.network else Child

    def _server(self, i):
        options = ("--replicaof", *map(str, self.where(0))) if i else ()
        server = RedisServer("--repl-ping-replica-period", "1", *options, port=6379 if self.network else None,
                             host=self.host(i), spawn=self._spawn(i))
        self.servers.append(server.start())

    def where(self, i):
        return self.host(i), self.servers[i].port

    def well(self, timeout_s=60):
        """Every sentinel knows a master with all its replicas, the same one."""
        wait_for("the sentinels know a master with its replicas", lambda: all(
            sentinel.knows(self.count - 1, self.count) for sentinel in self.sentinels) and
            len({sentinel.master() for sentinel in self.sentinels}) == 1, timeout_s)

    def master(self):
        """The number of the server that most sentinels hold for the master."""
        named = [sentinel.master() for sentinel in self.sentinels]
        where = max(set(named), key=named.count)
        return next(i for i in range(self.count) if self.where(i) == where)

    def fail_over(self):
        """By hand, as an operator does it."""
        self.sentinels[0]("SENTINEL", "FAILOVER", NAME)

    @property
    def url(self):
        return "redis+sentinel://%s/%s" % (
            ",".join("%s:%d" % (sentinel.host, sentinel.port) for sentinel in self.sentinels), NAME)

    def stop(self, i):
        self.servers[i].signal(signal.SIGSTOP)

    def go_on(self, i):
        self.servers[i].signal(signal.SIGCONT)

    def close(self):
        for one in [*self.sentinels, *self.servers]:
            one.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
