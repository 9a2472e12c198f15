// What the events of a session say about where it stands. Everything that is shown as a list of
// happenings is the transcript's; this is what holds now.

import type {
  ApplyPatchApprovalRequest,
  ExecApprovalRequest,
  McpToolCallApprovalRequest,
  PlanUpdate,
  SessionEvent,
  TokenCount,
} from './protocol';

/** What is asked, and not answered yet. */
export type Waiting = ExecApprovalRequest | ApplyPatchApprovalRequest | McpToolCallApprovalRequest;

export class SessionState {
  private readonly asked = new Map<string, Waiting>();
  private turn: string | undefined;

  tokens: TokenCount | undefined;
  plan: PlanUpdate | undefined;
  turnDiff: string | undefined;
  contextWindow: number | undefined;

  get isRunning(): boolean {
    return this.turn !== undefined;
  }

  get waiting(): readonly Waiting[] {
    return [...this.asked.values()];
  }

  question(callId: string): Waiting | undefined {
    return this.asked.get(callId);
  }

  /** It is answered; false if nothing was asked under that id. */
  answered(callId: string): boolean {
    return this.asked.delete(callId);
  }

  /** The answer did not arrive. */
  askAgain(question: Waiting): void {
    this.asked.set(question.call_id, question);
  }

  /** The turn is over, however that came. */
  stop(): void {
    this.turn = undefined;
    this.asked.clear();
  }

  /** True if something changed that is known here. */
  take({ id, msg }: SessionEvent): boolean {
    switch (msg.type) {
      case 'task_started':
        this.turn = id;
        this.contextWindow = msg.model_context_window ?? this.contextWindow;
        this.plan = undefined;
        this.turnDiff = undefined;
        return true;
      case 'task_complete':
      case 'turn_aborted':
      case 'error':
        if (id === this.turn) {
          this.stop();
        }
        return true;
      case 'exec_approval_request':
      case 'apply_patch_approval_request':
      case 'mcp_tool_call_approval_request':
        this.asked.set(msg.call_id, msg);
        return true;
      case 'token_count':
        this.tokens = msg;
        return true;
      case 'plan_update':
        this.plan = msg;
        return true;
      case 'turn_diff':
        this.turnDiff = msg.unified_diff;
        return true;
      default: // Of no matter here, or not known yet.
        return false;
    }
  }
}
