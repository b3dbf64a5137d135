#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The soak: many requests against the release daemon, with its memory and descriptors looked at all the while.

reeved runs the default rules on a store on disk. All its tables are bounded; they fill during the first part
of the run, which is left out. Over the rest a line is laid through the samples of its own memory (RssAnon):
growth of more than --slope over the whole of it fails the soak, and so does a descriptor more at the end than
after the first part, an answer that is none, or a daemon that does not end.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import run


def parse_args():
    p = argparse.ArgumentParser(description="many requests, and what becomes of memory and descriptors")
    p.add_argument("--requests", type=int, default=10_000_000)
    p.add_argument("--connections", type=int, default=64)
    p.add_argument("--logins", type=int, default=100_000)
    p.add_argument("--mix", default="mail", choices=("mail", "rcpt"), help="of requests; see bench/load --help")
    p.add_argument("--every", type=float, default=2.0, help="seconds between samples")
    p.add_argument("--first", type=float, default=0.3, help="share of the run in which tables may fill")
    p.add_argument("--slope", type=float, default=8.0, help="MiB of growth after that, at most")
    p.add_argument("--reeved", default=f"{run.BUILD}/reeved")
    args = p.parse_args()
    args.memory, args.bare, args.decisions = False, False, "all"
    return args


class Sampler(threading.Thread):
    """Looks at the daemon until it is stopped."""

    def __init__(self, server, every):
        super().__init__(daemon=True)
        self.server, self.every, self.over = server, every, threading.Event()
        self.started, self.samples = time.monotonic(), []

    def look(self):
        own, files = self.server.rss_kib("RssAnon") / 1024, self.server.rss_kib("RssFile") / 1024
        sample = (time.monotonic() - self.started, own, files, self.server.descriptors())
        self.samples.append(sample)
        print("%7.1f s %8.1f MiB own %8.1f of files %5d descriptors" % sample, flush=True)

    def run(self):
        while not self.over.wait(self.every):
            self.look()

    def stop(self):
        self.over.set()
        self.join()


def slope(samples):
    """MiB a second, by least squares."""
    seconds, own = [s[0] for s in samples], [s[1] for s in samples]
    middle, mean = statistics.fmean(seconds), statistics.fmean(own)
    spread = sum((x - middle) ** 2 for x in seconds)
    return sum((x - middle) * (y - mean) for x, y in zip(seconds, own)) / spread if spread else 0.0


def judge(args, samples, idle_descriptors):
    rest = samples[int(len(samples) * args.first):]
    if len(rest) < 10:
        sys.exit(f"soak: {len(samples)} samples are too few to say anything; more --requests or a smaller --every")
    lasted = rest[-1][0] - rest[0][0]
    growth = slope(rest) * lasted
    descriptors = rest[-1][3] - rest[0][3]
    print(f"over the last {lasted:.0f} s: {rest[0][1]:.1f} to {rest[-1][1]:.1f} MiB, {growth:+.2f} MiB by the line through "
          f"{len(rest)} samples; {rest[0][3]} to {rest[-1][3]} descriptors, {idle_descriptors} when all clients had gone")
    if growth > args.slope:
        sys.exit(f"soak: memory grows: {growth:.2f} MiB, above {args.slope}")
    if descriptors > 0:
        sys.exit(f"soak: descriptors grow: {descriptors}")
    print("soak: nothing grows")


def settle(server, descriptors, seconds=10):
    """The descriptors that are open once the clients' ends have been seen."""
    end = time.monotonic() + seconds
    while server.descriptors() > descriptors and time.monotonic() < end:
        time.sleep(0.05)
    return server.descriptors()


def soak(args, bench):
    server = bench.reeved("unix")
    before = settle(server, 0, 1)
    sampler = Sampler(server, args.every)
    sampler.start()
    result = bench.load(server, args.connections, requests=args.requests, mix=args.mix)
    sampler.stop()
    idle = settle(server, before)
    print(f"{result['requests']} requests, {result['rate']:.0f}/s, p99 {result['p99_us'] / 1000:.1f} ms, "
          f"longest {result['max_us'] / 1000:.0f} ms")
    if idle > before:
        sys.exit(f"soak: {idle} descriptors are open after the clients have gone, {before} were before")
    judge(args, sampler.samples, idle)
    bench.stop()


def main():
    args = parse_args()
    os.nice(10)
    folder = tempfile.mkdtemp(prefix="reeve-soak-")
    bench = run.Bench(args, folder)
    try:
        soak(args, bench)
    finally:
        bench.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    try:
        main()
    except subprocess.TimeoutExpired as e:
        sys.exit(f"soak: {e}")
