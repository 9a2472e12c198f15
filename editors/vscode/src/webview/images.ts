// Pictures that are pasted or dropped, as models take them.

const TYPES = /^image\/(png|jpeg|gif|webp)$/;
/** A larger side is scaled down by models anyway. */
const MAX_SIDE = 2_000;
const MAX_CHARACTERS = 5_000_000;

/** The picture as a `data:` URL, scaled down if it is large. Rejects with what to do about it. */
export async function imageUrl(file: Blob): Promise<string> {
  if (!TYPES.test(file.type)) {
    throw new Error('Only PNG, JPEG, GIF and WebP images can be attached.');
  }
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error('This image is damaged. Attach another one.');
  });
  const { width, height } = bitmap;
  const scale = Math.min(1, MAX_SIDE / Math.max(width, height));
  if (scale === 1 && file.size < (MAX_CHARACTERS * 3) / 4) {
    bitmap.close();
    return asUrl(file);
  }
  const canvas = new OffscreenCanvas(Math.round(width * scale), Math.round(height * scale));
  canvas.getContext('2d')?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const png = await asUrl(await canvas.convertToBlob({ type: 'image/png' }));
  return png.length <= MAX_CHARACTERS
    ? png
    : asUrl(await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.85 }));
}

function asUrl(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener('load', () => resolve(reader.result as string));
    reader.addEventListener('error', () => reject(new Error('This image cannot be read.')));
    reader.readAsDataURL(blob);
  });
}
