// What the chat view shows of a session, with the real server: the same whether one was there when
// it happened or opens it later.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Cell } from '../../src/cells';
import { Conversation } from '../../src/conversation';
import type { Session } from '../../src/session';
import { answer, heldText, patch, plan, reasoning, shell, text } from '../e2e/support/model';
import { type Bench, Hearing, until, withBench } from './support/bench';

/** A conversation, and when it has been set up anew. */
class Shown {
  readonly conversation: Conversation;
  resets = 0;

  constructor(bench: Bench, session: Session) {
    this.conversation = new Conversation(session, bench.server, bench.log);
    this.conversation.onReset(() => (this.resets += 1));
  }

  async reset(count = 1): Promise<void> {
    await until(
      () => `reset ${count} times, not ${this.resets}`,
      (listener) => this.conversation.onReset(listener),
      () => this.resets >= count,
    );
  }

  get cells(): readonly Cell[] {
    return this.conversation.cells;
  }
}

/** A cell without what is only known while it happens. */
function lasting(cell: Cell): object {
  const { id, ...rest } = cell;
  const { seconds, ...saved } = { seconds: 0, ...rest };
  return saved.kind === 'patch'
    ? { ...saved, files: saved.files.map(({ diff, ...file }) => file) }
    : saved;
}

function approveAll(session: Session): void {
  session.subscribe(({ msg }) => {
    if (msg.type === 'exec_approval_request' || msg.type === 'apply_patch_approval_request') {
      void session.answer(msg.call_id, 'approved');
    }
  });
}

test('a session that is opened again looks as it did', () =>
  withBench(
    [
      answer(reasoning('**Thinking**'), plan({ Look: 'completed' }), text('I look.')),
      answer(text('Now for it.'), shell(['bash', '-c', 'echo out; exit 3'])),
      answer(patch('*** Update File: a.txt', '@@', '-one', '+two')),
      answer(text('**Done.**')),
    ],
    async (bench) => {
      writeFileSync(join(bench.folder, 'a.txt'), 'one\n');
      const session = await bench.open();
      const live = new Shown(bench, session);
      const heard = new Hearing(session);
      approveAll(session);
      await session.send([
        { type: 'text', text: 'do it' },
        { type: 'mention', path: 'a.txt' },
      ]);
      await heard.until('task_complete');
      // What the server has to say about the machine is not the session's.
      const before = live.cells.filter(({ kind }) => kind !== 'notice').map(lasting);
      assert.deepEqual(
        before.map((cell) => 'kind' in cell && cell.kind),
        ['user', 'reasoning', 'plan', 'message', 'message', 'command', 'patch', 'message'],
      );
      await bench.sessions.close(session.id);
      const again = await bench.sessions.resume({ sessionId: session.id });
      const later = new Shown(bench, again);
      await later.reset();
      assert.deepEqual(later.cells.map(lasting), before);
      live.conversation.dispose();
      later.conversation.dispose();
    },
  ));

test('after a crash all is shown that was saved, and what the server has to say of it', () =>
  withBench([answer(heldText('never', 'Half', ' done')), answer(text('Again.'))], async (bench) => {
    const session = await bench.open();
    const { conversation } = new Shown(bench, session);
    const heard = new Hearing(session);
    await session.send([{ type: 'text', text: 'first' }]);
    await heard.until('agent_message_delta');
    assert.ok(conversation.cells.some((cell) => cell.kind === 'message' && cell.text === 'Half'));
    const reset = new Promise<void>((resolve) => conversation.onReset(() => resolve()));
    await bench.crash();
    await reset;
    assert.ok(conversation.cells.every((cell) => cell.kind !== 'message'));
    const [first, ...notes] = conversation.cells;
    assert.ok(first?.kind === 'user' && first.text === 'first');
    assert.ok(notes.some((cell) => cell.kind === 'notice' && cell.text.includes('goes on')));
    await session.send([{ type: 'text', text: 'second' }]);
    await heard.until('task_complete');
    const said = conversation.cells.map((cell) => ('text' in cell ? cell.text : ''));
    assert.equal(said.at(-1), 'Again.');
    conversation.dispose();
  }));

test('a long session is shown from its end, the rest when one asks for it', () =>
  withBench(
    Array.from({ length: 130 }, (_, at) => answer(text(`Answer ${at}`))),
    async (bench) => {
      const session = await bench.open();
      const heard = new Hearing(session);
      for (let count = 1; count <= 130; count += 1) {
        await session.send([{ type: 'text', text: `Question ${count - 1}` }]);
        await heard.until('task_complete', count);
      }
      await bench.sessions.close(session.id);
      const again = await bench.sessions.resume({ sessionId: session.id });
      const { conversation } = new Shown(bench, again);
      await new Promise<void>((resolve) => conversation.onReset(() => resolve()));
      assert.equal(conversation.cells.length, 200);
      assert.equal(conversation.hasEarlier, true);
      const earlier = await conversation.earlier();
      assert.equal(earlier.length, 60);
      assert.ok(earlier[0]?.kind === 'user' && earlier[0].text === 'Question 0');
      assert.equal(conversation.hasEarlier, false);
      assert.equal(conversation.cells.length, 260);
      assert.equal(new Set(conversation.cells.map(({ id }) => id)).size, 260);
      conversation.dispose();
    },
  ));
