// One patch that a person looks at before it is written: its files, what is decided about each, and
// the answer that comes of it. Knows no editor.

import type { ApplyPatchApprovalRequest } from './protocol';
import { shown } from './questions';

/** A file of the patch. */
export interface ReviewedFile {
  /** As the patch names it; the key in the answer. */
  readonly path: string;
  /** Where it will be; the same as `path` unless it is moved. */
  readonly to: string;
  readonly old: string | null;
  /** What was proposed; null: the file is to be deleted. */
  readonly proposed: string | null;
  /** The change as text, where the file's whole texts are not known; it cannot be edited then. */
  readonly diff?: string;
}

const BOM = '\uFEFF';

export type Verdict = 'accepted' | 'rejected';

/** What goes into the op `patch_approval` beside the decision. */
export interface PatchAnswer {
  readonly decision: 'approved' | 'denied' | 'abort';
  readonly edited?: Record<string, string>;
  readonly hunks?: Record<string, number[]>;
}

export class Review {
  readonly files: readonly ReviewedFile[];
  private readonly verdicts = new Map<string, Verdict>();

  constructor(readonly request: ApplyPatchApprovalRequest) {
    this.files = Object.entries(request.changes).map(([path, change]) => {
      const texts = request.files?.[path];
      const moved =
        typeof change === 'object' && 'update' in change ? change.update.move_path : null;
      const to = moved ?? path;
      return texts === undefined
        ? { path, to, old: null, proposed: null, diff: diffOf(path, change) }
        : { path, to, old: texts.old_text, proposed: texts.new_text };
    });
  }

  get callId(): string {
    return this.request.call_id;
  }

  verdict(path: string): Verdict | undefined {
    return this.verdicts.get(path);
  }

  /** Decide about one file; it may be decided anew until the patch is answered. */
  decide(path: string, verdict: Verdict): void {
    this.verdicts.set(path, verdict);
  }

  /** The first file behind `path`, then from the beginning, that is not decided. */
  nextOpen(path: string): ReviewedFile | undefined {
    const at = this.files.findIndex((file) => file.path === path) + 1;
    const inOrder = [...this.files.slice(at), ...this.files.slice(0, at)];
    return inOrder.find((file) => !this.verdicts.has(file.path));
  }

  /**
   * What to answer once everything that is not rejected is wanted. `texts` are the texts of the
   * proposed files as they stand in the editor, by path; a file that was not opened is not in it.
   */
  answer(texts: ReadonlyMap<string, string>): PatchAnswer {
    const wanted = this.files.filter((file) => this.verdicts.get(file.path) !== 'rejected');
    if (wanted.length === 0) {
      return { decision: 'denied' };
    }
    const edited: Record<string, string> = {};
    const hunks: Record<string, number[]> = {};
    for (const file of this.files) {
      const text = texts.get(file.path);
      if (!wanted.includes(file)) {
        hunks[file.path] = [];
      } else if (file.diff === undefined && text !== undefined && isEdited(file, text)) {
        edited[file.path] = (file.proposed?.startsWith(BOM) ?? false) ? BOM + text : text;
      }
    }
    return {
      decision: 'approved',
      ...(Object.keys(edited).length > 0 ? { edited } : {}),
      ...(Object.keys(hunks).length > 0 ? { hunks } : {}),
    };
  }

  /** The title of the editor that shows `file`. */
  title(file: ReviewedFile, folder: string): string {
    const name = shown(file.to, folder);
    const from = file.to === file.path ? name : `${shown(file.path, folder)} → ${name}`;
    const at = this.files.indexOf(file) + 1;
    const place = this.files.length > 1 ? ` (${at} of ${this.files.length})` : '';
    return `Codex: ${doing(file)} ${from}${place}`;
  }
}

/** Whether a person has changed what was proposed; a file that is to go has no text. */
function isEdited(file: ReviewedFile, text: string): boolean {
  return sameInEditor(text) !== sameInEditor(file.proposed ?? '');
}

/** An editor takes the mark at the beginning away, and makes all line ends the same. */
function sameInEditor(text: string): string {
  return text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n');
}

function doing(file: ReviewedFile): string {
  if (file.diff !== undefined) {
    return 'Change';
  }
  if (file.proposed === null) {
    return 'Delete';
  }
  return file.old === null ? 'Add' : 'Edit';
}

function diffOf(path: string, change: ApplyPatchApprovalRequest['changes'][string]): string {
  if (change === 'delete') {
    return `--- ${path}\n+++ /dev/null\n`;
  }
  if ('add' in change) {
    const lines = change.add.content.split('\n').map((line) => `+${line}`);
    return `--- /dev/null\n+++ ${path}\n${lines.join('\n')}\n`;
  }
  const to = change.update.move_path ?? path;
  return `--- ${path}\n+++ ${to}\n${change.update.unified_diff}`;
}
