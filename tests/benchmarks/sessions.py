"""Saved sessions: many of them listed, large ones resumed.

Each figure is that of a process of its own, which has answered `initialize` before.
"""

from __future__ import annotations

import json
import shutil
import statistics
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.harness import Server, forget_pages, model_server, show, spread, write_config

LISTED_FILES = 2_000
LISTED_MIB = 188
ITEMS = 100_000
LARGE_MIB = 1_024
MIB = 1 << 20


def bench_list(folder: Path, *, short: bool) -> None:
    """`session/list` over the files of all three writers: every row, the first page, a search."""
    files, mib = (200, 19) if short else (LISTED_FILES, LISTED_MIB)
    home = folder / "list"
    write_config(home, 9)
    paths = write_listed(home, files, mib * MIB)
    figures: dict[str, list[float]] = {}
    peaks = []

    def take(name: str, expected: int, **params: Any) -> None:
        taken, peak = time_list(home, expected, params)
        figures.setdefault(name, []).append(taken)
        peaks.append(peak)

    for _ in range(2 if short else 5):
        forget_catalog(home)
        forget_pages(paths)
        take("cold", files, limit=files)
        forget_catalog(home)
        take("no_catalog", files, limit=files)
        take("warm", files, limit=files)
        take("page", 50)
        take("search", 1, query="needle")
    show(
        f"list of {files:,} files, {mib} MiB",
        **{name: spread(samples) for name, samples in figures.items()},
        peak=f"{max(peaks):.0f} MiB",
    )
    shutil.rmtree(home)


def time_list(home: Path, expected: int, params: dict[str, Any]) -> tuple[float, float]:
    """How long the answer takes, and the process's peak in MiB."""
    server = Server(home)
    server.request(1, "initialize", {})
    began = time.perf_counter()
    page = server.request(2, "session/list", params)
    taken = time.perf_counter() - began
    peak = server.peak_mib()
    server.close()
    if len(page["sessions"]) != expected:
        raise RuntimeError(f"{len(page['sessions'])} of {expected} sessions were listed")
    return taken, peak


def forget_catalog(home: Path) -> None:
    """Remove what was kept of an earlier list."""
    for path in (home / "sessions").glob(".catalog*"):
        path.unlink()


def bench_resume(folder: Path, *, short: bool) -> None:
    """Resume of a session with many items."""
    items = 20_000 if short else ITEMS

    def write(home: Path) -> tuple[str, int]:
        session_id = str(uuid.uuid4())
        with session_file(home, session_id).open("w") as file:
            file.write(line(header(session_id, home)))
            for n in range(items // 4):
                file.writelines(map(line, four_items(n)))
        return session_id, items

    measure_resume(f"resume of {items:,} items", folder, write, runs=2 if short else 5)


def bench_large(folder: Path, *, short: bool) -> None:
    """Resume of a file that was compacted near its end."""
    mib = 64 if short else LARGE_MIB

    def write(home: Path) -> tuple[str, int]:
        session_id = str(uuid.uuid4())
        return session_id, write_large(home, session_id, mib * MIB)

    measure_resume(f"resume of {mib:,} MiB, compacted", folder, write, runs=2 if short else 5)


def measure_resume(name: str, folder: Path, write: Any, *, runs: int) -> None:
    """The answer to `session/resume`, the first turn behind it, memory; the file read anew."""
    answers, turns, pages, peaks, after = [], [], [], [], []
    home = folder / "resume"
    with model_server(folder, "--deltas", "10", "--per-write", "10") as port:
        write_config(home, port)
        session_id, items = write(home)
        (path,) = home.rglob("*.jsonl")
        size = path.stat().st_size
        for _ in range(runs):
            forget_pages([path])
            server = Server(home)
            server.request(1, "initialize", {})
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
            began = time.perf_counter()
            server = Server(home)
            server.request(1, "initialize", {})
            began = time.perf_counter()
            page = server.request(2, "session/read", {"sessionId": session_id, "limit": 20})
            pages.append(time.perf_counter() - began)
            if len(page["items"]) != 20:
                raise RuntimeError("there is no last page")
            server.close()
            with path.open("r+b") as file:
                file.truncate(size)
    shutil.rmtree(home)
    show(
        name,
        answer=spread(answers),
        first_turn=spread(turns),
        last_page=spread(pages),
        peak=f"{statistics.median(peaks):.0f} MiB, {statistics.median(after):.0f} after the turn",
    )


# The files.


def header(session_id: str, cwd: Path) -> dict[str, Any]:
    """The first line of a file of ours."""
    return {
        "id": session_id,
        "timestamp": "2026-11-22T10:00:00.000Z",
        "instructions": None,
        "format": 1,
        "cwd": str(cwd),
        "originator": "codex-rpc",
        "version": "0",
    }


def line(value: dict[str, Any]) -> str:
    """A record as its line."""
    return json.dumps(value, separators=(",", ":")) + "\n"


def session_file(home: Path, session_id: str, n: int = 0) -> Path:
    """The path of the n-th session, in an existing folder."""
    day = f"{n % 28 + 1:02}"
    folder = home / "sessions" / "2026" / f"{n // 28 % 12 + 1:02}" / day
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"rollout-2026-11-{day}T10-00-00-{session_id}.jsonl"
    path.touch(0o600)
    return path


def four_items(n: int) -> Iterator[dict[str, Any]]:
    """One round: a question, a call, its output, an answer; texts of about 120 characters."""
    text = f"{n} " + "lorem ipsum dolor sit amet " * 4
    call_id, arguments = f"call_{n}", json.dumps({"command": ["echo", text]})
    content = [{"type": "input_text", "text": text}]
    yield {"type": "message", "role": "user", "content": content}
    call = {"type": "function_call", "id": f"fc_{n}", "call_id": call_id, "name": "shell"}
    yield {**call, "arguments": arguments}
    yield {"type": "function_call_output", "call_id": call_id, "output": text}
    content = [{"type": "output_text", "text": text}]
    yield {"type": "message", "id": f"msg_{n}", "role": "assistant", "content": content}


def write_listed(home: Path, count: int, total_bytes: int) -> list[Path]:
    """Files of about the same size, half of them ours, the others of both kinds of Codex files;
    one has a needle in it."""
    paths = []
    rounds = "".join(line(item) for n in range(20) for item in four_items(n))
    enveloped = "".join(
        line({"timestamp": "2026-11-22T10:00:01.000Z", "type": "response_item", "payload": item})
        for n in range(20)
        for item in four_items(n)
    )
    for n in range(count):
        session_id = str(uuid.uuid4())
        first = header(session_id, home / f"project-{n % 17}")
        body = rounds
        if n % 4 == 2:
            first = {key: first[key] for key in ("id", "timestamp", "instructions")}
        elif n % 4 == 3:
            meta = {"id": session_id, "cwd": first["cwd"], "cli_version": "0.137.0"}
            first = {"timestamp": first["timestamp"], "type": "session_meta", "payload": meta}
            body = enveloped
        path = session_file(home, session_id, n)
        with path.open("w") as file:
            file.write(line(first))
            while file.tell() < total_bytes // count:
                file.write(body)
            if n == count // 2:
                content = [{"type": "input_text", "text": "a needle in all this"}]
                file.write(line({"type": "message", "role": "user", "content": content}))
        paths.append(path)
    return paths


def write_large(home: Path, session_id: str, size: int) -> int:
    """A file of `size` with a compaction some kilobytes before its end; how many items it has."""
    rounds = list(map(line, (item for n in range(2_000) for item in four_items(n))))
    block = "".join(rounds)
    with session_file(home, session_id).open("w") as file:
        file.write(line(header(session_id, home)))
        items = 0
        while file.tell() < size:
            file.write(block)
            items += len(rounds)
        marker = {"record_type": "compacted", "summary": "lorem ipsum", "replaces": items}
        file.write(line({**marker, "line": items + 2}))
        context = {
            "record_type": "context",
            "timestamp": "2026-11-22T12:00:00.000Z",
            "cwd": str(home),
            "model": "gpt-5",
            "model_provider": "loopback",
            "approval_policy": "never",
            "sandbox_policy": {"mode": "read-only"},
        }
        file.write(line(context))
        file.write(line({"record_type": "state", "previous_response_id": None}))
        for n in range(10):
            file.writelines(map(line, four_items(n)))
            items += 4
    return items
