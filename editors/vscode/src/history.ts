// Saved items, as `session/read` gives them, as cells. The shapes are those of the model's API, in
// which ours and the Codex CLI's sessions are recorded; what is not known is shown by its name.

import type { Attachment, CallState, Cell, PatchedFile, Step } from './cells';
import { attachmentOf, counted, fields, linesIn } from './cellParts';
import type { ReadEntry } from './protocol';
import { commandLine, shown } from './questions';

interface Outcome {
  readonly text: string;
  readonly exitCode?: number;
  readonly seconds?: number;
}

/** What sessions of the Codex CLI have as messages of the user, and no user has written. */
const INJECTED = /^(<environment_context>|<user_instructions>|# AGENTS\.md instructions for )/;
const QUOTED = /^<(file|selection) path="([^"]*)"(?: lines="(\d+)-(\d+)")?>\n/;
const EXIT =
  /^(?:Chunk ID: .*\n)?(?:Exit code: (-?\d+)\n)?(?:Wall time: ([\d.]+) seconds\n)?(?:Process exited with code (-?\d+)\n)?(?:Original token count: \d+\n)?(?:Total output lines: \d+\n)?Output:\n/;
const NOT_RUN = /^(exec command rejected by user|patch rejected by user|aborted|not run: )/;

/**
 * Takes pages from the end to the beginning, each with its items in their order: an output is in
 * the same page as its call, or in one that was there before.
 */
export class History {
  private readonly outcomes = new Map<string, Outcome>();

  constructor(private readonly folder: string) {}

  /** The cells of one page. An item has the same id whichever page it comes with. */
  cells(entries: readonly ReadEntry[]): Cell[] {
    for (const { item } of entries) {
      if (text(item['type']).endsWith('_call_output')) {
        this.outcomes.set(text(item['call_id']), outcomeOf(item['output']));
      }
    }
    return entries.flatMap(({ index, item }) => this.cellsOf(`h${index}`, item));
  }

  private cellsOf(id: string, item: Readonly<Record<string, unknown>>): Cell[] {
    switch (item['type']) {
      case 'message':
        return this.message(id, item);
      case 'reasoning':
        return parts(item['summary'])
          .concat(parts(item['content']))
          .map((part, at) => ({
            kind: 'reasoning',
            id: `${id}.${at}`,
            text: text(part['text']),
            done: true,
          }));
      case 'function_call':
        return [this.call(id, item, text(item['name']), argumentsOf(item['arguments']))];
      case 'custom_tool_call':
        return [this.call(id, item, text(item['name']), { input: item['input'] })];
      case 'local_shell_call':
        return [this.call(id, item, 'shell', fields(item['action']))];
      case 'web_search_call':
        return [this.call(id, item, 'web_search', fields(item['action']))];
      default:
        return [];
    }
  }

  private message(id: string, item: Readonly<Record<string, unknown>>): Cell[] {
    const content = item['content'];
    const said = typeof content === 'string' ? [{ type: 'text', text: content }] : parts(content);
    if (item['role'] === 'assistant') {
      const words = said.map((part) => text(part['text']) || text(part['refusal'])).join('');
      return [{ kind: 'message', id, text: words, done: true }];
    }
    if (item['role'] !== 'user') {
      return [];
    }
    const texts: string[] = [];
    const attachments: Attachment[] = [];
    for (const part of said) {
      const attachment = this.attachment(part);
      if (attachment !== undefined) {
        attachments.push(attachment);
      } else if (!INJECTED.test(text(part['text']))) {
        texts.push(text(part['text']));
      }
    }
    const isEmpty = texts.length === 0 && attachments.length === 0;
    return isEmpty ? [] : [{ kind: 'user', id, text: texts.join('\n\n'), attachments }];
  }

  private attachment(part: Readonly<Record<string, unknown>>): Attachment | undefined {
    if (part['type'] === 'input_image') {
      return attachmentOf({ type: 'image', image_url: part['image_url'] }, this.folder);
    }
    const [, kind, quoted, first, last] = QUOTED.exec(text(part['text'])) ?? [];
    if (quoted === undefined) {
      return undefined;
    }
    const path = unescaped(quoted);
    const label = shown(path, this.folder);
    const lines = first === undefined ? { label } : linesIn(label, Number(first), Number(last));
    return { kind: kind === 'selection' ? 'selection' : 'file', path, ...lines };
  }

  private call(
    id: string,
    item: Readonly<Record<string, unknown>>,
    name: string,
    given: Readonly<Record<string, unknown>>,
  ): Cell {
    const outcome = this.outcomes.get(text(item['call_id']) || text(item['id']));
    const state = stateOf(outcome);
    const ran = {
      output: outcome?.text ?? '',
      state,
      ...(outcome?.seconds !== undefined && { seconds: outcome.seconds }),
    };
    const patch = patchIn(name, given);
    if (patch !== undefined) {
      const problem = state === 'failed' ? { problem: outcome?.text ?? '' } : {};
      return { kind: 'patch', id, files: this.patched(patch), state, ...problem };
    }
    const command = commandIn(given);
    if (command !== undefined) {
      const exitCode = outcome?.exitCode;
      const cwd = text(given['workdir']) || text(given['working_directory']) || this.folder;
      const exit = exitCode === undefined ? {} : { exitCode };
      return { kind: 'command', id, command, cwd, ...ran, ...exit };
    }
    const steps = name === 'update_plan' ? stepsIn(given['plan']) : undefined;
    if (steps !== undefined) {
      const explanation = text(given['explanation']);
      return { kind: 'plan', id, steps, ...(explanation && { explanation }) };
    }
    return { kind: 'tool', id, name, input: JSON.stringify(given, null, 2), ...ran };
  }

  private patched(patch: string): PatchedFile[] {
    const [, ...sections] = patch.split(/^\*\*\* (?=(?:Add|Update|Delete) File: )/m);
    return sections.map((section) => {
      const [head = '', ...lines] = section.split('\n');
      const verb = head.startsWith('Add') ? 'add' : head.startsWith('Delete') ? 'delete' : 'edit';
      const path = shown(head.replace(/^\w+ File: /, '').trim(), this.folder);
      const moved = lines.find((line) => line.startsWith('*** Move to: '));
      const diff = lines.filter((line) => !line.startsWith('*** ')).join('\n');
      return {
        path,
        verb: moved === undefined ? verb : 'move',
        ...(moved !== undefined && { to: shown(moved.slice(13).trim(), this.folder) }),
        ...counted(diff),
        diff: diff.replace(/\n$/, ''),
      };
    });
  }
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function parts(value: unknown): Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.map(fields) : [];
}

function argumentsOf(value: unknown): Readonly<Record<string, unknown>> {
  try {
    return fields(typeof value === 'string' ? JSON.parse(value) : value);
  } catch {
    return { arguments: value };
  }
}

function patchIn(name: string, given: Readonly<Record<string, unknown>>): string | undefined {
  const { command } = given;
  const isCommand = Array.isArray(command) && /^apply_?patch$/.test(text(command[0]));
  const found = isCommand ? text(command[1]) : text(given['input']) || text(given['patch']);
  const isPatch = (isCommand || name === 'apply_patch') && found.includes('*** Begin Patch');
  return isPatch ? found.replace(/\n\*\*\* End Patch[^]*$/, '\n') : undefined;
}

function commandIn(given: Readonly<Record<string, unknown>>): string | undefined {
  const command = given['command'] ?? given['cmd'];
  if (typeof command === 'string') {
    return command;
  }
  return Array.isArray(command) ? commandLine(command.map(text)) : undefined;
}

function stepsIn(value: unknown): Step[] | undefined {
  const steps = parts(value).map(({ step, status }): Step => ({
    step: text(step),
    status: status === 'completed' || status === 'in_progress' ? status : 'pending',
  }));
  return steps.length > 0 ? steps : undefined;
}

function stateOf(outcome: Outcome | undefined): CallState {
  if (outcome === undefined || NOT_RUN.test(outcome.text)) {
    return 'skipped';
  }
  return (outcome.exitCode ?? 0) === 0 ? 'done' : 'failed';
}

/** Outputs were recorded as a text, as a JSON object in a text, and as parts. */
function outcomeOf(output: unknown): Outcome {
  if (typeof output !== 'string') {
    const said = parts(output).map((part) => text(part['text']) || '[image]');
    return { text: said.length > 0 ? said.join('\n') : text(fields(output)['content']) };
  }
  const { output: inner, metadata } = output.startsWith('{') ? argumentsOf(output) : {};
  if (typeof inner === 'string') {
    const { exit_code: code, duration_seconds: seconds } = fields(metadata);
    return outcome(inner, Number(code ?? NaN), Number(seconds ?? NaN));
  }
  const [head, a, seconds, b] = EXIT.exec(output) ?? [''];
  return outcome(output.slice(head.length), Number(a ?? b ?? NaN), Number(seconds ?? NaN));
}

function outcome(said: string, exitCode: number, seconds: number): Outcome {
  return {
    text: said,
    ...(Number.isInteger(exitCode) && { exitCode }),
    ...(Number.isFinite(seconds) && { seconds }),
  };
}

function unescaped(value: string): string {
  return value
    .replaceAll('&quot;', '"')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
}
