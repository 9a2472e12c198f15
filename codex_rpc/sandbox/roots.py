"""Where a policy lets files be changed.

Owns the writable roots of a policy and what is protected inside them. It does not know who wants
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

PROTECTED_NAMES = (".git", ".codex")
"""What in a root decides what other programs run: hooks, and settings."""

_MAX_POINTER = 4096
"""Bytes of a `.git` file; the real ones are one line."""


@frozen(kw_only=True)
class Roots:
    """What may be changed, and what inside it may not."""

    writable: tuple[str, ...]
    """Folders that exist; none lies in another."""
    protected: tuple[str, ...]
    """Files and folders inside `writable`, whether or not they exist. A link is here as itself,
    and so is what it leads to."""
    unusable: tuple[str, ...] = ()
    """Roots that no means can make writable: they belong to the kernel."""

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


def roots_of(policy: SandboxPolicy, cwd: Path, *, codex_home: Path) -> Roots:
    """What `policy` lets a session in `cwd` change; nothing if it is read-only.

    `danger-full-access` has the same roots: they are what our own tools edit without asking.
    A root inside something protected is none.
    """
    if policy.mode == "read-only":
        return Roots(writable=(), protected=())
    found = {
        folder
        for given in (str(cwd), *policy.writable_roots)
        if Path(given).is_absolute() and (folder := _resolved_folder(given)) is not None
    }
    unusable = {folder for folder in found if _is_the_kernels(folder)}
    home = os.path.realpath(codex_home)
    protected = {home}
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


def _resolved_folder(given: str) -> str | None:
    try:
        folder = os.path.realpath(given)
    except ValueError:
        # It holds a NUL, so there is no such folder.
        return None
    return folder if Path(folder).is_dir() else None


def _is_the_kernels(folder: str) -> bool:
    """Whether what looks like files there is in truth devices, processes and settings.

    /dev/shm is an ordinary folder that happens to be there.
    """
    if sys.platform == "win32" or is_inside(folder, ("/dev/shm",)):  # noqa: S108
        return False
    return is_inside(folder, ("/dev", "/proc", "/sys"))


def _protected_in(root: str) -> set[str]:
    protected = set()
    for name in PROTECTED_NAMES:
        path = str(Path(root, name))
        protected |= {path, os.path.realpath(path)}
    return protected | _git_folders(Path(root, ".git"))


def _git_folders(pointer: Path) -> set[str]:
    """Where a `.git` that is a file says the repository is: that of a worktree, or a submodule."""
    target = _path_in(pointer, prefix="gitdir: ")
    if target is None:
        return set()
    common = _path_in(Path(target, "commondir"), prefix="")
    return {target} if common is None else {target, common}


def _path_in(file: Path, *, prefix: str) -> str | None:
    """The path that a file of one line holds, resolved; None: it is no such file."""
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
    return os.path.realpath(file.parent / path)
