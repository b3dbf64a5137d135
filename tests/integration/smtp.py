# SPDX-License-Identifier: ISC
"""An SMTP client on a bare socket: every command gives code and text, XCLIENT makes it anybody."""

import base64
import itertools
import re
import socket

STRANGER = "198.51.100.7"

# A client port of its own for each session, as in life: Reeve knows an SMTP connection by it.
_ports = itertools.count(20000)


class Closed(ConnectionError):
    """The server hung up instead of answering."""


class Reply:
    def __init__(self, lines):
        self.lines = lines
        self.code = int(lines[0][:3])
        self.text = " ".join(line[4:] for line in lines)

    @property
    def enhanced(self):
        found = re.match(r"[245]\.\d+\.\d+", self.text)
        return found.group(0) if found else ""

    def __repr__(self):
        return "<%d %s>" % (self.code, self.text)


def xtext(value):
    """XCLIENT values: RFC 3461's xtext; None is what the server could not find out."""
    if value is None:
        return "[UNAVAILABLE]"
    return "".join(c if "!" <= c <= "~" and c not in "+=" else "".join("+%02X" % b for b in c.encode())
                   for c in str(value))


class Sent:
    """What became of one message: the replies to MAIL, to each RCPT, to DATA and to the end of the text (or None)."""

    def __init__(self, mail):
        self.mail = mail
        self.rcpts = []
        self.data = None
        self.end = None

    def codes(self):
        return [reply.code for reply in self.rcpts]

    @property
    def accepted(self):
        return sum(reply.code == 250 for reply in self.rcpts)

    def replies(self):
        return [reply for reply in [self.mail] + self.rcpts + [self.data, self.end] if reply is not None]


class Smtp:
    """One SMTP session. Use as a context manager; leaves with QUIT unless the server went first."""

    def __init__(self, port, timeout_s=20.0, source=None, server="127.0.0.1"):
        """source: the client's own address, where the machine has it."""
        self._sock = socket.create_connection((server, port), timeout_s, source and (source, 0))
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._sock.makefile("rb")
        self.greeting = self.read()

    def read(self):
        lines = []
        while True:
            try:
                line = self._file.readline()
            except ConnectionError as error:  # what was sent meets a socket that is closed already
                raise Closed(str(error)) from None
            if not line.endswith(b"\n"):
                raise Closed("closed after %r" % lines)
            lines.append(line.rstrip(b"\r\n").decode("utf-8", "backslashreplace"))
            if line[3:4] != b"-":
                return Reply(lines)

    def write(self, *lines):
        data = b"".join((line if isinstance(line, bytes) else line.encode()) + b"\r\n" for line in lines)
        try:
            self._sock.sendall(data)
        except OSError as error:
            raise Closed(str(error)) from None

    def cmd(self, line):
        self.write(line)
        return self.read()

    def pipeline(self, lines):
        """All lines in one write, then their replies; fewer of them if the server hangs up on the way."""
        self.write(*lines)
        replies = []
        try:
            for _ in lines:
                replies.append(self.read())
        except (Closed, ConnectionResetError):
            pass
        return replies

    def closed(self):
        """True if the server has ended the connection and there is nothing left to read."""
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True

    def xclient(self, **attributes):
        """addr=, name=, reverse_name=, port=, login=, helo=, proto=, destaddr=, destport=. Gives the new greeting."""
        for name in ("addr", "destaddr"):
            if ":" in (attributes.get(name) or ""):
                attributes[name] = "IPV6:" + attributes[name]
        words = ["%s=%s" % (name.upper(), xtext(value)) for name, value in attributes.items()]
        return self.cmd("XCLIENT " + " ".join(words))

    def ehlo(self, name="client.example.net"):
        return self.cmd("EHLO " + name)

    def auth_plain(self, login, password="secret"):
        text = b"\0" + login.encode() + b"\0" + password.encode()
        return self.cmd("AUTH PLAIN " + base64.b64encode(text).decode())

    def mail(self, sender, parameters=""):
        return self.cmd("MAIL FROM:<%s>%s" % (sender, parameters and " " + parameters))

    def rcpt(self, recipient):
        return self.cmd("RCPT TO:<%s>" % recipient)

    def data(self, text="Subject: t\r\n\r\nhello"):
        """DATA and, if that is answered with 354, the text: both replies."""
        first = self.cmd("DATA")
        return first, self.cmd(text + "\r\n.") if first.code == 354 else None

    def message(self, sender, recipients, text="Subject: t\r\n\r\nhello"):
        """A whole message as a polite client sends it: DATA only if a recipient was taken; RSET where it ends early."""
        sent = Sent(self.mail(sender))
        if sent.mail.code != 250:
            return sent
        for recipient in recipients:
            sent.rcpts.append(self.rcpt(recipient))
            if sent.rcpts[-1].code in (421, 521):
                return sent
        if sent.accepted:
            sent.data, sent.end = self.data(text)
        if sent.data is None or sent.data.code not in (354, 421, 521):
            self.cmd("RSET")
        return sent

    def quit(self):
        try:
            reply = self.cmd("QUIT")
        except (Closed, OSError):
            reply = None
        self.close()
        return reply

    def close(self):
        self._file.close()
        self._sock.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.quit()
        else:
            self.close()


def session(tcp_port, addr=STRANGER, name="mail.example.net", login=None, helo="client.example.net", **more):
    """A session of a client that Postfix takes for `addr`; name=None: Postfix found no name for it.

    login: as after AUTH. port=, destport= and so on go to XCLIENT. Raises where the greeting or EHLO is refused.
    """
    smtp = Smtp(tcp_port)
    attributes = {"name": name, "reverse_name": name, "addr": addr, "port": next(_ports), "destaddr": "192.0.2.25", **more}
    if login:
        attributes["login"] = login
    for reply in (smtp.xclient(**attributes), smtp.ehlo(helo)):
        if reply.code not in (220, 250):
            smtp.close()
            raise AssertionError("session refused: %r" % reply)
    return smtp
