// The walkthrough, opened the first time that the extension runs.

import type { Editor } from './editor';
import type { Memory } from './sessions';

const GREETED = 'codex-rpc.greeted';

/** Open the walkthrough, unless that was done before on this machine. */
export async function greetOnce(
  { commands }: { readonly commands: Pick<Editor['commands'], 'executeCommand'> },
  memory: Memory,
): Promise<void> {
  if (memory.get(GREETED) !== true) {
    await memory.update(GREETED, true);
    void commands.executeCommand('codex-rpc.openWalkthrough');
  }
}
