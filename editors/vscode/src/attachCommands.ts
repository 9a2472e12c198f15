// The commands that send something along from where a person is: a selection, a file.

import type { Attachments } from './attachments';
import type { Editor } from './editor';
import type { Disposable } from './emitter';

type Ui = Pick<Editor, 'commands' | 'Uri' | 'window'>;

/** Registered until they are disposed; `focus` brings the chat view to the front. */
export function attachCommands(
  ui: Ui,
  attachments: Attachments,
  focus: () => Promise<void>,
): readonly Disposable[] {
  const { commands, Uri, window } = ui;
  const tell = (first: string): void => {
    const text = `${first}: it is sent along with your next message.`;
    void window.showInformationMessage(text);
  };
  return [
    commands.registerCommand('codex-rpc.addSelection', async () => {
      if (attachments.addSelection(window.activeTextEditor)) {
        await focus();
      } else {
        tell('Select something in a file first');
      }
    }),
    commands.registerCommand('codex-rpc.addFile', async (given: unknown) => {
      // From the explorer it is the file there, else the one in front.
      const uri = given instanceof Uri ? given : window.activeTextEditor?.document.uri;
      if (uri?.scheme === 'file') {
        attachments.addFile(uri.fsPath);
        await focus();
      } else {
        tell('Open a file first');
      }
    }),
  ];
}
