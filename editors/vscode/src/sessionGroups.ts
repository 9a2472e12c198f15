// Saved sessions as a tree shows them: grouped by day, each with an icon and a few words. Knows no
// editor.

import { basename } from 'node:path';
import type { SessionSummary } from './protocol';

/** Sessions of about the same age. */
export interface Group {
  readonly name: string;
  readonly sessions: readonly SessionSummary[];
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** `sessions` by the day of their last use, the newest first; groups without any are left out. */
export function grouped(sessions: readonly SessionSummary[], now: Date): Group[] {
  const today = new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime();
  const bounds: readonly (readonly [string, number])[] = [
    ['Today', today],
    ['Yesterday', today - DAY_MS],
    ['Previous 7 Days', today - 7 * DAY_MS],
    ['Previous 30 Days', today - 30 * DAY_MS],
    ['Older', -Infinity],
  ];
  const groups = new Map<string, SessionSummary[]>(bounds.map(([name]) => [name, []]));
  for (const session of [...sessions].sort((a, b) => timeOf(b) - timeOf(a))) {
    const [name] = bounds.find(([, since]) => timeOf(session) >= since) ?? ['Older'];
    groups.get(name)?.push(session);
  }
  return [...groups]
    .map(([name, members]) => ({ name, sessions: members }))
    .filter((group) => group.sessions.length > 0);
}

function timeOf(session: SessionSummary): number {
  const time = Date.parse(session.updatedAt);
  return Number.isNaN(time) ? 0 : time;
}

/** What this window knows of a session beyond what is on disk. */
export type Activity = 'waiting' | 'running' | 'current' | 'open' | undefined;

/** The icon's id, and what it means for those who do not see it. */
export interface Mark {
  readonly icon: string;
  readonly meaning: string;
  readonly color?: string;
}

export function markOf(session: SessionSummary, activity: Activity): Mark {
  switch (activity) {
    case 'waiting':
      return { icon: 'bell-dot', meaning: 'waits for your answer', color: 'charts.yellow' };
    case 'running':
      return { icon: 'loading~spin', meaning: 'at work' };
    case 'current':
      return { icon: 'comment-discussion', meaning: 'open here', color: 'charts.blue' };
    case 'open':
      return { icon: 'comment-discussion', meaning: 'open in the background' };
    case undefined:
      break;
  }
  if (session.status === 'unreadable') {
    const meaning = session.reason ?? 'cannot be read';
    return { icon: 'error', meaning, color: 'list.errorForeground' };
  }
  if (session.live) {
    return { icon: 'lock', meaning: 'open in another process' };
  }
  if (session.archived) {
    return { icon: 'archive', meaning: 'archived' };
  }
  if (session.status === 'interrupted') {
    return { icon: 'debug-pause', meaning: 'interrupted; it can be continued' };
  }
  return { icon: 'comment', meaning: 'saved' };
}

/** What a session is called. */
export function nameOf(session: SessionSummary): string {
  const name = (session.title.trim() || session.preview.trim()).split('\n')[0] ?? '';
  return name === '' ? 'Session without messages' : name;
}

/** The words beside the name: the folder where it is not clear, and the age. */
export function detailOf(session: SessionSummary, now: Date, withFolder: boolean): string {
  const folder = withFolder && session.cwd !== null ? [basename(session.cwd)] : [];
  return [...folder, age(timeOf(session), now.getTime())].join(' · ');
}

function age(then: number, now: number): string {
  const minutes = Math.floor(Math.max(0, now - then) / 60_000);
  if (minutes < 1) {
    return 'now';
  }
  if (minutes < 60) {
    return `${minutes} min`;
  }
  const hours = Math.floor(minutes / 60);
  if (hours < 24) {
    return `${hours} h`;
  }
  const days = Math.floor(hours / 24);
  return days < 30 ? `${days} d` : new Date(then).toLocaleDateString();
}

/** What can be done with a session, for the menus' `viewItem =~ /\bword\b/`. */
export function abilities(session: SessionSummary, activity: Activity): string {
  const can = ['session'];
  if (session.status !== 'unreadable') {
    can.push('readable');
  }
  can.push(session.archived ? 'archived' : 'shelved');
  can.push(activity === undefined ? 'closed' : 'open');
  if (session.origin === 'codex-rpc') {
    can.push('own');
  }
  return can.join(' ');
}
