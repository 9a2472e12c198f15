// Approvals as notifications: each question is shown once, and what a person presses there is the
// answer, unless it was given in the chat view meanwhile.

import type { Disposable } from './emitter';
import { type Log, textOf } from './log';
import type { Editor } from './editor';
import { noticeOf, type Reply } from './questions';
import type { Session, Waiting } from './session';
import type { Sessions } from './sessions';

/** When a question is a notification, too: setting `codex-rpc.approvalNotifications`. */
export type Notify = 'always' | 'whenHidden';

/** What the notifications take of the rest of the extension. */
export interface Surroundings {
  /** The person's choice, as it is now. */
  readonly notify: () => Notify;
  /** Whether the chat view is on the screen. */
  readonly isChatVisible: () => boolean;
  readonly reviews: {
    open(session: Session, callId: string): Promise<void>;
    approve(session: Session, callId: string): Promise<void>;
  };
}

type Ui = Pick<Editor, 'commands' | 'window'>;

export class Approvals implements Disposable {
  private readonly shown = new WeakSet<Waiting>();
  /** What is asked in notifications that may still be on the screen. */
  private readonly open = new Map<Waiting, Session>();
  private readonly subscription: Disposable;

  /** Shows questions from now on, until it is disposed. */
  constructor(
    private readonly ui: Ui,
    private readonly sessions: Pick<Sessions, 'onDidChange' | 'open' | 'current'>,
    private readonly around: Surroundings,
    private readonly log: Log,
  ) {
    this.subscription = sessions.onDidChange((session) => {
      if (session !== undefined) {
        this.look(session);
      }
    });
    sessions.open.forEach((session) => {
      this.look(session);
    });
  }

  dispose(): void {
    this.subscription.dispose();
  }

  private look(session: Session): void {
    this.hideAnswered(session);
    for (const question of session.waiting) {
      if (!this.shown.has(question)) {
        this.shown.add(question);
        if (this.isWanted(session)) {
          void this.ask(session, question);
        }
      }
    }
  }

  /**
   * What was answered in the view is not to be asked on the screen any more. The editor cannot take a
   * notification back, but it can put what it shows away, to where one finds it by the bell.
   */
  private hideAnswered(session: Session): void {
    const answered = [...this.open].filter(
      ([question, of]) => of === session && !session.waiting.includes(question),
    );
    answered.forEach(([question]) => this.open.delete(question));
    if (answered.length > 0) {
      void this.ui.commands.executeCommand('notifications.hideToasts');
    }
  }

  private isWanted(session: Session): boolean {
    const inView = this.around.isChatVisible() && this.sessions.current === session;
    return this.around.notify() === 'always' || !inView;
  }

  private async ask(session: Session, question: Waiting): Promise<void> {
    const { text, replies } = noticeOf(question, session.info.cwd);
    const elsewhere = this.sessions.current === session ? '' : ' (another session)';
    const titles = replies.map(({ title }) => title);
    this.open.set(question, session);
    const pressed = await this.ui.window.showWarningMessage(text + elsewhere, ...titles);
    this.open.delete(question);
    const reply = replies.find(({ title }) => title === pressed)?.reply;
    if (reply === undefined) {
      return; // It was closed; the question stays in the chat view.
    }
    if (!session.waiting.includes(question)) {
      this.ui.window.setStatusBarMessage('Codex: this question needs no answer any more', 5000);
      return;
    }
    await this.act(session, question, reply).catch((error: unknown) => {
      this.log.error(`The answer did not arrive: ${textOf(error)}`);
      void this.ui.window.showErrorMessage(
        `Your answer did not reach Codex: ${textOf(error)} Answer once more in the chat view.`,
      );
    });
  }

  private async act(session: Session, question: Waiting, reply: Reply): Promise<void> {
    switch (reply) {
      case 'review':
        return this.around.reviews.open(session, question.call_id);
      case 'show':
        this.sessions.current = session;
        await this.ui.commands.executeCommand('codex-rpc.chat.focus');
        return;
      case 'approved':
        if (question.type === 'apply_patch_approval_request') {
          return this.around.reviews.approve(session, question.call_id);
        }
        return session.answer(question.call_id, reply);
      default:
        return session.answer(question.call_id, reply);
    }
  }
}
