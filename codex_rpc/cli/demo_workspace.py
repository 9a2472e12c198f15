"""The demo's temporary folder: a workspace with a few files, and a CODEX_HOME with a script.

Owns what the model will say, and what it will find. Does not know what becomes of it.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from codex_rpc.protocol.frozen import frozen

SENTENCE = (
    "notes.md has 3 lines: things to do. poem.txt has 4 lines; it is about a crash that nobody "
    "noticed, because everything that had been said was already written down."
)

FILES = {
    "notes.md": "- buy milk\n- call Ada\n- write more poems\n",
    "poem.txt": "The lights went out, the fans fell still,\nthe cursor blinked no more.\n"
    "We lit a candle, typed `resume`,\nand went on as before.\n",
    "count.py": "from pathlib import Path\n\nfor path in sorted(Path().iterdir()):\n"
    "    print(path.name, len(path.read_text().splitlines()))\n",
}

CONFIG = """\
model = "demo"
model_provider = "scripted"

[model_providers.scripted]
script = {script}
"""

SCRIPT = """\
chunk = 6

[[response]]
usage = {{ input_tokens = 120, output_tokens = 40 }}
steps = [
  {{ reasoning = "They want to know how long the files are.", pace_ms = {pace_ms} }},
  {{ text = "I will count their lines.", pace_ms = {pace_ms} }},
  {{ shell = [{python}, "count.py"], justification = "to count the lines of each file" }},
]

[[response]]
usage = {{ input_tokens = 190, output_tokens = 60 }}
steps = [{{ text = {sentence}, pace_ms = {last_pace_ms} }}]
"""


@frozen
class Workspace:
    """What is where in the folder."""

    work: Path
    home: Path
    log: Path
    script: Path
    python: str
    fast: bool

    @classmethod
    def prepare(cls, folder: Path, *, fast: bool) -> Workspace:
        """A workspace with a few files, and a CODEX_HOME whose model plays a script."""
        python = "python3" if shutil.which("python3") else sys.executable
        place = cls(
            work=folder / "work",
            home=folder / "home",
            log=folder / "server.log",
            script=folder / "script.toml",
            python=python,
            fast=fast,
        )
        place.work.mkdir()
        place.home.mkdir()
        for name, text in FILES.items():
            (place.work / name).write_text(text)
        config = CONFIG.format(script=json.dumps(str(place.script)))
        (place.home / "config.toml").write_text(config)
        return place

    def set_script(self, *, last_pace_ms: int) -> None:
        """Say how slowly the model is to write its last answer."""
        script = SCRIPT.format(
            pace_ms=0 if self.fast else 50,
            python=json.dumps(self.python),
            sentence=json.dumps(SENTENCE),
            last_pace_ms=last_pace_ms,
        )
        self.script.write_text(script)
