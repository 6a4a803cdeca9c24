/** The search box: words, and the photo that is searched by. */
import { find, h } from './dom.js';
import { t } from './i18n.js';
import { chooseExample } from './sources.js';

/** What the box asks of the page. */
export interface Searching {
  search(text: string): void;
  byPhoto(photo: File): void;
  /** The words alone, from now on. */
  withoutPhoto(text: string): void;
  /** The cross of the field has emptied it. */
  emptied(): void;
}

export class SearchBox {
  readonly form = find<HTMLFormElement>('.search');
  readonly input = find<HTMLInputElement>('.search input');
  private readonly chip = find('.chip');
  private readonly image = find<HTMLImageElement>('.chip img');

  constructor(page: Searching) {
    const { input } = this;
    input.placeholder = t('placeholder');
    input.ariaLabel = t('searchLabel');
    const byPhoto = find<HTMLButtonElement>('.by-photo');
    byPhoto.title = byPhoto.ariaLabel = t('byPhoto');
    byPhoto.onclick = () => chooseExample(page.byPhoto);
    this.form.onsubmit = (event) => {
      event.preventDefault();
      page.search(input.value.trim());
    };
    input.addEventListener('search', () => input.value === '' && page.emptied());
    const clear = find<HTMLButtonElement>('.chip button');
    clear.append(h('span', { textContent: '✕', ariaHidden: 'true' }));
    clear.ariaLabel = t('clearExample');
    clear.onclick = () => page.withoutPhoto(input.value.trim());
    // As in many pages, / is the way to the search.
    addEventListener('keydown', (event) => {
      const typing = event.target instanceof Element && event.target.closest('input, select, dialog');
      if (event.key !== '/' || typing || this.form.hidden) return;
      event.preventDefault();
      input.focus();
    });
  }

  /** Shows the picture of what is searched by; nothing without one. */
  showPhoto(picture: Promise<Blob | undefined> | undefined): void {
    const { image } = this;
    this.chip.hidden = !picture;
    URL.revokeObjectURL(image.src);
    image.removeAttribute('src');
    void picture?.then((blob) => blob && (image.src = URL.createObjectURL(blob)), () => undefined);
  }
}
