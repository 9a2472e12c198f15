"""How each kind of program is spoken to, in one shape for all."""

from __future__ import annotations

from .acp import AcpDriver
from .app_server import AppServerDriver
from .base import Answer, Driver, Listed, Saved, Turn, Unable
from .native import NativeDriver
from .proto import ProtoDriver

__all__ = [
    "AcpDriver",
    "Answer",
    "AppServerDriver",
    "Driver",
    "Listed",
    "NativeDriver",
    "ProtoDriver",
    "Saved",
    "Turn",
    "Unable",
]
