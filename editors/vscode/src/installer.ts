// Installs codex-rpc into a virtual environment that is this extension's own.

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { type Log, textOf } from './log';

/** Runs a program to its end; its lines go to `onLine`. Rejects with what went wrong. */
export type Run = (
  program: string,
  args: readonly string[],
  onLine: (line: string) => void,
  signal: AbortSignal,
) => Promise<void>;

/** How an installation is shown. */
export interface Progress {
  readonly signal: AbortSignal;
  report(message: string): void;
}

/** Says what kept us from installing, and what to do. */
export class NotInstalled extends Error {
  override readonly name = 'NotInstalled';
}

/** What the newest of these is, and whether it is new enough. */
const CHECK = 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))';
const INTERPRETERS = ['python3', 'python3.14', 'python3.13', 'python3.12', 'python3.11', 'python'];

export class Installer {
  constructor(
    /** The folder that is the extension's own on this machine. */
    private readonly storage: string,
    private readonly source: () => string,
    /** An interpreter to try before those on the PATH. */
    private readonly preferred: () => Promise<string | undefined>,
    private readonly log: Log,
    private readonly run: Run = ran,
    private readonly platform: NodeJS.Platform = process.platform,
  ) {}

  /** Where the programs of the environment are, once there is one. */
  get programs(): string {
    return join(this.environment, this.platform === 'win32' ? 'Scripts' : 'bin');
  }

  /** What a person types to do the same, in a terminal. */
  command(): string {
    const [python, pip] =
      this.platform === 'win32' ? ['py', 'Scripts\\pip'] : ['python3', 'bin/pip'];
    const separator = this.platform === 'win32' ? '\\' : '/';
    const folder = quoted(this.environment);
    const program = quoted(this.environment + separator + pip);
    return `${python} -m venv ${folder} && ${program} install --upgrade ${quoted(this.source())}`;
  }

  /**
   * Install it, or the newest version of it. Rejects with NotInstalled, or with an AbortError.
   * What is there already keeps working if that fails.
   */
  async install(progress: Progress): Promise<void> {
    const { signal } = progress;
    progress.report('Looking for Python…');
    const python = await this.interpreter(signal);
    progress.report('Making an environment…');
    await this.step(python, ['-m', 'venv', this.environment], signal);
    progress.report(`Installing ${this.source()}…`);
    const pip = ['-m', 'pip', 'install', '--upgrade', '--disable-pip-version-check'];
    const interpreter = this.platform === 'win32' ? 'python.exe' : 'python';
    await this.step(join(this.programs, interpreter), [...pip, this.source()], signal);
  }

  private get environment(): string {
    return join(this.storage, 'venv');
  }

  private async interpreter(signal: AbortSignal): Promise<string> {
    const preferred = await this.preferred();
    const candidates = [...(preferred === undefined ? [] : [preferred]), ...INTERPRETERS];
    for (const python of candidates) {
      try {
        await this.run(python, ['-c', CHECK], () => undefined, signal);
        return python;
      } catch (error) {
        signal.throwIfAborted();
        this.log.debug(`${python} is of no use: ${textOf(error)}`);
      }
    }
    throw new NotInstalled(
      'There is no Python 3.11 or newer with “venv”. Install one (Debian and Ubuntu: the packages ' +
        'python3 and python3-venv) and try again.',
    );
  }

  private async step(program: string, args: readonly string[], signal: AbortSignal): Promise<void> {
    this.log.info(`$ ${[program, ...args].map(quoted).join(' ')}`);
    const lines: string[] = [];
    try {
      await this.run(
        program,
        args,
        (line) => {
          this.log.info(line);
          lines.push(line);
        },
        signal,
      );
    } catch (error) {
      signal.throwIfAborted();
      const said = lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? textOf(error);
      throw new NotInstalled(`Installing codex-rpc failed: ${said.trim()}`);
    }
  }
}

const ran: Run = (program, args, onLine, signal) =>
  new Promise((resolve, reject) => {
    const done = (error: Error | null): void => (error === null ? resolve() : reject(error));
    const child = execFile(program, [...args], { signal, maxBuffer: 64 << 20 }, done);
    for (const stream of [child.stdout, child.stderr]) {
      let rest = '';
      stream?.on('data', (chunk: string) => {
        const lines = (rest + chunk).split(/\r?\n/);
        rest = lines.pop() ?? '';
        lines.forEach(onLine);
      });
    }
  });

function quoted(word: string): string {
  return /^[\w@%+=:,./\\-]+$/.test(word) ? word : `"${word.replaceAll('"', '\\"')}"`;
}
