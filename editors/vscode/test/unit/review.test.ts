import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Review } from '../../src/review';

const UPDATE = { update: { unified_diff: '@@ -1 +1 @@\n-a\n+b\n', move_path: null } };

function review(): Review {
  return new Review({
    type: 'apply_patch_approval_request',
    call_id: 'p1',
    changes: { '/p/one.txt': UPDATE, '/p/two.txt': UPDATE, '/p/gone.txt': 'delete' },
    files: {
      '/p/one.txt': { old_text: 'a\n', new_text: 'b\n' },
      '/p/two.txt': { old_text: 'c\r\n', new_text: '\uFEFFd\r\n' },
      '/p/gone.txt': { old_text: 'x', new_text: null },
    },
  });
}

const NOTHING_OPENED = new Map<string, string>();

describe('a review', () => {
  it('accepts all as it is when nothing was changed', () => {
    const texts = new Map([
      ['/p/one.txt', 'b\n'],
      ['/p/gone.txt', ''],
    ]);
    assert.deepEqual(review().answer(texts), { decision: 'approved' });
  });

  it('gives the text that the person made of a file', () => {
    const texts = new Map([['/p/one.txt', 'better\n']]);
    assert.deepEqual(review().answer(texts), {
      decision: 'approved',
      edited: { '/p/one.txt': 'better\n' },
    });
  });

  it('takes what an editor does to line ends and marks for no change', () => {
    const answer = review().answer(new Map([['/p/two.txt', 'd\n']]));
    assert.deepEqual(answer, { decision: 'approved' });
  });

  it('keeps the mark at the beginning of a file that was edited', () => {
    const answer = review().answer(new Map([['/p/two.txt', 'e\r\n']]));
    assert.deepEqual(answer.edited, { '/p/two.txt': '\uFEFFe\r\n' });
  });

  it('leaves rejected files out, even edited ones', () => {
    const one = review();
    one.decide('/p/one.txt', 'rejected');
    assert.deepEqual(one.answer(new Map([['/p/one.txt', 'better\n']])), {
      decision: 'approved',
      hunks: { '/p/one.txt': [] },
    });
  });

  it('is a no when every file is rejected', () => {
    const one = review();
    one.files.forEach((file) => {
      one.decide(file.path, 'rejected');
    });
    assert.deepEqual(one.answer(NOTHING_OPENED), { decision: 'denied' });
  });

  it('keeps a file that was to be deleted when something is typed into it', () => {
    const answer = review().answer(new Map([['/p/gone.txt', 'y']]));
    assert.deepEqual(answer.edited, { '/p/gone.txt': 'y' });
  });

  it('goes on with the next file that is not decided, and around', () => {
    const one = review();
    one.decide('/p/two.txt', 'accepted');
    assert.equal(one.nextOpen('/p/one.txt')?.path, '/p/gone.txt');
    assert.equal(one.nextOpen('/p/gone.txt')?.path, '/p/one.txt');
    one.decide('/p/one.txt', 'accepted');
    one.decide('/p/gone.txt', 'accepted');
    assert.equal(one.nextOpen('/p/one.txt'), undefined);
  });

  it('shows the change as text where the whole texts are not known, and never calls it edited', () => {
    const one = new Review({
      type: 'apply_patch_approval_request',
      call_id: 'p2',
      changes: { '/p/big.bin': UPDATE, '/p/new.txt': { add: { content: 'x' } } },
      files: {},
    });
    assert.match(one.files[0]?.diff ?? '', /^--- \/p\/big\.bin\n\+\+\+ .*\n@@ -1 \+1 @@/);
    assert.match(one.files[1]?.diff ?? '', /^--- \/dev\/null\n.*\n\+x\n$/);
    assert.deepEqual(one.answer(new Map([['/p/big.bin', 'what the editor shows']])), {
      decision: 'approved',
    });
  });

  it('says in the title what happens, and which of how many files it is', () => {
    const one = review();
    const titles = one.files.map((file) => one.title(file, '/p'));
    assert.deepEqual(titles, [
      'Codex: Edit one.txt (1 of 3)',
      'Codex: Edit two.txt (2 of 3)',
      'Codex: Delete gone.txt (3 of 3)',
    ]);
  });
});
