// The real VS Code that the scenarios run in: where it is kept, and how it gets there.
//
// It is the server of VS Code as npm's `code-server` ships it, with the Node that it wants, from
// npm alone. 790 MB, so it is kept outside of the checkout and shared by all checkouts.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const CODE_SERVER = '4.139.1';
const NODE = '24.21.0';

/** A VS Code that can be started. */
export interface VsCode {
  readonly node: string;
  readonly main: string;
}

/** `$CODEX_RPC_E2E_CACHE`, else `codex-rpc-e2e` in the user's cache folder. */
export function cacheFolder(): string {
  const caches = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  return process.env['CODEX_RPC_E2E_CACHE'] ?? join(caches, 'codex-rpc-e2e');
}

function folderOfVersion(): string {
  return join(cacheFolder(), `code-server-${CODE_SERVER}`);
}

/** The VS Code in the cache; undefined if it is not there, or not as a whole. */
export function cached(): VsCode | undefined {
  const folder = folderOfVersion();
  const code = at(folder);
  return existsSync(join(folder, 'complete')) ? code : undefined;
}

/** The VS Code in the cache, installed now if it is not there; rejects with what npm says. */
export async function installed(): Promise<VsCode> {
  const found = cached();
  if (found !== undefined) {
    return found;
  }
  const folder = folderOfVersion();
  await mkdir(cacheFolder(), { recursive: true });
  // Beside its place, and moved there as a whole: an install that was stopped leaves nothing that
  // looks like one, and two at the same time do not meet.
  const half = await mkdtemp(join(cacheFolder(), 'installing-'));
  try {
    await install(half);
    await rm(folder, { recursive: true, force: true });
    await rename(half, folder);
  } catch (error) {
    await rm(half, { recursive: true, force: true });
    const other = cached();
    if (other !== undefined) {
      return other;
    }
    throw error;
  }
  return at(folder);
}

function at(folder: string): VsCode {
  const node = join(folder, 'node_modules', nodePackage(), 'bin', 'node');
  return { node, main: join(folder, 'code-server', 'lib', 'vscode', 'out', 'server-main.js') };
}

/** npm's package with the Node binary of this machine: needs no install script. */
function nodePackage(): string {
  return `node-${process.platform}-${process.arch}`;
}

async function install(folder: string): Promise<void> {
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  await writeFile(join(folder, 'package.json'), '{"private": true}\n');
  await run('npm', ['install', ...quiet, `${nodePackage()}@${NODE}`], { cwd: folder });
  await run('npm', ['pack', '--silent', `code-server@${CODE_SERVER}`], { cwd: folder });
  const archive = (await readdir(folder)).find((name) => name.endsWith('.tgz')) ?? '';
  await run('tar', ['-xzf', archive], { cwd: folder });
  await rm(join(folder, archive));
  await rename(join(folder, 'package'), join(folder, 'code-server'));
  const vscode = join(folder, 'code-server', 'lib', 'vscode');
  // Not `npm ci`: the lock file in there is not in step with its package.json.
  await run('npm', ['install', '--omit=dev', ...quiet], { cwd: vscode });
  await run('npm', ['install', '--omit=dev', ...quiet], { cwd: join(vscode, 'extensions') });
  const code = at(folder);
  await run(code.node, [code.main, '--version']);
  await writeFile(join(folder, 'complete'), `${CODE_SERVER}\n`);
}
