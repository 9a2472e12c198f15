// A user's machine for one scenario: a home, a folder with files, the scripted model, and VS Code
// with the packaged extension. Nothing of it is shared with another scenario or with the real one.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { Model, type Response } from './model';
import type { Tools } from './requirements';

const run = promisify(execFile);

/** What a scenario wants to be there. */
export interface Wishes {
  readonly model: readonly Response[];
  /** Files of the folder, by path. */
  readonly files?: Readonly<Record<string, string>>;
  /** Parts of the folder that are opened as a workspace of several folders, instead of the whole. */
  readonly folders?: readonly string[];
  /** Settings of VS Code beside those that keep it quiet. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Lines of config.toml's top level. */
  readonly config?: Readonly<Record<string, string>>;
  /** False: there is no `codex-rpc` anywhere. */
  readonly withServer?: boolean;
  /** False: the folder is one that nobody has said to trust. */
  readonly trusted?: boolean;
  /** Of the window. */
  readonly size?: { readonly width: number; readonly height: number };
  /** What is done before the window opens. */
  readonly before?: (machine: Machine) => Promise<void>;
}

/** The path of a workspace of some parts of `folder`. */
function workspace(folder: string, parts: readonly string[]): string {
  const path = join(folder, 'several.code-workspace');
  const folders = parts.map((name) => ({ path: name }));
  writeFileSync(path, JSON.stringify({ folders }));
  return path;
}

/** Installs the extension once for all scenarios; `folder` becomes VS Code's extensions folder. */
export async function installExtension(tools: Tools, vsix: string, folder: string): Promise<void> {
  const { node, main } = tools.vscode;
  const home = await mkdtemp(join(tmpdir(), 'codex-e2e-install-'));
  const folders = [
    '--server-data-dir',
    join(home, 'server'),
    '--user-data-dir',
    join(home, 'user'),
  ];
  const args = [main, ...folders, '--extensions-dir', folder, '--accept-server-license-terms'];
  await run(node, [...args, '--install-extension', vsix]);
  rmSync(home, { recursive: true, force: true });
}

export class Machine {
  private constructor(
    readonly home: string,
    readonly model: Model,
    readonly url: string,
    private readonly vscode: ChildProcess,
    private readonly codexRpc: string,
  ) {}

  static async start(tools: Tools, extensions: string, wishes: Wishes): Promise<Machine> {
    const home = await mkdtemp(join(tmpdir(), 'codex-e2e-'));
    const folder = join(home, 'project');
    mkdirSync(folder);
    for (const [path, content] of Object.entries(wishes.files ?? {})) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), content);
    }
    const model = await Model.start(home, wishes.model);
    configure(home, model.port, wishes.config ?? {});
    const withServer = wishes.withServer ?? true;
    settings(home, {
      'security.workspace.trust.enabled': !(wishes.trusted ?? true),
      ...(withServer ? { 'codex-rpc.path': tools.codexRpc } : {}),
      ...wishes.settings,
    });
    const vscode = start(tools, home, extensions, wishes.trusted ?? true);
    const port = await listening(vscode, join(home, 'vscode.log'));
    const opened = wishes.folders
      ? `workspace=${workspace(folder, wishes.folders)}`
      : `folder=${folder}`;
    const url = `http://127.0.0.1:${port}/?${encodeURI(opened)}`;
    return new Machine(home, model, url, vscode, tools.codexRpc);
  }

  /** The folder that is open in VS Code. */
  get folder(): string {
    return join(this.home, 'project');
  }

  /** A file of the folder, as it is on disk. */
  read(path: string): string {
    return readFileSync(join(this.folder, path), 'utf8');
  }

  has(path: string): boolean {
    return existsSync(join(this.folder, path));
  }

  /** The files of the saved sessions, the oldest first. */
  sessionFiles(): readonly string[] {
    const folder = join(this.home, '.codex');
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    const files = names.filter((name) => /rollout-.*\.jsonl$/.test(name)).sort();
    return files.map((name) => join(folder, name));
  }

  /** What is in the saved sessions. */
  sessions(): readonly string[] {
    return this.sessionFiles().map((file) => readFileSync(file, 'utf8'));
  }

  /** Run `codex-rpc` in the folder, as in a terminal; the model answers it as well. */
  async codex(...args: readonly string[]): Promise<void> {
    await run(this.codexRpc, args, { cwd: this.folder, env: environment(this.home) });
  }

  /** Another `codex-rpc`, as of another editor, that has resumed the last session of the folder. */
  async holder(): Promise<ChildProcess> {
    const options = { cwd: this.folder, env: environment(this.home) };
    const child = spawn(this.codexRpc, [], { ...options, stdio: ['pipe', 'pipe', 'ignore'] });
    const params = { last: true, cwd: this.folder };
    const request = { jsonrpc: '2.0', id: 1, method: 'session/resume', params };
    child.stdin.write(`${JSON.stringify(request)}\n`);
    await once(createInterface({ input: child.stdout }), 'line');
    return child;
  }

  /** The `codex-rpc` processes of this machine's VS Code. */
  servers(): readonly number[] {
    // Processes of other machines have another home in their environment.
    const pids = readdirSync('/proc').map(Number).filter(Number.isInteger);
    return pids.filter((pid) => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        const isServer = command.slice(0, 3).some((part) => /(^|\/)codex-rpc$/.test(part));
        return isServer && environment.includes(`HOME=${this.home}`);
      } catch {
        return false; // It has ended meanwhile, or is not ours to read.
      }
    });
  }

  /** End everything, and remove the home unless `keep`. */
  async stop(keep = false): Promise<void> {
    if (this.vscode.exitCode === null) {
      const ended = once(this.vscode, 'exit');
      // A group of its own: the extension host goes with it.
      process.kill(-(this.vscode.pid ?? 0), 'SIGKILL');
      await ended;
    }
    await this.model.stop();
    if (!keep) {
      rmSync(this.home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    }
  }
}

function configure(home: string, port: number, more: Readonly<Record<string, string>>): void {
  const values = {
    model: 'gpt-5',
    model_provider: 'scripted_server',
    approval_policy: 'untrusted',
    sandbox_mode: 'danger-full-access',
    ...more,
  };
  const lines = Object.entries(values).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
  const provider = [
    '[model_providers.scripted_server]',
    'name = "Scripted"',
    `base_url = "http://127.0.0.1:${port}/v1"`,
    'stream_max_retries = 2',
  ];
  mkdirSync(join(home, '.codex'));
  writeFileSync(join(home, '.codex', 'config.toml'), [...lines, ...provider, ''].join('\n'));
}

/** VS Code without whatever would pop up in front of what is tested. */
const QUIET = {
  'workbench.startupEditor': 'none',
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'extensions.autoUpdate': false,
  'extensions.autoCheckUpdates': false,
  'extensions.ignoreRecommendations': true,
  'workbench.tips.enabled': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'chat.disableAIFeatures': true,
  'git.enabled': false,
  'files.autoSave': 'off',
  'remote.autoForwardPorts': false,
  'editor.minimap.enabled': false,
  'window.confirmBeforeClose': 'never',
};

function settings(home: string, own: Readonly<Record<string, unknown>>): void {
  // What is of the machine, such as the program's path, counts only in the server's own settings.
  for (const folder of [join(home, 'user', 'User'), join(home, 'user', 'Machine')]) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'settings.json'), JSON.stringify({ ...QUIET, ...own }, null, 2));
  }
}

function start(tools: Tools, home: string, extensions: string, trusted: boolean): ChildProcess {
  const args = [
    tools.vscode.main,
    ...['--server-data-dir', join(home, 'server'), '--user-data-dir', join(home, 'user')],
    ...['--extensions-dir', extensions, '--host', '127.0.0.1', '--port', '0'],
    ...['--accept-server-license-terms', '--without-connection-token', '--disable-telemetry'],
    ...(trusted ? ['--disable-workspace-trust'] : []),
  ];
  const env = environment(home);
  const stdio = ['ignore', 'pipe', 'pipe'] as const;
  return spawn(tools.vscode.node, args, { cwd: home, env, stdio: [...stdio], detached: true });
}

/** Nothing of the user's own: no key, no other codex-rpc, no Python environment. */
function environment(home: string): NodeJS.ProcessEnv {
  return { HOME: home, PATH: '/usr/local/bin:/usr/bin:/bin', LANG: 'C.UTF-8', SHELL: '/bin/sh' };
}

/** The port that it listens on, as it says itself; its output goes into `log`. */
async function listening(vscode: ChildProcess, log: string): Promise<number> {
  const said: string[] = [];
  return new Promise((resolve, reject) => {
    for (const stream of [vscode.stdout, vscode.stderr]) {
      if (stream === null) {
        continue;
      }
      createInterface({ input: stream }).on('line', (line) => {
        said.push(line);
        writeFileSync(log, `${line}\n`, { flag: 'a' });
        const port = /listening on (\d+)/.exec(line)?.[1];
        if (port !== undefined) {
          resolve(Number(port));
        }
      });
    }
    vscode.once('exit', () => {
      reject(new Error(`VS Code did not start: ${said.join(' ')}`));
    });
  });
}
