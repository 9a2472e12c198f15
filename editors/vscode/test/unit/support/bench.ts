// A home, a folder, the scripted model and the real server, for one test.

import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log } from '../../../src/log';
import type { ServerProcess } from '../../../src/process';
import type { SessionEvent } from '../../../src/protocol';
import { Server } from '../../../src/server';
import type { Session } from '../../../src/session';
import { type Memory, Sessions } from '../../../src/sessions';
import { Model, type Response } from '../../e2e/support/model';
import { plainConnect } from './link';

const DEADLINE_MS = 15_000;

/** Keeps what is said, for tests that ask about it. */
export class Lines implements Log {
  readonly lines: string[] = [];
  /** Called after each line. */
  onLine: (() => void) | undefined;
  trace = (line: string): void => this.add('trace', line);
  debug = (line: string): void => this.add('debug', line);
  info = (line: string): void => this.add('info', line);
  warn = (line: string): void => this.add('warn', line);
  error = (line: string): void => this.add('error', line);

  /** Warnings and errors. */
  get problems(): readonly string[] {
    return this.lines.filter((line) => /^(warn|error): /.test(line));
  }

  private add(level: string, line: string): void {
    this.lines.push(`${level}: ${line}`);
    this.onLine?.();
  }
}

/** What the editor remembers for a window. */
export class Memento implements Memory {
  readonly kept = new Map<string, unknown>();

  get = (key: string): unknown => this.kept.get(key);

  update = (key: string, value: unknown): Promise<void> => {
    this.kept.set(key, value);
    return Promise.resolve();
  };
}

export class Bench {
  readonly log = new Lines();
  readonly memory = new Memento();
  readonly processes: ServerProcess[] = [];
  readonly server: Server;
  readonly sessions: Sessions;

  private constructor(
    readonly home: string,
    readonly folder: string,
    readonly model: Model,
  ) {
    this.server = this.newServer();
    this.sessions = this.newSessions(this.server);
  }

  static async start(responses: readonly Response[]): Promise<Bench> {
    const home = await mkdtemp(join(tmpdir(), 'codex-unit-'));
    const folder = join(home, 'project');
    mkdirSync(folder);
    const model = await Model.start(home, responses);
    const config = [
      'model = "scripted"',
      'model_provider = "scripted"',
      'approval_policy = "untrusted"',
      // What holds commands differs from machine to machine, and is not what is tested.
      'sandbox_mode = "danger-full-access"',
      '[model_providers.scripted]',
      'name = "scripted"',
      `base_url = "http://127.0.0.1:${model.port}/v1"`,
      'wire_api = "responses"',
    ];
    writeFileSync(join(home, 'config.toml'), config.join('\n'));
    return new Bench(home, folder, model);
  }

  /** Start the server and a session in the folder. */
  async open(): Promise<Session> {
    await this.server.start();
    return this.sessions.configure({ cwd: this.folder });
  }

  /** Another window's server; whoever asks stops it. */
  newServer(): Server {
    const program = {
      path: process.env['CODEX_RPC'] ?? 'codex-rpc',
      args: [],
      cwd: this.folder,
      env: { ...process.env, CODEX_HOME: this.home },
    };
    return new Server({
      locate: () => Promise.resolve(program),
      connect: plainConnect(this.log, (child) => this.processes.push(child)),
      log: this.log,
      backOffMs: [1, 1, 1],
    });
  }

  /** What a window with `server` remembers and shows. */
  newSessions(server: Server): Sessions {
    return new Sessions(server, this.memory, this.log, [50, 100, 200, 400]);
  }

  /** End the running server as a crash does. */
  async crash(): Promise<void> {
    const child = this.processes.at(-1);
    if (child === undefined) {
      throw new Error('no server has been started');
    }
    process.kill(child.pid, 'SIGKILL');
    await child.ended;
  }

  async stop(): Promise<void> {
    this.sessions.dispose();
    await this.server.stop();
    await this.model.stop();
    await rm(this.home, { recursive: true, force: true });
  }
}

/** A bench for as long as `use` takes. */
export async function withBench(
  responses: readonly Response[],
  use: (bench: Bench) => Promise<void>,
): Promise<void> {
  const bench = await Bench.start(responses);
  try {
    await use(bench);
  } finally {
    await bench.stop();
  }
}

/** Resolves when `holds` does, asked after every change; rejects after a while, with `what`. */
export function until(
  what: () => string,
  on: (listener: () => void) => { dispose(): void },
  holds: () => boolean,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => finish(new Error(`it did not happen: ${what()}`)), DEADLINE_MS);
    const subscription = on(() => holds() && finish());
    if (holds()) {
      finish();
    }

    function finish(error?: Error): void {
      clearTimeout(timer);
      subscription.dispose();
      if (error === undefined) {
        resolve();
      } else {
        reject(error);
      }
    }
  });
}

/** Everything that is heard of a session from now on. */
export class Hearing {
  readonly events: SessionEvent[] = [];

  constructor(readonly session: Session) {
    session.subscribe((event) => this.events.push(event));
  }

  /** The events of a type so far. */
  of<T extends SessionEvent['msg']['type']>(type: T): Extract<SessionEvent['msg'], { type: T }>[] {
    return this.events
      .map((event) => event.msg)
      .filter((msg): msg is Extract<SessionEvent['msg'], { type: T }> => msg.type === type);
  }

  async until(type: SessionEvent['msg']['type'], count = 1): Promise<void> {
    await until(
      () => `${count} ${type}, of ${this.events.map(({ msg }) => msg.type).join(' ')}`,
      (listener) => this.session.subscribe(listener),
      () => this.of(type).length >= count,
    );
  }
}
