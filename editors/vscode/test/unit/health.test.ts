import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodexError, ConnectionLost, type ConnectionState } from '../../src/connection';
import { Emitter } from '../../src/emitter';
import { Health } from '../../src/health';
import { type Installer, NotInstalled } from '../../src/installer';
import { ErrorCode } from '../../src/protocol';
import { Reporter } from '../../src/reporter';
import { Lines } from './support/bench';
import { type Answers, FakeEditor } from './support/fakes';

function reporter(answers: Answers = []) {
  const editor = new FakeEditor(answers);
  const log = new Lines();
  return { made: new Reporter(editor.api, log), editor, log };
}

const remedies: readonly [string, Error, readonly string[]][] = [
  [
    'a missing key',
    new CodexError(ErrorCode.NotConfigured, 'no key'),
    ['Check the Setup', 'Settings'],
  ],
  ['a session elsewhere', new CodexError(ErrorCode.SessionInUse, 'held'), ['Show Sessions']],
  ['a server that is gone', new ConnectionLost('gone'), ['Start Again', 'Show Log']],
  ['a failed installation', new NotInstalled('no'), ['Show Command', 'Show Log']],
  ['anything else', new Error('oh'), ['Show Log']],
];
for (const [what, error, offered] of remedies) {
  test(`${what} is shown with what can be done`, async () => {
    const { made, editor, log } = reporter();
    await made.run('New Session', () => Promise.reject(error));
    assert.deepEqual(editor.asked, [{ text: `New Session: ${error.message}`, offered }]);
    assert.equal(log.problems.length, 1);
  });
}

test('the button does what it says', async () => {
  const { made, editor } = reporter(['Start Again']);
  await made.run('Stop', () => Promise.reject(new ConnectionLost('gone')));
  assert.deepEqual(editor.executed, [['codex-rpc.restartServer']]);
});

test('what the person has cancelled is no failure', async () => {
  const { made, editor } = reporter();
  await made.run('Install', () => Promise.reject(AbortSignal.abort().reason as Error));
  assert.deepEqual(editor.asked, []);
});

/** Health over a server that can be brought into any state. */
function health(answers: Answers) {
  const editor = new FakeEditor(answers);
  const states = new Emitter<ConnectionState>();
  const copied: string[] = [];
  const done: string[] = [];
  const server = {
    onState: states.on,
    problem: 'It has ended 6 times.',
    restart: () => {
      done.push('restart');
      return Promise.resolve();
    },
  };
  const installer = {
    command: () => 'pip install codex-rpc',
    install: () => {
      done.push('install');
      return Promise.resolve();
    },
  } as unknown as Installer;
  const api = {
    ...editor.api,
    env: { clipboard: { writeText: (text: string) => Promise.resolve(copied.push(text)) } },
    window: {
      ...editor.api.window,
      withProgress: (_: unknown, task: (...args: unknown[]) => Promise<void>) =>
        task({ report: () => undefined }, { onCancellationRequested: () => undefined }),
    },
  };
  const made = new Health(api as never, server, installer, new Reporter(editor.api, new Lines()));
  return { made, editor, states, copied, done };
}

test('a server that is given up is told, with what can be done', () => {
  const { editor, states } = health([]);
  states.fire('restarting');
  assert.equal(editor.asked.length, 0);
  states.fire('failed');
  assert.match(editor.asked[0]?.text ?? '', /has stopped. It has ended 6 times/);
  assert.deepEqual(editor.asked[0]?.offered, ['Start Again', 'Show Log']);
});

test('without a program one press installs it and starts the server', async () => {
  const { made, done } = health(['Install']);
  await made.offerInstall();
  assert.deepEqual(done, ['install', 'restart']);
});

test('who would rather type gets the command, to copy', async () => {
  const { made, done, copied } = health(['Show Command', 'Copy']);
  await made.offerInstall();
  assert.deepEqual(done, []);
  assert.deepEqual(copied, ['pip install codex-rpc']);
});

test('who has it already is led to the setting', async () => {
  const { made, editor } = health(['Set Path']);
  await made.offerInstall();
  assert.deepEqual(editor.executed, [['workbench.action.openSettings', 'codex-rpc.path']]);
});
