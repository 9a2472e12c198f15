"""What `doctor` tells of CODEX_HOME and the sessions in it: quickly, without reading them through.

The newest sessions are looked at for as long as people wait gladly; all of them, and every line,
are the affair of `codex-rpc sessions doctor`. Nothing that is there is changed.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections import Counter
from pathlib import Path

import anyio
from anyio import from_thread, to_thread

from codex_rpc.cli.findings import Finding, Installation, counted
from codex_rpc.cli.quantities import size
from codex_rpc.cli.terminal import home_relative
from codex_rpc.rollout.catalog import Catalog, held_elsewhere
from codex_rpc.rollout.doctor import why_no_locks
from codex_rpc.rollout.paths import ARCHIVED, SESSIONS

PATIENCE_S = 1.0
"""How long sessions are looked at."""

FEW_BYTES = 256 << 20
"""With less left on the disk, a few long sessions fill it."""

MORE = "codex-rpc sessions doctor looks at every line of all of them"


def home(installation: Installation) -> Finding | None:
    """Whether there is a place for sessions, and who can read the key in it."""
    folder = installation.codex_home
    if folder is None:
        return None
    data = {"path": str(folder), "exists": folder.exists()}
    shown = home_relative(str(folder))
    existing = next(f for f in (folder / SESSIONS, folder, *folder.parents) if f.exists())
    if (problem := _why_not_writable(existing)) is not None:
        text = f"{shown}: sessions cannot be saved, because {existing} cannot be written{problem}"
        return Finding("home", "error", text, data=data)
    if os.name == "posix" and (warning := _auth_problem(folder / "auth.json")):
        return Finding("home", "warning", shown, [warning], data)
    made = "" if folder.exists() else ", to be made with the first session"
    return Finding("home", "ok", shown + made, data=data)


def _why_not_writable(folder: Path) -> str | None:
    """None: files can be made there, as far as can be told without making one."""
    if not folder.is_dir():
        return ": it is no folder"
    return None if os.access(folder, os.W_OK | os.X_OK) else ""


def _auth_problem(file: Path) -> str | None:
    try:
        mode = file.stat().st_mode
    except OSError:
        return None
    if stat.S_IMODE(mode) & (stat.S_IRWXG | stat.S_IRWXO):
        return f"others may use {file}, which can hold a key: chmod 600 {file}"
    return None


class _Look:
    """What is known so far of the sessions below one CODEX_HOME."""

    def __init__(self, codex_home: Path) -> None:
        self._home = codex_home
        self.total = 0
        self.archived = 0
        self.unreadable_folders = 0
        self.live = 0
        self.statuses: Counter[str] = Counter()

    @property
    def seen(self) -> int:
        """How many have been looked at."""
        return sum(self.statuses.values())

    def run(self) -> None:
        """Look at them, the last changed first, until cancelled."""
        live = held_elsewhere(self._home)
        self.live = len(live)
        catalogs = [
            Catalog(self._home / folder, from_thread.check_cancelled)
            for folder in (SESSIONS, ARCHIVED)
        ]
        self.archived = len(catalogs[1].found.files)
        self.total = sum(len(catalog.found.files) for catalog in catalogs)
        self.unreadable_folders = sum(c.found.unreadable_folders for c in catalogs)
        for catalog in catalogs:
            for place in catalog.found.files:
                from_thread.check_cancelled()
                row = catalog.row(place)
                if row.reason is not None:
                    self.statuses["unreadable"] += 1
                elif row.is_running and row.session_id not in live:
                    self.statuses["interrupted"] += 1
                else:
                    self.statuses["clean"] += 1


async def sessions(installation: Installation) -> Finding | None:
    """How many there are, in which state, and whether more can be kept."""
    codex_home = installation.codex_home
    if codex_home is None or not codex_home.is_dir():
        return None
    look = _Look(codex_home)
    with anyio.move_on_after(PATIENCE_S):
        await to_thread.run_sync(look.run)
    locks = await to_thread.run_sync(why_no_locks, codex_home / SESSIONS)
    free = shutil.disk_usage(codex_home).free
    data = {
        "count": look.total,
        "archived": look.archived,
        "seen": look.seen,
        "statuses": dict(look.statuses),
        "live": look.live,
        "unreadable_folders": look.unreadable_folders,
        "locks": locks,
        "free_bytes": free,
    }
    text = _summary(look) + f"; {size(free)} free"
    problems = []
    if look.statuses["unreadable"]:
        problems.append(f"{counted(look.statuses['unreadable'], 'file')} cannot be read")
    if look.unreadable_folders:
        problems.append(f"{counted(look.unreadable_folders, 'folder')} cannot be read")
    if problems:
        problems.append(MORE)
    if free < FEW_BYTES:
        problems.append("the disk is nearly full: sessions stop when nothing more can be saved")
    if locks is not None:
        said = f"file locks do not work here ({locks})"
        problems.append(f"{said}: sessions can be read and forked, not continued")
        return Finding("sessions", "error", text, problems, data, is_fatal=False)
    return Finding("sessions", "warning" if problems else "ok", text, problems, data)


def _summary(look: _Look) -> str:
    if not look.total:
        return "none yet"
    parts = [counted(look.total, "session")]
    if look.archived:
        parts.append(f"{look.archived:,} archived")
    states = [f"{number:,} {status}" for status, number in sorted(look.statuses.items())]
    if look.seen < look.total:
        states.append(f"{look.total - look.seen:,} not looked at")
    if look.live:
        states.append(f"{look.live:,} open now")
    return f"{', '.join(parts)}: {', '.join(states)}"
