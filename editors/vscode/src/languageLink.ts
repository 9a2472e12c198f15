// A link through vscode-languageclient, so that the server sees documents as they are in the
// editor, offers code actions and edits through the editor, with `session/*` on the same wire.

import type { LogOutputChannel } from 'vscode';
import {
  CloseAction,
  ErrorAction,
  type InitializeParams,
  LanguageClient,
  type LanguageClientOptions,
  type Middleware,
  RevealOutputChannelOn,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-languageclient/node';
import { Emitter } from './emitter';
import { infoOf } from './greeting';
import type { Connect, Link, Program } from './link';
import { started } from './process';

/** What the parts of the extension have to do with documents. */
export interface Documents {
  readonly middleware: Middleware;
  /** Answers `codex/saveDocuments`. */
  save(params: unknown): Promise<unknown>;
  /** Whether the server is to show the files that it edits. */
  shows(): boolean;
}

const GOOD_BYE_MS = 2000;

export class LanguageLinks {
  /** The last link is cleaned up: only then are its commands and providers free for the next. */
  private cleaned: Promise<void> = Promise.resolve();

  constructor(
    private readonly channel: LogOutputChannel,
    private readonly documents: Documents,
  ) {}

  /** See Connect. */
  readonly connect: Connect = async (program, onEvent) => {
    await this.cleaned;
    return this.connected(program, onEvent);
  };

  private async connected(program: Program, onEvent: (params: unknown) => void): Promise<Link> {
    // Before there is a client: that it cannot be started is then said once, by us.
    const child = await started(program, this.channel);
    const client = new QuietClient(
      'codex-rpc',
      'Codex',
      () =>
        Promise.resolve({
          reader: new StreamMessageReader(child.stdout),
          writer: new StreamMessageWriter(child.stdin),
          detached: true,
        }),
      this.options(),
    );
    const clean = async (): Promise<void> => {
      await client.dispose(GOOD_BYE_MS).catch(() => undefined);
      await child.end();
    };
    const closed = new Emitter<string>();
    client.onNotification('session/event', onEvent);
    client.onRequest('codex/saveDocuments', (params: unknown) => this.documents.save(params));
    try {
      // A server that ends while it is greeted may never be told of by the client.
      await Promise.race([
        client.start(),
        child.ended.then((reason) => Promise.reject(new Error(`It ${reason}.`))),
      ]);
    } catch (error) {
      this.cleaned = clean();
      await this.cleaned;
      throw error;
    }
    let isWanted = true;
    void child.ended.then((reason) => {
      if (isWanted) {
        this.cleaned = clean();
        closed.fire(reason);
      }
    });
    return {
      info: infoOf(client.initializeResult),
      request: (method: string, params: unknown) => client.sendRequest(method, params),
      onClosed: closed.on,
      stop: () => {
        isWanted = false;
        this.cleaned = clean();
        return this.cleaned;
      },
    };
  }

  private options(): LanguageClientOptions {
    const { middleware } = this.documents;
    return {
      documentSelector: [{ scheme: 'file' }],
      outputChannel: this.channel,
      traceOutputChannel: this.channel,
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      initializationOptions: {
        codex: { saveDocuments: true, patchReview: true, showDocument: true },
      },
      middleware: {
        ...middleware,
        window: {
          ...middleware.window,
          showDocument: (params, token, next) =>
            this.documents.shows() ? next(params, token) : { success: false },
        },
      },
      // Starting again is Server's business.
      errorHandler: {
        error: () => ({ action: ErrorAction.Continue, handled: true }),
        closed: () => ({ action: CloseAction.DoNotRestart, handled: true }),
      },
      initializationFailedHandler: () => false,
    };
  }
}

/** Says nothing by itself: what a person should know is said by Health, with what to do. */
class QuietClient extends LanguageClient {
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }

  protected override fillInitializeParams(params: InitializeParams): void {
    super.fillInitializeParams(params);
    // The chat view and the status bar show what a turn is doing.
    delete params.capabilities.window?.workDoneProgress;
  }
}
