"""`-c key=value`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_rpc.config.cli_overrides import parse_key, parse_override, parse_value
from codex_rpc.protocol.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("model=o3", "o3"),
        ('model="o3"', "o3"),
        ("model='o3'", "o3"),
        (r'experimental_resume="C:\Users\x\r.jsonl"', r"C:\Users\x\r.jsonl"),
        (r"experimental_resume='C:\temp\new.jsonl'", r"C:\temp\new.jsonl"),
        (r"experimental_resume=C:\temp\new.jsonl", r"C:\temp\new.jsonl"),
        (r'experimental_resume="C:\\temp\\new.jsonl"', r"C:\temp\new.jsonl"),
        ("instructions=don't", "don't"),
        ("instructions='don't'", "don't"),
        ('instructions="don\'t"', "don't"),
        ("instructions='twas", "'twas"),
        ("instructions=\"it's", "\"it's"),
        ("instructions=''quoted' twice'", "'quoted' twice"),
        ('instructions=""say" so"', '"say" so'),
        ("instructions=", ""),
        ('instructions=""', ""),
        ("instructions=  ", ""),
        ('instructions="', '"'),
        ("instructions=a=b", "a=b"),
        ("instructions=1#2", "1#2"),
        ("instructions=[unclosed", "[unclosed"),
        (
            "instructions=a\nsandbox_mode='danger-full-access'",
            "a\nsandbox_mode='danger-full-access'",
        ),
        (" instructions = plain words ", "plain words"),
        ("hide_agent_reasoning=true", True),
        ("model_context_window=1_000", 1000),
        ('notify=["a", "b"]', ["a", "b"]),
        ('shell_environment_policy.set={A="1"}', {"A": "1"}),
    ],
)
def test_the_value_is_toml_or_else_its_own_text(text: str, value: Any) -> None:
    override = parse_override(text)
    assert override.value == value
    assert type(override.value) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        '"o3"\nsandbox_mode = 1',
        "1\n[other]\na = 1",
        "[1]\n[_b]",
        "[1]\n[[_b]]",
        "1 #\n_b = 1",
        "1]\n_b = [2",
        "1, 2",
        "1,",
        "1 # and a comment",
        "# only a comment\n1",
        "1 #]",
        "[" * 5000,
        "1" * 5000,
    ],
)
def test_what_is_not_exactly_one_toml_value_is_text(value: str) -> None:
    assert parse_value(value) == value


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("model=x", ("model",)),
        ("history.persistence=none", ("history", "persistence")),
        ('model_providers."b.c".name=x', ("model_providers", "b.c", "name")),
        ("model_providers.'b.c'.name=x", ("model_providers", "b.c", "name")),
        ('projects."/a=b".trust_level=trusted', ("projects", "/a=b", "trust_level")),
        (r'projects."C:\\a \"b\"".trust_level=x', ("projects", r'C:\a "b"', "trust_level")),
        ("model_providers . x . name = y", ("model_providers", "x", "name")),
        ("model_providers.größe.name=y", ("model_providers", "größe", "name")),
    ],
)
def test_dotted_keys_may_have_quoted_names(text: str, key: tuple[str, ...]) -> None:
    assert parse_override(text).key == key
    assert parse_key(text.rsplit("=", 1)[0]) == key


def test_a_key_without_a_value_is_refused_with_an_example() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_override("novalue")
    assert caught.value.key == "novalue"
    assert caught.value.message == (
        "-c novalue has no value; write -c KEY=VALUE, for example -c model=o3 "
        "or -c 'novalue=\"text\"'"
    )


@pytest.mark.parametrize("text", ["", "=x", ".a=x", "a.=x", "a..b=x", 'a"b"=x', "a b=x", '"a=x'])
def test_what_is_no_key_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"there is no key at character \d+.*history\.persist"):
        parse_override(text)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        (
            r'experimental_resume="C:\temp\new.jsonl"',
            r"-c experimental_resume='C:\temp\new.jsonl'",
        ),
        (
            r'experimental_instructions_file="C:\bad\folder\rules\u0007.md"',
            r"-c experimental_instructions_file='C:\bad\folder\rules\u0007.md'",
        ),
        (
            r'model_providers.x.script="C:\temp\turns.toml"',
            r"-c model_providers.x.script='C:\temp\turns.toml'",
        ),
        (
            r'model_providers."x.y".script="C:\temp\turns.toml"',
            r"""-c model_providers."x.y".script='C:\temp\turns.toml'""",
        ),
        (r'sandbox_workspace_write.writable_roots=["C:\temp"]', r"'C:\temp'"),
        (
            r'''experimental_resume="C:\temp\bob's.jsonl"''',
            r'''-c experimental_resume="C:\\temp\\bob's.jsonl"''',
        ),
    ],
)
def test_a_path_whose_backslashes_became_control_characters_is_refused(
    text: str, advice: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_override(text)
    assert caught.value.message.endswith(f": {advice}")
    # What the message shows must be accepted when it is pasted.
    if advice.startswith("-c "):
        assert "\t" not in parse_override(advice.removeprefix("-c ")).value


def test_a_number_for_a_string_says_how_to_write_a_string() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_override("model=4")
    assert caught.value.message == (
        "-c: model must be a string that is not empty, not an integer; "
        "for a string, write -c 'model=\"...\"'"
    )


def test_an_empty_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="model must be a string that is not empty"):
        parse_override("model=")


def test_no_error_or_repr_shows_the_value() -> None:
    secret = "48151623"  # unquoted it is a number, where a string is wanted
    with pytest.raises(ConfigError) as caught:
        parse_override(f"model_providers.x.http_headers.Authorization={secret}")
    assert secret not in str(caught.value)
    assert "hunter2" not in repr(parse_override("model_providers.x.http_headers.A=hunter2"))


@settings(deadline=None, max_examples=200)
@given(st.text())
def test_any_text_sets_one_key_only(text: str) -> None:
    try:
        override = parse_override(f"instructions={text}")
    except ConfigError:
        assert not isinstance(parse_value(text), str)
    else:
        assert override.key == ("instructions",)


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_a_quoted_string_keeps_every_character(text: str) -> None:
    assert parse_value(json.dumps(text, ensure_ascii=False)) == text
    if "'" not in text:
        assert parse_value(f"'{text}'") == text


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs"])), min_size=1, max_size=4))
def test_any_names_can_be_quoted_in_a_key(names: list[str]) -> None:
    assert parse_key(".".join(json.dumps(name, ensure_ascii=False) for name in names)) == tuple(
        names
    )
