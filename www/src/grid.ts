/**
 * A list of photos of any length: only the tiles near the window are in the document. The list has its
 * whole height from the beginning, and each tile says its place in it to screen readers. One tile can be
 * tabbed to; arrows, Home, End, Page Up and Page Down move from it.
 */
import type { Library, Photo } from 'photorecall';
import { h } from './dom.js';
import { number, t } from './i18n.js';
import { type Frame, Layout } from './layout.js';
import { Thumbnails } from './thumbs.js';

/** A photo of the grid; the others are there when something was looked for. */
export interface Item {
  photo: Photo;
  /** Its cosine with the query. */
  score?: number;
  /** What its names add to that in the order. */
  byName?: number;
}

/** What a grid shows. */
export interface Source {
  /** Each photo's width by its height, in order. */
  readonly ratios: ArrayLike<number>;
  /** The items from a place on. */
  items(offset: number, k: number): Promise<Item[]>;
  /** Whether the score is to be shown, as a percentage. */
  readonly percent?: boolean;
  /** Looks for more at the end; tells whether there were any. */
  more?(): Promise<boolean>;
}

/** Items are asked for in pages of so many. */
const PAGE = 200;
/** How far beyond the window tiles are made, CSS pixels. */
const BEYOND = 1000;

/** A tile that is in the document. */
interface Tile {
  element: HTMLLIElement;
  button: HTMLButtonElement;
  image: HTMLImageElement;
  path: string | undefined;
}

export class Grid {
  readonly element = h('ul', { className: 'grid', role: 'list' });
  private readonly thumbnails: Thumbnails;
  private readonly tiles = new Map<number, Tile>();
  private readonly pages = new Map<number, Promise<Item[]>>();
  private readonly items = new Map<number, Item>();
  private readonly resized = new ResizeObserver(() => this.measure());
  private readonly scrolled = (): void => this.schedule();
  private layout: Layout;
  /** The tile that can be tabbed to. */
  private active = 0;
  private scheduled = 0;
  private growing = false;
  private ended = false;

  constructor(
    library: Library,
    private readonly source: Source,
    private readonly onOpen: (at: number, event: MouseEvent) => void,
    private readonly isSelected: (path: string) => boolean,
  ) {
    this.thumbnails = new Thumbnails(library);
    this.layout = new Layout([], { width: 1, row: 1, gap: 0 });
    this.element.addEventListener('keydown', (event) => this.key(event));
    this.element.addEventListener('focusin', ({ target }) => this.activate(target));
    addEventListener('scroll', this.scrolled, { passive: true });
    this.resized.observe(this.element);
  }

  get count(): number {
    return this.source.ratios.length;
  }

  /** The item at a place; undefined beyond the end. */
  async item(at: number): Promise<Item | undefined> {
    if (at < 0 || at >= this.count) return undefined;
    return this.items.get(at) ?? (await this.page(at))[at % PAGE];
  }

  /** All items, in order. */
  async all(): Promise<Item[]> {
    const pages = [];
    for (let at = 0; at < this.count; at += PAGE) pages.push(await this.page(at));
    return pages.flat();
  }

  /** Whether the focus is on one of the tiles. */
  get hasFocus(): boolean {
    return this.element.contains(document.activeElement);
  }

  /** The place that the focus is at, or would go to. */
  get place(): number {
    return this.active;
  }

  /** Lays out anew for the width that there is, keeping the first photo in sight where it is. */
  measure(): void {
    const style = getComputedStyle(this.element);
    const pixels = (name: string): number => Number.parseFloat(style.getPropertyValue(name));
    const frame: Frame = { width: this.element.clientWidth, row: pixels('--row'), gap: pixels('--gap') };
    if (frame.width === 0) return;
    const [first] = this.layout.between(this.top, this.top);
    const moved = this.layout.count > 0 && this.top > 0;
    this.layout = new Layout(this.source.ratios, frame);
    this.element.style.height = `${this.layout.height}px`;
    for (const [at, tile] of this.tiles) this.put(tile, at);
    if (moved) scrollBy(0, this.layout.box(Math.min(first, this.count - 1)).top - this.top);
    this.render();
  }

  /** Lets go of all tiles and pictures. */
  destroy(): void {
    removeEventListener('scroll', this.scrolled);
    cancelAnimationFrame(this.scheduled);
    this.resized.disconnect();
    for (const at of [...this.tiles.keys()]) this.drop(at);
  }

  /** Moves the focus to the photo at this place, and the window with it. */
  focus(at: number): void {
    if (this.count === 0) return;
    this.active = Math.min(this.count - 1, Math.max(0, at));
    this.reveal(this.active);
    this.render();
    this.tiles.get(this.active)?.button.focus({ preventScroll: true });
  }

  /** How far the window is below the grid's top. */
  private get top(): number {
    return -this.element.getBoundingClientRect().top;
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = requestAnimationFrame(() => {
      this.scheduled = 0;
      this.render();
    });
  }

  /** Makes the tiles that are near the window, in order, and lets go of the others. */
  private render(): void {
    if (this.layout.count === 0 || !this.element.isConnected) return;
    const [from, to] = this.layout.between(this.top - BEYOND, this.top + innerHeight + BEYOND);
    const focused = this.hasFocus;
    if (!focused && (this.active < from || this.active >= to)) {
      [this.active] = this.layout.between(this.top, this.top);
    }
    const stays = (at: number): boolean => (at >= from && at < to) || (focused && at === this.active);
    for (const at of [...this.tiles.keys()]) if (!stays(at)) this.drop(at);
    let next: Element | null = null;
    for (let at = to - 1; at >= from; at--) {
      const { element } = this.tiles.get(at) ?? this.make(at);
      if (element.parentNode === null || element.nextElementSibling !== next) this.element.insertBefore(element, next);
      next = element;
    }
    for (const [at, { button }] of this.tiles) button.tabIndex = at === this.active ? 0 : -1;
    if (to === this.count) void this.grow();
  }

  /** Searches that have more to show grow at their end. */
  private async grow(): Promise<void> {
    if (this.growing || this.ended || !this.source.more) return;
    this.growing = true;
    try {
      this.ended = !(await this.source.more());
    } catch {
      this.ended = true;
    } finally {
      this.growing = false;
    }
    if (!this.ended && this.element.isConnected) this.measure();
  }

  private make(at: number): Tile {
    const image = h('img', { alt: '', draggable: false });
    const open = h('button', { type: 'button', onclick: (event) => this.onOpen(at, event) }, [image]);
    const element = h('li', { className: 'tile' }, [open]);
    element.setAttribute('aria-setsize', String(this.count));
    element.setAttribute('aria-posinset', String(at + 1));
    const tile: Tile = { element, button: open, image, path: undefined };
    this.tiles.set(at, tile);
    this.put(tile, at);
    const item = this.items.get(at);
    if (item) this.fill(tile, item);
    else void this.page(at);
    return tile;
  }

  /** Puts a tile where it belongs. */
  private put({ element }: Tile, at: number): void {
    const { left, top, width, height } = this.layout.box(at);
    Object.assign(element.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
  }

  private fill(tile: Tile, { photo, score, byName }: Item): void {
    const { element, image } = tile;
    tile.path = element.dataset['path'] = photo.path;
    element.title = photo.path;
    image.alt = nameOf(photo);
    if (score !== undefined) {
      element.dataset['score'] = String(score);
      element.title += `\n${t('cosine', { score: number(score, 3) })}`;
      // A cosine below zero says no more than zero does.
      const percent = number(Math.max(0, Math.round(score * 100)));
      if (this.source.percent) element.append(badge(`${percent} %`, t('score', { score: percent })));
      else if (byName) element.append(badge(t('inName'), t('inNameLong')));
    }
    if (photo.favourite) element.append(h('span', { className: 'heart', role: 'img', ariaLabel: t('favourite'), textContent: '♥' }));
    this.mark(tile);
    this.thumbnails.want(image, photo.path);
  }

  /** Shows whether a photo is selected. */
  private mark({ button, element, path }: Tile): void {
    const selected = path !== undefined && this.isSelected(path);
    element.classList.toggle('selected', selected);
    if (selected || document.body.classList.contains('selecting')) button.ariaPressed = String(selected);
    else button.removeAttribute('aria-pressed');
  }

  /** The selection has changed. */
  markAll(): void {
    for (const tile of this.tiles.values()) this.mark(tile);
  }

  private drop(at: number): void {
    const tile = this.tiles.get(at);
    if (!tile) return;
    this.tiles.delete(at);
    this.thumbnails.release(tile.image);
    tile.element.remove();
  }

  /** The page that a place is on; its items fill the tiles that wait for them. */
  private page(at: number): Promise<Item[]> {
    const number = Math.floor(at / PAGE);
    const known = this.pages.get(number);
    if (known) return known;
    const page = this.source.items(number * PAGE, PAGE).then((items) => {
      items.forEach((item, i) => {
        const place = number * PAGE + i;
        this.items.set(place, item);
        const tile = this.tiles.get(place);
        if (tile && tile.path === undefined) this.fill(tile, item);
      });
      return items;
    });
    this.pages.set(number, page);
    page.catch(() => this.pages.delete(number));
    return page;
  }

  private activate(target: EventTarget | null): void {
    for (const [at, { button }] of this.tiles) {
      if (button === target) this.active = at;
      button.tabIndex = button === target ? 0 : -1;
    }
  }

  private key(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const { active, layout } = this;
    const { height } = layout.box(active);
    const page = Math.max(1, Math.floor(innerHeight / height) - 1);
    const places: Record<string, () => number> = {
      ArrowRight: () => active + 1,
      ArrowLeft: () => active - 1,
      ArrowDown: () => layout.below(active, 1),
      ArrowUp: () => layout.below(active, -1),
      PageDown: () => layout.below(active, page),
      PageUp: () => layout.below(active, -page),
      Home: () => 0,
      End: () => layout.count - 1,
    };
    const place = places[event.key];
    if (!place) return;
    event.preventDefault();
    this.focus(place());
  }

  /** Scrolls as little as is needed for a photo to be seen whole, below the bar. */
  private reveal(at: number): void {
    const { top, height } = this.layout.box(at);
    const bar = document.querySelector('.bar')?.getBoundingClientRect().height ?? 0;
    const above = top - 8 - (this.top + bar);
    const below = top + height + 8 - (this.top + innerHeight);
    if (above < 0) scrollBy(0, above);
    else if (below > 0) scrollBy(0, below);
  }
}

/** Something that is said of a tile, in its corner. */
function badge(textContent: string, ariaLabel: string): HTMLElement {
  return h('span', { className: 'score', role: 'note', textContent, ariaLabel });
}

/** A photo's file name. */
export function nameOf(photo: Photo): string {
  return photo.path.slice(photo.path.lastIndexOf('/') + 1);
}
