"""The start of an editor that speaks LSP, next to that of a client that does not."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Any

from attrs import define, field

from tests.benchmarks.harness import Server, show, spread, write_config

DOCUMENTS = 50
DOCUMENT_LINES = 400

CAPABILITIES: dict[str, Any] = {
    "general": {"positionEncodings": ["utf-8", "utf-16"]},
    "workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True}},
}


@define
class _Figures:
    initialized: list[float] = field(factory=list)
    configured: list[float] = field(factory=list)
    cpu: list[float] = field(factory=list)
    """Until session/configure was answered."""
    loaded: list[float] = field(factory=list)
    peaks: list[float] = field(factory=list)

    def show(self, name: str, **more: str) -> None:
        show(
            name,
            initialized=spread(self.initialized),
            configured=spread(self.configured),
            cpu=spread(self.cpu),
            **more,
            peak=f"{statistics.median(self.peaks):.0f} MiB",
        )


def bench_lsp(folder: Path, *, short: bool) -> None:
    """Spawn to the answers of initialize and session/configure, with documents open and without,
    taking turns; to the answer of a request that needs every document; memory after that."""
    home = folder / "lsp"
    write_config(home, 9)
    text = "".join(f"    some line of a program, number {n}\n" for n in range(DOCUMENT_LINES))
    opened = b"".join(_opened(folder / f"{n}.py", text) for n in range(DOCUMENTS))
    plain, lsp = _Figures(), _Figures()
    editor = {"capabilities": CAPABILITIES, "processId": None}
    for n in range(6 if short else 16):
        if n % 2:
            _start(home, folder, lsp, editor, opened)
        _start(home, folder, plain, {}, b"")
        if not n % 2:
            _start(home, folder, lsp, editor, opened)
    plain.show("plain client")
    lsp.show(f"LSP client, {DOCUMENTS} documents", loaded=spread(lsp.loaded))


def _start(
    home: Path, folder: Path, figures: _Figures, hello: dict[str, Any], opened: bytes
) -> None:
    began = time.perf_counter()
    server = Server(home)
    server.request(1, "initialize", hello)
    figures.initialized.append(time.perf_counter() - began)
    if opened:
        server.stdin.write(opened)
    server.request(2, "session/configure", {"cwd": str(folder)})
    figures.configured.append(time.perf_counter() - began)
    figures.cpu.append(server.cpu_s())
    if opened:
        # It is answered when all documents are known.
        server.request(3, "textDocument/codeAction", _asked(folder / f"{DOCUMENTS - 1}.py"))
        figures.loaded.append(time.perf_counter() - began)
    else:
        server.request(3, "session/list", {})
    figures.peaks.append(server.peak_mib())
    server.close()


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
