// A server that answers as a test says, and sessions on it, for parts that ask and are asked.

import type { ConnectionState } from '../../../src/connection';
import { type Disposable, Emitter } from '../../../src/emitter';
import type { ConfigureResult, Method, Methods, SessionEvent } from '../../../src/protocol';
import type { Session } from '../../../src/session';
import { Sessions } from '../../../src/sessions';
import { Lines, Memento } from './bench';

type Answer = (params: never) => unknown;

/** What was asked, in order, and what is answered to it. */
export class Desk {
  readonly asked: { readonly method: string; readonly params: unknown }[] = [];
  readonly answers = new Map<string, Answer>([
    ['session/submit', () => ({ id: 'submission' })],
    ['session/close', () => ({})],
  ]);
  readonly log = new Lines();
  private readonly events = new Emitter<SessionEvent>();
  private readonly states = new Emitter<ConnectionState>();
  readonly state = 'running';
  readonly problem = undefined;
  readonly onEvent = this.events.on;
  readonly onState: (listener: (state: ConnectionState) => void) => Disposable = this.states.on;
  readonly sessions = new Sessions(this, new Memento(), this.log);
  private seq = 0;

  request<M extends Method>(
    method: M,
    params: Methods[M]['params'],
  ): Promise<Methods[M]['result']> {
    return this.answer(method, params) as Promise<Methods[M]['result']>;
  }

  execute(command: string, argument: unknown): Promise<unknown> {
    return this.answer(command, argument);
  }

  /** Open the session `id` in `cwd`; it is the current one then. */
  async open(id = 'session-1', cwd = '/home/me/project'): Promise<Session> {
    this.answers.set('session/configure', () => opened(id, cwd));
    return this.sessions.configure({ cwd });
  }

  /** The server tells of `msg` in the session. */
  tell(session: Session, msg: SessionEvent['msg']): void {
    this.events.fire({ sessionId: session.id, seq: ++this.seq, id: 'turn-1', msg });
  }

  /** The operations that were handed over. */
  get ops(): readonly unknown[] {
    return this.asked
      .filter(({ method }) => method === 'session/submit')
      .map(({ params }) => (params as { op: unknown }).op);
  }

  private async answer(method: string, params: unknown): Promise<unknown> {
    this.asked.push({ method, params });
    const answer = this.answers.get(method);
    if (answer === undefined) {
      throw new Error(`nothing is answered to ${method}`);
    }
    return Promise.resolve(answer(params as never));
  }
}

export function opened(sessionId: string, cwd = '/home/me/project'): ConfigureResult {
  return {
    sessionId,
    cwd,
    model: 'gpt-5',
    modelProvider: 'openai',
    approvalPolicy: 'untrusted',
    sandboxPolicy: { mode: 'read-only' },
    sandbox: 'none',
    rolloutPath: `/sessions/${sessionId}.jsonl`,
    historyLogId: 1,
    historyEntryCount: 0,
    resumed: false,
    itemCount: 0,
  };
}

/** Waits until whatever is under way without a timer has happened. */
export async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
