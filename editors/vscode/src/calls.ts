// Calls on their way, as cells: asked about, run, and over. Commands, patches and tools alike.

import { patchedFiles, secondsOf, toolOutput } from './cellParts';
import type { CallState } from './cells';
import type { CellStore, NewCell } from './cellStore';
import type {
  ApplyPatchApprovalRequest,
  EventMsg,
  ExecCommandEnd,
  McpInvocation,
  PatchApplyEnd,
} from './protocol';
import { commandLine } from './questions';

export class Calls {
  constructor(
    private readonly cells: CellStore,
    private readonly folder: () => string,
  ) {}

  /** The questions that wait now: what was asked and is not among them has been answered. */
  stillAsked(callIds: readonly string[]): void {
    const waiting = new Set(callIds.map(callOf));
    this.calls('asked', (key) => (waiting.has(key) ? undefined : 'answered'));
  }

  /** An answer that was given here, before anything comes of it. */
  answered(callId: string, approved: boolean): void {
    this.move(callOf(callId), approved ? 'answered' : 'skipped');
  }

  /** What was answered has begun by now, or never does. */
  settle(): void {
    this.calls('answered', () => 'skipped');
  }

  /** The turn is over: nothing runs any more. */
  end(): void {
    this.calls('running', () => 'failed');
    this.calls('asked', () => 'skipped');
    this.settle();
  }

  take(msg: EventMsg): void {
    switch (msg.type) {
      case 'exec_approval_request':
      case 'exec_command_begin': {
        const { cwd } = msg;
        const command = commandLine(msg.command);
        const state = msg.type === 'exec_command_begin' ? 'running' : 'asked';
        this.call(msg.call_id, { kind: 'command', command, cwd, output: '', state });
        break;
      }
      case 'exec_command_output_delta': {
        const cell = this.cells.at(msg.call_id, 'command');
        if (cell !== undefined) {
          this.cells.append(cell, msg.chunk);
        }
        break;
      }
      case 'exec_command_end':
        this.commandEnd(msg);
        break;
      case 'apply_patch_approval_request':
        this.patch(msg.call_id, msg.changes, 'asked');
        break;
      case 'patch_apply_begin':
        this.patch(msg.call_id, msg.changes, 'running');
        break;
      case 'patch_apply_end':
        this.patchEnd(msg);
        break;
      case 'mcp_tool_call_approval_request':
        this.tool(msg.call_id, msg.invocation, 'asked');
        break;
      case 'mcp_tool_call_begin':
        this.tool(msg.call_id, msg.invocation, 'running');
        break;
      case 'mcp_tool_call_end': {
        const cell = this.cells.at(msg.call_id, 'tool');
        if (cell !== undefined) {
          this.cells.release(msg.call_id);
          this.cells.change(cell, {
            output: toolOutput(msg.result),
            state: 'Err' in msg.result ? 'failed' : 'done',
            seconds: secondsOf(msg.duration),
          });
        }
        break;
      }
      default: // Told elsewhere, or of a later version.
    }
  }

  /** A call that begins, or that is asked about, possibly once more. */
  private call(callId: string, cell: Extract<NewCell, { state: CallState }>): void {
    const key = callOf(callId);
    if (!this.move(key, cell.state)) {
      this.cells.open(key, cell);
    }
  }

  private patch(
    callId: string,
    changes: ApplyPatchApprovalRequest['changes'],
    state: CallState,
  ): void {
    const files = patchedFiles(changes, this.folder());
    this.call(callId, { kind: 'patch', files, state });
    // What is written may be other than what was proposed.
    const cell = this.cells.at(callOf(callId), 'patch');
    if (cell !== undefined && JSON.stringify(cell.files) !== JSON.stringify(files)) {
      this.cells.change(cell, { files });
    }
  }

  private tool(callId: string, { server, tool, ...given }: McpInvocation, state: CallState): void {
    const input = given.arguments === undefined ? '' : JSON.stringify(given.arguments, null, 2);
    this.call(callId, { kind: 'tool', name: `${server}.${tool}`, input, output: '', state });
  }

  private commandEnd(msg: ExecCommandEnd): void {
    const cell = this.cells.at(msg.call_id, 'command');
    if (cell === undefined) {
      return;
    }
    this.cells.release(msg.call_id);
    this.cells.change(cell, {
      // What came while it ran is in its order, and not cut.
      output: cell.output === '' ? msg.stdout + msg.stderr : cell.output,
      exitCode: msg.exit_code,
      seconds: secondsOf(msg.duration),
      state: msg.exit_code === 0 ? 'done' : 'failed',
    });
  }

  private patchEnd(msg: PatchApplyEnd): void {
    const cell = this.cells.at(msg.call_id, 'patch');
    if (cell === undefined) {
      return;
    }
    this.cells.release(msg.call_id);
    this.cells.change(
      cell,
      msg.success
        ? { state: 'done' }
        : { state: 'failed', problem: (msg.stderr || msg.stdout).trim() },
    );
  }

  /** Whether there is such a call. */
  private move(key: string, state: CallState): boolean {
    const found = this.cells.opened.find(([each, cell]) => each === key && 'state' in cell);
    if (found === undefined || !('state' in found[1])) {
      return false;
    }
    this.cells.change(found[1], { state });
    return true;
  }

  private calls(state: CallState, next: (key: string) => CallState | undefined): void {
    for (const [key, cell] of this.cells.opened) {
      if ('state' in cell && cell.state === state) {
        const moved = next(key);
        if (moved !== undefined) {
          this.move(key, moved);
        }
      }
    }
  }
}

/** The call that a question is about: a second question about it ends in `#2`. */
function callOf(callId: string): string {
  return callId.replace(/#\d+$/, '');
}
