"""How a user gets at a model: which ways are offered, and whether one of them has been taken.

Owns no key: where they are kept is the configuration's affair.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio.to_thread

from codex_rpc.config.credentials import forget_key, missing_credentials
from codex_rpc.config.settings import Config
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
    if config is None or (variable := config.provider.env_key) is None:
        return []
    methods: list[dict[str, Any]] = []
    auth = capabilities.get("auth")
    if config.provider.requires_openai_auth and isinstance(auth, dict) and auth.get("terminal"):
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
            "description": (
                f"Set the environment variable {variable}, where this agent is started, to an "
                f"API key for {config.provider.name}."
            ),
            "vars": [{"name": variable}],
        }
    )
    return methods


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
