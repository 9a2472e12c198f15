"""The user's `notify` program, started after each turn.

Owns that it is started apart from us: no terminal, no pipe of ours, a session of its own; it may
outlive the server. A thread waits for its end, so that no zombie stays.
"""

from __future__ import annotations

import errno
import subprocess
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import anyio.to_thread
import orjson

from codex_rpc.config.settings import ShellEnvironment
from codex_rpc.sandbox.environment import child_environment
from codex_rpc.sandbox.tree import spawn_options


class Notifier:
    """Starts the `notify` program; nothing to close."""

    def __init__(
        self, *, environ: Mapping[str, str], policy: ShellEnvironment | None = None
    ) -> None:
        """`environ` is the server's environment, of which the program gets what `policy` says.

        Without a policy it gets everything but what looks like a key, a token or a secret.
        """
        self._env = child_environment(environ, policy or ShellEnvironment())

    async def turn_ended(self, program: Sequence[str], payload: dict[str, Any]) -> None:
        """Start `program` with `payload` as JSON in its last argument; does not wait for its end.

        An empty `program` is none.

        Raises:
            OSError: it could not be started.
        """
        if program:
            argv = [*program, orjson.dumps(payload).decode()]
            await anyio.to_thread.run_sync(self._start, argv)

    def _start(self, argv: list[str]) -> None:
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=self._env,
                **spawn_options(),
            )
        except ValueError as exc:
            raise OSError(errno.EINVAL, str(exc), argv[0]) from exc
        threading.Thread(target=process.wait, name="notify", daemon=True).start()
