"""Start of the process, and streaming of a text."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.harness import Server, model_server, show, spread, write_config


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
