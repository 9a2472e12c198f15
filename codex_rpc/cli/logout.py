"""`codex-rpc logout`: the API key in auth.json is forgotten."""

from __future__ import annotations

import argparse
import os
import sys

from codex_rpc.config.builtin_providers import OPENAI_KEY
from codex_rpc.config.credentials import forget_key
from codex_rpc.config.loader import resolve_codex_home
from codex_rpc.protocol.errors import ConfigError

EXIT_USAGE = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those that every command has are enough."""
    parser.epilog = "Whatever else is in $CODEX_HOME/auth.json stays there."


def run(_arguments: argparse.Namespace) -> int:
    """Forget the key; the exit code."""
    try:
        was_there = forget_key(resolve_codex_home(os.environ))
    except (ConfigError, OSError) as exc:
        print(f"codex-rpc: {exc}", file=sys.stderr)
        return EXIT_USAGE
    print("The saved key is forgotten." if was_there else "There was no saved key.")
    if os.environ.get(OPENAI_KEY, "").strip():
        print(f"The environment variable {OPENAI_KEY} still gives one.")
    return 0
