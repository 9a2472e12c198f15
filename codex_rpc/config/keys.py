"""The keys that config.toml and `-c` know, and what each accepts.

Keys of the Codex CLI that have no effect here are listed too, so that its config.toml loads
without a word; where their types are known they are checked, so that a later version of this
program finds what it expects.
"""

from __future__ import annotations

import math
import re

from codex_rpc.config.schema import Array, Entries, Leaf, Node, Table
from codex_rpc.protocol.policy import APPROVAL_POLICIES, SANDBOX_MODES


def is_address(text: str) -> bool:
    """Whether `text` looks like the base of a URL that can be asked over HTTP."""
    return text.startswith(("http://", "https://")) and text.isprintable() and " " not in text


def _choice(*values: str) -> Leaf:
    *head, last = (f'"{value}"' for value in values)
    return Leaf(f"{', '.join(head)} or {last}", (str,), valid=lambda value: value in values)


TEXT = Leaf("a string", (str,))
NAME = Leaf("a string that is not empty", (str,), valid=lambda value: bool(value.strip()))
# A name, so that a key put here by mistake is refused before any message repeats it.
VARIABLE = Leaf(
    "the name of an environment variable",
    (str,),
    valid=lambda value: re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value) is not None,
)
HEADER = Leaf(
    "the name of an HTTP header",
    (str,),
    valid=lambda value: re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", value) is not None,
)
PATH = Leaf("a path", (str,), valid=bool, is_path=True)
GLOB = Leaf("a pattern of paths, such as **/.env", (str,), valid=bool, is_path=True)
ADDRESS = Leaf("an address that begins with http:// or https://", (str,), valid=is_address)
FLAG = Leaf("true or false", (bool,))
COUNT = Leaf("an integer, 0 or more", (int,), valid=lambda value: value >= 0)
POSITIVE = Leaf("an integer, 1 or more", (int,), valid=lambda value: value > 0)
SECONDS = Leaf(
    "a number, 0 or more",
    (int, float),
    valid=lambda value: math.isfinite(value) and value >= 0,
)
ANYTHING = Leaf("any value", ())
TEXTS = Array(TEXT)
TEXT_BY_NAME = Entries(TEXT)
SETTINGS = Entries(ANYTHING)
"""A table that is the Codex CLI's own affair."""

_PROVIDER = Table(
    {
        "name": NAME,
        "base_url": ADDRESS,
        "env_key": VARIABLE,
        "env_key_instructions": TEXT,
        "wire_api": _choice("responses", "chat"),
        "api_key_header": HEADER,
        "query_params": TEXT_BY_NAME,
        "http_headers": TEXT_BY_NAME,
        "env_http_headers": Entries(VARIABLE),
        "request_max_retries": COUNT,
        "stream_max_retries": COUNT,
        "stream_idle_timeout_ms": POSITIVE,
        "requires_openai_auth": FLAG,
        "supports_websockets": FLAG,
        "script": PATH,
    }
)

_MCP_SERVER = Table(
    {
        "command": NAME,
        "args": TEXTS,
        "env": TEXT_BY_NAME,
        "env_vars": TEXTS,
        "cwd": PATH,
        "url": ADDRESS,
        "bearer_token_env_var": VARIABLE,
        "http_headers": TEXT_BY_NAME,
        "env_http_headers": Entries(VARIABLE),
        "startup_timeout_sec": SECONDS,
        "startup_timeout_ms": COUNT,
        "tool_timeout_sec": SECONDS,
        "enabled": FLAG,
        "enabled_tools": TEXTS,
        "disabled_tools": TEXTS,
        "trust_hints": FLAG,
    }
)

# What may also stand in a profile.
_SESSION_KEYS: dict[str, Node] = {
    "model": NAME,
    "model_provider": NAME,
    "oss": FLAG,
    "oss_provider": NAME,
    "model_context_window": POSITIVE,
    "model_max_output_tokens": POSITIVE,
    "model_auto_compact_token_limit": COUNT,
    "max_turn_requests": POSITIVE,
    "model_reasoning_effort": _choice("none", "minimal", "low", "medium", "high", "xhigh"),
    "model_reasoning_summary": _choice("none", "auto", "concise", "detailed"),
    "disable_response_storage": FLAG,
    "approval_policy": _choice(*APPROVAL_POLICIES),
    "sandbox_mode": _choice(*SANDBOX_MODES),
    "sandbox_workspace_write": Table(
        {
            "writable_roots": Array(PATH),
            "network_access": FLAG,
            "exclude_tmpdir_env_var": FLAG,
            "exclude_slash_tmp": FLAG,
        }
    ),
    "sandbox_means": _choice("auto", "bubblewrap", "landlock"),
    "sandbox_deny_read": Array(GLOB),
    "save_before_run": _choice("ask", "always", "never"),
    "patch_review": FLAG,
    "mcp_servers": Entries(_MCP_SERVER),
    "shell_environment_policy": Table(
        {
            "inherit": _choice("all", "core", "none"),
            "ignore_default_excludes": FLAG,
            "exclude": TEXTS,
            "set": TEXT_BY_NAME,
            "include_only": TEXTS,
            "experimental_use_profile": FLAG,
        }
    ),
    "history": Table(
        {
            "persistence": _choice("save-all", "none"),
            "max_bytes": COUNT,
            "fsync": _choice("turn", "record", "never"),
            "redact": FLAG,
        }
    ),
    "notify": TEXTS,
    "project_doc_max_bytes": COUNT,
    "tool_output_max_bytes": COUNT,
    "tool_output_max_lines": COUNT,
    "experimental_instructions_file": PATH,
    "experimental_resume": PATH,
}

UNUSED_KEYS: dict[str, Node] = {  # what the Codex CLI has and we make no use of
    "analytics": SETTINGS,
    "chatgpt_base_url": TEXT,
    "check_for_update_on_startup": FLAG,
    "cli_auth_credentials_store": TEXT,
    "compact_prompt": TEXT,
    "developer_instructions": TEXT,
    "disable_paste_burst": FLAG,
    "experimental_compact_prompt_file": PATH,
    "experimental_sandbox_command_assessment": FLAG,
    "experimental_use_exec_command_tool": FLAG,
    "experimental_use_freeform_apply_patch": FLAG,
    "experimental_use_rmcp_client": FLAG,
    "experimental_use_unified_exec_tool": FLAG,
    "features": SETTINGS,
    "feedback": SETTINGS,
    "file_opener": TEXT,
    "forced_chatgpt_workspace_id": TEXT,
    "forced_login_method": TEXT,
    "ghost_snapshot": SETTINGS,
    "hide_agent_reasoning": FLAG,
    "include_apply_patch_tool": FLAG,
    "include_plan_tool": FLAG,
    "include_view_image_tool": FLAG,
    "instructions": TEXT,
    "mcp_oauth_credentials_store": TEXT,
    "model_reasoning_summary_format": TEXT,
    "model_supports_reasoning_summaries": FLAG,
    "model_verbosity": TEXT,
    "notice": SETTINGS,
    "otel": SETTINGS,
    "preferred_auth_method": TEXT,
    "project_doc_fallback_filenames": TEXTS,
    "responses_originator_header_internal_override": TEXT,
    "review_model": TEXT,
    "show_raw_agent_reasoning": FLAG,
    "tool_output_token_limit": COUNT,
    "tools": SETTINGS,
    "tools_view_image": FLAG,
    "tools_web_search": FLAG,
    "tui": SETTINGS,
    "use_experimental_reasoning_summary": FLAG,
    "windows_wsl_setup_acknowledged": FLAG,
}

ROOT = Table(
    {
        **_SESSION_KEYS,
        **UNUSED_KEYS,
        "model_providers": Entries(_PROVIDER),
        "profile": NAME,
        "profiles": Entries(Table({**_SESSION_KEYS, **UNUSED_KEYS})),
        "projects": Entries(Table({"trust_level": TEXT})),
    }
)
"""What config.toml may hold."""
