import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type { ListParams, SessionPage, SessionSummary } from '../../src/protocol';
import { SessionList } from '../../src/sessionList';
import { Desk } from './support/desk';

function row(name: string): SessionSummary {
  return {
    sessionId: name,
    path: `/sessions/${name}`,
    title: name,
    preview: '',
    cwd: '/a',
    model: null,
    modelProvider: null,
    createdAt: '2025-06-15T12:00:00Z',
    updatedAt: '2025-06-15T12:00:00Z',
    sizeBytes: 1,
    status: 'clean',
    live: false,
    archived: false,
    origin: 'codex-rpc',
  };
}

describe('the list of sessions', () => {
  let desk: Desk;
  let folders: string[];
  let list: SessionList;
  let answer: (params: ListParams) => SessionPage | Promise<SessionPage>;

  beforeEach(() => {
    desk = new Desk();
    folders = ['/a'];
    answer = () => ({ sessions: [row('one')], filteredOut: {} });
    desk.answers.set('session/list', (params: ListParams) => answer(params));
    list = new SessionList(desk, () => folders);
  });

  const titles = (): string[] => list.sessions.map(({ title }) => title);
  const last = (): unknown => desk.asked.at(-1)?.params;

  it('asks for the sessions of the window, and says how many others there are', async () => {
    answer = () => ({ sessions: [row('one')], filteredOut: { cwd: 7 } });
    await list.refresh();
    assert.deepEqual(last(), { cwd: '/a', limit: 50 });
    assert.equal(list.inOtherFolders, 7);
    await list.show({ everywhere: true });
    assert.deepEqual(last(), { limit: 50 });
  });

  it('puts the sessions of several folders together', async () => {
    folders = ['/a', '/b'];
    answer = ({ cwd }) => ({ sessions: [row(cwd ?? '')], filteredOut: { cwd: 1 } });
    await list.refresh();
    assert.deepEqual(titles(), ['/a', '/b']);
    assert.equal(list.inOtherFolders, 0);
  });

  it('goes on page by page, and shows none twice that moved between two pages', async () => {
    answer = ({ cursor }) =>
      cursor === undefined
        ? { sessions: [row('one'), row('two')], filteredOut: {}, nextCursor: 'next' }
        : { sessions: [row('two'), row('three')], filteredOut: {} };
    await list.refresh();
    assert.equal(list.hasMore, true);
    await list.more();
    assert.deepEqual(titles(), ['one', 'two', 'three']);
    assert.equal(list.hasMore, false);
  });

  it('asks for what is wanted, and for nothing that is only white space', async () => {
    await list.show({ query: 'kelp', archived: true });
    assert.deepEqual(last(), { cwd: '/a', limit: 50, query: 'kelp', archived: true });
    await list.show({ query: '  ', archived: false });
    assert.deepEqual(last(), { cwd: '/a', limit: 50 });
  });

  it('shows the answer to the last question, not the one that came last', async () => {
    let release: (page: SessionPage) => void = () => undefined;
    answer = ({ query }) =>
      query === 'slow'
        ? new Promise((resolve) => {
            release = resolve;
          })
        : { sessions: [row('quick')], filteredOut: {} };
    const slow = list.show({ query: 'slow' });
    await list.show({ query: 'quick' });
    release({ sessions: [row('slow')], filteredOut: {} });
    await slow;
    assert.deepEqual(titles(), ['quick']);
  });

  it('keeps what it has when the server cannot answer, and says why', async () => {
    await list.refresh();
    answer = () => {
      throw new Error('The disk is away.');
    };
    let told = 0;
    list.onDidChange(() => (told += 1));
    await list.refresh();
    assert.deepEqual([titles(), list.problem, told], [['one'], 'The disk is away.', 1]);
    answer = () => ({ sessions: [], filteredOut: {} });
    await list.refresh();
    assert.deepEqual([titles(), list.problem], [[], undefined]);
  });
});
