"""The entry for the registry of agents."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import codex_rpc

FOLDER = Path(__file__).parents[3] / "editors/acp"


def test_the_manifest_is_that_of_this_version() -> None:
    manifest = json.loads((FOLDER / "agent.json").read_text())
    assert re.fullmatch(r"[a-z][a-z0-9-]*", manifest["id"])
    assert manifest["version"] == codex_rpc.__version__
    uvx = manifest["distribution"]["uvx"]
    assert uvx == {"package": f"codex-rpc=={codex_rpc.__version__}", "args": ["acp"]}


def test_the_icon_has_the_size_and_the_colour_that_the_registry_wants() -> None:
    icon = ElementTree.parse(FOLDER / "icon.svg").getroot()
    assert icon.get("viewBox") == "0 0 16 16"
    assert icon.get("stroke") == "currentColor"
