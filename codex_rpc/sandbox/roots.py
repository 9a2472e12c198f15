"""Where a policy lets files be changed.

Owns the writable roots of a policy and what is protected inside them: what decides which programs
others run, our settings and sessions, and what we ourselves run from. It does not know who wants
to write, nor how the answer is enforced. Paths here are strings, absolute and resolved; a path
that is no text is kept by surrogates, as `os.fsdecode` makes them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.policy import SandboxPolicy
from codex_rpc.sandbox.installation import Installation, installation
from codex_rpc.sandbox.means import bubblewrap_places
from codex_rpc.sandbox.places import Places, ways_to

PROTECTED_NAMES = (".git", ".codex")
"""What in a root decides what other programs run: hooks, and settings."""

_HOME_PARTS = (
    *("config.toml", "auth.json", "AGENTS.md", "history.jsonl"),
    *("sessions", "archived_sessions"),
)
"""What in CODEX_HOME people keep elsewhere and link to."""

_GIT_PARTS = ("hooks", "config", "config.worktree", "info", "info/attributes")
"""What in a repository decides what git runs."""

_MAX_POINTER = 4096
"""Bytes of a `.git` file; the real ones are one line."""


@frozen(kw_only=True)
class Roots:
    """What may be changed, and what inside it may not."""

    writable: tuple[str, ...]
    """Folders that exist; none lies in another."""
    protected: tuple[str, ...]
    """Files and folders inside `writable`, whether or not they exist. A link is here as itself,
    and so are what it leads to and every other link on the way there."""
    unusable: tuple[str, ...] = ()
    """Roots that no means can make writable: they belong to the kernel."""
    moved: tuple[str, ...] = ()
    """Roots, as given, that lead elsewhere than at first. They are not writable."""
    importable: tuple[str, ...] = ()
    """Roots where Python looks for our modules first: what is put there, we would run."""

    def allow(self, path: str) -> bool:
        """Whether the resolved `path` may be changed."""
        return is_inside(path, self.writable) and not is_inside(path, self.protected)

    def between(self, path: str) -> list[str]:
        """The folders on the way from a writable root to `path`, both ends left out."""
        return [
            str(parent)
            for parent in Path(path).parents
            if is_inside(str(parent), self.writable) and str(parent) not in self.writable
        ]


def is_inside(path: str, folders: Iterable[str]) -> bool:
    """Whether `path` is one of `folders` or lies below one."""
    path = _comparable(path)
    return any(path.startswith(_comparable(folder)) for folder in folders)


def _comparable(path: str) -> str:
    """`path` with a separator at its end, and in one case where the case of names means nothing."""
    path = path if path.endswith(os.sep) else path + os.sep
    return path.casefold() if sys.platform in ("darwin", "win32") else path


def outermost(paths: Iterable[str]) -> tuple[str, ...]:
    """`paths` without those that lie in another one, shortest first."""
    kept: list[str] = []
    for path in sorted(set(paths), key=lambda path: (len(path), path)):
        if not is_inside(path, kept):
            kept.append(path)
    return tuple(kept)


def roots_of(
    policy: SandboxPolicy,
    cwd: Path,
    *,
    codex_home: Path,
    places: Places | None = None,
    installed: Installation | None = None,
) -> Roots:
    """What `policy` lets a session in `cwd` change; nothing if it is read-only.

    `danger-full-access` has the same roots: they are what our own tools edit without asking.
    A root inside something protected is none. `places` remembers where the roots were (None:
    nothing is remembered), `installed` is what we run from (None: found out).
    """
    if policy.mode == "read-only":
        return Roots(writable=(), protected=())
    places = places if places is not None else Places()
    installed = installed if installed is not None else installation()
    found, moved = _folders((str(cwd), *policy.writable_roots), places)
    unusable = {folder for folder in found if _is_the_kernels(folder)}
    importable = found & set(installed.searched_first)
    protected = {*installed.core, *ways_to([str(codex_home)])}
    protected |= _linked(str(codex_home / part) for part in _HOME_PARTS)
    for path in (*installed.around, *bubblewrap_places()):
        if is_inside(path, found) and path not in importable:
            protected.add(path)
    for folder in found:
        protected |= _protected_in(folder)
    writable = outermost(
        folder
        for folder in found - unusable
        if not is_inside(folder, protected) and not set(PROTECTED_NAMES) & set(Path(folder).parts)
    )
    return Roots(
        writable=writable,
        protected=tuple(sorted(path for path in protected if is_inside(path, writable))),
        unusable=tuple(sorted(unusable)),
        moved=tuple(moved),
        importable=tuple(sorted(path for path in importable if is_inside(path, writable))),
    )


def write_problem(path: Path, roots: Roots) -> str | None:
    """None if a file at the absolute `path` may be changed, made or removed; else why not.

    Links and `..` are followed, also where the file does not exist yet.
    """
    try:
        resolved = os.path.realpath(path)
    except ValueError as exc:
        return f"no file can have this name: {exc}"
    leads = "" if resolved == str(path) else f" leads to `{resolved}`, which"
    if not roots.writable:
        return "no folder may be written"
    if not is_inside(resolved, roots.writable):
        folders = ", ".join(f"`{folder}`" for folder in roots.writable)
        return f"`{path}`{leads} lies outside the folders that may be written: {folders}"
    if is_inside(resolved, roots.protected) or is_inside(str(path), roots.protected):
        return f"`{path}`{leads} is protected"
    return None


def _folders(given: Iterable[str], places: Places) -> tuple[set[str], list[str]]:
    """The folders that there are, resolved; and those of `given` that have moved."""
    found: set[str] = set()
    moved: list[str] = []
    for path in dict.fromkeys(given):
        # With a NUL in its name there is no such folder.
        if not os.path.isabs(path) or "\0" in path:  # noqa: PTH117
            continue
        folder = places.of(path)
        if places.has_moved(path):
            moved.append(path)
        elif os.path.isdir(folder):  # noqa: PTH112
            found.add(folder)
    return found, moved


def _is_the_kernels(folder: str) -> bool:
    """Whether what looks like files there is in truth devices, processes and settings.

    /dev/shm is an ordinary folder that happens to be there.
    """
    if sys.platform == "win32" or is_inside(folder, ("/dev/shm",)):  # noqa: S108
        return False
    return is_inside(folder, ("/dev", "/proc", "/sys"))


def _protected_in(root: str) -> set[str]:
    names = [str(Path(root, name)) for name in PROTECTED_NAMES]
    git = Path(root, ".git")
    protected = {*names, *_linked(names), *_linked(str(git / part) for part in _GIT_PARTS)}
    for folder in _git_folders(git):
        protected |= ways_to([str(folder)]) | _linked(str(folder / part) for part in _GIT_PARTS)
    return protected


def _linked(paths: Iterable[str]) -> set[str]:
    """Where those of `paths` lead that are links, and all links on the way."""
    return ways_to(path for path in paths if os.path.islink(path))  # noqa: PTH114


def _git_folders(pointer: Path) -> list[Path]:
    """Where a `.git` that is a file says the repository is: that of a worktree, or a submodule."""
    target = _path_in(pointer, prefix="gitdir: ")
    if target is None:
        return []
    common = _path_in(target / "commondir", prefix="")
    return [target] if common is None else [target, common]


def _path_in(file: Path, *, prefix: str) -> Path | None:
    """The path that a file of one line holds; None: it is no such file."""
    if not file.is_file():
        return None
    try:
        with file.open("rb") as opened:
            line = os.fsdecode(opened.read(_MAX_POINTER)).partition("\n")[0]
    except OSError:
        return None
    path = line.removeprefix(prefix).rstrip("\r")
    if not path or not line.startswith(prefix) or "\0" in path:
        return None
    return file.parent / path
