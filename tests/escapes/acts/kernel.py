"""System calls by number, for what Python has no function for."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable

# x86_64, aarch64.
_NUMBERS = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "mount": (165, 40),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "setns": (308, 268),
    "clone": (56, 220),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "renameat2": (316, 276),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmdt": (67, 197),
    "shmctl": (31, 195),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "mq_timedsend": (242, 182),
    "mq_timedreceive": (243, 183),
    "setdomainname": (171, 162),
    "ioprio_set": (251, 30),
    "ioprio_get": (252, 31),
    "linkat": (265, 37),
    "socket": (41, 198),
}
_PLACE = 0 if os.uname().machine == "x86_64" else 1

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

AT_FDCWD = -100

Argument = int | bytes | ctypes.Array


def call(name: str | int, *arguments: Argument) -> int:
    """The system call's result; raises OSError for an error."""
    number = name if isinstance(name, int) else _NUMBERS[name][_PLACE]
    passed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *passed)
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result


def tried(*acts: Callable[[], object]) -> None:
    """Each of the acts, whatever becomes of the others."""
    for act in acts:
        try:
            act()
        except OSError as exc:
            print(exc)


def play(acts: dict[str, Callable[[], None]]) -> None:
    """The act that the command line names."""
    act = acts[sys.argv[1]]
    print("attempting", flush=True)
    try:
        act()
    except OSError as exc:
        sys.exit(str(exc))
