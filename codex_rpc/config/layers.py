"""Which source of configuration wins.

From the strongest: parameters of the request, its `config` member, `-c`, the profile,
config.toml. Each is checked by itself before any are put together, so that an error names the
one at fault. Defaults, and what the values become, are `loader`'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import field

from codex_rpc.config.builtin_providers import OSS_PROVIDERS
from codex_rpc.config.cli_overrides import FLAG_SOURCE, Override, nested, parse_key, with_value
from codex_rpc.config.keys import ROOT
from codex_rpc.config.schema import Source, UnknownKey, check, warnings_for
from codex_rpc.protocol.errors import ConfigError
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.params import SessionOverrides

_PARAMETERS = Source(label="session parameters")
_CONFIG_MEMBER = Source(label="config")


@frozen
class Layers:
    """All sources as one."""

    table: Mapping[str, Any] = field(repr=False)
    """As config.toml would say it; every value that a known key has fits it."""
    profile: str | None
    """The profile that was applied."""
    warnings: tuple[str, ...]
    """A sentence for each key that is not known."""


def read_layers(
    file: Path, cli_overrides: Sequence[Override], overrides: SessionOverrides
) -> Layers:
    """Read `file`, which need not exist, and put everything that was said above it.

    Raises:
        ConfigError: the file cannot be read or is not TOML, a value does not fit its key, or
            there is no such profile.
    """
    saved = _read_toml(file)
    unknown = check(ROOT, saved, Source(label=str(file), file=str(file)))
    given = _given(cli_overrides, overrides, unknown)
    # Which profile, and what is in it, may itself be said above config.toml.
    name, profile = _profile(_with_all(saved, given), file)
    table = _with_oss(_with_all(_merged(saved, profile), given), given, profile)
    return Layers(table, name, warnings_for(unknown, ROOT))


def _read_toml(file: Path) -> dict[str, Any]:
    """What is in `file`; nothing if it is not there."""
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as exc:
        raise ConfigError(f"cannot read {file}: {exc.strerror}", file=str(file)) from exc
    import tomllib  # only wanted where there is something to read

    try:
        # Editors on Windows begin UTF-8 files with a mark that TOML does not have.
        text = raw.decode("utf-8-sig")
        return tomllib.loads(text)
    except UnicodeDecodeError as exc:
        line_no = raw.count(b"\n", 0, exc.start) + 1
        raise ConfigError(f"{file}:{line_no}: this is not UTF-8", file=str(file)) from exc
    except tomllib.TOMLDecodeError as exc:
        where = re.search(r"at line (\d+), column \d+", str(exc))
        line_no = int(where[1]) if where else text.count("\n") + 1
        raise ConfigError(f"{file}:{line_no}: not valid TOML: {exc}", file=str(file)) from exc
    except (ValueError, RecursionError) as exc:
        # A number of thousands of digits, or tables in tables without end.
        raise ConfigError(f"{file}: not usable: {exc}", file=str(file)) from exc


def _given(
    cli_overrides: Sequence[Override], overrides: SessionOverrides, unknown: list[UnknownKey]
) -> list[Override]:
    """What stands above the profile, in order of increasing weight.

    Keys that are not known are added to `unknown`.
    """
    member = [Override(parse_key(key), value) for key, value in (overrides.config or {}).items()]
    explicit = [
        Override((name,), value)
        for name in _PARAMETER_NAMES
        if (value := getattr(overrides, name)) is not None
    ]
    given: list[Override] = []
    for source, entries in (
        (FLAG_SOURCE, cli_overrides),
        (_CONFIG_MEMBER, member),
        (_PARAMETERS, explicit),
    ):
        for entry in entries:
            unknown += check(ROOT, nested(entry.key, entry.value), source)
            given.append(entry)
    return given


_PARAMETER_NAMES = (
    "model",
    "model_provider",
    "profile",
    "approval_policy",
    "model_reasoning_effort",
    "model_reasoning_summary",
    "disable_response_storage",
    "notify",
)
"""Parameters that are called as their keys; the others have no key."""


def _with_all(table: dict[str, Any], given: Sequence[Override]) -> dict[str, Any]:
    for entry in given:
        table = with_value(table, entry.key, entry.value)
    return table


def _with_oss(
    table: dict[str, Any], given: Sequence[Override], profile: Mapping[str, Any]
) -> dict[str, Any]:
    """With `oss`, the provider and the model of config.toml do not count; what is said above it
    still does, and the model of a profile that is for no other provider."""
    if not table.get("oss"):
        return table
    said = {entry.key for entry in given}
    table = dict(table)
    if ("model_provider",) not in said:
        name = table.get("oss_provider", "ollama")
        table["model_provider"] = OSS_PROVIDERS.get(name, name)
    is_of_profile = "model" in profile and "model_provider" not in profile
    if ("model",) not in said and not is_of_profile:
        table.pop("model", None)
    return table


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both tables in one; where both have a value, that of `above`."""
    result = dict(below)
    for name, value in above.items():
        under = result.get(name)
        if isinstance(under, dict) and isinstance(value, dict):
            value = _merged(under, value)
        result[name] = value
    return result


def _profile(table: Mapping[str, Any], file: Path) -> tuple[str | None, dict[str, Any]]:
    """The chosen profile's name and what it says."""
    name = table.get("profile")
    if name is None:
        return None, {}
    profiles = table.get("profiles", {})
    if name not in profiles:
        known = ", ".join(profiles) or "none"
        raise ConfigError(
            f'there is no profile "{name}"; known are: {known}. A profile is a table '
            f"[profiles.NAME] in {file}",
            file=str(file),
            key="profile",
        )
    return name, profiles[name]
