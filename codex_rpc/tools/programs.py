"""The programs that are known to only read, and the arguments with which each of them does.

Owns that table. A wrong yes lets something run that nobody allowed, a wrong no costs one
question; so what is not in the table, and any argument that a rule does not know to be harmless,
is a no. Each rule has to hold for the program's GNU, BSD and busybox forms, and, where a shell
has the program built in, for bash, dash and ksh. It does not know which files may be read.

Left out on purpose: what prints the environment (`env`, `printenv`, `ps`), what runs something
(`man`, `less`, `ldd`, `xargs`, `cargo check` with its build scripts), what can only be told from
a language of its own (`awk`, `perl`), and what may write where its reading form is rarely needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal

from codex_rpc.protocol.frozen import frozen
from codex_rpc.tools.git_commands import git_command
from codex_rpc.tools.options import Options, is_short, names_option, words

Rule = Callable[[Sequence[str]], bool]


def _never(arguments: Sequence[str]) -> bool:
    del arguments
    return False


def _always(arguments: Sequence[str]) -> bool:
    del arguments
    return True


@frozen(kw_only=True)
class Program:
    """What makes a program's command trusted."""

    rule: Rule | None = None
    """Whether it only reads with these arguments; None: with any."""
    fixed: bool = False
    """The rule counts operands, or looks into them: a pattern in the place of one could be
    anything."""
    reads: Literal["nothing", "names", "contents"] = "contents"
    """What it shows of the files that its arguments name."""
    searches: Rule = _never
    """Whether, with these arguments, it reads files that it finds by itself."""
    built_in: bool = False
    """Whether shells have it built in, so that in a script no program is looked for."""


def _only(options: Options, *, at_most: int | None = None) -> Rule:
    """No options but these, and at most so many operands (None: any number)."""

    def rule(arguments: Sequence[str]) -> bool:
        operands = options.operands(arguments)
        return operands is not None and (at_most is None or len(operands) <= at_most)

    return rule


def _without_lists_of_files(arguments: Sequence[str]) -> bool:
    """Not `--files0-from`: the names in there cannot be looked at here."""
    return not any(names_option(argument, "--files0-from") for argument in arguments)


def _cd(arguments: Sequence[str]) -> bool:
    return len(arguments) == 1 and arguments[0] != "" and arguments[0][0] not in "-+"


def _command(arguments: Sequence[str]) -> bool:
    """`command -v NAME` tells what NAME is."""
    return len(arguments) >= 2 and arguments[0] in ("-v", "-V") and _no_options(arguments[1:])


def _no_options(arguments: Sequence[str]) -> bool:
    return not any(argument.startswith("-") for argument in arguments)


def _date(arguments: Sequence[str]) -> bool:
    """An operand that is no format sets the clock, and so does `-d` on some BSDs."""
    operands = Options(
        flags="uRI",
        values="r",
        long="utc universal iso-8601 rfc-email",
        long_values="date rfc-3339",
    ).operands(arguments)
    return operands is not None and all(operand.startswith("+") for operand in operands)


_FIND_PREDICATES = words(
    "-H -L -P -E -X -x -s -d -daystart -depth -follow -ignore_readdir_race "
    "-noignore_readdir_race -noleaf -mount -xdev -maxdepth -mindepth -regextype "
    "-a -and -o -or -not -amin -anewer -atime -cmin -cnewer -ctime -mmin -mtime -used "
    "-name -iname -path -ipath -wholename -iwholename -regex -iregex -lname -ilname "
    "-inum -links -samefile -size -empty -type -xtype -perm -readable -writable -executable "
    "-user -uid -group -gid -nouser -nogroup -fstype -true -false -prune -quit "
    "-print -print0 -printf -ls"
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


def _git(arguments: Sequence[str]) -> bool:
    return git_command(arguments) is not None


def _git_searches(arguments: Sequence[str]) -> bool:
    command = git_command(arguments)
    return command is not None and command.may_compare_folders


def _grep_searches(arguments: Sequence[str]) -> bool:
    """`-r`, `-R`, `-d recurse`, and some harmless options that share a letter with them."""
    return any(
        names_option(argument, "--recursive", "--dereference-recursive", "--directories")
        or (is_short(argument) and not _DIRECTORY_LETTERS.isdisjoint(argument))
        for argument in arguments
    )


_DIRECTORY_LETTERS = frozenset("rRd")


def _jq(arguments: Sequence[str]) -> bool:
    """No file with a program or with names of modules, and nothing that shows the environment."""
    operands = Options(
        flags="rncsejSaCMR",
        long="raw-output null-input compact-output slurp exit-status join-output sort-keys "
        "ascii-output color-output monochrome-output raw-input tab",
        long_values="indent",
    ).operands(arguments)
    return operands is not None and not any(map(_JQ_REACHES_OUT.search, operands))


_JQ_REACHES_OUT = re.compile(r"\b(env|ENV|import|include|modulemeta|get_search_list)\b")


_FORMAT = re.compile(
    r"""(?: [^%\\] | \\[abefnrtv\\"'] | %% | %[-+\ #0]*[0-9]*(?:\.[0-9]+)?[sbcqdiouxXeEfgG] )*""",
    re.VERBOSE,
)
_CONVERSION = re.compile(r"%[-+ #.0-9]*([a-zA-Z%])")
_OF_TEXTS = frozenset("sbcq")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?")


def _printf(arguments: Sequence[str]) -> bool:
    """No option (`-v` assigns), no conversion but these (`%n` assigns), and numbers for numbers.

    ksh evaluates what should be a number: `PATH=0` there assigns. Nor is there an escape that
    stands for any character, because dash reads the conversions when the escapes are replaced.
    """
    if not arguments:
        return True
    template, *values = arguments
    if template.startswith("-") or not _FORMAT.fullmatch(template):
        return False
    kinds = [kind for kind in _CONVERSION.findall(template) if kind != "%"]
    # The format is used again until there are no more values.
    return not kinds or all(
        kinds[position % len(kinds)] in _OF_TEXTS or _NUMBER.fullmatch(value)
        for position, value in enumerate(values)
    )


_COMPARISONS = words("-eq -ne -lt -le -gt -ge")


def _test(arguments: Sequence[str]) -> bool:
    """No `-v` and `-R`, which look variables up, and nothing that is evaluated.

    Some shells evaluate what should be a number; in an expression a name may be assigned to, and
    an index may be a command.
    """
    if any(argument in ("-v", "-R") or _EVALUATED & {*argument} for argument in arguments):
        return False
    for position, argument in enumerate(arguments):
        if argument in _COMPARISONS:
            numbers = arguments[max(0, position - 1) : position + 2 : 2]
            if len(numbers) < 2 or not all(map(_INTEGER.fullmatch, numbers)):
                return False
        if argument == "-t" and not all(map(_INTEGER.fullmatch, arguments[position + 1 :][:1])):
            return False
    return True


_EVALUATED = frozenset("[$`")


def _bracket(arguments: Sequence[str]) -> bool:
    return list(arguments[-1:]) == ["]"] and _test(arguments[:-1])


def _rg(arguments: Sequence[str]) -> bool:
    """No option that starts another program; `-z` starts decompressors."""
    return not any(
        names_option(argument, "--pre", "--hostname-bin", "--search-zip")
        or (is_short(argument) and "z" in argument)
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
        and _no_options(arguments[2:])
    )


def _tree(arguments: Sequence[str]) -> bool:
    """Not `-o`, nor `-R`, which makes it write a file into each folder.

    In a cluster of letters tree takes the next word as the value, and goes on with the letters.
    """
    options = Options(
        flags="aACdDfFghilnNpqQrsStuUvxJX",
        values="LPI",
        long="dirsfirst du filesfirst gitignore ignore-case inodes matchdirs noreport prune si",
    )
    clusters = [argument for argument in arguments if is_short(argument) and len(argument) > 2]
    return options.operands(arguments) is not None and not any(
        letter in cluster for cluster in clusters for letter in options.values
    )


_ANY = Program()
_NAMES = Program(reads="names")
_TEXT_ONLY = Program(reads="nothing")
_BARE = Program(rule=_only(Options(), at_most=0), fixed=True, reads="nothing")
_CHECKSUM = Program(rule=_only(Options(flags="btz", long="binary text tag zero")))
"""Not `-c`, which reads the files that are named in a file."""

_DIFF = Options(
    flags="abBcdeEHinNpqrstTuwyZ",
    values="CUWIFxXS",
    long="text brief color context ed expand-tabs ignore-all-space ignore-blank-lines "
    "ignore-case ignore-space-change ignore-tab-expansion ignore-trailing-space initial-tab "
    "left-column minimal new-file no-dereference normal rcs recursive report-identical-files "
    "show-c-function side-by-side speed-large-files strip-trailing-cr suppress-blank-empty "
    "suppress-common-lines unidirectional-new-file unified",
    long_values="exclude exclude-from ignore-matching-lines label show-function-line tabsize width",
)
"""Not `-l`, `--paginate`: they start `pr`."""


PROGRAMS: dict[str, Program] = {
    "[": Program(rule=_bracket, fixed=True, reads="names", built_in=True),
    # With arguments it starts a program on macOS.
    "arch": _BARE,
    "b2sum": _CHECKSUM,
    "basename": _TEXT_ONLY,
    "cat": _ANY,
    "cd": Program(rule=_cd, fixed=True, reads="names", built_in=True),
    "cksum": _CHECKSUM,
    "cmp": _ANY,
    "column": _ANY,
    "comm": _ANY,
    "command": Program(rule=_command, fixed=True, reads="names", built_in=True),
    "cut": _ANY,
    "date": Program(rule=_date, fixed=True, reads="names"),
    "df": _NAMES,
    # Also of two folders without `-r` the files in them are compared.
    "diff": Program(rule=_only(_DIFF), searches=_always),
    "dirname": _TEXT_ONLY,
    "du": Program(rule=_without_lists_of_files, reads="names"),
    "echo": Program(reads="nothing", built_in=True),
    "expand": _ANY,
    "expr": _TEXT_ONLY,
    "false": Program(reads="nothing", built_in=True),
    "file": Program(
        rule=_only(
            Options(
                flags="bhikLNnrv0",
                long="brief dereference extension keep-going mime mime-encoding mime-type "
                "no-buffer no-dereference no-pad print0 raw version",
            )
        )
    ),
    "find": Program(rule=_find, reads="names"),
    "fold": _ANY,
    "git": Program(rule=_git, searches=_git_searches),
    "grep": Program(searches=_grep_searches),
    "groups": _TEXT_ONLY,
    "head": _ANY,
    "hexdump": _ANY,
    # With an argument it sets the name.
    "hostname": _BARE,
    "id": _TEXT_ONLY,
    "join": _ANY,
    "jq": Program(rule=_jq, fixed=True),
    "logname": _TEXT_ONLY,
    "ls": _NAMES,
    "md5sum": _CHECKSUM,
    "nl": _ANY,
    "nproc": _TEXT_ONLY,
    "od": _ANY,
    "paste": _ANY,
    "printf": Program(rule=_printf, fixed=True, reads="nothing", built_in=True),
    "pwd": Program(reads="nothing", built_in=True),
    "readlink": _NAMES,
    "realpath": _NAMES,
    "rev": _ANY,
    "rg": Program(rule=_rg, searches=_always),
    "sed": Program(rule=_sed),
    "seq": _TEXT_ONLY,
    "sha1sum": _CHECKSUM,
    "sha224sum": _CHECKSUM,
    "sha256sum": _CHECKSUM,
    "sha384sum": _CHECKSUM,
    "sha512sum": _CHECKSUM,
    "sort": Program(
        # Not `-o`, `-T`, `--compress-program`, `--files0-from`.
        rule=_only(
            Options(
                flags="bcCdfghiMmnrRsuVz",
                values="ktS",
                long="check debug dictionary-order general-numeric-sort human-numeric-sort "
                "ignore-case ignore-leading-blanks ignore-nonprinting merge month-sort "
                "numeric-sort random-sort reverse stable unique version-sort zero-terminated",
                long_values="buffer-size field-separator key parallel sort",
            )
        )
    ),
    "stat": _NAMES,
    "tac": _ANY,
    "tail": _ANY,
    "test": Program(rule=_test, fixed=True, reads="names", built_in=True),
    "tr": _TEXT_ONLY,
    "tree": Program(rule=_tree, reads="names"),
    "true": Program(reads="nothing", built_in=True),
    "type": Program(rule=_no_options, reads="names", built_in=True),
    # Not `-S`, which sets the name: some shells have that one built in.
    "uname": Program(
        rule=_only(
            Options(
                flags="aimnoprsv",
                long="all hardware-platform kernel-name kernel-release kernel-version machine "
                "nodename operating-system processor",
            ),
            at_most=0,
        ),
        fixed=True,
        reads="nothing",
    ),
    "unexpand": _ANY,
    "uniq": Program(
        # A second operand is written.
        rule=_only(
            Options(
                flags="cdDiuz",
                values="fsw",
                long="all-repeated count group ignore-case repeated unique zero-terminated",
                long_values="check-chars skip-chars skip-fields",
            ),
            at_most=1,
        ),
        fixed=True,
    ),
    "uptime": Program(rule=_only(Options(flags="ps", long="pretty since")), reads="nothing"),
    "wc": Program(rule=_without_lists_of_files),
    "which": _NAMES,
    "whoami": _TEXT_ONLY,
}
