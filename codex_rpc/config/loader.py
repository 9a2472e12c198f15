"""All sources of configuration in, one frozen `Config` out.

Owns the defaults, and what each key becomes. Which source wins is in `layers`, what a key
accepts in `keys`. Takes the environment as an argument and keeps nothing between calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve

from codex_rpc.config.cli_overrides import Override
from codex_rpc.config.credentials import secret_variables, with_credentials
from codex_rpc.config.layers import read_layers
from codex_rpc.config.mcp_servers import enabled_servers, missing_tokens, server_secrets
from codex_rpc.config.paths import absolute, expanded
from codex_rpc.config.project_docs import (
    DEFAULT_MAX_BYTES,
    UserInstructions,
    read_user_instructions,
)
from codex_rpc.config.providers import check_environment, known_providers
from codex_rpc.config.secrets import known_secrets
from codex_rpc.config.settings import Config, HistorySettings, Provider, ShellEnvironment
from codex_rpc.protocol.errors import ConfigError
from codex_rpc.protocol.params import SessionOverrides
from codex_rpc.protocol.policy import SandboxPolicy

DEFAULT_MODEL = "gpt-5"
DEFAULT_PROVIDER = "openai"
DEFAULT_REASONING_EFFORT = "medium"
DEFAULT_REASONING_SUMMARY = "auto"


def resolve_codex_home(environ: Mapping[str, str]) -> Path:
    """The folder of config.toml, sessions and history: `$CODEX_HOME`, else `~/.codex`.

    It need not exist.

    Raises:
        ConfigError: the variable holds a relative path.
    """
    return absolute(environ.get("CODEX_HOME") or "~/.codex", environ, key="CODEX_HOME")


def load_config(
    *,
    codex_home: Path,
    environ: Mapping[str, str],
    cwd: Path,
    cli_overrides: Sequence[Override],
    overrides: SessionOverrides,
) -> Config:
    """The configuration of a session that works in `cwd`, an absolute path.

    A provider without key, address or script is no error here; who makes its client says so.
    Keys that are not known, and AGENTS.md texts that could not be used, are in the result's
    `warnings`.

    Raises:
        ConfigError: a file cannot be read, a value does not fit its key, or the provider or
            the profile does not exist.
    """
    file = codex_home / "config.toml"
    layers = read_layers(file, cli_overrides, overrides)
    table = layers.table
    entries = table.get("model_providers", {})
    providers = known_providers(entries, environ)
    servers = table.get("mcp_servers", {})
    provider = _chosen_provider(table, providers, file)
    check_environment(provider.id, entries, environ)
    chosen = with_credentials(provider, environ=environ, codex_home=codex_home)
    shell_environment = _shell_environment(
        table, secret_variables(providers.values()) | server_secrets(servers.values())
    )
    instructions = _user_instructions(table, overrides, codex_home=codex_home, cwd=cwd)
    return Config(
        codex_home=codex_home,
        cwd=cwd,
        model=table.get("model") or provider.default_model or DEFAULT_MODEL,
        provider=chosen,
        providers=providers,
        profile=layers.profile,
        sandbox_policy=_sandbox_policy(table, overrides.sandbox_policy, environ),
        model_reasoning_effort=_unless_none(
            table.get("model_reasoning_effort", DEFAULT_REASONING_EFFORT)
        ),
        model_reasoning_summary=_unless_none(
            table.get("model_reasoning_summary", DEFAULT_REASONING_SUMMARY)
        ),
        notify=tuple(table.get("notify", ())),
        user_instructions=instructions.text,
        base_instructions=_base_instructions(table, overrides, environ=environ, cwd=cwd),
        shell_environment=shell_environment,
        secrets=known_secrets(environ, shell_environment, chosen),
        auto_compact_token_limit=table.get("model_auto_compact_token_limit"),
        deny_read=tuple(str(expanded(p, environ)) for p in table.get("sandbox_deny_read", ())),
        mcp_servers=enabled_servers(servers, environ),
        mcp_server_names=frozenset(servers),
        history=_history(table),
        experimental_resume=_resume_path(table, environ),
        warnings=layers.warnings + instructions.warnings + missing_tokens(servers, environ),
        **{name: table[name] for name in _SAME_IN_CONFIG if name in table},
    )


_SAME_IN_CONFIG = (
    "approval_policy",
    "sandbox_means",
    "save_before_run",
    "patch_review",
    "model_context_window",
    "model_max_output_tokens",
    "max_turn_requests",
    "disable_response_storage",
    "tool_output_max_bytes",
    "tool_output_max_lines",
)
"""Keys whose values, and defaults, are those of the `Config` fields of the same name."""


def _chosen_provider(
    table: Mapping[str, Any], providers: Mapping[str, Provider], file: Path
) -> Provider:
    name = table.get("model_provider", DEFAULT_PROVIDER)
    provider = providers.get(name)
    if provider is None:
        by_oss = table.get("oss") and name == table.get("oss_provider")
        raise ConfigError(
            f'there is no model provider "{name}"; known are: {", ".join(providers)}. '
            f"A provider is a table [model_providers.NAME] in {file}",
            file=str(file),
            key="oss_provider" if by_oss else "model_provider",
        )
    return provider


def _sandbox_policy(
    table: Mapping[str, Any], explicit: SandboxPolicy | None, environ: Mapping[str, str]
) -> SandboxPolicy:
    if explicit is not None:
        key = "sandboxPolicy.writable_roots"
        roots = _absolute_roots(explicit.writable_roots, environ, key=key)
        return evolve(explicit, writable_roots=roots)
    workspace = table.get("sandbox_workspace_write", {})
    key = "sandbox_workspace_write.writable_roots"
    roots = _absolute_roots(workspace.get("writable_roots", ()), environ, key=key)
    mode = table.get("sandbox_mode", "read-only")
    if mode != "workspace-write":
        return SandboxPolicy(mode)
    return SandboxPolicy(
        mode, writable_roots=roots, network_access=workspace.get("network_access", False)
    )


def _absolute_roots(
    roots: Sequence[str], environ: Mapping[str, str], *, key: str
) -> tuple[str, ...]:
    return tuple(
        str(absolute(root, environ, key=f"{key}[{index}]")) for index, root in enumerate(roots)
    )


def _shell_environment(table: Mapping[str, Any], secrets: frozenset[str]) -> ShellEnvironment:
    said = table.get("shell_environment_policy", {})
    return ShellEnvironment(
        inherit=said.get("inherit", "all"),
        ignore_default_excludes=said.get("ignore_default_excludes", False),
        exclude=tuple(said.get("exclude", ())),
        set=dict(said.get("set", {})),
        include_only=tuple(said.get("include_only", ())),
        always_exclude=secrets,
    )


def _history(table: Mapping[str, Any]) -> HistorySettings:
    said = table.get("history", {})
    return HistorySettings(
        persistence=said.get("persistence", "save-all"),
        max_bytes=said.get("max_bytes") or None,
        fsync=said.get("fsync", "turn"),
        redact=said.get("redact", True),
    )


def _user_instructions(
    table: Mapping[str, Any], overrides: SessionOverrides, *, codex_home: Path, cwd: Path
) -> UserInstructions:
    if overrides.user_instructions is not None:
        return UserInstructions(overrides.user_instructions or None)
    max_bytes = table.get("project_doc_max_bytes", DEFAULT_MAX_BYTES)
    return read_user_instructions(codex_home=codex_home, cwd=cwd, max_bytes=max_bytes)


def _base_instructions(
    table: Mapping[str, Any],
    overrides: SessionOverrides,
    *,
    environ: Mapping[str, str],
    cwd: Path,
) -> str | None:
    """What replaces the built-in system prompt; the file's path may be relative to `cwd`."""
    if overrides.base_instructions is not None:
        return overrides.base_instructions
    key = "experimental_instructions_file"
    if key not in table:
        return None
    file = cwd / expanded(table[key], environ)
    try:
        text = file.read_text(encoding="utf-8").strip()
    except OSError as exc:
        raise ConfigError(
            f"{key}: cannot read {file}: {exc.strerror}", file=str(file), key=key
        ) from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{key}: {file} is not UTF-8", file=str(file), key=key) from exc
    if not text:
        raise ConfigError(f"{key}: {file} is empty", file=str(file), key=key)
    return text


def _resume_path(table: Mapping[str, Any], environ: Mapping[str, str]) -> Path | None:
    key = "experimental_resume"
    return absolute(table[key], environ, key=key) if key in table else None


def _unless_none(value: str) -> str | None:
    return None if value == "none" else value
