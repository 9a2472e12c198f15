"""Attempts to outlive the call, and attempts on processes outside."""

from __future__ import annotations

import os
from pathlib import Path

from .attempt import Attempt, act, shell

LINGER = 'sh -c "sleep 30; : lingering-$TOKEN"'


def _needs_root() -> str | None:
    return None if os.geteuid() == 0 else "only root may"


def _needs_queues() -> str | None:
    return None if Path("/proc/sys/fs/mqueue").exists() else "the kernel has no message queues"


def _victim(name: str, function: str, **more: object) -> Attempt:
    return Attempt(name=name, argv=act("processes", function), needs=("victim",), **more)


def _outliving(name: str, argv: tuple[str, ...]) -> Attempt:
    return Attempt(name=name, argv=argv, needs=("leftovers",))


ROWS = (
    _outliving("outlive the call (&)", shell(f"{LINGER} > /dev/null 2>&1 &")),
    _outliving("outlive the call, holding the output", shell(f"{LINGER} &")),
    _outliving("outlive the call (nohup)", shell(f"nohup {LINGER} > /dev/null 2>&1 &")),
    _outliving("outlive the call (setsid)", shell(f"setsid {LINGER} > /dev/null 2>&1 &")),
    _outliving("outlive the call (two forks)", act("processes", "double_fork")),
    _outliving("outlive the call (a proper daemon)", act("processes", "daemon")),
    _outliving("kill who watches, then outlive the call", act("processes", "unwatched")),
    _victim("kill a process outside", "kill"),
    _victim("stop a process outside", "stop"),
    _victim("kill by its descriptor", "queue_signal"),
    _victim("kill by a pipe's signal (F_SETOWN)", "signal_by_pipe"),
    _victim("take its descriptors away (prlimit)", "limit"),
    _victim("let it run last of all", "slow"),
    _victim("let it be killed first (oom_score_adj)", "first_to_die"),
    _victim("read its environment", "environment"),
    _victim("read its memory", "memory"),
    _victim("write its memory", "memory_write"),
    _victim("read its memory (process_vm_readv)", "memory_by_call"),
    _victim("write its memory (process_vm_writev)", "memory_write_by_call"),
    _victim("debug it (ptrace)", "trace"),
    _victim("take its open file (pidfd_getfd)", "take_descriptor"),
    _victim("measure it (perf)", "measure", impossible=_needs_root),
    _victim("step into its mounts", "enter", impossible=_needs_root),
    _victim(
        "step into its mounts by its descriptor", "enter_by_descriptor", impossible=_needs_root
    ),
    Attempt(
        name="System V shared memory",
        argv=act("processes", "shared_memory"),
        needs=("shared memory",),
    ),
    Attempt(
        name="a message queue",
        argv=act("processes", "queue"),
        needs=("queue",),
        impossible=_needs_queues,
    ),
    Attempt(name="the user's keys", argv=act("processes", "keys"), needs=("key",)),
    Attempt(
        name="write on the user's terminal",
        argv=act("files", "terminal_write"),
        needs=("terminal",),
    ),
    Attempt(
        name="type into the user's terminal (TIOCSTI)",
        argv=act("files", "terminal_type"),
        needs=("terminal",),
        control_may_fail="the kernel lets nobody type for others",
    ),
    Attempt(
        name="type into an inherited terminal",
        argv=act("files", "terminal_inherited"),
        needs=("terminal",),
        control_may_fail="the kernel lets nobody type for others",
    ),
)
