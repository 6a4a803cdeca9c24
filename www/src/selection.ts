/** Photos that are selected, and the bar that says what can be done with them. */
import type { LabelChange, Photo } from 'photorecall';
import { announce, button, find, h, toast } from './dom.js';
import { saveList } from './exporting.js';
import { canCopy, canShare, copies, COPYING, type FileOf, pickTarget, share } from './handing.js';
import { number, t } from './i18n.js';
import { Panel } from './progress.js';
import { said } from './said.js';

/** What the selection asks of the page. */
export interface Selectable {
  readOnly: boolean;
  /** All photos that the grid shows. */
  all(): Promise<Photo[]>;
  /** A photo's own file, where it can be had. */
  file: FileOf;
  /** Changes the labels and gives the photos as they are then. */
  label(paths: string[], change: LabelChange): Promise<Photo[]>;
  remove(paths: string[]): Promise<void>;
  /** The selection is another one now. */
  changed(): void;
}

export class Selection {
  active = false;
  private readonly photos = new Map<string, Photo>();
  private readonly count = h('strong');
  private readonly word = h('input', { type: 'text', className: 'word', placeholder: t('tagOrAlbum'), ariaLabel: t('tagOrAlbum') });
  private readonly bar = h('section', { className: 'selection', hidden: true, ariaLabel: t('selection') });
  /** Where a range begins. */
  private from = 0;

  constructor(private readonly page: Selectable) {
    const labels = page.readOnly ? [] : [
      button(t('favourite'), 'line', () => void this.label({ favourite: !this.list.every((photo) => photo.favourite) })),
      this.word,
      button(t('addTag'), 'line', () => this.labelBy((word) => ({ addTags: [word] }))),
      button(t('addAlbum'), 'line', () => this.labelBy((word) => ({ addAlbums: [word] }))),
    ];
    const remove = page.readOnly ? [] : [button(t('remove'), 'line danger', () => void this.remove())];
    this.bar.append(
      this.count,
      button(t('selectAll'), 'line', () => void this.selectAll()),
      button(t('selectionEnd'), 'line', () => this.end()),
      ...labels,
      button(t('exportCsv'), 'line', () => saveList(this.list, 'csv')),
      button(t('exportJson'), 'line', () => saveList(this.list, 'json')),
      ...(canCopy() ? [button(t('copyInto'), 'line', () => void this.copy())] : []),
      ...(canShare() ? [button(t('share'), 'line', () => void this.share())] : []),
      ...remove,
    );
    this.word.onkeydown = (event) => {
      if (event.key === 'Enter') this.labelBy((word) => ({ addTags: [word] }));
    };
    addEventListener('keydown', (event) => this.key(event));
    find('.toasts').before(this.bar);
  }

  has(path: string): boolean {
    return this.photos.has(path);
  }

  /** Selecting begins, or ends. */
  begin(): void {
    this.active = true;
    this.tell();
  }

  end(): void {
    this.active = false;
    this.photos.clear();
    this.tell();
  }

  /** Takes a photo in or out. */
  toggle(photo: Photo, at: number): void {
    this.active = true;
    this.from = at;
    if (!this.photos.delete(photo.path)) this.photos.set(photo.path, photo);
    this.tell();
  }

  /** Takes in all from the one that was chosen last to this one. */
  async extend(at: number): Promise<void> {
    const all = await this.page.all();
    const [first, last] = [Math.min(this.from, at), Math.max(this.from, at)];
    this.take(all.slice(first, last + 1));
  }

  private get list(): Photo[] {
    return [...this.photos.values()];
  }

  private async selectAll(): Promise<void> {
    this.take(await this.page.all());
  }

  /** Takes all of these in. */
  take(photos: Photo[]): void {
    this.active = true;
    for (const photo of photos) this.photos.set(photo.path, photo);
    this.tell();
  }

  private async label(change: LabelChange): Promise<void> {
    for (const photo of await this.page.label([...this.photos.keys()], change)) this.photos.set(photo.path, photo);
    this.tell();
  }

  private labelBy(change: (word: string) => LabelChange): void {
    const word = this.word.value.trim();
    this.word.value = '';
    if (word) void this.label(change(word));
    else this.word.focus();
  }

  /** Copies the photos into a folder of the reader's choice. */
  private async copy(): Promise<void> {
    const { list } = this;
    try {
      const folder = await pickTarget();
      if (!folder) return;
      await new Panel(COPYING, () => undefined).run((steer) => copies(folder, list, this.page.file, steer));
    } catch (thrown) {
      toast(said(thrown));
    }
  }

  /** Hands the photos to another app; those whose files cannot be had are counted. */
  private async share(): Promise<void> {
    const { list } = this;
    try {
      const count = await share(list, this.page.file);
      toast(t(count < list.length ? 'handedSome' : 'handed', { count: number(count), all: number(list.length) }));
    } catch (thrown) {
      if (!(thrown instanceof DOMException && thrown.name === 'AbortError')) toast(said(thrown));
    }
  }

  private async remove(): Promise<void> {
    const paths = [...this.photos.keys()];
    this.end();
    await this.page.remove(paths);
  }

  private key(event: KeyboardEvent): void {
    if (!this.active || document.querySelector('dialog[open]')) return;
    const typing = event.target instanceof HTMLInputElement;
    if (event.key === 'Escape') this.end();
    else if (event.key === 'a' && (event.ctrlKey || event.metaKey) && !typing) {
      event.preventDefault();
      void this.selectAll();
    }
  }

  private tell(): void {
    this.bar.hidden = !this.active;
    document.body.classList.toggle('selecting', this.active);
    this.count.textContent = t('selected', { count: number(this.photos.size) });
    for (const part of this.bar.querySelectorAll<HTMLButtonElement | HTMLInputElement>('button, input')) {
      const always = part.textContent === t('selectAll') || part.textContent === t('selectionEnd');
      part.disabled = !always && this.photos.size === 0;
    }
    if (this.active) announce(this.count.textContent);
    this.page.changed();
  }
}
