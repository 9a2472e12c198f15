"""Which source wins, and what is said about values and keys that do not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import pytest
from config_support import Load

from codex_rpc.config.settings import Config
from codex_rpc.protocol.errors import ConfigError
from codex_rpc.protocol.policy import SandboxPolicy


class Said(TypedDict, total=False):
    toml: str
    c: Sequence[str]
    config: Mapping[str, Any]
    model: str


FILE = 'model = "file"\n[profiles.p]\nmodel = "profile"\n[profiles.q]\nmodel = "other"\n'


@pytest.mark.parametrize(
    ("said", "model"),
    [
        (Said(), "gpt-5"),
        (Said(toml=FILE), "file"),
        (Said(toml='profile = "p"\n' + FILE), "profile"),
        (Said(toml='profile = "p"\n' + FILE, c=["model=flag"]), "flag"),
        (Said(toml='profile = "p"\n' + FILE, c=["model=flag"], config={"model": "m"}), "m"),
        (
            Said(
                toml='profile = "p"\n' + FILE,
                c=["model=flag"],
                config={"model": "m"},
                model="explicit",
            ),
            "explicit",
        ),
        (Said(c=["model=one", "model=two"]), "two"),
    ],
    ids=["default", "file", "profile", "flag", "member", "parameter", "last flag"],
)
def test_the_stronger_source_wins(load: Load, said: Said, model: str) -> None:
    assert load(**said).model == model


@pytest.mark.parametrize(
    ("given", "profile"),
    [
        ({"toml": FILE}, None),
        ({"toml": 'profile = "q"\n' + FILE}, "q"),
        ({"toml": 'profile = "q"\n' + FILE, "c": ["profile=p"]}, "p"),
        ({"toml": FILE, "c": ["profile=p"], "config": {"profile": "q"}}, "q"),
        ({"toml": FILE, "c": ["profile=p"], "config": {"profile": "p"}, "profile": "q"}, "q"),
    ],
)
def test_the_profile_itself_is_chosen_by_the_stronger_source(
    load: Load, given: dict[str, Any], profile: str | None
) -> None:
    config = load(**given)
    assert config.profile == profile
    assert config.model == {None: "file", "p": "profile", "q": "other"}[profile]


def test_a_profile_may_be_defined_by_flags_alone(load: Load) -> None:
    config = load(c=["profile=fast", "profiles.fast.model=o3", "profiles.fast.notify=['bell']"])
    assert (config.model, config.notify) == ("o3", ("bell",))


def test_a_profile_changes_single_keys_of_tables(load: Load) -> None:
    config = load(
        """
        profile = "p"
        sandbox_mode = "workspace-write"
        [sandbox_workspace_write]
        writable_roots = ["/a"]
        [profiles.p.sandbox_workspace_write]
        network_access = true
        """
    )
    assert config.sandbox_policy == SandboxPolicy("workspace-write", ("/a",), network_access=True)


def test_a_flag_replaces_a_whole_table_or_one_key_in_it(load: Load) -> None:
    toml = '[shell_environment_policy]\ninherit = "core"\nset = { A = "1", B = "2" }\n'
    one = load(toml, c=["shell_environment_policy.set.B=x"]).shell_environment
    assert (one.inherit, one.set) == ("core", {"A": "1", "B": "x"})
    whole = load(toml, c=['shell_environment_policy.set={C="3"}']).shell_environment
    assert (whole.inherit, whole.set) == ("core", {"C": "3"})


def test_options_can_be_used_for_any_number_of_sessions(load: Load) -> None:
    flags = ["shell_environment_policy={inherit='core'}", "shell_environment_policy.set.A=x"]
    assert load(c=flags) == load(c=flags)


PARAMETERS: list[tuple[str, Any, str, Any]] = [
    ("model", "m", "model", "m"),
    ("approval_policy", "never", "approval_policy", "never"),
    ("model_reasoning_effort", "high", "model_reasoning_effort", "high"),
    ("model_reasoning_effort", "none", "model_reasoning_effort", None),
    ("model_reasoning_summary", "detailed", "model_reasoning_summary", "detailed"),
    ("model_reasoning_summary", "none", "model_reasoning_summary", None),
    ("disable_response_storage", True, "disable_response_storage", True),
    ("disable_response_storage", False, "disable_response_storage", False),
    ("notify", ["bell", "-x"], "notify", ("bell", "-x")),
    ("notify", [], "notify", ()),
    ("user_instructions", "be nice", "user_instructions", "be nice"),
    ("user_instructions", "", "user_instructions", None),
    ("base_instructions", "you are", "base_instructions", "you are"),
    ("sandbox_policy", SandboxPolicy("workspace-write", ("/a",)), "sandbox_policy", None),
]


@pytest.mark.parametrize(("parameter", "value", "field", "expected"), PARAMETERS)
def test_each_parameter_wins_over_config_toml_and_flags(
    load: Load, cwd: Path, parameter: str, value: Any, field: str, expected: Any
) -> None:
    (cwd / "AGENTS.md").write_text("from a file")
    (cwd / "base.md").write_text("from a file")
    config = load(
        """
        model = "file"
        approval_policy = "untrusted"
        sandbox_mode = "danger-full-access"
        model_reasoning_effort = "low"
        model_reasoning_summary = "concise"
        disable_response_storage = true
        notify = ["file"]
        experimental_instructions_file = "base.md"
        """,
        c=["model=flag", "approval_policy=on-failure", "notify=['flag']"],
        **{parameter: value},
    )
    if isinstance(value, SandboxPolicy):
        expected = value
    assert getattr(config, field) == expected


DEFAULTS: dict[str, Any] = {
    "model": "gpt-5",
    "profile": None,
    "approval_policy": "on-request",
    "sandbox_policy": SandboxPolicy("read-only"),
    "model_reasoning_effort": "medium",
    "model_reasoning_summary": "auto",
    "model_context_window": None,
    "model_max_output_tokens": None,
    "disable_response_storage": False,
    "notify": (),
    "user_instructions": None,
    "base_instructions": None,
    "tool_output_max_bytes": 10 * 1024,
    "tool_output_max_lines": 256,
    "experimental_resume": None,
    "warnings": (),
}


def test_without_any_file_the_defaults_hold(load: Load, home: Path, cwd: Path) -> None:
    config = load()
    assert {name: getattr(config, name) for name in DEFAULTS} == DEFAULTS
    assert (config.codex_home, config.cwd, config.provider.id) == (home, cwd, "openai")
    assert config.history.persistence == "save-all"
    assert config.history.fsync == "turn"
    assert config.shell_environment.inherit == "all"


def test_every_key_that_is_used_reaches_its_field(load: Load, home: Path) -> None:
    config = load(
        """
        model_context_window = 1000
        model_max_output_tokens = 100
        tool_output_max_bytes = 0
        tool_output_max_lines = 7
        experimental_resume = "/r.jsonl"
        sandbox_mode = "workspace-write"
        [sandbox_workspace_write]
        writable_roots = ["/a", "~/b"]
        [shell_environment_policy]
        inherit = "none"
        ignore_default_excludes = true
        exclude = ["A*"]
        include_only = ["B*"]
        set = { C = "1" }
        [history]
        persistence = "none"
        max_bytes = 5
        fsync = "record"
        redact = true
        """,
        env={"HOME": "/home/me"},
    )
    assert config.model_context_window == 1000
    assert config.model_max_output_tokens == 100
    assert (config.tool_output_max_bytes, config.tool_output_max_lines) == (0, 7)
    assert config.experimental_resume == Path("/r.jsonl")
    assert config.sandbox_policy == SandboxPolicy("workspace-write", ("/a", "/home/me/b"))
    shell = config.shell_environment
    assert (shell.inherit, shell.ignore_default_excludes) == ("none", True)
    assert (shell.exclude, shell.include_only, shell.set) == (("A*",), ("B*",), {"C": "1"})
    history = config.history
    assert (history.persistence, history.max_bytes, history.fsync) == ("none", 5, "record")
    assert config.warnings == ()


def test_zero_history_bytes_means_no_limit(load: Load) -> None:
    assert load("history.max_bytes = 0").history.max_bytes is None


def test_workspace_settings_count_only_in_workspace_write(load: Load) -> None:
    toml = '[sandbox_workspace_write]\nwritable_roots = ["/a"]\nnetwork_access = true\n'
    assert load(toml).sandbox_policy == SandboxPolicy("read-only")
    full = load(toml, c=["sandbox_mode=danger-full-access"])
    assert full.sandbox_policy == SandboxPolicy("danger-full-access")


@pytest.mark.parametrize(
    ("toml", "key", "accepted"),
    [
        ("model = 3", "model", "a string that is not empty, not an integer"),
        ("model_context_window = true", "model_context_window", "an integer, 1 or more, not a boo"),
        (
            "model_context_window = 1.0",
            "model_context_window",
            "an integer, 1 or more, not a float",
        ),
        ("model_context_window = 0", "model_context_window", "an integer, 1 or more"),
        ("tool_output_max_bytes = -1", "tool_output_max_bytes", "an integer, 0 or more"),
        (
            "disable_response_storage = 1",
            "disable_response_storage",
            "true or false, not an integer",
        ),
        ("disable_response_storage = 'true'", "disable_response_storage", "true or false"),
        (
            "approval_policy = 'sometimes'",
            "approval_policy",
            '"untrusted", "on-failure", "on-request" or "never"',
        ),
        (
            "sandbox_mode = []",
            "sandbox_mode",
            '"workspace-write" or "danger-full-access", not an a',
        ),
        ("model_reasoning_effort = 'much'", "model_reasoning_effort", '"low", "medium", "high"'),
        ("notify = 'bell'", "notify", "an array of values, each a string, not a string"),
        ("notify = ['bell', 1]", "notify[1]", "a string, not an integer"),
        ("history = 'none'", "history", "a table, not a string"),
        (
            "history.persistence = true",
            "history.persistence",
            '"save-all" or "none", not a boolean',
        ),
        ("history.fsync = 'always'", "history.fsync", '"turn", "record" or "never"'),
        ("profiles.p = 1", "profiles.p", "a table, not an integer"),
        ("profiles.'p q'.model = 1", 'profiles."p q".model', "a string"),
        ("shell_environment_policy.set.A = 1", "shell_environment_policy.set.A", "a string"),
        (
            "model_providers.x.wire_api = 'soap'",
            "model_providers.x.wire_api",
            '"responses" or "chat"',
        ),
        (
            "model_providers.x.base_url = 'x.y/v1'",
            "model_providers.x.base_url",
            "http:// or https://",
        ),
        (
            "model_providers.x.env_key = 'sk-123'",
            "model_providers.x.env_key",
            "environment variable",
        ),
        (
            "model_providers.x.stream_idle_timeout_ms = 0",
            "model_providers.x.stream_idle_timeout_ms",
            "",
        ),
        ("model_verbosity = 1", "model_verbosity", "a string"),
        ("tui = true", "tui", "a table, not a boolean"),
        ("hide_agent_reasoning = 'no'", "hide_agent_reasoning", "true or false"),
        ("mcp_servers.a.args = 'x'", "mcp_servers.a.args", "an array"),
        ("mcp_servers.a.tool_timeout_sec = nan", "mcp_servers.a.tool_timeout_sec", "a number"),
        (
            "projects.'/a'.trust_level = true",
            'projects."/a".trust_level',
            "a string, not a boolean",
        ),
        ("model = 2024-01-01", "model", "not a date or time"),
        ("experimental_resume = ''", "experimental_resume", "a path"),
    ],
)
def test_a_wrong_type_is_an_error_with_file_key_and_what_is_accepted(
    load: Load, home: Path, toml: str, key: str, accepted: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(toml)
    error = caught.value
    assert (error.file, error.key) == (str(home / "config.toml"), key)
    assert error.message.startswith(f"{home / 'config.toml'}: {key} must be ")
    assert accepted in error.message
    assert "sk-123" not in error.message


def test_a_wrong_type_is_found_in_a_profile_that_is_not_used(load: Load) -> None:
    with pytest.raises(ConfigError, match=r"profiles\.p\.model must be"):
        load("[profiles.p]\nmodel = 1")


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ({"model": 1}, "config: model must be a string that is not empty, not an integer"),
        ({"model": None}, "config: model must be a string that is not empty, not null"),
        ({"history.max_bytes": 1.5}, "config: history.max_bytes must be an integer, 0 or more"),
        ({"history": {"max_bytes": "1"}}, "config: history.max_bytes must be an integer"),
        ({"a..b": 1}, "config: 'a..b': there is no key at character 3"),
        (
            {"experimental_resume": "C:\temp\new.jsonl"},
            r'in JSON, write each backslash twice: "C:\\temp\\new.jsonl"',
        ),
    ],
)
def test_the_config_member_is_checked_like_config_toml(
    load: Load, member: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(config=member)
    assert message in caught.value.message
    assert caught.value.file is None


def test_parameters_that_are_no_value_of_their_key_are_refused(load: Load) -> None:
    with pytest.raises(ConfigError, match="model_reasoning_effort must be"):
        load(model_reasoning_effort="much")
    with pytest.raises(ConfigError, match=r"writable_roots\[1\] must be an absolute path"):
        load(sandbox_policy=SandboxPolicy("workspace-write", ("/a", "b")))


@pytest.mark.parametrize(
    ("content", "line_no"),
    [
        (b"model = \n", 1),
        (b'a = 1\nb = 2\nmodel = "x\n', 3),
        (b"model = 'a'\nmodel = 'b'\n", 2),
        (b"model = 'a'\nnotify = [\n'a',\n", 4),
        (b"model = 'a'\n\n# \xff\n", 3),
    ],
)
def test_bad_toml_is_an_error_with_file_and_line(
    load: Load, home: Path, content: bytes, line_no: int
) -> None:
    file = home / "config.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load()
    assert caught.value.file == str(file)
    assert caught.value.message.startswith(f"{file}:{line_no}: ")


@pytest.mark.parametrize("content", ["a = " + "[" * 5000, "a = " + "1" * 5000])
def test_toml_that_no_parser_takes_is_an_error_with_file(load: Load, content: str) -> None:
    with pytest.raises(ConfigError, match=r"config\.toml"):
        load(content)


def test_a_mark_at_the_beginning_of_config_toml_does_not_count(load: Load, home: Path) -> None:
    (home / "config.toml").write_bytes(b"\xef\xbb\xbfmodel = 'o3'\r\n")
    assert load().model == "o3"


def test_a_config_toml_that_cannot_be_read_is_an_error(load: Load, home: Path) -> None:
    (home / "config.toml").mkdir()
    with pytest.raises(ConfigError, match=r"cannot read .*config\.toml: Is a directory"):
        load()


def test_a_path_with_control_characters_in_config_toml_is_shown_in_single_quotes(
    load: Load,
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(r'experimental_resume = "C:\temp\new.jsonl"')
    assert caught.value.message.endswith(r": experimental_resume = 'C:\temp\new.jsonl'")


def test_an_unknown_profile_names_the_known_ones(load: Load) -> None:
    with pytest.raises(ConfigError, match='no profile "x"; known are: p, q') as caught:
        load(FILE, profile="x")
    assert caught.value.key == "profile"
    with pytest.raises(ConfigError, match='no profile "x"; known are: none'):
        load("", c=["profile=x"])


@pytest.mark.parametrize("path", ["r.jsonl", "./r.jsonl", "~other/r.jsonl"])
def test_a_relative_path_to_resume_is_an_error(load: Load, path: str) -> None:
    with pytest.raises(ConfigError, match="experimental_resume must be an absolute path") as caught:
        load(c=[f"experimental_resume={path}"])
    assert caught.value.key == "experimental_resume"


class TestInstructionsFile:
    @staticmethod
    def of(config: Config) -> str | None:
        return config.base_instructions

    def test_replaces_the_system_prompt(self, load: Load, cwd: Path, home: Path) -> None:
        (home / "p.md").write_text("\nYou are terse.\n")
        config = load(c=[f"experimental_instructions_file={home / 'p.md'}"])
        assert self.of(config) == "You are terse."

    def test_may_be_relative_to_the_working_folder(self, load: Load, cwd: Path) -> None:
        (cwd / "p.md").write_text("Here.")
        assert self.of(load(c=["experimental_instructions_file=p.md"])) == "Here."

    @pytest.mark.parametrize(
        ("content", "fault"),
        [(None, "cannot read"), (b" \n", "is empty"), (b"\xff", "is not UTF-8")],
    )
    def test_must_have_a_text(
        self, load: Load, cwd: Path, content: bytes | None, fault: str
    ) -> None:
        if content is not None:
            (cwd / "p.md").write_bytes(content)
        with pytest.raises(ConfigError, match=fault) as caught:
            load(c=["experimental_instructions_file=p.md"])
        assert str(cwd / "p.md") in caught.value.message
        assert caught.value.key == "experimental_instructions_file"

    def test_is_not_read_where_a_parameter_gives_the_text(self, load: Load) -> None:
        config = load(c=["experimental_instructions_file=absent.md"], base_instructions="given")
        assert self.of(config) == "given"
