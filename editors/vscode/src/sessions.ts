// The sessions that are open in this window, and which of them the person is in.

import { CodexError, type Connection, type ConnectionState } from './connection';
import { type Disposable, Emitter } from './emitter';
import { type KeptInput, type Unsaved } from './inputs';
import { type Log, textOf } from './log';
import {
  type ConfigureParams,
  ErrorCode,
  type ForkParams,
  type ResumeParams,
  type SessionEvent,
} from './protocol';
import { Session, type SessionInfo } from './session';

/** Where the editor keeps what a window is to remember. */
export interface Memory {
  get(key: string): unknown;
  update(key: string, value: unknown): Thenable<void>;
}

/** The session to open again after a reload, with what would be lost with the window. */
interface Remembered {
  readonly sessionId: string;
  /** How many items its file had when it was opened. */
  readonly itemCount: number;
  readonly unsaved: Unsaved;
}

/** Parameters that a session needs again when it is resumed in a new process. */
type Terms = Omit<ResumeParams, 'sessionId' | 'path' | 'last' | 'takeover'>;

const OPEN = 'codex-rpc.openSession';
/** Items of the file that are looked through for inputs. */
const PAGE = 200;
/** Events of a session that is not known yet; beyond it the oldest are dropped. */
const EARLY_EVENTS = 10_000;
/** While the process of the window's last life lets go of the session. */
const WAITS_MS = [200, 400, 800, 1600, 3000] as const;

export class Sessions {
  private readonly sessions = new Map<string, Session>();
  private readonly terms = new Map<string, Terms>();
  private readonly early = new Map<string, SessionEvent[]>();
  private readonly changes: Emitter<Session | undefined>;
  private readonly subscriptions: Disposable[];
  private opening = 0;
  private chosen: Session | undefined;
  private remembered: readonly KeptInput[] | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly memory: Memory,
    private readonly log: Log,
    private readonly waitsMs: readonly number[] = WAITS_MS,
  ) {
    this.changes = new Emitter((error) => log.error(`Not shown: ${textOf(error)}`));
    this.subscriptions = [
      connection.onEvent((event) => this.take(event)),
      connection.onState((state) => this.follow(state)),
    ];
  }

  get open(): readonly Session[] {
    return [...this.sessions.values()];
  }

  /** The session that the chat view shows; it may have been closed, by another process say. */
  get current(): Session | undefined {
    return this.chosen;
  }

  set current(session: Session | undefined) {
    this.chosen = session;
    this.remember();
    this.changes.fire(session);
  }

  get(id: string): Session | undefined {
    return this.sessions.get(id);
  }

  /** After a session was opened, closed, chosen, or has changed; with that session. */
  readonly onDidChange = (listener: (session: Session | undefined) => void): Disposable =>
    this.changes.on(listener);

  /** Start a session; it becomes the current one. */
  configure(params: ConfigureParams): Promise<Session> {
    const { resumePath, ...terms } = params;
    const request = (): Promise<SessionInfo> =>
      this.connection.request('session/configure', params);
    return this.opened(request, resumePath === undefined ? terms : params);
  }

  /** Continue a saved session; it becomes the current one. */
  resume(params: ResumeParams): Promise<Session> {
    const { sessionId, path, last, takeover, ...terms } = params;
    return this.opened(() => this.connection.request('session/resume', params), terms);
  }

  /** Continue a copy; it becomes the current one. */
  fork(params: ForkParams): Promise<Session> {
    const { sessionId, path, upTo, ...terms } = params;
    return this.opened(() => this.connection.request('session/fork', params), terms);
  }

  /** Close it; rejects if something of it could not be saved, unless that is to be discarded. */
  async close(id: string, discard = false): Promise<void> {
    const session = this.sessions.get(id);
    if (session?.status !== 'offline') {
      const params = { sessionId: id, ...(discard && { discard }) };
      await this.connection.request('session/close', params);
    }
    session?.close();
    if (session !== undefined && this.chosen === session) {
      this.current = undefined;
    }
  }

  /**
   * The session that was current when the window was closed or reloaded, resumed, with what was
   * not saved of it given back. Undefined if there was none, or if it is gone.
   */
  async restore(params: Terms = {}): Promise<Session | undefined> {
    const remembered = this.memory.get(OPEN) as Remembered | undefined;
    if (remembered === undefined || this.chosen !== undefined) {
      return undefined;
    }
    const { sessionId, itemCount, unsaved } = remembered;
    try {
      const session = await this.resumePatiently({ sessionId, ...params });
      const left = unsaved.kept.length > 0 ? await this.recordedSince(sessionId, itemCount) : [];
      session.giveBack(unsaved, left);
      return session;
    } catch (error) {
      if (error instanceof CodexError && error.code === ErrorCode.SessionNotFound) {
        this.log.info(`The session of the last time, ${sessionId}, is gone.`);
        await this.memory.update(OPEN, undefined);
        return undefined;
      }
      throw error;
    }
  }

  dispose(): void {
    this.subscriptions.forEach((each) => each.dispose());
    this.sessions.forEach((session) => session.dispose());
    this.changes.dispose();
  }

  private async opened(request: () => Promise<SessionInfo>, terms: Terms): Promise<Session> {
    this.opening += 1;
    try {
      const info = await request();
      const session = this.adopt(info);
      if (!this.terms.has(session.id)) {
        this.terms.set(session.id, terms);
      }
      this.current = session;
      return session;
    } finally {
      this.opening -= 1;
    }
  }

  private adopt(info: SessionInfo): Session {
    const known = this.sessions.get(info.sessionId);
    if (known !== undefined) {
      return known;
    }
    const session = new Session(this.connection, info);
    this.sessions.set(session.id, session);
    session.onDidChange(() => this.changed(session));
    for (const event of this.early.get(session.id) ?? []) {
      session.take(event);
    }
    this.early.delete(session.id);
    return session;
  }

  /** What the server of the window's last life still holds is free in a moment. */
  private async resumePatiently(params: ResumeParams): Promise<Session> {
    for (const wait of this.waitsMs) {
      try {
        return await this.resume(params);
      } catch (error) {
        if (!(error instanceof CodexError && error.code === ErrorCode.SessionInUse)) {
          throw error;
        }
        this.log.debug(`Waiting for ${String(params.sessionId)}: ${error.message}`);
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
    return this.resume(params);
  }

  private take(event: SessionEvent): void {
    const session = this.sessions.get(event.sessionId);
    if (session !== undefined) {
      session.take(event);
      return;
    }
    if (event.msg.type === 'shutdown_complete') {
      return; // Of a session that was closed here.
    }
    const early = [...(this.early.get(event.sessionId) ?? []), event];
    this.early.set(event.sessionId, early.slice(-EARLY_EVENTS));
    if (this.opening === 0) {
      // Not opened by us: the server has started it for a command of the editor.
      void this.resume({ sessionId: event.sessionId }).catch((error: unknown) => {
        this.early.delete(event.sessionId);
        this.log.warn(`Session ${event.sessionId} cannot be shown: ${textOf(error)}`);
      });
    }
  }

  private changed(session: Session): void {
    if (session.status === 'closed') {
      this.sessions.delete(session.id);
      this.terms.delete(session.id);
    }
    if (this.chosen === session) {
      if (session.status === 'closed' || session.queued !== this.remembered) {
        this.remember();
      }
    }
    this.changes.fire(session);
  }

  private remember(): void {
    const session = this.chosen?.status === 'closed' ? undefined : this.chosen;
    this.remembered = session?.queued;
    const remembered = session && {
      sessionId: session.id,
      itemCount: session.info.itemCount,
      unsaved: session.unsaved,
    };
    void this.memory.update(OPEN, remembered satisfies Remembered | undefined);
  }

  private follow(state: ConnectionState): void {
    if (state === 'running') {
      this.early.clear();
      void this.resumeAll();
    } else {
      const why = this.connection.problem;
      this.sessions.forEach((session) => session.lost(why));
    }
  }

  private async resumeAll(): Promise<void> {
    for (const session of this.open) {
      await this.resumeOne(session);
    }
  }

  /** Continue in a new process what the old one has left. */
  private async resumeOne(session: Session): Promise<void> {
    const { sessionId, model, approvalPolicy, sandboxPolicy, itemCount } = session.info;
    // The policies are those that the person has chosen in this window; said again, since a
    // session that is resumed without a word gets the stricter of what is saved and configured.
    const terms = { ...this.terms.get(sessionId), model, approvalPolicy, sandboxPolicy };
    try {
      const opened = await this.connection.request('session/resume', { ...terms, sessionId });
      const recorded =
        session.queued.length > 0 ? await this.recordedSince(sessionId, itemCount) : [];
      this.log.info(`Session ${sessionId} goes on.`);
      await session.back(opened, recorded);
    } catch (error) {
      this.log.error(`Session ${sessionId}: ${textOf(error)}`);
      if (error instanceof CodexError) {
        const text = `The session could not be resumed: ${error.message} It is under “Sessions”.`;
        session.close({ level: 'error', text });
      }
    }
  }

  private async recordedSince(sessionId: string, index: number): Promise<unknown[]> {
    const page = await this.connection.request('session/read', { sessionId, limit: PAGE });
    return page.items.filter((entry) => entry.index >= index).map((entry) => entry.item);
  }
}
