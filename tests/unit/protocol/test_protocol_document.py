"""PROTOCOL.md says what the classes say: names and members, none more and none fewer."""

from __future__ import annotations

import re
from importlib.resources import files

import attrs
import pytest

from codex_rpc.protocol.converter import union_members, wire_name
from codex_rpc.protocol.events import EventMsg
from codex_rpc.protocol.ops import Op
from codex_rpc.protocol.params import METHODS, SessionOverrides
from codex_rpc.protocol.schema import ERROR_CODES

DOCUMENT = files("codex_rpc.protocol").joinpath("PROTOCOL.md").read_text(encoding="utf-8")
NESTED = r"\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}"
APPLICATION_CODES = {name: code for name, code in ERROR_CODES.items() if code > 0}


def members(body: str) -> dict[str, bool]:
    """`a, b?, c: {d, e}` -> each member and whether it must be there."""
    flat = body
    while re.search(r"[{\[(<][^{}\[\]()<>]*[}\])>]", flat):
        flat = re.sub(r"[{\[(<][^{}\[\]()<>]*[}\])>]", "", flat)
    names = [part.split(":")[0].strip() for part in flat.split(",") if part.strip()]
    return {name.rstrip("?"): not name.endswith("?") for name in names}


def described(tag: str, section: str) -> dict[str, bool]:
    found = re.findall(rf"`{tag}(?: {NESTED}[^`]*)?`", section)
    assert found, f"{tag} is not described"
    # Mentioned elsewhere by its name alone; where it is described it has its members.
    return members(max(found, key=len))


def of_class(cls: type) -> dict[str, bool]:
    return {wire_name(cls, a.name): a.default is attrs.NOTHING for a in attrs.fields(cls)}


EVENTS = DOCUMENT.partition("## Events")[2].partition("\n## ")[0]


@pytest.mark.parametrize("tag", union_members(EventMsg))
def test_each_event_is_described_with_its_members(tag: str) -> None:
    in_document, in_class = described(tag, EVENTS), of_class(union_members(EventMsg)[tag])
    assert set(in_document) == set(in_class)
    # What is always there may be described as optional by an older text, never the other way.
    always = {name for name, required in in_document.items() if required}
    assert always <= {name for name, required in in_class.items() if required}


def test_no_event_is_described_that_does_not_exist() -> None:
    tags = set(re.findall(rf"`([a-z_]+) {NESTED}", EVENTS))
    assert {tag for tag, _ in tags} <= set(union_members(EventMsg))


OPS = DOCUMENT.partition("## Ops")[2].partition("\n## ")[0]


@pytest.mark.parametrize("tag", union_members(Op))
def test_each_op_has_its_row(tag: str) -> None:
    (row,) = [line for line in OPS.splitlines() if re.match(rf"\|[^|]*`{tag}`", line)]
    # A bar that belongs to a cell is written \|.
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)]
    cls = union_members(Op)[tag]
    for attribute in attrs.fields(cls):
        if tag == "configure_session":
            assert hasattr(SessionOverrides, attribute.name) or attribute.name == "cwd"
        else:
            assert re.search(rf"\b{attribute.name}\b", cells[2]), attribute.name


@pytest.mark.parametrize("method", METHODS)
def test_each_method_is_described_with_its_parameters(method: str) -> None:
    section = DOCUMENT.partition("## Requests")[2].partition("## Notification")[0]
    assert method in section
    if method == "session/resume":
        return  # Described as those of configure, and what is special.
    index = section.index(method)
    text = section[index : index + 900]
    members = set(of_class(METHODS[method][0]))
    if method == "session/fork":
        # Described as those of configure, and what is special.
        members -= set(of_class(METHODS["session/configure"][0]))
    for name in members:
        assert re.search(rf"\b{name}\b", text), name


@pytest.mark.parametrize(("name", "code"), APPLICATION_CODES.items())
def test_each_error_code_has_its_row(name: str, code: int) -> None:
    assert f"| {code} | {name} |" in DOCUMENT
