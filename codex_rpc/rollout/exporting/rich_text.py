"""Markdown of the model and code in many languages, as HTML that can do nothing.

Whatever the text says: no HTML of its own, no link that is not http, https or mailto, no image
that is not in the text itself, no style. What cannot be shown in its form is shown as text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from codex_rpc.protocol.shapes import Image
from codex_rpc.rollout.exporting import wording

MAX_RENDERED_CHARS = 256 << 10
"""A longer text is shown as it is: nobody reads it, and everybody would wait for it."""
MAX_HIGHLIGHTED_CHARS = 64 << 10
_MAX_NESTING = 100
_LINK = re.compile(r"(?:https?://|mailto:)[^\s\x00-\x1f]+", re.IGNORECASE)
_LANGUAGES = {
    *("bash", "sh", "shell", "zsh", "console", "powershell", "ps1", "bat", "make", "makefile"),
    *("python", "py", "python3", "pycon", "ruby", "rb", "perl", "php", "lua", "r", "julia"),
    *("c", "cpp", "c++", "h", "hpp", "csharp", "cs", "java", "kotlin", "scala", "swift", "go"),
    *("rust", "rs", "zig", "haskell", "hs", "ocaml", "elixir", "erlang", "clojure", "dart"),
    *("javascript", "js", "jsx", "typescript", "ts", "tsx", "html", "css", "scss", "xml", "svg"),
    *("json", "jsonc", "yaml", "yml", "toml", "ini", "sql", "graphql", "protobuf", "docker"),
    *("dockerfile", "cmake", "nix", "vim", "diff", "patch", "markdown", "md", "tex", "latex"),
}
"""What is highlighted; of the hundreds of others some take for ever on hostile text."""


def markdown(text: str) -> str:
    """Markdown as HTML."""
    if len(text) > MAX_RENDERED_CHARS:
        return plain(text)
    parser = _parser()
    env: dict[str, Any] = {}
    tokens = parser.parse(text, env)
    # The parser drops what is nested too deeply.
    if any(token.level >= _MAX_NESTING - 2 for token in tokens):
        return plain(text)
    return str(parser.renderer.render(tokens, parser.options, env))


def plain(text: str) -> str:
    """Text with its own line ends and spaces."""
    return f'<div class="plain">{escape(text)}</div>'


def code(text: str, language: str) -> str:
    """A block of code, highlighted if the language is known."""
    return f'<pre class="code"><code>{_highlighted(text, language)}</code></pre>'


def _highlighted(text: str, language: str) -> str:
    language = language.lower()
    if language not in _LANGUAGES or len(text) > MAX_HIGHLIGHTED_CHARS:
        return escape(text)
    from pygments import highlight  # type: ignore[import-untyped]
    from pygments.formatters.html import HtmlFormatter  # type: ignore[import-untyped]
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return escape(text)
    return str(highlight(text, lexer, HtmlFormatter(nowrap=True)))


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt(
        "commonmark",
        {"html": False, "xhtmlOut": False, "maxNesting": _MAX_NESTING},
        renderer_cls=_Renderer,
    ).enable(["table", "strikethrough"])
    # Which links are followed is the renderer's business: their text is shown in any case.
    parser.validateLink = _any_link  # type: ignore[method-assign]
    return parser


def _any_link(url: str) -> bool:
    del url
    return True


class _Renderer(RendererHTML):
    """HTML with the classes of our style sheet, and with harmless links and images only."""

    def fence(self, tokens: Sequence[Token], idx: int, *_: Any) -> str:
        info = tokens[idx].info.split()
        return code(tokens[idx].content, info[0] if info else "")

    def code_block(self, tokens: Sequence[Token], idx: int, *_: Any) -> str:
        return code(tokens[idx].content, "")

    def link_open(self, tokens: Sequence[Token], idx: int, *_: Any) -> str:
        href = str(tokens[idx].attrGet("href") or "")
        if _LINK.fullmatch(href):
            return f'<a href="{escape(href)}" rel="noopener noreferrer nofollow">'
        return f'<a title="{escape(href)}">'

    def image(self, tokens: Sequence[Token], idx: int, *_: Any) -> str:
        src = str(tokens[idx].attrGet("src") or "")
        return image(Image(src), alt=tokens[idx].content)

    def heading_open(self, tokens: Sequence[Token], idx: int, *_: Any) -> str:
        # The document's own headings are the first two.
        return f"<h{_below(tokens[idx])}>"

    def heading_close(self, tokens: Sequence[Token], idx: int, *_: Any) -> str:
        return f"</h{_below(tokens[idx])}>\n"

    def table_open(self, *_: Any) -> str:
        return '<div class="table"><table>\n'

    def table_close(self, *_: Any) -> str:
        return "</table></div>\n"

    def th_open(self, tokens: Sequence[Token], idx: int, *_: Any) -> str:
        return f"<th{_alignment(tokens[idx])}>"

    def td_open(self, tokens: Sequence[Token], idx: int, *_: Any) -> str:
        return f"<td{_alignment(tokens[idx])}>"

    def html_block(self, tokens: Sequence[Token], idx: int, *_: Any) -> str:
        return escape(tokens[idx].content)

    def html_inline(self, tokens: Sequence[Token], idx: int, *_: Any) -> str:
        return escape(tokens[idx].content)


def image(shown: Image, *, alt: str = "") -> str:
    """An image, or what is said in its place."""
    raster = wording.raster_of(shown)
    if raster is None:
        told = ": ".join(text for text in (alt, wording.missing_image(shown)) if text)
        return f'<span class="no-image">{escape(told)}</span>'
    return f'<img src="{escape(raster.url)}" alt="{escape(alt or raster.label)}">'


def _below(token: Token) -> int:
    return min(6, int(token.tag[1:]) + 2)


def _alignment(token: Token) -> str:
    style = str(token.attrGet("style") or "")
    for side in ("right", "center"):
        if style.endswith(side):
            return f' class="{side}"'
    return ""
