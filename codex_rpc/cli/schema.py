"""`codex-rpc schema`: the JSON Schema of the protocol, for those who generate types."""

from __future__ import annotations

import argparse
import json

from codex_rpc import __version__
from codex_rpc.cli.process import as_far_as_it_is_read
from codex_rpc.protocol.schema import protocol_schema


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(_arguments: argparse.Namespace) -> int:
    """Print it."""
    with as_far_as_it_is_read():
        print(json.dumps(protocol_schema(__version__), indent=2))
    return 0
