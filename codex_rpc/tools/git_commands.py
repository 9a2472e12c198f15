"""The git commands that are known to only look, and how git is kept from running programs.

A folder in the workspace can be laid out as a repository whose configuration and attributes name
programs: hooks, pagers, diff drivers, filters, signature checkers, transports. What starts them
is turned off here, by settings that outrank a repository's, by options that are put behind the
subcommand, or by not trusting the option that would ask for them.

A `clean` filter is run by `git status` and `git diff` for files that look changed, and no setting
turns off all of them. `filters_of` asks git for those that the repository itself configures;
the user's own (git-lfs, for one) stay. Submodules have configurations of their own, so git is told
not to look into them: changes inside a submodule that are not committed there are not shown.

What git has stored is read from its objects: a denied file that was ever committed is not hidden.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from codex_rpc.protocol.frozen import frozen
from codex_rpc.tools.options import Options, names_option

_Rule = Callable[[Sequence[str]], bool]


@frozen
class GitCommand:
    """A trusted git command, and what has to be done so that it is one."""

    position: int
    """The index of its subcommand among git's arguments."""
    options: tuple[str, ...]
    """To be put behind the subcommand."""
    looks_at_files: bool
    """Whether it may compare files of the work tree, and so run filters."""
    may_compare_folders: bool
    """Whether its arguments may be two folders, of which it compares all files in them."""


def git_command(arguments: Sequence[str]) -> GitCommand | None:
    """What `git` with `arguments` is, if it is trusted.

    A subcommand that looks, with no option before it but `--no-pager`.
    """
    position = 1 if arguments[:1] == ["--no-pager"] else 0
    if len(arguments) <= position:
        return None
    subcommand = _SUBCOMMANDS.get(arguments[position])
    rest = list(arguments[position + 1 :])
    # `--help` opens a browser or a pager.
    if subcommand is None or "--help" in rest or not subcommand.rule(rest):
        return None
    return GitCommand(
        position,
        subcommand.options,
        subcommand.looks_at_files,
        arguments[position] == "diff" and _may_compare_folders(rest),
    )


_WRITING_OR_RUNNING = (
    *(
        "--output",
        "--ext-diff",
        "--textconv",
        "--show-signature",
        "--remerge-diff",
        "--diff-merges",
    ),
    # Options may come from there as well.
    "--stdin",
    *("--alternate-refs", "--recurse-submodules", "--ignore-submodules"),
)


_SIGNATURE = re.compile("%[-+ ]?G")


def _diff(arguments: Sequence[str]) -> bool:
    """No option that writes a file or starts a program.

    `%G…` in a format starts gpg, to show a merge anew starts merge drivers, alternates name a
    program that lists their references, and a submodule's diff is made by another git.
    """
    return not any(
        names_option(argument, *_WRITING_OR_RUNNING)
        or argument.startswith(("--output", "--exec"))
        or (names_option(argument, "--submodule") and argument not in _SUBMODULE_FORMATS)
        or _SIGNATURE.search(argument)
        for argument in arguments
    )


def _may_compare_folders(arguments: Sequence[str]) -> bool:
    """`git diff` does that with `--no-index`, and also by itself with two paths of which one is
    outside of a repository."""
    operands = [argument for argument in arguments if not argument.startswith("-")]
    return len(operands) > 1 or any(names_option(word, "--no-index") for word in arguments)


_SUBMODULE_FORMATS = frozenset({"--submodule", "--submodule=log", "--submodule=short"})


def _status(arguments: Sequence[str]) -> bool:
    options = Options(
        flags="sbzu",
        long="short branch show-stash porcelain long ahead-behind no-ahead-behind renames "
        "no-renames find-renames untracked-files ignored column no-column null",
    )
    # `-uno` is the option with its value; `-v` would show diffs through their drivers.
    return (
        options.operands([word for word in arguments if word not in ("-uno", "-unormal", "-uall")])
        is not None
    )


_LISTING = frozenset(
    {"--list", "--contains", "--no-contains", "--merged", "--no-merged", "--points-at"}
)
_BRANCH_FLAGS = frozenset(
    {
        *("-a", "--all", "-r", "--remotes", "-v", "-vv", "--verbose", "-i", "--ignore-case"),
        *("--show-current", "--color", "--no-color", "--column", "--no-column", "--no-abbrev"),
    }
)
_TAG_FLAGS = frozenset({"-i", "--ignore-case", "--color", "--column", "--no-column", "-n"})
_LISTING_VALUES = frozenset({"--format", "--sort", "--color", "--column", "--abbrev"})


def _branch(arguments: Sequence[str]) -> bool:
    return _lists(arguments, _BRANCH_FLAGS, _LISTING)


def _tag(arguments: Sequence[str]) -> bool:
    return _lists(arguments, _TAG_FLAGS, _LISTING | {"-l"})


def _lists(arguments: Sequence[str], flags: frozenset[str], listing: frozenset[str]) -> bool:
    """Listing only. A bare name would create something, unless an option makes it a pattern."""
    lists = False
    names = False
    for argument in arguments:
        option, has_value, value = argument.partition("=")
        if not argument.startswith("-"):
            names = True
        elif option in listing:
            lists = True
        elif has_value:
            # `%(signature)` starts gpg.
            if option not in _LISTING_VALUES or "signature" in value:
                return False
        elif argument not in flags:
            return False
    return lists or not names


def _describe(arguments: Sequence[str]) -> bool:
    """`--dirty` and `--broken` compare files and write the index."""
    return _diff(arguments) and not any(
        names_option(argument, "--dirty", "--broken") for argument in arguments
    )


def _cat_file(arguments: Sequence[str]) -> bool:
    """One object as it is stored; the other options run filters and drivers."""
    return len(arguments) == 2 and arguments[0] in ("-t", "-s", "-e", "-p")


def _remote(arguments: Sequence[str]) -> bool:
    return list(arguments) in ([], ["-v"], ["--verbose"])


def _stash(arguments: Sequence[str]) -> bool:
    return list(arguments) == ["list"]


@frozen(kw_only=True)
class _Subcommand:
    rule: _Rule
    options: tuple[str, ...] = ()
    looks_at_files: bool = False


_NO_DRIVERS = ("--no-ext-diff", "--no-textconv")
_NOT_INSIDE_SUBMODULES = "--ignore-submodules=dirty"

_SUBCOMMANDS: dict[str, _Subcommand] = {
    "blame": _Subcommand(rule=_diff, options=("--no-textconv",), looks_at_files=True),
    "branch": _Subcommand(rule=_branch),
    "cat-file": _Subcommand(rule=_cat_file),
    "describe": _Subcommand(rule=_describe),
    "diff": _Subcommand(
        rule=_diff, options=(*_NO_DRIVERS, _NOT_INSIDE_SUBMODULES), looks_at_files=True
    ),
    "log": _Subcommand(rule=_diff, options=_NO_DRIVERS),
    "ls-files": _Subcommand(rule=_diff, looks_at_files=True),
    "ls-tree": _Subcommand(rule=_diff),
    "merge-base": _Subcommand(rule=_diff),
    "remote": _Subcommand(rule=_remote),
    "rev-list": _Subcommand(rule=_diff),
    "rev-parse": _Subcommand(rule=_diff),
    "shortlog": _Subcommand(rule=_diff),
    "show": _Subcommand(rule=_diff, options=_NO_DRIVERS),
    "stash": _Subcommand(rule=_stash),
    "status": _Subcommand(rule=_status, options=(_NOT_INSIDE_SUBMODULES,), looks_at_files=True),
    "tag": _Subcommand(rule=_tag),
}

_NOTHING = "/dev/null"
"""Neither a program nor a folder, so nothing can be started from it."""

_SETTINGS = (
    ("safe.bareRepository", "explicit"),
    ("core.fsmonitor", "false"),
    ("core.hooksPath", _NOTHING),
    ("core.pager", "cat"),
    ("core.sshCommand", _NOTHING),
    ("core.alternateRefsCommand", _NOTHING),
    ("diff.submodule", "short"),
    ("status.submoduleSummary", "false"),
    ("log.showSignature", "false"),
    # What `-m` means. To merge anew would start merge drivers.
    ("log.diffMerges", "separate"),
    # A format in the configuration may ask for signatures.
    ("gpg.program", _NOTHING),
    ("gpg.openpgp.program", _NOTHING),
    ("gpg.x509.program", _NOTHING),
    ("gpg.ssh.program", _NOTHING),
)
_VARIABLES = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
    # Missing objects of a partial clone would be fetched, by whatever program the repository's
    # configuration names. Versions that do not know the first obey the second: no such protocol.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
}
_LEFT_OUT = frozenset({"GIT_EXTERNAL_DIFF"})

FILTERS_QUERY = (
    *("git", "config", "--null", "--name-only", "--show-scope"),
    *("--get-regexp", r"^filter\."),
)
"""Lists the names of all filter settings, each behind the scope in which it was found."""

_OF_THE_REPOSITORY = frozenset({"local", "worktree"})


def filters_of(answer: str) -> frozenset[str]:
    """The filters that a repository configures, by what `FILTERS_QUERY` printed in it."""
    fields = answer.split("\0")
    return frozenset(
        name.removeprefix("filter.").rpartition(".")[0]
        for scope, name in zip(fields[::2], fields[1::2], strict=False)
        if scope in _OF_THE_REPOSITORY
    )


def without_programs(env: Mapping[str, str], filters: Iterable[str] = ()) -> dict[str, str]:
    """`env` for commands that run git only because it is trusted; `filters` are turned off."""
    off = [(f"filter.{name}.{kind}", "") for name in sorted(filters) for kind in _FILTER_KINDS]
    optional = [(f"filter.{name}.required", "false") for name in sorted(filters)]
    try:
        count = max(0, int(env.get("GIT_CONFIG_COUNT", "0")))
    except ValueError:
        count = 0
    settings = (*_SETTINGS, *off, *optional)
    added = {"GIT_CONFIG_COUNT": str(count + len(settings)), **_VARIABLES}
    for index, (key, value) in enumerate(settings, count):
        added |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return {**{name: value for name, value in env.items() if name not in _LEFT_OUT}, **added}


_FILTER_KINDS = ("clean", "smudge", "process")
