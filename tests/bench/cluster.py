#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The benchmark of the Redis store: reeved against a bare server on libuv and hiredis that runs the same script once for
each request (the responder with --redis), both on one Redis and under the same load, of the same two mixes as in run.py:
mail, with RCPT, DATA and END-OF-MESSAGE as a Postfix asks, and rcpt, the harshest: each request begins a message that
is never sent, so reeved also gives back what the one before it was charged. How many scripts a request it ran is told.

The commands of the bare server are a reeved's, taken by MONITOR: RCPT reserves, DATA and END-OF-MESSAGE settle; it
keeps nothing, looks at nothing but what stands in them, and says DUNNO. Slices are run in turn as in run.py, and a ratio
is the median over neighbours. Redis' own time is what INFO cpu says; instructions are callgrind's, of the difference of
two runs; system calls are those of strace -c, reeved's in the same way. In the end a node starts with 100,000 bans on Redis' list,
with processes and all until reevectl sees the last one, and build/release/bench/bans asks such a list for addresses.
"""
import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

from policy import Policy, submission  # noqa: E402
from redis_server import RedisServer  # noqa: E402
from run import BUILD, Bench, callgrind_totals  # noqa: E402

CONFIG = """\
listen: ["{listen}"]
control: unix:{dir}/control.sock
store: {{ url: "redis://127.0.0.1:{redis}", node: {node} }}
dns: {{ servers: ["127.0.0.1:{dns}"] }}
site: {{ origin: example.com, domains: [example.com] }}
rules:
{rules}
bans: {{ mode: enforce }}
log: {{ to: stderr, decisions: {decisions} }}
"""
RULE = "  - {{ name: limit{0}, check: rate, per: {1}, limits: [{{ limit: 1000000000/1h }}], warn_at: off }}"
PER = ("login", "client", "sender_domain")    # each the same in all requests of a message
LOGIN, CLIENT, DOMAIN = "template@example.net", "198.51.100.77", "example.net"
NEVER_LATE = "9000000000000"


class ClusterBench(Bench):
    def __init__(self, args, folder):
        super().__init__(args, folder)
        self.redis = RedisServer().start()
        self.admin = self.redis.client()
        self.number = 0

    def reeved(self, kind, wrap=(), limits=1, greet=True):
        address = self.address(kind, "reeved")
        folder = tempfile.mkdtemp(prefix="reeved-", dir=self.dir)
        config = os.path.join(folder, "reeve.yaml")
        self.number += 1
        with open(config, "w", encoding="ascii") as file:
            file.write(CONFIG.format(listen=address, dir=folder, redis=self.redis.port, dns=self.dns_port,
                                     node="bench%d" % self.number, decisions=self.args.decisions,
                                     rules="\n".join(RULE.format(i, PER[i]) for i in range(limits))))
        server = self._start("reeved", [*wrap, self.args.reeved, "-c", config], address)
        server.control = f"{folder}/control.sock"
        if greet:
            self.load(server, 1, requests=200)  # connected, scripts loaded
        return server

    def load(self, server, connections, **options):
        return super().load(server, connections, **{"mix": self.args.mix, **options})

    def scripts_run(self):
        facts = self.admin("INFO", "commandstats").decode()
        return sum(map(int, re.findall(r"cmdstat_eval(?:sha)?:calls=(\d+)", facts)))

    def commands(self, limits):
        """A reeved's commands for RCPT, DATA and END-OF-MESSAGE of one message, as lists of bytes."""
        server = self.reeved("unix", limits=limits)
        monitor = self.redis.client()
        monitor("MONITOR")
        message = {"client_address": CLIENT, "instance": "7.7.7.0", "recipient": "template@example.com"}
        found = []
        with Policy(server.address[5:]) as link:
            for state, count in (("RCPT", 0), ("DATA", 1), ("END-OF-MESSAGE", 1)):
                link.ask(submission(LOGIN, protocol_state=state, recipient_count=count, **message))
                line = b""
                while b'"EVALSHA"' not in line or b":c:limit0:" not in line:
                    line = monitor._line()
                found.append([unescape(word) for word in re.findall(rb'"((?:[^"\\]|\\.)*)"', line)])
        monitor.close()
        self.stop()
        return found

    def template(self, limits):
        """Those commands for the responder, with the places that change marked."""
        commands = self.commands(limits)
        for number, words in enumerate(commands):
            fence, keys = words[3], int(words[2])
            self.admin("SET", fence, words[3 + keys])
            what = words[-1]
            if number == 0:                        # see reserve.lua; any version of the transaction will do
                what = [what[:24], bytes(8), what[32:48], "@R", what[56:]]
            else:                                  # see settle.lua
                what = [what[:8], bytes(8), what[16:24], "@N", "@N", "@S", what[48:72], "@R", what[80:]]
            last = "".join(piece if isinstance(piece, str) else encode(piece) for piece in what)
            lines = [encode(word) for word in words[:-1]] + [last]
            lines[4 + keys] = NEVER_LATE
            lines[4] = re.sub("[0-9a-f]{32}$", "@X", lines[4])
            for i in range(5, 3 + keys):
                for name, mark in ((LOGIN, "@L"), (CLIENT, "@C"), (DOMAIN, "@D")):
                    lines[i] = lines[i].replace(":" + encode(name.encode()), ":" + mark)
            commands[number] = "\n".join(lines) + "\n\n"
        path = os.path.join(self.dir, "template%d" % limits)
        with open(path, "w", encoding="ascii") as file:
            file.write("".join(commands))
        return path

    def bare(self, kind, limits, wrap=()):
        address = self.address(kind, "responder")
        command = [f"{BUILD}/bench/responder", "--redis", self.template(limits), str(self.redis.port), address]
        return self._start("responder", [*wrap, *command], address)

    def status(self, server):
        """What reevectl says of the store, or None while nobody answers."""
        done = subprocess.run([f"{BUILD}/reevectl", "--socket", server.control, "--json", "status"],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        return json.loads(done.stdout)["store"] if done.returncode == 0 else None

    def redis_us(self):
        facts = self.admin("INFO", "cpu").decode()
        return sum(float(re.search(name + r":([\d.]+)", facts).group(1))
                   for name in ("used_cpu_sys", "used_cpu_user")) * 1e6

    def close(self):
        super().close()
        self.admin.close()
        self.redis.close()


def unescape(text):
    """What MONITOR shows of a string, as it was."""
    short = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}

    def byte(found):
        word = found.group(1)
        return bytes([int(word[1:], 16)]) if len(word) == 3 else short.get(word, word)
    return re.sub(rb"\\(x[0-9a-f]{2}|.)", byte, text)


def encode(word):
    return "".join(chr(byte) if 32 < byte < 127 and byte not in b"%@" else "%%%02x" % byte for byte in word)


def pairs(bench, connections, limits):
    args = bench.args
    base, ours = bench.bare("unix", limits), bench.reeved("unix", limits=limits)
    for server in (base, ours):
        bench.load(server, connections, seconds=args.warm)
    rows = []
    for _ in range(args.pairs):
        first = bench.load(base, connections, seconds=args.slice)
        before, run = bench.redis_us(), bench.scripts_run()
        second = bench.load(ours, connections, seconds=args.slice)
        rows.append((first, second, (bench.redis_us() - before) / second["requests"],
                     (bench.scripts_run() - run) / second["requests"]))
    bench.stop()

    def med(side, key):
        return statistics.median(row[side][key] for row in rows)
    print(f"{label(bench, limits)} {connections:4} connections: bare {med(0, 'rate'):6.0f}/s, "
          f"reeved {med(1, 'rate'):6.0f}/s, ratio {statistics.median(r[1]['rate'] / r[0]['rate'] for r in rows):.2f}; "
          f"reeved p50 {med(1, 'p50_us'):.0f} us, p99 {med(1, 'p99_us'):.0f} us; "
          f"Redis {statistics.median(r[2] for r in rows):.1f} us and {statistics.median(r[3] for r in rows):.2f} scripts a "
          "request", flush=True)


def label(bench, limits):
    return f"{bench.args.mix} {limits} limit{'s' if limits > 1 else ' '}"


def plain_get(bench, count):
    """What Redis takes for a GET, for comparison."""
    bench.admin("SET", "plain", "x")
    before = bench.redis_us()
    subprocess.run(["redis-benchmark", "-p", str(bench.redis.port), "-c", "64", "-n", str(count), "-q", "GET", "plain"],
                   stdout=subprocess.DEVNULL, check=True)
    print(f"Redis, plain GET: {(bench.redis_us() - before) / count:.1f} us", flush=True)


def instructions(bench, connections, count, limits):
    totals = []
    for requests in (count, 2 * count):
        out = f"{bench.dir}/callgrind.{limits}.{requests}"
        wrap = ["valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={out}", "-q"]
        server = bench.reeved("unix", wrap, limits)
        bench.load(server, connections, requests=requests, logins=1000)
        bench.stop()
        totals.append(callgrind_totals(out)[0])
    print(f"{label(bench, limits)} {connections:4} connections: "
          f"{(totals[1] - totals[0]) / count:.0f} user instructions a request", flush=True)


def system_calls(bench, connections, count, limits):
    """Of one run in its middle, so that start and end are not in it."""
    server = bench.reeved("unix", limits=limits)
    out = f"{bench.dir}/strace"
    tracer = subprocess.Popen(["strace", "-c", "-f", "-o", out, "-p", str(server.process.pid)], stderr=subprocess.PIPE,
                              text=True)
    tracer.stderr.readline()                       # "attached"
    bench.load(server, connections, requests=count)
    tracer.send_signal(signal.SIGINT)
    tracer.wait(30)
    bench.stop()
    with open(out, encoding="ascii") as file:
        lines = [line.split() for line in file]
    calls = {line[-1]: int(line[3]) for line in lines if len(line) >= 5 and line[3].isdigit() and line[-1] != "total"}
    most = sorted(calls.items(), key=lambda item: -item[1])[:5]
    print(f"{label(bench, limits)} {connections:4} connections: {sum(calls.values()) / count:.2f} "
          f"system calls a request ({', '.join(f'{name} {number / count:.2f}' for name, number in most)})", flush=True)


def fill_bans(bench, count):
    """Puts so many bans into Redis, made as one that a reeved put there."""
    server = bench.reeved("unix")
    subprocess.run([f"{BUILD}/reevectl", "--socket", server.control, "ban", "add", "198.51.100.1", "--for", "1d"],
                   stdout=subprocess.DEVNULL, check=True)
    while not bench.admin("HGET", "{reeve}:bf", "198.51.100.1/32"):
        time.sleep(0.01)
    value = bench.admin("HGET", "{reeve}:bf", "198.51.100.1/32")
    ends = value.split()[2]
    bench.stop()
    numbers = range(2, count + 1)
    for first in range(0, len(numbers), 1000):
        some = numbers[first:first + 1000]
        members = ["%d.%d.%d.%d/32" % (11 + n % 80, n >> 16, n >> 8 & 255, n & 255) for n in some]
        bench.admin.many([["HSET", "{reeve}:bf", *(word for m in members for word in (m, value))],
                          ["ZADD", "{reeve}:bl", *(word for n, m in zip(some, members) for word in (n, m))],
                          ["ZADD", "{reeve}:b", *(word for m in members for word in (ends, m))]])
    bench.admin("HSET", "{reeve}:bv", "v", count)


def bans(bench, count):
    """A node that starts: when it has all bans, and Redis' longest command until then. Then, what a look-up costs."""
    fill_bans(bench, count)
    times = []
    bench.admin("CONFIG", "SET", "slowlog-max-len", 100000)
    bench.admin("CONFIG", "SET", "slowlog-log-slower-than", 0)
    bench.admin("SLOWLOG", "RESET")
    for _ in range(5):
        begin = time.monotonic()
        server = bench.reeved("unix", greet=False)
        health = None
        while not health or not health["ban_list"]["complete"] or health["ban_list"]["members"] < count:
            health = bench.status(server)
            if time.monotonic() - begin > 60:
                sys.exit(f"the bans do not come: {health}")
        times.append(time.monotonic() - begin)
        bench.stop()
    bench.admin("CONFIG", "SET", "slowlog-log-slower-than", 10000)
    pages = sorted(entry[2] for entry in bench.admin("SLOWLOG", "GET", -1) if entry[3][0].upper() == b"EVALSHA")
    print(f"{count} bans: a node that starts has them after {statistics.median(times):.2f} s (median of five; the slowest "
          f"{max(times):.2f} s); Redis' commands for that: {pages[len(pages) // 2] / 1000:.1f} ms (median), "
          f"{pages[-1] / 1000:.1f} ms (longest)", flush=True)
    subprocess.run([f"{BUILD}/bench/bans", str(count)], check=True)


def main():
    p = argparse.ArgumentParser(description="reeved with Redis against the bare server")
    p.add_argument("--reeved", default=f"{BUILD}/reeved")
    p.add_argument("--mixes", default="mail,rcpt", help="of requests; see load --help")
    p.add_argument("--connections", default="1,64")
    p.add_argument("--limits", default="1,3")
    p.add_argument("--pairs", type=int, default=5)
    p.add_argument("--slice", type=float, default=1.0)
    p.add_argument("--warm", type=float, default=1.0)
    p.add_argument("--logins", type=int, default=10000)
    p.add_argument("--decisions", default="all")
    p.add_argument("--bans", type=int, default=100000, help="0: leave out")
    p.add_argument("--count", type=int, default=10000, help="requests of a callgrind run; 0: leave out")
    args = p.parse_args()
    args.bare = args.memory = False
    args.mix = "mail"
    for program in ("redis-server", "redis-benchmark"):
        if not shutil.which(program):
            sys.exit(f"{program} is missing: apt-get install redis-server redis-tools")
    folder = tempfile.mkdtemp(prefix="reeve-bench-")
    bench = ClusterBench(args, folder)
    print("bare: libuv and hiredis, the same script once a request, and nothing else; medians of slices in turn", flush=True)
    try:
        cases = [(mix, int(limits)) for mix in args.mixes.split(",") for limits in args.limits.split(",")]
        for args.mix, limits in cases:
            for connections in map(int, args.connections.split(",")):
                pairs(bench, connections, limits)
        plain_get(bench, 200000)
        for args.mix, limits in cases:
            if shutil.which("strace"):
                system_calls(bench, 64, 50000, limits)
            if args.count and shutil.which("valgrind"):
                instructions(bench, 64, args.count, limits)
        if args.bans:
            bans(bench, args.bans)
    finally:
        bench.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
