// Puts together what a person sees and uses: the chat view, approvals, reviews of patches, the tree of
// sessions, code actions.

import { Approvals, type Notify } from './approvals';
import { ChatView } from './chatView';
import { CodeActions, type ExecuteCommand } from './codeActions';
import type { Disposable } from './emitter';
import type { Parts } from './parts';
import { PatchReview } from './patchReview';
import { SessionCommands } from './sessionCommands';
import { SessionList } from './sessionList';
import { SessionsTree } from './sessionsTree';

/** What these parts need beside what all get. */
export interface Neighbours {
  /** Start the server, if it does not run. */
  readonly start: () => Promise<void>;
  /** Of the language client; the code actions add to it. */
  readonly middleware: { executeCommand?: ExecuteCommand };
}

/** The parts, at work; whoever calls this disposes them. */
export function contribute(parts: Parts, around: Neighbours): readonly Disposable[] {
  const { connection, editor, log, sessions, settings } = parts;
  const notify = (): Notify =>
    editor.workspace.getConfiguration('codex-rpc').get<Notify>('approvalNotifications', 'always');
  const folders = (): string[] =>
    (editor.workspace.workspaceFolders ?? []).map(({ uri }) => uri.fsPath);
  const resumeConfig = (): ReturnType<typeof settings.resumeParams> => settings.resumeParams();
  const reviews = new PatchReview(editor, sessions, log);
  const chat = new ChatView(parts, { start: around.start, reviews });
  const surroundings = { notify, isChatVisible: () => chat.isVisible, reviews };
  const approvals = new Approvals(editor, sessions, surroundings, log);
  const list = new SessionList(connection, folders);
  const tree = new SessionsTree(editor, list, sessions, connection);
  const commands = new SessionCommands({ ui: editor, connection, sessions, list, resumeConfig });
  const actions = new CodeActions(editor, sessions, connection, (cwd) =>
    settings.configureParams(cwd),
  );
  around.middleware.executeCommand = actions.middleware;
  const onFolders = editor.workspace.onDidChangeWorkspaceFolders(() => void list.refresh());
  return [reviews, chat, approvals, list, tree, commands, actions, onFolders];
}
