"""Which modules each command loads: pinned, because loading them is what starting costs.

The lists are in tests/golden/imports; one that grows is looked at, and then written anew:

    pytest tests/process/test_process_import_budget.py --update-golden

They hold every module of ours and of other packages. Of the standard library the modules differ
from one Python to the next, so those are compared where it is the Python of the lists.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from support.client import environment

from codex_rpc.cli.main import COMMANDS

LISTS = Path(__file__).parents[1] / "golden" / "imports"
PYTHON = (3, 11)
"""The Python of the lists."""

PROGRAM = """
import atexit, os, sys
out, mark = sys.argv[1:3]
sys.argv = ["codex-rpc", *sys.argv[3:]]
really_write, seen = os.write, []

def note():
    seen.extend([] if seen else sys.modules)

def write(fd, data):
    if mark.encode() in bytes(data):
        note()
    return really_write(fd, data)

@atexit.register
def told():
    note()
    open(out, "w").write("\\n".join(sorted(seen)))

os.write = write
from codex_rpc.__main__ import start
start()
"""
"""Notes what is loaded when the answer with the mark is written, else at the end: behind an
answer more is loaded, while nobody waits for it."""

NO_MARK = "there is no such answer"
OF_THE_MACHINE = ("__main__", "_distutils_hack", "_sysconfigdata_", "sitecustomize", "_virtualenv")
"""What begins like this depends on how Python was installed."""

SCRIPT = {"response": [{"steps": [{"text": "Hello."}]}]}


@frozen
class Case:
    """A command, up to the point where somebody waits for it."""

    arguments: tuple[str, ...]
    requests: tuple[Mapping[str, Any], ...] = ()
    """Its input; `{cwd}` is put in."""
    ahead: bool = False
    """Whether it is looked at so late that the tools may have been loaded ahead, or not."""


CASES = {
    "version": Case(("--version",)),
    "serve": Case(
        ("serve",),
        (
            {"id": 1, "method": "initialize", "params": {}},
            {"id": 2, "method": "session/configure", "params": {"cwd": "{cwd}"}},
        ),
    ),
    "acp": Case(
        ("acp",),
        (
            {"id": 1, "method": "initialize", "params": {"protocolVersion": 1}},
            {"id": 2, "method": "session/new", "params": {"cwd": "{cwd}", "mcpServers": []}},
        ),
    ),
    "exec": Case(("exec", "hello"), ahead=True),
}


def loaded(case: Case, home: Path) -> list[str]:
    """The modules that are there when the last request is answered, or all is done."""
    script, out = home / "script.json", home / "modules"
    script.write_text(json.dumps(SCRIPT))
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").write_text(
        f'model_provider = "scripted"\n[model_providers.scripted]\nscript = "{script}"\n'
    )
    lines = "".join(json.dumps({"jsonrpc": "2.0", **request}) + "\n" for request in case.requests)
    mark = f'"id":{case.requests[-1]["id"]},' if case.requests else NO_MARK
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(out), mark, *case.arguments],
        input=lines.replace("{cwd}", str(home)),
        cwd=home,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = (
        {message.get("id"): message for message in map(json.loads, done.stdout.splitlines())}
        if case.requests
        else {}
    )
    for request in case.requests:
        assert "result" in answers[request["id"]], done.stdout
    return out.read_text().split()


def loaded_ahead() -> set[str]:
    """What loading the tools ahead brings."""
    program = (
        "import importlib, sys; from codex_rpc.tools import box; before = set(sys.modules)\n"
        "for module in box._LOADED_AHEAD: importlib.import_module(module)\n"
        "print(*set(sys.modules) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def is_standard(module: str) -> bool:
    """Whether it comes with Python."""
    return module.partition(".")[0] in sys.stdlib_module_names


@pytest.mark.parametrize("name", CASES)
def test_a_command_loads_what_it_is_known_to_load(
    name: str, tmp_path: Path, update_golden: bool
) -> None:
    if name == "acp" and name not in COMMANDS:
        pytest.skip("there is no command `codex-rpc acp`")
    path = LISTS / f"{name}.txt"
    case = CASES[name]
    found = {m for m in loaded(case, tmp_path) if not m.startswith(OF_THE_MACHINE)}
    if case.ahead:
        found -= loaded_ahead()
    if update_golden:
        assert sys.version_info[:2] == PYTHON, "the lists are those of another Python"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{module}\n" for module in sorted(found)))
    pinned = set(path.read_text().split())
    if sys.version_info[:2] != PYTHON:
        found = {module for module in found if not is_standard(module)}
        pinned = {module for module in pinned if not is_standard(module)}
    assert sorted(found - pinned) == [], "these are loaded, and were not before"
    assert sorted(pinned - found) == [], "these are not loaded any more: write the list anew"
