"""`codex-rpc logout`: the API key in auth.json is forgotten."""

from __future__ import annotations

import argparse
import os
import signal
import sys

from codex_rpc.config.builtin_providers import OPENAI_KEY
from codex_rpc.config.credentials import forget_key
from codex_rpc.config.loader import resolve_codex_home
from codex_rpc.protocol.errors import ConfigError

EXIT_NOT_FORGOTTEN = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT

EPILOG = """\
Whatever else is in $CODEX_HOME/auth.json stays there. Sessions that are open keep the key until
they are closed.

exit code: 0 there is no saved key, 1 it could not be taken out, 2 the command line or the file is
wrong, 130 Ctrl-C.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those that every command has are enough."""
    parser.epilog = EPILOG


def run(_arguments: argparse.Namespace) -> int:
    """Forget the key; the exit code."""
    try:
        was_there = forget_key(resolve_codex_home(os.environ))
    except ConfigError as exc:
        return _complain(exc.message, EXIT_USAGE)
    except OSError as exc:
        return _complain(f"auth.json cannot be written: {exc.strerror}", EXIT_NOT_FORGOTTEN)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    print("The saved key is forgotten." if was_there else "There was no saved key.")
    if os.environ.get(OPENAI_KEY, "").strip():
        print(f"The environment variable {OPENAI_KEY} still gives one.")
    return 0


def _complain(text: str, code: int) -> int:
    print(f"codex-rpc: {text}; nothing was changed", file=sys.stderr)
    return code
