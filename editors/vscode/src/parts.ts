// What main.ts hands to each part of the extension.

import type { ExtensionContext } from 'vscode';
import type { Connection } from './connection';
import type { Editor } from './editor';
import type { Log } from './log';
import type { Sessions } from './sessions';
import type { Settings } from './settings';

export interface Parts {
  readonly editor: Editor;
  readonly context: ExtensionContext;
  readonly connection: Connection;
  readonly sessions: Sessions;
  readonly settings: Settings;
  readonly log: Log;
}
