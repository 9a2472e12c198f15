// Before anything runs: trust, the first time, which folder, which Python.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { chosenFolder, likelyFolder } from '../../src/folders';
import { PythonEnvironment } from '../../src/pythonEnvironment';
import { whenTrusted } from '../../src/trust';
import { greetOnce } from '../../src/welcome';
import { Lines, Memento } from './support/bench';
import { FakeEditor } from './support/fakes';

test('in a workspace that is not trusted nothing begins until it is', () => {
  let grant: () => void = () => undefined;
  let begun = 0;
  const provided: string[] = [];
  const { api, executed } = new FakeEditor();
  const ui = {
    commands: api.commands,
    workspace: {
      isTrusted: false,
      onDidGrantWorkspaceTrust: (listener: () => void) => {
        grant = listener;
        return { dispose: () => undefined };
      },
    },
    window: {
      registerTreeDataProvider: (view: string) => {
        provided.push(view);
        return { dispose: () => undefined };
      },
    },
  };
  whenTrusted(ui, { subscriptions: [] }, () => (begun += 1));
  assert.equal(begun, 0);
  assert.deepEqual(provided, ['codex-rpc.untrusted']);
  assert.deepEqual(executed, [['setContext', 'codex-rpc.restricted', true]]);
  grant();
  assert.equal(begun, 1);
  assert.deepEqual(executed[1], ['setContext', 'codex-rpc.restricted', false]);
});

test('in a trusted workspace it begins at once', () => {
  let begun = 0;
  const ui = { workspace: { isTrusted: true }, window: {} };
  whenTrusted(ui as never, { subscriptions: [] }, () => (begun += 1));
  assert.equal(begun, 1);
});

test('the walkthrough opens the first time, and then never again', async () => {
  const editor = new FakeEditor();
  const memory = new Memento();
  await greetOnce(editor.api, memory);
  await greetOnce(editor.api, memory);
  assert.deepEqual(editor.executed, [['codex-rpc.openWalkthrough']]);
});

test('without a folder a session works in the home, with one in it', async () => {
  assert.equal(await chosenFolder(new FakeEditor().api, '/home/me'), '/home/me');
  const one = new FakeEditor([], {}, ['/a']);
  assert.equal(await chosenFolder(one.api, '/home/me'), '/a');
  assert.equal(one.asked.length, 0);
});

test('with several folders the person chooses, and may choose none', async () => {
  const two = new FakeEditor(['/b', undefined], {}, ['/a', '/b']);
  assert.equal(await chosenFolder(two.api, '/home/me'), '/b');
  assert.equal(await chosenFolder(two.api, '/home/me'), undefined);
});

test('the folder of the file in front is the likely one, and offered first', async () => {
  const { api, asked } = new FakeEditor([undefined], {}, ['/a', '/b']);
  const ui = {
    window: { ...api.window, activeTextEditor: { document: { uri: {} } } },
    workspace: { ...api.workspace, getWorkspaceFolder: () => ({ uri: { fsPath: '/b' } }) },
  } as never;
  assert.equal(likelyFolder(ui, '/home/me'), '/b');
  await chosenFolder(ui, '/home/me');
  assert.deepEqual(asked[0]?.offered, ['/b', '/a']);
});

/** The environment of a window with a folder, whose Python extension is `extension`. */
function python(extension: unknown, env: NodeJS.ProcessEnv = {}) {
  const log = new Lines();
  const editor = {
    extensions: { getExtension: () => extension },
    workspace: { workspaceFolders: [{ uri: { fsPath: '/project' } }] },
  };
  return { made: new PythonEnvironment(editor as never, env, log, 'linux'), log };
}

test('the interpreter that was chosen comes first, then what is activated, then the folder’s', async () => {
  const executable = { uri: { fsPath: '/envs/one/bin/python' } };
  const environments = {
    getActiveEnvironmentPath: () => ({ path: '/envs/one' }),
    resolveEnvironment: () => Promise.resolve({ executable }),
  };
  const { made } = python({ isActive: true, exports: { environments } }, { VIRTUAL_ENV: '/two' });
  assert.deepEqual(await made.folders(), [
    '/envs/one/bin',
    join('/envs/one/bin', 'bin'),
    '/two/bin',
    '/project/.venv/bin',
    '/project/venv/bin',
  ]);
});

test('without the Python extension, or with one that fails, the rest is still looked through', async () => {
  const without = python(undefined);
  assert.deepEqual(await without.made.folders(), ['/project/.venv/bin', '/project/venv/bin']);
  const failing = python({ isActive: false, activate: () => Promise.reject(new Error('broken')) });
  assert.equal((await failing.made.folders()).length, 2);
  assert.match(failing.log.problems.join(), /broken/);
});
