"""codex-rpc: a coding agent that an editor drives with JSON-RPC over a pipe."""

__version__ = "0.1.0"
