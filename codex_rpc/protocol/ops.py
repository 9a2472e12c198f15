"""Operations: what a client may ask of a session (`session/submit`.op)."""

from __future__ import annotations

from typing import ClassVar

from attrs import Attribute, field

from codex_rpc.protocol.errors import Mismatch
from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.policy import ApprovalPolicy, Decision, SandboxPolicy
from codex_rpc.protocol.settings import Settings


@frozen
class TextInput:
    """Text that the user wrote."""

    type: ClassVar[str] = "text"
    text: str


@frozen
class ImageInput:
    """An image by URL, `data:` URLs included."""

    type: ClassVar[str] = "image"
    image_url: str


@frozen
class LocalImageInput:
    """An image file on the server's machine."""

    type: ClassVar[str] = "local_image"
    path: str


@frozen
class Position:
    """A place in a text, as in the Language Server Protocol."""

    line: int = field()
    """Counted from 0."""
    character: int = field()
    """Counted from 0, in characters."""

    @line.validator
    @character.validator
    def _not_negative(self, attribute: Attribute[int], value: int) -> None:
        if value < 0:
            raise Mismatch("integer, 0 or more", at=f".{attribute.name}")


@frozen
class Range:
    """From a place up to, and without, another one."""

    start: Position
    end: Position


@frozen
class MentionInput:
    """A file that the user points at, or a part of it; the model is given its text."""

    type: ClassVar[str] = "mention"
    path: str
    range: Range | None = None


@frozen
class SelectionInput:
    """What is selected in the editor."""

    type: ClassVar[str] = "selection"
    path: str
    range: Range
    text: str | None = None
    """None: what the document or the file has there."""


InputItem = TextInput | ImageInput | LocalImageInput | MentionInput | SelectionInput


@frozen
class UserInput:
    """Starts a turn, or joins the running one before its next model request."""

    type: ClassVar[str] = "user_input"
    items: list[InputItem] = field()

    @items.validator
    def _not_empty(self, _attribute: object, value: list[InputItem]) -> None:
        if not value:
            raise Mismatch("at least one item", at=".items")


@frozen
class Interrupt:
    """Stops the running turn; nothing when idle."""

    type: ClassVar[str] = "interrupt"


@frozen
class ExecApproval:
    """Answers an `exec_approval_request` or `mcp_tool_call_approval_request`."""

    type: ClassVar[str] = "exec_approval"
    id: str
    decision: Decision


@frozen
class PatchApproval:
    """Answers an `apply_patch_approval_request`."""

    type: ClassVar[str] = "patch_approval"
    id: str
    decision: Decision
    edited: dict[str, str] | None = None
    """The whole texts of files, by the request's paths, that the user wants instead."""
    hunks: dict[str, list[int]] | None = None
    """For a file of the request: which of its hunks, counted from 0, are wanted. Other files are
    wanted whole."""


@frozen
class OverrideTurnContext:
    """Changes what is given, for the turns after; unknown members are refused."""

    type: ClassVar[str] = "override_turn_context"
    forbid_unknown: ClassVar[bool] = True
    cwd: str | None = None
    approval_policy: ApprovalPolicy | None = None
    sandbox_policy: SandboxPolicy | None = None
    model: str | None = None
    effort: str | None = None
    summary: str | None = None


@frozen(kw_only=True)
class ConfigureSession(Settings):
    """Reconfigures the session in place: same id, same file."""

    type: ClassVar[str] = "configure_session"
    cwd: str | None = None


@frozen
class Compact:
    """Summarises the conversation so far and continues from the summary."""

    type: ClassVar[str] = "compact"


@frozen
class AddToHistory:
    """Appends to the message history that all sessions share."""

    type: ClassVar[str] = "add_to_history"
    text: str


@frozen
class GetHistoryEntryRequest:
    """Asks for one entry of the message history."""

    type: ClassVar[str] = "get_history_entry_request"
    offset: int
    log_id: int


@frozen
class ListMcpTools:
    """Asks for the tools of the MCP servers."""

    type: ClassVar[str] = "list_mcp_tools"


@frozen
class Shutdown:
    """Closes the session, as `session/close`."""

    type: ClassVar[str] = "shutdown"


Op = (
    UserInput
    | Interrupt
    | ExecApproval
    | PatchApproval
    | OverrideTurnContext
    | ConfigureSession
    | Compact
    | AddToHistory
    | GetHistoryEntryRequest
    | ListMcpTools
    | Shutdown
)
