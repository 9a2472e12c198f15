"""What this process runs from: our own code, the interpreter, and their libraries.

Owns the list of files whose change would let a command decide what we do, unconfined. It does not
know what may be written.

What cannot be protected: a module that nobody has installed, that we or a library would use if it
were there, and that someone puts into a folder that an editable install has added to the import
path. To protect that folder would be to forbid all work on what is being developed there.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from codex_rpc.protocol.frozen import frozen
from codex_rpc.sandbox.places import way_to, ways_to

_LIBRARY_FOLDERS = ("site-packages", "dist-packages")
_PACKAGE = str(Path(__file__).parents[1])
_STANDARD_LIBRARY = str(Path(os.__file__).parent)


@frozen(kw_only=True)
class Installation:
    """Files and folders that are not to be changed; each with all links that lead there."""

    core: tuple[str, ...] = ()
    """Protected wherever a writable folder lies, also if that is inside them."""
    around: tuple[str, ...] = ()
    """Large trees, protected as a whole if they lie in a writable folder: somebody may well work
    in a folder below /usr."""
    searched_first: tuple[str, ...] = ()
    """Folders in which modules are looked for before Python's own library, resolved. A module that
    is put there is used instead of the real one."""


def installation() -> Installation:
    """That of this process, with the modules that it has loaded by now."""
    fixed = _fixed(tuple(sys.path), sys.executable, sys.prefix, sys.base_prefix)
    loaded = _loaded_elsewhere(fixed)
    return Installation(
        core=(*fixed.core, *loaded), around=fixed.around, searched_first=fixed.searched_first
    )


@functools.lru_cache(maxsize=8)
def _fixed(path: tuple[str, ...], executable: str, *prefixes: str) -> Installation:
    first, last = _import_folders(path)
    core = {_PACKAGE, _STANDARD_LIBRARY, *last}
    around = {*first, *prefixes}
    if executable:
        core.add(executable)
        around.add(os.path.dirname(executable))  # noqa: PTH120
    return Installation(
        core=tuple(sorted(ways_to(core))),
        around=tuple(sorted(ways_to(around))),
        searched_first=tuple(way_to(folder)[-1] for folder in first),
    )


def _import_folders(path: Sequence[str]) -> tuple[list[str], list[str]]:
    """The folders (and archives) of the import path that come before Python's own library, and
    the libraries after it. What `.pth` files have added is in neither."""
    first: list[str] = []
    last: list[str] = []
    archive = f"python{sys.version_info.major}{sys.version_info.minor}.zip"
    is_behind = False
    for entry in filter(os.path.isabs, path):
        name = os.path.basename(entry)  # noqa: PTH119
        is_behind = is_behind or name == archive or entry == _STANDARD_LIBRARY
        if not is_behind:
            first.append(entry)
        elif name in _LIBRARY_FOLDERS:
            last.append(entry)
    return first, last


_loaded_before: tuple[tuple[int, Installation], tuple[str, ...]] | None = None


def _loaded_elsewhere(fixed: Installation) -> tuple[str, ...]:
    """The files and folders of loaded modules that lie in none of what is `fixed`."""
    global _loaded_before
    key = len(sys.modules), fixed
    if _loaded_before is None or _loaded_before[0] != key:
        roots = tuple(f"{folder}{os.sep}" for folder in (*fixed.core, *fixed.around))
        paths = {path for path in _loaded() if not path.startswith(roots)}
        _loaded_before = key, tuple(sorted(ways_to(paths)))
    return _loaded_before[1]


def _loaded() -> Iterator[str]:
    """Where the loaded top-level modules are: a package's folder; a module's file, and the folder
    from which its compiled form is taken."""
    for name, module in list(sys.modules.items()):
        if "." in name:
            continue
        values = getattr(module, "__dict__", {})
        folders, file = values.get("__path__"), values.get("__file__")
        if folders is not None:
            yield from _absolute(folders)
        elif isinstance(file, str) and os.path.isabs(file):  # noqa: PTH117
            yield file
            if name != "__main__":
                yield str(Path(file).with_name("__pycache__"))


def _absolute(folders: object) -> Iterator[str]:
    if isinstance(folders, Iterable):
        for folder in folders:
            if isinstance(folder, str) and os.path.isabs(folder):  # noqa: PTH117
                yield folder
