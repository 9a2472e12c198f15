// Saves files with unsaved changes before a command reads them, if the person wants that.

import type { TextDocument } from 'vscode';
import type { Editor } from './editor';

interface Ui {
  readonly workspace: Pick<Editor['workspace'], 'asRelativePath' | 'textDocuments'>;
  readonly window: Pick<Editor['window'], 'showWarningMessage'>;
}

const SHOWN = 5;

/** Answers `codex/saveDocuments {uris, ask}` with `{saved}`: the URIs of what is saved now. */
export async function saveDocuments(ui: Ui, params: unknown): Promise<{ saved: string[] }> {
  const { uris, ask } = (params ?? {}) as { uris?: unknown; ask?: unknown };
  const wanted = new Set(Array.isArray(uris) ? uris.map(String) : []);
  const documents = ui.workspace.textDocuments.filter((each) => wanted.has(each.uri.toString()));
  const dirty = documents.filter((each) => each.isDirty);
  if (dirty.length > 0 && ask !== false && !(await isAllowed(ui, dirty))) {
    return { saved: [] };
  }
  const saved: string[] = [];
  for (const document of documents) {
    // What was saved meanwhile is saved, whoever did it.
    if (!document.isDirty || (await document.save())) {
      saved.push(document.uri.toString());
    }
  }
  return { saved };
}

async function isAllowed(ui: Ui, dirty: readonly TextDocument[]): Promise<boolean> {
  const names = dirty.map(({ uri }) => ui.workspace.asRelativePath(uri));
  const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : '';
  const message =
    `Codex is about to run a command, which sees files as they are on disk. Save ` +
    `${names.slice(0, SHOWN).join(', ')}${more} first?`;
  const answer = await ui.window.showWarningMessage(message, 'Save', 'Do Not Save');
  return answer === 'Save';
}
