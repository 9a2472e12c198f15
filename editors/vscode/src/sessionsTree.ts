// The tree of saved sessions: grouped by day, filtered as a person types, with icons that say what
// each session is doing.

import type { ProviderResult, TreeDataProvider, TreeItem, TreeView } from 'vscode';
import type { Connection } from './connection';
import type { Editor } from './editor';
import { type Disposable, Emitter } from './emitter';
import type { SessionSummary } from './protocol';
import {
  abilities,
  type Activity,
  detailOf,
  type Group,
  grouped,
  markOf,
  nameOf,
} from './sessionGroups';
import type { SessionList } from './sessionList';
import type { Sessions } from './sessions';

/** A row of the tree. */
export type Node =
  | { readonly kind: 'group'; readonly group: Group }
  | { readonly kind: 'session'; readonly session: SessionSummary }
  | { readonly kind: 'more' }
  | { readonly kind: 'others'; readonly count: number };

type Ui = Pick<
  Editor,
  'MarkdownString' | 'ThemeColor' | 'ThemeIcon' | 'TreeItem' | 'TreeItemCollapsibleState' | 'window'
>;

/** Of what happens in sessions: a turn has a beginning and an end, and many events between. */
const SETTLE_MS = 300;

/** Shows the view until it is disposed. */
export class SessionsTree implements TreeDataProvider<Node>, Disposable {
  private readonly changes = new Emitter<Node | undefined>();
  private readonly view: TreeView<Node>;
  private readonly subscriptions: readonly Disposable[];
  private seen = '';
  private stale = true;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly ui: Ui,
    private readonly list: SessionList,
    private readonly sessions: Pick<Sessions, 'current' | 'get' | 'onDidChange' | 'open'>,
    private readonly connection: Pick<Connection, 'onState' | 'problem' | 'state'>,
  ) {
    this.view = ui.window.createTreeView('codex-rpc.sessions', { treeDataProvider: this });
    this.subscriptions = [
      this.view,
      list.onDidChange(() => {
        this.render();
      }),
      sessions.onDidChange(() => {
        this.look();
      }),
      connection.onState(() => {
        this.render();
        this.expire();
      }),
      this.view.onDidChangeVisibility(() => {
        this.refreshIfStale();
      }),
    ];
    this.render();
    this.expire();
  }

  readonly onDidChangeTreeData = this.changes.on;

  getTreeItem(node: Node): TreeItem {
    switch (node.kind) {
      case 'group':
        return new this.ui.TreeItem(
          node.group.name,
          this.ui.TreeItemCollapsibleState[node.group.name === 'Older' ? 'Collapsed' : 'Expanded'],
        );
      case 'session':
        return this.itemOf(node.session);
      case 'more':
        return this.link('Show more…', 'codex-rpc.sessions.more', 'ellipsis');
      case 'others':
        return this.link(
          `${node.count} in other folders…`,
          'codex-rpc.sessions.allFolders',
          'folder-library',
        );
    }
  }

  getChildren(node?: Node): ProviderResult<Node[]> {
    if (node?.kind === 'group') {
      return node.group.sessions.map((session) => ({ kind: 'session', session }));
    }
    const { sessions, hasMore, inOtherFolders } = this.list;
    const nodes: Node[] = grouped(sessions, new Date()).map((group) => ({ kind: 'group', group }));
    if (hasMore) {
      nodes.push({ kind: 'more' });
    }
    if (inOtherFolders > 0) {
      nodes.push({ kind: 'others', count: inOtherFolders });
    }
    return nodes;
  }

  dispose(): void {
    clearTimeout(this.timer);
    this.subscriptions.forEach((each) => {
      each.dispose();
    });
    this.changes.dispose();
  }

  private itemOf(session: SessionSummary): TreeItem {
    const activity = this.activityOf(session.sessionId);
    const mark = markOf(session, activity);
    const now = new Date();
    const item = new this.ui.TreeItem(nameOf(session));
    item.id = session.path;
    item.description = detailOf(session, now, this.list.filter.everywhere);
    item.iconPath = new this.ui.ThemeIcon(
      mark.icon,
      mark.color === undefined ? undefined : new this.ui.ThemeColor(mark.color),
    );
    item.tooltip = this.tooltipOf(session, mark.meaning);
    item.contextValue = abilities(session, activity);
    item.accessibilityInformation = {
      label: `${nameOf(session)}, ${mark.meaning}, ${item.description}`,
    };
    item.command = {
      command: 'codex-rpc.sessions.open',
      title: 'Open',
      arguments: [{ kind: 'session', session } satisfies Node],
    };
    return item;
  }

  private tooltipOf(session: SessionSummary, meaning: string): InstanceType<Ui['MarkdownString']> {
    const text = new this.ui.MarkdownString();
    text.supportThemeIcons = false;
    const about = [
      ['State', meaning],
      ['Folder', session.cwd],
      ['Model', [session.model, session.modelProvider].filter(Boolean).join(', ')],
      ['Begun', new Date(session.createdAt).toLocaleString()],
      ['Last used', new Date(session.updatedAt).toLocaleString()],
      ['Written by', session.origin],
    ];
    // As plain text: what is in a session is not to become links or pictures here.
    text.appendText(`${nameOf(session)}\n`);
    if (session.excerpt !== undefined) {
      text.appendText(`\n… ${session.excerpt} …\n`);
    }
    for (const [name, value] of about) {
      if (value) {
        text.appendText(`\n${name ?? ''}: ${value}`);
      }
    }
    return text;
  }

  private link(label: string, command: string, icon: string): TreeItem {
    const item = new this.ui.TreeItem(label);
    item.iconPath = new this.ui.ThemeIcon(icon);
    item.command = { command, title: label };
    return item;
  }

  private activityOf(id: string): Activity {
    const session = this.sessions.get(id);
    if (session === undefined || session.status === 'closed') {
      return undefined;
    }
    if (session.status === 'waiting' || session.status === 'running') {
      return session.status;
    }
    return this.sessions.current === session ? 'current' : 'open';
  }

  /** Something happened in a session: is it anything that shows here? */
  private look(): void {
    const { current, open } = this.sessions;
    const states = open.map(({ id, status }) => `${id} ${status}`);
    const now = [current?.id ?? '', ...states].join('\n');
    if (now !== this.seen) {
      this.seen = now;
      this.changes.fire(undefined);
      this.expire();
    }
  }

  private expire(): void {
    this.stale = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.refreshIfStale();
    }, SETTLE_MS);
  }

  private refreshIfStale(): void {
    if (this.stale && this.view.visible && this.connection.state === 'running') {
      this.stale = false;
      void this.list.refresh();
    }
  }

  private render(): void {
    this.view.message = this.message() ?? '';
    const { archived, everywhere } = this.list.filter;
    const scope = [archived ? 'archived' : '', everywhere ? 'all folders' : ''].filter(Boolean);
    this.view.description = scope.join(', ');
    this.changes.fire(undefined);
  }

  private message(): string | undefined {
    const { filter, loaded, problem, sessions } = this.list;
    if (this.connection.state !== 'running') {
      return this.connection.problem;
    }
    if (problem !== undefined) {
      return `The list of sessions is not current: ${problem} “Refresh” tries again.`;
    }
    if (!loaded) {
      return 'Looking for sessions…';
    }
    if (filter.query.trim() !== '') {
      const found = sessions.length === 0 ? 'No session has' : 'Sessions with';
      return `${found} “${filter.query.trim()}”`;
    }
    return filter.archived && sessions.length === 0 ? 'No session is archived.' : undefined;
  }
}
