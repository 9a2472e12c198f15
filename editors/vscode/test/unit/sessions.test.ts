import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CodexError } from '../../src/connection';
import { ErrorCode, type InputItem } from '../../src/protocol';
import { answer, heldText, text } from '../e2e/support/model';
import { type Bench, Hearing, until, withBench } from './support/bench';

const said = (words: string): InputItem[] => [{ type: 'text', text: words }];

/** What a window does when it is opened again, with a server of its own. */
async function inNewWindow(
  bench: Bench,
  use: (again: ReturnType<Bench['newSessions']>) => Promise<void>,
): Promise<void> {
  const server = bench.newServer();
  const sessions = bench.newSessions(server);
  try {
    await server.start();
    await use(sessions);
  } finally {
    sessions.dispose();
    await server.stop();
  }
}

test('a new window goes on with the session that was open', () =>
  withBench([answer(text('One.')), answer(text('Two.'))], async (bench) => {
    const before = await bench.open();
    const heard = new Hearing(before);
    await before.send(said('first'));
    await heard.until('task_complete');
    await bench.server.stop();
    await inNewWindow(bench, async (sessions) => {
      const session = await sessions.restore();
      assert.equal(session?.id, before.id);
      assert.equal(sessions.current, session);
      assert.equal(session.info.resumed, true);
    });
  }));

test('a new window waits until the old one has let go of the session', () =>
  withBench([answer(text('One.'))], async (bench) => {
    const before = await bench.open();
    const heard = new Hearing(before);
    await before.send(said('first'));
    await heard.until('task_complete');
    await inNewWindow(bench, async (sessions) => {
      const restored = sessions.restore();
      await until(
        () => 'a wait',
        (listener) => {
          bench.log.onLine = listener;
          return { dispose: () => (bench.log.onLine = undefined) };
        },
        () => bench.log.lines.some((line) => line.includes('Waiting for')),
      );
      await bench.server.stop();
      assert.equal((await restored)?.id, before.id);
    });
  }));

test('what another window holds for good is an error that says who has it', () =>
  withBench([answer(text('One.'))], async (bench) => {
    const before = await bench.open();
    const heard = new Hearing(before);
    await before.send(said('first'));
    await heard.until('task_complete');
    await inNewWindow(bench, async (sessions) => {
      await assert.rejects(sessions.restore(), (error) => {
        assert.ok(error instanceof CodexError);
        assert.equal(error.code, ErrorCode.SessionInUse);
        return true;
      });
      const taken = await sessions.restore().catch(() => undefined);
      assert.equal(taken, undefined);
      assert.equal((await sessions.resume({ sessionId: before.id, takeover: true })).id, before.id);
      assert.equal(before.status, 'closed');
      assert.equal(bench.sessions.current, before);
      assert.deepEqual(bench.sessions.open, []);
    });
  }));

test('what was in line when the window went is given back in the next one', () =>
  withBench([answer(heldText('never', 'One', ' two')), answer(text('.'))], async (bench) => {
    const before = await bench.open();
    const heard = new Hearing(before);
    await before.send(said('first'));
    await heard.until('agent_message_delta');
    await before.send(said('second'));
    bench.sessions.dispose(); // The window is gone, and with it whoever would send it again.
    await bench.server.stop();
    await inNewWindow(bench, async (sessions) => {
      const back: (readonly InputItem[])[] = [];
      sessions.onDidChange((session) => {
        if (back.length === 0) {
          session?.onGivenBack((items) => back.push(items));
        }
      });
      await sessions.restore();
      assert.deepEqual(back[0], said('second'));
    });
  }));

test('a session whose file is gone is forgotten', () =>
  withBench([answer(text('One.'))], async (bench) => {
    await bench.open();
    await bench.server.stop();
    for (const name of readdirSync(bench.home).filter((each) => each === 'sessions')) {
      rmSync(join(bench.home, name), { recursive: true });
    }
    await inNewWindow(bench, async (sessions) => {
      assert.equal(await sessions.restore(), undefined);
      assert.equal(sessions.current, undefined);
    });
    await inNewWindow(bench, async (sessions) => {
      assert.equal(await sessions.restore(), undefined);
    });
  }));

test('a session that was closed is not opened again', () =>
  withBench([], async (bench) => {
    const session = await bench.open();
    await bench.sessions.close(session.id);
    assert.equal(session.status, 'closed');
    assert.equal(bench.sessions.current, undefined);
    assert.deepEqual(bench.sessions.open, []);
    await inNewWindow(bench, async (sessions) => {
      assert.equal(await sessions.restore(), undefined);
    });
  }));

test('a session that was closed can be opened again, and is heard', () =>
  withBench([answer(text('One.')), answer(text('Two.'))], async (bench) => {
    const first = await bench.open();
    const before = new Hearing(first);
    await first.send(said('one'));
    await before.until('task_complete');
    await bench.sessions.close(first.id);
    const again = await bench.sessions.resume({ sessionId: first.id });
    assert.notEqual(again, first);
    const heard = new Hearing(again);
    await again.send(said('two'));
    await heard.until('task_complete');
    assert.equal(heard.of('agent_message')[0]?.message, 'Two.');
  }));

test('a session that a command of the editor has begun is shown, with its events from the first', () =>
  withBench([answer(text('Explained.'))], async (bench) => {
    await bench.server.start();
    const seen: string[] = [];
    const shown = until(
      () => `a whole turn, of ${seen.join(' ')}`,
      (listener) => bench.sessions.onDidChange(listener),
      () => seen.includes('task_complete'),
    );
    const known = new Set<string>();
    bench.sessions.onDidChange((session) => {
      if (session !== undefined && !known.has(session.id)) {
        known.add(session.id);
        session.subscribe(({ msg }) => seen.push(msg.type));
      }
    });
    const params = { cwd: bench.folder };
    const elsewhere = await bench.server.request('session/configure', params);
    const op = { type: 'user_input' as const, items: said('explain') };
    await bench.server.request('session/submit', { sessionId: elsewhere.sessionId, op });
    await shown;
    assert.equal(bench.sessions.current?.id, elsewhere.sessionId);
    assert.ok(seen.includes('user_message'));
  }));

test('a fork is another session with the same past, and is the current one', () =>
  withBench([answer(text('One.')), answer(text('Two.'))], async (bench) => {
    const first = await bench.open();
    const heard = new Hearing(first);
    await first.send(said('the word is plum'));
    await heard.until('task_complete');
    const copy = await bench.sessions.fork({ sessionId: first.id });
    assert.notEqual(copy.id, first.id);
    assert.equal(bench.sessions.current, copy);
    const there = new Hearing(copy);
    await copy.send(said('which word?'));
    await there.until('task_complete');
    assert.match(bench.model.requests.at(-1) ?? '', /the word is plum/);
  }));
