// One session as the window has it: what it is, what it waits for, and what is said to it.

import { randomUUID } from 'node:crypto';
import { type Connection, ConnectionLost } from './connection';
import { Emitter } from './emitter';
import { Inputs, type KeptInput, type Unsaved } from './inputs';
import { textOf } from './log';
import type {
  ConfigureResult,
  InputItem,
  Op,
  OverrideTurnContext,
  PatchApproval,
  PlanUpdate,
  ResumeResult,
  SessionEvent,
  TokenCount,
} from './protocol';
import { SessionState, type Waiting } from './sessionState';

export type { Waiting } from './sessionState';

/** `offline`: the server is away, and the session is resumed when it is back. */
export type SessionStatus = 'idle' | 'running' | 'waiting' | 'offline' | 'closed';

export type Decision = PatchApproval['decision'];

/** How a patch is wanted instead of as it was proposed. */
export type PatchExtra = Pick<PatchApproval, 'edited' | 'hunks'>;

/** What is known of a session from the answer that opened it, kept up to date. */
export type SessionInfo = ConfigureResult & { readonly effort?: string };

/** Something that a person should read in the conversation, and that no event says. */
export interface Note {
  readonly level: 'info' | 'warning' | 'error';
  readonly text: string;
}

export class Session {
  private readonly events = new Emitter<SessionEvent>();
  private readonly changes = new Emitter<Session>();
  private readonly notes = new Emitter<Note>();
  private readonly givenBack = new Emitter<readonly InputItem[]>();
  private readonly inputs = new Inputs();
  private readonly state = new SessionState();
  private online = true;
  private over = false;
  private wasCutOff = false;

  constructor(
    private readonly connection: Pick<Connection, 'request'>,
    private opened: SessionInfo,
  ) {}

  get id(): string {
    return this.opened.sessionId;
  }

  get info(): SessionInfo {
    return this.opened;
  }

  get status(): SessionStatus {
    if (this.over) {
      return 'closed';
    }
    if (!this.online) {
      return 'offline';
    }
    if (this.state.waiting.length > 0) {
      return 'waiting';
    }
    return this.state.isRunning ? 'running' : 'idle';
  }

  /** Requests for approval, the oldest first. */
  get waiting(): readonly Waiting[] {
    return this.state.waiting;
  }

  /** What was sent and is not saved yet: in line, or on its way. */
  get queued(): readonly KeptInput[] {
    return this.inputs.waiting;
  }

  /** What another window needs to know to lose none of `queued`. */
  get unsaved(): Unsaved {
    return this.inputs.unsaved;
  }

  get tokens(): TokenCount | undefined {
    return this.state.tokens;
  }

  get contextWindow(): number | undefined {
    return this.state.contextWindow;
  }

  /** The checklist of the running or last turn. */
  get plan(): PlanUpdate | undefined {
    return this.state.plan;
  }

  /** All that the running or last turn has changed, as one unified diff. */
  get turnDiff(): string | undefined {
    return this.state.turnDiff;
  }

  /** Every event of this session, in order. */
  readonly subscribe = this.events.on;

  /** After whatever changed: status, info, waiting, queued, tokens, plan, turnDiff. */
  readonly onDidChange = this.changes.on;

  readonly onNote = this.notes.on;

  /** Inputs that were not saved and are not sent again: for the person to send or drop. */
  readonly onGivenBack = this.givenBack.on;

  /** Hand over an operation; resolves with the id of the submission when it is queued. */
  async submit(op: Op, id: string = randomUUID()): Promise<string> {
    const answer = await this.connection.request('session/submit', { sessionId: this.id, op, id });
    if (op.type === 'override_turn_context') {
      this.override(op);
    }
    return answer.id;
  }

  /**
   * Say something. What is sent is kept until it is saved, and sent again after a crash. Rejects
   * if the server refuses it: then it is not kept.
   */
  async send(items: readonly InputItem[]): Promise<void> {
    const input = { id: randomUUID(), items };
    this.inputs.keep(input);
    this.changed();
    if (this.online) {
      await this.deliver(input);
    }
  }

  /** Stop the running turn, if one runs. */
  async interrupt(): Promise<void> {
    await this.submit({ type: 'interrupt' });
  }

  /** Answer what is asked under `callId`; nothing happens if that was answered already. */
  async answer(callId: string, decision: Decision, extra: PatchExtra = {}): Promise<void> {
    const question = this.state.question(callId);
    if (question === undefined) {
      return;
    }
    // Gone at once, so that it cannot be answered twice; back if the answer did not arrive.
    this.state.answered(callId);
    this.changed();
    const answer = { id: callId, decision };
    try {
      await this.submit(
        question.type === 'apply_patch_approval_request'
          ? { type: 'patch_approval', ...answer, ...extra }
          : { type: 'exec_approval', ...answer },
      );
    } catch (error) {
      if (this.state.isRunning) {
        this.state.askAgain(question);
        this.changed();
      }
      throw error;
    }
  }

  /** For Sessions: an event of this session has come. */
  take(event: SessionEvent): void {
    const isChanged = this.state.take(event) || this.note(event);
    this.events.fire(event);
    if (isChanged) {
      this.changed();
    }
  }

  /** For Sessions: the server is gone, or is not back yet. */
  lost(why = 'The server was stopped.'): void {
    if (this.online && !this.over) {
      this.online = false;
      this.wasCutOff = this.state.isRunning;
      this.state.stop();
      this.tell({ level: 'warning', text: why });
      this.changed();
    }
  }

  /** For Sessions: resumed in a new server. `recorded` is what was saved since it was opened. */
  async back(opened: ResumeResult, recorded: readonly unknown[]): Promise<void> {
    this.opened = { ...this.opened, ...opened };
    this.online = true;
    const { again, back } = this.inputs.reopened(recorded);
    for (const text of opened.warnings) {
      this.tell({ level: 'warning', text });
    }
    const isLeftOpen = this.wasCutOff && again.length === 0;
    const advice = isLeftOpen ? ' The turn was cut off: say “go on” if it is to continue.' : '';
    this.tell({ level: 'info', text: `The session goes on.${advice}` });
    this.changed();
    this.offer(back);
    for (const input of again) {
      await this.deliver(input).catch((error: unknown) => {
        this.tell({ level: 'error', text: `A message was refused: ${textOf(error)}` });
        this.offer([input]);
      });
    }
  }

  /** For Sessions: in a new window. What of `unsaved` is not in `recorded` is the person's again. */
  giveBack(unsaved: Unsaved, recorded: readonly unknown[]): void {
    const { again, back } = new Inputs(unsaved).reopened(recorded);
    this.offer([...again, ...back]);
  }

  /** For Sessions: it is open here no longer; what was not saved is given back. */
  close(note?: Note): void {
    if (!this.over) {
      this.over = true;
      this.state.stop();
      this.offer(this.inputs.takeAll());
      if (note !== undefined) {
        this.tell(note);
      }
      this.changed();
    }
  }

  /** Say something to the person, as a note in the conversation. */
  tell(note: Note): void {
    this.notes.fire(note);
  }

  dispose(): void {
    for (const emitter of [this.events, this.changes, this.notes, this.givenBack]) {
      emitter.dispose();
    }
  }

  private async deliver(input: KeptInput): Promise<void> {
    try {
      await this.submit({ type: 'user_input', items: [...input.items] }, input.id);
    } catch (error) {
      if (error instanceof ConnectionLost) {
        return; // It is kept, and sent again when the session is back.
      }
      this.inputs.drop(input.id);
      this.changed();
      throw error;
    }
  }

  /** What an event says of the session beside its state; false if nothing. */
  private note({ id, msg }: SessionEvent): boolean {
    switch (msg.type) {
      case 'session_configured':
        this.opened = { ...this.opened, model: msg.model };
        return true;
      case 'user_message':
        this.inputs.saved(id);
        return true;
      case 'session_taken_over':
        this.close({
          level: 'warning',
          text: 'Another process has taken this session over. Open it again to take it back.',
        });
        return true;
      case 'shutdown_complete':
        this.close();
        return true;
      default:
        return false;
    }
  }

  private override(op: OverrideTurnContext): void {
    this.opened = {
      ...this.opened,
      ...(op.model !== undefined && { model: op.model }),
      ...(op.approval_policy !== undefined && { approvalPolicy: op.approval_policy }),
      ...(op.sandbox_policy !== undefined && { sandboxPolicy: op.sandbox_policy }),
      ...(op.effort !== undefined && { effort: op.effort }),
      ...(op.cwd !== undefined && { cwd: op.cwd }),
    };
    this.changed();
  }

  private offer(inputs: readonly KeptInput[]): void {
    for (const { items } of inputs) {
      this.givenBack.fire(items);
    }
  }

  private changed(): void {
    this.changes.fire(this);
  }
}
