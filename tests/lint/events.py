#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The manual and the sources must name the same log events: every event=NAME that daemon/ can write stands in
packaging/man/reeved.8, section LOG, as an item with its level behind it, and every one that stands there can be written.

A name is a literal where it is written: behind "event" in logline_text(), as "event=NAME" in a text, as the argument of
a function whose parameter is called `event`, or in a table called ..._events. Else this program cannot know it, and says so.

usage: events.py [ROOT]; prints a line for each violation, exits 1 if there is one.
"""
import os
import re
import sys

MANUAL = "packaging/man/reeved.8"
COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|("(?:\\.|[^"\\\n])*")', re.S)
STRING = re.compile(r'"([^"\\\n]*)"')
PARAMETER = re.compile(r"\b([a-z_][a-z0-9_]*)\(([^(){};]*\bconst char \*event\b[^(){};]*)\)")
PAIR = re.compile(r'\blogline_text\([^,;]+,\s*"event",\s*([^;]*?)\);')
IN_TEXT = re.compile(r'"event=([a-z_]+)')
TABLE = re.compile(r"\b[a-z_]*_events\[\] = \{(.*?)\};", re.S)
LEVEL = r"\((?:error|warning|notice|info|debug)\)"


def sources(root):
    for top in ("common", "daemon"):
        for folder, _, names in sorted(os.walk(os.path.join(root, top))):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    path = os.path.join(folder, name)
                    with open(path, encoding="utf-8") as f:
                        text = COMMENT.sub(lambda m: m.group(1) or re.sub(r"[^\n]", " ", m.group(0)), f.read())
                    yield os.path.relpath(path, root), text


def arguments(text, start):
    """Of the call whose parenthesis opens right before `start`, split at the commas between them."""
    depth, at, out, begin = 1, start, [], start
    while at < len(text) and depth:
        found = re.compile(r'"(?:\\.|[^"\\\n])*"|[(){},]').search(text, at)
        if not found:
            return []
        depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(found.group(0), 0)
        at = found.end()
        if (depth == 1 and found.group(0) == ",") or depth == 0:
            out.append(text[begin:found.start()].strip())
            begin = at
    return out


def functions(text):
    """Those with a parameter `event`, and its index."""
    return {name: [p.strip() for p in parameters.split(",")].index("const char *event")
            for name, parameters in PARAMETER.findall(text)}


def names_in(where, value):
    """(names, violations) of an expression that stands for a name."""
    names = set(STRING.findall(value))
    if names or re.fullmatch(r"(const char \*)?event", value) or re.match(r"[a-z_>.-]*_events\[", value):
        return names, []
    return set(), [f"{where}: the name of an event is a literal (see tests/lint/events.py), not `{value}`"]


def written(root):
    """The names in the sources, each with a place, and what is wrong with the sources."""
    texts = list(sources(root))
    everywhere, names, problems = {}, {}, []
    for path, text in texts:
        if path.endswith(".h"):
            everywhere.update(functions(text))
    for path, text in texts:
        values = PAIR.findall(text)
        for function, index in {**everywhere, **functions(text)}.items():
            for call in re.finditer(rf"\b{function}\(", text):
                given = arguments(text, call.end())
                values += given[index:index + 1]
        for value in values:
            found, wrong = names_in(path, value)
            names.update({name: path for name in found})
            problems += wrong
        names.update({name: path for name in IN_TEXT.findall(text)})
        for table in TABLE.findall(text):
            names.update({name: path for name in STRING.findall(table)})
    return names, problems


def documented(manual):
    """Names of items like `.It Cm ban , ban_extended No (warning) , Cm other No (info)` in the section LOG, and of
    `An event .Cm decision (level info)`."""
    section = re.search(r"(?ms)^\.Sh LOG$(.*?)(?=^\.Sh )", manual + "\n.Sh ")
    names = set(re.findall(r"An event\n\.Cm (\w+)\n\(level \w+\)", section.group(1) if section else ""))
    for item in re.findall(r"(?m)^\.It (.*)$", section.group(1) if section else ""):
        if re.search(LEVEL, item):
            names.update(re.findall(r"\b[a-z_]+\b", re.sub(LEVEL, "", item)))
    return names


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    try:
        with open(os.path.join(root, MANUAL), encoding="utf-8") as f:
            manual = documented(f.read())
    except OSError:
        print(f"{MANUAL}: is missing")
        return 1
    names, problems = written(root)
    problems += [f"{names[name]}: the event `{name}` is not in {MANUAL}" for name in sorted(set(names) - manual)]
    problems += [f"{MANUAL}: the event `{name}` is nowhere written" for name in sorted(manual - set(names))]
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
