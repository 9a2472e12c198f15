// Which folder a new session works in.

import type { Editor } from './editor';

interface Ui {
  readonly window: Pick<Editor['window'], 'activeTextEditor' | 'showQuickPick'>;
  readonly workspace: Pick<Editor['workspace'], 'getWorkspaceFolder' | 'workspaceFolders'>;
}

/** The paths of the window's folders. */
export function folders({ workspace }: Pick<Ui, 'workspace'>): readonly string[] {
  return (workspace.workspaceFolders ?? []).map(({ uri }) => uri.fsPath);
}

/** The folder of the file in front, else the first one; the person's home without folders. */
export function likelyFolder(ui: Ui, home: string): string {
  const document = ui.window.activeTextEditor?.document.uri;
  const folder = document && ui.workspace.getWorkspaceFolder(document);
  return folder?.uri.fsPath ?? folders(ui)[0] ?? home;
}

/** Asks if there is more than one; undefined if the person does not say. */
export async function chosenFolder(ui: Ui, home: string): Promise<string | undefined> {
  const likely = likelyFolder(ui, home);
  const others = ui.workspace.workspaceFolders ?? [];
  if (others.length < 2) {
    return likely;
  }
  const items = others
    .map(({ name, uri }) => ({ label: name, description: uri.fsPath, path: uri.fsPath }))
    .sort((a, b) => Number(b.path === likely) - Number(a.path === likely));
  const options = { title: 'Codex: New Session', placeHolder: 'In which folder does it work?' };
  return (await ui.window.showQuickPick(items, options))?.path;
}
