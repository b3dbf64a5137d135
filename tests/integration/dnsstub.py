# SPDX-License-Identifier: ISC
"""A DNS server on loopback, UDP and TCP, that answers from a table and misbehaves on request.

Names that are not in the table get `default` (ANY: every name has an address, a mail server and, if asked, a PTR). A
name's behaviour holds for all types, or for one type where `behave(name, how, qtype)` says so. Every query is counted.
Queries by TCP are always answered in full.
"""

import ipaddress
import select
import socket
import struct
import threading
import time

A, NS, CNAME, SOA, PTR, MX, AAAA = 1, 2, 5, 6, 12, 15, 28
TYPES = {"A": A, "NS": NS, "CNAME": CNAME, "SOA": SOA, "PTR": PTR, "MX": MX, "AAAA": AAAA}
NAMES = {number: name for name, number in TYPES.items()}
RCODES = {"NOERROR": 0, "FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5}

# What a name can do instead of answering well.
MISDEEDS = ("SERVFAIL REFUSED NOTIMP FORMERR SILENT WRONG_ID WRONG_QUESTION EMPTY GARBAGE LOOP CUT LIE CNAME_LOOP "
            "TC_SILENT").split()


def encode_name(name):
    out = b""
    for label in name.rstrip(".").split("."):
        raw = label.encode("latin-1", "replace") if isinstance(label, str) else label
        if raw:
            out += bytes([len(raw)]) + raw
    return out + b"\0"


def decode_question(packet):
    """(name, type, offset after the question); None where the packet holds no plain question."""
    labels, at = [], 12
    try:
        while packet[at]:
            labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1"))
            at += 1 + packet[at]
        qtype, _ = struct.unpack_from(">HH", packet, at + 1)
    except (IndexError, struct.error):
        return None
    return ".".join(labels).lower(), qtype, at + 5


def record(name, qtype, ttl, data):
    return encode_name(name) + struct.pack(">HHIH", qtype, 1, ttl, len(data)) + data


def reverse_name(address):
    return ipaddress.ip_address(address).reverse_pointer


class DnsStub:
    def __init__(self, default="NXDOMAIN"):
        self.default = default
        self._records = {}
        self._behaviour = {}
        self._counts = {}
        self._lock = threading.Lock()
        self._open = True
        self._bind()
        threading.Thread(target=self._udp_loop, daemon=True).start()
        threading.Thread(target=self._tcp_loop, daemon=True).start()

    def _bind(self):
        """The same port for both; another one if somebody holds the TCP side."""
        for _ in range(100):
            self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._udp.bind(("127.0.0.1", 0))
            self.port = self._udp.getsockname()[1]
            try:
                self._tcp.bind(("127.0.0.1", self.port))
                self._tcp.listen(64)
                return
            except OSError:
                self._udp.close()
                self._tcp.close()
        raise RuntimeError("no port for the DNS stub")

    # The table.

    def add(self, name, qtype, data, ttl=300):
        self._records.setdefault(name.lower().rstrip("."), []).append((TYPES[qtype], ttl, data))
        return self

    def a(self, name, *addresses, ttl=300):
        for address in addresses:
            packed = ipaddress.ip_address(address).packed
            self.add(name, "A" if len(packed) == 4 else "AAAA", packed, ttl)
        return self

    def mx(self, name, *hosts, ttl=300):
        """hosts: names, in order of preference. "." is the null MX."""
        for number, host in enumerate(hosts):
            self.add(name, "MX", struct.pack(">H", 0 if host == "." else 10 * (number + 1)) + encode_name(host), ttl)
        return self

    def ptr(self, address, name, ttl=300):
        return self.add(reverse_name(address), "PTR", encode_name(name), ttl)

    def cname(self, name, target, ttl=300):
        return self.add(name, "CNAME", encode_name(target), ttl)

    def behave(self, name, how, qtype=None):
        """how: NXDOMAIN, NODATA, one of MISDEEDS, TC (cut by UDP, whole by TCP), or a number: seconds to wait."""
        self._behaviour[name.lower().rstrip("."), qtype and TYPES[qtype]] = how
        return self

    def forget(self):
        self._records.clear()
        self._behaviour.clear()
        self.reset_counts()
        self.default = "NXDOMAIN"

    def reset_counts(self):
        with self._lock:
            self._counts.clear()

    def count(self, name=None, qtype=None):
        """How many queries came, for all names and types or for one."""
        name = name and name.lower().rstrip(".")
        with self._lock:
            return sum(number for (asked, kind), number in self._counts.items()
                       if name in (None, asked) and (qtype is None or TYPES[qtype] == kind))

    # The answers.

    def _how(self, name, qtype):
        for key in ((name, qtype), (name, None)):
            if key in self._behaviour:
                return self._behaviour[key]
        return "ANSWER" if name in self._records else self.default

    def _answers(self, name, qtype):
        """The records of the name and, behind an alias, those of its target."""
        out, seen = b"", 0
        for _ in range(8):
            own = self._records.get(name, [])
            hits = [item for item in own if item[0] == qtype]
            alias = next((item for item in own if item[0] == CNAME), None)
            for kind, ttl, data in hits or ([alias] if alias else []):
                out += record(name, kind, ttl, data)
                seen += 1
            if hits or not alias:
                break
            name = decode_question(bytes(12) + alias[2] + bytes(4))[0]
        return out, seen

    def _reply(self, packet, name, qtype, end, how):
        question = packet[12:end]
        if how == "ANY":
            data = {A: b"\xc0\x00\x02\x50", MX: b"\0\x0a" + encode_name("mail.example.net"),
                    PTR: encode_name("host.example.net")}.get(qtype)
            if data is None:
                return self._reply(packet, name, qtype, end, "NODATA")
            # The owner's name is a pointer to the question, so that any name is given back as it was asked.
            return (packet[:2] + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0) + question +
                    b"\xc0\x0c" + struct.pack(">HHIH", qtype, 1, 300, len(data)) + data)

        def header(rcode, answers=0, authority=0, flags=0x8180):
            return packet[:2] + struct.pack(">HHHHH", flags | rcode, 1, answers, authority, 0)

        if how in ("ANSWER", "NODATA", "NXDOMAIN"):
            records, number = (b"", 0) if how != "ANSWER" else self._answers(name, qtype)
            if number:
                return header(0, number) + question + records
            soa = record(name.split(".")[-1], SOA, 300, encode_name("ns.example") + encode_name("root.example") +
                         struct.pack(">IIIII", 1, 3600, 600, 86400, 300))
            return header(3 if how == "NXDOMAIN" else 0, 0, 1) + question + soa
        if how in RCODES:
            return header(RCODES[how]) + question
        return self._misdeed(how, packet, question, name, qtype, header)

    @staticmethod
    def _misdeed(how, packet, question, name, qtype, header):
        if how in ("TC", "TC_SILENT"):
            return header(0, flags=0x8380) + question
        if how == "WRONG_ID":
            return bytes([packet[0] ^ 0xff, packet[1]]) + header(3)[2:] + question
        if how == "WRONG_QUESTION":
            return header(3) + encode_name("other.example") + question[-4:]
        if how == "EMPTY":
            return b""
        if how == "GARBAGE":
            return bytes((7 * i + 13) & 0xff for i in range(200))
        if how == "LOOP":
            itself = bytes([0xc0, 12 + len(question)])
            return header(0, 1) + question + itself + struct.pack(">HHIH", qtype, 1, 300, 2) + b"\xc0\x0c"
        if how == "CUT":
            return (header(0, 1) + question + record(name, qtype, 300, b"\0" * 16))[:-12]
        if how == "LIE":
            return header(0, 400) + question
        if how == "CNAME_LOOP":
            return header(0, 1) + question + record(name, CNAME, 300, encode_name(name))
        raise ValueError(how)

    def _take(self, packet):
        """Counts a query. (name, type, end of question, behaviour), or None."""
        asked = decode_question(packet) if len(packet) > 12 else None
        if not asked:
            return None
        with self._lock:
            key = asked[0], asked[1]
            self._counts[key] = self._counts.get(key, 0) + 1
        return asked + (self._how(asked[0], asked[1]),)

    def _udp_loop(self):
        late = []
        while self._open:
            wait_s = max(0.0, min([0.2] + [when - time.monotonic() for when, _, _ in late]))
            try:
                ready, _, _ = select.select([self._udp], [], [], wait_s)
                if ready:
                    self._udp_query(late)
            except (OSError, ValueError):
                return
            for item in [item for item in late if item[0] <= time.monotonic()]:
                late.remove(item)
                self._udp.sendto(item[1], item[2])

    def _udp_query(self, late):
        packet, peer = self._udp.recvfrom(4096)
        asked = self._take(packet)
        if not asked or asked[3] == "SILENT":
            return
        name, qtype, end, how = asked
        if isinstance(how, (int, float)):
            good = "ANSWER" if name in self._records else "NXDOMAIN"
            late.append((time.monotonic() + how, self._reply(packet, name, qtype, end, good), peer))
        else:
            self._udp.sendto(self._reply(packet, name, qtype, end, how), peer)

    def _tcp_loop(self):
        while self._open:
            try:
                link, _ = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._tcp_serve, args=(link,), daemon=True).start()

    def _tcp_serve(self, link):
        with link, link.makefile("rb") as lines:
            link.settimeout(10)
            try:
                while True:
                    head = lines.read(2)
                    if len(head) < 2:
                        return
                    packet = lines.read(struct.unpack(">H", head)[0])
                    asked = self._take(packet)
                    if not asked or asked[3] in ("SILENT", "TC_SILENT"):
                        continue
                    name, qtype, end, how = asked
                    if how == "TC" or isinstance(how, (int, float)):
                        how = "ANSWER" if name in self._records else "NXDOMAIN"
                    reply = self._reply(packet, name, qtype, end, how)
                    link.sendall(struct.pack(">H", len(reply)) + reply)
            except OSError:
                pass

    def close(self):
        self._open = False
        self._udp.close()
        self._tcp.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
