"""`codex-rpc login`: an API key of OpenAI, asked for and kept in auth.json."""

from __future__ import annotations

import argparse
import getpass
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from codex_rpc.config.builtin_providers import OPENAI_KEY
from codex_rpc.config.cli_overrides import Override, parse_override
from codex_rpc.config.credentials import (
    MAX_KEY_CHARS,
    has_saved_key,
    is_key,
    key_variable,
    save_key,
)
from codex_rpc.config.loader import load_config, resolve_codex_home
from codex_rpc.config.settings import Provider
from codex_rpc.protocol.errors import ConfigError
from codex_rpc.protocol.params import SessionOverrides

EXIT_NOT_SAVED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT

NO_KEY = "that is no API key: it has spaces, quotes or other characters that no key has"

EPILOG = """\
Asks for the key without showing it, or reads a line from standard input where that is no
terminal. It is kept in $CODEX_HOME/auth.json, where the Codex CLI looks for it too, and
whatever else is there stays. Other providers have their keys in environment variables:
`codex-rpc doctor` says which.

exit code: 0 saved, 1 it could not be written, 2 no key was given, or the command line or a
file is wrong, 130 Ctrl-C.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those that every command has are enough."""
    parser.epilog = EPILOG


def run(arguments: argparse.Namespace) -> int:
    """Ask, and save; the exit code."""
    try:
        overrides = [parse_override(text) for text in arguments.overrides]
        home = resolve_codex_home(os.environ)
        # Before anything is asked that could not be kept.
        is_replaced = has_saved_key(home)
        provider = _configured(home, overrides)
        if provider is not None:
            _print_if_any(_about(provider))
        if is_replaced:
            print("There is a saved key, which the new one replaces.")
        key = _asked()
        if not is_key(key):
            return _complain(NO_KEY if key else "no key was given")
        file = save_key(home, key)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return _complain("interrupted", code=EXIT_INTERRUPTED)
    except UnicodeDecodeError:
        # What it says of the bytes is part of what was typed.
        return _complain(NO_KEY)
    except ConfigError as exc:
        return _complain(exc.message)
    except OSError as exc:
        return _complain(f"auth.json cannot be written: {exc.strerror}", code=EXIT_NOT_SAVED)
    print(f"The key is saved in {file}.")
    variable = provider.env_key if provider and provider.requires_openai_auth else OPENAI_KEY
    if variable and os.environ.get(variable, "").strip():
        print(f"The environment variable {variable} is set, and counts before it.")
    return 0


def _configured(home: Path, overrides: Sequence[Override]) -> Provider | None:
    """The provider that a session here would use; None if that cannot be told."""
    try:
        config = load_config(
            codex_home=home,
            environ=os.environ,
            cwd=Path.cwd(),
            cli_overrides=overrides,
            overrides=SessionOverrides(),
        )
    except (ConfigError, OSError) as exc:
        # A key can be kept all the same.
        print(f"codex-rpc: {exc}", file=sys.stderr)
        return None
    return config.provider


def _about(provider: Provider) -> str:
    """What is to be said where `provider` does not use the key that is asked for."""
    if provider.requires_openai_auth:
        return ""
    configured = f'The configured provider is {provider.name} (model_provider = "{provider.id}")'
    variable = key_variable(provider)
    if variable is None:
        return f"{configured}, which needs no key from here. This one is kept for OpenAI."
    return (
        f"{configured}, which takes its key from the environment variable {variable}. "
        "This one is kept for OpenAI."
    )


def _asked() -> str:
    """What was given; "" if nothing was."""
    if sys.stdin is None:
        return ""
    if not sys.stdin.isatty():
        return sys.stdin.readline(2 * MAX_KEY_CHARS).strip()
    print("A key can be made at https://platform.openai.com/api-keys.", flush=True)
    try:
        return getpass.getpass("OpenAI API key (it is not shown): ").strip()
    except EOFError:
        return ""


def _print_if_any(text: str) -> None:
    if text:
        print(text)


def _complain(text: str, *, code: int = EXIT_USAGE) -> int:
    print(f"codex-rpc: {text}; nothing was saved", file=sys.stderr)
    return code
