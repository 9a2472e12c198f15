"""What holds commands here, as `doctor` tells it.

Owns the checks of the machine's means and of the configured policy, and what would help. The
means themselves are the sandbox's affair.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from codex_rpc.cli.findings import Finding, Installation, counted
from codex_rpc.cli.terminal import home_relative
from codex_rpc.config.settings import Config
from codex_rpc.sandbox.confinement import Confinement, Sandbox
from codex_rpc.sandbox.means import probe

INSTALL = "install bubblewrap with your system's packages, or pip install 'codex-rpc[bwrap]'"


def sandbox(installation: Installation) -> Finding:
    """What can confine commands on this machine."""
    config = installation.config
    wanted = config.sandbox_means if config is not None else "auto"
    found = probe()
    means = found.choose(wanted)
    data = {"means": means, "landlock_abi": found.landlock_abi, "seccomp": found.seccomp}
    details = [problem for name, problem in found.problems.items() if name != means]
    if means != "bubblewrap" and wanted != "landlock" and sys.platform == "linux":
        details += [*_namespace_limits(), INSTALL]
    match means:
        case "bubblewrap":
            assert found.bubblewrap is not None, "it was chosen"
            text = f"bubblewrap {found.bubblewrap.version} ({found.bubblewrap.path})"
        case "landlock":
            text = f"Landlock (version {found.landlock_abi})"
            details.append("Landlock enforces read-only in full, and workspace-write in part")
        case "seatbelt":
            text = "sandbox-exec"
        case _:
            text = "nothing here confines commands"
    if wanted == means:
        text += ", as sandbox_means says"
    is_full = means == "seatbelt" or (means == "bubblewrap" and found.seccomp)
    if means != "seatbelt" and means != "none" and not found.seccomp:
        details.append("system calls cannot be filtered on this kind of machine")
    return Finding("sandbox", "ok" if is_full else "warning", text, details, data)


def _namespace_limits() -> list[str]:
    """Settings of the kernel that keep bubblewrap from working."""
    shut = {
        "/proc/sys/kernel/unprivileged_userns_clone": "0",
        "/proc/sys/user/max_user_namespaces": "0",
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1",
    }
    return [
        f"{path} is {value}, which keeps users from making namespaces"
        for path, value in shut.items()
        if _content(Path(path)) == value
    ]


def _content(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


async def policy(installation: Installation) -> Finding | None:
    """What the configured policy comes to here."""
    config = installation.config
    if config is None:
        return None
    policy, approval = config.sandbox_policy, config.approval_policy
    network = "network" if policy.has_network else "no network"
    data: dict[str, Any] = {"sandbox_mode": policy.mode, "approval_policy": approval}
    data["network"] = policy.has_network
    if policy.mode == "danger-full-access":
        text = f"{policy.mode}, asks {approval}: nothing confines commands"
        return Finding("policy", "warning", text, data=data)
    confinement = await _confinement(config, installation.environ)
    data["gaps"] = list(confinement.gaps)
    details = [f"not enforced: {gap}" for gap in confinement.gaps]
    if details:
        nobody = approval == "never"
        details.append(
            "so commands are refused" if nobody else "so you are asked before each command"
        )
    text = f"{policy.mode}, {network}, asks {approval}"
    details += [f"may also write {root}" for root in policy.writable_roots]
    return Finding("policy", "warning" if confinement.gaps else "ok", text, details, data)


async def _confinement(config: Config, environ: Mapping[str, str]) -> Confinement:
    sandbox = Sandbox(config, environ=environ)
    try:
        return await sandbox.confine(config.sandbox_policy, config.cwd)
    finally:
        await sandbox.aclose()


def deny_read(installation: Installation) -> Finding | None:
    """Which files nobody may read."""
    config = installation.config
    if config is None:
        return None
    secret = home_relative(str(config.codex_home / "auth.json"))
    count = len(config.deny_read)
    text = f"{counted(count, 'pattern')} and {secret}" if count else secret
    data = {"patterns": list(config.deny_read)}
    details = list(config.deny_read)
    if config.sandbox_policy.mode != "danger-full-access":
        return Finding("deny_read", "ok", text, details, data)
    details.append("under danger-full-access commands may read them all the same")
    return Finding("deny_read", "warning" if count else "ok", text, details, data)
