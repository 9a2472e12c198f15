"""Which URI is which file."""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

_WINDOWS = sys.platform == "win32"


def path_of(uri: str) -> Path | None:
    """The absolute path that a `file:` URI names; None: it names no file of this machine."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    if parts.scheme != "file":
        return None
    # Names of files are bytes, which need not be UTF-8.
    text = unquote(parts.path, errors="surrogateescape")
    if "\0" in text or not text.startswith("/"):
        return None
    if _WINDOWS:
        return _windows_path(parts.netloc, text)
    return Path(text) if parts.netloc in ("", "localhost") else None


def _windows_path(host: str, text: str) -> Path | None:
    if host not in ("", "localhost"):
        return Path(f"//{host}{text}")
    # `/c:/folder`; editors also write the colon as %3A.
    path = Path(text.lstrip("/"))
    return path if path.is_absolute() else None


def uri_of(path: Path) -> str:
    """The URI of a file that the editor has not named itself."""
    return path.as_uri()
