import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionInfo } from '../../src/session';
import { faceOf, sandboxName, type Shown } from '../../src/statusBar';

const session = (status: Shown['status'], more: Partial<Shown> = {}): Shown => ({
  info: {
    model: 'gpt-5',
    modelProvider: 'openai',
    approvalPolicy: 'on-request',
    sandboxPolicy: { mode: 'workspace-write', network_access: true },
    sandbox: 'bubblewrap',
    cwd: '/home/me/project',
  } as SessionInfo,
  status,
  tokens: undefined,
  contextWindow: undefined,
  ...more,
});

test('it says the model and when the person is asked, and more when pointed at', () => {
  const tokens = { total_tokens: 12_345 } as Shown['tokens'];
  const one = session('idle', { tokens, contextWindow: 200_000 });
  const face = faceOf('running', undefined, one, [one]);
  assert.equal(face.text, '$(comment-discussion) gpt-5 · on-request');
  assert.match(face.tooltip, /workspace-write, network \(held by bubblewrap\)/);
  assert.match(face.tooltip, /12,345 of 200,000/);
});

test('it turns while any session is at work', () => {
  const [one, two] = [session('idle'), session('running')];
  const face = faceOf('running', undefined, one, [one, two]);
  assert.match(face.text, /loading~spin/);
  assert.match(face.tooltip, /At work in 1 more/);
});

test('a question stands out, and leads to the session that asks', () => {
  const [one, two] = [session('idle'), session('waiting')];
  const there = faceOf('running', undefined, two, [one, two]);
  assert.equal(there.background, 'warning');
  assert.equal(there.command, 'codex-rpc.chat.focus');
  const elsewhere = faceOf('running', undefined, one, [one, two]);
  assert.equal(elsewhere.command, 'codex-rpc.switchSession');
});

test('without a server it says why, and leads to what can be done', () => {
  const missing = faceOf('missing', undefined, undefined, []);
  assert.equal(missing.command, 'codex-rpc.setup');
  const failed = faceOf('failed', 'It has ended 6 times.', session('offline'), []);
  assert.equal(failed.background, 'error');
  assert.match(failed.tooltip, /6 times/);
  assert.equal(failed.command, 'codex-rpc.restartServer');
});

test('a closed session is shown as none', () => {
  const face = faceOf('running', undefined, session('closed'), []);
  assert.equal(face.text, '$(comment-discussion) Codex');
});

test('a sandbox is named as it is configured', () => {
  assert.equal(sandboxName('read-only'), 'read-only');
  assert.equal(sandboxName({ mode: 'workspace-write', network_access: false }), 'workspace-write');
});
