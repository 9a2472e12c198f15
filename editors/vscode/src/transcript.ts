// A conversation as cells: takes events, tells changes. Knows neither editor nor page.

import { Calls } from './calls';
import { inputOf } from './cellParts';
import type { Cell, Change } from './cells';
import { CellStore, type NewCell } from './cellStore';
import type { EventMsg, SessionEvent } from './protocol';
import type { Note } from './session';

const PLAN = 'plan';
const RETRY = 'retry';
const ABORTED: Record<string, string> = {
  interrupted: 'Stopped.',
  abort: 'Stopped: you rejected what Codex asked for.',
  shutdown: 'The session was closed before Codex was done.',
  taken_over: 'Another process has taken the session over before Codex was done.',
};

export class Transcript {
  readonly cells: CellStore;
  private readonly calls: Calls;
  private turn: string | undefined;

  /** `tell` gets each change when it is made; `folder` says what paths are relative to. */
  constructor(
    tell: (change: Change) => void,
    private readonly folder: () => string,
  ) {
    this.cells = new CellStore(tell);
    this.calls = new Calls(this.cells, folder);
  }

  note({ level, text }: Note): void {
    this.cells.add({ kind: 'notice', level, text });
  }

  /** The questions that wait now: what was asked and is not among them has been answered. */
  stillAsked(callIds: readonly string[]): void {
    this.calls.stillAsked(callIds);
  }

  /** An answer that was given here, before anything comes of it. */
  answered(callId: string, approved: boolean): void {
    this.calls.answered(callId, approved);
  }

  /** The server has gone: what was on its way does not come any more. */
  lost(): void {
    this.closeTurn();
    this.turn = undefined;
  }

  take({ id, msg }: SessionEvent): void {
    switch (msg.type) {
      case 'user_message':
        this.cells.add({ kind: 'user', ...inputOf(msg.items, this.folder()) });
        break;
      case 'task_started':
        this.turn = id;
        break;
      case 'task_complete':
        this.closeTurn();
        break;
      case 'turn_aborted':
        this.closeTurn();
        this.note({ level: 'info', text: ABORTED[msg.reason] ?? 'Stopped.' });
        break;
      case 'error':
        this.failed(id, msg.message);
        break;
      case 'stream_error':
        this.voidTexts();
        this.replaceRetry(`${msg.message} Trying again (${msg.attempt} of ${msg.max_attempts}) …`);
        break;
      case 'background_event':
        this.note({ level: 'info', text: msg.message });
        break;
      case 'storage_failed':
        this.note({
          level: 'error',
          text: `${msg.message} Nothing is lost while this window stays open: it is tried again.`,
        });
        break;
      case 'storage_recovered':
        this.note({ level: 'info', text: 'The session is saved again, with all that had waited.' });
        break;
      case 'context_compacted':
        this.cells.add({
          kind: 'notice',
          level: 'info',
          text: 'The conversation so far was summarised.',
          detail: msg.summary,
        });
        break;
      default:
        this.takeStep(msg);
    }
  }

  private takeStep(msg: EventMsg): void {
    switch (msg.type) {
      case 'agent_message_delta':
        this.grow('message', `message/${msg.item_id}`, msg.delta);
        break;
      case 'agent_message':
        this.complete('message', `message/${msg.item_id}`, msg.message);
        break;
      case 'agent_reasoning_delta':
        this.grow('reasoning', `reasoning/${msg.item_id}/${msg.part}`, msg.delta);
        break;
      case 'agent_reasoning':
        this.complete('reasoning', `reasoning/${msg.item_id}/${msg.part}`, msg.text);
        break;
      case 'token_count':
        // A response is over, and its calls: what was answered and has not begun never does.
        this.calls.settle();
        break;
      case 'plan_update':
        this.plan({
          steps: msg.plan,
          ...(msg.explanation !== undefined && { explanation: msg.explanation }),
        });
        break;
      default:
        this.calls.take(msg);
    }
  }

  private grow(kind: 'message' | 'reasoning', key: string, text: string): void {
    const cell = this.cells.at(key, kind);
    if (cell === undefined) {
      this.cells.open(key, { kind, text, done: false });
    } else {
      this.cells.append(cell, text);
    }
  }

  private complete(kind: 'message' | 'reasoning', key: string, text: string): void {
    const cell = this.cells.at(key, kind) ?? this.cells.open(key, { kind, text, done: false });
    this.cells.release(key);
    this.cells.change(cell, { text, done: true });
  }

  private plan(plan: Omit<Extract<NewCell, { kind: 'plan' }>, 'kind'>): void {
    const cell = this.cells.at(PLAN, 'plan');
    if (cell === undefined) {
      this.cells.open(PLAN, { kind: 'plan', ...plan });
    } else {
      this.cells.change(cell, plan);
    }
  }

  private failed(id: string, text: string): void {
    const closes = this.turn !== undefined && id === this.turn;
    if (closes) {
      this.closeTurn();
    }
    this.cells.add({ kind: 'notice', level: 'error', text, ...(closes && { retry: true }) });
  }

  private replaceRetry(text: string): void {
    const old = this.cells.at(RETRY, 'notice');
    if (old !== undefined) {
      this.cells.drop(old);
    }
    this.cells.open(RETRY, { kind: 'notice', level: 'warning', text });
  }

  /** Deltas of what was not completed do not count. */
  private voidTexts(): void {
    for (const [key, cell] of this.cells.opened) {
      if (isText(cell)) {
        this.cells.release(key);
        this.cells.drop(cell);
      }
    }
  }

  private closeTurn(): void {
    this.voidTexts();
    this.calls.end();
    this.cells.opened.forEach(([key]) => {
      this.cells.release(key);
    });
    this.turn = undefined;
  }
}

function isText(cell: Cell): boolean {
  return cell.kind === 'message' || cell.kind === 'reasoning';
}
