import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Choices } from '../../src/choices';
import { Models } from '../../src/models';
import type { Op } from '../../src/protocol';
import type { Session, SessionInfo } from '../../src/session';
import { Lines } from './support/bench';
import { type Answers, FakeEditor } from './support/fakes';

const INFO = {
  model: 'gpt-5',
  modelProvider: 'openai',
  approvalPolicy: 'on-request',
  sandboxPolicy: { mode: 'workspace-write', writable_roots: ['/data'], network_access: false },
} as unknown as SessionInfo;

const SAVED = [
  { model: 'gpt-5', modelProvider: 'openai' },
  { model: 'qwen', modelProvider: 'ollama' },
  { model: null, modelProvider: null },
];

/** The choices of a person who answers so, with a session or without. */
function choices(answers: Answers, around: { withSession?: boolean; fails?: boolean } = {}) {
  const editor = new FakeEditor(answers, { approvalPolicy: 'never' });
  const submitted: Op[] = [];
  const submit = (op: Op): Promise<string> => {
    submitted.push(op);
    return Promise.resolve('1');
  };
  const session = { info: INFO, status: 'idle', submit } as unknown as Session;
  const sessions = { current: (around.withSession ?? true) ? session : undefined };
  const request = () =>
    around.fails === true
      ? Promise.reject(new Error('gone'))
      : Promise.resolve({ sessions: SAVED });
  const connection = { request: request as never };
  const log = new Lines();
  const models = new Models(editor.api, connection, () => ['openai', 'ollama'], log);
  return { made: new Choices(editor.api, sessions, models), editor, submitted, log };
}

test('a policy that is chosen is the session’s', async () => {
  const { made, submitted, editor } = choices(['never']);
  await made.approvalPolicy();
  assert.deepEqual(submitted, [{ type: 'override_turn_context', approval_policy: 'never' }]);
  assert.deepEqual(editor.updated, []);
});

test('without a session it is that of new ones, in the settings', async () => {
  const { made, submitted, editor } = choices(['untrusted'], { withSession: false });
  await made.approvalPolicy();
  assert.deepEqual(submitted, []);
  assert.deepEqual(editor.updated, [['approvalPolicy', 'untrusted', 1]]);
});

test('who chooses nothing changes nothing', async () => {
  const { made, submitted, editor } = choices([undefined]);
  await made.sandbox();
  assert.deepEqual([submitted, editor.updated], [[], []]);
});

test('another sandbox keeps the folders that may be written', async () => {
  const { made, submitted } = choices(['workspace-write, network']);
  await made.sandbox();
  const sandbox_policy = {
    mode: 'workspace-write',
    network_access: true,
    writable_roots: ['/data'],
  };
  assert.deepEqual(submitted, [{ type: 'override_turn_context', sandbox_policy }]);
});

test('running without a sandbox has to be meant', async () => {
  const no = choices(['danger-full-access', undefined]);
  await no.made.sandbox();
  assert.deepEqual(no.submitted, []);
  const yes = choices(['danger-full-access', 'Run Without']);
  await yes.made.sandbox();
  assert.equal(yes.submitted.length, 1);
});

test('models of earlier sessions are offered, each once', async () => {
  const { made, editor, submitted } = choices([undefined]);
  await made.model();
  assert.deepEqual(editor.asked[0]?.offered, ['gpt-5', 'qwen', 'Another model…']);
  assert.deepEqual(submitted, []);
});

test('a model of another provider reconfigures the session', async () => {
  const { made, submitted } = choices(['qwen']);
  await made.model();
  assert.deepEqual(submitted, [
    { type: 'configure_session', model: 'qwen', model_provider: 'ollama' },
  ]);
});

test('a model can be named that was never used', async () => {
  const { made, submitted } = choices(['Another model…', 'openai', ' o9 ']);
  await made.model();
  assert.deepEqual(submitted, [{ type: 'override_turn_context', model: 'o9' }]);
});

test('without a list of sessions the model in use can still be left', async () => {
  const { made, submitted, log } = choices(['Another model…', 'openai', 'o9'], { fails: true });
  await made.model();
  assert.equal(submitted.length, 1);
  assert.match(log.problems.join(), /gone/);
});
