"""What every benchmark needs: a server of its own, a model server, and how figures are shown."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SUPPORT = Path(__file__).parents[1] / "support"
SCRIPT = shutil.which("codex-rpc", path=str(Path(sys.executable).parent))
COMMAND = [SCRIPT] if SCRIPT else [sys.executable, "-m", "codex_rpc"]
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """A `codex-rpc` process, read as raw lines so that the client costs little."""

    def __init__(self, home: Path) -> None:
        environment = {**os.environ, "CODEX_HOME": str(home), "OPENAI_API_KEY": "sk-none"}
        self.process = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

    def send(self, request_id: int, method: str, params: dict[str, Any]) -> None:
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        self.stdin.write(json.dumps(message).encode() + b"\n")
        self.stdin.flush()

    def request(self, request_id: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self.send(request_id, method, params)
        while True:
            message = json.loads(self.stdout.readline())
            if message.get("id") == request_id:
                if "error" in message:
                    raise RuntimeError(message["error"])
                result: dict[str, Any] = message["result"]
                return result

    def turn(self, request_id: int, session_id: str) -> tuple[int, int, int]:
        """Run a turn: how many deltas, of how many characters, in how many notifications."""
        op = {"type": "user_input", "items": [{"type": "text", "text": "go"}]}
        self.send(request_id, "session/submit", {"sessionId": session_id, "op": op})
        notifications = characters = deltas = 0
        for line in self.stdout:
            if b'"agent_message_delta"' in line[:200]:
                notifications += 1
                text = json.loads(line)["params"]["msg"]["delta"]
                characters += len(text)
                deltas += text.count("tok")
            elif b'"type":"task_complete"' in line:
                return deltas, characters, notifications
            elif b'"type":"error"' in line or b'"type":"turn_aborted"' in line:
                raise RuntimeError(line.decode())
        raise RuntimeError("the server ended")

    def cpu_s(self) -> float:
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / CLOCK_TICKS

    def peak_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

    def close(self) -> None:
        self.stdin.close()
        self.process.wait(10)
        self.stdout.close()


@contextmanager
def model_server(folder: Path, *arguments: str) -> Iterator[int]:
    """The loopback model server in a process of its own; its port."""
    port_file = folder / f"port-{uuid.uuid4()}"
    command = [sys.executable, str(SUPPORT / "model_server.py"), "--port-file", str(port_file)]
    process = subprocess.Popen([*command, *arguments])
    try:
        while not (port_file.exists() and port_file.read_text().strip()):
            time.sleep(0.01)
        yield int(port_file.read_text())
    finally:
        process.terminate()
        process.wait()


def write_config(home: Path, port: int) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.toml").write_text(
        'model_provider = "loopback"\napproval_policy = "never"\n'
        "[model_providers.loopback]\n"
        f'name = "loopback"\nbase_url = "http://127.0.0.1:{port}/v1"\nenv_key = "OPENAI_API_KEY"\n'
    )


def show(name: str, **figures: str) -> None:
    print(f"{name:<30}" + "  ".join(f"{key} {value}" for key, value in figures.items()), flush=True)


def spread(samples: list[float], unit: str = "s", digits: int = 3) -> str:
    middle = statistics.median(samples)
    return f"{middle:.{digits}f} {unit} ({min(samples):.{digits}f}-{max(samples):.{digits}f})"


def forget_pages(paths: Iterable[Path]) -> None:
    """Have the system read these files from the disk again, as after a start of the machine."""
    os.sync()
    for path in paths:
        fd = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)
