import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionLost } from '../../src/connection';
import type { InputItem } from '../../src/protocol';
import type { Note, Session } from '../../src/session';
import { answer, heldText, shell, text } from '../e2e/support/model';
import { type Bench, Hearing, until, withBench } from './support/bench';

const said = (words: string): InputItem[] => [{ type: 'text', text: words }];

const status = (session: Session, wanted: Session['status']) =>
  until(
    () => `${wanted}, not ${session.status}`,
    (listener) => session.onDidChange(listener),
    () => session.status === wanted,
  );

/** Crash, and wait until the session goes on. */
async function crashAndBack(bench: Bench, session: Session): Promise<void> {
  const offline = status(session, 'offline');
  await bench.crash();
  await offline;
  await until(
    () => `back, not ${session.status}`,
    (listener) => session.onDidChange(listener),
    () => session.status !== 'offline',
  );
}

test('after a crash the same session goes on, with what was said before', () =>
  withBench([answer(text('I know.')), answer(text('Still here.'))], async (bench) => {
    const session = await bench.open();
    const heard = new Hearing(session);
    await session.send(said('remember the number 7'));
    await heard.until('task_complete');
    await crashAndBack(bench, session);
    assert.equal(bench.sessions.current, session);
    await session.send(said('are you there?'));
    await heard.until('task_complete', 2);
    assert.equal(heard.of('agent_message').at(-1)?.message, 'Still here.');
    assert.match(bench.model.requests.at(-1) ?? '', /remember the number 7/);
  }));

test('a crash in the middle of a turn is told, and what was saved is not sent again', () =>
  withBench([answer(heldText('never', 'One', ' two')), answer(text('Three.'))], async (bench) => {
    const session = await bench.open();
    const heard = new Hearing(session);
    const notes: Note[] = [];
    session.onNote((note) => notes.push(note));
    await session.send(said('count'));
    await heard.until('agent_message_delta');
    await crashAndBack(bench, session);
    assert.equal(session.status, 'idle');
    assert.deepEqual(
      notes.map(({ level }) => level),
      ['warning', 'info'],
    );
    assert.match(notes[0]?.text ?? '', /SIGKILL/);
    assert.match(notes[1]?.text ?? '', /cut off: say “go on”/);
    await session.send(said('go on'));
    await heard.until('task_complete');
    assert.equal(heard.of('user_message').length, 2);
  }));

test('what was in line at a crash is sent again, under the same id', () =>
  withBench([answer(heldText('never', 'One', ' two')), answer(text('Both.'))], async (bench) => {
    const session = await bench.open();
    const heard = new Hearing(session);
    await session.send(said('first'));
    await heard.until('agent_message_delta');
    await session.send(said('second'));
    const [kept] = session.queued;
    await bench.crash();
    await heard.until('task_complete');
    const last = heard.events.filter(({ msg }) => msg.type === 'user_message').at(-1);
    assert.equal(last?.id, kept?.id);
    assert.deepEqual(session.queued, []);
  }));

test('what is sent while the server is away is sent when it is back', () =>
  withBench([answer(text('Here.'))], async (bench) => {
    const session = await bench.open();
    const heard = new Hearing(session);
    const offline = status(session, 'offline');
    await bench.crash();
    await offline;
    await session.send(said('hello?'));
    await heard.until('task_complete');
    assert.equal(heard.of('user_message').length, 1);
  }));

test('a question that was open at a crash is open no longer', () =>
  withBench([answer(shell(['touch', 'made'])), answer(text('Again?'))], async (bench) => {
    const session = await bench.open();
    const heard = new Hearing(session);
    await session.send(said('make it'));
    await heard.until('exec_approval_request');
    await crashAndBack(bench, session);
    assert.deepEqual(session.waiting, []);
    assert.equal(session.status, 'idle');
  }));

test('the policies that were chosen before a crash hold after it', () =>
  withBench([answer(shell(['touch', 'made'])), answer(text('Done.'))], async (bench) => {
    const session = await bench.open();
    const heard = new Hearing(session);
    await session.submit({ type: 'override_turn_context', approval_policy: 'never' });
    await crashAndBack(bench, session);
    await session.send(said('make it'));
    await heard.until('task_complete');
    assert.equal(heard.of('exec_approval_request').length, 0);
    assert.equal(session.info.approvalPolicy, 'never');
  }));

test('all sessions of a window come back, and the current one is still the current one', () =>
  withBench([], async (bench) => {
    const first = await bench.open();
    const second = await bench.sessions.configure({ cwd: bench.folder });
    bench.sessions.current = first;
    const both = Promise.all([status(first, 'offline'), status(second, 'offline')]);
    await bench.crash();
    await both;
    await Promise.all([status(first, 'idle'), status(second, 'idle')]);
    assert.equal(bench.sessions.current, first);
    assert.deepEqual(bench.sessions.open, [first, second]);
  }));

test('a server that is stopped on purpose stays away, and goes on when it is started', () =>
  withBench([answer(text('Here.'))], async (bench) => {
    const session = await bench.open();
    await bench.server.stop();
    assert.equal(bench.server.state, 'stopped');
    assert.equal(session.status, 'offline');
    assert.equal(bench.processes.length, 1);
    await assert.rejects(session.interrupt(), ConnectionLost);
    await bench.server.start();
    await status(session, 'idle');
  }));
