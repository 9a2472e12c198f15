"""What a response item says to a person: messages, commands, patches, plans, and what came back.

Owns the forms in which calls and their outputs were ever recorded, ours and those of the Codex
CLI. Whatever is not known is shown as its JSON, so that nothing is left out.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import orjson
from attrs import field

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.items import part_texts, string_in

_PATCH_IN_SHELL = re.compile(
    r"\s*(?:cd [^\n;&|]+&& *)?apply_?patch\s*<<-?\s*(['\"]?)(\w+)\1[ \t]*\n(.*)\n\2\s*", re.DOTALL
)
_CHANGED_FILE = re.compile(r"^\*\*\* (Add|Update|Delete) File: (.+)$", re.MULTILINE)
_END = "*** End Patch"
_MOVED = re.compile(r"^\*\*\* Move to: (.+)$", re.MULTILINE)
_SHELLS = {"bash", "sh", "zsh", "dash", "bash.exe", "powershell.exe", "pwsh.exe", "pwsh"}
_SCRIPT_FLAGS = {"-c", "-lc", "-ilc", "-Command"}
_EXIT = re.compile(
    r"(?:Chunk ID: [^\n]*\n)?(?:Exit code: (?P<a>-?\d{1,10})\n)?"
    r"(?:Wall time: (?P<s>\d{1,9}(?:\.\d{1,9})?) seconds\n)?"
    r"(?:Process exited with code (?P<b>-?\d{1,10})\n)?(?:Process running with [^\n]*\n)?"
    r"(?:Original token count: \d+\n)?(?:Total output lines: \d+\n)?Output:\n"
)
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@frozen
class Text:
    text: str


@frozen
class Image:
    url: str


Block = Text | Image


@frozen
class Message:
    role: str
    blocks: Sequence[Block]


@frozen
class Reasoning:
    texts: Sequence[str]


@frozen
class Command:
    script: str
    cwd: str | None = None
    justification: str | None = None


@frozen
class Hunk:
    """Lines of a file that a patch replaces, each with its line end; either may be none."""

    old: str
    new: str


@frozen
class FileChange:
    path: str
    kind: Literal["Add", "Update", "Delete"]
    added: int
    removed: int
    hunks: Sequence[Hunk] = ()
    moved_to: str | None = None


@frozen
class Patch:
    text: str
    changes: Sequence[FileChange]


@frozen
class Plan:
    steps: Sequence[tuple[str, str]]
    """Each step's status and text."""
    explanation: str | None


@frozen
class ToolCall:
    """Any other call."""

    name: str
    arguments: str
    is_json: bool


Action = Command | Patch | Plan | ToolCall


@frozen
class Call:
    call_id: str
    action: Action


@frozen(kw_only=True)
class Outcome:
    """What came back from a call."""

    call_id: str
    blocks: Sequence[Block] = field(default=())
    exit_code: int | None = None
    duration_s: float | None = None

    @property
    def text(self) -> str:
        return "\n".join(block.text for block in self.blocks if isinstance(block, Text))


@frozen
class Unknown:
    """An item of a kind that is not known."""

    kind: str
    json: str


Shape = Message | Reasoning | Call | Outcome | Unknown


def shape_of(item: dict[str, Any]) -> Shape:
    """What an item says; never fails."""
    kind = string_in(item, "type") or ""
    match kind:
        case "message":
            return Message(string_in(item, "role") or "unknown", _blocks(item.get("content")))
        case "reasoning":
            texts = part_texts(item.get("summary"), "summary_text", "text")
            return Reasoning(texts or part_texts(item.get("content"), "reasoning_text", "text"))
        case "function_call":
            name, arguments = string_in(item, "name") or "", item.get("arguments")
            return Call(_call_id(item), _action(name, arguments))
        case "custom_tool_call":
            name, text = string_in(item, "name") or "", string_in(item, "input") or ""
            patch = _patch(text) if name == "apply_patch" else None
            return Call(_call_id(item), patch or ToolCall(name, text, is_json=False))
        case "local_shell_call":
            action = item.get("action")
            action = action if isinstance(action, dict) else {}
            call_id = _call_id(item) or string_in(item, "id") or ""
            return Call(call_id, _command(action.get("command"), action) or _unknown_call(item))
        case "web_search_call":
            call_id = _call_id(item) or string_in(item, "id") or ""
            return Call(call_id, _unknown_call(item, item.get("action")))
        case "function_call_output" | "custom_tool_call_output":
            return _outcome(_call_id(item), item.get("output"))
    return Unknown(kind, json_text(item))


def json_text(value: object) -> str:
    """A JSON value on lines of their own; one that is nested too deep is not shown."""
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    except TypeError:
        # The standard library takes what orjson does not: large integers, deep nesting, and text
        # that is not valid Unicode.
        try:
            return json.dumps(value, indent=2)
        except RecursionError:
            return "…"


def clean(text: str) -> str:
    """What a terminal would show of `text`: no colours, no control characters, plain line ends."""
    if "\x1b" in text or "\x9b" in text:
        text = _ANSI.sub("", text)
    return _CONTROL.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def _call_id(item: dict[str, Any]) -> str:
    return string_in(item, "call_id") or ""


def _unknown_call(item: dict[str, Any], said: object = None) -> ToolCall:
    kind = str(item.get("type", "")).removesuffix("_call")
    return ToolCall(kind, json_text(item if said is None else said), is_json=True)


def _blocks(content: object) -> list[Block]:
    if isinstance(content, str):
        return [Text(content)]
    return [_block(part) for part in content] if isinstance(content, list) else []


def _block(part: object) -> Block:
    if isinstance(part, dict):
        for name in ("text", "refusal"):
            if isinstance(part.get(name), str):
                return Text(part[name])
        url = part.get("image_url")
        if isinstance(url, dict):
            url = url.get("url")
        if isinstance(url, str):
            return Image(url)
        # As MCP servers give them.
        data, mime = part.get("data"), part.get("mimeType")
        if part.get("type") == "image" and isinstance(data, str) and isinstance(mime, str):
            return Image(f"data:{mime};base64,{data}")
    return Text(json_text(part))


def _action(name: str, arguments: object) -> Action:
    given: Any = arguments
    if isinstance(arguments, str):
        try:
            given = orjson.loads(arguments)
        except ValueError:
            return ToolCall(name, arguments, is_json=False)
    if isinstance(given, dict):
        known = _known_action(name, given)
        if known is not None:
            return known
    return ToolCall(name, json_text(given), is_json=True)


def _known_action(name: str, given: dict[str, Any]) -> Action | None:
    match name:
        case "shell" | "container.exec" | "local_shell" | "shell_command":
            return _command(given.get("command"), given)
        case "exec_command":
            return _command(given.get("cmd"), given)
        case "apply_patch":
            return _patch(string_in(given, "input") or string_in(given, "patch") or "")
        case "update_plan":
            return _plan(given)
    return None


def _command(command: object, given: dict[str, Any]) -> Action | None:
    if isinstance(command, str):
        script = command
    elif isinstance(command, list) and all(isinstance(word, str) for word in command):
        if len(command) == 2 and command[0] in ("apply_patch", "applypatch"):
            patch = _patch(command[1])
            if patch is not None:
                return patch
        script = _script(command)
    else:
        return None
    in_shell = _PATCH_IN_SHELL.fullmatch(script)
    patch = _patch(in_shell[3]) if in_shell else None
    if patch is not None:
        return patch
    cwd = string_in(given, "workdir") or string_in(given, "working_directory")
    return Command(script, cwd, string_in(given, "justification"))


def _script(argv: list[str]) -> str:
    """The command as one would type it."""
    if len(argv) == 3 and re.split(r"[/\\]", argv[0])[-1] in _SHELLS and argv[1] in _SCRIPT_FLAGS:
        return argv[2]
    return shlex.join(argv)


def _patch(text: str) -> Patch | None:
    if not text.strip().startswith("*** Begin Patch"):
        return None
    changes = []
    found = list(_CHANGED_FILE.finditer(text))
    ends = [*(following.start() for following in found[1:]), len(text)]
    for this, end in zip(found, ends, strict=False):
        lines = text[this.end() : end].split("\n")
        added = sum(line.startswith("+") for line in lines)
        removed = sum(line.startswith("-") for line in lines)
        kind: Any = this[1]
        moved = _MOVED.search(text, this.end(), end)
        changes.append(
            FileChange(
                this[2].strip(),
                kind,
                added,
                removed,
                list(_hunks(lines[1:])),
                moved[1].strip() if moved else None,
            )
        )
    return Patch(text.strip("\n"), changes)


def _hunks(lines: Sequence[str]) -> Iterator[Hunk]:
    old: list[str] = []
    new: list[str] = []
    end = len(lines)
    # Blank lines there are for whoever reads the patch.
    while end and lines[end - 1].strip() in ("", _END):
        end -= 1
    for line in (*lines[:end], "@@"):
        if line.startswith("@@"):
            if old != new:
                yield Hunk("".join(old), "".join(new))
            old, new = [], []
        elif not line.startswith("***"):
            text = line[1:] + "\n"
            if line[:1] != "+":
                old.append(text)
            if line[:1] != "-":
                new.append(text)


def _plan(given: dict[str, Any]) -> Plan | None:
    plan = given.get("plan")
    if not isinstance(plan, list):
        return None
    steps = []
    for entry in plan:
        step = string_in(entry, "step") if isinstance(entry, dict) else None
        if step is None:
            return None
        steps.append((string_in(entry, "status") or "pending", step))
    return Plan(steps, string_in(given, "explanation"))


def _outcome(call_id: str, output: object) -> Outcome:
    if isinstance(output, str) and output[:1] in ("{", "["):
        try:
            return _structured(call_id, orjson.loads(output)) or _plain(call_id, output)
        except ValueError:
            pass
    if isinstance(output, str):
        return _plain(call_id, output)
    found = _structured(call_id, output)
    return found or Outcome(call_id=call_id, blocks=[Text(json_text(output))])


def _structured(call_id: str, output: object) -> Outcome | None:
    """An output that is more than a text; None if it has no form that is known."""
    if isinstance(output, list) and all(isinstance(part, dict) for part in output):
        return Outcome(call_id=call_id, blocks=_blocks(output))
    if isinstance(output, dict) and isinstance(output.get("output"), str):
        metadata = output.get("metadata")
        if not isinstance(metadata, dict):
            return None
        code, duration = metadata.get("exit_code"), metadata.get("duration_seconds")
        return Outcome(
            call_id=call_id,
            blocks=[Text(output["output"])] if output["output"] else (),
            exit_code=code if type(code) is int else None,
            duration_s=duration if isinstance(duration, int | float) else None,
        )
    if isinstance(output, dict) and isinstance(output.get("content"), str):
        return _plain(call_id, output["content"])
    return None


def _plain(call_id: str, text: str) -> Outcome:
    found = _EXIT.match(text)
    if not found:
        return Outcome(call_id=call_id, blocks=[Text(text)] if text else ())
    code, seconds = found["a"] or found["b"], found["s"]
    rest = text[found.end() :]
    return Outcome(
        call_id=call_id,
        blocks=[Text(rest)] if rest else (),
        exit_code=int(code) if code else None,
        duration_s=float(seconds) if seconds else None,
    )
