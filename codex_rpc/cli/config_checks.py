"""What `doctor` tells of the configuration: where it was read, and what is said there.

Owns which values are shown. Only those that cannot be secret are: numbers, switches, choices,
names, paths, and addresses without user, password and query. Which value wins is the loader's
affair; what is told here follows the same order.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from codex_rpc.cli.findings import Finding, Installation, Status, address, counted, listed
from codex_rpc.cli.terminal import home_relative
from codex_rpc.config.cli_overrides import with_value
from codex_rpc.config.keys import ADDRESS, NAME, ROOT, UNUSED_KEYS, VARIABLE
from codex_rpc.config.schema import Array, Entries, Key, Leaf, Node, Table, dotted
from codex_rpc.config.settings import Config
from codex_rpc.protocol.frozen import frozen

FILE = "config.toml"
NOT_SHOWN = "(not shown)"
MAX_SHOWN_CHARS = 120
"""Of a value."""
MAX_IGNORED = 12
"""Names of keys without effect in one line."""

_WITHOUT_EFFECT = frozenset({*UNUSED_KEYS, "projects"})
"""Keys of the Codex CLI that are read and change nothing."""

_VARIABLES = (
    "CODEX_HOME",
    "OPENAI_BASE_URL",
    "CODEX_OSS_BASE_URL",
    "CODEX_OSS_PORT",
    "OLLAMA_HOST",
)
"""Environment variables that say what config.toml could say, or where it is."""
_NAMED_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE")
"""Those that change how servers are reached; only their names are told."""


@frozen
class Setting:
    """A key that was set, as it is told."""

    key: str
    value: str
    """As TOML, or that it is not shown."""
    layer: str
    """Where it was said."""
    instead_of: str | None = None
    """Where something else was said that does not count."""


def configuration(installation: Installation) -> Finding:
    """Which files were read, and what they and the command line set."""
    config, problem = installation.config, installation.problem
    if config is None:
        file = problem.file if problem else None
        text = problem.message if problem else "it cannot be loaded"
        # An error in a single key says itself what would be accepted.
        is_whole_file = file is not None and problem is not None and problem.key is None
        details = ["mend the file, or move it away to start anew"] if is_whole_file else []
        return Finding("config", "error", text, details, {"path": file})
    path = config.codex_home / "config.toml"
    saved = _saved(path)
    settings, ignored = _settings(installation, config, saved)
    shown = home_relative(str(path))
    parts = [shown if path.exists() else f"no {shown}, so the defaults hold"]
    for layer, count in Counter(setting.layer for setting in settings).items():
        keys = counted(count, "key")
        parts.append(keys if layer == FILE else f"{keys} from {layer}")
    if config.profile is not None and not any(p.endswith(_profile(config)) for p in parts):
        parts.append(_profile(config))
    details = [*config.warnings, *_shown(settings)]
    if ignored:
        names = listed(ignored, MAX_IGNORED)
        details.append(f"without effect here, since only the Codex CLI knows them: {names}")
    others = [name for name in saved.get("profiles", {}) if name != config.profile]
    if others:
        details.append(f"profiles that -p NAME chooses: {listed(others, MAX_IGNORED)}")
    data = {
        "path": str(path),
        "exists": path.exists(),
        "profile": config.profile,
        "settings": [{"key": s.key, "value": s.value, "layer": s.layer} for s in settings],
        "ignored": ignored,
        "warnings": list(config.warnings),
    }
    status: Status = "warning" if config.warnings else "ok"
    return Finding("config", status, ", ".join(parts), details, data)


def _shown(settings: list[Setting]) -> Iterator[str]:
    for setting in settings:
        known = [] if setting.layer == FILE else [f"from {setting.layer}"]
        if setting.instead_of is not None:
            known.append(f"instead of that from {setting.instead_of}")
        remark = f"  ({', '.join(known)})" if known else ""
        yield f"{setting.key} = {setting.value}{remark}"


def _profile(config: Config) -> str:
    return f"profile {config.profile}"


def _saved(file: Path) -> dict[str, Any]:
    """What config.toml says; it has been loaded before, so it is valid."""
    import tomllib

    try:
        return tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        return {}


def _settings(
    installation: Installation, config: Config, saved: Mapping[str, Any]
) -> tuple[list[Setting], list[str]]:
    """What is set, each key with the strongest that was said; and the keys without effect."""
    layers: list[tuple[str, Mapping[str, Any]]] = [(FILE, saved)]
    said: dict[str, Any] = {}
    together = dict(saved)
    for override in installation.overrides:
        said = with_value(said, override.key, override.value)
        together = with_value(together, override.key, override.value)
    if config.profile is not None:
        profile = together.get("profiles", {}).get(config.profile, {})
        layers.append((_profile(config), profile))
    layers.append(("-c", said))
    found: dict[str, Setting] = {}
    ignored: dict[str, None] = {}
    for layer, table in layers:
        for key, value in _leaves(table):
            if key[0] == "profiles":
                continue
            if key[0] in _WITHOUT_EFFECT:
                ignored[dotted(key[:1])] = None
                continue
            name = dotted(key)
            if (text := _value(key, value, installation.environ)) is not None:
                weaker = found.pop(name, None)
                found[name] = Setting(name, text, layer, weaker.layer if weaker else None)
    return [*_variables(installation.environ), *found.values()], list(ignored)


def _variables(environ: Mapping[str, str]) -> Iterator[Setting]:
    layer = "the environment"
    for name in _VARIABLES:
        if value := environ.get(name, "").strip():
            text = address(value) if "://" in value else value.rpartition("@")[2]
            yield Setting(name, _text(text), layer)
    for name in _NAMED_VARIABLES:
        # Programs look for both spellings.
        for spelling in (name, name.lower()):
            if environ.get(spelling):
                yield Setting(spelling, NOT_SHOWN, layer)


def _leaves(value: Any, key: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not isinstance(value, Mapping) or (key and not value):
        yield key, value
        return
    for name, member in value.items():
        yield from _leaves(member, (*key, name))


def _value(key: tuple[str, ...], value: Any, environ: Mapping[str, str]) -> str | None:
    """A value as it is shown; None: nobody knows the key, which the loader warns of."""
    node: Node | None = ROOT
    for name in key:
        if isinstance(node, Entries):
            node = node.of
        elif isinstance(node, Table):
            node = node.keys.get(name)
        else:
            node = None
    if node is None:
        return None
    return _told(node, key, value, environ)


_NAMES = frozenset({"model", "model_provider", "profile", "name", "command"})
_LISTS = frozenset({"enabled_tools", "disabled_tools", "exclude", "include_only", "env_vars"})
"""Arrays of names."""


def _told(node: Node, key: Key, value: Any, environ: Mapping[str, str]) -> str:
    name = key[-1]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        is_shown = name in _LISTS or (isinstance(node, Array) and node.of.is_path)
        return _text(value) if is_shown else f"({counted(len(value), 'value')}, not shown)"
    if isinstance(value, str) and isinstance(node, Leaf):
        if node is ADDRESS:
            return _text(address(value))
        if node is VARIABLE:
            # A key that was put here by mistake looks like a name too.
            is_name = value.isupper() or value in environ
            return _text(value) if is_name else "(not shown: the name of a variable is wanted)"
        # What accepts a few words only says so with the words.
        is_choice = node.accepted.startswith('"')
        if node.is_path or is_choice or (node is NAME and name in _NAMES):
            return _text(value)
    return "{}" if value == {} else NOT_SHOWN


def _text(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN_CHARS else text[: MAX_SHOWN_CHARS - 1] + "…"
