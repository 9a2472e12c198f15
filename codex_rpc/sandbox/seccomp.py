"""The system calls that a confined command is refused.

Owns the tables of system calls and their translation into a seccomp filter (classic BPF) for
this machine's architecture. It knows neither who installs the filter nor which files and hosts a
command may reach: a filter sees numbers, never what a pointer points to.

What is refused is what leads out of any confinement (mounts, namespaces, other processes'
memory), what changes the machine (modules, clocks, swap), what does the same behind the
filter's back (io_uring), and what the kernel has learned since this was written.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
from collections.abc import Iterable
from typing import Literal

from codex_rpc.protocol.errors import SandboxUnavailable
from codex_rpc.protocol.frozen import frozen

Architecture = Literal["x86_64", "aarch64"]

NEWEST = 469
"""`file_setattr` of Linux 6.18, on both architectures; higher numbers are answered ENOSYS, as an
older kernel does. So are the x32 numbers, which begin at 2**30."""

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

Calls = dict[str, tuple[int | None, int | None]]
"""Numbers by name: x86_64, aarch64. None: the architecture never had it."""

ALWAYS: Calls = {
    # Other processes' memory and descriptors.
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    # Another view of the file system.
    "mount": (165, 40),
    "umount2": (166, 39),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_by_handle_at": (304, 265),
    "setns": (308, 268),
    "unshare": (272, 97),
    # The kernel's keys, and what it does for a process out of the filter's sight.
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "lsm_set_self_attr": (460, 460),
    # The machine.
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "create_module": (174, None),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "acct": (163, 89),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "iopl": (172, None),
    "ioperm": (173, None),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
    "uselib": (134, None),
}

METADATA: Calls = {
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
}

SHARED: Calls = {
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "semctl": (66, 191),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
}
"""What outlives a process and belongs to its user without being a file."""

NETWORK: Calls = {
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
}
"""`sendmsg` and `sendmmsg` stay: of the pairs that may be made, none can send to an address."""

LOOKED_INTO: Calls = {
    "clone": (56, 220),
    "clone3": (435, 435),
    "ioctl": (16, 29),
    "prlimit64": (302, 261),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "sendto": (44, 206),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
}
"""Refused by their arguments."""

_TERMINAL_INPUT = (0x5412, 0x541C)
"""TIOCSTI and TIOCLINUX: both type into a terminal."""

_METADATA_IOCTLS = (
    0x40086602,  # FS_IOC_SETFLAGS
    0x40087602,  # FS_IOC_SETVERSION
    0x401C5820,  # FS_IOC_FSSETXATTR
    0x40806685,  # FS_IOC_ENABLE_VERITY
    0x800C6613,  # FS_IOC_SET_ENCRYPTION_POLICY
    0x50009401,  # BTRFS_IOC_SNAP_CREATE
    0x50009417,  # BTRFS_IOC_SNAP_CREATE_V2
    0x5000940E,  # BTRFS_IOC_SUBVOL_CREATE
    0x50009418,  # BTRFS_IOC_SUBVOL_CREATE_V2
    0x5000940F,  # BTRFS_IOC_SNAP_DESTROY
    0x5000943F,  # BTRFS_IOC_SNAP_DESTROY_V2
    0x4008941A,  # BTRFS_IOC_SUBVOL_SETFLAGS
    0xC0C89425,  # BTRFS_IOC_SET_RECEIVED_SUBVOL
)
"""They change files through descriptors that were opened for reading."""

_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET; NEWTIME is no flag of
`clone`."""

_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_SOCK_STREAM, _SOCK_SEQPACKET = 1, 5
_SOCK_TYPE_MASK = 0xF

# struct seccomp_data: nr, arch, instruction_pointer, args[6].
_NR, _ARCH, _ARGS = 0, 4, 16

_ALLOW = 0x7FFF0000
_KILL = 0x80000000
_ERRNO = 0x00050000
_REFUSE = _ERRNO | errno.EPERM
_UNKNOWN = _ERRNO | errno.ENOSYS


@frozen
class _Instruction:
    """One `struct sock_filter`."""

    code: int
    value: int
    if_true: int = 0
    if_false: int = 0
    """How many instructions are skipped."""


_Body = list[_Instruction]


def architecture() -> Architecture | None:
    """What filters can be made for on this machine; None: nothing."""
    if sys.platform != "linux" or sys.maxsize < 2**32 or sys.byteorder != "little":
        return None
    match os.uname().machine:
        case "x86_64":
            return "x86_64"
        case "aarch64":
            return "aarch64"
        case _:
            return None


def is_supported() -> bool:
    """Whether `filter_program` has tables for this machine."""
    return architecture() is not None


def filter_program(
    *,
    network: bool,
    change_metadata: bool,
    isolated: bool = True,
    machine: Architecture | None = None,
) -> bytes:
    """A seccomp filter as an array of `struct sock_filter`, for `machine` (None: this one).

    Refused calls fail with EPERM, unknown ones and `clone3` with ENOSYS: libc then takes
    `clone`, whose flags can be seen. A program of another architecture (i386) is killed. Unix
    sockets are connected pairs only; without `network` there are no others. Without
    `change_metadata` modes, owners, times and attributes cannot be changed. Unless the command is
    `isolated`, in namespaces of its own, it can neither use what System V and POSIX keep in the
    kernel, nor tell when other processes run.

    Raises:
        SandboxUnavailable: there are no tables for this machine.
    """
    machine = machine or architecture()
    if machine is None:
        raise SandboxUnavailable("no system call filter is known for this machine")
    refused = ALWAYS | ({} if change_metadata else METADATA)
    refused |= ({} if network else NETWORK) | ({} if isolated else SHARED)
    program = [
        _load(_ARCH),
        *_unless_equal(_AUDIT_ARCH[machine], [_return(_KILL)]),
        _load(_NR),
        _Instruction(_JUMP_IF_GREATER, NEWEST, 0, 1),
        _return(_UNKNOWN),
    ]
    for number in sorted(_numbers(refused, machine)):
        program += _if_equal(number, [_return(_REFUSE)])
    bodies = _bodies(network=network, change_metadata=change_metadata)
    if not isolated:
        bodies |= _SCHEDULING
    for name, body in bodies.items():
        (number,) = _numbers({name: LOOKED_INTO[name]}, machine)
        program += _if_equal(number, body)
    program.append(_return(_ALLOW))
    return b"".join(struct.pack("=HBBI", i.code, i.if_true, i.if_false, i.value) for i in program)


def _numbers(calls: Calls, machine: Architecture) -> Iterable[int]:
    place = 0 if machine == "x86_64" else 1
    return (number for pair in calls.values() if (number := pair[place]) is not None)


def _bodies(*, network: bool, change_metadata: bool) -> dict[str, _Body]:
    """What is done with the calls whose arguments count."""
    commands = _TERMINAL_INPUT if change_metadata else _TERMINAL_INPUT + _METADATA_IOCTLS
    allow, refuse = _return(_ALLOW), _return(_REFUSE)
    bodies = {
        "clone": [_load_argument(0), *_if_any_bit(_NEW_NAMESPACES, [refuse]), allow],
        "clone3": [_return(_UNKNOWN)],
        # The kernel looks at the lower half only, so this does too.
        "ioctl": [
            _load_argument(1),
            *(i for command in commands for i in _if_equal(command, [refuse])),
            allow,
        ],
        # The limits of another process: the server's, for one.
        "prlimit64": [
            _load_argument(0),
            *_if_equal(0, [allow]),
            *_unless_null(2, [refuse]),
            allow,
        ],
    }
    bodies["socketpair"] = [
        _load_argument(0),
        *_unless_equal(_AF_UNIX, [refuse]),
        _load_argument(1),
        _Instruction(_AND, _SOCK_TYPE_MASK),
        *_if_equal(_SOCK_STREAM, [allow]),
        *_if_equal(_SOCK_SEQPACKET, [allow]),
        # A pair of datagram sockets can send to any path.
        refuse,
    ]
    if network:
        # Behind the Unix sockets of a machine are Docker, D-Bus and the agents of the user:
        # whoever reaches these needs no sandbox to be opened. Other families reach further than
        # the network that was allowed, or code in the kernel that nobody looks at.
        families = (_AF_INET, _AF_INET6, _AF_NETLINK)
        known = [i for family in families for i in _if_equal(family, [allow])]
        bodies["socket"] = [_load_argument(0), *known, refuse]
    else:
        bodies["sendto"] = [*_unless_null(4, [refuse]), allow]
    return bodies


# The assembler. All that it knows of jumps is skipping a short block.

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
_JUMP_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_JUMP_IF_GREATER = 0x25  # BPF_JMP | BPF_JGT | BPF_K
_JUMP_IF_ANY_BIT = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K


def _load(offset: int) -> _Instruction:
    return _Instruction(_LOAD, offset)


def _load_argument(index: int, *, upper_half: bool = False) -> _Instruction:
    return _load(_ARGS + 8 * index + (4 if upper_half else 0))


def _return(value: int) -> _Instruction:
    return _Instruction(_RETURN, value)


def _if_equal(value: int, block: _Body) -> _Body:
    return [_Instruction(_JUMP_IF_EQUAL, value, 0, len(block)), *block]


def _unless_equal(value: int, block: _Body) -> _Body:
    return [_Instruction(_JUMP_IF_EQUAL, value, len(block), 0), *block]


def _if_any_bit(bits: int, block: _Body) -> _Body:
    return [_Instruction(_JUMP_IF_ANY_BIT, bits, 0, len(block)), *block]


def _unless_null(index: int, block: _Body) -> _Body:
    """`block` if the pointer in this argument is not NULL."""
    return [
        _load_argument(index),
        *_unless_equal(0, block),
        _load_argument(index, upper_half=True),
        *_unless_equal(0, block),
    ]


_OWN_PROCESS = [_load_argument(0), *_if_equal(0, [_return(_ALLOW)]), _return(_REFUSE)]

_SCHEDULING: dict[str, _Body] = {
    # Of the kinds "a process", "a group" and "a user", the calling process's own of the first two.
    "setpriority": [
        _load_argument(0),
        _Instruction(_JUMP_IF_GREATER, 1, 0, 1),
        _return(_REFUSE),
        _load_argument(1),
        *_if_equal(0, [_return(_ALLOW)]),
        _return(_REFUSE),
    ],
    "ioprio_set": [
        _load_argument(0),
        _Instruction(_JUMP_IF_GREATER, 2, 0, 1),
        _return(_REFUSE),
        _load_argument(1),
        *_if_equal(0, [_return(_ALLOW)]),
        _return(_REFUSE),
    ],
    "sched_setparam": _OWN_PROCESS,
    "sched_setscheduler": _OWN_PROCESS,
    "sched_setaffinity": _OWN_PROCESS,
    "sched_setattr": _OWN_PROCESS,
}
"""The calling process's own priority and place may be changed, no other one's."""
