"""How servers call what went wrong: codes, in lower case, and patterns of words.

Owns the lists, each from answers of real servers. What follows from them is `errors`' to say.
Patterns are compiled when first used: most processes never meet an error.
"""

from __future__ import annotations

NO_QUOTA = frozenset(
    (
        "insufficient_quota",
        "usage_not_included",
        "usage_limit_reached",
        "billing_hard_limit_reached",
        "billing_not_active",
        "budget_exceeded",
    )
)
NO_QUOTA_WORDS = (
    r"(?i)insufficient[ _](balance|credits?|funds|quota)|exceeded your current quota"
    r"|credit balance is too low|requires more credits|account is not active"
    r"|key limit exceeded|(spend|spending|usage) limit|budget has been exceeded"
)
TOO_FAST = frozenset(
    ("rate_limit_exceeded", "rate_limit_error", "ratelimitreached", "rate_limited")
)
TOO_LARGE_FOR_A_MINUTE = r"(?i)request too large for"

CONTEXT_FULL = frozenset(
    ("context_length_exceeded", "exceed_context_size_error", "model_context_window_exceeded")
)
CONTEXT_WORDS = r"(?i)context (length|size|window)|context the overflows"
TOO_LONG = (
    r"(?i)context (length|size|window) (has been )?exceeded|context_(length|window)_exceeded"
    r"|exceeds? the (available |maximum )?context (length|size|window)"
    r"|(prompt|input|request) is too long|prompt too long|maximum (prompt|input|context) length"
    r"|maximum allowed input length|exceeds the maximum number of tokens"
    r"|exceeded model token limit|too many (input |prompt )?tokens|range of input length"
    r"|reduce the length of (the |your )?(messages|input|prompt|either)"
)

PREVIOUS = frozenset(("previous_response_not_found",))
PREVIOUS_WORDS = (
    r"(?i)previous[_ ]response|zero data retention|response with id|history node with id"
)

FILTERED = frozenset(
    ("content_filter", "responsibleaipolicyviolation", "content_policy_violation", "invalid_prompt")
)
FILTERED_WORDS = (
    r"(?i)content[ _](management policy|filter|policy)|flagged (as|for|by)|requires moderation"
)

WRONG_KEY = frozenset(("invalid_api_key", "authentication_error", "api_key_invalid"))
WRONG_KEY_WORDS = r"(?i)api key not valid|(incorrect|invalid) api key"

NO_TOOLS_WORDS = r"(?i)not support (tool|function)|support tool use|--enable-auto-tool-choice"

NO_MODEL = frozenset(
    ("model_not_found", "deploymentnotfound", "invalid_model", "model_decommissioned")
)
NO_MODEL_WORDS = (
    r"(?i)\bmodel\b.{0,160}\b(not found|does not exist|not exist|is not available|not supported"
    r"|decommissioned|deprecated)\b|not a valid model|(unknown|invalid|no such) model"
    r"|no endpoints found for|no models? (is |are )?loaded|not have access to model"
)

WRONG_PATH_WORDS = r"(?i)unexpected endpoint|^invalid url\b"
WANTS_TLS_WORDS = r"(?i)http request (was sent )?to (an )?https"

MISUNDERSTOOD_WORDS = (
    r"(?i)json\.exception\.|jinja|chat template|raise_exception|roles must alternate"
    r"|parse tool call arguments as json"
)
NO_MEMORY_WORDS = r"(?i)requires more (system )?memory|insufficient system resources"
LOADING_WORDS = r"(?i)loading model|model is (still |currently )?(being )?load"
OVERLOADED = frozenset(("overloaded_error", "server_is_overloaded", "overloaded"))
