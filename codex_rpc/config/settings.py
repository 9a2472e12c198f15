"""The frozen result of reading the configuration: what every other room is given.

Nothing here reads anything. Secrets are kept out of `repr`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from attrs import field

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.policy import ApprovalPolicy, SandboxPolicy

DEFAULT_EXCLUDES = ("*KEY*", "*TOKEN*", "*SECRET*")
"""Names of variables that commands are not given, unless that is switched off."""


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a variable's name is one of `patterns`, without regard to case."""
    return any(fnmatchcase(name.upper(), pattern.upper()) for pattern in patterns)


WireApi = Literal["responses", "chat"]


@frozen(kw_only=True)
class LocalServer:
    """A program that serves models on the user's own machine: what to tell its user."""

    start: str
    """How it is started, a command or a sentence."""
    install: str
    """Where it is to be had."""
    add_model: str
    """How a model gets there, a command or a sentence; `{model}` stands for its name."""


@frozen(kw_only=True)
class Provider:
    """Where a model is served, and how to speak to it."""

    id: str
    """The key under `[model_providers]`, or the name of a built-in provider."""
    name: str
    default_model: str | None = None
    """Asked where no model is configured; None: the program's default."""
    base_url: str | None = None
    env_key: str | None = None
    """The environment variable that holds the API key; None: none is needed."""
    env_key_instructions: str | None = None
    wire_api: WireApi = "responses"
    api_key_header: str | None = None
    """The header that the key is sent in, as it is; None: as a bearer token."""
    query_params: Mapping[str, str] = field(factory=dict, repr=False)
    http_headers: Mapping[str, str] = field(factory=dict, repr=False)
    """Sent with each request; in the chosen provider those of `env_http_headers` are filled in."""
    env_http_headers: Mapping[str, str] = field(factory=dict)
    """Names of the environment variables whose values are sent, by header."""
    request_max_retries: int | None = None
    stream_max_retries: int | None = None
    stream_idle_timeout_ms: int = 300_000
    requires_openai_auth: bool = False
    api_key: str | None = field(default=None, repr=False)
    """From `env_key`, else from auth.json where the provider uses OpenAI's login."""
    script: Path | None = None
    """The scripted provider's turns."""
    local: LocalServer | None = None
    """What is known of the program, for a provider that runs on the user's own machine."""

    @property
    def max_retries(self) -> int:
        """How many times a failed request or stream is tried again: one budget for both.

        The larger of the two settings if both are there, else whichever is, else 5.
        """
        given = [n for n in (self.request_max_retries, self.stream_max_retries) if n is not None]
        return max(given, default=5)


@frozen(kw_only=True)
class ShellEnvironment:
    """`[shell_environment_policy]`: what commands see of the server's environment."""

    inherit: Literal["all", "core", "none"] = "all"
    ignore_default_excludes: bool = False
    """False: names like *KEY*, *TOKEN*, *SECRET* are left out."""
    exclude: tuple[str, ...] = ()
    set: Mapping[str, str] = field(factory=dict, repr=False)
    include_only: tuple[str, ...] = ()
    always_exclude: frozenset[str] = frozenset()
    """Names of the variables that hold the keys and headers of providers and MCP servers; left out
    whatever else is said."""

    def hides(self, name: str) -> bool:
        """Whether a variable is left out for what it is called: a secret, by its name."""
        excludes = (() if self.ignore_default_excludes else DEFAULT_EXCLUDES) + self.exclude
        return matches(name, excludes) or name.upper() in {n.upper() for n in self.always_exclude}


@frozen(kw_only=True)
class McpServer:
    """`[mcp_servers.NAME]`: a program to start, or an address to ask."""

    name: str
    command: str | None = None
    """None: it is reached at `url`."""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(factory=dict, repr=False)
    """All that the program is given besides the few variables that every program needs."""
    cwd: Path | None = None
    """Where the program runs; None: in the session's folder."""
    url: str | None = None
    http_headers: Mapping[str, str] = field(factory=dict, repr=False)
    """The bearer token and the headers of `env_http_headers` are filled in."""
    startup_timeout_s: float = 10.0
    tool_timeout_s: float = 60.0
    enabled_tools: tuple[str, ...] | None = None
    """None: all that the server has."""
    disabled_tools: tuple[str, ...] = ()
    trust_hints: bool = False
    """Whether its tools' `readOnlyHint` is believed."""


@frozen(kw_only=True)
class HistorySettings:
    """`[history]`."""

    persistence: Literal["save-all", "none"] = "save-all"
    """Whether `add_to_history` writes history.jsonl."""
    max_bytes: int | None = None
    """How long history.jsonl may grow; None: no limit."""
    fsync: Literal["turn", "record", "never"] = "turn"
    redact: bool = True
    """Whether secrets that are known by their value are masked before anything is recorded."""


@frozen(kw_only=True)
class Config:
    """Everything that is configured for one session."""

    codex_home: Path
    cwd: Path
    model: str
    provider: Provider
    providers: Mapping[str, Provider] = field(factory=dict, repr=False)
    """All that are known by name, built in ones included; without their keys."""
    profile: str | None = None
    approval_policy: ApprovalPolicy = "on-request"
    sandbox_policy: SandboxPolicy = SandboxPolicy(mode="read-only")
    model_reasoning_effort: str | None = None
    """As the model is asked for it; None: it is not asked for any."""
    model_reasoning_summary: str | None = None
    """The same for the summary of its reasoning."""
    model_context_window: int | None = None
    """In tokens; None: not known."""
    model_max_output_tokens: int | None = None
    auto_compact_token_limit: int | None = None
    """A conversation of more tokens is compacted; None: nine tenths of the context window, if that
    is known; 0: never."""
    max_turn_requests: int | None = None
    """A turn ends after as many answers of the model; None: when it has nothing more to say."""
    disable_response_storage: bool = False
    notify: tuple[str, ...] = ()
    """A program and its first arguments, run after each turn."""
    user_instructions: str | None = None
    """The AGENTS.md texts, joined."""
    base_instructions: str | None = None
    """Replaces the built-in system prompt; None: the built-in one."""
    shell_environment: ShellEnvironment = ShellEnvironment()
    sandbox_means: Literal["auto", "bubblewrap", "landlock"] = "auto"
    """What is to confine commands on Linux; "auto": the best that works."""
    save_before_run: Literal["ask", "always", "never"] = "ask"
    """Whether the editor is to save unsaved documents before a command runs."""
    patch_review: bool = False
    """Whether patches are shown as whole texts, to editors that can, before they are written."""
    deny_read: tuple[str, ...] = ()
    """Globs of files that neither commands nor tools may read, `~` expanded. A relative one holds
    below the session's folder and below each writable root. CODEX_HOME/auth.json is denied too."""
    mcp_servers: tuple[McpServer, ...] = ()
    """The enabled ones, sorted by name."""
    mcp_server_names: frozenset[str] = frozenset()
    """Of all of them, also those that are not enabled."""
    history: HistorySettings = HistorySettings()
    tool_output_max_bytes: int = 10 * 1024
    """Of a command's output, what the model is given at most; 0: no limit."""
    tool_output_max_lines: int = 256
    """The same in lines; 0: no limit."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """Values that `history.redact` masks: providers' keys, and what commands are not given of the
    environment if it looks random; at least 16 characters long."""
    experimental_resume: Path | None = None
    """The saved session that the first `session/configure` resumes."""
    warnings: tuple[str, ...] = ()
    """What the user should hear of, once: unknown keys with the nearest known one, and AGENTS.md
    texts that were cut or could not be read."""
