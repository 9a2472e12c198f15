"""What the filter refuses: each call for real, and both architectures' programs step by step."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_rpc.sandbox import seccomp
from codex_rpc.sandbox.seccomp import Architecture, filter_program

needs_seccomp = pytest.mark.skipif(
    not seccomp.is_supported(), reason="no system call filter is known for this machine"
)
only_x86_64 = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="these are x86_64 numbers"
)

ALLOWED, KILLED = 0, -1
ARCHITECTURES: dict[Architecture, int] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def verdict(program: bytes, arch: int, number: int, *arguments: int) -> int:
    """What a filter says to a call: an errno, `ALLOWED`, or `KILLED`. An interpreter of the
    few instructions that there are, so that the other architecture's program runs here too."""
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, arch, 0, *(a % 2**64 for a in padded))
    instructions = list(struct.iter_unpack("<HBBI", program))
    at = accumulator = 0
    while True:
        code, if_true, if_false, value = instructions[at]
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, value)
            case 0x54:
                accumulator &= value
            case 0x15:
                at += if_true if accumulator == value else if_false
            case 0x25:
                at += if_true if accumulator > value else if_false
            case 0x45:
                at += if_true if accumulator & value else if_false
            case 0x06:
                kind = {0x7FFF: ALLOWED, 0x8000: KILLED}
                return kind.get(value >> 16, value & 0xFFFF)
            case _:
                raise AssertionError(f"unknown instruction {code:#x}")


def numbers(machine: Architecture, calls: seccomp.Calls) -> dict[str, int]:
    place = 0 if machine == "x86_64" else 1
    return {name: n for name, pair in calls.items() if (n := pair[place]) is not None}


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize("network", [True, False])
@pytest.mark.parametrize("change_metadata", [True, False])
@pytest.mark.parametrize("isolated", [True, False])
def test_what_is_refused_depends_on_what_is_allowed(
    machine: Architecture, network: bool, change_metadata: bool, isolated: bool
) -> None:
    program = filter_program(
        network=network, change_metadata=change_metadata, isolated=isolated, machine=machine
    )
    arch = ARCHITECTURES[machine]
    expected = {
        **dict.fromkeys(numbers(machine, seccomp.ALWAYS).values(), errno.EPERM),
        **dict.fromkeys(
            numbers(machine, seccomp.METADATA).values(), 0 if change_metadata else errno.EPERM
        ),
        **dict.fromkeys(numbers(machine, seccomp.NETWORK).values(), 0 if network else errno.EPERM),
        **dict.fromkeys(numbers(machine, seccomp.SHARED).values(), 0 if isolated else errno.EPERM),
        numbers(machine, seccomp.LOOKED_INTO)["clone3"]: errno.ENOSYS,
    }
    # Without arguments neither of the families that are allowed.
    for name in ("socket", "socketpair"):
        expected[numbers(machine, seccomp.LOOKED_INTO)[name]] = errno.EPERM
    for number in range(seccomp.NEWEST + 1):
        assert verdict(program, arch, number) == expected.get(number, ALLOWED), number


@pytest.mark.parametrize("machine", ARCHITECTURES)
@given(number=st.integers(seccomp.NEWEST + 1, 2**32 - 1))
@settings(deadline=None, max_examples=50)
def test_unknown_calls_and_those_of_x32_do_not_exist(machine: Architecture, number: int) -> None:
    program = filter_program(network=True, change_metadata=True, machine=machine)
    assert verdict(program, ARCHITECTURES[machine], number) == errno.ENOSYS


@pytest.mark.parametrize("machine", ARCHITECTURES)
@given(arch=st.integers(0, 2**32 - 1), number=st.integers(0, 500))
@settings(deadline=None, max_examples=50)
def test_calls_of_another_architecture_kill(machine: Architecture, arch: int, number: int) -> None:
    program = filter_program(network=True, change_metadata=True, machine=machine)
    if arch != ARCHITECTURES[machine]:
        assert verdict(program, arch, number) == KILLED


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("setpriority", (0, 0, 5), ALLOWED),
        ("setpriority", (1, 0, 5), ALLOWED),
        ("setpriority", (0, 7, 5), errno.EPERM),
        ("setpriority", (2, 0, 5), errno.EPERM),
        ("ioprio_set", (1, 0, 0), ALLOWED),
        ("ioprio_set", (1, 7, 0), errno.EPERM),
        ("ioprio_set", (3, 0, 0), errno.EPERM),
        ("sched_setaffinity", (0, 8), ALLOWED),
        ("sched_setaffinity", (7, 8), errno.EPERM),
        ("sched_setattr", (7, 8), errno.EPERM),
    ],
)
def test_only_its_own_process_is_scheduled_by_a_command_that_sees_others(
    machine: Architecture, name: str, arguments: tuple[int, ...], expected: int
) -> None:
    number = numbers(machine, seccomp.LOOKED_INTO)[name]
    arch = ARCHITECTURES[machine]
    shared = filter_program(network=True, change_metadata=True, isolated=False, machine=machine)
    assert verdict(shared, arch, number, *arguments) == expected
    alone = filter_program(network=True, change_metadata=True, machine=machine)
    assert verdict(alone, arch, number, *arguments) == ALLOWED


NEW_NAMESPACES = [1 << 17, 1 << 25, 1 << 26, 1 << 27, 1 << 28, 1 << 29, 1 << 30]


@pytest.mark.parametrize("machine", ARCHITECTURES)
@given(flags=st.integers(0, 2**64 - 1))
@settings(deadline=None, max_examples=100)
def test_clone_makes_processes_and_threads_but_no_namespaces(
    machine: Architecture, flags: int
) -> None:
    program = filter_program(network=True, change_metadata=True, machine=machine)
    number = numbers(machine, seccomp.LOOKED_INTO)["clone"]
    refused = any(flags & flag for flag in NEW_NAMESPACES)
    expected = errno.EPERM if refused else ALLOWED
    assert verdict(program, ARCHITECTURES[machine], number, flags) == expected
    for flag in NEW_NAMESPACES:
        assert verdict(program, ARCHITECTURES[machine], number, flags | flag) == errno.EPERM


SIGCHLD, THREAD = 17, 0x3D0F00


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize(
    ("name", "arguments", "network", "change_metadata", "expected"),
    [
        ("clone", (SIGCHLD,), False, False, ALLOWED),
        ("clone", (THREAD,), False, False, ALLOWED),
        ("socketpair", (1, 1), False, True, ALLOWED),
        ("socketpair", (1, 5 | 0o2004000), False, True, ALLOWED),
        ("socketpair", (1, 2), False, True, errno.EPERM),
        ("socketpair", (1, 3), False, True, errno.EPERM),
        ("socketpair", (2, 1), False, True, errno.EPERM),
        ("socketpair", (1, 1), True, True, ALLOWED),
        ("socketpair", (1, 2), True, True, errno.EPERM),
        ("socket", (1, 1), True, True, errno.EPERM),
        ("socket", (1, 2 | 0o2004000), True, True, errno.EPERM),
        ("socket", (2, 1), True, True, ALLOWED),
        ("socket", (10, 2), True, True, ALLOWED),
        ("socket", (16, 3), True, True, ALLOWED),
        ("socket", (38, 5), True, True, errno.EPERM),
        ("socket", (40, 1), True, True, errno.EPERM),
        ("socket", (2, 1), False, True, errno.EPERM),
        ("sendto", (3, 4096, 1, 0, 0), False, True, ALLOWED),
        ("sendto", (3, 4096, 1, 0, 4096), False, True, errno.EPERM),
        ("sendto", (3, 4096, 1, 0, 1 << 32), False, True, errno.EPERM),
        ("sendto", (3, 4096, 1, 0, 4096), True, True, ALLOWED),
        ("ioctl", (0, 0x5401), False, False, ALLOWED),
        ("ioctl", (0, 0x5412), True, True, errno.EPERM),
        ("ioctl", (0, 0x541C), True, True, errno.EPERM),
        ("ioctl", (0, 0x5412 | 1 << 32), True, True, errno.EPERM),
        ("ioctl", (3, 0x40086602), True, True, ALLOWED),
        ("ioctl", (3, 0x40086602), True, False, errno.EPERM),
        ("ioctl", (3, 0x50009401), True, False, errno.EPERM),
        ("ioctl", (3, 0x80086601), True, False, ALLOWED),
        ("prlimit64", (0, 7, 4096, 0), True, True, ALLOWED),
        ("prlimit64", (99, 7, 0, 4096), True, True, ALLOWED),
        ("prlimit64", (99, 7, 4096, 0), True, True, errno.EPERM),
        ("prlimit64", (99, 7, 1 << 40, 0), True, True, errno.EPERM),
    ],
)
def test_some_calls_are_refused_by_their_arguments(
    machine: Architecture,
    name: str,
    arguments: tuple[int, ...],
    network: bool,
    change_metadata: bool,
    expected: int,
) -> None:
    program = filter_program(network=network, change_metadata=change_metadata, machine=machine)
    number = numbers(machine, seccomp.LOOKED_INTO)[name]
    assert verdict(program, ARCHITECTURES[machine], number, *arguments) == expected


HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
NEWER_THAN_MANY_HEADERS = 450


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_the_numbers_are_those_of_the_kernels_headers(machine: Architecture) -> None:
    if not HEADERS[machine].exists():
        pytest.skip("the kernel's headers are not installed")
    text = HEADERS[machine].read_text()
    known = {name: int(n) for name, n in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    tables = (
        seccomp.ALWAYS | seccomp.METADATA | seccomp.NETWORK | seccomp.SHARED | seccomp.LOOKED_INTO
    )
    for name, number in numbers(machine, tables).items():
        if number <= NEWER_THAN_MANY_HEADERS or name in known:
            assert known.get(name, number) == number, name
    # What the headers have and a table calls absent would be a hole.
    place = 0 if machine == "x86_64" else 1
    absent = [name for name, pair in tables.items() if pair[place] is None]
    assert not set(absent) & set(known)


# The real kernel.

CHILD = """
import ctypes, json, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
program = ctypes.create_string_buffer(bytes.fromhex(sys.argv[1]))
fprog = struct.pack("@HP", (len(program) - 1) // 8, ctypes.addressof(program))
calls = json.loads(sys.argv[2])
assert libc.prctl(38, *(ctypes.c_ulong(n) for n in (1, 0, 0, 0))) == 0
assert libc.prctl(22, ctypes.c_ulong(2), fprog, ctypes.c_ulong(0), ctypes.c_ulong(0)) == 0
told = []
for arguments in calls:
    ctypes.set_errno(0)
    result = libc.syscall(*(ctypes.c_long(argument) for argument in arguments))
    told.append(ctypes.get_errno() if result < 0 else 0)
print(json.dumps(told))
"""


def confined(
    code: str, *arguments: str, network: bool, change_metadata: bool, isolated: bool = True
) -> subprocess.CompletedProcess[str]:
    program = filter_program(network=network, change_metadata=change_metadata, isolated=isolated)
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, program.hex(), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )


def results(calls: list[tuple[int, ...]], *, allowed: bool) -> list[int]:
    """The errno of each call, made by a process under the filter that allows most, or least."""
    done = confined(
        CHILD, json.dumps(calls), network=allowed, change_metadata=allowed, isolated=allowed
    )
    assert done.returncode == 0, done.stderr
    told: list[int] = json.loads(done.stdout)
    return told


@needs_seccomp
def test_every_refused_call_is_refused_by_the_kernel() -> None:
    machine = seccomp.architecture()
    assert machine is not None
    refused = numbers(machine, seccomp.ALWAYS | seccomp.METADATA | seccomp.NETWORK | seccomp.SHARED)
    # With arguments that would do no harm if they got through.
    calls = [(number, -1, -1, -1, -1, -1, -1) for number in refused.values()]
    told = results(calls, allowed=False)
    assert dict(zip(refused, told, strict=True)) == dict.fromkeys(refused, errno.EPERM)


@needs_seccomp
def test_without_the_knobs_the_kernel_is_asked() -> None:
    machine = seccomp.architecture()
    assert machine is not None
    calls = numbers(machine, seccomp.METADATA | seccomp.NETWORK | seccomp.SHARED)
    # Which sockets can be made depends on the family, with network too.
    asked = [(n, -1, 0, 0, 0, 0, 0) for name, n in calls.items() if name != "socket"]
    assert errno.EPERM not in results(asked, allowed=True)


@needs_seccomp
@only_x86_64
def test_arguments_are_looked_into_by_the_kernel_too() -> None:
    told = results(
        [
            (56, 1 << 28 | 17, 0, 0, 0, 0),  # clone with CLONE_NEWUSER
            (435, 0, 0),  # clone3
            (16, -1, 0x5412, 0),  # TIOCSTI
            (16, -1, 0x5401, 0),  # TCGETS
            (44, -1, 0, 0, 0, 1, 16),  # sendto somebody
            (44, -1, 0, 0, 0, 0, 0),  # sendto nobody in particular
            (53, 1, 2, 0, 0),  # socketpair of datagrams
            (53, 1, 1, 0, 0),  # socketpair of streams
            (302, 1, 7, 1, 0),  # prlimit of another process
            (470, 0),
            (0x40000000 + 39, 0),  # getpid of x32
        ],
        allowed=False,
    )
    refused, missing, asked = errno.EPERM, errno.ENOSYS, errno.EBADF
    assert told == [
        *(refused, missing, refused, asked, refused, asked),
        *(refused, errno.EFAULT, refused, missing, missing),
    ]


I386 = (
    CHILD[: CHILD.index("told = ")]
    + """
import mmap
# mov eax, 20 (getpid of i386); int 0x80; ret
code = b"\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3"
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(code)
call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
print("begun", flush=True)
print(call() == os.getpid())
"""
)


@only_x86_64
def test_the_calls_of_i386_kill_the_process() -> None:
    done = confined(I386, "[]", network=True, change_metadata=True)
    assert (done.returncode, done.stdout) == (-31, "begun\n"), done.stderr


def test_there_is_no_filter_for_other_machines() -> None:
    known = sys.platform == "linux" and platform.machine() in ARCHITECTURES
    assert seccomp.is_supported() == (known and ctypes.sizeof(ctypes.c_void_p) == 8)
    assert (seccomp.architecture() is not None) == seccomp.is_supported()
    assert seccomp.architecture() in (None, os.uname().machine)
