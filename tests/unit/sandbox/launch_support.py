"""Runs a launch to its end, and keeps what it printed."""

from __future__ import annotations

import os
from pathlib import Path

from attrs import define

from codex_rpc.sandbox.launch import Launch
from codex_rpc.sandbox.pipes import Stream
from codex_rpc.sandbox.process import NotStarted, ProcessResult, run_process


@define
class Outcome:
    """How it went."""

    result: ProcessResult | NotStarted
    stdout: str
    stderr: str

    @property
    def code(self) -> int | None:
        assert isinstance(self.result, ProcessResult), self.result
        return self.result.exit_code


async def outcome_of(launch: Launch, cwd: Path, *, deadline_s: float | None = 15) -> Outcome:
    """The outcome of `launch` in `cwd`."""
    printed: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}

    async def take(stream: Stream, data: bytes) -> None:
        printed[stream] += data

    result = await run_process(launch, cwd=cwd, deadline_s=deadline_s, on_output=take)
    return Outcome(
        result, printed["stdout"].decode(errors="replace"), printed["stderr"].decode("utf-8")
    )


def environment(**more: str) -> dict[str, str]:
    """Enough for programs to be found."""
    return {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **more}
