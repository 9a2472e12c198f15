"""Sessions as documents: everything is told, whoever wrote it, and no text does anything."""

from __future__ import annotations

import base64
import errno
import hashlib
import itertools
import json
import os
import re
import stat
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from support.rollout_files import SESSION_ID, write_session

from codex_rpc.protocol.errors import RolloutNotFound, RolloutWriteFailed
from codex_rpc.protocol.items import Item, text_message
from codex_rpc.protocol.records import ExportFormat
from codex_rpc.rollout.blobs import BlobFolder
from codex_rpc.rollout.export import document, write_document
from codex_rpc.rollout.files import OS_FILES
from codex_rpc.rollout.lines import object_in
from codex_rpc.rollout.store import RolloutStore

GOLDEN = Path(__file__).parents[2] / "golden" / "rollouts"
FORMATS: tuple[ExportFormat, ...] = ("markdown", "html", "json")
PNG = "data:image/png;base64,iVBORw0KGgo="
OUR_HTML = {"<details>\n<summary>", "</details>"}

TAGS = """
html head meta title style body main header section aside div span p pre code samp a img h1 h2 h3
h4 h5 h6 dl dt dd ol ul li details summary table thead tbody tr th td time strong em small s
blockquote br hr
"""
ATTRIBUTES = """
lang charset http-equiv content name class id href rel title src alt datetime open start
"""
IN_MARKDOWN = """
``` ~~~ ```` ` <!-- --> <details> </details> <b> > - 1. # | \\ & &lt; [a]( ![ ) * _ <script> <?php
<![CDATA[ </ a b = ---
"""
IN_HTML = """
<script> </ > < " ' & ` ``` ~~~ * _ [ ]( ) ![ # - | javascript: https:// = onerror= \\ <!-- ]]> :-:
data:image/svg+xml;base64, style=
"""
SPACES = ["\n", "\n\n", " ", "    ", "\t"]

Exported = Callable[..., str]


def message(role: str, *texts: str) -> dict[str, Any]:
    return {
        "type": "message",
        "role": role,
        "content": [{"type": "output_text", "text": text} for text in texts],
    }


def call(call_id: str, name: str, **arguments: Any) -> dict[str, Any]:
    text = json.dumps(arguments)
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": text}


def output(call_id: str, said: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": said}


def printed(call_id: str, text: str, code: int = 0) -> dict[str, Any]:
    told = {"output": text, "metadata": {"exit_code": code, "duration_seconds": 1.5}}
    return output(call_id, json.dumps(told))


def turn(status: str, at: str = "2026-11-22T16:29:44Z", **more: Any) -> dict[str, Any]:
    begin = {"record_type": "turn", "timestamp": at, "submission_id": "1", "status": status}
    return {**begin, **more}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / f"sessions/rollout-x-{SESSION_ID}.jsonl"


@pytest.fixture
def exported(path: Path, tmp_path: Path) -> Exported:
    """A session of the given lines as a document."""

    def export(kind: ExportFormat, *lines: Any, unsaved: Any = (), **head: Any) -> str:
        write_session(path, *lines, **head)
        return told(path, kind, unsaved=unsaved)

    return export


def told(path: Path, kind: ExportFormat, unsaved: Any = ()) -> str:
    blobs = BlobFolder(path.parent.parent, OS_FILES)
    return document(path, kind, blobs=blobs, unsaved=unsaved, check=lambda: None)


class Looked(HTMLParser):
    """An HTML document as a browser sees it: its elements, which have to fit, and its text."""

    VOID = frozenset({"meta", "img", "br", "hr"})

    def __init__(self, document: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text = ""
        self.links: list[str] = []
        self.images: list[str] = []
        self.folds: list[str] = []
        self.feed(document)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS.split()
        assert {name for name, _ in attrs} <= set(ATTRIBUTES.split())
        given = dict(attrs)
        if "href" in given:
            self.links.append(given["href"] or "")
        if "src" in given:
            self.images.append(given["src"] or "")
        if tag == "details":
            self.folds.append(given.get("class") or "")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")


RICH = [
    {
        "record_type": "context",
        "timestamp": "2026-11-22T16:29:43.832Z",
        "cwd": "/w",
        "model": "gpt-5",
        "model_provider": "openai",
        "approval_policy": "never",
        "sandbox_policy": {"mode": "read-only"},
    },
    turn("started"),
    message("user", "Fix it, *please*."),
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "**Look** first"}]},
    call("c1", "shell", command=["bash", "-lc", "ls -la\nmake"], workdir="/w/sub"),
    call("c2", "shell", command=["grep", "-n", "a b", "x.py"]),
    printed("c2", "\x1b[31mno\x1b[0m such\r\n"),
    printed("c1", "built\n", 3),
    call("c3", "update_plan", explanation="why", plan=[{"step": "one", "status": "completed"}]),
    output("c3", "Plan updated"),
    {
        "type": "custom_tool_call",
        "call_id": "c4",
        "name": "apply_patch",
        "input": "*** Begin Patch\n*** Update File: a.py\n@@ f\n-old\n+new\n+more\n*** End Patch",
    },
    {
        "type": "custom_tool_call_output",
        "call_id": "c4",
        "output": "Exit code: 0\nWall time: 0 seconds\nOutput:\nSuccess. Updated the following "
        "files:\nM a.py\n",
    },
    call("c5", "server__look", deep={"er": 1}),
    output(
        "c5", [{"type": "input_text", "text": "seen"}, {"type": "input_image", "image_url": PNG}]
    ),
    message("assistant", "Done:\n\n```python\nprint(1)\n```"),
    turn("completed", "2026-11-22T16:31:44Z", usage={"input_tokens": 1234, "output_tokens": 5}),
    {"record_type": "title", "title": "A better title"},
    turn("started", "2026-11-22T17:00:00Z"),
    {"type": "strange_thing", "value": 7},
]


class TestMarkdown:
    def test_the_document_begins_with_what_is_known_of_the_session(
        self, exported: Exported
    ) -> None:
        head = exported("markdown", *RICH).split("\n---\n")[0]
        assert head.startswith("# A better title\n\n")
        known = {
            "Folder": "/w",
            "Model": "gpt-5",
            "Sandbox": "read-only",
            "Started": "22 Nov 2026, 16:29 UTC",
            "Turns": "2",
            "Tokens": "1,234 in, 5 out",
            "Written by": "codex-rpc",
            "Session": SESSION_ID,
        }
        for name, value in known.items():
            assert f"- **{name}:** `{value}`\n" in head

    def test_turns_are_headings_with_their_date_ending_and_cost(self, exported: Exported) -> None:
        text = exported("markdown", *RICH)
        line = "22 Nov 2026, 16:29 UTC · completed · 2 min 0 s · 1,234 tokens in, 5 out"
        assert f"## Turn 1\n\n*{line}*\n\n### User\n\nFix it, *please*.\n" in text
        assert "## Turn 2\n\n*22 Nov 2026, 17:00 UTC · unfinished*" in text

    def test_a_command_is_a_fenced_block_and_its_output_is_folded(self, exported: Exported) -> None:
        text = exported("markdown", *RICH)
        assert (
            "In `/w/sub`:\n\n```sh\nls -la\nmake\n```\n\n<details>\n"
            "<summary>Exit code 3 · 1.5 s · 1 line</summary>\n\n```text\nbuilt\n```\n\n</details>\n"
        ) in text
        assert "```sh\ngrep -n 'a b' x.py\n```\n\n<details>\n<summary>Exit code 0" in text
        assert "```text\nno such\n```" in text

    def test_patches_plans_tools_and_reasoning_have_their_forms(self, exported: Exported) -> None:
        text = exported("markdown", *RICH)
        assert (
            "- `a.py` changed +2 \N{MINUS SIGN}1\n\n```diff\n*** Begin Patch\n"
            "*** Update File: a.py\n@@ f\n-old\n+new\n+more\n*** End Patch\n```\n\n**Tool**"
        ) in text
        assert "**Plan.** why\n\n- [x] one\n\n" in text
        assert "<summary>Reasoning</summary>\n\n**Look** first\n\n</details>" in text
        assert '**Tool** `server__look`\n\n```json\n{\n  "deep": {' in text
        assert f"![PNG image, 8 bytes]({PNG})" in text
        assert '**strange\\_thing**\n\n```json\n{\n  "type": "strange_thing",' in text

    def test_a_large_image_is_only_named(self, exported: Exported) -> None:
        url = "data:image/jpeg;base64," + "A" * 40_000
        item = {"type": "message", "role": "user", "content": [{"image_url": url}]}
        text = exported("markdown", item)
        assert "*[JPEG image, 29.3 KiB]*" in text
        assert "AAAA" not in text

    @pytest.mark.parametrize("inside", ["```", "````\n```", "`````sh"])
    def test_a_fence_is_longer_than_any_in_its_text(self, exported: Exported, inside: str) -> None:
        text = exported("markdown", call("c", "shell", command=["cat"]), printed("c", inside))
        fences = [t for t in MarkdownIt("commonmark").parse(text) if t.type == "fence"]
        assert fences[-1].content == f"{inside}\n"

    @pytest.mark.parametrize(
        "said",
        [
            "```python\nnever closed",
            "~~~~\n```\n~~~",
            "> ```\n> quoted",
            "1. step\n   ```\n   in a list",
            "<!-- never closed",
            "<details><summary>open",
            "a <b\nc='<!--'>",
            "<script>\n\n*x*",
            "```<!--```",
            "> <details>\n> x\n\n- <pre>",
        ],
    )
    def test_no_message_reaches_beyond_itself(self, exported: Exported, said: str) -> None:
        assert_contained(exported("markdown", message("assistant", said), *RICH[1:3]))

    @settings(deadline=None, max_examples=60)
    @given(
        st.lists(
            st.sampled_from([*IN_MARKDOWN.split(), *SPACES, "é"]),
            max_size=24,
        )
    )
    def test_no_text_at_all_does(self, tmp_path_factory: Any, pieces: list[str]) -> None:
        path = tmp_path_factory.mktemp("any") / "sessions/x.jsonl"
        said = "".join(pieces)
        item = {"type": "reasoning", "summary": [{"type": "summary_text", "text": said}]}
        title = {"record_type": "title", "title": said or "x"}
        write_session(path, message("user", said), message("assistant", said), item, title, *RICH)
        assert_contained(told(path, "markdown"))

    def test_text_without_html_and_open_fences_is_kept_to_the_byte(
        self, exported: Exported
    ) -> None:
        said = "# Head\n\n* a\n    code\n\n`x < y` &amp; \\* **b**\n\n```c\nint a<b>;\n```"
        assert f"### Assistant\n\n{said}\n\n" in exported("markdown", message("assistant", said))


def assert_contained(text: str) -> None:
    """The turns and folds that we wrote are all there, and no others."""
    tokens = MarkdownIt("commonmark").parse(text)
    headings = [
        after.content
        for token, after in itertools.pairwise(tokens)
        if token.type == "heading_open" and token.level == 0 and token.tag == "h2"
    ]
    assert headings[-1].startswith("Turn ")
    for token in tokens:
        if token.type == "html_block":
            assert token.content.strip().startswith(tuple(OUR_HTML))
        assert not [c for c in token.children or () if c.type == "html_inline"]
    folds = [token.content for token in tokens if token.type == "html_block"]
    opening = sum(content.startswith("<details>") for content in folds)
    assert opening == sum(content.startswith("</details>") for content in folds)


class TestHtml:
    def test_everything_is_told(self, exported: Exported) -> None:
        looked = Looked(exported("html", *RICH))
        for said in (
            "A better title",
            "Fix it, *please*.",
            "Look first",
            "ls -la\nmake",
            "exit code 3 · 1.5 s · 1 line",
            "grep -n 'a b' x.py",
            "no such",
            "+more",
            "a.py changed +2 \N{MINUS SIGN}1",
            "print(1)",
            "seen",
            "strange_thing",
            "1,234 tokens in, 5 out",
            "unfinished",
        ):
            assert said in looked.text
        assert looked.images == [PNG]
        assert looked.folds == [
            f"card {kind}" for kind in ("reasoning", "command", "command", "patch", "tool", "tool")
        ]
        assert "Success." not in looked.text

    def test_the_policy_allows_our_style_and_nothing_else(self, exported: Exported) -> None:
        text = exported("html", *RICH)
        (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
        (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert policy == (
            f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
            "base-uri 'none'; form-action 'none'"
        )
        assert "prefers-color-scheme: dark" in style
        assert not re.search(r"url\(|@import|expression", style)
        assert "style=" not in text

    def test_the_models_markdown_is_rendered_and_its_code_highlighted(
        self, exported: Exported
    ) -> None:
        said = "# Head\n\n**bold** [page](https://a.b/c?d=1&e)\n\n```python\ndef f(): pass\n```\n"
        said += "\n| a | b |\n|--:|:-:|\n| 1 | 2 |\n\n[file](src/x.py) <b>no</b> ~~gone~~"
        text = exported("html", message("assistant", said))
        assert "<h3>Head</h3>" in text
        assert '<strong>bold</strong> <a href="https://a.b/c?d=1&amp;e" rel="' in text
        assert '<span class="k">def</span>' in text
        assert '<th class="right">a</th>' in text
        assert '<a title="src/x.py">file</a> &lt;b&gt;no&lt;/b&gt; <s>gone</s>' in text

    def test_what_the_user_said_is_shown_as_it_is(self, exported: Exported) -> None:
        looked = Looked(exported("html", message("user", "# no head\n\n  **x** <b>")))
        assert "# no head\n\n  **x** <b>" in looked.text

    @pytest.mark.parametrize("nested", ["> " * 400 + "deep", "- " * 300 + "deep"])
    def test_what_is_nested_too_deeply_is_not_lost(self, exported: Exported, nested: str) -> None:
        assert nested in Looked(exported("html", message("assistant", nested))).text

    def test_a_long_answer_is_shown_as_it_is(self, exported: Exported) -> None:
        said = "**x** " * 60_000
        assert said.strip() in Looked(exported("html", message("assistant", said))).text

    @pytest.mark.parametrize(
        "hostile",
        [
            "<script>alert(1)</script>",
            "\"><img src=x onerror='alert(1)'>",
            "</style></title></summary></details></pre></main><iframe src=//evil>",
            "[x](javascript:alert(1)) [y](JaVaScRiPt:1) [z](data:text/html,x) <javascript:1>",
            '![x](https://evil/t.png) [a](https://x "\\" onclick=1")',
            '[q](https://a" onmouseover=b) <https://c/\'"> <a@b.c>',
            '```"><script>\nx\n```\n~~~ x onload=1\ny\n~~~',
            "<!-- --> <![CDATA[ <? &lt;script&gt; \x00\x1b]0;x\x07\u202e\ud7ff",
            "*** Begin Patch\n*** Add File: <script>\n+<b>\n*** End Patch",
            "| <b> | `<i>` |\n|:-:|--:|\n| \"' | <script> |",
        ],
    )
    def test_hostile_text_in_every_field_does_nothing(
        self, exported: Exported, hostile: str
    ) -> None:
        text = exported("html", *hostile_lines(hostile), unsaved=[text_message(hostile)],
            format=1, cwd=hostile, version=hostile, instructions=hostile,
            git={"branch": hostile, "commit_hash": hostile},
            forked_from={"id": hostile, "path": hostile},
        )  # fmt: skip
        looked = Looked(text)
        for link in looked.links:
            assert re.match(r"(https?://|mailto:|#turn-\d+$)", link)
        for image in looked.images:
            assert re.fullmatch(r"data:image/png;base64,[A-Za-z0-9+/=]+", image)

    @settings(deadline=None, max_examples=60)
    @given(
        st.lists(
            st.one_of(
                st.sampled_from([*IN_HTML.split(), *SPACES]),
                st.text(max_size=5),
            ),
            max_size=25,
        )
    )
    def test_no_text_breaks_out_of_its_place(
        self, tmp_path_factory: Any, pieces: list[str]
    ) -> None:
        path = tmp_path_factory.mktemp("any") / "sessions/x.jsonl"
        write_session(path, *hostile_lines("".join(pieces).encode("utf-8", "replace").decode()))
        looked = Looked(told(path, "html"))
        assert all(re.match(r"https?://|mailto:|#", link, re.IGNORECASE) for link in looked.links)

    @pytest.mark.parametrize(
        "url",
        [
            "data:image/svg+xml;base64,PHN2Zz4=",
            "data:text/html;base64,PHN2Zz4=",
            "data:image/png,raw",
            'data:image/png;base64,AA==" onerror="x',
            "https://example.com/x.png",
            "file:///etc/passwd",
        ],
    )
    def test_only_raster_images_of_the_session_itself_are_shown(
        self, exported: Exported, url: str
    ) -> None:
        item = {"type": "message", "role": "user", "content": [{"image_url": url}]}
        looked = Looked(exported("html", item))
        assert looked.images == []
        assert "image" in looked.text

    def test_long_sessions_have_a_table_of_contents(self, exported: Exported) -> None:
        looked = Looked(exported("html", *[message("user", f"question {n}") for n in range(4)]))
        assert [link for link in looked.links if link.startswith("#")][:4] == [
            f"#turn-{n}" for n in (1, 2, 3, 4)
        ]
        assert "4 turns" in looked.text


def hostile_lines(text: str) -> list[dict[str, Any]]:
    """A session in which every field that is ever shown says `text`."""
    plan = [{"step": text, "status": text}, {"step": text, "status": "in_progress"}]
    command = {"type": "exec", "command": [text, text], "working_directory": text}
    return [
        {
            "record_type": "context",
            "timestamp": text,
            "cwd": text,
            "model": text,
            "model_provider": text,
            "approval_policy": text,
            "sandbox_policy": {"mode": text},
        },
        {"record_type": "context", "cwd": "/b", "model": "n", "sandbox_policy": {"mode": "m"}},
        {"record_type": "context", "cwd": text, "model": text, "sandbox_policy": {"mode": text}},
        turn("started", submission_id=text),
        message("user", text),
        message(text, text),
        {"type": "message", "role": "user", "content": [{"image_url": text}]},
        {"type": "message", "role": "user", "content": [{"type": text, "unknown": text}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]},
        call("c1", "shell", command=["bash", "-lc", text], workdir=text, justification=text),
        printed("c1", text, 1),
        call("c2", text, given=text),
        output("c2", [{"type": "text", "text": text}, {"image_url": text}]),
        {"type": "local_shell_call", "call_id": "c3", "action": command},
        output("c3", text),
        call("c4", "update_plan", explanation=text, plan=plan),
        output("c4", text),
        {"type": "custom_tool_call", "call_id": text, "name": "apply_patch", "input": text},
        {"type": "custom_tool_call", "call_id": "c6", "name": text, "input": text},
        {"type": "custom_tool_call_output", "call_id": "c6", "output": {"content": text}},
        {"type": "function_call", "call_id": "c7", "name": "shell", "arguments": text},
        {"type": "web_search_call", "id": text, "action": {"query": text}},
        {"type": f"x{text}", "value": text},
        output("lost", text),
        message("assistant", text),
        {"record_type": "title", "title": text},
        turn("aborted", submission_id=text, reason=text, usage={"input_tokens": 1, text: 2}),
        {"record_type": "compacted", "summary": text, "replaces": 3, "line": 99},
    ]  # fmt: skip


class TestJson:
    def test_entries_are_what_the_file_tells_in_its_order(self, exported: Exported) -> None:
        told = json.loads(exported("json", *RICH))
        assert told["format"] == 1
        items = [line for line in RICH if "record_type" not in line]
        entries = [entry for entry in told["entries"] if entry["kind"] == "item"]
        assert [entry["item"] for entry in entries] == items
        assert [entry["index"] for entry in entries] == list(range(len(items)))
        others = [entry for entry in told["entries"] if entry["kind"] != "item"]
        assert [entry["kind"] for entry in others] == [
            "context", "turn", "turn", "title", "turn",
        ]  # fmt: skip
        assert others[2] == {
            "kind": "turn",
            "timestamp": "2026-11-22T16:31:44.000Z",
            "submission_id": "1",
            "status": "completed",
            "usage": {"input_tokens": 1234, "output_tokens": 5},
        }
        updated_at = told["session"].pop("updated_at")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", updated_at)
        assert told["session"] == {
            "id": SESSION_ID,
            "origin": "codex-rpc",
            "title": "A better title",
            "cwd": "/w",
            "model": "gpt-5",
            "model_provider": "openai",
            "created_at": "2026-11-22T16:29:43.832Z",
            "usage": {"input_tokens": 1234, "output_tokens": 5},
            "item_count": len(items),
            "unsaved_count": 0,
            "damage_count": 0,
        }

    def test_items_are_verbatim(self, exported: Exported) -> None:
        line = (
            b'{"type":"message", "role":"user","x":12345678901234567890123,"y":1.50,"z":"\\u00e9"}'
        )
        assert line.decode() in exported("json", line + b"\n")

    def test_each_entry_is_a_line(self, exported: Exported) -> None:
        lines = exported("json", *RICH).split("\n")
        assert lines[0].endswith('"entries":[')
        assert [json.loads(line.rstrip(",")) for line in lines[1:-2]]
        assert lines[-2:] == ["]}", ""]


@pytest.mark.parametrize("kind", FORMATS)
class TestAnyFormat:
    def test_what_is_before_a_compaction_is_told_too(
        self, exported: Exported, kind: ExportFormat
    ) -> None:
        marker = {"record_type": "compacted", "summary": "the sum", "replaces": 2, "line": 4}
        text = exported(
            kind, message("user", "before"), message("assistant", "answer"), marker,
            RICH[0], message("user", "after"),
        )  # fmt: skip
        positions = [text.index(said) for said in ("answer", "the sum", "after")]
        assert positions == sorted(positions)
        if kind == "json":
            entries = json.loads(text)["entries"]
            assert entries[2] == {"kind": "compaction", "summary": "the sum", "replaces": 2}
            assert entries[-1]["index"] == 2

    def test_indices_are_those_of_the_session_also_behind_what_is_lost(
        self, exported: Exported, kind: ExportFormat
    ) -> None:
        marker = {"record_type": "compacted", "summary": "the sum", "replaces": 2, "line": 4}
        lines = [message("user", "before"), b"{torn\n", marker, RICH[0], message("user", "after")]
        text = exported(kind, *lines)
        assert "after" in text
        if kind == "json":
            entries = json.loads(text)["entries"]
            assert [e["index"] for e in entries if e["kind"] == "item"] == [0, 2]

    def test_damage_is_told_where_it_is(self, exported: Exported, kind: ExportFormat) -> None:
        text = exported(
            kind, message("user", "one"), b"{torn\n", b'{"no": "type"}\n', message("user", "two"),
            b'{"type":"mess',
        )  # fmt: skip
        if kind == "json":
            damage = [e for e in json.loads(text)["entries"] if e["kind"] == "damage"]
            assert [(e["line"], e["bytes"]) for e in damage] == [(3, 5), (4, 14), (6, 13)]
            assert json.loads(text)["session"]["damage_count"] == 3
        else:
            assert "3 lines of the file" in text
            for said in ("not valid JSON", "without a type", "unfinished"):
                assert said in text
            assert text.index("one") < text.index("not valid JSON") < text.index("two")

    def test_what_is_not_saved_is_told_at_the_end(
        self, exported: Exported, kind: ExportFormat
    ) -> None:
        unsaved = [text_message("first left"), Item.from_value(message("assistant", "second left"))]
        text = exported(kind, message("user", "saved"), unsaved=unsaved)
        if kind == "json":
            entries = json.loads(text)["entries"]
            assert [(e["index"], e.get("saved", True)) for e in entries] == [
                (0, True), (1, False), (2, False),
            ]  # fmt: skip
            assert json.loads(text)["session"]["unsaved_count"] == 2
        else:
            assert "the last 2 items" in text
            assert text.index("saved") < text.index("first left") < text.index("second left")

    def test_stored_strings_are_put_back(
        self, exported: Exported, tmp_path: Path, kind: ExportFormat
    ) -> None:
        picture = "data:image/png;base64," + "QUJD" * 8_000
        long = "the beginning " + "x" * 300_000 + " the end"
        blobs = BlobFolder(tmp_path, OS_FILES)
        lines: list[bytes] = []
        for item in (
            {"type": "message", "role": "user", "content": [{"image_url": picture}]},
            output("c", long),
        ):
            stored = blobs.stored(Item.from_value(item))
            assert stored is not None
            refs, rest = stored
            lines += [json.dumps({"record_type": "blobs", "refs": refs}).encode() + b"\n"]
            lines += [rest + b"\n"]
        text = exported(kind, call("c", "shell", command=["x"]), *lines)
        assert long in text
        assert (picture in text) == (kind != "markdown")
        for blob in (tmp_path / "sessions/blobs").rglob("*"):
            if blob.is_file():
                blob.write_bytes(b"another")
        text = told(tmp_path / f"sessions/rollout-x-{SESSION_ID}.jsonl", kind)
        assert text.count("its stored content is not what was stored") == 2
        assert "the beginning" in text

    @pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.iterdir()))
    def test_sessions_of_the_codex_cli_are_told_whole(
        self, kind: ExportFormat, name: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "sessions/x.jsonl"
        path.parent.mkdir()
        path.write_bytes((GOLDEN / f"{name}.jsonl").read_bytes())
        text = told(path, kind)
        if kind == "html":
            text = Looked(text).text
        for line in path.read_bytes().splitlines()[1:]:
            value = object_in(line) or {}
            item = value.get("payload", value) if value.get("type") == "response_item" else value
            if item.get("type") == "message" and item.get("role") == "assistant":
                assert item["content"][0]["text"] in text

    def test_it_can_be_stopped(self, path: Path, kind: ExportFormat) -> None:
        class StoppedError(Exception):
            pass

        def stop() -> None:
            raise StoppedError

        write_session(path, *RICH)
        with pytest.raises(StoppedError):
            document(
                path, kind, blobs=BlobFolder(path, OS_FILES), unsaved=(), check=stop
            )  # fmt: skip


def test_todays_sessions_tell_their_turns_models_and_tokens() -> None:
    text = told(GOLDEN / "codex-0.169-resume.jsonl", "markdown")
    assert "- **Model:** `gpt-6.1-sol`\n" in text
    assert "- **Tokens:** `200 in (20 cached), 10 out (4 reasoning)`\n" in text
    assert "- **Written by:** `Codex CLI 0.169.0`\n" in text
    turns = re.findall(r"## Turn \d\n\n\*(.*)\*", text)
    assert [line.split(" · ")[1:] for line in turns] == [
        ["completed", "0.2 s", "100 tokens in (10 cached), 5 out (2 reasoning)"],
        ["completed", "0.1 s", "100 tokens in (10 cached), 5 out (2 reasoning)"],
    ]
    assert "environment\\_context" not in text


def test_each_of_todays_turns_tells_its_own_tokens(path: Path) -> None:
    def event(kind: str, **payload: Any) -> dict[str, Any]:
        return {"type": "event_msg", "payload": {"type": kind, **payload}}

    def spent(total: int) -> dict[str, Any]:
        return event("token_count", info={"total_token_usage": {"total_tokens": total}})

    write_session(
        path,
        *[event("task_started", turn_id="1"), spent(100)],
        *[event("task_started", turn_id="2"), spent(100), spent(150)],
        *[event("turn_aborted", turn_id="2"), event("token_count", info=None)],
        *[event("turn_started", turn_id="3"), event("turn_complete", turn_id="3")],
        type="session_meta",
        payload={"id": SESSION_ID},
    )
    turns = [e for e in json.loads(told(path, "json"))["entries"] if e["status"] != "started"]
    assert [(turn["status"], turn.get("usage")) for turn in turns] == [
        ("aborted", {"total_tokens": 50}),
        ("completed", None),
    ]
    assert "interrupted" in told(path, "markdown")


def test_turns_that_were_taken_back_and_summaries_of_todays_sessions_are_told(
    path: Path,
) -> None:
    def line(kind: str, **payload: Any) -> dict[str, Any]:
        return {"timestamp": "2026-11-22T16:45:23.858Z", "type": kind, "payload": payload}

    write_session(
        path,
        line("response_item", **message("user", "one")),
        line("event_msg", type="thread_rolled_back", num_turns=1),
        line("compacted", message="in short", replacement_history=[]),
        line("event_msg", type="turn_aborted", reason="interrupted"),
        **line("session_meta", id=SESSION_ID, cwd="/w"),
    )
    text = told(path, "markdown")
    assert "> **Taken back:** the last turn before this." in text
    assert "in short" in text


def test_settings_that_change_are_told(exported: Exported) -> None:
    again = {**RICH[0], "model": "gpt-6", "cwd": "/v"}
    text = exported("markdown", RICH[0], message("user", "one"), RICH[0], again)
    assert text.count("From here on") == 1
    assert "> **From here on:** folder `/v`, model `gpt-6`\n" in text
    assert "- **Model:** `gpt-5, gpt-6`\n" in text


def test_a_session_without_records_of_turns_has_one_for_each_question(exported: Exported) -> None:
    text = exported("markdown", *[message(role, "x") for role in ("user", "assistant") * 3])
    assert [line for line in text.split("\n") if line.startswith("##")] == [
        line for n in (1, 2, 3) for line in (f"## Turn {n}", "### User", "### Assistant")
    ]


def test_what_the_user_adds_while_a_turn_runs_belongs_to_it(exported: Exported) -> None:
    lines = [turn("started"), message("user", "one"), message("user", "two"), turn("completed")]
    assert exported("markdown", *lines).count("## Turn") == 1


@pytest.mark.parametrize(
    "line",
    [
        {"type": "message"},
        {"type": "message", "role": 7, "content": {"a": 1}},
        {"type": "message", "role": "user", "content": [None, 7, [], {"text": None}]},
        {"type": "reasoning", "summary": 7, "content": [{"type": "reasoning_text"}]},
        {"type": "function_call", "name": None, "arguments": {"command": ["a"]}},
        {"type": "function_call", "name": "shell", "arguments": '{"command": [1, 2]}'},
        {"type": "function_call", "name": "shell", "arguments": "[1]"},
        {"type": "function_call", "name": "update_plan", "arguments": '{"plan": [1]}'},
        {"type": "function_call", "name": "apply_patch", "arguments": '{"input": 5}'},
        {"type": "local_shell_call", "action": None},
        {"type": "local_shell_call", "action": {"command": "echo"}},
        {"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin Patch"},
        {"type": "function_call_output", "call_id": 7, "output": None},
        {"type": "function_call_output", "output": {"output": "x", "metadata": 1}},
        {"type": "function_call_output", "output": '{"output":"x","metadata":{"exit_code":"1"}}'},
        {"type": "function_call_output", "output": "Exit code: 99999999999999999\nOutput:\n"},
        {
            "type": "function_call_output",
            "output": {"output": "x", "metadata": {"exit_code": 1, "duration_seconds": 1e300}},
        },
        {"record_type": "turn", "status": ["x"]},
        {"record_type": "turn", "status": "completed", "usage": {"input_tokens": "1", "x": -1}},
        {"record_type": "context", "sandbox_policy": [1], "cwd": 7, "model": {}},
        {"record_type": "title", "title": 7},
        {"record_type": "blobs", "refs": "x"},
        {"record_type": "unheard_of"},
    ],
)
@pytest.mark.parametrize("kind", FORMATS)
def test_no_line_is_too_strange(exported: Exported, kind: ExportFormat, line: Any) -> None:
    text = exported(kind, line, message("user", "and on"))
    assert "and on" in text
    if kind == "html":
        Looked(text)


class TestWriting:
    def test_a_document_is_for_its_owner_only(self, tmp_path: Path) -> None:
        write_document(tmp_path / "x.md", "é\n" * 3)
        assert (tmp_path / "x.md").read_bytes() == "é\n".encode() * 3
        assert stat.S_IMODE((tmp_path / "x.md").stat().st_mode) == 0o600

    def test_what_is_there_is_never_written_over(self, tmp_path: Path) -> None:
        (tmp_path / "x.md").write_text("mine")
        (tmp_path / "link.md").symlink_to(tmp_path / "elsewhere")
        for name in ("x.md", "link.md"):
            with pytest.raises(RolloutWriteFailed) as caught:
                write_document(tmp_path / name, "theirs")
            assert "exists" in caught.value.reason
        assert (tmp_path / "x.md").read_text() == "mine"
        assert not (tmp_path / "elsewhere").exists()

    def test_a_missing_folder_is_said(self, tmp_path: Path) -> None:
        for path in (tmp_path / "no/x.md", tmp_path / "nul\0.md"):
            with pytest.raises(RolloutWriteFailed):
                write_document(path, "x")

    @pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no small file system at hand")
    def test_a_full_disk_leaves_nothing_behind(self, tmp_path: Path) -> None:
        import resource
        import signal

        # The next best thing to a full disk: a limit to how large a file may become.
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
        try:
            with pytest.raises(RolloutWriteFailed, match=os.strerror(errno.EFBIG)):
                write_document(tmp_path / "x.md", "x" * 10_000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        assert list(tmp_path.iterdir()) == []


class TestTheStore:
    async def test_it_exports_by_id_archived_sessions_too(self, tmp_path: Path) -> None:
        store = RolloutStore(tmp_path, version="1")
        path = tmp_path / f"archived_sessions/rollout-x-{SESSION_ID}.jsonl"
        write_session(path, message("user", "hi"))
        text = await store.export(SESSION_ID, "json", path=None, unsaved=())
        assert text is not None
        target = tmp_path / "out.json"
        assert await store.export(SESSION_ID, "json", path=target, unsaved=()) is None
        assert target.read_text() == text

    async def test_an_unknown_session_is_not_found_and_writes_nothing(self, tmp_path: Path) -> None:
        store = RolloutStore(tmp_path, version="1")
        with pytest.raises(RolloutNotFound):
            await store.export(SESSION_ID, "html", path=tmp_path / "x.html", unsaved=())
        assert list(tmp_path.iterdir()) == []
