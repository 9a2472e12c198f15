// What the scenarios need of this machine, and why they are skipped where it is not there.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { cached, cacheFolder, installed, type VsCode } from './cache';

const run = promisify(execFile);

/** Everything that a scenario needs. */
export interface Tools {
  readonly vscode: VsCode;
  readonly chromium: string;
  readonly codexRpc: string;
}

/** Something that is missing, with what to do about it. */
export interface Missing {
  readonly reason: string;
}

/** The tools, VS Code being installed if need be; or why there are none. */
export async function tools(): Promise<Tools | Missing> {
  const missing = await reasons();
  const [chromium, codexRpc] = [browser(), server()];
  if (missing.length > 0 || chromium === undefined || codexRpc === undefined) {
    return { reason: missing.join('; ') };
  }
  try {
    return { vscode: await installed(), chromium, codexRpc };
  } catch (error) {
    const said = error instanceof Error ? error.message.trim() : String(error);
    return { reason: `VS Code could not be installed into ${cacheFolder()}: ${said}` };
  }
}

/** What is missing and cannot be installed from here; empty if all is well. */
export async function reasons(): Promise<string[]> {
  const found: string[] = [];
  if (process.platform !== 'linux') {
    found.push('the scenarios find processes by /proc, and so need Linux');
  }
  if (browser() === undefined) {
    found.push('there is no Chromium (apt-get install chromium, or set CHROMIUM)');
  }
  if (server() === undefined) {
    found.push('there is no codex-rpc (pip install codex-rpc, or set CODEX_RPC)');
  }
  if (!(await works('python3', '--version'))) {
    found.push('there is no python3 for the scripted model server (set PYTHON)');
  }
  if (cached() === undefined && !(await works('npm', '--version'))) {
    found.push('there is no npm to install VS Code with');
  }
  return found;
}

function browser(): string | undefined {
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  return process.env['CHROMIUM'] ?? names.map(onPath).find((path) => path !== undefined);
}

function server(): string | undefined {
  return process.env['CODEX_RPC'] ?? onPath('codex-rpc');
}

function onPath(name: string): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

async function works(command: string, ...args: readonly string[]): Promise<boolean> {
  try {
    await run(command, args);
    return true;
  } catch {
    return false;
  }
}
