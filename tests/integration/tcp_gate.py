# SPDX-License-Identifier: ISC
"""A way to a port on this host that can be closed: what goes through it is cut off, and nothing new is let in."""

import selectors
import socket
import threading

from waiting import free_port


class Gate:
    def __init__(self, target):
        self.port, self.target = free_port(), target
        self._pairs = {}
        self._shut = False
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=16)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._lock = threading.Lock()
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._ended:
            for key, _ in self._selector.select(0.05):
                with self._lock:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj in self._pairs:
                        self._pass(key.fileobj)

    def _accept(self):
        near, _ = self._listener.accept()
        if self._shut:
            near.close()
            return
        far = socket.create_connection(("127.0.0.1", self.target), 5)
        for one, other in ((near, far), (far, near)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._pairs[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass(self, one):
        try:
            data = one.recv(65536)
            if data:
                self._pairs[one].sendall(data)
                return
        except OSError:
            pass
        self._drop(one)

    def _drop(self, one):
        for link in (one, self._pairs[one]):
            del self._pairs[link]
            self._selector.unregister(link)
            link.close()

    def shut(self):
        with self._lock:
            self._shut = True
            while self._pairs:
                self._drop(next(iter(self._pairs)))

    def open(self):
        with self._lock:
            self._shut = False

    def close(self):
        self.shut()
        self._ended = True
        self._thread.join(5)
        self._listener.close()
        self._selector.close()
