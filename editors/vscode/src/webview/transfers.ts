// What is pasted or dropped: images and files, to be sent along.

import type { Host } from './host';
import { imageUrl } from './images';

/** Take what is pasted into `input` or dropped anywhere; `tell` gets what is wrong with it. */
export function takeTransfers(
  input: HTMLElement,
  box: HTMLElement,
  host: Host,
  tell: (problem: string) => void,
): void {
  input.addEventListener('paste', (event) => {
    if (take(event.clipboardData, host, tell)) {
      event.preventDefault();
    }
  });
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    box.classList.add('dropping');
  });
  document.addEventListener('dragleave', () => box.classList.remove('dropping'));
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    box.classList.remove('dropping');
    take(event.dataTransfer, host, tell);
  });
}

/** Whether there was something in it to be sent along. */
function take(data: DataTransfer | null, host: Host, tell: (problem: string) => void): boolean {
  const images = [...(data?.files ?? [])].filter(({ type }) => type.startsWith('image/'));
  for (const image of images) {
    void imageUrl(image).then(
      (url) => host.post({ type: 'attachImage', name: image.name, url }),
      (error: unknown) => tell(error instanceof Error ? error.message : String(error)),
    );
  }
  const kinds = ['application/vnd.code.uri-list', 'text/uri-list'];
  const uris = kinds.map((kind) => data?.getData(kind) ?? '').find((each) => each !== '') ?? '';
  if (images.length === 0 && /^(file|vscode-\w+):/m.test(uris)) {
    host.post({ type: 'attachUris', uris });
    return true;
  }
  return images.length > 0;
}
