// The other side: the extension, and what the editor keeps for the page.

import type { FromPage, ToPage } from '../webviewProtocol';

/** What the page remembers while it is hidden, and over a reload of the window. */
export interface Memory {
  readonly draft: string;
  /** What was said lately, the newest last. */
  readonly said: readonly string[];
  /** Cells that the person has opened or folded. */
  readonly folds: Readonly<Record<string, boolean>>;
  /** How far from its end the conversation was read; 0: it follows what comes. */
  readonly fromEnd: number;
}

interface VsCodeApi {
  postMessage(message: FromPage): void;
  getState(): Partial<Memory> | undefined;
  setState(state: Memory): void;
}

declare function acquireVsCodeApi(): VsCodeApi;

const NOTHING: Memory = { draft: '', said: [], folds: {}, fromEnd: 0 };

export class Host {
  private readonly api = acquireVsCodeApi();
  memory: Memory = { ...NOTHING, ...this.api.getState() };

  post(message: FromPage): void {
    this.api.postMessage(message);
  }

  remember(part: Partial<Memory>): void {
    this.memory = { ...this.memory, ...part };
    this.api.setState(this.memory);
  }

  onMessage(handler: (message: ToPage) => void): void {
    window.addEventListener('message', (event: MessageEvent<ToPage>) => {
      handler(event.data);
    });
  }
}
