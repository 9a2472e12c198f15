"""Attempts to read what is denied: `.env` files, one file, a folder, a linked folder, auth.json."""

from __future__ import annotations

import os
from pathlib import Path

from .attempt import Attempt, Mode, act, shell
from .host import disk
from .stage import Stage


def _hard_link(stage: Stage) -> None:
    (stage.work / "kept").hardlink_to(stage.work / ".env")


def _disk_is_readable() -> str | None:
    if os.geteuid() != 0:
        return "only root may"
    found = disk()
    if found is None:
        return "the files are on no disk of this machine"
    try:
        os.close(os.open(f"/dev/{found[1]}", os.O_RDONLY))
    except OSError as exc:
        return f"nobody may open the disk here: {exc.strerror}"
    return None


def _has_handles() -> str | None:
    if os.geteuid() != 0:
        return "only root may"
    kind = next((line.split()[2] for line in _mounts() if line.split()[1] == "/"), "unknown")
    return None if kind in ("ext4", "xfs", "btrfs", "tmpfs") else f"{kind} may have no handles"


def _mounts() -> list[str]:
    return Path("/proc/self/mounts").read_text().splitlines()


READ_ONLY: frozenset[Mode] = frozenset({"read-only"})

ROWS = (
    Attempt(
        name="read a file that is not denied",
        argv=shell('cat "$OUTSIDE/target" src/deep/file.txt && echo REACHED'),
        allowed=frozenset({"read-only", "workspace-write", "network"}),
    ),
    Attempt(name="read it", argv=shell("cat .env"), gap="denied"),
    Attempt(
        name="read it in another root",
        argv=shell('cat "$ROOT2/.env"'),
        gap="denied",
        allowed=READ_ONLY,
    ),
    Attempt(
        name="read one that is named in full", argv=shell("cat private/plans.txt"), gap="denied"
    ),
    Attempt(
        name="read one of a denied folder",
        argv=shell('cat "$BASE/secrets/token" "$BASE/secrets/deep/more"'),
    ),
    Attempt(name="read by the name behind a link", argv=shell('cat "$BASE/vault/plain"')),
    Attempt(name="read by the name of a link", argv=shell('cat "$BASE/alias/plain"')),
    Attempt(name="read by a glob", argv=shell('cat .e* private/* "$BASE"/secrets/*'), gap="denied"),
    Attempt(
        name="search everything",
        argv=shell('grep -r secret- . "$BASE/secrets" "$BASE/vault" "$HOME"'),
        gap="denied",
    ),
    Attempt(
        name="read through `..`",
        argv=shell("cat src/../../secrets/token src/.././.env"),
        gap="denied",
    ),
    Attempt(
        name="read through a link made inside",
        argv=shell('ln -s "$BASE/secrets/token" l; cat l; ln -s .env m; cat m'),
        gap="denied",
    ),
    Attempt(name="read through a link that was there before", argv=shell("cat link-secret")),
    Attempt(
        name="read through a hard link",
        argv=shell('ln .env l; cat l; ln "$BASE/secrets/token" m; cat m'),
        gap="denied",
    ),
    Attempt(
        name="read through a hard link that was there before",
        argv=shell("cat kept"),
        arrange=_hard_link,
        limit="files are denied by their names",
    ),
    Attempt(
        name="by a descriptor in /proc",
        argv=shell("exec 3< .env; cat <&3; cat /proc/self/fd/3; cat /proc/self/cwd/.env"),
        gap="denied",
    ),
    Attempt(
        name="read by /proc/self/root",
        argv=shell('cat "/proc/self/root$WORK/.env" "/proc/self/root$BASE/secrets/token"'),
        gap="denied",
    ),
    Attempt(
        name="read by the root of a process outside",
        argv=shell('cat "/proc/$VICTIM/root$BASE/secrets/token"'),
        needs=("victim",),
    ),
    Attempt(
        name="read by a descriptor of a process outside",
        argv=act("processes", "read_descriptor"),
        needs=("victim",),
    ),
    Attempt(
        name="copy the folder around it, read the copy",
        argv=shell(
            'cp -r "$WORK" "${TMPDIR:-/tmp}/c"; cp -r . ../outside/c; cat "${TMPDIR:-/tmp}"/c/.env'
            '; rm -rf "${TMPDIR:-/tmp}/c"'
        ),
        gap="denied",
    ),
    Attempt(
        name="pack the folder around it",
        argv=shell('tar -cf - -C "$BASE" work secrets'),
        gap="denied",
    ),
    Attempt(
        name="rename it, then read",
        argv=shell("mv .env plain; cat plain"),
        then=shell("cat plain"),
        gap="denied",
    ),
    Attempt(
        name="rename the folder above it, then read",
        argv=shell("mv private public; cat public/*"),
        then=shell("cat public/*"),
        gap="denied",
    ),
    Attempt(
        name="exchange its folder with another, then read",
        argv=shell("mv private p; mv src private; mv p src"),
        then=shell("cat src/*"),
        gap="denied",
    ),
    Attempt(
        name="by git",
        argv=shell(
            "git --no-pager diff --no-index /dev/null .env; "
            "git --no-pager grep --no-index secret-; git hash-object --stdin < .env; "
            "git -c alias.x='!cat .env' x"
        ),
        gap="denied",
    ),
    Attempt(
        name="include it",
        argv=shell(". ./.env; sh .env; python3 .env; git config -f .env -l; wc -c < .env | cat"),
        gap="denied",
    ),
    Attempt(name="read auth.json", argv=shell('cat "$STATE/auth.json"')),
    Attempt(
        name="read auth.json by another name",
        argv=shell(
            'cat "/proc/self/root$STATE/auth.json" "$WORK/../home/.codex/auth.json"; '
            'ln "$STATE/auth.json" a; cat a; grep -r secret- "$STATE"'
        ),
    ),
    Attempt(
        name="read auth.json of a CODEX_HOME in a root",
        argv=shell('cat "$STATE/auth.json"'),
        arrange=lambda stage: stage.move_state(stage.work / "sub" / "state"),
        gap="denied",
    ),
    Attempt(
        name="rename the folder above auth.json, then read",
        argv=shell("mv sub old; cat old/state/auth.json"),
        then=shell("cat old/state/auth.json"),
        arrange=lambda stage: stage.move_state(stage.work / "sub" / "state"),
        gap="denied",
    ),
    Attempt(
        name="open it by its number",
        argv=act("files", "handle"),
        needs=("handle",),
        impossible=_has_handles,
        gap="denied",
    ),
    Attempt(
        name="read the disk",
        argv=act("files", "disk"),
        needs=("disk",),
        impossible=_disk_is_readable,
    ),
)
