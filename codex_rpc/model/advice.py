"""What errors of a model server say: of which request they speak, and what a person can do.

Owns what is kept out of every message (our keys, line breaks, what a terminal would obey), and
which settings, variables and commands are named to whom: nothing is said that does not apply to
the provider. It does not know what can go wrong. `""` says that there is nothing to be done.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, quote_plus, unquote, urlsplit

from codex_rpc.config.builtin_providers import BUILTIN_PROVIDERS, OPENAI_KEY
from codex_rpc.config.schema import dotted
from codex_rpc.config.settings import Provider
from codex_rpc.model.http_request import shown
from codex_rpc.protocol.frozen import frozen

MAX_QUOTED_CHARS = 500

_SECRET_NAME = r"(?i)auth|key|token|secret|cookie|sig|pass|pwd|cred|^code$"  # noqa: S105 - a pattern
_SHORT_CHARS = 8
"""What is shorter is masked where it is a word of its own: it may well be part of others."""

_WIRE_APIS = {
    "/responses": ("the Responses API", "chat"),
    "/chat/completions": ("Chat Completions", "responses"),
}
"""What is spoken at a path, and what to configure for the other."""

_ADDRESS_VARIABLES = {
    "openai": "OPENAI_BASE_URL",
    "oss": "OLLAMA_HOST",
    "ollama": "OLLAMA_HOST",
}
"""Where a built-in provider's address may come from besides config.toml."""


@frozen(kw_only=True)
class Asked:
    """Of a request, what its errors may speak of."""

    provider: Provider
    model: str
    path: str
    """What was asked for, behind the provider's address."""
    codex_home: Path
    continues: bool = False
    """Whether it had a `previous_response_id`."""

    @property
    def url(self) -> str:
        """The provider's address, without secrets."""
        return shown(self.provider.base_url or "")

    @property
    def host(self) -> str:
        """The name of the provider's host, or its address."""
        return urlsplit(self.provider.base_url or "").hostname or ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What a server may repeat, and no message may."""
        provider = self.provider
        url = urlsplit(provider.base_url or "")
        named = [*provider.http_headers.items(), *provider.query_params.items()]
        named += parse_qsl(url.query)
        # What a header takes from the environment is kept out of the configuration on purpose.
        hidden = {name.lower() for name in provider.env_http_headers}
        values = [
            value
            for name, value in named
            if re.search(_SECRET_NAME, name) or name.lower() in hidden
        ]
        # Behind the last space of "Bearer sk-…" is what a server repeats.
        values += [value.rpartition(" ")[2] for value in values]
        values += [provider.api_key or "", *(unquote(part) for part in _user_of(url))]
        # A server that repeats the address repeats it as it was sent.
        values += [
            spelt(value) for value in values for spelt in (quote_plus, partial(quote, safe=""))
        ]
        if url.username is not None:
            from base64 import b64encode

            user = ":".join(map(unquote, (url.username, url.password or "")))
            values.append(b64encode(user.encode()).decode())
        # The longest first: what is left of a key is no longer found.
        return tuple(sorted(filter(None, set(values)), key=lambda value: (-len(value), value)))

    def quoted(self, text: str) -> str:
        """`text` of a stranger fit to be shown: on one line, not long, without our keys."""
        for secret in self.secrets:
            pattern = re.escape(secret)
            if len(secret) < _SHORT_CHARS:
                pattern = rf"(?<!\w){pattern}(?!\w)"
            text = re.sub(pattern, "[key]", text)
        text = _one_line(text)
        return text if len(text) <= MAX_QUOTED_CHARS else text[: MAX_QUOTED_CHARS - 1] + "…"


def _user_of(url: SplitResult) -> tuple[str, ...]:
    """What of an address says who asks: the password, or where there is none the user."""
    return tuple(filter(None, (url.password or url.username,)))


def told(happened: str, *advice: str) -> str:
    """One line: what happened, and what to do about it, if anything can be done."""
    parts = [happened, *filter(None, advice)]
    return _one_line(happened if len(parts) == 1 else " ".join(map(_sentence, parts)))


def _sentence(text: str) -> str:
    text = text.rstrip()
    return text if text.endswith((".", "!", "?", "…")) else text + "."


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


# What can be done.


def table(asked: Asked) -> str:
    """Where the provider is configured, or would be."""
    return f"[{dotted(('model_providers', asked.provider.id))}]"


def address(asked: Asked) -> str:
    """The setting that the provider's address is from; "" if it is the built-in one."""
    provider = asked.provider
    ours = BUILTIN_PROVIDERS.get(provider.id, {}).get("base_url")
    if ours is not None and provider.base_url == ours:
        return ""
    setting = f"base_url of {table(asked)}"
    variable = _ADDRESS_VARIABLES.get(provider.id)
    return f"{variable}, or {setting}" if variable else setting


def on_wrong_key(asked: Asked) -> str:
    provider = asked.provider
    places = []
    if provider.env_key:
        places.append(f"set the environment variable {provider.env_key} to a valid API key")
    if provider.requires_openai_auth:
        places.append(f"put a valid {OPENAI_KEY} into {asked.codex_home / 'auth.json'}")
    if not places and provider.http_headers:
        places.append(f"check http_headers and env_http_headers of {table(asked)}")
    if not places:
        places.append(
            "no key was sent: if one is needed, name the environment variable that holds it, as"
            f" env_key under {table(asked)} in config.toml"
        )
    text = _sentence(_capital(" or ".join(places)))
    command = "`codex-rpc login` does the latter." if provider.requires_openai_auth else ""
    return " ".join(filter(None, (text, command, provider.env_key_instructions)))


def on_forbidden(asked: Asked) -> str:
    """For a key that is known, and may not do what was asked."""
    keys = _keys(asked)
    if not keys:
        return on_wrong_key(asked)
    return f"Check that the key in {keys} may be used for {asked.model}"


def on_no_model(asked: Asked) -> str:
    if asked.provider.id == "azure":
        return "Set `model` to the name of one of your deployments"
    text = "Set `model` to one that it has (`codex-rpc doctor` names some)"
    local = asked.provider.local
    if local is None:
        return text
    return f"{text}, or add this one: {_command(local.add_model.format(model=asked.model))}"


def on_no_tools(asked: Asked, *, is_switched_off: bool) -> str:
    """`is_switched_off`: by the server, which names the options that switch them on."""
    if is_switched_off:
        return "Start the server with these options: without tools no model can work here"
    return f"Set `model` to one that can call tools: without them {asked.model} cannot work here"


def on_wrong_path(asked: Asked) -> str:
    where = address(asked)
    parts = [f"Check {where}"] if where else []
    if where and asked.url.count("/") < 3:
        parts[0] += " (most of these addresses end with /v1)"
    if asked.path in _WIRE_APIS:
        spoken, other = _WIRE_APIS[asked.path]
        parts.append(
            f'if it does not speak {spoken}, set wire_api = "{other}" under {table(asked)}'
        )
    return _capital("; ".join(parts))


def on_no_quota(asked: Asked, *, asks_for_less: bool) -> str:
    """`asks_for_less`: whether a shorter answer would be paid for."""
    keys = _keys(asked)
    other = f"put the key of another into {keys}" if keys else "use another"
    text = f"Add credit to the account, or {other}"
    if asks_for_less:
        text += "; to ask for shorter answers, set model_max_output_tokens"
    return text


def on_later(wait: str) -> str:
    return f"Try again in {wait}, or choose another model or provider"


def on_filter() -> str:
    return "Put it in other words, or start a new conversation: the old one is sent each time"


def on_bad_history() -> str:
    """For a server, or a model's template, that cannot make use of what is in the conversation."""
    return "It will not accept this conversation: start a new one, or try another model"


def on_small_memory() -> str:
    return "Choose a smaller model, or close what else needs memory"


def on_too_large() -> str:
    return (
        "The server, or a gateway before it, takes no request as large as this: compact the"
        " conversation, or start a new one"
    )


def on_unreachable(asked: Asked) -> str:
    """For an address where nobody answers."""
    local, where = asked.provider.local, address(asked)
    if local is not None:
        text = f"If {asked.provider.name} does not run, start it: {_command(local.start)}"
        text += f" (to be had at {local.install})"
        if (add := local.add_model.format(model=asked.model)) != local.start:
            text += f", and get the model: {_command(add)}"
        return f"{text}. If it does, check {where}" if where else text
    return f"Check {where}, and the network" if where else "Check the network connection"


def on_proxy(asked: Asked, variable: str) -> str:
    """For a proxy that stands in the way; `variable` names it."""
    return (
        f"Check {variable}, or add {asked.host} to NO_PROXY if it can be reached without the proxy"
    )


def on_proxy_password(variable: str) -> str:
    return f"Write user and password into {variable}, as in http://USER:PASSWORD@HOST:PORT"


def on_untrusted_certificate() -> str:
    return (
        "If the server has a certificate of your own organisation, or a firewall puts its own in"
        " between, set SSL_CERT_FILE to a file with the certificates to trust (PEM)"
    )


def on_expired_certificate() -> str:
    return "Check this computer's clock; if it is right, the server needs a new certificate"


def on_other_name(asked: Asked) -> str:
    where = address(asked)
    text = "The certificate is for other names"
    return f"{text}: check the host in {where}" if where else f"{text}: check the network"


def on_wrong_scheme(asked: Asked, scheme: str) -> str:
    where = address(asked)
    text = f"It seems that the address has to begin with {scheme}://"
    return f"{text}: check {where}" if where else text


def on_hanging_up(asked: Asked) -> str:
    """For a server that closes the connection when it is spoken to in plain HTTP."""
    where = address(asked)
    return f"A server that wants https:// does so: check {where}" if where else ""


def _keys(asked: Asked) -> str:
    """Where the key that is sent may be from."""
    provider = asked.provider
    places = [provider.env_key] if provider.env_key else []
    if provider.requires_openai_auth:
        places.append(str(asked.codex_home / "auth.json"))
    return " or ".join(places)


def _command(text: str) -> str:
    """A command to type as such; a sentence as it is."""
    return text if text[:1].isupper() else f"`{text}`"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
