/**
 * The engine's own decoder, in a worker: for kinds that the module does not decode (AVIF; HEIC in Safari). It has no way to
 * decode a JPEG at a part of its size: a camera's takes it twice as long as the module, and more memory (`shipped.mjs`).
 */

/** A photo's pixels as the engine sees them, upright. */
export interface Pixels {
  /** `[height, width, 4]`, of the photo made smaller. */
  rgba: Uint8Array;
  width: number;
  height: number;
  /** The photo's own pixels. */
  fullWidth: number;
  fullHeight: number;
}

/**
 * Decodes a photo and makes it smaller, to a short side of at least `side`; undefined where the engine cannot.
 *
 * Colour profiles are left out of account, as the module's decoder and the models' own pipelines leave them.
 */
export async function decodeByPlatform(file: Blob, side: number): Promise<Pixels | undefined> {
  if (typeof createImageBitmap !== 'function' || typeof OffscreenCanvas !== 'function') return undefined;
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: 'none' });
  } catch {
    return undefined; // not a picture to this engine, or a broken one: the module says what it is
  }
  try {
    return pixelsOf(bitmap, side);
  } finally {
    bitmap.close();
  }
}

/** Halves the picture while enough is left: at half the size, smoothing is the mean of four pixels, which nothing slips through. */
function pixelsOf(bitmap: ImageBitmap, side: number): Pixels | undefined {
  const { width: fullWidth, height: fullHeight } = bitmap;
  let [width, height] = [fullWidth, fullHeight];
  let context: OffscreenCanvasRenderingContext2D | null = null;
  while (Math.min(width, height) >= 2 * side) {
    [width, height] = [width >> 1, height >> 1];
    context = drawn(context?.canvas ?? bitmap, width, height);
  }
  context ??= drawn(bitmap, width, height);
  if (!context) return undefined;
  const { data } = context.getImageData(0, 0, width, height);
  return { rgba: new Uint8Array(data.buffer), width, height, fullWidth, fullHeight };
}

/** A picture on a canvas of its own; what is transparent is seen on white, as on a page. */
function drawn(source: CanvasImageSource, width: number, height: number): OffscreenCanvasRenderingContext2D | null {
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (!context) return null;
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = 'low';
  context.drawImage(source, 0, 0, width, height);
  return context;
}
