// The chat view: shows the current session, and hands on what the person does there.

import { isAbsolute, join } from 'node:path';
import type { WebviewView, WebviewViewProvider } from 'vscode';
import { attachCommands } from './attachCommands';
import { Attachments } from './attachments';
import { pageHtml } from './chatPage';
import { type Around, PageActions } from './pageActions';
import { Conversation } from './conversation';
import type { Disposable } from './emitter';
import { excerptOf } from './excerpt';
import { folders } from './folders';
import { inputOf } from './cellParts';
import { PageFeed } from './pageFeed';
import type { Parts } from './parts';
import type { InputItem } from './protocol';
import type { Session } from './session';
import { viewState } from './viewState';
import { fromPage, type ToPage } from './webviewProtocol';

export const CHAT_VIEW = 'codex-rpc.chat';

export class ChatView implements WebviewViewProvider, Disposable {
  private readonly conversations = new Map<Session, Conversation>();
  private readonly subscriptions: Disposable[];
  private readonly attachments: Attachments;
  private readonly actions: PageActions;
  private readonly feed: PageFeed;
  private view: WebviewView | undefined;
  private following: readonly Disposable[] = [];
  private current: Conversation | undefined;
  private told = '';
  /** Texts that were not saved, for the page when it is there. */
  private returned: string[] = [];

  /** Registered until it is disposed. */
  constructor(
    private readonly parts: Parts,
    around: Around,
  ) {
    const { connection, editor, sessions } = parts;
    this.attachments = new Attachments(() => this.folder);
    this.feed = new PageFeed(
      (message) => this.post(message),
      () => this.tellState(),
    );
    this.actions = new PageActions(parts, around, this.attachments, (message) =>
      this.post(message),
    );
    const touch = (): void => this.feed.touch();
    this.subscriptions = [
      editor.window.registerWebviewViewProvider(CHAT_VIEW, this),
      sessions.onDidChange(() => this.look()),
      connection.onState(touch),
      this.attachments.onDidChange(() => this.tellChips()),
      editor.window.onDidChangeActiveTextEditor(touch),
      editor.window.onDidChangeTextEditorSelection(touch),
      ...attachCommands(editor, this.attachments, () => this.focus()),
    ];
    this.look();
  }

  /** Whether it is on the screen. */
  get isVisible(): boolean {
    return this.view?.visible ?? false;
  }

  resolveWebviewView(view: WebviewView): void {
    const { webview } = view;
    const { Uri } = this.parts.editor;
    const root = this.parts.context.extensionUri;
    const [dist, media] = [Uri.joinPath(root, 'dist'), Uri.joinPath(root, 'media')];
    this.view = view;
    webview.options = { enableScripts: true, localResourceRoots: [dist, media] };
    webview.onDidReceiveMessage((message: unknown) => this.take(message));
    view.onDidChangeVisibility(() => {
      if (!view.visible) {
        this.feed.stop(); // The page is gone, and says `ready` when it is there again.
      }
    });
    view.onDidDispose(() => {
      this.feed.stop();
      this.view = undefined;
    });
    webview.html = pageHtml({
      script: webview.asWebviewUri(Uri.joinPath(dist, 'webview.js')).toString(),
      style: webview.asWebviewUri(Uri.joinPath(media, 'chat.css')).toString(),
      source: webview.cspSource,
    });
  }

  dispose(): void {
    this.feed.stop();
    [...this.following, ...this.subscriptions].forEach((each) => each.dispose());
    this.conversations.forEach((each) => each.dispose());
  }

  private get folder(): string {
    return this.parts.sessions.current?.info.cwd ?? folders(this.parts.editor)[0] ?? '/';
  }

  /** Follow all sessions that are open, and show the current one. */
  private look(): void {
    const { sessions } = this.parts;
    const wanted = new Set([...sessions.open, ...(sessions.current ? [sessions.current] : [])]);
    for (const session of wanted) {
      if (!this.conversations.has(session)) {
        this.conversations.set(session, this.conversation(session));
      }
    }
    for (const [session, conversation] of this.conversations) {
      if (!wanted.has(session)) {
        this.conversations.delete(session);
        conversation.dispose();
      }
    }
    const current = sessions.current && this.conversations.get(sessions.current);
    if (current === this.current) {
      this.feed.touch();
    } else {
      this.show(current);
    }
  }

  private conversation(session: Session): Conversation {
    session.onGivenBack((items) => this.giveBack(items));
    return new Conversation(session, this.parts.connection, this.parts.log);
  }

  private show(conversation: Conversation | undefined): void {
    this.following.forEach((each) => each.dispose());
    this.current = conversation;
    this.actions.conversation = conversation;
    this.following =
      conversation === undefined
        ? []
        : [
            conversation.onChange((change) =>
              this.feed.add(
                change.type === 'put' ? { type: 'put', cell: excerptOf(change.cell) } : change,
              ),
            ),
            conversation.onReset(() => this.begin()),
          ];
    this.begin();
  }

  /** Tell the page everything. */
  private begin(): void {
    if (!this.isVisible || !this.feed.isStarted) {
      return;
    }
    this.told = '';
    this.feed.start([
      {
        type: 'reset',
        session: this.current?.session.id ?? '',
        cells: (this.current?.cells ?? []).map(excerptOf),
        earlier: this.current?.hasEarlier ?? false,
      },
      { type: 'chips', chips: this.attachments.chips },
    ]);
    this.tellState();
    this.tellReturned();
  }

  private take(value: unknown): void {
    const message = fromPage(value);
    if (message === undefined) {
      this.parts.log.warn('The chat view has sent what is not understood.');
      return;
    }
    switch (message.type) {
      case 'ready':
        this.feed.start([]);
        this.begin();
        break;
      case 'applied':
        this.feed.applied();
        break;
      default:
        void this.actions.take(message);
    }
  }

  private tellState(): void {
    const { connection, editor, sessions } = this.parts;
    const state = viewState(connection, sessions.current, this.suggestion(editor.window));
    const text = JSON.stringify(state);
    if (text !== this.told) {
      this.told = text;
      this.post({ type: 'state', state });
    }
  }

  private tellChips(): void {
    this.post({ type: 'chips', chips: this.attachments.chips });
    this.feed.touch();
  }

  /** What is selected, unless it is attached already. */
  private suggestion(window: Parts['editor']['window']): string | undefined {
    const label = Attachments.labelOf(window.activeTextEditor, this.folder);
    return this.attachments.chips.some((chip) => chip.label === label) ? undefined : label;
  }

  private async focus(): Promise<void> {
    await this.parts.editor.commands.executeCommand(`${CHAT_VIEW}.focus`);
    this.post({ type: 'focus' });
  }

  /** An input that was not saved: it is in the page again, to be sent or dropped. */
  private giveBack(items: readonly InputItem[]): void {
    for (const item of items) {
      if (item.type !== 'text') {
        this.attachments.addItem('path' in item ? { ...item, path: this.whole(item.path) } : item);
      }
    }
    this.returned.push(inputOf(items, this.folder).text);
    this.tellReturned();
  }

  private tellReturned(): void {
    if (this.feed.isStarted) {
      this.returned.forEach((text) => {
        this.post({ type: 'compose', text });
      });
      this.returned = [];
    }
  }

  private whole(path: string): string {
    return isAbsolute(path) ? path : join(this.folder, path);
  }

  private post(message: ToPage): void {
    void this.view?.webview.postMessage(message);
  }
}
