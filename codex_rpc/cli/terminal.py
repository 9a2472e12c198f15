"""A terminal, or the file that stands in its place: text out, single keys in, nothing blocking.

Owns rich, the keyboard's modes, and what becomes of characters that would do more than be seen.
Knows no events.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path
from typing import Self

import anyio
from rich.console import Console, ConsoleOptions, RenderableType
from rich.text import Text

from codex_rpc.rpc.stdio import ByteWriter, PeerGone

PLAIN_SIZE = os.terminal_size((100, 30))
"""The size of what is no terminal."""

POLL_S = 0.05

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_SEQUENCES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])"
)


def harmless(text: str) -> str:
    """`text` to be read on a terminal: what would move the cursor, or worse, is spelt out."""
    return _CONTROLS.sub(_spelt_out, text.replace("\r", ""))


def unstyled(line: str) -> str:
    """A line of a program's output as it would end up on a terminal, without colours.

    Of a line that was written over and over, as progress bars are, the last state counts.
    """
    *_, line = line.rstrip("\r").split("\r")
    return _CONTROLS.sub(_spelt_out, _SEQUENCES.sub("", line).expandtabs())


def exact(text: str) -> str:
    """`text` to be judged: whatever cannot be seen as what it is, is spelt out."""
    return "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text)


def shown_command(argv: Sequence[str]) -> str:
    """A command as one would type it into a shell; nothing in it is hidden or cut."""
    return exact(" ".join(map(_quoted, argv)))


def _quoted(argument: str) -> str:
    # Code is full of single quotes, which are hard to read within single quotes.
    if "'" in argument and not any(c in argument for c in '"$`\\!'):
        return f'"{argument}"'
    return shlex.quote(argument)


def _spelt_out(match: re.Match[str]) -> str:
    return _escaped(match[0])


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


class Hanging:
    """A text, wrapped, with `before` in front of its first line and a margin before the others."""

    def __init__(self, text: Text, before: Text | str = "  ") -> None:
        self._text = text
        self._before = Text(before) if isinstance(before, str) else before

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        before = self._before
        width = max(options.max_width - before.cell_len, 1)
        for line in self._text.wrap(console, width, overflow="fold"):
            line.rstrip()
            yield Text.assemble(before, line)
            before = Text(" " * before.cell_len)


class Screen:
    """Where people read: styled if it is a terminal, plain if it is not or `NO_COLOR` is set.

    Writing waits until the text is taken, without holding up anything else. When nobody reads
    any more it is dropped: there is no one left to tell.
    """

    def __init__(self, fd: int, writer: ByteWriter) -> None:
        """`writer` writes to what `fd` is."""
        self._fd = fd
        self._writer = writer
        self._writing = anyio.Lock()
        self.is_terminal = os.isatty(fd)
        colourful = self.is_terminal and not os.environ.get("NO_COLOR") and os.name == "posix"
        self._rendered = StringIO()
        self._console = Console(
            file=self._rendered,
            force_terminal=colourful,
            color_system="auto" if colourful else None,
            legacy_windows=False,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._gone = False

    @property
    def size(self) -> os.terminal_size:
        """Columns and rows, as they are now."""
        if self.is_terminal:
            try:
                size = os.get_terminal_size(self._fd)
            except OSError:
                return PLAIN_SIZE
            if size.columns and size.lines:
                return size
        return PLAIN_SIZE

    async def print(self, *renderables: RenderableType) -> None:
        """Each on lines of its own, wrapped to the width."""
        self._console.width = self.size.columns
        for renderable in renderables:
            self._console.print(renderable)
        await self._flush()

    async def stream(self, text: str, style: str = "", *, end: str = "") -> None:
        """`text` where the cursor is. Only the terminal breaks lines, so it can be copied."""
        self._console.print(Text(text, style=style), end=end, soft_wrap=True)
        await self._flush()

    async def _flush(self) -> None:
        text = self._rendered.getvalue()
        self._rendered.seek(0)
        self._rendered.truncate()
        async with self._writing:
            if text and not self._gone:
                try:
                    await self._writer.write(text.encode("utf-8", "replace"))
                except PeerGone:
                    self._gone = True


class Keyboard:
    """The terminal of whoever started us, for single keys."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    @classmethod
    def find(cls) -> Self | None:
        """Standard input if it is a terminal, else the controlling terminal; None: no terminal."""
        if sys.stdin is not None and sys.stdin.isatty():
            return cls(os.dup(sys.stdin.fileno()))
        if sys.platform == "win32":
            return None
        try:
            return cls(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
        except OSError:
            return None

    @contextmanager
    def single_keys(self) -> Iterator[None]:
        """Within this, keys come one by one and unseen. Ctrl-C still interrupts.

        What was typed before is thrown away: it was no answer to what had not been asked.
        """
        if sys.platform == "win32":
            import msvcrt

            while msvcrt.kbhit():
                msvcrt.getwch()
            yield
            return
        import termios
        import tty

        before = None
        # A terminal that was hung up has no modes; reading it will tell.
        with suppress(termios.error):
            before = termios.tcgetattr(self.fd)
            tty.setcbreak(self.fd, termios.TCSAFLUSH)
        try:
            yield
        finally:
            if before is not None:
                with suppress(termios.error):
                    termios.tcsetattr(self.fd, termios.TCSADRAIN, before)

    async def key(self) -> str:
        """The next key that is pressed within `single_keys`; `""` when the terminal is gone."""
        # A human is waited for, so a look now and then is enough; and it works for every kind of
        # terminal, of which the systems' event queues refuse some.
        while not self._is_pressed():  # noqa: ASYNC110
            await anyio.sleep(POLL_S)
        if sys.platform == "win32":
            import msvcrt

            return msvcrt.getwch()
        try:
            # More than one character at once is an arrow or function key, or was pasted.
            return os.read(self.fd, 64).decode("utf-8", "replace")
        except OSError:
            return ""

    def _is_pressed(self) -> bool:
        if sys.platform == "win32":
            import msvcrt

            return msvcrt.kbhit()
        return bool(select.select([self.fd], [], [], 0)[0])

    def close(self) -> None:
        """Let go of the terminal."""
        os.close(self.fd)


def home_relative(path: str) -> str:
    """`path` with the home folder as `~`."""
    try:
        return str(Path("~") / Path(path).relative_to(Path.home()))
    except (ValueError, RuntimeError):
        return path
