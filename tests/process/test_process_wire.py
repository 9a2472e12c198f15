"""What goes over the wire and into the session file, written down.

`pytest --update-golden` writes `conversation.jsonl` and `rollout.jsonl` anew; read what has
changed before you keep it. Editors rely on the one, saved sessions on the other.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.golden import GOLDEN
from support.golden_compare import Json
from support.wire import Player

WIRE = GOLDEN / "wire"
CASES = sorted(folder.name for folder in WIRE.iterdir())


@pytest.mark.parametrize("name", CASES)
async def test_the_wire_and_the_file_are_as_written_down(
    name: str, tmp_path: Path, *, update_golden: bool
) -> None:
    folder = WIRE / name
    player = Player(json.loads((folder / "script.json").read_text("utf-8")), tmp_path)
    await player.play()
    compare(folder / "conversation.jsonl", player.conversation(), update=update_golden)
    compare(folder / "rollout.jsonl", player.rollout(), update=update_golden)


def compare(path: Path, lines: list[Json], *, update: bool) -> None:
    """`lines` are those of the file at `path`, or become them."""
    if update:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        path.write_text(text, "utf-8")
    written = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for n, (line, expected) in enumerate(zip(lines, written, strict=False), start=1):
        assert line == expected, f"{path}:{n}"
    assert len(lines) == len(written), path


def test_every_golden_file_is_used() -> None:
    assert {folder.name for folder in GOLDEN.iterdir()} == {
        *("codex-0.20", "rollouts", "wire", "prompts"),
        *("streams", "errors", "limits"),
        *("acp", "imports"),
    }
    for folder in WIRE.iterdir():
        files = {path.name for path in folder.iterdir()}
        assert files == {"script.json", "conversation.jsonl", "rollout.jsonl"}, folder
