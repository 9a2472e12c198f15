// A link to a real codex-rpc without an editor: the framing is that of vscode-jsonrpc, as in
// languageLink.ts, and there are no documents.

import {
  createMessageConnection,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-jsonrpc/node';
import { Emitter } from '../../../src/emitter';
import { infoOf } from '../../../src/greeting';
import type { Connect } from '../../../src/link';
import type { Log } from '../../../src/log';
import { type ServerProcess, started } from '../../../src/process';

/** Connects as the extension does, and tells `onProcess` of each process. */
export function plainConnect(log: Log, onProcess: (child: ServerProcess) => void): Connect {
  return async (program, onEvent) => {
    const child = await started(program, log);
    onProcess(child);
    const wire = createMessageConnection(
      new StreamMessageReader(child.stdout),
      new StreamMessageWriter(child.stdin),
    );
    const closed = new Emitter<string>();
    let stopping = false;
    wire.onNotification('session/event', onEvent);
    wire.listen();
    const greeting = { processId: process.pid, rootUri: null };
    const result = await wire.sendRequest<unknown>('initialize', greeting);
    await wire.sendNotification('initialized', {});
    void child.ended.then((reason) => {
      wire.dispose();
      if (!stopping) {
        closed.fire(reason);
      }
    });
    return {
      info: infoOf(result),
      request: (method, params) => wire.sendRequest(method, params),
      onClosed: closed.on,
      stop: async () => {
        stopping = true;
        await child.end();
      },
    };
  };
}
