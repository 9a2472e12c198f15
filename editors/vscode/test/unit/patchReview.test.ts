import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { PatchReview } from '../../src/patchReview';
import type { ApplyPatchApprovalRequest } from '../../src/protocol';
import type { Session } from '../../src/session';
import { Desk, settled } from './support/desk';
import { FakeEditor } from './support/editors';

const UPDATE = { update: { unified_diff: '', move_path: null } };

function request(...names: string[]): ApplyPatchApprovalRequest {
  const paths = names.map((name) => `/home/me/project/${name}`);
  return {
    type: 'apply_patch_approval_request',
    call_id: 'p1',
    changes: Object.fromEntries(paths.map((path) => [path, UPDATE])),
    files: Object.fromEntries(
      paths.map((path) => [path, { old_text: 'old\n', new_text: 'new\n' }]),
    ),
  };
}

describe('the review of a patch', () => {
  let desk: Desk;
  let editor: FakeEditor;
  let session: Session;
  let reviews: PatchReview;

  beforeEach(async () => {
    [desk, editor] = [new Desk(), new FakeEditor()];
    session = await desk.open();
    reviews = new PatchReview(editor as never, desk.sessions, desk.log);
  });

  const run = async (name: string): Promise<void> => {
    await editor.commands.executeCommand(`codex-rpc.review.${name}`);
    await settled();
  };

  const label = (): string | undefined => editor.active?.label;

  it('shows what is there beside what is proposed', async () => {
    desk.tell(session, request('a.txt'));
    await run('open');
    assert.equal(label(), 'Codex: Edit a.txt');
    assert.deepEqual([editor.original, editor.proposed.getText()], ['old\n', 'new\n']);
  });

  it('accepts what is in the editor, edited or not, and closes it', async () => {
    desk.tell(session, request('a.txt', 'b.txt'));
    await run('open');
    editor.proposed.change('mine\n');
    await run('accept');
    assert.deepEqual(desk.ops, [
      {
        type: 'patch_approval',
        id: 'p1',
        decision: 'approved',
        edited: { '/home/me/project/a.txt': 'mine\n' },
      },
    ]);
    assert.deepEqual(editor.tabs, []);
  });

  it('goes through the files, and answers when each is decided', async () => {
    desk.tell(session, request('a.txt', 'b.txt', 'c.txt'));
    await run('open');
    await run('acceptFile');
    assert.equal(label(), 'Codex: Edit b.txt (2 of 3)');
    await run('rejectFile');
    assert.equal(desk.ops.length, 0);
    await run('acceptFile');
    assert.deepEqual(desk.ops, [
      {
        type: 'patch_approval',
        id: 'p1',
        decision: 'approved',
        hunks: { '/home/me/project/b.txt': [] },
      },
    ]);
  });

  it('looks at the next file without deciding, and around', async () => {
    desk.tell(session, request('a.txt', 'b.txt'));
    await run('open');
    await run('nextFile');
    assert.equal(label(), 'Codex: Edit b.txt (2 of 2)');
    await run('nextFile');
    assert.equal(label(), 'Codex: Edit a.txt (1 of 2)');
    assert.equal(desk.ops.length, 0);
  });

  it('offers to decide file by file only where there are several', async () => {
    desk.tell(session, request('a.txt'));
    await run('open');
    assert.equal(editor.context.get('codex-rpc.reviewOfSeveral'), false);
    await run('reject');
    desk.tell(session, request('a.txt', 'b.txt'));
    await run('open');
    assert.equal(editor.context.get('codex-rpc.reviewOfSeveral'), true);
  });

  it('rejects, and rejects and stops', async () => {
    for (const [command, decision] of [
      ['reject', 'denied'],
      ['rejectAndStop', 'abort'],
    ] as const) {
      desk.tell(session, request('a.txt'));
      await run('open');
      await run(command);
      assert.deepEqual(desk.ops.at(-1), { type: 'patch_approval', id: 'p1', decision });
    }
  });

  it('closes when the patch is rejected elsewhere, and asks nothing', async () => {
    desk.tell(session, { type: 'task_started' });
    desk.tell(session, request('a.txt'));
    await run('open');
    editor.proposed.change('mine\n');
    await session.answer('p1', 'denied');
    await settled();
    assert.deepEqual(editor.tabs, []);
  });

  it('closes when the turn ends, unless the person has written something', async () => {
    for (const [text, tabs] of [
      ['new\n', 0],
      ['mine\n', 1],
    ] as const) {
      desk.tell(session, { type: 'task_started' });
      desk.tell(session, request('a.txt'));
      await run('open');
      editor.proposed.change(text);
      desk.tell(session, { type: 'turn_aborted', reason: 'interrupted' });
      await settled();
      assert.equal(editor.tabs.length, tabs);
    }
    assert.match(editor.informed[0] ?? '', /stays open/);
    await run('accept');
    assert.deepEqual(desk.ops, []);
  });

  it('keeps what was written when the answer does not arrive', async () => {
    desk.answers.set('session/submit', () => {
      throw new Error('The pipe is gone.');
    });
    desk.tell(session, { type: 'task_started' });
    desk.tell(session, request('a.txt'));
    await run('open');
    editor.proposed.change('mine\n');
    await run('accept');
    assert.equal(editor.proposed.getText(), 'mine\n');
    desk.answers.set('session/submit', () => ({ id: 'x' }));
    await run('accept');
    assert.equal(desk.ops.length, 2);
    assert.deepEqual(editor.tabs, []);
  });

  it('counts the edits of a review that is accepted from somewhere else', async () => {
    desk.tell(session, request('a.txt'));
    await run('open');
    editor.proposed.change('mine\n');
    await reviews.approve(session, 'p1');
    assert.deepEqual((desk.ops[0] as { edited: unknown }).edited, {
      '/home/me/project/a.txt': 'mine\n',
    });
  });

  it('begins anew with a later patch that has the same id', async () => {
    desk.tell(session, request('a.txt'));
    await run('open');
    editor.proposed.change('mine\n');
    await run('accept');
    desk.tell(session, request('a.txt'));
    await run('open');
    assert.equal(editor.proposed.getText(), 'new\n');
  });

  it('shows what has no whole text as a change, which can be accepted', async () => {
    const { files: _, ...bare } = request('a.bin');
    desk.tell(session, bare);
    await run('open');
    assert.match(editor.proposed.getText(), /^--- \/home\/me\/project\/a\.bin/);
    await run('accept');
    assert.deepEqual(desk.ops, [{ type: 'patch_approval', id: 'p1', decision: 'approved' }]);
  });

  it('says that nothing waits when nothing does', async () => {
    await run('accept');
    await reviews.open(session, 'gone');
    assert.equal(editor.informed.length, 2);
  });

  it('says it when the answer does not arrive', async () => {
    desk.answers.set('session/submit', () => {
      throw new Error('The pipe is gone.');
    });
    desk.tell(session, request('a.txt'));
    await run('open');
    await run('accept');
    assert.match(editor.errors[0] ?? '', /The pipe is gone\./);
  });

  it('closes what a window shows that was reloaded meanwhile', async () => {
    desk.tell(session, request('a.txt'));
    await run('open');
    assert.equal(editor.tabs.length, 1);
    new PatchReview(editor as never, desk.sessions, desk.log);
    await settled();
    assert.equal(editor.tabs.length, 0);
  });
});
