import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Settings } from '../../src/settings';
import { FakeEditor } from './support/fakes';

const settings = (values: Readonly<Record<string, unknown>>) =>
  new Settings(new FakeEditor([], values).api.workspace);

test('what is not set is left to config.toml', () => {
  assert.deepEqual(settings({}).configureParams('/x'), { cwd: '/x' });
});

test('what is set is said for new sessions', () => {
  const params = settings({
    model: ' o3 ',
    modelProvider: 'openai',
    profile: 'work',
    approvalPolicy: 'untrusted',
    sandboxMode: 'read-only',
    reasoningEffort: 'low',
  }).configureParams('/x');
  assert.deepEqual(params, {
    cwd: '/x',
    model: 'o3',
    modelProvider: 'openai',
    profile: 'work',
    approvalPolicy: 'untrusted',
    sandboxPolicy: { mode: 'read-only' },
    modelReasoningEffort: 'low',
  });
});

test('a session that is continued keeps its own model and policies', () => {
  const params = settings({ model: 'o3', approvalPolicy: 'never', reviewPatches: true });
  assert.deepEqual(params.resumeParams(), { config: { patch_review: true } });
});

test('a key of the configuration is stronger than the setting that means the same', () => {
  const config = { patch_review: false };
  assert.deepEqual(settings({ reviewPatches: true, config }).resumeParams(), { config });
});

test('values of a wrong type are as if they were not there', () => {
  const wrong = settings({ model: 3, config: 'x', environment: null, reviewPatches: 'yes' });
  assert.deepEqual(wrong.configureParams('/x'), { cwd: '/x' });
  assert.deepEqual(wrong.environment, {});
});

test('variables are texts', () => {
  assert.deepEqual(settings({ environment: { A: 1, B: 'b' } }).environment, { A: '1', B: 'b' });
});
