#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The benchmark: reeved against the bare responder on the same machine and the same load.

The two servers run side by side and are loaded in turn, in short slices; a ratio is the median
over adjacent pairs of slices, so that what else the machine does falls on both. reeved runs its
default rules (with a limit nobody reaches) on the embedded store, and asks a name server of our
own. The responder parses the requests too unless --bare is given. Both get the same two mixes, which
`load --help` describes: mail, what a Postfix asks, and rcpt, the harshest. Instructions a request are
those of callgrind: the difference of a run with 2N requests and one with N, so that start and end
cancel out.
"""
import argparse
import glob
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build", "release")

CONFIG = """\
version: 1
listen:
  - {listen}
control: unix:{dir}/control.sock
max_connections: 4096
store:
  url: "{store}"
dns:
  servers: ["127.0.0.1:{dns}"]
site:
  origin: example.com
  domains: [example.com]
rules:
  - {{ name: banned, check: ban }}
  - {{ name: ehlo-names, check: helo, names: [ylmf-pc] }}
  - {{ name: local-sender, check: local_sender, allow: authenticated, subdomains: no, mode: monitor }}
  - {{ name: own-account, check: sender_login, scope: account, mode: monitor }}
  - {{ name: sender-domain, check: sender_domain, on_error: defer }}
  - {{ name: ptr, check: ptr, on_missing: mark, confirm: no }}
  - {{ name: literals, check: address_literal, accept: [] }}
  - {{ name: catchall, check: catchall, maps: [] }}
  - {{ name: per-message, check: recipients, limit: 100 }}
  - name: hourly
    check: rate
    per: login
    count: recipients
    limits:
      - {{ limit: [1000000/1h, 10000000/1d] }}
    warn_at: 80%
    action: defer
  - name: relay-clients
    check: rate
    per: client
    match: {{ client_privileged: yes, authenticated: no }}
    limits: [{{ limit: 1000000/1h }}]
    mode: monitor
log:
  to: stderr
  decisions: {decisions}
"""


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """A server process with one listening address; wraps start, readiness and end."""

    def __init__(self, name, command, address, log):
        self.name, self.address = name, address
        self.log = open(log, "ab")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)

    def wait(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                sys.exit(f"{self.name} ended with {self.process.returncode}; see {self.log.name}:\n" +
                         open(self.log.name, errors="replace").read()[-2000:])
            kind, _, rest = self.address.partition(":")
            try:
                if kind == "unix":
                    with socket.socket(socket.AF_UNIX) as s:
                        s.connect(rest)
                else:
                    host, _, port = rest.rpartition(":")
                    socket.create_connection((host, int(port)), 1).close()
                return self
            except OSError:
                time.sleep(0.05)
        sys.exit(f"{self.name} does not listen at {self.address}; see {self.log.name}")

    def rss_kib(self, kind="VmRSS"):
        """kind: VmRSS, all of it; RssAnon, its own memory; RssFile, pages of mapped files."""
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(kind + r":\s+(\d+)", f.read()).group(1))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                sys.exit(f"{self.name} did not end on SIGTERM")
        self.log.close()


class Bench:
    def __init__(self, args, folder):
        self.args, self.dir = args, folder
        self.servers = []
        self.dns_port = free_port(socket.SOCK_DGRAM)
        self.dns = subprocess.Popen([f"{BUILD}/bench/dnsstub", str(self.dns_port)], stdout=subprocess.DEVNULL)

    def address(self, kind, name):
        if kind == "unix":
            return f"unix:{self.dir}/{name}.sock"
        return f"inet:127.0.0.1:{free_port()}"

    def responder(self, kind, wrap=()):
        address = self.address(kind, "responder")
        return self._start("responder", [*wrap, f"{BUILD}/bench/responder", *([] if self.args.bare else ["--parse"]), address], address)

    def reeved(self, kind, wrap=()):
        address = self.address(kind, "reeved")
        folder = tempfile.mkdtemp(prefix="reeved-", dir=self.dir)
        store = "embedded:" if self.args.memory else f"embedded:{folder}/state"
        config = os.path.join(folder, "reeve.yaml")
        with open(config, "w") as f:
            f.write(CONFIG.format(listen=address, dir=folder, store=store, dns=self.dns_port,
                                  decisions=self.args.decisions))
        return self._start("reeved", [*wrap, self.args.reeved, "-c", config], address)

    def _start(self, name, command, address):
        server = Server(name, command, address, f"{self.dir}/{name}.log")
        self.servers.append(server)
        return server.wait(60)

    def load(self, server, connections, **options):
        options.setdefault("logins", self.args.logins)
        command = [f"{BUILD}/bench/load", "--json", "--connections", str(connections)]
        for key, value in options.items():
            command += [f"--{key}"] if value is True else [f"--{key}", str(value)]
        done = subprocess.run([*command, server.address], stdout=subprocess.PIPE, text=True, timeout=3600)
        if done.returncode != 0:
            sys.exit(f"load on {server.name} failed; see {server.log.name}")
        result = json.loads(done.stdout)
        if result["dunno"] < 0.99 * result["requests"]:
            print(f"  note: {server.name} answered DUNNO to {result['dunno']} of {result['requests']} only")
        return result

    def stop(self):
        for server in self.servers:
            server.stop()
        self.servers = []

    def close(self):
        for server in self.servers:
            if server.process.poll() is None:
                server.process.kill()
        self.dns.terminate()


def pairs(bench, mix, kind, connections, rate=0):
    """Slices in turn; the median of each side and of the ratios of neighbours."""
    args = bench.args
    base, ours = bench.responder(kind), bench.reeved(kind)
    options = {"seconds": args.slice, "mix": mix}
    if rate:
        options["rate"] = rate
    for server in (base, ours):
        bench.load(server, connections, seconds=args.warm, mix=mix)
    rows = []
    for _ in range(args.pairs):
        rows.append((bench.load(base, connections, **options), bench.load(ours, connections, **options)))
    rss = ours.rss_kib()
    bench.stop()

    def med(side, key):
        return statistics.median(row[side][key] for row in rows)

    def ratio(key):
        return statistics.median(row[1][key] / max(row[0][key], 0.1) for row in rows)
    return {"mix": mix, "kind": kind, "connections": connections, "open_loop_rate": rate,
            "responder": {k: med(0, k) for k in ("rate", "p50_us", "p99_us")},
            "reeved": {k: med(1, k) for k in ("rate", "p50_us", "p90_us", "p99_us", "max_us")},
            "rate_ratio": ratio("rate"), "p50_ratio": ratio("p50_us"), "p99_ratio": ratio("p99_us"),
            "rss_kib": rss}


def print_row(row):
    loop = f"{row['open_loop_rate']}/s" if row["open_loop_rate"] else "closed"
    print(f"{row['mix']:5}{row['kind']:5}{row['connections']:6} {loop:>8}{row['responder']['rate']:11.0f}"
          f"{row['reeved']['rate']:10.0f}{row['rate_ratio']:8.2f}{row['reeved']['p50_us']:10.0f}"
          f"{row['reeved']['p99_us']:9.0f}{row['p99_ratio']:9.2f}{row['rss_kib'] / 1024:9.1f}", flush=True)


def callgrind_totals(prefix):
    """Instructions of the first thread, which runs the loop, and of all threads."""
    totals = {}
    for path in glob.glob(prefix + "-*"):
        with open(path) as f:
            found = re.search(r"^totals:\s+(\d+)", f.read(), re.M)
            totals[path[len(prefix) + 1:]] = int(found.group(1)) if found else 0
    if not totals.get("01"):
        sys.exit(f"{prefix}: callgrind counted nothing")
    return totals["01"], sum(totals.values())


def instructions(bench, mix, name, connections, count):
    """Per request. Work that is done once a second (commits) weighs more here than in a real run,
    because valgrind makes a request slow and a second no longer."""
    totals = []
    logins = min(bench.args.logins, 1000)
    for requests in (count, 2 * count):
        out = f"{bench.dir}/callgrind.{mix}.{name}.{requests}"
        wrap = ["valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={out}", "-q"]
        server = getattr(bench, name)("unix", wrap)
        bench.load(server, connections, requests=requests, logins=logins, mix=mix)
        bench.stop()
        totals.append(callgrind_totals(out))
    return [(second - first) / count for first, second in zip(*totals)]


def wait_for_quiet(files, seconds=60):
    """Until the last commits are done: none for three seconds."""
    end = time.monotonic() + seconds
    while files and time.monotonic() < end and time.time() - max(os.stat(f).st_mtime for f in files) < 3:
        time.sleep(0.2)


def memory_of(bench, logins):
    """What a table of that many logins costs: each sends one message; the rest is what reeved has without them."""
    server = bench.reeved("unix")
    before = server.rss_kib()
    bench.load(server, 64, requests=logins, logins=logins, mix="rcpt", **{"in-turn": True})
    wait_for_quiet(glob.glob(f"{bench.dir}/reeved-*/state/data.mdb"))
    kinds = {kind: server.rss_kib(kind) / 1024 for kind in ("VmRSS", "RssAnon", "RssFile", "VmHWM")}
    size = sum(os.stat(f).st_blocks for f in glob.glob(f"{bench.dir}/reeved-*/state/*")) / 2048
    bench.stop()
    print(f"{logins} logins: {kinds['VmRSS']:.1f} MiB resident ({kinds['RssAnon']:.1f} own, {kinds['RssFile']:.1f} of files, "
          f"most ever {kinds['VmHWM']:.1f}), {before / 1024:.1f} before; {size:.1f} MiB on disk")
    return {"logins": logins, "before_mib": before / 1024, "disk_mib": size, **kinds}


def parse_args():
    p = argparse.ArgumentParser(description="reeved against the bare responder")
    p.add_argument("--reeved", default=f"{BUILD}/reeved")
    p.add_argument("--connections", default="1,8,64,256")
    p.add_argument("--kinds", default="unix,inet")
    p.add_argument("--mixes", default="mail,rcpt", help="of requests; see load --help")
    p.add_argument("--pairs", type=int, default=5)
    p.add_argument("--slice", type=float, default=1.0, help="seconds of one slice")
    p.add_argument("--warm", type=float, default=2.0, help="seconds of load before the first slice")
    p.add_argument("--rate", type=int, default=10000, help="open loop, for the p99; 0: leave out")
    p.add_argument("--logins", type=int, default=10000, help="0: requests without login")
    p.add_argument("--bare", action="store_true", help="the responder only looks for the empty line")
    p.add_argument("--memory", action="store_true", help="keep the store in memory only")
    p.add_argument("--decisions", default="all", help="log.decisions of reeved")
    p.add_argument("--count", type=int, default=10000, help="requests of a callgrind run; 0: leave out")
    p.add_argument("--memory-of", type=int, metavar="N", help="only this: RSS after N logins, once each")
    p.add_argument("--quick", action="store_true", help="64 connections on a unix socket, few slices")
    p.add_argument("--json", metavar="FILE", help="write the figures there too")
    args = p.parse_args()
    if args.quick:
        args.connections, args.kinds, args.pairs, args.slice, args.warm = "64", "unix", 3, 0.5, 1.0
    return args


def main():
    args = parse_args()
    for program in (args.reeved, f"{BUILD}/bench/load", f"{BUILD}/bench/responder"):
        if not os.access(program, os.X_OK):
            sys.exit(f"{program} is missing: run 'make bench'")
    results = {"pairs": [], "instructions": {}}
    folder = tempfile.mkdtemp(prefix="reeve-bench-")
    bench = Bench(args, folder)
    try:
        if args.memory_of:
            results = memory_of(bench, args.memory_of)
            return
        print("requests/s and latency in us, medians; ratios are reeved / responder, medians of neighbours\n"
              "mix         conn     loop  responder    reeved   ratio       p50      p99   p99 x     MiB")
        mixes = args.mixes.split(",")
        cases = [(m, k, int(c), 0) for m in mixes for k in args.kinds.split(",") for c in args.connections.split(",")]
        if args.rate:
            cases += [(m, "unix", 64, args.rate) for m in mixes]
        for mix, kind, connections, rate in cases:
            row = pairs(bench, mix, kind, connections, rate)
            results["pairs"].append(row)
            print_row(row)
        if args.count and shutil.which("valgrind"):
            for mix, name in [(m, n) for m in mixes for n in ("responder", "reeved")]:
                loop, total = instructions(bench, mix, name, 64, args.count)
                results["instructions"].setdefault(mix, {})[name] = {"loop": loop, "all": total}
                print(f"user instructions a request, 64 connections, {mix}, {name}: "
                      f"{loop:.0f} in the loop, {total:.0f} with all threads", flush=True)
    finally:
        bench.close()
        if sys.exc_info()[0] is None:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"logs are left in {folder}", file=sys.stderr)
    if args.json:
        with open(args.json, "w") as f:
            json.dump(results, f, indent=1)


if __name__ == "__main__":
    main()
