"""Shell scripts are taken apart completely or not at all."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codex_rpc.tools.script import Word, plain_commands, with_insertions


@pytest.mark.parametrize(
    ("script", "commands"),
    [
        ("ls", [["ls"]]),
        (" ls -l\t-a ", [["ls", "-l", "-a"]]),
        (
            "ls && pwd || true; cat x | wc -l",
            [["ls"], ["pwd"], ["true"], ["cat", "x"], ["wc", "-l"]],
        ),
        ("ls\n\npwd\n", [["ls"], ["pwd"]]),
        ("ls;", [["ls"]]),
        ("""echo "a  b" 'c d' e"f"'g'""", [["echo", "a  b", "c d", "efg"]]),
        ("""echo "a\\"b\\\\c\\$d\\e" 'a'\\''b'""", [["echo", 'a"b\\c$d\\e', "a'b"]]),
        ("echo a\\ b \\*.py", [["echo", "a b", "*.py"]]),
        ("rg 'def f\\(' \"end$\" src/*.py", [["rg", "def f\\(", "end$", "src/*.py"]]),
        ("echo \"two\nlines\" '; rm x > y & $(z)'", [["echo", "two\nlines", "; rm x > y & $(z)"]]),
        (
            "git show HEAD^ HEAD~1 -5 a=b c#d",
            [["git", "show", "HEAD^", "HEAD~1", "-5", "a=b", "c#d"]],
        ),
        ("echo 'schön'", [["echo", "schön"]]),
    ],
)
def test_plain_scripts_become_argument_lists(script: str, commands: list[list[str]]) -> None:
    found = plain_commands(script)
    assert found is not None
    assert [list(command.argv) for command in found] == commands


@pytest.mark.parametrize(
    "script",
    [
        "",
        "  ",
        "# only a comment",
        "ls # comment",
        "ls > x",
        "ls >> x",
        "ls 2>&1",
        "ls < x",
        "ls <<< x",
        "cat <<E\nx\nE",
        "ls &",
        "ls & pwd",
        "ls |& cat",
        "(ls)",
        "{ ls; }",
        "! ls",
        "ls; ; pwd",
        "ls &&",
        "&& ls",
        "ls | | wc",
        "echo $HOME",
        "echo ${HOME}",
        'echo "$HOME"',
        'echo "a$ b"',
        'echo "a$\\" b"',
        "echo $(ls)",
        'echo "$(ls)"',
        "echo `ls`",
        'echo "`ls`"',
        "echo $((1+1))",
        "echo $'a\\nb'",
        'echo $"a"',
        "cat <(ls)",
        "echo {a,b}",
        "git show HEAD@{1}",
        "echo !x",
        "a=1 ls",
        "a=1",
        "export A=1",
        "if true; then ls; fi",
        "for a in b; do ls; done",
        "while true; do ls; done",
        "case x in *) ls;; esac",
        "[ -f x ] && ls",
        "[[ -f x ]] && ls",
        "f() { ls; }; f",
        "function f { ls; }; f",
        "ls \\\n -l",
        "ls && \\\n pwd",
        "ls\r\npwd",
        "ls\0",
        "echo «x»",
        "ls\u00a0x",
        "echo 'a",
        'echo "a',
        "ls " + "x" * 20_000,
        "echo \ud800",
        # One word for a shell, two for the grammar.
        "echo 'a'\\b",
    ],
)
def test_anything_more_than_plain_commands_is_not_understood(script: str) -> None:
    assert plain_commands(script) is None


def test_a_long_chain_is_no_problem() -> None:
    found = plain_commands(" && ".join(["ls"] * 2_000))
    assert found is not None
    assert [command.argv for command in found] == [("ls",)] * 2_000


@pytest.mark.parametrize(
    ("script", "expands", "may_be_option"),
    [
        ("cat x", False, False),
        ("cat src/*", True, False),
        ("cat a*", True, False),
        ('cat "-"x', False, False),
        ("cat '*'", False, False),
        ("cat \\*", False, False),
        ("cat '~'/x", False, False),
        ("cat *", True, True),
        ("cat ?x", True, True),
        ("cat [a-z]x", True, True),
        ("cat -*", True, True),
        ('cat ""*', True, True),
        ('cat "-"*', True, True),
        ("cat ~/x", True, False),
        ("cat ~x", True, True),
        ("cat =", False, False),
        ("cat a=b", False, False),
        ("cat '=b'", False, False),
        # The path of `b` in zsh.
        ("cat =b", True, True),
    ],
)
def test_words_that_a_shell_replaces_are_marked(
    script: str, expands: bool, may_be_option: bool
) -> None:
    (command,) = plain_commands(script) or ()
    word = command.words[1]
    assert (word.expands, word.may_be_option) == (expands, may_be_option)


def test_it_is_known_where_words_end() -> None:
    script = "echo 'é'\"b\" c;  git log"
    words = [word for command in plain_commands(script) or () for word in command.words]
    ends = [script.encode()[: word.end].decode() for word in words]
    assert ends == ["echo", "echo 'é'\"b\"", "echo 'é'\"b\" c", f"{script[:-4]}", script]
    assert with_insertions(script, [(words[2].end, " x"), (words[4].end, " y z")]) == (
        "echo 'é'\"b\" c x;  git log y z"
    )
    assert words[0] == Word("echo", end=4)


@settings(deadline=None, max_examples=200)
@given(
    argv=st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
        max_size=5,
    )
)
def test_quoted_arguments_come_back_as_they_were(argv: list[str]) -> None:
    script = shlex.join(["rec", *argv])
    (command,) = plain_commands(script) or ()
    assert command.argv == ("rec", *argv)
    # `shlex` does not know that zsh expands an equals sign.
    assert all(word.text.startswith("=") for word in command.words if word.expands)


PIECES = st.sampled_from(
    [
        *("rec", " ", " ", "a", "-b", "1", "=", "'", '"', "\\", ";", "&&", "|", "&", "\n", "\t"),
        *("\r", ">", "<", "(", ")", "{", "}", ",", "$", "`", "#", "!", "~", "*", "?", "[", "]"),
        *("^", "%", "é", "rec a; rec b", "'a b'", '"a b"', "$(rec x)", "$HOME", "{a,b}", ">f"),
        *("x=1 ", "if "),
    ]
)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX shells")
@pytest.mark.parametrize("shell", ["bash", "sh", "zsh"])
def test_what_is_understood_is_what_the_shell_runs(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    programs = tmp_path / "bin"
    programs.mkdir()
    recorder = programs / "rec"
    recorder.write_text('#!/bin/sh\nfor a in rec "$@"; do printf "%s\\0" "$a"; done >> "$REC"\n')
    recorder.chmod(0o755)
    record = tmp_path / "record"
    work = tmp_path / "work"
    work.mkdir()
    understood = 0

    @settings(
        deadline=None,
        max_examples=400,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(pieces=st.lists(PIECES, min_size=1, max_size=9))
    def compare(pieces: list[str]) -> None:
        nonlocal understood
        script = "rec " + "".join(pieces)
        commands = plain_commands(script)
        # Pipes run side by side and `||` skips; a tilde is the shell's to expand.
        if commands is None or "|" in script or "~" in script:
            return
        if any(command.argv[0] != "rec" for command in commands):
            return
        understood += 1
        record.write_bytes(b"")
        subprocess.run(
            [shell, "-c", script],
            cwd=work,
            env={
                "PATH": f"{programs}:{os.environ['PATH']}",
                "REC": str(record),
                "LC_ALL": "C.UTF-8",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=5,
        )
        expected = [argument for command in commands for argument in command.argv]
        assert record.read_bytes().decode().split("\0")[:-1] == expected
        assert list(work.iterdir()) == []

    compare()
    assert understood > 20
