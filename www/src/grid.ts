/** Photos in rows of one height. Sizes are known before the pictures are: nothing jumps. */
import type { Library, Photo } from 'photorecall';
import { h } from './dom.js';
import { number, t } from './i18n.js';
import { Thumbnails } from './thumbs.js';

/** A photo of the grid; the score is there when something was looked for. */
export interface Item {
  photo: Photo;
  score: number | undefined;
}

/** Gives the items from `offset` on; fewer than asked for means that there are no more. */
export type Source = (offset: number, k: number) => Promise<Item[]>;

const PAGE = 60;

export class Grid {
  readonly element = h('ul', { className: 'grid' });
  /** What is shown, in order. */
  items: Item[] = [];
  private readonly thumbnails: Thumbnails;
  private readonly end: IntersectionObserver;
  private loading = false;
  private complete = false;

  constructor(
    library: Library,
    private readonly source: Source,
    private readonly onOpen: (item: Item) => void,
  ) {
    this.thumbnails = new Thumbnails(library);
    this.end = new IntersectionObserver((entries) => entries.some((e) => e.isIntersecting) && void this.more(), {
      rootMargin: '1200px',
    });
    this.element.addEventListener('keydown', (event) => this.arrow(event));
  }

  /** Loads the next page, until the end of the grid is out of sight. */
  async more(): Promise<void> {
    if (this.loading || this.complete) return;
    this.loading = true;
    try {
      const items = await this.source(this.items.length, PAGE);
      this.complete = items.length < PAGE;
      this.items.push(...items);
      this.element.append(...items.map((item) => this.tile(item)));
    } finally {
      this.loading = false;
    }
    this.end.disconnect();
    const last = this.element.lastElementChild;
    if (last && !this.complete) this.end.observe(last);
  }

  /** Takes a photo out of the grid. */
  drop(path: string): void {
    const at = this.items.findIndex(({ photo }) => photo.path === path);
    if (at < 0) return;
    this.items.splice(at, 1);
    const tile = this.element.children[at];
    tile?.querySelectorAll('img').forEach((image) => this.thumbnails.release(image));
    tile?.remove();
  }

  /** Lets go of all pictures. */
  destroy(): void {
    this.end.disconnect();
    this.element.querySelectorAll('img').forEach((image) => this.thumbnails.release(image));
  }

  /** Moves the focus to the photo at this place. */
  focus(at: number): void {
    this.element.children[at]?.querySelector('button')?.focus();
  }

  private tile(item: Item): HTMLLIElement {
    const { photo, score } = item;
    const image = h('img', { alt: nameOf(photo), decoding: 'async', draggable: false });
    const open = h('button', { type: 'button', onclick: () => this.onOpen(item) }, [image]);
    const tile = h('li', { className: 'tile', title: photo.path }, [open]);
    if (score !== undefined) {
      // A cosine below zero says no more than zero does.
      const percent = number(Math.max(0, Math.round(score * 100)));
      tile.append(h('span', { className: 'score', textContent: `${percent} %`, ariaLabel: t('score', { score: percent }) }));
      tile.dataset['score'] = String(score);
    }
    tile.dataset['path'] = photo.path;
    // Very wide and very tall photos are cut to fit the rows.
    const ratio = Math.min(2.4, Math.max(0.6, photo.width / photo.height || 1));
    tile.style.setProperty('--ratio', ratio.toFixed(3));
    this.thumbnails.watch(image, photo.path);
    return tile;
  }

  private arrow(event: KeyboardEvent): void {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const tile = (event.target as HTMLElement).closest('li');
    if (!step || !tile) return;
    event.preventDefault();
    this.focus([...this.element.children].indexOf(tile) + step);
  }
}

/** A photo's file name. */
export function nameOf(photo: Photo): string {
  return photo.path.slice(photo.path.lastIndexOf('/') + 1);
}
