// What a person does in the page of the chat view, done.

import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { Attachments } from './attachments';
import { itemsOf } from './cellParts';
import { copyOf } from './copying';
import type { Conversation } from './conversation';
import { FileSearch } from './fileSearch';
import { chosenFolder } from './folders';
import { targetOf } from './links';
import { textOf } from './log';
import type { Parts } from './parts';
import type { InputItem } from './protocol';
import type { Decision, Session } from './session';
import type { FromPage, ToPage } from './webviewProtocol';

/** What the chat view takes of the rest of the extension. */
export interface Around {
  /** Start the server, if it does not run. */
  readonly start: () => Promise<void>;
  readonly reviews: {
    open(session: Session, callId: string): Promise<void>;
    approve(session: Session, callId: string): Promise<void>;
  };
}

type Action = Exclude<FromPage, { type: 'ready' | 'applied' }>;

const DECISIONS = new Set<string>(['approved', 'approved_for_session', 'denied', 'abort']);

export class PageActions {
  /** What the page shows. */
  conversation: Conversation | undefined;
  private readonly files: FileSearch;

  constructor(
    private readonly parts: Parts,
    private readonly around: Around,
    private readonly attachments: Attachments,
    private readonly post: (message: ToPage) => void,
  ) {
    this.files = new FileSearch(parts.editor);
  }

  /** Do what `message` asks for. Never rejects: a failure is shown. */
  async take(message: Action): Promise<void> {
    try {
      await this.act(message);
    } catch (error) {
      this.parts.log.error(`${message.type}: ${textOf(error)}`);
      void this.parts.editor.window.showErrorMessage(`Codex: ${textOf(error)}`);
    }
  }

  private async act(message: Action): Promise<void> {
    const { commands, env, Uri } = this.parts.editor;
    switch (message.type) {
      case 'send':
        return this.send(message.text);
      case 'stop':
        return this.conversation?.session.interrupt();
      case 'answer':
        return this.answer(message.callId, message.answer);
      case 'retry':
        return this.retry(message.id);
      case 'earlier':
        return this.earlier();
      case 'full': {
        this.full(message.id);
        return;
      }
      case 'copyCell':
        return env.clipboard.writeText(copyOf(this.conversation?.get(message.id)));
      case 'copy':
        return env.clipboard.writeText(message.text);
      case 'openLink':
        return this.openLink(message.href);
      case 'openFile':
        return this.openFile(message.path, message.line);
      case 'findFiles': {
        const { query } = message;
        const found = await this.files.find(query);
        this.post({ type: 'files', query, files: found });
        return;
      }
      case 'attachFile':
        this.attachments.addFile(message.path);
        return;
      case 'attachUris':
        for (const uri of message.uris
          .split(/\r?\n/)
          .filter((line) => /^(file|vscode-)/.test(line))) {
          this.attachments.addFile(Uri.parse(uri).fsPath);
        }
        return;
      case 'attachSelection':
        this.attachments.addSelection(this.parts.editor.window.activeTextEditor);
        return;
      case 'attachImage':
        this.attachments.addImage(message.name, message.url);
        return;
      case 'pickFiles':
        return this.pickFiles();
      case 'detach':
        this.attachments.remove(message.id);
        return;
      case 'command':
        // Only what the banners offer: the page shows what others have written.
        if (message.command.startsWith('codex-rpc.')) {
          await commands.executeCommand(message.command);
        }
    }
  }

  private async send(text: string): Promise<void> {
    const taken = this.attachments.take();
    const said: InputItem[] = text === '' ? [] : [{ type: 'text', text }];
    try {
      const session = await this.session();
      if (session === undefined) {
        throw new Error('Nothing was sent: say in which folder the new session works.');
      }
      await session.send([...said, ...taken.map((each) => this.attachments.told(each))]);
      this.post({ type: 'sent' });
    } catch (error) {
      this.parts.log.error(`Not sent: ${textOf(error)}`);
      this.attachments.putBack(taken);
      this.post({ type: 'kept', text, problem: textOf(error) });
    }
  }

  /** The session to talk to: the one that is shown, opened again if need be, else a new one. */
  private async session(): Promise<Session | undefined> {
    const { editor, sessions, settings } = this.parts;
    const { current } = sessions;
    if (current !== undefined && current.status !== 'closed') {
      return current;
    }
    if (current !== undefined) {
      await this.around.start();
      return sessions.resume({ sessionId: current.id, ...settings.resumeParams() });
    }
    const cwd = await chosenFolder(editor, homedir());
    if (cwd === undefined) {
      return undefined;
    }
    await this.around.start();
    return sessions.configure(settings.configureParams(cwd));
  }

  private async answer(callId: string, answer: string): Promise<void> {
    const { conversation } = this;
    const question = conversation?.session.waiting.find(({ call_id: id }) => id === callId);
    if (conversation === undefined || question === undefined) {
      return; // It was answered elsewhere meanwhile.
    }
    const { session } = conversation;
    const isPatch = question.type === 'apply_patch_approval_request';
    if (answer === 'review') {
      await this.around.reviews.open(session, callId);
    } else if (answer === 'approved' && isPatch) {
      // What was edited in the diff editor counts.
      await this.around.reviews.approve(session, callId);
    } else if (DECISIONS.has(answer)) {
      conversation.answered(callId, answer.startsWith('approved'));
      await session.answer(callId, answer as Decision);
    }
  }

  private async retry(id: string): Promise<void> {
    const input = this.conversation?.inputBefore(id);
    const session = await this.session();
    if (input !== undefined && session !== undefined) {
      await session.send(itemsOf(input));
    }
  }

  private async earlier(): Promise<void> {
    const { conversation } = this;
    if (conversation !== undefined) {
      const cells = await conversation.earlier();
      this.post({ type: 'earlier', cells, earlier: conversation.hasEarlier });
    }
  }

  private full(id: string): void {
    const cell = this.conversation?.get(id);
    if (cell !== undefined) {
      this.post({ type: 'changes', changes: [{ type: 'put', cell }] });
    }
  }

  private async openLink(href: string): Promise<void> {
    const { env, Uri, window } = this.parts.editor;
    const target = targetOf(href, this.folder);
    if (target === undefined) {
      void window.showWarningMessage(`This link leads nowhere that can be opened: ${href}`);
    } else if (target.kind === 'web') {
      await env.openExternal(Uri.parse(target.url));
    } else {
      await this.openFile(target.path, target.line);
    }
  }

  private async openFile(path: string, line: number): Promise<void> {
    const { Position, Range, Uri, window } = this.parts.editor;
    const whole = isAbsolute(path) ? path : join(this.folder, path);
    const at = new Position(Math.max(0, line - 1), 0);
    await window.showTextDocument(Uri.file(whole), { selection: new Range(at, at) });
  }

  private async pickFiles(): Promise<void> {
    const { Uri, window } = this.parts.editor;
    const picked = await window.showOpenDialog({
      title: 'Codex: Attach Files',
      openLabel: 'Attach',
      canSelectMany: true,
      defaultUri: Uri.file(this.folder),
    });
    picked?.forEach((uri) => {
      this.attachments.addFile(uri.fsPath);
    });
    this.post({ type: 'focus' });
  }

  private get folder(): string {
    return this.conversation?.session.info.cwd ?? homedir();
  }
}
