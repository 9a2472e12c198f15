"""Attempts to create, change or remove something outside the workspace."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from .attempt import WRITING, Attempt, act, shell
from .stage import Stage

ROOT = os.geteuid() == 0


def _needs_root() -> str | None:
    return None if ROOT else "only root may"


def _needs_attributes() -> str | None:
    with tempfile.NamedTemporaryFile() as file:
        try:
            os.setxattr(file.name, "user.escape", b"1")
        except OSError:
            return "the file system keeps no attributes"
    return None


def _hard_link(stage: Stage) -> None:
    (stage.work / "linked").hardlink_to(stage.outside / "target")


ROWS = (
    # Where the policy lets it: these succeed, so that the others do not hold for a trivial reason.
    Attempt(
        name="write in the workspace",
        argv=shell('echo x > "$WORK/new" && echo REACHED'),
        allowed=WRITING,
    ),
    Attempt(
        name="write in another root",
        argv=shell('echo x > "$ROOT2/new" && echo REACHED'),
        allowed=WRITING,
    ),
    Attempt(
        name="rename a folder in the workspace",
        argv=shell('mv "$WORK/src" "$WORK/source" && echo REACHED'),
        allowed=WRITING,
    ),
    Attempt(
        name="create a file by its absolute path",
        argv=shell('echo x > "$OUTSIDE/new"'),
    ),
    Attempt(
        name="append to a file by its absolute path",
        argv=shell('echo x >> "$OUTSIDE/target"'),
    ),
    Attempt(name="through `..`", argv=shell("echo x > ../outside/new")),
    Attempt(
        name="through `..`, by a detour",
        argv=shell("cd src/deep; echo x > .././../..//outside/folder/../new"),
    ),
    Attempt(
        name="a name that begins like the workspace's",
        argv=shell('mkdir "$WORK-2"; echo x > "$WORK-2/new"'),
    ),
    Attempt(
        name="through a link to a folder, made inside",
        argv=shell('ln -s "$OUTSIDE" "$WORK/l"; echo x > "$WORK/l/new"'),
    ),
    Attempt(
        name="through a link to a file, made inside",
        argv=shell('ln -s "$OUTSIDE/target" "$WORK/l"; echo x >> "$WORK/l"'),
    ),
    Attempt(
        name="through a link to a folder that was there before",
        argv=shell("echo x > link-out/new"),
    ),
    Attempt(
        name="through a link to a file that was there before",
        argv=shell("echo x >> link-target"),
    ),
    Attempt(
        name="through a link to nothing that was there before",
        argv=shell("echo x > dangling"),
    ),
    Attempt(
        name="turn a folder into a link, then write",
        argv=shell("mv src gone; ln -s ../outside src"),
        then=shell("echo x > src/new"),
    ),
    Attempt(
        name="turn a writable root into a link, then write",
        argv=shell('rm -rf "$ROOT2"; ln -s outside "$ROOT2"; mv "$ROOT2" "$BASE/moved"'),
        then=shell('echo x > "$ROOT2/new"; echo x > "$OUTSIDE/new"'),
    ),
    Attempt(
        name="hard link to a file outside, then write",
        argv=shell('ln "$OUTSIDE/target" "$WORK/l"; echo x >> "$WORK/l"'),
    ),
    Attempt(
        name="hard link out of the workspace",
        argv=shell('ln "$WORK/src/deep/file.txt" "$OUTSIDE/l"'),
    ),
    Attempt(
        name="write to a hard link that was there before",
        argv=shell("echo x >> linked"),
        arrange=_hard_link,
        limit="a file with two names is in both places",
        limited_in=WRITING,
    ),
    Attempt(
        name="rename out of the workspace",
        argv=shell('echo x > "$WORK/f"; mv "$WORK/f" "$OUTSIDE/f"'),
    ),
    Attempt(
        name="rename over a file outside",
        argv=shell('echo x > "$WORK/f"; mv -f "$WORK/f" "$OUTSIDE/target"'),
    ),
    Attempt(
        name="rename into the workspace",
        argv=shell('mv "$OUTSIDE/target" "$WORK/f"'),
    ),
    Attempt(name="exchange with a file outside", argv=act("files", "exchange")),
    Attempt(name="rename the workspace", argv=shell('mv "$WORK" "$BASE/moved"')),
    Attempt(name="truncate", argv=act("files", "truncate")),
    Attempt(name="truncate by opening for reading", argv=act("files", "truncate_by_opening")),
    Attempt(name="remove a file", argv=shell('rm -f "$OUTSIDE/target"')),
    Attempt(name="make a folder", argv=shell('mkdir "$OUTSIDE/new"')),
    Attempt(name="remove a folder", argv=shell('rmdir "$OUTSIDE/empty"')),
    Attempt(name="make a link", argv=shell('ln -s target "$OUTSIDE/new"')),
    Attempt(name="make a pipe and a device", argv=act("files", "nodes")),
    Attempt(name="give a nameless file a name outside", argv=act("files", "nameless")),
    Attempt(name="change the mode", argv=shell('chmod 777 "$OUTSIDE/target"'), gap="metadata"),
    Attempt(
        name="change the mode through a descriptor",
        argv=act("files", "chmod_descriptor"),
        gap="metadata",
    ),
    Attempt(
        name="change the owner", argv=act("files", "chown"), gap="metadata", impossible=_needs_root
    ),
    Attempt(
        name="change mode and attributes by newer calls",
        argv=act("files", "newer_calls"),
        gap="metadata",
        control_may_fail="the kernel is older",
    ),
    Attempt(
        name="change the mode of the machine's devices",
        argv=act("files", "chmod_device"),
        needs=("device",),
        gap="metadata",
        impossible=_needs_root,
        exclusive=True,
    ),
    Attempt(name="change the times", argv=act("files", "utime"), gap="metadata"),
    Attempt(
        name="set an attribute",
        argv=act("files", "setxattr"),
        gap="metadata",
        impossible=_needs_attributes,
    ),
    Attempt(
        name="remove an attribute",
        argv=act("files", "removexattr"),
        gap="metadata",
        impossible=_needs_attributes,
    ),
    Attempt(
        name="set a flag (chattr)",
        argv=act("files", "set_flags"),
        gap="metadata",
        control_may_fail="the file system has no flags",
    ),
    Attempt(name="by /proc/self/root", argv=shell('echo x > "/proc/self/root$OUTSIDE/new"')),
    Attempt(name="by /proc/self/cwd", argv=shell("echo x > /proc/self/cwd/../outside/new")),
    Attempt(
        name="by /proc/thread-self/root",
        argv=shell('echo x > "/proc/thread-self/root$OUTSIDE/new"'),
    ),
    Attempt(
        name="by /proc/1/root",
        argv=shell('echo x > "/proc/1/root$OUTSIDE/new"'),
        impossible=lambda: "what runs the machine is left alone",
    ),
    Attempt(
        name="by the root of a process outside",
        argv=shell('echo x > "/proc/$VICTIM/root$OUTSIDE/new"'),
        needs=("victim",),
    ),
    Attempt(
        name="by the folder of a process outside",
        argv=shell('echo x > "/proc/$VICTIM/cwd/new"'),
        needs=("victim",),
    ),
    Attempt(
        name="by a file that a process outside has open",
        argv=act("processes", "open_descriptor"),
        needs=("victim",),
    ),
    Attempt(name="by what the parent process has", argv=act("files", "parents_root")),
    Attempt(name="below a folder's descriptor", argv=act("files", "folder_descriptor")),
    Attempt(name="reopen a file in /proc/self/fd", argv=act("files", "reopen")),
    Attempt(
        name="through an inherited descriptor",
        argv=act("files", "inherited"),
        needs=("open file",),
    ),
    Attempt(name="by a program in memory", argv=act("files", "program_in_memory")),
    Attempt(
        name="by the wrapper's loader (LD_DEBUG_OUTPUT)",
        argv=shell("/bin/true"),
        env={"LD_DEBUG": "files", "LD_DEBUG_OUTPUT": "{OUTSIDE}/trace"},
    ),
    Attempt(
        name="by the wrapper's interpreter (PYTHON…, BASH_ENV)",
        argv=shell("true", "/bin/bash"),
        env={
            "BASH_ENV": "{WORK}/start.sh",
            "ENV": "{WORK}/start.sh",
            "PYTHONPATH": "{WORK}/python",
            "PYTHONINSPECT": "1",
        },
        arrange=lambda stage: _plant(stage),
    ),
    Attempt(
        name="tell a pipe outside something",
        argv=act("files", "fifo"),
        needs=("fifo",),
        limit="bubblewrap does not keep a named pipe from being written to",
    ),
    Attempt(name="in the home folder", argv=shell('echo x >> "$HOME/.bashrc"')),
    Attempt(name="in /tmp", argv=shell('echo x > "/tmp/escape-$TOKEN"')),
    Attempt(name="in /var/tmp", argv=shell('echo x > "/var/tmp/escape-$TOKEN"')),
    Attempt(
        name="in the host's /dev/shm",
        argv=act("files", "shared_memory_file"),
        impossible=lambda: None if Path("/dev/shm").is_dir() else "there is none",
    ),
    Attempt(
        name="in another session's temporary folder",
        argv=shell('echo x > "$OTHER_TMP/new"'),
        needs=("other session",),
    ),
)


def _plant(stage: Stage) -> None:
    """Start-up files that write outside wherever they are run."""
    (stage.work / "start.sh").write_text('echo x > "$OUTSIDE/new"\n')
    (stage.work / "python").mkdir()
    for name in ("sitecustomize.py", "marshal.py", "signal.py", "ctypes.py"):
        (stage.work / "python" / name).write_text(
            f"open({str(stage.outside / 'new')!r}, 'w').write('x')\n"
        )
