# SPDX-License-Identifier: ISC
"""A private Postfix on loopback, below a directory of the test, with the very lines of packaging/postfix.

Services: `smtp` (port 25: main.cf's restrictions), `submission`, `submissions` and `reinject` from
packaging/postfix/master.cf (TLS off, as the client driver speaks none), `stages` (smtpd_delay_reject=no, a context for
each list) and `plain` (no Reeve at all: what Postfix itself thinks of an address). Clients on loopback may say XCLIENT,
and mynetworks holds only 192.0.2.240/28, so everybody else is a stranger. Nothing is delivered anywhere.
"""

import os
import re
import shutil
import signal
import subprocess
import time

from sasl import FakeDovecot
from waiting import Child, can_connect, free_port, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGED = os.path.join(HERE, "..", "..", "packaging", "postfix")

BASE = """\
compatibility_level = 3.6
queue_directory = {root}/spool
data_directory = {root}/data
mail_owner = postfix
setgid_group = postdrop
syslog_name = postfix
maillog_file = {root}/maillog
maillog_file_prefixes = {root}
myhostname = mx.example.com
myorigin = example.com
mydestination = example.com, localhost, xn--bcher-kva.example, b\u00fccher.example
recipient_delimiter = +
inet_interfaces = 127.0.0.1
inet_protocols = all
mynetworks = 192.0.2.240/28
alias_maps =
alias_database =
virtual_alias_maps =
local_recipient_maps = regexp:{root}/etc/users
local_transport = discard:
default_transport = discard:
relay_transport = discard:
smtpd_peername_lookup = no
smtpd_authorized_xclient_hosts = 127.0.0.0/8
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
in_flow_delay = 0
smtpd_sasl_type = dovecot
smtpd_sasl_path = auth
smtpd_sasl_auth_enable = yes
header_checks = regexp:{root}/etc/headers
"""

# The names that exist in every local domain: user, alice, bob, u0, u1, ... and list0, list1, ...
USERS = r"/^(user|alice|bob|postmaster|u[0-9]+|list[0-9]+)(\+[^@]*)?(@(example\.com|xn--bcher-kva\.example|" \
        "b\u00fccher\\.example))?$/ x\n"

# Headers that Reeve adds show up in the mail log.
HEADERS = "/^X-Reeve-/ WARN\n"

ASK = "check_policy_service { $reeve_socket, timeout=10s, default_action=DUNNO, policy_context=%s }"


def service(name, *options, **lists):
    """Lines for master.cf: a service with further -o values and, by name, smtpd_NAME_restrictions."""
    restrictions = ["{ smtpd_%s_restrictions = %s }" % item for item in lists.items()]
    return "%s inet n - n - - smtpd\n" % name + "".join("  -o %s\n" % option for option in list(options) + restrictions)


# Asked at once at every stage, each list with a context of its own.
STAGES = service("stages", "smtpd_delay_reject=no", "smtpd_sasl_auth_enable=no", client=ASK % "client", helo=ASK % "helo",
                 sender=ASK % "sender", recipient=ASK % "recipient", data=ASK % "data", end_of_data=ASK % "eod",
                 etrn=ASK % "etrn")

# Submission again, with Reeve in every list that it can stand in: six questions a recipient, two at DATA and at the end.
CONTEXTS = service("contexts", client=ASK % "client", sender=ASK % "sender",
                   relay=ASK % "relay" + ", permit_sasl_authenticated, reject",
                   recipient=ASK % "recipient" + ", $reeve, $reeve", data="$reeve, $reeve",
                   end_of_data=ASK % "eod" + ", $reeve")

# Without Reeve.
PLAIN = service("plain", recipient="", data="", end_of_data="")

INTERNAL = """\
cleanup   unix  n  -  n  -  0  cleanup
qmgr      unix  n  -  n  300  1  qmgr
tlsmgr    unix  -  -  n  1000?  1  tlsmgr
rewrite   unix  -  -  n  -  -  trivial-rewrite
bounce    unix  -  -  n  -  0  bounce
defer     unix  -  -  n  -  0  bounce
trace     unix  -  -  n  -  0  bounce
flush     unix  n  -  n  1000?  0  flush
proxymap  unix  -  -  n  -  -  proxymap
error     unix  -  -  n  -  -  error
retry     unix  -  -  n  -  -  error
discard   unix  -  -  n  -  -  discard
anvil     unix  -  -  n  -  1  anvil
postlog   unix-dgram n  -  n  -  1  postlogd
"""

# The directories of a queue: group and mode, as in Postfix's own postfix-files.
QUEUE = {name: ("root", 0o700) for name in
         "active bounce corrupt defer deferred flush hold incoming private saved trace".split()}
QUEUE.update(maildrop=("postdrop", 0o1730), public=("postdrop", 0o2710), pid=("root", 0o755))

NO_TLS = "  -o smtpd_tls_security_level=none\n  -o smtpd_tls_auth_only=no\n  -o smtpd_tls_wrappermode=no\n"


def read_packaged(name):
    with open(os.path.join(PACKAGED, name), encoding="utf-8") as file:
        return file.read()


def postconf_value(name):
    return subprocess.run(["postconf", "-h", "-d", name], check=True, capture_output=True, text=True).stdout.strip()


class Postfix:
    """reeve: the address for $reeve_socket, default the packaged one. main: lines that win over all others.

    options: service name -> further `-o` values. The maps `users`, `headers` and any of `files` stand in etc/.
    """

    def __init__(self, root, reeve=None, chroot=False, main=None, options=None, files=None):
        self.root = root
        self.etc = os.path.join(root, "etc")
        self.queue = os.path.join(root, "spool")
        self.chroot = chroot
        self.ports = {}
        self._options = options or {}
        self._child = None
        self._sasl = None
        for name in ("etc", "spool", "data"):
            os.makedirs(os.path.join(root, name), exist_ok=True)
        shutil.chown(os.path.join(root, "data"), "postfix")
        # As README says: a directory of Reeve's own inside the queue directory, which group postfix may enter.
        socket_dir = os.path.join(self.queue, "reeve")
        os.makedirs(socket_dir)
        shutil.chown(socket_dir, group="postfix")
        os.chmod(socket_dir, 0o750)
        self.socket_path = os.path.join(socket_dir, "policy.sock")
        for name, text in {"users": USERS, "headers": HEADERS, **(files or {})}.items():
            self.write(name, text)
        settings = dict(main or {})
        if reeve:
            settings["reeve_socket"] = reeve
        self.write("main.cf", self._main_cf(settings))
        self.write("master.cf", self._master_cf())

    def write(self, name, text):
        """A file in etc/, dated back: Postfix waits with a main.cf that may be half written, for a second or two."""
        path = os.path.join(self.etc, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        earlier = time.time() - 10
        os.utime(path, (earlier, earlier))

    def _main_cf(self, settings):
        """Later lines win in Postfix, with a warning; so the earlier ones are dropped here."""
        text = BASE.format(root=self.root) + read_packaged("main.cf")
        for name in settings:
            text = re.sub(r"(?m)^%s\s*=.*\n(?:[ \t].*\n)*" % re.escape(name), "", text)
        return text + "".join("%s = %s\n" % item for item in settings.items())

    def _master_cf(self):
        """Puts each inet service on a free loopback port and sets its chroot flag."""
        blocks = re.findall(r"(?m)^[^\s#].*\n(?:[ \t].*\n)*", read_packaged("master.cf"))
        text = "smtp inet n - y - - smtpd\n" + "".join(blocks) + STAGES + CONTEXTS + PLAIN
        out = []
        for block in re.findall(r"(?m)^[^\s#].*\n(?:[ \t].*\n)*", text):
            first, rest = block.split("\n", 1)
            words = first.split()
            name = "reinject" if words[0].endswith(":10025") else words[0]
            port = self.ports[name] = free_port()
            words[0] = "127.0.0.1:%d" % port
            words[4] = "y" if self.chroot else "n"
            out.append(" ".join(words) + "\n" + rest + NO_TLS + "".join(
                "  -o { %s = %s }\n" % item for item in self._options.get(name, {}).items()))
        return "".join(out) + INTERNAL

    def port(self, service):
        return self.ports[service]

    def maillog(self):
        try:
            with open(os.path.join(self.root, "maillog"), encoding="utf-8", errors="backslashreplace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def wait_log(self, pattern, timeout_s=10.0):
        return wait_for(lambda: "%r in\n%s" % (pattern, self.maillog()[-3000:]),
                        lambda: re.search(pattern, self.maillog()), timeout_s)

    def _make_queue(self):
        """What `postfix check` makes, without the second or two that it takes."""
        for name, (group, mode) in QUEUE.items():
            path = os.path.join(self.queue, name)
            os.makedirs(path, exist_ok=True)
            shutil.chown(path, "root" if name == "pid" else "postfix", group)
            os.chmod(path, mode)

    def start(self):
        self._make_queue()
        self._sasl = FakeDovecot(os.path.join(self.queue, "auth"))
        master = os.path.join(postconf_value("daemon_directory"), "master")
        env = dict(os.environ, MAIL_CONFIG=self.etc)
        self._child = Child([master, "-c", self.etc, "-s"], env=env, cwd=self.queue)
        try:
            wait_for(lambda: "Postfix listens:\n" + self._child.text() + self.maillog(),
                     lambda: can_connect(self.ports["plain"]), 20)
        except BaseException:
            self.stop()
            raise
        return self

    def reload(self):
        """Sessions go on; every smtpd process ends after the one it has, so the next speaks on a new policy connection."""
        self._child.signal(signal.SIGHUP)

    def stop(self):
        if self._child:
            self._child.end()
            self._child = None
        if self._sasl:
            self._sasl.close()
            self._sasl = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
