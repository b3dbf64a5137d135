# SPDX-License-Identifier: ISC
"""Several real daemons on one real Redis: counting to the last recipient, and messages that change nodes."""

import collections
import contextlib
import selectors
import sys
import time

from cluster import SITE, Client, Cluster, login_rate, one_recipient, quantile, run_clients
from harness import REEVED, let_pass, unittest, wait_for
from policy import submission
from redis_server import RedisServer, have_redis

LONG = "--long" in sys.argv
LIMIT = 50


def own_requests(login, tag, number):
    """One message to so many recipients of its own."""
    for i in range(number):
        yield one_recipient(login, "%s.1.1.0" % tag, "r%s-%d@outside.example" % (tag, i))


def waits(links, rate, seconds):
    """Asks at fixed times on whichever link is idle; from when each was due until its answer, in seconds."""
    taken, idle, busy, sent = [], collections.deque(links), {}, 0
    selector = selectors.DefaultSelector()
    for link in links:
        selector.register(link, selectors.EVENT_READ)
    start = time.monotonic()
    while len(taken) < rate * seconds:
        while idle and sent < rate * seconds and time.monotonic() >= start + sent / rate:
            link = idle.popleft()
            busy[link] = start + sent / rate
            link.sendall(one_recipient("wait%d@example.com" % (sent % 997), "a%x.1.1.0" % sent))
            sent += 1
        for key, _ in selector.select(max(0.0, min(0.01, start + sent / rate - time.monotonic()))):
            if not key.fileobj.recv(4096).endswith(b"\n\n"):
                raise AssertionError("not a whole answer")
            taken.append(time.monotonic() - busy.pop(key.fileobj))
            idle.append(key.fileobj)
    selector.close()
    return taken


class Counting(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.redis = RedisServer().start()
        cls.addClassCleanup(cls.redis.close)
        cls.cluster = Cluster(login_rate("%d/1h" % LIMIT), "redis://127.0.0.1:%d" % cls.redis.port, 4,
                              store="timeout: 2s")      # where the machine stands still, nobody decides alone
        cls.addClassCleanup(cls.cluster.close)

    def test_exactly_the_limit(self):
        """Four daemons, eight clients each, all at once for the same login; over and over with another one."""
        taken = []
        for run in range(50 if LONG else 6):
            login = "run%d@example.com" % run
            answers = run_clients([Client(node.port, own_requests(login, "%x%x%x" % (run, number, i), 6))
                                   for number, node in enumerate(self.cluster) for i in range(8)])
            actions = [answer[2] for answer in answers]
            self.assertEqual(actions.count("DUNNO"), LIMIT, "run %d" % run)
            self.assertEqual(sum(action.startswith("450 4.7.1 %d of %d " % (LIMIT, LIMIT)) for action in actions),
                             len(actions) - LIMIT)
            self.assertEqual(self.cluster[run % 4].used(login), LIMIT)
            taken += [answer[1] for answer in answers]
        print("32 clients in one Python process: p50 %.2f ms, p99 %.2f ms" % (
            1000 * quantile(taken, 0.5), 1000 * quantile(taken, 0.99)))
        self.assertEqual(sum(node.status()["store"]["local"] for node in self.cluster), 0)

    def test_quick(self):
        """What the daemon itself takes, as its log says, with one client at each of four."""
        run_clients([Client(node.port, own_requests("quick%d@example.com" % number, "ab%x" % number, 400), rate=150)
                     for number, node in enumerate(self.cluster)])
        for node in self.cluster:
            node.wait_log("event=decision .*login=quick", 400)
        taken = [int(line["time_us"]) for node in self.cluster for line in node.log("event=decision .*login=quick")]
        self.assertEqual(len(taken), 1600)
        print("the daemons' own time: p50 %d us, p99 %d us" % (quantile(taken, 0.5), quantile(taken, 0.99)))
        self.assertLess(quantile(taken, 0.99), 10000)

    def test_quick_for_clients(self):
        """What eight clients at each of four daemons wait, 1000 requests a second in all, due at fixed times."""
        links = [node.connect().link for node in self.cluster for _ in range(8)]
        seconds = 20 if LONG else 2
        taken, local = waits(links, 1000, seconds), sum(node.status()["store"]["local"] for node in self.cluster)
        for link in links:
            link.close()
        print("32 clients, %d requests: p50 %.2f ms, p99 %.2f ms, slowest %.2f ms" % (
            len(taken), 1e3 * quantile(taken, 0.5), 1e3 * quantile(taken, 0.99), 1e3 * max(taken)))
        self.assertEqual((len(taken), local), (1000 * seconds, 0))
        if LONG:                        # for a machine that does nothing else
            self.assertLess(quantile(taken, 0.99), 0.01)

    def test_rcpt_here_and_data_there(self):
        """Three reserved at one node, two accepted as another one hears at DATA, all settled twice."""
        login, one, two, three, _ = "moves@example.com", *self.cluster
        for i in range(3):
            with one.connect() as link:
                self.assertEqual(link.ask(one_recipient(login, "77.1.1.0", "r%d@outside.example" % i)), "DUNNO")
        self.assertEqual(two.used(login), 3)
        data = submission(login, protocol_state="DATA", instance="77.1.1.0", recipient="", recipient_count=2)
        end = submission(login, protocol_state="END-OF-MESSAGE", instance="77.1.1.0", recipient="", recipient_count=2,
                         size=1000)
        self.assertEqual(two.ask(data), "DUNNO")
        for node in (one, two, three):
            self.assertEqual(node.used(login), 2)
        self.assertEqual(three.ask(end), "DUNNO")
        self.assertEqual(one.ask(end), "DUNNO")
        self.assertEqual(one.used(login), 2)
        # The first node may want to give back after ten minutes, and has to find what became of it.
        with contextlib.closing(self.redis.client()) as redis:
            for key in redis("KEYS", "*:x:*"):
                self.assertGreater(redis("PTTL", key), 15 * 60 * 1000, key)

    def test_data_alone_counts_once(self):
        """Nobody was asked at RCPT; DATA and END-OF-MESSAGE come to different nodes."""
        login, ask = "whole@example.com", {"instance": "78.1.1.0", "recipient": "", "recipient_count": 7}
        self.assertEqual(self.cluster[0].ask(submission(login, protocol_state="DATA", **ask)), "DUNNO")
        self.assertEqual(self.cluster[1].ask(submission(login, protocol_state="END-OF-MESSAGE", **ask)), "DUNNO")
        self.assertEqual(self.cluster[2].used(login), 7)

    def test_a_node_dies_between_counting_and_answering(self):
        """Redis has counted, the answer never came: Postfix asks another node, and is charged once."""
        login, request = "dies@example.com", one_recipient("dies@example.com", "79.1.1.0")
        victim, other = self.cluster[3], self.cluster[0]
        link = victim.connect()
        try:
            victim.child.signal(19)         # SIGSTOP: the request lies in its socket
            link.send(request)
            # Redis stops too, before the daemon goes on: the command is sent, and its answer cannot come.
            self.redis.signal(19)
            victim.child.signal(18)
            let_pass(0.1)
            victim.child.signal(19)
            self.redis.signal(18)
            wait_for("Redis has counted", lambda: other.used(login) == 1)
            victim.kill()
        finally:
            link.close()
        self.assertEqual(other.ask(request), "DUNNO")
        self.assertEqual(other.used(login), 1)
        victim.start().ready()
        self.assertEqual(victim.ask(request), "DUNNO")
        self.assertEqual(victim.used(login), 1)

    def test_without_a_counter_redis_is_not_asked(self):
        """Recipients, marks, logins with no limit: what Redis did meanwhile is the heartbeat and the pings alone."""
        with Cluster(SITE + """rules:
  - { name: per-message, check: recipients, limit: 3 }
  - { name: literals, check: address_literal }
  - name: hourly
    check: rate
    per: login
    limits: [{ login: [free@example.com], limit: unlimited }, { limit: 9/1h }]
""", "redis://127.0.0.1:%d" % self.redis.port, 1, store="prefix: quiet") as cluster:
            client = self.redis.client()
            client("CONFIG", "RESETSTAT")
            with cluster[0].connect() as link:
                for i in range(500):
                    self.assertEqual(link.ask(one_recipient("", "%x.1.1.0" % i, sasl_method="", server_port=25,
                                                            sender="sender@example.net")), "DUNNO")
                    self.assertEqual(link.ask(one_recipient("free@example.com", "%x.1.2.0" % i,
                                                            client_address="198.51.%d.%d" % (100 + i // 250, i % 250))),
                                     "DUNNO")
            statistics = client("INFO", "commandstats").decode()
            client.close()
        commands = {line.split(":")[0]: int(line.split("calls=")[1].split(",")[0])
                    for line in statistics.splitlines() if "calls=" in line}
        allowed = {"cmdstat_evalsha", "cmdstat_ping", "cmdstat_info", "cmdstat_config|resetstat", "cmdstat_time",
                   "cmdstat_get", "cmdstat_set", "cmdstat_pexpire", "cmdstat_pttl", "cmdstat_zremrangebyscore",
                   "cmdstat_zadd", "cmdstat_zcard", "cmdstat_hgetall", "cmdstat_zrangebyscore", "cmdstat_hmget",
                   "cmdstat_hget", "cmdstat_zrange"}
        # The four other daemons of this class beat once a second, too.
        self.assertLess(commands.get("cmdstat_evalsha", 0), 60, commands)
        self.assertEqual(set(commands) - allowed, set(), commands)


def main():
    if not have_redis():
        print("skipped: no redis-server")
        sys.exit(77)
    sys.argv = [word for word in sys.argv if word != "--long"]
    begun = time.monotonic()
    unittest.main(exit=False)
    print("in %.1f s" % (time.monotonic() - begun))


if __name__ == "__main__":
    assert REEVED
    main()
