"""The scripted model server for specs that are not Python: its own process, led through stdin.

    python tests/editors/model_process.py SCRIPT.json LOG

The port is the first line on stdout. Each line on stdin is the name of a `{"hold": name}` that is
to go on; the end of stdin, or SIGTERM, ends the server, so that it does not outlive its spec. The
log is that of `model_server.py`. A script `{"deltas": 20000}` answers everything with a text of
so many deltas.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.model_server import ModelServer, many_deltas


async def serve(script: dict[str, Any], log: Path) -> None:
    """Serve until stdin ends."""
    names = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(names), sys.stdin
    )
    with log.open("a", encoding="utf-8", buffering=1) as file:

        def note(line: dict[str, Any]) -> None:
            file.write(json.dumps(line) + "\n")

        async with ModelServer(script, log=note) as server:
            print(server.port, flush=True)
            while name := await names.readline():
                server.release(name.decode().strip())


def main() -> None:
    """The command; see the module's docstring."""
    script = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if "deltas" in script:
        script = many_deltas(script["deltas"], per_write=script.get("per_write", 200))
    asyncio.run(serve(script, Path(sys.argv[2])))


if __name__ == "__main__":
    main()
