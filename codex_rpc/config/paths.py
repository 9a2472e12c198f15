"""Paths as users write them.

Nothing here asks the disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from codex_rpc.protocol.errors import ConfigError


def expanded(text: str, environ: Mapping[str, str]) -> Path:
    """`text` with a leading `~` replaced by the home folder; `~name` is no home folder.

    Raises:
        ConfigError: `~` is used and nothing says where home is.
    """
    head, slash, rest = text.partition("/")
    if head != "~":
        return Path(text)
    home = _home(environ)
    return home / rest.lstrip("/") if slash else home


def absolute(text: str, environ: Mapping[str, str], *, key: str) -> Path:
    """As `expanded`, for a `key` that wants an absolute path.

    Raises:
        ConfigError: it is relative.
    """
    path = expanded(text, environ)
    if not path.is_absolute():
        raise ConfigError(f"{key} must be an absolute path, not {text!r}", key=key)
    return path


def _home(environ: Mapping[str, str]) -> Path:
    if home := environ.get("HOME") or environ.get("USERPROFILE"):
        return Path(home)
    try:
        return Path.home()
    except RuntimeError as exc:
        raise ConfigError("there is no home folder; set HOME or CODEX_HOME", key="HOME") from exc
