// The Python environment of the window, as far as it can be known: where its programs are.

import { dirname, join } from 'node:path';
import type { Editor } from './editor';
import type { Disposable } from './emitter';
import { type Log, textOf } from './log';

/** What we use of the API of the Python extension; it is not there in every editor. */
interface PythonApi {
  readonly environments: {
    getActiveEnvironmentPath(): unknown;
    resolveEnvironment(
      path: unknown,
    ): Promise<{ readonly executable: { readonly uri?: { readonly fsPath: string } } } | undefined>;
    onDidChangeActiveEnvironmentPath?(listener: () => void): Disposable;
  };
}

const FOLDERS_OF_ENVIRONMENTS = ['.venv', 'venv'];

export class PythonEnvironment {
  constructor(
    private readonly editor: {
      readonly extensions: Pick<Editor['extensions'], 'getExtension'>;
      readonly workspace: Pick<Editor['workspace'], 'workspaceFolders'>;
    },
    private readonly env: NodeJS.ProcessEnv,
    private readonly log: Log,
    private readonly platform: NodeJS.Platform = process.platform,
  ) {}

  /** Folders to look for a program in: of the chosen, of the activated, of the folders' own. */
  async folders(): Promise<readonly string[]> {
    const chosen = await this.chosenInterpreter();
    const activated = [this.env['VIRTUAL_ENV'], this.env['CONDA_PREFIX']];
    const own = (this.editor.workspace.workspaceFolders ?? []).flatMap(({ uri }) =>
      FOLDERS_OF_ENVIRONMENTS.map((name) => join(uri.fsPath, name)),
    );
    const roots = [...activated, ...own].filter((root) => root !== undefined && root !== '');
    const programs = this.platform === 'win32' ? 'Scripts' : 'bin';
    return [
      ...(chosen === undefined ? [] : [dirname(chosen), join(dirname(chosen), programs)]),
      ...roots.map((root) => join(root ?? '', programs)),
    ];
  }

  /** The interpreter that the person has chosen in the Python extension, if there is one. */
  async chosenInterpreter(): Promise<string | undefined> {
    try {
      const extension = this.editor.extensions.getExtension<PythonApi>('ms-python.python');
      const api = extension?.isActive === true ? extension.exports : await extension?.activate();
      const path = api?.environments.getActiveEnvironmentPath();
      const found = path === undefined ? undefined : api?.environments.resolveEnvironment(path);
      return (await found)?.executable.uri?.fsPath;
    } catch (error) {
      this.log.warn(
        `The Python extension does not say which environment is used: ${textOf(error)}`,
      );
      return undefined;
    }
  }
}
