"""`codex-rpc login`: an API key of OpenAI, asked for and kept in auth.json."""

from __future__ import annotations

import argparse
import getpass
import os
import sys

from codex_rpc.config.builtin_providers import OPENAI_KEY
from codex_rpc.config.credentials import is_key, save_key
from codex_rpc.config.loader import resolve_codex_home
from codex_rpc.protocol.errors import ConfigError

EXIT_USAGE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those that every command has are enough."""
    parser.epilog = (
        "Asks for the key without showing it, or reads it from standard input. It is kept in "
        "$CODEX_HOME/auth.json, where the Codex CLI looks for it too. Other providers have "
        "theirs in environment variables: `codex-rpc doctor` says which."
    )


def run(_arguments: argparse.Namespace) -> int:
    """Ask, and save; the exit code."""
    try:
        key = _asked().strip()
        if not is_key(key):
            print("codex-rpc: that is no API key; nothing was saved", file=sys.stderr)
            return EXIT_USAGE
        file = save_key(resolve_codex_home(os.environ), key)
    except (EOFError, KeyboardInterrupt):
        print("\ncodex-rpc: nothing was saved", file=sys.stderr)
        return EXIT_USAGE
    except (ConfigError, OSError) as exc:
        print(f"codex-rpc: {exc}", file=sys.stderr)
        return EXIT_USAGE
    print(f"The key is saved in {file}.")
    if os.environ.get(OPENAI_KEY, "").strip():
        print(f"The environment variable {OPENAI_KEY} is set, and counts before it.")
    return 0


def _asked() -> str:
    if sys.stdin is not None and sys.stdin.isatty():
        print("A key can be made at https://platform.openai.com/api-keys.")
        return getpass.getpass("OpenAI API key (it is not shown): ")
    return sys.stdin.readline() if sys.stdin is not None else ""
