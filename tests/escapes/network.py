"""Attempts to reach somebody outside, or to be reached from there."""

from __future__ import annotations

import os

from .attempt import MODES, Attempt, Mode, act, shell
from .peers import lan_address

EVERYWHERE = frozenset(MODES)
WITH_NETWORK: frozenset[Mode] = frozenset({"network"})


def _has_lan() -> str | None:
    return None if lan_address() else "the machine has no address but the loopback's"


def _needs_root() -> str | None:
    return None if os.geteuid() == 0 else "only root may"


def _only_x86() -> str | None:
    return None if os.uname().machine == "x86_64" else "the machine is no x86_64"


BY_SHELL = """
echo x > "/dev/tcp/${TCP%:*}/${TCP##*:}"
echo x > "/dev/udp/${UDP%:*}/${UDP##*:}"
"""

ROWS = (
    Attempt(
        name="talk among the command's own processes",
        argv=act("network", "own_pair"),
        allowed=EVERYWHERE,
    ),
    Attempt(name="TCP", argv=act("network", "tcp"), needs=("network",), allowed=WITH_NETWORK),
    Attempt(
        name="TCP by the shell",
        argv=shell(BY_SHELL, "/bin/bash"),
        needs=("network",),
        allowed=WITH_NETWORK,
    ),
    Attempt(name="UDP", argv=act("network", "udp"), needs=("network",), allowed=WITH_NETWORK),
    Attempt(
        name="UDP, connected",
        argv=act("network", "udp_connected"),
        needs=("network",),
        allowed=WITH_NETWORK,
    ),
    Attempt(name="DNS", argv=act("network", "dns"), needs=("network",), allowed=WITH_NETWORK),
    Attempt(name="a socket with a path", argv=act("network", "unix"), needs=("sockets",)),
    Attempt(
        name="the same by sendto",
        argv=act("network", "unix_sendto"),
        needs=("sockets",),
    ),
    Attempt(
        name="the same from the end of a pair",
        argv=act("network", "unix_pair"),
        needs=("sockets",),
    ),
    Attempt(
        name="the same by a link and by /proc",
        argv=act("network", "unix_by_link"),
        needs=("sockets",),
    ),
    Attempt(
        name="an abstract socket",
        argv=act("network", "abstract"),
        needs=("sockets",),
    ),
    Attempt(
        name="have a descriptor sent (SCM_RIGHTS)",
        argv=act("network", "take_descriptor"),
        needs=("giver",),
    ),
    Attempt(
        name="be reached at a port",
        argv=act("network", "listen"),
        needs=("caller",),
        allowed=WITH_NETWORK,
    ),
    Attempt(
        name="be reached at a path",
        argv=act("network", "listen_unix"),
        needs=("caller",),
    ),
    Attempt(name="leave a socket's file outside", argv=act("network", "bind_outside")),
    Attempt(
        name="ask the kernel for addresses (netlink)",
        argv=act("network", "netlink_ask"),
        needs=("network",),
        allowed=WITH_NETWORK,
        impossible=_has_lan,
    ),
    Attempt(
        name="change an interface (netlink)",
        argv=act("network", "netlink_change"),
        needs=("alias",),
        impossible=_needs_root,
        exclusive=True,
    ),
    Attempt(name="packets of one's own making", argv=act("network", "raw"), impossible=_needs_root),
    Attempt(
        name="sockets of other families",
        argv=act("network", "other_families"),
    ),
    Attempt(
        name="connect by io_uring",
        argv=act("network", "io_uring"),
        needs=("network",),
        control_may_fail="io_uring is switched off",
    ),
    Attempt(
        name="connect by the calls of i386",
        argv=act("network", "i386"),
        needs=("network",),
        impossible=_only_x86,
        control_may_fail="the kernel runs no i386 programs",
    ),
    Attempt(
        name="a socket by the calls of x32",
        argv=act("network", "x32"),
        impossible=_only_x86,
        control_may_fail="the kernel runs no x32 programs",
    ),
)
