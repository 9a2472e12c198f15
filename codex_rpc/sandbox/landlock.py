"""Confinement by Landlock: rules in, a launch out that imposes them.

Owns the version of Landlock that this kernel has, and the translation of `LandlockRules` into its
rights. It neither decides what may be read or written nor starts anything; `launcher` imposes
what is made here.

What Landlock does not look at: modes, owners, times and attributes of files (the seccomp filter
refuses to change them, or does not), UDP and Unix sockets by path (without network there are no
sockets at all), and the names and sizes of files, which may be seen everywhere.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from codex_rpc.protocol.errors import SandboxUnavailable
from codex_rpc.sandbox import seccomp
from codex_rpc.sandbox.launch import LandlockRules, Launch
from codex_rpc.sandbox.supervisor import Restrictions, can_supervise, ordered

MINIMUM_ABI = 3
"""The first that knows truncation: before it, a file that may only be read could be emptied."""

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1 << 0, 1 << 1

_READ = _EXECUTE | _READ_FILE | _READ_DIR
_USE_DEVICE = _READ_FILE | _WRITE_FILE | _TRUNCATE | _IOCTL_DEV

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
"""What programs expect below /dev.

The rest is no file but a machine: disks that hold the denied files too, and other people's
terminals, in which one could type and read along. A command has no terminal of its own.
"""

_CREATE_RULESET = 444
_VERSION = 1


@cache
def abi() -> int:
    """The version of Landlock that this kernel offers and we can use; 0: none.

    Versions below `MINIMUM_ABI` count as none, and so does a machine without a system call filter,
    because Landlock alone leaves too much open.
    """
    if not (can_supervise() and seccomp.is_supported()):
        return 0
    # Not on the start path: the answer is first needed when commands are.
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    version: int = libc.syscall(
        ctypes.c_long(_CREATE_RULESET), None, ctypes.c_long(0), ctypes.c_long(_VERSION)
    )
    return version if version >= MINIMUM_ABI else 0


def launch(argv: Sequence[str], env: Mapping[str, str], rules: LandlockRules) -> Launch:
    """`argv`, supervised, able to do only what `rules` say.

    Whatever `rules` say: no new privileges, no capabilities (also for root), only the harmless
    devices of /dev, no System V objects, no signals to processes outside (from ABI 6 on) and no
    say in when these run. A path that has vanished since the rules were made is left out.

    Raises:
        SandboxUnavailable: Landlock does not work here; see `abi`.
    """
    version = abi()
    if version == 0:
        raise SandboxUnavailable("this kernel has no Landlock that could confine commands")
    everything = _file_rights(version)
    granted = [
        ("/", _READ_DIR),
        *((f"/dev/{name}", _USE_DEVICE & everything) for name in _DEVICES),
        *((path, _READ) for path in _without_devices(rules.readable)),
        *((path, everything) for path in rules.writable),
    ]
    return ordered(
        argv,
        env,
        Restrictions(
            ruleset=_ruleset(version, network=rules.network),
            rules=tuple(granted),
            filter=seccomp.filter_program(
                network=rules.network,
                change_metadata=rules.change_metadata,
                isolated=False,
            ),
        ),
    )


def _file_rights(version: int) -> int:
    """All rights to files that this version knows."""
    rights = (1 << 15) - 1
    return rights | _IOCTL_DEV if version >= 5 else rights


def _ruleset(version: int, *, network: bool) -> bytes:
    """`struct landlock_ruleset_attr` as this version knows it: what is refused unless granted."""
    attributes = struct.pack("=Q", _file_rights(version))
    if version >= 4:
        attributes += struct.pack("=Q", 0 if network else _BIND_TCP | _CONNECT_TCP)
    if version >= 6:
        attributes += struct.pack("=Q", _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS)
    return attributes


def _without_devices(paths: Iterable[str]) -> Iterable[str]:
    """`paths`, with the root spelled out, because there is no granting a tree except a branch."""
    for path in paths:
        if path == "/":
            yield from (str(entry) for entry in Path("/").iterdir() if entry.name != "dev")
        elif path != "/dev":
            yield path
