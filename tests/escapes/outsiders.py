"""The outsiders by the names under which rows need them.

Each is started before the attempt, tells the command what it has to know through its `env`, says
afterwards what happened to it, and is ended.
"""

from __future__ import annotations

from collections.abc import Callable

from . import belongings, host, peers
from .outsider import Outsider
from .stage import Stage

OUTSIDERS: dict[str, Callable[[Stage], Outsider]] = {
    "victim": belongings.Victim,
    "network": peers.Network,
    "sockets": peers.Sockets,
    "giver": peers.Giver,
    "caller": peers.Caller,
    "terminal": peers.Terminal,
    "open file": belongings.OpenFile,
    "fifo": peers.Fifo,
    "shared memory": belongings.SharedMemory,
    "queue": peers.Queue,
    "key": belongings.Key,
    "nis name": lambda stage: host.Setting(stage, host.NIS_NAME),
    "alias": lambda stage: host.Setting(stage, host.ALIAS),
    "control group": host.ControlGroup,
    "mounts": host.Mounts,
    "handle": host.Handle,
    "disk": host.Disk,
    "helper": host.Helper,
    "leftovers": belongings.Leftovers,
    "device": host.Device,
}
