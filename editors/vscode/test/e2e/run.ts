// Runs the end-to-end scenarios, or says why they are skipped:
//
//     npm run test:e2e                  all of them
//     npm run test:e2e -- sessions      the files whose names have that
//     npm run test:e2e -- --check       only what would be skipped, and why
//     npm run test:e2e -- --pictures    instead: take the pictures of the README
//
// With CODEX_E2E=required it is an error if they cannot be run.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { cached, cacheFolder } from './support/cache';
import { installExtension } from './support/machine';
import { reasons, tools } from './support/requirements';

const PACKAGE = join(__dirname, '../..');

async function main(wanted: readonly string[]): Promise<number> {
  if (wanted.includes('--check')) {
    return check();
  }
  const found = await tools();
  if ('reason' in found) {
    return skipped(found.reason);
  }
  const work = mkdtempSync(join(tmpdir(), 'codex-e2e-run-'));
  try {
    const vsix = join(work, 'codex-rpc.vsix');
    const command = ['run', 'package', '--', '--out', vsix];
    const packed = spawnSync('npm', command, { cwd: PACKAGE, encoding: 'utf8' });
    if (packed.status !== 0) {
      console.error(packed.stdout + packed.stderr);
      return 1;
    }
    const extensions = join(work, 'extensions');
    await installExtension(found, vsix, extensions);
    const env = {
      ...process.env,
      CODEX_E2E_TOOLS: JSON.stringify(found),
      CODEX_E2E_EXTENSIONS: extensions,
    };
    const names = readdirSync(__dirname).filter((name) => name.endsWith('.test.ts'));
    const files = wanted.includes('--pictures')
      ? ['pictures.ts']
      : names.filter((name) => wanted.every((part) => name.includes(part)));
    const options = ['--test-concurrency=1', '--test-reporter=spec'];
    const paths = files.map((name) => join(__dirname, name));
    const run = (path: string): boolean => {
      const args = ['--import', 'tsx', '--test', ...options, path];
      return (
        spawnSync(process.execPath, args, { cwd: PACKAGE, env, stdio: 'inherit' }).status === 0
      );
    };
    const failed = paths.filter((path) => !run(path)).filter((path) => !again(path, run));
    return failed.length === 0 ? 0 : 1;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** A browser on a busy machine sometimes loses a click: what has failed is run once more, and that is said. */
function again(path: string, run: (path: string) => boolean): boolean {
  console.log(`FAILED: ${basename(path)}; once more, since a real editor was in between:`);
  const passed = run(path);
  console.log(`${basename(path)} has ${passed ? 'passed the second time' : 'failed twice'}.`);
  return passed;
}

/** Say what is missing, and what a run would still have to install. */
async function check(): Promise<number> {
  const missing = await reasons();
  if (missing.length > 0) {
    return skipped(missing.join('; '));
  }
  const vscode = cached() === undefined ? 'will be installed into' : 'is in';
  console.log(`Nothing is skipped: all that the end-to-end tests need is here.`);
  console.log(`VS Code ${vscode} ${cacheFolder()}.`);
  return 0;
}

function skipped(reason: string): number {
  console.log(`SKIPPED: the end-to-end tests in VS Code, because ${reason}.`);
  return process.env['CODEX_E2E'] === 'required' ? 1 : 0;
}

void main(process.argv.slice(2)).then((status) => {
  process.exitCode = status;
});
