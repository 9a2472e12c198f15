import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodexError, ConnectionLost, type ConnectionState } from '../../src/connection';
import { Emitter } from '../../src/emitter';
import type { Connect, Link, Program } from '../../src/link';
import { PROTOCOL_VERSION } from '../../src/protocol';
import { Server } from '../../src/server';
import { Lines, until } from './support/bench';

const PROGRAM: Program = { path: '/somewhere/codex-rpc', args: [], cwd: '/', env: {} };

/** A server of which the test says how it behaves. */
class Scripted {
  readonly links: {
    closed: Emitter<string>;
    onEvent: (params: unknown) => void;
    stopped: boolean;
  }[] = [];
  readonly log = new Lines();
  readonly states: ConnectionState[] = [];
  readonly server: Server;

  constructor(
    answers: Partial<Link> = {},
    around: { locate?: () => Promise<Program | undefined>; connect?: Connect } = {},
  ) {
    const connect: Connect = (_, onEvent) => {
      const link = { closed: new Emitter<string>(), onEvent, stopped: false };
      this.links.push(link);
      return Promise.resolve({
        info: { version: '1', protocolVersion: PROTOCOL_VERSION, providers: [] },
        request: () => Promise.resolve({}),
        onClosed: link.closed.on,
        stop: () => {
          link.stopped = true;
          return Promise.resolve();
        },
        ...answers,
      });
    };
    const locate = (): Promise<Program> => Promise.resolve(PROGRAM);
    this.server = new Server({ locate, connect, log: this.log, backOffMs: [1, 1], ...around });
    this.server.onState((state) => this.states.push(state));
  }

  state(wanted: ConnectionState): Promise<void> {
    return until(
      () => `${wanted}, not ${this.server.state}`,
      (listener) => this.server.onState(listener),
      () => this.server.state === wanted,
    );
  }

  crash(): void {
    this.links.at(-1)?.closed.fire('was ended by SIGKILL');
  }
}

test('a server that ends is started again, and after the last wait it stays away', async () => {
  const it = new Scripted();
  await it.server.start();
  while (it.links.length < 3) {
    it.crash();
    assert.equal(it.server.state, 'restarting');
    await it.state('running');
  }
  it.crash();
  assert.equal(it.server.state, 'failed');
  assert.match(it.server.problem ?? '', /was ended by SIGKILL.*3 times in a row/);
  assert.equal(it.links.length, 3);
});

test('a person can start again what has been given up, and it is tried as often as before', async () => {
  const it = new Scripted({}, { connect: () => Promise.reject(new Error('no such file')) });
  const failed = it.state('failed');
  await it.server.start();
  await failed;
  assert.match(it.server.problem ?? '', /did not start: no such file/);
  const before = it.states.filter((state) => state === 'starting').length;
  assert.equal(before, 3);
  const again = new Promise<void>((resolve) => {
    it.server.onState((state) => state === 'failed' && resolve());
  });
  await it.server.restart();
  await again;
  assert.equal(it.states.filter((state) => state === 'starting').length, 2 * before);
});

test('without a program nothing is tried, and what is asked is refused with advice', async () => {
  const it = new Scripted({}, { locate: () => Promise.resolve(undefined) });
  await it.server.start();
  assert.equal(it.server.state, 'missing');
  await assert.rejects(it.server.request('session/list', {}), (error) => {
    assert.ok(error instanceof ConnectionLost);
    assert.match(error.message, /not installed\. Install it/);
    return true;
  });
});

test('a program that cannot be run is not tried again, and the person is told what to correct', async () => {
  const refusal = Object.assign(new Error('spawn ENOENT'), { code: 'ENOENT' });
  const it = new Scripted({}, { connect: () => Promise.reject(refusal) });
  await it.server.start();
  assert.equal(it.server.state, 'failed');
  assert.match(it.server.problem ?? '', /somewhere.codex-rpc cannot be run.*codex-rpc\.path/);
});

test('a server that speaks another version is not used, and the person is told which', async () => {
  const info = { version: '9', protocolVersion: 99, providers: [] };
  const it = new Scripted({ info });
  await it.server.start();
  assert.equal(it.server.state, 'failed');
  assert.match(it.server.problem ?? '', /version 99 .* version 1\. Update the older one/);
});

test('what is asked while the server is on its way is answered when it is there', async () => {
  const it = new Scripted({ request: (method) => Promise.resolve(method) });
  const starting = it.server.start();
  assert.equal(await it.server.request('session/list', {}), 'session/list');
  it.crash();
  assert.equal(await it.server.request('session/read', {}), 'session/read');
  await starting;
});

test('a refusal is a CodexError with the code and the data that the server gave', async () => {
  const refusal = Object.assign(new Error('held by 12'), { code: 1002, data: { pid: 12 } });
  const it = new Scripted({ request: () => Promise.reject(refusal) });
  await it.server.start();
  await assert.rejects(it.server.request('session/list', {}), (error) => {
    assert.ok(error instanceof CodexError);
    assert.deepEqual([error.code, error.message, error.data], [1002, 'held by 12', { pid: 12 }]);
    return true;
  });
});

test('what was asked of a server that ends is lost, which is no refusal', async () => {
  let fail: (error: Error) => void = () => undefined;
  const request = () => new Promise<never>((_, reject) => (fail = reject));
  const it = new Scripted({ request });
  await it.server.start();
  const asked = it.server.request('session/list', {});
  it.crash();
  fail(Object.assign(new Error('disposed'), { code: -32097 }));
  await assert.rejects(asked, ConnectionLost);
});

test('nothing is heard of a server that has ended', async () => {
  const it = new Scripted();
  const heard: unknown[] = [];
  it.server.onEvent((event) => heard.push(event));
  await it.server.start();
  it.links[0]?.onEvent({ seq: 1 });
  it.crash();
  it.links[0]?.onEvent({ seq: 2 });
  assert.deepEqual(heard, [{ seq: 1 }]);
});

test('stopping while it starts ends what has just been started', async () => {
  let arrive: (program: Program) => void = () => undefined;
  const locate = () => new Promise<Program>((resolve) => (arrive = resolve));
  const it = new Scripted({}, { locate });
  const starting = it.server.start();
  await it.server.stop();
  arrive(PROGRAM);
  await starting;
  assert.equal(it.server.state, 'stopped');
  assert.equal(it.links.length, 0);
});

test('a stop between two tries is a stop', async () => {
  const it = new Scripted();
  await it.server.start();
  it.crash();
  await it.server.stop();
  assert.equal(it.server.state, 'stopped');
  assert.deepEqual(it.states, ['starting', 'running', 'restarting', 'stopped']);
});

test('a handler that fails does not keep the others from an event', async () => {
  const it = new Scripted();
  const heard: unknown[] = [];
  it.server.onEvent(() => {
    throw new Error('a bug');
  });
  it.server.onEvent((event) => heard.push(event));
  await it.server.start();
  it.links[0]?.onEvent({ seq: 1 });
  assert.equal(heard.length, 1);
  assert.match(it.log.problems.join(), /a bug/);
});
