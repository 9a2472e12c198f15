"""The commands that are known to only read, so that they run without a question.

Owns what makes a command line trusted beyond its program's own rule (`programs`): where the
program is found, what a script consists of, and that no argument leads to what may not be read.
It does not know what confines the command, nor who is asked.

Programs go by bare name: a path could lead to anything. What the user's own configuration makes
of a command (git's drivers in ~/.gitconfig, for one) is not looked at, except that a trusted
script is run without the shell's start-up files, so that the programs that were looked at are the
ones that run. All of this is looked at once, before the command starts; what changes files
meanwhile is stopped by the sandbox, if by anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from attrs import define, field

from codex_rpc.protocol.frozen import frozen
from codex_rpc.tools.git_commands import GitCommand, git_command
from codex_rpc.tools.programs import PROGRAMS, Program
from codex_rpc.tools.script import Word, plain_commands, with_insertions

SHELLS = frozenset({"bash", "sh", "zsh"})
"""Whose `-lc` models use."""

_QUIET_SHELLS = {"bash": ("-p", "-c"), "sh": ("-c",)}
"""What runs a script and nothing else: no start-up files, in bash also no functions and options
from the environment. No script of zsh is trusted: its builtins evaluate too much of what they are
given."""

_VARIABLES = frozenset(
    {
        # Shells run what these name, or look for programs, functions and folders there.
        *("BASH_ENV", "BASHOPTS", "CDPATH", "ENV", "FPATH", "SHELLOPTS"),
        # Its file may hold `--pre`.
        "RIPGREP_CONFIG_PATH",
        # Where programs look for code, or for data that they trust as if it were theirs.
        *("GCONV_PATH", "LOCPATH", "NLSPATH", "MAGIC", "NODE_PATH", "NODE_OPTIONS"),
        *("OPENSSL_CONF", "OPENSSL_ENGINES", "OPENSSL_MODULES"),
        *("PERLLIB", "PERL5LIB", "PERL5OPT", "PERL5DB", "RUBYLIB", "RUBYOPT"),
    }
)
_PREFIXES = ("BASH_FUNC_", "DYLD_", "LD_", "PYTHON")
"""An empty or relative folder in `LD_LIBRARY_PATH` is one of the workspace."""

_MAX_FOLDERS = 16
_MAX_PATHS = 2_000
_MAX_PATH_LENGTH = 4_096
_SEPARATORS = frozenset("=:,()")
_PATTERN = frozenset("*?[")

_KERNEL_FILES = ("/proc", "/dev")
"""Environments and memory of processes, terminals, disks."""
_HARMLESS = frozenset(
    {
        *("/dev/null", "/dev/zero", "/proc/cpuinfo", "/proc/meminfo", "/proc/version"),
        *("/proc/loadavg", "/proc/uptime", "/proc/filesystems"),
    }
)


@frozen(kw_only=True)
class Surroundings:
    """Where a command would run."""

    cwd: Path
    env: Mapping[str, str]
    """All that the command sees."""
    roots: tuple[Path, ...]
    """The session's folder and what else may be written: nobody vouches for programs in there."""
    may_read: Callable[[Path], bool]
    """Touches the disk."""
    confined: bool
    """Whether a sandbox hides what may not be read from whatever the command finds by itself."""


@frozen(kw_only=True)
class TrustedCommand:
    """The form in which a command is trusted."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    """Without what would have a shell or a program do more than `argv` says; git's part is
    `git_commands.without_programs`."""
    repositories: tuple[Path, ...] = ()
    """Folders whose repositories may name filters that git would run."""


def trusted_command(argv: Sequence[str], surroundings: Surroundings) -> TrustedCommand | None:
    """The form in which `argv` is known to only read; None: it is not known.

    It is a trusted program's command, or `bash -lc` (`sh -lc`) with a script of nothing but
    those, joined by `&&`, `||`, `;`, `|`. Blocks: files are looked at.
    """
    if any("\0" in argument for argument in argv):
        return None
    check = _Check(surroundings)
    if len(argv) == 3 and argv[0] in _QUIET_SHELLS and argv[1] == "-lc":
        script = check.script(argv[0], argv[2])
        trusted = script and (argv[0], *_QUIET_SHELLS[argv[0]], script)
    else:
        trusted = check.command(argv)
    if not trusted:
        return None
    env = {name: value for name, value in surroundings.env.items() if not _is_dangerous(name)}
    return TrustedCommand(argv=trusted, env=env, repositories=tuple(check.repositories))


def _is_dangerous(name: str) -> bool:
    return name in _VARIABLES or name.startswith(_PREFIXES)


@define
class _Check:
    """One look at a command line."""

    surroundings: Surroundings
    folders: list[Path] = field(init=False)
    """Where the next command may be: a `cd` may have failed, and `..` may be taken back by name
    or on the disk."""
    repositories: list[Path] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.folders = [self.surroundings.cwd]

    def command(self, argv: Sequence[str]) -> tuple[str, ...] | None:
        """The trusted form of a command that is started directly."""
        words = [Word(text) for text in argv]
        if not words or not self._is_harmless(words, in_script=False):
            return None
        git = self._git(words)
        if git is None:
            return tuple(argv)
        place = git.position + 2
        return (*argv[:place], *git.options, *argv[place:])

    def script(self, shell: str, script: str) -> str | None:
        """The trusted form of a shell's script."""
        commands = plain_commands(script)
        if commands is None or not self._is_found(shell):
            return None
        insertions = []
        for command in commands:
            words = command.words
            if not self._is_harmless(words, in_script=True):
                return None
            git = self._git(words)
            if git is not None and git.options:
                place = words[git.position + 1].end
                insertions.append((place, "".join(f" {option}" for option in git.options)))
            if words[0].text == "cd" and not self._enter(words[1].text):
                return None
        return with_insertions(script, insertions)

    def _is_harmless(self, words: Sequence[Word], *, in_script: bool) -> bool:
        name, *arguments = words
        program = PROGRAMS.get(name.text)
        if program is None or name.expands or not self._fits(program, arguments):
            return False
        if not self._is_there(name.text, program, in_script=in_script):
            return False
        return self._reads_only_what_it_may(program, arguments)

    def _is_there(self, name: str, program: Program, *, in_script: bool) -> bool:
        if not program.built_in:
            return self._is_found(name)
        # A shell has it. Started directly, it often does not exist, and then nothing runs.
        return in_script or self._is_found(name) or not self._exists(name)

    def _fits(self, program: Program, arguments: Sequence[Word]) -> bool:
        if program.fixed and any(word.expands for word in arguments):
            return False
        if program.rule is None:
            return True
        if any(word.may_be_option for word in arguments):
            return False
        return program.rule([word.text for word in arguments])

    def _git(self, words: Sequence[Word]) -> GitCommand | None:
        if words[0].text != "git":
            return None
        git = git_command([word.text for word in words[1:]])
        if git is not None and git.looks_at_files:
            self.repositories.extend(f for f in self.folders if f not in self.repositories)
        return git

    def _is_found(self, name: str) -> bool:
        """Whether PATH leads to a program that nobody in the session can have put there."""
        for entry in self._search_path():
            if not Path(entry).is_absolute():
                # What is found through it depends on where the command is.
                return False
            if _is_program(path := Path(entry, name)):
                return not any(
                    place.is_relative_to(root)
                    for root in _both(self.surroundings.roots)
                    for place in _both([path])
                )
        return False

    def _exists(self, name: str) -> bool:
        return any(
            not Path(entry).is_absolute() or _is_program(Path(entry, name))
            for entry in self._search_path()
        )

    def _search_path(self) -> list[str]:
        return self.surroundings.env.get("PATH", "").split(os.pathsep)

    def _enter(self, folder: str) -> bool:
        """Follow a `cd`; whether that can be done."""
        targets = _both([before / folder for before in self.folders])
        self.folders = list(dict.fromkeys([*self.folders, *targets]))
        return len(self.folders) <= _MAX_FOLDERS

    def _reads_only_what_it_may(self, program: Program, arguments: Sequence[Word]) -> bool:
        if program.reads == "nothing":
            return True
        texts = [word.text for word in arguments]
        if any(len(text) > _MAX_PATH_LENGTH for text in texts):
            return False
        if any(word.expands and word.text[0] == "~" for word in arguments) and not self._home:
            return False
        searches = program.searches(texts)
        if not self.surroundings.confined and (
            searches or (program.reads == "contents" and any(w.expands for w in arguments))
        ):
            return False
        names = {name for word in arguments for name in self._names(word)}
        names |= {"."} if searches else set()
        paths = {folder / name for folder in self.folders for name in names}
        if len(paths) > _MAX_PATHS:
            return False
        return all(
            self.surroundings.may_read(path) and (program.reads == "names" or not _is_kernels(path))
            for path in paths
        )

    @property
    def _home(self) -> str:
        home = self.surroundings.env.get("HOME", "")
        return home if Path(home).is_absolute() else ""

    def _names(self, word: Word) -> Iterator[str]:
        """All that may be the name of a file in `word`: it, and the ends that an option or one of
        git's `revision:path` may have."""
        text = word.text
        if word.expands and text.startswith("~/"):
            text = self._home + text[1:]
        if word.expands:
            # Of a pattern the part that leads to it.
            stem = text[: min((text.find(c) for c in _PATTERN if c in text), default=len(text))]
            yield stem[: stem.rfind("/") + 1]
        yield text
        for position, character in enumerate(text, start=1):
            is_value = text[0] == "-" and text[:2] != "--" and position > 1
            if is_value or character in _SEPARATORS:
                yield text[position:]


def _is_program(path: Path) -> bool:
    return os.access(path, os.X_OK) and path.is_file()


def _both(paths: Sequence[Path]) -> list[Path]:
    """The paths by name and on the disk."""
    return [*(Path(os.path.normpath(path)) for path in paths), *map(_resolved, paths)]


def _resolved(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _is_kernels(path: Path) -> bool:
    # The root counts because the search for `/*/self/environ` begins there.
    return any(
        place == Path("/")
        or (any(map(place.is_relative_to, _KERNEL_FILES)) and str(place) not in _HARMLESS)
        for place in _both([path])
    )
