// Which documents the tabs of the window show.

import type { Tab, Uri } from 'vscode';
import type { Editor } from './editor';

type Ui = Pick<Editor, 'TabInputText' | 'TabInputTextDiff' | 'window'>;

export class DocumentTabs {
  constructor(private readonly ui: Ui) {}

  /** The document of the tab in front; of two that are compared, the one that can be edited. */
  activeUri(): Uri | undefined {
    const tab = this.ui.window.tabGroups.activeTabGroup.activeTab;
    return tab === undefined ? undefined : this.urisOf(tab)[0];
  }

  /** Close every tab with a document that `isMeant`, leaving the focus where it is. */
  async close(isMeant: (uri: Uri) => boolean): Promise<void> {
    const tabs = this.ui.window.tabGroups.all.flatMap((group) => group.tabs);
    const meant = tabs.filter((tab) => this.urisOf(tab).some(isMeant));
    if (meant.length > 0) {
      await this.ui.window.tabGroups.close(meant, true);
    }
  }

  private urisOf({ input }: Tab): readonly Uri[] {
    if (input instanceof this.ui.TabInputTextDiff) {
      return [input.modified, input.original];
    }
    return input instanceof this.ui.TabInputText ? [input.uri] : [];
  }
}
