# SPDX-License-Identifier: ISC
"""Configurations of Postfix that `reevectl postfix` works on, and running one of them on its real ports.

The stock configuration is Debian's own, copied from the installed package; the other one is what a small provider has:
virtual domains, a content filter, submission from Debian's template. `own_network()` puts the whole test into a network
namespace with nothing but a loopback interface, so that ports 25 and 587 are free and clients may have any address.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading

from daemon import TOP
from postfix import QUEUE, postconf_value
from sasl import FakeDovecot
from waiting import Child, can_connect, skip, wait_for

REEVECTL = os.environ.get("REEVECTL") or os.path.join(TOP, "build", "release", "reevectl")

SERVER = "192.0.2.25"
CLIENT = "198.51.100.7"
CLIENTS = "198.51.100.0/24" # on a loopback interface all of it is ours

STOCK = ("/usr/share/postfix/main.cf.debian", "/usr/share/postfix/master.cf.dist")

# The comments of Debian's template, taken off: services 587 and 465.
SUBMISSION = """\
submission inet n       -       y       -       -       smtpd
  -o syslog_name=postfix/submission
  -o smtpd_tls_security_level=may
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_reject_unlisted_recipient=no
  -o smtpd_client_restrictions=
  -o smtpd_helo_restrictions=
  -o smtpd_sender_restrictions=
  -o smtpd_relay_restrictions=
  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject
  -o milter_macro_daemon_name=ORIGINATING
"""

PROVIDER_MAIN = """\
# A provider with virtual domains and a content filter.
compatibility_level = 3.6
myhostname = mail.isp.example
mydomain = isp.example
myorigin = $mydomain
mydestination = $myhostname, localhost.$mydomain, localhost
smtpd_banner = $myhostname ESMTP of the provider
biff = no
recipient_delimiter = +
mynetworks = 127.0.0.0/8, 203.0.113.0/28
inet_interfaces = all
alias_maps = inline:{postmaster=root}
alias_database =
local_recipient_maps = inline:{root=x,postmaster=x}
virtual_mailbox_domains = customer.example, shop.example
virtual_mailbox_maps = inline:{ {ann@customer.example=customer/ann/} {info@shop.example=shop/info/} }
virtual_alias_maps = texthash:${config_directory}/virtual,
    inline:{ {sales@shop.example=info@shop.example} }
smtpd_sasl_type = dovecot
smtpd_sasl_path = auth
broken_sasl_auth_clients = yes
smtpd_helo_required = yes
smtpd_helo_restrictions = permit_mynetworks, reject_invalid_helo_hostname
smtpd_recipient_restrictions =
    permit_mynetworks,
    permit_sasl_authenticated,
    reject_unauth_destination,
    reject_unlisted_recipient
smtpd_data_restrictions = reject_unauth_pipelining
smtpd_recipient_limit = 500
header_checks = regexp:{ {/^X-Provider-Test:/ IGNORE} }
content_filter = scan:[127.0.0.1]:10024
"""

PROVIDER_VIRTUAL = """\
bob@customer.example   ann@customer.example
# everything else of the shop
@shop.example          info@shop.example
"""

PROVIDER_MASTER = """\
smtp      inet  n       -       y       -       -       smtpd
""" + SUBMISSION + """\
submissions     inet  n       -       y       -       -       smtpd
  -o syslog_name=postfix/submissions
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
scan      unix  -       -       n       -       2       smtp
  -o smtp_send_xforward_command=yes
127.0.0.1:10025 inet n  -       y       -       -       smtpd
  -o content_filter=
  -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks
  -o smtpd_relay_restrictions=permit_mynetworks,reject
  -o mynetworks=127.0.0.0/8
"""

# What every Postfix has besides; the rest of Debian's master.cf.
REST = """\
pickup    unix  n       -       y       60      1       pickup
cleanup   unix  n       -       y       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       y       1000?   1       tlsmgr
rewrite   unix  -       -       y       -       -       trivial-rewrite
bounce    unix  -       -       y       -       0       bounce
defer     unix  -       -       y       -       0       bounce
trace     unix  -       -       y       -       0       bounce
verify    unix  -       -       y       -       1       verify
flush     unix  n       -       y       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       y       -       -       smtp
relay     unix  -       -       y       -       -       smtp
error     unix  -       -       y       -       -       error
retry     unix  -       -       y       -       -       error
discard   unix  -       -       y       -       -       discard
anvil     unix  -       -       y       -       1       anvil
scache    unix  -       -       y       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
"""


def needs_stock():
    """Ends the program where there is no Postfix of Debian's to copy from, no reevectl, or no root."""
    if not shutil.which("postconf") or not os.path.exists(STOCK[0]):
        skip("no Postfix of Debian's here")
    if os.geteuid() != 0:
        skip("not run by root, who alone may give files to Postfix")
    if not os.access(REEVECTL, os.X_OK):
        skip("no reevectl at " + REEVECTL)


def own_network(file):
    """Runs the program again in a network of its own, once; with lo up, and the server's and a client's address on it."""
    if os.environ.get("REEVE_OWN_NETWORK") != "yes":
        env = dict(os.environ, REEVE_OWN_NETWORK="yes")
        probe = subprocess.run(["unshare", "-n", "ip", "link", "set", "lo", "up"], capture_output=True, check=False)
        if probe.returncode:
            skip("no network namespaces here: " + probe.stderr.decode().strip())
        sys.exit(subprocess.run(["unshare", "-n", sys.executable, "-u", file] + sys.argv[1:], env=env, check=False).returncode)
    for words in (["link", "set", "lo", "up"], ["addr", "add", SERVER + "/32", "dev", "lo"],
                  ["addr", "add", CLIENTS, "dev", "lo"]):
        subprocess.run(["ip"] + words, check=True)


class Result:
    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    def __repr__(self):
        return "<%d\n%s%s>" % (self.code, self.out, self.err)

    @property
    def json(self):
        return json.loads(self.out)


class Tree:
    """A folder etc/ with main.cf and master.cf, and a reeve.yaml beside it. Nothing runs."""

    def __init__(self, root, main, master, reeve="", files=None):
        self.root = root
        self.etc = os.path.join(root, "etc")
        self.config = os.path.join(root, "reeve.yaml")
        os.makedirs(self.etc)
        for name, text in {"main.cf": main, "master.cf": master, **(files or {})}.items():
            self.write(name, text)
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(reeve)

    @classmethod
    def stock(cls, root, reeve="", master_extra=""):
        texts = []
        for path in STOCK:
            with open(path, encoding="utf-8") as file:
                texts.append(file.read())
        return cls(root, texts[0], texts[1] + master_extra, reeve)

    @classmethod
    def provider(cls, root, reeve=""):
        return cls(root, PROVIDER_MAIN, PROVIDER_MASTER + REST, reeve, {"virtual": PROVIDER_VIRTUAL})

    def write(self, name, text):
        with open(os.path.join(self.etc, name), "w", encoding="utf-8") as file:
            file.write(text)

    def bytes(self):
        out = {}
        for path in (os.path.join(self.etc, "main.cf"), os.path.join(self.etc, "master.cf"), self.config):
            with open(path, "rb") as file:
                out[os.path.basename(path)] = file.read()
        return out

    def reeve(self, text=None):
        """What reeve.yaml says; with a text, what it shall say."""
        if text is not None:
            with open(self.config, "w", encoding="utf-8") as file:
                file.write(text)
        with open(self.config, encoding="utf-8") as file:
            return file.read()

    def date_back(self):
        """Every tool of Postfix waits a second or two with a main.cf that was just written."""
        for name in os.listdir(self.etc):
            earlier = os.stat(os.path.join(self.etc, name)).st_mtime - 10
            os.utime(os.path.join(self.etc, name), (earlier, earlier))

    def postconf(self, *words):
        self.date_back()
        done = subprocess.run(["postconf", "-c", self.etc] + list(words), capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError("postconf %r: %s" % (words, done.stderr))
        return done.stdout

    def value(self, name):
        return self.postconf("-h", name).strip()

    def option(self, service, name):
        return self.postconf("-P", "-h", service + "/" + name).strip()

    def ctl(self, *words):
        self.date_back()
        argv = [REEVECTL, "-c", self.config, "postfix", words[0], "--config-dir", self.etc] + list(words[1:])
        return Result(subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120))

    def own_folders(self):
        """A queue and data folder below the root, so that Postfix's own tools touch no others."""
        os.makedirs(os.path.join(self.root, "spool"))
        os.makedirs(os.path.join(self.root, "data"))
        shutil.chown(os.path.join(self.root, "data"), "postfix")
        self.postconf("-e", "queue_directory=" + os.path.join(self.root, "spool"), "data_directory=" + os.path.join(self.root, "data"))

    def postfix_check(self):
        """What Postfix itself says of the files, after own_folders(): nothing, when they are clean."""
        self.date_back()
        done = subprocess.run(["postfix", "-c", self.etc, "check"], capture_output=True, text=True, check=False, timeout=120)
        return "exit code %d\n" % done.returncode * bool(done.returncode) + done.stdout + done.stderr

    def findings(self, name=None):
        """Of `check`: all, or those with this id."""
        every = self.ctl("check", "--json").json["findings"]
        return [one for one in every if name in (None, one["id"])]

    def run_line(self, line):
        """One of the lines that `check` gives."""
        self.date_back()
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError("%s: %s" % (line, done.stderr))


class Sink:
    """An SMTP server that takes every message and keeps it, so that a test sees headers as the next host does."""

    def __init__(self, address=("127.0.0.1", 0)):
        self._listener = socket.create_server(address)
        self.port = self._listener.getsockname()[1]
        self.messages = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link):
        with link, link.makefile("rwb") as stream:
            try:
                self._talk(stream)
            except OSError:
                pass

    def _talk(self, stream):
        def say(text):
            stream.write(text.encode() + b"\r\n")
            stream.flush()

        say("220 sink.invalid ESMTP")
        recipients = []
        for line in stream:
            verb = line.strip().upper()
            if verb.startswith(b"RCPT"):
                recipients.append(line.decode().strip().partition(":")[2].strip("<>"))
            if verb == b"DATA":
                say("354 go on")
                self.messages.append((recipients, self._text(stream)))
                recipients = []
            say("221 bye" if verb == b"QUIT" else "250 ok")
            if verb == b"QUIT":
                return

    @staticmethod
    def _text(stream):
        lines = []
        for line in stream:
            if line == b".\r\n":
                break
            lines.append(line.decode("utf-8", "backslashreplace").rstrip("\r\n"))
        return "\n".join(lines)

    def wait(self, subject, timeout_s=20.0):
        """The header and recipients of the message with this subject."""
        def find():
            for recipients, text in self.messages:
                header = text.partition("\n\n")[0]
                if "\nSubject: %s\n" % subject in "\n" + header + "\n":
                    return header, recipients
            return None
        return wait_for(lambda: "a message %r in %r" % (subject, self.messages), find, timeout_s)

    def close(self):
        self._listener.close()


def received_lines(header):
    """The Received fields, unfolded, topmost first."""
    unfolded = re.sub(r"\n[ \t]+", " ", header)
    return [line for line in unfolded.split("\n") if line.startswith("Received:")]


class Running:
    """A tree brought to life: spool and logs below its root, all mail that leaves goes to `sink_port`."""

    def __init__(self, tree, sink_port):
        self.tree = tree
        self.queue = os.path.join(tree.root, "spool")
        self._child = None
        self._sasl = None
        os.makedirs(os.path.join(tree.root, "data"), exist_ok=True)
        shutil.chown(os.path.join(tree.root, "data"), "postfix")
        sink = "smtp:[127.0.0.1]:%d" % sink_port
        tree.postconf("-e", "queue_directory=" + self.queue, "data_directory=" + os.path.join(tree.root, "data"),
                      "maillog_file=" + self.log_path, "maillog_file_prefixes=" + tree.root, "in_flow_delay=0",
                      "smtpd_error_sleep_time=0", "default_transport=" + sink, "relay_transport=" + sink,
                      "local_transport=" + sink, "virtual_transport=" + sink, "smtp_fallback_relay=",
                      "smtp_dns_support_level=disabled", "smtpd_sasl_type=dovecot", "smtpd_sasl_path=auth")
        self._make_queue()

    @property
    def log_path(self):
        return os.path.join(self.tree.root, "maillog")

    @property
    def socket_path(self):
        return os.path.join(self.queue, "reeve", "policy.sock")

    def _make_queue(self):
        for name, (group, mode) in QUEUE.items():
            path = os.path.join(self.queue, name)
            os.makedirs(path, exist_ok=True)
            shutil.chown(path, "root" if name == "pid" else "postfix", group)
            os.chmod(path, mode)
        os.makedirs(os.path.join(self.queue, "reeve"), exist_ok=True)
        shutil.chown(os.path.join(self.queue, "reeve"), group="postfix")
        os.chmod(os.path.join(self.queue, "reeve"), 0o750)
        # What a chrooted service looks up names of ports with, as Debian's start script copies it.
        os.makedirs(os.path.join(self.queue, "etc"), exist_ok=True)
        for name in ("services", "hosts", "nsswitch.conf"):
            if os.path.exists("/etc/" + name):
                shutil.copy("/etc/" + name, os.path.join(self.queue, "etc", name))

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="backslashreplace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def wait_log(self, pattern, timeout_s=10.0):
        return wait_for(lambda: "%r in\n%s" % (pattern, self.log()[-4000:]),
                        lambda: re.search(pattern, self.log()), timeout_s)

    def start(self):
        self.tree.date_back()
        self._sasl = FakeDovecot(os.path.join(self.queue, "auth"))
        master = os.path.join(postconf_value("daemon_directory"), "master")
        env = dict(os.environ, MAIL_CONFIG=self.tree.etc)
        self._child = Child([master, "-c", self.tree.etc, "-s"], env=env, cwd=self.queue)
        try:
            wait_for(lambda: "Postfix listens:\n" + self._child.text() + self.log(), lambda: can_connect(25) and can_connect(587), 20)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        if self._child:
            self._child.end()
            self._child = None
        if self._sasl:
            self._sasl.close()
            self._sasl = None
