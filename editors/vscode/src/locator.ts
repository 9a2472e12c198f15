// Where the codex-rpc program is.

import { access, constants, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

/** Who has said where the program is. */
export type Origin = 'setting' | 'python' | 'path' | 'private';

export interface Located {
  readonly path: string;
  readonly origin: Origin;
}

/** What the locator asks, in the order in which it asks. */
export interface Places {
  /** The setting `codex-rpc.path`; empty if it is not set. */
  setting(): string;
  /** Folders with the programs of the Python environment. */
  pythonFolders(): Promise<readonly string[]>;
  /** The PATH. */
  searchPath(): string;
  /** The folder with the programs of the private environment; see Installer. */
  readonly privateFolder: string;
}

export class Locator {
  constructor(
    private readonly places: Places,
    private readonly platform: NodeJS.Platform = process.platform,
  ) {}

  /** The program; undefined if there is none. A setting is believed, whether or not it is right. */
  async find(): Promise<Located | undefined> {
    const setting = this.places.setting();
    if (setting !== '') {
      return { path: setting.replace(/^~(?=[\\/])/, homedir()), origin: 'setting' };
    }
    const groups: readonly [Origin, readonly string[]][] = [
      ['python', await this.places.pythonFolders()],
      [
        'path',
        this.places
          .searchPath()
          .split(delimiter)
          .filter((folder) => folder !== ''),
      ],
      ['private', [this.places.privateFolder]],
    ];
    for (const [origin, folders] of groups) {
      for (const folder of folders) {
        const path = join(folder, this.platform === 'win32' ? 'codex-rpc.exe' : 'codex-rpc');
        if (await isProgram(path)) {
          return { path, origin };
        }
      }
    }
    return undefined;
  }
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
