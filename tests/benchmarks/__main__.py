"""Figures of the real process: start, streaming, resume. Prints, never judges.

    python -m tests.benchmarks            all of them, in full
    python -m tests.benchmarks --short    fewer runs and smaller sizes, for CI
    python -m tests.benchmarks start deltas resume

Wall times are medians; CPU is user plus system time of the server process; memory is its peak
resident size (VmHWM). The machine may be busy with other things: compare within one run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
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
    print(f"{name:<28}" + "  ".join(f"{key} {value}" for key, value in figures.items()), flush=True)


def spread(samples: list[float], unit: str = "s", digits: int = 3) -> str:
    middle = statistics.median(samples)
    return f"{middle:.{digits}f} {unit} ({min(samples):.{digits}f}-{max(samples):.{digits}f})"


def bench_start(folder: Path, *, short: bool) -> None:
    """Spawn to the answer of session/configure; and what an empty Python costs, to compare."""
    home = folder / "start"
    write_config(home, 9)
    bare, answered, cpu = [], [], []
    for _ in range(5 if short else 15):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        bare.append(time.perf_counter() - began)
        began = time.perf_counter()
        server = Server(home)
        server.request(1, "session/configure", {"cwd": str(folder)})
        answered.append(time.perf_counter() - began)
        cpu.append(server.cpu_s())
        server.close()
    show("start", configured=spread(answered), cpu=spread(cpu), bare_python=spread(bare))


def bench_deltas(folder: Path, *, short: bool) -> None:
    """Text deltas from a loopback server to the client's pipe, the second turn of a process."""
    count = 4_000 if short else 20_000
    walls, cpus, notes = [], [], []
    peak = before = 0.0
    with model_server(folder, "--deltas", str(count), "--per-write", "200") as port:
        home = folder / "deltas"
        write_config(home, port)
        for _ in range(2 if short else 5):
            server = Server(home)
            session = server.request(1, "session/configure", {"cwd": str(folder)})["sessionId"]
            server.turn(2, session)
            before = server.peak_mib()
            cpu, began = server.cpu_s(), time.perf_counter()
            deltas, _, notifications = server.turn(3, session)
            walls.append(time.perf_counter() - began)
            cpus.append(server.cpu_s() - cpu)
            notes.append(notifications)
            peak = max(peak, server.peak_mib())
            server.close()
            if deltas != count:
                raise RuntimeError(f"{deltas} of {count} deltas arrived")
    show(
        f"{count:,} deltas",
        rate=f"{count / statistics.median(walls):,.0f}/s",
        wall=spread(walls),
        cpu=spread(cpus),
        notifications=f"{statistics.median(notes):,.0f}",
        peak=f"{peak:.0f} MiB (before {before:.0f})",
    )


def write_session(home: Path, items: int) -> str:
    """A session of distinct user, call, output and assistant items; texts of ~120 characters."""
    session_id = str(uuid.uuid4())
    folder = home / "sessions" / "2026" / "11" / "22"
    folder.mkdir(parents=True)
    path = folder / f"rollout-2026-11-22T10-00-00-{session_id}.jsonl"
    header = {
        "id": session_id,
        "timestamp": "2026-11-22T10:00:00.000Z",
        "instructions": None,
        "format": 1,
        "cwd": str(home),
        "originator": "codex-rpc",
        "version": "0",
    }
    with path.open("w") as file:
        file.write(json.dumps(header) + "\n")
        for n in range(items // 4):
            for item in four_items(n):
                file.write(json.dumps(item, separators=(",", ":")) + "\n")
    path.chmod(0o600)
    return session_id


def four_items(n: int) -> Iterator[dict[str, Any]]:
    """One round: a question, a call, its output, an answer."""
    text = f"{n} " + "lorem ipsum dolor sit amet " * 4
    call_id, arguments = f"call_{n}", json.dumps({"command": ["echo", text]})
    content = [{"type": "input_text", "text": text}]
    yield {"type": "message", "role": "user", "content": content}
    call = {"type": "function_call", "id": f"fc_{n}", "call_id": call_id, "name": "shell"}
    yield {**call, "arguments": arguments}
    yield {"type": "function_call_output", "call_id": call_id, "output": text}
    content = [{"type": "output_text", "text": text}]
    yield {"type": "message", "id": f"msg_{n}", "role": "assistant", "content": content}


def bench_resume(folder: Path, *, short: bool) -> None:
    """Resume of a large session: the answer, the first turn after it, memory."""
    items = 20_000 if short else 100_000
    answers, turns, peaks, after = [], [], [], []
    with model_server(folder, "--deltas", "10", "--per-write", "10") as port:
        for n in range(2 if short else 5):
            home = folder / f"resume-{n}"
            write_config(home, port)
            session_id = write_session(home, items)
            server = Server(home)
            server.request(1, "session/list", {"limit": 1})
            began = time.perf_counter()
            answer = server.request(2, "session/resume", {"sessionId": session_id})
            answers.append(time.perf_counter() - began)
            peaks.append(server.peak_mib())
            if answer["itemCount"] != items:
                raise RuntimeError(f"{answer['itemCount']} of {items} items")
            began = time.perf_counter()
            server.turn(3, session_id)
            turns.append(time.perf_counter() - began)
            after.append(server.peak_mib())
            server.close()
            shutil.rmtree(home)
    show(
        f"resume of {items:,} items",
        answer=spread(answers),
        first_turn=spread(turns),
        peak=f"{max(peaks):.0f} MiB, {max(after):.0f} after the turn",
    )


BENCHMARKS: dict[str, Callable[..., None]] = {
    "start": bench_start,
    "deltas": bench_deltas,
    "resume": bench_resume,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--short", action="store_true")
    arguments = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.names or BENCHMARKS:
            BENCHMARKS[name](Path(folder), short=arguments.short)


if __name__ == "__main__":
    main()
