"""A config.toml of the Codex CLI, and keys that nobody knows."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_support import Load

from codex_rpc.protocol.policy import SandboxPolicy

CODEX_CLI = r"""
# ~/.codex/config.toml
model = "gpt-5-codex"
model_provider = "openai"
model_context_window = 272000
model_max_output_tokens = 128000
model_auto_compact_token_limit = 200000
model_reasoning_effort = "high"
model_reasoning_summary = "detailed"
model_verbosity = "low"
model_supports_reasoning_summaries = true
approval_policy = "on-failure"
sandbox_mode = "workspace-write"
disable_response_storage = true
hide_agent_reasoning = true
show_raw_agent_reasoning = false
file_opener = "vscode-insiders"
notify = ["python3", "/home/me/.codex/notify.py"]
instructions = "be nice"
profile = "work"
project_doc_max_bytes = 65536
project_doc_fallback_filenames = ["CLAUDE.md"]
chatgpt_base_url = "https://chatgpt.com/backend-api/"
preferred_auth_method = "apikey"
include_plan_tool = true
include_apply_patch_tool = true
experimental_use_exec_command_tool = false
experimental_use_rmcp_client = true
disable_paste_burst = true
check_for_update_on_startup = false
cli_auth_credentials_store = "file"

[tools]
web_search = true
view_image = false

[features]
web_search_request = true

[tui]
notifications = ["agent-turn-complete", "approval-requested"]
animations = false

[notice]
hide_full_access_warning = true
"hide_gpt-5.1-codex-max_migration_prompt" = true

[otel]
environment = "staging"
exporter = { otlp-grpc = { endpoint = "https://otel.example.com:4317", headers = { "x" = "y" } } }

[history]
persistence = "save-all"
max_bytes = 5242880

[sandbox_workspace_write]
writable_roots = ["/home/me/.pyenv/shims"]
network_access = true
exclude_tmpdir_env_var = false
exclude_slash_tmp = false

[shell_environment_policy]
inherit = "core"
ignore_default_excludes = false
exclude = ["AWS_*", "AZURE_*"]
set = { CI = "1" }
include_only = ["PATH", "HOME"]

[model_providers.azure]
name = "Azure"
base_url = "https://example.openai.azure.com/openai"
env_key = "AZURE_OPENAI_API_KEY"
query_params = { api-version = "2025-04-01-preview" }
wire_api = "responses"

[model_providers.ollama]
name = "Ollama"
base_url = "http://localhost:11434/v1"
wire_api = "chat"
request_max_retries = 4
stream_max_retries = 10
stream_idle_timeout_ms = 300000
http_headers = { "X-Example-Header" = "example-value" }
env_http_headers = { "X-Example-Features" = "EXAMPLE_FEATURES" }

[profiles.work]
model = "gpt-5"
model_provider = "azure"
approval_policy = "never"
model_reasoning_effort = "minimal"
model_verbosity = "medium"

[profiles.local]
model = "mistral"
model_provider = "ollama"

[mcp_servers.docs]
command = "npx"
args = ["-y", "mcp-server"]
env = { "API_KEY" = "value" }
startup_timeout_sec = 20
tool_timeout_sec = 30.5

[mcp_servers.figma]
url = "https://mcp.figma.com/mcp"
bearer_token_env_var = "FIGMA_TOKEN"
enabled = false

[projects."/home/me/src/thing"]
trust_level = "trusted"
"""


def test_a_config_toml_of_the_codex_cli_loads_without_a_word(load: Load) -> None:
    config = load(CODEX_CLI)
    assert config.warnings == ()
    assert (config.profile, config.model, config.provider.id) == ("work", "gpt-5", "azure")
    assert config.provider.query_params == {"api-version": "2025-04-01-preview"}
    assert config.approval_policy == "never"
    assert config.sandbox_policy == SandboxPolicy(
        "workspace-write", ("/home/me/.pyenv/shims",), network_access=True
    )
    assert (config.model_reasoning_effort, config.model_reasoning_summary) == (
        "minimal",
        "detailed",
    )
    assert config.model_context_window == 272000
    assert config.disable_response_storage
    assert config.notify == ("python3", "/home/me/.codex/notify.py")
    assert config.history.max_bytes == 5242880
    assert config.user_instructions is None
    assert {"azure", "ollama", "openai", "scripted"} <= set(config.providers)
    assert config.providers["azure"].query_params == {"api-version": "2025-04-01-preview"}


@pytest.mark.parametrize(
    ("toml", "warning"),
    [
        ("modle = 'x'", "unknown key modle is ignored; did you mean model?"),
        (
            "aproval_policy = 'never'",
            "unknown key aproval_policy is ignored; did you mean approval_policy?",
        ),
        (
            "[history]\npersistance = 'none'",
            "unknown key history.persistance is ignored; did you mean history.persistence?",
        ),
        (
            "[model_providers.x]\nbase-url = 'y'",
            (
                "unknown key model_providers.x.base-url is ignored; "
                "did you mean model_providers.x.base_url?"
            ),
        ),
        (
            "[profiles.'p.q']\nmodell = 'x'",
            'unknown key profiles."p.q".modell is ignored; did you mean profiles."p.q".model?',
        ),
        (
            "[history]\nsandbox_mode = 'read-only'",
            (
                "unknown key history.sandbox_mode is ignored; did you mean sandbox_mode, "
                "which stands above the first [table]?"
            ),
        ),
        ("[zzz]\na = 1\nb = 2", "unknown key zzz is ignored"),
        ("'two words' = 1", 'unknown key "two words" is ignored'),
    ],
)
def test_an_unknown_key_is_a_warning_with_the_nearest_known_key(
    load: Load, home: Path, toml: str, warning: str
) -> None:
    assert load(toml).warnings == (f"{home / 'config.toml'}: {warning}",)


def test_each_unknown_key_is_listed_once(load: Load, home: Path) -> None:
    config = load(
        "modle = 'x'\ncolour = 1\n", c=["modle=y", "modle=z", "sise=1"], config={"colour": 2}
    )
    assert [warning.split(" is ignored")[0] for warning in config.warnings] == [
        f"{home / 'config.toml'}: unknown key modle",
        f"{home / 'config.toml'}: unknown key colour",
        "-c: unknown key sise",
    ]


def test_an_unknown_key_never_sets_anything(load: Load) -> None:
    config = load("modle = 'x'\n[history]\nsandbox_mode = 'danger-full-access'")
    assert (config.model, config.sandbox_policy) == ("gpt-5", SandboxPolicy("read-only"))
