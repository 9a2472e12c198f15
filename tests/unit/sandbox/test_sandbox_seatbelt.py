"""The profile for macOS, as text: there is no Mac to run it on."""

from __future__ import annotations

from codex_rpc.sandbox.launch import Launch
from codex_rpc.sandbox.seatbelt import launch


def made(*, network: bool = False) -> Launch:
    return launch(
        ["echo", "-p", "x"],
        {"A": "1"},
        writable=["/ws", '/a") (allow default'],
        protected=["/ws/.git"],
        denied=["/ws/.env"],
        network=network,
    )


def test_the_command_follows_the_profile_untouched() -> None:
    argv = made().argv
    assert argv[:2] == ("/usr/bin/sandbox-exec", "-p")
    assert argv[-4:] == ("--", "echo", "-p", "x")
    assert made().env == {"A": "1"}
    assert made().wrapper == "none"


def test_paths_are_passed_beside_the_profile() -> None:
    argv = made().argv
    assert "allow default" not in argv[2]
    assert argv[3:-4] == (
        "-DWRITABLE_0=/ws",
        '-DWRITABLE_1=/a") (allow default',
        "-DPROTECTED_0=/ws/.git",
        "-DDENIED_0=/ws/.env",
    )


def test_everything_is_denied_but_what_follows_and_exceptions_come_last() -> None:
    lines = made().argv[2].splitlines()
    assert lines[:2] == ["(version 1)", "(deny default)"]
    assert lines[-3:] == [
        '(allow file-write* (subpath (param "WRITABLE_0")) (subpath (param "WRITABLE_1")))',
        '(deny file-write* (subpath (param "PROTECTED_0")))',
        '(deny file-read* file-write* (subpath (param "DENIED_0")))',
    ]


def test_the_network_is_allowed_only_if_it_is() -> None:
    assert "network" not in made().argv[2]
    assert "(allow network*)" in made(network=True).argv[2]


def test_the_parentheses_match() -> None:
    profile = made(network=True).argv[2]
    assert profile.count("(") == profile.count(")")


def test_nothing_writable_is_no_rule() -> None:
    profile = launch(["true"], {}, writable=[], protected=[], denied=[], network=False).argv[2]
    assert "file-write*" not in profile
