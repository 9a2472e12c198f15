"""What is asked about, where nothing but the question is known. Pure."""

from __future__ import annotations

import shlex
from typing import Literal

from codex_rpc.acp import content
from codex_rpc.acp.calls import Update, call_title
from codex_rpc.protocol.events import (
    AddFile,
    ApplyPatchApprovalRequest,
    ApprovalRequest,
    ExecApprovalRequest,
    FileChange,
    McpToolCallApprovalRequest,
    UpdateFile,
)
from codex_rpc.protocol.shapes import clean


def described(request: ApprovalRequest) -> Update:
    """Members of a `ToolCallUpdate`."""
    match request:
        case ExecApprovalRequest(command=command):
            title = call_title(shlex.join(command))
            return {"title": title, "kind": "execute"}
        case ApplyPatchApprovalRequest(changes=changes):
            return {
                "title": call_title(f"Edit {', '.join(changes)}"),
                "kind": "edit",
                "locations": [{"path": path} for path in changes],
                "content": [_proposed(path, change) for path, change in changes.items()],
            }
        case McpToolCallApprovalRequest(invocation=invocation):
            return {"title": call_title(f"{invocation.server}: {invocation.tool}"), "kind": "other"}


def _proposed(path: str, change: Literal["delete"] | FileChange) -> content.Block:
    match change:
        case FileChange(add=AddFile(text)):
            return content.diff(path, None, text)
        case FileChange(update=UpdateFile(unified_diff)):
            return content.fenced(clean(unified_diff), "diff")
    return content.diff(path, None, "")
