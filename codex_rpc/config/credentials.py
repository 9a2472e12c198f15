"""API keys: where they come from, where they are kept, and what to say where there is none.

A key is read from the provider's environment variable, else, for providers that use OpenAI's
login, from auth.json in CODEX_HOME. It goes into `Provider.api_key`, which no `repr` shows,
and nowhere else; no error repeats what a file or a variable holds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import evolve

from codex_rpc.config.builtin_providers import OPENAI_KEY
from codex_rpc.config.settings import Provider
from codex_rpc.protocol.errors import ConfigError

MAX_KEY_CHARS = 8192
"""Servers take no header that is much longer."""


def with_credentials(
    provider: Provider, *, environ: Mapping[str, str], codex_home: Path
) -> Provider:
    """`provider` with its key, if there is one, and the headers that come from the environment.

    Raises:
        ConfigError: auth.json is needed and cannot be used.
    """
    headers = dict(provider.http_headers)
    for header, variable in provider.env_http_headers.items():
        if value := environ.get(variable, "").strip():
            headers[header] = value
    key = environ.get(provider.env_key, "").strip() if provider.env_key else ""
    if not key and provider.requires_openai_auth:
        key = _saved_key(_auth_file(codex_home))
    return evolve(provider, api_key=key or None, http_headers=headers)


def missing_credentials(provider: Provider, codex_home: Path) -> str | None:
    """What to set, and where, so that `provider` has the key it needs; None: nothing is missing.

    A header that says who asks is as good as a key.
    """
    if provider.env_key is None or provider.api_key is not None:
        return None
    if _key_headers(provider) & {name.lower() for name in provider.http_headers}:
        return None
    text = (
        f"There is no API key for {provider.name}: set the environment variable "
        f"{key_variable(provider)} where codex-rpc is started"
    )
    if provider.requires_openai_auth:
        text += (
            f", or run `codex-rpc login`, which saves it in {_auth_file(codex_home)} "
            "(a ChatGPT login without an API key is not enough)"
        )
    if provider.env_key_instructions:
        return f"{text}. {provider.env_key_instructions}"
    return f"{text}."


def key_variable(provider: Provider) -> str | None:
    """The environment variable that says who asks `provider`; None: it need not be told, or
    config.toml tells it."""
    if provider.env_key is None:
        return None
    headers = _key_headers(provider)
    for header, variable in provider.env_http_headers.items():
        if header.lower() in headers:
            return variable
    if headers & {name.lower() for name in provider.http_headers}:
        return None
    return provider.env_key


def has_saved_key(codex_home: Path) -> bool:
    """Whether auth.json has a key. Blocks.

    Raises:
        ConfigError: the file that is there cannot be used.
    """
    return bool(_saved_key(_auth_file(codex_home)))


def save_key(codex_home: Path, key: str) -> Path:
    """Keep `key` in auth.json, beside whatever else is there; the file, which only its owner may
    read. Blocks.

    Raises:
        ConfigError: the file that is there cannot be used; it is as it was.
        OSError: it cannot be written.
    """
    file = _auth_file(codex_home)
    saved = _saved(file)
    codex_home.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(file, {**saved, OPENAI_KEY: key})
    return file


def forget_key(codex_home: Path) -> bool:
    """Take the key out of auth.json, and nothing else; whether there was one. Blocks.

    Raises:
        ConfigError: the file that is there cannot be used; it is as it was.
        OSError: it cannot be written.
    """
    file = _auth_file(codex_home)
    if not _saved_key(file):
        return False
    _write(file, {name: value for name, value in _saved(file).items() if name != OPENAI_KEY})
    return True


def is_key(text: str) -> bool:
    """Whether `text` can be sent as a key."""
    return (
        0 < len(text) <= MAX_KEY_CHARS
        and text.isascii()
        and text.isprintable()
        and not set(text) & set(" \"'`")
    )


def _write(file: Path, saved: Mapping[str, Any]) -> None:
    """Write auth.json. Whoever reads it at any moment finds what was there, or what is."""
    raw = json.dumps(saved, indent=2).encode() + b"\n"
    try:
        fd = os.open(file, os.O_RDWR)
    except FileNotFoundError:
        _create(file, raw)
        return
    # The same file, not another one in its place: a sandbox hides it from a command by what is
    # mounted over it, which would go with it.
    try:
        os.fchmod(fd, 0o600)
        os.pwrite(fd, raw.ljust(os.fstat(fd).st_size), 0)
        os.ftruncate(fd, len(raw))
        os.fsync(fd)
    finally:
        os.close(fd)


def _create(file: Path, raw: bytes) -> None:
    import tempfile

    # A link that leads nowhere yet stays a link.
    file = Path(os.path.realpath(file))
    fd, name = tempfile.mkstemp(prefix=".auth-", suffix=".json", dir=file.parent)
    try:
        with os.fdopen(fd, "wb") as stream:
            stream.write(raw)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def secret_variables(providers: Iterable[Provider]) -> frozenset[str]:
    """The environment variables that hold any provider's key or headers."""
    names: set[str] = set()
    for provider in providers:
        names.update(provider.env_http_headers.values())
        if provider.env_key is not None:
            names.add(provider.env_key)
    return frozenset(names)


def _key_headers(provider: Provider) -> set[str]:
    """The names of the headers that say who asks, in small letters."""
    return {"authorization", (provider.api_key_header or "authorization").lower()}


def _auth_file(codex_home: Path) -> Path:
    return codex_home / "auth.json"


def _saved(file: Path) -> dict[str, Any]:
    """What is in auth.json; nothing if there is no file."""
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as exc:
        raise ConfigError(f"cannot read {file}: {exc.strerror}", file=str(file)) from exc
    try:
        saved = json.loads(raw)
    except (ValueError, RecursionError):
        saved = None
    # Raised out here because the decoder's exception carries the whole file.
    if not isinstance(saved, dict):
        raise ConfigError(f"{file} is not a JSON object", file=str(file))
    return saved


def _saved_key(file: Path) -> str:
    """The API key in auth.json; "" if there is no file, or no key in it."""
    key = _saved(file).get(OPENAI_KEY)
    if key is None:
        return ""
    if not isinstance(key, str):
        raise ConfigError(
            f"{file}: {OPENAI_KEY} must be a string or null", file=str(file), key=OPENAI_KEY
        )
    return key.strip()
