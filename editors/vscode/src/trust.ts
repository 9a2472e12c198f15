// Nothing runs in a workspace that the person does not trust: until then there is a view that says
// so, and nothing else of the extension exists.

import type { TreeDataProvider } from 'vscode';
import type { Editor } from './editor';

interface Ui {
  readonly commands: Pick<Editor['commands'], 'executeCommand'>;
  readonly window: Pick<Editor['window'], 'registerTreeDataProvider'>;
  readonly workspace: Pick<Editor['workspace'], 'isTrusted' | 'onDidGrantWorkspaceTrust'>;
}

interface Owner {
  readonly subscriptions: { dispose(): unknown }[];
}

/** Calls `begin` now if the workspace is trusted, else when it is. */
export function whenTrusted(ui: Ui, owner: Owner, begin: () => void): void {
  if (ui.workspace.isTrusted) {
    begin();
    return;
  }
  // A key of our own: the editor's is not set yet while it starts, in a trusted workspace too.
  const restrict = (is: boolean): void =>
    void ui.commands.executeCommand('setContext', 'codex-rpc.restricted', is);
  restrict(true);
  owner.subscriptions.push(
    // Empty, so that the view shows its welcome; see "viewsWelcome" in package.json.
    ui.window.registerTreeDataProvider('codex-rpc.untrusted', new Nothing()),
    ui.workspace.onDidGrantWorkspaceTrust(() => {
      restrict(false);
      begin();
    }),
  );
}

class Nothing implements TreeDataProvider<never> {
  getChildren(): never[] {
    return [];
  }

  getTreeItem(element: never): never {
    return element;
  }
}
