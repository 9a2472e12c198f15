"""Attempts to reach somebody, or to be reached."""

from __future__ import annotations

import array
import ctypes
import mmap
import os
import socket
import struct

from kernel import call, play, tried

WORD = b"escaped"


def own_pair() -> None:
    """Between two processes of the command."""
    mine, theirs = socket.socketpair()
    if os.fork() == 0:
        theirs.send(WORD)
        os._exit(0)
    if mine.recv(10) == WORD:
        print("REACHED")


def tcp() -> None:
    for name in ("TCP", "TCP_LAN", "TCP6"):
        if name in os.environ:
            tried(lambda name=name: socket.create_connection(_address(name), timeout=1))


def udp() -> None:
    for name in ("UDP", "UDP_LAN"):
        if name in os.environ:
            tried(lambda name=name: _datagram(socket.AF_INET).sendto(WORD, _address(name)))


def udp_connected() -> None:
    sender = _datagram(socket.AF_INET)
    sender.connect(_address("UDP"))
    sender.send(WORD)


def dns() -> None:
    """A question whose name carries what is to be told."""
    name = b"".join(bytes([len(part)]) + part for part in (WORD, b"example", b""))
    query = struct.pack(">6H", 4711, 0x0100, 1, 0, 0, 0) + name + struct.pack(">2H", 1, 1)
    _datagram(socket.AF_INET).sendto(query, _address("UDP"))


def unix() -> None:
    """Every kind of socket with a path."""
    tried(
        lambda: _connected(socket.SOCK_STREAM, os.environ["UNIX_STREAM"]),
        lambda: _connected(socket.SOCK_SEQPACKET, os.environ["UNIX_PACKETS"]),
        lambda: _connected(socket.SOCK_DGRAM, os.environ["UNIX_DATAGRAMS"]).send(WORD),
    )


def unix_sendto() -> None:
    _datagram(socket.AF_UNIX).sendto(WORD, os.environ["UNIX_DATAGRAMS"])


def unix_pair() -> None:
    """From one end of a pair, past the other."""
    path = os.environ["UNIX_DATAGRAMS"]
    for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_STREAM):
        try:
            end, _ = socket.socketpair(socket.AF_UNIX, kind)
        except OSError as exc:
            print(exc)
            continue
        tried(
            lambda end=end: end.sendto(WORD, path),
            lambda end=end: end.sendmsg([WORD], [], 0, path),
            lambda end=end: end.connect(path),
            lambda end=end: end.send(WORD),
        )


def unix_by_link() -> None:
    """By a name that lies inside, or in /proc."""
    link = os.path.join(os.environ["WORK"], "agent")
    tried(
        lambda: os.symlink(os.environ["UNIX_STREAM"], link),
        lambda: _connected(socket.SOCK_STREAM, link),
        lambda: _connected(socket.SOCK_STREAM, f"/proc/self/root{os.environ['UNIX_STREAM']}"),
    )


def abstract() -> None:
    name = "\0" + os.environ["ABSTRACT"]
    tried(
        lambda: _connected(socket.SOCK_STREAM, name),
        lambda: _datagram(socket.AF_UNIX).sendto(WORD, name + "-datagrams"),
    )


def take_descriptor() -> None:
    """Have somebody outside hand over a file that is open for writing (SCM_RIGHTS)."""
    giver = _connected(socket.SOCK_STREAM, os.environ["GIVER"])
    giver.settimeout(2)
    fds = array.array("i")
    _, ancillary, _, _ = giver.recvmsg(1, socket.CMSG_LEN(fds.itemsize))
    fds.frombytes(ancillary[0][2])
    os.write(fds[0], WORD)


def listen() -> None:
    """Be reached at a port."""
    server = socket.create_server(("127.0.0.1", int(os.environ["MY_PORT"])))
    _greet(server)


def listen_unix() -> None:
    """Be reached at a path."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.environ["MY_SOCKET"])
    server.listen()
    _greet(server)


def _greet(server: socket.socket) -> None:
    server.settimeout(2)
    server.accept()[0].sendall(os.environ["TOKEN"].encode())


def bind_outside() -> None:
    """Leave the file of a socket outside."""
    socket.socket(socket.AF_UNIX).bind(os.path.join(os.environ["OUTSIDE"], "sock"))


def netlink_ask() -> None:
    """Ask for the machine's addresses."""
    asker = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    rtm_getaddr, request_dump = 22, 0x301
    asker.sendto(struct.pack("=LHHLLB3x", 20, rtm_getaddr, request_dump, 1, 0, 0), (0, 0))
    asker.settimeout(1)
    answer = asker.recv(65536)
    if socket.inet_aton(os.environ["LAN"]) in answer:
        print("REACHED")


def netlink_change() -> None:
    """Give the loopback interface another alias."""
    asker = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    text = os.environ["TOKEN"].encode()
    ifla_ifalias, rtm_setlink, request = 20, 19, 1
    attribute = struct.pack("=HH", 4 + len(text), ifla_ifalias) + text + bytes(-len(text) % 4)
    link = struct.pack("=BxHiII", 0, 0, socket.if_nametoindex("lo"), 0, 0)
    size = 16 + len(link) + len(attribute)
    asker.sendto(struct.pack("=LHHLL", size, rtm_setlink, request, 1, 0) + link + attribute, (0, 0))


def raw() -> None:
    """Packets of one's own making."""
    for family, kind, protocol in (
        (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
        (socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)),
    ):
        try:
            socket.socket(family, kind, protocol)
        except OSError as exc:
            print(exc)
        else:
            print("REACHED")


def other_families() -> None:
    """Sockets that no network namespace holds, or that lead into rarely used code."""
    af_key, af_alg, af_vsock = 15, 38, 40
    for family, kind in (
        (af_alg, socket.SOCK_SEQPACKET),
        (af_vsock, socket.SOCK_STREAM),
        (af_key, socket.SOCK_RAW),
    ):
        try:
            socket.socket(family, kind, 2 if family == af_key else 0)
        except OSError as exc:
            print(family, exc)
        else:
            print("REACHED", family)


def i386() -> None:
    """Connect with the system calls of another architecture, which have other numbers."""
    # Takes the number and three arguments, moves them to where `int 0x80` looks, and returns.
    code = bytes.fromhex("53 89f8 89f3 4189c8 89d1 4489c2 cd80 5b c3")
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    entry = ctypes.addressof(ctypes.c_char.from_buffer(page))
    system = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_uint32] * 4)(entry)
    map_32bit = 0x40
    low = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | map_32bit)
    low.write(_sockaddr())
    i386_socket, i386_connect = 359, 362
    fd = system(i386_socket, socket.AF_INET, socket.SOCK_STREAM, 0)
    print("socket", fd)
    pointer = ctypes.addressof(ctypes.c_char.from_buffer(low))
    print("connect", system(i386_connect, fd & 0xFFFFFFFF, pointer, 16))


def x32() -> None:
    """The same with the numbers of x32."""
    x32_bit, number = 0x40000000, 41
    call(x32_bit | number, socket.AF_INET, socket.SOCK_STREAM, 0)
    print("REACHED")


def io_uring() -> None:
    """Have the kernel open and connect a socket, without any system call for either."""
    ring = _Ring()
    op_socket, op_connect = 45, 16
    fd = ring.do(op_socket, socket.AF_INET, offset=socket.SOCK_STREAM)
    address = ctypes.create_string_buffer(_sockaddr())
    print("connect", ring.do(op_connect, fd, address=ctypes.addressof(address), offset=16))


class _Ring:
    """An io_uring, one request at a time."""

    def __init__(self) -> None:
        parameters = ctypes.create_string_buffer(120)
        self._fd = call("io_uring_setup", 1, parameters)
        fields = struct.unpack("=30I", parameters.raw)
        submission, completion = fields[10:20], fields[20:30]
        self._tail, self._array = submission[1], submission[6]
        self._head, self._mask, self._entries = completion[0], completion[2], completion[5]
        size = max(self._array + 4, self._entries + 2 * 16)
        self._ring = mmap.mmap(self._fd, size, offset=0)
        self._requests = mmap.mmap(self._fd, 64, offset=0x10000000)

    def do(self, operation: int, fd: int, *, address: int = 0, offset: int = 0) -> int:
        """The result of one request."""
        self._requests[:] = struct.pack("=BBHiQQ", operation, 0, 0, fd, offset, address) + bytes(40)
        self._write(self._array, 0)
        self._write(self._tail, self._read(self._tail) + 1)
        get_events = 1
        call("io_uring_enter", self._fd, 1, 1, get_events, 0, 0)
        head = self._read(self._head)
        place = self._entries + (head & self._read(self._mask)) * 16
        (result,) = struct.unpack_from("=i", self._ring, place + 8)
        self._write(self._head, head + 1)
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return int(result)

    def _read(self, offset: int) -> int:
        (value,) = struct.unpack_from("=I", self._ring, offset)
        return int(value)

    def _write(self, offset: int, value: int) -> None:
        struct.pack_into("=I", self._ring, offset, value)


def _address(name: str) -> tuple[str, int]:
    host, _, port = os.environ[name].rpartition(":")
    return host, int(port)


def _sockaddr() -> bytes:
    host, port = _address("TCP")
    return (
        struct.pack("=H", socket.AF_INET)
        + struct.pack(">H", port)
        + socket.inet_aton(host)
        + bytes(8)
    )


def _datagram(family: int) -> socket.socket:
    return socket.socket(family, socket.SOCK_DGRAM)


def _connected(kind: int, path: str) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, kind)
    client.connect(path)
    return client


if __name__ == "__main__":
    play({name: act for name, act in globals().items() if callable(act)})
