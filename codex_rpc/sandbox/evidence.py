"""Signs in a failed command's output that the sandbox stopped it.

Owns how programs word a refusal, and whether the refusal can be the sandbox's: what would have
failed without a sandbox too is none. It knows neither exit codes nor who is asked next.

A command can print what it likes, so evidence is good for a question to the user and for nothing
else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.policy import SandboxMeans
from codex_rpc.sandbox.roots import Roots, is_inside

MAX_OUTPUT = 1 << 18
"""Characters at the end of the output that are looked at."""

MAX_LINES = 200
"""Lines with a refusal in them that are looked into."""

MAX_SHOWN = 300
"""Characters of the line that is quoted."""

_READ_ONLY = r"read-only file ?system|\bEROFS\b|\bReadOnlyFilesystem\b"
_BUSY = r"device or resource busy|\bEBUSY\b|\bResourceBusy\b"
_ACCESS = r"permission denied|\bEACCES\b|\bPermissionDenied\b"
_PERMISSION = r"operation not permitted|\bEPERM\b"

_REFUSAL = re.compile(
    f"(?P<read_only>{_READ_ONLY})|(?P<busy>{_BUSY})|(?P<access>{_ACCESS})|(?P<perm>{_PERMISSION})",
    re.IGNORECASE,
)

_NUMBERED = re.compile(r"\b(?:os error|code:|errno) 30\b|\bEROFS\b", re.IGNORECASE)
"""A read-only file system, as programs say it that name the error and no file."""

_NO_NETWORK = re.compile(
    r"could not resolve (?:host|proxy)|couldn't resolve host|unable to resolve host"
    r"|temporary failure (?:in name resolution|resolving)|network is unreachable|\bENETUNREACH\b"
    r"|\bEAI_AGAIN\b|failed to connect to \S+ port|failed to lookup address|nodename nor servname",
    re.IGNORECASE,
)

_NETWORK_CALL = re.compile(
    r"\b(?:sockets?|connect(?:ion|ing)?|bind(?:ing)?|listen(?:ing)?|accept|dial|sendto|getaddrinfo"
    r"|create_connection|create_server)\b|\bcurl: \(\d+\)",
    re.IGNORECASE,
)

_SYSTEM_CALL = re.compile(r"\b(?:ptrace|unshare|io_uring|perf_event_open)|PTRACE_", re.IGNORECASE)
"""What the filter refuses although an ordinary user may do it."""

_QUOTED = re.compile(r"'([^']+)'|\"([^\"]+)\"|`([^`']+)[`']|\u2018([^\u2019]+)\u2019")
_ABSOLUTE = re.compile(r"(?:^|(?<=[\s=(:'\"`\u2018]))/[^\s:'\"`\u2019)]*")

_LINES_BEFORE, _LINES_AFTER = 3, 3
"""Where the file is named if not on the line of the refusal (cargo, npm)."""

_TRACEBACK = 12
"""Lines of a traceback that are asked which call was refused."""


@frozen(kw_only=True)
class Boundaries:
    """What a command was held to."""

    means: SandboxMeans
    roots: Roots
    denied: tuple[str, ...] = ()
    network: bool = False
    is_filtered: bool = True
    """Whether system calls were refused."""


def find(output: str, cwd: str, boundaries: Boundaries) -> str | None:
    """The line of `output` that shows a refusal by the sandbox, cleaned and cut; None: none does.

    Relative names in it are taken to be meant in `cwd`. Looks at the disk.
    """
    lines = output[-MAX_OUTPUT:].splitlines()
    looked_into = 0
    for number, line in enumerate(lines):
        if not boundaries.network and _NO_NETWORK.search(line):
            return _shown(line)
        refusal = _REFUSAL.search(line)
        if refusal is None:
            continue
        looked_into += 1
        if looked_into > MAX_LINES:
            return None
        if _is_ours(lines, number, refusal, cwd, boundaries):
            return _shown(line)
    return None


def _is_ours(
    lines: list[str], number: int, refusal: re.Match[str], cwd: str, boundaries: Boundaries
) -> bool:
    line, kind = lines[number], str(refusal.lastgroup)
    if kind == "perm" and boundaries.is_filtered:
        if _SYSTEM_CALL.search(line):
            return True
        if not boundaries.network and _is_of_the_network(lines, number, refusal):
            return True
    named = list(dict.fromkeys(_paths(line, refusal.start())))
    if not named:
        around = lines[max(0, number - _LINES_BEFORE) : number + _LINES_AFTER + 1]
        named = list(dict.fromkeys(path for near in around for path in _exact_paths(near)))
    if any(_is_shut(os.path.join(cwd, path), kind, boundaries) for path in named):  # noqa: PTH118
        return True
    return not named and kind == "read_only" and _NUMBERED.search(line) is not None


def _is_of_the_network(lines: list[str], number: int, refusal: re.Match[str]) -> bool:
    line = lines[number]
    if _NETWORK_CALL.search(line):
        return True
    # Python says what it was doing in the lines before, and nothing on this one.
    if "[Errno 1]" not in line or line[refusal.end() :].strip():
        return False
    before = lines[max(0, number - _TRACEBACK) : number]
    return any(_NETWORK_CALL.search(earlier) for earlier in before)


def _paths(line: str, end: int) -> Iterator[str]:
    """What may be the name of a file, on a line with a refusal that begins at `end`."""
    yield from _exact_paths(line)
    pieces = line[:end].rstrip(": ").split(": ")
    last = pieces[-1]
    if len(pieces) < 2:
        return
    if last.startswith(("Cannot ", "Can't ")):
        # `tar: x: Cannot open: Read-only file system`
        yield pieces[-2]
    elif " " not in last:
        # `tee: out/x: Read-only file system`
        yield last
    elif last.startswith("cannot create "):
        # `sh: 1: cannot create a b: Read-only file system`
        yield last.removeprefix("cannot create ")
    elif "/" in last:
        # `open out/x: read-only file system`, where the name may hold spaces
        first = last.partition("/")[0]
        yield last[first.rfind(" ") + 1 :]


def _exact_paths(line: str) -> Iterator[str]:
    for quoted in _QUOTED.finditer(line):
        text = next(group for group in quoted.groups() if group is not None)
        if _REFUSAL.search(text) is None:
            yield text
    yield from _ABSOLUTE.findall(line)


def _is_shut(path: str, kind: str, boundaries: Boundaries) -> bool:
    """Whether the sandbox refuses what, without it, we could do with `path`."""
    try:
        path = os.path.realpath(path)
    except (OSError, ValueError):
        return False
    if is_inside(path, boundaries.denied):
        return os.access(path, os.R_OK)
    roots = boundaries.roots
    if kind == "busy":
        # What is mounted can be neither renamed nor removed.
        return path in (*roots.protected, *roots.writable) and _could_write(path)
    if boundaries.means == "bubblewrap" and kind != "read_only":
        # There is no other word for it there; this is an ordinary lack of rights.
        return False
    return not roots.allow(path) and _could_write(path)


def _could_write(path: str) -> bool:
    """Whether we could change `path`, make it, or make it below folders that we make."""
    if os.path.lexists(path) and os.access(path, os.W_OK):
        return True
    folder = os.path.dirname(path)  # noqa: PTH120
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)  # noqa: PTH120
    return os.access(folder, os.W_OK)


def _shown(line: str) -> str:
    cleaned = "".join(c if c.isprintable() else " " for c in line).strip()
    return cleaned if len(cleaned) <= MAX_SHOWN else cleaned[:MAX_SHOWN] + "…"
