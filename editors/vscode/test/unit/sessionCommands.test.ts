import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { CodexError } from '../../src/connection';
import type { SessionSummary } from '../../src/protocol';
import { SessionCommands } from '../../src/sessionCommands';
import { SessionList } from '../../src/sessionList';
import { Desk, opened, settled } from './support/desk';

const SESSION: SessionSummary = {
  sessionId: 's1',
  path: '/sessions/s1',
  title: 'Kelp: what/is it?',
  preview: '',
  cwd: '/home/me/project',
  model: 'gpt-5',
  modelProvider: 'openai',
  createdAt: '2025-06-15T12:00:00Z',
  updatedAt: '2025-06-15T12:00:00Z',
  sizeBytes: 1,
  status: 'clean',
  live: false,
  archived: false,
  origin: 'codex-rpc',
};

/** A person who gives prepared answers; what they were asked is kept. */
class Ui {
  readonly registered = new Map<string, (node?: unknown) => Promise<void>>();
  readonly executed: string[] = [];
  readonly asked: string[] = [];
  readonly errors: string[] = [];
  answers: unknown[] = [];
  readonly Uri = {
    file: (path: string) => ({ path }),
    joinPath: (folder: { path: string }, name: string) => ({ path: `${folder.path}/${name}` }),
  };
  readonly written = new Map<string, string>();
  readonly commands = {
    registerCommand: (name: string, run: () => Promise<void>) => {
      this.registered.set(name, run);
      return { dispose: () => this.registered.delete(name) };
    },
    executeCommand: (name: string) => Promise.resolve(void this.executed.push(name)),
  };
  readonly workspace = {
    workspaceFolders: undefined,
    fs: {
      writeFile: ({ path }: { path: string }, content: Uint8Array) =>
        Promise.resolve(void this.written.set(path, Buffer.from(content).toString())),
    },
  };
  private readonly answer = (question: unknown): Promise<unknown> => {
    this.asked.push(typeof question === 'string' ? question : JSON.stringify(question));
    const next = this.answers.shift();
    return Promise.resolve(
      typeof next === 'function' ? (next as (question: unknown) => unknown)(question) : next,
    );
  };
  readonly window = {
    showWarningMessage: this.answer,
    showInformationMessage: this.answer,
    showInputBox: this.answer,
    showQuickPick: this.answer,
    showSaveDialog: ({ defaultUri }: { defaultUri: { path: string } }) =>
      this.answer(defaultUri.path),
    showErrorMessage: (text: string): void => void this.errors.push(text),
  };
}

describe('the commands on saved sessions', () => {
  let desk: Desk;
  let ui: Ui;

  beforeEach(() => {
    [desk, ui] = [new Desk(), new Ui()];
    desk.answers.set('session/list', () => ({ sessions: [SESSION], filteredOut: {} }));
    desk.answers.set('session/resume', () => ({ ...opened('s1'), resumed: true, warnings: [] }));
    for (const method of ['rename', 'archive', 'delete']) {
      desk.answers.set(`session/${method}`, () => ({}));
    }
    new SessionCommands({
      ui: ui as never,
      connection: desk,
      sessions: desk.sessions,
      list: new SessionList(desk, () => []),
      resumeConfig: () => ({ config: { patch_review: true } }),
    });
  });

  const run = async (name: string, session?: SessionSummary): Promise<void> => {
    const node = session && { kind: 'session', session };
    await ui.registered.get(`codex-rpc.sessions.${name}`)?.(node);
    await settled();
  };
  const current = (): string | undefined => desk.sessions.current?.id;
  const asked = (method: string): unknown[] =>
    desk.asked.filter((one) => one.method === method).map(({ params }) => params);

  it('continue a session and show it', async () => {
    await run('open', SESSION);
    assert.deepEqual(asked('session/resume'), [
      { sessionId: 's1', config: { patch_review: true } },
    ]);
    assert.equal(current(), 's1');
    assert.deepEqual(ui.executed, ['codex-rpc.chat.focus']);
  });

  it('only show a session that is open already', async () => {
    await desk.open('s1');
    await desk.open('s2');
    await run('open', SESSION);
    assert.deepEqual(asked('session/resume'), []);
    assert.equal(current(), 's1');
  });

  it('ask before they take a session over from another process, and then do', async () => {
    desk.answers.set('session/resume', ({ takeover }: { takeover?: boolean }) => {
      if (takeover !== true) {
        throw new CodexError(1002, 'Process 42 has it.');
      }
      return { ...opened('s1'), resumed: true, warnings: [] };
    });
    ui.answers = [undefined];
    await run('open', SESSION);
    assert.equal(current(), undefined);
    assert.equal(asked('session/resume').length, 1);

    ui.answers = ['Take Over'];
    await run('open', SESSION);
    assert.equal(current(), 's1');
    assert.deepEqual(ui.errors, []);
  });

  it('ask which session is meant when they come from the palette', async () => {
    ui.answers = [(items: readonly { session: unknown }[]) => items[0], 'New name'];
    await run('rename');
    assert.deepEqual(asked('session/rename'), [{ sessionId: 's1', title: 'New name' }]);
  });

  it('delete only what the person confirms, and close it first if it is open', async () => {
    await desk.open('s1');
    ui.answers = [undefined];
    await run('delete', SESSION);
    assert.deepEqual(asked('session/delete'), []);
    ui.answers = ['Delete'];
    await run('delete', SESSION);
    assert.deepEqual(asked('session/close'), [{ sessionId: 's1' }]);
    assert.deepEqual(asked('session/delete'), [{ sessionId: 's1' }]);
  });

  it('export to where the person wants it, under a name that works everywhere', async () => {
    desk.answers.set('session/export', () => ({ text: '# Kelp' }));
    ui.answers = [{ format: 'markdown' }, (path: string) => ({ path })];
    await run('export', SESSION);
    assert.deepEqual([...ui.written], [['/home/me/project/Kelp what is it.md', '# Kelp']]);
  });

  it('say what the server says when something does not work', async () => {
    desk.answers.set('session/archive', () => {
      throw new CodexError(1002, 'Process 42 has it.');
    });
    await run('archive', SESSION);
    assert.deepEqual(ui.errors, ['Archive: Process 42 has it.']);
  });
});
