#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The habits a machine can check: licence line and opening comment, banned functions, lengths,
white space, and a test for each module (that one only warns).

usage: source.py [ROOT]; prints FILE:LINE: message for each violation, exits 1 if there is one.
"""
import os
import re
import sys

FILE_LINES = 600
TEST_FILE_LINES = 800  # tables of cases
FUNCTION_LINES = 80
README_LINES = 200
COLUMNS = 100  # the aim: told in one line
COLUMNS_LIMIT = 140
SPDX = "SPDX-License-Identifier: ISC"

BANNED = ["strcpy", "stpcpy", "strcat", "sprintf", "vsprintf", "strtok", "strtok_r", "gets", "atoi", "atol",
          "atoll", "atof", "alloca", "system", "popen", "wordexp", "mktemp", "tmpnam"]
BANNED_CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
TOKENS = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

TOPS = ["common", "config", "daemon", "tests", "packaging", ".ci"]
TEXT_ENDS = (".c", ".h", ".py", ".sh", ".md", ".yaml", ".scn", ".lua", ".1", ".5", ".7", ".8", ".service")


def files(root):
    for name in sorted(os.listdir(root)):
        if os.path.isfile(os.path.join(root, name)):
            yield name
    for top in TOPS:
        for folder, folders, names in os.walk(os.path.join(root, top)):
            folders[:] = [f for f in folders if f not in ("__pycache__", "corpus", "data")]
            for name in sorted(names):
                yield os.path.relpath(os.path.join(folder, name), root)


def without_comments_and_strings(text):
    """The same text with comments and literals blanked, so that line numbers stay."""
    return TOKENS.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def check_opening(path, lines):
    comment = "/* " + SPDX + " */" if path.endswith((".c", ".h")) else "# " + SPDX
    first = lines[1] if len(lines) > 1 and lines[0].startswith("#!") else lines[0] if lines else ""
    if first != comment:
        yield 1, f"the first line must be: {comment}"
    elif path.endswith((".c", ".h")) and not path.startswith("tests/unit/") and not any(l.startswith(("/*", " *")) for l in lines[1:4]):
        yield 2, "no opening comment that says what the file does"


def check_lengths(lines, limit=FILE_LINES):
    if len(lines) > limit:
        yield limit + 1, f"the file has {len(lines)} lines, {limit} are the limit"
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            if number - start - 1 > FUNCTION_LINES:
                yield start, f"the function has {number - start - 1} lines, {FUNCTION_LINES} are the limit"
            start = None


def check_c(text, lines):
    code = without_comments_and_strings(text).split("\n")
    for number, line in enumerate(code, 1):
        for found in BANNED_CALL.finditer(line):
            yield number, f"{found.group(1)} is not used here"
    for number, line in enumerate(lines, 1):
        if len(line.expandtabs(8)) > COLUMNS_LIMIT:
            yield number, f"{len(line.expandtabs(8))} columns, {COLUMNS_LIMIT} are the limit"
        if re.match(r" {4,}\S", line):
            yield number, "indented with blanks"


def check_text(path, lines, text):
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield number, "white space at the end of the line"
        if UNFINISHED.search(line) and not path.startswith("tests/lint/"):
            yield number, "unfinished work is not kept in the source"
    if text and not text.endswith("\n"):
        yield len(lines), "no newline at the end of the file"
    if path == "README.md" and len(lines) > README_LINES:
        yield README_LINES + 1, f"README.md has {len(lines)} lines, {README_LINES} are the limit"


def problems_of(root, path):
    try:
        with open(os.path.join(root, path), encoding="utf-8") as f:
            text = f.read()
    except UnicodeDecodeError:
        yield 1, "is not UTF-8"
        return
    lines = text.split("\n")
    lines = lines[:-1] if lines[-1] == "" else lines
    yield from check_text(path, lines, text)
    if path.endswith((".c", ".h", ".py", ".sh")) or path == "Makefile":
        yield from check_opening(path, lines)
    if path.endswith((".c", ".h")):
        yield from check_lengths(lines, TEST_FILE_LINES if path.startswith("tests/") else FILE_LINES)
        yield from check_c(text, lines)


def warn_untested(root):
    tests = ""
    for folder, _, names in os.walk(os.path.join(root, "tests")):
        for name in names:
            if name.endswith(".c"):
                with open(os.path.join(folder, name), errors="replace") as f:
                    tests += os.path.join(folder, name) + "\n" + f.read()
    untested = []
    for path in files(root):
        if path.startswith(("common/", "config/", "daemon/")) and path.endswith(".c"):
            header, base = path[:-2] + ".h", os.path.basename(path)[:-2]
            if f'"{header}"' not in tests and f"/test_{base}.c" not in tests:
                untested.append(path)
    for path in untested:
        print(f"warning: {path}: no test names it")


def warn_wide(root):
    wide = {}
    for path in files(root):
        if path.endswith((".c", ".h")):
            with open(os.path.join(root, path), errors="replace") as f:
                count = sum(len(line.rstrip("\n").expandtabs(8)) > COLUMNS for line in f)
            if count:
                wide[path] = count
    if wide:
        most = ", ".join(f"{p} {wide[p]}" for p in sorted(wide, key=wide.get, reverse=True)[:5])
        print(f"warning: {sum(wide.values())} lines of {len(wide)} files are wider than {COLUMNS} columns ({most}...)")


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    problems = 0
    for path in files(root):
        if path.endswith(TEXT_ENDS) or path in ("Makefile", ".gitignore", "LICENSE"):
            for number, problem in problems_of(root, path):
                print(f"{path}:{number}: {problem}")
                problems += 1
    warn_untested(root)
    warn_wide(root)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
