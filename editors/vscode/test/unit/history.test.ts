import assert from 'node:assert/strict';
import { test } from 'node:test';
import { History } from '../../src/history';
import type { ReadEntry } from '../../src/protocol';

function entries(...items: readonly Record<string, unknown>[]): ReadEntry[] {
  return items.map((item, index) => ({ index, item }));
}

function call(name: string, given: unknown, id = 'c'): Record<string, unknown> {
  return { type: 'function_call', name, call_id: id, arguments: JSON.stringify(given) };
}

function output(text: unknown, id = 'c'): Record<string, unknown> {
  return { type: 'function_call_output', call_id: id, output: text };
}

function user(...texts: readonly string[]): Record<string, unknown> {
  const content = texts.map((text) => ({ type: 'input_text', text }));
  return { type: 'message', role: 'user', content };
}

test('messages are what was said, with what was sent along', () => {
  const [said, answer] = new History('/p').cells(
    entries(
      {
        type: 'message',
        role: 'user',
        content: [
          { type: 'input_text', text: 'look' },
          { type: 'input_text', text: '<file path="a &amp; b.py">\nx\n</file>' },
          { type: 'input_text', text: '<selection path="/p/c.py" lines="3-7">\ny\n</selection>' },
          { type: 'input_image', image_url: 'data:image/png;base64,AA==' },
        ],
      },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Fine.' }] },
    ),
  );
  assert.ok(said?.kind === 'user');
  assert.equal(said.text, 'look');
  assert.deepEqual(
    said.attachments.map(({ kind, label, line }) => [kind, label, line]),
    [
      ['file', 'a & b.py', undefined],
      ['selection', 'c.py:3-7', 3],
      ['image', 'image', undefined],
    ],
  );
  assert.deepEqual(answer, { kind: 'message', id: 'h1', text: 'Fine.', done: true });
});

test('what no person has written is not shown as if one had', () => {
  const cells = new History('/p').cells(
    entries(user('<environment_context>\n</environment_context>'), {
      type: 'message',
      role: 'developer',
      content: [{ type: 'input_text', text: 'rules' }],
    }),
  );
  assert.deepEqual(cells, []);
});

test('commands have their outcome in each form in which it was recorded', () => {
  const forms = [
    JSON.stringify({ output: 'hi\n', metadata: { exit_code: 3, duration_seconds: 0.5 } }),
    'Exit code: 3\nWall time: 0.5 seconds\nOutput:\nhi\n',
    'Wall time: 0.5 seconds\nProcess exited with code 3\nOriginal token count: 4\nOutput:\nhi\n',
  ];
  for (const form of forms) {
    const [cell] = new History('/p').cells(
      entries(
        call('shell', { command: ['bash', '-lc', 'echo hi'], workdir: '/p/sub' }),
        output(form),
      ),
    );
    assert.deepEqual(cell, {
      kind: 'command',
      id: 'h0',
      command: 'echo hi',
      cwd: '/p/sub',
      output: 'hi\n',
      state: 'failed',
      exitCode: 3,
      seconds: 0.5,
    });
  }
});

test('a command that was rejected, or never came to its end, was not run', () => {
  const command = call('shell', { command: ['ls'] });
  const [rejected] = new History('/p').cells(
    entries(command, output('exec command rejected by user')),
  );
  const [open] = new History('/p').cells(entries(command));
  assert.ok(rejected?.kind === 'command' && rejected.state === 'skipped');
  assert.ok(open?.kind === 'command' && open.state === 'skipped');
});

test('an output finds its call in the page before', () => {
  const history = new History('/p');
  assert.deepEqual(history.cells([{ index: 1, item: output('hi') }]), []);
  const [cell] = history.cells([{ index: 0, item: call('shell', { command: ['ls'] }) }]);
  assert.ok(cell?.kind === 'command' && cell.output === 'hi' && cell.state === 'done');
});

test('patches are read in whichever way they were called for', () => {
  const lines = [
    '*** Begin Patch',
    '*** Update File: a.py',
    '*** Move to: b.py',
    '@@',
    '-one',
    '+two',
    '*** Add File: /p/new.py',
    '+x',
    '*** Delete File: old.py',
    '*** End Patch',
  ];
  const patch = lines.join('\n');
  const calls = [
    call('apply_patch', { input: patch }),
    call('shell', { command: ['apply_patch', patch] }),
    { type: 'custom_tool_call', name: 'apply_patch', call_id: 'c', input: patch },
  ];
  for (const item of calls) {
    const [cell] = new History('/p').cells(entries(item, output('Success.')));
    assert.ok(cell?.kind === 'patch' && cell.state === 'done');
    assert.deepEqual(cell.files, [
      { path: 'a.py', verb: 'move', to: 'b.py', added: 1, removed: 1, diff: '@@\n-one\n+two' },
      { path: 'new.py', verb: 'add', added: 1, removed: 0, diff: '+x' },
      { path: 'old.py', verb: 'delete', added: 0, removed: 0, diff: '' },
    ]);
  }
});

test('plans, thoughts and other tools are what they are', () => {
  const [plan, thought, tool] = new History('/p').cells(
    entries(
      call('update_plan', {
        plan: [
          { step: 'a', status: 'completed' },
          { step: 'b', status: '?' },
        ],
      }),
      {
        type: 'reasoning',
        summary: [{ type: 'summary_text', text: 'Hm.' }],
        encrypted_content: 'x',
      },
      call('tickets__find', { id: 1 }, 'd'),
      output([{ type: 'input_text', text: 'found' }], 'd'),
    ),
  );
  assert.ok(plan?.kind === 'plan');
  assert.deepEqual(
    plan.steps.map(({ status }) => status),
    ['completed', 'pending'],
  );
  assert.ok(thought?.kind === 'reasoning' && thought.text === 'Hm.');
  assert.ok(tool?.kind === 'tool' && tool.name === 'tickets__find' && tool.output === 'found');
});

test('items that are damaged or not known are left out, and nothing fails', () => {
  const odd = [
    {},
    { type: 'of a later version' },
    { type: 'message' },
    { type: 'message', role: 'user', content: 7 },
    { type: 'reasoning', summary: null },
    { type: 'function_call', name: 'shell', arguments: '{"command": [', call_id: 'c' },
    { type: 'function_call_output', output: null },
    { type: 'local_shell_call' },
  ];
  const cells = new History('/p').cells(entries(...odd));
  assert.deepEqual(
    cells.map(({ kind }) => kind),
    ['tool', 'tool'],
  );
});
