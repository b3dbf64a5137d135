# SPDX-License-Identifier: ISC
"""Postfix asks again when an answer is lost: after a second, on a new connection, perhaps after a crash of the daemon.

A proxy between the two swallows one reply. However it went, the recipient is charged once.
"""

import os
import shutil

from harness import LOGIN_RATE, Bench, Proxy, let_pass, main

LIMIT = 5
LOGIN = "alice@example.com"


class Lost(Bench):
    postfix_options = {"reeve": "unix:reeve/proxy.sock"}

    def setUp(self):
        super().setUp()
        self.reeve(LOGIN_RATE % ("%d/1h" % LIMIT))
        path = os.path.join(os.path.dirname(self.socket_path), "proxy.sock")
        self.proxy = Proxy(path, self.reeved.socket_path)
        self.addCleanup(os.unlink, path)
        self.addCleanup(self.proxy.close)
        os.chmod(path, 0o660)
        shutil.chown(path, group="postfix")

    def lose(self, state, fault, times=1):
        """The next `times` replies to this state are lost, after fault() was called."""
        left = [times]

        def on_reply(attributes, reply):
            if attributes["protocol_state"] != state or not left[0]:
                return reply
            left[0] -= 1
            fault()
            return None
        self.proxy.on_reply = on_reply

    def asked(self, state, recipient=None):
        return sum(item["protocol_state"] == state and recipient in (None, item["recipient"])
                   for item in self.proxy.asked)

    def rest_is(self, smtp, number):
        """Exactly `number` more recipients fit."""
        recipients = ["rest%d@outside.example" % i for i in range(number + 1)]
        sent = smtp.message(LOGIN, recipients)
        self.assertEqual(sent.codes(), [250] * number + [450], sent.replies())
        self.refused(sent.rcpts[-1], LIMIT, LIMIT)

    def send_one(self, state, fault):
        self.lose(state, fault)
        with self.smtp("submission", login=LOGIN) as smtp:
            self.took(smtp.message(LOGIN, ["one@outside.example"]), 1)
            self.assertEqual(self.asked(state), 2)
            self.rest_is(smtp, LIMIT - 1)

    def before_data(self, fault):
        """The reply to the first RCPT is lost; looked at before DATA, which would put a wrong count right."""
        self.lose("RCPT", fault)
        with self.smtp("submission", login=LOGIN) as smtp:
            recipients = ["r%d@outside.example" % i for i in range(LIMIT + 1)]
            sent = smtp.message(LOGIN, recipients)
            self.assertEqual(sent.codes(), [250] * LIMIT + [450], sent.replies())
            self.refused(sent.rcpts[-1], LIMIT, LIMIT)
            self.assertEqual(self.asked("RCPT", recipients[0]), 2)
            self.took(sent, LIMIT)

    def test_at_rcpt(self):
        self.send_one("RCPT", lambda: None)

    def test_at_rcpt_before_data(self):
        self.before_data(lambda: None)

    def test_at_data(self):
        self.send_one("DATA", lambda: None)

    def test_at_end_of_message(self):
        self.send_one("END-OF-MESSAGE", lambda: None)

    def test_crash_at_once_at_rcpt(self):
        """Neither the charge nor the memory of it had time to reach the disk."""
        self.before_data(lambda: self.reeved.restart("kill"))

    def test_crash_at_once_at_data(self):
        self.send_one("DATA", lambda: self.reeved.restart("kill"))

    def test_crash_more_than_a_second_after_counting(self):
        """Both are on disk, so the second question finds the first."""
        def fault():
            let_pass(1.5)
            self.reeved.restart("kill")
        self.before_data(fault)

    def test_crash_more_than_a_second_after_data(self):
        def fault():
            let_pass(1.5)
            self.reeved.restart("kill")
        self.send_one("DATA", fault)

    def test_back_too_late_for_postfix(self):
        """Postfix gives up after its second try; the client tries again, in the same transaction and a second after."""
        def fault():
            let_pass(1.5)
            self.reeved.kill()
        self.lose("RCPT", fault)
        with self.smtp("submission", login=LOGIN) as smtp:
            smtp.mail(LOGIN)
            reply = smtp.rcpt("one@outside.example")
            self.assertEqual((reply.code, reply.enhanced), (451, "4.3.0"), "the packaged default_action of submission")
            self.reeved.start()
            self.assertEqual(smtp.rcpt("one@outside.example").code, 250)
            self.assertEqual(smtp.data()[1].code, 250)
            self.assertGreaterEqual(self.asked("RCPT", "one@outside.example"), 3)
            self.rest_is(smtp, LIMIT - 1)

    def test_port_25_passes_while_reeve_is_away(self):
        self.reeved.kill()
        with self.smtp("smtp") as smtp:
            self.took(smtp.message("sender@example.net", ["user@example.com"]), 1)


if __name__ == "__main__":
    main()
