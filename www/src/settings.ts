/** The settings, as a dialog. */
import { button, find, h } from './dom.js';
import { t } from './i18n.js';
import { LooksSection } from './looks-section.js';
import { ModelsSection } from './models-section.js';
import { type Kept, StorageSection } from './storage-section.js';
import type { Switching } from './switching.js';

/** A part of the settings that shows what is so now. */
export interface Section {
  readonly element: HTMLElement;
  refresh(): Promise<void>;
}

export class Settings {
  private readonly dialog = h('dialog', { className: 'settings', ariaLabel: t('settings') });
  private readonly sections: Section[] = [];

  constructor(page: Kept, switching: Switching | undefined) {
    if (switching) this.sections.push(new ModelsSection(switching, async () => (await page.library().info()).photos));
    this.sections.push(new StorageSection(page), new LooksSection());
    const close = button('✕', 'plain', () => this.dialog.close());
    close.ariaLabel = t('close');
    this.dialog.append(
      h('header', {}, [h('h2', { textContent: t('settings') }), close]),
      ...this.sections.map(({ element }) => element),
    );
    // A click beside the dialog closes it.
    this.dialog.onclick = (event) => event.target === this.dialog && this.dialog.close();
    document.body.append(this.dialog);
    const opener = find<HTMLButtonElement>('.settings-button');
    opener.title = opener.ariaLabel = t('settings');
    opener.onclick = () => this.show();
    opener.hidden = false;
  }

  private show(): void {
    this.dialog.showModal();
    this.sections.forEach((section) => void section.refresh());
  }
}
