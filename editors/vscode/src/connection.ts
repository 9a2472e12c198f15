// What the parts of the extension know of the server: requests, events, and whether it is there.

import type { Disposable } from './emitter';
import type { Method, Methods, SessionEvent } from './protocol';

/**
 * - `stopped`: not started, or stopped on purpose
 * - `starting`, `running`
 * - `restarting`: it ended unexpectedly and is started again soon
 * - `missing`: there is no program to start
 * - `failed`: given up; `problem` says why
 */
export type ConnectionState =
  'stopped' | 'starting' | 'running' | 'restarting' | 'missing' | 'failed';

export interface Connection {
  readonly state: ConnectionState;
  /** What a person should know about a state in which nothing runs. */
  readonly problem: string | undefined;
  /**
   * The answer to a request; one that is asked while the server is on its way waits for it.
   * Rejects with a CodexError that the server answered, or with ConnectionLost.
   */
  request<M extends Method>(method: M, params: Methods[M]['params']): Promise<Methods[M]['result']>;
  /** The answer to `workspace/executeCommand`; rejects as `request` does. */
  execute(command: string, argument: unknown): Promise<unknown>;
  /** Every `session/event`, in order, of all sessions. */
  onEvent(handler: (event: SessionEvent) => void): Disposable;
  onState(handler: (state: ConnectionState) => void): Disposable;
}

/** The server's refusal. The message is meant for a person, `code` is one of ErrorCode. */
export class CodexError extends Error {
  override readonly name = 'CodexError';

  constructor(
    readonly code: number,
    message: string,
    readonly data?: unknown,
  ) {
    super(message);
  }
}

/** The server went away before it answered: whether it did what was asked is not known. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}
