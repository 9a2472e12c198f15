import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { cardOf } from '../../src/cards';
import { itemsOf } from '../../src/cellParts';
import type { Cell } from '../../src/cells';
import { pageHtml } from '../../src/chatPage';
import { copyOf } from '../../src/copying';
import { excerptOf, MAX_SHOWN } from '../../src/excerpt';
import { scoreOf } from '../../src/fileSearch';
import { targetOf } from '../../src/links';
import { PageFeed } from '../../src/pageFeed';
import { fromPage, type ToPage } from '../../src/webviewProtocol';

function command(output: string): Cell {
  const cell = { kind: 'command', id: 'c', command: 'make', cwd: '/p', state: 'done' } as const;
  return { ...cell, output };
}

test('a long output is shown by its beginning and its end, cut at lines', () => {
  const lines = Array.from({ length: 5_000 }, (_, at) => `line ${at}\n`);
  const cut = excerptOf(command(lines.join('')));
  assert.ok(cut.kind === 'command' && cut.omitted !== undefined);
  const { at, lines: left } = cut.omitted;
  assert.ok(cut.output.length <= MAX_SHOWN);
  const shown = cut.output.split('\n').length - 1;
  assert.equal(shown + left, 5_000);
  assert.match(cut.output.slice(0, at), /^line 0\n[^]*\n$/);
  assert.match(cut.output.slice(at), /^line \d+\n[^]*line 4999\n$/);
});

test('an output without lines is cut as well, and a short one is not', () => {
  const cut = excerptOf(command('x'.repeat(100_000)));
  assert.ok(cut.kind === 'command' && cut.output.length <= MAX_SHOWN && cut.omitted?.lines === 1);
  const short = command('short');
  assert.equal(excerptOf(short), short);
});

test('links lead to pages of the web and to files, and nowhere else', () => {
  const file = (path: string, line = 1) => ({ kind: 'file', path, line });
  const cases: readonly [string, unknown][] = [
    ['https://example.org/a?b#c', { kind: 'web', url: 'https://example.org/a?b#c' }],
    ['src/a.py', file('/p/src/a.py')],
    ['src/a.py:12', file('/p/src/a.py', 12)],
    ['src/a.py:12:3', file('/p/src/a.py', 12)],
    ['src/a.py:12-20', file('/p/src/a.py', 12)],
    ['/q/a.py#L7', file('/q/a.py', 7)],
    ['/q/a.py#L7-L9', file('/q/a.py', 7)],
    ['file:///q/a%20b.py', file('/q/a b.py')],
    ['50%.py', file('/p/50%.py')],
    ['command:workbench.action.quit', undefined],
    ['vscode://x.y/z', undefined],
    ['javascript:alert(1)', undefined],
    ['', undefined],
  ];
  for (const [href, target] of cases) {
    assert.deepEqual(targetOf(href, '/p'), target, href);
  }
});

test('a file is found best by its name, then by its path, then by its letters', () => {
  const names = ['docs/chat.md', 'src/chatView.ts', 'src/chat/x.ts', 'c/h/a/t.ts', 'src/other.ts'];
  const found = names
    .map((name) => ({ name, score: scoreOf(name, 'chat') }))
    .filter(({ score }) => score !== undefined)
    .sort((a, b) => (a.score ?? 0) - (b.score ?? 0));
  assert.deepEqual(
    found.map(({ name }) => name),
    ['docs/chat.md', 'src/chatView.ts', 'src/chat/x.ts', 'c/h/a/t.ts'],
  );
});

test('only what the page can mean is taken from it', () => {
  assert.deepEqual(fromPage({ type: 'send', text: 'hi' }), { type: 'send', text: 'hi' });
  assert.deepEqual(fromPage({ type: 'ready' }), { type: 'ready' });
  for (const wrong of [
    undefined,
    'send',
    {},
    { type: 'send' },
    { type: 'send', text: 7 },
    { type: 'unheard of' },
    { type: 'toString' },
    { type: 'openFile', path: '/p', line: '1' },
  ]) {
    assert.equal(fromPage(wrong), undefined);
  }
});

test('the page may load its own script and style alone', () => {
  const parts = { script: 'https://r/w.js', style: 'https://r/c.css', source: 'https://r' };
  const html = pageHtml(parts);
  assert.match(
    html,
    /default-src 'none'; img-src data:; style-src https:\/\/r; script-src 'nonce-/,
  );
  const nonce = /<script nonce="([^"]+)"/.exec(html)?.[1] ?? '';
  assert.ok(html.includes(`'nonce-${nonce}'`) && nonce.length >= 20);
  assert.notEqual(pageHtml(parts), html);
});

test('a card says all that is to be weighed, and makes hidden characters visible', () => {
  const card = cardOf(
    {
      type: 'exec_approval_request',
      call_id: 'c',
      command: ['bash', '-lc', 'rm -r a\u202Eb\nls'],
      cwd: '/p',
      sandbox: 'workspace-write',
      network: true,
      reason: 'it writes',
    },
    '/p',
  );
  assert.equal(card.code, 'rm -r a\\u{202e}b\nls');
  assert.deepEqual(card.facts, [
    { name: 'In', value: '/p' },
    { name: 'Runs', value: 'where it can write in the workspace, with network' },
    { name: 'Why', value: 'it writes' },
  ]);
  assert.deepEqual(
    card.answers.map(({ answer }) => answer),
    ['approved', 'approved_for_session', 'denied', 'abort'],
  );
});

test('a patch can be reviewed before it is accepted', () => {
  const changes = { '/p/a.py': { add: { content: 'x\n' } } };
  const card = cardOf({ type: 'apply_patch_approval_request', call_id: 'p', changes }, '/p');
  assert.equal(card.title, 'May Codex add a.py?');
  assert.deepEqual(card.files, [{ label: 'a.py', added: 1, removed: 0 }]);
  assert.deepEqual(
    card.answers.map(({ answer }) => answer),
    ['review', 'approved', 'denied', 'abort'],
  );
});

test('cells are copied as what one would want to have', () => {
  assert.equal(copyOf(command('hi\n')), '$ make\nhi\n');
  assert.equal(copyOf({ kind: 'message', id: 'm', text: '**x**', done: true }), '**x**');
  const steps = [
    { step: 'a', status: 'completed' } as const,
    { step: 'b', status: 'pending' } as const,
  ];
  assert.equal(copyOf({ kind: 'plan', id: 'p', steps }), '- [x] a\n- [ ] b\n');
  const file = { path: 'a', verb: 'edit', added: 1, removed: 0, diff: '+x\n' } as const;
  assert.equal(
    copyOf({ kind: 'patch', id: 'p', state: 'done', files: [file] }),
    '--- a\n+++ a\n+x\n',
  );
  assert.equal(copyOf(undefined), '');
});

test('an input that is sent again has all that it had', () => {
  const again = itemsOf({
    kind: 'user',
    id: 'u',
    text: 'look',
    attachments: [
      { kind: 'file', label: 'a', path: 'a' },
      { kind: 'selection', label: 'b:3-7', path: 'b', line: 3, lastLine: 7 },
      { kind: 'image', label: 'image', url: 'data:image/png;base64,AA==' },
      { kind: 'image', label: 'c.png', path: 'c.png' },
    ],
  });
  const range = { start: { line: 2, character: 0 }, end: { line: 7, character: 0 } };
  assert.deepEqual(again, [
    { type: 'text', text: 'look' },
    { type: 'mention', path: 'a' },
    { type: 'mention', path: 'b', range },
    { type: 'image', image_url: 'data:image/png;base64,AA==' },
    { type: 'local_image', path: 'c.png' },
  ]);
});

test('a page that is slow to draw gets fewer and larger batches', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const posted: ToPage[] = [];
    let looked = 0;
    const feed = new PageFeed(
      (message) => posted.push(message),
      () => (looked += 1),
    );
    const append = (text: string) => feed.add({ type: 'append', id: 'm', text });
    append('before there is a page');
    feed.start([{ type: 'focus' }]);
    append('a');
    append('b');
    mock.timers.tick(16);
    append('c');
    mock.timers.tick(16);
    append('d');
    mock.timers.tick(16);
    assert.deepEqual(posted, [
      { type: 'focus' },
      { type: 'changes', changes: [{ type: 'append', id: 'm', text: 'ab' }] },
    ]);
    assert.ok(looked >= 2);
    feed.applied();
    mock.timers.tick(16);
    assert.deepEqual(posted.at(-1), {
      type: 'changes',
      changes: [{ type: 'append', id: 'm', text: 'cd' }],
    });
    append('e');
    feed.stop();
    mock.timers.tick(100);
    assert.equal(posted.length, 3);
  } finally {
    mock.timers.reset();
  }
});
