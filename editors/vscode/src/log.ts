// What parts write to, and what a person reads in "Output: Codex".

/** As the editor's LogOutputChannel: the level that is shown is the person's choice. */
export interface Log {
  trace(message: string): void;
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** What an error says, for a log or a message. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
