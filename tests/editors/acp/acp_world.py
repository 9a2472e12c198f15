"""What every foreign client is given: a home with a scripted model, and npm packages in a cache."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from support.client import COMMAND, environment

PACKAGES = {"acpx": "0.1.15", "@agentclientprotocol/sdk": "2.4.0"}

NODE_VARIABLES = ("npm_config_registry", "NPM_CONFIG_REGISTRY", "NPM_CONFIG_USERCONFIG")


def scripted(home: Path, *responses: dict[str, Any], **settings: str) -> None:
    """A model that gives `responses`, in the home; everything is asked about."""
    folder = home / ".codex"
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "script.json"
    script.write_text(json.dumps({"response": list(responses), "loop": True}))
    values = {"approval_policy": "untrusted", "sandbox_mode": "workspace-write", **settings}
    lines = [f'{key} = "{value}"' for key, value in values.items()]
    (folder / "config.toml").write_text(
        "\n".join(
            [
                'model_provider = "scripted"',
                *lines,
                "[model_providers.scripted]",
                f'script = "{script}"',
            ]
        )
    )


def environ(home: Path) -> dict[str, str]:
    """For a client, which hands it on to the agent."""
    kept = {name: os.environ[name] for name in NODE_VARIABLES if name in os.environ}
    return environment(home, **kept)


def agent_command() -> list[str]:
    """How a client starts the agent."""
    return [*COMMAND, "acp"]


def npm_packages() -> Path:
    """The folder with `node_modules`, made once; RuntimeError says why there is none."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise RuntimeError("needs Node.js and npm")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    names = "-".join(f"{name.replace('/', '_')}-{v}" for name, v in PACKAGES.items())
    folder = cache / "codex-rpc-tests" / names
    done = folder / "complete"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(
            json.dumps({"private": True, "dependencies": PACKAGES})
        )
        installed = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--silent"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if installed.returncode != 0:
            reason = (installed.stderr or installed.stdout).strip().splitlines()[-1:]
            raise RuntimeError(f"npm cannot install {', '.join(PACKAGES)}: {''.join(reason)}")
        done.write_text("")
    return folder
