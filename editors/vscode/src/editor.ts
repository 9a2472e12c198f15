// The one module that has the editor's API. All others take what they need of it by constructor,
// so that they run in plain node.

import * as vscode from 'vscode';

/** The editor; a part says what it takes: `Pick<Editor, 'window' | 'commands'>`. */
export type Editor = typeof vscode;

export const editor: Editor = vscode;
