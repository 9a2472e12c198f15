// The server's process: started, watched, and ended for certain.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { Program } from './link';
import type { Log } from './log';

/** How long a server that was told to end may take to save its sessions before it is killed. */
const PATIENCE_MS = 5000;
/** After its end, for what it has still written to be read. */
const DRAIN_MS = 500;

export interface ServerProcess {
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** Resolves with what a person may read: "ended with code 1". */
  readonly ended: Promise<string>;
  /** Resolves when it is gone; it is killed if it is not soon. */
  end(): Promise<void>;
}

/** Start `program`; what it writes to stderr goes to `log`. Rejects if it cannot be started. */
export async function started(program: Program, log: Log): Promise<ServerProcess> {
  const { path, args, cwd, env } = program;
  const child = spawn(path, [...args], { cwd, env, stdio: 'pipe', windowsHide: true });
  const ended = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => {
      const how = signal === null ? `ended with code ${code ?? -1}` : `was ended by ${signal}`;
      // What it has started may hold its pipes open for longer than it lives.
      const timer = setTimeout(() => resolve(how), DRAIN_MS);
      child.once('close', () => {
        clearTimeout(timer);
        resolve(how);
      });
    });
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  // A broken pipe is told by the end of the process.
  child.on('error', (error) => log.warn(error.message));
  child.stdin.on('error', (error) => log.debug(`Not written to the server: ${error.message}`));
  createInterface({ input: child.stderr }).on('line', (line) => log.info(`[server] ${line}`));
  return { pid: child.pid ?? -1, stdin: child.stdin, stdout: child.stdout, ended, end };

  async function end(): Promise<void> {
    child.stdin.end();
    const timer = setTimeout(() => {
      log.warn('The server did not end in time and is killed.');
      child.kill('SIGKILL');
    }, PATIENCE_MS);
    await ended;
    clearTimeout(timer);
  }
}
