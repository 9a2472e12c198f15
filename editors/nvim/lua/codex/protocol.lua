---@meta
-- The types of the native protocol. Written by scripts/protocol_types.py from `codex-rpc schema`;
-- what they mean is in codex_rpc/protocol/PROTOCOL.md. Neovim never loads this file.

---@class codex.protocol.AddFile
---@field content string

--- Appends to the message history that all sessions share.
---@class codex.protocol.AddToHistory
---@field type 'add_to_history'
---@field text string

---@class codex.protocol.AgentMessage
---@field type 'agent_message'
---@field item_id string
---@field message string

---@class codex.protocol.AgentMessageDelta
---@field type 'agent_message_delta'
---@field item_id string
---@field delta string

---@class codex.protocol.AgentReasoning
---@field type 'agent_reasoning'
---@field item_id string
---@field part integer
---@field text string

---@class codex.protocol.AgentReasoningDelta
---@field type 'agent_reasoning_delta'
---@field item_id string
---@field part integer
---@field delta string

---@class codex.protocol.ApplyPatchApprovalRequest
---@field type 'apply_patch_approval_request'
---@field call_id string
---@field changes table<string, 'delete'|codex.protocol.FileChange>
---@field reason? string
---@field grant_root? string
---@field files? table<string, codex.protocol.ProposedFile>

---@class codex.protocol.BackgroundEvent
---@field type 'background_event'
---@field message string

--- session/close.
---@class codex.protocol.CloseParams
---@field sessionId string
---@field discard? boolean

--- Summarises the conversation so far and continues from the summary.
---@class codex.protocol.Compact
---@field type 'compact'

--- session/configure.
---@class codex.protocol.ConfigureParams
---@field model? string
---@field modelProvider? string
---@field profile? string
---@field approvalPolicy? 'untrusted'|'on-failure'|'on-request'|'never'
---@field sandboxPolicy? codex.protocol.SandboxPolicy
---@field modelReasoningEffort? string
---@field modelReasoningSummary? string
---@field userInstructions? string
---@field baseInstructions? string
---@field disableResponseStorage? boolean
---@field notify? string[]
---@field config? table<string, any>
---@field cwd string
---@field resumePath? string

--- The answer to session/configure.
---@class codex.protocol.ConfigureResult
---@field sessionId string
---@field model string
---@field modelProvider string
---@field cwd string
---@field approvalPolicy 'untrusted'|'on-failure'|'on-request'|'never'
---@field sandboxPolicy codex.protocol.SandboxPolicy
---@field sandbox 'bubblewrap'|'landlock'|'seatbelt'|'none'
---@field rolloutPath string
---@field historyLogId integer
---@field historyEntryCount integer
---@field resumed boolean
---@field itemCount integer

--- Reconfigures the session in place: same id, same file.
---@class codex.protocol.ConfigureSession
---@field type 'configure_session'
---@field model? string
---@field model_provider? string
---@field profile? string
---@field approval_policy? 'untrusted'|'on-failure'|'on-request'|'never'
---@field sandbox_policy? codex.protocol.SandboxPolicy
---@field model_reasoning_effort? string
---@field model_reasoning_summary? string
---@field user_instructions? string
---@field base_instructions? string
---@field disable_response_storage? boolean
---@field notify? string[]
---@field config? table<string, any>
---@field cwd? string

---@class codex.protocol.ContextCompacted
---@field type 'context_compacted'
---@field summary string

---@class codex.protocol.Damage
---@field line integer
---@field bytes integer
---@field reason string

--- A length of time.
---@class codex.protocol.Duration
---@field secs integer
---@field nanos integer

--- `{}`.
---@class codex.protocol.Empty

--- Closes the turn if the event's id is a running turn's, and nothing otherwise.
---@class codex.protocol.Error
---@field type 'error'
---@field message string
---@field code? integer
---@field stop_reason? 'max_tokens'|'refusal'|'max_turn_requests'

---@alias codex.protocol.EventMsg
---| codex.protocol.SessionConfigured
---| codex.protocol.UserMessage
---| codex.protocol.TaskStarted
---| codex.protocol.TaskComplete
---| codex.protocol.TurnAborted
---| codex.protocol.Error
---| codex.protocol.StreamError
---| codex.protocol.BackgroundEvent
---| codex.protocol.StorageFailed
---| codex.protocol.StorageRecovered
---| codex.protocol.SessionTakenOver
---| codex.protocol.AgentMessageDelta
---| codex.protocol.AgentMessage
---| codex.protocol.AgentReasoningDelta
---| codex.protocol.AgentReasoning
---| codex.protocol.TokenCount
---| codex.protocol.ExecApprovalRequest
---| codex.protocol.ExecCommandBegin
---| codex.protocol.ExecCommandOutputDelta
---| codex.protocol.ExecCommandEnd
---| codex.protocol.ApplyPatchApprovalRequest
---| codex.protocol.PatchApplyBegin
---| codex.protocol.PatchApplyEnd
---| codex.protocol.TurnDiff
---| codex.protocol.PlanUpdate
---| codex.protocol.ContextCompacted
---| codex.protocol.McpToolCallApprovalRequest
---| codex.protocol.McpToolCallBegin
---| codex.protocol.McpToolCallEnd
---| codex.protocol.McpListToolsResponse
---| codex.protocol.GetHistoryEntryResponse
---| codex.protocol.ShutdownComplete

--- Answers an `exec_approval_request` or `mcp_tool_call_approval_request`.
---@class codex.protocol.ExecApproval
---@field type 'exec_approval'
---@field id string
---@field decision 'approved'|'approved_for_session'|'denied'|'abort'

---@class codex.protocol.ExecApprovalRequest
---@field type 'exec_approval_request'
---@field call_id string
---@field command string[]
---@field cwd string
---@field sandbox 'none'|'read-only'|'workspace-write'
---@field network boolean
---@field reason? string

---@class codex.protocol.ExecCommandBegin
---@field type 'exec_command_begin'
---@field call_id string
---@field command string[]
---@field cwd string

--- `exit_code` is -1 where there is none: not started, timed out, killed.
---@class codex.protocol.ExecCommandEnd
---@field type 'exec_command_end'
---@field call_id string
---@field stdout string
---@field stderr string
---@field exit_code integer
---@field duration codex.protocol.Duration

---@class codex.protocol.ExecCommandOutputDelta
---@field type 'exec_command_output_delta'
---@field call_id string
---@field stream 'stdout'|'stderr'
---@field chunk string

--- session/export.
---@class codex.protocol.ExportParams
---@field sessionId string
---@field format 'markdown'|'html'|'json'
---@field path? string

--- The answer to session/export: exactly one of the two.
---@class codex.protocol.ExportResult
---@field text? string
---@field path? string

--- One file's change: exactly one of the two is set; on the wire "delete" is the bare string.
---@class codex.protocol.FileChange
---@field add? codex.protocol.AddFile
---@field update? codex.protocol.UpdateFile

--- session/fork: exactly one of `session_id`, `path`.
---@class codex.protocol.ForkParams
---@field model? string
---@field modelProvider? string
---@field profile? string
---@field approvalPolicy? 'untrusted'|'on-failure'|'on-request'|'never'
---@field sandboxPolicy? codex.protocol.SandboxPolicy
---@field modelReasoningEffort? string
---@field modelReasoningSummary? string
---@field userInstructions? string
---@field baseInstructions? string
---@field disableResponseStorage? boolean
---@field notify? string[]
---@field config? table<string, any>
---@field cwd? string
---@field sessionId? string
---@field path? string
---@field upTo? integer

--- The answer to session/fork.
---@class codex.protocol.ForkResult
---@field sessionId string
---@field model string
---@field modelProvider string
---@field cwd string
---@field approvalPolicy 'untrusted'|'on-failure'|'on-request'|'never'
---@field sandboxPolicy codex.protocol.SandboxPolicy
---@field sandbox 'bubblewrap'|'landlock'|'seatbelt'|'none'
---@field rolloutPath string
---@field historyLogId integer
---@field historyEntryCount integer
---@field resumed boolean
---@field itemCount integer
---@field forkedFrom string
---@field warnings string[]

--- Asks for one entry of the message history.
---@class codex.protocol.GetHistoryEntryRequest
---@field type 'get_history_entry_request'
---@field offset integer
---@field log_id integer

---@class codex.protocol.GetHistoryEntryResponse
---@field type 'get_history_entry_response'
---@field offset integer
---@field log_id integer
---@field entry? codex.protocol.HistoryEntry

---@class codex.protocol.HistoryEntry
---@field session_id string
---@field ts integer
---@field text string

--- An image by URL, `data:` URLs included.
---@class codex.protocol.ImageInput
---@field type 'image'
---@field image_url string

---@alias codex.protocol.InputItem
---| codex.protocol.TextInput
---| codex.protocol.ImageInput
---| codex.protocol.LocalImageInput
---| codex.protocol.MentionInput
---| codex.protocol.SelectionInput

--- Stops the running turn; nothing when idle.
---@class codex.protocol.Interrupt
---@field type 'interrupt'

--- Asks for the tools of the MCP servers.
---@class codex.protocol.ListMcpTools
---@field type 'list_mcp_tools'

--- session/list.
---@class codex.protocol.ListParams
---@field cwd? string
---@field query? string
---@field cursor? string
---@field limit? integer
---@field sort? 'updated'|'created'
---@field archived? boolean

--- An image file on the server's machine.
---@class codex.protocol.LocalImageInput
---@field type 'local_image'
---@field path string

---@class codex.protocol.McpInvocation
---@field server string
---@field tool string
---@field arguments? any

---@class codex.protocol.McpListToolsResponse
---@field type 'mcp_list_tools_response'
---@field tools table<string, any>

---@class codex.protocol.McpToolCallApprovalRequest
---@field type 'mcp_tool_call_approval_request'
---@field call_id string
---@field invocation codex.protocol.McpInvocation
---@field reason? string

---@class codex.protocol.McpToolCallBegin
---@field type 'mcp_tool_call_begin'
---@field call_id string
---@field invocation codex.protocol.McpInvocation

--- `result` is `{"Ok": …}` or `{"Err": …}`.
---@class codex.protocol.McpToolCallEnd
---@field type 'mcp_tool_call_end'
---@field call_id string
---@field invocation codex.protocol.McpInvocation
---@field duration codex.protocol.Duration
---@field result table<string, any>

--- A file that the user points at, or a part of it; the model is given its text.
---@class codex.protocol.MentionInput
---@field type 'mention'
---@field path string
---@field range? codex.protocol.Range

---@alias codex.protocol.Op
---| codex.protocol.UserInput
---| codex.protocol.Interrupt
---| codex.protocol.ExecApproval
---| codex.protocol.PatchApproval
---| codex.protocol.OverrideTurnContext
---| codex.protocol.ConfigureSession
---| codex.protocol.Compact
---| codex.protocol.AddToHistory
---| codex.protocol.GetHistoryEntryRequest
---| codex.protocol.ListMcpTools
---| codex.protocol.Shutdown

--- Changes what is given, for the turns after; unknown members are refused.
---@class codex.protocol.OverrideTurnContext
---@field type 'override_turn_context'
---@field cwd? string
---@field approval_policy? 'untrusted'|'on-failure'|'on-request'|'never'
---@field sandbox_policy? codex.protocol.SandboxPolicy
---@field model? string
---@field effort? string
---@field summary? string

---@class codex.protocol.PatchApplyBegin
---@field type 'patch_apply_begin'
---@field call_id string
---@field auto_approved boolean
---@field changes table<string, 'delete'|codex.protocol.FileChange>

---@class codex.protocol.PatchApplyEnd
---@field type 'patch_apply_end'
---@field call_id string
---@field stdout string
---@field stderr string
---@field success boolean

--- Answers an `apply_patch_approval_request`.
---@class codex.protocol.PatchApproval
---@field type 'patch_approval'
---@field id string
---@field decision 'approved'|'approved_for_session'|'denied'|'abort'
---@field edited? table<string, string>
---@field hunks? table<string, integer[]>

---@class codex.protocol.PlanStep
---@field step string
---@field status 'pending'|'in_progress'|'completed'

---@class codex.protocol.PlanUpdate
---@field type 'plan_update'
---@field plan codex.protocol.PlanStep[]
---@field explanation? string

--- A place in a text, as in the Language Server Protocol.
---@class codex.protocol.Position
---@field line integer
---@field character integer

--- A file of a patch that is shown for review.
---@class codex.protocol.ProposedFile
---@field old_text string|nil
---@field new_text string|nil
---@field version? integer

--- From a place up to, and without, another one.
---@class codex.protocol.Range
---@field start codex.protocol.Position
---@field end codex.protocol.Position

--- One item of `session/read` and its index, counted from 0.
---@class codex.protocol.ReadEntry
---@field index integer
---@field item table<string, any>

--- A page of `session/read`, in ascending order.
---@class codex.protocol.ReadPage
---@field items codex.protocol.ReadEntry[]
---@field damage? codex.protocol.Damage[]
---@field nextCursor? string

--- session/read: exactly one of `session_id`, `path`.
---@class codex.protocol.ReadParams
---@field sessionId? string
---@field path? string
---@field cursor? string
---@field limit? integer
---@field direction? 'backward'|'forward'

--- session/rename.
---@class codex.protocol.RenameParams
---@field sessionId string
---@field title string

--- session/resume: exactly one of `session_id`, `path`, `last`.
---@class codex.protocol.ResumeParams
---@field model? string
---@field modelProvider? string
---@field profile? string
---@field approvalPolicy? 'untrusted'|'on-failure'|'on-request'|'never'
---@field sandboxPolicy? codex.protocol.SandboxPolicy
---@field modelReasoningEffort? string
---@field modelReasoningSummary? string
---@field userInstructions? string
---@field baseInstructions? string
---@field disableResponseStorage? boolean
---@field notify? string[]
---@field config? table<string, any>
---@field cwd? string
---@field sessionId? string
---@field path? string
---@field last? boolean
---@field takeover? boolean

--- The answer to session/resume.
---@class codex.protocol.ResumeResult
---@field sessionId string
---@field model string
---@field modelProvider string
---@field cwd string
---@field approvalPolicy 'untrusted'|'on-failure'|'on-request'|'never'
---@field sandboxPolicy codex.protocol.SandboxPolicy
---@field sandbox 'bubblewrap'|'landlock'|'seatbelt'|'none'
---@field rolloutPath string
---@field historyLogId integer
---@field historyEntryCount integer
---@field resumed boolean
---@field itemCount integer
---@field updatedAt string
---@field warnings string[]
---@field alreadyLive? boolean
---@field forkedFrom? string

---@alias codex.protocol.SandboxPolicy
---| 'read-only'
---| 'workspace-write'
---| 'danger-full-access'
---| { mode: 'read-only'|'workspace-write'|'danger-full-access', writable_roots?: string[], network_access?: boolean }

--- What is selected in the editor.
---@class codex.protocol.SelectionInput
---@field type 'selection'
---@field path string
---@field range codex.protocol.Range
---@field text? string

---@class codex.protocol.SessionConfigured
---@field type 'session_configured'
---@field session_id string
---@field model string
---@field history_log_id integer
---@field history_entry_count integer
---@field rollout_path string
---@field sandbox? 'bubblewrap'|'landlock'|'seatbelt'|'none'

---@class codex.protocol.SessionEvent
---@field sessionId string
---@field seq integer
---@field id string
---@field msg codex.protocol.EventMsg
---@field unsaved? true

--- session/archive, session/unarchive, session/delete.
---@class codex.protocol.SessionIdParams
---@field sessionId string

--- A page of `session/list`.
---@class codex.protocol.SessionPage
---@field sessions codex.protocol.SessionSummary[]
---@field filteredOut table<string, integer>
---@field nextCursor? string

--- One row of `session/list`.
---@class codex.protocol.SessionSummary
---@field sessionId string
---@field path string
---@field title string
---@field preview string
---@field excerpt? string
---@field cwd string|nil
---@field model string|nil
---@field modelProvider string|nil
---@field createdAt string
---@field updatedAt string
---@field itemCount? integer
---@field sizeBytes integer
---@field status 'clean'|'interrupted'|'unreadable'
---@field reason? string
---@field live boolean
---@field archived boolean
---@field origin 'codex-rpc'|'codex'

---@class codex.protocol.SessionTakenOver
---@field type 'session_taken_over'
---@field by codex.protocol.TakenOverBy

--- Closes the session, as `session/close`.
---@class codex.protocol.Shutdown
---@field type 'shutdown'

---@class codex.protocol.ShutdownComplete
---@field type 'shutdown_complete'

--- Nothing announced from here on is in the file, until `storage_recovered`.
---@class codex.protocol.StorageFailed
---@field type 'storage_failed'
---@field code integer
---@field message string
---@field path string
---@field unsaved integer

---@class codex.protocol.StorageRecovered
---@field type 'storage_recovered'
---@field saved integer

--- A retry follows; deltas of items that were not completed are void.
---@class codex.protocol.StreamError
---@field type 'stream_error'
---@field message string
---@field attempt integer
---@field max_attempts integer
---@field retry_in_ms integer

--- session/submit.
---@class codex.protocol.SubmitParams
---@field sessionId string
---@field op codex.protocol.Op
---@field id? string

--- Queued, not yet saved.
---@class codex.protocol.SubmitResult
---@field id string

---@class codex.protocol.TakenOverBy
---@field pid integer
---@field host string

---@class codex.protocol.TaskComplete
---@field type 'task_complete'
---@field last_agent_message string|nil
---@field stop_reason? 'max_tokens'|'refusal'|'max_turn_requests'

---@class codex.protocol.TaskStarted
---@field type 'task_started'
---@field model_context_window? integer

--- Text that the user wrote.
---@class codex.protocol.TextInput
---@field type 'text'
---@field text string

--- What one response cost.
---@class codex.protocol.TokenCount
---@field type 'token_count'
---@field input_tokens integer
---@field output_tokens integer
---@field total_tokens integer
---@field cached_input_tokens? integer
---@field reasoning_output_tokens? integer

---@class codex.protocol.TurnAborted
---@field type 'turn_aborted'
---@field reason 'interrupted'|'abort'|'shutdown'|'taken_over'

--- The whole turn as one git-style diff, sent when it changed.
---@class codex.protocol.TurnDiff
---@field type 'turn_diff'
---@field unified_diff string

---@class codex.protocol.UpdateFile
---@field unified_diff string
---@field move_path string|nil

--- Starts a turn, or joins the running one before its next model request.
---@class codex.protocol.UserInput
---@field type 'user_input'
---@field items codex.protocol.InputItem[]

--- The input is saved; the event's id is the input's own submission.
---@class codex.protocol.UserMessage
---@field type 'user_message'
---@field items any[]
---@field turn_id string

---@alias codex.protocol.Method
---| 'session/configure'
---| 'session/resume'
---| 'session/submit'
---| 'session/list'
---| 'session/read'
---| 'session/fork'
---| 'session/rename'
---| 'session/archive'
---| 'session/unarchive'
---| 'session/delete'
---| 'session/export'
---| 'session/close'
