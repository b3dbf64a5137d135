# SPDX-License-Identifier: ISC
"""A stand-in for Dovecot's login service, so that the private Postfix offers AUTH and believes in logins.

Speaks just enough of Dovecot's client protocol 1.1: MECH PLAIN, and every password but `wrong` is right. smtpd needs it
even for XCLIENT LOGIN, as permit_sasl_authenticated looks only where SASL is on.
"""

import base64
import os
import shutil
import socket
import threading


class FakeDovecot:
    def __init__(self, path):
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        os.chmod(path, 0o660)
        shutil.chown(path, "postfix", "postfix")
        self._listener.listen(128)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link):
        with link, link.makefile("rb") as lines:
            try:
                link.sendall(b"VERSION\t1\t1\nMECH\tPLAIN\tplaintext\n"
                             b"SPID\t1\nCUID\t1\nCOOKIE\t00112233445566778899aabbccddeeff\nDONE\n")
                for line in lines:
                    words = line.rstrip(b"\n").split(b"\t")
                    if words[0] == b"AUTH":
                        link.sendall(self._answer(words))
            except OSError:
                pass

    @staticmethod
    def _answer(words):
        resp = next((word[5:] for word in words if word.startswith(b"resp=")), b"")
        parts = base64.b64decode(resp + b"==").split(b"\0")
        if len(parts) != 3 or parts[2] == b"wrong":
            return b"FAIL\t%s\tuser=%s\n" % (words[1], parts[1] if len(parts) > 1 else b"")
        return b"OK\t%s\tuser=%s\n" % (words[1], parts[1])

    def close(self):
        self._listener.close()
