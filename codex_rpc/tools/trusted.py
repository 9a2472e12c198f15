"""The commands that are known to only read, so that they run without a question.

Owns the table of programs and the arguments with which each of them is harmless. A wrong yes
lets something run that nobody allowed, a wrong no costs one question; so what is not in the
table, and any argument that a rule does not know to be harmless, is a no. It does not know the
sandbox, nor who is asked.

Programs go by bare name: a path could lead to anything. What the user's own configuration makes
of a command (aliases, `git`'s drivers, ripgrep's configuration file) is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

SHELLS = frozenset({"bash", "sh", "zsh"})


def is_trusted(argv: Sequence[str]) -> bool:
    """Whether `argv` is known to only read.

    It is a trusted command, or `bash -lc` (`sh`, `zsh`) with a script of nothing but trusted
    commands joined by `&&`, `||`, `;`, `|`.
    """
    if len(argv) == 3 and argv[0] in SHELLS and argv[1] == "-lc":
        from codex_rpc.tools.script import plain_commands

        commands = plain_commands(argv[2])
        return commands is not None and all(
            _is_trusted_command(command.argv, open_ended=command.open_ended) for command in commands
        )
    return _is_trusted_command(argv, open_ended=False)


def _is_trusted_command(argv: Sequence[str], *, open_ended: bool) -> bool:
    """`open_ended`: options may be among the arguments that are not seen here."""
    rule = _RULES.get(argv[0]) if argv else None
    if rule is None or (open_ended and rule is not _any_arguments):
        return False
    return rule(argv[1:])


def _any_arguments(arguments: Sequence[str]) -> bool:
    del arguments
    return True


def _cargo(arguments: Sequence[str]) -> bool:
    return list(arguments) == ["check"]


_FIND_PREDICATES = frozenset(
    {
        *("-H", "-L", "-P", "-E", "-X", "-x", "-s", "-d", "-daystart", "-depth", "-follow"),
        *("-ignore_readdir_race", "-noignore_readdir_race", "-noleaf", "-mount", "-xdev"),
        *("-maxdepth", "-mindepth", "-regextype", "-a", "-and", "-o", "-or", "-not"),
        *("-amin", "-anewer", "-atime", "-cmin", "-cnewer", "-ctime", "-mmin", "-mtime", "-used"),
        *("-name", "-iname", "-path", "-ipath", "-wholename", "-iwholename", "-regex", "-iregex"),
        *(
            "-lname",
            "-ilname",
            "-inum",
            "-links",
            "-samefile",
            "-size",
            "-empty",
            "-type",
            "-xtype",
        ),
        *("-perm", "-readable", "-writable", "-executable", "-user", "-uid", "-group", "-gid"),
        *("-nouser", "-nogroup", "-fstype", "-true", "-false", "-prune", "-quit"),
        *("-print", "-print0", "-printf", "-ls"),
    }
)
_DIGITS = frozenset("0123456789")


def _find(arguments: Sequence[str]) -> bool:
    """Only predicates that look; `-delete`, `-exec…`, `-ok…`, `-fprint…`, `-fls` are not here."""
    return all(
        not argument.startswith("-")
        or argument in _FIND_PREDICATES
        or argument.startswith("-newer")
        # A number with a sign, as in `-mtime -7`, `-size -10k`, `-perm -644`.
        or argument[1:2] in _DIGITS
        for argument in arguments
    )


def _rg(arguments: Sequence[str]) -> bool:
    """No option that starts another program; `-z` starts decompressors."""
    return not any(
        _names_option(argument, "--pre", "--hostname-bin", "--search-zip")
        or (_is_short(argument) and "z" in argument)
        for argument in arguments
    )


def _sed(arguments: Sequence[str]) -> bool:
    """`sed -n Np FILE…` and `sed -n M,Np FILE…`: sed's other commands can write and execute."""
    if len(arguments) < 2 or arguments[0] != "-n" or not arguments[1].endswith("p"):
        return False
    numbers = arguments[1][:-1].split(",")
    return (
        len(numbers) <= 2
        and all(number.isascii() and number.isdigit() for number in numbers)
        and not any(argument.startswith("-") for argument in arguments[2:])
    )


def _git(arguments: Sequence[str]) -> bool:
    """A subcommand that looks, with no option before it but `--no-pager`."""
    rest = list(arguments)
    if rest[:1] == ["--no-pager"]:
        del rest[0]
    rule = _GIT_RULES.get(rest[0]) if rest else None
    # `--help` opens a browser or a pager.
    return rule is not None and "--help" not in rest and rule(rest[1:])


_GIT_DIFF_OPTIONS = (
    *("--output", "--ext-diff", "--textconv", "--show-signature"),
    *("--remerge-diff", "--diff-merges"),
)


def _git_diff(arguments: Sequence[str]) -> bool:
    """No option that writes a file or starts a program.

    `%G…` in a format starts gpg; to show a merge anew starts merge drivers.
    """
    return not any(
        _names_option(argument, *_GIT_DIFF_OPTIONS)
        or argument.startswith(("--output", "--exec"))
        or "%G" in argument
        for argument in arguments
    )


_GIT_BRANCH_FLAGS = frozenset(
    {
        *("-a", "--all", "-r", "--remotes", "-v", "-vv", "--verbose", "-i", "--ignore-case"),
        *("--show-current", "--color", "--no-color", "--column", "--no-column", "--no-abbrev"),
    }
)
_GIT_BRANCH_LISTING = frozenset(
    {"--list", "--contains", "--no-contains", "--merged", "--no-merged", "--points-at"}
)
_GIT_BRANCH_VALUES = frozenset({"--format", "--sort", "--color", "--column", "--abbrev"})


def _git_branch(arguments: Sequence[str]) -> bool:
    """Listing only. A bare name would create a branch, unless an option makes it a pattern."""
    lists = False
    names = False
    for argument in arguments:
        option, has_value, value = argument.partition("=")
        if not argument.startswith("-"):
            names = True
        elif option in _GIT_BRANCH_LISTING:
            lists = True
        elif has_value:
            # `%(signature)` starts gpg.
            if option not in _GIT_BRANCH_VALUES or "signature" in value:
                return False
        elif argument not in _GIT_BRANCH_FLAGS:
            return False
    return lists or not names


def _names_option(argument: str, *options: str) -> bool:
    """Whether `argument` is one of the long `options`, with a value or abbreviated."""
    name = argument.partition("=")[0]
    return len(name) > 2 and any(option.startswith(name) for option in options)


def _is_short(argument: str) -> bool:
    return argument.startswith("-") and not argument.startswith("--")


_Rule = Callable[[Sequence[str]], bool]

_GIT_RULES: dict[str, _Rule] = {
    "branch": _git_branch,
    "diff": _git_diff,
    "log": _git_diff,
    "show": _git_diff,
    "status": _any_arguments,
}

_RULES: dict[str, _Rule] = {
    "cargo": _cargo,
    "cat": _any_arguments,
    "cd": _any_arguments,
    "echo": _any_arguments,
    "find": _find,
    "git": _git,
    "grep": _any_arguments,
    "head": _any_arguments,
    "ls": _any_arguments,
    "nl": _any_arguments,
    "pwd": _any_arguments,
    "rg": _rg,
    "sed": _sed,
    "tail": _any_arguments,
    "true": _any_arguments,
    "wc": _any_arguments,
    "which": _any_arguments,
}


_GIT_SETTINGS = (("safe.bareRepository", "explicit"), ("core.fsmonitor", "false"))


def without_hooks(env: Mapping[str, str]) -> dict[str, str]:
    """`env` for a command that runs only because it is trusted.

    A folder in the workspace can be laid out as a repository whose configuration names programs
    to run. Git is told to take no such folder for one, and to ask no file system monitor.
    """
    try:
        count = max(0, int(env.get("GIT_CONFIG_COUNT", "0")))
    except ValueError:
        count = 0
    added = {"GIT_CONFIG_COUNT": str(count + len(_GIT_SETTINGS))}
    for index, (key, value) in enumerate(_GIT_SETTINGS, count):
        added |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return {**env, **added}
