"""How attempts end: the words, and who decides between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from .attempt import GAP_WORDS, Attempt, Mode
from .stage import was_tried

Means = Literal["bubblewrap", "landlock", "none"]
MEANS: tuple[Means, ...] = ("bubblewrap", "landlock", "none")

Word = Literal[
    "got out",
    "held",
    "allowed",
    "limit",
    "asked",
    "given up",
    "ESCAPED",
    "NOT TRIED",
    "BLOCKED",
    "impossible",
]
"""How an attempt ended.

`held`: the sandbox let nothing happen. `allowed`: the policy lets it happen, and it did. `limit`:
it got out, and the user is told that it can. `asked`: not all of the policy can be enforced, so
with `never` the command is refused and else the user is asked. `given up`: it got out after the
user had agreed to a question that said so. `got out` and `impossible` are for the control: without
a sandbox it succeeds, or this machine lets nobody do it.

Failures: `ESCAPED`. `NOT TRIED`: the command did not even begin. `BLOCKED`: what the policy lets
happen did not, or the control did not succeed.
"""

FAILURES: tuple[Word, ...] = ("ESCAPED", "NOT TRIED", "BLOCKED")


@dataclass(frozen=True)
class Verdict:
    """How one attempt ended, and what shows it."""

    word: Word
    evidence: Sequence[str] = ()
    gaps: Sequence[str] = ()
    """What was not enforced."""
    after_yes: Word | None = None
    """`asked`: how it went after the user had agreed. None: it was not tried."""
    output: str = ""

    @property
    def failed(self) -> bool:
        """Whether it should not have ended so."""
        return self.word in FAILURES or self.after_yes in FAILURES


@dataclass(frozen=True)
class Findings:
    """What became of one row."""

    row: Attempt
    control: Verdict
    cells: Mapping[tuple[Mode, Means], Verdict]

    def failures(self) -> Iterator[str]:
        """Each verdict that should not be, in words."""
        for name, verdict in self._named():
            if verdict.failed:
                word = verdict.word if verdict.after_yes is None else f"asked, {verdict.after_yes}"
                told = "; ".join(verdict.evidence) or "no evidence"
                yield f"{self.row.name} [{name}]: {word}: {told}\n{_indented(verdict.output)}"

    def _named(self) -> Iterator[tuple[str, Verdict]]:
        yield "no sandbox", self.control
        for (mode, means), verdict in self.cells.items():
            yield f"{mode}, {means}", verdict


def judged(
    row: Attempt, mode: Mode, evidence: Sequence[str], output: str, gaps: Sequence[str]
) -> Word:
    """What an attempt came to; `gaps`: what the user had been told is not enforced."""
    if not was_tried(output):
        return "NOT TRIED"
    if mode in row.allowed:
        return "allowed" if evidence else "BLOCKED"
    if not evidence:
        return "held"
    if row.network and mode == "network":
        return "allowed"
    if row.limit and mode in row.limited_in:
        return "limit"
    if row.gap is not None and any(GAP_WORDS[row.gap] in gap for gap in gaps):
        return "given up"
    return "ESCAPED"


def _indented(text: str) -> str:
    return "".join(f"    | {line}\n" for line in text.splitlines()[-12:])
