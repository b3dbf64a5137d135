#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Where the instructions of a request go: callgrind's counts of the thread that runs the loop, as the difference of a
run with 2N requests and one with N, by source file, by function and by line.

    where.py                        the embedded store and its default rules, as in run.py
    where.py --redis --limits 3     the Redis store, as in cluster.py

A line counts what the compiler made of it wherever it was inlined. With --keep DIR the counts stay there, and
--read DIR prints them again: --lines and --only then look closer without another run.
"""
import argparse
import collections
import glob
import linecache
import os
import re
import shutil
import sys
import tempfile

import cluster
import run


def read_counts(path):
    """{(function, file, line): own instructions} of one callgrind file."""
    names, counts = {}, collections.Counter()
    function = file = None
    line, skip = 0, False
    with open(path, encoding="utf-8", errors="replace") as out:
        for text in out:
            named = re.match(r"(fl|fi|fe|fn|cfi|cfl|cfn|ob|cob)=\((\d+)\)(?: (.*))?$", text)
            if named:
                kind, number, name = named.groups()
                table = {"f": "file", "o": "object"}[kind.lstrip("c")[0]] if not kind.endswith("fn") else "function"
                if name:
                    names[table, number] = name
                if kind in ("fl", "fi", "fe"):
                    file = names.get((table, number))
                elif kind == "fn":
                    function = names.get((table, number))
                continue
            if text.startswith("calls="):
                skip = True                        # the next line is what the callee took
                continue
            cost = re.match(r"([+-]?\d+|\*) (\d+)$", text)
            if not cost:
                continue
            place = cost.group(1)
            line = line if place == "*" else line + int(place) if place[0] in "+-" else int(place)
            if not skip:
                counts[function, file, line] += int(cost.group(2))
            skip = False
    return counts


def difference(folder, count):
    first, second = (read_counts(glob.glob(f"{folder}/{n}-01")[0]) for n in (count, 2 * count))
    return collections.Counter({key: (second[key] - first[key]) / count for key in second})


def measure(args, folder):
    make = cluster.ClusterBench if args.redis else run.Bench
    work = tempfile.mkdtemp(prefix="reeve-where-")
    bench = make(args, work)
    try:
        for requests in (args.count, 2 * args.count):
            for old in glob.glob(f"{folder}/{requests}-*"):
                os.unlink(old)
            wrap = ["valgrind", "--tool=callgrind", "--separate-threads=yes",
                    f"--callgrind-out-file={folder}/{requests}", "-q"]
            server = bench.reeved("unix", wrap, args.limits) if args.redis else bench.reeved("unix", wrap)
            bench.load(server, args.connections, requests=requests, logins=1000, mix=args.mix)
            bench.stop()
    finally:
        bench.close()
        shutil.rmtree(work, ignore_errors=True)


def short(name):
    return os.path.relpath(name, run.ROOT) if name and name.startswith(run.ROOT) else name or "?"


def print_table(counts, title, most):
    print(f"---- {title}")
    for name, value in counts.most_common(most):
        if value >= 1:
            print(f"{value:9.0f}  {name}")


def report(args, counts):
    print(f"{sum(counts.values()):.0f} user instructions a request in the loop")
    if args.only:
        counts = collections.Counter({key: value for key, value in counts.items()
                                      if args.only in short(key[1]) or args.only in (key[0] or "")})
    files, functions, lines = (collections.Counter() for _ in range(3))
    for (function, file, line), value in counts.items():
        files[short(file)] += value
        functions[function or "?"] += value
        text = linecache.getline(os.path.join(run.ROOT, short(file)), line).strip()
        lines[f"{short(file)}:{line}  {text[:80]}"] += value
    print_table(files, "by source file", args.top)
    print_table(functions, "by function, with what is inlined into it", args.top)
    if args.lines:
        print_table(lines, "by line", args.top)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--redis", action="store_true")
    p.add_argument("--limits", type=int, default=1, help="of the Redis store's rules")
    p.add_argument("--mix", default="mail", help="of requests; see load --help")
    p.add_argument("--connections", type=int, default=64)
    p.add_argument("--count", type=int, default=6000)
    p.add_argument("--top", type=int, default=50, help="rows of a table")
    p.add_argument("--lines", action="store_true")
    p.add_argument("--only", metavar="WORD", help="functions and files whose name holds it")
    p.add_argument("--keep", metavar="DIR")
    p.add_argument("--read", metavar="DIR")
    p.add_argument("--reeved", default=f"{run.BUILD}/reeved")
    p.add_argument("--decisions", default="all")
    args = p.parse_args()
    args.logins, args.bare, args.memory = 1000, False, False
    folder = args.read or args.keep or tempfile.mkdtemp(prefix="reeve-where-")
    os.makedirs(folder, exist_ok=True)
    if not args.read:
        if not shutil.which("valgrind"):
            sys.exit("valgrind is missing: apt-get install valgrind")
        measure(args, folder)
    report(args, difference(folder, args.count))
    if not (args.keep or args.read):
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
