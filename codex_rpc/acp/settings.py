"""What a user may change about a session in their editor: the mode, the model, the effort.

Owns the modes, and that they and the options always say the same. A mode chooses a pair of
policies; how a sandbox is furnished (its writable folders, its network, what may not be read) is
the user's configuration, which no mode replaces. As long as nobody chooses a mode, what is
configured holds, also where it is none of ours.

What is chosen holds for the turns after, and is told as chosen at once.
"""

from __future__ import annotations

from typing import Any

from codex_rpc.core.reconfiguration import overridden
from codex_rpc.core.session import Session
from codex_rpc.protocol.errors import InvalidParams
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ops import OverrideTurnContext
from codex_rpc.protocol.policy import ApprovalPolicy, SandboxMode, SandboxPolicy
from codex_rpc.protocol.tools import TurnContext

Update = dict[str, Any]
"""The `update` of a `session/update`."""


@frozen
class Mode:
    """A pair of policies with a name."""

    id: str
    name: str
    description: str
    approval: ApprovalPolicy
    sandbox: SandboxMode


MODES = (
    Mode(
        "read-only",
        "Read Only",
        "Reads files and runs commands that change nothing. Asks before anything else.",
        "on-request",
        "read-only",
    ),
    Mode(
        "ask",
        "Ask",
        "Asks before each edit, and before each command that is not known to only read.",
        "untrusted",
        "workspace-write",
    ),
    Mode(
        "auto",
        "Auto",
        "Edits files in the workspace and runs commands in its sandbox. Asks before it leaves it.",
        "on-request",
        "workspace-write",
    ),
    Mode(
        "full",
        "Full Access",
        "Edits files anywhere and runs all commands, without a sandbox and without asking.",
        "never",
        "danger-full-access",
    ),
)

CONFIGURED = "configured"
"""The id of the mode that stands for policies which are no other mode's."""

EFFORTS = {
    "none": "None",
    "minimal": "Minimal",
    "low": "Low",
    "medium": "Medium",
    "high": "High",
    "xhigh": "Extra High",
}
"""The reasoning efforts that the configuration knows, with their names."""


MAX_MODELS = 100
"""More than these are not offered to choose from; all others can be named."""


class SessionSettings:
    """Those of one session, from its opening to its end."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._opened = self._chosen = session.env.context
        models = (session.env.context.model, session.config.model)
        default = session.config.provider.default_model
        self._models = list(dict.fromkeys([*models, *([default] if default else [])]))

    @property
    def chosen(self) -> TurnContext:
        """What the next turn runs under."""
        return self._chosen

    @property
    def mode_name(self) -> str:
        """What the present mode is called."""
        current = self._mode_id()
        return next(name for id_, name, _ in self._modes() if id_ == current)

    def modes(self) -> dict[str, Any]:
        """The modes there are, and the present one: a `SessionModeState`."""
        return {
            "currentModeId": self._mode_id(),
            "availableModes": [
                {"id": id_, "name": name, "description": description}
                for id_, name, description in self._modes()
            ],
        }

    def options(self) -> list[dict[str, Any]]:
        """All options with their present values, the most important first."""
        efforts = dict(EFFORTS)
        effort = self._chosen.effort or "none"
        efforts.setdefault(effort, effort)
        return [
            _select(
                ("mode", "Mode", "mode", "What may be done without asking"),
                self._mode_id(),
                [_choice(*mode) for mode in self._modes()],
            ),
            _select(
                ("model", "Model", "model", f"Served by {self._session.env.model_provider}"),
                self._chosen.model,
                [_choice(model, model) for model in self._models],
            ),
            _select(
                ("reasoning_effort", "Reasoning effort", "thought_level", None),
                effort,
                [_choice(value, name) for value, name in efforts.items()],
            ),
        ]

    async def set_mode(self, mode_id: str, *, at: str = "modeId") -> list[Update]:
        """Change to a mode; what the client is to be told behind the answer.

        Raises:
            InvalidParams: there is no such mode.
            ConfigError, SessionClosed
        """
        known = [id_ for id_, _, _ in self._modes()]
        if mode_id not in known:
            raise InvalidParams(at, f"one of {', '.join(known)}")
        if mode_id != self._mode_id():
            approval, sandbox = await self._policies(mode_id)
            await self._override(
                OverrideTurnContext(approval_policy=approval, sandbox_policy=sandbox)
            )
        return [
            {"sessionUpdate": "current_mode_update", "currentModeId": self._mode_id()},
            self.update(),
        ]

    async def set_option(self, config_id: str, value: Any) -> list[Update]:
        """Give an option a value; what the client is to be told behind the answer.

        A model may be named that is not among the choices: not every server tells what it has.

        Raises:
            InvalidParams: there is no such option, or it does not take that value.
            ConfigError, SessionClosed
        """
        if not isinstance(value, str):
            raise InvalidParams("value", "string")
        match config_id:
            case "mode":
                return await self.set_mode(value, at="value")
            case "model":
                if not value.strip() or not value.isprintable():
                    raise InvalidParams("value", "the name of a model")
                if value != self._chosen.model:
                    await self._override(OverrideTurnContext(model=value))
                if value not in self._models:
                    self._models.append(value)
            case "reasoning_effort":
                if value not in (*EFFORTS, self._chosen.effort):
                    raise InvalidParams("value", f"one of {', '.join(EFFORTS)}")
                if value != (self._chosen.effort or "none"):
                    await self._override(OverrideTurnContext(effort=value))
            case _:
                known = ", ".join(option["id"] for option in self.options())
                raise InvalidParams("configId", f"one of {known}")
        return [self.update()]

    async def learn(self) -> Update | None:
        """Ask the provider which models it has; what the client is to be told of it, if anything.

        Takes two seconds at most.
        """
        known = len(self._models)
        offered = await self._session.env.model.models()
        self._models += [model for model in offered if model not in self._models]
        del self._models[max(known, MAX_MODELS) :]
        return self.update() if len(self._models) > known else None

    def update(self) -> Update:
        """The options as a `config_option_update`."""
        return {"sessionUpdate": "config_option_update", "configOptions": self.options()}

    async def _override(self, op: OverrideTurnContext) -> None:
        await self._session.submit(op)
        # The session does the same when its turn has ended.
        self._chosen = overridden(self._chosen, op)

    async def _policies(self, mode_id: str) -> tuple[ApprovalPolicy, SandboxPolicy]:
        if mode_id == CONFIGURED:
            return self._opened.approval_policy, self._opened.sandbox_policy
        mode = next(mode for mode in MODES if mode.id == mode_id)
        return mode.approval, await self._session.configured_sandbox(mode.sandbox)

    def _modes(self) -> list[tuple[str, str, str]]:
        """Id, name and description of each."""
        modes = [(mode.id, mode.name, mode.description) for mode in MODES]
        if _mode_of(self._opened) == CONFIGURED:
            policy = self._opened
            description = (
                f"What is configured: approval policy {policy.approval_policy}, sandbox "
                f"{policy.sandbox_policy.mode}."
            )
            modes.append((CONFIGURED, "As configured", description))
        return modes

    def _mode_id(self) -> str:
        return _mode_of(self._chosen)


def _mode_of(context: TurnContext) -> str:
    policies = context.approval_policy, context.sandbox_policy.mode
    return next((m.id for m in MODES if (m.approval, m.sandbox) == policies), CONFIGURED)


def _choice(value: str, name: str, description: str | None = None) -> dict[str, str]:
    choice = {"value": value, "name": name}
    return choice if description is None else {**choice, "description": description}


def _select(
    told: tuple[str, str, str, str | None], value: str, choices: list[dict[str, str]]
) -> dict[str, Any]:
    id_, name, category, description = told
    option: dict[str, Any] = {"id": id_, "name": name, "category": category, "type": "select"}
    if description is not None:
        option["description"] = description
    return {**option, "currentValue": value, "options": choices}
