// What goes to the page, in batches: a page that is slow to draw gets fewer and larger ones.

import type { Change } from './cells';
import { Changes } from './changes';
import type { ToPage } from './webviewProtocol';

/** About a frame: more often a page cannot draw. */
const BATCH_MS = 16;

/**
 * Posts changes at most once per frame, and the next ones only when the page says that it has
 * drawn the ones before. Nothing is posted until `start`.
 */
export class PageFeed {
  private readonly changes = new Changes();
  private started = false;
  private drawing = false;
  private timer: NodeJS.Timeout | undefined;

  /** `before` is called ahead of each batch: for what depends on many changes at once. */
  constructor(
    private readonly post: (message: ToPage) => void,
    private readonly before: () => void,
  ) {}

  get isStarted(): boolean {
    return this.started;
  }

  /** The page is new; `first` says all that it needs to know. */
  start(first: readonly ToPage[]): void {
    this.stop();
    this.started = true;
    first.forEach((message) => {
      this.post(message);
    });
  }

  /** The page is gone. */
  stop(): void {
    this.started = false;
    this.drawing = false;
    this.changes.take();
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  add(change: Change): void {
    if (this.started) {
      this.changes.add(change);
      this.touch();
    }
  }

  /** Something has changed that `before` looks at. */
  touch(): void {
    if (this.started && this.timer === undefined) {
      this.timer = setTimeout(() => {
        this.timer = undefined;
        this.flush();
      }, BATCH_MS);
    }
  }

  /** The page has drawn what it was sent. */
  applied(): void {
    this.drawing = false;
    if (!this.changes.isEmpty) {
      this.touch();
    }
  }

  private flush(): void {
    this.before();
    if (!this.drawing && !this.changes.isEmpty) {
      this.drawing = true;
      this.post({ type: 'changes', changes: this.changes.take() });
    }
  }
}
