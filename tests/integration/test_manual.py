# SPDX-License-Identifier: ISC
"""Every configuration that the manual, the README and the examples show is one that `reeved -t` takes, without a warning."""

import os
import re
import subprocess

from harness import REEVED, TOP, PrivateDir, main, unittest

# What examples rely on and do not show themselves.
AROUND = {
    "site": "site: { domains: [example.com], addresses: [192.0.2.1] }\n",
    "lists": "lists: { bulk: [newsletter@example.com] }\n",
    "rules": "rules: [{ name: banned, check: ban }]\n",
}
KEYS = re.compile(r"(?m)^(version|mode|listen|store|dns|site|lists|rules|bans|postfix|notify|log|metrics|control):")


def of_manual():
    with open(os.path.join(TOP, "packaging", "man", "reeve.yaml.5"), encoding="utf-8") as file:
        blocks = re.findall(r"\.Bd -literal[^\n]*\n(.*?)\.Ed", file.read(), re.DOTALL)
    return [block.replace(r"\-", "-").replace(r"\(dq", '"').replace(r"\e", "\\") for block in blocks if not block.startswith('{"')]


def of_readme():
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as file:
        blocks = re.findall(r"(?m)(?:^(?: {4}.*)?\n)+", file.read())
    texts = [re.sub(r"(?m)^ {4}", "", block) for block in blocks]
    return [text for text in texts if KEYS.search(text)]


class Examples(unittest.TestCase):
    def setUp(self):
        self.dir = PrivateDir()
        self.addCleanup(self.dir.close)
        self.file = os.path.join(self.dir.path, "reeve.yaml")
        for name, text in (("list", "example.com\n"), ("limits", "bob@example.com 500/1h,2000/1d\n"), ("secret", "x\n")):
            with open(os.path.join(self.dir.path, name), "w", encoding="utf-8") as file:
                file.write(text)

    def complete(self, text):
        """A rule of its own becomes a list of one; files stand where the test can make them."""
        if text.startswith("- "):
            text = "rules:\n" + re.sub(r"(?m)^", "  ", text)
        text = re.sub(r"file:/[\w./-]*limits", "file:%s/limits" % self.dir.path, text)
        text = re.sub(r"file:/(?!var/log|tmp)[\w./-]+", "file:%s/list" % self.dir.path, text)
        text = re.sub(r"password_file: \S+?(?=[ ,}\n])", "password_file: %s/secret" % self.dir.path, text)
        return text + "\n" + "".join(line for key, line in AROUND.items() if not re.search(r"(?m)^%s:" % key, text))

    def good(self, text):
        with open(self.file, "w", encoding="utf-8") as file:
            file.write(self.complete(text))
        done = subprocess.run([REEVED, "-t", "-c", self.file], capture_output=True, text=True, check=False)
        said = [line for line in done.stderr.splitlines() if "can never apply: no maps" not in line]
        self.assertEqual((done.returncode, said), (0, []), (text, done.stderr))

    def test_manual(self):
        examples = of_manual()
        for text in examples:
            with self.subTest(text):
                self.good(text)
        checks = set(re.findall(r"check: (\w+)", " ".join(text for text in examples if text.count("check:") == 1)))
        with open(os.path.join(TOP, "daemon", "rules", "table.h"), encoding="utf-8") as file:
            rules = set(re.findall(r"\bRULE\((\w+)\)", file.read())) - {"name"}
        self.assertGreaterEqual(len(rules), 10, rules)
        self.assertEqual(rules - checks, set(), "an example for each rule")

    def test_readme(self):
        examples = of_readme()
        self.assertGreaterEqual(len(examples), 4, examples)
        for text in examples:
            with self.subTest(text):
                self.good(text)

    def test_packaged(self):
        """As they are; what they leave to the site is warned of and no error."""
        for name in ("reeve.yaml", "reeve-minimal.yaml"):
            done = subprocess.run([REEVED, "-t", "-c", os.path.join(TOP, "config", name)], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertTrue(all(": warning: rule '" in line for line in done.stderr.splitlines()), done.stderr)


if __name__ == "__main__":
    main()
