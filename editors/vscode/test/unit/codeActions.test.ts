import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { CodeActions } from '../../src/codeActions';
import { Desk, settled } from './support/desk';
import { FakeUri } from './support/editors';

const FILE = 'file:/home/me/project/a.ts';

describe('code actions', () => {
  let desk: Desk;
  let typed: string | undefined;
  let errors: string[];
  let actions: CodeActions;
  let passed: unknown[];
  const registered = new Map<string, () => Promise<void>>();
  let active: unknown;

  beforeEach(() => {
    [desk, typed, errors, passed, active] = [new Desk(), 'why?', [], [], undefined];
    const ui = {
      Uri: FakeUri,
      commands: {
        registerCommand: (name: string, run: () => Promise<void>) => {
          registered.set(name, run);
          return { dispose: () => undefined };
        },
        executeCommand: () => Promise.resolve(),
      },
      languages: { getDiagnostics: () => [] },
      window: {
        get activeTextEditor() {
          return active;
        },
        showInputBox: () => Promise.resolve(typed),
        showErrorMessage: (text: string) => void errors.push(text),
        showInformationMessage: (text: string) => void errors.push(text),
      },
      workspace: {
        workspaceFolders: [{ uri: FakeUri.file('/home/me/project') }],
        getWorkspaceFolder: () => ({ uri: FakeUri.file('/home/me/project') }),
      },
    };
    actions = new CodeActions(ui as never, desk.sessions, desk, (cwd) => ({ cwd }));
    desk.answers.set('codex.explain', () => ({}));
  });

  const next = (command: string, args: unknown[]): void => {
    passed.push([command, ...args]);
  };

  it('go into the session that is open for the folder', async () => {
    const session = await desk.open('s1');
    await actions.middleware('codex.explain', [{ uri: FILE }], next);
    assert.deepEqual(passed, [['codex.explain', { uri: FILE, sessionId: session.id }]]);
  });

  it('begin a session where there is none, or only one of another folder', async () => {
    await desk.open('s1', '/elsewhere');
    desk.answers.set('session/configure', ({ cwd }: { cwd: string }) => ({
      ...({ sessionId: 's2', cwd } as object),
    }));
    await actions.middleware('codex.fix', [{ uri: FILE }], next);
    assert.deepEqual(passed, [['codex.fix', { uri: FILE, sessionId: 's2' }]]);
  });

  it('ask the person what to ask, and do nothing without it', async () => {
    await desk.open('s1');
    await actions.middleware('codex.ask', [{ uri: FILE }], next);
    assert.deepEqual(passed, [['codex.ask', { uri: FILE, prompt: 'why?', sessionId: 's1' }]]);
    for (const nothing of [undefined, '  ']) {
      typed = nothing;
      await actions.middleware('codex.ask', [{ uri: FILE }], next);
    }
    assert.equal(passed.length, 1);
  });

  it('leave other commands of the server as they are', async () => {
    await actions.middleware('codex.interrupt', [{}], next);
    assert.deepEqual(passed, [['codex.interrupt', {}]]);
  });

  it('say it when the server refuses', async () => {
    await desk.open('s1');
    await actions.middleware('codex.explain', [{ uri: FILE }], () => {
      throw new Error('Too much in line.');
    });
    assert.deepEqual(errors, ['Codex could not begin: Too much in line.']);
  });

  it('work from the palette on what is selected in the editor', async () => {
    await desk.open('s1');
    const position = (line: number, character: number) => ({ line, character });
    const selection = { start: position(1, 0), end: position(2, 4), isEmpty: false };
    active = { document: { uri: FakeUri.parse(FILE) }, selection };
    await registered.get('codex-rpc.explain')?.();
    await settled();
    const range = { start: position(1, 0), end: position(2, 4) };
    assert.deepEqual(desk.asked.at(-1), {
      method: 'codex.explain',
      params: { uri: FILE, range, sessionId: 's1' },
    });
  });

  it('say that they need a file when there is none', async () => {
    await registered.get('codex-rpc.fix')?.();
    assert.match(errors[0] ?? '', /Open a file first/);
  });
});
