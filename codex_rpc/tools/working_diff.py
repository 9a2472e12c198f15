"""What is not committed in a session's folder, for the user who asks for it.

Owns the questions to git and how their answers are put together. Git is run as it is for a model
that only looks around: in the form that runs no other program, in the read-only sandbox.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from codex_rpc.protocol.errors import SandboxUnavailable, ToolError
from codex_rpc.protocol.policy import SandboxPolicy
from codex_rpc.protocol.tools import TurnContext
from codex_rpc.sandbox.pipes import Stream
from codex_rpc.sandbox.process import ProcessResult, run_process
from codex_rpc.tools.arguments import Command
from codex_rpc.tools.shell import Shell

DEADLINE_S = 10.0
MAX_BYTES = 256 * 1024
"""Of each answer; the rest is left out, and that is said."""

TRACKED = ("git", "diff", "--no-color", "HEAD")
BEFORE_THE_FIRST_COMMIT = ("git", "diff", "--no-color", "--cached")
UNTRACKED = ("git", "ls-files", "--others", "--exclude-standard")

_NO_REVISION = 128
"""What git exits with where there is no commit, or no repository."""


async def working_diff(shell: Shell, context: TurnContext) -> str:
    """The changes of files that git knows as a diff, then the names of those that it does not
    know; "": there is neither.

    Raises:
        ToolError: the folder of `context` is in no repository, or git cannot be asked.
    """
    # What holds for a command that only reads does not depend on what others may do.
    context = evolve(context, sandbox_policy=SandboxPolicy("read-only"))
    untracked, _ = await _asked(shell, UNTRACKED, context)
    changes, exit_code = await _asked(shell, TRACKED, context, also=(_NO_REVISION,))
    if exit_code == _NO_REVISION:
        changes, _ = await _asked(shell, BEFORE_THE_FIRST_COMMIT, context)
    parts = [changes] if changes else []
    if untracked:
        names = "".join(f"?? {line}\n" for line in untracked.splitlines())
        parts.append(f"Files that git does not know yet:\n{names}")
    return "\n".join(parts)


async def _asked(
    shell: Shell, argv: Sequence[str], context: TurnContext, *, also: Sequence[int] = ()
) -> tuple[str, int]:
    """What git prints and exits with: 0, or one of `also`."""
    command = Command(argv=tuple(argv), timeout_ms=DEADLINE_S * 1000)
    form = await shell.reading(command, context.cwd, context)
    if form is None:
        raise ToolError("git cannot be asked in this folder without running other programs")
    printed: dict[Stream, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
    left_out = 0

    async def take(stream: Stream, data: bytes) -> None:
        nonlocal left_out
        kept = data[: MAX_BYTES - len(printed[stream])]
        printed[stream].extend(kept)
        left_out += len(data) - len(kept)

    try:
        with form.confinement.launched(form.argv, form.env) as launch:
            result = await run_process(
                launch, cwd=context.cwd, deadline_s=DEADLINE_S, on_output=take
            )
    except SandboxUnavailable as exc:
        raise ToolError(f"git cannot be run: {exc.message}") from exc
    if not isinstance(result, ProcessResult):
        raise ToolError(f"git cannot be run: {result.reason}")
    text = printed["stdout"].decode("utf-8", "replace")
    if left_out:
        text += f"\n[... {left_out} bytes left out ...]\n"
    if result.exit_code is None or result.timed_out or result.exit_code not in (0, *also):
        told = printed["stderr"].decode("utf-8", "replace").strip().split("\n")[0]
        raise ToolError(told or "git did not answer")
    return text, result.exit_code
