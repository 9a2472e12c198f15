// What a screen reader says of what happens: whole sentences, when something is complete. The
// conversation itself is no live region, for that would read each part of a word.

const MAX_SAID = 1_000;

export class Announcer {
  private waiting: string[] = [];

  constructor(
    private readonly polite: HTMLElement,
    private readonly urgent: HTMLElement,
  ) {}

  /** Say it when nothing else is being said. */
  say(text: string): void {
    this.waiting.push(shortened(text));
    if (this.waiting.length === 1) {
      // What comes in the same moment is said together: a region that is written twice at once
      // is read once.
      queueMicrotask(() => {
        this.polite.textContent = this.waiting.join('. ');
        this.waiting = [];
      });
    }
  }

  /** Say it at once. */
  alert(text: string): void {
    this.urgent.textContent = shortened(text);
  }
}

function shortened(text: string): string {
  return text.length > MAX_SAID ? `${text.slice(0, MAX_SAID)} …` : text;
}
