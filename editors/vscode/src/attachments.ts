// What is sent along with the next input.

import type { TextEditor } from 'vscode';
import { attachmentOf } from './cellParts';
import { Emitter } from './emitter';
import type { InputItem, SelectionInput } from './protocol';
import { shown } from './questions';
import type { Chip } from './webviewProtocol';

/** Something that is sent along; paths are absolute. */
export interface Attached {
  readonly id: string;
  readonly item: InputItem;
  readonly label?: string;
}

const IMAGE = /^data:image\/(png|jpeg|gif|webp);base64,/;
const IMAGE_FILE = /\.(png|jpe?g|gif|webp)$/i;

export class Attachments {
  private readonly changes = new Emitter<undefined>();
  private attached: Attached[] = [];
  private made = 0;

  /** `folder` says what paths are relative to. */
  constructor(private readonly folder: () => string) {}

  readonly onDidChange = this.changes.on;

  get chips(): readonly Chip[] {
    return this.attached.flatMap(({ id, item, label }) => {
      const known = attachmentOf(item, this.folder());
      return known === undefined ? [] : [{ ...known, ...(label !== undefined && { label }), id }];
    });
  }

  /** A file as a whole; an image is shown to the model, any other is read. */
  addFile(path: string): void {
    const type = IMAGE_FILE.test(path) ? 'local_image' : 'mention';
    this.add({ type, path });
  }

  /** What is selected in `editor`; false if that is nothing. */
  addSelection(editor: TextEditor | undefined): boolean {
    const item = selectionIn(editor);
    if (editor !== undefined && item !== undefined) {
      this.add({ ...item, text: editor.document.getText(editor.selection) });
    }
    return item !== undefined;
  }

  /** What the selection in `editor` is called; undefined if there is none. */
  static labelOf(editor: TextEditor | undefined, folder: string): string | undefined {
    const item = selectionIn(editor);
    return item && attachmentOf(item, folder)?.label;
  }

  /** A picture as a `data:` URL; false if it is none. */
  addImage(name: string, url: string): boolean {
    if (!IMAGE.test(url)) {
      return false;
    }
    this.add({ type: 'image', image_url: url }, name || 'image');
    return true;
  }

  addItem(item: InputItem): void {
    this.add(item);
  }

  remove(id: string): void {
    this.attached = this.attached.filter((each) => each.id !== id);
    this.changes.fire(undefined);
  }

  /** Everything, which is attached no longer. */
  take(): readonly Attached[] {
    const taken = this.attached;
    this.attached = [];
    this.changes.fire(undefined);
    return taken;
  }

  /** What was taken could not be sent. */
  putBack(taken: readonly Attached[]): void {
    this.attached = [...taken, ...this.attached];
    this.changes.fire(undefined);
  }

  /** As the model is told of it: paths are short, if they are in the session's folder. */
  told({ item }: Attached): InputItem {
    return 'path' in item ? { ...item, path: shown(item.path, this.folder()) } : item;
  }

  private add(item: InputItem, label?: string): void {
    const text = JSON.stringify(item);
    if (this.attached.every((each) => JSON.stringify(each.item) !== text)) {
      this.made += 1;
      const id = String(this.made);
      this.attached.push({ id, item, ...(label !== undefined && { label }) });
      this.changes.fire(undefined);
    }
  }
}

function selectionIn(editor: TextEditor | undefined): SelectionInput | undefined {
  if (editor?.document.uri.scheme !== 'file' || editor.selection.isEmpty) {
    return undefined;
  }
  const { document, selection } = editor;
  const { start, end } = selection;
  return {
    type: 'selection',
    path: document.uri.fsPath,
    range: {
      start: { line: start.line, character: start.character },
      end: { line: end.line, character: end.character },
    },
  };
}
