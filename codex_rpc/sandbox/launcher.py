"""A script: starts one command, confined if so ordered, and lives until all it left is gone.

It is run by `python -I -S` as its main program, with ORDERS and perhaps STATUS as arguments, in an
empty environment. It is not read from its file for that, which may have changed, and imports
nothing of this project: a fresh interpreter with four small modules is what it costs. ORDERS is a
descriptor to read from, STATUS one to write to; what stands in them is said in `supervisor`,
which makes the one and reads the other.

The script forks. The parent supervises: it adopts what the command leaves behind, reports the
command's end at once, ends itself with the last descendant, and kills all of them when its own
parent dies or when it is asked to end. The child takes the confinement upon itself and becomes
the command. If any step of that fails, the command is not run.
"""

from __future__ import annotations

import ctypes
import errno
import marshal
import math
import os
import signal
import stat
import struct
import sys
import time

# What type checkers take for typing's, whose import alone would cost 5 ms.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from typing import Any, NoReturn

NOT_CONFINED = 126
"""The exit code when the command was not run because a step before it failed."""

GIVE_UP_S = 5.0
"""How long we try to kill what does not die (it may run as another user)."""

ROUND_S = 0.05

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2

SYS_LANDLOCK_CREATE_RULESET = 444
SYS_LANDLOCK_ADD_RULE = 445
SYS_LANDLOCK_RESTRICT_SELF = 446
LANDLOCK_RULE_PATH_BENEATH = 1
LANDLOCK_FILE_RIGHTS = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
"""What can be granted for something that is no folder: execute, write, read, truncate, ioctl."""

CAPABILITY_VERSION_3 = 0x20080522

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""On each of these the supervisor kills all that it supervises. The first one also comes when the
parent has died."""

# The library that the interpreter itself uses; to look for one by name would run programs.
_libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: Sequence[str]) -> NoReturn:
    """Follow the orders; does not return."""
    with open(int(arguments[0]), "rb") as file:  # noqa: PTH123 - no pathlib here, it costs 3 ms
        orders: dict[str, Any] = marshal.loads(file.read())  # noqa: S302 - from our parent
    status = int(arguments[1]) if len(arguments) > 1 else -1
    if status >= 0:
        os.set_inheritable(status, False)
    # From here on signals wait until someone looks: the supervisor for all of its life, the
    # command until it has its confinement.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    me = os.getpid()
    try:
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
        _prctl(PR_SET_PDEATHSIG, ENDING[0])
        child = os.fork() if os.getppid() == orders["parent"] else None
    except OSError as exc:
        _report(status, f"error {_in_words(exc)}")
        os._exit(NOT_CONFINED)
    if child is None:
        # Our parent died before it could have been told to us; nobody wants the command.
        os._exit(NOT_CONFINED)
    if child == 0:
        _become_command(orders, status, mask, supervisor=me)
    _supervise(child, status)


# The supervisor.


def _supervise(command: int, status: int) -> NoReturn:
    # Commands of the same user, unless confined, could otherwise write to STATUS through /proc.
    _prctl(PR_SET_DUMPABLE, 0)
    _let_go()
    _report(status, f"pid {command}")
    code = 0
    give_up = math.inf
    while True:
        wait_status, somebody_left = _collect(command)
        if wait_status is not None:
            code = _report_end(status, wait_status)
        if not somebody_left or time.monotonic() > give_up:
            os._exit(code)
        if give_up == math.inf:
            received = signal.sigwaitinfo((signal.SIGCHLD, *ENDING))
            if received.si_signo == signal.SIGCHLD:
                continue
            give_up = time.monotonic() + GIVE_UP_S
        _kill_descendants()
        signal.sigtimedwait((signal.SIGCHLD,), ROUND_S)


def _let_go() -> None:
    """Hold open nothing that others wait to see closed, or want to unmount."""
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    os.chdir("/")


def _collect(command: int) -> tuple[int | None, bool]:
    """The command's wait status if it has just ended, and whether anybody is left.

    Of the orphans that end nobody wants to know.
    """
    told = None
    while True:
        try:
            pid, wait_status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return told, False
        if pid == 0:
            return told, True
        if pid == command:
            told = wait_status


def _report_end(status: int, wait_status: int) -> int:
    """Say how the command ended; the exit code that says the same."""
    if os.WIFSIGNALED(wait_status):
        number = os.WTERMSIG(wait_status)
        _report(status, f"signal {number}", to_stderr=False)
        return 128 + number
    code = os.WEXITSTATUS(wait_status)
    _report(status, f"exit {code}", to_stderr=False)
    return code


def _kill_descendants() -> None:
    """Send SIGKILL to all that descends from us.

    By groups too: a group is hit as a whole, while someone who keeps forking can be one step
    ahead of a list. Their groups hold nobody else, because the command began with a session of
    its own.
    """
    ours = os.getpgrp()
    for pid, group in _descendants():
        # -1 and 0 would mean something else to the kernel.
        for target in (pid, -group) if group > 1 and group != ours else (pid,):
            try:
                os.kill(target, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                # It is gone, or has become another user's.
                continue


def _descendants() -> Iterable[tuple[int, int]]:
    """Process ids, and their groups."""
    family: dict[int, list[tuple[int, int]]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                line = file.read()
        except OSError:
            continue
        # The second field is the program's name in parentheses and may hold anything.
        fields = line[line.rfind(b")") + 2 :].split()
        family.setdefault(int(fields[1]), []).append((int(name), int(fields[2])))
    parents = [os.getpid()]
    while parents:
        for pid, group in family.pop(parents.pop(), ()):
            yield pid, group
            parents.append(pid)


# The command.


def _become_command(
    orders: Mapping[str, Any], status: int, mask: Collection[int], *, supervisor: int
) -> NoReturn:
    try:
        os.setsid()
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:
            os._exit(NOT_CONFINED)
        if orders["confined"]:
            _confine(orders)
        # The interpreter ignores these two.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    except (OSError, ValueError) as exc:
        _report(status, f"error the sandbox could not be set up: {_in_words(exc)}")
        os._exit(NOT_CONFINED)
    try:
        _execute(orders["argv"], orders["env"])
    except OSError as exc:
        _report(status, f"errno {exc.errno} {os.fsdecode(orders['argv'][0])}")
        os._exit(127 if exc.errno == errno.ENOENT else NOT_CONFINED)
    except ValueError as exc:
        _report(status, f"error {exc}")
        os._exit(NOT_CONFINED)


def _execute(argv: list[bytes], env: Mapping[bytes, bytes]) -> NoReturn:
    """Find and become the program, in the same way as `subprocess` does.

    Raises:
        OSError: the first that says more than that there is no such file.
        ValueError: an argument or a variable cannot be passed.
    """
    program = argv[0]
    folders = env.get(b"PATH", os.defpath.encode()).split(b":")
    paths = [program] if b"/" in program else [os.path.join(f, program) for f in folders]  # noqa: PTH118
    told = OSError(errno.ENOENT, "")
    for path in paths:
        try:
            os.execve(path, argv, env)  # noqa: S606
        except OSError as exc:
            if told.errno in (errno.ENOENT, errno.ENOTDIR):
                told = exc
    raise told


def _confine(orders: Mapping[str, Any]) -> None:
    """No new privileges, no capabilities, Landlock, the filter: for good, in this process."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    _restrict_files(orders["ruleset"], orders["rules"])
    # Landlock would let root make and mount devices, chmod what is others', and much more.
    header = struct.pack("=Ii", CAPABILITY_VERSION_3, 0)
    _checked("capabilities", _libc.capset(header, bytes(24)))
    program = ctypes.create_string_buffer(orders["filter"], len(orders["filter"]))
    # struct sock_fprog: how many instructions of 8 bytes, padding, a pointer.
    filter_ = struct.pack("@HP", len(program) // 8, ctypes.addressof(program))
    _prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_)


def _restrict_files(ruleset: bytes, rules: Iterable[tuple[bytes, int]]) -> None:
    fd = _syscall(SYS_LANDLOCK_CREATE_RULESET, ruleset, len(ruleset), 0)
    for path, rights in rules:
        try:
            target = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            # Not there, or not for us; what is not granted is refused.
            continue
        mode = os.fstat(target).st_mode
        granted = rights if stat.S_ISDIR(mode) else rights & LANDLOCK_FILE_RIGHTS
        if granted and not stat.S_ISLNK(mode):
            beneath = struct.pack("=Qi", granted, target)
            _syscall(SYS_LANDLOCK_ADD_RULE, fd, LANDLOCK_RULE_PATH_BENEATH, beneath, 0)
        os.close(target)
    _syscall(SYS_LANDLOCK_RESTRICT_SELF, fd, 0)
    os.close(fd)


# The kernel, and our parent.


def _prctl(option: int, argument: int, pointer: bytes = b"") -> None:
    last = pointer or ctypes.c_ulong(0)
    done = _libc.prctl(option, ctypes.c_ulong(argument), last, ctypes.c_ulong(0), ctypes.c_ulong(0))
    _checked(f"prctl {option}", done)


def _syscall(number: int, *arguments: int | bytes) -> int:
    passed = [a if isinstance(a, bytes) else ctypes.c_long(a) for a in arguments]
    return _checked(f"system call {number}", _libc.syscall(ctypes.c_long(number), *passed))


def _checked(what: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _in_words(exc: OSError | ValueError) -> str:
    return (isinstance(exc, OSError) and exc.strerror) or str(exc)


def _report(status: int, line: str, *, to_stderr: bool = True) -> None:
    """Tell our parent; without STATUS, whoever reads stderr, unless it is no news to them."""
    if status < 0:
        if not to_stderr or line.startswith("pid "):
            return
        status, line = 2, f"codex-rpc launcher: {line}"
    try:
        os.write(status, os.fsencode(line).replace(b"\n", b" ") + b"\n")
    except OSError:
        # Our parent is gone, and a signal says so too.
        return


if __name__ == "__main__":
    main(sys.argv[1:])
