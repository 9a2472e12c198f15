"""Sessions' sandboxes for tests, and commands run in them."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import define
from launch_support import Outcome, environment, outcome_of

from codex_rpc.config.settings import Config, Provider
from codex_rpc.protocol.policy import SandboxMode, SandboxPolicy
from codex_rpc.sandbox.confinement import Confinement, Sandbox


@define
class Place:
    """A workspace next to other folders, and a session's sandbox."""

    workspace: Path
    home: Path
    outside: Path
    sandbox: Sandbox

    async def confine(
        self,
        mode: SandboxMode = "workspace-write",
        *,
        cwd: Path | None = None,
        roots: Sequence[Path | str] = (),
        network: bool = False,
    ) -> Confinement:
        policy = SandboxPolicy(mode, tuple(str(root) for root in roots), network)
        return await self.sandbox.confine(policy, cwd or self.workspace)

    async def run(
        self,
        confinement: Confinement,
        script: str,
        *,
        cwd: Path | None = None,
        python: bool = False,
        **more: str,
    ) -> Outcome:
        argv = [sys.executable, "-I", "-S", "-c", script] if python else ["bash", "-c", script]
        with confinement.launched(argv, environment(**more)) as launch:
            return await outcome_of(launch, cwd or self.workspace)

    async def bash(
        self, script: str, mode: SandboxMode = "workspace-write", **more: Any
    ) -> Outcome:
        """`script` in a fresh confinement that leaves nothing open."""
        confinement = await self.confine(mode, **more)
        assert confinement.gaps == ()
        return await self.run(confinement, script, cwd=more.get("cwd"))


@asynccontextmanager
async def place(folder: Path, **settings: Any) -> AsyncIterator[Place]:
    """A new place in `folder`, whose scratch folder is gone at the end."""
    names = ("workspace", "home", "outside", "temporary")
    workspace, home, outside, temporary = (folder / name for name in names)
    for path in (workspace, home, outside, temporary):
        path.mkdir(exist_ok=True)
    home = settings.pop("codex_home", home)
    config = Config(
        codex_home=home,
        cwd=workspace,
        model="m",
        provider=Provider(id="fake", name="Fake"),
        **settings,
    )
    sandbox = Sandbox(config, environ={"TMPDIR": str(temporary)})
    try:
        yield Place(workspace, home, outside, sandbox)
    finally:
        await sandbox.aclose()
        assert os.listdir(temporary) == []
