"""What holds a command to a policy, on this machine.

Owns the decision which means enforces how much of a policy, and says what it cannot enforce. It
does not know whether anybody agreed to run a command, and starts nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread
from attrs import field

from codex_rpc.config.settings import Config
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.policy import SandboxMeans, SandboxMode, SandboxPolicy
from codex_rpc.sandbox.means import probe
from codex_rpc.sandbox.places import Places
from codex_rpc.sandbox.temporary import Scratch

if TYPE_CHECKING:
    # Not on the start path: these are first needed when a command is.
    from codex_rpc.sandbox.denied import DeniedFiles
    from codex_rpc.sandbox.evidence import Boundaries
    from codex_rpc.sandbox.launch import Launch
    from codex_rpc.sandbox.plan import Start
    from codex_rpc.sandbox.roots import Roots


def _supervised(argv: Sequence[str], env: Mapping[str, str]) -> AbstractContextManager[Launch]:
    from codex_rpc.sandbox.supervisor import supervised

    return nullcontext(supervised(argv, env))


@frozen(kw_only=True)
class Confinement:
    """How commands are held, for one policy and one folder."""

    mode: SandboxMode
    """What the policy says; "danger-full-access" when unconfined."""
    means: SandboxMeans
    """What holds the command; "none": nothing does."""
    network: bool
    gaps: tuple[str, ...] = ()
    """What of the policy is *not* enforced, each a clause for the user; empty: all of it is."""
    start: Start = field(default=_supervised, repr=False)
    boundaries: Boundaries | None = field(default=None, repr=False)

    def launched(
        self, argv: Sequence[str], env: Mapping[str, str]
    ) -> AbstractContextManager[Launch]:
        """`argv` in the form in which it is started; to be run within the context.

        On entry what has to exist for the command is made, at the end it is removed.

        Raises:
            SandboxUnavailable: (on entry) what is needed could not be made, or a writable folder
                has been moved since.
        """
        return self.start(argv, env)

    def denial(self, output: str, cwd: Path) -> str | None:
        """The line of a failed command's `output` that shows that the sandbox stopped it.

        It is cut and cleaned for display. `cwd` is where the command ran. None: no line does, so
        the command failed by itself.
        """
        if self.boundaries is None:
            return None
        from codex_rpc.sandbox import evidence

        return evidence.find(output, str(cwd), self.boundaries)


class Sandbox:
    """What commands of one session are held by, and what its tools may read and edit.

    A folder that was given, be it as `cwd` or as a writable root, is for the session's life the
    one that it was when it was first given: no command can aim it elsewhere.
    """

    def __init__(self, config: Config, *, environ: Mapping[str, str]) -> None:
        """`environ` is the server's own environment."""
        self._config = config
        self._scratch = Scratch(environ)
        self._places = Places()
        # Where relative globs of denied files hold: wherever the session has been.
        self._bases: dict[str, None] = {}
        self._add_bases(str(config.cwd), *config.sandbox_policy.writable_roots)

    async def means(self, policy: SandboxPolicy) -> SandboxMeans:
        """What confines commands under `policy`; "none" where nothing is to, or can."""
        if policy.mode == "danger-full-access":
            return "none"
        found = await anyio.to_thread.run_sync(probe)
        return found.choose(self._config.sandbox_means)

    async def confine(self, policy: SandboxPolicy, cwd: Path) -> Confinement:
        """What enforces `policy` for a session in `cwd`, worked out now.

        The denied files are looked up on disk, which may take seconds. What cannot be enforced is
        in `gaps`, never an exception.
        """
        if policy.mode == "danger-full-access":
            return self.unconfined()
        return await anyio.to_thread.run_sync(self._confine, policy, cwd)

    def unconfined(self) -> Confinement:
        """For what may do anything: it is only watched over, so that nothing of it is left."""
        return Confinement(mode="danger-full-access", means="none", network=True)

    def may_read(self, path: Path, cwd: Path) -> bool:
        """Whether the file at the absolute `path` is not denied, whether or not it exists.

        Links are followed. A glob that begins with `**/` holds everywhere, another relative one
        below `cwd`, the roots, and whatever else was either in this session before.
        """
        return not self._denied(self._config.sandbox_policy, cwd).cover(str(path))

    def write_problem(self, path: Path, policy: SandboxPolicy, cwd: Path) -> str | None:
        """None if a tool may change, make or remove the file at the absolute `path`; else why not.

        Links and `..` are followed. In `danger-full-access` too only what lies in `cwd` and the
        writable roots, and is not protected there, is free.
        """
        if policy.mode == "read-only":
            return "the sandbox is read-only"
        from codex_rpc.sandbox.roots import write_problem

        problem = write_problem(path, self._roots(policy, cwd))
        if problem is None and self._denied(policy, cwd).cover(str(path)):
            return f"`{path}` is denied by sandbox_deny_read"
        return problem

    async def aclose(self) -> None:
        """Remove the scratch folder. Idempotent."""
        await anyio.to_thread.run_sync(self._scratch.remove)

    def _roots(self, policy: SandboxPolicy, cwd: Path) -> Roots:
        from codex_rpc.sandbox.roots import roots_of

        return roots_of(policy, cwd, codex_home=self._config.codex_home, places=self._places)

    def _denied(self, policy: SandboxPolicy, cwd: Path) -> DeniedFiles:
        from codex_rpc.sandbox.denied import DeniedFiles

        self._add_bases(str(cwd), *policy.writable_roots)
        secrets = self._config.codex_home / "auth.json"
        return DeniedFiles((*self._config.deny_read, str(secrets)), tuple(self._bases))

    def _add_bases(self, *folders: str) -> None:
        """Take in `folders`, by their names and by where they were at first."""
        for folder in folders:
            if os.path.isabs(folder) and "\0" not in folder:  # noqa: PTH117
                for base in (folder, self._places.of(folder)):
                    self._bases.setdefault(base)

    def _confine(self, policy: SandboxPolicy, cwd: Path) -> Confinement:
        wanted = self._config.sandbox_means
        found = probe()
        means = found.choose(wanted)
        if means == "none":
            gap = f"nothing on this machine enforces `{policy.mode}` ({found.problem(wanted)})"
            return Confinement(
                mode=policy.mode, means="none", network=policy.has_network, gaps=(gap,)
            )
        from codex_rpc.sandbox.plan import Plan

        plan = Plan(
            policy=policy,
            cwd=str(cwd),
            roots=self._roots(policy, cwd),
            denied=self._denied(policy, cwd).on_disk(),
            scratch=self._scratch,
            has_filter=found.seccomp,
        )
        if means == "bubblewrap":
            assert found.bubblewrap is not None, "it was chosen"
            enforcement = plan.by_bubblewrap(found.bubblewrap)
        elif means == "landlock":
            enforcement = plan.by_landlock()
        else:
            enforcement = plan.by_seatbelt()
        return Confinement(
            mode=policy.mode,
            means=means,
            network=policy.has_network,
            gaps=enforcement.gaps,
            start=enforcement.start,
            boundaries=enforcement.boundaries,
        )
