import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Locator, type Places } from '../../src/locator';

/** A machine with programs in the folders that are named. */
function machine(t: TestContext, ...withProgram: readonly string[]) {
  const root = mkdtempSync(join(tmpdir(), 'codex-locator-'));
  t.after(() => rmSync(root, { recursive: true }));
  for (const folder of withProgram) {
    mkdirSync(join(root, folder));
    writeFileSync(join(root, folder, 'codex-rpc'), '#!/bin/sh\n');
    chmodSync(join(root, folder, 'codex-rpc'), 0o755);
  }
  const find = (more: Partial<Places> = {}) =>
    new Locator(
      {
        setting: () => '',
        pythonFolders: () => Promise.resolve([join(root, 'python')]),
        searchPath: () => [join(root, 'nothing'), join(root, 'path')].join(delimiter),
        privateFolder: join(root, 'private'),
        ...more,
      },
      'linux',
    ).find();
  return { root, find };
}

test('a setting comes before everything, and is believed', async (t) => {
  const { find } = machine(t, 'python', 'path', 'private');
  const found = await find({ setting: () => '/opt/codex-rpc' });
  assert.deepEqual(found, { path: '/opt/codex-rpc', origin: 'setting' });
  const atHome = await find({ setting: () => '~/bin/codex-rpc' });
  assert.equal(atHome?.path, join(homedir(), 'bin/codex-rpc'));
});

test('the Python environment comes before the PATH, that before our own', async (t) => {
  const first = machine(t, 'python', 'path', 'private');
  assert.equal((await first.find())?.origin, 'python');
  const second = machine(t, 'path', 'private');
  assert.deepEqual(await second.find(), {
    path: join(second.root, 'path', 'codex-rpc'),
    origin: 'path',
  });
  const third = machine(t, 'private');
  assert.equal((await third.find())?.origin, 'private');
});

test('where there is none, none is found', async (t) => {
  assert.equal(await machine(t).find(), undefined);
});

test('a file that cannot be run, or a folder of that name, is no program', async (t) => {
  const { root, find } = machine(t, 'private');
  mkdirSync(join(root, 'path', 'codex-rpc'), { recursive: true });
  mkdirSync(join(root, 'python'));
  writeFileSync(join(root, 'python', 'codex-rpc'), '', { mode: 0o644 });
  assert.equal((await find())?.origin, 'private');
});
