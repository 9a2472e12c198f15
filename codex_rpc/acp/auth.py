"""How a user gets at a model: which ways are offered, and whether one of them has been taken.

Owns no key: where they are kept is the configuration's affair.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio.to_thread

from codex_rpc.config.credentials import forget_key, key_variable, missing_credentials
from codex_rpc.config.settings import Config, Provider
from codex_rpc.protocol.errors import ConfigError, CredentialsMissing, InvalidParams

ENVIRONMENT = "environment"
LOGIN = "login"

LoadConfig = Callable[[str], Awaitable[Config]]
"""The configuration in a folder."""

ANYWHERE = "/"
"""Where no project says anything."""


def auth_methods(config: Config | None, capabilities: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The `AuthMethod`s for the configured provider, best first; none if it needs no key, or
    nothing can be configured. `capabilities` are the client's."""
    if config is None or (variable := key_variable(config.provider)) is None:
        return []
    methods: list[dict[str, Any]] = []
    auth = capabilities.get("auth")
    if (
        config.provider.requires_openai_auth
        and isinstance(auth, dict)
        and auth.get("terminal") is True
    ):
        methods.append(
            {
                "id": LOGIN,
                "type": "terminal",
                "name": "Enter an API key",
                "description": "Asks for it in a terminal, and saves it for codex-rpc.",
                "args": ["--login"],
            }
        )
    methods.append(
        {
            "id": ENVIRONMENT,
            "type": "env_var",
            "name": f"Use {variable}",
            "description": _on_variable(config.provider, variable),
            "vars": [{"name": variable}],
        }
    )
    return methods


def _on_variable(provider: Provider, variable: str) -> str:
    what = f"an API key for {provider.name}"
    if variable != provider.env_key:
        headers = [name for name, value in provider.env_http_headers.items() if value == variable]
        what = f"what is sent to {provider.name} as `{headers[0]}`"
    text = f"Set the environment variable {variable}, where this agent is started, to {what}."
    return " ".join(filter(None, (text, provider.env_key_instructions)))


def can_log_out(config: Config | None) -> bool:
    """Whether there may be a saved key to be forgotten."""
    return config is not None and config.provider.requires_openai_auth


async def authenticate(method_id: str, load: LoadConfig) -> None:
    """Make sure that there is a key by now.

    Raises:
        InvalidParams: there is no such method.
        CredentialsMissing: there is no key.
        ConfigError
    """
    if method_id not in (ENVIRONMENT, LOGIN):
        raise InvalidParams("methodId", f"{ENVIRONMENT} or {LOGIN}")
    config = await load(ANYWHERE)
    missing = missing_credentials(config.provider, config.codex_home)
    if missing is not None:
        raise CredentialsMissing(missing, key=config.provider.env_key)


async def logout(load: LoadConfig) -> None:
    """Forget the saved key.

    Raises:
        ConfigError: auth.json cannot be used, or cannot be written.
    """
    config = await load(ANYWHERE)
    try:
        await anyio.to_thread.run_sync(forget_key, config.codex_home)
    except OSError as exc:
        raise ConfigError(f"the key could not be forgotten: {exc.strerror}") from exc
