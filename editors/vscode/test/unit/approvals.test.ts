import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { Approvals, type Notify } from '../../src/approvals';
import type { ExecApprovalRequest } from '../../src/protocol';
import type { Session } from '../../src/session';
import { Desk, settled } from './support/desk';

const QUESTION: ExecApprovalRequest = {
  type: 'exec_approval_request',
  call_id: 'c1',
  command: ['ls'],
  cwd: '/home/me/project',
  sandbox: 'none',
  network: false,
};

/** The notifications of an editor. */
class Ui {
  readonly notifications: {
    readonly text: string;
    readonly buttons: readonly string[];
    press(button: string | undefined): void;
  }[] = [];
  readonly errors: string[] = [];
  readonly statuses: string[] = [];
  readonly executed: string[] = [];
  readonly window = {
    showWarningMessage: (text: string, ...buttons: string[]): Promise<string | undefined> =>
      new Promise((resolve) => {
        this.notifications.push({ text, buttons, press: resolve });
      }),
    showErrorMessage: (text: string): void => void this.errors.push(text),
    setStatusBarMessage: (text: string): void => void this.statuses.push(text),
  };
  readonly commands = {
    executeCommand: (command: string): Promise<void> => {
      this.executed.push(command);
      return Promise.resolve();
    },
  };

  async press(button: string | undefined): Promise<void> {
    this.notifications.at(-1)?.press(button);
    await settled();
  }
}

describe('approvals as notifications', () => {
  let desk: Desk;
  let ui: Ui;
  let session: Session;
  let notify: Notify;
  let isChatVisible: boolean;
  let reviewed: string[];
  let approvals: Approvals;

  beforeEach(async () => {
    [desk, ui, notify, isChatVisible, reviewed] = [new Desk(), new Ui(), 'always', true, []];
    session = await desk.open();
    const reviews = {
      open: (_: Session, callId: string) => Promise.resolve(void reviewed.push(`open ${callId}`)),
      approve: (_: Session, id: string) => Promise.resolve(void reviewed.push(`approve ${id}`)),
    };
    const around = { notify: () => notify, isChatVisible: () => isChatVisible, reviews };
    approvals = new Approvals(ui as never, desk.sessions, around, desk.log);
  });

  it('answers with what is pressed', async () => {
    for (const [button, decision] of [
      ['Allow Once', 'approved'],
      ['Allow for Session', 'approved_for_session'],
      ['Reject', 'denied'],
      ['Reject and Stop', 'abort'],
    ] as const) {
      desk.tell(session, { ...QUESTION });
      await ui.press(button);
      assert.deepEqual(desk.ops.at(-1), { type: 'exec_approval', id: 'c1', decision });
    }
  });

  it('shows a question once, whatever else happens in the session', () => {
    desk.tell(session, QUESTION);
    desk.tell(session, { type: 'background_event', message: 'x' });
    desk.tell(session, { type: 'background_event', message: 'y' });
    assert.equal(ui.notifications.length, 1);
  });

  it('does not answer again what was answered in the view', async () => {
    desk.tell(session, QUESTION);
    await session.answer('c1', 'denied');
    await ui.press('Allow Once');
    assert.equal(desk.ops.length, 1);
    assert.equal(ui.statuses.length, 1);
  });

  it('puts a notification away whose question was answered in the view, and no other', async () => {
    desk.tell(session, QUESTION);
    desk.tell(session, { type: 'background_event', message: 'x' });
    assert.deepEqual(ui.executed, []);
    await session.answer('c1', 'denied');
    assert.deepEqual(ui.executed, ['notifications.hideToasts']);
    desk.tell(session, { ...QUESTION });
    await ui.press('Allow Once');
    assert.equal(ui.executed.length, 1);
  });

  it('does not answer a newer question with a press that was meant for an older one', async () => {
    desk.tell(session, QUESTION);
    await session.answer('c1', 'approved');
    const older = ui.notifications[0];
    desk.tell(session, { ...QUESTION, command: ['rm', '-rf', '/'] });
    older?.press('Allow Once');
    await settled();
    assert.equal(desk.ops.length, 1);
    assert.equal(session.waiting.length, 1);
  });

  it('leaves the question to the view when it is closed', async () => {
    desk.tell(session, QUESTION);
    await ui.press(undefined);
    assert.equal(session.waiting.length, 1);
    assert.equal(desk.ops.length, 0);
  });

  it('says what to do when the answer does not arrive', async () => {
    desk.answers.set('session/submit', () => {
      throw new Error('The pipe is gone.');
    });
    desk.tell(session, QUESTION);
    await ui.press('Allow Once');
    assert.match(ui.errors[0] ?? '', /The pipe is gone\. .*chat view/);
  });

  it('can be kept for what the view does not show', async () => {
    notify = 'whenHidden';
    desk.tell(session, QUESTION);
    assert.equal(ui.notifications.length, 0);

    isChatVisible = false;
    desk.tell(session, { ...QUESTION, call_id: 'c2' });
    assert.equal(ui.notifications.length, 1);

    isChatVisible = true;
    await desk.open('session-2');
    desk.tell(session, { ...QUESTION, call_id: 'c3' });
    assert.equal(ui.notifications.length, 2);
    assert.match(ui.notifications[1]?.text ?? '', /another session/);
  });

  it('leads to the review of a patch, and accepts it with what was edited there', async () => {
    const patch = { type: 'apply_patch_approval_request', call_id: 'p1', changes: {} } as const;
    desk.tell(session, patch);
    await ui.press('Review Changes');
    desk.tell(session, { ...patch, call_id: 'p2' });
    await ui.press('Accept');
    assert.deepEqual(reviewed, ['open p1', 'approve p2']);
  });

  it('shows a command that is too long in the chat view', async () => {
    desk.tell(session, { ...QUESTION, command: ['echo', 'x'.repeat(500)] });
    await ui.press('Show in Chat');
    assert.deepEqual(ui.executed, ['codex-rpc.chat.focus']);
    assert.equal(session.waiting.length, 1);
  });

  it('asks about what was waiting before it began, and nothing after its end', async () => {
    approvals.dispose();
    desk.tell(session, QUESTION);
    assert.equal(ui.notifications.length, 0);
    const around = {
      notify: () => notify,
      isChatVisible: () => false,
      reviews: { open: () => Promise.resolve(), approve: () => Promise.resolve() },
    };
    new Approvals(ui as never, desk.sessions, around, desk.log);
    assert.equal(ui.notifications.length, 1);
    await settled();
  });
});
