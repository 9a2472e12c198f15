"""The start of an editor that speaks LSP and has documents open, next to that of a plain client."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from ..child import SECOND_NS
from ..drivers import NativeDriver, Unable
from ..figures import Measure
from ..programs import Program
from ..stage import Stage, ending
from .base import CPU, MEMORY_AFTER, PEAK, Benchmark

DOCUMENTS = 50
DOCUMENT_LINES = 400

CAPABILITIES: dict[str, Any] = {
    "general": {"positionEncodings": ["utf-8", "utf-16"]},
    "workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True}},
}


def _sample(stage: Stage, program: Program) -> dict[str, float]:
    if program.driver is not NativeDriver:
        raise Unable("is not spoken to in LSP")
    home = stage.home(program, "lsp")
    text = "".join(f"    some line of a program, number {n}\n" for n in range(DOCUMENT_LINES))
    documents = [stage.cwd / f"{n}.py" for n in range(DOCUMENTS)]
    opened = b"".join(_opened(path, text) for path in documents)
    driver = program.driver(program.command, home, stage.cwd)
    with ending(driver):
        began = driver.child.began_ns
        driver.request("initialize", {"capabilities": CAPABILITIES, "processId": None})
        greeted = time.monotonic_ns()
        driver.child.write(opened)
        driver.open()
        configured = time.monotonic_ns()
        cpu_s = driver.child.cpu_s
        # It is answered when all documents are known.
        driver.request("textDocument/codeAction", _asked(documents[-1]))
        known = time.monotonic_ns()
        return {
            "first words": (greeted - began) / SECOND_NS,
            "session": (configured - began) / SECOND_NS,
            "documents known": (known - began) / SECOND_NS,
            "CPU": cpu_s,
            "memory after": driver.child.rss_mib,
            "peak memory": driver.child.peak_mib,
        }


def _opened(path: Path, text: str) -> bytes:
    item = {"uri": path.as_uri(), "languageId": "python", "version": 1, "text": text}
    params = {"textDocument": item}
    message = {"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": params}
    return json.dumps(message).encode() + b"\n"


def _asked(path: Path) -> dict[str, Any]:
    place = {"line": 1, "character": 0}
    return {
        "textDocument": {"uri": path.as_uri()},
        "range": {"start": place, "end": place},
        "context": {"diagnostics": []},
    }


BENCHMARK = Benchmark(
    "lsp",
    f"Start of an LSP client with {DOCUMENTS} documents open",
    (
        Measure("first words", "s"),
        Measure("session", "s"),
        Measure("documents known", "s"),
        CPU,
        MEMORY_AFTER,
        PEAK,
    ),
    _sample,
    runs=9,
    short_runs=2,
    ours_only="the others do not know what an editor has open",
)
