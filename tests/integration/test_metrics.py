# SPDX-License-Identifier: ISC
"""Metrics by HTTP and by reevectl, and `watch`: decisions as they happen."""

import json
import os
import re
import socket
import subprocess
import urllib.error
import urllib.request

from control import REEVECTL, Control, connect, read_to_end
from harness import DaemonBench, free_port, main, request, submission, wait_for

CONFIG = """
site: { origin: example.com, domains: [example.com] }
rules:
  - { name: names, check: helo, names: [bad.example] }
  - { name: local, check: local_sender, allow: authenticated, mode: monitor }
  - { name: domain, check: sender_domain }
  - { name: hourly, check: rate, per: login, limit: 2/1h }
bans: { mode: enforce }
metrics: %s
"""

SAMPLE = re.compile(r'([a-z_]+)(?:\{([^}]*)\})? (\S+)\Z')


def parse(text):
    """{(name, labels): value}; every line must be well formed, and every metric have its help and type."""
    values, told = {}, set()
    for line in text.splitlines():
        if line.startswith("# "):
            told.add(tuple(line.split(" ", 3)[1:3]))
            continue
        name, labels, value = SAMPLE.match(line).groups()
        base = re.sub(r"_(bucket|sum|count)\Z", "", name) if "decision_seconds" in name else name
        assert ("HELP", base) in told and ("TYPE", base) in told, line
        assert (name, labels) not in values, line
        values[name, labels] = float(value)
    return values


class Metrics(DaemonBench):
    memory = True

    def start(self):
        self.port = free_port()
        reeved = self.reeve(CONFIG % ("inet:127.0.0.1:%d" % self.port))
        self.dns.mx("example.com", "mail.example.com")
        return reeved, Control(reeved)

    def scrape(self, path="/metrics", method="GET"):
        with urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:%d%s" % (self.port, path), method=method),
                                    timeout=10) as answer:
            return answer.headers, answer.read().decode("utf-8")

    def test_what_is_counted(self):
        reeved, control = self.start()
        before = parse(self.scrape()[1])
        with reeved.connect() as link:
            for _ in range(3):
                link.ask(submission("bob@example.com", instance=self.instance(), recipient="x@far.example"))
            link.ask(request(helo_name="bad.example", client_port=40000, instance=self.instance()))
            link.ask(request(sender="a@nowhere.test", instance=self.instance()))
            link.ask(request(sender="fake@example.com", instance=self.instance()))
        headers, text = self.scrape()
        self.assertEqual(headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        after = parse(text)
        grown = {key: value - before.get(key, 0) for key, value in after.items()}
        for labels, number in (('action="dunno",rule=""', 3), ('action="defer",rule="hourly"', 1),
                               ('action="disconnect",rule="names"', 1), ('action="reject",rule="domain"', 1)):
            self.assertEqual(grown["reeve_decisions_total", labels], number, labels)
        self.assertEqual(grown["reeve_rule_monitor_total", 'rule="local"'], 1)
        self.assertEqual(grown["reeve_requests_total", None], 6)
        self.assertEqual(grown["reeve_decision_seconds_count", None], 6)
        buckets = [value for (name, _), value in after.items() if name == "reeve_decision_seconds_bucket"]
        self.assertEqual(buckets, sorted(buckets))
        self.assertEqual(buckets[-1], after["reeve_decision_seconds_count", None])
        self.assertEqual(after["reeve_store_counters", None], 1)
        self.assertEqual(after["reeve_dns_dead", None], 0)
        self.assertEqual(after["reeve_config_last_reload_good", None], 1)
        # Reloads keep what was counted; a failed one shows.
        reeved.write(CONFIG % "off" + "foo: 1\n")
        self.assertEqual(control.ctl("reload").returncode, 78)
        later = parse(control.ctl("metrics").out)
        self.assertEqual(later["reeve_config_last_reload_good", None], 0)
        self.assertEqual(later["reeve_decisions_total", 'action="reject",rule="domain"'],
                         after["reeve_decisions_total", 'action="reject",rule="domain"'])

    def test_every_metric_is_in_the_manual(self):
        self.start()
        names = set(re.findall(r"# TYPE reeve_(\S+)", self.scrape()[1]))
        with open(os.path.join(os.path.dirname(__file__), "..", "..", "packaging", "man", "reeved.8"), encoding="utf-8") as file:
            manual = file.read()
        told = set(re.findall(r"^\.It Cm reeve_(\S+)", manual, re.M))
        self.assertEqual(names, told)

    def test_http(self):
        reeved, _ = self.start()
        headers, text = self.scrape(method="HEAD")
        self.assertEqual(text, "")
        self.assertGreater(int(headers["Content-Length"]), 1000)
        for path, method, code in (("/", "GET", 404), ("/metricsx", "GET", 404), ("/metrics", "POST", 405)):
            with self.assertRaises(urllib.error.HTTPError) as caught:
                self.scrape(path, method)
            self.assertEqual(caught.exception.code, code)
            caught.exception.close()
        for data in (b"\n\n", b"\r\n\r\n", b"GET /metrics\r\n\r\n", b"\xff" * 9000, b"GET /metrics HTTP/2.0\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", self.port), 10) as link:
                link.sendall(data)
                self.assertIn(read_to_end(link)[:12], (b"HTTP/1.0 400", b""))
        with socket.create_connection(("127.0.0.1", self.port), 10) as link:
            for byte in b"GET /metrics?x=1 HTTP/1.1\r\nHost: x\r\n\r\n":
                link.sendall(bytes([byte]))
            self.assertTrue(read_to_end(link).startswith(b"HTTP/1.0 200 OK\r\n"))
        self.assertTrue(reeved.child.running())

    def test_watch(self):
        reeved, control = self.start()
        everything = subprocess.Popen([REEVECTL, "--socket", control.path, "watch", "--json"], stdout=subprocess.PIPE)
        refusals = subprocess.Popen([REEVECTL, "--socket", control.path, "watch", "--refused", "sender=A@nowhere.test"],
                                    stdout=subprocess.PIPE)
        self.addCleanup(everything.stdout.close)
        self.addCleanup(refusals.stdout.close)
        wait_for("two watchers", lambda: control.ask("status")["watchers"] == 2)
        with reeved.connect() as link:
            link.ask(submission("bob@example.com", instance=self.instance(), recipient="x@far.example"))
            link.ask(request(helo_name="bad.example", client_port=40000, instance=self.instance()))
            link.ask(request(sender="a@nowhere.test", recipient="\x1b[31m@example.com", instance=self.instance()))
        seen = [json.loads(everything.stdout.readline()) for _ in range(3)]
        self.assertEqual([line["action"] for line in seen], ["dunno", "disconnect", "reject"])
        self.assertEqual(seen[0]["counters"][0]["used"], 1)
        self.assertEqual(seen[2]["rule"], "domain")
        line = refusals.stdout.readline().decode()
        self.assertRegex(line, r"\A\d\d:\d\d:\d\d RCPT 550 5\.1\.8 .* rule=domain reason=nxdomain client=198\.51\.100\.7 sender=a@nowhere\.test")
        self.assertNotIn("\x1b", line)
        for child in (everything, refusals):
            child.terminate()
            child.wait(10)
        wait_for("no watcher", lambda: control.ask("status")["watchers"] == 0)

    def test_a_slow_watcher_is_dropped(self):
        """It reads nothing; the daemon goes on answering, and lets it go when it holds too much for it."""
        reeved, control = self.start()
        with connect(control.path) as slow:
            slow.sendall(b"reeve=1\ncommand=watch\n\n")
            wait_for("a watcher", lambda: control.ask("status")["watchers"] == 1)
            with reeved.connect() as link:
                for number in range(20000):
                    link.ask(request(protocol_state="VRFY", helo_name="h%d.example" % number))
                    if number % 500 == 0 and control.ask("status")["watchers"] == 0:
                        break
            self.assertEqual(control.ask("status")["watchers"], 0)
            lines = read_to_end(slow).split(b"\n")
            self.assertGreater(len(lines), 100)
            for line in lines[:-1]:
                json.loads(line)


if __name__ == "__main__":
    main()
