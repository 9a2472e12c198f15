"""Attempts on other processes, and to outlive the call.

VICTIM is a process outside, of the same user. It has a secret in its environment, a file of the
outside open for appending (VICTIM_FILE) and a denied one for reading (VICTIM_SECRET).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import resource
import signal
import struct
import sys

from kernel import call, play, tried

VICTIM = int(os.environ.get("VICTIM", "0"))


# Outliving. Each leaves behind a process that is known by its command line.


def daemon() -> None:
    """Away from the session and the parent, holding nothing open, deaf to polite signals."""
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    os.closerange(3, 256)
    os.chdir("/")
    _linger()


def double_fork() -> None:
    if os.fork():
        return
    if os.fork():
        os._exit(0)
    _linger()


def unwatched() -> None:
    """A daemon, after an attack on whatever of the sandbox is above us."""
    watcher = os.getppid()
    with open(f"/proc/{watcher}/cmdline", "rb") as file:
        line = file.read()
    # Without a sandbox that is somebody else.
    is_watcher = b"launcher.py" in line or b"bwrap" in line
    daemon()
    if is_watcher:
        tried(
            lambda: os.kill(watcher, signal.SIGSTOP),
            lambda: os.kill(watcher, signal.SIGKILL),
        )


def _linger() -> None:
    word = f"lingering-{os.environ['TOKEN']}"
    os.execv("/bin/sh", ["sh", "-c", f"sleep 30; : {word}"])


# Ending, stopping and slowing.


def kill() -> None:
    os.kill(VICTIM, signal.SIGKILL)


def stop() -> None:
    os.kill(VICTIM, signal.SIGSTOP)


def queue_signal() -> None:
    fd = os.pidfd_open(VICTIM)
    call("pidfd_send_signal", fd, signal.SIGKILL, 0, 0)


def signal_by_pipe() -> None:
    """Let the kernel send the signal, as news of a pipe."""
    f_setsig = 10
    reader, writer = os.pipe()
    fcntl.fcntl(reader, fcntl.F_SETOWN, VICTIM)
    fcntl.fcntl(reader, f_setsig, signal.SIGTERM)
    fcntl.fcntl(reader, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    os.write(writer, b"x")


def limit() -> None:
    """Take away its file descriptors."""
    _, hard = resource.prlimit(VICTIM, resource.RLIMIT_NOFILE)
    resource.prlimit(VICTIM, resource.RLIMIT_NOFILE, (3, hard))


def slow() -> None:
    """Let it run last of all."""
    who_process, idle = 1, 3 << 13
    tried(
        lambda: os.setpriority(os.PRIO_PROCESS, VICTIM, 19),
        lambda: os.sched_setaffinity(VICTIM, {max(os.sched_getaffinity(0))}),
        lambda: os.sched_setscheduler(VICTIM, os.SCHED_IDLE, os.sched_param(0)),
        lambda: call("ioprio_set", who_process, VICTIM, idle),
    )


def first_to_die() -> None:
    """Let it be killed when memory runs out."""
    with open(f"/proc/{VICTIM}/oom_score_adj", "w") as file:
        file.write("1000")


# Reading and changing.


def environment() -> None:
    with open(f"/proc/{VICTIM}/environ", "rb") as file:
        _tell(file.read())


def memory() -> None:
    start, end = _stack()
    with open(f"/proc/{VICTIM}/mem", "rb", buffering=0) as file:
        file.seek(start)
        _tell(file.read(end - start))


def memory_write() -> None:
    where = _place_of_secret()
    with open(f"/proc/{VICTIM}/mem", "r+b", buffering=0) as file:
        file.seek(where)
        file.write(b"altered")


def memory_by_call() -> None:
    start, end = _stack()
    buffer = ctypes.create_string_buffer(end - start)
    mine = struct.pack("@PN", ctypes.addressof(buffer), len(buffer))
    theirs = struct.pack("@PN", start, len(buffer))
    call("process_vm_readv", VICTIM, mine, 1, theirs, 1, 0)
    _tell(buffer.raw)


def memory_write_by_call() -> None:
    buffer = ctypes.create_string_buffer(b"altered")
    mine = struct.pack("@PN", ctypes.addressof(buffer), 7)
    theirs = struct.pack("@PN", _place_of_secret(), 7)
    call("process_vm_writev", VICTIM, mine, 1, theirs, 1, 0)


def trace() -> None:
    """Become its debugger, and let it end."""
    attach, let_go = 16, 17
    call("ptrace", attach, VICTIM, 0, 0)
    os.waitpid(VICTIM, 0)
    call("ptrace", let_go, VICTIM, 0, signal.SIGKILL)


def take_descriptor() -> None:
    """Write with its open file."""
    theirs = os.pidfd_open(VICTIM)
    fd = call("pidfd_getfd", theirs, int(os.environ["VICTIM_FILE"]), 0)
    os.write(fd, b"escaped")


def open_descriptor() -> None:
    """The same by its name in /proc."""
    path = f"/proc/{VICTIM}/fd/{os.environ['VICTIM_FILE']}"
    os.write(os.open(path, os.O_WRONLY), b"escaped")


def read_descriptor() -> None:
    """Read a denied file that it has open."""
    with open(f"/proc/{VICTIM}/fd/{os.environ['VICTIM_SECRET']}", "rb") as file:
        _tell(file.read())


def measure() -> None:
    """Count its events."""
    software, cpu_clock = 1, 0
    attributes = struct.pack("=IIQ", software, 112, cpu_clock) + bytes(96)
    call("perf_event_open", attributes, VICTIM, -1, -1, 0)
    print("REACHED")


def enter() -> None:
    """Step into its view of the file system."""
    new_mounts = 0x00020000
    fd = os.open(f"/proc/{VICTIM}/ns/mnt", os.O_RDONLY)
    call("setns", fd, new_mounts)
    _write_outside()


def enter_by_descriptor() -> None:
    new_mounts = 0x00020000
    call("setns", os.pidfd_open(VICTIM), new_mounts)
    _write_outside()


# What the kernel keeps between processes.


def shared_memory() -> None:
    segment = call("shmget", int(os.environ["SHARED_MEMORY"]), 0, 0)
    address = call("shmat", segment, 0, 0)
    print(ctypes.string_at(address, 40).decode())
    ctypes.memmove(address, b"altered", 7)


def queue() -> None:
    word = b"escaped"
    fd = call("mq_open", os.environ["QUEUE"].encode(), os.O_WRONLY, 0, 0)
    call("mq_timedsend", fd, word, len(word), 0, 0)


def keys() -> None:
    """Read and change a key of the user's."""
    search, read, update, user_keyring = 10, 11, 2, -4
    name = os.environ["KEY"].encode()
    key = call("keyctl", search, user_keyring, b"user", name, 0)
    buffer = ctypes.create_string_buffer(256)
    tried(
        lambda: (call("keyctl", read, key, buffer, 256), print(buffer.value.decode())),
        lambda: call("keyctl", update, key, b"altered", 7, 0),
    )


def _stack() -> tuple[int, int]:
    with open(f"/proc/{VICTIM}/maps") as file:
        line = next(line for line in file if line.rstrip().endswith("[stack]"))
    start, end = (int(address, 16) for address in line.split()[0].split("-"))
    return start, end


def _place_of_secret() -> int:
    start, end = _stack()
    with open(f"/proc/{VICTIM}/mem", "rb", buffering=0) as file:
        file.seek(start)
        return start + file.read(end - start).index(b"VICTIM_WORD=") + len(b"VICTIM_WORD=")


def _tell(data: bytes) -> None:
    at = data.find(b"secret-")
    print(data[at : at + 80].decode(errors="replace") if at >= 0 else "nothing found")


def _write_outside() -> None:
    with open(os.path.join(os.environ["OUTSIDE"], "new"), "w") as file:
        file.write("escaped")


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        play({name: act for name, act in globals().items() if callable(act)})
    sys.stdout.flush()
