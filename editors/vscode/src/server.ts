// The server of this window: one process, started again when it ends unexpectedly.

import { CodexError, type Connection, ConnectionLost, type ConnectionState } from './connection';
import { type Disposable, Emitter } from './emitter';
import type { Connect, Link, Program, ServerInfo } from './link';
import { type Log, textOf } from './log';
import { type Method, type Methods, PROTOCOL_VERSION, type SessionEvent } from './protocol';

/** Waits before a server that ended is started again; after the last one we give up. */
const BACK_OFF_MS = [250, 1000, 2000, 5000, 10_000] as const;
/** A server that ran as long as this has not failed at the start: the count begins anew. */
const STEADY_MS = 60_000;

/** What the server needs of the machine; replaced in tests. */
export interface Surroundings {
  /** The program to start; undefined if there is none. */
  locate(): Promise<Program | undefined>;
  readonly connect: Connect;
  readonly log: Log;
  readonly backOffMs?: readonly number[];
}

export class Server implements Connection, Disposable {
  private readonly states = new Emitter<ConnectionState>();
  private readonly events = new Emitter<SessionEvent>((error) =>
    this.around.log.error(`An event could not be shown: ${textOf(error)}`),
  );
  private now: ConnectionState = 'stopped';
  private why: string | undefined;
  private link: Link | undefined;
  private failures = 0;
  private retry: NodeJS.Timeout | undefined;
  private underWay: Promise<void> | undefined;
  /** Counts starts and stops: what an older one still has to say does not matter any more. */
  private generation = 0;

  constructor(private readonly around: Surroundings) {}

  get state(): ConnectionState {
    return this.now;
  }

  get problem(): string | undefined {
    return this.why;
  }

  /** What the running server says of itself. */
  get info(): ServerInfo | undefined {
    return this.link?.info;
  }

  readonly onState = this.states.on;
  readonly onEvent = this.events.on;

  /** Start the server if it is not running or on its way. Never rejects: the state says it. */
  start(): Promise<void> {
    if (this.now === 'running' || this.now === 'starting') {
      return this.underWay ?? Promise.resolve();
    }
    this.failures = this.now === 'restarting' ? this.failures : 0;
    return this.launch();
  }

  /** Stop it, with all sessions saved; resolves when the process is gone. */
  async stop(): Promise<void> {
    this.generation += 1;
    clearTimeout(this.retry);
    const link = this.link;
    this.link = undefined;
    this.become('stopped');
    await link?.stop();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async request<M extends Method>(
    method: M,
    params: Methods[M]['params'],
  ): Promise<Methods[M]['result']> {
    return (await this.ask(method, params)) as Methods[M]['result'];
  }

  execute(command: string, argument: unknown): Promise<unknown> {
    return this.ask('workspace/executeCommand', { command, arguments: [argument] });
  }

  dispose(): void {
    void this.stop();
    this.states.dispose();
    this.events.dispose();
  }

  private async ask(method: string, params: unknown): Promise<unknown> {
    const link = this.link ?? (await this.whenRunning());
    try {
      return await link.request(method, params);
    } catch (error) {
      throw this.translated(error, link);
    }
  }

  /** The next link, if one is on its way. */
  private whenRunning(): Promise<Link> {
    return new Promise((resolve, reject) => {
      const settle = (): boolean => {
        if (this.link !== undefined) {
          resolve(this.link);
        } else if (this.now !== 'starting' && this.now !== 'restarting') {
          reject(new ConnectionLost(this.why ?? 'Codex is not running. Start it first.'));
        } else {
          return false;
        }
        return true;
      };
      if (!settle()) {
        const subscription = this.onState(() => {
          if (settle()) {
            subscription.dispose();
          }
        });
      }
    });
  }

  private translated(error: unknown, link: Link): Error {
    const { code, message, data } = error as { code?: unknown; message?: unknown; data?: unknown };
    if (this.link === link && typeof code === 'number') {
      return new CodexError(code, String(message), data);
    }
    return new ConnectionLost(`The server is gone: ${textOf(error)}`);
  }

  private launch(): Promise<void> {
    clearTimeout(this.retry);
    const generation = ++this.generation;
    this.underWay = this.launched(generation);
    return this.underWay;
  }

  private async launched(generation: number): Promise<void> {
    this.become('starting');
    let path = 'codex-rpc';
    try {
      const program = await this.around.locate();
      if (generation !== this.generation) {
        return;
      }
      if (program === undefined) {
        this.become(
          'missing',
          'The codex-rpc program is not installed. Install it, or set its path.',
        );
        return;
      }
      path = program.path;
      this.around.log.info(`Starting ${[program.path, ...program.args].join(' ')}`);
      const link = await this.around.connect(program, (params) => {
        if (generation === this.generation) {
          this.events.fire(params as SessionEvent);
        }
      });
      if (generation !== this.generation) {
        await link.stop();
        return;
      }
      await this.joined(link, program, generation);
    } catch (error) {
      this.around.log.error(`The server did not start: ${textOf(error)}`);
      if (generation !== this.generation) {
        return;
      }
      if (isNoProgram(error)) {
        // Trying again would not make one.
        const advice = 'Correct the setting codex-rpc.path, or install codex-rpc once more.';
        this.become('failed', `${path} cannot be run: ${textOf(error)}. ${advice}`);
      } else {
        this.again(`The server did not start: ${textOf(error)}`);
      }
    }
  }

  private async joined(link: Link, program: Program, generation: number): Promise<void> {
    const { version, protocolVersion } = link.info;
    if (protocolVersion !== PROTOCOL_VERSION) {
      this.generation += 1;
      await link.stop();
      this.become(
        'failed',
        `${program.path} speaks version ${String(protocolVersion)} of the protocol, and this ` +
          `extension version ${PROTOCOL_VERSION}. Update the older one.`,
      );
      return;
    }
    this.link = link;
    const since = Date.now();
    link.onClosed((reason) => {
      if (generation !== this.generation) {
        return;
      }
      this.generation += 1;
      this.link = undefined;
      this.failures = Date.now() - since > STEADY_MS ? 0 : this.failures;
      this.around.log.error(`The server ${reason}.`);
      this.again(`The server ${reason}.`);
    });
    this.around.log.info(`codex-rpc ${version} is running.`);
    this.become('running');
  }

  private again(problem: string): void {
    const waits = this.around.backOffMs ?? BACK_OFF_MS;
    const wait = waits[this.failures];
    if (wait === undefined) {
      const times = `It has ended ${this.failures + 1} times in a row and is not started again.`;
      this.become('failed', `${problem} ${times}`);
      return;
    }
    this.failures += 1;
    this.around.log.info(`It is started again in ${wait} ms (${this.failures}/${waits.length}).`);
    this.retry = setTimeout(() => void this.launch(), wait);
    this.become('restarting', problem);
  }

  private become(state: ConnectionState, problem?: string): void {
    this.now = state;
    this.why = problem;
    this.states.fire(state);
  }
}

function isNoProgram(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'EACCES' || code === 'ENOEXEC';
}
