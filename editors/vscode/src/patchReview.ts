// Patches in the native diff editor: shown file by file, edited there if the person wants, accepted
// or rejected as a whole or per file. The answer goes to the session; what is written is its affair.

import type { Uri } from 'vscode';
import { DocumentTabs } from './documentTabs';
import type { Editor } from './editor';
import type { Disposable } from './emitter';
import { type Log, textOf } from './log';
import { CURRENT, PROPOSED, Proposals } from './proposals';
import { shown } from './questions';
import { type PatchAnswer, Review, type ReviewedFile, type Verdict } from './review';
import type { Session } from './session';
import type { Sessions } from './sessions';

type Ui = Pick<
  Editor,
  | 'FileSystemError'
  | 'FileType'
  | 'TabInputText'
  | 'TabInputTextDiff'
  | 'Uri'
  | 'commands'
  | 'window'
  | 'workspace'
>;

/** A review that waits for its answer. */
interface Pending {
  readonly review: Review;
  readonly session: Session;
  /** What its documents have in common. */
  readonly name: string;
  /** Its answer is on its way: until that has arrived, nothing is closed. */
  answering: boolean;
}

const COMMANDS: Readonly<Record<string, (reviews: PatchReview, at: Place) => Promise<void>>> = {
  'codex-rpc.review.accept': (reviews, at) => reviews.accept(at.pending),
  'codex-rpc.review.reject': (reviews, at) => reviews.answer(at.pending, { decision: 'denied' }),
  'codex-rpc.review.rejectAndStop': (reviews, at) =>
    reviews.answer(at.pending, { decision: 'abort' }),
  'codex-rpc.review.acceptFile': (reviews, at) => reviews.decide(at, 'accepted'),
  'codex-rpc.review.rejectFile': (reviews, at) => reviews.decide(at, 'rejected'),
  'codex-rpc.review.nextFile': (reviews, at) => reviews.next(at),
};

/** A file of a review, as the person is looking at it. */
interface Place {
  readonly pending: Pending;
  readonly file: ReviewedFile;
}

/** Owns the reviews' documents and commands until it is disposed. */
export class PatchReview implements Disposable {
  private readonly pending = new Map<string, Pending>();
  private readonly proposals: Proposals;
  private readonly tabs: DocumentTabs;
  private readonly subscriptions: readonly Disposable[];

  constructor(
    private readonly ui: Ui,
    private readonly sessions: Pick<Sessions, 'onDidChange' | 'open' | 'current' | 'get'>,
    private readonly log: Log,
  ) {
    this.proposals = new Proposals(ui);
    this.tabs = new DocumentTabs(ui);
    this.subscriptions = [
      this.proposals,
      sessions.onDidChange(() => {
        this.closeAnswered();
      }),
      ui.window.tabGroups.onDidChangeTabs(() => {
        this.tellContext();
      }),
      ui.commands.registerCommand('codex-rpc.review.open', (sessionId?: string, callId?: string) =>
        this.openAny(sessionId, callId),
      ),
      ...Object.entries(COMMANDS).map(([command, run]) =>
        ui.commands.registerCommand(command, (uri?: Uri) => this.run(run, uri)),
      ),
    ];
    // What a window that was reloaded still shows is about texts that are gone.
    void this.tabs.close((uri) => uri.scheme === PROPOSED || uri.scheme === CURRENT);
  }

  /** Show the patch that `session` asks about under `callId`, at its first open file. */
  async open(session: Session, callId: string): Promise<void> {
    const pending = this.pendingOf(session, callId);
    const file = pending?.review.nextOpen('') ?? pending?.review.files[0];
    if (pending === undefined || file === undefined) {
      void this.ui.window.showInformationMessage(
        'This patch does not wait for an answer any more. What was written is in the chat view.',
      );
      return;
    }
    await this.show(pending, file);
  }

  /** Accept a patch wherever that is said: what was edited or rejected in the review counts. */
  async approve(session: Session, callId: string): Promise<void> {
    const pending = this.pendingOf(session, callId);
    if (pending !== undefined) {
      await this.accept(pending);
    }
  }

  /** Accept what is not rejected, as it stands in the editors. */
  async accept(pending: Pending): Promise<void> {
    await this.answer(pending, this.accepted(pending));
  }

  async answer(pending: Pending, { decision, ...extra }: PatchAnswer): Promise<void> {
    pending.answering = true;
    try {
      await pending.session.answer(pending.review.callId, decision, extra);
      this.pending.delete(pending.name);
      await this.close(pending.name);
    } catch (error) {
      this.log.error(`The answer to a patch did not arrive: ${textOf(error)}`);
      void this.ui.window.showErrorMessage(
        `Your answer did not reach Codex: ${textOf(error)} If it still waits, the chat view shows it.`,
      );
    } finally {
      pending.answering = false;
    }
    this.closeAnswered();
  }

  /** Decide about one file, and go on to the next; behind the last, the patch is answered. */
  async decide({ pending, file }: Place, verdict: Verdict): Promise<void> {
    pending.review.decide(file.path, verdict);
    const next = pending.review.nextOpen(file.path);
    await (next === undefined ? this.accept(pending) : this.show(pending, next));
  }

  /** Show the file behind this one, without deciding. */
  async next({ pending, file }: Place): Promise<void> {
    const { files } = pending.review;
    const next = files[(files.indexOf(file) + 1) % files.length];
    if (next !== undefined) {
      await this.show(pending, next);
    }
  }

  dispose(): void {
    this.subscriptions.forEach((each) => {
      each.dispose();
    });
  }

  private async show(pending: Pending, file: ReviewedFile): Promise<void> {
    const { review, session, name } = pending;
    const { commands } = this.ui;
    const path = pathOf(pending, file);
    const title = review.title(file, session.info.cwd);
    if (file.diff !== undefined) {
      const text = this.proposals.show(name, path, file.diff);
      await commands.executeCommand('vscode.open', text, { preview: false }, title);
      return;
    }
    const old = this.proposals.show(name, path, file.old ?? '');
    const proposed = this.proposals.propose(name, path, file.proposed ?? '');
    await commands.executeCommand('vscode.diff', old, proposed, title, { preview: false });
  }

  private async openAny(sessionId?: string, callId?: string): Promise<void> {
    const session = sessionId === undefined ? this.sessions.current : this.sessions.get(sessionId);
    const patch = session?.waiting.find(
      (one) =>
        one.type === 'apply_patch_approval_request' &&
        (callId === undefined || one.call_id === callId),
    );
    if (session === undefined || patch === undefined) {
      void this.ui.window.showInformationMessage(
        'Codex has proposed no change that waits for you.',
      );
      return;
    }
    await this.open(session, patch.call_id);
  }

  private pendingOf(session: Session, callId: string): Pending | undefined {
    const request = session.waiting.find((one) => one.call_id === callId);
    if (request?.type !== 'apply_patch_approval_request') {
      return undefined;
    }
    const name = `${session.id}-${callId}`.replace(/[^\w-]/g, '_');
    const known = this.pending.get(name);
    if (known?.review.request === request) {
      return known;
    }
    const pending = { review: new Review(request), session, name, answering: false };
    this.proposals.drop(name); // Of an older request under the same id, before the server died.
    this.pending.set(name, pending);
    return pending;
  }

  private async run(run: (typeof COMMANDS)[string], uri: Uri | undefined): Promise<void> {
    const place = this.placeOf(uri ?? this.tabs.activeUri());
    if (place === undefined) {
      await this.openAny(); // From the palette, with no review in front.
      return;
    }
    await run(this, place);
  }

  private placeOf(uri: Uri | undefined): Place | undefined {
    const pending =
      uri && [...this.pending.values()].find(({ name }) => this.proposals.isOf(uri, name));
    const path = uri?.path.replace(/^\//, '');
    const file = pending?.review.files.find((one) => pathOf(pending, one) === path);
    return pending && file && { pending, file };
  }

  /** Buttons for single files are shown only where there are several. */
  private tellContext(): void {
    const place = this.placeOf(this.tabs.activeUri());
    const several = (place?.pending.review.files.length ?? 0) > 1;
    void this.ui.commands.executeCommand('setContext', 'codex-rpc.reviewOfSeveral', several);
  }

  /** The answer that the editors give. */
  private accepted(pending: Pending): PatchAnswer {
    const texts = new Map<string, string>();
    for (const file of pending.review.files) {
      const text = this.proposals.text(pending.name, pathOf(pending, file));
      if (text !== undefined) {
        texts.set(file.path, text);
      }
    }
    return pending.review.answer(texts);
  }

  private closeAnswered(): void {
    for (const pending of this.pending.values()) {
      const { review, session, name } = pending;
      if (pending.answering || session.waiting.includes(review.request)) {
        continue;
      }
      this.pending.delete(name);
      const goesOn = session.status === 'running' || session.status === 'waiting';
      if (goesOn || this.accepted(pending).edited === undefined) {
        void this.close(name);
      } else {
        // Nobody has answered: the turn was stopped, or the server died.
        void this.ui.window.showWarningMessage(
          'Codex does not wait for this patch any more. What you have written into it stays open, ' +
            'so that you can copy it.',
        );
      }
    }
  }

  private async close(name: string): Promise<void> {
    await this.proposals.settle(name);
    await this.tabs.close((uri) => this.proposals.isOf(uri, name));
    this.proposals.drop(name);
  }
}

/** Where a person finds the file: in the session's folder, else from the root. */
function pathOf({ session }: Pending, file: ReviewedFile): string {
  const path = shown(file.to, session.info.cwd).replaceAll('\\', '/').replace(/^\//, '');
  return file.diff === undefined ? path : `${path}.diff`;
}
