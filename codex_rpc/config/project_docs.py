"""The AGENTS.md texts: what the user, and the repository, want the model to know.

Owns where they are looked for, how much is read and how they are joined. A text that cannot be
read is left out and reported; it never keeps a session from starting.
"""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path

from codex_rpc.protocol.frozen import frozen

FILE_NAME = "AGENTS.md"
DEFAULT_MAX_BYTES = 32 * 1024
_HOME_FROM_PROJECT = "\n\n--- project-doc ---\n\n"
_BETWEEN_PROJECT_TEXTS = "\n\n"


@frozen
class UserInstructions:
    """The joined texts, and what is to be said about them."""

    text: str | None
    """None: there are none."""
    warnings: tuple[str, ...] = ()


def read_user_instructions(*, codex_home: Path, cwd: Path, max_bytes: int) -> UserInstructions:
    """The AGENTS.md of CODEX_HOME, then those from the repository's root down to `cwd`.

    Without a repository around it, only `cwd` itself is looked at. At most `max_bytes` of all
    files together are used, the rest is cut between two characters; 0: nothing is read. What
    is not UTF-8 becomes U+FFFD. In a repository, links are followed to its own texts only.
    """
    if max_bytes == 0:
        return UserInstructions(None)
    reader = _Reader(max_bytes)
    home_file = codex_home / FILE_NAME
    home_text = (reader.read(home_file) or "").strip()
    project_texts = []
    folders = _folders(cwd)
    for folder in folders:
        file = folder / FILE_NAME
        if _same(file, home_file):
            continue
        if (where := _elsewhere(file, folders[0])) is not None:
            reader.warnings.append(f"{file} was left out: it is a link to {where}")
            continue
        text = reader.read(file)
        if text is not None and text.strip():
            project_texts.append(text)
    parts = [home_text] if home_text else []
    if project_texts:
        parts.append(_BETWEEN_PROJECT_TEXTS.join(project_texts))
    return UserInstructions(_HOME_FROM_PROJECT.join(parts) or None, tuple(reader.warnings))


def _folders(cwd: Path) -> list[Path]:
    """From the root of the repository that `cwd` is in down to `cwd`."""
    cwd = cwd.resolve()
    upwards: list[Path] = []
    for folder in (cwd, *cwd.parents):
        upwards.append(folder)
        if os.path.lexists(folder / ".git"):
            return upwards[::-1]
    return [cwd]


def _elsewhere(file: Path, root: Path) -> Path | None:
    """Where a link leads, unless it is to another text of the same repository.

    Whoever wrote the repository could have any file of the user's sent to the model otherwise.
    """
    if not file.is_symlink():
        return None
    try:
        target = file.resolve()
    except (OSError, RuntimeError):
        # A link to itself; reading it says so.
        return None
    if target.suffix.lower() == ".md" and target.is_relative_to(root):
        return None
    return target


def _same(a: Path, b: Path) -> bool:
    try:
        return a.samefile(b)
    except OSError:
        return False


@frozen
class _Cut:
    """What fits of a file."""

    data: bytes
    is_whole: bool


class _Reader:
    """Reads files until `max_bytes` are used up."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._left = max_bytes
        self.warnings: list[str] = []

    def read(self, file: Path) -> str | None:
        """The text of `file`, as far as there is room; None if it is not there or not readable."""
        try:
            cut = self._bytes(file)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as exc:
            self.warnings.append(f"{file} was left out: {exc.strerror}")
            return None
        if not cut.is_whole:
            self.warnings.append(
                f"{file} was {'cut' if cut.data else 'left out'}: the {FILE_NAME} texts are longer "
                f"than project_doc_max_bytes = {self._max_bytes}"
            )
        # A decoder that is not told the end keeps a character that was cut to itself.
        text = codecs.getincrementaldecoder("utf-8")("replace").decode(cut.data, final=cut.is_whole)
        if text.strip():
            self._left -= len(cut.data)
        return text

    def _bytes(self, file: Path) -> _Cut:
        # Opening something else than a file, a named pipe for one, may never return.
        if not stat.S_ISREG(file.stat().st_mode):
            raise OSError(0, "it is not a file")
        with file.open("rb") as opened:
            data = opened.read(self._left + 1)
        return _Cut(data[: self._left], is_whole=len(data) <= self._left)
