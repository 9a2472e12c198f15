"""Outsiders who listen: sockets, pipes, queues, and a person at a terminal."""

from __future__ import annotations

import array
import ctypes
import os
import pty
import select
import socket
import struct
import threading
import tty
from collections.abc import Iterator
from contextlib import suppress

from .acts.kernel import call
from .outsider import Outsider
from .stage import Stage


class Listeners(Outsider):
    """Sockets at which somebody waits."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._sockets: dict[str, socket.socket] = {}

    def _add(self, name: str, family: int, kind: int, address: object) -> socket.socket:
        server = socket.socket(family, kind)
        server.bind(address)
        if kind != socket.SOCK_DGRAM:
            server.listen()
        server.setblocking(False)
        self._sockets[name] = server
        return server

    def evidence(self) -> Iterator[str]:
        for name, server in self._sockets.items():
            try:
                if server.type == socket.SOCK_DGRAM:
                    server.recv(1)
                else:
                    server.accept()[0].close()
            except BlockingIOError:
                continue
            yield f"{name} was reached"

    def close(self) -> None:
        for server in self._sockets.values():
            server.close()


class Network(Listeners):
    """TCP and UDP, on loopback and on the machine's own address if it has one."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        for name, host in (("", "127.0.0.1"), ("_LAN", lan_address())):
            if host is None:
                continue
            self.env["LAN"] = host
            for protocol, kind in (("TCP", socket.SOCK_STREAM), ("UDP", socket.SOCK_DGRAM)):
                server = self._add(protocol + name, socket.AF_INET, kind, (host, 0))
                self.env[protocol + name] = f"{host}:{server.getsockname()[1]}"
        with suppress(OSError):
            server = self._add("TCP6", socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0))
            self.env["TCP6"] = f"::1:{server.getsockname()[1]}"


class Sockets(Listeners):
    """AF_UNIX, by path and by abstract name."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        kinds = {
            "UNIX_STREAM": socket.SOCK_STREAM,
            "UNIX_PACKETS": socket.SOCK_SEQPACKET,
            "UNIX_DATAGRAMS": socket.SOCK_DGRAM,
        }
        for name, kind in kinds.items():
            path = str(stage.outside / name.lower())
            self._add(name, socket.AF_UNIX, kind, path)
            self.env[name] = path
        name = f"escape-{stage.token}"
        self._add("an abstract socket", socket.AF_UNIX, socket.SOCK_STREAM, f"\0{name}")
        datagrams = f"\0{name}-datagrams"
        self._add("an abstract socket for datagrams", socket.AF_UNIX, socket.SOCK_DGRAM, datagrams)
        self.env["ABSTRACT"] = name


class Giver(Outsider):
    """Hands everybody who connects a file that is open for writing."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        path = str(stage.outside / "giver")
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(path)
        self._server.listen()
        self.env["GIVER"] = path
        self._thread = threading.Thread(target=self._give, daemon=True)
        self._thread.start()

    def _give(self) -> None:
        with suppress(OSError):
            taker, _ = self._server.accept()
            with taker, (self.stage.outside / "target").open("ab") as file:
                rights = array.array("i", [file.fileno()])
                taker.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.close()


class Caller(Outsider):
    """Tries to reach whoever listens where it was told."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        path = str(stage.work / "sock")
        self.env = {"MY_PORT": f"{port}", "MY_SOCKET": path}
        self._addresses = ((socket.AF_INET, ("127.0.0.1", port)), (socket.AF_UNIX, path))
        self._reached = self._over = False
        self._pause = threading.Event()
        self._thread = threading.Thread(target=self._call, daemon=True)
        self._thread.start()

    def _call(self) -> None:
        while not self._reached and not self._pause.wait(0.01):
            for family, address in self._addresses:
                with socket.socket(family) as client, suppress(OSError):
                    client.settimeout(1)
                    client.connect(address)
                    # Somebody else may have been given the port.
                    if client.recv(100) == self.stage.token.encode():
                        self._reached = True

    def evidence(self) -> Iterator[str]:
        if self._reached:
            yield "it was reached from outside"

    def close(self) -> None:
        self._pause.set()
        self._thread.join()


class Terminal(Outsider):
    """A terminal of the user's, at which somebody sits."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._person, self._end = pty.openpty()
        tty.setraw(self._end)
        os.set_inheritable(self._end, True)
        self.descriptors = (self._end,)
        self.env["TERMINAL"] = os.ttyname(self._end)

    def evidence(self) -> Iterator[str]:
        readable, _, _ = select.select([self._person, self._end], [], [], 0)
        if self._person in readable:
            yield "something was shown on the terminal"
        if self._end in readable:
            yield "something was typed into the terminal"

    def close(self) -> None:
        os.close(self._person)
        os.close(self._end)


class Fifo(Outsider):
    """A pipe with a name, outside."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        path = stage.outside / "fifo"
        os.mkfifo(path)
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.env["FIFO"] = str(path)

    def evidence(self) -> Iterator[str]:
        with suppress(BlockingIOError):
            if os.read(self._fd, 1):
                yield "the reader of the pipe was told something"

    def close(self) -> None:
        os.close(self._fd)


class Queue(Outsider):
    """A POSIX message queue."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._name = f"escape-{stage.token}".encode()
        attributes = struct.pack("@8l", 0, 4, 64, 0, 0, 0, 0, 0)
        flags = os.O_RDONLY | os.O_CREAT | os.O_NONBLOCK
        self._fd = call("mq_open", self._name, flags, 0o600, attributes)
        self.env["QUEUE"] = self._name.decode()

    def evidence(self) -> Iterator[str]:
        with suppress(BlockingIOError):
            call("mq_timedreceive", self._fd, ctypes.create_string_buffer(64), 64, 0, 0)
            yield "the queue's reader was told something"

    def close(self) -> None:
        os.close(self._fd)
        call("mq_unlink", self._name)


def lan_address() -> str | None:
    """An address of this machine that is not the loopback's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        try:
            # Nothing is sent: this only chooses the address from which it would be.
            asker.connect(("198.51.100.1", 9))
        except OSError:
            return None
        host: str = asker.getsockname()[0]
    return None if host.startswith("127.") else host
