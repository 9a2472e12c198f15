import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CodexError } from '../../src/connection';
import { ErrorCode } from '../../src/protocol';
import { answer, heldText, plan, shell, text } from '../e2e/support/model';
import { type Bench, Hearing, withBench } from './support/bench';

const said = (words: string) => [{ type: 'text', text: words }] as const;

test('what is said is answered, and the session is current and idle again', () =>
  withBench([answer(text('Hel', 'lo.'))], async (bench) => {
    const session = await bench.open();
    const heard = new Hearing(session);
    await session.send(said('hi'));
    await heard.until('task_complete');
    assert.equal(heard.of('agent_message')[0]?.message, 'Hello.');
    assert.equal(bench.sessions.current, session);
    assert.equal(session.status, 'idle');
    assert.deepEqual(session.queued, []);
    assert.equal(session.tokens?.total_tokens, 1280);
    assert.equal(session.info.model, 'scripted');
  }));

test('a command waits for the answer, and runs when it is allowed', () =>
  withBench([answer(shell(['touch', 'made'])), answer(text('Done.'))], async (bench) => {
    const session = await bench.open();
    const heard = new Hearing(session);
    await session.send(said('make it'));
    await heard.until('exec_approval_request');
    assert.equal(session.status, 'waiting');
    const [question] = session.waiting;
    assert.ok(question !== undefined);
    assert.equal(existsSync(join(bench.folder, 'made')), false);
    await session.answer(question.call_id, 'approved');
    await heard.until('task_complete');
    assert.deepEqual(session.waiting, []);
    assert.equal(existsSync(join(bench.folder, 'made')), true);
  }));

test('a command that is rejected does not run, and the turn goes on', () =>
  withBench([answer(shell(['touch', 'made'])), answer(text('As you like.'))], async (bench) => {
    const session = await bench.open();
    const heard = new Hearing(session);
    await session.send(said('make it'));
    await heard.until('exec_approval_request');
    await session.answer(session.waiting[0]?.call_id ?? '', 'denied');
    await heard.until('task_complete');
    assert.equal(existsSync(join(bench.folder, 'made')), false);
    assert.equal(heard.of('agent_message')[0]?.message, 'As you like.');
  }));

test('a question is answered once: a second answer is not sent', () =>
  withBench([answer(shell(['touch', 'made'])), answer(text('Done.'))], async (bench) => {
    const session = await bench.open();
    const heard = new Hearing(session);
    await session.send(said('do it'));
    await heard.until('exec_approval_request');
    const id = session.waiting[0]?.call_id ?? '';
    await Promise.all([session.answer(id, 'approved'), session.answer(id, 'abort')]);
    await heard.until('task_complete');
    assert.equal(heard.of('turn_aborted').length, 0);
  }));

test('interrupting ends the turn, and the next message is answered', () =>
  withBench(
    [answer(heldText('never', 'Once upon', ' a time')), answer(text('Yes.'))],
    async (bench) => {
      const session = await bench.open();
      const heard = new Hearing(session);
      await session.send(said('tell me a story'));
      await heard.until('agent_message_delta');
      assert.equal(session.status, 'running');
      await session.interrupt();
      await heard.until('turn_aborted');
      assert.equal(session.status, 'idle');
      await session.send(said('are you there?'));
      await heard.until('task_complete');
      assert.equal(heard.of('agent_message')[0]?.message, 'Yes.');
    },
  ));

test('what is sent while a turn runs is in line until the turn takes it', () =>
  withBench([answer(heldText('go', 'One', ' moment')), answer(text('Both.'))], async (bench) => {
    const session = await bench.open();
    const heard = new Hearing(session);
    await session.send(said('first'));
    await heard.until('agent_message_delta');
    await session.send(said('second'));
    assert.deepEqual(
      session.queued.map(({ items }) => items),
      [said('second')],
    );
    bench.model.release('go');
    await heard.until('user_message', 2);
    assert.deepEqual(session.queued, []);
    await heard.until('task_complete');
  }));

test('the checklist is that of the running turn', () =>
  withBench(
    [
      answer(plan({ look: 'completed', mend: 'pending' })),
      answer(text('Next.')),
      answer(text('.')),
    ],
    async (bench) => {
      const session = await bench.open();
      const heard = new Hearing(session);
      await session.send(said('plan'));
      await heard.until('task_complete');
      assert.deepEqual(
        session.plan?.plan.map(({ step }) => step),
        ['look', 'mend'],
      );
      await session.send(said('and now?'));
      await heard.until('task_complete', 2);
      assert.equal(session.plan, undefined);
    },
  ));

test('a policy that is chosen holds from the next turn on, and is shown at once', () =>
  withBench([answer(shell(['touch', 'made'])), answer(text('Done.'))], async (bench) => {
    const session = await bench.open();
    const heard = new Hearing(session);
    await session.submit({ type: 'override_turn_context', approval_policy: 'never' });
    assert.equal(session.info.approvalPolicy, 'never');
    await session.send(said('make it'));
    await heard.until('task_complete');
    assert.equal(heard.of('exec_approval_request').length, 0);
  }));

test('a message that the server refuses is not kept, and its error says why', () =>
  withBench([], async (bench) => {
    const session = await bench.open();
    await assert.rejects(session.send([]), (error) => {
      assert.ok(error instanceof CodexError);
      assert.equal(error.code, ErrorCode.InvalidParams);
      assert.match(error.message, /items/);
      return true;
    });
    assert.deepEqual(session.queued, []);
  }));

test('an event that nobody knows yet is passed on without an error', () =>
  withBench([answer(text('Hello.'))], async (bench: Bench) => {
    const session = await bench.open();
    const heard = new Hearing(session);
    const msg = { type: 'from_the_future', value: 1 } as never;
    session.take({ sessionId: session.id, seq: 1, id: '0', msg });
    assert.equal(session.status, 'idle');
    assert.equal(heard.events.length, 1);
    assert.deepEqual(bench.log.problems, []);
  }));
