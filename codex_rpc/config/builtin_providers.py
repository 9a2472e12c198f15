"""The model providers that are known without a word in config.toml.

Owns the table. Each entry is in the words of `[model_providers.X]`, and a user's entry of the
same name replaces single keys of it; what only we say of a provider is in the other tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codex_rpc.config.settings import LocalServer

OPENAI_KEY = "OPENAI_API_KEY"
"""The variable, and the member of auth.json, that holds OpenAI's API key."""

_OLLAMA: Mapping[str, Any] = {
    "name": "Ollama",
    "base_url": "http://localhost:11434/v1",
    "wire_api": "chat",
}

BUILTIN_PROVIDERS: Mapping[str, Mapping[str, Any]] = {
    "openai": {
        "name": "OpenAI",
        "base_url": "https://api.openai.com/v1",
        "wire_api": "responses",
        "requires_openai_auth": True,
        "env_http_headers": {
            "OpenAI-Organization": "OPENAI_ORGANIZATION",
            "OpenAI-Project": "OPENAI_PROJECT",
        },
    },
    "azure": {
        "name": "Azure OpenAI",
        "wire_api": "responses",
        "env_key": "AZURE_OPENAI_API_KEY",
        "api_key_header": "api-key",
    },
    "openrouter": {
        "name": "OpenRouter",
        "base_url": "https://openrouter.ai/api/v1",
        "wire_api": "chat",
        "env_key": "OPENROUTER_API_KEY",
        "env_key_instructions": "Keys are made at https://openrouter.ai/keys.",
    },
    # The Codex CLI has called it by both names.
    "oss": _OLLAMA,
    "ollama": _OLLAMA,
    "lmstudio": {
        "name": "LM Studio",
        "base_url": "http://localhost:1234/v1",
        "wire_api": "chat",
    },
    "llamacpp": {
        "name": "llama.cpp",
        "base_url": "http://localhost:8080/v1",
        "wire_api": "chat",
    },
    "scripted": {"name": "Scripted model"},
}

_OLLAMA_PROGRAM = LocalServer(
    start="ollama serve",
    install="https://ollama.com/download",
    add_model="ollama pull {model}",
)

LOCAL_SERVERS: Mapping[str, LocalServer] = {
    "oss": _OLLAMA_PROGRAM,
    "ollama": _OLLAMA_PROGRAM,
    "lmstudio": LocalServer(
        start="lms server start",
        install="https://lmstudio.ai",
        add_model="lms get {model}",
    ),
    "llamacpp": LocalServer(
        start="llama-server -m MODEL.gguf --jinja --port 8080",
        install="https://github.com/ggml-org/llama.cpp",
        add_model="llama-server -m MODEL.gguf --jinja --port 8080",
    ),
}
"""What their users are told, by the provider's id."""

DEFAULT_MODELS: Mapping[str, str] = {
    "oss": "gpt-oss:20b",
    "ollama": "gpt-oss:20b",
    "lmstudio": "openai/gpt-oss-20b",
    # It serves one model, by whatever name it is asked for.
    "llamacpp": "default",
    "openrouter": "openai/gpt-5",
}
"""Where no model is configured; all others are asked for the program's default."""

OSS_PROVIDERS = {"ollama": "oss", "lmstudio": "lmstudio"}
"""What `oss_provider`, which the Codex CLI has too, makes of `oss = true`."""

AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
"""How the names of Azure's hosts end, whose keys are no bearer tokens."""

AZURE_API_VERSION = "2025-04-01-preview"
"""For Azure's addresses that want one; those that end with `/v1` do not."""
