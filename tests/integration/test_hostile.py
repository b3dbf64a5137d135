# SPDX-License-Identifier: ISC
"""Peers that mean harm, or are broken: half requests by the hundred, NULs, endless lines. No Postfix needed here."""

import select
import subprocess
import time

from harness import DaemonBench, Policy, let_pass, main, request, wait_for

CONFIG = """\
site: { origin: example.com, domains: [example.com] }
request_timeout: %s
rules: [{ name: hourly, check: rate, per: login, limits: [{ limit: 200/1h }] }]
"""

HALF = request()[:200]

HOSTILE = {
    "NUL in a value": request(sender="a\0b@example.net"),
    "NUL in a name": b"request=smtpd_access_policy\nsen\0der=a\n\n",
    "NUL as a line": b"\0\n\n",
    "no equals sign": b"request=smtpd_access_policy\nsender\n\n",
    "no equals sign at first": b"hello\n\n",
    "CR LF": request().replace(b"\n", b"\r\n"),
    "a line over 16 KiB": request(sender="x" * 16500 + "@example.net"),
    "a line without end": b"request=" + b"x" * 100000,
    "a request over 64 KiB": request(**{"a%d" % i: "y" * 8000 for i in range(10)}),
    "over 256 attributes": request(**{"a%d" % i: "1" for i in range(300)}),
    "another request": request(request="smtpd_other_policy"),
    "no request": request().replace(b"request=smtpd_access_policy\n", b""),
    "an empty line": b"\n",
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(range(200)) + b"\n\n",
    "noise": bytes((i * 7919 >> 3) & 0xff for i in range(4096)) + b"\n\n",
}


def took(function):
    """Seconds that it took."""
    began = time.monotonic()
    function()
    return time.monotonic() - began


class Control:
    """A process that only gives back a byte: how long this machine takes for a round trip that costs nothing."""

    def __init__(self):
        self.cat = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cat.stdin.close()
        self.cat.wait(10)
        self.cat.stdout.close()

    def ask(self):
        self.cat.stdin.write(b"x")
        assert self.cat.stdout.read(1) == b"x"


class Hostile(DaemonBench):
    memory = True

    def test_closed_without_a_reply(self):
        reeved = self.reeve(CONFIG % "10s")
        for name, data in HOSTILE.items():
            for by_unix in (False, True):
                with self.subTest(name, by_unix=by_unix), reeved.connect(by_unix) as link:
                    try:
                        link.send(data)
                    except ConnectionError:
                        pass                # closed before all was sent
                    self.assertTrue(link.ends())
            self.assertEqual(reeved.ask(request()), "DUNNO")
        self.assertTrue(reeved.child.running())

    def test_a_good_request_before_it_is_answered(self):
        reeved = self.reeve(CONFIG % "10s")
        with reeved.connect() as link:
            self.assertEqual(link.ask(request()), "DUNNO")
            link.send(b"no equals sign\n\n")
            self.assertTrue(link.ends())

    def test_what_is_long_and_legal_is_answered(self):
        reeved = self.reeve(CONFIG % "10s")
        for attributes in ({"sender": "x" * 16000 + "@example.net"}, {"a%d" % i: "1" for i in range(200)},
                           {"sasl_username": "y" * 9000, "helo_name": "h" * 2000},
                           {"recipient": "\u00fc\u2028\u0085=<>@b\u00fccher.example"}):
            with self.subTest(next(iter(attributes))):
                self.assertRegex(reeved.ask(request(**attributes)), "^(DUNNO|4)")

    def test_byte_by_byte(self):
        reeved = self.reeve(CONFIG % "10s")
        with reeved.connect() as link:
            data = request()
            for i in range(len(data)):
                link.send(data[i:i + 1])
            self.assertEqual(link.reply(), b"action=DUNNO\n\n")

    def test_400_half_requests(self):
        """Honest requests beside them are answered within 50 ms, every single one; they themselves are closed when their
        time is up.

        Others may be busy on the machine: what a process that does nothing takes at its slowest in the same round is added,
        and there are some rounds. A round is longer than a second, so that what the daemon does once a second is in each."""
        reeved = self.reeve(CONFIG % "8s")
        held = []
        try:
            for number in range(400):
                held.append(reeved.connect(by_unix=number % 2 == 0))
                held[-1].send(HALF)
            rounds = []
            with reeved.connect() as link, Control() as control:
                while len(rounds) < 5 and (not rounds or rounds[-1][0] >= 0.050 + rounds[-1][1]):
                    rounds.append(self.slowest_of_a_round(reeved, link, control))
            self.assertLess(rounds[-1][0], 0.050 + rounds[-1][1], rounds)
            self.assertEqual(select.select([link.link for link in held], [], [], 0)[0], [], "one ended too soon")
            self.assertTrue(all(link.ends(12) for link in held))
        finally:
            for link in held:
                link.close()
        self.assertEqual(reeved.ask(request()), "DUNNO")

    def slowest_of_a_round(self, reeved, link, control):
        """Seconds: the slowest answer, on an open connection and on new ones, and the slowest of the control."""
        answers, controls = [], []
        end = time.monotonic() + 1.1
        while time.monotonic() < end:
            for ask in (link.ask, reeved.ask):
                answers.append(took(lambda ask=ask: self.assertEqual(ask(request()), "DUNNO")))
                controls.append(took(control.ask))
            let_pass(0.02)
        self.assertGreater(len(answers), 20)
        return max(answers), max(controls)

    def test_a_slow_writer_is_not_waited_for_longer(self):
        """One byte now and then does not win time."""
        reeved = self.reeve(CONFIG % "2s")
        with reeved.connect() as link:
            began = time.monotonic()
            rest = iter(HALF)

            def drip():
                try:
                    link.send(bytes([next(rest)]))
                except OSError:
                    return True
                return link.extra(0.05) == b"" and self.ended(link)
            wait_for("the connection to be closed", drip, 8)
            self.assertLess(time.monotonic() - began, 6)

    @staticmethod
    def ended(link):
        link.link.settimeout(0.01)
        try:
            return link.link.recv(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def test_too_many_connections(self):
        """The one above max_connections waits in the backlog until another closes; it is not refused."""
        reeved = self.reeve("max_connections: 20\n" + CONFIG % "10s")
        held = [Policy(reeved.port) for _ in range(20)]
        try:
            for link in held:
                self.assertEqual(link.ask(request()), "DUNNO")
            with Policy(reeved.port) as late:
                late.send(request())
                self.assertEqual(late.extra(0.3), b"")
                held.pop().close()
                self.assertEqual(late.reply(), b"action=DUNNO\n\n")
        finally:
            for link in held:
                link.close()

    def test_gone_before_the_answer(self):
        """Clients that ask and hang up at once do no harm, and what they asked is not answered to others."""
        self.dns.default = 0.2
        reeved = self.reeve("rules: [{ name: sender-domain, check: sender_domain }]\n")
        for number in range(50):
            with reeved.connect() as link:
                link.send(request(sender="a@gone%d.test" % number))
        self.assertEqual(reeved.ask(request()), "DUNNO")


if __name__ == "__main__":
    main()
