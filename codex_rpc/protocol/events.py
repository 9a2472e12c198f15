"""Events: what a session announces (`session/event`.msg).

An optional member with a default is left out of the wire when it has that default; one
without a default is always there, `null` included.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from attrs import field

from codex_rpc.protocol.frozen import frozen
from codex_rpc.protocol.ids import SubmissionId
from codex_rpc.protocol.items import Item
from codex_rpc.protocol.model import StopReason
from codex_rpc.protocol.policy import SandboxMeans

AbortReason = Literal["interrupted", "abort", "shutdown", "taken_over"]


@frozen
class Duration:
    """A length of time."""

    secs: int
    nanos: int

    @classmethod
    def of(cls, seconds: float) -> Duration:
        """`seconds`, split."""
        whole = int(seconds)
        return cls(whole, int((seconds - whole) * 1_000_000_000))


@frozen
class SessionConfigured:
    type: ClassVar[str] = "session_configured"
    session_id: str
    model: str
    history_log_id: int
    history_entry_count: int
    rollout_path: str
    sandbox: SandboxMeans | None = None
    """Which means confines commands here."""


@frozen
class UserMessage:
    """The input is saved; the event's id is the input's own submission."""

    type: ClassVar[str] = "user_message"
    items: list[Any]
    turn_id: str


@frozen
class TaskStarted:
    type: ClassVar[str] = "task_started"
    model_context_window: int | None = None


@frozen
class TaskComplete:
    type: ClassVar[str] = "task_complete"
    last_agent_message: str | None
    stop_reason: StopReason | None = None
    """None: it had nothing more to say."""


@frozen
class TurnAborted:
    type: ClassVar[str] = "turn_aborted"
    reason: AbortReason


@frozen
class Error:
    """Closes the turn if the event's id is a running turn's, and nothing otherwise."""

    type: ClassVar[str] = "error"
    message: str
    code: int | None = None
    stop_reason: StopReason | None = None
    """Where the server would not have the model answer."""


@frozen
class StreamError:
    """A retry follows; deltas of items that were not completed are void."""

    type: ClassVar[str] = "stream_error"
    message: str
    attempt: int
    max_attempts: int
    retry_in_ms: int


@frozen
class BackgroundEvent:
    type: ClassVar[str] = "background_event"
    message: str


@frozen
class StorageFailed:
    """Nothing announced from here on is in the file, until `storage_recovered`."""

    type: ClassVar[str] = "storage_failed"
    code: int
    message: str
    path: str
    unsaved: int


@frozen
class StorageRecovered:
    type: ClassVar[str] = "storage_recovered"
    saved: int


@frozen
class TakenOverBy:
    pid: int
    host: str


@frozen
class SessionTakenOver:
    type: ClassVar[str] = "session_taken_over"
    by: TakenOverBy


@frozen
class AgentMessageDelta:
    type: ClassVar[str] = "agent_message_delta"
    item_id: str
    delta: str


@frozen
class AgentMessage:
    type: ClassVar[str] = "agent_message"
    item_id: str
    message: str


@frozen
class AgentReasoningDelta:
    type: ClassVar[str] = "agent_reasoning_delta"
    item_id: str
    part: int
    delta: str


@frozen
class AgentReasoning:
    type: ClassVar[str] = "agent_reasoning"
    item_id: str
    part: int
    text: str


@frozen
class TokenCount:
    """What one response cost."""

    type: ClassVar[str] = "token_count"
    input_tokens: int
    output_tokens: int
    total_tokens: int
    cached_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None


@frozen
class ExecApprovalRequest:
    type: ClassVar[str] = "exec_approval_request"
    call_id: str
    command: list[str]
    cwd: str
    sandbox: Literal["none", "read-only", "workspace-write"]
    network: bool
    reason: str | None = None


@frozen
class ExecCommandBegin:
    type: ClassVar[str] = "exec_command_begin"
    call_id: str
    command: list[str]
    cwd: str


@frozen
class ExecCommandOutputDelta:
    type: ClassVar[str] = "exec_command_output_delta"
    call_id: str
    stream: Literal["stdout", "stderr"]
    chunk: str


@frozen
class ExecCommandEnd:
    """`exit_code` is -1 where there is none: not started, timed out, killed."""

    type: ClassVar[str] = "exec_command_end"
    call_id: str
    stdout: str
    stderr: str
    exit_code: int
    duration: Duration


@frozen
class AddFile:
    content: str


@frozen
class UpdateFile:
    unified_diff: str
    move_path: str | None


@frozen
class FileChange:
    """One file's change: exactly one of the two is set; on the wire "delete" is the bare string."""

    add: AddFile | None = None
    update: UpdateFile | None = None


Changes = dict[str, Literal["delete"] | FileChange]


@frozen
class ProposedFile:
    """A file of a patch that is shown for review."""

    old_text: str | None
    """None: there is no such file."""
    new_text: str | None
    """None: it is removed."""
    version: int | None = None
    """Of the open document that `old_text` is; None: it is not open."""


@frozen
class ApplyPatchApprovalRequest:
    type: ClassVar[str] = "apply_patch_approval_request"
    call_id: str
    changes: Changes
    reason: str | None = None
    grant_root: str | None = None
    files: dict[str, ProposedFile] | None = None
    """With `patch_review`: the same as whole texts, by path."""


@frozen
class PatchApplyBegin:
    type: ClassVar[str] = "patch_apply_begin"
    call_id: str
    auto_approved: bool
    changes: Changes


@frozen
class PatchApplyEnd:
    type: ClassVar[str] = "patch_apply_end"
    call_id: str
    stdout: str
    stderr: str
    success: bool


@frozen
class TurnDiff:
    """The whole turn as one git-style diff, sent when it changed."""

    type: ClassVar[str] = "turn_diff"
    unified_diff: str


@frozen
class PlanStep:
    step: str
    status: Literal["pending", "in_progress", "completed"]


@frozen
class PlanUpdate:
    type: ClassVar[str] = "plan_update"
    plan: list[PlanStep]
    explanation: str | None = None


@frozen
class ContextCompacted:
    type: ClassVar[str] = "context_compacted"
    summary: str


@frozen
class McpInvocation:
    server: str
    tool: str
    arguments: Any = None


@frozen
class McpToolCallApprovalRequest:
    type: ClassVar[str] = "mcp_tool_call_approval_request"
    call_id: str
    invocation: McpInvocation
    reason: str | None = None


@frozen
class McpToolCallBegin:
    type: ClassVar[str] = "mcp_tool_call_begin"
    call_id: str
    invocation: McpInvocation


@frozen
class McpToolCallEnd:
    """`result` is `{"Ok": …}` or `{"Err": …}`."""

    type: ClassVar[str] = "mcp_tool_call_end"
    call_id: str
    invocation: McpInvocation
    duration: Duration
    result: dict[str, Any]


@frozen
class McpListToolsResponse:
    type: ClassVar[str] = "mcp_list_tools_response"
    tools: dict[str, Any]


@frozen
class HistoryEntry:
    session_id: str
    ts: int
    """Seconds since the epoch."""
    text: str


@frozen
class GetHistoryEntryResponse:
    type: ClassVar[str] = "get_history_entry_response"
    offset: int
    log_id: int
    entry: HistoryEntry | None = None


@frozen
class ShutdownComplete:
    type: ClassVar[str] = "shutdown_complete"


@frozen
class ItemRecorded:
    """An item has entered the session's history; what is said of it comes behind this.

    Only for readers in this process that ask for it (`EventQueue.tells_items`), and never on the
    native wire, where begin and end events say the same: for protocols that show the same call
    live and when it is loaded, from the same thing.
    """

    type: ClassVar[str] = "item_recorded"
    item: Item


EventMsg = (
    SessionConfigured
    | UserMessage
    | TaskStarted
    | TaskComplete
    | TurnAborted
    | Error
    | StreamError
    | BackgroundEvent
    | StorageFailed
    | StorageRecovered
    | SessionTakenOver
    | AgentMessageDelta
    | AgentMessage
    | AgentReasoningDelta
    | AgentReasoning
    | TokenCount
    | ExecApprovalRequest
    | ExecCommandBegin
    | ExecCommandOutputDelta
    | ExecCommandEnd
    | ApplyPatchApprovalRequest
    | PatchApplyBegin
    | PatchApplyEnd
    | TurnDiff
    | PlanUpdate
    | ContextCompacted
    | McpToolCallApprovalRequest
    | McpToolCallBegin
    | McpToolCallEnd
    | McpListToolsResponse
    | GetHistoryEntryResponse
    | ShutdownComplete
)

Delta = AgentMessageDelta | AgentReasoningDelta | ExecCommandOutputDelta
"""Events that announce nothing and may be merged while a reader is slow."""

ApprovalRequest = ExecApprovalRequest | ApplyPatchApprovalRequest | McpToolCallApprovalRequest

TurnClosing = TaskComplete | TurnAborted | Error


@frozen
class Event:
    """One announcement: what happened, and the submission it belongs to."""

    id: SubmissionId
    msg: EventMsg | ItemRecorded
    unsaved: bool = field(default=False)
    """What this announces is not in the session file yet."""
