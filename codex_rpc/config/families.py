"""What is known of models by their names. It asks nobody.

A server that tells its own limits knows better, and what is configured counts before both.
Where makers and hosts of a model differ, the smaller number stands here: too small a window
only means that a conversation is summarised early.
"""

from __future__ import annotations

import re
from functools import lru_cache

from attrs import evolve

from codex_rpc.protocol.frozen import frozen

SAFE_CONTEXT_WINDOW = 32_768
"""In tokens; assumed of a model of which nothing is known."""

SMALL_BILLIONS = 34.0
"""Models of at most so many billion parameters run on people's own machines."""


@frozen(kw_only=True)
class Family:
    """Models whose names begin alike."""

    context_window: int | None = None
    """In tokens: what a request may hold, with its answer where the two share one window; None:
    not known."""
    max_output_tokens: int | None = None
    """Of one answer, reasoning included; None: not known."""
    reasons: bool | None = None
    """Whether reasoning may be asked for; None: not known."""
    is_small: bool = False
    """Whether it is made for people's own machines, where reading a long prompt takes long."""


UNKNOWN = Family()


def family_of(model: str) -> Family:
    """The family of `model`; `UNKNOWN` if its name says nothing.

    The name may be an API's (`gpt-5-mini`), with vendors in front (`openai/o3`,
    `us.anthropic.claude-sonnet-4-20250514-v1:0`), Ollama's (`qwen3:8b`,
    `hf.co/bartowski/Qwen3-8B-GGUF:Q4_K_M`) or a file's. A size in the name of a model that anyone
    can run decides whether it is small.
    """
    return _family_of(model)


@lru_cache(maxsize=64)
def _family_of(model: str) -> Family:
    name = re.sub(r"\.gguf$", "", re.split(r"[/\\]", model.rstrip("/\\"))[-1].lower())
    # Some hosts may not have dots in names: qwen2p5, llama-v3p1.
    name = re.sub(r"(?<=\d)p(?=\d)", ".", name).removeprefix("ft:")
    # `us.anthropic.claude-...`, `Qwen_Qwen3-8B`.
    names = (name, re.sub(r"^(?:[a-z-]+[._])+(?=[a-z])", "", name))
    hosted = _longest(_HOSTED, names)
    if hosted is not None:
        return hosted
    family = _longest(_OPEN, names) or UNKNOWN
    return evolve(family, is_small=_is_small(name, default=family.is_small))


def _longest(table: dict[str, Family], names: tuple[str, str]) -> Family | None:
    """What the longest prefix says that one of `names` begins with; whole words count."""
    spellings = [f"{_plain(name)}-" for name in names]
    known = [
        prefix
        for prefix in table
        if any(spelling.startswith(f"{_plain(prefix)}-") for spelling in spellings)
    ]
    return table[max(known, key=len)] if known else None


def _plain(name: str) -> str:
    """Versions are written `4.5` by some and `4-5` by others, tags behind `:`, `@` or `-`."""
    return re.sub(r"[.:@_ ]", "-", name)


def _is_small(name: str, *, default: bool) -> bool:
    words = re.split(r"[-:_ ]", name)
    if "cloud" in words:
        return False
    for word in words:
        # `8b`, `1.5b`, `8x7b`, `360m`, `1t`, Gemma's `e4b`; not `a3b`, which is a part of `30b`.
        if size := re.fullmatch(r"(?:(\d+)x|e)?(\d+(?:\.\d+)?)([mbt])", word):
            billions = {"m": 0.001, "b": 1.0, "t": 1000.0}[size[3]]
            return int(size[1] or 1) * float(size[2]) * billions <= SMALL_BILLIONS
    return default and _SERVICE_WORDS.isdisjoint(words)


_SERVICE_WORDS = frozenset(("flash", "max", "plus", "turbo"))
"""In the name of a model that its maker serves, if the name says no size."""

_K = 1024

_HOSTED = {
    "gpt-6": Family(context_window=922_000, max_output_tokens=128_000, reasons=True),
    "gpt-5.6": Family(context_window=922_000, max_output_tokens=128_000, reasons=True),
    "gpt-5.6-cyber": Family(context_window=400_000, max_output_tokens=128_000, reasons=True),
    "gpt-5.5": Family(context_window=922_000, max_output_tokens=128_000, reasons=True),
    "gpt-5.4": Family(context_window=922_000, max_output_tokens=128_000, reasons=True),
    "gpt-5.4-mini": Family(context_window=272_000, max_output_tokens=128_000, reasons=True),
    "gpt-5.4-nano": Family(context_window=272_000, max_output_tokens=128_000, reasons=True),
    "gpt-5.3-codex-spark": Family(context_window=128_000, max_output_tokens=32_000, reasons=True),
    "gpt-5": Family(context_window=272_000, max_output_tokens=128_000, reasons=True),
    "gpt-5-pro": Family(context_window=272_000, reasons=True),
    "gpt-5-chat": Family(context_window=128_000, max_output_tokens=16_384, reasons=False),
    "gpt-5.1-chat": Family(context_window=128_000, max_output_tokens=16_384),
    "gpt-5.2-chat": Family(context_window=128_000, max_output_tokens=16_384),
    "gpt-5.3-chat": Family(context_window=128_000, max_output_tokens=16_384),
    "gpt-4.1": Family(context_window=1_047_576, max_output_tokens=32_768, reasons=False),
    "gpt-4o": Family(context_window=128_000, max_output_tokens=16_384, reasons=False),
    "gpt-4o-2024-05-13": Family(context_window=128_000, max_output_tokens=4_096, reasons=False),
    "chatgpt-4o": Family(context_window=128_000, max_output_tokens=16_384, reasons=False),
    "gpt-4-turbo": Family(context_window=128_000, max_output_tokens=4_096, reasons=False),
    "gpt-4-1106": Family(context_window=128_000, max_output_tokens=4_096, reasons=False),
    "gpt-4": Family(context_window=8_192, max_output_tokens=8_192, reasons=False),
    "gpt-3.5-turbo": Family(context_window=16_385, max_output_tokens=4_096, reasons=False),
    "o4-mini": Family(context_window=200_000, max_output_tokens=100_000, reasons=True),
    "o3": Family(context_window=200_000, max_output_tokens=100_000, reasons=True),
    "o1": Family(context_window=200_000, max_output_tokens=100_000, reasons=True),
    "o1-mini": Family(context_window=128_000, max_output_tokens=65_536, reasons=False),
    "o1-preview": Family(context_window=128_000, max_output_tokens=32_768, reasons=False),
    "codex-mini": Family(context_window=200_000, max_output_tokens=100_000, reasons=True),
    "claude": Family(context_window=200_000),
    "claude-3": Family(context_window=200_000, max_output_tokens=4_096, reasons=False),
    "claude-3.5": Family(context_window=200_000, max_output_tokens=8_192, reasons=False),
    "claude-3.7": Family(context_window=200_000, max_output_tokens=64_000, reasons=True),
    "claude-opus-4": Family(context_window=200_000, max_output_tokens=32_000, reasons=True),
    "claude-opus-4.5": Family(context_window=200_000, max_output_tokens=64_000, reasons=True),
    "claude-opus-4.6": Family(context_window=1_000_000, max_output_tokens=128_000, reasons=True),
    "claude-opus-4.7": Family(context_window=1_000_000, max_output_tokens=128_000, reasons=True),
    "claude-opus-4.8": Family(context_window=1_000_000, max_output_tokens=128_000, reasons=True),
    "claude-opus-5": Family(context_window=1_000_000, max_output_tokens=128_000, reasons=True),
    "claude-sonnet-4": Family(context_window=200_000, max_output_tokens=64_000, reasons=True),
    "claude-sonnet-4.6": Family(context_window=1_000_000, max_output_tokens=128_000, reasons=True),
    "claude-sonnet-5": Family(context_window=1_000_000, max_output_tokens=128_000, reasons=True),
    "claude-haiku-4.5": Family(context_window=200_000, max_output_tokens=64_000, reasons=True),
    "claude-haiku-5.5": Family(context_window=1_000_000, max_output_tokens=128_000, reasons=True),
    "claude-fable-5": Family(context_window=1_000_000, max_output_tokens=128_000, reasons=True),
    "claude-mythos-5": Family(context_window=1_000_000, max_output_tokens=128_000, reasons=True),
    "gemini": Family(context_window=1_024 * _K),
    "gemini-1.5": Family(context_window=1_024 * _K, max_output_tokens=8_192, reasons=False),
    "gemini-2.0": Family(context_window=1_024 * _K, max_output_tokens=8_192),
    "gemini-2.5": Family(context_window=1_024 * _K, max_output_tokens=65_536, reasons=True),
    "gemini-3": Family(context_window=1_024 * _K, max_output_tokens=65_536, reasons=True),
    "grok-3": Family(context_window=128 * _K),
    "grok-4": Family(context_window=256_000),
    "grok-4-fast": Family(context_window=2_000_000),
    "grok-4.20": Family(context_window=1_000_000),
    "grok-4.3": Family(context_window=1_000_000),
    "grok-4.5": Family(context_window=500_000),
    "grok-4.6": Family(context_window=500_000),
    "grok-4.7": Family(context_window=500_000),
    "grok-code-fast": Family(context_window=256_000),
    "qwen3-max": Family(context_window=252 * _K, max_output_tokens=65_536),
    "qwen3-coder-plus": Family(context_window=997_952, max_output_tokens=65_536, reasons=False),
    "qwen3-coder-flash": Family(context_window=997_952, max_output_tokens=65_536, reasons=False),
    "deepseek-chat": Family(context_window=128 * _K, max_output_tokens=8_192),
    "deepseek-reasoner": Family(context_window=128 * _K, max_output_tokens=65_536, reasons=True),
    "deepseek-v4": Family(context_window=1_000_000, reasons=True),
    "deepseek-v4.1": Family(context_window=1_000_000, reasons=True),
    "deepseek-flash": Family(context_window=1_000_000, reasons=True),
    # Numbers in these names count a part of the model only.
    "llama-4": Family(context_window=128_000, reasons=False),
    "llama4": Family(context_window=128_000, reasons=False),
}
"""By prefix; the longest that fits counts. Nobody runs these on a machine of their own."""

_QWEN2_5 = Family(context_window=32 * _K, reasons=False, is_small=True)
_QWEN3 = Family(context_window=40 * _K, is_small=True)
_LLAMA_3 = Family(context_window=8 * _K, reasons=False, is_small=True)
_LLAMA_3_1 = Family(context_window=128 * _K, reasons=False, is_small=True)
_GEMMA_2 = Family(context_window=8 * _K, reasons=False, is_small=True)
_GEMMA_3 = Family(context_window=128 * _K, reasons=False, is_small=True)
_GEMMA_3_1B = Family(context_window=32 * _K, reasons=False, is_small=True)
_GEMMA_4 = Family(context_window=128 * _K, reasons=True, is_small=True)
_PHI_3 = Family(context_window=4 * _K, reasons=False, is_small=True)
_PHI_4 = Family(context_window=16 * _K, reasons=False, is_small=True)
_PHI_LONG = Family(context_window=128 * _K, reasons=False, is_small=True)
_MISTRAL_SMALL = Family(context_window=128 * _K, is_small=True)

_OPEN = {
    "gpt-oss": Family(
        context_window=128 * _K, max_output_tokens=128 * _K, reasons=True, is_small=True
    ),
    "qwen": Family(context_window=32 * _K, is_small=True),
    "qwen2": Family(context_window=32 * _K, reasons=False, is_small=True),
    "qwen2.5": _QWEN2_5,
    "qwen2.5vl": _QWEN2_5,
    "qwen-2.5": _QWEN2_5,
    "qwen3": _QWEN3,
    "qwen-3": _QWEN3,
    "qwen3-vl": Family(context_window=256 * _K, is_small=True),
    "qwen3-coder": Family(context_window=256 * _K, reasons=False, is_small=True),
    "qwen3-coder-next": Family(context_window=256 * _K, reasons=False),
    "qwen3-next": Family(context_window=256 * _K),
    "qwen3.5": Family(context_window=256 * _K, reasons=True, is_small=True),
    "qwen3.6": Family(context_window=256 * _K, reasons=True, is_small=True),
    "qwen3.8": Family(context_window=256 * _K, reasons=True, is_small=True),
    "qwq": Family(context_window=32 * _K, reasons=True, is_small=True),
    "llama": Family(is_small=True),
    "llama3": _LLAMA_3,
    "llama-3": _LLAMA_3,
    "llama-v3": _LLAMA_3,
    "meta-llama-3": _LLAMA_3,
    "llama3.1": _LLAMA_3_1,
    "llama-3.1": _LLAMA_3_1,
    "llama-v3.1": _LLAMA_3_1,
    "meta-llama-3.1": _LLAMA_3_1,
    "llama3.2": _LLAMA_3_1,
    "llama-3.2": _LLAMA_3_1,
    "llama-v3.2": _LLAMA_3_1,
    # There is one size of it only, whether or not a name says so.
    "llama3.3": evolve(_LLAMA_3_1, is_small=False),
    "llama-3.3": evolve(_LLAMA_3_1, is_small=False),
    "llama-v3.3": evolve(_LLAMA_3_1, is_small=False),
    "codellama": Family(context_window=16 * _K, reasons=False, is_small=True),
    "deepseek": Family(),
    "deepseek-coder": Family(context_window=16 * _K, reasons=False, is_small=True),
    "deepseek-coder-v2": Family(context_window=32 * _K, reasons=False, is_small=True),
    "deepseek-r1": Family(context_window=64 * _K, reasons=True),
    "deepseek-v3": Family(context_window=64 * _K, reasons=False),
    "deepseek-v3.1": Family(context_window=128_000, reasons=True),
    "deepseek-v3.2": Family(context_window=128_000, reasons=True),
    "mistral": Family(context_window=32 * _K, reasons=False, is_small=True),
    "open-mistral": Family(context_window=32 * _K, reasons=False, is_small=True),
    "mistral-nemo": Family(context_window=128_000, reasons=False, is_small=True),
    "open-mistral-nemo": Family(context_window=128_000, reasons=False, is_small=True),
    "mistral-small": _MISTRAL_SMALL,
    "mistral-small3.1": _MISTRAL_SMALL,
    "mistral-small3.2": _MISTRAL_SMALL,
    "mistral-small-24b-instruct-2501": Family(context_window=32 * _K, reasons=False, is_small=True),
    "mistral-medium": Family(context_window=128 * _K),
    "mistral-large": Family(context_window=128_000),
    "mistral-large-2512": Family(context_window=256 * _K, reasons=False),
    "mistral-large-3": Family(context_window=256 * _K, reasons=False),
    "ministral": Family(context_window=128 * _K, is_small=True),
    "mixtral": Family(context_window=32 * _K, reasons=False),
    "codestral": Family(context_window=128_000, reasons=False, is_small=True),
    "codestral-22b": Family(context_window=32 * _K, reasons=False, is_small=True),
    "codestral-2405": Family(context_window=32_000, reasons=False),
    "devstral": Family(context_window=128 * _K, is_small=True),
    "devstral-medium": Family(context_window=128 * _K, reasons=False),
    "devstral-2": Family(context_window=256 * _K, reasons=False),
    "devstral-2512": Family(context_window=256 * _K, reasons=False),
    "magistral": Family(reasons=True, is_small=True),
    "glm": Family(),
    "glm-4.5": Family(context_window=128_000, max_output_tokens=96_000, reasons=True),
    "glm-4.6": Family(context_window=200_000, max_output_tokens=128_000, reasons=True),
    "glm-4.7": Family(context_window=200_000, max_output_tokens=128_000, reasons=True),
    "glm-5": Family(context_window=200_000, max_output_tokens=128_000, reasons=True),
    "glm-5.2": Family(context_window=1_000_000, max_output_tokens=128_000, reasons=True),
    "glm-5.3": Family(context_window=1_000_000, max_output_tokens=128_000, reasons=True),
    "kimi-k2": Family(context_window=128 * _K, reasons=False),
    "kimi-k2-0905": Family(context_window=256 * _K, reasons=False),
    "kimi-k2-instruct-0905": Family(context_window=256 * _K, reasons=False),
    "kimi-k2-thinking": Family(context_window=256 * _K, reasons=True),
    "kimi-k2.5": Family(context_window=256 * _K, reasons=True),
    "kimi-k2.6": Family(context_window=256 * _K, reasons=True),
    "kimi-k2.7": Family(context_window=256 * _K, reasons=True),
    "kimi-k3": Family(context_window=1_000_000, reasons=True),
    "phi": Family(is_small=True),
    "phi3": _PHI_3,
    "phi-3": _PHI_3,
    "phi-3-mini-128k": _PHI_LONG,
    "phi-3-medium-128k": _PHI_LONG,
    "phi3.5": _PHI_LONG,
    "phi-3.5": _PHI_LONG,
    "phi4": _PHI_4,
    "phi-4": _PHI_4,
    "phi4-mini": _PHI_LONG,
    "phi-4-mini": _PHI_LONG,
    "phi4-reasoning": Family(context_window=32 * _K, reasons=True, is_small=True),
    "phi-4-reasoning": Family(context_window=32 * _K, reasons=True, is_small=True),
    "gemma": _GEMMA_2,
    "gemma2": _GEMMA_2,
    "gemma3": _GEMMA_3,
    "gemma-3": _GEMMA_3,
    "gemma3-270m": _GEMMA_3_1B,
    "gemma-3-270m": _GEMMA_3_1B,
    "gemma3-1b": _GEMMA_3_1B,
    "gemma-3-1b": _GEMMA_3_1B,
    "gemma3n": _GEMMA_3_1B,
    "gemma-3n": _GEMMA_3_1B,
    "gemma4": _GEMMA_4,
    "gemma-4": _GEMMA_4,
    "codegemma": _GEMMA_2,
    "starcoder2": Family(context_window=16 * _K, reasons=False, is_small=True),
}
"""The same for models that anyone can run. `is_small` is for names that say no size."""
