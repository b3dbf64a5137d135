#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The manual and the configuration must name the same things: every key of config/reeve.yaml and
every check stands in packaging/man/reeve.yaml.5, and every check in reeve.yaml has its file.

usage: docs.py [ROOT]; prints a line for each thing that is missing, exits 1 if there is one.
"""
import os
import re
import sys

SAMPLE = "config/reeve.yaml"
MANUAL = "packaging/man/reeve.yaml.5"
RULES = "daemon/rules"
EXAMPLES = {"acme", "bulk"}  # names of an account and a list, not keys

KEY = re.compile(r"(?:^|[{,]\s*|-\s+|^#\s*)([a-z][a-z0-9_]*):(?=\s|$)")
CHECK = re.compile(r"\bcheck:\s*([a-z][a-z0-9_]*)")


def read(root, path):
    try:
        with open(os.path.join(root, path), encoding="utf-8") as f:
            return f.read()
    except OSError:
        return None


def keys_of(sample):
    """Keys in use and keys shown in comments; quoted text and prose do not look like keys."""
    keys = set()
    for line in sample.split("\n"):
        line = re.sub(r'"[^"]*"', '""', line.strip())
        keys.update(KEY.findall(line))
        # A comment line of the form `# key: value` shows a key, and may show more after it.
        comment = line[1:].strip() if line.startswith("#") else line.partition("# example: ")[2]
        if re.match(r"[-{ ]*[a-z][a-z0-9_]*:(\s|$)", comment):
            keys.update(KEY.findall(comment))
    return keys - EXAMPLES


def words_of(manual):
    """The words of a manual page's source, without roff's escapes."""
    plain = re.sub(r"\\f[BIRP]|\\&|\\%", "", manual).replace("\\-", "-").replace("\\_", "_")
    return set(re.findall(r"[A-Za-z0-9_]+", plain))


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    sample, manual = read(root, SAMPLE), read(root, MANUAL)
    problems = [f"{path}: is missing" for path, text in ((SAMPLE, sample), (MANUAL, manual)) if text is None]
    if not problems:
        words = words_of(manual)
        for key in sorted(keys_of(sample)):
            if key not in words:
                problems.append(f"{MANUAL}: the key `{key}` of {SAMPLE} is not documented")
        table = read(root, f"{RULES}/table.h") or ""
        files = {n[:-2] for n in os.listdir(os.path.join(root, RULES)) if n.endswith(".c")} \
            if os.path.isdir(os.path.join(root, RULES)) else set()
        checks = set(CHECK.findall(sample))
        # A file whose name table.h mentions is a check, in the sample or not.
        checks |= {n for n in files if n != "table" and re.search(rf"\b(rule_)?{n}(_rule|_ops|_type)?\b", table)}
        for check in sorted(checks):
            if check not in words:
                problems.append(f"{MANUAL}: the check `{check}` is not documented")
            if check not in files:
                problems.append(f"{RULES}/{check}.c: is missing, yet {SAMPLE} has the check")
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
