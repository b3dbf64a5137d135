# SPDX-License-Identifier: ISC
"""The policy protocol without Postfix: requests as 3.7 writes them, and a proxy that loses replies."""

import re
import select
import socket
import threading

ORDER = ("request protocol_state protocol_name client_address client_name client_port reverse_client_name "
         "server_address server_port helo_name sender recipient recipient_count queue_id instance size etrn_domain "
         "stress sasl_method sasl_username sasl_sender ccert_subject ccert_issuer ccert_fingerprint "
         "ccert_pubkey_fingerprint encryption_protocol encryption_cipher encryption_keysize policy_context").split()

USUAL = {"request": "smtpd_access_policy", "protocol_state": "RCPT", "protocol_name": "ESMTP",
         "client_address": "198.51.100.7", "client_name": "mail.example.net", "client_port": "34567",
         "reverse_client_name": "mail.example.net", "server_address": "192.0.2.25", "server_port": "25",
         "helo_name": "client.example.net", "sender": "sender@example.net", "recipient": "user@example.com",
         "recipient_count": "0", "instance": "1a2b.65000000.1.0", "size": "0", "encryption_keysize": "0"}

# One reply, and nothing that Postfix 3.7 would misread: a word it knows, or a code with text.
WELL_FORMED = re.compile(
    rb"action=(?:DUNNO|(?:4\d\d 4|5\d\d 5)\.\d{1,3}\.\d{1,3} [\x20-\x7e]+|(?:HOLD|DISCARD|WARN|PREPEND) [\x20-\x7e]+)\n\n")


def request(**attributes):
    """The bytes of a request, all 29 attributes in Postfix's order, then those it does not know."""
    values = {**USUAL, **{name: str(value) for name, value in attributes.items()}}
    names = ORDER + [name for name in values if name not in ORDER]
    return "".join("%s=%s\n" % (name, values.get(name, "")) for name in names).encode() + b"\n"


def submission(login, **attributes):
    """A request on 587 after AUTH."""
    return request(**{"server_port": 587, "sasl_method": "plain", "sasl_username": login, "sender": login, **attributes})


def connect(address, timeout_s=10.0):
    """address: a port on 127.0.0.1, or the path of a unix socket."""
    if isinstance(address, int):
        link = socket.create_connection(("127.0.0.1", address), timeout_s)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return link
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.settimeout(timeout_s)
    try:
        link.connect(address)
    except OSError:
        link.close()
        raise
    return link


def read_block(link, buffer=b""):
    """Bytes up to and with the empty line, and what came after it; (None, rest) at end of file."""
    while b"\n\n" not in buffer:
        try:
            piece = link.recv(65536)
        except ConnectionResetError:
            piece = b""
        if not piece:
            return None, buffer
        buffer += piece
    end = buffer.index(b"\n\n") + 2
    return buffer[:end], buffer[end:]


class Policy:
    """One policy connection, as one smtpd process has it."""

    def __init__(self, address, timeout_s=10.0):
        self.link = connect(address, timeout_s)

    def send(self, data):
        self.link.sendall(data)

    def reply(self):
        """The raw bytes of one reply. AssertionError if the connection ends or more than one reply came."""
        block, rest = read_block(self.link)
        if block is None:
            raise AssertionError("closed without a reply, after %r" % rest)
        if rest or self.extra():
            raise AssertionError("more than one reply: %r" % (block + rest))
        return block

    def extra(self, wait_s=0.0):
        """What lies there unasked (nothing, from a daemon that answers once)."""
        ready, _, _ = select.select([self.link], [], [], wait_s)
        if not ready:
            return b""
        return self.link.recv(65536, socket.MSG_PEEK)

    def raw(self, data):
        """Sends a request and gives the reply's bytes, checked for form."""
        self.send(data)
        block = self.reply()
        if not WELL_FORMED.fullmatch(block):
            raise AssertionError("not a well-formed reply: %r" % block)
        return block

    def ask(self, data):
        """The action as text."""
        return self.raw(data)[len(b"action="):-2].decode()

    def ends(self, timeout_s=5.0):
        """True if the peer closes without another byte."""
        self.link.settimeout(timeout_s)
        try:
            return self.link.recv(1) == b""
        except ConnectionResetError:
            return True
        except socket.timeout:
            return False

    def close(self):
        self.link.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def attributes_of(block):
    return dict(line.split("=", 1) for line in block.decode("utf-8", "backslashreplace").splitlines() if "=" in line)


class Proxy:
    """Between Postfix and Reeve. `on_reply(attributes, reply)` gives the bytes to pass on, or None to hang up.

    listen: a port, or the path of a unix socket (made mode 0660, group postfix, by the caller's directory).
    """

    def __init__(self, listen, target, on_reply=None):
        self.target = target
        self.on_reply = on_reply or (lambda attributes, reply: reply)
        self.asked = []
        self._links = []
        family = socket.AF_INET if isinstance(listen, int) else socket.AF_UNIX
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.bind(("127.0.0.1", listen) if isinstance(listen, int) else listen)
        self._listener.listen(128)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            self._links.append(link)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link):
        upstream = None
        try:
            rest = b""
            while True:
                block, rest = read_block(link, rest)
                if block is None:
                    return
                attributes = attributes_of(block)
                self.asked.append(attributes)
                upstream = upstream or connect(self.target)
                upstream.sendall(block)
                reply, _ = read_block(upstream)
                reply = reply and self.on_reply(attributes, reply)
                if not reply:
                    return
                link.sendall(reply)
        except OSError:
            pass
        finally:
            link.close()
            if upstream:
                upstream.close()

    def close(self):
        """Also hangs up on every smtpd that still has a connection, so that none talks to a proxy of an earlier test."""
        self._listener.close()
        for link in self._links:
            try:
                link.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass                    # its own thread was first

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
