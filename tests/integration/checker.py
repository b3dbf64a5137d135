# SPDX-License-Identifier: ISC
"""The checker of the counters: clients of a cluster that keep a history, a nemesis that disturbs Redis and the way to it,
and at the end a comparison of every counter at every node with what was granted.

Each client goes through messages as Postfix does: recipients, some of them asked about twice, then DATA and
END-OF-MESSAGE with fewer recipients than were granted, or nothing more, which gives all back. Between two faults other
logins are used, so that a wrong sum says which fault it was. All choices follow one seed.
"""

import collections
import random
import signal
import threading
import time

from cluster import Cluster
from policy import Policy, submission
from redis_server import RedisServer
from tcp_gate import Gate
from waiting import let_pass, wait_for

LOGINS = 6                  # a chapter
TIGHT = 30
NO_DATA_PORT = 588          # a service where nothing is ever settled: what is granted there stands
TEXT = """site: { origin: example.com, domains: [example.com] }
rules:
  - name: hourly
    check: rate
    per: login
    limits: [{ login: ["tight*@example.com"], limit: %d/1h }, { limit: [1000000/1h, 9000000/1d] }]
  - { name: mails, check: rate, per: login, count: messages, limit: 1000000/1h }
""" % TIGHT


class Writer(threading.Thread):
    """One smtpd: one message after the other, all asked at one node. If nodes die, it goes on at the next one with the
    request that had no answer, as Postfix does behind a load balancer."""

    def __init__(self, checker, node, number):
        super().__init__(daemon=True)
        self.checker, self.node, self.number = checker, node, number
        self.random = random.Random("%s writer %d" % (checker.seed, number))
        self.messages, self.failure = 0, None
        self.taken = []                 # (when it was asked, seconds)

    def run(self):
        try:
            self.link = Policy(self.node.address)
            self.others = [(node, Policy(node.address)) for node in self.checker.cluster
                           if self.checker.apart and node is not self.node]
            while not self.checker.ended.is_set():
                self._message()
            self._message(last=True)
            for link in [self.link] + [link for _, link in self.others]:
                link.close()
        except (AssertionError, OSError) as why:
            self.failure = "%s: %r" % (self.node.name, why)

    def _ask(self, login, state, link=None, **more):
        self.checker.ended.wait(self.random.uniform(0, self.checker.pause_s))
        begun = time.monotonic()
        asked = submission(login, protocol_state=state, client_port=2000 + self.number,
                           instance="%x.%x.1.0" % (self.number, self.messages), **more)
        action = link.ask(asked) if link else self._answer(asked)
        self.taken.append((begun, time.monotonic() - begun))
        if action != "DUNNO":
            raise AssertionError("%s at %s: %s" % (login, state, action))

    def _answer(self, asked):
        end = time.monotonic() + 10
        while True:
            try:
                return self.link.ask(asked)
            except (AssertionError, OSError):
                if not self.checker.nodes_die or time.monotonic() > end:
                    raise
            self._move()

    def _move(self):
        """To another node, the next one that answers."""
        self.checker.note("moved", "", 0, 0)
        self.link.close()
        nodes = self.checker.cluster.nodes
        for step in range(1, 1 + len(nodes)):
            self.node = nodes[(nodes.index(self.node) + step) % len(nodes)]
            try:
                self.link = Policy(self.node.address)
                return
            except OSError:
                continue

    @staticmethod
    def _alone(node):
        """Decisions of a node without Redis."""
        return node.status()["store"]["local"]

    def _settle(self, login, count, link=None):
        self._ask(login, "DATA", link, recipient="", recipient_count=count)
        if self.random.random() < 0.5:
            self._ask(login, "END-OF-MESSAGE", link, recipient="", recipient_count=count, size=1000)

    def _settle_elsewhere(self, login, count):
        node, link = self.random.choice(self.others)
        alone = self._alone(node)
        self._settle(login, count, link)
        self.checker.note("settled elsewhere", "", 0, 0)
        if self._alone(node) != alone:
            self.checker.note_twice(login, count)

    def _message(self, last=False):
        self.messages += 1
        login = "c%d-%d@example.com" % (self.checker.chapter, self.random.randrange(LOGINS))
        recipients = self.random.choice((1, 1, 2, 3))
        apart = self.checker.apart and self.random.random() < self.checker.apart
        alone = apart and self._alone(self.node)
        for i in range(recipients):
            for _ in range(self.random.choice((1, 1, 1, 2))):
                self._ask(login, "RCPT", recipient="r%d@outside.example" % i)
        if self.random.random() < 0.25 and not last and not self.checker.nodes_die:
            self.checker.note("given back", login, 0, 0)
            return
        count = self.random.randint(1, recipients)
        if apart and self._alone(self.node) == alone:
            count = recipients
            self._settle_elsewhere(login, count)
        else:
            self._settle(login, count)
        self.checker.note("settled", login, count, 1)


class Flooder(threading.Thread):
    """Asks for the chapter's tight login, over and over, at one node."""

    def __init__(self, checker, node, number):
        super().__init__(daemon=True)
        self.checker, self.node, self.number = checker, node, number
        self.failure, self.taken = None, []

    def run(self):
        try:
            with Policy(self.node.address) as link:
                for i in range(10 ** 9):
                    if self.checker.ended.wait(0.02):
                        return
                    login = "tight%d@example.com" % self.checker.chapter
                    begun = time.monotonic()
                    action = link.ask(submission(login, protocol_state="RCPT", server_port=NO_DATA_PORT,
                                                 instance="f%x.%x.1.0" % (self.number, i), recipient="x@outside.example"))
                    self.taken.append((begun, time.monotonic() - begun))
                    if action == "DUNNO":
                        self.checker.note(self.node.name, login, 1, 1)
                    elif not action.startswith("450 4.7.1 "):
                        raise AssertionError("%s: %s" % (login, action))
        except (AssertionError, OSError) as why:
            self.failure = "%s: %r" % (self.node.name, why)


class Checker:
    """`nodes` daemons, each behind a gate of its own, on a Redis with a replica. nodes_die: clients go on at another node.
    apart: the share of messages whose DATA another node is asked about, with all recipients, where the first node was granted
    all of them by Redis; only for faults that lose none of Redis' data. Where that other node decided without Redis, such a
    message may stand twice; never may it be missing."""

    def __init__(self, seed, nodes=3, writers=3, pause_s=0.03, nodes_die=False, apart=0.0, **more):
        self.seed, self.pause_s, self.nodes_die = seed, pause_s, nodes_die
        self.alone_of_the_dead, self.apart = 0, apart
        self.random = random.Random("%s nemesis" % seed)
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.chapter, self.chapters = 0, ["before"]
        self.recipients, self.mails = collections.Counter(), collections.Counter()
        self.twice = collections.defaultdict(list)      # by login: recipients of messages that may be counted twice
        self.counts = collections.Counter()
        self.by_node = collections.Counter()
        self.stops = []                 # (node, from, to) while it could not answer
        self.open = []
        try:
            self.servers = [self._keep(RedisServer("--repl-ping-replica-period", "1").start()) for _ in range(2)]
            self.copies = self._keep(Gate(self.servers[0].port))
            self._follow(self.servers[1])
            self.gates = [self._keep(Gate(self.servers[0].port)) for _ in range(nodes)]
            self.cluster = self._keep(Cluster(TEXT, lambda i: "redis://127.0.0.1:%d" % self.gates[i].port, nodes, **more))
        except BaseException:
            self.close()
            raise
        self.clients = [Writer(self, node, i * writers + k) for i, node in enumerate(self.cluster) for k in range(writers)]
        if not nodes_die:
            self.clients += [Flooder(self, node, i) for i, node in enumerate(self.cluster)]

    def _keep(self, thing):
        self.open.append(thing)
        return thing

    def close(self):
        self.ended.set()
        while self.open:
            self.open.pop().close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def note(self, what, login, recipients, mails):
        with self.lock:
            self.counts[what] += 1
            if not login:
                return
            self.recipients[login] += recipients
            self.mails[login] += mails
            if login.startswith("tight"):
                self.by_node[(what, login)] += recipients

    def note_twice(self, login, recipients):
        with self.lock:
            self.twice[login].append(recipients)

    # What disturbs. Each leaves all as it was, but for what Redis has forgotten.

    @property
    def master(self):
        return self.servers[0]

    def admin(self, *commands):
        link = self.master.client()
        try:
            return [link(*command) for command in commands]
        finally:
            link.close()

    def _some(self, low, high):
        let_pass(self.random.uniform(low, high))

    def _gate(self):
        return self.random.choice(self.gates)

    def killed(self):
        self.master.kill()
        self._some(0.1, 0.8)
        self.master.start()

    def stopped(self):
        self.master.signal(signal.SIGSTOP)
        self._some(0.1, 1.6)
        self.master.signal(signal.SIGCONT)

    def paused(self):
        self.admin(("CLIENT", "PAUSE", self.random.randrange(100, 900), "ALL"))

    def full(self):
        self.admin(("CONFIG", "SET", "maxmemory", 1))
        self._some(0.2, 0.8)
        self.admin(("CONFIG", "SET", "maxmemory", 0))

    def read_only(self):
        """A replica of nobody for a while, as after a fail-over that the nodes have not heard of."""
        self.admin(("REPLICAOF", "127.0.0.1", "1"))
        self._some(0.2, 0.8)
        self.admin(("REPLICAOF", "NO", "ONE"))

    def no_script(self):
        self.admin(("SCRIPT", "FLUSH"))

    def wrong_type(self):
        """A key of a counter holds what is none of ours."""
        self.admin(("SET", "{reeve}:c:hourly:r:3600000:odd%d@example.com" % self.chapter, "x"))
        for node in self.cluster:
            node.ask(submission("odd%d@example.com" % self.chapter, protocol_state="RCPT", instance="odd.1.1.0"))

    def flushed(self):
        self.admin(("FLUSHALL",))

    def fail_over(self):
        """The replica takes over, without what it has not heard for a moment."""
        self.copies.shut()
        self._some(0.05, 0.4)
        self.servers.reverse()
        self.admin(("REPLICAOF", "NO", "ONE"))
        for gate in self.gates:
            gate.target = self.master.port
            if self.random.random() < 0.8:
                gate.reset()            # the others hear of it by READONLY
        self.copies.target = self.master.port
        self.copies.open()
        self._follow(self.servers[1])
        for gate in self.gates:
            gate.reset()

    def _follow(self, server):
        link = server.client()
        link("REPLICAOF", "127.0.0.1", self.copies.port)
        link.close()

    def slow(self):
        gate = self._gate()
        gate.delay_s = self.random.choice((0.05, 0.1, 0.2, 0.4))
        self._some(0.3, 1.0)
        gate.delay_s = 0.0

    def split(self):
        gate = self._gate()
        gate.split = True
        self._some(0.2, 0.6)
        gate.split = False

    def reset(self):
        for _ in range(self.random.randrange(1, 4)):
            self._gate().reset()
            self._some(0, 0.1)

    def reply_lost(self):
        """Redis does what it is asked, and the connection ends before it can say so."""
        gate = self._gate()
        gate.deaf = True
        self._some(0.02, 0.25)
        gate.reset()
        gate.deaf = False

    def late(self):
        """Commands wait in a connection that its node has given up, and come when it has another one, and is whole."""
        at = self.random.randrange(len(self.gates))
        gate, node = self.gates[at], self.cluster[at]
        wait_for("it asks", lambda: self.is_whole(node), 20)
        connections = node.status()["store"]["connections"]
        gate.hold()
        wait_for("it gives up", lambda: gate.held(), 5)
        gate.let_new()
        wait_for("it is back", lambda: node.status()["store"]["connections"] > connections and self.is_whole(node), 15)
        let_pass(0.35)                  # later than any command of the new connection that could mend it
        self.counts["late bytes"] += gate.release()

    def node_stopped(self):
        node = self.random.choice(self.cluster.nodes)
        begun = time.monotonic()
        node.child.signal(signal.SIGSTOP)
        self._some(0.2, 1.2)
        node.child.signal(signal.SIGCONT)
        self.stops.append((node, begun, time.monotonic()))

    def node_killed(self):
        """What it had counted is in Redis, under a name that nobody has any more."""
        node = self.random.choice(self.cluster.nodes)
        wait_for("it is whole", lambda: self.is_whole(node), 20)
        self.alone_of_the_dead += node.status()["store"]["local"]
        node.kill()
        self._some(0, 0.3)
        node.start().ready()

    def quiet(self):
        """Nothing is disturbed, nor still disturbed by what was before. Where the machine itself stood still for so long
        that a node decided alone, it is tried again."""
        for _ in range(5):
            self.whole()
            self.begin_chapter("quiet")
            alone = self.alone()
            let_pass(0.6)
            if self.alone() == alone:
                return
            self.chapters[-1] = "not so quiet"
        self.chapters[-1] = "never quiet"

    def alone(self):
        """Decisions without Redis so far."""
        return self.alone_of_the_dead + sum(node.status()["store"]["local"] for node in self.cluster)

    FORGETS = {"killed", "flushed", "fail_over"}     # Redis loses data
    ALL = ("killed stopped paused full read_only no_script wrong_type flushed fail_over slow split reset reply_lost late "
           "node_stopped quiet").split()

    # The run.

    @staticmethod
    def is_whole(node):
        store = node.status()["store"]
        return store["asked"] and not store["in_doubt"]

    def whole(self):
        for node in self.cluster:
            wait_for(lambda: "%s is whole: %r" % (node.name, node.status()["store"]), lambda: self.is_whole(node), 20)

    def begin_chapter(self, name):
        self.chapters.append(name)
        self.chapter += 1

    def learn(self):
        """That the service settles: only then is what was never settled given back."""
        for i, node in enumerate(self.cluster):
            node.ask(submission("learn@example.com", protocol_state="DATA", instance="learn%d.1.1.0" % i, recipient="",
                                recipient_count=1))

    def run(self, faults):
        """Plays the faults one after the other under load, heals, and returns what is wrong, a line each."""
        self.learn()
        for client in self.clients:
            client.start()
        let_pass(0.5)
        for name in faults:
            if name != "quiet":
                self.begin_chapter(name)
            getattr(self, name)()
            self._some(0.1, 0.5)
        let_pass(0.5)
        self.ended.set()
        for client in self.clients:
            client.join(20)
        wrong = [client.failure for client in self.clients if client.failure]
        self.whole()
        return wrong + self.compare()

    def compare(self):
        """Some seconds are given for what is under way: refunds, also those that wait for other nodes to say theirs first, and
        transactions that Redis is to forget."""
        end, wrong = time.monotonic() + 6, [""]
        while wrong and time.monotonic() < end:
            wrong = self._differences()
            let_pass(0.1)
        return wrong

    def _differences(self):
        wrong = []
        for login in sorted(self.recipients):
            chapter = self.chapters[int(login.split("@")[0].split("-")[0].strip("tighc"))]
            for node in self.cluster:
                used = {}
                for counter in node.ctl_json("usage", login)["counters"]:
                    used[counter["rule"], counter["window_ms"] // 1000] = counter["used"]
                wanted = {("hourly", 3600): self.recipients[login], ("mails", 3600): self.mails[login]}
                if not login.startswith("tight"):
                    wanted["hourly", 86400] = self.recipients[login]
                for key, number in wanted.items():
                    more = len(self.twice[login]) if key[0] == "mails" else sum(self.twice[login])
                    if not number <= used.get(key, 0) <= number + more:
                        wrong.append("%s (%s): %s has %d, granted were %d, at %s" % (
                            login, chapter, key, used.get(key, 0), number, node.name))
        return wrong

    def over_limit(self):
        """The tight login of each chapter: exactly its limit where nothing was disturbed; and never has one node alone
        granted more than the limit. What is wrong, a line each."""
        wrong = []
        for chapter, name in enumerate(self.chapters):
            login = "tight%d@example.com" % chapter
            if name == "never quiet":
                wrong.append("the machine stood still in each of five quiet times")
            if name == "quiet" and self.recipients[login] != TIGHT:
                wrong.append("quiet, and %d of %d were granted" % (self.recipients[login], TIGHT))
            wrong += ["%s: %d of %d granted by %s" % (name, self.by_node[node.name, login], TIGHT, node.name)
                      for node in self.cluster if self.by_node[node.name, login] > TIGHT]
        return wrong

    def most_over(self):
        return max((self.recipients["tight%d@example.com" % chapter], name) for chapter, name in enumerate(self.chapters))

    def slowest(self):
        """Of all answers but those of a node that stood still."""
        stops = collections.defaultdict(list)
        for node, begun, end in self.stops:
            stops[node].append((begun, end))
        return max(taken for client in self.clients for begun, taken in client.taken
                   if not any(begun <= end and begun + taken >= start for start, end in stops[client.node]))

    def requests(self):
        return sum(len(client.taken) for client in self.clients)
