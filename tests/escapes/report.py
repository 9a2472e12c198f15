"""The table as text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from .attempt import MODES
from .verdicts import MEANS, Findings, Verdict

COLUMNS = [(mode, means) for mode in MODES for means in MEANS]

_WIDTH = 54

_STAGE = re.compile(r"/[^`]*/esc-[^/]+/\w+/")

LEGEND = """\
The control is the same attempt without a sandbox; it has to get out, or prove nothing by failing.
held      nothing happened outside
allowed   the policy lets it happen, and it did
limit     it gets out, as the README says
asked     this means cannot enforce all of the policy: with `never` the command is refused, else
          the user is asked, with what is not enforced as the reason. After a yes all the same
          asked+ the attempt ends as it should, asked- it gets out, as the question said
ESCAPED   it got out. NOT TRIED: the command did not even begin. BLOCKED: it should have worked
"""


def lines(sections: Mapping[str, Sequence[Findings]]) -> Iterator[str]:
    """The report, line by line."""
    yield f"{'':{_WIDTH}}{'':11}{'read-only':33}{'workspace-write':33}with network"
    names = "".join(f"{means:11}" for _, means in COLUMNS)
    yield f"{'':{_WIDTH}}{'control':11}{names}".rstrip()
    for title, findings in sections.items():
        if findings:
            yield ""
            yield title
        for found in findings:
            words = [_word(found.control), *(_word(found.cells.get(c)) for c in COLUMNS)]
            yield f"  {found.row.name:{_WIDTH - 2}}{''.join(f'{w:11}' for w in words)}".rstrip()
    yield ""
    yield from LEGEND.splitlines()


def _word(verdict: Verdict | None) -> str:
    if verdict is None:
        return "-"
    if verdict.word != "asked" or verdict.after_yes is None:
        return verdict.word
    if verdict.failed:
        return verdict.after_yes
    return "asked-" if verdict.after_yes == "given up" else "asked+"


def notes(sections: Mapping[str, Sequence[Findings]], missing: Mapping[str, str]) -> Iterator[str]:
    """What the table has no room for: limits, and what this machine cannot do."""
    rows = [found for findings in sections.values() for found in findings]
    for means, why in missing.items():
        yield f"{means} was not tried: {why}"
    for found in rows:
        if found.control.word == "impossible":
            yield f"no control for `{found.row.name}`: {found.control.evidence[0]}"
    for found in rows:
        if found.row.limit and _is_limited(found):
            yield f"limit, `{found.row.name}`: {found.row.limit}"


def _is_limited(found: Findings) -> bool:
    return any("limit" in (v.word, v.after_yes) for v in found.cells.values())


def gaps(sections: Mapping[str, Sequence[Findings]]) -> Iterator[str]:
    """The reasons for which was asked, each once, without the names of temporary folders."""
    seen: dict[str, None] = {}
    for findings in sections.values():
        for found in findings:
            for (_, means), verdict in found.cells.items():
                for gap in verdict.gaps:
                    seen[f"asked with {means}: {_STAGE.sub('', gap)}"] = None
    yield from sorted(seen)
