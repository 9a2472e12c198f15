"""Tries rows: without a sandbox as a control, then with each means in each mode.

Owns the verdicts. What counts as having got out is `stage`'s and `outsiders`' to say.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path

import anyio
import anyio.to_thread

from codex_rpc.config.settings import Config, Provider
from codex_rpc.protocol.errors import SandboxUnavailable
from codex_rpc.protocol.policy import SandboxPolicy
from codex_rpc.sandbox.confinement import Confinement, Sandbox
from codex_rpc.sandbox.means import probe
from codex_rpc.sandbox.process import NotStarted, run_process

from .attempt import MODES, WRITING, Attempt, Mode
from .outsider import Outsider
from .outsiders import OUTSIDERS
from .stage import Stage
from .verdicts import MEANS, Findings, Means, Verdict, judged

DEADLINE_S = 10.0


def available() -> dict[Means, str]:
    """The means that do not work on this machine, and why."""
    problems = probe().problems
    return {means: problems[means] for means in ("bubblewrap", "landlock") if means in problems}


class Runner:
    """Runs rows below one temporary folder."""

    def __init__(self, base: Path, *, at_once: int = 4) -> None:
        self._base = base
        self._limiter = anyio.CapacityLimiter(at_once)
        self._exclusive = anyio.Lock()
        self._count = 0
        self._missing = available()

    async def try_row(self, row: Attempt) -> Findings:
        """The control, and every cell of the row."""
        if row.as_nobody and os.geteuid() == 0:
            from . import nobody  # It starts this module anew.

            if nobody.why_impossible() is None:
                async with self._limiter:
                    return await anyio.to_thread.run_sync(nobody.try_row, row)
        cells: dict[tuple[Mode, Means], Verdict] = {}
        places = [(mode, means) for mode in MODES for means in MEANS if means not in self._missing]

        async def try_cell(mode: Mode, means: Means) -> None:
            cells[mode, means] = await self._confined(row, mode, means)

        async with anyio.create_task_group() as group:
            for mode, means in places:
                group.start_soon(try_cell, mode, means)
            control = await self._control(row)
        return Findings(row, control, {place: cells[place] for place in places})

    async def _control(self, row: Attempt) -> Verdict:
        if (why := row.impossible()) is not None:
            return Verdict("impossible", (why,))
        # What the policy lets happen in the workspace proves nothing about the outside, unless
        # that is what the row is about.
        watched: Mode = "read-only" if row.allowed else "workspace-write"
        async with self._surroundings(row) as (stage, outsiders, env):
            output = await anyio.to_thread.run_sync(_run_unconfined, row, stage, outsiders, env)
            evidence = _evidence(stage, outsiders, watched, output)
        if evidence:
            return Verdict("got out", evidence, output=output)
        if row.control_may_fail:
            return Verdict("impossible", (row.control_may_fail,), output=output)
        return Verdict("BLOCKED", ("the attempt itself does not work",), output=output)

    async def _confined(self, row: Attempt, mode: Mode, means: Means) -> Verdict:
        if means == "none":
            gaps = await anyio.to_thread.run_sync(gaps_without_means)
            return Verdict("asked" if gaps[mode] else "ESCAPED", gaps=tuple(gaps[mode]))
        async with self._surroundings(row) as (stage, outsiders, env):
            async with _sandbox(stage, means) as sandbox:
                gaps, output = await _run_confined(row, sandbox, stage, mode, env)
            evidence = _evidence(stage, outsiders, mode, output)
        word = judged(row, mode, evidence, output, gaps)
        if gaps:
            return Verdict("asked", evidence, tuple(gaps), after_yes=word, output=output)
        return Verdict(word, evidence, output=output)

    @asynccontextmanager
    async def _surroundings(
        self, row: Attempt
    ) -> AsyncIterator[tuple[Stage, list[Outsider], dict[str, str]]]:
        async with AsyncExitStack() as stack:
            if row.exclusive:
                await stack.enter_async_context(self._exclusive)
            await stack.enter_async_context(self._limiter)
            self._count += 1
            base = self._base / f"{self._count}"
            stage, outsiders, env = stack.enter_context(_staged(row, base))
            if "other session" in row.needs:
                env["OTHER_TMP"] = await stack.enter_async_context(_other_session(stage))
            stage.look()
            yield stage, outsiders, env


@contextmanager
def _staged(row: Attempt, base: Path) -> Iterator[tuple[Stage, list[Outsider], dict[str, str]]]:
    base.mkdir()
    stage = Stage(base)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, base)
        stack.callback(stage.clear)
        if row.arrange is not None:
            row.arrange(stage)
        outsiders = [
            stack.enter_context(closing(OUTSIDERS[name](stage)))
            for name in row.needs
            if name != "other session"
        ]
        env = dict(stage.env)
        for outsider in outsiders:
            env |= outsider.env
        yield stage, outsiders, env | {k: v.format_map(env) for k, v in row.env.items()}


def _evidence(
    stage: Stage, outsiders: Sequence[Outsider], mode: Mode, output: str
) -> tuple[str, ...]:
    found = [*stage.damage(mode), *stage.leaks(output)]
    for outsider in outsiders:
        found += outsider.evidence()
    return tuple(found)


def _run_unconfined(
    row: Attempt, stage: Stage, outsiders: Sequence[Outsider], env: Mapping[str, str]
) -> str:
    """The output of the attempt, as any program would run it."""
    output = b""
    for argv in (row.argv, row.then):
        if argv is None:
            continue
        done = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=stage.work,
            env=env,
            pass_fds=[fd for outsider in outsiders for fd in outsider.descriptors],
            start_new_session=True,
        )
        with done:
            assert done.stdout is not None
            output += _until_end(done)
    return output.decode(errors="replace")


def _until_end(process: subprocess.Popen[bytes]) -> bytes:
    """What it prints until it ends; what its children go on to print is not waited for."""
    assert process.stdout is not None
    process.wait(DEADLINE_S)
    os.set_blocking(process.stdout.fileno(), False)
    return process.stdout.read() or b""


async def _run_confined(
    row: Attempt, sandbox: Sandbox, stage: Stage, mode: Mode, env: Mapping[str, str]
) -> tuple[Sequence[str], str]:
    """What is not enforced, and the output of the attempt under all that is."""
    gaps: list[str] = []
    output = bytearray()

    async def keep(_: object, data: bytes) -> None:
        output.extend(data)

    for argv in (row.argv, row.then):
        if argv is None:
            continue
        confinement = await sandbox.confine(policy_of(stage, mode), stage.work)
        gaps += confinement.gaps
        try:
            with confinement.launched(argv, env) as launch, anyio.fail_after(DEADLINE_S * 2):
                result = await run_process(
                    launch, cwd=stage.work, deadline_s=DEADLINE_S, on_output=keep
                )
        except SandboxUnavailable as exc:
            result = NotStarted(str(exc))
        if isinstance(result, NotStarted):
            output.extend(f"not started: {result.reason}\n".encode())
    return gaps, output.decode(errors="replace")


def policy_of(stage: Stage, mode: Mode) -> SandboxPolicy:
    """The sandbox policy of a mode."""
    if mode not in WRITING:
        return SandboxPolicy(mode="read-only")
    return SandboxPolicy(
        mode="workspace-write",
        writable_roots=tuple(str(root) for root in stage.roots[1:]),
        network_access=mode == "network",
    )


@asynccontextmanager
async def _sandbox(stage: Stage, means: Means) -> AsyncIterator[Sandbox]:
    config = Config(
        codex_home=stage.codex_home,
        cwd=stage.work,
        model="none",
        provider=Provider(id="none", name="none"),
        sandbox_means="auto" if means == "none" else means,
        deny_read=stage.denied(),
    )
    sandbox = Sandbox(config, environ=stage.env)
    try:
        yield sandbox
    finally:
        await sandbox.aclose()


@asynccontextmanager
async def _other_session(stage: Stage) -> AsyncIterator[str]:
    """The temporary folder of the commands of another session, while that session lives."""
    told = bytearray()

    async def keep(_: object, data: bytes) -> None:
        told.extend(data)

    async with _sandbox(stage, "none") as sandbox:
        confinement: Confinement = await sandbox.confine(
            policy_of(stage, "workspace-write"), stage.work
        )
        with confinement.launched(["/bin/sh", "-c", 'echo "$TMPDIR"'], stage.env) as launch:
            await run_process(launch, cwd=stage.work, deadline_s=DEADLINE_S, on_output=keep)
        folder = Path(told.decode().strip())
        assert folder.is_absolute(), told
        stage.strays.append(folder / "new")
        yield str(folder)


_found: dict[str, dict[Mode, list[str]]] = {}


def gaps_without_means() -> dict[Mode, list[str]]:
    """What is not enforced where nothing confines commands: asked of a process that has nothing.

    Bubblewrap is hidden from that process by bubblewrap, or is not there anyhow.
    """
    if not _found:
        program = [sys.executable, "-m", "tests.escapes.nothing"]
        found = probe().bubblewrap
        if found is not None:
            hide = ["--dev-bind", "/", "/", "--ro-bind", "/dev/null", found.path]
            program = [found.path, *hide, "--", *program]
        root = Path(__file__).parents[2]
        done = subprocess.run(program, cwd=root, capture_output=True, check=True, timeout=15)
        _found["gaps"] = json.loads(done.stdout)
    return _found["gaps"]


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that every user of the machine can reach, with a short name for sockets."""
    with tempfile.TemporaryDirectory(prefix="esc-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        yield folder
