"""What commands see of the server's environment."""

import pytest

from codex_rpc.config.settings import ShellEnvironment
from codex_rpc.sandbox.environment import child_environment

SERVER = {
    "HOME": "/home/u",
    "PATH": "/bin",
    "LANG": "C.UTF-8",
    "OPENAI_API_KEY": "k",
    "GitHub_Token": "t",
    "MY_SECRET_THING": "s",
    "PROVIDER_CREDENTIAL": "p",
}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (ShellEnvironment(), {"HOME", "PATH", "LANG", "PROVIDER_CREDENTIAL"}),
        (ShellEnvironment(ignore_default_excludes=True), set(SERVER)),
        (ShellEnvironment(inherit="core"), {"HOME", "PATH"}),
        (ShellEnvironment(inherit="none"), set()),
        (ShellEnvironment(exclude=("lan*", "P?TH")), {"HOME", "PROVIDER_CREDENTIAL"}),
        (ShellEnvironment(include_only=("HOME", "path")), {"HOME", "PATH"}),
        (ShellEnvironment(inherit="none", set={"A": "1"}), {"A"}),
        (ShellEnvironment(inherit="core", set={"A": "1"}, include_only=("P*",)), {"PATH"}),
        (ShellEnvironment(inherit="none", set={"API_KEY": "1"}), {"API_KEY"}),
        (
            ShellEnvironment(always_exclude=frozenset({"PROVIDER_CREDENTIAL"})),
            {"HOME", "PATH", "LANG"},
        ),
    ],
)
def test_the_policy_says_which_variables_reach_a_command(
    policy: ShellEnvironment, expected: set[str]
) -> None:
    assert set(child_environment(SERVER, policy)) == expected


def test_a_providers_key_is_never_given_whatever_else_is_said() -> None:
    policy = ShellEnvironment(
        ignore_default_excludes=True,
        set={"PROVIDER_CREDENTIAL": "mine"},
        include_only=("PROVIDER*",),
        always_exclude=frozenset({"PROVIDER_CREDENTIAL"}),
    )
    assert child_environment(SERVER, policy) == {}


def test_set_replaces_what_was_inherited() -> None:
    environment = child_environment(SERVER, ShellEnvironment(set={"HOME": "/elsewhere"}))
    assert environment["HOME"] == "/elsewhere"
