# SPDX-License-Identifier: ISC
"""`reevectl postfix apply` on Debian's stock files: twice, and taken back; and a unix socket that Postfix must reach."""

import os
import shutil
import subprocess
import unittest.mock

from harness import PrivateDir, main, unittest
from postfix_tree import REEVECTL, SUBMISSION, Tree, needs_stock


class SocketTest(unittest.TestCase):
    """A unix socket in Postfix's queue directory, which a chrooted smtpd with its own user must reach."""

    def setUp(self):
        self.dir = PrivateDir()
        self.addCleanup(self.dir.close)
        self.queue = os.path.join(self.dir.path, "spool")
        self.folder = os.path.join(self.queue, "reeve")
        self.path = os.path.join(self.folder, "policy.sock")
        self.tree = Tree.stock(os.path.join(self.dir.path, "t"), 'listen: ["unix:%s"]\nsite: { origin: example.com }\n' % self.path)
        self.tree.postconf("-e", "queue_directory=" + self.queue)
        os.makedirs(self.folder)
        shutil.chown(self.folder, group="postfix")
        os.chmod(self.folder, 0o750)
        with open(self.path, "wb"):
            pass
        shutil.chown(self.path, group="postfix")
        os.chmod(self.path, 0o660)
        self.assertEqual(self.tree.ctl("apply").code, 0)
        self.assertEqual(self.tree.findings(), [])

    def named(self, wanted, words):
        (found,) = self.tree.findings()
        self.assertEqual(found["id"], wanted)
        self.assertIn(words, found["message"])
        return found

    def mended(self, found):
        for line in found["mend"]:
            self.tree.run_line(line["line"].replace("-o reeve ", "-o root "))

    def test_written_for_the_chroot(self):
        self.assertEqual(self.tree.value("reeve_socket"), "unix:reeve/policy.sock")

    def test_absolute_path_in_a_chroot(self):
        self.tree.postconf("-e", "reeve_socket=unix:" + self.path)
        found = self.named("socket-chroot", "chrooted")
        self.mended(found)
        self.assertEqual(self.tree.findings(), [])
        # Without the chroot it is right.
        self.tree.postconf("-e", "reeve_socket=unix:" + self.path)
        self.tree.postconf("-F", "smtp/inet/chroot=n")
        self.assertEqual(self.tree.findings(), [])

    def test_folder_closed(self):
        os.chmod(self.folder, 0o700)
        found = self.named("socket-access", "user postfix may not enter " + self.folder)
        self.mended(found)
        self.assertEqual(self.tree.findings(), [])

    def test_socket_closed(self):
        shutil.chown(self.path, group="root")
        found = self.named("socket-access", "user postfix may not write to " + self.path)
        self.mended(found)
        self.assertEqual(self.tree.findings(), [])

    def test_folder_missing(self):
        shutil.rmtree(self.folder)
        found = self.named("socket-access", "the folder is missing")
        self.mended(found)
        self.named("socket-access", "does Reeve run?")

    def test_socket_outside_of_the_queue(self):
        self.tree.reeve(self.tree.reeve().replace(self.path, "/run/reeve/policy.sock"))
        found = self.tree.findings("socket-chroot")
        self.assertTrue(any("cannot reach any socket" in one["message"] for one in found), found)
        self.assertTrue(any("unix:%s/reeve/policy.sock" % self.queue in one["mend"][0]["line"] for one in found), found)


class ApplyTest(unittest.TestCase):
    """Debian's own files."""

    def setUp(self):
        self.dir = PrivateDir()
        self.addCleanup(self.dir.close)
        with open(os.path.join(os.path.dirname(REEVECTL), "..", "..", "config", "reeve.yaml"), encoding="utf-8") as file:
            text = file.read()
        self.tree = Tree.stock(os.path.join(self.dir.path, "t"), text)
        self.before = self.tree.bytes()

    def test_stock(self):
        done = self.tree.ctl("apply")
        self.assertEqual(done.code, 0, done)
        self.assertNotIn("by hand", done.out)
        after = self.tree.bytes()
        self.assertEqual(self.tree.ctl("check").out, "Postfix and Reeve fit together.\n")
        done = self.tree.ctl("apply")
        self.assertEqual((done.code, done.out), (0, "nothing to change\n"))
        self.assertEqual(self.tree.bytes(), after)
        done = self.tree.ctl("apply", "--undo")
        self.assertEqual(done.code, 0, done)
        self.assertEqual(self.tree.bytes(), self.before)
        self.assertEqual(sorted(os.listdir(self.tree.etc)), ["main.cf", "master.cf"])
        self.assertEqual(self.tree.ctl("apply", "--undo").code, 66)

    def test_postfix_itself_finds_nothing_either(self):
        """`postfix check` and ours, on the stock files, with submission from Debian's template, and a provider's."""
        text = self.tree.reeve()
        trees = {"stock": self.tree, "submission": Tree.stock(os.path.join(self.dir.path, "s"), text, SUBMISSION),
                 "provider": Tree.provider(os.path.join(self.dir.path, "p"), text)}
        for name, tree in trees.items():
            with self.subTest(name):
                tree.own_folders()
                before = tree.bytes()
                self.assertEqual(tree.postfix_check(), "")
                self.assertEqual(tree.ctl("apply").code, 0)
                self.assertEqual(tree.postfix_check(), "")
                # A rule that the provider's configuration lacks is for a human to write.
                self.assertEqual([one["id"] for one in tree.findings()], ["catchall-unseen"] * (name == "provider"))
                after = tree.bytes()
                self.assertEqual(tree.ctl("apply").code, 0)
                self.assertEqual(tree.bytes(), after)
                self.assertEqual(tree.ctl("apply", "--undo").code, 0)
                self.assertEqual(tree.bytes(), before)
        self.tree.postconf("-e", "smtpd_recipient_restrictions=$reve")
        self.assertIn("undefined parameter: reve", self.tree.postfix_check())

    def test_not_by_everybody(self):
        os.chmod(self.dir.path, 0o755)
        for path in (self.tree.root, self.tree.etc):
            os.chmod(path, 0o755)
        argv = [REEVECTL, "-c", self.tree.config, "postfix", "apply", "--config-dir", self.tree.etc]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, check=False, user=65534, group=65534, extra_groups=[])
        except PermissionError:
            self.skipTest("nobody else may run " + REEVECTL)
        self.assertEqual((done.returncode, done.stdout), (77, ""), done)
        self.assertRegex(done.stderr, r"^reevectl: nothing was changed: \S+: Permission denied\n  run it as root\n$")
        self.assertEqual(self.tree.bytes(), self.before)

    def test_comments_of_reeve_yaml_stay(self):
        self.assertEqual(self.tree.ctl("apply").code, 0)
        old, new = self.before["reeve.yaml"].decode().split("\n"), self.tree.reeve().split("\n")
        self.assertEqual(len(old), len(new))
        changed = [(a, b) for a, b in zip(old, new) if a != b]
        self.assertTrue(changed)
        for a, b in changed:
            self.assertEqual(a.partition("#")[2], b.partition("#")[2])

    def test_modes_stay(self):
        for name, mode in (("main.cf", 0o640), ("master.cf", 0o644)):
            os.chmod(os.path.join(self.tree.etc, name), mode)
        shutil.chown(os.path.join(self.tree.etc, "main.cf"), group="postfix")
        for words in ((), ("--undo",)):
            self.assertEqual(self.tree.ctl("apply", *words).code, 0)
            info = os.stat(os.path.join(self.tree.etc, "main.cf"))
            self.assertEqual(info.st_mode & 0o7777, 0o640)
            self.assertNotEqual(info.st_gid, 0)

    def test_undo_keeps_later_changes(self):
        self.assertEqual(self.tree.ctl("apply").code, 0)
        self.tree.postconf("-e", "delay_warning_time=4h")
        done = self.tree.ctl("apply", "--undo")
        self.assertEqual(done.code, 75, done)
        self.assertIn("main.cf was changed since", done.err)
        self.assertEqual(self.tree.value("delay_warning_time"), "4h")
        self.assertEqual(self.tree.ctl("apply", "--undo", "--force").code, 0)
        self.assertEqual(self.tree.bytes(), self.before)

    def test_what_an_editor_saves_meanwhile_is_not_lost(self):
        """A postconf that takes its time: somebody writes main.cf while it works on the copies."""
        tools = os.path.join(self.dir.path, "tools")
        os.mkdir(tools)
        wrapper = os.path.join(tools, "postconf")
        with open(wrapper, "w", encoding="utf-8") as file:
            file.write('#!/bin/sh\ncase " $* " in *" -e "*) echo "# by hand" >>%s/main.cf;; esac\nexec %s "$@"\n'
                       % (self.tree.etc, shutil.which("postconf", path=os.environ["PATH"] + ":/usr/sbin")))
        os.chmod(wrapper, 0o755)
        with unittest.mock.patch.dict(os.environ, {"PATH": tools + ":" + os.environ["PATH"]}):
            done = self.tree.ctl("apply")
        self.assertEqual(done.code, 75, done)
        self.assertIn("main.cf was changed meanwhile; try again", done.err)
        now = self.tree.bytes()
        self.assertTrue(now["main.cf"].startswith(self.before["main.cf"] + b"# by hand\n"))
        self.assertEqual(now["master.cf"], self.before["master.cf"])
        self.assertEqual(self.tree.ctl("apply").code, 0)

    def test_two_changes_are_taken_back_one_by_one(self):
        self.assertEqual(self.tree.ctl("apply").code, 0)
        first = self.tree.bytes()
        self.tree.reeve(self.tree.reeve().replace('banner: "$myhostname ESMTP"', 'banner: "$myhostname ESMTP here"'))
        between = self.tree.bytes()
        self.assertNotEqual(first, between)
        self.assertEqual(self.tree.ctl("apply").code, 0)
        self.assertEqual(self.tree.value("smtpd_banner"), "$myhostname ESMTP here")
        self.assertEqual(self.tree.ctl("apply", "--undo").code, 0)
        self.assertEqual(self.tree.bytes(), between)
        self.tree.reeve(first["reeve.yaml"].decode())
        self.assertEqual(self.tree.ctl("apply", "--undo").code, 0)
        self.assertEqual(self.tree.bytes(), self.before)

    def test_submission_template(self):
        """Debian's own lines for 587, with the comments taken off."""
        tree = Tree.stock(os.path.join(self.dir.path, "s"), "postfix: { hide_clients: [submission] }\n", SUBMISSION)
        self.assertEqual(tree.ctl("apply").code, 0)
        self.assertEqual(tree.option("submission/inet", "smtpd_recipient_restrictions"), "$reeve,permit_sasl_authenticated,reject")
        self.assertEqual(tree.findings(), [])
        printed = tree.ctl("print")
        self.assertEqual(printed.code, 0)
        self.assertIn("# submission/inet takes mail from logins\n", printed.out)
        self.assertNotIn("differs", printed.out)

    def test_print_changes_nothing_and_is_json_too(self):
        done = self.tree.ctl("print")
        self.assertEqual(done.code, 0)
        self.assertIn("\nsmtpd_recipient_restrictions = $reeve\n", done.out)
        every = self.tree.ctl("print", "--json").json
        self.assertEqual(every["services"], [{"service": "smtp/inet", "kind": "mx"}])
        self.assertIn({"id": "socket", "kind": "main", "service": "", "name": "reeve_socket", "value": "inet:127.0.0.1:10045",
                       "met": False}, every["settings"])
        self.assertEqual(self.tree.bytes(), self.before)

    def test_apply_tells_in_json(self):
        done = self.tree.ctl("apply", "--json").json
        self.assertTrue(done["changed"])
        self.assertGreater(done["main"], 5)
        self.assertTrue(os.path.isdir(done["kept"]))
        self.assertFalse(self.tree.ctl("apply", "--json").json["changed"])
        self.assertEqual(len(self.tree.ctl("apply", "--undo", "--json").json["restored"]), 3)

    def test_broken_files_change_nothing(self):
        self.tree.reeve("rules: [\n")
        broken = self.tree.bytes()
        done = self.tree.ctl("apply")
        self.assertEqual(done.code, 78, done)
        self.assertIn("reeve.yaml:", done.err)
        self.assertEqual(self.tree.bytes(), broken)
        self.tree.reeve("")
        os.unlink(os.path.join(self.tree.etc, "main.cf"))
        done = self.tree.ctl("check")
        self.assertEqual(done.code, 69, done)
        self.assertIn("main.cf", done.err)

    def test_wrong_use(self):
        self.assertEqual(self.tree.ctl("check", "--no-such").code, 64)
        self.assertEqual(self.tree.ctl("apply", "--force").code, 64)
        self.assertIn("--undo", self.tree.ctl("apply", "--help").out)


if __name__ == "__main__":
    needs_stock()
    main()
