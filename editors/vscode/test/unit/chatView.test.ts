import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { WebviewView } from 'vscode';
import { ChatView } from '../../src/chatView';
import { CodexError } from '../../src/connection';
import type { Editor } from '../../src/editor';
import { Emitter } from '../../src/emitter';
import type { Parts } from '../../src/parts';
import type { SessionEvent } from '../../src/protocol';
import { Settings } from '../../src/settings';
import type { ToPage, ViewState } from '../../src/webviewProtocol';
import { Desk, opened, settled } from './support/desk';
import { FakeUri } from './support/editors';

/** A window with a chat view, and a page in it that says what a test lets it say. */
class Window {
  readonly told: ToPage[] = [];
  readonly opened: string[] = [];
  readonly shown: string[] = [];
  readonly executed: string[] = [];
  readonly copied: string[] = [];
  readonly reviewed: string[] = [];
  readonly selections = new Emitter<undefined>();
  readonly commands = new Map<string, (...args: unknown[]) => unknown>();
  readonly messages = new Emitter<unknown>();
  readonly visibility = new Emitter<undefined>();
  readonly view: ChatView;
  files: readonly string[] = [];
  active: unknown;
  html = '';
  visible = true;

  constructor(readonly desk: Desk) {
    const editor = this.editor();
    const settings = new Settings(editor.workspace);
    const context = { extensionUri: FakeUri.file('/ext') } as unknown as Parts['context'];
    const { sessions, log } = desk;
    this.view = new ChatView(
      { editor, context, connection: desk, sessions, settings, log },
      {
        start: () => Promise.resolve(),
        reviews: {
          open: (_, id) => Promise.resolve(void this.reviewed.push(`open ${id}`)),
          approve: (_, id) => Promise.resolve(void this.reviewed.push(`approve ${id}`)),
        },
      },
    );
  }

  /** The view is opened, and its page is there. */
  async show(): Promise<void> {
    const window = {
      get visible(): boolean {
        return shown();
      },
      onDidChangeVisibility: this.visibility.on,
      onDidDispose: () => undefined,
      webview: this.webview(),
    };
    const shown = (): boolean => this.visible;
    this.view.resolveWebviewView(window as unknown as WebviewView);
    await this.say({ type: 'ready' });
  }

  async say(message: unknown): Promise<void> {
    this.messages.fire(message);
    await settled();
  }

  of<T extends ToPage['type']>(type: T): Extract<ToPage, { type: T }>[] {
    return this.told.filter((each): each is Extract<ToPage, { type: T }> => each.type === type);
  }

  get state(): ViewState | undefined {
    return this.of('state').at(-1)?.state;
  }

  private webview(): unknown {
    const window = {
      options: {},
      cspSource: 'https://webview',
      onDidReceiveMessage: this.messages.on,
      asWebviewUri: (uri: FakeUri) => uri,
      postMessage: (message: ToPage) => this.told.push(structuredClone(message)),
    };
    const set = (html: string): void => {
      this.html = html;
    };
    return Object.defineProperty(window, 'html', { set });
  }

  private editor(): Editor {
    const nothing = { dispose: () => undefined };
    const active = (): unknown => this.active;
    return {
      Uri: Object.assign(FakeUri, {
        joinPath: (base: FakeUri, ...more: string[]) =>
          FakeUri.file([base.path, ...more].join('/')),
      }),
      Position: FakeUri,
      Range: FakeUri,
      env: {
        clipboard: { writeText: (text: string) => Promise.resolve(void this.copied.push(text)) },
        openExternal: (uri: FakeUri) => Promise.resolve(void this.opened.push(uri.toString())),
      },
      commands: {
        executeCommand: (name: string) => Promise.resolve(void this.executed.push(name)),
        registerCommand: (name: string, run: (...args: unknown[]) => unknown) => {
          this.commands.set(name, run);
          return nothing;
        },
      },
      window: {
        get activeTextEditor() {
          return active();
        },
        onDidChangeActiveTextEditor: () => nothing,
        onDidChangeTextEditorSelection: this.selections.on,
        registerWebviewViewProvider: () => nothing,
        showErrorMessage: (text: string) => this.shown.push(text),
        showWarningMessage: (text: string) => this.shown.push(text),
        showInformationMessage: (text: string) => this.shown.push(text),
        showTextDocument: (uri: FakeUri) => Promise.resolve(void this.opened.push(uri.path)),
      },
      workspace: {
        getConfiguration: () => ({ get: () => undefined }),
        workspaceFolders: [{ uri: FakeUri.file('/home/me/project') }],
        findFiles: () => Promise.resolve(this.files.map((path) => FakeUri.file(path))),
        asRelativePath: (uri: FakeUri) => uri.path.replace('/home/me/project/', ''),
      },
    } as unknown as Editor;
  }
}

function selection(path: string, from: number, to: number, text: string): unknown {
  return {
    document: { uri: FakeUri.file(path), getText: () => text },
    selection: {
      isEmpty: text === '',
      start: { line: from, character: 0 },
      end: { line: to, character: 3 },
    },
  };
}

const asking: SessionEvent['msg'] = {
  type: 'exec_approval_request',
  call_id: 'c1',
  command: ['make'],
  cwd: '/home/me/project',
  sandbox: 'none',
  network: false,
};
const patching: SessionEvent['msg'] = {
  type: 'apply_patch_approval_request',
  call_id: 'p1',
  changes: { '/home/me/project/a': 'delete' },
};

/** Longer than a batch waits. */
async function batch(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 40));
}

let desk: Desk;
let window: Window;

beforeEach(async () => {
  desk = new Desk();
  window = new Window(desk);
  await window.show();
});

test('a page that is ready is told everything, with and without a session', async () => {
  assert.equal(window.of('reset').at(-1)?.session, '');
  assert.deepEqual([window.state?.status, window.state?.enabled], ['none', true]);
  const session = await desk.open();
  desk.tell(session, { type: 'agent_message', item_id: 'm', message: 'Hello.' });
  window.told.length = 0;
  await window.say({ type: 'ready' });
  const [reset] = window.of('reset');
  assert.equal(reset?.session, session.id);
  assert.deepEqual(reset.cells, [{ kind: 'message', id: 'c1', text: 'Hello.', done: true }]);
  assert.equal(window.state?.model, 'gpt-5');
  assert.match(window.html, /script-src 'nonce-/);
});

test('what happens while the view is hidden is there when it is shown again', async () => {
  const session = await desk.open();
  window.visible = false;
  window.visibility.fire(undefined);
  window.told.length = 0;
  desk.tell(session, { type: 'agent_message', item_id: 'm', message: 'Unseen.' });
  await batch();
  assert.deepEqual(window.of('changes'), []);
  window.visible = true;
  await window.say({ type: 'ready' });
  assert.equal(window.of('reset').at(-1)?.cells.length, 1);
});

test('the first message starts a session', async () => {
  desk.answers.set('session/configure', () => opened('new'));
  await window.say({ type: 'send', text: 'hi' });
  assert.deepEqual(desk.asked[0], {
    method: 'session/configure',
    params: { cwd: '/home/me/project' },
  });
  assert.deepEqual(desk.ops, [{ type: 'user_input', items: [{ type: 'text', text: 'hi' }] }]);
  assert.equal(window.of('sent').length, 1);
  assert.equal(desk.sessions.current?.id, 'new');
});

test('a message that is refused comes back, with all that was sent along', async () => {
  const session = await desk.open();
  await window.say({ type: 'attachFile', path: '/home/me/project/src/a.py' });
  desk.answers.set('session/submit', () => {
    throw new CodexError(1004, 'No key. Set OPENAI_API_KEY.');
  });
  await window.say({ type: 'send', text: 'hi' });
  assert.deepEqual(window.of('kept'), [
    { type: 'kept', text: 'hi', problem: 'No key. Set OPENAI_API_KEY.' },
  ]);
  assert.deepEqual(
    window
      .of('chips')
      .at(-1)
      ?.chips.map(({ label }) => label),
    ['src/a.py'],
  );
  desk.answers.set('session/submit', () => ({ id: 'x' }));
  await window.say({ type: 'send', text: 'hi' });
  assert.deepEqual(desk.ops.at(-1), {
    type: 'user_input',
    items: [
      { type: 'text', text: 'hi' },
      { type: 'mention', path: 'src/a.py' },
    ],
  });
  assert.deepEqual(window.of('chips').at(-1)?.chips, []);
  assert.equal(session.status, 'idle');
});

test('a closed session is opened again by what is sent', async () => {
  const session = await desk.open();
  desk.tell(session, { type: 'session_taken_over', by: { pid: 1, host: 'h' } });
  await batch();
  assert.equal(window.state?.status, 'closed');
  assert.match(window.state.banner?.text ?? '', /closed/);
  desk.answers.set('session/resume', () => ({ ...opened(session.id), warnings: [] }));
  await window.say({ type: 'send', text: 'go on' });
  assert.deepEqual(desk.asked.at(-2), {
    method: 'session/resume',
    params: { sessionId: session.id },
  });
  assert.equal(desk.sessions.current?.status, 'idle');
  assert.equal(desk.ops.length, 1);
});

test('deltas go to the page in batches, the next when the last is drawn', async () => {
  const session = await desk.open();
  await window.say({ type: 'ready' });
  const delta = (): void =>
    desk.tell(session, { type: 'agent_message_delta', item_id: 'm', delta: 'x' });
  for (let count = 0; count < 1000; count += 1) {
    delta();
  }
  await batch();
  delta();
  await batch();
  const texts = window.of('changes').map(({ changes }) => JSON.stringify(changes).length);
  assert.equal(texts.length, 1);
  await window.say({ type: 'applied' });
  await batch();
  assert.deepEqual(window.of('changes')[1]?.changes, [{ type: 'append', id: 'c1', text: 'x' }]);
});

test('what happens while the saved items are read comes behind them, and once', async () => {
  let answer: (page: unknown) => void = () => undefined;
  desk.answers.set('session/read', () => new Promise((resolve) => (answer = resolve)));
  desk.answers.set('session/resume', () => ({ ...opened('old'), itemCount: 1, warnings: [] }));
  const session = await desk.sessions.resume({ sessionId: 'old' });
  desk.tell(session, { type: 'agent_message', item_id: 'm', message: 'new' });
  const item = (text: string) => ({
    type: 'message',
    role: 'assistant',
    content: [{ type: 'output_text', text }],
  });
  answer({
    items: [
      { index: 0, item: item('old') },
      { index: 1, item: item('new') },
    ],
  });
  await settled();
  await window.say({ type: 'ready' });
  const cells = window.of('reset').at(-1)?.cells ?? [];
  assert.deepEqual(
    cells.map((cell) => cell.kind === 'message' && cell.text),
    ['old', 'new'],
  );
});

test('a question is a card, is answered once, and the command is not run when it is rejected', async () => {
  const session = await desk.open();
  desk.tell(session, { type: 'task_started' });
  desk.tell(session, asking);
  await batch();
  assert.equal(window.state?.status, 'waiting');
  assert.equal(window.state.cards[0]?.code, 'make');
  await window.say({ type: 'answer', callId: 'c1', answer: 'denied' });
  await window.say({ type: 'answer', callId: 'c1', answer: 'approved' });
  assert.deepEqual(desk.ops, [{ type: 'exec_approval', id: 'c1', decision: 'denied' }]);
  await batch();
  assert.deepEqual(window.state.cards, []);
  await window.say({ type: 'ready' });
  const [cell] = window.of('reset').at(-1)?.cells ?? [];
  assert.ok(cell?.kind === 'command' && cell.state === 'skipped');
});

test('an answer that nobody offers is none', async () => {
  const session = await desk.open();
  desk.tell(session, { type: 'task_started' });
  desk.tell(session, asking);
  await window.say({ type: 'answer', callId: 'c1', answer: 'whatever' });
  await window.say({ type: 'answer', callId: 'other', answer: 'approved' });
  assert.deepEqual(desk.ops, []);
});

test('a patch is accepted as it stands in the diff editor', async () => {
  const session = await desk.open();
  desk.tell(session, { type: 'task_started' });
  desk.tell(session, patching);
  await window.say({ type: 'answer', callId: 'p1', answer: 'review' });
  await window.say({ type: 'answer', callId: 'p1', answer: 'approved' });
  assert.deepEqual(window.reviewed, ['open p1', 'approve p1']);
  await window.say({ type: 'answer', callId: 'p1', answer: 'abort' });
  assert.deepEqual(desk.ops, [{ type: 'patch_approval', id: 'p1', decision: 'abort' }]);
});

test('what is selected is offered, and sent along as it was then', async () => {
  await desk.open();
  window.active = selection('/home/me/project/a.py', 2, 4, 'text');
  window.selections.fire(undefined);
  await batch();
  assert.equal(window.state?.suggestion, 'a.py:3-5');
  await window.say({ type: 'attachSelection' });
  await batch();
  assert.equal(window.state.suggestion, undefined);
  await window.say({ type: 'send', text: '' });
  assert.deepEqual(desk.ops, [
    {
      type: 'user_input',
      items: [
        {
          type: 'selection',
          path: 'a.py',
          range: { start: { line: 2, character: 0 }, end: { line: 4, character: 3 } },
          text: 'text',
        },
      ],
    },
  ]);
});

test('commands add the selection or a file, or say what to do first', async () => {
  await window.commands.get('codex-rpc.addSelection')?.();
  assert.match(window.shown[0] ?? '', /Select something/);
  window.active = selection('/home/me/project/a.py', 0, 0, 'x');
  await window.commands.get('codex-rpc.addSelection')?.();
  await window.commands.get('codex-rpc.addFile')?.(FakeUri.file('/q/shot.png'));
  await window.commands.get('codex-rpc.addFile')?.(FakeUri.file('/q/shot.png'));
  assert.deepEqual(
    window
      .of('chips')
      .at(-1)
      ?.chips.map(({ kind, label }) => `${kind} ${label}`),
    ['selection a.py:1', 'image /q/shot.png'],
  );
  assert.deepEqual(window.executed.slice(0, 1), ['codex-rpc.chat.focus']);
});

test('only images are taken for images', async () => {
  await window.say({ type: 'attachImage', name: 'x', url: 'data:text/html;base64,AA==' });
  assert.deepEqual(window.of('chips').at(-1)?.chips, []);
  const url = 'data:image/png;base64,AA==';
  await window.say({ type: 'attachImage', name: 'shot.png', url });
  const [chip] = window.of('chips').at(-1)?.chips ?? [];
  assert.deepEqual([chip?.label, chip?.url], ['shot.png', url]);
  await window.say({ type: 'detach', id: chip?.id });
  assert.deepEqual(window.of('chips').at(-1)?.chips, []);
});

test('files are found for @, and those that are dropped are attached', async () => {
  window.files = ['/home/me/project/src/chat.ts', '/home/me/project/README.md'];
  await window.say({ type: 'findFiles', query: 'cha' });
  assert.deepEqual(window.of('files')[0]?.files, [
    { path: '/home/me/project/src/chat.ts', name: 'chat.ts', folder: 'src' },
  ]);
  const uris =
    'file:/home/me/project/a\r\n# comment\r\nhttps://example.org\r\nfile:/home/me/project/b';
  await window.say({ type: 'attachUris', uris });
  const [chips] = window.of('chips').slice(-1);
  assert.deepEqual(
    chips?.chips.map(({ label }) => label),
    ['a', 'b'],
  );
});

test('links are opened where they lead, and nothing is run', async () => {
  await desk.open();
  await window.say({ type: 'openLink', href: 'https://example.org' });
  await window.say({ type: 'openLink', href: 'src/a.py:3' });
  await window.say({ type: 'openLink', href: 'command:rm' });
  await window.say({ type: 'command', command: 'workbench.action.quit' });
  await window.say({ type: 'command', command: 'codex-rpc.showLog' });
  assert.deepEqual(window.opened, ['https://example.org', '/home/me/project/src/a.py']);
  assert.match(window.shown[0] ?? '', /leads nowhere/);
  assert.deepEqual(window.executed, ['codex-rpc.showLog']);
});

test('the last input is sent again, and a whole cell is copied or shown', async () => {
  const session = await desk.open();
  desk.tell(session, {
    type: 'user_message',
    turn_id: 't',
    items: [{ type: 'text', text: 'once' }],
  });
  desk.tell(session, { type: 'task_started' });
  desk.tell(session, { type: 'exec_command_begin', call_id: 'c', command: ['seq'], cwd: '/' });
  const stdout = 'line\n'.repeat(5_000);
  const duration = { secs: 0, nanos: 0 };
  desk.tell(session, {
    type: 'exec_command_end',
    call_id: 'c',
    stdout,
    stderr: '',
    exit_code: 0,
    duration,
  });
  desk.tell(session, { type: 'error', message: 'It broke.' });
  await window.say({ type: 'ready' });
  const cells = window.of('reset').at(-1)?.cells ?? [];
  assert.ok(cells[1]?.kind === 'command' && cells[1].output.length < 10_000);
  await window.say({ type: 'retry', id: cells[2]?.id });
  assert.deepEqual(desk.ops, [{ type: 'user_input', items: [{ type: 'text', text: 'once' }] }]);
  await window.say({ type: 'copyCell', id: cells[1].id });
  assert.equal(window.copied[0], `$ seq\n${stdout}`);
  await window.say({ type: 'full', id: cells[1].id });
  const [change] = window.of('changes').at(-1)?.changes ?? [];
  assert.ok(change?.type === 'put' && change.cell.kind === 'command');
  assert.equal(change.cell.output, stdout);
});

test('a message that is given back is in the input, also if the page is not there yet', async () => {
  const session = await desk.open();
  window.visible = false;
  window.visibility.fire(undefined);
  desk.answers.set('session/submit', () => new Promise(() => undefined));
  void session.send([
    { type: 'text', text: 'unsaved' },
    { type: 'mention', path: 'a.py' },
  ]);
  session.close();
  await settled();
  assert.deepEqual(window.of('compose'), []);
  window.visible = true;
  await window.say({ type: 'ready' });
  assert.deepEqual(window.of('compose'), [{ type: 'compose', text: 'unsaved' }]);
  assert.equal(window.of('chips').at(-1)?.chips[0]?.path, '/home/me/project/a.py');
});

test('what the page cannot mean is logged and does nothing', async () => {
  await window.say({ type: 'send' });
  await window.say('nonsense');
  assert.deepEqual(desk.asked, []);
  assert.equal(desk.log.problems.length, 2);
});
