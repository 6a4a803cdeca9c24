/**
 * Small pictures for tiles: those that were asked for last come first, and what has gone out of sight is
 * not fetched any more. A picture is decoded by the browser beside the page's own thread before it is shown.
 */
import type { Library } from 'photorecall';

/** Pictures that are fetched and decoded at once. */
const AT_ONCE = 8;
/** Pictures that are kept for scrolling back; some 15 KB each. */
const KEPT = 500;

export class Thumbnails {
  private readonly wanted = new Map<HTMLImageElement, string>();
  /** By path, the longest unused first. */
  private readonly kept = new Map<string, Blob>();
  private running = 0;

  constructor(private readonly library: Library) {}

  /** Fills `image` with the picture of `path`. */
  want(image: HTMLImageElement, path: string): void {
    this.wanted.set(image, path);
    this.next();
  }

  /** The tile is gone. */
  release(image: HTMLImageElement): void {
    this.wanted.delete(image);
    if (image.src) URL.revokeObjectURL(image.src);
  }

  private next(): void {
    while (this.running < AT_ONCE) {
      const latest = [...this.wanted].at(-1);
      if (!latest) return;
      const [image, path] = latest;
      this.wanted.delete(image);
      this.running++;
      void this.fill(image, path).finally(() => {
        this.running--;
        this.next();
      });
    }
  }

  private async fill(image: HTMLImageElement, path: string): Promise<void> {
    const blob = await this.picture(path);
    // A picture that cannot be had leaves the tile's own grey.
    if (!blob || !image.isConnected) return;
    const ready = new Image();
    ready.src = URL.createObjectURL(blob);
    try {
      await ready.decode();
      if (image.isConnected) image.src = ready.src;
    } catch {
      // A damaged picture, as none.
    }
    if (image.src !== ready.src) URL.revokeObjectURL(ready.src);
  }

  private async picture(path: string): Promise<Blob | undefined> {
    const blob = this.kept.get(path) ?? (await this.library.thumbnail(path).catch(() => undefined));
    if (!blob) return undefined;
    this.kept.delete(path);
    this.kept.set(path, blob);
    const [oldest] = this.kept.keys();
    if (this.kept.size > KEPT && oldest !== undefined) this.kept.delete(oldest);
    return blob;
  }
}
