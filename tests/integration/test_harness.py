# SPDX-License-Identifier: ISC
"""The harness itself, with a stand-in for Reeve: what it says about Postfix, DNS and replies can be believed."""

import os
import shutil
import socket
import struct
import subprocess
import threading

from dnsstub import A, MX, PTR, decode_question, encode_name
from harness import DnsStub, Policy, PrivateDir, Proxy, Smtp, free_port, main, parse_log, request, session, unittest
from policy import attributes_of, read_block
from postfix import PACKAGED, Postfix


class StandIn:
    """Answers each policy request with what `answer(attributes)` gives."""

    def __init__(self, path, answer=lambda attributes: "DUNNO"):
        self.answer = answer
        self.seen = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        shutil.chown(path, group="postfix")
        os.chmod(path, 0o660)
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link):
        rest = b""
        with link:
            while True:
                block, rest = read_block(link, rest)
                if block is None:
                    return
                attributes = attributes_of(block)
                self.seen.append(attributes)
                link.sendall(b"action=" + self.answer(attributes).encode() + b"\n\n")

    def close(self):
        self._listener.close()


class WithPostfix(unittest.TestCase):
    def setUp(self):
        self.dir = PrivateDir()
        self.addCleanup(self.dir.close)

    def begin(self, **options):
        self.postfix = Postfix(self.dir.path, **options)
        self.stand_in = StandIn(self.postfix.socket_path)
        self.addCleanup(self.stand_in.close)
        self.addCleanup(self.postfix.stop)
        self.postfix.start()

    def send(self, service, recipients=("user@example.com",), **who):
        del self.stand_in.seen[:]
        with session(self.postfix.port(service), **who) as smtp:
            return smtp.message("sender@example.net", recipients)

    def states(self):
        return [item["protocol_state"] for item in self.stand_in.seen]

    def check_services(self):
        recipients = ["user@example.com", "nosuch@example.com", "x@outside.example"]
        self.assertEqual(self.send("smtp", recipients).codes(), [250, 550, 554])
        self.assertEqual(self.states(), ["RCPT", "RCPT", "DATA", "END-OF-MESSAGE"])
        for service in ("submission", "submissions"):
            self.assertEqual(self.send(service, recipients, login="alice@example.com").codes(), [250] * 3)
            self.assertEqual(self.states(), ["RCPT"] * 3 + ["DATA", "END-OF-MESSAGE"])
            self.assertEqual({item["sasl_username"] for item in self.stand_in.seen}, {"alice@example.com"})
            self.assertEqual(self.send(service, recipients).codes(), [554] * 3, "no login")
        self.assertEqual(self.send("reinject", recipients, addr="127.0.0.1").codes(), [250, 550, 250])
        self.assertEqual(self.states(), [])

    def test_the_packaged_services(self):
        self.begin()
        self.check_services()
        self.assertEqual(self.send("contexts", login="alice@example.com").codes(), [250])
        self.assertEqual(self.states(), ["RCPT"] * 6 + ["DATA"] * 2 + ["END-OF-MESSAGE"] * 2)
        self.send("stages")
        # Postfix asks about the client as it connects, and again as XCLIENT has changed it.
        self.assertEqual(self.states(), "CONNECT XCLIENT EHLO MAIL RCPT DATA END-OF-MESSAGE".split())
        self.assertEqual(self.stand_in.seen[-1]["client_address"], "198.51.100.7")

    def test_chrooted(self):
        """Debian's default; the socket is found inside the jail."""
        self.begin(chroot=True)
        self.check_services()

    def test_postconf_has_nothing_to_say(self):
        """No unused and no unknown parameter in the packaged lines."""
        self.begin()
        for option in ("-n", "-M", "-P"):
            done = subprocess.run(["postconf", "-c", self.postfix.etc, option], capture_output=True, text=True, check=True)
            self.assertEqual(done.stderr, "")

    def test_what_mail_gets_while_reeve_is_away(self):
        self.begin(reeve="inet:127.0.0.1:%d" % free_port())
        self.assertEqual(self.send("smtp").codes(), [250])
        reply = self.send("submission", login="alice@example.com").rcpts[0]
        self.assertEqual((reply.code, reply.enhanced), (451, "4.3.0"))

    def test_auth(self):
        self.begin()
        with Smtp(self.postfix.port("submission")) as smtp:
            smtp.ehlo()
            self.assertEqual(smtp.auth_plain("alice@example.com", "wrong").code, 535)
            self.assertEqual(smtp.auth_plain("alice@example.com").code, 235)
            self.assertEqual(smtp.message("alice@example.com", ["x@outside.example"]).end.code, 250)

    def test_a_lost_reply_is_asked_again(self):
        self.begin(reeve="unix:reeve/proxy.sock")
        path = os.path.join(os.path.dirname(self.postfix.socket_path), "proxy.sock")
        lost = []

        def on_reply(attributes, reply):
            if attributes["protocol_state"] == "RCPT" and not lost:
                lost.append(attributes)
                return None
            return reply
        with Proxy(path, self.postfix.socket_path, on_reply):
            os.chmod(path, 0o660)
            shutil.chown(path, group="postfix")
            self.assertEqual(self.send("submission", login="alice@example.com").end.code, 250)
        self.assertEqual(self.states(), ["RCPT", "RCPT", "DATA", "END-OF-MESSAGE"])
        self.assertEqual(self.stand_in.seen[0]["instance"], self.stand_in.seen[1]["instance"])

    def test_disconnect_and_mark(self):
        self.begin()
        self.stand_in.answer = lambda attributes: ("PREPEND X-Reeve-PTR: none" if attributes["protocol_state"] == "DATA"
                                                   else "DUNNO")
        self.send("smtp")
        self.postfix.wait_log(r"warning: header X-Reeve-PTR: none from")
        self.stand_in.answer = lambda attributes: "421 4.7.1 go away"
        with session(self.postfix.port("smtp")) as smtp:
            smtp.mail("sender@example.net")
            self.assertEqual(smtp.rcpt("user@example.com").code, 421)
            self.assertTrue(smtp.closed())


class PackagedFiles(unittest.TestCase):
    def test_no_service_of_the_template_hides_reeve(self):
        with open(os.path.join(PACKAGED, "master.cf"), encoding="utf-8") as file:
            text = file.read()
        self.assertNotIn("try_limit", text)
        self.assertIn("smtpd_recipient_restrictions=$reeve,permit_sasl_authenticated,reject", text)
        self.assertEqual(text.count("reeve_default_action = 451 "), 2)


class Dns(unittest.TestCase):
    def setUp(self):
        self.dns = DnsStub()
        self.addCleanup(self.dns.close)
        self.dns.mx("example.net", "mail.example.net").a("mail.example.net", "198.51.100.7", "2001:db8::7")
        self.dns.ptr("198.51.100.7", "mail.example.net").cname("www.example.net", "mail.example.net")

    def query(self, name, qtype, tcp=False, timeout_s=2.0):
        packet = struct.pack(">HHHHHH", 0x1234, 0x0100, 1, 0, 0, 0) + encode_name(name) + struct.pack(">HH", qtype, 1)
        kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
        with socket.socket(socket.AF_INET, kind) as link:
            link.settimeout(timeout_s)
            link.connect(("127.0.0.1", self.dns.port))
            link.sendall(struct.pack(">H", len(packet)) + packet if tcp else packet)
            try:
                reply = link.recv(4096)
            except socket.timeout:
                return None
        return reply[2:] if tcp else reply

    @staticmethod
    def parts(reply):
        """(rcode, answers, authority, truncated)"""
        _, flags, _, answers, authority, _ = struct.unpack(">HHHHHH", reply[:12])
        return flags & 15, answers, authority, bool(flags & 0x0200)

    def test_good_answers(self):
        self.assertEqual(self.parts(self.query("example.net", MX)), (0, 1, 0, False))
        self.assertEqual(self.parts(self.query("MAIL.example.net", A)), (0, 1, 0, False))
        self.assertEqual(self.parts(self.query("www.example.net", A)), (0, 2, 0, False))
        self.assertEqual(self.parts(self.query("7.100.51.198.in-addr.arpa", PTR)), (0, 1, 0, False))
        self.assertEqual(self.parts(self.query("example.net", A)), (0, 0, 1, False), "no data, with a SOA")
        self.assertEqual(self.parts(self.query("nowhere.test", A)), (3, 0, 1, False))
        self.assertEqual(self.parts(self.query("example.net", MX, tcp=True)), (0, 1, 0, False))
        self.assertEqual(self.dns.count("example.net", "MX"), 2)
        self.assertEqual(self.dns.count(), 7)

    def test_misdeeds(self):
        self.dns.behave("example.net", "TC")
        self.assertEqual(self.parts(self.query("example.net", MX)), (0, 0, 0, True))
        self.assertEqual(self.parts(self.query("example.net", MX, tcp=True)), (0, 1, 0, False))
        for how, rcode in (("SERVFAIL", 2), ("REFUSED", 5)):
            self.dns.behave("example.net", how)
            self.assertEqual(self.parts(self.query("example.net", MX))[0], rcode)
        self.dns.behave("example.net", "SILENT")
        self.assertIsNone(self.query("example.net", MX, timeout_s=0.1))
        self.dns.behave("example.net", "EMPTY")
        self.assertEqual(self.query("example.net", MX), b"")
        self.dns.behave("example.net", "WRONG_ID")
        self.assertNotEqual(self.query("example.net", MX)[:2], b"\x12\x34")
        self.dns.behave("example.net", "WRONG_QUESTION")
        self.assertEqual(decode_question(self.query("example.net", MX))[0], "other.example")
        self.dns.behave("example.net", 0.1)
        self.assertIsNone(self.query("example.net", MX, timeout_s=0.02))
        self.assertEqual(self.parts(self.query("example.net", MX))[:2], (0, 1))


class Small(unittest.TestCase):
    def test_log_lines(self):
        item = parse_log(r'time=1 event=decision sender="a b\x22" reply="450 4.7.1 3 of 3" empty=""')
        self.assertEqual((item["event"], item["reply"], item["empty"]), ("decision", "450 4.7.1 3 of 3", ""))

    def test_extra_bytes_are_seen(self):
        with PrivateDir() as path:
            stand_in = StandIn(path + "/s", lambda attributes: "DUNNO\n\naction=OK")
            self.addCleanup(stand_in.close)
            with Policy(path + "/s") as link, self.assertRaises(AssertionError):
                link.ask(request())

    def test_malformed_replies_are_seen(self):
        with PrivateDir() as path:
            for answer in ("OK", "550", "550 5.7.1", "550 4.7.1 text", "", "REJECT", "450 4.7.1 \u00fc\x01"):
                stand_in = StandIn(path + "/s", lambda attributes, answer=answer: answer)
                with self.subTest(answer), Policy(path + "/s") as link, self.assertRaises(AssertionError):
                    link.ask(request())
                stand_in.close()
                os.unlink(path + "/s")


if __name__ == "__main__":
    main()
