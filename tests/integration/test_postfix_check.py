# SPDX-License-Identifier: ISC
"""`reevectl postfix check` on planted mistakes: each is named, by its id and in words, and the lines it gives mend it. Nothing
runs here but postconf and postmap, on folders of the test's own. And `apply`: on the stock configuration, twice, and taken back.
"""

import os
import shutil
import subprocess

from harness import PrivateDir, main, unittest
from postfix_tree import Tree, needs_stock

REEVE = """\
# The postmaster's own words.
listen:
  - inet:127.0.0.1:10045
site:
  origin: customer.example      # keep this one
postfix: { hide_clients: [submission, submissions] }
rules:
  - { name: ptr, check: ptr }
  - { name: ehlo-names, check: helo, names: [ylmf-pc] }
  - { name: catchall, check: catchall, maps: ["context:catchall"] }
  - { name: per-message, check: recipients, limit: 100 }
  - { name: hourly, check: rate, per: login, limit: 100/1h }
"""

RECIPIENTS = "smtpd_recipient_restrictions="
REINJECTION = "127.0.0.1:10025/inet/"
CALL = "reeve=check_policy_service { $reeve_socket, timeout=%s, { default_action = $reeve_default_action }%s }"

HIDES_BY_OPTION = bool(shutil.which("postconf")) and "smtpd_hide_client_session" in subprocess.run(
    ["postconf", "-d"], capture_output=True, text=True, check=False).stdout

# What is planted, each with what `check` must say. Words are those of postconf; several are several calls.
MISTAKES = [
    ("behind a permit", "behind-permit", "'permit_mynetworks'", [
        ("-e", RECIPIENTS + "permit_mynetworks, $reeve, $reeve_find_catchalls, reject_unauth_destination")]),
    ("behind a permit of an access map", "behind-permit", "'check_client_access'", [
        ("-e", RECIPIENTS + "check_client_access inline:{192.0.2.1=OK}, $reeve, $reeve_find_catchalls")]),
    ("behind the end", "never-runs", "is never asked", [
        ("-e", RECIPIENTS + "permit_mynetworks, reject_unauth_destination, permit, $reeve")]),
    ("overridden on port 25", "overridden", "smtp/inet: its own smtpd_recipient_restrictions hides main.cf's", [
        ("-P", "smtp/inet/" + RECIPIENTS + "reject_unauth_destination")]),
    ("submission without limits", "limits-unasked", "submission/inet", [
        ("-P", "submission/inet/" + RECIPIENTS + "permit_sasl_authenticated,reject")]),
    ("submission behind its permit", "behind-permit", "'permit_sasl_authenticated'", [
        ("-P", "submission/inet/" + RECIPIENTS + "permit_sasl_authenticated,$reeve,reject")]),
    ("asked twice, by a line of its own", "asked-twice", "smtpd_data_restrictions", [
        ("-P", REINJECTION + "smtpd_data_restrictions=$reeve")]),
    ("asked twice, by main.cf", "asked-twice", "smtpd_end_of_data_restrictions", [
        ("-PX", REINJECTION + "smtpd_end_of_data_restrictions")]),
    ("recipients before relay control", "relay-order", "before relay control", [
        ("-e", "smtpd_relay_before_recipient_restrictions=no")]),
    ("recipients before relay control, one service", "relay-order", "smtp/inet", [
        ("-P", "smtp/inet/smtpd_relay_before_recipient_restrictions=no")]),
    ("open relay by order", "open-relay", "smtp/inet is an open relay: 'permit'", [
        ("-e", "smtpd_relay_restrictions=permit_mynetworks, permit, reject_unauth_destination",
         RECIPIENTS + "$reeve, $reeve_find_catchalls")]),
    ("open relay by a forged sender", "open-relay", "may be an open relay: 'check_sender_access'", [
        ("-e", "smtpd_relay_restrictions=check_sender_access inline:{a.example=OK}, reject_unauth_destination",
         RECIPIENTS + "$reeve, $reeve_find_catchalls")]),
    ("open relay by networks", "open-relay", "mynetworks holds 0.0.0.0/0", [("-e", "mynetworks=127.0.0.0/8 0.0.0.0/0")]),
    ("nobody listens there", "socket", "Reeve does not listen there", [("-e", "reeve_socket=inet:127.0.0.1:10046")]),
    ("a time-out of minutes", "timeout", "holds up each recipient", [("-e", CALL % ("100s", ""))]),
    ("a time-out below the deadline", "timeout", "shorter than Reeve's deadline", [("-e", CALL % ("2s", ""))]),
    ("one try only", "try-limit", "try_limit=1", [("-e", "smtpd_policy_service_try_limit=1")]),
    ("one try only, in the call", "try-limit", "try_limit=1", [("-e", CALL % ("10s", ", try_limit=1"))]),
    ("a call of its own, with one try", "try-limit", "try_limit=1", [
        ("-e", RECIPIENTS + "check_policy_service { inet:localhost:10045, timeout=10s, default_action=DUNNO, try_limit=1 }, "
               "$reeve_find_catchalls, reject_unauth_destination")]),
    ("DATA not wired", "data-unwired", "smtpd_data_restrictions does not ask", [
        ("-e", "smtpd_data_restrictions=reject_unauth_pipelining")]),
    ("DATA not wired on submission", "data-unwired", "submission/inet", [("-P", "submission/inet/smtpd_data_restrictions=")]),
    ("end of data not wired", "end-unwired", "smtpd_end_of_data_restrictions does not ask", [
        ("-e", "smtpd_end_of_data_restrictions=")]),
    ("refused for good while Reeve is away", "default-action", "refused for good", [
        ("-e", "reeve_default_action=550 5.7.1 no service")]),
    ("mail from outside turned away", "default-action", "all mail from outside", [
        ("-e", "reeve_default_action=451 4.3.5 later")]),
    ("logins not counted while Reeve is away", "default-action", "without being counted", [
        ("-P", "submission/inet/reeve_default_action=DUNNO")]),
    ("no names of clients", "peername", "ptr rule asks DNS", [("-e", "smtpd_peername_lookup=no")]),
    ("a header check for all Received lines", "foreign-received", "that other servers wrote", [
        ("-e", "header_checks=regexp:{{/^Received:/ IGNORE}}"), ]),
    ("a header check for lines of logins", "foreign-received", "that other servers wrote", [
        ("-e", r"header_checks=pcre:{{/^Received:.*\(Authenticated sender:/ REPLACE Received: by us}}")]),
    ("a domain that Reeve does not know", "site-domains", "new.example", [
        ("-e", "virtual_mailbox_domains=customer.example, shop.example, new.example")]),
    ("a network that Reeve does not know", "site-networks", "198.51.100.0/28", [
        ("-e", "mynetworks=127.0.0.0/8, 203.0.113.0/28, 198.51.100.0/28")]),
    ("an address that Reeve does not know", "site-addresses", "192.0.2.88", [("-e", "proxy_interfaces=192.0.2.88")]),
    ("another delimiter", "site-delimiter", "'-+'", [("-e", "recipient_delimiter=-+")]),
    ("another origin", "site-origin", "'other.example'", [("-e", "myorigin=other.example")]),
    ("asked before the login", "asked-before-login", "before anybody can have logged in", [
        ("-e", "smtpd_delay_reject=no"), ("-P", "submission/inet/smtpd_client_restrictions=$reeve")]),
    ("another greeting", "banner", "smtpd_banner", [("-e", "smtpd_banner=$myhostname hello")]),
    ("other EHLO names", "ehlo-filter", "other EHLO names", [
        ("-e", "smtpd_command_filter=pcre:{ {/^EHLO old$$/ Refused: EHLO old} }")]),
    ("a lower limit of recipients", "recipient-limit", "Postfix refuses recipients that Reeve would take", [
        ("-e", "smtpd_recipient_limit=50")]),
    ("the class for catchalls is gone", "catchalls-unwired", "smtpd_restriction_classes", [
        ("-e", "smtpd_restriction_classes=")]),
    ("catchalls not told", "catchalls-unwired", "does not tell Reeve of catchalls", [
        ("-e", RECIPIENTS + "$reeve, reject_unauth_destination")]),
    ("luser_relay", "luser_relay", "every unknown local user", [("-e", "luser_relay=root")]),
    ("fallback_transport", "fallback_transport", "none is refused", [("-e", "fallback_transport=smtp:[127.0.0.1]")]),
    ("nobody is unknown", "local_recipient_maps", "no local recipient is ever unknown", [("-e", "local_recipient_maps=")]),
]

# From 3.10 on smtpd(8) hides clients by itself; before, a cleanup with a header check does.
HIDING = [
    ("clients show on submission", "client-shown", "submission/inet still shows", [
        ("-P", "submission/inet/smtpd_hide_client_session=no")]),
] if HIDES_BY_OPTION else [
    ("clients show on submission", "client-shown", "submission/inet still shows", [
        ("-P", "submission/inet/cleanup_service_name=cleanup")]),
    ("a check that hides another host", "client-shown", "still shows", [
        ("-e", "reeve_hide_checks=regexp:{{/^Received: from .* by mail\\.old\\.example \\(Postfix\\)/ IGNORE}}")]),
    ("header checks switched off", "client-shown", "no_header_body_checks", [
        ("-P", "submission/inet/receive_override_options=no_header_body_checks")]),
]

WARNINGS = {"luser_relay", "fallback_transport", "local_recipient_maps"}


class CheckTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = PrivateDir()
        cls.addClassCleanup(cls.dir.close)
        cls.good = Tree.provider(os.path.join(cls.dir.path, "good"), REEVE)
        done = cls.good.ctl("apply")
        if done.code or cls.good.ctl("check").out != "Postfix and Reeve fit together.\n":
            raise AssertionError((done, cls.good.ctl("check")))

    def setUp(self):
        self.tree = self.copy(self.good, self.id().rsplit(".", 1)[1])

    def copy(self, tree, name):
        """A tree of its own with the same files."""
        out = Tree(os.path.join(self.dir.path, name), "", "", tree.reeve())
        for file in ("main.cf", "master.cf", "virtual"):
            if os.path.exists(os.path.join(tree.etc, file)):
                shutil.copy(os.path.join(tree.etc, file), os.path.join(out.etc, file))
        self.addCleanup(shutil.rmtree, out.root)
        return out

    def mend(self, tree, finding):
        """Does what the finding says: its lines are run as they are; those for reeve.yaml are put in by `apply`."""
        self.assertTrue(finding["mend"], finding)
        for line in finding["mend"]:
            if line["kind"] == "reeve":
                self.assertTrue(line["line"].startswith(tree.config + ": site: {"), line)
                self.assertEqual(tree.ctl("apply").code, 0)
            else:
                self.assertIn(line["kind"], ("main", "service", "master", "command"), finding)
                tree.run_line(line["line"])

    def test_planted_mistakes(self):
        self.assertGreaterEqual(len(MISTAKES), 15)
        for number, (name, wanted, words, calls) in enumerate(MISTAKES + HIDING):
            with self.subTest(name):
                tree = self.copy(self.good, "planted-%d" % number)
                for call in calls:
                    tree.postconf(*call)
                done = tree.ctl("check", "--json")
                self.assertEqual(done.code, 0 if wanted in WARNINGS or "may be" in words or "check_client" in words else 78, done)
                found = [one for one in done.json["findings"] if one["id"] == wanted]
                self.assertTrue(found, done)
                self.assertTrue(any(words in one["message"] for one in found), found)
                for one in done.json["findings"]:
                    self.mend(tree, one)
                left = tree.findings()
                # Copies of what was mended follow it.
                for one in left:
                    self.assertNotEqual(one["id"], wanted, left)
                    self.mend(tree, one)
                self.assertEqual(left and tree.findings(), [], name)

    def test_text_names_the_same(self):
        self.tree.postconf("-e", "smtpd_data_restrictions=", "reeve_socket=inet:127.0.0.1:1", "luser_relay=root")
        done = self.tree.ctl("check")
        self.assertEqual(done.code, 78)
        for one in self.tree.findings():
            self.assertIn("%s: %s [%s]\n" % (one["level"], one["message"], one["id"]), done.out)
            for line in one["mend"]:
                self.assertIn("\n    %s\n" % line["line"], done.out)
        self.assertTrue(done.out.endswith("2 mistakes, 1 warning; `reevectl postfix apply` mends 2 of them\n"), done.out)

    def test_apply_mends_what_is_its_own(self):
        """Mistakes of the wiring all at once; what is a choice of the operator is left."""
        self.tree.postconf("-e", "smtpd_data_restrictions=", "reeve_socket=inet:127.0.0.1:1", "luser_relay=root",
                           "smtpd_banner=hello")
        self.tree.postconf("-P", "submission/inet/" + RECIPIENTS + "permit_sasl_authenticated,reject",
                           "submission/inet/cleanup_service_name=cleanup")
        done = self.tree.ctl("apply")
        self.assertEqual(done.code, 0, done)
        self.assertIn("left to do by hand: 1", done.out)
        self.assertEqual([one["id"] for one in self.tree.findings()], ["luser_relay"])
        self.assertEqual(self.tree.value("luser_relay"), "root")

    def rules(self, old, new):
        text = self.tree.reeve()
        self.assertIn(old, text)
        self.tree.reeve(text.replace(old, new))

    def test_catchalls_that_no_rule_sees(self):
        for new in ('check: catchall, maps: []', 'check: catchall, mode: off, maps: ["context:catchall"]'):
            self.rules('check: catchall, maps: ["context:catchall"]', new)
            (found,) = self.tree.findings("catchall-unseen")
            self.assertIn("@shop.example in virtual_alias_maps", found["message"])
            self.assertIn('maps: ["context:catchall"]', found["mend"][0]["line"])
            self.rules(new, 'check: catchall, maps: ["context:catchall"]')
        self.assertEqual(self.tree.findings(), [])
        # A rule that reads the file itself sees it as well.
        self.rules('maps: ["context:catchall"]', 'maps: ["file:%s/virtual"]' % self.tree.etc)
        self.assertEqual(self.tree.findings("catchall-unseen"), [])

    def test_maps_that_know_everybody(self):
        for name, value in (("local_recipient_maps", "regexp:{{/./ x}}"), ("virtual_alias_maps", r"pcre:{{/@shop\.example$$/ x@y.example}}"),
                            ("virtual_mailbox_maps", "static:x")):
            with self.subTest(name):
                tree = self.copy(self.good, "everybody-" + name)
                tree.postconf("-e", "%s=%s" % (name, value))
                (found,) = tree.findings("takes-everything")
                self.assertEqual(found["level"], "warning")
                self.assertIn(name, found["message"])
                tree.postconf("-e", "%s=%s" % (name, value.replace("/./", "/^user$$/").replace("/@shop", "/^a@shop").replace("static:x", "")))
                self.assertEqual(tree.findings("takes-everything"), [])

    def test_hide_clients(self):
        self.rules("hide_clients: [submission, submissions]", "hide_clients: [587, imaginary]")
        found = self.tree.findings()
        self.assertEqual(sorted(one["id"] for one in found), ["client-shown", "hide-unknown"])
        self.assertTrue(any("submissions/inet takes mail from logins too" in one["message"] for one in found), found)

    def test_hidden_by_the_operators_own_check(self):
        tree = Tree.provider(os.path.join(self.dir.path, "own-check"), REEVE)
        self.addCleanup(shutil.rmtree, tree.root)
        tree.postconf("-M", "anon/unix=anon unix n - y - 0 cleanup")
        tree.postconf("-e", r"anon_checks=regexp:{{/^Received: from .*by mail\.isp\.example \(Postfix\)/ IGNORE}}")
        tree.postconf("-P", "anon/unix/header_checks=$anon_checks", "submission/inet/cleanup_service_name=anon",
                      "submissions/inet/cleanup_service_name=anon")
        self.assertEqual(tree.findings("client-shown"), [])
        self.assertEqual(tree.ctl("apply").code, 0)
        self.assertEqual(tree.option("submission/inet", "cleanup_service_name"), "anon")
        self.assertNotIn("reeve-hide", tree.postconf("-M"))

    def test_monitor_refuses_nothing(self):
        """With `mode: monitor` Postfix is not told to refuse either."""
        tree = Tree.provider(os.path.join(self.dir.path, "monitor"), "mode: monitor\n" + REEVE)
        self.addCleanup(shutil.rmtree, tree.root)
        self.assertEqual(tree.ctl("apply").code, 0)
        self.assertEqual(tree.value("smtpd_command_filter"), "")
        self.assertEqual(tree.value("smtpd_recipient_limit"), "500")
        self.assertNotIn("451", tree.postconf("-n"))
        self.assertEqual(tree.findings(), [])
        # And back to enforcing: now it is.
        tree.reeve(tree.reeve().replace("mode: monitor\n", ""))
        self.assertEqual({one["id"] for one in tree.findings()}, {"ehlo-filter", "recipient-limit", "default-action"})
        self.assertEqual(tree.ctl("apply").code, 0)
        self.assertEqual(tree.findings(), [])
        tree.reeve("mode: monitor\n" + tree.reeve())
        self.assertEqual([one["id"] for one in tree.findings()], ["ehlo-filter"])

    def test_names_that_own_programs_use_are_not_filtered(self):
        self.rules("names: [ylmf-pc]", 'names: [ylmf-pc, "local*", "mail.isp.example", "!good.bad.example", "*.bad.example"]')
        self.assertEqual(self.tree.ctl("apply").code, 0)
        value = self.tree.value("smtpd_command_filter")
        self.assertNotIn("local", value)
        self.assertNotIn("isp", value)
        (found,) = self.tree.findings()
        self.assertEqual((found["id"], found["level"]), ("ehlo-names", "warning"))

    def test_a_log_that_nobody_writes(self):
        self.tree.reeve(self.tree.reeve() + "bans: { maillog: journal }\n")
        self.assertEqual(self.tree.findings(), [])
        self.tree.postconf("-e", "maillog_file=/var/log/postfix.log")
        (found,) = self.tree.findings()
        self.assertEqual((found["id"], found["level"]), ("maillog", "mistake"))
        self.assertEqual([line["line"] for line in found["mend"]], ['bans: maillog: "file:/var/log/postfix.log"'])
        self.tree.reeve(self.tree.reeve().replace("journal", '"file:/var/log/postfix.log"'))
        self.assertEqual(self.tree.findings(), [])

    def test_error_limit_and_early(self):
        self.tree.reeve(self.tree.reeve() + "bans: { mode: enforce, disconnect_at: 7 }\n")
        self.rules("- { name: ptr, check: ptr }", "- { name: ptr, check: ptr }\n  - { name: now, check: ban, early: yes, match: { server_port: [25] } }")
        found = self.tree.findings()
        self.assertEqual({one["id"] for one in found}, {"error-limit", "early"})
        self.assertEqual(self.tree.ctl("apply").code, 0)
        self.assertEqual(self.tree.value("smtpd_hard_error_limit"), "${stress?{1}:{7}}")
        self.assertEqual(self.tree.option("smtp/inet", "smtpd_delay_reject"), "no")
        self.assertEqual(self.tree.option("smtp/inet", "smtpd_client_restrictions"), "$reeve")
        self.assertEqual(self.tree.option("smtp/inet", "smtpd_helo_restrictions"),
                         "$reeve,permit_mynetworks,reject_invalid_helo_hostname")
        # Where logins come it stays as it was.
        self.assertEqual(self.tree.option("submission/inet", "smtpd_client_restrictions"), "")
        self.assertNotIn("submission/inet/smtpd_delay_reject", self.tree.postconf("-P"))
        self.assertEqual(self.tree.findings(), [])


if __name__ == "__main__":
    needs_stock()
    main()
