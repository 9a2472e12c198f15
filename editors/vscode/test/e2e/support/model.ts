// The scripted model: what it answers, said in a line each, and its process.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const SERVER = join(__dirname, '../../../../../tests/editors/model_process.py');

type Event = Record<string, unknown>;

/** One answer of the model. */
export interface Response {
  readonly events: readonly Event[];
}

/** One answer, of the given parts. */
export function answer(...parts: readonly (readonly Event[])[]): Response {
  const response = { id: 'resp', output: [], usage: USAGE };
  const created = { type: 'response.created', response: { id: 'resp' } };
  return { events: [created, ...parts.flat(), { type: 'response.completed', response }] };
}

const USAGE = { input_tokens: 1200, output_tokens: 80, total_tokens: 1280 };
let items = 0;

/** A message, streamed in `pieces`. */
export function text(...pieces: readonly string[]): readonly Event[] {
  const id = `msg_${++items}`;
  const item = { type: 'message', id, role: 'assistant' };
  const content = [{ type: 'output_text', text: pieces.join(''), annotations: [] }];
  return [
    { type: 'response.output_item.added', item: { ...item, content: [] } },
    ...pieces.map((delta) => ({ type: 'response.output_text.delta', item_id: id, delta })),
    { type: 'response.output_item.done', item: { ...item, content } },
  ];
}

/** A message that stops after `before` until `name` is released. */
export function heldText(name: string, before: string, after: string): readonly Event[] {
  const [added, first, second, done] = text(before, after);
  return [added, first, { hold: name }, second, done].filter((event) => event !== undefined);
}

/** A summary of what the model thinks. */
export function reasoning(summary: string): readonly Event[] {
  const id = `rs_${++items}`;
  const item = { type: 'reasoning', id, summary: [{ type: 'summary_text', text: summary }] };
  const delta = { item_id: id, summary_index: 0, delta: summary };
  return [
    { type: 'response.output_item.added', item: { ...item, summary: [] } },
    { type: 'response.reasoning_summary_text.delta', ...delta },
    { type: 'response.output_item.done', item },
  ];
}

/** A call of the shell. */
export function shell(command: readonly string[], more: object = {}): readonly Event[] {
  return call('shell', { command, ...more });
}

/** A patch, in the tool's own format between its first and last line. */
export function patch(...lines: readonly string[]): readonly Event[] {
  const whole = ['*** Begin Patch', ...lines, '*** End Patch'].join('\n');
  return call('shell', { command: ['apply_patch', whole] });
}

/** The checklist. */
export function plan(steps: Readonly<Record<string, string>>): readonly Event[] {
  const list = Object.entries(steps).map(([step, status]) => ({ step, status }));
  return call('update_plan', { plan: list });
}

function call(name: string, given: object): readonly Event[] {
  const id = `call_${++items}`;
  const item = { type: 'function_call', id: `fc_${items}`, call_id: id, name };
  return [
    { type: 'response.output_item.done', item: { ...item, arguments: JSON.stringify(given) } },
  ];
}

/** The process; `folder` gets its script and its log. */
export class Model {
  private constructor(
    private readonly process: ChildProcess,
    private readonly log: string,
    readonly port: number,
  ) {}

  static async start(folder: string, responses: readonly Response[]): Promise<Model> {
    const script = join(folder, 'script.json');
    const log = join(folder, 'model.log');
    const fallback = answer(text('There is nothing more in the script.'));
    writeFileSync(script, JSON.stringify({ responses, default: fallback }));
    const python = process.env['PYTHON'] ?? 'python3';
    const child = spawn(python, [SERVER, script, log], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout });
    const [line] = (await Promise.race([
      once(lines, 'line'),
      once(child, 'exit').then(() => {
        throw new Error('the scripted model server did not start');
      }),
    ])) as [string];
    return new Model(child, log, Number(line));
  }

  /** Let `heldText(name, …)` go on, now or when it is reached. */
  release(name: string): void {
    this.process.stdin?.write(`${name}\n`);
  }

  /** The bodies of what was asked so far, as text. */
  get requests(): readonly string[] {
    const lines = existsSync(this.log) ? readFileSync(this.log, 'utf8').split('\n') : [];
    return lines.filter((line) => line.includes('"body"'));
  }

  async stop(): Promise<void> {
    this.process.stdin?.end();
    if (this.process.exitCode === null) {
      await once(this.process, 'exit');
    }
  }
}
