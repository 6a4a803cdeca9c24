/** One photo, as large as the window. Arrows go through the grid, Escape closes. */
import type { Library, Photo } from 'photorecall';
import { button, h } from './dom.js';
import { original } from './folders.js';
import { nameOf } from './grid.js';
import { language, number, t } from './i18n.js';

/** What the viewer asks of the page. */
export interface ViewerActions {
  /** The photo at a place of the grid. */
  photoAt(at: number): Promise<Photo | undefined>;
  similar(photo: Photo): void;
  /** The viewer was closed; this place was shown last. */
  closed(at: number): void;
  /** Undefined where photos cannot be removed. */
  remove: ((photo: Photo) => void) | undefined;
}

export class Viewer {
  private readonly dialog = h('dialog', { className: 'viewer' });
  private readonly image = h('img', { alt: '' });
  private readonly name = h('h2', { className: 'name' });
  private readonly facts = h('footer');
  private photo: Photo | undefined;
  /** Its place in the grid. */
  private at = 0;

  constructor(
    private readonly library: () => Library,
    private readonly actions: ViewerActions,
  ) {
    const header = h('header', {}, [
      this.name,
      button(t('similar'), '', () => this.leave(actions.similar)),
      ...(actions.remove ? [button(t('remove'), '', () => this.leave(actions.remove))] : []),
      this.icon('‹', t('previous'), () => void this.step(-1)),
      this.icon('›', t('next'), () => void this.step(1)),
      this.icon('✕', t('close'), () => this.dialog.close()),
    ]);
    this.dialog.append(header, h('div', { className: 'stage' }, [this.image]), this.facts);
    this.dialog.addEventListener('keydown', ({ key }) => {
      if (key === 'ArrowLeft') void this.step(-1);
      if (key === 'ArrowRight') void this.step(1);
    });
    this.dialog.addEventListener('close', () => {
      this.release();
      actions.closed(this.at);
    });
    this.image.onload = () => URL.revokeObjectURL(this.image.src);
    document.body.append(this.dialog);
  }

  /** Shows the photo at a place of the grid. */
  show(photo: Photo, at: number): void {
    this.photo = photo;
    this.at = at;
    this.release();
    this.name.textContent = nameOf(photo);
    this.image.alt = nameOf(photo);
    this.dialog.setAttribute('aria-label', nameOf(photo));
    this.facts.replaceChildren(...factsOf(photo).map((fact) => h('span', { textContent: fact })));
    if (!this.dialog.open) this.dialog.showModal();
    void this.load(photo);
  }

  /** The photo's own file where it can be had, the small picture until then or otherwise. */
  private async load(photo: Photo): Promise<void> {
    const url = this.library().photoUrl(photo.path);
    const file = url === undefined ? await original(photo.path) : undefined;
    const small = url === undefined && !file ? await this.library().thumbnail(photo.path).catch(() => undefined) : undefined;
    if (this.photo !== photo) return;
    const blob = file ?? small;
    if (url !== undefined) this.image.src = url;
    else if (blob) this.image.src = URL.createObjectURL(blob);
    if (small) this.facts.append(h('span', { textContent: t('smallOnly') }));
  }

  private async step(by: number): Promise<void> {
    const [from, to] = [this.photo, this.at + by];
    const next = await this.actions.photoAt(to);
    if (next && this.photo === from) this.show(next, to);
  }

  private leave(act: ((photo: Photo) => void) | undefined): void {
    const photo = this.photo;
    this.dialog.close();
    if (photo) act?.(photo);
  }

  private release(): void {
    this.image.removeAttribute('src');
  }

  private icon(sign: string, label: string, onclick: () => void): HTMLButtonElement {
    return h('button', { type: 'button', textContent: sign, ariaLabel: label, title: label, onclick });
  }
}

function factsOf(photo: Photo): string[] {
  const taken = photo.taken === undefined ? [] : [new Date(photo.taken).toLocaleString(language)];
  const camera = photo.camera === undefined ? [] : [photo.camera];
  const place = photo.gps === undefined ? [] : [photo.gps.map((degrees) => `${number(degrees, 4)}°`).join(', ')];
  return [photo.path, `${photo.width} × ${photo.height}`, ...taken, ...camera, ...place];
}
