// Generated from `codex-rpc schema` by scripts/protocol-types.mjs; not to be edited.

export const PROTOCOL_VERSION = 1;

export const ErrorCode = {
  ParseError: -32700,
  InvalidRequest: -32600,
  MethodNotFound: -32601,
  InvalidParams: -32602,
  InternalError: -32603,
  ServerNotInitialized: -32002,
  RequestCancelled: -32800,
  SessionNotFound: 1001,
  SessionInUse: 1002,
  RolloutUnreadable: 1003,
  NotConfigured: 1004,
  SessionClosed: 1005,
  StorageFailed: 1006,
  InvalidState: 1007,
  Overloaded: 1008,
} as const;

/** Params and result of each request. */
export interface Methods {
  'session/configure': { params: ConfigureParams; result: ConfigureResult };
  'session/resume': { params: ResumeParams; result: ResumeResult };
  'session/submit': { params: SubmitParams; result: SubmitResult };
  'session/list': { params: ListParams; result: SessionPage };
  'session/read': { params: ReadParams; result: ReadPage };
  'session/fork': { params: ForkParams; result: ForkResult };
  'session/rename': { params: RenameParams; result: Empty };
  'session/archive': { params: SessionIdParams; result: Empty };
  'session/unarchive': { params: SessionIdParams; result: Empty };
  'session/delete': { params: SessionIdParams; result: Empty };
  'session/export': { params: ExportParams; result: ExportResult };
  'session/close': { params: CloseParams; result: Empty };
}

export type Method = keyof Methods;

export interface AddFile {
  content: string;
}

/** Appends to the message history that all sessions share. */
export interface AddToHistory {
  type: 'add_to_history';
  text: string;
}

export interface AgentMessage {
  type: 'agent_message';
  item_id: string;
  message: string;
}

export interface AgentMessageDelta {
  type: 'agent_message_delta';
  item_id: string;
  delta: string;
}

export interface AgentReasoning {
  type: 'agent_reasoning';
  item_id: string;
  part: number;
  text: string;
}

export interface AgentReasoningDelta {
  type: 'agent_reasoning_delta';
  item_id: string;
  part: number;
  delta: string;
}

export interface ApplyPatchApprovalRequest {
  type: 'apply_patch_approval_request';
  call_id: string;
  changes: Record<string, 'delete' | FileChange>;
  reason?: string;
  grant_root?: string;
  files?: Record<string, ProposedFile>;
}

export interface BackgroundEvent {
  type: 'background_event';
  message: string;
}

/** session/close. */
export interface CloseParams {
  sessionId: string;
  discard?: boolean;
}

/** Summarises the conversation so far and continues from the summary. */
export interface Compact {
  type: 'compact';
}

/** session/configure. */
export interface ConfigureParams {
  model?: string;
  modelProvider?: string;
  profile?: string;
  approvalPolicy?: 'untrusted' | 'on-failure' | 'on-request' | 'never';
  sandboxPolicy?: SandboxPolicy;
  modelReasoningEffort?: string;
  modelReasoningSummary?: string;
  userInstructions?: string;
  baseInstructions?: string;
  disableResponseStorage?: boolean;
  notify?: string[];
  config?: Record<string, unknown>;
  cwd: string;
  resumePath?: string;
}

/** The answer to session/configure. */
export interface ConfigureResult {
  sessionId: string;
  model: string;
  modelProvider: string;
  cwd: string;
  approvalPolicy: 'untrusted' | 'on-failure' | 'on-request' | 'never';
  sandboxPolicy: SandboxPolicy;
  sandbox: 'bubblewrap' | 'landlock' | 'seatbelt' | 'none';
  rolloutPath: string;
  historyLogId: number;
  historyEntryCount: number;
  resumed: boolean;
  itemCount: number;
}

/** Reconfigures the session in place: same id, same file. */
export interface ConfigureSession {
  type: 'configure_session';
  model?: string;
  model_provider?: string;
  profile?: string;
  approval_policy?: 'untrusted' | 'on-failure' | 'on-request' | 'never';
  sandbox_policy?: SandboxPolicy;
  model_reasoning_effort?: string;
  model_reasoning_summary?: string;
  user_instructions?: string;
  base_instructions?: string;
  disable_response_storage?: boolean;
  notify?: string[];
  config?: Record<string, unknown>;
  cwd?: string;
}

export interface ContextCompacted {
  type: 'context_compacted';
  summary: string;
}

export interface Damage {
  line: number;
  bytes: number;
  reason: string;
}

/** A length of time. */
export interface Duration {
  secs: number;
  nanos: number;
}

/** `{}`. */
export type Empty = Record<string, never>;

/** Closes the turn if the event's id is a running turn's, and nothing otherwise. */
export interface ErrorMsg {
  type: 'error';
  message: string;
  code?: number;
  stop_reason?: 'max_tokens' | 'refusal' | 'max_turn_requests';
}

export type EventMsg =
  | SessionConfigured
  | UserMessage
  | TaskStarted
  | TaskComplete
  | TurnAborted
  | ErrorMsg
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
  | ShutdownComplete;

/** Answers an `exec_approval_request` or `mcp_tool_call_approval_request`. */
export interface ExecApproval {
  type: 'exec_approval';
  id: string;
  decision: 'approved' | 'approved_for_session' | 'denied' | 'abort';
}

export interface ExecApprovalRequest {
  type: 'exec_approval_request';
  call_id: string;
  command: string[];
  cwd: string;
  sandbox: 'none' | 'read-only' | 'workspace-write';
  network: boolean;
  reason?: string;
}

export interface ExecCommandBegin {
  type: 'exec_command_begin';
  call_id: string;
  command: string[];
  cwd: string;
}

/** `exit_code` is -1 where there is none: not started, timed out, killed. */
export interface ExecCommandEnd {
  type: 'exec_command_end';
  call_id: string;
  stdout: string;
  stderr: string;
  exit_code: number;
  duration: Duration;
}

export interface ExecCommandOutputDelta {
  type: 'exec_command_output_delta';
  call_id: string;
  stream: 'stdout' | 'stderr';
  chunk: string;
}

/** session/export. */
export interface ExportParams {
  sessionId: string;
  format: 'markdown' | 'html' | 'json';
  path?: string;
}

/** The answer to session/export: exactly one of the two. */
export interface ExportResult {
  text?: string;
  path?: string;
}

export type FileChange = 'delete' | { add: AddFile } | { update: UpdateFile };

/** session/fork: exactly one of `session_id`, `path`. */
export interface ForkParams {
  model?: string;
  modelProvider?: string;
  profile?: string;
  approvalPolicy?: 'untrusted' | 'on-failure' | 'on-request' | 'never';
  sandboxPolicy?: SandboxPolicy;
  modelReasoningEffort?: string;
  modelReasoningSummary?: string;
  userInstructions?: string;
  baseInstructions?: string;
  disableResponseStorage?: boolean;
  notify?: string[];
  config?: Record<string, unknown>;
  cwd?: string;
  sessionId?: string;
  path?: string;
  upTo?: number;
}

/** The answer to session/fork. */
export interface ForkResult {
  sessionId: string;
  model: string;
  modelProvider: string;
  cwd: string;
  approvalPolicy: 'untrusted' | 'on-failure' | 'on-request' | 'never';
  sandboxPolicy: SandboxPolicy;
  sandbox: 'bubblewrap' | 'landlock' | 'seatbelt' | 'none';
  rolloutPath: string;
  historyLogId: number;
  historyEntryCount: number;
  resumed: boolean;
  itemCount: number;
  forkedFrom: string;
  warnings: string[];
}

/** Asks for one entry of the message history. */
export interface GetHistoryEntryRequest {
  type: 'get_history_entry_request';
  offset: number;
  log_id: number;
}

export interface GetHistoryEntryResponse {
  type: 'get_history_entry_response';
  offset: number;
  log_id: number;
  entry?: HistoryEntry;
}

export interface HistoryEntry {
  session_id: string;
  ts: number;
  text: string;
}

/** An image by URL, `data:` URLs included. */
export interface ImageInput {
  type: 'image';
  image_url: string;
}

export type InputItem = TextInput | ImageInput | LocalImageInput | MentionInput | SelectionInput;

/** Stops the running turn; nothing when idle. */
export interface Interrupt {
  type: 'interrupt';
}

/** Asks for the tools of the MCP servers. */
export interface ListMcpTools {
  type: 'list_mcp_tools';
}

/** session/list. */
export interface ListParams {
  cwd?: string;
  query?: string;
  cursor?: string;
  limit?: number;
  sort?: 'updated' | 'created';
  archived?: boolean;
}

/** An image file on the server's machine. */
export interface LocalImageInput {
  type: 'local_image';
  path: string;
}

export interface McpInvocation {
  server: string;
  tool: string;
  arguments?: unknown;
}

export interface McpListToolsResponse {
  type: 'mcp_list_tools_response';
  tools: Record<string, unknown>;
}

export interface McpToolCallApprovalRequest {
  type: 'mcp_tool_call_approval_request';
  call_id: string;
  invocation: McpInvocation;
  reason?: string;
}

export interface McpToolCallBegin {
  type: 'mcp_tool_call_begin';
  call_id: string;
  invocation: McpInvocation;
}

/** `result` is `{"Ok": …}` or `{"Err": …}`. */
export interface McpToolCallEnd {
  type: 'mcp_tool_call_end';
  call_id: string;
  invocation: McpInvocation;
  duration: Duration;
  result: Record<string, unknown>;
}

/** A file that the user points at, or a part of it; the model is given its text. */
export interface MentionInput {
  type: 'mention';
  path: string;
  range?: TextRange;
}

export type Op =
  | UserInput
  | Interrupt
  | ExecApproval
  | PatchApproval
  | OverrideTurnContext
  | ConfigureSession
  | Compact
  | AddToHistory
  | GetHistoryEntryRequest
  | ListMcpTools
  | Shutdown;

/** Changes what is given, for the turns after; unknown members are refused. */
export interface OverrideTurnContext {
  type: 'override_turn_context';
  cwd?: string;
  approval_policy?: 'untrusted' | 'on-failure' | 'on-request' | 'never';
  sandbox_policy?: SandboxPolicy;
  model?: string;
  effort?: string;
  summary?: string;
}

export interface PatchApplyBegin {
  type: 'patch_apply_begin';
  call_id: string;
  auto_approved: boolean;
  changes: Record<string, 'delete' | FileChange>;
}

export interface PatchApplyEnd {
  type: 'patch_apply_end';
  call_id: string;
  stdout: string;
  stderr: string;
  success: boolean;
}

/** Answers an `apply_patch_approval_request`. */
export interface PatchApproval {
  type: 'patch_approval';
  id: string;
  decision: 'approved' | 'approved_for_session' | 'denied' | 'abort';
  edited?: Record<string, string>;
  hunks?: Record<string, number[]>;
}

export interface PlanStep {
  step: string;
  status: 'pending' | 'in_progress' | 'completed';
}

export interface PlanUpdate {
  type: 'plan_update';
  plan: PlanStep[];
  explanation?: string;
}

/** A place in a text, as in the Language Server Protocol. */
export interface TextPosition {
  line: number;
  character: number;
}

/** A file of a patch that is shown for review. */
export interface ProposedFile {
  old_text: string | null;
  new_text: string | null;
  version?: number;
}

/** From a place up to, and without, another one. */
export interface TextRange {
  start: TextPosition;
  end: TextPosition;
}

/** One item of `session/read` and its index, counted from 0. */
export interface ReadEntry {
  index: number;
  item: Record<string, unknown>;
}

/** A page of `session/read`, in ascending order. */
export interface ReadPage {
  items: ReadEntry[];
  damage?: Damage[];
  nextCursor?: string;
}

/** session/read: exactly one of `session_id`, `path`. */
export interface ReadParams {
  sessionId?: string;
  path?: string;
  cursor?: string;
  limit?: number;
  direction?: 'backward' | 'forward';
}

/** session/rename. */
export interface RenameParams {
  sessionId: string;
  title: string;
}

/** session/resume: exactly one of `session_id`, `path`, `last`. */
export interface ResumeParams {
  model?: string;
  modelProvider?: string;
  profile?: string;
  approvalPolicy?: 'untrusted' | 'on-failure' | 'on-request' | 'never';
  sandboxPolicy?: SandboxPolicy;
  modelReasoningEffort?: string;
  modelReasoningSummary?: string;
  userInstructions?: string;
  baseInstructions?: string;
  disableResponseStorage?: boolean;
  notify?: string[];
  config?: Record<string, unknown>;
  cwd?: string;
  sessionId?: string;
  path?: string;
  last?: boolean;
  takeover?: boolean;
}

/** The answer to session/resume. */
export interface ResumeResult {
  sessionId: string;
  model: string;
  modelProvider: string;
  cwd: string;
  approvalPolicy: 'untrusted' | 'on-failure' | 'on-request' | 'never';
  sandboxPolicy: SandboxPolicy;
  sandbox: 'bubblewrap' | 'landlock' | 'seatbelt' | 'none';
  rolloutPath: string;
  historyLogId: number;
  historyEntryCount: number;
  resumed: boolean;
  itemCount: number;
  updatedAt: string;
  warnings: string[];
  alreadyLive?: boolean;
  forkedFrom?: string;
}

export type SandboxPolicy =
  | 'read-only'
  | 'workspace-write'
  | 'danger-full-access'
  | {
      mode: 'read-only' | 'workspace-write' | 'danger-full-access';
      writable_roots?: string[];
      network_access?: boolean;
    };

/** What is selected in the editor. */
export interface SelectionInput {
  type: 'selection';
  path: string;
  range: TextRange;
  text?: string;
}

export interface SessionConfigured {
  type: 'session_configured';
  session_id: string;
  model: string;
  history_log_id: number;
  history_entry_count: number;
  rollout_path: string;
  sandbox?: 'bubblewrap' | 'landlock' | 'seatbelt' | 'none';
}

export interface SessionEvent {
  sessionId: string;
  seq: number;
  id: string;
  msg: EventMsg;
  unsaved?: true;
}

/** session/archive, session/unarchive, session/delete. */
export interface SessionIdParams {
  sessionId: string;
}

/** A page of `session/list`. */
export interface SessionPage {
  sessions: SessionSummary[];
  filteredOut: Record<string, number>;
  nextCursor?: string;
}

/** One row of `session/list`. */
export interface SessionSummary {
  sessionId: string;
  path: string;
  title: string;
  preview: string;
  excerpt?: string;
  cwd: string | null;
  model: string | null;
  modelProvider: string | null;
  createdAt: string;
  updatedAt: string;
  itemCount?: number;
  sizeBytes: number;
  status: 'clean' | 'interrupted' | 'unreadable';
  reason?: string;
  live: boolean;
  archived: boolean;
  origin: 'codex-rpc' | 'codex';
}

export interface SessionTakenOver {
  type: 'session_taken_over';
  by: TakenOverBy;
}

/** Closes the session, as `session/close`. */
export interface Shutdown {
  type: 'shutdown';
}

export interface ShutdownComplete {
  type: 'shutdown_complete';
}

/** Nothing announced from here on is in the file, until `storage_recovered`. */
export interface StorageFailed {
  type: 'storage_failed';
  code: number;
  message: string;
  path: string;
  unsaved: number;
}

export interface StorageRecovered {
  type: 'storage_recovered';
  saved: number;
}

/** A retry follows; deltas of items that were not completed are void. */
export interface StreamError {
  type: 'stream_error';
  message: string;
  attempt: number;
  max_attempts: number;
  retry_in_ms: number;
}

/** session/submit. */
export interface SubmitParams {
  sessionId: string;
  op: Op;
  id?: string;
}

/** Queued, not yet saved. */
export interface SubmitResult {
  id: string;
}

export interface TakenOverBy {
  pid: number;
  host: string;
}

export interface TaskComplete {
  type: 'task_complete';
  last_agent_message: string | null;
  stop_reason?: 'max_tokens' | 'refusal' | 'max_turn_requests';
}

export interface TaskStarted {
  type: 'task_started';
  model_context_window?: number;
}

/** Text that the user wrote. */
export interface TextInput {
  type: 'text';
  text: string;
}

/** What one response cost. */
export interface TokenCount {
  type: 'token_count';
  input_tokens: number;
  output_tokens: number;
  total_tokens: number;
  cached_input_tokens?: number;
  reasoning_output_tokens?: number;
}

export interface TurnAborted {
  type: 'turn_aborted';
  reason: 'interrupted' | 'abort' | 'shutdown' | 'taken_over';
}

/** The whole turn as one git-style diff, sent when it changed. */
export interface TurnDiff {
  type: 'turn_diff';
  unified_diff: string;
}

export interface UpdateFile {
  unified_diff: string;
  move_path: string | null;
}

/** Starts a turn, or joins the running one before its next model request. */
export interface UserInput {
  type: 'user_input';
  items: InputItem[];
}

/** The input is saved; the event's id is the input's own submission. */
export interface UserMessage {
  type: 'user_message';
  items: unknown[];
  turn_id: string;
}
