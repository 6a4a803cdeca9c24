/** Small pictures for tiles: loaded when a tile comes near the window, let go of when it is far off. */
import type { Library } from 'photorecall';

export class Thumbnails {
  private readonly observer: IntersectionObserver;
  private readonly paths = new WeakMap<Element, string>();

  constructor(private readonly library: Library) {
    this.observer = new IntersectionObserver((entries) => entries.forEach((entry) => this.changed(entry)), {
      rootMargin: '600px',
    });
  }

  /** Fills `image` with the picture of `path` whenever it is near the window. */
  watch(image: HTMLImageElement, path: string): void {
    this.paths.set(image, path);
    this.observer.observe(image);
  }

  /** Lets go of a picture whose tile is taken away. */
  release(image: HTMLImageElement): void {
    this.observer.unobserve(image);
    this.clear(image);
  }

  private changed({ target, isIntersecting }: IntersectionObserverEntry): void {
    const image = target as HTMLImageElement;
    if (isIntersecting) void this.fill(image);
    else this.clear(image);
  }

  private async fill(image: HTMLImageElement): Promise<void> {
    const path = this.paths.get(image);
    if (path === undefined || image.src) return;
    // A picture that cannot be had leaves the tile's own grey.
    const blob = await this.library.thumbnail(path).catch(() => undefined);
    if (blob && image.isConnected && !image.src) image.src = URL.createObjectURL(blob);
  }

  private clear(image: HTMLImageElement): void {
    if (!image.src) return;
    URL.revokeObjectURL(image.src);
    image.removeAttribute('src');
  }
}
