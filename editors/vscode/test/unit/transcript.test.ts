import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cell, Change } from '../../src/cells';
import { MAX_OUTPUT } from '../../src/cellStore';
import { Changes } from '../../src/changes';
import type { EventMsg } from '../../src/protocol';
import { Transcript } from '../../src/transcript';

/** A transcript, and a page that knows of it only by merged changes. */
class Told {
  private readonly changes = new Changes();
  private readonly page = new Map<string, Cell>();
  readonly transcript = new Transcript(
    (change) => this.changes.add(change),
    () => '/p',
  );
  told: Change[] = [];

  take(...events: readonly (EventMsg | object)[]): this {
    for (const msg of events) {
      this.transcript.take({ sessionId: 's', seq: 1, id: 't', msg: msg as EventMsg });
    }
    return this;
  }

  /** What the page shows, after it was told of everything. */
  get cells(): readonly Cell[] {
    const taken = this.changes.take();
    this.told.push(...taken);
    for (const change of taken) {
      this.apply(change);
    }
    const cells = [...this.page.values()];
    assert.deepEqual(cells, this.transcript.cells.all);
    return cells;
  }

  private apply(change: Change): void {
    if (change.type === 'put') {
      this.page.set(change.cell.id, change.cell);
    } else if (change.type === 'drop') {
      this.page.delete(change.id);
    } else {
      const cell = this.page.get(change.id);
      if (cell?.kind === 'command') {
        this.page.set(cell.id, { ...cell, output: cell.output + change.text });
      } else if (cell?.kind === 'message' || cell?.kind === 'reasoning') {
        this.page.set(cell.id, { ...cell, text: cell.text + change.text });
      }
    }
  }
}

const started = { type: 'task_started' };
const complete = { type: 'task_complete', last_agent_message: null };

function delta(text: string, item = 'm'): object {
  return { type: 'agent_message_delta', item_id: item, delta: text };
}

function message(text: string, item = 'm'): object {
  return { type: 'agent_message', item_id: item, message: text };
}

const asked = {
  type: 'exec_approval_request',
  call_id: 'c',
  command: ['bash', '-lc', 'make all'],
  cwd: '/p',
  sandbox: 'none',
  network: false,
};
const begun = { type: 'exec_command_begin', call_id: 'c', command: ['make'], cwd: '/p' };

function output(chunk: string): object {
  return { type: 'exec_command_output_delta', call_id: 'c', stream: 'stdout', chunk };
}

function ended(exit: number, stdout = '', stderr = ''): object {
  const duration = { secs: 1, nanos: 500_000_000 };
  return { type: 'exec_command_end', call_id: 'c', stdout, stderr, exit_code: exit, duration };
}

function states(cells: readonly Cell[]): string[] {
  return cells.map((cell) => ('state' in cell ? cell.state : cell.kind));
}

test('deltas become one message, which the complete text replaces', () => {
  const told = new Told().take(started, delta('Hel'), delta('lo'));
  assert.deepEqual(told.cells, [{ kind: 'message', id: 'c1', text: 'Hello', done: false }]);
  assert.deepEqual(told.take(delta('!')).cells[0], {
    kind: 'message',
    id: 'c1',
    text: 'Hello!',
    done: false,
  });
  told.take(message('Hello!'));
  assert.deepEqual(told.cells, [{ kind: 'message', id: 'c1', text: 'Hello!', done: true }]);
});

test('a message that is complete before the page has drawn its beginning is there once', () => {
  const told = new Told().take(started, delta('a'), delta('b'), message('ab'));
  assert.deepEqual(told.cells, [{ kind: 'message', id: 'c1', text: 'ab', done: true }]);
});

test('a page is told of many deltas at once', () => {
  const told = new Told().take(started, delta('a'));
  assert.equal(told.cells.length, 1);
  told.told = [];
  told.take(...Array.from({ length: 20_000 }, () => delta('b')));
  assert.equal(told.cells.length, 1);
  assert.deepEqual(told.told, [{ type: 'append', id: 'c1', text: 'b'.repeat(20_000) }]);
});

test('an item id that a later item has again is another message', () => {
  const told = new Told().take(started, message('one'), delta('two'), message('two'));
  assert.deepEqual(
    told.cells.map((cell) => cell.kind === 'message' && cell.text),
    ['one', 'two'],
  );
});

test('parts of a thought are cells of their own', () => {
  const told = new Told().take(
    started,
    { type: 'agent_reasoning_delta', item_id: 'r', part: 0, delta: '**A**' },
    { type: 'agent_reasoning', item_id: 'r', part: 0, text: '**A**' },
    { type: 'agent_reasoning_delta', item_id: 'r', part: 1, delta: '**B**' },
  );
  assert.deepEqual(
    told.cells.map((cell) => cell.kind === 'reasoning' && [cell.text, cell.done]),
    [
      ['**A**', true],
      ['**B**', false],
    ],
  );
});

test('a retry voids what was not complete, and says so in one place', () => {
  const failure = (attempt: number) => ({
    type: 'stream_error',
    message: 'The stream broke.',
    attempt,
    max_attempts: 5,
    retry_in_ms: 10,
  });
  const told = new Told().take(started, message('kept'), delta('half', 'n'), failure(1));
  assert.deepEqual(
    told.cells.map((cell) => ('text' in cell ? cell.text : '')),
    ['kept', 'The stream broke. Trying again (1 of 5) …'],
  );
  told.take(delta('ha', 'n'), failure(2), delta('whole', 'n'), message('whole', 'n'));
  assert.deepEqual(
    told.cells.map((cell) => ('text' in cell ? cell.text : '')),
    ['kept', 'The stream broke. Trying again (2 of 5) …', 'whole'],
  );
});

test('a command is asked about, runs and ends as one cell', () => {
  const told = new Told().take(started, asked);
  const [cell] = told.cells;
  assert.deepEqual(cell, {
    kind: 'command',
    id: 'c1',
    command: 'make all',
    cwd: '/p',
    output: '',
    state: 'asked',
  });
  told.transcript.stillAsked(['c']);
  assert.deepEqual(states(told.cells), ['asked']);
  told.transcript.stillAsked([]);
  assert.deepEqual(states(told.cells), ['answered']);
  told.take(begun, output('1\n'), output('2\n'));
  assert.deepEqual(states(told.cells), ['running']);
  told.take(ended(2, 'cut'));
  const [end] = told.cells;
  assert.ok(end?.kind === 'command');
  assert.deepEqual(
    [end.state, end.output, end.exitCode, end.seconds],
    ['failed', '1\n2\n', 2, 1.5],
  );
});

test('a command that is asked about once more, to run without sandbox, stays one cell', () => {
  const told = new Told().take(started, begun, { ...asked, call_id: 'c#2' });
  assert.deepEqual(states(told.cells), ['asked']);
  told.transcript.stillAsked(['c#2']);
  assert.deepEqual(states(told.cells), ['asked']);
  told.take(ended(0, 'ok'));
  assert.deepEqual(states(told.cells), ['done']);
});

test('what is rejected was not run: at once if it was answered here, else when that is known', () => {
  const here = new Told().take(started, asked);
  here.transcript.answered('c', false);
  assert.deepEqual(states(here.cells), ['skipped']);
  const elsewhere = new Told().take(started, asked);
  elsewhere.transcript.stillAsked([]);
  elsewhere.take({ type: 'token_count', input_tokens: 1, output_tokens: 1, total_tokens: 2 });
  assert.deepEqual(states(elsewhere.cells), ['skipped']);
  const never = new Told().take(started, asked, { type: 'turn_aborted', reason: 'abort' });
  assert.deepEqual(states(never.cells), ['skipped', 'notice']);
});

test('an output that was not told as it came is that of the end', () => {
  const told = new Told().take(started, begun, ended(0, 'out\n', 'err\n'));
  const [cell] = told.cells;
  assert.ok(cell?.kind === 'command' && cell.output === 'out\nerr\n');
});

test('of an endless output the last part is kept', () => {
  const told = new Told().take(started, begun);
  const chunk = `${'x'.repeat(9_999)}\n`;
  for (let count = 0; count < 100; count += 1) {
    told.take(output(chunk));
    assert.equal(told.cells.length, 1);
  }
  told.take(output('the end'));
  const [cell] = told.cells;
  assert.ok(cell?.kind === 'command');
  assert.ok(cell.output.length <= MAX_OUTPUT);
  assert.ok(cell.output.endsWith('the end'));
  assert.match(cell.output, /^\[… the output before this is not kept …\]\n/);
});

test('a turn that is stopped leaves nothing running and no half of a message', () => {
  const told = new Told().take(started, begun, delta('half'));
  told.take({ type: 'turn_aborted', reason: 'interrupted' });
  assert.deepEqual(states(told.cells), ['failed', 'notice']);
  // What still comes of it is of no matter.
  told.take(output('late'), ended(-1));
  assert.deepEqual(states(told.cells), ['failed', 'notice']);
});

test('a server that is gone ends what was on its way', () => {
  const told = new Told().take(started, begun, delta('half'));
  told.transcript.lost();
  assert.deepEqual(states(told.cells), ['failed']);
});

test('the error that ends a turn offers to try again, another one does not', () => {
  const told = new Told().take(started);
  told.transcript.take({
    sessionId: 's',
    seq: 2,
    id: 'another',
    msg: { type: 'error', message: 'That cannot be done now.' },
  });
  told.take({ type: 'error', message: 'The key was refused.' });
  assert.deepEqual(
    told.cells.map((cell) => cell.kind === 'notice' && [cell.text, cell.retry ?? false]),
    [
      ['That cannot be done now.', false],
      ['The key was refused.', true],
    ],
  );
});

test('a patch tells what is done to each file, and why it was not', () => {
  const changes = {
    '/p/a.py': { update: { unified_diff: '@@ -1 +1,2 @@\n-a\n+b\n+c\n', move_path: '/p/b.py' } },
    '/p/new.py': { add: { content: 'x\ny\n' } },
    '/elsewhere/old.py': 'delete',
  };
  const told = new Told().take(started, {
    type: 'apply_patch_approval_request',
    call_id: 'p',
    changes,
  });
  const [cell] = told.cells;
  assert.ok(cell?.kind === 'patch' && cell.state === 'asked');
  assert.deepEqual(
    cell.files.map(({ path, verb, to, added, removed }) => [path, verb, to, added, removed]),
    [
      ['a.py', 'move', 'b.py', 2, 1],
      ['new.py', 'add', undefined, 2, 0],
      ['/elsewhere/old.py', 'delete', undefined, 0, 0],
    ],
  );
  told.take(
    { type: 'patch_apply_begin', call_id: 'p', auto_approved: false, changes },
    {
      type: 'patch_apply_end',
      call_id: 'p',
      stdout: '',
      stderr: 'It has changed.\n',
      success: false,
    },
  );
  const [end] = told.cells;
  assert.ok(end?.kind === 'patch' && end.state === 'failed' && end.problem === 'It has changed.');
});

test('a patch that was edited shows what is written', () => {
  const add = (content: string) => ({ '/p/a': { add: { content } } });
  const told = new Told().take(
    started,
    { type: 'apply_patch_approval_request', call_id: 'p', changes: add('proposed\n') },
    { type: 'patch_apply_begin', call_id: 'p', auto_approved: false, changes: add('edited\n') },
  );
  const [cell] = told.cells;
  assert.ok(cell?.kind === 'patch' && cell.files[0]?.diff === '+edited');
});

test('a tool is called with what it is given, and gives back its text or its error', () => {
  const invocation = { server: 'tickets', tool: 'find', arguments: { id: 1 } };
  const duration = { secs: 0, nanos: 0 };
  const call = (id: string, result: object) => [
    { type: 'mcp_tool_call_begin', call_id: id, invocation },
    { type: 'mcp_tool_call_end', call_id: id, invocation, duration, result },
  ];
  const told = new Told().take(
    started,
    ...call('1', { Ok: { content: [{ type: 'text', text: 'found' }] } }),
    ...call('2', { Err: 'no such server' }),
    ...call('3', { Ok: { content: [{ type: 'image', data: 'x' }] } }),
  );
  assert.deepEqual(
    told.cells.map(
      (cell) => cell.kind === 'tool' && [cell.name, cell.state, cell.output.slice(0, 14)],
    ),
    [
      ['tickets.find', 'done', 'found'],
      ['tickets.find', 'failed', 'no such server'],
      ['tickets.find', 'done', '{\n  "content":'],
    ],
  );
});

test('the plan of a turn is one cell, that of the next another', () => {
  const plan = (status: string) => ({ type: 'plan_update', plan: [{ step: 'a', status }] });
  const told = new Told().take(started, plan('pending'), plan('completed'), complete);
  assert.equal(told.cells.length, 1);
  told.take(started, plan('pending'));
  assert.deepEqual(
    told.cells.map((cell) => cell.kind === 'plan' && cell.steps[0]?.status),
    ['completed', 'pending'],
  );
});

test('an input shows what was sent along', () => {
  const range = { start: { line: 1, character: 0 }, end: { line: 3, character: 0 } };
  const told = new Told().take({
    type: 'user_message',
    turn_id: 't',
    items: [
      { type: 'text', text: 'look' },
      { type: 'mention', path: 'src/a.py' },
      { type: 'selection', path: '/p/b.py', range, text: 'x' },
      { type: 'local_image', path: '/q/shot.png' },
      { type: 'image', image_url: 'data:image/png;base64,AA==' },
      { type: 'of a later version' },
    ],
  });
  const [cell] = told.cells;
  assert.ok(cell?.kind === 'user');
  assert.equal(cell.text, 'look');
  assert.deepEqual(
    cell.attachments.map(({ kind, label }) => `${kind} ${label}`),
    ['file src/a.py', 'selection b.py:2-3', 'image /q/shot.png', 'image image'],
  );
});

test('events that are not known change nothing', () => {
  const told = new Told().take({ type: 'of_a_later_version', what: 1 }, output('of nothing'));
  assert.deepEqual(told.cells, []);
});
