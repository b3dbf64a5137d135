#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Who may include whom. Layers point one way, and library headers stay in the files that wrap them.

usage: layers.py [ROOT]; prints FILE:LINE: message for each violation, exits 1 if there is one.
"""
import fnmatch
import os
import re
import sys

# Lowest first. A layer may include itself and what stands before it, with the exceptions below.
ORDER = ["common", "config", "daemon/mail", "daemon/counting", "daemon/dns", "daemon/store",
         "daemon/bans", "daemon/rules", "daemon/engine", "daemon/loop", "daemon/server",
         "daemon/feeds", "daemon/operate", "daemon"]

# What rules know of the engine: these headers, and the engine's headers that these include.
RULE_HEADERS = ["daemon/engine/rule.h", "daemon/engine/request.h", "daemon/engine/verdict.h"]

# The tool is no daemon: it knows the configuration and how rules are compiled from it. Folders end with a slash.
CTL_MAY = ["common/", "config/", "daemon/mail/", "daemon/ctl/", "daemon/rules/table.h", "daemon/engine/load.h",
           "daemon/engine/ruleset.h"] + RULE_HEADERS

# Library header -> the only files that may include it.
LIBRARIES = {
    "uv.h": ["daemon/loop/*", "daemon/server/*", "daemon/operate/*", "daemon/daemon.c", "daemon/feeds/*uv*",
             "daemon/store/embedded/*uv*", "daemon/store/redis/*uv*", "daemon/dns/dns_ares.c"],
    "ares*.h": ["daemon/dns/dns_ares.c"],
    "lmdb.h": ["daemon/store/embedded/*"],
    "hiredis/*": ["daemon/store/redis/conn_uv.c", "daemon/store/redis/tls.*", "daemon/store/redis/reply_reader.h"],
    "openssl/*": ["daemon/store/redis/tls.c"],
    "yaml.h": ["config/yaml.c"],
    "idn2.h": ["daemon/mail/idn.c"],
    "uni*.h": ["daemon/mail/idn.c"],
}
NOT_LIBRARY = {"unistd.h"}

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')


def layer_of(path):
    """The layer a file belongs to: its folder, or the parent of a nested folder; None outside."""
    folder = os.path.dirname(path)
    while folder:
        if folder in ORDER or folder == "daemon/ctl":
            return folder
        folder = os.path.dirname(folder)
    return None


def sources(root):
    for top in ("common", "config", "daemon"):
        for folder, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(folder, name), root)


def includes(root, path):
    with open(os.path.join(root, path), errors="replace") as f:
        for number, line in enumerate(f, 1):
            found = INCLUDE.match(line)
            if found:
                yield number, found.group(1) == "<", found.group(2)


def rule_interface(root):
    """RULE_HEADERS and all headers of the engine they include, directly or not."""
    seen, todo = set(), list(RULE_HEADERS)
    while todo:
        header = todo.pop()
        if header in seen or not os.path.exists(os.path.join(root, header)):
            continue
        seen.add(header)
        todo += [name for _, system, name in includes(root, header)
                 if not system and name.startswith("daemon/engine/")]
    return seen


def library_problem(path, header):
    if header in NOT_LIBRARY:
        return None
    for pattern, allowed in LIBRARIES.items():
        if fnmatch.fnmatch(header, pattern):
            if not any(fnmatch.fnmatch(path, a) for a in allowed):
                return f"<{header}> belongs in {', '.join(allowed)} only"
    return None


def layer_problem(path, header, interface):
    layer, target = layer_of(path), layer_of(header)
    if header.startswith(".") or "/" not in header:
        return f'"{header}": include by path from the root, as "common/slice.h"'
    if target is None:
        return f'"{header}" is in no layer'
    if layer == "daemon/ctl":
        ok = header in interface or any(
            header == may or (may.endswith("/") and header.startswith(may)) for may in CTL_MAY)
    elif target == "daemon/ctl":
        ok = False
    elif path in interface:
        ok = target == layer and header in interface or ORDER.index(target) < ORDER.index("daemon/rules")
    elif layer == "daemon/rules" and target == "daemon/engine":
        ok = header in interface
    else:
        ok = ORDER.index(target) <= ORDER.index(layer)
    return None if ok else f'{layer} may not include "{header}"'


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    interface = rule_interface(root)
    problems = 0
    for path in sources(root):
        if layer_of(path) is None:
            print(f"{path}:1: is in no layer")
            problems += 1
            continue
        for number, system, header in includes(root, path):
            problem = library_problem(path, header) if system else layer_problem(path, header, interface)
            if problem:
                print(f"{path}:{number}: {problem}")
                problems += 1
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
