# SPDX-License-Identifier: ISC
"""Several reeveds that share one Redis, and clients that ask many of them at once."""

import functools
import json
import os
import subprocess
import threading
import time
from collections import Counter

from daemon import TOP, Reeved, without_section
from policy import Policy, submission
from waiting import PrivateDir, wait_for

REEVECTL = os.environ.get("REEVECTL") or os.path.join(TOP, "build", "release", "reevectl")

SITE = "site: { origin: example.com, domains: [example.com] }\n"
TIMEOUT_S = 0.3             # store.timeout
ROUND_TRIP_S = 0.1          # and what a busy machine adds


def login_rate(limit, more=""):
    return SITE + "rules:\n  - { name: hourly, check: rate, per: login, limits: [{ limit: %s }]%s }\n" % (limit, more)


def tight_rate(limit):
    """tight*@example.com have this an hour, everybody else has more than any test sends."""
    return SITE + """rules:
  - name: hourly
    check: rate
    per: login
    limits: [{ login: ["tight*@example.com"], limit: %d/1h }, { limit: 100000/1h }]
""" % limit


class Node(Reeved):
    """One daemon of a cluster. url: its store; store: further keys of `store`, a line each. spawn: it runs on another
    host, and this is how its process is made. program: another reeved than the usual one."""

    def __init__(self, text, url, name, store="", spawn=None, program=None, **more):
        self.url, self.name, self.store_keys = url, name, store
        self.program = program or self.program
        if spawn:
            self.far, self.spawn = True, spawn
        super().__init__(text, **more)

    def complete(self, text):
        text = without_section(super().complete(text), "store")
        return text + 'store:\n  url: "%s"\n  node: %s\n%s' % (
            self.url, self.name, "".join("  %s\n" % line for line in self.store_keys.splitlines()))

    def asked(self):
        """Does Redis decide?"""
        return self.status()["store"]["asked"]

    def ready(self):
        wait_for(lambda: "%s asks Redis: %r" % (self.name, self.status()["store"]), self.asked)
        return self

    def ctl(self, *words):
        """(exit code, standard output and error)."""
        done = subprocess.run([REEVECTL, "--socket", os.path.join(self.root, "control.sock"), *words],
                              capture_output=True, text=True, timeout=30, check=False)
        return done.returncode, done.stdout + done.stderr

    def ctl_json(self, *words):
        code, text = self.ctl("--json", *words)
        if code:
            raise AssertionError("reevectl %r: %d: %s" % (words, code, text))
        return json.loads(text)

    def status(self):
        return self.ctl_json("status")

    def used(self, login):
        """What is used of the login's only limit."""
        counters = self.ctl_json("usage", login)["counters"]
        return counters[0]["used"] if counters else 0


class Cluster:
    """`count` nodes with the same configuration, all asking Redis."""

    def __init__(self, text, url, count, store="", wait=True, network=None, **more):
        """url: of all, or a function of a node's number. network: each on its own host there."""
        self.dir = PrivateDir()
        self.nodes = []
        try:
            for i in range(count):
                root = os.path.join(self.dir.path, "n%d" % i)
                os.mkdir(root, 0o755)
                self.nodes.append(Node(text, url(i) if callable(url) else url, "node%d" % i, store=store, root=root,
                                       spawn=network and functools.partial(network.child, i), **more).start())
            for node in self.nodes if wait else []:
                node.ready()
            if wait:
                wait_for("every node knows of all", lambda: all(
                    node.status()["store"]["nodes"] == count for node in self.nodes))
        except BaseException:
            self.close()
            raise

    def __getitem__(self, index):
        return self.nodes[index]

    def __iter__(self):
        return iter(self.nodes)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            for node in self.nodes:
                node.close()
        finally:
            self.dir.close()


class Client(threading.Thread):
    """One policy connection that asks what `requests` yields, `rate` times a second (None: as fast as it can)."""

    def __init__(self, address, requests, rate=None):
        super().__init__(daemon=True)
        self.address, self.requests, self.rate = address, requests, rate
        self.answers = []       # (seconds since `begun`, seconds taken, action, request)
        self.failure = None
        self.begun = time.monotonic()
        self.ended = False

    def run(self):
        try:
            with Policy(self.address) as link:
                self._ask_all(link)
        except (AssertionError, OSError) as why:
            self.failure = repr(why)

    def _ask_all(self, link):
        next_at = time.monotonic()
        for request in self.requests:
            if self.ended:
                return
            if self.rate:
                next_at += 1 / self.rate
                threading.Event().wait(max(0.0, next_at - time.monotonic()))
            begun = time.monotonic()
            action = link.ask(request)
            self.answers.append((begun - self.begun, time.monotonic() - begun, action, request))


def run_clients(clients):
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    failures = [client.failure for client in clients if client.failure]
    if failures:
        raise AssertionError("a request without an answer: %s" % failures[0])
    return [answer for client in clients for answer in client.answers]


def quantile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def logins_in_turn(tag, number, logins=20):
    """So many requests, each of another login than the one before, to recipients of their own."""
    for i in range(number):
        yield one_recipient("user%d@example.com" % (i % logins), "%s.1.%d.0" % (tag, i % logins),
                            "r%s-%d@outside.example" % (tag, i))


def history(answers):
    """How many recipients each login was granted."""
    granted = Counter()
    for _, _, action, asked in answers:
        login = next(line for line in asked.decode().splitlines() if line.startswith("sasl_username="))
        granted[login.split("=")[1]] += action == "DUNNO"
    return granted


def one_recipient(login, instance, recipient="someone@outside.example", **more):
    return submission(login, protocol_state="RCPT", instance=instance, recipient=recipient, **more)


def flooding(login, tag):
    """One message that goes to always another recipient."""
    for i in range(10 ** 6):
        yield one_recipient(login, "%s.1.1.0" % tag, "%s-%d@outside.example" % (tag, i))


class Load:
    """`by` clients that ask `rate` times a second together, until stop(). requests(i): what the i-th asks."""

    def __init__(self, nodes, requests, rate=500, by=8):
        nodes = list(nodes)
        self.clients = [Client(nodes[i % len(nodes)].address, requests(i), rate=rate / by) for i in range(by)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """All answers. AssertionError if a request had none."""
        for client in self.clients:
            client.ended = True
        for client in self.clients:
            client.join()
        failures = [client.failure for client in self.clients if client.failure]
        if failures:
            raise AssertionError("a request without an answer: %s" % failures[0])
        return [answer for client in self.clients for answer in client.answers]


def told(answers):
    """How fast they were; prints it, and gives the slowest in seconds."""
    taken = [answer[1] for answer in answers]
    print("%d answers: p50 %.2f ms, p99 %.1f ms, slowest %.1f ms" % (
        len(taken), 1e3 * quantile(taken, 0.5), 1e3 * quantile(taken, 0.99), 1e3 * max(taken)))
    return max(taken)
