# SPDX-License-Identifier: ISC
"""A way to a port on this host that can be disturbed: closed, slowed down, cut into small pieces, reset; made to lose what
comes back, or to hold what goes there until the one who sent it has long given up."""

import collections
import random
import selectors
import socket
import struct
import threading
import time

from waiting import free_port

PIECES = 7                  # bytes at most, where a stream is split


class _Pair:
    """near: who came to the gate; None: it has gone, and what it sent is still to be delivered."""

    def __init__(self, near, far):
        self.near, self.far = near, far
        self.queues = {near: collections.deque(), far: collections.deque()}     # by receiver: [due, bytes]
        self.held = []


class Gate:
    def __init__(self, target):
        self.port, self.target = free_port(), target
        self.delay_s = 0.0              # each way
        self.split = False
        self.deaf = False               # what comes back is thrown away
        self.deaf_after = None          # from the moment on when these bytes go there
        self._holding = False
        self._shut = False
        self._pairs = {}                # socket -> its pair
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=16)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._lock = threading.Lock()
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._ended:
            events = self._selector.select(0.001 if self._waits() else 0.02)
            with self._lock:
                for key, _ in events:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj in self._pairs:
                        self._take(key.fileobj)
                for pair in set(self._pairs.values()):
                    self._deliver(pair)

    def _waits(self):
        with self._lock:
            return any(queue for pair in self._pairs.values() for queue in pair.queues.values())

    def _accept(self):
        near, _ = self._listener.accept()
        if self._shut:
            near.close()
            return
        try:
            far = socket.create_connection(("127.0.0.1", self.target), 5)
        except OSError:
            near.close()
            return
        pair = _Pair(near, far)
        for one in (near, far):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.setblocking(False)
            self._pairs[one] = pair
            self._selector.register(one, selectors.EVENT_READ)

    def _take(self, one):
        pair = self._pairs[one]
        try:
            data = one.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            if one is pair.near and pair.held:
                self._leave(one)
                pair.near = None
            else:
                self._drop(pair)
        elif one is pair.near:
            if self.deaf_after and self.deaf_after in data:
                self.deaf, self.deaf_after = True, None
            if self._holding:
                pair.held.append(data)
            else:
                self._put(pair, pair.far, data)
        elif pair.near and not self.deaf:
            self._put(pair, pair.near, data)

    def _put(self, pair, receiver, data):
        pair.queues[receiver].append([time.monotonic() + self.delay_s, data])

    def _deliver(self, pair):
        for receiver in (pair.near, pair.far):
            queue = pair.queues.get(receiver)
            while receiver and queue and queue[0][0] <= time.monotonic():
                data = queue[0][1]
                try:
                    sent = receiver.send(data[:random.randint(1, PIECES)] if self.split else data)
                except BlockingIOError:
                    break
                except OSError:
                    self._drop(pair)
                    return
                queue[0][1] = data[sent:]
                if not queue[0][1]:
                    queue.popleft()
                elif self.split and random.random() < 0.05:
                    break               # the rest in another turn

    def _leave(self, link):
        del self._pairs[link]
        self._selector.unregister(link)
        link.close()

    def _drop(self, pair, reset=False):
        for link in (pair.near, pair.far):
            if link in self._pairs:
                if reset:
                    link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._leave(link)

    def _drop_all(self, reset=False):
        for pair in set(self._pairs.values()):
            self._drop(pair, reset)

    def shut(self):
        with self._lock:
            self._shut = True
            self._drop_all()

    def open(self):
        with self._lock:
            self._shut = False

    def reset(self):
        """Every connection ends with a reset; new ones may come at once."""
        with self._lock:
            self._drop_all(reset=True)

    def hold(self):
        """What goes there is kept from now on. Connections that come later are not concerned once let_new() is called."""
        with self._lock:
            self._holding = True

    def let_new(self):
        """What was held stays so; all else passes again."""
        with self._lock:
            self._holding = False

    def held(self):
        """How many bytes wait whose sender has gone."""
        with self._lock:
            return sum(len(data) for pair in set(self._pairs.values()) if not pair.near for data in pair.held)

    def release(self):
        """Delivers what was held, whoever sent it; returns how many bytes of connections that have ended."""
        late = 0
        with self._lock:
            self._holding = False
            for pair in set(self._pairs.values()):
                late += sum(len(data) for data in pair.held) if not pair.near else 0
                for data in pair.held:
                    self._put(pair, pair.far, data)
                pair.held = []
        return late

    def close(self):
        self.shut()
        self._ended = True
        self._thread.join(5)
        self._listener.close()
        self._selector.close()
