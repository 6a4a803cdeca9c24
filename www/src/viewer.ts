/** One photo, as large as the window. Arrows go through the grid, Escape closes. */
import type { LabelChange, Library, Photo } from 'photorecall';
import { button, h, toast } from './dom.js';
import { original } from './folders.js';
import { factsOf } from './facts.js';
import { nameOf } from './grid.js';
import { t } from './i18n.js';

/** What the viewer asks of the page. */
export interface ViewerActions {
  /** The photo at a place of the grid. */
  photoAt(at: number): Promise<Photo | undefined>;
  similar(photo: Photo): void;
  /** The viewer was closed; this place was shown last. */
  closed(at: number): void;
  /** Shows what a query finds. */
  search(query: string): void;
  /** Changes a photo's labels and gives it as it is then; undefined where that cannot be. */
  label: ((photo: Photo, change: LabelChange) => Promise<Photo>) | undefined;
  /** Undefined where photos cannot be removed. */
  remove: ((photo: Photo) => void) | undefined;
}

/** How far a finger goes for a swipe, CSS pixels. */
const SWIPE = 50;

export class Viewer {
  private readonly dialog = h('dialog', { className: 'viewer' });
  private readonly image = h('img', { alt: '' });
  private readonly name = h('h2', { className: 'name' });
  private readonly stage = h('div', { className: 'stage' }, [this.image]);
  private readonly heart = button('♡', 'heart-button', () => void this.like());
  private readonly about = button('i', 'about', () => this.toggleFacts());
  private readonly note = h('footer', { hidden: true, textContent: t('smallOnly') });
  private showsFacts = matchMedia('(min-width: 900px)').matches;
  private photo: Photo | undefined;
  /** Its place in the grid. */
  private at = 0;

  constructor(
    private readonly library: () => Library,
    private readonly actions: ViewerActions,
  ) {
    const header = h('header', {}, [
      this.name,
      ...(actions.label ? [this.heart] : []),
      this.about,
      button(t('similar'), '', () => this.leave(actions.similar)),
      ...(actions.remove ? [button(t('remove'), '', () => this.leave(actions.remove))] : []),
      this.icon('‹', t('previous'), () => void this.step(-1)),
      this.icon('›', t('next'), () => void this.step(1)),
      this.icon('✕', t('close'), () => this.dialog.close(), 'close'),
    ]);
    this.about.ariaLabel = this.about.title = t('facts');
    this.dialog.append(header, this.stage, this.note);
    this.dialog.addEventListener('keydown', ({ key, target, ctrlKey, metaKey }) => {
      if (target instanceof HTMLInputElement || ctrlKey || metaKey) return;
      if (key === 'f' && actions.label) void this.like();
      if (key === 'i') this.toggleFacts();
      if (key === 'z') this.zoom();
      if (key === 'ArrowLeft') void this.step(-1);
      if (key === 'ArrowRight') void this.step(1);
    });
    this.swipes();
    // A double tap of a finger is one, too.
    this.stage.ondblclick = ({ clientX, clientY }) => this.zoom(clientX, clientY);
    this.dialog.addEventListener('close', () => {
      this.release();
      actions.closed(this.at);
    });
    this.image.onload = () => URL.revokeObjectURL(this.image.src);
    document.body.append(this.dialog);
  }

  /** Shows the photo twice as large, at least its own pixels, the given place in sight; or all of it again. */
  private zoom(x = innerWidth / 2, y = innerHeight / 2): void {
    const { stage, image } = this;
    const { left, top, width, height } = image.getBoundingClientRect();
    // Within its box, the picture is fitted.
    const scale = Math.min(width / image.naturalWidth, height / image.naturalHeight);
    const grown = Math.max(1, 2 * scale);
    const [across, down] = [x - left - width / 2, y - top - height / 2];
    const zoomed = stage.classList.toggle('zoomed');
    image.style.width = zoomed ? `${grown * image.naturalWidth}px` : '';
    const [wide, high] = [stage.scrollWidth - stage.clientWidth, stage.scrollHeight - stage.clientHeight];
    stage.scrollTo(wide / 2 + (across * grown) / scale, high / 2 + (down * grown) / scale);
  }

  /** Whether a finger moves the picture instead of leading to another one. */
  private get zoomed(): boolean {
    return this.stage.classList.contains('zoomed') || (visualViewport?.scale ?? 1) > 1.01;
  }

  /** A finger drawn sideways goes to the neighbour, down closes. */
  private swipes(): void {
    let start: Touch | undefined;
    this.stage.addEventListener('touchstart', ({ touches }) => (start = touches.length === 1 ? touches[0] : undefined), { passive: true });
    this.stage.addEventListener('touchend', ({ changedTouches: [end] }) => {
      if (!start || !end || this.zoomed) return;
      const [across, down] = [end.clientX - start.clientX, end.clientY - start.clientY];
      if (Math.abs(across) > SWIPE && Math.abs(across) > 2 * Math.abs(down)) void this.step(across < 0 ? 1 : -1);
      else if (down > SWIPE && down > 2 * Math.abs(across)) this.dialog.close();
    });
  }

  /** Shows the photo at a place of the grid. */
  show(photo: Photo, at: number): void {
    this.photo = photo;
    this.at = at;
    this.release();
    this.name.textContent = nameOf(photo);
    this.image.alt = nameOf(photo);
    this.dialog.setAttribute('aria-label', nameOf(photo));
    this.note.hidden = true;
    this.refresh();
    if (!this.dialog.open) this.dialog.showModal();
    void this.load(photo);
  }

  /** Shows what is known of the photo, and whether it is a favourite. */
  private refresh(): void {
    const { photo, actions } = this;
    if (!photo) return;
    const liked = photo.favourite ?? false;
    this.heart.textContent = liked ? '♥' : '♡';
    this.heart.ariaPressed = String(liked);
    this.heart.ariaLabel = this.heart.title = t('favourite');
    this.about.ariaPressed = String(this.showsFacts);
    this.dialog.querySelector('.facts')?.remove();
    this.dialog.classList.toggle('with-facts', this.showsFacts);
    if (!this.showsFacts) return;
    const search = (query: string): void => this.leave(() => actions.search(query));
    const label = actions.label && ((change: LabelChange) => this.label(change));
    this.stage.after(factsOf(photo, label, search));
  }

  /** Shows what has changed of the photo, where it is still the one that is shown. */
  renew(photo: Photo): void {
    if (!this.dialog.open || this.photo?.path !== photo.path) return;
    this.photo = photo;
    this.refresh();
  }

  /** Says something within the dialog: what lies below it cannot be reached. */
  tell(text: string, action: { label: string; run: () => void }): void {
    toast(text, action, undefined, this.dialog);
  }

  private async label(change: LabelChange): Promise<void> {
    const { photo, actions } = this;
    if (!photo || !actions.label) return;
    const changed = await actions.label(photo, change);
    if (this.photo !== photo) return;
    this.photo = changed;
    this.refresh();
    if (change.favourite === undefined) this.dialog.querySelector<HTMLInputElement>('.facts input')?.focus();
  }

  private like(): Promise<void> {
    return this.label({ favourite: !this.photo?.favourite });
  }

  private toggleFacts(): void {
    this.showsFacts = !this.showsFacts;
    this.refresh();
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
    this.note.hidden = small === undefined;
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
    this.stage.classList.remove('zoomed');
    this.image.removeAttribute('style');
    this.image.removeAttribute('src');
  }

  private icon(sign: string, label: string, onclick: () => void, className = ''): HTMLButtonElement {
    return h('button', { type: 'button', className, textContent: sign, ariaLabel: label, title: label, onclick });
  }
}
