import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { SessionSummary } from '../../src/protocol';
import { abilities, detailOf, grouped, markOf, nameOf } from '../../src/sessionGroups';

const NOW = new Date(2025, 5, 15, 12, 0);

function session(updatedAt: Date, more: Partial<SessionSummary> = {}): SessionSummary {
  return {
    sessionId: updatedAt.toISOString(),
    path: '/s',
    title: 'A title',
    preview: '',
    cwd: '/home/me/project',
    model: 'gpt-5',
    modelProvider: 'openai',
    createdAt: updatedAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
    sizeBytes: 1,
    status: 'clean',
    live: false,
    archived: false,
    origin: 'codex-rpc',
    ...more,
  };
}

describe('the groups of sessions', () => {
  it('follow the calendar of the user, not spans of hours', () => {
    const justToday = session(new Date(2025, 5, 15, 0, 1));
    const lateYesterday = session(new Date(2025, 5, 14, 23, 59));
    const groups = grouped([lateYesterday, justToday], NOW);
    assert.deepEqual(
      groups.map((group) => [group.name, group.sessions]),
      [
        ['Today', [justToday]],
        ['Yesterday', [lateYesterday]],
      ],
    );
  });

  it('have the newest first, whatever the order they came in', () => {
    const [a, b] = [session(new Date(2025, 5, 15, 9)), session(new Date(2025, 5, 15, 10))];
    assert.deepEqual(grouped([a, b], NOW)[0]?.sessions, [b, a]);
  });

  it('take everything in, also from the future and without a readable time', () => {
    const odd = [
      session(new Date(2025, 5, 20)),
      session(new Date(2025, 5, 10)),
      session(new Date(2025, 4, 20)),
      session(new Date(2020, 0, 1)),
      session(NOW, { updatedAt: 'never' }),
    ];
    const groups = grouped(odd, NOW);
    assert.deepEqual(
      groups.map(({ name, sessions }) => [name, sessions.length]),
      [
        ['Today', 1],
        ['Previous 7 Days', 1],
        ['Previous 30 Days', 1],
        ['Older', 2],
      ],
    );
  });
});

describe('a session in the tree', () => {
  it('shows what happens now before what is on disk', () => {
    const interrupted = session(NOW, { status: 'interrupted' });
    assert.equal(markOf(interrupted, 'waiting').icon, 'bell-dot');
    assert.equal(markOf(interrupted, 'running').icon, 'loading~spin');
    assert.equal(markOf(interrupted, undefined).icon, 'debug-pause');
  });

  it('tells sessions apart that are held elsewhere, unreadable or archived', () => {
    assert.equal(markOf(session(NOW, { live: true }), undefined).icon, 'lock');
    const unreadable = session(NOW, { status: 'unreadable', reason: 'line 1 is no header' });
    assert.equal(markOf(unreadable, undefined).meaning, 'line 1 is no header');
    assert.equal(markOf(session(NOW, { archived: true }), undefined).icon, 'archive');
  });

  it('is called by its title, else by its beginning, else by something', () => {
    assert.equal(nameOf(session(NOW)), 'A title');
    assert.equal(nameOf(session(NOW, { title: ' ', preview: 'first\nsecond' })), 'first');
    assert.equal(nameOf(session(NOW, { title: '' })), 'Session without messages');
  });

  it('says its age, and its folder where that is asked for', () => {
    const hours = session(new Date(NOW.getTime() - 3 * 3_600_000));
    assert.equal(detailOf(hours, NOW, false), '3 h');
    assert.equal(detailOf(hours, NOW, true), 'project · 3 h');
    assert.equal(detailOf(session(NOW), NOW, false), 'now');
  });

  it('offers only what can be done with it', () => {
    assert.equal(abilities(session(NOW), 'current'), 'session readable shelved open own');
    const foreign = session(NOW, { origin: 'codex', archived: true });
    assert.equal(abilities(foreign, undefined), 'session readable archived closed');
    assert.doesNotMatch(abilities(session(NOW, { status: 'unreadable' }), undefined), /readable/);
  });
});
