// What VS Code calls. Everything else begins once the workspace is trusted.

import type { ExtensionContext } from 'vscode';
import { editor } from './editor';
import { Extension } from './extension';
import { whenTrusted } from './trust';

let extension: Extension | undefined;

export function activate(context: ExtensionContext): void {
  whenTrusted(editor, context, () => {
    extension = new Extension(editor, context);
    context.subscriptions.push(extension);
    void extension.begin();
  });
}

/** The server saves its sessions and ends before the editor does. */
export async function deactivate(): Promise<void> {
  await extension?.end();
}
