// Who wants to hear of something, and who tells them; as the editor's own, but for plain node.

export interface Disposable {
  dispose(): void;
}

export type Listener<T> = (value: T) => void;

/** Tells its listeners in the order in which they came; what one throws does not keep the others. */
export class Emitter<T> {
  private readonly listeners = new Set<{ readonly call: Listener<T> }>();

  /** `onProblem` hears what a listener throws. */
  constructor(private readonly onProblem: (error: unknown) => void = () => undefined) {}

  /** Call `listener` for each value from now on; whoever asks disposes. */
  readonly on = (listener: Listener<T>): Disposable => {
    const entry = { call: listener };
    this.listeners.add(entry);
    return { dispose: () => this.listeners.delete(entry) };
  };

  fire(value: T): void {
    for (const { call } of [...this.listeners]) {
      try {
        call(value);
      } catch (error) {
        this.onProblem(error);
      }
    }
  }

  dispose(): void {
    this.listeners.clear();
  }
}
