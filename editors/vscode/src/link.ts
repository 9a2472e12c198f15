// One connection to one running server. Made by languageLink.ts in the editor, and over plain
// vscode-jsonrpc in the tests.

import type { Disposable } from './emitter';

/** What a server says of itself when it is greeted. */
export interface ServerInfo {
  readonly version: string;
  readonly protocolVersion: number | undefined;
  readonly providers: readonly string[];
}

export interface Link {
  readonly info: ServerInfo;
  /** Rejects with `{code, message, data}` if the server refuses, else when the link is closed. */
  request(method: string, params: unknown): Promise<unknown>;
  /** Called once, with what is known of why, when the server is gone without having been told. */
  onClosed(handler: (reason: string) => void): Disposable;
  /** Say good-bye, wait for the process to end, and end it if it does not. Never rejects. */
  stop(): Promise<void>;
}

/** A program to start, with its arguments. */
export interface Program {
  readonly path: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Starts the program and greets it. `onEvent` gets the parameters of each `session/event`.
 * Rejects, with nothing left running, if that does not work.
 */
export type Connect = (program: Program, onEvent: (params: unknown) => void) => Promise<Link>;
