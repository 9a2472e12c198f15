// Parts of cells, made of what events and saved items say.

import type { Attachment, PatchedFile, UserCell } from './cells';
import type { ApplyPatchApprovalRequest, Duration, InputItem, TextRange } from './protocol';
import { shown } from './questions';

type Changes = ApplyPatchApprovalRequest['changes'];

/** An input's text, and what was sent along with it; paths are told relative to `folder`. */
export function inputOf(
  items: readonly unknown[],
  folder: string,
): { text: string; attachments: Attachment[] } {
  const texts: string[] = [];
  const attachments: Attachment[] = [];
  for (const item of items) {
    const { type, text } = fields(item);
    if (type === 'text' && typeof text === 'string') {
      texts.push(text);
    } else {
      const attachment = attachmentOf(item, folder);
      if (attachment !== undefined) {
        attachments.push(attachment);
      }
    }
  }
  return { text: texts.join('\n\n'), attachments };
}

/** What an input item other than a text is shown as. */
export function attachmentOf(item: unknown, folder: string): Attachment | undefined {
  const { type, path, range, image_url: url } = fields(item);
  if (type === 'image' && typeof url === 'string') {
    return { kind: 'image', label: 'image', url };
  }
  if (typeof path !== 'string') {
    return undefined;
  }
  const label = shown(path, folder);
  if (type === 'local_image') {
    return { kind: 'image', label, path };
  }
  if (!isRange(range)) {
    return { kind: 'file', label, path };
  }
  const kind = type === 'selection' ? 'selection' : 'file';
  return { kind, path, ...linesIn(label, ...linesOf(range)) };
}

/** What a part of a file is called, with its lines. */
export function linesIn(
  label: string,
  line: number,
  lastLine: number,
): Pick<Attachment, 'label' | 'line' | 'lastLine'> {
  const lines = line === lastLine ? String(line) : `${line}-${lastLine}`;
  return { label: `${label}:${lines}`, line, lastLine };
}

/** The first and the last line as a person counts them. */
function linesOf({ start, end }: TextRange): [number, number] {
  // A range that ends before the first character of a line has nothing of that line.
  const isBefore = end.character === 0 && end.line > start.line;
  return [start.line + 1, isBefore ? end.line : end.line + 1];
}

/** An input to be sent once more. A part of a file is read anew. */
export function itemsOf({ text, attachments }: UserCell): InputItem[] {
  const items = attachments.map(({ kind, path, url, line, lastLine }): InputItem | undefined => {
    if (path === undefined) {
      return url === undefined ? undefined : { type: 'image', image_url: url };
    }
    if (kind === 'image') {
      return { type: 'local_image', path };
    }
    if (line === undefined) {
      return { type: 'mention', path };
    }
    const end = { line: lastLine ?? line, character: 0 };
    return { type: 'mention', path, range: { start: { line: line - 1, character: 0 }, end } };
  });
  return [
    ...(text === '' ? [] : [{ type: 'text' as const, text }]),
    ...items.filter((item) => item !== undefined),
  ];
}

/** The files of a patch, with what is done to each. */
export function patchedFiles(changes: Changes, folder: string): PatchedFile[] {
  return Object.entries(changes).map(([path, change]) => {
    const name = shown(path, folder);
    if (change === 'delete') {
      return { path: name, verb: 'delete', added: 0, removed: 0, diff: '' };
    }
    if ('add' in change) {
      const lines = change.add.content.replace(/\n$/, '').split('\n');
      const diff = lines.map((line) => `+${line}`).join('\n');
      return { path: name, verb: 'add', added: lines.length, removed: 0, diff };
    }
    const { unified_diff: diff, move_path: to } = change.update;
    return {
      path: name,
      ...(to === null ? { verb: 'edit' } : { verb: 'move', to: shown(to, folder) }),
      ...counted(diff),
      diff,
    };
  });
}

/** How many lines a diff adds and removes. */
export function counted(diff: string): { added: number; removed: number } {
  const lines = diff.split('\n').filter((line) => !/^(\+\+\+|---) /.test(line));
  return {
    added: lines.filter((line) => line.startsWith('+')).length,
    removed: lines.filter((line) => line.startsWith('-')).length,
  };
}

export function secondsOf({ secs, nanos }: Duration): number {
  return secs + nanos / 1e9;
}

/** What a tool gave back: its texts, or everything as JSON. */
export function toolOutput(result: Readonly<Record<string, unknown>>): string {
  const outcome = 'Err' in result ? result['Err'] : result['Ok'];
  if (typeof outcome === 'string') {
    return outcome;
  }
  const { content } = fields(outcome);
  const parts: readonly unknown[] = Array.isArray(content) ? content : [];
  const texts = parts.map((part) => fields(part)['text']);
  const isText = texts.length > 0 && texts.every((text) => typeof text === 'string');
  return isText ? texts.join('\n') : JSON.stringify(outcome, null, 2);
}

/** The members of a JSON object; of anything else, none. */
export function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function isRange(value: unknown): value is TextRange {
  const { start, end } = fields(value);
  return [fields(start)['line'], fields(end)['line']].every((line) => typeof line === 'number');
}
