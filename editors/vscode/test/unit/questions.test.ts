import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ApplyPatchApprovalRequest, ExecApprovalRequest } from '../../src/protocol';
import { commandLine, noticeOf, shown } from '../../src/questions';

function command(...argv: string[]): ExecApprovalRequest {
  return {
    type: 'exec_approval_request',
    call_id: 'c1',
    command: argv,
    cwd: '/home/me/project/src',
    sandbox: 'none',
    network: true,
  };
}

function patch(changes: ApplyPatchApprovalRequest['changes']): ApplyPatchApprovalRequest {
  return { type: 'apply_patch_approval_request', call_id: 'p1', changes };
}

const FOLDER = '/home/me/project';

describe('the notification of a command', () => {
  it('says what runs, where, in which sandbox and why', () => {
    const { text } = noticeOf({ ...command('rm', 'a b'), reason: 'cleaning' }, FOLDER);
    assert.equal(
      text,
      "Codex asks to run `rm 'a b'` in src, outside of the sandbox. Reason: cleaning",
    );
  });

  it('calls the folder of the session by its name', () => {
    const { text } = noticeOf({ ...command('ls'), cwd: FOLDER }, FOLDER);
    assert.equal(text, 'Codex asks to run `ls` in project, outside of the sandbox.');
  });

  it('offers once, for the session, reject, and reject and stop', () => {
    const replies = noticeOf(command('ls'), FOLDER).replies.map(({ reply }) => reply);
    assert.deepEqual(replies, ['approved', 'approved_for_session', 'denied', 'abort']);
  });

  it('does not offer yes where the command is too long to be seen as a whole', () => {
    const { text, replies } = noticeOf(command('echo', `${'a'.repeat(400)}; rm -rf /`), FOLDER);
    assert.ok(text.length < 320);
    assert.deepEqual(
      replies.map(({ reply }) => reply),
      ['show', 'denied', 'abort'],
    );
  });

  it('makes line ends and characters that hide or turn text visible', () => {
    const { text } = noticeOf(command('bash', '-lc', 'ls\nrm \u202Ex\u0007'), FOLDER);
    assert.match(text, /`ls ⏎ rm \\u\{202e\}x\\u\{7\}`/);
  });

  it('still says the whole command when the reason is endless', () => {
    const { text, replies } = noticeOf({ ...command('ls'), reason: 'x'.repeat(5000) }, FOLDER);
    assert.match(text, /`ls`/);
    assert.ok(text.length < 700);
    assert.equal(replies[0]?.reply, 'approved');
  });
});

describe('the words of a command', () => {
  it('shows the script of a shell as it is', () => {
    assert.equal(commandLine(['bash', '-lc', 'ls | wc -l']), 'ls | wc -l');
  });

  it('quotes words as a shell would need them', () => {
    assert.equal(commandLine(['grep', "it's", 'a.txt']), `grep 'it'\\''s' a.txt`);
    assert.equal(commandLine(['touch', '']), "touch ''");
  });

  it('does not take other programs for a shell', () => {
    assert.equal(commandLine(['env', '-c', 'ls']), 'env -c ls');
  });
});

describe('the notification of a patch', () => {
  it('says what happens to which files', () => {
    const { text } = noticeOf(
      patch({
        '/home/me/project/a.ts': { update: { unified_diff: '', move_path: null } },
        '/home/me/project/b.ts': { add: { content: '' } },
        '/elsewhere/c.ts': 'delete',
      }),
      FOLDER,
    );
    assert.equal(text, 'Codex wants to change a.ts, add b.ts and delete /elsewhere/c.ts.');
  });

  it('counts files where there are many', () => {
    const { text } = noticeOf(
      patch({ a: 'delete', b: 'delete', c: 'delete', d: 'delete' }),
      FOLDER,
    );
    assert.equal(text, 'Codex wants to delete 4 files.');
  });

  it('offers the review first', () => {
    assert.equal(noticeOf(patch({}), FOLDER).replies[0]?.reply, 'review');
  });
});

describe('a path', () => {
  it('is relative below the folder only', () => {
    assert.equal(shown('/home/me/project/..odd', FOLDER), '..odd');
    assert.equal(shown('/home/me/project2/a', FOLDER), '/home/me/project2/a');
  });
});
