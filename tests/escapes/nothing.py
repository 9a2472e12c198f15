"""Run where bubblewrap is not to be had: prints what is then not enforced, by mode."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import anyio

from codex_rpc.config.settings import Config, Provider
from codex_rpc.sandbox.confinement import Sandbox

from .attempt import MODES
from .runner import policy_of, temporary_folder
from .stage import Stage


async def main() -> None:
    """Ask for each mode."""
    with temporary_folder() as folder:
        base = Path(folder, "stage")
        base.mkdir()
        stage = Stage(base)
        config = Config(
            codex_home=stage.codex_home,
            cwd=stage.work,
            model="none",
            provider=Provider(id="none", name="none"),
            sandbox_means="bubblewrap",
            deny_read=stage.denied(),
        )
        sandbox = Sandbox(config, environ=stage.env)
        found = {}
        for mode in MODES:
            confinement = await sandbox.confine(policy_of(stage, mode), stage.work)
            assert confinement.means == "none", confinement
            found[mode] = confinement.gaps
        await sandbox.aclose()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    anyio.run(main)
