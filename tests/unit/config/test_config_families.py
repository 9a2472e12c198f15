"""What the name of a model says: of whatever vendor, host, tag or file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_rpc.config import families
from codex_rpc.config.families import SAFE_CONTEXT_WINDOW, UNKNOWN, Family, family_of

WINDOWS = {
    "gpt-5": 272_000,
    "gpt-5-codex": 272_000,
    "gpt-5-mini-2025-08-07": 272_000,
    "gpt-5.1": 272_000,
    "gpt-5.1-codex-max": 272_000,
    "gpt-5.3-codex-spark": 128_000,
    "gpt-5.4": 922_000,
    "gpt-5.4-mini": 272_000,
    "gpt-5-chat-latest": 128_000,
    "gpt-6-astra": 922_000,
    "gpt-4.1-mini": 1_047_576,
    "gpt-4o-mini-2024-07-18": 128_000,
    "gpt-4": 8_192,
    "gpt-4-0613": 8_192,
    "gpt-4-1106-preview": 128_000,
    "gpt-4-turbo-2024-04-09": 128_000,
    "gpt-3.5-turbo-0125": 16_385,
    "o3": 200_000,
    "o3-mini": 200_000,
    "o4-mini": 200_000,
    "o1-mini": 128_000,
    "codex-mini-latest": 200_000,
    "gpt-oss-120b": 131_072,
    "claude-3-5-haiku-20241022": 200_000,
    "claude-sonnet-4-20250514": 200_000,
    "claude-sonnet-4-6": 1_000_000,
    "claude-opus-4-1-20250805": 200_000,
    "claude-next-year": 200_000,
    "gemini-2.5-pro": 1_048_576,
    "gemini-3-pro-preview": 1_048_576,
    "grok-4-0709": 256_000,
    "grok-4-fast-non-reasoning": 2_000_000,
    "grok-code-fast-1": 256_000,
    "qwen2.5-coder-7b-instruct": 32_768,
    "qwen3-8b": 40_960,
    "qwen3-coder-30b-a3b-instruct": 262_144,
    "qwen3-coder-plus": 997_952,
    "qwen3.6-27b": 262_144,
    "llama3": 8_192,
    "llama-3-8b-instruct": 8_192,
    "llama3.1": 131_072,
    "llama-3.3-70b-versatile": 131_072,
    "llama-4-maverick-17b-128e-instruct": 128_000,
    "deepseek-chat": 131_072,
    "deepseek-reasoner": 131_072,
    "deepseek-v4-flash": 1_000_000,
    "mistral-7b-instruct-v0.3": 32_768,
    "mistral-large-latest": 128_000,
    "mistral-large-2512": 262_144,
    "devstral-small-2507": 131_072,
    "devstral-2512": 262_144,
    "codestral-22b": 32_768,
    "codestral-latest": 128_000,
    "glm-4.5-air": 128_000,
    "glm-4.6": 200_000,
    "glm-5.2": 1_000_000,
    "kimi-k2": 131_072,
    "kimi-k2-0905-preview": 262_144,
    "kimi-k2.5": 262_144,
    "phi-4": 16_384,
    "phi-4-mini-instruct": 131_072,
    "phi-3-mini-4k-instruct": 4_096,
    "phi-3-mini-128k-instruct": 131_072,
    "gemma-2-9b-it": 8_192,
    "gemma-3-27b-it": 131_072,
    "gemma-3-1b-it": 32_768,
}


@pytest.mark.parametrize(("model", "window"), WINDOWS.items())
def test_a_model_has_the_window_of_its_family(model: str, window: int) -> None:
    assert family_of(model).context_window == window


@pytest.mark.parametrize(
    ("other", "model"),
    [
        ("openai/o3", "o3"),
        ("openrouter/anthropic/claude-sonnet-4", "claude-sonnet-4"),
        ("anthropic/claude-sonnet-4.6", "claude-sonnet-4-6"),
        ("anthropic/claude-3.7-sonnet:thinking", "claude-3-7-sonnet-20250219"),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", "claude-sonnet-4"),
        ("claude-opus-4@20250514", "claude-opus-4"),
        ("openai.gpt-oss-120b-1:0", "gpt-oss-120b"),
        ("ft:gpt-4o-mini-2024-07-18:acme::abc123", "gpt-4o-mini"),
        ("GPT-5-Codex", "gpt-5-codex"),
        ("qwen3:8b", "qwen3-8b"),
        ("qwen3:8b-q4_K_M", "qwen3-8b"),
        ("hf.co/bartowski/Qwen2.5-Coder-7B-Instruct-GGUF:Q4_K_M", "qwen2.5-coder:7b"),
        ("/models/Qwen2.5-Coder-7B-Instruct-Q4_K_M.gguf", "qwen2.5-coder:7b"),
        (r"C:\models\Qwen_Qwen3-8B-Q4_K_M.gguf", "qwen3:8b"),
        ("google_gemma-3-12b-it-Q4_K_M.gguf", "gemma3:12b"),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "llama3.1:8b"),
        ("meta-llama/Llama-3.1-8B-Instruct/", "llama3.1:8b"),
        ("accounts/fireworks/models/llama-v3p1-8b-instruct", "llama3.1:8b"),
        ("accounts/fireworks/models/qwen2p5-coder-7b", "qwen2.5-coder:7b"),
        ("mistralai_Devstral-Small-2507-Q4_K_M.gguf", "devstral"),
        ("mistral-small3.2:24b", "mistral-small"),
        ("microsoft/phi-4", "phi4"),
        ("moonshotai/kimi-k2-instruct-0905", "kimi-k2-0905"),
        ("deepseek-ai/DeepSeek-V3.1", "deepseek-v3.1"),
        ("deepseek/deepseek-r1:free", "deepseek-r1"),
    ],
)
def test_one_model_has_many_names(other: str, model: str) -> None:
    family = family_of(other)
    assert family == family_of(model)
    assert family.context_window is not None


SMALL_NAMES = """
    qwen2.5-coder qwen2.5-coder:0.5b qwen2.5-coder:32b qwen3 qwen3:latest qwen3:4b qwen3:30b-a3b
    llama3.2 llama3.2:1b llama-3.1-8b-instant phi4 phi-4-mini-instruct phi-3-medium-128k-instruct
    gemma3 gemma3:27b gemma3n:e4b gemma-3-270m-it gpt-oss gpt-oss:20b gpt-oss-20b
    devstral devstral:24b codestral:22b ministral-8b-2512 mistral:7b mistral-nemo
    deepseek-r1:7b deepseek-r1-distill-qwen-32b deepseek-coder-v2:16b codellama:34b
    smollm2:135m TinyLlama-1.1B-Chat yi:34b some-7b-model model-2.7B
    /models/Qwen2.5-Coder-7B-Instruct-Q4_K_M.gguf hf.co/x/Llama-3.2-3B-Instruct-GGUF:Q8_0
    Qwen2.5-7B-Instruct-Turbo
"""

LARGE_NAMES = """
    gpt-5 gpt-5-mini gpt-5-nano gpt-4.1-mini gpt-4.1-nano gpt-4o-mini o3-mini o4-mini
    codex-mini-latest claude-3-5-haiku-20241022 claude-haiku-4-5 gemini-2.5-flash-lite
    gemini-1.5-flash-8b grok-3-mini llama-3.1-405b llama-3.1-70b llama3.3 llama4:scout
    llama-4-scout-17b-16e-instruct gpt-oss:120b gpt-oss-120b gpt-oss:20b-cloud
    qwen3-coder:480b-cloud qwen3-235b-a22b qwen2.5-72b-instruct qwen3-max qwen3-coder-plus
    qwen3-coder-next qwen-turbo qwen3.7-plus mixtral:8x7b mixtral-8x22b deepseek-r1 deepseek-r1:671b
    deepseek-chat deepseek-v3.2 mistral-large mistral-medium-latest devstral-medium-latest
    devstral-2 glm-4.6 glm-4.5-air kimi-k2 kimi-k2:1t-cloud
    local default my-model model-v2 7bullets build-4bit Mistral-Large-Instruct-2411-Q4_K_M.gguf
"""


@pytest.mark.parametrize("model", SMALL_NAMES.split())
def test_what_people_run_themselves_is_small(model: str) -> None:
    assert family_of(model).is_small


@pytest.mark.parametrize("model", LARGE_NAMES.split())
def test_what_others_run_is_not_small(model: str) -> None:
    assert not family_of(model).is_small


LOOKALIKES = """
    / local marco-o1 o33 o1x gpt-50 gpt-4x claudette philosopher dolphin-phi mygpt-5 grokking-1
    gemmaline llamafile notqwen3
"""


@pytest.mark.parametrize("model", ["", *LOOKALIKES.split()])
def test_a_name_that_only_looks_like_one_says_nothing(model: str) -> None:
    assert family_of(model) == UNKNOWN


@pytest.mark.parametrize(
    ("model", "reasons"),
    [
        ("gpt-5-mini", True),
        ("gpt-5-chat-latest", False),
        ("gpt-4.1", False),
        ("o3", True),
        ("o1-mini", False),
        ("gpt-oss:20b", True),
        ("claude-3-5-sonnet-latest", False),
        ("claude-sonnet-4", True),
        ("qwen2.5-coder:7b", False),
        ("qwen3-coder:30b", False),
        ("qwen3:8b", None),
        ("deepseek-r1:8b", True),
        ("phi4", False),
        ("phi4-reasoning:14b", True),
        ("kimi-k2", False),
        ("kimi-k2-thinking", True),
        ("mymodel", None),
    ],
)
def test_a_name_says_whether_reasoning_may_be_asked_for(model: str, reasons: bool | None) -> None:
    assert family_of(model).reasons is reasons


@pytest.mark.parametrize("table", [families._HOSTED, families._OPEN])
def test_every_entry_is_found_by_its_own_name_and_makes_sense(table: dict[str, Family]) -> None:
    for name, family in table.items():
        found = family_of(name)
        assert (found.context_window, found.reasons) == (family.context_window, family.reasons)
        window, output = family.context_window or 10**9, family.max_output_tokens or 1
        assert window >= 4_096
        assert output <= window
        assert name == name.lower()
    assert not families._HOSTED.keys() & families._OPEN.keys()


def test_nothing_that_others_run_is_called_small() -> None:
    assert not any(family.is_small for family in families._HOSTED.values())


@given(st.text(max_size=40))
def test_any_text_has_a_family(model: str) -> None:
    assert isinstance(family_of(model), Family)


def test_the_safe_window_is_not_larger_than_most() -> None:
    assert SAFE_CONTEXT_WINDOW == 32_768
