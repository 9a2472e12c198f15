"""Which commit, branch and repository a folder belongs to, read from git's own files.

git is never run: a repository's configuration can name programs, and a session may begin in
a repository that nobody has looked at yet. What is missing or strange is left out.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path

from codex_rpc.rollout.files import open_regular

_MAX_FILE_BYTES = 16 << 20
_MAX_REF_DEPTH = 5
_MAX_TEXT_CHARS = 1024

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SECTION = re.compile(r'\[\s*([A-Za-z0-9.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]')
_KEY = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*)\s*=(.*)")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^?#]*)")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:@\[\]]+)(:\d+)?")


def git_info(cwd: Path) -> dict[str, str]:
    """`commit_hash`, `branch` and `repository_url` as far as they are known; {} outside git.

    The URL carries no credentials. Blocks on small files; never raises.
    """
    try:
        folder = _git_folder(cwd)
        if folder is None:
            return {}
        common = _common_folder(folder)
        head = _text(folder / "HEAD").strip()
        found = {
            "commit_hash": _commit(head, folder, common),
            "branch": _branch(head),
            "repository_url": _repository_url(_text(common / "config")),
        }
    except (OSError, ValueError):
        return {}
    return {name: value for name, value in found.items() if value}


def without_credentials(url: str) -> str | None:
    """`url` without password, token and query; None if it is not clear where they end."""
    if not url.isprintable() or len(url) > _MAX_TEXT_CHARS:
        return None
    match = _URL.match(url)
    if match is None:
        # A path, or `git@host:path`, whose user is no secret. `a:b@host` means nothing good.
        return None if "://" in url or ":" in url.rpartition("@")[0] else url
    scheme, authority, path = match.groups()
    user, _, host = authority.rpartition("@")
    if host and not _AUTHORITY.fullmatch(host):
        return None
    if re.search("[:@]", authority) and "@" in url[match.end(2) :]:
        # What looks like a host may be the middle of a password with a slash in it.
        return None
    name = user.partition(":")[0] + "@" if user and "ssh" in scheme.lower() else ""
    return f"{scheme}://{name}{host}{path}"


def _git_folder(cwd: Path) -> Path | None:
    """The git folder of the checkout that `cwd` is in: of a worktree, its own."""
    for folder in (cwd, *cwd.parents):
        dot_git = folder / ".git"
        try:
            mode = dot_git.stat().st_mode
        except OSError:
            continue
        if stat.S_ISDIR(mode):
            return dot_git
        said = re.fullmatch(r"gitdir:\s*(.+?)\s*", _text(dot_git))
        return folder / said[1] if said else None
    return None


def _common_folder(folder: Path) -> Path:
    """Where a worktree's repository keeps what all its worktrees share."""
    said = _text(folder / "commondir").strip()
    return folder / said if said else folder


def _commit(head: str, folder: Path, common: Path) -> str | None:
    for _ in range(_MAX_REF_DEPTH):
        if _COMMIT.fullmatch(head):
            return head
        ref = head.removeprefix("ref:").strip()
        if ref == head or not ref.startswith("refs/") or ".." in ref:
            return None
        # Of a worktree's own refs (bisect, rewritten) and the shared ones, its own come first.
        head = (
            _text(folder / ref).strip()
            or _text(common / ref).strip()
            or _packed(ref, _text(common / "packed-refs"))
        )
    return None


def _packed(ref: str, packed_refs: str) -> str:
    match = re.search(rf"^([0-9a-f]+) {re.escape(ref)}$", packed_refs, re.MULTILINE)
    return match[1] if match else ""


def _branch(head: str) -> str | None:
    name = head.removeprefix("ref:").strip().removeprefix("refs/heads/")
    is_branch = head.startswith("ref:") and name.isprintable() and not name.startswith("refs/")
    # A repository with reftables says `.invalid` here, because its refs are elsewhere.
    return name if is_branch and 0 < len(name) <= _MAX_TEXT_CHARS and name != ".invalid" else None


def _repository_url(config: str) -> str | None:
    """The URL of `origin`, else of the first remote that has one."""
    urls: dict[str, str] = {}
    remote: str | None = None
    for line in config.splitlines():
        section = _SECTION.match(line.strip())
        if section:
            remote = section[2] if section[1].lower() == "remote" else None
            continue
        key = _KEY.fullmatch(line)
        if key and remote is not None and key[1].lower() == "url":
            urls.setdefault(remote, _value(key[2]))
    url = urls.get("origin") or next(iter(urls.values()), "")
    return without_credentials(url) if url else None


def _value(text: str) -> str:
    """A configuration value without its quotes and comment."""
    plain = []
    quoted = False
    characters = iter(text.strip())
    for character in characters:
        if character == "\\":
            plain.append(next(characters, ""))
        elif character == '"':
            quoted = not quoted
        elif character in "#;" and not quoted:
            break
        else:
            plain.append(character)
    return "".join(plain).strip()


def _text(path: Path) -> str:
    """The text of a small file; "" if there is none, or something else in its place."""
    try:
        with open_regular(path) as file:
            return file.read(_MAX_FILE_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
